/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fd.c - descriptors: dup family, fcntl(2), flock(2), ioctl(2)
 */
#include "sentry/abi/cap.h"
#include "sentry/abi/ioctl.h"
#include "sentry/fs/pipe/pipe.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/pid.h"
#include "sentry/vfs/locks.h"

SYSCALL_DEFINE1(dup, int, fd)
{
	struct file *f = fdtable_file(t->fds, fd, true);

	return f ? install_fd(t, f, false) : -LINUX_EBADF;
}

static long do_dup3(struct task *t, int oldfd, int newfd, bool cloexec)
{
	struct file *f = fdtable_file(t->fds, oldfd, true);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = fdtable_install_at(t->fds, newfd, f, cloexec, task_rlimit(t, LINUX_RLIMIT_NOFILE));
	file_put(f);
	return ret;
}

SYSCALL_DEFINE3(dup3, int, oldfd, int, newfd, uint32_t, flags)
{
	if (flags & ~LINUX_O_CLOEXEC || oldfd == newfd)
		return -LINUX_EINVAL;
	return do_dup3(t, oldfd, newfd, flags & LINUX_O_CLOEXEC);
}

SYSCALL_DEFINE2(dup2, int, oldfd, int, newfd)
{
	bool put;
	struct file *f;

	if (oldfd != newfd)
		return do_dup3(t, oldfd, newfd, false);
	f = fdget_raw(t->fds, oldfd, &put);
	if (!f)
		return -LINUX_EBADF;
	fdput(f, put);
	return newfd;
}

/* ---- record locks ---- */

static long lock_range_in(struct file *f, const struct linux_flock *l, struct lock_range *out)
{
	int64_t base, start;

	switch (l->whence) {
	case LINUX_SEEK_SET:
		base = 0;
		break;
	case LINUX_SEEK_CUR:
		base = (int64_t)f->pos;
		break;
	case LINUX_SEEK_END:
		base = (int64_t)file_inode(f)->size;
		break;
	default:
		return -LINUX_EINVAL;
	}
	if (l->type < LINUX_F_RDLCK || l->type > LINUX_F_UNLCK)
		return -LINUX_EINVAL;
	if (__builtin_add_overflow(base, l->start, &start))
		return -LINUX_EOVERFLOW;
	if (start < 0)
		return -LINUX_EINVAL;
	*out = (struct lock_range){ .type = l->type };
	if (l->len >= 0) {
		out->start = start;
		out->end = INT64_MAX;
		if (l->len && __builtin_add_overflow(start, l->len - 1, &out->end))
			return -LINUX_EOVERFLOW;
	} else {
		if (start + l->len < 0)
			return -LINUX_EINVAL;
		out->start = start + l->len;
		out->end = start - 1;
	}
	return 0;
}

static long do_lock(struct task *t, struct file *f, uint32_t cmd, struct gptr ul)
{
	bool ofd = cmd >= LINUX_F_OFD_GETLK;
	bool get = cmd == LINUX_F_GETLK || cmd == LINUX_F_OFD_GETLK;
	const void *owner = ofd ? (const void *)f : t->fds;
	struct linux_flock l;
	struct lock_range r;
	long ret;

	if (copyin_obj(t->u, &l, ul))
		return -LINUX_EFAULT;
	if (ofd && l.pid)
		return -LINUX_EINVAL;
	ret = lock_range_in(f, &l, &r);
	if (ret)
		return ret;
	r.pid = task_tgid_nr(t, t->pid->num[t->pid->level].ns);
	if (!get)
		return file_lock_set(f, owner, ofd, &r, cmd == LINUX_F_SETLKW || cmd == LINUX_F_OFD_SETLKW);
	if (r.type == LINUX_F_UNLCK)
		return -LINUX_EINVAL;
	file_lock_test(f, owner, ofd, &r);
	l.type = (int16_t)r.type;
	if (r.type != LINUX_F_UNLCK) {
		l.whence = LINUX_SEEK_SET;
		l.start = r.start;
		l.len = r.end == INT64_MAX ? 0 : r.end - r.start + 1;
		l.pid = (int32_t)r.pid;
	}
	return copyout_obj(t->u, ul, &l);
}

SYSCALL_DEFINE2(flock, int, fd, uint32_t, op)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	int type = (op & ~LINUX_LOCK_NB) == LINUX_LOCK_SH ? LINUX_F_RDLCK :
		   (op & ~LINUX_LOCK_NB) == LINUX_LOCK_EX ? LINUX_F_WRLCK :
		   (op & ~LINUX_LOCK_NB) == LINUX_LOCK_UN ? LINUX_F_UNLCK :
							    -1;
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = type < 0 ? -LINUX_EINVAL : file_flock(f, type, !(op & LINUX_LOCK_NB));
	fdput(f, put);
	return ret;
}

