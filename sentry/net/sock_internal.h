/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock_internal.h - endpoints seen from the protocols; stays inside sentry/net
 *
 * Model:   struct skc is what the hash tables hold: full endpoints, and the small stand-ins of TCP (requests that
 *          have not completed their handshake, TIME_WAIT).
 *          Ownership (sk->own) is held by whoever works on an endpoint: a call from above, a timer, or packet
 *          input. Input only tries; when it fails the packet goes to the backlog, and the owner processes it
 *          before letting go. So a thread that holds one endpoint can feed any other without deadlock.
 * Locks:   see net.h. sk->mu (queues of datagrams, errors, accept queue) and sk->ev_mu are leaves.
 */
#ifndef SENTRY_NET_SOCK_INTERNAL_H
#define SENTRY_NET_SOCK_INTERNAL_H

#include "sentry/net/core/bh.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/sock.h"
#include "sentry/net/wire.h"

/* Linux's numbers, shown by /proc/net/tcp and TCP_INFO. Allowed operations in brackets. */
enum tcp_state {
	TCPS_ESTABLISHED = 1,	/* [send, receive, shutdown] */
	TCPS_SYN_SENT,		/* [close] */
	TCPS_SYN_RECV,		/* [close]; fast open: [send, receive] */
	TCPS_FIN_WAIT1,		/* [receive] */
	TCPS_FIN_WAIT2,		/* [receive] */
	TCPS_TIME_WAIT,		/* no endpoint any more */
	TCPS_CLOSE,		/* [bind, connect, listen] */
	TCPS_CLOSE_WAIT,	/* [send, receive what is queued, shutdown] */
	TCPS_LAST_ACK,		/* [] */
	TCPS_LISTEN,		/* [accept, close] */
	TCPS_CLOSING,		/* [receive what is queued] */
	TCPS_NEW_SYN_RECV,	/* request entry */
};
#define TCPF(s) (1u << (s))

enum skc_kind { SKC_FULL, SKC_TW, SKC_REQ };

struct bind_bucket;

struct skc {
	struct skc *next, **pprev;	/* established hash, bucket lock; pprev NULL: not in it */
	struct refcount ref;
	uint8_t kind, family, type, proto;
	_Atomic uint8_t state;		/* enum tcp_state */
	bool v6only;
	bool reuse, reuseport;		/* SO_REUSEADDR, SO_REUSEPORT */
	bool transparent, freebind;
	bool internal;			/* the Sentry's own: never in the way of a guest's bind(2) */
	bool auto_port;			/* port was chosen by connect(): may be shared by other tuples */
	uint16_t lport, rport;		/* host order */
	struct naddr laddr, raddr;
	uint32_t bound_if;
	uint32_t uid;
	uint64_t cookie;
	struct net_ns *ns;		/* reference for full endpoints, borrowed by the small ones */
	struct bind_bucket *bb;		/* bind table lock */
	struct list bind_node;
};

struct sock_ops {
	int (*connect)(struct sock *sk, const struct net_ep *ep);	/* own held */
	int (*disconnect)(struct sock *sk);				/* own held */
	int (*listen)(struct sock *sk, int backlog);
	int (*accept)(struct sock *sk, struct sock **out);
	long (*send)(struct sock *sk, struct net_iter *it, struct net_msg *m);
	long (*recv)(struct sock *sk, struct net_iter *it, struct net_msg *m);
	int (*shutdown)(struct sock *sk, int how);			/* own held */
	void (*close)(struct sock *sk);					/* own held */
	uint32_t (*poll)(struct sock *sk);
	void (*backlog_rx)(struct sock *sk, struct pkt *p);		/* own held */
	int (*setopt)(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps);
	int (*getopt)(struct sock *sk, int level, int name, void *val, uint32_t *len);
	long (*inq)(struct sock *sk);
	long (*outq)(struct sock *sk);
	void (*destroy)(struct sock *sk);				/* last reference */
	size_t size;
};

struct bpf_prog {
	struct net_rcu rcu;
	unsigned nr;
	struct bpf_insn {
		uint16_t code;
		uint8_t jt, jf;
		uint32_t k;
	} insn[];
};

struct mc_member { /* IP_ADD_MEMBERSHIP & co. */
	struct list node;
	struct naddr group;
	uint32_t ifindex;
	bool exclude;		/* sources are blocked (else: only they are wanted) */
	unsigned nr_src;
	struct naddr *src;
};

struct reuse_group;

