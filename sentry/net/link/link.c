/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link.c - links: registration, configuration, lookup, life
 *
 * Locks:   ns->cfg_mu for everything here. A deleted link is freed after its last reference and a grace period
 *          (core/bh.h), because packets in flight point at it without one.
 */
#include <stdio.h>

#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

struct link_rcu {
	struct net_rcu rcu;
	struct net_link *link;
};

struct net_link *net_link_alloc(struct net_ns *ns, const struct net_link_ops *ops, size_t priv_size)
{
	struct net_link *l = calloc(1, sizeof(*l) + sizeof(struct link_rcu) + priv_size + 16);

	if (!l)
		return NULL;
	ref_init(&l->ref, 1);
	l->ns = ns;
	l->stack = ns->stack;
	l->ops = ops;
	l->priv = (char *)(l + 1) + ALIGN_UP(sizeof(struct link_rcu), 16);
	l->mtu = 1500;
	l->txqlen = 1000;
	list_init(&l->node);
	list_init(&l->addrs);
	list_init(&l->groups);
	l->conf.send_redirects = 1;
	l->conf.accept_redirects = 1;
	l->conf.v6_dad_transmits = 1;
	l->conf.v6_hop_limit = 64;
	l->conf.v6_accept_ra = 1;
	l->conf.v6_autoconf = 1;
	/* RFC 4861 section 10, and Linux's defaults for IPv4 */
	l->neigh.base_reachable = 30 * NET_SEC;
	l->neigh.retrans = NET_SEC;
	l->neigh.delay_probe = 5 * NET_SEC;
	l->neigh.gc_stale = 60 * NET_SEC;
	l->neigh.ucast_probes = 3;
	l->neigh.mcast_probes = 3;
	l->neigh.queue_len = 101;
	return l;
}

static void link_free_rcu(struct net_rcu *r)
{
	struct net_link *l = container_of(r, struct link_rcu, rcu)->link;

	if (l->ops->destroy)
		l->ops->destroy(l);
	free(l);
}

void net_link_put(struct net_link *l)
{
	if (l && ref_put(&l->ref)) {
		struct link_rcu *r = (struct link_rcu *)(l + 1);

		r->link = l;
		net_rcu_free(l->stack, &r->rcu, link_free_rcu);
	}
}

void net_link_setup_ether(struct net_link *link, const uint8_t *mac)
{
	link->hwtype = NET_ARPHRD_ETHER;
	link->hwlen = 6;
	memset(link->bcast, 0xff, 6);
	if (mac) {
		memcpy(link->mac, mac, 6);
	} else {
		uint32_t r[2] = { net_random32(), net_random32() };

		memcpy(link->mac, r, 6);
		link->mac[0] = (uint8_t)((link->mac[0] & 0xfe) | 0x02); /* unicast, locally administered */
	}
	atomic_store(&link->flags, NET_IFF_BROADCAST | NET_IFF_MULTICAST);
}

static struct net_link *find_index_locked(struct net_ns *ns, uint32_t index)
{
	struct net_link *l;

	list_for_each_entry(l, &ns->links, node)
		if (l->index == index)
			return l;
	return NULL;
}

static struct net_link *find_name_locked(struct net_ns *ns, const char *name)
{
	struct net_link *l;

	list_for_each_entry(l, &ns->links, node)
		if (!strcmp(l->name, name))
			return l;
	return NULL;
}

struct net_link *net_link_by_index(struct net_ns *ns, uint32_t index)
{
	struct net_link *l;

	mutex_lock(&ns->cfg_mu);
	l = find_index_locked(ns, index);
	if (l)
		net_link_get(l);
	mutex_unlock(&ns->cfg_mu);
	return l;
}

struct net_link *net_link_by_name(struct net_ns *ns, const char *name)
{
	struct net_link *l;

	mutex_lock(&ns->cfg_mu);
	l = find_name_locked(ns, name);
	if (l)
		net_link_get(l);
	mutex_unlock(&ns->cfg_mu);
	return l;
}

int net_link_each(struct net_ns *ns, int (*fn)(struct net_link *l, void *arg), void *arg)
{
	struct net_link *l;
	int ret = 0;

	mutex_lock(&ns->cfg_mu);
	list_for_each_entry(l, &ns->links, node) {
		ret = fn(l, arg);
		if (ret)
			break;
	}
	mutex_unlock(&ns->cfg_mu);
	return ret;
}

static bool name_valid(const char *name)
{
	size_t n = strnlen(name, NET_IFNAMSIZ);

	if (n == 0 || n == NET_IFNAMSIZ || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++)
		if (*name == '/' || *name == ':' || (unsigned char)*name <= ' ')
			return false;
	return true;
}

