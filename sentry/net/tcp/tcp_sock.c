/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_sock.c - a connection's life: connect, close, abort, poll
 *
 * Source:  RFC 9293 section 3.10.1 to 3.10.5, RFC 1122 section 4.2.2.13 (half-duplex close, reset on unread data).
 */
#include "sentry/net/tcp/tcp.h"

void tcp_sock_init(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct net_ns *ns = sk->c.ns;

	list_init(&tp->sendq);
	list_init(&tp->listen_node);
	list_init(&tp->acceptq);
	list_init(&tp->accept_node);
	net_timer_init(&tp->timer, tcp_timer_fn);
	tp->rtx_at_ns = tp->delack_at_ns = tp->keep_at_ns = tp->timer_armed_ns = NET_NEVER;
	sk->rcvbuf = ns->sysctl.tcp_rmem[1];
	sk->sndbuf = ns->sysctl.tcp_wmem[1];
	tp->rto_ns = TCP_RTO_INIT;
	tp->cwnd = TCP_INIT_CWND;
	tp->ssthresh = 0x7fffffff;
	tp->cwnd_clamp = UINT32_MAX / 2;
	tp->mss = TCP_DEFAULT_MSS;
	tp->reordering = (uint32_t)ns->sysctl.tcp_reordering;
	tp->rack.reo_wnd_mult = 1;
	tp->cong = tcp_cong_find(ns->sysctl.tcp_cc);
	if (!tp->cong)
		tp->cong = tcp_cong_find("cubic");
}

struct list *tcp_listen_node(struct sock *sk)
{
	return &tcp_sk(sk)->listen_node;
}

struct sock *tcp_from_listen_node(struct list *e)
{
	return &list_entry(e, struct tcp_sock, listen_node)->sk;
}

/* The one place where states change. */
void tcp_set_state(struct tcp_sock *tp, enum tcp_state st)
{
	struct net_ns *ns = tp->sk.c.ns;
	enum tcp_state old = tp->sk.c.state;

	if (st == TCPS_CLOSE && (old == TCPS_ESTABLISHED || old == TCPS_CLOSE_WAIT))
		mib_inc(ns, MIB_TCP_ESTAB_RESETS);
	if (st == TCPS_CLOSE && (old == TCPS_SYN_SENT || old == TCPS_SYN_RECV))
		mib_inc(ns, MIB_TCP_ATTEMPT_FAILS);
	tp->sk.c.state = st;
}

static void drop_current(struct tcp_sock *tp)
{
	if (TCPF(tp->sk.c.state) & (TCPF(TCPS_ESTABLISHED) | TCPF(TCPS_CLOSE_WAIT) | TCPF(TCPS_FIN_WAIT1) |
				    TCPF(TCPS_FIN_WAIT2) | TCPF(TCPS_CLOSING) | TCPF(TCPS_LAST_ACK)))
		atomic_fetch_sub_explicit(&tp->sk.c.ns->mib[MIB_TCP_CURR_ESTAB], 1, memory_order_relaxed);
}

void tcp_done(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	enum tcp_state old = sk->c.state;

	if (old == TCPS_CLOSE)
		return;
	drop_current(tp);
	tcp_fo_settled(tp, false);
	tp->fo_deferred = false;
	tcp_timers_stop(tp);
	if (old == TCPS_FIN_WAIT2 || old == TCPS_CLOSING || old == TCPS_LAST_ACK)
		sk->c.state = TCPS_CLOSE; /* the orderly end is no reset */
	else
		tcp_set_state(tp, TCPS_CLOSE);
	sk->shut = 3;
	tcp_sendq_purge(tp);
	tcp_ooo_purge(tp);
	if (tp->orphan_counted) {
		atomic_fetch_sub(&sk->c.ns->nr_orphans, 1);
		tp->orphan_counted = false;
	}
	sock_event(sk, NET_POLLIN | NET_POLLOUT | NET_POLLHUP | NET_POLLRDHUP);
	bind_release(&sk->c);
	ehash_remove(&sk->c); /* may drop the last reference but the caller's */
}

