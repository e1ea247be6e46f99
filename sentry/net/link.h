/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/link.h - network interfaces
 *
 * Model:   a link belongs to one namespace and has an ops table for its kind. Output is a chain of packets
 *          with complete link headers (none for loopback and tun); input is net_link_rx().
 *          The NIC kind's driver is outside: it gives callbacks, and its receive thread calls net_link_rx().
 * Locks:   fields marked cfg are guarded by ns->cfg_mu and read without it where a torn read is harmless.
 */
#ifndef SENTRY_NET_LINK_H
#define SENTRY_NET_LINK_H

#include "sentry/net/host.h"
#include "sentry/net/pkt.h"

#define NET_IFNAMSIZ 16
#define NET_MTU_MIN  68
#define NET_MTU_MAX  65536

/* Flags as in Linux's net_device.flags (netdevice(7)). */
#define NET_IFF_UP	    0x1
#define NET_IFF_BROADCAST   0x2
#define NET_IFF_LOOPBACK    0x8
#define NET_IFF_POINTOPOINT 0x10
#define NET_IFF_RUNNING	    0x40
#define NET_IFF_NOARP	    0x80
#define NET_IFF_PROMISC	    0x100
#define NET_IFF_ALLMULTI    0x200
#define NET_IFF_MULTICAST   0x1000
#define NET_IFF_LOWER_UP    0x10000

/* Linux's ARPHRD_* */
#define NET_ARPHRD_ETHER    1
#define NET_ARPHRD_NONE	    0xfffe
#define NET_ARPHRD_LOOPBACK 772

/* What a link's transmit side can finish by itself. */
#define NET_LINK_CSUM	  0x1 /* completes PKT_CSUM_PARTIAL */
#define NET_LINK_TSO4	  0x2
#define NET_LINK_TSO6	  0x4
#define NET_LINK_RXOK	  0x8 /* what arrives needs no checksum verification (loopback) */

struct net_link_ops {
	const char *kind;	/* "loopback", "veth", "bridge", "dummy", "tun", "nic" */
	/* Required. Takes over every packet of @l. Called inside a bh section with no lock of the stack but
	 * possibly an endpoint's ownership; must not block. */
	void (*xmit)(struct net_link *link, struct pkt_list *l);
	/* For kinds whose xmit collects packets and calls bh_flush_later(): sends them. */
	void (*flush)(struct net_link *link);
	int (*open)(struct net_link *link);	/* optional, on IFF_UP, 0 or -LINUX_E* */
	void (*stop)(struct net_link *link);	/* optional */
	int (*set_mtu)(struct net_link *link, uint32_t mtu); /* optional */
	int (*set_mac)(struct net_link *link, const uint8_t mac[6]); /* optional */
	int (*del)(struct net_link *link);	/* optional: what deleting it means (veth: both ends); NULL = net_link_remove() */
	void (*destroy)(struct net_link *link);	/* optional: frees what priv owns; no packets in flight any more */
};

struct net_link_stats {
	_Atomic uint64_t rx_packets, rx_bytes, rx_errors, rx_dropped, multicast;
	_Atomic uint64_t tx_packets, tx_bytes, tx_errors, tx_dropped;
};

struct mcast_entry { /* one group joined on a link */
	struct list node;
	struct naddr group;
	uint32_t users;
	uint8_t state;		/* ip/igmp.c, ip/mld.c: report pending, idle */
	uint8_t reports_left;
	uint64_t report_at_ns;
};

