/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/opt_socket.c - sock_setopt(), sock_getopt(), and level SOCKET
 *
 * Source:  socket(7). Buffer sizes are doubled and bounded as there described.
 */
#include "sentry/abi/inet.h"
#include "sentry/net/sock/opt.h"
#include "sentry/net/tcp/tcp.h"

/* Boolean rows: which member. */
static const struct bool_row {
	int name;
	uint32_t off;
} bools[] = {
	{ LINUX_SO_REUSEADDR, offsetof(struct sock, c.reuse) },
	{ LINUX_SO_REUSEPORT, offsetof(struct sock, c.reuseport) },
	{ LINUX_SO_DONTROUTE, offsetof(struct sock, dontroute) },
	{ LINUX_SO_BROADCAST, offsetof(struct sock, broadcast) },
	{ LINUX_SO_KEEPALIVE, offsetof(struct sock, keepalive) },
	{ LINUX_SO_OOBINLINE, offsetof(struct sock, oobinline) },
	{ LINUX_SO_NO_CHECK, offsetof(struct sock, no_check) },
	{ LINUX_SO_TIMESTAMP, offsetof(struct sock, timestamp) },
	{ LINUX_SO_TIMESTAMPNS, offsetof(struct sock, timestampns) },
	{ LINUX_SO_RXQ_OVFL, offsetof(struct sock, rxq_ovfl) },
};

static bool *bool_member(struct sock *sk, int name)
{
	for (unsigned i = 0; i < ARRAY_SIZE(bools); i++)
		if (bools[i].name == name)
			return (bool *)((char *)sk + bools[i].off);
	return NULL;
}

static void set_buf(int32_t *dst, bool *locked, int v, int max, int min)
{
	v = MIN(MAX(v, 0), max);
	*dst = MAX(v > INT32_MAX / 2 ? INT32_MAX : v * 2, min);
	*locked = true;
}

static int bind_device(struct sock *sk, const char *val, uint32_t len, uint32_t caps)
{
	char name[NET_IFNAMSIZ] = { 0 };
	struct net_link *l;

	memcpy(name, val, MIN(len, (uint32_t)NET_IFNAMSIZ - 1));
	if (sk->c.bound_if && !(caps & NET_CAP_RAW))
		return -LINUX_EPERM;
	if (!name[0]) {
		sk->c.bound_if = 0;
	} else {
		l = net_link_by_name(sk->c.ns, name);
		if (!l)
			return -LINUX_ENODEV;
		sk->c.bound_if = l->index;
		net_link_put(l);
	}
	sock_dst_reset(sk);
	return 0;
}

static int get_device(struct sock *sk, void *val, uint32_t *len)
{
	char name[NET_IFNAMSIZ] = { 0 };
	struct net_link *l;

	if (!sk->c.bound_if) {
		*len = 0;
		return 0;
	}
	if (*len < NET_IFNAMSIZ)
		return -LINUX_EINVAL;
	l = net_link_by_index(sk->c.ns, sk->c.bound_if);
	if (!l)
		return -LINUX_ENODEV;
	memcpy(name, l->name, sizeof(name));
	net_link_put(l);
	return opt_put(val, len, name, (uint32_t)strlen(name) + 1);
}

/* struct timeval to milliseconds; 0 = no limit. */
static int set_timeo(int32_t *dst, const void *val, uint32_t len)
{
	int64_t tv[2];

	if (len < sizeof(tv))
		return -LINUX_EINVAL;
	memcpy(tv, val, sizeof(tv));
	if (tv[1] < 0 || tv[1] >= 1000000)
		return -LINUX_EDOM;
	*dst = tv[0] < 0 ? 0 : (int32_t)MIN(tv[0] > INT32_MAX / 1000 ? INT32_MAX : tv[0] * 1000 + (tv[1] + 999) / 1000,
					    (int64_t)INT32_MAX);
	return 0;
}

