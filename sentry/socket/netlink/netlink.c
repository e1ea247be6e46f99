/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/netlink.c - AF_NETLINK: creation, names, groups, options
 */
#include "sentry/socket/netlink/netlink.h"

#include "sentry/abi/cap.h"
#include "sentry/abi/ioctl.h"
#include "sentry/net/net.h"
#include "sentry/net/sock.h"
#include "sentry/task/ns.h"

struct mutex netlink_mu = MUTEX_INIT;
struct list netlink_socks = LIST_HEAD_INIT(netlink_socks);
struct sleeplock netlink_cfg;

static const struct netlink_proto *protos[LINUX_NETLINK_MAX];
static const struct socket_ops netlink_ops;

void netlink_proto_register(const struct netlink_proto *p)
{
	BUG_ON(p->protocol >= LINUX_NETLINK_MAX || p->nr_groups > NL_GROUPS_MAX);
	protos[p->protocol] = p;
}

const struct netlink_proto *netlink_proto_of(int protocol)
{
	return protocol >= 0 && protocol < LINUX_NETLINK_MAX ? protos[protocol] : NULL;
}

static const struct netlink_proto *proto_of(const struct nl_sock *nl)
{
	return protos[nl->sk.protocol];
}

static long netlink_create(struct task *t, struct net_ns_ref *net, int type, int protocol, struct socket **out)
{
	struct nl_sock *nl;

	if (type != LINUX_SOCK_RAW && type != LINUX_SOCK_DGRAM)
		return -LINUX_ESOCKTNOSUPPORT;
	if (!netlink_proto_of(protocol))
		return -LINUX_EPROTONOSUPPORT;
	nl = calloc(1, sizeof(*nl));
	if (!nl)
		return -LINUX_ENOMEM;
	socket_init(&nl->sk, &netlink_ops, net, LINUX_AF_NETLINK, type, protocol);
	mutex_init(&nl->mu);
	waitq_init(&nl->wq);
	list_init(&nl->rxq);
	mutex_lock(&netlink_mu);
	list_add_tail(&netlink_socks, &nl->node);
	mutex_unlock(&netlink_mu);
	*out = &nl->sk;
	return 0;
}

static void netlink_release(struct socket *s)
{
	struct nl_sock *nl = nl_of(s);

	mutex_lock(&netlink_mu);
	list_del_init(&nl->node);
	mutex_unlock(&netlink_mu);
	nl_flush(nl);
	bpf_prog_free(nl->filter);
	socket_fini(s);
	free(nl);
}

/* ---- names ------------------------------------------------------------------------------------------------------ */

struct nl_sock *nl_find_locked(struct net_ns *ns, int protocol, uint32_t portid)
{
	struct nl_sock *nl;

	list_for_each_entry(nl, &netlink_socks, node)
		if (nl->portid == portid && nl->sk.protocol == protocol && nl->sk.net->stack == ns)
			return nl;
	return NULL;
}

static long take_port(struct nl_sock *nl, uint32_t portid)
{
	long ret = 0;

	mutex_lock(&netlink_mu);
	if (nl->portid)
		ret = nl->portid == portid ? 0 : -LINUX_EINVAL;
	else if (nl_find_locked(nl->sk.net->stack, nl->sk.protocol, portid))
		ret = -LINUX_EADDRINUSE;
	else
		nl->portid = portid;
	mutex_unlock(&netlink_mu);
	return ret;
}

/* The process's number, and beyond that numbers that no process has. */
long netlink_bind_auto(struct nl_sock *nl, struct task *t)
{
	uint32_t port = pid_nr(t->group->leader->pid, task_pid_ns(t));
	long ret = -LINUX_EADDRINUSE;

	if (nl->portid)
		return 0;
	for (unsigned tries = 0; ret == -LINUX_EADDRINUSE && tries < 1000; tries++) {
		ret = port ? take_port(nl, port) : -LINUX_EADDRINUSE;
		port = 0x80000000u | net_random32();
	}
	return ret == -LINUX_EINVAL ? 0 : ret; /* another thread was faster */
}

static bool may_listen(const struct nl_sock *nl, const struct task *t)
{
	return proto_of(nl)->open_groups || cred_has_cap(t->cred, nl->sk.net->user_ns, LINUX_CAP_NET_ADMIN);
}

