/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/entry.S - into the stub, out of it, and every host call it makes
 *
 * Model:   a guest enters by a thunk (stub_entry) or by a signal whose handler diverts to stub_event_entry. Both
 *          ways all guest registers end up in slot.regs, floating point state stays in the CPU (the C code uses
 *          general registers only), and C runs on the slot's private stack with all signals open. stub_tail goes
 *          back. The `syscall` instructions below are the only ones in the guest's address space that the filter
 *          knows; each has a name, which filter_table.h uses.
 * Ranges:  the signal handler treats an interruption inside tail_begin..tail_end, sigret_begin..sigret_end and
 *          sleep_begin..sleep_end specially (handler.c); between those labels a look at slot.kick and what
 *          depends on it are one step.
 */
#include "sentry/platform/stub/layout.h"

#define R_R15	(SLOT_REGS + 0)
#define R_R14	(SLOT_REGS + 8)
#define R_R13	(SLOT_REGS + 16)
#define R_R12	(SLOT_REGS + 24)
#define R_RBP	(SLOT_REGS + 32)
#define R_RBX	(SLOT_REGS + 40)
#define R_R11	(SLOT_REGS + 48)
#define R_R10	(SLOT_REGS + 56)
#define R_R9	(SLOT_REGS + 64)
#define R_R8	(SLOT_REGS + 72)
#define R_RAX	(SLOT_REGS + 80)
#define R_RCX	(SLOT_REGS + 88)
#define R_RDX	(SLOT_REGS + 96)
#define R_RSI	(SLOT_REGS + 104)
#define R_RDI	(SLOT_REGS + 112)
#define R_ORIG	(SLOT_REGS + 120)
#define R_RIP	(SLOT_REGS + 128)
#define R_EFL	(SLOT_REGS + 144)
#define R_RSP	(SLOT_REGS + 152)
#define R_FSB	(SLOT_REGS + 168)

#define GLOBL(n) .globl n; .hidden n; n

	.section .stub.text, "ax", @progbits
	.balign 64

/* From a thunk: rcx = address behind the guest's syscall instruction, eax = number, all else the guest's. */
GLOBL(stub_entry):
	movq	%rsp, %gs:R_RSP
	movq	%gs:SLOT_SELF, %rsp
	movq	%rdi, R_RDI(%rsp)
	movq	%rsi, R_RSI(%rsp)
	movq	%rdx, R_RDX(%rsp)
	movq	%r10, R_R10(%rsp)
	movq	%r8, R_R8(%rsp)
	movq	%r9, R_R9(%rsp)
	movslq	%eax, %rax
	movq	%rax, R_RAX(%rsp)
	movq	%rax, R_ORIG(%rsp)
	movq	%rcx, R_RCX(%rsp)
	movq	%rcx, R_RIP(%rsp)
	movq	%rbx, R_RBX(%rsp)
	movq	%rbp, R_RBP(%rsp)
	movq	%r12, R_R12(%rsp)
	movq	%r13, R_R13(%rsp)
	movq	%r14, R_R14(%rsp)
	movq	%r15, R_R15(%rsp)
	leaq	SLOT_STACK_TOP(%rsp), %rsp
	pushfq
	popq	%rax
	movq	%rax, (R_EFL - SLOT_STACK_TOP)(%rsp)
	movq	%rax, (R_R11 - SLOT_STACK_TOP)(%rsp)
	cld
	leaq	-SLOT_STACK_TOP(%rsp), %rdi
	call	stub_thunk_call
	jmp	stub_leave

/* From a signal handler's divert: rdi = slot, rsp = top of the private stack. */
GLOBL(stub_event_entry):
	call	stub_event
	/* fall through */

/* eax: 0 = back to the guest, 1 = back through rt_sigreturn. */
stub_leave:
	movq	%rsp, %rdi
	andq	$-SLOT_SIZE, %rdi
	testl	%eax, %eax
	jnz	stub_leave_sigret
GLOBL(tail_begin):
	cmpl	$0, SLOT_KICK(%rdi)
	jne	tail_kicked
	movq	R_R15(%rdi), %r15
	movq	R_R14(%rdi), %r14
	movq	R_R13(%rdi), %r13
	movq	R_R12(%rdi), %r12
	movq	R_RBP(%rdi), %rbp
	movq	R_RBX(%rdi), %rbx
	movq	R_R11(%rdi), %r11
	movq	R_R10(%rdi), %r10
	movq	R_R9(%rdi), %r9
	movq	R_R8(%rdi), %r8
	movq	R_RAX(%rdi), %rax
	movq	R_RCX(%rdi), %rcx
	movq	R_RDX(%rdi), %rdx
	movq	R_RSI(%rdi), %rsi
	pushq	R_EFL(%rdi)
	popfq
	movq	R_RSP(%rdi), %rsp
	movq	R_RDI(%rdi), %rdi
	jmp	*%gs:R_RIP