/* ---- owner of SIGIO ---- */

/* file.owner.cookie is a reference to a struct pid; vfs_owner_put gives it back with the file. */
static void owner_put(uint64_t cookie)
{
	pid_put((struct pid *)(uintptr_t)cookie);
}

static long set_owner(struct task *t, struct file *f, int type, int32_t nr)
{
	struct pid *p = NULL, *old;

	if (nr) {
		p = pid_find(t->pid->num[t->pid->level].ns, (uint32_t)nr);
		if (!p)
			return -LINUX_ESRCH;
	}
	vfs_owner_put = owner_put;	/* whoever sets owners tells vfs/ how to use and drop them */
	vfs_send_sigio = fd_send_sigio;
	mutex_lock(&f->mu);
	old = (struct pid *)(uintptr_t)f->owner.cookie;
	f->owner.cookie = (uint64_t)(uintptr_t)p;
	f->owner.type = type;
	f->owner.uid = t->cred->uid;
	f->owner.euid = t->cred->euid;
	mutex_unlock(&f->mu);
	if (old)
		pid_put(old);
	return 0;
}

static int32_t get_owner(struct task *t, struct file *f, int *out_type)
{
	int32_t nr = 0;

	mutex_lock(&f->mu);
	*out_type = f->owner.type;
	if (f->owner.cookie)
		nr = (int32_t)pid_nr((struct pid *)(uintptr_t)f->owner.cookie, t->pid->num[t->pid->level].ns);
	mutex_unlock(&f->mu);
	return nr;
}

static long owner_cmd(struct task *t, struct file *f, uint32_t cmd, uint64_t arg)
{
	struct linux_f_owner_ex ex;
	uint32_t ids[2];
	int type;

	switch (cmd) {
	case LINUX_F_SETOWN:
		if ((int32_t)arg == INT32_MIN)
			return -LINUX_EINVAL;
		return set_owner(t, f, (int32_t)arg < 0 ? LINUX_F_OWNER_PGRP : LINUX_F_OWNER_PID, abs((int32_t)arg));
	case LINUX_F_GETOWN: {
		int32_t nr = get_owner(t, f, &type);

		return type == LINUX_F_OWNER_PGRP ? -nr : nr;
	}
	case LINUX_F_SETOWN_EX:
		if (copyin_obj(t->u, &ex, GPTR(arg)))
			return -LINUX_EFAULT;
		if (ex.type < LINUX_F_OWNER_TID || ex.type > LINUX_F_OWNER_PGRP || ex.pid < 0)
			return -LINUX_EINVAL;
		return set_owner(t, f, ex.type, ex.pid);
	case LINUX_F_GETOWN_EX:
		ex.pid = get_owner(t, f, &ex.type);
		return copyout_obj(t->u, GPTR(arg), &ex);
	case LINUX_F_GETOWNER_UIDS:
		ids[0] = to_guest_uid(t, f->owner.uid);
		ids[1] = to_guest_uid(t, f->owner.euid);
		return copyout(t->u, GPTR(arg), ids, sizeof(ids));
	case LINUX_F_SETSIG:
		if (arg > LINUX_NSIG)
			return -LINUX_EINVAL;
		f->owner.signum = (int)arg;
		return 0;
	default:
		return f->owner.signum;
	}
}

/* ---- flags, seals, hints ---- */

#define SETFL_MASK (LINUX_O_APPEND | LINUX_O_NONBLOCK | LINUX_O_ASYNC | LINUX_O_DIRECT | LINUX_O_NOATIME)

static long set_flags(struct task *t, struct file *f, uint32_t arg)
{
	uint32_t old = atomic_load(&f->flags), new_;
	struct inode *i = file_inode(f);
	long ret = 0;

	if (i && i->iflags & I_APPEND && !(arg & LINUX_O_APPEND))
		return -LINUX_EPERM;
	if (arg & LINUX_O_NOATIME && !(old & LINUX_O_NOATIME) && i && t->cred->fsuid != i->uid &&
	    !cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_FOWNER))
		return -LINUX_EPERM;
	new_ = (old & ~SETFL_MASK) | (arg & SETFL_MASK);
	if (f->ops->set_flags)
		ret = f->ops->set_flags(f, new_);
	if (!ret && (old ^ new_) & LINUX_O_ASYNC && f->ops->fasync)
		ret = f->ops->fasync(f, new_ & LINUX_O_ASYNC);
	if (!ret)
		atomic_store(&f->flags, new_);
	return ret;
}

