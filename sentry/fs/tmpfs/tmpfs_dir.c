/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs_dir.c - directories: entries, creating, removing, renaming, reading
 *
 * Model:   entries are found by name in a hash table that grows, and by position in an array ordered by offset; offsets are never
 *          reused, so a reader that goes on where it stopped neither repeats nor misses an entry that stayed.
 * Locks:   the directory's i_lock, held by VFS for every change and for lookups.
 * Source:  readdir(3), rename(2).
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/tmpfs/tmpfs.h"

/* Not the name cache's keyed hash: a table of one directory holds what its owner put there, and grows; still mixed well. */
static uint32_t tname_hash(const char *s, size_t len)
{
	uint64_t h = 0xcbf29ce484222325ull ^ len;

	for (size_t k = 0; k < len; k++)
		h = (h ^ (uint8_t)s[k]) * 0x100000001b3ull;
	return (uint32_t)(h ^ h >> 32);
}

struct tdirent *tdir_find(struct inode *dir, const char *name, size_t len)
{
	struct tnode *n = tnode_of(dir);
	uint32_t h = tname_hash(name, len);
	struct tdirent *e;

	if (!n->nr_hash)
		return NULL;
	for (e = n->hash[h & (n->nr_hash - 1)]; e; e = e->hnext)
		if (e->hash == h && e->len == len && !memcmp(e->name, name, len))
			return e;
	return NULL;
}

static bool grow_hash(struct tnode *n)
{
	uint32_t nr = n->nr_hash ? n->nr_hash * 2 : 8;
	struct tdirent **t = calloc(nr, sizeof(*t));

	if (!t)
		return n->nr_hash != 0;
	for (uint32_t k = 0; k < n->nr_order; k++) {
		struct tdirent *e = n->order[k];

		if (!e)
			continue;
		e->hnext = t[e->hash & (nr - 1)];
		t[e->hash & (nr - 1)] = e;
	}
	free(n->hash);
	n->hash = t;
	n->nr_hash = nr;
	return true;
}

/* Room for one more at the end of the order; squeezes out what was removed when that is at least half. */
static bool grow_order(struct tnode *n)
{
	uint32_t k, w = 0, cap;
	struct tdirent **o;

	if (n->nr_order < n->cap_order)
		return true;
	if (n->nr_live * 2 <= n->nr_order && n->nr_order) {
		for (k = 0; k < n->nr_order; k++)
			if (n->order[k])
				n->order[w++] = n->order[k];
		n->nr_order = w;
		return true;
	}
	cap = n->cap_order ? n->cap_order * 2 : 8;
	o = reallocarray(n->order, cap, sizeof(*o));
	if (!o)
		return false;
	n->order = o;
	n->cap_order = cap;
	return true;
}

long tdir_add(struct inode *dir, const char *name, size_t len, struct inode *i)
{
	struct tnode *n = tnode_of(dir);
	struct tdirent *e = malloc(sizeof(*e) + len + 1);

	if (!e || !grow_order(n) || (n->nr_live >= n->nr_hash && !grow_hash(n))) {
		free(e);
		return -LINUX_ENOMEM;
	}
	memcpy(e->name, name, len);
	e->name[len] = 0;
	e->len = len;
	e->hash = tname_hash(name, len);
	e->inode = inode_get(i);
	e->off = n->next_off++;
	e->hnext = n->hash[e->hash & (n->nr_hash - 1)];
	n->hash[e->hash & (n->nr_hash - 1)] = e;
	n->order[n->nr_order++] = e;
	n->nr_live++;
	dir->size += TMPFS_DIRENT_SIZE;
	return 0;
}

/* Index of the first entry with off >= @off. */
static uint32_t order_search(const struct tnode *n, uint64_t off)
{
	uint32_t lo = 0, hi = n->nr_order;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2, probe = mid;

		/* A removed entry tells nothing: look at the next one that is there. */
		while (probe < hi && !n->order[probe])
			probe++;
		if (probe == hi || n->order[probe]->off >= off)
			hi = mid;
		else
			lo = probe + 1;
	}
	return lo;
}

static void tdir_del(struct inode *dir, struct tdirent *e)
{
	struct tnode *n = tnode_of(dir);
	struct tdirent **pp = &n->hash[e->hash & (n->nr_hash - 1)];
	uint32_t k = order_search(n, e->off);

	while (*pp != e)
		pp = &(*pp)->hnext;
	*pp = e->hnext;
	while (n->order[k] != e)
		k++;
	n->order[k] = NULL;
	while (n->nr_order && !n->order[n->nr_order - 1])
		n->nr_order--;
	n->nr_live--;
	dir->size -= TMPFS_DIRENT_SIZE;
	inode_put(e->inode);
	free(e);
}

