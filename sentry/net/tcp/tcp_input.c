/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_input.c - a segment arrives: demultiplexing, validation, state transitions
 *
 * Source:  RFC 9293 section 3.10.7, RFC 7323 section 5 (PAWS), RFC 5961 sections 3 to 5 (blind attacks).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/tcp/tcp.h"

static bool csum_ok(const struct pkt *p)
{
	if (p->csum != PKT_CSUM_NONE)
		return true;
	return (uint16_t)pkt_csum_range(p, 0, p->len, csum_pseudo(&p->src, &p->dstaddr, NET_IPPROTO_TCP, p->len)) ==
	       0xffff;
}

static void deliver(struct net_ns *ns, struct skc *c, struct pkt *p)
{
	switch (c->kind) {
	case SKC_FULL: {
		struct sock *sk = (struct sock *)c;

		if (sk->min_ttl && p->ttl_tos[0] < sk->min_ttl)
			net_drop(ns, p, DROP_POLICY);
		else if (sk->filter && !sock_filter_pass(sk, p))
			net_drop(ns, p, DROP_FILTER);
		else
			sock_input(sk, p);
		break;
	}
	case SKC_TW:
		tcp_tw_rx((struct tcp_tw *)c, p);
		break;
	case SKC_REQ:
		tcp_req_rx((struct tcp_req *)c, p);
		break;
	}
}

static void tcp_rx(struct net_ns *ns, struct pkt *p)
{
	struct skc *c = (struct skc *)p->esk;
	struct sock *l;
	enum drop why;

	p->esk = NULL;
	mib_add(ns, MIB_TCP_IN_SEGS, MAX(1u, (uint32_t)p->gso_segs));
	why = p->type == PKT_HOST ? tcp_parse(p) : DROP_NOT_OURS;
	if (!why && !csum_ok(p)) {
		mib_inc(ns, MIB_TCP_IN_CSUM_ERRORS);
		why = DROP_CHECKSUM;
	}
	if (why) {
		mib_inc(ns, MIB_TCP_IN_ERRS);
		goto drop;
	}
	if (!c)
		c = ehash_lookup(ns, &p->dstaddr, rd16(p->data + 2), &p->src, rd16(p->data), p->iif);
	if (c) {
		deliver(ns, c, p);
		skc_put(c);
		return;
	}
	l = listener_lookup(ns, p, rd16(p->data + 2), rd16(p->data));
	if (l) {
		if (l->filter && !sock_filter_pass(l, p))
			net_drop(ns, p, DROP_FILTER);
		else
			tcp_listen_rx(l, p);
		sock_put(l);
		return;
	}
	tcp_send_reset(ns, p);
	why = DROP_NO_SOCKET;
drop:
	if (c)
		skc_put(c);
	net_drop(ns, p, why);
}

/* ICMP says something about a segment of ours. Sequence numbers must fit (RFC 5927 section 4.1). */
/* A report about a connection attempt whose owner is at work: the router is in this machine, and answers while the segment is
 * still being sent. It is heard when the owner has let go. */
struct late_err {
	struct net_timer timer;
	struct sock *sk;	/* reference */
	uint32_t seq;
	int err;
};

static void late_err_run(struct net_timer *t)
{
	struct late_err *l = container_of(t, struct late_err, timer);
	struct tcp_sock *tp = tcp_sk(l->sk);

	sock_own(l->sk);
	if (l->sk->c.state == TCPS_SYN_SENT && between(l->seq, tp->snd_una, tp->snd_nxt))
		tcp_reset(tp, l->err);
	sock_release(l->sk);
	sock_put(l->sk);
	free(l);
}

/* Takes over the reference. */
static void late_err(struct net_ns *ns, struct sock *sk, const struct ip_err *e, uint32_t seq)
{
	struct late_err *l = sk->c.state == TCPS_SYN_SENT && e->err != LINUX_EMSGSIZE ? malloc(sizeof(*l)) : NULL;

	if (!l) {
		sock_put(sk);
		return;
	}
	*l = (struct late_err){ .sk = sk, .seq = seq, .err = e->err };
	net_timer_init(&l->timer, late_err_run);
	net_timer_arm(ns->stack, &l->timer, net_now(ns->stack));
}

