/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/netlink.h - AF_NETLINK: sockets, protocols, queues
 *
 * Model:   a protocol is a row with a function per message; answers and notifications are datagrams in the socket's queue. A
 *          request is worked off inside the sender's call. A dump is made as a whole, as a list of datagrams of the size that
 *          Linux uses, so its parts fit together; all waiting datagrams of the sandbox together have a limit.
 * Locks:   netlink_mu (the list of all sockets) > nl_sock.mu > waitq.mu. Notifications arrive with locks of the stack held
 *          (net/net.h) and take only these.
 * Source:  netlink(7), rtnetlink(7), sock_diag(7).
 */
#ifndef SENTRY_NETLINK_H
#define SENTRY_NETLINK_H

#include "sentry/socket/netlink/nlmsg.h"
#include "sentry/socket/socket_internal.h"

#define NL_GROUPS_MAX 64
#define NL_CHUNK      3776	/* bytes of a dump's datagram: what Linux has with 4 KiB pages */

struct nl_msg {
	struct list node;
	uint32_t len, group, pid;
	uint8_t data[];
};

struct nl_sock {
	struct socket sk;		/* must be first */
	struct list node;		/* netlink_mu */
	struct waitq wq;
	struct mutex mu;
	struct list rxq;		/* of nl_msg; guarded by mu */
	size_t rx_bytes;		/* guarded by mu */
	uint32_t portid;		/* netlink_mu; 0 = not bound */
	_Atomic uint64_t groups;	/* bit n - 1 = group n; written under netlink_mu */
	uint32_t dst_pid, dst_groups;	/* connect(2); guarded by mu */
	_Atomic bool pktinfo, bcast_error, no_enobufs, cap_ack, ext_ack, strict;
	struct bpf_prog *filter;	/* owned; guarded by mu; NULL none */
};
static inline struct nl_sock *nl_of(struct socket *s)
{
	return (struct nl_sock *)s;
}

/* One request while it is handled. */
struct nl_req {
	struct nl_sock *nl;
	struct task *t;
	struct net_ns *ns;		/* borrowed */
	struct linux_nlmsghdr h;
	const uint8_t *msg;		/* the whole message, h.len bytes of the Sentry's copy */
	struct cursor body;		/* after the header */
	const char *why;		/* for the extended acknowledgement; NULL none */
};
/* Notes @text for NETLINK_EXT_ACK and returns @err. */
static inline long nl_why(struct nl_req *r, long err, const char *text)
{
	r->why = text;
	return err;
}
/* A message of an answer to @r. */
static inline size_t nl_answer(struct nl_req *r, struct buf *b, uint16_t type, uint16_t flags)
{
	return nlb_begin(b, type, flags, r->h.seq, r->nl->portid);
}
bool nl_capable(const struct nl_req *r, int cap);

#define NL_DUMPED 1
struct netlink_proto {
	int protocol;
	unsigned nr_groups;
	bool open_groups;	/* anybody may listen to groups */
	bool user;		/* messages between processes, no kernel side */
	/* One request. 0: done, acknowledged if asked for. -LINUX_E*: answered with it. NL_DUMPED: a dump was queued, and its end
	 * stands for the acknowledgement. NULL: nobody is there. */
	long (*handle)(struct nl_req *r);
	/* Optional: takes a whole send, whose messages belong together. False: they do not. */
	bool (*input)(struct nl_sock *nl, struct task *t, const uint8_t *data, size_t len);
};
void netlink_proto_register(const struct netlink_proto *p); /* borrowed for good */

/* netlink_queue.c */
/* Queues @b's messages (all of them one datagram) at @nl. 0, -LINUX_ENOBUFS. */
long nl_queue(struct nl_sock *nl, const void *data, size_t len, uint32_t group, uint32_t from_pid);
/* Answers: @b as one datagram. Frees the buffer. */
long nl_reply(struct nl_req *r, struct buf *b);
/* Messages of a dump (without the end): cut into datagrams, each message marked as part of it, the end appended with @ret as its
 * result. Frees the buffer. */
long nl_dump_reply(struct nl_req *r, struct buf *b, long ret);
/* To every socket of @ns and @protocol that is a member of @group. */
void nl_multicast(struct net_ns *ns, int protocol, unsigned group, const void *data, size_t len);
bool nl_has_listeners(struct net_ns *ns, int protocol, unsigned group);
void nl_flush(struct nl_sock *nl);
long netlink_recvmsg(struct socket *s, struct task *t, struct sock_msg *m);

/* netlink_send.c */
long netlink_sendmsg(struct socket *s, struct task *t, struct sock_msg *m);
/* Works off the requests in @data: acknowledgements and errors are queued at @nl. */
void netlink_input(struct nl_sock *nl, struct task *t, const uint8_t *data, size_t len);
/* The answer "done" (0) or "refused" (-LINUX_E*). */
void nl_acknowledge(struct nl_req *r, long err);
long netlink_bind_auto(struct nl_sock *nl, struct task *t);
struct nl_sock *nl_find_locked(struct net_ns *ns, int protocol, uint32_t portid);
const struct netlink_proto *netlink_proto_of(int protocol);

extern struct mutex netlink_mu;
extern struct list netlink_socks;	/* of nl_sock.node, netlink_mu */
extern struct sleeplock netlink_cfg;	/* one change or dump of the configuration at a time */
extern const struct socket_family netlink_family;
extern const struct netlink_proto rtnetlink_proto, sock_diag_proto, genetlink_proto, netfilter_proto;

/* rt_notify.c: @ns tells its listeners what changes */
void netlink_ns_init(struct net_ns *ns);
void netlink_init(void);

#endif
