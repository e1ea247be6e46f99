/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rt_link_set.c - NETLINK_ROUTE: links, made, changed, removed
 *
 * Source:  rtnetlink(7), ip-link(8).
 * Differs: kinds are dummy, bridge and veth; their own parameters (IFLA_INFO_DATA) are taken from veth only.
 */
#include "sentry/abi/cap.h"
#include "sentry/socket/netlink/rtnl.h"
#include "sentry/task/ns.h"

struct change {
	struct rt_ifinfo ii;
	struct nla tb[IFLA_TABLE_MAX + 1];
	char name[NET_IFNAMSIZ];	/* "" = not given */
};

static long parse_change(struct nl_req *r, struct change *c)
{
	long ret = rt_parse(r, &c->ii, sizeof(c->ii), c->tb, IFLA_TABLE_MAX);

	c->name[0] = '\0';
	if (ret)
		return ret;
	if (!nla_get_str(&c->tb[IFLA_IFNAME], c->name, sizeof(c->name)) || c->ii.index < 0)
		return -LINUX_EINVAL;
	return 0;
}

static struct net_link *find(struct nl_req *r, const struct change *c)
{
	if (c->ii.index)
		return net_link_by_index(r->ns, (uint32_t)c->ii.index);
	return c->name[0] ? net_link_by_name(r->ns, c->name) : NULL;
}

/* The namespace that IFLA_NET_NS_* names, with a reference; 0 and NULL when none is named. */
static long target_ns(struct nl_req *r, const struct nla *tb, struct net_ns_ref **out)
{
	uint32_t v = 0;
	struct file *f;
	const struct ns_ref *nr;
	long ret = 0;

	*out = NULL;
	if (nla_has(&tb[IFLA_NET_NS_FD])) {
		if (!nla_get_u32(&tb[IFLA_NET_NS_FD], &v))
			return -LINUX_EINVAL;
		f = fdtable_file(r->t->fds, (int)v, false);
		if (!f)
			return -LINUX_EBADF;
		nr = nsfs_ref(f);
		if (nr && nr->kind == NS_NET)
			*out = net_ns_ref_get(nr->ns);
		else
			ret = -LINUX_EINVAL;
		file_put(f);
	} else if (nla_has(&tb[IFLA_NET_NS_PID])) {
		struct nsproxy *n;
		struct task *t;

		if (!nla_get_u32(&tb[IFLA_NET_NS_PID], &v))
			return -LINUX_EINVAL;
		t = task_find(task_pid_ns(r->t), v);
		n = t ? task_nsproxy(t) : NULL;
		if (n && n->net)
			*out = net_ns_ref_get(n->net);
		else
			ret = -LINUX_ESRCH;
		if (n)
			nsproxy_put(n);
		if (t)
			task_put(t);
	}
	if (*out && !cred_has_cap(r->t->cred, (*out)->user_ns, LINUX_CAP_NET_ADMIN)) {
		net_ns_ref_put(*out);
		*out = NULL;
		return -LINUX_EPERM;
	}
	return ret;
}

long rt_link_set_flags(struct net_link *l, uint32_t want, uint32_t change)
{
	uint32_t now = net_link_shown_flags(l), asked = NET_IFF_PROMISC | NET_IFF_ALLMULTI;

	if (change)
		want = (want & change) | (now & ~change);
	if ((want ^ now) & NET_IFF_PROMISC)
		net_link_promisc(l, want & NET_IFF_PROMISC ? 1 : -1);
	if ((want ^ now) & NET_IFF_ALLMULTI)
		net_link_allmulti(l, want & NET_IFF_ALLMULTI ? 1 : -1);
	l->asked_flags = want & asked;
	if ((want ^ now) & NET_IFF_NOARP)
		atomic_fetch_xor(&l->flags, NET_IFF_NOARP);
	if ((want ^ now) & NET_IFF_UP)
		return net_link_set_up(l, want & NET_IFF_UP);
	return 0;
}

static long set_master(struct nl_req *r, struct net_link *l, uint32_t index)
{
	struct net_link *m = index ? net_link_by_index(r->ns, index) : NULL;
	long ret;

	if (index && !m)
		return -LINUX_EINVAL;
	if (m && strcmp(m->ops->kind, "bridge"))
		ret = -LINUX_EOPNOTSUPP;
	else
		ret = net_link_set_master(l, m);
	if (m)
		net_link_put(m);
	return ret;
}

/* Everything that @c asks for, in Linux's order. */
static long apply(struct nl_req *r, struct net_link *l, struct change *c)
{
	const struct nla *tb = c->tb;
	struct net_ns_ref *to;
	uint32_t v;
	long ret = target_ns(r, tb, &to);

	if (!ret && to)
		ret = net_link_move(l, to->stack);
	net_ns_ref_put(to);
	if (!ret && nla_has(&tb[IFLA_ADDRESS]))
		ret = tb[IFLA_ADDRESS].len < 6 ? -LINUX_EINVAL : net_link_set_mac(l, tb[IFLA_ADDRESS].p);
	if (!ret && nla_has(&tb[IFLA_MTU]))
		ret = nla_get_u32(&tb[IFLA_MTU], &v) ? net_link_set_mtu(l, v) : -LINUX_EINVAL;
	if (!ret && c->name[0] && c->ii.index && strcmp(l->name, c->name))
		ret = net_link_set_name(l, c->name);
	if (!ret && nla_has(&tb[IFLA_IFALIAS])) {
		char alias[sizeof(l->alias)];

		ret = nla_get_str(&tb[IFLA_IFALIAS], alias, sizeof(alias)) ? 0 : -LINUX_EINVAL;
		if (!ret)
			memcpy(l->alias, alias, sizeof(alias));
	}
	if (!ret && nla_has(&tb[IFLA_TXQLEN])) {
		if (nla_get_u32(&tb[IFLA_TXQLEN], &v))
			l->txqlen = v;
		else
			ret = -LINUX_EINVAL;
	}
	if (!ret && nla_has(&tb[IFLA_MASTER]))
		ret = nla_get_u32(&tb[IFLA_MASTER], &v) ? set_master(r, l, v) : -LINUX_EINVAL;
	if (!ret && (c->ii.flags || c->ii.change))
		ret = rt_link_set_flags(l, c->ii.flags, c->ii.change);
	return ret;
}

