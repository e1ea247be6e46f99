/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/opt_ip.c - options of levels IP and IPv6
 *
 * Model:   integer options are rows: member, its size, limits, privilege. What is more than an integer follows as code.
 * Source:  ip(7), ipv6(7), RFC 3493, RFC 3542.
 */
#include "sentry/abi/inet.h"
#include "sentry/net/sock/opt.h"

struct row {
	int name;
	uint16_t off;
	uint8_t size;		/* 1 bool or byte, 2, 4 */
	int min, max;
	uint32_t cap;		/* needed to set a non-zero value */
	int def;		/* value that -1 stands for; INT32_MIN: -1 is not special */
	bool reset_route;
	bool empty;		/* no value at all is zero; else -LINUX_EINVAL */
};
#define M(f) offsetof(struct sock, f), sizeof(((struct sock *)0)->f)
#define NODEF INT32_MIN

static const struct row rows4[] = {
	{ LINUX_IP_TOS, M(tos), INT32_MIN, INT32_MAX, 0, NODEF, true, true },
	{ LINUX_IP_TTL, M(ttl), -1, 255, 0, 64, false, false },
	{ LINUX_IP_HDRINCL, M(hdrincl), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_RECVOPTS, M(want_opts), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_RETOPTS, M(want_retopts), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_PKTINFO, M(want_pktinfo), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_MTU_DISCOVER, M(pmtudisc), 0, 5, 0, NODEF, false, true },
	{ LINUX_IP_RECVERR, M(recverr), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_RECVTTL, M(want_ttl), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_RECVTOS, M(want_tos), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_FREEBIND, M(c.freebind), 0, 1, 0, NODEF, false, false },
	{ LINUX_IP_TRANSPARENT, M(c.transparent), 0, 1, NET_CAP_ADMIN, NODEF, false, false },
	{ LINUX_IP_RECVORIGDSTADDR, M(want_odst), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_MINTTL, M(min_ttl), 0, 255, 0, NODEF, false, false },
	{ LINUX_IP_BIND_ADDRESS_NO_PORT, M(bindport_only), 0, 1, 0, NODEF, false, true },
	{ LINUX_IP_MULTICAST_TTL, M(mc_ttl), -1, 255, 0, 1, false, false },
	{ LINUX_IP_MULTICAST_LOOP, M(mc_loop), 0, 1, 0, NODEF, false, false },
	{ LINUX_IP_PASSSEC, M(want_sec), 0, 1, 0, NODEF, false, true },
};

