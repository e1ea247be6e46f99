/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_table.c - nf_tables' tables and chains over netlink
 *
 * Differs: tables of the families arp, bridge and netdev, and chains at the ingress hook, are refused.
 */
#include "sentry/socket/netlink/nfnl.h"

#include <stdio.h>

static int by_handle(const void *a, const void *b)
{
	uint64_t x = (*(struct nft_named *const *)a)->handle, y = (*(struct nft_named *const *)b)->handle;

	return x < y ? -1 : x > y;
}

struct nft_named **nft_by_age(const struct nft_slots *s, uint32_t *out_nr)
{
	struct nft_named **v = calloc(s->nr + 1, sizeof(*v));
	uint32_t n = 0;

	for (uint32_t i = 0; v && i < s->nr; i++)
		if (s->p[i])
			v[n++] = s->p[i];
	if (n)
		qsort(v, n, sizeof(*v), by_handle);
	*out_nr = n;
	return v;
}

struct nft_named *nft_by_handle(const struct nft_slots *s, uint64_t handle)
{
	for (uint32_t i = 0; i < s->nr; i++)
		if (s->p[i] && ((struct nft_named *)s->p[i])->handle == handle)
			return s->p[i];
	return NULL;
}

static int table_age(const void *a, const void *b)
{
	uint64_t x = (*(struct nft_table *const *)a)->handle, y = (*(struct nft_table *const *)b)->handle;

	return x < y ? -1 : x > y;
}

struct nft_table **nft_tables_by_age(const struct nfq *q, uint32_t *out_nr)
{
	struct nft_table **v = calloc(NFT_TABLES_MAX, sizeof(*v));
	uint32_t n = 0;

	for (uint32_t i = 0; v && q->rs && i < q->rs->nr; i++)
		if (q->rs->table[i] && (q->family == NFPROTO_UNSPEC || q->family == q->rs->table[i]->family))
			v[n++] = q->rs->table[i];
	if (n)
		qsort(v, n, sizeof(*v), table_age);
	*out_nr = n;
	return v;
}

long nft_table_by(struct nfq *q, const struct nla *a, struct nft_table **out)
{
	char name[NFT_NAME_MAX] = "";

	if (!nla_has(a) || !nla_get_str(a, name, sizeof(name)))
		return -LINUX_EINVAL;
	*out = q->rs ? nft_table_find(q->rs, q->family, name) : NULL;
	return *out ? 0 : -LINUX_ENOENT;
}

long nft_table_mine(struct nfq *q, const struct nla *a, struct nft_table **out)
{
	long ret = nft_table_by(q, a, out);

	if (!ret && !(*out = nft_table_own(q->n, q->rs, *out)))
		ret = -LINUX_ENOMEM;
	return ret;
}

bool nft_get_udata(const struct nla *a, uint8_t *to, uint16_t *len)
{
	if (!nla_has(a))
		return true;
	if (a->len > NFT_UDATA_MAX)
		return false;
	memcpy(to, a->p, a->len);
	*len = a->len;
	return true;
}

/* ---- tables ------------------------------------------------------------------------------------------------------------ */

static uint32_t slots_used(const struct nft_slots *s)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->nr; i++)
		n += s->p[i] != NULL;
	return n;
}

static void table_fill(const struct nfq *q, struct buf *b, uint8_t msg, const struct nft_table *t)
{
	size_t at = nft_msg_begin(q, b, msg, t->family, 0);

	nla_put_str(b, NFTA_TABLE_NAME, t->name);
	nla_put_be32(b, NFTA_TABLE_USE, slots_used(&t->chains) + slots_used(&t->sets) + slots_used(&t->objs));
	nla_put_be64(b, NFTA_TABLE_HANDLE, t->handle);
	nla_put_be32(b, NFTA_TABLE_FLAGS, t->flags);
	if (t->udata_len)
		nla_put(b, NFTA_TABLE_USERDATA, t->udata, t->udata_len);
	nlb_end(b, at);
}

static void table_event(struct nfq *q, uint8_t msg, const struct nft_table *t)
{
	struct buf b = { 0 };

	table_fill(q, &b, msg, t);
	nft_event(q, &b);
}

