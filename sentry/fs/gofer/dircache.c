/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/dircache.c - whole directories of exclusive mounts; reading directories
 *
 * Model:   fetched in pages with attributes and the targets of links at the first lookup or read, and then the
 *          truth: a name that is not in it does not exist. Changes that go through us are applied to it.
 *          Positions for readdir are given out in ascending order and never again, so a reader that goes
 *          on where it stopped neither repeats nor misses what stayed.
 *          A directory beyond GOFER_DIR_MAX, or one that the gofer may search but not read, is not kept: each lookup asks, reading goes
 *          page by page.
 * Locks:   the directory's i_lock.
 */
#include <string.h>

#include "sentry/fs/gofer/gofer_internal.h"

#define DOTS 2 /* "." and ".." come first */

static uint32_t name_hash(const char *s, size_t len)
{
	uint64_t h = 0x84222325cbf29ce4ull;

	for (size_t k = 0; k < len; k++)
		h = (h ^ (uint8_t)s[k]) * 0x100000001b3ull;
	return (uint32_t)(h >> 32 ^ h);
}

struct gent *gdir_find(struct gdir *d, const char *name, size_t len)
{
	uint32_t h = name_hash(name, len);

	if (!d->nr_buckets)
		return NULL;
	for (struct gent *e = d->buckets[h & (d->nr_buckets - 1)]; e; e = e->next)
		if (e->hash == h && e->len == len && !memcmp(e->name, name, len))
			return e;
	return NULL;
}

/* Removed entries go; what stays keeps its position. */
static void squeeze(struct gdir *d)
{
	uint32_t w = 0;

	for (uint32_t k = 0; k < d->nr_order; k++) {
		if (!d->order[k].e)
			continue;
		d->order[w] = d->order[k];
		d->order[w].e->index = w;
		w++;
	}
	d->nr_order = w;
}

static bool grow(struct gdir *d)
{
	uint32_t cap = d->cap_order ? d->cap_order * 2 : 16;
	struct gent **buckets;
	struct gslot *order;

	if (d->nr_order == d->cap_order && d->nr_live < d->nr_order / 2)
		squeeze(d);
	if (d->nr_order < d->cap_order)
		return true;
	order = reallocarray(d->order, cap, sizeof(*order));
	if (!order)
		return false;
	d->order = order;
	d->cap_order = cap;
	buckets = calloc(cap, sizeof(*buckets));
	if (!buckets)
		return d->nr_buckets != 0;
	for (uint32_t k = 0; k < d->nr_order; k++) {
		struct gent *e = order[k].e;

		if (!e)
			continue;
		e->next = buckets[e->hash & (cap - 1)];
		buckets[e->hash & (cap - 1)] = e;
	}
	free(d->buckets);
	d->buckets = buckets;
	d->nr_buckets = cap;
	return true;
}

long gdir_add(struct gdir *d, const char *name, size_t len, const struct p9x_stat *st, const char *target, size_t tlen)
{
	struct gent *e, **b;

	gdir_remove(d, name);
	e = malloc(sizeof(*e) + len + 1);
	if (!e || !grow(d)) {
		free(e);
		return -LINUX_ENOMEM;
	}
	memcpy(e->name, name, len);
	e->name[len] = '\0';
	e->len = (uint16_t)len;
	e->hash = name_hash(name, len);
	e->st = *st;
	e->handed = false;
	e->target = tlen ? strndup(target, tlen) : NULL;
	e->index = d->nr_order;
	b = &d->buckets[e->hash & (d->nr_buckets - 1)];
	e->next = *b;
	*b = e;
	d->order[d->nr_order++] = (struct gslot){ d->next_off++, e };
	d->nr_live++;
	return 0;
}

void gdir_remove(struct gdir *d, const char *name)
{
	struct gent *e = gdir_find(d, name, strlen(name)), **p;

	if (!e)
		return;
	for (p = &d->buckets[e->hash & (d->nr_buckets - 1)]; *p != e;)
		p = &(*p)->next;
	*p = e->next;
	d->order[e->index].e = NULL;
	d->nr_live--;
	free(e->target);
	free(e);
}

void gdir_free(struct gdir *d)
{
	if (!d)
		return;
	for (uint32_t k = 0; k < d->nr_order; k++) {
		if (d->order[k].e)
			free(d->order[k].e->target);
		free(d->order[k].e);
	}
	free(d->order);
	free(d->buckets);
	free(d);
}

/* ---- fetching ----------------------------------------------------------------------------------------- */

struct loader {
	struct p9_dir_reader r;
	struct gdir *d;
	long err;
};

static bool load_one(struct p9_dir_reader *r, const struct p9x_dirent *e, const struct p9x_stat *st, uint8_t dtype)
{
	struct loader *l = container_of(r, struct loader, r);
	char name[P9_NAME_MAX + 1];

	if (!st || !st->mask) { /* a stock server, or a file whose attributes the gofer could not get: ask by name */
		l->d->too_big = true;
		return false;
	}
	if (l->d->nr_live >= GOFER_DIR_MAX || l->d->next_off > 2 * GOFER_DIR_MAX) { /* also one name for ever */
		l->d->too_big = true;
		return false;
	}
	memcpy(name, e->name.p, e->name.len); /* p9_readdir() checked that it is a name */
	name[e->name.len] = '\0';
	l->err = gdir_add(l->d, name, e->name.len, st, e->target.p, e->target.len);
	return !l->err;
}

