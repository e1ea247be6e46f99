/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/xtables.h - rule blobs of iptables and ip6tables, and what their extensions carry
 *
 * Source:  linux/netfilter/x_tables.h, xt_*.h, linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h.
 */
#ifndef SENTRY_ABI_XTABLES_H
#define SENTRY_ABI_XTABLES_H

#include <stddef.h>
#include <stdint.h>

#define LINUX_IPT_SO_SET_REPLACE	 64
#define LINUX_IPT_SO_SET_ADD_COUNTERS	 65
#define LINUX_IPT_SO_GET_INFO		 64
#define LINUX_IPT_SO_GET_ENTRIES	 65
#define LINUX_IPT_SO_GET_REVISION_MATCH	 66 /* IPv6: 68 */
#define LINUX_IPT_SO_GET_REVISION_TARGET 67 /* IPv6: 69 */
#define LINUX_ARPT_SO_BASE		 96
#define LINUX_ARPT_SO_GET_REVISION_TARGET 99
#define LINUX_SO_ORIGINAL_DST		 80

#define LINUX_XT_NAME_MAX 29 /* of extensions; with revision 1 byte */
#define LINUX_XT_TABLE_NAME_MAX 32
#define LINUX_XT_STANDARD_TARGET ""
#define LINUX_XT_ERROR_TARGET "ERROR"
#define LINUX_XT_RETURN (-5)
#define LINUX_XT_ALIGN 8

struct linux_xt_counters {
	uint64_t packets, bytes;
};
struct linux_xt_ext_hdr { /* in front of a match or target */
	uint16_t size;
	char name[LINUX_XT_NAME_MAX];
	uint8_t revision;
};
_Static_assert(sizeof(struct linux_xt_ext_hdr) == 32, "ABI");
struct linux_xt_standard_target {
	struct linux_xt_ext_hdr h;
	int32_t verdict;
	uint32_t pad;
};
struct linux_xt_error_target {
	struct linux_xt_ext_hdr h;
	char name[30];
	uint16_t pad;
};
struct linux_xt_get_revision {
	char name[LINUX_XT_NAME_MAX];
	uint8_t revision;
};

#define LINUX_IPT_F_FRAG 0x01
#define LINUX_IPT_F_GOTO 0x02
#define LINUX_IPT_F_MASK 0x03
#define LINUX_IP6T_F_PROTO 0x01
#define LINUX_IP6T_F_TOS 0x02
#define LINUX_IP6T_F_GOTO 0x04
#define LINUX_IP6T_F_MASK 0x07
#define LINUX_IPT_INV_VIA_IN 0x01
#define LINUX_IPT_INV_VIA_OUT 0x02
#define LINUX_IPT_INV_TOS 0x04
#define LINUX_IPT_INV_SRCIP 0x08
#define LINUX_IPT_INV_DSTIP 0x10
#define LINUX_IPT_INV_FRAG 0x20
#define LINUX_IPT_INV_PROTO 0x40
#define LINUX_IPT_INV_MASK 0x7f

struct linux_ipt_entry {
	uint32_t src, dst, smsk, dmsk;
	char in[16], out[16];
	uint8_t in_mask[16], out_mask[16];
	uint16_t proto;
	uint8_t flags, invflags;
	uint32_t nfcache;
	uint16_t target_offset, next_offset;
	uint32_t comefrom;
	struct linux_xt_counters counters;
};
_Static_assert(sizeof(struct linux_ipt_entry) == 112, "ABI");
struct linux_ip6t_entry {
	uint8_t src[16], dst[16], smsk[16], dmsk[16];
	char in[16], out[16];
	uint8_t in_mask[16], out_mask[16];
	uint16_t proto;
	uint8_t tos, flags, invflags, pad[3];
	uint32_t nfcache;
	uint16_t target_offset, next_offset;
	uint32_t comefrom, pad2;
	struct linux_xt_counters counters;
};
_Static_assert(sizeof(struct linux_ip6t_entry) == 168, "ABI");
_Static_assert(offsetof(struct linux_ip6t_entry, nfcache) == 136, "ABI");

