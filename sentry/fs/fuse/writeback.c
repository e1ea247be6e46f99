/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/writeback.c - what guests change through shared mappings, back to the daemon
 *
 * Model:   a guest's stores reach no Sentry. So each page in a shared writable mapping has a sum of the bytes that the daemon knows;
 *          one that differs was changed and is written: by msync(2), fsync(2), close(2), and, when the mapping goes, by
 *          a thread of ours, since the guest may be gone with it. The sum is keyed, so that no guest can make a change that
 *          keeps it.
 *
 *		writing back			guest
 *		copies the page, sees that
 *		its sum differs			changes it once more
 *		WRITEs the copy; the sum
 *		becomes the copy's		the page differs from it still: next time
 *
 * Locks:   fuse_pages.lock, not while the daemon is asked.
 * Differs: written at these moments only, not by time as well.
 */
#include <stdlib.h>
#include <sys/random.h>

#include "base/hostcall.h"
#include "sentry/fs/fuse/fuse_internal.h"

#define BATCH 32u /* pages at a time */

static uint64_t sum_key[2];	/* immutable after fuse_writeback_init() */

void fuse_writeback_init(void)
{
	if (getrandom(sum_key, sizeof(sum_key), 0) != sizeof(sum_key))
		sum_key[0] = now_real_ns() * 0x9e3779b97f4a7c15ull;
}

static inline uint64_t fold(uint64_t a, uint64_t b)
{
	unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

uint64_t fuse_page_sum(const uint8_t *page)
{
	uint64_t h = sum_key[1], v[2];

	for (size_t k = 0; k < PAGE_SIZE; k += sizeof(v)) {
		memcpy(v, page + k, sizeof(v));
		h = fold(v[0] ^ sum_key[0], v[1] ^ h ^ 0xa0761d6478bd642full) + k;
	}
	return h;
}

struct batch {
	uint64_t first;		/* page */
	unsigned nr;
	uint64_t sums[BATCH];
	uint8_t *data;		/* BATCH pages */
};

/* The next run of changed pages at or behind @from. False: there is none. *next: where to go on */
static bool next_changed(struct inode *i, uint64_t from, struct batch *b, uint64_t *next)
{
	struct fuse_pages *p = &fnode_of(i)->pages;
	uint64_t page;

	b->nr = 0;
	sleep_lock(&p->lock);
	for (page = page_set_next(&p->watched, from, true); page != PAGE_SET_NONE; page = page_set_next(&p->watched, page + 1, true)) {
		uint8_t *at = b->data + b->nr * PAGE_SIZE;
		bool changed;

		if (b->nr && (page != b->first + b->nr || b->nr == BATCH))
			break;
		changed = host_call(pread64, p->fd, at, PAGE_SIZE, page * PAGE_SIZE) == (long)PAGE_SIZE;
		if (changed) {
			b->sums[b->nr] = fuse_page_sum(at);
			changed = b->sums[b->nr] != p->sums[page];
		}
		if (!changed && b->nr)
			break;
		if (changed && !b->nr++)
			b->first = page;
	}
	sleep_unlock(&p->lock);
	*next = b->first + b->nr;
	return b->nr;
}

static long write_batch(struct file *f, const struct batch *b)
{
	struct inode *i = f->inode;
	struct fuse_pages *p = &fnode_of(i)->pages;
	uint64_t off = b->first * PAGE_SIZE, size = i->size, len, done = 0;
	long ret = 0;

	if (off >= size)
		return 0;	/* cut off meanwhile */
	len = MIN((uint64_t)b->nr * PAGE_SIZE, size - off);
	while (done < len) {
		ret = fuse_write_once(f, off + done, b->data + done, (size_t)(len - done), true);
		if (ret <= 0)
			return ret ? ret : -LINUX_EIO;
		done += (uint64_t)ret;
	}
	sleep_lock(&p->lock);
	for (unsigned k = 0; k < b->nr; k++)
		if (b->first + k < p->nr_sums && !page_set_missing(&p->watched, b->first + k, b->first + k + 1))
			p->sums[b->first + k] = b->sums[k];
	sleep_unlock(&p->lock);
	fuse_attr_stale(i);
	return 0;
}

long fuse_writeback(struct file *f)
{
	struct inode *i = f->inode;
	struct fuse_pages *p = &fnode_of(i)->pages;
	struct batch *b;
	uint64_t at = 0;
	long ret = 0;

	if (!(f->fmode & FMODE_WRITE) || !p->nr_sums)
		return 0;
	b = malloc(sizeof(*b));
	if (b)
		b->data = malloc(BATCH * PAGE_SIZE);
	if (!b || !b->data) {
		free(b);
		return -LINUX_ENOMEM;
	}
	while (!ret && next_changed(i, at, b, &at))
		ret = write_batch(f, b);
	free(b->data);
	free(b);
	return ret;
}

/* ---- when a mapping goes ---- */

static void unwatch(struct inode *i)
{
	struct fuse_pages *p = &fnode_of(i)->pages;

	sleep_lock(&p->lock);
	if (!atomic_load(&i->nr_map_shared_w)) {
		page_set_clear(&p->watched);
		free(p->sums);
		p->sums = NULL;
		p->nr_sums = 0;
	}
	sleep_unlock(&p->lock);
}

static void writer(void *arg)
{
	struct file *f = arg;
	struct fuse_pages *p = &fnode_of(f->inode)->pages;

	do {
		do {
			atomic_store(&p->again, false);
			if (!fuse_writeback(f))
				unwatch(f->inode);
		} while (atomic_load(&p->again));
		atomic_store(&p->writing, false);
	} while (atomic_load(&p->again) && !atomic_exchange(&p->writing, true));
	file_put(f);
}

void fuse_unmapped(struct file *f)
{
	struct fuse_pages *p = &fnode_of(f->inode)->pages;

	atomic_store(&p->again, true);
	if (atomic_exchange(&p->writing, true))
		return;
	file_get(f);
	if (!kthread_start(writer, f, "fuse-writer"))
		writer(f);
}
