/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/internal.h - what the files of vfs/ share with each other only
 */
#ifndef SENTRY_VFS_INTERNAL_H
#define SENTRY_VFS_INTERNAL_H

#include <stdio.h>
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/vfs/mount.h"
#include "sentry/vfs/vfs.h"

/* Big buffers of hot paths: the compiler's zeroing would cost more than the call. */
#define UNINIT __attribute__((uninitialized))

#define MAXSYMLINKS 40

/* ---- dcache.c ---- */
extern struct seqcount rename_seq; /* changes while any dentry changes its name or parent */
uint32_t name_hash(const struct dentry *parent, const char *name, size_t len);
/* Lock-free, no reference; NULL = not there or not sure. Under rcu_read_lock(). */
struct dentry *d_lookup_rcu(const struct dentry *parent, uint32_t hash, const char *name, size_t len);
void d_drop(struct dentry *d);	/* unhash: the next lookup asks the file system */
void d_move(struct dentry *d, struct dentry *new_parent, const struct dname *as); /* after a rename; i_locks of both parents held */
void d_exchange(struct dentry *a, struct dentry *b);
bool d_is_ancestor(const struct dentry *a, const struct dentry *d); /* a == d or above; rename_lock held */
void dcache_init(void);
extern _Atomic uint32_t dcache_count, dcache_max;

static inline bool d_unhashed(const struct dentry *d)
{
	return atomic_load_explicit(&d->flags, memory_order_relaxed) & DENTRY_UNHASHED;
}
static inline bool d_is_positive(const struct dentry *d)
{
	return rcu_load(d->inode) != NULL;
}

/* ---- perm.c ---- */
/* Mode bits let everybody search: the test that nearly every component of a walk passes. */
static inline bool may_search_quick(const struct inode *i)
{
	return (i->mode & 0111) == 0111 && !i->ops->permission && !i->acl;
}
/* Lock-free: 1 allowed, 0 denied, -1 cannot tell without a lock. */
int permission_rcu(const struct inode *i, uint32_t mask, const struct cred *c);
bool inode_owner_or_capable(const struct inode *i, const struct cred *c);
bool capable_wrt_inode(const struct inode *i, const struct cred *c, int cap);
/* Directory operations: may @d be made in / removed from @dir (sticky bits, append-only, type). */
long may_create(struct inode *dir, const struct cred *c);
long may_delete(struct inode *dir, struct dentry *victim, bool isdir, const struct cred *c);

/* ---- acl.c ---- */
long acl_permission(const struct posix_acl *acl, const struct inode *i, uint32_t mask, const struct cred *c);
struct posix_acl *acl_dup(const struct posix_acl *a);
void acl_free(struct posix_acl *a);
long acl_chmod(struct inode *i, uint32_t mode);
bool acl_inheritable(const struct inode *dir);
/* The mode of what is made in @dir: a default ACL, or the file system, sees to the umask. */
static inline uint32_t umask_apply(const struct inode *dir, const struct fs_struct *fs, uint32_t mode)
{
	return acl_inheritable(dir) || dir->sb->no_umask ? mode : mode & ~fs->umask;
}
/* The value of system.posix_acl_*: bytes, -LINUX_ERANGE, -LINUX_ENODATA. */
long acl_to_xattr(const struct posix_acl *a, void *out, size_t size);

