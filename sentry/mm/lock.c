/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/lock.c - mlock(2) and kin, msync(2), mincore(2)
 *
 * Model:   locks are accounted against RLIMIT_MEMLOCK and the pages are brought in, but the host does not pin them: its
 *          container limits, not the guest, decide what may stay in memory.
 * Locks:   mm->lock; dropped around a file's sync.
 * Source:  mlock(2), msync(2), mincore(2).
 * Differs: mincore(2) reports every mapped page as resident: residency is the host's, and the interface promises
 *          no more than a hint.
 */
#include "sentry/mm/mm_internal.h"

#include <string.h>

/* Brings in the pages of one vma's part; a failure only means that they come later. */
static void populate(struct mm *mm, struct uthread *u, const struct vma *v, uint64_t start, uint64_t end)
{
	struct umem_op op = { .kind = UMEM_ADVISE, .host_fd = -1 };
	size_t done = 0;

	if (!v->prot || (v->flags & VM_SEALED))
		return;
	op.addr = MAX(v->start, start);
	op.len = MIN(v->end, end) - op.addr;
	op.flags = (v->prot & LINUX_PROT_WRITE) && !(v->flags & VM_SHARED) ? LINUX_MADV_POPULATE_WRITE
									   : LINUX_MADV_POPULATE_READ;
	mm_host->exec(u, &op, 1, &done);
}

/* Sets the lock bits of [start, end); -LINUX_ENOMEM when there is a hole (what precedes it is done). */
static long set_lock(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end, uint32_t bits)
{
	struct vma *spare[2], *v;
	uint64_t at = start;
	long ret;

	if (mm->tree.nr + 2 > MM_MAP_COUNT_MAX)
		return -LINUX_ENOMEM;
	ret = mm_spares(spare);
	if (ret < 0)
		return ret;
	mm_split_at(mm, start, end, spare);
	mm_spares_free(spare);
	for (v = vma_find_range(&mm->tree, start, end); v && v->start == at && at < end; v = v->next) {
		at = v->end;
		vma_set_flags(&mm->tree, v, (v->flags & ~(VM_LOCKED | VM_LOCKONFAULT)) | bits, v->prot);
		if (bits && !(bits & VM_LOCKONFAULT))
			populate(mm, u, v, start, end);
		v = vma_merge(&mm->tree, v);
	}
	return at < end ? -LINUX_ENOMEM : 0;
}

static uint64_t locked_in(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find_range(&mm->tree, start, end);
	uint64_t n = 0;

	for (; v && v->start < end; v = v->next)
		if (v->flags & VM_LOCKED)
			n += MIN(v->end, end) - MAX(v->start, start);
	return n;
}

long mm_mlock(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr, uint64_t len,
	      uint32_t flags, bool lock)
{
	uint64_t start = addr & PAGE_MASK, bytes = page_up(len + (addr & ~PAGE_MASK));
	uint32_t bits = 0;
	long ret = 0;

	if (flags & ~LINUX_MLOCK_ONFAULT)
		return -LINUX_EINVAL;
	if (lock && !lim->memlock)
		return -LINUX_EPERM;
	if (bytes < len || start + bytes < start)
		return -LINUX_EINVAL;
	if (!bytes)
		return 0;
	if (!range_ok(mm, start, bytes))
		return -LINUX_ENOMEM;
	if (lock)
		bits = VM_LOCKED | (flags & LINUX_MLOCK_ONFAULT ? VM_LOCKONFAULT : 0);
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	if (lock) {
		uint64_t have = mm->tree.sum.locked - locked_in(mm, start, start + bytes);

		if (bytes > lim->memlock || have > lim->memlock - bytes)
			ret = -LINUX_ENOMEM;
	}
	if (!ret)
		ret = set_lock(mm, u, start, start + bytes, bits);
	mm_unlock_free(mm);
	return ret;
}

