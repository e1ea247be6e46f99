/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/udp.c - UDP
 *
 * Model:   sending needs no ownership: it reads settings, builds one packet, and hands it to IP on the caller's
 *          thread. Receiving queues under sk->mu. Corked data (MSG_MORE, UDP_CORK) collects under ownership.
 * Source:  RFC 768, RFC 1122 section 4.1, RFC 8200 section 8.1 (checksum), RFC 8085.
 */
#include "sentry/abi/inet.h"
#include "sentry/net/core/csum.h"
#include "sentry/net/sock/opt.h"

struct udp_sock {
	struct sock sk;
	struct pkt *corked;	/* own: payload collected so far */
	struct net_msg cork_msg;
	struct net_ep cork_to;
	bool cork, gro;
	uint16_t gso_size;
};

static struct udp_sock *udp_sk(struct sock *sk)
{
	return (struct udp_sock *)sk;
}

/* ---- out -------------------------------------------------------------------------------------------------- */

/* Destination and per-message settings; shared with raw and ping endpoints. */
int dgram_resolve(struct sock *sk, const struct net_msg *m, struct net_ep *to, struct net_flow *fl, struct ip_tx *tx,
		  struct dst **d)
{
	bool cached, v4;
	int ret;

	if (m && (m->has & NET_MSG_HAS_NAME)) {
		ret = sock_check_ep(sk, &m->name, &to->addr);
		if (ret)
			return ret;
		to->port = m->name.port;
		to->scope_id = m->name.scope_id;
		if (naddr_is_any(&to->addr)) {
			to->addr = naddr_is_v4(&to->addr) ? naddr_from_v4(net_htonl(0x7f000001)) : NADDR_ANY6;
			if (!naddr_is_v4(&to->addr))
				to->addr.b[15] = 1;
		}
	} else {
		if (sk->c.state != TCPS_ESTABLISHED)
			return -LINUX_EDESTADDRREQ;
		*to = (struct net_ep){ .addr = sk->c.raddr, .port = sk->c.rport };
	}
	v4 = naddr_is_v4(&to->addr);
	sock_flow(sk, &to->addr, fl);
	fl->dport = to->port;
	cached = sk->c.state == TCPS_ESTABLISHED && naddr_eq(&to->addr, &sk->c.raddr);
	if (naddr_is_linklocal6(&to->addr) && to->scope_id && !fl->oif)
		fl->oif = to->scope_id;
	if (m && (m->has & NET_MSG_HAS_PKTINFO)) {
		if (m->ifindex)
			fl->oif = m->ifindex;
		if (!naddr_is_any(&m->pktinfo_addr))
			fl->src = m->pktinfo_addr;
		cached = false;
	}
	if (m && (m->has & NET_MSG_HAS_MARK)) {
		fl->mark = m->mark;
		cached = false;
	}
	ret = sock_route(sk, fl, cached, d);
	if (ret) {
		if (ret == -LINUX_ENETUNREACH)
			mib_inc(sk->c.ns, MIB_IP_OUT_NO_ROUTES);
		return ret;
	}
	if ((*d)->type == NET_RTN_BROADCAST && !sk->broadcast) {
		dst_put(*d);
		return -LINUX_EACCES;
	}
	*tx = (struct ip_tx){ .src = naddr_is_any(&fl->src) ? (*d)->src : fl->src, .dst = to->addr, .proto = sk->c.proto };
	if (naddr_is_multicast(&to->addr)) {
		tx->ttl = v4 ? sk->mc_ttl : (uint8_t)(sk->mc_hops >= 0 ? sk->mc_hops : 1);
		tx->mc_loop = v4 ? sk->mc_loop : sk->mc_loop6;
	} else if (v4) {
		tx->ttl = (uint8_t)(sk->ttl >= 0 ? sk->ttl : sk->c.ns->sysctl.ip_default_ttl);
	} else {
		tx->ttl = (uint8_t)(sk->hops >= 0 ? sk->hops : (*d)->link->conf.v6_hop_limit);
	}
	tx->tos = v4 ? sk->tos : sk->tclass;
	if (m && (m->has & NET_MSG_HAS_TTL))
		tx->ttl = m->ttl;
	if (m && (m->has & NET_MSG_HAS_TOS))
		tx->tos = m->tos;
	/* IP_PMTUDISC_DONT 0, WANT 1, DO 2, PROBE 3 */
	tx->df = (v4 ? sk->pmtudisc : sk->pmtudisc6) >= 2 || (v4 && sk->pmtudisc == 1);
	tx->local_frag = (v4 ? sk->pmtudisc : sk->pmtudisc6) < 2;
	tx->flowlabel = sk->flowlabel;
	if (v4 && sk->ip_opts_len) {
		tx->opts = sk->ip_opts;
		tx->opts_len = sk->ip_opts_len;
	}
	return 0;
}

