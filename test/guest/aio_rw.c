/* SPDX-License-Identifier: Apache-2.0
 * test/guest/aio_rw.c - io_setup(2) and its family: reads, writes, syncs, polls, eventfds, cancelling
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static aio_context_t ctx;

static struct iocb make(int op, int fd, const void *buf, size_t n, long off)
{
	return (struct iocb){ .aio_lio_opcode = (unsigned short)op, .aio_fildes = (unsigned)fd, .aio_buf = (uintptr_t)buf, .aio_nbytes = n,
			      .aio_offset = off, .aio_data = 0x1234 };
}

static long submit(struct iocb *cb)
{
	return syscall(SYS_io_submit, ctx, 1L, &cb);
}

static long events(long min, long nr, struct io_event *ev, long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	return syscall(SYS_io_getevents, ctx, min, nr, ev, ms < 0 ? NULL : &ts);
}

/* Submits one request and fetches its event's result. */
static long one(struct iocb cb)
{
	struct io_event ev;

	CHECK(submit(&cb) == 1);
	CHECK(events(1, 1, &ev, 5000) == 1);
	CHECK(ev.obj == (uintptr_t)&cb && ev.data == 0x1234 && ev.res2 == 0);
	return (long)ev.res;
}

static void setup(void)
{
	aio_context_t bad = 0, two = 0;

	CHECK_ERRNO(syscall(SYS_io_setup, 0, &bad), EINVAL);
	CHECK_ERRNO(syscall(SYS_io_setup, 4, (void *)8), EFAULT);
	bad = 1;
	CHECK_ERRNO(syscall(SYS_io_setup, 4, &bad), EINVAL);
	CHECK(syscall(SYS_io_setup, 4, &two) == 0 && two);
	CHECK(syscall(SYS_io_setup, 64, &ctx) == 0 && ctx && ctx != two);
	CHECK(syscall(SYS_io_destroy, two) == 0);
	CHECK_ERRNO(syscall(SYS_io_destroy, two), EINVAL);
	CHECK_ERRNO(syscall(SYS_io_submit, two, 0L, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_io_submit, 0, 0L, NULL), EINVAL);
	CHECK(syscall(SYS_io_submit, ctx, 0L, NULL) == 0);
	CHECK_ERRNO(syscall(SYS_io_submit, ctx, -1L, NULL), EINVAL);
}

