/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/route.h - addresses of links, routes, policy rules, neighbours, and what sockets cache of them
 *
 * Model:   routes live in numbered tables (254 main, 255 local, ...), rules say which tables are asked for a
 *          packet. Prefix lengths count in the 128-bit form inside (an IPv4 /24 is 120); the functions that the
 *          netlink layer calls take Linux's (24). A lookup's answer is a struct dst, reference counted, valid
 *          while ns->route_gen equals its gen.
 * Locks:   ns->fib_mu guards tables and rules; ns->neigh_mu the neighbour table; both are leaves but for the
 *          neighbour entries' own.
 */
#ifndef SENTRY_NET_ROUTE_H
#define SENTRY_NET_ROUTE_H

#include "sentry/net/host.h"
#include "sentry/net/link.h"

#define NET_RT_TABLE_DEFAULT 253
#define NET_RT_TABLE_MAIN    254
#define NET_RT_TABLE_LOCAL   255

/* = LINUX_RTN_* */
enum net_rtype {
	NET_RTN_UNSPEC, NET_RTN_UNICAST, NET_RTN_LOCAL, NET_RTN_BROADCAST, NET_RTN_ANYCAST,
	NET_RTN_MULTICAST, NET_RTN_BLACKHOLE, NET_RTN_UNREACHABLE, NET_RTN_PROHIBIT, NET_RTN_THROW,
};
#define NET_SCOPE_UNIVERSE 0
#define NET_SCOPE_LINK	   253
#define NET_SCOPE_HOST	   254
#define NET_SCOPE_NOWHERE  255

/* ---- addresses ------------------------------------------------------------------------------------ */

#define NET_IFA_F_SECONDARY 0x01
#define NET_IFA_F_NODAD	    0x02
#define NET_IFA_F_DADFAILED 0x08
#define NET_IFA_F_DEPRECATED 0x20
#define NET_IFA_F_TENTATIVE 0x40
#define NET_IFA_F_PERMANENT 0x80
#define NET_IFA_F_NOPREFIXROUTE 0x200

struct net_ifaddr {
	struct list link_node;	/* in link->addrs */
	struct refcount ref;
	struct net_link *link;	/* borrowed: the address goes before the link */
	struct naddr addr, peer, bcast;
	uint8_t plen;		/* Linux's: 0-32 or 0-128 */
	uint8_t scope, proto;
	uint32_t flags;		/* NET_IFA_F_* */
	uint32_t rt_priority;
	uint32_t valid_lft_s, preferred_lft_s; /* UINT32_MAX: forever */
	uint64_t created_ns, updated_ns;
	char label[NET_IFNAMSIZ];
	uint8_t dad_left;
	struct net_timer timer;	/* DAD, lifetimes */
};

struct net_ifaddr_param {
	struct naddr addr, peer, bcast; /* peer, bcast: all-zero = not given */
	uint8_t plen, scope, proto;
	uint32_t flags, rt_priority, valid_lft_s, preferred_lft_s;
	const char *label;
};
/* 0, -LINUX_EEXIST, -LINUX_EINVAL, -LINUX_ENOMEM; adds the local, broadcast and connected routes. */
int net_addr_add(struct net_link *link, const struct net_ifaddr_param *p);
int net_addr_del(struct net_link *link, const struct naddr *addr, uint8_t plen); /* -LINUX_EADDRNOTAVAIL */
void net_addr_flush(struct net_link *link);	/* all of them, with their routes */
void net_addr_link_up(struct net_link *link);	/* connected routes, IPv6 link-local address */
void net_addr_link_down(struct net_link *link);	/* IPv6 addresses go, as Linux has it */
/* Calls @fn for every address, ns->cfg_mu held; stops at its first non-zero value and returns it. */
int net_addr_each(struct net_ns *ns, int (*fn)(struct net_ifaddr *a, void *arg), void *arg);
/* A good source address on @link for @dst (RFC 6724 in short); false: none. */
bool net_addr_select(struct net_link *link, const struct naddr *dst, struct naddr *out);
bool net_addr_is_local(struct net_ns *ns, const struct naddr *a); /* any link */
uint32_t net_ifindex_of_addr(struct net_ns *ns, const struct naddr *a); /* 0: nobody has it */
bool net_addr_on_link(struct net_link *link, const struct naddr *a);

