/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_eval_act.c - expressions that count, limit, log, refuse, translate, or are extensions of x_tables
 */
#include "sentry/net/nf/nft.h"

void nft_eval_counter(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	atomic_fetch_add_explicit(&e->packets, MAX(1u, (uint32_t)c->p->gso_segs), memory_order_relaxed);
	atomic_fetch_add_explicit(&e->bytes, c->p->len, memory_order_relaxed);
}

/* A bucket kept as the time when it will be full again. type (op) 1: bytes. */
void nft_eval_limit(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	uint64_t span = e->unit * NET_SEC, now = net_now(c->st->ns->stack), cost, room;
	bool ok;

	if (e->op) {
		cost = (uint64_t)((__uint128_t)span * c->p->len / e->rate);
		room = (uint64_t)((__uint128_t)span * (e->rate + e->burst) / e->rate);
	} else {
		cost = span / e->rate;
		room = cost * MAX(e->burst, 1ull);
	}
	mutex_lock(&e->mu);
	if (e->full_ns < now)
		e->full_ns = now;
	ok = e->full_ns - now + cost <= room;
	if (ok)
		e->full_ns += cost;
	mutex_unlock(&e->mu);
	if (ok == !!(e->flags & 1))
		r->v.code = NFT_BREAK;
}

void nft_eval_quota(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	bool over = atomic_fetch_add(&e->bytes, c->p->len) + c->p->len >= e->rate;

	if (over != !!(e->flags & 1))
		r->v.code = NFT_BREAK;
}

void nft_eval_log(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	if (!e->set) /* a group: for a listener that is not here */
		nf_log_packet(c->p, c->st, e->prefix, (uint8_t)e->key, (uint8_t)e->flags);
}

void nft_eval_reject(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	static const uint8_t x4[] = { 0, 3, 1, 13 }, x6[] = { 0, 4, 3, 1 };
	bool v4 = c->st->family == NET_AF_INET;
	uint8_t code = (uint8_t)e->key;

	if (e->op == 1)
		nf_reject_reset(c->p, c->st);
	else
		nf_reject_icmp(c->p, c->st, v4 ? 3 : 1, e->op == 0 ? code : v4 ? x4[code] : x6[code]);
	r->v.code = NF_DROP;
}

/* ---- translation ------------------------------------------------------------------------------------------------------- */

static void get_ports(const struct nft_expr *e, const struct nft_regs *r, struct nf_nat_range *n)
{
	uint16_t v;

	n->flags = e->flags;
	if (!e->r_pmin)
		return;
	memcpy(&v, &r->w[e->r_pmin], 2);
	n->pmin = net_ntohs(v);
	memcpy(&v, &r->w[e->r_pmax ? e->r_pmax : e->r_pmin], 2);
	n->pmax = net_ntohs(v);
	n->flags |= NATF_PROTO_SPECIFIED;
}

static struct naddr get_addr(const struct nft_regs *r, uint8_t reg, bool v4)
{
	return v4 ? naddr_from_v4(r->w[reg]) : naddr_from_bytes6(&r->w[reg]);
}

void nft_eval_nat(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	bool v4 = c->st->family == NET_AF_INET;
	struct nf_nat_range n = { 0 };

	if (!c->p->ct || (e->family != NFPROTO_INET && e->family != c->st->family)) {
		r->v.code = NFT_BREAK;
		return;
	}
	get_ports(e, r, &n);
	if (e->r_amin) {
		n.min = get_addr(r, e->r_amin, v4);
		n.max = get_addr(r, e->r_amax ? e->r_amax : e->r_amin, v4);
		n.flags |= NATF_MAP_IPS;
	}
	r->v.code = (int32_t)nf_nat_setup(c->p->ct, &n, e->op ? NF_MANIP_DST : NF_MANIP_SRC);
}

void nft_eval_masq(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	struct nf_nat_range n = { 0 };

	get_ports(e, r, &n);
	r->v.code = (int32_t)nf_nat_masquerade(c->p, c->st, &n);
}

void nft_eval_redir(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	struct nf_nat_range n = { 0 };

	get_ports(e, r, &n);
	r->v.code = (int32_t)nf_nat_redirect(c->p, c->st, &n);
}

void nft_eval_xt(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	int v;

	if (e->type == NFTE_MATCH) {
		if (!e->xt->ext->match(e->xt, c->p, c->st))
			r->v.code = NFT_BREAK;
		return;
	}
	v = e->xt->ext->run(e->xt, c->p, c->st);
	r->v.code = v == XT_CONTINUE ? NFT_CONTINUE : v;
}
