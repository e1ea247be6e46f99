/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/packet_ring.c - rings of packet endpoints: TPACKET versions 1 to 3, receiving and sending
 *
 * Model:   the socket layer gives memory that it shares with a guest. Versions 1 and 2: slots of equal size, each with a
 *          status word that says whose it is. Version 3, receiving: blocks that packets are laid into one behind the
 *          other; a block goes to the guest when it is full or some milliseconds after its first packet.
 *          What the guest writes there is believed as far as "this slot is free" and "send this slot": one read each.
 * Locks:   ring_mu, a leaf. Frames for sending are copied out under it and sent after.
 * Source:  packet(7), Linux's Documentation/networking/packet_mmap, linux/if_packet.h (layouts).
 * Differs: a frame is free again as soon as the stack has copied it (Linux: when the driver is done with it).
 */
#include "sentry/abi/inet.h"
#include "sentry/net/dgram/packet.h"

#define TP_ALIGN	16u	/* TPACKET_ALIGNMENT */
#define BLK_ALIGN	8u
#define SLL_LEN		20u	/* struct sockaddr_ll */
#define RETIRE_DEFAULT_MS 8
#define RING_MAX	(512u << 20)

/* struct tpacket_hdr, tpacket2_hdr, tpacket3_hdr, tpacket_block_desc */
struct tp1_hdr {
	uint64_t status;
	uint32_t len, snaplen;
	uint16_t mac, net;
	uint32_t sec, usec, pad;
};
struct tp2_hdr {
	uint32_t status, len, snaplen;
	uint16_t mac, net;
	uint32_t sec, nsec;
	uint16_t vlan_tci, vlan_tpid;
	uint8_t pad[4];
};
struct tp3_hdr {
	uint32_t next_offset, sec, nsec, snaplen, len, status;
	uint16_t mac, net;
	uint32_t rxhash, vlan_tci;
	uint16_t vlan_tpid, vlan_pad;
	uint8_t pad[8];
};
struct tp_block {
	uint32_t version, offset_to_priv;
	uint32_t status, num_pkts, first_pkt, blk_len;
	uint64_t seq;
	uint32_t first_sec, first_nsec, last_sec, last_nsec;
};
_Static_assert(sizeof(struct tp1_hdr) == 32 && sizeof(struct tp2_hdr) == 32 && sizeof(struct tp3_hdr) == 48 &&
	       sizeof(struct tp_block) == 48, "linux/if_packet.h");

static const uint32_t hdr_size[TPACKET_VERSIONS] = { sizeof(struct tp1_hdr), sizeof(struct tp2_hdr), sizeof(struct tp3_hdr) };

/* Frame header and link address: what TPACKETn_HDRLEN is. */
static uint32_t hdr_len(const struct packet_sock *ps)
{
	return ALIGN_UP(hdr_size[ps->version], TP_ALIGN) + SLL_LEN;
}

int packet_ring_hdrlen(int version)
{
	if (version < 0 || version >= TPACKET_VERSIONS)
		return -LINUX_EINVAL;
	/* getsockopt says sizeof, and version 1's has no padding at its end */
	return version == TPACKET_V1 ? 32 : (int)hdr_size[version];
}

/* Bytes of a block in front of its packets. */
static uint32_t block_head(const struct packet_ring *r)
{
	return (uint32_t)sizeof(struct tp_block) + ALIGN_UP(r->req.priv_size, BLK_ALIGN);
}

static uint8_t *slot(const struct packet_ring *r, uint32_t i)
{
	return r->base + (size_t)(i / r->per_block) * r->req.block_size + (size_t)(i % r->per_block) * r->req.frame_size;
}

static struct tp_block *block(const struct packet_ring *r, uint32_t i)
{
	return (struct tp_block *)(r->base + (size_t)i * r->req.block_size);
}

static uint32_t status_get(uint8_t version, const uint8_t *h)
{
	switch (version) {
	case TPACKET_V1:
		return (uint32_t)__atomic_load_n(&((const struct tp1_hdr *)h)->status, __ATOMIC_ACQUIRE);
	case TPACKET_V2:
		return __atomic_load_n(&((const struct tp2_hdr *)h)->status, __ATOMIC_ACQUIRE);
	default:
		return __atomic_load_n(&((const struct tp3_hdr *)h)->status, __ATOMIC_ACQUIRE);
	}
}

