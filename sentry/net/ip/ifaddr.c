/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ifaddr.c - addresses of links and the routes that come with them
 *
 * Model:   an address brings a local route, an IPv4 one also its broadcast route, and a connected route for its
 *          prefix. Routes exist while the link is up; addresses stay when it goes down (IPv6 ones go, as in Linux).
 * Locks:   ns->cfg_mu for the lists; routes are added after it was released.
 * Source:  RFC 6724 (selection: scope, then longest common prefix), RFC 4862 section 5.4 (duplicate detection),
 *          RFC 4291 appendix A (interface identifiers).
 */
#include <stdio.h>

#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

#define RTPROT_KERNEL 2
#define NET_MAX_ADDRS 4096 /* per link */

static void addr_put(struct net_ifaddr *a)
{
	if (ref_put(&a->ref))
		free(a);
}

static bool is_v4(const struct net_ifaddr *a)
{
	return naddr_is_v4(&a->addr);
}

/* One route of an address; errors but "exists" mean that memory is out, and the address then has no route. */
static void addr_route(struct net_ifaddr *a, uint32_t table, uint8_t type, uint8_t scope, const struct naddr *dst,
		       uint8_t plen, bool add)
{
	struct net_route_param p = { .family = naddr_family(&a->addr), .dst = *dst, .dst_len = plen, .scope = scope,
				     .type = type, .protocol = RTPROT_KERNEL, .table = table, .nr_hops = 1 };

	p.src = is_v4(a) ? a->addr : NADDR_ANY6;
	p.hops[0].oif = a->link->index;
	p.hops[0].weight = 1;
	if (!is_v4(a))
		p.metric = type == NET_RTN_LOCAL || table == NET_RT_TABLE_LOCAL ? 0 : 256;
	if (a->rt_priority && table == NET_RT_TABLE_MAIN)
		p.metric = a->rt_priority;
	if (add)
		net_route_add(a->link->ns, &p, NET_RT_CREATE | NET_RT_APPEND);
	else
		net_route_del(a->link->ns, &p);
}

static void addr_routes(struct net_ifaddr *a, bool add)
{
	uint8_t full = is_v4(a) ? 32 : 128;
	bool lo = a->link->flags & NET_IFF_LOOPBACK;
	struct naddr net = naddr_mask(&a->addr, is_v4(a) ? a->plen + 96u : a->plen), bc;

	addr_route(a, NET_RT_TABLE_LOCAL, NET_RTN_LOCAL, NET_SCOPE_HOST, &a->addr, full, add);
	if (!naddr_is_any(&a->peer) && !naddr_eq(&a->peer, &a->addr)) {
		net = naddr_mask(&a->peer, is_v4(a) ? a->plen + 96u : a->plen);
	} else if (is_v4(a) && a->plen < 31 && !lo) {
		bc = a->addr;
		bc.w[3] |= net_htonl(0xffffffffu >> a->plen);
		addr_route(a, NET_RT_TABLE_LOCAL, NET_RTN_BROADCAST, NET_SCOPE_LINK, &bc, 32, add);
	}
	if (a->plen < full && is_v4(a) && lo) /* all of 127/8 is local */
		addr_route(a, NET_RT_TABLE_LOCAL, NET_RTN_LOCAL, NET_SCOPE_HOST, &net, a->plen, add);
	else if ((a->plen < full || !naddr_eq(&net, &a->addr)) && !(a->flags & NET_IFA_F_NOPREFIXROUTE))
		addr_route(a, NET_RT_TABLE_MAIN, NET_RTN_UNICAST, NET_SCOPE_LINK, &net, a->plen, add);
	if (!is_v4(a) && !lo && add) {
		struct naddr mc = { .b = { 0xff } };

		addr_route(a, NET_RT_TABLE_LOCAL, NET_RTN_MULTICAST, NET_SCOPE_UNIVERSE, &mc, 8, true);
	}
}

static struct naddr solicited_node(const struct naddr *a)
{
	struct naddr m = { .b = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff } };

	memcpy(m.b + 13, a->b + 13, 3);
	return m;
}

static void addr_activate(struct net_ifaddr *a)
{
	addr_routes(a, true);
	if (!is_v4(a) && !(a->link->flags & NET_IFF_LOOPBACK)) {
		struct naddr sol = solicited_node(&a->addr);

		net_mcast_join(a->link, &sol);
	}
	if (is_v4(a) && a->link->hwlen && !(a->link->flags & NET_IFF_NOARP))
		arp_announce(a->link, &a->addr);
}