static void tcp_err(struct net_ns *ns, const struct ip_err *e)
{
	uint16_t lport = rd16(e->l4), rport = rd16(e->l4 + 2);
	uint32_t seq = rd32(e->l4 + 4);
	struct skc *c = ehash_lookup(ns, &e->src, lport, &e->dst, rport, e->iif);
	struct tcp_sock *tp;
	struct sock *sk;

	if (!c)
		return;
	if (c->kind != SKC_FULL) {
		skc_put(c);
		return;
	}
	sk = (struct sock *)c;
	tp = tcp_sk(sk);
	if (!mutex_trylock(&sk->own)) { /* busy: an established connection's sender retries, and the error comes again */
		late_err(ns, sk, e, seq);
		return;
	}
	if (sk->c.state == TCPS_CLOSE || sk->c.state == TCPS_LISTEN || !between(seq, tp->snd_una, tp->snd_nxt))
		goto out;
	if (e->err == LINUX_EMSGSIZE) {
		struct dst *d;

		if (!tcp_get_dst(tp, &d)) {
			struct tcp_seg *s = tcp_rtx_head(tp);

			tcp_sync_mss(tp, dst_mtu(ns, d));
			if (s && s->len > tp->mss) { /* RFC 1191 section 6.4: send again at once, smaller */
				list_for_each_entry(s, &tp->sendq, node) {
					if (s == tp->unsent)
						break;
					tcp_mark_lost(tp, s);
				}
				tcp_retransmit_lost(tp);
			}
		}
		goto out;
	}
	if (e->type == 4 && naddr_is_v4(&e->dst))
		goto out; /* RFC 6633: source quench means nothing */
	if (sk->c.state == TCPS_SYN_SENT) /* no connection to protect yet: any report ends the attempt, as in Linux */
		tcp_reset(tp, e->err);
	else if ((naddr_is_v4(&e->dst) ? sk->recverr : sk->recverr6) && e->hard)
		sock_report_err(sk, e->err);
	else
		atomic_store(&sk->err_soft, e->err);
out:
	sock_release_owned(sk);
	skc_put(c);
}

const struct ip_proto tcp_proto = { .rx = tcp_rx, .err = tcp_err, .v4 = true, .v6 = true };

/* ---- checks --------------------------------------------------------------------------------------------------- */

/* RFC 5961 section 7: at most so many per second for the whole namespace, so that the count tells nothing. */
void tcp_challenge_ack(struct tcp_sock *tp)
{
	struct net_ns *ns = tp->sk.c.ns;
	uint64_t now = net_now(ns->stack);

	if (now - tp->challenge_ns < (uint64_t)ns->sysctl.tcp_invalid_ratelimit * NET_MSEC && tp->challenge_ns)
		return;
	tp->challenge_ns = now;
	mib_inc(ns, MIB_TCPX_CHALLENGE_ACK);
	tcp_send_ack(tp);
}

/* RFC 7323 section 5.3 R1; an idle connection's clock may have wrapped (section 5.5). */
static bool paws_reject(struct tcp_sock *tp, const struct tcp_cb *cb)
{
	if (!tp->ts_ok || !cb->has_ts || (int32_t)(tp->ts_recent - cb->tsval) <= 0)
		return false;
	if (net_now(tp->sk.c.ns->stack) - tp->ts_recent_ns > TCP_PAWS_24DAYS)
		return false;
	/* a reordered pure ACK is harmless: let it through */
	return !(cb->seq == tp->rcv_nxt && cb->end_seq == cb->seq && cb->ack == tp->snd_una &&
		 (int32_t)(tp->ts_recent - cb->tsval) <= (int32_t)(tp->rto_ns / NET_MSEC));
}

static void ts_store(struct tcp_sock *tp, const struct tcp_cb *cb)
{
	if (!cb->has_ts || !tp->ts_ok)
		return;
	tp->rcv_tstamp = cb->tsecr;
	if (!after(cb->seq, tp->rcv_wup) && (int32_t)(cb->tsval - tp->ts_recent) >= 0) {
		tp->ts_recent = cb->tsval;
		tp->ts_recent_ns = net_now(tp->sk.c.ns->stack);
	}
}

static uint32_t rcv_window(const struct tcp_sock *tp)
{
	int32_t w = (int32_t)(tp->rcv_wup + tp->rcv_wnd - tp->rcv_nxt);

	return w < 0 ? 0 : (uint32_t)w;
}

static bool seq_ok(const struct tcp_sock *tp, const struct tcp_cb *cb)
{
	return !before(cb->end_seq, tp->rcv_wup) && !after(cb->seq, tp->rcv_nxt + rcv_window(tp));
}

static void dup_ack_out(struct tcp_sock *tp, const struct tcp_cb *cb)
{
	if (cb->end_seq != cb->seq && before(cb->seq, tp->rcv_nxt) && tp->sack_ok && tp->sk.c.ns->sysctl.tcp_dsack) {
		tp->dsack = true;
		tp->dsack_s = cb->seq;
		tp->dsack_e = after(cb->end_seq, tp->rcv_nxt) ? tp->rcv_nxt : cb->end_seq;
		mib_inc(tp->sk.c.ns, MIB_TCPX_DSACK_SENT);
	}
	tcp_send_ack(tp);
}

