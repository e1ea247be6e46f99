/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/vfs.h - mounts, dentries, inodes, open files: the interface file systems fill in
 *
 * Model:   as in Linux: a super_block is an instance of a file system; an inode is a file; a dentry is a name (negative when
 *          its inode is NULL); a mount puts a dentry tree into a mount namespace; a path is (mount, dentry); a file is an open
 *          file description. Attributes live in the inode and are right while its file system says so (d_revalidate).
 * Locks:   (sentry/LOCKS) rename_lock > inode.i_lock of directories (parent before child, else by address) > inode.i_lock of
 *          files > file.pos_lock > dentry.mu > leaf mutexes. i_lock is a sleeplock; an operation of inode_ops that changes a
 *          directory is called with that directory's i_lock held; lookup too.
 *          Path walks read dentries, inodes and mounts without locks or references under rcu_read_lock() (vfs/rcu.h); what they
 *          may touch is freed only after a grace period: struct dentry, inode, mount, super_block, names, inode.link, inode.acl.
 * Source:  path_resolution(7), open(2), inode(7), mount_namespaces(7).
 */
#ifndef SENTRY_VFS_H
#define SENTRY_VFS_H

#include "sentry/abi/fs.h"
#include "sentry/cred/cred.h"
#include "sentry/mm/mm.h"
#include "sentry/run/run.h"
#include "sentry/vfs/rcu.h"

struct super_block;
struct inode;
struct dentry;
struct mount;
struct mnt_ns;
struct file;
struct poll_table;
struct vfs_ctx;
struct fdtable;
struct posix_acl;
struct path {
	struct mount *mnt;
	struct dentry *dentry;
};

#define NAME_MAX_BYTES 255
#define PATH_MAX_BYTES 4096

struct vtime {
	int64_t sec;
	uint32_t nsec;
};

/* ---- attributes ------------------------------------------------------------------------------- */

/* What getattr fills: everything of statx(2). */
struct kstat {
	uint64_t ino, size, blocks /* of 512 bytes */, mnt_id;
	uint64_t dev, rdev;	/* LINUX_MKDEV form */
	uint32_t mode, nlink, uid, gid /* kernel ids */, blksize;
	uint64_t attributes, attributes_mask;
	struct vtime atime, mtime, ctime, btime;
	bool has_btime;
};

#define ATTR_MODE  0x001u
#define ATTR_UID   0x002u
#define ATTR_GID   0x004u
#define ATTR_SIZE  0x008u
#define ATTR_ATIME 0x010u	/* to .atime; with ATTR_ATIME_NOW to the current time */
#define ATTR_MTIME 0x020u
#define ATTR_ATIME_NOW 0x040u
#define ATTR_MTIME_NOW 0x080u
#define ATTR_KILL_PRIV 0x100u	/* clear set-user-id, set-group-id and security.capability (write, truncate, chown) */

struct iattr {
	uint32_t valid; /* ATTR_* */
	uint32_t mode, uid, gid;
	uint64_t size;
	struct vtime atime, mtime;
};

/* ---- file system types and super blocks --------------------------------------------------------- */

struct fs_mount_args {
	const char *source, *options; /* options: the comma list of mount(2), may be "" */
	uint32_t sb_flags;	      /* LINUX_MS_RDONLY ... */
	const struct cred *cred;
	struct user_ns *user_ns;
	const struct vfs_ctx *ctx;    /* for options that name paths; NULL at boot */
	void *kernel_arg;	      /* for mounts made by boot code (gofer connection ...) */
	const char *subtype;	      /* of FST_SUBTYPE: what follows the dot of "fuse.sshfs"; NULL */
};

#define FST_USERNS_MOUNT 1u	/* may be mounted by a non-initial user namespace's root */
#define FST_NODEV	 2u	/* /proc/filesystems "nodev" */
#define FST_KERNEL_ONLY	 4u	/* not by mount(2) */
#define FST_HANDLES	 8u	/* name_to_handle_at(2) */
#define FST_SUBTYPE	 16u	/* also by the name TYPE.SUBTYPE */

#define FS_SUBTYPE_MAX 64

struct fs_type {
	const char *name;
	uint32_t flags;
	uint32_t magic;	/* statfs f_type */
	/* A super_block with one reference; its root dentry set. (sleeps) */
	long (*get_sb)(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out);
	/* All mounts share one super block: what this one shows of it, with a reference. Flags are each mount's own, then. NULL: the root of
	 * a super block of its own. (sleeps) */
	long (*mount_root)(struct super_block *sb, const struct fs_mount_args *a, struct dentry **out);
	struct list node;
};
void fs_register(struct fs_type *t);
struct fs_type *fs_find(const char *name);	/* NULL: none */
const char *fs_subtype(const struct fs_type *t, const char *name); /* of the name that found it; NULL: none */
/* Iterates registered types: NULL starts; NULL at the end. */
struct fs_type *fs_next(struct fs_type *prev);