/* Last of all writes to a slot: the guest may look at it from here on. */
static void status_set(uint8_t version, uint8_t *h, uint32_t v)
{
	switch (version) {
	case TPACKET_V1:
		__atomic_store_n(&((struct tp1_hdr *)h)->status, v, __ATOMIC_RELEASE);
		break;
	case TPACKET_V2:
		__atomic_store_n(&((struct tp2_hdr *)h)->status, v, __ATOMIC_RELEASE);
		break;
	default:
		__atomic_store_n(&((struct tp3_hdr *)h)->status, v, __ATOMIC_RELEASE);
	}
}

/* ---- setting up ------------------------------------------------------------------------------------------------------- */

int packet_ring_setopt(struct packet_sock *ps, int name, int v)
{
	int ret = -LINUX_EBUSY;

	mutex_lock(&ps->ring_mu);
	if (ps->rx.base || ps->tx.base)
		goto out;
	ret = 0;
	if (name == LINUX_PACKET_VERSION) {
		if (v < 0 || v >= TPACKET_VERSIONS)
			ret = -LINUX_EINVAL;
		else
			ps->version = (uint8_t)v;
	} else if (v < 0) {
		ret = -LINUX_EINVAL;
	} else {
		ps->reserve = (uint32_t)v;
	}
out:
	mutex_unlock(&ps->ring_mu);
	return ret;
}

static int check_req(const struct packet_sock *ps, bool tx, const struct net_ring_req *q)
{
	uint64_t min = (uint64_t)hdr_len(ps) + ps->reserve, per;

	if (!q->block_nr)
		return q->frame_nr ? -LINUX_EINVAL : 0;
	if ((int32_t)q->block_size <= 0 || q->block_size % 4096 || q->frame_size < min || q->frame_size % TP_ALIGN)
		return -LINUX_EINVAL;
	if (ps->version == TPACKET_V3) {
		if (tx && (q->retire_ms || q->priv_size || q->features))
			return -LINUX_EINVAL;
		if ((uint64_t)sizeof(struct tp_block) + ALIGN_UP((uint64_t)q->priv_size, BLK_ALIGN) + min > q->block_size)
			return -LINUX_EINVAL;
	}
	per = q->block_size / q->frame_size;
	if (!per || per * q->block_nr != q->frame_nr)
		return -LINUX_EINVAL;
	if ((uint64_t)q->block_size * q->block_nr > RING_MAX)
		return -LINUX_ENOMEM;
	return 0;
}

int sock_ring_check(struct sock *sk, bool tx, const struct net_ring_req *q, struct net_ring_req *out_other)
{
	struct packet_sock *ps = packet_sk(sk);
	int ret;

	if (sk->c.family != NET_AF_PACKET)
		return -LINUX_ENOPROTOOPT;
	mutex_lock(&ps->ring_mu);
	*out_other = tx ? ps->rx.req : ps->tx.req;
	ret = q->block_nr && (tx ? ps->tx.base : ps->rx.base) ? -LINUX_EBUSY : check_req(ps, tx, q);
	mutex_unlock(&ps->ring_mu);
	return ret;
}

static void ring_init(struct packet_ring *r, const struct net_ring_req *q, uint8_t *base)
{
	*r = (struct packet_ring){ .req = *q, .base = q->block_nr ? base : NULL, .seq = 1 };
	r->per_block = q->block_nr ? q->block_size / q->frame_size : 0;
}

int sock_ring_set(struct sock *sk, const struct net_ring_req *rx, const struct net_ring_req *tx, struct net_ring_mem *mem)
{
	struct packet_sock *ps = packet_sk(sk);
	struct net_ring_mem *old;
	int ret;

	mutex_lock(&ps->ring_mu);
	/* Version and reserve may have changed while the memory was made. */
	ret = check_req(ps, false, rx);
	if (!ret)
		ret = check_req(ps, true, tx);
	if (ret) {
		mutex_unlock(&ps->ring_mu);
		return ret;
	}
	old = ps->mem;
	ps->mem = mem;
	ring_init(&ps->rx, rx, mem ? mem->base : NULL);
	ring_init(&ps->tx, tx, mem ? mem->base + (size_t)rx->block_size * rx->block_nr : NULL);
	if (ps->version == TPACKET_V3 && ps->rx.base && !ps->rx.req.retire_ms)
		ps->rx.req.retire_ms = RETIRE_DEFAULT_MS;
	atomic_store(&ps->has_rx, ps->rx.base != NULL);
	mutex_unlock(&ps->ring_mu);
	dgram_purge(sk);
	if (old)
		old->put(old);
	return 0;
}

void packet_ring_close(struct packet_sock *ps)
{
	static const struct net_ring_req none;

	sock_ring_set(&ps->sk, &none, &none, NULL);
	if (net_timer_cancel(ps->sk.c.ns->stack, &ps->retire))
		sock_put(&ps->sk);
}

