/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nft_expr_data.c - the attributes of expressions that load, change, compare and look up data
 */
#include "sentry/socket/netlink/nfnl.h"

#define U32(n, field) nla_be32(&tb[n], field)
static bool u8_of(const struct nla *a, uint8_t *out, uint32_t max)
{
	uint32_t v = *out;

	if (!nla_be32(a, &v) || v > max)
		return false;
	*out = (uint8_t)v;
	return true;
}

/* Either a destination or a source register, with room for @len. */
static bool either_reg(struct nft_expr *e, const struct nla *d, const struct nla *s, uint32_t len)
{
	e->set = nla_has(s);
	if (nla_has(d) == nla_has(s))
		return false;
	return e->set ? nft_get_reg(s, &e->sreg) && nft_reg_room(e->sreg, len) : nft_get_reg(d, &e->dreg) && nft_reg_room(e->dreg, len);
}

enum { PL_DREG = 1, PL_BASE, PL_OFFSET, PL_LEN, PL_SREG, PL_CSUM_TYPE, PL_CSUM_OFFSET, PL_CSUM_FLAGS };

static long payload_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!nla_has(&tb[PL_BASE]) || !nla_has(&tb[PL_OFFSET]) || !nla_has(&tb[PL_LEN]) || !u8_of(&tb[PL_BASE], &e->base, 3) ||
	    !U32(PL_OFFSET, &e->off) || !u8_of(&tb[PL_LEN], &e->len, NFT_DATA_MAX) || !e->len || e->off > 0xffff ||
	    !either_reg(e, &tb[PL_DREG], &tb[PL_SREG], e->len) || !u8_of(&tb[PL_CSUM_TYPE], &e->csum_type, 1) ||
	    !U32(PL_CSUM_OFFSET, &e->csum_off) || !u8_of(&tb[PL_CSUM_FLAGS], &e->csum_flags, 1) || e->csum_off > 0xffff)
		return -LINUX_EINVAL;
	return e->set && e->base == 0 ? -LINUX_EOPNOTSUPP : 0;
}

static void payload_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, e->set ? PL_SREG : PL_DREG, e->set ? e->sreg : e->dreg);
	nla_put_be32(b, PL_BASE, e->base);
	nla_put_be32(b, PL_OFFSET, e->off);
	nla_put_be32(b, PL_LEN, e->len);
	if (!e->set)
		return;
	nla_put_be32(b, PL_CSUM_TYPE, e->csum_type);
	nla_put_be32(b, PL_CSUM_OFFSET, e->csum_off);
	if (e->csum_flags)
		nla_put_be32(b, PL_CSUM_FLAGS, e->csum_flags);
}

/* meta, rt, ct: attribute numbers differ, keys have a size that the register must hold. */
static uint32_t meta_len(uint32_t key)
{
	return key == 6 || key == 7 || key == 26 || key == 27 ? 16 : key == 30 ? 8 : 4;
}

static long meta_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	static const uint8_t known[] = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 15, 16, 19, 20, 21, 22, 24, 26, 27, 30, 31, 32 };

	if (!nla_has(&tb[2]) || !U32(2, &e->key) || !either_reg(e, &tb[1], &tb[3], meta_len(e->key)))
		return -LINUX_EINVAL;
	if (e->set) /* nftrace is accepted: there is nobody to tell */
		return e->key == 2 || e->key == 3 || e->key == 12 || e->key == 19 ? 0 : -LINUX_EOPNOTSUPP;
	return memchr(known, (int)MIN(e->key, 255u), sizeof(known)) ? 0 : -LINUX_EOPNOTSUPP;
}

static void meta_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be32(b, 2, e->key);
	nft_put_reg(b, e->set ? 3 : 1, e->set ? e->sreg : e->dreg);
}

static uint32_t ct_len(uint32_t key, uint8_t family)
{
	switch (key) {
	case 8: case 9:
		return family == NFPROTO_IPV4 ? 4 : 16;
	case 21: case 22:
		return 16;
	case 14: case 15:
		return 8;
	}
	return 4;
}

