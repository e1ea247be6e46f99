/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fs_splice.c - splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2)
 */
#include "sentry/fs/pipe/pipe.h"
#include "sentry/fs/pipe/splice.h"
#include "sentry/syscalls/sys_fs.h"

#define SPLICE_FLAGS (LINUX_SPLICE_F_MOVE | LINUX_SPLICE_F_NONBLOCK | LINUX_SPLICE_F_MORE | LINUX_SPLICE_F_GIFT)

/* Two descriptors for the length of a call. */
struct two_files {
	struct file *in, *out;
	bool put_in, put_out;
};

static long get_two(struct task *t, int in, int out, struct two_files *f)
{
	f->in = fdget(t->fds, in, &f->put_in);
	if (!f->in)
		return -LINUX_EBADF;
	f->out = fdget(t->fds, out, &f->put_out);
	if (!f->out || !(f->in->fmode & FMODE_READ) || !(f->out->fmode & FMODE_WRITE)) {
		if (f->out)
			fdput(f->out, f->put_out);
		fdput(f->in, f->put_in);
		return -LINUX_EBADF;
	}
	return 0;
}

static void put_two(struct two_files *f)
{
	fdput(f->out, f->put_out);
	fdput(f->in, f->put_in);
}

/* An optional position argument of a file that has one. */
static long pos_in(struct task *t, struct file *f, struct gptr upos, uint64_t *pos, bool *given)
{
	int64_t v;

	*given = upos.v != 0;
	if (!*given)
		return 0;
	if (f->fmode & FMODE_STREAM)
		return -LINUX_ESPIPE;
	if (copyin_obj(t->u, &v, upos))
		return -LINUX_EFAULT;
	*pos = (uint64_t)v;
	return v < 0 ? -LINUX_EINVAL : 0;
}

static long do_splice(struct task *t, struct two_files *f, struct gptr uin, struct gptr uout, size_t len, uint32_t flags)
{
	uint64_t ip = 0, op = 0, limit = task_rlimit(t, LINUX_RLIMIT_FSIZE);
	bool nonblock, have_in, have_out, pin = file_is_pipe(f->in), pout = file_is_pipe(f->out);
	long ret;

	if ((!pin && !pout) || LINUX_S_ISDIR(f->in->inode->mode))
		return -LINUX_EINVAL;
	if (f->out->flags & LINUX_O_APPEND && !pout)
		return -LINUX_EINVAL;
	/* Eventfds and the like cannot be spliced, which is said before a wait for one side or the other. */
	if ((!pout && !(f->out->inode->mode & LINUX_S_IFMT)) || (!pin && !(f->in->inode->mode & LINUX_S_IFMT)))
		return -LINUX_EINVAL;
	ret = pos_in(t, f->in, uin, &ip, &have_in);
	if (!ret)
		ret = pos_in(t, f->out, uout, &op, &have_out);
	if (ret)
		return ret;
	len = MIN(len, (size_t)UIO_MAX_BYTES);
	nonblock = flags & LINUX_SPLICE_F_NONBLOCK || (pin && f->in->flags & LINUX_O_NONBLOCK) || (pout && f->out->flags & LINUX_O_NONBLOCK);
	if (pin && pout)
		return splice_pipe_to_pipe(f->in, f->out, len, nonblock);
	if (pin) {
		ret = splice_from_pipe(f->in, f->out, have_out ? &op : NULL, len, nonblock, limit);
		if (ret > 0 && have_out && copyout_obj(t->u, uout, &op))
			ret = -LINUX_EFAULT;
		return ret;
	}
	ret = splice_to_pipe(f->in, have_in ? &ip : NULL, f->out, len, nonblock);
	if (ret > 0 && have_in && copyout_obj(t->u, uin, &ip))
		ret = -LINUX_EFAULT;
	return ret;
}

SYSCALL_DEFINE6(splice, int, in, struct gptr, uin, int, out, struct gptr, uout, uint64_t, len, uint32_t, flags)
{
	struct two_files f;
	long ret;

	if (flags & ~SPLICE_FLAGS)
		return -LINUX_EINVAL;
	if (!len)
		return 0;
	ret = get_two(t, in, out, &f);
	if (ret)
		return ret;
	ret = do_splice(t, &f, uin, uout, len, flags);
	if (ret < 0)
		write_signals(t, f.out, ret);
	put_two(&f);
	return ret;
}

SYSCALL_DEFINE4(tee, int, in, int, out, uint64_t, len, uint32_t, flags)
{
	struct two_files f;
	bool nonblock;
	long ret;

	if (flags & ~SPLICE_FLAGS)
		return -LINUX_EINVAL;
	if (!len)
		return 0;
	ret = get_two(t, in, out, &f);
	if (ret)
		return ret;
	nonblock = flags & LINUX_SPLICE_F_NONBLOCK || (f.in->flags | f.out->flags) & LINUX_O_NONBLOCK;
	ret = -LINUX_EINVAL;
	if (file_is_pipe(f.in) && file_is_pipe(f.out) && f.in->priv != f.out->priv) {
		do {
			ret = pipe_wait_data(f.in, nonblock);
			if (ret > 0)
				ret = pipe_wait_room(f.out, nonblock);
			if (ret > 0)
				ret = pipe_tee(f.in, f.out, len);
			else
				break;
		} while (ret == 0);
	}
	write_signals(t, f.out, ret);
	put_two(&f);
	return ret;
}

