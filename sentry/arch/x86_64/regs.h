/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/regs.h - the registers of a guest thread
 *
 * Source:  layout of struct user_regs_struct, ptrace(2) PTRACE_GETREGS.
 */
#ifndef SENTRY_ARCH_REGS_H
#define SENTRY_ARCH_REGS_H

#include <stdint.h>

struct guest_regs {
	uint64_t r15, r14, r13, r12, rbp, rbx, r11, r10, r9, r8;
	uint64_t rax, rcx, rdx, rsi, rdi;
	uint64_t orig_rax;	/* number of the call being made, -1 when not in a call */
	uint64_t rip, cs, eflags, rsp, ss;
	uint64_t fs_base, gs_base;
	uint64_t ds, es, fs, gs;
};
_Static_assert(sizeof(struct guest_regs) == 27 * 8, "struct user_regs_struct");

#define GUEST_CS	 0x33
#define GUEST_SS	 0x2b
#define GUEST_EFLAGS_USER 0x240dd5ull	/* flags that a guest may set through sigreturn or ptrace */

/* Largest XSAVE image that is carried (AVX-512 and AMX fit). */
#define GUEST_XSAVE_MAX 12288

#endif
