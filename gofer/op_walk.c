/* SPDX-License-Identifier: Apache-2.0
 * gofer/op_walk.c - Twalk; Txwalk: walk with the attributes of every component; Txlookup: and open the end
 *
 * Model:   one openat2(2) per component from the directory reached so far, so a concurrent rename can
 *          change where a walk ends up but never lead it out of the tree. An end of which only the attributes are
 *          wanted is not opened at all.
 */
#include <errno.h>

#include "gofer/gofer_internal.h"

/* Where a walk got to. Owns node and parent. */
struct walk {
	struct gnode *node, *parent;
	struct gname last;
	struct p9x_stats stats;
	long err; /* why it stopped before the last name */
};

/* @need_end: false when the last object itself is not needed, and a link is all that w->node may be of it. */
static void walk_run(struct walk *w, struct gnode *from, const struct p9_names *names, bool need_end)
{
	w->node = gnode_get(from);
	w->parent = NULL;
	w->stats.n = 0;
	w->err = 0;
	for (unsigned i = 0; i < names->n; i++) {
		struct gnode *next;

		w->err = gname_take(names->v[i], &w->last);
		if (!w->err && !need_end && i == names->n - 1u) {
			w->err = S_ISDIR(w->node->type) ? node_stat_at(w->node->fd, w->last.s, &w->stats.v[i]) : -ENOTDIR;
			if (w->err || !S_ISLNK(w->stats.v[i].mode)) {
				w->stats.n += !w->err;
				return;
			}
		}
		if (!w->err)
			w->err = node_child_stat(w->node, w->last.s, &next, &w->stats.v[i]);
		if (w->err)
			return;
		gnode_put(w->parent);
		w->parent = w->node;
		w->node = next;
		w->stats.n++;
	}
}

static void walk_fini(struct walk *w)
{
	gnode_put(w->node);
	gnode_put(w->parent);
}

/* Makes @newfid of where a whole walk ended; no names: a second fid of the same object. */
static long walk_install(struct gofer_conn *c, struct gfid *from, uint32_t newfid, struct walk *w,
			 unsigned nr_names)
{
	bool in_place = newfid == from->id;
	struct gfid *f;

	if (in_place && atomic_load(&from->iofd) >= 0)
		return -EBUSY;
	if (nr_names) {
		f = gfid_new(newfid, GFID_NODE, w->node, w->parent, p9_str(w->last.s), from->uname);
	} else {
		pthread_mutex_lock(&from->mu);
		f = gfid_new(newfid, GFID_NODE, w->node, from->parent, p9_str(from->name), from->uname);
		pthread_mutex_unlock(&from->mu);
	}
	if (!f)
		return -ENOMEM;
	return gfid_install(c, f, in_place ? from : NULL);
}

long op_walk(struct gcall *k)
{
	const struct p9_Twalk *m = &k->req->Twalk;
	struct gfid *from = gfid_get_node(k->conn, m->fid);
	struct walk w;
	long ret;

	if (!from)
		return -EBADF;
	walk_run(&w, from->node, &m->names, true);
	if (w.err && !w.stats.n)
		ret = w.err; /* not even one step: an error; later: a short answer and no new fid */
	else
		ret = w.err ? 0 : walk_install(k->conn, from, m->newfid, &w, m->names.n);
	if (!ret) {
		k->rep->Rwalk.qids.n = w.stats.n;
		for (unsigned i = 0; i < w.stats.n; i++)
			k->rep->Rwalk.qids.v[i] = qid_of(&w.stats.v[i]);
	}
	walk_fini(&w);
	gfid_put(from);
	return ret;
}

long op_xwalk(struct gcall *k)
{
	const struct p9_Txwalk *m = &k->req->Txwalk;
	struct gfid *from = gfid_get_node(k->conn, m->fid);
	struct walk w;
	long ret = 0;

	if (!from)
		return -EBADF;
	walk_run(&w, from->node, &m->names, m->newfid != P9_NOFID);
	if (!m->names.n) {
		ret = node_stat(w.node->fd, &w.stats.v[0]);
		w.stats.n = 1;
	}
	if (!ret && !w.err && m->newfid != P9_NOFID)
		ret = walk_install(k->conn, from, m->newfid, &w, m->names.n);
	if (!ret) {
		k->rep->Rxwalk.ecode = (uint32_t)-w.err;
		k->rep->Rxwalk.stats = w.stats;
	}
	walk_fini(&w);
	gfid_put(from);
	return ret;
}

/* What of the end of a whole walk was wanted and can be had without an effect on it. */
static uint32_t lookup_open(struct gcall *k, struct gfid *from, struct walk *w)
{
	const struct p9_Txlookup *m = &k->req->Txlookup;

	if (S_ISREG(w->node->type) && (m->want & P9X_FD) && !node_open(k->conn->srv, w->node, 0, &k->fd))
		return P9X_FD;
	if (S_ISDIR(w->node->type) && (m->want & P9X_FID) && !walk_install(k->conn, from, m->newfid, w, m->names.n))
		return P9X_FID;
	return 0;
}

/* Where the last object leads that the walk saw, if that is a link: it ended there. */
static struct p9_str lookup_target(struct gcall *k, const struct walk *w)
{
	size_t room = 2 + P9_WALK_MAX * P9X_STAT_LEN, cap = k->data_cap > room ? k->data_cap - room : 0;
	struct p9_str none = { "", 0 };
	ssize_t n;

	if (!w->stats.n || !S_ISLNK(w->node->type))
		return none;
	cap = MIN(cap, (size_t)P9_PATH_MAX);
	n = readlinkat(w->node->fd, "", (char *)k->data, cap);
	return n > 0 && (size_t)n < cap ? (struct p9_str){ (char *)k->data, (uint16_t)n } : none;
}

long op_xlookup(struct gcall *k)
{
	const struct p9_Txlookup *m = &k->req->Txlookup;
	struct gfid *from = gfid_get_node(k->conn, m->fid);
	struct p9_Rxlookup *r = &k->rep->Rxlookup;
	struct walk w;

	if (!from)
		return -EBADF;
	if ((m->want & ~(P9X_FD | P9X_FID)) || !m->names.n || m->newfid == m->fid) {
		gfid_put(from);
		return -EINVAL;
	}
	walk_run(&w, from->node, &m->names, m->want);
	r->got = w.err || !m->want ? 0 : lookup_open(k, from, &w);
	r->target = lookup_target(k, &w);
	r->ecode = (uint32_t)-w.err;
	r->stats = w.stats;
	walk_fini(&w);
	gfid_put(from);
	return 0;
}
