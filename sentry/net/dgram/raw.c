/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/raw.c - raw and ping endpoints
 *
 * Model:   raw endpoints get copies of everything of their protocol; a list, looked at only while there are any.
 *          A ping endpoint owns an ICMP identifier in place of a port.
 * Source:  raw(7), icmp(7) (ping sockets), RFC 792, RFC 4443, RFC 3542 section 3 (IPV6_CHECKSUM, ICMP6_FILTER).
 */
#include "sentry/abi/inet.h"
#include "sentry/net/core/csum.h"
#include "sentry/net/sock/opt.h"

#define RAW_MAX_COPIES 64

struct raw_sock {
	struct sock sk;
	uint32_t icmp_filter;	/* ICMP_FILTER: types not wanted */
	uint32_t icmp6_filter[8]; /* ICMPV6_FILTER: set bit = blocked */
	int csum_off;		/* IPV6_CHECKSUM; -1 = off */
};

void raw_sock_init(struct sock *sk)
{
	struct raw_sock *rs = (struct raw_sock *)sk;

	rs->csum_off = sk->c.family == NET_AF_INET6 && sk->c.proto == NET_IPPROTO_ICMPV6 ? 2 : -1;
	if (sk->c.proto == NET_IPPROTO_RAW)
		sk->hdrincl = true;
	sk->c.lport = sk->c.proto;
	raw_insert(sk);
}

static bool raw_wants(struct raw_sock *rs, const struct pkt *p, uint8_t proto, uint32_t l4off)
{
	struct skc *c = &rs->sk.c;
	uint8_t type;

	if (c->proto != proto || (c->family == NET_AF_INET) != naddr_is_v4(&p->dstaddr) ||
	    (c->bound_if && c->bound_if != p->iif) || (!naddr_is_any(&c->laddr) && !naddr_eq(&c->laddr, &p->dstaddr)) ||
	    (c->state == TCPS_ESTABLISHED && !naddr_eq(&c->raddr, &p->src)))
		return false;
	if (naddr_is_multicast(&p->dstaddr) && !sock_mc_wants(&rs->sk, p))
		return false;
	if (proto == NET_IPPROTO_ICMP && c->family == NET_AF_INET && rs->icmp_filter)
		return pkt_copy_bits(p, l4off, &type, 1) && (type >= 32 || !(rs->icmp_filter >> type & 1));
	if (proto == NET_IPPROTO_ICMPV6 && c->family == NET_AF_INET6)
		return pkt_copy_bits(p, l4off, &type, 1) && !(rs->icmp6_filter[type >> 5] >> (type & 31) & 1);
	return true;
}

/* IPv4 endpoints see the IP header, IPv6 ones do not (RFC 3542 section 3). */
static void raw_take(struct sock *sk, const struct pkt *p, uint32_t l4off)
{
	struct pkt *c = pkt_clone(p);

	if (!c)
		return;
	if (sk->c.family == NET_AF_INET6)
		pkt_pull(c, l4off);
	*DGRAM_CB(c) = (struct dgram_cb){ .iif = p->iif, .pkttype = p->type, .opts_len = pkt_ip4_opts_len(p) };
	if (!sock_filter_pass(sk, c))
		net_drop(sk->c.ns, c, DROP_FILTER);
	else
		dgram_queue(sk, c);
}

bool raw_deliver(struct net_ns *ns, struct pkt *p, uint8_t proto)
{
	struct sock *v[RAW_MAX_COPIES];
	uint32_t l4off = (uint32_t)(pkt_l4(p) - p->data);
	bool any = false;
	unsigned n;

	if (likely(!atomic_load_explicit(&ns->nr_raw, memory_order_relaxed)))
		return false;
	n = raw_collect(ns, v, ARRAY_SIZE(v));
	for (unsigned i = 0; i < n; i++) {
		if (raw_wants((struct raw_sock *)v[i], p, proto, l4off)) {
			raw_take(v[i], p, l4off);
			any = true;
		}
		sock_put(v[i]);
	}
	return any;
}

