/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/sock.c - endpoints: life, ownership, events, and the calls that every protocol has
 *
 * Locks:   own, blq_mu, ev_mu (sock_internal.h).
 */
#include "sentry/net/sock_internal.h"
#include "sentry/net/tcp/tcp.h"

struct sock *sock_alloc(struct net_ns *ns, const struct sock_ops *ops, int family, int type, int proto)
{
	static _Atomic uint64_t cookies = 1;
	struct sock *sk = calloc(1, ops->size);

	if (!sk)
		return NULL;
	ref_init(&sk->c.ref, 1);
	sk->ops = ops;
	sk->c.kind = SKC_FULL;
	sk->c.family = (uint8_t)family;
	sk->c.type = (uint8_t)type;
	sk->c.proto = (uint8_t)proto;
	sk->c.state = TCPS_CLOSE;
	sk->c.cookie = atomic_fetch_add(&cookies, 1);
	sk->c.laddr = sk->c.raddr = family == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	sk->c.v6only = ns->sysctl.v6_bindv6only;
	net_ns_get(ns);
	sk->c.ns = ns;
	list_init(&sk->c.bind_node);
	list_init(&sk->mcs);
	sk->rcvbuf = ns->sysctl.rmem_default;
	sk->sndbuf = ns->sysctl.wmem_default;
	sk->rcvlowat = 1;
	sk->ttl = sk->hops = sk->mc_hops = -1;
	sk->mc_ttl = 1;
	sk->mc_loop = sk->mc_loop6 = sk->mc_all6 = true;
	sk->mc_all = family == NET_AF_INET;
	sk->pmtudisc = sk->pmtudisc6 = 1; /* IP_PMTUDISC_WANT */
	return sk;
}

static void sock_free(struct sock *sk)
{
	struct net_ns *ns = sk->c.ns;

	if (sk->ops->destroy)
		sk->ops->destroy(sk);
	pkt_list_free(&sk->backlog);
	pkt_list_free(&sk->rcvq);
	pkt_list_free(&sk->errq);
	dst_put(sk->dst);
	free(sk->filter);
	free(sk);
	net_ns_put(ns);
}

void skc_put(struct skc *c)
{
	if (!ref_put(&c->ref))
		return;
	if (c->kind == SKC_FULL)
		sock_free((struct sock *)c);
	else
		tcp_mini_free(c);
}

void sock_get(struct sock *sk)
{
	skc_get(&sk->c);
}

void sock_put(struct sock *sk)
{
	if (sk)
		skc_put(&sk->c);
}

/* ---- ownership ------------------------------------------------------------------------------------- */

void sock_release_owned(struct sock *sk)
{
	for (;;) {
		struct pkt_list l;
		struct pkt *p;

		bh_run();
		mutex_lock(&sk->blq_mu);
		if (likely(!sk->backlog.head)) {
			mutex_unlock(&sk->own); /* under blq_mu: an arriving packet either sees us or is seen */
			mutex_unlock(&sk->blq_mu);
			return;
		}
		l = sk->backlog;
		pkt_list_init(&sk->backlog);
		mutex_unlock(&sk->blq_mu);
		while ((p = pkt_list_pop(&l)))
			sk->ops->backlog_rx(sk, p);
	}
}

void sock_input(struct sock *sk, struct pkt *p)
{
	uint64_t limit;

	if (!mutex_trylock(&sk->own)) {
		mutex_lock(&sk->blq_mu);
		if (!mutex_trylock(&sk->own)) {
			/* Bounds what a sender can pile up while the owner works; as generous as Linux's. */
			limit = (uint64_t)sk->rcvbuf + (uint64_t)sk->sndbuf + 65536;
			if (sk->backlog.bytes + sk->backlog.nr * 512ull > limit) {
				mutex_unlock(&sk->blq_mu);
				mib_inc(sk->c.ns, MIB_TCPX_BACKLOG_DROP);
				net_drop(sk->c.ns, p, DROP_BACKLOG);
				return;
			}
			pkt_list_add(&sk->backlog, p);
			mutex_unlock(&sk->blq_mu);
			return;
		}
		mutex_unlock(&sk->blq_mu);
	}
	sk->ops->backlog_rx(sk, p);
	sock_release_owned(sk);
}

