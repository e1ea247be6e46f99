/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_addr.c - NETLINK_ROUTE: addresses of links
 *
 * Source:  rtnetlink(7), ip-address(8).
 */
#include "sentry/socket/netlink/rtnl.h"

#define IFA_ADDRESS	1
#define IFA_LOCAL	2
#define IFA_LABEL	3
#define IFA_BROADCAST	4
#define IFA_CACHEINFO	6
#define IFA_FLAGS	8
#define IFA_RT_PRIORITY 9
#define IFA_PROTO	11
#define IFA_TABLE_MAX	11

struct ifa_cacheinfo {
	uint32_t preferred_s, valid_s, created_cs, updated_cs; /* cs: hundredths of a second since boot */
};

static bool set(const struct naddr *a)
{
	return !naddr_is_any(a);
}

static uint32_t left_s(uint32_t lft_s, uint64_t age_s)
{
	if (lft_s == UINT32_MAX)
		return lft_s;
	return age_s >= lft_s ? 0 : lft_s - (uint32_t)age_s;
}

void rt_fill_addr(struct buf *b, const struct net_ifaddr *a)
{
	uint64_t now = net_now(a->link->stack), age_s = now > a->updated_ns ? (now - a->updated_ns) / NET_SEC : 0;
	struct rt_ifaddr ia = { .family = naddr_family(&a->addr), .plen = a->plen, .flags = (uint8_t)a->flags, .scope = a->scope,
				.index = a->link->index };
	struct ifa_cacheinfo ci = { left_s(a->preferred_lft_s, age_s), left_s(a->valid_lft_s, age_s),
				    (uint32_t)(a->created_ns / (NET_SEC / 100)), (uint32_t)(a->updated_ns / (NET_SEC / 100)) };
	bool v4 = ia.family == NET_AF_INET;

	nlb_body(b, &ia);
	rt_put_addr(b, IFA_ADDRESS, set(&a->peer) ? &a->peer : &a->addr);
	if (v4 || set(&a->peer))
		rt_put_addr(b, IFA_LOCAL, &a->addr);
	if (v4 && set(&a->bcast))
		rt_put_addr(b, IFA_BROADCAST, &a->bcast);
	if (v4)
		nla_put_str(b, IFA_LABEL, a->label[0] ? a->label : a->link->name);
	nla_put_u32(b, IFA_FLAGS, a->flags);
	if (a->rt_priority)
		nla_put_u32(b, IFA_RT_PRIORITY, a->rt_priority);
	if (a->proto)
		nla_put_u8(b, IFA_PROTO, a->proto);
	nla_put(b, IFA_CACHEINFO, &ci, sizeof(ci));
}

struct dump {
	struct nl_req *r;
	struct buf b;
	uint8_t family;
	uint32_t index;
};

static int dump_one(struct net_ifaddr *a, void *arg)
{
	struct dump *d = arg;
	size_t at;

	if (!rt_family_is(d->family, &a->addr) || (d->index && a->link->index != d->index))
		return 0;
	at = nl_answer(d->r, &d->b, RTM_NEWADDR, 0);
	rt_fill_addr(&d->b, a);
	nlb_end(&d->b, at);
	return 0;
}

