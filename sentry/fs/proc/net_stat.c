/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/net_stat.c - /proc/net: counters
 *
 * Model:   a file of counters is a list of names per group, in Linux's order; values come from the stack's table by name, and
 *          names that it does not count are things that it does not do: zero.
 * Source:  proc(5), RFC 4293, RFC 4022, RFC 4113.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/fs/proc/net_files.h"
#include "sentry/net/mib.h"

static const struct snmp_group {
	const char *group;	/* prefix of the lines, and group of the stack's table */
	const char *names;
} snmp_groups[] = {
	{ "Ip", "Forwarding DefaultTTL InReceives InHdrErrors InAddrErrors ForwDatagrams InUnknownProtos InDiscards InDelivers OutRequests "
		"OutDiscards OutNoRoutes ReasmTimeout ReasmReqds ReasmOKs ReasmFails FragOKs FragFails FragCreates" },
	{ "Icmp", "InMsgs InErrors InCsumErrors InDestUnreachs InTimeExcds InParmProbs InSrcQuenchs InRedirects InEchos InEchoReps "
		  "InTimestamps InTimestampReps InAddrMasks InAddrMaskReps OutMsgs OutErrors OutRateLimitGlobal OutRateLimitHost "
		  "OutDestUnreachs OutTimeExcds OutParmProbs OutSrcQuenchs OutRedirects OutEchos OutEchoReps OutTimestamps "
		  "OutTimestampReps OutAddrMasks OutAddrMaskReps" },
	{ "Tcp", "RtoAlgorithm RtoMin RtoMax MaxConn ActiveOpens PassiveOpens AttemptFails EstabResets CurrEstab InSegs OutSegs "
		 "RetransSegs InErrs OutRsts InCsumErrors" },
	{ "Udp", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors" },
	{ "UdpLite", "InDatagrams NoPorts InErrors OutDatagrams RcvbufErrors SndbufErrors InCsumErrors IgnoredMulti MemErrors" },
};

/* Facts that stand among the counters. RFC 4022: 1 = other than constant, RFC 1122, Van Jacobson. */
static bool fact(const struct net_ns *ns, const char *name, long long *out)
{
	const struct {
		const char *name;
		long long v;
	} facts[] = {
		{ "Forwarding", ns->sysctl.ip_forward ? 1 : 2 }, { "DefaultTTL", ns->sysctl.ip_default_ttl },
		{ "RtoAlgorithm", 1 }, { "RtoMin", 200 }, { "RtoMax", 120000 }, { "MaxConn", -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(facts); i++)
		if (!strcmp(facts[i].name, name)) {
			*out = facts[i].v;
			return true;
		}
	return false;
}

static long long value_of(struct net_ns *ns, const char *group, const char *name)
{
	long long v;

	if (fact(ns, name, &v))
		return v;
	for (unsigned i = 0; i < MIB_COUNT; i++)
		if (!strcmp(net_mib_rows[i].group, group) && !strcmp(net_mib_rows[i].name, name))
			return (long long)atomic_load_explicit(&ns->mib[i], memory_order_relaxed);
	return 0;
}

static void put_values(struct net_ns *ns, const struct snmp_group *g, struct buf *out)
{
	char name[32];

	for (const char *p = g->names; *p;) {
		size_t n = strcspn(p, " ");

		memcpy(name, p, MIN(n, sizeof(name) - 1));
		name[MIN(n, sizeof(name) - 1)] = '\0';
		buf_printf(out, " %lld", value_of(ns, g->group, name));
		p += n + (p[n] == ' ');
	}
}

NET_SHOW(snmp)
{
	for (size_t i = 0; i < ARRAY_SIZE(snmp_groups); i++) {
		const struct snmp_group *g = &snmp_groups[i];

		buf_printf(out, "%s: %s\n%s:", g->group, g->names, g->group);
		put_values(ns->stack, g, out);
		buf_printf(out, "\n");
	}
}

NET_SHOW(netstat)
{
	for (int values = 0; values < 2; values++) {
		buf_printf(out, "TcpExt:");
		for (unsigned i = 0; i < MIB_COUNT; i++) {
			if (strcmp(net_mib_rows[i].group, "TcpExt"))
				continue;
			if (values)
				buf_printf(out, " %llu", (unsigned long long)atomic_load(&ns->stack->mib[i]));
			else
				buf_printf(out, " %s", net_mib_rows[i].name);
		}
		buf_printf(out, "\n");
	}
}

NET_SHOW(snmp6)
{
	static const char *const groups[] = { "Ip6", "Icmp6", "Udp6" };
	char name[64];

	for (size_t g = 0; g < ARRAY_SIZE(groups); g++)
		for (unsigned i = 0; i < MIB_COUNT; i++)
			if (!strcmp(net_mib_rows[i].group, groups[g])) {
				snprintf(name, sizeof(name), "%s%s", groups[g], net_mib_rows[i].name);
				buf_printf(out, "%-32s\t%llu\n", name, (unsigned long long)atomic_load(&ns->stack->mib[i]));
			}
}

/* ---- how many there are ------------------------------------------------------------------------------------------------- */

static int count_one(struct sock *sk, void *arg)
{
	struct sock_info i;

	sock_get_info(sk, &i);
	if (i.ino || i.proto != NET_IPPROTO_TCP)
		++*(unsigned *)arg;
	return 0;
}

static unsigned count(struct net_ns_ref *ns, int family, int proto)
{
	unsigned n = 0;

	sock_each(ns->stack, family, proto, count_one, &n);
	return n;
}

NET_SHOW(sockstat)
{
	struct net_ns *st = ns->stack;
	unsigned tcp = count(ns, NET_AF_INET, NET_IPPROTO_TCP), udp = count(ns, NET_AF_INET, NET_IPPROTO_UDP),
		 raw = count(ns, NET_AF_INET, NET_IPPROTO_RAW);

	buf_printf(out, "sockets: used %u\n", tcp + udp + raw);
	buf_printf(out, "TCP: inuse %u orphan %u tw %u alloc %u mem %llu\n", tcp, atomic_load(&st->nr_orphans), atomic_load(&st->nr_timewait),
		   tcp, (unsigned long long)to_pages(atomic_load(&st->tcp_mem_bytes)));
	buf_printf(out, "UDP: inuse %u mem %u\nUDPLITE: inuse 0\nRAW: inuse %u\nFRAG: inuse 0 memory 0\n", udp, 0, raw);
}

NET_SHOW(sockstat6)
{
	buf_printf(out, "TCP6: inuse %u\nUDP6: inuse %u\nUDPLITE6: inuse 0\nRAW6: inuse %u\nFRAG6: inuse 0 memory 0\n",
		   count(ns, NET_AF_INET6, NET_IPPROTO_TCP), count(ns, NET_AF_INET6, NET_IPPROTO_UDP), count(ns, NET_AF_INET6, NET_IPPROTO_RAW));
}

NET_SHOW(protocols)
{
	static const struct {
		const char *name;
		int family, proto;
	} rows[] = {
		{ "RAWv6", NET_AF_INET6, NET_IPPROTO_RAW }, { "UDPv6", NET_AF_INET6, NET_IPPROTO_UDP }, { "TCPv6", NET_AF_INET6, NET_IPPROTO_TCP },
		{ "RAW", NET_AF_INET, NET_IPPROTO_RAW },    { "UDP", NET_AF_INET, NET_IPPROTO_UDP },	{ "TCP", NET_AF_INET, NET_IPPROTO_TCP },
	};

	buf_printf(out, "protocol  size sockets  memory press maxhdr  slab module     cl co di ac io in de sh ss gs se re sp bi br ha uh gp em\n");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		buf_printf(out, "%-9s %4u %6u  %6d   %-3s %6u   %-3s  %-10s  y  y  y  y  y  y  y  y  y  y  n  y  y  y  y  y  n  n  n\n", rows[i].name,
			   1024, count(ns, rows[i].family, rows[i].proto), -1, "NI", 0, "no", "kernel");
}

NET_SHOW(softnet_stat)
{
	buf_printf(out, "%08x %08x %08x %08x %08x %08x %08x %08x %08x %08x %08x %08x %08x\n", 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}

NET_SHOW(ptype)
{
	buf_printf(out, "Type Device      Function\n0800          ip_rcv\n0806          arp_rcv\n86dd          ipv6_rcv\n");
}

/* Nanoseconds per tick and microsecond of a traffic scheduler's clock: tc(8) divides by them. */
NET_SHOW(psched)
{
	buf_printf(out, "%08x %08x %08x %08x\n", 1000, 64, 1000000, 1000000000);
}
