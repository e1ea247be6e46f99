/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_link.c - /proc/net: links, addresses, routes, neighbours, groups
 *
 * Source:  proc(5); field widths as Linux prints them.
 */
#include "sentry/fs/proc/net_files.h"

#define RTF_UP	    0x0001
#define RTF_GATEWAY 0x0002
#define RTF_HOST    0x0004
#define RTF_REJECT  0x0200
#define RTF_LOCAL   0x80000000u

static void put_hex(struct buf *out, const struct naddr *a)
{
	for (int i = 0; i < 16; i++)
		buf_printf(out, "%02x", a->b[i]);
}

#define GET(f) ((unsigned long long)atomic_load_explicit(&l->stats.f, memory_order_relaxed))
static int dev_one(struct net_link *l, void *arg)
{
	buf_printf(arg, "%6s: %7llu %7llu %4llu %4llu %4d %5d %10d %9llu %8llu %7llu %4llu %4llu %4d %5d %7d %10d\n", l->name, GET(rx_bytes),
		   GET(rx_packets), GET(rx_errors), GET(rx_dropped), 0, 0, 0, GET(multicast), GET(tx_bytes), GET(tx_packets), GET(tx_errors),
		   GET(tx_dropped), 0, 0, 0, 0);
	return 0;
}
#undef GET

NET_SHOW(dev)
{
	buf_printf(out, "Inter-|   Receive                                                |  Transmit\n"
			" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed\n");
	net_link_each(ns->stack, dev_one, out);
}

static int inet6_one(struct net_ifaddr *a, void *arg)
{
	/* scopes of IPv6 as Linux numbers them here */
	unsigned scope = naddr_is_loopback(&a->addr) ? 0x10 : naddr_is_linklocal6(&a->addr) ? 0x20 : 0;

	if (naddr_is_v4(&a->addr))
		return 0;
	put_hex(arg, &a->addr);
	buf_printf(arg, " %02x %02x %02x %02x %8s\n", a->link->index, a->plen, scope, a->flags & 0xff, a->link->name);
	return 0;
}

NET_SHOW(if_inet6)
{
	net_addr_each(ns->stack, inet6_one, out);
}

/* ---- routes -------------------------------------------------------------------------------------------------------- */

struct routes {
	struct buf v;	/* of struct net_route_param: names are looked up when the tables are not locked any more */
	uint8_t family;
};

static int route_one(const struct net_route *r, void *arg)
{
	struct routes *x = arg;
	bool shown = r->p.family == NET_AF_INET ? r->p.table == NET_RT_TABLE_MAIN :
						  r->p.table == NET_RT_TABLE_MAIN || r->p.table == NET_RT_TABLE_LOCAL;

	if (r->p.family == x->family && shown)
		buf_append(&x->v, &r->p, sizeof(r->p));
	return x->v.failed;
}

static void link_name(struct net_ns *ns, uint32_t index, char out[NET_IFNAMSIZ])
{
	struct net_link *l = index ? net_link_by_index(ns, index) : NULL;

	strcpy(out, "*");
	if (l) {
		memcpy(out, l->name, NET_IFNAMSIZ);
		net_link_put(l);
	}
}

static int by_prefix(const void *x, const void *y)
{
	const struct net_route_param *a = x, *b = y;
	int c = memcmp(a->dst.b, b->dst.b, sizeof(a->dst.b));

	return c ? c : a->dst_len != b->dst_len ? a->dst_len - b->dst_len : (a->metric > b->metric) - (a->metric < b->metric);
}

static void each_route(struct net_ns *ns, uint8_t family, struct buf *out,
		       void (*line)(struct net_ns *, const struct net_route_param *, struct buf *))
{
	struct routes x = { .family = family };
	struct net_route_param *v;
	size_t n;

	net_route_each(ns, route_one, &x);
	v = (struct net_route_param *)(void *)x.v.data;
	n = x.v.len / sizeof(*v);
	out->failed |= x.v.failed;
	if (n)
		qsort(v, n, sizeof(*v), by_prefix);
	for (size_t i = 0; i < n; i++)
		line(ns, &v[i], out);
	buf_fini(&x.v);
}

static unsigned route_flags(const struct net_route_param *p)
{
	bool host = p->dst_len == (p->family == NET_AF_INET ? 32 : 128);

	return RTF_UP | (p->nr_hops && !naddr_is_any(&p->hops[0].gw) ? RTF_GATEWAY : 0) | (host ? RTF_HOST : 0) |
	       (p->type == NET_RTN_UNREACHABLE || p->type == NET_RTN_PROHIBIT ? RTF_REJECT : 0) |
	       (p->family == NET_AF_INET6 && p->type == NET_RTN_LOCAL ? RTF_LOCAL : 0);
}

