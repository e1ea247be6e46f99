/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/vma.c - one vma: references, splitting, merging
 *
 * Locks:   mm->lock of the owner; vma_file and vma_name are immutable and counted, so forks share them.
 */
#include "sentry/mm/vma.h"

#include <string.h>

struct vma *vma_new(void)
{
	return calloc(1, sizeof(struct vma));
}

struct vma_name *vma_name_new(const char *text)
{
	struct vma_name *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	ref_init(&n->ref, 1);
	strncpy(n->text, text, sizeof(n->text) - 1);
	return n;
}

void vma_name_put(struct vma_name *n)
{
	if (n && ref_put(&n->ref))
		free(n);
}

void vma_free(struct vma *v)
{
	if (!v)
		return;
	vma_file_put(v->file);
	vma_name_put(v->name);
	free(v);
}

void vma_copy(struct vma *dst, const struct vma *src)
{
	*dst = (struct vma){
		.start = src->start, .end = src->end, .off = src->off,
		.file = vma_file_get(src->file), .name = src->name,
		.flags = src->flags, .prot = src->prot, .prot_max = src->prot_max,
	};
	if (dst->name)
		ref_get(&dst->name->ref);
}

void vma_split(struct vma_tree *t, struct vma *v, uint64_t at, struct vma *fresh)
{
	BUG_ON(at <= v->start || at >= v->end);
	vma_copy(fresh, v);
	fresh->start = at;
	if (fresh->file)
		fresh->off += at - v->start;
	vma_resize(t, v, v->start, at);
	vma_insert(t, fresh);
}

static bool same_file(const struct vma_file *a, const struct vma_file *b)
{
	if (a == b)
		return true;
	return a && b && a->m == b->m && a->shared == b->shared && a->may_write == b->may_write;
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	return a->end == b->start && a->flags == b->flags && a->prot == b->prot &&
	       a->prot_max == b->prot_max && a->name == b->name && same_file(a->file, b->file) &&
	       (!a->file || a->off + vma_len(a) == b->off) &&
	       !(a->flags & (VM_GROWSDOWN | VM_SEALED));
}

struct vma *vma_merge(struct vma_tree *t, struct vma *v)
{
	struct vma *o = v->next;
	uint64_t end;

	if (o && can_merge(v, o)) {
		end = o->end;
		vma_remove(t, o);
		vma_free(o);
		vma_resize(t, v, v->start, end);
	}
	o = v->prev;
	if (o && can_merge(o, v)) {
		end = v->end;
		vma_remove(t, v);
		vma_free(v);
		vma_resize(t, o, o->start, end);
		v = o;
	}
	return v;
}

long vma_file_new(struct mappable *m, bool shared, bool may_write, struct vma_file **out)
{
	struct vma_file *f = malloc(sizeof(*f));
	long ret;

	if (!f)
		return -LINUX_ENOMEM;
	if (m->ops->map) {
		ret = m->ops->map(m, shared, may_write);
		if (ret < 0) {
			free(f);
			return ret;
		}
	}
	m->ops->get(m);
	if (m->ops->users)
		m->ops->users(m, 1);
	*f = (struct vma_file){ .m = m, .shared = shared, .may_write = may_write };
	ref_init(&f->ref, 1);
	*out = f;
	return 0;
}

struct vma_file *vma_file_get(struct vma_file *f)
{
	if (f) {
		ref_get(&f->ref);
		if (f->m->ops->users)
			f->m->ops->users(f->m, 1);
	}
	return f;
}

void vma_file_put(struct vma_file *f)
{
	if (f && f->m->ops->users)
		f->m->ops->users(f->m, -1);
	if (!f || !ref_put(&f->ref))
		return;
	if (f->m->ops->unmap)
		f->m->ops->unmap(f->m, f->shared, f->may_write);
	f->m->ops->put(f->m);
	free(f);
}
