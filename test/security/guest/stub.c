/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/stub.c - the memory that is not ours: what runs beside the application in its own host process
 *
 * Children look for it (what can be read and is in no line of /proc/self/maps), write over it from several threads while
 * others make calls, jump into it with registers of their choosing, and try to move, unmap or protect it. They may all die; the
 * parent must not. Prints "done N", or exits 77 when nothing is found.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "region.h"

#define REGION_PAGES 96

static void *caller(void *arg)
{
	char b[64];
	int fd = open("/proc/self/status", O_RDONLY);

	for (int i = 0; i < 2000; i++) {
		pread(fd, b, sizeof(b), 0);
		getppid();
	}
	return NULL;
}

static void scribble(uint64_t r, int how)
{
	pthread_t t[3];
	unsigned seed = (unsigned)how * 7919 + 1;

	for (int i = 0; i < 3; i++)
		pthread_create(&t[i], NULL, caller, NULL);
	for (int n = 0; n < 20000; n++) {
		/* mostly the first threads' pages: all else is read-only */
		uint64_t a = r + (n % 8 ? 0x40000 : 0) + (uint64_t)(rand_r(&seed) % (REGION_PAGES * 4096 / 8)) * 8;

		if (sigsetjmp(out, 1))
			continue;
		*(volatile uint64_t *)a = how == 0 ? 0 : how == 1 ? -1ull : how == 2 ? (uint64_t)rand_r(&seed) : a;
	}
}

static void jump(uint64_t to, uint64_t nr, uint64_t arg)
{
	__asm__ volatile("movq %0, %%rax\n\tmovq %1, %%rdi\n\tmovq %1, %%rsi\n\tmovq %1, %%rdx\n\tmovq %1, %%r10\n\tmovq %1, %%r8\n\t"
			 "movq %1, %%r9\n\tjmp *%2"
			 :
			 : "r"(nr), "r"(arg), "r"(to)
			 : "rax", "rdi", "rsi", "rdx", "r10", "r8", "r9");
}

static void move_it(uint64_t r)
{
	struct iovec l = { &r, 8 }, m = { (void *)r, 8 };
	int fd = open("/proc/self/mem", O_RDWR);

	pwrite(fd, "attack", 6, (off_t)r);
	process_vm_writev(getpid(), &l, 1, &m, 1, 0);
	mprotect((void *)r, 0x10000, PROT_READ | PROT_WRITE | PROT_EXEC);
	madvise((void *)r, 0x40000, MADV_DONTNEED);
	mremap((void *)r, 0x10000, 0x20000, MREMAP_MAYMOVE);
	mmap((void *)r, 0x40000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	munmap((void *)r, 0x400000);
	mmap((void *)(r - 0x1000), 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	munmap((void *)0x10000, 0x7fffffff0000ull - 0x10000 > r ? r - 0x10000 : 0x1000);
	getpid();
}

/* Host signals shut out by the stub's own rt_sigreturn, and never a call again: it must still be killable. */
static void deaf(uint64_t r)
{
	static const unsigned char code[] = { 0xb8, 0x0f, 0, 0, 0, 0x0f, 0x05 }; /* mov $15, %eax; syscall */
	static uint64_t uc[304 / 8];
	uint64_t *regs = uc + 5; /* struct sigcontext */

	regs[15] = (uint64_t)(uintptr_t)(uc + 32) & ~15ull;
	regs[17] = 0x202;
	regs[18] = 0x33 | 0x2bull << 48;
	uc[0] = 6;
	uc[37] = -1ull; /* the mask */
	__asm__ volatile("lea 1f(%%rip), %%rax\n\tjmp 2f\n1:\tjmp 1b\n2:\tmov %%rax, %0" : "=m"(regs[16])::"rax");
	for (uint64_t a = r; a < r + 0x8000; a++)
		if (!memcmp((void *)a, code, sizeof(code)))
			__asm__ volatile("mov %0, %%rsp\n\tjmp *%1" : : "r"(uc), "r"(a) : "memory");
	_exit(3);
}

static void try_deaf(uint64_t r)
{
	pid_t pid = fork(), got = 0;
	int st = 0;

	if (!pid)
		deaf(r);
	sleep(1); /* it is deaf by then */
	kill(pid, SIGTERM);
	kill(pid, SIGKILL);
	for (int i = 0; i < 400 && !got; i++) {
		got = waitpid(pid, &st, WNOHANG);
		usleep(100000);
	}
	if (got != pid || !WIFSIGNALED(st))
		printf("BREACH a deaf process lives on (%d %#x)\n", got, st);
	else if (WTERMSIG(st) == SIGSEGV)
		printf("BREACH the deaf process was none\n"); /* the attack itself must work, or it shows nothing */
}

static unsigned children;

static void run(uint64_t r, int kind, uint64_t a, uint64_t b)
{
	struct timespec t = { .tv_sec = 2 }, none = { 0 };
	sigset_t chld;
	pid_t pid;
	int st;

	children++;
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	while (sigtimedwait(&chld, NULL, &none) > 0)
		; /* of the one before */
	pid = fork();
	if (!pid) {
		if (kind == 0) {
			scribble(r, (int)a);
		} else if (kind == 1) {
			signal(SIGSEGV, SIG_DFL);
			alarm(1);
			jump(a, b, 0x1234);
		} else {
			move_it(r + a);
		}
		_exit(0);
	}
	if (waitpid(pid, &st, WNOHANG) == 0) {
		sigtimedwait(&chld, NULL, &t);
		kill(pid, SIGKILL);
		waitpid(pid, &st, 0);
	}
}

int main(void)
{
	static const uint64_t nrs[] = { SYS_open, SYS_openat, SYS_socket, SYS_execve, SYS_clone, SYS_ptrace, SYS_mmap, SYS_kill, 0x5e00 };
	sigset_t chld;
	uint64_t r;

	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	catch_faults();
	r = find_region();
	printf("region %#lx\n", r);
	if (!r)
		return 77;
	for (uint64_t how = 0; how < 4; how++)
		run(r, 0, how, 0);
	for (uint64_t off = 0; off < 0x4000; off += 61)
		run(r, 1, r + off, nrs[off % 9]);
	for (uint64_t off = 0x20000; off < 0x24000; off += 509) /* the vDSO */
		run(r, 1, r + off, nrs[off % 9]);
	for (uint64_t off = 0; off < 0x40000; off += 0x8000)
		run(r, 2, off, 0);
	try_deaf(r);
	printf("done %u\n", children);
	return 0;
}