struct super_ops {
	void (*free_inode)(struct inode *i);			/* last reference gone: free private data (may sleep); NULL: nothing */
	void (*d_release)(struct dentry *d);			/* last reference gone: free d->priv (may sleep); NULL: nothing */
	void (*put_super)(struct super_block *sb);		/* last reference gone */
	long (*statfs)(struct super_block *sb, struct dentry *d, struct linux_statfs *out);
	long (*sync)(struct super_block *sb);			/* NULL: nothing to do */
	long (*remount)(struct super_block *sb, const struct fs_mount_args *a); /* NULL: options are ignored. Must not wait for guests */
	void (*umount_begin)(struct super_block *sb);		/* umount2(MNT_FORCE): ends what waits; NULL: nothing does */
	void (*show_options)(struct super_block *sb, struct buf *out);	/* ",size=4k" ... NULL: none */
	void (*show_root)(struct dentry *root, struct buf *out); /* of a mount, for mountinfo; NULL: its path */
};

struct super_block {
	struct refcount ref;
	struct fs_type *type;
	const struct super_ops *ops;
	struct dentry *root;	/* reference */
	uint64_t dev;		/* st_dev, made by sb_alloc() */
	uint32_t flags;		/* LINUX_SB_*; atomic reads are fine */
	uint32_t blksize;
	struct user_ns *user_ns; /* reference */
	char source[256];
	char subtype[FS_SUBTYPE_MAX]; /* shown as TYPE.SUBTYPE; "" none */
	bool nodev;		/* device files open nothing: who made them had no right to */
	bool fs_rights;		/* who may change attributes is for the file system to say, not for us */
	_Atomic bool no_umask;	/* so is the umask */
	void *priv;
	_Atomic uint64_t next_ino;
	struct sleeplock rename_lock;	/* directory moves within this file system */
	struct rcu_head rcu;
};
struct super_block *sb_alloc(struct fs_type *t, const struct super_ops *ops, const struct fs_mount_args *a); /* 1 reference or NULL */
struct super_block *sb_get(struct super_block *sb);
void sb_put(struct super_block *sb);
/* What a new mount of @sb shows: a reference. Drops the caller's reference to @sb when it fails. */
long sb_mount_root(struct super_block *sb, const struct fs_mount_args *a, struct dentry **out);

/* ---- inodes ---------------------------------------------------------------------------------------- */

/* Missing entries mean: lookup -LINUX_ENOTDIR; others -LINUX_EPERM (create-like), -LINUX_EINVAL (readlink), generic code
 * where said. @dir->i_lock is held where Linux holds i_rwsem. Names are not NUL-terminated paths but single components,
 * NUL-terminated, checked for length. New dentries are passed negative and hashed; the operation calls d_instantiate(). */
/* The next names of one path walk, each in the directory that the one before leads to. */
#define WALK_AHEAD_MAX 16
struct walk_names {
	unsigned n;
	struct {
		const char *p;	/* in the path, not terminated */
		uint32_t len;
	} v[WALK_AHEAD_MAX];
};

/* Answers about them, all asked for in one go; part of the file system's object. They are believed in the steps of that walk only. */
struct walk_ahead {
	const struct ahead_ops *ops;
	unsigned n;		/* names asked about */
	unsigned at;		/* the next one; VFS's */
	const struct dentry *dir; /* which that is in; compared only; VFS's */
};

struct ahead_ops {
	/* @read: the last name will be opened for reading. NULL: cannot be had, ask name by name. Called without locks. (sleeps) */
	struct walk_ahead *(*ask)(struct inode *dir, const struct walk_names *names, bool read);
	/* Is @d, which was cached as name @k, still what it is? Brings its inode's attributes up to date. Called without locks. */
	bool (*same)(struct walk_ahead *a, unsigned k, struct dentry *d);
	/* As inode_ops.lookup() does, by the answer about name @k. */
	long (*lookup)(struct walk_ahead *a, unsigned k, struct inode *dir, struct dentry *d);
	void (*end)(struct walk_ahead *a);
};

