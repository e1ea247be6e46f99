/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_fastopen.c - fast open: cookies, the client's memory of them, data in a SYN
 *
 * Model:   a listener's cookie is a keyed hash of both addresses, so that nothing is kept for it. A client keeps what servers
 *          gave it in a table of fixed size per namespace, made by the first cookie. A SYN with a good one becomes a full
 *          endpoint at once (fo_child), in SYN_RECV, that can be accepted, read and written; how many of these a listener may
 *          have at a time is TCP_FASTOPEN's number. Whatever is amiss ends in an ordinary handshake.
 * Locks:   cache mu (leaf); the listener's sk.mu for its counts, below the child's own.
 * Source:  RFC 7413; tcp(7); Linux's ip-sysctl (tcp_fastopen).
 * Differs: neither the experimental option (kind 254) nor net.ipv4.tcp_fastopen_key; TCP_FASTOPEN_KEY is there.
 */
#include "sentry/net/core/siphash.h"
#include "sentry/net/tcp/tcp.h"

#define MAC_FASTOPEN  0x7413ull
#define SETS	      64
#define WAYS	      4
#define RESET_HOLD    (60 * NET_SEC) /* how long a reset child counts as pending */
#define LOSS_HOLD     (60 * NET_SEC) /* doubled with each SYN that got lost */
#define LOSS_MAX      6u

struct tcp_fo_cache {
	struct mutex mu;		/* leaf */
	struct fo_entry {
		struct naddr laddr, raddr;
		uint64_t used_ns;	/* 0 = free */
		uint64_t lost_ns;	/* last time that a SYN with data got lost */
		uint16_t mss;
		uint8_t lost;		/* how often in a row */
		uint8_t len, cookie[TCP_FO_COOKIE_MAX];
	} e[SETS][WAYS];		/* mu */
};

/* ---- cookies ----------------------------------------------------------------------------------------------------------------- */

struct fo_mac {
	struct naddr server, client;
	uint64_t ns, purpose; /* what makes this hash another one than those of tcp_cookie.c */
};

/* The MAC of RFC 7413 section 4.1.2, under the stack's secret or a key of the listener. */
static void cookie_make(const struct tcp_req *r, const uint8_t *key, uint8_t out[TCP_FO_COOKIE_LEN])
{
	struct net_ns *ns = r->c.ns;
	struct fo_mac m = { .server = r->c.laddr, .client = r->c.raddr, .ns = ns->cookie, .purpose = MAC_FASTOPEN };
	uint64_t v = siphash(&m, sizeof(m), key ? key : ns->stack->secret + 16);

	memcpy(out, &v, TCP_FO_COOKIE_LEN);
}

static void cookie_fresh(const struct tcp_req *r, struct tcp_fo *out)
{
	const struct tcp_sock *l = tcp_sk(r->listener);

	out->opt = true;
	out->len = TCP_FO_COOKIE_LEN;
	cookie_make(r, l->fo_nr_keys ? l->fo_keys : NULL, out->cookie);
}

/* No early end: how far a guess was right must not show. */
static bool cookie_equal(const uint8_t *a, const uint8_t *b)
{
	uint8_t diff = 0;

	for (unsigned i = 0; i < TCP_FO_COOKIE_LEN; i++)
		diff |= a[i] ^ b[i];
	return !diff;
}

/* 0: not ours; 1: under the present key; 2: under the one before. */
static int cookie_check(const struct tcp_req *r, const uint8_t *cookie, uint8_t len)
{
	const struct tcp_sock *l = tcp_sk(r->listener);
	unsigned keys = MAX(l->fo_nr_keys, 1u);
	uint8_t want[TCP_FO_COOKIE_LEN];

	if (len != TCP_FO_COOKIE_LEN)
		return 0;
	for (unsigned i = 0; i < keys; i++) {
		cookie_make(r, l->fo_nr_keys ? l->fo_keys + i * TCP_FO_KEY_LEN : NULL, want);
		if (cookie_equal(want, cookie))
			return (int)i + 1;
	}
	return 0;
}