static const struct row rows6[] = {
	{ LINUX_IPV6_HDRINCL, M(hdrincl), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_UNICAST_HOPS, M(hops), -1, 255, 0, 64, false, false },
	{ LINUX_IPV6_MULTICAST_HOPS, M(mc_hops), -1, 255, 0, 1, false, false },
	{ LINUX_IPV6_MULTICAST_LOOP, M(mc_loop6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_MTU_DISCOVER, M(pmtudisc6), 0, 5, 0, NODEF, false, false },
	{ LINUX_IPV6_RECVERR, M(recverr6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_RECVPKTINFO, M(want_pktinfo6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_RECVHOPLIMIT, M(want_hops6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_RECVTCLASS, M(want_tclass6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_TCLASS, M(tclass), -1, 255, 0, 0, true, false },
	{ LINUX_IPV6_AUTOFLOWLABEL, M(auto_flowlabel), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_RECVORIGDSTADDR, M(want_odst), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_FREEBIND, M(c.freebind), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_TRANSPARENT, M(c.transparent), 0, 1, NET_CAP_ADMIN, NODEF, false, false },
	{ LINUX_IPV6_2292PKTINFO, M(want_pktinfo6o), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_2292HOPLIMIT, M(want_hops6o), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_MULTICAST_ALL, M(mc_all6), 0, 1, 0, NODEF, false, false },
	{ LINUX_IPV6_MINHOPCOUNT, M(min_ttl), 0, 255, 0, NODEF, false, false },
};

static const struct row *find(const struct row *r, unsigned n, int name)
{
	for (unsigned i = 0; i < n; i++)
		if (r[i].name == name)
			return &r[i];
	return NULL;
}

static int row_set(struct sock *sk, const struct row *r, const void *val, uint32_t len, uint32_t caps)
{
	void *m = (char *)sk + r->off;
	int v;

	if (!len && r->empty)
		v = 0;
	else if (!opt_get_int(val, len, &v))
		return -LINUX_EINVAL;
	if (r->off == offsetof(struct sock, tos)) { /* congestion marks of a stream are the stack's */
		v &= 0xff;
		if (sk->c.type == NET_SOCK_STREAM)
			v = (v & ~3) | (sk->tos & 3);
	}
	if (r->max == 1)
		v = v != 0;
	if (v < r->min || v > r->max)
		return -LINUX_EINVAL;
	if (r->cap && v && !(caps & (r->cap | NET_CAP_RAW)))
		return -LINUX_EPERM;
	if (v == -1 && r->size == 1)
		v = r->def;
	if (r->name == LINUX_IP_TTL && r->size == 2 && v == 0)
		return -LINUX_EINVAL;
	switch (r->size) {
	case 1:
		*(uint8_t *)m = (uint8_t)v;
		break;
	case 2:
		*(int16_t *)m = (int16_t)v;
		break;
	default:
		*(int32_t *)m = v;
	}
	if (r->reset_route)
		sock_dst_reset(sk);
	return 0;
}

static int row_get(struct sock *sk, const struct row *r, void *val, uint32_t *len)
{
	const void *m = (const char *)sk + r->off;
	int v = r->size == 1 ? *(const uint8_t *)m : r->size == 2 ? *(const int16_t *)m : *(const int32_t *)m;

	if (v == -1 && r->def != NODEF)
		v = r->def;
	return opt_put_int(val, len, v);
}

static int get_mtu(struct sock *sk, void *val, uint32_t *len)
{
	if (!sk->dst)
		return -LINUX_ENOTCONN;
	return opt_put_int(val, len, (int)dst_mtu(sk->c.ns, sk->dst));
}

/* IP_MULTICAST_IF: an address, or struct ip_mreqn. */
static int set_mc_if(struct sock *sk, const void *val, uint32_t len)
{
	uint32_t w[3] = { 0 }, idx;
	struct naddr a;
	struct net_link *l;

	if (len < 4)
		return -LINUX_EINVAL;
	memcpy(w, val, MIN(len, (uint32_t)sizeof(w)));
	if (len >= sizeof(w)) {
		if (w[2]) {
			l = net_link_by_index(sk->c.ns, w[2]);
			if (!l)
				return -LINUX_EADDRNOTAVAIL;
			net_link_put(l);
		}
		sk->mc_if = w[2];
		sk->mc_src = w[1] ? naddr_from_v4(w[1]) : (struct naddr){ 0 };
		return 0;
	}
	a = w[0] ? naddr_from_v4(w[0]) : (struct naddr){ 0 };
	idx = w[0] ? net_ifindex_of_addr(sk->c.ns, &a) : 0;
	if (w[0] && !idx)
		return -LINUX_EADDRNOTAVAIL;
	sk->mc_src = a;
	sk->mc_if = idx;
	return 0;
}

/* IP_UNICAST_IF, IPV6_UNICAST_IF */
static int set_uc_if(struct sock *sk, uint32_t idx)
{
	struct net_link *l = idx ? net_link_by_index(sk->c.ns, idx) : NULL;

	if (idx && !l)
		return -LINUX_EADDRNOTAVAIL;
	net_link_put(l);
	if (sk->c.bound_if && idx && sk->c.bound_if != idx)
		return -LINUX_EINVAL;
	sk->uc_if = idx;
	sock_dst_reset(sk);
	return 0;
}

int opt_ip_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps)
{
	const struct row *r = find(rows4, ARRAY_SIZE(rows4), name);
	uint32_t be;
	int v;

	if (r) {
		if (name == LINUX_IP_HDRINCL && sk->c.type != NET_SOCK_RAW)
			return -LINUX_ENOPROTOOPT;
		if (name == LINUX_IP_HDRINCL && sk->echo_only)
			return -LINUX_EPERM;
		if (name == LINUX_IP_MULTICAST_TTL && sk->c.type == NET_SOCK_STREAM)
			return -LINUX_EINVAL;
		return row_set(sk, r, val, len, caps);
	}
	switch (name) {
	case LINUX_IP_OPTIONS:
		if (len > 40)
			return -LINUX_EINVAL;
		if (!ip4_opts_ok(sk->c.ns, val, len))
			return -LINUX_EINVAL;
		memset(sk->ip_opts, 0, sizeof(sk->ip_opts));
		memcpy(sk->ip_opts, val, len);
		sk->ip_opts_len = (uint8_t)ALIGN_UP(len, 4);
		return 0;
	case LINUX_IP_MULTICAST_IF:
		return sk->c.type == NET_SOCK_STREAM ? -LINUX_EINVAL : set_mc_if(sk, val, len);
	case LINUX_IP_UNICAST_IF:
		if (len != 4)
			return -LINUX_EINVAL;
		memcpy(&be, val, 4);
		return set_uc_if(sk, net_ntohl(be));
	case LINUX_IP_MULTICAST_ALL:
		if (!opt_get_int(val, len, &v) || v < 0 || v > 1)
			return -LINUX_EINVAL;
		sk->mc_all = v;
		return 0;
	case LINUX_IP_ADD_MEMBERSHIP:
	case LINUX_IP_DROP_MEMBERSHIP:
		if (sk->c.type == NET_SOCK_STREAM)
			return -LINUX_EPROTO;
		/* fall through */
	case LINUX_IP_ADD_SOURCE_MEMBERSHIP:
	case LINUX_IP_DROP_SOURCE_MEMBERSHIP:
	case LINUX_IP_BLOCK_SOURCE:
	case LINUX_IP_UNBLOCK_SOURCE:
	case LINUX_MCAST_JOIN_GROUP:
	case LINUX_MCAST_LEAVE_GROUP:
	case LINUX_MCAST_BLOCK_SOURCE:
	case LINUX_MCAST_UNBLOCK_SOURCE:
	case LINUX_MCAST_JOIN_SOURCE_GROUP:
	case LINUX_MCAST_LEAVE_SOURCE_GROUP:
		return sock_mc_option(sk, LINUX_SOL_IP, name, val, len);
	}
	return -LINUX_ENOPROTOOPT;
}

int opt_ip_get(struct sock *sk, int name, void *val, uint32_t *len)
{
	const struct row *r = find(rows4, ARRAY_SIZE(rows4), name);
	uint32_t be;

	if (r)
		return row_get(sk, r, val, len);
	switch (name) {
	case LINUX_IP_MTU:
		return get_mtu(sk, val, len);
	case LINUX_IP_OPTIONS:
		return opt_put(val, len, sk->ip_opts, sk->ip_opts_len);
	case LINUX_IP_PKTOPTIONS: /* what a stream has to say here is nothing */
		return sk->c.type == NET_SOCK_STREAM ? opt_put(val, len, &be, 0) : -LINUX_ENOPROTOOPT;
	case LINUX_IP_MULTICAST_ALL:
		return opt_put_int(val, len, sk->mc_all);
	case LINUX_IP_PROTOCOL:
		return opt_put_int(val, len, sk->c.lport);
	case LINUX_IP_MULTICAST_IF:
		be = naddr_is_v4(&sk->mc_src) ? naddr_v4(&sk->mc_src) : 0;
		return opt_put(val, len, &be, 4);
	case LINUX_IP_UNICAST_IF:
		be = net_htonl(sk->uc_if);
		return opt_put(val, len, &be, 4);
	}
	return -LINUX_ENOPROTOOPT;
}

int opt_ip6_set(struct sock *sk, int name, const void *val, uint32_t len, uint32_t caps)
{
	const struct row *r = find(rows6, ARRAY_SIZE(rows6), name);
	int v;

	if (name == LINUX_IPV6_HDRINCL && sk->c.type != NET_SOCK_RAW)
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_IPV6_HDRINCL && sk->echo_only)
		return -LINUX_EPERM;
	if (sk->c.type == NET_SOCK_STREAM && (name == LINUX_IPV6_MULTICAST_IF || name == LINUX_IPV6_MULTICAST_HOPS))
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_IPV6_MULTICAST_LOOP && len >= sizeof(int)) {
		memcpy(&v, val, sizeof(v));
		if (v < 0 || v > 1)
			return -LINUX_EINVAL;
	}
	if (r)
		return len < sizeof(int) ? -LINUX_EINVAL : row_set(sk, r, val, len, caps);
	switch (name) {
	case LINUX_IPV6_CHECKSUM:
		return sk->ops == &raw_sock_ops ? sk->ops->setopt(sk, LINUX_SOL_RAW, name, val, len, caps) : -LINUX_ENOPROTOOPT;
	case LINUX_IPV6_V6ONLY:
		if (len < sizeof(int) || sk->c.lport)
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		sk->c.v6only = v != 0;
		return 0;
	case LINUX_IPV6_MULTICAST_IF:
		if (len < sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		if (v) {
			struct net_link *l = net_link_by_index(sk->c.ns, (uint32_t)v);

			if (!l)
				return -LINUX_ENODEV;
			net_link_put(l);
		}
		sk->mc_if6 = (uint32_t)v;
		return 0;
	case LINUX_IPV6_UNICAST_IF:
		if (len != sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		return set_uc_if(sk, net_ntohl((uint32_t)v));
	case LINUX_IPV6_DONTFRAG:
		if (len < sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		sk->pmtudisc6 = v ? 2 : 1;
		return 0;
	case LINUX_IPV6_ADD_MEMBERSHIP:
	case LINUX_IPV6_DROP_MEMBERSHIP:
		if (sk->c.type == NET_SOCK_STREAM)
			return len < 20 ? -LINUX_EINVAL : -LINUX_EPROTO;
		/* fall through */
	case LINUX_MCAST_JOIN_GROUP:
	case LINUX_MCAST_LEAVE_GROUP:
	case LINUX_MCAST_BLOCK_SOURCE:
	case LINUX_MCAST_UNBLOCK_SOURCE:
	case LINUX_MCAST_JOIN_SOURCE_GROUP:
	case LINUX_MCAST_LEAVE_SOURCE_GROUP:
		return sock_mc_option(sk, LINUX_SOL_IPV6, name, val, len);
	}
	return -LINUX_ENOPROTOOPT;
}

int opt_ip6_get(struct sock *sk, int name, void *val, uint32_t *len)
{
	const struct row *r = find(rows6, ARRAY_SIZE(rows6), name);
	int v;

	if (name == LINUX_IPV6_HDRINCL && sk->c.type != NET_SOCK_RAW)
		return -LINUX_ENOPROTOOPT;
	if (r)
		return row_get(sk, r, val, len);
	switch (name) {
	case LINUX_IPV6_CHECKSUM:
		return sk->ops == &raw_sock_ops ? sk->ops->getopt(sk, LINUX_SOL_RAW, name, val, len) : -LINUX_ENOPROTOOPT;
	case LINUX_IPV6_V6ONLY:
		return opt_put_int(val, len, sk->c.v6only);
	case LINUX_IPV6_MTU:
		return get_mtu(sk, val, len);
	case LINUX_IPV6_ADDRFORM:
		return sk->c.state == TCPS_ESTABLISHED ? -LINUX_ENOPROTOOPT : -LINUX_ENOTCONN;
	case LINUX_IPV6_UNICAST_IF:
		v = (int)net_htonl(sk->uc_if);
		return opt_put_int(val, len, v);
	case LINUX_IPV6_MULTICAST_IF:
		return opt_put_int(val, len, (int)sk->mc_if6);
	case LINUX_IPV6_DONTFRAG:
		return opt_put_int(val, len, sk->pmtudisc6 == 2);
	}
	return -LINUX_ENOPROTOOPT;
}