void sock_set_event(struct sock *sk, void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	mutex_lock(&sk->ev_mu);
	sk->event_fn = fn;
	sk->event_ctx = ctx;
	mutex_unlock(&sk->ev_mu);
}

void sock_event(struct sock *sk, uint32_t events)
{
	mutex_lock(&sk->ev_mu);
	if (sk->event_fn)
		sk->event_fn(sk->event_ctx, events);
	mutex_unlock(&sk->ev_mu);
}

void sock_report_err(struct sock *sk, int err)
{
	atomic_store(&sk->err, err);
	sock_event(sk, NET_POLLERR | NET_POLLIN | NET_POLLOUT);
}

/* ---- calls ------------------------------------------------------------------------------------------ */

static const struct proto_row {
	int type, proto;
	const struct sock_ops *ops;
	int def;		/* what protocol 0 means */
} rows[] = {
	{ NET_SOCK_STREAM, NET_IPPROTO_TCP, &tcp_sock_ops, 1 },
	{ NET_SOCK_DGRAM, NET_IPPROTO_UDP, &udp_sock_ops, 1 },
	{ NET_SOCK_DGRAM, NET_IPPROTO_ICMP, &ping_sock_ops, 0 },
	{ NET_SOCK_DGRAM, NET_IPPROTO_ICMPV6, &ping_sock_ops, 0 },
};

static int find_ops(int family, int type, int *proto, const struct sock_ops **out)
{
	bool type_known = false;

	if (*proto < 0 || *proto > 255)
		return -LINUX_EINVAL;
	if (type == NET_SOCK_RAW) {
		if (!*proto)
			return -LINUX_EPROTONOSUPPORT;
		*out = &raw_sock_ops;
		return 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].type != type)
			continue;
		type_known = true;
		if (*proto == rows[i].proto || (!*proto && rows[i].def)) {
			if (rows[i].proto == NET_IPPROTO_ICMP && family != NET_AF_INET)
				continue;
			if (rows[i].proto == NET_IPPROTO_ICMPV6 && family != NET_AF_INET6)
				continue;
			*proto = rows[i].proto;
			*out = rows[i].ops;
			return 0;
		}
	}
	return type_known ? -LINUX_EPROTONOSUPPORT : -LINUX_ESOCKTNOSUPPORT;
}

int sock_create(struct net_ns *ns, int family, int type, int proto, struct sock **out)
{
	const struct sock_ops *ops = NULL;
	struct sock *sk;
	int ret;

	if (family == NET_AF_PACKET) {
		if (type != NET_SOCK_RAW && type != NET_SOCK_DGRAM && type != NET_SOCK_PACKET)
			return -LINUX_ESOCKTNOSUPPORT;
		return packet_create(ns, type, proto, out);
	}
	if (family != NET_AF_INET && family != NET_AF_INET6)
		return -LINUX_EAFNOSUPPORT;
	ret = find_ops(family, type, &proto, &ops);
	if (ret)
		return ret;
	sk = sock_alloc(ns, ops, family, type, proto);
	if (!sk)
		return -LINUX_ENOBUFS;
	sk->c.reuse = ops == &raw_sock_ops || ops == &ping_sock_ops;
	if (ops == &tcp_sock_ops)
		tcp_sock_init(sk);
	else if (ops == &raw_sock_ops)
		raw_sock_init(sk);
	*out = sk;
	return 0;
}

void sock_close(struct sock *sk)
{
	sock_set_event(sk, NULL, NULL);
	sock_own(sk);
	sk->closed = true;
	sock_mc_release(sk);
	sk->ops->close(sk);
	sock_release(sk);
	sock_put(sk);
}

int sock_check_ep(struct sock *sk, const struct net_ep *ep, struct naddr *out)
{
	bool v4 = naddr_is_v4(&ep->addr);

	if (sk->c.family == NET_AF_INET && !v4)
		return -LINUX_EAFNOSUPPORT;
	if (sk->c.family == NET_AF_INET6 && v4 && sk->c.v6only)
		return -LINUX_EADDRNOTAVAIL;
	*out = ep->addr;
	return 0;
}