void raw_err(struct net_ns *ns, const struct ip_err *e)
{
	struct sock *v[RAW_MAX_COPIES];
	unsigned n;

	if (likely(!atomic_load_explicit(&ns->nr_raw, memory_order_relaxed)))
		return;
	n = raw_collect(ns, v, ARRAY_SIZE(v));
	for (unsigned i = 0; i < n; i++) {
		struct sock *sk = v[i];
		bool rec = naddr_is_v4(&e->dst) ? sk->recverr : sk->recverr6;

		if (sk->c.proto == e->proto && (sk->c.family == NET_AF_INET) == naddr_is_v4(&e->dst) &&
		    (sk->c.state != TCPS_ESTABLISHED || naddr_eq(&sk->c.raddr, &e->dst))) {
			if (rec) /* who writes IP headers reads them back */
				errq_add(sk, e, sk->hdrincl && naddr_is_v4(&e->dst) ? (int32_t)(8 - (e->l4 - e->p->data)) : 0, 0);
			if (rec || (sk->c.state == TCPS_ESTABLISHED && e->hard))
				sock_report_err(sk, e->err);
		}
		sock_put(sk);
	}
}

/* Header included: what the caller left zero is filled in (raw(7)). */
static int fix_included_header(struct sock *sk, struct pkt *p, struct ip_tx *tx)
{
	uint8_t *h = p->data;
	uint32_t hl;

	if (!pkt_may_pull(p, IP4_HLEN))
		return -LINUX_EINVAL;
	h = p->data;
	hl = (h[0] & 15u) * 4u;
	if (hl < IP4_HLEN || hl > p->len || !pkt_may_pull(p, hl))
		return -LINUX_EINVAL;
	h = p->data;
	if (!rd32(h + 12))
		memcpy(h + 12, &tx->src.w[3], 4);
	else
		memcpy(&tx->src.w[3], h + 12, 4);
	memcpy(&tx->dst.w[3], h + 16, 4);
	wr16(h + 2, (uint16_t)p->len);
	if (!rd16(h + 4))
		wr16(h + 4, (uint16_t)atomic_fetch_add(&sk->c.ns->ip_id, 1));
	ip4_set_csum(h);
	tx->proto = h[9];
	tx->hdrincl = true;
	p->l4 = (uint16_t)(h + hl - p->head);
	return 0;
}

/* IPv6: the header goes out as it is. */
static int check_included_header6(struct pkt *p, struct ip_tx *tx)
{
	if (!pkt_may_pull(p, IP6_HLEN))
		return -LINUX_EINVAL;
	tx->src = naddr_from_bytes6(p->data + 8);
	tx->proto = p->data[6];
	tx->hdrincl = true;
	p->l4 = (uint16_t)(p->data + IP6_HLEN - p->head);
	return 0;
}

static int fill_csum6(struct raw_sock *rs, struct pkt *p, const struct ip_tx *tx)
{
	uint16_t c = 0;

	if (rs->csum_off < 0)
		return 0;
	if (!pkt_store_bits(p, (uint32_t)rs->csum_off, &c, 2))
		return -LINUX_EINVAL;
	c = (uint16_t)~pkt_csum_range(p, 0, p->len, csum_pseudo(&tx->src, &tx->dst, tx->proto, p->len));
	if (!c)
		c = 0xffff;
	pkt_store_bits(p, (uint32_t)rs->csum_off, &c, 2);
	return 0;
}

/* Sends; what does not fit the path's MTU is told to the error queue, too. Takes over @p. */
static int raw_output(struct sock *sk, struct dst *d, struct pkt *p, const struct ip_tx *tx, const struct net_ep *to)
{
	int ret = ip_output_one(sk->c.ns, sk, d, p, tx);

	if (ret == -LINUX_EMSGSIZE && (naddr_is_v4(&to->addr) ? sk->recverr : sk->recverr6))
		errq_add_local(sk, LINUX_EMSGSIZE, to, dst_mtu(sk->c.ns, d));
	return ret;
}