/* RFC 4862 section 5.4: one probe, then the address is ours if nobody objected. */
static void dad_timer(struct net_timer *t)
{
	struct net_ifaddr *a = container_of(t, struct net_ifaddr, timer);
	struct naddr any = NADDR_ANY6;

	if (a->flags & NET_IFA_F_TENTATIVE) {
		if (a->dad_left) {
			a->dad_left--;
			ndp_solicit(a->link, &a->addr, NULL, &any);
			if (net_timer_arm(a->link->stack, t, net_now(a->link->stack) + NET_SEC))
				return; /* keeps the timer's reference */
		} else if (!(a->flags & NET_IFA_F_DADFAILED)) {
			a->flags &= ~(uint32_t)NET_IFA_F_TENTATIVE;
			net_route_gen_bump(a->link->ns);
			net_notify(a->link->ns, NET_EV_ADDR_NEW, a);
			if (naddr_is_linklocal6(&a->addr) && a->link->conf.v6_accept_ra)
				ndp_send_rs(a->link);
		}
	}
	addr_put(a);
}

static void dad_start(struct net_ifaddr *a)
{
	struct net_link *l = a->link;

	if (is_v4(a) || (l->flags & (NET_IFF_LOOPBACK | NET_IFF_NOARP)) || !l->conf.v6_dad_transmits ||
	    (a->flags & NET_IFA_F_NODAD))
		return;
	a->flags |= NET_IFA_F_TENTATIVE;
	a->dad_left = (uint8_t)MIN(l->conf.v6_dad_transmits, 8);
	ref_get(&a->ref);
	if (!net_timer_arm(l->stack, &a->timer, net_now(l->stack)))
		addr_put(a);
}

int net_addr_add(struct net_link *link, const struct net_ifaddr_param *p)
{
	bool v4 = naddr_is_v4(&p->addr);
	struct net_ifaddr *a, *o;
	unsigned n = 0;

	if (p->plen > (v4 ? 32 : 128) || naddr_is_multicast(&p->addr) || (naddr_is_any(&p->addr) && !v4))
		return -LINUX_EINVAL;
	if (!v4 && (link->conf.v6_disable || link->mtu < IP6_MIN_MTU))
		return -LINUX_EACCES;
	a = calloc(1, sizeof(*a));
	if (!a)
		return -LINUX_ENOMEM;
	ref_init(&a->ref, 1);
	a->link = link;
	a->addr = p->addr;
	a->peer = p->peer;
	a->bcast = p->bcast;
	a->plen = p->plen;
	a->scope = p->scope;
	a->proto = p->proto;
	a->flags = p->flags;
	a->rt_priority = p->rt_priority;
	a->valid_lft_s = p->valid_lft_s ? p->valid_lft_s : UINT32_MAX;
	a->preferred_lft_s = p->valid_lft_s ? p->preferred_lft_s : UINT32_MAX;
	if (a->valid_lft_s == UINT32_MAX)
		a->flags |= NET_IFA_F_PERMANENT;
	a->created_ns = a->updated_ns = net_now(link->stack);
	net_timer_init(&a->timer, dad_timer);
	snprintf(a->label, sizeof(a->label), "%s", p->label && p->label[0] ? p->label : link->name);
	if (!v4 && naddr_is_linklocal6(&a->addr))
		a->scope = NET_SCOPE_LINK;
	if (naddr_is_loopback(&a->addr))
		a->scope = NET_SCOPE_HOST;

	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(o, &link->addrs, link_node) {
		n++;
		if (naddr_eq(&o->addr, &a->addr) && (!v4 || o->plen == a->plen))
			goto exists;
		if (v4 && is_v4(o) && o->plen == a->plen && naddr_prefix_eq(&o->addr, &a->addr, a->plen + 96u))
			a->flags |= NET_IFA_F_SECONDARY;
	}
	if (n >= NET_MAX_ADDRS)
		goto exists;
	list_add_tail(&link->addrs, &a->link_node);
	mutex_unlock(&link->ns->cfg_mu);
	if (net_link_up(link)) {
		addr_activate(a);
		dad_start(a);
	}
	net_route_gen_bump(link->ns);
	net_notify(link->ns, NET_EV_ADDR_NEW, a);
	return 0;
exists:
	mutex_unlock(&link->ns->cfg_mu);
	free(a);
	return n >= NET_MAX_ADDRS ? -LINUX_ENOBUFS : -LINUX_EEXIST;
}

static bool has_v4(struct net_link *link)
{
	struct net_ifaddr *o;
	bool yes = false;

	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(o, &link->addrs, link_node)
		yes |= is_v4(o);
	mutex_unlock(&link->ns->cfg_mu);
	return yes;
}

