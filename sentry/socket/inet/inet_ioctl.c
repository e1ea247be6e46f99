/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_ioctl.c - ioctls of Internet sockets (tcp(7), udp(7))
 */
#include "sentry/abi/ioctl.h"
#include "sentry/abi/netdevice.h"
#include "sentry/socket/inet/inet.h"

static long put_int(struct task *t, uint64_t arg, long v)
{
	int32_t n = (int32_t)v;

	return v < 0 ? v : copyout_obj(t->u, GPTR(arg), &n);
}

long inet_ioctl(struct socket *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	struct inet_sock *i = inet_of(s);

	switch (cmd) {
	case LINUX_SIOCINQ:
		return put_int(t, arg, sock_inq(i->ep));
	case LINUX_SIOCOUTQ:
		return put_int(t, arg, sock_outq(i->ep));
	case LINUX_SIOCOUTQNSD:
		return s->type == LINUX_SOCK_STREAM ? put_int(t, arg, sock_outq_unsent(i->ep)) : -LINUX_ENOTTY;
	case LINUX_SIOCATMARK:
		return s->type == LINUX_SOCK_STREAM ? put_int(t, arg, sock_atmark(i->ep)) : -LINUX_ENOTTY;
	default:
		return -LINUX_ENOTTY; /* interfaces: socket.c goes on with inet_if_ioctl() */
	}
}
