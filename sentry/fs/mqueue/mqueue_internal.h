/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/mqueue/mqueue_internal.h - queues as the file system keeps them
 */
#ifndef SENTRY_FS_MQUEUE_INTERNAL_H
#define SENTRY_FS_MQUEUE_INTERNAL_H

#include "sentry/fs/mqueue/mqueue.h"
#include "sentry/task/signal.h"
#include "sentry/vfs/vfs.h"

#define MQ_PRIO_MAX	   32768u
#define MQ_HARD_MSG_MAX	   65536	/* even with CAP_SYS_RESOURCE, mq_overview(7) */
#define MQ_HARD_MSGSIZE_MAX (16 * 1024 * 1024)

#define MQ_WOKEN_UP	   1u
#define MQ_REMOVED	   2u

struct mq_msg {
	uint64_t seq;		/* order of arrival */
	uint32_t prio;
	size_t len;
	char text[];
};

struct mqueue {
	struct mutex mu;	/* leaf but for the waitq locks */
	struct waitq senders, receivers;
	struct mq_msg **heap;	/* maxmsg slots, the next one to go first; guarded by mu, as all below */
	uint32_t nr, nr_receivers; /* messages; callers asleep in receive */
	uint64_t next_seq, bytes;
	uint32_t maxmsg, msgsize;  /* immutable */
	struct pid *owner;	/* who is to be told of a message; reference or NULL */
	struct linux_sigevent ev;
	struct file *teller;	/* SIGEV_THREAD: the netlink socket that gets the cookie; reference or NULL */
	uint8_t cookie[MQ_COOKIE_LEN];
	struct user_count *user; /* reference; charged with .charge bytes; immutable */
	uint64_t charge;
};

/* A queue charged to the owner of @c. -LINUX_ENOMEM, -LINUX_EMFILE (RLIMIT_MSGQUEUE of the current task). */
long mqueue_new(uint32_t maxmsg, uint32_t msgsize, const struct cred *c, struct mqueue **out);
void mqueue_free(struct mqueue *q);

extern const struct file_ops mqueue_file_ops;

#endif