void tcp_reset(struct tcp_sock *tp, int err)
{
	if (tp->sk.c.state == TCPS_CLOSE)
		return;
	atomic_store(&tp->sk.err, err);
	sock_event(&tp->sk, NET_POLLERR);
	tcp_done(tp);
}

void tcp_abort(struct tcp_sock *tp, int err)
{
	if (TCPF(tp->sk.c.state) & (TCPF(TCPS_ESTABLISHED) | TCPF(TCPS_CLOSE_WAIT) | TCPF(TCPS_FIN_WAIT1) |
				    TCPF(TCPS_FIN_WAIT2) | TCPF(TCPS_SYN_RECV) | TCPF(TCPS_CLOSING) | TCPF(TCPS_LAST_ACK)))
		tcp_send_rst(tp);
	tcp_reset(tp, err);
}

int tcp_connect_start(struct sock *sk, const struct net_ep *ep)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct net_ns *ns = sk->c.ns;
	struct naddr to, old_l = sk->c.laddr;
	bool chose_src = false;
	struct net_flow fl;
	struct dst *d;
	uint32_t hdr;
	int ret;

	switch ((uint8_t)sk->c.state) {
	case TCPS_CLOSE:
		break;
	case TCPS_SYN_SENT:
	case TCPS_SYN_RECV:
		return tp->fo_deferred || tp->fo_child ? -LINUX_EISCONN : -LINUX_EALREADY;
	default:
		return -LINUX_EISCONN;
	}
	ret = -sock_error_take(sk);
	if (ret)
		return ret;
	if (tp->iss || sk->shut) { /* used before: start clean, as connect after a failed connect may */
		sk->shut = 0;
		tp->saw_fin = false;
	}
	ret = sock_check_ep(sk, ep, &to);
	if (ret)
		return ret;
	if (naddr_is_any(&to)) { /* connect(2) to 0.0.0.0 means this machine */
		to = naddr_is_v4(&to) ? naddr_from_v4(net_htonl(0x7f000001)) : NADDR_ANY6;
		if (!naddr_is_v4(&to))
			to.b[15] = 1;
	}
	if (naddr_is_multicast(&to) || naddr_is_bcast4(&to))
		return -LINUX_ENETUNREACH;
	if (naddr_is_linklocal6(&to)) {
		if (ep->scope_id && sk->c.bound_if && ep->scope_id != sk->c.bound_if)
			return -LINUX_EINVAL;
		if (ep->scope_id)
			sk->c.bound_if = ep->scope_id;
		if (!sk->c.bound_if)
			return -LINUX_EINVAL;
	}
	sk->c.raddr = to;
	sk->c.rport = ep->port;
	sock_flow(sk, &to, &fl);
	ret = sock_route(sk, &fl, true, &d);
	if (ret)
		return ret;
	if (d->type == NET_RTN_BROADCAST || d->type == NET_RTN_MULTICAST) {
		dst_put(d);
		return -LINUX_ENETUNREACH;
	}
	if (naddr_is_any(&sk->c.laddr)) {
		sk->c.laddr = d->src;
		chose_src = true;
	}
	hdr = naddr_is_v4(&to) ? 40 : 60;
	tp->advmss = d->advmss ? d->advmss : MIN(d->link->mtu, PKT_MAX_LEN) - hdr;
	if (tp->user_mss)
		tp->advmss = MIN(tp->advmss, tp->user_mss);
	tp->peer_mss = 0;
	tp->gso_max = d->link->gso_max ? d->link->gso_max : PKT_MAX_LEN;
	dst_put(d);
	sk->c.state = TCPS_SYN_SENT;
	tcp_init_rcv(tp, tp->advmss);
	tp->peer_mss = 65535;
	tcp_sync_mss(tp, dst_mtu(ns, sk->dst));
	ret = bind_connect(&sk->c);
	if (ret) {
		sk->c.state = TCPS_CLOSE;
		if (chose_src)
			sk->c.laddr = old_l;
		sock_dst_reset(sk);
		return ret;
	}
	tp->iss = tcp_isn(ns, &sk->c);
	tp->ts_off = tcp_ts_off(ns, &sk->c);
	tp->snd_una = tp->iss;
	tp->snd_nxt = tp->write_seq = tp->iss + 1;
	tp->rcv_nxt = 0;
	tp->syn_retries = tp->retries = 0;
	tp->fo_syn_len = 0;
	tp->fo_deferred = tp->fo_asked = tp->fo_acked = false;
	tp->fo_fail = TCP_FO_UNSPEC;
	return 0;
}

