/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/packet.c - packet endpoints: frames as they pass a link
 *
 * Model:   each namespace has a list of packet endpoints; a link counts those that listen on it, so that a link
 *          nobody watches costs one load per packet. Copies share the payload.
 * Locks:   ns->packet_mu for the list.
 * Source:  packet(7).
 */
#include "sentry/abi/inet.h"
#include "sentry/net/core/csum.h"
#include "sentry/net/dgram/packet.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/sock/opt.h"

static int tap_adjust(struct net_link *l, void *arg)
{
	struct packet_sock *ps = arg;

	if (!ps->ifindex || ps->ifindex == l->index) {
		if (ps->listening)
			atomic_fetch_add(&l->nr_taps, 1);
		else
			atomic_fetch_sub(&l->nr_taps, 1);
	}
	return 0;
}

uint32_t packet_status(const struct pkt *p)
{
	const struct ll_cb *cb = LL_CB(p);

	return TP_STATUS_USER | (cb->gso_tcp ? TP_STATUS_GSO_TCP : 0) |
	       (cb->csum == PKT_CSUM_PARTIAL				     ? TP_STATUS_CSUMNOTREADY :
		cb->csum == PKT_CSUM_OK && cb->pkttype != PKT_OUTGOING ? TP_STATUS_CSUM_VALID :
									     0);
}

static void hook(struct packet_sock *ps, bool on)
{
	struct net_ns *ns = ps->sk.c.ns;

	on = on && ps->proto;
	if (on == ps->listening)
		return;
	ps->listening = on;
	net_link_each(ns, tap_adjust, ps);
	mutex_lock(&ns->packet_mu);
	if (on)
		list_add_tail(&ns->packets, &ps->node);
	else
		list_del_init(&ps->node);
	mutex_unlock(&ns->packet_mu);
}

int packet_create(struct net_ns *ns, int type, int proto, struct sock **out)
{
	struct sock *sk = sock_alloc(ns, &packet_sock_ops, NET_AF_PACKET, type, 0);
	struct packet_sock *ps;

	if (!sk)
		return -LINUX_ENOBUFS;
	ps = packet_sk(sk);
	list_init(&ps->node);
	net_timer_init(&ps->retire, packet_ring_timer);
	ps->proto = (uint16_t)proto;
	hook(ps, true);
	*out = sk;
	return 0;
}

/* A frame for one endpoint. The packet is at its link header (raw) or network header, as the endpoint wants it. */
static void deliver(struct packet_sock *ps, struct net_link *link, struct pkt *p, bool outgoing)
{
	struct sock *sk = &ps->sk;
	bool cooked = sk->c.type == NET_SOCK_DGRAM, ether = link->hwlen == 6;
	uint32_t back = 0;
	struct pkt *c;

	/* input taps run at the network header, output taps at the link header */
	if (ether && !outgoing && !cooked)
		back = ETH_HLEN;
	c = pkt_clone(p);
	if (!c)
		return;
	c->data -= back;
	c->len += back;
	if (ether && outgoing && cooked)
		pkt_pull(c, ETH_HLEN);
	if (!ether && !cooked && (link->flags & NET_IFF_LOOPBACK)) { /* lo shows an empty Ethernet header */
		uint8_t *h = pkt_push(c, ETH_HLEN);

		if (!h) {
			pkt_free(c);
			return;
		}
		memset(h, 0, ETH_HLEN);
		wr16(h + 12, p->proto);
		c->l2 = (uint16_t)(h - c->head);
	}
	if (c->csum == PKT_CSUM_PARTIAL && !(c->gso_size && c->len > c->gso_size))
		pkt_csum_complete(c); /* readers such as tcpdump -w want the real one */
	if (c->dst) {
		dst_put(c->dst);
		c->dst = NULL;
	}
	if (!c->tstamp_ns)
		c->tstamp_ns = net_wall(link->stack);
	c->iif = link->index;
	*LL_CB(c) = (struct ll_cb){ .ifindex = link->index, .orig_len = c->len, .protocol = p->proto,
				    .hatype = link->hwtype, .pkttype = outgoing ? PKT_OUTGOING : p->type, .csum = c->csum,
				    .net_off = !cooked && (ether || (link->flags & NET_IFF_LOOPBACK)) ? ETH_HLEN : 0,
				    .gso_tcp = c->gso == PKT_GSO_TCP4 || c->gso == PKT_GSO_TCP6 };
	memcpy(LL_CB(c)->addr, outgoing ? link->mac : p->src_mac, 6);
	if (!sock_filter_pass(sk, c)) {
		pkt_free(c);
		return;
	}
	if (atomic_load_explicit(&ps->has_rx, memory_order_acquire)) {
		packet_ring_rx(ps, c);
		return;
	}
	atomic_fetch_add(&ps->stat_packets, 1);
	if (!dgram_queue(sk, c))
		atomic_fetch_add(&ps->stat_drops, 1);
}

