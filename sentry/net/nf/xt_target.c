/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/xt_target.c - targets: marks, logging, refusal, header changes
 *
 * Source:  iptables-extensions(8); RFC 2474 (DSCP), RFC 6691 (MSS).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/nf/xt.h"

#define INFO(type) const struct type *m = (const void *)i->info

static int mark_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_mark_tg);

	p->mark = (p->mark & ~m->mask) ^ m->mark;
	return XT_CONTINUE;
}

static uint32_t shift(uint32_t v, const struct linux_xt_connmark_tg *m, uint8_t rev)
{
	if (rev < 2)
		return v;
	return m->b[0] ? v >> m->b[1] : v << m->b[1];
}

static int connmark_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_connmark_tg);
	uint8_t rev = i->ext->revision, mode = m->b[rev == 1 ? 0 : 2];
	uint32_t old, v;

	if (!p->ct)
		return XT_CONTINUE;
	old = atomic_load(&p->ct->mark);
	if (mode == 0) {
		v = shift((old & ~m->ctmask) ^ m->ctmark, m, rev);
		atomic_store(&p->ct->mark, v);
	} else if (mode == 1) {
		v = (old & ~m->ctmask) ^ shift(p->mark & m->nfmask, m, rev);
		atomic_store(&p->ct->mark, v);
	} else {
		p->mark = (p->mark & ~m->nfmask) ^ shift(old & m->ctmask, m, rev);
	}
	return XT_CONTINUE;
}

static int connmark_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_connmark_tg);

	return m->b[i->ext->revision == 1 ? 0 : 2] > 2 || (i->ext->revision == 2 && m->b[1] > 31) ? -LINUX_EINVAL : 0;
}

static int log_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_log);

	nf_log_packet(p, st, m->prefix, m->level, m->flags);
	return XT_CONTINUE;
}

static int log_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_log);

	return m->level >= 8 || m->prefix[sizeof(m->prefix) - 1] ? -LINUX_EINVAL : 0;
}

/* ---- refusal --------------------------------------------------------------------------------------------------------- */

#define RESET 0xff
static const struct { uint8_t type, code; } reject4[] = {
	{ 3, 0 }, { 3, 1 }, { 3, 2 }, { 3, 3 }, { 0, 0 }, { 3, 9 }, { 3, 10 }, { RESET, 0 }, { 3, 13 },
}, reject6[] = {
	{ 1, 0 }, { 1, 1 }, { 1, 2 }, { 1, 3 }, { 1, 4 }, { 0, 0 }, { RESET, 0 }, { 1, 5 }, { 1, 6 },
};

static int reject_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_reject);
	uint8_t type = st->family == NET_AF_INET ? reject4[m->with].type : reject6[m->with].type;
	uint8_t code = st->family == NET_AF_INET ? reject4[m->with].code : reject6[m->with].code;

	if (type == RESET)
		nf_reject_reset(p, st);
	else
		nf_reject_icmp(p, st, type, code);
	return NF_DROP;
}

static int reject_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_reject);
	bool v4 = w->family == NET_AF_INET;
	uint8_t type;

	if (m->with >= (v4 ? ARRAY_SIZE(reject4) : ARRAY_SIZE(reject6)))
		return -LINUX_EINVAL;
	type = v4 ? reject4[m->with].type : reject6[m->with].type;
	return !type || (type == RESET && (w->proto != NET_IPPROTO_TCP || w->proto_inv)) ? -LINUX_EINVAL : 0;
}

/* ---- header changes ------------------------------------------------------------------------------------------------ */

int xt_set_mss(struct pkt *p, const struct nf_state *st, uint16_t mss, bool clamp_pmtu)
{
	uint32_t hdrs = (st->family == NET_AF_INET ? IP4_HLEN : IP6_HLEN) + TCP_HLEN, mtu;
	uint8_t *h = xt_l4(p, st, TCP_HLEN), n, old[2], *o;

	if (!h || !(h[13] & TCP_SYN))
		return XT_CONTINUE;
	if (clamp_pmtu) {
		mtu = p->dst ? dst_mtu(st->ns, p->dst) : 65535;
		if (st->in)
			mtu = MIN(mtu, st->in->mtu);
		if (mtu <= hdrs)
			return NF_DROP;
		mss = (uint16_t)(mtu - hdrs);
	}
	o = xt_tcp_option(p, st, 2, &n);
	if (!o || n != 4 || (clamp_pmtu && rd16(o + 2) <= mss))
		return XT_CONTINUE; /* without the option the peer uses the smallest size anyway */
	h = p->data + st->l4off;
	memcpy(old, o + 2, 2);
	wr16(o + 2, mss);
	if ((o - h) & 1) { /* the pair of bytes straddles two words of the sum */
		uint8_t a[4] = { 0, old[0], old[1], 0 }, b[4] = { 0, o[2], o[3], 0 };

		nf_csum_diff(p, h + 16, a, b, 4, false);
	} else {
		nf_csum_diff(p, h + 16, old, o + 2, 2, false);
	}
	return XT_CONTINUE;
}

static int tcpmss_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_tcpmss_tg);

	return xt_set_mss(p, st, m->mss, m->mss == 0xffff);
}

static int tcpmss_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_tcpmss_tg);

	return m->mss == 0xffff && (w->hooks & ~(HOOK(FORWARD) | HOOK(LOCAL_OUT) | HOOK(POST_ROUTING))) ? -LINUX_EINVAL : 0;
}

