/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_do.c - `runsc do`: one program on the host's own files, in a sandbox
 */
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>

#include "runsc/cmd.h"
#include "runsc/spec_template.h"

struct do_opts {
	const char *root, *cwd;
	bool quiet;
	struct str_list volumes;
};

static const struct opt opts[] = {
	{ "root", 0, OPT_STR, offsetof(struct do_opts, root), "root file system, default /" },
	{ "cwd", 0, OPT_STR, offsetof(struct do_opts, cwd), "working directory, default ours" },
	{ "volume", 'v', OPT_LIST, offsetof(struct do_opts, volumes), "source:destination[:ro]" },
	{ "quiet", 0, OPT_NOP_BOOL, 0, NULL },
	{ "force-overlay", 0, OPT_NOP_BOOL, 0, NULL },
	{ "ip", 0, OPT_NOP_STR, 0, NULL },
	{ "uid-map", 0, OPT_NOP_STR, 0, NULL },
	{ "gid-map", 0, OPT_NOP_STR, 0, NULL },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct do_opts *opt = o;
	AUTO_FREE char *here = opt->cwd || opt->root ? NULL : getcwd(NULL, 0);
	struct spec_template t = {
		.argv = argv, .cwd = opt->cwd ? opt->cwd : here, .rootfs = opt->root ? opt->root : "/",
		.terminal = isatty(0) && isatty(1), .env = environ, .binds = opt->volumes.v,
	};
	AUTO_FREE char *text = spec_template_text(&t);
	char id[64];
	struct lc_create_args a = { .id = id, .bundle = "/", .config_json = text, .attached = true };
	struct foreground fg = { .chan = -1 };
	struct lc_container *c;
	int status;

	if (!text)
		return err_set(e, EINVAL, "do: a volume is source:destination[:ro]");
	snprintf(id, sizeof(id), "runsc-do-%d", (int)getpid());
	stdio_mine(a.stdio);
	terminal_size(&a.rows, &a.cols);
	if (lc_create(f, &a, &c, e) < 0)
		return -1;
	fg.c = c;
	fg.pid = lc_pid(c);
	fg.console = a.out_console;
	fg.pidfd = (int)syscall(SYS_pidfd_open, fg.pid, 0);
	status = foreground_begin(e) < 0 || lc_start(c, e) < 0 ? -1 : foreground_run(&fg, e);
	lc_reap(c);
	lc_delete(c, true, NULL);
	lc_free(c);
	return status;
}

const struct cmd cmd_do = {
	.name = "do", .usage = "[options] PROGRAM [arguments]", .help = "run a program on the host's files", .opts = opts,
	.opts_size = sizeof(struct do_opts), .min_args = 1, .max_args = -1, .stop_at_args = true, .rootless = true, .run = run,
};
