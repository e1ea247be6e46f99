/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/nic.c - NIC driver: an AF_PACKET socket of the host under a link of the stack
 *
 * Model:   with PACKET_VNET_HDR segments of up to 64 KiB and unfinished checksums cross in both directions. Receiving is a
 *          worker source: the thread blocks in recvmmsg(2), runs the stack on the batch, and then executes the kthreads
 *          that the batch woke, with their data still in its cache. When such a kthread is about to block in the host,
 *          the standby worker takes the receiving over, so that the network never waits for a file.
 *          Sending happens on the thread that closes a packet section (net/core/bh.h), one sendmmsg(2) a burst.
 * Locks:   none; `owner` says which of the two workers receives and owns struct nic_rx.
 * Source:  packet(7), recvmmsg(2), sendmmsg(2), linux/virtio_net.h.
 */
#include "sentry/socket/inet/nic.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/run/hostcalls.h"
#include "sentry/run/run.h"

SENTRY_HOST_CALL(recvmmsg, "frames from a NIC");
SENTRY_HOST_CALL(sendmmsg, "frames to a NIC");

#define RX_BATCH      32
#define RX_LINEAR     1600	/* a frame of an ordinary MTU fits the linear part */
#define RX_ROOM	      (RX_LINEAR + 256)
#define RX_BUF	      65536
#define RX_HEADROOM   18	/* and 14 of Ethernet: network headers are aligned */
#define TX_BATCH      16
#define TX_WAIT_MS    1
#define TX_WAITS      4		/* then the frame is lost, as on any wire that is too slow */
#define RX_ERROR_MS   10	/* pause after an error that is not the frame's own */
#define NIC_WORKERS   2
#define NOBODY	      0u

#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif

struct nic_rx {
	struct virtio_net_hdr hdr[RX_BATCH];
	struct iovec iov[RX_BATCH][3];
	struct mmsghdr msg[RX_BATCH];
	struct pkt *pkt[RX_BATCH];
	struct pkt_buf *buf[RX_BATCH];
};

struct nic {
	int fd;
	uint32_t hdr_len;		/* immutable: of the virtio header, 0 = none */
	struct net_link *link;		/* reference until the link is dead; the owner's */
	_Atomic uint32_t owner;		/* futex: 1 + number of the worker that receives, or NOBODY */
	struct nic_worker {
		struct worker_source src;
		struct nic *nic;
		uint32_t nr;		/* 1 ... */
	} workers[NIC_WORKERS];
	struct nic_rx rx;		/* the owner's */
};

/* ---- sending ------------------------------------------------------------------------------------------------ */

static void tx_header(const struct pkt *p, struct virtio_net_hdr *h)
{
	*h = (struct virtio_net_hdr){ 0 };
	if (p->csum == PKT_CSUM_PARTIAL) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)(p->head + p->csum_start - p->data);
		h->csum_offset = p->csum_off;
	}
	if (p->gso_size && (p->gso == PKT_GSO_TCP4 || p->gso == PKT_GSO_TCP6)) {
		h->gso_type = p->gso == PKT_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h->gso_size = p->gso_size;
		h->hdr_len = (uint16_t)(pkt_l4(p) - p->data + (pkt_l4(p)[12] >> 4) * 4);
	}
}

/* All of @m go out or are lost. */
static void tx_batch(struct nic *n, struct mmsghdr *m, unsigned nr, struct net_link *link)
{
	unsigned done = 0, waits = 0;

	while (done < nr) {
		long r = host_call(sendmmsg, n->fd, m + done, nr - done, MSG_DONTWAIT | MSG_NOSIGNAL);

		if (r > 0) {
			done += (unsigned)r;
			continue;
		}
		if (r == -EINTR)
			continue;
		if ((r == -EAGAIN || r == -ENOBUFS) && waits++ < TX_WAITS) {
			struct pollfd pf = { .fd = n->fd, .events = POLLOUT };

			host_call(poll, &pf, 1, TX_WAIT_MS);
			continue;
		}
		atomic_fetch_add_explicit(&link->stats.tx_dropped, 1, memory_order_relaxed);
		done++;
	}
}

