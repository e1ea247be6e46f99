/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/file.c - open file descriptions: life, reading, writing, positions
 *
 * Locks:   file.pos_lock only when the description is shared; nobody else can move the position of one with a single user.
 * Source:  open(2) "Open file descriptions", read(2), write(2), lseek(2), mount(2) on atime.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

void (*vfs_send_sigio)(struct file *f, int band, uint32_t poll_events);
void (*vfs_owner_put)(uint64_t cookie);
const struct file_ops *vfs_fifo_ops;

#define RELATIME_AGE_S (24 * 3600)

static uint32_t fmode_of(uint32_t flags)
{
	if (flags & LINUX_O_PATH)
		return FMODE_PATH;
	switch (flags & LINUX_O_ACCMODE) {
	case LINUX_O_RDONLY:
		return FMODE_READ;
	case LINUX_O_WRONLY:
		return FMODE_WRITE;
	case LINUX_O_RDWR:
		return FMODE_READ | FMODE_WRITE;
	default:
		return 0;	/* 3: ioctl only, open(2) NOTES */
	}
}

struct file *file_alloc_raw(uint32_t flags, const struct cred *c)
{
	struct file *f = malloc(sizeof(*f));

	if (!f)
		return NULL;
	memset(f, 0, sizeof(*f));
	ref_init(&f->ref, 1);
	f->flags = flags & ~(LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_NOCTTY | LINUX_O_TRUNC | LINUX_O_CLOEXEC);
	f->fmode = fmode_of(flags) | (flags & LINUX_O_NOCTTY ? FMODE_NOCTTY : 0);
	sleeplock_init(&f->pos_lock);
	list_init(&f->epolls);
	f->cred = cred_get((struct cred *)c);
	return f;
}

static void free_file_rcu(struct rcu_head *h)
{
	free(container_of(h, struct file, rcu));
}

void file_free_unopened(struct file *f)
{
	struct inode *i = f->path.dentry ? f->path.dentry->inode : NULL;

	if (f->fmode & FMODE_WRITER) {
		atomic_fetch_sub(&i->nr_writers, 1);
		mnt_drop_write(f->path.mnt);
	}
	if (f->fmode & FMODE_EXEC_DENY)
		atomic_fetch_add(&i->nr_writers, 1);
	if (f->fmode & FMODE_REAL)
		inode_put(f->inode);
	if (f->owner.cookie && vfs_owner_put)
		vfs_owner_put(f->owner.cookie);
	path_put(&f->path);
	cred_put(f->cred);
	rcu_defer(&f->rcu, free_file_rcu);
}

struct file *file_get(struct file *f)
{
	ref_get(&f->ref);
	return f;
}

static NOINLINE void file_release(struct file *f)
{
	struct inode *i = file_inode(f);

	if (!list_empty(&f->epolls))
		epoll_file_gone(f);
	if (i && i->locks)
		flock_release(f);
	if (f->flags & LINUX_O_ASYNC && f->ops->fasync)
		f->ops->fasync(f, false);
	if (f->fmode & FMODE_OPENED) {
		if (atomic_load_explicit(&fsnotify_nr_marks, memory_order_relaxed) && !(f->fmode & FMODE_NONOTIFY))
			fsnotify(f->path.dentry->parent->inode, i, f->path.dentry->name,
				 f->fmode & FMODE_WRITE ? LINUX_IN_CLOSE_WRITE : LINUX_IN_CLOSE_NOWRITE, 0);
		if (f->ops->release)
			f->ops->release(f);
	}
	file_free_unopened(f);
}

void file_put(struct file *f)
{
	if (f && ref_put(&f->ref))
		file_release(f);
}

long file_close(struct file *f, struct fdtable *t)
{
	struct inode *i = file_inode(f);
	long ret = f->ops && f->ops->flush && !(f->fmode & FMODE_PATH) ? f->ops->flush(f) : 0;

	if (i && rcu_load(i->locks))
		posix_locks_close(f, t);
	file_put(f);
	return ret;
}

