/* SPDX-License-Identifier: Apache-2.0
 * test/net/nethost.h - the stack on a real machine: host clock, timer thread, AF_PACKET driver
 */
#ifndef TEST_NETHOST_H
#define TEST_NETHOST_H

#include "sentry/net/sock.h"

/* Clock, random numbers and a thread that runs the stack's timers. */
void nethost_start(struct net_stack *st);
/* A NIC named eth0 in @ns on host interface @host_if (its MAC is used), with receive thread. */
struct net_link *nethost_nic(struct net_ns *ns, const char *host_if, uint32_t mtu);
/* "10.0.0.1/24" */
void nethost_addr(struct net_link *l, const char *cidr);
void nethost_default_route(struct net_ns *ns, struct net_link *l, const char *gw);

/* Blocking calls on top of the endpoint API, as a socket layer would build them. */
struct bsock {
	struct sock *sk;
	_Atomic uint32_t ev;	/* futex: counts events */
};
struct bsock *bsock_new(struct sock *sk);
struct bsock *bsock_tcp(struct net_ns *ns, int family);
int bsock_connect(struct bsock *b, const struct net_ep *ep);
struct bsock *bsock_accept(struct bsock *b);
long bsock_send(struct bsock *b, const void *p, size_t n);	/* all of it, or the error */
long bsock_recv(struct bsock *b, void *p, size_t n);
void bsock_close(struct bsock *b);

#endif
