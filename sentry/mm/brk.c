/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/brk.c - brk(2): the heap behind the program's data
 *
 * Locks:   mm->lock.
 * Source:  brk(2) NOTES: the system call returns the break, the old one when it could not be changed.
 */
#include "sentry/mm/mm_internal.h"

static long heap_grow(struct mm *mm, struct uthread *u, uint64_t from, uint64_t to)
{
	struct umem_op op;
	struct vma *v;
	uint64_t at;
	long ret;

	/* Linux leaves one page between the heap and what follows. */
	if (to + PAGE_SIZE > mm->limit || !vma_is_free(&mm->tree, from, to - from + PAGE_SIZE) ||
	    mm_quarantined(mm, from, to, &at))
		return -LINUX_ENOMEM;
	v = vma_new();
	if (!v)
		return -LINUX_ENOMEM;
	*v = (struct vma){ .start = from, .end = to, .flags = mm->def_flags,
			   .prot = LINUX_PROT_READ | LINUX_PROT_WRITE, .prot_max = LINUX_PROT_RWX };
	mm_map_op(v, from, to, mm->def_flags & VM_LOCKED ? UMEM_POPULATE : 0, &op);
	/* What the host may refuse (overcommit) must be known now: brk(2) has no way to say so later. */
	ret = mm_host_op(mm, u, &op, to - from >= MM_LARGE_BYTES ? HOST_NOW : HOST_LATER);
	if (ret < 0)
		vma_free(v);
	else
		mm_add(mm, v);
	return ret;
}

static long heap_shrink(struct mm *mm, struct uthread *u, uint64_t from, uint64_t to)
{
	struct umem_op op = { .kind = UMEM_UNMAP, .addr = from, .len = to - from, .host_fd = -1 };
	struct vma *spare = vma_new();
	long ret = -LINUX_ENOMEM;

	if (spare && !mm_sealed(mm, from, to))
		ret = mm_host_op(mm, u, &op, HOST_IF_SINGLE);
	if (!ret)
		mm_cut(mm, from, to, &spare);
	vma_free(spare);
	return ret;
}

static void brk_locked(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr)
{
	struct mm_layout *l = &mm->layout;
	uint64_t from = page_up(l->brk), to = page_up(addr), data = l->end_data - l->start_data;
	long ret = 0;

	if (addr < l->start_brk || addr > mm->limit || !l->start_brk)
		return;
	if (lim->data != UINT64_MAX && (data > lim->data || addr - l->start_brk > lim->data - data))
		return;
	if (to > from) {
		ret = mm_may_expand(mm, lim, to - from, true);
		if (!ret)
			ret = heap_grow(mm, u, from, to);
	} else if (to < from) {
		ret = heap_shrink(mm, u, to, from);
	}
	if (!ret)
		l->brk = addr;
}

long mm_brk(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr)
{
	long ret;

	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	if (addr != mm->layout.brk)
		brk_locked(mm, u, lim, addr);
	ret = (long)mm->layout.brk;
	mm_unlock_free(mm);
	return ret;
}
