/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_reject.c - answers for packets that rules refuse
 *
 * Source:  RFC 1122 section 3.2.2.1, RFC 4443 section 3.1, RFC 9293 section 3.5.2 (resets).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf/xt.h"

void nf_reject_icmp(struct pkt *p, const struct nf_state *st, uint8_t type, uint8_t code)
{
	uint8_t kind = p->type;

	if (st->frag)
		return;
	if (st->hook == NF_LOCAL_OUT)
		p->type = PKT_HOST; /* our own packet: the answer comes back over loopback */
	if (st->family == NET_AF_INET)
		icmp_send(st->ns, p, type, code, 0);
	else
		icmp6_send(st->ns, p, type, code, 0);
	p->type = kind;
}

static void build_reset(struct pkt *r, const uint8_t *h, uint32_t payload, const struct naddr *src, const struct naddr *dst)
{
	uint8_t *o = pkt_put(r, TCP_HLEN);
	uint16_t c;

	memset(o, 0, TCP_HLEN);
	memcpy(o, h + 2, 2);
	memcpy(o + 2, h, 2);
	o[12] = 5 << 4;
	if (h[13] & TCP_ACK) {
		memcpy(o + 4, h + 8, 4);
		o[13] = TCP_RST;
	} else {
		wr32(o + 8, rd32(h + 4) + payload + !!(h[13] & TCP_SYN) + !!(h[13] & TCP_FIN));
		o[13] = TCP_RST | TCP_ACK;
	}
	c = (uint16_t)~csum_fold(csum_add_bytes(o, TCP_HLEN, csum_pseudo(src, dst, NET_IPPROTO_TCP, TCP_HLEN)));
	memcpy(o + 16, &c, 2);
	r->csum = PKT_CSUM_OK;
	r->l4 = (uint16_t)(o - r->head);
}

void nf_reject_reset(struct pkt *p, const struct nf_state *st)
{
	struct net_flow fl = { .dst = p->src, .src = p->dstaddr, .ipproto = NET_IPPROTO_TCP, .any_src = true };
	struct ip_tx tx = { .src = p->dstaddr, .dst = p->src, .proto = NET_IPPROTO_TCP, .df = true, .ttl = 64 };
	const uint8_t *h = st->proto == NET_IPPROTO_TCP ? xt_l4(p, st, TCP_HLEN) : NULL;
	struct pkt *r;
	struct dst *d;
	uint32_t hl;

	if (!h || (h[13] & TCP_RST) || naddr_is_multicast(&p->dstaddr) || naddr_is_any(&p->src))
		return;
	hl = st->l4off + (h[12] >> 4) * 4u;
	if (hl > p->len || net_route_lookup(st->ns, &fl, &d))
		return;
	r = pkt_alloc(PKT_HEADROOM, TCP_HLEN);
	if (r) {
		build_reset(r, h, p->len - hl, &tx.src, &tx.dst);
		if (p->ct) { /* so that it is translated like an answer of the peer */
			nf_ct_get(p->ct);
			r->ct = p->ct;
			r->ctinfo = CT_IS_REPLY(p->ctinfo) ? CT_RELATED : CT_RELATED_REPLY;
		}
		ip_output_one(st->ns, NULL, d, r, &tx);
	}
	dst_put(d);
}
