/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/pool.c - object pools with per-thread stocks
 *
 * Locks:   pool.mu, leaf.
 */
#include "sentry/net/core/pool.h"
#include "sentry/net/pkt.h"

#define POOL_BATCH 16

struct obj {
	struct obj *next;
	struct obj *next_batch; /* first object of a batch: the next batch */
};

static struct pool {
	size_t size;
	unsigned max_batches;	/* shared, beyond which batches go back to malloc */
	struct mutex mu;
	struct obj *batches;	/* full batches of POOL_BATCH, mu */
	unsigned nr_batches;
} pools[POOL_COUNT] = {
	[POOL_PKT] = { .size = sizeof(struct pkt) + PKT_HEADROOM + PKT_LINEAR_MIN, .max_batches = 64 },
	[POOL_PKT_BIG] = { .size = sizeof(struct pkt) + PKT_HEADROOM + 2048, .max_batches = 32 },
	[POOL_BUF_2K] = { .size = 2048 + 64, .max_batches = 32 },
	[POOL_BUF_8K] = { .size = 8192 + 64, .max_batches = 8 },
	[POOL_BUF_64K] = { .size = 65536 + 64, .max_batches = 6 },
};

size_t pool_size(unsigned pool)
{
	return pools[pool].size;
}

#ifdef SENTRY_ASAN
void *pool_alloc(unsigned pool)
{
	return malloc(pools[pool].size);
}

void pool_free(unsigned pool, void *obj)
{
	(void)pool;
	free(obj);
}

size_t pool_trim(void)
{
	return 0;
}
#else

static __thread struct stock {
	struct obj *head;
	unsigned nr;
} stocks[POOL_COUNT];

void *pool_alloc(unsigned pool)
{
	struct stock *s = &stocks[pool];
	struct pool *pl = &pools[pool];
	struct obj *o = s->head;

	if (unlikely(!o)) {
		if (pl->batches) {
			mutex_lock(&pl->mu);
			o = pl->batches;
			if (o) {
				pl->batches = o->next_batch;
				pl->nr_batches--;
			}
			mutex_unlock(&pl->mu);
		}
		if (!o)
			return malloc(pl->size);
		s->nr = POOL_BATCH;
	}
	s->head = o->next;
	s->nr--;
	return o;
}

/* Moves the POOL_BATCH objects that were freed last but POOL_BATCH ago: the hot ones stay with the thread. */
static NOINLINE void stock_shrink(struct stock *s, struct pool *pl)
{
	struct obj *keep = s->head, *first;
	bool kept = false;

	for (unsigned i = 1; i < POOL_BATCH; i++)
		keep = keep->next;
	first = keep->next;
	keep->next = NULL;
	s->nr = POOL_BATCH;
	mutex_lock(&pl->mu);
	if (pl->nr_batches < pl->max_batches) {
		first->next_batch = pl->batches;
		pl->batches = first;
		pl->nr_batches++;
		kept = true;
	}
	mutex_unlock(&pl->mu);
	while (!kept && first) {
		struct obj *n = first->next;

		free(first);
		first = n;
	}
}

void pool_free(unsigned pool, void *obj)
{
	struct stock *s = &stocks[pool];
	struct obj *o = obj;

	o->next = s->head;
	s->head = o;
	if (unlikely(++s->nr >= 2 * POOL_BATCH))
		stock_shrink(s, &pools[pool]);
}

size_t pool_trim(void)
{
	size_t freed = 0;

	for (unsigned i = 0; i < POOL_COUNT; i++) {
		struct obj *b, *n;

		mutex_lock(&pools[i].mu);
		b = pools[i].batches;
		pools[i].batches = NULL;
		pools[i].nr_batches = 0;
		mutex_unlock(&pools[i].mu);
		while (b) {
			struct obj *nb = b->next_batch;

			for (; b; b = n) {
				n = b->next;
				free(b);
				freed += pools[i].size;
			}
			b = nb;
		}
	}
	return freed;
}
#endif