long nft_table_new_msg(struct nfq *q)
{
	struct nla tb[NFTA_TABLE_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	uint32_t flags = 0;

	if (nla_parse(q->attrs, tb, NFTA_TABLE_MAX) || !nla_has(&tb[NFTA_TABLE_NAME]) ||
	    !nla_get_str(&tb[NFTA_TABLE_NAME], name, sizeof(name)) || !name[0] || !nla_be32(&tb[NFTA_TABLE_FLAGS], &flags))
		return -LINUX_EINVAL;
	if (flags & ~1u)
		return -LINUX_EOPNOTSUPP;
	if (q->family != NFPROTO_IPV4 && q->family != NFPROTO_IPV6 && q->family != NFPROTO_INET)
		return -LINUX_EOPNOTSUPP;
	t = nft_table_find(q->rs, q->family, name);
	if (t) {
		if (q->r->h.flags & NLM_F_EXCL)
			return -LINUX_EEXIST;
		if (q->r->h.flags & NLM_F_REPLACE)
			return -LINUX_EOPNOTSUPP;
		if (!nla_has(&tb[NFTA_TABLE_FLAGS]) || t->flags == flags)
			return 0;
		t = nft_table_own(q->n, q->rs, t);
	} else {
		t = nft_table_new(q->n, q->rs, q->family, name);
	}
	if (!t)
		return -LINUX_ENOMEM;
	t->flags = flags;
	if (!nft_get_udata(&tb[NFTA_TABLE_USERDATA], t->udata, &t->udata_len))
		return -LINUX_EINVAL;
	table_event(q, NFT_NEWTABLE, t);
	return 0;
}

long nft_table_get_msg(struct nfq *q)
{
	struct nla tb[NFTA_TABLE_MAX + 1];
	struct buf b = { 0 };
	struct nft_table *t, **all;
	uint32_t n = 0;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_TABLE_MAX))
		return -LINUX_EINVAL;
	if (q->r->h.flags & LINUX_NLM_F_DUMP) {
		all = nft_tables_by_age(q, &n);
		for (uint32_t i = 0; i < n; i++)
			table_fill(q, &b, NFT_NEWTABLE, all[i]);
		free(all);
		return nft_dumped(q, &b);
	}
	ret = nft_table_by(q, &tb[NFTA_TABLE_NAME], &t);
	if (ret)
		return ret;
	table_fill(q, &b, NFT_NEWTABLE, t);
	return nft_answer(q, &b);
}

long nft_table_del_msg(struct nfq *q)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYTABLE;
	struct nla tb[NFTA_TABLE_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	uint64_t handle = 0;
	bool hit = false;

	if (nla_parse(q->attrs, tb, NFTA_TABLE_MAX) || !nla_get_str(&tb[NFTA_TABLE_NAME], name, sizeof(name)) ||
	    !nla_be64(&tb[NFTA_TABLE_HANDLE], &handle))
		return -LINUX_EINVAL;
	/* without a name: all of the family, or of every one */
	for (uint32_t i = 0; i < q->rs->nr; i++) {
		struct nft_table *t = q->rs->table[i];

		if (!t || (q->family != NFPROTO_UNSPEC && q->family != t->family) || (name[0] && strcmp(name, t->name)) ||
		    (handle && handle != t->handle))
			continue;
		table_event(q, NFT_DELTABLE, t);
		nft_table_del(q->rs, t);
		hit = true;
	}
	return hit || quiet || (!name[0] && !handle) ? 0 : -LINUX_ENOENT;
}

/* ---- chains --------------------------------------------------------------------------------------------------------------- */

static void chain_fill(const struct nfq *q, struct buf *b, uint8_t msg, const struct nft_table *t, const struct nft_chain *c)
{
	size_t at = nft_msg_begin(q, b, msg, t->family, 0), nest;

	nla_put_str(b, NFTA_CHAIN_TABLE, t->name);
	nla_put_str(b, NFTA_CHAIN_NAME, c->name);
	nla_put_be64(b, NFTA_CHAIN_HANDLE, c->handle);
	if (c->base) {
		nest = nfa_nest(b, NFTA_CHAIN_HOOK);
		nla_put_be32(b, NFTA_HOOK_NUM, c->base->hook);
		nla_put_be32(b, NFTA_HOOK_PRIORITY, (uint32_t)c->base->priority);
		nla_nest_end(b, nest);
		nla_put_be32(b, NFTA_CHAIN_POLICY, (uint32_t)c->policy);
		nla_put_str(b, NFTA_CHAIN_TYPE, c->type);
	}
	if (c->flags)
		nla_put_be32(b, NFTA_CHAIN_FLAGS, c->flags);
	nla_put_be32(b, NFTA_CHAIN_USE, c->nr + t->chains.use[c->slot]);
	if (c->udata_len)
		nla_put(b, NFTA_CHAIN_USERDATA, c->udata, c->udata_len);
	nlb_end(b, at);
}

static void chain_event(struct nfq *q, uint8_t msg, const struct nft_table *t, const struct nft_chain *c)
{
	struct buf b = { 0 };

	chain_fill(q, &b, msg, t, c);
	nft_event(q, &b);
}

static const struct {
	const char *name;
	uint32_t hooks;
} chain_types[] = {
	{ "filter", 0x1f },
	{ "nat", 1u << NF_PRE_ROUTING | 1u << NF_LOCAL_IN | 1u << NF_LOCAL_OUT | 1u << NF_POST_ROUTING },
	{ "route", 1u << NF_LOCAL_OUT },
};
#define PRI_CONNTRACK (-200)

