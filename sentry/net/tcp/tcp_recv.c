/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_recv.c - the application reads
 *
 * Model:   packets leave the queue under ownership (whole, or as a slice that shares the payload), are copied out
 *          without any lock, and freed. Bytes that could not be copied go back to the front.
 */
#include "sentry/net/tcp/tcp.h"

#define RECV_BATCH (4u << 20) /* bytes taken out of the queue at once */

/* Would reading @copied bytes have opened the window enough to tell the peer? RFC 9293 section 3.8.6.2.2. */
void tcp_cleanup_rbuf(struct tcp_sock *tp, uint32_t copied)
{
	struct sock *sk = &tp->sk;
	bool ack = false;

	if (!copied || !(TCPF(sk->c.state) & (TCPF(TCPS_ESTABLISHED) | TCPF(TCPS_FIN_WAIT1) | TCPF(TCPS_FIN_WAIT2))))
		return;
	if (tp->ack_sched || tp->ack_now) {
		uint32_t unacked = tp->rcv_nxt - tp->rcv_wup;

		if (unacked > tp->rcv_mss || (!sk->rcvq.head && !tp->pingpong && tp->quick))
			ack = true;
	}
	if (!ack && !(sk->shut & 1)) {
		int32_t left = (int32_t)(tp->rcv_wup + tp->rcv_wnd - tp->rcv_nxt);
		uint32_t now_wnd = left > 0 ? (uint32_t)left : 0;

		if (2 * now_wnd <= (uint32_t)sk->rcvbuf) {
			uint32_t nw = tcp_compute_window(tp);

			if (nw && nw >= 2 * now_wnd)
				ack = true;
		}
	}
	if (ack)
		tcp_send_ack(tp);
}

static long no_data(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	int e;

	if (tp->saw_fin)
		return 0; /* the orderly end comes before any error that followed it */
	e = atomic_exchange(&sk->err, 0);
	if (e)
		return -e;
	if (sk->shut & 1)
		return 0;
	if (sk->c.state == TCPS_CLOSE)
		return -LINUX_ENOTCONN;
	if (sk->c.state == TCPS_LISTEN)
		return -LINUX_ENOTCONN;
	return -LINUX_EAGAIN;
}

static long recv_oob(struct tcp_sock *tp, struct net_iter *it, struct net_msg *m)
{
	uint8_t b;

	sock_own(&tp->sk);
	if (tp->sk.oobinline || !tp->urg_valid || tp->urg_read) {
		sock_release(&tp->sk);
		return -LINUX_EINVAL;
	}
	if (!before(tp->urg_seq, tp->rcv_nxt)) {
		sock_release(&tp->sk);
		return -LINUX_EAGAIN;
	}
	b = tp->urg_byte;
	if (!(m->flags & NET_MSG_PEEK))
		tp->urg_read = true;
	sock_release(&tp->sk);
	m->flags |= NET_MSG_OOB;
	return it->left ? net_iter_copy(it, &b, 1) : 0;
}

/* How far a read may go: not across the urgent mark (RFC 9293 section 3.8.5; recv(2)), which is stepped over. */
static uint32_t urgent_limit(struct tcp_sock *tp, uint32_t want)
{
	uint32_t to;

	if (!tp->urg_valid || tp->sk.oobinline)
		return want;
	if (before(tp->urg_seq, tp->copied_seq)) {
		tp->urg_valid = false;
		return want;
	}
	to = tp->urg_seq - tp->copied_seq;
	return to ? MIN(want, to) : want;
}

static void skip_urgent(struct tcp_sock *tp)
{
	struct pkt *p = tp->sk.rcvq.head;

	if (!tp->urg_valid || tp->sk.oobinline || tp->urg_seq != tp->copied_seq || !p)
		return;
	pkt_pull(p, 1);
	tp->sk.rcvq.bytes--;
	atomic_fetch_sub(&tp->sk.rmem, 1);
	TCP_CB(p)->seq++;
	tp->copied_seq++;
	if (!p->len) {
		pkt_list_pop(&tp->sk.rcvq);
		atomic_fetch_sub(&tp->sk.rmem, PKT_CHARGE(p));
		pkt_free(p);
	}
}

