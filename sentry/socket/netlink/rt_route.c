/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_route.c - NETLINK_ROUTE: routes
 *
 * Source:  rtnetlink(7), ip-route(8).
 */
#include "sentry/socket/netlink/rtnl.h"

#define RTA_DST	      1
#define RTA_SRC	      2
#define RTA_IIF	      3
#define RTA_OIF	      4
#define RTA_GATEWAY   5
#define RTA_PRIORITY  6
#define RTA_PREFSRC   7
#define RTA_METRICS   8
#define RTA_MULTIPATH 9
#define RTA_CACHEINFO 12
#define RTA_TABLE     15
#define RTA_MARK      16
#define RTA_PREF      20
#define RTA_UID	      25
#define RTA_IP_PROTO  27
#define RTA_TABLE_MAX 30

#define RTAX_MTU      2
#define RTAX_RTT      4
#define RTAX_ADVMSS   8
#define RTAX_INITCWND 11
#define RTAX_INITRWND 14
#define RTAX_MAX      17

#define RTM_F_CLONED	   0x200
#define RTM_F_LOOKUP_TABLE 0x1000
#define RT_TABLE_COMPAT	   252
#define METRIC6_USER	   1024 /* of an IPv6 route that names none */

struct rt_nexthop {
	uint16_t len;
	uint8_t flags, hops;
	int32_t index;
};

static bool set(const struct naddr *a)
{
	return !naddr_is_any(a);
}

static uint8_t short_table(uint32_t t)
{
	return t < 256 ? (uint8_t)t : RT_TABLE_COMPAT;
}

static void put_metrics(struct buf *b, const struct net_route_param *p)
{
	const struct {
		uint16_t type;
		uint32_t v;
	} m[] = { { RTAX_MTU, p->mtu }, { RTAX_RTT, p->rtt_ms * 8 }, { RTAX_ADVMSS, p->advmss }, { RTAX_INITCWND, p->initcwnd },
		  { RTAX_INITRWND, p->initrwnd } };
	size_t nest, empty;

	nest = nla_nest(b, RTA_METRICS);
	empty = b->len;
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		if (m[i].v)
			nla_put_u32(b, m[i].type, m[i].v);
	if (b->len == empty)
		b->len = nest;
	else
		nla_nest_end(b, nest);
}

static void put_hops(struct buf *b, const struct net_route_param *p)
{
	size_t nest = nla_nest(b, RTA_MULTIPATH);

	for (unsigned i = 0; i < p->nr_hops; i++) {
		const struct net_nexthop *h = &p->hops[i];
		struct rt_nexthop nh = { .flags = h->flags, .hops = (uint8_t)(h->weight ? h->weight - 1 : 0), .index = (int32_t)h->oif };
		size_t at = b->len;

		nlb_body(b, &nh);
		if (set(&h->gw))
			rt_put_addr(b, RTA_GATEWAY, &h->gw);
		nh.len = (uint16_t)(b->len - at);
		if (!b->failed)
			memcpy(b->data + at, &nh.len, sizeof(nh.len));
	}
	nla_nest_end(b, nest);
}

void rt_fill_route(struct buf *b, const struct net_route_param *p)
{
	struct rt_route rt = { .family = p->family, .dst_len = p->dst_len, .tos = p->tos, .table = short_table(p->table),
			       .protocol = p->protocol, .scope = p->scope, .type = p->type, .flags = p->flags };

	if (p->nr_hops == 1)
		rt.flags |= p->hops[0].flags;
	if (p->family == NET_AF_INET6)
		rt.scope = 0; /* IPv6 has none */
	nlb_body(b, &rt);
	nla_put_u32(b, RTA_TABLE, p->table);
	if (p->dst_len)
		rt_put_addr(b, RTA_DST, &p->dst);
	if (p->metric)
		nla_put_u32(b, RTA_PRIORITY, p->metric);
	if (set(&p->src))
		rt_put_addr(b, RTA_PREFSRC, &p->src);
	put_metrics(b, p);
	if (p->nr_hops == 1) {
		if (set(&p->hops[0].gw))
			rt_put_addr(b, RTA_GATEWAY, &p->hops[0].gw);
		if (p->hops[0].oif)
			nla_put_u32(b, RTA_OIF, p->hops[0].oif);
	} else if (p->nr_hops > 1) {
		put_hops(b, p);
	}
	if (p->family == NET_AF_INET6)
		nla_put_u8(b, RTA_PREF, 0);
}

