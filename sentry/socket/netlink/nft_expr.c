/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_expr.c - expressions on the wire: names, registers, data, verdicts
 */
#include "sentry/socket/netlink/nfnl.h"

/* ---- registers and data ----------------------------------------------------------------------------------------------- */

bool nft_get_reg(const struct nla *a, uint8_t *out)
{
	uint32_t v = 0;

	if (!nla_has(a) || !nla_be32(a, &v))
		return false;
	if (v >= 1 && v <= 4)
		*out = (uint8_t)(v * 4);
	else if (v >= 8 && v <= 23)
		*out = (uint8_t)(v - 8 + 4);
	else
		return false;
	return true;
}

bool nft_reg_room(uint8_t reg, uint32_t len)
{
	return reg >= 4 && len && len <= NFT_DATA_MAX && reg + (len + 3) / 4 <= 20;
}

void nft_put_reg(struct buf *b, uint16_t attr, uint8_t reg)
{
	nla_put_be32(b, attr, reg % 4 ? reg - 4u + 8u : reg / 4u);
}

int nft_value_parse(const struct nla *a, union nft_data *out)
{
	struct nla tb[NFTA_DATA_VERDICT + 1];

	if (!nla_has(a) || nla_parse(nla_cursor(a), tb, NFTA_DATA_VERDICT) || !nla_has(&tb[NFTA_DATA_VALUE]) ||
	    !tb[NFTA_DATA_VALUE].len || tb[NFTA_DATA_VALUE].len > NFT_DATA_MAX)
		return -1;
	memset(out, 0, sizeof(*out));
	memcpy(out->b, tb[NFTA_DATA_VALUE].p, tb[NFTA_DATA_VALUE].len);
	return tb[NFTA_DATA_VALUE].len;
}

void nft_value_dump(struct buf *b, uint16_t attr, const union nft_data *d, uint32_t len)
{
	size_t nest = nfa_nest(b, attr);

	nla_put(b, NFTA_DATA_VALUE, d->b, len);
	nla_nest_end(b, nest);
}

static struct nft_chain *chain_by_id(const struct nfe *x, uint32_t id)
{
	for (uint32_t i = 0; i < x->t->chains.nr; i++) {
		struct nft_chain *c = x->t->chains.p[i];

		if (c && c->batch == x->q->n->batch && c->id == id && id)
			return c;
	}
	return NULL;
}

/* @a: the nested NFTA_DATA_VERDICT */
long nft_verdict_parse(struct nfe *x, const struct nla *a, struct nft_verdict *out)
{
	struct nla tb[NFTA_VERDICT_CHAIN_ID + 1];
	char name[NFT_NAME_MAX] = "";
	uint32_t code = 0, id = 0;
	struct nft_chain *c;

	if (!nla_has(a) || nla_parse(nla_cursor(a), tb, NFTA_VERDICT_CHAIN_ID) || !nla_has(&tb[NFTA_VERDICT_CODE]) ||
	    !nla_be32(&tb[NFTA_VERDICT_CODE], &code) || !nla_get_str(&tb[NFTA_VERDICT_CHAIN], name, sizeof(name)) ||
	    !nla_be32(&tb[NFTA_VERDICT_CHAIN_ID], &id))
		return -LINUX_EINVAL;
	*out = (struct nft_verdict){ .code = (int32_t)code, .chain = NFT_NO_SLOT };
	switch (out->code) {
	case NFT_JUMP:
	case NFT_GOTO:
		c = nla_has(&tb[NFTA_VERDICT_CHAIN]) ? nft_chain_find(x->t, name) : chain_by_id(x, id);
		if (!c)
			return -LINUX_ENOENT;
		if (c->base)
			return -LINUX_EOPNOTSUPP;
		out->chain = c->slot;
		return 0;
	case NFT_CONTINUE:
	case NFT_BREAK:
	case NFT_RETURN:
		return 0;
	}
	switch (code & 0xff) {
	case NF_ACCEPT:
	case NF_DROP:
	case NF_QUEUE:
		return 0;
	}
	return -LINUX_EINVAL;
}

