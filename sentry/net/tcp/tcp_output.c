/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_output.c - what is sent when: segments, acknowledgements, windows, MSS
 *
 * Model:   tcp_push() walks the unsent ranges, builds offload packets of up to 64 KiB that reference the queued
 *          bytes, and hands the whole burst to IP at once.
 * Source:  RFC 9293 section 3.8.6 (window management), RFC 1122 section 4.2.3.4 (Nagle), RFC 5681, RFC 8985 section 7
 *          (TLP), RFC 6691 (MSS and options).
 */
#include "sentry/net/core/csum.h"
#include "sentry/net/tcp/tcp.h"

/* ---- route and MSS ----------------------------------------------------------------------------------- */

int tcp_get_dst(struct tcp_sock *tp, struct dst **out)
{
	struct sock *sk = &tp->sk;
	struct dst *d = sk->dst;
	struct net_flow fl;
	int ret;

	if (likely(d && d->gen == atomic_load_explicit(&sk->c.ns->route_gen, memory_order_acquire) &&
		   d->expires_ns == NET_NEVER)) {
		*out = d; /* borrowed: only the owner of sk changes sk->dst of a stream */
		return 0;
	}
	sock_flow(sk, &sk->c.raddr, &fl);
	fl.any_src = true;
	ret = sock_route(sk, &fl, true, &d);
	if (ret)
		return ret;
	dst_put(d); /* sk->dst keeps its own */
	tp->gso_max = d->link->gso_max ? d->link->gso_max : PKT_MAX_LEN;
	tcp_sync_mss(tp, dst_mtu(sk->c.ns, d));
	*out = d;
	return 0;
}

void tcp_sync_mss(struct tcp_sock *tp, uint32_t pmtu)
{
	uint32_t ip = naddr_is_v4(&tp->sk.c.raddr) ? IP4_HLEN : IP6_HLEN, mss;

	pmtu = MIN(pmtu, PKT_MAX_LEN);
	mss = pmtu > ip + TCP_HLEN ? pmtu - ip - TCP_HLEN : TCP_MIN_MSS;
	mss = MIN(mss, tp->peer_mss ? tp->peer_mss : TCP_DEFAULT_MSS);
	if (tp->user_mss)
		mss = MIN(mss, tp->user_mss);
	if (tp->max_window && tp->max_window < 2 * mss && tp->max_window > 512) /* small windows: half of one */
		mss = MAX(tp->max_window / 2, TCP_MIN_MSS);
	mss = MAX(mss, (uint32_t)tp->sk.c.ns->sysctl.tcp_min_snd_mss);
	if (tp->ts_ok)
		mss -= 12;
	tp->mss = MAX(mss, 36u);
}

uint32_t tcp_size_goal(struct tcp_sock *tp)
{
	uint32_t max = MIN(tp->gso_max ? tp->gso_max : PKT_MAX_LEN, PKT_MAX_LEN) - 128;

	if (max < tp->mss || tp->mss > max)
		return tp->mss;
	return max - max % tp->mss;
}

/* ---- receive window ------------------------------------------------------------------------------------ */

/* How far the window may reach now: free buffer, kept on MSS steps (RFC 9293 section 3.8.6.2.2). */
uint32_t tcp_compute_window(struct tcp_sock *tp)
{
	struct sock *sk = &tp->sk;
	uint32_t full = (uint32_t)sk->rcvbuf - (uint32_t)sk->rcvbuf / 4, used = atomic_load(&sk->rmem);
	uint32_t space = used < (uint32_t)sk->rcvbuf ? (uint32_t)sk->rcvbuf - used : 0, mss = tp->rcv_mss, win;

	space -= space / 4; /* headers and half-filled buffers are charged too */
	if (tp->window_clamp)
		full = MIN(full, tp->window_clamp);
	if (mss > full)
		mss = full;
	if (space < full / 2 && (space < full / 16 || space < mss))
		return 0;
	space = MIN(space, full);
	if (tp->rcv_wscale) {
		win = ALIGN_UP(space, 1u << tp->rcv_wscale);
	} else {
		win = tp->rcv_wnd;
		if (win <= space - MIN(space, mss) || win > space)
			win = mss ? space / mss * mss : space;
	}
	return win;
}

