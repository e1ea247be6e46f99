/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/guarded_copy_x86.S - see guarded_copy.h
 *
 * size_t guarded_copy(void *dst /rdi/, const void *src /rsi/, size_t n /rdx/): `rep movsb` keeps the bytes
 * still to go in rcx, also when it faults, so "where it stopped" needs no bookkeeping.
 */
	.text
	.globl	guarded_copy
	.hidden	guarded_copy
	.globl	guarded_copy_insn
	.hidden	guarded_copy_insn
	.globl	guarded_copy_fixup
	.hidden	guarded_copy_fixup
	.type	guarded_copy, @function
guarded_copy:
	endbr64
	mov	%rdx, %rcx
guarded_copy_insn:
	rep movsb
guarded_copy_fixup:
	mov	%rcx, %rax
	ret
	.size	guarded_copy, . - guarded_copy
	.section .note.GNU-stack, "", @progbits
