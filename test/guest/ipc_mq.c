/* SPDX-License-Identifier: Apache-2.0
 * test/guest/ipc_mq.c - POSIX message queues: order, blocking, timeouts, limits, notification, names, rights
 */
#include "guest.h"

#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static char name[64], name2[64];

static mqd_t fresh(long maxmsg, long msgsize, int flags)
{
	struct mq_attr a = { .mq_maxmsg = maxmsg, .mq_msgsize = msgsize };
	mqd_t q;

	mq_unlink(name);
	q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &a);
	CHECK(q >= 0);
	return q;
}

static struct timespec in_ms(long ms)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += ms * 1000000;
	ts.tv_sec += ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void names(void)
{
	struct mq_attr a;
	struct stat st;
	char longname[300] = "/";
	mqd_t q;

	CHECK_ERRNO(mq_open(name, O_RDONLY), ENOENT);
	CHECK_ERRNO(mq_unlink(name), ENOENT);
	CHECK_ERRNO(syscall(SYS_mq_open, "", O_RDONLY, 0, NULL), ENOENT);
	CHECK_ERRNO(syscall(SYS_mq_open, "a/b", O_RDONLY, 0, NULL), EACCES);
	CHECK_ERRNO(syscall(SYS_mq_open, "..", O_RDONLY, 0, NULL), EACCES);
	memset(longname + 1, 'x', 260);
	CHECK_ERRNO(mq_open(longname, O_RDONLY), ENAMETOOLONG);
	q = mq_open(name, O_CREAT | O_RDWR, 0600, NULL);
	CHECK(q >= 0);
	CHECK(fcntl(q, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(q, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & 07777) == 0600 && st.st_size == 80);
	CHECK(mq_getattr(q, &a) == 0 && a.mq_flags == 0 && a.mq_curmsgs == 0 && a.mq_maxmsg > 0 && a.mq_msgsize > 0);
	CHECK_ERRNO(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	CHECK(mq_unlink(name) == 0);
	CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
	CHECK(mq_send(q, "x", 1, 0) == 0); /* lives on without a name */
	CHECK(mq_close(q) == 0);
	CHECK_ERRNO(mq_getattr(q, &a), EBADF);
	CHECK_ERRNO(mq_send(0, "x", 1, 0), EBADF); /* no queue */
}

static void order(void)
{
	static const unsigned prio[] = { 3, 1, 3, 0, 32767, 2, 1, 3 };
	static const int want[] = { 4, 0, 2, 7, 5, 1, 6, 3 };
	mqd_t q = fresh(8, 16, O_NONBLOCK);
	struct mq_attr a;
	char buf[16];
	unsigned p;

	for (int k = 0; k < 8; k++)
		CHECK(mq_send(q, (char[]){ (char)('a' + k) }, 1, prio[k]) == 0);
	CHECK_ERRNO(mq_send(q, "z", 1, 0), EAGAIN);
	CHECK(mq_getattr(q, &a) == 0 && a.mq_curmsgs == 8 && a.mq_flags == O_NONBLOCK && a.mq_maxmsg == 8 && a.mq_msgsize == 16);
	CHECK_ERRNO(mq_receive(q, buf, 15, &p), EMSGSIZE);
	for (int k = 0; k < 8; k++) {
		CHECK(mq_receive(q, buf, 16, &p) == 1);
		CHECK(buf[0] == 'a' + want[k] && p == prio[want[k]]);
	}
	CHECK_ERRNO(mq_receive(q, buf, 16, &p), EAGAIN);
	CHECK_ERRNO(mq_send(q, buf, 17, 0), EMSGSIZE);
	CHECK_ERRNO(mq_send(q, buf, 1, 32768), EINVAL);
	CHECK_ERRNO(syscall(SYS_mq_timedsend, q, (void *)8, 1, 0, NULL), EFAULT);
	CHECK(mq_send(q, buf, 0, 5) == 0);
	CHECK(mq_receive(q, buf, 16, &p) == 0 && p == 5);
	a.mq_flags = 0;
	CHECK(mq_setattr(q, &a, &a) == 0 && a.mq_flags == O_NONBLOCK);
	CHECK(mq_getattr(q, &a) == 0 && a.mq_flags == 0);
	a.mq_flags = O_APPEND;
	CHECK_ERRNO(mq_setattr(q, &a, NULL), EINVAL);
	mq_close(q);
}

static void blocking(void)
{
	mqd_t q = fresh(1, 8, 0), ro, wo;
	struct timespec ts = in_ms(30), bad = { 1, 1000000000 };
	struct pollfd pf = { .fd = q, .events = POLLIN | POLLOUT };
	char buf[8];
	pid_t p;
	int st;

	CHECK_ERRNO(mq_timedreceive(q, buf, 8, NULL, &ts), ETIMEDOUT);
	CHECK_ERRNO(mq_timedreceive(q, buf, 8, NULL, &bad), EINVAL);
	CHECK(poll(&pf, 1, 0) == 1 && pf.revents == POLLOUT);
	CHECK(mq_send(q, "1", 1, 0) == 0);
	CHECK(poll(&pf, 1, 0) == 1 && pf.revents == POLLIN);
	ts = in_ms(30);
	CHECK_ERRNO(mq_timedsend(q, "2", 1, 0, &ts), ETIMEDOUT);
	ts = (struct timespec){ 1, 0 };
	CHECK_ERRNO(mq_timedsend(q, "2", 1, 0, &ts), ETIMEDOUT);
	p = fork();
	if (!p) {
		usleep(30000);
		CHECK(mq_receive(q, buf, 8, NULL) == 1 && buf[0] == '1');
		usleep(30000);
		CHECK(mq_receive(q, buf, 8, NULL) == 1 && buf[0] == '2');
		usleep(30000);
		CHECK(mq_send(q, "3", 1, 0) == 0);
		usleep(30000);
		CHECK(mq_send(q, "4", 1, 0) == 0);
		_exit(0);
	}
	CHECK(mq_send(q, "2", 1, 0) == 0); /* waits for room */
	pf.events = POLLOUT;
	CHECK(poll(&pf, 1, 5000) == 1 && pf.revents == POLLOUT);
	CHECK(mq_receive(q, buf, 8, NULL) == 1 && buf[0] == '3');
	pf.events = POLLIN;
	CHECK(poll(&pf, 1, 5000) == 1 && pf.revents == POLLIN);
	CHECK(mq_receive(q, buf, 8, NULL) == 1 && buf[0] == '4');
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	ro = mq_open(name, O_RDONLY);
	wo = mq_open(name, O_WRONLY);
	CHECK(ro >= 0 && wo >= 0);
	CHECK_ERRNO(mq_send(ro, "x", 1, 0), EBADF);
	CHECK_ERRNO(mq_receive(wo, buf, 8, NULL), EBADF);
	CHECK_ERRNO(mq_open(name, O_RDWR | O_WRONLY), EINVAL);
	mq_close(ro);
	mq_close(wo);
	mq_close(q);
}

static volatile int got_sig, got_code, got_value, got_pid;

static void on_signal(int sig, siginfo_t *si, void *uc)
{
	got_code = si->si_code;
	got_value = si->si_value.sival_int;
	got_pid = si->si_pid;
	got_sig = sig;
}

static void on_alarm(int sig)
{
}

static volatile int told;

static void on_message(union sigval v)
{
	told = v.sival_int;
}

/* SIGEV_THREAD: the kernel hands a cookie to the C library's thread through a netlink socket. */
static void notify_thread(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_int = 5, .sigev_notify_function = on_message };
	struct sigevent raw = { .sigev_notify = SIGEV_THREAD, .sigev_value.sival_ptr = name };
	mqd_t q = fresh(2, 8, 0);

	raw.sigev_signo = 9999;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &raw), EBADF);
	CHECK(mq_notify(q, &ev) == 0);
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	CHECK(mq_send(q, "x", 1, 0) == 0);
	for (int i = 0; !told && i < 2000; i++)
		usleep(10000);
	CHECK(told == 5);
	CHECK(mq_notify(q, &ev) == 0 && mq_notify(q, NULL) == 0 && mq_notify(q, &ev) == 0);
	mq_close(q);
	CHECK(mq_unlink(name) == 0);
}

