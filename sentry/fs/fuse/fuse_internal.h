/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/fuse_internal.h - connections, requests, nodes, open files
 *
 * Model:   a connection joins one mount and the files of /dev/fuse through which its daemon, a process inside, reads
 *          requests and writes answers. The daemon is hostile: an answer is copied once, its length is checked
 *          against what the request can take, and every wait for one ends when the waiter is killed. A request that nobody
 *          waits for any more lives until it is answered or the connection ends; what its answer hands out
 *          (a node, an open file) is then given back at once (fuse_req.late).
 *          No lock but those that Linux holds too is held while waiting: i_lock of the directories and files concerned, and pos_lock.
 *          Neither mount_lock, mm->lock, nor a lock of this folder is.
 * Locks:   i_lock > fnode.pages.lock (s) > fuse_sb.mu, fuse_conn.mu (leaves; wait queues are woken under them).
 * Limits:  FUSE_* below; nodes are bounded by the name cache and open files, bytes in memory by the container's budget.
 * Source:  Linux's Documentation/filesystems/fuse/, linux/fuse.h (protocol 7.31), fuse(4), mount.fuse3(8).
 */
#ifndef SENTRY_FS_FUSE_INTERNAL_H
#define SENTRY_FS_FUSE_INTERNAL_H

#include <linux/fuse.h>
#include <string.h>

#include "sentry/fs/fuse/fuse.h"
#include "sentry/fs/tmpfs/page_set.h"
#include "sentry/run/budget.h"
#include "sentry/task/pid.h"
#include "sentry/task/task.h"
#include "sentry/vfs/vfs.h"

#define FUSE_MAGIC	      0x65735546
#define FUSE_MINOR	      31	/* what we speak: 7.31 */
#define FUSE_MINOR_MIN	      12	/* daemons before it had shorter structures */
#define FUSE_REQS_MAX	      16384u	/* requests of a connection without an answer; ENOMEM beyond */
#define FUSE_MAX_PAGES_DFLT   32u
#define FUSE_MAX_PAGES_MAX    256u
#define FUSE_MAX_WRITE	      (FUSE_MAX_PAGES_MAX * PAGE_SIZE)
#define FUSE_READAHEAD	      (128u * 1024)
#define FUSE_EXIT_WAIT_NS     10000000000ull /* for the answer to a FLUSH of a process that ends by itself */
#define FUSE_HASH	      1024u
#define FUSE_PROC_HASH	      256u

/* Calls that this daemon does not know: not asked again. */
enum fuse_missing {
	FUSE_NO_OPEN, FUSE_NO_OPENDIR, FUSE_NO_CREATE, FUSE_NO_ACCESS, FUSE_NO_FLUSH, FUSE_NO_FSYNC, FUSE_NO_FSYNCDIR, FUSE_NO_SETXATTR,
	FUSE_NO_GETXATTR, FUSE_NO_LISTXATTR, FUSE_NO_REMOVEXATTR, FUSE_NO_LSEEK, FUSE_NO_FALLOCATE, FUSE_NO_RENAME2, FUSE_NO_INTERRUPT,
};

struct fuse_forget {
	struct fuse_forget *next;
	uint64_t nodeid, nlookup;
};

struct fuse_conn {
	struct refcount ref;
	struct mutex mu;		/* leaf; guards the queues and what says so */
	struct list pending;		/* of fuse_req.node, not read yet */
	struct list interrupts;		/* of fuse_req.intr_node */
	struct fuse_forget *forgets, **forgets_end;
	int forget_batch;		/* how many forgets may go before the next request */
	struct list processing[FUSE_PROC_HASH]; /* of fuse_req.node, read and not answered */
	uint32_t nr_reqs;		/* guarded by mu */
	uint64_t next_unique;		/* guarded by mu; even: the lowest bit marks an INTERRUPT */
	uint32_t nr_devs;		/* files of /dev/fuse; guarded by mu */
	_Atomic bool connected, ready;	/* ready: INIT was answered, or the connection ended; written under mu */
	_Atomic bool late_flush;	/* the last FLUSH of a process at its end was not answered in time */
	bool refused;			/* INIT went wrong; written before ready */
	struct waitq dev_q, ready_q;
	_Atomic uint32_t missing;	/* bits 1 << enum fuse_missing */
	_Atomic uint64_t attr_version;
	/* of the INIT answer; written before ready */
	uint32_t minor, max_write, max_pages;
	bool auto_inval, explicit_inval, abort_err, no_open_ok, no_opendir_ok;
	/* immutable: the mount's options */
	struct user_ns *user_ns;	/* reference */
	struct pid_ns *pid_ns;		/* reference */
	uint32_t user_id, group_id;	/* kernel ids */
	uint32_t max_read;
	bool allow_other, default_permissions;
};

