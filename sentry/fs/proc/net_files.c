/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_files.c - /proc/net and /proc/sys/net: names, and where they lead
 *
 * Source:  proc(5), "/proc/net".
 */
#include "sentry/fs/proc/net_files.h"

#define F(n) { #n, proc_net_##n }
static const struct {
	const char *name;
	void (*show)(struct net_ns_ref *ns, struct buf *out);
} files[] = {
	F(dev), F(if_inet6), F(route), F(ipv6_route), F(arp), F(igmp), F(igmp6), F(dev_mcast), F(tcp), F(tcp6), F(udp), F(udp6), F(raw),
	F(raw6), F(icmp), F(icmp6), F(udplite), F(udplite6), F(packet), F(unix), F(netlink), F(snmp), F(snmp6), F(netstat), F(sockstat),
	F(sockstat6), F(protocols), F(softnet_stat), F(ptype), F(psched), F(ip_tables_names), F(ip6_tables_names), F(ip_tables_matches),
	F(ip6_tables_matches), F(ip_tables_targets), F(ip6_tables_targets), F(nf_conntrack),
};
#undef F

static const char *file_name(unsigned n)
{
	return n < ARRAY_SIZE(files) ? files[n].name : NULL;
}

static long file_show(unsigned n, struct net_ns_ref *ns, struct buf *out)
{
	files[n].show(ns, out);
	return out->failed ? -LINUX_ENOMEM : 0;
}

static long sysctl_read(struct net_ns_ref *ns, const char *path, char *out, size_t cap)
{
	return net_sysctl_read(ns->stack, path, out, cap);
}

static long sysctl_write(struct net_ns_ref *ns, const char *path, const char *text, size_t len)
{
	return net_sysctl_write(ns->stack, path, text, len);
}

static const struct proc_net_ops ops = {
	.file = file_name,
	.show = file_show,
	.sysctl_path = net_sysctl_path,
	.sysctl_read = sysctl_read,
	.sysctl_write = sysctl_write,
};

void proc_net_init(void)
{
	proc_net_ops = &ops;
}
