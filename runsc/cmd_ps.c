/* SPDX-License-Identifier: Apache-2.0
 * runsc/cmd_ps.c - `runsc ps`: the processes of a container
 *
 * Model:   alone it is our own table, with the pids and times that the container sees. With options for ps(1) it is the host's ps
 *          over all processes, of which those lines stay that have a pid of the container's in the column PID, as in runc.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "runsc/cmd.h"
#include "runsc/lib/run_program.h"

#define PS_OUTPUT_MAX (64u << 20) /* the command lines of a whole host */
#define BLANKS	      " \t"

struct ps_opts {
	const char *format;
};

static const struct opt opts[] = {
	{ "format", 'f', OPT_STR, offsetof(struct ps_opts, format), "table (as inside, or as the options for ps(1) say) or json (pids of the host)" },
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

/* Word number @nr of @line, counted from 0; NULL when there are fewer. */
static const char *word_at(const char *line, int nr)
{
	for (line += strspn(line, BLANKS); nr > 0 && *line; nr--) {
		line += strcspn(line, BLANKS);
		line += strspn(line, BLANKS);
	}
	return *line ? line : NULL;
}

static int find_column(const char *head, const char *name)
{
	size_t n = strlen(name);
	const char *w;

	for (int nr = 0; (w = word_at(head, nr)); nr++)
		if (strcspn(w, BLANKS) == n && strncmp(w, name, n) == 0)
			return nr;
	return -1;
}

static bool has_pid(const pid_t *v, size_t n, long pid)
{
	for (size_t i = 0; i < n; i++)
		if (v[i] == pid)
			return true;
	return false;
}

/* The lines of @text, which it cuts up, whose column PID has one of @v. */
static int print_lines(char *text, const pid_t *v, size_t n, struct err *e)
{
	char *rest = text, *head = strsep(&rest, "\n"), *line;
	int column = head ? find_column(head, "PID") : -1;

	if (column < 0)
		return err_set(e, EINVAL, "couldn't find PID field in ps output");
	puts(head);
	while ((line = strsep(&rest, "\n"))) {
		const char *w = word_at(line, column);
		char *end;
		long pid;

		if (!*line)
			continue;
		/* a column before it with blanks in it, such as "Mon Nov 30": which process it is cannot be told */
		pid = w ? strtol(w, &end, 10) : -1;
		if (!w || end == w || (*end && !strchr(BLANKS, *end)))
			return err_set(e, EINVAL, "unexpected pid in ps output: %.*s", w ? (int)strcspn(w, BLANKS) : 0, w ? w : "");
		if (has_pid(v, n, pid))
			puts(line);
	}
	return 0;
}

/* "ps", the selection of @v, the @argc words of @argv, NULL. */
static char **ps_words(const pid_t *v, size_t n, int argc, char **argv, struct buf *list)
{
	char **words = calloc((size_t)argc + 4, sizeof(*words));
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		buf_printf(list, "%s%d", i ? "," : "", (int)v[i]);
	if (!words || list->failed) {
		free(words);
		return NULL;
	}
	words[k++] = (char *)"ps";
	/* Without a selection ps shows those of its own user only (ps(1)), and ours belong to nobody. It is the first option, for
	 * the last of @argv may be one that wants a word; further selections add to it. */
	words[k++] = (char *)"--pid";
	words[k++] = list->data;
	for (int i = 0; i < argc; i++)
		words[k++] = argv[i];
	return words;
}

/* @argv: the options for ps */
static int print_host(struct lc_container *c, int argc, char **argv, struct err *e)
{
	struct buf out = { .max = PS_OUTPUT_MAX }, list = { 0 };
	AUTO_FREE char **words = NULL;
	AUTO_FREE pid_t *v = NULL;
	struct program p = { .path = "ps", .search = true, .output = &out };
	size_t n;
	int ret;

	if (lc_host_pids(c, &v, &n, e) < 0)
		return -1;
	words = ps_words(v, n, argc, argv, &list);
	p.argv = words;
	ret = words ? program_run(&p, e) : err_set(e, ENOMEM, "out of memory");
	if (ret == 0 && out.failed)
		ret = err_set(e, ENOMEM, "ps wrote more than %u bytes", PS_OUTPUT_MAX);
	if (ret == 0)
		ret = print_lines(out.data ? out.data : (char[]){ "" }, v, n, e);
	buf_fini(&out);
	buf_fini(&list);
	return ret;
}

static int run(const struct lc_flags *f, const void *o, int argc, char **argv, struct err *e)
{
	const struct ps_opts *opt = o;
	struct lc_container *c;
	int ret;

	if (lc_load(f, argv[0], &c, e) < 0)
		return -1;
	if (!opt->format || strcmp(opt->format, "table") == 0)
		ret = argc > 1 ? print_host(c, argc - 1, argv + 1, e) : print_table(c, e);
	else if (strcmp(opt->format, "json") == 0)
		ret = print_pids(c, e);
	else
		ret = err_set(e, EINVAL, "invalid format option: %s", opt->format);
	lc_free(c);
	return ret;
}

const struct cmd cmd_ps = {
	.name = "ps", .usage = "[options] ID [ps options]", .help = "list the processes of a container", .opts = opts,
	.opts_size = sizeof(struct ps_opts), .min_args = 1, .max_args = -1, .stop_at_args = true, .run = run,
};
