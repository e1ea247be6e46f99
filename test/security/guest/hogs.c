/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/hogs.c - takes all there is of one kind: argument says of what. It must end in an error number, not in harm.
 * Prints "NAME: COUNT then ERROR" and "done NAME"; holds what it has until /v/go appears, so that a neighbour can be asked meanwhile.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/netlink.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define COUNT_MAX 100000
#define SECONDS	  2 /* some have no bound but memory, as on Linux */

static long take_fds(void) { return open("/dev/null", O_RDONLY); }
static long take_eventfds(void) { return eventfd(0, 0); }
static long take_timers(void) { return timerfd_create(CLOCK_MONOTONIC, 0); }
static long take_epolls(void) { return epoll_create1(0); }
static long take_inotify(void) { return inotify_init(); }

static long take_sockets(void)
{
	static unsigned n;
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	int fd = socket(AF_INET, n++ & 1 ? SOCK_DGRAM : SOCK_STREAM, 0);

	if (fd >= 0) {
		bind(fd, (struct sockaddr *)&a, sizeof(a));
		listen(fd, 100);
	}
	return fd;
}

static long take_pipes(void)
{
	static char big[65536];
	int p[2];

	if (pipe(p) < 0)
		return -1;
	fcntl(p[1], F_SETFL, O_NONBLOCK);
	for (int i = 0; i < 16; i++)
		if (write(p[1], big, sizeof(big)) < 0)
			break;
	return 0;
}

static long take_unix(void)
{
	static char big[65536];
	int p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
		return -1;
	for (int i = 0; i < 16; i++)
		if (send(p[1], big, sizeof(big), MSG_DONTWAIT) < 0)
			break;
	return 0;
}

/* areas that cannot be merged: neighbours differ in protection */
static long take_maps(void)
{
	static unsigned n;

	return mmap(NULL, 4096, n++ & 1 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? -1 : 0;
}

static long take_watches(void)
{
	static int in = -1;
	static unsigned n;
	char p[64];

	if (in < 0)
		in = inotify_init();
	snprintf(p, sizeof(p), "/tmp/w%u", n++);
	close(open(p, O_CREAT | O_WRONLY, 0600));
	return inotify_add_watch(in, p, IN_ALL_EVENTS);
}

static long take_locks(void)
{
	static int fd = -1;
	static unsigned n;
	struct flock l = { .l_type = n & 1 ? F_WRLCK : F_RDLCK, .l_start = n, .l_len = 1 };

	if (fd < 0)
		fd = open("/tmp/locks", O_CREAT | O_RDWR, 0600);
	n += 1;
	return fcntl(fd, F_SETLK, &l);
}

static long take_signals(void)
{
	union sigval v = { 0 };
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &s, NULL);
	return sigqueue(getpid(), SIGRTMIN, v);
}

static long take_ptimers(void)
{
	timer_t t;
	struct sigevent e = { .sigev_notify = SIGEV_NONE };

	return timer_create(CLOCK_MONOTONIC, &e, &t);
}

static long take_files(void)
{
	static unsigned n;
	char p[64];
	int fd;

	snprintf(p, sizeof(p), "/tmp/f%u", n++);
	fd = open(p, O_CREAT | O_WRONLY, 0600);
	if (fd < 0 || ftruncate(fd, 1l << 40) < 0 || pwrite(fd, p, sizeof(p), 4096l * (n % 4096)) < 0)
		return -1;
	close(fd);
	return 0;
}

static void *sleeper(void *arg)
{
	pause();
	return NULL;
}

static long take_threads(void)
{
	pthread_attr_t a;
	pthread_t t;

	pthread_attr_init(&a);
	pthread_attr_setstacksize(&a, 16384);
	errno = pthread_create(&t, &a, sleeper, NULL);
	return errno ? -1 : 0;
}

/* every child forks as well */
static long take_forks(void)
{
	pid_t p = fork();

	if (p == 0) {
		alarm(30);
		for (;;)
			if (fork() < 0)
				sleep(1);
	}
	return p;
}

