/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/socket.h - the socket layer: what every address family offers, and the file around it
 *
 * Model:   a struct socket is an endpoint of some family, made by the family's create(); a sockfs file owns one reference.
 *          Families block in their own operations (wait_event on their queues) unless MSG_DONTWAIT or O_NONBLOCK says not to.
 * Locks:   ranks 120 and below 130 belong to the families; none is held across a guest copy.
 * Source:  socket(2), socket(7), send(2), recv(2).
 */
#ifndef SENTRY_SOCKET_H
#define SENTRY_SOCKET_H

#include "sentry/abi/socket.h"
#include "sentry/task/task.h"

#define SCM_MAX_FD 253 /* SCM_RIGHTS descriptors in one message, unix(7) */

/* Descriptors and credentials that ride with a message. */
struct scm {
	struct file **files;	/* references; owned */
	uint32_t nr_files;
	bool has_cred;
	uint32_t pid_of_sender;	/* struct pid number in the initial namespace is not kept: see pid */
	struct pid *pid;	/* reference or NULL */
	uint32_t uid, gid;	/* kernel ids */
};
void scm_fini(struct scm *s);

struct sockaddr_buf {
	uint32_t len; /* 0 = none */
	union {
		uint16_t family;
		uint8_t b[LINUX_SOCKADDR_MAX];
	};
};

/* One send or receive. */
struct sock_msg {
	struct uio *io;
	uint32_t flags;			/* LINUX_MSG_*; with MSG_DONTWAIT already merged from O_NONBLOCK */
	uint32_t out_flags;		/* recv: MSG_TRUNC, MSG_CTRUNC, MSG_EOR ... */
	struct sockaddr_buf name;	/* send: destination; recv: source */
	struct scm scm;			/* unix: both ways */
	/* Other control messages, in the guest's layout without SCM_RIGHTS and SCM_CREDENTIALS: send: what came; recv: what goes
	 * out, appended by the family with sock_put_cmsg(). */
	uint8_t *ctl;
	size_t ctl_len, ctl_cap;
};
/* Appends one control message for the receiver; false and MSG_CTRUNC when there is no room. */
bool sock_put_cmsg(struct sock_msg *m, int level, int type, const void *data, size_t len);

struct socket;

/* Missing entries answer -LINUX_EOPNOTSUPP. All return 0, a byte count, or -LINUX_E*. (sleep) */
struct socket_ops {
	bool stack_options;	/* getsockopt() is asked about SOL_SOCKET before the common code */
	void (*release)(struct socket *s);	/* the file is gone; frees the socket */
	long (*bind)(struct socket *s, struct task *t, const struct sockaddr_buf *a);
	long (*connect)(struct socket *s, struct task *t, const struct sockaddr_buf *a, bool nonblock);
	long (*listen)(struct socket *s, int backlog);
	long (*accept)(struct socket *s, bool nonblock, struct socket **out);
	long (*getname)(struct socket *s, bool peer, struct sockaddr_buf *out);
	long (*sendmsg)(struct socket *s, struct task *t, struct sock_msg *m);
	long (*recvmsg)(struct socket *s, struct task *t, struct sock_msg *m);
	long (*shutdown)(struct socket *s, int how);
	/* Level SOL_SOCKET options that socket.c does not know, and all others. @val is Sentry memory. */
	long (*setsockopt)(struct socket *s, struct task *t, int level, int name, const void *val, size_t len);
	long (*getsockopt)(struct socket *s, struct task *t, int level, int name, void *val, size_t *len);
	uint32_t (*poll)(struct socket *s, struct poll_table *pt);
	long (*ioctl)(struct socket *s, struct task *t, uint32_t cmd, uint64_t arg);
	long (*mmap)(struct socket *s, struct mappable **out);	/* packet rings */
	/* Told that a SOL_SOCKET value kept in struct socket changed (buffer sizes ...). NULL: not interested. */
	void (*opt_changed)(struct socket *s, int name);
	/* It has a file now, and .ino. NULL: not interested. */
	void (*filed)(struct socket *s, const struct cred *c);
};

