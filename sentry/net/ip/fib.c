/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/fib.c - routing tables: insertion, removal, longest prefix match
 *
 * Model:   a table is a hash of prefixes and a bitmap of the prefix lengths in use; a lookup asks the hash once
 *          per length in use, longest first. Real tables use a handful of lengths.
 * Locks:   fib->mu.
 * Source:  RFC 1812 section 5.2.4.3 (longest match), ip-route(8) for metrics, types and replacement rules.
 */
#include "sentry/net/ip/fib.h"

static uint32_t prefix_hash(const struct naddr *p, unsigned plen)
{
	return net_hash_addr(p, plen * 0x9e3779b97f4a7c15ull);
}

int net_fib_init(struct net_ns *ns)
{
	ns->fib = calloc(1, sizeof(*ns->fib));
	if (!ns->fib)
		return -LINUX_ENOMEM;
	list_init(&ns->fib->tables);
	list_init(&ns->fib->rules);
	return fib_rules_init(ns->fib);
}

static void table_free(struct fib_table *t)
{
	for (uint32_t i = 0; i < t->nr_buckets; i++) {
		struct fib_node *n, *next;

		for (n = t->buckets[i]; n; n = next) {
			struct net_route *r, *tmp;

			next = n->next;
			list_for_each_entry_safe(r, tmp, &n->routes, node)
				free(r);
			free(n);
		}
	}
	free(t->buckets);
	free(t);
}

void net_fib_fini(struct net_ns *ns)
{
	struct fib_table *t, *tmp;

	if (!ns->fib)
		return;
	list_for_each_entry_safe(t, tmp, &ns->fib->tables, node)
		table_free(t);
	fib_rules_fini(ns->fib);
	free(ns->fib);
}

struct fib_table *fib_table_find_locked(struct fib *f, uint8_t family, uint32_t id)
{
	struct fib_table *t;

	list_for_each_entry(t, &f->tables, node)
		if (t->id == id && t->family == family)
			return t;
	return NULL;
}

static struct fib_table *table_get_locked(struct fib *f, uint8_t family, uint32_t id)
{
	struct fib_table *t = fib_table_find_locked(f, family, id);

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	t->id = id;
	t->family = family;
	t->nr_buckets = 16;
	t->buckets = calloc(t->nr_buckets, sizeof(*t->buckets));
	if (!t->buckets) {
		free(t);
		return NULL;
	}
	list_add_tail(&f->tables, &t->node);
	return t;
}

static struct fib_node *node_find(struct fib_table *t, const struct naddr *prefix, unsigned plen)
{
	struct fib_node *n = t->buckets[prefix_hash(prefix, plen) & (t->nr_buckets - 1)];

	while (n && (n->plen != plen || !naddr_eq(&n->prefix, prefix)))
		n = n->next;
	return n;
}

static void table_grow(struct fib_table *t)
{
	uint32_t nb = t->nr_buckets * 2;
	struct fib_node **b = calloc(nb, sizeof(*b)), *n, *next;

	if (!b)
		return; /* longer chains still work */
	for (uint32_t i = 0; i < t->nr_buckets; i++)
		for (n = t->buckets[i]; n; n = next) {
			uint32_t h = prefix_hash(&n->prefix, n->plen) & (nb - 1);

			next = n->next;
			n->next = b[h];
			b[h] = n;
		}
	free(t->buckets);
	t->buckets = b;
	t->nr_buckets = nb;
}

static struct fib_node *node_get(struct fib_table *t, const struct naddr *prefix, unsigned plen)
{
	struct fib_node *n = node_find(t, prefix, plen);
	uint32_t h;

	if (n)
		return n;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	if (t->nr_nodes >= 2 * t->nr_buckets)
		table_grow(t);
	n->prefix = *prefix;
	n->plen = (uint8_t)plen;
	list_init(&n->routes);
	h = prefix_hash(prefix, plen) & (t->nr_buckets - 1);
	n->next = t->buckets[h];
	t->buckets[h] = n;
	t->nr_nodes++;
	if (t->plen_count[plen]++ == 0)
		t->plen_bits[plen / 64] |= 1ull << (plen % 64);
	return n;
}

