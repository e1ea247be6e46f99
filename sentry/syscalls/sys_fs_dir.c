/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_dir.c - names: getdents, mkdir, mknod, link, unlink, rename; working directory, root, umask
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/syscalls/sys_fs.h"

#define DENTS_MAX (64u * 1024)	/* bytes gathered before they are copied out; libc asks for 32 KiB */

/* ---- getdents ---- */

struct dents {
	struct dir_emit emit;
	uint8_t *buf;
	size_t len, cap;
	bool old_format;
	bool toosmall;
	uint64_t last_off;
};

static bool dents_add(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct dents *d = container_of(e, struct dents, emit);
	size_t head = d->old_format ? offsetof(struct linux_dirent, name) : offsetof(struct linux_dirent64, name);
	size_t rec = ALIGN_UP(head + len + (d->old_format ? 2 : 1), (size_t)8);
	uint8_t *p = d->buf + d->len;

	if (d->len + rec > d->cap) {
		d->toosmall = d->len == 0;
		return false;
	}
	memset(p + rec - 8, 0, 8);
	if (d->old_format) {
		struct linux_dirent h = { .ino = ino, .off = off, .reclen = (uint16_t)rec };

		memcpy(p, &h, head);
		p[rec - 1] = type;
	} else {
		struct linux_dirent64 h = { .ino = ino, .off = (int64_t)off, .reclen = (uint16_t)rec, .type = type };

		memcpy(p, &h, head);
	}
	memcpy(p + head, name, len);
	p[head + len] = 0;
	d->len += rec;
	d->last_off = off;
	return true;
}

static long iterate(struct file *f, struct dents *d)
{
	struct inode *i = f->inode;
	uint64_t pos;
	long ret;

	sleep_lock(&f->pos_lock);
	pos = f->pos;
	sleep_lock(&i->i_lock);
	ret = file_inode(f)->nlink == 0 && i->nlink == 0 ? -LINUX_ENOENT : f->ops->iterate(f, &d->emit, &pos);
	sleep_unlock(&i->i_lock);
	if (ret >= 0)
		f->pos = pos;
	sleep_unlock(&f->pos_lock);
	file_accessed(f);
	return ret;
}

static long do_getdents(struct task *t, int fd, struct gptr ubuf, uint32_t size, bool old_format)
{
	struct dents d = { .emit = { .add = dents_add }, .cap = MIN(size, DENTS_MAX), .old_format = old_format };
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret = -LINUX_ENOTDIR;

	if (!f)
		return -LINUX_EBADF;
	if (!f->ops->iterate)
		goto out;
	d.buf = malloc(MAX(d.cap, (size_t)8));
	ret = -LINUX_ENOMEM;
	if (!d.buf)
		goto out;
	ret = iterate(f, &d);
	if (d.len)
		ret = copyout(t->u, ubuf, d.buf, d.len) ? -LINUX_EFAULT : (long)d.len;
	else if (ret >= 0 && d.toosmall)
		ret = -LINUX_EINVAL;
	free(d.buf);
out:
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE3(getdents, int, fd, struct gptr, ubuf, uint32_t, size)
{
	return do_getdents(t, fd, ubuf, size, true);
}

SYSCALL_DEFINE3(getdents64, int, fd, struct gptr, ubuf, uint32_t, size)
{
	return do_getdents(t, fd, ubuf, size, false);
}

/* ---- making and removing ---- */

SYSCALL_DEFINE3(mkdirat, int, dirfd, struct gptr, upath, uint32_t, mode)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret = copyin_path(t, path, upath);

	return ret ? ret : vfs_mkdir(&ctx, dirfd, path, mode);
}

SYSCALL_DEFINE2(mkdir, struct gptr, upath, uint32_t, mode)
{
	return do_sys_mkdirat(t, LINUX_AT_FDCWD, upath, mode);
}

SYSCALL_DEFINE4(mknodat, int, dirfd, struct gptr, upath, uint32_t, mode, uint32_t, dev)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret = copyin_path(t, path, upath);

	return ret ? ret : vfs_mknod(&ctx, dirfd, path, mode, dev);
}

SYSCALL_DEFINE3(mknod, struct gptr, upath, uint32_t, mode, uint32_t, dev)
{
	return do_sys_mknodat(t, LINUX_AT_FDCWD, upath, mode, dev);
}

/* Two paths at once: the second on the heap, the stack is small. */
struct two_paths {
	char a[PATH_MAX_BYTES], b[PATH_MAX_BYTES];
};

static long copyin_two(struct task *t, struct gptr ua, struct gptr ub, struct two_paths **out)
{
	struct two_paths *p = malloc(sizeof(*p));
	long ret;

	if (!p)
		return -LINUX_ENOMEM;
	ret = copyin_path(t, p->a, ua);
	if (!ret)
		ret = copyin_path(t, p->b, ub);
	if (ret)
		free(p);
	else
		*out = p;
	return ret;
}

SYSCALL_DEFINE3(symlinkat, struct gptr, utarget, int, dirfd, struct gptr, upath)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct two_paths *p;
	long ret = copyin_two(t, utarget, upath, &p);

	if (ret)
		return ret;
	ret = vfs_symlink(&ctx, p->a, dirfd, p->b);
	free(p);
	return ret;
}

