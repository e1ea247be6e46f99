/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/inet_nf.c - socket options of netfilter: iptables' tables, original destinations
 *
 * Model:   a table is larger than other option values, so the system calls give these their own way around the common copy.
 * Source:  linux/netfilter_ipv4/ip_tables.h, linux/netfilter_ipv6/ip6_tables.h; ip(7).
 */
#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/net/nf/ipt.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/inet/inet_nf.h"

bool inet_nf_option(const struct socket *s, int level, int name)
{
	if (name == LINUX_SO_ORIGINAL_DST && s->family == LINUX_AF_INET6 && level == LINUX_SOL_IP)
		return true; /* a server of both families asks about an IPv4 peer */
	if ((s->family != LINUX_AF_INET || level != LINUX_SOL_IP) && (s->family != LINUX_AF_INET6 || level != LINUX_SOL_IPV6))
		return false;
	return (name >= LINUX_IPT_SO_SET_REPLACE && name <= LINUX_IPT_SO_GET_REVISION_TARGET + 2 &&
		(level == LINUX_SOL_IP ? name <= LINUX_IPT_SO_GET_REVISION_TARGET : name != 66 && name != 67)) ||
	       (name >= LINUX_ARPT_SO_BASE && name <= LINUX_ARPT_SO_GET_REVISION_TARGET && level == LINUX_SOL_IP) ||
	       name == LINUX_SO_ORIGINAL_DST;
}

static bool may_admin(const struct socket *s, const struct task *t)
{
	return inet_caps(s, t) & NET_CAP_ADMIN;
}

static void copy_counters(struct task *t, const void *req, const struct linux_xt_counters *old)
{
	struct linux_ipt_replace r;

	memcpy(&r, req, sizeof(r));
	/* The table is in place by now, so a bad address is not an error of the call; nor is it in Linux. */
	(void)!copyout(t->u, GPTR(r.counters), old, (size_t)r.num_counters * sizeof(*old));
}

long inet_nf_set(struct socket *s, struct task *t, int name, struct gptr uval, size_t len)
{
	uint8_t family = s->family == LINUX_AF_INET ? NET_AF_INET : NET_AF_INET6;
	struct linux_xt_counters *old = NULL;
	void *data;
	long ret;

	if (!may_admin(s, t))
		return -LINUX_EPERM;
	if (name != LINUX_IPT_SO_SET_REPLACE && name != LINUX_IPT_SO_SET_ADD_COUNTERS)
		return -LINUX_ENOPROTOOPT;
	if (len > IPT_BLOB_MAX + sizeof(struct linux_ipt_replace))
		return -LINUX_ENOMEM;
	data = malloc(len ? len : 1);
	if (!data)
		return -LINUX_ENOMEM;
	ret = copyin(t->u, data, uval, len);
	if (!ret && name == LINUX_IPT_SO_SET_ADD_COUNTERS)
		ret = ipt_add_counters(s->net->stack, family, data, (uint32_t)len);
	else if (!ret)
		ret = ipt_replace(s->net->stack, family, data, (uint32_t)len, &old);
	if (!ret && old)
		copy_counters(t, data, old);
	free(old);
	free(data);
	return ret;
}

/* ---- questions ------------------------------------------------------------------------------------------------------ */

static long get_info(struct socket *s, struct task *t, uint8_t family, struct gptr uval, size_t len)
{
	struct linux_ipt_getinfo i;
	long ret;

	if (len != sizeof(i))
		return -LINUX_EINVAL;
	ret = copyin_obj(t->u, &i, uval);
	if (ret)
		return ret;
	i.name[sizeof(i.name) - 1] = '\0';
	ret = ipt_get_info(s->net->stack, family, &i);
	return ret ? ret : copyout_obj(t->u, uval, &i);
}

