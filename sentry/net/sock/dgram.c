/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/dgram.c - what datagram endpoints share: receive queue, connect, poll, facts about packets
 *
 * Locks:   sk->mu for queues; own for configuration. Neither is held while guest memory is copied.
 */
#include "sentry/net/sock_internal.h"

bool dgram_queue(struct sock *sk, struct pkt *p)
{
	uint32_t charge = PKT_CHARGE(p);

	if (p->dst) {
		dst_put(p->dst);
		p->dst = NULL;
	}
	if ((sk->timestamp || sk->timestampns) && !p->tstamp_ns)
		p->tstamp_ns = net_wall(sk->c.ns->stack);
	p->link = NULL; /* links are not kept alive by queued packets */
	mutex_lock(&sk->mu);
	/* like Linux, one packet may go over the limit */
	if (atomic_load_explicit(&sk->rmem, memory_order_relaxed) > (uint32_t)sk->rcvbuf || sk->closed) {
		mutex_unlock(&sk->mu);
		atomic_fetch_add(&sk->drops, 1);
		net_drop(sk->c.ns, p, DROP_RCVBUF);
		return false;
	}
	atomic_fetch_add_explicit(&sk->rmem, charge, memory_order_relaxed);
	pkt_list_add(&sk->rcvq, p);
	mutex_unlock(&sk->mu);
	sock_event(sk, NET_POLLIN);
	return true;
}

struct pkt *dgram_dequeue(struct sock *sk, struct net_msg *m, int *err)
{
	struct pkt *p;
	int e = atomic_exchange(&sk->err, 0);

	if (e) {
		*err = -e;
		return NULL;
	}
	mutex_lock(&sk->mu);
	p = sk->rcvq.head;
	if (p && (m->flags & NET_MSG_PEEK)) {
		p = pkt_clone(p);
	} else if (p) {
		pkt_list_pop(&sk->rcvq);
		atomic_fetch_sub_explicit(&sk->rmem, PKT_CHARGE(p), memory_order_relaxed);
	}
	mutex_unlock(&sk->mu);
	if (!p)
		*err = sk->shut & 1 ? 0 : -LINUX_EAGAIN;
	return p;
}

void dgram_purge(struct sock *sk)
{
	struct pkt_list l;

	mutex_lock(&sk->mu);
	l = sk->rcvq;
	pkt_list_init(&sk->rcvq);
	atomic_store(&sk->rmem, 0);
	mutex_unlock(&sk->mu);
	pkt_list_free(&l);
}

/* What ancillary data may be asked for; the socket layer picks by the endpoint's options. */
void dgram_fill_msg(struct sock *sk, struct pkt *p, struct net_msg *m)
{
	struct dgram_cb *cb = DGRAM_CB(p);

	m->name = (struct net_ep){ .addr = p->src, .port = cb->sport };
	if (naddr_is_linklocal6(&p->src))
		m->name.scope_id = cb->iif;
	m->has |= NET_MSG_HAS_NAME;
	m->pktinfo_addr = p->dstaddr;
	m->pktinfo_spec = p->type == PKT_HOST ? p->dstaddr : sk->c.laddr;
	m->ifindex = cb->iif;
	m->ttl = p->ttl_tos[0];
	m->tos = p->ttl_tos[1];
	m->orig_dport = cb->dport;
	if (naddr_is_v4(&p->dstaddr)) {
		m->has |= (sk->want_pktinfo || sk->want_pktinfo6 ? NET_MSG_HAS_PKTINFO : 0) |
			  (sk->want_ttl ? NET_MSG_HAS_TTL : 0) | (sk->want_tos ? NET_MSG_HAS_TOS : 0);
	} else {
		m->has |= (sk->want_pktinfo6 ? NET_MSG_HAS_PKTINFO : 0) | (sk->want_hops6 ? NET_MSG_HAS_TTL : 0) |
			  (sk->want_pktinfo6o ? NET_MSG_HAS_PKTINFO_OLD : 0) | (sk->want_hops6o ? NET_MSG_HAS_HOPS_OLD : 0) |
			  (sk->want_tclass6 ? NET_MSG_HAS_TOS : 0);
	}
	m->has |= sk->want_odst ? NET_MSG_HAS_ODST : 0;
	if (unlikely(cb->opts_len) && (sk->want_opts || sk->want_retopts)) {
		m->opts_len = cb->opts_len;
		memcpy(m->opts, pkt_l3(p) + IP4_HLEN, cb->opts_len);
		m->has |= (sk->want_opts ? NET_MSG_HAS_OPTS : 0) | (sk->want_retopts ? NET_MSG_HAS_RETOPTS : 0);
	}
	m->mark = p->mark;
	if (cb->gso) {
		m->gso_size = cb->gso;
		m->has |= NET_MSG_HAS_GSO;
	}
	sk->stamp_ns = p->tstamp_ns;
	if ((sk->timestamp || sk->timestampns) && p->tstamp_ns) {
		m->tstamp_ns = p->tstamp_ns;
		m->has |= NET_MSG_HAS_TSTAMP;
	}
	if (sk->rxq_ovfl) {
		m->rxq_ovfl = atomic_load(&sk->drops);
		m->has |= NET_MSG_HAS_OVFL;
	}
}

