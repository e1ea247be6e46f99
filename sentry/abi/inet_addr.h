/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/inet_addr.h - Internet socket addresses and control messages as guests see them (ip(7), ipv6(7))
 */
#ifndef SENTRY_ABI_INET_ADDR_H
#define SENTRY_ABI_INET_ADDR_H

#include <stdint.h>

#include "sentry/abi/inet.h"

struct linux_sockaddr_in {
	uint16_t family;
	uint8_t port[2], addr[4], zero[8];
};
_Static_assert(sizeof(struct linux_sockaddr_in) == 16, "ip(7)");

struct linux_sockaddr_in6 {
	uint16_t family;
	uint8_t port[2];
	uint32_t flowinfo;
	uint8_t addr[16];
	uint32_t scope_id;
};
_Static_assert(sizeof(struct linux_sockaddr_in6) == 28, "ipv6(7)");
#define LINUX_SIN6_LEN_RFC2133 24 /* without scope_id: still accepted */

struct linux_sockaddr_ll {
	uint16_t family;
	uint8_t protocol[2];
	int32_t ifindex;
	uint16_t hatype;
	uint8_t pkttype, halen, addr[8];
};
_Static_assert(sizeof(struct linux_sockaddr_ll) == 20, "packet(7)");

struct linux_in_pktinfo {
	int32_t ifindex;
	uint8_t spec_dst[4], addr[4];
};

struct linux_in6_pktinfo {
	uint8_t addr[16];
	uint32_t ifindex;
};

struct linux_sock_extended_err {
	uint32_t err;
	uint8_t origin, type, code, pad;
	uint32_t info, data;
};

#define LINUX_IPPROTO_IP     0
#define LINUX_IPPROTO_ICMP   1
#define LINUX_IPPROTO_TCP    6
#define LINUX_IPPROTO_UDP    17
#define LINUX_IPPROTO_IPV6   41
#define LINUX_IPPROTO_ICMPV6 58

#define LINUX_IP_ORIGDSTADDR	20
#define LINUX_IPV6_PKTINFO	50
#define LINUX_IPV6_HOPLIMIT	52
#define LINUX_PACKET_AUXDATA	8

#endif
