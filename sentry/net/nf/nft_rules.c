/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_rules.c - changes of a ruleset, and how they become visible
 *
 * Locks:   one batch at a time (netlink_cfg above); packets see a ruleset from the pointer store of nft_commit() on.
 */
#include "sentry/net/nf/nft.h"

/* ---- batches --------------------------------------------------------------------------------------------------------- */

struct nft_ruleset *nft_begin(struct nft_ns *n)
{
	const struct nft_ruleset *cur = atomic_load(&n->cur);
	struct nft_ruleset *rs = calloc(1, sizeof(*rs));

	if (!rs)
		return NULL;
	n->batch++;
	rs->nr = cur ? cur->nr : 0;
	for (uint32_t i = 0; i < rs->nr; i++) {
		rs->table[i] = cur->table[i];
		if (rs->table[i])
			ref_get(&rs->table[i]->ref);
	}
	return rs;
}

void nft_abort(struct nft_ruleset *rs)
{
	for (uint32_t i = 0; rs && i < rs->nr; i++)
		nft_table_put(rs->table[i]);
	free(rs);
}

static void ruleset_free(struct net_rcu *r)
{
	nft_abort(container_of(r, struct nft_ruleset, rcu));
}

struct need {
	bool ct[2], nat[2];
};

static void table_needs(const struct nft_table *t, struct need *n)
{
	bool fam[2] = { t->family != NFPROTO_IPV6, t->family != NFPROTO_IPV4 }, ct = false, nat = false;

	for (uint32_t i = 0; i < t->chains.nr; i++) {
		const struct nft_chain *c = t->chains.p[i];

		nat |= c && c->base && c->base->nat;
		for (uint32_t k = 0; c && k < c->nr && !ct; k++)
			ct = c->rule[k]->needs_ct;
	}
	for (int f = 0; f < 2; f++) {
		n->ct[f] |= fam[f] && ct;
		n->nat[f] |= fam[f] && nat;
	}
}

static struct need needs_of(const struct nft_ruleset *rs)
{
	struct need n = { 0 };

	for (uint32_t i = 0; rs && i < rs->nr; i++)
		if (rs->table[i] && !(rs->table[i]->flags & 1))
			table_needs(rs->table[i], &n);
	return n;
}

static int family_of(int v6)
{
	return v6 ? NET_AF_INET6 : NET_AF_INET;
}

/* Attaches or detaches tracking and translation as the rules want it. */
static int adjust_ct(struct nft_ns *n, const struct need *want, bool only_grow)
{
	int ret = 0;

	for (int f = 0; f < 2 && !ret; f++) {
		if (want->ct[f] && !n->ct_on[f])
			ret = nf_ct_want(n->ns, family_of(f), false);
		else if (!want->ct[f] && n->ct_on[f] && !only_grow)
			nf_ct_unwant(n->ns, family_of(f), false);
		if (!ret && (want->ct[f] || !only_grow))
			n->ct_on[f] = want->ct[f];
		if (!ret && want->nat[f] && !n->nat_on[f])
			ret = nf_ct_want(n->ns, family_of(f), true);
		else if (!want->nat[f] && n->nat_on[f] && !only_grow)
			nf_ct_unwant(n->ns, family_of(f), true);
		if (!ret && (want->nat[f] || !only_grow))
			n->nat_on[f] = want->nat[f];
	}
	return ret;
}

static void base_off(struct nft_base *b)
{
	for (int f = 0; f < 2; f++) {
		if (b->family != NFPROTO_INET && b->family != (f ? NFPROTO_IPV6 : NFPROTO_IPV4))
			continue;
		if (b->nat)
			nf_nat_unregister(b->ns, family_of(f), b->hook, nft_hook, b);
		else
			nf_unregister(b->ns, family_of(f), b->hook, nft_hook, b);
	}
	b->on = false;
}

