/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_if.c - ioctls on network interfaces, through any socket (netdevice(7))
 *
 * Model:   a row per request: what it needs of the interface, and a function on the guest's struct ifreq. Changes take
 *          netlink's configuration lock, and end in the same functions of the stack.
 * Source:  netdevice(7), rtentry of route(8).
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/abi/netdevice.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/netlink/rtnl.h"

struct if_call {
	struct net_ns *ns;
	struct net_link *l;		/* reference; NULL for requests without one */
	struct linux_ifreq *r;
};

/* The first IPv4 address of a link, as old programs know it: one per name. */
struct v4_of {
	struct net_link *l;
	bool found;
	struct naddr addr, peer, bcast;
	uint8_t plen, scope;
};

static int v4_one(struct net_ifaddr *a, void *arg)
{
	struct v4_of *v = arg;

	if (a->link != v->l || !naddr_is_v4(&a->addr))
		return 0;
	v->found = true;
	v->addr = a->addr;
	v->peer = a->peer;
	v->bcast = a->bcast;
	v->plen = a->plen;
	v->scope = a->scope;
	return 1;
}

static bool v4_get(struct if_call *c, struct v4_of *v)
{
	*v = (struct v4_of){ .l = c->l };
	net_addr_each(c->ns, v4_one, v);
	return v->found;
}

static void put_v4(struct linux_sockaddr_in *out, uint32_t be)
{
	*out = (struct linux_sockaddr_in){ .family = LINUX_AF_INET };
	memcpy(out->addr, &be, 4);
}

static uint32_t mask_of(uint8_t plen)
{
	return plen ? net_htonl(~0u << (32 - plen)) : 0;
}

/* ---- asking ------------------------------------------------------------------------------------------------------ */

static long get_flags(struct if_call *c)
{
	c->r->flags = (int16_t)net_link_shown_flags(c->l);
	return 0;
}

static long get_index(struct if_call *c)
{
	c->r->value = (int32_t)c->l->index;
	return 0;
}

static long get_mtu(struct if_call *c)
{
	c->r->value = (int32_t)c->l->mtu;
	return 0;
}

static long get_metric(struct if_call *c)
{
	c->r->value = 0;
	return 0;
}

static long get_txqlen(struct if_call *c)
{
	c->r->value = (int32_t)c->l->txqlen;
	return 0;
}

static long get_map(struct if_call *c)
{
	memset(&c->r->map, 0, sizeof(c->r->map));
	return 0;
}

static long get_hwaddr(struct if_call *c)
{
	memset(&c->r->hwaddr, 0, sizeof(c->r->hwaddr));
	c->r->hwaddr.family = c->l->hwtype;
	memcpy(c->r->hwaddr.data, c->l->mac, 6);
	return 0;
}

static long get_addr(struct if_call *c)
{
	struct v4_of v;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	put_v4(&c->r->addr, naddr_v4(&v.addr));
	return 0;
}

static long get_dst(struct if_call *c)
{
	struct v4_of v;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	put_v4(&c->r->addr, naddr_v4(naddr_is_any(&v.peer) ? &v.addr : &v.peer));
	return 0;
}

static long get_bcast(struct if_call *c)
{
	struct v4_of v;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	put_v4(&c->r->addr, naddr_is_any(&v.bcast) ? 0 : naddr_v4(&v.bcast));
	return 0;
}

static long get_mask(struct if_call *c)
{
	struct v4_of v;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	put_v4(&c->r->addr, mask_of(v.plen));
	return 0;
}

static long get_name(struct if_call *c)
{
	struct net_link *l = net_link_by_index(c->ns, (uint32_t)c->r->value);

	if (!l)
		return -LINUX_ENODEV;
	memcpy(c->r->name, l->name, sizeof(c->r->name));
	net_link_put(l);
	return 0;
}

/* ---- changing ---------------------------------------------------------------------------------------------------------- */

