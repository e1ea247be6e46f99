/* SPDX-License-Identifier: Apache-2.0
 * cni/netcfg.c - reading a network namespace: links, addresses, routes, neighbours
 */
#include "cni/netcfg.h"

#include <errno.h>
#include <net/if_arp.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netlink/netlink.h>
#include <netlink/route/addr.h>
#include <netlink/route/link.h>
#include <netlink/route/neighbour.h>
#include <netlink/route/nexthop.h>
#include <netlink/route/route.h>
#include <string.h>
#include <sys/socket.h>

#define PB(x)	   Runsc__Control__V1__##x
#define PB_INIT(x) RUNSC__CONTROL__V1__##x##__INIT
#define ITEMS_MAX  4096	 /* routes, neighbours, addresses of one namespace */
#define GSO_MAX	   65536 /* bytes of one frame with PACKET_VNET_HDR */
#define NIC_RX_BUF (24 << 20) /* several connections' full windows: what does not fit is lost, and sent again */
#define NIC_TX_BUF (4 << 20)

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23
#endif

struct netcfg_block {
	struct netcfg_block *next;
	max_align_t mem[];
};

static void *alloc(struct netcfg *c, size_t n, size_t size)
{
	struct netcfg_block *b = n > ITEMS_MAX * 4 ? NULL : calloc(1, sizeof(*b) + n * size + 1);

	if (!b)
		return NULL;
	b->next = c->blocks;
	c->blocks = b;
	return b->mem;
}

void netcfg_fini(struct netcfg *c)
{
	while (c->blocks) {
		struct netcfg_block *b = c->blocks;

		c->blocks = b->next;
		free(b);
	}
	while (c->nr_fds)
		close(c->fds[--c->nr_fds]);
}

static ProtobufCBinaryData bytes_of(struct netcfg *c, struct nl_addr *a)
{
	ProtobufCBinaryData d = { 0 };

	if (!a || !nl_addr_get_len(a))
		return d;
	d.data = alloc(c, nl_addr_get_len(a), 1);
	if (d.data) {
		d.len = nl_addr_get_len(a);
		memcpy(d.data, nl_addr_get_binary_addr(a), d.len);
	}
	return d;
}

/* ---- links ------------------------------------------------------------------------------------------------------- */

/* Bound before it can hear anything: protocol 0 receives nothing. */
static int packet_socket(int ifindex, struct err *e)
{
	struct sockaddr_ll sa = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = ifindex };
	AUTO_CLOSE int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	int one = 1, rx = NIC_RX_BUF, tx = NIC_TX_BUF;

	if (fd < 0)
		return err_sys(e, "packet socket");
	if (setsockopt(fd, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)) < 0)
		return err_sys(e, "packet socket: PACKET_VNET_HDR");
	/* our own frames would come back as input */
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof(one)) < 0)
		return err_sys(e, "packet socket: PACKET_IGNORE_OUTGOING");
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &rx, sizeof(rx));
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &tx, sizeof(tx));
	if (bind(fd, (struct sockaddr *)&sa, sizeof(sa)) < 0)
		return err_sys(e, "packet socket: bind");
	return TAKE_FD(fd);
}

struct read_ctx {
	struct netcfg *c;
	struct err *e;
	bool want_sockets, failed;
	PB(Link) *links;
	PB(Address) *addrs;
	PB(Route) *routes;
	PB(Neighbour) *neighs;
	size_t nr_links, nr_addrs, nr_routes, nr_neighs;
};

static void on_link(struct nl_object *o, void *arg)
{
	struct rtnl_link *l = (struct rtnl_link *)o;
	struct read_ctx *x = arg;
	PB(Link) *out = &x->links[x->nr_links];
	unsigned flags = rtnl_link_get_flags(l), type = rtnl_link_get_arptype(l);
	int fd;

	if (x->failed || x->nr_links == NETCFG_LINKS_MAX ||
	    !(type == ARPHRD_LOOPBACK || (type == ARPHRD_ETHER && (flags & IFF_UP))))
		return;
	*out = (PB(Link))PB_INIT(LINK);
	out->name = alloc(x->c, strlen(rtnl_link_get_name(l)) + 1, 1);
	if (!out->name) {
		x->failed = true;
		return;
	}
	strcpy(out->name, rtnl_link_get_name(l));
	out->index = (uint32_t)rtnl_link_get_ifindex(l);
	out->mtu = rtnl_link_get_mtu(l);
	out->loopback = type == ARPHRD_LOOPBACK;
	out->up = flags & IFF_UP || out->loopback; /* a container's loopback is up, as runc makes it */
	x->nr_links++;
	if (out->loopback)
		return;
	out->mac = bytes_of(x->c, rtnl_link_get_addr(l));
	x->c->nr_nics++;
	if (!x->want_sockets)
		return;
	fd = packet_socket((int)out->index, x->e);
	if (fd < 0) {
		err_wrap(x->e, "link %s", out->name);
		x->failed = true;
		return;
	}
	x->c->fds[x->c->nr_fds++] = fd;
	out->has_packet_fd = out->vnet_hdr = true;
	out->gso_max_bytes = GSO_MAX;
	out->csum_offload = 3;
}

