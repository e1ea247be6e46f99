/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt_match.c - matches on packets: headers, links, owners, rates
 *
 * Source:  iptables-extensions(8).
 */
#include "sentry/net/nf/xt.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/sock_internal.h"

#define INFO(type) const struct type *m = (const void *)i->info

static bool in_range(uint32_t v, const uint16_t r[2], bool invert)
{
	return (v >= r[0] && v <= r[1]) != invert;
}

uint8_t *xt_tcp_option(struct pkt *p, const struct nf_state *st, uint8_t kind, uint8_t *out_len)
{
	uint8_t *h = xt_l4(p, st, TCP_HLEN);
	uint32_t len, i = TCP_HLEN;

	if (!h)
		return NULL;
	len = (h[12] >> 4) * 4u;
	h = xt_l4(p, st, len);
	while (h && i < len && h[i] != 0) {
		uint32_t n = h[i] == 1 ? 1 : i + 1 < len ? h[i + 1] : 0;

		if (n == 0 || (h[i] != 1 && n < 2) || i + n > len)
			return NULL;
		if (h[i] == kind) {
			*out_len = (uint8_t)n;
			return h + i;
		}
		i += n;
	}
	return NULL;
}

static bool tcp_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_tcp);
	const uint8_t *h = xt_l4(p, st, TCP_HLEN);
	uint8_t n;

	if (!h || !in_range(rd16(h), m->spts, m->invflags & 1) || !in_range(rd16(h + 2), m->dpts, m->invflags & 2) ||
	    ((h[13] & m->flg_mask) == m->flg_cmp) == !!(m->invflags & 4))
		return false;
	return !m->option || (xt_tcp_option(p, st, m->option, &n) != NULL) != !!(m->invflags & 8);
}

static int tcp_check(const struct xt_inst *i, const struct xt_where *w)
{
	return ((const struct linux_xt_tcp *)i->info)->invflags & ~15 ? -LINUX_EINVAL : 0;
}

static bool udp_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_udp);
	const uint8_t *h = xt_l4(p, st, UDP_HLEN);

	return h && in_range(rd16(h), m->spts, m->invflags & 1) && in_range(rd16(h + 2), m->dpts, m->invflags & 2);
}

static int udp_check(const struct xt_inst *i, const struct xt_where *w)
{
	return ((const struct linux_xt_udp *)i->info)->invflags & ~3 ? -LINUX_EINVAL : 0;
}

static bool icmp_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_icmp);
	const uint8_t *h = xt_l4(p, st, 4);
	bool any = m->type == 0xff && st->family == NET_AF_INET;

	return h && (any || (h[0] == m->type && h[1] >= m->code[0] && h[1] <= m->code[1])) != !!(m->invflags & 1);
}

static int icmp_check(const struct xt_inst *i, const struct xt_where *w)
{
	return ((const struct linux_xt_icmp *)i->info)->invflags & ~1 ? -LINUX_EINVAL : 0;
}

static bool multiport_hit(const struct linux_xt_multiport *m, uint16_t s, uint16_t d)
{
	for (unsigned k = 0; k < m->count; k++) {
		uint16_t r[2] = { m->ports[k], m->ports[k] };

		if (m->pflags[k] && k + 1 < m->count)
			r[1] = m->ports[++k];
		if ((m->flags != 1 && in_range(s, r, false)) || (m->flags != 0 && in_range(d, r, false)))
			return true;
	}
	return false;
}

static bool multiport_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_multiport);
	const uint8_t *h = xt_l4(p, st, 4);

	return h && multiport_hit(m, rd16(h), rd16(h + 2)) != !!m->invert;
}

static int multiport_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_multiport);

	if (w->proto_inv || (w->proto != 6 && w->proto != 17 && w->proto != 33 && w->proto != 132 && w->proto != 136))
		return -LINUX_EINVAL;
	return m->flags > 2 || m->count > 15 ? -LINUX_EINVAL : 0;
}

