/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_unotify.c - seccomp_unotify(2): calls that another process answers
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ASKED 424242 /* no call has this number */

static int seccomp(unsigned op, unsigned flags, void *arg)
{
	return (int)syscall(SYS_seccomp, op, flags, arg);
}

static int filter(unsigned flags, unsigned nr, unsigned action)
{
	struct sock_filter f[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, action),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog p = { 4, f };

	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &p);
}

static void send_fd(int sock, int fd)
{
	char c[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec iov = { "x", 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };

	CMSG_FIRSTHDR(&m)->cmsg_level = SOL_SOCKET;
	CMSG_FIRSTHDR(&m)->cmsg_type = SCM_RIGHTS;
	CMSG_FIRSTHDR(&m)->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(CMSG_FIRSTHDR(&m)), &fd, sizeof(fd));
	CHECK(sendmsg(sock, &m, 0) == 1);
}

static int recv_fd(int sock)
{
	char c[CMSG_SPACE(sizeof(int))], b;
	struct iovec iov = { &b, 1 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = c, .msg_controllen = sizeof(c) };
	int fd;

	CHECK(recvmsg(sock, &m, 0) == 1 && CMSG_FIRSTHDR(&m));
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof(fd));
	return fd;
}

static volatile int handled;
static void handler(int sig)
{
	handled++;
}

static int pair[2], child, listener;

/* A child that runs @body under a filter with @flags; its listener is here. */
static void start(void (*body)(void), unsigned flags)
{
	int s[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	child = fork();
	CHECK(child >= 0);
	if (!child) {
		int fd = filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | flags, ASKED, SECCOMP_RET_USER_NOTIF);

		CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
		CHECK_ERRNO(filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, 1, SECCOMP_RET_ALLOW), EBUSY);
		send_fd(s[1], fd);
		close(fd);
		close(s[0]), close(s[1]);
		body();
		_exit(0);
	}
	listener = recv_fd(s[0]);
	close(s[0]), close(s[1]);
}

static void end(int status)
{
	int st;

	CHECK(waitpid(child, &st, 0) == child && st == status);
	close(listener), close(pair[0]), close(pair[1]);
}

static struct seccomp_notif receive(void)
{
	struct seccomp_notif n = { 0 };

	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n) == 0);
	CHECK((int)n.pid == child && !n.flags && n.data.nr == ASKED && n.data.arch == 0xc000003e && n.data.instruction_pointer);
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0);
	return n;
}

static int reply(uint64_t id, int64_t val, int error, unsigned flags)
{
	struct seccomp_notif_resp r = { id, val, error, flags };

	return ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

static void basics(void)
{
	char b[8] = "";

	CHECK(syscall(ASKED, 1, 2, 3, 4, 5, 6) == 1234567890123);
	CHECK_ERRNO(syscall(ASKED, 1), EXDEV);
	CHECK_ERRNO(syscall(ASKED, 1), ENOSYS); /* continued: there is no such call */
	CHECK_ERRNO(syscall(ASKED, 1), 512);	/* numbers of restarts mean nothing here */
	CHECK_ERRNO(syscall(ASKED, 1), 516);
	CHECK(syscall(ASKED, 7) == 99);
	CHECK(read(99, b, 8) == 3 && !strcmp(b, "abc") && fcntl(99, F_GETFD) == FD_CLOEXEC);
	CHECK(close(99) == 0);
	int fd = (int)syscall(ASKED, 8); /* the answer is the descriptor */
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == 0 && read(fd, b, 8) == 2);
}

static int pipe_with(const char *text)
{
	int p[2];

	CHECK(pipe(p) == 0 && write(p[1], text, strlen(text)) == (ssize_t)strlen(text));
	close(p[1]);
	return p[0];
}

static void answers(void)
{
	struct seccomp_notif n, dirty = { .id = 1 };
	struct seccomp_notif_addfd a = { 0 };
	struct pollfd p;
	uint64_t id;

	start(basics, 0);
	p = (struct pollfd){ listener, POLLIN | POLLOUT, 0 };
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLIN);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &dirty), EINVAL);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, NULL), EFAULT);
	CHECK_ERRNO(ioctl(listener, FIONREAD, &id), EINVAL);
	n = receive();
	CHECK(n.data.args[0] == 1 && n.data.args[5] == 6);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLOUT);
	id = n.id + 1000;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id), ENOENT);
	CHECK_ERRNO(reply(id, 0, 0, 0), ENOENT);
	CHECK_ERRNO(reply(n.id, 0, 0, 2), EINVAL);
	CHECK_ERRNO(reply(n.id, 1, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	CHECK_ERRNO(reply(n.id, 0, -1, SECCOMP_USER_NOTIF_FLAG_CONTINUE), EINVAL);
	CHECK(reply(n.id, 1234567890123, 0, 0) == 0);
	CHECK(reply(n.id, 1, 0, 0) == -1 && (errno == ENOENT || errno == EINPROGRESS));
	CHECK(reply(receive().id, 5, -EXDEV, 0) == 0);
	CHECK(reply(receive().id, 0, 0, SECCOMP_USER_NOTIF_FLAG_CONTINUE) == 0);
	CHECK(reply(receive().id, 0, -512, 0) == 0);
	CHECK(reply(receive().id, 0, -516, 0) == 0);
	n = receive();
	a = (struct seccomp_notif_addfd){ .id = n.id, .srcfd = 999 };
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EBADF);
	a.srcfd = (unsigned)pipe_with("abc");
	a.newfd = 99;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EINVAL); /* without SETFD */
	a.flags = 4;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EINVAL);
	a.flags = SECCOMP_ADDFD_FLAG_SETFD;
	a.newfd_flags = O_NONBLOCK;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), EINVAL);
	a.newfd_flags = O_CLOEXEC;
	a.id++;
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a), ENOENT);
	a.id--;
	CHECK_ERRNO(ioctl(listener, _IOW('!', 3, uint64_t), &a), EINVAL); /* too short */
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) == 99);
	CHECK(reply(n.id, 99, 0, 0) == 0);
	n = receive();
	a = (struct seccomp_notif_addfd){ .id = n.id, .srcfd = (unsigned)pipe_with("de"), .flags = SECCOMP_ADDFD_FLAG_SEND };
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a) >= 0);
	p.events = 0;
	CHECK(poll(&p, 1, 5000) == 1 && p.revents == POLLHUP); /* nobody is left to ask */
	n = (struct seccomp_notif){ 0 };
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n), ENOENT);
	end(0);
}

