/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/ctnl.c - connection tracking over netlink: dump, get, update, delete, events
 *
 * Source:  linux/netfilter/nfnetlink_conntrack.h; conntrack(8).
 * Differs: entries cannot be made from here (conntrack -I), there are no zones, helpers or expectations.
 */
#include "sentry/socket/netlink/nfnl.h"

enum { CT_MSG_NEW, CT_MSG_GET, CT_MSG_DELETE, CT_MSG_GET_CTRZERO, CT_MSG_STATS_CPU, CT_MSG_STATS, CT_MSG_DYING, CT_MSG_UNCONFIRMED };
enum { CTA_TUPLE_ORIG = 1, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT = 7, CTA_MARK, CTA_COUNTERS_ORIG, CTA_COUNTERS_REPLY,
       CTA_USE, CTA_ID, CTA_MARK_MASK = 21 };
enum { CTA_TUPLE_IP = 1, CTA_TUPLE_PROTO };
enum { CTA_IP_V4_SRC = 1, CTA_IP_V4_DST, CTA_IP_V6_SRC, CTA_IP_V6_DST };
enum { CTA_PROTO_NUM = 1, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT, CTA_PROTO_ICMP_ID, CTA_PROTO_ICMP_TYPE, CTA_PROTO_ICMP_CODE,
       CTA_PROTO_ICMPV6_ID };

/* ---- writing --------------------------------------------------------------------------------------------------------------- */

static bool is_icmp(const struct nf_tuple *t)
{
	return t->proto == NET_IPPROTO_ICMP || t->proto == NET_IPPROTO_ICMPV6;
}

static void put_tuple(struct buf *b, uint16_t attr, const struct nf_tuple *t)
{
	size_t nest = nfa_nest(b, attr), in = nfa_nest(b, CTA_TUPLE_IP);
	bool v4 = naddr_is_v4(&t->src);
	uint16_t icmp = t->proto == NET_IPPROTO_ICMP ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID;

	nla_put(b, v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC, v4 ? t->src.b + 12 : t->src.b, v4 ? 4 : 16);
	nla_put(b, v4 ? CTA_IP_V4_DST : CTA_IP_V6_DST, v4 ? t->dst.b + 12 : t->dst.b, v4 ? 4 : 16);
	nla_nest_end(b, in);
	in = nfa_nest(b, CTA_TUPLE_PROTO);
	nla_put_u8(b, CTA_PROTO_NUM, t->proto);
	if (is_icmp(t)) {
		nla_put_be16(b, icmp, t->sport);
		nla_put_u8(b, icmp + 1, (uint8_t)t->dport);
		nla_put_u8(b, icmp + 2, (uint8_t)(t->dport >> 8));
	} else {
		nla_put_be16(b, CTA_PROTO_SRC_PORT, t->sport);
		nla_put_be16(b, CTA_PROTO_DST_PORT, t->dport);
	}
	nla_nest_end(b, in);
	nla_nest_end(b, nest);
}

static void put_counters(struct buf *b, struct nf_conn *ct, bool zero)
{
	for (unsigned d = 0; ct->tbl->ns->sysctl.nf_ct_acct && d < 2; d++) {
		size_t nest = nfa_nest(b, (uint16_t)(CTA_COUNTERS_ORIG + d));

		nla_put_be64(b, 1, zero ? atomic_exchange(&ct->acct[d].packets, 0) : atomic_load(&ct->acct[d].packets));
		nla_put_be64(b, 2, zero ? atomic_exchange(&ct->acct[d].bytes, 0) : atomic_load(&ct->acct[d].bytes));
		nla_nest_end(b, nest);
	}
}

static void put_protoinfo(struct buf *b, const struct nf_conn *ct)
{
	size_t nest = nfa_nest(b, CTA_PROTOINFO), in = nfa_nest(b, 1);
	const uint8_t flags[2] = { 0 };

	nla_put_u8(b, 1, ct->tcp.state);
	nla_put_u8(b, 2, 0);
	nla_put_u8(b, 3, 0);
	nla_put(b, 4, flags, 2);
	nla_put(b, 5, flags, 2);
	nla_nest_end(b, in);
	nla_nest_end(b, nest);
}

