/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/switch.S - switching between Sentry stacks
 *
 * void kstack_switch(void **save_sp, void *new_sp)
 * Saves what the System V ABI makes the callee's and continues on the other stack. MXCSR and the x87 control word
 * are the same everywhere in the Sentry and are left alone.
 */
	.text
	.globl	kstack_switch
	.hidden	kstack_switch
	.type	kstack_switch, @function
kstack_switch:
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	ret
	.size	kstack_switch, . - kstack_switch

/* First code on a fresh stack: kstack_init() left the function in r12. The stack is 16-byte aligned here. */
	.globl	kstack_entry
	.hidden	kstack_entry
	.type	kstack_entry, @function
kstack_entry:
	xorl	%ebp, %ebp
	callq	*%r12
	ud2
	.size	kstack_entry, . - kstack_entry
	.section .note.GNU-stack,"",@progbits
