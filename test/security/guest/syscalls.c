/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/syscalls.c - every system call number with hostile arguments, one child per number and pattern
 *
 * Runs as the container's init, so that kill(-1) and the like spare it. A child that blocks is killed after LIMIT_MS. Only exit and
 * exit_group are left out: they do nothing but what every child does anyway. Prints "done N" at the end.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define LIMIT_MS 60
#define NR_END	 520

static unsigned killed;
static char *buf; /* 64 KiB, followed by an unmapped page */
static const long extra[] = { -1, -2, INT_MIN, INT_MAX, 0x5e00, 0x5e01, 1024, 4095, 4096, 0x40000000, 0x40000001, 0x4000003b,
			      0x7fffffffffffffff, 600, 1000, 100000 };

static uint64_t rnd(void)
{
	static uint64_t x = 88172645463325252ull;

	x ^= x << 13;
	x ^= x >> 7;
	return x ^= x << 17;
}

static void pattern(int p, uint64_t a[6], uint64_t seed)
{
	static const uint64_t words[] = { 0, 1, -1ull, 0x1000, 0x7ffffffff000ull, 0xffff800000000000ull, 0x800000000000ull, 3, 65536,
					  0x7fffffff, 0x80000000, 1ull << 63, -4096ull, 8, 0x40, 4095 };

	for (int i = 0; i < 6; i++) {
		switch (p) {
		case 0: a[i] = 0; break;
		case 1: a[i] = -1ull; break;
		case 2: a[i] = (uint64_t)(uintptr_t)buf; break;		/* valid memory everywhere */
		case 3: a[i] = i ? (uint64_t)(uintptr_t)buf + 65536 - 3 : 3; break; /* objects that cross into nothing */
		case 4: a[i] = i & 1 ? (uint64_t)(uintptr_t)buf : 3; break; /* descriptor, buffer, count */
		case 5: a[i] = i == 2 ? -1ull : i & 1 ? (uint64_t)(uintptr_t)buf : 4; break;
		case 6: a[i] = 0xffffffff81000000ull; break;		/* kernel text */
		default:
			for (int k = 0; k < (int)(seed & 3) + 1; k++)
				rnd();
			a[i] = rnd() & 1 ? words[rnd() % 16] : (rnd() & 3) ? (uint64_t)(uintptr_t)buf + rnd() % 65536 : rnd();
		}
	}
}

static void child(long nr, int p, uint64_t seed)
{
	struct rlimit small = { 1 << 20, 1 << 20 };
	uint64_t a[6];
	int fd[2];

	setpgid(0, 0);
	setrlimit(RLIMIT_FSIZE, &small);
	if (pipe(fd) < 0) /* 3 and 4 */
		_exit(1);
	pattern(p, a, seed);
	syscall(nr, a[0], a[1], a[2], a[3], a[4], a[5]);
	_exit(0);
}

static void one(long nr, int p, uint64_t seed)
{
	struct timespec t = { .tv_nsec = LIMIT_MS * 1000000l }, none = { 0 };
	sigset_t chld;
	pid_t pid;
	int st;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (sigtimedwait(&chld, NULL, &none) > 0)
		; /* of the one before */
	pid = fork();
	if (pid < 0) {
		printf("fork: %s\n", strerror(errno));
		exit(1);
	}
	if (!pid)
		child(nr, p, seed);
	if (waitpid(pid, &st, WNOHANG) == 0) {
		if (sigtimedwait(&chld, NULL, &t) < 0)
			killed++;
		kill(pid, SIGKILL);
		while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
			;
	}
	while (waitpid(-1, &st, WNOHANG) > 0)
		; /* what fork and clone left */
}

int main(void)
{
	unsigned long n = 0;
	sigset_t chld;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	buf = mmap(NULL, 65536 + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(buf + 65536, 4096);
	for (int i = 0; i < 65536 / 64; i++)
		strcpy(buf + i * 64, i & 1 ? "../../../../../../../../canary" : "/v/../../../../../../canary");
	for (int p = 0; p < 10; p++) {
		for (long nr = 0; nr < NR_END; nr++)
			if (nr != SYS_exit && nr != SYS_exit_group)
				one(nr, p, (uint64_t)n++);
		for (size_t i = 0; i < sizeof(extra) / sizeof(*extra); i++)
			one(extra[i], p, (uint64_t)n++);
	}
	printf("%u blocked\ndone %lu\n", killed, n);
	return 0;
}