struct linux_ipt_getinfo {
	char name[LINUX_XT_TABLE_NAME_MAX];
	uint32_t valid_hooks, hook_entry[5], underflow[5], num_entries, size;
};
_Static_assert(sizeof(struct linux_ipt_getinfo) == 84, "ABI");
struct linux_ipt_replace {
	char name[LINUX_XT_TABLE_NAME_MAX];
	uint32_t valid_hooks, num_entries, size, hook_entry[5], underflow[5], num_counters;
	uint64_t counters; /* guest pointer */
};
_Static_assert(sizeof(struct linux_ipt_replace) == 96, "ABI");
struct linux_ipt_get_entries {
	char name[LINUX_XT_TABLE_NAME_MAX];
	uint32_t size, pad;
};
_Static_assert(sizeof(struct linux_ipt_get_entries) == 40, "ABI");
struct linux_xt_counters_info {
	char name[LINUX_XT_TABLE_NAME_MAX];
	uint32_t num_counters, pad;
};

/* ---- matches --------------------------------------------------------------------------------------------------------- */

struct linux_xt_tcp {
	uint16_t spts[2], dpts[2];
	uint8_t option, flg_mask, flg_cmp, invflags;
};
struct linux_xt_udp {
	uint16_t spts[2], dpts[2];
	uint8_t invflags, pad;
};
struct linux_xt_icmp {
	uint8_t type, code[2], invflags;
};
struct linux_xt_multiport {
	uint8_t flags, count;
	uint16_t ports[15];
	uint8_t pflags[15], invert;
};
struct linux_xt_mark {
	uint32_t mark, mask;
	uint8_t invert;
};
struct linux_xt_state {
	uint32_t statemask;
};
struct linux_xt_conntrack {
	uint8_t addr[4][2][16];	/* orig src, orig dst, reply src, reply dst; address and mask */
	uint32_t expires_min, expires_max;
	uint16_t l4proto, ports[4], match_flags, invert_flags, state_mask, status_mask, ports_high[4];
};
_Static_assert(sizeof(struct linux_xt_conntrack) == 164, "ABI");
struct linux_xt_limit {
	uint32_t avg, burst;
	uint64_t prev;
	uint32_t credit, credit_cap, cost, pad;
	uint64_t master;
};
struct linux_xt_addrtype0 {
	uint16_t source, dest;
	uint32_t invert_source, invert_dest;
};
struct linux_xt_addrtype1 {
	uint16_t source, dest;
	uint32_t flags;
};
struct linux_xt_owner {
	uint32_t uid_min, uid_max, gid_min, gid_max;
	uint8_t match, invert;
};
struct linux_xt_mac {
	uint8_t addr[6];
	uint16_t pad;
	int32_t invert;
};
struct linux_xt_iprange {
	uint8_t src_min[16], src_max[16], dst_min[16], dst_max[16];
	uint8_t flags;
};
struct linux_xt_length {
	uint16_t min, max;
	uint8_t invert;
};
struct linux_xt_pkttype {
	int32_t type, invert;
};
struct linux_xt_statistic {
	uint16_t mode, flags;
	uint32_t a, packet, count; /* random: probability; nth: every, packet */
	uint64_t master;
};
struct linux_xt_tcpmss {
	uint16_t min, max;
	uint8_t invert;
};
struct linux_xt_ttl {
	uint8_t mode, ttl;
};
struct linux_xt_dscp {
	uint8_t dscp, invert;
};
struct linux_xt_tos {
	uint8_t mask, value, invert;
};
struct linux_xt_tos_tg {
	uint8_t value, mask;
};
struct linux_xt_rpfilter {
	uint8_t flags;
};

/* ---- targets --------------------------------------------------------------------------------------------------------- */

struct linux_nat_range_v4 {
	uint32_t flags, min, max;
	uint16_t pmin, pmax;
};
struct linux_nat_multi_range {
	uint32_t rangesize;
	struct linux_nat_range_v4 r;
};
struct linux_nat_range {
	uint32_t flags;
	uint8_t min[16], max[16];
	uint16_t pmin, pmax;
};
struct linux_nat_range2 {
	uint32_t flags;
	uint8_t min[16], max[16];
	uint16_t pmin, pmax, pbase, pad;
};
struct linux_xt_mark_tg {
	uint32_t mark, mask;
};
struct linux_xt_connmark_tg {
	uint32_t ctmark, ctmask, nfmask;
	uint8_t b[4]; /* revision 1: mode; 2: direction, bits, mode */
};
struct linux_xt_reject {
	uint32_t with;
};
struct linux_xt_log {
	uint8_t level, flags;
	char prefix[30];
};
struct linux_xt_tcpmss_tg {
	uint16_t mss;
};
struct linux_xt_ct0 {
	uint16_t flags, zone;
	uint32_t ct_events, exp_events;
	char helper[16];
	uint64_t ct;
};
struct linux_xt_ct1 {
	uint16_t flags, zone;
	uint32_t ct_events, exp_events;
	char helper[16], timeout[32];
	uint64_t ct;
};

#endif