/* ---- routes --------------------------------------------------------------------------------------- */

#define NET_RT_MAX_HOPS 16

struct net_nexthop {
	uint32_t oif;		/* 0: by gateway */
	uint8_t weight;		/* 1.. */
	uint8_t flags;		/* RTNH_F_ONLINK = 4 */
	struct naddr gw;	/* all-zero: on-link */
};

struct net_route_param {
	uint8_t family;		/* NET_AF_INET, NET_AF_INET6 */
	struct naddr dst, src;	/* src: preferred source, all-zero = none */
	uint8_t dst_len;	/* Linux's */
	uint8_t tos, scope, type, protocol;
	uint32_t table, metric, mtu, advmss, flags;
	uint32_t rtt_ms, initcwnd, initrwnd;
	uint8_t nr_hops;
	struct net_nexthop hops[NET_RT_MAX_HOPS];
};

struct net_route {
	struct list node;
	struct net_route_param p; /* immutable */
};

#define NET_RT_REPLACE 0x1
#define NET_RT_EXCL    0x2
#define NET_RT_CREATE  0x4
#define NET_RT_APPEND  0x8
/* 0, -LINUX_EEXIST, -LINUX_ENOENT, -LINUX_ENETUNREACH (gateway), -LINUX_ENODEV, -LINUX_EINVAL, -LINUX_ENOMEM */
int net_route_add(struct net_ns *ns, const struct net_route_param *p, unsigned how);
/* Zero fields of @p match anything. -LINUX_ESRCH when no route matches. */
int net_route_del(struct net_ns *ns, const struct net_route_param *p);
void net_route_flush_link(struct net_ns *ns, uint32_t ifindex, const struct naddr *src);
void net_route_flush_family(struct net_ns *ns, uint32_t ifindex, uint8_t family); /* all of one family on a link */
int net_route_each(struct net_ns *ns, int (*fn)(const struct net_route *r, void *arg), void *arg);

struct net_rule {
	struct list node;
	uint8_t family, action;	/* action = FR_ACT_*: 1 table, 6 blackhole, 7 unreachable, 8 prohibit */
	uint32_t priority, table, fwmark, fwmask;
	struct naddr src, dst;
	uint8_t src_len, dst_len, tos, ipproto, invert, protocol;
	uint32_t iif, oif;
	char iifname[NET_IFNAMSIZ], oifname[NET_IFNAMSIZ];
	uint16_t sport_min, sport_max, dport_min, dport_max;
};
int net_rule_add(struct net_ns *ns, const struct net_rule *r);	/* copied; priority 0: chosen */
int net_rule_del(struct net_ns *ns, const struct net_rule *r);
int net_rule_each(struct net_ns *ns, int (*fn)(const struct net_rule *r, void *arg), void *arg);

/* ---- lookups -------------------------------------------------------------------------------------- */

struct net_flow { /* what a lookup may depend on */
	struct naddr dst, src;	/* src: any = choose one */
	uint32_t oif, iif;	/* 0 = not bound */
	uint32_t mark;
	uint8_t tos, ipproto;
	uint16_t sport, dport;
	uint32_t hash;		/* multipath */
	bool any_src;		/* src need not be local (IP_TRANSPARENT, raw, forwarding) */
};

struct neigh;

