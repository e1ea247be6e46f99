/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/stubcalls.c - host calls made from the stub's own instructions, with registers of the attacker's choosing
 *
 * Only these instructions can make a host call at all; what the filter does not let through from there ends the process. So each try is a
 * child, and a child that comes back from a call that is in no row of the filter's table, or from a forbidden shape of one that
 * is, is a BREACH. Prints "done N", or exits 77 when the stub is not found.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

#define CHILD_MS  150
#define NR_END	  480
#define SITES_MAX 64
#define PLACE	  0x200000000ull /* nothing is there */
#define NOTIFY_NR 0x5e00
#define SECRET_GROUP 555
#define SECRET	  "THE-SECRET-OF-ROOT"

static uint64_t region, sites[SITES_MAX];
static unsigned nr_sites, children;
static volatile unsigned *shared;

static const uint16_t in_table[] = { SYS_mmap, SYS_munmap, SYS_mprotect, SYS_mremap, SYS_madvise, SYS_membarrier, SYS_futex, SYS_clock_nanosleep,
				     SYS_sched_yield, SYS_clone, SYS_exit, SYS_exit_group, SYS_rt_sigreturn, SYS_sigaltstack, SYS_prctl,
				     SYS_arch_prctl, SYS_close };

static int is_in_table(uint64_t nr)
{
	for (size_t i = 0; i < sizeof(in_table) / sizeof(*in_table); i++)
		if (in_table[i] == nr)
			return 1;
	return 0;
}

/* Runs @fn in a child, which may die, hang (@ms), or come back. */
static void child_ms(void (*fn)(const uint64_t *), const uint64_t *arg, unsigned ms)
{
	struct timespec t = { ms / 1000, ms % 1000 * 1000000l }, none = { 0 };
	sigset_t chld;
	pid_t pid;
	int st;

	children++;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (sigtimedwait(&chld, NULL, &none) > 0)
		;
	pid = fork();
	if (!pid) {
		signal(SIGSEGV, SIG_DFL);
		signal(SIGBUS, SIG_DFL);
		fn(arg);
		_exit(0);
	}
	if (waitpid(pid, &st, WNOHANG) == 0) {
		sigtimedwait(&chld, NULL, &t);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
	}
	while (waitpid(-1, &st, WNOHANG) > 0)
		;
}

static void child(void (*fn)(const uint64_t *), const uint64_t *arg)
{
	child_ms(fn, arg, CHILD_MS);
}

/* arg: site, number, six arguments, whether coming back with success is a breach by the arguments alone */
static void call_one(const uint64_t *arg)
{
	long ret;

	shared[0] = 0;
	ret = site_call6(arg[0], arg[1], arg + 2);
	if (!is_in_table(arg[1]) && arg[1] != NOTIFY_NR)
		shared[0] = 1;
	else if (arg[8] && !(ret < 0 && ret > -4096))
		shared[0] = 2;
	shared[1] = (unsigned)ret;
}

static void try(uint64_t site, uint64_t nr, const uint64_t a[6], int forbidden)
{
	uint64_t arg[9] = { site, nr, a[0], a[1], a[2], a[3], a[4], a[5], (uint64_t)forbidden };

	shared[0] = 0;
	child(call_one, arg);
	if (shared[0])
		printf("BREACH call %lu(%#lx, %#lx, %#lx, %#lx) from stub+%#lx came back with %d\n", nr, a[0], a[1], a[2], a[3],
		       site - region, (int)shared[1]);
}

/* All numbers from all instructions. */
static void every_number(void)
{
	static const uint64_t odd[] = { NOTIFY_NR, NOTIFY_NR + 1, 0x40000000 | SYS_mmap, 0x40000000 | SYS_open, 0xffffffffull, 1024 };
	uint64_t plain[6] = { 0, 0, 0, 0, 0, 0 }, buf[6];

	for (int i = 0; i < 6; i++)
		buf[i] = (uint64_t)(uintptr_t)shared + 512;
	for (unsigned s = 0; s < nr_sites; s++)
		for (uint64_t nr = 0; nr < NR_END; nr++) {
			/* the instruction that ends in a plain return tells most; the others have every fifth number */
			if (s && (nr + s) % 5 && !is_in_table(nr))
				continue;
			try(sites[s], nr, nr & 1 ? buf : plain, 0);
		}
	for (unsigned s = 0; s < nr_sites; s++)
		for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++)
			try(sites[s], odd[i], buf, 0);
}

