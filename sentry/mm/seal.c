/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/seal.c - mseal(2)
 *
 * Model:   a bit of the vma; what unmaps, moves, replaces or protects asks for it (mm_sealed() and the like). The host hears
 *          nothing: it does only what this side allowed.
 * Locks:   mm->lock.
 * Source:  mseal(2).
 */
#include "sentry/mm/mm_internal.h"

long mm_mseal(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len)
{
	uint64_t bytes = page_up(len), end = addr + bytes;
	struct vma *spare[2] = { NULL, NULL }, *v;
	uint64_t at = addr;
	long ret;

	if ((addr & ~PAGE_MASK) || bytes < len || end < addr)
		return -LINUX_EINVAL;
	if (!bytes)
		return 0;
	if (!range_ok(mm, addr, bytes))
		return -LINUX_ENOMEM;
	ret = mm_spares(spare);
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	for (v = vma_find(&mm->tree, addr); v && v->start <= at && at < end; v = v->next)
		at = v->end;
	if (!ret && (at < end || mm->tree.nr + 2 > MM_MAP_COUNT_MAX))
		ret = -LINUX_ENOMEM;
	if (!ret) {
		mm_split_at(mm, addr, end, spare);
		for (v = vma_find_range(&mm->tree, addr, end); v && v->start < end; v = v->next) {
			vma_set_flags(&mm->tree, v, v->flags | VM_MSEALED, v->prot);
			v = vma_merge(&mm->tree, v);
		}
	}
	mm_unlock_free(mm);
	mm_spares_free(spare);
	return ret;
}
