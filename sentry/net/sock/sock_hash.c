/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/sock_hash.c - where endpoints are found: established tuples, listeners, bound ports
 *
 * Model:   established TCP entries in a hash by tuple; listeners in a hash by port; ports in use per protocol in
 *          a hash of buckets that list all entries holding the port (datagram demultiplexing uses the same).
 * Locks:   one mutex per chain; port chain before established chain (bind_connect()).
 * Source:  RFC 6056 section 3.3.3 (port selection), RFC 9293 section 3.10.7.1; rules of SO_REUSEADDR and
 *          SO_REUSEPORT as in socket(7).
 */
#include "sentry/net/core/siphash.h"
#include "sentry/net/sock_internal.h"
#include "sentry/net/tcp/tcp.h"

#define EHASH_SIZE 8192
#define LHASH_SIZE 64
#define BHASH_SIZE 1024
#define BIND_PROTOS 4

struct ehash_chain {
	struct mutex mu;
	struct skc *first;
};
struct bind_bucket {
	struct bind_bucket *next;
	uint16_t port;
	struct list owners;	/* of struct skc.bind_node */
};
struct bhash_chain {
	struct mutex mu;
	struct bind_bucket *first;
};
struct lhash_chain {
	struct mutex mu;
	struct list socks;	/* of struct tcp_sock.listen_node */
};

struct sock_tables {
	struct ehash_chain e[EHASH_SIZE];
	struct lhash_chain l[LHASH_SIZE];
	struct bhash_chain b[BIND_PROTOS][BHASH_SIZE];
	struct mutex raw_mu;
	struct list raw;	/* of struct skc.bind_node: raw endpoints */
};

int sock_tables_init(struct net_ns *ns)
{
	struct sock_tables *t = calloc(1, sizeof(*t));

	if (!t)
		return -LINUX_ENOMEM;
	for (unsigned i = 0; i < LHASH_SIZE; i++)
		list_init(&t->l[i].socks);
	list_init(&t->raw);
	ns->socks = t;
	return 0;
}

void sock_tables_fini(struct net_ns *ns)
{
	free(ns->socks);
}

void sock_tables_kill(struct net_ns *ns)
{
	struct sock_tables *t = ns->socks;

	for (unsigned i = 0; i < EHASH_SIZE; i++)
		for (;;) {
			struct skc *c;

			mutex_lock(&t->e[i].mu);
			c = t->e[i].first;
			if (c)
				skc_get(c);
			mutex_unlock(&t->e[i].mu);
			if (!c)
				break;
			BUG_ON(c->kind == SKC_FULL); /* a full endpoint holds the namespace */
			tcp_mini_kill(c);
			skc_put(c);
		}
}

/* ---- established ---------------------------------------------------------------------------------------- */

static uint32_t tuple_hash(struct net_ns *ns, const struct naddr *l, uint16_t lp, const struct naddr *r, uint16_t rp)
{
	uint64_t seed = ns->stack->hash_seed + ((uint64_t)lp << 16 | rp) * 0x9e3779b97f4a7c15ull;

	return net_hash_addr(l, seed) ^ net_hash_addr(r, seed << 1 | 1);
}

static struct ehash_chain *echain(struct net_ns *ns, const struct naddr *l, uint16_t lp, const struct naddr *r,
				  uint16_t rp)
{
	return &ns->socks->e[tuple_hash(ns, l, lp, r, rp) % EHASH_SIZE];
}

static bool tuple_eq(const struct skc *c, const struct naddr *l, uint16_t lp, const struct naddr *r, uint16_t rp)
{
	return c->lport == lp && c->rport == rp && naddr_eq(&c->laddr, l) && naddr_eq(&c->raddr, r);
}

struct skc *ehash_lookup(struct net_ns *ns, const struct naddr *laddr, uint16_t lport, const struct naddr *raddr,
			 uint16_t rport, uint32_t iif)
{
	struct ehash_chain *ch = echain(ns, laddr, lport, raddr, rport);
	struct skc *c;

	if (!ch->first)
		return NULL;
	mutex_lock(&ch->mu);
	for (c = ch->first; c; c = c->next)
		if (tuple_eq(c, laddr, lport, raddr, rport) && (!c->bound_if || !iif || c->bound_if == iif)) {
			skc_get(c);
			break;
		}
	mutex_unlock(&ch->mu);
	return c;
}