static long name_from(const struct sockaddr_buf *a, struct linux_sockaddr_nl *out)
{
	if (a->len < sizeof(*out))
		return -LINUX_EINVAL;
	memcpy(out, a->b, sizeof(*out));
	return out->family == LINUX_AF_NETLINK ? 0 : -LINUX_EINVAL;
}

static long netlink_bind(struct socket *s, struct task *t, const struct sockaddr_buf *a)
{
	struct nl_sock *nl = nl_of(s);
	struct linux_sockaddr_nl n;
	long ret = name_from(a, &n);

	if (ret)
		return ret;
	if (n.groups && !may_listen(nl, t))
		return -LINUX_EPERM;
	ret = n.pid ? take_port(nl, n.pid) : netlink_bind_auto(nl, t);
	if (ret)
		return ret;
	mutex_lock(&netlink_mu);
	nl->groups = (nl->groups & ~0xffffffffull) | n.groups;
	mutex_unlock(&netlink_mu);
	return 0;
}

static long netlink_connect(struct socket *s, struct task *t, const struct sockaddr_buf *a, bool nonblock)
{
	struct nl_sock *nl = nl_of(s);
	struct linux_sockaddr_nl n = { 0 };
	long ret = 0;

	if (a->family != LINUX_AF_UNSPEC)
		ret = name_from(a, &n);
	if (!ret && (n.groups || n.pid) && !proto_of(nl)->user && !cred_has_cap(t->cred, s->net->user_ns, LINUX_CAP_NET_ADMIN))
		ret = -LINUX_EPERM;
	if (!ret)
		ret = netlink_bind_auto(nl, t);
	if (ret)
		return ret;
	mutex_lock(&nl->mu);
	nl->dst_pid = n.pid;
	nl->dst_groups = n.groups;
	mutex_unlock(&nl->mu);
	return 0;
}

static long netlink_getname(struct socket *s, bool peer, struct sockaddr_buf *out)
{
	struct nl_sock *nl = nl_of(s);
	struct linux_sockaddr_nl n = { .family = LINUX_AF_NETLINK };

	n.pid = peer ? nl->dst_pid : nl->portid;
	n.groups = peer ? nl->dst_groups : (uint32_t)nl->groups;
	memcpy(out->b, &n, sizeof(n));
	out->len = sizeof(n);
	return 0;
}

/* ---- options ------------------------------------------------------------------------------------------------------ */

static long set_membership(struct nl_sock *nl, struct task *t, uint32_t group, bool on)
{
	if (!group || group > proto_of(nl)->nr_groups)
		return -LINUX_EINVAL;
	if (!may_listen(nl, t))
		return -LINUX_EPERM;
	mutex_lock(&netlink_mu);
	if (on)
		nl->groups |= 1ull << (group - 1);
	else
		nl->groups &= ~(1ull << (group - 1));
	mutex_unlock(&netlink_mu);
	return 0;
}

static _Atomic bool *flag_of(struct nl_sock *nl, int name)
{
	switch (name) {
	case LINUX_NETLINK_PKTINFO:
		return &nl->pktinfo;
	case LINUX_NETLINK_BROADCAST_ERROR:
		return &nl->bcast_error;
	case LINUX_NETLINK_NO_ENOBUFS:
		return &nl->no_enobufs;
	case LINUX_NETLINK_CAP_ACK:
		return &nl->cap_ack;
	case LINUX_NETLINK_EXT_ACK:
		return &nl->ext_ack;
	case LINUX_NETLINK_GET_STRICT_CHK:
		return &nl->strict;
	}
	return NULL;
}

/* SO_ATTACH_FILTER, and without @val SO_DETACH_FILTER. */
static long set_filter(struct nl_sock *nl, struct task *t, const void *val, size_t len)
{
	struct bpf_prog *f = NULL, *old;
	uint8_t *code;
	unsigned nr;
	long ret = val ? socket_filter_copyin(t, val, len, &code, &nr) : 0;

	if (!ret && val) {
		ret = bpf_prog_new(code, nr, &f);
		free(code);
	}
	if (ret)
		return ret;
	mutex_lock(&nl->mu);
	old = nl->filter;
	nl->filter = f;
	mutex_unlock(&nl->mu);
	bpf_prog_free(old);
	return !val && !old ? -LINUX_ENOENT : 0;
}

