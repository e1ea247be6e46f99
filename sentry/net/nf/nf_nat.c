/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_nat.c - address and port translation
 *
 * Model:   what a rule chose becomes the connection's reply tuple; every later packet is rewritten from the tuples
 *          alone. Destinations change at PRE_ROUTING and LOCAL_OUT, sources at POST_ROUTING and LOCAL_IN; a connection
 *          that no rule spoke about gets the identity, which still moves a port out of the way of somebody else's.
 * Source:  RFC 3022, RFC 4787 (ports are kept when they can be), RFC 5382.
 */
#include "sentry/net/nf/ct.h"

#define PORT_TRIES 2048

/* The original tuple as it would be seen behind the present reply tuple. */
static void current_tuple(const struct nf_conn *ct, struct nf_tuple *out)
{
	if (!nf_tuple_invert(&ct->th[1].t, out))
		*out = ct->th[0].t;
}

static bool tuple_free(const struct nf_conn *ct, const struct nf_tuple *t)
{
	struct nf_tuple rev;

	return nf_tuple_invert(t, &rev) && !nf_ct_tuple_used(&rev, ct);
}

static bool has_key(const struct nf_tuple *t)
{
	return t->proto == NET_IPPROTO_TCP || t->proto == NET_IPPROTO_UDP || t->proto == NET_IPPROTO_ICMP ||
	       t->proto == NET_IPPROTO_ICMPV6;
}

static bool is_icmp(const struct nf_tuple *t)
{
	return t->proto == NET_IPPROTO_ICMP || t->proto == NET_IPPROTO_ICMPV6;
}

/* One of the range's addresses, the same for the same pair. */
static struct naddr pick_addr(const struct nf_conn *ct, const struct nf_tuple *t, const struct nf_nat_range *r, enum nf_manip m)
{
	uint64_t h = net_hash_addr(&t->src, ct->tbl->seed), span;
	struct naddr a = r->min;
	uint32_t lo, hi;

	if (naddr_eq(&r->min, &r->max))
		return a;
	if (!(r->flags & NATF_PERSISTENT))
		h ^= net_hash_addr(&t->dst, ct->tbl->seed) * 31u;
	(void)m;
	lo = net_ntohl(r->min.w[3]);
	hi = net_ntohl(r->max.w[3]);
	span = hi >= lo ? (uint64_t)hi - lo + 1 : 1;
	a.w[3] = net_htonl((uint32_t)(lo + h % span));
	return a;
}

/* RFC 4787 REQ-3: well-known ports stay among themselves. */
static void default_ports(uint16_t port, uint16_t *lo, uint32_t *n)
{
	if (port < 512) {
		*lo = 1;
		*n = 511;
	} else if (port < 1024) {
		*lo = 600;
		*n = 424;
	} else {
		*lo = 1024;
		*n = 64512;
	}
}

static bool find_port(const struct nf_conn *ct, struct nf_tuple *t, const struct nf_nat_range *r, enum nf_manip m)
{
	uint16_t *key = m == NF_MANIP_SRC || is_icmp(t) ? &t->sport : &t->dport, lo;
	uint32_t n, at;

	if (r->flags & NATF_PROTO_SPECIFIED) {
		lo = MIN(r->pmin, r->pmax);
		n = (uint32_t)MAX(r->pmin, r->pmax) - lo + 1;
	} else if (m == NF_MANIP_DST && !is_icmp(t)) {
		return true; /* a destination's port is never changed unasked */
	} else if (is_icmp(t)) {
		lo = 0;
		n = 65536;
	} else {
		default_ports(*key, &lo, &n);
	}
	if (r->flags & NATF_PROTO_OFFSET)
		at = (uint16_t)(*key - r->pbase);
	else if (r->flags & (NATF_PROTO_RANDOM | NATF_PROTO_RANDOM_FULLY) || m == NF_MANIP_DST)
		at = net_random32();
	else
		at = *key >= lo ? (uint32_t)*key - lo : net_random32();
	for (uint32_t i = 0; i < MIN(n, (uint32_t)PORT_TRIES); i++) {
		*key = (uint16_t)(lo + (at + i) % n);
		if (tuple_free(ct, t))
			return true;
	}
	return false;
}

/* The tuple that the connection shall have behind the translation. */
static bool choose(const struct nf_conn *ct, const struct nf_nat_range *r, enum nf_manip m, struct nf_tuple *t)
{
	bool rnd = r->flags & (NATF_PROTO_RANDOM | NATF_PROTO_RANDOM_FULLY);
	uint16_t port;

	if (r->flags & NATF_MAP_IPS) {
		struct naddr a = pick_addr(ct, t, r, m);

		*(m == NF_MANIP_SRC ? &t->src : &t->dst) = a;
	}
	if (!has_key(t))
		return tuple_free(ct, t);
	port = m == NF_MANIP_SRC || is_icmp(t) ? t->sport : t->dport;
	if (!rnd && !(r->flags & NATF_PROTO_OFFSET) &&
	    (!(r->flags & NATF_PROTO_SPECIFIED) || (port >= r->pmin && port <= r->pmax)) && tuple_free(ct, t))
		return true;
	return find_port(ct, t, r, m);
}

enum nf_verdict nf_nat_setup(struct nf_conn *ct, const struct nf_nat_range *r, enum nf_manip m)
{
	uint32_t done = m == NF_MANIP_SRC ? CTS_SRC_NAT_DONE : CTS_DST_NAT_DONE;
	struct nf_tuple cur, t;

