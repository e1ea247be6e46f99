/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/mcast.c - multicast membership of links; IGMPv2/v3 and MLDv1/v2 reports
 *
 * Model:   a link's list of groups with a user count each. Joining reports twice, queries are answered after a random
 *          delay. Reports are version 3 (IGMP) and 2 (MLD) "exclude nothing" records unless an older querier was
 *          heard. Source filters are kept by endpoints, not by links.
 * Locks:   link->mc_mu.
 * Source:  RFC 2236, RFC 3376, RFC 2710, RFC 3810.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/sock.h"

#define MC_MAX_GROUPS 1024 /* per link */

static struct mcast_entry *find_locked(struct net_link *l, const struct naddr *g)
{
	struct mcast_entry *e;

	list_for_each_entry(e, &l->groups, node)
		if (naddr_eq(&e->group, g))
			return e;
	return NULL;
}

bool net_mcast_member(struct net_link *link, const struct naddr *g)
{
	bool yes;

	mutex_lock(&link->mc_mu);
	yes = find_locked(link, g) != NULL;
	mutex_unlock(&link->mc_mu);
	return yes;
}

static bool quiet(struct net_link *l, const struct naddr *g)
{
	if ((l->flags & NET_IFF_LOOPBACK) || !l->hwlen || !net_link_up(l))
		return true;
	if (naddr_is_v4(g)) /* RFC 2236 section 6: 224.0.0.1 is never reported */
		return g->b[12] == 224 && !g->b[13] && !g->b[14] && g->b[15] == 1;
	return (g->b[1] & 15) < 2 || (g->d[1] == 0x0100000000000000ull && (g->b[1] & 15) == 2);
}

static void igmp_report(struct net_link *l, const struct naddr *g, bool leave)
{
	static const uint8_t ra[4] = { 148, 4, 0, 0 }; /* RFC 2113 router alert */
	struct ip_tx tx = { .proto = NET_IPPROTO_IGMP, .ttl = 1, .tos = 0xc0, .opts = ra, .opts_len = 4, .df = true };
	struct pkt *p = pkt_alloc(PKT_HEADROOM, 16);
	struct dst *d;
	uint16_t c;
	uint8_t *h;

	if (!p)
		return;
	tx.dst = naddr_from_v4(net_htonl(0xe0000016)); /* RFC 3376 section 4.2.14 */
	tx.src = NADDR_ANY4;
	net_addr_select(l, &tx.dst, &tx.src);
	h = pkt_put(p, 16);
	memset(h, 0, 16);
	h[0] = 0x22;
	wr16(h + 6, 1);
	h[8] = leave ? 3 : 4; /* change to include nothing / exclude nothing */
	memcpy(h + 12, &g->w[3], 4);
	c = (uint16_t)~csum_fold(csum_add_bytes(h, 16, 0));
	memcpy(h + 2, &c, 2);
	p->csum = PKT_CSUM_OK;
	p->l4 = (uint16_t)(p->data - p->head);
	bh_enter();
	d = dst_make(l, &tx.dst, &tx.src, NET_RTN_MULTICAST);
	if (d)
		ip_output_one(l->ns, NULL, d, p, &tx);
	else
		pkt_free(p);
	dst_put(d);
	bh_leave();
}

static void mld_report(struct net_link *l, const struct naddr *g, bool leave)
{
	static const struct naddr to = { .b = { 0xff, 2, [15] = 0x16 } };
	struct naddr src = NADDR_ANY6;
	uint8_t b[28] = { ICMP6_MLD2_REPORT };

	net_addr_select(l, &to, &src);
	if (!naddr_is_linklocal6(&src))
		src = NADDR_ANY6;
	wr16(b + 6, 1);
	b[8] = leave ? 3 : 4;
	memcpy(b + 12, g->b, 16);
	icmp6_tx(l, &src, &to, b, 28, 1, NULL, true);
}

static void report(struct net_link *l, const struct naddr *g, bool leave)
{
	if (quiet(l, g))
		return;
	if (naddr_is_v4(g))
		igmp_report(l, g, leave);
	else
		mld_report(l, g, leave);
}

static void mc_timer(struct net_timer *t)
{
	struct net_link *l = container_of(t, struct net_link, mc_timer);
	uint64_t now = net_now(l->stack), next = NET_NEVER;
	struct naddr due[16];
	unsigned n = 0;
	struct mcast_entry *e;

	mutex_lock(&l->mc_mu);
	list_for_each_entry(e, &l->groups, node) {
		if (!e->reports_left)
			continue;
		if (e->report_at_ns <= now && n < ARRAY_SIZE(due)) {
			due[n++] = e->group;
			e->report_at_ns = --e->reports_left ? now + NET_SEC : NET_NEVER;
		}
		if (e->reports_left && e->report_at_ns < next)
			next = e->report_at_ns;
	}
	mutex_unlock(&l->mc_mu);
	for (unsigned i = 0; i < n; i++)
		report(l, &due[i], false);
	if (next == NET_NEVER || !net_timer_arm(l->stack, t, MAX(next, now + NET_MSEC)))
		net_link_put(l);
}

