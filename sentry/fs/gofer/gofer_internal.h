/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/gofer_internal.h - inodes of gofer mounts, shared by the files of this folder
 */
#ifndef SENTRY_FS_GOFER_INTERNAL_H
#define SENTRY_FS_GOFER_INTERNAL_H

#include "p9_fs.h"
#include "sentry/fs/gofer/gofer.h"

#define GOFER_MAGIC	    0x01021997u /* V9FS_MAGIC */
#define GOFER_HASH	    1024
#define GOFER_INLINE_MAX    4096u	/* content that comes with the open */
#define GOFER_MAP_MAX	    (64ull << 20) /* larger files are read by pread */
#define GOFER_MAP_AFTER	    2		/* reads before a mapping pays */
#define GOFER_BOUNCE	    (64u << 10)
#define GOFER_IDLE_FDS_MAX  4096	/* of files that nobody has open, per link */
#define GOFER_DIR_MAX	    65536	/* entries; larger directories are not kept */
#define GOFER_REAP_AT	    P9X_FIDS_MAX

struct gofer_link {
	struct refcount ref;
	struct p9_client *cl;	/* immutable */
	bool ext;		/* immutable */
	struct mutex mu;
	uint32_t *dead_fids;	/* to be clunked by the next who may sleep; guarded by mu */
	uint32_t nr_dead, cap_dead;
	_Atomic bool dead_hold_space;	/* among them those of deleted files, whose blocks the gofer's descriptors keep */
	_Atomic int32_t nr_idle_fds;
	/* A shared file's descriptor that came with the walk to it, for the open that follows; guarded by mu */
	struct {
		int fd; /* -1: none */
		uint64_t dev, ino;
		int64_t btime_sec;
		uint32_t btime_nsec;
	} offer;
};

/* A directory as the gofer told it; see dircache.c. */
struct gent {
	struct gent *next;
	uint32_t hash, index;
	struct p9x_stat st;
	char *target;	/* of a link; NULL otherwise */
	bool handed;	/* an inode was made of it, which may have changed since: st is only good for finding that */
	uint16_t len;
	char name[];
};

struct gslot {
	uint64_t off;	/* position for readdir, never used twice */
	struct gent *e; /* NULL: removed */
};

struct gdir {
	struct gent **buckets;
	struct gslot *order; /* ascending by off */
	uint32_t nr_buckets, nr_order, cap_order, nr_live;
	uint64_t next_off;
	bool too_big;
};

struct ginode {
	struct inode *inode;	/* backwards, borrowed */
	struct ginode *hash_next; /* gsb.mu */
	uint64_t dev, ino;	/* immutable: what the host says */
	int64_t btime_sec;
	uint32_t btime_nsec;
	bool hashed;		/* gsb.mu */

	struct inode *parent;	/* how to get there; reference or NULL; gsb.mu */
	char *name;		/* gsb.mu */
	struct sleeplock fid_lock;
	_Atomic uint32_t fid;	/* P9_NOFID until needed; written under fid_lock */

	struct sleeplock data_lock;
	_Atomic int ro_fd, rw_fd; /* written under data_lock; given up only when nobody has the file open */
	_Atomic uint32_t io_fid;  /* stock server: open for reading, or both; P9_NOFID */
	bool io_fid_rw;
	uint8_t *_Atomic map;	/* the whole file, or NULL; map_len is set before */
	size_t map_len;
	uint8_t *_Atomic inl;	/* whole content of a small file, or NULL; inl_len is set before */
	uint32_t inl_len;
	uint8_t *inl_old;	/* no longer right, but somebody may be reading it; data_lock */
	uint64_t file_id;
	_Atomic uint32_t opens, reads;
	_Atomic bool no_xattrs;	/* exclusive: it was seen that there are none */

	struct gdir *dir;	/* exclusive directories, i_lock; NULL until fetched */
};

struct gsb {
	struct gofer_link *link; /* reference */
	bool exclusive, readonly;
	uint32_t root_fid;
	struct mutex mu;
	struct ginode *hash[GOFER_HASH];
};

