/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_sockopt.c - options of level TCP, TCP_INFO
 *
 * Source:  tcp(7).
 */
#include "sentry/abi/inet.h"
#include "sentry/net/sock/opt.h"
#include "sentry/net/tcp/tcp.h"

static void set_cork(struct tcp_sock *tp, bool on)
{
	tp->cork = on;
	if (!on)
		tcp_push(tp, false);
}

static int set_congestion(struct tcp_sock *tp, const void *val, uint32_t len)
{
	char name[NET_CC_NAME_MAX] = { 0 };
	const struct tcp_cong_ops *o;

	if (!len)
		return -LINUX_EINVAL;
	memcpy(name, val, MIN(len, (uint32_t)sizeof(name) - 1));
	o = tcp_cong_find(name);
	if (!o)
		return -LINUX_ENOENT;
	tp->cong = o;
	o->init(tp);
	return 0;
}

/* One key, or two: the second is the one before, whose cookies still count. */
static int set_fo_key(struct tcp_sock *tp, const void *val, uint32_t len)
{
	if (len != TCP_FO_KEY_LEN && len != 2 * TCP_FO_KEY_LEN)
		return -LINUX_EINVAL;
	memcpy(tp->fo_keys, val, len);
	tp->fo_nr_keys = (uint8_t)(len / TCP_FO_KEY_LEN);
	return 0;
}

/* Rows with plain integer semantics: limits are inclusive. */
static const struct int_row {
	int name, min, max;
} limits[] = {
	{ LINUX_TCP_NODELAY, 0, INT32_MAX },	   { LINUX_TCP_MAXSEG, 0, 32767 },
	{ LINUX_TCP_CORK, 0, INT32_MAX },	   { LINUX_TCP_KEEPIDLE, 1, 32767 },
	{ LINUX_TCP_KEEPINTVL, 1, 32767 },	   { LINUX_TCP_KEEPCNT, 1, 127 },
	{ LINUX_TCP_SYNCNT, 1, 127 },		   { LINUX_TCP_LINGER2, INT32_MIN, INT32_MAX },
	{ LINUX_TCP_DEFER_ACCEPT, INT32_MIN, INT32_MAX }, { LINUX_TCP_WINDOW_CLAMP, 0, INT32_MAX },
	{ LINUX_TCP_QUICKACK, INT32_MIN, INT32_MAX }, { LINUX_TCP_USER_TIMEOUT, 0, INT32_MAX },
	{ LINUX_TCP_FASTOPEN, 0, INT32_MAX },	   { LINUX_TCP_NOTSENT_LOWAT, INT32_MIN, INT32_MAX },
	{ LINUX_TCP_FASTOPEN_CONNECT, 0, 1 },	   { LINUX_TCP_FASTOPEN_NO_COOKIE, 0, 1 },
	{ LINUX_TCP_INQ, 0, 1 },
};