static long ct_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	static const uint8_t known[] = { 0, 1, 2, 3, 5, 7, 8, 9, 10, 11, 12, 14, 15, 17, 19, 20, 21, 22, 23 };

	e->dir = 0xff;
	if (!nla_has(&tb[2]) || !U32(2, &e->key) || !nla_get_u8(&tb[3], &e->dir) ||
	    !either_reg(e, &tb[1], &tb[4], ct_len(e->key, x->t->family)) || (nla_has(&tb[3]) && e->dir > 1))
		return -LINUX_EINVAL;
	if (e->set)
		return e->key == 3 ? 0 : -LINUX_EOPNOTSUPP;
	return memchr(known, (int)MIN(e->key, 255u), sizeof(known)) ? 0 : -LINUX_EOPNOTSUPP;
}

static void ct_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, e->set ? 4 : 1, e->set ? e->sreg : e->dreg);
	nla_put_be32(b, 2, e->key);
	if (e->dir != 0xff)
		nla_put_u8(b, 3, e->dir);
}

static long rt_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!nft_get_reg(&tb[1], &e->dreg) || !nla_has(&tb[2]) || !U32(2, &e->key) || !nft_reg_room(e->dreg, e->key == 2 ? 16 : 4))
		return -LINUX_EINVAL;
	return e->key >= 1 && e->key <= 3 ? 0 : -LINUX_EOPNOTSUPP;
}

static void rt_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_be32(b, 2, e->key);
	nft_put_reg(b, 1, e->dreg);
}

static long fib_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!nft_get_reg(&tb[1], &e->dreg) || !nla_has(&tb[2]) || !nla_has(&tb[3]) || !U32(2, &e->key) || !U32(3, &e->flags) ||
	    e->key < 1 || e->key > 3 || (e->flags & ~0x3fu) || !(e->flags & 3) || (e->flags & 3) == 3 || (e->flags & 24) == 24 ||
	    !nft_reg_room(e->dreg, e->key == 2 && !(e->flags & 32) ? 16 : 4))
		return -LINUX_EINVAL;
	return 0;
}

static void fib_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->dreg);
	nla_put_be32(b, 2, e->key);
	nla_put_be32(b, 3, e->flags);
}

static long exthdr_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint8_t type = 0;

	if (!nla_has(&tb[2]) || !nla_get_u8(&tb[2], &type) || !U32(3, &e->off) || !u8_of(&tb[4], &e->len, NFT_DATA_MAX) || !U32(5, &e->flags) ||
	    !u8_of(&tb[6], &e->op, 2) || (e->flags & ~1u) || e->off > 255 || !e->len || !either_reg(e, &tb[1], &tb[7], e->len))
		return -LINUX_EINVAL;
	e->key = type;
	return e->set && !(e->op == 1 && type == 2) ? -LINUX_EOPNOTSUPP : 0;
}

static void exthdr_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, e->set ? 7 : 1, e->set ? e->sreg : e->dreg);
	nla_put_u8(b, 2, (uint8_t)e->key);
	nla_put_be32(b, 3, e->off);
	nla_put_be32(b, 4, e->len);
	nla_put_be32(b, 5, e->flags);
	nla_put_be32(b, 6, e->op);
}

static long cmp_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	int n = nft_value_parse(&tb[3], &e->a);

	if (n < 0 || !nft_get_reg(&tb[1], &e->sreg) || !nla_has(&tb[2]) || !u8_of(&tb[2], &e->op, 5) || !nft_reg_room(e->sreg, (uint32_t)n))
		return -LINUX_EINVAL;
	e->len = (uint8_t)n;
	return 0;
}

static void cmp_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->sreg);
	nla_put_be32(b, 2, e->op);
	nft_value_dump(b, 3, &e->a, e->len);
}

static long range_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	int n = nft_value_parse(&tb[3], &e->a), m = nft_value_parse(&tb[4], &e->b);

	if (n < 0 || n != m || !nft_get_reg(&tb[1], &e->sreg) || !nla_has(&tb[2]) || !u8_of(&tb[2], &e->op, 1) ||
	    !nft_reg_room(e->sreg, (uint32_t)n))
		return -LINUX_EINVAL;
	e->len = (uint8_t)n;
	return 0;
}

static void range_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->sreg);
	nla_put_be32(b, 2, e->op);
	nft_value_dump(b, 3, &e->a, e->len);
	nft_value_dump(b, 4, &e->b, e->len);
}

