/* SPDX-License-Identifier: Apache-2.0
 * gofer/main.c - `runsc gofer`: from the command line (mounts.h) to serving, step by step
 *
 * Model:   an array of named steps; each may need what the ones before it still allowed. After the last one
 *          the main thread is the container's init (init.h) and the others serve 9P.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "gofer/confine.h"
#include "gofer/init.h"
#include "gofer/mounts.h"
#include "mains.h"

enum { FD_9P = 3, FD_LOG = 4, FD_INIT = 5, FD_SYNC = 6, FD_FREE = 7 };

#define NOFILE_WANTED (1u << 20)

struct gofer {
	struct gofer_mount *mounts;
	struct gofer_root *roots;
	unsigned nr_mounts, threads, policy;
	bool own_mount_ns, no_init, debug;
	enum log_format log_format;

	struct gofer_server srv;
	struct gofer_conn *conn;
	struct gofer_threads *running;
	int sigfd, procfd, nullfd;
};

/* ---- command line ------------------------------------------------------------------------------- */

enum opt { OPT_MOUNT = 1, OPT_LOG_FORMAT, OPT_DEBUG, OPT_THREADS, OPT_ID, OPT_UDS, OPT_FIFO, OPT_OWN_NS, OPT_NO_INIT };

static const struct option options[] = {
	{ "mount", required_argument, NULL, OPT_MOUNT },
	{ "log-format", required_argument, NULL, OPT_LOG_FORMAT },
	{ "debug", no_argument, NULL, OPT_DEBUG },
	{ "threads", required_argument, NULL, OPT_THREADS },
	{ "id", required_argument, NULL, OPT_ID },
	{ "host-uds", required_argument, NULL, OPT_UDS },
	{ "host-fifo", required_argument, NULL, OPT_FIFO },
	{ "own-mount-ns", no_argument, NULL, OPT_OWN_NS },
	{ "no-init", no_argument, NULL, OPT_NO_INIT },
	{ 0 },
};

static const struct {
	int opt;
	const char *word;
	unsigned policy;
} policies[] = {
	{ OPT_UDS, "none", 0 },
	{ OPT_UDS, "open", GOFER_UDS_OPEN },
	{ OPT_UDS, "create", GOFER_UDS_CREATE },
	{ OPT_UDS, "all", GOFER_UDS_OPEN | GOFER_UDS_CREATE },
	{ OPT_FIFO, "none", 0 },
	{ OPT_FIFO, "open", GOFER_FIFO_OPEN },
};

static int set_policy(struct gofer *g, int opt, const char *word, struct err *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(policies); i++) {
		if (policies[i].opt == opt && !strcmp(policies[i].word, word)) {
			g->policy |= policies[i].policy;
			return 0;
		}
	}
	return err_set(e, EINVAL, "gofer: unknown policy \"%s\"", word);
}

static int set_option(struct gofer *g, int opt, const char *arg, struct err *e)
{
	switch ((enum opt)opt) {
	case OPT_MOUNT:
		if (g->nr_mounts == GOFER_MOUNTS_MAX)
			return err_set(e, E2BIG, "gofer: more than %d mounts", GOFER_MOUNTS_MAX);
		return gofer_mount_parse(arg, &g->mounts[g->nr_mounts++], e);
	case OPT_LOG_FORMAT:
		g->log_format = !strcmp(arg, "json") ? LOG_FMT_JSON : LOG_FMT_TEXT;
		return 0;
	case OPT_DEBUG:
		g->debug = true;
		return 0;
	case OPT_THREADS:
		g->threads = (unsigned)strtoul(arg, NULL, 10);
		return 0;
	case OPT_UDS:
	case OPT_FIFO:
		return set_policy(g, opt, arg, e);
	case OPT_OWN_NS:
		g->own_mount_ns = true;
		return 0;
	case OPT_NO_INIT:
		g->no_init = true;
		return 0;
	case OPT_ID:
		return 0;
	}
	return err_set(e, EINVAL, "gofer: unknown option");
}

static int parse_args(struct gofer *g, int argc, char **argv, struct err *e)
{
	int opt;

	g->threads = GOFER_THREADS;
	g->mounts = calloc((size_t)argc + 1, sizeof(*g->mounts));
	g->roots = calloc((size_t)argc + 1, sizeof(*g->roots));
	if (!g->mounts || !g->roots)
		return err_set(e, ENOMEM, "out of memory");
	optind = 1;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1)
		if (set_option(g, opt, optarg, e))
			return -1;
	if (optind != argc || !g->nr_mounts)
		return err_set(e, EINVAL, "gofer: %s", g->nr_mounts ? "too many arguments" : "no --mount");
	return 0;
}

/* ---- steps ------------------------------------------------------------------------------------------ */

/* Only what mounts.h names may have been inherited. */
static int step_descriptors(struct gofer *g, struct err *e)
{
	unsigned from = FD_FREE;

	if (fcntl(FD_9P, F_GETFD) < 0)
		return err_sys(e, "9P socket (descriptor %d)", FD_9P);
	for (;;) { /* close the gaps between the mounts' descriptors, lowest first */
		unsigned next = UINT32_MAX;

		for (unsigned i = 0; i < g->nr_mounts; i++)
			if (g->mounts[i].fd >= (int)from && (unsigned)g->mounts[i].fd < next)
				next = (unsigned)g->mounts[i].fd;
		if (next > from && close_range(from, next == UINT32_MAX ? next : next - 1, 0))
			return err_sys(e, "close_range");
		if (next == UINT32_MAX)
			break;
		from = next + 1;
	}
	g->nullfd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return g->nullfd < 0 ? err_sys(e, "open /dev/null") : 0;
}

