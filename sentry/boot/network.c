/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/network.c - the sandbox's network as the host describes it: SetNetwork
 *
 * Model:   the namespace of the sandbox's first container exists before that container does, because the host hands the
 *          network over first, and it stays until the sandbox ends. A link is told apart by its index; one that is there
 *          already keeps its socket, and only what is new is added (hot-plug).
 * Trust:   the caller is the host's root; lengths are checked all the same, as the values come from a network plugin.
 * Source:  proto/control.proto.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/cred/cred.h"
#include "sentry/net/route.h"
#include "sentry/socket/host/hostinet.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/inet/nic.h"
#include "sentry/socket/inet/resolver.h"

#define PB(name) Runsc__Control__V1__##name

static struct mutex first_mu = MUTEX_INIT; /* leaf but for what making a namespace takes */
static struct net_ns_ref *first;	   /* guarded by first_mu; a reference for good */

struct net_ns_ref *boot_network_new(void)
{
	struct net_ns_ref *n = net_ns_ref_new(&init_user_ns);

	if (n && net_ns_ref_loopback_up(n))
		log_warn("loopback does not come up");
	return n;
}

struct net_ns_ref *boot_network_get(void)
{
	struct net_ns_ref *n;

	mutex_lock(&first_mu);
	if (!first)
		first = boot_network_new();
	if (first)
		first->host = hostinet_enabled();
	n = net_ns_ref_get(first);
	mutex_unlock(&first_mu);
	return n;
}

/* 4 or 16 bytes; no bytes are the wildcard of @family. */
static bool to_naddr(const ProtobufCBinaryData *d, uint8_t family, struct naddr *out)
{
	uint32_t v4;

	if (d->len == 16) {
		*out = naddr_from_bytes6(d->data);
		return true;
	}
	if (d->len == 4) {
		memcpy(&v4, d->data, 4);
		*out = naddr_from_v4(v4);
		return true;
	}
	*out = family == NET_AF_INET6 ? NADDR_ANY6 : NADDR_ANY4;
	return d->len == 0;
}

static int add_address(struct net_link *l, const PB(Address) *a)
{
	struct net_ifaddr_param p = { .plen = (uint8_t)a->prefix_len, .scope = (uint8_t)a->scope, .label = l->name,
				      .valid_lft_s = UINT32_MAX, .preferred_lft_s = UINT32_MAX };

	if (!to_naddr(&a->addr, 0, &p.addr) || !a->addr.len || a->prefix_len > a->addr.len * 8 ||
	    !to_naddr(&a->peer, 0, &p.peer) || !to_naddr(&a->broadcast, 0, &p.bcast))
		return -LINUX_EINVAL;
	if (!a->peer.len)
		memset(&p.peer, 0, sizeof(p.peer));
	if (!a->broadcast.len)
		memset(&p.bcast, 0, sizeof(p.bcast));
	/* The host's kernel has made sure already that nobody else has it, or was told not to. */
	p.flags = NET_IFA_F_PERMANENT | (a->addr.len == 16 ? NET_IFA_F_NODAD : 0) | (a->flags & NET_IFA_F_NOPREFIXROUTE);
	return net_addr_add(l, &p);
}

/* A new link with its socket, or the one that has this index already. A reference in @out. */
static int make_link(struct net_ns *ns, const PB(Link) *d, struct boot_fds *fds, struct net_link **out)
{
	struct net_link_param p = { .name = d->name, .index = d->index, .mtu = d->mtu, .mac = d->mac.data };
	struct nic_config cfg = { .fd = -1, .vnet_hdr = d->vnet_hdr, .tx_csum = d->csum_offload & 1, .gso_max = d->gso_max_bytes };
	int ret;

	if (d->has_packet_fd)
		cfg.fd = boot_fd_take(fds, RUNSC__CONTROL__V1__FD_ROLE__FD_PACKET);
	*out = d->loopback ? net_link_by_name(ns, "lo") : net_link_by_index(ns, d->index);
	if (*out) {
		if (cfg.fd >= 0)
			close(cfg.fd);
		return 0;
	}
	if ((cfg.fd < 0 && !hostinet_enabled()) || d->mac.len != 6)
		return -LINUX_EINVAL;
	/* the host's own link, shown to whoever asks for addresses; its traffic never comes here */
	ret = cfg.fd < 0 ? net_link_new_dummy(ns, &p, out) : (int)nic_new(ns, &p, &cfg, out);
	if (ret)
		return ret;
	net_link_get(*out);
	return 0;
}

