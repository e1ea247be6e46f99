/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_attr.c - chmod, chown, utimes families; extended attributes
 */
#include <string.h>

#include "sentry/abi/socket.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/vfs/xattr.h"

/* A path with references for an open descriptor. */
static long fd_path(struct task *t, int fd, bool allow_opath, struct path *out)
{
	bool put;
	struct file *f = allow_opath ? fdget_raw(t->fds, fd, &put) : fdget(t->fds, fd, &put);

	if (!f)
		return -LINUX_EBADF;
	*out = f->path;
	path_get(out);
	fdput(f, put);
	return out->dentry && out->dentry->inode ? 0 : -LINUX_EBADF;
}

static long set_path(struct task *t, struct path *p, struct iattr *a)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret = vfs_setattr(&ctx, p, a);

	path_put(p);
	return ret;
}

/* ---- mode ---- */

static long do_chmod(struct task *t, int dirfd, struct gptr upath, uint32_t mode, uint32_t flags)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = mode & 07777 };
	struct path p;
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -LINUX_EINVAL;
	ret = lookup_at(t, dirfd, upath, flags, &p);
	if (ret)
		return ret;
	if (LINUX_S_ISLNK(p.dentry->inode->mode)) {
		path_put(&p);
		return -LINUX_EOPNOTSUPP;
	}
	return set_path(t, &p, &a);
}

SYSCALL_DEFINE2(chmod, struct gptr, upath, uint32_t, mode)
{
	return do_chmod(t, LINUX_AT_FDCWD, upath, mode, 0);
}

SYSCALL_DEFINE3(fchmodat, int, dirfd, struct gptr, upath, uint32_t, mode)
{
	return do_chmod(t, dirfd, upath, mode, 0);
}

SYSCALL_DEFINE4(fchmodat2, int, dirfd, struct gptr, upath, uint32_t, mode, uint32_t, flags)
{
	return do_chmod(t, dirfd, upath, mode, flags);
}

SYSCALL_DEFINE2(fchmod, int, fd, uint32_t, mode)
{
	struct iattr a = { .valid = ATTR_MODE, .mode = mode & 07777 };
	struct path p;
	long ret = fd_path(t, fd, false, &p);

	return ret ? ret : set_path(t, &p, &a);
}

/* ---- owner ---- */

static long owner_attr(struct task *t, uint32_t uid, uint32_t gid, struct iattr *a)
{
	*a = (struct iattr){ 0 };
	if (uid != ID_INVALID) {
		a->uid = id_to_kernel(t->cred->user_ns, false, uid);
		a->valid |= ATTR_UID;
	}
	if (gid != ID_INVALID) {
		a->gid = id_to_kernel(t->cred->user_ns, true, gid);
		a->valid |= ATTR_GID;
	}
	return (a->valid & ATTR_UID && a->uid == ID_INVALID) || (a->valid & ATTR_GID && a->gid == ID_INVALID) ? -LINUX_EINVAL : 0;
}

static long do_chown(struct task *t, int dirfd, struct gptr upath, uint32_t uid, uint32_t gid, uint32_t flags)
{
	struct iattr a;
	struct path p;
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -LINUX_EINVAL;
	ret = lookup_at(t, dirfd, upath, flags, &p);
	if (ret)
		return ret;
	ret = owner_attr(t, uid, gid, &a);
	if (ret) {
		path_put(&p);
		return ret;
	}
	return set_path(t, &p, &a);
}

SYSCALL_DEFINE3(chown, struct gptr, upath, uint32_t, uid, uint32_t, gid)
{
	return do_chown(t, LINUX_AT_FDCWD, upath, uid, gid, 0);
}

SYSCALL_DEFINE3(lchown, struct gptr, upath, uint32_t, uid, uint32_t, gid)
{
	return do_chown(t, LINUX_AT_FDCWD, upath, uid, gid, LINUX_AT_SYMLINK_NOFOLLOW);
}

SYSCALL_DEFINE5(fchownat, int, dirfd, struct gptr, upath, uint32_t, uid, uint32_t, gid, uint32_t, flags)
{
	return do_chown(t, dirfd, upath, uid, gid, flags);
}

SYSCALL_DEFINE3(fchown, int, fd, uint32_t, uid, uint32_t, gid)
{
	struct iattr a;
	struct path p;
	long ret = fd_path(t, fd, false, &p);

	if (ret)
		return ret;
	ret = owner_attr(t, uid, gid, &a);
	if (ret) {
		path_put(&p);
		return ret;
	}
	return set_path(t, &p, &a);
}