struct inode_ops {
	/* Fills @d (d_instantiate, or leaves it negative). (sleeps) */
	long (*lookup)(struct inode *dir, struct dentry *d);
	long (*create)(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c);
	/* The same for an open with @flags that the same task does next. NULL: create */
	long (*create_open)(struct inode *dir, struct dentry *d, uint32_t mode, uint32_t flags, const struct cred *c);
	long (*mkdir)(struct inode *dir, struct dentry *d, uint32_t mode, const struct cred *c);
	long (*mknod)(struct inode *dir, struct dentry *d, uint32_t mode, uint64_t rdev, const struct cred *c);
	long (*symlink)(struct inode *dir, struct dentry *d, const char *target, const struct cred *c);
	long (*link)(struct inode *dir, struct dentry *d, struct inode *target);
	long (*unlink)(struct inode *dir, struct dentry *d);
	long (*rmdir)(struct inode *dir, struct dentry *d);
	/* @new_d may be positive (replaced, unless flags say otherwise). flags: LINUX_RENAME_*. VFS moves the dentries after success. */
	long (*rename)(struct inode *old_dir, struct dentry *old_d, struct inode *new_dir, struct dentry *new_d, uint32_t flags);
	/* O_TMPFILE: a new unlinked regular inode (one reference). */
	long (*tmpfile)(struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out);
	/* Target into @out (NUL-terminated), length returned. */
	long (*readlink)(struct inode *i, char *out, size_t cap);
	/* Magic links (/proc/PID/fd/N, exe, cwd): a path with references, instead of text. NULL: ordinary link. */
	long (*get_link)(struct inode *i, const struct cred *c, struct path *out);
	long (*getattr)(struct inode *i, struct kstat *out);	/* NULL: generic_getattr() */
	long (*setattr)(struct inode *i, const struct iattr *a);/* NULL: generic_setattr(); i_lock held; rights already checked */
	long (*permission)(struct inode *i, uint32_t mask, const struct cred *c); /* NULL: generic_permission(); else no lock-free walk */
	/* xattrs: value length returned; size 0 asks for it; names are full ("user.x"). */
	long (*getxattr)(struct inode *i, const char *name, void *val, size_t size);
	long (*setxattr)(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags);
	long (*listxattr)(struct inode *i, char *out, size_t size);
	long (*removexattr)(struct inode *i, const char *name);
	bool plain_acl;	/* system.posix_acl_* are values like others: kept and heeded elsewhere, not here */
	/* Name cache: false = look it up again (shared gofer mounts, /proc). NULL: always valid. Called without locks. (may sleep)
	 * The operations of the *parent* directory are asked, since @d may be negative. */
	bool (*d_revalidate)(struct dentry *d);
	/* Of directories with d_revalidate: whole paths can be asked about. NULL: name by name */
	const struct ahead_ops *ahead;
	/* create, mkdir, mknod, symlink and link find a name that exists by themselves (-LINUX_EEXIST), unlink and rmdir one that
	 * does not, or is of the wrong kind: VFS need not look first. unlink and rmdir may get a negative dentry then. */
	bool unseen;
	/* Stacked file systems: the path whose file really is opened for @flags, with references (copies up when they write);
	 * the file keeps @d's path for its name, locks and attributes. NULL: open this inode. (sleeps) */
	long (*open_real)(struct inode *i, uint32_t flags, struct inode **out_real);
	/* FS_IOC_GETFLAGS-like attributes (LINUX_FS_*_FL); NULL: -LINUX_ENOTTY */
	long (*get_flags)(struct inode *i, uint32_t *out);
	long (*set_flags)(struct inode *i, uint32_t flags);
};

struct file_ops;

struct inode {
	struct refcount ref;
	struct super_block *sb;		/* immutable; borrowed: dentries and files keep the sb alive through mounts */
	const struct inode_ops *ops;	/* immutable */
	const struct file_ops *fops;	/* immutable; what open() installs in the file */
	uint64_t ino;
	uint32_t mode;			/* guarded by i_lock; single words may be read without */
	uint32_t nlink, uid, gid;	/* same */
	uint64_t rdev;
	_Atomic uint64_t size;		/* written under i_lock */
	uint64_t blocks;		/* of 512 bytes */
	struct vtime atime, mtime, ctime, btime; /* guarded by mu */
	struct mutex mu;		/* leaf: times, lock list heads */
	struct sleeplock i_lock;
	uint32_t seals;			/* memfd */
	_Atomic int32_t nr_writers;	/* open for write; < 0: being executed (ETXTBSY) */
	struct file_locks *locks;	/* vfs/locks.c; guarded by mu; NULL until first used */
	struct fsnotify_marks *marks;	/* vfs/notify.c; NULL until first used */
	void *pipe;			/* FIFO data (fs/pipe); guarded by i_lock */
	void *sock;			/* bound unix socket (socket/unix); guarded by i_lock */
	void *priv;			/* the file system's */
	/* For lock-free walks: text of a symbolic link, owned, immutable after the inode is published; NULL = ask ops->readlink */
	char *link;
	struct posix_acl *acl;		/* access ACL, replaced under i_lock with inode_set_acl(); NULL = none */
	struct posix_acl *default_acl;	/* directories: what children inherit */
	_Atomic uint32_t iflags;	/* I_* */
	_Atomic uint32_t nr_map_shared_w; /* shared writable mappings (seals) */
	/* Stacked file systems: where size, times, blocks and rights are kept; mode, uid and gid here are copies (inode_mirror()).
	 * What it points to lives as long as this inode; read lock-free. */
	struct inode *real;
	struct rcu_head rcu;
};
#define I_NOATIME   1u
#define I_IMMUTABLE 2u
#define I_APPEND    4u
#define I_PRIVATE   8u	/* internal (anonymous files): no fsnotify, no permission checks */
#define I_HAS_CAPS  16u	/* perhaps has security.capability: writes must look */
#define I_NO_LINKAT 32u	/* O_TMPFILE with O_EXCL: can never get a name */

