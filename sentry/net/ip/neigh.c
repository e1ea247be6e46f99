/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/neigh.c - neighbour cache: link addresses of next hops and how sure we are of them
 *
 * Model:   one table per namespace, entries keyed by link and address; state machine of RFC 4861 section 7.3 for
 *          both families. Packets wait in the entry until it is resolved.
 * Locks:   ns->neigh->mu (table), then neigh.mu (entry). Packets are sent with neither held.
 * Source:  RFC 4861 section 7.3; Linux's NUD names and defaults (arp(7)).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"

#define NEIGH_BUCKETS 256
#define NEIGH_MAX     4096 /* entries per namespace; the oldest stale ones make room */

struct neigh_table {
	struct mutex mu;
	struct list bucket[NEIGH_BUCKETS];
	uint32_t nr;
};

static void neigh_timer(struct net_timer *t);

int net_neigh_init(struct net_ns *ns)
{
	ns->neigh = calloc(1, sizeof(*ns->neigh));
	if (!ns->neigh)
		return -LINUX_ENOMEM;
	for (unsigned i = 0; i < NEIGH_BUCKETS; i++)
		list_init(&ns->neigh->bucket[i]);
	return 0;
}

void net_neigh_fini(struct net_ns *ns)
{
	free(ns->neigh);
}

void neigh_put(struct neigh *n)
{
	if (!ref_put(&n->ref))
		return;
	pkt_list_free(&n->queue);
	net_link_put(n->link);
	free(n);
}

static struct list *neigh_bucket(struct net_link *link, const struct naddr *a)
{
	return &link->ns->neigh->bucket[net_hash_addr(a, link->stack->hash_seed + link->index) % NEIGH_BUCKETS];
}

static struct neigh *find_locked(struct net_link *link, const struct naddr *a)
{
	struct neigh *n;

	list_for_each_entry(n, neigh_bucket(link, a), node)
		if (n->link == link && naddr_eq(&n->addr, a))
			return n;
	return NULL;
}

static void unlink_locked(struct neigh_table *t, struct neigh *n)
{
	list_del_init(&n->node);
	n->dead = true;
	t->nr--;
}

/* Makes room: drops one entry that nobody would miss. */
static struct neigh *evict_locked(struct neigh_table *t)
{
	struct neigh *n, *best = NULL;

	for (unsigned i = 0; i < NEIGH_BUCKETS; i++)
		list_for_each_entry(n, &t->bucket[i], node)
			if (!(n->state & (NET_NUD_PERMANENT | NET_NUD_NOARP)) &&
			    (!best || n->used_ns < best->used_ns))
				best = n;
	if (best)
		unlink_locked(t, best);
	return best;
}

/* With a reference; NULL when out of memory. */
static struct neigh *neigh_get(struct net_link *link, const struct naddr *a, bool create)
{
	struct neigh_table *t = link->ns->neigh;
	struct neigh *n, *victim = NULL;

	mutex_lock(&t->mu);
	n = find_locked(link, a);
	if (!n && create && !link->dead) {
		n = calloc(1, sizeof(*n));
		if (n) {
			if (t->nr >= NEIGH_MAX)
				victim = evict_locked(t);
			ref_init(&n->ref, 1);
			net_link_get(link);
			n->link = link;
			n->addr = *a;
			net_timer_init(&n->timer, neigh_timer);
			n->updated_ns = n->used_ns = net_now(link->stack);
			if (link->flags & (NET_IFF_NOARP | NET_IFF_LOOPBACK))
				n->state = NET_NUD_NOARP;
			list_add(neigh_bucket(link, a), &n->node);
			t->nr++;
		}
	}
	if (n)
		ref_get(&n->ref);
	mutex_unlock(&t->mu);
	if (victim) {
		if (net_timer_cancel(link->stack, &victim->timer))
			neigh_put(victim);
		neigh_put(victim);
	}
	return n;
}

static void arm(struct neigh *n, uint64_t when)
{
	ref_get(&n->ref);
	if (!net_timer_arm(n->link->stack, &n->timer, when))
		neigh_put(n);
}

static void solicit(struct neigh *n, const uint8_t *mac)
{
	struct naddr src = naddr_is_v4(&n->addr) ? NADDR_ANY4 : NADDR_ANY6;

	net_addr_select(n->link, &n->addr, &src);
	if (naddr_is_v4(&n->addr))
		arp_solicit(n->link, &n->addr, mac, &src);
	else
		ndp_solicit(n->link, &n->addr, mac, &src);
}

