/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/pty.h - pseudo terminals and the devpts instance they belong to
 */
#ifndef SENTRY_PTY_H
#define SENTRY_PTY_H

#include "sentry/fs/tty/tty.h"

#define PTS_MAX 4096	/* pseudo terminals of one devpts instance */

struct pty;

/* One mounted devpts: a table of its terminals. */
struct devpts {
	struct refcount ref;
	struct mutex mu;		/* leaf */
	struct pty *ptys[PTS_MAX];	/* guarded by mu; weak */
	uint32_t mode, ptmxmode, uid, gid, max;
	bool has_gid;
	struct super_block *sb;		/* borrowed: each pty's inode keeps it through its mount */
};
struct devpts *devpts_get(struct devpts *d);
void devpts_put(struct devpts *d);
struct devpts *devpts_of(struct inode *i);	/* of an inode of a devpts; NULL if it is none */
struct devpts *devpts_default(void);	/* the first one mounted, with a reference; NULL */

/* The pair: the slave's struct tty and what the master needs. One reference each for the master file and for lookups in progress. */
struct pty {
	struct tty *tty;
	struct devpts *fs;		/* reference */
	struct inode *inode;		/* of the slave's name; reference */
};
long pty_new(struct devpts *d, const struct cred *c, struct pty **out);
/* A name in @d for a terminal that has no master here (host console); borrowed tty, whose index is set. Ended by pty_unname(). */
long pty_name_tty(struct devpts *d, struct tty *t, const struct cred *c, struct pty **out);
void pty_unname(struct pty *p);
void pty_unlink(struct pty *p);		/* the master closes: the name goes */

extern const struct file_ops ptmx_file_ops;	/* open makes a pair */
extern const struct file_ops pts_file_ops;	/* open of a slave's name */
long devpts_init(void);

#endif
