/* SPDX-License-Identifier: Apache-2.0
 * test/guest/proc_pid.c - /proc/PID: what ps, top, C libraries and language runtimes read of a process
 */
#include "guest.h"

#include <dirent.h>
#include <stdarg.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[1 << 20];

/* The whole file in buf, NUL-terminated; its length. */
static long slurp(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
static long slurp(const char *fmt, ...)
{
	char path[256];
	long n = 0, r;
	va_list ap;
	int fd;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	fd = open(path, O_RDONLY);
	if (fd < 0)
		return -errno;
	while ((r = read(fd, buf + n, sizeof(buf) - 1 - (size_t)n)) > 0)
		n += r;
	r = r < 0 ? -errno : n;
	close(fd);
	buf[n] = 0;
	return r;
}

/* Value of a "Name:\tvalue" line of status, -1 none. */
static long field(const char *name, int base)
{
	char key[64], *p;

	snprintf(key, sizeof(key), "\n%s:", name);
	p = strstr(buf, key);
	return p ? strtol(p + strlen(key), NULL, base) : -1;
}

static void stat_fields(void)
{
	long v[53] = { 0 };
	char state, *p;
	int n = 3, pid;

	CHECK(prctl(PR_SET_NAME, "a) (b") == 0);
	CHECK(slurp("/proc/self/stat") > 0);
	CHECK(sscanf(buf, "%d (a) (b) %c", &pid, &state) == 2 && pid == getpid() && state == 'R');
	p = strrchr(buf, ')') + 4;
	for (; n < 52 && *p; n++)
		v[n + 1] = strtol(p, &p, 10);
	CHECK(n == 52 && *p == '\n');
	CHECK(v[4] == getppid() && v[5] == getpgrp() && v[6] == getsid(0));
	CHECK(v[20] == 1 && v[23] > 0 && v[24] > 0);
	CHECK(v[28] > (long)&v && v[26] <= (long)stat_fields && v[27] > (long)stat_fields);
	CHECK(v[22] > 0 && v[18] == 20 + getpriority(PRIO_PROCESS, 0) && v[19] == getpriority(PRIO_PROCESS, 0));
	CHECK(slurp("/proc/self/comm") == 6 && !strcmp(buf, "a) (b\n"));
	CHECK(slurp("/proc/self/statm") > 0 && strtol(buf, NULL, 10) == v[23] / 4096);
}

static void status_fields(void)
{
	struct rlimit rl;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGUSR2, SIG_IGN);
	raise(SIGUSR1);
	umask(027);
	CHECK(slurp("/proc/self/status") > 0);
	CHECK(field("Pid", 10) == getpid() && field("PPid", 10) == getppid() && field("Tgid", 10) == getpid());
	CHECK(field("Uid", 10) == getuid() && field("Gid", 10) == getgid() && field("Threads", 10) == 1);
	CHECK(field("SigBlk", 16) == 1 << (SIGUSR1 - 1));
	CHECK((field("SigPnd", 16) | field("ShdPnd", 16)) == 1 << (SIGUSR1 - 1));
	CHECK(field("SigIgn", 16) & 1 << (SIGUSR2 - 1));
	CHECK(field("Umask", 8) == 027 && field("VmSize", 10) > 0 && field("VmRSS", 10) > 0 && field("TracerPid", 10) == 0);
	CHECK(field("CapEff", 16) >= 0 && field("NoNewPrivs", 10) >= 0 && field("Seccomp", 10) >= 0 && field("NSpid", 10) > 0);
	CHECK(getrlimit(RLIMIT_NOFILE, &rl) == 0 && slurp("/proc/self/limits") > 0);
	CHECK(strtoul(strstr(buf, "Max open files") + 25, NULL, 10) == rl.rlim_cur);
}

