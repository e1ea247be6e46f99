/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/forward.c - PortForward: a stream of the host joined with a port inside
 *
 * Model:   the endpoint connects to 127.0.0.1, then ::1, in the sandbox's network namespace; the call is answered when it is. Then two
 *          kernel threads carry, each one way, until both ends said that they are done; the second one to end cleans up.
 * Locks:   none; a direction's buffer and end belong to its thread.
 * Hostcalls: sendto, recvfrom, shutdown, close.
 * Source:  proto/control.proto.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "sentry/boot/boot.h"
#include "sentry/run/run.h"
#include "sentry/socket/inet/inet.h"

#define FORWARD_BUF	65536
#define FORWARDS_MAX	256
#define CONNECT_NS	(10 * NSEC_PER_SEC)

struct forward {
	_Atomic int refs;
	int fd;			/* owned */
	struct hostfd watch;
	struct waitq wq;
	struct sock *ep;
	_Atomic uint32_t ready;	/* EPOLL* of the host's side, seen and not yet used up */
	_Atomic bool broken;	/* one direction failed: the other ends, too */
};

static _Atomic int nr_forwards;

static void on_host(struct hostfd *h, uint32_t events)
{
	struct forward *f = container_of(h, struct forward, watch);

	atomic_fetch_or(&f->ready, events);
	waitq_wake_all(&f->wq);
}

static void on_endpoint(void *ctx, uint32_t events)
{
	waitq_wake_all(ctx);
}

static void forward_put(struct forward *f)
{
	if (atomic_fetch_sub(&f->refs, 1) != 1)
		return;
	hostfd_unwatch(&f->watch);
	host_call(close, f->fd);
	sock_set_event(f->ep, NULL, NULL);
	sock_close(f->ep);
	free(f);
	atomic_fetch_sub(&nr_forwards, 1);
}

