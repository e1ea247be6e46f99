/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/place.c - where a new mapping goes
 *
 * Model:   top-down below mmap_base, as Linux; above it when nothing is free below. Ranges in quarantine are free in the
 *          tree but may still be unmapped by a queued operation, so they are passed over unless the guest names them.
 * Locks:   mm->lock held by the caller.
 * Source:  mmap(2), address_spaces as seen in /proc/PID/maps of Linux 6.x.
 */
#include "sentry/mm/mm_internal.h"

/* MAP_32BIT: between 1 and 2 GiB (mmap(2): "the first 2 Gigabytes") */
#define LOW32_START 0x40000000ull
#define LOW32_END   0x80000000ull

static long place_fixed(struct mm *mm, const struct place_args *a)
{
	if (a->hint & ~PAGE_MASK)
		return -LINUX_EINVAL;
	if (!range_ok(mm, a->hint, a->len))
		return -LINUX_ENOMEM;
	if (a->hint < MM_MMAP_MIN_ADDR)
		return -LINUX_EPERM;
	if ((a->flags & LINUX_MAP_FIXED_NOREPLACE) &&
	    vma_find_range(&mm->tree, a->hint, a->hint + a->len))
		return -LINUX_EEXIST;
	return (long)a->hint;
}

/* Free, and no queued munmap will hit it. */
static bool usable(struct mm *mm, uint64_t addr, uint64_t len)
{
	uint64_t at;

	return vma_is_free(&mm->tree, addr, len) && !mm_quarantined(mm, addr, addr + len, &at);
}

/* Each turn that finds a quarantined range looks below it: at most one turn for each. */
static uint64_t search_below(struct mm *mm, uint64_t len, uint64_t low, uint64_t high)
{
	uint64_t addr, at;

	for (;;) {
		addr = vma_gap_down(&mm->tree, len, low, high);
		if (!addr || !mm_quarantined(mm, addr, addr + len, &at))
			return addr;
		if (at <= low)
			return 0;
		high = at;
	}
}

static uint64_t search(struct mm *mm, uint64_t len, uint32_t flags)
{
	uint64_t addr;

	if (flags & LINUX_MAP_32BIT)
		return search_below(mm, len, LOW32_START, LOW32_END);
	addr = search_below(mm, len, MM_MMAP_MIN_ADDR, mm->mmap_base);
	return addr ? addr : search_below(mm, len, mm->mmap_base, mm->limit);
}

long mm_place(struct mm *mm, const struct place_args *a)
{
	uint64_t addr = a->hint & PAGE_MASK;

	if (a->flags & (LINUX_MAP_FIXED | LINUX_MAP_FIXED_NOREPLACE))
		return place_fixed(mm, a);
	if (a->len > mm->limit)
		return -LINUX_ENOMEM;
	if (addr) {
		addr = MAX(addr, MM_MMAP_MIN_ADDR);
		if (range_ok(mm, addr, a->len) && usable(mm, addr, a->len) &&
		    (!(a->flags & LINUX_MAP_32BIT) || addr + a->len <= LOW32_END))
			return (long)addr;
	}
	if (a->huge_align) {
		addr = search(mm, a->len + HUGE_PAGE_BYTES - PAGE_SIZE, a->flags);
		if (addr)
			return (long)ALIGN_UP(addr, HUGE_PAGE_BYTES);
	}
	addr = search(mm, a->len, a->flags);
	return addr ? (long)addr : -LINUX_ENOMEM;
}

uint64_t mm_find_near(struct mm *mm, uint64_t near, uint64_t len)
{
	const uint64_t reach = (2ull << 30) - (64ull << 20); /* of a rel32, with room for what lies between */
	uint64_t low = near > reach + MM_MMAP_MIN_ADDR ? near - reach : MM_MMAP_MIN_ADDR;
	uint64_t high = near < mm->limit - reach ? near + reach : mm->limit, addr;
	struct vma *v = vma_new();

	if (!v)
		return 0;
	len = page_up(len);
	addr = search_below(mm, len, low, MIN(near, high));
	if (!addr)
		addr = search_below(mm, len, MAX(near, low), high);
	if (addr) {
		*v = (struct vma){ .start = addr, .end = addr + len, .flags = VM_SEALED,
				   .prot = LINUX_PROT_READ | LINUX_PROT_EXEC,
				   .prot_max = LINUX_PROT_READ | LINUX_PROT_EXEC };
		vma_insert(&mm->tree, v);
		v = NULL;
	}
	vma_free(v);
	return addr;
}

long mm_text_lock(struct mm *mm, uint64_t addr)
{
	struct vma *v;

	sleep_lock(&mm->lock);
	v = vma_find(&mm->tree, addr);
	if (v && v->start <= addr && !(v->flags & (VM_SHARED | VM_SEALED)))
		return v->prot;
	mm_unlock_free(mm);
	return -LINUX_EPERM;
}

void mm_text_unlock(struct mm *mm)
{
	mm_unlock_free(mm);
}