/* ---- times ---- */

#define LINUX_UTIME_NOW	 0x3fffffff
#define LINUX_UTIME_OMIT 0x3ffffffe

static long one_time(struct iattr *a, uint32_t bit, uint32_t now_bit, const struct linux_timespec *ts, struct vtime *out)
{
	if (ts->nsec == LINUX_UTIME_OMIT)
		return 0;
	a->valid |= bit;
	if (ts->nsec == LINUX_UTIME_NOW) {
		a->valid |= now_bit;
		return 0;
	}
	if (ts->nsec < 0 || ts->nsec >= (int64_t)NSEC_PER_SEC)
		return -LINUX_EINVAL;
	*out = (struct vtime){ .sec = ts->sec, .nsec = (uint32_t)ts->nsec };
	return 0;
}

/* @ts NULL: both now. A NULL path means the descriptor itself. */
static long do_utimes(struct task *t, int dirfd, struct gptr upath, const struct linux_timespec *ts, uint32_t flags)
{
	struct iattr a = { 0 };
	struct path p;
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_EMPTY_PATH))
		return -LINUX_EINVAL;
	if (!ts)
		a.valid = ATTR_ATIME | ATTR_MTIME | ATTR_ATIME_NOW | ATTR_MTIME_NOW;
	else if (one_time(&a, ATTR_ATIME, ATTR_ATIME_NOW, &ts[0], &a.atime) || one_time(&a, ATTR_MTIME, ATTR_MTIME_NOW, &ts[1], &a.mtime))
		return -LINUX_EINVAL;
	if (ts && !a.valid)
		return 0;
	if (!upath.v && dirfd != LINUX_AT_FDCWD && !(flags & LINUX_AT_EMPTY_PATH))
		ret = flags ? -LINUX_EINVAL : fd_path(t, dirfd, false, &p);
	else
		ret = lookup_at(t, dirfd, upath, flags, &p);
	return ret ? ret : set_path(t, &p, &a);
}

SYSCALL_DEFINE4(utimensat, int, dirfd, struct gptr, upath, struct gptr, uts, uint32_t, flags)
{
	struct linux_timespec ts[2];

	if (uts.v && copyin(t->u, ts, uts, sizeof(ts)))
		return -LINUX_EFAULT;
	return do_utimes(t, dirfd, upath, uts.v ? ts : NULL, flags);
}

static long utimes_common(struct task *t, int dirfd, struct gptr upath, struct gptr utv)
{
	struct linux_timespec ts[2];
	int64_t tv[4];

	if (!utv.v)
		return do_utimes(t, dirfd, upath, NULL, 0);
	if (copyin(t->u, tv, utv, sizeof(tv)))
		return -LINUX_EFAULT;
	if (tv[1] < 0 || tv[1] >= 1000000 || tv[3] < 0 || tv[3] >= 1000000)
		return -LINUX_EINVAL;
	ts[0] = (struct linux_timespec){ tv[0], tv[1] * 1000 };
	ts[1] = (struct linux_timespec){ tv[2], tv[3] * 1000 };
	return do_utimes(t, dirfd, upath, ts, 0);
}

SYSCALL_DEFINE3(futimesat, int, dirfd, struct gptr, upath, struct gptr, utv)
{
	return utimes_common(t, dirfd, upath, utv);
}

SYSCALL_DEFINE2(utimes, struct gptr, upath, struct gptr, utv)
{
	return utimes_common(t, LINUX_AT_FDCWD, upath, utv);
}

SYSCALL_DEFINE2(utime, struct gptr, upath, struct gptr, ubuf)
{
	struct linux_timespec ts[2] = { 0 };
	int64_t v[2];

	if (!ubuf.v)
		return do_utimes(t, LINUX_AT_FDCWD, upath, NULL, 0);
	if (copyin(t->u, v, ubuf, sizeof(v)))
		return -LINUX_EFAULT;
	ts[0].sec = v[0];
	ts[1].sec = v[1];
	return do_utimes(t, LINUX_AT_FDCWD, upath, ts, 0);
}

/* ---- extended attributes: path with and without links, descriptor ---- */

enum xwhich { X_PATH, X_LINK, X_FD };

static long xattr_path(struct task *t, enum xwhich w, uint64_t what, struct path *out)
{
	if (w == X_FD)
		return fd_path(t, (int)what, false, out);
	return lookup_at(t, LINUX_AT_FDCWD, GPTR(what), w == X_LINK ? LINUX_AT_SYMLINK_NOFOLLOW : 0, out);
}

