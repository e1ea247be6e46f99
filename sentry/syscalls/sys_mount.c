/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_mount.c - mount(2), umount2(2), pivot_root(2), and the calls on mount descriptors
 *
 * Source:  mount(2), umount2(2), pivot_root(2), mount_setattr(2); linux/mount.h for the numbers of the newer calls.
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/ns.h"
#include "sentry/vfs/mount.h"

#define MOUNT_TEXT_MAX 4096	/* a page of options, mount(2) */

/* An optional string of the guest, owned by the caller; NULL pointer gives NULL. */
static long copyin_opt_str(struct task *t, struct gptr p, char **out)
{
	char *s;
	long n;

	*out = NULL;
	if (!p.v)
		return 0;
	s = malloc(MOUNT_TEXT_MAX);
	if (!s)
		return -LINUX_ENOMEM;
	n = copyin_str(t->u, s, MOUNT_TEXT_MAX, p);
	if (n < 0) {
		free(s);
		return n == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : n;
	}
	*out = s;
	return 0;
}

struct mount_args {
	char *source, *type, *data;
};

static void mount_args_fini(struct mount_args *m)
{
	free(m->source);
	free(m->type);
	free(m->data);
}

#define PROPAGATION (LINUX_MS_SHARED | LINUX_MS_PRIVATE | LINUX_MS_SLAVE | LINUX_MS_UNBINDABLE)

static long mount_change_type(struct vfs_ctx *ctx, const struct path *at, uint32_t flags)
{
	uint32_t type = flags & PROPAGATION;

	if (type & (type - 1) || flags & ~(PROPAGATION | LINUX_MS_REC | LINUX_MS_SILENT))
		return -LINUX_EINVAL;
	return mount_set_type(ctx, at, type, flags & LINUX_MS_REC);
}

static long mount_from(struct vfs_ctx *ctx, const struct path *at, const char *source, bool move, bool rec)
{
	struct path from;
	long ret;

	if (!source || !*source)
		return -LINUX_EINVAL;
	ret = vfs_lookup(ctx, LINUX_AT_FDCWD, source, WALK_FOLLOW, &from);
	if (ret)
		return ret;
	ret = move ? mount_move(ctx, &from, at) : mount_bind(ctx, &from, at, rec);
	path_put(&from);
	return ret;
}

static long do_mount(struct task *t, const struct path *at, const struct mount_args *m, uint32_t flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);

	if ((flags & 0xffff0000u) == 0xc0ed0000u)	/* MS_MGC_VAL of old callers */
		flags &= 0xffff;
	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if ((flags & (LINUX_MS_REMOUNT | LINUX_MS_BIND)) == (LINUX_MS_REMOUNT | LINUX_MS_BIND))
		return mount_remount(&ctx, at, flags, NULL, true);
	if (flags & LINUX_MS_REMOUNT)
		return mount_remount(&ctx, at, flags, m->data, false);
	if (flags & LINUX_MS_BIND)
		return mount_from(&ctx, at, m->source, false, flags & LINUX_MS_REC);
	if (flags & PROPAGATION)
		return mount_change_type(&ctx, at, flags);
	if (flags & LINUX_MS_MOVE)
		return mount_from(&ctx, at, m->source, true, false);
	if (!m->type)
		return -LINUX_EINVAL;
	return mount_new(&ctx, at, m->type, m->source, m->data, flags);
}

SYSCALL_DEFINE5(mount, struct gptr, usource, struct gptr, utarget, struct gptr, utype, uint64_t, flags, struct gptr, udata)
{
	struct mount_args m = { 0 };
	struct path at;
	long ret = copyin_opt_str(t, utype, &m.type);

	if (!ret)
		ret = copyin_opt_str(t, usource, &m.source);
	if (!ret)
		ret = copyin_opt_str(t, udata, &m.data);
	if (!ret)
		ret = lookup_at(t, LINUX_AT_FDCWD, utarget, 0, &at);
	if (!ret) {
		ret = do_mount(t, &at, &m, (uint32_t)flags);
		path_put(&at);
	}
	mount_args_fini(&m);
	return ret;
}

