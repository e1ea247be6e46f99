/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/dir.c - making, removing and renaming names
 *
 * Model:   every change happens in the upper layer, whose directory is made first (copy-up). Removing a name that a lower layer
 *          shows leaves a whiteout; making one removes the whiteout, and a new directory in its place is opaque.
 */
#include <string.h>

#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/stack.h"

static long put_whiteout(struct inode *dir, struct dentry *updir, const char *name)
{
	const struct stack_new s = { .mode = LINUX_S_IFCHR, .rdev = 0, .cred = ovl_of(dir->sb)->cred };
	struct dentry *d;
	long ret = stack_make(updir, name, &s, &d);

	if (ret == 0)
		d_put(d);
	return ret;
}

/* True: a whiteout stood there and is gone. */
static bool drop_whiteout(struct dentry *updir, const char *name)
{
	struct dentry *d;
	bool was;

	if (lookup_one(updir, name, strlen(name), &d))
		return false;
	was = d->inode && ovl_is_whiteout(d->inode);
	d_put(d);
	return was && stack_remove(updir, name) == 0;
}

static long upper_dir(struct inode *dir, struct dentry **out)
{
	long ret = ovl_copy_up(dir, true);

	*out = onode_upper(onode_of(dir));
	return ret;
}

static long set_opaque(struct inode *dir, struct dentry *up)
{
	struct inode *i = up->inode;
	long ret;

	sleep_lock(&i->i_lock);
	ret = i->ops->setxattr ? i->ops->setxattr(i, ovl_opaque_name(dir->sb), "y", 1, 0) : -LINUX_EOPNOTSUPP;
	sleep_unlock(&i->i_lock);
	return ret;
}

/* Times of a directory are its upper's, which the layer's operation moved; nothing else to mirror. */
static long make_new(struct inode *dir, struct dentry *d, const struct stack_new *s)
{
	struct dentry *updir, *up;
	struct inode *i;
	bool hidden;
	long ret = upper_dir(dir, &updir);

	if (ret)
		return ret;
	hidden = drop_whiteout(updir, d->name);
	ret = stack_make(updir, d->name, s, &up);
	if (!ret && hidden && LINUX_S_ISDIR(s->mode)) {
		ret = set_opaque(dir, up);
		if (ret) {
			stack_remove(updir, d->name);
			d_put(up);
		}
	}
	if (!ret)
		ret = ovl_inode_get(dir->sb, up, NULL, 0, dir, d->name, &i);
	if (ret) {
		if (hidden)
			put_whiteout(dir, updir, d->name);
		return ret;
	}
	d_instantiate(d, i);
	return 0;
}

static long ovl_create(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c)
{
	const struct stack_new s = { .mode = mode, .cred = c };

	return make_new(dir, d, &s);
}

static long ovl_mknod(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *c)
{
	const struct stack_new s = { .mode = mode, .rdev = rdev, .cred = c };

	/* What would be a whiteout cannot be made from above. */
	if (LINUX_S_ISCHR(mode) && rdev == 0)
		return -LINUX_EPERM;
	return make_new(dir, d, &s);
}

static long ovl_symlink(struct inode *dir, struct dentry *d, const char *target, const struct cred *c)
{
	const struct stack_new s = { .mode = LINUX_S_IFLNK | 0777, .target = target, .cred = c };

	return make_new(dir, d, &s);
}

static long ovl_link(struct inode *dir, struct dentry *d, struct inode *target)
{
	struct dentry *updir, *up;
	bool hidden;
	long ret = ovl_copy_up(target, true);

	if (!ret)
		ret = upper_dir(dir, &updir);
	if (ret)
		return ret;
	hidden = drop_whiteout(updir, d->name);
	ret = stack_link(updir, d->name, onode_upper(onode_of(target))->inode, &up);
	if (ret) {
		if (hidden)
			put_whiteout(dir, updir, d->name);
		return ret;
	}
	d_put(up);
	inode_inc_nlink(target);
	d_instantiate(d, inode_get(target));
	return 0;
}

/* The name goes from the upper layer, and is hidden if a lower one shows it. */
static long remove_name(struct inode *dir, const char *name, size_t len)
{
	struct dentry *updir, *u;
	long lower = ovl_lower_has(dir, name, len), ret;

	if (lower < 0)
		return lower;
	ret = upper_dir(dir, &updir);
	if (!ret)
		ret = lookup_one(updir, name, len, &u);
	if (ret)
		return ret;
	if (u->inode)
		ret = stack_remove(updir, name);
	d_put(u);
	if (!ret && lower)
		ret = put_whiteout(dir, updir, name);
	return ret;
}

static long ovl_unlink(struct inode *dir, struct dentry *d)
{
	struct onode *n = onode_of(d->inode);
	long ret = remove_name(dir, d->name, d->name_len);

	if (ret)
		return ret;
	if (!onode_upper(n))
		n->unlinked = true;
	inode_dec_nlink(d->inode);
	return 0;
}

