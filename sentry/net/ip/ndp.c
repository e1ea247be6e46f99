/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ndp.c - IPv6 neighbour discovery: solicitations, advertisements, routers, redirects
 *
 * Source:  RFC 4861 sections 7.1, 7.2 (neighbours), 6.1.2, 6.3.4 (router advertisements), 8 (redirects);
 *          RFC 4862 section 5.5.3 (addresses from prefixes).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

struct ndp_opts {
	const uint8_t *sll, *tll, *prefix[4];
	unsigned nr_prefix;
	uint32_t mtu;
};

/* RFC 4861 section 4.6: type, length in units of 8; a zero length voids the packet. */
static bool parse_opts(const struct pkt *p, uint32_t off, struct ndp_opts *o)
{
	uint32_t len = pkt_linear(p);

	memset(o, 0, sizeof(*o));
	while (off + 8 <= len) {
		const uint8_t *h = p->data + off;
		uint32_t n = h[1] * 8u;

		if (!n || off + n > len)
			return false;
		switch (h[0]) {
		case 1:
			o->sll = h + 2;
			break;
		case 2:
			o->tll = h + 2;
			break;
		case 3:
			if (n >= 32 && o->nr_prefix < ARRAY_SIZE(o->prefix))
				o->prefix[o->nr_prefix++] = h;
			break;
		case 5:
			o->mtu = rd32(h + 4);
			break;
		}
		off += n;
	}
	return true;
}

static struct naddr solicited_node(const struct naddr *a)
{
	struct naddr m = { .b = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff } };

	memcpy(m.b + 13, a->b + 13, 3);
	return m;
}

void ndp_solicit(struct net_link *link, const struct naddr *target, const uint8_t *dst_mac, const struct naddr *src)
{
	struct naddr dst = dst_mac ? *target : solicited_node(target);
	uint8_t b[32] = { ICMP6_NS };
	uint32_t len = 24;

	memcpy(b + 8, target->b, 16);
	if (!naddr_is_any(src)) {
		b[24] = 1;
		b[25] = 1;
		memcpy(b + 26, link->mac, 6);
		len = 32;
	}
	icmp6_tx(link, src, &dst, b, len, 255, dst_mac, false);
}

void ndp_send_rs(struct net_link *link)
{
	static const struct naddr all_routers = { .b = { 0xff, 2, [15] = 2 } };
	uint8_t b[16] = { ICMP6_RS };
	struct naddr src;

	if (!net_addr_select(link, &all_routers, &src))
		return;
	b[8] = 1;
	b[9] = 1;
	memcpy(b + 10, link->mac, 6);
	icmp6_tx(link, &src, &all_routers, b, 16, 255, NULL, false);
}

static void send_na(struct net_link *link, const struct naddr *target, const struct naddr *to, const uint8_t *mac,
		    bool solicited)
{
	static const struct naddr all_nodes = { .b = { 0xff, 2, [15] = 1 } };
	uint8_t b[32] = { ICMP6_NA };

	b[4] = (uint8_t)((link->conf.v6_forwarding ? 0x80 : 0) | (solicited ? 0x40 : 0) | 0x20);
	memcpy(b + 8, target->b, 16);
	b[24] = 2;
	b[25] = 1;
	memcpy(b + 26, link->mac, 6);
	icmp6_tx(link, target, solicited ? to : &all_nodes, b, 32, 255, mac, false);
}

static bool tentative(struct net_link *link, const struct naddr *a, bool fail)
{
	struct net_ifaddr *i;
	bool hit = false;

	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(i, &link->addrs, link_node)
		if (naddr_eq(&i->addr, a) && (i->flags & NET_IFA_F_TENTATIVE)) {
			hit = true;
			if (fail)
				i->flags |= NET_IFA_F_DADFAILED;
		}
	mutex_unlock(&link->ns->cfg_mu);
	return hit;
}

static void ns_rx(struct net_link *link, struct pkt *p)
{
	struct naddr target = naddr_from_bytes6(p->data + 8);
	struct ndp_opts o;

	if (p->len < 24 || naddr_is_multicast(&target) || !parse_opts(p, 24, &o))
		return;
	if (tentative(link, &target, naddr_is_any(&p->src)))
		return; /* somebody else is trying the same address: DAD fails; other solicitations wait */
	if (!net_addr_on_link(link, &target))
		return;
	if (naddr_is_any(&p->src)) {
		send_na(link, &target, NULL, NULL, false);
		return;
	}
	if (o.sll)
		neigh_learn(link, &p->src, o.sll, NET_NUD_STALE, true, true, -1);
	send_na(link, &target, &p->src, o.sll, true);
}

