/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/host/hostinet_msg.c - sending and receiving on host sockets
 *
 * Model:   data goes through a buffer of the Sentry's, as guest memory is not ours. The host call never blocks; the wait is here.
 * Source:  send(2), recv(2), cmsg(3).
 * Differs: a bad buffer is found after a stream's bytes were taken from the host, which are then lost.
 */
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "sentry/socket/host/hostinet.h"

#define CHUNK	  65536u /* the most that one host call moves; a datagram is not longer */
#define CTL_MAX	  1024u
#define SEND_FLAGS (MSG_OOB | MSG_DONTROUTE | MSG_MORE | MSG_CONFIRM | MSG_EOR | MSG_FASTOPEN)
#define RECV_FLAGS (MSG_OOB | MSG_PEEK | MSG_TRUNC | MSG_ERRQUEUE)

/* ---- sending --------------------------------------------------------------------------------------------- */

/* The guest's control messages are in the host's layout: all that has to be known is that each may pass. */
static bool ctl_allowed(const struct sock_msg *m)
{
	struct linux_cmsghdr h;

	for (size_t at = 0; at + sizeof(h) <= m->ctl_len; at += LINUX_CMSG_ALIGN(h.len)) {
		memcpy(&h, m->ctl + at, sizeof(h));
		if (h.len < sizeof(h) || h.len > m->ctl_len - at || !hostinet_cmsg_allowed(h.level, h.type))
			return false;
	}
	return true;
}

/* One host send of @n bytes at @buf, waiting as @m says. */
static long send_some(struct host_sock *h, struct sock_msg *m, uint8_t *buf, size_t n, uint64_t deadline)
{
	struct iovec iov = { buf, n };
	struct msghdr mh = { .msg_name = m->name.len ? m->name.b : NULL, .msg_namelen = m->name.len, .msg_iov = &iov, .msg_iovlen = 1,
			     .msg_control = m->ctl_len ? m->ctl : NULL, .msg_controllen = m->ctl_len };
	long ret;

	for (;;) {
		ret = host_call(sendmsg, h->h.fd, &mh, (m->flags & SEND_FLAGS) | MSG_DONTWAIT | MSG_NOSIGNAL);
		if ((ret != -LINUX_EAGAIN && ret != -LINUX_EINPROGRESS) || m->flags & LINUX_MSG_DONTWAIT)
			return ret;
		ret = wait_event(&h->wq, hostinet_ready(h, POLLOUT), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, h->sk.sndtimeo_ns);
	}
}

long hostinet_sendmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	uint64_t deadline = socket_deadline(s->sndtimeo_ns);
	bool stream = s->type == LINUX_SOCK_STREAM;
	long ret = 0, n, done = 0;
	uint8_t *buf;

	if (!ctl_allowed(m))
		return -LINUX_EINVAL;
	if (!stream && m->io->left > CHUNK)
		return -LINUX_EMSGSIZE;
	buf = malloc(MIN(m->io->left, (size_t)CHUNK) + 1);
	if (!buf)
		return -LINUX_ENOMEM;
	do {
		n = uio_read(m->io, buf, MIN(m->io->left, (size_t)CHUNK));
		if (n < 0) {
			ret = n;
			break;
		}
		ret = send_some(hostinet_of(s), m, buf, (size_t)n, deadline);
		if (ret < 0)
			break;
		if (ret < n)
			uio_revert(m->io, (size_t)(n - ret));
		done += ret;
	} while (stream && m->io->left);
	free(buf);
	if (done || ret >= 0)
		return done;
	return ret == -LINUX_EPIPE && stream ? socket_epipe(t, m->flags) : ret;
}

/* ---- receiving --------------------------------------------------------------------------------------------- */

static void recv_ctl(struct sock_msg *m, struct msghdr *mh)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(mh); c; c = CMSG_NXTHDR(mh, c))
		if (hostinet_cmsg_allowed(c->cmsg_level, c->cmsg_type) || c->cmsg_level == SOL_SOCKET)
			sock_put_cmsg(m, c->cmsg_level, c->cmsg_type, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
}

/* One host receive into @buf, waiting as @m says; names and control messages go to @m. */
static long recv_some(struct host_sock *h, struct sock_msg *m, uint8_t *buf, size_t n, uint64_t deadline)
{
	uint8_t ctl[CTL_MAX] __attribute__((aligned(8)));
	struct iovec iov = { buf, n };
	struct msghdr mh;
	long ret;

	for (;;) {
		mh = (struct msghdr){ .msg_name = m->name.b, .msg_namelen = sizeof(m->name.b), .msg_iov = &iov, .msg_iovlen = 1,
				      .msg_control = ctl, .msg_controllen = sizeof(ctl) };
		ret = host_call(recvmsg, h->h.fd, &mh, (m->flags & RECV_FLAGS) | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
		if (ret != -LINUX_EAGAIN || m->flags & (LINUX_MSG_DONTWAIT | LINUX_MSG_ERRQUEUE))
			break;
		ret = wait_event(&h->wq, hostinet_ready(h, POLLIN | POLLRDHUP | (m->flags & LINUX_MSG_OOB ? POLLPRI : 0)),
				 SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, h->sk.rcvtimeo_ns);
	}
	if (ret < 0)
		return ret;
	m->name.len = MIN((uint32_t)mh.msg_namelen, (uint32_t)sizeof(m->name.b));
	m->out_flags |= (uint32_t)mh.msg_flags & (MSG_TRUNC | MSG_CTRUNC | MSG_OOB | MSG_ERRQUEUE | MSG_EOR);
	recv_ctl(m, &mh);
	return ret;
}

static long recv_all(struct socket *s, struct sock_msg *m, uint8_t *buf, size_t cap, uint64_t deadline)
{
	bool more = s->type == LINUX_SOCK_STREAM && m->flags & LINUX_MSG_WAITALL && !(m->flags & (LINUX_MSG_PEEK | LINUX_MSG_ERRQUEUE));
	long ret, done = 0;

	do {
		size_t want = MIN(m->io->left, cap);
		long w;

		ret = recv_some(hostinet_of(s), m, buf, want, deadline);
		if (ret <= 0)
			break;
		done += ret;
		/* with MSG_TRUNC a stream's bytes are thrown away, and a datagram's length may be more than came */
		if (s->type == LINUX_SOCK_STREAM && m->flags & LINUX_MSG_TRUNC)
			break;
		w = uio_write(m->io, buf, MIN((size_t)ret, want));
		if (w < 0)
			return w;
	} while (more && m->io->left);
	return done ? done : ret;
}

long hostinet_recvmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct host_sock *h = hostinet_of(s);
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	bool turn = s->type == LINUX_SOCK_STREAM && m->flags & LINUX_MSG_WAITALL;
	size_t cap = MIN(m->io->left, (size_t)CHUNK);
	uint8_t *buf = malloc(cap + 1);
	long ret;

	if (!buf)
		return -LINUX_ENOMEM;
	ret = turn ? sleep_lock_killable(&h->recv_lock) : 0;
	if (!ret) {
		ret = recv_all(s, m, buf, cap, deadline);
		if (turn)
			sleep_unlock(&h->recv_lock);
	}
	free(buf);
	return ret;
}
