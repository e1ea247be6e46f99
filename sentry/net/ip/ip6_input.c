/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip6_input.c - IPv6 in: validation, extension headers, routing decision
 *
 * Source:  RFC 8200 section 4, RFC 4291 section 2.5 (addresses that no packet may have), RFC 5095 (type 0 routing
 *          headers are refused), RFC 7045.
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/nf.h"
#include "sentry/net/sock_internal.h"

#define IP6_MAX_EXT 8 /* extension headers of one packet */

static enum drop ip6_parse(struct net_link *link, struct pkt *p)
{
	const uint8_t *h;
	uint32_t len;

	(void)link;
	if (!pkt_may_pull(p, IP6_HLEN))
		return DROP_MALFORMED;
	h = p->data;
	p->l3 = (uint16_t)(h - p->head);
	if (h[0] >> 4 != 6)
		return DROP_MALFORMED;
	len = rd16(h + 4) + (uint32_t)IP6_HLEN;
	if (len > p->len)
		return DROP_MALFORMED;
	pkt_trim(p, len);
	p->src = naddr_from_bytes6(h + 8);
	p->dstaddr = naddr_from_bytes6(h + 24);
	p->ttl_tos[0] = h[7];
	p->ttl_tos[1] = (uint8_t)(rd16(h) >> 4);
	p->ipproto = h[6];
	p->l4 = (uint16_t)(p->l3 + IP6_HLEN);
	if (naddr_is_v4(&p->src) || naddr_is_v4(&p->dstaddr) || naddr_is_multicast(&p->src))
		return DROP_MARTIAN;
	return DROP_NONE;
}

/* Options that we do not know carry their own instructions (RFC 8200 section 4.2). */
static bool check_options(struct net_ns *ns, struct pkt *p, uint32_t off, uint32_t len)
{
	uint32_t i = off + 2, end = off + len;

	while (i < end) {
		const uint8_t *o = p->data + i;

		if (o[0] == 0) {
			i++;
			continue;
		}
		if (i + 1 >= end || i + 2 + o[1] > end)
			return false;
		if (o[0] != 1 && o[0] != 5 && o[0] >> 6) {
			if (o[0] >> 6 == 2 || (o[0] >> 6 == 3 && !naddr_is_multicast(&p->dstaddr)))
				icmp6_send(ns, p, ICMP6_PARAMPROB, 2, i);
			return false;
		}
		i += 2u + o[1];
	}
	return true;
}

/* Walks the extension headers; 0 with the transport's place, else the reason. May reassemble: *pp changes, NULL when
 * the packet is kept. */
static enum drop walk(struct net_ns *ns, struct pkt **pp, uint32_t *out_off, uint8_t *out_proto)
{
	struct pkt *p = *pp;
	uint32_t off = IP6_HLEN, prev = 6;
	uint8_t next = p->data[6];

	for (unsigned n = 0; n < IP6_MAX_EXT; n++) {
		uint32_t len;

		if (next == IPPROTO6_FRAGMENT) {
			if (!pkt_may_pull(p, off + 8))
				return DROP_MALFORMED;
			*pp = p = ip6_defrag(ns, p, off, prev, NF_LOCAL_IN);
			if (!p)
				return DROP_NONE;
			next = p->data[prev];
			continue;
		}
		if (next != IPPROTO6_HOPOPTS && next != IPPROTO6_ROUTING && next != IPPROTO6_DSTOPTS)
			break;
		if (!pkt_may_pull(p, off + 8))
			return DROP_MALFORMED;
		len = (p->data[off + 1] + 1u) * 8u;
		if (!pkt_may_pull(p, off + len))
			return DROP_MALFORMED;
		if (next == IPPROTO6_HOPOPTS && n) {
			icmp6_send(ns, p, ICMP6_PARAMPROB, 1, prev);
			return DROP_MALFORMED;
		}
		if (next == IPPROTO6_ROUTING) {
			if (p->data[off + 3]) { /* segments left: no source routing here */
				icmp6_send(ns, p, ICMP6_PARAMPROB, 0, off + 2);
				return DROP_POLICY;
			}
		} else if (!check_options(ns, p, off, len)) {
			return DROP_MALFORMED;
		}
		prev = off;
		next = p->data[off];
		off += len;
	}
	*out_off = off;
	*out_proto = next;
	return DROP_NONE;
}

