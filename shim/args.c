/* SPDX-License-Identifier: Apache-2.0
 * shim/args.c - see args.h
 *
 * Source: Go's flag package: -x v, -x=v, --x v; booleans take a value only with '='.
 */
#include "shim/args.h"

#include <errno.h>
#include <string.h>

static const struct opt {
	const char *name;
	bool is_bool;
	size_t off;
} opts[] = {
#define S(n, m) { n, false, offsetof(struct shim_args, m) }
#define B(n, m) { n, true, offsetof(struct shim_args, m) }
	S("namespace", ns),	B("debug", debug),
	S("address", address),	B("v", version),
	S("id", id),		B("version", version),
	S("bundle", bundle),	B("info", info),
	S("socket", socket),	S("debug-socket", debug_socket),
	S("publish-binary", publish_binary),
#undef S
#undef B
};

static const struct opt *find(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(opts); i++)
		if (strlen(opts[i].name) == len && !memcmp(opts[i].name, name, len))
			return &opts[i];
	return NULL;
}

static int set_bool(bool *slot, const char *v)
{
	static const char *const yes[] = { "1", "t", "T", "true", "TRUE", "True" };
	static const char *const no[] = { "0", "f", "F", "false", "FALSE", "False" };

	for (size_t i = 0; i < ARRAY_SIZE(yes); i++) {
		if (!strcmp(v, yes[i]) || !strcmp(v, no[i])) {
			*slot = !strcmp(v, yes[i]);
			return 0;
		}
	}
	return -1;
}

static const char *env_or(const char *name, const char *dflt)
{
	const char *v = getenv(name);

	return v ? v : dflt;
}

static const char *strip_unix(const char *addr)
{
	return strncmp(addr, "unix://", 7) ? addr : addr + 7;
}

int shim_args_parse(struct shim_args *a, int argc, char **argv, struct err *e)
{
	int i;

	*a = (struct shim_args){ .ns = env_or("NAMESPACE", ""), .address = "", .publish_binary = "",
				 .id = "", .bundle = "", .socket = "", .debug_socket = "", .action = "" };
	for (i = 1; i < argc && argv[i][0] == '-' && argv[i][1]; i++) {
		const char *name = argv[i] + (argv[i][1] == '-' ? 2 : 1), *eq = strchrnul(name, '=');
		const struct opt *o;

		if (!strcmp(argv[i], "--")) {
			i++;
			break;
		}
		o = find(name, (size_t)(eq - name));
		if (!o)
			return err_set(e, EINVAL, "flag provided but not defined: %s", argv[i]);
		if (o->is_bool) {
			if (set_bool((bool *)((char *)a + o->off), *eq ? eq + 1 : "true") < 0)
				return err_set(e, EINVAL, "invalid boolean value in %s", argv[i]);
			continue;
		}
		if (!*eq && ++i == argc)
			return err_set(e, EINVAL, "flag needs an argument: -%s", o->name);
		*(const char **)((char *)a + o->off) = *eq ? eq + 1 : argv[i];
	}
	if (i < argc)
		a->action = argv[i];
	a->ttrpc_address = strip_unix(env_or("TTRPC_ADDRESS", ""));
	a->grpc_address = strip_unix(a->address[0] ? a->address : env_or("GRPC_ADDRESS", ""));
	a->speaks_json = getenv("MAX_SHIM_VERSION") != NULL;
	a->sched_core = env_or("SCHED_CORE", "")[0] != '\0';
	return 0;
}