static void files(void)
{
	char path[] = "/tmp/aio.XXXXXX", buf[64];
	struct iovec v[2] = { { buf, 3 }, { buf + 10, 3 } };
	struct iocb cb, many[8], *ptr[9];
	struct io_event ev[8];
	int fd = mkstemp(path), ro;

	CHECK(fd >= 0);
	ro = open(path, O_RDONLY);
	unlink(path);
	CHECK(one(make(IOCB_CMD_PWRITE, fd, "hello world", 11, 5)) == 11);
	CHECK(lseek(fd, 0, SEEK_CUR) == 0 && lseek(fd, 0, SEEK_END) == 16);
	CHECK(one(make(IOCB_CMD_PREAD, fd, buf, 64, 5)) == 11 && !memcmp(buf, "hello world", 11));
	CHECK(one(make(IOCB_CMD_PREAD, fd, buf, 64, 100)) == 0);
	CHECK(one(make(IOCB_CMD_PREADV, fd, v, 2, 5)) == 6 && !memcmp(buf, "hel", 3) && !memcmp(buf + 10, "lo ", 3));
	CHECK(one(make(IOCB_CMD_PWRITEV, fd, v, 2, 0)) == 6);
	CHECK(one(make(IOCB_CMD_PREAD, fd, buf, 5, 1)) == 5 && !memcmp(buf, "ello ", 5));
	CHECK(one(make(IOCB_CMD_FSYNC, fd, NULL, 0, 0)) == 0);
	CHECK(one(make(IOCB_CMD_FDSYNC, fd, NULL, 0, 0)) == 0);
	CHECK(one(make(IOCB_CMD_PREAD, fd, (void *)8, 5, 0)) == -EFAULT);

	cb = make(IOCB_CMD_PREAD, -1, buf, 1, 0);
	CHECK_ERRNO(submit(&cb), EBADF);
	cb = make(IOCB_CMD_PWRITE, ro, buf, 1, 0);
	CHECK_ERRNO(submit(&cb), EBADF);
	cb = make(IOCB_CMD_NOOP, fd, buf, 1, 0);
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb = make(IOCB_CMD_FSYNC, fd, buf, 1, 0);
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb = make(IOCB_CMD_PREAD, fd, buf, 1, -1);
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb = make(IOCB_CMD_PREAD, fd, buf, 1, 0);
	cb.aio_reserved2 = 1;
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb = make(IOCB_CMD_PREAD, fd, buf, 1, 0);
	cb.aio_rw_flags = 1 << 30;
	CHECK_ERRNO(submit(&cb), EOPNOTSUPP);
	CHECK_ERRNO(syscall(SYS_io_submit, ctx, 1L, (void *)8), EFAULT);

	/* Several at once; what follows a bad one is not done. */
	for (int k = 0; k < 8; k++) {
		many[k] = make(IOCB_CMD_PREAD, fd, buf + k, 1, k);
		many[k].aio_data = (unsigned)k;
		ptr[k] = &many[k];
	}
	ptr[5] = NULL;
	CHECK(syscall(SYS_io_submit, ctx, 8L, ptr) == 5);
	CHECK(events(0, 2, ev, 0) == 2);
	CHECK_ERRNO(events(9, 8, ev, 0), EINVAL);
	CHECK_ERRNO(events(-1, 8, ev, 0), EINVAL);
	CHECK(events(3, 8, ev, 5000) == 3 && ev[0].res == 1);
	CHECK(events(1, 8, ev, 20) == 0); /* nothing more */
	close(ro);
	close(fd);
}

static void slots(void)
{
	aio_context_t small = 0;
	char path[] = "/tmp/aio.XXXXXX", c;
	int fd = mkstemp(path);
	struct iocb cb = make(IOCB_CMD_PREAD, fd, &c, 1, 0), *p = &cb;
	long n;

	unlink(path);
	CHECK(syscall(SYS_io_setup, 1, &small) == 0);
	for (n = 0; n < 100000 && syscall(SYS_io_submit, small, 1L, &p) == 1; n++)
		;
	CHECK(n >= 1 && n < 100000 && errno == EAGAIN);
	CHECK(syscall(SYS_io_destroy, small) == 0);
	close(fd);
}

