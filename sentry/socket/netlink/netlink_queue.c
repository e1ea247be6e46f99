/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/netlink_queue.c - AF_NETLINK: datagrams on their way to a reader
 */
#include "sentry/net/net.h"
#include "sentry/net/sock.h"
#include "sentry/socket/netlink/netlink.h"
#include "sentry/socket/netlink/netlink_file.h"

#define NL_TOTAL_MAX (256u << 20)	/* bytes that wait in all sockets of the sandbox */

static _Atomic size_t total;

static void msg_free(struct nl_msg *m)
{
	atomic_fetch_sub(&total, sizeof(*m) + m->len);
	free(m);
}

static struct nl_msg *msg_new(const void *data, size_t len, uint32_t group, uint32_t pid)
{
	size_t bytes = sizeof(struct nl_msg) + len;
	struct nl_msg *m;

	if (atomic_fetch_add(&total, bytes) + bytes > NL_TOTAL_MAX || !(m = malloc(bytes))) {
		atomic_fetch_sub(&total, bytes);
		return NULL;
	}
	*m = (struct nl_msg){ .len = (uint32_t)len, .group = group, .pid = pid };
	list_init(&m->node);
	memcpy(m->data, data, len);
	return m;
}

void nl_flush(struct nl_sock *nl)
{
	struct nl_msg *m, *tmp;

	list_for_each_entry_safe(m, tmp, &nl->rxq, node) {
		list_del_init(&m->node);
		msg_free(m);
	}
	nl->rx_bytes = 0;
}

/* How much of it the socket's filter lets through. */
static size_t filtered(struct nl_sock *nl, const void *data, size_t len)
{
	mutex_lock(&nl->mu);
	if (nl->filter)
		len = MIN(len, (size_t)bpf_run_bytes(nl->filter, data, len));
	mutex_unlock(&nl->mu);
	return len;
}