/* ---- client -------------------------------------------------------------------------------------------------------------------- */

void tcp_fo_cache_free(struct net_ns *ns)
{
	free(ns->fo_cache);
}

static struct tcp_fo_cache *cache_ensure(struct net_ns *ns)
{
	struct tcp_fo_cache *t = ns->fo_cache, *none = NULL;

	if (t)
		return t;
	t = calloc(1, sizeof(*t));
	if (t && !atomic_compare_exchange_strong(&ns->fo_cache, &none, t)) {
		free(t);
		t = none;
	}
	return t;
}

/* @claim: in place of the one that was used least recently, if there is none. */
static struct fo_entry *cache_find_locked(struct tcp_fo_cache *t, const struct tcp_sock *tp, bool claim)
{
	const struct skc *c = &tp->sk.c;
	struct fo_entry *set = t->e[net_hash_addr(&c->raddr, c->ns->stack->hash_seed) % SETS], *oldest = set;

	for (struct fo_entry *e = set; e < set + WAYS; e++) {
		if (e->used_ns && naddr_eq(&e->raddr, &c->raddr) && naddr_eq(&e->laddr, &c->laddr))
			return e;
		if (e->used_ns < oldest->used_ns)
			oldest = e;
	}
	if (!claim)
		return NULL;
	*oldest = (struct fo_entry){ .laddr = c->laddr, .raddr = c->raddr };
	return oldest;
}

/* Two SYNs in a row that only got through without the option: something on the way eats it (RFC 7413 section 4.1.3). */
static bool held_off(const struct fo_entry *e, uint64_t now)
{
	return e->lost > 1 && now - e->lost_ns < LOSS_HOLD << MIN((unsigned)e->lost, LOSS_MAX);
}

/* What the SYN to the peer of @tp (addresses chosen) may carry. */
void tcp_fo_lookup(struct tcp_sock *tp, struct tcp_fo *out)
{
	struct net_ns *ns = tp->sk.c.ns;
	struct tcp_fo_cache *t = ns->fo_cache;
	uint64_t now = net_now(ns->stack);
	struct fo_entry *e;

	*out = (struct tcp_fo){ 0 };
	if (!(ns->sysctl.tcp_fastopen & TCP_FO_CLIENT))
		return;
	out->opt = true;
	if (t) {
		mutex_lock(&t->mu);
		e = cache_find_locked(t, tp, false);
		if (e) {
			e->used_ns = now;
			out->mss = e->mss;
			out->len = e->len;
			memcpy(out->cookie, e->cookie, e->len);
			out->data = e->len;
			out->opt = !held_off(e, now);
		}
		mutex_unlock(&t->mu);
	}
	if (!out->opt) {
		out->data = false;
	} else if (tp->fo_no_cookie || (ns->sysctl.tcp_fastopen & TCP_FO_CLIENT_NO_COOKIE)) {
		out->data = true;
		out->opt = false;
	}
	if (!out->data)
		tp->fo_fail = TCP_FO_NO_COOKIE;
}

static void cache_update(struct tcp_sock *tp, const struct pkt *p, bool lost)
{
	const struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tp->sk.c.ns;
	struct tcp_fo_cache *t = cb->tfo_len || lost ? cache_ensure(ns) : ns->fo_cache;
	uint64_t now = net_now(ns->stack);
	struct fo_entry *e;

	if (!t)
		return;
	mutex_lock(&t->mu);
	e = cache_find_locked(t, tp, cb->tfo_len || lost);
	if (e) {
		e->used_ns = now;
		if (cb->tfo_len) {
			e->len = cb->tfo_len;
			memcpy(e->cookie, pkt_l4(p) + cb->tfo_off, cb->tfo_len);
			e->mss = cb->mss;
		}
		if (lost) {
			e->lost = (uint8_t)MIN(e->lost + 1u, LOSS_MAX);
			e->lost_ns = now;
		} else if (!tp->syn_retries) {
			e->lost = 0;
		}
	}
	mutex_unlock(&t->mu);
}

