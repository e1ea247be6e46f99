/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/ns.c - network namespaces
 *
 * Model:   a namespace is born with a loopback link that is down and has no address, as Linux makes it.
 *          The last reference (tasks, sockets, files that pin it) removes the links.
 */
#include "sentry/net/core/bh.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/nf.h"
#include "sentry/net/sock_internal.h"

static void ns_free(struct net_ns *ns)
{
	sock_tables_fini(ns);
	frag_table_fini(ns);
	nf_ns_fini(ns);
	net_neigh_fini(ns);
	net_fib_fini(ns);
	free(ns->pmtu);
	tcp_fo_cache_free(ns);
	net_reserved_ports_free(ns);
	free(ns);
}

static void ns_free_rcu(struct net_rcu *r)
{
	ns_free(container_of(r, struct net_ns, rcu));
}

int net_ns_new(struct net_stack *st, struct net_ns **out)
{
	static _Atomic uint64_t cookies;
	struct net_ns *ns = calloc(1, sizeof(*ns));
	int ret;

	if (!ns)
		return -LINUX_ENOMEM;
	ref_init(&ns->ref, 1);
	ns->stack = st;
	ns->cookie = 1 + atomic_fetch_add(&cookies, 1);
	list_init(&ns->links);
	list_init(&ns->node);
	list_init(&ns->packets);
	atomic_store(&ns->ip_id, net_random32());
	atomic_store(&ns->route_gen, 1);
	net_sysctl_init(&ns->sysctl);
	if ((ret = net_fib_init(ns)) || (ret = net_neigh_init(ns)) || (ret = sock_tables_init(ns)) ||
	    (ret = frag_table_init(ns)) || (ret = nf_ns_init(ns)) || (ret = net_link_new_loopback(ns, &ns->lo))) {
		ns_free(ns);
		return ret;
	}
	mutex_lock(&st->ns_mu);
	list_add_tail(&st->namespaces, &ns->node);
	mutex_unlock(&st->ns_mu);
	*out = ns;
	return 0;
}

void net_ns_put(struct net_ns *ns)
{
	struct net_link *l;

	if (!ns || !ref_put(&ns->ref))
		return;
	for (;;) {
		struct net_link *victim = NULL;

		mutex_lock(&ns->cfg_mu);
		list_for_each_entry(l, &ns->links, node)
			if (l != ns->lo) {
				victim = l;
				net_link_get(l);
				break;
			}
		mutex_unlock(&ns->cfg_mu);
		if (!victim)
			break;
		net_link_del(victim);
		net_link_put(victim);
	}
	sock_tables_kill(ns); /* TIME_WAIT and request entries hold no reference to the namespace */
	net_link_remove(ns->lo);
	frag_table_flush(ns);
	mutex_lock(&ns->stack->ns_mu);
	list_del_init(&ns->node);
	mutex_unlock(&ns->stack->ns_mu);
	net_rcu_free(ns->stack, &ns->rcu, ns_free_rcu);
}

void net_notify(struct net_ns *ns, enum net_event ev, void *obj)
{
	if (ns->notify.fn)
		ns->notify.fn(ns, ev, obj, ns->notify.ctx);
}
