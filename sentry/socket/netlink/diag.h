/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/diag.h - NETLINK_SOCK_DIAG: message layouts
 *
 * Source:  sock_diag(7), linux/inet_diag.h, linux/unix_diag.h.
 */
#ifndef SENTRY_DIAG_H
#define SENTRY_DIAG_H

#include "sentry/socket/netlink/netlink.h"

#define TCPDIAG_GETSOCK	    18
#define DCCPDIAG_GETSOCK    19
#define SOCK_DIAG_BY_FAMILY 20
#define SOCK_DESTROY	    21

struct diag_inet_id {
	uint8_t sport[2], dport[2];
	uint32_t src[4], dst[4];
	uint32_t ifindex, cookie[2];
};
struct diag_inet_req {
	uint8_t family, protocol, ext, pad;
	uint32_t states;
	struct diag_inet_id id;
};
struct diag_inet_msg {
	uint8_t family, state, timer, retrans;
	struct diag_inet_id id;
	uint32_t expires_ms, rqueue, wqueue, uid, inode;
};
struct diag_unix_req {
	uint8_t family, protocol;
	uint16_t pad;
	uint32_t states, ino, show, cookie[2];
};
struct diag_unix_msg {
	uint8_t family, type, state, pad;
	uint32_t ino, cookie[2];
};
_Static_assert(sizeof(struct diag_inet_req) == 56 && sizeof(struct diag_inet_msg) == 72 && sizeof(struct diag_unix_req) == 24 &&
	       sizeof(struct diag_unix_msg) == 16, "sock_diag(7)");

long diag_inet(struct nl_req *r, bool destroy);
long diag_unix(struct nl_req *r);

#endif
