/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock.h - endpoints: what the socket layer is built on (TCP, UDP, raw, ping, packet)
 *
 * Model:   every call returns at once: -LINUX_EAGAIN says "would block, wait for an event". Events are a callback
 *          with a poll mask; the socket layer turns it into its wait queues, signals, epoll. Options are passed in
 *          Linux's numbers and layouts, already copied out of guest memory.
 * Locks:   sock.own is ownership: calls take and release it, and never hold it while guest memory is copied.
 *          Two receivers on one stream endpoint each get whole, disjoint pieces; the socket layer serialises them
 *          if their order matters.
 */
#ifndef SENTRY_NET_SOCK_H
#define SENTRY_NET_SOCK_H

#include "sentry/net/net.h"

#define NET_SOCK_STREAM 1
#define NET_SOCK_DGRAM	2
#define NET_SOCK_RAW	3
#define NET_SOCK_PACKET 10

#define NET_IPPROTO_IP	   0
#define NET_IPPROTO_ICMP   1
#define NET_IPPROTO_IGMP   2
#define NET_IPPROTO_TCP	   6
#define NET_IPPROTO_UDP	   17
#define NET_IPPROTO_ICMPV6 58
#define NET_IPPROTO_RAW	   255

/* Event and poll bits = LINUX_EPOLL* / POLL* */
#define NET_POLLIN    0x001
#define NET_POLLPRI   0x002
#define NET_POLLOUT   0x004
#define NET_POLLERR   0x008
#define NET_POLLHUP   0x010
#define NET_POLLRDNORM 0x040
#define NET_POLLWRNORM 0x100
#define NET_POLLRDHUP 0x2000

/* Message flags = LINUX_MSG_* */
#define NET_MSG_OOB	  0x1
#define NET_MSG_PEEK	  0x2
#define NET_MSG_DONTROUTE 0x4
#define NET_MSG_CTRUNC	  0x8
#define NET_MSG_TRUNC	  0x20
#define NET_MSG_DONTWAIT  0x40
#define NET_MSG_EOR	  0x80
#define NET_MSG_WAITALL	  0x100
#define NET_MSG_CONFIRM	  0x800
#define NET_MSG_ERRQUEUE  0x2000
#define NET_MSG_NOSIGNAL  0x4000
#define NET_MSG_MORE	  0x8000
#define NET_MSG_FASTOPEN  0x20000000

/* Reader's view of an error queue entry: struct sock_extended_err (ip(7), IP_RECVERR). */
struct net_exterr {
	uint32_t err;		/* positive LINUX_E* */
	uint8_t origin, type, code;
	uint32_t info, data;
	struct net_ep offender;
	bool has_offender;
};

/* Packet-socket address part (packet(7) sockaddr_ll). */
struct net_ll {
	uint16_t protocol;	/* host order Ethernet type */
	uint32_t ifindex;
	uint16_t hatype;
	uint8_t pkttype, halen;
	uint8_t addr[8];
};

/* One message in or out. All optional parts are announced by has bits. */
struct net_msg {
	uint32_t flags;		/* NET_MSG_*; on return of a receive: NET_MSG_TRUNC, _ERRQUEUE, _OOB */
	uint32_t has;		/* NET_MSG_HAS_* */
	struct net_ep name;	/* send: destination; receive: source */
	struct net_ll ll;	/* packet endpoints, instead of name */
	/* ancillary data, sending: overrides of this message; receiving: facts about the packet */
	uint32_t ifindex;	/* pktinfo */
	struct naddr pktinfo_addr; /* sending: source; receiving: destination in the header */
	struct naddr pktinfo_spec; /* receiving, IP_PKTINFO spec_dst */
	uint8_t ttl, tos;
	uint32_t mark, priority;
	uint16_t gso_size;	/* UDP_SEGMENT / UDP_GRO */
	uint16_t orig_dport;	/* IP_RECVORIGDSTADDR */
	uint64_t tstamp_ns;	/* wall clock of arrival */
	uint32_t rxq_ovfl;	/* SO_RXQ_OVFL: drops so far */
	uint32_t inq;		/* TCP_INQ: bytes left in the queue after this read */
	uint32_t aux_status, aux_len, aux_snaplen; /* PACKET_AUXDATA */
	uint16_t aux_mac, aux_net;
	struct net_exterr err;	/* with NET_MSG_ERRQUEUE */
	uint8_t opts[40], opts_len; /* IP_RECVOPTS: as received */
	uint32_t full_len;	/* length of the datagram before truncation */
};
#define NET_MSG_HAS_NAME    0x0001
#define NET_MSG_HAS_LL	    0x0002
#define NET_MSG_HAS_PKTINFO 0x0004
#define NET_MSG_HAS_TTL	    0x0008
#define NET_MSG_HAS_TOS	    0x0010
#define NET_MSG_HAS_MARK    0x0020
#define NET_MSG_HAS_GSO	    0x0040
#define NET_MSG_HAS_TSTAMP  0x0080
#define NET_MSG_HAS_INQ	    0x0100
#define NET_MSG_HAS_ERR	    0x0200
#define NET_MSG_HAS_OVFL    0x0400
#define NET_MSG_HAS_AUX	    0x0800
#define NET_MSG_HAS_PRIO    0x1000
#define NET_MSG_HAS_ODST    0x2000
#define NET_MSG_HAS_OPTS    0x4000
#define NET_MSG_HAS_PKTINFO_OLD 0x10000 /* under the names of RFC 2292 */
#define NET_MSG_HAS_HOPS_OLD 0x20000
#define NET_MSG_HAS_EARLY   0x40000 /* on return of a send: it began the connection, the bytes went with the SYN */
#define NET_MSG_HAS_RETOPTS 0x8000	/* opts again, turned round for a reply */

