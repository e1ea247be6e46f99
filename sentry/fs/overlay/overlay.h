/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/overlay/overlay.h - one tree out of a writable upper and read-only lower layers
 *
 * Model:   an overlay inode stands for what a name is in the topmost layer that has it; directories merge. It holds dentries of
 *          its layers (an onode); inode.real is the inode that has the content and the attributes: a lower one until the first
 *          change, then its copy in the upper layer. Open files work on the real inode directly.
 *          Whiteouts are character devices 0/0; an opaque directory has the xattr trusted.overlay.opaque = "y"
 *          (user.overlay.opaque with the option userxattr).
 * Locks:   overlay inode.i_lock (VFS) > onode.copy_lock (sleeplock) > locks of the layers (vfs/stack.h).
 * Source:  kernel documentation filesystems/overlayfs (format of whiteouts and opaque directories), mount(8) "overlay".
 * Differs: a directory that exists in a lower layer cannot be renamed (EXDEV, as without redirect_dir); a file opened for reading
 *          before it was copied up keeps reading the lower one while its description is shared, and its mappings do so always.
 */
#ifndef SENTRY_FS_OVERLAY_H
#define SENTRY_FS_OVERLAY_H

#include "sentry/vfs/vfs.h"

#define OVL_MAX_LOWER 500
#define OVL_HASH      1024
#define OVERLAY_MAGIC 0x794c7630

struct ovl_layer {
	struct path path;	/* references; mnt NULL for layers given at boot */
	struct super_block *sb;	/* reference */
};

struct ovl_sb {
	struct ovl_layer upper;		/* path.dentry NULL: read-only */
	struct ovl_layer *lower;
	uint32_t nr_lower;
	bool userxattr;
	char *options;			/* for /proc/mounts */
	struct cred *cred;		/* who works on the layers: the mounter, with all capabilities */
	struct mutex hash_mu;
	struct onode *hash[OVL_HASH];	/* guarded by hash_mu: overlay inodes by the inode they came from */
};

struct onode {
	struct inode *inode;		/* back pointer */
	struct onode *hash_next;
	const struct inode *key;	/* origin: lower inode, or the upper one */
	struct dentry *upper;		/* reference; set once, under copy_lock */
	struct dentry **lower;		/* references; directories: topmost first; others: at most one */
	uint32_t nr_lower;
	struct inode *parent;		/* overlay directory, reference; NULL for the root and tmpfiles */
	char *name;			/* in it, as it was found; used until copied up */
	bool unlinked;			/* the name is gone: copies up without one */
	bool pinned;			/* kept although unused: a hard-linked lower file that was copied up */
	struct sleeplock copy_lock;
};

static inline struct ovl_sb *ovl_of(const struct super_block *sb)
{
	return sb->priv;
}
static inline struct onode *onode_of(const struct inode *i)
{
	return i->priv;
}
static inline struct dentry *onode_upper(const struct onode *n)
{
	return rcu_load(n->upper);
}

extern const struct inode_ops ovl_dir_ops, ovl_file_ops, ovl_link_ops;
extern const struct file_ops ovl_dir_fops;

/* super.c */
const char *ovl_opaque_name(const struct super_block *sb);
bool ovl_is_private_xattr(const char *name);

/* lookup.c */
bool ovl_is_whiteout(const struct inode *i);
bool ovl_is_opaque(struct super_block *osb, struct inode *dir);
long ovl_lookup(struct inode *dir, struct dentry *d);
/* The overlay inode for layers (references move, also on failure): found or made. @name/@parent: where it was found. */
long ovl_inode_get(struct super_block *sb, struct dentry *upper, struct dentry **lower, uint32_t nr_lower, struct inode *parent,
		   const char *name, struct inode **out);
void ovl_free_inode(struct inode *i);
void ovl_unpin_all(struct super_block *sb);
/* 1: a lower layer of @dir shows @name, 0: none does, or an error. */
long ovl_lower_has(struct inode *dir, const char *name, size_t len);

/* copyup.c: makes sure that onode.upper exists. @with_data: false when the content is cut off anyway. */
long ovl_copy_up(struct inode *i, bool with_data);

/* readdir.c */
long ovl_dir_is_empty(struct inode *dir);	/* 0, -LINUX_ENOTEMPTY */
long ovl_clear_whiteouts(struct dentry *upper_dir, const struct cred *c);

#endif
