/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_eval_meta.c - expressions on what is known beside the packet: meta, ct, rt, fib
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf/nft.h"
#include "sentry/net/sock_internal.h"

enum { META_LEN, META_PROTOCOL, META_PRIORITY, META_MARK, META_IIF, META_OIF, META_IIFNAME, META_OIFNAME, META_IIFTYPE, META_OIFTYPE,
       META_SKUID, META_SKGID, META_NFTRACE, META_NFPROTO = 15, META_L4PROTO, META_PKTTYPE = 19, META_CPU, META_IIFGROUP, META_OIFGROUP,
       META_PRANDOM = 24, META_IIFKIND = 26, META_OIFKIND, META_TIME_NS = 30, META_TIME_DAY, META_TIME_HOUR };

static void put_name(uint32_t *to, const char *name)
{
	memset(to, 0, 16);
	memcpy(to, name, strnlen(name, 15));
}

static bool link_meta(uint32_t key, const struct net_link *l, uint32_t *to)
{
	static const char none[1];

	switch (key) {
	case META_IIF:
	case META_OIF:
		*to = l ? l->index : 0;
		return true;
	case META_IIFNAME:
	case META_OIFNAME:
		put_name(to, l ? l->name : none);
		return true;
	case META_IIFKIND:
	case META_OIFKIND:
		put_name(to, l && l->ops->kind && strcmp(l->ops->kind, "nic") ? l->ops->kind : none);
		return true;
	case META_IIFGROUP:
	case META_OIFGROUP:
		*to = 0;
		return l != NULL;
	}
	if (l)
		*to = l->hwtype;
	return l != NULL;
}

static uint32_t pkttype(const struct nft_ctx *c)
{
	if (c->p->type != PKT_OUTGOING)
		return c->p->type;
	return naddr_is_multicast(&c->p->dstaddr) ? PKT_MULTICAST : naddr_is_bcast4(&c->p->dstaddr) ? PKT_BROADCAST : PKT_HOST;
}

static bool meta_get(uint32_t key, uint32_t *to, const struct nft_ctx *c)
{
	uint64_t wall;

	switch (key) {
	case META_LEN:
		*to = c->p->len;
		return true;
	case META_PROTOCOL:
		*to = net_htons(c->st->family == NET_AF_INET ? ETH_P_IP : ETH_P_IPV6);
		return true;
	case META_PRIORITY:
		*to = c->p->priority;
		return true;
	case META_MARK:
		*to = c->p->mark;
		return true;
	case META_IIF: case META_IIFNAME: case META_IIFTYPE: case META_IIFKIND: case META_IIFGROUP:
		return link_meta(key, c->st->in, to);
	case META_OIF: case META_OIFNAME: case META_OIFTYPE: case META_OIFKIND: case META_OIFGROUP:
		return link_meta(key, c->st->out, to);
	case META_SKUID:
		*to = c->st->sk ? c->st->sk->c.uid : 0;
		return c->st->sk != NULL;
	case META_SKGID:
		*to = c->st->sk ? c->st->sk->gid : 0;
		return c->st->sk != NULL;
	case META_NFPROTO:
		*to = c->st->family;
		return true;
	case META_L4PROTO:
		*to = c->st->proto;
		return true;
	case META_PKTTYPE:
		*to = pkttype(c);
		return true;
	case META_CPU:
		*to = 0;
		return true;
	case META_PRANDOM:
		*to = net_random32();
		return true;
	case META_TIME_NS:
		wall = net_wall(c->st->ns->stack);
		memcpy(to, &wall, 8);
		return true;
	case META_TIME_DAY:
		*to = (uint32_t)((net_wall(c->st->ns->stack) / NET_SEC / 86400 + 4) % 7);
		return true;
	case META_TIME_HOUR:
		*to = (uint32_t)(net_wall(c->st->ns->stack) / NET_SEC % 86400);
		return true;
	}
	return false;
}

void nft_eval_meta(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	if (!e->set) {
		if (!meta_get(e->key, &r->w[e->dreg], c))
			r->v.code = NFT_BREAK;
	} else if (e->key == META_MARK) {
		c->p->mark = r->w[e->sreg];
	} else if (e->key == META_PRIORITY) {
		c->p->priority = r->w[e->sreg];
	} else if (e->key == META_PKTTYPE) {
		c->p->type = (uint8_t)MIN(r->w[e->sreg], (uint32_t)PKT_OTHERHOST);
	}
}

/* ---- ct ----------------------------------------------------------------------------------------------------------------- */

enum { CTK_STATE, CTK_DIRECTION, CTK_STATUS, CTK_MARK, CTK_EXPIRATION = 5, CTK_L3PROTOCOL = 7, CTK_SRC, CTK_DST, CTK_PROTOCOL, CTK_PROTO_SRC,
       CTK_PROTO_DST, CTK_PKTS = 14, CTK_BYTES, CTK_AVGPKT, CTK_ZONE, CTK_SRC_IP = 19, CTK_DST_IP, CTK_SRC_IP6, CTK_DST_IP6, CTK_ID };

static void put_addr(uint32_t *to, const struct naddr *a)
{
	if (naddr_is_v4(a))
		to[0] = a->w[3];
	else
		memcpy(to, a->b, 16);
}

static uint64_t ct_acct(struct nf_conn *ct, uint8_t dir, bool bytes)
{
	uint64_t sum = 0;

	for (unsigned d = 0; d < 2; d++)
		if (dir > 1 || d == dir)
			sum += atomic_load(bytes ? &ct->acct[d].bytes : &ct->acct[d].packets);
	return sum;
}