/* Resolution failed: senders hear of it (RFC 1122 section 2.3.2.2, RFC 4861 section 7.2.2). */
static void fail_queue(struct neigh *n, struct pkt_list *q)
{
	struct net_ns *ns = n->link->ns;
	struct pkt *p;

	while ((p = pkt_list_pop(q))) {
		if (!p->iif)
			p->type = PKT_HOST; /* our own: the error comes back by loopback */
		icmp_send_any(ns, p, false);
		net_drop(ns, p, DROP_NEIGH_FAILED);
	}
}

static void neigh_timer(struct net_timer *t)
{
	struct neigh *n = container_of(t, struct neigh, timer);
	struct net_link *l = n->link;
	struct pkt_list failed = { 0 };
	uint64_t now = net_now(l->stack);
	const uint8_t *to = NULL;
	bool ask = false, event = false;
	uint8_t mac[6];

	mutex_lock(&n->mu);
	memcpy(mac, n->mac, 6);
	switch (n->dead ? 0 : (uint8_t)n->state) {
	case NET_NUD_REACHABLE:
		if (now < n->confirmed_ns + l->neigh.base_reachable) {
			arm(n, n->confirmed_ns + l->neigh.base_reachable);
			break;
		}
		n->state = NET_NUD_STALE;
		event = true;
		break;
	case NET_NUD_DELAY:
		if (now < n->confirmed_ns + l->neigh.delay_probe) {
			n->state = NET_NUD_REACHABLE;
			arm(n, n->confirmed_ns + l->neigh.base_reachable);
			break;
		}
		n->state = NET_NUD_PROBE;
		n->probes = 0;
		/* fall through */
	case NET_NUD_PROBE:
	case NET_NUD_INCOMPLETE: {
		bool probe = n->state == NET_NUD_PROBE;

		if (n->probes >= (probe ? l->neigh.ucast_probes : l->neigh.mcast_probes)) {
			n->state = NET_NUD_FAILED;
			failed = n->queue;
			pkt_list_init(&n->queue);
			event = true;
			break;
		}
		n->probes++;
		ask = true;
		to = probe ? mac : NULL;
		arm(n, now + l->neigh.retrans);
		break;
	}
	}
	mutex_unlock(&n->mu);
	if (ask)
		solicit(n, to);
	fail_queue(n, &failed);
	if (event)
		net_notify(l->ns, NET_EV_NEIGH_NEW, n);
	neigh_put(n);
}

/* Prepends the Ethernet header. */
static bool push_eth(struct net_link *l, struct pkt *p, const uint8_t *mac)
{
	uint8_t *h = pkt_push(p, ETH_HLEN);

	if (!h)
		return false;
	memcpy(h, mac, 6);
	memcpy(h + 6, l->mac, 6);
	wr16(h + 12, p->proto);
	p->l2 = (uint16_t)(h - p->head);
	return true;
}

static void send_to(struct net_link *l, struct pkt_list *q, const uint8_t *mac)
{
	struct pkt_list out = { 0 };
	struct pkt *p;

	while ((p = pkt_list_pop(q))) {
		if (push_eth(l, p, mac))
			pkt_list_add(&out, p);
		else
			net_drop(l->ns, p, DROP_NOMEM);
	}
	net_link_output(l, &out);
}

/* Multicast addresses map to MACs by computation (RFC 1112 section 6.4, RFC 2464 section 7). */
static void mc_mac(const struct naddr *a, uint8_t mac[6])
{
	if (naddr_is_v4(a)) {
		mac[0] = 0x01;
		mac[1] = 0x00;
		mac[2] = 0x5e;
		mac[3] = a->b[13] & 0x7f;
		mac[4] = a->b[14];
		mac[5] = a->b[15];
	} else {
		mac[0] = mac[1] = 0x33;
		memcpy(mac + 2, a->b + 12, 4);
	}
}