/* The window field of the next segment; never takes back what was promised. */
uint16_t tcp_select_window(struct tcp_sock *tp)
{
	uint32_t cur = tp->rcv_wup + tp->rcv_wnd - tp->rcv_nxt, win = tcp_compute_window(tp);

	if ((int32_t)cur < 0)
		cur = 0;
	if (win < cur)
		win = ALIGN_UP(cur, 1u << tp->rcv_wscale);
	tp->rcv_wnd = win;
	tp->rcv_wup = tp->rcv_nxt;
	if (!tp->rcv_wscale)
		win = MIN(win, 65535u);
	else
		win = MIN(win, 65535u << tp->rcv_wscale);
	tp->rcv_wnd = win;
	return (uint16_t)(win >> tp->rcv_wscale);
}

/* ---- ranges ---------------------------------------------------------------------------------------------- */

static void seg_count(struct tcp_sock *tp, struct tcp_seg *s)
{
	s->pcount = (uint16_t)(s->len > tp->mss ? (s->len + tp->mss - 1) / tp->mss : 1);
}

void tcp_seg_free(struct tcp_sock *tp, struct tcp_seg *s)
{
	atomic_fetch_sub_explicit(&tp->sk.wmem, s->len + TCP_SEG_OVERHEAD, memory_order_relaxed);
	if (s->buf)
		pkt_buf_put(s->buf);
	free(s);
}

void tcp_sendq_purge(struct tcp_sock *tp)
{
	struct tcp_seg *s, *tmp;

	list_for_each_entry_safe(s, tmp, &tp->sendq, node) {
		list_del_init(&s->node);
		tcp_seg_free(tp, s);
	}
	tp->unsent = NULL;
	tp->packets_out = tp->sacked_out = tp->lost_out = tp->retrans_out = 0;
	if (tp->wbuf)
		pkt_buf_put(tp->wbuf);
	tp->wbuf = NULL;
}

/* Counters that depend on a range's mark, when its packet count changes by @d. */
static void count_adjust(struct tcp_sock *tp, const struct tcp_seg *s, int d)
{
	if (s->mark & SEG_SACKED)
		tp->sacked_out += (uint32_t)d;
	if (s->mark & SEG_LOST)
		tp->lost_out += (uint32_t)d;
	if (s->mark & SEG_RETRANS)
		tp->retrans_out += (uint32_t)d;
	tp->packets_out += (uint32_t)d;
}

struct tcp_seg *tcp_seg_split(struct tcp_sock *tp, struct tcp_seg *s, uint32_t len)
{
	struct tcp_seg *n = malloc(sizeof(*n));
	bool sent = !tp->unsent || before(s->seq, tp->unsent->seq);
	int old = s->pcount;

	if (!n)
		return NULL;
	*n = *s;
	n->seq += len;
	n->off += len;
	n->len -= len;
	s->len = len;
	s->flags &= (uint8_t) ~(TCP_FIN | TCP_PSH);
	pkt_buf_get(n->buf);
	seg_count(tp, s);
	seg_count(tp, n);
	list_add(&s->node, &n->node);
	atomic_fetch_add_explicit(&tp->sk.wmem, TCP_SEG_OVERHEAD, memory_order_relaxed);
	if (sent)
		count_adjust(tp, s, s->pcount + n->pcount - old);
	return n;
}

/* ---- building packets -------------------------------------------------------------------------------------- */

static struct pkt *build(struct tcp_sock *tp, uint32_t seq, uint8_t flags, uint32_t payload, const struct tcp_opts *xo)
{
	struct tcp_opts o = { .wscale = 255 };
	struct pkt *p = pkt_alloc(PKT_HEADROOM, 60);
	struct skc *c = &tp->sk.c;
	uint16_t wnd;

