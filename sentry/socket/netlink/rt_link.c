/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_link.c - NETLINK_ROUTE: links, shown
 *
 * Source:  rtnetlink(7), netdevice(7), linux/if_link.h; operational states of RFC 2863.
 */
#include "sentry/socket/netlink/rtnl.h"

#define EXT_FILTER_SKIP_STATS 8

enum { OPER_UNKNOWN = 0, OPER_DOWN = 2, OPER_LOWERLAYERDOWN = 3, OPER_UP = 6 };

struct link_stats64 {
	uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes, rx_errors, tx_errors, rx_dropped, tx_dropped, multicast, collisions;
	uint64_t rx_detail[6], tx_detail[5], rx_compressed, tx_compressed, rx_nohandler;
};
struct link_map {
	uint64_t mem_start, mem_end, base_addr;
	uint16_t irq;
	uint8_t dma, port, pad[4];
};

static uint8_t operstate(const struct net_link *l, uint32_t flags)
{
	if (flags & NET_IFF_LOOPBACK || !strcmp(l->ops->kind, "dummy"))
		return flags & NET_IFF_UP || flags & NET_IFF_LOOPBACK ? OPER_UNKNOWN : OPER_DOWN;
	if (flags & NET_IFF_LOWER_UP)
		return OPER_UP;
	return flags & NET_IFF_UP ? OPER_LOWERLAYERDOWN : OPER_DOWN;
}

#define GET(f) atomic_load_explicit(&((struct net_link *)l)->stats.f, memory_order_relaxed)
static void put_stats(struct buf *b, const struct net_link *l)
{
	struct link_stats64 s = { GET(rx_packets), GET(tx_packets), GET(rx_bytes), GET(tx_bytes), GET(rx_errors), GET(tx_errors),
				  GET(rx_dropped), GET(tx_dropped), GET(multicast), 0, { 0 }, { 0 }, 0, 0, 0 };
	uint32_t s32[sizeof(s) / 8];

	for (unsigned i = 0; i < ARRAY_SIZE(s32); i++)
		s32[i] = (uint32_t)((uint64_t *)&s)[i];
	nla_put(b, IFLA_STATS64, &s, sizeof(s));
	nla_put(b, IFLA_STATS, s32, sizeof(s32));
}
#undef GET

void rt_fill_link(struct buf *b, const struct net_link *l, uint32_t ext_mask, uint32_t change)
{
	uint32_t flags = net_link_shown_flags(l);
	struct rt_ifinfo ii = { .type = l->hwtype, .index = (int32_t)l->index, .flags = flags, .change = change };
	struct link_map map = { 0 };
	uint8_t state = operstate(l, flags);
	size_t nest;

	nlb_body(b, &ii);
	nla_put_str(b, IFLA_IFNAME, l->name);
	nla_put_u32(b, IFLA_TXQLEN, l->txqlen);
	nla_put_u8(b, IFLA_OPERSTATE, state);
	nla_put_u8(b, IFLA_LINKMODE, 0);
	nla_put_u32(b, IFLA_MTU, l->mtu);
	nla_put_u32(b, IFLA_MIN_MTU, l->hwtype == NET_ARPHRD_LOOPBACK ? 0 : NET_MTU_MIN);
	nla_put_u32(b, IFLA_MAX_MTU, l->hwtype == NET_ARPHRD_LOOPBACK ? 0 : NET_MTU_MAX);
	nla_put_u32(b, IFLA_GROUP, 0);
	nla_put_u32(b, IFLA_PROMISCUITY, l->promisc);
	nla_put_u32(b, IFLA_NUM_TX_QUEUES, 1);
	nla_put_u32(b, IFLA_GSO_MAX_SEGS, 65535);
	nla_put_u32(b, IFLA_GSO_MAX_SIZE, 65536);
	nla_put_u32(b, IFLA_NUM_RX_QUEUES, 1);
	if (l->peer_index)
		nla_put_u32(b, IFLA_LINK, l->peer_index);
	if (l->master)
		nla_put_u32(b, IFLA_MASTER, l->master->index);
	nla_put_u8(b, IFLA_CARRIER, (flags & NET_IFF_LOWER_UP) != 0);
	nla_put_str(b, IFLA_QDISC, "noqueue");
	if (l->alias[0])
		nla_put_str(b, IFLA_IFALIAS, l->alias);
	nla_put_u32(b, IFLA_CARRIER_CHANGES, 0);
	nla_put_u8(b, IFLA_PROTO_DOWN, 0);
	nla_put(b, IFLA_MAP, &map, sizeof(map));
	nla_put(b, IFLA_ADDRESS, l->mac, 6);
	nla_put(b, IFLA_BROADCAST, l->bcast, 6);
	if (!(ext_mask & EXT_FILTER_SKIP_STATS))
		put_stats(b, l);
	if (strcmp(l->ops->kind, "loopback") && strcmp(l->ops->kind, "nic")) {
		nest = nla_nest(b, IFLA_LINKINFO);
		nla_put_str(b, IFLA_INFO_KIND, l->ops->kind);
		nla_nest_end(b, nest);
	}
}