static long xattr_name(struct task *t, char *name, struct gptr uname)
{
	long n = copyin_str(t->u, name, XATTR_NAME_MAX + 1, uname);

	if (n == -LINUX_ENAMETOOLONG || n == 0)
		return -LINUX_ERANGE;
	return n < 0 ? n : 0;
}

static long do_getxattr(struct task *t, enum xwhich w, uint64_t what, struct gptr uname, struct gptr uval, uint64_t size)
{
	char name[XATTR_NAME_MAX + 1];
	struct path p;
	void *val = NULL;
	long ret = xattr_name(t, name, uname);

	if (ret)
		return ret;
	ret = xattr_path(t, w, what, &p);
	if (ret)
		return ret;
	size = MIN(size, (uint64_t)XATTR_SIZE_MAX);
	if (size && !(val = malloc(size)))
		ret = -LINUX_ENOMEM;
	else
		ret = vfs_getxattr(&p, name, val, size, t->cred);
	if (ret > 0 && size && copyout(t->u, uval, val, (size_t)ret))
		ret = -LINUX_EFAULT;
	free(val);
	path_put(&p);
	return ret;
}

static long do_setxattr(struct task *t, enum xwhich w, uint64_t what, struct gptr uname, struct gptr uval, uint64_t size, uint32_t flags)
{
	char name[XATTR_NAME_MAX + 1];
	struct path p;
	void *val = NULL;
	long ret;

	if (flags & ~(LINUX_XATTR_CREATE | LINUX_XATTR_REPLACE))
		return -LINUX_EINVAL;
	ret = xattr_name(t, name, uname);
	if (ret)
		return ret;
	if (size > XATTR_SIZE_MAX)
		return -LINUX_E2BIG;
	if (size) {
		val = malloc(size);
		if (!val)
			return -LINUX_ENOMEM;
		if (copyin(t->u, val, uval, size)) {
			free(val);
			return -LINUX_EFAULT;
		}
	}
	ret = xattr_path(t, w, what, &p);
	if (!ret) {
		ret = vfs_setxattr(&p, name, val ? val : "", size, flags, t->cred);
		path_put(&p);
	}
	free(val);
	return ret;
}

static long do_listxattr(struct task *t, enum xwhich w, uint64_t what, struct gptr ulist, uint64_t size)
{
	struct path p;
	char *list = NULL;
	long ret = xattr_path(t, w, what, &p);

	if (ret)
		return ret;
	size = MIN(size, (uint64_t)XATTR_LIST_MAX);
	if (size && !(list = malloc(size)))
		ret = -LINUX_ENOMEM;
	else
		ret = vfs_listxattr(&p, list, size, t->cred);
	if (ret > 0 && size && copyout(t->u, ulist, list, (size_t)ret))
		ret = -LINUX_EFAULT;
	free(list);
	path_put(&p);
	return ret;
}

static long do_removexattr(struct task *t, enum xwhich w, uint64_t what, struct gptr uname)
{
	char name[XATTR_NAME_MAX + 1];
	struct path p;
	long ret = xattr_name(t, name, uname);

	if (!ret)
		ret = xattr_path(t, w, what, &p);
	if (ret)
		return ret;
	ret = vfs_removexattr(&p, name, t->cred);
	path_put(&p);
	return ret;
}

#define XATTR_CALLS(pre, which)                                                                    \
	SYSCALL_DEFINE4(pre##getxattr, uint64_t, what, struct gptr, name, struct gptr, val, uint64_t, size)                        \
	{                                                                                          \
		return do_getxattr(t, which, what, name, val, size);                               \
	}                                                                                          \
	SYSCALL_DEFINE5(pre##setxattr, uint64_t, what, struct gptr, name, struct gptr, val, uint64_t, size, uint32_t, flags)       \
	{                                                                                          \
		return do_setxattr(t, which, what, name, val, size, flags);                        \
	}                                                                                          \
	SYSCALL_DEFINE3(pre##listxattr, uint64_t, what, struct gptr, list, uint64_t, size)         \
	{                                                                                          \
		return do_listxattr(t, which, what, list, size);                                   \
	}                                                                                          \
	SYSCALL_DEFINE2(pre##removexattr, uint64_t, what, struct gptr, name)                       \
	{                                                                                          \
		return do_removexattr(t, which, what, name);                                       \
	}
XATTR_CALLS(, X_PATH)
XATTR_CALLS(l, X_LINK)
XATTR_CALLS(f, X_FD)
