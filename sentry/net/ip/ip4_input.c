/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip4_input.c - IPv4 in: validation, routing decision, local delivery, forwarding
 *
 * Source:  RFC 791, RFC 1122 section 3.2.1, RFC 1812 section 5 (forwarding), RFC 6864 (identification).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/nf.h"
#include "sentry/net/sock_internal.h"

const struct ip_proto *const ip_protos[256] = {
	[NET_IPPROTO_ICMP] = &icmp_proto,
	[NET_IPPROTO_IGMP] = &igmp_proto,
	[NET_IPPROTO_TCP] = &tcp_proto,
	[NET_IPPROTO_UDP] = &udp_proto,
	[NET_IPPROTO_ICMPV6] = &icmp6_proto,
};

void ip4_set_csum(uint8_t *iph)
{
	uint16_t c;

	memset(iph + 10, 0, 2);
	c = (uint16_t)~csum_fold(csum_add_bytes(iph, (iph[0] & 15u) * 4u, 0));
	memcpy(iph + 10, &c, 2);
}

void ip_deliver(struct net_ns *ns, struct pkt *p, uint32_t l4off, uint8_t proto)
{
	bool v4 = naddr_is_v4(&p->dstaddr);
	const struct ip_proto *ops = ip_protos[proto];
	bool raw;

	p->ipproto = proto;
	p->l4 = (uint16_t)(p->data + l4off - p->head);
	raw = raw_deliver(ns, p, proto);
	if (!ops || !(v4 ? ops->v4 : ops->v6)) {
		mib_inc(ns, v4 ? MIB_IP_IN_UNKNOWN_PROTOS : MIB_IP6_IN_UNKNOWN_PROTOS);
		if (!raw && p->type == PKT_HOST) {
			if (v4)
				icmp_send(ns, p, ICMP_DEST_UNREACH, ICMP_PROT_UNREACH, 0);
			else
				icmp6_send(ns, p, ICMP6_PARAMPROB, 1, 6);
		}
		net_drop(ns, p, DROP_NO_PROTO);
		return;
	}
	mib_inc(ns, v4 ? MIB_IP_IN_DELIVERS : MIB_IP6_IN_DELIVERS);
	pkt_pull(p, l4off);
	ops->rx(ns, p);
}

/* Which of our addresses options record: the one that the packet was for. */
static const struct naddr *local_addr(struct net_link *link, const struct pkt *p, struct naddr *buf)
{
	*buf = NADDR_ANY4;
	if (p->type == PKT_HOST)
		return &p->dstaddr;
	net_addr_select(link, &p->src, buf);
	return buf;
}

static void local_in(struct net_link *link, struct pkt *p)
{
	struct net_ns *ns = link->ns;
	uint8_t proto = p->data[9];
	struct naddr self;
	uint32_t hl;

	if (rd16(p->data + 6) & (IP4_MF | IP4_OFFMASK)) {
		p = ip4_defrag(ns, p, NF_LOCAL_IN);
		if (!p)
			return;
	}
	hl = (p->data[0] & 15u) * 4u;
	if (unlikely(hl > IP4_HLEN) && !ip4_opts_input(ns, p, local_addr(link, p, &self)))
		return;
	p->l4 = (uint16_t)(p->data + hl - p->head);
	p->ipproto = proto;
	if (!nf_pass(ns, NF_LOCAL_IN, p, link, NULL, NULL))
		return;
	ip_deliver(ns, p, (p->data[0] & 15u) * 4u, p->ipproto);
}

static enum drop ip4_parse(struct net_link *link, struct pkt *p)
{
	const uint8_t *h;
	uint32_t hl, len, v;

	if (!pkt_may_pull(p, IP4_HLEN))
		return DROP_MALFORMED;
	h = p->data;
	hl = (h[0] & 15u) * 4u;
	if (h[0] >> 4 != 4 || hl < IP4_HLEN || !pkt_may_pull(p, hl))
		return DROP_MALFORMED;
	h = p->data;
	p->l3 = (uint16_t)(h - p->head);
	len = rd16(h + 2);
	if (len < hl || len > p->len)
		return DROP_MALFORMED;
	if (!(link->features & NET_LINK_RXOK) && csum_fold(csum_add_bytes(h, hl, 0)) != 0xffff)
		return DROP_CHECKSUM;
	pkt_trim(p, len);
	memcpy(&v, h + 12, 4);
	p->src = naddr_from_v4(v);
	memcpy(&v, h + 16, 4);
	p->dstaddr = naddr_from_v4(v);
	p->ttl_tos[0] = h[8];
	p->ttl_tos[1] = h[1];
	p->ipproto = h[9];
	p->l4 = (uint16_t)(p->l3 + hl);
	return DROP_NONE;
}