struct sock *sock_lookup_established(struct net_ns *ns, struct pkt *p)
{
	const uint8_t *h = pkt_l4(p);

	return (struct sock *)ehash_lookup(ns, &p->dstaddr, rd16(h + 2), &p->src, rd16(h), p->iif);
}

static void chain_link(struct ehash_chain *ch, struct skc *c)
{
	c->next = ch->first;
	if (c->next)
		c->next->pprev = &c->next;
	c->pprev = &ch->first;
	ch->first = c;
}

static void chain_unlink(struct skc *c)
{
	*c->pprev = c->next;
	if (c->next)
		c->next->pprev = c->pprev;
	c->pprev = NULL;
	c->next = NULL;
}

bool ehash_insert(struct skc *c, struct skc *replace, struct skc **dup)
{
	struct ehash_chain *ch = echain(c->ns, &c->laddr, c->lport, &c->raddr, c->rport);
	struct skc *o;
	bool ok = true;

	mutex_lock(&ch->mu);
	for (o = ch->first; o; o = o->next)
		if (o != replace && tuple_eq(o, &c->laddr, c->lport, &c->raddr, c->rport) &&
		    o->bound_if == c->bound_if) {
			ok = false;
			if (dup) {
				skc_get(o);
				*dup = o;
			}
			break;
		}
	if (replace && !replace->pprev)
		ok = false; /* somebody else finished it */
	if (ok) {
		if (replace)
			chain_unlink(replace);
		skc_get(c);
		chain_link(ch, c);
	}
	mutex_unlock(&ch->mu);
	if (ok && replace)
		skc_put(replace);
	return ok;
}

bool ehash_remove(struct skc *c)
{
	struct ehash_chain *ch = echain(c->ns, &c->laddr, c->lport, &c->raddr, c->rport);
	bool in;

	mutex_lock(&ch->mu);
	in = c->pprev != NULL;
	if (in)
		chain_unlink(c);
	mutex_unlock(&ch->mu);
	if (in)
		skc_put(c);
	return in;
}

/* ---- listeners -------------------------------------------------------------------------------------------- */

void listener_insert(struct sock *sk)
{
	struct lhash_chain *ch = &sk->c.ns->socks->l[sk->c.lport % LHASH_SIZE];

	sock_get(sk);
	mutex_lock(&ch->mu);
	list_add(&ch->socks, tcp_listen_node(sk));
	mutex_unlock(&ch->mu);
}

void listener_remove(struct sock *sk)
{
	struct lhash_chain *ch = &sk->c.ns->socks->l[sk->c.lport % LHASH_SIZE];
	bool in;

	mutex_lock(&ch->mu);
	in = !list_empty(tcp_listen_node(sk));
	list_del_init(tcp_listen_node(sk));
	mutex_unlock(&ch->mu);
	if (in)
		sock_put(sk);
}

/* How well an unconnected entry fits a packet; negative: not at all. */
static int local_score(const struct skc *c, const struct naddr *laddr, uint32_t iif)
{
	bool v4 = naddr_is_v4(laddr);
	int s = 0;

	if (c->bound_if) {
		if (c->bound_if != iif)
			return -1;
		s += 8;
	}
	if (naddr_is_any(&c->laddr)) {
		if (c->family == NET_AF_INET ? !v4 : (v4 && (c->v6only || naddr_is_v4(&c->laddr) != v4) &&
						      !(naddr_eq(&c->laddr, &NADDR_ANY6) && !c->v6only)))
			return -1;
		if (naddr_is_v4(&c->laddr) && !v4)
			return -1;
		return s + (c->family == NET_AF_INET);
	}
	return naddr_eq(&c->laddr, laddr) ? s + 4 : -1;
}

struct sock *listener_lookup(struct net_ns *ns, const struct pkt *p, uint16_t lport, uint16_t rport)
{
	struct lhash_chain *ch = &ns->socks->l[lport % LHASH_SIZE];
	uint32_t h = tuple_hash(ns, &p->dstaddr, lport, &p->src, rport), same = 0;
	struct sock *best = NULL;
	struct list *e;
	int best_s = -1;