struct chain_hook {
	uint32_t num, priority;
	char type[16];
};

static long hook_parse(const struct nla *tb, struct chain_hook *h)
{
	struct nla hk[NFTA_HOOK_PRIORITY + 1];
	unsigned i = 0;

	strcpy(h->type, "filter");
	if (nla_parse(nla_cursor(&tb[NFTA_CHAIN_HOOK]), hk, NFTA_HOOK_PRIORITY) || !nla_has(&hk[NFTA_HOOK_NUM]) ||
	    !nla_has(&hk[NFTA_HOOK_PRIORITY]) || !nla_be32(&hk[NFTA_HOOK_NUM], &h->num) ||
	    !nla_be32(&hk[NFTA_HOOK_PRIORITY], &h->priority) || !nla_get_str(&tb[NFTA_CHAIN_TYPE], h->type, sizeof(h->type)))
		return -LINUX_EINVAL;
	while (i < ARRAY_SIZE(chain_types) && strcmp(chain_types[i].name, h->type))
		i++;
	if (i == ARRAY_SIZE(chain_types))
		return -LINUX_ENOENT;
	if (h->num >= NF_HOOKS || !(chain_types[i].hooks >> h->num & 1))
		return -LINUX_EOPNOTSUPP;
	return !strcmp(h->type, "nat") && (int32_t)h->priority <= PRI_CONNTRACK ? -LINUX_EOPNOTSUPP : 0;
}

static long make_base(struct nfq *q, struct nft_table *t, struct nft_chain *c, const struct chain_hook *h)
{
	struct nft_base *b = calloc(1, sizeof(*b));

	if (!b)
		return -LINUX_ENOMEM;
	ref_init(&b->ref, 1);
	*b = (struct nft_base){ .ref = b->ref, .ns = q->n->ns, .tslot = t->slot, .cslot = c->slot, .hook = (uint8_t)h->num,
				.family = t->family, .priority = (int32_t)h->priority, .nat = !strcmp(h->type, "nat"),
				.route = !strcmp(h->type, "route") };
	c->base = b;
	c->flags |= NFT_CHAIN_BASE;
	strcpy(c->type, h->type);
	return 0;
}

static bool policy_parse(const struct nla *a, int32_t *out)
{
	uint32_t v = NF_ACCEPT;

	if (!nla_be32(a, &v) || v > NF_ACCEPT)
		return false;
	if (nla_has(a))
		*out = (int32_t)v;
	return true;
}

static long chain_add(struct nfq *q, struct nft_table *t, const struct nla *tb, const char *name)
{
	struct nft_chain *c = calloc(1, sizeof(*c));
	struct chain_hook h;
	long ret = 0;

	if (!c)
		return -LINUX_ENOMEM;
	ref_init(&c->ref, 1);
	c->policy = NF_ACCEPT;
	c->batch = q->n->batch;
	if (!nla_be32(&tb[NFTA_CHAIN_FLAGS], &c->flags) || (c->flags & ~(NFT_CHAIN_BASE | NFT_CHAIN_BINDING)) ||
	    !nla_be32(&tb[NFTA_CHAIN_ID], &c->id) || !nft_get_udata(&tb[NFTA_CHAIN_USERDATA], c->udata, &c->udata_len) ||
	    !policy_parse(&tb[NFTA_CHAIN_POLICY], &c->policy))
		ret = -LINUX_EINVAL;
	c->flags &= NFT_CHAIN_BINDING;
	c->handle = ++t->next_handle;
	if (name[0])
		strcpy(c->name, name);
	else if (c->flags & NFT_CHAIN_BINDING)
		snprintf(c->name, sizeof(c->name), "__chain%lu", (unsigned long)c->handle);
	else
		ret = -LINUX_EINVAL;
	if (!ret && nla_has(&tb[NFTA_CHAIN_POLICY]) && !nla_has(&tb[NFTA_CHAIN_HOOK]))
		ret = -LINUX_EOPNOTSUPP;
	if (!ret && nla_has(&tb[NFTA_CHAIN_HOOK]))
		ret = hook_parse(tb, &h);
	if (!ret && !nft_slot_take(&t->chains, c, &c->slot))
		ret = -LINUX_ENOSPC;
	if (!ret && nla_has(&tb[NFTA_CHAIN_HOOK]) && (ret = make_base(q, t, c, &h)))
		t->chains.p[c->slot] = NULL;
	if (ret) {
		nft_chain_put(c);
		return ret;
	}
	chain_event(q, NFT_NEWCHAIN, t, c);
	return 0;
}