void packet_tap(struct net_link *link, struct pkt *p, bool outgoing)
{
	struct net_ns *ns = link->ns;
	struct packet_sock *ps, *to, *v[32];
	unsigned n = 0;

	if (outgoing && !link->hwlen)
		p->proto = p->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	if (!outgoing && !link->hwlen && p->len)
		p->proto = p->data[0] >> 4 == 6 ? ETH_P_IPV6 : ETH_P_IP;
	p->l3 = outgoing ? p->l3 : (uint16_t)(p->data - p->head);
	mutex_lock(&ns->packet_mu);
	list_for_each_entry(ps, &ns->packets, node) {
		if ((ps->ifindex && ps->ifindex != link->index) || (ps->proto != ETH_P_ALL && (outgoing || ps->proto != p->proto)) ||
		    (outgoing && ps->ignore_outgoing) || n == ARRAY_SIZE(v))
			continue;
		to = packet_fanout_pick(ps, p);
		if (to && ref_get_unless_zero(&to->sk.c.ref))
			v[n++] = to;
	}
	mutex_unlock(&ns->packet_mu);
	for (unsigned i = 0; i < n; i++) {
		deliver(v[i], link, p, outgoing);
		sock_put(&v[i]->sk);
	}
}

int sock_bind_ll(struct sock *sk, uint16_t protocol, uint32_t ifindex)
{
	struct packet_sock *ps = packet_sk(sk);
	struct net_link *l;

	if (sk->c.family != NET_AF_PACKET)
		return -LINUX_EINVAL;
	if (ifindex) {
		l = net_link_by_index(sk->c.ns, ifindex);
		if (!l)
			return -LINUX_ENODEV;
		net_link_put(l);
	}
	sock_own(sk);
	if (ps->fanout) { /* its group was chosen by these two */
		sock_release(sk);
		return -LINUX_EINVAL;
	}
	hook(ps, false);
	ps->ifindex = ifindex;
	if (protocol)
		ps->proto = protocol;
	hook(ps, true);
	sock_release(sk);
	return 0;
}

int sock_name_ll(struct sock *sk, struct net_ll *out)
{
	struct packet_sock *ps = packet_sk(sk);
	struct net_link *l;

	if (sk->c.family != NET_AF_PACKET)
		return -LINUX_EINVAL;
	*out = (struct net_ll){ .protocol = ps->proto, .ifindex = ps->ifindex };
	l = ps->ifindex ? net_link_by_index(sk->c.ns, ps->ifindex) : NULL;
	if (l) {
		out->hatype = l->hwtype;
		out->halen = l->hwlen;
		memcpy(out->addr, l->mac, 6);
		net_link_put(l);
	}
	return 0;
}

static long packet_recv(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	uint32_t flags = m->flags;
	int err = 0;
	struct pkt *p = dgram_dequeue(sk, m, &err);
	struct ll_cb *cb;
	size_t want;
	long n;

	if (!p)
		return err;
	cb = LL_CB(p);
	m->flags = 0;
	m->has |= NET_MSG_HAS_LL | (packet_sk(sk)->auxdata ? NET_MSG_HAS_AUX : 0);
	m->ll = (struct net_ll){ .protocol = cb->protocol, .ifindex = cb->ifindex, .hatype = cb->hatype,
				 .pkttype = cb->pkttype, .halen = 6 };
	memcpy(m->ll.addr, cb->addr, 6);
	m->aux_status = packet_status(p);
	m->aux_len = cb->orig_len;
	m->aux_snaplen = p->len;
	m->aux_net = cb->net_off;
	m->full_len = p->len;
	sk->stamp_ns = p->tstamp_ns;
	if (sk->timestamp || sk->timestampns) {
		m->tstamp_ns = p->tstamp_ns;
		m->has |= NET_MSG_HAS_TSTAMP;
	}
	want = MIN(it->left, (size_t)p->len);
	n = pkt_copy_to_iter(p, 0, it, want);
	if (n >= 0 && (size_t)n < want)
		n = -LINUX_EFAULT;
	if (n >= 0 && p->len > want) {
		m->flags |= NET_MSG_TRUNC;
		if (flags & NET_MSG_TRUNC)
			n = p->len;
	}
	pkt_free(p);
	return n;
}

