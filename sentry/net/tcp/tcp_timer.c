/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_timer.c - timeouts of a connection: one timer, several deadlines
 *
 * Model:   a connection keeps its deadlines (retransmission and its stand-ins, delayed ACK, keepalive) as times; the
 *          timer is set to the earliest, and only ever moved to an earlier time. A timer that fires too early looks,
 *          and sets itself again. Moving the retransmission deadline with each ACK so costs nothing.
 * Source:  RFC 6298 section 5, RFC 8985 section 7 (probe timeout), RFC 1122 section 4.2.3.6 (keepalive), RFC 9293
 *          sections 3.8.3 (R1, R2), 3.8.6.1 (zero window probes), RFC 5482.
 */
#include "sentry/net/tcp/tcp.h"

/* Deadlines that mostly pass unneeded are waited for in steps, so that one wake-up of the host's timer does for all
 * connections: those of busy servers would take a thousand a second. Linux's step is a tick of 1 to 10 ms. */
#define RTX_STEP  (4 * NET_MSEC)
#define LAZY_STEP (10 * NET_MSEC)

static uint64_t step_up(uint64_t at, uint64_t step)
{
	return at > NET_NEVER - step ? NET_NEVER : (at + step - 1) / step * step;
}

static uint64_t earliest(const struct tcp_sock *tp)
{
	uint64_t rtx = tp->rtx_kind == TCP_RTX_REO ? tp->rtx_at_ns : step_up(tp->rtx_at_ns, RTX_STEP);

	return MIN(rtx, step_up(MIN(tp->delack_at_ns, tp->keep_at_ns), LAZY_STEP));
}

void tcp_timer_sync(struct tcp_sock *tp)
{
	uint64_t at = earliest(tp);

	if (at >= tp->timer_armed_ns || tp->sk.c.state == TCPS_CLOSE)
		return;
	tp->timer_armed_ns = at;
	if (net_timer_arm(tp->sk.c.ns->stack, &tp->timer, at))
		sock_get(&tp->sk);
}

void tcp_timers_stop(struct tcp_sock *tp)
{
	tp->rtx_at_ns = tp->delack_at_ns = tp->keep_at_ns = NET_NEVER;
	tp->rtx_kind = TCP_RTX_NONE;
	tp->timer_armed_ns = NET_NEVER;
	if (net_timer_cancel(tp->sk.c.ns->stack, &tp->timer))
		sock_put(&tp->sk);
}

void tcp_rtx_arm(struct tcp_sock *tp, enum tcp_rtx_kind kind, uint64_t delay)
{
	tp->rtx_kind = kind;
	tp->rtx_at_ns = net_now(tp->sk.c.ns->stack) + MIN(delay, (uint64_t)TCP_RTO_MAX);
	tcp_timer_sync(tp);
}

/* RFC 8985 section 7.2. True: the probe timer is armed (instead of the RTO). */
bool tcp_schedule_tlp(struct tcp_sock *tp)
{
	uint64_t now = net_now(tp->sk.c.ns->stack), pto, rto_at;
	struct tcp_seg *head = tcp_rtx_head(tp);

	if (!tp->sack_ok || !tp->sk.c.ns->sysctl.tcp_early_retrans || tp->ca_state > TCP_CA_CWR || !tp->packets_out ||
	    tp->tlp_high_seq || tp->sacked_out || !head || tp->sk.c.state == TCPS_SYN_SENT)
		return false;
	pto = tp->srtt_ns ? 2 * tp->srtt_ns : TCP_RTO_INIT;
	if (tp->packets_out == 1)
		pto += TCP_RTO_MIN; /* a lone segment's ACK may be delayed */
	else
		pto += 2 * NET_MSEC;
	rto_at = head->tx_ns + tp->rto_ns;
	if (now + pto >= rto_at)
		return false;
	tcp_rtx_arm(tp, TCP_RTX_TLP, pto);
	return true;
}

void tcp_keepalive_arm(struct tcp_sock *tp)
{
	uint32_t idle = tp->keep_idle_s ? tp->keep_idle_s : (uint32_t)tp->sk.c.ns->sysctl.tcp_keepalive_time;

	if (TCPF(tp->sk.c.state) & (TCPF(TCPS_CLOSE) | TCPF(TCPS_LISTEN) | TCPF(TCPS_SYN_SENT)))
		return;
	tp->keep_at_ns = net_now(tp->sk.c.ns->stack) + idle * NET_SEC;
	tcp_timer_sync(tp);
}

static void give_up(struct tcp_sock *tp)
{
	int e = atomic_exchange(&tp->sk.err_soft, 0);

	mib_inc(tp->sk.c.ns, MIB_TCPX_ABORT_ON_TIMEOUT);
	tcp_reset(tp, e ? e : LINUX_ETIMEDOUT);
}