static void nic_xmit(void *ctx, struct pkt_list *l)
{
	struct nic *n = ctx;

	while (l->head) {
		struct virtio_net_hdr h[TX_BATCH];
		struct iovec iov[TX_BATCH][2 + PKT_MAX_FRAGS];
		struct mmsghdr m[TX_BATCH];
		struct pkt *v[TX_BATCH], *p;
		struct net_link *link = l->head->link;
		unsigned k = 0;

		while (k < TX_BATCH && (p = pkt_list_pop(l))) {
			if (n->hdr_len)
				tx_header(p, &h[k]);
			iov[k][0] = (struct iovec){ &h[k], n->hdr_len };
			iov[k][1] = (struct iovec){ p->data, pkt_linear(p) };
			for (unsigned f = 0; f < p->nr_frags; f++)
				iov[k][2 + f] = (struct iovec){ p->frags[f].buf->data + p->frags[f].off, p->frags[f].len };
			m[k] = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov[k], .msg_iovlen = 2u + p->nr_frags } };
			v[k++] = p;
		}
		tx_batch(n, m, k, link);
		for (unsigned i = 0; i < k; i++)
			pkt_free(v[i]);
	}
}

/* ---- receiving ------------------------------------------------------------------------------------------------ */

/* Buffers for the frames that the last batch used up. Return: how many frames there is room for. */
static unsigned rx_refill(struct nic_rx *x, uint32_t hdr_len)
{
	unsigned i;

	for (i = 0; i < RX_BATCH; i++) {
		if (!x->pkt[i])
			x->pkt[i] = pkt_alloc(RX_HEADROOM, RX_ROOM);
		if (!x->buf[i])
			x->buf[i] = pkt_buf_alloc(RX_BUF);
		if (!x->pkt[i] || !x->buf[i])
			break;
		x->iov[i][0] = (struct iovec){ &x->hdr[i], hdr_len };
		x->iov[i][1] = (struct iovec){ x->pkt[i]->data, RX_LINEAR };
		x->iov[i][2] = (struct iovec){ x->buf[i]->data, RX_BUF };
		x->msg[i].msg_hdr = (struct msghdr){ .msg_iov = x->iov[i], .msg_iovlen = 3 };
	}
	return i;
}

/* What follows the linear part: the big buffer itself, or a copy where that would pin 64 KiB for little. */
static bool rx_tail(struct pkt *p, struct pkt_buf **buf, uint32_t rest)
{
	struct pkt_buf *b = *buf;

	if (rest < RX_BUF / 2) {
		b = pkt_buf_alloc(rest);
		if (!b)
			return false;
		memcpy(b->data, (*buf)->data, rest);
	} else {
		*buf = NULL;
	}
	return pkt_add_frag(p, b, 0, rest);
}

/* False: the header does not fit the frame. */
static bool rx_header(struct pkt *p, const struct virtio_net_hdr *h)
{
	static const uint8_t kinds[] = { [VIRTIO_NET_HDR_GSO_TCPV4] = PKT_GSO_TCP4, [VIRTIO_NET_HDR_GSO_TCPV6] = PKT_GSO_TCP6,
					 [VIRTIO_NET_HDR_GSO_UDP_L4] = PKT_GSO_UDP };
	uint8_t type = h->gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;

	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if ((uint32_t)h->csum_start + h->csum_offset + 2 > p->len)
			return false;
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(pkt_headroom(p) + h->csum_start);
		p->csum_off = h->csum_offset;
	} else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		p->csum = PKT_CSUM_OK;
	}
	p->gso = type < ARRAY_SIZE(kinds) ? kinds[type] : PKT_GSO_NONE;
	if (p->gso != PKT_GSO_NONE && h->gso_size) {
		p->gso_size = h->gso_size;
		p->gso_segs = (uint16_t)((p->len + h->gso_size - 1) / h->gso_size);
	}
	return true;
}

/* The i-th frame of the batch as a packet, or NULL when it is no good. */
static struct pkt *rx_packet(struct nic *n, unsigned i)
{
	const struct mmsghdr *m = &n->rx.msg[i];
	struct pkt *p = n->rx.pkt[i];
	uint32_t len = m->msg_len - n->hdr_len;

	if (m->msg_len <= n->hdr_len || (m->msg_hdr.msg_flags & MSG_TRUNC))
		return NULL;
	p->len = MIN(len, (uint32_t)RX_LINEAR);
	p->tail = p->data + p->len;
	n->rx.pkt[i] = NULL;
	if ((len > RX_LINEAR && !rx_tail(p, &n->rx.buf[i], len - RX_LINEAR)) || (n->hdr_len && !rx_header(p, &n->rx.hdr[i]))) {
		pkt_free(p);
		return NULL;
	}
	return p;
}

