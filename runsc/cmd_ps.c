/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_ps.c - `runsc ps`: the processes of a container
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runsc/cmd.h"

struct ps_opts {
	const char *format;
};

static const struct opt opts[] = {
	{ "format", 'f', OPT_STR, offsetof(struct ps_opts, format), "table (as inside) or json (pids of the host)" },
	OPT_END,
};

static int print_pids(struct lc_container *c, struct err *e)
{
	pid_t *v;
	size_t n;

	if (lc_host_pids(c, &v, &n, e) < 0)
		return -1;
	putchar('[');
	for (size_t i = 0; i < n; i++)
		printf("%s%d", i ? "," : "", (int)v[i]);
	puts("]");
	free(v);
	return 0;
}

static void start_text(uint64_t ns, char out[16])
{
	time_t t = (time_t)(ns / NSEC_PER_SEC), now = time(NULL);
	struct tm tm;

	localtime_r(&t, &tm);
	strftime(out, 16, now - t < 86400 ? "%H:%M" : "%b%d", &tm);
}

static int print_table(struct lc_container *c, struct err *e)
{
	struct lc_process *p;
	size_t n;

	if (lc_processes(c, &p, &n, e) < 0)
		return -1;
	printf("%-10s %-10s %-10s %-3s %-6s %-6s %-9s %s\n", "UID", "PID", "PPID", "C", "TTY", "STIME", "TIME", "CMD");
	for (size_t i = 0; i < n; i++) {
		uint64_t s = p[i].cpu_ns / NSEC_PER_SEC;
		char when[16];

		start_text(p[i].start_ns, when);
		printf("%-10u %-10d %-10d %-3d %-6s %-6s %02llu:%02llu:%02llu  %s\n", p[i].uid, (int)p[i].pid, (int)p[i].ppid, 0,
		       p[i].tty[0] ? p[i].tty : "?", when, (unsigned long long)(s / 3600),
		       (unsigned long long)(s / 60 % 60), (unsigned long long)(s % 60), p[i].command ? p[i].command : "");
	}
	lc_processes_free(p, n);
	return 0;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct ps_opts *opt = o;
	struct lc_container *c;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	if (!opt->format || strcmp(opt->format, "table") == 0)
		ret = print_table(c, e);
	else if (strcmp(opt->format, "json") == 0)
		ret = print_pids(c, e);
	else
		ret = err_set(e, EINVAL, "invalid format option: %s", opt->format);
	lc_free(c);
	return ret;
}

const struct cmd cmd_ps = {
	.name = "ps", .usage = "[options] ID", .help = "list the processes of a container", .opts = opts,
	.opts_size = sizeof(struct ps_opts), .min_args = 1, .max_args = -1, .run = run,
};