struct inode *inode_new(struct super_block *sb, uint32_t mode); /* one reference, times now, ino from sb; NULL = no memory */
struct inode *inode_get(struct inode *i);
void inode_put(struct inode *i);
void inode_mirror(struct inode *i);	/* copies mode and ids from i->real */
long inode_copy_acl(struct inode *dst, const struct inode *src);	/* -LINUX_ENOMEM */
void inode_touch(struct inode *i, bool atime, bool mtime, bool ctime); /* to now */
struct vtime vfs_now(void);		/* CLOCK_REALTIME_COARSE */
/* Owner, group (set-group-id directories) and mode of a new file; drops nothing, checks nothing. */
void inode_init_owner(struct inode *i, const struct inode *dir, uint32_t mode, const struct cred *c);
/* get_flags and set_flags for file systems in memory: immutable, append-only, noatime. -LINUX_EOPNOTSUPP for others. */
long generic_get_flags(struct inode *i, uint32_t *out);
long generic_set_flags(struct inode *i, uint32_t flags);
/* Parses a system.posix_acl_* value (NULL removes) and installs it. -LINUX_EINVAL, -LINUX_ENOMEM. */
long inode_set_acl(struct inode *i, bool dflt, const void *val, size_t len);
/* Gives a new inode of @dir the ACLs it inherits. Return: its mode. */
uint32_t inode_inherit_acl(struct inode *i, const struct inode *dir, uint32_t mode);
static inline void inode_inc_nlink(struct inode *i)
{
	i->nlink++;
}
static inline void inode_dec_nlink(struct inode *i)
{
	if (i->nlink)
		i->nlink--;
}

long generic_getattr(struct inode *i, struct kstat *out);
long generic_setattr(struct inode *i, const struct iattr *a); /* ids, mode, times; not size */
long generic_permission(struct inode *i, uint32_t mask, const struct cred *c); /* mode bits, ACL, capabilities */

/* ---- dentries ---------------------------------------------------------------------------------------- */

/* A name as lock-free walkers compare it: replaced as a whole by a rename. */
struct dname {
	uint32_t hash, len;
	struct rcu_head rcu;
	char text[];
};
#define DNAME_INLINE 40

struct dentry {
	struct dentry *hash_next;	/* bucket chain; written under the bucket's lock */
	struct dentry *parent;		/* reference; itself for roots. Changes only under rename_lock and both mu */
	struct dname *dname;		/* immutable block */
	struct inode *inode;		/* reference or NULL (negative) */
	struct super_block *sb;
	_Atomic uint32_t flags;		/* DENTRY_* */
	_Atomic uint32_t nr_mounts;	/* mounts on it, in any namespace */
	struct refcount ref;		/* the hash table holds one; 0 = dead */
	struct mutex mu;		/* guards children, and name, parent, inode pointer changes of them */
	char *name;			/* dname->text: stable under the parent's i_lock or rename_lock */
	uint32_t name_len;
	void *priv;			/* the file system's; super_ops.d_release frees it */
	struct list child_node;		/* in parent->children; guarded by parent->mu */
	struct list children;
	struct list lru;		/* all evictable dentries; guarded by the cache's lock */
	struct rcu_head rcu;
	struct {
		struct dname d;
		char room[DNAME_INLINE];
	} inl;
};
#define DENTRY_UNHASHED 1u	/* deleted or never linked */
#define DENTRY_NOCACHE	2u	/* drop when unused (proc) */
#define DENTRY_REFERENCED 4u	/* used since the clock hand passed */
#define DENTRY_DELETED	8u	/* was unlinked: " (deleted)" */
#define DENTRY_ANON	16u	/* no parent: pipe:[1], memfd */
#define DENTRY_ROOT	32u
#define DENTRY_HANDLE	64u	/* may have a file handle (handle.c) */