	mutex_lock(&ch->mu);
	for (e = ch->socks.next; e != &ch->socks; e = e->next) {
		struct sock *sk = tcp_from_listen_node(e);
		int s;

		if (sk->c.lport != lport)
			continue;
		s = local_score(&sk->c, &p->dstaddr, p->iif);
		if (s > best_s) {
			best = sk;
			best_s = s;
			same = 1;
		} else if (s >= 0 && s == best_s && sk->c.reuseport) {
			/* SO_REUSEPORT group: one of n by flow hash, reservoir style with a stable choice */
			same++;
			if (((uint64_t)(h * 0x9e3779b1u) * same) >> 32 == 0)
				best = sk;
			h = h * 0x85ebca6bu + 1;
		}
	}
	if (best)
		sock_get(best);
	mutex_unlock(&ch->mu);
	return best;
}

/* ---- ports --------------------------------------------------------------------------------------------------- */

static unsigned bind_table(const struct skc *c)
{
	switch (c->proto) {
	case NET_IPPROTO_TCP:
		return 0;
	case NET_IPPROTO_UDP:
		return 1;
	case NET_IPPROTO_ICMP:
		return 2;
	default:
		return 3;
	}
}

static struct bhash_chain *bchain(struct net_ns *ns, unsigned table, uint16_t port)
{
	return &ns->socks->b[table][port % BHASH_SIZE];
}

static struct bind_bucket *bb_find(struct bhash_chain *ch, uint16_t port)
{
	struct bind_bucket *b = ch->first;

	while (b && b->port != port)
		b = b->next;
	return b;
}

/* Do the two local addresses ever match the same packet? */
static bool addr_overlap(const struct skc *a, const struct skc *b)
{
	bool a_any = naddr_is_any(&a->laddr), b_any = naddr_is_any(&b->laddr);
	bool a4 = naddr_is_v4(&a->laddr), b4 = naddr_is_v4(&b->laddr);

	if (a_any && b_any)
		return a4 == b4 || !(a4 ? b->v6only : a->v6only);
	if (a_any)
		return a4 == b4 || (!a4 && !a->v6only);
	if (b_any)
		return a4 == b4 || (!b4 && !b->v6only);
	return naddr_eq(&a->laddr, &b->laddr);
}

/* May @a have the port that @b holds? With SO_REUSEADDR unless @b listens: that @a is about to listen itself does not keep it
 * from sharing with the connections of the listener before it. */
static bool may_share(const struct skc *a, const struct skc *b)
{
	bool tcp = a->proto == NET_IPPROTO_TCP;

	if (a->internal || b->internal)
		return true;
	if (a->bound_if && b->bound_if && a->bound_if != b->bound_if)
		return true;
	if (!addr_overlap(a, b))
		return true;
	if (a->reuse && b->reuse && (!tcp || b->state != TCPS_LISTEN))
		return true;
	return a->reuseport && b->reuseport && (a->uid == b->uid || b->kind == SKC_TW);
}

static int bind_to_locked(struct bhash_chain *ch, struct skc *c, uint16_t port, bool check)
{
	struct bind_bucket *b = bb_find(ch, port);
	struct skc *o;

	if (b && check)
		list_for_each_entry(o, &b->owners, bind_node)
			if (o != c && !may_share(c, o))
				return -LINUX_EADDRINUSE;
	if (!b) {
		b = malloc(sizeof(*b));
		if (!b)
			return -LINUX_ENOMEM;
		b->port = port;
		list_init(&b->owners);
		b->next = ch->first;
		ch->first = b;
	}
	c->bb = b;
	c->lport = port;
	list_add_tail(&b->owners, &c->bind_node);
	return 0;
}

static uint16_t port_range(struct net_ns *ns, uint16_t *lo)
{
	int32_t a = ns->sysctl.ip_local_port_range[0], b = ns->sysctl.ip_local_port_range[1];

	*lo = (uint16_t)a;
	return (uint16_t)(b >= a ? b - a + 1 : 1);
}

