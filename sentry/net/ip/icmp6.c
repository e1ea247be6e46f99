/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/icmp6.c - ICMPv6: echo, errors in and out, dispatch to NDP and MLD
 *
 * Source:  RFC 4443.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/sock_internal.h"

static void set_csum(struct pkt *p, const struct naddr *src, const struct naddr *dst)
{
	uint16_t c;

	memset(p->data + 2, 0, 2);
	c = (uint16_t)~pkt_csum_range(p, 0, p->len, csum_pseudo(src, dst, NET_IPPROTO_ICMPV6, p->len));
	memcpy(p->data + 2, &c, 2);
	p->csum = PKT_CSUM_OK;
}

static int icmp6_out(struct net_ns *ns, struct pkt *p, const struct naddr *src, const struct naddr *dst, uint32_t oif)
{
	struct net_flow fl = { .dst = *dst, .src = *src, .oif = oif, .ipproto = NET_IPPROTO_ICMPV6 };
	struct ip_tx tx = { .dst = *dst, .proto = NET_IPPROTO_ICMPV6 };
	struct dst *d;
	int ret = net_route_lookup(ns, &fl, &d);

	if (ret) {
		pkt_free(p);
		return ret;
	}
	tx.src = naddr_is_any(src) ? d->src : *src;
	tx.ttl = (uint8_t)d->link->conf.v6_hop_limit;
	p->l4 = (uint16_t)(p->data - p->head);
	set_csum(p, &tx.src, dst);
	mib_inc(ns, MIB_ICMP6_OUT_MSGS);
	ret = ip_output_one(ns, NULL, d, p, &tx);
	dst_put(d);
	return ret;
}

/* A message on one link with a given hop limit: NDP and MLD. */
void icmp6_tx(struct net_link *link, const struct naddr *src, const struct naddr *dst, const void *body, uint32_t len,
	      uint8_t hops, const uint8_t *dst_mac, bool router_alert)
{
	static const uint8_t ra_opt[8] = { NET_IPPROTO_ICMPV6, 0, 5, 2, 0, 0, 1, 0 }; /* RFC 2711 */
	struct ip_tx tx = { .src = *src, .dst = *dst, .proto = NET_IPPROTO_ICMPV6, .ttl = hops };
	struct pkt *p = pkt_alloc(PKT_HEADROOM, len);
	struct dst *d;
	uint8_t *h;

	if (!p)
		return;
	memcpy(pkt_put(p, len), body, len);
	set_csum(p, src, dst);
	p->l4 = (uint16_t)(p->data - p->head);
	if (router_alert) {
		tx.ext6 = ra_opt;
		tx.ext6_len = 8;
		tx.ext6_proto = IPPROTO6_HOPOPTS;
	}
	mib_inc(link->ns, MIB_ICMP6_OUT_MSGS);
	bh_enter();
	d = dst_make(link, dst, src, naddr_is_multicast(dst) ? NET_RTN_MULTICAST : NET_RTN_UNICAST);
	if (!d) {
		pkt_free(p);
	} else if (dst_mac && link->hwlen && !naddr_is_multicast(dst)) {
		/* straight to a link address: the neighbour cache must not be asked while it is asking */
		h = pkt_push(p, IP6_HLEN);
		wr32(h, 0x60000000u);
		wr16(h + 4, (uint16_t)len);
		h[6] = NET_IPPROTO_ICMPV6;
		h[7] = hops;
		memcpy(h + 8, src->b, 16);
		memcpy(h + 24, dst->b, 16);
		p->l3 = (uint16_t)(h - p->head);
		p->proto = ETH_P_IPV6;
		h = pkt_push(p, ETH_HLEN);
		memcpy(h, dst_mac, 6);
		memcpy(h + 6, link->mac, 6);
		wr16(h + 12, ETH_P_IPV6);
		p->l2 = (uint16_t)(h - p->head);
		net_link_output_one(link, p);
	} else {
		ip_output_one(link->ns, NULL, d, p, &tx);
	}
	dst_put(d);
	bh_leave();
}

static bool about_icmp6_error(const struct pkt *p)
{
	uint8_t type;
	uint32_t off = (uint32_t)(pkt_l4(p) - p->data);

	if (p->ipproto != NET_IPPROTO_ICMPV6)
		return false;
	return !pkt_copy_bits(p, off, &type, 1) || type < 128 || type == ICMP6_REDIRECT;
}

void icmp6_send(struct net_ns *ns, struct pkt *p, uint8_t type, uint8_t code, uint32_t info)
{
	uint32_t avail = (uint32_t)(p->data - pkt_l3(p)), quote;
	struct naddr src = NADDR_ANY6;
	struct pkt *r;
	uint8_t *h;

	p->data -= avail;
	p->len += avail;
	if (p->len < IP6_HLEN || about_icmp6_error(p) || naddr_is_any(&p->src) || naddr_is_multicast(&p->src))
		goto out;
	/* RFC 4443 section 2.4 (e.3): multicasts may be answered for path MTU and unknown options only */
	if ((naddr_is_multicast(&p->dstaddr) || p->type != PKT_HOST) && type != ICMP6_PKT_TOOBIG &&
	    !(type == ICMP6_PARAMPROB && code == 2))
		goto out;
	if (!icmp_rate_ok(ns)) {
		mib_inc(ns, MIB_ICMP6_OUT_RATE_LIMIT);
		goto out;
	}
	quote = MIN(p->len, (uint32_t)IP6_MIN_MTU - IP6_HLEN - 8u);
	r = pkt_alloc(PKT_HEADROOM, 8 + quote);
	if (!r)
		goto out;
	h = pkt_put(r, 8 + quote);
	h[0] = type;
	h[1] = code;
	wr32(h + 4, info);
	pkt_copy_bits(p, 0, h + 8, quote);
	if (!naddr_is_multicast(&p->dstaddr) && net_addr_is_local(ns, &p->dstaddr))
		src = p->dstaddr;
	icmp6_out(ns, r, &src, &p->src, naddr_is_linklocal6(&p->src) ? p->iif : 0);
out:
	p->data += avail;
	p->len -= avail;
}

