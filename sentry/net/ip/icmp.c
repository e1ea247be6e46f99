/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/icmp.c - ICMP for IPv4: echo, errors in and out
 *
 * Model:   errors are turned into struct ip_err and handed to the transport of the quoted packet. What we send
 *          is limited per namespace (token bucket) so that garbage from outside costs little.
 * Source:  RFC 792, RFC 1122 section 3.2.2, RFC 1812 section 4.3.2, RFC 1191 (fragmentation needed).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/ip/ip.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/sock_internal.h"

/* Type "destination unreachable" by code: error number and whether it is hard (RFC 1122 section 4.2.3.9). */
static const struct { int err; bool hard; } unreach[16] = {
	[0] = { LINUX_ENETUNREACH, false }, [1] = { LINUX_EHOSTUNREACH, false }, [2] = { LINUX_ENOPROTOOPT, true },
	[3] = { LINUX_ECONNREFUSED, true }, [4] = { LINUX_EMSGSIZE, false },	 [5] = { LINUX_EOPNOTSUPP, false },
	[6] = { LINUX_ENETUNREACH, true },  [7] = { LINUX_EHOSTDOWN, true },	 [8] = { LINUX_ENONET, true },
	[9] = { LINUX_ENETUNREACH, true },  [10] = { LINUX_EHOSTUNREACH, true }, [11] = { LINUX_ENETUNREACH, false },
	[12] = { LINUX_EHOSTUNREACH, false }, [13] = { LINUX_EHOSTUNREACH, true }, [14] = { LINUX_EHOSTUNREACH, true },
	[15] = { LINUX_EHOSTUNREACH, true },
};

/* One token per message, refilled over time; true: send. */
bool icmp_rate_ok(struct net_ns *ns)
{
	uint32_t burst = (uint32_t)ns->sysctl.icmp_msgs_burst, rate = (uint32_t)ns->sysctl.icmp_msgs_per_sec;
	uint64_t now = net_now(ns->stack), last = atomic_load(&ns->icmp_refill_ns);
	uint32_t have = atomic_load(&ns->icmp_tokens);

	if (now - last >= 20 * NET_MSEC && atomic_compare_exchange_strong(&ns->icmp_refill_ns, &last, now)) {
		uint64_t add = MIN((now - last) / NET_MSEC, 1000ull) * rate / 1000;

		have = (uint32_t)MIN((uint64_t)burst, have + add);
		atomic_store(&ns->icmp_tokens, have);
	}
	while (have)
		if (atomic_compare_exchange_weak(&ns->icmp_tokens, &have, have - 1))
			return true;
	return false;
}

/* @about: the packet that is answered, whose options the answer repeats; NULL: none. */
static int icmp4_out(struct net_ns *ns, struct pkt *p, const struct naddr *src, const struct naddr *dst, uint8_t tos,
		     const struct pkt *about)
{
	struct net_flow fl = { .dst = *dst, .src = *src, .tos = tos, .ipproto = NET_IPPROTO_ICMP };
	struct ip_tx tx = { .dst = *dst, .proto = NET_IPPROTO_ICMP, .tos = tos };
	uint8_t opts[IP4_OPTS_MAX];
	struct dst *d;
	int ret = net_route_lookup(ns, &fl, &d);

	if (ret) {
		pkt_free(p);
		return ret;
	}
	if (about && unlikely((*pkt_l3(about) & 15) > IP4_HLEN / 4)) {
		tx.opts_len = (uint8_t)ip4_opts_echo(pkt_l3(about) + IP4_HLEN, (*pkt_l3(about) & 15u) * 4u - IP4_HLEN, opts);
		tx.opts = opts;
	}
	tx.src = naddr_is_any(src) ? d->src : *src;
	tx.ttl = (uint8_t)ns->sysctl.ip_default_ttl;
	p->l4 = (uint16_t)(p->data - p->head);
	mib_inc(ns, MIB_ICMP_OUT_MSGS);
	ret = ip_output_one(ns, NULL, d, p, &tx);
	dst_put(d);
	return ret;
}

static bool about_icmp_error(const struct pkt *p)
{
	const uint8_t *h = p->data;
	uint32_t hl = (h[0] & 15u) * 4u;
	uint8_t type;

	if (h[9] != NET_IPPROTO_ICMP)
		return false;
	if (!pkt_copy_bits(p, hl, &type, 1))
		return true;
	return type != ICMP_ECHO && type != ICMP_ECHOREPLY && type != ICMP_TIMESTAMP && type != ICMP_TIMESTAMPREPLY;
}