long file_alloc(struct path *p, const struct file_ops *ops, uint32_t flags, const struct cred *c, struct file **out)
{
	struct file *f = file_alloc_raw(flags, c);

	if (!f) {
		path_put(p);
		return -LINUX_ENOMEM;
	}
	f->path = *p;
	*p = (struct path){ 0 };
	f->inode = f->path.dentry->inode;
	f->ops = ops;
	f->fmode |= FMODE_OPENED | FMODE_PREAD | FMODE_PWRITE;
	*out = f;
	return 0;
}

/* ---- times ---- */

static bool atime_is_due(const struct file *f, const struct inode *i, struct vtime now)
{
	uint32_t mf = f->path.mnt ? atomic_load_explicit(&f->path.mnt->flags, memory_order_relaxed) : 0;

	if (mf & LINUX_MS_NOATIME || (mf & LINUX_MS_NODIRATIME && LINUX_S_ISDIR(i->mode)) || i->iflags & I_NOATIME ||
	    (mf | i->sb->flags) & LINUX_MS_RDONLY)
		return false;
	if (!(mf & LINUX_MS_RELATIME))
		return i->atime.sec != now.sec || i->atime.nsec != now.nsec;
	if (i->atime.sec < i->mtime.sec || (i->atime.sec == i->mtime.sec && i->atime.nsec <= i->mtime.nsec))
		return true;
	if (i->atime.sec < i->ctime.sec || (i->atime.sec == i->ctime.sec && i->atime.nsec <= i->ctime.nsec))
		return true;
	return now.sec - i->atime.sec >= RELATIME_AGE_S;
}

void file_accessed(struct file *f)
{
	struct inode *i = file_inode(f);
	struct vtime now;

	if (f->flags & LINUX_O_NOATIME)
		return;
	now = vfs_now();
	if (!atime_is_due(f, i, now))
		return;
	mutex_lock(&i->mu);
	i->atime = now;
	mutex_unlock(&i->mu);
}

/* ---- reading and writing ---- */

static bool pos_begin(struct file *f)
{
	if (!(f->fmode & FMODE_ATOMIC_POS) || atomic_load_explicit(&f->ref.n, memory_order_relaxed) == 1)
		return false;
	sleep_lock(&f->pos_lock);
	return true;
}

static void notify_io(struct file *f, uint32_t mask)
{
	if (unlikely(atomic_load_explicit(&fsnotify_nr_marks, memory_order_relaxed)) && !(f->fmode & FMODE_NONOTIFY) && f->path.dentry)
		fsnotify(f->path.dentry->parent->inode, f->path.dentry->inode, f->path.dentry->name, mask, 0);
}

/* A file that was opened for reading before its inode was copied up follows to the copy, unless somebody else may be in
 * the middle of using it: then it goes on with what it opened. */
static NOINLINE void follow_copy(struct file *f)
{
	struct inode *to = rcu_load(file_inode(f)->real), *old = f->inode;
	const struct file_ops *old_ops = f->ops;
	void *old_priv = f->priv;

	if (f->fmode & FMODE_WRITE || atomic_load(&f->ref.n) != 1 || !to->fops)
		return;
	f->inode = inode_get(to);
	f->ops = to->fops;
	f->priv = NULL;
	if (f->ops->open && f->ops->open(to, f)) {
		inode_put(to);
		f->inode = old;
		f->ops = old_ops;
		f->priv = old_priv;
		return;
	}
	if (old_ops->release) {	/* closes what the lower file system keeps for it */
		struct file gone = *f;

		gone.inode = old;
		gone.ops = old_ops;
		gone.priv = old_priv;
		old_ops->release(&gone);
	}
	inode_put(old);
}

static inline void check_real(struct file *f)
{
	if (unlikely(f->fmode & FMODE_REAL && rcu_load(file_inode(f)->real) != f->inode))
		follow_copy(f);
}

long vfs_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	bool locked = false;
	uint64_t p;
	long ret;

	check_real(f);

	if (unlikely(!(f->fmode & FMODE_READ)))
		return -LINUX_EBADF;
	if (unlikely(!f->ops->read))
		return f->inode && LINUX_S_ISDIR(f->inode->mode) ? -LINUX_EISDIR : -LINUX_EINVAL;
	if (pos) {
		ret = f->ops->read(f, io, pos, rwf);
	} else {
		locked = pos_begin(f);
		p = f->pos;
		ret = f->ops->read(f, io, &p, rwf);
		if (ret >= 0)
			f->pos = p;
		if (locked)
			sleep_unlock(&f->pos_lock);
	}
	if (ret > 0)
		notify_io(f, LINUX_IN_ACCESS);
	return ret;
}