long packet_send_one(struct packet_sock *ps, struct net_iter *it, const struct net_msg *m)
{
	struct sock *sk = &ps->sk;
	bool cooked = sk->c.type == NET_SOCK_DGRAM, named = m && (m->has & NET_MSG_HAS_LL);
	uint32_t index = named ? m->ll.ifindex : ps->ifindex;
	uint16_t proto = named ? m->ll.protocol : ps->proto;
	size_t n = it->left;
	struct net_link *l;
	struct pkt *p = NULL;
	long ret;

	if (!index)
		return -LINUX_ENXIO;
	l = net_link_by_index(sk->c.ns, index);
	if (!l)
		return -LINUX_ENXIO;
	ret = -LINUX_ENETDOWN;
	if (!net_link_up(l))
		goto out;
	ret = -LINUX_EMSGSIZE;
	if (n > l->mtu + (cooked ? 0u : 18u) || n > 65535)
		goto out;
	ret = -LINUX_EINVAL;
	if (!cooked && n < ETH_HLEN && l->hwlen)
		goto out;
	p = pkt_alloc(PKT_HEADROOM, n <= 2048 ? n : 0);
	ret = p ? pkt_append_iter(p, it, n) : -LINUX_ENOBUFS;
	if (ret)
		goto out;
	p->csum = PKT_CSUM_NONE;
	p->type = PKT_OUTGOING;
	if (cooked && l->hwlen) {
		uint8_t *h = pkt_push(p, ETH_HLEN);

		memcpy(h, named ? m->ll.addr : l->bcast, 6);
		memcpy(h + 6, l->mac, 6);
		wr16(h + 12, proto);
	} else if (!cooked && (l->flags & NET_IFF_LOOPBACK)) {
		if (!pkt_may_pull(p, ETH_HLEN)) {
			ret = -LINUX_EINVAL;
			goto out;
		}
		proto = rd16(p->data + 12);
		pkt_pull(p, ETH_HLEN);
	} else if (l->hwlen) {
		pkt_may_pull(p, ETH_HLEN);
		proto = rd16(p->data + 12);
	}
	p->proto = proto;
	p->l2 = (uint16_t)(p->data - p->head);
	p->l3 = (uint16_t)(p->l2 + (l->hwlen ? ETH_HLEN : 0));
	net_link_output_one(l, p);
	p = NULL;
	ret = (long)n;
out:
	pkt_free(p);
	net_link_put(l);
	return ret;
}

static long packet_send(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct packet_sock *ps = packet_sk(sk);

	return ps->tx.base ? packet_ring_tx(ps, m) : packet_send_one(ps, it, m);
}

static uint32_t packet_poll(struct sock *sk)
{
	return dgram_poll(sk) | (packet_sk(sk)->has_rx ? packet_ring_poll(packet_sk(sk)) : 0);
}

static void mship_apply(struct packet_sock *ps, uint32_t ifindex, uint16_t type, int delta)
{
	struct net_link *l = net_link_by_index(ps->sk.c.ns, ifindex);

	if (!l)
		return;
	if (type == 1)
		net_link_promisc(l, delta);
	else if (type == 2)
		net_link_allmulti(l, delta);
	net_link_put(l);
}

static void packet_close(struct sock *sk)
{
	struct packet_sock *ps = packet_sk(sk);

	mutex_lock(&sk->c.ns->packet_mu);
	packet_fanout_leave(ps);
	mutex_unlock(&sk->c.ns->packet_mu);
	hook(ps, false);
	packet_ring_close(ps);
	for (unsigned i = 0; i < ps->nr_mship; i++)
		mship_apply(ps, ps->mship[i].ifindex, ps->mship[i].type, -1);
	ps->nr_mship = 0;
	dgram_purge(sk);
}

