/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_io.c - Tread, Twrite, Tfsync, Txallocate, Tlock, Tgetlock
 *
 * Model:   positions come with each request (pread, pwrite), so threads share a fid without a lock.
 *          Locks are open file description locks, which belong to the fid as 9P wants.
 */
#include <errno.h>
#include <string.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_io[] = {
	HOSTCALL(pwrite64, "Twrite"),
	HOSTCALL(read, "Tread of a fifo, the init channel"),
	HOSTCALL(write, "Twrite to a fifo, log lines"),
	HOSTCALL(fsync, "Tfsync"),
	HOSTCALL(fdatasync, "Tfsync with datasync"),
	HOSTCALL(fallocate, "Txallocate"),
	HOSTCALL_EQ(fcntl, 1, F_OFD_SETLK, "Tlock"),
	HOSTCALL_EQ(fcntl, 1, F_OFD_GETLK, "Tgetlock"),
	{ 0 },
};

/* Data of an attribute that is being read or written through its fid. */
static long xattr_read(struct gfid *f, uint64_t off, uint32_t count, struct gcall *k)
{
	uint32_t left = off < f->xattr.len ? f->xattr.len - (uint32_t)off : 0;
	uint32_t n = MIN(count, left);

	if (n)
		memcpy(k->data, f->xattr.data + off, n);
	k->rep->Rread.data = (struct p9_data){ k->data, n };
	return 0;
}

static long xattr_write(struct gfid *f, uint64_t off, struct p9_data d)
{
	long ret = 0;

	pthread_mutex_lock(&f->mu);
	if (off != f->xattr.filled || d.len > f->xattr.len - f->xattr.filled)
		ret = -EINVAL;
	else if (d.len)
		memcpy(f->xattr.data + f->xattr.filled, d.p, d.len);
	if (!ret)
		f->xattr.filled += d.len;
	pthread_mutex_unlock(&f->mu);
	return ret;
}

long op_read(struct gcall *k)
{
	const struct p9_Tread *m = &k->req->Tread;
	struct gfid *f = gfid_get(k->conn, m->fid);
	long ret = 0;
	ssize_t n;
	int fd;

	if (!f)
		return -EBADF;
	fd = atomic_load(&f->iofd);
	if (m->count > k->data_cap || m->offset > INT64_MAX) {
		ret = -EINVAL;
	} else if (f->kind == GFID_XATTR_READ) {
		ret = xattr_read(f, m->offset, m->count, k);
	} else if (fd < 0) {
		ret = -EBADF;
	} else {
		n = S_ISFIFO(f->node->type) ? read(fd, k->data, m->count) :
					      pread(fd, k->data, m->count, (off_t)m->offset);
		if (n < 0)
			ret = -errno;
		else
			k->rep->Rread.data = (struct p9_data){ k->data, (uint32_t)n };
	}
	gfid_put(f);
	return ret;
}

long op_write(struct gcall *k)
{
	const struct p9_Twrite *m = &k->req->Twrite;
	struct gfid *f = gfid_get(k->conn, m->fid);
	long ret = 0;
	ssize_t n;
	int fd;

	if (!f)
		return -EBADF;
	fd = atomic_load(&f->iofd);
	if (m->offset > INT64_MAX) {
		ret = -EINVAL;
	} else if (f->kind == GFID_XATTR_WRITE) {
		ret = xattr_write(f, m->offset, m->data);
		k->rep->Rwrite.count = m->data.len;
	} else if (fd < 0) {
		ret = -EBADF;
	} else {
		n = S_ISFIFO(f->node->type) ? write(fd, m->data.p, m->data.len) :
					      pwrite(fd, m->data.p, m->data.len, (off_t)m->offset);
		if (n < 0)
			ret = -errno;
		else
			k->rep->Rwrite.count = (uint32_t)n;
	}
	gfid_put(f);
	return ret;
}