static void links(void)
{
	char name[512], cwd[512];
	int fd = open("/proc/self", O_RDONLY | O_DIRECTORY), p[2];
	struct stat a, b;
	ssize_t n;

	CHECK((n = readlink("/proc/self", name, sizeof(name) - 1)) > 0);
	name[n] = 0;
	CHECK(atoi(name) == getpid());
	CHECK((n = readlinkat(fd, "cwd", name, sizeof(name) - 1)) > 0);
	name[n] = 0;
	CHECK(getcwd(cwd, sizeof(cwd)) && !strcmp(cwd, name));
	CHECK(stat("/proc/self/exe", &a) == 0 && S_ISREG(a.st_mode));
	CHECK(readlinkat(fd, "root", name, sizeof(name)) >= 1);
	CHECK(pipe(p) == 0);
	snprintf(cwd, sizeof(cwd), "/proc/self/fd/%d", p[0]);
	CHECK((n = readlink(cwd, name, sizeof(name) - 1)) > 0 && !strncmp(name, "pipe:[", 6));
	CHECK(fstat(p[0], &a) == 0 && stat(cwd, &b) == 0 && a.st_ino == b.st_ino);
	CHECK(lstat(cwd, &b) == 0 && S_ISLNK(b.st_mode) && (b.st_mode & 0777) == 0500);
	CHECK(fcntl(p[0], F_SETFL, O_NONBLOCK) == 0);
	CHECK(slurp("/proc/self/fdinfo/%d", p[0]) > 0 && strstr(buf, "flags:\t04000") && strstr(buf, "pos:\t0"));
	close(p[0]);
	CHECK_ERRNO(readlink(cwd, name, sizeof(name)), ENOENT);
	close(p[1]);
	close(fd);
}