int bind_port(struct skc *c, uint16_t port)
{
	unsigned table = bind_table(c);
	struct bhash_chain *ch;
	uint16_t lo, n, start;
	int ret;

	if (port) {
		ch = bchain(c->ns, table, port);
		mutex_lock(&ch->mu);
		ret = bind_to_locked(ch, c, port, true);
		mutex_unlock(&ch->mu);
		return ret;
	}
	n = port_range(c->ns, &lo);
	start = (uint16_t)(net_random32() % n);
	for (uint32_t i = 0; i < n; i++) {
		uint16_t p = (uint16_t)(lo + (start + i) % n);

		if (net_port_reserved(c->ns, p))
			continue;
		ch = bchain(c->ns, table, p);
		mutex_lock(&ch->mu);
		/* a port nobody holds first; sharing a chosen port is never wanted */
		ret = bb_find(ch, p) ? -LINUX_EADDRINUSE : bind_to_locked(ch, c, p, true);
		mutex_unlock(&ch->mu);
		if (ret != -LINUX_EADDRINUSE)
			return ret;
	}
	return -LINUX_EADDRINUSE;
}

void bind_release(struct skc *c)
{
	struct bhash_chain *ch;
	struct bind_bucket *b, **pp;

	if (!c->bb)
		return;
	ch = bchain(c->ns, bind_table(c), c->lport);
	mutex_lock(&ch->mu);
	b = c->bb;
	list_del_init(&c->bind_node);
	c->bb = NULL;
	if (list_empty(&b->owners)) {
		for (pp = &ch->first; *pp != b; pp = &(*pp)->next)
			;
		*pp = b->next;
		free(b);
	}
	mutex_unlock(&ch->mu);
}

int bind_inherit(struct skc *child, const struct skc *parent)
{
	struct bhash_chain *ch = bchain(child->ns, bind_table(child), parent->lport);
	int ret;

	mutex_lock(&ch->mu);
	ret = bind_to_locked(ch, child, parent->lport, false);
	mutex_unlock(&ch->mu);
	return ret;
}

/* All holders came by connect(): their tuples differ in the remote end, so one more may join. */
static bool all_auto(const struct bind_bucket *b)
{
	struct skc *o;

	list_for_each_entry(o, &b->owners, bind_node)
		if (!o->auto_port)
			return false;
	return true;
}

/* The tuple is free, or was held by a TIME_WAIT that may be reused (RFC 6191). @held: the lock of the port's chain, if the caller has
 * it; the end of a TIME_WAIT takes it to give the port back, so it is let go for that. */
static bool tuple_take(struct skc *c, struct mutex *held)
{
	struct skc *dup = NULL;
	bool ok = ehash_insert(c, NULL, &dup);

	if (!ok && dup && dup->kind == SKC_TW && tcp_tw_may_reuse(dup, c)) {
		if (held)
			mutex_unlock(held);
		tcp_mini_kill(dup);
		if (held)
			mutex_lock(held);
		ok = ehash_insert(c, NULL, NULL);
	}
	if (dup)
		skc_put(dup);
	return ok;
}

/* Local port @p for a connection: 0, -LINUX_EADDRINUSE, -LINUX_ENOMEM. Locks @ch, and may let go of it in between. */
static int port_take(struct bhash_chain *ch, struct skc *c, uint16_t p)
{
	struct bind_bucket *b;
	int ret = -LINUX_EADDRINUSE;

	mutex_lock(&ch->mu);
	b = bb_find(ch, p);
	c->lport = p;
	c->auto_port = true;
	if ((!b || all_auto(b)) && tuple_take(c, &ch->mu)) {
		b = bb_find(ch, p);
		if (!b || all_auto(b))
			ret = bind_to_locked(ch, c, p, false) ? -LINUX_ENOMEM : 0;
		if (ret)
			ehash_remove(c);
	}
	if (ret) {
		c->lport = 0;
		c->auto_port = false;
	}
	mutex_unlock(&ch->mu);
	return ret;
}

