/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_rw.c - reading, writing, seeking, syncing, allocating, truncating
 */
#include "sentry/abi/cap.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/signal.h"
#include "sentry/vfs/mount.h"

static void send_kernel_signal(struct task *t, int sig)
{
	struct linux_siginfo_head si;

	siginfo_kernel(&si, sig);
	signal_send_task(t, &si, 0);
}

long write_signals(struct task *t, struct file *f, long ret)
{
	if (ret == -LINUX_EPIPE && f->inode && LINUX_S_ISFIFO(f->inode->mode))
		send_kernel_signal(t, LINUX_SIGPIPE);
	else if (ret == -LINUX_EFBIG && task_rlimit(t, LINUX_RLIMIT_FSIZE) != RLIM_INF)
		send_kernel_signal(t, LINUX_SIGXFSZ);
	return ret;
}

static long sync_after_write(struct file *f, uint32_t rwf, long ret)
{
	if (ret > 0 && unlikely(f->flags & LINUX_O_DSYNC || rwf & (LINUX_RWF_DSYNC | LINUX_RWF_SYNC)) && f->ops->fsync) {
		long err = f->ops->fsync(f, !(rwf & LINUX_RWF_SYNC));

		if (err)
			return err;
	}
	return ret;
}

long file_write(struct task *t, struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	long ret = vfs_write(f, io, pos, rwf, task_rlimit(t, LINUX_RLIMIT_FSIZE));

	if (unlikely(ret < 0))
		return write_signals(t, f, ret);
	return sync_after_write(f, rwf, ret);
}

SYSCALL_DEFINE3(read, int, fd, struct gptr, buf, uint64_t, len)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	struct uio io;
	long ret;

	if (!f)
		return -LINUX_EBADF;
	if (unlikely((int64_t)len < 0)) {
		ret = -LINUX_EINVAL;
	} else {
		uio_init_user(&io, t->u, buf, len);
		ret = vfs_read(f, &io, NULL, 0);
	}
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE3(write, int, fd, struct gptr, buf, uint64_t, len)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	struct uio io;
	long ret;

	if (!f)
		return -LINUX_EBADF;
	if (unlikely((int64_t)len < 0)) {
		ret = -LINUX_EINVAL;
	} else {
		uio_init_user(&io, t->u, buf, len);
		ret = file_write(t, f, &io, NULL, 0);
	}
	fdput(f, put);
	return ret;
}

static long seekable(const struct file *f, uint32_t mode, int64_t pos)
{
	if (pos < 0)
		return -LINUX_EINVAL;
	return f->fmode & FMODE_STREAM || !(f->fmode & mode) ? -LINUX_ESPIPE : 0;
}