struct dentry *d_alloc_root(struct super_block *sb, struct inode *i);	/* consumes the inode reference */
struct dentry *d_alloc_anon(struct super_block *sb, struct inode *i, const char *name); /* memfd, pipes; consumes the inode reference */
void d_instantiate(struct dentry *d, struct inode *i);	/* consumes the inode reference */
struct dentry *d_get(struct dentry *d);
void d_put(struct dentry *d);
struct dentry *d_lookup_cached(struct dentry *parent, const char *name, size_t len); /* reference or NULL */
/* For file systems that learn names ahead of lookups (whole directories): a negative, unhashed child with one reference; to be
 * d_instantiate()d, then d_hash() makes it visible. The parent's i_lock is held and d_lookup_cached() found nothing. */
struct dentry *d_alloc(struct dentry *parent, const char *name, size_t len);
void d_hash(struct dentry *d);
void d_delete(struct dentry *d);	/* after unlink/rmdir: unhash (or turn negative) */
void d_invalidate_tree(struct dentry *d);

void path_get(struct path *p);
void path_put(struct path *p); /* (may sleep) */
static inline bool path_eq(const struct path *a, const struct path *b)
{
	return a->mnt == b->mnt && a->dentry == b->dentry;
}

/* ---- open files ------------------------------------------------------------------------------------------ */

struct dir_emit {
	/* False: no room, stop. @off: position to continue *after* this entry. type: LINUX_DT_* */
	bool (*add)(struct dir_emit *e, const char *name, size_t len, uint64_t ino, uint8_t type, uint64_t off);
};

/* Missing entries: read/write -LINUX_EINVAL, ioctl -LINUX_ENOTTY, poll = always readable and writable, fsync 0,
 * lseek generic for regular files, mmap -LINUX_ENODEV. */
struct file_ops {
	long (*open)(struct inode *i, struct file *f);	/* f->flags set; may replace f->ops and set f->priv */
	void (*release)(struct file *f);			/* last reference */
	long (*flush)(struct file *f);				/* each close(2) */
	/* Bytes moved, at *@pos (which advances). -LINUX_EAGAIN when it would block and LINUX_O_NONBLOCK (or rwf LINUX_RWF_NOWAIT) is set. */
	long (*read)(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf);
	long (*write)(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf);
	long (*lseek)(struct file *f, int64_t off, int whence);
	/* The directory's i_lock is held. */
	long (*iterate)(struct file *f, struct dir_emit *e, uint64_t *pos);
	uint32_t (*poll)(struct file *f, struct poll_table *pt);	/* ready mask; calls poll_wait() first */
	long (*ioctl)(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg);
	long (*mmap)(struct file *f, struct mappable **out);	/* one reference; generic_file_mmap() with map_fd */
	/* For generic_file_mmap(): as mappable_ops.host_fd. */
	long (*map_fd)(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
		       uint64_t *out_file_id, uint64_t *out_host_off);
	/* For files whose reads and writes are messages: one of up to @len bytes into @pipe, @len bytes of it as one. NULL: page by
	 * page through read and write. */
	long (*splice_read)(struct file *f, uint64_t *pos, struct file *pipe, size_t len, bool nonblock);
	long (*splice_write)(struct file *f, uint64_t *pos, struct file *pipe, size_t len);
	bool map_waits;	/* map_fd may wait for a guest */
	/* A shared writable mapping by generic_file_mmap() has gone. Must not wait. NULL: not interested */
	void (*unmapped)(struct file *f);
	long (*fsync)(struct file *f, bool data_only);
	long (*fallocate)(struct file *f, uint32_t mode, uint64_t off, uint64_t len);
	long (*truncate)(struct file *f, uint64_t size);	/* NULL: through setattr */
	long (*fasync)(struct file *f, bool on);
	long (*set_flags)(struct file *f, uint32_t flags);	/* F_SETFL beyond the generic part */
	void (*show_fdinfo)(struct file *f, struct buf *out);
	/* Direct host descriptor for splice-like fast paths, -1 none. Borrowed. */
	int (*host_fd)(struct file *f);
};

struct file_owner {	/* F_SETOWN; guarded by file.mu */
	uint64_t cookie;	/* task layer's */
	int type, signum;
	uint32_t uid, euid;
};

