/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/config_json_fuzz.c - libFuzzer entry: config.json, process and resources objects, from text to messages
 *
 * What parses and passes the checks also becomes a request, as in lc_create(): that is where lengths and indices of
 * the decoded structures are used.
 */
#include <stdint.h>
#include <string.h>

#include "runsc/lib/control.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void as_config(const char *text, size_t len)
{
	static struct lc_flags flags;
	static bool ready;
	struct err e = ERR_INIT;
	struct request_plan plan;
	struct oci_spec s;

	if (!ready)
		ready = lc_flags_init(&flags, &e) == 0;
	if (spec_parse(&s, text, len, &e) < 0) {
		if (!e.msg[0] || strchr(e.msg, '\n'))
			__builtin_trap(); /* each refusal has one sentence */
		return;
	}
	if (spec_check(&s, &e) == 0 && request_plan(&plan, &s, NULL, &flags, "id", "id", "/proc/self", &e) == 0) {
		size_t n = protobuf_c_message_get_packed_size(&plan.msg.base);
		uint8_t *out = malloc(n);

		if (out)
			protobuf_c_message_pack(&plan.msg.base, out);
		free(out);
		request_plan_fini(&plan);
	}
	spec_free(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct oci_resources r;
	struct oci_process p;
	struct err e = ERR_INIT;
	struct jdoc d;
	char *text;

	if (size < 1)
		return 0;
	text = malloc(size);
	if (!text)
		return 0;
	memcpy(text, data + 1, size - 1);
	text[size - 1] = '\0';
	switch (data[0] % 3) {
	case 0:
		as_config(text, size - 1);
		break;
	case 1:
		if (spec_parse_process(&d, text, size - 1, &p, &e) == 0) {
			if (spec_check_process(&p, &e) == 0)
				request_process(&d, &p, &e);
			jdoc_free(&d);
		}
		break;
	case 2:
		if (spec_parse_resources(&d, text, size - 1, &r, &e) == 0)
			jdoc_free(&d);
		break;
	}
	free(text);
	return 0;
}
