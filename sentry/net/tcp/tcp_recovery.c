/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_recovery.c - SACK scoreboard, RACK, entering and leaving loss recovery
 *
 * Model:   a range carries marks SACKED, LOST, RETRANS; four counters follow them. RACK decides what is lost from
 *          transmission times; without SACK, duplicate ACKs do (RFC 5681, NewReno's partial ACKs of RFC 6582).
 * Source:  RFC 2018, RFC 2883 (DSACK), RFC 8985 section 6, RFC 6675 terms, RFC 5682 (F-RTO), RFC 3522 (Eifel by
 *          timestamps), RFC 3708 (undo by DSACK).
 */
#include "sentry/net/tcp/tcp.h"

/* Strictly later in transmission order; ties broken by sequence (RFC 8985 section 6.2, RACK_sent_after). */
static bool sent_after(uint64_t t1, uint32_t seq1, uint64_t t2, uint32_t seq2)
{
	return t1 > t2 || (t1 == t2 && after(seq1, seq2));
}

void tcp_rack_delivered(struct tcp_sock *tp, const struct tcp_seg *s, uint64_t now)
{
	uint64_t rtt = now - s->tx_ns;

	/* RFC 8985 section 6.2 step 2: too fast an answer to a retransmission belongs to the original */
	if ((s->mark & SEG_EVER) && rtt < tp->min_rtt_ns)
		return;
	tp->rack.advanced = true;
	tp->rack.rtt_ns = rtt;
	if (sent_after(s->tx_ns, seg_end(s), tp->rack.xmit_ns, tp->rack.end_seq)) {
		tp->rack.xmit_ns = s->tx_ns;
		tp->rack.end_seq = seg_end(s);
	}
}

void tcp_mark_lost(struct tcp_sock *tp, struct tcp_seg *s)
{
	if (s->mark & SEG_SACKED)
		return;
	if (s->mark & SEG_RETRANS) {
		s->mark &= (uint8_t)~SEG_RETRANS;
		tp->retrans_out -= s->pcount;
		mib_inc(tp->sk.c.ns, MIB_TCPX_LOST_RETRANSMIT);
		tp->lost_total += s->pcount;
	}
	if (!(s->mark & SEG_LOST)) {
		s->mark |= SEG_LOST;
		tp->lost_out += s->pcount;
		tp->lost_total += s->pcount;
	}
}

/* RFC 8985 section 6.2 step 4. */
static uint64_t reo_wnd(const struct tcp_sock *tp)
{
	if (!tp->rack.reord && (tp->ca_state >= TCP_CA_RECOVERY || tp->sacked_out >= tp->reordering))
		return 0;
	return MIN(tp->min_rtt_ns / 4 * MAX(tp->rack.reo_wnd_mult, 1u), tp->srtt_ns);
}

uint64_t tcp_rack_detect(struct tcp_sock *tp, uint64_t now)
{
	uint64_t wnd = reo_wnd(tp), wait = 0;
	struct tcp_seg *s;

	if (!tp->rack.xmit_ns)
		return 0;
	list_for_each_entry(s, &tp->sendq, node) {
		uint64_t due;

		if (s == tp->unsent)
			break;
		if ((s->mark & SEG_SACKED) || ((s->mark & SEG_LOST) && !(s->mark & SEG_RETRANS)))
			continue;
		if (!sent_after(tp->rack.xmit_ns, tp->rack.end_seq, s->tx_ns, seg_end(s)))
			continue;
		due = s->tx_ns + tp->rack.rtt_ns + wnd;
		if (due <= now)
			tcp_mark_lost(tp, s);
		else
			wait = MAX(wait, due - now);
	}
	return wait;
}

/* ---- scoreboard ------------------------------------------------------------------------------------------ */

static unsigned check_dsack(struct tcp_sock *tp, const uint8_t *b, unsigned nr, uint32_t ack, uint32_t prior_una)
{
	uint32_t s0 = rd32(b), e0 = rd32(b + 4);
	bool dup = false;

	if (before(s0, ack)) {
		dup = true;
	} else if (nr > 1) {
		uint32_t s1 = rd32(b + 8), e1 = rd32(b + 12);

		dup = !before(s0, s1) && !after(e0, e1);
	}
	if (!dup || !before(s0, e0))
		return 0;
	tp->dsack_dups++;
	mib_inc(tp->sk.c.ns, MIB_TCPX_DSACK_RECV);
	/* RFC 8985 section 6.2: a duplicate says that the reordering window was too small */
	if (!tp->rack.dsack_seen) {
		tp->rack.dsack_seen = true;
		tp->rack.reo_wnd_mult = MIN(tp->rack.reo_wnd_mult + 1, 16u);
		tp->rack.reo_wnd_persist = 16;
	}
	if (tp->undo_marker && tp->undo_retrans > 0 && after(e0, tp->undo_marker) && !after(e0, prior_una + tp->max_window))
		tp->undo_retrans -= (int32_t)MAX(1u, MIN((e0 - s0) / MAX(tp->mss, 1u), (uint32_t)tp->undo_retrans));
	return ACK_DSACK;
}

static unsigned seg_sack(struct tcp_sock *tp, struct tcp_seg *s, uint64_t now)
{
	unsigned flag = ACK_DATA_SACKED;

	if (s->mark & SEG_SACKED)
		return 0;
	tcp_rack_delivered(tp, s, now);
	if (!(s->mark & SEG_EVER)) {
		flag |= ACK_ORIG;
		if (before(s->seq, tp->fack))
			flag |= ACK_REORDER;
		tp->sack_rtt_ns = now - s->tx_ns;
		if (now > s->tx_ns && !tp->srtt_ns)
			tcp_rtt_sample(tp, now - s->tx_ns);
	}
	if (s->mark & SEG_RETRANS) {
		s->mark &= (uint8_t)~SEG_RETRANS;
		tp->retrans_out -= s->pcount;
	}
	if (s->mark & SEG_LOST) {
		s->mark &= (uint8_t)~SEG_LOST;
		tp->lost_out -= s->pcount;
	}
	s->mark |= SEG_SACKED;
	tp->sacked_out += s->pcount;
	tp->delivered += s->pcount;
	if (after(seg_end(s), tp->fack))
		tp->fack = seg_end(s);
	return flag;
}

/* Marks everything inside [b, e); cuts ranges at its edges. */
static unsigned sack_block(struct tcp_sock *tp, uint32_t b, uint32_t e, uint64_t now)
{
	unsigned flag = 0;
	struct tcp_seg *s;

	list_for_each_entry(s, &tp->sendq, node) {
		if (s == tp->unsent || !before(s->seq, e))
			break;
		if (!after(seg_end(s), b) || (s->mark & SEG_SACKED))
			continue;
		if (before(s->seq, b)) {
			if (b - s->seq >= s->len || !tcp_seg_split(tp, s, b - s->seq))
				continue;
			continue; /* the second half comes next */
		}
		if (after(seg_end(s), e) && (e - s->seq >= s->len || !tcp_seg_split(tp, s, e - s->seq)))
			continue;
		flag |= seg_sack(tp, s, now);
	}
	return flag;
}

unsigned tcp_sacktag(struct tcp_sock *tp, struct pkt *p, uint32_t prior_una)
{
	struct tcp_cb *cb = TCP_CB(p);
	const uint8_t *b = pkt_l4(p) + cb->sack_off;
	unsigned nr = MIN(cb->nr_sack, (uint8_t)4), flag = 0;
	uint64_t now = net_now(tp->sk.c.ns->stack);

	if (!tp->sacked_out && (before(tp->fack, tp->snd_una) || !tp->packets_out))
		tp->fack = tp->snd_una;
	flag |= check_dsack(tp, b, nr, cb->ack, prior_una);
	for (unsigned i = 0; i < nr; i++) {
		uint32_t s = rd32(b + 8 * i), e = rd32(b + 8 * i + 4);

		if (!before(s, e) || after(e, tp->snd_nxt) || !after(e, tp->snd_una))
			continue; /* nonsense, the future, or the past */
		if (before(s, tp->snd_una))
			s = tp->snd_una;
		flag |= sack_block(tp, s, e, now);
	}
	return flag;
}

/* ---- states -------------------------------------------------------------------------------------------------- */

static void remember_for_undo(struct tcp_sock *tp)
{
	tp->undo_marker = tp->snd_una;
	tp->undo_retrans = tp->retrans_out ? (int32_t)tp->retrans_out : -1;
	tp->prior_cwnd = tp->cwnd;
	tp->prior_ssthresh = tp->ssthresh;
}

static void start_reduction(struct tcp_sock *tp)
{
	tp->high_seq = tp->snd_nxt;
	tp->tlp_high_seq = 0;
	tp->cwnd_cnt = 0;
	tp->prior_cwnd = tp->cwnd;
	tp->prr_delivered = tp->prr_out = 0;
	tp->ssthresh = tp->cong->ssthresh(tp);
}

void tcp_enter_cwr(struct tcp_sock *tp)
{
	if (tp->ca_state >= TCP_CA_CWR)
		return;
	tp->prior_ssthresh = 0;
	tp->undo_marker = 0;
	start_reduction(tp);
	tp->ca_state = TCP_CA_CWR;
}

static void enter_recovery(struct tcp_sock *tp)
{
	mib_inc(tp->sk.c.ns, tp->sack_ok ? MIB_TCPX_SACK_RECOVERY : MIB_TCPX_RENO_RECOVERY);
	remember_for_undo(tp);
	tp->retrans_stamp_ns = 0;
	if (tp->ca_state < TCP_CA_CWR) {
		uint32_t prior = tp->prior_ssthresh;

		start_reduction(tp);
		tp->prior_ssthresh = prior;
	} else {
		tp->high_seq = tp->snd_nxt;
	}
	tp->ca_state = TCP_CA_RECOVERY;
}

/* RFC 6298 section 5 (5.4-5.6), RFC 5681 section 3.1 equation 4. */
void tcp_enter_loss(struct tcp_sock *tp)
{
	struct tcp_seg *s;
	bool fresh = tp->ca_state <= TCP_CA_DISORDER || !after(tp->high_seq, tp->snd_una) ||
		     (tp->ca_state == TCP_CA_LOSS && !tp->retries);

	if (fresh) {
		remember_for_undo(tp);
		tp->ssthresh = tp->cong->ssthresh(tp);
		if (tp->cong->loss)
			tp->cong->loss(tp);
	}
	list_for_each_entry(s, &tp->sendq, node) {
		if (s == tp->unsent)
			break;
		if (s->mark & SEG_RETRANS) {
			s->mark &= (uint8_t)~SEG_RETRANS;
			tp->retrans_out -= s->pcount;
		}
		tcp_mark_lost(tp, s);
	}
	if (!tp->sack_ok)
		tp->sacked_out = 0;
	tp->cwnd = tcp_in_flight(tp) + 1;
	tp->cwnd_cnt = 0;
	tp->dupacks = 0;
	tp->ca_state = TCP_CA_LOSS;
	tp->tlp_high_seq = 0;
	/* RFC 5682: only the first timeout of a flight can be judged */
	tp->frto = fresh && tp->sk.c.ns->sysctl.tcp_recovery;
	tp->high_seq = tp->snd_nxt;
}

/* RFC 3522: the acknowledgement echoes a time before the first retransmission, so it is for what was sent before. */
static bool original_arrived(const struct tcp_sock *tp)
{
	return tp->ts_ok && tp->retrans_stamp_ns && tp->rcv_tstamp &&
	       before(tp->rcv_tstamp - tp->ts_off, (uint32_t)(tp->retrans_stamp_ns / NET_MSEC));
}

/* Was the reduction a mistake? By timestamps or because every retransmission was reported twice (RFC 3708). */
static bool may_undo(const struct tcp_sock *tp)
{
	return tp->undo_marker && (!tp->undo_retrans || original_arrived(tp));
}

static void undo(struct tcp_sock *tp, bool unmark)
{
	struct tcp_seg *s;

	if (unmark) {
		list_for_each_entry(s, &tp->sendq, node) {
			if (s == tp->unsent)
				break;
			s->mark &= (uint8_t)~SEG_LOST;
		}
		tp->lost_out = 0;
	}
	if (tp->prior_ssthresh) {
		tp->cwnd = MAX(tp->cwnd, tp->prior_cwnd);
		tp->ssthresh = MAX(tp->ssthresh, tp->prior_ssthresh);
	}
	tp->undo_marker = 0;
	tp->retrans_stamp_ns = 0;
	tp->rack.advanced = true;
}

static void end_reduction(struct tcp_sock *tp)
{
	if (tp->ssthresh < 0x7fffffff && (tp->ca_state == TCP_CA_CWR || tp->undo_marker))
		tp->cwnd = MAX(MIN(tp->cwnd, tp->ssthresh), tp->ca_state == TCP_CA_CWR ? 1u : tp->ssthresh);
}

static void to_open(struct tcp_sock *tp)
{
	/* undo_marker stays: the reports that all retransmissions were needless mostly come after the recovery's end */
	tp->ca_state = tp->sacked_out || tp->lost_out ? TCP_CA_DISORDER : TCP_CA_OPEN;
	tp->frto = false;
}

/* Without SACK duplicate ACKs stand for SACKed segments (RFC 5681 section 3.2). */
static void reno_dupacks(struct tcp_sock *tp, unsigned flag, uint32_t newly_acked)
{
	if (tp->sack_ok)
		return;
	if (flag & ACK_SND_UNA) {
		tp->sacked_out -= MIN(tp->sacked_out, newly_acked > 1 ? newly_acked - 1 : 0);
		if (tp->ca_state < TCP_CA_RECOVERY)
			tp->sacked_out = 0;
	} else if (tp->dupacks && tp->sacked_out + 1 < tp->packets_out) {
		tp->sacked_out++;
		tp->delivered++;
	}
	if (tp->sacked_out > tp->packets_out)
		tp->sacked_out = tp->packets_out;
}

static void mark_head_lost(struct tcp_sock *tp)
{
	struct tcp_seg *s = tcp_rtx_head(tp);

	if (!s || (s->mark & SEG_LOST))
		return;
	if (s->pcount > 1 && !tcp_seg_split(tp, s, tp->mss))
		return;
	tcp_mark_lost(tp, s);
}

static void identify_loss(struct tcp_sock *tp, unsigned flag)
{
	if (!tp->sack_ok) {
		if (tp->dupacks >= tp->reordering || (tp->ca_state == TCP_CA_RECOVERY && (flag & ACK_SND_UNA)))
			mark_head_lost(tp);
		return;
	}
	if (tp->rack.advanced || tp->ca_state >= TCP_CA_RECOVERY) {
		uint64_t wait = tcp_rack_detect(tp, net_now(tp->sk.c.ns->stack));

		if (wait)
			tcp_rtx_arm(tp, TCP_RTX_REO, wait);
		else if (tp->rtx_kind == TCP_RTX_REO)
			tcp_rearm_rto(tp);
	}
}

/* True: the timeout was spurious, sending goes on as if nothing had happened. */
static bool process_loss(struct tcp_sock *tp, unsigned flag)
{
	bool recovered = !before(tp->snd_una, tp->high_seq);

	if (((flag & ACK_SND_UNA) || (flag & ACK_DATA_SACKED)) && may_undo(tp)) {
		undo(tp, true);
		to_open(tp);
		return true;
	}
	if (tp->frto) {
		if ((flag & ACK_ORIG) && !(flag & ACK_RETRANS_DATA)) { /* RFC 5682 section 2.1 step 3b */
			mib_inc(tp->sk.c.ns, MIB_TCPX_SPURIOUS_RTOS);
			undo(tp, true);
			to_open(tp);
			return true;
		}
		if (flag & ACK_RETRANS_DATA)
			tp->frto = false;
	}
	if (recovered) {
		if (tp->undo_marker && may_undo(tp))
			undo(tp, true);
		to_open(tp);
		tp->retrans_stamp_ns = 0;
	}
	return false;
}

static void note_reordering(struct tcp_sock *tp, unsigned flag)
{
	if (!(flag & ACK_REORDER))
		return;
	tp->rack.reord = true;
	tp->reord_seen++;
	if (tp->reordering < 300)
		tp->reordering = MIN(MAX(tp->reordering + 1, tp->sacked_out), 300u);
	mib_inc(tp->sk.c.ns, MIB_TCPX_SACK_REORDER);
}

/* Reordering looked like a loss: seen by duplicate reports for every retransmission at any time, or within a recovery by a
 * late original that fills the hole while none of them is under way any more. */
static void undo_early(struct tcp_sock *tp, unsigned flag)
{
	bool dsacked = tp->undo_marker && !tp->undo_retrans && (flag & ACK_DSACK);

	if (tp->ca_state <= TCP_CA_DISORDER) {
		if (dsacked)
			undo(tp, false);
	} else if (tp->ca_state == TCP_CA_RECOVERY) {
		if (dsacked || ((flag & ACK_SND_UNA) && tp->undo_marker && !tp->retrans_out && original_arrived(tp))) {
			undo(tp, true);
			to_open(tp);
		}
	}
}

void tcp_recovery_step(struct tcp_sock *tp, unsigned flag, uint32_t prior_packets, uint32_t newly_acked,
		       uint32_t lost_before, uint32_t ack)
{
	(void)prior_packets;
	(void)lost_before;
	(void)ack;
	note_reordering(tp, flag);
	reno_dupacks(tp, flag, newly_acked);
	if (!before(tp->snd_una, tp->high_seq)) {
		switch (tp->ca_state) {
		case TCP_CA_CWR:
			if (tp->snd_una != tp->high_seq || !tp->packets_out) {
				end_reduction(tp);
				to_open(tp);
			}
			break;
		case TCP_CA_RECOVERY:
			if (may_undo(tp))
				undo(tp, false);
			else
				end_reduction(tp);
			if (tp->rack.reo_wnd_persist && !--tp->rack.reo_wnd_persist)
				tp->rack.reo_wnd_mult = 1;
			tp->rack.dsack_seen = false;
			if (!tp->sack_ok)
				tp->sacked_out = 0;
			tp->dupacks = 0;
			tp->retrans_stamp_ns = 0;
			to_open(tp);
			break;
		}
	}
	if (tp->ca_state == TCP_CA_LOSS) {
		if (!process_loss(tp, flag) && tp->ca_state == TCP_CA_LOSS)
			identify_loss(tp, flag);
		if (tp->ca_state == TCP_CA_LOSS || !tp->lost_out)
			return;
	}
	undo_early(tp, flag);
	identify_loss(tp, flag);
	if (tp->ca_state == TCP_CA_RECOVERY)
		return;
	if (tp->lost_out)
		enter_recovery(tp);
	else if (tp->ca_state <= TCP_CA_DISORDER)
		to_open(tp);
}
