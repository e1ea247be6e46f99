/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_hdr.c - TCP headers: parsing, building, and answers that need no endpoint
 *
 * Source:  RFC 9293 sections 3.1, 3.2, 3.5.2 (reset generation); RFC 7323 section 2.2, 3.2; RFC 2018 section 2.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/tcp/tcp.h"

#define OPT_EOL	   0
#define OPT_NOP	   1
#define OPT_MSS	   2
#define OPT_WSCALE 3
#define OPT_SACKOK 4
#define OPT_SACK   5
#define OPT_TS	   8
#define OPT_TFO	   34

/* An option that does not fit ends the walk; what came before it counts (RFC 9293 MUST-7). */
static void parse_options(struct tcp_cb *cb, const uint8_t *h)
{
	uint32_t i = TCP_HLEN;

	while (i < cb->hdr_len) {
		uint8_t kind = h[i], len;

		if (kind == OPT_EOL)
			return;
		if (kind == OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= cb->hdr_len)
			return;
		len = h[i + 1];
		if (len < 2 || i + len > cb->hdr_len)
			return;
		switch (kind) {
		case OPT_MSS:
			if (len == 4 && (cb->flags & TCP_SYN))
				cb->mss = rd16(h + i + 2);
			break;
		case OPT_WSCALE:
			if (len == 3 && (cb->flags & TCP_SYN))
				cb->wscale = MIN(h[i + 2], (uint8_t)TCP_MAX_WSCALE);
			break;
		case OPT_SACKOK:
			if (len == 2 && (cb->flags & TCP_SYN))
				cb->sack_ok = 1;
			break;
		case OPT_SACK:
			if (len >= 10 && !((len - 2) % 8)) {
				cb->sack_off = (uint8_t)(i + 2);
				cb->nr_sack = (uint8_t)((len - 2) / 8);
			}
			break;
		case OPT_TS:
			if (len == 10) {
				cb->has_ts = 1;
				cb->tsval = rd32(h + i + 2);
				cb->tsecr = rd32(h + i + 6);
			}
			break;
		case OPT_TFO:
			/* RFC 7413 section 4.1.1: none (a request), or 4 to 16 bytes, an even number */
			if ((cb->flags & TCP_SYN) && !(len & 1) &&
			    (len == 2 || (len >= 2 + TCP_FO_COOKIE_MIN && len <= 2 + TCP_FO_COOKIE_MAX))) {
				cb->tfo_off = (uint8_t)(i + 2);
				cb->tfo_len = (uint8_t)(len - 2);
			}
			break;
		}
		i += len;
	}
}

enum drop tcp_parse(struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	const uint8_t *h;
	uint32_t hl;

	if (!pkt_may_pull(p, TCP_HLEN))
		return DROP_MALFORMED;
	hl = (p->data[12] >> 4) * 4u;
	if (hl < TCP_HLEN || !pkt_may_pull(p, hl))
		return DROP_MALFORMED;
	h = p->data;
	p->l4 = (uint16_t)(h - p->head);
	memset(cb, 0, sizeof(*cb));
	cb->seq = rd32(h + 4);
	cb->ack = rd32(h + 8);
	cb->hdr_len = (uint8_t)hl;
	cb->flags = h[13];
	cb->wnd = rd16(h + 14);
	cb->urg_ptr = rd16(h + 18);
	cb->wscale = 255;
	cb->end_seq = cb->seq + p->len - hl + ((cb->flags & TCP_SYN) ? 1 : 0) + ((cb->flags & TCP_FIN) ? 1 : 0);
	if (hl == TCP_HLEN + 12 && rd32(h + 20) == 0x0101080a) { /* the usual: nothing but timestamps */
		cb->has_ts = 1;
		cb->tsval = rd32(h + 24);
		cb->tsecr = rd32(h + 28);
	} else if (hl > TCP_HLEN) {
		parse_options(cb, h);
	}
	return DROP_NONE;
}

static uint32_t put_options(uint8_t *b, const struct tcp_opts *o, bool syn)
{
	uint8_t *q = b;

	if (syn && o->mss) {
		*q++ = OPT_MSS;
		*q++ = 4;
		wr16(q, o->mss);
		q += 2;
	}
	if (o->ts) {
		if (syn && o->sack_ok) { /* shares the padding */
			*q++ = OPT_SACKOK;
			*q++ = 2;
		} else {
			*q++ = OPT_NOP;
			*q++ = OPT_NOP;
		}
		*q++ = OPT_TS;
		*q++ = 10;
		wr32(q, o->tsval);
		wr32(q + 4, o->tsecr);
		q += 8;
	} else if (syn && o->sack_ok) {
		*q++ = OPT_NOP;
		*q++ = OPT_NOP;
		*q++ = OPT_SACKOK;
		*q++ = 2;
	}
	if (syn && o->wscale != 255) {
		*q++ = OPT_NOP;
		*q++ = OPT_WSCALE;
		*q++ = 3;
		*q++ = o->wscale;
	}
	if (syn && o->fo && o->fo->opt) {
		*q++ = OPT_TFO;
		*q++ = (uint8_t)(2 + o->fo->len);
		memcpy(q, o->fo->cookie, o->fo->len);
		q += o->fo->len;
		while ((q - b) % 4)
			*q++ = OPT_NOP;
	}
	if (o->nr_sacks) {
		*q++ = OPT_NOP;
		*q++ = OPT_NOP;
		*q++ = OPT_SACK;
		*q++ = (uint8_t)(2 + 8 * o->nr_sacks);
		for (unsigned i = 0; i < o->nr_sacks; i++) {
			wr32(q, o->sacks[i].s);
			wr32(q + 4, o->sacks[i].e);
			q += 8;
		}
	}
	return (uint32_t)(q - b);
}

