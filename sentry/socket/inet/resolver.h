/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/resolver.h - a name server of the host at 127.0.0.11 inside
 */
#ifndef SENTRY_INET_RESOLVER_H
#define SENTRY_INET_RESOLVER_H

struct net_ns;

/* Serves 127.0.0.11:53 of @ns, UDP and TCP, by @fd: a datagram socket connected to the name server (moved). 0, -LINUX_EBUSY when
 * there is one already, -LINUX_E*. */
int resolver_start(struct net_ns *ns, int fd);

#endif
