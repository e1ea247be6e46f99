/* SPDX-License-Identifier: Apache-2.0
 * test/guest/signal_io.c - O_ASYNC: SIGIO and F_SETSIG on a socket
 */
#include "guest.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec ts = { 5, 0 };
	sigset_t s;
	siginfo_t si;
	int fd[2];

	sigemptyset(&s);
	sigaddset(&s, SIGIO);
	sigaddset(&s, SIGRTMIN + 1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fd) == 0);
	CHECK(fcntl(fd[0], F_SETOWN, getpid()) == 0 && fcntl(fd[0], F_GETOWN) == getpid());
	CHECK(fcntl(fd[0], F_SETFL, O_ASYNC) == 0);
	CHECK(write(fd[1], "x", 1) == 1);
	CHECK(sigtimedwait(&s, &si, &ts) == SIGIO);
	CHECK(fcntl(fd[0], F_SETSIG, SIGRTMIN + 1) == 0);
	CHECK(write(fd[1], "x", 1) == 1);
	CHECK(sigtimedwait(&s, &si, &ts) == SIGRTMIN + 1);
	CHECK(si.si_code == POLL_IN && (si.si_band & POLLIN));
	CHECK_ERRNO(fcntl(fd[0], F_SETOWN, 31997), ESRCH);
	CHECK_ERRNO(fcntl(fd[0], F_SETSIG, 99), EINVAL);
	return 0;
}