/* ---- dumps ---------------------------------------------------------------------------------------------------------- */

/* Where the message of a route is, and what orders it: tables as they come, then prefixes as in Linux's tree. */
struct place {
	struct naddr dst;
	uint8_t family, plen;
	uint32_t table, metric;
	size_t at, len;
};

struct dump {
	struct nl_req *r;
	struct buf b;
	struct buf places;	/* of struct place */
	struct rt_route want;
	uint32_t table, oif;
};

static bool wanted(const struct dump *d, const struct net_route_param *p)
{
	bool via = !d->oif;

	for (unsigned i = 0; i < p->nr_hops; i++)
		via |= p->hops[i].oif == d->oif;
	return via && (!d->want.family || d->want.family == p->family) && (!d->table || d->table == p->table) &&
	       (!d->want.protocol || d->want.protocol == p->protocol) && (!d->want.type || d->want.type == p->type);
}

static int dump_one(const struct net_route *rt, void *arg)
{
	struct dump *d = arg;
	struct place pl = { .dst = rt->p.dst, .family = rt->p.family, .plen = rt->p.dst_len, .table = rt->p.table,
			    .metric = rt->p.metric };

	if (!wanted(d, &rt->p))
		return 0;
	pl.at = nl_answer(d->r, &d->b, RTM_NEWROUTE, 0);
	rt_fill_route(&d->b, &rt->p);
	nlb_end(&d->b, pl.at);
	pl.len = d->b.len - pl.at;
	nlb_body(&d->places, &pl);
	return d->b.failed || d->places.failed;
}

static int place_cmp(const void *x, const void *y)
{
	const struct place *a = x, *b = y;
	int c;

	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->table != b->table)
		return a->table < b->table ? -1 : 1;
	if (!a->plen != !b->plen && a->family == NET_AF_INET6)
		return a->plen ? -1 : 1; /* there the default comes last */
	c = memcmp(a->dst.b, b->dst.b, sizeof(a->dst.b));
	if (c)
		return c;
	if (a->plen != b->plen)
		return a->plen < b->plen ? -1 : 1;
	return a->metric < b->metric ? -1 : a->metric > b->metric;
}

/* The dump in order; @d->b is replaced. */
static void sort_routes(struct dump *d)
{
	struct place *v = (struct place *)(void *)d->places.data;
	size_t n = d->places.len / sizeof(*v);
	struct buf out = { 0 };

	if (n)
		qsort(v, n, sizeof(*v), place_cmp);
	for (size_t i = 0; i < n && !d->b.failed; i++)
		buf_append(&out, d->b.data + v[i].at, v[i].len);
	out.failed |= d->b.failed | d->places.failed;
	buf_fini(&d->places);
	buf_fini(&d->b);
	d->b = out;
}

