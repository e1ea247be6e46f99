/* SPDX-License-Identifier: Apache-2.0
 * test/net/nethost.c - the stack on a real machine
 *
 * Model:   an AF_PACKET socket with PACKET_VNET_HDR, so that segments of up to 64 KiB and unfinished checksums
 *          cross in both directions; received in batches (recvmmsg), sent in batches (sendmmsg). Small packets are
 *          copied into small buffers, large ones keep the 64 KiB buffer that they were read into.
 * Source:  packet(7), linux/virtio_net.h.
 */
#include "nethost.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>


/* ---- host operations ------------------------------------------------------------------------------------ */

static struct {
	pthread_mutex_t mu;
	pthread_cond_t cv;
	uint64_t at;
	struct net_stack *st;
} timer = { PTHREAD_MUTEX_INITIALIZER, .at = NET_NEVER };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (uint64_t)t.tv_sec * NET_SEC + (uint64_t)t.tv_nsec;
}

static uint64_t host_now(void *ctx)
{
	(void)ctx;
	return clock_ns(CLOCK_MONOTONIC);
}

static uint64_t host_wall(void *ctx)
{
	(void)ctx;
	return clock_ns(CLOCK_REALTIME);
}

static void host_alarm(void *ctx, uint64_t at)
{
	(void)ctx;
	pthread_mutex_lock(&timer.mu);
	timer.at = at;
	pthread_cond_signal(&timer.cv);
	pthread_mutex_unlock(&timer.mu);
}

static void host_random(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	if (getrandom(buf, n, 0) != (ssize_t)n)
		abort();
}

static void *timer_thread(void *arg)
{
	(void)arg;
	for (;;) {
		uint64_t at;

		pthread_mutex_lock(&timer.mu);
		while ((at = timer.at) == NET_NEVER || at > host_now(NULL)) {
			struct timespec t = { .tv_sec = (time_t)(at / NET_SEC), .tv_nsec = (long)(at % NET_SEC) };

			if (at == NET_NEVER)
				pthread_cond_wait(&timer.cv, &timer.mu);
			else
				pthread_cond_timedwait(&timer.cv, &timer.mu, &t);
		}
		timer.at = NET_NEVER;
		pthread_mutex_unlock(&timer.mu);
		net_timers_run(timer.st, 1000);
	}
	return NULL;
}

void nethost_start(struct net_stack *st)
{
	static const struct net_host_ops ops = { host_now, host_wall, host_alarm, host_random };
	pthread_condattr_t ca;
	pthread_t th;

	pthread_condattr_init(&ca);
	pthread_condattr_setclock(&ca, CLOCK_MONOTONIC);
	pthread_cond_init(&timer.cv, &ca);
	timer.st = st;
	BUG_ON(net_stack_init(st, &ops, NULL));
	BUG_ON(pthread_create(&th, NULL, timer_thread, NULL) != 0);
}

/* ---- NIC ---------------------------------------------------------------------------------------------------- */

#define RX_BATCH 32
#define RX_LINEAR 1600	/* a packet of an ordinary MTU fits its linear part */
#define RX_BUF	 65536
#ifndef VIRTIO_NET_HDR_GSO_UDP_L4
#define VIRTIO_NET_HDR_GSO_UDP_L4 5
#endif
#define VNET_LEN ((uint32_t)sizeof(struct virtio_net_hdr))

struct nic {
	int fd;
	struct net_link *link;
};

static void vnet_fill(const struct pkt *p, struct virtio_net_hdr *h)
{
	uint32_t l4 = (uint32_t)(pkt_l4(p) - p->data);

	memset(h, 0, sizeof(*h));
	if (p->csum == PKT_CSUM_PARTIAL) {
		h->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		h->csum_start = (uint16_t)(p->head + p->csum_start - p->data);
		h->csum_offset = p->csum_off;
	}
	if (p->gso_size) {
		h->gso_type = p->gso == PKT_GSO_TCP4 ? VIRTIO_NET_HDR_GSO_TCPV4 : VIRTIO_NET_HDR_GSO_TCPV6;
		h->gso_size = p->gso_size;
		h->hdr_len = (uint16_t)(l4 + (pkt_l4(p)[12] >> 4) * 4u);
	}
}

