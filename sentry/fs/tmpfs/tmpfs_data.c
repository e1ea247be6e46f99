/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs_data.c - where the bytes of a file are: heap, then a memfd with a mapping
 *
 * Model:   struct tmap is what readers copy from, found under rcu_read_lock() and held by a reference, so a read takes no
 *          lock. While no guest has the file mapped, the memfd is larger than the file (its size is the mapping's capacity)
 *          and never shrinks: no copy can run past its end. Once a guest maps it, the memfd's size is the file's, rounded
 *          up to pages ("exact"), as SIGBUS beyond the end wants; then readers take i_lock, which truncation holds.
 *          Bytes past the file's size are always zero. Pages are counted against the mount's limit.
 * Locks:   inode.i_lock for all changes.
 */
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#include <linux/falloc.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>

#include "base/hostcall.h"
#include "sentry/mm/memfd.h"

#define MAP_MIN (256u * 1024)

/* ---- maps ---- */

static void tmap_free_rcu(struct rcu_head *h)
{
	free(container_of(h, struct tmap, rcu));
}

void tmap_put(struct tmap *m)
{
	if (!m || !ref_put(&m->ref))
		return;
	if (m->fd >= 0 && m->base)
		host_call(munmap, m->base, m->cap);
	rcu_defer(&m->rcu, tmap_free_rcu);
}

struct tmap *tmap_take(struct tnode *n)
{
	struct tmap *m;

	rcu_read_lock();
	m = rcu_load(n->map);
	if (m && !ref_get_unless_zero(&m->ref))
		m = NULL;	/* replaced this moment: its successor has the reference count */
	rcu_read_unlock();
	return m;
}

static void tmap_publish(struct tnode *n, struct tmap *m)
{
	struct tmap *old = n->map;

	rcu_store(n->map, m);
	tmap_put(old);
}

static struct tmap *tmap_heap(uint64_t cap)
{
	struct tmap *m = calloc(1, sizeof(*m) + cap);

	if (!m)
		return NULL;
	ref_init(&m->ref, 1);
	m->base = (uint8_t *)(m + 1);
	m->cap = cap;
	m->fd = -1;
	return m;
}

static struct tmap *tmap_fd(int fd, uint64_t cap)
{
	struct tmap *m = calloc(1, sizeof(*m));
	long p;

	if (!m)
		return NULL;
	ref_init(&m->ref, 1);
	m->fd = fd;
	m->cap = cap;
	p = cap ? host_call(mmap, 0, cap, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0) : -LINUX_EINVAL;
	m->base = p < 0 && p > -4096 ? NULL : (uint8_t *)p;
	return m;
}

static uint64_t host_pages; /* immutable after tmpfs_data_init() */

void tmpfs_data_init(void)
{
	struct sysinfo si;

	host_pages = sysinfo(&si) ? UINT64_MAX : (uint64_t)si.totalram * si.mem_unit / PAGE_SIZE;
}

static long to_memfd(struct tnode *n)
{
	long fd;

	if (n->fd >= 0)
		return 0;
	fd = guest_memfd_new("tmpfs", 0);
	if (fd < 0)
		return fd;
	n->fd = (int)fd;
	return 0;
}

static long memfd_resize(struct tnode *n, uint64_t size)
{
	long ret = host_call(ftruncate, n->fd, size);

	return ret < 0 ? -LINUX_ENOSPC : 0;
}

/* Copies the heap content into the fresh memfd. */
static long move_content(struct tnode *n, const struct tmap *old, uint64_t size)
{
	uint64_t done = 0, want = old ? MIN(size, old->cap) : 0;

	while (done < want) {
		long k = host_call(pwrite64, n->fd, old->base + done, want - done, done);

		if (k <= 0)
			return -LINUX_ENOSPC;
		done += (uint64_t)k;
	}
	return 0;
}

/* Makes [0, end) writable memory. i_lock held. */
static long ensure_cap(struct inode *i, uint64_t end)
{
	struct tnode *n = tnode_of(i);
	struct tmap *old = n->map, *m;
	uint64_t cap;
	long ret;

	if (old && end <= old->cap)
		return 0;
	if (n->fd < 0 && end <= TMPFS_HEAP_MAX) {
		cap = 64;
		while (cap < end)
			cap *= 2;
		m = tmap_heap(cap);
		if (!m)
			return -LINUX_ENOMEM;
		if (old)
			memcpy(m->base, old->base, old->cap);
		tmap_publish(n, m);
		return 0;
	}
	cap = ALIGN_UP(end, PAGE_SIZE);
	if (!n->exact) {
		cap = MAX(cap, (uint64_t)MAP_MIN);
		/* Grow by doubling up to a gigabyte at a time. */
		if (old)
			cap = MAX(cap, old->cap + MIN(old->cap, 1ull << 30));
	}
	ret = n->fd < 0 ? to_memfd(n) : 0;
	if (!ret)
		ret = memfd_resize(n, cap);
	if (!ret && old && old->fd < 0)
		ret = move_content(n, old, i->size);
	if (ret)
		return ret;
	m = tmap_fd(n->fd, cap);
	if (!m)
		return -LINUX_ENOMEM;
	tmap_publish(n, m);
	return 0;
}

/* ---- accounting ---- */

/* Counts the pages of [off, end) that are not yet counted; all or nothing. */
static long pages_charge(struct inode *i, uint64_t off, uint64_t end)
{
	struct tnode *n = tnode_of(i);
	struct tmpfs_sb *t = tmpfs_of(i->sb);
	uint64_t a = off / PAGE_SIZE, b = ALIGN_UP(end, PAGE_SIZE) / PAGE_SIZE, want;

	if (b - a > host_pages || (t->max_pages && b - a > t->max_pages))
		return -LINUX_ENOSPC;	/* before the set grows for it */
	if (!page_set_reserve(&n->pages, a, b))
		return -LINUX_ENOMEM;
	want = page_set_missing(&n->pages, a, b);
	if (!want)
		return 0;
	if (atomic_fetch_add(&t->nr_pages, want) + want > t->max_pages && t->max_pages) {
		atomic_fetch_sub(&t->nr_pages, want);
		return -LINUX_ENOSPC;
	}
	if (!budget_charge(n->payer, BUDGET_TMPFS, want)) {
		atomic_fetch_sub(&t->nr_pages, want);
		return -LINUX_ENOSPC;
	}
	page_set_add(&n->pages, a, b);
	i->blocks += want * (PAGE_SIZE / 512);
	return 0;
}

/* @nr pages count no more. */
static void pages_uncharge(struct inode *i, uint64_t nr)
{
	atomic_fetch_sub(&tmpfs_of(i->sb)->nr_pages, nr);
	budget_uncharge(tnode_of(i)->payer, BUDGET_TMPFS, nr);
	i->blocks -= nr * (PAGE_SIZE / 512);
}

/* Nor do whole pages in [off, end). */
static void pages_forget(struct inode *i, uint64_t off, uint64_t end)
{
	pages_uncharge(i, page_set_remove(&tnode_of(i)->pages, ALIGN_UP(off, PAGE_SIZE) / PAGE_SIZE, end / PAGE_SIZE));
}

long tdata_reserve(struct inode *i, uint64_t off, uint64_t end)
{
	long ret = ensure_cap(i, end);

	return ret ? ret : pages_charge(i, off, end);
}

/* Zeroes bytes and gives whole pages back. i_lock held. */
void tdata_punch(struct inode *i, uint64_t off, uint64_t end)
{
	struct tnode *n = tnode_of(i);
	struct tmap *m = n->map;

	if (m)
		end = MIN(end, m->cap);
	if (!m || off >= end)
		return;
	if (m->fd < 0)
		memset(m->base + off, 0, end - off);
	else
		host_call(fallocate, m->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, off, end - off);
	pages_forget(i, off, end);
}

long tdata_truncate(struct inode *i, uint64_t size)
{
	struct tnode *n = tnode_of(i);
	uint64_t old = i->size;
	long ret;

	if (size > TMPFS_FILE_MAX)
		return -LINUX_EFBIG;
	if ((size < old && i->seals & LINUX_F_SEAL_SHRINK) || (size > old && i->seals & LINUX_F_SEAL_GROW))
		return -LINUX_EPERM;
	if (n->exact && ALIGN_UP(size, PAGE_SIZE) != ALIGN_UP(old, PAGE_SIZE)) {
		struct tmap *m;

		ret = memfd_resize(n, ALIGN_UP(size, PAGE_SIZE));
		if (ret)
			return ret;
		m = tmap_fd(n->fd, ALIGN_UP(size, PAGE_SIZE));
		if (!m)
			return -LINUX_ENOMEM;
		tmap_publish(n, m);
	}
	atomic_store(&i->size, size);
	if (size < old) {
		tdata_punch(i, size, ALIGN_UP(old, PAGE_SIZE));
		pages_forget(i, size, UINT64_MAX);
		if (size == 0 && n->fd < 0)
			tmap_publish(n, NULL);
	}
	return 0;
}

void tdata_free(struct inode *i)
{
	struct tnode *n = tnode_of(i);

	tmap_publish(n, NULL);
	pages_uncharge(i, page_set_clear(&n->pages));
	if (n->fd >= 0)
		guest_memfd_close(n->fd);
}

/* A guest maps the file: from now on the memfd's size is the truth. i_lock held. */
long tdata_make_exact(struct inode *i)
{
	struct tnode *n = tnode_of(i);
	uint64_t cap = ALIGN_UP(atomic_load(&i->size), PAGE_SIZE);
	struct tmap *old = n->map, *m;
	long ret;

	if (n->exact)
		return 0;
	ret = to_memfd(n);
	if (!ret && (!old || old->fd < 0)) {
		ret = memfd_resize(n, cap);
		if (!ret)
			ret = move_content(n, old, i->size);
	}
	if (ret)
		return ret;
	m = tmap_fd(n->fd, cap);
	if (!m)
		return -LINUX_ENOMEM;
	n->exact = true;	/* readers that start now wait for i_lock */
	if (old)
		ref_get(&old->ref);
	tmap_publish(n, m);
	/* Those that started before copy out of the larger memfd still. */
	while (old && atomic_load(&old->ref.n) > 1)
		kthread_yield();
	tmap_put(old);
	return memfd_resize(n, cap);
}
