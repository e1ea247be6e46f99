/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/advise.c - madvise(2)
 *
 * Model:   a row per advice says whether the host hears of it and which VM_* bits it sets or clears. Advice without bits
 *          changes nothing in the tree, so it is always queued; the host's own errors then reach the guest.
 * Locks:   mm->lock.
 * Source:  madvise(2).
 * Differs: MADV_MERGEABLE is accepted without effect (page merging across containers would leak what they hold);
 *          MADV_HWPOISON and MADV_SOFT_OFFLINE answer as without CAP_SYS_ADMIN.
 */
#include "sentry/mm/mm_internal.h"

enum advice_kind {
	ADV_UNKNOWN,
	ADV_NOTE,	/* bits only */
	ADV_HOST,	/* the host does it */
	ADV_PRIVILEGED,
};

struct advice_row {
	enum advice_kind kind;
	uint32_t set, clear;	/* VM_* */
	bool not_locked;	/* -LINUX_EINVAL on locked ranges */
};

static const struct advice_row rows[] = {
	[LINUX_MADV_NORMAL] = { ADV_NOTE, 0, VM_RANDREAD | VM_SEQREAD, false },
	[LINUX_MADV_RANDOM] = { ADV_NOTE, VM_RANDREAD, VM_SEQREAD, false },
	[LINUX_MADV_SEQUENTIAL] = { ADV_NOTE, VM_SEQREAD, VM_RANDREAD, false },
	[LINUX_MADV_WILLNEED] = { ADV_HOST, 0, 0, false },
	[LINUX_MADV_DONTNEED] = { ADV_HOST, 0, 0, true },
	[LINUX_MADV_FREE] = { ADV_HOST, 0, 0, true },
	[LINUX_MADV_REMOVE] = { ADV_HOST, 0, 0, true },
	[LINUX_MADV_DONTFORK] = { ADV_HOST, VM_DONTFORK, 0, false },
	[LINUX_MADV_DOFORK] = { ADV_HOST, 0, VM_DONTFORK, false },
	[LINUX_MADV_MERGEABLE] = { ADV_NOTE, 0, 0, false },
	[LINUX_MADV_UNMERGEABLE] = { ADV_NOTE, 0, 0, false },
	[LINUX_MADV_HUGEPAGE] = { ADV_HOST, VM_HUGEPAGE, VM_NOHUGEPAGE, false },
	[LINUX_MADV_NOHUGEPAGE] = { ADV_HOST, VM_NOHUGEPAGE, VM_HUGEPAGE, false },
	[LINUX_MADV_DONTDUMP] = { ADV_NOTE, VM_DONTDUMP, 0, false },
	[LINUX_MADV_DODUMP] = { ADV_NOTE, 0, VM_DONTDUMP, false },
	[LINUX_MADV_WIPEONFORK] = { ADV_HOST, VM_WIPEONFORK, 0, false },
	[LINUX_MADV_KEEPONFORK] = { ADV_HOST, 0, VM_WIPEONFORK, false },
	[LINUX_MADV_COLD] = { ADV_HOST, 0, 0, true },
	[LINUX_MADV_PAGEOUT] = { ADV_HOST, 0, 0, true },
	[LINUX_MADV_POPULATE_READ] = { ADV_HOST, 0, 0, false },
	[LINUX_MADV_POPULATE_WRITE] = { ADV_HOST, 0, 0, false },
	[LINUX_MADV_DONTNEED_LOCKED] = { ADV_HOST, 0, 0, false },
	[LINUX_MADV_COLLAPSE] = { ADV_HOST, 0, 0, false },
	[LINUX_MADV_HWPOISON] = { ADV_PRIVILEGED, 0, 0, false },
	[LINUX_MADV_SOFT_OFFLINE] = { ADV_PRIVILEGED, 0, 0, false },
};

/* Advice that would change what sealed anonymous memory holds, while the guest could not write it. */
static bool loses_data(const struct vma *v, int advice)
{
	switch (advice) {
	case LINUX_MADV_DONTNEED:
	case LINUX_MADV_DONTNEED_LOCKED:
	case LINUX_MADV_FREE:
	case LINUX_MADV_REMOVE:
	case LINUX_MADV_DONTFORK:
	case LINUX_MADV_WIPEONFORK:
		return !v->file && !(v->prot & LINUX_PROT_WRITE);
	}
	return false;
}

/* 0, -LINUX_ENOMEM when there are holes, or what forbids the advice. */
static long check_range(struct mm *mm, uint64_t start, uint64_t end, int advice)
{
	const struct advice_row *row = &rows[advice];
	struct vma *v = vma_find_range(&mm->tree, start, end);
	uint64_t at = start;
	long ret = 0;

	for (; v && v->start < end; v = v->next) {
		if (v->start > at)
			ret = -LINUX_ENOMEM;
		at = v->end;
		if ((v->flags & VM_SEALED) || ((v->flags & VM_MSEALED) && loses_data(v, advice)))
			return -LINUX_EPERM;
		if (row->not_locked && (v->flags & VM_LOCKED))
			return -LINUX_EINVAL;
		if ((row->set & VM_WIPEONFORK) && (v->file || (v->flags & VM_SHARED)))
			return -LINUX_EINVAL;
		if (advice == LINUX_MADV_FREE && v->file)
			return -LINUX_EINVAL;
		if (advice == LINUX_MADV_REMOVE &&
		    (!v->file || !v->file->shared || !v->file->may_write))
			return v->file ? -LINUX_EACCES : -LINUX_EINVAL;
	}
	return at < end ? -LINUX_ENOMEM : ret;
}

