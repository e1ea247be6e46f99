/* SPDX-License-Identifier: Apache-2.0
 * proto/p9_fs.h - file operations on a 9P server, with our extensions or stock 9P2000.L
 *
 * Model:   each function is one thing that a file system wants. With the extensions it is one round trip; with
 *          a stock peer the same is put together from several. Attributes come as struct p9x_stat either way
 *          (mask says what is known: a stock peer has no btime and no device number).
 * Locks:   none; functions sleep (p9_call()).
 */
#ifndef PROTO_P9_FS_H
#define PROTO_P9_FS_H

#include "p9_client.h"

/* All return 0 or -errno unless they say else. Names and paths are C strings; names single components. */

long p9_attach(struct p9_client *c, const char *aname, uint32_t uid, uint32_t *out_fid);

/**
 * p9_walk() - walk @n names, at most P9_WALK_MAX, from @fid
 * @out_fid:	a new fid of where that leads; NULL: only the attributes
 * @st:		NULL, or room for @n entries (1 when @n is 0): the attributes of each
 * @out_n:	NULL, or how many of @st are filled, also on failure
 */
long p9_walk(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t *out_fid,
	     struct p9x_stat *st, unsigned *out_n);
long p9_getattr(struct p9_client *c, uint32_t fid, struct p9x_stat *out);
/* @m: valid and its fields as in Txsetattr; @out: attributes afterwards */
long p9_setattr(struct p9_client *c, uint32_t fid, const struct p9_Txsetattr *m, struct p9x_stat *out);

struct p9_opened {
	struct p9x_stat st;
	int fd;		  /* host descriptor, owned by the caller; -1 */
	uint32_t fid;	  /* open for p9_read(), p9_write(); P9_NOFID */
	uint32_t iounit;
	uint8_t *data;	  /* content, malloc'ed, owned by the caller; NULL */
	uint32_t data_len;
	bool has_data;
};

/**
 * p9_open_at() - get at the content of what @names lead to from @fid
 * @n:		at most P9_WALK_MAX; 0: of @fid itself
 * @want:	P9X_FD, P9X_INLINE (up to @inline_max), P9X_FID; a stock peer can give P9X_FID only, and does so
 *		whatever was wanted
 */
long p9_open_at(struct p9_client *c, uint32_t fid, const char *const *names, unsigned n, uint32_t flags,
		uint32_t want, uint32_t inline_max, struct p9_opened *out);
static inline long p9_open(struct p9_client *c, uint32_t fid, uint32_t flags, uint32_t want, uint32_t inline_max,
			   struct p9_opened *out)
{
	return p9_open_at(c, fid, NULL, 0, flags, want, inline_max, out);
}

/* What a path led to: attributes of the first @n names, why the next one failed (0: all were found), and the end. */
struct p9_looked {
	unsigned n;
	long err;
	struct p9x_stat st[P9_WALK_MAX];
	char *target; /* of the last of them, if it is a symbolic link; owned by the caller; NULL: not known */
	int fd;	      /* of a regular file, for reading; owned by the caller; -1 */
	uint32_t fid; /* of a directory; owned by the caller; P9_NOFID */
};
/**
 * p9_lookup() - look at 1 to P9_WALK_MAX @names from @fid on in one round trip; needs the extensions
 * @want:	P9X_FD, P9X_FID: what is wanted of the end; it may be missing all the same
 *
 * Return: 0 with *out, also when a name was not found; -errno when nothing could be asked
 */
long p9_lookup(struct p9_client *c, uint32_t fid, const struct p9_names *names, uint32_t want, struct p9_looked *out);

struct p9_new {
	uint32_t mode; /* with the type */
	uint32_t uid, gid;
	uint32_t major, minor;
	const char *target; /* of a symbolic link */
};

/* A regular file. *out_fid is a fid of it; NULL @name: an unnamed one. Opened as p9_open() does with @want. */
long p9_create(struct p9_client *c, uint32_t dfid, const char *name, uint32_t flags, const struct p9_new *n,
	       uint32_t want, uint32_t *out_fid, struct p9_opened *out);
/* Anything else: directory, link, fifo, socket. */
long p9_make(struct p9_client *c, uint32_t dfid, const char *name, const struct p9_new *n, struct p9x_stat *out);
long p9_link(struct p9_client *c, uint32_t dfid, uint32_t fid, const char *name);
long p9_unlink(struct p9_client *c, uint32_t dfid, const char *name, bool dir);
/**
 * p9_rename() - flags of renameat2(2); -EINVAL for any with a stock peer
 * @fid:	P9_NOFID, or one of what @oldname is: a server whose fids are paths (diod) lets it follow the
 *		move; its other fids at or below the old name go stale
 */
long p9_rename(struct p9_client *c, uint32_t olddfid, const char *oldname, uint32_t fid, uint32_t newdfid,
	       const char *newname, uint32_t flags);
long p9_readlink(struct p9_client *c, uint32_t fid, char *out, size_t cap); /* length; terminated */

/* A page of a directory. add() false: stop. With a stock peer st is NULL. The offset is that of the next one. */
struct p9_dir_reader {
	bool (*add)(struct p9_dir_reader *r, const struct p9x_dirent *d, const struct p9x_stat *st, uint8_t dtype);
};
/**
 * p9_readdir() - one page from @off on; *out_next: where to go on; *out_eof
 * @fid:	of the directory; with a stock peer it must be open (p9_open() with P9X_FID)
 */
long p9_readdir(struct p9_client *c, uint32_t fid, uint64_t off, struct p9_dir_reader *r, uint64_t *out_next,
		bool *out_eof);

/* Through an open fid. Bytes moved, short at the message size. */
long p9_read(struct p9_client *c, uint32_t fid, uint64_t off, void *buf, size_t len);
long p9_write(struct p9_client *c, uint32_t fid, uint64_t off, const void *buf, size_t len);
long p9_fsync(struct p9_client *c, uint32_t fid, bool data_only);
long p9_allocate(struct p9_client *c, uint32_t fid, uint32_t mode, uint64_t off, uint64_t len);
long p9_statfs(struct p9_client *c, uint32_t fid, struct p9_Rstatfs *out);

/* Extended attributes. @name "" lists. size 0 asks for the length. Lengths are returned. */
long p9_getxattr(struct p9_client *c, uint32_t fid, const char *name, void *buf, size_t size);
long p9_setxattr(struct p9_client *c, uint32_t fid, const char *name, const void *val, size_t size, uint32_t flags);
long p9_removexattr(struct p9_client *c, uint32_t fid, const char *name);

/* Host unix sockets: a descriptor, or -errno. -EOPNOTSUPP with a stock peer. */
long p9_connect(struct p9_client *c, uint32_t fid, uint32_t socktype);
long p9_bind(struct p9_client *c, uint32_t dfid, const char *name, uint32_t socktype, const struct p9_new *n,
	     uint32_t backlog, struct p9x_stat *out);

#endif
