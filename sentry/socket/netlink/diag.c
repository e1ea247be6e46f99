/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/diag.c - NETLINK_SOCK_DIAG: by family
 *
 * Source:  sock_diag(7).
 */
#include "sentry/abi/cap.h"
#include "sentry/socket/netlink/diag.h"

static long diag_handle(struct nl_req *r)
{
	struct cursor c = r->body;
	uint8_t family = get_u8(&c);

	if (r->h.type == TCPDIAG_GETSOCK || r->h.type == DCCPDIAG_GETSOCK)
		return -LINUX_ENOENT; /* before SOCK_DIAG_BY_FAMILY came; programs of today try them last */
	if (r->h.type != SOCK_DIAG_BY_FAMILY && r->h.type != SOCK_DESTROY)
		return -LINUX_EINVAL;
	if (c.bad)
		return -LINUX_EINVAL;
	if (r->h.type == SOCK_DESTROY && !nl_capable(r, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	if (family == LINUX_AF_INET || family == LINUX_AF_INET6)
		return diag_inet(r, r->h.type == SOCK_DESTROY);
	if (family == LINUX_AF_UNIX && r->h.type == SOCK_DIAG_BY_FAMILY)
		return diag_unix(r);
	return -LINUX_ENOENT; /* as Linux without the module of that family */
}

const struct netlink_proto sock_diag_proto = {
	.protocol = LINUX_NETLINK_SOCK_DIAG, .nr_groups = 8, .handle = diag_handle,
};