/* @tmpl as "veth%d": the first free number. */
static int name_pick_locked(struct net_ns *ns, const char *tmpl, char out[NET_IFNAMSIZ])
{
	const char *pct = strchr(tmpl, '%');

	if (!pct) {
		if (!name_valid(tmpl))
			return -LINUX_EINVAL;
		if (find_name_locked(ns, tmpl))
			return -LINUX_EEXIST;
		strcpy(out, tmpl);
		return 0;
	}
	if (pct[1] != 'd' || strchr(pct + 1, '%'))
		return -LINUX_EINVAL;
	for (unsigned i = 0; i < 32768; i++) {
		int n = snprintf(out, NET_IFNAMSIZ, "%.*s%u%s", (int)(pct - tmpl), tmpl, i, pct + 2);

		if (n >= NET_IFNAMSIZ || !name_valid(out))
			return -LINUX_EINVAL;
		if (!find_name_locked(ns, out))
			return 0;
	}
	return -LINUX_ENFILE;
}

static void insert_sorted_locked(struct net_ns *ns, struct net_link *link)
{
	struct list *at = &ns->links;
	struct net_link *l;

	list_for_each_entry(l, &ns->links, node)
		if (l->index > link->index) {
			at = &l->node;
			break;
		}
	list_add_tail(at, &link->node);
}

#define NET_MAX_LINKS 4096 /* per namespace */

static int register_locked(struct net_ns *ns, struct net_link *link, const struct net_link_param *p,
			   const char *tmpl)
{
	int ret = name_pick_locked(ns, p && p->name && p->name[0] ? p->name : tmpl, link->name);

	if (ret)
		return ret;
	if (ns->nr_links >= NET_MAX_LINKS)
		return -LINUX_ENOSPC;
	if (p && p->index) {
		if (find_index_locked(ns, p->index))
			return -LINUX_EEXIST;
		link->index = p->index;
	} else {
		do {
			link->index = ++ns->next_index;
		} while (!link->index || find_index_locked(ns, link->index));
	}
	if (p && p->mtu)
		link->mtu = p->mtu;
	insert_sorted_locked(ns, link);
	ns->nr_links++;
	return 0;
}

/* "all" has been written to every link there was, loopback first: later ones start from what it has. */
static void inherit_forwarding(struct net_link *link, const struct net_ns *ns)
{
	if (!ns->lo)
		return;
	link->conf.forwarding = ns->lo->conf.forwarding;
	link->conf.v6_forwarding = ns->lo->conf.v6_forwarding;
}

int net_link_register(struct net_link *link, const struct net_link_param *p, const char *tmpl)
{
	struct net_ns *ns = link->ns;
	int ret;

	if (p && p->mtu && (p->mtu < NET_MTU_MIN || p->mtu > NET_MTU_MAX))
		return -LINUX_EINVAL;
	inherit_forwarding(link, ns);
	mutex_lock(&ns->cfg_mu);
	ret = register_locked(ns, link, p, tmpl);
	mutex_unlock(&ns->cfg_mu);
	if (!ret)
		net_notify(ns, NET_EV_LINK_NEW, link);
	return ret;
}

/* Addresses, routes and neighbours of a link that goes down or away. */
static void link_forget(struct net_link *link, bool addrs)
{
	if (addrs)
		net_addr_flush(link);
	net_route_flush_link(link->ns, link->index, NULL);
	net_neigh_flush_link(link->ns, link);
	net_route_gen_bump(link->ns);
}

int net_link_set_up(struct net_link *link, bool up)
{
	uint32_t run = NET_IFF_UP | NET_IFF_RUNNING | NET_IFF_LOWER_UP;
	bool was = net_link_up(link);
	int ret;

	if (was == up)
		return 0;
	if (up) {
		ret = link->ops->open ? link->ops->open(link) : 0;
		if (ret)
			return ret;
		atomic_fetch_or(&link->flags, link->no_carrier ? NET_IFF_UP : run);
		net_addr_link_up(link);
	} else {
		atomic_fetch_and(&link->flags, ~run);
		net_addr_link_down(link);
		link_forget(link, false);
		if (link->ops->stop)
			link->ops->stop(link);
	}
	net_route_gen_bump(link->ns);
	net_notify(link->ns, NET_EV_LINK_NEW, link);
	return 0;
}

/* veth: the other end went up or down */
void net_link_carrier(struct net_link *link, bool on)
{
	uint32_t bits = NET_IFF_RUNNING | NET_IFF_LOWER_UP;

	link->no_carrier = !on;
	if (on && net_link_up(link))
		atomic_fetch_or(&link->flags, bits);
	else
		atomic_fetch_and(&link->flags, ~bits);
	net_notify(link->ns, NET_EV_LINK_NEW, link);
}

