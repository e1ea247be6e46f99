/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/packet_fanout.c - PACKET_FANOUT: packet endpoints that share the work
 *
 * Model:   a group per namespace and number. Of all members, the first stands in the list of endpoints for the group: a packet
 *          that it would get goes to the one that the group's rule picks.
 * Locks:   ns->packet_mu.
 * Source:  packet(7), PACKET_FANOUT.
 * Differs: no eBPF or classic BPF rules (-LINUX_EINVAL); _CPU and _QM spread by flow, as there is one receive queue; the
 *          ROLLOVER flag and rule look at the receive buffers of endpoints without a ring.
 */
#include "sentry/abi/inet.h"
#include "sentry/net/dgram/packet.h"

#define FANOUT_MEMBERS 256

enum { FANOUT_HASH, FANOUT_LB, FANOUT_CPU, FANOUT_ROLLOVER, FANOUT_RND, FANOUT_QM };
#define FLAG_ROLLOVER	     0x10u
#define FLAG_UNIQUEID	     0x20u
#define FLAG_IGNORE_OUTGOING 0x40u
#define FLAG_DEFRAG	     0x80u
#define FLAGS_KNOWN (FLAG_ROLLOVER | FLAG_UNIQUEID | FLAG_IGNORE_OUTGOING | FLAG_DEFRAG)

struct fanout {
	uint16_t id, proto;
	uint8_t type, flags;
	uint32_t ifindex, next, nr;
	struct packet_sock *m[FANOUT_MEMBERS]; /* borrowed: they leave before they go */
};

static struct fanout *find(struct net_ns *ns, uint16_t id)
{
	struct packet_sock *ps;

	list_for_each_entry(ps, &ns->packets, node)
		if (ps->fanout && ps->fanout->id == id)
			return ps->fanout;
	return NULL;
}

static int join_locked(struct packet_sock *ps, uint16_t id, uint8_t type, uint8_t flags)
{
	struct net_ns *ns = ps->sk.c.ns;
	struct fanout *f;

	if (ps->fanout)
		return -LINUX_EALREADY;
	if (!ps->listening)
		return -LINUX_EINVAL;
	if (flags & FLAG_UNIQUEID) {
		if (id)
			return -LINUX_EINVAL;
		for (id = 1; id && find(ns, id); id++)
			;
		if (!id)
			return -LINUX_ENOMEM;
		flags &= (uint8_t)~FLAG_UNIQUEID;
	}
	f = find(ns, id);
	if (f && (f->type != type || f->flags != flags || f->proto != ps->proto || f->ifindex != ps->ifindex))
		return -LINUX_EINVAL;
	if (f && f->nr == FANOUT_MEMBERS)
		return -LINUX_ENOSPC;
	if (!f) {
		f = calloc(1, sizeof(*f));
		if (!f)
			return -LINUX_ENOMEM;
		*f = (struct fanout){ .id = id, .type = type, .flags = flags, .proto = ps->proto, .ifindex = ps->ifindex };
	}
	f->m[f->nr++] = ps;
	ps->fanout = f;
	if (flags & FLAG_IGNORE_OUTGOING)
		ps->ignore_outgoing = true;
	return 0;
}

int packet_fanout_add(struct packet_sock *ps, uint32_t arg)
{
	struct net_ns *ns = ps->sk.c.ns;
	uint8_t type = (uint8_t)(arg >> 16), flags = (uint8_t)(arg >> 24);
	int ret;

	if (type > FANOUT_QM || (flags & ~FLAGS_KNOWN) || (type == FANOUT_ROLLOVER && (flags & FLAG_ROLLOVER)))
		return -LINUX_EINVAL;
	mutex_lock(&ns->packet_mu);
	ret = join_locked(ps, (uint16_t)arg, type, flags);
	mutex_unlock(&ns->packet_mu);
	return ret;
}

int packet_fanout_get(struct packet_sock *ps)
{
	struct net_ns *ns = ps->sk.c.ns;
	int v = 0;

	mutex_lock(&ns->packet_mu);
	if (ps->fanout)
		v = (int)((uint32_t)ps->fanout->id | (uint32_t)ps->fanout->type << 16 | (uint32_t)ps->fanout->flags << 24);
	mutex_unlock(&ns->packet_mu);
	return v;
}

void packet_fanout_leave(struct packet_sock *ps)
{
	struct fanout *f = ps->fanout;

	if (!f)
		return;
	ps->fanout = NULL;
	for (uint32_t i = 0; i < f->nr; i++)
		if (f->m[i] == ps) {
			f->m[i] = f->m[--f->nr];
			break;
		}
	if (!f->nr)
		free(f);
}

/* Both directions of a flow have one number, as in Linux. */
static uint32_t flow_of(const struct pkt *p)
{
	const uint8_t *h = p->head + p->l3;
	uint32_t v = p->proto, n = (uint32_t)(p->tail - h);

	if (p->proto == ETH_P_IP && n >= IP4_HLEN) {
		v ^= (rd32(h + 12) ^ rd32(h + 16)) + h[9];
		n -= IP4_HLEN;
		h += (h[0] & 15u) * 4u;
	} else if (p->proto == ETH_P_IPV6 && n >= IP6_HLEN) {
		for (unsigned i = 8; i < 40; i += 4)
			v ^= rd32(h + i);
		v += h[6];
		h += IP6_HLEN;
	} else {
		return v;
	}
	if (h + 4 <= p->tail)
		v ^= (uint32_t)(rd16(h) ^ rd16(h + 2)) * 0x9e3779b1u;
	v ^= v >> 15;
	return v * 0x85ebca6bu;
}

static bool has_room(const struct packet_sock *ps)
{
	return atomic_load_explicit(&((struct packet_sock *)ps)->sk.rmem, memory_order_relaxed) <= (uint32_t)ps->sk.rcvbuf;
}

struct packet_sock *packet_fanout_pick(struct packet_sock *ps, const struct pkt *p)
{
	struct fanout *f = ps->fanout;
	uint32_t i = 0;

	if (!f)
		return ps;
	if (f->m[0] != ps)
		return NULL;
	switch (f->type) {
	case FANOUT_LB:
		i = f->next++ % f->nr;
		break;
	case FANOUT_RND:
		i = net_random32() % f->nr;
		break;
	case FANOUT_ROLLOVER:
		break;
	default:
		i = (uint32_t)((uint64_t)flow_of(p) * f->nr >> 32);
	}
	if (f->type == FANOUT_ROLLOVER || (f->flags & FLAG_ROLLOVER))
		for (uint32_t k = 0; k < f->nr; k++)
			if (has_room(f->m[(i + k) % f->nr]))
				return f->m[(i + k) % f->nr];
	return f->m[i];
}
