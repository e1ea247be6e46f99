/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/netlink_send.c - AF_NETLINK: requests, acknowledgements, messages between processes
 *
 * Source:  netlink(7); RFC 3549 section 2.3.2.
 */
#include "sentry/abi/cap.h"
#include "sentry/socket/netlink/netlink.h"

bool nl_capable(const struct nl_req *r, int cap)
{
	return cred_has_cap(r->t->cred, r->nl->sk.net->user_ns, cap);
}

/* With the request or its header. */
void nl_acknowledge(struct nl_req *r, long err)
{
	bool whole = err && !r->nl->cap_ack;
	const char *why = r->nl->ext_ack ? r->why : NULL;
	uint16_t flags = (uint16_t)((whole ? 0 : LINUX_NLM_F_CAPPED) | (why ? LINUX_NLM_F_ACK_TLVS : 0));
	int32_t code = (int32_t)err;
	struct buf b = { 0 };
	size_t at = nl_answer(r, &b, LINUX_NLMSG_ERROR, flags);

	nlb_body(&b, &code);
	buf_append(&b, r->msg, whole ? r->h.len : sizeof(r->h));
	nlb_pad(&b);
	if (why)
		nla_put_str(&b, LINUX_NLMSGERR_ATTR_MSG, why);
	nlb_end(&b, at);
	nl_reply(r, &b);
}

static void handle_one(struct nl_req *r)
{
	const struct netlink_proto *p = netlink_proto_of(r->nl->sk.protocol);
	long ret = 0;

	if (!(r->h.flags & LINUX_NLM_F_REQUEST))
		return;
	if (r->h.type >= LINUX_NLMSG_MIN_TYPE)
		ret = p->handle(r);
	if (ret < 0 || (!ret && (r->h.flags & LINUX_NLM_F_ACK)))
		nl_acknowledge(r, ret);
}

void netlink_input(struct nl_sock *nl, struct task *t, const uint8_t *data, size_t len)
{
	const struct netlink_proto *p = netlink_proto_of(nl->sk.protocol);

	if (p->input && p->input(nl, t, data, len))
		return;
	while (len >= sizeof(struct linux_nlmsghdr)) {
		struct nl_req r = { .nl = nl, .t = t, .ns = nl->sk.net->stack, .msg = data };

		memcpy(&r.h, data, sizeof(r.h));
		if (r.h.len < sizeof(r.h) || r.h.len > len)
			return;
		r.body = cursor_make(data + sizeof(r.h), r.h.len - sizeof(r.h));
		handle_one(&r);
		if (LINUX_NL_ALIGN((size_t)r.h.len) >= len)
			return;
		data += LINUX_NL_ALIGN(r.h.len);
		len -= LINUX_NL_ALIGN(r.h.len);
	}
}

/* From process to process: one socket, or the members of a group. */
static long to_user(struct nl_sock *nl, const struct linux_sockaddr_nl *to, const void *data, size_t len)
{
	struct nl_sock *o;
	long ret = -LINUX_ECONNREFUSED;

	mutex_lock(&netlink_mu);
	list_for_each_entry(o, &netlink_socks, node) {
		if (o == nl || o->sk.protocol != nl->sk.protocol || o->sk.net->stack != nl->sk.net->stack)
			continue;
		if (to->groups && (o->groups & to->groups)) {
			nl_queue(o, data, len, (uint32_t)__builtin_ctz(to->groups) + 1, nl->portid);
			ret = 0;
		} else if (to->pid && o->portid == to->pid) {
			ret = nl_queue(o, data, len, 0, nl->portid);
		}
	}
	mutex_unlock(&netlink_mu);
	return ret == -LINUX_ENOBUFS ? -LINUX_EAGAIN : ret;
}

static long target(struct nl_sock *nl, struct task *t, const struct sock_msg *m, struct linux_sockaddr_nl *out)
{
	const struct netlink_proto *p = netlink_proto_of(nl->sk.protocol);

	if (m->name.len) {
		if (m->name.len < sizeof(*out))
			return -LINUX_EINVAL;
		memcpy(out, m->name.b, sizeof(*out));
		if (out->family != LINUX_AF_NETLINK)
			return -LINUX_EINVAL;
		if ((out->pid || out->groups) && !p->user && !cred_has_cap(t->cred, nl->sk.net->user_ns, LINUX_CAP_NET_ADMIN))
			return -LINUX_EPERM;
		return 0;
	}
	mutex_lock(&nl->mu);
	*out = (struct linux_sockaddr_nl){ .family = LINUX_AF_NETLINK, .pid = nl->dst_pid, .groups = nl->dst_groups };
	mutex_unlock(&nl->mu);
	return 0;
}

long netlink_sendmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	struct nl_sock *nl = nl_of(s);
	const struct netlink_proto *p = netlink_proto_of(s->protocol);
	struct linux_sockaddr_nl to;
	size_t len = m->io->left;
	uint8_t *data;
	long ret;

	if (m->flags & LINUX_MSG_OOB)
		return -LINUX_EOPNOTSUPP;
	ret = target(nl, t, m, &to);
	if (!ret)
		ret = netlink_bind_auto(nl, t);
	if (ret)
		return ret;
	if (len > (size_t)s->sndbuf - 32)
		return -LINUX_EMSGSIZE;
	data = malloc(len + 1);
	if (!data)
		return -LINUX_ENOBUFS;
	ret = len ? uio_read(m->io, data, len) : 0;
	if (ret >= 0 && (size_t)ret < len)
		ret = -LINUX_EFAULT;
	if (ret >= 0) {
		if (to.pid || to.groups)
			ret = to_user(nl, &to, data, len);
		else if (p->handle)
			netlink_input(nl, t, data, len);
		else
			ret = -LINUX_ECONNREFUSED;
	}
	free(data);
	return ret < 0 ? ret : (long)len;
}