void nft_verdict_dump(struct buf *b, const struct nft_table *t, const struct nft_verdict *v, uint16_t attr)
{
	size_t nest = nfa_nest(b, attr), in = nfa_nest(b, NFTA_DATA_VERDICT);
	const struct nft_chain *c;

	nla_put_be32(b, NFTA_VERDICT_CODE, (uint32_t)v->code);
	if (v->code == NFT_JUMP || v->code == NFT_GOTO) {
		c = nft_slot(&t->chains, v->chain);
		nla_put_str(b, NFTA_VERDICT_CHAIN, c ? c->name : "");
	}
	nla_nest_end(b, in);
	nla_nest_end(b, nest);
}

long nft_set_by(struct nfe *x, const struct nla *name, const struct nla *id, struct nft_set **out)
{
	char n[NFT_NAME_MAX] = "";
	uint32_t want = 0;

	if (!nla_get_str(name, n, sizeof(n)) || !nla_be32(id, &want))
		return -LINUX_EINVAL;
	*out = nft_set_find(x->t, n);
	for (uint32_t i = 0; !*out && want && i < x->t->sets.nr; i++) {
		struct nft_set *s = x->t->sets.p[i];

		if (s && s->batch == x->q->n->batch && s->id == want)
			*out = s;
	}
	return *out ? 0 : -LINUX_ENOENT;
}

/* ---- the expression ------------------------------------------------------------------------------------------------------ */

static const struct nft_expr_row *row_of(unsigned type)
{
	return nft_expr_rows_data[type].name ? &nft_expr_rows_data[type] : &nft_expr_rows_act[type];
}

static long parse_type(struct nfe *x, unsigned type, struct cursor attrs, struct nft_expr **out)
{
	struct nla tb[NFT_EXPR_ATTR_MAX + 1];
	struct nft_expr *e;
	long ret;

	if (nla_parse(attrs, tb, NFT_EXPR_ATTR_MAX))
		return -LINUX_EINVAL;
	e = calloc(1, sizeof(*e));
	if (!e)
		return -LINUX_ENOMEM;
	e->type = (uint8_t)type;
	mutex_init(&e->mu);
	ret = row_of(type)->parse(x, tb, e);
	if (ret) {
		nft_expr_free(e);
		return ret;
	}
	*out = e;
	return 0;
}

long nft_expr_parse(struct nfe *x, const struct nla *a, struct nft_expr **out)
{
	struct nla tb[NFTA_EXPR_DATA + 1];
	char name[32] = "";

	if (nla_parse(nla_cursor(a), tb, NFTA_EXPR_DATA) || !nla_has(&tb[NFTA_EXPR_NAME]) ||
	    !nla_get_str(&tb[NFTA_EXPR_NAME], name, sizeof(name)))
		return -LINUX_EINVAL;
	for (unsigned i = 0; i < NFTE_COUNT; i++)
		if (!strcmp(row_of(i)->name, name))
			return parse_type(x, i, nla_cursor(&tb[NFTA_EXPR_DATA]), out);
	return nl_why(x->q->r, -LINUX_ENOENT, "expression is not known here");
}

long nft_state_parse(struct nfe *x, uint32_t obj_type, const struct nla *a, struct nft_expr **out)
{
	switch (obj_type) {
	case NFT_OBJ_COUNTER:
		return parse_type(x, NFTE_COUNTER, nla_cursor(a), out);
	case NFT_OBJ_QUOTA:
		return parse_type(x, NFTE_QUOTA, nla_cursor(a), out);
	case NFT_OBJ_LIMIT:
		return parse_type(x, NFTE_LIMIT, nla_cursor(a), out);
	}
	return -LINUX_EOPNOTSUPP;
}

void nft_expr_dump_inner(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	if (row_of(e->type)->dump)
		row_of(e->type)->dump(b, t, e);
}

void nft_expr_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e, uint16_t attr)
{
	size_t nest = nfa_nest(b, attr), data;

	nla_put_str(b, NFTA_EXPR_NAME, row_of(e->type)->name);
	data = nfa_nest(b, NFTA_EXPR_DATA);
	nft_expr_dump_inner(b, t, e);
	nla_nest_end(b, data);
	nla_nest_end(b, nest);
}

bool nft_expr_wants_ct(const struct nft_expr *e)
{
	return e->type == NFTE_CT || e->type == NFTE_NAT || e->type == NFTE_MASQ || e->type == NFTE_REDIR || (e->xt && e->xt->ext->ct);
}