struct file {
	struct refcount ref;
	struct path path;
	struct inode *inode;		/* borrowed from path.dentry, or own reference for anonymous files */
	const struct file_ops *ops;
	_Atomic uint32_t flags;		/* LINUX_O_* status flags */
	uint32_t fmode;			/* FMODE_*, immutable after open */
	struct sleeplock pos_lock;
	uint64_t pos;			/* guarded by pos_lock when FMODE_ATOMIC_POS */
	struct cred *cred;		/* of the opener; reference */
	struct mutex mu;		/* leaf: owner, epoll watchers list */
	struct file_owner owner;
	struct list epolls;		/* epoll items watching this file; guarded by mu */
	void *priv;
	struct mappable mappable;	/* see generic_file_mmap() */
	uint64_t dir_version;		/* for iterate implementations */
	struct rcu_head rcu;
};
/* The inode that names, attributes, locks and marks belong to; differs from f->inode on stacked file systems. */
static inline struct inode *file_inode(const struct file *f)
{
	return f->path.dentry ? f->path.dentry->inode : f->inode;
}
#define FMODE_READ	 1u
#define FMODE_WRITE	 2u
#define FMODE_EXEC	 4u
#define FMODE_PATH	 8u	/* O_PATH */
#define FMODE_STREAM	 16u	/* no position: pipes, sockets */
#define FMODE_PREAD	 32u
#define FMODE_PWRITE	 64u
#define FMODE_ATOMIC_POS 128u
#define FMODE_OPENED	 256u	/* ops->open succeeded: release is due */
#define FMODE_WRITER	 512u	/* counted in inode.nr_writers and the mount's writers */
#define FMODE_NONOTIFY	 1024u
#define FMODE_REAL	 2048u	/* f->inode is another inode than the path's, with its own reference */
#define FMODE_EXEC_DENY	 4096u	/* holds off writers (ETXTBSY) */
#define FMODE_CREATED	 8192u	/* its open made the file */
#define FMODE_NOCTTY	 16384u	/* O_NOCTTY: flags do not keep it */

struct file *file_get(struct file *f);
void file_put(struct file *f); /* (may sleep) */
/* An open file of an anonymous inode (eventfd, epoll, timerfd ...): "anon_inode:[name]". @priv moves in (release frees it). */
long anon_file_new(const char *name, const struct file_ops *ops, void *priv, uint32_t flags, const struct cred *c, struct file **out);
/* A file on a given inode with a dentry of its own (pipes, sockets, memfd); consumes the inode reference. */
long file_alloc(struct path *p /* references move */, const struct file_ops *ops, uint32_t flags, const struct cred *c, struct file **out);
/* A file on an inode of an internal super block, named @name ("pipe:[12]", "socket:[13]", "/memfd:x"); consumes the reference. */
long file_new_inode(struct inode *i, const char *name, const struct file_ops *ops, uint32_t flags, const struct cred *c,
		    struct file **out);
/* An inode of the internal pseudo file system (mode incl. type), for pipes, sockets, memfds. */
struct inode *anon_inode_new(uint32_t mode, const struct cred *c);
/* A mappable that keeps @f open: ops->map_fd gives the descriptor; seals and ETXTBSY are looked after. */
long generic_file_mmap(struct file *f, struct mappable **out);
long generic_lseek(struct file *f, int64_t off, int whence, uint64_t max, uint64_t eof);
long vfs_lseek(struct file *f, int64_t off, int whence);
void file_accessed(struct file *f);	/* atime by mount options (relatime ...) */
/* Before a write through @f: drops set-id bits and capabilities, moves times. i_lock held. */
long file_modified(struct file *f);

/* Generic read/write entry points: rights, limits, position, notification, uio. (sleep) */
long vfs_read(struct file *f, struct uio *io, uint64_t *pos /* NULL: file position */, uint32_t rwf);
long vfs_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf, uint64_t fsize_limit);
uint32_t vfs_poll(struct file *f, struct poll_table *pt);

/* ---- poll ---------------------------------------------------------------------------------------------------- */

/* What a poll op registers its wait queues with; @pt or pt->add may be NULL when the caller only wants the mask. */
struct poll_table {
	void (*add)(struct poll_table *pt, struct waitq *q);
	uint32_t events; /* what the caller asks for */
};
static inline void poll_wait(struct poll_table *pt, struct waitq *q)
{
	if (pt && pt->add)
		pt->add(pt, q);
}

/* ---- a task's view -------------------------------------------------------------------------------------------- */