static long add_seals(struct file *f, uint32_t seals)
{
	struct inode *i = f->inode;
	const uint32_t known = LINUX_F_SEAL_SEAL | LINUX_F_SEAL_SHRINK | LINUX_F_SEAL_GROW | LINUX_F_SEAL_WRITE |
			       LINUX_F_SEAL_FUTURE_WRITE | LINUX_F_SEAL_EXEC;
	long ret = 0;

	if (!(f->fmode & FMODE_WRITE))
		return -LINUX_EPERM;
	if (seals & ~known)
		return -LINUX_EINVAL;
	sleep_lock(&i->i_lock);
	if (i->seals & LINUX_F_SEAL_SEAL) {
		ret = -LINUX_EPERM;
	} else {
		uint32_t old = i->seals;

		/* First the seal, then the count: a mapping that is being made counts first, then looks for the seal. */
		__atomic_store_n(&i->seals, old | seals, __ATOMIC_SEQ_CST);
		if (seals & LINUX_F_SEAL_WRITE && !(old & LINUX_F_SEAL_WRITE) && atomic_load(&i->nr_map_shared_w)) {
			__atomic_store_n(&i->seals, old, __ATOMIC_SEQ_CST);
			ret = -LINUX_EBUSY;
		}
	}
	sleep_unlock(&i->i_lock);
	return ret;
}

/* Only memory files can be sealed; others refuse, fcntl(2). */
static bool sealable(const struct file *f)
{
	return f->inode && LINUX_S_ISREG(f->inode->mode) && f->inode->sb->type && f->inode->sb->type->magic == 0x01021994;
}

static long rw_hint(struct task *t, uint32_t cmd, uint64_t arg)
{
	uint64_t hint = 0;	/* RWH_WRITE_LIFE_NOT_SET: taken note of by nobody */

	if (cmd == LINUX_F_GET_RW_HINT || cmd == LINUX_F_GET_FILE_RW_HINT)
		return copyout_obj(t->u, GPTR(arg), &hint);
	if (copyin_obj(t->u, &hint, GPTR(arg)))
		return -LINUX_EFAULT;
	return hint > 5 ? -LINUX_EINVAL : 0;
}

static long fcntl_dup(struct task *t, struct file *f, uint64_t min, bool cloexec)
{
	uint64_t limit = task_rlimit(t, LINUX_RLIMIT_NOFILE);

	if ((int32_t)min < 0 || (uint32_t)min >= limit)
		return -LINUX_EINVAL;
	return fdtable_install(t->fds, f, (int)min, cloexec, limit);
}

static long do_fcntl(struct task *t, int fd, struct file *f, uint32_t cmd, uint64_t arg)
{
	switch (cmd) {
	case LINUX_F_DUPFD:
	case LINUX_F_DUPFD_CLOEXEC:
		return fcntl_dup(t, f, arg, cmd == LINUX_F_DUPFD_CLOEXEC);
	case LINUX_F_DUPFD_QUERY: {
		bool put;
		struct file *other = fdget_raw(t->fds, (int)arg, &put);
		long same = other == f;

		if (!other)
			return -LINUX_EBADF;
		fdput(other, put);
		return same;
	}
	case LINUX_F_GETFD:
		return fdtable_get_cloexec(t->fds, fd);
	case LINUX_F_SETFD:
		return fdtable_set_cloexec(t->fds, fd, arg & LINUX_FD_CLOEXEC);
	case LINUX_F_GETFL:
		return (long)atomic_load(&f->flags);
	}
	if (f->fmode & FMODE_PATH)
		return -LINUX_EBADF;
	switch (cmd) {
	case LINUX_F_SETFL:
		return set_flags(t, f, (uint32_t)arg);
	case LINUX_F_GETLK:
	case LINUX_F_SETLK:
	case LINUX_F_SETLKW:
	case LINUX_F_OFD_GETLK:
	case LINUX_F_OFD_SETLK:
	case LINUX_F_OFD_SETLKW:
		return do_lock(t, f, cmd, GPTR(arg));
	case LINUX_F_SETOWN:
	case LINUX_F_GETOWN:
	case LINUX_F_SETOWN_EX:
	case LINUX_F_GETOWN_EX:
	case LINUX_F_GETOWNER_UIDS:
	case LINUX_F_SETSIG:
	case LINUX_F_GETSIG:
		return owner_cmd(t, f, cmd, arg);
	case LINUX_F_SETLEASE:
		return arg > LINUX_F_UNLCK ? -LINUX_EINVAL : file_lease_set(f, (int)arg);
	case LINUX_F_GETLEASE:
		return file_lease_get(f);
	case LINUX_F_CREATED_QUERY:
		return !!(f->fmode & FMODE_CREATED);
	case LINUX_F_SETPIPE_SZ:
		return pipe_set_size(f, (uint32_t)arg, cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_RESOURCE));
	case LINUX_F_GETPIPE_SZ:
		return pipe_get_size(f);
	case LINUX_F_ADD_SEALS:
		return sealable(f) ? add_seals(f, (uint32_t)arg) : -LINUX_EINVAL;
	case LINUX_F_GET_SEALS:
		return sealable(f) ? (long)f->inode->seals : -LINUX_EINVAL;
	case LINUX_F_GET_RW_HINT:
	case LINUX_F_SET_RW_HINT:
	case LINUX_F_GET_FILE_RW_HINT:
	case LINUX_F_SET_FILE_RW_HINT:
		return rw_hint(t, cmd, arg);
	default:
		return -LINUX_EINVAL;
	}
}

