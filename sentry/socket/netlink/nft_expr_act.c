/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_expr_act.c - the attributes of expressions that act: counting, limits, refusal, translation, x_tables
 */
#include "sentry/socket/netlink/nfnl.h"

#define U32(n, field) nla_be32(&tb[n], field)
#define U64(n, field) nla_be64(&tb[n], field)

static long counter_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint64_t bytes = 0, packets = 0;

	if (!U64(1, &bytes) || !U64(2, &packets))
		return -LINUX_EINVAL;
	atomic_store(&e->bytes, bytes);
	atomic_store(&e->packets, packets);
	return 0;
}

static void counter_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be64(b, 1, atomic_load(&((struct nft_expr *)e)->bytes));
	nla_put_be64(b, 2, atomic_load(&((struct nft_expr *)e)->packets));
}

enum { LI_RATE = 1, LI_UNIT, LI_BURST, LI_TYPE, LI_FLAGS };
#define LIMIT_BURST_DEFAULT 5

static long limit_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint32_t burst = 0, type = 0;

	if (!nla_has(&tb[LI_RATE]) || !nla_has(&tb[LI_UNIT]) || !U64(LI_RATE, &e->rate) || !U64(LI_UNIT, &e->unit) || !U32(LI_BURST, &burst) ||
	    !U32(LI_TYPE, &type) || !U32(LI_FLAGS, &e->flags) || type > 1 || (e->flags & ~1u))
		return -LINUX_EINVAL;
	/* a week is the longest unit; what cannot be counted in nanoseconds is refused */
	if (!e->rate || !e->unit || e->unit > 604800 || e->rate + burst < e->rate || (!type && e->unit * NET_SEC < e->rate))
		return -LINUX_EOVERFLOW;
	e->op = (uint8_t)type;
	e->burst = burst ? burst : type ? 0 : LIMIT_BURST_DEFAULT;
	return 0;
}

static void limit_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be64(b, LI_RATE, e->rate);
	nla_put_be64(b, LI_UNIT, e->unit);
	nla_put_be32(b, LI_BURST, (uint32_t)e->burst);
	nla_put_be32(b, LI_TYPE, e->op);
	nla_put_be32(b, LI_FLAGS, e->flags);
}

static long quota_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint64_t used = 0;

	if (!nla_has(&tb[1]) || !U64(1, &e->rate) || !U32(2, &e->flags) || !U64(4, &used) || (e->flags & ~1u))
		return -LINUX_EINVAL;
	atomic_store(&e->bytes, used);
	return 0;
}

static void quota_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	uint64_t used = atomic_load(&((struct nft_expr *)e)->bytes);

	nla_put_be64(b, 1, e->rate);
	nla_put_be64(b, 4, MIN(used, e->rate));
	nla_put_be32(b, 2, e->flags | (used >= e->rate ? 2 : 0));
}

enum { LG_GROUP = 1, LG_PREFIX, LG_SNAPLEN, LG_QTHRESHOLD, LG_LEVEL, LG_FLAGS };

static bool be16_of(const struct nla *a, uint32_t *out)
{
	uint16_t v = 0;

	if (!nla_get(a, &v, 2))
		return false;
	if (nla_has(a))
		*out = __builtin_bswap16(v);
	return true;
}

static long log_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	e->key = 4; /* warning */
	e->set = nla_has(&tb[LG_GROUP]);
	if (!be16_of(&tb[LG_GROUP], &e->off) || !nla_get_str(&tb[LG_PREFIX], e->prefix, sizeof(e->prefix)) || !U32(LG_LEVEL, &e->key) ||
	    !U32(LG_FLAGS, &e->flags) || e->key > 8 || (e->flags & ~0x2fu))
		return -LINUX_EINVAL;
	return 0;
}

static void log_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	if (e->prefix[0])
		nla_put_str(b, LG_PREFIX, e->prefix);
	if (e->set) {
		nla_put_be16(b, LG_GROUP, (uint16_t)e->off);
		return;
	}
	nla_put_be32(b, LG_LEVEL, e->key);
	if (e->flags)
		nla_put_be32(b, LG_FLAGS, e->flags);
}

