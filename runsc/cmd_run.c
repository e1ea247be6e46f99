/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_run.c - `runsc run`: create, start, and stay until the end
 */
#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>

#include "runsc/cmd.h"

struct run_opts {
	const char *bundle, *console_socket, *pid_file, *user_log;
	bool detach, keep;
	int preserve_fds;
	struct str_list pass;
};

#define O(m) offsetof(struct run_opts, m)
static const struct opt opts[] = {
	{ "bundle", 'b', OPT_STR, O(bundle), "directory with config.json, default \".\"" },
	{ "console-socket", 0, OPT_STR, O(console_socket), "AF_UNIX socket that gets the terminal" },
	{ "pid-file", 0, OPT_STR, O(pid_file), "file for the pid of the container" },
	{ "detach", 'd', OPT_BOOL, O(detach), "return when the program runs" },
	{ "keep", 0, OPT_BOOL, O(keep), "do not delete the container at its end" },
	{ "preserve-fds", 0, OPT_INT, O(preserve_fds), "pass this many descriptors from 3 on" },
	{ "pass-fd", 0, OPT_LIST, O(pass), "HOST_FD:GUEST_FD, a descriptor to pass" },
	{ "no-pivot", 0, OPT_NOP_BOOL, 0, NULL },
	{ "no-new-keyring", 0, OPT_NOP_BOOL, 0, NULL },
	{ "no-subreaper", 0, OPT_NOP_BOOL, 0, NULL },
	{ "user-log", 0, OPT_STR, O(user_log), "file for what the user of the container may want to know" },
	OPT_END,
};

static int fail_and_delete(struct lc_container *c, int console)
{
	if (console >= 0)
		close(console);
	lc_delete(c, true, NULL);
	lc_free(c);
	return -1;
}

static int foreground(struct lc_container *c, int console, bool keep, struct err *e)
{
	struct foreground fg = { .c = c, .pid = lc_pid(c), .chan = -1, .console = console };
	struct err del = ERR_INIT;
	int status;

	fg.pidfd = (int)syscall(SYS_pidfd_open, fg.pid, 0);
	if (fg.pidfd < 0) {
		err_sys(e, "watch the container");
		return fail_and_delete(c, console);
	}
	status = foreground_run(&fg, e);
	close(fg.pidfd);
	lc_reap(c);
	if (keep)
		lc_record_exit(c, status, NULL);
	else if (lc_delete(c, true, &del) < 0 && del.code != ENOENT && status >= 0) { /* ENOENT: somebody else was faster */
		*e = del;
		status = -1;
	}
	lc_free(c);
	return status;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct run_opts *opt = o;
	struct passed_fds fds;
	struct lc_create_args a = {
		.id = argv[0],
		.bundle = opt->bundle,
		.console_socket = opt->console_socket,
		.pid_file = opt->pid_file,
		.user_log = opt->user_log,
		.pass_fds = fds.fd,
		.pass_as = fds.as,
		.attached = !opt->detach,
	};
	struct lc_container *c;

	if (passed_fds(opt->preserve_fds, &opt->pass, &fds, e) < 0)
		return -1;
	a.nr_pass_fds = fds.n;
	a.listen_fds = fds.listen;
	stdio_mine(a.stdio);
	terminal_size(&a.rows, &a.cols);
	if (lc_create(f, &a, &c, e) < 0)
		return -1;
	/* from here on a signal is the program's; before, it is ours and ends us */
	if (!opt->detach && foreground_begin(e) < 0)
		return fail_and_delete(c, a.out_console);
	if (a.out_console >= 0 && opt->detach) {
		err_set(e, 0, "cannot allocate tty if runc will detach without setting console socket");
		return fail_and_delete(c, a.out_console);
	}
	if (lc_start(c, e) < 0)
		return fail_and_delete(c, a.out_console);
	if (!opt->detach)
		return foreground(c, a.out_console, opt->keep, e);
	lc_free(c);
	return 0;
}

const struct cmd cmd_run = {
	.name = "run", .usage = "[options] ID", .help = "create and start a container", .opts = opts,
	.opts_size = sizeof(struct run_opts), .min_args = 1, .max_args = 1, .rootless = true, .run = run,
};
