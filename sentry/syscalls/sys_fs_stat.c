/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_stat.c - stat family, statx(2), statfs(2), access(2), readlink(2)
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/vfs/mount.h"

static long put_stat(struct task *t, const struct kstat *k, struct gptr ubuf)
{
	struct linux_stat s = {
		.st_dev = k->dev,
		.st_ino = k->ino,
		.st_nlink = k->nlink,
		.st_mode = k->mode,
		.st_uid = to_guest_uid(t, k->uid),
		.st_gid = to_guest_gid(t, k->gid),
		.st_rdev = k->rdev,
		.st_size = (int64_t)k->size,
		.st_blksize = k->blksize,
		.st_blocks = (int64_t)k->blocks,
		.st_atime = (uint64_t)k->atime.sec,
		.st_atime_nsec = k->atime.nsec,
		.st_mtime = (uint64_t)k->mtime.sec,
		.st_mtime_nsec = k->mtime.nsec,
		.st_ctime = (uint64_t)k->ctime.sec,
		.st_ctime_nsec = k->ctime.nsec,
	};

	return copyout_obj(t->u, ubuf, &s);
}

/* Attributes of an open file: no walk, no reference when the table has one user. */
static long stat_fd(struct task *t, int fd, struct kstat *k)
{
	bool put;
	struct file *f = fdget_raw(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	if (likely(f->path.dentry))
		ret = vfs_getattr(&f->path, k);
	else
		ret = f->inode->ops->getattr ? f->inode->ops->getattr(f->inode, k) : generic_getattr(f->inode, k);
	fdput(f, put);
	return ret;
}

static long stat_at(struct task *t, int dirfd, struct gptr upath, uint32_t flags, struct kstat *k)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_EMPTY_PATH | 0x6000u))
		return -LINUX_EINVAL;
	path[0] = 0;
	if (upath.v || !(flags & LINUX_AT_EMPTY_PATH)) {
		ret = copyin_path(t, path, upath);
		if (ret)
			return ret;
	}
	if (!path[0] && flags & LINUX_AT_EMPTY_PATH && dirfd >= 0)
		return stat_fd(t, dirfd, k);
	return vfs_stat(&ctx, dirfd, path, at_walk(flags), k);
}

SYSCALL_DEFINE2(stat, struct gptr, upath, struct gptr, ubuf)
{
	struct kstat k;
	long ret = stat_at(t, LINUX_AT_FDCWD, upath, 0, &k);

	return ret ? ret : put_stat(t, &k, ubuf);
}

SYSCALL_DEFINE2(lstat, struct gptr, upath, struct gptr, ubuf)
{
	struct kstat k;
	long ret = stat_at(t, LINUX_AT_FDCWD, upath, LINUX_AT_SYMLINK_NOFOLLOW, &k);

	return ret ? ret : put_stat(t, &k, ubuf);
}

SYSCALL_DEFINE2(fstat, int, fd, struct gptr, ubuf)
{
	struct kstat k;
	long ret = stat_fd(t, fd, &k);

	return ret ? ret : put_stat(t, &k, ubuf);
}

SYSCALL_DEFINE4(newfstatat, int, dirfd, struct gptr, upath, struct gptr, ubuf, uint32_t, flags)
{
	struct kstat k;
	long ret = stat_at(t, dirfd, upath, flags, &k);

	return ret ? ret : put_stat(t, &k, ubuf);
}

static struct linux_statx_timestamp xtime(struct vtime v)
{
	return (struct linux_statx_timestamp){ .sec = v.sec, .nsec = v.nsec };
}

SYSCALL_DEFINE5(statx, int, dirfd, struct gptr, upath, uint32_t, flags, uint32_t, mask, struct gptr, ubuf)
{
	struct kstat k;
	struct linux_statx x;
	long ret;

	if (mask & LINUX_STATX__RESERVED || (flags & 0x6000u) == 0x6000u)
		return -LINUX_EINVAL;
	ret = stat_at(t, dirfd, upath, flags, &k);
	if (ret)
		return ret;
	x = (struct linux_statx){
		.mask = LINUX_STATX_BASIC_STATS | LINUX_STATX_MNT_ID | (k.has_btime ? LINUX_STATX_BTIME : 0),
		.blksize = k.blksize,
		.attributes = k.attributes,
		.attributes_mask = k.attributes_mask,
		.nlink = k.nlink,
		.uid = to_guest_uid(t, k.uid),
		.gid = to_guest_gid(t, k.gid),
		.mode = (uint16_t)k.mode,
		.ino = k.ino,
		.size = k.size,
		.blocks = k.blocks,
		.atime = xtime(k.atime),
		.mtime = xtime(k.mtime),
		.ctime = xtime(k.ctime),
		.btime = k.has_btime ? xtime(k.btime) : (struct linux_statx_timestamp){ 0 },
		.rdev_major = LINUX_MAJOR(k.rdev),
		.rdev_minor = LINUX_MINOR(k.rdev),
		.dev_major = LINUX_MAJOR(k.dev),
		.dev_minor = LINUX_MINOR(k.dev),
		.mnt_id = k.mnt_id,
	};
	if (mask & LINUX_STATX_MNT_ID_UNIQUE && k.mnt_id) {
		x.mask = (x.mask & ~LINUX_STATX_MNT_ID) | LINUX_STATX_MNT_ID_UNIQUE;
		x.mnt_id += MNT_UNIQUE_OFFSET;
	}
	return copyout_obj(t->u, ubuf, &x);
}

