/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/link.c - the connection to one gofer, as kernel threads use it
 *
 * Model:   the 9P client's callers are kthreads: who waits for another reader parks in the scheduler; who
 *          reads blocks in the host between host_block_begin() and _end(). Fids that are let go
 *          where sleeping is not allowed are collected, and clunked by whoever makes the next call.
 */
#include "base/hostcall.h"
#include "sentry/fs/gofer/gofer_internal.h"

/* Boot code may call before it is a kthread; then a futex does. */
static void link_park(struct p9_call *call)
{
	if (!kthread_self()) {
		p9_client_thread_ops.park(call);
		return;
	}
	for (;;) {
		wait_prepare();
		if (atomic_load_explicit(&call->wake, memory_order_acquire))
			break;
		wait_sleep(SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	}
}

/* The client holds its mutex: the sleeper cannot have gone away yet, as it must take that to return. */
static void link_unpark(struct p9_call *call)
{
	struct kthread *k = call->sleeper;

	if (!k) {
		p9_client_thread_ops.unpark(call);
		return;
	}
	atomic_store_explicit(&call->wake, 1, memory_order_release);
	kthread_wake(k);
}

static void *link_sleeper(void)
{
	return kthread_self();
}

static const struct p9_client_ops link_ops = {
	.sleeper = link_sleeper,
	.park = link_park,
	.unpark = link_unpark,
	.block_begin = host_block_begin,
	.block_end = host_block_end,
};

long gofer_link_new(int sock, struct gofer_link **out)
{
	struct gofer_link *l = calloc(1, sizeof(*l));
	long ret;

	if (!l) {
		host_call(close, sock);
		return -LINUX_ENOMEM;
	}
	ret = p9_client_new(sock, true, P9_MSIZE_MAX, &link_ops, &l->cl);
	if (ret) {
		free(l);
		return ret;
	}
	ref_init(&l->ref, 1);
	mutex_init(&l->mu);
	l->ext = p9_client_ext(l->cl);
	l->offer.fd = -1;
	*out = l;
	return 0;
}

struct gofer_link *gofer_link_get(struct gofer_link *l)
{
	ref_get(&l->ref);
	return l;
}

void gofer_link_put(struct gofer_link *l)
{
	if (!l || !ref_put(&l->ref))
		return;
	p9_client_free(l->cl);
	link_offer_drop(l);
	free(l->dead_fids);
	free(l);
}

void gofer_link_kill(struct gofer_link *l)
{
	p9_client_kill(l->cl);
}

void link_forget_fid(struct gofer_link *l, uint32_t fid)
{
	if (fid == P9_NOFID)
		return;
	mutex_lock(&l->mu);
	if (l->nr_dead == l->cap_dead) {
		uint32_t cap = l->cap_dead ? l->cap_dead * 2 : 64;
		uint32_t *p = reallocarray(l->dead_fids, cap, sizeof(*p));

		if (!p) { /* the number stays taken, and the gofer's descriptor with it, until the connection ends */
			mutex_unlock(&l->mu);
			return;
		}
		l->dead_fids = p;
		l->cap_dead = cap;
	}
	l->dead_fids[l->nr_dead++] = fid;
	mutex_unlock(&l->mu);
}

void link_reap(struct gofer_link *l)
{
	uint32_t fids[GOFER_REAP_AT];
	unsigned n = 0;
	bool wait;

	if (likely(__atomic_load_n(&l->nr_dead, __ATOMIC_RELAXED) < GOFER_REAP_AT &&
		   !atomic_load_explicit(&l->dead_hold_space, memory_order_relaxed)))
		return;
	mutex_lock(&l->mu);
	wait = atomic_exchange_explicit(&l->dead_hold_space, false, memory_order_relaxed); /* the space is there then */
	while (l->nr_dead && n < GOFER_REAP_AT)
		fids[n++] = l->dead_fids[--l->nr_dead];
	mutex_unlock(&l->mu);
	p9_clunk_all(l->cl, fids, n, wait);
}

/* ---- descriptors offered ----------------------------------------------------------------------------- */

static int offer_swap(struct gofer_link *l, const struct ginode *g, int fd) REQUIRES(l->mu)
{
	int old = l->offer.fd;

	l->offer.fd = fd;
	if (g) {
		l->offer.dev = g->dev;
		l->offer.ino = g->ino;
		l->offer.btime_sec = g->btime_sec;
		l->offer.btime_nsec = g->btime_nsec;
	}
	return old;
}

void link_offer(struct gofer_link *l, const struct ginode *g, int fd)
{
	int old;

	mutex_lock(&l->mu);
	old = offer_swap(l, g, fd);
	mutex_unlock(&l->mu);
	if (old >= 0)
		host_call(close, old);
}

int link_offer_take(struct gofer_link *l, const struct ginode *g)
{
	int fd = -1;

	mutex_lock(&l->mu);
	if (l->offer.dev == g->dev && l->offer.ino == g->ino && l->offer.btime_sec == g->btime_sec &&
	    l->offer.btime_nsec == g->btime_nsec)
		fd = offer_swap(l, NULL, -1);
	mutex_unlock(&l->mu);
	return fd;
}

void link_offer_drop(struct gofer_link *l)
{
	link_offer(l, NULL, -1);
}