static long reject_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint32_t type = 0;
	uint8_t code = 0;

	if (!nla_has(&tb[1]) || !U32(1, &type) || !nla_get_u8(&tb[2], &code) || type > 2 || (type != 1 && !nla_has(&tb[2])) ||
	    (type == 2 && (code > 3 || x->t->family != NFPROTO_INET)))
		return -LINUX_EINVAL;
	if (x->c && x->c->base && x->c->base->hook == NF_POST_ROUTING)
		return -LINUX_EOPNOTSUPP;
	e->op = (uint8_t)type;
	e->key = code;
	return 0;
}

static void reject_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be32(b, 1, e->op);
	if (e->op != 1)
		nla_put_u8(b, 2, (uint8_t)e->key);
}

/* ---- translation ----------------------------------------------------------------------------------------------------------- */

/* @hooks: where it may be done; checked here for base chains only, user chains do nothing elsewhere. */
static long nat_place(const struct nfe *x, uint32_t hooks)
{
	if (!x->c)
		return -LINUX_EOPNOTSUPP;
	if (x->c->base && (!x->c->base->nat || !(hooks >> x->c->base->hook & 1)))
		return -LINUX_EOPNOTSUPP;
	return 0;
}

static bool opt_reg(const struct nla *a, uint8_t *out, uint32_t len)
{
	return !nla_has(a) || (nft_get_reg(a, out) && nft_reg_room(*out, len));
}

enum { NT_TYPE = 1, NT_FAMILY, NT_AMIN, NT_AMAX, NT_PMIN, NT_PMAX, NT_FLAGS };
#define NAT_FLAGS_KNOWN (NATF_MAP_IPS | NATF_PROTO_SPECIFIED | NATF_PROTO_RANDOM | NATF_PERSISTENT | NATF_PROTO_RANDOM_FULLY)

static long nat_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint32_t type = 2, family = 0, alen;

	if (!nla_has(&tb[NT_TYPE]) || !nla_has(&tb[NT_FAMILY]) || !U32(NT_TYPE, &type) || !U32(NT_FAMILY, &family) || type > 1)
		return -LINUX_EINVAL;
	alen = family == NFPROTO_IPV4 ? 4 : family == NFPROTO_IPV6 ? 16 : 0;
	if ((!alen && nla_has(&tb[NT_AMIN])) || (!alen && family != NFPROTO_INET))
		return -LINUX_EAFNOSUPPORT;
	if (!opt_reg(&tb[NT_AMIN], &e->r_amin, alen) || !opt_reg(&tb[NT_AMAX], &e->r_amax, alen) || !opt_reg(&tb[NT_PMIN], &e->r_pmin, 2) ||
	    !opt_reg(&tb[NT_PMAX], &e->r_pmax, 2) || !U32(NT_FLAGS, &e->flags) || (!e->r_amin && !e->r_pmin))
		return -LINUX_EINVAL;
	if (e->flags & ~(uint32_t)NAT_FLAGS_KNOWN)
		return -LINUX_EOPNOTSUPP;
	e->op = (uint8_t)type;
	e->family = (uint8_t)family;
	return nat_place(x, type ? 1u << NF_PRE_ROUTING | 1u << NF_LOCAL_OUT : 1u << NF_POST_ROUTING | 1u << NF_LOCAL_IN);
}

static void put_regs(struct buf *b, const struct nft_expr *e, uint16_t pmin, uint16_t pmax)
{
	if (e->r_pmin)
		nft_put_reg(b, pmin, e->r_pmin);
	if (e->r_pmin)
		nft_put_reg(b, pmax, e->r_pmax ? e->r_pmax : e->r_pmin);
}

static void nat_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be32(b, NT_TYPE, e->op);
	nla_put_be32(b, NT_FAMILY, e->family);
	if (e->r_amin) {
		nft_put_reg(b, NT_AMIN, e->r_amin);
		nft_put_reg(b, NT_AMAX, e->r_amax ? e->r_amax : e->r_amin);
	}
	put_regs(b, e, NT_PMIN, NT_PMAX);
	if (e->flags)
		nla_put_be32(b, NT_FLAGS, e->flags);
}

