/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/io.c - reading and writing
 *
 * Model:   reads go through the bytes that are kept while the file is open (pages.c), fetched ahead when somebody reads in order;
 *          with FOPEN_DIRECT_IO or O_DIRECT, or when there is no memory to keep them, each read is a request. Writes
 *          go to the daemon at once, and then into what is kept.
 * Locks:   the file's i_lock over writes, as Linux does; none of ours while the daemon is asked.
 * Source:  linux/fuse.h, read(2), write(2), Linux's Documentation/filesystems/fuse/fuse-io.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

static struct fuse_file *handle_of(const struct file *f)
{
	return f->priv;
}

static bool is_direct(const struct file *f)
{
	return handle_of(f)->open_flags & FOPEN_DIRECT_IO || f->flags & LINUX_O_DIRECT;
}

static size_t read_max(const struct fuse_conn *fc)
{
	return MIN((size_t)fc->max_pages * PAGE_SIZE, (size_t)fc->max_read & PAGE_MASK);
}

static size_t write_max(const struct fuse_conn *fc)
{
	return MIN((size_t)fc->max_pages * PAGE_SIZE, (size_t)fc->max_write);
}

/* ---- one request ---- */

long fuse_read_once(struct file *f, uint64_t off, size_t len, struct fuse_req **out)
{
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	struct fuse_read_in in = { .fh = handle_of(f)->fh, .offset = off, .flags = f->flags };
	struct fuse_req *r;
	long ret;

	in.size = (uint32_t)MIN(len, read_max(fc));
	ret = fuse_req_new(fc, FUSE_READ, fnode_of(i)->nodeid, fuse_cred(), sizeof(in), in.size, &r);
	if (ret)
		return ret;
	memcpy(fuse_req_args(r), &in, sizeof(in));
	r->out_var = true;
	ret = fuse_req_wait(r);
	if (ret < 0)
		fuse_req_put(r);
	else
		*out = r;
	return ret;
}

static long write_wait(struct fuse_req *r, size_t len)
{
	struct fuse_write_out o;
	long ret = fuse_req_wait(r);

	if (ret < 0)
		return ret;
	memcpy(&o, r->out, sizeof(o));
	return o.size > len ? -LINUX_EIO : (long)o.size;
}

static long write_new(struct file *f, uint64_t off, size_t len, bool cache, struct fuse_req **out)
{
	struct inode *i = f->inode;
	const struct fuse_write_in in = { .fh = handle_of(f)->fh, .offset = off, .size = (uint32_t)len, .flags = f->flags,
					  .write_flags = cache ? FUSE_WRITE_CACHE : 0 };
	long ret = fuse_req_new(fuse_conn_of(i), FUSE_WRITE, fnode_of(i)->nodeid, cache ? NULL : fuse_cred(), sizeof(in) + len,
				sizeof(struct fuse_write_out), out);

	if (!ret)
		memcpy(fuse_req_args(*out), &in, sizeof(in));
	return ret;
}

static uint8_t *write_data(struct fuse_req *r)
{
	return (uint8_t *)fuse_req_args(r) + sizeof(struct fuse_write_in);
}

long fuse_write_once(struct file *f, uint64_t off, const void *data, size_t len, bool cache)
{
	struct fuse_req *r;
	long ret;

	len = MIN(len, write_max(fuse_conn_of(f->inode)));
	ret = write_new(f, off, len, cache, &r);
	if (ret)
		return ret;
	memcpy(write_data(r), data, len);
	ret = write_wait(r, len);
	fuse_req_put(r);
	return ret;
}

/* ---- reading ---- */

static long read_direct(struct file *f, struct uio *io, uint64_t off)
{
	long done = 0, ret = 0;

	while (io->left) {
		size_t want = MIN(io->left, read_max(fuse_conn_of(f->inode)));
		struct fuse_req *r;
		long got;

		ret = fuse_read_once(f, off + (uint64_t)done, want, &r);
		if (ret <= 0) {
			if (!ret)
				fuse_req_put(r);
			break;
		}
		got = ret;
		ret = uio_write(io, r->out, (size_t)got);
		fuse_req_put(r);
		if (ret <= 0)
			break;
		done += ret;
		if (ret < got || (size_t)got < want)
			break;
	}
	return done ? done : ret;
}

/* The daemon has less than it said: the file is as long as what it gave, unless we changed it meanwhile. */
static void file_ends(struct inode *i, uint64_t gen, uint64_t at)
{
	if (at < i->size && fuse_pages_gen(i) == gen) {
		atomic_store(&i->size, at);
		fuse_attr_stale(i);
	}
}

long fuse_fetched(struct inode *i, uint64_t gen, uint64_t at, size_t asked, const struct fuse_req *r)
{
	size_t got = r->out_len, want = MIN(asked, read_max(fuse_conn_of(i)));

	if (got < want)
		file_ends(i, gen, at + got);
	return fuse_pages_store(i, gen, at, r->out, got, got < want || at + got >= i->size);
}