static void notify(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO }, al = { .sa_handler = on_alarm };
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1, .sigev_value.sival_int = 77 };
	struct sigevent none = { .sigev_notify = SIGEV_NONE }, wrong = { .sigev_notify = 99 };
	mqd_t q = fresh(4, 8, O_NONBLOCK), q2;
	char buf[128];
	pid_t p;
	int st;

	sigaction(SIGUSR1, &sa, NULL);
	CHECK_ERRNO(mq_notify(q, &wrong), EINVAL);
	CHECK_ERRNO(mq_notify(0, &ev), EBADF);
	CHECK(mq_notify(q, &ev) == 0);
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	p = fork();
	if (!p) {
		CHECK_ERRNO(mq_notify(q, &none), EBUSY);
		CHECK(mq_notify(q, NULL) == 0); /* not its registration */
		CHECK(mq_send(q, "a", 1, 0) == 0);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p || errno == EINTR);
	waitpid(p, &st, 0);
	CHECK(got_sig == SIGUSR1 && got_code == SI_MESGQ && got_value == 77 && got_pid == p);
	got_sig = 0;
	CHECK(mq_notify(q, &ev) == 0); /* used up before; now the queue is not empty */
	CHECK(mq_send(q, "b", 1, 0) == 0);
	CHECK(got_sig == 0);
	CHECK(mq_receive(q, buf, 8, NULL) == 1 && mq_receive(q, buf, 8, NULL) == 1);
	CHECK(mq_send(q, "c", 1, 0) == 0 && got_sig == SIGUSR1 && got_pid == getpid());
	CHECK(mq_receive(q, buf, 8, NULL) == 1);
	CHECK(mq_notify(q, &none) == 0);
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	CHECK(mq_notify(q, NULL) == 0 && mq_notify(q, NULL) == 0);
	CHECK(mq_notify(q, &ev) == 0);
	CHECK(mq_send(q, "abc", 3, 0) == 0 && mq_send(q, "de", 2, 0) == 0);
	CHECK(lseek(q, 0, SEEK_SET) == 0 && read(q, buf, sizeof(buf)) > 0 && !strncmp(buf, "QSIZE:5 ", 8));
	CHECK(mq_receive(q, buf, 8, NULL) == 3 && mq_receive(q, buf, 8, NULL) == 2);
	/* Closing any descriptor of the queue ends the registration. */
	CHECK(mq_notify(q, &ev) == 0);
	q2 = mq_open(name, O_RDWR);
	CHECK(q2 >= 0 && mq_close(q2) == 0);
	CHECK(mq_notify(q, &none) == 0 && mq_notify(q, NULL) == 0);
	mq_close(q);

	/* A signal handler ends a wait. */
	q = fresh(1, 8, 0);
	sigaction(SIGALRM, &al, NULL);
	ualarm(30000, 0);
	CHECK_ERRNO(mq_receive(q, buf, 8, NULL), EINTR);
	mq_close(q);
}