static bool mark_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_mark);

	return ((p->mark & m->mask) == m->mark) != !!m->invert;
}

static bool comment_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	return true;
}

/* ---- limit: a bucket of tokens ------------------------------------------------------------------------------------ */

struct limit_state {
	uint64_t full_ns;	/* when the bucket is full again */
	bool used;
};
#define LIMIT_SCALE 10000u

static bool limit_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_limit);
	struct limit_state *s = i->state;
	uint64_t cost = (uint64_t)m->avg * (NET_SEC / LIMIT_SCALE), now = net_now(st->ns->stack), room = cost * m->burst;
	bool ok;

	mutex_lock(&i->mu);
	if (!s->used || s->full_ns < now)
		s->full_ns = now;
	s->used = true;
	ok = s->full_ns - now + cost <= room;
	if (ok)
		s->full_ns += cost;
	mutex_unlock(&i->mu);
	return ok;
}

static int limit_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_limit);

	/* their product must fit, and a rate needs a burst */
	return !m->burst || m->avg * m->burst < m->avg || !m->avg ? -LINUX_ERANGE : 0;
}

struct stat_state {
	uint32_t count;
};

static bool statistic_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_statistic);
	struct stat_state *s = i->state;
	bool invert = m->flags & 1, hit;

	if (m->mode == 0)
		return ((net_random32() & 0x7fffffff) < m->a) != invert;
	mutex_lock(&i->mu);
	hit = s->count++ >= m->a;
	if (hit)
		s->count = 0;
	mutex_unlock(&i->mu);
	return hit != invert;
}

static int statistic_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_statistic);

	if (m->mode > 1 || (m->flags & ~1))
		return -LINUX_EINVAL;
	if (m->mode == 1)
		((struct stat_state *)i->state)->count = m->packet;
	return 0;
}

/* ---- addresses and links ------------------------------------------------------------------------------------------- */

/* The route type of @a, as 1 << NET_RTN_*. @link restricts to one interface. */
static uint32_t addr_type(const struct nf_state *st, const struct naddr *a, struct net_link *link)
{
	struct net_flow fl = { .dst = *a, .any_src = true };
	struct fib_res res;
	int ret;

	if (naddr_is_multicast(a))
		return 1u << NET_RTN_MULTICAST;
	if (naddr_is_v4(a) && (naddr_is_bcast4(a) || naddr_is_any(a)))
		return 1u << NET_RTN_BROADCAST;
	if (link && net_addr_is_local(st->ns, a))
		return 1u << (net_addr_on_link(link, a) ? NET_RTN_LOCAL : NET_RTN_UNICAST);
	ret = net_fib_lookup(st->ns, &fl, &res);
	if (!ret)
		return 1u << res.type;
	return 1u << (ret == -LINUX_EACCES ? NET_RTN_PROHIBIT : ret == -LINUX_EINVAL ? NET_RTN_BLACKHOLE : NET_RTN_UNREACHABLE);
}

static bool addrtype0_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_addrtype0);

	return (!m->source || !!(addr_type(st, &p->src, NULL) & m->source) != !!m->invert_source) &&
	       (!m->dest || !!(addr_type(st, &p->dstaddr, NULL) & m->dest) != !!m->invert_dest);
}

static bool addrtype1_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_addrtype1);
	struct net_link *l = m->flags & 4 ? st->in : m->flags & 8 ? st->out : NULL;

	return (!m->source || !!(addr_type(st, &p->src, l) & m->source) != !!(m->flags & 1)) &&
	       (!m->dest || !!(addr_type(st, &p->dstaddr, l) & m->dest) != !!(m->flags & 2));
}

static int addrtype1_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_addrtype1);

	if ((m->flags & 12) == 12 || ((m->flags & 8) && (w->hooks & (HOOK(PRE_ROUTING) | HOOK(LOCAL_IN)))) ||
	    ((m->flags & 4) && (w->hooks & (HOOK(POST_ROUTING) | HOOK(LOCAL_OUT)))))
		return -LINUX_EINVAL;
	return 0;
}

