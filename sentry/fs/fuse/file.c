/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/file.c - open files: OPEN, FLUSH, RELEASE, and what is not reading or writing
 *
 * Model:   an open file is a handle of the daemon's. The request that gives it back is made with it, so that closing cannot fail, and
 *          nobody waits for its answer. A daemon without OPEN has no handles.
 * Locks:   pages.lock for the count of opens; the file's i_lock over FALLOCATE.
 * Source:  linux/fuse.h, open(2), lseek(2), fallocate(2).
 * Differs: files are always ready (no POLL); locks of all kinds are kept here, and hold among those inside only.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"

/* ---- handles ---- */

struct fuse_file *fuse_file_new(struct fuse_conn *fc, uint64_t nodeid, bool dir)
{
	struct fuse_file *ff = calloc(1, sizeof(*ff));

	if (!ff)
		return NULL;
	if (fuse_req_new(fc, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, nodeid, NULL, sizeof(struct fuse_release_in), 0, &ff->release)) {
		free(ff);
		return NULL;
	}
	return ff;
}

void fuse_file_free(struct fuse_file *ff)
{
	fuse_req_put(ff->release);
	free(ff);
}

void fuse_file_close(struct fuse_file *ff, uint32_t flags)
{
	struct fuse_release_in *in = fuse_req_args(ff->release);

	if (ff->no_handle) {
		fuse_file_free(ff);
		return;
	}
	in->fh = ff->fh;
	in->flags = flags;
	fuse_req_background(ff->release);
	free(ff);
}

/* OPEN was answered to nobody. */
void fuse_late_open(struct fuse_req *r)
{
	const struct fuse_in_header *h = fuse_req_head(r);
	struct fuse_file *ff = fuse_file_new(r->fc, h->nodeid, h->opcode == FUSE_OPENDIR);

	if (!ff)
		return; /* the daemon keeps it until the end */
	ff->fh = ((const struct fuse_open_out *)r->out)->fh;
	fuse_file_close(ff, ((const struct fuse_open_in *)fuse_req_args(r))->flags);
}

/* ---- open ---- */

static long ask_open(struct inode *i, struct file *f, struct fuse_file *ff, bool dir)
{
	const struct fuse_open_in in = { .flags = f->flags & ~(LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_NOCTTY | LINUX_O_TRUNC) };
	struct fuse_open_out o;
	const struct fuse_call c = { .opcode = dir ? FUSE_OPENDIR : FUSE_OPEN, .nodeid = fnode_of(i)->nodeid, .nr_in = 1,
				     .in = { { &in, sizeof(in) } }, .out = &o, .out_len = sizeof(o), .late = fuse_late_open };
	enum fuse_missing what = dir ? FUSE_NO_OPENDIR : FUSE_NO_OPEN;
	struct fuse_conn *fc = fuse_conn_of(i);
	long ret = -LINUX_ENOSYS;

	if (fuse_knows(fc, what))
		ret = fuse_call(fc, &c);
	if (ret == -LINUX_ENOSYS && (dir ? fc->no_opendir_ok : fc->no_open_ok)) {
		fuse_is_missing(fc, what, ret);
		ff->no_handle = true;
		ff->open_flags = FOPEN_KEEP_CACHE;
		return 0;
	}
	if (ret < 0)
		return ret;
	ff->fh = o.fh;
	ff->open_flags = o.open_flags;
	return 0;
}

/* What the create that this open belongs to has brought. */
static struct fuse_file *take_created(struct fnode *n)
{
	struct fuse_file *ff = atomic_load(&n->created);

	if (!ff || ff->maker != task_current())
		return NULL;
	return atomic_compare_exchange_strong(&n->created, &ff, NULL) ? ff : NULL;
}

static void opened(struct inode *i, struct file *f, struct fuse_file *ff, bool dir)
{
	struct fnode *n = fnode_of(i);

	f->priv = ff;
	if (ff->open_flags & (FOPEN_STREAM | FOPEN_NONSEEKABLE)) {
		f->fmode |= FMODE_STREAM;
		f->fmode &= ~(FMODE_PREAD | FMODE_PWRITE | FMODE_ATOMIC_POS);
	}
	if (dir)
		return;
	sleep_lock(&n->pages.lock);
	n->opens++;
	sleep_unlock(&n->pages.lock);
	if (!(ff->open_flags & FOPEN_KEEP_CACHE))
		fuse_pages_invalidate(i, 0, UINT64_MAX);
}

static long open_any(struct inode *i, struct file *f, bool dir)
{
	struct fuse_conn *fc = fuse_conn_of(i);
	struct fuse_file *ff;
	long ret = fnode_ok(i);

	if (ret)
		return ret;
	ff = dir ? NULL : take_created(fnode_of(i));
	if (!ff) {
		ff = fuse_file_new(fc, fnode_of(i)->nodeid, dir);
		if (!ff)
			return -LINUX_ENOMEM;
		ret = ask_open(i, f, ff, dir);
	}
	if (ret)
		fuse_file_free(ff);
	else
		opened(i, f, ff, dir);
	return ret;
}