GLOBL(tail_end):
tail_kicked:
	call	stub_kicked
	jmp	stub_leave

/* stub_prepare_sigret() built a frame at SLOT_ALT and returns the guest's %gs base. */
stub_leave_sigret:
	pushq	%rdi
	pushq	%rdi
	call	stub_prepare_sigret
	popq	%rdi
	popq	%rdi
GLOBL(sigret_begin):
	cmpl	$0, SLOT_KICK(%rdi)
	jne	tail_kicked
	leaq	SLOT_ALT(%rdi), %rsp
	cmpl	$0, stub_config_fsgsbase(%rip)
	je	1f
	wrgsbase %rax
1:	movl	$15, %eax
	syscall
GLOBL(site_sigret):
	ud2
GLOBL(sigret_end):

/* What the kernel returns to from a handler: rt_sigreturn(2). */
GLOBL(stub_restorer):
	movl	$15, %eax
	syscall
GLOBL(site_restorer):
	ud2

/* long stub_call(nr, a, b, c, d, e, f): f is on the stack */
GLOBL(stub_call):
	movq	%rdi, %rax
	movq	%rsi, %rdi
	movq	%rdx, %rsi
	movq	%rcx, %rdx
	movq	%r8, %r10
	movq	%r9, %r8
	movq	8(%rsp), %r9
	syscall
GLOBL(site_call):
	ret

/* long stub_notify(kind, a, b, c): the reserved call */
GLOBL(stub_notify):
	movq	%rcx, %r10
	movl	$STUB_NR_NOTIFY, %eax
	syscall
GLOBL(site_notify):
	ret

/* long stub_sleep_call(slot, nr, args[6]): a host call that a kick must end */
GLOBL(stub_sleep_call):
	pushq	%rbx
	movq	%rdi, %rbx
	movq	%rsi, %rax
	movq	%rdx, %r11
	movq	(%r11), %rdi
	movq	8(%r11), %rsi
	movq	16(%r11), %rdx
	movq	24(%r11), %r10
	movq	32(%r11), %r8
	movq	40(%r11), %r9
GLOBL(sleep_begin):
	cmpl	$0, SLOT_KICK(%rbx)
	jne	sleep_abort
	syscall
GLOBL(sleep_end):
	popq	%rbx
	ret
GLOBL(sleep_abort):
	movq	$-4, %rax
	popq	%rbx
	ret

/* long stub_fork(token, slot0): fork(2); only the parent returns. The child has no slots, hence no stack, until
 * the Sentry gives it its own; it comes back with slot 0's registers. */
GLOBL(stub_fork):
	pushq	%rbx
	pushq	%r12
	movq	%rdi, %rbx
	movq	%rsi, %r12
fork_again:
	xorl	%esi, %esi
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	xorl	%r8d, %r8d
	movl	$17, %edi			/* SIGCHLD */
	movl	$56, %eax			/* clone */
	syscall
GLOBL(site_fork):
	cmpq	$-4, %rax			/* interrupted before the Sentry gave leave: ask again */
	je	fork_again
	testq	%rax, %rax
	jz	stub_child
	popq	%r12
	popq	%rbx
	ret

/* A fresh process: rbx = token, r12 = address of slot 0. */
GLOBL(stub_child):
	movl	$NOTIFY_CHILD, %edi
	movq	%rbx, %rsi
	movl	$STUB_NR_NOTIFY, %eax
	syscall
GLOBL(site_child_notify):
	cmpq	$-4, %rax			/* interrupted: say it again */
	je	stub_child
	cmpq	$-512, %rax
	je	stub_child
	testq	%rax, %rax
	js	stub_die
	movq	%rax, %r8
	movq	%r12, %rdi
	movl	$SLOTS_LEN, %esi
	movl	$3, %edx			/* PROT_READ | PROT_WRITE */
	movl	$0x11, %r10d			/* MAP_SHARED | MAP_FIXED */
	xorl	%r9d, %r9d
	movl	$9, %eax			/* mmap */
	movq	%r8, %rbx
	syscall
