/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_debug.c - `runsc debug`: looking into a sandbox, and changing what it logs
 *
 * Model:   options that change something are done first; what is to be shown follows. Without any, everything is shown.
 * Source:  the peer's option names where it has the same thing.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "runsc/cmd.h"

struct debug_opts {
	bool stacks, ps;
	const char *show, *strace, *log_level;
	int signal;
};

#define O(m) offsetof(struct debug_opts, m)
static const struct opt options[] = {
	{ "show", 0, OPT_STR, O(show), "dmesg, counters, syscalls, tasks or metrics; default all but metrics" },
	{ "stacks", 0, OPT_BOOL, O(stacks), "threads and the calls they wait in, as --show=tasks" },
	{ "ps", 0, OPT_BOOL, O(ps), "the same" },
	{ "strace", 0, OPT_STR, O(strace), "off, all, or names of calls with commas: what goes to the debug log" },
	{ "log-level", 0, OPT_STR, O(log_level), "debug, or info: what else goes there" },
	{ "signal", 0, OPT_INT, O(signal), "signal for the Sentry's own process on the host" },
	OPT_END,
};

static int level_of(const char *s)
{
	static const struct {
		const char *name;
		int on;
	} levels[] = { { "debug", 1 }, { "2", 1 }, { "info", -1 }, { "1", -1 }, { "warning", -1 }, { "0", -1 } };

	for (size_t i = 0; i < ARRAY_SIZE(levels); i++)
		if (strcmp(levels[i].name, s) == 0)
			return levels[i].on;
	return 0;
}

static int change(struct lc_container *c, const struct debug_opts *opt, struct err *e)
{
	int level = opt->log_level ? level_of(opt->log_level) : 0, trace = 0;
	const char *calls = NULL;

	if (opt->log_level && !level)
		return err_set(e, EINVAL, "debug: --log-level: \"%s\" is not one of debug, info, warning", opt->log_level);
	if (opt->strace) {
		trace = strcmp(opt->strace, "off") ? 1 : -1;
		calls = trace > 0 && strcmp(opt->strace, "all") ? opt->strace : NULL;
	}
	if (opt->signal > 0 && kill(lc_sandbox_pid(c), opt->signal) < 0)
		return err_sys(e, "debug: signal %d", opt->signal);
	return trace || level ? lc_debug_set(c, trace, calls, level, e) : 0;
}

static int show(struct lc_container *c, const char *what, struct err *e)
{
	struct buf b = { 0 };
	int ret = lc_debug(c, what, &b, e);

	if (ret == 0 && b.len)
		fwrite(b.data, 1, b.len, stdout);
	buf_fini(&b);
	return ret;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct debug_opts *opt = o;
	bool changes = opt->strace || opt->log_level || opt->signal > 0;
	const char *what = opt->stacks || opt->ps ? "tasks" : opt->show;
	struct lc_container *c;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	ret = lc_status(c) == LC_STOPPED ? err_set(e, ESRCH, "container not running") : change(c, opt, e);
	if (ret == 0 && (what || !changes))
		ret = show(c, what, e);
	lc_free(c);
	return ret;
}

const struct cmd cmd_debug = {
	.name = "debug", .usage = "[options] ID", .help = "what the sandbox says about itself", .opts = options,
	.opts_size = sizeof(struct debug_opts), .min_args = 1, .max_args = 1, .run = run,
};
