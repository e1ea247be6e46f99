/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet.c - AF_INET, AF_INET6, AF_PACKET: creation, names, connections, options
 *
 * Locks:   the endpoint's own; events arrive with sock.own held and only wake.
 * Source:  ip(7), ipv6(7), tcp(7), udp(7), raw(7), packet(7), capabilities(7).
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/socket/host/hostinet.h"
#include "sentry/socket/inet/inet.h"

static const struct socket_ops inet_ops;
bool inet_no_raw;

uint32_t inet_caps(const struct socket *s, const struct task *t)
{
	const struct user_ns *ns = s->net->user_ns;

	return (cred_has_cap(t->cred, ns, LINUX_CAP_NET_RAW) ? NET_CAP_RAW : 0) |
	       (cred_has_cap(t->cred, ns, LINUX_CAP_NET_ADMIN) ? NET_CAP_ADMIN : 0) |
	       (cred_has_cap(t->cred, ns, LINUX_CAP_NET_BIND_SERVICE) ? NET_CAP_BIND : 0);
}

static void on_event(void *ctx, uint32_t events)
{
	struct inet_sock *i = ctx;

	waitq_wake(&i->wq, events, UINT32_MAX);
	socket_sigio(&i->sk, events);
}

/* Couples a new socket with @ep (moved). */
static long inet_wrap(struct net_ns_ref *net, int family, int type, int protocol, struct sock *ep, struct socket **out)
{
	struct inet_sock *i = calloc(1, sizeof(*i));

	if (!i) {
		sock_close(ep);
		return -LINUX_ENOMEM;
	}
	socket_init(&i->sk, &inet_ops, net, family, type, protocol);
	waitq_init(&i->wq);
	sleeplock_init(&i->recv_lock);
	i->ep = ep;
	sock_set_event(ep, on_event, i);
	*out = &i->sk;
	return 0;
}

/* --net-raw=false: what is left of raw sockets is ping. */
static bool echo_only(const struct net_ns_ref *net)
{
	return inet_no_raw && net->user_ns == &init_user_ns;
}

/* IPPROTO_RAW receives nothing, and with echo_only sends nothing either: it is what iptables asks for its tables. */
static bool is_mute(int type, int protocol)
{
	return type == LINUX_SOCK_RAW && protocol == NET_IPPROTO_RAW;
}

static bool is_icmp(int family, int type, int protocol)
{
	return type == LINUX_SOCK_RAW && ((family == LINUX_AF_INET && protocol == NET_IPPROTO_ICMP) ||
					  (family == LINUX_AF_INET6 && protocol == NET_IPPROTO_ICMPV6));
}

/* Raw and packet sockets want CAP_NET_RAW; ping sockets are open to every group, as container runtimes set it. */
static bool may_create(struct task *t, struct net_ns_ref *net, int family, int type, int protocol)
{
	if (type != LINUX_SOCK_RAW && type != LINUX_SOCK_PACKET && family != LINUX_AF_PACKET)
		return true;
	if (echo_only(net) && !is_icmp(family, type, protocol) && !is_mute(type, protocol))
		return false;
	return cred_has_cap(t->cred, net->user_ns, LINUX_CAP_NET_RAW);
}

static long create_family(struct task *t, struct net_ns_ref *net, int family, int type, int protocol, struct socket **out)
{
	int proto = protocol;
	struct sock *ep;
	long ret;

	if (!net->stack)
		return -LINUX_EAFNOSUPPORT;
	if (type == LINUX_SOCK_RAW && family != LINUX_AF_PACKET && !protocol)
		return -LINUX_EPROTONOSUPPORT; /* found before anybody asks for the privilege */
	if (!may_create(t, net, family, type, protocol))
		return -LINUX_EPERM;
	if (net->host && family != LINUX_AF_PACKET && (type == LINUX_SOCK_STREAM || type == LINUX_SOCK_DGRAM))
		return hostinet_create(net, family, type, protocol, out);
	if (family == LINUX_AF_PACKET)
		proto = (protocol & 0xff) << 8 | (protocol >> 8 & 0xff); /* network order in the call */
	ret = sock_create(net->stack, family, type, proto, &ep);
	if (ret)
		return ret;
	if (type == LINUX_SOCK_RAW && echo_only(net))
		sock_set_echo_only(ep);
	sock_set_owner(ep, t->cred->fsuid, t->cred->fsgid, 0, NULL);
	return inet_wrap(net, family, type, family == LINUX_AF_PACKET ? protocol : sock_proto(ep), ep, out);
}

static long create_v4(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out)
{
	return create_family(t, net, LINUX_AF_INET, type, protocol, out);
}