/* Root, working directory, umask: shared by CLONE_FS. */
struct fs_struct {
	struct refcount ref;
	struct mutex mu;
	struct path root, pwd;	/* references; guarded by mu */
	uint32_t umask;
};
/* Takes its own references. */
struct fs_struct *fs_struct_new(const struct path *root, const struct path *pwd, uint32_t umask);
struct fs_struct *fs_struct_dup(struct fs_struct *fs);
struct fs_struct *fs_struct_get(struct fs_struct *fs);
void fs_struct_put(struct fs_struct *fs);

/* Everything that path walking needs to know of its caller; on the stack, borrowed members. */
struct vfs_ctx {
	struct fs_struct *fs;
	struct mnt_ns *mnt_ns;
	const struct cred *cred;
	struct fdtable *fds;	/* for dirfd; may be NULL when dirfd is AT_FDCWD */
};

/* ---- path walk and calls on paths ---------------------------------------------------------------------------- */

#define WALK_FOLLOW	 0x01u	/* follow a link in the last component */
#define WALK_DIRECTORY	 0x02u	/* must be a directory */
#define WALK_EMPTY_OK	 0x04u	/* AT_EMPTY_PATH */
#define WALK_NO_AUTOMOUNT 0x08u
#define WALK_NO_XDEV	 0x10u	/* RESOLVE_* of openat2(2) */
#define WALK_NO_MAGIC	 0x20u
#define WALK_NO_SYMLINKS 0x40u
#define WALK_BENEATH	 0x80u
#define WALK_IN_ROOT	 0x100u
#define WALK_CACHED	 0x200u
#define WALK_CREATE	 0x400u	/* internal: a missing last component is fine */
#define WALK_REVAL	 0x800u	/* internal: no lock-free attempt */
#define WALK_READ	 0x1000u /* internal: what is found will be opened for reading */
#define WALK_PARENT	 0x2000u /* internal: the last name is not looked up, or only later */

/* All return 0 or -LINUX_E*; paths are Sentry strings already copied in. (sleep) */
long vfs_lookup(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct path *out);
long vfs_open(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t flags, uint32_t mode, uint32_t walk, struct file **out);
long vfs_open_path(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags, struct file **out);
long vfs_open_exec(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct file **out);
long vfs_mkdir(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t mode);
long vfs_mknod(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t mode, uint64_t rdev);
long vfs_symlink(const struct vfs_ctx *ctx, const char *target, int dirfd, const char *path);
long vfs_link(const struct vfs_ctx *ctx, int olddirfd, const char *old, int newdirfd, const char *new_, uint32_t at_flags);
long vfs_unlink(const struct vfs_ctx *ctx, int dirfd, const char *path);
long vfs_rmdir(const struct vfs_ctx *ctx, int dirfd, const char *path);
long vfs_rename(const struct vfs_ctx *ctx, int olddirfd, const char *old, int newdirfd, const char *new_, uint32_t flags);
long vfs_getattr(const struct path *p, struct kstat *out);
/* stat(2) in one go: no reference is taken when everything is cached. */
long vfs_stat(const struct vfs_ctx *ctx, int dirfd, const char *path, uint32_t walk, struct kstat *out);
/* The child @name of @dir, with a reference, negative ones too; no rights are checked. lookup_one() takes the directory's i_lock when
 * it is not cached; the other wants it held. For stacked file systems and for vfs/ itself. */
long lookup_one(struct dentry *dir, const char *name, size_t len, struct dentry **out);
long lookup_one_locked(struct dentry *dir, const char *name, size_t len, struct dentry **out);
/* File handles (handle.c); inside the opaque bytes that guests see. @to_open: it will be opened, not only compared.
 * -LINUX_EOPNOTSUPP, -LINUX_ENOMEM; -LINUX_ESTALE, errors of open */
struct vfs_handle {
	uint64_t ino;
	uint32_t generation;
};
long vfs_name_to_handle(const struct path *p, bool to_open, struct vfs_handle *out);
long vfs_open_handle(const struct vfs_ctx *ctx, struct mount *m, const struct vfs_handle *want, uint32_t flags, struct file **out);
long vfs_chdir(const struct vfs_ctx *ctx, const struct path *p);	/* checks search rights */
long vfs_chroot(const struct vfs_ctx *ctx, const struct path *p);
long vfs_setattr(const struct vfs_ctx *ctx, const struct path *p, struct iattr *a);	/* checks rights as chmod, chown, utimensat do */
long vfs_truncate(const struct vfs_ctx *ctx, const struct path *p, struct file *f, uint64_t size);
long vfs_permission(struct inode *i, uint32_t mask /* LINUX_MAY_* = 4 r, 2 w, 1 x */, const struct cred *c);
/* Path text as d_path(): relative to @root (NULL: the namespace's); " (deleted)" appended where due. Length, or -LINUX_ENAMETOOLONG. */
long vfs_path_text(const struct path *p, const struct path *root, char *out, size_t cap);
/* Same; *out_reachable: whether @root is above @p (getcwd(2) says "(unreachable)" else). */
long vfs_path_text2(const struct path *p, const struct path *root, char *out, size_t cap, bool *out_reachable);

