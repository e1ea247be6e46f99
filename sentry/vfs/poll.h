/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/poll.h - waiting for several files: the core of poll(2) and select(2), and epoll(7)
 */
#ifndef SENTRY_VFS_POLL_H
#define SENTRY_VFS_POLL_H

#include "sentry/vfs/vfs.h"

/* ---- many queues at once ---- */

#define POLL_INLINE 8
struct poll_entry {
	struct waiter w;
	struct waitq *q;
};
struct poll_chunk;

/* Registers the calling kthread with every queue that poll operations name. */
struct poll_wait {
	struct poll_table pt;		/* first: given to vfs_poll() */
	uint32_t nr;
	bool failed;			/* out of memory: some queue is missing */
	struct poll_chunk *chunks;
	struct poll_entry e[POLL_INLINE];
};
void poll_wait_init(struct poll_wait *p);
void poll_wait_fini(struct poll_wait *p);	/* leaves all queues */

struct poll_fd {
	int fd;
	uint32_t events, revents;
};
/* How many of @n have revents != 0 before @deadline_ns (absolute monotonic; 0 = do not wait); -LINUX_ENOMEM, or -ERESTARTSYS. (sleeps) */
long poll_files(struct fdtable *t, struct poll_fd *p, uint32_t n, uint64_t deadline_ns);

/* ---- epoll ---- */

#define LINUX_EPOLLIN	     0x001u
#define LINUX_EPOLLERR	     0x008u
#define LINUX_EPOLLHUP	     0x010u
#define LINUX_EPOLLEXCLUSIVE (1u << 28)
#define LINUX_EPOLLWAKEUP    (1u << 29)
#define LINUX_EPOLLONESHOT   (1u << 30)
#define LINUX_EPOLLET	     (1u << 31)
#define LINUX_EPOLL_CTL_ADD  1
#define LINUX_EPOLL_CTL_DEL  2
#define LINUX_EPOLL_CTL_MOD  3

struct linux_epoll_event {
	uint32_t events;
	uint64_t data;
} __attribute__((packed));
_Static_assert(sizeof(struct linux_epoll_event) == 12, "epoll_ctl(2), x86-64");

long epoll_new(const struct cred *c, struct file **out);
/* epoll_ctl(2) on epoll file @ef for descriptor @fd, which is @f. -LINUX_EINVAL, EEXIST, ENOENT, ELOOP, ENOSPC, EPERM, ENOMEM. */
long eventpoll_ctl(struct file *ef, int op, struct file *f, int fd, const struct linux_epoll_event *ev);
/* Up to @max events into @out. 0 when the deadline (as above) passed; -ERESTARTSYS. (sleeps) */
long epoll_wait_events(struct file *ef, struct linux_epoll_event *out, int max, uint64_t deadline_ns);
bool file_is_epoll(const struct file *f);

#endif
