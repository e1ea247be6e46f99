/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/mib.h - protocol counters, one row each: group and name as in /proc/net/snmp, netstat, snmp6
 *
 * Source:  RFC 4293 (IP), RFC 4022 (TCP), RFC 4113 (UDP), Linux's names for its extensions.
 */
#ifndef SENTRY_NET_MIB_H
#define SENTRY_NET_MIB_H

#define NET_MIBS(X)                                                                                \
	X(IP_IN_RECEIVES, "Ip", "InReceives") X(IP_IN_HDR_ERRORS, "Ip", "InHdrErrors")             \
	X(IP_IN_ADDR_ERRORS, "Ip", "InAddrErrors") X(IP_FORW_DATAGRAMS, "Ip", "ForwDatagrams")     \
	X(IP_IN_UNKNOWN_PROTOS, "Ip", "InUnknownProtos") X(IP_IN_DISCARDS, "Ip", "InDiscards")     \
	X(IP_IN_DELIVERS, "Ip", "InDelivers") X(IP_OUT_REQUESTS, "Ip", "OutRequests")              \
	X(IP_OUT_DISCARDS, "Ip", "OutDiscards") X(IP_OUT_NO_ROUTES, "Ip", "OutNoRoutes")           \
	X(IP_REASM_TIMEOUT, "Ip", "ReasmTimeout") X(IP_REASM_REQDS, "Ip", "ReasmReqds")            \
	X(IP_REASM_OKS, "Ip", "ReasmOKs") X(IP_REASM_FAILS, "Ip", "ReasmFails")                    \
	X(IP_FRAG_OKS, "Ip", "FragOKs") X(IP_FRAG_FAILS, "Ip", "FragFails")                        \
	X(IP_FRAG_CREATES, "Ip", "FragCreates")                                                    \
	X(IP6_IN_RECEIVES, "Ip6", "InReceives") X(IP6_IN_HDR_ERRORS, "Ip6", "InHdrErrors")         \
	X(IP6_IN_TOO_BIG, "Ip6", "InTooBigErrors") X(IP6_IN_NO_ROUTES, "Ip6", "InNoRoutes")        \
	X(IP6_IN_ADDR_ERRORS, "Ip6", "InAddrErrors")                                               \
	X(IP6_IN_UNKNOWN_PROTOS, "Ip6", "InUnknownProtos") X(IP6_IN_DISCARDS, "Ip6", "InDiscards") \
	X(IP6_IN_DELIVERS, "Ip6", "InDelivers") X(IP6_OUT_FORW_DATAGRAMS, "Ip6", "OutForwDatagrams") \
	X(IP6_OUT_REQUESTS, "Ip6", "OutRequests") X(IP6_OUT_DISCARDS, "Ip6", "OutDiscards")        \
	X(IP6_OUT_NO_ROUTES, "Ip6", "OutNoRoutes") X(IP6_REASM_TIMEOUT, "Ip6", "ReasmTimeout")     \
	X(IP6_REASM_REQDS, "Ip6", "ReasmReqds") X(IP6_REASM_OKS, "Ip6", "ReasmOKs")                \
	X(IP6_REASM_FAILS, "Ip6", "ReasmFails") X(IP6_FRAG_OKS, "Ip6", "FragOKs")                  \
	X(IP6_FRAG_FAILS, "Ip6", "FragFails") X(IP6_FRAG_CREATES, "Ip6", "FragCreates")            \
	X(ICMP_IN_MSGS, "Icmp", "InMsgs") X(ICMP_IN_ERRORS, "Icmp", "InErrors")                    \
	X(ICMP_IN_CSUM_ERRORS, "Icmp", "InCsumErrors")                                             \
	X(ICMP_IN_DEST_UNREACHS, "Icmp", "InDestUnreachs")                                         \
	X(ICMP_IN_TIME_EXCDS, "Icmp", "InTimeExcds") X(ICMP_IN_ECHOS, "Icmp", "InEchos")           \
	X(ICMP_IN_ECHO_REPS, "Icmp", "InEchoReps") X(ICMP_OUT_MSGS, "Icmp", "OutMsgs")             \
	X(ICMP_OUT_RATE_LIMIT, "Icmp", "OutRateLimitGlobal")                                       \
	X(ICMP_OUT_DEST_UNREACHS, "Icmp", "OutDestUnreachs")                                       \
	X(ICMP_OUT_TIME_EXCDS, "Icmp", "OutTimeExcds") X(ICMP_OUT_ECHO_REPS, "Icmp", "OutEchoReps") \
	X(ICMP6_IN_MSGS, "Icmp6", "InMsgs") X(ICMP6_IN_ERRORS, "Icmp6", "InErrors")                \
	X(ICMP6_OUT_MSGS, "Icmp6", "OutMsgs") X(ICMP6_IN_CSUM_ERRORS, "Icmp6", "InCsumErrors")     \
	X(ICMP6_OUT_RATE_LIMIT, "Icmp6", "OutRateLimitHost")                                       \
	X(TCP_ACTIVE_OPENS, "Tcp", "ActiveOpens") X(TCP_PASSIVE_OPENS, "Tcp", "PassiveOpens")      \
	X(TCP_ATTEMPT_FAILS, "Tcp", "AttemptFails") X(TCP_ESTAB_RESETS, "Tcp", "EstabResets")      \
	X(TCP_CURR_ESTAB, "Tcp", "CurrEstab") X(TCP_IN_SEGS, "Tcp", "InSegs")                      \
	X(TCP_OUT_SEGS, "Tcp", "OutSegs") X(TCP_RETRANS_SEGS, "Tcp", "RetransSegs")                \
	X(TCP_IN_ERRS, "Tcp", "InErrs") X(TCP_OUT_RSTS, "Tcp", "OutRsts")                          \
	X(TCP_IN_CSUM_ERRORS, "Tcp", "InCsumErrors")                                               \
	X(UDP_IN_DATAGRAMS, "Udp", "InDatagrams") X(UDP_NO_PORTS, "Udp", "NoPorts")                \
	X(UDP_IN_ERRORS, "Udp", "InErrors") X(UDP_OUT_DATAGRAMS, "Udp", "OutDatagrams")            \
	X(UDP_RCVBUF_ERRORS, "Udp", "RcvbufErrors") X(UDP_SNDBUF_ERRORS, "Udp", "SndbufErrors")    \
	X(UDP_IN_CSUM_ERRORS, "Udp", "InCsumErrors")                                               \
	X(UDP6_IN_DATAGRAMS, "Udp6", "InDatagrams") X(UDP6_NO_PORTS, "Udp6", "NoPorts")            \
	X(UDP6_IN_ERRORS, "Udp6", "InErrors") X(UDP6_OUT_DATAGRAMS, "Udp6", "OutDatagrams")        \
	X(UDP6_RCVBUF_ERRORS, "Udp6", "RcvbufErrors") X(UDP6_IN_CSUM_ERRORS, "Udp6", "InCsumErrors") \
	X(TCPX_SYNCOOKIES_SENT, "TcpExt", "SyncookiesSent")                                        \
	X(TCPX_SYNCOOKIES_RECV, "TcpExt", "SyncookiesRecv")                                        \
	X(TCPX_SYNCOOKIES_FAILED, "TcpExt", "SyncookiesFailed")                                    \
	X(TCPX_TW, "TcpExt", "TW") X(TCPX_TW_RECYCLED, "TcpExt", "TWRecycled")                     \
	X(TCPX_PAWS_ESTAB, "TcpExt", "PAWSEstab") X(TCPX_DELAYED_ACKS, "TcpExt", "DelayedACKs")    \
	X(TCPX_LISTEN_OVERFLOWS, "TcpExt", "ListenOverflows")                                      \
	X(TCPX_LISTEN_DROPS, "TcpExt", "ListenDrops") X(TCPX_HP_HITS, "TcpExt", "TCPHPHits")       \
	X(TCPX_PURE_ACKS, "TcpExt", "TCPPureAcks") X(TCPX_HP_ACKS, "TcpExt", "TCPHPAcks")          \
	X(TCPX_SACK_RECOVERY, "TcpExt", "TCPSackRecovery")                                         \
	X(TCPX_RENO_RECOVERY, "TcpExt", "TCPRenoRecovery")                                         \
	X(TCPX_SACK_REORDER, "TcpExt", "TCPSACKReorder") X(TCPX_LOST_RETRANSMIT, "TcpExt", "TCPLostRetransmit") \
	X(TCPX_FAST_RETRANS, "TcpExt", "TCPFastRetrans")                                           \
	X(TCPX_SLOW_START_RETRANS, "TcpExt", "TCPSlowStartRetrans")                                \
	X(TCPX_TIMEOUTS, "TcpExt", "TCPTimeouts") X(TCPX_LOSS_PROBES, "TcpExt", "TCPLossProbes")   \
	X(TCPX_LOSS_PROBE_RECOVERY, "TcpExt", "TCPLossProbeRecovery")                              \
	X(TCPX_SPURIOUS_RTOS, "TcpExt", "TCPSpuriousRTOs") X(TCPX_DSACK_SENT, "TcpExt", "TCPDSACKOldSent") \
	X(TCPX_DSACK_RECV, "TcpExt", "TCPDSACKRecv") X(TCPX_OFO_QUEUE, "TcpExt", "TCPOFOQueue")    \
	X(TCPX_OFO_DROP, "TcpExt", "TCPOFODrop") X(TCPX_CHALLENGE_ACK, "TcpExt", "TCPChallengeACK") \
	X(TCPX_ABORT_ON_DATA, "TcpExt", "TCPAbortOnData") X(TCPX_ABORT_ON_CLOSE, "TcpExt", "TCPAbortOnClose") \
	X(TCPX_ABORT_ON_MEMORY, "TcpExt", "TCPAbortOnMemory")                                      \
	X(TCPX_ABORT_ON_TIMEOUT, "TcpExt", "TCPAbortOnTimeout")                                    \
	X(TCPX_ABORT_ON_LINGER, "TcpExt", "TCPAbortOnLinger")                                      \
	X(TCPX_KEEPALIVE, "TcpExt", "TCPKeepAlive") X(TCPX_DEFER_ACCEPT_DROP, "TcpExt", "TCPDeferAcceptDrop") \
	X(TCPX_RCV_COALESCE, "TcpExt", "TCPRcvCoalesce") X(TCPX_BACKLOG_DROP, "TcpExt", "TCPBacklogDrop") \
	X(TCPX_RCVQ_DROP, "TcpExt", "TCPRcvQDrop") X(TCPX_FASTOPEN_ACTIVE, "TcpExt", "TCPFastOpenActive") \
	X(TCPX_FASTOPEN_ACTIVE_FAIL, "TcpExt", "TCPFastOpenActiveFail")                            \
	X(TCPX_FASTOPEN_PASSIVE, "TcpExt", "TCPFastOpenPassive")                                   \
	X(TCPX_FASTOPEN_PASSIVE_FAIL, "TcpExt", "TCPFastOpenPassiveFail")                          \
	X(TCPX_FASTOPEN_OVERFLOW, "TcpExt", "TCPFastOpenListenOverflow")                           \
	X(TCPX_FASTOPEN_COOKIE_REQD, "TcpExt", "TCPFastOpenCookieReqd")                            \
	X(TCPX_FASTOPEN_ALT_KEY, "TcpExt", "TCPFastOpenPassiveAltKey")                             \
	X(TCPX_ZERO_WINDOW_PROBE, "TcpExt", "TCPWinProbe") X(TCPX_ORIG_DATA, "TcpExt", "TCPOrigDataSent")

enum mib {
#define X(id, group, name) MIB_##id,
	NET_MIBS(X)
#undef X
		MIB_COUNT
};
struct net_mib_row {
	const char *group, *name;
};
extern const struct net_mib_row net_mib_rows[];

#endif
