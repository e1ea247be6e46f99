/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/fib.h - inside of the routing tables, shared by fib.c, rule.c, route.c
 */
#ifndef SENTRY_NET_FIB_H
#define SENTRY_NET_FIB_H

#include "sentry/net/ip/ip.h"

struct fib_node { /* one prefix of one table */
	struct fib_node *next;
	struct naddr prefix;
	uint8_t plen;		/* 128-bit form */
	struct list routes;	/* of struct net_route.node, ascending metric */
};

struct fib_table {
	struct list node;
	uint32_t id;
	uint8_t family;
	uint32_t nr_nodes, nr_buckets;
	struct fib_node **buckets;
	uint32_t plen_count[129];
	uint64_t plen_bits[3];
};

#define FIB_MAX_ROUTES 262144 /* per namespace */

struct fib {
	struct mutex mu;
	struct list tables;
	struct list rules;	/* ascending priority, both families */
	uint32_t nr_routes, nr_rules;
};

/* Longest match for @fl in @t; a throw route and no route are both -LINUX_EAGAIN. fib->mu held. */
int fib_table_lookup_locked(struct fib_table *t, const struct net_flow *fl, struct fib_res *res);
struct fib_table *fib_table_find_locked(struct fib *f, uint8_t family, uint32_t id);
int fib_rules_init(struct fib *f);
void fib_rules_fini(struct fib *f);

static inline unsigned plen128(uint8_t family, unsigned plen)
{
	return family == NET_AF_INET ? plen + 96 : plen;
}

#endif
