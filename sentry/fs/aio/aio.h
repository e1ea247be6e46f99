/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/aio/aio.h - contexts of asynchronous I/O: slots, completions, polls
 *
 * Model:   a context belongs to an address space and is named by the address of a page in it, which it lives as long as. The page
 *          holds no ring (no magic number), so that libraries fetch events by system call. A request takes a slot from
 *          io_submit(2) until its event is fetched.
 * Source:  io_setup(2), io_submit(2), io_getevents(2), io_cancel(2), io_destroy(2).
 */
#ifndef SENTRY_FS_AIO_H
#define SENTRY_FS_AIO_H

#include "sentry/abi/aio.h"
#include "sentry/task/task.h"

struct aio_ctx;

struct aio_req {
	struct list node;	/* in the context's polls or done; guarded by its mu */
	struct aio_ctx *ctx;	/* reference until completion */
	struct file *f, *resfd;	/* references until completion; resfd: an eventfd or NULL */
	uint64_t data, obj;	/* for the event; obj: guest address of the iocb */
	int64_t res;
	uint32_t events;	/* polls: what is waited for */
	bool cancelled;		/* guarded by ctx mu */
	struct kthread *k;	/* polls: who waits; guarded by ctx mu */
};

extern _Atomic int64_t aio_nr;	/* slots of all contexts, /proc/sys/fs/aio-nr */

/* A context with @nr slots; *out_id: its address. -LINUX_EAGAIN above @max_nr in total, -LINUX_ENOMEM. (sleeps) */
long aio_setup(struct task *t, uint32_t nr, int64_t max_nr, uint64_t *out_id);
/* Cancels what is in flight, waits for it, unmaps the page. -LINUX_EINVAL: there is none. (sleeps) */
long aio_destroy(struct task *t, uint64_t id);
struct aio_ctx *aio_get(struct task *t, uint64_t id);	/* reference or NULL */
void aio_put(struct aio_ctx *c);

/* A request with a slot. -LINUX_EAGAIN none free, -LINUX_ENOMEM. Ends with aio_complete(), or aio_req_drop() without an event. */
long aio_req_new(struct aio_ctx *c, struct aio_req **out);
void aio_req_drop(struct aio_req *r);	/* (may sleep) */
void aio_complete(struct aio_req *r, int64_t res);	/* (may sleep) */
/* Completes @r with the POLL* bits out of r->events once there are any. -LINUX_EAGAIN: too many polls; @r is still the caller's. */
long aio_poll(struct aio_req *r);
/* -LINUX_EINPROGRESS: its event will come; -LINUX_EINVAL: it is not waiting. */
long aio_cancel(struct aio_ctx *c, uint64_t obj);

/* Up to @max events into @out, their slots freed. */
unsigned aio_take(struct aio_ctx *c, struct linux_io_event *out, unsigned max);
/* Until there is an event. -LINUX_ETIMEDOUT, -ERESTARTSYS, -LINUX_EINVAL: destroyed. (sleeps) */
long aio_wait(struct aio_ctx *c, uint64_t deadline_ns);

#endif
