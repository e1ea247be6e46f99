/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/arp.c - address resolution for IPv4 over Ethernet
 *
 * Source:  RFC 826; RFC 5227 section 2.3 (announcement).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

static void arp_tx(struct net_link *link, uint16_t op, const uint8_t *dst_mac, const uint8_t *tha,
		   const struct naddr *spa, const struct naddr *tpa)
{
	struct pkt *p = pkt_alloc(PKT_HEADROOM, ARP_LEN);
	uint32_t s = naddr_v4(spa), t = naddr_v4(tpa);
	uint8_t *h;

	if (!p)
		return;
	h = pkt_put(p, ARP_LEN);
	wr16(h, 1);
	wr16(h + 2, ETH_P_IP);
	h[4] = 6;
	h[5] = 4;
	wr16(h + 6, op);
	memcpy(h + 8, link->mac, 6);
	memcpy(h + 14, &s, 4);
	if (tha)
		memcpy(h + 18, tha, 6);
	else
		memset(h + 18, 0, 6);
	memcpy(h + 24, &t, 4);
	p->l3 = (uint16_t)(p->data - p->head);
	h = pkt_push(p, ETH_HLEN);
	memcpy(h, dst_mac ? dst_mac : link->bcast, 6);
	memcpy(h + 6, link->mac, 6);
	wr16(h + 12, ETH_P_ARP);
	p->l2 = (uint16_t)(h - p->head);
	p->proto = ETH_P_ARP;
	p->csum = PKT_CSUM_OK;
	bh_enter();
	net_link_output_one(link, p);
	bh_leave();
}

void arp_solicit(struct net_link *link, const struct naddr *target, const uint8_t *dst_mac, const struct naddr *src)
{
	arp_tx(link, ARP_REQUEST, dst_mac, dst_mac, src, target);
}

void arp_announce(struct net_link *link, const struct naddr *addr)
{
	arp_tx(link, ARP_REQUEST, NULL, NULL, addr, addr);
}

void arp_rx(struct net_link *link, struct pkt *p)
{
	struct naddr spa, tpa;
	uint8_t sha[6];
	uint32_t v;
	uint16_t op;
	bool ours;

	if (!pkt_may_pull(p, ARP_LEN) || rd16(p->data) != 1 || rd16(p->data + 2) != ETH_P_IP || p->data[4] != 6 ||
	    p->data[5] != 4 || !link->hwlen) {
		net_drop(link->ns, p, DROP_MALFORMED);
		return;
	}
	op = rd16(p->data + 6);
	memcpy(sha, p->data + 8, 6);
	memcpy(&v, p->data + 14, 4);
	spa = naddr_from_v4(v);
	memcpy(&v, p->data + 24, 4);
	tpa = naddr_from_v4(v);
	if ((link->flags & NET_IFF_NOARP) || (sha[0] & 1) || naddr_is_multicast(&tpa) || naddr_is_multicast(&spa)) {
		net_drop(link->ns, p, DROP_MARTIAN);
		return;
	}
	/* arp_ignore 0: any local address is answered for, on whichever link */
	ours = link->conf.arp_ignore ? net_addr_on_link(link, &tpa) : net_addr_is_local(link->ns, &tpa);
	if (naddr_is_loopback(&tpa))
		ours = false;
	if (naddr_is_any(&spa)) { /* RFC 5227 probe: answer if the address is ours */
		if (op == ARP_REQUEST && ours)
			arp_tx(link, ARP_REPLY, sha, sha, &tpa, &spa);
		net_drop(link->ns, p, DROP_CONSUMED);
		return;
	}
	/* RFC 826: update what we know; learn news only when asked ourselves. A claim to one of our own
	 * addresses is not believed. */
	if (!net_addr_is_local(link->ns, &spa))
		neigh_learn(link, &spa, sha, op == ARP_REPLY && ours ? NET_NUD_REACHABLE : NET_NUD_STALE, true,
			    ours && op == ARP_REQUEST, -1);
	if (op == ARP_REQUEST && ours)
		arp_tx(link, ARP_REPLY, sha, sha, &tpa, &spa);
	pkt_free(p);
}