	if (atomic_load(&ct->status) & (CTS_CONFIRMED | done))
		return NF_ACCEPT;
	current_tuple(ct, &cur);
	t = cur;
	if (!choose(ct, r, m, &t))
		return NF_DROP;
	if (!nf_tuple_eq(&t, &cur)) {
		if (!nf_tuple_invert(&t, &ct->th[1].t))
			return NF_DROP;
		atomic_fetch_or(&ct->status, m == NF_MANIP_SRC ? CTS_SRC_NAT : CTS_DST_NAT);
	}
	atomic_fetch_or(&ct->status, done);
	return NF_ACCEPT;
}

enum nf_verdict nf_nat_masquerade(struct pkt *p, const struct nf_state *st, const struct nf_nat_range *r)
{
	const struct naddr *to = p->dst && p->dst->gateway ? &p->dst->nexthop : &p->dstaddr;
	struct nf_nat_range n = *r;
	enum nf_ctinfo info;
	struct nf_conn *ct = nf_ct_of(p, &info);

	if (!ct)
		return NF_ACCEPT;
	if (st->family == NET_AF_INET && p->src.w[3] == 0)
		return NF_ACCEPT; /* DHCP and friends */
	if (!st->out || !net_addr_select(st->out, to, &n.min))
		return NF_DROP;
	n.max = n.min;
	n.flags |= NATF_MAP_IPS;
	return nf_nat_setup(ct, &n, NF_MANIP_SRC);
}

enum nf_verdict nf_nat_redirect(struct pkt *p, const struct nf_state *st, const struct nf_nat_range *r)
{
	struct nf_nat_range n = *r;
	enum nf_ctinfo info;
	struct nf_conn *ct = nf_ct_of(p, &info);

	if (!ct)
		return NF_ACCEPT;
	if (st->hook == NF_LOCAL_OUT)
		n.min = st->family == NET_AF_INET ? naddr_from_v4(net_htonl(0x7f000001)) : (struct naddr){ .b = { [15] = 1 } };
	else if (!st->in || !net_addr_select(st->in, &p->src, &n.min))
		return NF_DROP;
	n.max = n.min;
	n.flags |= NATF_MAP_IPS;
	return nf_nat_setup(ct, &n, NF_MANIP_DST);
}

/* ---- the hook ---------------------------------------------------------------------------------------------------------- */

/* Does the translation of @m concern packets of this direction? */
static bool applies(const struct nf_conn *ct, enum nf_manip m, bool reply)
{
	uint32_t status = atomic_load_explicit(&((struct nf_conn *)ct)->status, memory_order_relaxed);
	bool src = (m == NF_MANIP_SRC) != reply;

	return status & (src ? CTS_SRC_NAT : CTS_DST_NAT);
}

static enum nf_verdict translate_error(struct pkt *p, const struct nf_state *st, struct nf_conn *ct, bool reply, enum nf_manip m)
{
	const struct nf_tuple *other = &ct->th[!reply].t;
	struct nf_tuple outer = { 0 };

	if (!applies(ct, m, reply))
		return NF_ACCEPT;
	if (!nf_manip_icmp_inner(p, st, other, !m))
		return NF_DROP;
	/* the sender of the error is a stranger unless it is the peer itself: only what is the connection's changes */
	outer.src = other->dst;
	outer.dst = other->src;
	if (!nf_set_addr(p, st, m, m == NF_MANIP_SRC ? &outer.src : &outer.dst))
		return NF_DROP;
	return NF_ACCEPT;
}

static enum nf_verdict run_rules(struct pkt *p, const struct nf_state *st, struct nf_conn *ct, enum nf_manip m)
{
	static const struct nf_nat_range none;
	uint32_t done = m == NF_MANIP_SRC ? CTS_SRC_NAT_DONE : CTS_DST_NAT_DONE;
	struct nf_chain *c;
	enum nf_verdict v;

	if (atomic_load(&ct->status) & (done | CTS_CONFIRMED))
		return NF_ACCEPT;
	c = atomic_load_explicit(&st->ns->nf->nat[st->family == NET_AF_INET6][st->hook], memory_order_acquire);
	v = c ? nf_run(c, p, st) : NF_ACCEPT;
	if (v != NF_ACCEPT)
		return v;
	return atomic_load(&ct->status) & done ? NF_ACCEPT : nf_nat_setup(ct, &none, m);
}

enum nf_verdict nf_nat_hook(struct pkt *p, const struct nf_state *st, void *priv)
{
	enum nf_manip m = nf_manip_of(st->hook);
	struct nf_tuple target;
	enum nf_ctinfo info;
	struct nf_conn *ct = nf_ct_of(p, &info);
	bool reply = CT_IS_REPLY(info);
	enum nf_verdict v;

	(void)priv;
	if (!ct)
		return NF_ACCEPT;
	if ((info == CT_RELATED || info == CT_RELATED_REPLY) && st->proto != NET_IPPROTO_TCP)
		return translate_error(p, st, ct, reply, m);
	if (info == CT_NEW) {
		v = run_rules(p, st, ct, m);
		if (v != NF_ACCEPT)
			return v;
	}
	if (!applies(ct, m, reply))
		return NF_ACCEPT;
	if (!nf_tuple_invert(&ct->th[!reply].t, &target))
		return NF_ACCEPT;
	return nf_manip_packet(p, st, &target, m) ? NF_ACCEPT : NF_DROP;
}
