/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/host/hostinet.c - host sockets: creation, names, connections, readiness
 *
 * Locks:   none of its own; the host orders calls on one socket.
 * Source:  socket(2), connect(2), accept(2), ip(7).
 */
#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "sentry/abi/ioctl.h"
#include "sentry/abi/netdevice.h"
#include "sentry/run/hostcalls.h"
#include "sentry/socket/host/hostinet.h"

SENTRY_HOST_CALL_HOSTNET_EQ(socket, 0, AF_INET, "a container's socket");
SENTRY_HOST_CALL_HOSTNET_EQ(socket, 0, AF_INET6, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(bind, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(connect, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(listen, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(getsockname, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(getpeername, "a container's socket");
SENTRY_HOST_CALL_HOSTNET(setsockopt, "a container's socket; names by table");
SENTRY_HOST_CALL_HOSTNET_EQ(ioctl, 1, LINUX_SIOCOUTQ, "bytes waiting in a container's socket");
SENTRY_HOST_CALL_HOSTNET_EQ(ioctl, 1, LINUX_SIOCATMARK, "a container's socket");

static bool enabled;
static const struct socket_ops hostinet_ops;

void hostinet_enable(void)
{
	enabled = true;
}

bool hostinet_enabled(void)
{
	return enabled;
}

static void on_event(struct hostfd *hf, uint32_t events)
{
	struct host_sock *h = container_of(hf, struct host_sock, h);

	waitq_wake(&h->wq, events & 0xffff, UINT32_MAX);
	socket_sigio(&h->sk, events & 0xffff);
}

uint32_t hostinet_ready(const struct host_sock *h, uint32_t events)
{
	struct pollfd p = { .fd = h->h.fd, .events = (short)events };
	long n = host_call(poll, &p, 1, 0);

	return n > 0 ? (uint32_t)(uint16_t)p.revents : 0;
}

/* A socket around host descriptor @fd (moved). */
static long wrap(struct net_ns_ref *net, int family, int type, int protocol, int fd, struct socket **out)
{
	struct host_sock *h = calloc(1, sizeof(*h));
	long ret = h ? 0 : -LINUX_ENOMEM;

	if (h) {
		h->h = (struct hostfd){ .fd = fd, .fn = on_event };
		waitq_init(&h->wq);
		sleeplock_init(&h->recv_lock);
		ret = hostfd_watch(&h->h, EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP);
	}
	if (ret) {
		free(h);
		host_call(close, fd);
		return ret;
	}
	socket_init(&h->sk, &hostinet_ops, net, family, type, protocol);
	*out = &h->sk;
	return 0;
}

long hostinet_create(struct net_ns_ref *net, int family, int type, int protocol, struct socket **out)
{
	long fd;

	fd = host_call(socket, family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol);
	if (fd < 0)
		return fd;
	if (!protocol)
		protocol = type == LINUX_SOCK_STREAM ? IPPROTO_TCP : IPPROTO_UDP;
	return wrap(net, family, type, protocol, (int)fd, out);
}

static void hostinet_release(struct socket *s)
{
	struct host_sock *h = hostinet_of(s);

	hostfd_unwatch(&h->h);
	host_call(close, h->h.fd);
	socket_fini(s);
	free(h);
}

/* ---- names and connections ---------------------------------------------------------------------------------- */

static long hostinet_bind(struct socket *s, struct task *t, const struct sockaddr_buf *a)
{
	return host_call(bind, hostinet_of(s)->h.fd, a->b, a->len);
}

static long hostinet_connect(struct socket *s, struct task *t, const struct sockaddr_buf *a, bool nonblock)
{
	struct host_sock *h = hostinet_of(s);
	int err = 0;
	socklen_t n = sizeof(err);
	long ret = host_call(connect, h->h.fd, a->b, a->len);

	/* A blocking connect that was interrupted goes on; the next call waits for it. */
	if ((ret != -LINUX_EINPROGRESS && ret != -LINUX_EALREADY) || nonblock)
		return ret;
	ret = wait_event(&h->wq, hostinet_ready(h, POLLOUT), SLEEP_INTERRUPTIBLE, socket_deadline(s->sndtimeo_ns));
	if (ret == -LINUX_ETIMEDOUT)
		return -LINUX_EINPROGRESS;
	if (ret)
		return socket_wait_error(ret, s->sndtimeo_ns);
	ret = host_call(getsockopt, h->h.fd, SOL_SOCKET, SO_ERROR, &err, &n);
	return ret ? ret : -err;
}

static long hostinet_listen(struct socket *s, int backlog)
{
	return host_call(listen, hostinet_of(s)->h.fd, backlog);
}

static long hostinet_accept(struct socket *s, bool nonblock, struct socket **out)
{
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	struct host_sock *h = hostinet_of(s);
	long ret;

	for (;;) {
		ret = host_call(accept4, h->h.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (ret != -LINUX_EAGAIN || nonblock)
			break;
		ret = wait_event(&h->wq, hostinet_ready(h, POLLIN), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, s->rcvtimeo_ns);
	}
	return ret < 0 ? ret : wrap(s->net, s->family, s->type, s->protocol, (int)ret, out);
}

static long hostinet_getname(struct socket *s, bool peer, struct sockaddr_buf *out)
{
	socklen_t n = sizeof(out->b);
	long ret = peer ? host_call(getpeername, hostinet_of(s)->h.fd, out->b, &n)
			: host_call(getsockname, hostinet_of(s)->h.fd, out->b, &n);

	if (!ret)
		out->len = MIN((uint32_t)n, (uint32_t)sizeof(out->b));
	return ret;
}

static long hostinet_shutdown(struct socket *s, int how)
{
	long ret = host_call(shutdown, hostinet_of(s)->h.fd, how);

	waitq_wake_all(&hostinet_of(s)->wq);
	return ret;
}

static uint32_t hostinet_poll(struct socket *s, struct poll_table *pt)
{
	poll_wait(pt, &hostinet_of(s)->wq);
	return hostinet_ready(hostinet_of(s), POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM | POLLPRI | POLLRDBAND | POLLRDHUP);
}

static long hostinet_ioctl(struct socket *s, struct task *t, uint32_t cmd, uint64_t arg)
{
	int v = 0;
	long ret;

	if (cmd != LINUX_SIOCINQ && cmd != LINUX_SIOCOUTQ && cmd != LINUX_SIOCATMARK)
		return -LINUX_ENOTTY; /* interfaces: socket.c goes on with our own */
	ret = host_call(ioctl, hostinet_of(s)->h.fd, cmd, &v);
	return ret ? ret : copyout_obj(t->u, GPTR(arg), &v);
}

static const struct socket_ops hostinet_ops = {
	.stack_options = true,
	.release = hostinet_release,
	.bind = hostinet_bind,
	.connect = hostinet_connect,
	.listen = hostinet_listen,
	.accept = hostinet_accept,
	.getname = hostinet_getname,
	.sendmsg = hostinet_sendmsg,
	.recvmsg = hostinet_recvmsg,
	.shutdown = hostinet_shutdown,
	.setsockopt = hostinet_setsockopt,
	.getsockopt = hostinet_getsockopt,
	.opt_changed = hostinet_opt_changed,
	.poll = hostinet_poll,
	.ioctl = hostinet_ioctl,
};