	if (!p)
		return NULL;
	if (xo)
		o = *xo;
	else if (tp->ts_ok) {
		o.ts = true;
		o.tsval = tcp_ts_now(c->ns, tp->ts_off);
		o.tsecr = tp->ts_recent;
	}
	if (!payload && !xo && tp->sack_ok && (tp->nr_sacks || tp->dsack)) {
		unsigned max = tp->ts_ok ? 3 : 4;

		if (tp->dsack) { /* RFC 2883: the duplicate comes first */
			o.sacks[0].s = tp->dsack_s;
			o.sacks[0].e = tp->dsack_e;
			o.nr_sacks = 1;
			tp->dsack = false;
		}
		for (unsigned i = 0; i < tp->nr_sacks && o.nr_sacks < max; i++) {
			o.sacks[o.nr_sacks].s = tp->sacks[i].s;
			o.sacks[o.nr_sacks++].e = tp->sacks[i].e;
		}
	}
	wnd = (flags & TCP_SYN) ? (uint16_t)MIN(tp->rcv_wnd, 65535u) : (flags & TCP_RST) ? 0 : tcp_select_window(tp);
	tcp_put_header(p, c->lport, c->rport, seq, (flags & TCP_ACK) ? tp->rcv_nxt : 0, flags, wnd, 0, &o);
	return p;
}

static void finish_csum(struct tcp_sock *tp, struct pkt *p)
{
	struct skc *c = &tp->sk.c;
	uint16_t sum = (uint16_t)csum_pseudo(&c->laddr, &c->raddr, NET_IPPROTO_TCP, p->len);

	p->csum = PKT_CSUM_PARTIAL;
	p->csum_start = p->l4;
	p->csum_off = 16;
	memcpy(pkt_l4(p) + 16, &sum, 2);
}

static void set_gso(struct tcp_sock *tp, struct pkt *p, uint32_t payload)
{
	if (payload <= tp->mss) {
		p->gso_segs = 1;
		return;
	}
	p->gso = naddr_is_v4(&tp->sk.c.raddr) ? PKT_GSO_TCP4 : PKT_GSO_TCP6;
	p->gso_size = (uint16_t)tp->mss;
	p->gso_segs = (uint16_t)((payload + tp->mss - 1) / tp->mss);
}

static void acked_by_this(struct tcp_sock *tp)
{
	tp->ack_now = tp->ack_sched = false;
	tp->delack_at_ns = NET_NEVER;
	if (tp->quick)
		tp->quick--;
}

static int output(struct tcp_sock *tp, struct pkt_list *l)
{
	struct sock *sk = &tp->sk;
	struct skc *c = &sk->c;
	bool v4 = naddr_is_v4(&c->raddr);
	struct ip_tx tx = { .src = c->laddr, .dst = c->raddr, .proto = NET_IPPROTO_TCP,
			    .tos = v4 ? sk->tos : sk->tclass, .df = sk->pmtudisc != 0 };
	struct dst *d;
	int ret;

	ret = tcp_get_dst(tp, &d);
	if (ret) {
		net_drop_count(c->ns, DROP_NO_ROUTE);
		pkt_list_free(l);
		return ret;
	}
	if (v4)
		tx.ttl = (uint8_t)(sk->ttl >= 0 ? sk->ttl : c->ns->sysctl.ip_default_ttl);
	else
		tx.ttl = (uint8_t)(sk->hops >= 0 ? sk->hops : d->link->conf.v6_hop_limit);
	tx.flowlabel = sk->flowlabel;
	if (sk->ip_opts_len && v4) {
		tx.opts = sk->ip_opts;
		tx.opts_len = sk->ip_opts_len;
	}
	for (struct pkt *p = l->head; p; p = p->next) {
		finish_csum(tp, p);
		tp->segs_out += MAX(1u, (uint32_t)p->gso_segs);
	}
	mib_add(c->ns, MIB_TCP_OUT_SEGS, l->nr);
	tp->last_tx_ns = net_now(c->ns->stack);
	dst_get(d);
	ret = ip_output(c->ns, sk, d, l, &tx);
	dst_put(d);
	if (ret == -LINUX_EMSGSIZE) /* the route's MTU shrank between sync and output */
		tcp_get_dst(tp, &d);
	return ret;
}

static int output_one(struct tcp_sock *tp, struct pkt *p)
{
	struct pkt_list l = { 0 };

	pkt_list_add(&l, p);
	return output(tp, &l);
}

/* ---- control segments ------------------------------------------------------------------------------------------ */

