/* SPDX-License-Identifier: Apache-2.0
 * test/guest/pipe_rw.c - pipes and FIFOs: blocking, ends, sizes, packets, splice, tee
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest.h"

static char big[200000];

static void blocking(void)
{
	int p[2], st;
	pid_t pid;
	size_t got = 0;
	ssize_t n;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (pid == 0) {
		close(p[0]);
		memset(big, 'x', sizeof(big));
		_exit(write(p[1], big, sizeof(big)) == sizeof(big) ? 0 : 1);
	}
	close(p[1]);
	while ((n = read(p[0], big, 3000)) > 0)
		got += (size_t)n;
	CHECK(n == 0 && got == sizeof(big));
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	close(p[0]);
}

static volatile sig_atomic_t got_pipe;
static void on_pipe(int s)
{
	got_pipe = s;
}

static void ends(void)
{
	struct pollfd pf;
	int p[2];

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	pf = (struct pollfd){ p[0], POLLIN, 0 };
	CHECK(poll(&pf, 1, 0) == 0);
	pf = (struct pollfd){ p[1], POLLOUT, 0 };
	CHECK(poll(&pf, 1, 0) == 1 && pf.revents == POLLOUT);
	close(p[0]);
	signal(SIGPIPE, on_pipe);
	CHECK_ERRNO(write(p[1], "x", 1), EPIPE);
	CHECK(got_pipe == SIGPIPE);
	signal(SIGPIPE, SIG_DFL);
	CHECK(poll(&pf, 1, 0) == 1 && pf.revents & POLLERR);
	close(p[1]);
	CHECK_ERRNO(pipe((int *)8), EFAULT);
	CHECK_ERRNO(pipe2(p, 0x40), EINVAL);
}

static void sizes(void)
{
	int p[2], n, total = 0;

	CHECK(pipe2(p, O_NONBLOCK) == 0);
	CHECK(fcntl(p[0], F_GETPIPE_SZ) == 65536);
	CHECK(fcntl(p[1], F_SETPIPE_SZ, 5000) == 8192);
	while ((n = (int)write(p[1], big, 4096)) > 0)
		total += n;
	CHECK(errno == EAGAIN && total == 8192);
	CHECK_ERRNO(fcntl(p[1], F_SETPIPE_SZ, 4096), EBUSY);
	CHECK(read(p[0], big, 4096) == 4096);
	close(p[0]);
	close(p[1]);
}

static void packets(void)
{
	char b[10];
	int p[2];

	CHECK(pipe2(p, O_DIRECT | O_NONBLOCK) == 0);
	CHECK(write(p[1], "abc", 3) == 3 && write(p[1], "de", 2) == 2);
	CHECK(read(p[0], b, 10) == 3);
	CHECK(read(p[0], b, 1) == 1);
	CHECK_ERRNO(read(p[0], b, 10), EAGAIN);
	close(p[0]);
	close(p[1]);
}

static void fifos(void)
{
	struct stat st;
	char b[4];
	int r, w, status;
	pid_t pid;

	CHECK(mkfifo("ff", 0600) == 0 && stat("ff", &st) == 0 && S_ISFIFO(st.st_mode));
	CHECK_ERRNO(open("ff", O_WRONLY | O_NONBLOCK), ENXIO);
	r = open("ff", O_RDONLY | O_NONBLOCK);
	CHECK(r >= 0 && read(r, b, 1) == 0);
	w = open("ff", O_WRONLY | O_NONBLOCK);
	CHECK(w >= 0 && write(w, "abc", 3) == 3 && read(r, b, 4) == 3);
	CHECK_ERRNO(read(r, b, 1), EAGAIN);
	close(w);
	CHECK(read(r, b, 1) == 0);
	close(r);
	pid = fork();
	if (pid == 0) {
		w = open("ff", O_WRONLY);
		_exit(write(w, "hi", 2) == 2 ? 0 : 1);
	}
	r = open("ff", O_RDONLY);
	CHECK(read(r, b, 4) == 2);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(r);
	unlink("ff");
}

/* A reader that opened together with the writer sees its going by epoll, whoever of them was first. */
static void fifo_hangup(void)
{
	struct epoll_event ev = { .events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET };
	int r, w, ep, st;
	pid_t pid;

	CHECK(mkfifo("hup", 0600) == 0);
	pid = fork();
	if (!pid) {
		w = open("hup", O_WRONLY);
		usleep(100000);
		_exit(w < 0);
	}
	r = open("hup", O_RDONLY);
	CHECK(r >= 0 && (ep = epoll_create1(0)) >= 0 && epoll_ctl(ep, EPOLL_CTL_ADD, r, &ev) == 0);
	do
		CHECK(epoll_wait(ep, &ev, 1, 20000) == 1);
	while (!(ev.events & EPOLLHUP));
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	close(ep);
	close(r);
	CHECK(unlink("hup") == 0);
}

static void splices(void)
{
	char b[32];
	int p[2], q[2], ev, f = open("sp", O_CREAT | O_RDWR | O_TRUNC, 0600);
	loff_t off = 2;

	CHECK(pipe(p) == 0 && pipe(q) == 0);
	CHECK(write(f, "0123456789", 10) == 10);
	CHECK(splice(f, &off, p[1], NULL, 5, 0) == 5 && off == 7);
	CHECK(tee(p[0], q[1], 100, 0) == 5);
	CHECK(read(q[0], b, 32) == 5 && !memcmp(b, "23456", 5));
	CHECK(splice(p[0], NULL, q[1], NULL, 3, 0) == 3);
	CHECK(read(q[0], b, 32) == 3 && !memcmp(b, "234", 3));
	off = 0;
	CHECK(splice(p[0], NULL, f, &off, 2, 0) == 2 && pread(f, b, 4, 0) == 4 && !memcmp(b, "5623", 4));
	CHECK_ERRNO(splice(f, NULL, f, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(p[0], NULL, q[1], NULL, 1, SPLICE_F_NONBLOCK), EAGAIN);
	/* what cannot be spliced to says so before the empty pipe is waited for */
	ev = eventfd(0, 0);
	CHECK(ev >= 0);
	CHECK_ERRNO(splice(p[0], NULL, ev, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(splice(ev, NULL, p[1], NULL, 8, 0), EINVAL);
	close(ev);
	struct iovec v = { "vm", 2 };
	CHECK(vmsplice(p[1], &v, 1, 0) == 2 && read(p[0], b, 2) == 2 && !memcmp(b, "vm", 2));
	close(f);
	unlink("sp");
	for (int k = 0; k < 2; k++) {
		close(p[k]);
		close(q[k]);
	}
}

int main(void)
{
	char dir[] = "/tmp/pipe_rw.XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	blocking();
	ends();
	sizes();
	packets();
	fifos();
	fifo_hangup();
	splices();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
