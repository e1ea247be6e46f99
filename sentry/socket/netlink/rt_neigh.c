/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_neigh.c - NETLINK_ROUTE: neighbours
 *
 * Source:  rtnetlink(7), ip-neighbour(8).
 */
#include "sentry/socket/netlink/rtnl.h"

#define NDA_DST	      1
#define NDA_LLADDR    2
#define NDA_CACHEINFO 3
#define NDA_PROBES    4
#define NDA_IFINDEX   8
#define NDA_MASTER    9
#define NDA_TABLE_MAX 9
#define NTF_PROXY     8

struct nda_cacheinfo {
	uint32_t confirmed_cs, used_cs, updated_cs, refcnt; /* cs: hundredths of a second ago */
};

static uint32_t ago_cs(uint64_t now, uint64_t then)
{
	return now > then ? (uint32_t)((now - then) / (NET_SEC / 100)) : 0;
}

void rt_fill_neigh(struct buf *b, struct neigh *n)
{
	uint64_t now = net_now(n->link->stack);
	struct nda_cacheinfo ci = { ago_cs(now, n->confirmed_ns), ago_cs(now, n->used_ns), ago_cs(now, n->updated_ns), 1 };
	struct rt_neigh nd = { .family = naddr_family(&n->addr), .index = (int32_t)n->link->index, .state = n->state,
			       .flags = n->flags, .type = NET_RTN_UNICAST };

	nlb_body(b, &nd);
	rt_put_addr(b, NDA_DST, &n->addr);
	if (nd.state & NET_NUD_VALID)
		nla_put(b, NDA_LLADDR, n->mac, 6);
	nla_put_u32(b, NDA_PROBES, n->probes);
	nla_put(b, NDA_CACHEINFO, &ci, sizeof(ci));
}

struct dump {
	struct nl_req *r;
	struct buf b;
	uint8_t family;
	uint32_t index;
	const struct naddr *only;
	bool found;
};

static int dump_one(struct neigh *n, void *arg)
{
	struct dump *d = arg;
	size_t at;

	if (!rt_family_is(d->family, &n->addr) || (d->index && n->link->index != d->index) ||
	    (d->only && !naddr_eq(d->only, &n->addr)))
		return 0;
	at = nl_answer(d->r, &d->b, RTM_NEWNEIGH, 0);
	rt_fill_neigh(&d->b, n);
	nlb_end(&d->b, at);
	d->found = true;
	return d->only != NULL;
}

long rt_dump_neigh(struct nl_req *r)
{
	struct nla tb[NDA_TABLE_MAX + 1];
	struct dump d = { .r = r };
	struct rt_neigh nd;
	long ret = rt_parse(r, &nd, sizeof(nd), tb, NDA_TABLE_MAX);

	if (ret)
		return ret;
	if (!nla_get_u32(&tb[NDA_IFINDEX], &d.index))
		return -LINUX_EINVAL;
	d.family = nd.family;
	/* proxies: none; forwarding entries of bridges (PF_BRIDGE): not shown */
	if (!(nd.flags & NTF_PROXY) && (!nd.family || nd.family == NET_AF_INET || nd.family == NET_AF_INET6))
		net_neigh_each(r->ns, dump_one, &d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}

static long parse(struct nl_req *r, struct rt_neigh *nd, struct nla *tb, struct naddr *addr)
{
	long ret = rt_parse(r, nd, sizeof(*nd), tb, NDA_TABLE_MAX);

	if (ret)
		return ret;
	if (nd->family != NET_AF_INET && nd->family != NET_AF_INET6)
		return -LINUX_EOPNOTSUPP;
	if (!nla_has(&tb[NDA_DST]))
		return nl_why(r, -LINUX_EINVAL, "Network address not specified");
	if (!rt_get_addr(&tb[NDA_DST], nd->family, addr))
		return nl_why(r, -LINUX_EINVAL, "Invalid network address");
	return 0;
}

long rt_get_neigh(struct nl_req *r)
{
	struct nla tb[NDA_TABLE_MAX + 1];
	struct naddr addr;
	struct dump d = { .r = r, .only = &addr };
	struct rt_neigh nd;
	long ret = parse(r, &nd, tb, &addr);

	if (ret)
		return ret;
	d.index = (uint32_t)nd.index;
	net_neigh_each(r->ns, dump_one, &d);
	if (d.found)
		return nl_reply(r, &d.b);
	buf_fini(&d.b);
	return nl_why(r, -LINUX_ENOENT, "Neighbour entry not found");
}

static long with_link(struct nl_req *r, long (*fn)(struct nl_req *, struct net_link *, const struct rt_neigh *, const struct nla *,
						   const struct naddr *))
{
	struct nla tb[NDA_TABLE_MAX + 1];
	struct net_link *l;
	struct rt_neigh nd;
	struct naddr addr;
	long ret = parse(r, &nd, tb, &addr);

	if (ret)
		return ret;
	l = net_link_by_index(r->ns, (uint32_t)nd.index);
	if (!l)
		return -LINUX_ENODEV;
	ret = fn(r, l, &nd, tb, &addr);
	net_link_put(l);
	return ret;
}

static int is_there(struct neigh *n, void *arg)
{
	struct dump *d = arg;

	return n->link->index == d->index && naddr_eq(&n->addr, d->only);
}

static long new_one(struct nl_req *r, struct net_link *l, const struct rt_neigh *nd, const struct nla *tb, const struct naddr *addr)
{
	struct dump d = { .index = l->index, .only = addr };
	bool there = net_neigh_each(r->ns, is_there, &d);

	if (there && (r->h.flags & LINUX_NLM_F_EXCL))
		return -LINUX_EEXIST;
	if (!there && !(r->h.flags & LINUX_NLM_F_CREATE))
		return -LINUX_ENOENT;
	if (nd->flags & NTF_PROXY)
		return -LINUX_EOPNOTSUPP;
	if (nla_has(&tb[NDA_LLADDR]) ? tb[NDA_LLADDR].len < 6 : !there)
		return nl_why(r, -LINUX_EINVAL, "Invalid link address");
	return net_neigh_set(l, addr, nla_has(&tb[NDA_LLADDR]) ? tb[NDA_LLADDR].p : NULL, (uint8_t)nd->state, nd->flags);
}

static long del_one(struct nl_req *r, struct net_link *l, const struct rt_neigh *nd, const struct nla *tb, const struct naddr *addr)
{
	return net_neigh_del(l, addr);
}

long rt_new_neigh(struct nl_req *r)
{
	return with_link(r, new_one);
}

long rt_del_neigh(struct nl_req *r)
{
	return with_link(r, del_one);
}
