/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_nf.c - /proc/net/ip_tables_* and nf_conntrack
 *
 * Source:  the formats that iptables-save(8) and conntrack-tools read.
 */
#include "sentry/fs/proc/net_files.h"
#include "sentry/net/nf/ipt.h"

static void table_names(struct net_ns_ref *ns, uint8_t family, struct buf *out)
{
	const char *name;

	for (unsigned i = 0; (name = ipt_table_name(ns->stack, family, i)); i++)
		buf_printf(out, "%s\n", name);
}

void proc_net_ip_tables_names(struct net_ns_ref *ns, struct buf *out)
{
	table_names(ns, NET_AF_INET, out);
}

void proc_net_ip6_tables_names(struct net_ns_ref *ns, struct buf *out)
{
	table_names(ns, NET_AF_INET6, out);
}

static void extension_names(const struct xt_ext *e, unsigned n, uint8_t families, struct buf *out)
{
	for (unsigned i = 0; i < n; i++)
		if (e[i].families & families)
			buf_printf(out, "%s\n", e[i].name);
}

static void match_names(uint8_t families, struct buf *out)
{
	extension_names(xt_matches, xt_nr_matches, families, out);
	extension_names(xt_ct_matches, xt_nr_ct_matches, families, out);
}

static void target_names(uint8_t families, struct buf *out)
{
	buf_printf(out, "ERROR\n");
	extension_names(xt_targets, xt_nr_targets, families, out);
	extension_names(xt_nat_targets, xt_nr_nat_targets, families, out);
}

void proc_net_ip_tables_matches(struct net_ns_ref *ns, struct buf *out)
{
	match_names(XT_V4, out);
}

void proc_net_ip6_tables_matches(struct net_ns_ref *ns, struct buf *out)
{
	match_names(XT_V6, out);
}

void proc_net_ip_tables_targets(struct net_ns_ref *ns, struct buf *out)
{
	target_names(XT_V4, out);
}

void proc_net_ip6_tables_targets(struct net_ns_ref *ns, struct buf *out)
{
	target_names(XT_V6, out);
}

/* ---- nf_conntrack ----------------------------------------------------------------------------------------------------- */

static const char *proto_name(uint8_t proto)
{
	switch (proto) {
	case NET_IPPROTO_TCP:
		return "tcp";
	case NET_IPPROTO_UDP:
		return "udp";
	case NET_IPPROTO_ICMP:
		return "icmp";
	case NET_IPPROTO_ICMPV6:
		return "icmpv6";
	}
	return "unknown";
}

static void put_addr(struct buf *out, const char *key, const struct naddr *a)
{
	char s[NADDR_STRLEN];

	if (naddr_is_v4(a)) {
		buf_printf(out, "%s=%s ", key, naddr_str(a, s));
		return;
	}
	/* all eight groups in full, as seq_printf's %pI6 writes them */
	buf_printf(out, "%s=", key);
	for (unsigned i = 0; i < 16; i += 2)
		buf_printf(out, "%02x%02x%s", a->b[i], a->b[i + 1], i < 14 ? ":" : " ");
}

static void put_tuple(struct buf *out, struct nf_conn *ct, unsigned dir)
{
	const struct nf_tuple *t = &ct->th[dir].t;

	put_addr(out, "src", &t->src);
	put_addr(out, "dst", &t->dst);
	if (t->proto == NET_IPPROTO_ICMP || t->proto == NET_IPPROTO_ICMPV6)
		buf_printf(out, "type=%u code=%u id=%u ", t->dport & 0xff, t->dport >> 8, t->sport);
	else if (t->proto == NET_IPPROTO_TCP || t->proto == NET_IPPROTO_UDP)
		buf_printf(out, "sport=%u dport=%u ", t->sport, t->dport);
	if (ct->tbl->ns->sysctl.nf_ct_acct)
		buf_printf(out, "packets=%lu bytes=%lu ", (unsigned long)atomic_load(&ct->acct[dir].packets),
			   (unsigned long)atomic_load(&ct->acct[dir].bytes));
}

static int put_conn(struct nf_conn *ct, void *arg)
{
	uint64_t now = net_now(ct->tbl->ns->stack), exp = atomic_load(&ct->expires_ns);
	uint32_t status = atomic_load(&ct->status);
	const struct nf_tuple *t = &ct->th[0].t;
	bool v4 = naddr_is_v4(&t->src);
	struct buf *out = arg;

	buf_printf(out, "%-8s %u %-8s %u %lu ", v4 ? "ipv4" : "ipv6", v4 ? NET_AF_INET : NET_AF_INET6, proto_name(t->proto), t->proto,
		   (unsigned long)(exp > now ? (exp - now) / NET_SEC : 0));
	if (t->proto == NET_IPPROTO_TCP)
		buf_printf(out, "%s ", nf_ct_tcp_names[ct->tcp.state]);
	put_tuple(out, ct, 0);
	if (!(status & CTS_SEEN_REPLY))
		buf_printf(out, "[UNREPLIED] ");
	put_tuple(out, ct, 1);
	if (status & CTS_ASSURED)
		buf_printf(out, "[ASSURED] ");
	buf_printf(out, "mark=%u zone=0 use=%u\n", atomic_load(&ct->mark), 2u);
	return out->failed;
}

void proc_net_nf_conntrack(struct net_ns_ref *ns, struct buf *out)
{
	struct nf_ct_table *t = nf_ct_table_of(ns->stack);

	if (t)
		nf_ct_each(t, put_conn, out);
}