/* Address checks of bind(2); own held. */
int sock_bind_common(struct sock *sk, const struct net_ep *ep)
{
	struct naddr a;
	int ret = sock_check_ep(sk, ep, &a);

	if (ret)
		return ret;
	if (!naddr_is_any(&a) && !naddr_is_multicast(&a) && !naddr_is_bcast4(&a)) {
		bool ours = net_addr_is_local(sk->c.ns, &a);

		if (!ours && ep->scope_id && naddr_is_linklocal6(&a)) {
			struct net_link *l = net_link_by_index(sk->c.ns, ep->scope_id);

			ours = l && net_addr_on_link(l, &a);
			net_link_put(l);
		}
		if (!ours && !sk->c.freebind && !sk->c.transparent && !sk->c.ns->sysctl.ip_nonlocal_bind)
			return -LINUX_EADDRNOTAVAIL;
	} else if (!naddr_is_any(&a) && sk->c.type == NET_SOCK_STREAM) {
		return -LINUX_EADDRNOTAVAIL;
	}
	if (naddr_is_linklocal6(&a)) {
		if (ep->scope_id)
			sk->c.bound_if = ep->scope_id;
		if (!sk->c.bound_if)
			return -LINUX_EINVAL;
	}
	sk->c.laddr = a;
	return 0;
}

int sock_bind(struct sock *sk, const struct net_ep *ep, uint32_t caps)
{
	struct naddr old;
	int ret;

	if (sk->c.family == NET_AF_PACKET)
		return -LINUX_EINVAL;
	sock_own(sk);
	old = sk->c.laddr;
	if (sk->c.state != TCPS_CLOSE || (sk->c.lport && sk->c.type != NET_SOCK_RAW)) {
		ret = -LINUX_EINVAL;
		goto out;
	}
	if (ep->port && sk->c.type != NET_SOCK_RAW && ep->port < sk->c.ns->sysctl.ip_unprivileged_port_start &&
	    !(caps & NET_CAP_BIND) && sk->ops != &ping_sock_ops) {
		ret = -LINUX_EACCES;
		goto out;
	}
	ret = sock_bind_common(sk, ep);
	if (!ret && sk->c.type != NET_SOCK_RAW) {
		ret = bind_port(&sk->c, ep->port);
		if (ret)
			sk->c.laddr = old;
	}
	sock_dst_reset(sk);
out:
	sock_release(sk);
	return ret;
}

int sock_connect(struct sock *sk, const struct net_ep *ep)
{
	int ret;

	sock_own(sk);
	if (!ep)
		ret = sk->ops->disconnect ? sk->ops->disconnect(sk) : -LINUX_EOPNOTSUPP;
	else
		ret = sk->ops->connect ? sk->ops->connect(sk, ep) : -LINUX_EOPNOTSUPP;
	sock_release(sk);
	return ret;
}

int sock_listen(struct sock *sk, int backlog)
{
	int ret;

	if (!sk->ops->listen)
		return -LINUX_EOPNOTSUPP;
	sock_own(sk);
	ret = sk->ops->listen(sk, backlog);
	sock_release(sk);
	return ret;
}

int sock_accept(struct sock *sk, struct sock **out)
{
	return sk->ops->accept ? sk->ops->accept(sk, out) : -LINUX_EOPNOTSUPP;
}

long sock_send(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	long ret;

	bh_enter();
	ret = sk->ops->send(sk, it, m);
	bh_leave();
	return ret;
}

long sock_recv(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct net_msg none = { 0 };

	if (!m)
		m = &none;
	if (m->flags & NET_MSG_ERRQUEUE)
		return errq_recv(sk, it, m);
	return sk->ops->recv(sk, it, m);
}

int sock_shutdown(struct sock *sk, int how)
{
	int ret;

	if (how < NET_SHUT_RD || how > NET_SHUT_RDWR)
		return -LINUX_EINVAL;
	sock_own(sk);
	ret = sk->ops->shutdown(sk, how);
	sock_release(sk);
	return ret;
}

uint32_t sock_poll(struct sock *sk)
{
	return sk->ops->poll(sk);
}

int sock_name(struct sock *sk, struct net_ep *out)
{
	*out = (struct net_ep){ .addr = sk->c.laddr, .port = sk->c.lport };
	if (naddr_is_linklocal6(&sk->c.laddr))
		out->scope_id = sk->c.bound_if;
	return 0;
}