void tdir_free(struct tnode *n)
{
	for (uint32_t k = 0; k < n->nr_order; k++) {
		if (!n->order[k])
			continue;
		inode_put(n->order[k]->inode);
		free(n->order[k]);
	}
	free(n->order);
	free(n->hash);
}

/* ---- inode operations ---- */

static long tmpfs_lookup(struct inode *dir, struct dentry *d)
{
	struct tdirent *e = tdir_find(dir, d->name, d->name_len);

	if (e)
		d_instantiate(d, inode_get(e->inode));
	return 0;
}

static long add_new(struct inode *dir, struct dentry *d, struct inode *i)
{
	long ret = tdir_add(dir, d->name, d->name_len, i);

	if (ret) {
		inode_put(i);
		return ret;
	}
	if (LINUX_S_ISDIR(i->mode)) {
		tnode_of(i)->parent = dir;
		inode_inc_nlink(dir);
	}
	inode_touch(dir, false, true, true);
	d_instantiate(d, i);
	return 0;
}

static long tmpfs_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *c)
{
	struct inode *i;
	long ret = tmpfs_new_inode(dir->sb, dir, mode, c, &i);

	if (ret)
		return ret;
	i->rdev = rdev;
	return add_new(dir, d, i);
}

static long tmpfs_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	return tmpfs_mknod(dir, d, mode, 0, c);
}

static long tmpfs_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
	struct inode *i;
	long ret = tmpfs_new_inode(dir->sb, dir, LINUX_S_IFLNK | 0777, c, &i);

	if (ret)
		return ret;
	i->link = strdup(target);
	if (!i->link) {
		inode_put(i);
		return -LINUX_ENOMEM;
	}
	i->size = strlen(target);
	return add_new(dir, d, i);
}

static long tmpfs_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	long ret = tdir_add(dir, d->name, d->name_len, target);

	if (ret)
		return ret;
	inode_inc_nlink(target);
	inode_touch(target, false, false, true);
	inode_touch(dir, false, true, true);
	d_instantiate(d, inode_get(target));
	return 0;
}

static long tmpfs_unlink(struct inode *dir, struct dentry *d)
{
	struct tdirent *e = tdir_find(dir, d->name, d->name_len);

	if (!e)
		return -LINUX_ENOENT;
	inode_dec_nlink(d->inode);
	inode_touch(d->inode, false, false, true);
	inode_touch(dir, false, true, true);
	tdir_del(dir, e);
	return 0;
}

static long tmpfs_rmdir(struct inode *dir, struct dentry *d)
{
	struct tdirent *e = tdir_find(dir, d->name, d->name_len);

	if (!e)
		return -LINUX_ENOENT;
	if (tnode_of(d->inode)->nr_live)
		return -LINUX_ENOTEMPTY;
	d->inode->nlink = 0;
	tnode_of(d->inode)->parent = d->inode;
	inode_dec_nlink(dir);
	inode_touch(d->inode, false, false, true);
	inode_touch(dir, false, true, true);
	tdir_del(dir, e);
	return 0;
}

static long tmpfs_tmpfile(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out)
{
	long ret = tmpfs_new_inode(dir->sb, dir, mode, c, out);

	if (ret == 0)
		(*out)->nlink = 0;
	return ret;
}

static void set_parent(struct inode *i, struct inode *from, struct inode *to)
{
	if (!LINUX_S_ISDIR(i->mode))
		return;
	tnode_of(i)->parent = to;
	if (from != to) {
		inode_dec_nlink(from);
		inode_inc_nlink(to);
	}
}

static long tmpfs_exchange(struct inode *od, struct tdirent *oe, struct inode *nd, struct tdirent *ne)
{
	struct inode *t = oe->inode;

	oe->inode = ne->inode;
	ne->inode = t;
	set_parent(ne->inode, od, nd);
	set_parent(oe->inode, nd, od);
	inode_touch(oe->inode, false, false, true);
	inode_touch(ne->inode, false, false, true);
	return 0;
}

