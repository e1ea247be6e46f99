/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/run_program.c - see run_program.h
 */
#include "runsc/lib/run_program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define OUTPUT_MAX (1u << 20)

struct pipes {
	int in[2], out[2], err[2], report[2];
};

static void close_all(struct pipes *p)
{
	int *fds = (int *)p;

	for (size_t i = 0; i < sizeof(*p) / sizeof(int); i++)
		if (fds[i] >= 0)
			close(TAKE_FD(fds[i]));
}

static void keep(int *fd)
{
	if (*fd >= 0)
		close(TAKE_FD(*fd));
}

/* After fork: only calls that are safe there. */
static void NORETURN child(const struct program *p, const struct pipes *io)
{
	int devnull = open("/dev/null", O_RDWR | O_CLOEXEC), code;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	dup2(io->in[0] >= 0 ? io->in[0] : devnull, 0);
	dup2(io->out[1] >= 0 ? io->out[1] : devnull, 1);
	dup2(io->err[1], 2);
	for (size_t i = 0; i < p->nr_ns; i++)
		if (setns(p->ns_fds[i], p->ns_types ? p->ns_types[i] : 0) < 0)
			goto failed;
	if (p->cwd && chdir(p->cwd) < 0)
		goto failed;
	if (p->search)
		execvpe(p->path, p->argv, p->envp ? p->envp : environ);
	else
		execve(p->path, p->argv, p->envp ? p->envp : environ);
failed:
	code = errno;
	if (write(io->report[1], &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ll + ts.tv_nsec / 1000000;
}

/* One round of a pipe that is readable; closes it at its end. */
static void drain(int *fd, struct buf *b)
{
	char text[4096];
	ssize_t n = read(*fd, text, sizeof(text));

	if (n > 0 && b)
		buf_append(b, text, (size_t)n);
	else if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN))
		keep(fd);
}

/* Feeds and empties the pipes until the program has closed them or the time is up. */
static bool talk(const struct program *p, struct pipes *io, struct buf *err, int64_t deadline)
{
	size_t sent = 0;

	while (io->out[0] >= 0 || io->err[0] >= 0 || io->in[1] >= 0) {
		struct pollfd f[3] = {
			{ .fd = io->out[0], .events = POLLIN },
			{ .fd = io->err[0], .events = POLLIN },
			{ .fd = io->in[1], .events = POLLOUT },
		};
		int64_t left = deadline - now_ms();

		if (deadline && left <= 0)
			return false;
		if (poll(f, 3, deadline ? (int)left : -1) < 0 && errno != EINTR)
			return false;
		if (f[0].revents)
			drain(&io->out[0], p->output);
		if (f[1].revents)
			drain(&io->err[0], err);
		if (f[2].revents) {
			ssize_t n = write(io->in[1], p->input + sent, p->input_len - sent);

			if (n > 0)
				sent += (size_t)n;
			if ((n < 0 && errno != EINTR && errno != EAGAIN) || sent == p->input_len)
				keep(&io->in[1]);
		}
	}
	return true;
}

/* Waits for the end; false when the time was up and it had to be killed. */
static bool reap(pid_t pid, int64_t deadline, int *out_status)
{
	AUTO_CLOSE int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = fd, .events = POLLIN };
	bool in_time = true;
	int n;

	if (deadline && fd >= 0) {
		do
			n = poll(&p, 1, (int)MAX(deadline - now_ms(), (int64_t)0));
		while (n < 0 && errno == EINTR);
		if (n == 0) {
			kill(pid, SIGKILL);
			in_time = false;
		}
	}
	while (waitpid(pid, out_status, 0) < 0)
		if (errno != EINTR) {
			*out_status = 0;
			break;
		}
	return in_time;
}

static int explain(const struct program *p, int status, const struct buf *err, struct err *e)
{
	int n = (int)MIN(err->len, (size_t)1000);

	while (n && (err->data[n - 1] == '\n' || err->data[n - 1] == ' '))
		n--;
	if (WIFSIGNALED(status))
		return err_set(e, EIO, "%s was killed by signal %d%s%.*s", p->path, WTERMSIG(status), n ? ": " : "", n,
			       n ? err->data : "");
	return err_set(e, EIO, "%s: exit status %d%s%.*s", p->path, WEXITSTATUS(status), n ? ": " : "", n,
		       n ? err->data : "");
}

int program_run(const struct program *p, struct err *e)
{
	struct pipes io = { { -1, -1 }, { -1, -1 }, { -1, -1 }, { -1, -1 } };
	int64_t deadline = p->timeout_ms ? now_ms() + p->timeout_ms : 0;
	struct buf err = { .max = OUTPUT_MAX };
	int status = 0, code = 0, ret = -1;
	sigset_t all, old;
	pid_t pid;

	if ((p->input && pipe2(io.in, O_CLOEXEC) < 0) || (p->output && pipe2(io.out, O_CLOEXEC) < 0) ||
	    pipe2(io.err, O_CLOEXEC) < 0 || pipe2(io.report, O_CLOEXEC) < 0) {
		err_sys(e, "run %s: pipe", p->path);
		goto out;
	}
	if (io.in[1] >= 0)
		fcntl(io.in[1], F_SETFL, O_NONBLOCK);
	/* SIGPIPE of a program that does not read its input would end us; it stays pending and is eaten below */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pid = fork();
	if (pid == 0)
		child(p, &io);
	if (pid < 0) {
		err_sys(e, "run %s: fork", p->path);
		goto out_mask;
	}
	keep(&io.in[0]);
	keep(&io.out[1]);
	keep(&io.err[1]);
	keep(&io.report[1]);
	if (read(io.report[0], &code, sizeof(code)) == sizeof(code)) {
		reap(pid, 0, &status);
		errno = code;
		err_sys(e, "run %s", p->path);
		goto out_mask;
	}
	if (!talk(p, &io, &err, deadline))
		kill(pid, SIGKILL);
	if (!reap(pid, deadline, &status) || (deadline && now_ms() >= deadline && WIFSIGNALED(status)))
		err_set(e, ETIMEDOUT, "%s did not end within %d ms", p->path, p->timeout_ms);
	else if (status)
		explain(p, status, &err, e);
	else
		ret = 0;
out_mask:
	if (!sigismember(&old, SIGPIPE)) {
		struct timespec zero = { 0, 0 };
		sigset_t pipe_only;

		sigemptyset(&pipe_only);
		sigaddset(&pipe_only, SIGPIPE);
		sigtimedwait(&pipe_only, NULL, &zero);
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
out:
	close_all(&io);
	buf_fini(&err);
	return ret;
}
