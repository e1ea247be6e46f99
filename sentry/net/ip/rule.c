/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/rule.c - policy routing: which tables are asked, in which order
 *
 * Locks:   fib->mu.
 * Source:  ip-rule(8): default rules 0 (local), 32766 (main), 32767 (default).
 */
#include "sentry/net/ip/fib.h"

#define FR_ACT_TO_TBL	   1
#define FR_ACT_BLACKHOLE   6
#define FR_ACT_UNREACHABLE 7
#define FR_ACT_PROHIBIT	   8
#define FIB_MAX_RULES	   4096

static int rule_insert_locked(struct fib *f, const struct net_rule *in)
{
	struct net_rule *r = malloc(sizeof(*r)), *o;
	struct list *at = &f->rules;

	if (!r)
		return -LINUX_ENOMEM;
	*r = *in;
	list_for_each_entry(o, &f->rules, node)
		if (o->priority > r->priority) {
			at = &o->node;
			break;
		}
	list_add_tail(at, &r->node);
	f->nr_rules++;
	return 0;
}

int fib_rules_init(struct fib *f)
{
	static const struct { uint8_t family; uint32_t prio, table; } rows[] = {
		{ NET_AF_INET, 0, NET_RT_TABLE_LOCAL },	     { NET_AF_INET6, 0, NET_RT_TABLE_LOCAL },
		{ NET_AF_INET, 32766, NET_RT_TABLE_MAIN },   { NET_AF_INET6, 32766, NET_RT_TABLE_MAIN },
		{ NET_AF_INET, 32767, NET_RT_TABLE_DEFAULT },
	};

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		struct net_rule r = { .family = rows[i].family, .action = FR_ACT_TO_TBL, .priority = rows[i].prio,
				      .table = rows[i].table, .protocol = 2 };
		int ret = rule_insert_locked(f, &r);

		if (ret)
			return ret;
	}
	return 0;
}

void fib_rules_fini(struct fib *f)
{
	struct net_rule *r, *tmp;

	list_for_each_entry_safe(r, tmp, &f->rules, node)
		free(r);
}

static bool port_in(uint16_t p, uint16_t lo, uint16_t hi)
{
	return !hi || (p >= lo && p <= hi);
}

static bool rule_matches(const struct net_rule *r, const struct net_flow *fl)
{
	bool m = true;

	if (r->iif && r->iif != fl->iif)
		m = false;
	if (r->iifname[0] && !r->iif)
		m = false; /* names a link that does not exist */
	if ((r->oif && r->oif != fl->oif) || (r->oifname[0] && !r->oif))
		m = false;
	if (r->src_len && !naddr_prefix_eq(&r->src, &fl->src, plen128(r->family, r->src_len)))
		m = false;
	if (r->dst_len && !naddr_prefix_eq(&r->dst, &fl->dst, plen128(r->family, r->dst_len)))
		m = false;
	if ((fl->mark ^ r->fwmark) & r->fwmask)
		m = false;
	if (r->tos && r->tos != fl->tos)
		m = false;
	if (r->ipproto && r->ipproto != fl->ipproto)
		m = false;
	if (!port_in(fl->sport, r->sport_min, r->sport_max) || !port_in(fl->dport, r->dport_min, r->dport_max))
		m = false;
	return m != (bool)r->invert;
}

int net_fib_lookup(struct net_ns *ns, const struct net_flow *fl, struct fib_res *res)
{
	uint8_t family = naddr_family(&fl->dst);
	int ret = -LINUX_ENETUNREACH;
	struct net_rule *r;

	mutex_lock(&ns->fib->mu);
	list_for_each_entry(r, &ns->fib->rules, node) {
		struct fib_table *t;

		if (r->family != family || !rule_matches(r, fl))
			continue;
		if (r->action != FR_ACT_TO_TBL) {
			ret = r->action == FR_ACT_PROHIBIT ? -LINUX_EACCES :
			      r->action == FR_ACT_BLACKHOLE ? -LINUX_EINVAL : -LINUX_ENETUNREACH;
			break;
		}
		t = fib_table_find_locked(ns->fib, family, r->table);
		if (t && !fib_table_lookup_locked(t, fl, res)) {
			ret = 0;
			break;
		}
	}
	mutex_unlock(&ns->fib->mu);
	if (ret)
		return ret;
	switch (res->type) {
	case NET_RTN_BLACKHOLE:
		return -LINUX_EINVAL;
	case NET_RTN_UNREACHABLE:
		return -LINUX_EHOSTUNREACH;
	case NET_RTN_PROHIBIT:
		return -LINUX_EACCES;
	}
	return 0;
}