/* ---- walk.c: the walk that takes references and may sleep ---- */
enum last_type { LAST_NORM, LAST_DOT, LAST_DOTDOT, LAST_SELF /* nothing follows: nd.cur is it */ };
struct nd {
	const struct vfs_ctx *ctx;
	struct path root, cur;	/* references */
	uint32_t walk;		/* WALK_* */
	unsigned nr_links;
	const char *p;		/* what is left of the path */
	char *buf;		/* owned: link text + rest */
	uint32_t rseq, mseq;	/* scoped walks: a change makes ".." unsafe */
	enum last_type type;	/* after nd_walk() */
	bool trailing;		/* slashes follow the last component */
	const char *last;	/* inside p's string, not terminated */
	uint32_t last_len;
	struct walk_ahead *ahead; /* owned; NULL */
	bool fresh;		/* the last nd_lookup() brought the attributes, too */
};
long nd_init(struct nd *nd, const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk);
long nd_walk(struct nd *nd);	/* up to the last component */
/* Goes into the last component. 0: nd->cur is the result; 1: a link was followed, nd_walk() again; or -LINUX_E*. */
long nd_last(struct nd *nd);
/* Follows @link (references consumed): afterwards nd->p has more to walk from nd->cur. */
long nd_follow(struct nd *nd, struct path *link);
void nd_fini(struct nd *nd);
/* nd_init + nd_walk for calls that make or remove a name: LAST_NORM only, else @other_err. */
long nd_parent(struct nd *nd, const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk);
/* ---- walk_ahead.c ---- */
/* lookup_one() of a name in nd->cur, by answers that were asked for ahead where the file system can. */
long nd_lookup(struct nd *nd, const char *name, uint32_t len, struct dentry **out);
void nd_ahead_drop(struct nd *nd); /* the walk goes another way */
/* May the last name be made, or removed (@isdir: by rmdir), without a look at it first? nd->cur is its directory, not locked. */
bool may_create_unseen(const struct nd *nd);
bool may_remove_unseen(const struct nd *nd, bool isdir);
/* lookup_one_locked() that does not ask: what is not cached comes as a negative dentry, which may be wrong. */
long lookup_unseen_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out);

/* Crosses mounts downwards: takes the references of *p and gives some back. */
void follow_mounts(struct path *p);

/* ---- walk_rcu.c ---- */
/* Without locks and references: -LINUX_EAGAIN when the slow way must be taken. Exactly one of @out (gets references) and @st. */
long walk_rcu(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct path *out, struct kstat *st);
/* One step of the text: start and length of the next component, what follows it without slashes. */
static inline const char *next_component(const char *p, uint32_t *out_len, const char **out_rest)
{
	const char *e = p;

	while (*e && *e != '/')
		e++;
	*out_len = (uint32_t)(e - p);
	while (*e == '/')
		e++;
	*out_rest = e;
	return p;
}
static inline bool name_is_dot(const char *s, uint32_t len)
{
	return len == 1 && s[0] == '.';
}
static inline bool name_is_dotdot(const char *s, uint32_t len)
{
	return len == 2 && s[0] == '.' && s[1] == '.';
}

/* ---- open.c, file.c ---- */
struct file *file_alloc_raw(uint32_t flags, const struct cred *c);
void file_free_unopened(struct file *f);
/* At each close(2) of a descriptor: flush, POSIX locks of this table, then the reference. */
long file_close(struct file *f, struct fdtable *t);

/* ---- inode.c ---- */
void fill_kstat(const struct inode *i, struct kstat *out);
/* Checks @a as the caller's wish (rights, limits) and completes it; i_lock held. */
long setattr_prepare(struct inode *i, struct iattr *a, const struct cred *c);

/* ---- locks.c, notify.c ---- */
void file_locks_free(struct inode *i);
void posix_locks_close(struct file *f, const void *owner);
void flock_release(struct file *f);
void epoll_file_gone(struct file *f);
long lease_break(struct inode *i, uint32_t flags, bool nonblock);
void fsnotify_inode_gone(struct inode *i);
extern _Atomic uint32_t fsnotify_nr_marks;

void anon_sb_init(void);
void epoll_init(void);
void mount_init(void);

/* ---- handle.c ---- */
void handle_forget(struct dentry *d); /* @d has DENTRY_HANDLE and is about to be freed */

/* ---- mount_text.c ---- */
/* Where the root of the mount lies in its file system. mount_lock held. */
const char *mount_root_text(struct mount *m, char tmp[PATH_MAX_BYTES]);

#endif
