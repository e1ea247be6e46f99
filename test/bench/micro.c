/* SPDX-License-Identifier: Apache-2.0
 * test/bench/micro.c - small costs, one figure each: runs natively, under runc and under runsc
 * alike
 *
 * Model:   each row of `benches` is timed for about BUDGET_NS, in batches; the smallest batch
 * average counts, which is what a noisy machine leaves comparable. Output: "name<TAB>ns" lines.
 * Usage:   micro [name ...]; MICRO_DIR is where files are made (default /tmp), MICRO_ROFILE a file
 * of the root file system.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUDGET_NS 300000000ull

static int tmp_fd, ro_fd, to_peer = -1, from_peer = -1;
static const char *ro_file = "/bin/busybox", *self_exe;
static char buf[65536];

static uint64_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void must(int ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "micro: %s: %s\n", what, strerror(errno));
		exit(2);
	}
}

/* One call each. */
static void b_getpid(void)
{
	syscall(SYS_getpid);
}
static void b_clock(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
}
static void b_sigmask(void)
{
	sigset_t s;
	sigemptyset(&s);
	sigprocmask(SIG_BLOCK, &s, NULL);
}
static void b_fstat(void)
{
	struct stat st;
	must(fstat(tmp_fd, &st) == 0, "fstat");
}
static void b_lseek(void)
{
	must(lseek(tmp_fd, 0, SEEK_SET) == 0, "lseek");
}
static void b_pread_tmpfs(void)
{
	must(pread(tmp_fd, buf, 512, 0) == 512, "pread");
}
static void b_pread_rootfs(void)
{
	must(pread(ro_fd, buf, 512, 4096) == 512, "pread");
}
static void b_pread64k(void)
{
	must(pread(ro_fd, buf, sizeof(buf), 0) == sizeof(buf), "pread");
}
static void b_pwrite(void)
{
	must(pwrite(tmp_fd, buf, 512, 0) == 512, "pwrite");
}
static void b_stat(void)
{
	struct stat st;
	must(stat(ro_file, &st) == 0, "stat");
}

static void b_open_close(void)
{
	int fd = open(ro_file, O_RDONLY);

	must(fd >= 0, "open");
	close(fd);
}

static char *map(size_t len)
{
	char *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	must(p != MAP_FAILED, "mmap");
	return p;
}

static void b_fault(void)
{
	size_t len = 256 * 4096;
	char *p = map(len);

	madvise(p, len, MADV_NOHUGEPAGE);
	for (size_t i = 0; i < len; i += 4096)
		p[i] = 1;
	munmap(p, len);
}

static void b_mmap(void)
{
	munmap(map(4096), 4096);
}

static void reap(pid_t pid)
{
	int st;

	must(pid > 0 && waitpid(pid, &st, 0) == pid && WIFEXITED(st) && !WEXITSTATUS(st), "child");
}

static void b_fork(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	reap(pid);
}

static void b_fork_exec(void)
{
	pid_t pid = fork();

	if (!pid) {
		execl(self_exe, self_exe, "true", (char *)NULL);
		_exit(127);
	}
	reap(pid);
}

static void b_vfork_exec(void)
{
	pid_t pid = vfork();

	if (!pid) {
		execl(self_exe, self_exe, "true", (char *)NULL);
		_exit(127);
	}
	reap(pid);
}

static void *thread_nop(void *p)
{
	return p;
}

static void b_thread(void)
{
	pthread_t t;

	must(pthread_create(&t, NULL, thread_nop, NULL) == 0, "pthread_create");
	pthread_join(t, NULL);
}

static void b_pingpong(void)
{
	char c = 0;

	must(write(to_peer, &c, 1) == 1 && read(from_peer, &c, 1) == 1, "ping-pong");
}

static void pipe_peer(void)
{
	int a[2], b[2];

	must(pipe2(a, O_CLOEXEC) == 0 && pipe2(b, O_CLOEXEC) == 0, "pipe");
	if (!fork()) {
		char c;

		close(a[1]);
		while (read(a[0], &c, 1) == 1 && write(b[1], &c, 1) == 1)
			;
		_exit(0);
	}
	close(a[0]);
	close(b[1]);
	to_peer = a[1];
	from_peer = b[0];
}

static void unix_peer(void)
{
	int s[2];

	must(socketpair(AF_UNIX, SOCK_STREAM, 0, s) == 0, "socketpair");
	if (!fork()) {
		char c;

		close(s[0]);
		while (read(s[1], &c, 1) == 1 && write(s[1], &c, 1) == 1)
			;
		_exit(0);
	}
	close(s[1]);
	to_peer = from_peer = s[0];
}

