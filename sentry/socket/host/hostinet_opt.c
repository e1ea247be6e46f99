/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/host/hostinet_opt.c - socket options that may reach the host, by name
 *
 * Model:   a table of ranges per level; what is in none is an unknown option to the guest. The common SOL_SOCKET options are kept in
 *          struct socket and repeated to the host when they matter there.
 * Source:  socket(7), ip(7), ipv6(7), tcp(7), udp(7).
 */
#include <linux/udp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "sentry/socket/host/hostinet.h"

#define OPT_MAX 512

/* Left out: whatever needs a privilege, hands over memory or programs, or talks to netfilter. */
static const struct opt_range {
	int level, from, to;
} passed[] = {
	{ SOL_IP, IP_TOS, IP_TTL },
	{ SOL_IP, IP_RECVOPTS, IP_RECVOPTS },
	{ SOL_IP, IP_PKTINFO, IP_FREEBIND },
	{ SOL_IP, IP_RECVORIGDSTADDR, IP_MINTTL },
	{ SOL_IP, 24 /* IP_BIND_ADDRESS_NO_PORT */, 24 },
	{ SOL_IP, IP_MULTICAST_IF, IP_DROP_SOURCE_MEMBERSHIP },
	{ SOL_IP, MCAST_JOIN_GROUP, MCAST_LEAVE_SOURCE_GROUP },
	{ SOL_IP, IP_MULTICAST_ALL, IP_UNICAST_IF },
	{ SOL_IPV6, IPV6_UNICAST_HOPS, IPV6_LEAVE_GROUP },
	{ SOL_IPV6, IPV6_MTU_DISCOVER, IPV6_V6ONLY },
	{ SOL_IPV6, IPV6_MULTICAST_ALL, IPV6_MULTICAST_ALL },
	{ SOL_IPV6, MCAST_JOIN_GROUP, MCAST_LEAVE_SOURCE_GROUP },
	{ SOL_IPV6, IPV6_RECVPKTINFO, IPV6_HOPLIMIT },
	{ SOL_IPV6, IPV6_RECVPATHMTU, IPV6_DONTFRAG },
	{ SOL_IPV6, IPV6_RECVTCLASS, IPV6_TCLASS },
	{ SOL_IPV6, IPV6_ADDR_PREFERENCES, IPV6_ADDR_PREFERENCES },
	{ SOL_TCP, TCP_NODELAY, TCP_CONGESTION },
	{ SOL_TCP, TCP_USER_TIMEOUT, TCP_USER_TIMEOUT },
	{ SOL_TCP, TCP_FASTOPEN, TCP_NOTSENT_LOWAT },
	{ SOL_TCP, TCP_FASTOPEN_CONNECT, TCP_FASTOPEN_CONNECT },
	{ SOL_TCP, TCP_INQ, TCP_INQ },
	{ IPPROTO_UDP, UDP_CORK, UDP_CORK },
	{ IPPROTO_UDP, UDP_SEGMENT, UDP_GRO },
};

static bool is_passed(int level, int name)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed); i++)
		if (passed[i].level == level && name >= passed[i].from && name <= passed[i].to)
			return true;
	return false;
}

bool hostinet_cmsg_allowed(int level, int type)
{
	return (level == SOL_IP || level == SOL_IPV6 || level == IPPROTO_UDP) && is_passed(level, type);
}

long hostinet_setsockopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len)
{
	if (!is_passed(level, name))
		return -LINUX_ENOPROTOOPT;
	return host_call(setsockopt, hostinet_of(s)->h.fd, level, name, val, MIN(len, (size_t)OPT_MAX));
}

/* SOL_SOCKET: what only the host knows. */
static bool host_knows(int name)
{
	return name == SO_ERROR || name == SO_ACCEPTCONN || name == SO_SNDBUF || name == SO_RCVBUF || name == SO_INCOMING_CPU;
}

long hostinet_getsockopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len)
{
	socklen_t n = (socklen_t)MIN(*len, (size_t)OPT_MAX);
	long ret;

	if (level == SOL_SOCKET ? !host_knows(name) : !is_passed(level, name))
		return -LINUX_ENOPROTOOPT;
	ret = host_call(getsockopt, hostinet_of(s)->h.fd, level, name, val, &n);
	if (!ret)
		*len = n;
	return ret;
}

/* The common code has checked and stored the value. */
void hostinet_opt_changed(struct socket *s, int name)
{
	const struct {
		int name, v;
	} vals[] = {
		{ SO_REUSEADDR, s->reuseaddr },	  { SO_REUSEPORT, s->reuseport }, { SO_KEEPALIVE, s->keepalive },
		{ SO_BROADCAST, s->broadcast },	  { SO_OOBINLINE, s->oobinline }, { SO_TIMESTAMP, s->timestamp },
		{ SO_TIMESTAMPNS, s->timestampns }, { SO_DONTROUTE, s->dontroute }, { SO_RXQ_OVFL, s->rxq_ovfl },
		{ SO_NO_CHECK, s->no_check },	  { SO_RCVLOWAT, s->rcvlowat },   { SO_PRIORITY, s->priority },
		{ SO_SNDBUF, s->sndbuf / 2 },	  { SO_RCVBUF, s->rcvbuf / 2 },
	};
	int fd = hostinet_of(s)->h.fd;

	if (name == SO_LINGER) {
		host_call(setsockopt, fd, SOL_SOCKET, SO_LINGER, &s->linger, sizeof(s->linger));
		return;
	}
	for (size_t k = 0; k < ARRAY_SIZE(vals); k++)
		if (vals[k].name == name)
			host_call(setsockopt, fd, SOL_SOCKET, name, &vals[k].v, sizeof(int));
}
