/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt_match_ct.c - matches on the packet's connection
 *
 * Source:  iptables-extensions(8): conntrack, state, connmark.
 */
#include "sentry/net/nf/xt.h"

#define XT_STATE_INVALID   0x01
#define XT_STATE_UNTRACKED 0x40
#define XT_STATE_SNAT	   0x40	/* of the conntrack match, whose UNTRACKED comes after them */
#define XT_STATE_DNAT	   0x80
#define XT_CTSTATE_UNTRACKED 0x100

uint32_t xt_state_bits(const struct pkt *p)
{
	if (p->flags & PKT_F_UNTRACK)
		return XT_STATE_UNTRACKED;
	return p->ct ? 1u << (p->ctinfo % 3 + 1) : XT_STATE_INVALID;
}

static bool state_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	return xt_state_bits(p) & ((const struct linux_xt_state *)i->info)->statemask;
}

static bool connmark_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	const struct linux_xt_mark *m = (const void *)i->info;

	return p->ct && ((atomic_load(&p->ct->mark) & m->mask) == m->mark) != !!m->invert;
}

/* ---- conntrack ------------------------------------------------------------------------------------------------------ */

enum { CM_STATE = 1, CM_PROTO = 2, CM_ADDR0 = 4, CM_STATUS = 0x40, CM_EXPIRES = 0x80, CM_PORT0 = 0x100, CM_DIRECTION = 0x1000 };

static uint32_t ct_state_bits(const struct pkt *p)
{
	uint32_t b = xt_state_bits(p), status;

	if (b == XT_STATE_UNTRACKED)
		return XT_CTSTATE_UNTRACKED;
	if (p->ct) {
		status = atomic_load(&p->ct->status);
		b |= (status & CTS_SRC_NAT ? XT_STATE_SNAT : 0) | (status & CTS_DST_NAT ? XT_STATE_DNAT : 0);
	}
	return b;
}

static bool masked_eq(const struct naddr *a, uint8_t family, const uint8_t want[2][16])
{
	const uint8_t *b = family == NET_AF_INET ? a->b + 12 : a->b;

	for (unsigned k = 0; k < (family == NET_AF_INET ? 4u : 16u); k++)
		if ((b[k] ^ want[0][k]) & want[1][k])
			return false;
	return true;
}

static bool tuple_part(const struct linux_xt_conntrack *m, unsigned k, const struct nf_conn *ct, uint8_t family, uint8_t rev)
{
	const struct nf_tuple *t = &ct->th[k / 2].t;
	uint16_t port = k % 2 ? t->dport : t->sport, lo = m->ports[k], hi = m->ports_high[k];

	if ((m->match_flags & (CM_ADDR0 << k)) &&
	    masked_eq(k % 2 ? &t->dst : &t->src, family, m->addr[k]) == !!(m->invert_flags & (CM_ADDR0 << k)))
		return false;
	if (!(m->match_flags & (CM_PORT0 << k)))
		return true;
	if (rev < 3)
		lo = hi = net_ntohs(lo);
	return (port >= lo && port <= hi) != !!(m->invert_flags & (CM_PORT0 << k));
}

static bool conn_match(const struct linux_xt_conntrack *m, struct nf_conn *ct, const struct pkt *p, const struct nf_state *st, uint8_t rev)
{
	uint64_t now = net_now(st->ns->stack), exp = atomic_load(&ct->expires_ns);
	uint32_t left = exp > now ? (uint32_t)((exp - now) / NET_SEC) : 0;

	if ((m->match_flags & CM_DIRECTION) && CT_IS_REPLY(p->ctinfo) != !!(m->invert_flags & CM_DIRECTION))
		return false;
	for (unsigned k = 0; k < 4; k++)
		if (!tuple_part(m, k, ct, st->family, rev))
			return false;
	if ((m->match_flags & CM_PROTO) && (ct->th[0].t.proto == m->l4proto) == !!(m->invert_flags & CM_PROTO))
		return false;
	if ((m->match_flags & CM_STATUS) && !!(atomic_load(&ct->status) & m->status_mask) == !!(m->invert_flags & CM_STATUS))
		return false;
	return !(m->match_flags & CM_EXPIRES) ||
	       (left >= m->expires_min && left <= m->expires_max) != !!(m->invert_flags & CM_EXPIRES);
}

/* Revision 1 has one byte for each of the last two masks. */
static struct linux_xt_conntrack widen(const struct xt_inst *i)
{
	struct linux_xt_conntrack m = { 0 };
	size_t at = offsetof(struct linux_xt_conntrack, state_mask);

	memcpy(&m, i->info, MIN((size_t)i->ext->size, sizeof(m)));
	if (i->ext->revision == 1) {
		m.state_mask = i->info[at];
		m.status_mask = i->info[at + 1];
	}
	return m;
}

static bool conntrack_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	struct linux_xt_conntrack m = widen(i);

	if ((m.match_flags & CM_STATE) && !!(ct_state_bits(p) & m.state_mask) == !!(m.invert_flags & CM_STATE))
		return false;
	return p->ct ? conn_match(&m, p->ct, p, st, i->ext->revision) : !!(m.match_flags & CM_STATE);
}

const struct xt_ext xt_ct_matches[] = {
	{ .name = "state", .families = XT_BOTH, .size = sizeof(struct linux_xt_state), .match = state_match, .ct = true },
	{ .name = "connmark", .revision = 1, .families = XT_BOTH, .size = sizeof(struct linux_xt_mark), .match = connmark_match,
	  .ct = true },
	{ .name = "conntrack", .revision = 1, .families = XT_BOTH, .size = offsetof(struct linux_xt_conntrack, state_mask) + 2,
	  .match = conntrack_match, .ct = true },
	{ .name = "conntrack", .revision = 2, .families = XT_BOTH, .size = offsetof(struct linux_xt_conntrack, ports_high),
	  .match = conntrack_match, .ct = true },
	{ .name = "conntrack", .revision = 3, .families = XT_BOTH, .size = sizeof(struct linux_xt_conntrack),
	  .match = conntrack_match, .ct = true },
};
const unsigned xt_nr_ct_matches = ARRAY_SIZE(xt_ct_matches);
