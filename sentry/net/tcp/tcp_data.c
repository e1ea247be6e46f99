/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_data.c - received data: in order, out of order, FIN; when to acknowledge; buffer tuning
 *
 * Source:  RFC 9293 section 3.10.7.4 (seventh and eighth), RFC 2018 section 4 (what SACK reports first), RFC 5681 section
 *          4.2 (when ACKs may be delayed), Semke et al. 1998 and Fisk/Feng "Dynamic right-sizing" (buffer tuning).
 */
#include "sentry/net/tcp/tcp.h"

/* ---- acknowledgement policy --------------------------------------------------------------------------------- */

void tcp_enter_quickack(struct tcp_sock *tp, unsigned n)
{
	tp->quick = (uint8_t)MAX((unsigned)tp->quick, n);
	tp->pingpong = false;
	tp->ato_ns = TCP_DELACK_MIN;
}

static void event_data(struct tcp_sock *tp, uint32_t len, uint16_t gso)
{
	uint64_t now = net_now(tp->sk.c.ns->stack), d;
	uint32_t seg = gso ? gso : len;

	tp->ack_sched = true;
	if (seg >= tp->rcv_mss || seg >= TCP_DEFAULT_MSS)
		tp->rcv_mss = MIN(MAX(seg, tp->rcv_mss > 4 * seg ? seg : MIN(tp->rcv_mss, seg)), tp->advmss ? tp->advmss : seg);
	if (!tp->ato_ns) {
		tcp_enter_quickack(tp, TCP_MAX_QUICKACKS);
		return;
	}
	d = now - tp->last_rx_ns;
	if (d <= TCP_DELACK_MIN / 2)
		tp->ato_ns = tp->ato_ns / 2 + TCP_DELACK_MIN / 2;
	else if (d < tp->ato_ns)
		tp->ato_ns = MIN(tp->ato_ns / 2 + d, tp->rto_ns);
	else if (d > tp->rto_ns) /* the peer paused: it may be in slow start again */
		tcp_enter_quickack(tp, TCP_MAX_QUICKACKS);
	(void)now;
}

void tcp_ack_check(struct tcp_sock *tp)
{
	uint32_t unacked;
	uint64_t at;

	if (!tp->ack_now && !tp->ack_sched)
		return;
	unacked = tp->rcv_nxt - tp->rcv_wup;
	if (tp->ack_now || tp->ooo || (tp->quick && !tp->pingpong) ||
	    (unacked > tp->rcv_mss && (tcp_compute_window(tp) >= tp->rcv_wnd || (uint32_t)tp->sk.rcvlowat > 1))) {
		tcp_send_ack(tp);
		return;
	}
	at = net_now(tp->sk.c.ns->stack) + MIN(MAX(tp->ato_ns, (uint64_t)TCP_DELACK_MIN), (uint64_t)TCP_DELACK_MAX);
	if (tp->delack_at_ns == NET_NEVER || at < tp->delack_at_ns) {
		tp->delack_at_ns = at;
		tcp_timer_sync(tp);
	}
}

/* ---- buffer sizes --------------------------------------------------------------------------------------------- */

/* The first window and the scale that the largest buffer will need (RFC 7323 section 2.3). */
uint32_t tcp_init_window(struct tcp_sock *tp, uint32_t mss, uint8_t *wscale)
{
	struct net_ns *ns = tp->sk.c.ns;
	uint32_t space = (uint32_t)tp->sk.rcvbuf - (uint32_t)tp->sk.rcvbuf / 4, max, w;

	max = MAX(MAX((uint32_t)ns->sysctl.tcp_rmem[2], (uint32_t)ns->sysctl.rmem_max), space);
	if (tp->window_clamp_user) {
		space = MIN(space, tp->window_clamp_user);
		max = MIN(max, tp->window_clamp_user);
	}
	*wscale = 0;
	if (ns->sysctl.tcp_window_scaling)
		while (*wscale < TCP_MAX_WSCALE && (max >> *wscale) > 65535)
			(*wscale)++;
	w = MIN(space, 65535u);
	if (mss && w > mss)
		w -= w % mss;
	return w;
}

void tcp_init_rcv(struct tcp_sock *tp, uint32_t mss)
{
	uint8_t ws;

	tp->rcv_wnd = tcp_init_window(tp, mss, &ws);
	tp->rcv_wscale = ws;
	tp->window_clamp = tp->window_clamp_user;
	tp->rcv_mss = MIN(mss, TCP_DEFAULT_MSS);
}

