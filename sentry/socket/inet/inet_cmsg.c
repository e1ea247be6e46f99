/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_cmsg.c - ancillary data of Internet sockets (ip(7), ipv6(7), cmsg(3))
 */
#include <string.h>

#include "sentry/abi/time.h"
#include "sentry/net/ip/ip.h"
#include "sentry/socket/inet/inet.h"

static long in_v4(int type, const void *data, size_t len, struct net_msg *nm)
{
	struct linux_in_pktinfo pi;
	uint32_t v4;
	int v;

	switch (type) {
	case LINUX_IP_PKTINFO:
		if (len != sizeof(pi))
			return -LINUX_EINVAL;
		memcpy(&pi, data, sizeof(pi));
		memcpy(&v4, pi.spec_dst, sizeof(v4));
		nm->has |= NET_MSG_HAS_PKTINFO;
		nm->ifindex = (uint32_t)pi.ifindex;
		nm->pktinfo_addr = naddr_from_v4(v4);
		return 0;
	case LINUX_IP_TTL:
	case LINUX_IP_TOS:
		if (len == 1)
			v = *(const uint8_t *)data;
		else if (len == sizeof(int))
			memcpy(&v, data, sizeof(v));
		else
			return -LINUX_EINVAL;
		if (v < (type == LINUX_IP_TTL ? 1 : 0) || v > 255)
			return -LINUX_EINVAL;
		if (type == LINUX_IP_TTL)
			nm->ttl = (uint8_t)v;
		else
			nm->tos = (uint8_t)v;
		nm->has |= type == LINUX_IP_TTL ? NET_MSG_HAS_TTL : NET_MSG_HAS_TOS;
		return 0;
	default:
		return -LINUX_EINVAL;
	}
}

static long in_v6(int type, const void *data, size_t len, struct net_msg *nm)
{
	struct linux_in6_pktinfo pi;
	int v;

	switch (type) {
	case LINUX_IPV6_PKTINFO:
		if (len < sizeof(pi))
			return -LINUX_EINVAL;
		memcpy(&pi, data, sizeof(pi));
		nm->has |= NET_MSG_HAS_PKTINFO;
		nm->ifindex = pi.ifindex;
		nm->pktinfo_addr = naddr_from_bytes6(pi.addr);
		return 0;
	case LINUX_IPV6_HOPLIMIT:
	case LINUX_IPV6_TCLASS:
		if (len != sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, data, sizeof(v));
		if (v < -1 || v > 255)
			return -LINUX_EINVAL;
		if (v < 0)
			return 0;
		if (type == LINUX_IPV6_HOPLIMIT)
			nm->ttl = (uint8_t)v;
		else
			nm->tos = (uint8_t)v;
		nm->has |= type == LINUX_IPV6_HOPLIMIT ? NET_MSG_HAS_TTL : NET_MSG_HAS_TOS;
		return 0;
	default:
		return -LINUX_EINVAL;
	}
}

static long in_one(const struct socket *s, const struct linux_cmsghdr *h, const void *data, size_t len, struct net_msg *nm)
{
	uint16_t gso;

	if (h->level == LINUX_IPPROTO_IP)
		return in_v4(h->type, data, len, nm);
	if (h->level == LINUX_IPPROTO_IPV6)
		return in_v6(h->type, data, len, nm);
	if (h->level == LINUX_IPPROTO_UDP && h->type == LINUX_UDP_SEGMENT && len == sizeof(gso)) {
		memcpy(&gso, data, sizeof(gso));
		nm->gso_size = gso;
		nm->has |= NET_MSG_HAS_GSO;
		return 0;
	}
	if (h->level == LINUX_SOL_SOCKET && h->type == LINUX_SO_MARK && len == sizeof(uint32_t)) {
		memcpy(&nm->mark, data, sizeof(nm->mark));
		nm->has |= NET_MSG_HAS_MARK;
		return 0;
	}
	return h->level == LINUX_SOL_SOCKET ? 0 : -LINUX_EINVAL;
}

