/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/file.c - regular files: read, write, seek, fallocate, mapping
 *
 * Model:   reads take, in this order: inline content, the mapping of the host file (after
 *          GOFER_MAP_AFTER reads of a file that nobody writes), pread from the descriptor, messages. From a mapping
 *          bytes go through a small buffer by guarded_copy(), since the host may cut the file short.
 *          Host calls are first tried so that they cannot block (RWF_NOWAIT).
 * Source:  read(2), write(2), preadv2(2), lseek(2), fallocate(2).
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/hostcall.h"
#include "sentry/arch/x86_64/guarded_copy.h"
#include "sentry/fs/gofer/gofer_internal.h"

#define SMALL	      4096u /* buffers up to this are on the stack */
#define FILE_MAX_SIZE INT64_MAX

/* ---- moving bytes --------------------------------------------------------------------------------- */

/* Fills @buf from @off on; short at the end of file. Each is one way of reading. */
typedef long (*fill_fn)(struct inode *i, void *buf, size_t len, uint64_t off);

static long fill_map(struct inode *i, void *buf, size_t len, uint64_t off)
{
	struct ginode *g = ginode_of(i);
	size_t left;

	if (off >= g->map_len)
		return 0;
	len = MIN(len, g->map_len - off);
	left = guarded_copy(buf, g->map + off, len);
	return left == len ? -LINUX_EIO : (long)(len - left);
}

static long fill_fd(struct inode *i, void *buf, size_t len, uint64_t off)
{
	struct ginode *g = ginode_of(i);
	int fd = g->ro_fd >= 0 ? g->ro_fd : g->rw_fd;
	struct iovec iov = { buf, len };
	long ret = host_call(preadv2, fd, &iov, 1, off, 0, LINUX_RWF_NOWAIT);

	if (ret != -LINUX_EAGAIN && ret != -LINUX_EOPNOTSUPP)
		return ret;
	host_block_begin();
	ret = host_call(pread64, fd, buf, len, off);
	host_block_end();
	return ret;
}

static long fill_fid(struct inode *i, void *buf, size_t len, uint64_t off)
{
	return p9_read(client_of(i), ginode_of(i)->io_fid, off, buf, len);
}

static long drain_fd(struct inode *i, const void *buf, size_t len, uint64_t off)
{
	struct ginode *g = ginode_of(i);
	long ret;

	if (g->rw_fd < 0)
		return p9_write(client_of(i), g->io_fid, off, buf, len);
	host_block_begin();
	ret = host_call(pwrite64, g->rw_fd, buf, len, off);
	host_block_end();
	return ret;
}

static long read_loop(struct inode *i, struct uio *io, uint64_t off, size_t len, fill_fn fill)
{
	uint8_t small[SMALL];
	size_t cap = MIN(len, (size_t)GOFER_BOUNCE), done = 0;
	uint8_t *buf = cap <= SMALL ? small : malloc(cap);
	long ret = buf ? 0 : -LINUX_ENOMEM;

	while (buf && done < len) {
		size_t want = MIN(cap, len - done);
		long got = fill(i, buf, want, off + done);

		ret = got > 0 ? uio_write(io, buf, (size_t)got) : got;
		if (ret <= 0)
			break;
		done += (size_t)ret;
		if ((size_t)ret < want)
			break;
	}
	if (buf != small)
		free(buf);
	return done ? (long)done : ret;
}

/* From the mapping to the guest in one copy by the host, which a file cut short does not hurt. */
static long read_map(struct inode *i, struct uio *io, uint64_t off, size_t len)
{
	long ret;

	if (io->u && io->nr == 1 && len >= UMEM_DIRECT_MIN) {
		ret = uio_write_mapped(io, ginode_of(i)->map + off, len);
		if (ret != -LINUX_EFAULT)
			return ret;
	}
	return read_loop(i, io, off, len, fill_map); /* also tells which side was at fault, and how far it went */
}

static long write_loop(struct inode *i, struct uio *io, uint64_t off, size_t len)
{
	uint8_t small[SMALL];
	size_t cap = MIN(len, (size_t)GOFER_BOUNCE), done = 0;
	uint8_t *buf = cap <= SMALL ? small : malloc(cap);
	long ret = buf ? 0 : -LINUX_ENOMEM;

	while (buf && done < len) {
		long got = uio_read(io, buf, MIN(cap, len - done)), put;

		ret = got;
		if (got <= 0)
			break;
		put = drain_fd(i, buf, (size_t)got, off + done);
		if (put < got)
			uio_revert(io, (size_t)(got - MAX(put, 0L)));
		ret = put;
		if (put <= 0)
			break;
		done += (size_t)put;
		if (put < got)
			break;
	}
	if (buf != small)
		free(buf);
	return done ? (long)done : ret;
}