void tcp_init_transfer(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	struct net_ns *ns = sk->c.ns;
	uint32_t want = (uint32_t)MIN((uint64_t)tp->mss * TCP_INIT_CWND * 2 * 2, (uint64_t)ns->sysctl.tcp_wmem[2]);

	if (!sk->sndbuf_locked)
		sk->sndbuf = (int32_t)MAX((uint32_t)sk->sndbuf, want);
	if (!sk->rcvbuf_locked) {
		uint32_t need = (uint32_t)MIN((uint64_t)tp->rcv_mss * 0 + (uint64_t)tp->advmss * TCP_INIT_CWND / 2 * 3,
					      (uint64_t)ns->sysctl.tcp_rmem[2]);

		if (tp->advmss > 9000) /* loopback: a handful of segments must fit from the start */
			sk->rcvbuf = (int32_t)MAX((uint32_t)sk->rcvbuf, need);
	}
	tp->cwnd = sk->dst && sk->dst->initcwnd ? sk->dst->initcwnd : TCP_INIT_CWND;
	if (tp->syn_retries > 1)
		tp->cwnd = 1; /* RFC 5681 section 3.1 */
	tp->rcvq_space.space = MIN(tp->rcv_wnd, TCP_INIT_CWND * tp->advmss);
	tp->rcvq_space.seq = tp->copied_seq;
	tp->rcvq_space.at_ns = net_now(ns->stack);
	tp->fack = tp->snd_una;
	tp->high_seq = tp->snd_una;
	tp->cong->init(tp);
}

/* Once per round trip: if the application took more than the last time, the peer may send twice as much. */
void tcp_rcv_space_adjust(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	uint64_t now = net_now(sk->c.ns->stack), rtt = tp->rcv_rtt_ns ? tp->rcv_rtt_ns : tp->srtt_ns, want;
	uint32_t copied = tp->copied_seq - tp->rcvq_space.seq;

	if (!rtt || now - tp->rcvq_space.at_ns < rtt)
		return;
	if (copied > tp->rcvq_space.space) {
		if (sk->c.ns->sysctl.tcp_moderate_rcvbuf && !sk->rcvbuf_locked) {
			want = 2ull * copied + 16ull * tp->advmss;
			want += want * (copied - tp->rcvq_space.space) / tp->rcvq_space.space;
			want = want * 4 / 3; /* the share of the buffer that is window */
			want = MIN(want, (uint64_t)sk->c.ns->sysctl.tcp_rmem[2]);
			if (want > (uint64_t)sk->rcvbuf)
				sk->rcvbuf = (int32_t)want;
		}
		tp->rcvq_space.space = copied;
	}
	tp->rcvq_space.seq = tp->copied_seq;
	tp->rcvq_space.at_ns = now;
}

/* The receiver's idea of the round trip: echoed timestamps (RFC 7323), at least one tick. */
static void rcv_rtt(struct tcp_sock *tp, const struct tcp_cb *cb, uint32_t len)
{
	uint32_t d;

	if (!cb->has_ts || !tp->ts_ok || !cb->tsecr || cb->tsecr == tp->rcv_rtt_tsecr || len < tp->rcv_mss)
		return;
	tp->rcv_rtt_tsecr = cb->tsecr;
	d = tcp_ts_now(tp->sk.c.ns, tp->ts_off) - cb->tsecr;
	if (d < 1u << 24) {
		uint64_t s = MAX((uint64_t)d, 1ull) * NET_MSEC;

		tp->rcv_rtt_ns = tp->rcv_rtt_ns ? tp->rcv_rtt_ns - tp->rcv_rtt_ns / 8 + s / 8 : s;
	}
}

/* ---- queues ---------------------------------------------------------------------------------------------------- */

/* Small neighbours share one buffer: a stream of 1-byte segments must not cost 512 times its size. */
static bool coalesce(struct tcp_sock *tp, struct pkt *p)
{
	struct pkt *t = tp->sk.rcvq.tail;
	uint32_t n = p->len;

	if (!t || t->nr_frags || p->nr_frags || pkt_tailroom(t) < n)
		return false;
	memcpy(pkt_put(t, n), p->data, n);
	tp->sk.rcvq.bytes += n;
	atomic_fetch_add_explicit(&tp->sk.rmem, n, memory_order_relaxed);
	TCP_CB(t)->end_seq = TCP_CB(p)->end_seq;
	mib_inc(tp->sk.c.ns, MIB_TCPX_RCV_COALESCE);
	pkt_free(p);
	return true;
}

/* @p's content starts at rcv_nxt. */
static void queue_in_order(struct tcp_sock *tp, struct pkt *p)
{
	uint32_t n = p->len;
	bool fin = TCP_CB(p)->flags & TCP_FIN;

	tp->rcv_nxt = TCP_CB(p)->end_seq;
	tp->bytes_received += n;
	if (!n) {
		pkt_free(p);
	} else {
		if (p->dst) {
			dst_put(p->dst);
			p->dst = NULL;
		}
		if (!coalesce(tp, p)) {
			atomic_fetch_add_explicit(&tp->sk.rmem, PKT_CHARGE(p), memory_order_relaxed);
			pkt_list_add(&tp->sk.rcvq, p);
		}
	}
	if (fin)
		tcp_fin(tp);
}