static long ovl_rmdir(struct inode *dir, struct dentry *d)
{
	struct dentry *up = onode_upper(onode_of(d->inode));
	long ret = ovl_dir_is_empty(d->inode);

	if (!ret && up)
		ret = ovl_clear_whiteouts(up, ovl_of(dir->sb)->cred);
	if (!ret)
		ret = remove_name(dir, d->name, d->name_len);
	if (!ret) {
		d->inode->nlink = 0;
		onode_of(d->inode)->unlinked = true;
	}
	return ret;
}

/* ---- rename ---- */

/* A directory can move only when no lower layer is part of it. */
static long may_move(struct inode *i)
{
	return LINUX_S_ISDIR(i->mode) && onode_of(i)->nr_lower ? -LINUX_EXDEV : 0;
}

/* Makes room for the moved name: what stands there in the upper layer may be replaced by the layer's rename. */
static long clear_target(struct inode *nd, struct dentry *new_d, struct dentry *nup, bool moving_dir)
{
	struct inode *v = new_d->inode;
	long ret;

	if (!v) {
		drop_whiteout(nup, new_d->name);
		return 0;
	}
	if (!LINUX_S_ISDIR(v->mode))
		return 0;
	ret = ovl_dir_is_empty(v);
	if (!ret && onode_upper(onode_of(v)))
		ret = ovl_clear_whiteouts(onode_upper(onode_of(v)), ovl_of(nd->sb)->cred);
	return ret;
}

static long ovl_exchange(struct dentry *old_d, struct dentry *oup, struct dentry *new_d, struct dentry *nup)
{
	long ret = new_d->inode ? may_move(new_d->inode) : -LINUX_ENOENT;

	if (!ret)
		ret = ovl_copy_up(new_d->inode, true);
	if (!ret)
		ret = stack_rename(oup, old_d->name, nup, new_d->name, LINUX_RENAME_EXCHANGE);
	return ret;
}

static void set_parent(struct inode *i, struct inode *dir)
{
	struct onode *n = onode_of(i);
	struct inode *old = n->parent;

	n->parent = inode_get(dir);
	if (old)
		inode_put(old);
}

static long ovl_rename(struct inode *od, struct dentry *old_d, struct inode *nd, struct dentry *new_d, uint32_t flags)
{
	struct inode *moved = old_d->inode, *victim = new_d->inode;
	bool isdir = LINUX_S_ISDIR(moved->mode);
	struct dentry *oup, *nup;
	long lower_old, lower_new, ret = may_move(moved);

	if (!ret)
		ret = ovl_copy_up(moved, true);
	if (!ret)
		ret = upper_dir(od, &oup);
	if (!ret)
		ret = upper_dir(nd, &nup);
	if (ret)
		return ret;
	if (flags & LINUX_RENAME_EXCHANGE) {
		ret = ovl_exchange(old_d, oup, new_d, nup);
		if (!ret) {
			set_parent(moved, nd);
			set_parent(victim, od);
		}
		return ret;
	}
	lower_old = ovl_lower_has(od, old_d->name, old_d->name_len);
	lower_new = ovl_lower_has(nd, new_d->name, new_d->name_len);
	if (lower_old < 0 || lower_new < 0)
		return MIN(lower_old, lower_new);
	ret = clear_target(nd, new_d, nup, isdir);
	if (!ret && isdir && lower_new)
		ret = set_opaque(nd, onode_upper(onode_of(moved)));
	if (!ret)
		ret = stack_rename(oup, old_d->name, nup, new_d->name, lower_old || flags & LINUX_RENAME_WHITEOUT ? LINUX_RENAME_WHITEOUT : 0);
	if (ret)
		return ret;
	set_parent(moved, nd);
	if (victim) {
		if (LINUX_S_ISDIR(victim->mode))
			victim->nlink = 0;
		else
			inode_dec_nlink(victim);
		if (!onode_upper(onode_of(victim)))
			onode_of(victim)->unlinked = true;
	}
	return 0;
}

static long ovl_tmpfile(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out)
{
	struct dentry *updir, *up;
	struct inode *ui;
	long ret = upper_dir(dir, &updir);

	if (ret)
		return ret;
	if (!updir->inode->ops->tmpfile)
		return -LINUX_EOPNOTSUPP;
	sleep_lock(&updir->inode->i_lock);
	ret = updir->inode->ops->tmpfile(updir->inode, mode, c, &ui);
	sleep_unlock(&updir->inode->i_lock);
	if (ret)
		return ret;
	up = d_alloc_anon(updir->sb, ui, "#tmpfile");
	if (!up)
		return -LINUX_ENOMEM;
	return ovl_inode_get(dir->sb, up, NULL, 0, NULL, NULL, out);
}

/* ---- attributes: on the upper inode, mirrored here ---- */

static struct inode *real_of(struct inode *i)
{
	return rcu_load(i->real);
}

