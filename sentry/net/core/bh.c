/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/bh.c - per-thread packet work queues and deferred frees
 *
 * Locks:   reg_mu: the registry of threads and the deferred list; a leaf.
 */
#include <pthread.h>

#include "sentry/net/core/bh.h"
#include "sentry/net/link/link_internal.h"
#include "sentry/net/net.h"

/* A bridge loop built by a guest would circulate packets for ever; past this many in one section they are dropped. */
#define BH_BUDGET 20000

__thread struct bh_ctx bh_self;

static struct mutex reg_mu = MUTEX_INIT;
static struct bh_ctx *reg_head;		/* every thread that ever opened a section, reg_mu */
static struct net_rcu *rcu_new, *rcu_old; /* rcu_old waits for the snapshot, reg_mu */
static _Atomic uint32_t rcu_waiting;
#define RCU_MAX_THREADS 256
static struct {
	struct bh_ctx *b;
	uint64_t seq;
} rcu_snap[RCU_MAX_THREADS];
static unsigned rcu_nr_snap;

/* Its destructor unregisters the context of a thread that ends. */
static pthread_key_t thread_key;
static pthread_once_t thread_once = PTHREAD_ONCE_INIT;

static void thread_gone(void *arg)
{
	struct bh_ctx *b = arg;

	mutex_lock(&reg_mu);
	for (struct bh_ctx **pp = &reg_head; *pp; pp = &(*pp)->next)
		if (*pp == b) {
			*pp = b->next;
			break;
		}
	for (unsigned i = 0; i < rcu_nr_snap; i++)
		if (rcu_snap[i].b == b)
			rcu_snap[i].b = NULL;
	mutex_unlock(&reg_mu);
}

static void thread_key_make(void)
{
	BUG_ON(pthread_key_create(&thread_key, thread_gone) != 0);
}

void bh_enter_slow(struct bh_ctx *b)
{
	if (unlikely(!b->registered)) {
		pthread_once(&thread_once, thread_key_make);
		pthread_setspecific(thread_key, b);
		mutex_lock(&reg_mu);
		b->next = reg_head;
		reg_head = b;
		b->registered = true;
		mutex_unlock(&reg_mu);
	}
	b->drained = 0;
	/* Pairs with the snapshot in rcu_advance_locked(): either that sees an odd seq, or we see what it unlinked. */
	atomic_fetch_add(&b->seq, 1);
}

static void bh_flush(struct bh_ctx *b)
{
	while (b->nr_tx) {
		struct net_link *l = b->tx[--b->nr_tx];

		l->ops->flush(l);
		net_link_put(l);
	}
}

void bh_leave_slow(struct bh_ctx *b)
{
	bh_run();
	while (b->nr_tx) {
		bh_flush(b);
		bh_run();
	}
	atomic_fetch_add_explicit(&b->seq, 1, memory_order_release);
}

static void bh_drop_rest(struct bh_ctx *b)
{
	struct pkt *p;

	while ((p = pkt_list_pop(&b->rxq)))
		net_drop(p->link->ns, p, DROP_RECURSION);
}

void bh_run(void)
{
	struct bh_ctx *b = &bh_self;
	struct pkt *p;

	if (b->draining || !b->rxq.head)
		return;
	b->draining = true;
	while ((p = pkt_list_pop(&b->rxq))) {
		if (unlikely(++b->drained > BH_BUDGET)) {
			net_drop(p->link->ns, p, DROP_RECURSION);
			bh_drop_rest(b);
			break;
		}
		net_link_rx_one(p->link, p);
	}
	b->draining = false;
}

void bh_queue_rx(struct net_link *link, struct pkt_list *l)
{
	struct bh_ctx *b = &bh_self;
	uint32_t limit = (uint32_t)link->ns->sysctl.netdev_max_backlog;
	struct pkt *p;

	BUG_ON(b->depth == 0);
	while ((p = pkt_list_pop(l))) {
		if (unlikely(b->rxq.nr >= limit)) {
			atomic_fetch_add_explicit(&link->stats.rx_dropped, 1, memory_order_relaxed);
			net_drop(link->ns, p, DROP_BACKLOG);
			continue;
		}
		p->link = link;
		pkt_list_add(&b->rxq, p);
	}
}

bool bh_flush_later(struct net_link *link)
{
	struct bh_ctx *b = &bh_self;

	if (b->depth == 0)
		return false;
	for (unsigned i = 0; i < b->nr_tx; i++)
		if (b->tx[i] == link)
			return true;
	if (b->nr_tx == BH_MAX_TX)
		return false;
	net_link_get(link);
	b->tx[b->nr_tx++] = link;
	return true;
}

/* ---- deferred frees ------------------------------------------------------------------------------- */

/* Returns what may be freed now; starts the next grace period. */
static struct net_rcu *rcu_advance_locked(void)
{
	struct net_rcu *done = NULL;
	unsigned left = 0;

	for (unsigned i = 0; i < rcu_nr_snap; i++)
		if (rcu_snap[i].b && atomic_load(&rcu_snap[i].b->seq) == rcu_snap[i].seq)
			rcu_snap[left++] = rcu_snap[i];
	rcu_nr_snap = left;
	if (left)
		return NULL;
	done = rcu_old;
	rcu_old = rcu_new;
	rcu_new = NULL;
	if (!rcu_old)
		return done;
	for (struct bh_ctx *b = reg_head; b; b = b->next) {
		uint64_t seq = atomic_load(&b->seq);

		if (!(seq & 1))
			continue;
		BUG_ON(rcu_nr_snap == RCU_MAX_THREADS);
		rcu_snap[rcu_nr_snap].b = b;
		rcu_snap[rcu_nr_snap++].seq = seq;
	}
	return done;
}

void net_rcu_poll(struct net_stack *st)
{
	struct net_rcu *done, *r;

	(void)st;
	for (int round = 0; round < 2 && atomic_load_explicit(&rcu_waiting, memory_order_relaxed); round++) {
		mutex_lock(&reg_mu);
		done = rcu_advance_locked();
		mutex_unlock(&reg_mu);
		while ((r = done)) {
			done = r->next;
			atomic_fetch_sub(&rcu_waiting, 1);
			r->fn(r);
		}
	}
}

void net_rcu_free(struct net_stack *st, struct net_rcu *r, void (*fn)(struct net_rcu *r))
{
	r->fn = fn;
	mutex_lock(&reg_mu);
	r->next = rcu_new;
	rcu_new = r;
	atomic_fetch_add(&rcu_waiting, 1);
	mutex_unlock(&reg_mu);
	if (bh_self.depth == 0)
		net_rcu_poll(st);
}

void net_rcu_barrier(struct net_stack *st)
{
	BUG_ON(bh_self.depth);
	while (atomic_load(&rcu_waiting)) {
		net_rcu_poll(st);
		__builtin_ia32_pause();
	}
}