void icmp_send(struct net_ns *ns, struct pkt *p, uint8_t type, uint8_t code, uint32_t info)
{
	uint32_t avail = (uint32_t)(p->data - pkt_l3(p)), quote;
	struct naddr src = NADDR_ANY4;
	struct pkt *r;
	uint16_t c;
	uint8_t *h;

	/* @p may have been pulled to its transport header: look from the network header */
	p->data -= avail;
	p->len += avail;
	if (p->len < IP4_HLEN || p->type != PKT_HOST || (rd16(p->data + 6) & IP4_OFFMASK) || about_icmp_error(p) ||
	    naddr_is_any(&p->src) || naddr_is_multicast(&p->src) || naddr_is_multicast(&p->dstaddr) ||
	    (naddr_is_loopback(&p->src) && p->iif != ns->lo->index && p->iif))
		goto out;
	if (!icmp_rate_ok(ns)) {
		mib_inc(ns, MIB_ICMP_OUT_RATE_LIMIT);
		goto out;
	}
	quote = MIN(p->len, 576u - IP4_HLEN - 8u); /* RFC 1812 section 4.3.2.3 */
	r = pkt_alloc(PKT_HEADROOM, 8 + quote);
	if (!r)
		goto out;
	h = pkt_put(r, 8 + quote);
	h[0] = type;
	h[1] = code;
	memset(h + 2, 0, 2);
	wr32(h + 4, info);
	pkt_copy_bits(p, 0, h + 8, quote);
	c = (uint16_t)~csum_fold(csum_add_bytes(h, r->len, 0));
	memcpy(h + 2, &c, 2);
	r->csum = PKT_CSUM_OK;
	if (net_addr_is_local(ns, &p->dstaddr))
		src = p->dstaddr;
	if (type == ICMP_DEST_UNREACH)
		mib_inc(ns, MIB_ICMP_OUT_DEST_UNREACHS);
	else if (type == ICMP_TIME_EXCEEDED)
		mib_inc(ns, MIB_ICMP_OUT_TIME_EXCDS);
	icmp4_out(ns, r, &src, &p->src, (uint8_t)((p->ttl_tos[1] & 0x1e) | 0xc0), NULL);
out:
	p->data += avail;
	p->len -= avail;
}

static void echo_reply(struct net_ns *ns, struct pkt *p)
{
	struct naddr src = p->dstaddr, dst = p->src;
	struct pkt *r;
	uint16_t old, now;

	if (ns->sysctl.icmp_echo_ignore_all || (p->type != PKT_HOST && ns->sysctl.icmp_echo_ignore_broadcasts))
		return;
	if (naddr_is_multicast(&dst) || naddr_is_any(&dst))
		return;
	if (p->type != PKT_HOST)
		src = NADDR_ANY4;
	r = pkt_slice(p, 0, p->len, PKT_HEADROOM);
	if (!r || !pkt_may_pull(r, 8)) {
		pkt_free(r);
		return;
	}
	memcpy(&old, r->data, 2);
	r->data[0] = ICMP_ECHOREPLY;
	memcpy(&now, r->data, 2);
	csum_replace2(r->data + 2, old, now);
	mib_inc(ns, MIB_ICMP_OUT_ECHO_REPS);
	icmp4_out(ns, r, &src, &dst, p->ttl_tos[1], p);
}

static void timestamp_reply(struct net_ns *ns, struct pkt *p)
{
	uint32_t ms = (uint32_t)((net_wall(ns->stack) / NET_MSEC) % 86400000u);
	struct pkt *r = pkt_slice(p, 0, 20, PKT_HEADROOM);
	uint16_t c;

	if (!r)
		return;
	r->data[0] = ICMP_TIMESTAMPREPLY;
	wr32(r->data + 12, ms);
	wr32(r->data + 16, ms);
	memset(r->data + 2, 0, 2);
	c = (uint16_t)~csum_fold(csum_add_bytes(r->data, 20, 0));
	memcpy(r->data + 2, &c, 2);
	icmp4_out(ns, r, &p->dstaddr, &p->src, 0, p);
}

