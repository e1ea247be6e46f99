/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nfnl.h - NETLINK_NETFILTER: nf_tables and connection tracking
 *
 * Model:   questions are single messages. Changes of nf_tables come between BEGIN and END and are one transaction: they work
 *          on a copy of the ruleset (net/nf/nft.h) that becomes visible when all went well.
 * Locks:   netlink_cfg around every request.
 */
#ifndef SENTRY_NFNL_H
#define SENTRY_NFNL_H

#include "sentry/abi/nfnetlink.h"
#include "sentry/net/nf/nft.h"
#include "sentry/socket/netlink/netlink.h"

struct nfq { /* one request */
	struct nl_req *r;
	struct nft_ns *n;
	struct nft_ruleset *rs;	/* the batch's copy, or for questions the present one (may be NULL) */
	uint8_t family;		/* NFPROTO_* */
	struct cursor attrs;
	struct buf *events;	/* batch: notifications for later */
};

/* ---- attributes in network order ----------------------------------------------------------------------------------- */

static inline bool nla_be32(const struct nla *a, uint32_t *out)
{
	uint32_t v = 0;

	if (!nla_get(a, &v, 4))
		return false;
	if (a->p)
		*out = __builtin_bswap32(v);
	return true;
}
static inline bool nla_be64(const struct nla *a, uint64_t *out)
{
	uint64_t v = 0;

	if (!nla_get(a, &v, 8))
		return false;
	if (a->p)
		*out = __builtin_bswap64(v);
	return true;
}
static inline void nla_put_be16(struct buf *b, uint16_t type, uint16_t v) { nla_put_u16(b, type, __builtin_bswap16(v)); }
static inline void nla_put_be32(struct buf *b, uint16_t type, uint32_t v) { nla_put_u32(b, type, __builtin_bswap32(v)); }
static inline void nla_put_be64(struct buf *b, uint16_t type, uint64_t v)
{
	v = __builtin_bswap64(v);
	nla_put(b, type, &v, 8);
}
#define NLA_NESTED 0x8000
static inline size_t nfa_nest(struct buf *b, uint16_t type) { return nla_nest(b, type | NLA_NESTED); }

/* Starts an answer (or with @q->events in use, a notification) of nf_tables. */
size_t nft_msg_begin(const struct nfq *q, struct buf *b, uint8_t msg, uint8_t family, uint16_t flags);
/* Notes a change: @fill has written one message into a buffer, which is freed. */
void nft_event(struct nfq *q, struct buf *b);
/* The answer to a question. */
long nft_answer(struct nfq *q, struct buf *b);
long nft_dumped(struct nfq *q, struct buf *b);
#define NLM_F_REPLACE 0x100
#define NLM_F_EXCL    0x200
#define NLM_F_CREATE  0x400
#define NLM_F_APPEND  0x800
#define NLM_F_NONREC  0x100

/* Common prefix of chains, sets, objects. */
struct nft_named {
	struct refcount ref;
	char name[NFT_NAME_MAX];
	uint64_t handle;
};
struct nft_named *nft_by_handle(const struct nft_slots *s, uint64_t handle);
/* All of @s by age, malloc()ed; *out_nr of them. NULL: none, or no memory. */
struct nft_named **nft_by_age(const struct nft_slots *s, uint32_t *out_nr);
struct nft_table **nft_tables_by_age(const struct nfq *q, uint32_t *out_nr);
/* The table that attribute @a names; 0, -LINUX_EINVAL, -LINUX_ENOENT. */
long nft_table_by(struct nfq *q, const struct nla *a, struct nft_table **out);
/* The same as the batch's own copy. */
long nft_table_mine(struct nfq *q, const struct nla *a, struct nft_table **out);
bool nft_get_udata(const struct nla *a, uint8_t *to, uint16_t *len);

/* nft_expr*.c */
struct nfe { /* where an expression stands */
	struct nfq *q;
	struct nft_table *t;
	const struct nft_chain *c;	/* NULL: in an object or element */
	uint8_t proto;			/* NFTA_RULE_COMPAT */
	bool proto_inv;
};
long nft_expr_parse(struct nfe *x, const struct nla *a, struct nft_expr **out);
void nft_expr_dump(struct buf *b, const struct nft_table *t, const struct nft_expr *e, uint16_t attr);
/* Only the inner attributes, for objects. */
void nft_expr_dump_inner(struct buf *b, const struct nft_table *t, const struct nft_expr *e);
long nft_state_parse(struct nfe *x, uint32_t obj_type, const struct nla *a, struct nft_expr **out);
long nft_verdict_parse(struct nfe *x, const struct nla *a, struct nft_verdict *out);
void nft_verdict_dump(struct buf *b, const struct nft_table *t, const struct nft_verdict *v, uint16_t attr);
bool nft_expr_wants_ct(const struct nft_expr *e);
long nft_set_by(struct nfe *x, const struct nla *name, const struct nla *id, struct nft_set **out);

struct nft_expr_row {
	const char *name;
	long (*parse)(struct nfe *x, const struct nla *tb, struct nft_expr *e);	/* tb[0..NFT_EXPR_ATTR_MAX] */
	void (*dump)(struct buf *b, const struct nft_table *t, const struct nft_expr *e);
};
extern const struct nft_expr_row nft_expr_rows_data[NFTE_COUNT], nft_expr_rows_act[NFTE_COUNT]; /* a type is in one of them */
bool nft_get_reg(const struct nla *a, uint8_t *out);	/* a data register; false: missing or wrong */
bool nft_reg_room(uint8_t reg, uint32_t len);
void nft_put_reg(struct buf *b, uint16_t attr, uint8_t reg);
/* The value attribute of nested data; its length, -1 when bad. */
int nft_value_parse(const struct nla *a, union nft_data *out);
void nft_value_dump(struct buf *b, uint16_t attr, const union nft_data *d, uint32_t len);

/* One function per message, by file */
long nft_table_new_msg(struct nfq *q); long nft_table_get_msg(struct nfq *q); long nft_table_del_msg(struct nfq *q);
long nft_chain_new_msg(struct nfq *q); long nft_chain_get_msg(struct nfq *q); long nft_chain_del_msg(struct nfq *q);
long nft_rule_new_msg(struct nfq *q); long nft_rule_get_msg(struct nfq *q); long nft_rule_del_msg(struct nfq *q);
long nft_set_new_msg(struct nfq *q); long nft_set_get_msg(struct nfq *q); long nft_set_del_msg(struct nfq *q);
long nft_elem_new_msg(struct nfq *q); long nft_elem_get_msg(struct nfq *q); long nft_elem_del_msg(struct nfq *q);
long nft_obj_new_msg(struct nfq *q); long nft_obj_get_msg(struct nfq *q); long nft_obj_del_msg(struct nfq *q);
long ctnl_handle(struct nl_req *r, uint8_t msg, uint8_t family, struct cursor attrs); /* ctnl.c */
void ctnl_event(struct net_ns *ns, struct nf_conn *ct, bool destroy);

extern const struct netlink_proto netfilter_proto;

#endif
