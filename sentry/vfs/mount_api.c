/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount_api.c - mounts as descriptors: fsopen, fsconfig, fsmount, fspick, open_tree, move_mount
 *
 * Model:   a context file gathers options as the comma list that mount(2) takes; CMD_CREATE makes the super block from it. A
 *          detached tree lives in the file that open_tree or fsmount returned, until move_mount attaches it; closing it earlier
 *          takes it down.
 * Locks:   fscontext.lock; mount_lock for trees.
 * Source:  the newer mount interface: linux/mount.h, mount_setattr(2).
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

enum {
	FSCONFIG_SET_FLAG,
	FSCONFIG_SET_STRING,
	FSCONFIG_SET_BINARY,
	FSCONFIG_SET_PATH,
	FSCONFIG_SET_PATH_EMPTY,
	FSCONFIG_SET_FD,
	FSCONFIG_CMD_CREATE,
	FSCONFIG_CMD_RECONFIGURE,
	FSCONFIG_CMD_CREATE_EXCL,
};

#define OPTIONS_MAX 4096

struct fscontext {
	struct sleeplock lock;
	struct fs_type *type;
	char subtype[FS_SUBTYPE_MAX];	/* immutable; "" none */
	struct buf options;		/* guarded by lock, as all below */
	char *source;
	uint32_t sb_flags;
	struct super_block *sb;		/* reference, once made */
	struct dentry *root;		/* reference; what a mount of sb shows */
	struct path picked;		/* fspick: references */
	bool failed;
};

static void context_release(struct file *f)
{
	struct fscontext *c = f->priv;

	buf_fini(&c->options);
	free(c->source);
	if (c->root)
		d_put(c->root);
	sb_put(c->sb);
	path_put(&c->picked);
	free(c);
}

/* Messages of the kernel to the caller; we leave none. */
static long context_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	return -LINUX_ENODATA;
}

static const struct file_ops context_fops = { .release = context_release, .read = context_read };

static long context_new(const struct vfs_ctx *ctx, struct fs_type *t, struct file **out, struct fscontext **out_c)
{
	struct fscontext *c = calloc(1, sizeof(*c));
	long ret;

	if (!c)
		return -LINUX_ENOMEM;
	sleeplock_init(&c->lock);
	c->type = t;
	c->options.max = OPTIONS_MAX;
	ret = anon_file_new("[fscontext]", &context_fops, c, LINUX_O_RDWR, ctx->cred, out);
	if (ret)
		free(c);
	*out_c = c;
	return ret;
}