/* Everything of @l, in batches; what the host has no room for right now is waited for a little, then dropped. */
static void nic_xmit(void *ctx, struct pkt_list *l)
{
	struct nic *n = ctx;

	while (l->head) {
		struct virtio_net_hdr h[16];
		struct iovec iov[16][2 + PKT_MAX_FRAGS];
		struct mmsghdr m[16];
		struct pkt *v[16], *p;
		unsigned k = 0, done = 0, tries = 0;

		while (k < 16 && (p = pkt_list_pop(l))) {
			vnet_fill(p, &h[k]);
			iov[k][0] = (struct iovec){ &h[k], VNET_LEN };
			iov[k][1] = (struct iovec){ p->data, pkt_linear(p) };
			for (unsigned f = 0; f < p->nr_frags; f++)
				iov[k][2 + f] = (struct iovec){ p->frags[f].buf->data + p->frags[f].off, p->frags[f].len };
			m[k] = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov[k], .msg_iovlen = 2u + p->nr_frags } };
			v[k++] = p;
		}
		while (done < k) {
			int r = sendmmsg(n->fd, m + done, k - done, MSG_DONTWAIT);

			if (r > 0) {
				done += (unsigned)r;
				continue;
			}
			if ((errno == EAGAIN || errno == ENOBUFS) && tries++ < 20) {
				struct pollfd pf = { .fd = n->fd, .events = POLLOUT };

				poll(&pf, 1, 1);
				continue;
			}
			done++; /* this one is lost, as on any wire */
		}
		for (unsigned i = 0; i < k; i++)
			pkt_free(v[i]);
	}
}

static struct pkt *rx_packet(const struct virtio_net_hdr *h, struct pkt *p, struct pkt_buf **buf, uint32_t len)
{
	if (len > RX_LINEAR) {
		uint32_t rest = len - RX_LINEAR;
		struct pkt_buf *b;

		p->tail += RX_LINEAR;
		p->len = RX_LINEAR;
		if (rest < RX_BUF / 2) { /* do not pin 64 KiB for less than half of it */
			b = pkt_buf_alloc(rest);
			if (!b)
				return NULL;
			memcpy(b->data, (*buf)->data, rest);
		} else {
			b = *buf;
			*buf = NULL;
		}
		pkt_add_frag(p, b, 0, rest);
	} else {
		p->tail += len;
		p->len = len;
	}
	if (h->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(p->data - p->head + h->csum_start);
		p->csum_off = h->csum_offset;
	} else if (h->flags & VIRTIO_NET_HDR_F_DATA_VALID) {
		p->csum = PKT_CSUM_OK;
	}
	switch (h->gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		p->gso = PKT_GSO_TCP4;
		break;
	case VIRTIO_NET_HDR_GSO_TCPV6:
		p->gso = PKT_GSO_TCP6;
		break;
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		p->gso = PKT_GSO_UDP;
		break;
	}
	if (p->gso && h->gso_size) {
		p->gso_size = h->gso_size;
		p->gso_segs = (uint16_t)((len + h->gso_size - 1) / h->gso_size);
	}
	return p;
}

static void *rx_thread(void *arg)
{
	struct nic *n = arg;
	static __thread struct virtio_net_hdr h[RX_BATCH];
	struct iovec iov[RX_BATCH][3];
	struct mmsghdr m[RX_BATCH];
	struct sockaddr_ll from[RX_BATCH];
	struct pkt *p[RX_BATCH] = { 0 };
	struct pkt_buf *b[RX_BATCH] = { 0 };

	for (;;) {
		struct pkt_list l = { 0 };
		int r;

		for (int i = 0; i < RX_BATCH; i++) {
			if (!p[i])
				p[i] = pkt_alloc(16, RX_LINEAR + 256);
			if (!b[i])
				b[i] = pkt_buf_alloc(RX_BUF);
			iov[i][0] = (struct iovec){ &h[i], VNET_LEN };
			iov[i][1] = (struct iovec){ p[i]->data, RX_LINEAR };
			iov[i][2] = (struct iovec){ b[i]->data, RX_BUF };
			m[i] = (struct mmsghdr){ .msg_hdr = { .msg_iov = iov[i], .msg_iovlen = 3, .msg_name = &from[i],
							      .msg_namelen = sizeof(from[i]) } };
		}
		r = recvmmsg(n->fd, m, RX_BATCH, MSG_WAITFORONE, NULL);
		for (int i = 0; i < r; i++) {
			if (m[i].msg_len <= VNET_LEN || from[i].sll_pkttype == PACKET_OUTGOING)
				continue;
			p[i] = rx_packet(&h[i], p[i], &b[i], m[i].msg_len - VNET_LEN);
			if (p[i])
				pkt_list_add(&l, p[i]);
			p[i] = NULL;
		}
		net_link_rx(n->link, &l);
	}
	return NULL;
}