GLOBL(site_child_mmap):
	cmpq	%r12, %rax
	jne	stub_die
	movq	%rbx, %rdi
	movl	$3, %eax			/* close */
	syscall
GLOBL(site_child_close):
	leaq	SLOT_STACK_TOP(%r12), %rsp
	movq	%r12, %rdi
	xorl	%ebp, %ebp
	call	stub_child_start
	jmp	stub_leave
stub_die:
	movl	$127, %edi
	movl	$231, %eax			/* exit_group */
	syscall
GLOBL(site_die):
	ud2

/* long stub_clone(flags, stack, ctid): a thread; the new one starts at stub_thread on its own slot's stack. */
GLOBL(stub_clone):
	movq	%rdx, %r10
	xorl	%edx, %edx
	xorl	%r8d, %r8d
	movl	$56, %eax			/* clone */
	syscall
GLOBL(site_clone):
	testq	%rax, %rax
	jz	1f
	ret
1:	movq	%rsp, %rdi
	subq	$1, %rdi
	andq	$-SLOT_SIZE, %rdi
	xorl	%ebp, %ebp
	call	stub_thread_start
	jmp	stub_leave

/* size_t stub_copy(dst, src, n): bytes that could not be copied */
GLOBL(stub_copy):
	movq	%rdx, %rcx
GLOBL(copy_begin):
	rep	movsb
GLOBL(copy_end):
	movq	%rcx, %rax
	ret

/* size_t stub_zero(dst, n): bytes that could not be cleared */
GLOBL(stub_zero):
	movq	%rsi, %rcx
	xorl	%eax, %eax
GLOBL(zero_begin):
	rep	stosb
GLOBL(zero_end):
	movq	%rcx, %rax
	ret

/* size_t stub_copy_str(dst, src, cap): bytes copied, the NUL included if it was reached; cap a multiple of 8 */
GLOBL(stub_copy_str):
	xorl	%eax, %eax
	movabsq	$0x0101010101010101, %r8
	movabsq	$0x8080808080808080, %r9
str_words:
	cmpq	%rdx, %rax
	jae	str_done
GLOBL(str_word_begin):
	movq	(%rsi, %rax), %rcx
GLOBL(str_word_end):
	movq	%rcx, %r10
	movq	%rcx, %r11
	movq	%rcx, (%rdi, %rax)
	subq	%r8, %r10
	notq	%r11
	andq	%r11, %r10
	andq	%r9, %r10
	jnz	str_found
	addq	$8, %rax
	jmp	str_words
str_found:
	bsfq	%r10, %r10
	shrl	$3, %r10d
	leaq	1(%rax, %r10), %rax
	ret
GLOBL(str_bytes):				/* the last words before an unreadable page */
	cmpq	%rdx, %rax
	jae	str_done
GLOBL(str_byte_begin):
	movzbl	(%rsi, %rax), %ecx
GLOBL(str_byte_end):
	movb	%cl, (%rdi, %rax)
	incq	%rax
	testb	%cl, %cl
	jnz	str_bytes
GLOBL(str_done):
	ret

/* long stub_store32(addr, value), long stub_patch(addr, old, new), long stub_load(addr, out): 0 or -EFAULT;
 * patch: 1 when the bytes were not the old ones */
GLOBL(stub_store32):
GLOBL(store_begin):
	movl	%esi, (%rdi)
GLOBL(store_end):
	xorl	%eax, %eax
	ret
GLOBL(stub_patch):
	movq	%rsi, %rax
GLOBL(patch_begin):
	lock cmpxchgq %rdx, (%rdi)
GLOBL(patch_end):
	setne	%al
	movzbl	%al, %eax
	ret
GLOBL(stub_cmpxchg32):
	movl	%esi, %eax
GLOBL(cmpxchg_begin):
	lock cmpxchgl %edx, (%rdi)
GLOBL(cmpxchg_end):
	setne	%al
	movzbl	%al, %eax
	ret
GLOBL(word_fault):
	movq	$-14, %rax
	ret

/* void stub_xsave(area, mask), stub_xrstor(area, mask) */
GLOBL(stub_xsave):
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
	xsave64	(%rdi)
	ret
GLOBL(stub_xrstor):
	movl	%esi, %eax
	movq	%rsi, %rdx
	shrq	$32, %rdx
GLOBL(xrstor_begin):
	xrstor64 (%rdi)
GLOBL(xrstor_end):
	xorl	%eax, %eax
	ret

	.section .note.GNU-stack, "", @progbits
