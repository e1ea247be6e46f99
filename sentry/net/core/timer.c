/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/timer.c - the stack's timers: a binary heap behind one host alarm; the stack object
 *
 * Model:   the host's alarm is only moved to an earlier time when a timer is armed; a late alarm finds nothing
 *          due and sets itself right. Endpoints arm lazily (they leave an armed timer alone and look at
 *          their own deadline when it fires), so the heap is touched a few times per round trip, not per packet.
 * Locks:   timers.mu, a leaf; callbacks run without it.
 */
#include "sentry/net/core/bh.h"
#include "sentry/net/host.h"
#include "sentry/net/net.h"

static void heap_put(struct net_timers *h, uint32_t i, struct net_timer *t)
{
	h->heap[i] = t;
	t->slot = i + 1;
}

static void heap_up(struct net_timers *h, uint32_t i)
{
	struct net_timer *t = h->heap[i];

	while (i > 0) {
		uint32_t up = (i - 1) / 2;

		if (h->heap[up]->deadline_ns <= t->deadline_ns)
			break;
		heap_put(h, i, h->heap[up]);
		i = up;
	}
	heap_put(h, i, t);
}

static void heap_down(struct net_timers *h, uint32_t i)
{
	struct net_timer *t = h->heap[i];

	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= h->nr)
			break;
		if (c + 1 < h->nr && h->heap[c + 1]->deadline_ns < h->heap[c]->deadline_ns)
			c++;
		if (h->heap[c]->deadline_ns >= t->deadline_ns)
			break;
		heap_put(h, i, h->heap[c]);
		i = c;
	}
	heap_put(h, i, t);
}

static void heap_remove(struct net_timers *h, struct net_timer *t)
{
	uint32_t i = t->slot - 1;
	struct net_timer *last = h->heap[--h->nr];

	t->slot = 0;
	if (last == t)
		return;
	heap_put(h, i, last);
	heap_up(h, i);
	heap_down(h, last->slot - 1);
}

static void alarm_update_locked(struct net_stack *st)
{
	struct net_timers *h = &st->timers;
	uint64_t next = h->nr ? h->heap[0]->deadline_ns : NET_NEVER;

	if (next >= h->alarm_ns)
		return;
	h->alarm_ns = next;
	st->ops->set_alarm(st->ctx, next);
}

static bool heap_grow_locked(struct net_timers *h)
{
	uint32_t cap = h->cap ? h->cap * 2 : 64;
	struct net_timer **n;

	if (h->nr < h->cap)
		return true;
	n = realloc(h->heap, cap * sizeof(*n));
	if (!n)
		return false;
	h->heap = n;
	h->cap = cap;
	return true;
}

bool net_timer_arm(struct net_stack *st, struct net_timer *t, uint64_t deadline_ns)
{
	struct net_timers *h = &st->timers;
	bool fresh;

	mutex_lock(&h->mu);
	fresh = t->slot == 0;
	if (fresh) {
		/* A lost timer would hang a connection for good; with no memory for a pointer nothing else works. */
		BUG_ON(!heap_grow_locked(h));
		t->deadline_ns = deadline_ns;
		heap_put(h, h->nr++, t);
		heap_up(h, h->nr - 1);
	} else if (t->deadline_ns != deadline_ns) {
		t->deadline_ns = deadline_ns;
		heap_up(h, t->slot - 1);
		heap_down(h, t->slot - 1);
	}
	alarm_update_locked(st);
	mutex_unlock(&h->mu);
	return fresh;
}

bool net_timer_cancel(struct net_stack *st, struct net_timer *t)
{
	struct net_timers *h = &st->timers;
	bool was;

	mutex_lock(&h->mu);
	was = t->slot != 0;
	if (was)
		heap_remove(h, t);
	mutex_unlock(&h->mu);
	return was;
}

void net_timer_cancel_sync(struct net_stack *st, struct net_timer *t)
{
	net_timer_cancel(st, t);
	while (atomic_load_explicit(&st->timers.running, memory_order_acquire) == t)
		__builtin_ia32_pause();
	net_timer_cancel(st, t);
}

unsigned net_timers_run(struct net_stack *st, unsigned max)
{
	struct net_timers *h = &st->timers;
	uint64_t now = net_now(st);
	unsigned n = 0;

	bh_enter();
	mutex_lock(&h->mu);
	h->alarm_ns = NET_NEVER; /* this call is the alarm */
	while (n < max && h->nr && h->heap[0]->deadline_ns <= now) {
		struct net_timer *t = h->heap[0];

		heap_remove(h, t);
		atomic_store_explicit(&h->running, t, memory_order_relaxed);
		mutex_unlock(&h->mu);
		t->fn(t);
		mutex_lock(&h->mu);
		atomic_store_explicit(&h->running, NULL, memory_order_release);
		n++;
	}
	alarm_update_locked(st);
	mutex_unlock(&h->mu);
	bh_leave();
	net_rcu_poll(st);
	return n;
}

uint64_t net_timers_next(struct net_stack *st)
{
	uint64_t next;

	mutex_lock(&st->timers.mu);
	next = st->timers.nr ? st->timers.heap[0]->deadline_ns : NET_NEVER;
	mutex_unlock(&st->timers.mu);
	return next;
}

/* ---- the stack ---------------------------------------------------------------------------------- */

/* xoshiro-like state per thread; seeded by stack initialisation and the thread's own address. */
static _Atomic uint64_t rnd_seed;
static __thread uint64_t rnd_state;

uint32_t net_random32(void)
{
	uint64_t x = rnd_state;

	if (unlikely(!x))
		x = atomic_fetch_add(&rnd_seed, 0x9e3779b97f4a7c15ull) ^ (uintptr_t)&rnd_state ^ 1;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	rnd_state = x;
	return (uint32_t)((x * 0x2545f4914f6cdd1dull) >> 32);
}

int net_stack_init(struct net_stack *st, const struct net_host_ops *ops, void *ctx)
{
	uint64_t seed = 0;

	memset(st, 0, sizeof(*st));
	st->ops = ops;
	st->ctx = ctx;
	st->timers.alarm_ns = NET_NEVER;
	list_init(&st->namespaces);
	ops->random(ctx, &st->hash_seed, sizeof(st->hash_seed));
	ops->random(ctx, st->secret, sizeof(st->secret));
	ops->random(ctx, &seed, sizeof(seed));
	atomic_fetch_xor(&rnd_seed, seed);
	return 0;
}

void net_stack_fini(struct net_stack *st)
{
	BUG_ON(!list_empty(&st->namespaces));
	net_rcu_barrier(st);
	free(st->timers.heap);
	st->timers.heap = NULL;
	pkt_pool_trim();
}
