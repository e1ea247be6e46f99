/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/budget.c - see budget.h
 *
 * Life:    held counts everything that is charged, of all kinds, and one for the owner: whoever brings it to zero frees.
 */
#include "sentry/run/budget.h"

#include <stdatomic.h>
#include <stdlib.h>

#include "base/util.h"
#include "sentry/run/run_internal.h"

#define STOCK_BATCH (32u * 1024)

struct budget {
	_Atomic uint64_t held;
	_Atomic uint64_t used[BUDGET_KINDS], refused[BUDGET_KINDS];
	_Atomic uint64_t max[BUDGET_KINDS]; /* 0 = unbounded */
	uint64_t host_memory; /* immutable */
};

/* Charged already, not yet given out; of the worker, or of any other host thread that frees. */
static __thread struct stock {
	struct budget *b;
	size_t n;
} stock;

struct budget *budget_new(uint64_t memory_limit, uint64_t host_memory)
{
	struct budget *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->held = 1;
	b->host_memory = host_memory;
	b->max[BUDGET_TASKS] = BUDGET_TASKS_MAX;
	budget_set_limit(b, memory_limit);
	return b;
}

void budget_set_limit(struct budget *b, uint64_t memory_limit)
{
	uint64_t heap;

	if (memory_limit)
		heap = MAX(memory_limit / 2, (uint64_t)BUDGET_HEAP_MIN);
	else
		heap = MAX(b->host_memory / 8, (uint64_t)BUDGET_HEAP_MIN_FREE);
	atomic_store(&b->max[BUDGET_HEAP], MIN(heap, (uint64_t)BUDGET_HEAP_MAX));
	/* the rest is for processes and Sentry: a full file system is better than a host that kills for memory */
	atomic_store(&b->max[BUDGET_TMPFS], (memory_limit - memory_limit / 8) / 4096);
}

static void held_sub(struct budget *b, uint64_t n)
{
	if (atomic_fetch_sub_explicit(&b->held, n, memory_order_acq_rel) == n)
		free(b);
}

void budget_end(struct budget *b)
{
	if (b)
		held_sub(b, 1);
}

void budget_hold(struct budget *b)
{
	if (b)
		atomic_fetch_add_explicit(&b->held, 1, memory_order_relaxed);
}

void budget_drop(struct budget *b)
{
	if (b)
		held_sub(b, 1);
}

struct budget *budget_current(void)
{
	struct worker *w = worker_self();

	return w && w->cur ? w->cur->budget : NULL;
}

void kthread_set_budget(struct kthread *k, struct budget *b)
{
	k->budget = b;
}

bool budget_charge(struct budget *b, enum budget_kind kind, uint64_t n)
{
	uint64_t max;

	if (!b)
		return true;
	max = atomic_load_explicit(&b->max[kind], memory_order_relaxed);
	if (atomic_fetch_add_explicit(&b->used[kind], n, memory_order_relaxed) + n > max && max) {
		atomic_fetch_sub_explicit(&b->used[kind], n, memory_order_relaxed);
		atomic_fetch_add_explicit(&b->refused[kind], 1, memory_order_relaxed);
		return false;
	}
	atomic_fetch_add_explicit(&b->held, n, memory_order_relaxed);
	return true;
}

void budget_uncharge(struct budget *b, enum budget_kind kind, uint64_t n)
{
	if (!b || !n)
		return;
	atomic_fetch_sub_explicit(&b->used[kind], n, memory_order_relaxed);
	held_sub(b, n);
}

struct budget_use budget_use(const struct budget *b, enum budget_kind kind)
{
	return (struct budget_use){ atomic_load(&b->used[kind]), b->max[kind], atomic_load(&b->refused[kind]) };
}

/* The stock stays on this host thread: nothing below may sleep. */
NOINLINE bool budget_heap_take(struct budget *b, size_t n)
{
	struct stock *s = &stock, old;

	if (likely(s->b == b && s->n >= n)) {
		s->n -= n;
		return true;
	}
	if (n <= STOCK_BATCH && budget_charge(b, BUDGET_HEAP, n + STOCK_BATCH)) {
		old = *s;
		*s = (struct stock){ b, STOCK_BATCH };
		budget_uncharge(old.b, BUDGET_HEAP, old.n);
		return true;
	}
	return budget_charge(b, BUDGET_HEAP, n);
}

NOINLINE void budget_heap_give(struct budget *b, size_t n)
{
	struct stock *s = &stock;

	if (likely(s->b == b && s->n + n <= 2 * STOCK_BATCH)) {
		s->n += n;
		return;
	}
	budget_uncharge(b, BUDGET_HEAP, n);
}