enum fuse_req_state { FUSE_REQ_NEW, FUSE_REQ_PENDING, FUSE_REQ_SENT, FUSE_REQ_DONE };

struct fuse_req {
	struct refcount ref;		/* its maker's, and the connection's from being queued until it is done */
	struct fuse_conn *fc;		/* reference */
	struct list node, intr_node;	/* guarded by fc->mu */
	_Atomic uint32_t state;		/* enum fuse_req_state; written under fc->mu */
	bool interrupted, orphan;	/* guarded by fc->mu */
	uint8_t *in;			/* header and arguments, one block; immutable once queued */
	uint32_t in_len;
	uint8_t *out;			/* the answer's arguments */
	uint32_t out_cap, out_len;	/* out_len: valid when done */
	bool out_var;			/* shorter answers are fine */
	int error;			/* 0 or -LINUX_E*; valid when done */
	/* Called without locks by whoever finishes it, the daemon or who ends the connection: */
	void (*end)(struct fuse_req *r);  /* background requests; NULL: nothing to do */
	void (*late)(struct fuse_req *r); /* a good answer to somebody who was killed; NULL: nothing was handed out */
	struct waitq wq;
};

static inline struct fuse_in_header *fuse_req_head(struct fuse_req *r)
{
	return (struct fuse_in_header *)r->in;
}
static inline void *fuse_req_args(struct fuse_req *r)
{
	return r->in + sizeof(struct fuse_in_header);
}

/* ---- conn.c ---- */
struct fuse_conn *fuse_conn_new(struct user_ns *user_ns, struct pid_ns *pid_ns);
struct fuse_conn *fuse_conn_get(struct fuse_conn *fc);
void fuse_conn_put(struct fuse_conn *fc);
/* Ends it: whoever waits gets -LINUX_ECONNABORTED, the daemon -LINUX_ENODEV. Harmless again. */
void fuse_conn_abort(struct fuse_conn *fc);
/* A request with room for @in_len bytes of arguments and @out_cap bytes of answer. @c: whose; NULL: nobody's (uid 0, pid 0).
 * -LINUX_ENOMEM; -LINUX_EOVERFLOW: @c's ids have no name in the mount's user namespace. */
long fuse_req_new(struct fuse_conn *fc, uint32_t opcode, uint64_t nodeid, const struct cred *c, size_t in_len, size_t out_cap,
		  struct fuse_req **out);
void fuse_req_put(struct fuse_req *r);
/* Queues it and waits. Bytes of answer in r->out, or -LINUX_E*. (sleeps, killable) */
long fuse_req_wait(struct fuse_req *r);
/* Queues it; nobody waits. The reference moves. */
void fuse_req_background(struct fuse_req *r);
/* @r was taken off the lists; the connection's reference is dropped. */
void fuse_req_finish(struct fuse_req *r, int error);
void fuse_queue_interrupt_locked(struct fuse_req *r) REQUIRES(r->fc->mu);
/* The kernel knows @nlookup references to @nodeid no more. @f: memory for that, moves; NULL: is allocated. Never waits. */
void fuse_forget(struct fuse_conn *fc, struct fuse_forget *f, uint64_t nodeid, uint64_t nlookup);
bool fuse_knows(struct fuse_conn *fc, enum fuse_missing what);
/* @ret is -LINUX_ENOSYS: remembers it. Return: whether it was. */
bool fuse_is_missing(struct fuse_conn *fc, enum fuse_missing what, long ret);
/* A request that fits on the stack: pieces in, one structure out. */
struct fuse_call {
	uint32_t opcode;
	uint64_t nodeid;
	const struct cred *cred;	/* NULL: the task's */
	unsigned nr_in;
	struct {
		const void *p;
		size_t len;
	} in[3];
	void *out;
	size_t out_len;
	bool out_var;
	void (*late)(struct fuse_req *r);
};
long fuse_call(struct fuse_conn *fc, const struct fuse_call *c);
const struct cred *fuse_cred(void);	/* the task's; NULL on the Sentry's own threads */

/* ---- dev.c ---- */
extern const struct file_ops fuse_dev_fops;
/* The connection of an open /dev/fuse, borrowed; NULL: none yet, or not such a file. */
struct fuse_conn *fuse_dev_conn(struct file *f);
/* The connection gets @f for its daemon. -LINUX_EINVAL: not /dev/fuse, or it has one already. */
long fuse_dev_attach(struct file *f, struct fuse_conn *fc);
/* ---- answer.c: what the daemon says; @buf: the whole message, copied ---- */
/* Bytes consumed, or -LINUX_E*. */
long fuse_answer(struct fuse_conn *fc, const uint8_t *buf, size_t len);

