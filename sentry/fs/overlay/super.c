/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/super.c - mounting: layers from options or from boot code
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/overlay/overlay.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/stack.h"

const char *ovl_opaque_name(const struct super_block *sb)
{
	return ovl_of(sb)->userxattr ? "user.overlay.opaque" : "trusted.overlay.opaque";
}

bool ovl_is_private_xattr(const char *name)
{
	return !strncmp(name, "trusted.overlay.", 16) || !strncmp(name, "user.overlay.", 13);
}

static void layer_put(struct ovl_layer *l)
{
	if (!l->path.dentry)
		return;
	path_put(&l->path);
	sb_put(l->sb);
}

static void layer_from_sb(struct ovl_layer *l, struct super_block *sb)
{
	l->sb = sb_get(sb);
	l->path = (struct path){ .dentry = d_get(sb->root) };
}

static void ovl_put_super(struct super_block *sb)
{
	struct ovl_sb *o = ovl_of(sb);

	if (!o)
		return;
	ovl_unpin_all(sb);
	layer_put(&o->upper);
	for (uint32_t k = 0; k < o->nr_lower; k++)
		layer_put(&o->lower[k]);
	free(o->lower);
	free(o->options);
	cred_put(o->cred);
	free(o);
}

static long ovl_statfs(struct super_block *sb, struct dentry *d, struct linux_statfs *out)
{
	struct ovl_sb *o = ovl_of(sb);
	struct super_block *real = o->upper.sb ? o->upper.sb : o->lower[0].sb;
	long ret = real->ops && real->ops->statfs ? real->ops->statfs(real, real->root, out) : 0;

	out->f_type = OVERLAY_MAGIC;
	return ret;
}

static long ovl_sync(struct super_block *sb)
{
	struct super_block *up = ovl_of(sb)->upper.sb;

	return up && up->ops && up->ops->sync ? up->ops->sync(up) : 0;
}

static void ovl_show_options(struct super_block *sb, struct buf *out)
{
	if (ovl_of(sb)->options)
		buf_printf(out, ",%s", ovl_of(sb)->options);
}

static const struct super_ops ovl_super_ops = {
	.free_inode = ovl_free_inode,
	.put_super = ovl_put_super,
	.statfs = ovl_statfs,
	.sync = ovl_sync,
	.show_options = ovl_show_options,
};

/* ---- options ---- */

static long layer_from_path(const struct vfs_ctx *ctx, char *text, struct ovl_layer *l)
{
	char *w = text;
	long ret;

	for (char *r = text; *r; r++) {	/* "\:" and "\," stand for themselves */
		if (*r == '\\' && r[1])
			r++;
		*w++ = *r;
	}
	*w = 0;
	ret = vfs_lookup(ctx, LINUX_AT_FDCWD, text, WALK_FOLLOW | WALK_DIRECTORY, &l->path);
	if (!ret)
		l->sb = sb_get(l->path.dentry->sb);
	return ret;
}

/* The next piece up to @sep, backslashes respected; NULL at the end. */
static char *next_piece(char **s, char sep)
{
	char *start = *s, *p;

	if (!start)
		return NULL;
	for (p = start; *p && *p != sep; p++)
		if (*p == '\\' && p[1])
			p++;
	*s = *p ? p + 1 : NULL;
	*p = 0;
	return start;
}

static long add_lowers(struct ovl_sb *o, const struct vfs_ctx *ctx, char *list)
{
	char *dir;
	long ret = 0;

	while (!ret && (dir = next_piece(&list, ':'))) {
		struct ovl_layer *l;

		if (!*dir || o->nr_lower >= OVL_MAX_LOWER)
			return -LINUX_EINVAL;
		l = reallocarray(o->lower, o->nr_lower + 1, sizeof(*l));
		if (!l)
			return -LINUX_ENOMEM;
		o->lower = l;
		o->lower[o->nr_lower] = (struct ovl_layer){ 0 };
		ret = layer_from_path(ctx, dir, &o->lower[o->nr_lower]);
		o->nr_lower += !ret;
	}
	return ret;
}

static long one_option(struct ovl_sb *o, const struct vfs_ctx *ctx, char *opt, struct ovl_layer *work)
{
	static const char *const ignored[] = { "index=off", "metacopy=off", "redirect_dir=off", "redirect_dir=nofollow", "xino=off", "xino=auto",
					       "xino=on", "nfs_export=off", "volatile", "uuid=off", "uuid=null", "uuid=on" };

	if (!strncmp(opt, "lowerdir=", 9))
		return add_lowers(o, ctx, opt + 9);
	if (!strncmp(opt, "upperdir=", 9))
		return o->upper.path.dentry ? -LINUX_EINVAL : layer_from_path(ctx, opt + 9, &o->upper);
	if (!strncmp(opt, "workdir=", 8))
		return work->path.dentry ? -LINUX_EINVAL : layer_from_path(ctx, opt + 8, work);
	if (!strcmp(opt, "userxattr")) {
		o->userxattr = true;
		return 0;
	}
	for (size_t k = 0; k < ARRAY_SIZE(ignored); k++)
		if (!strcmp(opt, ignored[k]))
			return 0;
	return -LINUX_EINVAL;
}