static long set_flags(struct if_call *c)
{
	uint32_t known = NET_IFF_UP | NET_IFF_PROMISC | NET_IFF_ALLMULTI | NET_IFF_NOARP;

	return rt_link_set_flags(c->l, (uint16_t)c->r->flags, known);
}

static long set_mtu(struct if_call *c)
{
	return c->r->value < 0 ? -LINUX_EINVAL : net_link_set_mtu(c->l, (uint32_t)c->r->value);
}

static long set_txqlen(struct if_call *c)
{
	if (c->r->value < 0)
		return -LINUX_EINVAL;
	c->l->txqlen = (uint32_t)c->r->value;
	return 0;
}

static long set_name(struct if_call *c)
{
	char name[NET_IFNAMSIZ];

	memcpy(name, c->r->newname, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	return net_link_set_name(c->l, name);
}

static long set_hwaddr(struct if_call *c)
{
	return c->r->hwaddr.family != c->l->hwtype ? -LINUX_EINVAL : net_link_set_mac(c->l, c->r->hwaddr.data);
}

/* One address for another, as the only way these requests know. */
static long replace(struct if_call *c, const struct v4_of *old, const struct naddr *addr, uint8_t plen, const struct naddr *bcast)
{
	struct net_ifaddr_param p = { .addr = *addr, .plen = plen, .flags = NET_IFA_F_PERMANENT, .valid_lft_s = UINT32_MAX,
				      .preferred_lft_s = UINT32_MAX };

	if (c->l->flags & NET_IFF_LOOPBACK)
		p.scope = NET_SCOPE_HOST;
	else if (bcast)
		p.bcast = *bcast;
	else if (plen < 31)
		p.bcast = naddr_from_v4(naddr_v4(addr) | ~mask_of(plen));
	if (old->found)
		net_addr_del(c->l, &old->addr, old->plen);
	return naddr_is_any(addr) ? 0 : net_addr_add(c->l, &p);
}

static bool req_addr(const struct if_call *c, struct naddr *out)
{
	uint32_t be;

	memcpy(&be, c->r->addr.addr, 4);
	*out = naddr_from_v4(be);
	return c->r->addr.family == LINUX_AF_INET;
}

/* The mask that an address had before there were masks (RFC 791 section 3.2). */
static uint8_t class_plen(const struct naddr *a)
{
	return a->b[12] < 128 ? 8 : a->b[12] < 192 ? 16 : a->b[12] < 224 ? 24 : 32;
}

static long set_addr(struct if_call *c)
{
	struct naddr a;
	struct v4_of v;

	if (!req_addr(c, &a))
		return -LINUX_EINVAL;
	v4_get(c, &v);
	return replace(c, &v, &a, class_plen(&a), NULL);
}

static long set_mask(struct if_call *c)
{
	struct naddr a;
	struct v4_of v;
	uint32_t m;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	if (!req_addr(c, &a))
		return -LINUX_EINVAL;
	m = net_ntohl(naddr_v4(&a));
	if (~m & (~m + 1))
		return -LINUX_EINVAL; /* holes */
	return replace(c, &v, &v.addr, (uint8_t)__builtin_popcount(m), NULL);
}

static long set_bcast(struct if_call *c)
{
	struct naddr a;
	struct v4_of v;

	if (!v4_get(c, &v))
		return -LINUX_EADDRNOTAVAIL;
	return req_addr(c, &a) ? replace(c, &v, &v.addr, v.plen, &a) : -LINUX_EINVAL;
}

static const struct if_row {
	uint32_t cmd;
	bool set, nameless;
	long (*fn)(struct if_call *c);
} rows[] = {
	{ LINUX_SIOCGIFNAME, false, true, get_name },	    { LINUX_SIOCGIFFLAGS, false, false, get_flags },
	{ LINUX_SIOCGIFADDR, false, false, get_addr },	    { LINUX_SIOCGIFDSTADDR, false, false, get_dst },
	{ LINUX_SIOCGIFBRDADDR, false, false, get_bcast },  { LINUX_SIOCGIFNETMASK, false, false, get_mask },
	{ LINUX_SIOCGIFMETRIC, false, false, get_metric },  { LINUX_SIOCGIFMTU, false, false, get_mtu },
	{ LINUX_SIOCGIFHWADDR, false, false, get_hwaddr },  { LINUX_SIOCGIFINDEX, false, false, get_index },
	{ LINUX_SIOCGIFTXQLEN, false, false, get_txqlen },  { LINUX_SIOCGIFMAP, false, false, get_map },
	{ LINUX_SIOCSIFFLAGS, true, false, set_flags },	    { LINUX_SIOCSIFADDR, true, false, set_addr },
	{ LINUX_SIOCSIFBRDADDR, true, false, set_bcast },   { LINUX_SIOCSIFNETMASK, true, false, set_mask },
	{ LINUX_SIOCSIFMTU, true, false, set_mtu },	    { LINUX_SIOCSIFNAME, true, false, set_name },
	{ LINUX_SIOCSIFHWADDR, true, false, set_hwaddr },   { LINUX_SIOCSIFTXQLEN, true, false, set_txqlen },
};

static long run_row(const struct if_row *row, struct if_call *c)
{
	long ret;

	if (!row->nameless) {
		char name[NET_IFNAMSIZ], *colon;

		memcpy(name, c->r->name, sizeof(name));
		name[sizeof(name) - 1] = '\0';
		colon = strchr(name, ':'); /* alias names of addresses: eth0:1 */
		if (colon)
			*colon = '\0';
		c->l = net_link_by_name(c->ns, name);
		if (!c->l)
			return -LINUX_ENODEV;
	}
	if (row->set) {
		ret = sleep_lock_killable(&netlink_cfg);
		if (!ret) {
			ret = row->fn(c);
			sleep_unlock(&netlink_cfg);
		}
	} else {
		ret = row->fn(c);
	}
	if (c->l)
		net_link_put(c->l);
	return ret;
}

/* ---- lists and routes ------------------------------------------------------------------------------------------------ */

#define IFCONF_MAX 4096 /* entries */

static int conf_one(struct net_ifaddr *a, void *arg)
{
	struct linux_ifreq r = { 0 };
	struct buf *b = arg;

	if (!naddr_is_v4(&a->addr))
		return 0;
	memcpy(r.name, a->label[0] ? a->label : a->link->name, sizeof(r.name));
	put_v4(&r.addr, naddr_v4(&a->addr));
	buf_append(b, &r, sizeof(r));
	return 0;
}

static long get_conf(struct net_ns *ns, struct task *t, uint64_t arg)
{
	struct buf b = { .max = IFCONF_MAX * sizeof(struct linux_ifreq) };
	struct linux_ifconf ic;
	long ret = copyin_obj(t->u, &ic, GPTR(arg));

	if (ret)
		return ret;
	net_addr_each(ns, conf_one, &b);
	if (!ic.buf) {
		ic.len = (int32_t)b.len;
	} else {
		size_t room = ic.len > 0 ? (size_t)ic.len / sizeof(struct linux_ifreq) * sizeof(struct linux_ifreq) : 0;

		ic.len = (int32_t)MIN(b.len, room);
		if (ic.len)
			ret = copyout(t->u, GPTR(ic.buf), b.data, (size_t)ic.len);
	}
	buf_fini(&b);
	return ret ? ret : copyout_obj(t->u, GPTR(arg), &ic);
}

static uint32_t in_of(const struct linux_sockaddr_in *a)
{
	uint32_t be;

	memcpy(&be, a->addr, 4);
	return be;
}

/* SIOCADDRT, SIOCDELRT: route(8) of net-tools and busybox. */
static long route_call(struct net_ns *ns, struct task *t, bool add, uint64_t arg)
{
	struct net_route_param p = { .family = NET_AF_INET, .table = NET_RT_TABLE_MAIN, .type = NET_RTN_UNICAST, .protocol = 3, .nr_hops = 1 };
	struct net_nexthop *h = &p.hops[0];
	struct linux_rtentry rt;
	char dev[NET_IFNAMSIZ] = "";
	struct net_link *l;
	uint32_t mask;
	long ret = copyin_obj(t->u, &rt, GPTR(arg));

	if (!ret && rt.dev)
		ret = MIN(copyin_str(t->u, dev, sizeof(dev), GPTR(rt.dev)), 0L);
	if (ret)
		return ret;
	mask = rt.flags & LINUX_RTF_HOST ? ~0u : net_ntohl(in_of(&rt.genmask));
	if (~mask & (~mask + 1) || (net_ntohl(in_of(&rt.dst)) & ~mask))
		return -LINUX_EINVAL;
	p.dst = naddr_from_v4(in_of(&rt.dst));
	p.dst_len = (uint8_t)__builtin_popcount(mask);
	p.metric = rt.metric > 0 ? (uint32_t)rt.metric - 1 : 0;
	p.scope = rt.flags & LINUX_RTF_GATEWAY ? NET_SCOPE_UNIVERSE : NET_SCOPE_LINK;
	h->weight = 1;
	if (rt.flags & LINUX_RTF_GATEWAY)
		h->gw = naddr_from_v4(in_of(&rt.gateway));
	if (rt.flags & LINUX_RTF_REJECT) {
		p.type = NET_RTN_UNREACHABLE;
		p.nr_hops = 0;
	}
	if (dev[0]) {
		l = net_link_by_name(ns, dev);
		if (!l)
			return -LINUX_ENODEV;
		h->oif = l->index;
		net_link_put(l);
	}
	if (!add) { /* what is not said matches anything */
		p.scope = p.protocol = 0;
		if (!h->oif && naddr_is_any(&h->gw))
			p.nr_hops = 0;
	}
	ret = sleep_lock_killable(&netlink_cfg);
	if (ret)
		return ret;
	ret = add ? net_route_add(ns, &p, NET_RT_CREATE | NET_RT_EXCL) : net_route_del(ns, &p);
	sleep_unlock(&netlink_cfg);
	return ret;
}

static long ethtool_call(struct net_ns *ns, struct task *t, uint64_t arg)
{
	struct linux_ifreq r;
	struct net_link *l;
	uint64_t data;
	long ret = copyin_obj(t->u, &r, GPTR(arg));

	if (ret)
		return ret;
	r.name[sizeof(r.name) - 1] = '\0';
	memcpy(&data, (const char *)&r + sizeof(r.name), sizeof(data)); /* ifr_data */
	l = net_link_by_name(ns, r.name);
	if (!l)
		return -LINUX_ENODEV;
	ret = inet_ethtool(l, t, data);
	net_link_put(l);
	return ret;
}

long inet_if_ioctl(struct net_ns_ref *net, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct if_call c = { .ns = net->stack };
	struct linux_ifreq r;
	long ret;

	if (cmd == LINUX_SIOCGIFCONF)
		return get_conf(net->stack, t, arg);
	if (cmd == LINUX_SIOCETHTOOL)
		return ethtool_call(net->stack, t, arg);
	if (cmd == LINUX_SIOCADDRT || cmd == LINUX_SIOCDELRT)
		return cred_has_cap(t->cred, net->user_ns, LINUX_CAP_NET_ADMIN) ? route_call(net->stack, t, cmd == LINUX_SIOCADDRT, arg) :
										  -LINUX_EPERM;
	if (cmd >= LINUX_SIOCBRADDBR && cmd <= LINUX_SIOCBRDELIF)
		return inet_bridge_ioctl(net, t, cmd, arg);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].cmd != cmd)
			continue;
		if (rows[i].set && !cred_has_cap(t->cred, net->user_ns, LINUX_CAP_NET_ADMIN))
			return -LINUX_EPERM;
		ret = copyin_obj(t->u, &r, GPTR(arg));
		c.r = &r;
		if (!ret)
			ret = run_row(&rows[i], &c);
		return ret || rows[i].set ? ret : copyout_obj(t->u, GPTR(arg), &r);
	}
	return -LINUX_ENOTTY;
}
