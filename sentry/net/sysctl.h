/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sysctl.h - settable values of a namespace, as rows
 *
 * Model:   each row names a file below /proc/sys/net, where its value is kept, and its limits. The proc file
 *          system and the OCI configuration read and write through net_sysctl_read()/_write() only.
 */
#ifndef SENTRY_NET_SYSCTL_H
#define SENTRY_NET_SYSCTL_H

#include "sentry/net/types.h"

struct net_ns;

#define NET_CC_NAME_MAX 16

/* Units as in Linux's files (seconds, milliseconds, bytes) unless the name says otherwise. */
struct net_sysctl {
	int32_t somaxconn, rmem_default, rmem_max, wmem_default, wmem_max, netdev_max_backlog, optmem_max;
	int32_t ip_forward, ip_default_ttl, ip_no_pmtu_disc, ip_nonlocal_bind, ip_dynaddr, ip_early_demux;
	int32_t ip_local_port_range[2], ip_unprivileged_port_start, ping_group_range[2];
	int32_t ipfrag_time, ipfrag_high_thresh, ip6frag_time, ip6frag_high_thresh;
	int32_t icmp_echo_ignore_all, icmp_echo_ignore_broadcasts, icmp_ratelimit, icmp_ratemask, icmp_msgs_per_sec,
		icmp_msgs_burst;
	int32_t igmp_max_memberships, min_adv_mss, mtu_expires_s, min_pmtu;
	int32_t tcp_syn_retries, tcp_synack_retries, tcp_retries1, tcp_retries2, tcp_orphan_retries, tcp_fin_timeout;
	int32_t tcp_keepalive_time, tcp_keepalive_intvl, tcp_keepalive_probes;
	int32_t tcp_syncookies, tcp_max_syn_backlog, tcp_max_tw_buckets, tcp_max_orphans, tcp_tw_reuse;
	int32_t tcp_sack, tcp_dsack, tcp_timestamps, tcp_window_scaling, tcp_fastopen, tcp_ecn, tcp_moderate_rcvbuf;
	int32_t tcp_recovery, tcp_early_retrans, tcp_slow_start_after_idle, tcp_abort_on_overflow, tcp_stdurg;
	int32_t tcp_rfc1337, tcp_no_metrics_save, tcp_mtu_probing, tcp_base_mss, tcp_min_snd_mss;
	int32_t tcp_adv_win_scale, tcp_notsent_lowat, tcp_limit_output_bytes, tcp_autocorking, tcp_reordering;
	int32_t tcp_challenge_ack_limit, tcp_invalid_ratelimit, tcp_thin_linear_timeouts, tcp_l3mdev_accept;
	int32_t tcp_rmem[3], tcp_wmem[3], tcp_mem[3], udp_mem[3], udp_rmem_min, udp_wmem_min;
	int32_t v6_bindv6only, v6_flowlabel_consistency, v6_auto_flowlabels, v6_max_dst_opts, v6_max_hbh_opts;
	int32_t v6_icmp_ratelimit, v6_echo_ignore_all;
	int32_t nf_ct_max, nf_ct_tcp_established, nf_ct_tcp_syn_sent, nf_ct_tcp_syn_recv, nf_ct_tcp_fin_wait,
		nf_ct_tcp_close_wait, nf_ct_tcp_last_ack, nf_ct_tcp_time_wait, nf_ct_tcp_close, nf_ct_udp,
		nf_ct_udp_stream, nf_ct_icmp, nf_ct_generic, nf_ct_tcp_loose, nf_ct_acct, nf_ct_buckets,
		nf_ct_count; /* read-only: how many there are */
	char tcp_cc[NET_CC_NAME_MAX];
};

/* Bounded text of one value. @path without the leading "/proc/sys/net/"; "ipv4/conf/eth0/forwarding" style names
 * work too. Return: bytes (without NUL), -LINUX_ENOENT, -LINUX_ENOSPC. */
long net_sysctl_read(struct net_ns *ns, const char *path, char *out, size_t cap);
/* Return: 0, -LINUX_ENOENT, -LINUX_EINVAL, -LINUX_EACCES (read-only). */
long net_sysctl_write(struct net_ns *ns, const char *path, const char *text, size_t len);
/* Every path in turn, for readdir; NULL at the end. */
const char *net_sysctl_path(unsigned i);
void net_sysctl_init(struct net_sysctl *s);
/* ipv4/ip_local_reserved_ports (core/reserved_ports.c): is @port not to be chosen for a socket that names none? */
bool net_port_reserved(struct net_ns *ns, uint16_t port);
long net_reserved_ports_read(struct net_ns *ns, char *out, size_t cap);	 /* bytes, -LINUX_ENOSPC */
long net_reserved_ports_write(struct net_ns *ns, const char *text, size_t len); /* 0, -LINUX_EINVAL, -LINUX_ENOMEM */
void net_reserved_ports_free(struct net_ns *ns);
bool net_cong_known(const char *name); /* is there a congestion control of this name? */

#endif
