/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_manip.c - changes of addresses and ports in packets, with their checksums
 *
 * Model:   checksums are corrected by the difference, never computed anew, so a broken packet stays broken. An offload packet's
 *          field holds the pseudo-header's sum only (not inverted), so addresses count there and ports do not.
 * Source:  RFC 1624 (incremental update), RFC 3022 section 4.3 (ICMP errors), RFC 5508.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/nf/ct.h"

void nf_csum_diff(struct pkt *p, uint8_t *field, const void *old, const void *now, unsigned len, bool pseudo)
{
	uint16_t c, a, b;
	uint64_t sum;

	if (p->csum == PKT_CSUM_PARTIAL && !pseudo)
		return;
	memcpy(&c, field, 2);
	sum = p->csum == PKT_CSUM_PARTIAL ? c : (uint16_t)~c;
	for (unsigned i = 0; i < len; i += 2) {
		memcpy(&a, (const uint8_t *)old + i, 2);
		memcpy(&b, (const uint8_t *)now + i, 2);
		sum += (uint16_t)~a + (uint64_t)b;
	}
	c = csum_fold(sum);
	if (p->csum != PKT_CSUM_PARTIAL)
		c = (uint16_t)~c;
	memcpy(field, &c, 2);
}

/* The transport's checksum field; NULL: it has none that covers addresses. Makes it linear. */
static uint8_t *l4_field(struct pkt *p, const struct nf_state *st)
{
	uint32_t off;
	uint8_t *f;

	if (st->frag)
		return NULL;
	switch (st->proto) {
	case NET_IPPROTO_TCP:
		off = 16;
		break;
	case NET_IPPROTO_UDP:
		off = 6;
		break;
	case NET_IPPROTO_ICMPV6:
		off = 2;
		break;
	default:
		return NULL;
	}
	if (!pkt_may_pull(p, st->l4off + off + 2))
		return NULL;
	f = p->data + st->l4off + off;
	if (st->proto == NET_IPPROTO_UDP && p->csum != PKT_CSUM_PARTIAL && !f[0] && !f[1])
		return NULL;
	return f;
}

/* RFC 768: a sum of zero is sent as all ones, zero means "none". */
static void udp_nonzero(struct pkt *p, const struct nf_state *st, uint8_t *f)
{
	if (st->proto == NET_IPPROTO_UDP && p->csum != PKT_CSUM_PARTIAL && !f[0] && !f[1])
		f[0] = f[1] = 0xff;
}

bool nf_set_addr(struct pkt *p, const struct nf_state *st, enum nf_manip m, const struct naddr *a)
{
	bool v4 = st->family == NET_AF_INET;
	unsigned n = v4 ? 4 : 16;
	const uint8_t *now = v4 ? a->b + 12 : a->b;
	uint8_t *at, *f, old[16];

	if (naddr_eq(m == NF_MANIP_SRC ? &p->src : &p->dstaddr, a))
		return true;
	f = l4_field(p, st);
	at = p->data + (v4 ? 12 : 8) + (m == NF_MANIP_SRC ? 0 : n);
	memcpy(old, at, n);
	memcpy(at, now, n);
	if (v4) {
		uint8_t csum = p->csum;

		p->csum = PKT_CSUM_NONE; /* the header's own sum is always complete */
		nf_csum_diff(p, p->data + 10, old, now, n, true);
		p->csum = csum;
	}
	if (f) {
		nf_csum_diff(p, f, old, now, n, true);
		udp_nonzero(p, st, f);
	}
	if (m == NF_MANIP_SRC)
		p->src = *a;
	else
		p->dstaddr = *a;
	p->hash = 0;
	return true;
}

static bool set_u16(struct pkt *p, const struct nf_state *st, uint32_t off, uint32_t csum_off, uint16_t v)
{
	uint8_t *at, *f, old[2];

	if (!pkt_may_pull(p, st->l4off + MAX(off, csum_off) + 2))
		return false;
	at = p->data + st->l4off + off;
	f = p->data + st->l4off + csum_off;
	if (rd16(at) == v)
		return true;
	memcpy(old, at, 2);
	wr16(at, v);
	if (st->proto == NET_IPPROTO_UDP && p->csum != PKT_CSUM_PARTIAL && !f[0] && !f[1])
		return true;
	nf_csum_diff(p, f, old, at, 2, false);
	udp_nonzero(p, st, f);
	return true;
}