long inet_cmsg_in(const struct socket *s, const struct sock_msg *m, struct net_msg *nm)
{
	size_t at = 0;

	while (m->ctl_len - at >= sizeof(struct linux_cmsghdr)) {
		struct linux_cmsghdr h;
		long ret;

		memcpy(&h, m->ctl + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > m->ctl_len - at)
			return -LINUX_EINVAL;
		ret = in_one(s, &h, m->ctl + at + sizeof(h), h.len - sizeof(h), nm);
		if (ret)
			return ret;
		at += MIN((size_t)LINUX_CMSG_ALIGN(h.len), m->ctl_len - at);
	}
	return 0;
}

static void out_pktinfo(bool v6, int type6, const struct net_msg *nm, struct sock_msg *m)
{
	struct linux_in6_pktinfo p6 = { .ifindex = nm->ifindex };
	struct linux_in_pktinfo p4 = { .ifindex = (int32_t)nm->ifindex };

	if (v6) {
		memcpy(p6.addr, nm->pktinfo_addr.b, 16);
		sock_put_cmsg(m, LINUX_IPPROTO_IPV6, type6, &p6, sizeof(p6));
		return;
	}
	memcpy(p4.addr, &nm->pktinfo_addr.w[3], 4);
	memcpy(p4.spec_dst, &nm->pktinfo_spec.w[3], 4);
	sock_put_cmsg(m, LINUX_IPPROTO_IP, LINUX_IP_PKTINFO, &p4, sizeof(p4));
}

/* The error, followed by the address of who reported it (ip(7), IP_RECVERR). */
static void out_error(bool v6, const struct net_msg *nm, struct sock_msg *m)
{
	struct {
		struct linux_sock_extended_err e;
		uint8_t addr[sizeof(struct linux_sockaddr_in6)];
	} x = { .e = { .err = nm->err.err, .origin = nm->err.origin, .type = nm->err.type, .code = nm->err.code,
		       .info = nm->err.info, .data = nm->err.data } };
	size_t len = v6 ? sizeof(struct linux_sockaddr_in6) : sizeof(struct linux_sockaddr_in);
	struct sockaddr_buf a;

	if (nm->err.has_offender) {
		inet_ep_to(v6 ? LINUX_AF_INET6 : LINUX_AF_INET, &nm->err.offender, &a);
		memcpy(x.addr, a.b, len);
	}
	sock_put_cmsg(m, v6 ? LINUX_IPPROTO_IPV6 : LINUX_IPPROTO_IP, v6 ? LINUX_IPV6_RECVERR : LINUX_IP_RECVERR, &x,
		      sizeof(x.e) + len);
}

static void out_time(const struct socket *s, const struct net_msg *nm, struct sock_msg *m)
{
	struct linux_timespec ts = { .sec = (int64_t)(nm->tstamp_ns / NSEC_PER_SEC), .nsec = (int64_t)(nm->tstamp_ns % NSEC_PER_SEC) };
	struct linux_timeval tv = { .sec = ts.sec, .usec = ts.nsec / 1000 };

	if (s->timestampns)
		sock_put_cmsg(m, LINUX_SOL_SOCKET, LINUX_SO_TIMESTAMPNS, &ts, sizeof(ts));
	else if (s->timestamp)
		sock_put_cmsg(m, LINUX_SOL_SOCKET, LINUX_SO_TIMESTAMP, &tv, sizeof(tv));
}

static void out_options(const struct net_msg *nm, struct sock_msg *m)
{
	uint8_t back[IP4_OPTS_MAX];
	uint32_t n;

	if (nm->has & NET_MSG_HAS_OPTS)
		sock_put_cmsg(m, LINUX_IPPROTO_IP, LINUX_IP_RECVOPTS, nm->opts, nm->opts_len);
	n = nm->has & NET_MSG_HAS_RETOPTS ? ip4_opts_echo(nm->opts, nm->opts_len, back) : 0;
	if (n)
		sock_put_cmsg(m, LINUX_IPPROTO_IP, LINUX_IP_RETOPTS, back, n);
}

