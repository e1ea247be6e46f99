/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_bridge.c - a software bridge: ports, learning, flooding
 *
 * Model:   a port's rx_handler takes every frame; the forwarding table is a small hash of MAC to port with ageing.
 *          No spanning tree: a loop that a guest builds is cut by the packet budget of a bh section.
 * Locks:   br->mu (leaf) guards ports and table; packets are sent without it. Ports in use by a section are kept
 *          by reference.
 * Source:  IEEE 802.1D section 7 (learning, filtering, ageing 300 s).
 */
#include "sentry/net/link/link_internal.h"
#include "sentry/net/wire.h"

#define BR_MAX_PORTS 64
#define FDB_BUCKETS  256
#define FDB_MAX	     4096
#define FDB_AGE_NS   (300 * NET_SEC)

struct fdb_entry {
	struct list node;
	uint8_t mac[6];
	struct net_link *port;	/* borrowed: entries go with their port */
	uint64_t seen_ns;
};

struct bridge {
	struct mutex mu;
	struct net_link *ports[BR_MAX_PORTS]; /* referenced */
	unsigned nr_ports;
	struct list fdb[FDB_BUCKETS];
	unsigned nr_fdb;
};

static struct bridge *br(struct net_link *l)
{
	return l->priv;
}

static struct list *fdb_chain(struct net_link *b, const uint8_t *mac)
{
	return &br(b)->fdb[net_hash_bytes(mac, 6, b->stack->hash_seed) % FDB_BUCKETS];
}

static void fdb_learn_locked(struct net_link *b, const uint8_t *mac, struct net_link *port)
{
	struct list *ch = fdb_chain(b, mac);
	struct fdb_entry *e, *tmp;
	uint64_t now = net_now(b->stack);

	if (mac[0] & 1)
		return;
	list_for_each_entry_safe(e, tmp, ch, node) {
		if (!memcmp(e->mac, mac, 6)) {
			e->port = port;
			e->seen_ns = now;
			return;
		}
		if (now - e->seen_ns > FDB_AGE_NS) {
			list_del_init(&e->node);
			free(e);
			br(b)->nr_fdb--;
		}
	}
	if (br(b)->nr_fdb >= FDB_MAX)
		return;
	e = malloc(sizeof(*e));
	if (!e)
		return;
	memcpy(e->mac, mac, 6);
	e->port = port;
	e->seen_ns = now;
	list_add(ch, &e->node);
	br(b)->nr_fdb++;
}

static struct net_link *fdb_find_locked(struct net_link *b, const uint8_t *mac)
{
	struct fdb_entry *e;

	list_for_each_entry(e, fdb_chain(b, mac), node)
		if (!memcmp(e->mac, mac, 6) && net_now(b->stack) - e->seen_ns <= FDB_AGE_NS)
			return e->port;
	return NULL;
}

/* Sends @p (at its link header) to the right port or to all but @from. Takes over @p. */
static void br_forward(struct net_link *b, struct pkt *p, struct net_link *from)
{
	struct net_link *to[BR_MAX_PORTS], *one;
	unsigned n = 0;

	mutex_lock(&br(b)->mu);
	one = (p->data[0] & 1) ? NULL : fdb_find_locked(b, p->data);
	if (one) {
		if (one != from) {
			net_link_get(one);
			to[n++] = one;
		}
	} else {
		for (unsigned i = 0; i < br(b)->nr_ports; i++)
			if (br(b)->ports[i] != from) {
				to[n] = br(b)->ports[i];
				net_link_get(to[n++]);
			}
	}
	mutex_unlock(&br(b)->mu);
	for (unsigned i = 0; i < n; i++) {
		struct pkt *c = i + 1 < n ? pkt_clone(p) : p;

		if (c && c->len > to[i]->mtu + ETH_HLEN && !c->gso_size)
			net_drop(b->ns, c, DROP_TOO_BIG);
		else if (c)
			net_link_output_one(to[i], c);
		net_link_put(to[i]);
	}
	if (!n)
		pkt_free(p);
}

/* The bridge's own output: headers are complete. */
static void br_xmit(struct net_link *b, struct pkt_list *l)
{
	struct pkt *p;

	while ((p = pkt_list_pop(l)))
		br_forward(b, p, NULL);
}

