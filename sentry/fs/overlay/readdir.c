/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/readdir.c - reading merged directories
 *
 * Model:   a directory of one lower layer only is read through. Otherwise the names of all layers are gathered when reading
 *          starts at the beginning, topmost layer first; a whiteout hides the name in what follows. Positions are indices.
 */
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/stack.h"

struct oent {
	struct oent *hash_next;
	uint64_t ino;
	uint32_t len;
	uint8_t type;
	bool whiteout;
	char name[];
};

struct olist {
	struct oent **v;
	uint32_t nr, cap;
	struct oent **hash;
	uint32_t nr_hash;
	bool failed;
};

struct odir {
	struct olist list;
	bool filled;
	struct file *through;	/* reference; single-layer directories */
};

struct gather {
	struct dir_emit e;
	struct olist *l;
	struct dentry *dir;	/* layer's directory */
	uint64_t ino_tag;
};

static uint32_t ehash(const char *s, size_t len)
{
	uint64_t h = len;

	for (size_t k = 0; k < len; k++)
		h = (h ^ (uint8_t)s[k]) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 29);
}

static void olist_fini(struct olist *l)
{
	for (uint32_t k = 0; k < l->nr; k++)
		free(l->v[k]);
	free(l->v);
	free(l->hash);
	*l = (struct olist){ 0 };
}

static struct oent *olist_find(struct olist *l, const char *name, size_t len)
{
	struct oent *e = l->nr_hash ? l->hash[ehash(name, len) & (l->nr_hash - 1)] : NULL;

	while (e && (e->len != len || memcmp(e->name, name, len)))
		e = e->hash_next;
	return e;
}

static bool olist_grow(struct olist *l)
{
	uint32_t cap = l->cap ? l->cap * 2 : 32;
	struct oent **v = reallocarray(l->v, cap, sizeof(*v)), **h;

	if (!v)
		return false;
	l->v = v;
	l->cap = cap;
	h = calloc(cap, sizeof(*h));
	if (!h)
		return false;
	free(l->hash);
	l->hash = h;
	l->nr_hash = cap;
	for (uint32_t k = 0; k < l->nr; k++) {
		uint32_t b = ehash(l->v[k]->name, l->v[k]->len) & (cap - 1);

		l->v[k]->hash_next = h[b];
		h[b] = l->v[k];
	}
	return true;
}

static bool gather_add(struct dir_emit *em, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off)
{
	struct gather *g = container_of(em, struct gather, e);
	struct olist *l = g->l;
	struct oent *e = olist_find(l, name, len);
	uint32_t b;

	if ((len == 1 && name[0] == '.') || (len == 2 && name[0] == '.' && name[1] == '.'))
		return true;
	if (e) {	/* hidden, or merged: the lower one's number is the one stat(2) tells for directories */
		if (e->ino >> 47 & 1 && e->type == LINUX_DT_DIR && type == LINUX_DT_DIR)
			e->ino = ino ^ g->ino_tag;
		return true;
	}
	if (l->nr == l->cap && !olist_grow(l)) {
		l->failed = true;
		return false;
	}
	e = malloc(sizeof(*e) + len + 1);
	if (!e) {
		l->failed = true;
		return false;
	}
	*e = (struct oent){ .ino = ino ^ g->ino_tag, .len = (uint32_t)len, .type = type };
	memcpy(e->name, name, len);
	e->name[len] = 0;
	b = ehash(name, len) & (l->nr_hash - 1);
	e->hash_next = l->hash[b];
	l->hash[b] = e;
	l->v[l->nr++] = e;
	return true;
}

/* Character devices 0/0 among what the last layer added. Its directory is not locked any more. */
static void mark_whiteouts(struct olist *l, uint32_t from, struct dentry *dir)
{
	for (uint32_t k = from; k < l->nr; k++) {
		struct dentry *d;

		if (l->v[k]->type != LINUX_DT_CHR || lookup_one(dir, l->v[k]->name, l->v[k]->len, &d))
			continue;
		l->v[k]->whiteout = d->inode && ovl_is_whiteout(d->inode);
		d_put(d);
	}
}

static long gather_layer(struct super_block *sb, struct olist *l, struct dentry *dir, uint64_t tag)
{
	struct gather g = { .e = { .add = gather_add }, .l = l, .dir = dir, .ino_tag = tag };
	uint32_t from = l->nr;
	struct file *f;
	uint64_t pos = 0, last;
	long ret = stack_open(dir, LINUX_O_RDONLY | LINUX_O_DIRECTORY, ovl_of(sb)->cred, &f);

	if (ret)
		return ret;
	sleep_lock(&dir->inode->i_lock);
	do {
		last = pos;
		ret = f->ops->iterate ? f->ops->iterate(f, &g.e, &pos) : -LINUX_ENOTDIR;
	} while (ret >= 0 && pos != last && !l->failed);
	sleep_unlock(&dir->inode->i_lock);
	file_put(f);
	if (l->failed)
		return -LINUX_ENOMEM;
	if (ret >= 0)
		mark_whiteouts(l, from, dir);
	return MIN(ret, 0L);
}