/* @n bytes from the front of the queue went with the SYN and were taken. */
static void queue_taken(struct tcp_sock *tp, uint32_t n)
{
	struct tcp_seg *s = tp->unsent;

	tp->delivered++;
	tp->bytes_acked += n;
	if (n < s->len) {
		s->seq += n;
		s->off += n;
		s->len -= n;
		atomic_fetch_sub_explicit(&tp->sk.wmem, n, memory_order_relaxed);
		return;
	}
	tp->unsent = s->node.next == &tp->sendq ? NULL : list_entry(s->node.next, struct tcp_seg, node);
	list_del_init(&s->node);
	tcp_seg_free(tp, s);
}

/* A SYN-ACK whose number is between the SYN's end and that of its data. What it does not cover is unsent again and goes with the
 * ordinary means (RFC 7413 section 4.2.2). */
void tcp_fo_answered(struct tcp_sock *tp, const struct pkt *p)
{
	const struct tcp_cb *cb = TCP_CB(p);
	uint32_t acked = cb->ack - (tp->iss + 1), left = tp->fo_syn_len - acked;
	struct net_ns *ns = tp->sk.c.ns;

	cache_update(tp, p, tp->syn_retries && tp->fo_syn_len && !acked && !cb->tfo_len);
	tp->fo_asked = false;
	tp->snd_nxt = cb->ack;
	if (!tp->fo_syn_len)
		return;
	tp->fo_syn_len = 0;
	if (acked)
		queue_taken(tp, acked);
	if (!left) {
		tp->fo_acked = true;
		mib_inc(ns, MIB_TCPX_FASTOPEN_ACTIVE);
		return;
	}
	mib_inc(ns, MIB_TCPX_FASTOPEN_ACTIVE_FAIL);
	tp->fo_fail = tp->syn_retries ? TCP_FO_RETRANSMITTED : TCP_FO_NOT_ACKED;
	tp->total_retrans++;
	tp->bytes_retrans += left;
	mib_inc(ns, MIB_TCP_RETRANS_SEGS);
}

/* ---- server -------------------------------------------------------------------------------------------------------------------- */

/* RFC 7413 section 5.1: at most so many whose address is not proven by the handshake. Those that a reset ended count for a
 * while longer: a flood with a stolen cookie and the address of a third host draws resets from that one. */
static bool pending_take(struct tcp_sock *l)
{
	uint64_t now = net_now(l->sk.c.ns->stack);
	bool ok;

	mutex_lock(&l->sk.mu);
	if (l->fo_reset && now - l->fo_reset_ns >= RESET_HOLD)
		l->fo_reset = 0;
	ok = l->fo_pending + l->fo_reset < l->fo_max;
	if (ok)
		l->fo_pending++;
	mutex_unlock(&l->sk.mu);
	return ok;
}

static void pending_give(struct tcp_sock *l, bool reset)
{
	mutex_lock(&l->sk.mu);
	l->fo_pending--;
	if (reset) {
		if (!l->fo_reset)
			l->fo_reset_ns = net_now(l->sk.c.ns->stack);
		if (l->fo_reset < l->fo_max)
			l->fo_reset++;
	}
	mutex_unlock(&l->sk.mu);
}

void tcp_fo_settled(struct tcp_sock *tp, bool reset)
{
	struct sock *l = tp->fo_parent;

	if (likely(!l))
		return;
	tp->fo_parent = NULL;
	pending_give(tcp_sk(l), reset);
	if (after(tp->snd_una, tp->iss) && !tp->syn_retries) /* Karn */
		tcp_rtt_sample(tp, net_now(tp->sk.c.ns->stack) - tp->retrans_stamp_ns);
	tp->retrans_stamp_ns = 0;
	sock_put(l);
}