static void node_drop_if_empty(struct fib_table *t, struct fib_node *n)
{
	struct fib_node **pp = &t->buckets[prefix_hash(&n->prefix, n->plen) & (t->nr_buckets - 1)];

	if (!list_empty(&n->routes))
		return;
	while (*pp != n)
		pp = &(*pp)->next;
	*pp = n->next;
	t->nr_nodes--;
	if (--t->plen_count[n->plen] == 0)
		t->plen_bits[n->plen / 64] &= ~(1ull << (n->plen % 64));
	free(n);
}

/* Same identity for add (EEXIST): metric and tos. */
static bool same_key(const struct net_route_param *a, const struct net_route_param *b)
{
	return a->metric == b->metric && a->tos == b->tos;
}

static bool same_route(const struct net_route_param *a, const struct net_route_param *b)
{
	if (!same_key(a, b) || a->type != b->type || a->nr_hops != b->nr_hops || a->scope != b->scope ||
	    !naddr_eq(&a->src, &b->src))
		return false;
	for (unsigned i = 0; i < a->nr_hops; i++)
		if (a->hops[i].oif != b->hops[i].oif || !naddr_eq(&a->hops[i].gw, &b->hops[i].gw))
			return false;
	return true;
}

static int insert_locked(struct fib *f, const struct net_route_param *p, unsigned how, bool *replaced)
{
	unsigned plen = plen128(p->family, p->dst_len);
	struct naddr prefix = naddr_mask(&p->dst, plen);
	struct fib_table *t = table_get_locked(f, p->family, p->table);
	struct net_route *r, *old = NULL, *n;
	struct fib_node *node;
	struct list *at;

	if (!t)
		return -LINUX_ENOMEM;
	if (f->nr_routes >= FIB_MAX_ROUTES)
		return -LINUX_ENOSPC;
	node = node_find(t, &prefix, plen);
	if (node)
		list_for_each_entry(r, &node->routes, node) {
			if (same_route(&r->p, p) && !(how & NET_RT_REPLACE))
				return -LINUX_EEXIST;
			if (same_key(&r->p, p) && !old)
				old = r;
		}
	/* IPv6 may hold several next hops under one key (ECMP by appending); IPv4 wants NLM_F_APPEND for that. */
	if (old && !(how & (NET_RT_REPLACE | NET_RT_APPEND)) &&
	    (p->family == NET_AF_INET || (how & NET_RT_EXCL)) && p->table != NET_RT_TABLE_LOCAL)
		return -LINUX_EEXIST;
	if (!old && (how & NET_RT_REPLACE) && !(how & NET_RT_CREATE))
		return -LINUX_ENOENT;
	n = malloc(sizeof(*n));
	if (!n)
		return -LINUX_ENOMEM;
	n->p = *p;
	n->p.dst = prefix;
	if (old && (how & NET_RT_REPLACE)) {
		list_add(&old->node, &n->node);
		list_del_init(&old->node);
		free(old);
		*replaced = true;
		return 0;
	}
	node = node_get(t, &prefix, plen);
	if (!node) {
		free(n);
		return -LINUX_ENOMEM;
	}
	at = &node->routes;
	list_for_each_entry(r, &node->routes, node)
		if (r->p.metric > p->metric) {
			at = &r->node;
			break;
		}
	list_add_tail(at, &n->node);
	f->nr_routes++;
	return 0;
}

/* Gateways must be neighbours (RFC 1122 section 3.3.1.1); finds their links where not given. */
static int check_hops(struct net_ns *ns, struct net_route_param *p)
{
	for (unsigned i = 0; i < p->nr_hops; i++) {
		struct net_nexthop *h = &p->hops[i];
		struct net_link *l;
		struct fib_res res;

		if (!naddr_is_any(&h->gw) && !(h->flags & 4)) {
			struct net_flow fl = { .dst = h->gw, .src = NADDR_ANY6, .oif = h->oif };

			if (naddr_is_linklocal6(&h->gw) && h->oif)
				continue;
			if (net_fib_lookup(ns, &fl, &res) || res.type != NET_RTN_UNICAST || !naddr_is_any(&res.gw))
				return -LINUX_ENETUNREACH;
			if (!h->oif)
				h->oif = res.oif;
		}
		if (!h->oif) {
			if (p->type == NET_RTN_UNICAST)
				return -LINUX_ENODEV;
			continue;
		}
		l = net_link_by_index(ns, h->oif);
		if (!l)
			return -LINUX_ENODEV;
		if (!net_link_up(l)) {
			net_link_put(l);
			return -LINUX_ENETDOWN;
		}
		net_link_put(l);
	}
	return 0;
}