void tcp_connect_go(struct tcp_sock *tp, const struct tcp_fo *fo)
{
	struct net_ns *ns = tp->sk.c.ns;

	tp->fo_asked = fo && (fo->opt || tp->fo_syn_len);
	tp->snd_nxt = tp->iss + 1 + tp->fo_syn_len;
	tp->retrans_stamp_ns = net_now(ns->stack);
	mib_inc(ns, MIB_TCP_ACTIVE_OPENS);
	tcp_rtx_arm(tp, TCP_RTX_RTO, TCP_RTO_INIT);
	tcp_send_syn(tp, fo);
}

static int tcp_connect(struct sock *sk, const struct net_ep *ep)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct tcp_fo fo = { 0 };
	int ret = tcp_connect_start(sk, ep);

	if (ret)
		return ret;
	if (tp->fo_connect) {
		tcp_fo_lookup(tp, &fo);
		if (fo.data) { /* TCP_FASTOPEN_CONNECT: the first write sends the SYN */
			tp->fo_deferred = true;
			return 0;
		}
	}
	tcp_connect_go(tp, &fo);
	return -LINUX_EINPROGRESS;
}

/* connect(AF_UNSPEC): back to an unconnected endpoint. */
static int tcp_disconnect(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk->c.state == TCPS_LISTEN)
		tcp_listen_stop(tp);
	else if (sk->c.state != TCPS_CLOSE)
		tcp_abort(tp, LINUX_ECONNRESET);
	atomic_store(&sk->err, 0);
	bind_release(&sk->c);
	sk->c.lport = sk->c.rport = 0;
	sk->c.auto_port = false;
	sk->c.laddr = sk->c.raddr = sk->c.family == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	sk->shut = 0;
	tp->saw_fin = false;
	pkt_list_free(&sk->rcvq);
	atomic_store(&sk->rmem, 0);
	tp->srtt_ns = 0;
	tp->rto_ns = TCP_RTO_INIT;
	tp->cwnd = TCP_INIT_CWND;
	tp->ssthresh = 0x7fffffff;
	tp->ca_state = TCP_CA_OPEN;
	tp->fack = tp->high_seq = tp->undo_marker = tp->tlp_high_seq = 0;
	tp->ts_ok = tp->sack_ok = tp->wscale_ok = tp->urg_valid = false;
	tp->min_rtt_ns = 0;
	memset(&tp->rack, 0, sizeof(tp->rack));
	tp->rack.reo_wnd_mult = 1;
	sock_dst_reset(sk);
	return 0;
}

/* Sends our FIN where the state has one to send. */
static void close_write(struct tcp_sock *tp)
{
	switch ((uint8_t)tp->sk.c.state) {
	case TCPS_SYN_RECV:
		mib_inc(tp->sk.c.ns, MIB_TCP_CURR_ESTAB); /* as drop_current() takes it that it was */
		/* fallthrough */
	case TCPS_ESTABLISHED:
		tcp_set_state(tp, TCPS_FIN_WAIT1);
		tcp_send_fin(tp);
		break;
	case TCPS_CLOSE_WAIT:
		tcp_set_state(tp, TCPS_LAST_ACK);
		tcp_send_fin(tp);
		break;
	default:
		break;
	}
}

