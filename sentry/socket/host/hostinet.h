/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/host/hostinet.h - sockets of the host's TCP/IP stack, for --network=host
 *
 * Model:   only where whoever starts the sandbox asked for it: the Sentry then lives in the host's (or the given) network namespace,
 *          its filter has a few more calls, and TCP and UDP sockets of the sandbox's first network namespace are host sockets.
 *          The host descriptor never blocks; waiting is done here, on a queue that the reactor wakes.
 *          Everything else of that namespace (netlink, packet and raw sockets, unix sockets, /proc/net) stays our own.
 * Trust:   a guest's options and control messages go on only when hostinet_opt.c's table names them.
 * Differs: no capability: ports below net.ipv4.ip_unprivileged_port_start and privileged options are refused by the host.
 */
#ifndef SENTRY_SOCKET_HOSTINET_H
#define SENTRY_SOCKET_HOSTINET_H

#include "sentry/socket/socket_internal.h"

struct host_sock {
	struct socket sk;	/* must be first */
	struct hostfd h;	/* h.fd is owned */
	struct waitq wq;
	struct sleeplock recv_lock; /* readers of a stream take turns */
};
static inline struct host_sock *hostinet_of(struct socket *s)
{
	return (struct host_sock *)s;
}

/* At boot, before confine(): sockets may come from the host. */
void hostinet_enable(void);
bool hostinet_enabled(void);

/* socket(2) of AF_INET or AF_INET6, SOCK_STREAM or SOCK_DGRAM, in a namespace that is the host's. */
long hostinet_create(struct net_ns_ref *net, int family, int type, int protocol, struct socket **out);

/* poll(2) events of the host socket that hold now. */
uint32_t hostinet_ready(const struct host_sock *h, uint32_t events);

/* hostinet_msg.c */
long hostinet_sendmsg(struct socket *s, struct task *t, struct sock_msg *m);
long hostinet_recvmsg(struct socket *s, struct task *t, struct sock_msg *m);

/* hostinet_opt.c */
long hostinet_setsockopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len);
long hostinet_getsockopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len);
void hostinet_opt_changed(struct socket *s, int name);
/* Whether control messages of @level may go to the host. */
bool hostinet_cmsg_allowed(int level, int type);

#endif
