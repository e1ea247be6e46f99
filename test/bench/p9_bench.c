/* SPDX-License-Identifier: Apache-2.0
 * test/bench/p9_bench.c - what round trips to a gofer cost, and what the same costs natively
 *
 * usage: p9_bench [SECONDS per figure, default 0.3]; needs root for the gofer's mounts. Each figure is the median of five.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "mains.h"
#include "p9_fs.h"

static char dir[64];
static struct p9_client *cl;
static uint32_t root, file_fid, big_dir;

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void make_tree(void)
{
	char p[128];

	strcpy(dir, "/tmp/p9benchXXXXXX");
	if (!mkdtemp(dir))
		exit(1);
	snprintf(p, sizeof(p), "%s/a", dir);
	mkdir(p, 0755);
	snprintf(p, sizeof(p), "%s/a/file", dir);
	close(open(p, O_CREAT | O_WRONLY, 0644));
	if (truncate(p, 20000))
		exit(1);
	snprintf(p, sizeof(p), "%s/many", dir);
	mkdir(p, 0755);
	for (int i = 0; i < 1000; i++) {
		snprintf(p, sizeof(p), "%s/many/some-file-%d", dir, i);
		close(open(p, O_CREAT | O_WRONLY, 0644));
	}
}

static pid_t start(int type)
{
	char mount[128];
	char *argv[] = { "gofer", "--no-init", "--mount", mount, NULL };
	int sv[2];
	pid_t pid;

	snprintf(mount, sizeof(mount), "rw:%s", dir);
	if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, sv))
		exit(1);
	pid = fork();
	if (!pid) {
		dup2(sv[0], 3);
		for (int fd = 4; fd < 7; fd++)
			close(fd);
		_exit(gofer_main(4, argv));
	}
	close(sv[0]);
	if (p9_client_new(fcntl(sv[1], F_DUPFD_CLOEXEC, 20), true, P9_MSIZE_MAX, &p9_client_thread_ops, &cl))
		exit(1);
	close(sv[1]);
	return pid;
}

static void check(long ret)
{
	if (ret < 0) {
		fprintf(stderr, "p9_bench: %s\n", strerror((int)-ret));
		exit(1);
	}
}

static void walk_stat(void)
{
	const char *names[] = { "a", "file" };
	struct p9x_stat st[2];

	check(p9_walk(cl, root, names, 2, NULL, st, NULL));
}

static void getattr(void)
{
	struct p9x_stat st;

	check(p9_getattr(cl, file_fid, &st));
}

static void open_fd(void)
{
	struct p9_opened o;

	check(p9_open(cl, file_fid, 0, P9X_FD, 0, &o));
	close(o.fd);
}

static void open_inline(void)
{
	struct p9_opened o;

	check(p9_open(cl, file_fid, 0, P9X_INLINE, 32768, &o));
	free(o.data);
}

static unsigned seen;

static bool count(struct p9_dir_reader *r, const struct p9x_dirent *d, const struct p9x_stat *st, uint8_t t)
{
	seen++;
	return true;
}

static void dir_1000(void)
{
	struct p9_dir_reader r = { .add = count };
	uint64_t off = 0;
	bool eof = false;

	seen = 0;
	while (!eof)
		check(p9_readdir(cl, big_dir, off, &r, &off, &eof));
	if (seen != 1000)
		exit(1);
}

static void native_stat(void)
{
	struct stat st;
	char p[128];

	snprintf(p, sizeof(p), "%s/a/file", dir);
	check(stat(p, &st));
}

static void native_open(void)
{
	char p[128];

	snprintf(p, sizeof(p), "%s/a/file", dir);
	close(open(p, O_RDONLY));
}

static void native_dir(void)
{
	char p[128];
	struct stat st;
	struct dirent *e;
	DIR *d;

	snprintf(p, sizeof(p), "%s/many", dir);
	d = opendir(p);
	while ((e = readdir(d)))
		fstatat(dirfd(d), e->d_name, &st, AT_SYMLINK_NOFOLLOW);
	closedir(d);
}

static int by_value(const void *a, const void *b)
{
	return *(const double *)a < *(const double *)b ? -1 : *(const double *)a > *(const double *)b;
}

static double measure(void (*fn)(void), double secs)
{
	double runs[5];

	for (int r = 0; r < 5; r++) {
		double t0 = now(), t;
		unsigned n = 0;

		do {
			fn();
			n++;
			t = now() - t0;
		} while (t < secs / 5);
		runs[r] = t / n * 1e6;
	}
	qsort(runs, 5, sizeof(runs[0]), by_value);
	return runs[2];
}

static void pin(pid_t pid, int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	sched_setaffinity(pid, sizeof(set), &set);
}

static void table(int type, bool same_cpu, double secs)
{
	static const struct {
		const char *what;
		void (*fn)(void);
	} rows[] = {
		{ "getattr", getattr },
		{ "walk of 2 names with attributes", walk_stat },
		{ "open with a descriptor", open_fd },
		{ "open with 20,000 bytes inline", open_inline },
		{ "directory of 1,000 with attributes", dir_1000 },
	};
	const char *names[] = { "a", "file" }, *many = "many";
	pid_t pid;

	if (same_cpu)
		pin(0, 0);
	pid = start(type);
	check(p9_attach(cl, "0", 0, &root));
	check(p9_walk(cl, root, names, 2, &file_fid, NULL, NULL));
	check(p9_walk(cl, root, &many, 1, &big_dir, NULL, NULL));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		printf("| %s, %s | %s | %.1f |\n", type == SOCK_STREAM ? "stream" : "packets",
		       same_cpu ? "one core" : "free", rows[i].what, measure(rows[i].fn, secs));
	p9_client_free(cl);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	double secs = argc > 1 ? atof(argv[1]) : 0.3;
	char cmd[96];

	make_tree();
	printf("| native | stat | %.1f |\n", measure(native_stat, secs));
	printf("| native | open, close | %.1f |\n", measure(native_open, secs));
	printf("| native | directory of 1,000 with stat | %.1f |\n", measure(native_dir, secs));
	table(SOCK_SEQPACKET, false, secs);
	table(SOCK_STREAM, false, secs);
	table(SOCK_SEQPACKET, true, secs);
	table(SOCK_STREAM, true, secs);
	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	return system(cmd);
}