static void put_udp_header(struct sock *sk, struct pkt *p, const struct ip_tx *tx, uint16_t sport, uint16_t dport,
			   bool partial)
{
	uint8_t *h = pkt_push(p, UDP_HLEN);
	uint16_t c;

	wr16(h, sport);
	wr16(h + 2, dport);
	wr16(h + 4, (uint16_t)p->len);
	memset(h + 6, 0, 2);
	p->l4 = (uint16_t)(h - p->head);
	if (sk->no_check && naddr_is_v4(&tx->dst)) {
		p->csum = PKT_CSUM_OK;
		return;
	}
	c = (uint16_t)csum_pseudo(&tx->src, &tx->dst, NET_IPPROTO_UDP, p->len);
	if (partial) {
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = p->l4;
		p->csum_off = 6;
	} else { /* it will be fragmented: the sum covers what no single fragment shows */
		c = (uint16_t)~pkt_csum_range(p, 0, p->len, c);
		if (!c)
			c = 0xffff;
		p->csum = PKT_CSUM_OK;
	}
	memcpy(h + 6, &c, 2);
}

static int transmit(struct sock *sk, struct pkt *p, const struct net_ep *to, struct dst *d, const struct ip_tx *tx,
		    uint16_t gso)
{
	struct net_ns *ns = sk->c.ns;
	uint32_t mtu = dst_mtu(ns, d), hdr = (naddr_is_v4(&to->addr) ? IP4_HLEN : IP6_HLEN) + UDP_HLEN;
	bool big = p->len + hdr > mtu && !gso;
	int ret;

	if (gso && p->len > gso) {
		if (gso + hdr > mtu || p->len > 64u * 1024 || (p->len + gso - 1) / gso > 128) {
			pkt_free(p);
			return -LINUX_EINVAL;
		}
		p->gso = PKT_GSO_UDP;
		p->gso_size = gso;
		p->gso_segs = (uint16_t)((p->len + gso - 1) / gso);
	}
	put_udp_header(sk, p, tx, sk->c.lport, to->port, !big);
	ret = ip_output_one(ns, sk, d, p, tx);
	if (!ret)
		mib_inc(ns, MIB_UDP_OUT_DATAGRAMS);
	if (ret == -LINUX_EMSGSIZE && (naddr_is_v4(&to->addr) ? sk->recverr : sk->recverr6))
		errq_add_local(sk, LINUX_EMSGSIZE, to, mtu);
	return ret;
}

static int autobind(struct sock *sk)
{
	int ret = 0;

	if (sk->c.lport)
		return 0;
	mutex_lock(&sk->own);
	if (!sk->c.lport)
		ret = bind_port(&sk->c, 0);
	sock_release_owned(sk);
	return ret == -LINUX_EADDRINUSE ? -LINUX_EAGAIN : ret;
}

/* MSG_MORE: collects; the datagram goes out with the first write that has no MORE. */
static long send_corked(struct udp_sock *us, struct net_iter *it, struct net_msg *m, bool more)
{
	struct sock *sk = &us->sk;
	struct pkt *p = NULL;
	size_t n = it->left;
	int ret;

	mutex_lock(&sk->own);
	p = us->corked;
	us->corked = NULL;
	if (!p) {
		us->cork_msg = m ? *m : (struct net_msg){ 0 };
		us->cork_msg.flags = 0;
	}
	sock_release_owned(sk);
	if (!p)
		p = pkt_alloc(PKT_HEADROOM, 2048);
	if (!p)
		return -LINUX_ENOBUFS;
	ret = p->len + n > 65507 ? -LINUX_EMSGSIZE : pkt_append_iter(p, it, n);
	if (ret) {
		pkt_free(p);
		return ret;
	}
	if (more || us->cork) {
		mutex_lock(&sk->own);
		if (us->corked) { /* two writers at once: the later datagram wins, as nobody can tell them apart */
			pkt_free(us->corked);
		}
		us->corked = p;
		sock_release_owned(sk);
		return (long)n;
	}
	{
		struct net_flow fl;
		struct net_ep to;
		struct ip_tx tx;
		struct dst *d;

		ret = dgram_resolve(sk, &us->cork_msg, &to, &fl, &tx, &d);
		if (ret) {
			pkt_free(p);
			return ret;
		}
		ret = transmit(sk, p, &to, d, &tx, 0);
		dst_put(d);
	}
	return ret ? ret : (long)n;
}