/* struct packet_mreq: what one endpoint asked twice for it must give back twice. */
static int membership(struct packet_sock *ps, const void *val, uint32_t len, bool add)
{
	uint32_t ifindex;
	uint16_t type, alen;
	uint8_t addr[8] = { 0 };
	struct net_link *l;

	if (len < 16)
		return -LINUX_EINVAL;
	memcpy(&ifindex, val, 4);
	memcpy(&type, (const char *)val + 4, 2);
	memcpy(&alen, (const char *)val + 6, 2);
	memcpy(addr, (const char *)val + 8, MIN(alen, (uint16_t)sizeof(addr)));
	if (add) {
		l = net_link_by_index(ps->sk.c.ns, ifindex);
		if (!l)
			return -LINUX_ENODEV;
		net_link_put(l);
		if (type > 3 || alen > 32)
			return -LINUX_EINVAL;
		if (ps->nr_mship == ARRAY_SIZE(ps->mship))
			return -LINUX_ENOBUFS;
		ps->mship[ps->nr_mship].ifindex = ifindex;
		ps->mship[ps->nr_mship].len = (uint8_t)alen;
		memcpy(ps->mship[ps->nr_mship].addr, addr, sizeof(addr));
		ps->mship[ps->nr_mship++].type = type;
		mship_apply(ps, ifindex, type, 1);
		return 0;
	}
	for (unsigned i = 0; i < ps->nr_mship; i++)
		if (ps->mship[i].ifindex == ifindex && ps->mship[i].type == type && ps->mship[i].len == alen &&
		    !memcmp(ps->mship[i].addr, addr, sizeof(addr))) {
			ps->mship[i] = ps->mship[--ps->nr_mship];
			mship_apply(ps, ifindex, type, -1);
			return 0;
		}
	return 0; /* as Linux has it: leaving what was not joined is no error */
}

/* Options that are one bool. */
static bool *bool_of(struct packet_sock *ps, int name)
{
	switch (name) {
	case LINUX_PACKET_AUXDATA:
		return &ps->auxdata;
	case LINUX_PACKET_ORIGDEV:
		return &ps->orig_dev;
	case LINUX_PACKET_LOSS:
		return &ps->loss;
	case LINUX_PACKET_TX_HAS_OFF:
		return &ps->tx_has_off;
	case LINUX_PACKET_IGNORE_OUTGOING:
		return &ps->ignore_outgoing;
	}
	return NULL;
}

static int packet_setopt(struct sock *sk, int level, int name, const void *val, uint32_t len, uint32_t caps)
{
	struct packet_sock *ps = packet_sk(sk);
	bool *b = bool_of(ps, name);
	int v;

	(void)caps;
	if (level != LINUX_SOL_PACKET)
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_PACKET_ADD_MEMBERSHIP || name == LINUX_PACKET_DROP_MEMBERSHIP)
		return membership(ps, val, len, name == LINUX_PACKET_ADD_MEMBERSHIP);
	if (!b && name != LINUX_PACKET_VERSION && name != LINUX_PACKET_RESERVE && name != LINUX_PACKET_COPY_THRESH &&
	    name != LINUX_PACKET_TIMESTAMP && name != LINUX_PACKET_FANOUT && name != LINUX_PACKET_QDISC_BYPASS)
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_PACKET_FANOUT ? len != sizeof(int) && len != 8 :
			      len < sizeof(int) || (len > sizeof(int) && name != LINUX_PACKET_AUXDATA && name != LINUX_PACKET_ORIGDEV))
		return -LINUX_EINVAL;
	memcpy(&v, val, sizeof(v));
	if (b) {
		if (name == LINUX_PACKET_IGNORE_OUTGOING && (v < 0 || v > 1))
			return -LINUX_EINVAL;
		if ((name == LINUX_PACKET_LOSS) && (ps->rx.base || ps->tx.base))
			return -LINUX_EBUSY;
		*b = v != 0;
		return 0;
	}
	switch (name) {
	case LINUX_PACKET_COPY_THRESH:
		ps->copy_thresh = v;
		return 0;
	case LINUX_PACKET_TIMESTAMP: /* software's is what there is */
		ps->tstamp_flags = v;
		return 0;
	case LINUX_PACKET_QDISC_BYPASS:
		ps->qdisc_bypass = v != 0; /* there is no queueing discipline on the way */
		return 0;
	case LINUX_PACKET_FANOUT:
		return packet_fanout_add(ps, (uint32_t)v);
	default:
		return packet_ring_setopt(ps, name, v);
	}
}

