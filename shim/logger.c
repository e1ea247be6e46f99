/* SPDX-License-Identifier: Apache-2.0
 * shim/logger.c - binary:// and binary-v2://: a program that takes the output
 *
 * Source: containerd docs/logging: descriptors 3 stdout, 4 stderr, 5 ready; environment CONTAINER_ID,
 *         CONTAINER_NAMESPACE; arguments k v for each k=v of the query.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/log.h"
#include "shim/stdio.h"

#define READY_MAX_MS   30000
#define EOF_GRACE_NS   (2 * NSEC_PER_SEC)  /* to end by itself once its input has ended */
#define TERM_GRACE_NS  (12 * NSEC_PER_SEC) /* between SIGTERM and SIGKILL */

extern char **environ;

struct logger {
	pid_t pid;
	int pidfd;
	bool termed;
	struct evloop *loop;
	struct ev_source exit;
	struct ev_timer timer;
};

/* The ready pipe: v1 is ready at its end, v2 says so by a byte. */
static int wait_ready(int fd, bool v2, struct err *e)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	ssize_t n;
	char c;
	int ret;

	do
		ret = poll(&p, 1, READY_MAX_MS);
	while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return err_set(e, ETIMEDOUT, "logging binary did not get ready in %d s", READY_MAX_MS / 1000);
	n = read(fd, &c, 1);
	if (n < 0)
		return err_sys(e, "read from the logging binary");
	if (v2 && n != 1)
		return err_set(e, EIO, "logging binary ended before it was ready");
	return 0;
}

static int spawn(struct logger *l, const struct stdio_uri *u, const char *ns, const char *id, const int fds[3],
		 struct err *e)
{
	posix_spawn_file_actions_t fa;
	AUTO_FREE char **argv = calloc(2 * u->nr_query + 2, sizeof(*argv));
	AUTO_FREE char **env = NULL;
	char id_env[1100], ns_env[300];
	size_t nr_env = 0;
	int ret;

	while (environ[nr_env])
		nr_env++;
	env = calloc(nr_env + 3, sizeof(*env));
	if (!argv || !env)
		return err_set(e, ENOMEM, "out of memory");
	argv[0] = u->path;
	for (size_t i = 0, n = 1; i < 2 * u->nr_query; i++)
		if (u->query[i][0])
			argv[n++] = u->query[i];
	memcpy(env, environ, nr_env * sizeof(*env));
	snprintf(id_env, sizeof(id_env), "CONTAINER_ID=%s", id);
	snprintf(ns_env, sizeof(ns_env), "CONTAINER_NAMESPACE=%s", ns);
	env[nr_env] = id_env;
	env[nr_env + 1] = ns_env;
	posix_spawn_file_actions_init(&fa);
	/* all three lie above 5 (see logger_start), so no step overwrites a later source */
	for (int i = 0; i < 3; i++)
		posix_spawn_file_actions_adddup2(&fa, fds[i], 3 + i);
	posix_spawn_file_actions_addclosefrom_np(&fa, 6);
	ret = posix_spawn(&l->pid, u->path, &fa, NULL, argv, env);
	posix_spawn_file_actions_destroy(&fa);
	if (ret) {
		errno = ret;
		return err_sys(e, "run logging binary %s", u->path);
	}
	return 0;
}

static int high_pipe(int p[2])
{
	int lo[2];

	if (pipe2(lo, O_CLOEXEC) < 0)
		return -1;
	p[0] = fcntl(lo[0], F_DUPFD_CLOEXEC, 10);
	p[1] = fcntl(lo[1], F_DUPFD_CLOEXEC, 10);
	close(lo[0]);
	close(lo[1]);
	return p[0] < 0 || p[1] < 0 ? -1 : 0;
}

struct logger *logger_start(const struct stdio_uri *u, const char *ns, const char *id, int out_fds[2],
			    struct err *e)
{
	struct logger *l = calloc(1, sizeof(*l));
	int p[3][2] = { { -1, -1 }, { -1, -1 }, { -1, -1 } }, ret = 0;

	if (!l) {
		err_set(e, ENOMEM, "out of memory");
		return NULL;
	}
	l->pidfd = l->exit.fd = -1;
	for (int i = 0; i < 3 && ret == 0; i++)
		if (high_pipe(p[i]) < 0)
			ret = err_sys(e, "pipe for the logging binary");
	if (ret == 0) {
		int fds[3] = { p[0][0], p[1][0], p[2][1] };

		ret = spawn(l, u, ns, id, fds, e);
	}
	if (ret == 0) {
		close(TAKE_FD(p[2][1]));
		ret = wait_ready(p[2][0], u->scheme == STDIO_BINARY_V2, e);
		l->pidfd = (int)syscall(SYS_pidfd_open, l->pid, 0);
		if (ret < 0) {
			kill(l->pid, SIGKILL);
			waitpid(l->pid, NULL, 0);
		}
	}
	if (ret == 0) {
		out_fds[0] = TAKE_FD(p[0][1]);
		out_fds[1] = TAKE_FD(p[1][1]);
	} else {
		if (l->pidfd >= 0)
			close(l->pidfd);
		free(l);
		l = NULL;
	}
	for (int i = 0; i < 6; i++)
		if (p[i / 2][i % 2] >= 0)
			close(p[i / 2][i % 2]);
	return l;
}

static void logger_gone(struct ev_source *src, uint32_t events)
{
	struct logger *l = container_of(src, struct logger, exit);

	evloop_del(src);
	evloop_timer_cancel(l->loop, &l->timer);
	waitpid(l->pid, NULL, WNOHANG);
	close(l->pidfd);
	free(l);
}

static void logger_timer(struct ev_timer *t)
{
	struct logger *l = container_of(t, struct logger, timer);

	syscall(SYS_pidfd_send_signal, l->pidfd, l->termed ? SIGKILL : SIGTERM, NULL, 0);
	if (!l->termed)
		evloop_timer_set(l->loop, t, evloop_now_ns() + TERM_GRACE_NS);
	l->termed = true;
}

void logger_stop(struct evloop *loop, struct logger *l)
{
	if (!l)
		return;
	l->loop = loop;
	l->timer.fn = logger_timer;
	evloop_timer_set(loop, &l->timer, evloop_now_ns() + EOF_GRACE_NS);
	if (l->pidfd < 0 || evloop_add(loop, &l->exit, l->pidfd, EPOLLIN, logger_gone) < 0)
		log_warn("logging binary %d cannot be watched", l->pid);
}