static bool between(const struct naddr *a, uint8_t family, const uint8_t min[16], const uint8_t max[16])
{
	const uint8_t *b = family == NET_AF_INET ? a->b + 12 : a->b;
	size_t n = family == NET_AF_INET ? 4 : 16;

	return memcmp(b, min, n) >= 0 && memcmp(b, max, n) <= 0;
}

static bool iprange_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_iprange);

	return (!(m->flags & 1) || between(&p->src, st->family, m->src_min, m->src_max) != !!(m->flags & 0x10)) &&
	       (!(m->flags & 2) || between(&p->dstaddr, st->family, m->dst_min, m->dst_max) != !!(m->flags & 0x20));
}

static bool mac_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_mac);

	return st->in && st->in->hwlen == 6 && !memcmp(p->src_mac, m->addr, 6) != !!m->invert;
}

static bool pkttype_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_pkttype);
	int type = p->type;

	if (st->hook == NF_LOCAL_OUT || st->hook == NF_POST_ROUTING || (st->in && (st->in->flags & NET_IFF_LOOPBACK)))
		type = naddr_is_multicast(&p->dstaddr) ? PKT_MULTICAST : naddr_is_bcast4(&p->dstaddr) ? PKT_BROADCAST : PKT_HOST;
	return (type == m->type) != !!m->invert;
}

static bool owner_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_owner);
	const struct sock *sk = st->sk;

	if (!sk)
		return ((m->match ^ m->invert) & m->match) == 0;
	if ((m->match & 4) && (m->invert & 4))
		return false;
	if ((m->match & 1) && (sk->c.uid >= m->uid_min && sk->c.uid <= m->uid_max) == !!(m->invert & 1))
		return false;
	return !(m->match & 2) || (sk->gid >= m->gid_min && sk->gid <= m->gid_max) != !!(m->invert & 2);
}

/* ---- sizes and fields ------------------------------------------------------------------------------------------------ */

static bool length_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_length);

	return (p->len >= m->min && p->len <= m->max) != !!m->invert;
}

static bool tcpmss_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_tcpmss);
	uint8_t n;
	const uint8_t *o = xt_tcp_option(p, st, 2, &n);
	uint16_t mss;

	if (!xt_l4(p, st, TCP_HLEN))
		return false;
	if (!o || n != 4)
		return m->invert;
	mss = rd16(o + 2);
	return (mss >= m->min && mss <= m->max) != !!m->invert;
}

/* Modes: equal, not equal, less, greater. */
static bool ttl_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_ttl);
	uint8_t v = p->data[st->family == NET_AF_INET ? 8 : 7];

	switch (m->mode) {
	case 0:
		return v == m->ttl;
	case 1:
		return v != m->ttl;
	case 2:
		return v < m->ttl;
	case 3:
		return v > m->ttl;
	}
	return false;
}

static bool dscp_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_dscp);
	uint8_t tos = st->family == NET_AF_INET ? p->data[1] : (uint8_t)(rd16(p->data) >> 4);

	return (tos >> 2 == m->dscp) != !!m->invert;
}

static bool tos_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_tos);
	uint8_t tos = st->family == NET_AF_INET ? p->data[1] : (uint8_t)(rd16(p->data) >> 4);

	return ((tos & m->mask) == m->value) != !!m->invert;
}

enum { RPF_LOOSE = 1, RPF_MARK = 2, RPF_ACCEPT_LOCAL = 4, RPF_INVERT = 8 };