/* First, second and fourth checks of RFC 9293 section 3.10.7.4. True: go on; false: @p was used up. */
static bool validate(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tp->sk.c.ns;

	if (unlikely(paws_reject(tp, cb)) && !(cb->flags & TCP_RST)) {
		mib_inc(ns, MIB_TCPX_PAWS_ESTAB);
		dup_ack_out(tp, cb);
		net_drop(ns, p, DROP_TCP_PAWS);
		return false;
	}
	if (unlikely(!seq_ok(tp, cb))) {
		if (!(cb->flags & TCP_RST)) {
			if (cb->flags & TCP_SYN)
				tcp_challenge_ack(tp);
			else
				dup_ack_out(tp, cb);
		}
		net_drop(ns, p, DROP_TCP_WINDOW);
		return false;
	}
	if (unlikely(cb->flags & TCP_RST)) {
		/* RFC 5961 section 3.2: only the exact next number (or the edge of a SACK hole's end) resets */
		if (cb->seq == tp->rcv_nxt) {
			tcp_fo_settled(tp, true);
			tcp_reset(tp, tp->sk.c.state == TCPS_CLOSE_WAIT ? LINUX_EPIPE : LINUX_ECONNRESET);
		} else {
			tcp_challenge_ack(tp);
		}
		pkt_free(p);
		return false;
	}
	if (unlikely((cb->flags & TCP_SYN) && tp->sk.c.state != TCPS_SYN_RECV)) {
		tcp_challenge_ack(tp); /* RFC 5961 section 4.2 */
		net_drop(ns, p, DROP_TCP_OFFSTATE);
		return false;
	}
	return true;
}

/* RFC 9293 section 3.8.5, with Linux's (RFC 961's) idea of where the urgent byte is. */
static void urgent(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	uint32_t at = cb->seq + cb->urg_ptr - (cb->urg_ptr && !tp->sk.c.ns->sysctl.tcp_stdurg ? 1 : 0);
	uint32_t off = at - cb->seq;

	if (before(at, tp->copied_seq) || (tp->urg_valid && !after(at, tp->urg_seq)))
		goto byte;
	tp->urg_seq = at;
	tp->urg_valid = true;
	tp->urg_read = false;
	sock_event(&tp->sk, NET_POLLPRI);
byte:
	if (tp->urg_valid && at == tp->urg_seq && cb->hdr_len + off < p->len)
		pkt_copy_bits(p, cb->hdr_len + off, &tp->urg_byte, 1);
}

/* ---- states ------------------------------------------------------------------------------------------------------ */

static void take_data(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);

	if (cb->end_seq == cb->seq) {
		pkt_free(p);
	} else {
		pkt_pull(p, cb->hdr_len);
		tcp_data_queue(tp, p);
	}
}

void tcp_rx_established(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	bool data = cb->end_seq != cb->seq;
	uint32_t was_unsent = tp->unsent != NULL;

	if (!validate(tp, p))
		return;
	if (unlikely(!(cb->flags & TCP_ACK))) {
		net_drop(tp->sk.c.ns, p, DROP_TCP_OFFSTATE);
		return;
	}
	ts_store(tp, cb);
	if (data || cb->ack != tp->snd_una || tp->packets_out || was_unsent) {
		int r = tcp_ack(tp, p, data);

		if (unlikely(r < 0)) {
			if (after(cb->ack, tp->snd_nxt))
				tcp_challenge_ack(tp);
			net_drop(tp->sk.c.ns, p, DROP_TCP_ACK);
			return;
		}
	} else {
		tcp_ack(tp, p, false);
	}
	if (unlikely(cb->flags & TCP_URG))
		urgent(tp, p);
	take_data(tp, p);
	if (tp->unsent)
		tcp_push(tp, false);
	if (tcp_write_space(tp))
		sock_event(&tp->sk, NET_POLLOUT);
	tcp_ack_check(tp);
}

