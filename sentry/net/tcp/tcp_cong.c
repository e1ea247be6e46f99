/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_cong.c - congestion control: Reno and CUBIC
 *
 * Source:  RFC 5681 section 3.1 (Reno), RFC 9438 (CUBIC), Ha and Rhee "Hybrid Slow Start" (2011) by way of RFC 9406.
 */
#include "sentry/net/tcp/tcp.h"

static uint32_t slow_start(struct tcp_sock *tp, uint32_t acked)
{
	uint32_t to = MIN(tp->cwnd + acked, tp->ssthresh), used = to - tp->cwnd;

	tp->cwnd = MIN(to, tp->cwnd_clamp);
	return acked - used;
}

/* One packet more for every @w acknowledged. */
static void additive(struct tcp_sock *tp, uint32_t w, uint32_t acked)
{
	w = MAX(w, 1u);
	if (tp->cwnd_cnt >= w) {
		tp->cwnd_cnt = 0;
		tp->cwnd++;
	}
	tp->cwnd_cnt += acked;
	if (tp->cwnd_cnt >= w) {
		uint32_t d = tp->cwnd_cnt / w;

		tp->cwnd_cnt -= d * w;
		tp->cwnd += d;
	}
	tp->cwnd = MIN(tp->cwnd, tp->cwnd_clamp);
}

static void reno_avoid(struct tcp_sock *tp, uint32_t acked)
{
	if (tp->cwnd < tp->ssthresh) {
		acked = slow_start(tp, acked);
		if (!acked)
			return;
	}
	additive(tp, tp->cwnd, acked);
}

static uint32_t reno_ssthresh(struct tcp_sock *tp)
{
	return MAX(tp->cwnd / 2, 2u);
}

static void reno_init(struct tcp_sock *tp)
{
	(void)tp;
}

/* ---- CUBIC ------------------------------------------------------------------------------------------------ */

struct cubic {
	double w_max, k, w_est, epoch_cwnd; /* packets, seconds */
	uint64_t epoch_ns;	/* start of this congestion avoidance epoch, 0 = none */
	uint64_t round_ns;	/* HyStart: start of the round */
	uint64_t curr_rtt_ns, delay_min_ns;
	uint32_t end_seq, nr_samples;
	uint64_t last_ack_ns;
	bool found;
};
_Static_assert(sizeof(struct cubic) <= sizeof(((struct tcp_sock *)0)->cong_priv), "fits the connection");

#define CUBIC_C	   0.4	/* RFC 9438 section 5 */
#define CUBIC_BETA 0.7	/* section 4.6 */
#define HYSTART_LOW_WINDOW 16u
#define HYSTART_MIN_SAMPLES 8u

static struct cubic *cubic(struct tcp_sock *tp)
{
	return (struct cubic *)tp->cong_priv;
}

static void cubic_init(struct tcp_sock *tp)
{
	memset(tp->cong_priv, 0, sizeof(tp->cong_priv));
	cubic(tp)->end_seq = tp->snd_nxt;
}

static double cube_root(double x)
{
	double r = x > 1 ? x / 3 : 1;

	if (x <= 0)
		return 0;
	for (int i = 0; i < 40; i++) /* Newton; converges long before for any window that fits 32 bits */
		r = (2 * r + x / (r * r)) / 3;
	return r;
}

static uint32_t cubic_ssthresh(struct tcp_sock *tp)
{
	struct cubic *c = cubic(tp);
	double w = tp->cwnd;

	c->epoch_ns = 0;
	/* RFC 9438 section 4.7: fast convergence */
	c->w_max = w < c->w_max ? w * (1 + CUBIC_BETA) / 2 : w;
	return MAX((uint32_t)(w * CUBIC_BETA), 2u);
}

static void cubic_loss(struct tcp_sock *tp)
{
	struct cubic *c = cubic(tp);
	double w_max = c->w_max;

	cubic_init(tp);
	c->w_max = w_max;
}