void tcp_ooo_purge(struct tcp_sock *tp)
{
	struct pkt *p;

	while ((p = tp->ooo)) {
		tp->ooo = p->next;
		atomic_fetch_sub_explicit(&tp->sk.rmem, PKT_CHARGE(p), memory_order_relaxed);
		pkt_free(p);
	}
	tp->ooo_tail = NULL;
	tp->ooo_bytes = tp->ooo_nr = 0;
	tp->nr_sacks = 0;
}

/* The block [s, e) was just extended: it goes to the front; blocks it swallows disappear. */
static void sack_note(struct tcp_sock *tp, uint32_t s, uint32_t e)
{
	unsigned n = 0;

	for (unsigned i = 0; i < tp->nr_sacks; i++) {
		if (!after(tp->sacks[i].s, e) && !before(tp->sacks[i].e, s)) {
			s = before(tp->sacks[i].s, s) ? tp->sacks[i].s : s;
			e = after(tp->sacks[i].e, e) ? tp->sacks[i].e : e;
			continue;
		}
		tp->sacks[n++] = tp->sacks[i];
	}
	if (n == ARRAY_SIZE(tp->sacks))
		n--;
	memmove(&tp->sacks[1], &tp->sacks[0], n * sizeof(tp->sacks[0]));
	tp->sacks[0].s = s;
	tp->sacks[0].e = e;
	tp->nr_sacks = (uint8_t)(n + 1);
}

static void sack_trim(struct tcp_sock *tp)
{
	unsigned n = 0;

	if (!tp->ooo) {
		tp->nr_sacks = 0;
		return;
	}
	for (unsigned i = 0; i < tp->nr_sacks; i++)
		if (after(tp->sacks[i].e, tp->rcv_nxt))
			tp->sacks[n++] = tp->sacks[i];
	tp->nr_sacks = (uint8_t)n;
}

/* Cuts content off the front of a packet, with its sequence number. */
static void trim_front(struct pkt *p, uint32_t n)
{
	TCP_CB(p)->seq += n;
	pkt_pull(p, MIN(n, p->len));
}

static void trim_back(struct pkt *p, uint32_t new_end)
{
	uint32_t n = new_end - TCP_CB(p)->seq;

	TCP_CB(p)->flags &= (uint8_t)~TCP_FIN;
	TCP_CB(p)->end_seq = new_end;
	pkt_trim(p, n);
}

static void ooo_drop(struct tcp_sock *tp, struct pkt *p)
{
	tp->ooo_bytes -= p->len;
	tp->ooo_nr--;
	atomic_fetch_sub_explicit(&tp->sk.rmem, PKT_CHARGE(p), memory_order_relaxed);
}

static void dsack_set(struct tcp_sock *tp, uint32_t s, uint32_t e)
{
	if (!tp->sack_ok || !tp->sk.c.ns->sysctl.tcp_dsack)
		return;
	tp->dsack = true;
	tp->dsack_s = s;
	tp->dsack_e = e;
	mib_inc(tp->sk.c.ns, MIB_TCPX_DSACK_SENT);
}

static void ooo_insert(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct pkt *prev = NULL, *q;

	mib_inc(tp->sk.c.ns, MIB_TCPX_OFO_QUEUE);
	if (tp->ooo_tail && !before(cb->seq, TCP_CB(tp->ooo_tail)->end_seq)) {
		prev = tp->ooo_tail; /* the usual case: after everything that is here */
	} else {
		for (q = tp->ooo; q && !after(TCP_CB(q)->seq, cb->seq); q = q->next)
			prev = q;
	}
	if (prev && after(TCP_CB(prev)->end_seq, cb->seq)) {
		if (!after(cb->end_seq, TCP_CB(prev)->end_seq)) {
			dsack_set(tp, cb->seq, cb->end_seq);
			pkt_free(p);
			return;
		}
		trim_front(p, TCP_CB(prev)->end_seq - cb->seq);
	}
	q = prev ? prev->next : tp->ooo;
	while (q && before(TCP_CB(q)->seq, cb->end_seq)) { /* what follows and overlaps */
		struct pkt *next = q->next;

		if (after(TCP_CB(q)->end_seq, cb->end_seq)) {
			trim_back(p, TCP_CB(q)->seq);
			break;
		}
		if (prev)
			prev->next = next;
		else
			tp->ooo = next;
		if (tp->ooo_tail == q)
			tp->ooo_tail = prev;
		ooo_drop(tp, q);
		pkt_free(q);
		q = next;
	}
	p->next = q;
	if (prev)
		prev->next = p;
	else
		tp->ooo = p;
	if (!q)
		tp->ooo_tail = p;
	tp->ooo_bytes += p->len;
	tp->ooo_nr++;
	atomic_fetch_add_explicit(&tp->sk.rmem, PKT_CHARGE(p), memory_order_relaxed);
	sack_note(tp, cb->seq, cb->end_seq);
}

