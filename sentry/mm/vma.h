/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/vma.h - virtual memory areas and the ordered tree that holds them (inside mm/ only)
 *
 * Model:   a treap ordered by address, threaded as a list. Each node knows the free gap in front of it and the largest
 *          such gap below it, so that both "who covers this address" and "where is room" take O(log n). Priorities are
 *          random and the guest cannot see them, so it cannot unbalance the tree.
 * Locks:   everything here is guarded by mm->lock of the owner.
 */
#ifndef SENTRY_VMA_H
#define SENTRY_VMA_H

#include "sentry/mm/mm.h"

/* Linux keeps 256 pages free below a growing stack (stack_guard_gap). */
#define STACK_GUARD_BYTES (256 * PAGE_SIZE)

#define VM_SHARED      0x001u
#define VM_GROWSDOWN   0x002u
#define VM_STACK       0x004u	/* the main stack */
#define VM_LOCKED      0x008u
#define VM_LOCKONFAULT 0x010u
#define VM_NORESERVE   0x020u
#define VM_DONTFORK    0x040u
#define VM_WIPEONFORK  0x080u
#define VM_DONTDUMP    0x100u
#define VM_SEALED      0x200u	/* the platform's thunks: not the guest's to change */
#define VM_MSEALED     0x4000u	/* mseal(2) */
#define VM_UNCHANGEABLE (VM_SEALED | VM_MSEALED)
#define VM_HUGEPAGE    0x400u
#define VM_NOHUGEPAGE  0x800u
#define VM_RANDREAD    0x1000u
#define VM_SEQREAD     0x2000u

/* One successful mmap of a file, shared by the vmas that splits, forks and moves made of it. */
struct vma_file {
	struct refcount ref;
	struct mappable *m;	/* reference; immutable */
	bool shared, may_write;	/* immutable; what m->ops->map was told */
};

/* prctl(PR_SET_VMA_ANON_NAME) */
struct vma_name {
	struct refcount ref;
	char text[80];		/* immutable */
};

struct vma {
	uint64_t start, end;	/* bytes, page aligned; start < end */
	uint64_t off;		/* file offset of start; 0 for anonymous */
	struct vma_file *file;	/* reference; NULL = anonymous */
	struct vma_name *name;	/* reference; NULL = none */
	uint32_t flags;		/* VM_* */
	uint8_t prot, prot_max;	/* PROT_* bits */

	struct vma *prev, *next; /* by address */
	struct vma *left, *right, *parent;
	uint32_t prio;		/* heap order: a parent's is not smaller */
	uint64_t gap, max_gap;	/* free bytes in front of it; the largest of its subtree */
};

/* Sizes in bytes of what the tree holds, kept by insert and remove. */
struct vma_totals {
	uint64_t total, locked, data, stack, exec, shared;
};

struct vma_tree {
	struct vma *root, *first, *last;
	struct vma *hint;	/* last found */
	uint64_t rng;		/* xorshift state, never 0 */
	uint32_t nr;
	struct vma_totals sum;
};

void vma_tree_init(struct vma_tree *t, uint64_t seed);
void vma_tree_clear(struct vma_tree *t);

/* The first vma that ends above @addr (it may start above too), or NULL. */
struct vma *vma_find(struct vma_tree *t, uint64_t addr);
/* The same, but only if it starts below @end. */
struct vma *vma_find_range(struct vma_tree *t, uint64_t addr, uint64_t end);

/* @v is filled and overlaps nothing; ownership moves to the tree. */
void vma_insert(struct vma_tree *t, struct vma *v);
/* Unlinks @v; ownership moves to the caller. */
void vma_remove(struct vma_tree *t, struct vma *v);
/* Moves an end of @v without crossing neighbours (off follows start). */
void vma_resize(struct vma_tree *t, struct vma *v, uint64_t start, uint64_t end);
/* Changes what the totals depend on. */
void vma_set_flags(struct vma_tree *t, struct vma *v, uint32_t flags, uint8_t prot);

/* Highest address in [@low, @high) with @len free bytes, 0 when there is none. */
uint64_t vma_gap_down(struct vma_tree *t, uint64_t len, uint64_t low, uint64_t high);
/* The same, lowest address. */
uint64_t vma_gap_up(struct vma_tree *t, uint64_t len, uint64_t low, uint64_t high);
/* True when [addr, addr+len) and the guard gap of a stack above are free. */
bool vma_is_free(struct vma_tree *t, uint64_t addr, uint64_t len);

struct vma *vma_new(void);	/* zeroed; NULL = no memory */
void vma_free(struct vma *v);	/* drops its references; NULL is fine */
/* Fills @dst with a copy of @src (own references), unlinked. */
void vma_copy(struct vma *dst, const struct vma *src);
/* Splits @v at @at (inside it): @fresh becomes the upper part and joins the tree. */
void vma_split(struct vma_tree *t, struct vma *v, uint64_t at, struct vma *fresh);
/* Joins @v with equal neighbours; returns the vma that now covers it. */
struct vma *vma_merge(struct vma_tree *t, struct vma *v);

/* Takes a reference to @m and tells it of the mapping. 0, -LINUX_ENOMEM, or what m->ops->map says. */
long vma_file_new(struct mappable *m, bool shared, bool may_write, struct vma_file **out);
struct vma_file *vma_file_get(struct vma_file *f);	/* NULL gives NULL */
void vma_file_put(struct vma_file *f);

struct vma_name *vma_name_new(const char *text); /* cut to fit; NULL = no memory */
void vma_name_put(struct vma_name *n);		 /* NULL is fine */

static inline uint64_t vma_len(const struct vma *v)
{
	return v->end - v->start;
}

/* Lowest address that a mapping below @v must leave free. */
static inline uint64_t vma_guard_start(const struct vma *v)
{
	if (!(v->flags & VM_GROWSDOWN))
		return v->start;
	return v->start > STACK_GUARD_BYTES ? v->start - STACK_GUARD_BYTES : 0;
}

#endif