/* How much to fetch from page offset @at on, for a reader who wants @len bytes from there. */
static size_t fetch_size(struct fuse_file *ff, uint64_t at, size_t len, uint64_t size)
{
	uint64_t n = ALIGN_UP((uint64_t)len, PAGE_SIZE);

	if (at / PAGE_SIZE == ff->ra_next)
		n = MAX(n, (uint64_t)FUSE_READAHEAD);
	return (size_t)MIN(n, ALIGN_UP(size, PAGE_SIZE) - at);
}

/* Fetches what is missing at @off; moves what was wanted of it to @io. */
static long read_missing(struct file *f, struct uio *io, uint64_t off, size_t len)
{
	struct inode *i = f->inode;
	struct fuse_file *ff = handle_of(f);
	uint64_t at = off & PAGE_MASK, gen = fuse_pages_gen(i), skip = off - at;
	struct fuse_req *r;
	size_t want = fetch_size(ff, at, len + skip, i->size);
	long ret, got;

	got = fuse_read_once(f, at, want, &r);
	if (got < 0)
		return got;
	ff->ra_next = (at + (uint64_t)got) / PAGE_SIZE;
	fuse_fetched(i, gen, at, want, r); /* what cannot be kept is asked for again */
	ret = (uint64_t)got > skip ? uio_write(io, r->out + skip, MIN(len, (size_t)((uint64_t)got - skip))) : 0;
	fuse_req_put(r);
	return ret;
}

static long read_kept(struct file *f, struct uio *io, uint64_t off)
{
	struct inode *i = f->inode;
	long done = 0, ret = 0;

	while (io->left) {
		uint64_t at = off + (uint64_t)done, size = atomic_load(&i->size);
		size_t len;

		if (at >= size)
			break;
		len = (size_t)MIN((uint64_t)io->left, size - at);
		ret = fuse_pages_read(i, io, at, len);
		if (!ret)
			ret = read_missing(f, io, at, len);
		if (ret <= 0)
			break;
		done += ret;
	}
	return done ? done : ret;
}

long fuse_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	long ret = fnode_ok(i);

	if (ret || !io->left)
		return ret;
	if (*pos > INT64_MAX)
		return -LINUX_EINVAL;
	if (is_direct(f)) {
		ret = read_direct(f, io, *pos);
	} else {
		/* where it ends must be right: only the daemon knows what others do */
		if (fuse_conn_of(i)->auto_inval || *pos + io->left > i->size)
			ret = fuse_attr_refresh(i, false);
		if (!ret)
			ret = read_kept(f, io, *pos);
	}
	if (ret > 0)
		*pos += (uint64_t)ret;
	return ret;
}

/* ---- writing ---- */

/* One chunk of what @io has. */
static long write_chunk(struct file *f, struct uio *io, uint64_t off)
{
	struct inode *i = f->inode;
	size_t len = MIN(io->left, write_max(fuse_conn_of(i)));
	uint64_t old = i->size;
	struct fuse_req *r;
	long ret = write_new(f, off, len, false, &r), got;

	if (ret)
		return ret;
	got = uio_read(io, write_data(r), len);
	if (got <= 0) {
		fuse_req_put(r);
		return got;
	}
	if ((size_t)got < len) {	/* the caller's memory ends in between */
		((struct fuse_write_in *)fuse_req_args(r))->size = (uint32_t)got;
		r->in_len -= (uint32_t)(len - (size_t)got);
		fuse_req_head(r)->len = r->in_len;
	}
	ret = write_wait(r, (size_t)got);
	if (ret < got)
		uio_revert(io, (size_t)(got - MAX(ret, 0L)));
	if (ret > 0) {
		if (off + (uint64_t)ret > i->size)
			atomic_store_explicit(&i->size, off + (uint64_t)ret, memory_order_release);
		fuse_pages_written(i, off, write_data(r), (size_t)ret, old);
	}
	fuse_req_put(r);
	return ret;
}

static long write_locked(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	uint64_t at = *pos;
	long ret = 0, done = 0;

	if (f->flags & LINUX_O_APPEND || rwf & LINUX_RWF_APPEND)
		at = i->size;
	if (at > INT64_MAX || io->left > INT64_MAX - at)
		return -LINUX_EFBIG;
	ret = file_modified(f);
	while (!ret && io->left) {
		size_t want = MIN(io->left, write_max(fuse_conn_of(i)));

		ret = write_chunk(f, io, at + (uint64_t)done);
		if (ret <= 0)
			break;
		done += ret;
		ret = (size_t)ret < want;
	}
	atomic_store(&fnode_of(i)->version, atomic_fetch_add(&fuse_conn_of(i)->attr_version, 1) + 1);
	fuse_attr_stale(i);
	if (done)
		*pos = at + (uint64_t)done;
	return done ? done : MIN(ret, 0L);
}

long fuse_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	long ret = fnode_ok(i);

	if (ret || !io->left)
		return ret;
	sleep_lock(&i->i_lock);
	ret = write_locked(f, io, pos, rwf);
	sleep_unlock(&i->i_lock);
	return ret;
}