bool nf_manip_packet(struct pkt *p, const struct nf_state *st, const struct nf_tuple *target, enum nf_manip m)
{
	uint16_t port = m == NF_MANIP_SRC ? target->sport : target->dport;

	if (!nf_set_addr(p, st, m, m == NF_MANIP_SRC ? &target->src : &target->dst))
		return false;
	if (st->frag || target->proto != st->proto)
		return true;
	switch (st->proto) {
	case NET_IPPROTO_TCP:
		return set_u16(p, st, m == NF_MANIP_SRC ? 0 : 2, 16, port);
	case NET_IPPROTO_UDP:
		return set_u16(p, st, m == NF_MANIP_SRC ? 0 : 2, 6, port);
	case NET_IPPROTO_ICMP:
	case NET_IPPROTO_ICMPV6:
		return set_u16(p, st, 4, 2, target->sport);
	}
	return true;
}

/* The ICMP checksum over everything, anew: quoted headers have been changed. */
static void icmp_csum(struct pkt *p, const struct nf_state *st)
{
	uint32_t len = p->len - st->l4off, seed = 0;
	uint8_t *f = p->data + st->l4off + 2;
	uint16_t c;

	if (st->proto == NET_IPPROTO_ICMPV6)
		seed = csum_pseudo(&p->src, &p->dstaddr, NET_IPPROTO_ICMPV6, len);
	memset(f, 0, 2);
	c = (uint16_t)~pkt_csum_range(p, st->l4off, len, seed);
	memcpy(f, &c, 2);
	p->csum = PKT_CSUM_OK;
}

/* Field of the quoted packet at @off becomes @now; its own header checksum (IPv4) follows. */
static bool inner_addr(struct pkt *p, uint32_t off, bool v4, enum nf_manip m, const struct naddr *a)
{
	uint32_t n = v4 ? 4 : 16, at = off + (v4 ? 12 : 8) + (m == NF_MANIP_SRC ? 0 : n);
	const uint8_t *now = v4 ? a->b + 12 : a->b;
	uint8_t csum = p->csum, old[16], sum[2];

	if (!pkt_copy_bits(p, at, old, n) || !pkt_store_bits(p, at, now, n))
		return false;
	if (!v4)
		return true;
	if (!pkt_copy_bits(p, off + 10, sum, 2))
		return false;
	p->csum = PKT_CSUM_NONE;
	nf_csum_diff(p, sum, old, now, n, true);
	p->csum = csum;
	return pkt_store_bits(p, off + 10, sum, 2);
}

bool nf_manip_icmp_inner(struct pkt *p, const struct nf_state *st, const struct nf_tuple *target, enum nf_manip m)
{
	uint32_t in = st->l4off + 8u, l4;
	bool v4 = st->family == NET_AF_INET;
	uint16_t port = m == NF_MANIP_SRC ? target->sport : target->dport;
	struct nf_tuple k;
	uint8_t b[2], hl = 0;

	if (!nf_tuple_get(p, in, &k) || !pkt_copy_bits(p, in, &hl, 1))
		return false;
	if (!inner_addr(p, in, v4, m, m == NF_MANIP_SRC ? &target->src : &target->dst))
		return false;
	l4 = in + (v4 ? (hl & 15u) * 4u : IP6_HLEN);
	/* the quoted transport checksum is left alone: mostly it is cut off, and nobody may rely on it (RFC 5508, 3.1) */
	if (k.proto == NET_IPPROTO_TCP || k.proto == NET_IPPROTO_UDP) {
		wr16(b, port);
		if (!pkt_store_bits(p, l4 + (m == NF_MANIP_SRC ? 0 : 2), b, 2))
			return false;
	} else if (k.proto == NET_IPPROTO_ICMP || k.proto == NET_IPPROTO_ICMPV6) {
		wr16(b, target->sport);
		if (!pkt_store_bits(p, l4 + 4, b, 2))
			return false;
	}
	if (!pkt_may_pull(p, st->l4off + 8u))
		return false;
	icmp_csum(p, st);
	return true;
}