/* Moves up to @want bytes to @out. */
static uint32_t take(struct tcp_sock *tp, uint32_t want, struct pkt_list *out)
{
	struct sock *sk = &tp->sk;
	uint32_t got = 0;
	struct pkt *p;

	skip_urgent(tp);
	want = urgent_limit(tp, want);
	while (got < want && (p = sk->rcvq.head)) {
		if (p->len <= want - got) {
			pkt_list_pop(&sk->rcvq);
			atomic_fetch_sub_explicit(&sk->rmem, PKT_CHARGE(p), memory_order_relaxed);
			got += p->len;
			pkt_list_add(out, p);
			continue;
		}
		{
			uint32_t n = want - got;
			struct pkt *s = pkt_slice(p, 0, n, 0);

			if (!s)
				break;
			*TCP_CB(s) = *TCP_CB(p);
			TCP_CB(s)->end_seq = TCP_CB(s)->seq + n;
			TCP_CB(p)->seq += n;
			pkt_pull(p, n);
			sk->rcvq.bytes -= n;
			atomic_fetch_sub_explicit(&sk->rmem, n, memory_order_relaxed);
			got += n;
			pkt_list_add(out, s);
		}
	}
	tp->copied_seq += got;
	return got;
}

static uint32_t peek(struct tcp_sock *tp, uint32_t want, struct pkt_list *out)
{
	uint32_t got = 0;

	want = urgent_limit(tp, want);
	for (struct pkt *p = tp->sk.rcvq.head; p && got < want; p = p->next) {
		uint32_t n = MIN(p->len, want - got);
		struct pkt *s = pkt_slice(p, 0, n, 0);

		if (!s)
			break;
		pkt_list_add(out, s);
		got += n;
	}
	return got;
}

/* The guest's memory ended early: what was not copied returns to the front of the queue. */
static void put_back(struct tcp_sock *tp, struct pkt *p, uint32_t done, struct pkt_list *rest)
{
	struct pkt_list q = { 0 };

	sock_own(&tp->sk);
	pkt_pull(p, done);
	TCP_CB(p)->seq += done;
	pkt_list_add(&q, p);
	pkt_list_join(&q, rest);
	for (p = q.head; p; p = p->next)
		atomic_fetch_add(&tp->sk.rmem, PKT_CHARGE(p));
	tp->copied_seq -= (uint32_t)q.bytes;
	pkt_list_join(&q, &tp->sk.rcvq);
	tp->sk.rcvq = q;
	sock_release(&tp->sk);
}

long tcp_recvmsg(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct tcp_sock *tp = tcp_sk(sk);
	bool peeking = m->flags & NET_MSG_PEEK, trunc = m->flags & NET_MSG_TRUNC;
	struct pkt_list l = { 0 };
	uint32_t got;
	long done = 0;
	struct pkt *p;

	if (m->flags & NET_MSG_OOB)
		return recv_oob(tp, it, m);
	m->flags &= ~(uint32_t)(NET_MSG_TRUNC | NET_MSG_PEEK);
	sock_own(sk);
	if (sk->c.state == TCPS_LISTEN || (!sk->rcvq.head && it->left)) {
		done = no_data(tp);
		sock_release(sk);
		return done;
	}
	got = peeking ? peek(tp, (uint32_t)MIN(it->left, (size_t)RECV_BATCH), &l) :
			take(tp, (uint32_t)MIN(it->left, (size_t)RECV_BATCH), &l);
	if (!got && it->left) {
		done = no_data(tp);
		sock_release(sk);
		return done;
	}
	m->inq = (uint32_t)sk->rcvq.bytes;
	m->has |= tp->inq_on ? NET_MSG_HAS_INQ : 0;
	if (!peeking) {
		tcp_rcv_space_adjust(tp);
		tcp_cleanup_rbuf(tp, got);
	}
	sock_release(sk);
	while ((p = pkt_list_pop(&l))) {
		uint32_t n = p->len;
		long r = trunc ? (long)n : pkt_copy_to_iter(p, 0, it, n);

		if (trunc)
			it->left -= MIN(it->left, (size_t)n);
		if (r < (long)n) {
			if (r > 0)
				done += r;
			if (!peeking)
				put_back(tp, p, r > 0 ? (uint32_t)r : 0, &l);
			else
				pkt_free(p);
			pkt_list_free(&l);
			return done ? done : -LINUX_EFAULT;
		}
		done += n;
		pkt_free(p);
	}
	return done;
}
