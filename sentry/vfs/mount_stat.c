/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount_stat.c - listmount(2), statmount(2): the mounts of a namespace by number
 *
 * Model:   a mount's number here is the short one of /proc/PID/mountinfo above an offset, as on Linux neither is used again.
 *          What lies outside the caller's root is for administrators of the namespace only.
 * Locks:   mount_lock.
 * Source:  listmount(2), statmount(2); linux/mount.h for the layout.
 * Differs: only the caller's own namespace; no options one by one, no maps of ids.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

static struct mount *find_locked(struct mnt_ns *ns, uint64_t unique)
{
	struct mount *m;

	list_for_each_entry (m, &ns->mounts, ns_node)
		if (mnt_unique_id(m) == unique)
			return m;
	return NULL;
}

/* Is @m's root at or below @root? */
static bool below(struct mount *m, const struct path *root)
{
	struct path p = { m, m->root };
	struct mount *up = m;
	bool reachable = false;
	char *text;

	while (up != root->mnt && up->parent)
		up = up->parent;
	if (up != root->mnt || root->dentry == root->mnt->root)
		return up == root->mnt;
	text = malloc(PATH_MAX_BYTES); /* a root in the middle of its mount */
	if (text && vfs_path_text2(&p, root, text, PATH_MAX_BYTES, &reachable) < 0)
		reachable = false;
	free(text);
	return reachable;
}

static void root_of(const struct vfs_ctx *ctx, struct path *out)
{
	mutex_lock(&ctx->fs->mu);
	*out = ctx->fs->root;
	path_get(out);
	mutex_unlock(&ctx->fs->mu);
}

/* May the caller know of @m, whose root is not his? */
static bool visible(const struct vfs_ctx *ctx, struct mount *m, const struct path *root)
{
	return below(m, root) || cred_has_cap(ctx->cred, ctx->mnt_ns->user_ns, LINUX_CAP_SYS_ADMIN);
}

/* ---- listmount ------------------------------------------------------------------------------------------- */

