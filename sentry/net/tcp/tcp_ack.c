/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_ack.c - an acknowledgement arrives: queue, RTT, window, congestion window
 *
 * Source:  RFC 9293 section 3.10.7.4 (fifth: check the ACK field), RFC 5961 section 5, RFC 6298 sections 2 and 3,
 *          RFC 7323 section 4 (RTT from timestamps), RFC 6937 (proportional rate reduction), RFC 2861.
 */
#include "sentry/net/tcp/tcp.h"

/* RFC 6298 section 2, with the variance bounded below by the minimum RTO as Linux does. */
void tcp_set_rto(struct tcp_sock *tp)
{
	tp->rto_ns = MIN(tp->srtt_ns + MAX(4 * tp->rttvar_ns, (uint64_t)TCP_RTO_MIN), (uint64_t)TCP_RTO_MAX);
}

void tcp_rtt_sample(struct tcp_sock *tp, uint64_t rtt)
{
	uint64_t now = net_now(tp->sk.c.ns->stack), err;

	rtt = MAX(rtt, 1ull);
	/* minimum over a window of five minutes (RACK's and TCP_INFO's min_rtt) */
	if (!tp->min_rtt_ns || rtt <= tp->min_rtt_ns || now - tp->min_rtt_at_ns > 300 * NET_SEC) {
		tp->min_rtt_ns = rtt;
		tp->min_rtt_at_ns = now;
	}
	if (!tp->srtt_ns) {
		tp->srtt_ns = rtt;
		tp->rttvar_ns = rtt / 2;
	} else {
		err = rtt > tp->srtt_ns ? rtt - tp->srtt_ns : tp->srtt_ns - rtt;
		tp->rttvar_ns = tp->rttvar_ns - tp->rttvar_ns / 4 + err / 4;
		tp->srtt_ns = tp->srtt_ns - tp->srtt_ns / 8 + rtt / 8;
	}
	tcp_set_rto(tp);
	tp->backoff = 0;
}

void tcp_rearm_rto(struct tcp_sock *tp)
{
	uint64_t now, at;
	struct tcp_seg *head = tcp_rtx_head(tp);

	if (!tp->packets_out || !head) {
		tp->rtx_at_ns = NET_NEVER;
		tp->rtx_kind = TCP_RTX_NONE;
		return;
	}
	now = net_now(tp->sk.c.ns->stack);
	/* RFC 6298 section 5.3 restarts the timer; counting from the head's transmission keeps TLP and RACK timers,
	 * which stood in for it, from stretching it. */
	at = tp->rtx_kind == TCP_RTX_TLP || tp->rtx_kind == TCP_RTX_REO ? head->tx_ns + tp->rto_ns : now + tp->rto_ns;
	tcp_rtx_arm(tp, TCP_RTX_RTO, at > now + NET_MSEC ? at - now : NET_MSEC);
}

struct clean {
	uint32_t acked, orig;		/* packets left the network; of them never retransmitted */
	uint64_t rtt_ns, ca_rtt_ns;
	unsigned flag;
};

static void seg_acked(struct tcp_sock *tp, struct tcp_seg *s, uint32_t pc, uint64_t now, struct clean *c)
{
	if (s->mark & SEG_SACKED) {
		tp->sacked_out -= pc;
	} else {
		tp->delivered += pc;
		c->acked += pc;
		tcp_rack_delivered(tp, s, now);
		if (before(s->seq, tp->fack) && !(s->mark & SEG_EVER) && tp->sack_ok)
			c->flag |= ACK_REORDER;
	}
	if (s->mark & SEG_LOST)
		tp->lost_out -= pc;
	if (s->mark & SEG_RETRANS)
		tp->retrans_out -= pc;
	tp->packets_out -= pc;
	if (s->mark & SEG_EVER) {
		c->flag |= ACK_RETRANS_DATA;
	} else {
		c->orig += pc;
		if (!(s->mark & SEG_SACKED)) {
			c->flag |= ACK_ORIG;
			c->rtt_ns = MAX(c->rtt_ns, now - s->tx_ns); /* first of the flight: includes delayed ACKs */
			c->ca_rtt_ns = now - s->tx_ns;
		}
	}
	tp->delivered_ns = now;
	tp->first_tx_ns = s->tx_ns;
	/* delivery rate: what was delivered while this range was in flight */
	if (now > s->delivered_ns && s->delivered_ns) {
		uint64_t iv = MAX(now - s->delivered_ns, s->tx_ns - s->first_ns);

		if (iv >= tp->min_rtt_ns && iv)
			tp->rate_bytes_per_s = (uint64_t)(tp->delivered - s->delivered) * tp->mss * NET_SEC / iv;
	}
}