static int set_int(struct tcp_sock *tp, int name, int v)
{
	struct sock *sk = &tp->sk;

	switch (name) {
	case LINUX_TCP_NODELAY:
		tp->nodelay = v != 0;
		if (v)
			tcp_push(tp, true);
		return 0;
	case LINUX_TCP_MAXSEG:
		if (v && v < (int)TCP_MIN_MSS)
			return -LINUX_EINVAL;
		tp->user_mss = (uint32_t)v;
		return 0;
	case LINUX_TCP_CORK:
		set_cork(tp, v != 0);
		return 0;
	case LINUX_TCP_KEEPIDLE:
		tp->keep_idle_s = (uint32_t)v;
		if (sk->keepalive)
			tcp_keepalive_arm(tp);
		return 0;
	case LINUX_TCP_KEEPINTVL:
		tp->keep_intvl_s = (uint32_t)v;
		return 0;
	case LINUX_TCP_KEEPCNT:
		tp->keep_cnt = (uint8_t)v;
		return 0;
	case LINUX_TCP_SYNCNT:
		tp->syncnt = (uint8_t)v;
		return 0;
	case LINUX_TCP_LINGER2:
		tp->linger2 = v < 0 ? -1 : MIN(v, 120);
		return 0;
	case LINUX_TCP_DEFER_ACCEPT:
		tp->defer_accept = v > 0 ? (uint32_t)v : 0;
		return 0;
	case LINUX_TCP_WINDOW_CLAMP:
		if (!v && sk->c.state != TCPS_CLOSE)
			return -LINUX_EINVAL;
		tp->window_clamp_user = tp->window_clamp = v ? MAX((uint32_t)v, 1152u) : 0;
		return 0;
	case LINUX_TCP_QUICKACK:
		if (v & 1) {
			tp->pingpong = false;
			tcp_enter_quickack(tp, TCP_MAX_QUICKACKS);
			if (tp->ack_sched)
				tcp_send_ack(tp);
		} else {
			tp->quick = 0;
			tp->pingpong = true;
		}
		return 0;
	case LINUX_TCP_USER_TIMEOUT:
		tp->user_timeout_ms = (uint32_t)v;
		return 0;
	case LINUX_TCP_FASTOPEN:
		if (!(TCPF(sk->c.state) & (TCPF(TCPS_CLOSE) | TCPF(TCPS_LISTEN))))
			return -LINUX_EINVAL;
		tp->fo_max = MIN((uint32_t)v, (uint32_t)sk->c.ns->sysctl.somaxconn);
		return 0;
	case LINUX_TCP_NOTSENT_LOWAT:
		tp->notsent_lowat = (uint32_t)v;
		sock_event(sk, NET_POLLOUT);
		return 0;
	case LINUX_TCP_FASTOPEN_CONNECT:
		if (!(sk->c.ns->sysctl.tcp_fastopen & TCP_FO_CLIENT))
			return -LINUX_EOPNOTSUPP;
		if (sk->c.state != TCPS_CLOSE)
			return -LINUX_EINVAL;
		tp->fo_connect = v;
		return 0;
	case LINUX_TCP_FASTOPEN_NO_COOKIE:
		if (!(TCPF(sk->c.state) & (TCPF(TCPS_CLOSE) | TCPF(TCPS_LISTEN))))
			return -LINUX_EINVAL;
		tp->fo_no_cookie = v;
		return 0;
	case LINUX_TCP_INQ:
		tp->inq_on = v;
		return 0;
	}
	return -LINUX_ENOPROTOOPT;
}

int tcp_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps)
{
	struct tcp_sock *tp = tcp_sk(sk);
	int v;

	(void)caps;
	if (level != LINUX_SOL_TCP)
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_TCP_CONGESTION)
		return set_congestion(tp, val, len);
	if (name == LINUX_TCP_FASTOPEN_KEY)
		return set_fo_key(tp, val, len);
	for (unsigned i = 0; i < ARRAY_SIZE(limits); i++) {
		if (limits[i].name != name)
			continue;
		if (len < sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		if (v < limits[i].min || v > limits[i].max)
			return -LINUX_EINVAL;
		return set_int(tp, name, v);
	}
	return -LINUX_ENOPROTOOPT;
}

static void fill_info(struct tcp_sock *tp, struct linux_tcp_info *i)
{
	struct net_ns *ns = tp->sk.c.ns;
	uint64_t now = net_now(ns->stack);

	memset(i, 0, sizeof(*i));
	i->state = tp->sk.c.state;
	i->ca_state = tp->ca_state;
	i->retransmits = tp->retries;
	i->probes = tp->probes_out;
	i->backoff = tp->backoff;
	i->options = (uint8_t)((tp->ts_ok ? 1 : 0) | (tp->sack_ok ? 2 : 0) | (tp->wscale_ok ? 4 : 0) |
			       (tp->fo_acked ? LINUX_TCPI_OPT_SYN_DATA : 0));
	i->flags = (uint8_t)(tp->fo_fail << 1); /* behind the bit tcpi_delivery_rate_app_limited */
	i->wscale = (uint8_t)(tp->snd_wscale | tp->rcv_wscale << 4);
	i->rto = (uint32_t)(tp->rto_ns / 1000);
	i->ato = (uint32_t)(tp->ato_ns / 1000);
	i->snd_mss = tp->mss;
	i->rcv_mss = tp->rcv_mss;
	i->unacked = tp->sk.c.state == TCPS_LISTEN ? tp->acceptq_len : tp->packets_out;
	i->sacked = tp->sk.c.state == TCPS_LISTEN ? tp->backlog : tp->sacked_out;
	i->lost = tp->lost_out;
	i->retrans = tp->retrans_out;
	i->last_data_sent = tp->last_tx_ns ? (uint32_t)((now - tp->last_tx_ns) / NET_MSEC) : 0;
	i->last_data_recv = tp->last_rx_ns ? (uint32_t)((now - tp->last_rx_ns) / NET_MSEC) : 0;
	i->last_ack_recv = tp->last_ack_ns ? (uint32_t)((now - tp->last_ack_ns) / NET_MSEC) : 0;
	i->pmtu = tp->sk.dst ? dst_mtu(ns, tp->sk.dst) : 0;
	i->rcv_ssthresh = tp->rcv_wnd;
	i->rtt = (uint32_t)(tp->srtt_ns / 1000);
	i->rttvar = (uint32_t)(tp->rttvar_ns / 1000);
	i->snd_ssthresh = tp->ssthresh;
	i->snd_cwnd = tp->cwnd;
	i->advmss = tp->advmss;
	i->reordering = tp->reordering;
	i->rcv_rtt = (uint32_t)(tp->rcv_rtt_ns / 1000);
	i->rcv_space = tp->rcvq_space.space;
	i->total_retrans = tp->total_retrans;
	i->pacing_rate = i->max_pacing_rate = UINT64_MAX;
	i->bytes_acked = tp->bytes_acked;
	i->bytes_received = tp->bytes_received;
	i->segs_out = tp->segs_out;
	i->segs_in = tp->segs_in;
	i->notsent_bytes = tp->write_seq - tp->snd_nxt;
	i->min_rtt = (uint32_t)(tp->min_rtt_ns / 1000);
	i->data_segs_in = tp->data_segs_in;
	i->data_segs_out = tp->data_segs_out;
	i->delivery_rate = tp->rate_bytes_per_s;
	i->delivered = tp->delivered;
	i->bytes_sent = tp->bytes_sent;
	i->bytes_retrans = tp->bytes_retrans;
	i->dsack_dups = tp->dsack_dups;
	i->reord_seen = tp->reord_seen;
	i->snd_wnd = tp->snd_wnd;
}

