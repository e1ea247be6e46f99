/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/sysctl.c - settable values of a namespace: defaults, names, limits
 *
 * Model:   global values are rows; per-interface ones (ipv4/conf/<if>/x) are rows applied to a link, or to all of
 *          them through "all" and "default".
 * Source:  Linux's Documentation/networking/ip-sysctl, tcp(7), ip(7); defaults as on a machine with 4 GiB or more.
 */
#include <stdio.h>

#include "sentry/net/net.h"
#include "sentry/net/nf/ct.h"

struct sysctl_row {
	const char *path;
	uint16_t off;
	uint8_t n;	/* integers in a row; 0 = string; ROW_* */
	int min, max;
	const char *def;
};
#define ROW_TEXT  254 /* @def, read-only */
#define ROW_PORTS 255 /* core/reserved_ports.c */
#define S(f) offsetof(struct net_sysctl, f)
#define IMAX INT32_MAX

static const struct sysctl_row rows[] = {
	{ "core/somaxconn", S(somaxconn), 1, 0, IMAX, "4096" },
	{ "core/rmem_default", S(rmem_default), 1, 2304, IMAX, "212992" },
	{ "core/rmem_max", S(rmem_max), 1, 2304, IMAX, "212992" },
	{ "core/wmem_default", S(wmem_default), 1, 4608, IMAX, "212992" },
	{ "core/wmem_max", S(wmem_max), 1, 4608, IMAX, "212992" },
	{ "core/netdev_max_backlog", S(netdev_max_backlog), 1, 1, 1000000, "1000" },
	{ "core/optmem_max", S(optmem_max), 1, 0, IMAX, "131072" },
	{ "ipv4/ip_forward", S(ip_forward), 1, 0, 1, "0" },
	{ "ipv4/ip_default_ttl", S(ip_default_ttl), 1, 1, 255, "64" },
	{ "ipv4/ip_no_pmtu_disc", S(ip_no_pmtu_disc), 1, 0, 3, "0" },
	{ "ipv4/ip_nonlocal_bind", S(ip_nonlocal_bind), 1, 0, 1, "0" },
	{ "ipv4/ip_dynaddr", S(ip_dynaddr), 1, 0, 7, "0" },
	{ "ipv4/ip_early_demux", S(ip_early_demux), 1, 0, 1, "1" },
	{ "ipv4/ip_local_port_range", S(ip_local_port_range), 2, 1, 65535, "32768 60999" },
	{ "ipv4/ip_local_reserved_ports", 0, ROW_PORTS, 0, 0, NULL },
	{ "ipv4/ip_unprivileged_port_start", S(ip_unprivileged_port_start), 1, 0, 65535, "1024" },
	{ "ipv4/ping_group_range", S(ping_group_range), 2, 0, IMAX, "1 0" },
	{ "ipv4/ipfrag_time", S(ipfrag_time), 1, 1, 3600, "30" },
	{ "ipv4/ipfrag_high_thresh", S(ipfrag_high_thresh), 1, 0, IMAX, "4194304" },
	{ "ipv6/ip6frag_time", S(ip6frag_time), 1, 1, 3600, "60" },
	{ "ipv6/ip6frag_high_thresh", S(ip6frag_high_thresh), 1, 0, IMAX, "4194304" },
	{ "ipv4/icmp_echo_ignore_all", S(icmp_echo_ignore_all), 1, 0, 1, "0" },
	{ "ipv4/icmp_echo_ignore_broadcasts", S(icmp_echo_ignore_broadcasts), 1, 0, 1, "1" },
	{ "ipv4/icmp_ratelimit", S(icmp_ratelimit), 1, 0, IMAX, "1000" },
	{ "ipv4/icmp_ratemask", S(icmp_ratemask), 1, 0, IMAX, "6168" },
	{ "ipv4/icmp_msgs_per_sec", S(icmp_msgs_per_sec), 1, 0, IMAX, "1000" },
	{ "ipv4/icmp_msgs_burst", S(icmp_msgs_burst), 1, 0, IMAX, "50" },
	{ "ipv4/igmp_max_memberships", S(igmp_max_memberships), 1, 0, IMAX, "20" },
	{ "ipv4/route/min_adv_mss", S(min_adv_mss), 1, 0, 65535, "256" },
	{ "ipv4/route/mtu_expires", S(mtu_expires_s), 1, 1, IMAX, "600" },
	{ "ipv4/route/min_pmtu", S(min_pmtu), 1, 68, 65535, "552" },
	{ "ipv4/tcp_syn_retries", S(tcp_syn_retries), 1, 1, 127, "6" },
	{ "ipv4/tcp_synack_retries", S(tcp_synack_retries), 1, 0, 255, "5" },
	{ "ipv4/tcp_retries1", S(tcp_retries1), 1, 0, 255, "3" },
	{ "ipv4/tcp_retries2", S(tcp_retries2), 1, 0, 255, "15" },
	{ "ipv4/tcp_orphan_retries", S(tcp_orphan_retries), 1, 0, 255, "0" },
	{ "ipv4/tcp_fin_timeout", S(tcp_fin_timeout), 1, 1, 3600, "60" },
	{ "ipv4/tcp_keepalive_time", S(tcp_keepalive_time), 1, 1, 32767, "7200" },
	{ "ipv4/tcp_keepalive_intvl", S(tcp_keepalive_intvl), 1, 1, 32767, "75" },
	{ "ipv4/tcp_keepalive_probes", S(tcp_keepalive_probes), 1, 1, 127, "9" },
	{ "ipv4/tcp_syncookies", S(tcp_syncookies), 1, 0, 2, "1" },
	{ "ipv4/tcp_max_syn_backlog", S(tcp_max_syn_backlog), 1, 1, IMAX, "1024" },
	{ "ipv4/tcp_max_tw_buckets", S(tcp_max_tw_buckets), 1, 0, IMAX, "65536" },
	{ "ipv4/tcp_max_orphans", S(tcp_max_orphans), 1, 0, IMAX, "65536" },
	{ "ipv4/tcp_tw_reuse", S(tcp_tw_reuse), 1, 0, 2, "2" },
	{ "ipv4/tcp_sack", S(tcp_sack), 1, 0, 1, "1" },
	{ "ipv4/tcp_dsack", S(tcp_dsack), 1, 0, 1, "1" },
	{ "ipv4/tcp_timestamps", S(tcp_timestamps), 1, 0, 2, "1" },
	{ "ipv4/tcp_window_scaling", S(tcp_window_scaling), 1, 0, 1, "1" },
	{ "ipv4/tcp_fastopen", S(tcp_fastopen), 1, 0, IMAX, "1" },
	{ "ipv4/tcp_ecn", S(tcp_ecn), 1, 0, 2, "2" },
	{ "ipv4/tcp_moderate_rcvbuf", S(tcp_moderate_rcvbuf), 1, 0, 1, "1" },
	{ "ipv4/tcp_recovery", S(tcp_recovery), 1, 0, 7, "1" },
	{ "ipv4/tcp_early_retrans", S(tcp_early_retrans), 1, 0, 4, "3" },
	{ "ipv4/tcp_slow_start_after_idle", S(tcp_slow_start_after_idle), 1, 0, 1, "1" },
	{ "ipv4/tcp_abort_on_overflow", S(tcp_abort_on_overflow), 1, 0, 1, "0" },
	{ "ipv4/tcp_stdurg", S(tcp_stdurg), 1, 0, 1, "0" },
	{ "ipv4/tcp_rfc1337", S(tcp_rfc1337), 1, 0, 1, "0" },
	{ "ipv4/tcp_no_metrics_save", S(tcp_no_metrics_save), 1, 0, 1, "0" },
	{ "ipv4/tcp_mtu_probing", S(tcp_mtu_probing), 1, 0, 2, "0" },
	{ "ipv4/tcp_base_mss", S(tcp_base_mss), 1, 0, IMAX, "1024" },
	{ "ipv4/tcp_min_snd_mss", S(tcp_min_snd_mss), 1, 48, 65535, "48" },
	{ "ipv4/tcp_adv_win_scale", S(tcp_adv_win_scale), 1, -31, 31, "1" },
	{ "ipv4/tcp_notsent_lowat", S(tcp_notsent_lowat), 1, -1, IMAX, "-1" },
	{ "ipv4/tcp_limit_output_bytes", S(tcp_limit_output_bytes), 1, 0, IMAX, "4194304" },
	{ "ipv4/tcp_autocorking", S(tcp_autocorking), 1, 0, 1, "1" },
	{ "ipv4/tcp_reordering", S(tcp_reordering), 1, 1, 300, "3" },
	{ "ipv4/tcp_challenge_ack_limit", S(tcp_challenge_ack_limit), 1, 0, IMAX, "2147483647" },
	{ "ipv4/tcp_invalid_ratelimit", S(tcp_invalid_ratelimit), 1, 0, IMAX, "500" },
	{ "ipv4/tcp_thin_linear_timeouts", S(tcp_thin_linear_timeouts), 1, 0, 1, "0" },
	{ "ipv4/tcp_rmem", S(tcp_rmem), 3, 2304, IMAX, "4096 131072 6291456" },
	{ "ipv4/tcp_wmem", S(tcp_wmem), 3, 4096, IMAX, "4096 16384 4194304" },
	{ "ipv4/tcp_mem", S(tcp_mem), 3, 1, IMAX, "94500 126000 189000" },
	{ "ipv4/udp_mem", S(udp_mem), 3, 1, IMAX, "189000 252000 378000" },
	{ "ipv4/udp_rmem_min", S(udp_rmem_min), 1, 1, IMAX, "4096" },
	{ "ipv4/udp_wmem_min", S(udp_wmem_min), 1, 1, IMAX, "4096" },
	{ "ipv4/tcp_congestion_control", S(tcp_cc), 0, 0, 0, "cubic" },
	{ "ipv4/tcp_available_congestion_control", 0, ROW_TEXT, 0, 0, "reno cubic" },
	{ "ipv4/tcp_allowed_congestion_control", 0, ROW_TEXT, 0, 0, "reno cubic" },
	{ "ipv6/bindv6only", S(v6_bindv6only), 1, 0, 1, "0" },
	{ "ipv6/flowlabel_consistency", S(v6_flowlabel_consistency), 1, 0, 1, "1" },
	{ "ipv6/auto_flowlabels", S(v6_auto_flowlabels), 1, 0, 3, "1" },
	{ "ipv6/icmp/ratelimit", S(v6_icmp_ratelimit), 1, 0, IMAX, "1000" },
	{ "ipv6/icmp/echo_ignore_all", S(v6_echo_ignore_all), 1, 0, 1, "0" },
	{ "netfilter/nf_conntrack_max", S(nf_ct_max), 1, 0, IMAX, "65536" },
	{ "nf_conntrack_max", S(nf_ct_max), 1, 0, IMAX, "65536" },
	{ "netfilter/nf_conntrack_count", S(nf_ct_count), 1, 1, 0, "0" },
	{ "netfilter/nf_conntrack_buckets", S(nf_ct_buckets), 1, 1, IMAX, "16384" },
	{ "netfilter/nf_conntrack_acct", S(nf_ct_acct), 1, 0, 1, "0" },
	{ "netfilter/nf_conntrack_tcp_loose", S(nf_ct_tcp_loose), 1, 0, 1, "1" },
	{ "netfilter/nf_conntrack_tcp_timeout_established", S(nf_ct_tcp_established), 1, 1, IMAX, "432000" },
	{ "netfilter/nf_conntrack_tcp_timeout_syn_sent", S(nf_ct_tcp_syn_sent), 1, 1, IMAX, "120" },
	{ "netfilter/nf_conntrack_tcp_timeout_syn_recv", S(nf_ct_tcp_syn_recv), 1, 1, IMAX, "60" },
	{ "netfilter/nf_conntrack_tcp_timeout_fin_wait", S(nf_ct_tcp_fin_wait), 1, 1, IMAX, "120" },
	{ "netfilter/nf_conntrack_tcp_timeout_close_wait", S(nf_ct_tcp_close_wait), 1, 1, IMAX, "60" },
	{ "netfilter/nf_conntrack_tcp_timeout_last_ack", S(nf_ct_tcp_last_ack), 1, 1, IMAX, "30" },
	{ "netfilter/nf_conntrack_tcp_timeout_time_wait", S(nf_ct_tcp_time_wait), 1, 1, IMAX, "120" },
	{ "netfilter/nf_conntrack_tcp_timeout_close", S(nf_ct_tcp_close), 1, 1, IMAX, "10" },
	{ "netfilter/nf_conntrack_udp_timeout", S(nf_ct_udp), 1, 1, IMAX, "30" },
	{ "netfilter/nf_conntrack_udp_timeout_stream", S(nf_ct_udp_stream), 1, 1, IMAX, "120" },
	{ "netfilter/nf_conntrack_icmp_timeout", S(nf_ct_icmp), 1, 1, IMAX, "30" },
	{ "netfilter/nf_conntrack_generic_timeout", S(nf_ct_generic), 1, 1, IMAX, "600" },
};