static long raw_send(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct raw_sock *rs = (struct raw_sock *)sk;
	size_t n = it->left;
	struct net_flow fl;
	struct net_ep to;
	struct ip_tx tx;
	struct dst *d;
	struct pkt *p;
	int ret;

	if (n > 65535)
		return -LINUX_EMSGSIZE;
	/* An earlier error stops only a sender of whole packets; others find it in SO_ERROR or the error queue. */
	ret = sk->hdrincl ? -atomic_exchange(&sk->err, 0) : 0;
	if (ret)
		return ret;
	ret = dgram_resolve(sk, m, &to, &fl, &tx, &d);
	if (ret)
		return ret;
	p = pkt_alloc(PKT_HEADROOM, n <= 2048 ? n : 0);
	ret = p ? pkt_append_iter(p, it, n) : -LINUX_ENOBUFS;
	if (ret)
		goto out;
	if (sk->echo_only && (sk->c.proto == NET_IPPROTO_RAW || !pkt_may_pull(p, 1) || p->data[0] != (sk->c.family == NET_AF_INET ? ICMP_ECHO : ICMP6_ECHO))) {
		ret = -LINUX_EPERM;
		goto out;
	}
	p->l4 = (uint16_t)(p->data - p->head);
	p->csum = PKT_CSUM_OK; /* what the caller wrote is what goes out */
	if (sk->hdrincl) {
		ret = sk->c.family == NET_AF_INET ? fix_included_header(sk, p, &tx) : check_included_header6(p, &tx);
		if (!ret && p->len > dst_mtu(sk->c.ns, d))
			ret = -LINUX_EMSGSIZE;
		p->csum = PKT_CSUM_NONE;
	} else if (sk->c.family == NET_AF_INET6) {
		ret = fill_csum6(rs, p, &tx);
	}
	if (ret)
		goto out;
	ret = raw_output(sk, d, p, &tx, &to);
	dst_put(d);
	return ret ? ret : (long)n;
out:
	pkt_free(p);
	dst_put(d);
	return ret;
}

static void raw_close(struct sock *sk)
{
	raw_remove(sk);
	dgram_purge(sk);
}

static void no_backlog(struct sock *sk, struct pkt *p)
{
	net_drop(sk->c.ns, p, DROP_CONSUMED);
}

static int raw_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps)
{
	struct raw_sock *rs = (struct raw_sock *)sk;
	int v;

	(void)caps;
	if (level == LINUX_SOL_RAW && sk->c.family == NET_AF_INET6 && len < sizeof(int))
		return -LINUX_EINVAL;
	if (level == LINUX_SOL_RAW && name == 1 && sk->c.proto == NET_IPPROTO_ICMP) {
		memcpy(&rs->icmp_filter, val, MIN(len, 4u));
		return 0;
	}
	if (level == LINUX_SOL_RAW && name == 1 && sk->c.family == NET_AF_INET)
		return -LINUX_EOPNOTSUPP;
	if (level == LINUX_SOL_ICMPV6 && sk->c.family == NET_AF_INET6 && sk->c.proto != NET_IPPROTO_ICMPV6)
		return -LINUX_EOPNOTSUPP;
	if (level == LINUX_SOL_ICMPV6 && name == 1 && sk->c.family == NET_AF_INET6) {
		memcpy(rs->icmp6_filter, val, MIN(len, 32u));
		return 0;
	}
	if ((level == LINUX_SOL_RAW || level == LINUX_SOL_ICMPV6) && name == LINUX_IPV6_CHECKSUM) {
		if (len < sizeof(int) || sk->c.proto == NET_IPPROTO_ICMPV6)
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		if (v > 0 && (v & 1))
			return -LINUX_EINVAL;
		rs->csum_off = v < 0 ? -1 : v;
		return 0;
	}
	return -LINUX_ENOPROTOOPT;
}

static int raw_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
	struct raw_sock *rs = (struct raw_sock *)sk;

	if (level == LINUX_SOL_RAW && name == LINUX_IPV6_CHECKSUM && sk->c.family == NET_AF_INET6)
		return opt_put_int(val, len, rs->csum_off);

	if (level == LINUX_SOL_RAW && name == 1 && sk->c.proto == NET_IPPROTO_ICMP)
		return opt_put(val, len, &rs->icmp_filter, 4);
	if (level == LINUX_SOL_RAW && name == 1 && sk->c.family == NET_AF_INET)
		return -LINUX_EOPNOTSUPP;
	if (level == LINUX_SOL_ICMPV6 && sk->c.family == NET_AF_INET6 && sk->c.proto != NET_IPPROTO_ICMPV6)
		return -LINUX_EOPNOTSUPP;
	if (level == LINUX_SOL_ICMPV6 && name == 1)
		return opt_put(val, len, rs->icmp6_filter, 32);
	return -LINUX_ENOPROTOOPT;
}

const struct sock_ops raw_sock_ops = {
	.connect = dgram_connect,
	.disconnect = dgram_disconnect,
	.send = raw_send,
	.recv = dgram_recv,
	.shutdown = dgram_shutdown,
	.close = raw_close,
	.poll = dgram_poll,
	.backlog_rx = no_backlog,
	.setopt = raw_setopt,
	.getopt = raw_getopt,
	.inq = dgram_inq,
	.size = sizeof(struct raw_sock),
};