static uint64_t tag_of(struct ovl_sb *o, struct dentry *dir, bool upper)
{
	if (upper)
		return 1ull << 47;
	for (uint32_t k = 0; k < o->nr_lower; k++)
		if (o->lower[k].sb == dir->sb)
			return (uint64_t)k << 48;
	return 0;
}

static long gather_all(struct inode *dir, struct olist *l)
{
	struct ovl_sb *o = ovl_of(dir->sb);
	struct onode *n = onode_of(dir);
	struct dentry *up = onode_upper(n);
	long ret = 0;

	if (up)
		ret = gather_layer(dir->sb, l, up, tag_of(o, up, true));
	for (uint32_t k = 0; k < n->nr_lower && !ret; k++)
		ret = gather_layer(dir->sb, l, n->lower[k], tag_of(o, n->lower[k], false));
	return ret;
}

/* Names that the upper layer has and a lower one too: a copy keeps the number of its origin while the inode is known. */
static void fix_ino(struct file *f, struct oent *e)
{
	struct dentry *d = d_lookup_cached(f->path.dentry, e->name, e->len);

	if (d) {
		if (d->inode)
			e->ino = d->inode->ino;
		d_put(d);
	}
}

/* ---- the file ---- */

static long odir_fill(struct file *f, struct odir *o)
{
	long ret;

	olist_fini(&o->list);
	ret = gather_all(f->inode, &o->list);
	o->filled = ret == 0;
	return ret;
}

static long read_through(struct file *f, struct odir *o, struct dir_emit *e, uint64_t *pos)
{
	struct onode *n = onode_of(f->inode);
	struct inode *li = n->lower[0]->inode;
	long ret;

	if (!o->through) {
		ret = stack_open(n->lower[0], LINUX_O_RDONLY | LINUX_O_DIRECTORY, ovl_of(f->inode->sb)->cred, &o->through);
		if (ret)
			return ret;
	}
	sleep_lock(&li->i_lock);
	ret = o->through->ops->iterate ? o->through->ops->iterate(o->through, e, pos) : -LINUX_ENOTDIR;
	sleep_unlock(&li->i_lock);
	return ret;
}

static long ovl_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct inode *dir = f->inode;
	struct onode *n = onode_of(dir);
	struct odir *o = f->priv;
	long ret;

	/* Who began reading through goes on so: positions are the layer's. */
	if ((o->through && *pos) ||
	    (!onode_upper(n) && n->nr_lower == 1 && !o->filled && tag_of(ovl_of(dir->sb), n->lower[0], false) == 0))
		return read_through(f, o, e, pos);
	if (*pos == 0 || !o->filled) {
		ret = odir_fill(f, o);
		if (ret)
			return ret;
	}
	if (*pos == 0) {
		if (!e->add(e, ".", 1, dir->ino, LINUX_DT_DIR, 1))
			return 0;
		*pos = 1;
	}
	if (*pos == 1) {
		if (!e->add(e, "..", 2, (n->parent ? n->parent : dir)->ino, LINUX_DT_DIR, 2))
			return 0;
		*pos = 2;
	}
	for (; *pos - 2 < o->list.nr; ++*pos) {
		struct oent *x = o->list.v[*pos - 2];

		if (x->whiteout)
			continue;
		fix_ino(f, x);
		if (!e->add(e, x->name, x->len, x->ino, x->type, *pos + 1))
			return 0;
	}
	return 0;
}

static long ovl_dir_open(struct inode *i, struct file *f)
{
	f->priv = calloc(1, sizeof(struct odir));
	return f->priv ? 0 : -LINUX_ENOMEM;
}

static void ovl_dir_release(struct file *f)
{
	struct odir *o = f->priv;

	olist_fini(&o->list);
	file_put(o->through);
	free(o);
}

static long ovl_dir_fsync(struct file *f, bool data_only)
{
	return 0;
}

const struct file_ops ovl_dir_fops = {
	.open = ovl_dir_open,
	.release = ovl_dir_release,
	.iterate = ovl_iterate,
	.fsync = ovl_dir_fsync,
};

/* ---- for rmdir and rename ---- */

long ovl_dir_is_empty(struct inode *dir)
{
	struct olist l = { 0 };
	long ret = gather_all(dir, &l);

	for (uint32_t k = 0; k < l.nr && !ret; k++)
		if (!l.v[k]->whiteout)
			ret = -LINUX_ENOTEMPTY;
	olist_fini(&l);
	return ret;
}

long ovl_clear_whiteouts(struct dentry *updir, const struct cred *c)
{
	struct olist l = { 0 };
	struct gather g = { .e = { .add = gather_add }, .l = &l, .dir = updir };
	uint64_t pos = 0;
	struct file *f;
	long ret = stack_open(updir, LINUX_O_RDONLY | LINUX_O_DIRECTORY, c, &f);

	if (ret)
		return ret;
	sleep_lock(&updir->inode->i_lock);
	ret = f->ops->iterate(f, &g.e, &pos);
	sleep_unlock(&updir->inode->i_lock);
	file_put(f);
	mark_whiteouts(&l, 0, updir);
	for (uint32_t k = 0; k < l.nr && ret >= 0; k++)
		if (l.v[k]->whiteout)
			ret = stack_remove(updir, l.v[k]->name);
	olist_fini(&l);
	return MIN(ret, 0L);
}