/* Has it been retried for longer than @retries backed-off timeouts (or the user's limit) would take? */
static bool timed_out(struct tcp_sock *tp, unsigned retries, bool user)
{
	uint64_t now = net_now(tp->sk.c.ns->stack), limit, start = tp->retrans_stamp_ns;

	if (!start)
		return false;
	if (user && tp->user_timeout_ms)
		return now - start >= tp->user_timeout_ms * NET_MSEC;
	if (retries <= 9)
		limit = ((2ull << retries) - 1) * TCP_RTO_MIN;
	else
		limit = ((2ull << 9) - 1) * TCP_RTO_MIN + (retries - 9) * TCP_RTO_MAX;
	return now - start >= limit;
}

static unsigned orphan_retries(const struct tcp_sock *tp, bool alive)
{
	unsigned n = (unsigned)tp->sk.c.ns->sysctl.tcp_orphan_retries;

	if (atomic_load(&tp->sk.err_soft) && !alive)
		return 0;
	return n ? n : 8;
}

static void syn_timeout(struct tcp_sock *tp)
{
	struct net_ns *ns = tp->sk.c.ns;
	unsigned max = tp->syncnt ? tp->syncnt : (unsigned)(tp->fo_child ? ns->sysctl.tcp_synack_retries : ns->sysctl.tcp_syn_retries);

	if (tp->syn_retries >= max ||
	    (tp->user_timeout_ms && net_now(ns->stack) - tp->retrans_stamp_ns >= tp->user_timeout_ms * NET_MSEC)) {
		give_up(tp);
		return;
	}
	tp->syn_retries++;
	mib_inc(ns, MIB_TCP_RETRANS_SEGS);
	mib_inc(ns, MIB_TCPX_TIMEOUTS);
	tp->total_retrans++;
	if (tp->sk.c.state == TCPS_SYN_SENT) {
		sock_dst_reset(&tp->sk);
		tcp_send_syn(tp, NULL); /* RFC 7413 section 4.1.3: without what a middlebox may have taken offence at */
	} else {
		tcp_send_synack(tp, NULL);
	}
	tcp_rtx_arm(tp, TCP_RTX_RTO, TCP_RTO_INIT << MIN(tp->syn_retries, (uint8_t)6));
}

static void rto(struct tcp_sock *tp)
{
	struct net_ns *ns = tp->sk.c.ns;
	struct tcp_seg *head;
	bool dead;

	/* a fast child may have gone on to FIN_WAIT1: its SYN-ACK comes first */
	if ((TCPF(tp->sk.c.state) & (TCPF(TCPS_SYN_SENT) | TCPF(TCPS_SYN_RECV))) || tp->fo_parent) {
		syn_timeout(tp);
		return;
	}
	head = tcp_rtx_head(tp);
	if (!head)
		return;
	if (tp->sk.closed)
		dead = timed_out(tp, orphan_retries(tp, tp->rto_ns < TCP_RTO_MAX), false);
	else
		dead = timed_out(tp, (unsigned)ns->sysctl.tcp_retries2, true);
	if (dead) {
		give_up(tp);
		return;
	}
	if (tp->retries == 3) /* RFC 1122 section 3.3.1.4: perhaps the route died */
		sock_dst_reset(&tp->sk);
	mib_inc(ns, MIB_TCPX_TIMEOUTS);
	tcp_enter_loss(tp);
	head = tcp_rtx_head(tp);
	if (tp->retries < 255)
		tp->retries++;
	if (tcp_retransmit_seg(tp, head, 1)) { /* nothing left this machine: no backing off for that */
		tcp_rtx_arm(tp, TCP_RTX_RTO, MIN(tp->rto_ns, 500 * NET_MSEC));
		return;
	}
	if (tp->backoff < 16)
		tp->backoff++;
	tp->rto_ns = MIN(tp->rto_ns * 2, (uint64_t)TCP_RTO_MAX); /* RFC 6298 (5.5) */
	tcp_rtx_arm(tp, TCP_RTX_RTO, tp->rto_ns);
}

static void probe0(struct tcp_sock *tp)
{
	struct net_ns *ns = tp->sk.c.ns;
	unsigned max = (unsigned)ns->sysctl.tcp_retries2;
	struct tcp_seg *s = tp->unsent;

	if (tp->packets_out || !s) {
		tp->probes_out = 0;
		tcp_rearm_rto(tp);
		return;
	}
	if (before(s->seq, tp->snd_una + tp->snd_wnd)) { /* not the window: a cork, Nagle, memory or route */
		tcp_push(tp, true);
		if (!tp->packets_out && tp->unsent)
			tcp_rtx_arm(tp, TCP_RTX_PROBE0, MAX(tp->rto_ns, TCP_RTO_MIN));
		return;
	}
	if (!tp->retrans_stamp_ns)
		tp->retrans_stamp_ns = net_now(ns->stack);
	if (tp->user_timeout_ms && net_now(ns->stack) - MAX(tp->last_ack_ns, tp->retrans_stamp_ns) >= tp->user_timeout_ms * NET_MSEC) {
		give_up(tp);
		return;
	}
	if (tp->sk.closed)
		max = orphan_retries(tp, true);
	if (tp->probes_out >= max) {
		give_up(tp);
		return;
	}
	mib_inc(ns, MIB_TCPX_ZERO_WINDOW_PROBE);
	tp->probes_out++;
	if (tp->backoff < 16)
		tp->backoff++;
	tcp_send_probe(tp, false);
	tcp_rtx_arm(tp, TCP_RTX_PROBE0, MIN(MAX(tp->rto_ns, (uint64_t)TCP_RTO_MIN) << MIN(tp->backoff, (uint8_t)12), (uint64_t)TCP_RTO_MAX));
}