struct socket {
	const struct socket_ops *ops;
	int family, type, protocol;
	struct net_ns_ref *net;		/* reference */
	struct mutex mu;		/* leaf: the options below */
	int sndbuf, rcvbuf;		/* bytes, as getsockopt tells (doubled) */
	uint64_t rcvtimeo_ns, sndtimeo_ns; /* 0 = none */
	int rcvlowat, priority;
	uint32_t mark;
	bool reuseaddr, reuseport, keepalive, broadcast, oobinline, passcred, passpidfd, timestamp, timestampns, no_check, dontroute,
		rxq_ovfl, zerocopy;
	struct linux_linger linger;
	_Atomic int err;		/* SO_ERROR: positive number, fetched once */
	int peek_off;			/* -1 = off */
	uint64_t cookie;		/* SO_COOKIE, unique */
	_Atomic uint64_t ino;		/* of its file in sockfs; 0 = has none (yet) */
	_Atomic(struct file *) file;	/* borrowed back pointer for SIGIO; NULL before and after */
	void *priv;
};

struct socket_family {
	int family;
	long (*create)(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out);
	long (*socketpair)(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **a, struct socket **b);
};
/* At boot: every family, and the network namespace's place in ns_ops. */
long socket_init_families(void); /* 0 or -LINUX_ENOMEM */
void socket_family_register(const struct socket_family *f);
const struct socket_family *socket_family_find(int family);

/* For create(): fills the common part. */
void socket_init(struct socket *s, const struct socket_ops *ops, struct net_ns_ref *net, int family, int type, int protocol);
void socket_fini(struct socket *s);
/* A file that owns @s (moved); @flags: SOCK_NONBLOCK. On failure @s is released. */
long socket_file(struct socket *s, uint32_t flags, const struct cred *c, struct file **out);
struct socket *socket_of(struct file *f);	/* NULL when @f is no socket */
/* Deadline for a blocking operation with timeout @timeo_ns (0 = none); NO_DEADLINE. */
uint64_t socket_deadline(uint64_t timeo_ns);
/* Errors for a wait that ended with @ret: -LINUX_ETIMEDOUT becomes -LINUX_EAGAIN; with a timeout set, interruption is EINTR. */
long socket_wait_error(long ret, uint64_t timeo_ns);
/* Pending error, cleared: -LINUX_E* or 0. */
long socket_take_error(struct socket *s);
/* Events happened: SIGIO for the file if it asked. Any thread, no lock that a signal needs. */
void socket_sigio(struct socket *s, uint32_t poll_events);
/* SIGPIPE to the task unless MSG_NOSIGNAL; returns -LINUX_EPIPE. */
long socket_epipe(struct task *t, uint32_t msg_flags);

/* getsockopt/setsockopt(2) after the copies: common SOL_SOCKET, then the family. */
long socket_setopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len);
long socket_getopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len);

/* ---- network namespaces -------------------------------------------------------------------------------- */

struct net_ns;		/* the TCP/IP stack's (sentry/net) */
struct unix_table;	/* abstract addresses */

struct net_ns_ref {
	struct refcount ref;
	struct net_ns *stack;		/* NULL while no stack is attached; owned */
	struct unix_table *unix_tab;	/* owned */
	struct user_ns *user_ns;	/* reference */
	uint64_t ino;
	bool host;			/* immutable once tasks see it: TCP and UDP sockets are the host's (socket/host) */
};
/* A fresh namespace: loopback only. */
struct net_ns_ref *net_ns_ref_new(struct user_ns *owner);
struct net_ns_ref *net_ns_ref_get(struct net_ns_ref *n);
void net_ns_ref_put(struct net_ns_ref *n);
/* Loopback up with its addresses, as runtimes leave a container's first namespace. */
long net_ns_ref_loopback_up(struct net_ns_ref *n);

/* filter.c: the program that the value of SO_ATTACH_FILTER points at, copied: *@out_prog is the caller's. -LINUX_EINVAL, EFAULT, ENOMEM */
long socket_filter_copyin(struct task *t, const void *val, size_t len, uint8_t **out_prog, unsigned *out_nr);

#endif
