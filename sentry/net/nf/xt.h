/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt.h - matches and targets of x_tables, used by iptables' rules and by nftables' compat expressions
 *
 * Model:   an extension is a row: name, revision, size of what user space passes, where it may be used, functions. A use of
 *          it in a rule is an instance: the row, a private copy of the user's bytes, and state of its own.
 */
#ifndef SENTRY_NET_NF_XT_H
#define SENTRY_NET_NF_XT_H

#include "sentry/abi/xtables.h"
#include "sentry/net/nf/ct.h"

#define XT_CONTINUE (-1) /* a target's result beside enum nf_verdict */
#define XT_V4 1
#define XT_V6 2
#define XT_BOTH 3

enum xt_table { XT_RAW, XT_MANGLE, XT_NAT, XT_FILTER, XT_TABLES };
#define HOOK(h) (1u << NF_##h)

struct xt_inst {
	const struct xt_ext *ext;
	uint32_t size;
	void *state;		/* ext->state_size zero bytes, or NULL */
	struct mutex mu;	/* guards state */
	_Alignas(8) uint8_t info[];
};
struct xt_where { /* the rule around an extension, for its check */
	uint8_t family, proto;
	bool proto_inv;
	uint32_t hooks;		/* 1 << hook for all that lead here */
	uint32_t tables;	/* 1 << enum xt_table; what the chain may be used as */
};
struct xt_ext {
	const char *name;
	uint8_t revision, families, proto;
	uint16_t size;
	uint8_t hooks, tables;	/* masks of where it may be used, 0 = anywhere */
	bool target, ct, nat;
	uint16_t state_size;
	int (*check)(const struct xt_inst *i, const struct xt_where *w);	/* optional; 0 or -LINUX_E* */
	bool (*match)(struct xt_inst *i, struct pkt *p, const struct nf_state *st);
	int (*run)(struct xt_inst *i, struct pkt *p, const struct nf_state *st);	/* XT_CONTINUE or a verdict */
};

/* The rows, matches or targets. NULL: no such extension. */
const struct xt_ext *xt_find(uint8_t family, const char *name, uint8_t revision, bool target);
/* Highest revision of @name; -1: unknown. */
int xt_best_revision(uint8_t family, const char *name, bool target);
/* A checked instance with its own copy of @info. 0, -LINUX_EINVAL, -LINUX_ENOMEM, what the check says. */
int xt_inst_new(const struct xt_ext *e, const void *info, uint32_t size, const struct xt_where *w, struct xt_inst **out);
void xt_inst_free(struct xt_inst *i); /* NULL is fine */

/* The transport header, linear, at least @n bytes; NULL: too short or a later fragment. */
static inline uint8_t *xt_l4(struct pkt *p, const struct nf_state *st, uint32_t n)
{
	return !st->frag && pkt_may_pull(p, st->l4off + n) ? p->data + st->l4off : NULL;
}
/* State bits of iptables for the packet: 1 << (info % 3 + 1), 1 invalid, 64 untracked. */
uint32_t xt_state_bits(const struct pkt *p);
/* Value of the TCP option @kind: its place, NULL when absent. */
uint8_t *xt_tcp_option(struct pkt *p, const struct nf_state *st, uint8_t kind, uint8_t *out_len);
/* nf_log.c: one line for the kernel log; @flags = XT_LOG_*. */
void nf_log_packet(struct pkt *p, const struct nf_state *st, const char *prefix, uint8_t level, uint8_t flags);
/* nf_reject.c: answers for a packet that is dropped; types as in ICMP of its family. */
void nf_reject_icmp(struct pkt *p, const struct nf_state *st, uint8_t type, uint8_t code);
void nf_reject_reset(struct pkt *p, const struct nf_state *st);
/* xt_tg_mangle.c; also nft's exthdr */
int xt_set_mss(struct pkt *p, const struct nf_state *st, uint16_t mss, bool clamp_pmtu);

extern const struct xt_ext xt_matches[], xt_ct_matches[], xt_targets[], xt_nat_targets[];
extern const unsigned xt_nr_matches, xt_nr_ct_matches, xt_nr_targets, xt_nr_nat_targets;

#endif