/* More than any packet carries: an error queue hears what the path would take, but IPv4 does not get that far beyond 64 KiB. */
static int too_long(struct sock *sk, const struct net_msg *m, size_t n)
{
	struct net_flow fl;
	struct net_ep to;
	struct ip_tx tx;
	struct dst *d;
	int ret;

	if (sk->c.family == NET_AF_INET && n > 65535)
		return -LINUX_EMSGSIZE;
	ret = dgram_resolve(sk, m, &to, &fl, &tx, &d);
	if (ret)
		return ret;
	if (naddr_is_v4(&to.addr) ? sk->recverr : sk->recverr6)
		errq_add_local(sk, LINUX_EMSGSIZE, &to, dst_mtu(sk->c.ns, d));
	dst_put(d);
	return -LINUX_EMSGSIZE;
}

static long udp_send(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct udp_sock *us = udp_sk(sk);
	bool more = m && (m->flags & NET_MSG_MORE);
	uint16_t gso = m && (m->has & NET_MSG_HAS_GSO) ? m->gso_size : us->gso_size;
	size_t n = it->left;
	struct net_flow fl;
	struct net_ep to;
	struct ip_tx tx;
	struct dst *d;
	struct pkt *p;
	int ret;

	if (sk->shut & 2)
		return -LINUX_EPIPE;
	if (m && (m->flags & NET_MSG_OOB))
		return -LINUX_EOPNOTSUPP;
	ret = -atomic_exchange(&sk->err, 0);
	if (ret)
		return ret;
	if (unlikely(n > 65507))
		return too_long(sk, m, n);
	ret = autobind(sk);
	if (ret)
		return ret;
	if (unlikely(more || us->cork || us->corked))
		return send_corked(us, it, m, more);
	ret = dgram_resolve(sk, m, &to, &fl, &tx, &d);
	if (ret)
		return ret;
	if (!to.port) {
		dst_put(d);
		return -LINUX_EINVAL;
	}
	p = pkt_alloc(PKT_HEADROOM, n <= 2048 ? n : 0);
	if (!p) {
		dst_put(d);
		return -LINUX_ENOBUFS;
	}
	ret = pkt_append_iter(p, it, n);
	if (ret)
		pkt_free(p);
	else
		ret = transmit(sk, p, &to, d, &tx, gso);
	if (m && (m->flags & NET_MSG_CONFIRM))
		neigh_confirm(d);
	dst_put(d);
	return ret ? ret : (long)n;
}

/* ---- in ------------------------------------------------------------------------------------------------------- */

static void take(struct sock *sk, struct pkt *p)
{
	struct net_ns *ns = sk->c.ns;
	bool v4 = naddr_is_v4(&p->dstaddr);

	if (sk->min_ttl && p->ttl_tos[0] < sk->min_ttl) {
		net_drop(ns, p, DROP_POLICY);
		return;
	}
	if (sk->filter) { /* filters see the UDP header */
		p->data -= UDP_HLEN;
		p->len += UDP_HLEN;
		if (!sock_filter_pass(sk, p)) {
			net_drop(ns, p, DROP_FILTER);
			return;
		}
		pkt_pull(p, UDP_HLEN);
	}
	if (dgram_queue(sk, p))
		mib_inc(ns, v4 ? MIB_UDP_IN_DATAGRAMS : MIB_UDP6_IN_DATAGRAMS);
	else
		mib_inc(ns, v4 ? MIB_UDP_RCVBUF_ERRORS : MIB_UDP6_RCVBUF_ERRORS);
}

struct flood {
	struct pkt *p;
	struct sock *to[64];
	unsigned nr;
};

