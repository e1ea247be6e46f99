/* SPDX-License-Identifier: Apache-2.0
 * test/guest/poll_wait.c - poll, select, epoll, eventfd, timerfd, signalfd, inotify
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "guest.h"

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void polls(void)
{
	int p[2], st;
	struct pollfd pf[3];
	double t;
	pid_t pid;
	fd_set r;
	struct timeval tv = { 0, 20000 };

	CHECK(pipe(p) == 0);
	close(999);
	pf[0] = (struct pollfd){ p[0], POLLIN, 0 };
	pf[1] = (struct pollfd){ -1, POLLIN, 0 };
	pf[2] = (struct pollfd){ 999, POLLIN, 0 };
	CHECK(poll(pf, 3, 0) == 1 && pf[2].revents == POLLNVAL && !pf[0].revents && !pf[1].revents);
	t = now();
	CHECK(poll(pf, 1, 30) == 0 && now() - t >= 0.029);
	pid = fork();
	if (pid == 0) {
		usleep(20000);
		_exit(write(p[1], "x", 1) != 1);
	}
	CHECK(poll(pf, 2, 5000) == 1 && pf[0].revents == POLLIN);
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	FD_ZERO(&r);
	FD_SET(p[0], &r);
	CHECK(select(p[0] + 1, &r, NULL, NULL, NULL) == 1 && FD_ISSET(p[0], &r));
	char c;
	CHECK(read(p[0], &c, 1) == 1);
	CHECK(select(p[0] + 1, &r, NULL, NULL, &tv) == 0 && !FD_ISSET(p[0], &r));
	CHECK_ERRNO(select(-1, NULL, NULL, NULL, NULL), EINVAL);
	/* closed for certain, and within the table: descriptors past its size are not looked at (fs/select.c clamps to it) */
	CHECK(dup2(p[0], 200) == 200 && close(200) == 0);
	FD_SET(200, &r);
	CHECK_ERRNO(select(201, &r, NULL, NULL, NULL), EBADF);
	close(p[0]);
	close(p[1]);
}

static volatile sig_atomic_t alarms;
static void on_alarm(int s)
{
	alarms++;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct timespec ts = { 5, 0 };
	sigset_t block, none;
	int ep = epoll_create1(0);
	struct epoll_event ev;

	sigaction(SIGALRM, &sa, NULL);
	ualarm(20000, 0);
	CHECK_ERRNO(poll(NULL, 0, 5000), EINTR);
	ualarm(20000, 0);
	CHECK_ERRNO(epoll_wait(ep, &ev, 1, 5000), EINTR);
	CHECK(alarms == 2);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGALRM);
	sigprocmask(SIG_BLOCK, &block, NULL);
	ualarm(10000, 0);
	usleep(30000);
	CHECK(alarms == 2);
	CHECK_ERRNO(ppoll(NULL, 0, &ts, &none), EINTR);
	CHECK(alarms == 3);
	sigprocmask(SIG_SETMASK, NULL, &none);
	CHECK(sigismember(&none, SIGALRM));
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	close(ep);
}

static void epolls(void)
{
	int p[2], ep = epoll_create1(EPOLL_CLOEXEC), ep2 = epoll_create1(0), ev = eventfd(0, EFD_NONBLOCK), d;
	struct epoll_event e = { .events = EPOLLIN, .data.u64 = 7 }, out[4];
	uint64_t v = 1;

	CHECK(pipe(p) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e) == 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e), EEXIST);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_MOD, p[1], &e), ENOENT);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep, &e), EINVAL);
	CHECK_ERRNO(epoll_ctl(p[0], EPOLL_CTL_ADD, p[1], &e), EINVAL);
	CHECK_ERRNO(epoll_wait(ep, out, 0, 0), EINVAL);
	CHECK(epoll_wait(ep, out, 4, 0) == 0);
	CHECK(write(p[1], "x", 1) == 1 && epoll_wait(ep, out, 4, -1) == 1 && out[0].data.u64 == 7);
	e.events = EPOLLIN | EPOLLET;
	e.data.u64 = 8;
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e) == 0 && write(ev, &v, 8) == 8);
	CHECK(epoll_wait(ep, out, 4, 0) == 2);
	CHECK(epoll_wait(ep, out, 4, 0) == 1 && out[0].data.u64 == 7);
	CHECK(write(ev, &v, 8) == 8 && epoll_wait(ep, out, 4, 0) == 2);
	CHECK(read(ev, &v, 8) == 8 && v == 2);
	CHECK_ERRNO(read(ev, &v, 8), EAGAIN);
	e.events = EPOLLIN;
	CHECK(epoll_ctl(ep2, EPOLL_CTL_ADD, ep, &e) == 0);
	CHECK_ERRNO(epoll_ctl(ep, EPOLL_CTL_ADD, ep2, &e), ELOOP);
	CHECK(epoll_wait(ep2, out, 4, 0) == 1);
	d = dup(p[0]);
	close(p[0]);
	CHECK(epoll_wait(ep, out, 4, 0) == 1);	/* the description lives on in the copy */
	close(d);
	CHECK(epoll_wait(ep, out, 4, 0) == 0);
	close(p[1]);
	close(ev);
	close(ep);
	close(ep2);
}

