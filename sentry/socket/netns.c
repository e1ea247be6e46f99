/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netns.c - network namespaces as tasks hold them
 */
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/netlink/netlink.h"
#include "sentry/socket/socket_internal.h"
#include "sentry/abi/sched.h"
#include "sentry/task/ns.h"

struct net_ns_ref *net_ns_ref_new(struct user_ns *owner)
{
	struct net_ns_ref *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->unix_tab = unix_table_new();
	n->stack = inet_ns_new();
	if (!n->unix_tab || !n->stack) {
		unix_table_free(n->unix_tab);
		if (n->stack)
			net_ns_put(n->stack);
		free(n);
		return NULL;
	}
	netlink_ns_init(n->stack);
	ref_init(&n->ref, 1);
	n->user_ns = user_ns_get(owner);
	n->ino = ns_new_ino();
	return n;
}

struct net_ns_ref *net_ns_ref_get(struct net_ns_ref *n)
{
	if (n)
		ref_get(&n->ref);
	return n;
}

void net_ns_ref_put(struct net_ns_ref *n)
{
	if (!n || !ref_put(&n->ref))
		return;
	unix_table_free(n->unix_tab);
	net_ns_put(n->stack);
	user_ns_put(n->user_ns);
	free(n);
}

/* ---- as /proc/PID/ns, clone(2) and setns(2) see them ------------------------------------------------- */

static void *ns_get(void *ns)
{
	return net_ns_ref_get(ns);
}

static void ns_put(void *ns)
{
	net_ns_ref_put(ns);
}

static uint64_t ns_ino(void *ns)
{
	return ((struct net_ns_ref *)ns)->ino;
}

static struct user_ns *ns_owner(void *ns)
{
	return ((struct net_ns_ref *)ns)->user_ns;
}

static long ns_create(void *old, struct user_ns *owner, void **out)
{
	*out = net_ns_ref_new(owner);
	return *out ? 0 : -LINUX_ENOMEM;
}

static const struct ns_kind_ops net_ns_ops = {
	.name = "net",
	.clone_flag = LINUX_CLONE_NEWNET,
	.get = ns_get,
	.put = ns_put,
	.ino = ns_ino,
	.owner = ns_owner,
	.create = ns_create,
};

long net_ns_ref_loopback_up(struct net_ns_ref *n)
{
	return inet_ns_loopback_up(n->stack);
}

long socket_init_families(void)
{
	ns_ops[NS_NET] = &net_ns_ops;
	socket_family_register(&unix_family);
	socket_family_register(&inet_family);
	socket_family_register(&inet6_family);
	socket_family_register(&packet_family);
	netlink_init();
	return inet_stack_init();
}
