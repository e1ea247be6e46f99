/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_wait.c - `runsc wait`: until a process has ended
 */
#include <stdio.h>

#include "runsc/cmd.h"

struct wait_opts {
	int pid, rootpid;
};

static const struct opt opts[] = {
	{ "pid", 0, OPT_INT, offsetof(struct wait_opts, pid), "a process by its pid inside" },
	{ "rootpid", 0, OPT_INT, offsetof(struct wait_opts, rootpid), "the same" },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct wait_opts *opt = o;
	struct lc_container *c;
	struct lc_exit x;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	ret = lc_wait(c, NULL, opt->pid ? opt->pid : opt->rootpid, &x, e);
	if (ret == 0)
		printf("{\"id\":\"%s\",\"exitStatus\":%d}\n", argv[0], x.status);
	lc_free(c);
	return ret;
}

const struct cmd cmd_wait = {
	.name = "wait", .usage = "[options] ID", .help = "wait for the end and print the exit status", .opts = opts,
	.opts_size = sizeof(struct wait_opts), .min_args = 1, .max_args = 1, .run = run,
};
