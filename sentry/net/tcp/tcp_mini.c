/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/tcp/tcp_mini.c - TIME_WAIT, and what both kinds of small entries share
 *
 * Model:   a connection that ends in TIME_WAIT leaves a small entry with its tuple, its last sequence numbers and a
 *          timer. The entry holds no reference to the namespace; a dying namespace removes it.
 * Locks:   tw->mu, a leaf.
 * Source:  RFC 9293 section 3.10.7.4, 3.6.1; RFC 6191 (reuse), RFC 1337 (assassination), RFC 7323 section 5.
 */
#include "sentry/net/tcp/tcp.h"

void tcp_mini_free(struct skc *c)
{
	if (c->kind == SKC_REQ)
		tcp_req_free((struct tcp_req *)c);
	free(c);
}

void tcp_mini_kill(struct skc *c)
{
	struct net_timer *t = c->kind == SKC_TW ? &((struct tcp_tw *)c)->timer : &((struct tcp_req *)c)->timer;
	struct net_ns *ns = c->ns;

	if (net_timer_cancel(ns->stack, t))
		skc_put(c);
	if (!ehash_remove(c))
		return;
	if (c->kind == SKC_TW)
		atomic_fetch_sub(&ns->nr_timewait, 1);
	else
		atomic_fetch_sub(&tcp_sk(((struct tcp_req *)c)->listener)->synq_len, 1);
	bind_release(c);
}

static void tw_timer(struct net_timer *t)
{
	struct tcp_tw *tw = container_of(t, struct tcp_tw, timer);

	tcp_mini_kill(&tw->c);
	skc_put(&tw->c);
}

/* RFC 6191, and Linux's tcp_tw_reuse: 1 always, 2 on loopback only; one second, so that timestamps moved on. */
bool tcp_tw_may_reuse(struct skc *c, struct skc *fresh)
{
	struct tcp_tw *tw = (struct tcp_tw *)c;
	int mode = c->ns->sysctl.tcp_tw_reuse;

	(void)fresh;
	if (!mode || (mode == 2 && !naddr_is_loopback(&c->laddr) && !naddr_is_loopback(&c->raddr)))
		return false;
	if (!tw->ts_ok || net_now(c->ns->stack) - tw->ts_recent_ns < NET_SEC)
		return false;
	mib_inc(c->ns, MIB_TCPX_TW_RECYCLED);
	return true;
}

void tcp_time_wait(struct tcp_sock *tp)
{
	struct skc *c = &tp->sk.c;
	struct net_ns *ns = c->ns;
	struct tcp_tw *tw = NULL;

	if (atomic_load(&ns->nr_timewait) < (uint32_t)ns->sysctl.tcp_max_tw_buckets)
		tw = calloc(1, sizeof(*tw));
	if (!tw) { /* RFC 9293 wants the wait, but not at any price */
		tcp_done(tp);
		return;
	}
	tw->c = (struct skc){ .kind = SKC_TW, .family = c->family, .type = c->type, .proto = c->proto,
			      .state = TCPS_TIME_WAIT, .v6only = c->v6only, .reuse = c->reuse, .reuseport = c->reuseport,
			      .auto_port = c->auto_port, .lport = c->lport, .rport = c->rport, .laddr = c->laddr,
			      .raddr = c->raddr, .bound_if = c->bound_if, .uid = c->uid, .cookie = c->cookie, .ns = ns };
	ref_init(&tw->c.ref, 2); /* ours, the timer's */
	list_init(&tw->c.bind_node);
	tw->rcv_nxt = tp->rcv_nxt;
	tw->snd_nxt = tp->snd_nxt;
	tw->rcv_wnd = tp->rcv_wnd;
	tw->rcv_wscale = tp->rcv_wscale;
	tw->ts_ok = tp->ts_ok;
	tw->ts_recent = tp->ts_recent;
	tw->ts_recent_ns = net_now(ns->stack);
	tw->ts_off = tp->ts_off;
	tw->tos = tp->sk.tos;
	tw->mark = tp->sk.mark;
	net_timer_init(&tw->timer, tw_timer);
	if (bind_inherit(&tw->c, c) || !ehash_insert(&tw->c, c, NULL)) {
		bind_release(&tw->c);
		skc_put(&tw->c);
		skc_put(&tw->c);
		tcp_done(tp);
		return;
	}
	atomic_fetch_add(&ns->nr_timewait, 1);
	mib_inc(ns, MIB_TCPX_TW);
	net_timer_arm(ns->stack, &tw->timer, net_now(ns->stack) + TCP_TIMEWAIT_LEN);
	skc_put(&tw->c);
	tcp_done(tp);
}

