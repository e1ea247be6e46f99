/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/remap.c - mremap(2)
 *
 * Model:   shrinking unmaps the tail, growing in place maps more behind, everything else is one host mremap to an
 *          address that we choose. MREMAP_DONTUNMAP and the duplication of shared mappings (old length 0) are composed of
 *          plain mappings.
 * Locks:   mm->lock; a file's descriptor is asked for under it (mappable_ops.host_fd takes only locks of its file system), after it was
 *          asked without where that may wait for a guest.
 * Source:  mremap(2).
 * Differs: MREMAP_DONTUNMAP leaves a moment in which another thread sees the old range unmapped.
 */
#include "sentry/mm/mm_internal.h"

struct remap {
	struct mm *mm;
	struct uthread *u;
	const struct mm_limits *lim;
	uint64_t old, old_len, new_, new_len;
	uint32_t flags;
	struct vma *v;	/* the one that covers old; valid until the tree changes */
};

static long check_args(const struct remap *r)
{
	uint32_t f = r->flags;

	if (f & ~(LINUX_MREMAP_MAYMOVE | LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP))
		return -LINUX_EINVAL;
	if ((f & LINUX_MREMAP_FIXED) && !(f & LINUX_MREMAP_MAYMOVE))
		return -LINUX_EINVAL;
	if ((f & LINUX_MREMAP_DONTUNMAP) && (!(f & LINUX_MREMAP_MAYMOVE) || r->old_len != r->new_len))
		return -LINUX_EINVAL;
	if ((r->old & ~PAGE_MASK) || !r->new_len || r->new_len > r->mm->limit ||
	    r->old_len > r->mm->limit)
		return -LINUX_EINVAL;
	if (!(f & LINUX_MREMAP_FIXED))
		return 0;
	if ((r->new_ & ~PAGE_MASK) || !range_ok(r->mm, r->new_, r->new_len))
		return -LINUX_EINVAL;
	if (r->old < r->new_ + r->new_len && r->new_ < r->old + r->old_len)
		return -LINUX_EINVAL;
	if (r->new_ < MM_MMAP_MIN_ADDR)
		return -LINUX_EPERM;
	return 0;
}

static long find_vma(struct remap *r)
{
	r->v = vma_find(&r->mm->tree, r->old);
	if (!r->v || r->v->start > r->old)
		return -LINUX_EFAULT;
	return 0;
}

/* What vma_to_resize checks in Linux: may this vma become r->new_len long? */
static long check_resize(const struct remap *r)
{
	const struct vma *v = r->v;
	uint64_t add, off = v->off + (r->old - v->start);

	if (v->flags & VM_UNCHANGEABLE)
		return -LINUX_EPERM;
	if (!r->old_len && !(v->flags & VM_SHARED))
		return -LINUX_EINVAL;
	if (r->old_len > v->end - r->old)
		return -LINUX_EFAULT;
	if (r->new_len <= r->old_len)
		return 0;
	if (v->file && off + r->new_len < off)
		return -LINUX_EINVAL;
	add = r->new_len - r->old_len;
	if ((v->flags & VM_LOCKED) &&
	    (add > r->lim->memlock || r->mm->tree.sum.locked > r->lim->memlock - add))
		return -LINUX_EAGAIN;
	return mm_may_expand(r->mm, r->lim, add, mm_is_data(v->flags, v->prot));
}

static long unmap_part(struct remap *r, uint64_t start, uint64_t end)
{
	struct umem_op op = { .kind = UMEM_UNMAP, .addr = start, .len = end - start, .host_fd = -1 };
	struct vma *spare = vma_new();
	long ret = -LINUX_ENOMEM;

	if (mm_sealed(r->mm, start, end))
		ret = -LINUX_EPERM;
	else if (spare)
		ret = mm_host_op(r->mm, r->u, &op, HOST_IF_SINGLE);
	if (!ret)
		mm_cut(r->mm, start, end, &spare);
	vma_free(spare);
	return ret;
}

/* Maps what @v would show at [start, start+len), @off bytes from its beginning. */
static long map_like(struct remap *r, const struct vma *v, uint64_t off, uint64_t start, uint64_t len,
		     enum host_when when)
{
	struct vma *n = vma_new();
	struct umem_op op;
	long ret;

	if (!n)
		return -LINUX_ENOMEM;
	vma_copy(n, v);
	n->start = start;
	n->end = start + len;
	if (n->file)
		n->off = v->off + off;
	ret = mm_map_op(n, n->start, n->end,
			(n->flags & VM_LOCKED) && n->prot ? UMEM_POPULATE : 0, &op);
	if (!ret)
		ret = mm_host_op(r->mm, r->u, &op, when);
	if (ret < 0) {
		vma_free(n);
		return ret;
	}
	mm_add(r->mm, n);
	return 0;
}

/* True when it was possible; *out_ret says how it went. */
static bool grow_in_place(struct remap *r, long *out_ret)
{
	uint64_t add = r->new_len - r->old_len;
	struct vma *v = r->v;
	uint64_t at;

	if (!r->old_len || r->old + r->old_len != v->end || !range_ok(r->mm, v->end, add) ||
	    (v->flags & VM_GROWSDOWN) || !vma_is_free(&r->mm->tree, v->end, add) ||
	    mm_quarantined(r->mm, v->end, v->end + add, &at))
		return false;
	*out_ret = map_like(r, v, v->end - v->start, v->end, add,
			    v->file ? HOST_IF_SINGLE : HOST_LATER);
	return true;
}

