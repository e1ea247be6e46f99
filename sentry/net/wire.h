/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/wire.h - wire formats: accessors and validated records
 *
 * Model:   a parser reads a header that is linear and long enough (pkt_may_pull() first) into a record; the
 *          rest of the stack uses the record only.
 * Source:  IEEE 802.3, RFC 826 (ARP), RFC 791 (IPv4), RFC 8200 (IPv6), RFC 792, RFC 4443 (ICMP), RFC 768 (UDP),
 *          RFC 9293 (TCP).
 */
#ifndef SENTRY_NET_WIRE_H
#define SENTRY_NET_WIRE_H

#include "sentry/net/types.h"

static inline uint16_t rd16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return __builtin_bswap16(v);
}
static inline uint32_t rd32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return __builtin_bswap32(v);
}
static inline void wr16(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, 2);
}
static inline void wr32(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, 4);
}

#define ETH_HLEN    14
#define ETH_P_IP    0x0800
#define ETH_P_ARP   0x0806
#define ETH_P_8021Q 0x8100
#define ETH_P_IPV6  0x86dd
#define ETH_P_ALL   0x0003

#define ARP_LEN	     28
#define ARP_REQUEST  1
#define ARP_REPLY    2

#define IP4_HLEN     20
#define IP4_DF	     0x4000
#define IP4_MF	     0x2000
#define IP4_OFFMASK  0x1fff
#define IP6_HLEN     40
#define IP6_MIN_MTU  1280

#define IPPROTO6_HOPOPTS  0
#define IPPROTO6_ROUTING  43
#define IPPROTO6_FRAGMENT 44
#define IPPROTO6_NONE	  59
#define IPPROTO6_DSTOPTS  60

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_PSH 0x08
#define TCP_ACK 0x10
#define TCP_URG 0x20
#define TCP_ECE 0x40
#define TCP_CWR 0x80
#define TCP_HLEN 20
#define UDP_HLEN 8

#define ICMP_ECHOREPLY	  0
#define ICMP_DEST_UNREACH 3
#define ICMP_REDIRECT	  5
#define ICMP_ECHO	  8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12
#define ICMP_TIMESTAMP	  13
#define ICMP_TIMESTAMPREPLY 14
#define ICMP_NET_UNREACH  0
#define ICMP_HOST_UNREACH 1
#define ICMP_PROT_UNREACH 2
#define ICMP_PORT_UNREACH 3
#define ICMP_FRAG_NEEDED  4
#define ICMP_PKT_FILTERED 13

#define ICMP6_DEST_UNREACH 1
#define ICMP6_PKT_TOOBIG   2
#define ICMP6_TIME_EXCEED  3
#define ICMP6_PARAMPROB	   4
#define ICMP6_ECHO	   128
#define ICMP6_ECHOREPLY	   129
#define ICMP6_MLD_QUERY	   130
#define ICMP6_MLD_REPORT   131
#define ICMP6_MLD_DONE	   132
#define ICMP6_RS	   133
#define ICMP6_RA	   134
#define ICMP6_NS	   135
#define ICMP6_NA	   136
#define ICMP6_REDIRECT	   137
#define ICMP6_MLD2_REPORT  143

#endif
