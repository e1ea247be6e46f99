/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/pipe/pipe_internal.h - the ring of buffers
 */
#ifndef SENTRY_FS_PIPE_INTERNAL_H
#define SENTRY_FS_PIPE_INTERNAL_H

#include "sentry/fs/pipe/pipe.h"

/* Bytes that slots of one or (after tee) several pipes point into. */
struct pipe_page {
	struct refcount ref;
	uint32_t cap;		/* PIPE_BUF_BYTES, or more for a large write */
	struct pipe_page *next;	/* in the pipe's spare list */
	uint8_t data[];
};

struct pipe_slot {
	struct pipe_page *page;	/* reference */
	uint32_t off, len;
	uint32_t units;		/* pages that it counts for: those that its bytes would fill */
	bool packet;		/* O_DIRECT: one write, one read */
};

#define PIPE_ASYNC_MAX 8

struct pipe {
	struct sleeplock lock;	/* held over guest copies */
	struct pipe_slot *slot;
	uint32_t nr_slots;	/* power of two */
	uint32_t head, tail;	/* next entry to be written, read; guarded by lock */
	_Atomic uint32_t used;	/* units in use, at most nr_slots; written under lock, read without */
	_Atomic uint32_t readers, writers; /* open ends; written under lock */
	uint32_t r_opens, w_opens; /* how often ends were opened: what a FIFO's opener waits for */
	bool anon;		/* of pipe(2): opened again through /proc it waits for nobody */
	uint32_t nr_files;	/* FIFO: open files and openers; guarded by the inode's i_lock */
	struct waitq rd, wr;
	struct mutex async_mu;	/* leaf */
	struct file *async[PIPE_ASYNC_MAX]; /* with O_ASYNC, borrowed: they leave when they are closed; guarded by async_mu */
	uint32_t nr_async;	/* written under async_mu, read without */
	struct pipe_page *spare; /* guarded by lock */
	uint32_t nr_spare;
};

extern const struct file_ops pipe_fops;
struct pipe *pipe_alloc(void);
void pipe_free(struct pipe *p);
static inline struct pipe *pipe_of(struct file *f)
{
	return f->priv;
}
void pipe_slot_drop(struct pipe *p, struct pipe_slot *s); /* gives the page back */

#endif