struct net_link *nethost_nic(struct net_ns *ns, const char *host_if, uint32_t mtu)
{
	struct nic *n = calloc(1, sizeof(*n));
	struct net_nic_driver d = { .xmit = nic_xmit, .features = NET_LINK_CSUM | NET_LINK_TSO4 | NET_LINK_TSO6,
				    .gso_max = 65535, .ctx = n };
	struct sockaddr_ll sll = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = (int)if_nametoindex(host_if) };
	struct net_link_param p = { .name = "eth0", .mtu = mtu };
	int one = 1, buf = 8 << 20;
	const char *plain = getenv("NETHOST_PLAIN"); /* no offload: whole frames, as a simple card would send them */
	struct ifreq ifr = { 0 };
	pthread_t th;

	if (plain)
		d.features = 0;
	n->fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (n->fd < 0 || setsockopt(n->fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one))) {
		perror("AF_PACKET");
		exit(1);
	}
	setsockopt(n->fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one));
	setsockopt(n->fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	setsockopt(n->fd, SOL_SOCKET, SO_RCVBUFFORCE, &buf, sizeof(buf));
	setsockopt(n->fd, SOL_SOCKET, SO_SNDBUFFORCE, &buf, sizeof(buf));
	strncpy(ifr.ifr_name, host_if, IFNAMSIZ - 1);
	if (ioctl(n->fd, SIOCGIFHWADDR, &ifr)) {
		perror(host_if);
		exit(1);
	}
	p.mac = (uint8_t *)ifr.ifr_hwaddr.sa_data;
	if (bind(n->fd, (struct sockaddr *)&sll, sizeof(sll))) {
		perror("bind");
		exit(1);
	}
	BUG_ON(net_link_new_nic(ns, &p, &d, &n->link));
	BUG_ON(net_link_set_up(n->link, true));
	BUG_ON(pthread_create(&th, NULL, rx_thread, n) != 0);
	return n->link;
}

void nethost_addr(struct net_link *l, const char *cidr)
{
	struct net_ifaddr_param p = { .flags = NET_IFA_F_NODAD };
	char a[64];
	unsigned plen;

	BUG_ON(sscanf(cidr, "%63[^/]/%u", a, &plen) != 2 || !naddr_parse(a, &p.addr));
	p.plen = (uint8_t)plen;
	BUG_ON(net_addr_add(l, &p));
}

void nethost_default_route(struct net_ns *ns, struct net_link *l, const char *gw)
{
	struct net_route_param r = { .family = NET_AF_INET, .dst = NADDR_ANY4, .nr_hops = 1 };

	r.hops[0].oif = l->index;
	BUG_ON(!naddr_parse(gw, &r.hops[0].gw));
	BUG_ON(net_route_add(ns, &r, NET_RT_CREATE));
}

/* ---- blocking endpoints ----------------------------------------------------------------------------------------- */

static void on_event(void *ctx, uint32_t ev)
{
	struct bsock *b = ctx;

	(void)ev;
	if (atomic_fetch_or(&b->ev, 1) & 2) { /* somebody sleeps */
		syscall(SYS_futex, &b->ev, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	}
}

static void prepare(struct bsock *b)
{
	atomic_store(&b->ev, 2);
}

static void wait_event(struct bsock *b)
{
	while (!(atomic_load(&b->ev) & 1))
		syscall(SYS_futex, &b->ev, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
}

struct bsock *bsock_new(struct sock *sk)
{
	struct bsock *b = calloc(1, sizeof(*b));

	b->sk = sk;
	sock_set_event(sk, on_event, b);
	return b;
}

struct bsock *bsock_tcp(struct net_ns *ns, int family)
{
	struct sock *sk;

	BUG_ON(sock_create(ns, family, NET_SOCK_STREAM, 0, &sk));
	return bsock_new(sk);
}

int bsock_connect(struct bsock *b, const struct net_ep *ep)
{
	int ret = sock_connect(b->sk, ep);

	if (ret != -LINUX_EINPROGRESS)
		return ret;
	for (;;) {
		uint32_t m;

		prepare(b);
		m = sock_poll(b->sk);
		if (m & (NET_POLLOUT | NET_POLLERR | NET_POLLHUP))
			return -sock_error_take(b->sk);
		wait_event(b);
	}
}

struct bsock *bsock_accept(struct bsock *b)
{
	struct sock *sk;

	for (;;) {
		prepare(b);
		if (!sock_accept(b->sk, &sk))
			return bsock_new(sk);
		wait_event(b);
	}
}

long bsock_send(struct bsock *b, const void *p, size_t n)
{
	struct net_iter_mem m;

	net_iter_read_mem(&m, p, n);
	while (m.it.left) {
		long r = sock_send(b->sk, &m.it, NULL);

		if (r == -LINUX_EAGAIN) {
			prepare(b);
			if (!(sock_poll(b->sk) & (NET_POLLOUT | NET_POLLERR | NET_POLLHUP)))
				wait_event(b);
		} else if (r < 0) {
			return r;
		}
	}
	return (long)n;
}

long bsock_recv(struct bsock *b, void *p, size_t n)
{
	struct net_iter_mem m;

	for (;;) {
		long r;

		net_iter_write_mem(&m, p, n);
		r = sock_recv(b->sk, &m.it, NULL);
		if (r != -LINUX_EAGAIN)
			return r;
		prepare(b);
		if (!(sock_poll(b->sk) & (NET_POLLIN | NET_POLLERR | NET_POLLHUP)))
			wait_event(b);
	}
}

void bsock_close(struct bsock *b)
{
	sock_close(b->sk);
	free(b);
}