int net_route_add(struct net_ns *ns, const struct net_route_param *in, unsigned how)
{
	struct net_route_param p = *in;
	bool replaced = false;
	struct net_route shown;
	int ret;

	if ((p.family != NET_AF_INET && p.family != NET_AF_INET6) || p.nr_hops > NET_RT_MAX_HOPS ||
	    p.dst_len > (p.family == NET_AF_INET ? 32 : 128) || p.type > NET_RTN_THROW)
		return -LINUX_EINVAL;
	if (!p.table)
		p.table = NET_RT_TABLE_MAIN;
	if (!p.type)
		p.type = NET_RTN_UNICAST;
	if (p.family == NET_AF_INET6 && !p.metric)
		p.metric = 1024;
	if (p.type == NET_RTN_UNICAST && !p.nr_hops)
		return -LINUX_ENODEV;
	ret = check_hops(ns, &p);
	if (ret)
		return ret;
	mutex_lock(&ns->fib->mu);
	ret = insert_locked(ns->fib, &p, how, &replaced);
	mutex_unlock(&ns->fib->mu);
	if (ret)
		return ret;
	net_route_gen_bump(ns);
	shown.p = p;
	net_notify(ns, NET_EV_ROUTE_NEW, &shown);
	return 0;
}

static bool del_matches(const struct net_route_param *r, const struct net_route_param *p)
{
	if ((p->type && r->type != p->type) || (p->metric && r->metric != p->metric) ||
	    (p->tos && r->tos != p->tos) || (p->protocol && r->protocol != p->protocol) ||
	    (!naddr_is_any(&p->src) && !naddr_eq(&r->src, &p->src)))
		return false;
	for (unsigned i = 0; i < p->nr_hops; i++) {
		if (i >= r->nr_hops)
			return false;
		if (p->hops[i].oif && p->hops[i].oif != r->hops[i].oif)
			return false;
		if (!naddr_is_any(&p->hops[i].gw) && !naddr_eq(&p->hops[i].gw, &r->hops[i].gw))
			return false;
	}
	return true;
}

int net_route_del(struct net_ns *ns, const struct net_route_param *p)
{
	unsigned plen = plen128(p->family, p->dst_len);
	uint32_t table = p->table ? p->table : NET_RT_TABLE_MAIN;
	struct naddr prefix = naddr_mask(&p->dst, plen);
	struct net_route *r, *found = NULL;
	struct fib_table *t;
	struct fib_node *n;

	mutex_lock(&ns->fib->mu);
	t = fib_table_find_locked(ns->fib, p->family, table);
	n = t ? node_find(t, &prefix, plen) : NULL;
	if (n)
		list_for_each_entry(r, &n->routes, node)
			if (del_matches(&r->p, p)) {
				found = r;
				break;
			}
	if (found) {
		list_del_init(&found->node);
		ns->fib->nr_routes--;
		node_drop_if_empty(t, n);
	}
	mutex_unlock(&ns->fib->mu);
	if (!found)
		return -LINUX_ESRCH;
	net_route_gen_bump(ns);
	net_notify(ns, NET_EV_ROUTE_DEL, found);
	free(found);
	return 0;
}

/* Does @r lean on link @ifindex (or on source address @src)? */
static bool route_uses(const struct net_route *r, uint32_t ifindex, const struct naddr *src)
{
	if (src)
		return !naddr_is_any(&r->p.src) && naddr_eq(&r->p.src, src);
	for (unsigned i = 0; i < r->p.nr_hops; i++)
		if (r->p.hops[i].oif == ifindex)
			return true;
	return false;
}

/* @family 0: both. */
static void flush(struct net_ns *ns, uint32_t ifindex, const struct naddr *src, uint8_t family)
{
	struct list gone = LIST_HEAD_INIT(gone);
	struct net_route *r, *tmp;
	struct fib_table *t;

	mutex_lock(&ns->fib->mu);
	list_for_each_entry(t, &ns->fib->tables, node)
		for (uint32_t i = 0; i < t->nr_buckets; i++) {
			struct fib_node *n, *next;

			for (n = t->buckets[i]; n; n = next) {
				next = n->next;
				list_for_each_entry_safe(r, tmp, &n->routes, node)
					if ((!family || r->p.family == family) && route_uses(r, ifindex, src)) {
						list_del_init(&r->node);
						list_add_tail(&gone, &r->node);
						ns->fib->nr_routes--;
					}
				node_drop_if_empty(t, n);
			}
		}
	mutex_unlock(&ns->fib->mu);
	net_route_gen_bump(ns);
	list_for_each_entry_safe(r, tmp, &gone, node) {
		net_notify(ns, NET_EV_ROUTE_DEL, r);
		free(r);
	}
}

