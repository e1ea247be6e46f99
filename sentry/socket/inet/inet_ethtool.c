/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_ethtool.c - SIOCETHTOOL: what libpcap, ethtool and monitoring agents ask of an interface
 *
 * Model:   a row per command that has an answer. Whatever a software interface has nothing to say about is
 *          -LINUX_EOPNOTSUPP, which is what Linux says for a driver without that operation.
 * Source:  ethtool(8), linux/ethtool.h (layouts).
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/abi/netdevice.h"
#include "sentry/socket/inet/inet.h"

struct ethtool_call {
	struct net_link *l;
	union {
		uint32_t cmd;
		struct linux_ethtool_value value;
		struct linux_ethtool_drvinfo drv;
		struct linux_ethtool_ts_info ts;
		struct linux_ethtool_perm_addr perm;
	} u;
};

static void get_driver(struct ethtool_call *c)
{
	struct linux_ethtool_drvinfo *d = &c->u.drv;

	*d = (struct linux_ethtool_drvinfo){ .cmd = d->cmd };
	/* What CNI made on the other side is a veth; programs that look at the name expect no NIC of a sandbox. */
	strncpy(d->driver, strcmp(c->l->ops->kind, "nic") ? c->l->ops->kind : "veth", sizeof(d->driver) - 1);
	strcpy(d->version, "1.0");
}

static void get_link(struct ethtool_call *c)
{
	c->u.value.data = net_link_up(c->l) && !c->l->no_carrier;
}

static void get_csum(struct ethtool_call *c)
{
	c->u.value.data = c->l->features & NET_LINK_CSUM ? 1 : 0;
}

static void get_seg(struct ethtool_call *c)
{
	c->u.value.data = c->l->features & NET_LINK_TSO4 ? 1 : 0;
}

static void get_on(struct ethtool_call *c)
{
	c->u.value.data = 1;
}

static void get_off(struct ethtool_call *c)
{
	c->u.value.data = 0;
}

static void get_ts(struct ethtool_call *c)
{
	c->u.ts = (struct linux_ethtool_ts_info){ .cmd = c->u.cmd, .phc_index = -1,
						  .so_timestamping = LINUX_SOF_TIMESTAMPING_RX_SOFTWARE | LINUX_SOF_TIMESTAMPING_SOFTWARE };
}

static void get_perm(struct ethtool_call *c)
{
	c->u.perm.size = c->l->hwlen;
	memcpy(c->u.perm.addr, c->l->mac, sizeof(c->l->mac));
}

static const struct ethtool_row {
	uint32_t cmd;
	size_t size;
	void (*fn)(struct ethtool_call *c);
} rows[] = {
	{ LINUX_ETHTOOL_GDRVINFO, sizeof(struct linux_ethtool_drvinfo), get_driver },
	{ LINUX_ETHTOOL_GLINK, sizeof(struct linux_ethtool_value), get_link },
	{ LINUX_ETHTOOL_GRXCSUM, sizeof(struct linux_ethtool_value), get_on },
	{ LINUX_ETHTOOL_GTXCSUM, sizeof(struct linux_ethtool_value), get_csum },
	{ LINUX_ETHTOOL_GSG, sizeof(struct linux_ethtool_value), get_on },
	{ LINUX_ETHTOOL_GTSO, sizeof(struct linux_ethtool_value), get_seg },
	{ LINUX_ETHTOOL_GUFO, sizeof(struct linux_ethtool_value), get_off },
	{ LINUX_ETHTOOL_GGSO, sizeof(struct linux_ethtool_value), get_on },
	{ LINUX_ETHTOOL_GFLAGS, sizeof(struct linux_ethtool_value), get_off },
	{ LINUX_ETHTOOL_GGRO, sizeof(struct linux_ethtool_value), get_off },
	{ LINUX_ETHTOOL_GPERMADDR, sizeof(struct linux_ethtool_perm_addr), get_perm },
	{ LINUX_ETHTOOL_GET_TS_INFO, sizeof(struct linux_ethtool_ts_info), get_ts },
};

long inet_ethtool(struct net_link *l, struct task *t, uint64_t data)
{
	struct ethtool_call c = { .l = l };
	long ret = copyin(t->u, &c.u.cmd, GPTR(data), sizeof(c.u.cmd));

	if (ret)
		return ret;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (rows[i].cmd != c.u.cmd)
			continue;
		if (rows[i].cmd == LINUX_ETHTOOL_GPERMADDR) { /* its size field says how much room there is */
			ret = copyin(t->u, &c.u.perm, GPTR(data), sizeof(c.u.cmd) + sizeof(c.u.perm.size));
			if (ret || c.u.perm.size < l->hwlen)
				return ret ? ret : -LINUX_EINVAL;
		}
		rows[i].fn(&c);
		return copyout(t->u, GPTR(data), &c.u,
			       rows[i].cmd == LINUX_ETHTOOL_GPERMADDR ? 8u + l->hwlen : rows[i].size);
	}
	return -LINUX_EOPNOTSUPP;
}
