/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/mcast_opt.c - multicast groups of an endpoint, with source lists
 *
 * Source:  ip(7), RFC 3678 (source filters), RFC 3493 section 5.2.
 */
#include "sentry/abi/inet.h"
#include "sentry/net/sock_internal.h"

#define MC_MAX_SRC 64
#define MC_MAX_PER_SOCK 256

struct req {
	struct naddr group, src, ifaddr;
	uint32_t ifindex;
};

static bool is_group_req(int name)
{
	return name == LINUX_MCAST_JOIN_GROUP || name == LINUX_MCAST_LEAVE_GROUP;
}

static bool is_group_source_req(int name)
{
	return name == LINUX_MCAST_BLOCK_SOURCE || name == LINUX_MCAST_UNBLOCK_SOURCE || name == LINUX_MCAST_JOIN_SOURCE_GROUP ||
	       name == LINUX_MCAST_LEAVE_SOURCE_GROUP;
}

/* The address in a struct sockaddr_storage. */
static struct naddr storage_addr(const uint8_t *ss)
{
	uint16_t family;
	uint32_t v4;

	memcpy(&family, ss, 2);
	memcpy(&v4, ss + 4, 4);
	return family == NET_AF_INET ? naddr_from_v4(v4) : naddr_from_bytes6(ss + 8);
}

/* What the family independent requests are called in ip(7). */
static int canonical(int name)
{
	switch (name) {
	case LINUX_MCAST_BLOCK_SOURCE:
		return LINUX_IP_BLOCK_SOURCE;
	case LINUX_MCAST_UNBLOCK_SOURCE:
		return LINUX_IP_UNBLOCK_SOURCE;
	case LINUX_MCAST_JOIN_SOURCE_GROUP:
		return LINUX_IP_ADD_SOURCE_MEMBERSHIP;
	case LINUX_MCAST_LEAVE_SOURCE_GROUP:
		return LINUX_IP_DROP_SOURCE_MEMBERSHIP;
	}
	return name;
}

/* The option values come in six layouts (struct ip_mreq, ip_mreqn, ip_mreq_source, ipv6_mreq, group_req,
 * group_source_req). */
static int parse(int level, int name, const uint8_t *v, uint32_t len, struct req *r)
{
	uint32_t w[3] = { 0 };

	memset(r, 0, sizeof(*r));
	if (is_group_req(name) || is_group_source_req(name)) {
		if (len < (is_group_req(name) ? 136u : 264u))
			return -LINUX_EINVAL;
		memcpy(&r->ifindex, v, 4);
		r->group = storage_addr(v + 8);
		if (is_group_source_req(name))
			r->src = storage_addr(v + 136);
		return 0;
	}
	if (level == LINUX_SOL_IPV6) {
		if (len < 20)
			return -LINUX_EINVAL;
		r->group = naddr_from_bytes6(v);
		memcpy(&r->ifindex, v + 16, 4);
		return 0;
	}
	if (len < 8)
		return -LINUX_EINVAL;
	memcpy(w, v, MIN(len, (uint32_t)sizeof(w)));
	r->group = naddr_from_v4(w[0]);
	r->ifaddr = naddr_from_v4(w[1]);
	if (name == LINUX_IP_ADD_MEMBERSHIP || name == LINUX_IP_DROP_MEMBERSHIP) {
		if (len >= 12)
			r->ifindex = w[2];
	} else {
		if (len < 12)
			return -LINUX_EINVAL;
		r->src = naddr_from_v4(w[2]); /* imr_multiaddr, imr_interface, imr_sourceaddr */
	}
	return 0;
}

static struct net_link *pick_link(struct sock *sk, const struct req *r)
{
	struct net_flow fl = { .dst = r->group, .src = naddr_is_v4(&r->group) ? NADDR_ANY4 : NADDR_ANY6 };
	struct net_ns *ns = sk->c.ns;
	struct net_link *l;
	uint32_t idx = r->ifindex;
	struct dst *d;

	if (!idx && naddr_is_v4(&r->ifaddr) && !naddr_is_any(&r->ifaddr)) {
		idx = net_ifindex_of_addr(ns, &r->ifaddr);
		if (!idx)
			return NULL;
	}
	if (idx)
		return net_link_by_index(ns, idx);
	if (net_route_lookup(ns, &fl, &d))
		return NULL;
	l = d->link;
	net_link_get(l);
	dst_put(d);
	return l;
}

static struct mc_member *find(struct sock *sk, const struct naddr *g, uint32_t ifindex)
{
	struct mc_member *m;

	list_for_each_entry(m, &sk->mcs, node)
		if (naddr_eq(&m->group, g) && (!ifindex || m->ifindex == ifindex))
			return m;
	return NULL;
}

