/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/sock_info.c - an endpoint described: sock_diag, /proc/net/tcp and its siblings
 */
#include "sentry/net/sock_internal.h"
#include "sentry/net/tcp/tcp.h"

static void info_common(const struct skc *c, struct sock_info *out)
{
	*out = (struct sock_info){ .family = c->family, .type = c->type, .proto = c->proto, .state = c->state,
				   .ifindex = c->bound_if, .cookie = c->cookie, .uid = c->uid, .v6only = c->v6only };
	out->local = (struct net_ep){ .addr = c->laddr, .port = c->lport };
	out->remote = (struct net_ep){ .addr = c->raddr, .port = c->rport };
	out->refs = atomic_load(&((struct skc *)c)->ref.n);
}

static void info_tcp(struct tcp_sock *tp, struct sock_info *out)
{
	uint64_t now = net_now(tp->sk.c.ns->stack), at = tp->rtx_at_ns;

	if (tp->sk.c.state == TCPS_LISTEN) {
		out->rqueue = tp->acceptq_len;
		out->wqueue = tp->backlog;
		out->backlog_max = tp->backlog;
		return;
	}
	out->rqueue = (uint32_t)tp->sk.rcvq.bytes;
	out->wqueue = tp->write_seq - tp->snd_una;
	out->retrans = tp->retries;
	/* timer codes of /proc/net/tcp: 1 retransmission, 2 keepalive, 4 zero window probe */
	if (tp->rtx_kind == TCP_RTX_PROBE0) {
		out->timer = 4;
		out->retrans = tp->probes_out;
	} else if (tp->rtx_kind != TCP_RTX_NONE) {
		out->timer = 1;
	} else if (tp->keep_at_ns != NET_NEVER) {
		out->timer = 2;
		at = tp->keep_at_ns;
		out->retrans = tp->probes_out;
	}
	if (out->timer && at != NET_NEVER && at > now)
		out->timer_ns = at - now;
}

void sock_get_info(struct sock *sk, struct sock_info *out)
{
	info_common(&sk->c, out);
	if (sk->c.kind != SKC_FULL) {
		if (sk->c.kind == SKC_REQ)
			out->state = TCPS_SYN_RECV;
		return;
	}
	out->ino = sk->ino;
	out->mark = sk->mark;
	out->shutdown = sk->shut;
	out->drops = atomic_load(&sk->drops);
	out->has_owner = !sk->closed;
	if (sk->ops == &tcp_sock_ops) {
		info_tcp(tcp_sk(sk), out);
	} else {
		out->rqueue = atomic_load(&sk->rmem);
		out->wqueue = atomic_load(&sk->wmem);
	}
}