static bool ct_get(const struct nft_expr *e, uint32_t *to, const struct nft_ctx *c)
{
	struct nf_conn *ct = c->p->ct;
	const struct nf_tuple *t = &ct->th[e->dir == 1].t;
	uint64_t now, exp, v;

	switch (e->key) {
	case CTK_DIRECTION:
		*to = CT_IS_REPLY(c->p->ctinfo);
		return true;
	case CTK_STATUS:
		*to = atomic_load(&ct->status);
		return true;
	case CTK_MARK:
		*to = atomic_load(&ct->mark);
		return true;
	case CTK_EXPIRATION:
		now = net_now(c->st->ns->stack);
		exp = atomic_load(&ct->expires_ns);
		*to = exp > now ? (uint32_t)((exp - now) / NET_MSEC) : 0;
		return true;
	case CTK_L3PROTOCOL:
		*to = naddr_family(&t->src);
		return true;
	case CTK_PROTOCOL:
		*to = t->proto;
		return true;
	case CTK_SRC: case CTK_SRC_IP: case CTK_SRC_IP6:
		put_addr(to, &t->src);
		return true;
	case CTK_DST: case CTK_DST_IP: case CTK_DST_IP6:
		put_addr(to, &t->dst);
		return true;
	case CTK_PROTO_SRC:
		*to = net_htons(t->sport);
		return true;
	case CTK_PROTO_DST:
		*to = net_htons(t->dport);
		return true;
	case CTK_PKTS: case CTK_BYTES:
		v = ct_acct(ct, e->dir, e->key == CTK_BYTES);
		memcpy(to, &v, 8);
		return true;
	case CTK_ZONE:
		*to = 0;
		return true;
	case CTK_ID:
		*to = ct->id;
		return true;
	}
	return false;
}

void nft_eval_ct(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	if (e->set) {
		if (c->p->ct && e->key == CTK_MARK)
			atomic_store(&c->p->ct->mark, r->w[e->sreg]);
		return;
	}
	if (e->key == CTK_STATE)
		r->w[e->dreg] = xt_state_bits(c->p);
	else if (!c->p->ct || !ct_get(e, &r->w[e->dreg], c))
		r->v.code = NFT_BREAK;
}

/* ---- rt, fib -------------------------------------------------------------------------------------------------------------- */

enum { RT_NEXTHOP4 = 1, RT_NEXTHOP6, RT_TCPMSS };

void nft_eval_rt(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	bool v4 = c->st->family == NET_AF_INET;
	uint32_t hdrs = (v4 ? IP4_HLEN : IP6_HLEN) + TCP_HLEN, mtu;
	struct dst *d = c->p->dst;

	if (!d) {
		r->v.code = NFT_BREAK;
	} else if (e->key == RT_TCPMSS) {
		mtu = dst_mtu(c->st->ns, d);
		if (c->st->in)
			mtu = MIN(mtu, c->st->in->mtu);
		r->w[e->dreg] = mtu > hdrs ? (uint16_t)(mtu - hdrs) : 0;
	} else if ((e->key == RT_NEXTHOP4) == v4) {
		put_addr(&r->w[e->dreg], d->gateway ? &d->nexthop : &c->p->dstaddr);
	} else {
		r->v.code = NFT_BREAK;
	}
}

enum { FIB_SADDR = 1, FIB_MARK = 4, FIB_IIF = 8, FIB_OIF = 16, FIB_PRESENT = 32 };
enum { FIB_RES_OIF = 1, FIB_RES_OIFNAME, FIB_RES_ADDRTYPE };

static uint32_t fib_type(const struct nft_expr *e, const struct naddr *a, const struct nft_ctx *c)
{
	struct net_link *l = e->flags & FIB_IIF ? c->st->in : e->flags & FIB_OIF ? c->st->out : NULL;
	struct net_flow fl = { .dst = *a, .any_src = true, .mark = e->flags & FIB_MARK ? c->p->mark : 0 };
	struct fib_res res;

	if (naddr_is_multicast(a))
		return NET_RTN_MULTICAST;
	if (naddr_is_bcast4(a))
		return NET_RTN_BROADCAST;
	if (l && net_addr_is_local(c->st->ns, a))
		return net_addr_on_link(l, a) ? NET_RTN_LOCAL : NET_RTN_UNICAST;
	return net_fib_lookup(c->st->ns, &fl, &res) ? NET_RTN_UNREACHABLE : res.type;
}

static uint32_t fib_oif(const struct nft_expr *e, const struct naddr *a, const struct nft_ctx *c)
{
	struct net_link *want = e->flags & FIB_IIF ? c->st->in : e->flags & FIB_OIF ? c->st->out : NULL;
	struct net_flow fl = { .dst = *a, .any_src = true, .mark = e->flags & FIB_MARK ? c->p->mark : 0 };
	struct fib_res res;

	if (net_fib_lookup(c->st->ns, &fl, &res) || (res.type != NET_RTN_UNICAST && res.type != NET_RTN_LOCAL))
		return 0;
	if (res.type == NET_RTN_LOCAL && want && (want->flags & NET_IFF_LOOPBACK))
		return want->index;
	return want && res.oif != want->index ? 0 : res.oif;
}

void nft_eval_fib(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c)
{
	const struct naddr *a = e->flags & FIB_SADDR ? &c->p->src : &c->p->dstaddr;
	struct net_link *l;
	uint32_t oif;

	if (e->key == FIB_RES_ADDRTYPE) {
		r->w[e->dreg] = fib_type(e, a, c);
		return;
	}
	oif = fib_oif(e, a, c);
	if (e->flags & FIB_PRESENT) {
		r->w[e->dreg] = oif != 0;
	} else if (e->key == FIB_RES_OIF) {
		r->w[e->dreg] = oif;
	} else {
		l = net_link_by_index(c->st->ns, oif);
		put_name(&r->w[e->dreg], l ? l->name : "");
		if (l)
			net_link_put(l);
	}
}
