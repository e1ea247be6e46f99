/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_spec.c - `runsc spec`: a config.json to begin with
 */
#include <errno.h>
#include <fcntl.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "base/fdpass.h"
#include "runsc/cmd.h"
#include "runsc/spec_template.h"

struct spec_opts {
	const char *bundle, *cwd, *netns;
};

static const struct opt opts[] = {
	{ "bundle", 'b', OPT_STR, offsetof(struct spec_opts, bundle), "directory to write config.json to" },
	{ "cwd", 0, OPT_STR, offsetof(struct spec_opts, cwd), "working directory of the program" },
	{ "netns", 0, OPT_STR, offsetof(struct spec_opts, netns), "network namespace to join" },
	{ "rootless", 0, OPT_NOP_BOOL, 0, NULL },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct spec_opts *opt = o;
	static char *sh[] = { "sh", NULL };
	struct spec_template t = {
		.argv = argc ? argv : sh, .cwd = opt->cwd, .netns = opt->netns, .rootfs = "rootfs", .terminal = !argc,
		.root_readonly = true,
	};
	AUTO_FREE char *path = NULL, *text = spec_template_text(&t);
	AUTO_CLOSE int fd = -1;
	int ret;

	if (!text || asprintf(&path, "%s/config.json", opt->bundle ? opt->bundle : ".") < 0)
		return err_set(e, ENOMEM, "out of memory");
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0 && errno == EEXIST)
		return err_set(e, EEXIST, "file %s exists: remove it first", path);
	if (fd < 0)
		return err_sys(e, "create %s", path);
	ret = write_full(fd, text, strlen(text));
	errno = -ret;
	return ret < 0 ? err_sys(e, "write %s", path) : 0;
}

const struct cmd cmd_spec = {
	.name = "spec", .usage = "[options] [PROGRAM [arguments]]", .help = "write a config.json to begin with", .opts = opts,
	.opts_size = sizeof(struct spec_opts), .min_args = 0, .max_args = -1, .stop_at_args = true, .run = run,
};
