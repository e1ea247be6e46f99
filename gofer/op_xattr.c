/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_xattr.c - Txattrwalk, Txattrcreate, Txgetxattr, Txsetxattr
 *
 * Model:   by the object's number in /proc/self/fd. The stock pair works through a fid whose content is
 *          the value: Txattrwalk reads it at once, Txattrcreate sets it at Tclunk.
 * Source:  xattr(7).
 */
#include <errno.h>
#include <string.h>
#include <sys/xattr.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

const struct gofer_hostcall gofer_calls_xattr[] = {
	HOSTCALL(getxattr, "values"),
	HOSTCALL(listxattr, "names"),
	HOSTCALL(setxattr, "Txattrcreate, Txsetxattr"),
	HOSTCALL(removexattr, "Txsetxattr with P9X_XATTR_REMOVE"),
	{ 0 },
};

/* Attribute names have a '.', so they are not names of entries; their own limit is XATTR_NAME_MAX. */
static long xattr_name_take(struct p9_str s, struct gname *out)
{
	if (s.len > P9_NAME_MAX)
		return -ERANGE;
	if (!s.len || memchr(s.p, '\0', s.len))
		return -EINVAL;
	memcpy(out->s, s.p, s.len);
	out->s[s.len] = '\0';
	return 0;
}

/* An empty name lists the names. @cap 0 asks for the size. */
static long xattr_fetch(struct gnode *n, struct p9_str name, void *buf, size_t cap)
{
	struct fdpath self = fdpath(n->fd);
	struct gname xn;
	ssize_t len;

	if (name.len) {
		long ret = xattr_name_take(name, &xn);

		if (ret)
			return ret;
		len = getxattr(self.s, xn.s, buf, cap);
	} else {
		len = listxattr(self.s, buf, cap);
	}
	return len < 0 ? -errno : len;
}

static long xattr_store(struct gnode *n, const char *name, const void *value, size_t len, uint32_t flags)
{
	struct fdpath self = fdpath(n->fd);
	int ret;

	if (n->ro)
		return -EROFS;
	if (flags == P9X_XATTR_REMOVE)
		ret = removexattr(self.s, name);
	else if (flags & ~(uint32_t)(XATTR_CREATE | XATTR_REPLACE))
		return -EINVAL;
	else
		ret = setxattr(self.s, name, value, len, (int)flags);
	return ret ? -errno : 0;
}

long op_xattrwalk(struct gcall *k)
{
	const struct p9_Txattrwalk *m = &k->req->Txattrwalk;
	struct gfid *f = gfid_get_node(k->conn, m->fid), *x;
	long ret;

	if (!f)
		return -EBADF;
	x = gfid_new(m->newfid, GFID_XATTR_READ, f->node, NULL, (struct p9_str){ 0 }, f->uname);
	if (x)
		x->xattr.data = malloc(GOFER_XATTR_MAX);
	ret = x && x->xattr.data ? xattr_fetch(f->node, m->name, x->xattr.data, GOFER_XATTR_MAX) : -ENOMEM;
	gfid_put(f);
	if (ret < 0) {
		gfid_put(x);
		return ret;
	}
	x->xattr.len = (uint32_t)ret;
	k->rep->Rxattrwalk.size = (uint64_t)ret;
	return gfid_install(k->conn, x, NULL);
}

long op_xattrcreate(struct gcall *k)
{
	const struct p9_Txattrcreate *m = &k->req->Txattrcreate;
	struct gfid *f, *x;
	struct gname name;
	long ret = xattr_name_take(m->name, &name);

	if (ret)
		return ret;
	if (m->attr_size > GOFER_XATTR_MAX)
		return -E2BIG;
	f = gfid_get_node(k->conn, m->fid);
	if (!f)
		return -EBADF;
	x = gfid_new(m->fid, GFID_XATTR_WRITE, f->node, NULL, (struct p9_str){ 0 }, f->uname);
	ret = -ENOMEM;
	if (x) {
		x->xattr.name = strdup(name.s);
		x->xattr.data = malloc(m->attr_size + 1);
		x->xattr.len = (uint32_t)m->attr_size;
		x->xattr.flags = m->flags;
		if (x->xattr.name && x->xattr.data)
			ret = gfid_install(k->conn, x, f);
		else
			gfid_put(x);
	}
	gfid_put(f);
	return ret;
}

/* v9fs removes an attribute by setting it to nothing with XATTR_REPLACE. */
long xattr_commit(struct gfid *f)
{
	if (f->xattr.filled != f->xattr.len)
		return -EIO;
	if (!f->xattr.len && f->xattr.flags == XATTR_REPLACE)
		return xattr_store(f->node, f->xattr.name, NULL, 0, P9X_XATTR_REMOVE);
	return xattr_store(f->node, f->xattr.name, f->xattr.data, f->xattr.len, f->xattr.flags);
}

long op_xgetxattr(struct gcall *k)
{
	const struct p9_Txgetxattr *m = &k->req->Txgetxattr;
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	long ret;

	if (!f)
		return -EBADF;
	ret = m->size > k->data_cap ? -EINVAL : xattr_fetch(f->node, m->name, k->data, m->size);
	gfid_put(f);
	if (ret < 0)
		return ret;
	k->rep->Rxgetxattr.size = (uint32_t)ret;
	k->rep->Rxgetxattr.data = (struct p9_data){ k->data, m->size ? (uint32_t)ret : 0 };
	return 0;
}

long op_xsetxattr(struct gcall *k)
{
	const struct p9_Txsetxattr *m = &k->req->Txsetxattr;
	struct gfid *f;
	struct gname name;
	long ret = xattr_name_take(m->name, &name);

	if (ret)
		return ret;
	f = gfid_get_node(k->conn, m->fid);
	if (!f)
		return -EBADF;
	ret = xattr_store(f->node, name.s, m->value.p, m->value.len, m->flags);
	gfid_put(f);
	return ret;
}
