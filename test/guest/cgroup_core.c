/* SPDX-License-Identifier: Apache-2.0
 * test/guest/cgroup_core.c - control groups without controllers: the tree, processes in it, freezing, killing, namespaces, delegation
 *
 * Everything happens below a group of its own, in a mount of its own, so that it is the same on a host that has other groups.
 * Inside with: CAP_SYS_ADMIN
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

static int failures;
#define CHECK(c)                                                                                                     \
	do {                                                                                                         \
		if (!(c)) {                                                                                          \
			printf("%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #c, errno, strerror(errno));         \
			failures++;                                                                                  \
		}                                                                                                    \
	} while (0)
#define FAILS(c, e) CHECK((errno = 0, (c) == -1) && errno == (e))

static char mnt[] = "/tmp/cgcore.XXXXXX", base[64];

static const char *at(const char *fmt, ...)
{
	static char bufs[8][512];
	static int next;
	char *b = bufs[next++ % 8];
	int n = snprintf(b, 512, "%s/", base);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(b + n, 512 - (size_t)n, fmt, ap);
	va_end(ap);
	return b;
}

static char *slurp(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	ssize_t n = 0, r = -1;

	while (fd >= 0 && (r = read(fd, text + n, sizeof(text) - 1 - (size_t)n)) > 0)
		n += r;
	text[r < 0 ? 0 : n] = 0;
	if (fd >= 0)
		close(fd);
	return text;
}

static int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), e;
	ssize_t n = fd < 0 ? -1 : write(fd, text, strlen(text));

	e = errno;
	if (fd >= 0)
		close(fd);
	errno = e;
	return n < 0 ? -1 : 0;
}

static int put_pid(const char *path, pid_t pid)
{
	char t[24];

	snprintf(t, sizeof(t), "%d", pid);
	return put(path, t);
}

static bool has(const char *path, const char *what)
{
	return strstr(slurp(path), what) != NULL;
}

/* Waits until the file says so; groups learn of an exit a little after wait(2) does. */
static bool becomes(const char *path, const char *what)
{
	for (int i = 0; i < 500; i++) {
		if (has(path, what))
			return true;
		usleep(10000);
	}
	return false;
}

/* Where @pid is, below the mount. */
static const char *group_of(pid_t pid)
{
	static char out[512];
	char path[64], *s;

	snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	s = strstr(slurp(path), "0::");
	snprintf(out, sizeof(out), "%.*s", s ? (int)strcspn(s + 3, "\n") : 0, s ? s + 3 : "");
	return out;
}

static bool in(pid_t pid, const char *tail)
{
	const char *g = group_of(pid);
	size_t n = strlen(g), t = strlen(tail);

	return n >= t && !strcmp(g + n - t, tail);
}

static pid_t sleeper(void)
{
	pid_t p = fork();

	if (!p)
		for (;;)
			pause();
	return p;
}

static void reap(pid_t p)
{
	kill(p, SIGKILL);
	waitpid(p, NULL, 0);
}