int tcp_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
	struct tcp_sock *tp = tcp_sk(sk);
	struct net_sysctl *s = &sk->c.ns->sysctl;
	struct linux_tcp_info info;
	int v;

	if (level != LINUX_SOL_TCP)
		return -LINUX_ENOPROTOOPT;
	switch (name) {
	case LINUX_TCP_INFO:
		fill_info(tp, &info);
		return opt_put(val, len, &info, sizeof(info));
	case LINUX_TCP_CONGESTION: {
		char cc[NET_CC_NAME_MAX] = { 0 };

		strncpy(cc, tp->cong->name, sizeof(cc) - 1);
		return opt_put(val, len, cc, sizeof(cc));
	}
	case LINUX_TCP_NODELAY:
		v = tp->nodelay;
		break;
	case LINUX_TCP_MAXSEG:
		v = (int)(sk->c.state == TCPS_CLOSE || sk->c.state == TCPS_LISTEN ?
				  (tp->user_mss ? tp->user_mss : TCP_DEFAULT_MSS) : tp->mss);
		break;
	case LINUX_TCP_CORK:
		v = tp->cork;
		break;
	case LINUX_TCP_KEEPIDLE:
		v = tp->keep_idle_s ? (int)tp->keep_idle_s : s->tcp_keepalive_time;
		break;
	case LINUX_TCP_KEEPINTVL:
		v = tp->keep_intvl_s ? (int)tp->keep_intvl_s : s->tcp_keepalive_intvl;
		break;
	case LINUX_TCP_KEEPCNT:
		v = tp->keep_cnt ? tp->keep_cnt : s->tcp_keepalive_probes;
		break;
	case LINUX_TCP_SYNCNT:
		v = tp->syncnt ? tp->syncnt : s->tcp_syn_retries;
		break;
	case LINUX_TCP_LINGER2:
		v = tp->linger2 ? tp->linger2 : s->tcp_fin_timeout;
		break;
	case LINUX_TCP_DEFER_ACCEPT:
		v = (int)tp->defer_accept;
		break;
	case LINUX_TCP_WINDOW_CLAMP:
		v = (int)tp->window_clamp;
		break;
	case LINUX_TCP_QUICKACK:
		v = !tp->pingpong;
		break;
	case LINUX_TCP_USER_TIMEOUT:
		v = (int)tp->user_timeout_ms;
		break;
	case LINUX_TCP_FASTOPEN:
		v = (int)tp->fo_max;
		break;
	case LINUX_TCP_NOTSENT_LOWAT:
		v = (int)tp->notsent_lowat;
		break;
	case LINUX_TCP_FASTOPEN_CONNECT:
		v = tp->fo_connect;
		break;
	case LINUX_TCP_FASTOPEN_NO_COOKIE:
		v = tp->fo_no_cookie;
		break;
	case LINUX_TCP_FASTOPEN_KEY:
		return opt_put(val, len, tp->fo_keys, (uint32_t)tp->fo_nr_keys * TCP_FO_KEY_LEN);
	case LINUX_TCP_INQ:
		v = tp->inq_on;
		break;
	default:
		return -LINUX_ENOPROTOOPT;
	}
	return opt_put_int(val, len, v);
}