static long create_v6(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out)
{
	return create_family(t, net, LINUX_AF_INET6, type, protocol, out);
}

static long create_packet(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out)
{
	return create_family(t, net, LINUX_AF_PACKET, type, protocol, out);
}

static bool is_closed(struct inet_sock *i)
{
	return sock_closed(i->ep);
}

static void inet_release(struct socket *s)
{
	struct inet_sock *i = inet_of(s);

	/* SO_LINGER with a time: close(2) waits for the data to be acknowledged. */
	if (s->linger.onoff && s->linger.linger > 0 && s->type == LINUX_SOCK_STREAM && kthread_self()) {
		sock_shutdown(i->ep, NET_SHUT_WR);
		wait_event(&i->wq, is_closed(i), SLEEP_INTERRUPTIBLE, now_ns() + (uint64_t)s->linger.linger * NSEC_PER_SEC);
	}
	sock_set_event(i->ep, NULL, NULL);
	sock_close(i->ep);
	packet_map_close(i);
	socket_fini(s);
	free(i);
}

/* ---- names and connections ---------------------------------------------------------------------------------- */

static long inet_bind(struct socket *s, struct task *t, const struct sockaddr_buf *a)
{
	struct linux_sockaddr_ll ll;
	struct net_ep ep;
	long ret;

	if (s->family == LINUX_AF_PACKET) {
		if (a->len < sizeof(ll))
			return -LINUX_EINVAL;
		memcpy(&ll, a->b, sizeof(ll));
		return sock_bind_ll(inet_of(s)->ep, (uint16_t)(ll.protocol[0] << 8 | ll.protocol[1]), (uint32_t)ll.ifindex);
	}
	ret = inet_ep_from(s, a, &ep);
	return ret ? ret : sock_bind(inet_of(s)->ep, &ep, inet_caps(s, t));
}

static bool connect_over(struct inet_sock *i)
{
	return sock_poll(i->ep) & (NET_POLLOUT | NET_POLLERR | NET_POLLHUP);
}

static long inet_connect(struct socket *s, struct task *t, const struct sockaddr_buf *a, bool nonblock)
{
	struct inet_sock *i = inet_of(s);
	struct net_ep ep;
	long ret;

	if (a->family == LINUX_AF_UNSPEC)
		return sock_connect(i->ep, NULL);
	ret = inet_ep_from(s, a, &ep);
	if (ret)
		return ret;
	ret = sock_connect(i->ep, &ep);
	/* A blocking connect that was interrupted goes on; the next call waits for it. */
	if ((ret != -LINUX_EINPROGRESS && ret != -LINUX_EALREADY) || nonblock)
		return ret;
	ret = wait_event(&i->wq, connect_over(i), SLEEP_INTERRUPTIBLE, socket_deadline(s->sndtimeo_ns));
	if (ret == -LINUX_ETIMEDOUT)
		return -LINUX_EINPROGRESS;
	if (ret)
		return socket_wait_error(ret, s->sndtimeo_ns);
	return -sock_error_take(i->ep);
}

static long inet_listen(struct socket *s, int backlog)
{
	return sock_listen(inet_of(s)->ep, backlog);
}

static long inet_accept(struct socket *s, bool nonblock, struct socket **out)
{
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	struct inet_sock *i = inet_of(s);
	struct sock *ep;
	long ret;

	for (;;) {
		ret = sock_accept(i->ep, &ep);
		if (!ret)
			break;
		if (ret != -LINUX_EAGAIN || nonblock)
			return ret;
		ret = wait_event(&i->wq, sock_poll(i->ep) & (NET_POLLIN | NET_POLLERR | NET_POLLHUP), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, s->rcvtimeo_ns);
	}
	return inet_wrap(s->net, s->family, s->type, s->protocol, ep, out);
}

static long inet_getname(struct socket *s, bool peer, struct sockaddr_buf *out)
{
	struct net_ll ll;
	struct net_ep ep;
	long ret;

	if (s->family == LINUX_AF_PACKET) {
		if (peer)
			return -LINUX_EOPNOTSUPP;
		ret = sock_name_ll(inet_of(s)->ep, &ll);
		if (!ret)
			inet_ll_to(&ll, out);
		return ret;
	}
	ret = peer ? sock_peer(inet_of(s)->ep, &ep) : sock_name(inet_of(s)->ep, &ep);
	if (!ret)
		inet_ep_to(s->family, &ep, out);
	return ret;
}

static long inet_shutdown(struct socket *s, int how)
{
	long ret = sock_shutdown(inet_of(s)->ep, how);

	waitq_wake_all(&inet_of(s)->wq);
	return ret;
}

