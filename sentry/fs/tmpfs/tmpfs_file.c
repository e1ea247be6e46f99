/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs_file.c - regular files: read, write, seek, fallocate, mapping
 *
 * Source:  read(2), write(2), lseek(2) (SEEK_DATA, SEEK_HOLE), fallocate(2), memfd_create(2) for seals.
 */
#include <string.h>

#include "base/hostcall.h"
#include "sentry/fs/tmpfs/tmpfs_internal.h"

#define BOUNCE 4096

/* Copies through the descriptor when the mapping could not be had. */
static long bounce(struct tmap *m, struct uio *io, uint64_t off, size_t len, bool write)
{
	uint8_t *buf = malloc(BOUNCE);
	size_t done = 0;
	long ret = buf ? 0 : -LINUX_ENOMEM;

	while (buf && done < len) {
		size_t n = MIN(len - done, (size_t)BOUNCE);

		if (write) {
			ret = uio_read(io, buf, n);
			if (ret > 0)
				ret = host_call(pwrite64, m->fd, buf, ret, off + done);
		} else {
			ret = host_call(pread64, m->fd, buf, n, off + done);
			if (ret > 0)
				ret = uio_write(io, buf, (size_t)ret);
		}
		if (ret <= 0)
			break;
		done += (size_t)ret;
		if ((size_t)ret < n)
			break;
	}
	free(buf);
	return done ? (long)done : ret;
}

/* [off, off+len) lies within the file. */
static long read_range(struct tmap *m, struct uio *io, uint64_t off, size_t len)
{
	size_t have = m && off < m->cap ? MIN(len, m->cap - off) : 0;
	long done = 0, ret;

	if (have) {
		done = m->base ? uio_write(io, m->base + off, have) : bounce(m, io, off, have, false);
		if (done < (long)have)
			return done;
	}
	if (have == len)
		return done;
	ret = uio_zero(io, len - have);	/* beyond what was ever written */
	return ret < 0 && !done ? ret : done + MAX(ret, 0L);
}

static long tmpfs_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode_of(i);
	bool locked = false;
	struct tmap *m;
	uint64_t size;
	long ret = 0;

	if (unlikely(n->exact)) {
		sleep_lock(&i->i_lock);
		locked = true;
	}
	size = atomic_load_explicit(&i->size, memory_order_acquire);
	if (*pos < size) {
		m = tmap_take(n);
		if (unlikely(!locked && (n->exact || !m))) {	/* became mapped, or was replaced, under us */
			tmap_put(m);
			sleep_lock(&i->i_lock);
			locked = true;
			size = i->size;
			m = tmap_take(n);
		}
		if (*pos < size)
			ret = read_range(m, io, *pos, MIN((uint64_t)io->left, size - *pos));
		tmap_put(m);
	}
	if (locked)
		sleep_unlock(&i->i_lock);
	if (ret > 0) {
		*pos += (uint64_t)ret;
		file_accessed(f);
	}
	return ret;
}

static long tmpfs_write_locked(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode_of(i);
	uint64_t at = *pos, end;
	size_t len = io->left;
	long ret;

	if (f->flags & LINUX_O_APPEND || rwf & LINUX_RWF_APPEND)
		at = i->size;
	if (i->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE))
		return -LINUX_EPERM;
	if (at >= TMPFS_FILE_MAX)
		return len ? -LINUX_EFBIG : 0;
	len = MIN((uint64_t)len, TMPFS_FILE_MAX - at);
	if (i->seals & LINUX_F_SEAL_GROW && at + len > i->size) {
		if (at >= i->size)
			return -LINUX_EPERM;
		len = i->size - at;
	}
	if (!len)
		return 0;
	ret = file_modified(f);
	if (ret)
		return ret;
	end = at + len;
	ret = tdata_reserve(i, at, end);
	while (ret == -LINUX_ENOSPC && len > PAGE_SIZE - at % PAGE_SIZE) {	/* as much as there is room for */
		len = len / 2 < PAGE_SIZE ? PAGE_SIZE - at % PAGE_SIZE : len / 2;
		end = at + len;
		ret = tdata_reserve(i, at, end);
	}
	if (ret)
		return ret;
	ret = n->map->base ? uio_read(io, n->map->base + at, len) : bounce(n->map, io, at, len, true);
	if (ret > 0) {
		*pos = at + (uint64_t)ret;
		if (*pos > i->size)
			atomic_store_explicit(&i->size, *pos, memory_order_release);
	}
	return ret;
}

