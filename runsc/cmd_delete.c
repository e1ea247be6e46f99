/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_delete.c - `runsc delete`: remove a container, whatever is left of it
 */
#include "runsc/cmd.h"

struct delete_opts {
	bool force;
};

static const struct opt opts[] = {
	{ "force", 'f', OPT_BOOL, offsetof(struct delete_opts, force), "kill it first; no error when there is none" },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct delete_opts *opt = o;
	int ret = 0;

	for (int i = 0; i < argc && ret == 0; i++)
		ret = lc_delete_id(f, argv[i], opt->force, e);
	return ret;
}

const struct cmd cmd_delete = {
	.name = "delete", .usage = "[options] ID...", .help = "remove a container", .opts = opts,
	.opts_size = sizeof(struct delete_opts), .min_args = 1, .max_args = -1, .run = run,
};