SYSCALL_DEFINE2(umount2, struct gptr, utarget, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path at;
	long ret = lookup_at(t, LINUX_AT_FDCWD, utarget, flags & 8 /* UMOUNT_NOFOLLOW */ ? LINUX_AT_SYMLINK_NOFOLLOW : 0, &at);

	if (ret)
		return ret;
	ret = mount_umount(&ctx, &at, flags);
	path_put(&at);
	return ret;
}

SYSCALL_DEFINE2(pivot_root, struct gptr, unew, struct gptr, uold)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path n, o;
	long ret;

	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	ret = lookup_at(t, LINUX_AT_FDCWD, unew, 0, &n);
	if (ret)
		return ret;
	ret = lookup_at(t, LINUX_AT_FDCWD, uold, 0, &o);
	if (!ret) {
		ret = LINUX_S_ISDIR(n.dentry->inode->mode) && LINUX_S_ISDIR(o.dentry->inode->mode) ? mount_pivot_root(&ctx, &n, &o) :
												      -LINUX_ENOTDIR;
		path_put(&o);
	}
	path_put(&n);
	return ret;
}

/* ---- descriptors: open_tree, move_mount, fsopen & co. ---- */

#define LINUX_OPEN_TREE_CLONE	1u
#define LINUX_OPEN_TREE_CLOEXEC LINUX_O_CLOEXEC

SYSCALL_DEFINE3(open_tree, int, dirfd, struct gptr, upath, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	uint32_t at_flags = flags & (LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW);
	struct path at;
	struct file *f;
	long ret;

	if (flags & ~(LINUX_AT_EMPTY_PATH | LINUX_AT_NO_AUTOMOUNT | LINUX_AT_RECURSIVE | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_OPEN_TREE_CLONE |
		      LINUX_OPEN_TREE_CLOEXEC) ||
	    (flags & (LINUX_AT_RECURSIVE | LINUX_OPEN_TREE_CLONE)) == LINUX_AT_RECURSIVE)
		return -LINUX_EINVAL;
	if (flags & LINUX_OPEN_TREE_CLONE && !may_mount(&ctx))
		return -LINUX_EPERM;
	ret = lookup_at(t, dirfd, upath, at_flags, &at);
	if (ret)
		return ret;
	ret = mount_open_tree(&ctx, &at, flags & LINUX_OPEN_TREE_CLONE, flags & LINUX_AT_RECURSIVE, &f);
	path_put(&at);
	return ret ? ret : install_fd(t, f, flags & LINUX_OPEN_TREE_CLOEXEC);
}

#define LINUX_MOVE_MOUNT_F_SYMLINKS   0x01u
#define LINUX_MOVE_MOUNT_F_EMPTY_PATH 0x04u
#define LINUX_MOVE_MOUNT_T_SYMLINKS   0x10u
#define LINUX_MOVE_MOUNT_T_EMPTY_PATH 0x40u

static uint32_t move_at_flags(uint32_t flags, uint32_t links, uint32_t empty)
{
	return (flags & links ? 0 : LINUX_AT_SYMLINK_NOFOLLOW) | (flags & empty ? LINUX_AT_EMPTY_PATH : 0);
}

SYSCALL_DEFINE5(move_mount, int, fromfd, struct gptr, ufrom, int, tofd, struct gptr, uto, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path from, to;
	long ret;

	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if (flags & ~0x77u)
		return -LINUX_EINVAL;
	ret = lookup_at(t, fromfd, ufrom, move_at_flags(flags, LINUX_MOVE_MOUNT_F_SYMLINKS, LINUX_MOVE_MOUNT_F_EMPTY_PATH), &from);
	if (ret)
		return ret;
	ret = lookup_at(t, tofd, uto, move_at_flags(flags, LINUX_MOVE_MOUNT_T_SYMLINKS, LINUX_MOVE_MOUNT_T_EMPTY_PATH), &to);
	if (!ret) {
		ret = mount_move_file(&ctx, &from, &to);
		path_put(&to);
	}
	path_put(&from);
	return ret;
}

SYSCALL_DEFINE2(fsopen, struct gptr, uname, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct file *f;
	char *name;
	long ret;

	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if (flags & ~1u)
		return -LINUX_EINVAL;
	ret = copyin_opt_str(t, uname, &name);
	if (!ret && !name)
		ret = -LINUX_EFAULT;
	if (ret)
		return ret;
	ret = mount_fsopen(&ctx, name, &f);
	free(name);
	return ret ? ret : install_fd(t, f, flags & 1);
}

