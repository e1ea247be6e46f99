/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/lookup.c - finding names in layers; overlay inodes by what they stand for
 */
#include <string.h>

#include "sentry/fs/overlay/overlay.h"

bool ovl_is_whiteout(const struct inode *i)
{
	return LINUX_S_ISCHR(i->mode) && i->rdev == 0;
}

bool ovl_is_opaque(struct super_block *osb, struct inode *dir)
{
	char v;

	return dir->ops->getxattr && dir->ops->getxattr(dir, ovl_opaque_name(osb), &v, 1) == 1 && v == 'y';
}

/* ---- inodes ---- */

static struct onode **bucket(struct ovl_sb *o, const struct inode *key)
{
	return &o->hash[((uint64_t)(uintptr_t)key * 0x9e3779b97f4a7c15ull) >> 54];
}
_Static_assert(OVL_HASH == 1024, "the hash keeps ten bits");

static void onode_free(struct onode *n)
{
	if (n->upper)
		d_put(n->upper);
	for (uint32_t k = 0; k < n->nr_lower; k++)
		d_put(n->lower[k]);
	free(n->lower);
	if (n->parent)
		inode_put(n->parent);
	free(n->name);
	free(n);
}

void ovl_free_inode(struct inode *i)
{
	struct ovl_sb *o = ovl_of(i->sb);
	struct onode *n = onode_of(i), **pp;

	if (!n)
		return;
	mutex_lock(&o->hash_mu);
	for (pp = bucket(o, n->key); *pp; pp = &(*pp)->hash_next)
		if (*pp == n) {
			*pp = n->hash_next;
			break;
		}
	mutex_unlock(&o->hash_mu);
	onode_free(n);
}

void ovl_unpin_all(struct super_block *sb)
{
	struct ovl_sb *o = ovl_of(sb);

	for (uint32_t b = 0; b < OVL_HASH; b++)
		for (struct onode *n = o->hash[b]; n;) {
			if (!n->pinned) {
				n = n->hash_next;
				continue;
			}
			n->pinned = false;
			inode_put(n->inode);
			n = o->hash[b];	/* the chain changed */
		}
}

static struct inode *find_inode(struct ovl_sb *o, const struct inode *key)
{
	struct inode *i = NULL;

	mutex_lock(&o->hash_mu);
	for (struct onode *n = *bucket(o, key); n; n = n->hash_next)
		if (n->key == key && ref_get_unless_zero(&n->inode->ref)) {
			i = n->inode;
			break;
		}
	mutex_unlock(&o->hash_mu);
	return i;
}

/* Numbers must not collide between layers; the first lower layer keeps its own. */
static uint64_t ovl_ino(const struct ovl_sb *o, const struct inode *key)
{
	for (uint32_t k = 0; k < o->nr_lower; k++)
		if (o->lower[k].sb == key->sb)
			return key->ino ^ (uint64_t)k << 48;
	return key->ino ^ 1ull << 47;
}

static long init_inode(struct inode *i, struct onode *n, const struct inode *real)
{
	i->mode = real->mode;
	i->uid = real->uid;
	i->gid = real->gid;
	i->rdev = real->rdev;
	i->nlink = LINUX_S_ISDIR(real->mode) ? 1 : real->nlink;
	i->ino = ovl_ino(ovl_of(i->sb), n->key);
	i->iflags = real->iflags & (I_HAS_CAPS | I_IMMUTABLE | I_APPEND | I_NOATIME);
	if (LINUX_S_ISDIR(real->mode)) {
		i->ops = &ovl_dir_ops;
		i->fops = &ovl_dir_fops;
	} else if (LINUX_S_ISLNK(real->mode)) {
		i->ops = &ovl_link_ops;
		i->link = real->link ? strdup(real->link) : NULL;
	} else {
		i->ops = &ovl_file_ops;
		i->fops = real->fops;
	}
	rcu_store(i->real, (struct inode *)real);
	return inode_copy_acl(i, real);
}