/* The SYN's data (own held). @p is used up. */
static void take_syn_data(struct tcp_sock *tp, struct pkt *p)
{
	struct tcp_cb *cb = TCP_CB(p);

	cb->seq++;
	cb->flags = 0;
	if (cb->seq == cb->end_seq) {
		pkt_free(p);
		return;
	}
	pkt_pull(p, cb->hdr_len);
	tcp_data_queue(tp, p);
	tp->fo_acked = tp->rcv_nxt != tp->rcv_wup;
	tp->rcv_wup = tp->rcv_nxt; /* the SYN-ACK says so */
	tp->ack_now = tp->ack_sched = false;
}

/* A place in fo_pending is ours. @p is used up if this succeeds. */
static bool child_start(struct tcp_req *r, struct pkt *p, const struct tcp_fo *answer)
{
	struct tcp_sock *l = tcp_sk(r->listener), *tp = tcp_child_make(r, false);

	if (!tp)
		return false;
	if (!tcp_child_enqueue(l, tp)) {
		tcp_done(tp);
		tcp_child_drop(tp);
		return false;
	}
	/* the creation reference now belongs to the accept queue */
	sock_get(&tp->sk);
	sock_get(&l->sk);
	tp->fo_parent = &l->sk;
	tp->fo_child = true;
	tcp_init_transfer(tp);
	take_syn_data(tp, p);
	tp->retrans_stamp_ns = net_now(r->c.ns->stack);
	tcp_rtx_arm(tp, TCP_RTX_RTO, TCP_RTO_INIT);
	tcp_send_synack(tp, answer->opt ? answer : NULL);
	sock_release_owned(&tp->sk);
	sock_put(&tp->sk);
	sock_event(&l->sk, NET_POLLIN);
	return true;
}

/**
 * tcp_fo_rx_syn() - look at a SYN with the option, or for a listener that takes data in SYNs
 * @r:		the request made of it, in no table yet
 * @p:		the SYN; used up if true is returned
 * @out:	zeroed; what the SYN-ACK is to say, for the ordinary handshake too
 *
 * Source: RFC 7413 sections 4.2.2 and 5.1.
 * Return: true: there is a connection, accepted or not; false: go on with @r as if nothing had been
 */
bool tcp_fo_rx_syn(struct tcp_req *r, struct pkt *p, struct tcp_fo *out)
{
	struct tcp_sock *l = tcp_sk(r->listener);
	const struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = r->c.ns;
	bool free_for_all = l->fo_no_cookie || (ns->sysctl.tcp_fastopen & TCP_FO_SERVER_NO_COOKIE);
	int key = 1;

	if (cb->tfo_off && !cb->tfo_len)
		mib_inc(ns, MIB_TCPX_FASTOPEN_COOKIE_REQD);
	if (!(ns->sysctl.tcp_fastopen & TCP_FO_SERVER) || !l->fo_max || (!cb->tfo_off && cb->end_seq == cb->seq + 1))
		return false;
	if (!free_for_all) {
		if (!cb->tfo_off)
			return false;
		key = cb->tfo_len ? cookie_check(r, pkt_l4(p) + cb->tfo_off, cb->tfo_len) : 0;
		if (key != 1)
			cookie_fresh(r, out);
		if (!key) {
			if (cb->tfo_len)
				mib_inc(ns, MIB_TCPX_FASTOPEN_PASSIVE_FAIL);
			return false;
		}
	}
	if (!pending_take(l)) {
		mib_inc(ns, MIB_TCPX_FASTOPEN_OVERFLOW);
		return false;
	}
	if (!child_start(r, p, out)) {
		pending_give(l, false);
		mib_inc(ns, MIB_TCPX_FASTOPEN_PASSIVE_FAIL);
		return false;
	}
	mib_inc(ns, MIB_TCPX_FASTOPEN_PASSIVE);
	if (key == 2)
		mib_inc(ns, MIB_TCPX_FASTOPEN_ALT_KEY);
	return true;
}
