/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_rule.c - nf_tables' rules over netlink
 */
#include "sentry/socket/netlink/nfnl.h"

static void rule_fill(const struct nfq *q, struct buf *b, uint8_t msg, uint16_t flags, const struct nft_table *t, const struct nft_chain *c,
		      uint32_t i)
{
	const struct nft_rule *r = c->rule[i];
	size_t at = nft_msg_begin(q, b, msg, t->family, flags), nest;

	nla_put_str(b, NFTA_RULE_TABLE, t->name);
	nla_put_str(b, NFTA_RULE_CHAIN, c->name);
	nla_put_be64(b, NFTA_RULE_HANDLE, r->handle);
	if (i && msg == NFT_NEWRULE)
		nla_put_be64(b, NFTA_RULE_POSITION, c->rule[i - 1]->handle);
	nest = nfa_nest(b, NFTA_RULE_EXPRESSIONS);
	for (unsigned k = 0; k < r->nr; k++)
		nft_expr_dump(b, t, r->expr[k], NFTA_LIST_ELEM);
	nla_nest_end(b, nest);
	if (r->udata_len)
		nla_put(b, NFTA_RULE_USERDATA, r->udata, r->udata_len);
	nlb_end(b, at);
}

static void rule_event(struct nfq *q, uint8_t msg, const struct nft_table *t, const struct nft_chain *c, uint32_t i)
{
	struct buf b = { 0 };

	rule_fill(q, &b, msg, msg == NFT_NEWRULE ? q->r->h.flags & (NLM_F_APPEND | NLM_F_CREATE) : 0, t, c, i);
	nft_event(q, &b);
}

/* ---- making -------------------------------------------------------------------------------------------------------------- */

static long exprs_parse(struct nfe *x, const struct nla *list, struct nft_rule *r)
{
	struct cursor c = nla_cursor(list);
	long ret = 0;

	while (!ret && cursor_left(&c) >= 4) {
		uint16_t len = get_le16(&c);
		struct nla a;

		get_le16(&c);
		a.len = (uint16_t)(len - 4);
		a.p = len >= 4 ? get_bytes(&c, a.len) : NULL;
		if (!a.p)
			return -LINUX_EINVAL;
		get_bytes(&c, MIN(LINUX_NL_ALIGN(len) - len, cursor_left(&c)));
		if (r->nr == NFT_EXPRS_MAX)
			return -LINUX_EINVAL;
		ret = nft_expr_parse(x, &a, &r->expr[r->nr]);
		if (!ret)
			r->needs_ct |= nft_expr_wants_ct(r->expr[r->nr++]);
	}
	return ret;
}

static bool compat_parse(const struct nla *a, struct nfe *x)
{
	struct nla tb[NFTA_RULE_COMPAT_FLAGS + 1];
	uint32_t proto = 0, flags = 0;

	if (!nla_has(a))
		return true;
	if (nla_parse(nla_cursor(a), tb, NFTA_RULE_COMPAT_FLAGS) || !nla_be32(&tb[NFTA_RULE_COMPAT_PROTO], &proto) ||
	    !nla_be32(&tb[NFTA_RULE_COMPAT_FLAGS], &flags))
		return false;
	x->proto = (uint8_t)proto;
	x->proto_inv = flags & 2;
	return true;
}

static long rule_make(struct nfq *q, struct nft_table *t, const struct nft_chain *c, const struct nla *tb, struct nft_rule **out)
{
	struct nfe x = { .q = q, .t = t, .c = c };
	struct nft_rule *r = calloc(1, sizeof(*r) + NFT_EXPRS_MAX * sizeof(r->expr[0])), *fit;
	long ret = 0;

	if (!r)
		return -LINUX_ENOMEM;
	ref_init(&r->ref, 1);
	if (!compat_parse(&tb[NFTA_RULE_COMPAT], &x) || !nft_get_udata(&tb[NFTA_RULE_USERDATA], r->udata, &r->udata_len))
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = exprs_parse(&x, &tb[NFTA_RULE_EXPRESSIONS], r);
	if (ret) {
		nft_rule_put(r);
		return ret;
	}
	r->handle = ++t->next_handle;
	fit = realloc(r, sizeof(*r) + r->nr * sizeof(r->expr[0]));
	*out = fit ? fit : r;
	return 0;
}

