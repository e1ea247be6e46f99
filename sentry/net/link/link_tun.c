/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_tun.c - tun and tap: a link whose other end is a guest's file
 *
 * Model:   what the stack sends waits in a bounded queue until the file is read; what is written arrives as if from
 *          a wire. The file and the link share one object; whichever goes first leaves the other dead but valid.
 * Locks:   tun->mu (leaf): queue, event callback.
 * Source:  Linux's Documentation/networking/tuntap; virtio 1.1 section 5.1.6 (network header).
 */
#include "sentry/net/link/link_internal.h"
#include "sentry/net/wire.h"

#define TUN_PI_LEN   4
#define TUN_VNET_LEN 10

struct net_tun {
	struct refcount ref;	/* file, link */
	struct mutex mu;
	struct net_link *link;	/* reference of the file side; NULL once the link is gone */
	unsigned flags;		/* NET_TUN_* */
	struct pkt_list q;
	bool closed;
	void (*event)(void *ctx, uint32_t events);
	void *event_ctx;
};

struct tun_priv {
	struct net_tun *t;
};

static void tun_put(struct net_tun *t)
{
	if (!ref_put(&t->ref))
		return;
	pkt_list_free(&t->q);
	free(t);
}

static void tun_event(struct net_tun *t, uint32_t ev)
{
	mutex_lock(&t->mu);
	if (t->event)
		t->event(t->event_ctx, ev);
	mutex_unlock(&t->mu);
}

static void tun_xmit(struct net_link *link, struct pkt_list *l)
{
	struct net_tun *t = ((struct tun_priv *)link->priv)->t;
	struct pkt_list over = { 0 };
	struct pkt *p;

	mutex_lock(&t->mu);
	while ((p = pkt_list_pop(l))) {
		if (t->closed || t->q.nr >= link->txqlen) {
			pkt_list_add(&over, p);
			continue;
		}
		if (p->dst) {
			dst_put(p->dst);
			p->dst = NULL;
		}
		p->link = NULL;
		pkt_list_add(&t->q, p);
	}
	mutex_unlock(&t->mu);
	atomic_fetch_add_explicit(&link->stats.tx_dropped, over.nr, memory_order_relaxed);
	pkt_list_free(&over);
	tun_event(t, NET_TUN_EV_IN);
}

static void tun_destroy(struct net_link *link)
{
	tun_put(((struct tun_priv *)link->priv)->t);
}

static int tun_del(struct net_link *link)
{
	struct net_tun *t = ((struct tun_priv *)link->priv)->t;
	bool last;

	net_link_remove(link);
	mutex_lock(&t->mu);
	last = t->link != NULL;
	t->link = NULL;
	mutex_unlock(&t->mu);
	if (last)
		net_link_put(link);
	tun_event(t, NET_TUN_EV_IN | NET_TUN_EV_HUP);
	return 0;
}

static const struct net_link_ops tun_ops = { .kind = "tun", .xmit = tun_xmit, .del = tun_del, .destroy = tun_destroy };

int net_link_new_tun(struct net_ns *ns, const struct net_link_param *p, unsigned flags, struct net_link **out,
		     struct net_tun **out_tun)
{
	struct net_link *l = net_link_alloc(ns, &tun_ops, sizeof(struct tun_priv));
	struct net_tun *t = calloc(1, sizeof(*t));
	int ret;

	if (!l || !t) {
		free(t);
		if (l)
			free(l); /* not registered, nothing to destroy */
		return -LINUX_ENOMEM;
	}
	ref_init(&t->ref, 2);
	t->flags = flags;
	((struct tun_priv *)l->priv)->t = t;
	if (flags & NET_TUN_TAP) {
		net_link_setup_ether(l, p ? p->mac : NULL);
	} else {
		l->hwtype = NET_ARPHRD_NONE;
		atomic_store(&l->flags, NET_IFF_POINTOPOINT | NET_IFF_NOARP | NET_IFF_MULTICAST);
	}
	l->txqlen = 500;
	ret = net_link_register(l, p, flags & NET_TUN_TAP ? "tap%d" : "tun%d");
	if (ret) {
		tun_put(t);
		net_link_put(l);
		return ret;
	}
	net_link_get(l);
	t->link = l;
	*out = l;
	*out_tun = t;
	return 0;
}

/* The link, referenced, if it still exists. */
static struct net_link *tun_link(struct net_tun *t)
{
	struct net_link *l;

	mutex_lock(&t->mu);
	l = t->link;
	if (l)
		net_link_get(l);
	mutex_unlock(&t->mu);
	return l;
}

static int apply_vnet(const uint8_t *h, struct pkt *p)
{
	uint16_t start, off, gso;

	memcpy(&gso, h + 4, 2);
	memcpy(&start, h + 6, 2);
	memcpy(&off, h + 8, 2);
	if (h[0] & 1) {
		if ((uint32_t)start + off + 2 > p->len || !pkt_may_pull(p, (uint32_t)start + off + 2))
			return -LINUX_EINVAL;
		p->csum = PKT_CSUM_PARTIAL;
		p->csum_start = (uint16_t)(p->data - p->head + start);
		p->csum_off = off;
	}
	switch (h[1] & 0x7f) {
	case 0:
		return 0;
	case 1:
		p->gso = PKT_GSO_TCP4;
		break;
	case 4:
		p->gso = PKT_GSO_TCP6;
		break;
	default:
		return -LINUX_EINVAL;
	}
	if (!gso)
		return -LINUX_EINVAL;
	p->gso_size = gso;
	p->gso_segs = (uint16_t)MAX(1u, MIN(p->len / gso + 1, 65535u));
	return 0;
}