static int src_add(struct mc_member *m, const struct naddr *s)
{
	struct naddr *n;

	for (unsigned i = 0; i < m->nr_src; i++)
		if (naddr_eq(&m->src[i], s))
			return -LINUX_EADDRNOTAVAIL;
	if (m->nr_src >= MC_MAX_SRC)
		return -LINUX_ENOBUFS;
	n = realloc(m->src, (m->nr_src + 1) * sizeof(*n));
	if (!n)
		return -LINUX_ENOBUFS;
	m->src = n;
	m->src[m->nr_src++] = *s;
	return 0;
}

static int src_del(struct mc_member *m, const struct naddr *s)
{
	for (unsigned i = 0; i < m->nr_src; i++)
		if (naddr_eq(&m->src[i], s)) {
			m->src[i] = m->src[--m->nr_src];
			return 0;
		}
	return -LINUX_EADDRNOTAVAIL;
}

static void member_free(struct sock *sk, struct mc_member *m)
{
	struct net_link *l = net_link_by_index(sk->c.ns, m->ifindex);

	if (l) {
		net_mcast_leave(l, &m->group);
		net_link_put(l);
	}
	mutex_lock(&sk->mu);
	list_del_init(&m->node);
	mutex_unlock(&sk->mu);
	free(m->src);
	free(m);
}

static int join(struct sock *sk, struct net_link *l, const struct req *r, const struct naddr *src)
{
	struct mc_member *m = find(sk, &r->group, l->index);
	unsigned n = 0;
	int ret;

	if (m) {
		if (!src || m->exclude)
			return src ? -LINUX_EINVAL : -LINUX_EADDRINUSE;
		return src_add(m, src);
	}
	list_for_each_entry(m, &sk->mcs, node)
		n++;
	if (n >= MC_MAX_PER_SOCK)
		return -LINUX_ENOBUFS;
	m = calloc(1, sizeof(*m));
	if (!m)
		return -LINUX_ENOMEM;
	m->group = r->group;
	m->ifindex = l->index;
	m->exclude = !src;
	ret = src ? src_add(m, src) : 0;
	if (!ret)
		ret = net_mcast_join(l, &r->group);
	if (ret) {
		free(m->src);
		free(m);
		return ret;
	}
	mutex_lock(&sk->mu);
	list_add_tail(&sk->mcs, &m->node);
	mutex_unlock(&sk->mu);
	return 0;
}

static int change(struct sock *sk, int name, const struct req *r, struct net_link *l)
{
	struct mc_member *m = find(sk, &r->group, l ? l->index : 0);
	int ret;

	if (!m)
		return -LINUX_EADDRNOTAVAIL;
	switch (name) {
	case LINUX_IP_BLOCK_SOURCE:
		return m->exclude ? src_add(m, &r->src) : -LINUX_EINVAL;
	case LINUX_IP_UNBLOCK_SOURCE:
		return m->exclude ? src_del(m, &r->src) : -LINUX_EINVAL;
	case LINUX_IP_DROP_SOURCE_MEMBERSHIP:
		ret = m->exclude ? -LINUX_EINVAL : src_del(m, &r->src);
		if (!ret && !m->nr_src)
			member_free(sk, m);
		return ret;
	default:
		member_free(sk, m);
		return 0;
	}
}

int sock_mc_option(struct sock *sk, int level, int name, const void *val, uint32_t len)
{
	struct net_link *l;
	struct req r;
	int ret = parse(level, name, val, len, &r);

	if (ret)
		return ret;
	name = canonical(name);
	if (!naddr_is_multicast(&r.group))
		return name == LINUX_IP_DROP_MEMBERSHIP ? -LINUX_EADDRNOTAVAIL : -LINUX_EINVAL;
	l = pick_link(sk, &r);
	if (name == LINUX_IP_ADD_MEMBERSHIP || name == LINUX_IPV6_ADD_MEMBERSHIP || name == LINUX_MCAST_JOIN_GROUP ||
	    name == LINUX_IP_ADD_SOURCE_MEMBERSHIP)
		ret = l ? join(sk, l, &r, name == LINUX_IP_ADD_SOURCE_MEMBERSHIP ? &r.src : NULL) : -LINUX_ENODEV;
	else
		ret = change(sk, name, &r, l);
	net_link_put(l);
	return ret;
}

void sock_mc_release(struct sock *sk)
{
	while (!list_empty(&sk->mcs))
		member_free(sk, list_first(&sk->mcs, struct mc_member, node));
}

/* Does @sk want a multicast that arrived on this link? sk->mu guards the list against the option calls. */
bool sock_mc_wants(struct sock *sk, const struct pkt *p)
{
	struct mc_member *m;
	bool want = naddr_is_v4(&p->dstaddr) ? sk->mc_all : sk->mc_all6, hit = false;

	mutex_lock(&sk->mu);
	list_for_each_entry(m, &sk->mcs, node) {
		if (!naddr_eq(&m->group, &p->dstaddr) || m->ifindex != p->iif)
			continue;
		for (unsigned i = 0; i < m->nr_src; i++)
			hit |= naddr_eq(&m->src[i], &p->src);
		want = m->exclude ? !hit : hit;
		break;
	}
	mutex_unlock(&sk->mu);
	return want;
}