static void test_tree(void)
{
	static const char *const files[] = { "cgroup.controllers", "cgroup.events", "cgroup.freeze", "cgroup.kill", "cgroup.max.depth",
		"cgroup.max.descendants", "cgroup.procs", "cgroup.stat", "cgroup.subtree_control", "cgroup.threads", "cgroup.type", "cpu.stat" };
	static const unsigned modes[] = { 0444, 0444, 0644, 0200, 0644, 0644, 0644, 0444, 0644, 0644, 0644, 0444 };
	struct stat st;
	int fd;

	CHECK(mkdir(at("a"), 0755) == 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		CHECK(stat(at("a/%s", files[i]), &st) == 0);
		CHECK((st.st_mode & 07777) == modes[i]);
		CHECK(S_ISREG(st.st_mode) && st.st_size == 0 && st.st_uid == getuid());
	}
	CHECK(!strcmp(slurp(at("a/cgroup.type")), "domain\n"));
	CHECK(!strcmp(slurp(at("a/cgroup.procs")), ""));
	CHECK(!strcmp(slurp(at("a/cgroup.events")), "populated 0\nfrozen 0\n"));
	CHECK(!strcmp(slurp(at("a/cgroup.subtree_control")), ""));
	CHECK(!strcmp(slurp(at("a/cgroup.max.depth")), "max\n"));
	CHECK(strstr(slurp(at("a/cpu.stat")), "usage_usec 0\nuser_usec 0\nsystem_usec 0\n") != NULL);
	CHECK(stat(at("a"), &st) == 0 && st.st_nlink == 2);
	CHECK(mkdir(at("a/b"), 0755) == 0 && mkdir(at("a/b/c"), 0700) == 0);
	CHECK(stat(at("a"), &st) == 0 && st.st_nlink == 3);
	CHECK(stat(at("a/b/c"), &st) == 0 && (st.st_mode & 07777) == 0700);
	CHECK(!strncmp(slurp(at("a/cgroup.stat")), "nr_descendants 2\n", 17));
	FAILS(mkdir(at("a/b"), 0755), EEXIST);
	FAILS(mkdir(at("a/cgroup.procs"), 0755), EEXIST);
	FAILS(mkdir(at("a/x\ny"), 0755), EINVAL);
	FAILS(rmdir(at("a/b")), EBUSY);
	FAILS(rmdir(at("a/none")), ENOENT);
	FAILS(rmdir(at("a/cgroup.procs")), ENOTDIR);
	FAILS(unlink(at("a/cgroup.procs")), EPERM);
	FAILS(open(at("a/file"), O_CREAT | O_WRONLY, 0644), EACCES);
	FAILS(rename(at("a/b"), at("a/z")), EPERM);
	FAILS(symlink("x", at("a/link")), EPERM);
	CHECK(setxattr(at("a"), "user.note", "yes", 3, 0) == 0);
	CHECK(getxattr(at("a"), "user.note", slurp("/dev/null"), 16) == 3);

	CHECK(put(at("a/cgroup.max.depth"), "1\n") == 0);
	FAILS(mkdir(at("a/b/d"), 0755), EAGAIN);
	CHECK(mkdir(at("a/e"), 0755) == 0 && rmdir(at("a/e")) == 0);
	CHECK(put(at("a/cgroup.max.depth"), "max") == 0 && put(at("a/cgroup.max.descendants"), " 2 \n") == 0);
	CHECK(!strcmp(slurp(at("a/cgroup.max.descendants")), "2\n"));
	FAILS(mkdir(at("a/e"), 0755), EAGAIN);
	FAILS(put(at("a/cgroup.max.descendants"), "many"), EINVAL);
	FAILS(put(at("a/cgroup.max.descendants"), "-1"), ERANGE);
	FAILS(put(at("a/cgroup.subtree_control"), "+nothing"), EINVAL);
	FAILS(put(at("a/cgroup.freeze"), "2"), ERANGE);
	FAILS(put(at("a/cgroup.freeze"), "x"), EINVAL);
	FAILS(put(at("a/cgroup.kill"), "0"), ERANGE);
	FAILS(put(at("a/cgroup.type"), "domain"), EINVAL);

	/* What is open of a group that is removed answers so. */
	fd = open(at("a/b/c/cgroup.procs"), O_RDWR);
	CHECK(fd >= 0 && rmdir(at("a/b/c")) == 0);
	FAILS(read(fd, slurp("/dev/null"), 10), ENODEV);
	FAILS(write(fd, "0", 1), ENODEV);
	close(fd);
	CHECK(rmdir(at("a/b")) == 0 && rmdir(at("a")) == 0);
	FAILS(stat(at("a/cgroup.procs"), &st), ENOENT);
}