static int set_int(struct sock *sk, int name, int v, uint32_t caps)
{
	struct net_sysctl *s = &sk->c.ns->sysctl;
	bool *b = bool_member(sk, name);

	if (b) {
		*b = v != 0;
		if (name == LINUX_SO_KEEPALIVE && v && sk->ops == &tcp_sock_ops)
			tcp_keepalive_arm(tcp_sk(sk));
		return 0;
	}
	switch (name) {
	case LINUX_SO_DEBUG:
		return v && !(caps & NET_CAP_ADMIN) ? -LINUX_EACCES : 0;
	case LINUX_SO_SNDBUF:
		set_buf(&sk->sndbuf, &sk->sndbuf_locked, v, s->wmem_max, 4608);
		sock_event(sk, NET_POLLOUT);
		return 0;
	case LINUX_SO_SNDBUFFORCE:
		if (!(caps & NET_CAP_ADMIN))
			return -LINUX_EPERM;
		set_buf(&sk->sndbuf, &sk->sndbuf_locked, v, INT32_MAX / 2, 4608);
		sock_event(sk, NET_POLLOUT);
		return 0;
	case LINUX_SO_RCVBUF:
		set_buf(&sk->rcvbuf, &sk->rcvbuf_locked, v, s->rmem_max, 2304);
		return 0;
	case LINUX_SO_RCVBUFFORCE:
		if (!(caps & NET_CAP_ADMIN))
			return -LINUX_EPERM;
		set_buf(&sk->rcvbuf, &sk->rcvbuf_locked, v, INT32_MAX / 2, 2304);
		return 0;
	case LINUX_SO_PRIORITY:
		if ((v < 0 || v > 6) && !(caps & NET_CAP_ADMIN))
			return -LINUX_EPERM;
		sk->priority = (uint32_t)v;
		return 0;
	case LINUX_SO_MARK:
		if (!(caps & NET_CAP_ADMIN))
			return -LINUX_EPERM;
		sk->mark = (uint32_t)v;
		sock_dst_reset(sk);
		return 0;
	case LINUX_SO_RCVLOWAT:
		sk->rcvlowat = v < 0 ? INT32_MAX : v ? v : 1;
		return 0;
	case LINUX_SO_BINDTOIFINDEX:
		if (v < 0)
			return -LINUX_EINVAL;
		sk->c.bound_if = (uint32_t)v;
		sock_dst_reset(sk);
		return 0;
	case LINUX_SO_LOCK_FILTER:
		if (sk->filter_locked && !v)
			return -LINUX_EPERM;
		sk->filter_locked = v != 0;
		return 0;
	case LINUX_SO_BUSY_POLL:
	case LINUX_SO_PEEK_OFF:
	case LINUX_SO_INCOMING_CPU:
		return 0; /* hints about scheduling, or about AF_UNIX only */
	case LINUX_SO_TYPE:
	case LINUX_SO_PROTOCOL:
	case LINUX_SO_DOMAIN:
	case LINUX_SO_ERROR:
		return -LINUX_ENOPROTOOPT;
	}
	return -LINUX_ENOPROTOOPT;
}

int opt_sol_socket_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps)
{
	int v;

	switch (name) {
	case LINUX_SO_BINDTODEVICE:
		return bind_device(sk, val, len, caps);
	case LINUX_SO_RCVTIMEO:
		return set_timeo(&sk->rcvtimeo_ms, val, len);
	case LINUX_SO_SNDTIMEO:
		return set_timeo(&sk->sndtimeo_ms, val, len);
	case LINUX_SO_DETACH_FILTER:
		return sock_filter_attach(sk, NULL, 0);
	case LINUX_SO_LINGER: {
		int32_t lg[2];

		if (len < sizeof(lg))
			return -LINUX_EINVAL;
		memcpy(lg, val, sizeof(lg));
		sk->linger_on = lg[0] != 0;
		if (lg[0])
			sk->linger_s = lg[1];
		return 0;
	}
	}
	if (len < sizeof(int))
		return -LINUX_EINVAL;
	memcpy(&v, val, sizeof(v));
	return set_int(sk, name, v, caps);
}

static int put_timeo(void *val, uint32_t *len, int32_t ms)
{
	int64_t tv[2] = { ms / 1000, (int64_t)(ms % 1000) * 1000 };

	return opt_put(val, len, tv, sizeof(tv));
}

