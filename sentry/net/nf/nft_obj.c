/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_obj.c - nf_tables' things: references, copies, slots
 */
#include "sentry/net/nf/nft.h"

void nft_expr_free(struct nft_expr *e)
{
	if (!e)
		return;
	xt_inst_free(e->xt);
	free(e);
}

void nft_rule_put(struct nft_rule *r)
{
	if (!r || !ref_put(&r->ref))
		return;
	for (unsigned i = 0; i < r->nr; i++)
		nft_expr_free(r->expr[i]);
	free(r);
}

static void base_free(struct net_rcu *r)
{
	free(container_of(r, struct nft_base, rcu));
}

/* Packets may still come by a hook that was just detached. */
void nft_base_put(struct nft_base *b)
{
	if (b && ref_put(&b->ref))
		net_rcu_free(b->ns->stack, &b->rcu, base_free);
}

void nft_chain_put(struct nft_chain *c)
{
	if (!c || !ref_put(&c->ref))
		return;
	for (uint32_t i = 0; i < c->nr; i++)
		nft_rule_put(c->rule[i]);
	nft_base_put(c->base);
	free(c->rule);
	free(c);
}

void nft_obj_put(struct nft_obj *o)
{
	if (!o || !ref_put(&o->ref))
		return;
	nft_expr_free(o->state);
	free(o);
}

void nft_elem_put(struct nft_elem *e)
{
	if (!e || !ref_put(&e->ref))
		return;
	nft_expr_free(e->expr);
	free(e);
}

void nft_set_put(struct nft_set *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	for (uint32_t i = 0; i < s->nr; i++)
		nft_elem_put(s->elem[i]);
	nft_elem_put(s->catchall);
	free(s->elem);
	free(s);
}

static void slots_fini(struct nft_slots *s, void (*put)(void *))
{
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->p[i])
			put(s->p[i]);
	free(s->p);
	free(s->use);
}

static void put_chain(void *p) { nft_chain_put(p); }
static void put_set(void *p) { nft_set_put(p); }
static void put_obj(void *p) { nft_obj_put(p); }

void nft_table_put(struct nft_table *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	slots_fini(&t->chains, put_chain);
	slots_fini(&t->sets, put_set);
	slots_fini(&t->objs, put_obj);
	free(t);
}

/* ---- slots ----------------------------------------------------------------------------------------------------------- */

bool nft_slot_take(struct nft_slots *s, void *p, uint32_t *out_slot)
{
	uint32_t i = 0, n = s->nr ? s->nr * 2 : 8;
	uint32_t *use;
	void **np;

	while (i < s->nr && s->p[i])
		i++;
	if (i == s->nr) {
		if (s->nr >= NFT_SLOTS_MAX)
			return false;
		np = realloc(s->p, n * sizeof(*np));
		if (!np)
			return false;
		s->p = np;
		use = realloc(s->use, n * sizeof(*use));
		if (!use)
			return false;
		s->use = use;
		memset(np + s->nr, 0, (n - s->nr) * sizeof(*np));
		memset(use + s->nr, 0, (n - s->nr) * sizeof(*use));
		s->nr = n;
	}
	s->p[i] = p;
	s->use[i] = 0;
	*out_slot = i;
	return true;
}

static bool slots_copy(struct nft_slots *to, const struct nft_slots *from)
{
	*to = (struct nft_slots){ .nr = from->nr };
	if (!from->nr)
		return true;
	to->p = malloc(from->nr * sizeof(to->p[0]));
	to->use = malloc(from->nr * sizeof(to->use[0]));
	if (!to->p || !to->use) {
		free(to->p);
		free(to->use);
		*to = (struct nft_slots){ 0 };
		return false;
	}
	memcpy(to->p, from->p, from->nr * sizeof(to->p[0]));
	memcpy(to->use, from->use, from->nr * sizeof(to->use[0]));
	return true;
}

/* ---- copies ---------------------------------------------------------------------------------------------------------- */

static struct nft_table *table_copy(const struct nft_table *t)
{
	struct nft_table *n = malloc(sizeof(*n));