/* @bound: refuse what the receive buffer has no room for. */
static long queue(struct nl_sock *nl, const void *data, size_t len, uint32_t group, uint32_t pid, bool bound)
{
	struct nl_msg *m;
	bool full;

	len = filtered(nl, data, len);
	if (!len)
		return 0;
	m = msg_new(data, len, group, pid);
	if (!m)
		return -LINUX_ENOBUFS;
	mutex_lock(&nl->mu);
	full = bound && nl->rx_bytes && nl->rx_bytes + len > (size_t)nl->sk.rcvbuf;
	if (!full) {
		list_add_tail(&nl->rxq, &m->node);
		nl->rx_bytes += len;
	}
	mutex_unlock(&nl->mu);
	if (full) {
		msg_free(m);
		return -LINUX_ENOBUFS;
	}
	waitq_wake(&nl->wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
	socket_sigio(&nl->sk, LINUX_POLLIN | LINUX_POLLRDNORM);
	return 0;
}

static void overrun(struct nl_sock *nl)
{
	if (nl->no_enobufs)
		return;
	atomic_store(&nl->sk.err, LINUX_ENOBUFS);
	waitq_wake_all(&nl->wq);
}

long nl_queue(struct nl_sock *nl, const void *data, size_t len, uint32_t group, uint32_t from_pid)
{
	return queue(nl, data, len, group, from_pid, true);
}

bool file_is_netlink(struct file *f)
{
	struct socket *s = socket_of(f);

	return s && s->family == LINUX_AF_NETLINK;
}

long netlink_file_queue(struct file *f, const void *data, size_t len)
{
	return file_is_netlink(f) ? nl_queue(nl_of(socket_of(f)), data, len, 0, 0) : -LINUX_EINVAL;
}

long nl_reply(struct nl_req *r, struct buf *b)
{
	long ret = b->failed ? -LINUX_ENOBUFS : queue(r->nl, b->data, b->len, 0, 0, false);

	buf_fini(b);
	return ret;
}

/* How many bytes of [@at, @end) of @b are whole messages that fit one datagram; at least one. */
static size_t chunk_len(const struct buf *b, size_t at)
{
	size_t n = 0;
	uint32_t len;

	while (at + n < b->len) {
		memcpy(&len, b->data + at + n, sizeof(len));
		if (n && n + LINUX_NL_ALIGN(len) > NL_CHUNK)
			break;
		n += LINUX_NL_ALIGN(len);
	}
	return MIN(n, b->len - at);
}

long nl_dump_reply(struct nl_req *r, struct buf *b, long err)
{
	int32_t result = (int32_t)err;
	size_t at, n;
	long ret = 0;

	for (at = 0; at < b->len && !b->failed; at += LINUX_NL_ALIGN(*(uint32_t *)(void *)(b->data + at)))
		*(uint16_t *)(void *)(b->data + at + 6) |= LINUX_NLM_F_MULTI;
	at = nl_answer(r, b, LINUX_NLMSG_DONE, LINUX_NLM_F_MULTI);
	nlb_body(b, &result);
	nlb_end(b, at);
	if (b->failed)
		ret = -LINUX_ENOBUFS;
	for (at = 0; !ret && at < b->len; at += n) {
		n = chunk_len(b, at);
		ret = queue(r->nl, b->data + at, n, 0, 0, false);
	}
	buf_fini(b);
	if (ret)
		overrun(r->nl);
	return ret;
}

static bool listens(const struct nl_sock *nl, const struct net_ns *ns, int protocol, unsigned group)
{
	return nl->sk.protocol == protocol && nl->sk.net->stack == ns && (nl->groups >> (group - 1) & 1);
}

bool nl_has_listeners(struct net_ns *ns, int protocol, unsigned group)
{
	struct nl_sock *nl;
	bool yes = false;

	mutex_lock(&netlink_mu);
	list_for_each_entry(nl, &netlink_socks, node)
		if (listens(nl, ns, protocol, group)) {
			yes = true;
			break;
		}
	mutex_unlock(&netlink_mu);
	return yes;
}

void nl_multicast(struct net_ns *ns, int protocol, unsigned group, const void *data, size_t len)
{
	struct nl_sock *nl;

	mutex_lock(&netlink_mu);
	list_for_each_entry(nl, &netlink_socks, node)
		if (listens(nl, ns, protocol, group) && nl_queue(nl, data, len, group, 0))
			overrun(nl);
	mutex_unlock(&netlink_mu);
}

/* ---- reading -------------------------------------------------------------------------------------------------------- */

static bool readable(struct nl_sock *nl)
{
	bool yes;

	mutex_lock(&nl->mu);
	yes = !list_empty(&nl->rxq);
	mutex_unlock(&nl->mu);
	return yes || atomic_load(&nl->sk.err);
}

static struct nl_msg *take(struct nl_sock *nl)
{
	struct nl_msg *m = NULL;

	mutex_lock(&nl->mu);
	if (!list_empty(&nl->rxq)) {
		m = list_first(&nl->rxq, struct nl_msg, node);
		list_del_init(&m->node);
		nl->rx_bytes -= m->len;
	}
	mutex_unlock(&nl->mu);
	return m;
}

static void put_back(struct nl_sock *nl, struct nl_msg *m)
{
	mutex_lock(&nl->mu);
	list_add(&nl->rxq, &m->node);
	nl->rx_bytes += m->len;
	mutex_unlock(&nl->mu);
}

static void fill_extras(struct nl_sock *nl, const struct nl_msg *q, struct sock_msg *m)
{
	struct linux_sockaddr_nl from = { .family = LINUX_AF_NETLINK, .pid = q->pid,
					  .groups = q->group && q->group <= 32 ? 1u << (q->group - 1) : 0 };

	memcpy(m->name.b, &from, sizeof(from));
	m->name.len = sizeof(from);
	if (nl->pktinfo)
		sock_put_cmsg(m, LINUX_SOL_NETLINK, LINUX_NETLINK_PKTINFO, &q->group, sizeof(q->group));
	if (nl->sk.passcred)
		m->scm.has_cred = true; /* the kernel: process 0, user 0 */
}

long netlink_recvmsg(struct socket *s, struct task *t, struct sock_msg *m)
{
	uint64_t deadline = socket_deadline(s->rcvtimeo_ns);
	struct nl_sock *nl = nl_of(s);
	struct nl_msg *q;
	size_t n;
	long ret;

	if (m->flags & LINUX_MSG_OOB)
		return -LINUX_EOPNOTSUPP;
	while (!(q = take(nl))) {
		ret = socket_take_error(s);
		if (ret)
			return ret;
		if (m->flags & LINUX_MSG_DONTWAIT)
			return -LINUX_EAGAIN;
		ret = wait_event(&nl->wq, readable(nl), SLEEP_INTERRUPTIBLE, deadline);
		if (ret)
			return socket_wait_error(ret, s->rcvtimeo_ns);
	}
	n = MIN((size_t)q->len, m->io->left);
	ret = n ? uio_write(m->io, q->data, n) : 0;
	if (ret >= 0 && (size_t)ret < n)
		ret = -LINUX_EFAULT;
	if (ret >= 0) {
		if (n < q->len)
			m->out_flags |= LINUX_MSG_TRUNC;
		fill_extras(nl, q, m);
		if (m->flags & LINUX_MSG_TRUNC)
			ret = q->len;
	}
	if (m->flags & LINUX_MSG_PEEK)
		put_back(nl, q);
	else
		msg_free(q);
	return ret;
}
