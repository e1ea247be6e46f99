/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs.h - files in memory
 *
 * Model:   directories keep their own entries (the name cache may forget any of them); small files live in the heap, larger or
 *          mapped ones in one memfd each with a Sentry mapping, so that reads and writes are copies and guests can map them.
 * Locks:   inode.i_lock guards a node; readers of file content take a reference to its struct tmap instead (tmpfs_data.c).
 * Source:  tmpfs(5), memfd_create(2), fallocate(2).
 */
#ifndef SENTRY_FS_TMPFS_H
#define SENTRY_FS_TMPFS_H

#include "sentry/fs/tmpfs/page_set.h"
#include "sentry/run/budget.h"
#include "sentry/vfs/simple_xattr.h"
#include "sentry/vfs/vfs.h"

#define TMPFS_MAGIC	0x01021994
#define TMPFS_HEAP_MAX	(32u * 1024)	/* bytes of a file that stay in the heap */
#define TMPFS_FILE_MAX	((uint64_t)INT64_MAX & PAGE_MASK)

struct tmpfs_sb {
	uint64_t max_pages, max_inodes;	/* 0 = no limit; changed by remount */
	_Atomic uint64_t nr_pages, nr_inodes;
	uint32_t mode, uid, gid;
	struct mutex mu;		/* guards nothing but remount against itself */
};

struct tdirent {
	struct tdirent *hnext;
	struct inode *inode;	/* reference */
	uint64_t off;		/* position for getdents; grows, never reused */
	uint32_t hash, len;
	char name[];
};

/* Content of a file as readers see it; replaced when it grows. */
struct tmap {
	struct refcount ref;
	struct rcu_head rcu;
	uint8_t *base;		/* NULL: could not be mapped, use the descriptor */
	uint64_t cap;		/* bytes */
	int fd;			/* borrowed from the node; -1: heap, base is behind this structure */
};

/* What each name, "." and ".." included, adds to a directory's st_size, as on Linux. */
#define TMPFS_DIRENT_SIZE 20

struct tnode {
	struct simple_xattrs xattrs;
	/* directories */
	struct tdirent **order;		/* by off; NULL = removed */
	uint32_t nr_order, cap_order, nr_live;
	struct tdirent **hash;
	uint32_t nr_hash;		/* power of two */
	uint64_t next_off;
	struct inode *parent;		/* borrowed: for ".." of getdents; the directory above */
	/* files */
	struct tmap *map;		/* RCU; NULL: all hole */
	int fd;				/* memfd, -1 none; owned */
	bool exact;			/* mapped by guests: the memfd's size follows the file's; readers take i_lock */
	struct page_set pages;		/* those that count against the limit */
	struct budget *payer;		/* of the pages: the container that made the file; held, NULL none */
};

static inline struct tnode *tnode_of(const struct inode *i)
{
	return i->priv;
}
static inline struct tmpfs_sb *tmpfs_of(const struct super_block *sb)
{
	return sb->priv;
}

extern const struct inode_ops tmpfs_dir_ops, tmpfs_file_ops_i, tmpfs_link_ops, tmpfs_special_ops;
extern const struct file_ops tmpfs_file_fops, tmpfs_dir_fops;

/* tmpfs.c */
void tmpfs_init(void);
/* An inode with one reference (mode with type), counted against the limit; owner from @dir and @c. -LINUX_ENOSPC, -LINUX_ENOMEM. */
long tmpfs_new_inode(struct super_block *sb, struct inode *dir, uint32_t mode, const struct cred *c, struct inode **out);
/* memfd_create(2): a file named "memfd:@name". */
long tmpfs_memfd(const char *name, bool sealable, bool exec, const struct cred *c, uint32_t open_flags, struct file **out);
/* A super block for kernel use (rootfs upper layers, /dev): options as in mount(2). */
long tmpfs_mount_kernel(const char *source, const char *options, struct super_block **out);
/* As mount option parsing: "64k", "10%". False: malformed. */
bool tmpfs_parse_size(const char *s, uint64_t total, uint64_t *out);

/* tmpfs_dir.c */
struct tdirent *tdir_find(struct inode *dir, const char *name, size_t len);
long tdir_add(struct inode *dir, const char *name, size_t len, struct inode *i); /* takes its own reference */
void tdir_free(struct tnode *n);
/* For file systems built at boot (/dev): makes @name with @i (reference consumed) without a walk. */
long tmpfs_add(struct inode *dir, const char *name, struct inode *i);

/* tmpfs_data.c */
void tdata_free(struct inode *i);
long tdata_truncate(struct inode *i, uint64_t size);	/* i_lock held */

/* Sets the bound of host descriptors for file contents; before the first file. */
void tmpfs_data_init(void);

#endif
