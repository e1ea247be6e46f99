/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_xport.c - frames over one AF_UNIX stream socket, descriptors included
 *
 * Model:   a send first tries the socket; what does not fit is copied to a queue that the loop flushes.
 *          A frame with descriptors begins its own sendmsg. The kernel ends a receive after the chunk
 *          that carried descriptors, so those belong to the frame of the last byte received.
 * Locks:   x->mu around the queue; sendmsg under it is MSG_DONTWAIT and keeps frames whole.
 * Source:  unix(7), cmsg(3).
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "base/fdpass.h"
#include "base/hostcall.h"
#include "ttrpc_internal.h"

#define READ_CHUNK (16u << 10)
#define READ_ROUNDS 16 /* chunks taken from one connection before others get their turn */

struct out_frame {
	struct list node;
	size_t off, len;
	size_t nr_fds; /* still to be sent, with the next bytes */
	int fds[TTRPC_MAX_FDS];
	uint8_t data[];
};

void ttrpc_xport_init(struct ttrpc_xport *x, int fd, bool take_fds)
{
	*x = (struct ttrpc_xport){ .fd = fd, .take_fds = take_fds, .src = { .fd = -1 } };
	mutex_init(&x->mu);
	list_init(&x->out);
	x->in.body.max = TTRPC_MAX_DATA;
}

static void close_fds(const int *fds, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (fds[i] >= 0)
			host_call(close, fds[i]);
}

static void out_frame_free(struct out_frame *f)
{
	close_fds(f->fds, f->nr_fds);
	free(f);
}

void ttrpc_xport_fini(struct ttrpc_xport *x)
{
	struct out_frame *f, *tmp;

	list_for_each_entry_safe(f, tmp, &x->out, node) {
		list_del_init(&f->node);
		out_frame_free(f);
	}
	ttrpc_framer_fini(&x->in);
	close_fds(x->fds, x->nr_fds);
	if (x->fd >= 0)
		host_call(close, x->fd);
	x->fd = -1;
}

/* ---- sending ---- */

static long send_iov(int fd, struct iovec *iov, size_t n, const int *fds, size_t nr_fds)
{
	union {
		char b[CMSG_SPACE(sizeof(int) * TTRPC_MAX_FDS)];
		struct cmsghdr align;
	} ctl;
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	long ret;

	if (nr_fds) {
		memset(&ctl, 0, sizeof(ctl));
		m.msg_control = ctl.b;
		m.msg_controllen = CMSG_SPACE(sizeof(int) * nr_fds);
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nr_fds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nr_fds);
	}
	do
		ret = host_call(sendmsg, fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (ret == -EINTR);
	return ret;
}

static void arm_out_locked(struct ttrpc_xport *x, bool on) REQUIRES(x->mu)
{
	if (x->want_out == on)
		return;
	x->want_out = on;
	if (x->in_loop)
		evloop_mod(&x->src, EPOLLIN | (on ? EPOLLOUT : 0));
}

static int flush_locked(struct ttrpc_xport *x) REQUIRES(x->mu)
{
	struct out_frame *f;
	struct iovec iov;
	long n;

	while (!list_empty(&x->out)) {
		f = list_first(&x->out, struct out_frame, node);
		iov = (struct iovec){ f->data + f->off, f->len - f->off };
		n = send_iov(x->fd, &iov, 1, f->fds, f->nr_fds);
		if (n == -EAGAIN)
			break;
		if (n < 0) {
			x->broken = true;
			return (int)n;
		}
		close_fds(f->fds, f->nr_fds);
		f->nr_fds = 0;
		f->off += (size_t)n;
		x->out_bytes -= (size_t)n;
		if (f->off < f->len)
			continue;
		list_del_init(&f->node);
		free(f);
	}
	arm_out_locked(x, !list_empty(&x->out));
	return 0;
}

int ttrpc_xport_flush(struct ttrpc_xport *x)
{
	int ret;

	mutex_lock(&x->mu);
	ret = flush_locked(x);
	mutex_unlock(&x->mu);
	return ret;
}

/* Keeps the unsent tail of a frame, with duplicates of descriptors that have not left yet. */
static int queue_locked(struct ttrpc_xport *x, const struct iovec iov[2], size_t sent, const int *fds,
			size_t nr_fds) REQUIRES(x->mu)
{
	size_t total = iov[0].iov_len + iov[1].iov_len;
	struct out_frame *f;

	if (x->out_bytes + total > TTRPC_OUT_MAX)
		return -ENOBUFS;
	f = malloc(sizeof(*f) + total);
	if (!f)
		return -ENOMEM;
	f->off = sent;
	f->len = total;
	f->nr_fds = 0;
	memcpy(f->data, iov[0].iov_base, iov[0].iov_len);
	if (iov[1].iov_len)
		memcpy(f->data + iov[0].iov_len, iov[1].iov_base, iov[1].iov_len);
	for (; f->nr_fds < nr_fds; f->nr_fds++) {
		long dup = host_call(fcntl, fds[f->nr_fds], F_DUPFD_CLOEXEC, 3);
		if (dup < 0) {
			out_frame_free(f);
			return (int)dup;
		}
		f->fds[f->nr_fds] = (int)dup;
	}
	list_add_tail(&x->out, &f->node);
	x->out_bytes += total - sent;
	arm_out_locked(x, true);
	return 0;
}

