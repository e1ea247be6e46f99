/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/map.c - mmap(2), munmap(2)
 *
 * Locks:   mm->lock. The file system is asked for its descriptor before the lock is taken.
 * Source:  mmap(2), getrlimit(2); order of checks as observed on Linux 6.x (test/guest/mm_*.c).
 * Differs: MAP_LOCKED is accounted and populated, but the host does not pin the pages.
 */
#include "sentry/mm/mm_internal.h"

bool mm_sealed(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find_range(&mm->tree, start, end);

	for (; v && v->start < end; v = v->next)
		if (v->flags & VM_UNCHANGEABLE)
			return true;
	return false;
}

uint64_t mm_bytes_in(struct mm *mm, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find_range(&mm->tree, start, end);
	uint64_t n = 0;

	for (; v && v->start < end; v = v->next)
		n += MIN(v->end, end) - MAX(v->start, start);
	return n;
}

long mm_may_expand(struct mm *mm, const struct mm_limits *lim, uint64_t add, bool data)
{
	if (add > lim->as || mm->tree.sum.total > lim->as - add)
		return -LINUX_ENOMEM;
	if (data && (add > lim->data || mm->tree.sum.data > lim->data - add))
		return -LINUX_ENOMEM;
	return 0;
}

long mm_spares(struct vma *spare[2])
{
	spare[0] = vma_new();
	spare[1] = vma_new();
	if (spare[0] && spare[1])
		return 0;
	mm_spares_free(spare);
	return -LINUX_ENOMEM;
}

void mm_spares_free(struct vma *spare[2])
{
	free(spare[0]);
	free(spare[1]);
	spare[0] = spare[1] = NULL;
}

static void split_if_inside(struct mm *mm, uint64_t at, struct vma **spare)
{
	struct vma *v = vma_find(&mm->tree, at);

	if (v && v->start < at) {
		vma_split(&mm->tree, v, at, *spare);
		*spare = NULL;
	}
}

void mm_split_at(struct mm *mm, uint64_t start, uint64_t end, struct vma *spare[2])
{
	split_if_inside(mm, start, &spare[0]);
	split_if_inside(mm, end, &spare[1]);
}

void mm_cut(struct mm *mm, uint64_t start, uint64_t end, struct vma **spare)
{
	struct vma_tree *t = &mm->tree;
	struct vma *v = vma_find_range(t, start, end), *next;

	for (; v && v->start < end; v = next) {
		next = v->next;
		if (v->start < start && v->end > end) {
			vma_split(t, v, end, *spare);
			*spare = NULL;
			vma_resize(t, v, v->start, start);
			return;
		}
		if (v->start < start) {
			vma_resize(t, v, v->start, start);
		} else if (v->end > end) {
			vma_resize(t, v, end, v->end);
		} else {
			vma_remove(t, v);
			mm_bury(mm, v);
		}
	}
}

struct vma *mm_add(struct mm *mm, struct vma *v)
{
	vma_insert(&mm->tree, v);
	return vma_merge(&mm->tree, v);
}

long mm_map_op(const struct vma *v, uint64_t start, uint64_t end, uint32_t umem_flags, struct umem_op *out)
{
	struct vma_file *f = v->file;
	uint64_t off = v->off + (start - v->start);
	long ret;

	*out = (struct umem_op){ .kind = UMEM_MAP_ANON, .prot = v->prot, .flags = umem_flags,
				 .addr = start, .len = end - start, .host_fd = -1 };
	if (v->flags & VM_NORESERVE)
		out->flags |= UMEM_NORESERVE;
	if (!f)
		return 0;
	out->kind = UMEM_MAP_FILE;
	if (f->shared)
		out->flags |= UMEM_SHARED;
	ret = f->m->ops->host_fd(f->m, off, end - start, f->shared, f->may_write, &out->host_fd,
				 &out->file_id, &out->off);
	return ret < 0 ? ret : 0;
}

/* ---- mmap ---------------------------------------------------------------------------------------- */

#define MAP_LEGACY_FLAGS                                                                             \
	(LINUX_MAP_SHARED | LINUX_MAP_PRIVATE | LINUX_MAP_FIXED | LINUX_MAP_ANONYMOUS |             \
	 LINUX_MAP_DENYWRITE | LINUX_MAP_EXECUTABLE | LINUX_MAP_GROWSDOWN | LINUX_MAP_LOCKED |      \
	 LINUX_MAP_NORESERVE | LINUX_MAP_POPULATE | LINUX_MAP_NONBLOCK | LINUX_MAP_STACK |          \
	 LINUX_MAP_HUGETLB | LINUX_MAP_32BIT | LINUX_MAP_ABOVE4G | LINUX_MAP_FIXED_NOREPLACE |      \
	 (LINUX_MAP_HUGE_MASK << LINUX_MAP_HUGE_SHIFT))