static bool to_param(const struct change *c, struct net_link_param *p)
{
	p->name = c->name[0] ? c->name : NULL;
	p->index = (uint32_t)c->ii.index;
	if (nla_has(&c->tb[IFLA_ADDRESS])) {
		if (c->tb[IFLA_ADDRESS].len < 6)
			return false;
		p->mac = c->tb[IFLA_ADDRESS].p;
	}
	return nla_get_u32(&c->tb[IFLA_MTU], &p->mtu);
}

static long make_veth(struct nl_req *r, const struct net_link_param *p, const struct nla *data, struct net_ns *ns, struct net_link **out)
{
	struct nla tb[VETH_INFO_PEER + 1];
	struct net_ns_ref *peer_ns = NULL;
	struct net_link_param pp = { 0 };
	struct change c = { 0 };
	struct cursor cur;
	const uint8_t *ii;
	struct net_link *peer;
	long ret = nla_parse(nla_cursor(data), tb, VETH_INFO_PEER);

	if (!ret && nla_has(&tb[VETH_INFO_PEER])) {
		cur = nla_cursor(&tb[VETH_INFO_PEER]);
		ii = get_bytes(&cur, sizeof(c.ii));
		if (!ii || nla_parse(cur, c.tb, IFLA_TABLE_MAX))
			return -LINUX_EINVAL;
		memcpy(&c.ii, ii, sizeof(c.ii));
		if (!nla_get_str(&c.tb[IFLA_IFNAME], c.name, sizeof(c.name)) || c.ii.index < 0 || !to_param(&c, &pp))
			return -LINUX_EINVAL;
		ret = target_ns(r, c.tb, &peer_ns);
	}
	if (!ret)
		ret = net_link_new_veth(ns, p, peer_ns ? peer_ns->stack : ns, &pp, out, &peer);
	net_ns_ref_put(peer_ns);
	return ret;
}

static long make_link(struct nl_req *r, struct change *c)
{
	struct nla info[IFLA_INFO_DATA + 1];
	struct net_link_param p = { 0 };
	struct net_ns_ref *to = NULL;
	struct net_link *l = NULL;
	struct net_ns *ns;
	char kind[16] = "";
	long ret;

	if (nla_parse(nla_cursor(&c->tb[IFLA_LINKINFO]), info, IFLA_INFO_DATA) || !to_param(c, &p) ||
	    !nla_get_str(&info[IFLA_INFO_KIND], kind, sizeof(kind)))
		return -LINUX_EINVAL;
	ret = target_ns(r, c->tb, &to);
	if (ret)
		return ret;
	ns = to ? to->stack : r->ns;
	if (!strcmp(kind, "dummy"))
		ret = net_link_new_dummy(ns, &p, &l);
	else if (!strcmp(kind, "bridge"))
		ret = net_link_new_bridge(ns, &p, &l);
	else if (!strcmp(kind, "veth"))
		ret = make_veth(r, &p, &info[IFLA_INFO_DATA], ns, &l);
	else
		ret = nl_why(r, -LINUX_EOPNOTSUPP, "Unknown device type");
	net_ns_ref_put(to);
	if (ret)
		return ret;
	/* what was given to the maker is not to be done again */
	c->tb[IFLA_ADDRESS] = c->tb[IFLA_MTU] = c->tb[IFLA_NET_NS_FD] = c->tb[IFLA_NET_NS_PID] = (struct nla){ 0 };
	c->ii.index = 0;
	net_link_get(l);
	ret = apply(r, l, c);
	if (ret)
		net_link_del(l);
	net_link_put(l);
	return ret;
}

long rt_new_link(struct nl_req *r)
{
	struct change c;
	struct net_link *l;
	long ret = parse_change(r, &c);

	if (ret)
		return ret;
	l = find(r, &c);
	if (l) {
		if (r->h.flags & LINUX_NLM_F_EXCL)
			ret = -LINUX_EEXIST;
		else
			ret = r->h.flags & LINUX_NLM_F_REPLACE ? -LINUX_EOPNOTSUPP : apply(r, l, &c);
		net_link_put(l);
		return ret;
	}
	return r->h.flags & LINUX_NLM_F_CREATE ? make_link(r, &c) : -LINUX_ENODEV;
}

long rt_set_link(struct nl_req *r)
{
	struct change c;
	struct net_link *l;
	long ret = parse_change(r, &c);

	if (ret)
		return ret;
	if (!c.ii.index && !c.name[0])
		return -LINUX_EINVAL;
	l = find(r, &c);
	if (!l)
		return -LINUX_ENODEV;
	ret = apply(r, l, &c);
	net_link_put(l);
	return ret;
}

long rt_del_link(struct nl_req *r)
{
	struct change c;
	struct net_link *l;
	long ret = parse_change(r, &c);

	if (ret)
		return ret;
	if (!c.ii.index && !c.name[0])
		return -LINUX_EINVAL;
	l = find(r, &c);
	if (!l)
		return -LINUX_ENODEV;
	ret = net_link_del(l);
	net_link_put(l);
	return ret;
}