struct dump {
	struct nl_req *r;
	struct buf b;
	uint32_t ext_mask, master;
	char kind[16];
};

static int dump_one(struct net_link *l, void *arg)
{
	struct dump *d = arg;
	size_t at;

	if ((d->master && (!l->master || l->master->index != d->master)) || (d->kind[0] && strcmp(d->kind, l->ops->kind)))
		return 0;
	at = nl_answer(d->r, &d->b, RTM_NEWLINK, 0);
	rt_fill_link(&d->b, l, d->ext_mask, 0);
	nlb_end(&d->b, at);
	return 0;
}

long rt_dump_link(struct nl_req *r)
{
	struct nla tb[IFLA_TABLE_MAX + 1], info[IFLA_INFO_DATA + 1];
	struct dump d = { .r = r };
	struct rt_ifinfo ii;
	long ret = rt_parse(r, &ii, sizeof(ii), tb, IFLA_TABLE_MAX);

	if (ret)
		return ret;
	if (!nla_get_u32(&tb[IFLA_EXT_MASK], &d.ext_mask) || !nla_get_u32(&tb[IFLA_MASTER], &d.master) ||
	    nla_parse(nla_cursor(&tb[IFLA_LINKINFO]), info, IFLA_INFO_DATA) ||
	    !nla_get_str(&info[IFLA_INFO_KIND], d.kind, sizeof(d.kind)))
		return -LINUX_EINVAL;
	/* bridge ports and multicast entries are asked for in the same way, with another family */
	if (ii.family != LINUX_AF_UNSPEC && ii.family != LINUX_AF_PACKET && ii.family != LINUX_AF_INET && ii.family != LINUX_AF_INET6)
		return -LINUX_EOPNOTSUPP;
	net_link_each(r->ns, dump_one, &d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}

long rt_get_link(struct nl_req *r)
{
	struct nla tb[IFLA_TABLE_MAX + 1];
	char name[NET_IFNAMSIZ] = "";
	uint32_t ext_mask = 0;
	struct rt_ifinfo ii;
	struct net_link *l;
	struct buf b = { 0 };
	size_t at;
	long ret = rt_parse(r, &ii, sizeof(ii), tb, IFLA_TABLE_MAX);

	if (ret)
		return ret;
	if (!nla_get_str(&tb[nla_has(&tb[IFLA_IFNAME]) ? IFLA_IFNAME : IFLA_ALT_IFNAME], name, sizeof(name)) ||
	    !nla_get_u32(&tb[IFLA_EXT_MASK], &ext_mask) || ii.index < 0)
		return -LINUX_EINVAL;
	if (!ii.index && !name[0])
		return nl_why(r, -LINUX_EINVAL, "No valid identifier for a link");
	l = ii.index ? net_link_by_index(r->ns, (uint32_t)ii.index) : net_link_by_name(r->ns, name);
	if (!l)
		return -LINUX_ENODEV;
	at = nl_answer(r, &b, RTM_NEWLINK, 0);
	rt_fill_link(&b, l, ext_mask, 0);
	nlb_end(&b, at);
	net_link_put(l);
	return nl_reply(r, &b);
}