static void route_line(struct net_ns *ns, const struct net_route_param *p, struct buf *out)
{
	uint32_t mask = p->dst_len ? net_htonl(~0u << (32 - p->dst_len)) : 0;
	size_t start = out->len;
	char dev[NET_IFNAMSIZ];

	if (p->type == NET_RTN_BROADCAST || p->type == NET_RTN_MULTICAST)
		return;
	link_name(ns, p->nr_hops ? p->hops[0].oif : 0, dev);
	buf_printf(out, "%s\t%08X\t%08X\t%04X\t%d\t%u\t%u\t%08X\t%d\t%u\t%u", dev, naddr_v4(&p->dst),
		   p->nr_hops ? naddr_v4(&p->hops[0].gw) : 0, route_flags(p), 0, 0, p->metric, mask, p->advmss ? p->advmss + 40 : 0, 0, 0);
	proc_net_pad(out, start, 127);
}

NET_SHOW(route)
{
	size_t start = out->len;

	buf_printf(out, "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT");
	proc_net_pad(out, start, 127);
	each_route(ns->stack, NET_AF_INET, out, route_line);
}

static void route6_line(struct net_ns *ns, const struct net_route_param *p, struct buf *out)
{
	const struct naddr any = NADDR_ANY6;
	char dev[NET_IFNAMSIZ];

	link_name(ns, p->nr_hops ? p->hops[0].oif : 0, dev);
	put_hex(out, &p->dst);
	buf_printf(out, " %02x ", p->dst_len);
	put_hex(out, &any);
	buf_printf(out, " 00 ");
	put_hex(out, p->nr_hops && !naddr_is_any(&p->hops[0].gw) ? &p->hops[0].gw : &any);
	buf_printf(out, " %08x %08x %08x %08x %8s\n", p->metric, 1, 0, route_flags(p), dev);
}

NET_SHOW(ipv6_route)
{
	each_route(ns->stack, NET_AF_INET6, out, route6_line);
}

/* ---- neighbours and groups -------------------------------------------------------------------------------------------- */

#define ATF_COM	 2
#define ATF_PERM 4

static int arp_one(struct neigh *n, void *arg)
{
	unsigned flags = (n->state & NET_NUD_VALID ? ATF_COM : 0) | (n->state & NET_NUD_PERMANENT ? ATF_PERM : 0);
	char addr[NADDR_STRLEN];
	const uint8_t *m = n->mac;

	if (!naddr_is_v4(&n->addr) || (n->state & NET_NUD_NOARP))
		return 0;
	buf_printf(arg, "%-16s 0x%-10x0x%-10x%02x:%02x:%02x:%02x:%02x:%02x     *        %s\n", naddr_str(&n->addr, addr), n->link->hwtype,
		   flags, m[0], m[1], m[2], m[3], m[4], m[5], n->link->name);
	return 0;
}

NET_SHOW(arp)
{
	buf_printf(out, "IP address       HW type     Flags       HW address            Mask     Device\n");
	net_neigh_each(ns->stack, arp_one, out);
}

static int igmp_one(struct net_link *l, void *arg)
{
	struct mcast_entry *e;
	unsigned n = 0;

	mutex_lock(&l->mc_mu);
	list_for_each_entry(e, &l->groups, node)
		n += naddr_is_v4(&e->group);
	if (n)
		buf_printf(arg, "%d\t%-10s: %5d %7s\n", l->index, l->name, n, "V3");
	list_for_each_entry(e, &l->groups, node)
		if (naddr_is_v4(&e->group))
			buf_printf(arg, "\t\t\t\t%08X %5d %d:%08X\t\t%d\n", naddr_v4(&e->group), e->users, e->state != 0, 0, 0);
	mutex_unlock(&l->mc_mu);
	return 0;
}

NET_SHOW(igmp)
{
	buf_printf(out, "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n");
	net_link_each(ns->stack, igmp_one, out);
}

static int igmp6_one(struct net_link *l, void *arg)
{
	struct mcast_entry *e;

	mutex_lock(&l->mc_mu);
	list_for_each_entry(e, &l->groups, node)
		if (!naddr_is_v4(&e->group)) {
			buf_printf(arg, "%-4d %-15s ", l->index, l->name);
			put_hex(arg, &e->group);
			buf_printf(arg, " %5d %08X %d\n", e->users, 0x4, 0);
		}
	mutex_unlock(&l->mc_mu);
	return 0;
}

NET_SHOW(igmp6)
{
	net_link_each(ns->stack, igmp6_one, out);
}

static int mcast_one(struct net_link *l, void *arg)
{
	struct mcast_entry *e;

	if (!l->hwlen)
		return 0;
	mutex_lock(&l->mc_mu);
	list_for_each_entry(e, &l->groups, node) {
		const uint8_t *b = e->group.b;

		/* RFC 1112 section 6.4, RFC 2464 section 7 */
		if (naddr_is_v4(&e->group))
			buf_printf(arg, "%-4d %-15s %-5d %-5d 01005e%02x%02x%02x\n", l->index, l->name, 1, 0, b[13] & 0x7f, b[14], b[15]);
		else
			buf_printf(arg, "%-4d %-15s %-5d %-5d 3333%02x%02x%02x%02x\n", l->index, l->name, 1, 0, b[12], b[13], b[14], b[15]);
	}
	mutex_unlock(&l->mc_mu);
	return 0;
}

NET_SHOW(dev_mcast)
{
	net_link_each(ns->stack, mcast_one, out);
}