static void test_processes(void)
{
	struct pollfd pfd = { .events = POLLPRI };
	char text[64];
	int ino, status;
	pid_t p, q;

	CHECK(mkdir(at("p"), 0755) == 0 && mkdir(at("p/q"), 0755) == 0);
	pfd.fd = open(at("p/cgroup.events"), O_RDONLY);
	ino = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(ino, at("p/cgroup.events"), IN_MODIFY) >= 0);
	CHECK(read(pfd.fd, text, sizeof(text)) > 0 && poll(&pfd, 1, 0) == 0);
	p = sleeper();
	CHECK(put_pid(at("p/q/cgroup.procs"), p) == 0);
	CHECK(in(p, "/p/q"));
	snprintf(text, sizeof(text), "%d\n", p);
	CHECK(!strcmp(slurp(at("p/q/cgroup.procs")), text) && !strcmp(slurp(at("p/q/cgroup.threads")), text));
	CHECK(!strcmp(slurp(at("p/cgroup.procs")), ""));
	CHECK(has(at("p/cgroup.events"), "populated 1"));
	CHECK(poll(&pfd, 1, 5000) == 1 && (pfd.revents & POLLPRI));
	pfd.revents = 0;
	CHECK(lseek(pfd.fd, 0, SEEK_SET) == 0 && read(pfd.fd, text, sizeof(text)) > 0 && poll(&pfd, 1, 0) == 0);
	usleep(50000); /* the host tells inotify from a worker */
	CHECK(read(ino, slurp("/dev/null"), 4096) > 0);
	FAILS(rmdir(at("p/q")), EBUSY);
	FAILS(put(at("p/cgroup.procs"), "99999999"), ESRCH);
	FAILS(put(at("p/cgroup.procs"), "-1"), EINVAL);
	FAILS(put(at("p/cgroup.procs"), "x"), EINVAL);
	CHECK(put_pid(at("p/cgroup.procs"), p) == 0 && in(p, "/p"));
	reap(p);
	CHECK(poll(&pfd, 1, 5000) == 1);
	CHECK(becomes(at("p/cgroup.events"), "populated 0"));

	/* A child is where its parent is; "0" is who writes. A zombie is in no list, but still in its group. */
	p = fork();
	if (!p) {
		int r = put(at("p/q/cgroup.procs"), "0") || !in(getpid(), "/p/q");
		pid_t c = fork();

		if (!c)
			_exit(!in(getpid(), "/p/q"));
		waitpid(c, &status, 0);
		_exit(r || status);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	p = fork();
	if (!p) {
		put(at("p/q/cgroup.procs"), "0");
		_exit(0);
	}
	CHECK(waitid(P_PID, (id_t)p, &(siginfo_t){ 0 }, WEXITED | WNOWAIT) == 0);
	CHECK(becomes(at("p/q/cgroup.events"), "populated 0") && in(p, "/p/q"));
	CHECK(rmdir(at("p/q")) == 0 && in(p, "/p/q (deleted)"));
	waitpid(p, NULL, 0);
	/* Nobody moves out of sight: fork while the parent moves. */
	p = sleeper();
	q = sleeper();
	CHECK(put_pid(at("p/cgroup.procs"), p) == 0 && put_pid(at("p/cgroup.procs"), q) == 0);
	reap(p);
	CHECK(has(at("p/cgroup.events"), "populated 1"));
	reap(q);
	CHECK(becomes(at("p/cgroup.events"), "populated 0"));
	close(pfd.fd);
	close(ino);
	CHECK(rmdir(at("p")) == 0);
}