static int send_locked(struct ttrpc_xport *x, struct iovec iov[2], const int *fds, size_t nr_fds)
	REQUIRES(x->mu)
{
	size_t total = iov[0].iov_len + iov[1].iov_len;
	long n = 0;
	int ret;

	if (x->broken)
		return -EPIPE;
	if (list_empty(&x->out)) {
		n = send_iov(x->fd, iov, 2, fds, nr_fds);
		if (n == (long)total)
			return 0;
		if (n < 0 && n != -EAGAIN) {
			x->broken = true;
			return -EPIPE;
		}
		if (n > 0)
			nr_fds = 0; /* they left with the first bytes */
		else
			n = 0;
	}
	ret = queue_locked(x, iov, (size_t)n, fds, nr_fds);
	if (ret < 0 && (n > 0 || ret == -ENOBUFS)) {
		/* half a frame is out, or the peer does not read: nothing sensible can follow */
		x->broken = true;
		host_call(shutdown, x->fd, SHUT_RDWR);
		ret = -EPIPE;
	}
	return ret;
}

int ttrpc_xport_send_locked(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
			    const void *body, size_t len, const int *fds, size_t nr_fds)
{
	uint8_t hdr[TTRPC_HDR_LEN];
	struct iovec iov[2] = { { hdr, sizeof(hdr) }, { (void *)body, len } };

	if (len > TTRPC_MAX_DATA || nr_fds > TTRPC_MAX_FDS)
		return -EMSGSIZE;
	ttrpc_hdr_put(hdr, (uint32_t)len, stream, type, flags);
	return send_locked(x, iov, fds, nr_fds);
}

int ttrpc_xport_send(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
		     const void *body, size_t len, const int *fds, size_t nr_fds)
{
	int ret;

	mutex_lock(&x->mu);
	ret = ttrpc_xport_send_locked(x, stream, type, flags, body, len, fds, nr_fds);
	mutex_unlock(&x->mu);
	return ret;
}

int ttrpc_xport_send_msg(struct ttrpc_xport *x, uint32_t stream, uint8_t type, uint8_t flags,
			 const ProtobufCMessage *msg, const int *fds, size_t nr_fds)
{
	size_t len;
	uint8_t *body = ttrpc_pack(msg, &len);
	int ret = body ? ttrpc_xport_send(x, stream, type, flags, body, len, fds, nr_fds) : -ENOMEM;

	free(body);
	return ret;
}

void ttrpc_xport_break(struct ttrpc_xport *x)
{
	mutex_lock(&x->mu);
	if (!x->broken) {
		x->broken = true;
		host_call(shutdown, x->fd, SHUT_RDWR);
	}
	mutex_unlock(&x->mu);
}

/* ---- receiving ---- */

static int feed(struct ttrpc_xport *x, const uint8_t *p, const uint8_t *end, const int *fds, size_t nr,
		int (*on_frame)(struct ttrpc_xport *, const struct ttrpc_frame *))
{
	struct ttrpc_frame f;
	int ret;

	for (;;) {
		ret = ttrpc_framer_feed(&x->in, &p, end, &f);
		if (p == end && nr) {
			/* the frame of the last byte: complete now, or begun */
			size_t room = TTRPC_MAX_FDS - x->nr_fds, take = MIN(room, nr);

			memcpy(x->fds + x->nr_fds, fds, take * sizeof(int));
			x->nr_fds += take;
			close_fds(fds + take, nr - take);
			nr = 0;
		}
		if (ret <= 0)
			return ret;
		ret = on_frame(x, &f);
		close_fds(x->fds, x->nr_fds);
		x->nr_fds = 0;
		if (ret < 0) {
			close_fds(fds, nr);
			return ret;
		}
	}
}

int ttrpc_xport_read(struct ttrpc_xport *x,
		     int (*on_frame)(struct ttrpc_xport *x, const struct ttrpc_frame *f))
{
	uint8_t chunk[READ_CHUNK];
	int fds[TTRPC_MAX_FDS], ret;
	size_t nr;
	long n;

	for (int i = 0; i < READ_ROUNDS; i++) {
		nr = 0;
		if (x->take_fds) {
			nr = TTRPC_MAX_FDS;
			n = fd_recv(x->fd, chunk, sizeof(chunk), fds, &nr, MSG_DONTWAIT);
		} else {
			do
				n = host_call(recvfrom, x->fd, chunk, sizeof(chunk), MSG_DONTWAIT,
					      NULL, NULL);
			while (n == -EINTR);
		}
		if (n == -EAGAIN)
			return 0;
		if (n <= 0)
			return n ? (int)n : -EPIPE;
		ret = feed(x, chunk, chunk + n, fds, nr, on_frame);
		if (ret < 0)
			return ret;
		if (n < (long)sizeof(chunk))
			return 0;
	}
	return 0;
}