/* Two malloc arenas: the threads allocate little, and an unlimited number makes glibc look for the CPUs in /sys. */
static int step_limits(struct gofer *g, struct err *e)
{
	struct rlimit now, want = { NOFILE_WANTED, NOFILE_WANTED };

	mallopt(M_ARENA_MAX, 2);
	prctl(PR_SET_NAME, "runsc-gofer", 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &now))
		return err_sys(e, "getrlimit");
	want.rlim_max = MAX(want.rlim_max, now.rlim_max);
	want.rlim_cur = want.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &want)) { /* may not raise it: then what there is */
		now.rlim_cur = now.rlim_max;
		setrlimit(RLIMIT_NOFILE, &now);
	}
	return 0;
}

static int step_signals(struct gofer *g, struct err *e)
{
	g->sigfd = init_block_signals(e);
	return g->sigfd < 0 ? -1 : 0;
}

static int step_mounts(struct gofer *g, struct err *e)
{
	return gofer_mounts_build(g->mounts, g->nr_mounts, g->own_mount_ns, g->roots, &g->procfd, e);
}

static int step_server(struct gofer *g, struct err *e)
{
	g->srv = (struct gofer_server){ .roots = g->roots, .nr_roots = g->nr_mounts, .policy = g->policy };
	if (gofer_server_init(g->procfd, e))
		return -1;
	close(TAKE_FD(g->procfd));
	g->conn = gofer_conn_new(&g->srv);
	return g->conn ? 0 : err_set(e, ENOMEM, "out of memory");
}

static int step_privileges(struct gofer *g, struct err *e)
{
	return gofer_drop_privileges(e);
}

/* Threads exist before the filter, which has no clone; they serve when everything is in place. */
static int step_threads(struct gofer *g, struct err *e)
{
	g->running = gofer_conn_start(g->conn, FD_9P, g->threads, e);
	return g->running ? 0 : -1;
}

static int step_stdio(struct gofer *g, struct err *e)
{
	for (int fd = 0; fd <= 2; fd++)
		if (dup2(g->nullfd, fd) < 0)
			return err_sys(e, "dup2");
	close(TAKE_FD(g->nullfd));
	return 0;
}

static int step_seccomp(struct gofer *g, struct err *e)
{
	return gofer_seccomp(g->policy, e);
}

static const struct {
	const char *what;
	int (*run)(struct gofer *g, struct err *e);
} steps[] = {
	{ "descriptors", step_descriptors }, { "limits", step_limits },	    { "signals", step_signals },
	{ "mounts", step_mounts },	     { "server", step_server },	    { "privileges", step_privileges },
	{ "threads", step_threads },	     { "stdio", step_stdio },	    { "seccomp", step_seccomp },
};

static void tell(const struct err *e)
{
	char line[sizeof(e->msg) + 16];
	int n = snprintf(line, sizeof(line), "%s%s%s", e ? "E" : "R", e ? e->msg : "", e ? "\n" : "");

	if (write(FD_SYNC, line, (size_t)n) < 0)
		errno = 0; /* nobody waits */
	close(FD_SYNC);
}

/* `runsc gofer --list-host-calls`: the filter's table as Markdown, for the README. */
static int list_host_calls(void)
{
	struct buf rows = { 0 };
	unsigned n = gofer_hostcalls_list(0, &rows);
	char *save = NULL;

	printf("| Gofer | why |\n|---|---|\n");
	for (char *l = rows.data ? strtok_r(rows.data, "\n", &save) : NULL; l; l = strtok_r(NULL, "\n", &save)) {
		char *why = strchr(l, '\t');

		if (why)
			printf("| %.*s | %s |\n", (int)(why - l), l, why + 1);
	}
	printf("\n%u calls.\n", n);
	buf_fini(&rows);
	return 0;
}

int gofer_main(int argc, char **argv)
{
	struct gofer g = { .sigfd = -1, .procfd = -1, .nullfd = -1 };
	struct err e = ERR_INIT;
	int ret;

	if (argc > 1 && !strcmp(argv[argc - 1], "--list-host-calls"))
		return list_host_calls();
	ret = parse_args(&g, argc, argv, &e);
	log_setup(fcntl(FD_LOG, F_GETFD) < 0 ? -1 : FD_LOG, g.log_format, g.debug ? LOG_LV_DEBUG : LOG_LV_INFO,
		  "gofer");
	for (size_t i = 0; !ret && i < ARRAY_SIZE(steps); i++) {
		ret = steps[i].run(&g, &e);
		if (ret)
			err_wrap(&e, "gofer: %s", steps[i].what);
	}
	if (ret) {
		log_error("%s", e.msg);
		dprintf(2, "runsc: %s\n", e.msg);
		tell(&e);
		_exit(1);
	}
	tell(NULL);
	gofer_conn_go(g.running);
	if (g.no_init) {
		gofer_conn_join(g.running);
		_exit(0);
	}
	_exit(init_loop(FD_INIT, g.sigfd));
}
