/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_bridge.c - bridges by ioctl, as brctl(8) makes them
 *
 * Source:  brctl(8), linux/sockios.h; errors as net/bridge/br_ioctl.c gives them.
 * Differs: not the older SIOCGIFBR, SIOCSIFBR and SIOCDEVPRIVATE forms, nor ageing, spanning tree and path costs.
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/abi/netdevice.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/netlink/rtnl.h"

static bool is_bridge(const struct net_link *l)
{
	return !strcmp(l->ops->kind, "bridge");
}

static long add_bridge(struct net_ns *ns, const char *name)
{
	struct net_link_param p = { .name = name };
	struct net_link *l;

	return net_link_new_bridge(ns, &p, &l);
}

static long del_bridge(struct net_ns *ns, const char *name)
{
	struct net_link *l = net_link_by_name(ns, name);
	long ret;

	if (!l)
		return -LINUX_ENXIO;
	if (!is_bridge(l))
		ret = -LINUX_EPERM;
	else
		ret = l->flags & NET_IFF_UP ? -LINUX_EBUSY : net_link_del(l);
	net_link_put(l);
	return ret;
}

static long set_port(struct net_link *bridge, struct net_link *port, bool add)
{
	if (!is_bridge(bridge))
		return -LINUX_EOPNOTSUPP;
	if (!add)
		return port->master == bridge ? net_link_set_master(port, NULL) : -LINUX_EINVAL;
	if (is_bridge(port))
		return -LINUX_ELOOP;
	return port->master ? -LINUX_EBUSY : net_link_set_master(port, bridge);
}

static long change_port(struct net_ns *ns, const char *name, int32_t index, bool add)
{
	struct net_link *bridge = net_link_by_name(ns, name), *port = index > 0 ? net_link_by_index(ns, (uint32_t)index) : NULL;
	long ret = -LINUX_ENODEV;

	if (bridge)
		ret = port ? set_port(bridge, port, add) : -LINUX_EINVAL;
	if (port)
		net_link_put(port);
	if (bridge)
		net_link_put(bridge);
	return ret;
}

long inet_bridge_ioctl(struct net_ns_ref *net, struct task *t, uint32_t cmd, uint64_t arg)
{
	bool ports = cmd == LINUX_SIOCBRADDIF || cmd == LINUX_SIOCBRDELIF;
	struct linux_ifreq r;
	long ret;

	if (!cred_has_cap(t->cred, net->user_ns, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	/* for a bridge itself only a name is there */
	ret = ports ? copyin_obj(t->u, &r, GPTR(arg)) : copyin(t->u, r.name, GPTR(arg), sizeof(r.name));
	if (!ret)
		ret = sleep_lock_killable(&netlink_cfg);
	if (ret)
		return ret;
	r.name[sizeof(r.name) - 1] = '\0';
	if (ports)
		ret = change_port(net->stack, r.name, r.value, cmd == LINUX_SIOCBRADDIF);
	else if (cmd == LINUX_SIOCBRADDBR)
		ret = add_bridge(net->stack, r.name);
	else
		ret = del_bridge(net->stack, r.name);
	sleep_unlock(&netlink_cfg);
	return ret;
}