/* The tree's part of a move that the host has done. */
static void move_in_tree(struct remap *r, struct vma *n, struct vma *spare[2])
{
	bool keep = r->flags & LINUX_MREMAP_DONTUNMAP;
	struct vma *v = r->v;

	vma_copy(n, v);
	n->start = r->new_;
	n->end = r->new_ + r->new_len;
	if (n->file)
		n->off = v->off + (r->old - v->start);
	mm_cut(r->mm, n->start, n->end, &spare[0]);
	if (!keep)
		mm_cut(r->mm, r->old, r->old + r->old_len, &spare[1]);
	mm_add(r->mm, n);
}

static long move(struct remap *r)
{
	struct umem_op ops[2] = {
		{ .kind = UMEM_REMAP, .addr = r->old, .len = r->old_len, .addr2 = r->new_, .len2 = r->new_len,
		  .host_fd = -1 },
	};
	bool over = vma_find_range(&r->mm->tree, r->new_, r->new_ + r->new_len);
	struct vma *spare[2], *n = vma_new();
	size_t done = 0, nr = 1;
	long ret = mm_spares(spare);

	if (!n)
		ret = -LINUX_ENOMEM;
	if (!ret && (r->flags & LINUX_MREMAP_DONTUNMAP)) {
		ret = mm_map_op(r->v, r->old, r->old + r->old_len, 0, &ops[1]);
		nr = 2;
	}
	if (!ret) {
		ret = mm_host->exec(r->u, ops, nr, &done);
		if (ret < 0 && done == 1) {	/* moved, but the old place stayed empty */
			r->flags &= ~LINUX_MREMAP_DONTUNMAP;
			ret = 0;
		} else if (ret < 0 && over) {
			mm_scorch(r->mm, r->u, r->new_, r->new_ + r->new_len);
		}
		if (!ret) {
			move_in_tree(r, n, spare);
			n = NULL;
		}
	}
	vma_free(n);
	mm_spares_free(spare);
	return ret < 0 ? ret : (long)r->new_;
}

/* Old length 0: a second view of the same shared pages. */
static long duplicate(struct remap *r)
{
	struct vma tmp;
	long ret;

	vma_copy(&tmp, r->v);	/* r->v may go with what is cut out for it */
	tmp.start = r->v->start;
	if (vma_find_range(&r->mm->tree, r->new_, r->new_ + r->new_len)) {
		ret = unmap_part(r, r->new_, r->new_ + r->new_len);
		if (ret < 0)
			goto out;
	}
	ret = map_like(r, &tmp, r->old - tmp.start, r->new_, r->new_len, HOST_NOW);
out:
	vma_file_put(tmp.file);
	vma_name_put(tmp.name);
	return ret < 0 ? ret : (long)r->new_;
}

static long choose_and_move(struct remap *r)
{
	struct place_args pa = { .len = r->new_len };
	long ret;

	if (r->mm->tree.nr + 4 > MM_MAP_COUNT_MAX)
		return -LINUX_ENOMEM;
	if (r->flags & LINUX_MREMAP_FIXED) {
		if (mm_sealed(r->mm, r->new_, r->new_ + r->new_len))
			return -LINUX_EPERM;
	} else {
		ret = mm_place(r->mm, &pa);
		if (ret < 0)
			return ret;
		r->new_ = (uint64_t)ret;
	}
	return r->old_len ? move(r) : duplicate(r);
}

static long remap_locked(struct remap *r)
{
	bool to = r->flags & (LINUX_MREMAP_FIXED | LINUX_MREMAP_DONTUNMAP);
	long ret = find_vma(r);

	if (ret < 0)
		return ret;
	if (r->old_len > r->new_len) {
		if (!range_ok(r->mm, r->old, r->old_len))
			return -LINUX_EINVAL;
		ret = unmap_part(r, r->old + r->new_len, r->old + r->old_len);
		if (ret < 0)
			return ret;
		r->old_len = r->new_len;
		ret = find_vma(r);
		if (ret < 0)
			return ret;
	}
	if (r->old_len == r->new_len && !to)
		return (long)r->old;
	ret = check_resize(r);
	if (ret < 0)
		return ret;
	if (!to && grow_in_place(r, &ret))
		return ret < 0 ? ret : (long)r->old;
	if (!(r->flags & LINUX_MREMAP_MAYMOVE))
		return -LINUX_ENOMEM;
	return choose_and_move(r);
}

/* What a file must fetch before more of it can be mapped is fetched without the lock: it may wait for a guest (fs/fuse). */
static long fetch_first(struct remap *r)
{
	struct vma_file *f = NULL;
	uint64_t off = 0, id, host_off;
	struct vma *v;
	long ret = 0;
	int fd;

	if (r->new_len <= r->old_len)
		return 0;
	sleep_lock(&r->mm->lock);
	v = vma_find(&r->mm->tree, r->old);
	if (v && v->start <= r->old && v->file && v->file->m->ops->waits) {
		f = vma_file_get(v->file);
		off = v->off + (r->old - v->start);
	}
	sleep_unlock(&r->mm->lock);
	if (f && f->m->ops->waits(f->m) && off + r->new_len > off)
		ret = f->m->ops->host_fd(f->m, off, r->new_len, f->shared, f->may_write, &fd, &id, &host_off);
	vma_file_put(f);
	return MIN(ret, 0L);
}

long mm_mremap(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t old,
	       uint64_t old_len, uint64_t new_len, uint32_t flags, uint64_t new_addr)
{
	struct remap r = { .mm = mm, .u = u, .lim = lim, .old = old, .old_len = page_up(old_len),
			   .new_ = new_addr, .new_len = page_up(new_len), .flags = flags };
	long ret;

	if (r.old_len < old_len || r.new_len < new_len)
		return -LINUX_EINVAL;
	ret = check_args(&r);
	if (!ret)
		ret = fetch_first(&r);
	if (ret < 0)
		return ret;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	ret = remap_locked(&r);
	mm_unlock_free(mm);
	return ret;
}