static long get_entries(struct socket *s, struct task *t, uint8_t family, struct gptr uval, size_t len)
{
	struct linux_ipt_get_entries g;
	uint8_t *out;
	long ret;

	if (len < sizeof(g))
		return -LINUX_EINVAL;
	ret = copyin_obj(t->u, &g, uval);
	if (ret)
		return ret;
	g.name[sizeof(g.name) - 1] = '\0';
	if (g.size > IPT_BLOB_MAX || len != sizeof(g) + g.size)
		return -LINUX_EINVAL;
	out = malloc(g.size + 1);
	if (!out)
		return -LINUX_ENOMEM;
	ret = ipt_get_entries(s->net->stack, family, g.name, g.size, out);
	if (!ret)
		ret = copyout(t->u, GPTR(uval.v + sizeof(g)), out, g.size);
	free(out);
	return ret;
}

/* Is this revision known? The value comes back as it was. */
static long get_revision(struct task *t, uint8_t family, bool target, struct gptr uval, size_t len)
{
	struct linux_xt_get_revision r;
	long ret;
	int best;

	if (len != sizeof(r))
		return -LINUX_EINVAL;
	ret = copyin_obj(t->u, &r, uval);
	if (ret)
		return ret;
	r.name[sizeof(r.name) - 1] = '\0';
	if (target && (!r.name[0] || !strcmp(r.name, LINUX_XT_ERROR_TARGET)))
		return r.revision ? -LINUX_EPROTONOSUPPORT : 0;
	best = xt_best_revision(family, r.name, target);
	if (best < 0)
		return -LINUX_ENOENT;
	return xt_find(family, r.name, r.revision, target) ? 0 : -LINUX_EPROTONOSUPPORT;
}

/* Where the peer of a connection that was redirected to us wanted to go. */
static long original_dst(struct socket *s, struct task *t, struct gptr uval, size_t *len)
{
	struct nf_ct_table *tbl = nf_ct_table_of(s->net->stack);
	struct nf_tuple k = { .proto = (uint8_t)s->protocol };
	struct sockaddr_buf a;
	struct net_ep me, peer;
	struct nf_conn *ct;
	uint8_t dir;
	long ret;

	if ((s->protocol != NET_IPPROTO_TCP && s->protocol != 132) || sock_name(inet_of(s)->ep, &me))
		return -LINUX_ENOPROTOOPT;
	if (!tbl || sock_peer(inet_of(s)->ep, &peer))
		return -LINUX_ENOENT;
	/* we answer: our address is the source of the reply direction, inverted the destination of the original */
	k.src = me.addr;
	k.dst = peer.addr;
	k.sport = me.port;
	k.dport = peer.port;
	ct = nf_ct_find(tbl, &k, &dir);
	if (!ct)
		return -LINUX_ENOENT;
	me = (struct net_ep){ .addr = ct->th[0].t.dst, .port = ct->th[0].t.dport };
	nf_ct_put(ct);
	inet_ep_to(naddr_is_v4(&me.addr) ? LINUX_AF_INET : LINUX_AF_INET6, &me, &a);
	if (*len < a.len)
		return -LINUX_EINVAL;
	ret = copyout(t->u, uval, a.b, a.len);
	*len = a.len;
	return ret;
}

long inet_nf_get(struct socket *s, struct task *t, int name, struct gptr uval, size_t *len)
{
	uint8_t family = s->family == LINUX_AF_INET ? NET_AF_INET : NET_AF_INET6;

	if (name == LINUX_SO_ORIGINAL_DST)
		return original_dst(s, t, uval, len);
	if (!may_admin(s, t))
		return -LINUX_EPERM;
	switch (name) {
	case LINUX_IPT_SO_GET_INFO:
		return get_info(s, t, family, uval, *len);
	case LINUX_IPT_SO_GET_ENTRIES:
		return get_entries(s, t, family, uval, *len);
	case LINUX_IPT_SO_GET_REVISION_MATCH:
	case LINUX_IPT_SO_GET_REVISION_MATCH + 2:
		return get_revision(t, family, false, uval, *len);
	case LINUX_IPT_SO_GET_REVISION_TARGET:
	case LINUX_IPT_SO_GET_REVISION_TARGET + 2:
		return get_revision(t, family, true, uval, *len);
	}
	return -LINUX_ENOPROTOOPT;
}