/* masq: flags, pmin, pmax. redir: pmin, pmax, flags. */
static long masq_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!U32(1, &e->flags) || (e->flags & ~(uint32_t)NAT_FLAGS_KNOWN) || !opt_reg(&tb[2], &e->r_pmin, 2) || !opt_reg(&tb[3], &e->r_pmax, 2))
		return -LINUX_EINVAL;
	return nat_place(x, 1u << NF_POST_ROUTING);
}

static void masq_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	if (e->flags)
		nla_put_be32(b, 1, e->flags);
	put_regs(b, e, 2, 3);
}

static long redir_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!U32(3, &e->flags) || (e->flags & ~(uint32_t)NAT_FLAGS_KNOWN) || !opt_reg(&tb[1], &e->r_pmin, 2) || !opt_reg(&tb[2], &e->r_pmax, 2))
		return -LINUX_EINVAL;
	return nat_place(x, 1u << NF_PRE_ROUTING | 1u << NF_LOCAL_OUT);
}

static void redir_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	put_regs(b, e, 1, 2);
	if (e->flags)
		nla_put_be32(b, 3, e->flags);
}

static long notrack_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	return 0;
}

/* ---- x_tables --------------------------------------------------------------------------------------------------------------- */

/* x_tables goes by the names of iptables' tables. */
static uint32_t table_bit(const char *name)
{
	static const char *const names[XT_TABLES] = { [XT_RAW] = "raw", [XT_MANGLE] = "mangle", [XT_NAT] = "nat", [XT_FILTER] = "filter" };

	for (unsigned i = 0; i < XT_TABLES; i++)
		if (!strcmp(names[i], name))
			return 1u << i;
	return 1u << XT_TABLES;
}

static long xt_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	struct xt_where w = { .family = x->t->family == NFPROTO_IPV6 ? NET_AF_INET6 : NET_AF_INET, .proto = x->proto,
			      .proto_inv = x->proto_inv, .tables = table_bit(x->t->name) };
	char name[LINUX_XT_NAME_MAX + 3] = "";
	const struct xt_ext *ext;
	uint32_t rev = 0;

	if (!nla_has(&tb[1]) || !nla_has(&tb[2]) || !nla_has(&tb[3]) || !nla_get_str(&tb[1], name, sizeof(name)) || !U32(2, &rev) || rev > 255)
		return -LINUX_EINVAL;
	if (x->t->family == NFPROTO_INET)
		return -LINUX_EOPNOTSUPP; /* an extension is for one family */
	ext = xt_find(w.family, name, (uint8_t)rev, e->type == NFTE_TARGET);
	if (!ext)
		return -LINUX_ENOENT;
	if (x->c && x->c->base)
		w.hooks = 1u << x->c->base->hook;
	if (ext->nat && (!x->c || (x->c->base && !x->c->base->nat)))
		return -LINUX_EINVAL;
	return xt_inst_new(ext, tb[3].p, tb[3].len, &w, &e->xt);
}

static void xt_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_str(b, 1, e->xt->ext->name);
	nla_put_be32(b, 2, e->xt->ext->revision);
	nla_put(b, 3, e->xt->info, e->xt->size);
}

const struct nft_expr_row nft_expr_rows_act[NFTE_COUNT] = {
	[NFTE_COUNTER] = { "counter", counter_parse, counter_dump }, [NFTE_LIMIT] = { "limit", limit_parse, limit_dump },
	[NFTE_QUOTA] = { "quota", quota_parse, quota_dump }, [NFTE_LOG] = { "log", log_parse, log_dump },
	[NFTE_REJECT] = { "reject", reject_parse, reject_dump }, [NFTE_NAT] = { "nat", nat_parse, nat_dump },
	[NFTE_MASQ] = { "masq", masq_parse, masq_dump }, [NFTE_REDIR] = { "redir", redir_parse, redir_dump },
	[NFTE_NOTRACK] = { "notrack", notrack_parse, NULL }, [NFTE_MATCH] = { "match", xt_parse, xt_dump },
	[NFTE_TARGET] = { "target", xt_parse, xt_dump },
};