/* ---- reading ---------------------------------------------------------------------------------------- */

/* Maps the whole file for reading, once somebody reads it in small steps. Not while it is written: it may grow. */
static void map_try(struct inode *i)
{
	struct ginode *g = ginode_of(i);
	uint64_t size = i->size;
	long p;

	if (!gsb_of(i->sb)->exclusive || !size || size > GOFER_MAP_MAX || g->rw_fd >= 0 || g->ro_fd < 0 ||
	    atomic_fetch_add_explicit(&g->reads, 1, memory_order_relaxed) < GOFER_MAP_AFTER)
		return;
	sleep_lock(&g->data_lock);
	if (!g->map && g->ro_fd >= 0) {
		p = host_call(mmap, NULL, size, PROT_READ, MAP_SHARED, g->ro_fd, 0);
		if (p > 0 || p < -4095) {
			g->map_len = size;
			atomic_store_explicit(&g->map, (uint8_t *)p, memory_order_release);
		}
	}
	sleep_unlock(&g->data_lock);
}

/* Bytes of [off, off+len), which lies within an exclusive file; of a shared one the host says where it ends. */
static long read_content(struct inode *i, struct uio *io, uint64_t off, size_t len)
{
	struct ginode *g = ginode_of(i);
	uint8_t *inl = atomic_load_explicit(&g->inl, memory_order_acquire);
	long ret;

	if (inl)
		return off < g->inl_len ? uio_write(io, inl + off, MIN(len, (size_t)(g->inl_len - off))) : 0;
	if (atomic_load_explicit(&g->map, memory_order_acquire) && off + len <= g->map_len)
		return read_map(i, io, off, len);
	if (g->ro_fd < 0 && g->rw_fd < 0 && g->io_fid == P9_NOFID) {
		ret = gdata_fetch(i, gsb_of(i->sb)->exclusive);
		if (ret)
			return ret;
		if (g->inl)
			return read_content(i, io, off, len);
	}
	map_try(i);
	return read_loop(i, io, off, len, g->ro_fd >= 0 || g->rw_fd >= 0 ? fill_fd : fill_fid);
}

static long gofer_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	size_t len = io->left;
	uint64_t size;
	long ret;

	if (gsb_of(i->sb)->exclusive) {
		size = atomic_load_explicit(&i->size, memory_order_acquire);
		if (*pos >= size)
			return 0;
		len = MIN((uint64_t)len, size - *pos);
	}
	if (!len)
		return 0;
	ret = read_content(i, io, *pos, len);
	if (ret > 0) {
		*pos += (uint64_t)ret;
		file_accessed(f);
	}
	return ret;
}

/* ---- writing ------------------------------------------------------------------------------------------ */

/* What the host says now; its other users may have changed the size. i_lock held. */
static long refresh_size(struct inode *i)
{
	struct ginode *g = ginode_of(i);
	struct p9x_stat st;
	struct stat hs;
	uint32_t fid;
	long ret;

	if (g->rw_fd >= 0) {
		ret = host_call(fstat, g->rw_fd, &hs);
		if (!ret) {
			atomic_store_explicit(&i->size, (uint64_t)hs.st_size, memory_order_release);
			i->blocks = (uint64_t)hs.st_blocks;
		}
		return ret;
	}
	ret = ginode_fid(i, &fid);
	if (!ret)
		ret = p9_getattr(client_of(i), fid, &st);
	if (!ret)
		ginode_update(i, &st);
	return ret;
}

static long write_locked(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	bool append = f->flags & LINUX_O_APPEND || rwf & LINUX_RWF_APPEND;
	uint64_t at = *pos;
	size_t len = io->left;
	long ret = 0;

	if (append) {
		if (!gsb_of(i->sb)->exclusive)
			ret = refresh_size(i);
		at = i->size;
	}
	if (!ret && at >= FILE_MAX_SIZE)
		ret = len ? -LINUX_EFBIG : 0;
	if (ret || !len)
		return ret;
	len = MIN((uint64_t)len, FILE_MAX_SIZE - at);
	ret = file_modified(f);
	if (!ret)
		ret = write_loop(i, io, at, len);
	if (ret > 0) {
		*pos = at + (uint64_t)ret;
		if (*pos > i->size) {
			atomic_store_explicit(&i->size, *pos, memory_order_release);
			i->blocks = MAX(i->blocks, (*pos + 511) / 512);
		}
	}
	return ret;
}

static long gofer_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct inode *i = f->inode;
	long ret;

	sleep_lock(&i->i_lock);
	ret = write_locked(f, io, pos, rwf);
	sleep_unlock(&i->i_lock);
	return ret;
}

/* ---- open and close --------------------------------------------------------------------------------------- */