/* Would an answer leave by the link that the packet came in by? */
static bool rpfilter_match(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_rpfilter);
	struct net_flow fl = { .dst = p->src, .any_src = true, .mark = m->flags & RPF_MARK ? p->mark : 0 };
	bool invert = m->flags & RPF_INVERT, ok;
	struct fib_res res;

	if (!st->in || (st->in->flags & NET_IFF_LOOPBACK) || naddr_is_multicast(&p->dstaddr) || naddr_is_any(&p->src))
		return !invert;
	ok = !net_fib_lookup(st->ns, &fl, &res) &&
	     (res.type == NET_RTN_UNICAST || (res.type == NET_RTN_LOCAL && (m->flags & RPF_ACCEPT_LOCAL))) &&
	     ((m->flags & RPF_LOOSE) || res.oif == st->in->index);
	return ok != invert;
}

static int rpfilter_check(const struct xt_inst *i, const struct xt_where *w)
{
	return ((const struct linux_xt_rpfilter *)i->info)->flags & ~15 ? -LINUX_EINVAL : 0;
}

#define M(n, rev, fam, type, fn, ...) \
	{ .name = n, .revision = rev, .families = fam, .size = sizeof(struct type), .match = fn, ##__VA_ARGS__ }
const struct xt_ext xt_matches[] = {
	M("tcp", 0, XT_BOTH, linux_xt_tcp, tcp_match, .proto = 6, .check = tcp_check),
	M("udp", 0, XT_BOTH, linux_xt_udp, udp_match, .proto = 17, .check = udp_check),
	M("udplite", 0, XT_BOTH, linux_xt_udp, udp_match, .proto = 136, .check = udp_check),
	M("icmp", 0, XT_V4, linux_xt_icmp, icmp_match, .proto = 1, .check = icmp_check),
	M("icmp6", 0, XT_V6, linux_xt_icmp, icmp_match, .proto = 58, .check = icmp_check),
	M("multiport", 1, XT_BOTH, linux_xt_multiport, multiport_match, .check = multiport_check),
	M("mark", 1, XT_BOTH, linux_xt_mark, mark_match),
	{ .name = "comment", .families = XT_BOTH, .size = 256, .match = comment_match },
	M("limit", 0, XT_BOTH, linux_xt_limit, limit_match, .check = limit_check, .state_size = sizeof(struct limit_state)),
	M("statistic", 0, XT_BOTH, linux_xt_statistic, statistic_match, .check = statistic_check,
	  .state_size = sizeof(struct stat_state)),
	M("addrtype", 0, XT_V4, linux_xt_addrtype0, addrtype0_match),
	M("addrtype", 1, XT_BOTH, linux_xt_addrtype1, addrtype1_match, .check = addrtype1_check),
	M("iprange", 1, XT_BOTH, linux_xt_iprange, iprange_match),
	M("mac", 0, XT_BOTH, linux_xt_mac, mac_match, .hooks = HOOK(PRE_ROUTING) | HOOK(LOCAL_IN) | HOOK(FORWARD)),
	M("pkttype", 0, XT_BOTH, linux_xt_pkttype, pkttype_match),
	M("owner", 1, XT_BOTH, linux_xt_owner, owner_match, .hooks = HOOK(LOCAL_OUT) | HOOK(POST_ROUTING)),
	M("length", 0, XT_BOTH, linux_xt_length, length_match),
	M("tcpmss", 0, XT_BOTH, linux_xt_tcpmss, tcpmss_match, .proto = 6),
	M("ttl", 0, XT_V4, linux_xt_ttl, ttl_match),
	M("hl", 0, XT_V6, linux_xt_ttl, ttl_match),
	M("dscp", 0, XT_BOTH, linux_xt_dscp, dscp_match),
	M("tos", 1, XT_BOTH, linux_xt_tos, tos_match),
	M("rpfilter", 0, XT_BOTH, linux_xt_rpfilter, rpfilter_match, .check = rpfilter_check, .hooks = HOOK(PRE_ROUTING),
	  .tables = 1 << XT_RAW | 1 << XT_MANGLE),
};
const unsigned xt_nr_matches = ARRAY_SIZE(xt_matches);
