/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_eval.c - a packet walks through chains; expressions that only move and compare data
 *
 * Source:  nft(8).
 */
#include "sentry/net/nf/nft.h"

static void eval_cmp(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	int d = memcmp(&r->w[e->sreg], e->a.b, e->len);
	const bool ok[] = { d == 0, d != 0, d < 0, d <= 0, d > 0, d >= 0 };

	if (!ok[e->op])
		r->v.code = NFT_BREAK;
}

static void eval_range(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	bool in = memcmp(&r->w[e->sreg], e->a.b, e->len) >= 0 && memcmp(&r->w[e->sreg], e->b.b, e->len) <= 0;

	if (in != (e->op == 0))
		r->v.code = NFT_BREAK;
}

static void eval_bitwise(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	unsigned n = (e->len + 3u) / 4, k = e->flags & 31;
	const uint32_t *s = &r->w[e->sreg];
	uint32_t *d = &r->w[e->dreg], carry = 0, v;

	for (unsigned i = 0; i < n; i++) {
		unsigned at = e->op == 1 ? n - 1 - i : i; /* to the left from the last word on */

		v = s[at];
		if (e->op == 0) {
			d[at] = (v & e->a.w[at]) ^ e->b.w[at];
		} else if (e->op == 1) {
			d[at] = v << k | carry;
			carry = k ? v >> (32 - k) : 0;
		} else {
			d[at] = v >> k | carry;
			carry = k ? v << (32 - k) : 0;
		}
	}
}

static void eval_byteorder(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint8_t *s = (uint8_t *)&r->w[e->sreg], *d = (uint8_t *)&r->w[e->dreg], t[8];
	unsigned size = e->off;

	for (unsigned i = 0; i + size <= e->len; i += size) {
		memcpy(t, s + i, size);
		for (unsigned k = 0; k < size; k++)
			d[i + k] = t[size - 1 - k];
	}
}

static void eval_immediate(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	if (e->dreg)
		memcpy(&r->w[e->dreg], e->a.b, ALIGN_UP((size_t)e->len, 4));
	else
		r->v = e->a.v;
}

static void eval_lookup(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	const struct nft_set *s = nft_slot(&c->t->sets, e->slot);
	const struct nft_elem *m = s ? nft_set_lookup(s, &r->w[e->sreg], net_now(c->st->ns->stack)) : NULL;

	if (!m != !!(e->flags & 1)) {
		r->v.code = NFT_BREAK;
		return;
	}
	if (!m)
		return;
	if (m->expr)
		nft_eval_one(m->expr, r, c);
	if (!e->set) /* no destination: a plain set */
		return;
	if (e->dreg == 0)
		r->v = m->data.v;
	else
		memcpy(&r->w[e->dreg], m->data.b, ALIGN_UP((size_t)s->dlen, 4));
}

static void eval_objref(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint32_t slot = e->slot;
	const struct nft_obj *o;

	if (e->set) {
		const struct nft_set *s = nft_slot(&c->t->sets, e->slot);
		const struct nft_elem *m = s ? nft_set_lookup(s, &r->w[e->sreg], net_now(c->st->ns->stack)) : NULL;

		slot = m ? m->obj : NFT_NO_SLOT;
	}
	o = nft_slot(&c->t->objs, slot);
	if (o)
		nft_eval_one(o->state, r, c);
	else
		r->v.code = NFT_BREAK;
}

static void eval_notrack(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	if (!c->p->ct)
		c->p->flags |= PKT_F_UNTRACK;
}

static void eval_numgen(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint32_t mod = (uint32_t)e->rate;

	if (e->op) /* random */
		r->w[e->dreg] = e->off + (uint32_t)(((uint64_t)net_random32() * mod) >> 32);
	else
		r->w[e->dreg] = e->off + (uint32_t)(atomic_fetch_add_explicit(&e->packets, 1, memory_order_relaxed) % mod);
}

