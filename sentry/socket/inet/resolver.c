/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/inet/resolver.c - a name server of the host at an address inside: Docker's 127.0.0.11
 *
 * Model:   the host gave a datagram socket that is connected to its name server. Endpoints of the stack at 127.0.0.11:53 take
 *          what guests ask; a query goes out under a number of ours, whose low byte says which slot remembers the asker. Asked
 *          over TCP, the query says that it takes answers of any length, and the answer goes back with its length in front.
 *          One kernel thread for datagrams, one for each connection.
 * Locks:   resolver.mu (leaf): slots.
 * Hostcalls: sendto, recvfrom.
 * Trust:   queries are guest's, answers are the host's: both are only looked at as far as their headers; edns() walks a guest's
 *          query with every step checked.
 * Source:  RFC 1035 sections 4.1, 4.2, RFC 6891 section 6.1.
 * Differs: guests that list their sockets see port 53 itself; Docker natively shows the two ports behind its rules.
 */
#include "sentry/socket/inet/resolver.h"

#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/net/wire.h"
#include "sentry/run/run.h"
#include "sentry/socket/inet/inet.h"

#define DNS_HDR	     12
#define DNS_MAX	     65535
#define DNS_OPT	     41
#define QUERY_MAX    4096
#define SLOTS	     256	/* one byte of the query's number */
#define CONNS_MAX    32
#define ANSWER_NS    (10 * NSEC_PER_SEC)
#define IDLE_NS	     (30 * NSEC_PER_SEC)

struct conn { /* a guest's connection; on its kernel thread's stack */
	struct waitq wq;
	struct sock *ep;
	uint8_t *answer;	/* guarded by resolver.mu until taken */
	size_t len;
};

struct slot {
	bool used;
	uint16_t sent_id, asked_id;
	uint64_t until_ns;
	struct net_ep who;	/* datagrams */
	struct conn *conn;	/* or a connection */
};

static struct resolver {
	struct mutex mu;
	int fd;
	struct hostfd watch;
	struct waitq wq;
	_Atomic bool answers;	/* the host's socket may have some */
	struct sock *udp, *tcp;
	struct slot slots[SLOTS];	/* guarded by mu */
	uint32_t next;			/* guarded by mu */
	_Atomic uint32_t nr_conns;
} rs = { .mu = MUTEX_INIT, .fd = -1 };

static void on_host(struct hostfd *h, uint32_t events)
{
	atomic_store(&rs.answers, true);
	waitq_wake_all(&rs.wq);
}