void tcp_send_ack(struct tcp_sock *tp)
{
	struct pkt *p;

	if (tp->sk.c.state == TCPS_CLOSE)
		return;
	p = build(tp, tp->snd_nxt, TCP_ACK, 0, NULL);
	if (!p) { /* try again as if delayed: the peer must not wait for ever */
		tp->ack_sched = true;
		tp->delack_at_ns = net_now(tp->sk.c.ns->stack) + TCP_DELACK_MAX;
		tcp_timer_sync(tp);
		return;
	}
	acked_by_this(tp);
	output_one(tp, p);
}

void tcp_send_syn(struct tcp_sock *tp, const struct tcp_fo *fo)
{
	struct net_ns *ns = tp->sk.c.ns;
	struct tcp_opts o = { .mss = (uint16_t)MIN(tp->advmss, 65535u), .wscale = 255, .fo = fo };
	struct tcp_seg *s = fo && tp->fo_syn_len ? tp->unsent : NULL;
	struct pkt *p;

	if (ns->sysctl.tcp_window_scaling)
		o.wscale = tp->rcv_wscale;
	o.sack_ok = ns->sysctl.tcp_sack;
	if (ns->sysctl.tcp_timestamps) {
		o.ts = true;
		o.tsval = tcp_ts_now(ns, tp->ts_off);
	}
	p = build(tp, tp->iss, TCP_SYN, 0, &o);
	if (!p)
		return;
	if (s) { /* RFC 7413 section 4.2.1 */
		pkt_buf_get(s->buf);
		BUG_ON(!pkt_add_frag(p, s->buf, s->off, s->len));
		set_gso(tp, p, s->len);
		tp->data_segs_out++;
		tp->bytes_sent += s->len;
		mib_inc(ns, MIB_TCPX_ORIG_DATA);
	}
	output_one(tp, p);
}

/* From an endpoint in SYN_RECV: after a simultaneous open or a fast one. */
void tcp_send_synack(struct tcp_sock *tp, const struct tcp_fo *fo)
{
	struct tcp_opts o = { .mss = (uint16_t)MIN(tp->advmss, 65535u), .wscale = tp->wscale_ok ? tp->rcv_wscale : 255,
			      .sack_ok = tp->sack_ok, .ts = tp->ts_ok, .tsval = tcp_ts_now(tp->sk.c.ns, tp->ts_off),
			      .tsecr = tp->ts_recent, .fo = fo };

	tcp_send_mini(&tp->sk.c, tp->iss, tp->rcv_nxt, TCP_SYN | TCP_ACK, (uint16_t)MIN(tp->rcv_wnd, 65535u), &o,
		      naddr_is_v4(&tp->sk.c.raddr) ? tp->sk.tos : tp->sk.tclass, tp->sk.mark);
}

void tcp_send_rst(struct tcp_sock *tp)
{
	struct pkt *p = build(tp, tp->snd_nxt, TCP_RST | TCP_ACK, 0, NULL);

	mib_inc(tp->sk.c.ns, MIB_TCP_OUT_RSTS);
	if (p)
		output_one(tp, p);
}

/* RFC 9293 section 3.8.6.1 and RFC 1122 section 4.2.3.6: an old sequence number draws an ACK. */
void tcp_send_probe(struct tcp_sock *tp, bool urgent)
{
	struct pkt *p = build(tp, tp->snd_una - (urgent ? 0 : 1), TCP_ACK, 0, NULL);

	if (p)
		output_one(tp, p);
}

void tcp_send_fin(struct tcp_sock *tp)
{
	struct tcp_seg *last = list_empty(&tp->sendq) ? NULL : list_last(&tp->sendq, struct tcp_seg, node), *s;

	if (last && tp->unsent) { /* rides on the last range that is still unsent */
		last->flags |= TCP_FIN | TCP_PSH;
		tp->write_seq++;
		tcp_push(tp, true);
		return;
	}
	s = calloc(1, sizeof(*s));
	if (!s) {
		/* no memory for 96 bytes: the peer learns of the end by the reset that follows its next segment */
		tcp_abort(tp, LINUX_ENOMEM);
		return;
	}
	s->seq = tp->write_seq;
	s->flags = TCP_FIN;
	s->pcount = 1;
	tp->write_seq++;
	list_add_tail(&tp->sendq, &s->node);
	atomic_fetch_add(&tp->sk.wmem, TCP_SEG_OVERHEAD);
	tp->unsent = s;
	tcp_push(tp, true);
}

/* ---- data --------------------------------------------------------------------------------------------------------- */