static long file_open(struct inode *i, struct file *f)
{
	return open_any(i, f, false);
}

static long dir_open(struct inode *i, struct file *f)
{
	return open_any(i, f, true);
}

static void dir_release(struct file *f)
{
	fuse_file_close(f->priv, f->flags);
}

/* Bytes that nobody has open are not kept. */
static void file_release(struct file *f)
{
	struct fnode *n = fnode_of(f->inode);

	sleep_lock(&n->pages.lock);
	if (--n->opens == 0)
		fuse_pages_drop(f->inode);
	sleep_unlock(&n->pages.lock);
	fuse_file_close(f->priv, f->flags);
}

/* ---- flushing ---- */

/* A name for whoever's locks these would be; the pointer itself is nobody's business. */
static uint64_t owner_of(const struct task *t)
{
	return t ? ((uint64_t)(uintptr_t)t->fds * 0x9e3779b97f4a7c15ull) >> 1 : 0;
}

static long file_flush(struct file *f)
{
	struct fuse_file *ff = f->priv;
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	const struct fuse_flush_in in = { .fh = ff->fh, .lock_owner = owner_of(task_current()) };
	const struct fuse_call c = { .opcode = FUSE_FLUSH, .nodeid = fnode_of(i)->nodeid, .nr_in = 1, .in = { { &in, sizeof(in) } } };
	long ret = fnode_ok(i);

	if (!ret && f->fmode & FMODE_WRITE)
		ret = fuse_writeback(f);
	if (ret || (ff->open_flags & FOPEN_NOFLUSH) || !fuse_knows(fc, FUSE_NO_FLUSH))
		return ret;
	ret = fuse_call(fc, &c);
	if (fuse_is_missing(fc, FUSE_NO_FLUSH, ret))
		ret = 0;
	return ret;
}

static long sync_any(struct file *f, bool data_only, bool dir)
{
	struct fuse_file *ff = f->priv;
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	enum fuse_missing what = dir ? FUSE_NO_FSYNCDIR : FUSE_NO_FSYNC;
	const struct fuse_fsync_in in = { .fh = ff->fh, .fsync_flags = data_only ? FUSE_FSYNC_FDATASYNC : 0 };
	const struct fuse_call c = { .opcode = dir ? FUSE_FSYNCDIR : FUSE_FSYNC, .nodeid = fnode_of(i)->nodeid, .nr_in = 1,
				     .in = { { &in, sizeof(in) } } };
	long ret = fnode_ok(i);

	if (!ret && !dir)
		ret = fuse_writeback(f);
	if (ret || !fuse_knows(fc, what))
		return ret;
	ret = fuse_call(fc, &c);
	return fuse_is_missing(fc, what, ret) ? 0 : ret;
}

static long file_fsync(struct file *f, bool data_only)
{
	return sync_any(f, data_only, false);
}

static long dir_fsync(struct file *f, bool data_only)
{
	return sync_any(f, data_only, true);
}

/* ---- positions and space ---- */

static long ask_lseek(struct file *f, int64_t off, int whence)
{
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	const struct fuse_lseek_in in = { .fh = ((struct fuse_file *)f->priv)->fh, .offset = (uint64_t)off, .whence = (uint32_t)whence };
	struct fuse_lseek_out o;
	const struct fuse_call c = { .opcode = FUSE_LSEEK, .nodeid = fnode_of(i)->nodeid, .nr_in = 1, .in = { { &in, sizeof(in) } },
				     .out = &o, .out_len = sizeof(o) };
	long ret = fuse_call(fc, &c);

	if (ret < 0)
		return ret;
	if (o.offset > INT64_MAX)
		return -LINUX_EINVAL;
	f->pos = o.offset;
	return (long)o.offset;
}

static long file_lseek(struct file *f, int64_t off, int whence)
{
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	long ret = fnode_ok(i);

	if (ret)
		return ret;
	if ((whence == LINUX_SEEK_DATA || whence == LINUX_SEEK_HOLE) && fuse_knows(fc, FUSE_NO_LSEEK)) {
		ret = ask_lseek(f, off, whence);
		if (!fuse_is_missing(fc, FUSE_NO_LSEEK, ret))
			return ret;
	}
	if (whence != LINUX_SEEK_SET && whence != LINUX_SEEK_CUR) {
		ret = fuse_attr_refresh(i, false);
		if (ret)
			return ret;
	}
	return generic_lseek(f, off, whence, INT64_MAX, i->size);
}