static void timers(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
	struct itimerspec its = { { 0, 10000000 }, { 0, 10000000 } }, cur;
	struct pollfd pf = { t, POLLIN, 0 };
	uint64_t n;

	CHECK(t >= 0);
	CHECK_ERRNO(read(t, &n, 8), EAGAIN);
	CHECK(timerfd_settime(t, 0, &its, NULL) == 0);
	CHECK(poll(&pf, 1, 1000) == 1);
	usleep(35000);
	CHECK(read(t, &n, 8) == 8 && n >= 3);
	CHECK(poll(&pf, 1, 1000) == 1);
	CHECK(timerfd_gettime(t, &cur) == 0 && cur.it_interval.tv_nsec == 10000000);
	its = (struct itimerspec){ { 0, 0 }, { 0, 0 } };
	CHECK(timerfd_settime(t, 0, &its, &cur) == 0);
	CHECK_ERRNO(timerfd_create(99, 0), EINVAL);
	CHECK_ERRNO(read(t, &n, 4), EINVAL);
	close(t);
}

static void signals(void)
{
	sigset_t s;
	struct signalfd_siginfo si;
	struct pollfd pf;
	int fd;

	sigemptyset(&s);
	sigaddset(&s, SIGUSR1);
	sigprocmask(SIG_BLOCK, &s, NULL);
	fd = signalfd(-1, &s, SFD_NONBLOCK);
	CHECK(fd >= 0);
	CHECK_ERRNO(read(fd, &si, sizeof(si)), EAGAIN);
	pf = (struct pollfd){ fd, POLLIN, 0 };
	CHECK(kill(getpid(), SIGUSR1) == 0 && poll(&pf, 1, 1000) == 1);
	CHECK(read(fd, &si, sizeof(si)) == sizeof(si) && si.ssi_signo == SIGUSR1 && si.ssi_pid == (uint32_t)getpid());
	close(fd);
}

static void watches(void)
{
	char buf[4096];
	struct inotify_event *e = (void *)buf;
	int fd = inotify_init1(IN_NONBLOCK), wd, f;
	ssize_t n;

	wd = inotify_add_watch(fd, ".", IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_CLOSE_WRITE);
	CHECK(wd >= 1);
	CHECK_ERRNO(read(fd, buf, sizeof(buf)), EAGAIN);
	f = open("w", O_CREAT | O_WRONLY, 0600);
	CHECK(write(f, "x", 1) == 1);
	close(f);
	CHECK(rename("w", "w2") == 0 && unlink("w2") == 0);
	n = read(fd, buf, sizeof(buf));
	CHECK(n == 5 * (16 + 16));
	CHECK(e->wd == wd && e->mask == IN_CREATE && !strcmp(e->name, "w"));
	e = (void *)(buf + 32);
	CHECK(e->mask == IN_CLOSE_WRITE);
	e = (void *)(buf + 64);
	CHECK(e->mask == IN_MOVED_FROM && !strcmp(e->name, "w"));
	uint32_t cookie = e->cookie;
	e = (void *)(buf + 96);
	CHECK(e->mask == IN_MOVED_TO && e->cookie == cookie && !strcmp(e->name, "w2"));
	e = (void *)(buf + 128);
	CHECK(e->mask == IN_DELETE);
	CHECK(inotify_rm_watch(fd, wd) == 0);
	CHECK(read(fd, buf, sizeof(buf)) == 16 && ((struct inotify_event *)buf)->mask == IN_IGNORED);
	CHECK_ERRNO(inotify_rm_watch(fd, wd), EINVAL);
	close(fd);
}

static void sticky(void)
{
	struct timeval tv = { 0, 10 };

	CHECK(personality(PER_LINUX | STICKY_TIMEOUTS) == PER_LINUX);
	CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 10);
	CHECK(personality(PER_LINUX) == (PER_LINUX | STICKY_TIMEOUTS));
	CHECK(select(0, NULL, NULL, NULL, &tv) == 0 && tv.tv_usec == 0);
}

int main(void)
{
	char dir[] = "/tmp/poll_wait.XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	polls();
	sticky();
	interrupted();
	epolls();
	timers();
	signals();
	watches();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