/* ---- super.c ---- */
struct fuse_sb {
	struct fuse_conn *fc;		/* reference */
	struct mutex mu;		/* leaf: the hash, nlookup */
	struct fnode *hash[FUSE_HASH];
	struct list node;		/* in the list of all (fuse_sb_of_conn()) */
	struct super_block *sb;		/* borrowed */
};
static inline struct fuse_sb *fuse_sb_of(const struct super_block *sb)
{
	return sb->priv;
}
static inline struct fuse_conn *fuse_conn_of(const struct inode *i)
{
	return fuse_sb_of(i->sb)->fc;
}
/* The super block of @fc with a reference; NULL: unmounted. */
struct super_block *fuse_sb_of_conn(struct fuse_conn *fc);
long fuse_super_init(void);
void fuse_init_answer(struct fuse_req *r);	/* checked by length only */

/* ---- inode.c: nodes and attributes ---- */
/* Bytes of a file that the Sentry keeps while it is open: pages.c. */
struct fuse_pages {
	struct sleeplock lock;		/* guards all of it; never held while the daemon is asked */
	int fd;				/* memory file, -1: none */
	uint64_t size;			/* its length: the file's, rounded up to pages */
	uint64_t gen;			/* changes when what is being fetched may be out of date */
	struct page_set have;		/* pages that show what the daemon has */
	struct page_set stored;		/* pages that hold memory, each charged to payer */
	struct page_set watched;	/* in shared writable mappings: sums[] tells whether guests changed them */
	uint64_t *sums;
	uint64_t nr_sums;
	struct budget *payer;		/* held */
	_Atomic bool writing, again;	/* a thread of ours writes changed pages back; once more afterwards */
};

struct fnode {
	struct inode *inode;
	struct fnode *hash_next;	/* guarded by fuse_sb.mu, as the next two */
	bool hashed;
	uint64_t nlookup;
	uint64_t nodeid, generation;	/* immutable */
	struct dentry *dentry;		/* of a directory: its name, borrowed, until fuse_d_release(); guarded by fuse_sb.mu */
	struct fuse_forget *forget;	/* for free_inode, which must not fail */
	_Atomic uint64_t valid_ns;	/* attributes are right until then; 0: no more */
	_Atomic uint64_t version;	/* of fc->attr_version at their last change by us */
	_Atomic bool bad;		/* the daemon contradicted itself: everything is EIO */
	uint32_t mode, nlink;		/* as the daemon says; the inode's are what VFS is to go by */
	uint32_t blksize;
	_Atomic(struct fuse_file *) created; /* opened by the create that made it, for the open that follows; owned */
	uint32_t opens;			/* guarded by pages.lock */
	struct fuse_pages pages;
};
static inline struct fnode *fnode_of(const struct inode *i)
{
	return i->priv;
}
static inline long fnode_ok(const struct inode *i)
{
	return atomic_load_explicit(&fnode_of(i)->bad, memory_order_relaxed) ? -LINUX_EIO : 0;
}
/* now + the daemon's seconds, saturated; 0 for none */
uint64_t fuse_deadline(uint64_t sec, uint32_t nsec);
static inline bool fuse_still_valid(uint64_t deadline_ns)
{
	return deadline_ns && now_ns() < deadline_ns;
}
/* Is @e one that a lookup of a name may bring? @mode: the type it must have, 0 any. 0 or -LINUX_EIO */
long fuse_entry_check(const struct fuse_entry_out *e, uint32_t mode);
/* The node that @e names, for @d, which is about to get it: counted once more, attributes taken over (if nobody changed them since
 * @version). A reference. */
long fnode_get(struct dentry *d, const struct fuse_entry_out *e, uint64_t version, struct inode **out);
long fnode_root(struct super_block *sb, uint32_t mode, struct inode **out);
/* A reference to the node with this number that is known, or NULL. */
struct inode *fnode_find(struct super_block *sb, uint64_t nodeid);
void fuse_free_inode(struct inode *i);
void fuse_attr_stale(struct inode *i);
long fuse_attr_take(struct inode *i, const struct fuse_attr *a, uint64_t valid_ns, uint64_t version);
/* Asks for attributes unless they are still valid. */
long fuse_attr_refresh(struct inode *i, bool force);
bool fuse_may_use(const struct fuse_conn *fc, const struct cred *c);
long fuse_getattr(struct inode *i, struct kstat *out);
long fuse_setattr(struct inode *i, const struct iattr *a);
long fuse_permission(struct inode *i, uint32_t mask, const struct cred *c);

