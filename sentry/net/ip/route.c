/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/route.c - from a flow to a struct dst: output link, next hop, source, path MTU
 *
 * Model:   endpoints keep a dst while its gen equals ns->route_gen; any change of links, addresses, routes, rules
 *          or learnt path MTUs bumps that number.
 * Locks:   pmtu table's mu, a leaf.
 * Source:  RFC 1191, RFC 8201 (path MTU), RFC 6724 (source selection), RFC 1122 section 3.3.1.
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

#define PMTU_SLOTS 256 /* learnt path MTUs; a newcomer replaces its slot's holder */

struct pmtu_table {
	struct mutex mu;
	struct pmtu_entry {
		struct naddr dst, gw; /* gw: learnt by redirect, any = none */
		uint32_t mtu, oif;
		uint64_t expires_ns;
	} slot[PMTU_SLOTS];
};

void net_route_gen_bump(struct net_ns *ns)
{
	atomic_fetch_add(&ns->route_gen, 1);
}

void dst_put(struct dst *d)
{
	if (!d || !ref_put(&d->ref))
		return;
	if (d->neigh)
		neigh_put(d->neigh);
	net_link_put(d->link);
	free(d);
}

struct dst *dst_make(struct net_link *link, const struct naddr *nexthop, const struct naddr *src, uint8_t type)
{
	struct dst *d = calloc(1, sizeof(*d));

	if (!d)
		return NULL;
	ref_init(&d->ref, 1);
	net_link_get(link);
	d->link = link;
	d->nexthop = *nexthop;
	d->src = *src;
	d->gen = atomic_load_explicit(&link->ns->route_gen, memory_order_acquire);
	d->mtu = link->mtu;
	d->type = type;
	d->expires_ns = NET_NEVER;
	return d;
}

static struct pmtu_entry *pmtu_slot(struct net_ns *ns, const struct naddr *dst)
{
	return &ns->pmtu->slot[net_hash_addr(dst, ns->stack->hash_seed) % PMTU_SLOTS];
}

static bool pmtu_table_ensure(struct net_ns *ns)
{
	struct pmtu_table *t, *none = NULL;

	if (ns->pmtu)
		return true;
	t = calloc(1, sizeof(*t));
	if (!t)
		return false;
	if (!atomic_compare_exchange_strong(&ns->pmtu, &none, t))
		free(t);
	return true;
}

static struct pmtu_entry *pmtu_claim_locked(struct net_ns *ns, const struct naddr *dst)
{
	struct pmtu_entry *e = pmtu_slot(ns, dst);
	uint64_t now = net_now(ns->stack);

	if (!naddr_eq(&e->dst, dst) || e->expires_ns <= now)
		*e = (struct pmtu_entry){ .dst = *dst };
	e->expires_ns = now + (uint64_t)ns->sysctl.mtu_expires_s * NET_SEC;
	return e;
}

void net_pmtu_update(struct net_ns *ns, const struct naddr *dst, uint32_t mtu)
{
	uint32_t min = naddr_is_v4(dst) ? (uint32_t)ns->sysctl.min_pmtu : IP6_MIN_MTU;
	struct pmtu_entry *e;

	mtu = MAX(mtu, min); /* RFC 8201 section 4; Linux's min_pmtu for IPv4 */
	if (!pmtu_table_ensure(ns))
		return;
	mutex_lock(&ns->pmtu->mu);
	e = pmtu_claim_locked(ns, dst);
	if (!e->mtu || mtu < e->mtu)
		e->mtu = mtu;
	mutex_unlock(&ns->pmtu->mu);
	net_route_gen_bump(ns);
}

void net_redirect(struct net_ns *ns, const struct naddr *dst, const struct naddr *gw, struct net_link *l)
{
	struct pmtu_entry *e;

	if (!l->conf.accept_redirects || !pmtu_table_ensure(ns))
		return;
	mutex_lock(&ns->pmtu->mu);
	e = pmtu_claim_locked(ns, dst);
	e->gw = *gw;
	e->oif = l->index;
	mutex_unlock(&ns->pmtu->mu);
	net_route_gen_bump(ns);
}

static void pmtu_apply(struct net_ns *ns, const struct naddr *dst, struct dst *d)
{
	struct pmtu_entry *e;

	if (!ns->pmtu)
		return;
	mutex_lock(&ns->pmtu->mu);
	e = pmtu_slot(ns, dst);
	if (naddr_eq(&e->dst, dst) && e->expires_ns > net_now(ns->stack)) {
		if (e->mtu && e->mtu < d->mtu) {
			d->mtu = e->mtu;
			d->mtu_locked = true;
			d->expires_ns = e->expires_ns;
		}
		if (!naddr_is_any(&e->gw) && e->oif == d->link->index) {
			d->nexthop = e->gw;
			d->gateway = true;
		}
	}
	mutex_unlock(&ns->pmtu->mu);
}