static bool index_of(const struct nft_chain *c, uint64_t handle, uint32_t *out)
{
	for (uint32_t i = 0; i < c->nr; i++)
		if (c->rule[i]->handle == handle) {
			*out = i;
			return true;
		}
	return false;
}

static long chain_of(struct nfq *q, struct nft_table *t, const struct nla *tb, struct nft_chain **out)
{
	char name[NFT_NAME_MAX] = "";
	uint32_t id = 0;

	if (!nla_get_str(&tb[NFTA_RULE_CHAIN], name, sizeof(name)) || !nla_be32(&tb[NFTA_RULE_CHAIN_ID], &id))
		return -LINUX_EINVAL;
	if (nla_has(&tb[NFTA_RULE_CHAIN])) {
		*out = nft_chain_find(t, name);
		return *out ? 0 : -LINUX_ENOENT;
	}
	for (uint32_t i = 0; id && i < t->chains.nr; i++) {
		*out = t->chains.p[i];
		if (*out && (*out)->batch == q->n->batch && (*out)->id == id)
			return 0;
	}
	return nla_has(&tb[NFTA_RULE_CHAIN_ID]) ? -LINUX_ENOENT : -LINUX_EINVAL;
}

/* Where the new rule goes, and whether the one there is replaced. */
static long rule_place(struct nfq *q, const struct nft_chain *c, const struct nla *tb, uint32_t *at, bool *replace)
{
	uint64_t handle = 0, pos = 0;
	uint16_t f = q->r->h.flags;

	if (!nla_be64(&tb[NFTA_RULE_HANDLE], &handle) || !nla_be64(&tb[NFTA_RULE_POSITION], &pos))
		return -LINUX_EINVAL;
	*replace = false;
	if (nla_has(&tb[NFTA_RULE_HANDLE])) {
		if (!index_of(c, handle, at))
			return -LINUX_ENOENT;
		if (f & NLM_F_EXCL)
			return -LINUX_EEXIST;
		*replace = f & NLM_F_REPLACE;
		return *replace ? 0 : -LINUX_EOPNOTSUPP;
	}
	if (!(f & NLM_F_CREATE) || (f & NLM_F_REPLACE))
		return -LINUX_EINVAL;
	if (nla_has(&tb[NFTA_RULE_POSITION])) {
		if (!index_of(c, pos, at))
			return -LINUX_ENOENT;
		*at += f & NLM_F_APPEND ? 1 : 0;
	} else {
		*at = f & NLM_F_APPEND ? c->nr : 0;
	}
	return 0;
}

long nft_rule_new_msg(struct nfq *q)
{
	struct nla tb[NFTA_RULE_MAX + 1];
	struct nft_rule *r = NULL;
	struct nft_table *t;
	struct nft_chain *c;
	uint32_t at = 0;
	bool replace;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_RULE_MAX))
		return -LINUX_EINVAL;
	ret = nft_table_mine(q, &tb[NFTA_RULE_TABLE], &t);
	if (!ret)
		ret = chain_of(q, t, tb, &c);
	if (ret)
		return ret;
	c = nft_chain_own(q->n, t, c);
	if (!c)
		return -LINUX_ENOMEM;
	ret = rule_place(q, c, tb, &at, &replace);
	if (!ret)
		ret = rule_make(q, t, c, tb, &r);
	if (!ret)
		ret = nft_rule_insert(q->n, t, c, at, r);
	if (ret) {
		nft_rule_put(r);
		return ret;
	}
	rule_event(q, NFT_NEWRULE, t, c, at);
	if (replace) {
		rule_event(q, NFT_DELRULE, t, c, at + 1);
		nft_rule_remove(q->n, t, c, at + 1);
	}
	return 0;
}

/* ---- deleting ---------------------------------------------------------------------------------------------------------------- */

static long flush_chain(struct nfq *q, struct nft_table *t, struct nft_chain *c)
{
	if (!c->nr)
		return 0;
	c = nft_chain_own(q->n, t, c);
	if (!c)
		return -LINUX_ENOMEM;
	while (c->nr) {
		rule_event(q, NFT_DELRULE, t, c, c->nr - 1);
		nft_rule_remove(q->n, t, c, c->nr - 1);
	}
	return 0;
}

