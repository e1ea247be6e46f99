/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/dgram/packet.h - packet endpoints: what packet.c, packet_ring.c and packet_fanout.c share
 */
#ifndef SENTRY_NET_DGRAM_PACKET_H
#define SENTRY_NET_DGRAM_PACKET_H

#include "sentry/net/sock_internal.h"

enum tpacket_versions { TPACKET_V1, TPACKET_V2, TPACKET_V3, TPACKET_VERSIONS };

/* One ring. Its memory is shared with a guest, so what it says about a frame is read once and believed for that frame only. */
struct packet_ring {
	struct net_ring_req req;
	uint8_t *base;		/* NULL: no ring */
	uint32_t per_block;	/* frames in a block */
	uint32_t head;		/* next frame (versions 1 and 2, and sending), next block (version 3) */
	/* version 3, receiving: the block being filled */
	uint32_t fill, nr_pkts, last; /* bytes used, packets in it, offset of the last packet's header */
	uint64_t seq;		/* number of the next block */
	uint64_t last_ns;	/* stamp of the last packet */
	uint64_t opened_ns;	/* monotonic, when it got its first packet */
	bool open, frozen;	/* frozen: the guest has not given the next block back */
};

struct fanout;

struct packet_sock {
	struct sock sk;
	struct list node;	/* ns->packets */
	uint16_t proto;		/* host order; 0 = receive nothing, ETH_P_ALL */
	uint32_t ifindex;	/* 0 = all */
	bool listening;
	bool auxdata, ignore_outgoing, loss, tx_has_off, orig_dev, qdisc_bypass;
	int32_t copy_thresh, tstamp_flags;
	struct { uint32_t ifindex; uint16_t type; uint8_t len; uint8_t addr[8]; } mship[32];
	unsigned nr_mship;
	_Atomic uint32_t stat_packets, stat_drops, stat_freezes;
	struct fanout *fanout;	/* ns->packet_mu */
	/* rings */
	struct mutex ring_mu;	/* leaf: everything below */
	uint8_t version;	/* enum tpacket_versions */
	uint32_t reserve;
	struct packet_ring rx, tx;
	struct net_ring_mem *mem; /* reference */
	_Atomic bool has_rx;	/* rx.base, without the lock */
	struct net_timer retire;
};

static inline struct packet_sock *packet_sk(struct sock *sk)
{
	return (struct packet_sock *)sk;
}

struct ll_cb { /* in the queued packet */
	uint32_t ifindex, orig_len;
	uint16_t protocol, hatype;
	uint8_t pkttype, csum;
	uint8_t addr[6];
	uint16_t net_off;
	bool gso_tcp;
};
#define LL_CB(p) ((struct ll_cb *)(p)->cb)

#define TP_STATUS_KERNEL	0u
#define TP_STATUS_USER		(1u << 0)
#define TP_STATUS_LOSING	(1u << 2)
#define TP_STATUS_CSUMNOTREADY	(1u << 3)
#define TP_STATUS_BLK_TMO	(1u << 5)
#define TP_STATUS_CSUM_VALID	(1u << 7)
#define TP_STATUS_GSO_TCP	(1u << 8)
#define TP_STATUS_TS_SOFTWARE	(1u << 29)
#define TP_STATUS_SEND_REQUEST	(1u << 0)
#define TP_STATUS_WRONG_FORMAT	(1u << 2)

/* TP_STATUS_* that describe a packet, ring or not. */
uint32_t packet_status(const struct pkt *p);
/* A frame for @ps's ring; takes over @p. */
void packet_ring_rx(struct packet_sock *ps, struct pkt *p);
/* send(2) on an endpoint with a tx ring: all frames that ask for it. Bytes sent, or -LINUX_E*. */
long packet_ring_tx(struct packet_sock *ps, const struct net_msg *m);
uint32_t packet_ring_poll(struct packet_sock *ps);
int packet_ring_setopt(struct packet_sock *ps, int name, int v);	/* _VERSION, _RESERVE */
int packet_ring_hdrlen(int version);					/* -LINUX_EINVAL */
void packet_ring_close(struct packet_sock *ps);
void packet_ring_timer(struct net_timer *t);
/* One frame out: where it goes is in @m or the binding. Bytes, or -LINUX_E*. */
long packet_send_one(struct packet_sock *ps, struct net_iter *it, const struct net_msg *m);

/* packet_fanout.c; ns->packet_mu held for pick and leave. */
int packet_fanout_add(struct packet_sock *ps, uint32_t arg);
int packet_fanout_get(struct packet_sock *ps);
void packet_fanout_leave(struct packet_sock *ps);
/* Who of @ps's group gets @p: a member, @ps itself when it is in none, NULL when another of the group is asked. */
struct packet_sock *packet_fanout_pick(struct packet_sock *ps, const struct pkt *p);

#endif