/* ---- statfs ---- */

static const struct {
	uint32_t ms;
	int64_t st;
} st_flags[] = {
	{ LINUX_MS_RDONLY, 1 },	   { LINUX_MS_NOSUID, 2 },	{ LINUX_MS_NODEV, 4 },	     { LINUX_MS_NOEXEC, 8 },
	{ LINUX_MS_NOATIME, 1024 }, { LINUX_MS_NODIRATIME, 2048 }, { LINUX_MS_RELATIME, 4096 }, { LINUX_MS_NOSYMFOLLOW, 8192 },
};

static long statfs_path(const struct path *p, struct linux_statfs *out)
{
	struct super_block *sb = p->dentry->sb;
	uint32_t mf = p->mnt ? atomic_load(&p->mnt->flags) : 0;
	long ret = 0;

	*out = (struct linux_statfs){ .f_type = sb->type->magic, .f_bsize = PAGE_SIZE, .f_namelen = NAME_MAX_BYTES, .f_frsize = PAGE_SIZE };
	if (sb->ops && sb->ops->statfs)
		ret = sb->ops->statfs(sb, p->dentry, out);
	out->f_fsid[0] = (int32_t)sb->dev;
	out->f_flags = 0x20;	/* ST_VALID */
	for (size_t k = 0; k < ARRAY_SIZE(st_flags); k++)
		if ((mf | (sb->flags & LINUX_MS_RDONLY)) & st_flags[k].ms)
			out->f_flags |= st_flags[k].st;
	return ret;
}

SYSCALL_DEFINE2(statfs, struct gptr, upath, struct gptr, ubuf)
{
	struct linux_statfs s;
	struct path p;
	long ret = lookup_at(t, LINUX_AT_FDCWD, upath, 0, &p);

	if (ret)
		return ret;
	ret = statfs_path(&p, &s);
	path_put(&p);
	return ret ? ret : copyout_obj(t->u, ubuf, &s);
}

