/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_core.c - registration and running of packet hooks
 *
 * Model:   a hook's functions are an immutable array, replaced as a whole; packets read it without a lock.
 * Locks:   nf->mu around replacement.
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf/ct.h"
#include "sentry/net/nf/ipt.h"
#include "sentry/net/nf/nft.h"
#include "sentry/net/sock_internal.h"

void (*nf_log_fn)(unsigned level, const char *line);

int nf_ns_init(struct net_ns *ns)
{
	ns->nf = calloc(1, sizeof(*ns->nf));
	if (!ns->nf)
		return -LINUX_ENOMEM;
	mutex_init(&ns->nf->mu);
	mutex_init(&ns->nf->ipt_mu);
	return nft_ns_init(ns);
}

void nf_ns_fini(struct net_ns *ns)
{
	if (!ns->nf)
		return;
	nft_ns_fini(ns);
	ipt_ns_fini(ns);
	nf_ct_ns_fini(ns);
	for (int f = 0; f < 2; f++)
		for (int h = 0; h < NF_HOOKS; h++) {
			free(ns->nf->chain[f][h]);
			free(ns->nf->nat[f][h]);
		}
	free(ns->nf);
	ns->nf = NULL;
}

static void chain_free(struct net_rcu *r)
{
	free(container_of(r, struct nf_chain, rcu));
}

static void chain_replace_locked(struct net_ns *ns, struct nf_chain *_Atomic *at, struct nf_chain *n)
{
	struct nf_chain *old = atomic_exchange(at, n);

	if (old)
		net_rcu_free(ns->stack, &old->rcu, chain_free);
}

static int chain_add(struct net_ns *ns, struct nf_chain *_Atomic *where, int32_t priority, nf_hookfn fn, void *priv)
{
	int ret = 0;
	struct nf_chain *old, *n = malloc(sizeof(*n));
	unsigned i = 0, at;

	if (!n)
		return -LINUX_ENOMEM;
	mutex_lock(&ns->nf->mu);
	old = *where;
	if (old && old->nr == NF_MAX_HOOKS) {
		free(n);
		ret = -LINUX_ENOSPC;
		goto out;
	}
	n->nr = old ? old->nr : 0;
	while (i < n->nr && old->e[i].priority <= priority) {
		n->e[i] = old->e[i];
		i++;
	}
	at = i;
	for (; i < n->nr; i++)
		n->e[i + 1] = old->e[i];
	n->e[at] = (struct nf_entry){ .fn = fn, .priv = priv, .priority = priority };
	n->nr++;
	chain_replace_locked(ns, where, n);
out:
	mutex_unlock(&ns->nf->mu);
	return ret;
}

static void chain_del(struct net_ns *ns, struct nf_chain *_Atomic *where, nf_hookfn fn, void *priv)
{
	struct nf_chain *old, *n;
	unsigned k = 0;

	mutex_lock(&ns->nf->mu);
	old = *where;
	n = old ? malloc(sizeof(*n)) : NULL;
	BUG_ON(old && !n); /* must not fail: @priv is about to be freed */
	for (unsigned i = 0; old && i < old->nr; i++)
		if (old->e[i].fn != fn || old->e[i].priv != priv)
			n->e[k++] = old->e[i];
	if (n) {
		n->nr = k;
		if (!k) {
			free(n);
			n = NULL;
		}
		chain_replace_locked(ns, where, n);
	}
	mutex_unlock(&ns->nf->mu);
}

int nf_register(struct net_ns *ns, int family, enum nf_hooknum hook, int32_t priority, nf_hookfn fn, void *priv)
{
	return chain_add(ns, &ns->nf->chain[family == NET_AF_INET6][hook], priority, fn, priv);
}

void nf_unregister(struct net_ns *ns, int family, enum nf_hooknum hook, nf_hookfn fn, void *priv)
{
	chain_del(ns, &ns->nf->chain[family == NET_AF_INET6][hook], fn, priv);
}

