/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_files.h - the files of /proc/net, by the source file that writes them
 */
#ifndef SENTRY_PROC_NET_FILES_H
#define SENTRY_PROC_NET_FILES_H

#include "sentry/fs/proc/proc_internal.h"
#include "sentry/net/sock.h"
#include "sentry/socket/socket.h"

#define NET_SHOW(n) void proc_net_##n(struct net_ns_ref *ns, struct buf *out)

/* net_link.c */
NET_SHOW(dev); NET_SHOW(if_inet6); NET_SHOW(route); NET_SHOW(ipv6_route); NET_SHOW(arp); NET_SHOW(igmp); NET_SHOW(igmp6);
NET_SHOW(dev_mcast);
/* net_sock.c */
NET_SHOW(tcp); NET_SHOW(tcp6); NET_SHOW(udp); NET_SHOW(udp6); NET_SHOW(raw); NET_SHOW(raw6); NET_SHOW(icmp); NET_SHOW(icmp6);
NET_SHOW(udplite); NET_SHOW(udplite6); NET_SHOW(packet); NET_SHOW(unix); NET_SHOW(netlink);
/* net_stat.c */
NET_SHOW(snmp); NET_SHOW(snmp6); NET_SHOW(netstat); NET_SHOW(sockstat); NET_SHOW(sockstat6); NET_SHOW(protocols); NET_SHOW(softnet_stat);
NET_SHOW(ptype); NET_SHOW(psched);
/* net_nf.c */
NET_SHOW(ip_tables_names); NET_SHOW(ip6_tables_names); NET_SHOW(ip_tables_matches); NET_SHOW(ip6_tables_matches);
NET_SHOW(ip_tables_targets); NET_SHOW(ip6_tables_targets); NET_SHOW(nf_conntrack);

/* Fills the line that began at @start with blanks up to @width, and ends it: some files have lines of one length. */
static inline void proc_net_pad(struct buf *out, size_t start, size_t width)
{
	size_t have = out->len - start;

	buf_printf(out, "%*s\n", (int)(have < width ? width - have : 0), "");
}

#endif