SYSCALL_DEFINE2(fstatfs, int, fd, struct gptr, ubuf)
{
	struct linux_statfs s;
	bool put;
	struct file *f = fdget_raw(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = f->path.dentry ? statfs_path(&f->path, &s) : -LINUX_ENOSYS;
	fdput(f, put);
	return ret ? ret : copyout_obj(t->u, ubuf, &s);
}

struct linux_ustat {
	int32_t tfree, pad;
	uint64_t tinode;
	char fname[6], fpack[6];
	uint32_t pad1;
};

SYSCALL_DEFINE2(ustat, uint32_t, dev, struct gptr, ubuf)
{
	struct linux_ustat u = { 0 };
	struct linux_statfs s = { 0 };
	struct super_block *sb;
	long ret = -LINUX_EINVAL;

	for (uint64_t id = 0; (sb = mnt_ns_next_sb(t->ns->mnt, &id));) {
		if (sb->dev == dev) {
			ret = sb->ops && sb->ops->statfs ? sb->ops->statfs(sb, sb->root, &s) : 0;
			sb_put(sb);
			break;
		}
		sb_put(sb);
	}
	if (ret)
		return ret;
	u.tfree = (int32_t)s.f_bfree;
	u.tinode = s.f_ffree;
	return copyout_obj(t->u, ubuf, &u);
}

/* ---- access ---- */

/* Credentials as access(2) looks at them: real ids, and capabilities only if the real user has them. */
static struct cred *access_cred(struct task *t)
{
	struct cred *c = cred_dup(t->cred);

	if (!c)
		return NULL;
	c->fsuid = c->uid;
	c->fsgid = c->gid;
	if (!(c->securebits & 4 /* SECBIT_NO_SETUID_FIXUP */)) {
		if (id_from_kernel(c->user_ns, false, c->uid) == 0)
			c->cap_effective = c->cap_permitted;
		else
			c->cap_effective = 0;
	}
	return c;
}

static long access_path(const struct path *p, uint32_t mode, const struct cred *c)
{
	struct inode *i = p->dentry->inode;
	long ret;

	if (mode & LINUX_MAY_EXEC && LINUX_S_ISREG(i->mode) && p->mnt && p->mnt->flags & LINUX_MS_NOEXEC)
		return -LINUX_EACCES;
	ret = vfs_permission(i, mode | LINUX_MAY_ACCESS, c);
	if (!ret && mode & LINUX_MAY_WRITE && p->mnt && p->mnt->flags & LINUX_MS_RDONLY &&
	    (LINUX_S_ISREG(i->mode) || LINUX_S_ISDIR(i->mode) || LINUX_S_ISLNK(i->mode)))
		ret = -LINUX_EROFS;
	return ret;
}

static long do_access(struct task *t, int dirfd, struct gptr upath, uint32_t mode, uint32_t flags)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct cred *c = NULL;
	struct path p;
	long ret;

	if (mode & ~7u || flags & ~(LINUX_AT_EACCESS | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -LINUX_EINVAL;
	path[0] = 0;
	ret = upath.v || !(flags & LINUX_AT_EMPTY_PATH) ? copyin_path(t, path, upath) : 0;
	if (ret)
		return ret;
	if (!(flags & LINUX_AT_EACCESS) && (t->cred->uid != t->cred->fsuid || t->cred->gid != t->cred->fsgid || t->cred->uid ||
					     t->cred->cap_effective != t->cred->cap_permitted)) {
		c = access_cred(t);
		if (!c)
			return -LINUX_ENOMEM;
		ctx.cred = c;
	}
	ret = vfs_lookup(&ctx, dirfd, path, at_walk(flags), &p);
	if (ret == 0) {
		ret = access_path(&p, mode, ctx.cred);
		path_put(&p);
	}
	cred_put(c);
	return ret;
}

SYSCALL_DEFINE2(access, struct gptr, upath, uint32_t, mode)
{
	return do_access(t, LINUX_AT_FDCWD, upath, mode, 0);
}

SYSCALL_DEFINE3(faccessat, int, dirfd, struct gptr, upath, uint32_t, mode)
{
	return do_access(t, dirfd, upath, mode, 0);
}

SYSCALL_DEFINE4(faccessat2, int, dirfd, struct gptr, upath, uint32_t, mode, uint32_t, flags)
{
	return do_access(t, dirfd, upath, mode, flags);
}

/* ---- readlink ---- */

static long link_target(struct task *t, const struct path *p, char *buf)
{
	struct inode *i = p->dentry->inode;
	struct path to, root;
	long ret;

	if (i->link) {
		ret = (long)strnlen(i->link, PATH_MAX_BYTES);
		memcpy(buf, i->link, MIN((size_t)ret + 1, (size_t)PATH_MAX_BYTES));
		return ret;
	}
	if (i->ops->readlink)
		return i->ops->readlink(i, buf, PATH_MAX_BYTES);
	if (!i->ops->get_link)
		return -LINUX_EINVAL;
	ret = i->ops->get_link(i, t->cred, &to);
	if (ret)
		return ret;
	mutex_lock(&t->fs->mu);
	root = t->fs->root;
	path_get(&root);
	mutex_unlock(&t->fs->mu);
	ret = vfs_path_text(&to, &root, buf, PATH_MAX_BYTES);
	path_put(&root);
	path_put(&to);
	return ret;
}

SYSCALL_DEFINE4(readlinkat, int, dirfd, struct gptr, upath, struct gptr, ubuf, int, size)
{
	PATH_BUF(buf);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	long ret;

	if (size <= 0)
		return -LINUX_EINVAL;
	ret = copyin_path(t, buf, upath);
	if (!ret)
		ret = vfs_lookup(&ctx, dirfd, buf, WALK_EMPTY_OK, &p);
	if (ret)
		return ret;
	if (!p.dentry->inode || !LINUX_S_ISLNK(p.dentry->inode->mode))
		ret = buf[0] ? -LINUX_EINVAL : -LINUX_ENOENT;
	else
		ret = link_target(t, &p, buf);
	path_put(&p);
	if (ret < 0)
		return ret;
	ret = MIN(ret, (long)size);
	return copyout(t->u, ubuf, buf, (size_t)ret) ? -LINUX_EFAULT : ret;
}

SYSCALL_DEFINE3(readlink, struct gptr, upath, struct gptr, ubuf, int, size)
{
	return do_sys_readlinkat(t, LINUX_AT_FDCWD, upath, ubuf, size);
}
