/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_mq.c - POSIX message queues
 */
#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/socket/netlink/netlink_file.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/timers.h"

SYSCALL_DEFINE4(mq_open, struct gptr, uname, uint32_t, flags, uint32_t, mode, struct gptr, uattr)
{
	PATH_BUF(name);
	struct linux_mq_attr attr;
	struct file *f;
	long ret;

	if (uattr.v && copyin_obj(t->u, &attr, uattr) < 0)
		return -LINUX_EFAULT;
	ret = copyin_path(t, name, uname);
	if (!ret)
		ret = mqueue_open(t, name, flags, mode, uattr.v ? &attr : NULL, &f);
	return ret ? ret : install_fd(t, f, true);	/* always close-on-exec, mq_open(3) */
}

SYSCALL_DEFINE1(mq_unlink, struct gptr, uname)
{
	PATH_BUF(name);
	long ret = copyin_path(t, name, uname);

	return ret ? ret : mqueue_unlink(t, name);
}

/* An absolute CLOCK_REALTIME timeout; NULL = none. */
static long abs_deadline(struct task *t, struct gptr uts, uint64_t *out)
{
	struct linux_timespec ts;

	*out = NO_DEADLINE;
	if (!uts.v)
		return 0;
	if (copyin_obj(t->u, &ts, uts) < 0)
		return -LINUX_EFAULT;
	if (!timespec_valid(&ts))
		return -LINUX_EINVAL;
	*out = clock_deadline(LINUX_CLOCK_REALTIME, true, timespec_ns(&ts));
	return 0;
}

SYSCALL_DEFINE5(mq_timedsend, int, fd, struct gptr, buf, uint64_t, len, uint32_t, prio, struct gptr, uts)
{
	uint64_t deadline;
	struct file *f;
	bool put;
	long ret = abs_deadline(t, uts, &deadline);

	if (ret)
		return ret;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = mqueue_send(t, f, buf, len, prio, deadline);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE5(mq_timedreceive, int, fd, struct gptr, buf, uint64_t, len, struct gptr, uprio, struct gptr, uts)
{
	uint64_t deadline;
	struct file *f;
	bool put;
	long ret = abs_deadline(t, uts, &deadline);

	if (ret)
		return ret;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = mqueue_receive(t, f, buf, len, uprio, deadline);
	fdput(f, put);
	return ret;
}

/* SIGEV_THREAD: the C library's thread waits at a netlink socket for the bytes that the value points at. */
static long notify_thread(struct task *t, struct file *f, const struct linux_sigevent *ev)
{
	uint8_t cookie[MQ_COOKIE_LEN];
	struct file *nl;
	bool put;
	long ret = -LINUX_EINVAL;

	if (copyin(t->u, cookie, GPTR(ev->value), sizeof(cookie)) < 0)
		return -LINUX_EFAULT;
	nl = fdget(t->fds, ev->signo, &put);
	if (!nl)
		return -LINUX_EBADF;
	if (file_is_netlink(nl))
		ret = mqueue_notify(t, f, ev, nl, cookie);
	fdput(nl, put);
	return ret;
}

SYSCALL_DEFINE2(mq_notify, int, fd, struct gptr, uev)
{
	struct linux_sigevent ev;
	struct file *f;
	bool put;
	long ret;

	if (uev.v && copyin_obj(t->u, &ev, uev) < 0)
		return -LINUX_EFAULT;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	if (uev.v && ev.notify == LINUX_SIGEV_THREAD)
		ret = notify_thread(t, f, &ev);
	else
		ret = mqueue_notify(t, f, uev.v ? &ev : NULL, NULL, NULL);
	fdput(f, put);
	return ret;
}

SYSCALL_DEFINE3(mq_getsetattr, int, fd, struct gptr, unew, struct gptr, uold)
{
	struct linux_mq_attr set, old;
	struct file *f;
	bool put;
	long ret;

	if (unew.v && copyin_obj(t->u, &set, unew) < 0)
		return -LINUX_EFAULT;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = mqueue_getset(f, unew.v ? &set : NULL, &old);
	fdput(f, put);
	return !ret && uold.v ? copyout_obj(t->u, uold, &old) : ret;
}