/* Per-interface rows; offsets into struct net_link. */
static const struct conf_row {
	const char *family, *name;
	uint16_t off;
} conf_rows[] = {
#define C(f) offsetof(struct net_link, conf.f)
	{ "ipv4", "forwarding", C(forwarding) },	 { "ipv4", "accept_local", C(accept_local) },
	{ "ipv4", "rp_filter", C(rp_filter) },		 { "ipv4", "arp_ignore", C(arp_ignore) },
	{ "ipv4", "arp_announce", C(arp_announce) },	 { "ipv4", "proxy_arp", C(proxy_arp) },
	{ "ipv4", "accept_redirects", C(accept_redirects) }, { "ipv4", "send_redirects", C(send_redirects) },
	{ "ipv4", "route_localnet", C(route_localnet) }, { "ipv4", "accept_source_route", C(accept_source_route) },
	{ "ipv4", "tag", C(tag) },
	{ "ipv6", "disable_ipv6", C(v6_disable) },	 { "ipv6", "forwarding", C(v6_forwarding) },
	{ "ipv6", "accept_ra", C(v6_accept_ra) },	 { "ipv6", "dad_transmits", C(v6_dad_transmits) },
	{ "ipv6", "hop_limit", C(v6_hop_limit) },	 { "ipv6", "autoconf", C(v6_autoconf) },
};