static void seg_sent(struct tcp_sock *tp, struct tcp_seg *s, uint64_t now)
{
	if (!tp->packets_out) { /* a flight begins: start of the delivery rate sample */
		tp->first_tx_ns = now;
		tp->delivered_ns = now;
	}
	s->tx_ns = now;
	s->first_ns = tp->first_tx_ns;
	s->delivered_ns = tp->delivered_ns;
	s->delivered = tp->delivered;
}

/* A packet for @s, and for following unsent ranges that fit into @limit bytes with it. @nr: ranges taken. */
static struct pkt *data_packet(struct tcp_sock *tp, struct tcp_seg *s, uint32_t limit, unsigned *nr, bool gather)
{
	uint32_t payload = s->len;
	uint8_t flags = TCP_ACK | s->flags;
	struct tcp_seg *n = s;
	struct pkt *p;

	*nr = 1;
	while (gather && *nr < PKT_MAX_FRAGS && n->node.next != &tp->sendq && !(n->flags & TCP_FIN)) {
		n = list_entry(n->node.next, struct tcp_seg, node);
		if (payload + n->len > limit)
			break;
		payload += n->len;
		flags |= n->flags;
		(*nr)++;
	}
	p = build(tp, s->seq, flags, payload, NULL);
	if (!p)
		return NULL;
	n = s;
	for (unsigned i = 0; i < *nr; i++) {
		if (n->len) {
			pkt_buf_get(n->buf);
			BUG_ON(!pkt_add_frag(p, n->buf, n->off, n->len));
		}
		n = list_entry(n->node.next, struct tcp_seg, node);
	}
	if (flags & TCP_URG) {
		wr16(pkt_l4(p) + 18, (uint16_t)payload);
		pkt_l4(p)[13] |= TCP_URG;
	}
	set_gso(tp, p, payload);
	return p;
}

/* RFC 1122 section 4.2.3.4 with Minshall's variant left out: hold a small segment while anything is unacknowledged. */
static bool nagle_holds(const struct tcp_sock *tp, const struct tcp_seg *s, bool force)
{
	if (s->len >= tp->mss || (s->flags & (TCP_FIN | TCP_URG)) || s->node.next != &((struct tcp_sock *)tp)->sendq)
		return false;
	if (tp->cork)
		return !force;
	return !tp->nodelay && tp->packets_out && !force;
}

/* How many bytes of @s may go: windows, offload size; 0 = nothing now. */
static uint32_t may_send(struct tcp_sock *tp, const struct tcp_seg *s, uint32_t quota, bool last_small_ok)
{
	uint32_t wnd_end = tp->snd_una + tp->snd_wnd, wnd, limit, goal = tcp_size_goal(tp);

	if (s->len == 0) /* a bare FIN: any window, even zero, but not beyond a shrunk one */
		return !after(s->seq, wnd_end) ? 1 : 0;
	wnd = after(wnd_end, s->seq) ? wnd_end - s->seq : 0;
	limit = (uint32_t)MIN((uint64_t)quota * tp->mss, (uint64_t)goal);
	limit = MIN(limit, wnd);
	if (limit >= s->len)
		return limit;
	/* a piece: whole segments, unless the window is what cuts it short */
	if (limit >= tp->mss)
		return limit - limit % tp->mss;
	/* sender side of silly window avoidance (RFC 9293 section 3.8.6.2.1) */
	return last_small_ok && limit == wnd && wnd >= tp->max_window / 2 && !tp->packets_out ? limit : 0;
}