struct sock {
	struct skc c;
	const struct sock_ops *ops;
	struct mutex own;
	struct mutex blq_mu;
	struct pkt_list backlog;	/* blq_mu */
	struct mutex mu;		/* leaf: rcvq and errq of datagram endpoints, accept queues */
	struct mutex ev_mu;		/* leaf */
	void (*event_fn)(void *ctx, uint32_t events); /* ev_mu */
	void *event_ctx;
	void *owner;
	uint64_t ino;
	uint32_t gid;
	struct pkt_list rcvq;		/* datagrams: mu; streams: own */
	struct pkt_list errq;		/* mu */
	_Atomic uint32_t rmem;		/* bytes charged in rcvq */
	_Atomic uint32_t wmem;		/* bytes charged in send queues */
	_Atomic uint32_t drops;
	int32_t rcvbuf, sndbuf;
	int32_t rcvlowat;
	_Atomic int32_t err, err_soft;	/* positive LINUX_E* */
	uint8_t shut;			/* 1 receive, 2 send */
	bool closed;			/* sock_close() was called: no descriptor any more */
	bool rcvbuf_locked, sndbuf_locked;
	bool broadcast, keepalive, oobinline, dontroute, no_check, linger_on, recverr, recverr6, timestamp, timestampns,
		rxq_ovfl, mc_loop, mc_loop6, mc_all, mc_all6, echo_only, hdrincl, want_pktinfo, want_pktinfo6, want_pktinfo6o, want_hops6o, want_sec, want_ttl, want_tos, want_hops6,
		want_tclass6, want_opts, want_retopts, want_odst, auto_flowlabel, bindport_only;
	int32_t linger_s;
	uint32_t mark, priority;
	uint8_t tos, tclass, mc_ttl;
	int16_t ttl, hops, mc_hops;	/* -1: default */
	uint8_t pmtudisc, pmtudisc6, min_ttl;
	uint32_t mc_if, mc_if6, uc_if;
	struct naddr mc_src;
	uint32_t flowlabel;
	uint8_t ip_opts[40], ip_opts_len;
	struct list mcs;		/* of struct mc_member.node, own */
	struct bpf_prog *_Atomic filter;
	bool filter_locked;
	struct dst *dst;		/* cached route: mu */
	uint64_t stamp_ns;		/* arrival of the last packet handed out */
	int32_t rcvtimeo_ms, sndtimeo_ms; /* kept for getsockopt; waiting is above */
	uint32_t napi_id_unused;
	struct sock *diag_next;
};

/* ---- life and ownership ---------------------------------------------------------------------- */

struct sock *sock_alloc(struct net_ns *ns, const struct sock_ops *ops, int family, int type, int proto);
void skc_put(struct skc *c);
static inline void skc_get(struct skc *c) { ref_get(&c->ref); }

/* Opens a bh section and takes ownership; sock_release() works off the backlog and closes the section. */
static inline void sock_own(struct sock *sk)
{
	bh_enter();
	mutex_lock(&sk->own);
}
void sock_release_owned(struct sock *sk); /* the part without the bh section */
static inline void sock_release(struct sock *sk)
{
	sock_release_owned(sk);
	bh_leave();
}
/* Packet input: processes @p now or leaves it to the owner. Takes over @p. */
void sock_input(struct sock *sk, struct pkt *p);

void sock_event(struct sock *sk, uint32_t events);
void sock_report_err(struct sock *sk, int err); /* positive */

/* ---- tables -------------------------------------------------------------------------------------- */

int sock_tables_init(struct net_ns *ns);
void sock_tables_fini(struct net_ns *ns);
void sock_tables_kill(struct net_ns *ns);

/* The established entry that @p (IP addresses set, transport header at l4, linear) belongs to; reference. */
struct sock *sock_lookup_established(struct net_ns *ns, struct pkt *p);
struct skc *ehash_lookup(struct net_ns *ns, const struct naddr *laddr, uint16_t lport, const struct naddr *raddr,
			 uint16_t rport, uint32_t iif);
/* Inserts @c; fails with false when the tuple exists (@dup, optional, gets a reference to the holder). @replace: an entry
 * to be taken out in the same step. */
bool ehash_insert(struct skc *c, struct skc *replace, struct skc **dup);
bool ehash_remove(struct skc *c);	/* true: was in */
struct sock *listener_lookup(struct net_ns *ns, const struct pkt *p, uint16_t lport, uint16_t rport);
void listener_insert(struct sock *sk);
void listener_remove(struct sock *sk);

/* Binding. @port 0: choose. 0, -LINUX_EADDRINUSE, -LINUX_ENOMEM. Sets c->lport. */
int bind_port(struct skc *c, uint16_t port);
void bind_release(struct skc *c);
int bind_inherit(struct skc *child, const struct skc *parent);
/* For connect(): picks a free local port for the tuple in @c and inserts it into the established hash. */
int bind_connect(struct skc *c);
/* Datagram endpoints bound to @lport, best match; reference. */
struct sock *dgram_lookup(struct net_ns *ns, int proto, const struct naddr *laddr, uint16_t lport,
			  const struct naddr *raddr, uint16_t rport, uint32_t iif);