/* An error about a packet that we sent. */
static void error_in(struct net_ns *ns, struct pkt *p)
{
	struct ip_err e = { .type = p->data[0], .code = p->data[1], .offender = p->src, .p = p, .iif = p->iif };
	const struct ip_proto *ops;
	const uint8_t *h = p->data + 8;
	uint32_t hl, v;

	if (!pkt_may_pull(p, 8 + IP4_HLEN + 8))
		return;
	h = p->data + 8;
	hl = (h[0] & 15u) * 4u;
	if (h[0] >> 4 != 4 || hl < IP4_HLEN || !pkt_may_pull(p, 8 + hl + 8) || (rd16(h + 6) & IP4_OFFMASK))
		return;
	pkt_may_pull(p, MIN(p->len, 8u + hl + 60u)); /* more of the quote, if it is there */
	h = p->data + 8;
	memcpy(&v, h + 12, 4);
	e.src = naddr_from_v4(v);
	memcpy(&v, h + 16, 4);
	e.dst = naddr_from_v4(v);
	e.proto = h[9];
	e.l4 = h + hl;
	e.l4_len = pkt_linear(p) - 8 - hl;
	e.err = LINUX_EHOSTUNREACH;
	switch (e.type) {
	case ICMP_DEST_UNREACH:
		e.err = unreach[e.code & 15].err;
		e.hard = unreach[e.code & 15].hard;
		if (e.code == ICMP_FRAG_NEEDED) {
			e.info = rd16(p->data + 6);
			if (!e.info) /* RFC 1191 section 5: a router that does not tell */
				e.info = rd16(h + 2) > 1492 ? 1492 : rd16(h + 2) > 576 ? 576 : 68;
			if (e.info >= 68 && net_addr_is_local(ns, &e.src))
				net_pmtu_update(ns, &e.dst, e.info);
		}
		break;
	case ICMP_PARAMETERPROB:
		e.err = LINUX_EPROTO;
		e.hard = true;
		break;
	case ICMP_REDIRECT:
		memcpy(&v, p->data + 4, 4);
		{
			struct naddr gw = naddr_from_v4(v);

			if (p->link && !p->link->conf.forwarding && net_addr_is_local(ns, &e.src))
				net_redirect(ns, &e.dst, &gw, p->link);
		}
		return;
	}
	raw_err(ns, &e);
	ops = ip_protos[e.proto];
	if (ops && ops->err && ops->v4)
		ops->err(ns, &e);
}

static void icmp_rx(struct net_ns *ns, struct pkt *p)
{
	enum drop why = DROP_CONSUMED;

	mib_inc(ns, MIB_ICMP_IN_MSGS);
	if (!pkt_may_pull(p, 8)) {
		why = DROP_MALFORMED;
		goto bad;
	}
	if (p->csum == PKT_CSUM_NONE && (uint16_t)pkt_csum_range(p, 0, p->len, 0) != 0xffff) {
		mib_inc(ns, MIB_ICMP_IN_CSUM_ERRORS);
		why = DROP_CHECKSUM;
		goto bad;
	}
	switch (p->data[0]) {
	case ICMP_ECHO:
		mib_inc(ns, MIB_ICMP_IN_ECHOS);
		echo_reply(ns, p);
		break;
	case ICMP_ECHOREPLY:
		mib_inc(ns, MIB_ICMP_IN_ECHO_REPS);
		ping_rx(ns, p);
		return;
	case ICMP_TIMESTAMP:
		if (p->len >= 20 && p->type == PKT_HOST)
			timestamp_reply(ns, p);
		break;
	case ICMP_DEST_UNREACH:
		mib_inc(ns, MIB_ICMP_IN_DEST_UNREACHS);
		error_in(ns, p);
		break;
	case ICMP_TIME_EXCEEDED:
		mib_inc(ns, MIB_ICMP_IN_TIME_EXCDS);
		/* fall through */
	case ICMP_PARAMETERPROB:
	case ICMP_REDIRECT:
	case 4: /* source quench, RFC 6633: ignored by transports, shown to error queues */
		error_in(ns, p);
		break;
	}
	net_drop(ns, p, why);
	return;
bad:
	mib_inc(ns, MIB_ICMP_IN_ERRORS);
	net_drop(ns, p, why);
}

const struct ip_proto icmp_proto = { .rx = icmp_rx, .err = ping_err, .v4 = true };