static long tmpfs_rename(struct inode *od, struct dentry *old_d, struct inode *nd, struct dentry *new_d, uint32_t flags)
{
	struct tdirent *oe = tdir_find(od, old_d->name, old_d->name_len);
	struct tdirent *ne = tdir_find(nd, new_d->name, new_d->name_len);
	struct inode *moved = old_d->inode, *wh = NULL;
	long ret;

	if (!oe)
		return -LINUX_ENOENT;
	if (flags & LINUX_RENAME_EXCHANGE) {
		ret = ne ? tmpfs_exchange(od, oe, nd, ne) : -LINUX_ENOENT;
		goto times;
	}
	if (ne && LINUX_S_ISDIR(ne->inode->mode) && tnode_of(ne->inode)->nr_live)
		return -LINUX_ENOTEMPTY;
	if (flags & LINUX_RENAME_WHITEOUT) {
		ret = tmpfs_new_inode(od->sb, NULL, LINUX_S_IFCHR, NULL, &wh);
		if (ret)
			return ret;
	}
	if (ne) {
		struct inode *victim = ne->inode;

		inode_dec_nlink(victim);
		if (LINUX_S_ISDIR(victim->mode)) {
			victim->nlink = 0;
			tnode_of(victim)->parent = victim;
			inode_dec_nlink(nd);
		}
		inode_touch(victim, false, false, true);
		ne->inode = inode_get(moved);
		inode_put(victim);
	} else {
		ret = tdir_add(nd, new_d->name, new_d->name_len, moved);
		if (ret) {
			inode_put(wh);
			return ret;
		}
	}
	set_parent(moved, od, nd);
	if (wh) {
		inode_put(oe->inode);
		oe->inode = wh;
	} else {
		tdir_del(od, tdir_find(od, old_d->name, old_d->name_len));
	}
	inode_touch(moved, false, false, true);
	ret = 0;
times:
	if (ret == 0) {
		inode_touch(od, false, true, true);
		inode_touch(nd, false, true, true);
	}
	return ret;
}

long tmpfs_add(struct inode *dir, const char *name, struct inode *i)
{
	long ret = tdir_add(dir, name, strlen(name), i);

	if (ret == 0 && LINUX_S_ISDIR(i->mode)) {
		tnode_of(i)->parent = dir;
		inode_inc_nlink(dir);
	}
	inode_put(i);
	return ret;
}

/* ---- reading ---- */

static uint8_t dtype(uint32_t mode)
{
	return (mode & LINUX_S_IFMT) >> 12;
}

static long tmpfs_iterate(struct file *f, struct dir_emit *e, uint64_t *pos)
{
	struct inode *dir = f->inode;
	struct tnode *n = tnode_of(dir);

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
	for (uint32_t k = order_search(n, *pos); k < n->nr_order; k++) {
		struct tdirent *d = n->order[k];

		if (!d)
			continue;
		if (!e->add(e, d->name, d->len, d->inode->ino, dtype(d->inode->mode), d->off + 1))
			return 0;
		*pos = d->off + 1;
	}
	return 0;
}

static long tmpfs_getxattr(struct inode *i, const char *name, void *val, size_t size)
{
	return simple_xattr_get(&tnode_of(i)->xattrs, name, val, size);
}

static long tmpfs_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags)
{
	/* ACLs live in the inode itself. */
	long ret = !strncmp(name, "system.", 7) ? 0 : simple_xattr_set(&tnode_of(i)->xattrs, name, val, size, flags);

	if (ret == 0)
		inode_touch(i, false, false, true);
	return ret;
}

static long tmpfs_listxattr(struct inode *i, char *out, size_t size)
{
	return simple_xattr_list(&tnode_of(i)->xattrs, out, size);
}

static long tmpfs_removexattr(struct inode *i, const char *name)
{
	return !strncmp(name, "system.", 7) ? 0 : simple_xattr_remove(&tnode_of(i)->xattrs, name);
}

static long tmpfs_setattr(struct inode *i, const struct iattr *a)
{
	if (a->valid & ATTR_SIZE) {
		long ret = LINUX_S_ISREG(i->mode) ? tdata_truncate(i, a->size) : -LINUX_EINVAL;

		if (ret)
			return ret;
	}
	return generic_setattr(i, a);
}

#define TMPFS_COMMON_OPS                                                                           \
	.setattr = tmpfs_setattr, .getxattr = tmpfs_getxattr, .setxattr = tmpfs_setxattr, .listxattr = tmpfs_listxattr,             \
	.removexattr = tmpfs_removexattr, .get_flags = generic_get_flags, .set_flags = generic_set_flags

const struct inode_ops tmpfs_dir_ops = {
	.lookup = tmpfs_lookup,
	.create = tmpfs_create,
	.mkdir = tmpfs_create,
	.mknod = tmpfs_mknod,
	.symlink = tmpfs_symlink,
	.link = tmpfs_link,
	.unlink = tmpfs_unlink,
	.rmdir = tmpfs_rmdir,
	.rename = tmpfs_rename,
	.tmpfile = tmpfs_tmpfile,
	TMPFS_COMMON_OPS,
};
const struct inode_ops tmpfs_file_ops_i = { TMPFS_COMMON_OPS };
const struct inode_ops tmpfs_link_ops = { TMPFS_COMMON_OPS };
const struct inode_ops tmpfs_special_ops = { TMPFS_COMMON_OPS };

const struct file_ops tmpfs_dir_fops = { .iterate = tmpfs_iterate };