struct dst {
	struct refcount ref;
	struct net_link *link;	/* reference; output link (loopback's for local destinations) */
	struct naddr nexthop;	/* gateway, or the destination itself */
	struct naddr src;	/* chosen source */
	uint32_t gen;		/* ns->route_gen when made */
	uint32_t mtu;		/* path MTU */
	uint32_t advmss, initcwnd, initrwnd;
	uint8_t type;		/* enum net_rtype */
	bool gateway;		/* nexthop is a router */
	bool mtu_locked;	/* path MTU was learnt from ICMP */
	uint64_t expires_ns;	/* learnt path MTU runs out, NET_NEVER */
	struct neigh *_Atomic neigh; /* reference, filled by the first output */
	uint32_t table, metric;	/* for RTM_GETROUTE answers */
	uint8_t rt_plen, rt_proto, rt_scope;
};

/* 0 with a reference in @out, -LINUX_ENETUNREACH, -LINUX_EHOSTUNREACH, -LINUX_EACCES, -LINUX_EINVAL (blackhole),
 * -LINUX_ENOMEM. */
int net_route_lookup(struct net_ns *ns, const struct net_flow *fl, struct dst **out);
static inline void dst_get(struct dst *d) { ref_get(&d->ref); }
void dst_put(struct dst *d); /* NULL is fine */
/* ICMP said that packets to @dst must not be longer than @mtu (RFC 1191, RFC 8201). */
void net_pmtu_update(struct net_ns *ns, const struct naddr *dst, uint32_t mtu);
uint32_t net_pmtu_get(struct net_ns *ns, const struct naddr *dst); /* 0: nothing learnt */
void net_redirect(struct net_ns *ns, const struct naddr *dst, const struct naddr *gw, struct net_link *l);
void net_route_gen_bump(struct net_ns *ns);

/* ---- neighbours ----------------------------------------------------------------------------------- */

/* = LINUX_NUD_* */
#define NET_NUD_INCOMPLETE 0x01
#define NET_NUD_REACHABLE  0x02
#define NET_NUD_STALE	   0x04
#define NET_NUD_DELAY	   0x08
#define NET_NUD_PROBE	   0x10
#define NET_NUD_FAILED	   0x20
#define NET_NUD_NOARP	   0x40
#define NET_NUD_PERMANENT  0x80
#define NET_NUD_VALID (NET_NUD_REACHABLE | NET_NUD_STALE | NET_NUD_DELAY | NET_NUD_PROBE | NET_NUD_NOARP | NET_NUD_PERMANENT)

#define NET_NEIGH_ROUTER 0x80	/* = LINUX_NTF_ROUTER */

struct neigh {
	struct list node;	/* hash chain, ns->neigh_mu */
	struct refcount ref;
	struct mutex mu;	/* under ns->neigh_mu; guards what follows */
	struct net_link *link;	/* reference, immutable */
	struct naddr addr;	/* immutable */
	_Atomic uint8_t state;	/* NET_NUD_*; written under mu */
	uint8_t flags;
	uint8_t mac[6];
	uint32_t probes;
	bool dead;		/* out of the table */
	struct pkt_list queue;	/* waiting for resolution */
	uint64_t confirmed_ns, used_ns, updated_ns;
	struct net_timer timer;
};

/* Sends a packet to @p->dst's next hop: resolves, queues, or drops. Takes over @p. */
void neigh_output(struct dst *d, struct pkt *p);
void neigh_output_list(struct dst *d, struct pkt_list *l); /* a burst to the same next hop */
void neigh_put(struct neigh *n);
/* Proof of reachability from above (TCP ACKs, MSG_CONFIRM). */
void neigh_confirm(struct dst *d);
/* From netlink and static configuration. @state 0: learnt. */
int net_neigh_set(struct net_link *link, const struct naddr *addr, const uint8_t mac[6], uint8_t state, uint8_t flags);
int net_neigh_del(struct net_link *link, const struct naddr *addr);
int net_neigh_each(struct net_ns *ns, int (*fn)(struct neigh *n, void *arg), void *arg);
void net_neigh_flush_link(struct net_ns *ns, struct net_link *link);

#endif