/* PACKET_STATISTICS: reading clears. Version 3 says how often it had no block, too. */
static int get_stats(struct packet_sock *ps, void *val, uint32_t *len)
{
	uint32_t st[3];

	st[0] = atomic_exchange(&ps->stat_packets, 0);
	st[1] = atomic_exchange(&ps->stat_drops, 0);
	st[2] = atomic_exchange(&ps->stat_freezes, 0);
	return opt_put(val, len, st, ps->version == TPACKET_V3 ? 12 : 8);
}

static int packet_getopt(struct sock *sk, int level, int name, void *val, uint32_t *len)
{
	struct packet_sock *ps = packet_sk(sk);
	bool *b = bool_of(ps, name);
	uint64_t roll[3] = { 0 };
	int v = 0;

	if (level != LINUX_SOL_PACKET)
		return -LINUX_ENOPROTOOPT;
	if (b)
		return opt_put_int(val, len, *b);
	switch (name) {
	case LINUX_PACKET_STATISTICS:
		return get_stats(ps, val, len);
	case LINUX_PACKET_VERSION:
		return opt_put_int(val, len, ps->version);
	case LINUX_PACKET_HDRLEN: /* what is asked about is in the value */
		if (*len < sizeof(int))
			return -LINUX_EINVAL;
		memcpy(&v, val, sizeof(v));
		v = packet_ring_hdrlen(v);
		return v < 0 ? v : opt_put_int(val, len, v);
	case LINUX_PACKET_RESERVE:
		return opt_put_int(val, len, (int)ps->reserve);
	case LINUX_PACKET_TIMESTAMP:
		return opt_put_int(val, len, ps->tstamp_flags);
	case LINUX_PACKET_FANOUT:
		return opt_put_int(val, len, packet_fanout_get(ps));
	case LINUX_PACKET_QDISC_BYPASS:
		return opt_put_int(val, len, ps->qdisc_bypass);
	case LINUX_PACKET_COPY_THRESH:
		return opt_put_int(val, len, ps->copy_thresh);
	case LINUX_PACKET_VNET_HDR:
	case LINUX_PACKET_VNET_HDR_SZ:
		return opt_put_int(val, len, 0);
	case LINUX_PACKET_ROLLOVER_STATS:
		return ps->fanout ? opt_put(val, len, roll, sizeof(roll)) : -LINUX_EINVAL;
	}
	return -LINUX_ENOPROTOOPT;
}

int packet_each(struct net_ns *ns, int (*fn)(struct sock *sk, void *arg), void *arg)
{
	struct packet_sock *ps, *v[64];
	unsigned n = 0;
	int ret = 0;

	mutex_lock(&ns->packet_mu);
	list_for_each_entry(ps, &ns->packets, node)
		if (n < ARRAY_SIZE(v) && ref_get_unless_zero(&ps->sk.c.ref))
			v[n++] = ps;
	mutex_unlock(&ns->packet_mu);
	for (unsigned i = 0; i < n; i++) {
		if (!ret)
			ret = fn(&v[i]->sk, arg);
		sock_put(&v[i]->sk);
	}
	return ret;
}

static int no_shutdown(struct sock *sk, int how)
{
	(void)sk;
	(void)how;
	return -LINUX_EOPNOTSUPP;
}

static void no_backlog(struct sock *sk, struct pkt *p)
{
	net_drop(sk->c.ns, p, DROP_CONSUMED);
}

const struct sock_ops packet_sock_ops = {
	.send = packet_send,
	.recv = packet_recv,
	.shutdown = no_shutdown,
	.close = packet_close,
	.poll = packet_poll,
	.backlog_rx = no_backlog,
	.setopt = packet_setopt,
	.getopt = packet_getopt,
	.inq = dgram_inq,
	.size = sizeof(struct packet_sock),
};