static void end_peer(void)
{
	close(to_peer);
	if (from_peer != to_peer)
		close(from_peer);
	must(wait(NULL) > 0, "wait");
}

static pthread_mutex_t mx = PTHREAD_MUTEX_INITIALIZER;
static volatile long mx_count;

static void *mutex_worker(void *p)
{
	for (int i = 0; i < 200000; i++) {
		pthread_mutex_lock(&mx);
		mx_count++;
		pthread_mutex_unlock(&mx);
	}
	return p;
}

static void b_mutex(void)
{
	pthread_t t[2];

	for (int i = 0; i < 2; i++)
		must(pthread_create(&t[i], NULL, mutex_worker, NULL) == 0, "pthread_create");
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
}

static void b_cpu(void)
{
	volatile uint64_t x = 88172645463325252ull;

	for (int i = 0; i < 1000000; i++) {
		uint64_t y = x;

		y ^= y << 13;
		y ^= y >> 7;
		x = y ^ y << 17;
	}
}

static const struct bench {
	const char *name;
	void (*fn)(void);
	int batch; /* calls per batch */
	int per;   /* what a call counts as */
	void (*setup)(void), (*teardown)(void);
} benches[] = {
	{"getpid", b_getpid, 2000, 1, NULL, NULL},
	{"clock_gettime", b_clock, 20000, 1, NULL, NULL},
	{"sigprocmask", b_sigmask, 2000, 1, NULL, NULL},
	{"fstat", b_fstat, 2000, 1, NULL, NULL},
	{"lseek", b_lseek, 2000, 1, NULL, NULL},
	{"pread-512-tmpfs", b_pread_tmpfs, 2000, 1, NULL, NULL},
	{"pread-512-rootfs", b_pread_rootfs, 2000, 1, NULL, NULL},
	{"pread-64k-rootfs", b_pread64k, 200, 1, NULL, NULL},
	{"pwrite-512-tmpfs", b_pwrite, 2000, 1, NULL, NULL},
	{"stat", b_stat, 1000, 1, NULL, NULL},
	{"open-close", b_open_close, 1000, 1, NULL, NULL},
	{"page-fault", b_fault, 4, 256, NULL, NULL},
	{"mmap-munmap", b_mmap, 200, 1, NULL, NULL},
	{"fork-exit", b_fork, 10, 1, NULL, NULL},
	{"fork-exec", b_fork_exec, 5, 1, NULL, NULL},
	{"vfork-exec", b_vfork_exec, 5, 1, NULL, NULL},
	{"thread-create", b_thread, 50, 1, NULL, NULL},
	{"pipe-pingpong", b_pingpong, 200, 1, pipe_peer, end_peer},
	{"unix-pingpong", b_pingpong, 200, 1, unix_peer, end_peer},
	{"mutex-contended", b_mutex, 1, 400000, NULL, NULL},
	{"cpu", b_cpu, 1, 1, NULL, NULL},
};

static void run(const struct bench *b)
{
	uint64_t end, best = UINT64_MAX;

	if (b->setup)
		b->setup();
	for (int i = 0; i < b->batch; i++)
		b->fn(); /* warm */
	end = now() + BUDGET_NS;
	do {
		uint64_t t0 = now(), t;

		for (int i = 0; i < b->batch; i++)
			b->fn();
		t = now() - t0;
		if (t < best)
			best = t;
	} while (now() < end);
	if (b->teardown)
		b->teardown();
	printf("%s\t%.1f\n", b->name, (double)best / b->batch / b->per);
	fflush(stdout);
}

int main(int argc, char **argv)
{
	const char *dir = getenv("MICRO_DIR") ? getenv("MICRO_DIR") : "/tmp";
	char path[4096];

	if (argc == 2 && !strcmp(argv[1], "true"))
		return 0;
	self_exe = argv[0];
	if (getenv("MICRO_ROFILE"))
		ro_file = getenv("MICRO_ROFILE");
	snprintf(path, sizeof(path), "%s/micro.XXXXXX", dir);
	tmp_fd = mkstemp(path);
	must(tmp_fd >= 0, path);
	unlink(path);
	must(write(tmp_fd, buf, sizeof(buf)) == sizeof(buf), "write");
	ro_fd = open(ro_file, O_RDONLY);
	must(ro_fd >= 0, ro_file);
	for (size_t i = 0; i < sizeof(benches) / sizeof(benches[0]); i++) {
		int want = argc < 2;

		for (int a = 1; a < argc; a++)
			want |= !strcmp(argv[a], benches[i].name);
		if (want)
			run(&benches[i]);
	}
	return 0;
}