/* Where the sender sent it, which a redirection may have changed. */
static void out_orig_dst(bool v6, const struct net_msg *nm, struct sock_msg *m)
{
	struct net_ep ep = { .addr = nm->pktinfo_addr, .port = nm->orig_dport };
	struct sockaddr_buf a;

	inet_ep_to(v6 ? LINUX_AF_INET6 : LINUX_AF_INET, &ep, &a);
	sock_put_cmsg(m, v6 ? LINUX_IPPROTO_IPV6 : LINUX_IPPROTO_IP, v6 ? LINUX_IPV6_RECVORIGDSTADDR : LINUX_IP_RECVORIGDSTADDR, a.b, a.len);
}

void inet_cmsg_out(const struct socket *s, const struct net_msg *nm, struct sock_msg *m)
{
	bool v6 = s->family == LINUX_AF_INET6;
	int v;

	if (nm->has & NET_MSG_HAS_TSTAMP)
		out_time(s, nm, m);
	if (nm->has & NET_MSG_HAS_PKTINFO)
		out_pktinfo(v6, LINUX_IPV6_PKTINFO, nm, m);
	if (nm->has & NET_MSG_HAS_PKTINFO_OLD)
		out_pktinfo(v6, LINUX_IPV6_2292PKTINFO, nm, m);
	if (nm->has & NET_MSG_HAS_HOPS_OLD) {
		v = nm->ttl;
		sock_put_cmsg(m, LINUX_IPPROTO_IPV6, LINUX_IPV6_2292HOPLIMIT, &v, sizeof(v));
	}
	if (nm->has & NET_MSG_HAS_TTL) {
		v = nm->ttl;
		sock_put_cmsg(m, v6 ? LINUX_IPPROTO_IPV6 : LINUX_IPPROTO_IP, v6 ? LINUX_IPV6_HOPLIMIT : LINUX_IP_TTL, &v, sizeof(v));
	}
	if (nm->has & NET_MSG_HAS_TOS) {
		v = nm->tos;
		if (v6)
			sock_put_cmsg(m, LINUX_IPPROTO_IPV6, LINUX_IPV6_TCLASS, &v, sizeof(v));
		else
			sock_put_cmsg(m, LINUX_IPPROTO_IP, LINUX_IP_TOS, &nm->tos, 1);
	}
	if (nm->has & (NET_MSG_HAS_OPTS | NET_MSG_HAS_RETOPTS))
		out_options(nm, m);
	if (nm->has & NET_MSG_HAS_ODST)
		out_orig_dst(v6, nm, m);
	if (nm->has & NET_MSG_HAS_GSO) {
		v = nm->gso_size;
		sock_put_cmsg(m, LINUX_IPPROTO_UDP, LINUX_UDP_GRO, &v, sizeof(v));
	}
	if (nm->has & NET_MSG_HAS_INQ)
		sock_put_cmsg(m, LINUX_IPPROTO_TCP, LINUX_TCP_INQ, &nm->inq, sizeof(nm->inq));
	if (nm->has & NET_MSG_HAS_OVFL)
		sock_put_cmsg(m, LINUX_SOL_SOCKET, LINUX_SO_RXQ_OVFL, &nm->rxq_ovfl, sizeof(nm->rxq_ovfl));
	if (nm->has & NET_MSG_HAS_AUX) {
		struct linux_tpacket_auxdata a = { .status = nm->aux_status, .len = nm->aux_len, .snaplen = nm->aux_snaplen,
						   .mac = nm->aux_mac, .net = nm->aux_net };

		sock_put_cmsg(m, LINUX_SOL_PACKET, LINUX_PACKET_AUXDATA, &a, sizeof(a));
	}
	if (nm->has & NET_MSG_HAS_ERR)
		out_error(v6, nm, m);
}