static void flood_pick(struct sock *sk, void *arg)
{
	struct flood *f = arg;
	struct pkt *p = f->p;
	struct skc *c = &sk->c;

	if (f->nr == ARRAY_SIZE(f->to) || (c->bound_if && c->bound_if != p->iif) ||
	    (c->family == NET_AF_INET && !naddr_is_v4(&p->dstaddr)) ||
	    (!naddr_is_any(&c->laddr) && !naddr_eq(&c->laddr, &p->dstaddr)) ||
	    (c->state == TCPS_ESTABLISHED && (!naddr_eq(&c->raddr, &p->src) || c->rport != DGRAM_CB(p)->sport)))
		return;
	if (naddr_is_multicast(&p->dstaddr) && !sock_mc_wants(sk, p))
		return;
	if (ref_get_unless_zero(&c->ref))
		f->to[f->nr++] = sk;
}

/* A multicast or broadcast goes to everybody who listens. */
static void deliver_flood(struct net_ns *ns, struct pkt *p)
{
	struct flood f = { .p = p };

	dgram_each(ns, NET_IPPROTO_UDP, DGRAM_CB(p)->dport, flood_pick, &f);
	for (unsigned i = 0; i < f.nr; i++) {
		struct pkt *c = i + 1 < f.nr ? pkt_clone(p) : p;

		if (c)
			take(f.to[i], c);
		sock_put(f.to[i]);
	}
	if (!f.nr)
		net_drop(ns, p, DROP_NO_SOCKET);
}

static void udp_rx(struct net_ns *ns, struct pkt *p)
{
	bool v4 = naddr_is_v4(&p->dstaddr);
	uint16_t sport, dport, gso = p->gso == PKT_GSO_UDP ? p->gso_size : 0;
	uint32_t len;
	struct sock *sk;

	if (!pkt_may_pull(p, UDP_HLEN))
		goto malformed;
	p->l4 = (uint16_t)(p->data - p->head);
	sport = rd16(p->data);
	dport = rd16(p->data + 2);
	len = rd16(p->data + 4);
	if (len < UDP_HLEN || len > p->len || !dport)
		goto malformed;
	if (!gso)
		pkt_trim(p, len);
	if (p->csum == PKT_CSUM_NONE) {
		bool none = !p->data[6] && !p->data[7];

		if (none ? !v4 :
			   (uint16_t)pkt_csum_range(p, 0, p->len, csum_pseudo(&p->src, &p->dstaddr, NET_IPPROTO_UDP, p->len)) !=
				   0xffff) {
			mib_inc(ns, v4 ? MIB_UDP_IN_CSUM_ERRORS : MIB_UDP6_IN_CSUM_ERRORS);
			mib_inc(ns, v4 ? MIB_UDP_IN_ERRORS : MIB_UDP6_IN_ERRORS);
			net_drop(ns, p, DROP_CHECKSUM);
			return;
		}
	}
	*DGRAM_CB(p) = (struct dgram_cb){ .sport = sport, .dport = dport, .iif = p->iif, .pkttype = p->type, .gso = gso,
					.opts_len = pkt_ip4_opts_len(p) };
	pkt_pull(p, UDP_HLEN);
	if (p->type != PKT_HOST) {
		deliver_flood(ns, p);
		return;
	}
	sk = dgram_lookup(ns, NET_IPPROTO_UDP, &p->dstaddr, dport, &p->src, sport, p->iif);
	if (!sk) {
		mib_inc(ns, v4 ? MIB_UDP_NO_PORTS : MIB_UDP6_NO_PORTS);
		icmp_send_any(ns, p, true);
		net_drop(ns, p, DROP_NO_SOCKET);
		return;
	}
	if (gso && !udp_sk(sk)->gro && p->len > gso) { /* the reader wants single datagrams */
		uint32_t off = 0;

		while (off < p->len) {
			uint32_t n = MIN((uint32_t)gso, p->len - off);
			struct pkt *s = pkt_slice(p, off, n, 0);

			if (!s)
				break;
			s->src = p->src;
			s->dstaddr = p->dstaddr;
			s->type = p->type;
			s->tstamp_ns = p->tstamp_ns;
			memcpy(s->ttl_tos, p->ttl_tos, 2);
			*DGRAM_CB(s) = *DGRAM_CB(p);
			DGRAM_CB(s)->gso = DGRAM_CB(s)->opts_len = 0; /* offload packets have none */
			take(sk, s);
			off += n;
		}
		pkt_free(p);
	} else {
		take(sk, p);
	}
	sock_put(sk);
	return;
malformed:
	mib_inc(ns, v4 ? MIB_UDP_IN_ERRORS : MIB_UDP6_IN_ERRORS);
	net_drop(ns, p, DROP_MALFORMED);
}

