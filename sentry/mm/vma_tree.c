/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/vma_tree.c - the treap of vmas: lookup, insertion, removal, gap search
 *
 * Model:   see vma.h. A node's gap lies between its predecessor's end and its own start (less the guard of a stack),
 *          so a change of one vma touches the gaps of itself and its successor, and max_gap on two paths to the root.
 * Source:  Aragon and Seidel, "Randomized Search Trees" (1989).
 */
#include "sentry/mm/vma.h"

#include "sentry/abi/mman.h"

void vma_tree_init(struct vma_tree *t, uint64_t seed)
{
	*t = (struct vma_tree){ .rng = seed | 1 };
}

void vma_tree_clear(struct vma_tree *t)
{
	struct vma *v = t->first, *next;

	for (; v; v = next) {
		next = v->next;
		vma_free(v);
	}
	*t = (struct vma_tree){ .rng = t->rng };
}

static uint32_t next_prio(struct vma_tree *t)
{
	t->rng ^= t->rng << 13;
	t->rng ^= t->rng >> 7;
	t->rng ^= t->rng << 17;
	return (uint32_t)(t->rng >> 32);
}

/* ---- gaps ------------------------------------------------------------------------------------- */

static uint64_t own_gap(const struct vma *v)
{
	uint64_t from = v->prev ? v->prev->end : 0, to = vma_guard_start(v);

	return to > from ? to - from : 0;
}

static bool update_max(struct vma *v)
{
	uint64_t m = v->gap;

	if (v->left && v->left->max_gap > m)
		m = v->left->max_gap;
	if (v->right && v->right->max_gap > m)
		m = v->right->max_gap;
	if (m == v->max_gap)
		return false;
	v->max_gap = m;
	return true;
}

/* Recomputes the gap in front of @v and everything that depends on it. */
static void refresh_gap(struct vma *v)
{
	if (!v)
		return;
	v->gap = own_gap(v);
	while (v && update_max(v))
		v = v->parent;
}

/* ---- shape ------------------------------------------------------------------------------------ */

static void replace_child(struct vma_tree *t, struct vma *parent, struct vma *old, struct vma *new_)
{
	if (!parent)
		t->root = new_;
	else if (parent->left == old)
		parent->left = new_;
	else
		parent->right = new_;
	if (new_)
		new_->parent = parent;
}

/* Lifts @v over its parent, keeping the order. */
static void rotate_up(struct vma_tree *t, struct vma *v)
{
	struct vma *p = v->parent, *mid;

	replace_child(t, p->parent, p, v);
	if (p->left == v) {
		mid = v->right;
		v->right = p;
		p->left = mid;
	} else {
		mid = v->left;
		v->left = p;
		p->right = mid;
	}
	if (mid)
		mid->parent = p;
	p->parent = v;
	update_max(p);
	update_max(v);
}

static void account(struct vma_tree *t, const struct vma *v, uint64_t sign)
{
	uint64_t n = vma_len(v) * sign; /* modulo 2^64: sign is 1 or -1 */

	if (v->flags & VM_SEALED)
		return; /* the platform's, not the guest's */
	t->sum.total += n;
	if (v->flags & VM_LOCKED)
		t->sum.locked += n;
	if (v->flags & VM_SHARED)
		t->sum.shared += n;
	if (v->flags & (VM_STACK | VM_GROWSDOWN))
		t->sum.stack += n;
	else if ((v->prot & LINUX_PROT_EXEC) && !(v->prot & LINUX_PROT_WRITE))
		t->sum.exec += n;
	else if ((v->prot & LINUX_PROT_WRITE) && !(v->flags & VM_SHARED))
		t->sum.data += n;
}

struct vma *vma_find(struct vma_tree *t, uint64_t addr)
{
	struct vma *v = t->hint, *best = NULL;

	if (v && v->start <= addr && addr < v->end)
		return v;
	for (v = t->root; v;) {
		if (v->end > addr) {
			best = v;
			if (v->start <= addr)
				break;
			v = v->left;
		} else {
			v = v->right;
		}
	}
	t->hint = best;
	return best;
}

struct vma *vma_find_range(struct vma_tree *t, uint64_t addr, uint64_t end)
{
	struct vma *v = vma_find(t, addr);

	return v && v->start < end ? v : NULL;
}

static void link_leaf(struct vma_tree *t, struct vma *v)
{
	struct vma **at = &t->root, *parent = NULL;

	v->prev = v->next = NULL;
	while (*at) {
		parent = *at;
		if (v->start < parent->start) {
			v->next = parent;
			at = &parent->left;
		} else {
			v->prev = parent;
			at = &parent->right;
		}
	}
	*at = v;
	v->parent = parent;
	*(v->prev ? &v->prev->next : &t->first) = v;
	*(v->next ? &v->next->prev : &t->last) = v;
}