static long fallocate_locked(struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	struct inode *i = f->inode;
	struct fuse_conn *fc = fuse_conn_of(i);
	const struct fuse_fallocate_in in = { .fh = ((struct fuse_file *)f->priv)->fh, .offset = off, .length = len, .mode = mode };
	const struct fuse_call c = { .opcode = FUSE_FALLOCATE, .nodeid = fnode_of(i)->nodeid, .nr_in = 1, .in = { { &in, sizeof(in) } } };
	bool loses = mode & (LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_ZERO_RANGE);
	long ret = 0;

	if (loses)	/* what guests wrote there goes first, lest it comes back afterwards */
		ret = fuse_writeback(f);
	if (!ret)
		ret = file_modified(f);
	if (!ret)
		ret = fuse_call(fc, &c);
	if (fuse_is_missing(fc, FUSE_NO_FALLOCATE, ret))
		return -LINUX_EOPNOTSUPP;
	if (ret)
		return ret;
	if (!(mode & LINUX_FALLOC_FL_KEEP_SIZE) && off + len > i->size) {
		atomic_store(&i->size, off + len);
		fuse_pages_resize(i, off + len);
	}
	if (loses)
		fuse_pages_invalidate(i, off, off + len);
	fuse_attr_stale(i);
	return 0;
}

static long file_fallocate(struct file *f, uint32_t mode, uint64_t off, uint64_t len)
{
	long ret = fnode_ok(f->inode);

	if (ret)
		return ret;
	if (mode & ~(LINUX_FALLOC_FL_KEEP_SIZE | LINUX_FALLOC_FL_PUNCH_HOLE | LINUX_FALLOC_FL_ZERO_RANGE) ||
	    !fuse_knows(fuse_conn_of(f->inode), FUSE_NO_FALLOCATE))
		return -LINUX_EOPNOTSUPP;
	sleep_lock(&f->inode->i_lock);
	ret = fallocate_locked(f, mode, off, len);
	sleep_unlock(&f->inode->i_lock);
	return ret;
}

/* ---- ioctl ---- */

#define IOC_SIZE(cmd)  ((cmd) >> 16 & 0x3fff)
#define IOC_WRITE(cmd) ((cmd) >> 30 & 1) /* the caller gives */
#define IOC_READ(cmd)  ((cmd) >> 30 & 2) /* the caller gets */

/* Restricted: the number says which bytes go where, and the daemon cannot ask for others. */
static long file_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct inode *i = f->inode;
	size_t size = IOC_SIZE(cmd), gives = IOC_WRITE(cmd) ? size : 0, gets = IOC_READ(cmd) ? size : 0;
	struct fuse_ioctl_in *in;
	struct fuse_ioctl_out o;
	struct fuse_req *r;
	long ret = fnode_ok(i);

	if (!ret)
		ret = fuse_req_new(fuse_conn_of(i), FUSE_IOCTL, fnode_of(i)->nodeid, fuse_cred(), sizeof(*in) + gives, sizeof(o) + gets, &r);
	if (ret)
		return ret;
	in = fuse_req_args(r);
	*in = (struct fuse_ioctl_in){ .fh = ((struct fuse_file *)f->priv)->fh, .cmd = cmd, .arg = arg, .in_size = (uint32_t)gives,
				      .out_size = (uint32_t)gets };
	r->out_var = true;
	if (gives && copyin(u, in + 1, GPTR(arg), gives))
		ret = -LINUX_EFAULT;
	if (!ret)
		ret = fuse_req_wait(r);
	if (ret >= (long)sizeof(o)) {
		memcpy(&o, r->out, sizeof(o));
		gets = (size_t)ret - sizeof(o);
		if (o.flags & FUSE_IOCTL_RETRY)
			ret = -LINUX_EIO;
		else if (o.result >= 0 && gets && copyout(u, GPTR(arg), r->out + sizeof(o), gets))
			ret = -LINUX_EFAULT;
		else
			ret = o.result;
	} else if (ret >= 0) {
		ret = -LINUX_EIO;
	}
	fuse_req_put(r);
	return ret == -LINUX_ENOSYS ? -LINUX_ENOTTY : ret;
}

const struct file_ops fuse_file_fops = {
	.open = file_open,
	.release = file_release,
	.flush = file_flush,
	.read = fuse_read,
	.write = fuse_write,
	.lseek = file_lseek,
	.fsync = file_fsync,
	.fallocate = file_fallocate,
	.ioctl = file_ioctl,
	.mmap = generic_file_mmap,
	.map_fd = fuse_map_fd,
	.map_waits = true,
	.unmapped = fuse_unmapped,
};

const struct file_ops fuse_dir_fops = {
	.open = dir_open,
	.release = dir_release,
	.iterate = fuse_dir_iterate,
	.fsync = dir_fsync,
};
