/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/nic.h - links whose other side is a packet socket of the host
 */
#ifndef SENTRY_NIC_H
#define SENTRY_NIC_H

#include "sentry/net/net.h"

struct nic_config {
	int fd;			/* AF_PACKET, SOCK_RAW, bound, hears incoming frames only; moved, also when it fails */
	bool vnet_hdr;		/* PACKET_VNET_HDR is set: offload both ways */
	bool tx_csum;		/* unfinished checksums may go out */
	uint32_t gso_max;	/* bytes of the largest frame out, 0 = mtu */
};

/* Makes the link (down, no addresses) and starts receiving. 0 or -LINUX_E*. */
long nic_new(struct net_ns *ns, const struct net_link_param *p, const struct nic_config *cfg, struct net_link **out);

#endif