long rt_dump_route(struct nl_req *r)
{
	struct nla tb[RTA_TABLE_MAX + 1];
	struct dump d = { .r = r };
	long ret = rt_parse(r, &d.want, sizeof(d.want), tb, RTA_TABLE_MAX);

	if (ret)
		return ret;
	if (r->nl->strict) {
		d.table = d.want.table;
		if (!nla_get_u32(&tb[RTA_TABLE], &d.table) || !nla_get_u32(&tb[RTA_OIF], &d.oif))
			return -LINUX_EINVAL;
	} else {
		d.want.protocol = d.want.type = 0;
	}
	/* "cached" routes (ip route show cache): there is no such list */
	if (!(d.want.flags & RTM_F_CLONED))
		net_route_each(r->ns, dump_one, &d);
	sort_routes(&d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}

/* ---- which way? -------------------------------------------------------------------------------------------------------- */

static void fill_dst(struct nl_req *r, struct buf *b, const struct dst *d, const struct net_flow *fl, const struct rt_route *q)
{
	uint8_t family = naddr_family(&fl->dst), full = family == NET_AF_INET ? 32 : 128;
	uint32_t table = q->flags & RTM_F_LOOKUP_TABLE ? d->table : NET_RT_TABLE_MAIN;
	struct rt_route rt = { .family = family, .dst_len = full, .tos = fl->tos, .table = short_table(table), .type = d->type,
			       .scope = family == NET_AF_INET ? 0 : d->rt_scope, .flags = RTM_F_CLONED };
	struct {
		uint32_t clntref, lastuse;
		int32_t expires;
		uint32_t error, used, id, ts, tsage;
	} ci = { 0 };

	if (family == NET_AF_INET6) {
		rt.protocol = d->rt_proto;
		rt.flags = 0;
	}
	nlb_body(b, &rt);
	rt_put_addr(b, RTA_DST, &fl->dst);
	nla_put_u32(b, RTA_TABLE, table);
	if (fl->any_src)
		rt_put_addr(b, RTA_SRC, &fl->src);
	if (d->link)
		nla_put_u32(b, RTA_OIF, d->link->index);
	if (set(&d->src))
		rt_put_addr(b, RTA_PREFSRC, &d->src);
	if (d->gateway)
		rt_put_addr(b, RTA_GATEWAY, &d->nexthop);
	if (family == NET_AF_INET6) {
		nla_put_u32(b, RTA_PRIORITY, d->metric);
		nla_put_u8(b, RTA_PREF, 0);
	} else {
		nla_put_u32(b, RTA_UID, r->t->cred->uid);
	}
	if (d->mtu_locked || (d->link && d->mtu != d->link->mtu)) {
		size_t nest = nla_nest(b, RTA_METRICS);

		nla_put_u32(b, RTAX_MTU, d->mtu);
		nla_nest_end(b, nest);
	}
	nla_put(b, RTA_CACHEINFO, &ci, sizeof(ci));
}

long rt_get_route(struct nl_req *r)
{
	struct nla tb[RTA_TABLE_MAX + 1];
	struct net_flow fl = { 0 };
	struct buf b = { 0 };
	struct rt_route q;
	struct dst *d;
	size_t at;
	long ret = rt_parse(r, &q, sizeof(q), tb, RTA_TABLE_MAX);

	if (ret)
		return ret;
	if (q.family != NET_AF_INET && q.family != NET_AF_INET6)
		return -LINUX_EOPNOTSUPP;
	fl.dst = fl.src = q.family == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	fl.tos = q.tos;
	if (!rt_get_addr(&tb[RTA_DST], q.family, &fl.dst) || !rt_get_addr(&tb[RTA_SRC], q.family, &fl.src) ||
	    !nla_get_u32(&tb[RTA_OIF], &fl.oif) || !nla_get_u32(&tb[RTA_IIF], &fl.iif) || !nla_get_u32(&tb[RTA_MARK], &fl.mark) ||
	    !nla_get_u8(&tb[RTA_IP_PROTO], &fl.ipproto))
		return -LINUX_EINVAL;
	fl.any_src = fl.iif != 0;
	ret = net_route_lookup(r->ns, &fl, &d);
	if (ret)
		return ret;
	at = nl_answer(r, &b, RTM_NEWROUTE, 0);
	fill_dst(r, &b, d, &fl, &q);
	nlb_end(&b, at);
	dst_put(d);
	return nl_reply(r, &b);
}

/* ---- changes ------------------------------------------------------------------------------------------------------------ */

static bool get_metrics(const struct nla *a, struct net_route_param *p)
{
	struct nla tb[RTAX_MAX + 1];
	uint32_t rtt = 0;

	if (nla_parse(nla_cursor(a), tb, RTAX_MAX) || !nla_get_u32(&tb[RTAX_MTU], &p->mtu) ||
	    !nla_get_u32(&tb[RTAX_ADVMSS], &p->advmss) || !nla_get_u32(&tb[RTAX_RTT], &rtt) ||
	    !nla_get_u32(&tb[RTAX_INITCWND], &p->initcwnd) || !nla_get_u32(&tb[RTAX_INITRWND], &p->initrwnd))
		return false;
	p->rtt_ms = rtt / 8;
	return true;
}

static long get_hops(struct nl_req *r, const struct nla *a, struct net_route_param *p)
{
	struct cursor c = nla_cursor(a);

	while (cursor_left(&c) >= sizeof(struct rt_nexthop)) {
		struct nla tb[RTA_GATEWAY + 1];
		struct net_nexthop *h;
		struct rt_nexthop nh;
		const uint8_t *rest;

		memcpy(&nh, get_bytes(&c, sizeof(nh)), sizeof(nh));
		rest = nh.len >= sizeof(nh) ? get_bytes(&c, nh.len - sizeof(nh)) : NULL;
		if (!rest || p->nr_hops == NET_RT_MAX_HOPS)
			return nl_why(r, -LINUX_EINVAL, "Invalid nexthops");
		h = &p->hops[p->nr_hops++];
		*h = (struct net_nexthop){ .oif = (uint32_t)nh.index, .weight = (uint8_t)MIN(nh.hops + 1, 255), .flags = nh.flags & 4 };
		if (nla_parse(cursor_make(rest, nh.len - sizeof(nh)), tb, RTA_GATEWAY) ||
		    !rt_get_addr(&tb[RTA_GATEWAY], p->family, &h->gw))
			return -LINUX_EINVAL;
		get_bytes(&c, MIN(LINUX_NL_ALIGN(nh.len) - nh.len, cursor_left(&c)));
	}
	return p->nr_hops ? 0 : -LINUX_EINVAL;
}

static long parse(struct nl_req *r, struct net_route_param *p)
{
	struct nla tb[RTA_TABLE_MAX + 1];
	struct net_nexthop hop = { .weight = 1 };
	struct rt_route rt;
	long ret = rt_parse(r, &rt, sizeof(rt), tb, RTA_TABLE_MAX);

	if (ret)
		return ret;
	if (rt.family != NET_AF_INET && rt.family != NET_AF_INET6)
		return -LINUX_EOPNOTSUPP;
	*p = (struct net_route_param){ .family = rt.family, .dst_len = rt.dst_len, .tos = rt.tos, .table = rt.table, .scope = rt.scope,
				       .type = rt.type, .protocol = rt.protocol };
	p->dst = rt.family == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	hop.flags = rt.flags & 4;
	if (!rt_get_addr(&tb[RTA_DST], rt.family, &p->dst) || !rt_get_addr(&tb[RTA_PREFSRC], rt.family, &p->src) ||
	    !rt_get_addr(&tb[RTA_GATEWAY], rt.family, &hop.gw) || !nla_get_u32(&tb[RTA_OIF], &hop.oif) ||
	    !nla_get_u32(&tb[RTA_PRIORITY], &p->metric) || !nla_get_u32(&tb[RTA_TABLE], &p->table) || !get_metrics(&tb[RTA_METRICS], p))
		return -LINUX_EINVAL;
	if (rt.dst_len > (rt.family == NET_AF_INET ? 32 : 128) || (rt.dst_len && !nla_has(&tb[RTA_DST])))
		return nl_why(r, -LINUX_EINVAL, "Invalid prefix length");
	if (rt.src_len)
		return nl_why(r, -LINUX_EOPNOTSUPP, "Routes by source address are made with rules");
	if (!p->table)
		p->table = NET_RT_TABLE_MAIN;
	if (nla_has(&tb[RTA_MULTIPATH]))
		return get_hops(r, &tb[RTA_MULTIPATH], p);
	if (hop.oif || set(&hop.gw)) {
		p->hops[0] = hop;
		p->nr_hops = 1;
	}
	return 0;
}

long rt_new_route(struct nl_req *r)
{
	struct net_route_param p;
	unsigned how = 0;
	long ret = parse(r, &p);

	if (ret)
		return ret;
	if (!p.type)
		p.type = NET_RTN_UNICAST;
	if (!p.metric && p.family == NET_AF_INET6)
		p.metric = METRIC6_USER;
	if (r->h.flags & LINUX_NLM_F_REPLACE)
		how |= NET_RT_REPLACE;
	if (r->h.flags & LINUX_NLM_F_EXCL)
		how |= NET_RT_EXCL;
	if (r->h.flags & LINUX_NLM_F_CREATE)
		how |= NET_RT_CREATE;
	if (r->h.flags & LINUX_NLM_F_APPEND)
		how |= NET_RT_APPEND;
	ret = net_route_add(r->ns, &p, how);
	return ret == -LINUX_ENETUNREACH ? nl_why(r, ret, "Nexthop has invalid gateway") : ret;
}

long rt_del_route(struct nl_req *r)
{
	struct net_route_param p;
	long ret = parse(r, &p);

	if (ret)
		return ret;
	if (p.scope == NET_SCOPE_NOWHERE)
		p.scope = 0;
	return net_route_del(r->ns, &p);
}
