/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nf_ct_proto.c - what a packet means for its connection: tuples, states, timeouts
 *
 * Model:   TCP's state is moved by the kind of segment (SYN, SYN-ACK, FIN, ACK, RST) and its direction.
 * Source:  RFC 9293 section 3.3.2; RFC 5382 and RFC 7857 (translators and TCP), RFC 4787 (UDP), RFC 5508 (ICMP); states and
 *          timeouts as nf_conntrack-sysctl.rst has them.
 * Differs: sequence numbers are not checked against windows, as with nf_conntrack_tcp_be_liberal=1.
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/nf/ct.h"

const char *const nf_ct_tcp_names[CTT_MAX] = {
	"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
};

/* ---- tuples --------------------------------------------------------------------------------------------------------- */

/* Past the extension headers of a quoted packet; 0: cut off or a later fragment. */
static uint32_t skip_ext6(const struct pkt *p, uint32_t off, uint8_t *next)
{
	uint8_t h[4];

	for (unsigned n = 0; n < 8; n++) {
		if (*next != IPPROTO6_HOPOPTS && *next != IPPROTO6_ROUTING && *next != IPPROTO6_DSTOPTS && *next != IPPROTO6_FRAGMENT)
			return off;
		if (!pkt_copy_bits(p, off, h, 4) || (*next == IPPROTO6_FRAGMENT && (rd16(h + 2) & 0xfff8)))
			return 0;
		off += *next == IPPROTO6_FRAGMENT ? 8 : (h[1] + 1u) * 8u;
		*next = h[0];
	}
	return 0;
}

static uint32_t tuple_l3(const struct pkt *p, uint32_t off, struct nf_tuple *t)
{
	uint8_t h[IP6_HLEN];
	uint32_t v;

	if (!pkt_copy_bits(p, off, h, IP4_HLEN))
		return 0;
	if (h[0] >> 4 == 4) {
		memcpy(&v, h + 12, 4);
		t->src = naddr_from_v4(v);
		memcpy(&v, h + 16, 4);
		t->dst = naddr_from_v4(v);
		t->proto = h[9];
		return rd16(h + 6) & IP4_OFFMASK || (h[0] & 15) < 5 ? 0 : off + (h[0] & 15u) * 4u;
	}
	if (h[0] >> 4 != 6 || !pkt_copy_bits(p, off, h, IP6_HLEN))
		return 0;
	t->src = naddr_from_bytes6(h + 8);
	t->dst = naddr_from_bytes6(h + 24);
	t->proto = h[6];
	return skip_ext6(p, off + IP6_HLEN, &t->proto);
}

#define PROTO_DCCP    33
#define PROTO_SCTP    132
#define PROTO_UDPLITE 136

static bool has_ports(uint8_t proto)
{
	return proto == NET_IPPROTO_TCP || proto == NET_IPPROTO_UDP || proto == PROTO_UDPLITE || proto == PROTO_SCTP || proto == PROTO_DCCP;
}

bool nf_tuple_get(struct pkt *p, uint32_t off, struct nf_tuple *out)
{
	struct nf_tuple t = { 0 };
	uint32_t l4 = tuple_l3(p, off, &t);
	uint8_t h[8];

	if (!l4)
		return false;
	if (has_ports(t.proto)) {
		if (!pkt_copy_bits(p, l4, h, 4))
			return false;
		t.sport = rd16(h);
		t.dport = rd16(h + 2);
	} else if (t.proto == NET_IPPROTO_ICMP || t.proto == NET_IPPROTO_ICMPV6) {
		if (!pkt_copy_bits(p, l4, h, 8))
			return false;
		t.sport = rd16(h + 4);
		t.dport = (uint16_t)(h[0] | h[1] << 8);
	}
	*out = t;
	return true;
}

/* The type that answers @type; -1: messages of this type are not part of a conversation. */
static int icmp_answer(uint8_t proto, uint8_t type)
{
	static const uint8_t v4[][2] = { { 8, 0 }, { 0, 8 }, { 13, 14 }, { 14, 13 }, { 15, 16 }, { 16, 15 }, { 17, 18 }, { 18, 17 } };
	static const uint8_t v6[][2] = { { 128, 129 }, { 129, 128 }, { 139, 140 }, { 140, 139 } };
	const uint8_t (*tab)[2] = proto == NET_IPPROTO_ICMP ? v4 : v6;

	for (unsigned i = 0; i < (proto == NET_IPPROTO_ICMP ? ARRAY_SIZE(v4) : ARRAY_SIZE(v6)); i++)
		if (tab[i][0] == type)
			return tab[i][1];
	return -1;
}

bool nf_tuple_invert(const struct nf_tuple *t, struct nf_tuple *out)
{
	*out = (struct nf_tuple){ .src = t->dst, .dst = t->src, .sport = t->dport, .dport = t->sport, .proto = t->proto };
	if (t->proto == NET_IPPROTO_ICMP || t->proto == NET_IPPROTO_ICMPV6) {
		int type = icmp_answer(t->proto, (uint8_t)t->dport);

		if (type < 0)
			return false;
		out->sport = t->sport;
		out->dport = (uint16_t)((t->dport & 0xff00) | (unsigned)type);
	}
	return true;
}

