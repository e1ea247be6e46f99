/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/waitq.c - wait queues, and the locks built on them
 *
 * Locks:   waitq.mu and rwsem.mu are leaves; kthread_wake() below them takes only a run queue's lock.
 */
#include "sentry/run/run_internal.h"

void waitq_init(struct waitq *q)
{
	mutex_init(&q->mu);
	list_init(&q->waiters);
	atomic_init(&q->nr, 0);
}

void waitq_add(struct waitq *q, struct waiter *w)
{
	mutex_lock(&q->mu);
	list_add_tail(&q->waiters, &w->node);
	/* sequentially consistent: pairs with the fence in waitq_wake() */
	atomic_fetch_add(&q->nr, 1);
	mutex_unlock(&q->mu);
}

void waitq_del(struct waitq *q, struct waiter *w)
{
	mutex_lock(&q->mu);
	if (!list_empty(&w->node)) {
		list_del_init(&w->node);
		atomic_fetch_sub(&q->nr, 1);
	}
	mutex_unlock(&q->mu);
}

void waitq_wake(struct waitq *q, uint32_t events, unsigned nr_exclusive)
{
	struct waiter *w, *tmp;

	atomic_thread_fence(memory_order_seq_cst);
	if (!atomic_load_explicit(&q->nr, memory_order_relaxed))
		return;
	mutex_lock(&q->mu);
	list_for_each_entry_safe(w, tmp, &q->waiters, node) {
		bool woke = true;

		if (events && w->mask && !(w->mask & events))
			continue;
		if (w->exclusive && !nr_exclusive)
			continue;
		if (w->wake)
			woke = w->wake(w, events);
		else
			kthread_wake(w->k);
		if (w->exclusive && woke)
			nr_exclusive--;
	}
	mutex_unlock(&q->mu);
}

/* ---- sleeplock ------------------------------------------------------------------------------------ */

void sleeplock_init(struct sleeplock *l)
{
	atomic_init(&l->v, 0);
	waitq_init(&l->q);
}

bool sleep_trylock(struct sleeplock *l)
{
	uint32_t z = 0;

	return atomic_compare_exchange_strong(&l->v, &z, 1);
}

static long sleep_lock_kind(struct sleeplock *l, enum sleep_kind kind)
{
	struct waiter w;
	long ret = 0;

	if (likely(sleep_trylock(l)))
		return 0;
	wait_begin(&w);
	w.exclusive = true;
	waitq_add(&l->q, &w);
	for (;;) {
		wait_prepare();
		if (atomic_exchange(&l->v, 2) == 0) {
			ret = 0;
			break;
		}
		if (ret)
			break;
		ret = wait_sleep(kind, NO_DEADLINE);
	}
	waitq_del(&l->q, &w);
	/* A wake-up that this waiter swallowed on its way out belongs to the next one. */
	if (ret)
		waitq_wake_one(&l->q);
	return ret;
}

void sleep_lock(struct sleeplock *l)
{
	sleep_lock_kind(l, SLEEP_UNINTERRUPTIBLE);
}

long sleep_lock_killable(struct sleeplock *l)
{
	return sleep_lock_kind(l, SLEEP_KILLABLE);
}

void sleep_unlock(struct sleeplock *l)
{
	if (unlikely(atomic_exchange(&l->v, 0) == 2))
		waitq_wake_one(&l->q);
}

/* ---- rwsem ------------------------------------------------------------------------------------------ */

void rwsem_init(struct rwsem *s)
{
	mutex_init(&s->mu);
	s->readers = 0;
	s->writers_waiting = 0;
	waitq_init(&s->q);
}

static bool rwsem_try_read(struct rwsem *s)
{
	bool ok;

	mutex_lock(&s->mu);
	ok = s->readers >= 0 && !s->writers_waiting;
	if (ok)
		s->readers++;
	mutex_unlock(&s->mu);
	return ok;
}

static bool rwsem_try_write(struct rwsem *s, bool waiting)
{
	bool ok;

	mutex_lock(&s->mu);
	ok = s->readers == 0;
	if (ok) {
		s->readers = -1;
		if (waiting)
			s->writers_waiting--;
	}
	mutex_unlock(&s->mu);
	return ok;
}

void rwsem_read_lock(struct rwsem *s)
{
	if (!rwsem_try_read(s))
		wait_event(&s->q, rwsem_try_read(s), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
}

void rwsem_read_unlock(struct rwsem *s)
{
	bool wake;

	mutex_lock(&s->mu);
	wake = --s->readers == 0;
	mutex_unlock(&s->mu);
	if (wake)
		waitq_wake_all(&s->q);
}

void rwsem_write_lock(struct rwsem *s)
{
	if (rwsem_try_write(s, false))
		return;
	mutex_lock(&s->mu);
	s->writers_waiting++;
	mutex_unlock(&s->mu);
	wait_event(&s->q, rwsem_try_write(s, true), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
}

void rwsem_write_unlock(struct rwsem *s)
{
	mutex_lock(&s->mu);
	s->readers = 0;
	mutex_unlock(&s->mu);
	waitq_wake_all(&s->q);
}