int bind_connect(struct skc *c)
{
	struct net_ns *ns = c->ns;
	uint16_t lo, n, start;
	uint8_t key[40];

	if (c->lport)
		return tuple_take(c, NULL) ? 0 : -LINUX_EADDRNOTAVAIL;
	n = port_range(ns, &lo);
	/* RFC 6056 algorithm 3: keyed by the destination, moving on with every connection */
	memcpy(key, c->laddr.b, 16);
	memcpy(key + 16, c->raddr.b, 16);
	memcpy(key + 32, &c->rport, 2);
	memset(key + 34, 0, 6);
	start = (uint16_t)((siphash(key, sizeof(key), ns->stack->secret) + atomic_fetch_add(&ns->port_offset, 1) +
			    (net_random32() & 7)) % n);
	for (uint32_t i = 0; i < n; i++) {
		uint16_t p = (uint16_t)(lo + (start + i) % n);
		int ret;

		if (net_port_reserved(ns, p))
			continue;
		ret = port_take(bchain(ns, bind_table(c), p), c, p);
		if (ret != -LINUX_EADDRINUSE)
			return ret;
	}
	return -LINUX_EADDRNOTAVAIL;
}

/* ---- datagrams --------------------------------------------------------------------------------------------------- */

struct sock *dgram_lookup(struct net_ns *ns, int proto, const struct naddr *laddr, uint16_t lport,
			  const struct naddr *raddr, uint16_t rport, uint32_t iif)
{
	struct skc key = { .proto = (uint8_t)proto }, *c, *best = NULL;
	struct bhash_chain *ch = bchain(ns, bind_table(&key), lport);
	uint32_t same = 0, h = tuple_hash(ns, laddr, lport, raddr, rport);
	struct bind_bucket *b;
	int best_s = -1;

	if (!ch->first)
		return NULL;
	mutex_lock(&ch->mu);
	b = bb_find(ch, lport);
	if (b)
		list_for_each_entry(c, &b->owners, bind_node) {
			int s = local_score(c, laddr, iif);

			if (s < 0 || c->proto != proto)
				continue;
			if (c->state == TCPS_ESTABLISHED) { /* connected: only its peer */
				if ((c->rport && c->rport != rport) || !naddr_eq(&c->raddr, raddr))
					continue;
				s += 32;
			}
			if (s > best_s) {
				best = c;
				best_s = s;
				same = 1;
			} else if (s == best_s && c->reuseport) {
				same++;
				if (((uint64_t)(h * 0x9e3779b1u) * same) >> 32 == 0)
					best = c;
				h = h * 0x85ebca6bu + 1;
			}
		}
	if (best)
		skc_get(best);
	mutex_unlock(&ch->mu);
	return (struct sock *)best;
}

void dgram_each(struct net_ns *ns, int proto, uint16_t lport, void (*fn)(struct sock *sk, void *arg), void *arg)
{
	struct skc key = { .proto = (uint8_t)proto }, *c;
	struct bhash_chain *ch = bchain(ns, bind_table(&key), lport);
	struct bind_bucket *b;

	mutex_lock(&ch->mu);
	b = bb_find(ch, lport);
	if (b)
		list_for_each_entry(c, &b->owners, bind_node)
			if (c->proto == proto)
				fn((struct sock *)c, arg);
	mutex_unlock(&ch->mu);
}

void raw_insert(struct sock *sk)
{
	struct sock_tables *t = sk->c.ns->socks;

	mutex_lock(&t->raw_mu);
	list_add_tail(&t->raw, &sk->c.bind_node);
	atomic_fetch_add(&sk->c.ns->nr_raw, 1);
	mutex_unlock(&t->raw_mu);
}

void raw_remove(struct sock *sk)
{
	struct sock_tables *t = sk->c.ns->socks;

	mutex_lock(&t->raw_mu);
	if (!list_empty(&sk->c.bind_node))
		atomic_fetch_sub(&sk->c.ns->nr_raw, 1);
	list_del_init(&sk->c.bind_node);
	mutex_unlock(&t->raw_mu);
}

unsigned raw_collect(struct net_ns *ns, struct sock **out, unsigned max)
{
	struct sock_tables *t = ns->socks;
	struct skc *c;
	unsigned n = 0;

	mutex_lock(&t->raw_mu);
	list_for_each_entry(c, &t->raw, bind_node)
		if (n < max && ref_get_unless_zero(&c->ref))
			out[n++] = (struct sock *)c;
	mutex_unlock(&t->raw_mu);
	return n;
}