static long check_flags(uint32_t flags, const struct mappable *m)
{
	switch (flags & LINUX_MAP_TYPE) {
	case LINUX_MAP_PRIVATE:
		break;
	case LINUX_MAP_SHARED_VALIDATE:
		if (!m)
			return -LINUX_EINVAL; /* only files know MAP_SHARED_VALIDATE */
		if (flags & ~MAP_LEGACY_FLAGS)
			return -LINUX_EOPNOTSUPP;
		break;
	case LINUX_MAP_SHARED:
		if (!m && (flags & LINUX_MAP_GROWSDOWN))
			return -LINUX_EINVAL;
		break;
	default:
		return -LINUX_EINVAL;
	}
	if (flags & LINUX_MAP_HUGETLB)	/* no huge pages are reserved, and no file is of hugetlbfs */
		return m ? -LINUX_EINVAL : -LINUX_ENOMEM;
	return 0;
}

static uint32_t vm_flags_of(uint32_t flags, bool anon)
{
	uint32_t vm = 0;

	if ((flags & LINUX_MAP_TYPE) != LINUX_MAP_PRIVATE)
		vm |= VM_SHARED;
	if (anon && (flags & LINUX_MAP_GROWSDOWN))
		vm |= VM_GROWSDOWN;
	if (flags & LINUX_MAP_LOCKED)
		vm |= VM_LOCKED;
	if (flags & LINUX_MAP_NORESERVE)
		vm |= VM_NORESERVE;
	return vm;
}

static long check_limits(struct mm *mm, const struct mm_limits *lim, const struct vma *v)
{
	uint64_t replaced = mm_bytes_in(mm, v->start, v->end), add = vma_len(v);
	long ret;

	ret = mm_may_expand(mm, lim, add - replaced, false);
	if (!ret && mm_is_data(v->flags, v->prot))
		ret = mm_may_expand(mm, lim, add - replaced, true);
	if (ret)
		return ret;
	if ((v->flags & VM_LOCKED) &&
	    (add > lim->memlock || mm->tree.sum.locked > lim->memlock - add))
		return lim->memlock ? -LINUX_EAGAIN : -LINUX_EPERM;
	if (mm->tree.nr + 2 > MM_MAP_COUNT_MAX)
		return -LINUX_ENOMEM;
	return 0;
}

/**
 * install() - the host maps @v, then the tree shows it
 * @v:	filled, placed; moves into the tree on success
 *
 * Return: 0 or -LINUX_E*
 */
static long install(struct mm *mm, struct uthread *u, struct vma *v, uint32_t umem_flags,
		    const struct umem_op *file_op)
{
	bool fresh = !vma_find_range(&mm->tree, v->start, v->end);
	struct vma *spare = NULL;
	struct umem_op op;
	long ret;

	if (mm_sealed(mm, v->start, v->end))
		return -LINUX_EPERM;
	if (!fresh && !(spare = vma_new()))
		return -LINUX_ENOMEM;
	if (file_op) {
		op = *file_op;
		op.addr = v->start;
	} else {
		mm_map_op(v, v->start, v->end, umem_flags, &op);
	}
	ret = mm_host_op(mm, u, &op, fresh && !v->file ? HOST_LATER : HOST_IF_SINGLE);
	if (ret < 0) {
		if (!fresh)
			mm_scorch(mm, u, v->start, v->end);
	} else {
		if (!fresh)
			mm_cut(mm, v->start, v->end, &spare);
		mm_add(mm, v);
		ret = 0;
	}
	free(spare);
	return ret;
}

static long place_and_install(struct mm *mm, struct uthread *u, const struct mm_limits *lim,
			      struct vma *v, const struct place_args *pa, uint32_t umem_flags,
			      const struct umem_op *file_op)
{
	uint64_t start;
	long ret;

	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	if (!(v->flags & VM_GROWSDOWN))
		v->flags |= mm->def_flags;
	if (v->flags & VM_LOCKED && !(v->flags & VM_LOCKONFAULT) && v->prot)
		umem_flags |= UMEM_POPULATE;
	ret = mm_place(mm, pa);
	if (ret >= 0) {
		start = (uint64_t)ret;
		v->start = start;
		v->end = start + pa->len;
		ret = check_limits(mm, lim, v);
		if (!ret)
			ret = install(mm, u, v, umem_flags, file_op);
		if (!ret)
			ret = (long)start;
	}
	mm_unlock_free(mm);
	return ret;
}

/* What the vma will be, all but its place; the file's descriptor in @op. */
static long prepare_file(struct vma *v, struct mappable *m, uint64_t len, uint64_t off,
			 uint32_t umem_flags, struct umem_op *op)
{
	bool shared = v->flags & VM_SHARED;
	long ret;

	ret = vma_file_new(m, shared, shared && (v->prot_max & LINUX_PROT_WRITE), &v->file);
	if (ret < 0)
		return ret;
	v->start = 0;
	v->end = len;
	v->off = off;
	return mm_map_op(v, 0, len, umem_flags, op);
}

