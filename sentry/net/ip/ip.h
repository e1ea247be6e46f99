/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip.h - the network layer, between links and transports; stays inside sentry/net
 */
#ifndef SENTRY_NET_IP_H
#define SENTRY_NET_IP_H

#include "sentry/net/net.h"
#include "sentry/net/wire.h"

struct sock;

/* Input by Ethernet type. Data is at the network header; each takes over @p. */
void ip4_rx(struct net_link *link, struct pkt *p);
void ip6_rx(struct net_link *link, struct pkt *p);
void arp_rx(struct net_link *link, struct pkt *p);

/* What an ICMP error says about a packet of ours. */
struct ip_err {
	struct naddr src, dst;	/* of the packet that caused it: src is ours */
	struct naddr offender;	/* who says so */
	uint8_t proto, type, code;
	bool hard;		/* RFC 1122 section 4.2.3.9 */
	int err;		/* LINUX_E*, positive */
	uint32_t info;		/* path MTU */
	const uint8_t *l4;	/* start of the quoted transport header, at least 8 bytes */
	uint32_t l4_len;
	struct pkt *p;		/* the ICMP packet, for the error queue */
	uint32_t iif;
};

/* Transport protocols. Data is at the transport header, src/dstaddr set. rx takes over @p. */
struct ip_proto {
	void (*rx)(struct net_ns *ns, struct pkt *p);
	void (*err)(struct net_ns *ns, const struct ip_err *e);	/* optional */
	bool v4, v6;
};
extern const struct ip_proto *const ip_protos[256];
extern const struct ip_proto tcp_proto, udp_proto, icmp_proto, icmp6_proto, igmp_proto;

/* Local delivery after reassembly: raw sockets, then the transport. Takes over @p; data at the network header. */
void ip_deliver(struct net_ns *ns, struct pkt *p, uint32_t l4off, uint8_t proto);

/* Output. */
struct ip_tx {
	struct naddr src, dst;
	uint8_t proto, ttl, tos;
	bool df;		/* never fragment here or on the way */
	bool local_frag;	/* with df: may still be fragmented here (IP_PMTUDISC_DO off for UDP) */
	bool mc_loop;		/* copies of multicasts come back */
	bool hdrincl;		/* data starts with a complete IP header */
	uint32_t flowlabel;	/* network order */
	const uint8_t *opts;	/* IPv4 options, padded to 4 */
	uint8_t opts_len;
	const uint8_t *ext6;	/* IPv6 extension headers before the transport header, first type in ext6_proto */
	uint16_t ext6_len;
	uint8_t ext6_proto;
};
/**
 * ip_output() - send packets of one flow
 * @l:	taken over; data at the transport header, l4 set; offload packets have gso fields set
 * Return: 0, or -LINUX_EMSGSIZE (too big and df), -LINUX_EPERM (netfilter), -LINUX_ENOBUFS
 */
int ip_output(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt_list *l, const struct ip_tx *tx);
int ip_output_one(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt *p, const struct ip_tx *tx);
/* After routing: POST_ROUTING, fragmentation, neighbour. @p->dst is set; data at the network header. */
int ip_finish_output(struct net_ns *ns, struct pkt *p, struct sock *sk);
void ip_forward(struct net_ns *ns, struct net_link *in, struct pkt *p);
/* The hook changed addresses or mark of a locally made packet: find its new way. 0 or -LINUX_E*. */
int ip_reroute(struct net_ns *ns, struct pkt *p);
/* Cuts @p (data at the network header) into pieces of at most @mtu bytes. Frees @p. 0, -LINUX_ENOMEM, -LINUX_EMSGSIZE. */
int ip_fragment(struct net_ns *ns, struct pkt *p, uint32_t mtu, struct pkt_list *out);
void ip4_set_csum(uint8_t *iph);