long gdir_load(struct inode *dir)
{
	struct ginode *g = ginode_of(dir);
	struct loader l = { .r.add = load_one, .d = g->dir };
	uint64_t off = 0, next;
	bool eof = false;
	uint32_t fid;
	long ret;

	if (g->dir)
		return 0;
	ret = ginode_fid(dir, &fid);
	if (ret)
		return ret;
	l.d = calloc(1, sizeof(*l.d));
	if (!l.d)
		return -LINUX_ENOMEM;
	if (!gsb_of(dir->sb)->link->ext)
		l.d->too_big = true;
	while (!ret && !eof && !l.d->too_big && !l.err) {
		ret = p9_readdir(client_of(dir), fid, off, &l.r, &next, &eof);
		if (!ret && !eof && next == off && !l.err && !l.d->too_big)
			ret = -LINUX_EIO; /* a gofer that makes no progress must not keep us here */
		off = next;
	}
	/* A gofer without root's rights may search a directory that it may not read: names are asked for one by one, and whether the
	 * caller may read it has been decided before we were asked to. */
	if (ret == -LINUX_EACCES) {
		l.d->too_big = true;
		ret = 0;
	}
	ret = ret ? ret : l.err;
	if (ret) {
		gdir_free(l.d);
		return ret;
	}
	if (l.d->too_big) {
		gdir_free(l.d);
		l.d = calloc(1, sizeof(*l.d));
		if (!l.d)
			return -LINUX_ENOMEM;
		l.d->too_big = true;
	}
	g->dir = l.d;
	return 0;
}

/* ---- readdir --------------------------------------------------------------------------------------------- */

static bool emit_dots(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	static const char *const dots[DOTS] = { ".", ".." };
	struct dentry *d = f->path.dentry;

	for (; *pos < DOTS; (*pos)++) {
		struct inode *i = *pos && d && d->parent ? d->parent->inode : f->inode;

		if (!e->add(e, dots[*pos], *pos + 1, i ? i->ino : f->inode->ino, LINUX_DT_DIR, *pos + 1))
			return false;
	}
	return true;
}

static void iterate_cached(struct gdir *d, struct dir_emit *e, uint64_t *pos)
{
	uint32_t lo = 0, hi = d->nr_order;

	while (lo < hi) { /* the first one at or after the position */
		uint32_t mid = lo + (hi - lo) / 2;

		if (d->order[mid].off < *pos - DOTS)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < d->nr_order; lo++) {
		struct gslot s = d->order[lo];

		if (s.e && !e->add(e, s.e->name, s.e->len, s.e->st.ino, (uint8_t)(s.e->st.mode >> 12 & 15),
				   s.off + DOTS + 1))
			return;
		*pos = s.off + DOTS + 1;
	}
}

/* The server's own positions, moved up by two. The highest is ext4's end of a directory, also behind its last name: it stays
 * where it is, lest it come around to the beginning. */
static uint64_t pos_of(uint64_t off)
{
	off &= INT64_MAX;
	return off > INT64_MAX - DOTS ? INT64_MAX : off + DOTS;
}

static uint64_t off_of(uint64_t pos)
{
	return pos == INT64_MAX ? INT64_MAX : pos - DOTS;
}

struct pager {
	struct p9_dir_reader r;
	struct dir_emit *e;
	bool full;
};

static bool page_one(struct p9_dir_reader *r, const struct p9x_dirent *d, const struct p9x_stat *st, uint8_t dtype)
{
	struct pager *p = container_of(r, struct pager, r);

	p->full = !p->e->add(p->e, d->name.p, d->name.len, d->st.ino, dtype, pos_of(d->off));
	return !p->full;
}

static long iterate_pages(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct inode *i = f->inode;
	struct pager p = { .r.add = page_one, .e = e };
	struct p9_opened o = { .fid = P9_NOFID };
	uint64_t off = off_of(*pos), next;
	bool eof = false;
	uint32_t fid;
	long ret = ginode_fid(i, &fid);

	if (!ret && !gsb_of(i->sb)->link->ext) {
		ret = p9_open(client_of(i), fid, 0, P9X_FID, 0, &o);
		fid = o.fid;
	}
	while (!ret && !eof && !p.full) {
		ret = p9_readdir(client_of(i), fid, off, &p.r, &next, &eof);
		if (ret || (next == off && !eof))
			break;
		off = next;
	}
	*pos = pos_of(off);
	if (o.fid != P9_NOFID)
		p9_clunk(client_of(i), o.fid);
	return ret;
}

long gofer_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct inode *i = f->inode;
	long ret = 0;

	if (!emit_dots(f, e, pos))
		return 0;
	if (!gsb_of(i->sb)->exclusive)
		return iterate_pages(f, e, pos);
	ret = gdir_load(i);
	if (!ret && !ginode_of(i)->dir->too_big) {
		iterate_cached(ginode_of(i)->dir, e, pos);
		return 0;
	}
	return ret ? ret : iterate_pages(f, e, pos);
}