static int *conf_member(struct net_link *l, const struct conf_row *r)
{
	return (int *)((char *)l + r->off);
}

/* Up to @n integers separated by blanks. How many were read; -1: not a number. */
static int parse_ints(const char *s, int *v, unsigned n)
{
	unsigned i = 0;

	while (i < n) {
		char *end;
		long x;

		while (*s == ' ' || *s == '\t' || *s == '\n')
			s++;
		if (!*s)
			break;
		x = strtol(s, &end, 0);
		if (end == s || x < INT32_MIN || x > INT32_MAX || (*end && !strchr(" \t\n", *end)))
			return -1;
		v[i++] = (int)x;
		s = end;
	}
	while (*s == ' ' || *s == '\t' || *s == '\n')
		s++;
	return *s ? -1 : (int)i;
}

/* Per-interface files that are listed: a directory has one content for all namespaces, so only names that every pod has. */
static const char *const conf_names[] = { "all", "default", "lo", "eth0" };
static char conf_paths[ARRAY_SIZE(conf_names) * ARRAY_SIZE(conf_rows)][64];

static void conf_paths_init(void)
{
	static _Atomic bool done;

	if (atomic_load(&done))
		return;
	/* two at once write the same bytes */
	for (unsigned i = 0; i < ARRAY_SIZE(conf_paths); i++) {
		const struct conf_row *r = &conf_rows[i % ARRAY_SIZE(conf_rows)];

		snprintf(conf_paths[i], sizeof(conf_paths[i]), "%s/conf/%s/%s", r->family, conf_names[i / ARRAY_SIZE(conf_rows)], r->name);
	}
	atomic_store(&done, true);
}