/* Takes out of the queue what @ack covers. */
static void clean_queue(struct tcp_sock *tp, uint32_t ack, uint64_t now, struct clean *c)
{
	struct tcp_seg *s, *tmp;

	list_for_each_entry_safe(s, tmp, &tp->sendq, node) {
		if (s == tp->unsent || !before(s->seq, ack))
			break;
		c->flag |= ACK_DATA_ACKED;
		if (after(seg_end(s), ack)) { /* part of an offload packet */
			uint32_t n = ack - s->seq, pc;
			int old = s->pcount;

			if (n > s->len)
				break;
			s->pcount = (uint16_t)MAX((s->len - n + tp->mss - 1) / tp->mss, 1u);
			pc = (uint32_t)MAX(old - (int)s->pcount, 0);
			if (pc)
				seg_acked(tp, s, pc, now, c);
			s->seq += n;
			s->off += n;
			s->len -= n;
			atomic_fetch_sub_explicit(&tp->sk.wmem, n, memory_order_relaxed);
			break;
		}
		seg_acked(tp, s, s->pcount, now, c);
		list_del_init(&s->node);
		tcp_seg_free(tp, s);
	}
}

static void rtt_from_ack(struct tcp_sock *tp, const struct tcp_cb *cb, const struct clean *c, uint64_t now)
{
	uint64_t rtt = c->flag & ACK_RETRANS_DATA ? 0 : c->rtt_ns;

	/* RFC 7323 section 4: an echoed timestamp measures even retransmitted data */
	if (!rtt && tp->ts_ok && cb->has_ts && cb->tsecr && (c->flag & ACK_DATA_ACKED)) {
		uint32_t d = tcp_ts_now(tp->sk.c.ns, tp->ts_off) - cb->tsecr;

		if (d < 1u << 24)
			rtt = MAX((uint64_t)d, 1ull) * NET_MSEC;
	}
	if (rtt)
		tcp_rtt_sample(tp, rtt);
	(void)now;
}

static void window_update(struct tcp_sock *tp, const struct tcp_cb *cb, unsigned *flag)
{
	uint32_t nwin = (uint32_t)cb->wnd << ((cb->flags & TCP_SYN) ? 0 : tp->snd_wscale);

	if (!(after(cb->ack, tp->snd_una) || after(cb->seq, tp->snd_wl1) ||
	      (cb->seq == tp->snd_wl1 && (nwin > tp->snd_wnd || !nwin)))) /* a window may always close */
		return;
	tp->snd_wl1 = cb->seq;
	if (tp->snd_wnd == nwin)
		return;
	*flag |= ACK_WIN_UPDATE;
	tp->snd_wnd = nwin;
	if (nwin > tp->max_window) {
		tp->max_window = nwin;
		if (nwin < 4 * tp->mss && tp->sk.dst)
			tcp_sync_mss(tp, dst_mtu(tp->sk.c.ns, tp->sk.dst));
	}
}

/* RFC 8985 section 7.4: was the tail lost, or the probe unnecessary? */
static void tlp_acked(struct tcp_sock *tp, uint32_t ack, unsigned flag)
{
	if (!tp->tlp_high_seq || before(ack, tp->tlp_high_seq))
		return;
	if (!tp->tlp_retrans) {
		tp->tlp_high_seq = 0;
	} else if (flag & ACK_DSACK) {
		tp->tlp_high_seq = 0; /* both copies arrived */
	} else if (after(ack, tp->tlp_high_seq) || !(flag & (ACK_SND_UNA | ACK_DATA_SACKED))) {
		tp->tlp_high_seq = 0;
	} else {
		/* the probe repaired a loss: answer it as one (RFC 8985 section 7.4.2) */
		tp->tlp_high_seq = 0;
		if (tp->ca_state <= TCP_CA_DISORDER) {
			tcp_enter_cwr(tp);
			tp->cwnd = MIN(tp->cwnd, tp->ssthresh);
			tp->ca_state = TCP_CA_OPEN;
			mib_inc(tp->sk.c.ns, MIB_TCPX_LOSS_PROBE_RECOVERY);
		}
	}
}

/* RFC 6937: the window while it is being reduced. */
static void prr(struct tcp_sock *tp, uint32_t newly, bool newly_lost, bool una_advanced)
{
	uint32_t flight = tcp_in_flight(tp);
	int32_t delta = (int32_t)(tp->ssthresh - flight), cnt;

	if (!newly || !tp->prior_cwnd)
		return;
	tp->prr_delivered += newly;
	if (delta < 0) {
		uint64_t d = (uint64_t)tp->ssthresh * tp->prr_delivered + tp->prior_cwnd - 1;

		cnt = (int32_t)(d / tp->prior_cwnd - tp->prr_out);
	} else {
		cnt = MAX((int32_t)(tp->prr_delivered - tp->prr_out), (int32_t)newly);
		if (una_advanced && !newly_lost)
			cnt++;
		cnt = MIN(delta, cnt);
	}
	cnt = MAX(cnt, tp->prr_out ? 0 : 1);
	tp->cwnd = MAX(flight + (uint32_t)cnt, 1u);
}