/* @gone: it is over; @event: for a listener, who is told what is new only. */
static void put_conn(struct buf *b, struct nf_conn *ct, bool gone, bool event, bool zero)
{
	uint64_t now = net_now(ct->tbl->ns->stack), exp = atomic_load(&ct->expires_ns);

	put_tuple(b, CTA_TUPLE_ORIG, &ct->th[0].t);
	put_tuple(b, CTA_TUPLE_REPLY, &ct->th[1].t);
	put_counters(b, ct, zero);
	nla_put_be32(b, CTA_ID, ct->id);
	nla_put_be32(b, CTA_STATUS, atomic_load(&ct->status));
	if (gone)
		return;
	nla_put_be32(b, CTA_TIMEOUT, exp > now ? (uint32_t)((exp - now) / NET_SEC) : 0);
	if (ct->th[0].t.proto == NET_IPPROTO_TCP)
		put_protoinfo(b, ct);
	if (!event || atomic_load(&ct->mark))
		nla_put_be32(b, CTA_MARK, atomic_load(&ct->mark));
	if (!event)
		nla_put_be32(b, CTA_USE, 1);
}

static size_t conn_begin(struct nl_req *r, struct buf *b, uint8_t msg, const struct nf_conn *ct)
{
	struct linux_nfgenmsg g = { .family = naddr_family(&ct->th[0].t.src) };
	size_t at = nl_answer(r, b, (uint16_t)(NFNL_CTNETLINK << 8 | msg), 0);

	nlb_body(b, &g);
	return at;
}

