/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/unix/unix.h - AF_UNIX sockets
 *
 * Model:   a unix_sock has a receive queue of messages; sending appends to the peer's queue, so a connection is two pointers.
 *          Bytes of a stream are messages too: small writes are joined to the last one when nothing rides with either.
 *          A socket outlives its file while peers, queues or the address table refer to it.
 * Locks:   table.mu (120) > unix_sock.mu (121; two by address) > waitq.mu. Guest copies happen with none held: a message is
 *          filled before it is queued and emptied after it is taken off; recv_lock (a sleeplock, outside all) keeps readers of a
 *          stream in order.
 * Source:  unix(7).
 */
#ifndef SENTRY_UNIX_H
#define SENTRY_UNIX_H

#include "sentry/socket/socket_internal.h"

#define UNIX_MSG_CHUNK (64 * 1024)	/* most bytes of a stream in one message */
#define UNIX_NESTING_MAX  4		/* as Linux: deeper is ETOOMANYREFS */
#define UNIX_INFLIGHT_MAX 16384		/* descriptors in queues of the whole sandbox: ETOOMANYREFS beyond */

enum unix_state { UNIX_UNCONNECTED, UNIX_LISTENING, UNIX_CONNECTED, UNIX_CLOSED };

struct unix_addr {
	struct refcount ref;
	uint32_t len;			/* of un, as bind(2) got it */
	struct linux_sockaddr_un un;
};

struct unix_msg {
	struct list node;
	size_t len, off, cap;		/* data bytes, consumed ones, room */
	struct unix_addr *from;		/* reference or NULL */
	struct scm scm;
	uint8_t data[];
};

struct unix_sock {
	struct socket sk;		/* must be first */
	struct refcount ref;
	struct mutex lock;
	enum unix_state state;		/* guarded by lock */
	struct unix_sock *peer;		/* reference; guarded by lock */
	struct unix_addr *addr;		/* guarded by lock; set once */
	struct inode *inode;		/* bound in the file system: reference; set once */
	struct list name_node;		/* in the abstract table */
	struct list rxq;		/* of unix_msg; guarded by lock */
	size_t rx_bytes, rx_msgs;	/* in rxq; guarded by lock */
	bool rd_shut, wr_shut;		/* guarded by lock */
	bool peer_gone;			/* guarded by lock */
	bool want_room;			/* a writer found rxq full: the next read wakes; guarded by lock */
	uint32_t backlog, nr_pending;	/* listening; rxq is not used then; guarded by lock */
	struct list pending;		/* of unix_sock.pending_node: embryos waiting for accept; guarded by lock */
	struct list pending_node;
	struct sleeplock recv_lock;
	struct waitq wq;		/* readable, connected, room; writers of datagrams to me wait here too */
	bool has_peer_cred;		/* SO_PEERCRED; guarded by lock */
	struct pid *cred_pid;
	uint32_t cred_uid, cred_gid;
	struct group_list *cred_groups;
	struct list gc_node;		/* all sockets: unix_gc.c */
	uint32_t gc_mark;
	_Atomic uint32_t nesting;	/* sockets in queues in queues ...: bounds the recursion of closing */
};

static inline struct unix_sock *unix_of(struct socket *s)
{
	return (struct unix_sock *)s;
}
struct unix_sock *unix_get(struct unix_sock *u);
void unix_put(struct unix_sock *u);
struct unix_sock *unix_alloc(struct net_ns_ref *net, int type, int protocol);
void unix_addr_put(struct unix_addr *a);

/* unix_addr.c: names */
long unix_bind(struct socket *s, struct task *t, const struct sockaddr_buf *a);
/* The socket that @a names, as a reference; type must match. */
long unix_find(struct unix_sock *me, struct task *t, const struct sockaddr_buf *a, struct unix_sock **out);
void unix_unname(struct unix_sock *u);	/* the socket closes: its names go */
void unix_fill_name(struct unix_addr *a, struct sockaddr_buf *out);
long unix_check_addr(const struct sockaddr_buf *a);

/* unix_msg.c: data */
long unix_sendmsg(struct socket *s, struct task *t, struct sock_msg *m);
long unix_recvmsg(struct socket *s, struct task *t, struct sock_msg *m);
void unix_msg_free(struct unix_msg *m);
#define UNIX_MSG_COST 768	/* bytes that a datagram counts beside its own, as a small one does on Linux */
/* What counts against @from's send buffer of the messages that wait at @to, locked. */
size_t unix_queued_locked(const struct unix_sock *from, const struct unix_sock *to);
void unix_flush(struct unix_sock *u);	/* frees the queue */

/* unix_gc.c: sockets that only queues of unreachable sockets refer to (descriptors passed in circles) */
void unix_gc_add(struct unix_sock *u);
void unix_gc_del(struct unix_sock *u);
/* @s goes into @to's queue. -LINUX_ETOOMANYREFS: too many, or nested too deeply. */
long unix_inflight_add(struct unix_sock *to, const struct scm *s);
void unix_inflight_sub(const struct scm *s);
void unix_gc_run(void);

/* One socket described, for sock_diag(7) and /proc/net/unix. */
struct unix_info {
	int type;
	uint8_t state;		/* 1 connected, 7 not, 10 listening: TCP's numbers, as Linux shows them */
	uint8_t shutdown;	/* 1 no more reading, 2 writing */
	uint64_t ino, peer_ino, cookie;
	uint32_t rqueue, wqueue, refs;	/* bytes; listening: connections that wait, and their limit */
	uint32_t name_len;
	char name[LINUX_UNIX_PATH_MAX];	/* without the family; abstract names start with NUL */
};
/* Calls @fn for each socket of @net that has a file; stops at its first non-zero value. @fn must not sleep nor take locks of
 * sockets. */
int unix_each(const struct net_ns_ref *net, int (*fn)(const struct unix_info *i, void *arg), void *arg);

/* conn: unix.c */
void unix_set_peer_cred(struct unix_sock *u, struct task *t);
void unix_notify(struct unix_sock *u, uint32_t events);

#endif
