/* SPDX-License-Identifier: Apache-2.0
 * shim/main.c - containerd-shim-runsc-v1
 *
 * Model:   one binary, four lives: `start` (short, prints where the daemon listens), no action (the
 *          daemon), `delete` (short, cleans up), `-info` and `-v`.
 * Source:  containerd docs/runtime-v2.md.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/version.h"
#include "shim/actions.h"

static const struct {
	const char *name;
	int (*fn)(const struct shim_args *, struct err *);
} actions[] = {
	{ "start", shim_start },
	{ "delete", shim_delete },
	{ "", shim_serve },
};

int main(int argc, char **argv)
{
	struct err e = ERR_INIT;
	struct shim_args a;

	if (shim_args_parse(&a, argc, argv, &e) < 0) {
		fprintf(stderr, "%s: %s\n", argv[0], e.msg);
		return 2;
	}
	if (a.version) {
		printf("%s:\n  Version:  %s\n  Runtime:  %s\n", argv[0], build_version, "io.containerd.runsc.v1");
		return 0;
	}
	if (a.info) {
		if (shim_info(&a, &e) == 0)
			return 0;
	} else {
		for (size_t i = 0; i < ARRAY_SIZE(actions); i++) {
			if (strcmp(actions[i].name, a.action))
				continue;
			if (actions[i].fn(&a, &e) == 0)
				return 0;
			break;
		}
		if (!e.msg[0])
			err_set(&e, 0, "unknown action %s", a.action);
	}
	fprintf(stderr, "%s: %s\n", argv[0], e.msg);
	return 1;
}