void tcp_push(struct tcp_sock *tp, bool force)
{
	uint64_t now = net_now(tp->sk.c.ns->stack);
	struct pkt_list burst = { 0 };
	bool was_idle = !tp->packets_out, sent = false;
	struct tcp_seg *s;
	struct dst *d;

	if (!tp->unsent || !(TCPF(tp->sk.c.state) & (TCPF(TCPS_ESTABLISHED) | TCPF(TCPS_CLOSE_WAIT) | TCPF(TCPS_FIN_WAIT1) |
						     TCPF(TCPS_CLOSING) | TCPF(TCPS_LAST_ACK) |
						     (tp->fo_child ? TCPF(TCPS_SYN_RECV) : 0))))
		return;
	if (tcp_get_dst(tp, &d)) /* also brings the MSS up to date */
		goto out;
	/* RFC 5681 section 4.1: after an idle RTO the window is not trusted any more */
	if (was_idle && tp->sk.c.ns->sysctl.tcp_slow_start_after_idle && tp->last_tx_ns &&
	    now - tp->last_tx_ns > tp->rto_ns && tp->cwnd > TCP_INIT_CWND) {
		tp->ssthresh = MAX(tp->ssthresh, tp->cwnd * 3 / 4);
		for (uint64_t t = tp->rto_ns; t < now - tp->last_tx_ns && tp->cwnd > TCP_INIT_CWND; t += tp->rto_ns)
			tp->cwnd = MAX(tp->cwnd / 2, TCP_INIT_CWND);
	}
	tp->cwnd_limited = false;
	while ((s = tp->unsent)) {
		uint32_t flight = tcp_in_flight(tp), quota = tp->cwnd > flight ? tp->cwnd - flight : 0, limit;
		unsigned nr;
		struct pkt *p;

		if (s->len && s->pcount > 1 && (s->len + tp->mss - 1) / tp->mss != s->pcount)
			seg_count(tp, s); /* the MSS changed since it was queued */
		if (!quota) {
			tp->cwnd_limited = true;
			break;
		}
		if (nagle_holds(tp, s, force))
			break;
		limit = may_send(tp, s, quota, force || s->len);
		if (!limit) {
			if ((uint64_t)quota * tp->mss < s->len && after(tp->snd_una + tp->snd_wnd, s->seq + tp->mss))
				tp->cwnd_limited = true;
			break;
		}
		if (s->len > limit && !tcp_seg_split(tp, s, limit))
			break;
		p = data_packet(tp, s, limit, &nr, true);
		if (!p)
			break;
		tp->data_segs_out += p->gso_segs;
		mib_add(tp->sk.c.ns, MIB_TCPX_ORIG_DATA, p->gso_segs);
		for (unsigned i = 0; i < nr; i++) {
			s = tp->unsent;
			seg_count(tp, s);
			seg_sent(tp, s, now);
			tp->packets_out += s->pcount;
			tp->snd_nxt = seg_end(s);
			tp->bytes_sent += s->len;
			if (tp->ca_state == TCP_CA_RECOVERY || tp->ca_state == TCP_CA_CWR)
				tp->prr_out += s->pcount;
			tp->unsent = s->node.next == &tp->sendq ? NULL : list_entry(s->node.next, struct tcp_seg, node);
		}
		acked_by_this(tp);
		pkt_list_add(&burst, p);
		sent = true;
	}
	if (tcp_in_flight(tp) >= tp->cwnd)
		tp->cwnd_limited = true;
	if (burst.head) {
		tp->cwnd_used = MAX(tp->cwnd_used, tcp_in_flight(tp));
		if (now - tp->last_rx_ns < tp->ato_ns)
			tp->pingpong = true; /* answers follow questions: acknowledgements can ride on them */
		output(tp, &burst);
	}
out:
	if (sent) {
		if (was_idle || tp->rtx_kind != TCP_RTX_RTO || !tcp_schedule_tlp(tp)) {
			if (was_idle || tp->rtx_kind == TCP_RTX_NONE || tp->rtx_kind == TCP_RTX_PROBE0)
				tcp_rearm_rto(tp);
			tcp_schedule_tlp(tp);
		}
	} else if (tp->unsent && !tp->packets_out && tp->rtx_kind == TCP_RTX_NONE) {
		tcp_rtx_arm(tp, TCP_RTX_PROBE0, MAX(tp->rto_ns, TCP_RTO_MIN)); /* zero window or no route: keep asking */
	}
}