struct net_link {
	struct refcount ref;
	struct list node;	/* in ns->links, cfg */
	struct net_stack *stack;/* immutable */
	struct net_ns *ns;	/* cfg; atomic pointer changes only while the link is down */
	const struct net_link_ops *ops;
	void *priv;
	char name[NET_IFNAMSIZ];/* cfg */
	char alias[64];		/* cfg */
	uint32_t index;		/* immutable in its namespace */
	uint32_t mtu;		/* cfg */
	uint32_t txqlen;	/* cfg */
	_Atomic uint32_t flags;	/* NET_IFF_* */
	uint16_t hwtype;	/* NET_ARPHRD_* */
	uint8_t hwlen;		/* 6 or 0 */
	uint8_t mac[6], bcast[6];
	uint32_t features;	/* NET_LINK_* */
	uint32_t gso_max;	/* bytes of one offload packet, 0 = links without */
	struct net_link *master;/* bridge, cfg */
	uint32_t promisc, allmulti; /* counts, cfg */
	uint32_t asked_flags;	/* NET_IFF_PROMISC, _ALLMULTI that an administrator set: all that others are shown of them; cfg */
	uint32_t peer_index;	/* veth: index of the other end, 0 = none */
	struct net_ns *peer_ns; /* veth, borrowed */
	struct list addrs;	/* of struct net_ifaddr.link_node, cfg */
	struct list groups;	/* of struct mcast_entry, guarded by mc_mu */
	struct mutex mc_mu;	/* leaf */
	struct {			/* per-interface sysctls (net.ipv4.conf.X, net.ipv6.conf.X) */
		int32_t forwarding, accept_local, rp_filter, arp_ignore, arp_announce, proxy_arp;
		int32_t accept_redirects, send_redirects, route_localnet, accept_source_route, tag;
		int32_t v6_disable, v6_forwarding, v6_accept_ra, v6_dad_transmits, v6_hop_limit, v6_autoconf;
	} conf;
	struct {			/* neighbour parameters (net.ipv4.neigh.X), ns */
		uint64_t base_reachable, retrans, delay_probe, gc_stale;
		uint32_t ucast_probes, mcast_probes, app_probes, queue_len;
	} neigh;
	struct net_link_stats stats;
	/* Packet sockets and the bridge see a link's packets first. */
	_Atomic uint32_t nr_taps;
	bool (*rx_handler)(struct net_link *link, struct pkt *p); /* true: taken (bridge port) */
	void *rx_handler_data;
	bool dead;		/* cfg: being deleted */
	bool no_linklocal;	/* cfg: IPv6 link-local address is not made automatically */
	bool no_carrier;	/* cfg: up, but the other end is not */
	struct net_timer mc_timer; /* IGMP and MLD reports */
};

static inline bool net_link_up(const struct net_link *l)
{
	return atomic_load_explicit(&((struct net_link *)l)->flags, memory_order_relaxed) & NET_IFF_UP;
}
/* Flags as netdevice(7) and rtnetlink show them. */
static inline uint32_t net_link_shown_flags(const struct net_link *l)
{
	uint32_t f = atomic_load_explicit(&((struct net_link *)l)->flags, memory_order_relaxed);

	return (f & ~(uint32_t)(NET_IFF_PROMISC | NET_IFF_ALLMULTI)) | l->asked_flags;
}
static inline void net_link_get(struct net_link *l) { ref_get(&l->ref); }
void net_link_put(struct net_link *l);

/* ---- input --------------------------------------------------------------------------------------- */

/**
 * net_link_rx() - packets arrive on a link
 * @link:	the link; borrowed, kept alive by the caller
 * @l:		taken over; data of each packet is at the link header (network header when hwlen is 0). The caller
 *		set csum, and for offload packets gso, gso_size.
 *
 * Runs the stack on the calling thread: sockets are fed, event callbacks called, replies sent.
 */
void net_link_rx(struct net_link *link, struct pkt_list *l);

/* ---- making links: all take ns->cfg_mu themselves ------------------------------------------------ */

struct net_link_param {
	const char *name;	/* NULL or containing %d: a free one is picked */
	uint32_t index;		/* 0: the next free */
	uint32_t mtu;		/* 0: the kind's default */
	const uint8_t *mac;	/* NULL: random, locally administered */
};

/* Each: 0 with a borrowed pointer in @out (the namespace owns it), -LINUX_EEXIST, -LINUX_EINVAL, -LINUX_ENOMEM. */
int net_link_new_dummy(struct net_ns *ns, const struct net_link_param *p, struct net_link **out);
int net_link_new_bridge(struct net_ns *ns, const struct net_link_param *p, struct net_link **out);
int net_link_new_veth(struct net_ns *ns, const struct net_link_param *p, struct net_ns *peer_ns,
		      const struct net_link_param *pp, struct net_link **out, struct net_link **out_peer);

