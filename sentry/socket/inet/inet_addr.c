/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_addr.c - socket addresses: from the guest's form to the stack's and back
 */
#include <string.h>

#include "sentry/socket/inet/inet.h"

static uint16_t be16(const uint8_t p[2])
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t p[2], uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

long inet_ep_from(const struct socket *s, const struct sockaddr_buf *a, struct net_ep *out)
{
	struct linux_sockaddr_in6 in6 = { 0 };
	struct linux_sockaddr_in in;
	uint32_t v4;

	memset(out, 0, sizeof(*out));
	if (a->len < sizeof(uint16_t))
		return -LINUX_EINVAL;
	if (a->family == LINUX_AF_INET || (a->family == LINUX_AF_UNSPEC && s->family == LINUX_AF_INET)) {
		if (a->len < sizeof(in))
			return -LINUX_EINVAL;
		memcpy(&in, a->b, sizeof(in));
		memcpy(&v4, in.addr, sizeof(v4));
		out->addr = naddr_from_v4(v4);
		out->port = be16(in.port);
		return s->family == LINUX_AF_INET ? 0 : -LINUX_EAFNOSUPPORT;
	}
	if (a->family != LINUX_AF_INET6 || s->family != LINUX_AF_INET6)
		return -LINUX_EAFNOSUPPORT;
	if (a->len < LINUX_SIN6_LEN_RFC2133)
		return -LINUX_EINVAL;
	memcpy(&in6, a->b, MIN((size_t)a->len, sizeof(in6)));
	out->addr = naddr_from_bytes6(in6.addr);
	out->port = be16(in6.port);
	out->scope_id = in6.scope_id;
	out->flowinfo = in6.flowinfo;
	return 0;
}

void inet_ep_to(int family, const struct net_ep *ep, struct sockaddr_buf *out)
{
	struct linux_sockaddr_in6 in6 = { .family = LINUX_AF_INET6 };
	struct linux_sockaddr_in in = { .family = LINUX_AF_INET };
	uint32_t v4;

	memset(out, 0, sizeof(*out));
	if (family == LINUX_AF_INET) {
		v4 = naddr_v4(&ep->addr);
		memcpy(in.addr, &v4, sizeof(v4));
		put16(in.port, ep->port);
		memcpy(out->b, &in, sizeof(in));
		out->len = sizeof(in);
		return;
	}
	memcpy(in6.addr, ep->addr.b, 16);
	put16(in6.port, ep->port);
	in6.flowinfo = ep->flowinfo;
	in6.scope_id = ep->scope_id;
	memcpy(out->b, &in6, sizeof(in6));
	out->len = sizeof(in6);
}

void inet_ll_to(const struct net_ll *ll, struct sockaddr_buf *out)
{
	struct linux_sockaddr_ll l = { .family = LINUX_AF_PACKET, .ifindex = (int32_t)ll->ifindex, .hatype = ll->hatype,
				       .pkttype = ll->pkttype, .halen = ll->halen };

	put16(l.protocol, ll->protocol);
	memcpy(l.addr, ll->addr, sizeof(l.addr));
	memset(out, 0, sizeof(*out));
	memcpy(out->b, &l, sizeof(l));
	out->len = sizeof(l);
}