static bool changes_flags(struct mm *mm, uint64_t start, uint64_t end, const struct advice_row *row)
{
	struct vma *v = vma_find_range(&mm->tree, start, end);

	for (; v && v->start < end; v = v->next)
		if (((v->flags | row->set) & ~row->clear) != v->flags)
			return true;
	return false;
}

static void apply_flags(struct mm *mm, uint64_t start, uint64_t end, const struct advice_row *row,
			struct vma *spare[2])
{
	struct vma *v;

	mm_split_at(mm, start, end, spare);
	for (v = vma_find_range(&mm->tree, start, end); v && v->start < end; v = v->next) {
		vma_set_flags(&mm->tree, v, (v->flags | row->set) & ~row->clear, v->prot);
		v = vma_merge(&mm->tree, v);
	}
}

static long advise_locked(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end, int advice)
{
	const struct advice_row *row = &rows[advice];
	struct umem_op op = { .kind = UMEM_ADVISE, .flags = (uint32_t)advice, .addr = start,
			      .len = end - start, .host_fd = -1 };
	struct vma *spare[2] = { NULL, NULL };
	long ret = check_range(mm, start, end, advice), ret2 = 0;
	bool change;

	if (ret < 0 && ret != -LINUX_ENOMEM)
		return ret;
	if (!vma_find_range(&mm->tree, start, end))
		return ret;
	change = (row->set | row->clear) && changes_flags(mm, start, end, row);
	if (change) {
		if (mm->tree.nr + 2 > MM_MAP_COUNT_MAX)
			return -LINUX_ENOMEM;
		ret2 = mm_spares(spare);
	}
	if (!ret2 && row->kind == ADV_HOST && (change || !(row->set | row->clear)))
		ret2 = mm_host_op(mm, u, &op, change ? HOST_IF_SINGLE : HOST_LATER);
	/* Advice about huge pages is advice: a host built without them changes nothing. */
	if (ret2 == -LINUX_EINVAL && (row->set & (VM_HUGEPAGE | VM_NOHUGEPAGE)))
		ret2 = 0;
	if (change && (!ret2 || ret2 == -LINUX_ENOMEM) && spare[0])
		apply_flags(mm, start, end, row, spare);
	mm_spares_free(spare);
	return ret2 < 0 ? ret2 : ret;
}

long mm_madvise(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len, int advice)
{
	uint64_t bytes = page_up(len);
	long ret;

	if (advice < 0 || (size_t)advice >= ARRAY_SIZE(rows) || rows[advice].kind == ADV_UNKNOWN)
		return -LINUX_EINVAL;
	if (rows[advice].kind == ADV_PRIVILEGED)
		return -LINUX_EPERM;
	if ((addr & ~PAGE_MASK) || bytes < len || addr + bytes < addr)
		return -LINUX_EINVAL;
	if (!bytes)
		return 0;
	if (!range_ok(mm, addr, bytes))
		return -LINUX_ENOMEM;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	ret = advise_locked(mm, u, addr, addr + bytes, advice);
	mm_unlock_free(mm);
	return ret;
}

long mm_check_range(struct mm *mm, uint64_t addr, uint64_t len)
{
	struct vma *v;
	uint64_t at = addr;

	if (!range_ok(mm, addr, len))
		return -LINUX_ENOMEM;
	sleep_lock(&mm->lock);
	for (v = vma_find(&mm->tree, addr); v && v->start <= at && at < addr + len; v = v->next)
		at = v->end;
	mm_unlock_free(mm);
	return at < addr + len ? -LINUX_ENOMEM : 0;
}

long mm_set_anon_name(struct mm *mm, uint64_t addr, uint64_t len, const char *name)
{
	uint64_t bytes = page_up(len), end = addr + bytes;
	struct vma *spare[2] = { NULL, NULL }, *v;
	struct vma_name *n = NULL;
	long ret;

	if ((addr & ~PAGE_MASK) || bytes < len || end < addr)
		return -LINUX_EINVAL;
	if (!bytes)
		return 0;
	if (!range_ok(mm, addr, bytes))
		return -LINUX_ENOMEM;
	if (name && !(n = vma_name_new(name)))
		return -LINUX_ENOMEM;
	ret = mm_spares(spare);
	sleep_lock(&mm->lock);
	if (!ret && mm->tree.nr + 2 > MM_MAP_COUNT_MAX)
		ret = -LINUX_ENOMEM;
	for (v = vma_find_range(&mm->tree, addr, end); !ret && v && v->start < end; v = v->next)
		if (v->file)
			ret = -LINUX_EBADF;
	if (!ret) {
		mm_split_at(mm, addr, end, spare);
		for (v = vma_find_range(&mm->tree, addr, end); v && v->start < end; v = v->next) {
			vma_name_put(v->name);
			v->name = n;
			if (n)
				ref_get(&n->ref);
			v = vma_merge(&mm->tree, v);
		}
	}
	mm_unlock_free(mm);
	mm_spares_free(spare);
	vma_name_put(n);
	return ret;
}
