/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_open.c - Tlopen, Tlcreate, and Txopen, Txcreate: with a descriptor or the content
 *
 * Model:   a descriptor for I/O is made from the object that the fid holds, never from a name. What
 *          is donated has the access mode that was asked for, which a read-only mount refuses to raise.
 */
#include <errno.h>
#include <string.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

#define CREATE_TRIES 4 /* somebody else may create and delete the same name in a loop */

const struct gofer_hostcall gofer_calls_open[] = {
	HOSTCALL(pread64, "inline content, Tread"),
	HOSTCALL_EQ(fcntl, 1, F_DUPFD_CLOEXEC, "a second descriptor to donate"),
	{ 0 },
};

static uint32_t iounit(const struct gofer_conn *c)
{
	return atomic_load(&c->msize) - P9_IOHDR_LEN;
}

/* Moves @fd into an unopened fid; closes it on failure. */
static long fid_set_open(struct gfid *f, int fd, uint32_t flags)
{
	long ret = 0;

	pthread_mutex_lock(&f->mu);
	if (atomic_load(&f->iofd) >= 0) {
		ret = -EBUSY;
	} else {
		f->open_flags = flags;
		f->dir_off = 0;
		atomic_store(&f->iofd, fd);
	}
	pthread_mutex_unlock(&f->mu);
	if (ret)
		close(fd);
	return ret;
}

/**
 * create_file() - make a regular file, or open the one that is there
 * @name:	NULL: an unnamed one (O_TMPFILE)
 * @out_fd:	open for I/O as @flags say
 * @out:	the object, one reference
 */
static long create_file(struct gcall *k, struct gnode *dir, const char *name, uint32_t flags, mode_t mode,
			uint32_t uid, uint32_t gid, int *out_fd, struct gnode **out)
{
	int host, fd = -1, pathfd;
	long ret = node_may_change(dir);

	if (!ret)
		ret = host_open_flags(flags, &host);
	if (ret)
		return ret;
	host &= ~(O_TRUNC | O_NONBLOCK); /* it is new: nothing to cut off, nobody to wait for */
	for (int i = 0; fd < 0; i++) {
		fd = openat(dir->fd, name ? name : ".",
			    name ? host | O_CREAT | O_EXCL | O_NOFOLLOW : host | O_TMPFILE, mode & 07777);
		if (fd >= 0)
			break;
		if (errno != EEXIST || (flags & P9_O_EXCL) || i == CREATE_TRIES)
			return -errno;
		ret = node_child(dir, name, out);
		if (ret == -ENOENT)
			continue;
		if (ret)
			return ret;
		ret = node_open(k->conn->srv, *out, flags & ~P9_O_CREATE, out_fd);
		if (ret)
			gnode_put(*out);
		return ret;
	}
	ret = node_set_owner_mode(fd, S_IFREG, uid, gid, mode);
	if (ret)
		goto out_close;
	/* An unnamed file is held by a real descriptor; the other kind must not keep a writer alive. */
	pathfd = name ? openat(AT_FDCWD, fdpath(fd).s, O_PATH | O_CLOEXEC) :
			fcntl(fd, F_DUPFD_CLOEXEC, 0);
	if (pathfd < 0) {
		ret = -errno;
		goto out_close;
	}
	*out = gnode_new(pathfd, S_IFREG, dir->ro);
	ret = *out ? 0 : -ENOMEM;
	if (!ret)
		*out_fd = fd;
out_close:
	if (ret)
		close(fd);
	return ret;
}

long op_lopen(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Tlopen.fid);
	uint32_t flags = k->req->Tlopen.flags & ~(P9_O_CREATE | P9_O_EXCL);
	struct p9x_stat st;
	long ret;
	int fd;

	if (!f)
		return -EBADF;
	ret = node_open(k->conn->srv, f->node, flags, &fd);
	if (!ret)
		ret = fid_set_open(f, fd, flags);
	if (!ret)
		ret = node_stat(f->node->fd, &st);
	if (!ret) {
		k->rep->Rlopen.qid = qid_of(&st);
		k->rep->Rlopen.iounit = iounit(k->conn);
	}
	gfid_put(f);
	return ret;
}

/* The directory's fid becomes the file's. */
long op_lcreate(struct gcall *k)
{
	const struct p9_Tlcreate *m = &k->req->Tlcreate;
	struct gfid *dir = gfid_get_node(k->conn, m->fid), *f;
	struct gnode *node;
	struct p9x_stat st;
	struct gname name;
	long ret;
	int fd;

	if (!dir)
		return -EBADF;
	ret = atomic_load(&dir->iofd) >= 0 ? -EBUSY : gname_take(m->name, &name);
	if (ret)
		goto out;
	ret = create_file(k, dir->node, name.s, m->flags & ~P9_O_NOFOLLOW, (mode_t)m->mode, dir->uname, m->gid,
			  &fd, &node);
	if (ret)
		goto out;
	f = gfid_new(m->fid, GFID_NODE, node, dir->node, m->name, dir->uname);
	ret = node_stat(node->fd, &st);
	gnode_put(node);
	if (!f || ret) {
		close(fd);
		gfid_put(f);
		ret = f ? ret : -ENOMEM;
		goto out;
	}
	f->open_flags = m->flags;
	atomic_store(&f->iofd, fd);
	ret = gfid_install(k->conn, f, dir);
	if (!ret) {
		k->rep->Rlcreate.qid = qid_of(&st);
		k->rep->Rlcreate.iounit = iounit(k->conn);
	}
out:
	gfid_put(dir);
	return ret;
}

