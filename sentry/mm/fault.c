/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/fault.c - faults that the host could not resolve: stack growth, or what the guest is told
 *
 * Model:   stacks (the main one beyond what was mapped at first, and MAP_GROWSDOWN mappings) grow here rather than by the
 *          host's own flag, so that the tree always knows where they end. A step is large, because each costs a trip.
 * Locks:   mm->lock.
 * Source:  mmap(2) MAP_GROWSDOWN, sigaction(2) si_code.
 */
#include "sentry/abi/signal.h"
#include "sentry/mm/mm_internal.h"

#define GROW_STEP (256ull << 10)

/* The stack right above the hole at @addr that may grow down to it, or NULL. */
static struct vma *growable(struct mm *mm, uint64_t addr)
{
	struct vma *v = vma_find(&mm->tree, addr);

	if (!v || v->start <= addr || !(v->flags & VM_GROWSDOWN))
		return NULL;
	if (v->end - addr > mm->stack_limit)
		return NULL;
	/* Another mapping keeps its distance, unless it is itself a stack or has no access (mmap_guard). */
	if (v->prev && v->prev->prot && !(v->prev->flags & VM_GROWSDOWN) &&
	    addr - v->prev->end < STACK_GUARD_BYTES)
		return NULL;
	return v;
}

static bool grow(struct mm *mm, struct uthread *u, struct vma *v, uint64_t addr)
{
	uint64_t low = v->prev ? v->prev->end : MM_MMAP_MIN_ADDR, want = addr & PAGE_MASK, start;
	struct umem_op op;
	size_t done = 0;

	if (v->prev && v->prev->prot && !(v->prev->flags & VM_GROWSDOWN))
		low += STACK_GUARD_BYTES;
	start = want > low + GROW_STEP ? want - GROW_STEP : low;
	if (v->end - start > mm->stack_limit)
		start = ALIGN_UP(v->end - mm->stack_limit, PAGE_SIZE);
	if (start > want)
		start = want;
	mm_map_op(v, start, v->start, 0, &op);
	if (mm_host->exec(u, &op, 1, &done) < 0)
		return false;
	vma_resize(&mm->tree, v, start, v->end);
	return true;
}

/* What the tree says about an access: 0 if it should have worked. */
static int code_of(struct mm *mm, uint64_t addr)
{
	struct vma *v = vma_find(&mm->tree, addr);

	return v && v->start <= addr ? LINUX_SEGV_ACCERR : LINUX_SEGV_MAPERR;
}

bool mm_fault(struct mm *mm, struct uthread *u, const struct ufault *f, int *out_signo, int *out_code)
{
	bool fixed = false;
	struct vma *v;

	*out_signo = f->signo;
	*out_code = f->code;
	if (f->signo != LINUX_SIGSEGV || (f->code != LINUX_SEGV_MAPERR && f->code != LINUX_SEGV_ACCERR))
		return false;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	if (f->addr < mm->limit) {
		v = growable(mm, f->addr);
		fixed = v && grow(mm, u, v, f->addr);
	}
	if (!fixed)
		*out_code = code_of(mm, f->addr);
	mm_unlock_free(mm);
	return fixed;
}
