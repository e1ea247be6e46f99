/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_simple.c - dummy and veth pairs
 *
 * Model:   a veth end's output is the other end's input, queued on the sending thread; offload packets cross whole.
 * Locks:   veth: pair_mu guards the peer pointers against deletion; packets read them inside a bh section.
 */
#include "sentry/net/link/link_internal.h"
#include "sentry/net/nf.h"

/* ---- dummy ------------------------------------------------------------------------------------------------- */

static void dummy_xmit(struct net_link *link, struct pkt_list *l)
{
	(void)link;
	pkt_list_free(l);
}

static const struct net_link_ops dummy_ops = { .kind = "dummy", .xmit = dummy_xmit };

int net_link_new_dummy(struct net_ns *ns, const struct net_link_param *p, struct net_link **out)
{
	struct net_link *l = net_link_alloc(ns, &dummy_ops, 0);
	int ret;

	if (!l)
		return -LINUX_ENOMEM;
	net_link_setup_ether(l, p ? p->mac : NULL);
	atomic_fetch_or(&l->flags, NET_IFF_NOARP);
	l->features = NET_LINK_CSUM | NET_LINK_TSO4 | NET_LINK_TSO6;
	l->gso_max = 65535;
	ret = net_link_register(l, p, "dummy%d");
	if (ret) {
		net_link_put(l);
		return ret;
	}
	*out = l;
	return 0;
}

/* ---- veth --------------------------------------------------------------------------------------------------- */

struct veth {
	struct net_link *_Atomic peer;	/* borrowed: the pair is deleted together */
};
static struct mutex pair_mu = MUTEX_INIT;

static struct veth *veth(struct net_link *l)
{
	return l->priv;
}

static void veth_xmit(struct net_link *link, struct pkt_list *l)
{
	struct net_link *peer = atomic_load_explicit(&veth(link)->peer, memory_order_acquire);

	if (!peer || !net_link_up(peer)) {
		atomic_fetch_add_explicit(&link->stats.tx_dropped, l->nr, memory_order_relaxed);
		pkt_list_free(l);
		return;
	}
	for (struct pkt *p = l->head; p; p = p->next) {
		if (p->dst) {
			dst_put(p->dst);
			p->dst = NULL;
		}
		if (p->ct) {
			nf_ct_put(p->ct);
			p->ct = NULL;
		}
		if (peer->ns != link->ns)
			p->mark = 0;
		p->flags &= (uint8_t) ~(PKT_F_FORWARD | PKT_F_BRIDGED | PKT_F_UNTRACK);
		p->tstamp_ns = 0;
	}
	bh_queue_rx(peer, l);
}

static void veth_carrier(struct net_link *link, bool on)
{
	struct net_link *peer = veth(link)->peer;

	if (!peer)
		return;
	net_link_carrier(peer, on);
	net_link_carrier(link, net_link_up(peer));
}

static int veth_open(struct net_link *link)
{
	veth_carrier(link, true);
	return 0;
}

static void veth_stop(struct net_link *link)
{
	veth_carrier(link, false);
}

static int veth_del(struct net_link *link)
{
	struct net_link *peer;

	mutex_lock(&pair_mu);
	peer = veth(link)->peer;
	if (peer) {
		net_link_get(peer);
		atomic_store(&veth(peer)->peer, NULL);
		atomic_store(&veth(link)->peer, NULL);
	}
	mutex_unlock(&pair_mu);
	net_link_remove(link);
	if (peer) {
		net_link_remove(peer);
		net_link_put(peer);
	}
	return 0;
}

static const struct net_link_ops veth_ops = {
	.kind = "veth", .xmit = veth_xmit, .open = veth_open, .stop = veth_stop, .del = veth_del,
};

static struct net_link *veth_alloc(struct net_ns *ns, const struct net_link_param *p)
{
	struct net_link *l = net_link_alloc(ns, &veth_ops, sizeof(struct veth));

	if (!l)
		return NULL;
	net_link_setup_ether(l, p ? p->mac : NULL);
	l->features = NET_LINK_CSUM | NET_LINK_TSO4 | NET_LINK_TSO6;
	l->gso_max = 65535;
	l->no_carrier = true;
	return l;
}

int net_link_new_veth(struct net_ns *ns, const struct net_link_param *p, struct net_ns *peer_ns,
		      const struct net_link_param *pp, struct net_link **out, struct net_link **out_peer)
{
	struct net_link *a = veth_alloc(ns, p), *b = veth_alloc(peer_ns, pp);
	int ret = -LINUX_ENOMEM;

	if (!a || !b)
		goto fail;
	atomic_store(&veth(a)->peer, b);
	atomic_store(&veth(b)->peer, a);
	a->peer_ns = peer_ns;
	b->peer_ns = ns;
	ret = net_link_register(b, pp, "veth%d");
	if (ret)
		goto fail;
	ret = net_link_register(a, p, "veth%d");
	if (ret) {
		atomic_store(&veth(b)->peer, NULL);
		net_link_remove(b);
		b = NULL;
		goto fail;
	}
	a->peer_index = b->index;
	b->peer_index = a->index;
	*out = a;
	if (out_peer)
		*out_peer = b;
	return 0;
fail:
	net_link_put(a);
	net_link_put(b);
	return ret;
}
