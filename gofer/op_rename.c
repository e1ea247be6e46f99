/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_rename.c - names moved and taken away: Trename, Trenameat, Txrename, Tunlinkat, Tremove
 *
 * Model:   the at-calls work on checked single names below directory descriptors. Trename and Tremove
 *          name a fid; the entry it was reached by is used if it still is that object.
 */
#include <errno.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/syscall.h>

#include "gofer/gofer_internal.h"
#include "gofer/hostcalls.h"

#define RENAME_KNOWN (RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)

const struct gofer_hostcall gofer_calls_rename[] = {
	HOSTCALL(renameat2, "Trename, Trenameat, Txrename"),
	HOSTCALL(unlinkat, "Tunlinkat, Tremove"),
	{ 0 },
};

static long rename_entry(struct gnode *from, const char *oldname, struct gnode *to, struct p9_str newname,
			 uint32_t flags)
{
	struct gname nn;
	long ret = node_may_change(from);

	if (!ret)
		ret = node_may_change(to);
	if (!ret)
		ret = gname_take(newname, &nn);
	if (ret)
		return ret;
	/* not by the C library, which makes it renameat(2) when there are no flags */
	return syscall(SYS_renameat2, from->fd, oldname, to->fd, nn.s, flags) ? -errno : 0;
}

static long rename_fids(struct gcall *k, uint32_t olddfid, struct p9_str oldname, uint32_t newdfid,
			struct p9_str newname, uint32_t flags)
{
	struct gfid *from = gfid_get_node(k->conn, olddfid);
	struct gfid *to = gfid_get_node(k->conn, newdfid);
	struct gname on;
	long ret = -EBADF;

	if (from && to)
		ret = gname_take(oldname, &on);
	if (!ret)
		ret = rename_entry(from->node, on.s, to->node, newname, flags);
	gfid_put(from);
	gfid_put(to);
	return ret;
}

long op_renameat(struct gcall *k)
{
	const struct p9_Trenameat *m = &k->req->Trenameat;

	return rename_fids(k, m->olddfid, m->oldname, m->newdfid, m->newname, 0);
}

long op_xrename(struct gcall *k)
{
	const struct p9_Txrename *m = &k->req->Txrename;

	if (m->flags & ~(uint32_t)RENAME_KNOWN)
		return -EINVAL;
	return rename_fids(k, m->olddfid, m->oldname, m->newdfid, m->newname, m->flags);
}

/* Does the entry still name the fid's object? Whoever swaps it right after the check swaps it below
 * the same directory, where the client could have done the same. */
static long fid_entry_check(struct gfid *f) REQUIRES(f->mu)
{
	struct p9x_stat a, b;
	long ret;

	if (!f->parent)
		return -EBUSY; /* a root */
	ret = node_stat(f->node->fd, &a);
	if (!ret)
		ret = node_stat_at(f->parent->fd, f->name, &b);
	if (ret)
		return ret;
	if (a.ino != b.ino || a.dev_major != b.dev_major || a.dev_minor != b.dev_minor)
		return -ESTALE;
	return 0;
}

long op_rename(struct gcall *k)
{
	const struct p9_Trename *m = &k->req->Trename;
	struct gfid *f = gfid_get_node(k->conn, m->fid);
	struct gfid *to = gfid_get_node(k->conn, m->dfid);
	struct gnode *old = NULL;
	char *name = NULL;
	long ret = -EBADF;

	if (!f || !to)
		goto out;
	ret = -ENOMEM;
	name = strndup(m->name.len ? m->name.p : "", m->name.len);
	if (!name)
		goto out;
	pthread_mutex_lock(&f->mu);
	ret = fid_entry_check(f);
	if (!ret)
		ret = rename_entry(f->parent, f->name, to->node, m->name, 0);
	if (!ret) {
		char *oldname = f->name;

		old = f->parent;
		f->parent = gnode_get(to->node);
		f->name = name;
		name = oldname;
	}
	pthread_mutex_unlock(&f->mu);
	gnode_put(old);
out:
	free(name);
	gfid_put(f);
	gfid_put(to);
	return ret;
}

long op_unlinkat(struct gcall *k)
{
	const struct p9_Tunlinkat *m = &k->req->Tunlinkat;
	struct gfid *dir = gfid_get_node(k->conn, m->dfid);
	struct gname name;
	long ret;

	if (!dir)
		return -EBADF;
	ret = m->flags & ~P9_UNLINK_DIR ? -EINVAL : node_may_change(dir->node);
	if (!ret)
		ret = gname_take(m->name, &name);
	if (!ret && unlinkat(dir->node->fd, name.s, m->flags & P9_UNLINK_DIR ? AT_REMOVEDIR : 0))
		ret = -errno;
	gfid_put(dir);
	return ret;
}

/* The fid is gone afterwards, also when the file could not be removed (remove(5)). */
long op_remove(struct gcall *k)
{
	struct gfid *f = gfid_take(k->conn, k->req->Tremove.fid);
	long ret;

	if (!f)
		return -EBADF;
	pthread_mutex_lock(&f->mu);
	ret = f->kind == GFID_NODE ? fid_entry_check(f) : -EINVAL;
	if (!ret)
		ret = node_may_change(f->parent);
	if (!ret && unlinkat(f->parent->fd, f->name, S_ISDIR(f->node->type) ? AT_REMOVEDIR : 0))
		ret = -errno;
	pthread_mutex_unlock(&f->mu);
	gfid_put(f);
	return ret;
}