static void on_endpoint(void *ctx, uint32_t events)
{
	waitq_wake_all(ctx);
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

/* Sends @q (its number is replaced) and remembers who asked. */
static void ask(uint8_t *q, size_t len, const struct net_ep *who, struct conn *conn)
{
	uint64_t now = now_ns();
	struct slot *s = NULL;

	mutex_lock(&rs.mu);
	for (uint32_t i = 0; i < SLOTS && !s; i++) {
		s = &rs.slots[rs.next++ % SLOTS];
		if (s->used && s->until_ns > now)
			s = NULL;
	}
	if (s) {
		*s = (struct slot){ .used = true, .asked_id = rd16(q), .until_ns = now + ANSWER_NS, .conn = conn };
		if (who)
			s->who = *who;
		s->sent_id = (uint16_t)((net_random32() << 8) | (uint32_t)(s - rs.slots));
		wr16(q, s->sent_id);
	}
	mutex_unlock(&rs.mu);
	if (s) /* lost, or refused by a name server that went away: the asker asks again or gives up */
		host_call(sendto, rs.fd, q, len, MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

static void take_questions(uint8_t *buf)
{
	for (unsigned budget = 64; budget; budget--) {
		struct net_msg m = { .flags = NET_MSG_DONTWAIT };
		struct net_iter_mem it;
		long n;

		net_iter_write_mem(&it, buf, QUERY_MAX);
		n = sock_recv(rs.udp, &it.it, &m);
		if (n == -LINUX_EAGAIN)
			return;
		if (n >= DNS_HDR && !(m.flags & NET_MSG_TRUNC))
			ask(buf, (size_t)n, &m.name, NULL);
	}
}

/* ---- answering ----------------------------------------------------------------------------------------------------------- */

static void answer(uint8_t *a, size_t len)
{
	struct slot *s = &rs.slots[rd16(a) & (SLOTS - 1)], was;
	struct net_msg m = { .flags = NET_MSG_DONTWAIT, .has = NET_MSG_HAS_NAME };
	struct net_iter_mem it;

	mutex_lock(&rs.mu);
	was = *s;
	if (!was.used || was.sent_id != rd16(a)) {
		mutex_unlock(&rs.mu);
		return;
	}
	s->used = false;
	wr16(a, was.asked_id);
	if (was.conn && !was.conn->answer && (was.conn->answer = malloc(len))) {
		memcpy(was.conn->answer, a, len);
		was.conn->len = len;
		waitq_wake_all(&was.conn->wq);
	}
	mutex_unlock(&rs.mu);
	if (was.conn)
		return;
	m.name = was.who;
	net_iter_read_mem(&it, a, len);
	sock_send(rs.udp, &it.it, &m);
}

static void take_answers(uint8_t *buf)
{
	atomic_store(&rs.answers, false);
	for (unsigned budget = 64; budget; budget--) {
		long n = host_call(recvfrom, rs.fd, buf, DNS_MAX, MSG_DONTWAIT, NULL, NULL);

		if (n == -LINUX_EAGAIN)
			return;
		if (n >= DNS_HDR)
			answer(buf, (size_t)n);
	}
	atomic_store(&rs.answers, true); /* there may be more: come again */
}

/* ---- over TCP -------------------------------------------------------------------------------------------------------------- */

/* Behind the name at @at; 0: there is none. */
static size_t skip_name(const uint8_t *q, size_t len, size_t at)
{
	while (at < len) {
		if ((q[at] & 0xc0) == 0xc0)
			return at + 2;
		if (!q[at])
			return at + 1;
		at += q[at] + 1u;
	}
	return 0;
}

/* Makes a query say that answers may have any length: its own OPT record, or one more. @q has room for 11 bytes. Return: length. */
static size_t edns(uint8_t *q, size_t len)
{
	static const uint8_t opt[11] = { 0, 0, DNS_OPT, 0xff, 0xff };
	uint32_t nr_q = rd16(q + 4), nr_rr = (uint32_t)rd16(q + 6) + rd16(q + 8), nr_more = rd16(q + 10);
	size_t at = DNS_HDR;

	for (uint32_t i = 0; i < nr_q; i++) {
		at = skip_name(q, len, at);
		if (!at)
			return len;
		at += 4;
	}
	for (uint32_t i = 0; i < nr_rr + nr_more; i++) {
		at = skip_name(q, len, at);
		if (!at || at > len || len - at < 10)
			return len;
		if (i >= nr_rr && rd16(q + at) == DNS_OPT) {
			wr16(q + at + 2, 0xffff);
			return len;
		}
		at += 10u + rd16(q + at + 8);
	}
	if (at != len || nr_more == 0xffff)
		return len;
	memcpy(q + len, opt, sizeof(opt));
	wr16(q + 10, (uint16_t)(nr_more + 1));
	return len + sizeof(opt);
}

/* All of @len bytes, one way or the other. 0, or -LINUX_E* (also -LINUX_EPIPE at the end of the stream). */
static long stream_move(struct conn *c, uint8_t *buf, size_t len, bool out)
{
	uint32_t want = (out ? NET_POLLOUT : NET_POLLIN | NET_POLLRDHUP) | NET_POLLERR | NET_POLLHUP;
	uint64_t deadline = now_ns() + IDLE_NS;

	while (len) {
		struct net_msg m = { .flags = NET_MSG_DONTWAIT | NET_MSG_NOSIGNAL };
		struct net_iter_mem it;
		long n;

		if (out)
			net_iter_read_mem(&it, buf, len);
		else
			net_iter_write_mem(&it, buf, len);
		n = out ? sock_send(c->ep, &it.it, &m) : sock_recv(c->ep, &it.it, &m);
		if (n == -LINUX_EAGAIN) {
			n = wait_event(&c->wq, sock_poll(c->ep) & want, SLEEP_UNINTERRUPTIBLE, deadline);
			if (n)
				return n;
			continue;
		}
		if (n <= 0)
			return n ? n : -LINUX_EPIPE;
		buf += n;
		len -= (size_t)n;
	}
	return 0;
}

static uint8_t *answer_of(struct conn *c)
{
	uint8_t *a;

	mutex_lock(&rs.mu);
	a = c->answer;
	mutex_unlock(&rs.mu);
	return a;
}

/* Nobody writes to @c any more. */
static void forget(struct conn *c)
{
	mutex_lock(&rs.mu);
	for (unsigned i = 0; i < SLOTS; i++)
		if (rs.slots[i].conn == c)
			rs.slots[i] = (struct slot){ 0 };
	free(c->answer);
	c->answer = NULL;
	mutex_unlock(&rs.mu);
}

static long serve_one(struct conn *c, uint8_t *buf)
{
	uint8_t head[2];
	size_t len;
	long ret = stream_move(c, head, sizeof(head), false);

	len = rd16(head);
	if (ret || len < DNS_HDR || len > QUERY_MAX)
		return ret ? ret : -LINUX_EINVAL;
	ret = stream_move(c, buf, len, false);
	if (ret)
		return ret;
	ask(buf, edns(buf, len), NULL, c);
	ret = wait_event(&c->wq, answer_of(c), SLEEP_UNINTERRUPTIBLE, now_ns() + ANSWER_NS);
	if (ret)
		return ret;
	wr16(head, (uint16_t)c->len);
	ret = stream_move(c, head, sizeof(head), true);
	if (!ret)
		ret = stream_move(c, c->answer, c->len, true);
	forget(c);
	return ret;
}

static void serve(void *arg)
{
	uint8_t *buf = malloc(QUERY_MAX + 16);
	struct conn c = { .ep = arg };

	waitq_init(&c.wq);
	sock_set_event(c.ep, on_endpoint, &c.wq);
	while (buf && !serve_one(&c, buf))
		;
	forget(&c);
	sock_set_event(c.ep, NULL, NULL);
	sock_close(c.ep);
	free(buf);
	atomic_fetch_sub(&rs.nr_conns, 1);
}

static void take_connections(void)
{
	struct sock *ep;

	while (sock_accept(rs.tcp, &ep) == 0) {
		if (atomic_fetch_add(&rs.nr_conns, 1) < CONNS_MAX && kthread_start(serve, ep, "resolver-tcp"))
			continue;
		atomic_fetch_sub(&rs.nr_conns, 1);
		sock_close(ep);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------------------- */

static bool work_waits(void)
{
	return atomic_load(&rs.answers) || (sock_poll(rs.udp) & NET_POLLIN) || (sock_poll(rs.tcp) & NET_POLLIN);
}

static void run(void *arg)
{
	uint8_t *buf = arg;

	for (;;) {
		wait_event(&rs.wq, work_waits(), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
		take_questions(buf);
		if (atomic_load(&rs.answers))
			take_answers(buf);
		take_connections();
	}
}

static int endpoint(struct net_ns *ns, int type, struct sock **out)
{
	struct net_ep at = { .addr = naddr_from_v4(net_htonl(0x7f00000bu)), .port = 53 };
	int ret = sock_create(ns, NET_AF_INET, type, 0, out);

	if (ret)
		return ret;
	sock_set_internal(*out);
	ret = sock_bind(*out, &at, NET_CAP_BIND);
	if (!ret && type == NET_SOCK_STREAM)
		ret = sock_listen(*out, 16);
	if (!ret) {
		sock_set_event(*out, on_endpoint, &rs.wq);
		return 0;
	}
	sock_close(*out);
	*out = NULL;
	return ret;
}

int resolver_start(struct net_ns *ns, int fd)
{
	uint8_t *buf = NULL;
	int ret = -LINUX_EBUSY;

	if (rs.fd >= 0) /* one is enough; it is the same again after a hot-plug */
		goto out;
	waitq_init(&rs.wq);
	rs.fd = fd;
	rs.watch = (struct hostfd){ .fd = fd, .fn = on_host };
	ret = endpoint(ns, NET_SOCK_DGRAM, &rs.udp);
	if (!ret)
		ret = endpoint(ns, NET_SOCK_STREAM, &rs.tcp);
	buf = malloc(DNS_MAX);
	if (!ret && !buf)
		ret = -LINUX_ENOMEM;
	if (!ret)
		ret = (int)hostfd_watch(&rs.watch, EPOLLIN);
	if (!ret && !kthread_start(run, buf, "resolver"))
		ret = -LINUX_ENOMEM;
	if (!ret)
		return 0;
	if (rs.udp)
		sock_close(rs.udp);
	if (rs.tcp)
		sock_close(rs.tcp);
	rs.fd = -1;
	free(buf);
out:
	host_call(close, fd);
	return ret;
}