int opt_sol_socket_get(struct sock *sk, int name, void *val, uint32_t *len)
{
	bool *b = bool_member(sk, name);
	int v;

	if (b)
		return opt_put_int(val, len, *b);
	switch (name) {
	case LINUX_SO_DEBUG:
	case LINUX_SO_BUSY_POLL:
		v = 0;
		break;
	case LINUX_SO_TYPE:
		v = sk->c.type;
		break;
	case LINUX_SO_PROTOCOL:
		v = sk->c.proto;
		break;
	case LINUX_SO_DOMAIN:
		v = sk->c.family;
		break;
	case LINUX_SO_ERROR:
		v = sock_error_take(sk);
		break;
	case LINUX_SO_SNDBUF:
		v = sk->sndbuf;
		break;
	case LINUX_SO_RCVBUF:
		v = sk->rcvbuf;
		break;
	case LINUX_SO_PRIORITY:
		v = (int)sk->priority;
		break;
	case LINUX_SO_MARK:
		v = (int)sk->mark;
		break;
	case LINUX_SO_LINGER: {
		int32_t lg[2] = { sk->linger_on, sk->linger_s };

		return opt_put(val, len, lg, sizeof(lg));
	}
	case LINUX_SO_RCVLOWAT:
		v = sk->rcvlowat;
		break;
	case LINUX_SO_SNDLOWAT:
		v = 1;
		break;
	case LINUX_SO_RCVTIMEO:
		return put_timeo(val, len, sk->rcvtimeo_ms);
	case LINUX_SO_SNDTIMEO:
		return put_timeo(val, len, sk->sndtimeo_ms);
	case LINUX_SO_BINDTODEVICE:
		return get_device(sk, val, len);
	case LINUX_SO_BINDTOIFINDEX:
		v = (int)sk->c.bound_if;
		break;
	case LINUX_SO_ACCEPTCONN:
		v = sk->c.state == TCPS_LISTEN;
		break;
	case LINUX_SO_COOKIE:
		if (*len < sizeof(sk->c.cookie))
			return -LINUX_EINVAL;
		return opt_put(val, len, &sk->c.cookie, sizeof(sk->c.cookie));
	case LINUX_SO_LOCK_FILTER:
		v = sk->filter_locked;
		break;
	case LINUX_SO_PEEK_OFF:
	case LINUX_SO_INCOMING_CPU:
		v = -1;
		break;
	default:
		return -LINUX_ENOPROTOOPT;
	}
	return opt_put_int(val, len, v);
}

/* IPv6 endpoints take IPv4's options for what they do over mapped addresses; raw ones have no such traffic. */
static bool has_ip_level(const struct sock *sk)
{
	return sk->c.family == NET_AF_INET || (sk->c.family == NET_AF_INET6 && sk->ops != &raw_sock_ops);
}

int sock_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps)
{
	int ret;

	sock_own(sk);
	if (level == LINUX_SOL_SOCKET)
		ret = opt_sol_socket_set(sk, name, val, len, caps);
	else if (level == LINUX_SOL_IP && has_ip_level(sk))
		ret = opt_ip_set(sk, name, val, len, caps);
	else if (level == LINUX_SOL_IPV6 && sk->c.family == NET_AF_INET6)
		ret = opt_ip6_set(sk, name, val, len, caps);
	else if (sk->ops->setopt)
		ret = sk->ops->setopt(sk, level, name, val, len, caps);
	else
		ret = -LINUX_ENOPROTOOPT;
	sock_release(sk);
	return ret;
}

/* What reading an option of a level that is not the endpoint's says; IPv4 has its own word for it. */
static bool foreign_level(const struct sock *sk, int level)
{
	return sk->c.family == NET_AF_INET && level != LINUX_SOL_SOCKET && level != LINUX_SOL_IP &&
	       !(level == LINUX_SOL_TCP && sk->ops == &tcp_sock_ops) && !(level == LINUX_SOL_UDP && sk->ops == &udp_sock_ops) &&
	       !(level == LINUX_SOL_RAW && sk->ops == &raw_sock_ops);
}

int sock_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
	int ret;

	sock_own(sk);
	if (level == LINUX_SOL_SOCKET)
		ret = opt_sol_socket_get(sk, name, val, len);
	else if (foreign_level(sk, level))
		ret = -LINUX_EOPNOTSUPP;
	else if (level == LINUX_SOL_IP && has_ip_level(sk))
		ret = opt_ip_get(sk, name, val, len);
	else if (level == LINUX_SOL_IPV6 && sk->c.family == NET_AF_INET6)
		ret = opt_ip6_get(sk, name, val, len);
	else if (sk->ops->getopt)
		ret = sk->ops->getopt(sk, level, name, val, len);
	else
		ret = -LINUX_ENOPROTOOPT;
	sock_release(sk);
	return ret;
}