/* Changes in the upper layer are single steps there, nothing is staged; but who mounts expects the place for it. */
static long prepare_work(struct ovl_sb *o, const struct ovl_layer *work)
{
	const struct stack_new dir = { .mode = LINUX_S_IFDIR, .cred = o->cred };
	struct dentry *d;
	long ret;

	if (work->path.mnt != o->upper.path.mnt || work->path.dentry == o->upper.path.dentry)
		return -LINUX_EINVAL;
	ret = mnt_want_write(work->path.mnt);
	if (ret)
		return ret == -LINUX_EROFS ? 0 : ret; /* then there are no changes either */
	ret = stack_make(work->path.dentry, "work", &dir, &d);
	mnt_drop_write(work->path.mnt);
	if (!ret)
		d_put(d);
	return ret == -LINUX_EEXIST ? 0 : ret;
}

static long parse(struct ovl_sb *o, const struct fs_mount_args *a)
{
	char *copy, *rest, *opt;
	struct ovl_layer work = { 0 };
	long ret = 0;

	if (!a->ctx)
		return -LINUX_EINVAL;
	o->options = strdup(a->options);
	rest = copy = strdup(a->options);
	if (!copy || !o->options) {
		free(copy);
		return -LINUX_ENOMEM;
	}
	while (!ret && (opt = next_piece(&rest, ',')))
		if (*opt)
			ret = one_option(o, a->ctx, opt, &work);
	free(copy);
	if (!ret && (!o->nr_lower || (o->upper.path.dentry && !work.path.dentry)))
		ret = -LINUX_EINVAL;
	if (!ret && o->upper.path.dentry)
		ret = prepare_work(o, &work);
	if (work.path.dentry) {
		path_put(&work.path);
		sb_put(work.sb);
	}
	return ret;
}

/* ---- super block ---- */

static long make_root(struct super_block *sb)
{
	struct ovl_sb *o = ovl_of(sb);
	struct dentry **lower = calloc(o->nr_lower, sizeof(*lower));
	struct inode *root;
	long ret;

	if (!lower)
		return -LINUX_ENOMEM;
	for (uint32_t k = 0; k < o->nr_lower; k++)
		lower[k] = d_get(o->lower[k].path.dentry);
	ret = ovl_inode_get(sb, o->upper.path.dentry ? d_get(o->upper.path.dentry) : NULL, lower, o->nr_lower, NULL, NULL, &root);
	if (ret)
		return ret;
	sb->root = d_alloc_root(sb, root);
	return sb->root ? 0 : -LINUX_ENOMEM;
}

/* A fresh upper layer takes over how the root of the lower one looks. */
static long adopt_root(struct ovl_sb *o)
{
	struct inode *low = o->lower[0].path.dentry->inode, *up = o->upper.path.dentry->inode;
	struct iattr a = { .valid = ATTR_MODE | ATTR_UID | ATTR_GID | ATTR_ATIME | ATTR_MTIME, .mode = low->mode & 07777, .uid = low->uid,
			   .gid = low->gid, .atime = low->atime, .mtime = low->mtime };

	return up->ops->setattr ? up->ops->setattr(up, &a) : generic_setattr(up, &a);
}

static long ovl_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	const struct overlay_layers *given = a->kernel_arg;
	struct ovl_sb *o = calloc(1, sizeof(*o));
	struct super_block *sb = o ? sb_alloc(t, &ovl_super_ops, a) : NULL;
	long ret = -LINUX_ENOMEM;

	if (!sb) {
		free(o);
		return ret;
	}
	sb->priv = o;
	o->cred = cred_new_root();
	if (!o->cred)
		goto fail;
	if (given) {
		o->lower = calloc(1, sizeof(*o->lower));
		if (!o->lower)
			goto fail;
		layer_from_sb(&o->lower[0], given->lower);
		o->nr_lower = 1;
		if (given->upper)
			layer_from_sb(&o->upper, given->upper);
		ret = given->upper ? adopt_root(o) : 0;
	} else {
		ret = parse(o, a);
	}
	if (!ret && !o->upper.path.dentry)
		sb->flags |= LINUX_MS_RDONLY;
	if (!ret)
		ret = make_root(sb);
	if (ret)
		goto fail;
	*out = sb;
	return 0;
fail:
	sb_put(sb);
	return ret;
}

static struct fs_type overlay_type = {
	.name = "overlay",
	.flags = FST_USERNS_MOUNT | FST_NODEV | FST_HANDLES,
	.magic = OVERLAY_MAGIC,
	.get_sb = ovl_get_sb,
};

void overlay_init(void)
{
	fs_register(&overlay_type);
}