static void epoch_start(struct tcp_sock *tp, struct cubic *c, uint64_t now)
{
	c->epoch_ns = now;
	c->epoch_cwnd = c->w_est = tp->cwnd;
	if (c->w_max <= tp->cwnd) {
		c->w_max = tp->cwnd;
		c->k = 0;
	} else {
		c->k = cube_root((c->w_max - tp->cwnd) / CUBIC_C);
	}
}

static void cubic_avoid(struct tcp_sock *tp, uint32_t acked)
{
	struct cubic *c = cubic(tp);
	uint64_t now = net_now(tp->sk.c.ns->stack);
	double t, target, d, cnt;

	if (tp->cwnd < tp->ssthresh) {
		acked = slow_start(tp, acked);
		if (!acked)
			return;
	}
	if (!c->epoch_ns)
		epoch_start(tp, c, now);
	else if (c->last_ack_ns && now - c->last_ack_ns > NET_SEC)
		c->epoch_ns += now - c->last_ack_ns; /* an application pause is not time for growth (section 5.8) */
	c->last_ack_ns = now;
	/* section 4.2, one RTT ahead */
	t = (double)(now - c->epoch_ns + c->delay_min_ns) / 1e9;
	d = t - c->k;
	target = c->w_max + CUBIC_C * d * d * d;
	target = MIN(MAX(target, (double)tp->cwnd), 1.5 * tp->cwnd);
	cnt = target > tp->cwnd ? tp->cwnd / (target - tp->cwnd) : 100.0 * tp->cwnd;
	/* section 4.3: never slower than Reno would be */
	c->w_est += 3 * (1 - CUBIC_BETA) / (1 + CUBIC_BETA) * acked / tp->cwnd;
	if (c->w_est > tp->cwnd)
		cnt = MIN(cnt, tp->cwnd / (c->w_est - tp->cwnd));
	additive(tp, (uint32_t)MAX(MIN(cnt, 1e9), 2.0), acked);
}

/* HyStart, delay increase: leave slow start when a round's minimum RTT rose by an eighth. */
static void hystart(struct tcp_sock *tp, struct cubic *c, uint64_t rtt)
{
	uint64_t thresh;

	if (after(tp->snd_una, c->end_seq)) {
		c->end_seq = tp->snd_nxt;
		c->curr_rtt_ns = 0;
		c->nr_samples = 0;
	}
	if (c->nr_samples < HYSTART_MIN_SAMPLES) {
		c->curr_rtt_ns = c->curr_rtt_ns ? MIN(c->curr_rtt_ns, rtt) : rtt;
		c->nr_samples++;
		return;
	}
	thresh = MIN(MAX(c->delay_min_ns / 8, 4 * NET_MSEC), 16 * NET_MSEC);
	if (c->curr_rtt_ns > c->delay_min_ns + thresh) {
		c->found = true;
		tp->ssthresh = tp->cwnd;
	}
}

static void cubic_acked(struct tcp_sock *tp, uint32_t acked, uint64_t rtt)
{
	struct cubic *c = cubic(tp);

	(void)acked;
	if (!rtt)
		return;
	if (!c->delay_min_ns || rtt < c->delay_min_ns)
		c->delay_min_ns = rtt;
	if (!c->found && tp->cwnd < tp->ssthresh && tp->cwnd >= HYSTART_LOW_WINDOW)
		hystart(tp, c, rtt);
}

static const struct tcp_cong_ops algos[] = {
	{ "cubic", cubic_init, cubic_ssthresh, cubic_avoid, cubic_acked, cubic_loss },
	{ "reno", reno_init, reno_ssthresh, reno_avoid, NULL, NULL },
};

const struct tcp_cong_ops *tcp_cong_find(const char *name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(algos); i++)
		if (!strcmp(algos[i].name, name))
			return &algos[i];
	return NULL;
}

const char *tcp_cong_list(void)
{
	return "reno cubic";
}

bool net_cong_known(const char *name)
{
	return tcp_cong_find(name) != NULL;
}
