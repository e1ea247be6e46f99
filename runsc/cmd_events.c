/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_events.c - `runsc events`: figures of a container, once or again and again
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "runsc/cmd.h"

struct events_opts {
	bool stats;
	const char *interval;
};

static const struct opt opts[] = {
	{ "stats", 0, OPT_BOOL, offsetof(struct events_opts, stats), "one object, then end" },
	{ "interval", 'i', OPT_STR, offsetof(struct events_opts, interval), "time between two, default 5s" },
	OPT_END,
};

/* "5s", "500ms", "1m", "5" */
static long interval_ms(const char *s)
{
	char *end;
	double v = s ? strtod(s, &end) : 5;

	if (!s)
		return 5000;
	if (end == s || v <= 0 || v > 1e6)
		return -1;
	return (long)(v * (*end == 'm' && end[1] == 's' ? 1 : *end == 'm' ? 60000 : 1000));
}

static int print(struct lc_container *c, struct err *e)
{
	struct buf b = { 0 };
	int ret = lc_stats_json(c, &b, e);

	if (ret == 0) {
		fwrite(b.data, 1, b.len, stdout);
		fflush(stdout);
	}
	buf_fini(&b);
	return ret;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct events_opts *opt = o;
	long ms = interval_ms(opt->interval);
	struct lc_container *c;
	int ret;

	if (ms <= 0)
		return err_set(e, EINVAL, "duration interval must be greater than 0");
	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	while ((ret = print(c, e)) == 0 && !opt->stats) {
		struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

		nanosleep(&ts, NULL);
		if (lc_status(c) == LC_STOPPED)
			break;
	}
	lc_free(c);
	return ret;
}

const struct cmd cmd_events = {
	.name = "events", .usage = "[options] ID", .help = "print resource usage as JSON", .opts = opts,
	.opts_size = sizeof(struct events_opts), .min_args = 1, .max_args = 1, .run = run,
};
