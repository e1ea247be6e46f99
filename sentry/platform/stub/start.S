/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/start.S - first instructions of the zygote
 */
	.text
	.globl	zygote_start
	.hidden	zygote_start
zygote_start:
	xorl	%ebp, %ebp
	movq	%rsp, %rdi
	leaq	zygote_stack_top(%rip), %rsp
	call	zygote_main
	ud2

/* long zygote_helper(stack_top, ctid, fn): a process that shares memory and descriptors and runs fn */
	.globl	zygote_helper
	.hidden	zygote_helper
zygote_helper:
	movq	%rdx, %r9
	movq	%rsi, %r10		/* child tid */
	movq	%rdi, %rsi
	movl	$0x200711, %edi		/* CLONE_VM FS FILES CHILD_CLEARTID, SIGCHLD */
	xorl	%edx, %edx
	xorl	%r8d, %r8d
	movl	$56, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	ret
1:	xorl	%ebp, %ebp
	call	*%r9
	ud2

/* void zygote_jump(fn, stack) */
	.globl	zygote_jump
	.hidden	zygote_jump
zygote_jump:
	movq	%rsi, %rsp
	xorl	%ebp, %ebp
	call	*%rdi
	ud2

	.bss
	.balign	64
	.skip	65536
zygote_stack_top:
	.section .note.GNU-stack, "", @progbits