static void addr_gone(struct net_ifaddr *a)
{
	struct net_link *link = a->link;

	if (net_timer_cancel(link->stack, &a->timer))
		addr_put(a);
	if (net_link_up(link) && !link->dead)
		addr_routes(a, false);
	if (!is_v4(a)) {
		struct naddr sol = solicited_node(&a->addr);

		net_mcast_leave(link, &sol);
	}
	net_route_flush_link(link->ns, 0, &a->addr);
	if (is_v4(a) && !has_v4(link)) /* a link without an address speaks no IPv4: its routes go, as on Linux */
		net_route_flush_family(link->ns, link->index, NET_AF_INET);
	net_notify(link->ns, NET_EV_ADDR_DEL, a);
	addr_put(a);
}

int net_addr_del(struct net_link *link, const struct naddr *addr, uint8_t plen)
{
	struct net_ifaddr *a, *found = NULL, *heir = NULL;

	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(a, &link->addrs, link_node)
		if (naddr_eq(&a->addr, addr) && a->plen == plen) {
			found = a;
			list_del_init(&a->link_node);
			break;
		}
	if (found && is_v4(found) && !(found->flags & NET_IFA_F_SECONDARY))
		list_for_each_entry(a, &link->addrs, link_node)
			if (is_v4(a) && a->plen == plen && naddr_prefix_eq(&a->addr, addr, plen + 96u)) {
				a->flags &= ~(uint32_t)NET_IFA_F_SECONDARY; /* promote_secondaries */
				heir = a;
				break;
			}
	mutex_unlock(&link->ns->cfg_mu);
	if (!found)
		return -LINUX_EADDRNOTAVAIL;
	addr_gone(found);
	if (heir && net_link_up(link))
		addr_routes(heir, true);
	net_route_gen_bump(link->ns);
	return 0;
}

void net_addr_flush(struct net_link *link)
{
	for (;;) {
		struct net_ifaddr *a = NULL;

		mutex_lock(&link->ns->cfg_mu);
		if (!list_empty(&link->addrs)) {
			a = list_first(&link->addrs, struct net_ifaddr, link_node);
			list_del_init(&a->link_node);
		}
		mutex_unlock(&link->ns->cfg_mu);
		if (!a)
			return;
		addr_gone(a);
	}
}

/* A link-local address from the MAC (RFC 4291 appendix A). */
static void add_linklocal(struct net_link *link)
{
	struct net_ifaddr_param p = { .plen = 64, .scope = NET_SCOPE_LINK, .addr = { .b = { 0xfe, 0x80 } } };
	struct net_ifaddr *a;

	if (link->hwlen != 6 || link->conf.v6_disable || (link->flags & NET_IFF_NOARP) || link->no_linklocal)
		return;
	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(a, &link->addrs, link_node)
		if (naddr_is_linklocal6(&a->addr)) {
			mutex_unlock(&link->ns->cfg_mu);
			return;
		}
	mutex_unlock(&link->ns->cfg_mu);
	memcpy(p.addr.b + 8, link->mac, 3);
	p.addr.b[8] ^= 2;
	p.addr.b[11] = 0xff;
	p.addr.b[12] = 0xfe;
	memcpy(p.addr.b + 13, link->mac + 3, 3);
	net_addr_add(link, &p);
}

void net_addr_link_up(struct net_link *link)
{
	static const struct naddr all4 = { .b = { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 224, 0, 0, 1 } };
	static const struct naddr all6 = { .b = { 0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 } };
	struct net_ifaddr *copy[64], *a;
	unsigned n = 0;

	net_mcast_join(link, &all4);
	net_mcast_join(link, &all6);
	if (link->flags & NET_IFF_LOOPBACK) { /* Linux gives lo its addresses when it comes up */
		struct net_ifaddr_param p4 = { .addr = naddr_from_v4(net_htonl(0x7f000001)), .plen = 8,
					       .scope = NET_SCOPE_HOST };
		struct net_ifaddr_param p6 = { .plen = 128, .scope = NET_SCOPE_HOST };

		p6.addr.b[15] = 1;
		net_addr_add(link, &p4);
		net_addr_add(link, &p6);
	}
	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(a, &link->addrs, link_node)
		if (n < ARRAY_SIZE(copy)) {
			ref_get(&a->ref);
			copy[n++] = a;
		}
	mutex_unlock(&link->ns->cfg_mu);
	for (unsigned i = 0; i < n; i++) {
		addr_activate(copy[i]);
		dad_start(copy[i]);
		addr_put(copy[i]);
	}
	add_linklocal(link);
}

