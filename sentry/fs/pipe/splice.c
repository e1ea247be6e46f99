/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/pipe/splice.c - moving bytes between files without the guest
 *
 * Model:   between a pipe and a file, the pipe's pages are the buffer: one copy. Between two other files, a heap buffer.
 * Source:  splice(2), sendfile(2), copy_file_range(2).
 */
#include "sentry/fs/pipe/splice.h"

#include "sentry/fs/pipe/pipe_internal.h"

#define COPY_CHUNK 65536

long splice_from_pipe(struct file *pipe, struct file *out, uint64_t *pos, size_t len, bool nonblock, uint64_t fsize_limit)
{
	long done = 0, ret;

	if (out->ops->splice_write)
		return out->ops->splice_write(out, pos, pipe, len);
	while (len) {
		const uint8_t *p;
		struct uio io;
		size_t n;

		ret = pipe_wait_data(pipe, nonblock || done);
		if (ret <= 0)
			return done ? done : ret;
		n = pipe_peek(pipe, &p, len);
		if (!n)
			continue;
		uio_init_kernel(&io, (void *)p, n);
		ret = vfs_write(out, &io, pos, 0, fsize_limit);
		pipe_consume(pipe, ret > 0 ? (size_t)ret : 0);
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
		len -= (size_t)ret;
		if ((size_t)ret < n)
			break;
	}
	return done;
}

long splice_to_pipe(struct file *in, uint64_t *pos, struct file *pipe, size_t len, bool nonblock)
{
	long done = 0, ret;

	if (in->ops->splice_read)
		return in->ops->splice_read(in, pos, pipe, len, nonblock);
	while (len) {
		struct uio io;
		uint8_t *p;
		size_t n = MIN(len, (size_t)PIPE_BUF_BYTES);

		ret = pipe_wait_room(pipe, nonblock || done);
		if (ret <= 0)
			return done ? done : ret;
		p = pipe_reserve(pipe);
		if (!p) {
			if (atomic_load(&pipe_of(pipe)->used) < pipe_of(pipe)->nr_slots && atomic_load(&pipe_of(pipe)->readers))
				return done ? done : -LINUX_ENOMEM;
			continue;
		}
		uio_init_kernel(&io, p, n);
		ret = vfs_read(in, &io, pos, 0);
		pipe_commit(pipe, ret > 0 ? (size_t)ret : 0);
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
		len -= (size_t)ret;
		if ((size_t)ret < n)
			break;
	}
	return done;
}

long splice_pipe_to_pipe(struct file *in, struct file *out, size_t len, bool nonblock)
{
	long ret;

	if (pipe_of(in) == pipe_of(out))
		return -LINUX_EINVAL;
	for (;;) {
		ret = pipe_wait_data(in, nonblock);
		if (ret <= 0)
			return ret;
		ret = pipe_wait_room(out, nonblock);
		if (ret <= 0)
			return ret;
		ret = pipe_tee(in, out, len);
		if (ret > 0)
			break;
	}
	/* What was shared is taken from the source: together that is a move. */
	for (size_t left = (size_t)ret; left;) {
		const uint8_t *p;
		size_t n = pipe_peek(in, &p, left);

		if (!n)
			break;
		pipe_consume(in, n);
		left -= n;
	}
	return ret;
}

long copy_between(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos, size_t len, uint64_t fsize_limit)
{
	uint8_t *buf = malloc(COPY_CHUNK);
	long done = 0, ret = 0;

	if (!buf)
		return -LINUX_ENOMEM;
	while (len) {
		struct uio io;
		size_t got;

		uio_init_kernel(&io, buf, MIN(len, (size_t)COPY_CHUNK));
		ret = vfs_read(in, &io, in_pos, 0);
		if (ret <= 0)
			break;
		got = (size_t)ret;
		uio_init_kernel(&io, buf, got);
		ret = vfs_write(out, &io, out_pos, 0, fsize_limit);
		if (ret < (long)got) {	/* what was read but not written is read again */
			uint64_t back = got - (size_t)MAX(ret, 0L);

			if (in_pos)
				*in_pos -= back;
			else if (!(in->fmode & FMODE_STREAM))
				in->pos -= back;
			if (ret > 0)
				done += ret;
			break;
		}
		done += ret;
		len -= got;
	}
	free(buf);
	return done ? done : ret;
}