/* ---- checks ------------------------------------------------------------------------------------------------------- */

bool nf_ct_csum_bad(struct pkt *p, const struct nf_state *st)
{
	uint32_t len = p->len - st->l4off, seed;
	const uint8_t *h;

	if (p->csum != PKT_CSUM_NONE || st->hook != NF_PRE_ROUTING)
		return false;
	if (st->proto != NET_IPPROTO_TCP && st->proto != NET_IPPROTO_UDP && st->proto != NET_IPPROTO_ICMP &&
	    st->proto != NET_IPPROTO_ICMPV6)
		return false;
	h = pkt_may_pull(p, st->l4off + 8u) ? p->data + st->l4off : NULL;
	if (!h)
		return true;
	if (st->proto == NET_IPPROTO_UDP && !h[6] && !h[7])
		return st->family == NET_AF_INET6;
	seed = st->proto == NET_IPPROTO_ICMP ? 0 : csum_pseudo(&p->src, &p->dstaddr, st->proto, len);
	if ((uint16_t)pkt_csum_range(p, st->l4off, len, seed) != 0xffff)
		return true;
	p->csum = PKT_CSUM_OK; /* nobody behind has to do it again */
	return false;
}

/* ---- TCP -------------------------------------------------------------------------------------------------------------- */

enum seg { SEG_SYN, SEG_SYNACK, SEG_FIN, SEG_ACK, SEG_RST, SEG_KINDS };

/* Next state by direction, kind and present state, in the order of enum ct_tcp_state: s SYN_SENT, r SYN_RECV, E ESTABLISHED,
 * f FIN_WAIT, c CLOSE_WAIT, l LAST_ACK, t TIME_WAIT, x CLOSE, 2 SYN_SENT2; '.' stays and is let pass; '-' cannot be. */
static const char tcp_next[2][SEG_KINDS][CTT_MAX + 1] = {
	{ [SEG_SYN] = "ss.....ss2", [SEG_SYNACK] = "--r------r", [SEG_FIN] = "--ffllltx-", [SEG_ACK] = "E-EEccttx-",
	  [SEG_RST] = "-xxxxxxxxx" },
	{ [SEG_SYN] = "-2-----s-2", [SEG_SYNACK] = "-r.......r", [SEG_FIN] = "--ffllltx-", [SEG_ACK] = "-.rEccttx.",
	  [SEG_RST] = "-xxxxxxxxx" },
};

static enum ct_tcp_state tcp_letter(char c)
{
	static const char letters[] = "0srEfcltx2";
	const char *p = c == '-' || !c ? NULL : strchr(letters, c);

	return c == '.' ? CTT_IGNORE : p ? (enum ct_tcp_state)(p - letters) : CTT_INVALID;
}

static int seg_kind(uint8_t flags)
{
	if (flags & TCP_RST)
		return SEG_RST;
	if (flags & TCP_SYN)
		return flags & TCP_ACK ? SEG_SYNACK : SEG_SYN;
	if (flags & TCP_FIN)
		return SEG_FIN;
	return flags & TCP_ACK ? SEG_ACK : -1;
}

/* Combinations that no stack sends (RFC 9293: every segment but the first SYN and some RSTs has ACK). */
static bool flags_ok(uint8_t f)
{
	f &= TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG;
	if ((f & TCP_SYN) && (f & (TCP_FIN | TCP_RST)))
		return false;
	if ((f & TCP_RST) && (f & (TCP_FIN | TCP_URG)))
		return false;
	return f & (TCP_ACK | TCP_SYN | TCP_RST) ? true : false;
}

static const uint8_t *tcp_header(struct pkt *p, const struct nf_state *st)
{
	const uint8_t *h;

	if (!pkt_may_pull(p, st->l4off + (uint32_t)TCP_HLEN))
		return NULL;
	h = p->data + st->l4off;
	return (h[12] >> 4) >= 5 && st->l4off + (h[12] >> 4) * 4u <= p->len && flags_ok(h[13]) ? h : NULL;
}