/* The I/O descriptor of an open fid; @out_f is a reference that keeps it open. */
static long get_open(struct gcall *k, uint32_t id, struct gfid **out_f)
{
	struct gfid *f = gfid_get_node(k->conn, id);

	if (!f)
		return -EBADF;
	if (atomic_load(&f->iofd) < 0) {
		gfid_put(f);
		return -EBADF;
	}
	*out_f = f;
	return 0;
}

/* A client may sync a fid that it only holds descriptors of: then sync through a short-lived one. */
long op_fsync(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Tfsync.fid);
	int fd, tmp = -1;
	long ret = 0;

	if (!f)
		return -EBADF;
	fd = atomic_load(&f->iofd);
	if (fd < 0) {
		ret = node_open(k->conn->srv, f->node, 0, &tmp);
		fd = tmp;
	}
	if (!ret && (k->req->Tfsync.datasync ? fdatasync(fd) : fsync(fd)))
		ret = -errno;
	if (tmp >= 0)
		close(tmp);
	gfid_put(f);
	return ret;
}

long op_xallocate(struct gcall *k)
{
	const struct p9_Txallocate *m = &k->req->Txallocate;
	struct gfid *f;
	long ret;

	if (m->offset > INT64_MAX || m->length > INT64_MAX)
		return -EINVAL;
	ret = get_open(k, m->fid, &f);
	if (ret)
		return ret;
	if (fallocate(f->iofd, (int)m->mode, (off_t)m->offset, (off_t)m->length))
		ret = -errno;
	gfid_put(f);
	return ret;
}

static long flock_of(uint8_t type, uint64_t start, uint64_t length, struct flock *out)
{
	static const short types[] = {
		[P9_LOCK_RDLCK] = F_RDLCK,
		[P9_LOCK_WRLCK] = F_WRLCK,
		[P9_LOCK_UNLCK] = F_UNLCK,
	};

	if (type >= ARRAY_SIZE(types) || start > INT64_MAX || length > INT64_MAX - start)
		return -EINVAL;
	*out = (struct flock){ .l_type = types[type], .l_whence = SEEK_SET, .l_start = (off_t)start,
			       .l_len = (off_t)length };
	return 0;
}

/* Never waits: a blocked client asks again, as v9fs does. */
long op_lock(struct gcall *k)
{
	const struct p9_Tlock *m = &k->req->Tlock;
	struct flock fl;
	struct gfid *f;
	long ret = flock_of(m->type, m->start, m->length, &fl);

	if (!ret)
		ret = get_open(k, m->fid, &f);
	if (ret)
		return ret;
	k->rep->Rlock.status = P9_LOCK_SUCCESS;
	if (fcntl(f->iofd, F_OFD_SETLK, &fl)) {
		if (errno == EAGAIN || errno == EACCES)
			k->rep->Rlock.status = P9_LOCK_BLOCKED;
		else
			ret = -errno;
	}
	gfid_put(f);
	return ret;
}

long op_getlock(struct gcall *k)
{
	const struct p9_Tgetlock *m = &k->req->Tgetlock;
	struct p9_Rgetlock *r = &k->rep->Rgetlock;
	struct flock fl;
	struct gfid *f;
	long ret = flock_of(m->type, m->start, m->length, &fl);

	if (!ret)
		ret = get_open(k, m->fid, &f);
	if (ret)
		return ret;
	if (fcntl(f->iofd, F_OFD_GETLK, &fl)) {
		ret = -errno;
	} else {
		*r = (struct p9_Rgetlock){
			.type = fl.l_type == F_UNLCK ? P9_LOCK_UNLCK :
				fl.l_type == F_RDLCK ? P9_LOCK_RDLCK : P9_LOCK_WRLCK,
			.start = fl.l_type == F_UNLCK ? m->start : (uint64_t)fl.l_start,
			.length = fl.l_type == F_UNLCK ? m->length : (uint64_t)fl.l_len,
			.proc_id = fl.l_type == F_UNLCK || fl.l_pid < 0 ? m->proc_id : (uint32_t)fl.l_pid,
			.client_id = m->client_id,
		};
	}
	gfid_put(f);
	return ret;
}
