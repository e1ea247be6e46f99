/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_listen.c - passive open: requests, cookies, children, accept
 *
 * Model:   a SYN makes a small request entry in the established table; the handshake's last ACK turns it into a full
 *          endpoint and puts that on the listener's accept queue. Nothing here needs the listener's ownership: its
 *          settings are read as they are, its queue has a lock of its own. When too many requests wait, SYN-ACKs
 *          carry cookies and nothing is kept.
 * Locks:   req->mu; child's own (fresh, nobody else has it); listener's sk.mu for the queue.
 * Source:  RFC 9293 sections 3.10.7.2 and 3.10.7.4 (SYN-RECEIVED), RFC 4987, RFC 7323.
 */
#include "sentry/net/tcp/tcp.h"

static void req_timer(struct net_timer *t);

int tcp_listen(struct sock *sk, int backlog)
{
	struct tcp_sock *tp = tcp_sk(sk);
	int max = sk->c.ns->sysctl.somaxconn, ret;

	if (sk->c.state != TCPS_CLOSE && sk->c.state != TCPS_LISTEN)
		return -LINUX_EINVAL;
	if ((unsigned)backlog > (unsigned)max)
		backlog = max;
	tp->backlog = (uint32_t)backlog;
	if (sk->c.state == TCPS_LISTEN)
		return 0;
	if (!sk->c.lport) {
		ret = bind_port(&sk->c, 0);
		if (ret)
			return ret;
	} else {
		/* others may hold the port by SO_REUSEADDR; only one of them may listen */
		uint16_t port = sk->c.lport;

		sk->c.state = TCPS_LISTEN;
		bind_release(&sk->c);
		ret = bind_port(&sk->c, port);
		if (ret) {
			sk->c.state = TCPS_CLOSE;
			sk->c.lport = 0;
			return ret;
		}
	}
	if ((sk->c.ns->sysctl.tcp_fastopen & (TCP_FO_SERVER | TCP_FO_ALL_LISTENERS)) == (TCP_FO_SERVER | TCP_FO_ALL_LISTENERS) &&
	    !tp->fo_max)
		tp->fo_max = tp->backlog;
	sk->c.state = TCPS_LISTEN;
	sk->shut = 0;
	listener_insert(sk);
	return 0;
}

static bool queue_full(struct tcp_sock *l)
{
	return l->acceptq_len > l->backlog;
}

int tcp_accept(struct sock *sk, struct sock **out)
{
	struct tcp_sock *l = tcp_sk(sk), *child = NULL;

	if (sk->c.state != TCPS_LISTEN)
		return -LINUX_EINVAL;
	mutex_lock(&sk->mu);
	if (!list_empty(&l->acceptq)) {
		child = list_first(&l->acceptq, struct tcp_sock, accept_node);
		list_del_init(&child->accept_node);
		child->parent = NULL;
		l->acceptq_len--;
	}
	mutex_unlock(&sk->mu);
	if (!child) {
		int e = atomic_exchange(&sk->err, 0);

		return e ? -e : -LINUX_EAGAIN;
	}
	*out = &child->sk;
	return 0;
}