/* Signals in between, with and without SA_RESTART; then the listener goes. */
static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	char b;

	sigaction(SIGUSR1, &sa, NULL);
	CHECK(write(pair[1], "r", 1) == 1);
	CHECK_ERRNO(syscall(ASKED, 1), EINTR);
	CHECK(handled == 1);
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(write(pair[1], "r", 1) == 1);
	CHECK(syscall(ASKED, 2) == 22 && handled == 2);
	CHECK_ERRNO(syscall(ASKED, 3), ENOSYS);
	CHECK_ERRNO(syscall(ASKED, 4), ENOSYS);
	CHECK(read(pair[1], &b, 1) == 1);
	CHECK(filter(SECCOMP_FILTER_FLAG_NEW_LISTENER, 1, SECCOMP_RET_ALLOW) >= 0); /* there is none any more */
}

static void signals(void)
{
	struct seccomp_notif n;
	uint64_t id;
	char b;

	start(interrupted, 0);
	CHECK(read(pair[0], &b, 1) == 1);
	n = receive();
	CHECK(n.data.args[0] == 1 && kill(child, SIGUSR1) == 0);
	CHECK(read(pair[0], &b, 1) == 1);
	CHECK_ERRNO(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id), ENOENT);
	CHECK_ERRNO(reply(n.id, 1, 0, 0), ENOENT);
	n = receive();
	id = n.id;
	CHECK(n.data.args[0] == 2 && kill(child, SIGUSR1) == 0);
	n = receive(); /* asks again */
	CHECK(n.id != id && n.data.args[0] == 2 && reply(n.id, 22, 0, 0) == 0);
	n = receive();
	close(listener);
	CHECK(write(pair[0], "x", 1) == 1);
	end(0);
}

static void patient(void)
{
	struct sigaction sa = { .sa_handler = handler };

	sigaction(SIGUSR1, &sa, NULL);
	CHECK(syscall(ASKED, 1) == 5 && handled == 1); /* the handler had to wait */
	syscall(ASKED, 2);
}

static void killable(void)
{
	struct seccomp_notif n;

	start(patient, 1u << 5 /* WAIT_KILLABLE_RECV */);
	n = receive();
	CHECK(kill(child, SIGUSR1) == 0);
	usleep(50000);
	CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &n.id) == 0 && reply(n.id, 5, 0, 0) == 0);
	n = receive();
	CHECK(kill(child, SIGKILL) == 0);
	end(SIGKILL);
}

static void *blocked(void *arg)
{
	return (void *)syscall(ASKED, 3);
}

/* Threads: each its question; one may answer its brothers. */
static void threads(void)
{
	pthread_t th[4];
	struct seccomp_notif n[4] = { 0 };
	void *ret;
	long sum = 0;
	int st;

	if (!fork()) {
		listener = filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, ASKED,
				  SECCOMP_RET_USER_NOTIF);
		CHECK(listener >= 0);
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&th[i], NULL, blocked, NULL) == 0);
		for (int i = 0; i < 4; i++)
			CHECK(ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &n[i]) == 0);
		for (int i = 3; i >= 0; i--)
			CHECK(reply(n[i].id, 1 << i, 0, 0) == 0);
		for (int i = 0; i < 4; i++) {
			CHECK(pthread_join(th[i], &ret) == 0);
			sum += (long)ret;
		}
		CHECK(sum == 15);
		exit(0);
	}
	CHECK(wait(&st) > 0 && st == 0);
}

int main(void)
{
	struct seccomp_notif_sizes s;
	unsigned action = SECCOMP_RET_USER_NOTIF;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action) == 0);
	CHECK(seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &s) == 0);
	CHECK(s.seccomp_notif == 80 && s.seccomp_notif_resp == 24 && s.seccomp_data == 64);
	CHECK_ERRNO(seccomp(SECCOMP_GET_NOTIF_SIZES, 1, &s), EINVAL);
	CHECK_ERRNO(filter(SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_TSYNC, 1, SECCOMP_RET_ALLOW), EINVAL);
	CHECK_ERRNO(filter(1u << 5, 1, SECCOMP_RET_ALLOW), EINVAL);
	CHECK_ERRNO(filter(1u << 9, 1, SECCOMP_RET_ALLOW), EINVAL);
	answers();
	signals();
	killable();
	threads();
	CHECK(filter(0, ASKED, SECCOMP_RET_USER_NOTIF) == 0);
	CHECK_ERRNO(syscall(ASKED), ENOSYS); /* nobody to ask */
	CHECK(filter(0, ASKED + 1, SECCOMP_RET_ERRNO | 512) == 0);
	CHECK_ERRNO(syscall(ASKED + 1), 512);
	return 0;
}
