/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_kill.c - `runsc kill`: send a signal
 */
#include <errno.h>
#include <signal.h>

#include "runsc/cmd.h"

struct kill_opts {
	bool all;
	int pid;
};

static const struct opt opts[] = {
	{ "all", 'a', OPT_BOOL, offsetof(struct kill_opts, all), "every process of the container" },
	{ "pid", 'p', OPT_INT, offsetof(struct kill_opts, pid), "a process by its pid inside" },
	OPT_END,
};

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct kill_opts *opt = o;
	int signo = argc > 1 ? lc_signal_number(argv[1]) : SIGTERM, ret;
	struct lc_container *c;

	if (signo < 0)
		return err_set(e, EINVAL, "unknown signal \"%s\"", argv[1]);
	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	ret = opt->pid ? lc_signal_pid(c, opt->pid, signo, e) :
			 lc_signal(c, NULL, signo, opt->all ? LC_SIG_ALL : LC_SIG_PROCESS, e);
	/* nobody left to signal is what --all wanted */
	if (ret < 0 && opt->all && e->code == ESRCH)
		ret = 0;
	lc_free(c);
	return ret;
}

const struct cmd cmd_kill = {
	.name = "kill", .usage = "[options] ID [SIGNAL]", .help = "send a signal, by name or number", .opts = opts,
	.opts_size = sizeof(struct kill_opts), .min_args = 1, .max_args = 2, .run = run,
};