static void *idle(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static void test_threads(void)
{
	pthread_t th;
	pid_t p;
	int n = 0;

	CHECK(mkdir(at("t"), 0755) == 0);
	p = fork();
	if (!p) {
		for (int i = 0; i < 3; i++)
			pthread_create(&th, NULL, idle, NULL);
		put(at("t/cgroup.procs"), "0");
		idle(NULL);
	}
	CHECK(becomes(at("t/cgroup.events"), "populated 1"));
	usleep(20000);
	for (char *s = slurp(at("t/cgroup.threads")); *s; s++)
		n += *s == '\n';
	CHECK(n == 4);
	n = 0;
	for (char *s = slurp(at("t/cgroup.procs")); *s; s++)
		n += *s == '\n';
	CHECK(n == 1);
	CHECK(put_pid(at("t/cgroup.threads"), p) == 0);
	FAILS(put_pid(at("t/cgroup.threads"), getpid()), EOPNOTSUPP);
	reap(p);
	CHECK(becomes(at("t/cgroup.events"), "populated 0"));
	CHECK(rmdir(at("t")) == 0);
}

static void test_freeze(void)
{
	volatile uint64_t *n = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	uint64_t was;
	pid_t p, q;
	int status;

	CHECK(mkdir(at("f"), 0755) == 0 && mkdir(at("f/g"), 0755) == 0);
	p = fork();
	if (!p)
		for (;;)
			++*n;
	q = fork();
	if (!q)
		for (;;) {
			usleep(1000);
			++n[1];
		}
	CHECK(put_pid(at("f/g/cgroup.procs"), p) == 0 && put_pid(at("f/cgroup.procs"), q) == 0);
	usleep(50000);
	CHECK(*n && n[1]);
	CHECK(put(at("f/cgroup.freeze"), "1") == 0);
	CHECK(becomes(at("f/cgroup.events"), "frozen 1") && becomes(at("f/g/cgroup.events"), "frozen 1"));
	CHECK(!strcmp(slurp(at("f/g/cgroup.freeze")), "0\n"));
	was = *n + n[1];
	usleep(100000);
	CHECK(*n + n[1] == was);
	kill(q, SIGTERM); /* a signal that ends it does so at once */
	CHECK(waitpid(q, &status, 0) == q && WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	kill(p, SIGSTOP);
	kill(p, SIGCONT);
	usleep(20000);
	CHECK(*n + n[1] == was);
	CHECK(put(at("f/cgroup.freeze"), "0") == 0 && becomes(at("f/cgroup.events"), "frozen 0"));
	usleep(100000);
	CHECK(*n > was - n[1]);
	/* Who comes into a frozen group stops, who leaves goes on, who is killed ends. */
	q = fork();
	if (!q)
		for (;;)
			++n[1];
	CHECK(put(at("f/g/cgroup.freeze"), "1") == 0 && put_pid(at("f/g/cgroup.procs"), q) == 0);
	CHECK(becomes(at("f/g/cgroup.events"), "frozen 1"));
	was = n[1];
	usleep(50000);
	CHECK(n[1] == was);
	CHECK(put_pid(at("f/cgroup.procs"), q) == 0);
	usleep(100000);
	CHECK(n[1] > was);
	kill(p, SIGKILL);
	CHECK(waitpid(p, &status, 0) == p && WTERMSIG(status) == SIGKILL);
	reap(q);
	CHECK(becomes(at("f/g/cgroup.events"), "populated 0") && becomes(at("f/cgroup.events"), "populated 0"));
	CHECK(rmdir(at("f/g")) == 0 && rmdir(at("f")) == 0);
}

static void test_kill(void)
{
	int status;
	pid_t p;

	CHECK(mkdir(at("k"), 0755) == 0 && mkdir(at("k/l"), 0755) == 0);
	p = fork();
	if (!p) {
		put(at("k/l/cgroup.procs"), "0");
		for (int i = 0; i < 3; i++)
			fork();
		for (;;) { /* forks all the time, as something would that wants to escape */
			pid_t c = fork();

			if (!c)
				_exit(0);
			if (c > 0)
				waitpid(c, NULL, 0);
		}
	}
	CHECK(becomes(at("k/cgroup.events"), "populated 1"));
	usleep(50000);
	CHECK(put(at("k/cgroup.kill"), "1") == 0);
	CHECK(waitpid(p, &status, 0) == p && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(becomes(at("k/cgroup.events"), "populated 0"));
	CHECK(rmdir(at("k/l")) == 0 && rmdir(at("k")) == 0);
}

static pid_t clone_into(int fd)
{
	struct clone_args a = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = (uint64_t)fd };

	return (pid_t)syscall(SYS_clone3, &a, sizeof(a));
}

static void test_clone_into(void)
{
	struct clone_args old = { .flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD };
	int fd, other, status;
	pid_t p;

	CHECK(mkdir(at("i"), 0755) == 0);
	fd = open(at("i"), O_PATH | O_DIRECTORY | O_CLOEXEC);
	other = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	p = clone_into(fd);
	if (!p)
		_exit(in(getpid(), "/i") ? 7 : 8);
	CHECK(p > 0 && waitpid(p, &status, 0) == p && WEXITSTATUS(status) == 7);
	FAILS(clone_into(other), EBADF);
	FAILS(clone_into(999), EBADF);
	FAILS(clone_into(-1), EINVAL);
	FAILS(syscall(SYS_clone3, &old, 64), EINVAL);
	CHECK(becomes(at("i/cgroup.events"), "populated 0") && rmdir(at("i")) == 0);
	FAILS(clone_into(fd), ENOENT);
	close(fd);
	close(other);
}

static void test_namespace(void)
{
	char mine[512];
	int status, old;
	pid_t p;

	CHECK(mkdir(at("n"), 0755) == 0 && mkdir(at("n/in"), 0755) == 0 && mkdir(at("beside"), 0755) == 0);
	p = fork();
	if (!p) {
		struct stat a, b;
		pid_t c = sleeper();

		failures = 0;
		old = open("/proc/self/ns/cgroup", O_RDONLY);
		CHECK(fstat(old, &a) == 0);
		CHECK(put(at("n/cgroup.procs"), "0") == 0 && put_pid(at("beside/cgroup.procs"), c) == 0);
		snprintf(mine, sizeof(mine), "%s", group_of(getpid()));
		CHECK(unshare(CLONE_NEWCGROUP) == 0);
		CHECK(stat("/proc/self/ns/cgroup", &b) == 0 && a.st_ino != b.st_ino);
		CHECK(!strcmp(group_of(getpid()), "/"));
		CHECK(!strcmp(group_of(c), "/../beside"));
		CHECK(put(at("n/in/cgroup.procs"), "0") == 0 && !strcmp(group_of(getpid()), "/in"));
		CHECK(mkdir("/tmp/cgcore.ns", 0700) == 0 || errno == EEXIST);
		CHECK(unshare(CLONE_NEWNS) == 0 && mount("none", "/tmp/cgcore.ns", "cgroup2", 0, NULL) == 0);
		snprintf(base, sizeof(base), "/tmp/cgcore.ns");
		CHECK(access(at("in/cgroup.procs"), F_OK) == 0);
		CHECK(has("/proc/self/mountinfo", " / /tmp/cgcore.ns "));
		CHECK(put(at("cgroup.procs"), "0") == 0);
		CHECK(umount2(base, MNT_DETACH) == 0 && rmdir(base) == 0);
		CHECK(setns(old, CLONE_NEWCGROUP) == 0 && !strcmp(group_of(getpid()), mine));
		FAILS(setns(old, CLONE_NEWUTS), EINVAL);
		reap(c);
		_exit(failures);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	CHECK(becomes(at("beside/cgroup.events"), "populated 0") && becomes(at("n/cgroup.events"), "populated 0"));
	CHECK(rmdir(at("n/in")) == 0 && rmdir(at("n")) == 0 && rmdir(at("beside")) == 0);
}

static void test_delegation(void)
{
	int status, fd;
	struct stat st;
	pid_t p;

	CHECK(mkdir(at("d"), 0755) == 0 && mkdir(at("o"), 0777) == 0);
	CHECK(chmod(mnt, 0755) == 0 || errno == EPERM);
	p = fork();
	if (!p) {
		failures = 0;
		CHECK(put(at("d/cgroup.procs"), "0") == 0);
		CHECK(chown(at("d"), 1000, 1000) == 0 && chown(at("d/cgroup.procs"), 1000, 1000) == 0);
		CHECK(chown(at("o/cgroup.procs"), 1000, 1000) == 0);
		fd = open(at("o/cgroup.procs"), O_WRONLY); /* as root: what counts later is who opened */
		CHECK(setgid(1000) == 0 && setuid(1000) == 0);
		CHECK(mkdir(at("d/s"), 0755) == 0);
		CHECK(stat(at("d/s/cgroup.procs"), &st) == 0 && st.st_uid == 1000 && st.st_gid == 1000);
		CHECK(put(at("d/s/cgroup.procs"), "0") == 0 && in(getpid(), "/d/s"));
		FAILS(put(at("o/cgroup.procs"), "0"), EACCES);	/* base/cgroup.procs is not theirs */
		FAILS(put(at("d/cgroup.freeze"), "1"), EACCES);
		FAILS(mkdir(at("no"), 0755), EACCES);
		CHECK(write(fd, "0", 1) == 1 && in(getpid(), "/o"));
		_exit(failures);
	}
	CHECK(waitpid(p, &status, 0) == p && status == 0);
	CHECK(stat(at("d/cgroup.procs"), &st) == 0 && st.st_uid == 1000);
	CHECK(becomes(at("o/cgroup.events"), "populated 0") && becomes(at("d/cgroup.events"), "populated 0"));
	CHECK(rmdir(at("d/s")) == 0 && rmdir(at("d")) == 0 && rmdir(at("o")) == 0);
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	if (!mkdtemp(mnt) || unshare(CLONE_NEWNS) || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("none", mnt, "cgroup2", 0, NULL)) {
		printf("no cgroup2 to be mounted: %s\n", strerror(errno));
		return 77;
	}
	snprintf(base, sizeof(base), "%s/gt%d", mnt, getpid());
	CHECK(mkdir(base, 0755) == 0);
	test_tree();
	test_processes();
	test_threads();
	test_freeze();
	test_kill();
	test_clone_into();
	test_namespace();
	test_delegation();
	CHECK(rmdir(base) == 0);
	umount2(mnt, MNT_DETACH);
	rmdir(mnt);
	return failures != 0;
}
