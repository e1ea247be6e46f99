/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/zygote.h - the zygote's start-up code, which runs once, before the filter
 */
#ifndef SENTRY_PLATFORM_STUB_ZYGOTE_H
#define SENTRY_PLATFORM_STUB_ZYGOTE_H

#include <asm/unistd.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

#include "sentry/platform/stub/stub.h"

extern const char stub_text_start[], stub_text_end[]; /* linker script */

/* Instructions written, 0 = does not fit. */
unsigned filter_build(struct sock_filter *prog, unsigned max, uint64_t region, bool fsgsbase);

/* vdso.c */
struct vdso_info {
	uint64_t start, end;	/* vvar and vdso together, 0 = none */
	uint64_t ehdr;
	uint64_t clock_gettime, getcpu;
};
void vdso_find(struct vdso_info *v, uint64_t ehdr);
/* Moves everything to @to; false (and nothing usable at @to) when the kernel refuses. */
bool vdso_move(struct vdso_info *v, uint64_t to, uint64_t room);

/* Runs with the stub's text in place and all else still there; entered by start.S. */
void zygote_main(uint64_t *sp);
long zygote_helper(void *stack_top, int *ctid, void (*fn)(void)); /* start.S: a process sharing memory and descriptors */
void zygote_jump(uint64_t fn, uint64_t stack) __attribute__((noreturn));
void stub_zygote(void);

static inline long raw_call(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

#endif