/* 0 and no attribute, or what the message says. */
long rt_dump_addr(struct nl_req *r)
{
	struct nla tb[IFA_TABLE_MAX + 1];
	struct dump d = { .r = r };
	struct rt_ifaddr ia;
	long ret = rt_parse(r, &ia, sizeof(ia), tb, IFA_TABLE_MAX);

	if (ret)
		return ret;
	d.family = ia.family == LINUX_AF_PACKET ? 0 : ia.family;
	d.index = r->nl->strict ? ia.index : 0;
	if (d.index) {
		struct net_link *l = net_link_by_index(r->ns, d.index);

		if (!l)
			return -LINUX_ENODEV;
		net_link_put(l);
	}
	net_addr_each(r->ns, dump_one, &d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}

/* The request as the stack wants it; a reference to the link in @out. */
static long parse(struct nl_req *r, struct net_ifaddr_param *p, char label[NET_IFNAMSIZ], struct net_link **out)
{
	struct ifa_cacheinfo ci = { .preferred_s = UINT32_MAX, .valid_s = UINT32_MAX };
	struct nla tb[IFA_TABLE_MAX + 1];
	struct naddr addr, local;
	struct rt_ifaddr ia;
	long ret = rt_parse(r, &ia, sizeof(ia), tb, IFA_TABLE_MAX);

	if (ret)
		return ret;
	if (ia.family != NET_AF_INET && ia.family != NET_AF_INET6)
		return -LINUX_EOPNOTSUPP;
	*p = (struct net_ifaddr_param){ .plen = ia.plen, .scope = ia.scope, .flags = ia.flags };
	if (!nla_has(&tb[IFA_LOCAL]) && !nla_has(&tb[IFA_ADDRESS]))
		return nl_why(r, -LINUX_EINVAL, "An address is missing");
	if (!rt_get_addr(&tb[IFA_ADDRESS], ia.family, &addr) || !rt_get_addr(&tb[IFA_LOCAL], ia.family, &local) ||
	    !rt_get_addr(&tb[IFA_BROADCAST], ia.family, &p->bcast) || !nla_get_u32(&tb[IFA_FLAGS], &p->flags) ||
	    !nla_get_u32(&tb[IFA_RT_PRIORITY], &p->rt_priority) || !nla_get_u8(&tb[IFA_PROTO], &p->proto) ||
	    !nla_get(&tb[IFA_CACHEINFO], &ci, 8) || !nla_get_str(&tb[IFA_LABEL], label, NET_IFNAMSIZ))
		return -LINUX_EINVAL;
	if (ia.plen > (ia.family == NET_AF_INET ? 32 : 128))
		return nl_why(r, -LINUX_EINVAL, "Invalid prefix length");
	p->addr = nla_has(&tb[IFA_LOCAL]) ? local : addr;
	if (nla_has(&tb[IFA_LOCAL]) && nla_has(&tb[IFA_ADDRESS]) && !naddr_eq(&local, &addr))
		p->peer = addr;
	p->valid_lft_s = ci.valid_s;
	p->preferred_lft_s = ci.preferred_s;
	if (!ci.valid_s || ci.preferred_s > ci.valid_s)
		return nl_why(r, -LINUX_EINVAL, "Invalid lifetimes");
	p->label = label[0] ? label : NULL;
	*out = net_link_by_index(r->ns, ia.index);
	return *out ? 0 : nl_why(r, -LINUX_ENODEV, "No such interface");
}

long rt_new_addr(struct nl_req *r)
{
	char label[NET_IFNAMSIZ] = "";
	struct net_ifaddr_param p;
	struct net_link *l;
	long ret = parse(r, &p, label, &l);

	if (ret)
		return ret;
	if (p.valid_lft_s == UINT32_MAX)
		p.flags |= NET_IFA_F_PERMANENT;
	ret = net_addr_add(l, &p);
	if (ret == -LINUX_EEXIST && (r->h.flags & LINUX_NLM_F_REPLACE)) {
		net_addr_del(l, &p.addr, p.plen);
		ret = net_addr_add(l, &p);
	}
	net_link_put(l);
	return ret == -LINUX_EEXIST ? nl_why(r, ret, naddr_is_v4(&p.addr) ? "ipv4: Address already assigned" :
									    "ipv6: address already assigned") : ret;
}

long rt_del_addr(struct nl_req *r)
{
	char label[NET_IFNAMSIZ] = "";
	struct net_ifaddr_param p;
	struct net_link *l;
	long ret = parse(r, &p, label, &l);

	if (ret)
		return ret;
	ret = net_addr_del(l, &p.addr, p.plen);
	net_link_put(l);
	return ret == -LINUX_EADDRNOTAVAIL ? nl_why(r, ret, naddr_is_v4(&p.addr) ? "ipv4: Address not found" :
										  "ipv6: address not found") : ret;
}