/* Not resolved yet: queue, ask. */
static void queue_and_ask(struct neigh *n, struct pkt_list *q)
{
	struct net_link *l = n->link;
	struct pkt_list full = { 0 };
	bool ask = false;
	struct pkt *p;

	mutex_lock(&n->mu);
	if (n->state & NET_NUD_VALID) { /* resolved meanwhile */
		uint8_t mac[6];

		memcpy(mac, n->mac, 6);
		mutex_unlock(&n->mu);
		send_to(l, q, mac);
		return;
	}
	if (n->state != NET_NUD_INCOMPLETE) {
		n->state = NET_NUD_INCOMPLETE;
		n->probes = 1;
		ask = true;
		arm(n, net_now(l->stack) + l->neigh.retrans);
	}
	while ((p = pkt_list_pop(q))) {
		if (n->queue.nr >= l->neigh.queue_len)
			pkt_list_add(&full, pkt_list_pop(&n->queue)); /* the oldest goes */
		pkt_list_add(&n->queue, p);
	}
	mutex_unlock(&n->mu);
	if (ask)
		solicit(n, NULL);
	while ((p = pkt_list_pop(&full)))
		net_drop(l->ns, p, DROP_NEIGH_QUEUE);
}

static struct neigh *dst_neigh(struct dst *d)
{
	struct neigh *n = atomic_load_explicit(&d->neigh, memory_order_acquire), *none = NULL;

	if (n && !n->dead)
		return n;
	if (n) { /* the table dropped it: this dst must not use a dead entry for good */
		net_route_gen_bump(d->link->ns);
		return n;
	}
	n = neigh_get(d->link, &d->nexthop, true);
	if (n && !atomic_compare_exchange_strong(&d->neigh, &none, n)) {
		neigh_put(n);
		n = none;
	}
	return n;
}

static void neigh_used(struct neigh *n, uint8_t state)
{
	uint64_t now = net_now(n->link->stack);

	n->used_ns = now;
	if (state != NET_NUD_STALE)
		return;
	mutex_lock(&n->mu);
	if (n->state == NET_NUD_STALE) { /* RFC 4861 section 7.3.3: first use of a stale entry */
		n->state = NET_NUD_DELAY;
		n->updated_ns = now;
		arm(n, now + n->link->neigh.delay_probe);
	}
	mutex_unlock(&n->mu);
}

void neigh_output_list(struct dst *d, struct pkt_list *q)
{
	struct net_link *l = d->link;
	struct neigh *n;
	uint8_t mac[6];
	uint8_t state;

	if (!l->hwlen) {
		net_link_output(l, q);
		return;
	}
	if (unlikely(d->type == NET_RTN_MULTICAST)) {
		mc_mac(&d->nexthop, mac);
		send_to(l, q, mac);
		return;
	}
	if (unlikely(d->type == NET_RTN_BROADCAST)) {
		send_to(l, q, l->bcast);
		return;
	}
	n = dst_neigh(d);
	if (!n) {
		net_drop_count(l->ns, DROP_NOMEM);
		pkt_list_free(q);
		return;
	}
	state = atomic_load_explicit(&n->state, memory_order_acquire);
	if (unlikely(!(state & NET_NUD_VALID))) {
		queue_and_ask(n, q);
		return;
	}
	if (unlikely(state & (NET_NUD_STALE | NET_NUD_DELAY | NET_NUD_PROBE)))
		neigh_used(n, state);
	mutex_lock(&n->mu);
	memcpy(mac, n->mac, 6);
	mutex_unlock(&n->mu);
	send_to(l, q, mac);
}

void neigh_output(struct dst *d, struct pkt *p)
{
	struct pkt_list l = { 0 };

	pkt_list_add(&l, p);
	neigh_output_list(d, &l);
}

void neigh_confirm(struct dst *d)
{
	struct neigh *n = d ? atomic_load_explicit(&d->neigh, memory_order_acquire) : NULL;

	if (!n || !(n->state & (NET_NUD_STALE | NET_NUD_DELAY | NET_NUD_PROBE | NET_NUD_REACHABLE)))
		return;
	if (n->state == NET_NUD_REACHABLE || n->state == NET_NUD_DELAY) {
		n->confirmed_ns = net_now(n->link->stack);
		return;
	}
	mutex_lock(&n->mu);
	if (n->state & (NET_NUD_STALE | NET_NUD_PROBE)) {
		n->state = NET_NUD_REACHABLE;
		n->confirmed_ns = net_now(n->link->stack);
		arm(n, n->confirmed_ns + n->link->neigh.base_reachable);
	}
	mutex_unlock(&n->mu);
}