static void on_addr(struct nl_object *o, void *arg)
{
	struct rtnl_addr *a = (struct rtnl_addr *)o;
	struct read_ctx *x = arg;
	PB(Address) *out = &x->addrs[x->nr_addrs];

	if (x->nr_addrs == ITEMS_MAX || !rtnl_addr_get_local(a))
		return;
	*out = (PB(Address))PB_INIT(ADDRESS);
	out->addr = bytes_of(x->c, rtnl_addr_get_local(a));
	out->prefix_len = (uint32_t)rtnl_addr_get_prefixlen(a);
	out->peer = bytes_of(x->c, rtnl_addr_get_peer(a));
	out->broadcast = bytes_of(x->c, rtnl_addr_get_broadcast(a));
	out->flags = rtnl_addr_get_flags(a);
	out->scope = (uint32_t)rtnl_addr_get_scope(a);
	for (size_t i = 0; i < x->nr_links; i++) {
		PB(Link) *l = &x->links[i];

		if (l->index != (uint32_t)rtnl_addr_get_ifindex(a))
			continue;
		if (!l->addresses)
			l->addresses = alloc(x->c, 256, sizeof(*l->addresses));
		if (!l->addresses || l->n_addresses == 256)
			return;
		l->addresses[l->n_addresses++] = out;
		x->nr_addrs++;
	}
}

/* Routes of the main table with one next hop; the kernel makes the local ones again by itself, and so does the Sentry. */
static void on_route(struct nl_object *o, void *arg)
{
	struct rtnl_route *r = (struct rtnl_route *)o;
	struct rtnl_nexthop *nh = rtnl_route_get_nnexthops(r) > 0 ? rtnl_route_nexthop_n(r, 0) : NULL;
	struct read_ctx *x = arg;
	PB(Route) *out = &x->routes[x->nr_routes];
	uint32_t mtu = 0;

	if (x->nr_routes == ITEMS_MAX || rtnl_route_get_table(r) != RT_TABLE_MAIN)
		return;
	*out = (PB(Route))PB_INIT(ROUTE);
	out->family = rtnl_route_get_family(r);
	if (rtnl_route_get_dst(r) && nl_addr_get_prefixlen(rtnl_route_get_dst(r))) {
		out->dst = bytes_of(x->c, rtnl_route_get_dst(r));
		out->dst_len = nl_addr_get_prefixlen(rtnl_route_get_dst(r));
	}
	out->prefsrc = bytes_of(x->c, rtnl_route_get_pref_src(r));
	out->metric = rtnl_route_get_priority(r);
	out->table = rtnl_route_get_table(r);
	out->scope = rtnl_route_get_scope(r);
	out->type = rtnl_route_get_type(r);
	out->protocol = rtnl_route_get_protocol(r);
	if (rtnl_route_get_metric(r, RTAX_MTU, &mtu) == 0)
		out->mtu = mtu;
	if (nh) {
		out->gateway = bytes_of(x->c, rtnl_route_nh_get_gateway(nh));
		out->link_index = (uint32_t)rtnl_route_nh_get_ifindex(nh);
		out->onlink = rtnl_route_nh_get_flags(nh) & RTNH_F_ONLINK;
	}
	x->nr_routes++;
}

static void on_neigh(struct nl_object *o, void *arg)
{
	struct rtnl_neigh *n = (struct rtnl_neigh *)o;
	struct read_ctx *x = arg;
	PB(Neighbour) *out = &x->neighs[x->nr_neighs];
	int state = rtnl_neigh_get_state(n);

	/* only what was configured: the Sentry learns the rest */
	if (x->nr_neighs == ITEMS_MAX || !(state & NUD_PERMANENT) || !rtnl_neigh_get_lladdr(n))
		return;
	*out = (PB(Neighbour))PB_INIT(NEIGHBOUR);
	out->link_index = (uint32_t)rtnl_neigh_get_ifindex(n);
	out->addr = bytes_of(x->c, rtnl_neigh_get_dst(n));
	out->mac = bytes_of(x->c, rtnl_neigh_get_lladdr(n));
	out->state = (uint32_t)state;
	x->nr_neighs++;
}