static void tw_ack(struct tcp_tw *tw)
{
	struct tcp_opts o = { .wscale = 255, .ts = tw->ts_ok, .tsval = tcp_ts_now(tw->c.ns, tw->ts_off),
			      .tsecr = tw->ts_recent };

	tcp_send_mini(&tw->c, tw->snd_nxt, tw->rcv_nxt, TCP_ACK, (uint16_t)(tw->rcv_wnd >> tw->rcv_wscale), &o, tw->tos,
		      tw->mark);
}

/* A new connection may take over the tuple when its numbers are clearly newer. True: @p went to the listener. */
static bool tw_takeover(struct tcp_tw *tw, struct pkt *p)
{
	const struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tw->c.ns;
	struct sock *l;

	if (!(cb->flags & TCP_SYN) || (cb->flags & (TCP_ACK | TCP_RST)))
		return false;
	if (!(after(cb->seq, tw->rcv_nxt) || (tw->ts_ok && cb->has_ts && (int32_t)(cb->tsval - tw->ts_recent) > 0)))
		return false;
	l = listener_lookup(ns, p, rd16(p->data + 2), rd16(p->data));
	if (!l)
		return false;
	tcp_mini_kill(&tw->c);
	tcp_listen_rx(l, p);
	sock_put(l);
	return true;
}

void tcp_tw_rx(struct tcp_tw *tw, struct pkt *p)
{
	const struct tcp_cb *cb = TCP_CB(p);
	struct net_ns *ns = tw->c.ns;
	bool paws, ack = false, in_window, kill = false;

	if (tw_takeover(tw, p))
		return;
	mutex_lock(&tw->mu);
	paws = tw->ts_ok && cb->has_ts && (int32_t)(tw->ts_recent - cb->tsval) > 0;
	in_window = cb->end_seq == cb->seq ? !before(cb->seq, tw->rcv_nxt) && !after(cb->seq, tw->rcv_nxt + tw->rcv_wnd) :
					     !before(cb->end_seq, tw->rcv_nxt) && before(cb->seq, tw->rcv_nxt + tw->rcv_wnd);
	if (cb->flags & TCP_RST) {
		/* RFC 1337: a reset must not end the wait unless asked to */
		kill = cb->seq == tw->rcv_nxt && !paws && !ns->sysctl.tcp_rfc1337;
	} else if (paws || !in_window || cb->end_seq != cb->seq || (cb->flags & TCP_SYN)) {
		ack = cb->flags & TCP_ACK || cb->flags & TCP_SYN;
	}
	if (!paws && cb->has_ts && tw->ts_ok && !after(cb->seq, tw->rcv_nxt)) {
		tw->ts_recent = cb->tsval;
		tw->ts_recent_ns = net_now(ns->stack);
	}
	mutex_unlock(&tw->mu);
	if (kill)
		tcp_mini_kill(&tw->c);
	else if (ack) {
		tw_ack(tw);
		if (cb->flags & TCP_FIN) /* the peer's FIN again: start the wait over */
			net_timer_arm(ns->stack, &tw->timer, net_now(ns->stack) + TCP_TIMEWAIT_LEN) ? skc_get(&tw->c) : (void)0;
	}
	pkt_free(p);
}
