/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/diag_inet.c - NETLINK_SOCK_DIAG: Internet endpoints
 *
 * Source:  sock_diag(7), linux/inet_diag.h (filter byte code: enum INET_DIAG_BC_*).
 * Differs: byte code on marks and control groups is refused.
 */
#include "sentry/net/sock.h"
#include "sentry/socket/netlink/diag.h"

#define INET_DIAG_MEMINFO   1
#define INET_DIAG_INFO	    2
#define INET_DIAG_CONG	    4
#define INET_DIAG_TOS	    5
#define INET_DIAG_SKMEMINFO 7
#define INET_DIAG_SHUTDOWN  8
#define INET_DIAG_SKV6ONLY  11
#define INET_DIAG_MARK	    15
#define INET_DIAG_REQ_BYTECODE 1
#define INET_DIAG_REQ_PROTOCOL 3 /* where eight bits are too few: IPPROTO_MPTCP */
#define INET_DIAG_NOCOOKIE  UINT32_MAX
#define TCP_INFO	    11
#define TCP_CONGESTION	    13
#define TCP_LISTEN	    10

enum { BC_NOP, BC_JMP, BC_S_GE, BC_S_LE, BC_D_GE, BC_D_LE, BC_AUTO, BC_S_COND, BC_D_COND, BC_DEV_COND, BC_MARK_COND, BC_S_EQ, BC_D_EQ };

struct bc_op {
	uint8_t code, yes;
	uint16_t no;
};
#define BC_MAX_STEPS 4096

/* ---- filters -------------------------------------------------------------------------------------------------------- */

static uint16_t arg16(const uint8_t *p) /* operations on ports keep them in the next operation's third and fourth byte */
{
	return (uint16_t)(p[2] | p[3] << 8);
}

/* struct inet_diag_hostcond { u8 family, prefix_len; int port; u32 addr[] } behind the operation. */
static bool host_matches(const uint8_t *p, size_t left, const struct net_ep *ep, uint8_t family)
{
	uint8_t want, plen, bytes;
	struct naddr a;
	int32_t port;

	if (left < 8)
		return false;
	want = p[0];
	plen = p[1];
	memcpy(&port, p + 4, 4);
	if (port != -1 && port != ep->port)
		return false;
	if (!plen || !want)
		return !want || want == family || (want == NET_AF_INET && naddr_is_v4(&ep->addr));
	bytes = want == NET_AF_INET ? 4 : 16;
	if (left < 8u + bytes || plen > bytes * 8)
		return false;
	a = want == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	memcpy(a.b + 16 - bytes, p + 8, bytes);
	return naddr_prefix_eq(&a, &ep->addr, plen + (128u - bytes * 8u));
}

/* Every step is inside, and jumps go forward: the loop ends. False also for code that makes no sense. */
static bool bc_run(const struct nla *bc, const struct sock_info *si)
{
	size_t at = 0;

	while (at + sizeof(struct bc_op) <= bc->len) {
		const uint8_t *rest = bc->p + at + sizeof(struct bc_op);
		size_t left = bc->len - at - sizeof(struct bc_op);
		struct bc_op op;
		bool yes = true;
		uint32_t dev;

		memcpy(&op, bc->p + at, sizeof(op));
		if (op.code >= BC_S_GE && op.code != BC_AUTO && left < 4)
			return false;
		switch (op.code) {
		case BC_NOP:
			break;
		case BC_JMP:
			yes = false;
			break;
		case BC_S_GE:
			yes = si->local.port >= arg16(rest);
			break;
		case BC_S_LE:
			yes = si->local.port <= arg16(rest);
			break;
		case BC_S_EQ:
			yes = si->local.port == arg16(rest);
			break;
		case BC_D_GE:
			yes = si->remote.port >= arg16(rest);
			break;
		case BC_D_LE:
			yes = si->remote.port <= arg16(rest);
			break;
		case BC_D_EQ:
			yes = si->remote.port == arg16(rest);
			break;
		case BC_AUTO: /* bound by bind(2) or by itself: nobody keeps that */
			break;
		case BC_S_COND:
			yes = host_matches(rest, left, &si->local, si->family);
			break;
		case BC_D_COND:
			yes = host_matches(rest, left, &si->remote, si->family);
			break;
		case BC_DEV_COND:
			memcpy(&dev, rest, 4);
			yes = dev == si->ifindex;
			break;
		default:
			return false;
		}
		if ((yes ? op.yes : op.no) < sizeof(op))
			return false;
		at += yes ? op.yes : op.no;
	}
	return at == bc->len;
}