static int by_id(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* All below @top, in order. Return: how many, in @out_ids (owned by the caller). */
static long collect_locked(struct mnt_ns *ns, const struct path *top, uint64_t skip, uint64_t **out_ids)
{
	uint64_t *ids = malloc(MAX(ns->nr_mounts, 1u) * sizeof(*ids));
	struct mount *m;
	uint32_t n = 0;

	if (!ids)
		return -LINUX_ENOMEM;
	list_for_each_entry (m, &ns->mounts, ns_node)
		if (n < ns->nr_mounts && mnt_unique_id(m) != skip && below(m, top))
			ids[n++] = mnt_unique_id(m);
	qsort(ids, n, sizeof(*ids), by_id);
	*out_ids = ids;
	return n;
}

long mount_list(const struct vfs_ctx *ctx, uint64_t id, uint64_t last, bool reverse, uint64_t *out, size_t max)
{
	struct path root, top;
	struct mount *m = NULL;
	uint64_t *ids = NULL;
	size_t got = 0;
	long n = 0;

	root_of(ctx, &root);
	top = root;
	sleep_lock(&mount_lock);
	if (id != LSMT_ROOT) {
		m = find_locked(ctx->mnt_ns, id);
		if (!m)
			n = -LINUX_ENOENT;
		else if (!visible(ctx, m, &root))
			n = -LINUX_EPERM;
		else
			top = (struct path){ m, m->root };
	}
	if (!n)
		n = collect_locked(ctx->mnt_ns, &top, id, &ids);
	sleep_unlock(&mount_lock);
	path_put(&root);
	for (long i = 0; i < n && got < max; i++) {
		uint64_t next = ids[reverse ? n - 1 - i : i];

		if (!last || (reverse ? next < last : next > last))
			out[got++] = next;
	}
	free(ids);
	return n < 0 ? n : (long)got;
}

/* ---- statmount -------------------------------------------------------------------------------------------- */

static void fill_basic(struct mount *m, struct linux_statmount *s)
{
	struct mount *parent = m->parent ?: m;

	s->mnt_id = mnt_unique_id(m);
	s->mnt_parent_id = mnt_unique_id(parent);
	s->mnt_id_old = (uint32_t)m->id;
	s->mnt_parent_id_old = (uint32_t)parent->id;
	s->mnt_attr = mount_attr_of(m->flags);
	s->mnt_propagation = (m->group_id ? LINUX_MS_SHARED : 0) | (m->master ? LINUX_MS_SLAVE : 0) |
			     (m->flags & MNT_UNBINDABLE ? LINUX_MS_UNBINDABLE : 0);
	if (!s->mnt_propagation)
		s->mnt_propagation = LINUX_MS_PRIVATE;
	s->mnt_peer_group = m->group_id;
	s->mnt_master = m->master ? m->master->group_id : 0;
}

static void fill_sb(const struct super_block *sb, struct linux_statmount *s)
{
	s->sb_dev_major = LINUX_MAJOR(sb->dev);
	s->sb_dev_minor = LINUX_MINOR(sb->dev);
	s->sb_magic = sb->type->magic;
	s->sb_flags = sb->flags & (LINUX_MS_RDONLY | LINUX_MS_SYNCHRONOUS);
}

/* Appends a text; its place among the strings. */
static uint32_t put_text(struct buf *b, const char *text)
{
	uint32_t at = (uint32_t)b->len;

	buf_append(b, text, strlen(text) + 1);
	return at;
}

static void fill_texts(struct mount *m, const struct path *root, uint64_t mask, struct linux_statmount *s, struct buf *strings)
{
	char *text = malloc(PATH_MAX_BYTES);
	struct path p = { m, m->root };
	struct buf opts = { 0 };

	if (!text) {
		strings->failed = true;
		return;
	}
	put_text(strings, ""); /* offset 0: none */
	if (mask & STATMOUNT_MNT_ROOT)
		s->mnt_root = put_text(strings, mount_root_text(m, text));
	if (mask & STATMOUNT_MNT_POINT)
		s->mnt_point = put_text(strings, vfs_path_text(&p, root, text, PATH_MAX_BYTES) < 0 ? "" : text);
	if (mask & STATMOUNT_FS_TYPE)
		s->fs_type = put_text(strings, m->sb->type->name);
	if (mask & STATMOUNT_MNT_OPTS && m->sb->ops && m->sb->ops->show_options) {
		m->sb->ops->show_options(m->sb, &opts);
		if (opts.len)
			s->mnt_opts = put_text(strings, opts.data + 1); /* without the first comma */
	}
	if (mask & STATMOUNT_SB_SOURCE)
		s->sb_source = put_text(strings, m->devname);
	strings->failed |= opts.failed;
	buf_fini(&opts);
	free(text);
}

static void fill(const struct vfs_ctx *ctx, struct mount *m, const struct path *root, uint64_t mask, struct linux_statmount *s,
		 struct buf *strings)
{
	*s = (struct linux_statmount){ .size = sizeof(*s), .mask = mask & STATMOUNT_SUPPORTED };
	if (mask & STATMOUNT_SB_BASIC)
		fill_sb(m->sb, s);
	if (mask & STATMOUNT_MNT_BASIC)
		fill_basic(m, s);
	if (mask & STATMOUNT_MNT_NS_ID)
		s->mnt_ns_id = ctx->mnt_ns->ino;
	if (mask & STATMOUNT_SUPPORTED_MASK)
		s->supported_mask = STATMOUNT_SUPPORTED;
	if (mask & STATMOUNT_TEXTS)
		fill_texts(m, root, mask, s, strings);
	if (!s->mnt_opts)
		s->mask &= ~(uint64_t)STATMOUNT_MNT_OPTS;
	s->size += (uint32_t)strings->len;
}

long mount_stat(const struct vfs_ctx *ctx, uint64_t id, uint64_t mask, struct linux_statmount *out, struct buf *strings)
{
	struct path root;
	struct mount *m;
	long ret = 0;

	root_of(ctx, &root);
	sleep_lock(&mount_lock);
	m = find_locked(ctx->mnt_ns, id);
	if (!m)
		ret = -LINUX_ENOENT;
	else if (!visible(ctx, m, &root))
		ret = -LINUX_EPERM;
	else
		fill(ctx, m, &root, mask, out, strings);
	sleep_unlock(&mount_lock);
	path_put(&root);
	return ret ?: strings->failed ? -LINUX_ENOMEM : 0;
}
