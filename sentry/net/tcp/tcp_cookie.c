/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_cookie.c - numbers that an outsider cannot guess: ISNs, timestamp offsets, SYN cookies
 *
 * Model:   a cookie is a 32-bit sequence number: 6 bits of a 64 s clock, 3 bits of an MSS table, 23 bits of a keyed
 *          hash over both and the tuple. What else a SYN negotiated rides in the low bits of our timestamp.
 * Source:  RFC 6528 (ISN), RFC 4987 section 3.6 and appendix A (SYN cookies), RFC 7323 section 5.4.
 */
#include "sentry/net/core/siphash.h"
#include "sentry/net/tcp/tcp.h"

struct tuple_key {
	uint8_t l[16], r[16];
	uint16_t lp, rp;
	uint32_t extra;
};

static uint64_t tuple_mac(struct net_ns *ns, const struct naddr *l, uint16_t lp, const struct naddr *r, uint16_t rp,
			  uint32_t extra)
{
	struct tuple_key k;

	memcpy(k.l, l->b, 16);
	memcpy(k.r, r->b, 16);
	k.lp = lp;
	k.rp = rp;
	k.extra = extra;
	return siphash(&k, sizeof(k), ns->stack->secret + 16);
}

/* RFC 6528: M + F(tuple, secret), M ticking every 64 ns as Linux has it. */
uint32_t tcp_isn(struct net_ns *ns, const struct skc *c)
{
	return (uint32_t)tuple_mac(ns, &c->laddr, c->lport, &c->raddr, c->rport, 0) +
	       (uint32_t)(net_now(ns->stack) >> 6);
}

uint32_t tcp_ts_off(struct net_ns *ns, const struct skc *c)
{
	return (uint32_t)(tuple_mac(ns, &c->laddr, 0, &c->raddr, 0, 1) >> 32);
}

static const uint16_t cookie_mss[8] = { 216, 536, 1220, 1300, 1440, 1460, 8960, 65495 };

static uint32_t cookie_hash(struct net_ns *ns, const struct pkt *p, uint32_t rcv_isn, uint32_t clock, uint32_t idx)
{
	const uint8_t *h = pkt_l4(p);

	return (uint32_t)tuple_mac(ns, &p->dstaddr, rd16(h + 2), &p->src, rd16(h), rcv_isn ^ (clock << 3 | idx) * 0x9e3779b1u) &
	       0x7fffff;
}

static uint32_t cookie_clock(struct net_ns *ns)
{
	return (uint32_t)(net_now(ns->stack) / (64 * NET_SEC)) & 63;
}

uint32_t tcp_cookie_make(struct net_ns *ns, const struct pkt *p, uint16_t *mss)
{
	uint32_t idx = ARRAY_SIZE(cookie_mss) - 1, clock = cookie_clock(ns);

	while (idx && cookie_mss[idx] > *mss)
		idx--;
	*mss = cookie_mss[idx];
	return clock << 26 | idx << 23 | cookie_hash(ns, p, TCP_CB(p)->seq, clock, idx);
}

/* A cookie is good for two clock ticks. */
bool tcp_cookie_check(struct net_ns *ns, const struct pkt *p, uint16_t *mss)
{
	uint32_t isn = TCP_CB(p)->ack - 1, clock = isn >> 26, idx = isn >> 23 & 7;

	if (((cookie_clock(ns) - clock) & 63) > 1)
		return false;
	if ((isn & 0x7fffff) != cookie_hash(ns, p, TCP_CB(p)->seq - 1, clock, idx))
		return false;
	*mss = cookie_mss[idx];
	return true;
}

/* Timestamp bits: 0-3 window scale (15 = none), 4 SACK. The value stays at or below the real clock. */
uint32_t tcp_cookie_ts(const struct tcp_req *r, uint32_t ts)
{
	uint32_t bits = (r->wscale_ok ? r->snd_wscale : 15u) | (r->sack_ok ? 16u : 0), v = (ts & ~31u) | bits;

	return v > ts ? v - 32 : v;
}

void tcp_cookie_ts_decode(uint32_t tsecr, struct tcp_req *r)
{
	r->wscale_ok = (tsecr & 15) != 15;
	r->snd_wscale = r->wscale_ok ? (uint8_t)(tsecr & 15) : 0;
	r->sack_ok = tsecr & 16;
	r->ts_ok = true;
}