static void rx_deliver(struct nic *n, unsigned nr)
{
	struct pkt_list l = { 0 };

	for (unsigned i = 0; i < nr; i++) {
		struct pkt *p = rx_packet(n, i);

		if (p)
			pkt_list_add(&l, p);
		else
			atomic_fetch_add_explicit(&n->link->stats.rx_errors, 1, memory_order_relaxed);
	}
	bh_enter(); /* a namespace that ends waits for the section */
	if (n->link->dead)
		pkt_list_free(&l);
	else
		net_link_rx(n->link, &l);
	bh_leave();
}

static void pause_ms(int ms)
{
	host_call(poll, NULL, 0, ms);
}

/* The guest deleted the link: nothing will come back to life, only the thread stays. */
static void rx_stop(struct nic *n)
{
	for (unsigned i = 0; i < RX_BATCH; i++) {
		pkt_free(n->rx.pkt[i]);
		if (n->rx.buf[i])
			pkt_buf_put(n->rx.buf[i]);
	}
	net_link_put(n->link);
	n->link = NULL;
}

static void rx_once(struct nic *n)
{
	unsigned room;
	long r;

	if (!n->link) {
		pause_ms(-1);
		return;
	}
	room = rx_refill(&n->rx, n->hdr_len);
	if (!room) {
		pause_ms(RX_ERROR_MS);
		return;
	}
	r = host_call(recvmmsg, n->fd, n->rx.msg, room, MSG_WAITFORONE, NULL);
	if (r > 0)
		rx_deliver(n, (unsigned)r);
	else if (r != -EINTR && r != -EINVAL) /* EINVAL: one frame that the header cannot describe */
		pause_ms(RX_ERROR_MS);
	if (n->link->dead)
		rx_stop(n);
}

static struct kthread *nic_next(struct worker_source *s, bool may_block)
{
	struct nic_worker *w = s->arg;
	struct nic *n = w->nic;
	uint32_t owner = NOBODY;

	if (!may_block)
		return NULL;
	if (atomic_compare_exchange_strong(&n->owner, &owner, w->nr) || owner == w->nr)
		rx_once(n);
	else
		host_call(futex, &n->owner, FUTEX_WAIT_PRIVATE, owner, NULL, NULL, 0);
	return NULL;
}

static void nic_blocking(struct worker_source *s, bool begin)
{
	struct nic_worker *w = s->arg;
	uint32_t self = w->nr;

	if (begin && atomic_compare_exchange_strong(&w->nic->owner, &self, NOBODY))
		host_call(futex, &w->nic->owner, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

/* ---- life -------------------------------------------------------------------------------------------------------- */

static void nic_destroy(void *ctx)
{
	struct nic *n = ctx;

	host_call(close, n->fd); /* the workers may still look at *n */
	n->fd = -1;
}

long nic_new(struct net_ns *ns, const struct net_link_param *p, const struct nic_config *cfg, struct net_link **out)
{
	struct nic *n = calloc(1, sizeof(*n));
	struct net_nic_driver drv = { .xmit = nic_xmit, .destroy = nic_destroy, .ctx = n };
	long ret = n ? 0 : -LINUX_ENOMEM;

	if (ret) {
		host_call(close, cfg->fd);
		return ret;
	}
	n->fd = cfg->fd;
	n->hdr_len = cfg->vnet_hdr ? sizeof(struct virtio_net_hdr) : 0;
	if (cfg->vnet_hdr && cfg->tx_csum) {
		drv.features = NET_LINK_CSUM | (cfg->gso_max ? NET_LINK_TSO4 | NET_LINK_TSO6 : 0);
		drv.gso_max = MIN(cfg->gso_max, PKT_MAX_LEN);
	}
	ret = net_link_new_nic(ns, p, &drv, &n->link);
	if (ret) {
		host_call(close, n->fd);
		free(n);
		return ret;
	}
	*out = n->link;
	net_link_get(n->link);
	for (unsigned i = 0; i < NIC_WORKERS && !ret; i++) {
		struct nic_worker *w = &n->workers[i];

		*w = (struct nic_worker){ .nic = n, .nr = i + 1 };
		w->src = (struct worker_source){ .next = nic_next, .blocking = nic_blocking, .arg = w };
		ret = worker_spawn(&w->src, "nic");
		if (ret && i > 0) {
			log_warn("%s: one thread only", n->link->name);
			ret = 0;
		}
	}
	if (ret) { /* no thread has seen *n */
		net_link_del(n->link);
		net_link_put(n->link);
	}
	return ret;
}
