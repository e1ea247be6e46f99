/* SPDX-License-Identifier: Apache-2.0
 * cni/netcfg_apply.c - taking addresses off the host's links, and putting them back
 *
 * Model:   with no address on the link the host's kernel answers no ARP and resets no connection for it; IPv6 goes by
 *          disable_ipv6, which also stops router and neighbour discovery. Frames still reach the packet socket.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log.h"
#include "cni/netcfg.h"

#define PB(x) Runsc__Control__V1__##x

static struct nl_addr *to_nl(const ProtobufCBinaryData *d)
{
	return d->len == 4 || d->len == 16 ? nl_addr_build(d->len == 4 ? AF_INET : AF_INET6, d->data, d->len) : NULL;
}

/* NULL when out of memory or @a is no address. */
static struct rtnl_addr *make_addr(const PB(Link) *l, const PB(Address) *a)
{
	struct rtnl_addr *r = rtnl_addr_alloc();
	struct nl_addr *local = to_nl(&a->addr), *bcast = to_nl(&a->broadcast);

	if (r && local) {
		nl_addr_set_prefixlen(local, (int)a->prefix_len);
		rtnl_addr_set_ifindex(r, (int)l->index);
		rtnl_addr_set_local(r, local);
		rtnl_addr_set_prefixlen(r, (int)a->prefix_len);
		rtnl_addr_set_scope(r, (int)a->scope);
		rtnl_addr_set_flags(r, a->flags & (IFA_F_NODAD | IFA_F_HOMEADDRESS | IFA_F_NOPREFIXROUTE | IFA_F_MCAUTOJOIN));
		if (bcast)
			rtnl_addr_set_broadcast(r, bcast);
	}
	nl_addr_put(bcast);
	if (local) {
		nl_addr_put(local);
		return r;
	}
	rtnl_addr_put(r);
	return NULL;
}

static void set_ipv6(const char *link, bool on)
{
	char path[128];
	AUTO_CLOSE int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%.15s/disable_ipv6", link);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, on ? "0" : "1", 1) != 1)
		log_debug("%s: %s", path, strerror(errno));
}

static int each_address(struct nl_sock *sk, const PB(SetNetworkRequest) *m, bool add, struct err *e)
{
	for (size_t i = 0; i < m->n_links; i++) {
		const PB(Link) *l = m->links[i];

		if (l->loopback)
			continue;
		if (add)
			set_ipv6(l->name, true);
		for (size_t k = 0; k < l->n_addresses; k++) {
			struct rtnl_addr *a = make_addr(l, l->addresses[k]);
			int ret = !a ? 0 : add ? rtnl_addr_add(sk, a, 0) : rtnl_addr_delete(sk, a, 0);

			rtnl_addr_put(a);
			if (ret < 0 && ret != -NLE_EXIST && ret != -NLE_NOADDR && ret != -NLE_OBJ_NOTFOUND)
				return err_set(e, EIO, "%s address of %s: %s", add ? "restore" : "remove", l->name, nl_geterror(ret));
		}
		if (!add)
			set_ipv6(l->name, false);
	}
	return 0;
}

static int add_route(struct nl_sock *sk, const PB(Route) *r)
{
	struct rtnl_route *o = rtnl_route_alloc();
	struct rtnl_nexthop *nh = rtnl_route_nh_alloc();
	struct nl_addr *dst = to_nl(&r->dst), *gw = to_nl(&r->gateway), *src = to_nl(&r->prefsrc);
	int ret = -NLE_NOMEM;

	if (!dst)
		dst = nl_addr_alloc(16);
	if (o && nh && dst) {
		nl_addr_set_family(dst, (int)r->family);
		nl_addr_set_prefixlen(dst, (int)r->dst_len);
		rtnl_route_set_family(o, (uint8_t)r->family);
		rtnl_route_set_dst(o, dst);
		rtnl_route_set_table(o, r->table);
		rtnl_route_set_scope(o, (uint8_t)r->scope);
		rtnl_route_set_type(o, (uint8_t)r->type);
		rtnl_route_set_protocol(o, (uint8_t)r->protocol);
		rtnl_route_set_priority(o, r->metric);
		if (src)
			rtnl_route_set_pref_src(o, src);
		if (gw)
			rtnl_route_nh_set_gateway(nh, gw);
		rtnl_route_nh_set_ifindex(nh, (int)r->link_index);
		rtnl_route_add_nexthop(o, nh);
		nh = NULL;
		ret = rtnl_route_add(sk, o, 0);
	}
	nl_addr_put(dst);
	nl_addr_put(gw);
	nl_addr_put(src);
	if (nh)
		rtnl_route_nh_free(nh);
	rtnl_route_put(o);
	return ret;
}

/* On-link routes first: a gateway must be reachable when its route is added. */
static int restore_routes(struct nl_sock *sk, const PB(SetNetworkRequest) *m, struct err *e)
{
	for (int gateways = 0; gateways < 2; gateways++) {
		for (size_t i = 0; i < m->n_routes; i++) {
			int ret;

			if ((m->routes[i]->gateway.len != 0) != gateways)
				continue;
			ret = add_route(sk, m->routes[i]);
			if (ret < 0 && ret != -NLE_EXIST)
				return err_set(e, EIO, "restore route: %s", nl_geterror(ret));
		}
	}
	return 0;
}

static int with_socket(int netns_fd, const PB(SetNetworkRequest) *m, bool add, struct err *e)
{
	struct nl_sock *sk = nl_socket_alloc();
	int own, ret;

	if (!sk)
		return err_set(e, ENOMEM, "out of memory");
	own = netns_enter(netns_fd, e);
	if (own < 0) {
		nl_socket_free(sk);
		return -1;
	}
	ret = nl_connect(sk, NETLINK_ROUTE);
	ret = ret < 0 ? err_set(e, EIO, "netlink: %s", nl_geterror(ret)) : each_address(sk, m, add, e);
	if (ret == 0 && add)
		ret = restore_routes(sk, m, e);
	netns_leave(own);
	nl_socket_free(sk);
	return ret;
}

int netcfg_take(int netns_fd, const PB(SetNetworkRequest) *msg, struct err *e)
{
	return with_socket(netns_fd, msg, false, e);
}

int netcfg_restore(int netns_fd, const PB(SetNetworkRequest) *msg, struct err *e)
{
	return with_socket(netns_fd, msg, true, e);
}