int dgram_connect(struct sock *sk, const struct net_ep *ep)
{
	struct naddr to, old = sk->c.laddr;
	struct net_flow fl;
	struct dst *d;
	int ret = sock_check_ep(sk, ep, &to);

	if (ret)
		return ret;
	if (naddr_is_any(&to)) {
		to = naddr_is_v4(&to) ? naddr_from_v4(net_htonl(0x7f000001)) : NADDR_ANY6;
		if (!naddr_is_v4(&to))
			to.b[15] = 1;
	}
	if (naddr_is_linklocal6(&to) && ep->scope_id)
		sk->c.bound_if = ep->scope_id;
	sock_dst_reset(sk);
	sock_flow(sk, &to, &fl);
	ret = net_route_lookup(sk->c.ns, &fl, &d);
	if (ret)
		return ret;
	if (d->type == NET_RTN_BROADCAST && !sk->broadcast) {
		dst_put(d);
		return -LINUX_EACCES;
	}
	if (naddr_is_any(&sk->c.laddr))
		sk->c.laddr = d->src;
	dst_put(d);
	if (!sk->c.lport && sk->c.type != NET_SOCK_RAW) {
		ret = bind_port(&sk->c, 0);
		if (ret) {
			sk->c.laddr = old;
			return ret;
		}
		sk->c.auto_port = true;
	}
	sk->c.raddr = to;
	sk->c.rport = sk->ops == &ping_sock_ops ? 0 : ep->port; /* replies to echo requests have no port */
	sk->c.state = TCPS_ESTABLISHED;
	return 0;
}

int dgram_disconnect(struct sock *sk)
{
	sk->c.state = TCPS_CLOSE;
	sk->c.raddr = sk->c.family == NET_AF_INET ? NADDR_ANY4 : NADDR_ANY6;
	sk->c.rport = 0;
	if (sk->c.auto_port && sk->c.type != NET_SOCK_RAW) {
		bind_release(&sk->c);
		sk->c.lport = 0;
		sk->c.auto_port = false;
		sk->c.laddr = sk->c.raddr;
	}
	sock_dst_reset(sk);
	return 0;
}

int dgram_shutdown(struct sock *sk, int how)
{
	if (sk->c.state != TCPS_ESTABLISHED)
		return -LINUX_ENOTCONN;
	sk->shut |= (uint8_t)(how == NET_SHUT_RD ? 1 : how == NET_SHUT_WR ? 2 : 3);
	sock_event(sk, NET_POLLIN | NET_POLLOUT | NET_POLLRDHUP | (sk->shut == 3 ? NET_POLLHUP : 0));
	return 0;
}

uint32_t dgram_poll(struct sock *sk)
{
	uint32_t m = NET_POLLOUT | NET_POLLWRNORM;

	if (sk->rcvq.head)
		m |= NET_POLLIN | NET_POLLRDNORM;
	if (sk->shut & 1)
		m |= NET_POLLIN | NET_POLLRDNORM | NET_POLLRDHUP;
	if (sk->shut == 3)
		m |= NET_POLLHUP;
	if (atomic_load(&sk->err) || sk->errq.head)
		m |= NET_POLLERR;
	return m;
}

long dgram_inq(struct sock *sk)
{
	long n;

	mutex_lock(&sk->mu);
	n = sk->rcvq.head ? (long)sk->rcvq.head->len : 0;
	mutex_unlock(&sk->mu);
	return n;
}

/* ---- error queue: IP_RECVERR ------------------------------------------------------------------------------- */

#define ERRQ_MAX 64
struct err_cb {
	uint32_t info;
	uint16_t err;
	uint8_t origin, type, code;
	uint16_t port, offender_port;
};
#define ERR_CB(p) ((struct err_cb *)(p)->cb)

/* SO_EE_ORIGIN_* */
enum { ERR_ORIGIN_LOCAL = 1, ERR_ORIGIN_ICMP, ERR_ORIGIN_ICMP6 };