static int tcp_shutdown(struct sock *sk, int how)
{
	struct tcp_sock *tp = tcp_sk(sk);

	switch ((uint8_t)sk->c.state) {
	case TCPS_CLOSE:
		return -LINUX_ENOTCONN;
	case TCPS_LISTEN:
		if (how == NET_SHUT_WR)
			return -LINUX_ENOTCONN;
		tcp_listen_stop(tp);
		sock_event(sk, NET_POLLIN | NET_POLLHUP);
		return 0;
	case TCPS_SYN_SENT:
		if (how != NET_SHUT_RD) {
			tcp_reset(tp, LINUX_ECONNRESET);
			atomic_store(&sk->err, 0);
		}
		return 0;
	default:
		break;
	}
	if (how != NET_SHUT_WR)
		sk->shut |= 1;
	if (how != NET_SHUT_RD && !(sk->shut & 2)) {
		sk->shut |= 2;
		close_write(tp);
	}
	sock_event(sk, NET_POLLIN | NET_POLLOUT | NET_POLLRDHUP | (sk->shut == 3 ? NET_POLLHUP : 0));
	return 0;
}

static void tcp_close(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct net_ns *ns = sk->c.ns;
	bool unread = sk->rcvq.head != NULL;

	if (sk->c.state == TCPS_LISTEN) {
		tcp_listen_stop(tp);
		bind_release(&sk->c);
		return;
	}
	if (sk->c.state == TCPS_CLOSE) {
		bind_release(&sk->c);
		return;
	}
	pkt_list_free(&sk->rcvq);
	if (unread && sk->c.state != TCPS_SYN_SENT) { /* RFC 1122 section 4.2.2.13 */
		mib_inc(ns, MIB_TCPX_ABORT_ON_CLOSE);
		tcp_abort(tp, LINUX_ECONNRESET);
		return;
	}
	if (sk->linger_on && sk->linger_s == 0) {
		mib_inc(ns, MIB_TCPX_ABORT_ON_LINGER);
		tcp_abort(tp, LINUX_ECONNRESET);
		return;
	}
	if (sk->c.state == TCPS_SYN_SENT) {
		tcp_done(tp);
		return;
	}
	if (atomic_load(&ns->nr_orphans) >= (uint32_t)ns->sysctl.tcp_max_orphans) {
		mib_inc(ns, MIB_TCPX_ABORT_ON_MEMORY);
		tcp_abort(tp, LINUX_ECONNRESET);
		return;
	}
	atomic_fetch_add(&ns->nr_orphans, 1);
	tp->orphan_counted = true;
	tp->cork = false;
	if (!(sk->shut & 2)) {
		sk->shut = 3;
		close_write(tp);
	}
	sk->shut = 3;
	if (sk->c.state == TCPS_FIN_WAIT2) {
		int l2 = tp->linger2 ? tp->linger2 : ns->sysctl.tcp_fin_timeout;

		if (tp->linger2 < 0) {
			tcp_abort(tp, LINUX_ECONNRESET);
			return;
		}
		tp->keep_at_ns = net_now(ns->stack) + (uint64_t)l2 * NET_SEC;
		tcp_timer_sync(tp);
	}
}

bool sock_closed(struct sock *sk)
{
	if (sk->ops != &tcp_sock_ops)
		return true;
	return !(TCPF(sk->c.state) & (TCPF(TCPS_FIN_WAIT1) | TCPF(TCPS_CLOSING) | TCPF(TCPS_LAST_ACK) | TCPF(TCPS_ESTABLISHED) |
				      TCPF(TCPS_CLOSE_WAIT)));
}

