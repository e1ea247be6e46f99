/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft.h - nf_tables: tables, chains, rules, sets of a namespace
 *
 * Model:   what packets see is one immutable ruleset. A batch of changes works on a copy that shares everything it does not
 *          touch (tables, chains and sets are copied when first written), and becomes visible by one pointer store, or
 *          is dropped. So things refer to each other by slot: a number that stays the same in all copies of a table.
 *          Rules are immutable but for the state inside their expressions (counters, limits), which copies share.
 * Locks:   changes are made by one task at a time (netlink_cfg); packets take no lock, and read inside a bh section.
 */
#ifndef SENTRY_NET_NF_NFT_H
#define SENTRY_NET_NF_NFT_H

#include "sentry/net/nf/xt.h"

#define NFT_NAME_MAX 256
#define NFT_UDATA_MAX 256
#define NFT_DATA_MAX 64
#define NFT_JUMPS_MAX 16
#define NFT_TABLES_MAX 256
#define NFT_SLOTS_MAX 65536	/* chains, sets or objects of a table */
#define NFT_RULES_MAX 262144	/* of a chain */
#define NFT_ELEMS_MAX 1048576
#define NFT_EXPRS_MAX 128
#define NFT_NO_SLOT UINT32_MAX
#define NFT_DATA_VERDICT 0xffffff00u

/* = NFPROTO_* */
#define NFPROTO_UNSPEC 0
#define NFPROTO_INET 1
#define NFPROTO_IPV4 2
#define NFPROTO_IPV6 10

/* = NFT_CONTINUE & co. */
enum { NFT_CONTINUE = -1, NFT_BREAK = -2, NFT_JUMP = -3, NFT_GOTO = -4, NFT_RETURN = -5 };

enum nft_etype {
	NFTE_PAYLOAD, NFTE_META, NFTE_CMP, NFTE_BITWISE, NFTE_BYTEORDER, NFTE_IMMEDIATE, NFTE_LOOKUP, NFTE_COUNTER, NFTE_LIMIT,
	NFTE_LOG, NFTE_REJECT, NFTE_NAT, NFTE_MASQ, NFTE_REDIR, NFTE_CT, NFTE_RANGE, NFTE_RT, NFTE_FIB, NFTE_EXTHDR, NFTE_OBJREF,
	NFTE_QUOTA, NFTE_NOTRACK, NFTE_NUMGEN, NFTE_MATCH, NFTE_TARGET, NFTE_COUNT
};

struct nft_verdict {
	int32_t code;
	uint32_t chain;		/* slot, with JUMP and GOTO */
};
union nft_data {
	uint8_t b[NFT_DATA_MAX];
	uint32_t w[NFT_DATA_MAX / 4];
	struct nft_verdict v;
};
struct nft_regs { /* words 0-3 are the verdict's, then the data registers */
	struct nft_verdict v;
	uint32_t w[20];
};

/* Registers are kept as indices into nft_regs.w. */
struct nft_expr {
	uint8_t type;		/* enum nft_etype */
	uint8_t sreg, dreg, op, len;
	bool set;		/* writes instead of reading: payload, meta, ct, exthdr */
	uint8_t base, dir;
	uint32_t key, flags, off;
	uint32_t slot;		/* lookup, objref: set or object */
	uint8_t r_amin, r_amax, r_pmin, r_pmax; /* nat & co.; 0 = not given */
	uint8_t family;
	uint8_t csum_type, csum_flags;
	uint32_t csum_off;
	union nft_data a, b;	/* cmp, immediate; mask and xor; from and to */
	struct xt_inst *xt;	/* match, target: owned */
	uint64_t rate, unit, burst; /* limit; quota: rate = bytes */
	char prefix[128];
	struct mutex mu;	/* guards full_ns */
	uint64_t full_ns;
	_Atomic uint64_t packets, bytes;
};

struct nft_rule {
	struct refcount ref;
	uint64_t handle;
	bool needs_ct;
	uint16_t nr, udata_len;
	uint8_t udata[NFT_UDATA_MAX];
	struct nft_expr *expr[];
};