long net_tun_write(struct net_tun *t, struct net_iter *it)
{
	uint8_t pi[TUN_PI_LEN], vnet[TUN_VNET_LEN] = { 0 };
	size_t n = it->left, min = t->flags & NET_TUN_TAP ? ETH_HLEN : 1;
	struct pkt_list l = { 0 };
	struct net_link *link;
	struct pkt *p = NULL;
	long ret = -LINUX_EINVAL;

	link = tun_link(t);
	if (!link)
		return -LINUX_EBADFD;
	ret = -LINUX_EIO;
	if (!net_link_up(link))
		goto out;
	ret = -LINUX_EINVAL;
	if ((t->flags & NET_TUN_PI) && net_iter_copy(it, pi, TUN_PI_LEN) != TUN_PI_LEN)
		goto out;
	if ((t->flags & NET_TUN_VNET) && net_iter_copy(it, vnet, TUN_VNET_LEN) != TUN_VNET_LEN)
		goto out;
	if (it->left < min || it->left > 65535 + ETH_HLEN)
		goto out;
	p = pkt_alloc(PKT_HEADROOM, it->left <= 2048 ? it->left : 0);
	ret = p ? pkt_append_iter(p, it, it->left) : -LINUX_ENOMEM;
	if (!ret && (t->flags & NET_TUN_VNET))
		ret = apply_vnet(vnet, p);
	if (!ret && !(t->flags & NET_TUN_TAP)) {
		uint8_t v;

		pkt_copy_bits(p, 0, &v, 1);
		p->proto = v >> 4 == 4 ? ETH_P_IP : v >> 4 == 6 ? ETH_P_IPV6 : 0;
		p->type = PKT_HOST;
		if (!p->proto)
			ret = -LINUX_EINVAL;
	}
	if (ret)
		goto out;
	pkt_list_add(&l, p);
	net_link_rx(link, &l);
	net_link_put(link);
	return (long)n;
out:
	pkt_free(p);
	net_link_put(link);
	return ret;
}

long net_tun_read(struct net_tun *t, struct net_iter *it)
{
	uint8_t head[TUN_PI_LEN + TUN_VNET_LEN] = { 0 };
	size_t h = 0, before = it->left;
	struct pkt *p;
	bool gone;
	long r;

	mutex_lock(&t->mu);
	p = pkt_list_pop(&t->q);
	gone = !t->link;
	mutex_unlock(&t->mu);
	if (!p)
		return gone ? -LINUX_EBADFD : -LINUX_EAGAIN;
	if (t->flags & NET_TUN_PI) {
		wr16(head + 2, p->proto);
		h += TUN_PI_LEN;
	}
	if (t->flags & NET_TUN_VNET)
		h += TUN_VNET_LEN; /* checksums and segmentation were done: all zero */
	r = h ? net_iter_copy(it, head, h) : 0;
	if (r >= 0 && (size_t)r == h)
		r = pkt_copy_to_iter(p, 0, it, it->left);
	pkt_free(p);
	return r < 0 ? r : (long)(before - it->left);
}

uint32_t net_tun_poll(struct net_tun *t)
{
	uint32_t m = NET_TUN_EV_OUT;

	mutex_lock(&t->mu);
	if (t->q.head)
		m |= NET_TUN_EV_IN;
	if (!t->link)
		m = NET_TUN_EV_HUP;
	mutex_unlock(&t->mu);
	return m;
}

void net_tun_set_event(struct net_tun *t, void (*fn)(void *ctx, uint32_t events), void *ctx)
{
	mutex_lock(&t->mu);
	t->event = fn;
	t->event_ctx = ctx;
	mutex_unlock(&t->mu);
}

int net_tun_attach(struct net_link *link, unsigned flags, struct net_tun **out_tun)
{
	struct net_tun *t;
	int ret = 0;

	if (link->ops != &tun_ops)
		return -LINUX_EINVAL;
	t = ((struct tun_priv *)link->priv)->t;
	mutex_lock(&t->mu);
	if (!t->closed)
		ret = -LINUX_EBUSY;
	else if ((t->flags ^ flags) & NET_TUN_TAP)
		ret = -LINUX_EINVAL;
	if (!ret) {
		t->closed = false;
		t->flags = flags;
		t->link = link;
		net_link_get(link);
		ref_get(&t->ref);
	}
	mutex_unlock(&t->mu);
	*out_tun = t;
	return ret;
}

void net_tun_close(struct net_tun *t, bool persist)
{
	struct net_link *l;
	struct pkt_list q;

	net_tun_set_event(t, NULL, NULL);
	mutex_lock(&t->mu);
	l = t->link;
	t->link = NULL;
	t->closed = true;
	q = t->q;
	pkt_list_init(&t->q);
	mutex_unlock(&t->mu);
	pkt_list_free(&q);
	if (l) {
		if (!persist)
			net_link_remove(l);
		net_link_put(l);
	}
	tun_put(t);
}