long vfs_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf, uint64_t fsize_limit)
{
	bool locked = false;
	uint64_t p, at;
	long ret;

	if (unlikely(!(f->fmode & FMODE_WRITE)))
		return -LINUX_EBADF;
	if (unlikely(!f->ops->write))
		return -LINUX_EINVAL;
	if (!pos)
		locked = pos_begin(f);
	p = pos ? *pos : f->pos;
	if (unlikely(fsize_limit != UINT64_MAX) && f->inode && LINUX_S_ISREG(f->inode->mode) && io->left) {
		at = (f->flags & LINUX_O_APPEND) || (rwf & LINUX_RWF_APPEND) ? atomic_load(&f->inode->size) : p;
		if (at >= fsize_limit) {
			ret = -LINUX_EFBIG;
			goto out;
		}
		io->left = MIN((uint64_t)io->left, fsize_limit - at);
	}
	ret = f->ops->write(f, io, &p, rwf);
	if (ret >= 0) {
		if (pos)
			*pos = p;
		else
			f->pos = p;
	}
out:
	if (locked)
		sleep_unlock(&f->pos_lock);
	if (ret > 0)
		notify_io(f, LINUX_IN_MODIFY);
	return ret;
}

uint32_t vfs_poll(struct file *f, struct poll_table *pt)
{
	if (!f->ops->poll)
		return LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLRDNORM | LINUX_POLLWRNORM;
	return f->ops->poll(f, pt);
}

long generic_lseek(struct file *f, int64_t off, int whence, uint64_t max, uint64_t eof)
{
	int64_t to;

	switch (whence) {
	case LINUX_SEEK_SET:
		to = off;
		break;
	case LINUX_SEEK_CUR:
		if (__builtin_add_overflow((int64_t)f->pos, off, &to))
			return -LINUX_EOVERFLOW;
		break;
	case LINUX_SEEK_END:
		if (__builtin_add_overflow((int64_t)eof, off, &to))
			return -LINUX_EOVERFLOW;
		break;
	case LINUX_SEEK_DATA:
		if (off < 0 || (uint64_t)off >= eof)
			return -LINUX_ENXIO;
		to = off;
		break;
	case LINUX_SEEK_HOLE:
		if (off < 0 || (uint64_t)off >= eof)
			return -LINUX_ENXIO;
		to = (int64_t)eof;
		break;
	default:
		return -LINUX_EINVAL;
	}
	if (to < 0 || (uint64_t)to > max)
		return -LINUX_EINVAL;
	f->pos = (uint64_t)to;
	f->dir_version = 0;
	return to;
}

long vfs_lseek(struct file *f, int64_t off, int whence)
{
	bool locked;
	long ret;

	if (f->fmode & FMODE_STREAM)
		return -LINUX_ESPIPE;
	check_real(f);
	locked = pos_begin(f);
	ret = f->ops->lseek ? f->ops->lseek(f, off, whence) : generic_lseek(f, off, whence, INT64_MAX, f->inode->size);
	if (locked)
		sleep_unlock(&f->pos_lock);
	return ret;
}

/* ---- mapping ---- */

static struct file *mappable_file(struct mappable *m)
{
	return container_of(m, struct file, mappable);
}

static void fm_get(struct mappable *m)
{
	file_get(mappable_file(m));
}

static void fm_put(struct mappable *m)
{
	file_put(mappable_file(m));
}

static long fm_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd, uint64_t *out_id,
		       uint64_t *out_off)
{
	struct file *f = mappable_file(m);

	return f->ops->map_fd(f, off, len, shared, writable, out_fd, out_id, out_off);
}

static bool fm_waits(struct mappable *m)
{
	return mappable_file(m)->ops->map_waits;
}

static void fm_describe(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path)
{
	struct file *f = mappable_file(m);
	struct inode *i = file_inode(f);
	char *text = malloc(PATH_MAX_BYTES);

	*out_dev = i->sb->dev;
	*out_ino = i->ino;
	if (text && vfs_path_text(&f->path, NULL, text, PATH_MAX_BYTES) >= 0)
		buf_append(out_path, text, strlen(text));
	free(text);
}