long mm_mlockall(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint32_t flags)
{
	const uint32_t lock_bits = VM_LOCKED | VM_LOCKONFAULT;
	uint32_t bits = flags ? VM_LOCKED | (flags & LINUX_MCL_ONFAULT ? VM_LOCKONFAULT : 0) : 0;
	struct vma *v;
	long ret = 0;

	if (flags & ~(LINUX_MCL_CURRENT | LINUX_MCL_FUTURE | LINUX_MCL_ONFAULT) ||
	    flags == LINUX_MCL_ONFAULT)
		return -LINUX_EINVAL;
	if (flags && !lim->memlock)
		return -LINUX_EPERM;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	if ((flags & LINUX_MCL_CURRENT) && mm->tree.sum.total > lim->memlock)
		ret = -LINUX_ENOMEM;
	if (!ret)
		mm->def_flags = (mm->def_flags & ~lock_bits) | (flags & LINUX_MCL_FUTURE ? bits : 0);
	if (!ret && (!flags || (flags & LINUX_MCL_CURRENT))) {
		for (v = mm->tree.first; v; v = v->next) {
			if (v->flags & VM_SEALED)
				continue;
			vma_set_flags(&mm->tree, v, (v->flags & ~lock_bits) | bits, v->prot);
			/* The main stack is mapped whole; only its used part would be locked by Linux. */
			if (bits && !(bits & VM_LOCKONFAULT) && !(v->flags & VM_STACK))
				populate(mm, u, v, v->start, v->end);
			v = vma_merge(&mm->tree, v);
		}
	}
	mm_unlock_free(mm);
	return ret;
}

/* One step of msync: the shared file mapping at or above *@at, a reference to it; NULL at the end. */
static struct vma_file *next_to_sync(struct mm *mm, uint64_t *at, uint64_t end, uint32_t flags,
				     uint64_t *out_off, uint64_t *out_len, long *ret)
{
	struct vma_file *f = NULL;
	struct vma *v;

	sleep_lock(&mm->lock);
	for (v = vma_find_range(&mm->tree, *at, end); v && v->start < end && !f; v = v->next) {
		uint64_t to = MIN(v->end, end);

		if (v->start > *at) {
			*ret = -LINUX_ENOMEM;
			*at = v->start;
		}
		if ((flags & LINUX_MS_INVALIDATE) && (v->flags & VM_LOCKED)) {
			*ret = -LINUX_EBUSY;
			*at = end;
			break;
		}
		if ((flags & LINUX_MS_SYNC) && v->file && v->file->shared && v->file->m->ops->sync) {
			f = vma_file_get(v->file);
			*out_off = v->off + (*at - v->start);
			*out_len = to - *at;
		}
		*at = to;
	}
	mm_unlock_free(mm);
	return f;
}

long mm_msync(struct mm *mm, uint64_t addr, uint64_t len, uint32_t flags)
{
	uint64_t bytes = page_up(len), at = addr, end = addr + bytes, off = 0, n = 0;
	struct vma_file *f;
	long ret = 0, err;

	if (flags & ~(LINUX_MS_ASYNC | LINUX_MS_INVALIDATE | LINUX_MS_SYNC))
		return -LINUX_EINVAL;
	if ((addr & ~PAGE_MASK) || ((flags & LINUX_MS_ASYNC) && (flags & LINUX_MS_SYNC)))
		return -LINUX_EINVAL;
	if (bytes < len || end < addr)
		return -LINUX_ENOMEM;
	if (!bytes)
		return 0;
	while ((f = next_to_sync(mm, &at, end, flags, &off, &n, &ret))) {
		err = f->m->ops->sync(f->m, off, n);
		vma_file_put(f);
		if (err < 0)
			return err;
		if (at >= end)
			return ret;
	}
	return at < end ? -LINUX_ENOMEM : ret;
}

long mm_mincore(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, struct gptr vec)
{
	uint64_t bytes = page_up(len), nr, i;
	uint8_t ones[256];
	long ret;

	if (addr & ~PAGE_MASK)
		return -LINUX_EINVAL;
	if (bytes < len || (bytes && !range_ok(mm, addr, bytes)))
		return -LINUX_ENOMEM;
	if (!bytes)
		return 0;
	ret = mm_check_range(mm, addr, bytes);
	if (ret < 0)
		return ret;
	memset(ones, 1, sizeof(ones));
	nr = bytes / PAGE_SIZE;
	for (i = 0; i < nr; i += sizeof(ones)) {
		ret = copyout(u, GPTR(vec.v + i), ones, MIN(nr - i, sizeof(ones)));
		if (ret < 0)
			return ret;
	}
	return 0;
}
