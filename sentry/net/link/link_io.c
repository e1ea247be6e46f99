/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_io.c - packets through links: link headers, taps, software offload
 *
 * Source:  IEEE 802.3; RFC 894, RFC 2464 (IP over Ethernet).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

/* Ethernet: type of the frame by destination; data moves to the network header. False: malformed. */
static bool eth_pull(struct net_link *link, struct pkt *p)
{
	const uint8_t *h;

	if (!pkt_may_pull(p, ETH_HLEN))
		return false;
	h = p->data;
	p->l2 = (uint16_t)(h - p->head);
	p->proto = rd16(h + 12);
	memcpy(p->src_mac, h + 6, 6);
	if (h[0] & 1)
		p->type = memcmp(h, link->bcast, 6) ? PKT_MULTICAST : PKT_BROADCAST;
	else
		p->type = memcmp(h, link->mac, 6) ? PKT_OTHERHOST : PKT_HOST;
	pkt_pull(p, ETH_HLEN);
	return true;
}

static void rx_dispatch(struct net_link *link, struct pkt *p)
{
	p->l3 = (uint16_t)(p->data - p->head);
	if (p->type == PKT_OTHERHOST) {
		net_drop(link->ns, p, DROP_NOT_OURS);
		return;
	}
	switch (p->proto) {
	case ETH_P_IP:
		ip4_rx(link, p);
		break;
	case ETH_P_IPV6:
		ip6_rx(link, p);
		break;
	case ETH_P_ARP:
		arp_rx(link, p);
		break;
	default:
		net_drop(link->ns, p, DROP_NO_PROTO);
	}
}

void net_link_rx_one(struct net_link *link, struct pkt *p)
{
	p->link = link;
	p->iif = link->index;
	if (unlikely(p->flags & PKT_F_LOOPED)) { /* our own multicast: network header, no link header */
		rx_dispatch(link, p);
		return;
	}
	if (unlikely(!net_link_up(link))) {
		atomic_fetch_add_explicit(&link->stats.rx_dropped, 1, memory_order_relaxed);
		net_drop(link->ns, p, DROP_LINK_DOWN);
		return;
	}
	link_count_rx(link, MAX(1u, (uint32_t)p->gso_segs), p->len);
	if (link->hwlen && !eth_pull(link, p)) {
		atomic_fetch_add_explicit(&link->stats.rx_errors, 1, memory_order_relaxed);
		net_drop(link->ns, p, DROP_MALFORMED);
		return;
	}
	if (unlikely(atomic_load_explicit(&link->nr_taps, memory_order_relaxed)))
		packet_tap(link, p, false);
	if (link->rx_handler && link->rx_handler(link, p))
		return;
	rx_dispatch(link, p);
}

void net_link_rx(struct net_link *link, struct pkt_list *l)
{
	struct pkt *p;

	bh_enter();
	while ((p = pkt_list_pop(l))) {
		net_link_rx_one(link, p);
		bh_run(); /* replies through veth or loopback, in the order of their causes */
	}
	bh_leave();
}

/* What this link cannot do itself is done here. */
static bool tx_needs_help(struct net_link *link, const struct pkt *p)
{
	if (p->gso_size && p->len > p->gso_size) {
		uint32_t f = p->gso == PKT_GSO_TCP4 ? NET_LINK_TSO4 : p->gso == PKT_GSO_TCP6 ? NET_LINK_TSO6 : 0;

		if (!(link->features & f))
			return true;
	}
	return p->csum == PKT_CSUM_PARTIAL && !(link->features & NET_LINK_CSUM);
}

static void tx_help(struct net_link *link, struct pkt *p, struct pkt_list *out)
{
	uint32_t hl = (uint32_t)(pkt_l3(p) - p->data), f;
	struct pkt_list segs = { 0 };

	f = p->gso == PKT_GSO_TCP4 ? NET_LINK_TSO4 : p->gso == PKT_GSO_TCP6 ? NET_LINK_TSO6 : 0;
	if (p->gso_size && p->len > p->gso_size && !(link->features & f)) {
		pkt_pull(p, hl);
		if (pkt_gso_segment(p, &segs)) {
			atomic_fetch_add_explicit(&link->stats.tx_dropped, 1, memory_order_relaxed);
			return;
		}
		for (struct pkt *s = segs.head; s; s = s->next) {
			s->data -= hl; /* the link header was copied with the headroom */
			s->len += hl;
		}
		segs.bytes += (uint64_t)segs.nr * hl;
	} else {
		pkt_list_add(&segs, p);
	}
	if (!(link->features & NET_LINK_CSUM))
		for (struct pkt *s = segs.head; s; s = s->next)
			pkt_csum_complete(s);
	pkt_list_join(out, &segs);
}

void net_link_output(struct net_link *link, struct pkt_list *l)
{
	bool help = false, taps = atomic_load_explicit(&link->nr_taps, memory_order_relaxed);
	struct pkt_list out = { 0 };
	struct pkt *p;

	if (unlikely(!net_link_up(link))) {
		atomic_fetch_add_explicit(&link->stats.tx_dropped, l->nr, memory_order_relaxed);
		net_drop_count(link->ns, DROP_LINK_DOWN);
		pkt_list_free(l);
		return;
	}
	for (p = l->head; p; p = p->next) {
		p->link = link;
		if (unlikely(taps))
			packet_tap(link, p, true);
		help |= tx_needs_help(link, p);
	}
	if (unlikely(help)) {
		while ((p = pkt_list_pop(l))) {
			if (tx_needs_help(link, p))
				tx_help(link, p, &out);
			else
				pkt_list_add(&out, p);
		}
		l = &out;
	}
	link_count_tx(link, l->nr, l->bytes);
	link->ops->xmit(link, l);
}

void net_link_output_one(struct net_link *link, struct pkt *p)
{
	struct pkt_list l = { 0 };

	pkt_list_add(&l, p);
	net_link_output(link, &l);
}

/* ---- loopback ------------------------------------------------------------------------------------------ */

/* Output is input: dst and conntrack references made for sending do not survive the crossing; checksums are not
 * computed, and offload segments stay whole. */
static void lo_xmit(struct net_link *link, struct pkt_list *l)
{
	for (struct pkt *p = l->head; p; p = p->next) {
		if (p->dst) {
			dst_put(p->dst);
			p->dst = NULL;
		}
		p->type = PKT_HOST;
		p->proto = p->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	}
	bh_queue_rx(link, l);
}

static int lo_del(struct net_link *link)
{
	(void)link;
	return -LINUX_EOPNOTSUPP;
}

static const struct net_link_ops lo_ops = { .kind = "loopback", .xmit = lo_xmit, .del = lo_del };

int net_link_new_loopback(struct net_ns *ns, struct net_link **out)
{
	struct net_link_param p = { .name = "lo", .index = 1, .mtu = 65536 };
	struct net_link *l = net_link_alloc(ns, &lo_ops, 0);
	int ret;

	if (!l)
		return -LINUX_ENOMEM;
	l->hwtype = NET_ARPHRD_LOOPBACK;
	atomic_store(&l->flags, NET_IFF_LOOPBACK);
	l->features = NET_LINK_CSUM | NET_LINK_TSO4 | NET_LINK_TSO6 | NET_LINK_RXOK;
	l->gso_max = 65535;
	ns->next_index = 1;
	ret = net_link_register(l, &p, "lo");
	if (ret) {
		net_link_put(l);
		return ret;
	}
	*out = l;
	return 0;
}