/* On a path that swaps segments most deliveries are first told of by SACK, while the cumulative number waits for the late
 * one: windows that only grew with that would hardly grow. */
static bool may_grow(const struct tcp_sock *tp, unsigned flag)
{
	return flag & (ACK_SND_UNA | (tp->reordering > TCP_REORDERING ? ACK_DATA_SACKED : 0));
}

static void cong_update(struct tcp_sock *tp, uint32_t newly, const struct clean *c, unsigned flag, uint32_t lost_before)
{
	/* the late ones' round trips say nothing of a queue that builds up */
	uint64_t rtt = tp->sack_rtt_ns ? tp->sack_rtt_ns : c->ca_rtt_ns;

	if (tp->ca_state == TCP_CA_CWR || tp->ca_state == TCP_CA_RECOVERY) {
		prr(tp, newly, tp->lost_total != lost_before, flag & ACK_SND_UNA);
		return;
	}
	if (tp->cong->acked && newly)
		tp->cong->acked(tp, newly, rtt);
	/* RFC 7661's point: a window that was not used proves nothing */
	if (newly && may_grow(tp, flag)) {
		bool used = tp->cwnd_limited || (tp->cwnd < tp->ssthresh && tp->cwnd < 2 * tp->cwnd_used);

		if (used && tp->cwnd < tp->cwnd_clamp)
			tp->cong->cong_avoid(tp, newly);
	}
}

static void ack_stale_window(struct tcp_sock *tp)
{
	struct tcp_seg *s = tp->unsent;

	if (!s)
		return;
	if (!after(seg_end(s), tp->snd_una + tp->snd_wnd) || tp->snd_wnd) {
		tp->probes_out = 0;
		tp->backoff = 0;
		if (tp->rtx_kind == TCP_RTX_PROBE0) {
			tp->rtx_kind = TCP_RTX_NONE;
			tp->rtx_at_ns = NET_NEVER;
		}
	}
}

int tcp_ack(struct tcp_sock *tp, struct pkt *p, bool has_data)
{
	struct tcp_cb *cb = TCP_CB(p);
	uint32_t ack = cb->ack, prior_una = tp->snd_una, prior_packets = tp->packets_out;
	uint32_t prior_delivered = tp->delivered, lost_before = tp->lost_total;
	uint64_t now = net_now(tp->sk.c.ns->stack);
	struct clean c = { 0 };
	unsigned flag = 0;

	tp->rack.advanced = false;
	tp->sack_rtt_ns = 0;
	if (unlikely(before(ack, prior_una))) {
		if (before(ack, prior_una - MAX(tp->max_window, 65535u))) { /* RFC 5961 section 5.2 */
			tcp_challenge_ack(tp);
			return -1;
		}
		if (tp->sack_ok && cb->nr_sack) {
			flag |= tcp_sacktag(tp, p, prior_una);
			tcp_recovery_step(tp, flag, prior_packets, 0, lost_before, ack);
			tcp_retransmit_lost(tp);
		}
		return 0;
	}
	if (unlikely(after(ack, tp->snd_nxt)))
		return -1;
	if (after(ack, prior_una)) {
		flag |= ACK_SND_UNA;
		tp->retries = 0;
		tp->bytes_acked += ack - prior_una;
	}
	window_update(tp, cb, &flag);
	tp->snd_una = ack;
	tp->last_ack_ns = now;
	tp->probes_out = 0;
	if (cb->nr_sack && tp->sack_ok)
		flag |= tcp_sacktag(tp, p, prior_una);
	if (!prior_packets) {
		ack_stale_window(tp);
		return 1;
	}
	clean_queue(tp, ack, now, &c);
	flag |= c.flag;
	rtt_from_ack(tp, cb, &c, now);
	tlp_acked(tp, ack, flag);
	if (!(flag & (ACK_SND_UNA | ACK_WIN_UPDATE | ACK_DATA_SACKED)) && !has_data && tp->packets_out)
		tp->dupacks++;
	else if (flag & ACK_SND_UNA)
		tp->dupacks = 0;
	if (tp->ca_state != TCP_CA_OPEN || tp->sacked_out || tp->dupacks || tp->lost_out ||
	    (flag & (ACK_DATA_SACKED | ACK_DSACK | ACK_REORDER)))
		tcp_recovery_step(tp, flag, prior_packets, tp->delivered - prior_delivered, lost_before, ack);
	cong_update(tp, tp->delivered - prior_delivered, &c, flag, lost_before);
	if (flag & ACK_SND_UNA) {
		if (tp->rtx_kind != TCP_RTX_REO)
			tcp_rearm_rto(tp);
		neigh_confirm(tp->sk.dst);
		if (!tp->packets_out) {
			tp->cwnd_used = 0;
			tp->retrans_stamp_ns = 0;
		}
		if (tp->ca_state <= TCP_CA_DISORDER && tp->packets_out)
			tcp_schedule_tlp(tp);
	}
	tcp_retransmit_lost(tp);
	return 1;
}