/* connected pairs whose buffers are full both ways */
static long take_tcp(void)
{
	static char big[65536];
	static struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f };
	static socklen_t l = sizeof(a);
	static int lis = -1;
	int c, s;

	if (lis < 0) {
		lis = socket(AF_INET, SOCK_STREAM, 0);
		bind(lis, (struct sockaddr *)&a, sizeof(a));
		listen(lis, 16);
		getsockname(lis, (struct sockaddr *)&a, &l);
	}
	c = socket(AF_INET, SOCK_STREAM, 0);
	if (c < 0 || connect(c, (struct sockaddr *)&a, sizeof(a)) < 0 || (s = accept(lis, NULL, NULL)) < 0)
		return -1;
	for (int i = 0; i < 100 && send(c, big, sizeof(big), MSG_DONTWAIT) > 0; i++)
		;
	for (int i = 0; i < 100 && send(s, big, sizeof(big), MSG_DONTWAIT) > 0; i++)
		;
	return 0;
}

static long take_udp(void)
{
	static char big[60000];
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = 0x0100007f };
	socklen_t l = sizeof(a);
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, l) < 0 || getsockname(fd, (struct sockaddr *)&a, &l) < 0)
		return -1;
	for (int i = 0; i < 8; i++) /* full: what comes is dropped, and that is no error */
		if (sendto(fd, big, sizeof(big), MSG_DONTWAIT, (struct sockaddr *)&a, l) < 0 && errno != EAGAIN)
			return -1;
	return 0;
}

static long take_netlink(void)
{
	struct { struct nlmsghdr h; char body[16]; } m = { { sizeof(m), 18 /* RTM_GETLINK */, NLM_F_REQUEST | NLM_F_DUMP, 1, 0 }, "" };
	int fd = socket(AF_NETLINK, SOCK_RAW, 0);

	for (int i = 0; fd >= 0 && i < 50; i++)
		send(fd, &m, sizeof(m), MSG_DONTWAIT);
	return fd;
}

/* sockets that hold each other's descriptors */
static long take_rights(void)
{
	char ctl[CMSG_SPACE(sizeof(int) * 200)] = "", b = 0;
	struct iovec v = { &b, 1 };
	struct msghdr m = { .msg_iov = &v, .msg_iovlen = 1, .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int p[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, p) < 0)
		return -1;
	*c = (struct cmsghdr){ CMSG_LEN(sizeof(int) * 200), SOL_SOCKET, SCM_RIGHTS };
	for (int i = 0; i < 200; i++)
		((int *)CMSG_DATA(c))[i] = p[i & 1];
	if (sendmsg(p[0], &m, MSG_DONTWAIT) < 0)
		return -1;
	close(p[0]);
	close(p[1]);
	return 0;
}

static long take_shm(void)
{
	int id = shmget(IPC_PRIVATE, 65536, IPC_CREAT | 0600);
	char *p = id < 0 ? (void *)-1 : shmat(id, NULL, 0);

	if (p == (void *)-1)
		return -1;
	*p = 1;
	return shmdt(p);
}

static long take_msgs(void)
{
	static struct { long type; char text[8000]; } m = { 1, "" };
	int id = msgget(IPC_PRIVATE, IPC_CREAT | 0600);

	for (int i = 0; id >= 0 && i < 3; i++)
		if (msgsnd(id, &m, sizeof(m.text), IPC_NOWAIT) < 0 && errno != EAGAIN)
			return -1;
	return id;
}

static long take_sems(void) { return semget(IPC_PRIVATE, 1000, IPC_CREAT | 0600); }

static long take_mqueues(void)
{
	static unsigned n;
	char name[32];
	struct mq_attr a = { .mq_maxmsg = 10, .mq_msgsize = 8192 };

	snprintf(name, sizeof(name), "/q%u", n++);
	return mq_open(name, O_CREAT | O_RDWR, 0600, &a);
}

static long take_memfds(void)
{
	static char big[65536];
	int fd = memfd_create("x", 0);

	return fd < 0 || write(fd, big, sizeof(big)) < 0 ? -1 : 0;
}

static long take_dirs(void)
{
	static unsigned n;
	char p[300];

	snprintf(p, sizeof(p), "/tmp/%0240u", n++);
	return mkdir(p, 0700);
}

static long take_names(void) /* that do not exist, and are remembered as such */
{
	static unsigned n;
	char p[300];

	snprintf(p, sizeof(p), "/tmp/%0240u", n++);
	access(p, F_OK);
	return 0;
}