static void limits(void)
{
	struct mq_attr a = { .mq_maxmsg = 0, .mq_msgsize = 8 };
	struct rlimit old, rl;
	mqd_t q;

	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a = (struct mq_attr){ .mq_maxmsg = 1 << 20, .mq_msgsize = 8 };
	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a = (struct mq_attr){ .mq_maxmsg = 1, .mq_msgsize = 1 << 30 };
	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EINVAL);
	a = (struct mq_attr){ .mq_maxmsg = 10, .mq_msgsize = 1000 };
	CHECK(getrlimit(RLIMIT_MSGQUEUE, &old) == 0);
	rl = (struct rlimit){ 10959, old.rlim_max };
	CHECK(setrlimit(RLIMIT_MSGQUEUE, &rl) == 0);
	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &a), EMFILE);
	rl.rlim_cur = 10960; /* 10 * (1000 + 48 + 48) */
	CHECK(setrlimit(RLIMIT_MSGQUEUE, &rl) == 0);
	q = mq_open(name, O_CREAT | O_RDWR, 0600, &a);
	CHECK(q >= 0);
	CHECK_ERRNO(mq_open(name2, O_CREAT | O_RDWR, 0600, &a), EMFILE);
	mq_close(q);
	mq_unlink(name); /* now its bytes are given back */
	q = mq_open(name2, O_CREAT | O_RDWR, 0600, &a);
	CHECK(q >= 0);
	mq_close(q);
	mq_unlink(name2);
}