/* The listener closes: handshakes end, connections nobody accepted are reset. Own held. */
void tcp_listen_stop(struct tcp_sock *l)
{
	struct sock *sk = &l->sk;

	listener_remove(sk);
	sk->c.state = TCPS_CLOSE;
	for (;;) {
		struct tcp_sock *child = NULL;

		mutex_lock(&sk->mu);
		if (!list_empty(&l->acceptq)) {
			child = list_first(&l->acceptq, struct tcp_sock, accept_node);
			list_del_init(&child->accept_node);
			child->parent = NULL;
			l->acceptq_len--;
		}
		mutex_unlock(&sk->mu);
		if (!child)
			break;
		mutex_lock(&child->sk.own);
		child->sk.closed = true;
		tcp_abort(child, LINUX_ECONNABORTED);
		sock_release_owned(&child->sk);
		sock_put(&child->sk);
	}
	/* requests notice by the state: their timers drop them */
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

void tcp_req_free(struct tcp_req *r)
{
	sock_put(r->listener);
}

static void send_synack(struct tcp_req *r, uint32_t tsval, const struct tcp_fo *fo)
{
	struct tcp_opts o = { .wscale = r->wscale_ok ? r->rcv_wscale : 255, .sack_ok = r->sack_ok, .ts = r->ts_ok,
			      .tsval = tsval, .tsecr = r->ts_recent, .fo = fo };
	struct tcp_sock *l = tcp_sk(r->listener);
	struct net_flow fl = { .dst = r->c.raddr, .src = r->c.laddr, .oif = r->c.bound_if, .mark = r->mark,
			       .any_src = true, .ipproto = NET_IPPROTO_TCP };
	struct dst *d;
	uint32_t mtu = 1500, hdr = naddr_is_v4(&r->c.raddr) ? 40 : 60;

	if (!net_route_lookup(r->c.ns, &fl, &d)) {
		mtu = d->advmss ? d->advmss + hdr : d->link->mtu;
		dst_put(d);
	}
	o.mss = (uint16_t)MIN(MIN(mtu, PKT_MAX_LEN) - hdr, l->user_mss ? l->user_mss : 65535u);
	tcp_send_mini(&r->c, r->snt_isn, r->rcv_isn + 1, TCP_SYN | TCP_ACK, (uint16_t)MIN(r->rcv_wnd, 65535u), &o, r->tos,
		      r->mark);
}

static uint64_t req_timeout(const struct tcp_req *r)
{
	return MIN(TCP_RTO_INIT << MIN(r->retries, (uint8_t)10), (uint64_t)TCP_RTO_MAX);
}

static void req_timer(struct net_timer *t)
{
	struct tcp_req *r = container_of(t, struct tcp_req, timer);
	struct net_ns *ns = r->c.ns;
	struct tcp_sock *l = tcp_sk(r->listener);
	unsigned max = l->syncnt ? l->syncnt : (unsigned)ns->sysctl.tcp_synack_retries;

	if (r->dead || l->sk.c.state != TCPS_LISTEN || r->retries >= max) {
		tcp_mini_kill(&r->c);
		skc_put(&r->c);
		return;
	}
	r->retries++;
	if (!r->acked_deferred) {
		send_synack(r, tcp_ts_now(ns, r->ts_off), NULL);
		mib_inc(ns, MIB_TCP_RETRANS_SEGS);
	}
	if (!net_timer_arm(ns->stack, t, net_now(ns->stack) + req_timeout(r)))
		skc_put(&r->c);
}

static void req_fill(struct tcp_req *r, struct sock *l, const struct pkt *p)
{
	struct tcp_sock *lt = tcp_sk(l);
	const struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = l->c.ns;
	uint8_t ws;

	r->c = (struct skc){ .kind = SKC_REQ, .family = l->c.family, .type = NET_SOCK_STREAM, .proto = NET_IPPROTO_TCP,
			     .state = TCPS_NEW_SYN_RECV, .lport = rd16(pkt_l4(p) + 2), .rport = rd16(pkt_l4(p)),
			     .laddr = p->dstaddr, .raddr = p->src, .ns = ns, .uid = l->c.uid };
	r->c.bound_if = l->c.bound_if ? l->c.bound_if : naddr_is_linklocal6(&p->src) ? p->iif : 0;
	list_init(&r->c.bind_node);
	ref_init(&r->c.ref, 1);
	r->listener = l;
	sock_get(l);
	r->rcv_isn = cb->seq;
	r->mss = cb->mss ? MAX(cb->mss, (uint16_t)TCP_MIN_MSS) : TCP_DEFAULT_MSS;
	r->peer_wnd = cb->wnd;
	r->ts_ok = cb->has_ts && ns->sysctl.tcp_timestamps;
	r->ts_recent = cb->tsval;
	r->sack_ok = cb->sack_ok && ns->sysctl.tcp_sack;
	r->wscale_ok = cb->wscale != 255 && ns->sysctl.tcp_window_scaling;
	r->snd_wscale = r->wscale_ok ? cb->wscale : 0;
	r->rcv_wnd = tcp_init_window(lt, r->mss, &ws);
	r->rcv_wscale = r->wscale_ok ? ws : 0;
	r->mark = l->mark;
	r->tos = naddr_is_v4(&p->src) ? l->tos : l->tclass;
	r->ts_off = tcp_ts_off(ns, &r->c);
	net_timer_init(&r->timer, req_timer);
}

/* True: @p was used up. */
static bool rx_syn(struct sock *sk, struct pkt *p)
{
	struct tcp_sock *l = tcp_sk(sk);
	struct net_ns *ns = sk->c.ns;
	uint32_t limit = MIN(MAX(l->backlog, 8u), (uint32_t)ns->sysctl.tcp_max_syn_backlog);
	bool cookie = ns->sysctl.tcp_syncookies == 2;
	struct tcp_fo fo = { 0 };
	struct tcp_req *r;

	if (naddr_is_multicast(&p->src) || naddr_is_any(&p->src) || p->type != PKT_HOST)
		return false;
	if (queue_full(l)) {
		mib_inc(ns, MIB_TCPX_LISTEN_OVERFLOWS);
		mib_inc(ns, MIB_TCPX_LISTEN_DROPS);
		return false;
	}
	if (atomic_load(&l->synq_len) >= limit) {
		if (!ns->sysctl.tcp_syncookies) {
			mib_inc(ns, MIB_TCPX_LISTEN_DROPS);
			return false;
		}
		cookie = true;
	}
	r = calloc(1, sizeof(*r));
	if (!r) {
		mib_inc(ns, MIB_TCPX_LISTEN_DROPS);
		return false;
	}
	req_fill(r, sk, p);
	if (cookie) {
		uint16_t mss = r->mss;
		uint32_t ts = tcp_ts_now(ns, r->ts_off);

		atomic_store(&l->synq_overflow_ns, net_now(ns->stack));
		mib_inc(ns, MIB_TCPX_SYNCOOKIES_SENT);
		r->snt_isn = tcp_cookie_make(ns, p, &mss);
		if (!r->ts_ok) { /* nowhere to keep them */
			r->wscale_ok = false;
			r->sack_ok = false;
		}
		send_synack(r, r->ts_ok ? tcp_cookie_ts(r, ts) : 0, NULL);
		skc_put(&r->c);
		return false;
	}
	r->snt_isn = tcp_isn(ns, &r->c);
	if (unlikely(TCP_CB(p)->tfo_off || l->fo_max) && tcp_fo_rx_syn(r, p, &fo)) {
		skc_put(&r->c);
		return true;
	}
	r->sent_ns = net_now(ns->stack);
	if (!ehash_insert(&r->c, NULL, NULL)) {
		skc_put(&r->c);
		return false;
	}
	atomic_fetch_add(&l->synq_len, 1);
	skc_get(&r->c);
	net_timer_arm(ns->stack, &r->timer, r->sent_ns + req_timeout(r));
	send_synack(r, tcp_ts_now(ns, r->ts_off), fo.opt ? &fo : NULL);
	skc_put(&r->c);
	return false;
}

/* ---- children --------------------------------------------------------------------------------------------------- */

static void inherit_options(struct tcp_sock *tp, const struct tcp_sock *l)
{
	struct sock *sk = &tp->sk;
	const struct sock *lk = &l->sk;

	sk->rcvbuf = lk->rcvbuf;
	sk->sndbuf = lk->sndbuf;
	sk->rcvbuf_locked = lk->rcvbuf_locked;
	sk->sndbuf_locked = lk->sndbuf_locked;
	sk->rcvlowat = lk->rcvlowat;
	sk->keepalive = lk->keepalive;
	sk->oobinline = lk->oobinline;
	sk->linger_on = lk->linger_on;
	sk->linger_s = lk->linger_s;
	sk->mark = lk->mark;
	sk->priority = lk->priority;
	sk->tos = lk->tos;
	sk->tclass = lk->tclass;
	sk->ttl = lk->ttl;
	sk->hops = lk->hops;
	sk->pmtudisc = lk->pmtudisc;
	sk->pmtudisc6 = lk->pmtudisc6;
	sk->min_ttl = lk->min_ttl;
	sk->recverr = lk->recverr;
	sk->recverr6 = lk->recverr6;
	sk->timestamp = lk->timestamp;
	sk->timestampns = lk->timestampns;
	sk->rcvtimeo_ms = lk->rcvtimeo_ms;
	sk->sndtimeo_ms = lk->sndtimeo_ms;
	sk->dontroute = lk->dontroute;
	sk->gid = lk->gid;
	sk->c.reuse = lk->c.reuse;
	sk->c.reuseport = lk->c.reuseport;
	sk->c.v6only = lk->c.v6only;
	sk->c.transparent = lk->c.transparent;
	sk->c.uid = lk->c.uid;
	tp->nodelay = l->nodelay;
	tp->cork = l->cork;
	tp->user_mss = l->user_mss;
	tp->user_timeout_ms = l->user_timeout_ms;
	tp->keep_idle_s = l->keep_idle_s;
	tp->keep_intvl_s = l->keep_intvl_s;
	tp->keep_cnt = l->keep_cnt;
	tp->linger2 = l->linger2;
	tp->window_clamp_user = l->window_clamp_user;
	tp->notsent_lowat = l->notsent_lowat;
	tp->syncnt = l->syncnt;
	tp->defer_accept = 0;
	tp->inq_on = l->inq_on;
	tp->cong = l->cong;
}

/* A full endpoint in SYN_RECV; its ownership is held by us. */
static struct tcp_sock *child_new(struct tcp_req *r)
{
	struct sock *l = r->listener, *sk = sock_alloc(r->c.ns, &tcp_sock_ops, r->c.family, NET_SOCK_STREAM, NET_IPPROTO_TCP);
	struct tcp_sock *tp;

	if (!sk)
		return NULL;
	tp = tcp_sk(sk);
	tcp_sock_init(sk);
	inherit_options(tp, tcp_sk(l));
	sk->c.laddr = r->c.laddr;
	sk->c.raddr = r->c.raddr;
	sk->c.lport = r->c.lport;
	sk->c.rport = r->c.rport;
	sk->c.bound_if = r->c.bound_if;
	sk->c.state = TCPS_SYN_RECV;
	tp->iss = r->snt_isn;
	tp->snd_una = tp->snd_nxt = tp->write_seq = r->snt_isn + 1;
	tp->snd_una = r->snt_isn;
	tp->irs = r->rcv_isn;
	tp->rcv_nxt = tp->rcv_wup = tp->copied_seq = r->rcv_isn + 1;
	tp->rcv_wnd = r->rcv_wnd;
	tp->rcv_wscale = r->rcv_wscale;
	tp->snd_wscale = r->snd_wscale;
	tp->wscale_ok = r->wscale_ok;
	tp->sack_ok = r->sack_ok;
	tp->ts_ok = r->ts_ok;
	tp->ts_recent = r->ts_recent;
	tp->ts_recent_ns = net_now(r->c.ns->stack);
	tp->ts_off = r->ts_off;
	tp->peer_mss = r->mss;
	tp->snd_wl1 = r->rcv_isn;
	tp->snd_wnd = tp->max_window = r->peer_wnd;
	tp->rcv_mss = MIN((uint32_t)r->mss, TCP_DEFAULT_MSS);
	tp->window_clamp = tp->window_clamp_user;
	if (!r->wscale_ok)
		tp->window_clamp = tp->window_clamp ? MIN(tp->window_clamp, 65535u) : 65535u;
	tp->syn_retries = r->retries;
	tp->ato_ns = 0;
	if (r->sent_ns && !r->retries)
		tcp_rtt_sample(tp, net_now(r->c.ns->stack) - r->sent_ns);
	return tp;
}

/* The listener takes the child, unless it is closing or full. */
bool tcp_child_enqueue(struct tcp_sock *l, struct tcp_sock *child)
{
	bool ok;

	mutex_lock(&l->sk.mu);
	ok = l->sk.c.state == TCPS_LISTEN && !queue_full(l);
	if (ok) {
		list_add_tail(&l->acceptq, &child->accept_node);
		l->acceptq_len++;
		child->parent = &l->sk;
	}
	mutex_unlock(&l->sk.mu);
	return ok;
}

struct tcp_sock *tcp_child_make(struct tcp_req *r, bool in_table)
{
	struct tcp_sock *l = tcp_sk(r->listener), *tp = child_new(r);
	struct net_ns *ns = r->c.ns;
	uint32_t hdr = naddr_is_v4(&r->c.raddr) ? 40 : 60;
	struct dst *d;

	if (!tp)
		return NULL;
	mutex_lock(&tp->sk.own);
	tcp_get_dst(tp, &d);
	tp->advmss = MIN(tp->sk.dst ? tp->sk.dst->link->mtu : 1500u, PKT_MAX_LEN) - hdr;
	if (bind_inherit(&tp->sk.c, &l->sk.c) || !ehash_insert(&tp->sk.c, in_table ? &r->c : NULL, NULL)) {
		bind_release(&tp->sk.c);
		tp->sk.c.state = TCPS_CLOSE;
		mutex_unlock(&tp->sk.own);
		sock_put(&tp->sk);
		return NULL;
	}
	if (in_table) {
		if (net_timer_cancel(ns->stack, &r->timer))
			skc_put(&r->c);
		atomic_fetch_sub(&l->synq_len, 1);
	}
	mib_inc(ns, MIB_TCP_PASSIVE_OPENS);
	return tp;
}

void tcp_child_drop(struct tcp_sock *tp)
{
	sock_release_owned(&tp->sk);
	sock_put(&tp->sk);
}

/* Takes over @p. @in_table: @r is in the established table and is replaced. */
static void become_child(struct tcp_req *r, struct pkt *p, bool in_table)
{
	struct tcp_sock *l = tcp_sk(r->listener), *tp;
	struct net_ns *ns = r->c.ns;

	if (queue_full(l)) {
		mib_inc(ns, MIB_TCPX_LISTEN_OVERFLOWS);
		if (ns->sysctl.tcp_abort_on_overflow) {
			tcp_send_reset(ns, p);
			tcp_mini_kill(&r->c);
		}
		net_drop(ns, p, DROP_TCP_LISTEN_FULL);
		return;
	}
	tp = tcp_child_make(r, in_table);
	if (!tp) {
		net_drop(ns, p, DROP_TCP_OFFSTATE);
		return;
	}
	if (!tcp_child_enqueue(l, tp)) {
		tcp_abort(tp, LINUX_ECONNABORTED);
		pkt_free(p);
		tcp_child_drop(tp);
		return;
	}
	/* the creation reference now belongs to the accept queue */
	sock_get(&tp->sk);
	tcp_rcv(&tp->sk, p);
	sock_release_owned(&tp->sk);
	sock_put(&tp->sk);
	sock_event(&l->sk, NET_POLLIN);
}

static void rx_cookie(struct sock *sk, struct pkt *p)
{
	struct net_ns *ns = sk->c.ns;
	struct tcp_sock *l = tcp_sk(sk);
	struct tcp_cb *cb = TCP_CB(p);
	struct tcp_req *r;
	uint16_t mss = 0;

	if (!ns->sysctl.tcp_syncookies || !l->synq_overflow_ns ||
	    net_now(ns->stack) - l->synq_overflow_ns > 128 * NET_SEC || !tcp_cookie_check(ns, p, &mss)) {
		if (l->synq_overflow_ns)
			mib_inc(ns, MIB_TCPX_SYNCOOKIES_FAILED);
		tcp_send_reset(ns, p);
		net_drop(ns, p, DROP_TCP_OFFSTATE);
		return;
	}
	mib_inc(ns, MIB_TCPX_SYNCOOKIES_RECV);
	r = calloc(1, sizeof(*r));
	if (!r) {
		net_drop(ns, p, DROP_NOMEM);
		return;
	}
	req_fill(r, sk, p);
	r->rcv_isn = cb->seq - 1;
	r->snt_isn = cb->ack - 1;
	r->mss = mss;
	r->sack_ok = r->wscale_ok = r->ts_ok = false;
	r->snd_wscale = r->rcv_wscale = 0;
	if (cb->has_ts && ns->sysctl.tcp_timestamps) {
		uint8_t ws;

		tcp_cookie_ts_decode(cb->tsecr, r);
		tcp_init_window(l, r->mss, &ws);
		r->rcv_wscale = r->wscale_ok ? ws : 0;
	}
	become_child(r, p, false);
	skc_put(&r->c);
}

void tcp_listen_rx(struct sock *sk, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = sk->c.ns;

	if (cb->flags & TCP_RST) {
		pkt_free(p);
	} else if (cb->flags & TCP_ACK) {
		rx_cookie(sk, p);
	} else if ((cb->flags & TCP_SYN) && !(cb->flags & TCP_FIN)) {
		if (!rx_syn(sk, p))
			pkt_free(p);
	} else {
		net_drop(ns, p, DROP_TCP_OFFSTATE);
	}
}

/* A segment for a request: RFC 9293 section 3.10.7.4 in state SYN-RECEIVED. */
void tcp_req_rx(struct tcp_req *r, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = r->c.ns;
	struct tcp_sock *l = tcp_sk(r->listener);

	if (l->sk.c.state != TCPS_LISTEN) {
		tcp_send_reset(ns, p);
		tcp_mini_kill(&r->c);
		goto drop;
	}
	if ((cb->flags & TCP_SYN) && cb->seq == r->rcv_isn && !(cb->flags & (TCP_ACK | TCP_RST))) {
		send_synack(r, tcp_ts_now(ns, r->ts_off), NULL); /* the SYN again */
		goto drop;
	}
	if ((cb->flags & TCP_ACK) && cb->ack != r->snt_isn + 1) {
		tcp_send_reset(ns, p);
		goto drop;
	}
	if ((r->ts_ok && cb->has_ts && (int32_t)(r->ts_recent - cb->tsval) > 0) ||
	    before(cb->end_seq, r->rcv_isn + 1) || after(cb->seq, r->rcv_isn + 1 + r->rcv_wnd)) {
		if (!(cb->flags & TCP_RST))
			tcp_send_mini(&r->c, r->snt_isn + 1, r->rcv_isn + 1, TCP_ACK,
				      (uint16_t)MIN(r->rcv_wnd >> r->rcv_wscale, 65535u), NULL, r->tos, r->mark);
		goto drop;
	}
	if (cb->flags & TCP_RST) {
		if (cb->seq == r->rcv_isn + 1) {
			mib_inc(ns, MIB_TCP_ATTEMPT_FAILS);
			tcp_mini_kill(&r->c);
		}
		goto drop;
	}
	if ((cb->flags & TCP_SYN) || !(cb->flags & TCP_ACK))
		goto drop;
	/* TCP_DEFER_ACCEPT: wake nobody for a bare ACK, for so many SYN-ACK intervals */
	if (l->defer_accept && cb->end_seq == r->rcv_isn + 1 && !r->acked_deferred &&
	    net_now(ns->stack) - r->sent_ns < l->defer_accept * NET_SEC) {
		r->acked_deferred = true;
		goto drop;
	}
	become_child(r, p, true);
	return;
drop:
	pkt_free(p);
}