/* A file without a name is reached through its link. */
static void unlinked_file(void)
{
	char name[] = "/tmp/proc_pid.XXXXXX", path[64], target[128];
	int fd = mkstemp(name), fd2;
	ssize_t n;

	CHECK(fd >= 0 && write(fd, "hello", 5) == 5 && unlink(name) == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK((n = readlink(path, target, sizeof(target) - 1)) > 0);
	target[n] = 0;
	CHECK(strstr(target, " (deleted)"));
	fd2 = open(path, O_RDONLY);
	CHECK(fd2 >= 0 && read(fd2, target, 9) == 5 && !memcmp(target, "hello", 5));
	CHECK(lseek(fd, 0, SEEK_CUR) == 5);
	close(fd);
	close(fd2);
}

static int count_dir(const char *path, const char *want)
{
	DIR *d = opendir(path);
	struct dirent *e;
	int n = 0, seen = 0;

	CHECK(d);
	while ((e = readdir(d))) {
		n++;
		seen += !strcmp(e->d_name, want);
	}
	closedir(d);
	CHECK(seen == 1);
	return n;
}

static void *sleeper(void *arg)
{
	char c;

	prctl(PR_SET_NAME, "sleeper");
	__atomic_store_n((int *)arg + 2, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
	return (void *)read(*(int *)arg, &c, 1);
}

static void threads(void)
{
	int arg[3] = { 0 }, tid;
	struct stat st;
	char name[16];
	pthread_t th;

	CHECK(pipe(arg) == 0);
	CHECK(!pthread_create(&th, NULL, sleeper, arg));
	while (!(tid = __atomic_load_n(&arg[2], __ATOMIC_ACQUIRE)))
		usleep(1000);
	snprintf(name, sizeof(name), "%d", tid);
	CHECK(count_dir("/proc/self/task", name) == 4);
	CHECK(slurp("/proc/self/task/%d/comm", tid) > 0 && !strcmp(buf, "sleeper\n"));
	for (int k = 0; k < 2000; k++) {
		CHECK(slurp("/proc/self/task/%d/stat", tid) > 0);
		if (strchr(buf, ')')[2] == 'S')
			break;
		usleep(1000);
	}
	CHECK(strchr(buf, ')')[2] == 'S' && atoi(buf) == tid);
	CHECK(slurp("/proc/self/status") > 0 && field("Threads", 10) == 2);
	CHECK(stat("/proc/self/task", &st) == 0 && st.st_nlink == 4);
	CHECK(slurp("/proc/%d/status", tid) > 0 && field("Tgid", 10) == getpid());
	CHECK(access("/proc/self/task/1234567/stat", F_OK) == -1);
	close(arg[1]);
	pthread_join(th, NULL);
	for (int k = 0; k < 2000 && slurp("/proc/self/task/%d/stat", tid) != -ENOENT; k++)
		usleep(1000); /* join does not wait for the very end */
	CHECK(slurp("/proc/self/task/%d/stat", tid) == -ENOENT);
}

static void children(void)
{
	int go[2], st, fd;
	pid_t pid;
	char name[16];

	CHECK(pipe(go) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(go[1]);
		_exit((int)read(go[0], buf, 1));
	}
	snprintf(name, sizeof(name), "%d", pid);
	count_dir("/proc", name);
	CHECK(slurp("/proc/self/task/%d/children", getpid()) > 0 && atoi(buf) == pid);
	snprintf(buf, sizeof(buf), "/proc/%d/stat", pid);
	fd = open(buf, O_RDONLY);
	CHECK(fd >= 0 && read(fd, buf, sizeof(buf)) > 0);
	close(go[0]);
	close(go[1]);
	for (int k = 0; k < 2000; k++) {
		CHECK(slurp("/proc/%d/stat", pid) > 0);
		if (strrchr(buf, ')')[2] == 'Z')
			break;
		usleep(1000);
	}
	CHECK(strrchr(buf, ')')[2] == 'Z');
	CHECK(slurp("/proc/%d/cmdline", pid) == 0);
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(slurp("/proc/%d/stat", pid) == -ENOENT);
	CHECK_ERRNO(pread(fd, buf, 100, 0), ESRCH);
	close(fd);
}

static void memory(char **argv)
{
	char *p = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), want[128];
	int fd = open("/proc/self/mem", O_RDWR);
	long n = slurp("/proc/self/cmdline");

	CHECK(n == (long)strlen(argv[0]) + 1 && !strcmp(buf, argv[0]));
	CHECK(slurp("/proc/self/environ") >= 0 && slurp("/proc/self/auxv") > 0 && slurp("/proc/self/auxv") % 16 == 0);
	strcpy(p, "some text");
	CHECK(fd >= 0 && pread(fd, want, 10, (off_t)p) == 10 && !strcmp(want, "some text"));
	CHECK(pwrite(fd, "more", 4, (off_t)p) == 4 && !strcmp(p, "more text"));
	CHECK_ERRNO(pread(fd, want, 10, 16), EIO);
	close(fd);
	CHECK(mprotect(p + 4096, 4096, PROT_NONE) == 0);
	CHECK(slurp("/proc/self/maps") > 0);
	snprintf(want, sizeof(want), "%lx-%lx ---p 00000000 00:00 0", (long)p + 4096, (long)p + 8192);
	CHECK(strstr(buf, want) && strstr(buf, "[stack]"));
	CHECK(slurp("/proc/self/smaps") > 0 && strstr(buf, want) && strstr(buf, "VmFlags:") && strstr(buf, "Rss:"));
	CHECK(slurp("/proc/self/smaps_rollup") > 0 && strstr(buf, "[rollup]"));
}

static void oom_and_ns(void)
{
	struct stat a, b;
	int fd = open("/proc/self/oom_score_adj", O_RDWR);

	CHECK(fd >= 0 && write(fd, "500\n", 4) == 4);
	CHECK_ERRNO(write(fd, "1001", 4), EINVAL);
	CHECK_ERRNO(write(fd, "x", 1), EINVAL);
	close(fd);
	CHECK(slurp("/proc/self/oom_score_adj") > 0 && atoi(buf) == 500);
	CHECK(slurp("/proc/self/oom_score") > 0 && atoi(buf) > 0);
	CHECK(stat("/proc/self/ns/uts", &a) == 0 && stat("/proc/self/ns/pid", &b) == 0 && a.st_ino != b.st_ino);
	CHECK(stat("/proc/thread-self/ns/uts", &b) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev);
	fd = open("/proc/self/ns/uts", O_RDONLY);
	CHECK(fd >= 0 && fstat(fd, &b) == 0 && a.st_ino == b.st_ino);
	close(fd);
	CHECK(slurp("/proc/self/uid_map") > 0 && slurp("/proc/self/setgroups") > 0 && !strcmp(buf, "allow\n"));
	CHECK(slurp("/proc/self/mountinfo") > 0 && strstr(buf, " / / "));
	CHECK(slurp("/proc/self/mounts") > 0 && strstr(buf, " /proc proc "));
	CHECK(slurp("/proc/self/cgroup") > 0);
}

int main(int argc, char **argv)
{
	stat_fields();
	status_fields();
	links();
	unlinked_file();
	threads();
	children();
	memory(argv);
	oom_and_ns();
	return 0;
}
