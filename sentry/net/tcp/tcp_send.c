/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_send.c - the application writes
 *
 * Model:   a write reserves room in the connection's current buffer (or a new one) under ownership, copies the
 *          guest's bytes straight into it without any lock, and then appends the range to the send queue. A range
 *          that directly continues the last unsent one just makes that longer.
 * Source:  RFC 9293 section 3.10.2 (SEND call), RFC 1122 section 4.2.2.2 (push).
 */
#include "sentry/net/tcp/tcp.h"

#define TCP_CAN_SEND (TCPF(TCPS_ESTABLISHED) | TCPF(TCPS_CLOSE_WAIT))

static uint32_t wspace(const struct tcp_sock *tp)
{
	uint32_t used = atomic_load_explicit(&tp->sk.wmem, memory_order_relaxed);

	return used < (uint32_t)tp->sk.sndbuf ? (uint32_t)tp->sk.sndbuf - used : 0;
}

/* The buffer follows the congestion window (twice as much, as Linux does). */
static void sndbuf_tune(struct tcp_sock *tp)
{
	uint64_t want = 2ull * MAX(tp->cwnd, TCP_INIT_CWND) * (tp->mss + TCP_SEG_OVERHEAD);

	if (tp->sk.sndbuf_locked)
		return;
	want = MIN(want, (uint64_t)tp->sk.c.ns->sysctl.tcp_wmem[2]);
	if (want > (uint64_t)tp->sk.sndbuf)
		tp->sk.sndbuf = (int32_t)want;
}

/* Is there room worth waking a writer for? A third of the buffer, as Linux has it. */
bool tcp_write_space(struct tcp_sock *tp)
{
	uint32_t used = atomic_load_explicit(&tp->sk.wmem, memory_order_relaxed);

	sndbuf_tune(tp);
	if (tp->notsent_lowat && tp->write_seq - tp->snd_nxt >= tp->notsent_lowat)
		return false;
	return used + used / 2 < (uint32_t)tp->sk.sndbuf && !(tp->sk.shut & 2);
}

/* Room for the next bytes: where, and how many at most. NULL: out of memory. */
static struct pkt_buf *reserve(struct tcp_sock *tp, size_t want, uint32_t *off, uint32_t *n)
{
	uint32_t goal = tcp_size_goal(tp), cap;
	struct pkt_buf *b = tp->wbuf;

	if (b && b->used < b->cap) {
		cap = b->cap > goal ? goal : b->cap > tp->mss ? b->cap - b->cap % tp->mss : b->cap;
		if (b->used < cap) {
			*n = (uint32_t)MIN(want, (size_t)(cap - b->used));
			goto got;
		}
	}
	/* small writes share 2 KiB; a backlog of unsent data says that more is coming */
	cap = (uint32_t)MIN(MAX(want, tp->unsent ? (size_t)goal : (size_t)1500), (size_t)goal);
	b = pkt_buf_alloc(MAX(cap, 512u));
	if (!b)
		return NULL;
	if (tp->wbuf)
		pkt_buf_put(tp->wbuf);
	tp->wbuf = b; /* the connection's reference */
	*n = (uint32_t)MIN(want, (size_t)cap);
got:
	*off = b->used;
	b->used += *n;
	pkt_buf_get(b); /* for the range to come */
	return b;
}

/* Takes over the reference to @b. */
static int append(struct tcp_sock *tp, struct pkt_buf *b, uint32_t off, uint32_t n, uint8_t flags)
{
	struct tcp_seg *t = tp->unsent ? list_last(&tp->sendq, struct tcp_seg, node) : NULL, *s;
	uint32_t goal = tcp_size_goal(tp);

	if (t && t->buf == b && t->off + t->len == off && t->len + n <= goal && !(t->flags & (TCP_FIN | TCP_URG))) {
		t->len += n;
		t->pcount = (uint16_t)(t->len > tp->mss ? (t->len + tp->mss - 1) / tp->mss : 1);
		t->flags |= flags;
		pkt_buf_put(b);
		atomic_fetch_add_explicit(&tp->sk.wmem, n, memory_order_relaxed);
	} else {
		s = malloc(sizeof(*s));
		if (!s) {
			pkt_buf_put(b);
			return -LINUX_ENOBUFS;
		}
		*s = (struct tcp_seg){ .seq = tp->write_seq, .len = n, .buf = b, .off = off, .flags = flags,
				       .pcount = (uint16_t)(n > tp->mss ? (n + tp->mss - 1) / tp->mss : 1) };
		list_add_tail(&tp->sendq, &s->node);
		if (!tp->unsent)
			tp->unsent = s;
		atomic_fetch_add_explicit(&tp->sk.wmem, n + TCP_SEG_OVERHEAD, memory_order_relaxed);
	}
	tp->write_seq += n;
	return 0;
}

/* May the caller send now? 0, or the error; own held. */
static long check_send(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	int e = atomic_exchange(&sk->err, 0);

	if (e)
		return -e;
	if (sk->shut & 2)
		return -LINUX_EPIPE;
	if ((TCPF(sk->c.state) & TCP_CAN_SEND) || (sk->c.state == TCPS_SYN_RECV && tp->fo_child))
		return 0;
	if (TCPF(sk->c.state) & (TCPF(TCPS_SYN_SENT) | TCPF(TCPS_SYN_RECV)))
		return -LINUX_EAGAIN;
	return -LINUX_EPIPE;
}