/* ---- mounts ------------------------------------------------------------------------------------------------------ */

/* vfs/mount.h has struct mount, mnt_ns, propagation, and the calls behind mount(2), umount2(2), pivot_root(2), open_tree & co. */
struct mnt_ns *mnt_ns_get(struct mnt_ns *ns);
void mnt_ns_put(struct mnt_ns *ns);
/* A namespace whose root is @sb (reference consumed); *out_root: its path with references. */
long mnt_ns_new(struct super_block *sb, uint32_t mnt_flags, struct user_ns *user_ns, struct mnt_ns **out, struct path *out_root);
/* Mounts @sb (reference consumed) on @at with LINUX_MNT_* flags. */
long vfs_mount_sb(struct mnt_ns *ns, const struct path *at, struct super_block *sb, struct dentry *root /* NULL: sb's */, uint32_t mnt_flags);

/* ---- descriptor tables ------------------------------------------------------------------------------------------- */

struct fdtable *fdtable_new(void);
struct fdtable *fdtable_get(struct fdtable *t);
void fdtable_put(struct fdtable *t);	/* last: closes all (sleeps) */
struct fdtable *fdtable_dup(struct fdtable *t, uint32_t max_fd); /* CLONE_FILES absent; close_range UNSHARE */
/* A reference, or NULL; O_PATH files only with @allow_path. */
struct file *fdtable_file(struct fdtable *t, int fd, bool allow_path);
/* For the length of one call by the only user of the table no reference is taken (as fdget(2) in Linux):
 * fdget() sets *need_put; fdput() gives back. The hot path of every call on a descriptor. */
struct file *fdget(struct fdtable *t, int fd, bool *need_put);	/* not O_PATH files */
struct file *fdget_raw(struct fdtable *t, int fd, bool *need_put); /* O_PATH files too */
void fdput(struct file *f, bool need_put);
/* Lowest free number >= @min below @limit (RLIMIT_NOFILE); takes its own reference. -LINUX_EMFILE, -LINUX_ENOMEM. */
long fdtable_install(struct fdtable *t, struct file *f, int min, bool cloexec, uint64_t limit);
long fdtable_install_at(struct fdtable *t, int fd, struct file *f, bool cloexec, uint64_t limit); /* dup2: closes what was there */
long fdtable_close(struct fdtable *t, int fd);
void fdtable_close_on_exec(struct fdtable *t);
long fdtable_get_cloexec(struct fdtable *t, int fd);
long fdtable_set_cloexec(struct fdtable *t, int fd, bool on);
long fdtable_close_range(struct fdtable *t, uint32_t first, uint32_t last, bool only_mark);
/* Smallest open number >= @from, or -1. */
int fdtable_next(struct fdtable *t, int from);
bool fdtable_is_shared(struct fdtable *t);
void fdtable_share(struct fdtable *t);	/* a second task uses it from now on: fdget takes references */

/* ---- hooks filled by higher layers ---------------------------------------------------------------------------------- */

void vfs_init(void);	/* once, before anything else of vfs/ */

/* SIGIO for files with an owner (task layer); fsnotify events (inotify). */
extern void (*vfs_send_sigio)(struct file *f, int band, uint32_t poll_events);
/* May the caller use device @rdev (LINUX_S_IFCHR or LINUX_S_IFBLK in @mode)? access: LINUX_MAY_READ, LINUX_MAY_WRITE; 0: make a node of
 * it. NULL: everybody may. Set by the task layer. */
extern bool (*vfs_device_hook)(uint32_t mode, uint64_t rdev, uint32_t access);
/* Gives back what file.owner.cookie refers to, when the file goes; set by whoever sets owners. */
extern void (*vfs_owner_put)(uint64_t cookie);
void fsnotify(struct inode *dir, struct inode *i, const char *name, uint32_t in_mask, uint32_t cookie);
/* Device numbers: file_ops of a character device; /dev nodes find their driver here. */
long chrdev_register(uint32_t major, uint32_t minor, const struct file_ops *ops);
const struct file_ops *chrdev_find(uint64_t rdev);
/* What opening a FIFO gets; set by fs/pipe. */
extern const struct file_ops *vfs_fifo_ops;

#endif
