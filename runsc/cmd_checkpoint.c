/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_checkpoint.c - `runsc checkpoint`, `runsc restore`: saving and restoring a sandbox
 */
#include <errno.h>

#include "runsc/cmd.h"

struct checkpoint_opts {
	const char *image_path, *work_path;
};

static const struct opt opts[] = {
	{ "image-path", 0, OPT_STR, offsetof(struct checkpoint_opts, image_path), "directory of the image" },
	{ "work-path", 0, OPT_STR, offsetof(struct checkpoint_opts, work_path), NULL },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	return err_set(e, ENOSYS, "checkpoint and restore are not supported");
}

const struct cmd cmd_checkpoint = {
	.name = "checkpoint", .usage = "[options] ID", .help = "save a container", .opts = opts, .hidden = true,
	.opts_size = sizeof(struct checkpoint_opts), .min_args = 1, .max_args = 1, .run = run,
};

const struct cmd cmd_restore = {
	.name = "restore", .usage = "[options] ID", .help = "restore a container", .opts = opts, .hidden = true,
	.opts_size = sizeof(struct checkpoint_opts), .min_args = 1, .max_args = 1, .run = run,
};