static void rtx_timeout(struct tcp_sock *tp, uint64_t now)
{
	enum tcp_rtx_kind kind = tp->rtx_kind;
	uint64_t wait;

	tp->rtx_at_ns = NET_NEVER;
	tp->rtx_kind = TCP_RTX_NONE;
	switch (kind) {
	case TCP_RTX_NONE:
		break;
	case TCP_RTX_RTO:
		rto(tp);
		break;
	case TCP_RTX_PROBE0:
		probe0(tp);
		break;
	case TCP_RTX_TLP:
		tp->rtx_kind = TCP_RTX_TLP; /* for the re-arming below: RTO counts from the head */
		tcp_send_tlp(tp);
		if (tp->rtx_kind == TCP_RTX_TLP)
			tcp_rearm_rto(tp);
		break;
	case TCP_RTX_REO:
		wait = tcp_rack_detect(tp, now);
		if (tp->lost_out)
			tcp_recovery_step(tp, 0, tp->packets_out, 0, tp->lost_total, tp->snd_una);
		tcp_retransmit_lost(tp);
		if (wait)
			tcp_rtx_arm(tp, TCP_RTX_REO, wait);
		else {
			tp->rtx_kind = TCP_RTX_REO;
			tcp_rearm_rto(tp);
		}
		break;
	}
}

static void keepalive(struct tcp_sock *tp, uint64_t now)
{
	struct net_ns *ns = tp->sk.c.ns;
	uint32_t idle = tp->keep_idle_s ? tp->keep_idle_s : (uint32_t)ns->sysctl.tcp_keepalive_time;
	uint32_t intvl = tp->keep_intvl_s ? tp->keep_intvl_s : (uint32_t)ns->sysctl.tcp_keepalive_intvl;
	uint32_t cnt = tp->keep_cnt ? tp->keep_cnt : (uint32_t)ns->sysctl.tcp_keepalive_probes;
	uint64_t last = MAX(tp->last_rx_ns, tp->last_ack_ns);

	tp->keep_at_ns = NET_NEVER;
	if (tp->sk.c.state == TCPS_FIN_WAIT2 && tp->sk.closed) { /* orphaned too long */
		tcp_time_wait(tp);
		return;
	}
	if (!tp->sk.keepalive || (TCPF(tp->sk.c.state) & (TCPF(TCPS_CLOSE) | TCPF(TCPS_SYN_SENT))))
		return;
	if (tp->packets_out || tp->unsent) { /* retransmission watches already */
		tp->keep_at_ns = now + idle * NET_SEC;
		return;
	}
	if (now - last < idle * NET_SEC) {
		tp->keep_at_ns = last + idle * NET_SEC;
		return;
	}
	if ((tp->user_timeout_ms && tp->probes_out && now - last >= tp->user_timeout_ms * NET_MSEC) ||
	    (!tp->user_timeout_ms && tp->probes_out >= cnt)) {
		tcp_send_rst(tp);
		give_up(tp);
		return;
	}
	mib_inc(ns, MIB_TCPX_KEEPALIVE);
	tp->probes_out++;
	tcp_send_probe(tp, false);
	tp->keep_at_ns = now + intvl * NET_SEC;
}

void tcp_timer_fn(struct net_timer *t)
{
	struct tcp_sock *tp = container_of(t, struct tcp_sock, timer);
	uint64_t now;

	sock_own(&tp->sk);
	now = net_now(tp->sk.c.ns->stack);
	tp->timer_armed_ns = NET_NEVER;
	if (tp->sk.c.state == TCPS_CLOSE || tp->sk.c.state == TCPS_LISTEN)
		goto out;
	if (tp->delack_at_ns <= now) {
		tp->delack_at_ns = NET_NEVER;
		if (tp->ack_sched || tp->ack_now) {
			mib_inc(tp->sk.c.ns, MIB_TCPX_DELAYED_ACKS);
			tp->pingpong = false; /* nothing to ride on came: be quicker the next time */
			tcp_send_ack(tp);
		}
	}
	if (tp->rtx_at_ns <= now)
		rtx_timeout(tp, now);
	if (tp->sk.c.state != TCPS_CLOSE && tp->keep_at_ns <= now)
		keepalive(tp, now);
	if (tp->sk.c.state != TCPS_CLOSE)
		tcp_timer_sync(tp);
out:
	sock_release(&tp->sk);
	sock_put(&tp->sk);
}