void vma_insert(struct vma_tree *t, struct vma *v)
{
	v->left = v->right = NULL;
	v->prio = next_prio(t);
	v->gap = v->max_gap = 0;
	link_leaf(t, v);
	BUG_ON(v->start >= v->end || (v->prev && v->prev->end > v->start) ||
	       (v->next && v->next->start < v->end));
	refresh_gap(v);
	refresh_gap(v->next);
	while (v->parent && v->parent->prio < v->prio)
		rotate_up(t, v);
	t->nr++;
	account(t, v, 1);
}

void vma_remove(struct vma_tree *t, struct vma *v)
{
	struct vma *parent, *next = v->next;

	while (v->left && v->right)
		rotate_up(t, v->left->prio > v->right->prio ? v->left : v->right);
	parent = v->parent;
	replace_child(t, parent, v, v->left ? v->left : v->right);
	*(v->prev ? &v->prev->next : &t->first) = next;
	*(next ? &next->prev : &t->last) = v->prev;
	for (; parent && update_max(parent); parent = parent->parent)
		;
	refresh_gap(next);
	if (t->hint == v)
		t->hint = NULL;
	t->nr--;
	account(t, v, UINT64_MAX);
}

void vma_resize(struct vma_tree *t, struct vma *v, uint64_t start, uint64_t end)
{
	BUG_ON(start >= end || (v->prev && v->prev->end > start) || (v->next && v->next->start < end));
	account(t, v, UINT64_MAX);
	if (v->file)
		v->off += start - v->start; /* modulo 2^64 when it grows downwards */
	v->start = start;
	v->end = end;
	account(t, v, 1);
	refresh_gap(v);
	refresh_gap(v->next);
}

void vma_set_flags(struct vma_tree *t, struct vma *v, uint32_t flags, uint8_t prot)
{
	account(t, v, UINT64_MAX);
	v->flags = flags;
	v->prot = prot;
	account(t, v, 1);
	refresh_gap(v);
}

/* ---- search for room -------------------------------------------------------------------------- */

/* The part of the gap [from, to) inside [low, high), if @len fits. */
static bool gap_fits(uint64_t *from, uint64_t *to, uint64_t len, uint64_t low, uint64_t high)
{
	*from = MAX(*from, low);
	*to = MIN(*to, high);
	return *to > *from && *to - *from >= len;
}

/* Depth is that of the treap: some 50 for the 65,530 vmas a guest may have. */
static uint64_t search_down(const struct vma *v, uint64_t len, uint64_t low, uint64_t high)
{
	uint64_t from, to, a;

	if (!v || v->max_gap < len)
		return 0;
	if (v->end < high) {
		a = search_down(v->right, len, low, high);
		if (a)
			return a;
	}
	from = v->prev ? v->prev->end : 0;
	to = vma_guard_start(v);
	if (gap_fits(&from, &to, len, low, high))
		return to - len;
	return v->start > low ? search_down(v->left, len, low, high) : 0;
}

static uint64_t search_up(const struct vma *v, uint64_t len, uint64_t low, uint64_t high)
{
	uint64_t from, to, a;

	if (!v || v->max_gap < len)
		return 0;
	if (v->start > low) {
		a = search_up(v->left, len, low, high);
		if (a)
			return a;
	}
	from = v->prev ? v->prev->end : 0;
	to = vma_guard_start(v);
	if (gap_fits(&from, &to, len, low, high))
		return from;
	return v->end < high ? search_up(v->right, len, low, high) : 0;
}

uint64_t vma_gap_down(struct vma_tree *t, uint64_t len, uint64_t low, uint64_t high)
{
	uint64_t from = t->last ? t->last->end : 0, to = UINT64_MAX;

	if (gap_fits(&from, &to, len, low, high))
		return to - len;
	return search_down(t->root, len, low, high);
}

uint64_t vma_gap_up(struct vma_tree *t, uint64_t len, uint64_t low, uint64_t high)
{
	uint64_t from = t->last ? t->last->end : 0, to = UINT64_MAX, a;

	a = search_up(t->root, len, low, high);
	if (a)
		return a;
	return gap_fits(&from, &to, len, low, high) ? from : 0;
}

bool vma_is_free(struct vma_tree *t, uint64_t addr, uint64_t len)
{
	struct vma *v = vma_find(t, addr);

	return !v || (v->start >= addr && vma_guard_start(v) >= addr + len);
}