/* The hole is filled: what follows without a gap moves over. */
static void ooo_drain(struct tcp_sock *tp)
{
	struct pkt *p;

	while ((p = tp->ooo) && !after(TCP_CB(p)->seq, tp->rcv_nxt)) {
		tp->ooo = p->next;
		if (!tp->ooo)
			tp->ooo_tail = NULL;
		ooo_drop(tp, p);
		p->next = NULL;
		if (!after(TCP_CB(p)->end_seq, tp->rcv_nxt)) {
			pkt_free(p);
			continue;
		}
		if (before(TCP_CB(p)->seq, tp->rcv_nxt))
			trim_front(p, tp->rcv_nxt - TCP_CB(p)->seq);
		queue_in_order(tp, p);
	}
	sack_trim(tp);
}

/* Memory is tight: out-of-order data may be forgotten (RFC 2018 section 8), in-order data beyond the window dropped. */
static bool room_for(struct tcp_sock *tp, struct pkt *p, bool in_order)
{
	uint32_t used = atomic_load(&tp->sk.rmem), limit = (uint32_t)tp->sk.rcvbuf;

	if (used + PKT_CHARGE(p) <= limit)
		return true;
	if (in_order && used <= limit)
		return true;
	if (in_order && tp->ooo) {
		mib_inc(tp->sk.c.ns, MIB_TCPX_OFO_DROP);
		tcp_ooo_purge(tp);
		return true;
	}
	return in_order && used <= 2 * limit;
}

void tcp_fin(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;

	tp->ack_now = true;
	sk->shut |= 1;
	tp->saw_fin = true;
	tcp_ooo_purge(tp);
	switch ((uint8_t)sk->c.state) {
	case TCPS_SYN_RECV:
	case TCPS_ESTABLISHED:
		tcp_set_state(tp, TCPS_CLOSE_WAIT);
		tp->pingpong = true;
		break;
	case TCPS_FIN_WAIT1:
		tcp_set_state(tp, TCPS_CLOSING);
		break;
	case TCPS_FIN_WAIT2:
		tcp_send_ack(tp);
		sock_event(sk, NET_POLLIN | NET_POLLRDHUP | NET_POLLHUP);
		tcp_time_wait(tp);
		return;
	}
	sock_event(sk, NET_POLLIN | NET_POLLRDHUP | (sk->shut == 3 ? NET_POLLHUP : 0));
}

void tcp_data_queue(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tp->sk.c.ns;
	uint32_t wnd_end = tp->rcv_wup + tp->rcv_wnd;

	tp->data_segs_in += MAX(1u, (uint32_t)p->gso_segs);
	if (!after(cb->end_seq, tp->rcv_nxt)) { /* all old */
		dsack_set(tp, cb->seq, cb->end_seq);
		tp->ack_now = true;
		net_drop(ns, p, DROP_TCP_OLD);
		return;
	}
	if (before(cb->seq, tp->rcv_nxt)) {
		dsack_set(tp, cb->seq, tp->rcv_nxt);
		trim_front(p, tp->rcv_nxt - cb->seq);
	}
	if (!before(cb->seq, wnd_end) && p->len) { /* beyond a closed window: a probe */
		mib_inc(ns, MIB_TCPX_ZERO_WINDOW_PROBE);
		tp->ack_now = true;
		net_drop(ns, p, DROP_TCP_WINDOW);
		return;
	}
	if (!room_for(tp, p, cb->seq == tp->rcv_nxt)) {
		mib_inc(ns, MIB_TCPX_RCVQ_DROP);
		tp->ack_now = true;
		net_drop(ns, p, DROP_RCVBUF);
		return;
	}
	if (cb->seq != tp->rcv_nxt) {
		tp->ack_now = true;
		ooo_insert(tp, p);
		return;
	}
	rcv_rtt(tp, cb, p->gso_size ? p->gso_size : p->len);
	if (p->len)
		event_data(tp, p->len, p->gso_size);
	queue_in_order(tp, p);
	if (tp->ooo && tp->sk.c.state != TCPS_CLOSE) {
		tp->ack_now = true; /* RFC 5681 section 4.2: filling a gap is told at once */
		ooo_drain(tp);
	}
	if (tp->sk.rcvq.bytes >= (uint64_t)tp->sk.rcvlowat || tp->sk.shut)
		sock_event(&tp->sk, NET_POLLIN);
}
