/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/ipt.h - tables of iptables and ip6tables
 *
 * Model:   user space replaces a table as a whole: a blob of entries, which is checked and kept as it came, with an index of
 *          rules beside it that packets walk. A table exists from the first question about it; its hooks are attached
 *          while it holds anything but policies that accept.
 * Locks:   nf_ns.ipt_mu around changes; packets read the table of the moment (freed after a grace period).
 */
#ifndef SENTRY_NET_NF_IPT_H
#define SENTRY_NET_NF_IPT_H

#include "sentry/net/nf/xt.h"

#define IPT_BLOB_MAX (16u << 20)
#define IPT_DEPTH_MAX 64	/* user chains calling each other */
#define IPT_ENTRY_NEG (-1)

struct ipt_rule {
	const uint8_t *e;	/* into the blob: linux_ipt_entry or linux_ip6t_entry */
	uint32_t off;
	uint16_t nr_matches;
	uint8_t hooks;		/* which lead here */
	uint8_t colour;		/* of the walk that looks for loops */
	bool is_goto, any;	/* any: no condition at all */
	struct xt_inst **match;
	struct xt_inst *target;	/* NULL: standard, or the head of a user chain */
	bool error;
	int32_t verdict;	/* standard: < 0 as user space has it, else index of a rule */
	_Atomic uint64_t packets, bytes;
};

struct ipt_table {
	struct net_rcu rcu;
	struct net_ns *ns;	/* borrowed */
	uint8_t family, id;	/* id: enum xt_table */
	struct linux_ipt_getinfo info;
	uint32_t hook_rule[5], underflow_rule[5];
	uint8_t *blob;
	struct ipt_rule *rule;
	uint32_t nr_ct, nr_nat;	/* rules that need tracking, translation */
};

struct ipt_table_desc {
	const char *name;
	uint8_t hooks;
	int32_t priority;
};
extern const struct ipt_table_desc ipt_tables[XT_TABLES];

int ipt_get_info(struct net_ns *ns, uint8_t family, struct linux_ipt_getinfo *io);	/* -LINUX_ENOENT */
/* The blob of table @name with its counters; -LINUX_EAGAIN when it is not @size bytes long. */
int ipt_get_entries(struct net_ns *ns, uint8_t family, const char *name, uint32_t size, void *out);
/**
 * ipt_replace() - a new table
 * @data:	linux_ipt_replace and the entries, hostile
 * @out_old:	the old table's counters, malloc()ed, as many as the request says
 * Return: 0, -LINUX_ENOENT, -LINUX_EINVAL, -LINUX_ELOOP, -LINUX_EAGAIN, -LINUX_ENOMEM, -LINUX_ENOPROTOOPT
 */
int ipt_replace(struct net_ns *ns, uint8_t family, const void *data, uint32_t len, struct linux_xt_counters **out_old);
int ipt_add_counters(struct net_ns *ns, uint8_t family, const void *data, uint32_t len);
/* Names of the tables that exist, for /proc/net/ip_tables_names. NULL past the end. */
const char *ipt_table_name(struct net_ns *ns, uint8_t family, unsigned n);
void ipt_ns_fini(struct net_ns *ns);

/* ipt_check.c: @data as a table; the caller owns it. */
int ipt_table_build(struct net_ns *ns, uint8_t family, uint8_t id, const struct linux_ipt_replace *r, const uint8_t *blob,
		    struct ipt_table **out);
void ipt_table_free(struct ipt_table *t);
/* ipt_eval.c; @priv: &nf_ns.ipt[..][..] */
enum nf_verdict ipt_hook(struct pkt *p, const struct nf_state *st, void *priv);
bool ipt_entry_any(const struct ipt_table *t, const uint8_t *e);

static inline size_t ipt_entry_size(uint8_t family)
{
	return family == NET_AF_INET ? sizeof(struct linux_ipt_entry) : sizeof(struct linux_ip6t_entry);
}
/* The fields that both kinds of entry have. */
struct ipt_entry_view {
	uint16_t target_offset, next_offset, proto;
	uint8_t flags, invflags;
	bool has_proto, is_goto;
	struct linux_xt_counters *counters;
};
struct ipt_entry_view ipt_view(uint8_t family, const uint8_t *e);

#endif
