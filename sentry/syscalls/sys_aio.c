/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_aio.c - io_setup(2) and its family
 *
 * Model:   reads, writes and syncs are done within io_submit(2), as Linux does where a file cannot do better; polls wait.
 * Source:  io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), observed Linux 6.x behaviour (test/guest/aio_rw.c).
 * Differs: an error of the file itself always is the event's result; polls of a signalfd are refused with -LINUX_EINVAL.
 */
#include "sentry/fs/aio/aio.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/signal.h"

#define AIO_NR_MAX (0x10000000u / sizeof(struct linux_io_event))

SYSCALL_DEFINE2(io_setup, uint32_t, nr, struct gptr, uctx)
{
	uint64_t id;
	long ret;

	if (copyin_obj(t->u, &id, uctx) < 0)
		return -LINUX_EFAULT;
	if (id || !nr || nr > AIO_NR_MAX)
		return -LINUX_EINVAL;
	ret = aio_setup(t, nr, proc_sysctl_value("fs/aio-max-nr"), &id);
	if (!ret && copyout_obj(t->u, uctx, &id) < 0) {
		aio_destroy(t, id);
		return -LINUX_EFAULT;
	}
	return ret;
}

SYSCALL_DEFINE1(io_destroy, uint64_t, id)
{
	return aio_destroy(t, id);
}

/* ---- submitting --------------------------------------------------------------------------------------------- */

/* An operation: 0 when @r is done or will be, -LINUX_E* when io_submit(2) itself fails. */
static long op_rw(struct task *t, struct aio_req *r, const struct linux_iocb *cb)
{
	bool write = cb->opcode == LINUX_IOCB_CMD_PWRITE || cb->opcode == LINUX_IOCB_CMD_PWRITEV;
	bool vector = cb->opcode == LINUX_IOCB_CMD_PREADV || cb->opcode == LINUX_IOCB_CMD_PWRITEV;
	bool stream = r->f->fmode & FMODE_STREAM;
	uint64_t pos = (uint64_t)cb->offset;
	struct uio io;
	long ret = 0;

	if (!(r->f->fmode & (write ? FMODE_WRITE : FMODE_READ)))
		return -LINUX_EBADF;
	if (!(write ? r->f->ops->write : r->f->ops->read))
		return -LINUX_EINVAL;
	if (cb->rw_flags & ~RWF_KNOWN)
		return -LINUX_EOPNOTSUPP;
	if (vector)
		ret = uio_init_iov(&io, t->u, GPTR(cb->buf), cb->nbytes);
	else
		uio_init_user(&io, t->u, GPTR(cb->buf), cb->nbytes);
	if (ret)
		return ret;
	if (cb->offset < 0 && !stream)
		ret = -LINUX_EINVAL;
	else if (write)
		ret = file_write(t, r->f, &io, stream ? NULL : &pos, cb->rw_flags);
	else
		ret = vfs_read(r->f, &io, stream ? NULL : &pos, cb->rw_flags);
	if (vector)
		uio_fini(&io);
	/* Another thread may fetch the event: the data must be there first, and a bad buffer is this request's error. */
	if (!write && umem_flush(t->u) < 0)
		ret = -LINUX_EFAULT;
	if (ret == -LINUX_EINVAL && cb->offset < 0)
		return ret;
	aio_complete(r, ret <= -ERESTARTSYS ? -LINUX_EINTR : ret);
	return 0;
}

static long op_sync(struct task *t, struct aio_req *r, const struct linux_iocb *cb)
{
	long ret;

	if (cb->buf || cb->offset || cb->nbytes || cb->rw_flags)
		return -LINUX_EINVAL;
	ret = file_fsync(r->f, cb->opcode == LINUX_IOCB_CMD_FDSYNC);
	if (ret == -LINUX_EINVAL)
		return ret;	/* cannot be synced at all */
	aio_complete(r, ret);
	return 0;
}

static long op_poll(struct task *t, struct aio_req *r, const struct linux_iocb *cb)
{
	if (cb->buf > UINT16_MAX || cb->offset || cb->nbytes || cb->rw_flags)
		return -LINUX_EINVAL;
	if (!r->f->ops->poll || file_is_signalfd(r->f))
		return -LINUX_EINVAL;
	r->events = (uint32_t)cb->buf | LINUX_POLLERR | LINUX_POLLHUP;
	return aio_poll(r);
}

static long (*const ops[])(struct task *t, struct aio_req *r, const struct linux_iocb *cb) = {
	[LINUX_IOCB_CMD_PREAD] = op_rw,	   [LINUX_IOCB_CMD_PWRITE] = op_rw,  [LINUX_IOCB_CMD_FSYNC] = op_sync,
	[LINUX_IOCB_CMD_FDSYNC] = op_sync, [LINUX_IOCB_CMD_POLL] = op_poll,  [LINUX_IOCB_CMD_PREADV] = op_rw,
	[LINUX_IOCB_CMD_PWRITEV] = op_rw,
};

