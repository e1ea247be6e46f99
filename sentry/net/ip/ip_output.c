/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip_output.c - both families out: headers, hooks, fragmentation, neighbour
 *
 * Source:  RFC 791 section 3.2 (fragmentation), RFC 6864 (identification of atomic datagrams), RFC 8200 section 4.5,
 *          RFC 1112 section 6.1 (multicast loopback).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/nf.h"
#include "sentry/net/sock_internal.h"

static bool push_ip4(struct net_ns *ns, struct pkt *p, const struct ip_tx *tx)
{
	uint32_t hl = IP4_HLEN + tx->opts_len;
	uint8_t *h = pkt_push(p, hl);
	uint16_t id = 0;

	if (!h)
		return false;
	/* RFC 6864: an identification matters only for packets that may be fragmented */
	if (!tx->df || tx->local_frag)
		id = (uint16_t)atomic_fetch_add_explicit(&ns->ip_id, MAX(1u, (uint32_t)p->gso_segs),
							 memory_order_relaxed);
	h[0] = (uint8_t)(0x40 | hl / 4);
	h[1] = tx->tos;
	wr16(h + 2, (uint16_t)p->len);
	wr16(h + 4, id);
	wr16(h + 6, tx->df ? IP4_DF : 0);
	h[8] = tx->ttl;
	h[9] = tx->proto;
	memcpy(h + 12, &tx->src.w[3], 4);
	memcpy(h + 16, &tx->dst.w[3], 4);
	if (unlikely(tx->opts_len)) {
		memcpy(h + IP4_HLEN, tx->opts, tx->opts_len);
		ip4_opts_stamp(ns, h + IP4_HLEN, tx->opts_len, &tx->src);
	}
	ip4_set_csum(h);
	p->proto = ETH_P_IP;
	return true;
}

static bool push_ip6(struct pkt *p, const struct ip_tx *tx)
{
	uint8_t *h;

	if (tx->ext6_len) {
		h = pkt_push(p, tx->ext6_len);
		if (!h)
			return false;
		memcpy(h, tx->ext6, tx->ext6_len);
	}
	h = pkt_push(p, IP6_HLEN);
	if (!h)
		return false;
	wr32(h, 0x60000000u | (uint32_t)tx->tos << 20 | (net_ntohl(tx->flowlabel) & 0xfffff));
	wr16(h + 4, (uint16_t)(p->len - IP6_HLEN));
	h[6] = tx->ext6_len ? tx->ext6_proto : tx->proto;
	h[7] = tx->ttl;
	memcpy(h + 8, tx->src.b, 16);
	memcpy(h + 24, tx->dst.b, 16);
	p->proto = ETH_P_IPV6;
	return true;
}

/* Multicasts and broadcasts of ours come back to members here. */
static void loop_copy(struct net_ns *ns, struct pkt *p, bool mc)
{
	struct net_link *out = p->dst->link;
	struct pkt_list l = { 0 };
	struct pkt *c;

	if ((out->flags & NET_IFF_LOOPBACK) || (mc && !net_mcast_member(out, &p->dstaddr)))
		return;
	c = pkt_clone(p);
	if (!c)
		return;
	if (c->dst) {
		dst_put(c->dst);
		c->dst = NULL;
	}
	c->type = mc ? PKT_MULTICAST : PKT_BROADCAST;
	c->flags |= PKT_F_LOOPED;
	pkt_list_add(&l, c);
	bh_queue_rx(out, &l);
	(void)ns;
}

static int finish_list(struct net_ns *ns, struct dst *d, struct pkt_list *out)
{
	(void)ns;
	neigh_output_list(d, out);
	return 0;
}

static bool needs_frag(struct net_ns *ns, const struct pkt *p, struct dst *d)
{
	return p->len > dst_mtu(ns, d) && !p->gso_size;
}

static int frag_and_send(struct net_ns *ns, struct pkt *p)
{
	struct dst *d = p->dst;
	struct pkt_list out = { 0 };
	uint32_t mtu = dst_mtu(ns, d);
	bool v4 = p->proto == ETH_P_IP;
	int ret;

	if (p->frag_max && p->frag_max < mtu)
		mtu = p->frag_max;
	dst_get(d);
	pkt_csum_complete(p);
	ret = ip_fragment(ns, p, mtu, &out);
	if (!ret) {
		mib_inc(ns, v4 ? MIB_IP_FRAG_OKS : MIB_IP6_FRAG_OKS);
		mib_add(ns, v4 ? MIB_IP_FRAG_CREATES : MIB_IP6_FRAG_CREATES, out.nr);
		ret = finish_list(ns, d, &out);
	} else {
		mib_inc(ns, v4 ? MIB_IP_FRAG_FAILS : MIB_IP6_FRAG_FAILS);
	}
	dst_put(d);
	return ret;
}