static void na_rx(struct net_link *link, struct pkt *p)
{
	struct naddr target = naddr_from_bytes6(p->data + 8);
	struct ndp_opts o;
	uint8_t f;

	if (p->len < 24 || naddr_is_multicast(&target) || !parse_opts(p, 24, &o))
		return;
	f = p->data[4];
	if (naddr_is_multicast(&p->dstaddr) && (f & 0x40))
		return;
	if (tentative(link, &target, true) || net_addr_on_link(link, &target))
		return;
	if (o.tll)
		neigh_learn(link, &target, o.tll, (f & 0x40) ? NET_NUD_REACHABLE : NET_NUD_STALE, f & 0x20, false,
			    (f & 0x80) != 0);
}

/* RFC 4862 section 5.5.3: an address from an advertised prefix. */
static void autoconf(struct net_link *link, const uint8_t *h)
{
	struct net_ifaddr_param a = { .addr = naddr_from_bytes6(h + 16), .plen = 64 };
	uint32_t valid = rd32(h + 4), pref = rd32(h + 8);

	if (!(h[3] & 0x40) || h[2] != 64 || pref > valid || !valid || !link->conf.v6_autoconf ||
	    naddr_is_linklocal6(&a.addr) || naddr_is_multicast(&a.addr))
		return;
	memcpy(a.addr.b + 8, link->mac, 3);
	a.addr.b[8] ^= 2;
	a.addr.b[11] = 0xff;
	a.addr.b[12] = 0xfe;
	memcpy(a.addr.b + 13, link->mac + 3, 3);
	a.valid_lft_s = valid;
	a.preferred_lft_s = pref;
	net_addr_add(link, &a);
}

static void ra_rx(struct net_link *link, struct pkt *p)
{
	struct net_route_param r = { .family = NET_AF_INET6, .type = NET_RTN_UNICAST, .protocol = 9, .nr_hops = 1,
				     .metric = 1024 };
	struct ndp_opts o;

	if (p->len < 16 || !naddr_is_linklocal6(&p->src) || !link->conf.v6_accept_ra || link->conf.v6_forwarding ||
	    !parse_opts(p, 16, &o))
		return;
	if (o.sll)
		neigh_learn(link, &p->src, o.sll, NET_NUD_STALE, true, true, 1);
	r.hops[0].oif = link->index;
	r.hops[0].gw = p->src;
	r.hops[0].weight = 1;
	if (rd16(p->data + 6))
		net_route_add(link->ns, &r, NET_RT_CREATE);
	else
		net_route_del(link->ns, &r);
	if (p->data[4])
		link->conf.v6_hop_limit = p->data[4];
	for (unsigned i = 0; i < o.nr_prefix; i++)
		autoconf(link, o.prefix[i]);
}

static void redirect_rx(struct net_link *link, struct pkt *p)
{
	struct naddr target, dst;

	if (p->len < 40 || !naddr_is_linklocal6(&p->src) || !link->conf.accept_redirects || link->conf.v6_forwarding)
		return;
	target = naddr_from_bytes6(p->data + 8);
	dst = naddr_from_bytes6(p->data + 24);
	if (!naddr_is_multicast(&dst) && (naddr_is_linklocal6(&target) || naddr_eq(&target, &dst)))
		net_redirect(link->ns, &dst, &target, link);
}

void ndp_rx(struct net_ns *ns, struct pkt *p, uint8_t type)
{
	struct net_link *link = p->link;

	(void)ns;
	/* RFC 4861 section 7.1: hop limit 255 proves that the sender is on this link */
	if (!link || p->ttl_tos[0] != 255 || p->data[1] != 0 || !link->hwlen)
		return;
	pkt_may_pull(p, MIN(p->len, (uint32_t)PKT_LINEAR_MIN));
	if (pkt_linear(p) < MIN(p->len, 24u))
		return;
	switch (type) {
	case ICMP6_NS:
		ns_rx(link, p);
		break;
	case ICMP6_NA:
		na_rx(link, p);
		break;
	case ICMP6_RA:
		ra_rx(link, p);
		break;
	case ICMP6_REDIRECT:
		redirect_rx(link, p);
		break;
	}
}