long ovl_inode_get(struct super_block *sb, struct dentry *upper, struct dentry **lower, uint32_t nr_lower, struct inode *parent,
		   const char *name, struct inode **out)
{
	struct ovl_sb *o = ovl_of(sb);
	const struct inode *real = upper ? upper->inode : lower[0]->inode;
	struct onode *n = calloc(1, sizeof(*n));
	struct inode *i;
	long ret = -LINUX_ENOMEM;

	if (!n)
		goto fail_refs;
	n->upper = upper;
	n->lower = lower;
	n->nr_lower = nr_lower;
	n->key = nr_lower && (LINUX_S_ISDIR(real->mode) || !upper) ? lower[0]->inode : real;
	sleeplock_init(&n->copy_lock);
	/* Directories have one name, so their dentry is the identity; files may have several. */
	if (!LINUX_S_ISDIR(real->mode)) {
		i = find_inode(o, n->key);
		if (i) {
			onode_free(n);
			*out = i;
			return 0;
		}
	}
	n->parent = parent ? inode_get(parent) : NULL;
	n->name = name ? strdup(name) : NULL;
	i = n->name || !name ? inode_new(sb, real->mode) : NULL;
	if (!i) {
		onode_free(n);
		return ret;
	}
	n->inode = i;
	ret = init_inode(i, n, real);
	if (ret) {
		onode_free(n);
		inode_put(i);
		return ret;
	}
	i->priv = n;
	mutex_lock(&o->hash_mu);
	n->hash_next = *bucket(o, n->key);
	*bucket(o, n->key) = n;
	mutex_unlock(&o->hash_mu);
	*out = i;
	return 0;
fail_refs:
	if (upper)
		d_put(upper);
	for (uint32_t k = 0; k < nr_lower; k++)
		d_put(lower[k]);
	free(lower);
	return ret;
}

/* ---- names ---- */

struct found {
	struct dentry *upper;
	struct dentry **lower;
	uint32_t nr_lower;
};

static void found_put(struct found *f)
{
	if (f->upper)
		d_put(f->upper);
	for (uint32_t k = 0; k < f->nr_lower; k++)
		d_put(f->lower[k]);
	free(f->lower);
}

/* The upper layer's answer. 0: look further down; 1: this is all; or an error. */
static long find_upper(struct inode *dir, const char *name, size_t len, struct found *f)
{
	struct dentry *up = onode_upper(onode_of(dir)), *d;
	long ret;

	if (!up)
		return 0;
	ret = lookup_one(up, name, len, &d);
	if (ret)
		return ret;
	if (!d->inode) {
		d_put(d);
		return 0;
	}
	if (ovl_is_whiteout(d->inode)) {
		d_put(d);
		return 1;
	}
	f->upper = d;
	return !LINUX_S_ISDIR(d->inode->mode) || ovl_is_opaque(dir->sb, d->inode);
}

/* One lower layer's answer, likewise. */
static long find_lower(struct inode *dir, struct dentry *ldir, const char *name, size_t len, struct found *f)
{
	struct dentry *d;
	bool isdir;
	long ret = lookup_one(ldir, name, len, &d);

	if (ret)
		return ret;
	if (!d->inode) {
		d_put(d);
		return 0;
	}
	isdir = LINUX_S_ISDIR(d->inode->mode);
	if (ovl_is_whiteout(d->inode) || (!isdir && (f->upper || f->nr_lower))) {
		d_put(d);
		return 1;
	}
	f->lower[f->nr_lower++] = d;
	return !isdir || ovl_is_opaque(dir->sb, d->inode);
}

static long find_layers(struct inode *dir, const char *name, size_t len, struct found *f)
{
	struct onode *n = onode_of(dir);
	long ret = find_upper(dir, name, len, f);

	if (ret == 0 && n->nr_lower) {
		f->lower = calloc(n->nr_lower, sizeof(*f->lower));
		if (!f->lower)
			ret = -LINUX_ENOMEM;
	}
	for (uint32_t k = 0; k < n->nr_lower && ret == 0; k++)
		ret = find_lower(dir, n->lower[k], name, len, f);
	return MIN(ret, 0L);
}

long ovl_lookup(struct inode *dir, struct dentry *d)
{
	struct found f = { 0 };
	struct inode *i;
	long ret = find_layers(dir, d->name, d->name_len, &f);

	if (ret || (!f.upper && !f.nr_lower)) {
		found_put(&f);
		return ret;
	}
	ret = ovl_inode_get(dir->sb, f.upper, f.lower, f.nr_lower, dir, d->name, &i);
	if (ret == 0)
		d_instantiate(d, i);
	return ret;
}

long ovl_lower_has(struct inode *dir, const char *name, size_t len)
{
	struct onode *n = onode_of(dir);

	for (uint32_t k = 0; k < n->nr_lower; k++) {
		struct dentry *d;
		long ret = lookup_one(n->lower[k], name, len, &d);

		if (ret)
			return ret;
		ret = d->inode ? (ovl_is_whiteout(d->inode) ? 2 : 1) : 0;
		d_put(d);
		if (ret)
			return ret == 1;
	}
	return 0;
}