/* RFC 1122 section 3.2.1.3: sources and destinations that no packet on a wire may have. */
static bool martian(struct net_link *link, const struct pkt *p)
{
	bool lo = link->flags & NET_IFF_LOOPBACK;

	if (naddr_is_multicast(&p->src) || naddr_is_bcast4(&p->src))
		return true;
	if (lo || (p->flags & PKT_F_LOOPED) || link->conf.route_localnet)
		return false;
	return naddr_is_loopback(&p->src) || naddr_is_loopback(&p->dstaddr);
}

static bool early_demux(struct net_ns *ns, struct pkt *p)
{
	if (p->ipproto != NET_IPPROTO_TCP || (rd16(p->data + 6) & (IP4_MF | IP4_OFFMASK)) ||
	    !pkt_may_pull(p, (uint32_t)(pkt_l4(p) - p->data) + TCP_HLEN))
		return false;
	p->esk = sock_lookup_established(ns, p);
	return p->esk != NULL;
}

/* Where to? DROP_NONE with *out_local set, or forwarded (false). */
static enum drop route_in(struct net_link *link, struct pkt *p, bool *out_local)
{
	struct net_ns *ns = link->ns;
	struct net_flow fl = { .dst = p->dstaddr, .src = p->src, .iif = link->index, .mark = p->mark,
			       .tos = p->ttl_tos[1], .ipproto = p->ipproto, .any_src = true };
	struct fib_res res;
	int ret;

	*out_local = true;
	if (naddr_is_bcast4(&p->dstaddr)) {
		p->type = PKT_BROADCAST;
		return DROP_NONE;
	}
	if (naddr_is_multicast(&p->dstaddr)) {
		if (p->type == PKT_HOST)
			p->type = PKT_MULTICAST;
		if (net_mcast_member(link, &p->dstaddr) || (p->flags & PKT_F_LOOPED) ||
		    (link->flags & NET_IFF_LOOPBACK))
			return DROP_NONE;
		return DROP_MCAST_NOT_MEMBER;
	}
	ret = net_fib_lookup(ns, &fl, &res);
	if (ret) {
		mib_inc(ns, MIB_IP_IN_ADDR_ERRORS);
		if (link->conf.forwarding)
			icmp_send(ns, p, ICMP_DEST_UNREACH,
				  ret == -LINUX_EACCES ? ICMP_PKT_FILTERED :
				  ret == -LINUX_EHOSTUNREACH ? ICMP_HOST_UNREACH : ICMP_NET_UNREACH, 0);
		return DROP_NO_ROUTE;
	}
	switch (res.type) {
	case NET_RTN_LOCAL:
		return DROP_NONE;
	case NET_RTN_BROADCAST:
		p->type = PKT_BROADCAST;
		return DROP_NONE;
	case NET_RTN_UNICAST:
		*out_local = false;
		if (link->conf.forwarding && p->type == PKT_HOST)
			return DROP_NONE;
		mib_inc(ns, MIB_IP_IN_ADDR_ERRORS);
		return DROP_NOT_OURS;
	}
	return DROP_NO_ROUTE;
}

void ip4_rx(struct net_link *link, struct pkt *p)
{
	struct net_ns *ns = link->ns;
	enum drop why;
	bool local;

	mib_inc(ns, MIB_IP_IN_RECEIVES);
	why = ip4_parse(link, p);
	if (why) {
		mib_inc(ns, MIB_IP_IN_HDR_ERRORS);
		goto drop;
	}
	if (unlikely(martian(link, p))) {
		why = DROP_MARTIAN;
		goto drop;
	}
	if (nf_wants_defrag(ns, false) && (rd16(p->data + 6) & (IP4_MF | IP4_OFFMASK))) {
		p = ip4_defrag(ns, p, NF_PRE_ROUTING);
		if (!p)
			return;
	}
	if (!nf_pass(ns, NF_PRE_ROUTING, p, link, NULL, NULL))
		return;
	if (p->type == PKT_HOST && early_demux(ns, p)) {
		local_in(link, p);
		return;
	}
	why = route_in(link, p, &local);
	if (why)
		goto drop;
	if (local)
		local_in(link, p);
	else
		ip_forward(ns, link, p);
	return;
drop:
	net_drop(ns, p, why);
}