static void polls(void)
{
	struct io_event ev[2];
	int pfd[2], efd = eventfd(0, EFD_NONBLOCK);
	struct pollfd pf;
	struct iocb cb, cb2;
	uint64_t v;
	pid_t p;

	CHECK(pipe(pfd) == 0 && efd >= 0);
	cb = make(IOCB_CMD_POLL, pfd[1], (void *)(uintptr_t)POLLOUT, 0, 0);
	CHECK(submit(&cb) == 1 && events(1, 1, ev, 5000) == 1 && ev[0].res == POLLOUT);
	cb = make(IOCB_CMD_POLL, pfd[0], (void *)(uintptr_t)POLLIN, 0, 0);
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (unsigned)efd;
	CHECK(submit(&cb) == 1);
	CHECK(events(1, 2, ev, 20) == 0);
	CHECK_ERRNO(read(efd, &v, 8), EAGAIN);
	p = fork();
	if (!p) {
		usleep(30000);
		CHECK_ERRNO(syscall(SYS_io_submit, ctx, 0L, NULL), EINVAL); /* contexts are not inherited */
		CHECK(write(pfd[1], "x", 1) == 1);
		_exit(0);
	}
	/* Linux may add the other bits of the wake-up. */
	CHECK(events(1, 2, ev, 5000) == 1 && (ev[0].res & POLLIN) && ev[0].obj == (uintptr_t)&cb);
	usleep(1000);
	CHECK(read(efd, &v, 8) == 8 && v == 1);
	CHECK(waitpid(p, NULL, 0) == p);
	CHECK(read(pfd[0], &v, 1) == 1);

	/* Cancelled: the event still comes. */
	cb2 = make(IOCB_CMD_POLL, pfd[0], (void *)(uintptr_t)POLLIN, 0, 0);
	CHECK_ERRNO(syscall(SYS_io_cancel, ctx, &cb2, ev), EINVAL);
	CHECK(submit(&cb2) == 1);
	CHECK_ERRNO(syscall(SYS_io_cancel, ctx, &cb2, ev), EINPROGRESS);
	CHECK(events(1, 1, ev, 5000) == 1 && ev[0].obj == (uintptr_t)&cb2 && ev[0].res == 0);
	cb = make(IOCB_CMD_POLL, pfd[0], (void *)(uintptr_t)POLLIN, 1, 0);
	CHECK_ERRNO(submit(&cb), EINVAL);

	/* An eventfd of a read; a descriptor that is none. */
	cb = make(IOCB_CMD_PWRITE, pfd[1], "ab", 2, 0);
	cb.aio_flags = IOCB_FLAG_RESFD;
	cb.aio_resfd = (unsigned)efd;
	CHECK(submit(&cb) == 1 && events(1, 1, ev, 5000) == 1 && ev[0].res == 2);
	CHECK(read(efd, &v, 8) == 8 && v == 1);
	/* write(2) stops at the maximum; the kernel's own signal goes beyond and the overflow shows. */
	v = UINT64_MAX - 1;
	CHECK(write(efd, &v, 8) == 8);
	CHECK(submit(&cb) == 1 && events(1, 1, ev, 5000) == 1 && ev[0].res == 2);
	pf = (struct pollfd){ .fd = efd, .events = POLLIN | POLLOUT };
	CHECK(poll(&pf, 1, 0) == 1 && pf.revents == (POLLIN | POLLERR));
	CHECK(read(efd, &v, 8) == 8 && v == UINT64_MAX);
	CHECK(read(pfd[0], &v, 2) == 2);
	cb.aio_resfd = (unsigned)pfd[0];
	CHECK_ERRNO(submit(&cb), EINVAL);
	cb.aio_resfd = 9999;
	CHECK_ERRNO(submit(&cb), EBADF);
	CHECK(one(make(IOCB_CMD_PREAD, pfd[0], &v, 8, 0)) == 2);

	/* Destroyed, and left to the end of the process, with polls under way. */
	cb2 = make(IOCB_CMD_POLL, pfd[0], (void *)(uintptr_t)POLLIN, 0, 0);
	CHECK(submit(&cb2) == 1);
	CHECK(syscall(SYS_io_destroy, ctx) == 0);
	CHECK_ERRNO(events(0, 1, ev, 0), EINVAL);
	ctx = 0;
	CHECK(syscall(SYS_io_setup, 8, &ctx) == 0);
	p = fork();
	if (!p) {
		ctx = 0;
		CHECK(syscall(SYS_io_setup, 8, &ctx) == 0 && submit(&cb2) == 1);
		_exit(0);
	}
	CHECK(waitpid(p, NULL, 0) == p);
}

static void on_alarm(int sig)
{
}

static void waiting(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct { const sigset_t *m; size_t n; } arg;
	struct timespec ts = { 5, 0 };
	struct io_event ev;
	sigset_t block, none;

	sigaction(SIGALRM, &sa, NULL);
	ualarm(30000, 0);
	CHECK_ERRNO(events(1, 1, &ev, 5000), EINTR);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	raise(SIGALRM);
	arg.m = &none;
	arg.n = 8;
	CHECK_ERRNO(syscall(SYS_io_pgetevents, ctx, 1L, 1L, &ev, &ts, &arg), EINTR);
	arg.n = 4;
	CHECK_ERRNO(syscall(SYS_io_pgetevents, ctx, 0L, 1L, &ev, &ts, &arg), EINVAL);
	sigprocmask(SIG_BLOCK, NULL, &none);
	CHECK(sigismember(&none, SIGALRM) == 1);
}

int main(void)
{
	setup();
	files();
	slots();
	polls();
	waiting();
	return 0;
}
