/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_log.c - a packet as one line of the kernel log
 *
 * Source:  the format that log analysers expect of iptables' LOG target.
 */
#include <stdio.h>

#include "base/buf.h"
#include "sentry/net/nf/xt.h"
#include "sentry/net/sock_internal.h"

#define LOG_TCPSEQ 0x01
#define LOG_UID	   0x08
#define LINE_MAX_LEN 480

static void put_tcp(struct buf *b, struct pkt *p, const struct nf_state *st, uint8_t flags)
{
	static const char *const names[] = { "FIN ", "SYN ", "RST ", "PSH ", "ACK ", "URG ", "ECE ", "CWR " };
	static const uint8_t order[] = { 7, 6, 5, 4, 3, 2, 1, 0 };
	const uint8_t *h = xt_l4(p, st, TCP_HLEN);

	if (!h)
		return;
	buf_printf(b, "SPT=%u DPT=%u ", rd16(h), rd16(h + 2));
	if (flags & LOG_TCPSEQ)
		buf_printf(b, "SEQ=%u ACK=%u ", rd32(h + 4), rd32(h + 8));
	buf_printf(b, "WINDOW=%u RES=0x%02x ", rd16(h + 14), (h[12] & 15u) << 2);
	for (unsigned i = 0; i < 8; i++)
		if (h[13] >> order[i] & 1)
			buf_printf(b, "%s", names[order[i]]);
	buf_printf(b, "URGP=%u ", rd16(h + 18));
}

static void put_l4(struct buf *b, struct pkt *p, const struct nf_state *st, uint8_t flags)
{
	const uint8_t *h = xt_l4(p, st, 8);

	switch (st->proto) {
	case NET_IPPROTO_TCP:
		buf_printf(b, "PROTO=TCP ");
		put_tcp(b, p, st, flags);
		break;
	case NET_IPPROTO_UDP:
		buf_printf(b, "PROTO=UDP ");
		if (h)
			buf_printf(b, "SPT=%u DPT=%u LEN=%u ", rd16(h), rd16(h + 2), rd16(h + 4));
		break;
	case NET_IPPROTO_ICMP:
	case NET_IPPROTO_ICMPV6:
		buf_printf(b, st->family == NET_AF_INET ? "PROTO=ICMP " : "PROTO=ICMPv6 ");
		if (h)
			buf_printf(b, "TYPE=%u CODE=%u ", h[0], h[1]);
		if (h && (h[0] == 8 || h[0] == 0 || h[0] == 128 || h[0] == 129))
			buf_printf(b, "ID=%u SEQ=%u ", rd16(h + 4), rd16(h + 6));
		break;
	default:
		buf_printf(b, "PROTO=%u ", st->proto);
	}
}

static void put_l3(struct buf *b, const struct pkt *p, const struct nf_state *st)
{
	char src[NADDR_STRLEN], dst[NADDR_STRLEN];
	const uint8_t *h = p->data;

	naddr_str(&p->src, src);
	naddr_str(&p->dstaddr, dst);
	if (st->family == NET_AF_INET) {
		buf_printf(b, "SRC=%s DST=%s LEN=%u TOS=0x%02x PREC=0x%02x TTL=%u ID=%u ", src, dst, rd16(h + 2), h[1] & 0x1eu, h[1] & 0xe0u,
			   h[8], rd16(h + 4));
		buf_printf(b, "%s%s", rd16(h + 6) & IP4_DF ? "DF " : "", rd16(h + 6) & IP4_MF ? "MF " : "");
	} else {
		buf_printf(b, "SRC=%s DST=%s LEN=%u TC=%u HOPLIMIT=%u FLOWLBL=%u ", src, dst, rd16(h + 4) + 40u, (rd16(h) >> 4) & 0xffu, h[7],
			   rd32(h) & 0xfffff);
	}
}

void nf_log_packet(struct pkt *p, const struct nf_state *st, const char *prefix, uint8_t level, uint8_t flags)
{
	struct buf b = { .max = LINE_MAX_LEN };

	if (!nf_log_fn)
		return;
	buf_printf(&b, "%.127sIN=%s OUT=%s ", prefix, st->in ? st->in->name : "", st->out ? st->out->name : "");
	if (st->in && st->in->hwlen == 6 && p->l2 < p->l3 && p->l3 - p->l2 == ETH_HLEN) {
		const uint8_t *m = pkt_l2(p);

		buf_printf(&b, "MAC=");
		for (unsigned i = 0; i < ETH_HLEN; i++)
			buf_printf(&b, "%02x%s", m[i], i + 1 < ETH_HLEN ? ":" : " ");
	}
	put_l3(&b, p, st);
	put_l4(&b, p, st, flags);
	if ((flags & LOG_UID) && st->sk)
		buf_printf(&b, "UID=%u GID=%u ", st->sk->c.uid, st->sk->gid);
	if (p->mark)
		buf_printf(&b, "MARK=0x%x ", p->mark);
	if (b.data)
		nf_log_fn(level, b.data);
	buf_fini(&b);
}