void net_sysctl_init(struct net_sysctl *s)
{
	conf_paths_init();
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].n >= ROW_TEXT)
			continue;
		if (rows[i].n)
			BUG_ON(parse_ints(rows[i].def, (int *)((char *)s + rows[i].off), rows[i].n) != rows[i].n);
		else
			strcpy((char *)s + rows[i].off, rows[i].def);
	}
}

const char *net_sysctl_path(unsigned i)
{
	if (i < ARRAY_SIZE(rows))
		return rows[i].path;
	i -= ARRAY_SIZE(rows);
	return i < ARRAY_SIZE(conf_paths) ? conf_paths[i] : NULL;
}

static const struct sysctl_row *find_row(const char *path)
{
	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (!strcmp(rows[i].path, path))
			return &rows[i];
	return NULL;
}

/* "ipv4/conf/eth0/forwarding" */
static const struct conf_row *find_conf(const char *path, char ifname[NET_IFNAMSIZ])
{
	char fam[8], rest[32];

	if (sscanf(path, "%7[^/]/conf/%15[^/]/%31s", fam, ifname, rest) != 3)
		return NULL;
	for (unsigned i = 0; i < ARRAY_SIZE(conf_rows); i++)
		if (!strcmp(conf_rows[i].family, fam) && !strcmp(conf_rows[i].name, rest))
			return &conf_rows[i];
	return NULL;
}

static long conf_read(struct net_ns *ns, const struct conf_row *r, const char *ifname, char *out, size_t cap)
{
	bool any = !strcmp(ifname, "all") || !strcmp(ifname, "default");
	struct net_link *l = net_link_by_name(ns, any ? "lo" : ifname);
	int n;

	if (!l)
		return -LINUX_ENOENT;
	n = snprintf(out, cap, "%d\n", *conf_member(l, r));
	net_link_put(l);
	return (size_t)n < cap ? n : -LINUX_ENOSPC;
}