SYSCALL_DEFINE3(fcntl, int, fd, uint32_t, cmd, uint64_t, arg)
{
	bool put;
	struct file *f = fdget_raw(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = do_fcntl(t, fd, f, cmd, arg);
	fdput(f, put);
	return ret;
}

/* ---- ioctl ---- */

#define LINUX_FIOQSIZE	      0x5460u
#define LINUX_FS_IOC_GETFLAGS 0x80086601u
#define LINUX_FS_IOC_SETFLAGS 0x40086602u
#define LINUX_FS_LOCKING_FL   0x30u /* FS_IMMUTABLE_FL, FS_APPEND_FL */

static long ioctl_fsflags(struct task *t, struct file *f, uint32_t cmd, uint64_t arg)
{
	struct inode *i = file_inode(f);
	uint32_t flags, old;
	long ret = i->ops->get_flags ? i->ops->get_flags(i, &old) : -LINUX_ENOTTY;

	if (ret || cmd == LINUX_FS_IOC_GETFLAGS)
		return ret ? ret : copyout_obj(t->u, GPTR(arg), &old);
	if (!i->ops->set_flags)
		return -LINUX_ENOTTY;
	if (copyin_obj(t->u, &flags, GPTR(arg)))
		return -LINUX_EFAULT;
	if (t->cred->fsuid != i->uid && !cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_FOWNER))
		return -LINUX_EPERM;
	if ((old ^ flags) & LINUX_FS_LOCKING_FL && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_LINUX_IMMUTABLE))
		return -LINUX_EPERM;
	sleep_lock(&i->i_lock);
	ret = i->ops->set_flags(i, flags);
	sleep_unlock(&i->i_lock);
	return ret;
}

/* What works on every file. 1: not one of these. */
static long ioctl_generic(struct task *t, int fd, struct file *f, uint32_t cmd, uint64_t arg)
{
	int32_t on;
	int64_t size;

	switch (cmd) {
	case LINUX_FIOCLEX:
	case LINUX_FIONCLEX:
		return fdtable_set_cloexec(t->fds, fd, cmd == LINUX_FIOCLEX);
	case LINUX_FIONBIO:
		if (copyin_obj(t->u, &on, GPTR(arg)))
			return -LINUX_EFAULT;
		return set_flags(t, f, on ? f->flags | LINUX_O_NONBLOCK : f->flags & ~LINUX_O_NONBLOCK);
	case LINUX_FIOASYNC:
		if (copyin_obj(t->u, &on, GPTR(arg)))
			return -LINUX_EFAULT;
		return set_flags(t, f, on ? f->flags | LINUX_O_ASYNC : f->flags & ~LINUX_O_ASYNC);
	case LINUX_FIOQSIZE:
		if (!f->inode || (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISDIR(f->inode->mode) && !LINUX_S_ISLNK(f->inode->mode)))
			return -LINUX_ENOTTY;
		size = (int64_t)f->inode->size;
		return copyout_obj(t->u, GPTR(arg), &size);
	case LINUX_FIONREAD:
		if (!f->inode || !LINUX_S_ISREG(f->inode->mode) || f->ops->ioctl)
			return 1;
		on = (int32_t)MIN((uint64_t)f->inode->size - MIN(f->pos, (uint64_t)f->inode->size), (uint64_t)INT32_MAX);
		return copyout_obj(t->u, GPTR(arg), &on);
	case LINUX_FS_IOC_GETFLAGS:
	case LINUX_FS_IOC_SETFLAGS:
		if (!f->inode || (!LINUX_S_ISREG(f->inode->mode) && !LINUX_S_ISDIR(f->inode->mode)))
			return 1;
		return ioctl_fsflags(t, f, cmd, arg);
	default:
		return 1;
	}
}

SYSCALL_DEFINE3(ioctl, int, fd, uint32_t, cmd, uint64_t, arg)
{
	bool put;
	struct file *f = fdget(t->fds, fd, &put);
	long ret;

	if (!f)
		return -LINUX_EBADF;
	ret = ioctl_generic(t, fd, f, cmd, arg);
	if (ret == 1)
		ret = f->ops->ioctl ? f->ops->ioctl(f, t->u, cmd, arg) : -LINUX_ENOTTY;
	fdput(f, put);
	return ret;
}