/* Shapes of allowed calls that the table must refuse: the region itself, wrapping ranges, shared or writable files, other clones. */
static void every_shape(void)
{
	const uint64_t R = region, T = R - 4096;
	const struct { uint64_t nr, a[6]; } bad[] = {
		{ SYS_munmap, { R, 4096 } }, { SYS_munmap, { T, 8192 } }, { SYS_munmap, { 4096, R } }, { SYS_munmap, { R + 0x40000, 0x20000 } },
		{ SYS_munmap, { T, -4096ull } }, { SYS_munmap, { 4096, -8192ull } }, { SYS_munmap, { R + 0x20000, 4096 } },
		{ SYS_mprotect, { R, 4096, 7 } }, { SYS_mprotect, { T, 8192, 3 } }, { SYS_mprotect, { R + 0x10000, 4096, 3 } },
		{ SYS_mprotect, { PLACE, 4096, 0x01000000 } }, { SYS_mprotect, { 0x1000, -4096ull, 3 } },
		{ SYS_mremap, { R, 4096, 4096, 3, PLACE } }, { SYS_mremap, { PLACE, 4096, 8192, 3, T } }, { SYS_mremap, { PLACE, 4096, 4096, 3, R } },
		{ SYS_mremap, { R + 0x40000, 0x20000, 0x20000, 3, PLACE } }, { SYS_mremap, { R, 0, 4096, 3, PLACE } },
		{ SYS_mremap, { R, 4096, 4096, 1, 0 } }, { SYS_mremap, { R, 4096, 4096, 5, 0 } }, { SYS_mremap, { PLACE, 4096, R, 3, 0x10000 } },
		{ SYS_madvise, { R, 4096, 4 } }, { SYS_madvise, { R + 0x40000, 0x20000, 9 } }, { SYS_madvise, { T, 8192, 4 } },
		{ SYS_madvise, { (uint64_t)(uintptr_t)shared, 4096, 12 } }, { SYS_madvise, { (uint64_t)(uintptr_t)shared, 4096, 100 } },
		{ SYS_madvise, { (uint64_t)(uintptr_t)shared, 4096, 0x10000000c } },
		{ SYS_mmap, { R, 4096, 3, 0x32, -1ull, 0 } }, { SYS_mmap, { T, 8192, 7, 0x32, -1ull, 0 } },
		{ SYS_mmap, { R + 0x10000, 4096, 3, 0x32, -1ull, 0 } }, { SYS_mmap, { R + 0x40000, 0x20000, 3, 0x32, -1ull, 0 } },
		{ SYS_mmap, { 0, 4096, 3, 0x22, -1ull, 0 } }, { SYS_mmap, { PLACE, 4096, 3, 0x22, -1ull, 0 } },
		{ SYS_mmap, { PLACE, 4096, 3, 0x21, -1ull, 0 } }, { SYS_mmap, { PLACE, 4096, 3, 0x31, -1ull, 0 } },
		{ SYS_mmap, { PLACE, 4096, 1, 0x11, 3, 0 } }, { SYS_mmap, { PLACE, 4096, 3, 0x11, 4, 0 } }, { SYS_mmap, { PLACE, 4096, 3, 0x13, 5, 0 } },
		{ SYS_mmap, { PLACE, 4096, 3, 0x40032, -1ull, 0 } }, { SYS_mmap, { 4096, R, 3, 0x32, -1ull, 0 } },
		{ SYS_clone, { 0x11 | 0x10000000, 0, 0, 0, 0 } }, { SYS_clone, { 0x100, PLACE, 0, 0, 0 } }, { SYS_clone, { 0x7e020000, 0, 0, 0, 0 } },
		{ SYS_clone, { 17, PLACE, 0, 0, 0 } }, { SYS_clone, { 0x250f00 | 0x00800000, PLACE, 0, 0, 0 } }, { SYS_clone, { 17 | 0x2000, 0, 0, 0, 0 } },
		{ SYS_futex, { (uint64_t)(uintptr_t)shared, 6, 1 } }, { SYS_futex, { (uint64_t)(uintptr_t)shared, 7, 1 } },
		{ SYS_futex, { (uint64_t)(uintptr_t)shared, 11, 1 } }, { SYS_futex, { (uint64_t)(uintptr_t)shared, 12, 1 } },
		{ SYS_prctl, { 4, 0 } }, { SYS_prctl, { 8, 1 } }, { SYS_prctl, { 22, 2, PLACE } }, { SYS_prctl, { 35, 1, PLACE } }, { SYS_prctl, { 53, 0 } },
		{ SYS_prctl, { 1, 9 } }, { SYS_prctl, { 59, 1 } }, { SYS_arch_prctl, { 0x1012, 0 } }, { SYS_arch_prctl, { 0x2001, PLACE } },
		{ SYS_membarrier, { 128, 1, 0 } }, { SYS_membarrier, { 1ull << 31, 0 } },
		{ NOTIFY_NR, { 1, 0, 0, 0 } }, { NOTIFY_NR, { 2, 0x1234, 0, 0 } }, { NOTIFY_NR, { 3, 0x1234, 5, 0 } },
		{ NOTIFY_NR, { 0xffffffff, 1, 2, 3 } },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		for (unsigned s = 0; s < nr_sites; s++)
			try(sites[s], bad[i].nr, bad[i].a, bad[i].nr != NOTIFY_NR);
}

/* ---- descriptors that are not ours to read ---------------------------------------------------------------- */

static uint64_t plain_site; /* ends in a plain return and may map */

static void map_all(const uint64_t *arg)
{
	for (uint64_t fd = 0; fd < 1100; fd++) {
		uint64_t a[6] = { PLACE, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0 };
		long ret = site_call6(plain_site, SYS_mmap, a);

		if (ret != (long)PLACE)
			continue;
		shared[3]++;
		for (int i = 0; i < 4000; i++)
			if (!memcmp((char *)PLACE + i, SECRET, sizeof(SECRET) - 1)) {
				shared[2] = 1;
				break;
			}
		a[2] = PROT_READ | PROT_WRITE; /* a write goes nowhere but to a copy of our own */
		if (site_call6(plain_site, SYS_mmap, a) == (long)PLACE)
			memcpy((void *)PLACE, "OVERWRITTEN", 11);
	}
}

/* Becomes a user who may read the secret as a member of a group, and has no right but to leave that group. */
static void become_member(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2] = { { 1u << CAP_SETGID, 1u << CAP_SETGID, 0 } };
	gid_t g = SECRET_GROUP;

	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) || setgroups(1, &g) || setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000) ||
	    syscall(SYS_capset, &h, d))
		_exit(1);
}