uint32_t tcp_put_header(struct pkt *p, uint16_t sport, uint16_t dport, uint32_t seq, uint32_t ack, uint8_t flags,
			uint16_t wnd, uint16_t urg, const struct tcp_opts *o)
{
	uint8_t opt[40];
	uint32_t ol = o ? put_options(opt, o, flags & TCP_SYN) : 0;
	uint8_t *h = pkt_put(p, TCP_HLEN + ol);

	wr16(h, sport);
	wr16(h + 2, dport);
	wr32(h + 4, seq);
	wr32(h + 8, ack);
	h[12] = (uint8_t)((TCP_HLEN + ol) / 4 << 4);
	h[13] = flags;
	wr16(h + 14, wnd);
	memset(h + 16, 0, 2);
	wr16(h + 18, urg);
	memcpy(h + TCP_HLEN, opt, ol);
	p->l4 = (uint16_t)(h - p->head);
	return TCP_HLEN + ol;
}

static void mini_output(struct net_ns *ns, struct pkt *p, const struct naddr *src, const struct naddr *dst, uint32_t oif,
			uint8_t tos, uint32_t mark)
{
	struct net_flow fl = { .dst = *dst, .src = *src, .oif = oif, .ipproto = NET_IPPROTO_TCP, .mark = mark,
			       .any_src = true };
	struct ip_tx tx = { .src = *src, .dst = *dst, .proto = NET_IPPROTO_TCP, .tos = tos, .df = true };
	struct dst *d;
	uint16_t sum;

	if (net_route_lookup(ns, &fl, &d)) {
		net_drop(ns, p, DROP_NO_ROUTE);
		return;
	}
	tx.ttl = naddr_is_v4(dst) ? (uint8_t)ns->sysctl.ip_default_ttl : (uint8_t)d->link->conf.v6_hop_limit;
	p->mark = mark;
	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_off = 16;
	sum = (uint16_t)csum_pseudo(src, dst, NET_IPPROTO_TCP, p->len);
	memcpy(pkt_l4(p) + 16, &sum, 2);
	mib_inc(ns, MIB_TCP_OUT_SEGS);
	ip_output_one(ns, NULL, d, p, &tx);
	dst_put(d);
}

void tcp_send_mini(const struct skc *c, uint32_t seq, uint32_t ack, uint8_t flags, uint16_t wnd,
		   const struct tcp_opts *o, uint8_t tos, uint32_t mark)
{
	struct pkt *p = pkt_alloc(PKT_HEADROOM, 60);

	if (!p)
		return;
	tcp_put_header(p, c->lport, c->rport, seq, ack, flags, wnd, 0, o);
	mini_output(c->ns, p, &c->laddr, &c->raddr, naddr_is_linklocal6(&c->raddr) ? c->bound_if : c->bound_if, tos,
		    mark);
}

/* RFC 9293 section 3.5.2, group 1 and 2. */
void tcp_send_reset(struct net_ns *ns, struct pkt *p)
{
	const struct tcp_cb *cb = TCP_CB(p);
	const uint8_t *h = pkt_l4(p);
	struct pkt *r;

	if ((cb->flags & TCP_RST) || p->type != PKT_HOST)
		return;
	if (!icmp_rate_ok(ns) && ns->sysctl.tcp_invalid_ratelimit && p->iif != ns->lo->index)
		return; /* a flood of garbage must not become a flood of resets */
	r = pkt_alloc(PKT_HEADROOM, 60);
	if (!r)
		return;
	if (cb->flags & TCP_ACK)
		tcp_put_header(r, rd16(h + 2), rd16(h), cb->ack, 0, TCP_RST, 0, 0, NULL);
	else
		tcp_put_header(r, rd16(h + 2), rd16(h), 0, cb->end_seq, TCP_RST | TCP_ACK, 0, 0, NULL);
	mib_inc(ns, MIB_TCP_OUT_RSTS);
	mini_output(ns, r, &p->dstaddr, &p->src, naddr_is_linklocal6(&p->src) ? p->iif : 0, 0, 0);
}