static const nft_evalfn evals[NFTE_COUNT] = {
	[NFTE_PAYLOAD] = nft_eval_payload, [NFTE_META] = nft_eval_meta, [NFTE_CMP] = eval_cmp, [NFTE_BITWISE] = eval_bitwise,
	[NFTE_BYTEORDER] = eval_byteorder, [NFTE_IMMEDIATE] = eval_immediate, [NFTE_LOOKUP] = eval_lookup,
	[NFTE_COUNTER] = nft_eval_counter, [NFTE_LIMIT] = nft_eval_limit, [NFTE_LOG] = nft_eval_log, [NFTE_REJECT] = nft_eval_reject,
	[NFTE_NAT] = nft_eval_nat, [NFTE_MASQ] = nft_eval_masq, [NFTE_REDIR] = nft_eval_redir, [NFTE_CT] = nft_eval_ct,
	[NFTE_RANGE] = eval_range, [NFTE_RT] = nft_eval_rt, [NFTE_FIB] = nft_eval_fib, [NFTE_EXTHDR] = nft_eval_exthdr,
	[NFTE_OBJREF] = eval_objref, [NFTE_QUOTA] = nft_eval_quota, [NFTE_NOTRACK] = eval_notrack, [NFTE_NUMGEN] = eval_numgen,
	[NFTE_MATCH] = nft_eval_xt, [NFTE_TARGET] = nft_eval_xt,
};

void nft_eval_one(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	evals[e->type](e, r, c);
}

/* One rule; the verdict is NFT_CONTINUE when it says nothing or does not match. */
static void run_rule(const struct nft_rule *rule, struct nft_regs *r, const struct nft_ctx *c)
{
	r->v.code = NFT_CONTINUE;
	for (unsigned i = 0; i < rule->nr && r->v.code == NFT_CONTINUE; i++)
		nft_eval_one(rule->expr[i], r, c);
	if (r->v.code == NFT_BREAK)
		r->v.code = NFT_CONTINUE;
}

struct jump {
	const struct nft_chain *c;
	uint32_t next;
};

static enum nf_verdict run_chain(const struct nft_chain *base, const struct nft_ctx *c)
{
	const struct nft_chain *at = base;
	struct jump stack[NFT_JUMPS_MAX];
	struct nft_regs r = { 0 };
	unsigned depth = 0;
	uint32_t i = 0;

	for (;;) {
		r.v.code = NFT_CONTINUE;
		while (i < at->nr && r.v.code == NFT_CONTINUE)
			run_rule(at->rule[i++], &r, c);
		switch (r.v.code) {
		case NFT_JUMP:
			if (depth == NFT_JUMPS_MAX)
				return NF_DROP;
			stack[depth++] = (struct jump){ at, i };
			/* fall through */
		case NFT_GOTO:
			at = nft_slot(&c->t->chains, r.v.chain);
			if (!at)
				return NF_DROP;
			i = 0;
			continue;
		case NFT_CONTINUE:
		case NFT_RETURN:
			if (!depth)
				return base->policy == NF_DROP ? NF_DROP : NF_ACCEPT;
			at = stack[--depth].c;
			i = stack[depth].next;
			continue;
		default:
			return r.v.code == NF_ACCEPT ? NF_ACCEPT : NF_DROP;
		}
	}
}

enum nf_verdict nft_hook(struct pkt *p, const struct nf_state *st, void *priv)
{
	const struct nft_base *b = priv;
	const struct nft_ruleset *rs = atomic_load_explicit(&st->ns->nf->nft->cur, memory_order_acquire);
	const struct nft_table *t = rs && b->tslot < rs->nr ? rs->table[b->tslot] : NULL;
	const struct nft_chain *ch = t ? nft_slot(&t->chains, b->cslot) : NULL;
	struct nft_ctx c = { .p = p, .st = st, .t = t, .base = b };

	/* the hook may be older or younger than the rules of the moment */
	return ch && ch->base == b && !(t->flags & 1) ? run_chain(ch, &c) : NF_ACCEPT;
}