void net_addr_link_down(struct net_link *link)
{
	for (;;) {
		struct net_ifaddr *a, *v6 = NULL;

		mutex_lock(&link->ns->cfg_mu);
		list_for_each_entry(a, &link->addrs, link_node)
			if (!is_v4(a)) {
				v6 = a;
				list_del_init(&a->link_node);
				break;
			}
		mutex_unlock(&link->ns->cfg_mu);
		if (!v6)
			return;
		addr_gone(v6);
	}
}

int net_addr_each(struct net_ns *ns, int (*fn)(struct net_ifaddr *a, void *arg), void *arg)
{
	struct net_link *l;
	struct net_ifaddr *a;
	int ret = 0;

	mutex_lock(&ns->cfg_mu);
	list_for_each_entry(l, &ns->links, node)
		list_for_each_entry(a, &l->addrs, link_node)
			if ((ret = fn(a, arg)))
				goto out;
out:
	mutex_unlock(&ns->cfg_mu);
	return ret;
}

static unsigned common_bits(const struct naddr *a, const struct naddr *b)
{
	for (unsigned i = 0; i < 16; i++) {
		uint8_t x = a->b[i] ^ b->b[i];

		if (x)
			return i * 8 + (unsigned)__builtin_clz(x) - 24;
	}
	return 128;
}

/* Larger is better; 0 = cannot be used. */
static unsigned addr_score(const struct net_ifaddr *a, const struct naddr *dst)
{
	unsigned s = 1;

	if (is_v4(a) != naddr_is_v4(dst) || (a->flags & NET_IFA_F_TENTATIVE))
		return 0;
	if (naddr_eq(&a->addr, dst))
		return 1u << 20;
	if (!is_v4(a)) {
		bool mc_ll = naddr_is_multicast(dst) && (dst->b[1] & 15) <= 2;

		if (naddr_is_linklocal6(&a->addr) == (naddr_is_linklocal6(dst) || mc_ll))
			s += 1u << 16;
		if (!(a->flags & NET_IFA_F_DEPRECATED))
			s += 1u << 12;
		return s + common_bits(&a->addr, dst);
	}
	if (a->scope >= NET_SCOPE_HOST && !naddr_is_loopback(dst))
		return 0;
	if (naddr_prefix_eq(&a->addr, dst, a->plen + 96u))
		s += 1u << 16;
	if (!(a->flags & NET_IFA_F_SECONDARY))
		s += 1u << 12;
	return s;
}

static bool select_on(struct net_link *link, const struct naddr *dst, struct naddr *out)
{
	struct net_ifaddr *a;
	unsigned best = 0;

	list_for_each_entry(a, &link->addrs, link_node) {
		unsigned s = addr_score(a, dst);

		if (s > best) {
			best = s;
			*out = a->addr;
		}
	}
	return best > 0;
}

bool net_addr_select(struct net_link *link, const struct naddr *dst, struct naddr *out)
{
	struct net_ns *ns = link->ns;
	struct net_link *l;
	bool ok;

	mutex_lock(&ns->cfg_mu);
	ok = select_on(link, dst, out);
	if (!ok && !naddr_is_linklocal6(dst)) /* weak host model: any other link's address */
		list_for_each_entry(l, &ns->links, node)
			if (net_link_up(l) && (ok = select_on(l, dst, out)))
				break;
	mutex_unlock(&ns->cfg_mu);
	return ok;
}

bool net_addr_on_link(struct net_link *link, const struct naddr *addr)
{
	struct net_ifaddr *a;
	bool found = false;

	mutex_lock(&link->ns->cfg_mu);
	list_for_each_entry(a, &link->addrs, link_node)
		if (naddr_eq(&a->addr, addr)) {
			found = !(a->flags & NET_IFA_F_TENTATIVE);
			break;
		}
	mutex_unlock(&link->ns->cfg_mu);
	return found;
}

bool net_addr_is_local(struct net_ns *ns, const struct naddr *a)
{
	struct net_flow fl = { .dst = *a, .src = naddr_is_v4(a) ? NADDR_ANY4 : NADDR_ANY6 };
	struct fib_res res;

	return !net_fib_lookup(ns, &fl, &res) && res.type == NET_RTN_LOCAL;
}

uint32_t net_ifindex_of_addr(struct net_ns *ns, const struct naddr *addr)
{
	struct net_ifaddr *a;
	struct net_link *l;
	uint32_t index = 0;

	mutex_lock(&ns->cfg_mu);
	list_for_each_entry(l, &ns->links, node)
		list_for_each_entry(a, &l->addrs, link_node)
			if (!index && naddr_eq(&a->addr, addr))
				index = l->index;
	mutex_unlock(&ns->cfg_mu);
	return index;
}