/* ---- ping ------------------------------------------------------------------------------------------------------- */

void ping_rx(struct net_ns *ns, struct pkt *p)
{
	bool v4 = naddr_is_v4(&p->dstaddr);
	uint16_t id;
	struct sock *sk;

	if (!pkt_may_pull(p, 8)) {
		net_drop(ns, p, DROP_MALFORMED);
		return;
	}
	id = rd16(p->data + 4);
	sk = dgram_lookup(ns, v4 ? NET_IPPROTO_ICMP : NET_IPPROTO_ICMPV6, &p->dstaddr, id, &p->src, 0, p->iif);
	if (!sk) {
		net_drop(ns, p, DROP_NO_SOCKET);
		return;
	}
	*DGRAM_CB(p) = (struct dgram_cb){ .iif = p->iif, .pkttype = p->type, .opts_len = pkt_ip4_opts_len(p) };
	if (sock_filter_pass(sk, p))
		dgram_queue(sk, p);
	else
		net_drop(ns, p, DROP_FILTER);
	sock_put(sk);
}

void ping_err(struct net_ns *ns, const struct ip_err *e)
{
	bool v4 = naddr_is_v4(&e->dst), rec;
	struct sock *sk;

	if (e->l4_len < 8 || e->l4[0] != (v4 ? ICMP_ECHO : ICMP6_ECHO))
		return;
	sk = dgram_lookup(ns, v4 ? NET_IPPROTO_ICMP : NET_IPPROTO_ICMPV6, &e->src, rd16(e->l4 + 4), &e->dst, 0, e->iif);
	if (!sk)
		return;
	rec = v4 ? sk->recverr : sk->recverr6;
	if (rec)
		errq_add(sk, e, 0, 0);
	if (rec || (sk->c.state == TCPS_ESTABLISHED && e->hard))
		sock_report_err(sk, e->err);
	sock_put(sk);
}

static long ping_send(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	bool v4 = sk->c.family == NET_AF_INET;
	size_t n = it->left;
	struct net_flow fl;
	struct net_ep to;
	struct ip_tx tx;
	struct dst *d;
	struct pkt *p;
	uint16_t c = 0;
	int ret;

	if (n > 65507)
		return -LINUX_EMSGSIZE;
	if (n < 8)
		return -LINUX_EINVAL;
	ret = -atomic_exchange(&sk->err, 0);
	if (ret)
		return ret;
	if (!sk->c.lport) {
		mutex_lock(&sk->own);
		ret = sk->c.lport ? 0 : bind_port(&sk->c, 0);
		sock_release_owned(sk);
		if (ret)
			return ret;
	}
	ret = dgram_resolve(sk, m, &to, &fl, &tx, &d);
	if (ret)
		return ret;
	p = pkt_alloc(PKT_HEADROOM, n <= 2048 ? n : 0);
	ret = p ? pkt_append_iter(p, it, n) : -LINUX_ENOBUFS;
	if (!ret && !pkt_may_pull(p, 8))
		ret = -LINUX_ENOBUFS;
	if (!ret && (p->data[0] != (v4 ? ICMP_ECHO : ICMP6_ECHO) || p->data[1]))
		ret = -LINUX_EINVAL;
	if (ret) {
		pkt_free(p);
		dst_put(d);
		return ret;
	}
	wr16(p->data + 4, sk->c.lport);
	memcpy(p->data + 2, &c, 2);
	c = (uint16_t)~pkt_csum_range(p, 0, p->len, v4 ? 0 : csum_pseudo(&tx.src, &tx.dst, NET_IPPROTO_ICMPV6, p->len));
	memcpy(p->data + 2, &c, 2);
	p->csum = PKT_CSUM_OK;
	p->l4 = (uint16_t)(p->data - p->head);
	ret = raw_output(sk, d, p, &tx, &to);
	dst_put(d);
	return ret ? ret : (long)n;
}

static void ping_close(struct sock *sk)
{
	bind_release(&sk->c);
	dgram_purge(sk);
}

const struct sock_ops ping_sock_ops = {
	.connect = dgram_connect,
	.disconnect = dgram_disconnect,
	.send = ping_send,
	.recv = dgram_recv,
	.shutdown = dgram_shutdown,
	.close = ping_close,
	.poll = dgram_poll,
	.backlog_rx = no_backlog,
	.inq = dgram_inq,
	.size = sizeof(struct sock),
};