/* ---- receiving ---------------------------------------------------------------------------------------------------------- */

struct place { /* where a packet goes inside its slot */
	uint32_t mac, net, snap;
};

static void put_place(const struct packet_sock *ps, const struct pkt *p, uint32_t room, struct place *at)
{
	uint32_t mac_len = ps->sk.c.type == NET_SOCK_DGRAM ? 0 : LL_CB(p)->net_off;

	if (ps->sk.c.type == NET_SOCK_DGRAM)
		at->mac = at->net = ALIGN_UP(hdr_len(ps), TP_ALIGN) + 16 + ps->reserve;
	else
		at->net = ALIGN_UP(hdr_len(ps) + MAX(mac_len, 16u), TP_ALIGN) + ps->reserve;
	at->mac = at->net - mac_len;
	at->snap = at->mac >= room ? 0 : MIN(p->len, room - at->mac);
}

/* Everything but the status word. */
static void fill(const struct packet_sock *ps, uint8_t *h, const struct pkt *p, const struct place *at, uint32_t status)
{
	const struct ll_cb *cb = LL_CB(p);
	uint32_t sec = (uint32_t)(p->tstamp_ns / NET_SEC), ns = (uint32_t)(p->tstamp_ns % NET_SEC);
	uint8_t *sll = h + ALIGN_UP(hdr_size[ps->version], TP_ALIGN);
	uint16_t family = NET_AF_PACKET;

	if (at->snap)
		pkt_copy_bits(p, 0, h + at->mac, at->snap);
	switch (ps->version) {
	case TPACKET_V1: {
		struct tp1_hdr *t = (struct tp1_hdr *)h;

		t->len = cb->orig_len;
		t->snaplen = at->snap;
		t->mac = (uint16_t)at->mac;
		t->net = (uint16_t)at->net;
		t->sec = sec;
		t->usec = ns / 1000;
		break;
	}
	case TPACKET_V2: {
		struct tp2_hdr *t = (struct tp2_hdr *)h;

		t->len = cb->orig_len;
		t->snaplen = at->snap;
		t->mac = (uint16_t)at->mac;
		t->net = (uint16_t)at->net;
		t->sec = sec;
		t->nsec = ns;
		t->vlan_tci = t->vlan_tpid = 0;
		memset(t->pad, 0, sizeof(t->pad));
		break;
	}
	default: {
		struct tp3_hdr *t = (struct tp3_hdr *)h;

		t->len = cb->orig_len;
		t->snaplen = at->snap;
		t->mac = (uint16_t)at->mac;
		t->net = (uint16_t)at->net;
		t->sec = sec;
		t->nsec = ns;
		t->status = status;
		t->rxhash = p->hash;
		t->vlan_tci = 0;
		t->vlan_tpid = t->vlan_pad = 0;
		memset(t->pad, 0, sizeof(t->pad));
	}
	}
	memset(sll, 0, SLL_LEN);
	memcpy(sll, &family, 2);
	wr16(sll + 2, cb->protocol);
	memcpy(sll + 4, &cb->ifindex, 4);
	memcpy(sll + 8, &cb->hatype, 2);
	sll[10] = cb->pkttype;
	sll[11] = cb->hatype == NET_ARPHRD_NONE ? 0 : 6;
	memcpy(sll + 12, cb->addr, 6);
}

static bool rx_slots_locked(struct packet_sock *ps, struct pkt *p)
{
	struct packet_ring *r = &ps->rx;
	uint8_t *h = slot(r, r->head);
	uint32_t status = packet_status(p) | TP_STATUS_TS_SOFTWARE;
	struct place at;

	if (status_get(ps->version, h) != TP_STATUS_KERNEL)
		return false;
	put_place(ps, p, r->req.frame_size, &at);
	if (atomic_load_explicit(&ps->stat_drops, memory_order_relaxed))
		status |= TP_STATUS_LOSING;
	fill(ps, h, p, &at, status);
	status_set(ps->version, h, status);
	r->head = r->head + 1 == r->req.frame_nr ? 0 : r->head + 1;
	return true;
}

/* Hands the block over. */
static void block_close_locked(struct packet_ring *r, uint32_t status)
{
	struct tp_block *b = block(r, r->head);
	struct tp3_hdr *last = (struct tp3_hdr *)((uint8_t *)b + r->last);

	last->next_offset = 0;
	b->num_pkts = r->nr_pkts;
	b->blk_len = r->fill;
	b->last_sec = (uint32_t)(r->last_ns / NET_SEC);
	b->last_nsec = (uint32_t)(r->last_ns % NET_SEC);
	__atomic_store_n(&b->status, TP_STATUS_USER | status, __ATOMIC_RELEASE);
	r->head = r->head + 1 == r->req.block_nr ? 0 : r->head + 1;
	r->open = false;
}

