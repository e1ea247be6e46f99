/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/ttrpc_frame.c - libFuzzer: the ttrpc framer, cut at places that the input chooses
 *
 * Checks: frames do not depend on how the bytes were cut; nothing is read past the end; memory stays below what came in.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "ttrpc_internal.h"

struct trace {
	uint64_t hash;
	unsigned n;
};

static void note(struct trace *t, const struct ttrpc_frame *f)
{
	t->n++;
	t->hash = t->hash * 1099511628211ull + f->hdr.len + ((uint64_t)f->hdr.stream << 32) + f->hdr.type * 7u + f->hdr.flags;
	if (f->oversized)
		return;
	for (uint32_t i = 0; i < f->hdr.len; i++)
		t->hash = (t->hash ^ f->body[i]) * 1099511628211ull;
}

static struct trace run(const uint8_t *data, size_t size, size_t step)
{
	struct ttrpc_framer fr = { .body.max = TTRPC_MAX_DATA };
	struct trace t = { 0 };
	struct ttrpc_frame f;

	for (size_t at = 0; at < size; at += step) {
		size_t n = MIN(step, size - at);
		uint8_t *copy = malloc(n); /* exactly as large, so that an overrun is seen */
		const uint8_t *p = copy;

		memcpy(copy, data + at, n);
		while (ttrpc_framer_feed(&fr, &p, copy + n, &f) == 1)
			note(&t, &f);
		if (p != copy + n || fr.body.cap > 2 * size + 4096)
			abort();
		free(copy);
	}
	ttrpc_framer_fini(&fr);
	return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct trace whole, cut;

	if (size < 1)
		return 0;
	whole = run(data + 1, size - 1, size);
	cut = run(data + 1, size - 1, 1 + data[0] % 23);
	if (whole.n != cut.n || whole.hash != cut.hash)
		abort();
	return 0;
}
