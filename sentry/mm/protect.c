/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/protect.c - mprotect(2)
 *
 * Model:   checks the whole range first, then one host call for the part before the first obstacle: like Linux, what comes
 *          before a hole changes, and the hole is reported.
 * Locks:   mm->lock.
 * Source:  mprotect(2).
 */
#include "sentry/mm/mm_internal.h"

#include "base/log.h"

/**
 * scan() - how far protection can change
 * @out_end:	end of the part that can
 * @out_same:	true when nothing would change there
 *
 * Return: 0, or the error to report after changing that part
 */
static long scan(struct mm *mm, uint64_t start, uint64_t end, uint32_t prot, uint64_t *out_end,
		 bool *out_same)
{
	struct vma *v = vma_find(&mm->tree, start);
	uint64_t at = start;

	*out_same = true;
	for (; at < end; v = v->next) {
		*out_end = at;
		if (!v || v->start > at)
			return -LINUX_ENOMEM;
		if (v->flags & VM_UNCHANGEABLE)
			return -LINUX_EPERM;
		if (prot & ~v->prot_max)
			return -LINUX_EACCES;
		if (v->prot != prot)
			*out_same = false;
		at = v->end;
	}
	*out_end = end;
	return 0;
}

/* The host stopped somewhere in the middle: give every vma its old protection again. */
static void restore(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end, long err)
{
	struct vma *v = vma_find_range(&mm->tree, start, end);
	long ret;

	for (; v && v->start < end; v = v->next) {
		struct umem_op op = { .kind = UMEM_PROTECT, .prot = v->prot, .host_fd = -1 };
		size_t done = 0;

		op.addr = MAX(v->start, start);
		op.len = MIN(v->end, end) - op.addr;
		ret = mm_host->exec(u, &op, 1, &done);
		if (ret < 0) {
			log_warn("mm: cannot restore protections (%ld after %ld), killing the process", ret, err);
			mm_host->kill(mm->space);
			return;
		}
	}
}

static long change(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end, uint32_t prot)
{
	struct umem_op op = { .kind = UMEM_PROTECT, .prot = prot, .addr = start, .len = end - start,
			      .host_fd = -1 };
	struct vma *spare[2], *v;
	long ret;

	if (mm->tree.nr + 2 > MM_MAP_COUNT_MAX)
		return -LINUX_ENOMEM;
	ret = mm_spares(spare);
	if (ret < 0)
		return ret;
	ret = mm_host_op(mm, u, &op, HOST_IF_SINGLE);
	if (ret < 0) {
		if (ret != -LINUX_ESRCH) /* the process is gone */
			restore(mm, u, start, end, ret);
	} else {
		mm_split_at(mm, start, end, spare);
		for (v = vma_find_range(&mm->tree, start, end); v && v->start < end; v = v->next) {
			vma_set_flags(&mm->tree, v, v->flags, (uint8_t)prot);
			v = vma_merge(&mm->tree, v);
		}
	}
	mm_spares_free(spare);
	return ret;
}

static long protect_locked(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end,
			   uint32_t prot, bool growsdown)
{
	uint64_t end_ok = start;
	struct vma *v;
	bool same;
	long ret, ret2 = 0;

	if (growsdown) {
		v = vma_find_range(&mm->tree, start, end);
		if (!v)
			return -LINUX_ENOMEM;
		if (!(v->flags & VM_GROWSDOWN))
			return -LINUX_EINVAL;
		start = v->start;
	}
	ret = scan(mm, start, end, prot, &end_ok, &same);
	if (end_ok > start && !same)
		ret2 = change(mm, u, start, end_ok, prot);
	return ret2 < 0 ? ret2 : ret;
}

long mm_mprotect(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, uint32_t prot)
{
	uint32_t grow = prot & (LINUX_PROT_GROWSDOWN | LINUX_PROT_GROWSUP);
	long ret;

	prot &= ~grow;
	if (grow == (LINUX_PROT_GROWSDOWN | LINUX_PROT_GROWSUP))
		return -LINUX_EINVAL;
	if (addr & ~PAGE_MASK)
		return -LINUX_EINVAL;
	if (!len)
		return 0;
	if (page_up(len) < len || addr + page_up(len) <= addr)
		return -LINUX_ENOMEM;
	if ((prot & ~(LINUX_PROT_RWX | LINUX_PROT_SEM)) || (grow & LINUX_PROT_GROWSUP))
		return -LINUX_EINVAL;
	if (!range_ok(mm, addr, page_up(len)))
		return -LINUX_ENOMEM;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	ret = protect_locked(mm, u, addr, addr + page_up(len), prot & LINUX_PROT_RWX,
			     grow & LINUX_PROT_GROWSDOWN);
	mm_unlock_free(mm);
	return ret;
}