/* Every matching endpoint for a multicast or broadcast; @fn gets it under the bucket lock. */
void dgram_each(struct net_ns *ns, int proto, uint16_t lport, void (*fn)(struct sock *sk, void *arg), void *arg);
unsigned raw_collect(struct net_ns *ns, struct sock **out, unsigned max); /* references */
int packet_create(struct net_ns *ns, int type, int proto, struct sock **out);
int packet_each(struct net_ns *ns, int (*fn)(struct sock *sk, void *arg), void *arg);
void raw_sock_init(struct sock *sk);
void raw_insert(struct sock *sk);
void raw_remove(struct sock *sk);

/* ---- shared by the protocols ---------------------------------------------------------------------- */

/* Route to the connected (or given) destination, cached in sk->dst. Reference for the caller in @out. */
int sock_route(struct sock *sk, const struct net_flow *fl, bool cache, struct dst **out);
void sock_dst_reset(struct sock *sk);
void sock_flow(struct sock *sk, const struct naddr *dst, struct net_flow *fl);
/* Runs the filter; false: drop. May trim @p. */
bool sock_filter_pass(struct sock *sk, struct pkt *p);
unsigned bpf_run(const struct bpf_prog *f, const struct pkt *p);
/* Datagram queue: takes over @p; drops when full. */
bool dgram_queue(struct sock *sk, struct pkt *p);
/* The first datagram, removed unless PEEK; -LINUX_EAGAIN etc. in @err. */
struct pkt *dgram_dequeue(struct sock *sk, struct net_msg *m, int *err);
long errq_recv(struct sock *sk, struct net_iter *it, struct net_msg *m);
/* An ICMP error for the reader of MSG_ERRQUEUE: the quoted packet from @payload_off bytes behind its transport header's start
 * on, and @port of its destination. */
void errq_add(struct sock *sk, const struct ip_err *e, int32_t payload_off, uint16_t port);
void errq_add_local(struct sock *sk, int err, const struct net_ep *to, uint32_t info);
uint32_t dgram_poll(struct sock *sk);
void dgram_fill_msg(struct sock *sk, struct pkt *p, struct net_msg *m);
int dgram_connect(struct sock *sk, const struct net_ep *ep);
int dgram_disconnect(struct sock *sk);
int dgram_shutdown(struct sock *sk, int how);
long dgram_inq(struct sock *sk);
void dgram_purge(struct sock *sk);
bool sock_mc_wants(struct sock *sk, const struct pkt *p);
int sock_mc_option(struct sock *sk, int level, int name, const void *val, uint32_t len);
void sock_mc_release(struct sock *sk);
/* Checks an address against family and v6only, maps ANY; for bind, connect and send. */
int sock_check_ep(struct sock *sk, const struct net_ep *ep, struct naddr *out);
int sock_bind_common(struct sock *sk, const struct net_ep *ep);

/* Where a datagram goes: destination, route (reference in @d), header fields. 0 or -LINUX_E*. */
int dgram_resolve(struct sock *sk, const struct net_msg *m, struct net_ep *to, struct net_flow *fl, struct ip_tx *tx,
		  struct dst **d);
long dgram_recv(struct sock *sk, struct net_iter *it, struct net_msg *m);

extern const struct sock_ops tcp_sock_ops, udp_sock_ops, ping_sock_ops, raw_sock_ops, packet_sock_ops;

/* Options, by level. */
int opt_sol_socket_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps);
int opt_sol_socket_get(struct sock *sk, int name, void *val, uint32_t *len);
int opt_ip_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps);
int opt_ip_get(struct sock *sk, int name, void *val, uint32_t *len);
int opt_ip6_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps);
int opt_ip6_get(struct sock *sk, int name, void *val, uint32_t *len);

/* Hooks from the network layer. */
bool raw_deliver(struct net_ns *ns, struct pkt *p, uint8_t proto);
void raw_err(struct net_ns *ns, const struct ip_err *e);
void ping_rx(struct net_ns *ns, struct pkt *p);
void ping_err(struct net_ns *ns, const struct ip_err *e);
bool icmp_rate_ok(struct net_ns *ns);
void tcp_fo_cache_free(struct net_ns *ns);

/* What the receiving side keeps with a queued datagram. */
struct dgram_cb {
	uint16_t sport, dport;
	uint32_t iif;
	uint8_t pkttype;
	uint16_t gso;
	uint32_t full_len;
	uint8_t opts_len;	/* bytes of IPv4 options behind the header at l3 */
};
#define DGRAM_CB(p) ((struct dgram_cb *)(p)->cb)

/* For .opts_len: of a packet whose network header is still in front. */
static inline uint8_t pkt_ip4_opts_len(const struct pkt *p)
{
	return naddr_is_v4(&p->dstaddr) ? (uint8_t)((*pkt_l3(p) & 15) * 4 - IP4_HLEN) : 0;
}

#define PKT_CHARGE(p) ((p)->len + 512u) /* what a queued packet costs its endpoint */

#endif