int nf_nat_register(struct net_ns *ns, int family, enum nf_hooknum hook, int32_t priority, nf_hookfn fn, void *priv)
{
	return chain_add(ns, &ns->nf->nat[family == NET_AF_INET6][hook], priority, fn, priv);
}

void nf_nat_unregister(struct net_ns *ns, int family, enum nf_hooknum hook, nf_hookfn fn, void *priv)
{
	chain_del(ns, &ns->nf->nat[family == NET_AF_INET6][hook], fn, priv);
}

#define MAX_EXT6 8

/* IPv6: past the extension headers. A header that is cut off ends the walk: nothing matches then but "anything". */
static bool walk6(struct nf_state *st, struct pkt *p)
{
	uint32_t off = IP6_HLEN;
	uint8_t next = p->data[6];

	for (unsigned n = 0; n < MAX_EXT6; n++) {
		uint32_t len;

		if (next != IPPROTO6_HOPOPTS && next != IPPROTO6_ROUTING && next != IPPROTO6_DSTOPTS && next != IPPROTO6_FRAGMENT)
			break;
		if (!pkt_may_pull(p, off + 8))
			return false;
		len = next == IPPROTO6_FRAGMENT ? 8 : (p->data[off + 1] + 1u) * 8u;
		if (next == IPPROTO6_FRAGMENT)
			st->frag = (rd16(p->data + off + 2) & 0xfff8) != 0;
		next = p->data[off];
		off += len;
		if (st->frag)
			break;
	}
	st->proto = next;
	st->l4off = (uint16_t)off;
	return off <= p->len;
}

bool nf_state_fill(struct nf_state *st, struct pkt *p)
{
	st->frag = false;
	if (st->family == NET_AF_INET6)
		return pkt_may_pull(p, IP6_HLEN) && walk6(st, p);
	if (!pkt_may_pull(p, IP4_HLEN))
		return false;
	st->l4off = (uint16_t)((p->data[0] & 15u) * 4u);
	st->proto = p->data[9];
	st->frag = (rd16(p->data + 6) & IP4_OFFMASK) != 0;
	return st->l4off >= IP4_HLEN && pkt_may_pull(p, st->l4off);
}

/* What a local packet's way depends on. */
struct route_key {
	struct naddr src, dst;
	uint32_t mark;
	uint8_t tos;
};

static struct route_key route_key(const struct pkt *p)
{
	return (struct route_key){ .src = p->src, .dst = p->dstaddr, .mark = p->mark, .tos = p->data[1] };
}

bool nf_pass_slow(struct nf_chain *c, struct pkt *p, struct nf_state *st)
{
	struct route_key before, now;
	enum nf_verdict v;

	if (!nf_state_fill(st, p)) {
		net_drop(st->ns, p, DROP_MALFORMED);
		return false;
	}
	before = route_key(p);
	v = nf_run(c, p, st);
	if (v != NF_ACCEPT && v != NF_STOP) {
		if (v != NF_STOLEN)
			net_drop(st->ns, p, DROP_NETFILTER);
		return false;
	}
	if (st->hook == NF_LOCAL_OUT) {
		now = route_key(p);
		if ((!naddr_eq(&before.src, &now.src) || !naddr_eq(&before.dst, &now.dst) || before.mark != now.mark ||
		     before.tos != now.tos) && ip_reroute(st->ns, p)) {
			net_drop(st->ns, p, DROP_NO_ROUTE);
			return false;
		}
	}
	return true;
}

enum nf_verdict nf_run(struct nf_chain *c, struct pkt *p, const struct nf_state *st)
{
	for (unsigned i = 0; i < c->nr; i++) {
		enum nf_verdict v = c->e[i].fn(p, st, c->e[i].priv);

		if (v == NF_STOP)
			return NF_ACCEPT;
		if (v != NF_ACCEPT)
			return v;
	}
	return NF_ACCEPT;
}
