/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rtnl.h - NETLINK_ROUTE: message numbers, and what its files share
 *
 * Source:  rtnetlink(7), linux/rtnetlink.h, linux/if_link.h.
 */
#ifndef SENTRY_RTNL_H
#define SENTRY_RTNL_H

#include "sentry/net/net.h"
#include "sentry/socket/netlink/netlink.h"

enum {
	RTM_NEWLINK = 16, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK,
	RTM_NEWADDR = 20, RTM_DELADDR, RTM_GETADDR,
	RTM_NEWROUTE = 24, RTM_DELROUTE, RTM_GETROUTE,
	RTM_NEWNEIGH = 28, RTM_DELNEIGH, RTM_GETNEIGH,
	RTM_NEWRULE = 32, RTM_DELRULE, RTM_GETRULE,
	RTM_GETQDISC = 38, RTM_GETTCLASS = 42, RTM_GETTFILTER = 46,
	RTM_GETMULTICAST = 58, RTM_GETANYCAST = 62,
	RTM_NEWNEIGHTBL = 64, RTM_GETNEIGHTBL = 66, RTM_GETADDRLABEL = 74,
	RTM_GETNETCONF = 82, RTM_GETMDB = 86, RTM_NEWNSID = 88, RTM_GETNSID = 90, RTM_GETSTATS = 94,
	RTM_MAX = 127,
};

enum {
	RTNLGRP_LINK = 1, RTNLGRP_NEIGH = 3, RTNLGRP_IPV4_IFADDR = 5, RTNLGRP_IPV4_ROUTE = 7, RTNLGRP_IPV4_RULE = 8,
	RTNLGRP_IPV6_IFADDR = 9, RTNLGRP_IPV6_ROUTE = 11, RTNLGRP_IPV6_RULE = 19, RTNLGRP_COUNT = 36,
};

struct rt_ifinfo {
	uint8_t family, pad;
	uint16_t type;
	int32_t index;
	uint32_t flags, change;
};
struct rt_ifaddr {
	uint8_t family, plen, flags, scope;
	uint32_t index;
};
struct rt_route {
	uint8_t family, dst_len, src_len, tos, table, protocol, scope, type;
	uint32_t flags;
};
struct rt_neigh {
	uint8_t family, pad[3];
	int32_t index;
	uint16_t state;
	uint8_t flags, type;
};
struct rt_rule {
	uint8_t family, dst_len, src_len, tos, table, res[2], action;
	uint32_t flags;
};
_Static_assert(sizeof(struct rt_ifinfo) == 16 && sizeof(struct rt_ifaddr) == 8 && sizeof(struct rt_route) == 12 &&
	       sizeof(struct rt_neigh) == 12 && sizeof(struct rt_rule) == 12, "rtnetlink(7)");

/* The fixed part of a request into @out and its attributes into @tb. A dump's may be as short as its family byte, unless the
 * socket wants strict checks. 0 or -LINUX_EINVAL. */
long rt_parse(struct nl_req *r, void *out, size_t size, struct nla *tb, unsigned max);

/* Addresses of @family (or of either, by their length, for 0). False: wrong length. Not there: @out unchanged. */
bool rt_get_addr(const struct nla *a, uint8_t family, struct naddr *out);
void rt_put_addr(struct buf *b, uint16_t type, const struct naddr *a);
/* Does @family (0 = any) include addresses like @a? */
static inline bool rt_family_is(uint8_t family, const struct naddr *a)
{
	return !family || naddr_family(a) == family;
}

/* Bodies of messages, for dumps and notifications: between nlb_begin() and nlb_end(). */
void rt_fill_link(struct buf *b, const struct net_link *l, uint32_t ext_mask, uint32_t change);
void rt_fill_addr(struct buf *b, const struct net_ifaddr *a);
void rt_fill_route(struct buf *b, const struct net_route_param *p);
void rt_fill_neigh(struct buf *b, struct neigh *n);
void rt_fill_rule(struct buf *b, const struct net_rule *n);

/* Up or down, promiscuous ... as an administrator asks; @change 0: all of @want. (netlink_cfg held) */
long rt_link_set_flags(struct net_link *l, uint32_t want, uint32_t change);

/* Handlers. */
long rt_get_link(struct nl_req *r);
long rt_dump_link(struct nl_req *r);
long rt_new_link(struct nl_req *r);
long rt_set_link(struct nl_req *r);
long rt_del_link(struct nl_req *r);
long rt_dump_addr(struct nl_req *r);
long rt_new_addr(struct nl_req *r);
long rt_del_addr(struct nl_req *r);
long rt_get_route(struct nl_req *r);
long rt_dump_route(struct nl_req *r);
long rt_new_route(struct nl_req *r);
long rt_del_route(struct nl_req *r);
long rt_get_neigh(struct nl_req *r);
long rt_dump_neigh(struct nl_req *r);
long rt_new_neigh(struct nl_req *r);
long rt_del_neigh(struct nl_req *r);
long rt_dump_rule(struct nl_req *r);
long rt_new_rule(struct nl_req *r);
long rt_del_rule(struct nl_req *r);

#define IFLA_ADDRESS	 1
#define IFLA_BROADCAST	 2
#define IFLA_IFNAME	 3
#define IFLA_MTU	 4
#define IFLA_LINK	 5
#define IFLA_QDISC	 6
#define IFLA_STATS	 7
#define IFLA_MASTER	 10
#define IFLA_TXQLEN	 13
#define IFLA_MAP	 14
#define IFLA_OPERSTATE	 16
#define IFLA_LINKMODE	 17
#define IFLA_LINKINFO	 18
#define IFLA_NET_NS_PID	 19
#define IFLA_IFALIAS	 20
#define IFLA_STATS64	 23
#define IFLA_GROUP	 27
#define IFLA_NET_NS_FD	 28
#define IFLA_EXT_MASK	 29
#define IFLA_PROMISCUITY 30
#define IFLA_NUM_TX_QUEUES 31
#define IFLA_NUM_RX_QUEUES 32
#define IFLA_CARRIER	 33
#define IFLA_CARRIER_CHANGES 35
#define IFLA_PROTO_DOWN	 39
#define IFLA_GSO_MAX_SEGS 40
#define IFLA_GSO_MAX_SIZE 41
#define IFLA_MIN_MTU	 50
#define IFLA_MAX_MTU	 51
#define IFLA_ALT_IFNAME	 53
#define IFLA_TABLE_MAX	 64
#define IFLA_INFO_KIND	 1
#define IFLA_INFO_DATA	 2
#define VETH_INFO_PEER	 1

#endif