void ctnl_event(struct net_ns *ns, struct nf_conn *ct, bool destroy)
{
	struct linux_nfgenmsg g = { .family = naddr_family(&ct->th[0].t.src) };
	unsigned group = destroy ? NFNLGRP_CT_DESTROY : NFNLGRP_CT_NEW;
	struct buf b = { 0 };
	size_t at;

	if (!nl_has_listeners(ns, LINUX_NETLINK_NETFILTER, group))
		return;
	at = nlb_begin(&b, NFNL_CTNETLINK << 8 | (destroy ? CT_MSG_DELETE : CT_MSG_NEW), destroy ? 0 : NLM_F_CREATE | NLM_F_EXCL, 0, 0);
	nlb_body(&b, &g);
	put_conn(&b, ct, destroy, true, false);
	nlb_end(&b, at);
	if (!b.failed)
		nl_multicast(ns, LINUX_NETLINK_NETFILTER, group, b.data, b.len);
	buf_fini(&b);
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------- */

static bool get_addrs(const struct nla *a, uint8_t family, struct nf_tuple *t)
{
	bool v4 = family == NET_AF_INET;
	struct nla tb[CTA_IP_V6_DST + 1];
	const struct nla *src = &tb[v4 ? CTA_IP_V4_SRC : CTA_IP_V6_SRC], *dst = src + 1;
	uint32_t s, d;

	if (nla_parse(nla_cursor(a), tb, CTA_IP_V6_DST) || !nla_has(src) || !nla_has(dst) || src->len < (v4 ? 4 : 16) ||
	    dst->len < (v4 ? 4 : 16))
		return false;
	if (v4) {
		memcpy(&s, src->p, 4);
		memcpy(&d, dst->p, 4);
		t->src = naddr_from_v4(s);
		t->dst = naddr_from_v4(d);
	} else {
		t->src = naddr_from_bytes6(src->p);
		t->dst = naddr_from_bytes6(dst->p);
	}
	return true;
}

static bool nla_be16_of(const struct nla *a, uint16_t *out)
{
	uint16_t v = 0;

	if (!nla_get(a, &v, 2))
		return false;
	*out = __builtin_bswap16(v);
	return true;
}

static bool get_tuple(const struct nla *a, uint8_t family, struct nf_tuple *out)
{
	struct nla tb[CTA_TUPLE_PROTO + 1], pr[CTA_PROTO_ICMPV6_ID + 3];
	struct nf_tuple t = { 0 };
	uint8_t type = 0, code = 0;
	unsigned icmp;

	if (nla_parse(nla_cursor(a), tb, CTA_TUPLE_PROTO) || !get_addrs(&tb[CTA_TUPLE_IP], family, &t) ||
	    nla_parse(nla_cursor(&tb[CTA_TUPLE_PROTO]), pr, CTA_PROTO_ICMPV6_ID + 2) || !nla_has(&pr[CTA_PROTO_NUM]) ||
	    !nla_get_u8(&pr[CTA_PROTO_NUM], &t.proto))
		return false;
	if (is_icmp(&t)) {
		icmp = t.proto == NET_IPPROTO_ICMP ? CTA_PROTO_ICMP_ID : CTA_PROTO_ICMPV6_ID;
		if (!nla_be16_of(&pr[icmp], &t.sport) || !nla_get_u8(&pr[icmp + 1], &type) || !nla_get_u8(&pr[icmp + 2], &code))
			return false;
		t.dport = (uint16_t)(type | code << 8);
	} else if (!nla_be16_of(&pr[CTA_PROTO_SRC_PORT], &t.sport) || !nla_be16_of(&pr[CTA_PROTO_DST_PORT], &t.dport)) {
		return false;
	}
	*out = t;
	return true;
}

struct ctq {
	struct nl_req *r;
	struct nf_ct_table *tbl;
	struct nla tb[CTA_MARK_MASK + 1];
	struct buf b;
	uint8_t family, msg;
	uint32_t mark, mask;
};

/* The entry that the message names; with a reference. */
static long find_conn(struct ctq *q, struct nf_conn **out)
{
	const struct nla *a = nla_has(&q->tb[CTA_TUPLE_ORIG]) ? &q->tb[CTA_TUPLE_ORIG] : &q->tb[CTA_TUPLE_REPLY];
	struct nf_tuple t;
	uint32_t id = 0;
	uint8_t dir;

	if (!nla_has(a) || !get_tuple(a, q->family, &t) || !nla_be32(&q->tb[CTA_ID], &id))
		return -LINUX_EINVAL;
	*out = q->tbl ? nf_ct_find(q->tbl, &t, &dir) : NULL;
	if (!*out)
		return -LINUX_ENOENT;
	if (nla_has(&q->tb[CTA_ID]) && id != (*out)->id) {
		nf_ct_put(*out);
		return -LINUX_ENOENT;
	}
	return 0;
}

static bool wanted(const struct ctq *q, struct nf_conn *ct)
{
	return (q->family == NFPROTO_UNSPEC || q->family == naddr_family(&ct->th[0].t.src)) &&
	       (atomic_load(&ct->mark) & q->mask) == (q->mark & q->mask);
}

static int dump_one(struct nf_conn *ct, void *arg)
{
	struct ctq *q = arg;
	size_t at;

	if (!wanted(q, ct))
		return 0;
	at = conn_begin(q->r, &q->b, CT_MSG_NEW, ct);
	put_conn(&q->b, ct, false, false, q->msg == CT_MSG_GET_CTRZERO);
	nlb_end(&q->b, at);
	return q->b.failed;
}

static long get(struct ctq *q)
{
	struct nf_conn *ct;
	size_t at;
	long ret;

	if (q->r->h.flags & LINUX_NLM_F_DUMP) {
		if (q->tbl)
			nf_ct_each(q->tbl, dump_one, q);
		nl_dump_reply(q->r, &q->b, 0);
		return NL_DUMPED;
	}
	ret = find_conn(q, &ct);
	if (ret)
		return ret;
	at = conn_begin(q->r, &q->b, CT_MSG_NEW, ct);
	put_conn(&q->b, ct, false, false, q->msg == CT_MSG_GET_CTRZERO);
	nlb_end(&q->b, at);
	nf_ct_put(ct);
	return nl_reply(q->r, &q->b);
}

static int flush_one(struct nf_conn *ct, void *arg)
{
	if (wanted(arg, ct))
		nf_ct_kill(ct);
	return 0;
}

static long delete(struct ctq *q)
{
	struct nf_conn *ct;
	long ret;

	if (!nla_has(&q->tb[CTA_TUPLE_ORIG]) && !nla_has(&q->tb[CTA_TUPLE_REPLY])) {
		/* long chains come in pieces: until a round finds nothing it has not seen before */
		for (unsigned round = 0; q->tbl && round < 1024 && atomic_load(&q->tbl->nr); round++) {
			uint32_t before = atomic_load(&q->tbl->nr);

			nf_ct_each(q->tbl, flush_one, q);
			if (atomic_load(&q->tbl->nr) >= before)
				break;
		}
		return 0;
	}
	ret = find_conn(q, &ct);
	if (ret)
		return ret;
	nf_ct_kill(ct);
	nf_ct_put(ct);
	return 0;
}

/* Changes of an entry that is there. */
static long update(struct ctq *q)
{
	uint32_t mark = 0, timeout = 0;
	struct nf_conn *ct;
	long ret = find_conn(q, &ct);

	if (ret == -LINUX_ENOENT)
		return q->r->h.flags & NLM_F_CREATE ? nl_why(q->r, -LINUX_EOPNOTSUPP, "entries come from packets only") : -LINUX_ENOENT;
	if (ret)
		return ret;
	if (q->r->h.flags & NLM_F_EXCL)
		ret = -LINUX_EEXIST;
	else if (!nla_be32(&q->tb[CTA_MARK], &mark) || !nla_be32(&q->tb[CTA_TIMEOUT], &timeout))
		ret = -LINUX_EINVAL;
	if (!ret && nla_has(&q->tb[CTA_MARK]))
		atomic_store(&ct->mark, (atomic_load(&ct->mark) & ~q->mask) | (mark & (q->mask ? q->mask : UINT32_MAX)));
	if (!ret && nla_has(&q->tb[CTA_TIMEOUT]))
		atomic_store(&ct->expires_ns, net_now(q->tbl->ns->stack) + timeout * NET_SEC);
	nf_ct_put(ct);
	return ret;
}

/* ---- statistics -------------------------------------------------------------------------------------------------------------- */

static size_t stats_begin(struct ctq *q, uint8_t msg)
{
	struct linux_nfgenmsg g = { 0 };
	size_t at = nl_answer(q->r, &q->b, (uint16_t)(NFNL_CTNETLINK << 8 | msg), 0);

	nlb_body(&q->b, &g);
	return at;
}

static long stats(struct ctq *q)
{
	size_t at = stats_begin(q, CT_MSG_STATS);

	nla_put_be32(&q->b, 1, q->tbl ? atomic_load(&q->tbl->nr) : 0);
	nla_put_be32(&q->b, 2, (uint32_t)q->r->ns->sysctl.nf_ct_max);
	nlb_end(&q->b, at);
	return nl_reply(q->r, &q->b);
}

/* One row: what is counted is not counted per CPU. */
static long stats_cpu(struct ctq *q)
{
	const struct { uint16_t attr; _Atomic uint64_t *v; } rows[] = {
		{ 2, q->tbl ? &q->tbl->st_found : NULL }, { 4, q->tbl ? &q->tbl->st_invalid : NULL },
		{ 8, q->tbl ? &q->tbl->st_insert : NULL }, { 9, q->tbl ? &q->tbl->st_insert_failed : NULL },
		{ 10, q->tbl ? &q->tbl->st_drop : NULL }, { 11, q->tbl ? &q->tbl->st_early_drop : NULL },
		{ 12, q->tbl ? &q->tbl->st_error : NULL }, { 13, NULL },
	};
	size_t at;

	if (!(q->r->h.flags & LINUX_NLM_F_DUMP))
		return -LINUX_EINVAL;
	at = stats_begin(q, CT_MSG_STATS_CPU);
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		nla_put_be32(&q->b, rows[i].attr, rows[i].v ? (uint32_t)atomic_load(rows[i].v) : 0);
	nlb_end(&q->b, at);
	nl_dump_reply(q->r, &q->b, 0);
	return NL_DUMPED;
}

static long none(struct ctq *q)
{
	nl_dump_reply(q->r, &q->b, 0);
	return NL_DUMPED;
}

long ctnl_handle(struct nl_req *r, uint8_t msg, uint8_t family, struct cursor attrs)
{
	static long (*const fns[])(struct ctq *q) = {
		[CT_MSG_NEW] = update, [CT_MSG_GET] = get, [CT_MSG_DELETE] = delete, [CT_MSG_GET_CTRZERO] = get,
		[CT_MSG_STATS_CPU] = stats_cpu, [CT_MSG_STATS] = stats, [CT_MSG_DYING] = none, [CT_MSG_UNCONFIRMED] = none,
	};
	struct ctq q = { .r = r, .tbl = nf_ct_table_of(r->ns), .family = family, .msg = msg };

	if (msg >= ARRAY_SIZE(fns) || nla_parse(attrs, q.tb, CTA_MARK_MASK))
		return -LINUX_EINVAL;
	if (nla_has(&q.tb[CTA_MARK]) && !nla_has(&q.tb[CTA_MARK_MASK]))
		q.mask = msg == CT_MSG_NEW ? 0 : UINT32_MAX;
	if (!nla_be32(&q.tb[CTA_MARK], &q.mark) || !nla_be32(&q.tb[CTA_MARK_MASK], &q.mask))
		return -LINUX_EINVAL;
	return fns[msg](&q);
}