int sock_peer(struct sock *sk, struct net_ep *out)
{
	bool stream = sk->c.type == NET_SOCK_STREAM;

	if (stream ? (TCPF(sk->c.state) & (TCPF(TCPS_CLOSE) | TCPF(TCPS_LISTEN) | TCPF(TCPS_SYN_SENT))) :
		     sk->c.state != TCPS_ESTABLISHED)
		return -LINUX_ENOTCONN;
	*out = (struct net_ep){ .addr = sk->c.raddr, .port = sk->c.rport };
	if (naddr_is_linklocal6(&sk->c.raddr))
		out->scope_id = sk->c.bound_if;
	return 0;
}

int sock_error_take(struct sock *sk)
{
	int e = atomic_exchange(&sk->err, 0);

	return e ? e : atomic_exchange(&sk->err_soft, 0);
}

long sock_inq(struct sock *sk)
{
	return sk->ops->inq ? sk->ops->inq(sk) : -LINUX_EINVAL;
}

long sock_outq(struct sock *sk)
{
	return sk->ops->outq ? sk->ops->outq(sk) : (long)atomic_load(&sk->wmem);
}

void sock_set_owner(struct sock *sk, uint32_t uid, uint32_t gid, uint64_t ino, void *owner)
{
	sk->c.uid = uid;
	sk->gid = gid;
	sk->ino = ino;
	sk->owner = owner;
}

void sock_set_echo_only(struct sock *sk)
{
	sk->echo_only = true;
}

void sock_set_internal(struct sock *sk)
{
	sk->c.internal = true;
}

struct net_ns *sock_ns(struct sock *sk)
{
	return sk->c.ns;
}

int sock_family(struct sock *sk)
{
	return sk->c.family;
}

int sock_type(struct sock *sk)
{
	return sk->c.type;
}

int sock_proto(struct sock *sk)
{
	return sk->c.proto;
}

/* ---- routes of endpoints ------------------------------------------------------------------------------- */

void sock_flow(struct sock *sk, const struct naddr *dst, struct net_flow *fl)
{
	bool mc = naddr_is_multicast(dst), v4 = naddr_is_v4(dst);

	*fl = (struct net_flow){ .dst = *dst, .src = sk->c.laddr, .oif = sk->c.bound_if, .mark = sk->mark,
				 .tos = v4 ? sk->tos : sk->tclass, .ipproto = sk->c.proto, .sport = sk->c.lport,
				 .dport = sk->c.rport };
	if (naddr_is_any(&fl->src) || naddr_is_v4(&fl->src) != v4 || naddr_is_multicast(&fl->src))
		fl->src = v4 ? NADDR_ANY4 : NADDR_ANY6;
	if (mc && !fl->oif)
		fl->oif = v4 ? sk->mc_if : sk->mc_if6;
	if (mc && v4 && naddr_is_any(&fl->src) && naddr_is_v4(&sk->mc_src))
		fl->src = sk->mc_src;
	if (!mc && !fl->oif && sk->uc_if)
		fl->oif = sk->uc_if;
}

void sock_dst_reset(struct sock *sk)
{
	struct dst *d;

	mutex_lock(&sk->mu);
	d = sk->dst;
	sk->dst = NULL;
	mutex_unlock(&sk->mu);
	dst_put(d);
}

int sock_route(struct sock *sk, const struct net_flow *fl, bool cache, struct dst **out)
{
	struct net_ns *ns = sk->c.ns;
	struct dst *d = NULL, *old = NULL;
	int ret;

	if (cache) {
		mutex_lock(&sk->mu);
		d = sk->dst;
		if (d && d->gen == atomic_load_explicit(&ns->route_gen, memory_order_acquire) &&
		    (d->expires_ns == NET_NEVER || net_now(ns->stack) < d->expires_ns)) {
			dst_get(d);
			mutex_unlock(&sk->mu);
			*out = d;
			return 0;
		}
		mutex_unlock(&sk->mu);
	}
	ret = net_route_lookup(ns, fl, &d);
	if (ret)
		return ret;
	if (cache) {
		dst_get(d);
		mutex_lock(&sk->mu);
		old = sk->dst;
		sk->dst = d;
		mutex_unlock(&sk->mu);
		dst_put(old);
	}
	*out = d;
	return 0;
}
