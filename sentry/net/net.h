/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/net.h - network namespaces: the public face of the TCP/IP stack
 *
 * Model:   packets in (net_link_rx), packets out (net_link_ops.xmit), events up (sock_set_event). The stack
 *          knows nothing of tasks, descriptors or host errno, never blocks and never touches guest memory
 *          but through struct net_iter.
 * Locks:   order, outermost first (also in sentry/LOCKS):
 *            sock.own            ownership of an endpoint; packet input never waits for it: it leaves packets in
 *                                the backlog, which the owner processes before it lets go
 *            ns->cfg_mu          links, addresses, namespaces' configuration
 *            bind/listen/established hash buckets, ns->fib_mu, ns->neigh_mu
 *            neigh.mu, link.mc_mu, conntrack buckets, sock.blq_mu, tcp_fo_cache.mu, timers.mu  (leaves)
 *          No lock but sock.own is held while packets are sent, and none at all while guest memory is copied.
 *          Event and notification callbacks run with sock.own or cfg_mu held and must only queue or wake.
 */
#ifndef SENTRY_NET_NET_H
#define SENTRY_NET_NET_H

#include "sentry/abi/errno.h"
#include "sentry/net/core/bh.h"
#include "sentry/net/host.h"
#include "sentry/net/iter.h"
#include "sentry/net/link.h"
#include "sentry/net/mib.h"
#include "sentry/net/route.h"
#include "sentry/net/sysctl.h"

struct sock_tables;
struct frag_table;
struct nf_ns;
struct fib;
struct neigh_table;
struct pmtu_table;
struct tcp_fo_cache;
struct reserved_ports;

enum net_event {
	NET_EV_LINK_NEW, NET_EV_LINK_DEL, NET_EV_ADDR_NEW, NET_EV_ADDR_DEL, NET_EV_ROUTE_NEW,
	NET_EV_ROUTE_DEL, NET_EV_NEIGH_NEW, NET_EV_NEIGH_DEL, NET_EV_RULE_NEW, NET_EV_RULE_DEL,
	NET_EV_MDB, NET_EV_CT_NEW, NET_EV_CT_DESTROY,
};

struct net_ns {
	struct refcount ref;
	struct list node;	/* in stack->namespaces */
	struct net_stack *stack;/* immutable */
	uint64_t cookie;	/* immutable, unique */
	struct mutex cfg_mu;
	struct list links;	/* of struct net_link.node, ascending index; cfg_mu */
	uint32_t next_index, nr_links; /* cfg_mu */
	struct net_link *lo;	/* immutable after net_ns_new() */
	struct fib *fib;
	_Atomic uint32_t route_gen;
	struct neigh_table *neigh;
	struct pmtu_table *_Atomic pmtu; /* made by the first path MTU message */
	struct tcp_fo_cache *_Atomic fo_cache; /* made by the first fast open cookie */
	struct reserved_ports *_Atomic reserved_ports; /* made by the first write of the sysctl; core/reserved_ports.c */
	struct sock_tables *socks;
	struct frag_table *frags;
	struct nf_ns *nf;
	struct net_sysctl sysctl; /* int-sized fields, read without a lock */
	_Atomic uint64_t mib[MIB_COUNT];
	_Atomic uint64_t drops[DROP_COUNT];
	_Atomic uint32_t icmp_tokens;
	_Atomic uint64_t icmp_refill_ns;
	_Atomic uint32_t ip_id, port_offset;
	_Atomic uint32_t nr_raw; /* raw endpoints: input looks for them only when there are any */
	struct mutex packet_mu;
	struct list packets;	/* of packet endpoints, packet_mu */
	_Atomic uint64_t tcp_mem_bytes; /* queued data of all TCP endpoints */
	_Atomic uint32_t nr_orphans, nr_timewait;
	struct {
		void (*fn)(struct net_ns *ns, enum net_event ev, void *obj, void *ctx);
		void *ctx;
	} notify;		/* set once by the netlink layer before guests run */
	struct net_rcu rcu;
	void *owner;		/* cookie of the layer above (user namespace) */
};

/* A namespace with loopback (down, no addresses, as Linux makes it). 0 or -LINUX_ENOMEM. */
int net_ns_new(struct net_stack *st, struct net_ns **out);
static inline void net_ns_get(struct net_ns *ns) { ref_get(&ns->ref); }
void net_ns_put(struct net_ns *ns); /* the last one removes its links; NIC links are destroyed */

int net_link_each(struct net_ns *ns, int (*fn)(struct net_link *l, void *arg), void *arg);
void net_notify(struct net_ns *ns, enum net_event ev, void *obj);

static inline void net_drop_count(struct net_ns *ns, enum drop why)
{
	atomic_fetch_add_explicit(&ns->drops[why], 1, memory_order_relaxed);
}
static inline void net_drop(struct net_ns *ns, struct pkt *p, enum drop why)
{
	net_drop_count(ns, why);
	pkt_free(p);
}
static inline void mib_inc(struct net_ns *ns, enum mib m)
{
	atomic_fetch_add_explicit(&ns->mib[m], 1, memory_order_relaxed);
}
static inline void mib_add(struct net_ns *ns, enum mib m, uint64_t n)
{
	atomic_fetch_add_explicit(&ns->mib[m], n, memory_order_relaxed);
}

#endif