struct nft_base { /* identity of a base chain; what its hook is registered with */
	struct refcount ref;
	struct net_rcu rcu;
	struct net_ns *ns;
	uint32_t tslot, cslot;
	uint8_t hook, family;	/* family: of the table */
	bool nat, route, on;
	int32_t priority;
};

struct nft_chain {
	struct refcount ref;
	char name[NFT_NAME_MAX];
	uint64_t handle;
	uint32_t slot, flags, id, batch; /* flags: NFT_CHAIN_*; id: in the batch that made it */
	struct nft_base *base;	/* reference; NULL: not a base chain */
	int32_t policy;
	char type[16];
	uint32_t nr, cap;
	struct nft_rule **rule;
	uint16_t udata_len;
	uint8_t udata[NFT_UDATA_MAX];
};

struct nft_elem {
	struct refcount ref;
	uint32_t flags;		/* NFT_SET_ELEM_* */
	bool has_end, has_data;
	uint64_t timeout_ns, expires_ns; /* 0: none */
	uint8_t key[NFT_DATA_MAX], key_end[NFT_DATA_MAX];
	union nft_data data;
	uint32_t obj;		/* slot */
	struct nft_expr *expr;	/* a counter beside the element, or NULL; owned */
	uint16_t udata_len;
	uint8_t udata[];
};

struct nft_set {
	struct refcount ref;
	char name[NFT_NAME_MAX];
	uint64_t handle;
	uint32_t slot, flags, id, batch, key_type, data_type, klen, dlen, obj_type, policy, size;
	uint64_t timeout_ns;
	uint32_t gc_ms;
	uint8_t nr_fields, field[16];
	bool has_policy, has_expr;
	uint16_t udata_len;
	uint8_t udata[NFT_UDATA_MAX];
	uint32_t nr, cap;
	struct nft_elem **elem;	/* by key; at equal keys ends come first */
	struct nft_elem *catchall;
};

struct nft_obj { /* shared by all copies */
	struct refcount ref;
	char name[NFT_NAME_MAX];
	uint64_t handle;
	uint32_t slot, type;
	struct nft_expr *state;
	uint16_t udata_len;
	uint8_t udata[NFT_UDATA_MAX];
};

struct nft_slots {
	uint32_t nr;
	void **p;		/* NULL: free */
	uint32_t *use;		/* references from rules and elements */
};
struct nft_table {
	struct refcount ref;
	char name[NFT_NAME_MAX];
	uint8_t family;
	uint32_t slot, flags, batch;
	uint64_t handle, next_handle;
	struct nft_slots chains, sets, objs;
	uint16_t udata_len;
	uint8_t udata[NFT_UDATA_MAX];
};

struct nft_ruleset {
	struct net_rcu rcu;
	uint32_t nr;
	struct nft_table *table[NFT_TABLES_MAX];
};

struct nft_ns {
	struct net_ns *ns;
	struct nft_ruleset *_Atomic cur;
	uint32_t genid, batch;	/* batch: number of the running or last one */
	uint64_t next_table_handle;
	bool ct_on[2], nat_on[2];
};

int nft_ns_init(struct net_ns *ns);	/* 0, -LINUX_ENOMEM */
void nft_ns_fini(struct net_ns *ns);

/* ---- changes: nft_rules.c. All work on a ruleset that only the caller sees ----------------------------------------- */

struct nft_ruleset *nft_begin(struct nft_ns *n);	/* NULL: no memory */
void nft_abort(struct nft_ruleset *rs);
/* Publishes @rs, which is taken over. 0, or an error after which the old ruleset is still in force. */
int nft_commit(struct nft_ns *n, struct nft_ruleset *rs);

struct nft_table *nft_table_find(const struct nft_ruleset *rs, uint8_t family, const char *name);
/* The table, chain or set as this batch's own copy. NULL: no memory. */
struct nft_table *nft_table_own(struct nft_ns *n, struct nft_ruleset *rs, struct nft_table *t);
struct nft_chain *nft_chain_own(struct nft_ns *n, struct nft_table *t, struct nft_chain *c);
struct nft_set *nft_set_own(struct nft_ns *n, struct nft_table *t, struct nft_set *s);
struct nft_table *nft_table_new(struct nft_ns *n, struct nft_ruleset *rs, uint8_t family, const char *name);
void nft_table_del(struct nft_ruleset *rs, struct nft_table *t);
void nft_table_put(struct nft_table *t);