/* A protobuf array of pointers to @n consecutive elements. */
static void *pointers(struct netcfg *c, void *first, size_t n, size_t size)
{
	void **v = alloc(c, n + 1, sizeof(*v));

	for (size_t i = 0; v && i < n; i++)
		v[i] = (char *)first + i * size;
	return v;
}

static int each(struct nl_sock *sk, int (*get)(struct nl_sock *sk, struct nl_cache **out), void (*fn)(struct nl_object *, void *),
		struct read_ctx *x, const char *what)
{
	struct nl_cache *cache;
	int ret = get(sk, &cache);

	if (ret < 0)
		return err_set(x->e, EIO, "read %s: %s", what, nl_geterror(ret));
	nl_cache_foreach(cache, fn, x);
	nl_cache_free(cache);
	return x->failed ? -1 : 0;
}

static int get_links(struct nl_sock *sk, struct nl_cache **out)
{
	return rtnl_link_alloc_cache(sk, AF_UNSPEC, out);
}

static int get_routes(struct nl_sock *sk, struct nl_cache **out)
{
	return rtnl_route_alloc_cache(sk, AF_UNSPEC, 0, out);
}

static int read_all(struct nl_sock *sk, struct read_ctx *x)
{
	struct netcfg *c = x->c;
	int ret = nl_connect(sk, NETLINK_ROUTE);

	if (ret < 0)
		return err_set(x->e, EIO, "netlink: %s", nl_geterror(ret));
	x->links = alloc(c, NETCFG_LINKS_MAX, sizeof(*x->links));
	x->addrs = alloc(c, ITEMS_MAX, sizeof(*x->addrs));
	x->routes = alloc(c, ITEMS_MAX, sizeof(*x->routes));
	x->neighs = alloc(c, ITEMS_MAX, sizeof(*x->neighs));
	if (!x->links || !x->addrs || !x->routes || !x->neighs)
		return err_set(x->e, ENOMEM, "out of memory");
	if (each(sk, get_links, on_link, x, "links") < 0)
		return -1;
	if (!c->nr_nics) /* nothing but loopback, which needs no description */
		return 0;
	if (each(sk, rtnl_addr_alloc_cache, on_addr, x, "addresses") < 0 || each(sk, get_routes, on_route, x, "routes") < 0 ||
	    each(sk, rtnl_neigh_alloc_cache, on_neigh, x, "neighbours") < 0)
		return -1;
	c->msg.links = pointers(c, x->links, x->nr_links, sizeof(*x->links));
	c->msg.routes = pointers(c, x->routes, x->nr_routes, sizeof(*x->routes));
	c->msg.neighbours = pointers(c, x->neighs, x->nr_neighs, sizeof(*x->neighs));
	c->msg.fds = alloc(c, c->nr_fds + 1, sizeof(*c->msg.fds));
	if (!c->msg.links || !c->msg.routes || !c->msg.neighbours || !c->msg.fds)
		return err_set(x->e, ENOMEM, "out of memory");
	c->msg.n_links = x->nr_links;
	c->msg.n_routes = x->nr_routes;
	c->msg.n_neighbours = x->nr_neighs;
	for (size_t i = 0; i < c->nr_fds; i++)
		c->msg.fds[i] = RUNSC__CONTROL__V1__FD_ROLE__FD_PACKET;
	if (x->want_sockets) {
		c->fds[c->nr_fds] = resolver_open();
		if (c->fds[c->nr_fds] >= 0)
			c->msg.fds[c->nr_fds++] = RUNSC__CONTROL__V1__FD_ROLE__FD_RESOLVER;
	}
	c->msg.n_fds = c->nr_fds;
	return 0;
}

int netcfg_read(int netns_fd, bool want_sockets, struct netcfg *out, struct err *e)
{
	struct read_ctx x = { .c = out, .e = e, .want_sockets = want_sockets };
	struct nl_sock *sk = nl_socket_alloc();
	int own, ret = -1;

	memset(out, 0, sizeof(*out));
	out->msg = (PB(SetNetworkRequest))PB_INIT(SET_NETWORK_REQUEST);
	if (!sk)
		return err_set(e, ENOMEM, "out of memory");
	own = netns_enter(netns_fd, e);
	if (own >= 0) {
		ret = read_all(sk, &x);
		netns_leave(own);
	}
	nl_socket_free(sk);
	if (ret < 0)
		netcfg_fini(out);
	return ret;
}