/* ---- answers ---------------------------------------------------------------------------------------------------------- */

static void put_addr(uint32_t out[4], const struct naddr *a, uint8_t family)
{
	memset(out, 0, 16);
	if (family == NET_AF_INET)
		out[0] = naddr_v4(a);
	else if (!naddr_is_any(a) || !naddr_is_v4(a))
		memcpy(out, a->b, 16);
}

static void fill(struct nl_req *r, struct buf *b, struct sock *sk, const struct sock_info *si, uint8_t ext)
{
	struct diag_inet_msg m = { .family = si->family, .state = si->state, .timer = si->timer, .retrans = si->retrans,
				   .expires_ms = (uint32_t)(si->timer_ns / NET_MSEC), .rqueue = si->rqueue, .wqueue = si->wqueue,
				   .uid = id_from_kernel_munged(r->t->cred->user_ns, false, si->uid), .inode = (uint32_t)si->ino };
	uint32_t mem[9] = { [0] = si->rqueue, [2] = si->wqueue, [8] = si->drops };
	size_t at = nl_answer(r, b, SOCK_DIAG_BY_FAMILY, 0);
	uint8_t info[512];
	uint32_t n;

	m.id = (struct diag_inet_id){ .sport = { (uint8_t)(si->local.port >> 8), (uint8_t)si->local.port },
				      .dport = { (uint8_t)(si->remote.port >> 8), (uint8_t)si->remote.port },
				      .ifindex = si->ifindex, .cookie = { (uint32_t)si->cookie, (uint32_t)(si->cookie >> 32) } };
	put_addr(m.id.src, &si->local.addr, si->family);
	put_addr(m.id.dst, &si->remote.addr, si->family);
	nlb_body(b, &m);
	nla_put_u8(b, INET_DIAG_SHUTDOWN, si->shutdown);
	if (si->family == NET_AF_INET6)
		nla_put_u8(b, INET_DIAG_SKV6ONLY, si->v6only);
	if (si->mark)
		nla_put_u32(b, INET_DIAG_MARK, si->mark);
	if (ext & 1 << (INET_DIAG_SKMEMINFO - 1))
		nla_put(b, INET_DIAG_SKMEMINFO, mem, sizeof(mem));
	if (ext & 1 << (INET_DIAG_MEMINFO - 1))
		nla_put(b, INET_DIAG_MEMINFO, (uint32_t[4]){ si->rqueue, si->wqueue, 0, si->wqueue }, 16);
	if (sock_proto(sk) == NET_IPPROTO_TCP) {
		n = sizeof(info);
		if (ext & 1 << (INET_DIAG_INFO - 1) && !sock_getopt(sk, NET_IPPROTO_TCP, TCP_INFO, info, &n))
			nla_put(b, INET_DIAG_INFO, info, n);
		n = 15;
		memset(info, 0, 16);
		if (ext & 1 << (INET_DIAG_CONG - 1) && !sock_getopt(sk, NET_IPPROTO_TCP, TCP_CONGESTION, info, &n))
			nla_put_str(b, INET_DIAG_CONG, (char *)info);
	}
	nlb_end(b, at);
}

struct dump {
	struct nl_req *r;
	struct buf b;
	const struct diag_inet_req *q;
	struct nla bc;
};

