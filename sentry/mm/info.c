/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/info.c - what /proc shows of an address space
 *
 * Model:   one vma per call, found by address, so that a reader holds no lock between lines. The rows of the vDSO follow
 *          the guest's own mappings; they lie above what the guest may change.
 * Locks:   mm->lock; a file is asked for its name after it.
 * Source:  proc_pid_maps(5), proc_pid_statm(5).
 */
#include "sentry/mm/mm_internal.h"

#include <stdio.h>
#include <string.h>

#define VVAR_BYTES (4 * PAGE_SIZE) /* time data of Linux 5.15 to 6.x */

static const struct {
	uint32_t vm, map;
} flag_map[] = {
	{ VM_GROWSDOWN, LINUX_MAP_GROWSDOWN },
	{ VM_STACK, LINUX_MAP_STACK },
	{ VM_LOCKED, LINUX_MAP_LOCKED },
	{ VM_NORESERVE, LINUX_MAP_NORESERVE },
};

static uint32_t map_flags_of(const struct vma *v)
{
	uint32_t f = v->flags & VM_SHARED ? LINUX_MAP_SHARED : LINUX_MAP_PRIVATE;

	if (!v->file)
		f |= LINUX_MAP_ANONYMOUS;
	for (size_t i = 0; i < ARRAY_SIZE(flag_map); i++)
		if (v->flags & flag_map[i].vm)
			f |= flag_map[i].map;
	return f;
}

static void anon_text(struct mm *mm, const struct vma *v, char *out, size_t cap)
{
	if (v->flags & VM_STACK)
		snprintf(out, cap, "[stack]");
	else if (v->flags & VM_SEALED)
		snprintf(out, cap, "[thunks]");
	else if (v->name)
		snprintf(out, cap, "[anon:%s]", v->name->text);
	else if (v->start < mm->layout.brk && v->end > mm->layout.start_brk)
		snprintf(out, cap, "[heap]");
}

/* The rows above the guest's part: vvar, then vdso. */
static bool vdso_row(struct mm *mm, uint64_t from, struct vma_info *out)
{
	if (!mm->vdso || from >= mm->vdso + mm->vdso_len)
		return false;
	*out = (struct vma_info){ .flags = LINUX_MAP_PRIVATE | LINUX_MAP_ANONYMOUS };
	if (from < mm->vdso) {
		out->start = mm->vdso - VVAR_BYTES;
		out->end = mm->vdso;
		out->prot = LINUX_PROT_READ;
		strcpy(out->name, "[vvar]");
	} else {
		out->start = mm->vdso;
		out->end = mm->vdso + mm->vdso_len;
		out->prot = LINUX_PROT_READ | LINUX_PROT_EXEC;
		strcpy(out->name, "[vdso]");
	}
	return true;
}

bool mm_next_vma(struct mm *mm, uint64_t from, struct vma_info *out)
{
	struct vma_file *f = NULL;
	struct buf path = { .max = 16 * 1024 };
	struct vma *v;
	bool found;

	sleep_lock(&mm->lock);
	v = vma_find(&mm->tree, from);
	if (v) {
		*out = (struct vma_info){ .start = v->start, .end = v->end, .off = v->off,
					  .prot = v->prot, .flags = map_flags_of(v),
					  .vm_flags = v->flags, .prot_max = v->prot_max };
		f = vma_file_get(v->file);
		if (!f)
			anon_text(mm, v, out->name, sizeof(out->name));
		found = true;
	} else {
		found = vdso_row(mm, from, out);
	}
	mm_unlock_free(mm);
	if (!f)
		return found;
	if (f->m->ops->describe)
		f->m->ops->describe(f->m, &out->dev, &out->ino, &path);
	if (path.len && !path.failed)
		snprintf(out->name, sizeof(out->name), "%s", path.data);
	buf_fini(&path);
	vma_file_put(f);
	return true;
}

/* Everything but what reserves addresses without using them is taken to be resident: the host keeps the true
 * number where the Sentry cannot see it. */
static void estimate_rss(struct mm *mm, struct mm_usage *out)
{
	struct vma *v;

	for (v = mm->tree.first; v; v = v->next) {
		if (!v->prot || (v->flags & (VM_STACK | VM_NORESERVE | VM_SEALED)))
			continue;
		if (v->file)
			out->file_rss += vma_len(v);
		else
			out->anon_rss += vma_len(v);
	}
	out->rss = out->anon_rss + out->file_rss;
}

void mm_usage(struct mm *mm, struct mm_usage *out)
{
	const struct vma_totals *s = &mm->tree.sum;

	*out = (struct mm_usage){ 0 };
	sleep_lock(&mm->lock);
	out->total = s->total;
	out->locked = s->locked;
	out->data = s->data;
	out->stack = s->stack;
	out->exec = s->exec;
	out->shared = s->shared;
	out->peak = MAX(mm->peak_total, s->total);
	estimate_rss(mm, out);
	mm_unlock_free(mm);
}
