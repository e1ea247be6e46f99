/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/rtnl.c - NETLINK_ROUTE: which message goes where
 *
 * Locks:   netlink_cfg is held for the length of a request, so that a dump shows one state and changes do not mix.
 */
#include "sentry/abi/cap.h"
#include "sentry/socket/netlink/rtnl.h"
#include "sentry/task/ns.h"

long rt_parse(struct nl_req *r, void *out, size_t size, struct nla *tb, unsigned max)
{
	bool dump = (r->h.type & 3) == 2 && (r->h.flags & LINUX_NLM_F_DUMP);
	size_t n = MIN(size, cursor_left(&r->body));

	memset(out, 0, size);
	if (n < size && (!dump || r->nl->strict))
		return nl_why(r, -LINUX_EINVAL, "Invalid header for request");
	memcpy(out, get_bytes(&r->body, n), n);
	/* programs of old sent the header of links with every dump: what follows a shorter one is no attribute then */
	if (n < size || (dump && !r->nl->strict && cursor_left(&r->body) < sizeof(struct linux_nlattr))) {
		memset(tb, 0, (max + 1) * sizeof(*tb));
		return 0;
	}
	if (!nla_parse(r->body, tb, max))
		return 0;
	if (!dump || r->nl->strict)
		return nl_why(r, -LINUX_EINVAL, "Invalid attribute length");
	memset(tb, 0, (max + 1) * sizeof(*tb));
	return 0;
}

bool rt_get_addr(const struct nla *a, uint8_t family, struct naddr *out)
{
	uint32_t v4;

	if (!nla_has(a))
		return true;
	if (a->len == 4 && family != NET_AF_INET6) {
		memcpy(&v4, a->p, 4);
		*out = naddr_from_v4(v4);
		return true;
	}
	if (a->len != 16 || family == NET_AF_INET)
		return false;
	*out = naddr_from_bytes6(a->p);
	return true;
}

void rt_put_addr(struct buf *b, uint16_t type, const struct naddr *a)
{
	if (naddr_is_v4(a))
		nla_put(b, type, a->b + 12, 4);
	else
		nla_put(b, type, a->b, 16);
}

/* Kinds of objects that this network has none of. */
static long dump_nothing(struct nl_req *r)
{
	struct buf b = { 0 };

	nl_dump_reply(r, &b, 0);
	return NL_DUMPED;
}

#define NETNSA_NSID	 1
#define NETNSA_PID	 2
#define NETNSA_FD	 3
#define NETNSA_MAX	 5

/* Numbers for other namespaces are given to none: the answer for one that exists is "not assigned". */
static long get_nsid(struct nl_req *r)
{
	struct nla tb[NETNSA_MAX + 1];
	uint8_t gen[4]; /* struct rtgenmsg, padded */
	int32_t none = -1;
	struct buf b = { 0 };
	bool known;
	uint32_t v = 0;
	size_t at;
	long ret = rt_parse(r, gen, sizeof(gen), tb, NETNSA_MAX);

	if (ret)
		return ret;
	if (!nla_get_u32(&tb[NETNSA_PID], &v) || !nla_get_u32(&tb[NETNSA_FD], &v))
		return -LINUX_EINVAL;
	if (nla_has(&tb[NETNSA_FD])) {
		struct file *f = fdtable_file(r->t->fds, (int)v, false);
		const struct ns_ref *n = f ? nsfs_ref(f) : NULL;

		known = n && n->kind == NS_NET;
		if (f)
			file_put(f);
	} else {
		struct task *t = nla_has(&tb[NETNSA_PID]) ? task_find(task_pid_ns(r->t), v) : NULL;

		known = t != NULL;
		if (t)
			task_put(t);
	}
	if (!known)
		return nl_why(r, -LINUX_EINVAL, "Peer netns reference is invalid");
	at = nl_answer(r, &b, RTM_NEWNSID, 0);
	buf_append(&b, (uint8_t[4]){ 0 }, 4);
	nla_put(&b, NETNSA_NSID, &none, sizeof(none));
	nlb_end(&b, at);
	return nl_reply(r, &b);
}

static const struct rt_row {
	long (*one)(struct nl_req *r), (*dump)(struct nl_req *r);
} rows[RTM_MAX + 1] = {
	[RTM_NEWLINK] = { rt_new_link, NULL },
	[RTM_DELLINK] = { rt_del_link, NULL },
	[RTM_GETLINK] = { rt_get_link, rt_dump_link },
	[RTM_SETLINK] = { rt_set_link, NULL },
	[RTM_NEWADDR] = { rt_new_addr, NULL },
	[RTM_DELADDR] = { rt_del_addr, NULL },
	[RTM_GETADDR] = { NULL, rt_dump_addr },
	[RTM_NEWROUTE] = { rt_new_route, NULL },
	[RTM_DELROUTE] = { rt_del_route, NULL },
	[RTM_GETROUTE] = { rt_get_route, rt_dump_route },
	[RTM_NEWNEIGH] = { rt_new_neigh, NULL },
	[RTM_DELNEIGH] = { rt_del_neigh, NULL },
	[RTM_GETNEIGH] = { rt_get_neigh, rt_dump_neigh },
	[RTM_NEWRULE] = { rt_new_rule, NULL },
	[RTM_DELRULE] = { rt_del_rule, NULL },
	[RTM_GETRULE] = { NULL, rt_dump_rule },
	[RTM_GETQDISC] = { NULL, dump_nothing },
	[RTM_GETTCLASS] = { NULL, dump_nothing },
	[RTM_GETTFILTER] = { NULL, dump_nothing },
	[RTM_GETMULTICAST] = { NULL, dump_nothing },
	[RTM_GETANYCAST] = { NULL, dump_nothing },
	[RTM_GETNEIGHTBL] = { NULL, dump_nothing },
	[RTM_GETADDRLABEL] = { NULL, dump_nothing },
	[RTM_GETMDB] = { NULL, dump_nothing },
	[RTM_GETNSID] = { get_nsid, dump_nothing },
};

static long rt_handle(struct nl_req *r)
{
	bool get = (r->h.type & 3) == 2, dump = get && (r->h.flags & LINUX_NLM_F_DUMP);
	long (*fn)(struct nl_req *r);
	long ret;

	if (r->h.type > RTM_MAX)
		return -LINUX_EOPNOTSUPP;
	if (!cursor_left(&r->body))
		return 0;
	if (!get && !nl_capable(r, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	fn = dump ? rows[r->h.type].dump : rows[r->h.type].one;
	if (!fn)
		return -LINUX_EOPNOTSUPP;
	ret = sleep_lock_killable(&netlink_cfg);
	if (ret)
		return -LINUX_EINTR;
	ret = fn(r);
	sleep_unlock(&netlink_cfg);
	return ret;
}

const struct netlink_proto rtnetlink_proto = {
	.protocol = LINUX_NETLINK_ROUTE, .nr_groups = RTNLGRP_COUNT, .open_groups = true, .handle = rt_handle,
};
