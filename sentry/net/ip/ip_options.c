/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/ip/ip_options.c - IPv4 options: checked, stamped on the way, turned round for replies
 *
 * Model:   one walk checks an option list and, where a hop has to write something (record route, timestamp), writes it. Lists
 *          that users set are kept as they came; each packet gets its own stamped copy.
 * Source:  RFC 791 section 3.1, RFC 1122 section 3.2.1.8, RFC 2113 (router alert).
 * Differs: source routes are refused, on sockets (-LINUX_EINVAL) and on the way (dropped, as Linux does unless told otherwise).
 */
#include "sentry/net/ip/ip.h"
#include "sentry/net/sock_internal.h"

#define OPT_END	  0
#define OPT_NOOP  1
#define OPT_RR	  7
#define OPT_TS	  68
#define OPT_LSRR  131
#define OPT_SSRR  137
#define OPT_RA	  148
#define TS_ONLY	   0
#define TS_ADDR	   1
#define TS_PRESPEC 3

static uint32_t ms_since_midnight(struct net_ns *ns)
{
	return (uint32_t)((net_wall(ns->stack) / NET_MSEC) % 86400000u);
}

/* Both: 0, or where in the option the error is + 1. @addr NULL: only check. */
static uint32_t record_route(uint8_t *o, uint32_t len, const struct naddr *addr)
{
	uint32_t ptr = len >= 3 ? o[2] : 0;

	if (len < 3 || ptr < 4)
		return len < 3 ? 2 : 3;
	if (ptr > len)
		return 0; /* full */
	if (ptr + 3 > len)
		return 3;
	if (addr) {
		memcpy(o + ptr - 1, &addr->w[3], 4);
		o[2] = (uint8_t)(ptr + 4);
	}
	return 0;
}

static uint32_t timestamp(uint8_t *o, uint32_t len, const struct naddr *addr, uint32_t ms)
{
	uint32_t ptr = len >= 4 ? o[2] : 0, how = len >= 4 ? o[3] & 15u : 0, need = how == TS_ONLY ? 4 : 8;

	if (len < 4 || ptr < 5)
		return len < 4 ? 2 : 3;
	if (how != TS_ONLY && how != TS_ADDR && how != TS_PRESPEC)
		return 4;
	if (ptr > len) {
		if (o[3] >> 4 == 15)
			return 4;
		if (addr)
			o[3] = (uint8_t)(o[3] + 0x10); /* one more hop that had no room */
		return 0;
	}
	if (ptr + need - 1 > len)
		return 3;
	if (!addr || (how == TS_PRESPEC && memcmp(o + ptr - 1, &addr->w[3], 4)))
		return 0;
	if (how == TS_ADDR)
		memcpy(o + ptr - 1, &addr->w[3], 4);
	wr32(o + ptr - 1 + need - 4, ms);
	o[2] = (uint8_t)(ptr + need);
	return 0;
}

/* Walks @opts. Return: 0, or offset of what is wrong + 1. */
static uint32_t walk(struct net_ns *ns, uint8_t *opts, uint32_t len, const struct naddr *addr, bool *out_srr)
{
	uint32_t i = 0, l, bad;

	*out_srr = false;
	while (i < len && opts[i] != OPT_END) {
		if (opts[i] == OPT_NOOP) {
			i++;
			continue;
		}
		l = i + 1 < len ? opts[i + 1] : 0;
		if (l < 2 || l > len - i)
			return i + 1;
		bad = 0;
		if (opts[i] == OPT_RR)
			bad = record_route(opts + i, l, addr);
		else if (opts[i] == OPT_TS)
			bad = timestamp(opts + i, l, addr, ms_since_midnight(ns));
		else if (opts[i] == OPT_RA)
			bad = l < 4 ? 2 : 0;
		else if (opts[i] == OPT_LSRR || opts[i] == OPT_SSRR)
			*out_srr = true;
		if (bad)
			return i + bad;
		i += l;
	}
	return 0;
}

bool ip4_opts_ok(struct net_ns *ns, const uint8_t *opts, uint32_t len)
{
	uint8_t copy[IP4_OPTS_MAX];
	bool srr;

	if (len > sizeof(copy))
		return false;
	memcpy(copy, opts, len);
	return !walk(ns, copy, len, NULL, &srr) && !srr;
}

void ip4_opts_stamp(struct net_ns *ns, uint8_t *opts, uint32_t len, const struct naddr *addr)
{
	bool srr;

	walk(ns, opts, len, addr, &srr);
}

bool ip4_opts_input(struct net_ns *ns, struct pkt *p, const struct naddr *addr)
{
	uint32_t len = (p->data[0] & 15u) * 4u - IP4_HLEN, bad;
	bool srr;

	if (likely(!len))
		return true;
	bad = walk(ns, p->data + IP4_HLEN, len, addr, &srr);
	if (bad || srr) {
		mib_inc(ns, MIB_IP_IN_HDR_ERRORS);
		if (bad)
			icmp_send(ns, p, ICMP_PARAMETERPROB, 0, (IP4_HLEN + bad - 1) << 24);
		net_drop(ns, p, DROP_MALFORMED);
		return false;
	}
	ip4_set_csum(p->data);
	return true;
}

uint32_t ip4_opts_echo(const uint8_t *opts, uint32_t len, uint8_t out[IP4_OPTS_MAX])
{
	uint32_t i = 0, n = 0, l;

	memset(out, 0, IP4_OPTS_MAX);
	while (i < len && opts[i] != OPT_END) {
		if (opts[i] == OPT_NOOP) {
			i++;
			continue;
		}
		l = i + 1 < len ? opts[i + 1] : 0;
		if (l < 2 || l > len - i || n + l > IP4_OPTS_MAX)
			break;
		if (opts[i] == OPT_RR || opts[i] == OPT_TS) {
			memcpy(out + n, opts + i, l);
			n += l;
		}
		i += l;
	}
	return ALIGN_UP(n, 4u);
}
