/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip_forward.c - packets that are only passing through, both families
 *
 * Source:  RFC 1812 sections 5.2.7 and 5.3.1, RFC 8200 section 4.3 and 5, RFC 4443 section 3.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf.h"

/* Lowers TTL or hop limit; false: it ran out, and the sender was told. */
static bool dec_ttl(struct net_ns *ns, struct pkt *p, bool v4)
{
	uint8_t *h = p->data;

	if (h[v4 ? 8 : 7] <= 1) {
		if (v4)
			icmp_send(ns, p, ICMP_TIME_EXCEEDED, 0, 0);
		else
			icmp6_send(ns, p, ICMP6_TIME_EXCEED, 0, 0);
		return false;
	}
	if (v4) {
		uint16_t old, now;

		memcpy(&old, h + 8, 2);
		h[8]--;
		memcpy(&now, h + 8, 2);
		csum_replace2(h + 10, old, now);
	} else {
		h[7]--;
	}
	return true;
}

static bool too_big(struct net_ns *ns, struct pkt *p, struct dst *d, bool v4)
{
	uint32_t mtu = dst_mtu(ns, d);
	uint32_t len = p->gso_size ? p->gso_size + (uint32_t)(pkt_l4(p) - p->data) + 60u : p->len;

	if (len <= mtu || (p->gso_size && p->len <= mtu))
		return false;
	if (p->frag_max && p->frag_max <= mtu)
		return false; /* put together for tracking: its pieces did fit */
	if (p->gso_size && p->gso_size + (uint32_t)(pkt_l4(p) - p->data) + 20u <= mtu)
		return false; /* segments fit unless options fill the header; then they are fragmented */
	if (v4) {
		if (!(rd16(p->data + 6) & IP4_DF))
			return false;
		icmp_send(ns, p, ICMP_DEST_UNREACH, ICMP_FRAG_NEEDED, mtu);
	} else {
		icmp6_send(ns, p, ICMP6_PKT_TOOBIG, 0, mtu);
	}
	return true;
}

void ip_forward(struct net_ns *ns, struct net_link *in, struct pkt *p)
{
	bool v4 = naddr_is_v4(&p->dstaddr);
	struct net_flow fl = { .dst = p->dstaddr, .src = p->src, .iif = in->index, .mark = p->mark,
			       .tos = p->ttl_tos[1], .ipproto = p->ipproto, .any_src = true, .hash = p->hash };
	struct dst *d;
	int ret;

	ret = net_route_lookup(ns, &fl, &d);
	if (ret) {
		if (v4)
			icmp_send(ns, p, ICMP_DEST_UNREACH, ICMP_NET_UNREACH, 0);
		else
			icmp6_send(ns, p, ICMP6_DEST_UNREACH, 0, 0);
		net_drop(ns, p, DROP_NO_ROUTE);
		return;
	}
	p->dst = d;
	if (too_big(ns, p, d, v4)) {
		net_drop(ns, p, DROP_TOO_BIG);
		return;
	}
	if (!dec_ttl(ns, p, v4)) {
		net_drop(ns, p, DROP_TTL);
		return;
	}
	if (unlikely(v4 && (p->data[0] & 15) > IP4_HLEN / 4) && !ip4_opts_input(ns, p, &d->src))
		return;
	p->flags |= PKT_F_FORWARD;
	if (!nf_pass(ns, NF_FORWARD, p, in, d->link, NULL))
		return;
	mib_inc(ns, v4 ? MIB_IP_FORW_DATAGRAMS : MIB_IP6_OUT_FORW_DATAGRAMS);
	ip_finish_output(ns, p, NULL);
}