struct nft_chain *nft_chain_find(const struct nft_table *t, const char *name);
struct nft_set *nft_set_find(const struct nft_table *t, const char *name);
struct nft_obj *nft_obj_find(const struct nft_table *t, const char *name, uint32_t type);
/* Puts a new object into a free slot; false: none, or no memory. */
bool nft_slot_take(struct nft_slots *s, void *p, uint32_t *out_slot);
static inline void *nft_slot(const struct nft_slots *s, uint32_t i)
{
	return i < s->nr ? s->p[i] : NULL;
}
int nft_chain_del(struct nft_ns *n, struct nft_table *t, struct nft_chain *c); /* -LINUX_EBUSY: it is used */
int nft_set_del(struct nft_ns *n, struct nft_table *t, struct nft_set *s);
int nft_obj_del(struct nft_table *t, struct nft_obj *o);
/* @at: index; takes @r over when 0 is returned. */
int nft_rule_insert(struct nft_ns *n, struct nft_table *t, struct nft_chain *c, uint32_t at, struct nft_rule *r);
/* The chain is the batch's own. */
void nft_rule_remove(struct nft_ns *n, struct nft_table *t, struct nft_chain *c, uint32_t at);
/* Every way from a base chain: -LINUX_EMLINK when it comes back or is too deep, -LINUX_EINVAL, -LINUX_EOPNOTSUPP when something on
 * it may not be used at that hook. */
int nft_check_jumps(const struct nft_table *t);
void nft_chain_put(struct nft_chain *c);
void nft_set_put(struct nft_set *s);
void nft_obj_put(struct nft_obj *o);
void nft_rule_put(struct nft_rule *r);
void nft_base_put(struct nft_base *b);
void nft_expr_free(struct nft_expr *e);
/* References of a verdict or an expression, +1 or -1. What nobody but a rule may hold goes with the last one. */
void nft_verdict_ref(struct nft_ns *n, struct nft_table *t, const struct nft_verdict *v, int d);
void nft_elem_ref(struct nft_ns *n, struct nft_table *t, const struct nft_set *s, const struct nft_elem *e, int d);
void nft_expr_ref(struct nft_ns *n, struct nft_table *t, const struct nft_expr *e, int d);

/* ---- sets: nft_set.c ------------------------------------------------------------------------------------------------ */

void nft_elem_put(struct nft_elem *e);
/* The element that @key belongs to, or NULL. */
const struct nft_elem *nft_set_lookup(const struct nft_set *s, const void *key, uint64_t now);
/* The element with exactly this key and kind; its place in @out_at. */
struct nft_elem *nft_set_exact(const struct nft_set *s, const struct nft_elem *e, uint32_t *out_at);
int nft_set_insert(struct nft_set *s, struct nft_elem *e);	/* takes @e over; -LINUX_EEXIST, -LINUX_ENFILE, -LINUX_ENOMEM */
void nft_set_remove(struct nft_set *s, uint32_t at);
static inline bool nft_elem_alive(const struct nft_elem *e, uint64_t now)
{
	return !e->expires_ns || e->expires_ns > now;
}

/* ---- packets: nft_eval*.c ------------------------------------------------------------------------------------------ */

struct nft_ctx {
	struct pkt *p;
	const struct nf_state *st;
	const struct nft_table *t;
	const struct nft_base *base;
};
typedef void (*nft_evalfn)(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
enum nf_verdict nft_hook(struct pkt *p, const struct nf_state *st, void *priv);
void nft_eval_one(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_payload(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_exthdr(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_meta(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_ct(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_rt(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_fib(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_counter(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_limit(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_quota(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_log(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_reject(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_nat(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_masq(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_redir(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);
void nft_eval_xt(struct nft_expr *e, struct nft_regs *r, const struct nft_ctx *c);

#endif
