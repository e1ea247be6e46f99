/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/kstack.h - switching between Sentry stacks (switch.S)
 */
#ifndef SENTRY_ARCH_KSTACK_H
#define SENTRY_ARCH_KSTACK_H

#include <stdint.h>

/* Saves the caller's context, its stack pointer in *@save_sp, and continues the context saved at @new_sp. */
void kstack_switch(void **save_sp, void *new_sp);
void kstack_entry(void);

/* Context on a fresh stack whose highest address is @top: the first switch to it calls @fn, which never returns. */
static inline void *kstack_init(void *top, void (*fn)(void))
{
	uint64_t *sp = (uint64_t *)((uintptr_t)top & ~15ull);

	*--sp = 0;
	*--sp = 0; /* two words: kstack_entry's stack is 16-byte aligned at its call */
	*--sp = (uint64_t)(uintptr_t)kstack_entry;
	*--sp = 0;			   /* rbp */
	*--sp = 0;			   /* rbx */
	*--sp = (uint64_t)(uintptr_t)fn; /* r12 */
	*--sp = 0;			   /* r13 */
	*--sp = 0;			   /* r14 */
	*--sp = 0;			   /* r15 */
	return sp;
}

#endif