/* ---- iteration ------------------------------------------------------------------------------------------------------ */

#define EACH_BATCH 64

/* Collects a chain's entries with references, then calls out without a lock. */
static int each_flush(struct sock **v, unsigned n, int (*fn)(struct sock *sk, void *arg), void *arg)
{
	int ret = 0;

	for (unsigned i = 0; i < n; i++) {
		if (!ret)
			ret = fn(v[i], arg);
		sock_put(v[i]);
	}
	return ret;
}

static int each_tcp(struct net_ns *ns, int (*fn)(struct sock *sk, void *arg), void *arg)
{
	struct sock_tables *t = ns->socks;
	struct sock *v[EACH_BATCH];
	int ret = 0;

	for (unsigned i = 0; i < LHASH_SIZE && !ret; i++) {
		struct list *e;
		unsigned n = 0;

		mutex_lock(&t->l[i].mu);
		for (e = t->l[i].socks.next; e != &t->l[i].socks && n < EACH_BATCH; e = e->next) {
			v[n] = tcp_from_listen_node(e);
			sock_get(v[n++]);
		}
		mutex_unlock(&t->l[i].mu);
		ret = each_flush(v, n, fn, arg);
	}
	for (unsigned i = 0; i < EHASH_SIZE && !ret; i++) {
		struct skc *c;
		unsigned n = 0;

		if (!t->e[i].first)
			continue;
		mutex_lock(&t->e[i].mu);
		for (c = t->e[i].first; c && n < EACH_BATCH; c = c->next) {
			skc_get(c);
			v[n++] = (struct sock *)c;
		}
		mutex_unlock(&t->e[i].mu);
		ret = each_flush(v, n, fn, arg);
	}
	return ret;
}

static int each_bound(struct net_ns *ns, unsigned table, int (*fn)(struct sock *sk, void *arg), void *arg)
{
	struct sock *v[EACH_BATCH];
	int ret = 0;

	for (unsigned i = 0; i < BHASH_SIZE && !ret; i++) {
		struct bhash_chain *ch = &ns->socks->b[table][i];
		struct skc *c;
		unsigned n = 0;

		if (!ch->first)
			continue;
		mutex_lock(&ch->mu);
		for (struct bind_bucket *b = ch->first; b; b = b->next)
			list_for_each_entry(c, &b->owners, bind_node)
				if (n < EACH_BATCH) {
					skc_get(c);
					v[n++] = (struct sock *)c;
				}
		mutex_unlock(&ch->mu);
		ret = each_flush(v, n, fn, arg);
	}
	return ret;
}

int sock_each(struct net_ns *ns, int family, int proto, int (*fn)(struct sock *sk, void *arg), void *arg)
{
	struct sock *v[EACH_BATCH];

	if (family == NET_AF_PACKET)
		return packet_each(ns, fn, arg);
	switch (proto) {
	case NET_IPPROTO_TCP:
		return each_tcp(ns, fn, arg);
	case NET_IPPROTO_UDP:
		return each_bound(ns, 1, fn, arg);
	case NET_IPPROTO_ICMP:
		return each_bound(ns, 2, fn, arg);
	case NET_IPPROTO_ICMPV6:
		return each_bound(ns, 3, fn, arg);
	default:
		return each_flush(v, raw_collect(ns, v, EACH_BATCH), fn, arg);
	}
}

struct sock *sock_find(struct net_ns *ns, int proto, const struct net_ep *local, const struct net_ep *remote,
		       uint32_t ifindex)
{
	if (proto == NET_IPPROTO_TCP) {
		struct pkt key = { .dstaddr = local->addr, .src = remote->addr, .iif = ifindex };
		struct skc *c = ehash_lookup(ns, &local->addr, local->port, &remote->addr, remote->port, ifindex);

		return c ? (struct sock *)c : listener_lookup(ns, &key, local->port, remote->port);
	}
	return dgram_lookup(ns, proto, &local->addr, local->port, &remote->addr, remote->port, ifindex);
}