/* What may change in a chain: policy, and with a handle the name. */
static long chain_update(struct nfq *q, struct nft_table *t, const struct nla *tb, const char *name, struct nft_chain *c)
{
	struct chain_hook h;
	long ret;

	if (q->r->h.flags & NLM_F_EXCL)
		return -LINUX_EEXIST;
	if (q->r->h.flags & NLM_F_REPLACE)
		return -LINUX_EOPNOTSUPP;
	if (nla_has(&tb[NFTA_CHAIN_HOOK])) {
		ret = hook_parse(tb, &h);
		if (ret)
			return ret;
		if (!c->base || strcmp(h.type, c->type) || h.num != c->base->hook || (int32_t)h.priority != c->base->priority)
			return -LINUX_EEXIST;
	}
	if (nla_has(&tb[NFTA_CHAIN_POLICY]) && !c->base)
		return -LINUX_EOPNOTSUPP;
	c = nft_chain_own(q->n, t, c);
	if (!c)
		return -LINUX_ENOMEM;
	if (!policy_parse(&tb[NFTA_CHAIN_POLICY], &c->policy))
		return -LINUX_EINVAL;
	if (name[0] && strcmp(name, c->name)) {
		if (nft_chain_find(t, name))
			return -LINUX_EEXIST;
		strcpy(c->name, name);
	}
	chain_event(q, NFT_NEWCHAIN, t, c);
	return 0;
}

static long chain_attrs(struct nfq *q, struct nla *tb, char *name, uint64_t *handle)
{
	if (nla_parse(q->attrs, tb, NFTA_CHAIN_MAX) || !nla_get_str(&tb[NFTA_CHAIN_NAME], name, NFT_NAME_MAX) ||
	    !nla_be64(&tb[NFTA_CHAIN_HANDLE], handle))
		return -LINUX_EINVAL;
	return 0;
}

long nft_chain_new_msg(struct nfq *q)
{
	struct nla tb[NFTA_CHAIN_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	struct nft_chain *c;
	uint64_t handle = 0;
	long ret = chain_attrs(q, tb, name, &handle);

	if (!ret)
		ret = nft_table_mine(q, &tb[NFTA_CHAIN_TABLE], &t);
	if (ret)
		return ret;
	if (handle) {
		c = (struct nft_chain *)nft_by_handle(&t->chains, handle);
		return c ? chain_update(q, t, tb, name, c) : -LINUX_ENOENT;
	}
	c = name[0] ? nft_chain_find(t, name) : NULL;
	return c ? chain_update(q, t, tb, name, c) : chain_add(q, t, tb, name);
}

long nft_chain_del_msg(struct nfq *q)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYCHAIN;
	struct nla tb[NFTA_CHAIN_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t;
	struct nft_chain *c;
	uint64_t handle = 0;
	struct buf b = { 0 };
	long ret = chain_attrs(q, tb, name, &handle);

	if (!ret)
		ret = nft_table_mine(q, &tb[NFTA_CHAIN_TABLE], &t);
	if (ret)
		return quiet && ret == -LINUX_ENOENT ? 0 : ret;
	c = handle ? (struct nft_chain *)nft_by_handle(&t->chains, handle) : nft_chain_find(t, name);
	if (!c)
		return quiet ? 0 : -LINUX_ENOENT;
	if ((q->r->h.flags & NLM_F_NONREC) && c->nr)
		return -LINUX_EBUSY;
	chain_fill(q, &b, NFT_DELCHAIN, t, c);
	ret = nft_chain_del(q->n, t, c);
	if (ret)
		buf_fini(&b);
	else
		nft_event(q, &b);
	return ret;
}

long nft_chain_get_msg(struct nfq *q)
{
	struct nla tb[NFTA_CHAIN_MAX + 1];
	char name[NFT_NAME_MAX] = "";
	struct nft_table *t, **all;
	struct nft_named **v;
	struct nft_chain *c;
	uint32_t n = 0, k = 0;
	uint64_t handle = 0;
	struct buf b = { 0 };
	long ret = chain_attrs(q, tb, name, &handle);

	if (ret)
		return ret;
	if (q->r->h.flags & LINUX_NLM_F_DUMP) {
		all = nft_tables_by_age(q, &n);
		for (uint32_t i = 0; i < n; i++) {
			v = nft_by_age(&all[i]->chains, &k);
			for (uint32_t j = 0; j < k; j++)
				chain_fill(q, &b, NFT_NEWCHAIN, all[i], (struct nft_chain *)v[j]);
			free(v);
		}
		free(all);
		return nft_dumped(q, &b);
	}
	ret = nft_table_by(q, &tb[NFTA_CHAIN_TABLE], &t);
	if (ret)
		return ret;
	c = nft_chain_find(t, name);
	if (!c)
		return -LINUX_ENOENT;
	chain_fill(q, &b, NFT_NEWCHAIN, t, c);
	return nft_answer(q, &b);
}
