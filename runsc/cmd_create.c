/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_create.c - `runsc create`: a container that is ready to start
 */
#include "runsc/cmd.h"

struct create_opts {
	const char *bundle, *console_socket, *pid_file, *user_log;
	int preserve_fds;
	struct str_list pass;
};

#define O(m) offsetof(struct create_opts, m)
static const struct opt opts[] = {
	{ "bundle", 'b', OPT_STR, O(bundle), "directory with config.json, default \".\"" },
	{ "console-socket", 0, OPT_STR, O(console_socket), "AF_UNIX socket that gets the terminal" },
	{ "pid-file", 0, OPT_STR, O(pid_file), "file for the pid of the container" },
	{ "preserve-fds", 0, OPT_INT, O(preserve_fds), "pass this many descriptors from 3 on" },
	{ "pass-fd", 0, OPT_LIST, O(pass), "HOST_FD:GUEST_FD, a descriptor to pass" },
	{ "no-pivot", 0, OPT_NOP_BOOL, 0, NULL },
	{ "no-new-keyring", 0, OPT_NOP_BOOL, 0, NULL },
	{ "user-log", 0, OPT_STR, O(user_log), "file for what the user of the container may want to know" },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct create_opts *opt = o;
	struct passed_fds fds;
	struct lc_create_args a = {
		.id = argv[0],
		.bundle = opt->bundle,
		.console_socket = opt->console_socket,
		.pid_file = opt->pid_file,
		.user_log = opt->user_log,
		.pass_fds = fds.fd,
		.pass_as = fds.as,
	};
	struct lc_container *c;

	if (passed_fds(opt->preserve_fds, &opt->pass, &fds, e) < 0)
		return -1;
	a.nr_pass_fds = fds.n;
	a.listen_fds = fds.listen;
	stdio_mine(a.stdio);
	if (lc_create(f, &a, &c, e) < 0)
		return -1;
	/* without a console socket nobody could ever use the terminal: runc refuses this, too */
	if (a.out_console >= 0) {
		close(a.out_console);
		lc_delete(c, true, NULL);
		lc_free(c);
		return err_set(e, 0, "cannot allocate tty if runc will detach without setting console socket");
	}
	lc_free(c);
	return 0;
}

const struct cmd cmd_create = {
	.name = "create", .usage = "[options] ID", .help = "create a container", .opts = opts,
	.opts_size = sizeof(struct create_opts), .min_args = 1, .max_args = 1, .run = run,
};
