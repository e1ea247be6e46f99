/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link/link_internal.h - between the kinds of links and the core
 */
#ifndef SENTRY_NET_LINK_INTERNAL_H
#define SENTRY_NET_LINK_INTERNAL_H

#include "sentry/net/core/bh.h"
#include "sentry/net/net.h"

/* One packet into the stack; inside a bh section. Takes over @p. */
void net_link_rx_one(struct net_link *link, struct pkt *p);
int net_link_new_loopback(struct net_ns *ns, struct net_link **out);
void net_link_del_locked(struct net_link *link);
/* Copies to packet sockets that listen on @link. */
void packet_tap(struct net_link *link, struct pkt *p, bool outgoing);
void net_link_carrier(struct net_link *link, bool on);
/* Common prologue of Ethernet kinds. */
void net_link_setup_ether(struct net_link *link, const uint8_t *mac);
void bridge_port_gone(struct net_link *port);

static inline void link_count_tx(struct net_link *l, uint64_t pkts, uint64_t bytes)
{
	atomic_fetch_add_explicit(&l->stats.tx_packets, pkts, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->stats.tx_bytes, bytes, memory_order_relaxed);
}
static inline void link_count_rx(struct net_link *l, uint64_t pkts, uint64_t bytes)
{
	atomic_fetch_add_explicit(&l->stats.rx_packets, pkts, memory_order_relaxed);
	atomic_fetch_add_explicit(&l->stats.rx_bytes, bytes, memory_order_relaxed);
}

#endif
