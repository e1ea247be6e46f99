/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/inet.h - socket options of the internet families as guests number them (x86-64 Linux)
 *
 * Source:  socket(7), ip(7), ipv6(7), tcp(7), udp(7), packet(7), and the values of Linux's uapi headers.
 */
#ifndef SENTRY_ABI_INET_H
#define SENTRY_ABI_INET_H

#include <stdint.h>

#include "sentry/abi/socket.h"

#define LINUX_SOL_IP	  0
#define LINUX_SOL_TCP	  6
#define LINUX_SOL_UDP	  17
#define LINUX_SOL_IPV6	  41
#define LINUX_SOL_ICMPV6  58
#define LINUX_SOL_RAW	  255
#define LINUX_SOL_PACKET  263

#define LINUX_SO_BINDTOIFINDEX 62

/* SOL_PACKET */
#define LINUX_PACKET_ADD_MEMBERSHIP  1
#define LINUX_PACKET_DROP_MEMBERSHIP 2
#define LINUX_PACKET_RX_RING	     5
#define LINUX_PACKET_STATISTICS	     6
#define LINUX_PACKET_COPY_THRESH     7
#define LINUX_PACKET_AUXDATA	     8
#define LINUX_PACKET_ORIGDEV	     9
#define LINUX_PACKET_VERSION	     10
#define LINUX_PACKET_HDRLEN	     11
#define LINUX_PACKET_RESERVE	     12
#define LINUX_PACKET_TX_RING	     13
#define LINUX_PACKET_LOSS	     14
#define LINUX_PACKET_VNET_HDR	     15
#define LINUX_PACKET_TIMESTAMP	     17
#define LINUX_PACKET_FANOUT	     18
#define LINUX_PACKET_TX_HAS_OFF	     19
#define LINUX_PACKET_QDISC_BYPASS    20
#define LINUX_PACKET_ROLLOVER_STATS  21
#define LINUX_PACKET_IGNORE_OUTGOING 23
#define LINUX_PACKET_VNET_HDR_SZ     24
struct linux_tpacket_auxdata {
	uint32_t status, len, snaplen;
	uint16_t mac, net, vlan_tci, vlan_tpid;
};

#define LINUX_IP_TOS		  1
#define LINUX_IP_TTL		  2
#define LINUX_IP_HDRINCL	  3
#define LINUX_IP_OPTIONS	  4
#define LINUX_IP_RECVOPTS	  6
#define LINUX_IP_RETOPTS	  7
#define LINUX_IP_PKTINFO	  8
#define LINUX_IP_PKTOPTIONS	  9
#define LINUX_IP_MTU_DISCOVER	  10
#define LINUX_IP_RECVERR	  11
#define LINUX_IP_RECVTTL	  12
#define LINUX_IP_RECVTOS	  13
#define LINUX_IP_MTU		  14
#define LINUX_IP_FREEBIND	  15
#define LINUX_IP_PASSSEC	  18
#define LINUX_IP_TRANSPARENT	  19
#define LINUX_IP_RECVORIGDSTADDR  20
#define LINUX_IP_MINTTL		  21
#define LINUX_IP_BIND_ADDRESS_NO_PORT 24
#define LINUX_IP_MULTICAST_IF	  32
#define LINUX_IP_MULTICAST_TTL	  33
#define LINUX_IP_MULTICAST_LOOP	  34
#define LINUX_IP_ADD_MEMBERSHIP	  35
#define LINUX_IP_DROP_MEMBERSHIP  36
#define LINUX_IP_UNBLOCK_SOURCE	  37
#define LINUX_IP_BLOCK_SOURCE	  38
#define LINUX_IP_ADD_SOURCE_MEMBERSHIP 39
#define LINUX_IP_DROP_SOURCE_MEMBERSHIP 40
#define LINUX_MCAST_JOIN_GROUP	  42
#define LINUX_MCAST_BLOCK_SOURCE  43
#define LINUX_MCAST_UNBLOCK_SOURCE 44
#define LINUX_MCAST_LEAVE_GROUP	  45
#define LINUX_MCAST_JOIN_SOURCE_GROUP 46
#define LINUX_MCAST_LEAVE_SOURCE_GROUP 47
#define LINUX_IP_MULTICAST_ALL	  49
#define LINUX_IP_UNICAST_IF	  50
#define LINUX_IP_PROTOCOL	  52

