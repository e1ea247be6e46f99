/* SPDX-License-Identifier: Apache-2.0
 * gofer/gofer_internal.h - what the files of the 9P server share
 */
#ifndef GOFER_INTERNAL_H
#define GOFER_INTERNAL_H

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>

#include "base/mutex.h"
#include "gofer/server.h"

#define GOFER_XATTR_MAX 65536u /* XATTR_SIZE_MAX */
#define FID_BUCKETS	1024

/* A host object. Immutable after it was made, so that it needs no lock. */
struct gnode {
	struct refcount ref;
	int fd;	    /* O_PATH (a real descriptor for an unnamed file); owned */
	mode_t type; /* S_IFMT bits */
	bool ro;    /* below a read-only root */
};

enum gfid_kind { GFID_NODE, GFID_XATTR_READ, GFID_XATTR_WRITE };

/* What a fid number means. Replaced as a whole when a request changes its meaning (Twalk in place, Tlcreate). */
struct gfid {
	struct refcount ref;
	struct gfid *next; /* guarded by conn->fids_mu */
	uint32_t id;	   /* immutable */
	enum gfid_kind kind; /* immutable */
	struct gnode *node; /* reference, immutable */
	uint32_t uname;	   /* uid that new files of this attach belong to, or P9_NONUNAME; immutable */
	pthread_mutex_t mu; /* what follows */
	struct gnode *parent; /* reference, NULL at a root; Trename changes it */
	char *name;	   /* in parent; owned */
	_Atomic int iofd;  /* -1 until opened; set once under mu, read without */
	uint32_t open_flags; /* P9_O_*, written before iofd */
	uint64_t dir_off;  /* where iofd stands, directories only */
	struct {
		char *name;
		uint8_t *data;
		uint32_t len, filled, flags;
	} xattr;
};

struct gofer_conn {
	const struct gofer_server *srv;
	_Atomic uint32_t msize; /* 0 until Tversion */
	_Atomic bool ext;	/* extensions agreed on */
	uint32_t msize_max;	/* immutable while serving */

	struct mutex fids_mu;
	struct gfid *fids[FID_BUCKETS]; /* guarded by fids_mu */
	unsigned nr_fids;		/* guarded by fids_mu */

	struct session *session; /* session.c; NULL outside gofer_conn_serve() */
};

/* One request while it is answered. */
struct gcall {
	struct gofer_conn *conn;
	const struct p9_msg *req;
	struct p9_msg *rep;
	uint8_t *data;	 /* where the reply's data or string will stand */
	size_t data_cap; /* how much of it fits the agreed message size */
	int fd;		 /* goes out with the reply, owned; -1 */
	bool no_reply;	 /* Tflush: the flushed request's thread answers */
};

/* dispatch.c: one row for each T-message */
struct gofer_op {
	long (*fn)(struct gcall *k); /* 0 or -errno */
	uint16_t data_off;	     /* of the reply's data or string from its start, 0: it has none */
};

/* fid.c */
struct gfid *gfid_new(uint32_t id, enum gfid_kind kind, struct gnode *node, struct gnode *parent,
		      struct p9_str name, uint32_t uname); /* takes its own references; NULL: no memory */
void gfid_put(struct gfid *f);
struct gfid *gfid_get(struct gofer_conn *c, uint32_t id); /* a reference, or NULL */
struct gfid *gfid_get_node(struct gofer_conn *c, uint32_t id); /* the same, of kind GFID_NODE only */
/* Puts @f in the table, moving the caller's reference in, in place of @old (NULL: the number must be
 * free). Return: 0; -EBADF when the number is taken, or @old is gone; -EMFILE. On failure @f is put. */
long gfid_install(struct gofer_conn *c, struct gfid *f, struct gfid *old);
struct gfid *gfid_take(struct gofer_conn *c, uint32_t id); /* out of the table; NULL: not there */
void gfid_clear(struct gofer_conn *c);

