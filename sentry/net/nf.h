/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf.h - netfilter: hooks of the packet path, connection tracking
 *
 * Model:   five hooks per family. A hook costs one load while nothing is attached to it. What is attached
 *          (tables of rules, connection tracking, NAT) lives in nf/.
 */
#ifndef SENTRY_NET_NF_H
#define SENTRY_NET_NF_H

#include "sentry/net/core/bh.h"
#include "sentry/net/net.h"

enum nf_hooknum { NF_PRE_ROUTING, NF_LOCAL_IN, NF_FORWARD, NF_LOCAL_OUT, NF_POST_ROUTING, NF_HOOKS };
enum nf_verdict { NF_DROP, NF_ACCEPT, NF_STOLEN, NF_QUEUE, NF_REPEAT, NF_STOP };

struct nf_conn;
void nf_ct_get(struct nf_conn *ct);
void nf_ct_put(struct nf_conn *ct);

/* What a hook function sees beside the packet. */
struct nf_state {
	struct net_ns *ns;
	struct net_link *in, *out;	/* NULL where there is none */
	struct sock *sk;		/* local output, may be NULL */
	uint8_t hook, family;		/* enum nf_hooknum, NET_AF_INET or NET_AF_INET6 */
	uint8_t proto;			/* transport protocol, extension headers skipped */
	bool frag;			/* not the first piece: there is no transport header */
	uint16_t l4off;			/* transport header, from data */
};

/* Packet data is at the network header, l3 is set; l4 and ipproto are set. May change headers, mark, dst.
 * Return: verdict; with NF_DROP the packet still belongs to the caller, with NF_STOLEN not. */
typedef enum nf_verdict (*nf_hookfn)(struct pkt *p, const struct nf_state *st, void *priv);

#define NF_MAX_HOOKS 64
struct nf_chain { /* immutable snapshot, replaced as a whole, freed after a grace period */
	struct net_rcu rcu;
	unsigned nr;
	struct nf_entry {
		nf_hookfn fn;
		void *priv;
		int32_t priority;
	} e[NF_MAX_HOOKS];
};
struct nf_ns {
	struct nf_chain *_Atomic chain[2][NF_HOOKS]; /* [is IPv6] */
	struct nf_chain *_Atomic nat[2][NF_HOOKS];   /* rules for new connections, run by the NAT hook */
	struct mutex mu;	/* registration */
	struct nf_ct_table *_Atomic ct;
	_Atomic bool defrag[2];	/* tracking wants whole datagrams before PRE_ROUTING */
	struct ipt_table *_Atomic ipt[2][4]; /* by enum ipt_table_id; changed under ipt_mu */
	struct mutex ipt_mu;
	struct nft_ns *nft;	/* immutable after nf_ns_init() */
};

int nf_ns_init(struct net_ns *ns);
void nf_ns_fini(struct net_ns *ns);
/* 0, -LINUX_ENOSPC, -LINUX_ENOMEM. Lower priorities run first (NF_IP_PRI_*). */
int nf_register(struct net_ns *ns, int family, enum nf_hooknum hook, int32_t priority, nf_hookfn fn, void *priv);
void nf_unregister(struct net_ns *ns, int family, enum nf_hooknum hook, nf_hookfn fn, void *priv);

enum nf_verdict nf_run(struct nf_chain *c, struct pkt *p, const struct nf_state *st);
/* Where the transport header is; false: the packet is broken. Fills l4off, proto, frag. */
bool nf_state_fill(struct nf_state *st, struct pkt *p);
bool nf_pass_slow(struct nf_chain *c, struct pkt *p, struct nf_state *st);

/* True: go on with @p. False: it was dropped (counted, freed) or stolen. */
static inline bool nf_pass(struct net_ns *ns, enum nf_hooknum hook, struct pkt *p, struct net_link *in,
			   struct net_link *out, struct sock *sk)
{
	bool v6 = !naddr_is_v4(&p->dstaddr);
	struct nf_chain *c = atomic_load_explicit(&ns->nf->chain[v6][hook], memory_order_acquire);
	struct nf_state st;

	if (likely(!c))
		return true;
	st = (struct nf_state){ .ns = ns, .in = in, .out = out, .sk = sk, .hook = (uint8_t)hook,
				.family = v6 ? NET_AF_INET6 : NET_AF_INET };
	return nf_pass_slow(c, p, &st);
}
/* Should fragments be put together before PRE_ROUTING? */
static inline bool nf_wants_defrag(struct net_ns *ns, bool v6)
{
	return unlikely(atomic_load_explicit(&ns->nf->defrag[v6], memory_order_relaxed));
}
/* The sandbox's kernel log (LOG target, nft log); set once before guests run, NULL: nowhere. */
extern void (*nf_log_fn)(unsigned level, const char *line);

#endif