/* root maps its secret, whose descriptor stays behind for the next mapping; then it becomes somebody who may not read it. */
static void secret_child(const uint64_t *arg)
{
	char *p;
	int fd;

	if (arg[0] == 3)
		become_member();
	fd = open("/secret", O_RDONLY); /* of the image: of a file made here the Sentry keeps no descriptor in the process */
	p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED || memcmp(p, SECRET, sizeof(SECRET) - 1))
		_exit(1);
	munmap(p, 4096);
	close(fd);
	if (arg[0] == 1 && (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000)))
		_exit(1);
	if (arg[0] == 3 && setgroups(0, NULL))
		_exit(1);
	if (arg[0] == 2 && fork()) { /* inherited by a child that changes */
		wait(NULL);
		_exit(0);
	}
	if (arg[0] == 2 && setresuid(1000, 1000, 1000))
		_exit(1);
	map_all(arg);
	shared[4] = 1;
}

static void secrets(void)
{
	int fd = open("/secret", O_RDONLY), left;
	char b[32] = "";

	for (unsigned s = 0; s < nr_sites && !plain_site; s++) {
		uint64_t a[6] = { PLACE, 4096, PROT_READ, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, (uint64_t)-1, 0 };
		uint64_t arg[9] = { sites[s], SYS_mmap, a[0], a[1], a[2], a[3], a[4], a[5], 1 };

		shared[0] = 0;
		child(call_one, arg);
		if (shared[0] == 2)
			plain_site = sites[s];
	}
	if (!plain_site) {
		printf("BREACH no instruction maps memory: the attack is blunt\n");
		return;
	}
	for (uint64_t how = 0; how < 4; how++) {
		shared[2] = shared[3] = shared[4] = 0;
		child_ms(secret_child, &how, 20000);
		left = (int)shared[3];
		printf("# %lu: %d descriptors were left to map%s\n", how, left, shared[2] ? ", the secret among them" : "");
		if (!shared[4] || (!how && !shared[2]))
			printf("BREACH the attack is blunt: the secret was not looked for, or is not there where it should be (%lu)\n", how);
		if (how && shared[2])
			printf("BREACH a file that only root may read was read after the change of credentials (%lu)\n", how);
	}
	if (pread(fd, b, sizeof(SECRET) - 1, 0) != sizeof(SECRET) - 1 || memcmp(b, SECRET, sizeof(SECRET) - 1))
		printf("BREACH a file was changed through a private mapping\n");
}

/* ---- requests of many threads at once, while their pages are written over -------------------------------------- */

static void *requester(void *arg)
{
	uint64_t n = (uint64_t)(uintptr_t)arg * 88172645463325252ull | 1;

	for (int i = 0; i < 3000; i++) {
		uint64_t a[6];

		n ^= n << 13;
		n ^= n >> 7;
		n ^= n << 17;
		for (int k = 0; k < 6; k++)
			a[k] = k ? n >> (k * 7) : n % 7;
		if (n & 1)
			site_call6(sites[(n >> 20) % nr_sites], NOTIFY_NR, a);
		else
			*(volatile uint64_t *)(region + 0x40000 + (n >> 9) % (32 * 0x20000 / 8) * 8) = n;
		if (!(i % 64))
			getppid();
	}
	return NULL;
}

static void storm(const uint64_t *arg)
{
	pthread_t t[6];

	for (uintptr_t i = 0; i < 6; i++)
		pthread_create(&t[i], NULL, requester, (void *)(i * 31 + arg[0] + 1));
	for (int i = 0; i < 6; i++)
		pthread_join(t[i], NULL);
}

int main(void)
{
	sigset_t chld;

	setvbuf(stdout, NULL, _IOLBF, 0);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	catch_faults();
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region = find_region();
	if (!region)
		return 77;
	nr_sites = find_sites(region, sites, SITES_MAX);
	printf("region %#lx, %u instructions\n", region, nr_sites);
	if (nr_sites < 8)
		printf("BREACH the stub's instructions are not found: the attack is blunt\n");
	every_shape();
	secrets();
	for (uint64_t i = 0; i < 40; i++)
		child(storm, &i);
	every_number();
	printf("done %u\n", children);
	return 0;
}
