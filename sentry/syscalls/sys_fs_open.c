/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_open.c - open(2), openat(2), openat2(2), creat(2), close(2), close_range(2)
 */
#include <string.h>

#include "sentry/syscalls/sys_fs.h"

#define OPEN_FLAGS                                                                                 \
	(LINUX_O_ACCMODE | LINUX_O_CREAT | LINUX_O_EXCL | LINUX_O_NOCTTY | LINUX_O_TRUNC | LINUX_O_APPEND | LINUX_O_NONBLOCK |     \
	 LINUX_O_SYNC | LINUX_O_ASYNC | LINUX_O_DIRECT | LINUX_O_LARGEFILE | LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_NOATIME | \
	 LINUX_O_CLOEXEC | LINUX_O_PATH | LINUX_O_TMPFILE)
#define PATH_FLAGS (LINUX_O_DIRECTORY | LINUX_O_NOFOLLOW | LINUX_O_PATH | LINUX_O_CLOEXEC)

/* What openat2 refuses and the old calls drop. */
static long check_flags(uint32_t *flags, uint32_t mode, bool strict)
{
	uint32_t f = *flags;
	bool tmpfile = (f & 020000000u) != 0;

	if (tmpfile) {
		if ((f & LINUX_O_TMPFILE) != LINUX_O_TMPFILE || f & LINUX_O_CREAT || (f & LINUX_O_ACCMODE) == LINUX_O_RDONLY)
			return -LINUX_EINVAL;
	}
	/* Creating a directory with open() cannot be asked for. */
	if ((f & (LINUX_O_DIRECTORY | LINUX_O_CREAT)) == (LINUX_O_DIRECTORY | LINUX_O_CREAT))
		return -LINUX_EINVAL;
	if (strict && !(f & LINUX_O_CREAT) && !tmpfile && mode)
		return -LINUX_EINVAL;
	if (f & LINUX_O_PATH) {
		if (strict && f & ~PATH_FLAGS)
			return -LINUX_EINVAL;
		*flags = f & PATH_FLAGS;
	}
	return 0;
}

static long do_open(struct task *t, int dirfd, struct gptr upath, uint32_t flags, uint32_t mode, uint32_t walk)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	struct file *f;
	long ret = copyin_path(t, path, upath);

	if (ret)
		return ret;
	ret = vfs_open(&ctx, dirfd, path, flags | LINUX_O_LARGEFILE, mode, walk, &f);
	if (ret)
		return ret;
	return install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE4(openat, int, dirfd, struct gptr, upath, uint32_t, flags, uint32_t, mode)
{
	long ret;

	flags &= OPEN_FLAGS;
	ret = check_flags(&flags, mode, false);
	return ret ? ret : do_open(t, dirfd, upath, flags, mode & 07777, 0);
}

SYSCALL_DEFINE3(open, struct gptr, upath, uint32_t, flags, uint32_t, mode)
{
	return do_sys_openat(t, LINUX_AT_FDCWD, upath, flags, mode);
}

SYSCALL_DEFINE2(creat, struct gptr, upath, uint32_t, mode)
{
	return do_sys_openat(t, LINUX_AT_FDCWD, upath, LINUX_O_CREAT | LINUX_O_WRONLY | LINUX_O_TRUNC, mode);
}

/* A structure from a newer caller is fine as long as what we do not know is zero. */
static long copyin_how(struct task *t, struct gptr uhow, uint64_t size, struct linux_open_how *how)
{
	return size < sizeof(*how) ? -LINUX_EINVAL : copyin_struct(t->u, how, sizeof(*how), uhow, size);
}

static const struct {
	uint64_t resolve;
	uint32_t walk;
} resolve_flags[] = {
	{ LINUX_RESOLVE_NO_XDEV, WALK_NO_XDEV },	 { LINUX_RESOLVE_NO_MAGICLINKS, WALK_NO_MAGIC },
	{ LINUX_RESOLVE_NO_SYMLINKS, WALK_NO_SYMLINKS }, { LINUX_RESOLVE_BENEATH, WALK_BENEATH },
	{ LINUX_RESOLVE_IN_ROOT, WALK_IN_ROOT },	 { LINUX_RESOLVE_CACHED, WALK_CACHED },
};

SYSCALL_DEFINE4(openat2, int, dirfd, struct gptr, upath, struct gptr, uhow, uint64_t, size)
{
	struct linux_open_how how;
	uint32_t walk = 0, flags;
	uint64_t known = 0;
	long ret = copyin_how(t, uhow, size, &how);

	if (ret)
		return ret;
	for (size_t k = 0; k < ARRAY_SIZE(resolve_flags); k++) {
		known |= resolve_flags[k].resolve;
		if (how.resolve & resolve_flags[k].resolve)
			walk |= resolve_flags[k].walk;
	}
	if (how.flags & ~(uint64_t)OPEN_FLAGS || how.mode & ~07777ull || how.resolve & ~known ||
	    (walk & WALK_BENEATH && walk & WALK_IN_ROOT))
		return -LINUX_EINVAL;
	flags = (uint32_t)how.flags;
	if (walk & WALK_CACHED && flags & (LINUX_O_TRUNC | LINUX_O_CREAT | 020000000u))
		return -LINUX_EAGAIN;
	ret = check_flags(&flags, (uint32_t)how.mode, true);
	return ret ? ret : do_open(t, dirfd, upath, flags, (uint32_t)how.mode, walk);
}

SYSCALL_DEFINE1(close, int, fd)
{
	long ret = fdtable_close(t->fds, fd);

	/* The descriptor is gone whatever happened: restarting would close somebody else's. */
	if (ret <= -ERESTARTSYS && ret >= -ERESTART_RESTARTBLOCK)
		ret = -LINUX_EINTR;
	return ret;
}

SYSCALL_DEFINE3(close_range, uint32_t, first, uint32_t, last, uint32_t, flags)
{
	struct fdtable *n;

	if (flags & ~(LINUX_CLOSE_RANGE_UNSHARE | LINUX_CLOSE_RANGE_CLOEXEC) || first > last)
		return -LINUX_EINVAL;
	if (flags & LINUX_CLOSE_RANGE_UNSHARE && fdtable_is_shared(t->fds)) {
		/* What is about to be closed at the end of the table need not be copied. */
		n = fdtable_dup(t->fds, last >= INT32_MAX && !(flags & LINUX_CLOSE_RANGE_CLOEXEC) ? first : UINT32_MAX);
		if (!n)
			return -LINUX_ENOMEM;
		fdtable_put(t->fds);
		t->fds = n;
	}
	return fdtable_close_range(t->fds, first, last, flags & LINUX_CLOSE_RANGE_CLOEXEC);
}