static int base_on(struct nft_base *b)
{
	int ret = 0;

	for (int f = 0; f < 2 && !ret; f++) {
		if (b->family != NFPROTO_INET && b->family != (f ? NFPROTO_IPV6 : NFPROTO_IPV4))
			continue;
		if (b->nat)
			ret = nf_nat_register(b->ns, family_of(f), b->hook, b->priority, nft_hook, b);
		else
			ret = nf_register(b->ns, family_of(f), b->hook, b->priority, nft_hook, b);
	}
	b->on = true;
	if (ret)
		base_off(b);
	return ret;
}

static struct nft_chain *base_chain(const struct nft_ruleset *rs, uint32_t ti, uint32_t ci)
{
	struct nft_table *t = rs && ti < rs->nr ? rs->table[ti] : NULL;
	struct nft_chain *c = t && !(t->flags & 1) ? nft_slot(&t->chains, ci) : NULL;

	return c && c->base ? c : NULL;
}

/* Hooks of @from that @other does not have are turned on or off. */
static int each_difference(const struct nft_ruleset *from, const struct nft_ruleset *other, bool on)
{
	int ret = 0;

	for (uint32_t ti = 0; from && ti < from->nr; ti++)
		for (uint32_t ci = 0; from->table[ti] && ci < from->table[ti]->chains.nr && !ret; ci++) {
			struct nft_chain *c = base_chain(from, ti, ci), *o = base_chain(other, ti, ci);

			if (!c || (o && o->base == c->base) || c->base->on == on)
				continue;
			if (on)
				ret = base_on(c->base);
			else
				base_off(c->base);
		}
	return ret;
}

int nft_commit(struct nft_ns *n, struct nft_ruleset *rs)
{
	struct nft_ruleset *old = atomic_load(&n->cur);
	struct need need = needs_of(rs), before = needs_of(old);
	int ret = adjust_ct(n, &need, true);

	if (!ret)
		ret = each_difference(rs, old, true);
	if (ret) {
		each_difference(rs, old, false);
		adjust_ct(n, &before, false);
		return ret;
	}
	atomic_store_explicit(&n->cur, rs, memory_order_release);
	each_difference(old, rs, false);
	adjust_ct(n, &need, false);
	n->genid++;
	if (old)
		net_rcu_free(n->ns->stack, &old->rcu, ruleset_free);
	return 0;
}

int nft_ns_init(struct net_ns *ns)
{
	struct nft_ns *n = calloc(1, sizeof(*n));

	if (!n)
		return -LINUX_ENOMEM;
	n->ns = ns;
	n->genid = 1;
	ns->nf->nft = n;
	return 0;
}

void nft_ns_fini(struct net_ns *ns)
{
	if (!ns->nf->nft)
		return;
	nft_abort(ns->nf->nft->cur);
	free(ns->nf->nft);
	ns->nf->nft = NULL;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------ */

struct nft_table *nft_table_new(struct nft_ns *n, struct nft_ruleset *rs, uint8_t family, const char *name)
{
	struct nft_table *t;
	uint32_t i = 0;

	while (i < rs->nr && rs->table[i])
		i++;
	if (i == NFT_TABLES_MAX)
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t)
		return NULL;
	ref_init(&t->ref, 1);
	t->family = family;
	strcpy(t->name, name);
	t->slot = i;
	t->batch = n->batch;
	t->handle = ++n->next_table_handle;
	rs->table[i] = t;
	rs->nr = MAX(rs->nr, i + 1);
	return t;
}

void nft_table_del(struct nft_ruleset *rs, struct nft_table *t)
{
	rs->table[t->slot] = NULL;
	nft_table_put(t);
}

/* ---- references -------------------------------------------------------------------------------------------------------- */

#define CHAIN_BINDING 4
#define SET_ANONYMOUS 1

static void drop_rules(struct nft_ns *n, struct nft_table *t, struct nft_chain *c)
{
	while (c->nr)
		nft_rule_remove(n, t, c, c->nr - 1);
}

void nft_verdict_ref(struct nft_ns *n, struct nft_table *t, const struct nft_verdict *v, int d)
{
	struct nft_chain *c;

	if (v->code != NFT_JUMP && v->code != NFT_GOTO)
		return;
	c = nft_slot(&t->chains, v->chain);
	if (!c)
		return;
	t->chains.use[v->chain] += (uint32_t)d;
	if (d < 0 && !t->chains.use[v->chain] && (c->flags & CHAIN_BINDING)) {
		c = nft_chain_own(n, t, c);
		if (!c)
			return;
		drop_rules(n, t, c);
		t->chains.p[c->slot] = NULL;
		nft_chain_put(c);
	}
}