static long take_xattrs(void)
{
	static char big[60000];
	static unsigned n;
	char p[64];

	snprintf(p, sizeof(p), "/tmp/x%u", n++);
	close(open(p, O_CREAT | O_WRONLY, 0600));
	return setxattr(p, "user.big", big, sizeof(big), 0);
}

static long take_epitems(void)
{
	static int e = -1, ev = -1;
	struct epoll_event x = { .events = EPOLLIN };

	if (e < 0) {
		e = epoll_create1(0);
		ev = eventfd(0, 0);
	}
	return epoll_ctl(e, EPOLL_CTL_ADD, dup(ev), &x);
}

static long take_events(void)
{
	int in = inotify_init();

	if (in < 0 || inotify_add_watch(in, "/tmp", IN_ALL_EVENTS) < 0)
		return -1;
	for (int i = 0; i < 20; i++) {
		close(open("/tmp/a-file-of-some-name", O_CREAT | O_WRONLY, 0600));
		unlink("/tmp/a-file-of-some-name");
	}
	return 0;
}

static long take_ptys(void)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY);

	return fd;
}

static long take_mounts(void) { return mount("none", "/tmp", "tmpfs", 0, NULL); }

static long take_namespaces(void)
{
	static char p[64];
	if (unshare(CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWNS) < 0)
		return -1;
	snprintf(p, sizeof(p), "/proc/self/ns/net");
	return open(p, O_RDONLY); /* keeps it */
}

static long take_filters(void)
{
	static struct sock_filter f[4000];
	struct sock_fprog p = { 4000, f };

	for (int i = 0; i < 4000; i++)
		f[i] = (struct sock_filter){ BPF_RET | BPF_K, 0, 0, 0x7fff0000 };
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return prctl(PR_SET_SECCOMP, 2, &p);
}

static const struct {
	const char *name;
	long (*take)(void);
} hogs[] = {
	{ "tcp", take_tcp },	     { "udp", take_udp },	{ "netlink", take_netlink }, { "rights", take_rights },
	{ "shm", take_shm },	     { "msgs", take_msgs },	{ "sems", take_sems },	     { "mqueues", take_mqueues },
	{ "memfds", take_memfds },   { "dirs", take_dirs },	{ "names", take_names },     { "xattrs", take_xattrs },
	{ "epitems", take_epitems }, { "events", take_events }, { "ptys", take_ptys },	     { "mounts", take_mounts },
	{ "namespaces", take_namespaces }, { "filters", take_filters },
	{ "fds", take_fds },	   { "pipes", take_pipes },	{ "maps", take_maps },	     { "inotify", take_inotify },
	{ "watches", take_watches }, { "sockets", take_sockets }, { "unix", take_unix },       { "eventfds", take_eventfds },
	{ "timerfds", take_timers }, { "epolls", take_epolls },	{ "locks", take_locks },     { "signals", take_signals },
	{ "timers", take_ptimers },  { "files", take_files },	{ "threads", take_threads }, { "forks", take_forks },
};

int main(int argc, char **argv)
{
	struct rlimit all = { 1 << 20, 1 << 20 };
	time_t end = time(NULL) + SECONDS;
	long n = 0, e = 0;

	setvbuf(stdout, NULL, _IOLBF, 0);
	signal(SIGCHLD, SIG_IGN);
	setrlimit(RLIMIT_NOFILE, &all);
	for (size_t i = 0; argc > 1 && i < sizeof(hogs) / sizeof(*hogs); i++) {
		if (strcmp(argv[1], hogs[i].name))
			continue;
		while (n < COUNT_MAX && time(NULL) < end) {
			if (hogs[i].take() < 0) {
				e = errno;
				break;
			}
			n++;
		}
		printf("%s: %ld then %s\n", argv[1], n, e ? strerror(e) : "no end");
		for (int i = 0; i < 300 && access("/v/go", F_OK); i++) /* the neighbour is being asked */
			usleep(100000);
		printf("done %s\n", argv[1]);
		fflush(stdout);
		if (!strcmp(argv[1], "forks"))
			kill(-1, SIGKILL);
		_exit(0);
	}
	return 2;
}
