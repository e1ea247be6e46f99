/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_rule.c - NETLINK_ROUTE: policy rules
 *
 * Source:  rtnetlink(7), ip-rule(8), linux/fib_rules.h.
 */
#include "sentry/socket/netlink/rtnl.h"

#define FRA_DST	       1
#define FRA_SRC	       2
#define FRA_IIFNAME    3
#define FRA_PRIORITY   6
#define FRA_FWMARK     10
#define FRA_SUPPRESS_PREFIXLEN 14
#define FRA_TABLE      15
#define FRA_FWMASK     16
#define FRA_OIFNAME    17
#define FRA_PROTOCOL   21
#define FRA_IP_PROTO   22
#define FRA_SPORT_RANGE 23
#define FRA_DPORT_RANGE 24
#define FRA_TABLE_MAX  24
#define FIB_RULE_INVERT 2
#define FR_ACT_TO_TBL  1
#define FR_ACT_MAX     8

struct port_range {
	uint16_t min, max;
};

void rt_fill_rule(struct buf *b, const struct net_rule *n)
{
	struct rt_rule h = { .family = n->family, .dst_len = n->dst_len, .src_len = n->src_len, .tos = n->tos,
			     .table = n->table < 256 ? (uint8_t)n->table : 252, .action = n->action,
			     .flags = n->invert ? FIB_RULE_INVERT : 0 };
	struct port_range sp = { n->sport_min, n->sport_max }, dp = { n->dport_min, n->dport_max };

	nlb_body(b, &h);
	nla_put_u32(b, FRA_TABLE, n->table);
	nla_put_u32(b, FRA_SUPPRESS_PREFIXLEN, UINT32_MAX);
	nla_put_u8(b, FRA_PROTOCOL, n->protocol);
	if (n->iifname[0])
		nla_put_str(b, FRA_IIFNAME, n->iifname);
	if (n->oifname[0])
		nla_put_str(b, FRA_OIFNAME, n->oifname);
	if (n->priority)
		nla_put_u32(b, FRA_PRIORITY, n->priority);
	if (n->fwmark || n->fwmask) {
		nla_put_u32(b, FRA_FWMARK, n->fwmark);
		nla_put_u32(b, FRA_FWMASK, n->fwmask);
	}
	if (n->ipproto)
		nla_put_u8(b, FRA_IP_PROTO, n->ipproto);
	if (sp.max)
		nla_put(b, FRA_SPORT_RANGE, &sp, sizeof(sp));
	if (dp.max)
		nla_put(b, FRA_DPORT_RANGE, &dp, sizeof(dp));
	if (n->src_len)
		rt_put_addr(b, FRA_SRC, &n->src);
	if (n->dst_len)
		rt_put_addr(b, FRA_DST, &n->dst);
}

struct dump {
	struct nl_req *r;
	struct buf b;
	uint8_t family;
};

static int dump_one(const struct net_rule *n, void *arg)
{
	struct dump *d = arg;
	size_t at;

	if (d->family && d->family != n->family)
		return 0;
	at = nl_answer(d->r, &d->b, RTM_NEWRULE, 0);
	rt_fill_rule(&d->b, n);
	nlb_end(&d->b, at);
	return 0;
}

long rt_dump_rule(struct nl_req *r)
{
	struct nla tb[FRA_TABLE_MAX + 1];
	struct dump d = { .r = r };
	struct rt_rule h;
	long ret = rt_parse(r, &h, sizeof(h), tb, FRA_TABLE_MAX);

	if (ret)
		return ret;
	d.family = h.family;
	net_rule_each(r->ns, dump_one, &d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}

static long parse(struct nl_req *r, struct net_rule *n)
{
	struct port_range sp = { 0 }, dp = { 0 };
	struct nla tb[FRA_TABLE_MAX + 1];
	struct rt_rule h;
	long ret = rt_parse(r, &h, sizeof(h), tb, FRA_TABLE_MAX);

	if (ret)
		return ret;
	if (h.family != NET_AF_INET && h.family != NET_AF_INET6)
		return -LINUX_EAFNOSUPPORT;
	*n = (struct net_rule){ .family = h.family, .action = h.action, .table = h.table, .src_len = h.src_len, .dst_len = h.dst_len,
				.tos = h.tos, .invert = (h.flags & FIB_RULE_INVERT) != 0 };
	if (!rt_get_addr(&tb[FRA_SRC], h.family, &n->src) || !rt_get_addr(&tb[FRA_DST], h.family, &n->dst) ||
	    !nla_get_str(&tb[FRA_IIFNAME], n->iifname, sizeof(n->iifname)) ||
	    !nla_get_str(&tb[FRA_OIFNAME], n->oifname, sizeof(n->oifname)) || !nla_get_u32(&tb[FRA_PRIORITY], &n->priority) ||
	    !nla_get_u32(&tb[FRA_FWMARK], &n->fwmark) || !nla_get_u32(&tb[FRA_TABLE], &n->table) ||
	    !nla_get_u8(&tb[FRA_PROTOCOL], &n->protocol) || !nla_get_u8(&tb[FRA_IP_PROTO], &n->ipproto) ||
	    !nla_get(&tb[FRA_SPORT_RANGE], &sp, sizeof(sp)) || !nla_get(&tb[FRA_DPORT_RANGE], &dp, sizeof(dp)))
		return -LINUX_EINVAL;
	n->fwmask = nla_has(&tb[FRA_FWMARK]) ? UINT32_MAX : 0;
	if (!nla_get_u32(&tb[FRA_FWMASK], &n->fwmask))
		return -LINUX_EINVAL;
	if (h.src_len > (h.family == NET_AF_INET ? 32 : 128) || h.dst_len > (h.family == NET_AF_INET ? 32 : 128) ||
	    (h.src_len && !nla_has(&tb[FRA_SRC])) || (h.dst_len && !nla_has(&tb[FRA_DST])) || sp.min > sp.max || dp.min > dp.max)
		return -LINUX_EINVAL;
	n->sport_min = sp.min;
	n->sport_max = sp.max;
	n->dport_min = dp.min;
	n->dport_max = dp.max;
	return 0;
}

static uint32_t index_of(struct net_ns *ns, const char *name)
{
	struct net_link *l = name[0] ? net_link_by_name(ns, name) : NULL;
	uint32_t index = l ? l->index : 0;

	if (l)
		net_link_put(l);
	return index;
}

long rt_new_rule(struct nl_req *r)
{
	struct net_rule n;
	long ret = parse(r, &n);

	if (ret)
		return ret;
	if (n.action == 0 || n.action > FR_ACT_MAX)
		return -LINUX_EINVAL;
	if (n.action != FR_ACT_TO_TBL && n.action < 6)
		return -LINUX_EOPNOTSUPP; /* goto, nop */
	if (n.action == FR_ACT_TO_TBL && !n.table)
		n.table = NET_RT_TABLE_MAIN;
	n.iif = index_of(r->ns, n.iifname);
	n.oif = index_of(r->ns, n.oifname);
	return net_rule_add(r->ns, &n);
}

long rt_del_rule(struct nl_req *r)
{
	struct net_rule n;
	long ret = parse(r, &n);

	return ret ? ret : net_rule_del(r->ns, &n);
}