void neigh_learn(struct net_link *link, const struct naddr *addr, const uint8_t mac[6], uint8_t state, bool override,
		 bool create, int is_router)
{
	struct neigh *n = neigh_get(link, addr, create);
	struct pkt_list ready = { 0 };
	uint64_t now = net_now(link->stack);
	bool changed = false;

	if (!n)
		return;
	mutex_lock(&n->mu);
	if (n->dead || (n->state & (NET_NUD_PERMANENT | NET_NUD_NOARP)))
		goto out;
	if (is_router >= 0)
		n->flags = (uint8_t)(is_router ? n->flags | NET_NEIGH_ROUTER : n->flags & ~NET_NEIGH_ROUTER);
	changed = memcmp(n->mac, mac, 6) != 0;
	if ((n->state & NET_NUD_VALID) && changed && !override) {
		if (n->state == NET_NUD_REACHABLE)
			n->state = NET_NUD_STALE; /* RFC 4861 section 7.2.5, I.a */
		goto out;
	}
	if ((n->state & NET_NUD_VALID) && !changed && state == NET_NUD_STALE)
		goto out; /* no news */
	memcpy(n->mac, mac, 6);
	changed |= n->state != state;
	atomic_store_explicit(&n->state, state, memory_order_release);
	n->updated_ns = now;
	if (state == NET_NUD_REACHABLE) {
		n->confirmed_ns = now;
		arm(n, now + link->neigh.base_reachable);
	}
	n->probes = 0;
	ready = n->queue;
	pkt_list_init(&n->queue);
out:
	mutex_unlock(&n->mu);
	if (ready.head)
		send_to(link, &ready, mac);
	if (changed)
		net_notify(link->ns, NET_EV_NEIGH_NEW, n);
	neigh_put(n);
}

int net_neigh_set(struct net_link *link, const struct naddr *addr, const uint8_t mac[6], uint8_t state, uint8_t flags)
{
	struct neigh *n = neigh_get(link, addr, true);
	struct pkt_list ready = { 0 };

	if (!n)
		return -LINUX_ENOMEM;
	mutex_lock(&n->mu);
	memcpy(n->mac, mac, 6);
	n->flags = flags;
	n->updated_ns = n->confirmed_ns = net_now(link->stack);
	atomic_store_explicit(&n->state, state ? state : NET_NUD_PERMANENT, memory_order_release);
	if (n->state == NET_NUD_REACHABLE)
		arm(n, n->confirmed_ns + link->neigh.base_reachable);
	if (n->state & NET_NUD_VALID) {
		ready = n->queue;
		pkt_list_init(&n->queue);
	}
	mutex_unlock(&n->mu);
	bh_enter();
	if (ready.head)
		send_to(link, &ready, mac);
	bh_leave();
	net_notify(link->ns, NET_EV_NEIGH_NEW, n);
	neigh_put(n);
	return 0;
}

static void neigh_drop(struct neigh *n)
{
	struct net_link *l = n->link;

	net_link_get(l);
	net_notify(l->ns, NET_EV_NEIGH_DEL, n);
	if (net_timer_cancel(l->stack, &n->timer))
		neigh_put(n);
	net_route_gen_bump(l->ns);
	neigh_put(n);
	net_link_put(l);
}

int net_neigh_del(struct net_link *link, const struct naddr *addr)
{
	struct neigh_table *t = link->ns->neigh;
	struct neigh *n;

	mutex_lock(&t->mu);
	n = find_locked(link, addr);
	if (n)
		unlink_locked(t, n);
	mutex_unlock(&t->mu);
	if (!n)
		return -LINUX_ENOENT;
	neigh_drop(n);
	return 0;
}

void net_neigh_flush_link(struct net_ns *ns, struct net_link *link)
{
	struct neigh_table *t = ns->neigh;
	struct neigh *n, *found;

	do {
		found = NULL;
		mutex_lock(&t->mu);
		for (unsigned i = 0; i < NEIGH_BUCKETS && !found; i++)
			list_for_each_entry(n, &t->bucket[i], node)
				if (n->link == link) {
					found = n;
					unlink_locked(t, n);
					break;
				}
		mutex_unlock(&t->mu);
		if (found)
			neigh_drop(found);
	} while (found);
}

int net_neigh_each(struct net_ns *ns, int (*fn)(struct neigh *n, void *arg), void *arg)
{
	struct neigh_table *t = ns->neigh;
	struct neigh *n;
	int ret = 0;

	mutex_lock(&t->mu);
	for (unsigned i = 0; i < NEIGH_BUCKETS && !ret; i++)
		list_for_each_entry(n, &t->bucket[i], node)
			if ((ret = fn(n, arg)))
				break;
	mutex_unlock(&t->mu);
	return ret;
}
