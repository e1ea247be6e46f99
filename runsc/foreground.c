/* SPDX-License-Identifier: Apache-2.0
 * runsc/foreground.c - runsc as the face of a process: signals in, terminal both ways, exit status out
 *
 * Model:   one poll loop over signalfd, our terminal, the pty master, and the end of the process. After the end
 *          the pty is read until it is empty: the last words of a program are not lost.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/fdpass.h"
#include "runsc/cmd.h"

static struct termios saved_tty;
static bool tty_is_raw;

static void restore_tty(void)
{
	if (tty_is_raw)
		tcsetattr(0, TCSADRAIN, &saved_tty);
	tty_is_raw = false;
}

void terminal_size(uint16_t *rows, uint16_t *cols)
{
	struct winsize ws = { 0 };

	for (int fd = 0; fd <= 2 && !ws.ws_row; fd++)
		if (ioctl(fd, TIOCGWINSZ, &ws) < 0)
			ws.ws_row = 0;
	*rows = ws.ws_row;
	*cols = ws.ws_row ? ws.ws_col : 0;
}

static const int never[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT, SIGCHLD, SIGURG, SIGPIPE };

static void forwarded(sigset_t *set)
{
	sigfillset(set);
	for (size_t i = 0; i < ARRAY_SIZE(never); i++)
		sigdelset(set, never[i]);
}

int foreground_begin(struct err *e)
{
	sigset_t set;

	forwarded(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys(e, "block signals");
	signal(SIGPIPE, SIG_IGN);
	return 0;
}

static void make_raw(void)
{
	struct termios t;

	if (tcgetattr(0, &saved_tty) < 0)
		return;
	t = saved_tty;
	cfmakeraw(&t);
	if (tcsetattr(0, TCSANOW, &t) == 0) {
		tty_is_raw = true;
		atexit(restore_tty);
	}
}

static void on_signals(struct foreground *f, int sigfd)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		if (si.ssi_signo == SIGWINCH) {
			uint16_t rows, cols;
			struct winsize ws = { 0 };

			terminal_size(&rows, &cols);
			ws.ws_row = rows;
			ws.ws_col = cols;
			if (f->console >= 0 && rows) {
				ioctl(f->console, TIOCSWINSZ, &ws);
				lc_resize(f->c, f->exec_id, rows, cols, NULL);
			}
			continue;
		}
		/* a process that is gone needs no signal: its end is on its way to us */
		lc_signal(f->c, f->exec_id, (int)si.ssi_signo, LC_SIG_PROCESS, NULL);
	}
}

/* Moves what is there; false at the end of the stream. EIO is how a pty says that nobody has it open. */
static bool pump(int from, int to)
{
	char text[16384];
	ssize_t n = read(from, text, sizeof(text));

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	return n > 0 && write_full(to, text, (size_t)n) == 0;
}

static int exit_status(struct foreground *f)
{
	int st;

	if (f->chan >= 0)
		return lc_chan_exit(f->chan);
	while (waitpid(f->pid, &st, 0) < 0)
		if (errno != EINTR)
			return EXIT_RUNTIME;
	/* the gofer already says 128 + signal in words of an exit code */
	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}

enum { P_END, P_SIG, P_OUT, P_IN, P_COUNT };

static void loop(struct foreground *f, int sigfd)
{
	struct pollfd p[P_COUNT] = {
		[P_END] = { .fd = f->chan >= 0 ? f->chan : f->pidfd, .events = POLLIN },
		[P_SIG] = { .fd = sigfd, .events = POLLIN },
		[P_OUT] = { .fd = f->console, .events = POLLIN },
		[P_IN] = { .fd = f->console >= 0 ? 0 : -1, .events = POLLIN },
	};

	while (!(p[P_END].revents & (POLLIN | POLLHUP | POLLERR | POLLNVAL))) {
		if (poll(p, P_COUNT, -1) < 0 && errno != EINTR)
			return;
		if (p[P_SIG].revents & POLLIN)
			on_signals(f, sigfd);
		if (p[P_OUT].revents && !pump(f->console, 1))
			p[P_OUT].fd = -1;
		if (p[P_IN].revents && !pump(0, f->console)) {
			static const char eot = 4;

			p[P_IN].fd = -1;
			if (write(f->console, &eot, 1) < 0) /* our input has ended: so shall theirs */
				continue;
		}
	}
	while (f->console >= 0 && p[P_OUT].fd >= 0 && poll(&p[P_OUT], 1, 0) > 0)
		if (!pump(f->console, 1))
			break;
}

int foreground_run(struct foreground *f, struct err *e)
{
	AUTO_CLOSE int sigfd = -1;
	sigset_t set;

	forwarded(&set);
	sigfd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (sigfd < 0)
		return err_sys(e, "signalfd");
	if (f->console >= 0 && isatty(0))
		make_raw();
	loop(f, sigfd);
	restore_tty();
	if (f->console >= 0)
		close(TAKE_FD(f->console));
	return exit_status(f);
}

static bool stdio_missing[3];

int stdio_hold(struct err *e)
{
	for (int fd = 0; fd < 3; fd++) {
		if (fcntl(fd, F_GETFD) >= 0)
			continue;
		/* the lowest free number (open(2)): those below are taken, so it is this one */
		if (open("/dev/null", O_RDWR | O_CLOEXEC) != fd)
			return err_sys(e, "open /dev/null as descriptor %d", fd);
		stdio_missing[fd] = true;
	}
	return 0;
}

void stdio_mine(int out[3])
{
	for (int fd = 0; fd < 3; fd++)
		out[fd] = stdio_missing[fd] ? -1 : fd;
}

static int pass_one(struct passed_fds *out, int fd, int as, struct err *e)
{
	if (out->n == PASSED_MAX)
		return err_set(e, EINVAL, "more than %d descriptors to pass", PASSED_MAX);
	out->fd[out->n] = fd;
	out->as[out->n++] = as;
	return 0;
}

int passed_fds(int preserve, const struct str_list *pass, struct passed_fds *out, struct err *e)
{
	const char *listen_fds = getenv("LISTEN_FDS");
	int n;

	out->n = 0;
	out->listen = listen_fds ? (unsigned)MIN(MAX(atoi(listen_fds), 0), PASSED_MAX) : 0;
	n = preserve + (int)out->listen;
	for (int i = 0; i < n; i++)
		if (fcntl(3 + i, F_GETFD) >= 0 && pass_one(out, 3 + i, 3 + i, e) < 0)
			return -1;
	for (size_t i = 0; i < pass->n; i++) {
		int host, inside, end = 0;

		if (sscanf(pass->v[i], "%d:%d%n", &host, &inside, &end) != 2 || pass->v[i][end])
			return err_set(e, EINVAL, "option --pass-fd: \"%s\" is not HOST_FD:GUEST_FD", pass->v[i]);
		if (fcntl(host, F_GETFD) < 0)
			return err_sys(e, "option --pass-fd: descriptor %d", host);
		if (pass_one(out, host, inside, e) < 0)
			return -1;
	}
	return 0;
}
