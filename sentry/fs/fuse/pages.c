/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/pages.c - bytes of open files that are kept, and can be mapped
 *
 * Model:   one memory file for each file that somebody has open and reads or maps, as long as the file is, and the set of pages in
 *          it that show what the daemon has. A guest maps the memory file itself, so what it is to see must be fetched before:
 *          the whole range, when the mapping is made. What is out of date leaves the set but stays in memory, for those who
 *          have it mapped, until it is fetched again. Pages in shared writable mappings stay in the set (writeback.c).
 *
 *		reader				writer
 *		notes gen, asks the daemon
 *						WRITE answered; gen++; new bytes into the page
 *		has old bytes: gen differs,
 *		they are not kept
 *
 * Locks:   fuse_pages.lock, never held while the daemon is asked.
 * Limits:  memory files: guest_memfd_new(); pages: the container's budget (BUDGET_TMPFS). Without either nothing is kept, and mmap(2)
 *          fails with ENOMEM or ENFILE.
 * Hostcalls: pread64, pwrite64, ftruncate.
 * Differs: what a daemon's other users change shows in a mapping only after somebody reads or maps those pages anew.
 */
#include <stdlib.h>

#include "base/hostcall.h"
#include "sentry/fs/fuse/fuse_internal.h"
#include "sentry/mm/memfd.h"

#define COPY_MAX   (64u * 1024) /* bytes moved to a reader in one go */
#define FILL_TRIES 64		/* how often a page may change under its fetching */

static struct fuse_pages *pages_of(const struct inode *i)
{
	return &fnode_of(i)->pages;
}

void fuse_pages_init(struct fuse_pages *p)
{
	sleeplock_init(&p->lock);
	p->fd = -1;
}

static long ensure_file(struct inode *i, struct fuse_pages *p) REQUIRES(p->lock)
{
	uint64_t size = ALIGN_UP(i->size, PAGE_SIZE);
	long fd;

	if (p->fd >= 0)
		return 0;
	fd = guest_memfd_new("fuse", size);
	if (fd < 0)
		return fd;
	p->fd = (int)fd;
	p->size = size;
	p->payer = budget_current();
	budget_hold(p->payer);
	return 0;
}

void fuse_pages_drop(struct inode *i)
{
	struct fuse_pages *p = pages_of(i);

	page_set_clear(&p->have);
	page_set_clear(&p->watched);
	budget_uncharge(p->payer, BUDGET_TMPFS, page_set_clear(&p->stored));
	budget_drop(p->payer);
	p->payer = NULL;
	free(p->sums);
	p->sums = NULL;
	p->nr_sums = 0;
	if (p->fd >= 0)
		guest_memfd_close(p->fd);
	p->fd = -1;
	p->size = 0;
	p->gen++;
}

uint64_t fuse_pages_gen(struct inode *i)
{
	struct fuse_pages *p = pages_of(i);
	uint64_t gen;

	sleep_lock(&p->lock);
	gen = p->gen;
	sleep_unlock(&p->lock);
	return gen;
}

/* Whole pages [a, b) from @data, which are then there. */
static long put_pages(struct fuse_pages *p, uint64_t a, uint64_t b, const uint8_t *data) REQUIRES(p->lock)
{
	uint64_t fresh = page_set_missing(&p->stored, a, b);

	if (!page_set_reserve(&p->stored, a, b) || !page_set_reserve(&p->have, a, b))
		return -LINUX_ENOMEM;
	if (fresh && !budget_charge(p->payer, BUDGET_TMPFS, fresh))
		return -LINUX_ENOMEM;
	page_set_add(&p->stored, a, b);
	if (host_call(pwrite64, p->fd, data, (b - a) * PAGE_SIZE, a * PAGE_SIZE) != (long)((b - a) * PAGE_SIZE))
		return -LINUX_ENOMEM;
	page_set_add(&p->have, a, b);
	return 0;
}

/* @data padded with zeroes to a page. */
static long put_tail(struct fuse_pages *p, uint64_t page, const uint8_t *data, size_t len) REQUIRES(p->lock)
{
	uint8_t *buf = calloc(1, PAGE_SIZE);
	long ret;

	if (!buf)
		return -LINUX_ENOMEM;
	memcpy(buf, data, len);
	ret = put_pages(p, page, page + 1, buf);
	free(buf);
	return ret;
}

static long store_locked(struct inode *i, struct fuse_pages *p, uint64_t off, const uint8_t *data, size_t len, bool eof)
	REQUIRES(p->lock)
{
	uint64_t a = off / PAGE_SIZE, b = a + len / PAGE_SIZE, from;
	size_t tail = len % PAGE_SIZE;
	long ret = ensure_file(i, p);

	b = MIN(b, p->size / PAGE_SIZE);
	for (from = a; !ret && from < b;) {	/* what is there already may be newer */
		uint64_t x = MIN(page_set_next(&p->have, from, false), b), y = MIN(page_set_next(&p->have, x, true), b);

		if (x < y)
			ret = put_pages(p, x, y, data + (x - a) * PAGE_SIZE);
		from = y;
	}
	b = a + len / PAGE_SIZE;
	if (!ret && tail && eof && b < p->size / PAGE_SIZE && page_set_missing(&p->have, b, b + 1))
		ret = put_tail(p, b, data + (b - a) * PAGE_SIZE, tail);
	return ret;
}

