/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_msg.c - sending and receiving: blocking on top of an endpoint that never blocks
 *
 * Source:  send(2), recv(2), tcp(7), udp(7).
 */
#include <string.h>

#include "sentry/socket/inet/inet.h"

static long iter_from_guest(struct net_iter *it, void *buf, size_t n)
{
	return uio_read(container_of(it, struct uio_iter, it)->io, buf, n);
}

static long iter_to_guest(struct net_iter *it, void *buf, size_t n)
{
	return uio_write(container_of(it, struct uio_iter, it)->io, buf, n);
}

void uio_iter_init(struct uio_iter *ui, struct uio *io, bool from_guest)
{
	*ui = (struct uio_iter){ .it = { .copy = from_guest ? iter_from_guest : iter_to_guest, .left = io->left }, .io = io };
}

/* ---- sending --------------------------------------------------------------------------------------------- */

static long send_name(struct socket *s, const struct sock_msg *m, struct net_msg *nm)
{
	struct linux_sockaddr_ll ll;
	long ret;

	if (!m->name.len)
		return 0;
	if (s->family == LINUX_AF_PACKET) {
		if (m->name.len < sizeof(ll))
			return -LINUX_EINVAL;
		memcpy(&ll, m->name.b, sizeof(ll));
		nm->ll = (struct net_ll){ .protocol = (uint16_t)(ll.protocol[0] << 8 | ll.protocol[1]), .ifindex = (uint32_t)ll.ifindex,
					  .halen = MIN(ll.halen, (uint8_t)sizeof(nm->ll.addr)) };
		memcpy(nm->ll.addr, ll.addr, sizeof(nm->ll.addr));
		nm->has |= NET_MSG_HAS_LL;
		return 0;
	}
	ret = inet_ep_from(s, &m->name, &nm->name);
	nm->has |= NET_MSG_HAS_NAME;
	return ret;
}

static bool can_send(struct inet_sock *i)
{
	return sock_poll(i->ep) & (NET_POLLOUT | NET_POLLERR | NET_POLLHUP);
}

/* Bytes that went with a SYN (MSG_FASTOPEN): a blocking call waits for the handshake all the same, and its failure is the call's. */
static long early_sent(struct inet_sock *i, long done, uint64_t deadline)
{
	int e;

	if (wait_event(&i->wq, can_send(i), SLEEP_INTERRUPTIBLE, deadline))
		return done;
	e = sock_error_take(i->ep);
	return e ? -e : done;
}

long inet_sendmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct inet_sock *i = inet_of(s);
	struct uio_iter ui;
	uint64_t deadline = socket_deadline(s->sndtimeo_ns);
	struct net_msg nm = { .flags = m->flags };
	long ret, done = 0;

	uio_iter_init(&ui, m->io, true);
	ret = send_name(s, m, &nm);
	if (!ret)
		ret = inet_cmsg_in(s, m, &nm);
	if (ret)
		return ret;
	for (;;) {
		ret = sock_send(i->ep, &ui.it, &nm);
		if (ret >= 0) {
			done += ret;
			if ((nm.has & NET_MSG_HAS_EARLY) && !(m->flags & LINUX_MSG_DONTWAIT)) {
				nm.has &= ~(uint32_t)NET_MSG_HAS_EARLY;
				ret = early_sent(i, ret, deadline);
				if (ret < 0)
					return ret;
			}
			if (s->type != LINUX_SOCK_STREAM || !ui.it.left)
				break;
			continue;
		}
		if ((ret != -LINUX_EAGAIN && ret != -LINUX_EINPROGRESS) || (m->flags & LINUX_MSG_DONTWAIT))
			break;
		ret = wait_event(&i->wq, can_send(i), SLEEP_INTERRUPTIBLE, deadline);
		if (ret) {
			ret = socket_wait_error(ret, s->sndtimeo_ns);
			break;
		}
	}
	if (done)
		return done;
	return ret == -LINUX_EPIPE && s->type == LINUX_SOCK_STREAM ? socket_epipe(t, m->flags) : ret;
}

/* ---- receiving --------------------------------------------------------------------------------------------- */

static bool can_recv(struct inet_sock *i)
{
	return sock_poll(i->ep) & (NET_POLLIN | NET_POLLERR | NET_POLLHUP | NET_POLLRDHUP);
}

static void recv_name(struct socket *s, const struct net_msg *nm, struct sock_msg *m)
{
	if (nm->has & NET_MSG_HAS_LL)
		inet_ll_to(&nm->ll, &m->name);
	else if (nm->has & NET_MSG_HAS_NAME)
		inet_ep_to(s->family, &nm->name, &m->name);
}

/* One receive with waiting. */
static long recv_wait(struct inet_sock *i, struct uio_iter *ui, struct net_msg *nm, uint32_t flags, uint64_t deadline)
{
	long ret;

	for (;;) {
		*nm = (struct net_msg){ .flags = flags };
		ret = sock_recv(i->ep, &ui->it, nm);
		if (ret != -LINUX_EAGAIN || (flags & (LINUX_MSG_DONTWAIT | LINUX_MSG_ERRQUEUE)))
			return ret;
		ret = wait_event(&i->wq, can_recv(i), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, i->sk.rcvtimeo_ns);
	}
}

static long recv_stream(struct inet_sock *i, struct uio_iter *ui, struct net_msg *nm, uint32_t flags, uint64_t deadline)
{
	long ret, done = 0;

	if (flags & LINUX_MSG_DONTWAIT) {
		if (!sleep_trylock(&i->recv_lock))
			return -LINUX_EAGAIN;
	} else {
		ret = sleep_lock_killable(&i->recv_lock);
		if (ret)
			return ret;
	}
	do {
		ret = recv_wait(i, ui, nm, flags, deadline);
		if (ret > 0)
			done += ret;
	} while (ret > 0 && (flags & LINUX_MSG_WAITALL) && ui->it.left && !(flags & LINUX_MSG_PEEK));
	sleep_unlock(&i->recv_lock);
	return done ? done : ret;
}

long inet_recvmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct inet_sock *i = inet_of(s);
	struct uio_iter ui;
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	struct net_msg nm;
	long ret;

	uio_iter_init(&ui, m->io, false);
	if (s->type == LINUX_SOCK_STREAM && !(m->flags & LINUX_MSG_ERRQUEUE))
		ret = recv_stream(i, &ui, &nm, m->flags, deadline);
	else
		ret = recv_wait(i, &ui, &nm, m->flags, deadline);
	if (ret < 0)
		return ret;
	m->out_flags |= nm.flags & (LINUX_MSG_TRUNC | LINUX_MSG_ERRQUEUE | LINUX_MSG_OOB);
	if (s->type != LINUX_SOCK_STREAM || (m->flags & LINUX_MSG_ERRQUEUE))
		recv_name(s, &nm, m);
	inet_cmsg_out(s, &nm, m);
	return ret;
}