/* Fills in what the peer's SYN (or SYN-ACK) offered. */
static void agree_options(struct tcp_sock *tp, const struct tcp_cb *cb)
{
	struct net_ns *ns = tp->sk.c.ns;

	tp->peer_mss = cb->mss ? MAX((uint32_t)cb->mss, TCP_MIN_MSS) : TCP_DEFAULT_MSS;
	tp->wscale_ok = cb->wscale != 255 && ns->sysctl.tcp_window_scaling;
	tp->snd_wscale = tp->wscale_ok ? cb->wscale : 0;
	if (!tp->wscale_ok) {
		tp->rcv_wscale = 0;
		tp->rcv_wnd = MIN(tp->rcv_wnd, 65535u);
		tp->window_clamp = MIN(tp->window_clamp, 65535u);
	}
	tp->sack_ok = cb->sack_ok && ns->sysctl.tcp_sack;
	tp->ts_ok = cb->has_ts && ns->sysctl.tcp_timestamps;
	if (tp->ts_ok) {
		tp->ts_recent = cb->tsval;
		tp->ts_recent_ns = net_now(ns->stack);
	}
}

static void established(struct tcp_sock *tp)
{
	struct dst *d;

	tcp_set_state(tp, TCPS_ESTABLISHED);
	if (tp->sk.dst)
		tcp_sync_mss(tp, dst_mtu(tp->sk.c.ns, tp->sk.dst));
	else
		tcp_get_dst(tp, &d);
	if (!tp->fo_child) /* that one has been at work since its SYN */
		tcp_init_transfer(tp);
	mib_inc(tp->sk.c.ns, MIB_TCP_CURR_ESTAB);
	if (tp->sk.keepalive)
		tcp_keepalive_arm(tp);
}

static void rx_syn_sent(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tp->sk.c.ns;

	if ((cb->flags & TCP_ACK) && (!after(cb->ack, tp->snd_una) || after(cb->ack, tp->snd_nxt))) {
		tcp_send_reset(ns, p);
		goto out;
	}
	if ((cb->flags & TCP_ACK) && cb->has_ts && ns->sysctl.tcp_timestamps &&
	    after(cb->tsecr, tcp_ts_now(ns, tp->ts_off))) {
		tcp_send_reset(ns, p);
		goto out;
	}
	if (cb->flags & TCP_RST) {
		if (cb->flags & TCP_ACK)
			tcp_reset(tp, LINUX_ECONNREFUSED);
		goto out;
	}
	if (!(cb->flags & TCP_SYN))
		goto out;
	agree_options(tp, cb);
	tp->irs = cb->seq;
	tp->rcv_nxt = tp->rcv_wup = tp->copied_seq = cb->seq + 1;
	tp->rcvq_space.seq = tp->copied_seq;
	tp->snd_wl1 = cb->seq;
	tp->snd_wnd = tp->max_window = cb->wnd;
	if (!(cb->flags & TCP_ACK)) { /* simultaneous open (RFC 9293 figure 7) */
		tcp_set_state(tp, TCPS_SYN_RECV);
		tp->snd_nxt = tp->iss + 1; /* whoever is in this state does not look at data of a SYN: it goes again */
		tp->fo_syn_len = 0;
		tp->fo_deferred = tp->fo_asked = false;
		if (tp->rtx_kind == TCP_RTX_NONE)
			tcp_rtx_arm(tp, TCP_RTX_RTO, TCP_RTO_INIT);
		tcp_send_synack(tp, NULL);
		goto out;
	}
	if (unlikely(tp->fo_asked))
		tcp_fo_answered(tp, p);
	tp->snd_una = cb->ack;
	tp->rtx_at_ns = NET_NEVER;
	tp->rtx_kind = TCP_RTX_NONE;
	tp->syn_retries = tp->syn_retries > 0 ? 1 : 0;
	if (!tp->syn_retries && tp->last_tx_ns) /* Karn: only an unrepeated SYN measures */
		tcp_rtt_sample(tp, net_now(ns->stack) - tp->last_tx_ns);
	established(tp);
	if (tp->unsent)
		tcp_push(tp, true);
	tcp_enter_quickack(tp, TCP_MAX_QUICKACKS);
	if (tp->defer_accept || tp->pingpong) {
		tp->ack_sched = true;
		tp->delack_at_ns = net_now(ns->stack) + TCP_DELACK_MAX;
		tcp_timer_sync(tp);
	} else {
		tcp_send_ack(tp);
	}
	sock_event(&tp->sk, NET_POLLOUT);
out:
	pkt_free(p);
}

