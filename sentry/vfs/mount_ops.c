/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount_ops.c - what mount(2), umount2(2), pivot_root(2) do; namespaces copied and entered
 *
 * Locks:   mount_lock around each change; super blocks are made before it is taken, references dropped after.
 * Source:  mount(2), umount2(2), pivot_root(2), mount_namespaces(7), mount_setattr(2).
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define MOUNT_MAX 100000	/* /proc/sys/fs/mount-max */

bool may_mount(const struct vfs_ctx *ctx)
{
	return cred_has_cap(ctx->cred, ctx->mnt_ns->user_ns, LINUX_CAP_SYS_ADMIN);
}

static bool is_mount_root(const struct path *p)
{
	return p->dentry == p->mnt->root;
}

/* @p again, on top of whatever was mounted there meanwhile; mount_lock held. */
static void top_mount(struct path *p)
{
	struct mount *m;

	while ((m = mnt_lookup(p->mnt, p->dentry))) {
		struct path n = { mnt_get(m), d_get(m->root) };

		path_put(p);
		*p = n;
	}
}

/* mount_lock held. Attaches @m (its reference goes to the tree) at @at. */
static long attach_locked(const struct vfs_ctx *ctx, struct mount *m, const struct path *at)
{
	struct path p = *at;
	long ret;

	path_get(&p);
	top_mount(&p);
	if (p.mnt->ns != ctx->mnt_ns)
		ret = -LINUX_EINVAL;
	else if (LINUX_S_ISDIR(p.dentry->inode->mode) != LINUX_S_ISDIR(m->root->inode->mode))
		ret = -LINUX_ENOTDIR;
	else if (p.dentry->flags & DENTRY_DELETED || p.dentry->inode->ops->get_link)
		ret = -LINUX_ENOENT; /* nothing may cover a link of /proc/PID/fd: who opens it relies on it */
	else if (p.mnt->ns->nr_mounts >= MOUNT_MAX)
		ret = -LINUX_ENOSPC;
	else
		ret = mnt_attach_propagate(m, &p);
	path_put(&p);
	return ret;
}

static long attach(const struct vfs_ctx *ctx, struct mount *m, const struct path *at)
{
	long ret;

	sleep_lock(&mount_lock);
	ret = attach_locked(ctx, m, at);
	sleep_unlock(&mount_lock);
	if (ret)
		mnt_put(m);
	return ret;
}

long vfs_mount_sb(struct mnt_ns *ns, const struct path *at, struct super_block *sb, struct dentry *root, uint32_t mnt_flags)
{
	const struct vfs_ctx ctx = { .mnt_ns = ns };
	struct mount *m = mnt_new(sb, root ? root : sb->root, sb->source, mnt_flags);

	sb_put(sb);
	return m ? attach(&ctx, m, at) : -LINUX_ENOMEM;
}

/* mount(2) flags to per-mount flags: atime updates are relative unless told otherwise. */
static uint32_t mnt_flags_of(uint32_t ms)
{
	uint32_t f = ms & (LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NODIRATIME | LINUX_MS_NOSYMFOLLOW);

	if (ms & LINUX_MS_NOATIME)
		f |= LINUX_MS_NOATIME;
	else if (!(ms & LINUX_MS_STRICTATIME))
		f |= LINUX_MS_RELATIME;
	return f;
}