static inline struct gsb *gsb_of(const struct super_block *sb)
{
	return sb->priv;
}
static inline struct ginode *ginode_of(const struct inode *i)
{
	return i->priv;
}
static inline struct p9_client *client_of(const struct inode *i)
{
	return gsb_of(i->sb)->link->cl;
}

/* link.c */
void link_forget_fid(struct gofer_link *l, uint32_t fid); /* clunked later; never sleeps */
void link_reap(struct gofer_link *l);			   /* clunks what piled up; sleeps */
void link_offer(struct gofer_link *l, const struct ginode *g, int fd); /* @fd moves in; the one before is closed */
int link_offer_take(struct gofer_link *l, const struct ginode *g);     /* -1: there is none of that file */
void link_offer_drop(struct gofer_link *l);

/* inode.c */
/* The inode of what @st describes, found or made; one reference. @parent, @name: how it was reached. */
long ginode_get(struct super_block *sb, const struct p9x_stat *st, struct inode *parent, const char *name,
		const char *target, struct inode **out);
struct inode *ginode_find(struct super_block *sb, const struct p9x_stat *st); /* a reference, or NULL: not in memory */
void ginode_update(struct inode *i, const struct p9x_stat *st);
bool ginode_is(const struct inode *i, const struct p9x_stat *st); /* still that file? */
/* A shared one was seen again: its attributes, and the way to it. */
void ginode_seen(struct inode *i, const struct p9x_stat *st, struct inode *parent, const char *name);
long ginode_fid(struct inode *i, uint32_t *out);		  /* a fid, walked to when there is none yet (sleeps) */
/* The way to it from the nearest ancestor that has a fid, at most P9_WALK_MAX steps long; n 0: it has one itself. */
struct route {
	struct inode *from;	 /* reference */
	char *name[P9_WALK_MAX]; /* owned, in walking order */
	unsigned n;
};
long ginode_route(struct inode *i, struct route *r, uint32_t *out_from); /* ended with route_fini(), also on failure (sleeps) */
void route_fini(struct route *r);
void ginode_set_fid(struct inode *i, uint32_t fid);		  /* @fid moves in; forgotten if it has one */
void ginode_moved(struct inode *i, struct inode *parent, const char *name);
void gofer_free_inode(struct inode *i);

/* dircache.c: all with the directory's i_lock held */
long gdir_load(struct inode *dir); /* exclusive mounts; 0, also when it is too big to keep */
struct gent *gdir_find(struct gdir *d, const char *name, size_t len);
long gdir_add(struct gdir *d, const char *name, size_t len, const struct p9x_stat *st, const char *target, size_t tlen);
void gdir_remove(struct gdir *d, const char *name);
void gdir_free(struct gdir *d);
long gofer_iterate(struct file *f, struct dir_emit *e, uint64_t *pos);

/* data.c */
long gdata_fd(struct inode *i, bool write, int *out_fd); /* -1: a stock server gives none; 0 or -LINUX_E* (sleeps) */
long gdata_fetch(struct inode *i, bool inline_ok);	  /* any way to read it (sleeps) */
void gdata_stale(struct inode *i);			  /* the content changes: inline data is no longer it */
void gdata_free(struct ginode *g);
void gdata_idle(struct inode *i);			  /* nobody has it open any more */

extern const struct inode_ops gofer_dir_ops, gofer_dir_shared_ops, gofer_file_iops, gofer_file_shared_iops, gofer_link_ops,
	gofer_special_ops, gofer_special_shared_ops;
extern const struct file_ops gofer_file_fops, gofer_dir_fops;

extern const struct ahead_ops gofer_ahead; /* ahead.c */

/* attr.c */
long gofer_getattr(struct inode *i, struct kstat *out);
long gofer_setattr(struct inode *i, const struct iattr *a);
long gofer_getxattr(struct inode *i, const char *name, void *val, size_t size);
long gofer_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags);
long gofer_listxattr(struct inode *i, char *out, size_t size);
long gofer_removexattr(struct inode *i, const char *name);
long gofer_readlink(struct inode *i, char *out, size_t cap);

#endif
