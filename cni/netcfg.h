/* SPDX-License-Identifier: Apache-2.0
 * cni/netcfg.h - the host side of a sandbox's network
 *
 * Model:   somebody (a CNI plugin, Docker's hook, `ip netns`) has put interfaces with addresses and routes into a network
 *          namespace. netcfg_read() describes them as the message that the Sentry understands and opens a packet socket
 *          on each Ethernet link; netcfg_take() then takes the addresses off, so that only the Sentry answers for them;
 *          netcfg_restore() puts back what netcfg_read() saw.
 *          The calling thread enters the namespace for a moment and is back before any of these returns.
 * Source:  rtnetlink(7), packet(7), libnl-route.
 */
#ifndef CNI_NETCFG_H
#define CNI_NETCFG_H

#include "base/err.h"
#include "control.pb-c.h"

#define NETCFG_LINKS_MAX 32

struct netcfg {
	Runsc__Control__V1__SetNetworkRequest msg;
	int fds[NETCFG_LINKS_MAX + 1];	/* packet sockets, a resolver's; owned; in the order of msg.fds */
	size_t nr_fds;
	size_t nr_nics;			/* links with a packet socket */
	struct netcfg_block *blocks;
};

/* Describes network namespace @netns_fd. @want_sockets false: no packet sockets (and no right to open any needed). */
int netcfg_read(int netns_fd, bool want_sockets, struct netcfg *out, struct err *e);
/* The host's kernel stops answering for the links that netcfg_read() gave sockets for. */
int netcfg_take(int netns_fd, const Runsc__Control__V1__SetNetworkRequest *msg, struct err *e);
/* Addresses, then routes, of @msg again; those that are there already are fine. */
int netcfg_restore(int netns_fd, const Runsc__Control__V1__SetNetworkRequest *msg, struct err *e);
void netcfg_fini(struct netcfg *c);

/* resolver.c: in the calling thread's namespace, a datagram socket connected to 127.0.0.11:53, if somebody listens there; -1. */
int resolver_open(void);

/* netns.c: enters @netns_fd with this thread. Return: a descriptor of the namespace to go back to, or -1. */
int netns_enter(int netns_fd, struct err *e);
void netns_leave(int own); /* aborts when it cannot: a thread in the wrong network is worse than none */

#endif