/* After our FIN was acknowledged, by state. True: the endpoint is gone. */
static bool fin_acked(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;

	if (tp->snd_una != tp->write_seq || !list_empty(&tp->sendq))
		return false;
	switch ((uint8_t)sk->c.state) {
	case TCPS_FIN_WAIT1:
		tcp_set_state(tp, TCPS_FIN_WAIT2);
		sk->shut |= 2;
		neigh_confirm(sk->dst);
		sock_event(sk, NET_POLLOUT);
		if (sk->closed) {
			if (tp->linger2 < 0) {
				tcp_done(tp);
				return true;
			}
			/* nobody will read: do not wait for the peer's FIN for ever */
			tp->keep_at_ns = net_now(sk->c.ns->stack) +
					 (uint64_t)(tp->linger2 ? tp->linger2 : sk->c.ns->sysctl.tcp_fin_timeout) * NET_SEC;
			tcp_timer_sync(tp);
		}
		return false;
	case TCPS_CLOSING:
		tcp_time_wait(tp);
		return true;
	case TCPS_LAST_ACK:
		tcp_done(tp);
		return true;
	}
	return false;
}

static void rx_other(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct sock *sk = &tp->sk;
	struct net_ns *ns = sk->c.ns;
	int r;

	if (unlikely(tp->fo_parent) && (cb->flags & (TCP_SYN | TCP_ACK | TCP_RST)) == TCP_SYN && cb->seq == tp->irs) {
		tcp_send_synack(tp, NULL); /* the SYN again: its data is here already */
		pkt_free(p);
		return;
	}
	if (!validate(tp, p))
		return;
	if (!(cb->flags & TCP_ACK)) {
		net_drop(ns, p, DROP_TCP_OFFSTATE);
		return;
	}
	/* in SYN_RECV it must acknowledge our SYN (RFC 9293 section 3.10.7.4, fifth) */
	r = sk->c.state == TCPS_SYN_RECV && !after(cb->ack, tp->iss) ? -1 : tcp_ack(tp, p, cb->end_seq != cb->seq);
	if (r <= 0 && sk->c.state == TCPS_SYN_RECV) {
		tcp_send_reset(ns, p);
		net_drop(ns, p, DROP_TCP_ACK);
		return;
	}
	if (r < 0) {
		tcp_challenge_ack(tp);
		net_drop(ns, p, DROP_TCP_ACK);
		return;
	}
	ts_store(tp, cb);
	if (unlikely(tp->fo_parent) && after(tp->snd_una, tp->iss))
		tcp_fo_settled(tp, false);
	if (sk->c.state == TCPS_SYN_RECV) {
		tp->snd_wnd = (uint32_t)cb->wnd << tp->snd_wscale;
		tp->max_window = MAX(tp->max_window, tp->snd_wnd);
		tp->snd_wl1 = cb->seq;
		tp->rtx_at_ns = NET_NEVER;
		tp->rtx_kind = TCP_RTX_NONE;
		established(tp);
		tcp_rearm_rto(tp); /* for what a fast child has sent */
		sock_event(sk, NET_POLLOUT);
	}
	if (fin_acked(tp)) {
		pkt_free(p);
		return;
	}
	if (cb->flags & TCP_URG)
		urgent(tp, p);
	/* data after the reader left: RFC 1122 section 4.2.2.13 wants a reset */
	if ((sk->closed || (sk->shut & 1)) && cb->end_seq != cb->seq &&
	    after(cb->end_seq - ((cb->flags & TCP_FIN) ? 1 : 0), tp->rcv_nxt) &&
	    (TCPF(sk->c.state) & (TCPF(TCPS_FIN_WAIT1) | TCPF(TCPS_FIN_WAIT2)))) {
		mib_inc(ns, MIB_TCPX_ABORT_ON_DATA);
		tcp_send_reset(ns, p);
		pkt_free(p);
		tcp_reset(tp, LINUX_ECONNRESET);
		return;
	}
	take_data(tp, p);
	if (sk->c.state == TCPS_CLOSE)
		return;
	if (tp->unsent)
		tcp_push(tp, false);
	if (tcp_write_space(tp))
		sock_event(sk, NET_POLLOUT);
	tcp_ack_check(tp);
}

void tcp_rcv(struct sock *sk, struct pkt *p)
{
	struct tcp_sock *tp = tcp_sk(sk);

	tp->segs_in += MAX(1u, (uint32_t)p->gso_segs);
	tp->last_rx_ns = net_now(sk->c.ns->stack);
	switch ((uint8_t)sk->c.state) {
	case TCPS_ESTABLISHED:
		tcp_rx_established(tp, p);
		break;
	case TCPS_SYN_SENT:
		rx_syn_sent(tp, p);
		break;
	case TCPS_CLOSE:
		if (TCP_CB(p)->flags & TCP_RST) {
			pkt_free(p);
			break;
		}
		tcp_send_reset(sk->c.ns, p);
		net_drop(sk->c.ns, p, DROP_TCP_OFFSTATE);
		break;
	case TCPS_LISTEN:
		tcp_listen_rx(sk, p);
		break;
	default:
		rx_other(tp, p);
	}
}