long fuse_pages_store(struct inode *i, uint64_t gen, uint64_t off, const uint8_t *data, size_t len, bool eof)
{
	struct fuse_pages *p = pages_of(i);
	long ret = -LINUX_EAGAIN;

	sleep_lock(&p->lock);
	if (p->gen == gen)
		ret = store_locked(i, p, off, data, len, eof);
	sleep_unlock(&p->lock);
	return ret;
}

long fuse_pages_read(struct inode *i, struct uio *io, uint64_t off, size_t len)
{
	struct fuse_pages *p = pages_of(i);
	uint64_t page = off / PAGE_SIZE, end;
	uint8_t *buf;
	long ret = 0;

	sleep_lock(&p->lock);
	if (p->fd < 0 || page_set_next(&p->have, page, true) != page) {
		sleep_unlock(&p->lock);
		return 0;
	}
	end = page_set_next(&p->have, page, false) * PAGE_SIZE;
	len = (size_t)MIN(MIN((uint64_t)len, end - off), (uint64_t)COPY_MAX);
	buf = malloc(len);
	if (buf)
		ret = host_call(pread64, p->fd, buf, len, off);
	sleep_unlock(&p->lock);
	if (!buf)
		return -LINUX_ENOMEM;
	if (ret > 0)
		ret = uio_write(io, buf, (size_t)ret);
	free(buf);
	return ret;
}

/* ---- changes ---- */

/* Bytes of one page that is kept. What guests changed through a mapping stays noticed. */
static void patch_page(struct fuse_pages *p, uint64_t page, size_t at, const uint8_t *data, size_t len) REQUIRES(p->lock)
{
	bool watched = page_set_next(&p->watched, page, true) == page;
	uint8_t *buf = watched ? malloc(PAGE_SIZE) : NULL;
	bool clean = buf && host_call(pread64, p->fd, buf, PAGE_SIZE, page * PAGE_SIZE) == (long)PAGE_SIZE &&
		     fuse_page_sum(buf) == p->sums[page];

	if (host_call(pwrite64, p->fd, data, len, page * PAGE_SIZE + at) != (long)len)
		page_set_remove(&p->have, page, page + 1);
	if (clean) {	/* by the bytes we know, not those in memory: a guest may be changing it */
		memcpy(buf + at, data, len);
		p->sums[page] = fuse_page_sum(buf);
	}
	free(buf);
}

static void set_size(struct fuse_pages *p, uint64_t size) REQUIRES(p->lock)
{
	uint64_t first;

	size = ALIGN_UP(size, PAGE_SIZE);
	if (size == p->size)
		return;
	if (host_call(ftruncate, p->fd, size) < 0)
		return;	/* of a longer file, less is kept */
	if (size < p->size) {
		first = size / PAGE_SIZE;
		page_set_remove(&p->have, first, UINT64_MAX);
		page_set_remove(&p->watched, first, UINT64_MAX);
		budget_uncharge(p->payer, BUDGET_TMPFS, page_set_remove(&p->stored, first, UINT64_MAX));
	}
	p->size = size;
}

void fuse_pages_written(struct inode *i, uint64_t off, const uint8_t *data, size_t len, uint64_t old_size)
{
	struct fuse_pages *p = pages_of(i);
	uint64_t end = off + len;

	sleep_lock(&p->lock);
	p->gen++;
	if (p->fd >= 0) {
		if (i->size > p->size)
			set_size(p, i->size);
		for (uint64_t at = off; at < end && at < p->size;) {
			uint64_t page = at / PAGE_SIZE, start = page * PAGE_SIZE, next = MIN(start + PAGE_SIZE, end);

			if (!page_set_missing(&p->have, page, page + 1))
				patch_page(p, page, at - start, data + (at - off), next - at);
			else if (at == start && (next == start + PAGE_SIZE || next >= MAX(i->size, old_size)))
				put_tail(p, page, data + (at - off), next - at);
			at = next;
		}
	}
	sleep_unlock(&p->lock);
}

void fuse_pages_resize(struct inode *i, uint64_t size)
{
	static const uint8_t zeroes[PAGE_SIZE];
	struct fuse_pages *p = pages_of(i);
	uint64_t page = size / PAGE_SIZE, rest = size % PAGE_SIZE;

	sleep_lock(&p->lock);
	p->gen++;
	if (p->fd >= 0) {
		if (rest && size < p->size && !page_set_missing(&p->have, page, page + 1))
			patch_page(p, page, rest, zeroes, PAGE_SIZE - rest);
		set_size(p, size);
	}
	sleep_unlock(&p->lock);
}