	if (!n)
		return NULL;
	*n = *t;
	ref_init(&n->ref, 1);
	n->chains = n->sets = n->objs = (struct nft_slots){ 0 };
	if (!slots_copy(&n->chains, &t->chains) || !slots_copy(&n->sets, &t->sets) || !slots_copy(&n->objs, &t->objs)) {
		/* no references were taken yet */
		free(n->chains.p), free(n->chains.use);
		free(n->sets.p), free(n->sets.use);
		free(n);
		return NULL;
	}
	for (uint32_t i = 0; i < n->chains.nr; i++)
		if (n->chains.p[i])
			ref_get(&((struct nft_chain *)n->chains.p[i])->ref);
	for (uint32_t i = 0; i < n->sets.nr; i++)
		if (n->sets.p[i])
			ref_get(&((struct nft_set *)n->sets.p[i])->ref);
	for (uint32_t i = 0; i < n->objs.nr; i++)
		if (n->objs.p[i])
			ref_get(&((struct nft_obj *)n->objs.p[i])->ref);
	return n;
}

struct nft_table *nft_table_own(struct nft_ns *n, struct nft_ruleset *rs, struct nft_table *t)
{
	struct nft_table *c;

	if (t->batch == n->batch)
		return t;
	c = table_copy(t);
	if (!c)
		return NULL;
	c->batch = n->batch;
	rs->table[t->slot] = c;
	nft_table_put(t);
	return c;
}

struct nft_chain *nft_chain_own(struct nft_ns *n, struct nft_table *t, struct nft_chain *c)
{
	struct nft_chain *k;

	if (c->batch == n->batch)
		return c;
	k = malloc(sizeof(*k));
	if (!k)
		return NULL;
	*k = *c;
	ref_init(&k->ref, 1);
	k->id = 0;
	k->batch = n->batch;
	k->cap = c->nr;
	k->rule = c->nr ? malloc(c->nr * sizeof(k->rule[0])) : NULL;
	if (c->nr && !k->rule) {
		free(k);
		return NULL;
	}
	for (uint32_t i = 0; i < c->nr; i++) {
		k->rule[i] = c->rule[i];
		ref_get(&k->rule[i]->ref);
	}
	if (k->base)
		ref_get(&k->base->ref);
	t->chains.p[c->slot] = k;
	nft_chain_put(c);
	return k;
}

struct nft_set *nft_set_own(struct nft_ns *n, struct nft_table *t, struct nft_set *s)
{
	uint64_t now = net_now(n->ns->stack);
	struct nft_set *k;

	if (s->batch == n->batch)
		return s;
	k = malloc(sizeof(*k));
	if (!k)
		return NULL;
	*k = *s;
	ref_init(&k->ref, 1);
	k->id = 0;
	k->batch = n->batch;
	k->nr = 0;
	k->cap = s->nr;
	k->elem = s->nr ? malloc(s->nr * sizeof(k->elem[0])) : NULL;
	if (s->nr && !k->elem) {
		free(k);
		return NULL;
	}
	for (uint32_t i = 0; i < s->nr; i++) {
		if (!nft_elem_alive(s->elem[i], now)) { /* time for the broom */
			nft_elem_ref(n, t, s, s->elem[i], -1);
			continue;
		}
		k->elem[k->nr++] = s->elem[i];
		ref_get(&s->elem[i]->ref);
	}
	if (k->catchall)
		ref_get(&k->catchall->ref);
	t->sets.p[s->slot] = k;
	nft_set_put(s);
	return k;
}

/* ---- names ----------------------------------------------------------------------------------------------------------- */

struct nft_table *nft_table_find(const struct nft_ruleset *rs, uint8_t family, const char *name)
{
	for (uint32_t i = 0; i < rs->nr; i++)
		if (rs->table[i] && rs->table[i]->family == family && !strcmp(rs->table[i]->name, name))
			return rs->table[i];
	return NULL;
}

struct nft_chain *nft_chain_find(const struct nft_table *t, const char *name)
{
	for (uint32_t i = 0; i < t->chains.nr; i++) {
		struct nft_chain *c = t->chains.p[i];

		if (c && !strcmp(c->name, name))
			return c;
	}
	return NULL;
}

struct nft_set *nft_set_find(const struct nft_table *t, const char *name)
{
	for (uint32_t i = 0; i < t->sets.nr; i++) {
		struct nft_set *s = t->sets.p[i];

		if (s && !strcmp(s->name, name))
			return s;
	}
	return NULL;
}

struct nft_obj *nft_obj_find(const struct nft_table *t, const char *name, uint32_t type)
{
	for (uint32_t i = 0; i < t->objs.nr; i++) {
		struct nft_obj *o = t->objs.p[i];

		if (o && o->type == type && !strcmp(o->name, name))
			return o;
	}
	return NULL;
}