int net_link_set_mtu(struct net_link *link, uint32_t mtu)
{
	int ret;

	if (mtu < NET_MTU_MIN || mtu > NET_MTU_MAX)
		return -LINUX_EINVAL;
	ret = link->ops->set_mtu ? link->ops->set_mtu(link, mtu) : 0;
	if (ret)
		return ret;
	link->mtu = mtu;
	net_route_gen_bump(link->ns);
	net_notify(link->ns, NET_EV_LINK_NEW, link);
	return 0;
}

int net_link_set_mac(struct net_link *link, const uint8_t mac[6])
{
	int ret;

	if (link->hwlen != 6)
		return -LINUX_EOPNOTSUPP;
	if (mac[0] & 1)
		return -LINUX_EADDRNOTAVAIL;
	ret = link->ops->set_mac ? link->ops->set_mac(link, mac) : 0;
	if (ret)
		return ret;
	memcpy(link->mac, mac, 6);
	net_notify(link->ns, NET_EV_LINK_NEW, link);
	return 0;
}

int net_link_set_name(struct net_link *link, const char *name)
{
	struct net_ns *ns = link->ns;
	char out[NET_IFNAMSIZ];
	int ret;

	if (net_link_up(link))
		return -LINUX_EBUSY;
	mutex_lock(&ns->cfg_mu);
	ret = name_pick_locked(ns, name, out);
	if (!ret)
		memcpy(link->name, out, sizeof(out));
	mutex_unlock(&ns->cfg_mu);
	if (!ret)
		net_notify(ns, NET_EV_LINK_NEW, link);
	return ret;
}

void net_link_promisc(struct net_link *link, int delta)
{
	mutex_lock(&link->ns->cfg_mu);
	link->promisc = (uint32_t)((int64_t)link->promisc + delta);
	if (link->promisc)
		atomic_fetch_or(&link->flags, NET_IFF_PROMISC);
	else
		atomic_fetch_and(&link->flags, ~(uint32_t)NET_IFF_PROMISC);
	mutex_unlock(&link->ns->cfg_mu);
}

void net_link_allmulti(struct net_link *link, int delta)
{
	mutex_lock(&link->ns->cfg_mu);
	link->allmulti = (uint32_t)((int64_t)link->allmulti + delta);
	if (link->allmulti)
		atomic_fetch_or(&link->flags, NET_IFF_ALLMULTI);
	else
		atomic_fetch_and(&link->flags, ~(uint32_t)NET_IFF_ALLMULTI);
	mutex_unlock(&link->ns->cfg_mu);
}

/* Unlinks; the caller notified and drops the namespace's reference. */
static bool link_unlist(struct net_link *link)
{
	struct net_ns *ns = link->ns;
	bool was;

	mutex_lock(&ns->cfg_mu);
	was = !list_empty(&link->node);
	if (was) {
		list_del_init(&link->node);
		ns->nr_links--;
	}
	mutex_unlock(&ns->cfg_mu);
	return was;
}

void net_link_remove(struct net_link *link)
{
	net_link_set_up(link, false);
	if (link->master)
		net_link_set_master(link, NULL);
	if (!link_unlist(link))
		return;
	link->dead = true;
	link_forget(link, true);
	net_mcast_link_gone(link);
	net_notify(link->ns, NET_EV_LINK_DEL, link);
	net_link_put(link);
}

int net_link_del(struct net_link *link)
{
	if (link->ops->del)
		return link->ops->del(link);
	net_link_remove(link);
	return 0;
}

int net_link_move(struct net_link *link, struct net_ns *to)
{
	struct net_ns *from = link->ns;
	char name[NET_IFNAMSIZ];
	struct net_link_param p = { .name = name };
	int ret;

	if (from == to)
		return 0;
	if (link == from->lo || to->stack != from->stack)
		return -LINUX_EINVAL;
	memcpy(name, link->name, sizeof(name));
	net_link_set_up(link, false);
	if (link->master)
		net_link_set_master(link, NULL);
	if (!link_unlist(link))
		return -LINUX_ENODEV;
	link_forget(link, true);
	net_mcast_link_gone(link);
	net_notify(from, NET_EV_LINK_DEL, link);
	link->ns = to;
	ret = net_link_register(link, &p, "dev%d");
	if (ret) { /* the name is taken there: Linux would refuse before moving; we put it back */
		link->ns = from;
		BUG_ON(net_link_register(link, NULL, "dev%d"));
	}
	return ret;
}
