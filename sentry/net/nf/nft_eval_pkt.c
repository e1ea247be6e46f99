/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_eval_pkt.c - expressions that read and write packets: payload, extension headers and options
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf/nft.h"

enum { BASE_LL, BASE_NETWORK, BASE_TRANSPORT, BASE_INNER };

/* Offset of the header from data; -1: there is none. */
static int64_t base_offset(uint8_t base, const struct nft_ctx *c)
{
	uint8_t h[TCP_HLEN];

	switch (base) {
	case BASE_NETWORK:
		return 0;
	case BASE_TRANSPORT:
		return c->st->frag ? -1 : c->st->l4off;
	case BASE_INNER:
		if (c->st->frag)
			return -1;
		if (c->st->proto == NET_IPPROTO_UDP)
			return c->st->l4off + UDP_HLEN;
		if (c->st->proto != NET_IPPROTO_TCP || !pkt_copy_bits(c->p, c->st->l4off, h, sizeof(h)))
			return -1;
		return c->st->l4off + (h[12] >> 4) * 4u;
	}
	return -1;
}

static bool ll_load(const struct nft_expr *e, void *to, const struct nft_ctx *c)
{
	const struct pkt *p = c->p;

	if (!c->st->in || c->st->in->hwlen != 6 || p->l2 >= p->l3 || e->off + e->len > (uint32_t)(p->l3 - p->l2))
		return false;
	memcpy(to, pkt_l2(p) + e->off, e->len);
	return true;
}

/* The transport's checksum follows a change in the network header that its pseudo header covers. */
static void fix_l4(const struct nft_expr *e, const void *old, const void *now, const struct nft_ctx *c)
{
	uint32_t at = c->st->proto == NET_IPPROTO_TCP ? 16 : c->st->proto == NET_IPPROTO_UDP ? 6 : c->st->proto == NET_IPPROTO_ICMPV6 ? 2 : 0;
	uint8_t *h = at ? xt_l4(c->p, c->st, at + 2) : NULL;

	if (!h || (c->st->proto == NET_IPPROTO_UDP && c->p->csum != PKT_CSUM_PARTIAL && !h[6] && !h[7]))
		return;
	nf_csum_diff(c->p, h + at, old, now, e->len, true);
}

static void payload_store(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	int64_t at = base_offset(e->base, c);
	const void *now = &r->w[e->sreg];
	uint8_t old[NFT_DATA_MAX], sum[2], csum = c->p->csum;

	if (at < 0 || !pkt_copy_bits(c->p, (uint32_t)at + e->off, old, e->len) ||
	    !pkt_may_pull(c->p, (uint32_t)at + MAX(e->off + e->len, e->csum_off + 2))) {
		r->v.code = NFT_BREAK;
		return;
	}
	if (e->csum_type == 1 && !(e->base == BASE_TRANSPORT && csum == PKT_CSUM_PARTIAL)) {
		uint8_t *f = c->p->data + at + e->csum_off;

		memcpy(sum, f, 2);
		c->p->csum = PKT_CSUM_NONE;
		if (e->base != BASE_TRANSPORT || c->st->proto != NET_IPPROTO_UDP || sum[0] || sum[1])
			nf_csum_diff(c->p, f, old, now, ALIGN_UP(e->len, 2u), false);
		c->p->csum = csum;
	}
	if (e->csum_flags & 1)
		fix_l4(e, old, now, c);
	if (!pkt_store_bits(c->p, (uint32_t)at + e->off, now, e->len))
		r->v.code = NFT_BREAK;
	if (e->base == BASE_NETWORK) { /* addresses are kept beside the header too */
		uint32_t v;

		if (c->st->family == NET_AF_INET) {
			memcpy(&v, c->p->data + 12, 4);
			c->p->src = naddr_from_v4(v);
			memcpy(&v, c->p->data + 16, 4);
			c->p->dstaddr = naddr_from_v4(v);
		} else {
			c->p->src = naddr_from_bytes6(c->p->data + 8);
			c->p->dstaddr = naddr_from_bytes6(c->p->data + 24);
		}
	}
}