static void errq_put(struct sock *sk, struct pkt *p)
{
	mutex_lock(&sk->mu);
	if (sk->errq.nr >= ERRQ_MAX) {
		mutex_unlock(&sk->mu);
		pkt_free(p);
		return;
	}
	pkt_list_add(&sk->errq, p);
	mutex_unlock(&sk->mu);
	sock_event(sk, NET_POLLERR);
}

void errq_add(struct sock *sk, const struct ip_err *e, int32_t payload_off, uint16_t port)
{
	uint32_t off = (uint32_t)((int32_t)(e->l4 - e->p->data) + payload_off);
	struct pkt *p = pkt_slice(e->p, MIN(off, e->p->len), e->p->len - MIN(off, e->p->len), 0);

	if (!p)
		return;
	p->src = e->offender;
	p->dstaddr = e->dst;
	p->iif = e->iif;
	p->tstamp_ns = e->p->tstamp_ns;
	memcpy(p->ttl_tos, e->p->ttl_tos, sizeof(p->ttl_tos)); /* of the message that tells, not of the one it quotes */
	*ERR_CB(p) = (struct err_cb){ .info = e->info, .err = (uint16_t)e->err, .type = e->type, .code = e->code,
				      .origin = naddr_is_v4(&e->dst) ? ERR_ORIGIN_ICMP : ERR_ORIGIN_ICMP6, .port = port };
	errq_put(sk, p);
}

void errq_add_local(struct sock *sk, int err, const struct net_ep *to, uint32_t info)
{
	struct pkt *p = pkt_alloc(0, 0);

	if (!p)
		return;
	p->src = naddr_is_v4(&to->addr) ? NADDR_ANY4 : NADDR_ANY6;
	p->dstaddr = to->addr;
	*ERR_CB(p) = (struct err_cb){ .info = info, .err = (uint16_t)err, .origin = ERR_ORIGIN_LOCAL,
				      /* IPv4 says where the endpoint is connected to, IPv6 where this one was for */
				      .port = naddr_is_v4(&to->addr) ? sk->c.rport : to->port };
	errq_put(sk, p);
}

/* Ancillary data as for a datagram, about the ICMP message. */
static void err_facts(struct sock *sk, const struct pkt *p, struct net_msg *m)
{
	bool v4 = naddr_is_v4(&p->dstaddr);

	m->ifindex = p->iif;
	m->pktinfo_addr = p->src;
	m->pktinfo_spec = sk->c.laddr;
	m->ttl = p->ttl_tos[0];
	m->tos = p->ttl_tos[1];
	m->has |= ((v4 ? sk->want_ttl : sk->want_hops6) ? NET_MSG_HAS_TTL : 0) | ((v4 ? sk->want_tos : sk->want_tclass6) ? NET_MSG_HAS_TOS : 0) |
		  ((v4 ? sk->want_pktinfo : sk->want_pktinfo6) ? NET_MSG_HAS_PKTINFO : 0) |
		  (!v4 && sk->want_hops6o ? NET_MSG_HAS_HOPS_OLD : 0);
	if ((sk->timestamp || sk->timestampns) && p->tstamp_ns) {
		m->tstamp_ns = p->tstamp_ns;
		m->has |= NET_MSG_HAS_TSTAMP;
	}
}

long errq_recv(struct sock *sk, struct net_iter *it, struct net_msg *m)
{
	struct err_cb *cb;
	struct pkt *p;
	int32_t next;
	long n;

	mutex_lock(&sk->mu);
	p = pkt_list_pop(&sk->errq);
	next = p && sk->errq.head && ERR_CB(sk->errq.head)->origin != ERR_ORIGIN_LOCAL ? ERR_CB(sk->errq.head)->err : 0;
	mutex_unlock(&sk->mu);
	if (!p)
		return -LINUX_EAGAIN;
	cb = ERR_CB(p);
	/* What was read here is not reported a second time by the next call; what is behind it is. */
	if (next || cb->origin != ERR_ORIGIN_LOCAL)
		atomic_store(&sk->err, next);
	m->err = (struct net_exterr){ .err = cb->err, .origin = cb->origin, .type = cb->type, .code = cb->code,
				      .info = cb->info, .has_offender = cb->origin != ERR_ORIGIN_LOCAL };
	m->err.offender.addr = p->src;
	m->name = (struct net_ep){ .addr = p->dstaddr, .port = cb->port };
	m->has |= NET_MSG_HAS_ERR | NET_MSG_HAS_NAME;
	if (cb->origin != ERR_ORIGIN_LOCAL)
		err_facts(sk, p, m);
	m->full_len = p->len;
	m->flags = NET_MSG_ERRQUEUE | (p->len > it->left ? NET_MSG_TRUNC : 0);
	n = pkt_copy_to_iter(p, 0, it, it->left);
	pkt_free(p);
	return n;
}