struct net_nic_driver {
	/* Takes over @l: frames complete but for what features say; see struct pkt. Called once per burst, with no
	 * lock of the stack held. Must not block for long; what the host does not take now is queued by the driver or
	 * dropped. One call at a time, from any thread. */
	void (*xmit)(void *ctx, struct pkt_list *l);
	void (*destroy)(void *ctx);		/* optional */
	uint32_t features;
	uint32_t gso_max;
	void *ctx;
};
int net_link_new_nic(struct net_ns *ns, const struct net_link_param *p, const struct net_nic_driver *drv,
		     struct net_link **out);

struct net_tun;			/* the file side of a tun or tap link */
#define NET_TUN_TAP	0x1	/* Ethernet frames, else bare IP packets */
#define NET_TUN_PI	0x2	/* 4-byte packet information in front */
#define NET_TUN_VNET	0x4	/* virtio-net header in front */
#define NET_TUN_EV_IN	0x1	/* = POLLIN, POLLOUT, POLLHUP */
#define NET_TUN_EV_OUT	0x4
#define NET_TUN_EV_HUP	0x10
int net_link_new_tun(struct net_ns *ns, const struct net_link_param *p, unsigned flags,
		     struct net_link **out, struct net_tun **out_tun);
/* A file for a persistent link that has none. 0, -LINUX_EINVAL (no such link, another kind), -LINUX_EBUSY. */
int net_tun_attach(struct net_link *link, unsigned flags, struct net_tun **out_tun);
struct net_iter;
/* One frame from (to) the guest's file. Return: bytes, -LINUX_EAGAIN, -LINUX_EINVAL, -LINUX_EFAULT, ... */
long net_tun_write(struct net_tun *t, struct net_iter *it);
long net_tun_read(struct net_tun *t, struct net_iter *it);
uint32_t net_tun_poll(struct net_tun *t);
void net_tun_set_event(struct net_tun *t, void (*fn)(void *ctx, uint32_t events), void *ctx);
void net_tun_close(struct net_tun *t, bool persist); /* the link disappears unless @persist */

int net_link_del(struct net_link *link);	/* -LINUX_EOPNOTSUPP for loopback */
int net_link_set_up(struct net_link *link, bool up);
int net_link_set_mtu(struct net_link *link, uint32_t mtu);
int net_link_set_mac(struct net_link *link, const uint8_t mac[6]);
int net_link_set_name(struct net_link *link, const char *name);
int net_link_set_master(struct net_link *link, struct net_link *bridge); /* NULL: leave it */
int net_link_move(struct net_link *link, struct net_ns *to);
void net_link_promisc(struct net_link *link, int delta);
void net_link_allmulti(struct net_link *link, int delta);

/* Lookups; a reference for the caller, or NULL. */
struct net_link *net_link_by_index(struct net_ns *ns, uint32_t index);
struct net_link *net_link_by_name(struct net_ns *ns, const char *name);

/* ---- for the kinds and the layers above, inside sentry/net ----------------------------------------- */

struct net_link *net_link_alloc(struct net_ns *ns, const struct net_link_ops *ops, size_t priv_size);
int net_link_register(struct net_link *link, const struct net_link_param *p, const char *name_template);
/* Sends a chain with complete link headers: taps, software segmentation and checksum where the link cannot,
 * then ops->xmit. Takes over @l. */
void net_link_output(struct net_link *link, struct pkt_list *l);
/* Prepends the link header and sends. */
void net_link_output_one(struct net_link *link, struct pkt *p);

void net_link_remove(struct net_link *link); /* takes it out of its namespace and drops that reference */
/* Multicast membership of the link (both families), counted. */
int net_mcast_join(struct net_link *link, const struct naddr *group);
int net_mcast_leave(struct net_link *link, const struct naddr *group);
bool net_mcast_member(struct net_link *link, const struct naddr *group);
void net_mcast_link_gone(struct net_link *link);

#endif