static int set_link(struct net_ns *ns, const PB(Link) *d, struct boot_fds *fds)
{
	struct net_link *l;
	int ret = make_link(ns, d, fds, &l);

	if (ret)
		return ret;
	/* the addresses are there when the link comes up, so that it has no moment with others */
	for (size_t i = 0; i < d->n_addresses && !ret; i++) {
		ret = add_address(l, d->addresses[i]);
		if (ret == -LINUX_EEXIST)
			ret = 0;
	}
	if (!ret && d->up)
		ret = net_link_set_up(l, true);
	net_link_put(l);
	return ret;
}

static int set_route(struct net_ns *ns, const PB(Route) *r)
{
	uint8_t family = r->family == NET_AF_INET6 ? NET_AF_INET6 : NET_AF_INET;
	struct net_route_param p = { .family = family, .dst_len = (uint8_t)r->dst_len, .scope = (uint8_t)r->scope,
				     .type = (uint8_t)r->type, .protocol = (uint8_t)r->protocol, .table = r->table,
				     .metric = r->metric, .mtu = r->mtu, .nr_hops = 1 };
	struct net_nexthop *h = &p.hops[0];
	int ret;

	if (!to_naddr(&r->dst, family, &p.dst) || !to_naddr(&r->prefsrc, family, &p.src) || !to_naddr(&r->gateway, family, &h->gw) ||
	    r->dst_len > r->dst.len * 8)
		return -LINUX_EINVAL;
	h->oif = r->link_index;
	h->weight = 1;
	h->flags = r->onlink ? 4 /* RTNH_F_ONLINK */ : 0;
	if (!r->gateway.len)
		memset(&h->gw, 0, sizeof(h->gw));
	if (!r->prefsrc.len)
		memset(&p.src, 0, sizeof(p.src));
	ret = net_route_add(ns, &p, NET_RT_CREATE);
	return ret == -LINUX_EEXIST ? 0 : ret;
}

/* Our stack makes these itself, as the host's kernel did. */
static bool came_with_address(const PB(Route) *r)
{
	return r->protocol == 2 /* RTPROT_KERNEL */ && !r->gateway.len;
}

/* What needs a router goes after what makes the router reachable. */
static int set_routes(struct net_ns *ns, const PB(SetNetworkRequest) *q)
{
	for (int gateways = 0; gateways < 2; gateways++) {
		for (size_t i = 0; i < q->n_routes; i++) {
			char dst[NADDR_STRLEN] = "?";
			struct naddr a;
			int ret;

			if ((q->routes[i]->gateway.len != 0) != gateways || came_with_address(q->routes[i]))
				continue;
			ret = set_route(ns, q->routes[i]);
			if (!ret)
				continue;
			if (to_naddr(&q->routes[i]->dst, (uint8_t)q->routes[i]->family, &a))
				naddr_str(&a, dst);
			/* The host has kinds of routes that we have not; a default route that is missing is no small matter. */
			log_warn("route to %s/%u: %s", dst, q->routes[i]->dst_len, strerror(-ret));
			if (gateways && !q->routes[i]->dst.len)
				return ret;
		}
	}
	return 0;
}

static void set_neighbour(struct net_ns *ns, const PB(Neighbour) *n)
{
	struct net_link *l = net_link_by_index(ns, n->link_index);
	struct naddr a;

	if (l && n->mac.len == 6 && n->addr.len && to_naddr(&n->addr, 0, &a) &&
	    net_neigh_set(l, &a, n->mac.data, (uint8_t)n->state, 0))
		log_warn("%s: a neighbour is left out", l->name);
	if (l)
		net_link_put(l);
}

void boot_set_network(struct ttrpc_call *call, const PB(SetNetworkRequest) *q)
{
	struct boot_fds fds = { call, q->fds, q->n_fds };
	struct net_ns_ref *n = boot_network_get();
	const char *what = "network";
	int name_server;
	int ret = n ? 0 : -LINUX_ENOMEM;

	for (size_t i = 0; i < q->n_links && !ret; i++) {
		what = q->links[i]->name;
		ret = set_link(n->stack, q->links[i], &fds);
	}
	if (!ret) {
		what = "default route";
		ret = set_routes(n->stack, q);
	}
	for (size_t i = 0; i < q->n_neighbours && !ret; i++)
		set_neighbour(n->stack, q->neighbours[i]);
	name_server = boot_fd_take(&fds, RUNSC__CONTROL__V1__FD_ROLE__FD_RESOLVER);
	if (name_server >= 0 && ret)
		close(name_server);
	else if (name_server >= 0 && resolver_start(n->stack, name_server) == -LINUX_ENOMEM)
		log_warn("the host's name server is out of reach");
	net_ns_ref_put(n);
	if (ret)
		ttrpc_fail(call, ttrpc_code_from_errno(-ret), "%s: %s", what, strerror(-ret));
	else
		ttrpc_reply(call, NULL);
}