/* One byte of the IPv4 header, with the header's checksum. */
static void set_ip4_byte(struct pkt *p, unsigned at, uint8_t v)
{
	p->data[at] = v;
	ip4_set_csum(p->data);
}

static int ttl_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_ttl);
	unsigned at = st->family == NET_AF_INET ? 8 : 7;
	int v = p->data[at];

	v = m->mode == 0 ? m->ttl : m->mode == 1 ? MIN(v + m->ttl, 255) : MAX(v - m->ttl, 0);
	if (v == p->data[at])
		return XT_CONTINUE;
	if (at == 8)
		set_ip4_byte(p, at, (uint8_t)v);
	else
		p->data[at] = (uint8_t)v;
	return XT_CONTINUE;
}

static int ttl_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_ttl);

	return m->mode > 2 || (m->mode && !m->ttl) ? -LINUX_EINVAL : 0;
}

/* The traffic class: @mask's bits go, then @value's are flipped. */
static void set_tos(struct pkt *p, const struct nf_state *st, uint8_t mask, uint8_t value)
{
	uint16_t w = rd16(p->data);
	uint8_t tos = st->family == NET_AF_INET ? p->data[1] : (uint8_t)(w >> 4);

	tos = (uint8_t)((tos & ~mask) ^ value);
	if (st->family == NET_AF_INET)
		set_ip4_byte(p, 1, tos);
	else
		wr16(p->data, (uint16_t)((w & 0xf00f) | tos << 4));
}

static int dscp_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	set_tos(p, st, 0xfc, (uint8_t)(i->info[0] << 2));
	return XT_CONTINUE;
}

static int tos_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_tos_tg);

	set_tos(p, st, m->mask, m->value);
	return XT_CONTINUE;
}

static int dscp_check(const struct xt_inst *i, const struct xt_where *w)
{
	return i->info[0] > 63 ? -LINUX_EINVAL : 0;
}

/* Completes what offloading left open: for receivers that look at checksums (DHCP clients on packet sockets). */
static int checksum_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	if (!p->gso_size)
		pkt_csum_complete(p);
	return XT_CONTINUE;
}

static int notrack_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	if (!p->ct)
		p->flags |= PKT_F_UNTRACK;
	return XT_CONTINUE;
}

static int ct_run(struct xt_inst *i, struct pkt *p, const struct nf_state *st)
{
	INFO(linux_xt_ct0);

	return m->flags & 1 ? notrack_run(i, p, st) : XT_CONTINUE;
}

/* Zones, helpers, timeout policies and event masks are not here: refused rather than ignored. */
static int ct_check(const struct xt_inst *i, const struct xt_where *w)
{
	INFO(linux_xt_ct0);
	const struct linux_xt_ct1 *m1 = (const void *)i->info;

	if (m->flags & ~3)
		return -LINUX_EINVAL;
	if (m->zone)
		return -LINUX_EOPNOTSUPP;
	return m->helper[0] || (i->ext->revision && m1->timeout[0]) ? -LINUX_ENOENT : 0;
}

#define T(n, rev, fam, type, fn, ...) \
	{ .name = n, .revision = rev, .families = fam, .size = sizeof(struct type), .target = true, .run = fn, ##__VA_ARGS__ }
const struct xt_ext xt_targets[] = {
	T("MARK", 2, XT_BOTH, linux_xt_mark_tg, mark_run),
	T("CONNMARK", 1, XT_BOTH, linux_xt_connmark_tg, connmark_run, .ct = true, .check = connmark_check),
	T("CONNMARK", 2, XT_BOTH, linux_xt_connmark_tg, connmark_run, .ct = true, .check = connmark_check),
	T("LOG", 0, XT_BOTH, linux_xt_log, log_run, .check = log_check),
	T("REJECT", 0, XT_BOTH, linux_xt_reject, reject_run, .check = reject_check, .tables = 1 << XT_FILTER,
	  .hooks = HOOK(LOCAL_IN) | HOOK(FORWARD) | HOOK(LOCAL_OUT)),
	T("TCPMSS", 0, XT_BOTH, linux_xt_tcpmss_tg, tcpmss_run, .proto = 6, .check = tcpmss_check),
	T("TTL", 0, XT_V4, linux_xt_ttl, ttl_run, .check = ttl_check, .tables = 1 << XT_MANGLE),
	T("HL", 0, XT_V6, linux_xt_ttl, ttl_run, .check = ttl_check, .tables = 1 << XT_MANGLE),
	{ .name = "DSCP", .families = XT_BOTH, .size = 1, .target = true, .run = dscp_run, .check = dscp_check, .tables = 1 << XT_MANGLE },
	T("TOS", 1, XT_BOTH, linux_xt_tos_tg, tos_run, .tables = 1 << XT_MANGLE),
	{ .name = "CHECKSUM", .families = XT_BOTH, .size = 1, .target = true, .run = checksum_run, .tables = 1 << XT_MANGLE },
	{ .name = "NOTRACK", .families = XT_BOTH, .size = 0, .target = true, .run = notrack_run, .tables = 1 << XT_RAW },
	T("CT", 0, XT_BOTH, linux_xt_ct0, ct_run, .check = ct_check, .tables = 1 << XT_RAW, .ct = true),
	T("CT", 1, XT_BOTH, linux_xt_ct1, ct_run, .check = ct_check, .tables = 1 << XT_RAW, .ct = true),
	T("CT", 2, XT_BOTH, linux_xt_ct1, ct_run, .check = ct_check, .tables = 1 << XT_RAW, .ct = true),
};
const unsigned xt_nr_targets = ARRAY_SIZE(xt_targets);