static long netlink_setsockopt(struct socket *s, struct task *t, int level, int name, const void *val, size_t len)
{
	struct nl_sock *nl = nl_of(s);
	_Atomic bool *flag;
	uint32_t v = 0;

	if (level == LINUX_SOL_SOCKET && name == LINUX_SO_ATTACH_FILTER)
		return set_filter(nl, t, val, len);
	if (level == LINUX_SOL_SOCKET && name == LINUX_SO_DETACH_FILTER)
		return set_filter(nl, t, NULL, 0);
	if (level != LINUX_SOL_NETLINK)
		return -LINUX_ENOPROTOOPT;
	if (len < sizeof(v))
		return -LINUX_EINVAL;
	memcpy(&v, val, sizeof(v));
	if (name == LINUX_NETLINK_ADD_MEMBERSHIP || name == LINUX_NETLINK_DROP_MEMBERSHIP)
		return set_membership(nl, t, v, name == LINUX_NETLINK_ADD_MEMBERSHIP);
	flag = flag_of(nl, name);
	if (!flag)
		return -LINUX_ENOPROTOOPT;
	atomic_store(flag, v != 0);
	return 0;
}

static long netlink_getsockopt(struct socket *s, struct task *t, int level, int name, void *val, size_t *len)
{
	struct nl_sock *nl = nl_of(s);
	uint64_t groups = nl->groups;
	_Atomic bool *flag;
	uint32_t v;

	if (level != LINUX_SOL_NETLINK)
		return -LINUX_ENOPROTOOPT;
	if (name == LINUX_NETLINK_LIST_MEMBERSHIPS) {
		memcpy(val, &groups, MIN(*len, sizeof(groups)));
		*len = ALIGN_UP(MAX(proto_of(nl)->nr_groups, 1u), 32) / 8;
		return 0;
	}
	flag = flag_of(nl, name);
	if (!flag)
		return -LINUX_ENOPROTOOPT;
	if (*len < sizeof(v))
		return -LINUX_EINVAL;
	v = atomic_load(flag);
	memcpy(val, &v, sizeof(v));
	*len = sizeof(v);
	return 0;
}

static uint32_t netlink_poll(struct socket *s, struct poll_table *pt)
{
	struct nl_sock *nl = nl_of(s);
	uint32_t mask = LINUX_POLLOUT | LINUX_POLLWRNORM | LINUX_POLLWRBAND;

	poll_wait(pt, &nl->wq);
	mutex_lock(&nl->mu);
	if (!list_empty(&nl->rxq))
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
	mutex_unlock(&nl->mu);
	return atomic_load(&s->err) ? mask | LINUX_POLLERR : mask;
}

static const struct socket_ops netlink_ops = {
	.release = netlink_release,
	.bind = netlink_bind,
	.connect = netlink_connect,
	.getname = netlink_getname,
	.sendmsg = netlink_sendmsg,
	.recvmsg = netlink_recvmsg,
	.setsockopt = netlink_setsockopt,
	.getsockopt = netlink_getsockopt,
	.poll = netlink_poll,
};

const struct socket_family netlink_family = { .family = LINUX_AF_NETLINK, .create = netlink_create };

/* Devices of the host are none of a container's business: nothing is ever told. */
static const struct netlink_proto uevent_proto = { .protocol = LINUX_NETLINK_KOBJECT_UEVENT, .nr_groups = 32, .open_groups = true };
static const struct netlink_proto usersock_proto = {
	.protocol = LINUX_NETLINK_USERSOCK, .nr_groups = 32, .open_groups = true, .user = true,
};

void netlink_init(void)
{
	sleeplock_init(&netlink_cfg);
	netlink_proto_register(&rtnetlink_proto);
	netlink_proto_register(&sock_diag_proto);
	netlink_proto_register(&genetlink_proto);
	netlink_proto_register(&netfilter_proto);
	netlink_proto_register(&uevent_proto);
	netlink_proto_register(&usersock_proto);
	socket_family_register(&netlink_family);
}