static void local_in(struct net_link *link, struct pkt *p)
{
	struct net_ns *ns = link->ns;
	uint32_t off = IP6_HLEN;
	uint8_t proto = p->data[6];
	enum drop why;

	if (!ip_protos[proto]) {
		why = walk(ns, &p, &off, &proto);
		if (why) {
			net_drop(ns, p, why);
			return;
		}
		if (!p)
			return;
		if (proto == IPPROTO6_NONE) {
			pkt_free(p);
			return;
		}
	}
	p->l4 = (uint16_t)(p->data + off - p->head);
	p->ipproto = proto;
	if (!nf_pass(ns, NF_LOCAL_IN, p, link, NULL, NULL))
		return;
	ip_deliver(ns, p, off, proto);
}

static enum drop route_in(struct net_link *link, struct pkt *p, bool *out_local)
{
	struct net_ns *ns = link->ns;
	struct net_flow fl = { .dst = p->dstaddr, .src = p->src, .iif = link->index, .mark = p->mark,
			       .tos = p->ttl_tos[1], .ipproto = p->ipproto, .any_src = true };
	struct fib_res res;

	*out_local = true;
	if (naddr_is_multicast(&p->dstaddr)) {
		if (p->type == PKT_HOST)
			p->type = PKT_MULTICAST;
		if ((p->dstaddr.b[1] & 15) == 1 && !(link->flags & NET_IFF_LOOPBACK))
			return DROP_MARTIAN; /* interface-local scope */
		if (net_mcast_member(link, &p->dstaddr) || (link->flags & NET_IFF_LOOPBACK))
			return DROP_NONE;
		return DROP_MCAST_NOT_MEMBER;
	}
	if (naddr_is_loopback(&p->dstaddr) && !(link->flags & NET_IFF_LOOPBACK))
		return DROP_MARTIAN;
	if (naddr_is_linklocal6(&p->dstaddr) && !(link->flags & NET_IFF_LOOPBACK))
		return net_addr_on_link(link, &p->dstaddr) ? DROP_NONE : DROP_NOT_OURS;
	if (net_fib_lookup(ns, &fl, &res)) {
		mib_inc(ns, MIB_IP6_IN_NO_ROUTES);
		if (link->conf.v6_forwarding)
			icmp6_send(ns, p, ICMP6_DEST_UNREACH, 0, 0);
		return DROP_NO_ROUTE;
	}
	if (res.type == NET_RTN_LOCAL || res.type == NET_RTN_ANYCAST)
		return DROP_NONE;
	*out_local = false;
	if (res.type == NET_RTN_UNICAST && link->conf.v6_forwarding && p->type == PKT_HOST &&
	    !naddr_is_linklocal6(&p->src))
		return DROP_NONE;
	mib_inc(ns, MIB_IP6_IN_ADDR_ERRORS);
	return DROP_NOT_OURS;
}

void ip6_rx(struct net_link *link, struct pkt *p)
{
	struct net_ns *ns = link->ns;
	enum drop why;
	bool local;

	mib_inc(ns, MIB_IP6_IN_RECEIVES);
	if (unlikely(link->conf.v6_disable)) {
		why = DROP_POLICY;
		goto drop;
	}
	why = ip6_parse(link, p);
	if (why) {
		mib_inc(ns, MIB_IP6_IN_HDR_ERRORS);
		goto drop;
	}
	if (nf_wants_defrag(ns, true) && p->ipproto == IPPROTO6_FRAGMENT && pkt_may_pull(p, IP6_HLEN + 8)) {
		p = ip6_defrag(ns, p, IP6_HLEN, 6, NF_PRE_ROUTING);
		if (!p)
			return;
		p->ipproto = p->data[6];
	}
	if (!nf_pass(ns, NF_PRE_ROUTING, p, link, NULL, NULL))
		return;
	if (p->type == PKT_HOST && p->ipproto == NET_IPPROTO_TCP && pkt_may_pull(p, IP6_HLEN + TCP_HLEN)) {
		p->esk = sock_lookup_established(ns, p);
		if (p->esk) {
			local_in(link, p);
			return;
		}
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