/* A frame on a port; data is at the network header. */
static bool br_rx(struct net_link *port, struct pkt *p)
{
	struct net_link *b = port->rx_handler_data;
	struct pkt_list up = { 0 };
	bool mine, multi;
	struct pkt *c;

	p->data -= ETH_HLEN;
	p->len += ETH_HLEN;
	if (!net_link_up(b)) {
		net_drop(port->ns, p, DROP_LINK_DOWN);
		return true;
	}
	mutex_lock(&br(b)->mu);
	fdb_learn_locked(b, p->data + 6, port);
	mutex_unlock(&br(b)->mu);
	mine = !memcmp(p->data, b->mac, 6);
	multi = p->data[0] & 1;
	if (mine || multi || (b->flags & NET_IFF_PROMISC)) {
		c = mine ? p : pkt_clone(p);
		if (c) {
			pkt_list_add(&up, c);
			bh_queue_rx(b, &up);
		}
		if (mine)
			return true;
	}
	p->flags |= PKT_F_BRIDGED;
	br_forward(b, p, port);
	return true;
}

static void fdb_forget_locked(struct net_link *b, const struct net_link *port)
{
	for (unsigned i = 0; i < FDB_BUCKETS; i++) {
		struct fdb_entry *e, *tmp;

		list_for_each_entry_safe(e, tmp, &br(b)->fdb[i], node)
			if (!port || e->port == port) {
				list_del_init(&e->node);
				free(e);
				br(b)->nr_fdb--;
			}
	}
}

static void port_remove(struct net_link *port)
{
	struct net_link *b = port->master;

	port->rx_handler = NULL; /* frames in flight still find rx_handler_data: both links live for a grace period */
	port->master = NULL;
	mutex_lock(&br(b)->mu);
	fdb_forget_locked(b, port);
	for (unsigned i = 0; i < br(b)->nr_ports; i++)
		if (br(b)->ports[i] == port)
			br(b)->ports[i] = br(b)->ports[--br(b)->nr_ports];
	mutex_unlock(&br(b)->mu);
	net_link_promisc(port, -1);
	net_link_put(port);
}

int net_link_set_master(struct net_link *link, struct net_link *b)
{
	if (b && (strcmp(b->ops->kind, "bridge") || b == link || link->ns != b->ns))
		return -LINUX_EINVAL;
	if (b && (link->hwlen != 6 || (link->flags & NET_IFF_LOOPBACK) || !strcmp(link->ops->kind, "bridge")))
		return -LINUX_EINVAL;
	if (link->master)
		port_remove(link);
	if (!b)
		goto out;
	mutex_lock(&br(b)->mu);
	if (br(b)->nr_ports == BR_MAX_PORTS) {
		mutex_unlock(&br(b)->mu);
		return -LINUX_EXFULL;
	}
	net_link_get(link);
	br(b)->ports[br(b)->nr_ports++] = link;
	mutex_unlock(&br(b)->mu);
	link->master = b;
	link->rx_handler_data = b;
	atomic_thread_fence(memory_order_release);
	link->rx_handler = br_rx;
	net_link_promisc(link, 1);
out:
	net_notify(link->ns, NET_EV_LINK_NEW, link);
	return 0;
}

static int br_del(struct net_link *b)
{
	while (br(b)->nr_ports)
		net_link_set_master(br(b)->ports[0], NULL);
	net_link_remove(b);
	return 0;
}

static void br_destroy(struct net_link *b)
{
	fdb_forget_locked(b, NULL);
}

static const struct net_link_ops br_ops = { .kind = "bridge", .xmit = br_xmit, .del = br_del, .destroy = br_destroy };

int net_link_new_bridge(struct net_ns *ns, const struct net_link_param *p, struct net_link **out)
{
	struct net_link *l = net_link_alloc(ns, &br_ops, sizeof(struct bridge));
	int ret;

	if (!l)
		return -LINUX_ENOMEM;
	for (unsigned i = 0; i < FDB_BUCKETS; i++)
		list_init(&br(l)->fdb[i]);
	net_link_setup_ether(l, p ? p->mac : NULL);
	l->features = NET_LINK_CSUM | NET_LINK_TSO4 | NET_LINK_TSO6;
	l->gso_max = 65535;
	ret = net_link_register(l, p, "br%d");
	if (ret) {
		net_link_put(l);
		return ret;
	}
	*out = l;
	return 0;
}