SYSCALL_DEFINE2(symlink, struct gptr, utarget, struct gptr, upath)
{
	return do_sys_symlinkat(t, utarget, LINUX_AT_FDCWD, upath);
}

SYSCALL_DEFINE5(linkat, int, olddirfd, struct gptr, uold, int, newdirfd, struct gptr, unew, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct two_paths *p;
	long ret;

	if (flags & ~(LINUX_AT_SYMLINK_FOLLOW | LINUX_AT_EMPTY_PATH))
		return -LINUX_EINVAL;
	if (flags & LINUX_AT_EMPTY_PATH && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_DAC_READ_SEARCH))
		return -LINUX_ENOENT;
	ret = copyin_two(t, uold, unew, &p);
	if (ret)
		return ret;
	ret = vfs_link(&ctx, olddirfd, p->a, newdirfd, p->b, flags);
	free(p);
	return ret;
}

SYSCALL_DEFINE2(link, struct gptr, uold, struct gptr, unew)
{
	return do_sys_linkat(t, LINUX_AT_FDCWD, uold, LINUX_AT_FDCWD, unew, 0);
}

SYSCALL_DEFINE3(unlinkat, int, dirfd, struct gptr, upath, uint32_t, flags)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret;

	if (flags & ~LINUX_AT_REMOVEDIR)
		return -LINUX_EINVAL;
	ret = copyin_path(t, path, upath);
	if (ret)
		return ret;
	return flags & LINUX_AT_REMOVEDIR ? vfs_rmdir(&ctx, dirfd, path) : vfs_unlink(&ctx, dirfd, path);
}

SYSCALL_DEFINE1(unlink, struct gptr, upath)
{
	return do_sys_unlinkat(t, LINUX_AT_FDCWD, upath, 0);
}

SYSCALL_DEFINE1(rmdir, struct gptr, upath)
{
	return do_sys_unlinkat(t, LINUX_AT_FDCWD, upath, LINUX_AT_REMOVEDIR);
}

SYSCALL_DEFINE5(renameat2, int, olddirfd, struct gptr, uold, int, newdirfd, struct gptr, unew, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct two_paths *p;
	long ret = copyin_two(t, uold, unew, &p);

	if (ret)
		return ret;
	ret = vfs_rename(&ctx, olddirfd, p->a, newdirfd, p->b, flags);
	free(p);
	return ret;
}

SYSCALL_DEFINE4(renameat, int, olddirfd, struct gptr, uold, int, newdirfd, struct gptr, unew)
{
	return do_sys_renameat2(t, olddirfd, uold, newdirfd, unew, 0);
}

SYSCALL_DEFINE2(rename, struct gptr, uold, struct gptr, unew)
{
	return do_sys_renameat2(t, LINUX_AT_FDCWD, uold, LINUX_AT_FDCWD, unew, 0);
}

/* ---- working directory and root ---- */

SYSCALL_DEFINE1(chdir, struct gptr, upath)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	long ret = lookup_at(t, LINUX_AT_FDCWD, upath, 0, &p);

	if (ret)
		return ret;
	ret = vfs_chdir(&ctx, &p);
	path_put(&p);
	return ret;
}

SYSCALL_DEFINE1(fchdir, int, fd)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	bool put;
	struct file *f = fdget_raw(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = f->path.dentry ? vfs_chdir(&ctx, &f->path) : -LINUX_ENOTDIR;
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE1(chroot, struct gptr, upath)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path p;
	long ret = lookup_at(t, LINUX_AT_FDCWD, upath, 0, &p);

	if (ret)
		return ret;
	ret = vfs_chroot(&ctx, &p);
	path_put(&p);
	return ret;
}

SYSCALL_DEFINE2(getcwd, struct gptr, ubuf, uint64_t, size)
{
	static const char prefix[] = "(unreachable)";
	PATH_BUF(buf);
	struct path root, pwd;
	bool reachable = true;
	long ret;

	mutex_lock(&t->fs->mu);
	root = t->fs->root;
	pwd = t->fs->pwd;
	path_get(&root);
	path_get(&pwd);
	mutex_unlock(&t->fs->mu);
	if (pwd.dentry->flags & DENTRY_DELETED)
		ret = -LINUX_ENOENT;
	else
		ret = vfs_path_text2(&pwd, &root, buf, sizeof(buf) - sizeof(prefix), &reachable);
	path_put(&root);
	path_put(&pwd);
	if (ret < 0)
		return ret;
	if (!reachable) {
		memmove(buf + sizeof(prefix) - 1, buf, (size_t)ret + 1);
		memcpy(buf, prefix, sizeof(prefix) - 1);
		ret += (long)sizeof(prefix) - 1;
	}
	ret++;
	if ((uint64_t)ret > size)
		return -LINUX_ERANGE;
	return copyout(t->u, ubuf, buf, (size_t)ret) ? -LINUX_EFAULT : ret;
}

SYSCALL_DEFINE1(umask, uint32_t, mask)
{
	return __atomic_exchange_n(&t->fs->umask, mask & 0777, __ATOMIC_RELAXED);
}