SYSCALL_DEFINE3(fspick, int, dirfd, struct gptr, upath, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path at;
	struct file *f;
	long ret;

	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if (flags & ~0xfu)
		return -LINUX_EINVAL;
	ret = lookup_at(t, dirfd, upath, (flags & 2 ? LINUX_AT_SYMLINK_NOFOLLOW : 0) | (flags & 8 ? LINUX_AT_EMPTY_PATH : 0), &at);
	if (ret)
		return ret;
	ret = mount_fspick(&ctx, &at, &f);
	path_put(&at);
	return ret ? ret : install_fd(t, f, flags & 1);
}

SYSCALL_DEFINE5(fsconfig, int, fd, uint32_t, cmd, struct gptr, ukey, struct gptr, uval, int, aux)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	char *key = NULL, *val = NULL;
	bool put;
	struct file *f;
	long ret = copyin_opt_str(t, ukey, &key);

	if (!ret && cmd == 1 /* FSCONFIG_SET_STRING */)
		ret = copyin_opt_str(t, uval, &val);
	if (!ret) {
		f = fdget(t->fds, fd, &put);
		ret = f ? mount_fsconfig(&ctx, f, cmd, key, val, aux) : -LINUX_EBADF;
		if (f)
			fdput(f, put);
	}
	free(key);
	free(val);
	return ret;
}

SYSCALL_DEFINE3(fsmount, int, fd, uint32_t, flags, uint32_t, attr)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct file *f, *out;
	bool put;
	long ret;

	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if (flags & ~1u)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = mount_fsmount(&ctx, f, attr, &out);
	fdput(f, put);
	return ret ? ret : install_fd(t, out, flags & 1);
}

struct linux_mount_attr {
	uint64_t attr_set, attr_clr, propagation, userns_fd;
};

SYSCALL_DEFINE5(mount_setattr, int, dirfd, struct gptr, upath, uint32_t, flags, struct gptr, uattr, uint64_t, size)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct linux_mount_attr a;
	uint32_t set, clr;
	struct path at;
	long ret;

	if (flags & ~(LINUX_AT_EMPTY_PATH | LINUX_AT_RECURSIVE | LINUX_AT_SYMLINK_NOFOLLOW | LINUX_AT_NO_AUTOMOUNT) || size < sizeof(a))
		return -LINUX_EINVAL;
	if (size > PAGE_SIZE)
		return -LINUX_E2BIG;
	if (!may_mount(&ctx))
		return -LINUX_EPERM;
	if (copyin_obj(t->u, &a, uattr))
		return -LINUX_EFAULT;
	if (!a.attr_set && !a.attr_clr && !a.propagation)
		return 0;
	if (a.propagation & ~(uint64_t)PROPAGATION || a.propagation & (a.propagation - 1))
		return -LINUX_EINVAL;
	ret = mount_attr_flags(a.attr_set, a.attr_clr, &set, &clr);
	if (!ret)
		ret = lookup_at(t, dirfd, upath, flags & (LINUX_AT_EMPTY_PATH | LINUX_AT_SYMLINK_NOFOLLOW), &at);
	if (ret)
		return ret;
	ret = mount_setattr_tree(&ctx, &at, set, clr, (uint32_t)a.propagation, flags & LINUX_AT_RECURSIVE);
	path_put(&at);
	return ret;
}

/* ---- mounts by number ---- */

#define LISTMOUNT_MAX 1000000u
#define LISTMOUNT_ONE_GO 4096u

static long copyin_mnt_req(struct task *t, struct gptr ureq, struct linux_mnt_id_req *r)
{
	uint32_t size;
	long ret;

	if (copyin_obj(t->u, &size, ureq) < 0)
		return -LINUX_EFAULT;
	if (size < LINUX_MNT_ID_REQ_SIZE_VER0)
		return -LINUX_EINVAL;
	ret = copyin_struct(t->u, r, sizeof(*r), ureq, size);
	if (ret < 0)
		return ret;
	if (r->mnt_ns_fd || r->mnt_id <= MNT_UNIQUE_OFFSET)
		return -LINUX_EINVAL;
	/* other namespaces cannot be asked about: there is none of this number */
	return r->mnt_ns_id && r->mnt_ns_id != t->ns->mnt->ino ? -LINUX_ENOENT : 0;
}

