/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/pkt_gso.c - segmentation of offload packets in software
 *
 * Model:   where a packet leaves towards something that cannot segment (tap, forwarding to a link without
 *          offload, a bridge port), it is cut here; payload stays in shared fragments.
 * Source:  RFC 9293 section 3.1 (FIN, PSH on the last, CWR on the first), RFC 791 (identification grows).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/net.h"
#include "sentry/net/wire.h"

static void seg_fix_ip(struct pkt *s, unsigned i)
{
	uint8_t *ip = pkt_l3(s);
	uint32_t len = (uint32_t)(s->len - (uint32_t)(ip - s->data));

	if (ip[0] >> 4 == 4) {
		unsigned hl = (ip[0] & 15) * 4u;

		wr16(ip + 2, (uint16_t)len);
		wr16(ip + 4, (uint16_t)(rd16(ip + 4) + i));
		memset(ip + 10, 0, 2);
		{
			uint16_t c = (uint16_t)~csum_fold(csum_add_bytes(ip, hl, 0));

			memcpy(ip + 10, &c, 2);
		}
	} else {
		wr16(ip + 4, (uint16_t)(len - 40));
	}
}

static void seg_fix_l4(struct pkt *s, uint32_t seq_off, bool first, bool last)
{
	uint8_t *h = pkt_l4(s);
	uint32_t l4len = (uint32_t)(s->len - (uint32_t)(h - s->data));
	uint8_t proto = s->gso == PKT_GSO_UDP ? 17 : 6;
	uint16_t sum = (uint16_t)csum_pseudo(&s->src, &s->dstaddr, proto, l4len);

	if (proto == 6) {
		wr32(h + 4, rd32(h + 4) + seq_off);
		if (!last)
			h[13] &= (uint8_t) ~(TCP_FIN | TCP_PSH);
		if (!first)
			h[13] &= (uint8_t)~TCP_CWR;
	} else {
		wr16(h + 4, (uint16_t)l4len);
	}
	s->csum = PKT_CSUM_PARTIAL;
	s->csum_start = s->l4;
	s->csum_off = proto == 6 ? 16 : 6;
	memcpy(h + s->csum_off, &sum, 2);
	s->gso = PKT_GSO_NONE;
	s->gso_size = 0;
	s->gso_segs = 0;
}

int pkt_gso_segment(struct pkt *p, struct pkt_list *out)
{
	uint32_t l4off = (uint32_t)(pkt_l4(p) - p->data), hdr, payload, off = 0;
	unsigned i = 0;

	hdr = l4off + 8;
	if (!pkt_may_pull(p, hdr) || !p->gso_size)
		goto bad;
	if (p->gso != PKT_GSO_UDP) {
		if (!pkt_may_pull(p, l4off + 20))
			goto bad;
		hdr = l4off + (uint32_t)(pkt_l4(p)[12] >> 4) * 4;
	}
	if (!pkt_may_pull(p, hdr) || hdr < l4off + 8)
		goto bad;
	payload = p->len - hdr;
	do {
		uint32_t n = MIN((uint32_t)p->gso_size, payload - off);
		struct pkt *s = pkt_slice(p, hdr + off, n, pkt_headroom(p) + hdr);

		if (!s)
			goto nomem;
		memcpy(pkt_push(s, hdr), p->data, hdr);
		if (pkt_headroom(p)) /* link header that was pulled already */
			memcpy(s->data - MIN(pkt_headroom(p), 18u), p->data - MIN(pkt_headroom(p), 18u),
			       MIN(pkt_headroom(p), 18u));
		s->l2 = p->l2;
		s->l3 = p->l3;
		s->l4 = p->l4;
		s->proto = p->proto;
		s->type = p->type;
		s->ipproto = p->ipproto;
		s->gso = p->gso;
		s->mark = p->mark;
		s->hash = p->hash;
		s->link = p->link;
		s->iif = p->iif;
		s->flags = p->flags;
		s->priority = p->priority;
		s->src = p->src;
		s->dstaddr = p->dstaddr;
		memcpy(s->cb, p->cb, sizeof(s->cb));
		if (p->dst) {
			dst_get(p->dst);
			s->dst = p->dst;
		}
		seg_fix_ip(s, i++);
		seg_fix_l4(s, off, off == 0, off + n == payload);
		pkt_list_add(out, s);
		off += n;
	} while (off < payload);
	pkt_free(p);
	return 0;
nomem:
	pkt_list_free(out);
	pkt_free(p);
	return -LINUX_ENOMEM;
bad:
	pkt_free(p);
	return -LINUX_EINVAL;
}