/* Files and fields of @r from the copy of its iocb. */
static long fill(struct task *t, struct aio_req *r, uint64_t uiocb, const struct linux_iocb *cb)
{
	const uint32_t key = 0;

	r->f = fdtable_file(t->fds, (int)cb->fd, false);
	if (!r->f)
		return -LINUX_EBADF;
	if (cb->flags & LINUX_IOCB_FLAG_RESFD) {
		r->resfd = fdtable_file(t->fds, (int)cb->resfd, false);
		if (!r->resfd)
			return -LINUX_EBADF;
		if (!file_is_eventfd(r->resfd))
			return -LINUX_EINVAL;
	}
	r->data = cb->data;
	r->obj = uiocb;
	return copyout_obj(t->u, GPTR(uiocb + offsetof(struct linux_iocb, key)), &key) < 0 ? -LINUX_EFAULT : 0;
}

static long submit_one(struct task *t, struct aio_ctx *c, uint64_t uiocb)
{
	struct linux_iocb cb;
	struct aio_req *r;
	long ret;

	if (copyin_obj(t->u, &cb, GPTR(uiocb)) < 0)
		return -LINUX_EFAULT;
	if (cb.reserved2 || (int64_t)cb.nbytes < 0)
		return -LINUX_EINVAL;
	ret = aio_req_new(c, &r);
	if (ret)
		return ret;
	ret = fill(t, r, uiocb, &cb);
	if (!ret)
		ret = cb.opcode < ARRAY_SIZE(ops) && ops[cb.opcode] ? ops[cb.opcode](t, r, &cb) : -LINUX_EINVAL;
	if (ret)
		aio_req_drop(r);
	return ret;
}

SYSCALL_DEFINE3(io_submit, uint64_t, id, int64_t, nr, struct gptr, uptrs)
{
	struct aio_ctx *c;
	uint64_t uiocb;
	long ret = 0;
	int64_t i;

	if (nr < 0)
		return -LINUX_EINVAL;
	c = aio_get(t, id);
	if (!c)
		return -LINUX_EINVAL;
	/* Bounded by the context's slots: events are not fetched meanwhile, or by another thread that works as much. */
	for (i = 0; i < nr; i++) {
		ret = copyin_obj(t->u, &uiocb, GPTR(uptrs.v + (uint64_t)i * sizeof(uiocb))) < 0 ? -LINUX_EFAULT
												 : submit_one(t, c, uiocb);
		if (ret)
			break;
	}
	aio_put(c);
	return i ? i : ret;
}

SYSCALL_DEFINE3(io_cancel, uint64_t, id, struct gptr, uiocb, struct gptr, result)
{
	struct aio_ctx *c;
	uint32_t key;
	long ret;

	if (copyin_obj(t->u, &key, GPTR(uiocb.v + offsetof(struct linux_iocb, key))) < 0)
		return -LINUX_EFAULT;
	if (key)
		return -LINUX_EINVAL;
	c = aio_get(t, id);
	if (!c)
		return -LINUX_EINVAL;
	ret = aio_cancel(c, uiocb.v);
	aio_put(c);
	return ret;
}

/* ---- events --------------------------------------------------------------------------------------------------- */

static long take_events(struct task *t, struct aio_ctx *c, int64_t max, uint64_t to)
{
	struct linux_io_event ev[16];
	int64_t got = 0;

	while (got < max) {
		unsigned n = aio_take(c, ev, (unsigned)MIN(max - got, (int64_t)ARRAY_SIZE(ev)));

		if (!n)
			break;
		if (copyout(t->u, GPTR(to + (uint64_t)got * sizeof(ev[0])), ev, n * sizeof(ev[0])) < 0)
			return got ? got : -LINUX_EFAULT;
		got += n;
	}
	return got;
}

static long get_events(struct task *t, uint64_t id, int64_t min, int64_t nr, uint64_t to, uint64_t deadline)
{
	struct aio_ctx *c = aio_get(t, id);
	int64_t got = 0;
	long ret;

	if (!c)
		return -LINUX_EINVAL;
	if (min < 0 || min > nr) {
		aio_put(c);
		return -LINUX_EINVAL;
	}
	for (;;) {
		ret = take_events(t, c, nr - got, to + (uint64_t)got * sizeof(struct linux_io_event));
		if (ret < 0)
			break;
		got += ret;
		ret = got >= min ? 0 : deadline ? aio_wait(c, deadline) : -LINUX_ETIMEDOUT;
		if (got >= min || ret)
			break;
	}
	aio_put(c);
	return got || ret == -LINUX_ETIMEDOUT ? got : ret;
}

SYSCALL_DEFINE5(io_getevents, uint64_t, id, int64_t, min, int64_t, nr, struct gptr, to, struct gptr, uts)
{
	uint64_t deadline;
	long ret = copyin_deadline(t, uts, &deadline);

	if (!ret)
		ret = get_events(t, id, min, nr, to.v, deadline);
	return ret == -ERESTARTSYS ? -LINUX_EINTR : ret;
}

SYSCALL_DEFINE6(io_pgetevents, uint64_t, id, int64_t, min, int64_t, nr, struct gptr, to, struct gptr, uts, struct gptr, usig)
{
	struct linux_aio_sigset ss = { 0, 0 };
	uint64_t deadline;
	long ret = copyin_deadline(t, uts, &deadline);

	if (ret)
		return ret;
	if (usig.v && copyin_obj(t->u, &ss, usig) < 0)
		return -LINUX_EFAULT;
	ret = sigmask_begin(t, GPTR(ss.mask), ss.size);
	if (ret)
		return ret;
	ret = get_events(t, id, min, nr, to.v, deadline);
	return sigmask_end(t, GPTR(ss.mask), ret == -ERESTARTSYS ? -ERESTARTNOHAND : ret);
}
