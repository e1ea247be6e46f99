/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_nic.c - NICs, whose driver is outside
 *
 * Model:   what leaves collects in the link's one queue, in the order in which endpoints made it, and goes to the driver when
 *          a section ends: one host call for a burst, and none while an endpoint is owned. One thread at a time is
 *          the sender and goes on until the queue is empty; others leave their packets to it. Each sending its own
 *          would swap segments of one connection that two threads work for, which the peer answers as a loss.
 * Locks:   nic.mu, a leaf; not held during the driver's host call.
 */
#include "sentry/net/link/link_internal.h"

#define NIC_BURST	32		/* waiting packets that do not wait for the section's end */
#define NIC_QUEUE_PKTS	4096		/* beyond either, packets are dropped as in a full transmit queue */
#define NIC_QUEUE_BYTES (32u << 20)

struct nic {
	struct net_nic_driver drv;	/* immutable but while it is not registered */
	struct mutex mu;
	struct pkt_list q;		/* guarded by mu */
	bool sending;			/* guarded by mu */
};

static struct nic *nic(struct net_link *l)
{
	return l->priv;
}

static void nic_flush(struct net_link *link)
{
	struct nic *n = nic(link);

	mutex_lock(&n->mu);
	while (!n->sending && n->q.head) {
		struct pkt_list l = n->q;

		pkt_list_init(&n->q);
		n->sending = true;
		mutex_unlock(&n->mu);
		n->drv.xmit(n->drv.ctx, &l);
		mutex_lock(&n->mu);
		n->sending = false;
	}
	mutex_unlock(&n->mu);
}

static void nic_xmit(struct net_link *link, struct pkt_list *l)
{
	struct nic *n = nic(link);
	bool full, burst;

	mutex_lock(&n->mu);
	full = n->q.nr >= NIC_QUEUE_PKTS || n->q.bytes >= NIC_QUEUE_BYTES;
	if (!full)
		pkt_list_join(&n->q, l);
	burst = n->q.nr >= NIC_BURST && !n->sending;
	mutex_unlock(&n->mu);
	if (unlikely(full)) {
		atomic_fetch_add_explicit(&link->stats.tx_dropped, l->nr, memory_order_relaxed);
		pkt_list_free(l);
	}
	if (burst || !bh_flush_later(link))
		nic_flush(link);
}

static void nic_destroy(struct net_link *link)
{
	struct nic *n = nic(link);

	pkt_list_free(&n->q);
	if (n->drv.destroy)
		n->drv.destroy(n->drv.ctx);
}

static const struct net_link_ops nic_ops = {
	.kind = "nic", .xmit = nic_xmit, .flush = nic_flush, .destroy = nic_destroy,
};

int net_link_new_nic(struct net_ns *ns, const struct net_link_param *p, const struct net_nic_driver *drv,
		     struct net_link **out)
{
	struct net_link *l = net_link_alloc(ns, &nic_ops, sizeof(struct nic));
	int ret;

	if (!l)
		return -LINUX_ENOMEM;
	nic(l)->drv = *drv;
	mutex_init(&nic(l)->mu);
	net_link_setup_ether(l, p ? p->mac : NULL);
	l->features = drv->features;
	l->gso_max = drv->gso_max;
	ret = net_link_register(l, p, "eth%d");
	if (ret) {
		nic(l)->drv.destroy = NULL; /* the caller keeps ctx */
		net_link_put(l);
		return ret;
	}
	*out = l;
	return 0;
}