uint32_t net_pmtu_get(struct net_ns *ns, const struct naddr *dst)
{
	struct pmtu_entry *e;
	uint32_t mtu = 0;

	if (!ns->pmtu)
		return 0;
	mutex_lock(&ns->pmtu->mu);
	e = pmtu_slot(ns, dst);
	if (naddr_eq(&e->dst, dst) && e->expires_ns > net_now(ns->stack))
		mtu = e->mtu;
	mutex_unlock(&ns->pmtu->mu);
	return mtu;
}

/* Destinations whose link the flow names: multicast, broadcast, IPv6 link-local. */
static int lookup_bound(struct net_ns *ns, const struct net_flow *fl, uint8_t type, struct dst **out)
{
	struct net_link *l = net_link_by_index(ns, fl->oif);
	struct naddr src = fl->src;
	struct dst *d;

	if (!l)
		return -LINUX_ENODEV;
	if (!net_link_up(l)) {
		net_link_put(l);
		return -LINUX_ENETUNREACH;
	}
	if (naddr_is_any(&src) && !net_addr_select(l, &fl->dst, &src))
		src = naddr_is_v4(&fl->dst) ? NADDR_ANY4 : NADDR_ANY6;
	d = dst_make(l, &fl->dst, &src, type);
	net_link_put(l);
	if (!d)
		return -LINUX_ENOMEM;
	*out = d;
	return 0;
}

static int lookup_src(struct net_ns *ns, const struct net_flow *fl, const struct fib_res *res, struct net_link *l,
		      struct naddr *src)
{
	*src = fl->src;
	if (!naddr_is_any(src))
		return 0;
	if (!naddr_is_any(&res->prefsrc)) {
		*src = res->prefsrc;
		return 0;
	}
	if (res->type == NET_RTN_LOCAL) {
		*src = fl->dst;
		return 0;
	}
	if (net_addr_select(l, naddr_is_any(&res->gw) ? &fl->dst : &fl->dst, src))
		return 0;
	*src = naddr_is_v4(&fl->dst) ? NADDR_ANY4 : NADDR_ANY6;
	return naddr_is_v4(&fl->dst) ? 0 : -LINUX_EADDRNOTAVAIL;
}

int net_route_lookup(struct net_ns *ns, const struct net_flow *fl, struct dst **out)
{
	struct net_link *l;
	struct fib_res res;
	struct naddr src;
	struct dst *d;
	int ret;

	if (fl->oif && (naddr_is_multicast(&fl->dst) || naddr_is_bcast4(&fl->dst)))
		return lookup_bound(ns, fl, naddr_is_multicast(&fl->dst) ? NET_RTN_MULTICAST : NET_RTN_BROADCAST, out);
	ret = net_fib_lookup(ns, fl, &res);
	if (ret == -LINUX_ENETUNREACH && fl->oif && naddr_is_v4(&fl->dst))
		return lookup_bound(ns, fl, NET_RTN_UNICAST, out); /* bound to a link: everything is on it */
	if (ret)
		return ret;
	if (res.type == NET_RTN_LOCAL) {
		l = ns->lo;
		net_link_get(l);
	} else {
		l = net_link_by_index(ns, res.oif);
	}
	if (!l || !net_link_up(l)) {
		net_link_put(l);
		return -LINUX_ENETUNREACH;
	}
	ret = lookup_src(ns, fl, &res, l, &src);
	if (ret) {
		net_link_put(l);
		return ret;
	}
	if (naddr_is_multicast(&fl->dst))
		res.type = NET_RTN_MULTICAST;
	else if (naddr_is_bcast4(&fl->dst))
		res.type = NET_RTN_BROADCAST;
	d = dst_make(l, naddr_is_any(&res.gw) ? &fl->dst : &res.gw, &src, res.type);
	net_link_put(l);
	if (!d)
		return -LINUX_ENOMEM;
	d->gateway = !naddr_is_any(&res.gw);
	if (res.mtu)
		d->mtu = MIN(res.mtu, d->mtu);
	d->advmss = res.advmss;
	d->initcwnd = res.initcwnd;
	d->initrwnd = res.initrwnd;
	d->table = res.table;
	d->metric = res.metric;
	d->rt_plen = res.plen;
	d->rt_proto = res.protocol;
	d->rt_scope = res.scope;
	pmtu_apply(ns, &fl->dst, d);
	*out = d;
	return 0;
}