/* Sends (part of) a range again. 0, -LINUX_EAGAIN (window closed), or the error of IP. */
int tcp_retransmit_seg(struct tcp_sock *tp, struct tcp_seg *s, uint32_t max_packets)
{
	uint64_t now = net_now(tp->sk.c.ns->stack);
	uint32_t wnd_end = tp->snd_una + tp->snd_wnd, limit;
	struct dst *d;
	struct pkt *p;
	unsigned nr;
	int ret;

	ret = tcp_get_dst(tp, &d);
	if (ret)
		return ret;
	/* A window that was taken back: only the head may go, as a probe (RFC 9293 section 3.8.6). */
	if (!before(s->seq, wnd_end) && s->seq != tp->snd_una)
		return -LINUX_EAGAIN;
	limit = MIN(max_packets, tcp_size_goal(tp) / tp->mss) * tp->mss;
	if (before(wnd_end, s->seq + s->len) && before(s->seq, wnd_end))
		limit = MIN(limit, wnd_end - s->seq);
	else if (!before(s->seq, wnd_end))
		limit = tp->mss;
	limit = MAX(limit, 1u);
	if (s->len > limit && !tcp_seg_split(tp, s, limit))
		return -LINUX_ENOMEM;
	if (s->len > tp->mss && s->pcount == 1) { /* the MSS shrank */
		int old = s->pcount;

		seg_count(tp, s);
		count_adjust(tp, s, s->pcount - old);
	}
	p = data_packet(tp, s, s->len, &nr, false);
	if (!p)
		return -LINUX_ENOMEM;
	seg_sent(tp, s, now);
	if (!(s->mark & SEG_RETRANS)) {
		s->mark |= SEG_RETRANS;
		tp->retrans_out += s->pcount;
	}
	s->mark |= SEG_EVER;
	tp->total_retrans += s->pcount;
	tp->bytes_retrans += s->len;
	mib_add(tp->sk.c.ns, MIB_TCP_RETRANS_SEGS, s->pcount);
	if (!tp->retrans_stamp_ns)
		tp->retrans_stamp_ns = now;
	if (tp->undo_retrans < 0)
		tp->undo_retrans = 0;
	tp->undo_retrans += s->pcount;
	tp->data_segs_out += s->pcount;
	acked_by_this(tp);
	ret = output_one(tp, p);
	return ret;
}

void tcp_retransmit_lost(struct tcp_sock *tp)
{
	struct tcp_seg *s;

	if (!tp->lost_out)
		return;
	list_for_each_entry(s, &tp->sendq, node) {
		uint32_t flight = tcp_in_flight(tp);

		if (s == tp->unsent || flight >= tp->cwnd)
			break;
		if (!(s->mark & SEG_LOST) || (s->mark & (SEG_SACKED | SEG_RETRANS)))
			continue;
		if (tcp_retransmit_seg(tp, s, tp->cwnd - flight))
			break;
		mib_inc(tp->sk.c.ns, tp->ca_state == TCP_CA_LOSS ? MIB_TCPX_SLOW_START_RETRANS : MIB_TCPX_FAST_RETRANS);
		if (tp->ca_state == TCP_CA_RECOVERY)
			tp->prr_out += s->pcount;
		if (tp->rtx_kind == TCP_RTX_NONE)
			tcp_rearm_rto(tp);
	}
}

/* RFC 8985 section 7.3: one segment of new data, or the last one again. */
bool tcp_send_tlp(struct tcp_sock *tp)
{
	struct tcp_seg *s = tp->unsent;
	uint32_t nxt = tp->snd_nxt;

	if (tp->tlp_high_seq || !tp->packets_out)
		return false;
	if (s && before(s->seq, tp->snd_una + tp->snd_wnd)) {
		uint32_t cwnd = tp->cwnd;

		tp->cwnd = tcp_in_flight(tp) + 1;
		tcp_push(tp, true);
		tp->cwnd = cwnd;
		if (tp->snd_nxt != nxt) {
			tp->tlp_retrans = false;
			goto sent;
		}
	}
	/* the last sent range; its last segment only */
	s = tp->unsent ? list_entry(tp->unsent->node.prev, struct tcp_seg, node) :
			 list_last(&tp->sendq, struct tcp_seg, node);
	if (s->pcount > 1) {
		uint32_t tail = s->len % tp->mss ? s->len % tp->mss : tp->mss;

		s = tcp_seg_split(tp, s, s->len - tail);
		if (!s)
			return false;
	}
	if (s->mark & SEG_SACKED)
		return false;
	if (tcp_retransmit_seg(tp, s, 1))
		return false;
	tp->tlp_retrans = true;
sent:
	tp->tlp_high_seq = tp->snd_nxt;
	mib_inc(tp->sk.c.ns, MIB_TCPX_LOSS_PROBES);
	return true;
}