/* node.c */
/* A checked, terminated copy of a name from the wire. */
struct gname {
	char s[P9_NAME_MAX + 1];
};
struct gnode *gnode_new(int fd, mode_t type, bool ro); /* moves fd in, closing it on failure */
struct gnode *gnode_get(struct gnode *n);
void gnode_put(struct gnode *n); /* NULL is fine */
/* Digits of a descriptor number: its path below the working directory. */
struct fdpath {
	char s[16];
};
struct fdpath fdpath(int fd);
long node_child(struct gnode *dir, const char *name, struct gnode **out); /* one component, no link followed */
long node_child_stat(struct gnode *dir, const char *name, struct gnode **out, struct p9x_stat *st);
/* All of @names from @from. References: *out, and *parent with *last if there are names (NULL otherwise). */
long node_walk(struct gnode *from, const struct p9_names *names, struct gnode **out, struct gnode **parent,
	       struct gname *last);
long node_stat(int fd, struct p9x_stat *out);				  /* of the descriptor itself */
long node_stat_at(int dirfd, const char *name, struct p9x_stat *out);	  /* of an entry, not following */
struct p9_qid qid_of(const struct p9x_stat *st);
long node_open(const struct gofer_server *srv, struct gnode *n, uint32_t flags, int *out_fd);
long node_may_change(const struct gnode *dir); /* -ENOTDIR, -EROFS, or 0 */
long node_set_owner_mode(int fd, mode_t type, uint32_t uid, uint32_t gid, mode_t mode);
long host_open_flags(uint32_t p9flags, int *out);
long gname_take(struct p9_str s, struct gname *out);

/* Handlers, by file */
long op_version(struct gcall *k); /* op_session.c */
long op_auth(struct gcall *k);
long op_attach(struct gcall *k);
long op_flush(struct gcall *k);
long op_clunk(struct gcall *k);
long op_xclunk(struct gcall *k);
long op_walk(struct gcall *k); /* op_walk.c */
long op_xwalk(struct gcall *k);
long op_xlookup(struct gcall *k);
long op_lopen(struct gcall *k); /* op_open.c */
long op_xopen(struct gcall *k);
long op_lcreate(struct gcall *k);
long op_xcreate(struct gcall *k);
long op_read(struct gcall *k); /* op_io.c */
long op_write(struct gcall *k);
long op_fsync(struct gcall *k);
long op_xallocate(struct gcall *k);
long op_lock(struct gcall *k);
long op_getlock(struct gcall *k);
long op_readdir(struct gcall *k); /* op_dir.c */
long op_xreaddir(struct gcall *k);
long op_getattr(struct gcall *k); /* op_attr.c */
long op_xgetattr(struct gcall *k);
long op_setattr(struct gcall *k);
long op_xsetattr(struct gcall *k);
long op_statfs(struct gcall *k);
long op_readlink(struct gcall *k); /* op_name.c */
long op_symlink(struct gcall *k);
long op_mknod(struct gcall *k);
long op_mkdir(struct gcall *k);
long op_xmake(struct gcall *k);
long op_link(struct gcall *k);
long op_rename(struct gcall *k); /* op_rename.c */
long op_renameat(struct gcall *k);
long op_xrename(struct gcall *k);
long op_unlinkat(struct gcall *k);
long op_remove(struct gcall *k);
long op_xattrwalk(struct gcall *k); /* op_xattr.c */
long op_xattrcreate(struct gcall *k);
long op_xgetxattr(struct gcall *k);
long op_xsetxattr(struct gcall *k);
long xattr_commit(struct gfid *f); /* Tclunk of a GFID_XATTR_WRITE */
long op_xconnect(struct gcall *k); /* op_sock.c */
long op_xbind(struct gcall *k);

/* session.c: asks that the thread that is busy with @oldtag also answer @tag afterwards.
 * False: nobody is busy with it. */
bool session_flush(struct gofer_conn *c, uint16_t oldtag, uint16_t tag);

#endif