/* ---- dir.c ---- */
extern const struct inode_ops fuse_dir_ops, fuse_file_iops, fuse_link_ops, fuse_special_ops;
void fuse_late_entry(struct fuse_req *r);
/* Until when a name need not be asked about again: 0 = at once. */
static inline void fuse_entry_until(struct dentry *d, uint64_t deadline_ns)
{
	__atomic_store_n(&d->priv, (void *)(uintptr_t)deadline_ns, __ATOMIC_RELAXED);
}
struct dentry *fuse_dentry_of(struct inode *dir);	/* a reference to a directory's name, or NULL */
void fuse_d_release(struct dentry *d);

/* ---- xattr.c ---- */
long fuse_getxattr(struct inode *i, const char *name, void *val, size_t size);
long fuse_setxattr(struct inode *i, const char *name, const void *val, size_t size, uint32_t flags);
long fuse_listxattr(struct inode *i, char *out, size_t size);
long fuse_removexattr(struct inode *i, const char *name);

/* ---- file.c ---- */
struct fuse_file {
	uint64_t fh;
	uint32_t open_flags;		/* FOPEN_* */
	bool no_handle;			/* the daemon keeps nothing for it */
	struct fuse_req *release;	/* made ahead, so that closing cannot fail; owned */
	struct task *maker;		/* compared only: whose create made it */
	uint64_t ra_next;		/* the page where a sequential reader goes on */
};
extern const struct file_ops fuse_file_fops, fuse_dir_fops;
/* Room for what an open brings. NULL: no memory. */
struct fuse_file *fuse_file_new(struct fuse_conn *fc, uint64_t nodeid, bool dir);
void fuse_file_free(struct fuse_file *ff);	/* never opened */
void fuse_file_close(struct fuse_file *ff, uint32_t flags); /* tells the daemon, without waiting */
void fuse_late_open(struct fuse_req *r);
long fuse_dir_iterate(struct file *f, struct dir_emit *e, uint64_t *pos); /* readdir.c */

/* ---- io.c ---- */
long fuse_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf);
long fuse_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf);
/* One READ of at most @len bytes (bounded by the connection's sizes); *out: the request with the bytes, to be put. */
long fuse_read_once(struct file *f, uint64_t off, size_t len, struct fuse_req **out);
/* What @r brought of @asked bytes from page offset @at on is kept, as fuse_pages_store(); a short answer says where the file ends. */
long fuse_fetched(struct inode *i, uint64_t gen, uint64_t at, size_t asked, const struct fuse_req *r);
/* One WRITE, of the opener or (@cache) of a mapping; @data: of the Sentry. Bytes written. */
long fuse_write_once(struct file *f, uint64_t off, const void *data, size_t len, bool cache);

/* ---- pages.c ---- */
void fuse_pages_init(struct fuse_pages *p);
void fuse_pages_drop(struct inode *i);		/* pages.lock held */
/* From what is kept: bytes moved to @io, 0 when the page at @off is not there. */
long fuse_pages_read(struct inode *i, struct uio *io, uint64_t off, size_t len);
uint64_t fuse_pages_gen(struct inode *i);
/* [off, off+len) was fetched (@off at a page's start) when the counter stood at @gen; @eof: zeroes follow to the end of the page.
 * -LINUX_EAGAIN: it stands elsewhere now, -LINUX_ENOMEM, -LINUX_ENFILE. */
long fuse_pages_store(struct inode *i, uint64_t gen, uint64_t off, const uint8_t *data, size_t len, bool eof);
/* The daemon took these bytes; the file was @old_size long. */
void fuse_pages_written(struct inode *i, uint64_t off, const uint8_t *data, size_t len, uint64_t old_size);
void fuse_pages_resize(struct inode *i, uint64_t size);
/* Pages that touch [off, end) are to be asked for again. */
void fuse_pages_invalidate(struct inode *i, uint64_t off, uint64_t end);
long fuse_map_fd(struct file *f, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd, uint64_t *out_id,
		 uint64_t *out_off);
/* ---- writeback.c ---- */
void fuse_writeback_init(void);
uint64_t fuse_page_sum(const uint8_t *page);
/* Writes what guests changed through shared mappings. 0 or the first error. */
long fuse_writeback(struct file *f);
void fuse_unmapped(struct file *f);

#endif