int ip_finish_output(struct net_ns *ns, struct pkt *p, struct sock *sk)
{
	struct pkt_list l = { 0 };
	struct dst *d;

	if (!nf_pass(ns, NF_POST_ROUTING, p, NULL, p->dst->link, sk))
		return 0;
	if (unlikely(needs_frag(ns, p, p->dst)))
		return frag_and_send(ns, p);
	d = p->dst;
	dst_get(d);
	pkt_list_add(&l, p);
	finish_list(ns, d, &l);
	dst_put(d);
	return 0;
}

int ip_reroute(struct net_ns *ns, struct pkt *p)
{
	struct net_flow fl = { .dst = p->dstaddr, .src = p->src, .mark = p->mark, .ipproto = p->ipproto, .any_src = true };
	struct dst *d;
	int ret;

	if (p->dst && p->dst->type == NET_RTN_MULTICAST && naddr_is_multicast(&p->dstaddr))
		fl.oif = p->dst->link->index;
	ret = net_route_lookup(ns, &fl, &d);

	if (ret)
		return ret;
	dst_put(p->dst);
	p->dst = d;
	return 0;
}

/* True when nothing looks at single packets: the whole burst goes to the neighbour at once. */
static bool hooks_idle(struct net_ns *ns, bool v6)
{
	return !atomic_load_explicit(&ns->nf->chain[v6][NF_LOCAL_OUT], memory_order_relaxed) &&
	       !atomic_load_explicit(&ns->nf->chain[v6][NF_POST_ROUTING], memory_order_relaxed);
}

static int output_slow(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt *p, const struct ip_tx *tx)
{
	p->dst = dst;
	dst_get(dst);
	if (!nf_pass(ns, NF_LOCAL_OUT, p, NULL, dst->link, sk))
		return -LINUX_EPERM;
	if (unlikely(p->dst->type == NET_RTN_MULTICAST && tx->mc_loop))
		loop_copy(ns, p, true);
	else if (unlikely(p->dst->type == NET_RTN_BROADCAST))
		loop_copy(ns, p, false);
	/* RFC 1112: a TTL of 0 never leaves the machine */
	if (unlikely(naddr_is_multicast(&p->dstaddr) && tx->ttl == 0 && !(p->dst->link->flags & NET_IFF_LOOPBACK))) {
		pkt_free(p);
		return 0;
	}
	return ip_finish_output(ns, p, sk);
}

static int prepare(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt *p, const struct ip_tx *tx, bool v4)
{
	if (tx->hdrincl) {
		p->proto = v4 ? ETH_P_IP : ETH_P_IPV6;
	} else if (!(v4 ? push_ip4(ns, p, tx) : push_ip6(p, tx))) {
		return -LINUX_ENOBUFS;
	}
	p->l3 = (uint16_t)(p->data - p->head);
	p->src = tx->src;
	p->dstaddr = tx->dst;
	p->ipproto = tx->proto;
	p->type = PKT_OUTGOING;
	if (sk) {
		p->mark = sk->mark;
		p->priority = sk->priority;
	}
	if (unlikely(needs_frag(ns, p, dst) && tx->df && !tx->local_frag))
		return -LINUX_EMSGSIZE;
	return 0;
}

int ip_output(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt_list *l, const struct ip_tx *tx)
{
	bool v4 = naddr_is_v4(&tx->dst), fast = hooks_idle(ns, !v4) && dst->type <= NET_RTN_LOCAL;
	struct pkt_list burst = { 0 };
	int ret = 0, r;
	struct pkt *p;

	mib_add(ns, v4 ? MIB_IP_OUT_REQUESTS : MIB_IP6_OUT_REQUESTS, l->nr);
	while ((p = pkt_list_pop(l))) {
		r = prepare(ns, sk, dst, p, tx, v4);
		if (unlikely(r)) {
			net_drop(ns, p, DROP_TOO_BIG);
			ret = r;
		} else if (likely(fast && !needs_frag(ns, p, dst))) {
			pkt_list_add(&burst, p);
		} else {
			r = output_slow(ns, sk, dst, p, tx);
			if (r)
				ret = r;
		}
	}
	if (burst.head)
		neigh_output_list(dst, &burst);
	return ret;
}

int ip_output_one(struct net_ns *ns, struct sock *sk, struct dst *dst, struct pkt *p, const struct ip_tx *tx)
{
	struct pkt_list l = { 0 };

	pkt_list_add(&l, p);
	return ip_output(ns, sk, dst, &l, tx);
}

/* ---- fragmentation ---------------------------------------------------------------------------------- */