static long bitwise_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	union nft_data d;

	if (!nft_get_reg(&tb[1], &e->sreg) || !nft_get_reg(&tb[2], &e->dreg) || !nla_has(&tb[3]) || !u8_of(&tb[3], &e->len, NFT_DATA_MAX) ||
	    !u8_of(&tb[6], &e->op, 2) || !nft_reg_room(e->sreg, e->len) || !nft_reg_room(e->dreg, e->len))
		return -LINUX_EINVAL;
	if (e->op) {
		if (nft_value_parse(&tb[7], &d) != 4 || d.w[0] >= 32)
			return -LINUX_EINVAL;
		e->flags = d.w[0];
		return 0;
	}
	return nft_value_parse(&tb[4], &e->a) == e->len && nft_value_parse(&tb[5], &e->b) == e->len ? 0 : -LINUX_EINVAL;
}

static void bitwise_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	union nft_data d = { .w = { e->flags } };

	nft_put_reg(b, 1, e->sreg);
	nft_put_reg(b, 2, e->dreg);
	nla_put_be32(b, 3, e->len);
	nla_put_be32(b, 6, e->op);
	if (e->op) {
		nft_value_dump(b, 7, &d, 4);
		return;
	}
	nft_value_dump(b, 4, &e->a, e->len);
	nft_value_dump(b, 5, &e->b, e->len);
}

static long byteorder_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	if (!nft_get_reg(&tb[1], &e->sreg) || !nft_get_reg(&tb[2], &e->dreg) || !nla_has(&tb[3]) || !u8_of(&tb[3], &e->op, 1) ||
	    !nla_has(&tb[4]) || !u8_of(&tb[4], &e->len, NFT_DATA_MAX) || !nla_has(&tb[5]) || !U32(5, &e->off) ||
	    (e->off != 2 && e->off != 4 && e->off != 8) || !nft_reg_room(e->sreg, e->len) || !nft_reg_room(e->dreg, e->len))
		return -LINUX_EINVAL;
	return 0;
}

static void byteorder_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->sreg);
	nft_put_reg(b, 2, e->dreg);
	nla_put_be32(b, 3, e->op);
	nla_put_be32(b, 4, e->len);
	nla_put_be32(b, 5, e->off);
}

static long immediate_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	struct nla data[NFTA_DATA_VERDICT + 1];
	uint32_t reg = UINT32_MAX;
	int n;

	if (!nla_has(&tb[1]) || !U32(1, &reg) || !nla_has(&tb[2]) || nla_parse(nla_cursor(&tb[2]), data, NFTA_DATA_VERDICT))
		return -LINUX_EINVAL;
	if (reg == 0)
		return nft_verdict_parse(x, &data[NFTA_DATA_VERDICT], &e->a.v);
	n = nft_value_parse(&tb[2], &e->a);
	if (n < 0 || !nft_get_reg(&tb[1], &e->dreg) || !nft_reg_room(e->dreg, (uint32_t)n))
		return -LINUX_EINVAL;
	e->len = (uint8_t)n;
	return 0;
}

static void immediate_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->dreg);
	if (e->dreg)
		nft_value_dump(b, 2, &e->a, e->len);
	else
		nft_verdict_dump(b, t, &e->a.v, 2);
}

enum { LK_SET = 1, LK_SREG, LK_DREG, LK_SET_ID, LK_FLAGS };

static long lookup_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	struct nft_set *s;
	uint32_t reg = 0;
	long ret;

	if (!nla_has(&tb[LK_SET]) || !nft_get_reg(&tb[LK_SREG], &e->sreg) || !U32(LK_FLAGS, &e->flags) || (e->flags & ~1u))
		return -LINUX_EINVAL;
	ret = nft_set_by(x, &tb[LK_SET], &tb[LK_SET_ID], &s);
	if (ret)
		return ret;
	if (!nft_reg_room(e->sreg, s->klen))
		return -LINUX_EINVAL;
	e->slot = s->slot;
	e->set = nla_has(&tb[LK_DREG]);
	if (!e->set)
		return s->flags & NFT_SET_MAP ? -LINUX_EINVAL : 0;
	if (!(s->flags & NFT_SET_MAP) || (e->flags & 1) || !U32(LK_DREG, &reg))
		return -LINUX_EINVAL;
	if (s->data_type == NFT_DATA_VERDICT)
		return reg ? -LINUX_EINVAL : 0;
	return nft_get_reg(&tb[LK_DREG], &e->dreg) && nft_reg_room(e->dreg, s->dlen) ? 0 : -LINUX_EINVAL;
}

