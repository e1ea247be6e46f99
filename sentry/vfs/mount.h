/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/mount.h - mounts, mount namespaces, and what mount(2) and its relatives do
 *
 * Model:   a mount shows a dentry tree (root, of sb) at (parent, mountpoint). An attached mount has one reference from its
 *          namespace's tree; each path holds one more. Peers share mount events, slaves receive their master's.
 * Locks:   mount_lock (sleeplock, sentry/LOCKS 20) guards all trees and groups; mount_seq tells lock-free walkers that
 *          something moved. Fields without a note are guarded by mount_lock and may be read under rcu_read_lock().
 * Source:  mount(2), umount2(2), mount_namespaces(7), proc_pid_mountinfo(5), pivot_root(2), mount_setattr(2).
 */
#ifndef SENTRY_VFS_MOUNT_H
#define SENTRY_VFS_MOUNT_H

#include "sentry/abi/mount.h"
#include "sentry/vfs/vfs.h"

/* Per-mount flags are LINUX_MS_* values out of this set, and our own above. */
#define MNT_USER_FLAGS                                                                             \
	(LINUX_MS_RDONLY | LINUX_MS_NOSUID | LINUX_MS_NODEV | LINUX_MS_NOEXEC | LINUX_MS_NOATIME | LINUX_MS_NODIRATIME |          \
	 LINUX_MS_RELATIME | LINUX_MS_NOSYMFOLLOW)
#define MNT_LOCKED	(1u << 28) /* came with a more privileged namespace: may not be unmounted alone */
#define MNT_UNBINDABLE	(1u << 29)
#define MNT_DOOMED	(1u << 30) /* being unmounted */

struct mount {
	struct refcount ref;
	_Atomic uint32_t flags;		/* MNT_* */
	struct mount *parent;		/* reference; NULL: a root or detached */
	struct dentry *mountpoint;	/* reference; in parent */
	struct dentry *root;		/* reference; immutable */
	struct super_block *sb;		/* reference; immutable */
	struct mount *hash_next;
	struct mnt_ns *ns;		/* borrowed; NULL: detached */
	uint64_t id;			/* immutable */
	uint64_t group_id;		/* shared: the peer group; 0 = not shared */
	struct list peers;		/* ring of the peer group */
	struct mount *master;		/* borrowed: leaves with mount_release_group() */
	struct list slaves, slave_node;
	struct list children, child_node;
	struct list ns_node;		/* in ns->mounts, in order of mounting */
	struct list tmp;		/* umount and copy work lists */
	struct mount *copy;		/* during a tree copy */
	_Atomic uint32_t nr_writers;	/* mnt_want_write() and files open for write */
	_Atomic bool expiry_mark;
	uint32_t locked_flags;		/* MS_* bits that a less privileged namespace may not clear */
	char *devname;			/* owned; what /proc/mounts shows first; immutable */
	struct rcu_head rcu;
};

struct mnt_ns {
	struct refcount ref;
	struct mount *root;
	struct list mounts;
	uint32_t nr_mounts;
	struct user_ns *user_ns;	/* reference; immutable */
	uint64_t ino;			/* /proc/PID/ns/mnt; immutable */
	_Atomic uint64_t event;		/* counts changes: poll of /proc/PID/mounts */
	struct waitq event_q;
};

extern struct sleeplock mount_lock;
extern struct seqcount mount_seq;

struct mount *mnt_get(struct mount *m);
void mnt_put(struct mount *m);	/* (may sleep) */
/* The mount on (parent, dentry), borrowed; NULL none. Under rcu_read_lock() or mount_lock. */
struct mount *mnt_lookup(const struct mount *parent, const struct dentry *d);
/* -LINUX_EROFS when the mount or its file system is read-only; otherwise counted until mnt_drop_write(). */
long mnt_want_write(struct mount *m);
void mnt_drop_write(struct mount *m);

/* ---- building blocks, mount_lock held ---- */
struct mount *mnt_new(struct super_block *sb, struct dentry *root, const char *devname, uint32_t flags); /* references are taken */
#define COPY_REC	 1u	/* children too */
#define COPY_SLAVE	 2u	/* copies become slaves of what they copy */
#define COPY_SHARED	 4u	/* copies join the peer group of what they copy */
#define COPY_PRIVATE	 8u
#define COPY_LOCK	 16u	/* lock copies: the new namespace has less privilege */
#define COPY_NO_UNBINDABLE 32u
struct mount *mnt_copy_tree(struct mount *m, struct dentry *root, uint32_t how); /* NULL: no memory, or m unbindable */
void mnt_attach(struct mount *m, struct mount *parent, struct dentry *at, struct mnt_ns *ns); /* the tree below m too; refs taken */
void mnt_detach_one(struct mount *m);	/* from its parent; keeps the tree's reference */
/* Attaches @m at @at and its copies wherever mount events propagate. -LINUX_ENOMEM, -LINUX_ENOSPC. */
long mnt_attach_propagate(struct mount *m, const struct path *at);
/* Collects @m with everything below and its counterparts elsewhere, detached, in @out; the caller mnt_put()s them unlocked. */
void mnt_umount_tree(struct mount *m, bool propagate, struct list *out);
void mnt_put_list(struct list *l);	/* without mount_lock */
void mnt_make_shared(struct mount *m);
void mnt_change_type(struct mount *m, uint32_t ms_type, bool rec);
void mnt_release_group(struct mount *m); /* leaves peers and master */
/* Who hears of mount events under one mount, the mount itself not included. */
struct mount_target {
	struct mount *m;
	int32_t src;	/* entry whose copy is the source for this one, -1 = the original */
	bool slave;	/* its copy becomes a slave of the source */
};
struct mount_targets {
	struct mount_target *e;	/* owned */
	uint32_t nr, cap;
};
long mnt_propagation(struct mount *m, struct mount_targets *out); /* 0 or -LINUX_ENOMEM */
struct mount *mnt_next_in_tree(struct mount *m, struct mount *root); /* depth first; NULL at the end */
void mnt_ns_touch(struct mnt_ns *ns);
struct mnt_ns *mnt_ns_alloc(struct user_ns *user_ns);	/* empty, one reference; NULL = no memory */
void mnt_ns_adopt(struct mnt_ns *ns, struct mount *root); /* makes a detached tree (its reference moves) the namespace's */
/* Root and cwd of one task that are @from become @to; and for all others of a namespace, set by the task layer (pivot_root). */
void fs_struct_replace(struct fs_struct *fs, const struct path *from, const struct path *to);
extern void (*vfs_pivot_hook)(struct mnt_ns *ns, const struct path *from, const struct path *to);