static long ovl_setattr(struct inode *i, const struct iattr *a)
{
	long ret = ovl_copy_up(i, true);

	if (ret)
		return ret;
	ret = stack_setattr(real_of(i), a);
	inode_mirror(i);
	if (!ret && a->valid & ATTR_MODE)
		ret = inode_copy_acl(i, real_of(i));
	return ret;
}

static long ovl_getxattr(struct inode *i, const char *name, void *val, size_t size)
{
	struct inode *r = real_of(i);

	if (ovl_is_private_xattr(name))
		return -LINUX_ENODATA;
	return r->ops->getxattr ? r->ops->getxattr(r, name, val, size) : -LINUX_EOPNOTSUPP;
}

static long ovl_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags)
{
	struct inode *r;
	long ret;

	if (ovl_is_private_xattr(name))
		return -LINUX_EPERM;
	ret = ovl_copy_up(i, true);
	if (ret)
		return ret;
	r = real_of(i);
	sleep_lock(&r->i_lock);
	ret = r->ops->setxattr ? r->ops->setxattr(r, name, val, size, flags) : -LINUX_EOPNOTSUPP;
	if (!ret && !strcmp(name, "system.posix_acl_access"))
		ret = inode_set_acl(r, false, val, size);
	else if (!ret && !strcmp(name, "system.posix_acl_default"))
		ret = inode_set_acl(r, true, val, size);
	if (!ret && !strcmp(name, "security.capability"))
		atomic_fetch_or(&r->iflags, I_HAS_CAPS);
	sleep_unlock(&r->i_lock);
	inode_mirror(i);
	return ret;
}

static long ovl_removexattr(struct inode *i, const char *name)
{
	struct inode *r;
	long ret;

	if (ovl_is_private_xattr(name))
		return -LINUX_ENODATA;
	ret = ovl_copy_up(i, true);
	if (ret)
		return ret;
	r = real_of(i);
	sleep_lock(&r->i_lock);
	ret = r->ops->removexattr ? r->ops->removexattr(r, name) : -LINUX_EOPNOTSUPP;
	if (!ret && !strcmp(name, "system.posix_acl_access"))
		ret = inode_set_acl(r, false, NULL, 0);
	else if (!ret && !strcmp(name, "system.posix_acl_default"))
		ret = inode_set_acl(r, true, NULL, 0);
	sleep_unlock(&r->i_lock);
	return ret;
}

static long ovl_listxattr(struct inode *i, char *out, size_t size)
{
	struct inode *r = real_of(i);
	long len = r->ops->listxattr ? r->ops->listxattr(r, out, size) : 0, keep = 0;

	if (len <= 0 || !size)
		return len;
	for (long at = 0, n; at < len; at += n) {
		n = (long)strnlen(out + at, (size_t)(len - at)) + 1;
		if (ovl_is_private_xattr(out + at))
			continue;
		memmove(out + keep, out + at, (size_t)n);
		keep += n;
	}
	return keep;
}

static long ovl_readlink(struct inode *i, char *out, size_t cap)
{
	struct inode *r = real_of(i);

	return r->ops->readlink ? r->ops->readlink(r, out, cap) : -LINUX_EINVAL;
}

static long ovl_open_real(struct inode *i, uint32_t flags, struct inode **out)
{
	bool write = (flags & LINUX_O_ACCMODE) != LINUX_O_RDONLY || flags & LINUX_O_TRUNC;
	long ret = write ? ovl_copy_up(i, !(flags & LINUX_O_TRUNC)) : 0;

	if (ret == 0)
		*out = inode_get(real_of(i));
	return ret;
}

static long ovl_set_flags(struct inode *i, uint32_t flags)
{
	struct inode *r;
	long ret = ovl_copy_up(i, true);

	if (ret)
		return ret;
	r = real_of(i);
	sleep_lock(&r->i_lock);
	ret = r->ops->set_flags ? r->ops->set_flags(r, flags) : -LINUX_ENOTTY;
	sleep_unlock(&r->i_lock);
	return ret ? ret : generic_set_flags(i, flags);
}

#define OVL_COMMON_OPS                                                                             \
	.setattr = ovl_setattr, .getxattr = ovl_getxattr, .setxattr = ovl_setxattr, .listxattr = ovl_listxattr,                     \
	.removexattr = ovl_removexattr, .get_flags = generic_get_flags, .set_flags = ovl_set_flags

const struct inode_ops ovl_dir_ops = {
	.lookup = ovl_lookup,
	.create = ovl_create,
	.mkdir = ovl_create,
	.mknod = ovl_mknod,
	.symlink = ovl_symlink,
	.link = ovl_link,
	.unlink = ovl_unlink,
	.rmdir = ovl_rmdir,
	.rename = ovl_rename,
	.tmpfile = ovl_tmpfile,
	OVL_COMMON_OPS,
};
const struct inode_ops ovl_file_ops = { .open_real = ovl_open_real, OVL_COMMON_OPS };
const struct inode_ops ovl_link_ops = { .readlink = ovl_readlink, OVL_COMMON_OPS };