static const char *set_name(const struct nft_table *t, uint32_t slot)
{
	const struct nft_set *s = nft_slot(&t->sets, slot);

	return s ? s->name : "";
}

static void lookup_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nla_put_str(b, LK_SET, set_name(t, e->slot));
	nft_put_reg(b, LK_SREG, e->sreg);
	if (e->set)
		nft_put_reg(b, LK_DREG, e->dreg);
	nla_put_be32(b, LK_FLAGS, e->flags);
}

enum { OR_TYPE = 1, OR_NAME, OR_SREG, OR_SET, OR_SET_ID };

static long objref_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	char name[NFT_NAME_MAX] = "";
	struct nft_set *s;
	struct nft_obj *o;
	long ret;

	if (nla_has(&tb[OR_SREG])) {
		ret = nft_set_by(x, &tb[OR_SET], &tb[OR_SET_ID], &s);
		if (ret)
			return ret;
		if (!(s->flags & NFT_SET_OBJECT) || !nft_get_reg(&tb[OR_SREG], &e->sreg) || !nft_reg_room(e->sreg, s->klen))
			return -LINUX_EINVAL;
		e->set = true;
		e->slot = s->slot;
		return 0;
	}
	if (!nla_has(&tb[OR_NAME]) || !nla_has(&tb[OR_TYPE]) || !U32(OR_TYPE, &e->key) || !nla_get_str(&tb[OR_NAME], name, sizeof(name)))
		return -LINUX_EINVAL;
	o = nft_obj_find(x->t, name, e->key);
	if (!o)
		return -LINUX_ENOENT;
	e->slot = o->slot;
	return 0;
}

static void objref_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	const struct nft_obj *o = nft_slot(&t->objs, e->slot);

	if (e->set) {
		nft_put_reg(b, OR_SREG, e->sreg);
		nla_put_str(b, OR_SET, set_name(t, e->slot));
	} else {
		nla_put_str(b, OR_NAME, o ? o->name : "");
		nla_put_be32(b, OR_TYPE, e->key);
	}
}

/* numgen: dreg, modulus, type, offset */
static long numgen_parse(struct nfe *x, const struct nla *tb, struct nft_expr *e)
{
	uint32_t mod = 0;

	if (!nft_get_reg(&tb[1], &e->dreg) || !nla_has(&tb[2]) || !U32(2, &mod) || !mod || !u8_of(&tb[3], &e->op, 1) || !U32(4, &e->off) ||
	    !nft_reg_room(e->dreg, 4) || e->off + mod < e->off)
		return -LINUX_EINVAL;
	e->rate = mod;
	return 0;
}

static void numgen_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e)
{
	nft_put_reg(b, 1, e->dreg);
	nla_put_be32(b, 2, (uint32_t)e->rate);
	nla_put_be32(b, 3, e->op);
	nla_put_be32(b, 4, e->off);
}

const struct nft_expr_row nft_expr_rows_data[NFTE_COUNT] = {
	[NFTE_PAYLOAD] = { "payload", payload_parse, payload_dump }, [NFTE_META] = { "meta", meta_parse, meta_dump },
	[NFTE_CT] = { "ct", ct_parse, ct_dump }, [NFTE_RT] = { "rt", rt_parse, rt_dump }, [NFTE_FIB] = { "fib", fib_parse, fib_dump },
	[NFTE_EXTHDR] = { "exthdr", exthdr_parse, exthdr_dump }, [NFTE_CMP] = { "cmp", cmp_parse, cmp_dump },
	[NFTE_RANGE] = { "range", range_parse, range_dump }, [NFTE_BITWISE] = { "bitwise", bitwise_parse, bitwise_dump },
	[NFTE_BYTEORDER] = { "byteorder", byteorder_parse, byteorder_dump }, [NFTE_IMMEDIATE] = { "immediate", immediate_parse, immediate_dump },
	[NFTE_LOOKUP] = { "lookup", lookup_parse, lookup_dump }, [NFTE_OBJREF] = { "objref", objref_parse, objref_dump },
	[NFTE_NUMGEN] = { "numgen", numgen_parse, numgen_dump },
};