long mount_new(const struct vfs_ctx *ctx, const struct path *at, const char *type, const char *source, const char *opts, uint32_t ms)
{
	struct fs_type *t = fs_find(type);
	const struct fs_mount_args a = {
		.source = source ? source : "none",
		.options = opts ? opts : "",
		.sb_flags = ms & (LINUX_MS_RDONLY | LINUX_MS_SYNCHRONOUS | LINUX_MS_DIRSYNC | LINUX_MS_MANDLOCK | LINUX_MS_LAZYTIME),
		.cred = ctx->cred,
		.user_ns = ctx->cred->user_ns,
		.ctx = ctx,
		.subtype = t ? fs_subtype(t, type) : NULL,
	};
	struct super_block *sb;
	struct dentry *root;
	struct mount *m;
	long ret;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	if (!t || t->flags & FST_KERNEL_ONLY)
		return -LINUX_ENODEV;
	if (!(t->flags & FST_USERNS_MOUNT) && !cred_has_cap(ctx->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	ret = t->get_sb(t, &a, &sb);
	if (!ret && at->mnt->sb == sb && is_mount_root(at)) {	/* that file system itself is what is there */
		sb_put(sb);
		ret = -LINUX_EBUSY;
	}
	if (!ret)
		ret = sb_mount_root(sb, &a, &root);
	if (ret)
		return ret;
	m = mnt_new(sb, root, a.source, mnt_flags_of(ms));
	d_put(root);
	sb_put(sb);
	return m ? attach(ctx, m, at) : -LINUX_ENOMEM;
}

long mount_bind(const struct vfs_ctx *ctx, const struct path *from, const struct path *at, bool rec)
{
	struct mount *m;
	long ret = -LINUX_EINVAL;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	sleep_lock(&mount_lock);
	if ((from->mnt->ns == ctx->mnt_ns || !from->mnt->ns) && !(from->mnt->flags & MNT_UNBINDABLE)) {
		m = mnt_copy_tree(from->mnt, from->dentry, (rec ? COPY_REC | COPY_NO_UNBINDABLE : 0) | COPY_SHARED);
		ret = m ? attach_locked(ctx, m, at) : -LINUX_ENOMEM;
		if (m && ret) {
			struct list dead = LIST_HEAD_INIT(dead);

			mnt_umount_tree(m, false, &dead);
			mnt_put_list(&dead);
		}
	}
	sleep_unlock(&mount_lock);
	return ret;
}

/* Flags that came from a more privileged namespace may be set but not cleared. */
static bool clears_locked(const struct mount *m, uint32_t new_flags)
{
	uint32_t atime = LINUX_MS_NOATIME | LINUX_MS_RELATIME | LINUX_MS_NODIRATIME;

	if (m->locked_flags & ~atime & ~new_flags)
		return true;
	return m->locked_flags && ((m->flags ^ new_flags) & atime) != 0;
}

long mount_remount(const struct vfs_ctx *ctx, const struct path *at, uint32_t ms, const char *opts, bool mount_only)
{
	struct mount *m = at->mnt;
	struct super_block *sb = m->sb;
	uint32_t flags = mnt_flags_of(ms);
	const struct fs_mount_args a = { .source = sb->source, .options = opts ? opts : "", .sb_flags = ms, .cred = ctx->cred, .user_ns = sb->user_ns };
	long ret = 0;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	if (!is_mount_root(at) || m->ns != ctx->mnt_ns)
		return -LINUX_EINVAL;
	/* Without a word about atime the setting stays. */
	if (!(ms & (LINUX_MS_NOATIME | LINUX_MS_RELATIME | LINUX_MS_STRICTATIME | LINUX_MS_NODIRATIME)))
		flags = (flags & ~(LINUX_MS_RELATIME)) | (m->flags & (LINUX_MS_NOATIME | LINUX_MS_RELATIME | LINUX_MS_NODIRATIME));
	sleep_lock(&mount_lock);
	if (clears_locked(m, flags)) {
		ret = -LINUX_EPERM;
	} else if (!mount_only && !sb->type->mount_root) {
		if (!cred_has_cap(ctx->cred, sb->user_ns, LINUX_CAP_SYS_ADMIN))
			ret = -LINUX_EPERM;
		else if (sb->ops && sb->ops->remount)
			ret = sb->ops->remount(sb, &a);
		if (!ret && ms & LINUX_MS_RDONLY && !(sb->flags & LINUX_MS_RDONLY) && atomic_load(&m->nr_writers))
			ret = -LINUX_EBUSY;
		if (!ret)
			sb->flags = (sb->flags & ~LINUX_MS_RDONLY) | (ms & LINUX_MS_RDONLY);
	}
	if (!ret) {
		uint32_t old = atomic_load(&m->flags);

		atomic_store(&m->flags, (old & ~MNT_USER_FLAGS) | flags);
		if (mount_only && flags & ~old & LINUX_MS_RDONLY && atomic_load(&m->nr_writers)) {
			atomic_store(&m->flags, old);
			ret = -LINUX_EBUSY;
		}
		mnt_ns_touch(m->ns);
	}
	sleep_unlock(&mount_lock);
	return ret;
}

static bool tree_has_unbindable(struct mount *m)
{
	for (struct mount *n = m; n; n = mnt_next_in_tree(n, m))
		if (n->flags & MNT_UNBINDABLE)
			return true;
	return false;
}

static long move_locked(const struct vfs_ctx *ctx, struct mount *m, const struct path *to)
{
	struct path p = *to;
	struct mount *up;
	struct dentry *old_at;
	struct mount *old_parent;
	long ret = -LINUX_EINVAL;

	path_get(&p);
	top_mount(&p);
	if (p.mnt->ns != ctx->mnt_ns)
		goto out;
	if (LINUX_S_ISDIR(p.dentry->inode->mode) != LINUX_S_ISDIR(m->root->inode->mode)) {
		ret = -LINUX_ENOTDIR;
		goto out;
	}
	if (m->parent && m->parent->group_id)	/* a move out of a shared mount would have to happen everywhere */
		goto out;
	if (p.mnt->group_id && tree_has_unbindable(m))
		goto out;
	for (up = p.mnt; up; up = up->parent)
		if (up == m) {
			ret = -LINUX_ELOOP;
			goto out;
		}
	old_parent = m->parent ? mnt_get(m->parent) : NULL;
	old_at = m->mountpoint ? d_get(m->mountpoint) : NULL;
	mnt_detach_one(m);
	ret = mnt_attach_propagate(m, &p);
	if (ret && old_parent)
		mnt_attach(m, old_parent, old_at, ctx->mnt_ns);
	if (old_parent) {
		d_put(old_at);
		mnt_put(old_parent);
	}
out:
	path_put(&p);
	return ret;
}

long mount_move(const struct vfs_ctx *ctx, const struct path *from, const struct path *to)
{
	long ret = -LINUX_EINVAL;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	sleep_lock(&mount_lock);
	if (is_mount_root(from) && from->mnt->ns == ctx->mnt_ns && from->mnt->parent && !(from->mnt->flags & MNT_LOCKED))
		ret = move_locked(ctx, from->mnt, to);
	sleep_unlock(&mount_lock);
	return ret;
}

long mount_attach_tree(const struct vfs_ctx *ctx, struct mount *m, const struct path *at)
{
	long ret;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	sleep_lock(&mount_lock);
	ret = m->ns || m->parent ? -LINUX_EINVAL : attach_locked(ctx, m, at);
	sleep_unlock(&mount_lock);
	return ret;
}

long mount_set_type(const struct vfs_ctx *ctx, const struct path *at, uint32_t type, bool rec)
{
	long ret = -LINUX_EINVAL;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	sleep_lock(&mount_lock);
	if (is_mount_root(at) && at->mnt->ns == ctx->mnt_ns) {
		mnt_change_type(at->mnt, type, rec);
		mnt_ns_touch(at->mnt->ns);
		ret = 0;
	}
	sleep_unlock(&mount_lock);
	return ret;
}

/* ---- umount ---- */

#define LINUX_MNT_FORCE	       1u
#define LINUX_MNT_DETACH       2u
#define LINUX_MNT_EXPIRE       4u
#define LINUX_UMOUNT_NOFOLLOW  8u

/* References beyond the tree's, the caller's path's, and those of child mounts. */
static bool mount_busy(struct mount *m)
{
	return !list_empty(&m->children) || atomic_load(&m->ref.n) > 2;
}

long mount_umount(const struct vfs_ctx *ctx, const struct path *at, uint32_t flags)
{
	struct list dead = LIST_HEAD_INIT(dead);
	struct mount *m = at->mnt;
	long ret = 0;

	if (flags & ~(LINUX_MNT_FORCE | LINUX_MNT_DETACH | LINUX_MNT_EXPIRE | LINUX_UMOUNT_NOFOLLOW) ||
	    (flags & LINUX_MNT_EXPIRE && flags & (LINUX_MNT_FORCE | LINUX_MNT_DETACH)))
		return -LINUX_EINVAL;
	if (!may_mount(ctx))
		return -LINUX_EPERM;
	if (!is_mount_root(at))
		return -LINUX_EINVAL;
	if (flags & LINUX_MNT_FORCE && m->ns == ctx->mnt_ns && m->sb->ops && m->sb->ops->umount_begin)
		m->sb->ops->umount_begin(m->sb);
	sleep_lock(&mount_lock);
	if (m->ns != ctx->mnt_ns || m->flags & MNT_LOCKED || !m->parent) {
		ret = -LINUX_EINVAL;	/* also the root: that is pivot_root's */
	} else if (flags & LINUX_MNT_EXPIRE) {
		if (mount_busy(m))
			ret = -LINUX_EBUSY;
		else if (!atomic_exchange(&m->expiry_mark, true))
			ret = -LINUX_EAGAIN;
	} else if (!(flags & LINUX_MNT_DETACH) && mount_busy(m)) {
		ret = -LINUX_EBUSY;
	}
	if (ret == 0)
		mnt_umount_tree(m, true, &dead);
	sleep_unlock(&mount_lock);
	mnt_put_list(&dead);
	return ret;
}

long mount_pivot_root(const struct vfs_ctx *ctx, const struct path *new_root, const struct path *put_old)
{
	struct path root, old = *put_old;
	struct mount *nm = new_root->mnt, *rm, *up;
	struct mount *root_parent;
	struct dentry *root_at;
	long ret = -LINUX_EINVAL;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	mutex_lock(&ctx->fs->mu);
	root = ctx->fs->root;
	path_get(&root);
	mutex_unlock(&ctx->fs->mu);
	path_get(&old);
	sleep_lock(&mount_lock);
	rm = root.mnt;
	if (nm->ns != ctx->mnt_ns || rm->ns != ctx->mnt_ns || old.mnt->ns != ctx->mnt_ns || nm->flags & MNT_LOCKED)
		goto out;
	if ((nm->parent && nm->parent->group_id) || (rm->parent && rm->parent->group_id) || old.mnt->group_id)
		goto out;
	ret = -LINUX_EBUSY;
	if (nm == rm || old.mnt == rm)
		goto out;
	ret = -LINUX_EINVAL;
	if (!is_mount_root(&root) || !is_mount_root(new_root) || !nm->parent)
		goto out;
	/* new_root must be below the root, which after a chroot need not be so: the two would be attached to each other. */
	for (up = nm->parent; up && up != rm; up = up->parent)
		;
	if (!up)
		goto out;
	/* put_old must be at or below new_root. */
	for (up = old.mnt; up && up != nm; up = up->parent)
		;
	if (!up || (old.mnt == nm && !d_is_ancestor(new_root->dentry, old.dentry)))
		goto out;
	ret = -LINUX_ENOENT;
	if (old.dentry->flags & DENTRY_DELETED)
		goto out;
	root_parent = rm->parent ? mnt_get(rm->parent) : NULL;
	root_at = rm->mountpoint ? d_get(rm->mountpoint) : NULL;
	mnt_detach_one(nm);
	mnt_detach_one(rm);
	if (root_parent)
		mnt_attach(nm, root_parent, root_at, ctx->mnt_ns);
	else
		ctx->mnt_ns->root = nm;
	mnt_attach(rm, old.mnt, old.dentry, ctx->mnt_ns);
	if (root_parent) {
		d_put(root_at);
		mnt_put(root_parent);
	}
	ret = 0;
out:
	sleep_unlock(&mount_lock);
	if (ret == 0 && vfs_pivot_hook)
		vfs_pivot_hook(ctx->mnt_ns, &root, new_root);
	if (ret == 0)
		fs_struct_replace(ctx->fs, &root, new_root);
	path_put(&old);
	path_put(&root);
	return ret;
}

void fs_struct_replace(struct fs_struct *fs, const struct path *from, const struct path *to)
{
	struct path drop[2] = { { 0 }, { 0 } }, *const which[2] = { &fs->root, &fs->pwd };

	mutex_lock(&fs->mu);
	for (int k = 0; k < 2; k++)
		if (path_eq(which[k], from)) {
			drop[k] = *which[k];
			*which[k] = *to;
			path_get(which[k]);
		}
	mutex_unlock(&fs->mu);
	path_put(&drop[0]);
	path_put(&drop[1]);
}

void (*vfs_pivot_hook)(struct mnt_ns *ns, const struct path *from, const struct path *to);

/* ---- namespaces ---- */

/* The copy of the mount that @p is on, made a moment ago by mnt_copy_tree(). */
static void move_into_copy(struct path *p, struct mnt_ns *old, struct path *drop)
{
	struct mount *c = p->mnt && p->mnt->ns == old ? p->mnt->copy : NULL;

	if (!c)
		return;
	*drop = (struct path){ .mnt = p->mnt };
	p->mnt = mnt_get(c);
}

long mnt_ns_copy(struct mnt_ns *old, struct user_ns *user_ns, struct fs_struct *fs, struct mnt_ns **out)
{
	bool less = user_ns != old->user_ns;
	struct path drop[2] = { { 0 }, { 0 } };
	struct mnt_ns *ns = mnt_ns_alloc(user_ns);
	struct mount *m;

	if (!ns)
		return -LINUX_ENOMEM;
	sleep_lock(&mount_lock);
	m = old->root ? mnt_copy_tree(old->root, old->root->root, COPY_REC | (less ? COPY_SLAVE | COPY_LOCK : COPY_SHARED)) : NULL;
	if (!m) {
		sleep_unlock(&mount_lock);
		mnt_ns_put(ns);
		return -LINUX_ENOMEM;
	}
	mnt_ns_adopt(ns, m);
	if (fs) {
		mutex_lock(&fs->mu);
		move_into_copy(&fs->root, old, &drop[0]);
		move_into_copy(&fs->pwd, old, &drop[1]);
		mutex_unlock(&fs->mu);
	}
	sleep_unlock(&mount_lock);
	mnt_put(drop[0].mnt);
	mnt_put(drop[1].mnt);
	*out = ns;
	return 0;
}

long mnt_ns_enter(struct mnt_ns *ns, struct fs_struct *fs)
{
	struct path p = { 0 }, old[2];

	sleep_lock(&mount_lock);
	if (ns->root)
		p = (struct path){ mnt_get(ns->root), d_get(ns->root->root) };
	if (p.mnt)
		top_mount(&p);
	sleep_unlock(&mount_lock);
	if (!p.mnt)
		return -LINUX_EINVAL;
	mutex_lock(&fs->mu);
	old[0] = fs->root;
	old[1] = fs->pwd;
	fs->root = fs->pwd = p;
	path_get(&p);
	mutex_unlock(&fs->mu);
	path_put(&old[0]);
	path_put(&old[1]);
	return 0;
}

struct super_block *mnt_ns_next_sb(struct mnt_ns *ns, uint64_t *id)
{
	struct super_block *sb = NULL;
	uint64_t best = UINT64_MAX;
	struct mount *m;

	sleep_lock(&mount_lock);
	list_for_each_entry(m, &ns->mounts, ns_node)
		if (m->id > *id && m->id < best) {
			best = m->id;
			sb = m->sb;
		}
	if (sb)
		sb_get(sb);
	sleep_unlock(&mount_lock);
	*id = best;
	return sb;
}

/* ---- mount_setattr ---- */

long mount_setattr_tree(const struct vfs_ctx *ctx, const struct path *at, uint64_t set, uint64_t clr, uint32_t type, bool rec)
{
	struct mount *m = at->mnt, *n;
	long ret = 0;

	if (!may_mount(ctx))
		return -LINUX_EPERM;
	if (!is_mount_root(at) || (m->ns && m->ns != ctx->mnt_ns))
		return -LINUX_EINVAL;
	sleep_lock(&mount_lock);
	for (n = m; n && !ret; n = rec ? mnt_next_in_tree(n, m) : NULL) {
		uint32_t flags = (uint32_t)((n->flags & ~clr) | set) & MNT_USER_FLAGS;

		if (clears_locked(n, flags))
			ret = -LINUX_EPERM;
		else if (set & ~n->flags & LINUX_MS_RDONLY && atomic_load(&n->nr_writers))
			ret = -LINUX_EBUSY;
	}
	for (n = m; n && !ret; n = rec ? mnt_next_in_tree(n, m) : NULL)
		atomic_store(&n->flags, (n->flags & ~(uint32_t)clr) | (uint32_t)set);
	if (!ret && type)
		mnt_change_type(m, type, rec);
	mnt_ns_touch(m->ns);
	sleep_unlock(&mount_lock);
	return ret;
}