static uint32_t tcp_poll(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);
	uint8_t st = sk->c.state, shut = sk->shut;
	uint32_t m = 0;

	if (st == TCPS_LISTEN)
		return tp->acceptq_len ? NET_POLLIN | NET_POLLRDNORM : 0;
	if (shut == 3 || st == TCPS_CLOSE)
		m |= NET_POLLHUP;
	if (shut & 1)
		m |= NET_POLLIN | NET_POLLRDNORM | NET_POLLRDHUP;
	if (st == TCPS_SYN_SENT && tp->fo_deferred)
		m |= NET_POLLOUT | NET_POLLWRNORM;
	if (st != TCPS_SYN_SENT && (st != TCPS_SYN_RECV || tp->fo_child)) {
		uint64_t need = (uint64_t)MAX(sk->rcvlowat, 1);

		if (tp->urg_valid && !sk->oobinline && tp->urg_seq == tp->copied_seq && !tp->urg_read)
			need++;
		if (sk->rcvq.bytes >= need)
			m |= NET_POLLIN | NET_POLLRDNORM;
		if (shut & 2)
			m |= NET_POLLOUT | NET_POLLWRNORM;
		else if (tcp_write_space(tp))
			m |= NET_POLLOUT | NET_POLLWRNORM;
		if (tp->urg_valid && !tp->urg_read)
			m |= NET_POLLPRI;
	}
	if (atomic_load(&sk->err) || sk->errq.head)
		m |= NET_POLLERR;
	return m;
}

static void tcp_destroy(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	tcp_sendq_purge(tp);
	tcp_ooo_purge(tp);
}

static long tcp_inq(struct sock *sk)
{
	if (sk->c.state == TCPS_LISTEN)
		return -LINUX_EINVAL;
	return (long)sk->rcvq.bytes;
}

static long tcp_outq(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk->c.state == TCPS_LISTEN)
		return -LINUX_EINVAL;
	if (TCPF(sk->c.state) & (TCPF(TCPS_SYN_SENT) | TCPF(TCPS_SYN_RECV) | TCPF(TCPS_CLOSE)))
		return 0;
	return (long)(tp->write_seq - tp->snd_una);
}

long sock_outq_unsent(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	if (sk->ops != &tcp_sock_ops || sk->c.state == TCPS_LISTEN)
		return -LINUX_EINVAL;
	if (TCPF(sk->c.state) & (TCPF(TCPS_SYN_SENT) | TCPF(TCPS_SYN_RECV) | TCPF(TCPS_CLOSE)))
		return 0;
	return (long)(tp->write_seq - tp->snd_nxt);
}

bool sock_atmark(struct sock *sk)
{
	struct tcp_sock *tp = tcp_sk(sk);

	return sk->ops == &tcp_sock_ops && tp->urg_valid && tp->urg_seq == tp->copied_seq;
}

int sock_destroy(struct sock *sk)
{
	if (sk->c.kind != SKC_FULL) {
		tcp_mini_kill(&sk->c);
		return 0;
	}
	if (sk->ops != &tcp_sock_ops)
		return -LINUX_EOPNOTSUPP;
	sock_own(sk);
	if (sk->c.state == TCPS_LISTEN)
		tcp_listen_stop(tcp_sk(sk));
	else
		tcp_abort(tcp_sk(sk), LINUX_ECONNABORTED);
	sock_release(sk);
	return 0;
}

const struct sock_ops tcp_sock_ops = {
	.connect = tcp_connect,
	.disconnect = tcp_disconnect,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.send = tcp_sendmsg,
	.recv = tcp_recvmsg,
	.shutdown = tcp_shutdown,
	.close = tcp_close,
	.poll = tcp_poll,
	.backlog_rx = tcp_rcv,
	.setopt = tcp_setopt,
	.getopt = tcp_getopt,
	.inq = tcp_inq,
	.outq = tcp_outq,
	.destroy = tcp_destroy,
	.size = sizeof(struct tcp_sock),
};