/* What the caller may do, decided by the socket layer from credentials. */
#define NET_CAP_RAW	    0x1	/* CAP_NET_RAW in the namespace's user namespace */
#define NET_CAP_ADMIN	    0x2
#define NET_CAP_BIND	    0x4	/* CAP_NET_BIND_SERVICE */

struct sock;

/**
 * sock_create() - a new endpoint
 * @family:	NET_AF_INET, NET_AF_INET6, NET_AF_PACKET
 * @type:	NET_SOCK_*
 * @proto:	IP protocol, or for NET_AF_PACKET the Ethernet type in host order
 * Return: 0 with one reference in @out; -LINUX_EAFNOSUPPORT, -LINUX_ESOCKTNOSUPPORT, -LINUX_EPROTONOSUPPORT,
 *	   -LINUX_ENOBUFS. Permission (raw, packet, ping group) is the socket layer's to check.
 */
int sock_create(struct net_ns *ns, int family, int type, int proto, struct sock **out);
void sock_get(struct sock *sk);
void sock_put(struct sock *sk);
/* The last descriptor is gone: starts the orderly or (linger 0, unread data) abortive close and drops the
 * caller's reference. SO_LINGER with a time: the socket layer waits for sock_closed() first. */
void sock_close(struct sock *sk);
bool sock_closed(struct sock *sk);	/* TCP: no FIN or data outstanding any more */

/* Called with sock.own held, on any thread; must only queue or wake. @events: NET_POLL* that may have become
 * true. Setting NULL detaches; after return the old callback does not run any more. */
void sock_set_event(struct sock *sk, void (*fn)(void *ctx, uint32_t events), void *ctx);
uint32_t sock_poll(struct sock *sk);

int sock_bind(struct sock *sk, const struct net_ep *ep, uint32_t caps);
int sock_bind_ll(struct sock *sk, uint16_t protocol, uint32_t ifindex); /* packet endpoints */
/* 0 when done at once; -LINUX_EINPROGRESS: started, NET_POLLOUT follows, then SO_ERROR tells; -LINUX_EALREADY;
 * -LINUX_EISCONN and the errors of connect(2). @ep NULL: dissolve (AF_UNSPEC). */
int sock_connect(struct sock *sk, const struct net_ep *ep);
int sock_listen(struct sock *sk, int backlog);
/* 0 with a connected endpoint in @out (reference; no event callback yet), -LINUX_EAGAIN, -LINUX_EINVAL, or the
 * pending error. */
int sock_accept(struct sock *sk, struct sock **out);
/* Bytes taken (may be short), -LINUX_EAGAIN, -LINUX_EPIPE, ... @m may be NULL. Datagrams: all or nothing. */
long sock_send(struct sock *sk, struct net_iter *it, struct net_msg *m);
/* Bytes, 0 at the end of the stream, -LINUX_EAGAIN, -LINUX_ENOTCONN, ... @m may be NULL; filled with what
 * is known about the packet. Flags that matter here: PEEK, TRUNC, OOB, ERRQUEUE. WAITALL is the caller's loop. */