static long finish(struct tcp_sock *tp, long done, long err, const struct net_msg *m)
{
	bool more = m && (m->flags & NET_MSG_MORE);
	bool cork = tp->cork;

	if (done) {
		struct tcp_seg *t = tp->unsent ? list_last(&tp->sendq, struct tcp_seg, node) : NULL;

		if (t && !more)
			t->flags |= TCP_PSH;
		tp->cork = cork || more;
		tcp_push(tp, false);
		tp->cork = cork;
		if (more && tp->unsent && !tp->packets_out && tp->rtx_kind == TCP_RTX_NONE)
			tcp_rtx_arm(tp, TCP_RTX_PROBE0, TCP_RTO_MIN); /* 200 ms is how long a cork may hold */
	}
	sock_release(&tp->sk);
	return done ? done : err;
}

/* The first bytes of a connection whose SYN has not been sent: how many went into the queue for it, or the error. Own held, and
 * let go in between. */
static long queue_early(struct tcp_sock *tp, struct net_iter *it, const struct tcp_fo *fo, uint8_t flags)
{
	struct sock *sk = &tp->sk;
	/* room for all options that there may be, also those of middleboxes */
	uint32_t mss = fo->mss ? MIN(tp->mss, (uint32_t)fo->mss) : tp->mss, off, n, iss = tp->iss;
	size_t want = MIN(it->left, (size_t)MIN(mss - MIN(mss, 40u), wspace(tp)));
	struct pkt_buf *b = want ? reserve(tp, want, &off, &n) : NULL;
	long r, err;

	if (!b)
		return 0;
	sock_release_owned(sk);
	r = net_iter_copy(it, b->data + off, n);
	mutex_lock(&sk->own);
	err = check_send(tp);
	if (err == -LINUX_EAGAIN && tp->iss == iss) /* still our attempt */
		err = 0;
	if (r <= 0 || err) {
		pkt_buf_put(b);
		return err ? err : -LINUX_EFAULT;
	}
	err = append(tp, b, off, (uint32_t)r, it->left ? 0 : flags);
	return err ? err : r;
}

/* MSG_FASTOPEN, or the first write after a deferred connect(): begins the connection, with data in the SYN if a cookie is at
 * hand (RFC 7413 section 4.2.1). Own held. Bytes taken; -LINUX_EINPROGRESS: the SYN went without; or the error. */
static long send_early(struct tcp_sock *tp, struct net_iter *it, struct net_msg *m)
{
	struct sock *sk = &tp->sk;
	struct tcp_fo fo;
	long r = 0;

	if (!tp->fo_deferred) {
		if (!(sk->c.ns->sysctl.tcp_fastopen & TCP_FO_CLIENT))
			return -LINUX_EOPNOTSUPP;
		if (sk->c.state == TCPS_CLOSE && !(m->has & NET_MSG_HAS_NAME))
			return -LINUX_EINVAL;
		r = tcp_connect_start(sk, &m->name);
		if (r)
			return r;
	}
	tp->fo_deferred = false; /* this call sends the SYN; others wait for its answer */
	if (m)
		m->flags &= ~(uint32_t)NET_MSG_FASTOPEN;
	tcp_fo_lookup(tp, &fo);
	if (fo.data && it->left)
		r = queue_early(tp, it, &fo, m && (m->flags & NET_MSG_MORE) ? 0 : TCP_PSH);
	if (sk->c.state == TCPS_SYN_SENT && tp->rtx_kind == TCP_RTX_NONE) {
		tp->fo_syn_len = r > 0 ? (uint32_t)r : 0;
		tcp_connect_go(tp, &fo);
	} else if (r > 0) { /* a SYN of the peer crossed ours while the bytes were copied */
		tcp_push(tp, true);
	}
	if (r > 0 && m)
		m->has |= NET_MSG_HAS_EARLY;
	return r ? r : -LINUX_EINPROGRESS;
}

long tcp_sendmsg(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct tcp_sock *tp = tcp_sk(sk);
	uint8_t urg = m && (m->flags & NET_MSG_OOB) ? TCP_URG : 0;
	long done = 0, err;

	sock_own(sk);
	if (unlikely(tp->fo_deferred || (m && (m->flags & NET_MSG_FASTOPEN)))) {
		err = send_early(tp, it, m);
		sock_release(sk);
		return err;
	}
	err = check_send(tp);
	if (err || !it->left)
		return finish(tp, 0, err, m);
	while (it->left) {
		uint32_t off, n, room = wspace(tp);
		struct pkt_buf *b;
		struct dst *d;
		long r;

		if (!room || (tp->notsent_lowat && tp->write_seq - tp->snd_nxt >= tp->notsent_lowat)) {
			tcp_push(tp, false);
			bh_run(); /* loopback: the reader's acknowledgement may be here already */
			sndbuf_tune(tp);
			room = wspace(tp);
			if (!room)
				return finish(tp, done, -LINUX_EAGAIN, m);
		}
		if (!tp->mss || !sk->dst)
			tcp_get_dst(tp, &d);
		b = reserve(tp, it->left, &off, &n);
		if (!b)
			return finish(tp, done, -LINUX_ENOBUFS, m);
		sock_release_owned(sk); /* guest memory may be slow, or not there */
		r = net_iter_copy(it, b->data + off, n);
		mutex_lock(&sk->own);
		err = check_send(tp);
		if (r <= 0 || err) {
			pkt_buf_put(b);
			return finish(tp, done, r <= 0 ? -LINUX_EFAULT : err, m);
		}
		err = append(tp, b, off, (uint32_t)r, urg && !it->left ? urg : 0);
		if (err)
			return finish(tp, done, err, m);
		done += r;
		if ((uint32_t)r < n)
			return finish(tp, done, 0, m);
		/* keep the pipe full while a long write goes on (RFC 1122: do not wait for the push) */
		if (it->left && tp->write_seq - tp->snd_nxt >= tcp_size_goal(tp))
			tcp_push(tp, false);
	}
	return finish(tp, done, 0, m);
}