static long tmpfs_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	long ret;

	sleep_lock(&i->i_lock);
	ret = tmpfs_write_locked(f, io, pos, rwf);
	sleep_unlock(&i->i_lock);
	return ret;
}

/* ---- holes ---- */

static long seek_data_hole(struct file *f, int64_t off, bool data)
{
	struct inode *i = f->inode;
	struct tnode *n = tnode_of(i);
	uint64_t size = i->size, p;
	long ret;

	if (off < 0 || (uint64_t)off >= size)
		return -LINUX_ENXIO;
	if (n->exact) {	/* guests may have touched pages that we did not count */
		ret = host_call(lseek, n->fd, off, data ? LINUX_SEEK_DATA : LINUX_SEEK_HOLE);
		if (ret < 0)
			return data ? -LINUX_ENXIO : (long)size;
		return (uint64_t)ret >= size ? (data ? -LINUX_ENXIO : (long)size) : ret;
	}
	p = MIN(page_set_next(&n->pages, (uint64_t)off / PAGE_SIZE, data), ALIGN_UP(size, PAGE_SIZE) / PAGE_SIZE);
	if (data && p * PAGE_SIZE >= size)
		return -LINUX_ENXIO;
	return (long)MIN(MAX(p * PAGE_SIZE, (uint64_t)off), size);
}

static long tmpfs_lseek(struct file *f, int64_t off, int whence)
{
	long ret;

	if (whence != LINUX_SEEK_DATA && whence != LINUX_SEEK_HOLE)
		return generic_lseek(f, off, whence, TMPFS_FILE_MAX, f->inode->size);
	sleep_lock(&f->inode->i_lock);
	ret = seek_data_hole(f, off, whence == LINUX_SEEK_DATA);
	sleep_unlock(&f->inode->i_lock);
	if (ret >= 0)
		f->pos = (uint64_t)ret;
	return ret;
}

static long falloc_locked(struct inode *i, uint32_t mode, uint64_t off, uint64_t end)
{
	long ret;

	if (mode & LINUX_FALLOC_FL_PUNCH_HOLE) {
		if (i->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE))
			return -LINUX_EPERM;
		tdata_punch(i, off, MIN(end, ALIGN_UP(i->size, PAGE_SIZE)));
		return 0;
	}
	if (end > i->size && i->seals & LINUX_F_SEAL_GROW && !(mode & LINUX_FALLOC_FL_KEEP_SIZE))
		return -LINUX_EPERM;
	ret = tnode_of(i)->exact && end > i->size && mode & LINUX_FALLOC_FL_KEEP_SIZE ? 0 : tdata_reserve(i, off, end);
	if (ret)
		return ret;
	if (end > i->size && !(mode & LINUX_FALLOC_FL_KEEP_SIZE))
		atomic_store(&i->size, end);
	return 0;
}

static long tmpfs_fallocate(struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	struct inode *i = f->inode;
	long ret;

	/* Ranges can be neither zeroed in place nor moved on Linux's tmpfs. */
	if (mode & ~(LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE))
		return -LINUX_EOPNOTSUPP;
	if (off + len > TMPFS_FILE_MAX)
		return -LINUX_EFBIG;
	sleep_lock(&i->i_lock);
	ret = falloc_locked(i, mode, off, off + len);
	if (ret == 0)
		ret = file_modified(f);
	sleep_unlock(&i->i_lock);
	return ret;
}

static long tmpfs_map_fd(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd, uint64_t *out_id,
			 uint64_t *out_off)
{
	struct inode *i = f->inode;
	long ret;

	sleep_lock(&i->i_lock);
	ret = tdata_make_exact(i);
	sleep_unlock(&i->i_lock);
	if (ret)
		return ret;
	*out_fd = tnode_of(i)->fd;
	*out_id = 0;	/* the descriptor can write: it must not stay in a stub */
	*out_off = off;
	return 0;
}

const struct file_ops tmpfs_file_fops = {
	.read = tmpfs_read,
	.write = tmpfs_write,
	.lseek = tmpfs_lseek,
	.fallocate = tmpfs_fallocate,
	.mmap = generic_file_mmap,
	.map_fd = tmpfs_map_fd,
};