struct conf_set {
	const struct conf_row *r;
	const char *ifname; /* NULL: all */
	int v;
	bool hit;
};

static int conf_set_one(struct net_link *l, void *arg)
{
	struct conf_set *s = arg;

	if (s->ifname && strcmp(l->name, s->ifname))
		return 0;
	*conf_member(l, s->r) = s->v;
	s->hit = true;
	return 0;
}

static long conf_write(struct net_ns *ns, const struct conf_row *r, const char *ifname, const char *text)
{
	bool all = !strcmp(ifname, "all"), def = !strcmp(ifname, "default");
	struct conf_set s = { .r = r, .ifname = all ? NULL : ifname };

	if (parse_ints(text, &s.v, 1) != 1)
		return -LINUX_EINVAL;
	if (def)
		return 0; /* links made later take the kind's defaults */
	net_link_each(ns, conf_set_one, &s);
	if (!s.hit && !all)
		return -LINUX_ENOENT;
	net_route_gen_bump(ns);
	return 0;
}

long net_sysctl_read(struct net_ns *ns, const char *path, char *out, size_t cap)
{
	const struct sysctl_row *r = find_row(path);
	char ifname[NET_IFNAMSIZ];
	const struct conf_row *c;
	const int *v;
	int n = 0;

	if (!r) {
		c = find_conf(path, ifname);
		return c ? conf_read(ns, c, ifname, out, cap) : -LINUX_ENOENT;
	}
	if (r->n == ROW_PORTS)
		return net_reserved_ports_read(ns, out, cap);
	if (r->off == S(nf_ct_count))
		ns->sysctl.nf_ct_count = nf_ct_table_of(ns) ? (int32_t)atomic_load(&nf_ct_table_of(ns)->nr) : 0;
	v = (const int *)((const char *)&ns->sysctl + r->off);
	switch (r->n) {
	case ROW_TEXT:
		n = snprintf(out, cap, "%s\n", r->def);
		break;
	case 0:
		n = snprintf(out, cap, "%s\n", (const char *)v);
		break;
	case 1:
		n = snprintf(out, cap, "%d\n", v[0]);
		break;
	case 2:
		n = snprintf(out, cap, "%d\t%d\n", v[0], v[1]);
		break;
	default:
		n = snprintf(out, cap, "%d\t%d\t%d\n", v[0], v[1], v[2]);
	}
	return (size_t)n < cap ? n : -LINUX_ENOSPC;
}

/* What a changed value means beyond itself. */
static void sysctl_changed(struct net_ns *ns, const struct sysctl_row *r)
{
	if (r->off == S(ip_forward)) {
		struct conf_set s = { .r = &conf_rows[0], .v = ns->sysctl.ip_forward };

		net_link_each(ns, conf_set_one, &s);
		net_route_gen_bump(ns);
	}
}

long net_sysctl_write(struct net_ns *ns, const char *path, const char *text, size_t len)
{
	const struct sysctl_row *r = find_row(path);
	char buf[64], ifname[NET_IFNAMSIZ];
	const struct conf_row *c;
	int v[3], n;

	if (r && r->n == ROW_PORTS)
		return net_reserved_ports_write(ns, text, len);
	if (r && r->n == ROW_TEXT)
		return -LINUX_EACCES;
	if (len >= sizeof(buf))
		return -LINUX_EINVAL;
	memcpy(buf, text, len);
	buf[len] = '\0';
	if (!r) {
		c = find_conf(path, ifname);
		return c ? conf_write(ns, c, ifname, buf) : -LINUX_ENOENT;
	}
	if (!r->n) {
		buf[strcspn(buf, " \t\n")] = '\0';
		if (!net_cong_known(buf))
			return -LINUX_ENOENT;
		strcpy((char *)&ns->sysctl + r->off, buf);
		return 0;
	}
	if (r->max < r->min)
		return -LINUX_EACCES;
	n = parse_ints(buf, v, r->n);
	if (n <= 0 || (r->n > 1 && n != r->n))
		return -LINUX_EINVAL;
	for (int i = 0; i < n; i++)
		if (v[i] < r->min || v[i] > r->max)
			return -LINUX_EINVAL;
	if (r->off == S(ip_local_port_range) && v[0] > v[1])
		return -LINUX_EINVAL;
	memcpy((char *)&ns->sysctl + r->off, v, (size_t)n * sizeof(int));
	sysctl_changed(ns, r);
	return 0;
}