void nft_eval_payload(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint8_t *to = (uint8_t *)&r->w[e->dreg];
	int64_t at;

	if (e->set) {
		payload_store(e, r, c);
		return;
	}
	r->w[e->dreg + e->len / 4 - (e->len % 4 == 0)] = 0;
	if (e->base == BASE_LL) {
		if (!ll_load(e, to, c))
			r->v.code = NFT_BREAK;
		return;
	}
	at = base_offset(e->base, c);
	if (at < 0 || !pkt_copy_bits(c->p, (uint32_t)at + e->off, to, e->len))
		r->v.code = NFT_BREAK;
}

/* ---- exthdr ----------------------------------------------------------------------------------------------------------- */

enum { EXT_IPV6, EXT_TCPOPT, EXT_IPV4 };

static uint8_t *find_ext6(uint8_t type, uint32_t *out_len, const struct nft_ctx *c)
{
	uint32_t off = IP6_HLEN, len;
	uint8_t next = c->p->data[6];

	for (unsigned n = 0; c->st->family == NET_AF_INET6 && n < 8; n++) {
		if (next != IPPROTO6_HOPOPTS && next != IPPROTO6_ROUTING && next != IPPROTO6_DSTOPTS && next != IPPROTO6_FRAGMENT)
			return NULL;
		if (!pkt_may_pull(c->p, off + 8))
			return NULL;
		len = next == IPPROTO6_FRAGMENT ? 8 : (c->p->data[off + 1] + 1u) * 8u;
		if (next == type && pkt_may_pull(c->p, off + len)) {
			*out_len = len;
			return c->p->data + off;
		}
		next = c->p->data[off];
		off += len;
	}
	return NULL;
}

static uint8_t *find_opt4(uint8_t type, uint32_t *out_len, const struct nft_ctx *c)
{
	uint32_t hl = (c->p->data[0] & 15u) * 4u, i = IP4_HLEN, len;

	while (c->st->family == NET_AF_INET && i < hl && c->p->data[i]) {
		len = c->p->data[i] == 1 ? 1 : i + 1 < hl ? c->p->data[i + 1] : 0;
		if (!len || (c->p->data[i] != 1 && len < 2) || i + len > hl)
			return NULL;
		if (c->p->data[i] == type) {
			*out_len = len;
			return c->p->data + i;
		}
		i += len;
	}
	return NULL;
}

static uint8_t *find_header(struct nft_expr *e, uint32_t *out_len, const struct nft_ctx *c)
{
	uint8_t n = 0, *h;

	if (e->op == EXT_IPV6)
		return find_ext6((uint8_t)e->key, out_len, c);
	if (e->op == EXT_IPV4)
		return find_opt4((uint8_t)e->key, out_len, c);
	h = c->st->proto == NET_IPPROTO_TCP ? xt_tcp_option(c->p, c->st, (uint8_t)e->key, &n) : NULL;
	*out_len = n;
	return h;
}

/* Only sizes of segments are written, and only downwards. */
static void store_tcpopt(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c, const uint8_t *h)
{
	uint16_t v;

	memcpy(&v, &r->w[e->sreg], 2);
	v = net_ntohs(v);
	if (e->key == 2 && e->off == 2 && e->len == 2 && rd16(h + 2) > v)
		xt_set_mss(c->p, c->st, v, false);
}

void nft_eval_exthdr(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint32_t len = 0;
	uint8_t *h = find_header(e, &len, c);

	if (e->set) {
		if (h && e->off + e->len <= len)
			store_tcpopt(e, r, c, h);
		return;
	}
	if (e->flags & 1) {
		r->w[e->dreg] = h != NULL;
		return;
	}
	if (!h || e->off + e->len > len) {
		r->v.code = NFT_BREAK;
		return;
	}
	r->w[e->dreg + e->len / 4 - (e->len % 4 == 0)] = 0;
	memcpy(&r->w[e->dreg], h + e->off, e->len);
}