/* False: the guest still has the next block. */
static bool block_open_locked(struct packet_sock *ps, const struct pkt *p)
{
	struct packet_ring *r = &ps->rx;
	struct tp_block *b = block(r, r->head);

	if (__atomic_load_n(&b->status, __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL) {
		if (!r->frozen)
			atomic_fetch_add(&ps->stat_freezes, 1);
		r->frozen = true;
		return false;
	}
	r->frozen = false;
	r->open = true;
	r->nr_pkts = 0;
	r->fill = block_head(r);
	r->opened_ns = net_now(ps->sk.c.ns->stack);
	b->version = TPACKET_V3;
	b->offset_to_priv = sizeof(*b);
	b->first_pkt = r->fill;
	b->num_pkts = 0;
	b->blk_len = r->fill;
	b->seq = r->seq++;
	b->first_sec = (uint32_t)(p->tstamp_ns / NET_SEC);
	b->first_nsec = (uint32_t)(p->tstamp_ns % NET_SEC);
	return true;
}

/* *out_wake: a block is the guest's now. *out_arm: it got its first packet. */
static bool rx_block_locked(struct packet_sock *ps, struct pkt *p, bool *out_wake, bool *out_arm)
{
	struct packet_ring *r = &ps->rx;
	uint32_t need, room = r->req.block_size - block_head(r);
	struct place at;
	uint8_t *h;

	put_place(ps, p, room, &at);
	need = ALIGN_UP(at.mac + at.snap, BLK_ALIGN);
	if (need > room) {
		at.snap -= MIN(at.snap, need - room);
		need = ALIGN_UP(at.mac + at.snap, BLK_ALIGN);
	}
	if (r->open && need > r->req.block_size - r->fill) {
		block_close_locked(r, 0);
		*out_wake = true;
	}
	if (!r->open) {
		if (!block_open_locked(ps, p))
			return false;
		*out_arm = true;
	}
	h = (uint8_t *)block(r, r->head) + r->fill;
	fill(ps, h, p, &at, packet_status(p) | TP_STATUS_TS_SOFTWARE);
	((struct tp3_hdr *)h)->next_offset = need;
	r->last = r->fill;
	r->fill += need;
	r->last_ns = p->tstamp_ns;
	r->nr_pkts++;
	return true;
}

void packet_ring_rx(struct packet_sock *ps, struct pkt *p)
{
	struct net_stack *st = ps->sk.c.ns->stack;
	bool wake = false, arm = false, ok = false;
	uint64_t at = 0;

	mutex_lock(&ps->ring_mu);
	if (ps->rx.base && ps->version == TPACKET_V3)
		ok = rx_block_locked(ps, p, &wake, &arm);
	else if (ps->rx.base)
		ok = wake = rx_slots_locked(ps, p);
	if (arm)
		at = ps->rx.opened_ns + ps->rx.req.retire_ms * NET_MSEC;
	mutex_unlock(&ps->ring_mu);
	pkt_free(p);
	atomic_fetch_add(&ps->stat_packets, 1);
	if (!ok)
		atomic_fetch_add(&ps->stat_drops, 1);
	if (arm) { /* one that is armed already looks at the block's own time when it fires */
		sock_get(&ps->sk);
		if (ps->retire.slot || !net_timer_arm(st, &ps->retire, at))
			sock_put(&ps->sk);
	}
	if (wake)
		sock_event(&ps->sk, NET_POLLIN);
}

/* A block with packets waited long enough. */
void packet_ring_timer(struct net_timer *t)
{
	struct packet_sock *ps = container_of(t, struct packet_sock, retire);
	struct net_stack *st = ps->sk.c.ns->stack;
	uint64_t due = 0, now = net_now(st);
	bool wake = false;

	mutex_lock(&ps->ring_mu);
	if (ps->rx.base && ps->rx.open) {
		due = ps->rx.opened_ns + ps->rx.req.retire_ms * NET_MSEC;
		if (now >= due) {
			block_close_locked(&ps->rx, TP_STATUS_BLK_TMO);
			wake = true;
			due = 0;
		}
	}
	mutex_unlock(&ps->ring_mu);
	if (wake)
		sock_event(&ps->sk, NET_POLLIN);
	if (due && net_timer_arm(st, t, due))
		return; /* keeps the timer's reference */
	sock_put(&ps->sk);
}

uint32_t packet_ring_poll(struct packet_sock *ps)
{
	uint32_t m = 0, prev;
	struct packet_ring *r = &ps->rx;

	mutex_lock(&ps->ring_mu);
	if (r->base && ps->version == TPACKET_V3) {
		prev = r->head ? r->head - 1 : r->req.block_nr - 1;
		if (__atomic_load_n(&block(r, prev)->status, __ATOMIC_ACQUIRE) != TP_STATUS_KERNEL)
			m = NET_POLLIN | NET_POLLRDNORM;
	} else if (r->base) {
		prev = r->head ? r->head - 1 : r->req.frame_nr - 1;
		if (status_get(ps->version, slot(r, prev)) != TP_STATUS_KERNEL)
			m = NET_POLLIN | NET_POLLRDNORM;
	}
	mutex_unlock(&ps->ring_mu);
	return m;
}

/* ---- sending -------------------------------------------------------------------------------------------------------------- */

/* The next frame that asks to be sent, copied out. 1, 0: none, or -LINUX_E* with the frame marked. */
static int tx_take(struct packet_sock *ps, uint8_t **out_data, uint32_t *out_len)
{
	struct packet_ring *r = &ps->tx;
	uint32_t len, off, size;
	uint8_t *h;
	int ret = 0;

	mutex_lock(&ps->ring_mu);
	if (!r->base)
		goto out;
	h = slot(r, r->head);
	if (status_get(ps->version, h) != TP_STATUS_SEND_REQUEST)
		goto out;
	size = r->req.frame_size;
	off = ALIGN_UP(hdr_size[ps->version], TP_ALIGN);
	len = ps->version == TPACKET_V1 ? __atomic_load_n(&((struct tp1_hdr *)h)->len, __ATOMIC_RELAXED) :
	      ps->version == TPACKET_V2 ? __atomic_load_n(&((struct tp2_hdr *)h)->len, __ATOMIC_RELAXED) :
					  __atomic_load_n(&((struct tp3_hdr *)h)->len, __ATOMIC_RELAXED);
	if (ps->tx_has_off) {
		bool cooked = ps->sk.c.type == NET_SOCK_DGRAM;
		uint16_t o = ps->version == TPACKET_V1 ? (cooked ? ((struct tp1_hdr *)h)->net : ((struct tp1_hdr *)h)->mac) :
			     ps->version == TPACKET_V2 ? (cooked ? ((struct tp2_hdr *)h)->net : ((struct tp2_hdr *)h)->mac) :
							 (cooked ? ((struct tp3_hdr *)h)->net : ((struct tp3_hdr *)h)->mac);

		ret = o < off || o >= size ? -LINUX_EINVAL : 0;
		off = o;
	}
	if (!ret && (!len || len > size - off))
		ret = -LINUX_EINVAL;
	if (ps->version == TPACKET_V3 && ((struct tp3_hdr *)h)->next_offset)
		ret = -LINUX_EINVAL;
	*out_data = ret ? NULL : malloc(len);
	if (!ret && !*out_data)
		ret = -LINUX_ENOBUFS;
	if (!ret) {
		memcpy(*out_data, h + off, len);
		*out_len = len;
		ret = 1;
	}
	/* Only a frame that is not as it must be stays marked; with PACKET_LOSS it is passed over. */
	status_set(ps->version, h, ret == -LINUX_EINVAL && !ps->loss ? TP_STATUS_WRONG_FORMAT : TP_STATUS_KERNEL);
	if (ret > 0 || ps->loss)
		r->head = r->head + 1 == r->req.frame_nr ? 0 : r->head + 1;
out:
	mutex_unlock(&ps->ring_mu);
	return ret;
}

long packet_ring_tx(struct packet_sock *ps, const struct net_msg *m)
{
	uint32_t len = 0, budget;
	uint8_t *data = NULL;
	long sent = 0, ret;

	mutex_lock(&ps->ring_mu);
	budget = ps->tx.req.frame_nr; /* one turn: a guest that refills as fast as it is read must come again */
	mutex_unlock(&ps->ring_mu);
	while (budget--) {
		struct net_iter_mem it;

		ret = tx_take(ps, &data, &len);
		if (!ret)
			break;
		if (ret < 0) {
			if (ps->loss)
				continue;
			return ret;
		}
		net_iter_read_mem(&it, data, len);
		ret = packet_send_one(ps, &it.it, m);
		free(data);
		if (ret < 0 && !ps->loss)
			return sent ? sent : ret;
		sent += len;
	}
	sock_event(&ps->sk, NET_POLLOUT);
	return sent;
}
