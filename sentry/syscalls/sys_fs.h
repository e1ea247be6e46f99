/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs.h - small helpers that the file calls share
 */
#ifndef SENTRY_SYS_FS_H
#define SENTRY_SYS_FS_H

#include "sentry/abi/stat.h"
#include "sentry/abi/time.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/vfs/vfs.h"

/* Path buffers: zeroing 4 KiB would cost more than the call. */
#define PATH_BUF(name) __attribute__((uninitialized)) char name[PATH_MAX_BYTES]

/* The path argument: 0, -LINUX_EFAULT, -LINUX_ENAMETOOLONG. */
static inline long copyin_path(struct task *t, char *buf, struct gptr p)
{
	long n = copyin_str(t->u, buf, PATH_MAX_BYTES, p);

	return n < 0 ? n : 0;
}

static inline uint32_t at_walk(uint32_t at_flags)
{
	return (at_flags & LINUX_AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) | (at_flags & LINUX_AT_EMPTY_PATH ? WALK_EMPTY_OK : 0);
}

/* A path with references for (dirfd, upath, AT_* flags); a NULL path with AT_EMPTY_PATH is an empty one. */
static inline long lookup_at(struct task *t, int dirfd, struct gptr upath, uint32_t at_flags, struct path *out)
{
	PATH_BUF(path);
	struct vfs_ctx ctx = task_vfs_ctx(t);
	long ret;

	path[0] = 0;
	if (upath.v || !(at_flags & LINUX_AT_EMPTY_PATH)) {
		ret = copyin_path(t, path, upath);
		if (ret)
			return ret;
	}
	return vfs_lookup(&ctx, dirfd, path, at_walk(at_flags), out);
}

/* Relative timespec from the guest to an absolute deadline: NULL = none (NO_DEADLINE). -LINUX_EFAULT, -LINUX_EINVAL. */
static inline long copyin_deadline(struct task *t, struct gptr uts, uint64_t *out)
{
	struct linux_timespec ts;
	uint64_t now;

	*out = NO_DEADLINE;
	if (!uts.v)
		return 0;
	if (copyin_obj(t->u, &ts, uts))
		return -LINUX_EFAULT;
	if (ts.sec < 0 || (uint64_t)ts.nsec >= NSEC_PER_SEC)
		return -LINUX_EINVAL;
	if (!ts.sec && !ts.nsec) {
		*out = 0;	/* do not wait */
		return 0;
	}
	now = now_ns();
	if ((uint64_t)ts.sec < (UINT64_MAX / 2 - now) / NSEC_PER_SEC)
		*out = now + (uint64_t)ts.sec * NSEC_PER_SEC + (uint64_t)ts.nsec;
	return 0;
}

static inline uint32_t to_guest_uid(struct task *t, uint32_t kuid)
{
	return t->cred->user_ns == &init_user_ns ? kuid : id_from_kernel_munged(t->cred->user_ns, false, kuid);
}
static inline uint32_t to_guest_gid(struct task *t, uint32_t kgid)
{
	return t->cred->user_ns == &init_user_ns ? kgid : id_from_kernel_munged(t->cred->user_ns, true, kgid);
}

/* Installs @f (reference consumed) at the lowest number. */
static inline long install_fd(struct task *t, struct file *f, bool cloexec)
{
	long fd = fdtable_install(t->fds, f, 0, cloexec, task_rlimit(t, LINUX_RLIMIT_NOFILE));

	file_put(f);
	return fd;
}

/* vfs_send_sigio's implementation. No lock that a signal needs may be held. (sys_fd_sigio.c) */
void fd_send_sigio(struct file *f, int band, uint32_t events);

/* The temporary signal mask of ppoll(2) and the like; both do nothing when @umask is NULL. end: returns @ret. (sys_poll.c) */
long sigmask_begin(struct task *t, struct gptr umask, uint64_t size);
long sigmask_end(struct task *t, struct gptr umask, long ret);

#define RWF_KNOWN (LINUX_RWF_HIPRI | LINUX_RWF_DSYNC | LINUX_RWF_SYNC | LINUX_RWF_NOWAIT | LINUX_RWF_APPEND)
/* vfs_write() with the caller's limit and signals, and O_DSYNC obeyed. (sys_fs_rw.c) */
long file_write(struct task *t, struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf);
long file_fsync(struct file *f, bool data_only);	/* -LINUX_EINVAL: not a file that can be synced */

/* SIGPIPE, SIGXFSZ: what a failed write sends to its caller. Returns @ret. (sys_fs_rw.c) */
long write_signals(struct task *t, struct file *f, long ret);

#endif