uint32_t nf_ct_proto_timeout_s(const struct net_ns *ns, uint8_t proto, unsigned tcp_state)
{
	const struct net_sysctl *s = &ns->sysctl;
	const int32_t tcp[CTT_MAX] = {
		[CTT_SYN_SENT] = s->nf_ct_tcp_syn_sent, [CTT_SYN_RECV] = s->nf_ct_tcp_syn_recv,
		[CTT_ESTABLISHED] = s->nf_ct_tcp_established, [CTT_FIN_WAIT] = s->nf_ct_tcp_fin_wait,
		[CTT_CLOSE_WAIT] = s->nf_ct_tcp_close_wait, [CTT_LAST_ACK] = s->nf_ct_tcp_last_ack,
		[CTT_TIME_WAIT] = s->nf_ct_tcp_time_wait, [CTT_CLOSE] = s->nf_ct_tcp_close, [CTT_SYN_SENT2] = s->nf_ct_tcp_syn_sent,
	};

	switch (proto) {
	case NET_IPPROTO_TCP:
		return (uint32_t)tcp[tcp_state];
	case NET_IPPROTO_UDP:
	case PROTO_UDPLITE:
		return (uint32_t)(tcp_state ? s->nf_ct_udp_stream : s->nf_ct_udp);
	case NET_IPPROTO_ICMP:
	case NET_IPPROTO_ICMPV6:
		return (uint32_t)s->nf_ct_icmp;
	}
	return (uint32_t)s->nf_ct_generic;
}

static void refresh(struct nf_conn *ct, uint32_t seconds)
{
	if (!(atomic_load_explicit(&ct->status, memory_order_relaxed) & CTS_FIXED_TIMEOUT))
		atomic_store_explicit(&ct->expires_ns, net_now(ct->tbl->ns->stack) + seconds * NET_SEC, memory_order_relaxed);
}

static int tcp_packet(struct nf_conn *ct, const uint8_t *h, bool reply)
{
	int kind = seg_kind(h[13]);
	enum ct_tcp_state old, now;
	uint32_t status;
	bool first_reply;

	if (kind < 0)
		return 0;
	mutex_lock(&ct->mu);
	old = ct->tcp.state;
	now = tcp_letter(tcp_next[reply][kind][old]);
	/* a new connection with the ports of one that is over */
	if (kind == SEG_SYN && (old == CTT_TIME_WAIT || old == CTT_CLOSE) && now == CTT_SYN_SENT &&
	    (atomic_load(&ct->status) & CTS_CONFIRMED)) {
		mutex_unlock(&ct->mu);
		return -1;
	}
	if (now < CTT_MAX)
		ct->tcp.state = (uint8_t)now;
	mutex_unlock(&ct->mu);
	if (now == CTT_INVALID)
		return 0;
	if (now == CTT_IGNORE)
		return 1;
	status = atomic_load(&ct->status);
	first_reply = reply && !(status & CTS_SEEN_REPLY);
	if (kind == SEG_RST && first_reply) { /* refused: nothing to remember */
		nf_ct_kill(ct);
		return 1;
	}
	if (now == CTT_ESTABLISHED && (old == CTT_SYN_RECV || old == CTT_ESTABLISHED) && (status & CTS_SEEN_REPLY) &&
	    !(status & CTS_ASSURED))
		atomic_fetch_or(&ct->status, CTS_ASSURED);
	refresh(ct, nf_ct_proto_timeout_s(ct->tbl->ns, NET_IPPROTO_TCP, now));
	return 1;
}

/* ---- all of them -------------------------------------------------------------------------------------------------- */

bool nf_ct_proto_new(struct nf_conn *ct, struct pkt *p, const struct nf_state *st)
{
	const uint8_t *h;

	if (st->proto == NET_IPPROTO_TCP) {
		h = tcp_header(p, st);
		if (!h || seg_kind(h[13]) < 0 || tcp_letter(tcp_next[0][seg_kind(h[13])][CTT_NONE]) >= CTT_MAX)
			return false;
		return seg_kind(h[13]) == SEG_SYN || st->ns->sysctl.nf_ct_tcp_loose;
	}
	if (st->proto == NET_IPPROTO_UDP) {
		if (!pkt_may_pull(p, st->l4off + (uint32_t)UDP_HLEN))
			return false;
		ct->stream_ns = net_now(st->ns->stack) + 2 * NET_SEC;
	}
	if (st->proto == NET_IPPROTO_ICMP || st->proto == NET_IPPROTO_ICMPV6) { /* only questions open something */
		uint8_t type = (uint8_t)ct->th[0].t.dport;

		return type == 8 || type == 13 || type == 15 || type == 17 || type == 128 || type == 139;
	}
	return true;
}

int nf_ct_proto_packet(struct nf_conn *ct, struct pkt *p, const struct nf_state *st, enum nf_ctinfo info)
{
	uint32_t status = atomic_load_explicit(&ct->status, memory_order_relaxed);
	const uint8_t *h;
	bool stream;

	switch (st->proto) {
	case NET_IPPROTO_TCP:
		h = tcp_header(p, st);
		return h ? tcp_packet(ct, h, CT_IS_REPLY(info)) : 0;
	case NET_IPPROTO_UDP:
		stream = (status & CTS_SEEN_REPLY) && net_now(st->ns->stack) >= ct->stream_ns;
		if (stream && !(status & CTS_ASSURED))
			atomic_fetch_or(&ct->status, CTS_ASSURED);
		refresh(ct, nf_ct_proto_timeout_s(st->ns, st->proto, stream));
		return 1;
	}
	refresh(ct, nf_ct_proto_timeout_s(st->ns, st->proto, 0));
	return 1;
}
