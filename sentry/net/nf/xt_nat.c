/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt_nat.c - targets that translate: SNAT, DNAT, MASQUERADE, REDIRECT, NETMAP
 *
 * Source:  iptables-extensions(8), linux/netfilter/nf_nat.h.
 */
#include "sentry/net/nf/xt.h"

/* The user's range in any of its three layouts. */
static struct nf_nat_range range_of(const struct xt_inst *i, uint8_t family)
{
	const struct linux_nat_multi_range *v4 = (const void *)i->info;
	const struct linux_nat_range2 *r = (const void *)i->info;
	struct nf_nat_range n = { 0 };
	uint32_t a;

	if (i->ext->size == sizeof(*v4))
		return (struct nf_nat_range){ .flags = v4->r.flags, .min = naddr_from_v4(v4->r.min), .max = naddr_from_v4(v4->r.max),
					      .pmin = net_ntohs(v4->r.pmin), .pmax = net_ntohs(v4->r.pmax) };
	n.flags = r->flags;
	n.pmin = net_ntohs(r->pmin);
	n.pmax = net_ntohs(r->pmax);
	if (i->ext->size == sizeof(*r))
		n.pbase = net_ntohs(r->pbase);
	if (family == NET_AF_INET6) {
		n.min = naddr_from_bytes6(r->min);
		n.max = naddr_from_bytes6(r->max);
		return n;
	}
	memcpy(&a, r->min, 4);
	n.min = naddr_from_v4(a);
	memcpy(&a, r->max, 4);
	n.max = naddr_from_v4(a);
	return n;
}

static int nat_check(const struct xt_inst *i, const struct xt_where *w)
{
	const struct linux_nat_multi_range *v4 = (const void *)i->info;

	if (i->ext->size == sizeof(*v4) && v4->rangesize != 1)
		return -LINUX_EINVAL;
	return range_of(i, w->family).flags & ~0x7fu ? -LINUX_EINVAL : 0;
}

static int snat_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	struct nf_nat_range r = range_of(i, st->family);

	return p->ct ? (int)nf_nat_setup(p->ct, &r, NF_MANIP_SRC) : NF_ACCEPT;
}

static int dnat_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	struct nf_nat_range r = range_of(i, st->family);

	return p->ct ? (int)nf_nat_setup(p->ct, &r, NF_MANIP_DST) : NF_ACCEPT;
}

static int masquerade_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	struct nf_nat_range r = range_of(i, st->family);

	return nf_nat_masquerade(p, st, &r);
}

static int redirect_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	struct nf_nat_range r = range_of(i, st->family);

	return nf_nat_redirect(p, st, &r);
}

/* The network part of an address is replaced, the host part stays. */
static int netmap_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	enum nf_manip m = nf_manip_of(st->hook);
	struct nf_nat_range r = range_of(i, st->family);
	struct naddr a = m == NF_MANIP_SRC ? p->src : p->dstaddr;

	if (!p->ct)
		return NF_ACCEPT;
	for (unsigned k = 0; k < 16; k++)
		a.b[k] = (uint8_t)((a.b[k] & (r.min.b[k] ^ r.max.b[k])) | (r.min.b[k] & ~(r.min.b[k] ^ r.max.b[k])));
	r.min = r.max = a;
	r.flags |= NATF_MAP_IPS;
	return nf_nat_setup(p->ct, &r, m);
}

#define N(n, rev, fam, type, fn, h) \
	{ .name = n, .revision = rev, .families = fam, .size = sizeof(struct type), .target = true, .ct = true, .nat = true, \
	  .tables = 1 << XT_NAT, .hooks = h, .check = nat_check, .run = fn }
#define SRC_HOOKS (HOOK(POST_ROUTING) | HOOK(LOCAL_IN))
#define DST_HOOKS (HOOK(PRE_ROUTING) | HOOK(LOCAL_OUT))
const struct xt_ext xt_nat_targets[] = {
	N("SNAT", 0, XT_V4, linux_nat_multi_range, snat_run, SRC_HOOKS),
	N("SNAT", 1, XT_BOTH, linux_nat_range, snat_run, SRC_HOOKS),
	N("SNAT", 2, XT_BOTH, linux_nat_range2, snat_run, SRC_HOOKS),
	N("DNAT", 0, XT_V4, linux_nat_multi_range, dnat_run, DST_HOOKS),
	N("DNAT", 1, XT_BOTH, linux_nat_range, dnat_run, DST_HOOKS),
	N("DNAT", 2, XT_BOTH, linux_nat_range2, dnat_run, DST_HOOKS),
	N("MASQUERADE", 0, XT_V4, linux_nat_multi_range, masquerade_run, HOOK(POST_ROUTING)),
	N("MASQUERADE", 0, XT_V6, linux_nat_range, masquerade_run, HOOK(POST_ROUTING)),
	N("REDIRECT", 0, XT_V4, linux_nat_multi_range, redirect_run, DST_HOOKS),
	N("REDIRECT", 0, XT_V6, linux_nat_range, redirect_run, DST_HOOKS),
	N("NETMAP", 0, XT_V4, linux_nat_multi_range, netmap_run, SRC_HOOKS | DST_HOOKS),
	N("NETMAP", 0, XT_V6, linux_nat_range, netmap_run, SRC_HOOKS | DST_HOOKS),
};
const unsigned xt_nr_nat_targets = ARRAY_SIZE(xt_nat_targets);
