/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_attr.c - Tgetattr, Tsetattr, their extended forms, Tstatfs
 */
#include <errno.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/sysmacros.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_attr[] = {
	HOSTCALL(truncate, "Tsetattr of the size, by number in /proc/self/fd"),
	HOSTCALL(utimensat, "Tsetattr of times"),
	HOSTCALL(fstatfs, "Tstatfs"),
	{ 0 },
};

static struct p9_time time_of(int64_t sec, uint32_t nsec)
{
	return (struct p9_time){ (uint64_t)sec, nsec };
}

long op_getattr(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Tgetattr.fid);
	struct p9x_stat st;
	long ret;

	if (!f)
		return -EBADF;
	ret = node_stat(f->node->fd, &st);
	gfid_put(f);
	if (ret)
		return ret;
	k->rep->Rgetattr = (struct p9_Rgetattr){
		.valid = P9_GETATTR_BASIC |
			 (k->req->Tgetattr.request_mask & (st.mask & STATX_BTIME ? P9_GETATTR_BTIME : 0)),
		.qid = qid_of(&st),
		.mode = st.mode,
		.uid = st.uid,
		.gid = st.gid,
		.nlink = st.nlink,
		.rdev = makedev(st.rdev_major, st.rdev_minor),
		.size = st.size,
		.blksize = st.blksize,
		.blocks = st.blocks,
		.atime = time_of(st.atime.sec, st.atime.nsec),
		.mtime = time_of(st.mtime.sec, st.mtime.nsec),
		.ctime = time_of(st.ctime.sec, st.ctime.nsec),
		.btime = time_of(st.btime.sec, st.btime.nsec),
	};
	return 0;
}

/* The mask is a hint; statx(2) answers the basic fields at no extra cost. */
long op_xgetattr(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Txgetattr.fid);
	long ret;

	if (!f)
		return -EBADF;
	ret = node_stat(f->node->fd, &k->rep->Rxgetattr.stat);
	gfid_put(f);
	return ret;
}

static long set_time(struct timespec *ts, uint32_t valid, uint32_t bit, uint32_t set_bit, struct p9_time t)
{
	if (!(valid & bit)) {
		ts->tv_nsec = UTIME_OMIT;
	} else if (!(valid & set_bit)) {
		ts->tv_nsec = UTIME_NOW;
	} else {
		if (t.nsec >= NSEC_PER_SEC)
			return -EINVAL;
		ts->tv_sec = (time_t)t.sec;
		ts->tv_nsec = (long)t.nsec;
	}
	return 0;
}

static long set_times(struct gnode *n, const struct p9_Txsetattr *m)
{
	struct timespec ts[2] = { { 0 }, { 0 } };
	long ret = set_time(&ts[0], m->valid, P9_SETATTR_ATIME, P9_SETATTR_ATIME_SET, m->atime);

	if (!ret)
		ret = set_time(&ts[1], m->valid, P9_SETATTR_MTIME, P9_SETATTR_MTIME_SET, m->mtime);
	if (ret)
		return ret;
	return utimensat(n->fd, "", ts, AT_EMPTY_PATH) ? -errno : 0;
}

/* Owner first: its change clears set-id bits that a mode in the same request may want to set. */
static long node_setattr(struct gnode *n, const struct p9_Txsetattr *m)
{
	struct fdpath self = fdpath(n->fd);
	long ret = 0;

	if (m->valid & ~P9_SETATTR_KNOWN)
		return -EINVAL;
	if (n->ro)
		return -EROFS;
	if (m->valid & (P9_SETATTR_UID | P9_SETATTR_GID)) {
		uid_t uid = m->valid & P9_SETATTR_UID ? m->uid : (uid_t)-1;
		gid_t gid = m->valid & P9_SETATTR_GID ? m->gid : (gid_t)-1;

		if (fchownat(n->fd, "", uid, gid, AT_EMPTY_PATH))
			return -errno;
	}
	if (m->valid & P9_SETATTR_MODE) {
		if (S_ISLNK(n->type))
			return -EOPNOTSUPP;
		if (fchmodat(AT_FDCWD, self.s, m->mode & 07777, 0))
			return -errno;
	}
	if (m->valid & P9_SETATTR_SIZE) {
		if (!S_ISREG(n->type))
			return S_ISDIR(n->type) ? -EISDIR : -EINVAL;
		if (m->size > INT64_MAX || truncate(self.s, (off_t)m->size))
			return m->size > INT64_MAX ? -EINVAL : -errno;
	}
	if (m->valid & (P9_SETATTR_ATIME | P9_SETATTR_MTIME))
		ret = set_times(n, m);
	return ret;
}

long op_xsetattr(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Txsetattr.fid);
	long ret;

	if (!f)
		return -EBADF;
	ret = node_setattr(f->node, &k->req->Txsetattr);
	if (!ret)
		ret = node_stat(f->node->fd, &k->rep->Rxsetattr.stat);
	gfid_put(f);
	return ret;
}

long op_setattr(struct gcall *k)
{
	const struct p9_Tsetattr *m = &k->req->Tsetattr;
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	struct p9_Txsetattr x = { .valid = m->valid, .mode = m->mode, .uid = m->uid, .gid = m->gid,
				  .size = m->size, .atime = m->atime, .mtime = m->mtime };
	long ret;

	if (!f)
		return -EBADF;
	ret = node_setattr(f->node, &x);
	gfid_put(f);
	return ret;
}

long op_statfs(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Tstatfs.fid);
	struct statfs s;
	long ret = 0;

	if (!f)
		return -EBADF;
	if (fstatfs(f->node->fd, &s))
		ret = -errno;
	gfid_put(f);
	if (ret)
		return ret;
	k->rep->Rstatfs = (struct p9_Rstatfs){
		.type = (uint32_t)s.f_type,
		.bsize = (uint32_t)s.f_bsize,
		.blocks = s.f_blocks,
		.bfree = s.f_bfree,
		.bavail = s.f_bavail,
		.files = s.f_files,
		.ffree = s.f_ffree,
		.fsid = (uint32_t)s.f_fsid.__val[0] | (uint64_t)(uint32_t)s.f_fsid.__val[1] << 32,
		.namelen = (uint32_t)s.f_namelen,
	};
	return 0;
}