/* As a user who has no other queues: bytes are counted per user. */
static void limits_alone(void)
{
	pid_t p;
	int st;

	if (getuid())
		return;
	mq_unlink(name);
	p = fork();
	if (!p) {
		CHECK(setuid(40000 + getpid() % 10000) == 0);
		limits();
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
}

static void remove_queues(void)
{
	mq_unlink(name);
	mq_unlink(name2);
}

static void rights(void)
{
	mqd_t q;
	pid_t p;
	int st;

	if (getuid())
		return;
	umask(022);
	q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0666, NULL);
	CHECK(q >= 0);
	p = fork();
	if (!p) {
		CHECK(setgid(1234) == 0 && setuid(1234) == 0);
		CHECK(mq_open(name, O_RDONLY) >= 0);
		CHECK_ERRNO(mq_open(name, O_RDWR), EACCES);
		CHECK_ERRNO(syscall(SYS_mq_unlink, name + 1), EPERM); /* sticky directory */
		CHECK(mq_open(name2, O_CREAT | O_RDWR, 0, NULL) >= 0); /* who makes it may use it */
		CHECK_ERRNO(mq_open(name2, O_RDONLY), EACCES);
		CHECK(mq_unlink(name2) == 0);
		_exit(0);
	}
	CHECK(waitpid(p, &st, 0) == p && st == 0);
	mq_close(q);
	CHECK(mq_unlink(name) == 0);
}

/* The same queue by its path, where the file system is mounted. */
static void mounted(void)
{
	char path[128];
	struct stat st;
	char buf[8192];
	mqd_t q;
	int fd;

	if (stat("/dev/mqueue", &st) || (st.st_mode & 07777) != 01777)
		return;
	q = fresh(2, 8, O_NONBLOCK);
	snprintf(path, sizeof(path), "/dev/mqueue%s", name);
	if (stat(path, &st)) {
		mq_close(q);
		return; /* a directory that nothing is mounted on */
	}
	fd = open(path, O_RDWR | O_NONBLOCK);
	CHECK(fd >= 0 && mq_send(fd, "m", 1, 3) == 0);
	CHECK(mq_receive(q, buf, 8, NULL) == 1 && buf[0] == 'm');
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	CHECK(unlink(path) == 0);
	CHECK_ERRNO(mq_open(name, O_RDONLY), ENOENT);
	close(fd);
	fd = open(path, O_CREAT | O_RDWR | O_NONBLOCK, 0600); /* default attributes */
	CHECK(fd >= 0 && mq_send(fd, "n", 1, 0) == 0);
	mq_close(q);
	q = mq_open(name, O_RDONLY);
	CHECK(q >= 0 && mq_receive(q, buf, sizeof(buf), NULL) == 1 && buf[0] == 'n');
	close(fd);
	mq_close(q);
	CHECK(mq_unlink(name) == 0);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* A new IPC namespace has no queues; its file system goes with it, unless a descriptor stays. */
static void namespaces(void)
{
	mqd_t q = fresh(2, 8, O_NONBLOCK);
	char path[128];
	struct stat st;
	pid_t p;
	int status;

	p = getuid() ? -1 : fork();
	if (p < 0) {
		mq_close(q);
		return;
	}
	if (!p) {
		if (unshare(CLONE_NEWUSER | CLONE_NEWIPC | CLONE_NEWNS))
			_exit(77);
		CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, NULL), EOVERFLOW);
		put("/proc/self/setgroups", "deny");
		put("/proc/self/uid_map", "0 0 1");
		put("/proc/self/gid_map", "0 0 1");
		CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
		CHECK(mq_send(q, "x", 1, 0) == 0);
		q = mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL);
		CHECK(q >= 0);
		CHECK(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 && mount("mq", "/tmp", "mqueue", 0, NULL) == 0);
		snprintf(path, sizeof(path), "/tmp%s", name);
		CHECK(stat(path, &st) == 0 && S_ISREG(st.st_mode));
		CHECK(unshare(CLONE_NEWIPC) == 0);
		CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
		CHECK(stat(path, &st) == 0); /* the mount shows the namespace in which it was made */
		CHECK(umount("/tmp") == 0);
		CHECK(mq_send(q, "x", 1, 0) == 0);
		_exit(0);
	}
	CHECK(waitpid(p, &status, 0) == p && (status == 0 || status == 77 << 8));
	if (!status)
		CHECK(mq_receive(q, path, 8, NULL) == 1 && path[0] == 'x');
	mq_close(q);
	CHECK(mq_unlink(name) == 0);
}

int main(void)
{
	snprintf(name, sizeof(name), "/guest-mq-%d", getpid());
	snprintf(name2, sizeof(name2), "/guest-mq2-%d", getpid());
	atexit(remove_queues);
	names();
	order();
	blocking();
	notify();
	notify_thread();
	limits_alone();
	rights();
	mounted();
	namespaces();
	return 0;
}