long mount_fsopen(const struct vfs_ctx *ctx, const char *type, struct file **out)
{
	struct fs_type *t = fs_find(type);
	struct fscontext *c;
	long ret;

	if (!t || t->flags & FST_KERNEL_ONLY)
		return -LINUX_ENODEV;
	if (!(t->flags & FST_USERNS_MOUNT) && !cred_has_cap(ctx->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	ret = context_new(ctx, t, out, &c);
	if (!ret && fs_subtype(t, type))
		snprintf(c->subtype, sizeof(c->subtype), "%s", fs_subtype(t, type));
	return ret;
}

long mount_fspick(const struct vfs_ctx *ctx, const struct path *at, struct file **out)
{
	struct fscontext *c;
	long ret;

	if (at->dentry != at->mnt->root)
		return -LINUX_EINVAL;
	ret = context_new(ctx, at->mnt->sb->type, out, &c);
	if (ret)
		return ret;
	c->picked = *at;
	path_get(&c->picked);
	c->sb_flags = at->mnt->sb->flags;
	return 0;
}

static const struct {
	const char *key;
	uint32_t set, clear;
} sb_keys[] = {
	{ "ro", LINUX_MS_RDONLY, 0 },	    { "rw", 0, LINUX_MS_RDONLY },      { "sync", LINUX_MS_SYNCHRONOUS, 0 },
	{ "async", 0, LINUX_MS_SYNCHRONOUS }, { "dirsync", LINUX_MS_DIRSYNC, 0 }, { "lazytime", LINUX_MS_LAZYTIME, 0 },
	{ "nolazytime", 0, LINUX_MS_LAZYTIME }, { "mand", LINUX_MS_MANDLOCK, 0 }, { "nomand", 0, LINUX_MS_MANDLOCK },
};

static long set_flag(struct fscontext *c, const char *key)
{
	for (size_t k = 0; k < ARRAY_SIZE(sb_keys); k++)
		if (!strcmp(sb_keys[k].key, key)) {
			c->sb_flags = (c->sb_flags & ~sb_keys[k].clear) | sb_keys[k].set;
			return 0;
		}
	return buf_printf(&c->options, "%s%s", c->options.len ? "," : "", key) ? -LINUX_EINVAL : 0;
}

/* Separators within a value would become options of their own. */
static long set_string(struct fscontext *c, const char *key, const char *val)
{
	if (!strcmp(key, "source")) {
		char *s = c->source ? NULL : strdup(val);

		if (!s)
			return c->source ? -LINUX_EINVAL : -LINUX_ENOMEM;
		c->source = s;
		return 0;
	}
	if (strchr(val, ',') || strchr(key, ',') || strchr(key, '='))
		return -LINUX_EINVAL;
	/* Each call adds one layer; mount(2) takes them as one list. */
	if (!strcmp(key, "lowerdir+") && c->options.len) {
		char *at = strstr(c->options.data, "lowerdir=");

		if (at && !strchr(at, ','))
			return buf_printf(&c->options, ":%s", val) ? -LINUX_EINVAL : 0;
	}
	if (!strcmp(key, "lowerdir+"))
		key = "lowerdir";
	return buf_printf(&c->options, "%s%s=%s", c->options.len ? "," : "", key, val) ? -LINUX_EINVAL : 0;
}

static long cmd_create(const struct vfs_ctx *ctx, struct fscontext *c)
{
	const struct fs_mount_args a = {
		.source = c->source ? c->source : "none",
		.options = c->options.data ? c->options.data : "",
		.sb_flags = c->sb_flags,
		.cred = ctx->cred,
		.user_ns = ctx->cred->user_ns,
		.ctx = ctx,
		.subtype = c->subtype[0] ? c->subtype : NULL,
	};
	long ret;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	if (c->sb || c->picked.mnt || c->failed)
		return -LINUX_EBUSY;
	ret = c->type->get_sb(c->type, &a, &c->sb);
	if (!ret) {
		ret = sb_mount_root(c->sb, &a, &c->root);
		if (ret)
			c->sb = NULL;
	}
	if (ret)
		c->failed = true;
	return ret;
}

static long config_locked(const struct vfs_ctx *ctx, struct fscontext *c, uint32_t cmd, const char *key, const char *val)
{
	switch (cmd) {
	case FSCONFIG_SET_FLAG:
		return c->sb || !key || val ? -LINUX_EINVAL : set_flag(c, key);
	case FSCONFIG_SET_STRING:
		return c->sb || !key || !val ? -LINUX_EINVAL : set_string(c, key, val);
	case FSCONFIG_CMD_CREATE:
	case FSCONFIG_CMD_CREATE_EXCL:
		return key || val ? -LINUX_EINVAL : cmd_create(ctx, c);
	case FSCONFIG_CMD_RECONFIGURE:
		if (!c->picked.mnt)
			return -LINUX_EINVAL;
		return mount_remount(ctx, &c->picked, c->sb_flags | c->picked.mnt->flags, c->options.data, false);
	case FSCONFIG_SET_BINARY:
	case FSCONFIG_SET_PATH:
	case FSCONFIG_SET_PATH_EMPTY:
	case FSCONFIG_SET_FD:
		return -LINUX_EINVAL;	/* no file system here takes such parameters */
	default:
		return -LINUX_EOPNOTSUPP;
	}
}

long mount_fsconfig(const struct vfs_ctx *ctx, struct file *f, uint32_t cmd, const char *key, const char *val, int aux)
{
	struct fscontext *c = f->priv;
	long ret;

	if (f->ops != &context_fops)
		return -LINUX_EINVAL;
	sleep_lock(&c->lock);
	ret = config_locked(ctx, c, cmd, key, val);
	sleep_unlock(&c->lock);
	return ret;
}

/* ---- attributes ---- */

#define ATTR_ATIME_MASK	 0x70u
#define ATTR_NOATIME	 0x10u
#define ATTR_STRICTATIME 0x20u

static const struct {
	uint64_t attr;
	uint32_t ms;
} attr_bits[] = {
	{ 0x1, LINUX_MS_RDONLY }, { 0x2, LINUX_MS_NOSUID },	 { 0x4, LINUX_MS_NODEV },
	{ 0x8, LINUX_MS_NOEXEC }, { 0x80, LINUX_MS_NODIRATIME }, { 0x200000, LINUX_MS_NOSYMFOLLOW },
};

uint64_t mount_attr_of(uint32_t flags)
{
	uint64_t attr = flags & LINUX_MS_NOATIME ? ATTR_NOATIME : flags & LINUX_MS_RELATIME ? 0 : ATTR_STRICTATIME;

	for (size_t k = 0; k < ARRAY_SIZE(attr_bits); k++)
		attr |= flags & attr_bits[k].ms ? attr_bits[k].attr : 0;
	return attr;
}

long mount_attr_flags(uint64_t set, uint64_t clr, uint32_t *out_set, uint32_t *out_clr)
{
	uint64_t known = ATTR_ATIME_MASK;

	*out_set = *out_clr = 0;
	for (size_t k = 0; k < ARRAY_SIZE(attr_bits); k++) {
		known |= attr_bits[k].attr;
		*out_set |= set & attr_bits[k].attr ? attr_bits[k].ms : 0;
		*out_clr |= clr & attr_bits[k].attr ? attr_bits[k].ms : 0;
	}
	if ((set | clr) & ~known)
		return -LINUX_EINVAL;
	/* The three ways of treating atime exclude each other: changing means clearing all. */
	if (clr & ATTR_ATIME_MASK) {
		if ((clr & ATTR_ATIME_MASK) != ATTR_ATIME_MASK)
			return -LINUX_EINVAL;
		*out_clr |= LINUX_MS_NOATIME | LINUX_MS_RELATIME;
	} else if (set & ATTR_ATIME_MASK) {
		return -LINUX_EINVAL;
	}
	if (clr & ATTR_ATIME_MASK) {
		switch (set & ATTR_ATIME_MASK) {
		case 0:
			*out_set |= LINUX_MS_RELATIME;
			break;
		case ATTR_NOATIME:
			*out_set |= LINUX_MS_NOATIME;
			break;
		case ATTR_STRICTATIME:
			break;
		default:
			return -LINUX_EINVAL;
		}
	}
	return 0;
}

/* ---- detached trees ---- */

static void tree_release(struct file *f)
{
	struct list dead = LIST_HEAD_INIT(dead);
	struct mount *m = f->priv;

	sleep_lock(&mount_lock);
	if (!m->ns && !m->parent && !(m->flags & MNT_DOOMED))
		mnt_umount_tree(m, false, &dead);
	sleep_unlock(&mount_lock);
	mnt_put_list(&dead);
	mnt_put(m);
}

static const struct file_ops tree_fops = { .release = tree_release };

/* @m's tree reference passes to the file's path; a second one keeps the mount for release. */
static long tree_file(const struct vfs_ctx *ctx, struct mount *m, struct file **out)
{
	struct path p = { mnt_get(m), d_get(m->root) };
	long ret = file_alloc(&p, &tree_fops, LINUX_O_PATH, ctx->cred, out);

	if (ret) {
		struct list dead = LIST_HEAD_INIT(dead);

		sleep_lock(&mount_lock);
		mnt_umount_tree(m, false, &dead);
		sleep_unlock(&mount_lock);
		mnt_put_list(&dead);
		return ret;
	}
	(*out)->priv = mnt_get(m);
	return 0;
}

long mount_fsmount(const struct vfs_ctx *ctx, struct file *f, uint32_t attr, struct file **out)
{
	struct fscontext *c = f->priv;
	struct mount *m = NULL;
	uint32_t set, clr;
	long ret;

	if (f->ops != &context_fops)
		return -LINUX_EINVAL;
	ret = mount_attr_flags(attr, ATTR_ATIME_MASK, &set, &clr);
	if (ret)
		return ret;
	sleep_lock(&c->lock);
	if (!c->sb) {
		ret = -LINUX_EINVAL;
	} else {
		m = mnt_new(c->sb, c->root, c->source ? c->source : "none", set);
		ret = m ? 0 : -LINUX_ENOMEM;
		if (m) {
			d_put(TAKE_PTR(c->root));
			sb_put(TAKE_PTR(c->sb)); /* one mount per context */
			c->failed = true;
		}
	}
	sleep_unlock(&c->lock);
	return ret ? ret : tree_file(ctx, m, out);
}

long mount_open_tree(const struct vfs_ctx *ctx, const struct path *at, bool clone, bool rec, struct file **out)
{
	struct mount *m = NULL;
	long ret = -LINUX_EINVAL;

	if (!clone)
		return vfs_open_path(ctx, at, LINUX_O_PATH, out);
	sleep_lock(&mount_lock);
	if ((at->mnt->ns == ctx->mnt_ns || !at->mnt->ns) && !(at->mnt->flags & MNT_UNBINDABLE)) {
		m = mnt_copy_tree(at->mnt, at->dentry, (rec ? COPY_REC | COPY_NO_UNBINDABLE : 0) | COPY_SHARED);
		ret = m ? 0 : -LINUX_ENOMEM;
	}
	sleep_unlock(&mount_lock);
	return ret ? ret : tree_file(ctx, m, out);
}

long mount_move_file(const struct vfs_ctx *ctx, const struct path *from, const struct path *to)
{
	if (from->dentry != from->mnt->root)
		return -LINUX_EINVAL;
	/* A detached tree is attached; the tree's own reference, made with the mount, becomes the namespace's. */
	if (!from->mnt->ns && !from->mnt->parent)
		return mount_attach_tree(ctx, from->mnt, to);
	return mount_move(ctx, from, to);
}