static void mc_timer_kick(struct net_link *l, uint64_t when)
{
	net_link_get(l);
	l->mc_timer.fn = mc_timer;
	if (!net_timer_arm(l->stack, &l->mc_timer, when))
		net_link_put(l);
}

int net_mcast_join(struct net_link *link, const struct naddr *g)
{
	struct mcast_entry *e;
	unsigned n = 0;
	bool fresh = false;
	int ret = 0;

	if (!naddr_is_multicast(g))
		return -LINUX_EINVAL;
	mutex_lock(&link->mc_mu);
	e = find_locked(link, g);
	if (!e) {
		struct mcast_entry *o;

		list_for_each_entry(o, &link->groups, node)
			n++;
		e = n < MC_MAX_GROUPS ? calloc(1, sizeof(*e)) : NULL;
		if (e) {
			e->group = *g;
			e->reports_left = quiet(link, g) ? 0 : 1;
			e->report_at_ns = net_now(link->stack) + NET_SEC;
			list_add_tail(&link->groups, &e->node);
			fresh = true;
		} else {
			ret = -LINUX_ENOBUFS;
		}
	}
	if (e)
		e->users++;
	mutex_unlock(&link->mc_mu);
	if (fresh && !quiet(link, g)) {
		report(link, g, false);
		mc_timer_kick(link, net_now(link->stack) + NET_SEC);
		net_notify(link->ns, NET_EV_MDB, link);
	}
	return ret;
}

int net_mcast_leave(struct net_link *link, const struct naddr *g)
{
	struct mcast_entry *e;
	bool gone = false;

	mutex_lock(&link->mc_mu);
	e = find_locked(link, g);
	if (e && --e->users == 0) {
		list_del_init(&e->node);
		gone = true;
	}
	mutex_unlock(&link->mc_mu);
	if (!e)
		return -LINUX_EADDRNOTAVAIL;
	if (gone) {
		free(e);
		report(link, g, true);
	}
	return 0;
}

void net_mcast_link_gone(struct net_link *link)
{
	struct mcast_entry *e, *tmp;

	if (net_timer_cancel(link->stack, &link->mc_timer))
		net_link_put(link);
	mutex_lock(&link->mc_mu);
	list_for_each_entry_safe(e, tmp, &link->groups, node) {
		list_del_init(&e->node);
		free(e);
	}
	mutex_unlock(&link->mc_mu);
}

/* A querier asks: schedule answers for all groups or one. */
static void query(struct net_link *l, const struct naddr *g, bool v4, uint32_t max_ms)
{
	uint64_t now = net_now(l->stack), when = NET_NEVER;
	struct mcast_entry *e;

	mutex_lock(&l->mc_mu);
	list_for_each_entry(e, &l->groups, node) {
		if (naddr_is_v4(&e->group) != v4 || (!naddr_is_any(g) && !naddr_eq(g, &e->group)) ||
		    quiet(l, &e->group))
			continue;
		e->reports_left = 1;
		e->report_at_ns = now + (net_random32() % MAX(max_ms, 1u)) * NET_MSEC;
		when = MIN(when, e->report_at_ns);
	}
	mutex_unlock(&l->mc_mu);
	if (when != NET_NEVER)
		mc_timer_kick(l, when);
}

static void igmp_rx(struct net_ns *ns, struct pkt *p)
{
	struct naddr g;
	uint32_t v;

	if (!pkt_may_pull(p, 8) || (uint16_t)pkt_csum_range(p, 0, p->len, 0) != 0xffff || !p->link) {
		net_drop(ns, p, DROP_MALFORMED);
		return;
	}
	if (p->data[0] == 0x11) {
		memcpy(&v, p->data + 4, 4);
		g = naddr_from_v4(v);
		query(p->link, &g, true, (p->data[1] ? p->data[1] : 100u) * 100u);
	}
	net_drop(ns, p, DROP_CONSUMED);
}

void mld_rx(struct net_ns *ns, struct pkt *p, uint8_t type)
{
	struct naddr g;

	(void)ns;
	if (type != ICMP6_MLD_QUERY || !p->link || !naddr_is_linklocal6(&p->src) || p->ttl_tos[0] != 1 ||
	    !pkt_may_pull(p, 24))
		return;
	g = naddr_from_bytes6(p->data + 8);
	query(p->link, &g, false, rd16(p->data + 4));
}

const struct ip_proto igmp_proto = { .rx = igmp_rx, .v4 = true };
