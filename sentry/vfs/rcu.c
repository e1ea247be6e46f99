/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/rcu.c - read-copy-update by epochs, see rcu.h
 *
 * Model:   slots are never freed: one per host thread that ever read. An item retired at epoch e is freed at e + 3: the epoch
 *          moves from n to n + 1 only when every active reader announced n, so at e + 3 all readers of e and e + 1 are gone
 *          (a retiring thread may have read the epoch one step too early).
 */
#include "sentry/vfs/rcu.h"

#include <stdlib.h>

#define RCU_BATCH 32
#define RCU_LISTS 4

struct rcu_slot {
	_Atomic uint64_t active;	/* epoch announced, 0 = not reading */
	struct rcu_slot *next;		/* immutable once published */
	struct rcu_head *retired[RCU_LISTS]; /* owned by the host thread */
	uint64_t retired_epoch[RCU_LISTS];
	unsigned nr_retired;
} __attribute__((aligned(64)));

static _Atomic uint64_t rcu_epoch = 4;
static struct rcu_slot *_Atomic rcu_slots;
static __thread struct rcu_slot *rcu_my_slot;

static NOINLINE struct rcu_slot *rcu_slot_new(void)
{
	struct rcu_slot *s = aligned_alloc(64, sizeof(*s));

	BUG_ON(!s);	/* once per host thread, at its first call */
	*s = (struct rcu_slot){ 0 };
	s->next = atomic_load(&rcu_slots);
	while (!atomic_compare_exchange_weak(&rcu_slots, &s->next, s))
		;
	rcu_my_slot = s;
	return s;
}

static struct rcu_slot *rcu_slot(void)
{
	struct rcu_slot *s = rcu_my_slot;

	return likely(s != NULL) ? s : rcu_slot_new();
}

/* Not inlined: the address of the thread-local slot must not be kept across a sleep of the caller. */
NOINLINE void rcu_read_lock(void)
{
	struct rcu_slot *s = rcu_slot();
	uint64_t e = atomic_load_explicit(&rcu_epoch, memory_order_relaxed);

	/* Full barrier: the announcement is visible before any pointer is read. */
	atomic_exchange_explicit(&s->active, e, memory_order_seq_cst);
}

NOINLINE void rcu_read_unlock(void)
{
	atomic_store_explicit(&rcu_my_slot->active, 0, memory_order_release);
}

static void rcu_try_advance(void)
{
	uint64_t e = atomic_load(&rcu_epoch);

	for (struct rcu_slot *s = atomic_load(&rcu_slots); s; s = s->next) {
		uint64_t a = atomic_load(&s->active);

		if (a && a != e)
			return;
	}
	atomic_compare_exchange_strong(&rcu_epoch, &e, e + 1);
}

static void rcu_free_list(struct rcu_slot *s, unsigned idx)
{
	struct rcu_head *h = s->retired[idx], *next;

	s->retired[idx] = NULL;
	for (; h; h = next) {
		next = h->next;
		h->fn(h);
	}
}

NOINLINE void rcu_defer(struct rcu_head *h, void (*fn)(struct rcu_head *h))
{
	struct rcu_slot *s = rcu_slot();
	uint64_t e;
	unsigned idx;

	atomic_thread_fence(memory_order_seq_cst);
	e = atomic_load(&rcu_epoch);
	idx = e % RCU_LISTS;
	/* A list with this index but another epoch is at least RCU_LISTS epochs old. */
	if (s->retired[idx] && s->retired_epoch[idx] != e)
		rcu_free_list(s, idx);
	h->fn = fn;
	h->next = s->retired[idx];
	s->retired[idx] = h;
	s->retired_epoch[idx] = e;
	if (++s->nr_retired < RCU_BATCH)
		return;
	s->nr_retired = 0;
	rcu_try_advance();
	e = atomic_load(&rcu_epoch);
	for (idx = 0; idx < RCU_LISTS; idx++)
		if (s->retired[idx] && s->retired_epoch[idx] + 3 <= e)
			rcu_free_list(s, idx);
}