/* Reads all of a small file into the reply; false: it is not one that fits. */
static bool read_inline(struct gcall *k, int fd, uint64_t size, uint32_t max, struct p9_data *out)
{
	uint32_t have = 0;

	if (size > max || max > P9X_INLINE_MAX || max >= k->data_cap)
		return false;
	for (;;) { /* one byte more than max: a file that grew meanwhile is seen */
		ssize_t n = pread(fd, k->data + have, max + 1 - have, have);

		if (n < 0 || have + (size_t)n > max)
			return false;
		if (n == 0)
			break;
		have += (uint32_t)n;
	}
	*out = (struct p9_data){ k->data, have };
	return true;
}

/* Splits one descriptor between the new fid and the reply as @got says. Consumes @fd. */
static long share_fd(struct gcall *k, struct gfid *newf, int fd, uint32_t flags, uint32_t got)
{
	if ((got & P9X_FD) && (got & P9X_FID)) {
		k->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (k->fd < 0) {
			long ret = -errno;

			close(fd);
			return ret;
		}
	} else if (got & P9X_FD) {
		k->fd = fd;
		return 0;
	} else if (!(got & P9X_FID)) {
		close(fd);
		return 0;
	}
	return fid_set_open(newf, fd, flags);
}

/* The new fid of an object that @names led to from @f; none: a second one of the same. */
static struct gfid *opened_fid(uint32_t id, struct gfid *f, struct gnode *node, struct gnode *parent,
			       const struct gname *last)
{
	struct gfid *newf;

	if (parent)
		return gfid_new(id, GFID_NODE, node, parent, p9_str(last->s), f->uname);
	pthread_mutex_lock(&f->mu);
	newf = gfid_new(id, GFID_NODE, node, f->parent, p9_str(f->name), f->uname);
	pthread_mutex_unlock(&f->mu);
	return newf;
}

/* @got: what was wanted of P9X_FID and P9X_FD; becomes what is had. */
static long xopen_node(struct gcall *k, struct gnode *node, int fd, uint32_t *got)
{
	const struct p9_Txopen *m = &k->req->Txopen;
	struct p9_Rxopen *r = &k->rep->Rxopen;
	long ret = node_stat(fd, &r->stat);

	if (ret)
		return ret;
	if (S_ISDIR(node->type))
		*got &= ~P9X_FD; /* a directory descriptor would be a way around us */
	if ((m->want & P9X_INLINE) && S_ISREG(node->type) && (m->flags & P9_O_ACCMODE) == 0 &&
	    read_inline(k, fd, r->stat.size, m->inline_max, &r->data))
		*got = (*got & ~P9X_FD) | P9X_INLINE;
	return 0;
}

long op_xopen(struct gcall *k)
{
	const struct p9_Txopen *m = &k->req->Txopen;
	struct gfid *f = gfid_get_node(k->conn, m->fid), *newf = NULL;
	struct p9_Rxopen *r = &k->rep->Rxopen;
	uint32_t got = m->want & (P9X_FID | P9X_FD);
	struct gnode *node, *parent;
	struct gname last;
	long ret;
	int fd;

	if (!f)
		return -EBADF;
	*r = (struct p9_Rxopen){ .iounit = iounit(k->conn) };
	ret = -EINVAL;
	if ((m->want & ~P9X_WANT_KNOWN) || !m->want || (m->flags & (P9_O_CREATE | P9_O_EXCL)))
		goto out;
	ret = node_walk(f->node, &m->names, &node, &parent, &last);
	if (ret)
		goto out;
	ret = node_open(k->conn->srv, node, m->flags, &fd);
	if (ret)
		goto out_node;
	ret = xopen_node(k, node, fd, &got);
	if (!ret && (got & P9X_FID)) {
		newf = opened_fid(m->newfid, f, node, parent, &last);
		ret = newf ? 0 : -ENOMEM;
	}
	if (ret)
		close(fd);
	else
		ret = share_fd(k, newf, fd, m->flags, got);
	if (ret)
		gfid_put(newf);
	else if (newf)
		ret = gfid_install(k->conn, newf, NULL);
	r->got = got;
out_node:
	gnode_put(node);
	gnode_put(parent);
out:
	gfid_put(f);
	return ret;
}

long op_xcreate(struct gcall *k)
{
	const struct p9_Txcreate *m = &k->req->Txcreate;
	struct gfid *dir = gfid_get_node(k->conn, m->dfid), *f;
	bool tmp = m->xflags & P9X_TMPFILE;
	struct gnode *node;
	struct gname name;
	long ret;
	int fd;

	if (!dir)
		return -EBADF;
	ret = -EINVAL;
	if ((m->want & ~(P9X_FID | P9X_FD)) || (m->xflags & ~P9X_TMPFILE) ||
	    (tmp && (m->name.len || !(m->flags & P9_O_ACCMODE))))
		goto out;
	ret = tmp ? 0 : gname_take(m->name, &name);
	if (!ret)
		ret = create_file(k, dir->node, tmp ? NULL : name.s, m->flags, (mode_t)m->mode, m->uid, m->gid,
				  &fd, &node);
	if (ret)
		goto out;
	f = gfid_new(m->newfid, GFID_NODE, node, tmp ? NULL : dir->node, m->name, dir->uname);
	ret = f ? node_stat(node->fd, &k->rep->Rxcreate.stat) : -ENOMEM;
	/* an open of what was there may have found something else than a regular file */
	k->rep->Rxcreate.got = S_ISDIR(node->type) ? m->want & P9X_FID : m->want;
	k->rep->Rxcreate.iounit = iounit(k->conn);
	gnode_put(node);
	if (ret)
		close(fd);
	else
		ret = share_fd(k, f, fd, m->flags, k->rep->Rxcreate.got);
	if (ret)
		gfid_put(f);
	else
		ret = gfid_install(k->conn, f, NULL);
out:
	gfid_put(dir);
	return ret;
}
