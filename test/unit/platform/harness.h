/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/harness.h - a zygote, one guest, and a kthread that plays its kernel
 *
 * Model:   guest programs are functions in the section "guest_text", self-contained (no data, no calls out of the
 *          section), copied to GUEST_TEXT of a fresh process. They talk to the test by system calls. Needs root, or at
 *          least seccomp user notifications; skipped with a reason otherwise.
 */
#ifndef TEST_PLATFORM_HARNESS_H
#define TEST_PLATFORM_HARNESS_H

#include "sentry/platform/platform.h"
#include "sentry/run/run.h"

#define GUEST	     __attribute__((section("guest_text"), noinline, used, no_stack_protector, no_sanitize("address", "undefined"), optimize("O1", "no-tree-loop-distribute-patterns")))
#define GUEST_INLINE static inline __attribute__((always_inline, no_sanitize("address", "undefined")))

#define GUEST_TEXT  0x10000000ull
#define GUEST_DATA  0x20000000ull	/* 1 MiB, readable and writable */
#define GUEST_DATA_LEN 0x100000ull
#define GUEST_STACK 0x30000000ull	/* 256 KiB, top */
#define GUEST_STACK_LEN 0x40000ull

/* System call numbers of the tests' own; unknown to the stub. */
#define T_EXIT	 1000	/* value */
#define T_REPORT 1001	/* a value to the test */
#define T_SPIN	 1002

GUEST_INLINE long guest_call(long nr, long a, long b, long c, long d, long e, long f)
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
#define G0(n)		guest_call(n, 0, 0, 0, 0, 0, 0)
#define G1(n, a)	guest_call(n, (long)(a), 0, 0, 0, 0, 0)
#define G2(n, a, b)	guest_call(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define G3(n, a, b, c)	guest_call(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define G4(n, a, b, c, d) guest_call(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define G6(n, a, b, c, d, e, f) guest_call(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

/* Runs @fn on a kthread with a container's zygote at hand, and returns when it has returned. @flags: UPF_* */
void harness_run(unsigned flags, void (*fn)(struct uzygote *z, void *arg), void *arg);

/* Guest text is written by umem_copy_out(), not from outside. */
extern bool harness_text_by_stub;
/* Called in the process that is about to become the zygote; NULL = nothing. */
extern void (*harness_before_zygote)(void);

/* Why tests cannot run here, or NULL. */
const char *harness_unsupported(void);
#define HARNESS_OR_SKIP()                                                                          \
	do {                                                                                       \
		const char *why_ = harness_unsupported();                                          \
		if (why_)                                                                          \
			cr_skip_test("%s", why_);                                                  \
	} while (0)

/* One more zygote, for a test that wants several; reap *@out_pid after uzygote_kill(). */
struct uzygote *harness_zygote(int *out_pid);

/* A fresh process with text, data and stack mapped, about to call @entry(@arg). */
struct uthread *harness_guest(struct uzygote *z, void *entry, uint64_t arg);
uint64_t harness_guest_addr(const void *fn);
/* @u will start at @entry(@arg) on a stack that ends at @sp */
void harness_start_at(struct uthread *u, void *entry, uint64_t arg, uint64_t sp);

#endif