static void echo_reply(struct net_ns *ns, struct pkt *p)
{
	struct naddr src = naddr_is_multicast(&p->dstaddr) ? NADDR_ANY6 : p->dstaddr;
	struct pkt *r;

	if (ns->sysctl.v6_echo_ignore_all || naddr_is_multicast(&p->src) || naddr_is_any(&p->src))
		return;
	r = pkt_slice(p, 0, p->len, PKT_HEADROOM);
	if (!r || !pkt_may_pull(r, 8)) {
		pkt_free(r);
		return;
	}
	r->data[0] = ICMP6_ECHOREPLY;
	icmp6_out(ns, r, &src, &p->src, naddr_is_linklocal6(&p->src) ? p->iif : 0);
}

static void error_in(struct net_ns *ns, struct pkt *p)
{
	static const struct { int err; bool hard; } unreach[7] = {
		{ LINUX_ENETUNREACH, false }, { LINUX_EACCES, true }, { LINUX_EHOSTUNREACH, false },
		{ LINUX_EHOSTUNREACH, false }, { LINUX_ECONNREFUSED, true }, { LINUX_EACCES, true }, { LINUX_EACCES, true },
	};
	struct ip_err e = { .type = p->data[0], .code = p->data[1], .offender = p->src, .p = p, .iif = p->iif,
			    .err = LINUX_EPROTO };
	uint32_t off = 8 + IP6_HLEN;
	const struct ip_proto *ops;
	uint8_t next;

	if (!pkt_may_pull(p, off + 8) || p->data[8] >> 4 != 6)
		return;
	pkt_may_pull(p, MIN(p->len, off + 100u));
	e.src = naddr_from_bytes6(p->data + 16);
	e.dst = naddr_from_bytes6(p->data + 32);
	next = p->data[14];
	for (unsigned n = 0; n < 4 && (next == IPPROTO6_HOPOPTS || next == IPPROTO6_ROUTING ||
				       next == IPPROTO6_DSTOPTS || next == IPPROTO6_FRAGMENT); n++) {
		uint32_t len = next == IPPROTO6_FRAGMENT ? 8 : (p->data[off + 1] + 1u) * 8u;

		next = p->data[off];
		off += len;
		if (pkt_linear(p) < off + 8)
			return;
	}
	e.proto = next;
	e.l4 = p->data + off;
	e.l4_len = pkt_linear(p) - off;
	switch (e.type) {
	case ICMP6_DEST_UNREACH:
		if (e.code < ARRAY_SIZE(unreach)) {
			e.err = unreach[e.code].err;
			e.hard = unreach[e.code].hard;
		}
		break;
	case ICMP6_PKT_TOOBIG:
		e.err = LINUX_EMSGSIZE;
		e.info = rd32(p->data + 4);
		mib_inc(ns, MIB_IP6_IN_TOO_BIG);
		if (net_addr_is_local(ns, &e.src))
			net_pmtu_update(ns, &e.dst, e.info);
		break;
	case ICMP6_TIME_EXCEED:
		e.err = LINUX_EHOSTUNREACH;
		break;
	case ICMP6_PARAMPROB:
		e.hard = e.code == 1;
		break;
	}
	raw_err(ns, &e);
	ops = ip_protos[e.proto];
	if (ops && ops->err && ops->v6)
		ops->err(ns, &e);
}

static void icmp6_rx(struct net_ns *ns, struct pkt *p)
{
	uint8_t type;

	mib_inc(ns, MIB_ICMP6_IN_MSGS);
	if (!pkt_may_pull(p, 8)) {
		mib_inc(ns, MIB_ICMP6_IN_ERRORS);
		net_drop(ns, p, DROP_MALFORMED);
		return;
	}
	if (p->csum == PKT_CSUM_NONE &&
	    (uint16_t)pkt_csum_range(p, 0, p->len, csum_pseudo(&p->src, &p->dstaddr, NET_IPPROTO_ICMPV6, p->len)) !=
		    0xffff) {
		mib_inc(ns, MIB_ICMP6_IN_CSUM_ERRORS);
		net_drop(ns, p, DROP_CHECKSUM);
		return;
	}
	type = p->data[0];
	switch (type) {
	case ICMP6_ECHO:
		echo_reply(ns, p);
		break;
	case ICMP6_ECHOREPLY:
		ping_rx(ns, p);
		return;
	case ICMP6_DEST_UNREACH:
	case ICMP6_PKT_TOOBIG:
	case ICMP6_TIME_EXCEED:
	case ICMP6_PARAMPROB:
		error_in(ns, p);
		break;
	case ICMP6_RS:
	case ICMP6_RA:
	case ICMP6_NS:
	case ICMP6_NA:
	case ICMP6_REDIRECT:
		ndp_rx(ns, p, type);
		break;
	case ICMP6_MLD_QUERY:
	case ICMP6_MLD_REPORT:
	case ICMP6_MLD_DONE:
	case ICMP6_MLD2_REPORT:
		mld_rx(ns, p, type);
		break;
	}
	net_drop(ns, p, DROP_CONSUMED);
}

const struct ip_proto icmp6_proto = { .rx = icmp6_rx, .err = ping_err, .v6 = true };