static void rule_bind_names(struct net_ns *ns, struct net_rule *r)
{
	struct net_link *l;

	if (r->iifname[0] && (l = net_link_by_name(ns, r->iifname))) {
		r->iif = l->index;
		net_link_put(l);
	}
	if (r->oifname[0] && (l = net_link_by_name(ns, r->oifname))) {
		r->oif = l->index;
		net_link_put(l);
	}
}

static bool rule_same(const struct net_rule *a, const struct net_rule *b)
{
	return a->family == b->family && a->priority == b->priority && a->action == b->action &&
	       a->table == b->table && a->fwmark == b->fwmark && a->fwmask == b->fwmask && a->src_len == b->src_len &&
	       a->dst_len == b->dst_len && naddr_eq(&a->src, &b->src) && naddr_eq(&a->dst, &b->dst) &&
	       !strcmp(a->iifname, b->iifname) && !strcmp(a->oifname, b->oifname) && a->tos == b->tos &&
	       a->ipproto == b->ipproto && a->invert == b->invert;
}

int net_rule_add(struct net_ns *ns, const struct net_rule *in)
{
	struct net_rule n = *in, *r;
	int ret = 0;

	if (!n.action)
		n.action = FR_ACT_TO_TBL;
	rule_bind_names(ns, &n);
	mutex_lock(&ns->fib->mu);
	if (ns->fib->nr_rules >= FIB_MAX_RULES)
		ret = -LINUX_ENOSPC;
	if (!n.priority) { /* just before the lowest rule that is not 0, as ip-rule(8) promises */
		n.priority = 32765;
		list_for_each_entry(r, &ns->fib->rules, node)
			if (r->family == n.family && r->priority) {
				n.priority = r->priority - 1;
				break;
			}
	}
	list_for_each_entry(r, &ns->fib->rules, node)
		if (rule_same(r, &n))
			ret = -LINUX_EEXIST;
	if (!ret)
		ret = rule_insert_locked(ns->fib, &n);
	mutex_unlock(&ns->fib->mu);
	if (ret)
		return ret;
	net_route_gen_bump(ns);
	net_notify(ns, NET_EV_RULE_NEW, &n);
	return 0;
}

int net_rule_del(struct net_ns *ns, const struct net_rule *in)
{
	struct net_rule *r, *found = NULL;

	mutex_lock(&ns->fib->mu);
	list_for_each_entry(r, &ns->fib->rules, node) {
		if (r->family != in->family || (in->priority && r->priority != in->priority) ||
		    (in->table && r->table != in->table) || (in->fwmask && r->fwmark != in->fwmark) ||
		    (in->src_len && (r->src_len != in->src_len || !naddr_eq(&r->src, &in->src))) ||
		    (in->dst_len && (r->dst_len != in->dst_len || !naddr_eq(&r->dst, &in->dst))) ||
		    (in->iifname[0] && strcmp(r->iifname, in->iifname)) ||
		    (in->oifname[0] && strcmp(r->oifname, in->oifname)))
			continue;
		found = r;
		list_del_init(&r->node);
		ns->fib->nr_rules--;
		break;
	}
	mutex_unlock(&ns->fib->mu);
	if (!found)
		return -LINUX_ENOENT;
	net_route_gen_bump(ns);
	net_notify(ns, NET_EV_RULE_DEL, found);
	free(found);
	return 0;
}

int net_rule_each(struct net_ns *ns, int (*fn)(const struct net_rule *r, void *arg), void *arg)
{
	struct net_rule *r;
	int ret = 0;

	mutex_lock(&ns->fib->mu);
	list_for_each_entry(r, &ns->fib->rules, node)
		if ((ret = fn(r, arg)))
			break;
	mutex_unlock(&ns->fib->mu);
	return ret;
}