static long fm_sync(struct mappable *m, uint64_t off, uint64_t len)
{
	struct file *f = mappable_file(m);

	return f->ops->fsync ? f->ops->fsync(f, true) : 0;
}

static long fm_map(struct mappable *m, bool shared, bool writable)
{
	struct inode *i = mappable_file(m)->inode;

	if (!shared || !writable)
		return 0;
	atomic_fetch_add(&i->nr_map_shared_w, 1);
	if (!(i->seals & (LINUX_F_SEAL_WRITE | LINUX_F_SEAL_FUTURE_WRITE)))
		return 0;
	atomic_fetch_sub(&i->nr_map_shared_w, 1);
	return -LINUX_EPERM;
}

static void fm_unmap(struct mappable *m, bool shared, bool writable)
{
	struct file *f = mappable_file(m);

	if (!shared || !writable)
		return;
	atomic_fetch_sub(&f->inode->nr_map_shared_w, 1);
	if (f->ops->unmapped)
		f->ops->unmapped(f);
}

static const struct mappable_ops file_mappable_ops = {
	.get = fm_get,
	.put = fm_put,
	.host_fd = fm_host_fd,
	.waits = fm_waits,
	.describe = fm_describe,
	.sync = fm_sync,
	.map = fm_map,
	.unmap = fm_unmap,
};

long generic_file_mmap(struct file *f, struct mappable **out)
{
	if (!f->ops->map_fd)
		return -LINUX_ENODEV;
	f->mappable.ops = &file_mappable_ops;
	file_accessed(f);
	*out = &file_get(f)->mappable;
	return 0;
}

/* ---- the internal file system of pipes, sockets and anonymous files ---- */

static struct fs_type anon_type = { .name = "anon_inodefs", .flags = FST_NODEV | FST_KERNEL_ONLY, .magic = 0x09041934 };
static const struct super_ops anon_super_ops;
static const struct inode_ops anon_inode_ops;
static struct super_block *anon_sb;
static struct mount *anon_mnt;
static struct inode *anon_inode;	/* all "anon_inode:[x]" files share one, as in Linux */

void anon_sb_init(void)
{
	static const struct fs_mount_args args = { .source = "anon_inodefs", .options = "" };

	anon_sb = sb_alloc(&anon_type, &anon_super_ops, &args);
	BUG_ON(!anon_sb);
	anon_sb->next_ino = 1000;	/* numbers as on a system that ran for a while; never those of /dev nodes */
	anon_inode = inode_new(anon_sb, 0600);
	BUG_ON(!anon_inode);
	anon_inode->ops = &anon_inode_ops;
	anon_inode->iflags = I_PRIVATE;
	anon_sb->root = d_alloc_root(anon_sb, inode_get(anon_inode));
	anon_mnt = mnt_new(anon_sb, anon_sb->root, "anon_inodefs", LINUX_MS_NOATIME);
	BUG_ON(!anon_mnt);
}

struct inode *anon_inode_new(uint32_t mode, const struct cred *c)
{
	struct inode *i = inode_new(anon_sb, mode);

	if (!i)
		return NULL;
	i->ops = &anon_inode_ops;
	if (c) {
		i->uid = c->fsuid;
		i->gid = c->fsgid;
	}
	return i;
}

long file_new_inode(struct inode *i, const char *name, const struct file_ops *ops, uint32_t flags, const struct cred *c,
		    struct file **out)
{
	struct path p = { .dentry = d_alloc_anon(i->sb, i, name) };

	if (!p.dentry)
		return -LINUX_ENOMEM;
	p.mnt = mnt_get(anon_mnt);
	return file_alloc(&p, ops, flags, c, out);
}

long anon_file_new(const char *name, const struct file_ops *ops, void *priv, uint32_t flags, const struct cred *c, struct file **out)
{
	char text[64];
	long ret;

	snprintf(text, sizeof(text), "anon_inode:%s", name);
	ret = file_new_inode(inode_get(anon_inode), text, ops, flags, c, out);
	if (ret)
		return ret;
	(*out)->priv = priv;
	(*out)->fmode |= FMODE_STREAM | FMODE_NONOTIFY;
	(*out)->fmode &= ~(FMODE_PREAD | FMODE_PWRITE);
	return 0;
}