/* Waits until @want_ep of the endpoint or @want_host of the descriptor; false: the forward is broken. */
static bool wait_for(struct forward *f, uint32_t want_ep, uint32_t want_host)
{
	const uint32_t bad = EPOLLHUP | EPOLLERR;

	wait_event(&f->wq,
		   atomic_load(&f->broken) || (want_ep && (sock_poll(f->ep) & (want_ep | NET_POLLERR | NET_POLLHUP))) ||
			   (want_host && (atomic_load(&f->ready) & (want_host | bad))),
		   SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	return !atomic_load(&f->broken);
}

static long host_recv(struct forward *f, uint8_t *buf)
{
	long n;

	do {
		atomic_fetch_and(&f->ready, ~(uint32_t)(EPOLLIN | EPOLLRDHUP));
		n = host_call(recvfrom, f->fd, buf, FORWARD_BUF, MSG_DONTWAIT, NULL, NULL);
	} while (n == -LINUX_EAGAIN && wait_for(f, 0, EPOLLIN | EPOLLRDHUP));
	return n;
}

static long host_send(struct forward *f, const uint8_t *buf, size_t len)
{
	while (len) {
		long n;

		atomic_fetch_and(&f->ready, ~(uint32_t)EPOLLOUT);
		n = host_call(sendto, f->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
		if (n == -LINUX_EAGAIN && wait_for(f, 0, EPOLLOUT))
			continue;
		if (n < 0)
			return n;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static long ep_recv(struct forward *f, uint8_t *buf)
{
	struct net_msg m = { .flags = NET_MSG_DONTWAIT };
	struct net_iter_mem it;
	long n;

	do {
		net_iter_write_mem(&it, buf, FORWARD_BUF);
		n = sock_recv(f->ep, &it.it, &m);
	} while (n == -LINUX_EAGAIN && wait_for(f, NET_POLLIN | NET_POLLRDHUP, 0));
	return n;
}

static long ep_send(struct forward *f, uint8_t *buf, size_t len)
{
	struct net_iter_mem it;

	while (len) {
		struct net_msg m = { .flags = NET_MSG_DONTWAIT | NET_MSG_NOSIGNAL };
		long n;

		net_iter_read_mem(&it, buf, len);
		n = sock_send(f->ep, &it.it, &m);
		if (n == -LINUX_EAGAIN && wait_for(f, NET_POLLOUT, 0))
			continue;
		if (n < 0)
			return n;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static void end_direction(struct forward *f, uint8_t *buf, long ret)
{
	if (ret < 0) {
		atomic_store(&f->broken, true);
		waitq_wake_all(&f->wq);
	}
	free(buf);
	forward_put(f);
}

static void carry_in(void *arg)
{
	struct forward *f = arg;
	uint8_t *buf = malloc(FORWARD_BUF);
	long n = buf ? 1 : -LINUX_ENOMEM;

	while (n > 0) {
		n = host_recv(f, buf);
		if (n > 0 && ep_send(f, buf, (size_t)n) < 0)
			n = -LINUX_EPIPE;
	}
	if (!n)
		sock_shutdown(f->ep, NET_SHUT_WR);
	end_direction(f, buf, n);
}

static void carry_out(void *arg)
{
	struct forward *f = arg;
	uint8_t *buf = malloc(FORWARD_BUF);
	long n = buf ? 1 : -LINUX_ENOMEM;

	while (n > 0) {
		n = ep_recv(f, buf);
		if (n > 0 && host_send(f, buf, (size_t)n) < 0)
			n = -LINUX_EPIPE;
	}
	host_call(shutdown, f->fd, SHUT_WR);
	end_direction(f, buf, n);
}

/* Connected, or -LINUX_E*. */
static long connect_to(struct forward *f, struct net_ns *ns, const struct naddr *addr, uint16_t port)
{
	struct net_ep to = { .addr = *addr, .port = port };
	long ret = sock_create(ns, naddr_is_v4(addr) ? NET_AF_INET : NET_AF_INET6, NET_SOCK_STREAM, 0, &f->ep);

	if (ret)
		return ret;
	sock_set_event(f->ep, on_endpoint, &f->wq);
	ret = sock_connect(f->ep, &to);
	if (ret == -LINUX_EINPROGRESS) {
		ret = wait_event(&f->wq, sock_poll(f->ep) & (NET_POLLOUT | NET_POLLERR | NET_POLLHUP), SLEEP_UNINTERRUPTIBLE,
				 now_ns() + CONNECT_NS);
		if (!ret)
			ret = -sock_error_take(f->ep);
	}
	if (!ret)
		return 0;
	sock_set_event(f->ep, NULL, NULL);
	sock_close(f->ep);
	f->ep = NULL;
	return ret;
}

static long join(struct net_ns *ns, uint16_t port, int fd)
{
	const struct naddr v4 = naddr_from_v4(net_htonl(0x7f000001u));
	struct naddr v6 = NADDR_ANY6;
	struct forward *f = calloc(1, sizeof(*f));
	long ret;

	if (!f)
		return -LINUX_ENOMEM;
	v6.b[15] = 1;
	waitq_init(&f->wq);
	ret = connect_to(f, ns, &v4, port);
	if (ret == -LINUX_ECONNREFUSED)
		ret = connect_to(f, ns, &v6, port);
	if (ret) {
		free(f);
		return ret;
	}
	f->fd = fd;
	f->watch = (struct hostfd){ .fd = fd, .fn = on_host };
	atomic_store(&f->refs, 2);
	ret = hostfd_watch(&f->watch, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
	if (ret) {
		sock_set_event(f->ep, NULL, NULL);
		sock_close(f->ep);
		free(f);
		return ret;
	}
	atomic_fetch_add(&nr_forwards, 1);
	if (!kthread_start(carry_in, f, "forward-in"))
		end_direction(f, NULL, -LINUX_ENOMEM);
	if (!kthread_start(carry_out, f, "forward-out"))
		end_direction(f, NULL, -LINUX_ENOMEM);
	return 0;
}

void boot_port_forward(struct ttrpc_call *call, const Runsc__Control__V1__PortForwardRequest *q)
{
	struct boot_fds fds = { call, q->fds, q->n_fds };
	int fd = boot_fd_take(&fds, RUNSC__CONTROL__V1__FD_ROLE__FD_STREAM);
	struct net_ns_ref *n = boot_network_get();
	long ret = -LINUX_EINVAL;

	if (!n)
		ret = -LINUX_ENOMEM;
	else if (atomic_load(&nr_forwards) >= FORWARDS_MAX)
		ret = -LINUX_EMFILE;
	else if (fd >= 0 && q->port && q->port <= 65535)
		ret = join(n->stack, (uint16_t)q->port, fd);
	if (ret && fd >= 0)
		host_call(close, fd);
	if (n)
		net_ns_ref_put(n);
	if (ret)
		ttrpc_fail(call, ret == -LINUX_ECONNREFUSED ? TTRPC_FAILED_PRECONDITION : ttrpc_code_from_errno((int)-ret), "port %u inside: %s", q->port, strerror((int)-ret));
	else
		ttrpc_reply(call, NULL);
}