long sock_recv(struct sock *sk, struct net_iter *it, struct net_msg *m);
#define NET_SHUT_RD   0
#define NET_SHUT_WR   1
#define NET_SHUT_RDWR 2
int sock_shutdown(struct sock *sk, int how);
int sock_name(struct sock *sk, struct net_ep *out);
int sock_peer(struct sock *sk, struct net_ep *out); /* -LINUX_ENOTCONN */
int sock_name_ll(struct sock *sk, struct net_ll *out);

/* Rings of packet endpoints (struct tpacket_req3); the memory is the socket layer's, shared with a guest. */
struct net_ring_req {
	uint32_t block_size, block_nr, frame_size, frame_nr, retire_ms, priv_size, features;
};
struct net_ring_mem {
	uint8_t *base;			/* receiving ring first */
	void (*put)(struct net_ring_mem *m);
};
/* May @q become the ring? 0 with the other ring's request in @out_other (block_nr 0: there is none), -LINUX_EINVAL, -LINUX_EBUSY,
 * -LINUX_ENOMEM, -LINUX_ENOPROTOOPT. */
int sock_ring_check(struct sock *sk, bool tx, const struct net_ring_req *q, struct net_ring_req *out_other);
/* Replaces both rings; @mem (one reference, moved; NULL when both are empty) is zeroed and large enough. */
int sock_ring_set(struct sock *sk, const struct net_ring_req *rx, const struct net_ring_req *tx, struct net_ring_mem *mem);

/* @val is the caller's copy of the option value. Return: 0, -LINUX_ENOPROTOOPT, -LINUX_EINVAL, -LINUX_EPERM ... */
int sock_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps);
/* @len: in: room, out: bytes of the value. */
int sock_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len);
int sock_error_take(struct sock *sk);	/* SO_ERROR: positive LINUX_E*, cleared by reading */
long sock_inq(struct sock *sk);		/* FIONREAD / SIOCINQ */
long sock_outq(struct sock *sk);	/* SIOCOUTQ; */
long sock_outq_unsent(struct sock *sk);	/* SIOCOUTQNSD */
bool sock_atmark(struct sock *sk);
/* Classic BPF: @prog is LINUX_sock_filter[@nr], checked here. NULL detaches. */
int sock_filter_attach(struct sock *sk, const void *prog, unsigned nr);
/* The same for datagrams that are no packets. */
struct bpf_prog;
int bpf_prog_new(const void *prog, unsigned nr, struct bpf_prog **out);	/* -LINUX_EINVAL, -LINUX_ENOMEM */
void bpf_prog_free(struct bpf_prog *f);	/* NULL is fine */
unsigned bpf_run_bytes(const struct bpf_prog *f, const void *data, size_t len); /* how many to keep; 0 = drop, also without memory */

/* Facts for sock_diag, /proc/net/tcp & co. */
struct sock_info {
	uint8_t family, type, proto, state; /* state: Linux's TCP_ESTABLISHED = 1 ... */
	struct net_ep local, remote;
	uint32_t ifindex, rqueue, wqueue, mark;
	uint64_t cookie, ino;
	uint32_t uid;
	uint8_t timer, retrans, shutdown;
	uint64_t timer_ns;	/* until it fires */
	uint32_t backlog_max, refs, drops;
	bool v6only, has_owner;
};
void sock_get_info(struct sock *sk, struct sock_info *out);
/* Calls @fn with a reference held and no lock, for every endpoint of @ns that exists when its bucket is visited;
 * stops at the first non-zero value. @proto: NET_IPPROTO_TCP, _UDP, _ICMP (ping), _RAW (raw), 0 with family
 * NET_AF_PACKET. */
int sock_each(struct net_ns *ns, int family, int proto, int (*fn)(struct sock *sk, void *arg), void *arg);
/* One established or listening endpoint for sock_diag's exact query; a reference or NULL. */
struct sock *sock_find(struct net_ns *ns, int proto, const struct net_ep *local, const struct net_ep *remote,
		       uint32_t ifindex);
int sock_destroy(struct sock *sk);	/* SOCK_DESTROY: abort with ECONNABORTED */
/* Identity for diag, /proc and netfilter's owner match; set by the socket layer. */
void sock_set_owner(struct sock *sk, uint32_t uid, uint32_t gid, uint64_t ino, void *owner);
void sock_set_echo_only(struct sock *sk); /* a raw ICMP endpoint sends echo requests only, without IP headers of its own */
void sock_set_internal(struct sock *sk); /* before sock_bind(): guests may have the port, too */
struct net_ns *sock_ns(struct sock *sk);
int sock_family(struct sock *sk);
int sock_type(struct sock *sk);
int sock_proto(struct sock *sk);

#endif