void fuse_pages_invalidate(struct inode *i, uint64_t off, uint64_t end)
{
	struct fuse_pages *p = pages_of(i);
	uint64_t a = off / PAGE_SIZE, b, skip;

	sleep_lock(&p->lock);
	p->gen++;
	b = MIN(end > UINT64_MAX - PAGE_SIZE ? UINT64_MAX : ALIGN_UP(end, PAGE_SIZE) / PAGE_SIZE, p->size / PAGE_SIZE);
	while (a < b) {
		skip = MIN(page_set_next(&p->watched, a, true), b);
		page_set_remove(&p->have, a, skip);
		a = page_set_next(&p->watched, skip, false);
	}
	sleep_unlock(&p->lock);
}

/* ---- mapping ---- */

/* The first page of [*a, b) that is not there, and how many follow; *a = b when all are. */
static void next_gap(struct inode *i, uint64_t *a, uint64_t b, uint64_t *out_nr, uint64_t *out_gen)
{
	struct fuse_pages *p = pages_of(i);

	sleep_lock(&p->lock);
	*a = MIN(page_set_next(&p->have, *a, false), b);
	*out_nr = MIN(page_set_next(&p->have, *a, true), b) - *a;
	*out_gen = p->gen;
	sleep_unlock(&p->lock);
}

/* All pages of the file in [off, end) are there. */
static long fill(struct file *f, uint64_t off, uint64_t end)
{
	struct inode *i = f->inode;
	uint64_t a = off / PAGE_SIZE, nr, gen;
	unsigned tries = 0;
	long ret = 0;

	while (!ret) {
		uint64_t size = i->size, b = MIN(ALIGN_UP(size, PAGE_SIZE), end) / PAGE_SIZE;
		struct fuse_req *r;
		size_t want;

		if (a >= b)
			break;
		next_gap(i, &a, b, &nr, &gen);
		if (a == b)
			break;
		want = (size_t)MIN(nr * PAGE_SIZE, (uint64_t)FUSE_MAX_WRITE);
		ret = fuse_read_once(f, a * PAGE_SIZE, want, &r);
		if (ret < 0)
			break;
		ret = fuse_fetched(i, gen, a * PAGE_SIZE, want, r);
		fuse_req_put(r);
		if (ret == -LINUX_EAGAIN)
			ret = ++tries < FILL_TRIES ? 0 : -LINUX_EIO;
	}
	return ret;
}

/* From now on it is noticed what guests do to [a, b). */
static long watch(struct inode *i, uint64_t a, uint64_t b)
{
	struct fuse_pages *p = pages_of(i);
	uint8_t *buf = malloc(PAGE_SIZE);
	long ret = buf ? 0 : -LINUX_ENOMEM;

	sleep_lock(&p->lock);
	b = MIN(b, p->size / PAGE_SIZE);
	if (!ret && b > p->nr_sums) {
		uint64_t *sums = reallocarray(p->sums, b, sizeof(*sums));

		if (sums) {
			p->sums = sums;
			p->nr_sums = b;
		} else {
			ret = -LINUX_ENOMEM;
		}
	}
	if (!ret && a < b && !page_set_reserve(&p->watched, a, b))
		ret = -LINUX_ENOMEM;
	for (uint64_t page = a; !ret && page < b; page++) {
		if (page_set_missing(&p->have, page, page + 1) || !page_set_missing(&p->watched, page, page + 1))
			continue;
		if (host_call(pread64, p->fd, buf, PAGE_SIZE, page * PAGE_SIZE) != (long)PAGE_SIZE)
			continue;
		p->sums[page] = fuse_page_sum(buf);
		page_set_add(&p->watched, page, page + 1);
	}
	sleep_unlock(&p->lock);
	free(buf);
	return ret;
}

long fuse_map_fd(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd, uint64_t *out_id,
		 uint64_t *out_off)
{
	struct inode *i = f->inode;
	struct fuse_pages *p = pages_of(i);
	long ret = fnode_ok(i);

	if (!ret && shared && ((struct fuse_file *)f->priv)->open_flags & FOPEN_DIRECT_IO)
		ret = -LINUX_ENODEV;
	if (!ret)
		ret = fuse_attr_refresh(i, false);
	if (ret)
		return ret;
	sleep_lock(&p->lock);
	ret = ensure_file(i, p);
	sleep_unlock(&p->lock);
	if (!ret)
		ret = fill(f, off, off + len);
	if (!ret && shared && writable)
		ret = watch(i, off / PAGE_SIZE, (off + len) / PAGE_SIZE);
	if (ret)
		return ret;
	*out_fd = p->fd;
	*out_id = 0;	/* the descriptor can write: it must not stay in a stub */
	*out_off = off;
	return 0;
}