void nft_elem_ref(struct nft_ns *n, struct nft_table *t, const struct nft_set *s, const struct nft_elem *e, int d)
{
	if (e->has_data && s->data_type == NFT_DATA_VERDICT)
		nft_verdict_ref(n, t, &e->data.v, d);
	if (e->obj < t->objs.nr)
		t->objs.use[e->obj] += (uint32_t)d;
}

static void set_elem_refs(struct nft_ns *n, struct nft_table *t, const struct nft_set *s, int d)
{
	for (uint32_t i = 0; i < s->nr; i++)
		nft_elem_ref(n, t, s, s->elem[i], d);
	if (s->catchall)
		nft_elem_ref(n, t, s, s->catchall, d);
}

static void set_ref(struct nft_ns *n, struct nft_table *t, uint32_t slot, int d)
{
	struct nft_set *s = nft_slot(&t->sets, slot);

	if (!s)
		return;
	t->sets.use[slot] += (uint32_t)d;
	if (d < 0 && !t->sets.use[slot] && (s->flags & SET_ANONYMOUS)) {
		set_elem_refs(n, t, s, -1);
		t->sets.p[slot] = NULL;
		nft_set_put(s);
	}
}

void nft_expr_ref(struct nft_ns *n, struct nft_table *t, const struct nft_expr *e, int d)
{
	if (e->type == NFTE_IMMEDIATE && e->dreg == 0)
		nft_verdict_ref(n, t, &e->a.v, d);
	else if (e->type == NFTE_LOOKUP || (e->type == NFTE_OBJREF && e->set))
		set_ref(n, t, e->slot, d);
	else if (e->type == NFTE_OBJREF && e->slot < t->objs.nr)
		t->objs.use[e->slot] += (uint32_t)d;
}

/* ---- chains, rules, sets ------------------------------------------------------------------------------------------------- */

int nft_rule_insert(struct nft_ns *n, struct nft_table *t, struct nft_chain *c, uint32_t at, struct nft_rule *r)
{
	uint32_t cap = c->cap ? c->cap * 2 : 8;
	struct nft_rule **p;

	if (c->nr >= NFT_RULES_MAX)
		return -LINUX_ENOSPC;
	if (c->nr == c->cap) {
		p = realloc(c->rule, cap * sizeof(*p));
		if (!p)
			return -LINUX_ENOMEM;
		c->rule = p;
		c->cap = cap;
	}
	memmove(c->rule + at + 1, c->rule + at, (c->nr - at) * sizeof(c->rule[0]));
	c->rule[at] = r;
	c->nr++;
	for (unsigned i = 0; i < r->nr; i++)
		nft_expr_ref(n, t, r->expr[i], 1);
	return 0;
}

void nft_rule_remove(struct nft_ns *n, struct nft_table *t, struct nft_chain *c, uint32_t at)
{
	struct nft_rule *r = c->rule[at];

	memmove(c->rule + at, c->rule + at + 1, (c->nr - at - 1) * sizeof(c->rule[0]));
	c->nr--;
	for (unsigned i = 0; i < r->nr; i++)
		nft_expr_ref(n, t, r->expr[i], -1);
	nft_rule_put(r);
}

int nft_chain_del(struct nft_ns *n, struct nft_table *t, struct nft_chain *c)
{
	if (t->chains.use[c->slot])
		return -LINUX_EBUSY;
	c = nft_chain_own(n, t, c);
	if (!c)
		return -LINUX_ENOMEM;
	drop_rules(n, t, c);
	t->chains.p[c->slot] = NULL;
	nft_chain_put(c);
	return 0;
}

int nft_set_del(struct nft_ns *n, struct nft_table *t, struct nft_set *s)
{
	if (t->sets.use[s->slot])
		return -LINUX_EBUSY;
	set_elem_refs(n, t, s, -1);
	t->sets.p[s->slot] = NULL;
	nft_set_put(s);
	return 0;
}

