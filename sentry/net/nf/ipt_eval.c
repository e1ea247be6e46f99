/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/ipt_eval.c - a packet walks through a table
 */
#include "sentry/net/nf/ipt.h"

struct ipt_entry_view ipt_view(uint8_t family, const uint8_t *e)
{
	if (family == NET_AF_INET) {
		struct linux_ipt_entry *v = (struct linux_ipt_entry *)(uintptr_t)e;

		return (struct ipt_entry_view){ v->target_offset, v->next_offset, v->proto, v->flags, v->invflags,
						v->proto != 0, v->flags & LINUX_IPT_F_GOTO, &v->counters };
	}
	struct linux_ip6t_entry *v = (struct linux_ip6t_entry *)(uintptr_t)e;

	return (struct ipt_entry_view){ v->target_offset, v->next_offset, v->proto, v->flags, v->invflags,
					v->flags & LINUX_IP6T_F_PROTO, v->flags & LINUX_IP6T_F_GOTO, &v->counters };
}

bool ipt_entry_any(const struct ipt_table *t, const uint8_t *e)
{
	static const uint8_t zero[sizeof(struct linux_ip6t_entry)];
	struct ipt_entry_view v = ipt_view(t->family, e);
	size_t n = t->family == NET_AF_INET ? offsetof(struct linux_ipt_entry, proto) : offsetof(struct linux_ip6t_entry, proto);

	return v.target_offset == ipt_entry_size(t->family) && !v.proto && !v.invflags && !memcmp(e, zero, n);
}

/* Names are compared under a mask of their significant bytes ("eth+" is three). */
static bool link_match(const struct net_link *l, const char want[16], const uint8_t mask[16], bool invert)
{
	static const char none[16];
	const char *name = l ? l->name : none;
	uint8_t diff = 0;

	for (unsigned i = 0; i < 16; i++) {
		diff |= (uint8_t)((name[i] ^ want[i]) & mask[i]);
		if (!name[i] && !want[i])
			break;
	}
	return !diff != invert;
}

static bool addr6_match(const uint8_t *a, const uint8_t *want, const uint8_t *mask)
{
	for (unsigned i = 0; i < 16; i++)
		if ((a[i] & mask[i]) != want[i])
			return false;
	return true;
}

static bool match4(const struct linux_ipt_entry *e, const struct pkt *p, const struct nf_state *st)
{
	uint8_t inv = e->invflags;

	return ((p->src.w[3] & e->smsk) == e->src) != !!(inv & LINUX_IPT_INV_SRCIP) &&
	       ((p->dstaddr.w[3] & e->dmsk) == e->dst) != !!(inv & LINUX_IPT_INV_DSTIP) &&
	       link_match(st->in, e->in, e->in_mask, inv & LINUX_IPT_INV_VIA_IN) &&
	       link_match(st->out, e->out, e->out_mask, inv & LINUX_IPT_INV_VIA_OUT) &&
	       (!e->proto || (e->proto == st->proto) != !!(inv & LINUX_IPT_INV_PROTO)) &&
	       (!(e->flags & LINUX_IPT_F_FRAG) || st->frag != !!(inv & LINUX_IPT_INV_FRAG));
}

static bool match6(const struct linux_ip6t_entry *e, const struct pkt *p, const struct nf_state *st)
{
	uint8_t inv = e->invflags;

	return addr6_match(p->src.b, e->src, e->smsk) != !!(inv & LINUX_IPT_INV_SRCIP) &&
	       addr6_match(p->dstaddr.b, e->dst, e->dmsk) != !!(inv & LINUX_IPT_INV_DSTIP) &&
	       link_match(st->in, e->in, e->in_mask, inv & LINUX_IPT_INV_VIA_IN) &&
	       link_match(st->out, e->out, e->out_mask, inv & LINUX_IPT_INV_VIA_OUT) &&
	       (!(e->flags & LINUX_IP6T_F_PROTO) || !e->proto || (e->proto == st->proto) != !!(inv & LINUX_IPT_INV_PROTO));
}

static bool rule_matches(const struct ipt_table *t, const struct ipt_rule *r, struct pkt *p, const struct nf_state *st)
{
	if (!r->any && !(t->family == NET_AF_INET ? match4((const void *)r->e, p, st) : match6((const void *)r->e, p, st)))
		return false;
	for (unsigned i = 0; i < r->nr_matches; i++)
		if (!r->match[i]->ext->match(r->match[i], p, st))
			return false;
	return true;
}

struct walk {
	uint32_t at, depth;
	uint32_t ret[IPT_DEPTH_MAX];	/* where to go on after RETURN */
};

/* A standard target: moves on and returns XT_CONTINUE, or gives the verdict. */
static int standard(const struct ipt_table *t, const struct ipt_rule *r, struct walk *w, unsigned hook)
{
	int32_t v = r->verdict;

	if (v < 0 && v != LINUX_XT_RETURN)
		return -v - 1 == NF_ACCEPT ? NF_ACCEPT : NF_DROP; /* nobody listens to queues */
	if (v == LINUX_XT_RETURN) {
		w->at = w->depth ? w->ret[--w->depth] : t->underflow_rule[hook];
		return XT_CONTINUE;
	}
	if (!r->is_goto && (uint32_t)v != w->at + 1) {
		if (w->depth == IPT_DEPTH_MAX)
			return NF_DROP;
		w->ret[w->depth++] = w->at + 1;
	}
	w->at = (uint32_t)v;
	return XT_CONTINUE;
}

enum nf_verdict ipt_hook(struct pkt *p, const struct nf_state *st, void *priv)
{
	struct ipt_table *t = atomic_load_explicit((struct ipt_table *_Atomic *)priv, memory_order_acquire);
	struct walk w = { 0 };
	int v = XT_CONTINUE;

	if (!t)
		return NF_ACCEPT;
	w.at = t->hook_rule[st->hook];
	/* the check has seen that every way ends; the bound is a second lock on that door */
	for (uint64_t steps = 0; v == XT_CONTINUE; steps++) {
		struct ipt_rule *r = &t->rule[w.at];

		if (w.at >= t->info.num_entries || steps > 1u << 24)
			return NF_DROP;
		if (!rule_matches(t, r, p, st)) {
			w.at++;
			continue;
		}
		atomic_fetch_add_explicit(&r->packets, MAX(1u, (uint32_t)p->gso_segs), memory_order_relaxed);
		atomic_fetch_add_explicit(&r->bytes, p->len, memory_order_relaxed);
		if (r->error)
			return NF_DROP;
		if (!r->target) {
			v = standard(t, r, &w, st->hook);
			continue;
		}
		v = r->target->ext->run(r->target, p, st);
		w.at++;
	}
	return (enum nf_verdict)v;
}
