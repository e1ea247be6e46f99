/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_notify.c - NETLINK_ROUTE: telling the members of groups what changed
 *
 * Locks:   called with locks of the stack held: builds the message and queues it, no more. Nothing is built for nobody.
 */
#include "sentry/socket/netlink/nfnl.h"
#include "sentry/socket/netlink/rtnl.h"

static void fill_link(struct buf *b, void *obj)
{
	rt_fill_link(b, obj, 0, 0);
}

static void fill_addr(struct buf *b, void *obj)
{
	rt_fill_addr(b, obj);
}

static void fill_route(struct buf *b, void *obj)
{
	rt_fill_route(b, &((struct net_route *)obj)->p);
}

static void fill_neigh(struct buf *b, void *obj)
{
	rt_fill_neigh(b, obj);
}

static void fill_rule(struct buf *b, void *obj)
{
	rt_fill_rule(b, obj);
}

static uint8_t link_family(const void *obj)
{
	return 0;
}

static uint8_t addr_family(const void *obj)
{
	return naddr_family(&((const struct net_ifaddr *)obj)->addr);
}

static uint8_t route_family(const void *obj)
{
	return ((const struct net_route *)obj)->p.family;
}

static uint8_t rule_family(const void *obj)
{
	return ((const struct net_rule *)obj)->family;
}

static const struct notify_row {
	uint16_t type;
	uint8_t group4, group6;
	uint8_t (*family)(const void *obj);
	void (*fill)(struct buf *b, void *obj);
} rows[] = {
	[NET_EV_LINK_NEW] = { RTM_NEWLINK, RTNLGRP_LINK, RTNLGRP_LINK, link_family, fill_link },
	[NET_EV_LINK_DEL] = { RTM_DELLINK, RTNLGRP_LINK, RTNLGRP_LINK, link_family, fill_link },
	[NET_EV_ADDR_NEW] = { RTM_NEWADDR, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, addr_family, fill_addr },
	[NET_EV_ADDR_DEL] = { RTM_DELADDR, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR, addr_family, fill_addr },
	[NET_EV_ROUTE_NEW] = { RTM_NEWROUTE, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, route_family, fill_route },
	[NET_EV_ROUTE_DEL] = { RTM_DELROUTE, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, route_family, fill_route },
	[NET_EV_NEIGH_NEW] = { RTM_NEWNEIGH, RTNLGRP_NEIGH, RTNLGRP_NEIGH, link_family, fill_neigh },
	[NET_EV_NEIGH_DEL] = { RTM_DELNEIGH, RTNLGRP_NEIGH, RTNLGRP_NEIGH, link_family, fill_neigh },
	[NET_EV_RULE_NEW] = { RTM_NEWRULE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, rule_family, fill_rule },
	[NET_EV_RULE_DEL] = { RTM_DELRULE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE, rule_family, fill_rule },
};

static void on_change(struct net_ns *ns, enum net_event ev, void *obj, void *ctx)
{
	const struct notify_row *row = ev < ARRAY_SIZE(rows) ? &rows[ev] : NULL;
	struct buf b = { 0 };
	unsigned group;
	size_t at;

	if (ev == NET_EV_CT_NEW || ev == NET_EV_CT_DESTROY)
		ctnl_event(ns, obj, ev == NET_EV_CT_DESTROY);
	if (!row || !row->fill)
		return;
	group = row->family(obj) == NET_AF_INET6 ? row->group6 : row->group4;
	if (!nl_has_listeners(ns, LINUX_NETLINK_ROUTE, group))
		return;
	at = nlb_begin(&b, row->type, 0, 0, 0);
	row->fill(&b, obj);
	nlb_end(&b, at);
	if (!b.failed)
		nl_multicast(ns, LINUX_NETLINK_ROUTE, group, b.data, b.len);
	buf_fini(&b);
}

void netlink_ns_init(struct net_ns *ns)
{
	ns->notify.ctx = NULL;
	ns->notify.fn = on_change;
}