SYSCALL_DEFINE4(vmsplice, int, fd, struct gptr, iov, uint64_t, nr, uint32_t, flags)
{
	bool put;
	struct file *f;
	struct uio io;
	long ret;

	if (flags & ~SPLICE_FLAGS)
		return -LINUX_EINVAL;
	f = fdget(t->fds, fd, &put);
	if (!f)
		return -LINUX_EBADF;
	ret = file_is_pipe(f) ? uio_init_iov(&io, t->u, iov, nr) : -LINUX_EBADF;
	if (!ret) {
		bool out = f->fmode & FMODE_WRITE, nonblock = flags & LINUX_SPLICE_F_NONBLOCK || f->flags & LINUX_O_NONBLOCK;

		/* Pages of a guest cannot be shared with a pipe of ours: they are copied. It waits for room or data once, and
		 * then moves what can be moved. */
		ret = out ? pipe_wait_room(f, nonblock) : pipe_wait_data(f, nonblock);
		if (ret > 0)
			ret = out ? vfs_write(f, &io, NULL, LINUX_RWF_NOWAIT, UINT64_MAX) : vfs_read(f, &io, NULL, LINUX_RWF_NOWAIT);
		if (ret < 0)
			write_signals(t, f, ret);
		uio_fini(&io);
	}
	fdput(f, put);
	return ret;
}

static long do_sendfile(struct task *t, struct two_files *f, struct gptr upos, size_t len)
{
	uint64_t pos = 0, limit = task_rlimit(t, LINUX_RLIMIT_FSIZE);
	bool have;
	long ret = pos_in(t, f->in, upos, &pos, &have);

	if (ret)
		return ret;
	if (f->out->flags & LINUX_O_APPEND && LINUX_S_ISREG(f->out->inode->mode))
		return -LINUX_EINVAL;
	len = MIN(len, (size_t)UIO_MAX_BYTES);
	if (file_is_pipe(f->out) && !file_is_pipe(f->in))
		ret = splice_to_pipe(f->in, have ? &pos : NULL, f->out, len, f->out->flags & LINUX_O_NONBLOCK);
	else if (file_is_pipe(f->in) || !LINUX_S_ISREG(f->in->inode->mode))
		ret = f->in->fmode & FMODE_STREAM ? -LINUX_EINVAL : copy_between(f->in, have ? &pos : NULL, f->out, NULL, len, limit);
	else
		ret = copy_between(f->in, have ? &pos : NULL, f->out, NULL, len, limit);
	if (ret >= 0 && have && copyout_obj(t->u, upos, &pos))
		ret = -LINUX_EFAULT;
	return ret;
}

SYSCALL_DEFINE4(sendfile, int, out, int, in, struct gptr, upos, uint64_t, len)
{
	struct two_files f;
	long ret = get_two(t, in, out, &f);

	if (ret)
		return ret;
	ret = do_sendfile(t, &f, upos, len);
	if (ret < 0)
		write_signals(t, f.out, ret);
	put_two(&f);
	return ret;
}

static long do_copy_range(struct task *t, struct two_files *f, struct gptr uin, struct gptr uout, uint64_t len)
{
	uint64_t ip = f->in->pos, op = f->out->pos, size;
	bool have_in, have_out;
	long ret;

	if (LINUX_S_ISDIR(f->in->inode->mode) || LINUX_S_ISDIR(f->out->inode->mode))
		return -LINUX_EISDIR;
	if (!LINUX_S_ISREG(f->in->inode->mode) || !LINUX_S_ISREG(f->out->inode->mode))
		return -LINUX_EINVAL;
	if (f->out->flags & LINUX_O_APPEND)
		return -LINUX_EBADF;
	ret = pos_in(t, f->in, uin, &ip, &have_in);
	if (!ret)
		ret = pos_in(t, f->out, uout, &op, &have_out);
	if (ret)
		return ret;
	if (ip + len < ip || op + len < op)
		return -LINUX_EOVERFLOW;
	size = f->in->inode->size;
	len = MIN(len, size > ip ? size - ip : 0);
	if (f->in->inode == f->out->inode && ip < op + len && op < ip + len)
		return -LINUX_EINVAL;
	ret = len ? copy_between(f->in, &ip, f->out, &op, MIN(len, (uint64_t)UIO_MAX_BYTES), task_rlimit(t, LINUX_RLIMIT_FSIZE)) : 0;
	if (ret <= 0)
		return ret;
	if (!have_in)
		f->in->pos = ip;
	else if (copyout_obj(t->u, uin, &ip))
		return -LINUX_EFAULT;
	if (!have_out)
		f->out->pos = op;
	else if (copyout_obj(t->u, uout, &op))
		return -LINUX_EFAULT;
	return ret;
}

SYSCALL_DEFINE6(copy_file_range, int, in, struct gptr, uin, int, out, struct gptr, uout, uint64_t, len, uint32_t, flags)
{
	struct two_files f;
	long ret;

	if (flags)
		return -LINUX_EINVAL;
	ret = get_two(t, in, out, &f);
	if (ret)
		return ret;
	ret = do_copy_range(t, &f, uin, uout, len);
	if (ret < 0)
		write_signals(t, f.out, ret);
	put_two(&f);
	return ret;
}