/* IPv4 options (ip_options.c). */
#define IP4_OPTS_MAX 40
bool ip4_opts_ok(struct net_ns *ns, const uint8_t *opts, uint32_t len);	/* may be sent: well formed, no source route */
/* A hop with address @addr writes what the options ask of it; @opts was checked. */
void ip4_opts_stamp(struct net_ns *ns, uint8_t *opts, uint32_t len, const struct naddr *addr);
/* The same for an arriving packet at its network header. False: malformed, @p is freed and answered. */
bool ip4_opts_input(struct net_ns *ns, struct pkt *p, const struct naddr *addr);
/* What of a received list goes into a reply. Return: bytes of @out, a multiple of 4. */
uint32_t ip4_opts_echo(const uint8_t *opts, uint32_t len, uint8_t out[IP4_OPTS_MAX]);

/* Reassembly. Takes over @p (data at network header); returns the whole packet when this was the last piece. */
int frag_table_init(struct net_ns *ns);
void frag_table_fini(struct net_ns *ns);
void frag_table_flush(struct net_ns *ns);
struct pkt *ip4_defrag(struct net_ns *ns, struct pkt *p, uint32_t user);
/* @fragoff: offset of the fragment header from data; @prevoff: of the next-header field that names it. */
struct pkt *ip6_defrag(struct net_ns *ns, struct pkt *p, uint32_t fragoff, uint32_t prevoff, uint32_t user);

/* ICMP messages about a packet (data at its network header, input metadata set). Does not take over @p.
 * Rate limited, never about errors, fragments, broadcasts (RFC 1122 section 3.2.2, RFC 4443 section 2.4). */
void icmp_send(struct net_ns *ns, struct pkt *p, uint8_t type, uint8_t code, uint32_t info);
void icmp6_send(struct net_ns *ns, struct pkt *p, uint8_t type, uint8_t code, uint32_t info);
static inline void icmp_send_any(struct net_ns *ns, struct pkt *p, bool v6_unreach_port)
{
	if (naddr_is_v4(&p->dstaddr))
		icmp_send(ns, p, ICMP_DEST_UNREACH, v6_unreach_port ? ICMP_PORT_UNREACH : ICMP_HOST_UNREACH, 0);
	else
		icmp6_send(ns, p, ICMP6_DEST_UNREACH, v6_unreach_port ? 4 : 3, 0);
}
void ndp_rx(struct net_ns *ns, struct pkt *p, uint8_t type);
void mld_rx(struct net_ns *ns, struct pkt *p, uint8_t type);
/* Solicitations: who has @target? @dst_mac NULL: broadcast or solicited-node multicast. */
void arp_solicit(struct net_link *link, const struct naddr *target, const uint8_t *dst_mac, const struct naddr *src);
void ndp_solicit(struct net_link *link, const struct naddr *target, const uint8_t *dst_mac, const struct naddr *src);
void ndp_send_rs(struct net_link *link);
void arp_announce(struct net_link *link, const struct naddr *addr);
/* Neighbour facts from the wire. @override: replace a different address (RFC 4861 section 7.2.5). */
void neigh_learn(struct net_link *link, const struct naddr *addr, const uint8_t mac[6], uint8_t state, bool override,
		 bool create, int is_router);
void icmp6_tx(struct net_link *link, const struct naddr *src, const struct naddr *dst, const void *body, uint32_t len,
	      uint8_t hops, const uint8_t *dst_mac, bool router_alert);

/* Fast answers without a struct dst. */
struct fib_res {
	uint8_t type;		/* enum net_rtype */
	uint8_t plen, scope, protocol;
	uint32_t oif, table, metric, mtu, advmss, initcwnd, initrwnd, flags;
	struct naddr gw, prefsrc;
};
int net_fib_lookup(struct net_ns *ns, const struct net_flow *fl, struct fib_res *res);
struct dst *dst_make(struct net_link *link, const struct naddr *nexthop, const struct naddr *src, uint8_t type);
int net_fib_init(struct net_ns *ns);
void net_fib_fini(struct net_ns *ns);
int net_neigh_init(struct net_ns *ns);
void net_neigh_fini(struct net_ns *ns);

static inline uint32_t dst_mtu(struct net_ns *ns, struct dst *d)
{
	uint32_t m = d->mtu;

	if (unlikely(d->expires_ns != NET_NEVER && net_now(ns->stack) >= d->expires_ns))
		m = d->link->mtu;
	return MIN(m, PKT_MAX_LEN);
}

#endif