static void udp_err(struct net_ns *ns, const struct ip_err *e)
{
	uint16_t lport = rd16(e->l4), rport = rd16(e->l4 + 2);
	struct sock *sk = dgram_lookup(ns, NET_IPPROTO_UDP, &e->src, lport, &e->dst, rport, e->iif);
	bool rec;

	if (!sk)
		return;
	rec = naddr_is_v4(&e->dst) ? sk->recverr : sk->recverr6;
	if (rec)
		errq_add(sk, e, UDP_HLEN, rport);
	/* RFC 1122 section 4.1.3.3; without RECVERR only connected endpoints hear of hard errors */
	if (rec || (sk->c.state == TCPS_ESTABLISHED && (e->hard || (e->err == LINUX_EMSGSIZE && sk->pmtudisc >= 2))))
		sock_report_err(sk, e->err);
	sock_put(sk);
}

const struct ip_proto udp_proto = { .rx = udp_rx, .err = udp_err, .v4 = true, .v6 = true };

long dgram_recv(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	uint32_t flags = m->flags;
	int err = 0;
	struct pkt *p = dgram_dequeue(sk, m, &err);
	size_t want;
	long n;

	if (!p)
		return err;
	m->flags = 0;
	dgram_fill_msg(sk, p, m);
	m->full_len = p->len;
	want = MIN(it->left, (size_t)p->len);
	n = pkt_copy_to_iter(p, 0, it, want);
	if (n >= 0 && (size_t)n < want)
		n = -LINUX_EFAULT; /* the datagram is gone, as in Linux */
	if (n >= 0 && p->len > want) {
		m->flags |= NET_MSG_TRUNC;
		if (flags & NET_MSG_TRUNC)
			n = p->len;
	}
	pkt_free(p);
	return n;
}

static void udp_close(struct sock *sk)
{
	struct udp_sock *us = udp_sk(sk);

	bind_release(&sk->c);
	pkt_free(us->corked);
	us->corked = NULL;
	dgram_purge(sk);
}

static void no_backlog(struct sock *sk, struct pkt *p)
{
	net_drop(sk->c.ns, p, DROP_CONSUMED);
}

static int udp_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps)
{
	struct udp_sock *us = udp_sk(sk);
	int v;

	(void)caps;
	if (level != LINUX_SOL_UDP)
		return -LINUX_ENOPROTOOPT;
	if (len < sizeof(int))
		return -LINUX_EINVAL;
	memcpy(&v, val, sizeof(v));
	switch (name) {
	case LINUX_UDP_CORK: {
		struct net_iter_mem none;

		us->cork = v != 0;
		if (us->cork || !us->corked)
			return 0;
		net_iter_read_mem(&none, NULL, 0);
		sock_release_owned(sk);
		send_corked(us, &none.it, NULL, false);
		mutex_lock(&sk->own);
		return 0;
	}
	case LINUX_UDP_SEGMENT:
		if (v < 0 || v > 65535)
			return -LINUX_EINVAL;
		us->gso_size = (uint16_t)v;
		return 0;
	case LINUX_UDP_GRO:
		us->gro = v != 0;
		return 0;
	}
	return -LINUX_ENOPROTOOPT;
}

static int udp_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
	struct udp_sock *us = udp_sk(sk);

	if (level != LINUX_SOL_UDP)
		return -LINUX_ENOPROTOOPT;
	switch (name) {
	case LINUX_UDP_CORK:
		return opt_put_int(val, len, us->cork);
	case LINUX_UDP_SEGMENT:
		return opt_put_int(val, len, us->gso_size);
	case LINUX_UDP_GRO:
		return opt_put_int(val, len, us->gro);
	}
	return -LINUX_ENOPROTOOPT;
}

const struct sock_ops udp_sock_ops = {
	.connect = dgram_connect,
	.disconnect = dgram_disconnect,
	.send = udp_send,
	.recv = dgram_recv,
	.shutdown = dgram_shutdown,
	.close = udp_close,
	.poll = dgram_poll,
	.backlog_rx = no_backlog,
	.setopt = udp_setopt,
	.getopt = udp_getopt,
	.inq = dgram_inq,
	.size = sizeof(struct udp_sock),
};
