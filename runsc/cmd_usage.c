/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_usage.c - `runsc usage`, `runsc syscalls`: memory of a container; the calls that the Sentry has
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mains.h"
#include "runsc/cmd.h"

struct usage_opts {
	bool full;
};

static const struct opt usage_options[] = {
	{ "full", 0, OPT_BOOL, offsetof(struct usage_opts, full), "the parts, not only their sum" },
	{ "fd", 0, OPT_NOP_BOOL, 0, NULL },
	OPT_END,
};

static int run_usage(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct usage_opts *opt = o;
	struct lc_container *c;
	struct lc_stats s;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	ret = lc_stats(c, &s, e);
	lc_free(c);
	if (ret < 0)
		return -1;
	printf("{");
	if (opt->full)
		printf("\"Anonymous\": %" PRIu64 ", \"PageCache\": %" PRIu64 ", \"Unknown\": %" PRIu64 ", ", s.mem_rss, s.mem_cache,
		       s.mem_usage - MIN(s.mem_rss + s.mem_cache, s.mem_usage));
	printf("\"Total\": %" PRIu64 "}\n", s.mem_usage);
	lc_stats_fini(&s);
	return 0;
}

const struct cmd cmd_usage = {
	.name = "usage", .usage = "[options] ID", .help = "memory that a container uses, as JSON", .opts = usage_options,
	.opts_size = sizeof(struct usage_opts), .min_args = 1, .max_args = 1, .run = run_usage,
};

struct syscalls_opts {
	const char *format;
};

static const struct opt syscalls_options[] = {
	{ "format", 'f', OPT_STR, offsetof(struct syscalls_opts, format), "table (default) or csv" },
	OPT_END,
};

static int run_syscalls(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct syscalls_opts *opt = o;
	bool csv = opt->format && strcmp(opt->format, "csv") == 0;
	char *args[] = { (char *)"boot", csv ? (char *)"--list-syscalls=csv" : (char *)"--list-syscalls", NULL };

	if (opt->format && !csv && strcmp(opt->format, "table"))
		return err_set(e, EINVAL, "syscalls: format \"%s\" is neither table nor csv", opt->format);
	return sentry_main(2, args);
}

const struct cmd cmd_syscalls = {
	.name = "syscalls", .usage = "[options]", .help = "list the system calls that programs inside can make", .opts = syscalls_options,
	.opts_size = sizeof(struct syscalls_opts), .min_args = 0, .max_args = 0, .run = run_syscalls,
};
