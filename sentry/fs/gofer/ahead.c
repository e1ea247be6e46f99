/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/ahead.c - shared trees: a whole path looked at in one round trip, and its end opened with it
 *
 * Model:   one Txlookup for all names that a walk has left. When the end is to be read, a regular file's descriptor comes with
 *          the answer and waits at the link for the open that follows (it has no effect on the file, so it does not matter whether
 *          that open will be allowed); a directory gets its fid.
 * Differs: a stock server is asked name by name (dir.c).
 */
#include "base/hostcall.h"
#include "sentry/fs/gofer/gofer_internal.h"

struct gofer_ahead {
	struct walk_ahead a;
	struct gofer_link *link; /* reference */
	struct p9_looked l;
};

static struct gofer_ahead *ahead_of(struct walk_ahead *a)
{
	return container_of(a, struct gofer_ahead, a);
}

static struct walk_ahead *gofer_ask(struct inode *dir, const struct walk_names *names, bool read)
{
	struct p9_names n = { .n = (uint16_t)names->n };
	struct gofer_ahead *ga;
	uint32_t fid;

	if (!gsb_of(dir->sb)->link->ext || ginode_fid(dir, &fid))
		return NULL;
	ga = malloc(sizeof(*ga));
	if (!ga)
		return NULL;
	for (unsigned i = 0; i < names->n; i++)
		n.v[i] = (struct p9_str){ names->v[i].p, (uint16_t)names->v[i].len };
	if (p9_lookup(client_of(dir), fid, &n, read ? P9X_FD | P9X_FID : 0, &ga->l)) {
		free(ga);
		return NULL;
	}
	ga->a = (struct walk_ahead){ .ops = &gofer_ahead, .n = names->n };
	ga->link = gofer_link_get(gsb_of(dir->sb)->link);
	return &ga->a;
}

/* The end of the path is @i: what came with it. */
static void take_end(struct gofer_ahead *ga, unsigned k, struct inode *i)
{
	if (k != ga->a.n - 1)
		return;
	if (ga->l.fd >= 0 && LINUX_S_ISREG(i->mode)) {
		link_offer(gsb_of(i->sb)->link, ginode_of(i), ga->l.fd);
		ga->l.fd = -1;
	}
	if (ga->l.fid != P9_NOFID) {
		ginode_set_fid(i, ga->l.fid);
		ga->l.fid = P9_NOFID;
	}
}

static bool gofer_same(struct walk_ahead *a, unsigned k, struct dentry *d)
{
	struct gofer_ahead *ga = ahead_of(a);
	struct inode *i = d->inode;

	if (k >= ga->l.n)
		return !i && ga->l.err == -LINUX_ENOENT;
	if (!i || !ginode_is(i, &ga->l.st[k]))
		return false;
	ginode_update(i, &ga->l.st[k]);
	take_end(ga, k, i);
	return true;
}

static long gofer_answer(struct walk_ahead *a, unsigned k, struct inode *dir, struct dentry *d)
{
	struct gofer_ahead *ga = ahead_of(a);
	struct inode *i;
	long ret;

	if (k >= ga->l.n)
		return ga->l.err == -LINUX_ENOENT ? 0 : ga->l.err;
	ret = ginode_get(dir->sb, &ga->l.st[k], dir, d->name, k == ga->l.n - 1 ? ga->l.target : NULL, &i);
	if (ret)
		return ret;
	take_end(ga, k, i);
	d_instantiate(d, i);
	return 0;
}

static void gofer_ahead_end(struct walk_ahead *a)
{
	struct gofer_ahead *ga = ahead_of(a);

	if (ga->l.fd >= 0)
		host_call(close, ga->l.fd);
	link_forget_fid(ga->link, ga->l.fid);
	gofer_link_put(ga->link);
	free(ga->l.target);
	free(ga);
}

const struct ahead_ops gofer_ahead = {
	.ask = gofer_ask,
	.same = gofer_same,
	.lookup = gofer_answer,
	.end = gofer_ahead_end,
};