/* A reference to the super block of the first mount with an id above *@id, which moves there; NULL at the end. Takes mount_lock. */
struct super_block *mnt_ns_next_sb(struct mnt_ns *ns, uint64_t *id);

/* ---- calls (sleep); rights are checked here ---- */
bool may_mount(const struct vfs_ctx *ctx);
long mount_new(const struct vfs_ctx *ctx, const struct path *at, const char *type, const char *source, const char *opts, uint32_t ms_flags);
long mount_bind(const struct vfs_ctx *ctx, const struct path *from, const struct path *at, bool rec);
long mount_remount(const struct vfs_ctx *ctx, const struct path *at, uint32_t ms_flags, const char *opts, bool mount_only);
long mount_move(const struct vfs_ctx *ctx, const struct path *from, const struct path *to);
long mount_set_type(const struct vfs_ctx *ctx, const struct path *at, uint32_t ms_type, bool rec);
long mount_umount(const struct vfs_ctx *ctx, const struct path *at, uint32_t flags);
long mount_pivot_root(const struct vfs_ctx *ctx, const struct path *new_root, const struct path *put_old);
/* A copy for CLONE_NEWNS; root and cwd of @fs move into it. */
long mnt_ns_copy(struct mnt_ns *old, struct user_ns *user_ns, struct fs_struct *fs, struct mnt_ns **out);
/* setns(2): root and cwd become the namespace's root. */
long mnt_ns_enter(struct mnt_ns *ns, struct fs_struct *fs);
/* Attaches a detached tree (reference consumed on success). */
long mount_attach_tree(const struct vfs_ctx *ctx, struct mount *m, const struct path *at);
long mount_setattr_tree(const struct vfs_ctx *ctx, const struct path *at, uint64_t set, uint64_t clr, uint32_t propagation, bool rec);

/* File descriptors of the new interface (mount_api.c). */
long mount_fsopen(const struct vfs_ctx *ctx, const char *type, struct file **out);
long mount_fspick(const struct vfs_ctx *ctx, const struct path *at, struct file **out);
long mount_fsconfig(const struct vfs_ctx *ctx, struct file *f, uint32_t cmd, const char *key, const char *value, int aux);
long mount_fsmount(const struct vfs_ctx *ctx, struct file *f, uint32_t attr, struct file **out);
long mount_open_tree(const struct vfs_ctx *ctx, const struct path *at, bool clone, bool rec, struct file **out);
long mount_move_file(const struct vfs_ctx *ctx, const struct path *from, const struct path *to);

/* MOUNT_ATTR_* of mount_setattr(2) and fsmount(2) as MS_* bits to set and to clear. -LINUX_EINVAL. */
long mount_attr_flags(uint64_t attr_set, uint64_t attr_clr, uint32_t *out_set, uint32_t *out_clr);
uint64_t mount_attr_of(uint32_t ms_flags);	/* the other way round */

/* ---- listmount(2), statmount(2) (mount_stat.c) ---- */

/* As statx(2) says with STATX_MNT_ID_UNIQUE: never one of the short numbers. */
#define MNT_UNIQUE_OFFSET (1ull << 31)
static inline uint64_t mnt_unique_id(const struct mount *m)
{
	return m->id + MNT_UNIQUE_OFFSET;
}
/* Up to @max numbers of mounts below @id (LSMT_ROOT: the caller's root, itself included), those after @last (0: all). How many;
 * -LINUX_ENOENT, -LINUX_EPERM, -LINUX_ENOMEM */
long mount_list(const struct vfs_ctx *ctx, uint64_t id, uint64_t last, bool reverse, uint64_t *out, size_t max);
/* @strings: what the offsets in @out mean. 0, or errors as above */
long mount_stat(const struct vfs_ctx *ctx, uint64_t id, uint64_t mask, struct linux_statmount *out, struct buf *strings);

/* ---- /proc (mount_text.c) ---- */
enum mount_text { MOUNT_TEXT_MOUNTS, MOUNT_TEXT_INFO, MOUNT_TEXT_STATS };
/* The whole file as seen from @root. */
void mount_show(struct mnt_ns *ns, const struct path *root, enum mount_text kind, struct buf *out);

#endif
