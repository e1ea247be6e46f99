/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_name.c - names made: Tmkdir, Tmknod, Tsymlink, Txmake, Tlink; Treadlink
 *
 * Model:   one function makes whatever the type in the mode says; the stock messages and Txmake differ in
 *          how the owner is told and how the answer looks.
 * Differs: devices are not made (-EPERM), but for 0:0, which marks a deleted name in an overlay.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_name[] = {
	HOSTCALL(mkdirat, "Tmkdir"),
	HOSTCALL(mknodat, "Tmknod of files, fifos, sockets, whiteouts"),
	HOSTCALL(symlinkat, "Tsymlink"),
	HOSTCALL(linkat, "Tlink, by number in /proc/self/fd"),
	{ 0 },
};

struct make {
	struct gname name;
	mode_t mode; /* with the type */
	uint32_t uid, gid, major, minor;
	struct p9_str target;
};

static long make_entry(int dirfd, const struct make *m)
{
	char target[P9_PATH_MAX];
	const char *name = m->name.s;
	mode_t perm = m->mode & 07777;
	int ret;

	switch (m->mode & S_IFMT) {
	case S_IFDIR:
		ret = mkdirat(dirfd, name, perm);
		break;
	case S_IFLNK:
		if (!m->target.len || memchr(m->target.p, '\0', m->target.len))
			return -EINVAL;
		if (m->target.len >= sizeof(target))
			return -ENAMETOOLONG;
		memcpy(target, m->target.p, m->target.len);
		target[m->target.len] = '\0';
		ret = symlinkat(target, dirfd, name);
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		ret = mknodat(dirfd, name, m->mode, 0);
		break;
	case S_IFCHR:
		if (m->major || m->minor)
			return -EPERM;
		ret = mknodat(dirfd, name, m->mode, 0);
		break;
	default:
		return -EPERM;
	}
	return ret ? -errno : 0;
}

static long make(struct gcall *k, uint32_t dfid, struct p9_str name, struct make *m, struct p9x_stat *out)
{
	struct gfid *dir = gfid_get_node(k->conn, dfid);
	struct gnode *node;
	long ret;

	if (!dir)
		return -EBADF;
	if (m->uid == P9_NONUNAME)
		m->uid = dir->uname;
	ret = node_may_change(dir->node);
	if (!ret)
		ret = gname_take(name, &m->name);
	if (!ret)
		ret = make_entry(dir->node->fd, m);
	if (!ret)
		ret = node_child(dir->node, m->name.s, &node);
	gfid_put(dir);
	if (ret)
		return ret;
	ret = node_set_owner_mode(node->fd, m->mode & S_IFMT, m->uid, m->gid, m->mode);
	if (!ret)
		ret = node_stat(node->fd, out);
	gnode_put(node);
	return ret;
}

long op_mkdir(struct gcall *k)
{
	const struct p9_Tmkdir *m = &k->req->Tmkdir;
	struct make mk = { .mode = S_IFDIR | (m->mode & 07777), .uid = P9_NONUNAME, .gid = m->gid };
	struct p9x_stat st;
	long ret = make(k, m->dfid, m->name, &mk, &st);

	if (!ret)
		k->rep->Rmkdir.qid = qid_of(&st);
	return ret;
}

long op_mknod(struct gcall *k)
{
	const struct p9_Tmknod *m = &k->req->Tmknod;
	struct make mk = { .mode = m->mode, .uid = P9_NONUNAME, .gid = m->gid, .major = m->major,
			   .minor = m->minor };
	struct p9x_stat st;
	long ret;

	if (S_ISDIR(m->mode) || S_ISLNK(m->mode))
		return -EPERM;
	ret = make(k, m->dfid, m->name, &mk, &st);
	if (!ret)
		k->rep->Rmknod.qid = qid_of(&st);
	return ret;
}

long op_symlink(struct gcall *k)
{
	const struct p9_Tsymlink *m = &k->req->Tsymlink;
	struct make mk = { .mode = S_IFLNK | 0777, .uid = P9_NONUNAME, .gid = m->gid, .target = m->target };
	struct p9x_stat st;
	long ret = make(k, m->dfid, m->name, &mk, &st);

	if (!ret)
		k->rep->Rsymlink.qid = qid_of(&st);
	return ret;
}

long op_xmake(struct gcall *k)
{
	const struct p9_Txmake *m = &k->req->Txmake;
	struct make mk = { .mode = m->mode, .uid = m->uid, .gid = m->gid, .major = m->major,
			   .minor = m->minor, .target = m->target };

	return make(k, m->dfid, m->name, &mk, &k->rep->Rxmake.stat);
}

/* From the object itself, so that also an unnamed file (O_TMPFILE) gets its name this way. */
long op_link(struct gcall *k)
{
	const struct p9_Tlink *m = &k->req->Tlink;
	struct gfid *dir = gfid_get_node(k->conn, m->dfid);
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	struct gname name;
	long ret = -EBADF;

	if (dir && f) {
		ret = node_may_change(dir->node);
		if (!ret && S_ISDIR(f->node->type))
			ret = -EPERM;
		if (!ret)
			ret = gname_take(m->name, &name);
		if (!ret && linkat(AT_FDCWD, fdpath(f->node->fd).s, dir->node->fd, name.s, AT_SYMLINK_FOLLOW))
			ret = -errno;
	}
	gfid_put(dir);
	gfid_put(f);
	return ret;
}

long op_readlink(struct gcall *k)
{
	struct gfid *f = gfid_get_node(k->conn, k->req->Treadlink.fid);
	size_t cap = MIN(k->data_cap, (size_t)P9_PATH_MAX);
	long ret = 0;
	ssize_t n;

	if (!f)
		return -EBADF;
	n = S_ISLNK(f->node->type) ? readlinkat(f->node->fd, "", (char *)k->data, cap) : -1;
	if (n < 0)
		ret = S_ISLNK(f->node->type) ? -errno : -EINVAL;
	else if ((size_t)n == cap)
		ret = -ENAMETOOLONG;
	else
		k->rep->Rreadlink.target = (struct p9_str){ (char *)k->data, (uint16_t)n };
	gfid_put(f);
	return ret;
}