static int dump_one(struct sock *sk, void *arg)
{
	struct dump *d = arg;
	struct sock_info si;

	sock_get_info(sk, &si);
	if (si.family != d->q->family || si.state > 31 || !(d->q->states >> si.state & 1))
		return 0;
	if ((d->q->id.sport[0] | d->q->id.sport[1]) && (d->q->id.sport[0] << 8 | d->q->id.sport[1]) != si.local.port)
		return 0;
	if ((d->q->id.dport[0] | d->q->id.dport[1]) && (d->q->id.dport[0] << 8 | d->q->id.dport[1]) != si.remote.port)
		return 0;
	if (nla_has(&d->bc) && !bc_run(&d->bc, &si))
		return 0;
	fill(d->r, &d->b, sk, &si, d->q->ext);
	return d->b.failed;
}

static bool known_proto(uint8_t proto)
{
	return proto == NET_IPPROTO_TCP || proto == NET_IPPROTO_UDP || proto == NET_IPPROTO_RAW;
}

static void to_ep(const struct diag_inet_req *q, const uint32_t a[4], const uint8_t port[2], struct net_ep *out)
{
	*out = (struct net_ep){ .addr = q->family == NET_AF_INET ? naddr_from_v4(a[0]) : naddr_from_bytes6(a),
				.port = (uint16_t)(port[0] << 8 | port[1]) };
}

/* The one endpoint that @q names exactly. */
static long one(struct nl_req *r, const struct diag_inet_req *q, bool destroy)
{
	struct net_ep local, remote;
	struct sock_info si;
	struct buf b = { 0 };
	struct sock *sk;
	long ret;

	to_ep(q, q->id.src, q->id.sport, &local);
	to_ep(q, q->id.dst, q->id.dport, &remote);
	sk = sock_find(r->ns, q->protocol, &local, &remote, q->id.ifindex);
	if (!sk)
		return -LINUX_ENOENT;
	sock_get_info(sk, &si);
	if ((q->id.cookie[0] != INET_DIAG_NOCOOKIE || q->id.cookie[1] != INET_DIAG_NOCOOKIE) &&
	    si.cookie != (q->id.cookie[0] | (uint64_t)q->id.cookie[1] << 32)) {
		ret = -LINUX_ESTALE;
	} else if (destroy) {
		ret = sock_destroy(sk);
	} else {
		fill(r, &b, sk, &si, q->ext);
		ret = nl_reply(r, &b);
	}
	sock_put(sk);
	return ret;
}

long diag_inet(struct nl_req *r, bool destroy)
{
	struct nla tb[INET_DIAG_REQ_PROTOCOL + 1];
	struct cursor c = r->body;
	uint32_t protocol;
	struct diag_inet_req q;
	const uint8_t *p = get_bytes(&c, sizeof(q));
	struct dump d = { .r = r, .q = &q };

	if (!p || nla_parse(c, tb, INET_DIAG_REQ_PROTOCOL))
		return -LINUX_EINVAL;
	memcpy(&q, p, sizeof(q));
	protocol = q.protocol;
	if (!nla_get_u32(&tb[INET_DIAG_REQ_PROTOCOL], &protocol))
		return -LINUX_EINVAL;
	if (protocol != q.protocol || !known_proto(q.protocol))
		return -LINUX_ENOENT;
	if (!(r->h.flags & LINUX_NLM_F_DUMP))
		return one(r, &q, destroy);
	if (destroy)
		return -LINUX_EOPNOTSUPP;
	d.bc = tb[INET_DIAG_REQ_BYTECODE];
	if (nla_has(&d.bc) && (!d.bc.len || d.bc.len > BC_MAX_STEPS * sizeof(struct bc_op)))
		return -LINUX_EINVAL;
	sock_each(r->ns, q.family, q.protocol, dump_one, &d);
	nl_dump_reply(r, &d.b, 0);
	return NL_DUMPED;
}