static void frag_meta(struct pkt *f, const struct pkt *p)
{
	f->l3 = (uint16_t)(f->data - f->head);
	f->l4 = f->l3;
	f->proto = p->proto;
	f->type = p->type;
	f->ipproto = p->ipproto;
	f->mark = p->mark;
	f->priority = p->priority;
	f->src = p->src;
	f->dstaddr = p->dstaddr;
	f->flags = p->flags;
	f->iif = p->iif;
}

/* RFC 791: options without the copied flag stay with the first fragment only. */
static uint32_t ip4_copied_opts(const uint8_t *h, uint32_t hl, uint8_t *out)
{
	uint32_t n = 0, i = IP4_HLEN;

	while (i < hl) {
		uint8_t o = h[i], len;

		if (o == 0)
			break;
		if (o == 1) {
			i++;
			continue;
		}
		if (i + 1 >= hl)
			break;
		len = h[i + 1];
		if (len < 2 || i + len > hl)
			break;
		if (o & 0x80) {
			memcpy(out + n, h + i, len);
			n += len;
		}
		i += len;
	}
	while (n % 4)
		out[n++] = 0;
	return n;
}

static int frag4(struct pkt *p, uint32_t mtu, struct pkt_list *out)
{
	uint32_t hl = (p->data[0] & 15u) * 4u, off = 0, total = p->len - hl;
	uint16_t flags = rd16(p->data + 6);
	uint8_t hdr[60], opts[44];
	uint32_t nopts = ip4_copied_opts(p->data, hl, opts);

	if (mtu < hl + 8)
		return -LINUX_EMSGSIZE;
	memcpy(hdr, p->data, hl);
	while (off < total) {
		uint32_t room = (mtu - hl) & ~7u, n = MIN(room, total - off);
		struct pkt *f = pkt_slice(p, (p->data[0] & 15u) * 4u + off, n, PKT_HEADROOM);
		uint8_t *h;

		if (!f)
			return -LINUX_ENOMEM;
		h = pkt_push(f, hl);
		memcpy(h, hdr, hl);
		h[0] = (uint8_t)(0x40 | hl / 4);
		wr16(h + 2, (uint16_t)f->len);
		wr16(h + 6, (uint16_t)(((flags & IP4_OFFMASK) + off / 8) |
				       ((off + n < total) || (flags & IP4_MF) ? IP4_MF : 0) | (flags & IP4_DF)));
		ip4_set_csum(h);
		frag_meta(f, p);
		pkt_list_add(out, f);
		if (off == 0) {
			hl = IP4_HLEN + nopts;
			memcpy(hdr + IP4_HLEN, opts, nopts);
		}
		off += n;
	}
	return 0;
}

/* RFC 8200 section 4.5: everything up to routing and hop-by-hop headers is repeated in each fragment. */
static int frag6(struct net_ns *ns, struct pkt *p, uint32_t mtu, struct pkt_list *out)
{
	uint32_t hl = IP6_HLEN, off = 0, total, id = atomic_fetch_add(&ns->ip_id, 1) * 0x9e3779b1u, prev = 6;
	uint8_t hdr[256], next = p->data[6];

	while (next == IPPROTO6_HOPOPTS || next == IPPROTO6_ROUTING) {
		if (!pkt_may_pull(p, hl + 8))
			return -LINUX_EMSGSIZE;
		prev = hl;
		next = p->data[hl];
		hl += (p->data[hl + 1] + 1u) * 8u;
		if (hl > sizeof(hdr) || !pkt_may_pull(p, hl))
			return -LINUX_EMSGSIZE;
	}
	if (mtu < hl + 16)
		return -LINUX_EMSGSIZE;
	memcpy(hdr, p->data, hl);
	hdr[prev] = IPPROTO6_FRAGMENT;
	total = p->len - hl;
	while (off < total) {
		uint32_t room = (mtu - hl - 8) & ~7u, n = MIN(room, total - off);
		struct pkt *f = pkt_slice(p, hl + off, n, PKT_HEADROOM + hl);
		uint8_t *h;

		if (!f)
			return -LINUX_ENOMEM;
		h = pkt_push(f, hl + 8);
		memcpy(h, hdr, hl);
		wr16(h + 4, (uint16_t)(f->len - IP6_HLEN));
		h += hl;
		h[0] = next;
		h[1] = 0;
		wr16(h + 2, (uint16_t)(off | (off + n < total)));
		wr32(h + 4, id);
		frag_meta(f, p);
		pkt_list_add(out, f);
		off += n;
	}
	return 0;
}

int ip_fragment(struct net_ns *ns, struct pkt *p, uint32_t mtu, struct pkt_list *out)
{
	bool v4 = p->data[0] >> 4 == 4;
	int ret = v4 ? frag4(p, mtu, out) : frag6(ns, p, mtu, out);

	if (ret)
		pkt_list_free(out);
	pkt_free(p);
	return ret;
}