long nft_rule_del_msg(struct nfq *q)
{
	bool quiet = (q->r->h.type & 0xff) == NFT_DESTROYRULE;
	struct nla tb[NFTA_RULE_MAX + 1];
	struct nft_table *t;
	struct nft_chain *c;
	uint64_t handle = 0;
	uint32_t at;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_RULE_MAX) || !nla_be64(&tb[NFTA_RULE_HANDLE], &handle))
		return -LINUX_EINVAL;
	ret = nft_table_mine(q, &tb[NFTA_RULE_TABLE], &t);
	if (ret)
		return ret;
	if (!nla_has(&tb[NFTA_RULE_CHAIN])) {
		/* chains that only a rule holds go while we walk: slots stay valid, what is in them is asked each time */
		for (uint32_t i = 0; !ret && i < t->chains.nr; i++)
			if (t->chains.p[i] && !(((struct nft_chain *)t->chains.p[i])->flags & NFT_CHAIN_BINDING))
				ret = flush_chain(q, t, t->chains.p[i]);
		return ret;
	}
	ret = chain_of(q, t, tb, &c);
	if (ret)
		return quiet && ret == -LINUX_ENOENT ? 0 : ret;
	if (!nla_has(&tb[NFTA_RULE_HANDLE]))
		return flush_chain(q, t, c);
	c = nft_chain_own(q->n, t, c);
	if (!c)
		return -LINUX_ENOMEM;
	if (!index_of(c, handle, &at))
		return quiet ? 0 : -LINUX_ENOENT;
	rule_event(q, NFT_DELRULE, t, c, at);
	nft_rule_remove(q->n, t, c, at);
	return 0;
}

/* ---- showing ------------------------------------------------------------------------------------------------------------------ */

static void reset_counters(const struct nft_rule *r)
{
	for (unsigned i = 0; i < r->nr; i++)
		if (r->expr[i]->type == NFTE_COUNTER || r->expr[i]->type == NFTE_QUOTA) {
			atomic_store(&r->expr[i]->packets, 0);
			atomic_store(&r->expr[i]->bytes, 0);
		}
}

static void chain_dump(struct nfq *q, struct buf *b, const struct nft_table *t, const struct nft_chain *c)
{
	for (uint32_t i = 0; i < c->nr; i++) {
		rule_fill(q, b, NFT_NEWRULE, i ? NLM_F_APPEND : 0, t, c, i);
		if ((q->r->h.type & 0xff) == NFT_GETRULE_RESET)
			reset_counters(c->rule[i]);
	}
}

static long rule_dump(struct nfq *q, const struct nla *tb)
{
	char table[NFT_NAME_MAX] = "", chain[NFT_NAME_MAX] = "";
	struct nft_table **all;
	struct nft_named **v;
	struct buf b = { 0 };
	uint32_t n = 0, k = 0;

	if (!nla_get_str(&tb[NFTA_RULE_TABLE], table, sizeof(table)) || !nla_get_str(&tb[NFTA_RULE_CHAIN], chain, sizeof(chain)))
		return -LINUX_EINVAL;
	all = nft_tables_by_age(q, &n);
	for (uint32_t i = 0; i < n; i++) {
		if (table[0] && strcmp(table, all[i]->name))
			continue;
		v = nft_by_age(&all[i]->chains, &k);
		for (uint32_t j = 0; j < k; j++)
			if (!chain[0] || !strcmp(chain, v[j]->name))
				chain_dump(q, &b, all[i], (struct nft_chain *)v[j]);
		free(v);
	}
	free(all);
	return nft_dumped(q, &b);
}

long nft_rule_get_msg(struct nfq *q)
{
	struct nla tb[NFTA_RULE_MAX + 1];
	struct buf b = { 0 };
	struct nft_table *t;
	struct nft_chain *c;
	uint64_t handle = 0;
	uint32_t at;
	long ret;

	if (nla_parse(q->attrs, tb, NFTA_RULE_MAX) || !nla_be64(&tb[NFTA_RULE_HANDLE], &handle))
		return -LINUX_EINVAL;
	if (q->r->h.flags & LINUX_NLM_F_DUMP)
		return rule_dump(q, tb);
	ret = nft_table_by(q, &tb[NFTA_RULE_TABLE], &t);
	if (!ret)
		ret = chain_of(q, t, tb, &c);
	if (ret)
		return ret;
	if (!index_of(c, handle, &at))
		return -LINUX_ENOENT;
	rule_fill(q, &b, NFT_NEWRULE, 0, t, c, at);
	return nft_answer(q, &b);
}