SYSCALL_DEFINE4(listmount, struct gptr, ureq, struct gptr, uids, uint64_t, nr, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct linux_mnt_id_req r;
	uint64_t *ids, done = 0;
	long ret;

	if (flags & ~LISTMOUNT_REVERSE)
		return -LINUX_EINVAL;
	if (nr > LISTMOUNT_MAX)
		return -LINUX_EOVERFLOW;
	ret = copyin_mnt_req(t, ureq, &r);
	if (ret < 0)
		return ret;
	ids = malloc(MIN(MAX(nr, 1ul), (uint64_t)LISTMOUNT_ONE_GO) * sizeof(*ids));
	if (!ids)
		return -LINUX_ENOMEM;
	do {
		ret = mount_list(&ctx, r.mnt_id, r.param, flags & LISTMOUNT_REVERSE, ids, (size_t)MIN(nr - done, (uint64_t)LISTMOUNT_ONE_GO));
		if (ret <= 0)
			break;
		if (copyout(t->u, GPTR(uids.v + done * sizeof(*ids)), ids, (size_t)ret * sizeof(*ids)) < 0) {
			ret = -LINUX_EFAULT;
			break;
		}
		done += (uint64_t)ret;
		r.param = ids[ret - 1];
	} while (ret == LISTMOUNT_ONE_GO && done < nr);
	free(ids);
	return ret < 0 ? ret : (long)done;
}

SYSCALL_DEFINE4(statmount, struct gptr, ureq, struct gptr, ubuf, uint64_t, size, uint32_t, flags)
{
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct linux_mnt_id_req r;
	struct linux_statmount s;
	struct buf strings = { 0 };
	long ret;

	if (flags)
		return -LINUX_EINVAL;
	ret = copyin_mnt_req(t, ureq, &r);
	if (!ret)
		ret = mount_stat(&ctx, r.mnt_id, r.param, &s, &strings);
	if (!ret && strings.len && size < s.size)
		ret = -LINUX_EOVERFLOW;
	if (size < sizeof(s))
		s.size = (uint32_t)size; /* what is filled */
	if (!ret && strings.len)
		ret = copyout(t->u, GPTR(ubuf.v + sizeof(s)), strings.data, strings.len);
	if (!ret)
		ret = copyout(t->u, ubuf, &s, (size_t)MIN(size, (uint64_t)sizeof(s)));
	buf_fini(&strings);
	return ret;
}

/* ---- what needs no file system of ours ---- */

SYSCALL_DEFINE4(quotactl, uint32_t, cmd, struct gptr, special, uint32_t, id, struct gptr, addr)
{
	/* Quotas are not compiled in, as on a kernel without CONFIG_QUOTA; Linux checks the privilege nowhere then. */
	return -LINUX_ENOSYS;
}

/* fanotify: unprivileged groups exist on Linux since 5.13 but can watch little; without the privilege the answer is EPERM. */
SYSCALL_DEFINE2(fanotify_init, uint32_t, flags, uint32_t, event_flags)
{
	return cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN) ? -LINUX_ENOSYS : -LINUX_EPERM;
}

SYSCALL_DEFINE5(fanotify_mark, int, fd, uint32_t, flags, uint64_t, mask, int, dirfd, struct gptr, upath)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);

	if (!f)
		return -LINUX_EBADF;
	fdput(f, put);
	return -LINUX_EINVAL;	/* no descriptor is a fanotify group */
}

/* sysfs(2): numbers of file system types. */
SYSCALL_DEFINE3(sysfs, int, option, uint64_t, a1, uint64_t, a2)
{
	struct fs_type *ft = NULL;
	char name[64];
	long n = 0, ret;

	switch (option) {
	case 1:
		ret = copyin_str(t->u, name, sizeof(name), GPTR(a1));
		if (ret < 0)
			return ret == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : ret;
		while ((ft = fs_next(ft))) {
			if (!strcmp(ft->name, name))
				return n;
			n++;
		}
		return -LINUX_EINVAL;
	case 2:
		while ((ft = fs_next(ft)))
			if (n++ == (long)a1)
				return copyout(t->u, GPTR(a2), ft->name, strlen(ft->name) + 1);
		return -LINUX_EINVAL;
	case 3:
		while ((ft = fs_next(ft)))
			n++;
		return n;
	default:
		return -LINUX_EINVAL;
	}
}