static long gofer_open(struct inode *i, struct file *f)
{
	struct ginode *g = ginode_of(i);
	bool write = f->fmode & FMODE_WRITE;
	long ret = 0;
	int fd;

	link_reap(gsb_of(i->sb)->link);
	sleep_lock(&g->data_lock);
	if (g->opens++ == 0 && gsb_of(i->sb)->exclusive && (g->ro_fd >= 0 || g->rw_fd >= 0))
		atomic_fetch_sub(&gsb_of(i->sb)->link->nr_idle_fds, 1);
	sleep_unlock(&g->data_lock);
	/* an exclusive file that is only read waits for its first read; others must be held before somebody deletes them */
	if (write || !gsb_of(i->sb)->exclusive)
		ret = gdata_fd(i, write, &fd);
	if (ret) {
		sleep_lock(&g->data_lock);
		if (--g->opens == 0)
			gdata_idle(i);
		sleep_unlock(&g->data_lock);
	}
	return ret;
}

static void gofer_release(struct file *f)
{
	struct ginode *g = ginode_of(f->inode);

	sleep_lock(&g->data_lock);
	if (--g->opens == 0)
		gdata_idle(f->inode);
	sleep_unlock(&g->data_lock);
}

/* ---- the rest --------------------------------------------------------------------------------------------- */

static long gofer_lseek(struct file *f, int64_t off, int whence)
{
	struct inode *i = f->inode;
	long ret;
	int fd;

	if (whence != SEEK_DATA && whence != SEEK_HOLE) {
		if (whence == SEEK_END && !gsb_of(i->sb)->exclusive) {
			struct kstat st;

			ret = gofer_getattr(i, &st);
			if (ret)
				return ret;
		}
		return generic_lseek(f, off, whence, FILE_MAX_SIZE, i->size);
	}
	if (off < 0 || (uint64_t)off >= i->size)
		return -LINUX_ENXIO;
	ret = gdata_fd(i, false, &fd);
	if (ret)
		return ret;
	if (fd < 0) /* a stock server cannot say: all of it is data */
		return whence == SEEK_DATA ? off : (long)i->size;
	return host_call(lseek, fd, off, whence);
}

static long gofer_fsync(struct file *f, bool data_only)
{
	struct inode *i = f->inode;
	struct ginode *g = ginode_of(i);
	uint32_t fid;
	long ret;

	if (g->rw_fd >= 0) {
		host_block_begin();
		ret = data_only ? host_call(fdatasync, g->rw_fd) : host_call(fsync, g->rw_fd);
		host_block_end();
		return ret;
	}
	if (g->io_fid != P9_NOFID)
		return p9_fsync(client_of(i), g->io_fid, data_only);
	if (gsb_of(i->sb)->exclusive && LINUX_S_ISREG(i->mode))
		return 0; /* nothing was written through us, and nobody else writes */
	ret = ginode_fid(i, &fid);
	return ret ? ret : p9_fsync(client_of(i), fid, data_only);
}

static long fallocate_locked(struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	struct inode *i = f->inode;
	long ret;
	int fd;

	ret = gdata_fd(i, true, &fd);
	if (!ret)
		ret = file_modified(f);
	if (ret)
		return ret;
	if (fd < 0)
		return -LINUX_EOPNOTSUPP;
	host_block_begin();
	ret = host_call(fallocate, fd, mode, off, len);
	host_block_end();
	return ret ? ret : refresh_size(i);
}

static long gofer_fallocate(struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	long ret;

	sleep_lock(&f->inode->i_lock);
	ret = fallocate_locked(f, mode, off, len);
	sleep_unlock(&f->inode->i_lock);
	return ret;
}

static long gofer_map_fd(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
			 uint64_t *out_file_id, uint64_t *out_host_off)
{
	struct inode *i = f->inode;
	bool write = shared && writable;
	long ret = gdata_fd(i, write, out_fd);

	if (ret)
		return ret;
	if (*out_fd < 0)
		return -LINUX_ENODEV;
	*out_file_id = write ? 0 : ginode_of(i)->file_id;
	*out_host_off = off;
	return 0;
}

static int gofer_host_fd(struct file *f)
{
	struct ginode *g = ginode_of(f->inode);

	return f->fmode & FMODE_WRITE ? g->rw_fd : g->ro_fd;
}

const struct file_ops gofer_file_fops = {
	.open = gofer_open,
	.release = gofer_release,
	.read = gofer_read,
	.write = gofer_write,
	.lseek = gofer_lseek,
	.mmap = generic_file_mmap,
	.map_fd = gofer_map_fd,
	.fsync = gofer_fsync,
	.fallocate = gofer_fallocate,
	.host_fd = gofer_host_fd,
};

const struct file_ops gofer_dir_fops = {
	.iterate = gofer_iterate,
	.fsync = gofer_fsync,
};
