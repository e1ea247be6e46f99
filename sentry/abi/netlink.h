/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/netlink.h - netlink messages as guests see them (netlink(7))
 */
#ifndef SENTRY_ABI_NETLINK_H
#define SENTRY_ABI_NETLINK_H

#include <stdint.h>

#define LINUX_NETLINK_ROUTE	     0
#define LINUX_NETLINK_USERSOCK	     2
#define LINUX_NETLINK_SOCK_DIAG	     4
#define LINUX_NETLINK_NETFILTER	     12
#define LINUX_NETLINK_KOBJECT_UEVENT 15
#define LINUX_NETLINK_GENERIC	     16
#define LINUX_NETLINK_MAX	     32

struct linux_sockaddr_nl {
	uint16_t family, pad;
	uint32_t pid, groups;
};
_Static_assert(sizeof(struct linux_sockaddr_nl) == 12, "netlink(7)");

struct linux_nlmsghdr {
	uint32_t len; /* header included */
	uint16_t type, flags;
	uint32_t seq, pid;
};
_Static_assert(sizeof(struct linux_nlmsghdr) == 16, "netlink(7)");

struct linux_nlattr {
	uint16_t len, type;
};
#define LINUX_NLA_F_NESTED  0x8000
#define LINUX_NLA_TYPE_MASK 0x3fff
#define LINUX_NL_ALIGN(n)   (((n) + 3u) & ~3u)

#define LINUX_NLMSG_NOOP     1
#define LINUX_NLMSG_ERROR    2
#define LINUX_NLMSG_DONE     3
#define LINUX_NLMSG_MIN_TYPE 16

#define LINUX_NLM_F_REQUEST 0x001
#define LINUX_NLM_F_MULTI   0x002
#define LINUX_NLM_F_ACK	    0x004
#define LINUX_NLM_F_ECHO    0x008
#define LINUX_NLM_F_ROOT    0x100
#define LINUX_NLM_F_MATCH   0x200
#define LINUX_NLM_F_DUMP    0x300
#define LINUX_NLM_F_REPLACE 0x100
#define LINUX_NLM_F_EXCL    0x200
#define LINUX_NLM_F_CREATE  0x400
#define LINUX_NLM_F_APPEND  0x800
#define LINUX_NLM_F_CAPPED  0x100
#define LINUX_NLM_F_ACK_TLVS 0x200

#define LINUX_NLMSGERR_ATTR_MSG 1

#define LINUX_SOL_NETLINK	     270
#define LINUX_NETLINK_ADD_MEMBERSHIP 1
#define LINUX_NETLINK_DROP_MEMBERSHIP 2
#define LINUX_NETLINK_PKTINFO	     3
#define LINUX_NETLINK_BROADCAST_ERROR 4
#define LINUX_NETLINK_NO_ENOBUFS     5
#define LINUX_NETLINK_LISTEN_ALL_NSID 8
#define LINUX_NETLINK_LIST_MEMBERSHIPS 9
#define LINUX_NETLINK_CAP_ACK	     10
#define LINUX_NETLINK_EXT_ACK	     11
#define LINUX_NETLINK_GET_STRICT_CHK 12

#endif