int nft_obj_del(struct nft_table *t, struct nft_obj *o)
{
	if (t->objs.use[o->slot])
		return -LINUX_EBUSY;
	t->objs.p[o->slot] = NULL;
	nft_obj_put(o);
	return 0;
}

/* ---- loops and places ---------------------------------------------------------------------------------------------------------------- */

struct jump_walk {
	const struct nft_table *t;
	const struct nft_base *base;
	uint8_t *depth;	/* of each chain: longest way below it + 1, 0 = not known, 0xff = on the path */
	int ret;
};

static unsigned chain_depth(struct jump_walk *w, uint32_t slot, unsigned level);

static unsigned verdict_depth(struct jump_walk *w, const struct nft_verdict *v, unsigned level)
{
	return v->code == NFT_JUMP || v->code == NFT_GOTO ? chain_depth(w, v->chain, level + 1) : 0;
}

/* May this expression stand where packets of @b come along? */
static int place_ok(const struct nft_base *b, const struct nft_expr *e)
{
	if (e->xt && ((e->xt->ext->hooks && !(e->xt->ext->hooks >> b->hook & 1)) || (e->xt->ext->nat && !b->nat)))
		return -LINUX_EINVAL;
	if ((e->type == NFTE_NAT || e->type == NFTE_MASQ || e->type == NFTE_REDIR) && !b->nat)
		return -LINUX_EOPNOTSUPP;
	return 0;
}

static unsigned expr_depth(struct jump_walk *w, const struct nft_expr *e, unsigned level)
{
	const struct nft_set *s;
	unsigned d = 0;

	w->ret = place_ok(w->base, e);
	if (w->ret)
		return 0;
	if (e->type == NFTE_IMMEDIATE && e->dreg == 0)
		return verdict_depth(w, &e->a.v, level);
	if (e->type != NFTE_LOOKUP)
		return 0;
	s = nft_slot(&w->t->sets, e->slot);
	if (!s || s->data_type != NFT_DATA_VERDICT)
		return 0;
	for (uint32_t i = 0; i < s->nr && !w->ret; i++)
		if (s->elem[i]->has_data)
			d = MAX(d, verdict_depth(w, &s->elem[i]->data.v, level));
	if (s->catchall && s->catchall->has_data)
		d = MAX(d, verdict_depth(w, &s->catchall->data.v, level));
	return d;
}

/* Recursion is bounded by NFT_JUMPS_MAX: a deeper way is an error. */
static unsigned chain_depth(struct jump_walk *w, uint32_t slot, unsigned level)
{
	const struct nft_chain *c = nft_slot(&w->t->chains, slot);
	unsigned d = 0;

	if (!c || w->ret)
		return 0;
	if (w->depth[slot] == 0xff || level > NFT_JUMPS_MAX) {
		w->ret = -LINUX_EMLINK;
		return 0;
	}
	if (w->depth[slot])
		return w->depth[slot];
	w->depth[slot] = 0xff;
	for (uint32_t i = 0; i < c->nr && !w->ret; i++)
		for (unsigned k = 0; k < c->rule[i]->nr && !w->ret; k++)
			d = MAX(d, expr_depth(w, c->rule[i]->expr[k], level));
	w->depth[slot] = (uint8_t)(d + 1);
	if (level + d > NFT_JUMPS_MAX)
		w->ret = -LINUX_EMLINK;
	return d + 1;
}

int nft_check_jumps(const struct nft_table *t)
{
	struct jump_walk w = { .t = t, .depth = calloc(t->chains.nr + 1, 1) };

	if (!w.depth)
		return -LINUX_ENOMEM;
	for (uint32_t i = 0; i < t->chains.nr && !w.ret; i++) {
		const struct nft_chain *c = t->chains.p[i];

		if (!c || !c->base)
			continue; /* a ring that nothing leads into does no harm */
		memset(w.depth, 0, t->chains.nr);
		w.base = c->base;
		chain_depth(&w, i, 0);
	}
	free(w.depth);
	return w.ret;
}