SYSCALL_DEFINE4(pread64, int, fd, struct gptr, buf, uint64_t, len, int64_t, pos)
{
	uint64_t p = (uint64_t)pos;
	struct file *f;
	struct uio io;
	bool put;
	long ret;

	if (pos < 0 || (int64_t)len < 0)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = seekable(f, FMODE_PREAD, pos);
	if (!ret) {
		uio_init_user(&io, t->u, buf, len);
		ret = vfs_read(f, &io, &p, 0);
	}
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE4(pwrite64, int, fd, struct gptr, buf, uint64_t, len, int64_t, pos)
{
	uint64_t p = (uint64_t)pos;
	struct file *f;
	struct uio io;
	bool put;
	long ret;

	if (pos < 0 || (int64_t)len < 0)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = seekable(f, FMODE_PWRITE, pos);
	if (!ret) {
		uio_init_user(&io, t->u, buf, len);
		ret = file_write(t, f, &io, &p, 0);
	}
	fdput(f, put);
	return ret;
}

/* All vector calls: @pos < 0 = the file's position. */
static long rw_vector(struct task *t, int fd, struct gptr iov, uint64_t nr, int64_t pos, bool use_pos, uint32_t rwf, bool write)
{
	uint64_t p = (uint64_t)pos;
	struct file *f;
	struct uio io;
	bool put;
	long ret;

	if (rwf & ~RWF_KNOWN)
		return -LINUX_EOPNOTSUPP;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = use_pos ? seekable(f, write ? FMODE_PWRITE : FMODE_PREAD, pos) : 0;
	if (!ret && !(f->fmode & (write ? FMODE_WRITE : FMODE_READ)))
		ret = -LINUX_EBADF;
	if (!ret)
		ret = uio_init_iov(&io, t->u, iov, nr);
	if (!ret) {
		ret = write ? file_write(t, f, &io, use_pos ? &p : NULL, rwf) : vfs_read(f, &io, use_pos ? &p : NULL, rwf);
		uio_fini(&io);
	}
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE3(readv, int, fd, struct gptr, iov, uint64_t, nr)
{
	return rw_vector(t, fd, iov, nr, 0, false, 0, false);
}

SYSCALL_DEFINE3(writev, int, fd, struct gptr, iov, uint64_t, nr)
{
	return rw_vector(t, fd, iov, nr, 0, false, 0, true);
}

SYSCALL_DEFINE4(preadv, int, fd, struct gptr, iov, uint64_t, nr, int64_t, pos)
{
	return pos < 0 ? -LINUX_EINVAL : rw_vector(t, fd, iov, nr, pos, true, 0, false);
}

SYSCALL_DEFINE4(pwritev, int, fd, struct gptr, iov, uint64_t, nr, int64_t, pos)
{
	return pos < 0 ? -LINUX_EINVAL : rw_vector(t, fd, iov, nr, pos, true, 0, true);
}

SYSCALL_DEFINE6(preadv2, int, fd, struct gptr, iov, uint64_t, nr, int64_t, pos, uint64_t, high, uint32_t, rwf)
{
	return pos < -1 ? -LINUX_EINVAL : rw_vector(t, fd, iov, nr, pos, pos != -1, rwf, false);
}

SYSCALL_DEFINE6(pwritev2, int, fd, struct gptr, iov, uint64_t, nr, int64_t, pos, uint64_t, high, uint32_t, rwf)
{
	return pos < -1 ? -LINUX_EINVAL : rw_vector(t, fd, iov, nr, pos, pos != -1, rwf, true);
}

SYSCALL_DEFINE3(lseek, int, fd, int64_t, off, uint32_t, whence)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = whence > LINUX_SEEK_HOLE ? -LINUX_EINVAL : vfs_lseek(f, off, (int)whence);
	fdput(f, put);
	return ret;
}

/* ---- syncing ---- */

long file_fsync(struct file *f, bool data_only)
{
	if (f->ops->fsync)
		return f->ops->fsync(f, data_only);
	if (f->fmode & FMODE_STREAM || !f->inode || (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISDIR(f->inode->mode)))
		return -LINUX_EINVAL;
	return 0;
}

static long do_fsync(struct task *t, int fd, bool data_only)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = file_fsync(f, data_only);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE1(fsync, int, fd)
{
	return do_fsync(t, fd, false);
}

SYSCALL_DEFINE1(fdatasync, int, fd)
{
	return do_fsync(t, fd, true);
}

SYSCALL_DEFINE0(sync)
{
	/* One file system at a time; the mount list may change between them. */
	for (uint64_t id = 0;;) {
		struct super_block *sb = mnt_ns_next_sb(t->ns->mnt, &id);

		if (!sb)
			return 0;
		if (sb->ops && sb->ops->sync)
			sb->ops->sync(sb);
		sb_put(sb);
	}
}

SYSCALL_DEFINE1(syncfs, int, fd)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret = 0;

	if (!f)
		return -LINUX_EBADF;
	if (f->path.mnt && f->path.mnt->sb->ops && f->path.mnt->sb->ops->sync)
		ret = f->path.mnt->sb->ops->sync(f->path.mnt->sb);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE4(sync_file_range, int, fd, int64_t, off, int64_t, len, uint32_t, flags)
{
	bool put;
	struct file *f;
	long ret = 0;

	if (off < 0 || len < 0 || off > INT64_MAX - len || flags & ~7u)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	if (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISBLK(f->inode->mode) && !LINUX_S_ISDIR(f->inode->mode))
		ret = -LINUX_ESPIPE;
	else if (flags && f->ops->fsync)
		ret = f->ops->fsync(f, true);
	fdput(f, put);
	return ret;
}

struct linux_cachestat_range {
	uint64_t off, len;
};
struct linux_cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

/* Pages of @f in the range: those that have room on its medium count as cached, as they do in mincore(2). */
static uint64_t cached_pages(const struct kstat *k, const struct linux_cachestat_range *r)
{
	uint64_t first = r->off / PAGE_SIZE, last = r->len ? (r->off + r->len - 1) / PAGE_SIZE : UINT64_MAX;
	uint64_t end = k->size / PAGE_SIZE + (k->size % PAGE_SIZE != 0);

	if (!LINUX_S_ISREG(k->mode) || first >= end || last < first)
		return 0;
	return MIN(MIN(last, end - 1) - first + 1, (k->blocks * 512 + PAGE_SIZE - 1) / PAGE_SIZE);
}

static long cachestat_file(struct task *t, struct file *f, const struct linux_cachestat_range *r, uint32_t flags, struct gptr uout)
{
	struct linux_cachestat c = { 0 };
	struct kstat k;
	long ret;

	/* What is cached tells who has read it: for those who may change the file. */
	if (!(f->fmode & FMODE_WRITE) && t->cred->fsuid != file_inode(f)->uid && vfs_permission(file_inode(f), 2, t->cred) < 0)
		return -LINUX_EPERM;
	if (flags)
		return -LINUX_EINVAL;
	if (f->path.mnt) {
		ret = vfs_getattr(&f->path, &k);
		if (ret < 0)
			return ret;
		c.nr_cache = cached_pages(&k, r);
	}
	return copyout_obj(t->u, uout, &c);
}

SYSCALL_DEFINE4(cachestat, int, fd, struct gptr, urange, struct gptr, uout, uint32_t, flags)
{
	struct linux_cachestat_range r;
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = copyin_obj(t->u, &r, urange) < 0 ? -LINUX_EFAULT : cachestat_file(t, f, &r, flags, uout);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE4(fadvise64, int, fd, int64_t, off, int64_t, len, int, advice)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret = 0;

	if (!f)
		return -LINUX_EBADF;
	if (LINUX_S_ISFIFO(f->inode->mode))
		ret = -LINUX_ESPIPE;
	else if (len < 0 || advice < 0 || advice > 5)
		ret = -LINUX_EINVAL;
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE3(readahead, int, fd, int64_t, off, uint64_t, len)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret = 0;

	if (!f || !(f->fmode & FMODE_READ))
		ret = -LINUX_EBADF;
	else if (!LINUX_S_ISREG(f->inode->mode))
		ret = -LINUX_EINVAL;
	if (f)
		fdput(f, put);
	return ret;
}

/* ---- sizes ---- */

SYSCALL_DEFINE4(fallocate, int, fd, uint32_t, mode, int64_t, off, int64_t, len)
{
	const uint32_t known = LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_COLLAPSE_RANGE |
			       LINUX_FALLOC_FL_ZERO_RANGE | LINUX_FALLOC_FL_INSERT_RANGE | LINUX_FALLOC_FL_UNSHARE_RANGE;
	uint64_t limit = task_rlimit(t, LINUX_RLIMIT_FSIZE);
	bool put;
	struct file *f;
	long ret;

	if (off < 0 || len <= 0)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	if (mode & ~known || (mode & (LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_KEEP_SIZE)) == LINUX_FALLOC_FL_PUNCH_HOLE)
		ret = -LINUX_EOPNOTSUPP;
	else if (!(f->fmode & FMODE_WRITE))
		ret = -LINUX_EBADF;
	else if (f->inode && f->inode->iflags & (I_IMMUTABLE | (mode & ~LINUX_FALLOC_FL_KEEP_SIZE ? I_APPEND : 0)))
		ret = -LINUX_EPERM;
	else if (LINUX_S_ISFIFO(f->inode->mode))
		ret = -LINUX_ESPIPE;
	else if (LINUX_S_ISDIR(f->inode->mode))
		ret = -LINUX_EISDIR;
	else if (!LINUX_S_ISREG(f->inode->mode))
		ret = -LINUX_ENODEV;
	else if (off > INT64_MAX - len || (limit != RLIM_INF && (uint64_t)off + (uint64_t)len > limit && !(mode & LINUX_FALLOC_FL_KEEP_SIZE)))
		ret = -LINUX_EFBIG;
	else
		ret = f->ops->fallocate ? f->ops->fallocate(f, mode, (uint64_t)off, (uint64_t)len) : -LINUX_EOPNOTSUPP;
	fdput(f, put);
	return ret;
}

static long check_size(struct task *t, int64_t size)
{
	if (size < 0)
		return -LINUX_EINVAL;
	if ((uint64_t)size > task_rlimit(t, LINUX_RLIMIT_FSIZE)) {
		send_kernel_signal(t, LINUX_SIGXFSZ);
		return -LINUX_EFBIG;
	}
	return 0;
}

SYSCALL_DEFINE2(ftruncate, int, fd, int64_t, size)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	bool put;
	struct file *f;
	long ret;

	if (size < 0)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	if (!(f->fmode & FMODE_WRITE) || !LINUX_S_ISREG(f->inode->mode))
		ret = -LINUX_EINVAL;
	else
		ret = check_size(t, size);
	if (!ret)
		ret = vfs_truncate(&ctx, &f->path, f, (uint64_t)size);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE2(truncate, struct gptr, upath, int64_t, size)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	struct inode *i;
	long ret;

	if (size < 0)
		return -LINUX_EINVAL;
	ret = lookup_at(t, LINUX_AT_FDCWD, upath, 0, &p);
	if (ret)
		return ret;
	i = p.dentry->inode;
	if (LINUX_S_ISDIR(i->mode))
		ret = -LINUX_EISDIR;
	else if (!LINUX_S_ISREG(i->mode))
		ret = -LINUX_EINVAL;
	else
		ret = vfs_permission(i, LINUX_MAY_WRITE, t->cred);
	if (!ret && atomic_load(&i->nr_writers) < 0)
		ret = -LINUX_ETXTBSY;
	if (!ret)
		ret = check_size(t, size);
	if (!ret)
		ret = vfs_truncate(&ctx, &p, NULL, (uint64_t)size);
	path_put(&p);
	return ret;
}