void net_route_flush_link(struct net_ns *ns, uint32_t ifindex, const struct naddr *src)
{
	flush(ns, ifindex, src, 0);
}

void net_route_flush_family(struct net_ns *ns, uint32_t ifindex, uint8_t family)
{
	flush(ns, ifindex, NULL, family);
}

int net_route_each(struct net_ns *ns, int (*fn)(const struct net_route *r, void *arg), void *arg)
{
	struct fib_table *t;
	struct net_route *r;
	int ret = 0;

	mutex_lock(&ns->fib->mu);
	list_for_each_entry(t, &ns->fib->tables, node)
		for (int plen = 128; plen >= 0 && !ret; plen--) {
			if (!t->plen_count[plen])
				continue;
			for (uint32_t i = 0; i < t->nr_buckets && !ret; i++)
				for (struct fib_node *n = t->buckets[i]; n && !ret; n = n->next) {
					if (n->plen != plen)
						continue;
					list_for_each_entry(r, &n->routes, node)
						if ((ret = fn(r, arg)))
							break;
				}
		}
	mutex_unlock(&ns->fib->mu);
	return ret;
}

/* ---- lookup ------------------------------------------------------------------------------------------- */

static const struct net_nexthop *pick_hop(const struct net_route_param *p, const struct net_flow *fl)
{
	uint32_t total = 0, at;

	if (fl->oif) {
		for (unsigned i = 0; i < p->nr_hops; i++)
			if (p->hops[i].oif == fl->oif)
				return &p->hops[i];
		return NULL;
	}
	if (p->nr_hops <= 1)
		return p->nr_hops ? &p->hops[0] : NULL;
	for (unsigned i = 0; i < p->nr_hops; i++)
		total += p->hops[i].weight ? p->hops[i].weight : 1;
	at = (uint32_t)(((uint64_t)(fl->hash ? fl->hash : net_hash_addr(&fl->dst, 1)) * total) >> 32);
	for (unsigned i = 0; i < p->nr_hops; i++) {
		uint32_t w = p->hops[i].weight ? p->hops[i].weight : 1;

		if (at < w)
			return &p->hops[i];
		at -= w;
	}
	return &p->hops[0];
}

static bool route_fits(const struct net_route *r, const struct net_flow *fl, struct fib_res *res)
{
	const struct net_nexthop *h;

	if (r->p.tos && r->p.tos != (fl->tos & 0x1c))
		return false;
	h = pick_hop(&r->p, fl);
	/* local routes are found whatever link the flow is bound to */
	if (!h && fl->oif && r->p.type == NET_RTN_LOCAL && r->p.nr_hops)
		h = &r->p.hops[0];
	if (!h && r->p.nr_hops)
		return false;
	*res = (struct fib_res){ .type = r->p.type, .scope = r->p.scope, .protocol = r->p.protocol,
				 .table = r->p.table, .metric = r->p.metric, .mtu = r->p.mtu, .flags = r->p.flags,
				 .advmss = r->p.advmss, .initcwnd = r->p.initcwnd, .initrwnd = r->p.initrwnd,
				 .plen = r->p.dst_len, .prefsrc = r->p.src };
	if (h) {
		res->oif = h->oif;
		res->gw = h->gw;
	}
	return true;
}

int fib_table_lookup_locked(struct fib_table *t, const struct net_flow *fl, struct fib_res *res)
{
	for (int w = 2; w >= 0; w--) {
		uint64_t bits = t->plen_bits[w];

		while (bits) {
			unsigned b = 63u - (unsigned)__builtin_clzll(bits), plen = (unsigned)w * 64 + b;
			struct naddr key = naddr_mask(&fl->dst, plen);
			struct fib_node *n = node_find(t, &key, plen);
			struct net_route *r;

			bits &= ~(1ull << b);
			if (!n)
				continue;
			list_for_each_entry(r, &n->routes, node)
				if (route_fits(r, fl, res))
					return res->type == NET_RTN_THROW ? -LINUX_EAGAIN : 0;
		}
	}
	return -LINUX_EAGAIN;
}
