/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_event.c - pipes, eventfd, timerfd, signalfd, inotify, memfd
 */
#include <string.h>

#include "sentry/fs/anon/anon.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/vfs/notify.h"

SYSCALL_DEFINE2(pipe2, struct gptr, ufds, uint32_t, flags)
{
	uint64_t limit = task_rlimit(t, LINUX_RLIMIT_NOFILE);
	bool cloexec = flags & LINUX_O_CLOEXEC;
	struct file *f[2];
	int32_t fd[2];
	long a, b, ret;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK | LINUX_O_DIRECT))
		return -LINUX_EINVAL;
	ret = pipe_new(t->cred, flags, f);
	if (ret)
		return ret;
	a = fdtable_install(t->fds, f[0], 0, cloexec, limit);
	b = a < 0 ? a : fdtable_install(t->fds, f[1], 0, cloexec, limit);
	file_put(f[0]);
	file_put(f[1]);
	if (b < 0) {
		if (a >= 0)
			fdtable_close(t->fds, (int)a);
		return b;
	}
	fd[0] = (int32_t)a;
	fd[1] = (int32_t)b;
	if (copyout(t->u, ufds, fd, sizeof(fd))) {
		fdtable_close(t->fds, (int)a);
		fdtable_close(t->fds, (int)b);
		return -LINUX_EFAULT;
	}
	return 0;
}

SYSCALL_DEFINE1(pipe, struct gptr, ufds)
{
	return do_sys_pipe2(t, ufds, 0);
}

/* ---- eventfd ---- */

#define LINUX_EFD_SEMAPHORE 1u

SYSCALL_DEFINE2(eventfd2, uint32_t, count, uint32_t, flags)
{
	struct file *f;
	long ret;

	if (flags & ~(LINUX_EFD_SEMAPHORE | LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -LINUX_EINVAL;
	ret = eventfd_new(count, flags & LINUX_EFD_SEMAPHORE, flags & LINUX_O_NONBLOCK, t->cred, &f);
	return ret ? ret : install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE1(eventfd, uint32_t, count)
{
	return do_sys_eventfd2(t, count, 0);
}

/* ---- timerfd ---- */

SYSCALL_DEFINE2(timerfd_create, int, clock, uint32_t, flags)
{
	struct file *f;
	long ret;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -LINUX_EINVAL;
	switch (clock) {
	case LINUX_CLOCK_REALTIME:
	case LINUX_CLOCK_MONOTONIC:
	case LINUX_CLOCK_BOOTTIME:
		break;
	case LINUX_CLOCK_REALTIME_ALARM:
	case LINUX_CLOCK_BOOTTIME_ALARM:
		if (!cred_has_cap(t->cred, &init_user_ns, 35 /* CAP_WAKE_ALARM */))
			return -LINUX_EPERM;
		break;
	default:
		return -LINUX_EINVAL;
	}
	ret = timerfd_new(clock, flags & LINUX_O_NONBLOCK, t->cred, &f);
	return ret ? ret : install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE4(timerfd_settime, int, fd, uint32_t, flags, struct gptr, unew, struct gptr, uold)
{
	struct linux_itimerspec its, old;
	bool put;
	struct file *f;
	long ret;

	if (flags & ~(TIMERFD_ABSTIME | TIMERFD_CANCEL_ON_SET))
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &its, unew))
		return -LINUX_EFAULT;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = timerfd_set(f, flags, &its, &old);
	fdput(f, put);
	return !ret && uold.v ? copyout_obj(t->u, uold, &old) : ret;
}

SYSCALL_DEFINE2(timerfd_gettime, int, fd, struct gptr, ucur)
{
	struct linux_itimerspec its;
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = timerfd_get(f, &its);
	fdput(f, put);
	return ret ? ret : copyout_obj(t->u, ucur, &its);
}

/* ---- signalfd ---- */

SYSCALL_DEFINE4(signalfd4, int, fd, struct gptr, umask, uint64_t, size, uint32_t, flags)
{
	uint64_t mask;
	struct file *f;
	bool put;
	long ret;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK) || size != sizeof(mask))
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &mask, umask))
		return -LINUX_EFAULT;
	if (fd == -1) {
		ret = signalfd_new(mask, flags & LINUX_O_NONBLOCK, t->cred, &f);
		return ret ? ret : install_fd(t, f, flags & LINUX_O_CLOEXEC);
	}
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = signalfd_set(f, mask);
	fdput(f, put);
	return ret ? ret : fd;
}

SYSCALL_DEFINE3(signalfd, int, fd, struct gptr, umask, uint64_t, size)
{
	return do_sys_signalfd4(t, fd, umask, size, 0);
}

/* ---- inotify ---- */

SYSCALL_DEFINE1(inotify_init1, uint32_t, flags)
{
	struct file *f;
	long ret;

	if (flags & ~(LINUX_O_CLOEXEC | LINUX_O_NONBLOCK))
		return -LINUX_EINVAL;
	ret = inotify_new(t->cred, flags & LINUX_O_NONBLOCK, &f);
	return ret ? ret : install_fd(t, f, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE0(inotify_init)
{
	return do_sys_inotify_init1(t, 0);
}

SYSCALL_DEFINE3(inotify_add_watch, int, fd, struct gptr, upath, uint32_t, mask)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	uint32_t walk = (mask & LINUX_IN_DONT_FOLLOW ? 0 : WALK_FOLLOW) | (mask & LINUX_IN_ONLYDIR ? WALK_DIRECTORY : 0);
	struct path p;
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = copyin_path(t, path, upath);
	if (!ret)
		ret = vfs_lookup(&ctx, LINUX_AT_FDCWD, path, walk, &p);
	if (!ret) {
		ret = vfs_permission(p.dentry->inode, LINUX_MAY_READ, t->cred);
		if (!ret)
			ret = inotify_add(f, &p, mask);
		path_put(&p);
	}
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE2(inotify_rm_watch, int, fd, int, wd)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = inotify_rm(f, wd);
	fdput(f, put);
	return ret;
}

/* ---- memfd ---- */

#define LINUX_MFD_CLOEXEC	1u
#define LINUX_MFD_ALLOW_SEALING 2u
#define LINUX_MFD_HUGETLB	4u
#define LINUX_MFD_NOEXEC_SEAL	8u
#define LINUX_MFD_EXEC		16u
#define MEMFD_NAME_MAX		249	/* NAME_MAX less "memfd:" */

SYSCALL_DEFINE2(memfd_create, struct gptr, uname, uint32_t, flags)
{
	char name[MEMFD_NAME_MAX + 1];
	struct file *f;
	long ret;

	/* Huge pages are the host's business: none are set aside here, as on a host without any. */
	if (flags & LINUX_MFD_HUGETLB)
		return -LINUX_ENOSYS;
	if (flags & ~(LINUX_MFD_CLOEXEC | LINUX_MFD_ALLOW_SEALING | LINUX_MFD_NOEXEC_SEAL | LINUX_MFD_EXEC) ||
	    (flags & LINUX_MFD_EXEC && flags & LINUX_MFD_NOEXEC_SEAL))
		return -LINUX_EINVAL;
	ret = copyin_str(t->u, name, sizeof(name), uname);
	if (ret < 0)
		return ret == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : ret;
	ret = tmpfs_memfd(name, flags & (LINUX_MFD_ALLOW_SEALING | LINUX_MFD_NOEXEC_SEAL), !(flags & LINUX_MFD_NOEXEC_SEAL), t->cred,
			  LINUX_O_RDWR | LINUX_O_LARGEFILE, &f);
	return ret ? ret : install_fd(t, f, flags & LINUX_MFD_CLOEXEC);
}
