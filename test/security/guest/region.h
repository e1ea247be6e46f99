/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/region.h - the memory beside the application in its own host process: finding it, jumping into it
 */
#ifndef TEST_SECURITY_GUEST_REGION_H
#define TEST_SECURITY_GUEST_REGION_H

#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>

#define STEP 0x200000ull /* the region starts at a multiple of 2 MiB */

static sigjmp_buf out;
static void on_segv(int sig, siginfo_t *si, void *ctx)
{
	siglongjmp(out, 1);
}

static void catch_faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_NODEFER };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

static int readable(uint64_t a)
{
	if (sigsetjmp(out, 1))
		return 0;
	(void)*(volatile char *)a;
	return 1;
}

static int in_maps(uint64_t a)
{
	char line[512];
	FILE *f = fopen("/proc/self/maps", "r");
	uint64_t lo, hi;
	int found = 0;

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%lx-%lx", &lo, &hi) == 2 && a >= lo && a < hi)
			found = 1;
	if (f)
		fclose(f);
	return found;
}

/* Something readable that our maps do not show: the host's, beside us. It begins with code; thread pages follow. */
static uint64_t find_region(void)
{
	uint64_t a = 0x7ffffffff000ull & ~(STEP - 1);

	while (a > 0x7e0000000000ull && !(readable(a) && !in_maps(a)))
		a -= STEP;
	if (a <= 0x7e0000000000ull)
		return 0;
	while (readable(a - STEP) && !in_maps(a - STEP))
		a -= STEP;
	return a;
}

/* Its instructions that make a host call. */
static inline unsigned find_sites(uint64_t r, uint64_t *sites, unsigned max)
{
	unsigned n = 0;

	for (uint64_t a = r; a < r + 0x8000 && n < max; a++)
		if (((unsigned char *)a)[0] == 0x0f && ((unsigned char *)a)[1] == 0x05)
			sites[n++] = a;
	return n;
}

/* Calls one of them with registers of one's own. Comes back only where a return instruction follows. */
long site_call6(uint64_t site, uint64_t nr, const uint64_t args[6]);
__asm__(".pushsection .text\n"
	"site_call6:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov %rdi, %rbx\n\tmov %rsi, %rax\n\tmov %rdx, %r11\n\t"
	"mov (%r11), %rdi\n\tmov 8(%r11), %rsi\n\tmov 16(%r11), %rdx\n\tmov 24(%r11), %r10\n\tmov 32(%r11), %r8\n\tmov 40(%r11), %r9\n\t"
	"call *%rbx\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\t"
	"ret\n"
	".popsection");

#endif