long mm_mmap(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr, uint64_t len,
	     uint32_t prot, uint32_t flags, struct mappable *m, uint64_t off, uint32_t prot_max,
	     const char *name)
{
	struct place_args pa = { .hint = addr, .flags = flags };
	struct mappable *shm = NULL;
	struct umem_op op;
	struct vma *v;
	uint32_t umem_flags = 0;
	long ret;

	ret = check_flags(flags, m);
	if (ret < 0)
		return ret;
	if (!len)
		return -LINUX_EINVAL;
	pa.len = page_up(len);
	if (!pa.len || pa.len > mm->limit)
		return -LINUX_ENOMEM;
	if (m && (off & ~PAGE_MASK))
		return -LINUX_EINVAL;
	if (m && off + pa.len < off)
		return -LINUX_EOVERFLOW;
	if ((flags & LINUX_MAP_POPULATE) && !(flags & LINUX_MAP_NONBLOCK))
		umem_flags |= UMEM_POPULATE;

	v = vma_new();
	if (!v)
		return -LINUX_ENOMEM;
	v->flags = vm_flags_of(flags, !m);
	v->prot = prot & LINUX_PROT_RWX;
	v->prot_max = m ? prot_max & LINUX_PROT_RWX : LINUX_PROT_RWX;
	if (!m && (v->flags & VM_SHARED)) {
		ret = shm_anon_new(pa.len, &shm);
		m = shm;
		off = 0;
	}
	if (!ret && m)
		ret = prepare_file(v, m, pa.len, off, umem_flags, &op);
	if (!ret && name && !m)
		v->name = vma_name_new(name);
	pa.huge_align = !m && pa.len >= HUGE_PAGE_BYTES && !(pa.len & (HUGE_PAGE_BYTES - 1));
	if (!ret)
		ret = place_and_install(mm, u, lim, v, &pa, umem_flags, m ? &op : NULL);
	if (ret < 0)
		vma_free(v);
	if (shm)
		shm->ops->put(shm);
	return ret;
}

/* ---- munmap --------------------------------------------------------------------------------------- */

static long unmap_locked(struct mm *mm, struct uthread *u, uint64_t start, uint64_t end)
{
	struct vma *v = vma_find_range(&mm->tree, start, end), *spare = NULL;
	enum host_when when = HOST_IF_SINGLE;
	struct umem_op op;
	long ret;

	if (!v)
		return 0;
	if (mm_sealed(mm, start, end))
		return -LINUX_EPERM;
	if (v->start < start && v->end > end) {
		if (mm->tree.nr >= MM_MAP_COUNT_MAX)
			return -LINUX_ENOMEM;
		spare = vma_new();
		if (!spare)
			return -LINUX_ENOMEM;
	}
	op = (struct umem_op){ .kind = UMEM_UNMAP, .addr = start, .len = end - start, .host_fd = -1 };
	if (!mm_single(mm) && mm_quarantine_add(mm, u, start, end))
		when = HOST_LATER;
	ret = mm_host_op(mm, u, &op, when);
	if (!ret)
		mm_cut(mm, start, end, &spare);
	free(spare);
	return ret;
}

long mm_munmap(struct mm *mm, struct uthread *u, uint64_t addr, uint64_t len)
{
	long ret;

	if ((addr & ~PAGE_MASK) || len > mm->limit || !range_ok(mm, addr, page_up(len)))
		return -LINUX_EINVAL;
	sleep_lock(&mm->lock);
	mm_seen(mm, u);
	ret = unmap_locked(mm, u, addr, addr + page_up(len));
	mm_unlock_free(mm);
	return ret;
}

/* ---- remap_file_pages ------------------------------------------------------------------------------- */

long mm_remap_file_pages(struct mm *mm, struct uthread *u, const struct mm_limits *lim, uint64_t addr,
			 uint64_t len, uint64_t pgoff)
{
	uint64_t start = addr & PAGE_MASK, bytes = len & PAGE_MASK;
	struct vma_file *f = NULL;
	uint32_t prot = 0, prot_max = 0;
	struct vma *v;
	long ret;

	if (!range_ok(mm, start, bytes) || pgoff > (UINT64_MAX >> 12) - (bytes >> 12))
		return -LINUX_EINVAL;
	sleep_lock(&mm->lock);
	v = vma_find(&mm->tree, start);
	if (v && v->start <= start && start + bytes <= v->end && v->file && v->file->shared) {
		f = vma_file_get(v->file);
		prot = v->prot;
		prot_max = v->prot_max;
	}
	mm_unlock_free(mm);
	if (!f)
		return -LINUX_EINVAL;
	ret = mm_mmap(mm, u, lim, start, bytes, prot, LINUX_MAP_SHARED | LINUX_MAP_FIXED, f->m,
		      pgoff * PAGE_SIZE, prot_max, NULL);
	vma_file_put(f);
	return ret < 0 ? ret : 0;
}