#define LINUX_IPV6_ADDRFORM	   1
#define LINUX_IPV6_2292PKTINFO	   2
#define LINUX_IPV6_2292HOPLIMIT	   8
#define LINUX_IPV6_UNICAST_IF	   76
#define LINUX_IPV6_UNICAST_HOPS	   16
#define LINUX_IPV6_MULTICAST_IF	   17
#define LINUX_IPV6_MULTICAST_HOPS  18
#define LINUX_IPV6_MULTICAST_LOOP  19
#define LINUX_IPV6_ADD_MEMBERSHIP  20
#define LINUX_IPV6_DROP_MEMBERSHIP 21
#define LINUX_IPV6_MTU_DISCOVER	   23
#define LINUX_IPV6_MTU		   24
#define LINUX_IPV6_RECVERR	   25
#define LINUX_IPV6_V6ONLY	   26
#define LINUX_IPV6_HDRINCL	   36
#define LINUX_IPV6_RECVPKTINFO	   49
#define LINUX_IPV6_RECVHOPLIMIT	   51
#define LINUX_IPV6_DONTFRAG	   62
#define LINUX_IPV6_RECVTCLASS	   66
#define LINUX_IPV6_TCLASS	   67
#define LINUX_IPV6_AUTOFLOWLABEL   70
#define LINUX_IPV6_RECVORIGDSTADDR 74
#define LINUX_IPV6_MINHOPCOUNT	   73
#define LINUX_IPV6_FREEBIND	   78
#define LINUX_IPV6_TRANSPARENT	   75
#define LINUX_IPV6_MULTICAST_ALL   29
#define LINUX_IPV6_CHECKSUM	   7

#define LINUX_TCP_NODELAY	1
#define LINUX_TCP_MAXSEG	2
#define LINUX_TCP_CORK		3
#define LINUX_TCP_KEEPIDLE	4
#define LINUX_TCP_KEEPINTVL	5
#define LINUX_TCP_KEEPCNT	6
#define LINUX_TCP_SYNCNT	7
#define LINUX_TCP_LINGER2	8
#define LINUX_TCP_DEFER_ACCEPT	9
#define LINUX_TCP_WINDOW_CLAMP	10
#define LINUX_TCP_INFO		11
#define LINUX_TCP_QUICKACK	12
#define LINUX_TCP_CONGESTION	13
#define LINUX_TCP_USER_TIMEOUT	18
#define LINUX_TCP_FASTOPEN	23
#define LINUX_TCP_NOTSENT_LOWAT 25
#define LINUX_TCP_FASTOPEN_CONNECT 30
#define LINUX_TCP_FASTOPEN_KEY	33
#define LINUX_TCP_FASTOPEN_NO_COOKIE 34
#define LINUX_TCP_INQ		36
#define LINUX_TCPI_OPT_SYN_DATA 32

#define LINUX_UDP_CORK	  1
#define LINUX_UDP_SEGMENT 103
#define LINUX_UDP_GRO	  104

struct linux_tcp_info { /* TCP_INFO, as of Linux 6.1 up to tcpi_snd_wnd */
	uint8_t state, ca_state, retransmits, probes, backoff, options, wscale, flags;
	uint32_t rto, ato, snd_mss, rcv_mss, unacked, sacked, lost, retrans, fackets;
	uint32_t last_data_sent, last_ack_sent, last_data_recv, last_ack_recv;
	uint32_t pmtu, rcv_ssthresh, rtt, rttvar, snd_ssthresh, snd_cwnd, advmss, reordering;
	uint32_t rcv_rtt, rcv_space, total_retrans;
	uint64_t pacing_rate, max_pacing_rate, bytes_acked, bytes_received;
	uint32_t segs_out, segs_in, notsent_bytes, min_rtt, data_segs_in, data_segs_out;
	uint64_t delivery_rate, busy_time, rwnd_limited, sndbuf_limited;
	uint32_t delivered, delivered_ce;
	uint64_t bytes_sent, bytes_retrans;
	uint32_t dsack_dups, reord_seen, rcv_ooopack, snd_wnd;
};
_Static_assert(sizeof(struct linux_tcp_info) == 232, "layout of struct tcp_info");

#endif
