/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet.h - sockets of the TCP/IP stack: AF_INET, AF_INET6, AF_PACKET
 *
 * Model:   an inet_sock couples a socket of the socket layer with an endpoint of sentry/net. The endpoint never blocks; blocking,
 *          deadlines, interruption and guest memory are done here. Its events wake inet_sock.wq.
 */
#ifndef SENTRY_INET_H
#define SENTRY_INET_H

#include "sentry/abi/inet_addr.h"
#include "sentry/net/sock.h"
#include "sentry/socket/socket_internal.h"

struct packet_map;

struct inet_sock {
	struct socket sk;	/* must be first */
	struct sock *ep;	/* reference */
	struct waitq wq;
	struct sleeplock recv_lock; /* readers of a stream take turns; packet sockets: changes of rings */
	struct packet_map *ring;	/* reference or NULL; recv_lock */
};
static inline struct inet_sock *inet_of(struct socket *s)
{
	return (struct inet_sock *)s;
}

/* What the caller may do in the socket's network namespace: NET_CAP_*. */
uint32_t inet_caps(const struct socket *s, const struct task *t);

/* inet_addr.c */
long inet_ep_from(const struct socket *s, const struct sockaddr_buf *a, struct net_ep *out);
void inet_ep_to(int family, const struct net_ep *ep, struct sockaddr_buf *out);
void inet_ll_to(const struct net_ll *ll, struct sockaddr_buf *out);

/* The call's memory as the stack walks it. */
struct uio_iter {
	struct net_iter it;
	struct uio *io;
};
void uio_iter_init(struct uio_iter *ui, struct uio *io, bool from_guest);

/* tun.c: /dev/net/tun; at boot */
long tun_init(void);

/* inet_msg.c */
long inet_sendmsg(struct socket *s, struct task *t, struct sock_msg *m);
long inet_recvmsg(struct socket *s, struct task *t, struct sock_msg *m);

/* inet_cmsg.c */
long inet_cmsg_in(const struct socket *s, const struct sock_msg *m, struct net_msg *nm);
void inet_cmsg_out(const struct socket *s, const struct net_msg *nm, struct sock_msg *m);

/* inet_ioctl.c */
long inet_ioctl(struct socket *s, struct task *t, uint32_t cmd, uint64_t arg);

/* --net-raw=false: no packet sockets, and no raw ones but for echo requests, in network namespaces of the initial user namespace,
 * whose packets may leave the sandbox. Set before guests run. A capability is not taken away for it: a program file that asks for CAP_NET_RAW, as ping's does,
 * could not even be executed without, and goes on with a ping socket when the raw one is refused. */
extern bool inet_no_raw;

/* host.c: the stack's clock, alarm and random numbers; namespaces */
long inet_stack_init(void);
/* A namespace of the stack, loopback down as in Linux; NULL = no memory. */
struct net_ns *inet_ns_new(void);
/* Loopback up with 127.0.0.1 and ::1, as container runtimes leave it. */
long inet_ns_loopback_up(struct net_ns *ns);

/* packet_map.c: PACKET_RX_RING, PACKET_TX_RING (@val: the guest's request), mmap(2), the end. (sleep) */
long packet_map_set(struct inet_sock *i, bool tx, const void *val, size_t len);
long packet_map_get(struct socket *s, struct mappable **out);
void packet_map_close(struct inet_sock *i);

/* inet_bridge.c: SIOCBRADDBR, SIOCBRDELBR, SIOCBRADDIF, SIOCBRDELIF. (sleeps) */
long inet_bridge_ioctl(struct net_ns_ref *net, struct task *t, uint32_t cmd, uint64_t arg);
/* inet_ethtool.c: SIOCETHTOOL on @l, @data: the guest's argument. 0, -LINUX_EFAULT, -LINUX_EOPNOTSUPP. (sleeps) */
long inet_ethtool(struct net_link *l, struct task *t, uint64_t data);

extern const struct socket_family inet_family, inet6_family, packet_family;

#endif
