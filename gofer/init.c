/* SPDX-License-Identifier: Apache-2.0
 * gofer/init.c - see init.h
 */
#include "gofer/init.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_init[] = {
	HOSTCALL(poll, "init channel and signals"),
	HOSTCALL(ppoll, "the same, as some C libraries do it"),
	HOSTCALL(recvfrom, "init channel"),
	HOSTCALL(sendto, "init channel"),
	{ 0 },
};

/* Left to their default action: they report faults of ours. */
static const int own_signals[] = { SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGSYS, SIGTRAP, SIGABRT };

int init_block_signals(struct err *e)
{
	sigset_t set;
	int fd;

	sigfillset(&set);
	for (size_t i = 0; i < ARRAY_SIZE(own_signals); i++)
		sigdelset(&set, own_signals[i]);
	if (sigprocmask(SIG_SETMASK, &set, NULL))
		return err_sys(e, "block signals");
	sigdelset(&set, SIGPIPE); /* stays blocked: a write error says the same */
	sigdelset(&set, SIGCHLD);
	fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return fd < 0 ? err_sys(e, "signalfd") : fd;
}

int init_exit_code(uint32_t wait_status)
{
	int st = (int)wait_status;

	return WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
}

static void forward_signals(int chan, int sigfd)
{
	struct signalfd_siginfo si;

	while (read(sigfd, &si, sizeof(si)) == (ssize_t)sizeof(si)) {
		struct init_msg m = { INIT_SIGNAL, si.ssi_signo };

		if (si.ssi_signo == SIGWINCH)
			m = (struct init_msg){ INIT_WINCH, 0 };
		/* a Sentry that does not read loses signals, not us */
		if (send(chan, &m, sizeof(m), MSG_DONTWAIT | MSG_NOSIGNAL) < 0 && errno != EAGAIN)
			return;
	}
}

int init_loop(int chan, int sigfd)
{
	struct pollfd p[2] = { { .fd = chan, .events = POLLIN }, { .fd = sigfd, .events = POLLIN } };

	for (;;) {
		struct init_msg m;
		ssize_t n;

		if (poll(p, 2, -1) < 0) {
			if (errno == EINTR)
				continue;
			return INIT_EXIT_LOST;
		}
		if (p[1].revents & POLLIN)
			forward_signals(chan, sigfd);
		if (!p[0].revents)
			continue;
		n = recv(chan, &m, sizeof(m), MSG_DONTWAIT);
		if (n == (ssize_t)sizeof(m) && m.type == INIT_EXIT)
			return init_exit_code(m.value);
		/* ECONNRESET: the Sentry has ended with messages of ours unread. It is said once, before what it left for us */
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNRESET))
			return INIT_EXIT_LOST;
	}
}