static uint32_t inet_poll(struct socket *s, struct poll_table *pt)
{
	poll_wait(pt, &inet_of(s)->wq);
	return sock_poll(inet_of(s)->ep);
}

/* ---- options ---------------------------------------------------------------------------------------------------- */

static long attach_filter(struct socket *s, struct task *t, const void *val, size_t len)
{
	uint8_t *prog;
	unsigned nr;
	long ret = socket_filter_copyin(t, val, len, &prog, &nr);

	if (ret)
		return ret;
	ret = sock_filter_attach(inet_of(s)->ep, prog, nr);
	free(prog);
	return ret;
}

static long inet_setsockopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len)
{
	if (level == LINUX_SOL_SOCKET && name == LINUX_SO_ATTACH_FILTER)
		return attach_filter(s, t, val, len);
	if (level == LINUX_SOL_SOCKET && name == LINUX_SO_DETACH_FILTER)
		return sock_filter_attach(inet_of(s)->ep, NULL, 0);
	if (level == LINUX_SOL_PACKET && s->family == LINUX_AF_PACKET && (name == LINUX_PACKET_RX_RING || name == LINUX_PACKET_TX_RING))
		return packet_map_set(inet_of(s), name == LINUX_PACKET_TX_RING, val, len);
	return sock_setopt(inet_of(s)->ep, level, name, val, (uint32_t)len, inet_caps(s, t));
}

static long inet_getsockopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len)
{
	uint32_t n = (uint32_t)*len;
	long ret = sock_getopt(inet_of(s)->ep, level, name, val, &n);

	*len = n;
	return ret;
}

/* Values of SOL_SOCKET that the stack acts on; the common code has checked and stored them. */
static void inet_opt_changed(struct socket *s, int name)
{
	const struct {
		int name, v;
	} vals[] = {
		{ LINUX_SO_REUSEADDR, s->reuseaddr }, { LINUX_SO_REUSEPORT, s->reuseport }, { LINUX_SO_KEEPALIVE, s->keepalive },
		{ LINUX_SO_BROADCAST, s->broadcast }, { LINUX_SO_OOBINLINE, s->oobinline }, { LINUX_SO_TIMESTAMP, s->timestamp },
		{ LINUX_SO_TIMESTAMPNS, s->timestampns }, { LINUX_SO_NO_CHECK, s->no_check }, { LINUX_SO_DONTROUTE, s->dontroute },
		{ LINUX_SO_RXQ_OVFL, s->rxq_ovfl }, { LINUX_SO_PRIORITY, s->priority }, { LINUX_SO_RCVLOWAT, s->rcvlowat },
		{ LINUX_SO_MARK, (int)s->mark }, { LINUX_SO_SNDBUF, s->sndbuf / 2 }, { LINUX_SO_RCVBUF, s->rcvbuf / 2 },
		{ LINUX_SO_SNDBUFFORCE, s->sndbuf / 2 }, { LINUX_SO_RCVBUFFORCE, s->rcvbuf / 2 },
	};

	if (name == LINUX_SO_LINGER) {
		sock_setopt(inet_of(s)->ep, LINUX_SOL_SOCKET, name, &s->linger, sizeof(s->linger), NET_CAP_ADMIN);
		return;
	}
	for (size_t k = 0; k < ARRAY_SIZE(vals); k++)
		if (vals[k].name == name)
			sock_setopt(inet_of(s)->ep, LINUX_SOL_SOCKET, name, &vals[k].v, sizeof(int), NET_CAP_ADMIN | NET_CAP_RAW);
}

/* sock_diag, /proc/net and netfilter's owner match know the endpoint by this. */
static void inet_filed(struct socket *s, const struct cred *c)
{
	sock_set_owner(inet_of(s)->ep, c->fsuid, c->fsgid, atomic_load(&s->ino), NULL);
}

static const struct socket_ops inet_ops = {
	.filed = inet_filed,
	.stack_options = true,
	.release = inet_release,
	.bind = inet_bind,
	.connect = inet_connect,
	.listen = inet_listen,
	.accept = inet_accept,
	.getname = inet_getname,
	.sendmsg = inet_sendmsg,
	.recvmsg = inet_recvmsg,
	.shutdown = inet_shutdown,
	.setsockopt = inet_setsockopt,
	.getsockopt = inet_getsockopt,
	.opt_changed = inet_opt_changed,
	.poll = inet_poll,
	.ioctl = inet_ioctl,
	.mmap = packet_map_get,
};

const struct socket_family inet_family = { .family = LINUX_AF_INET, .create = create_v4 };
const struct socket_family inet6_family = { .family = LINUX_AF_INET6, .create = create_v6 };
const struct socket_family packet_family = { .family = LINUX_AF_PACKET, .create = create_packet };
