/* SPDX-License-Identifier: Apache-2.0
 * proto/base/mutex.h - a 4-byte futex mutex, watched in sanitizer builds
 *
 * Model:   0 free, 1 held, 2 held with waiters (futex(2)). For short critical sections: the holder
 *          never sleeps, never touches guest memory, never makes a host call that can block.
 *          What may sleep while it is held is a sleeplock (sentry/run/run.h).
 *          SAN=1: a thread that locks what it holds, unlocks what it does not hold, or switches away while it holds any, ends
 *          the process with a line that says so.
 * Locks:   the order of all Sentry locks stands in sentry/LOCKS.
 */
#ifndef BASE_MUTEX_H
#define BASE_MUTEX_H

#include <stdatomic.h>

#include "base/util.h"

struct CAPABILITY("mutex") mutex {
	_Atomic uint32_t v;
#ifdef SENTRY_ASAN
	_Atomic uintptr_t owner;	/* the thread that holds it: mutex_watch_self(); 0 = none */
#endif
};

#ifdef SENTRY_ASAN
void mutex_watch_lock(struct mutex *m);		/* before the attempt: not held by this thread */
void mutex_watch_locked(struct mutex *m);
void mutex_watch_unlock(struct mutex *m);
void mutex_watch_none(const char *what);	/* this thread holds none */
#else
static inline void mutex_watch_lock(struct mutex *m) { }
static inline void mutex_watch_locked(struct mutex *m) { }
static inline void mutex_watch_unlock(struct mutex *m) { }
static inline void mutex_watch_none(const char *what) { }
#endif

#define MUTEX_INIT { 0 }

void mutex_lock_slow(struct mutex *m);
void mutex_unlock_slow(struct mutex *m);

static inline void mutex_init(struct mutex *m)
{
	atomic_store_explicit(&m->v, 0, memory_order_relaxed);
}

static inline bool mutex_trylock(struct mutex *m)
{
	uint32_t z = 0;

	if (!atomic_compare_exchange_strong_explicit(&m->v, &z, 1, memory_order_acquire, memory_order_relaxed))
		return false;
	mutex_watch_locked(m);
	return true;
}

static inline void mutex_lock(struct mutex *m) ACQUIRE(*m)
{
	mutex_watch_lock(m);
	if (unlikely(!mutex_trylock(m)))
		mutex_lock_slow(m);
}

static inline void mutex_unlock(struct mutex *m) RELEASE(*m)
{
	mutex_watch_unlock(m);
	if (unlikely(atomic_exchange_explicit(&m->v, 0, memory_order_release) == 2))
		mutex_unlock_slow(m);
}

/* Two locks of one class, by address (STYLE.md section 5); @a may equal @b. */
static inline void mutex_lock_two(struct mutex *a, struct mutex *b)
{
	if (a > b) {
		struct mutex *t = a;
		a = b;
		b = t;
	}
	mutex_lock(a);
	if (a != b)
		mutex_lock(b);
}

static inline void mutex_unlock_two(struct mutex *a, struct mutex *b)
{
	mutex_unlock(a);
	if (a != b)
		mutex_unlock(b);
}

/* A saturating reference count: over- and underflow are our bugs and abort. */
struct refcount {
	_Atomic uint32_t n;
};

static inline void ref_init(struct refcount *r, uint32_t n)
{
	atomic_store_explicit(&r->n, n, memory_order_relaxed);
}

static inline void ref_get(struct refcount *r)
{
	uint32_t old = atomic_fetch_add_explicit(&r->n, 1, memory_order_relaxed);

	BUG_ON(old == 0 || old > INT32_MAX);
}

/* Takes a reference unless the count already fell to zero (objects found through a weak table). */
static inline bool ref_get_unless_zero(struct refcount *r)
{
	uint32_t old = atomic_load_explicit(&r->n, memory_order_relaxed);

	while (old)
		if (atomic_compare_exchange_weak_explicit(&r->n, &old, old + 1, memory_order_acquire,
							  memory_order_relaxed))
			return true;
	return false;
}

/* True when this was the last reference. */
static inline bool ref_put(struct refcount *r)
{
	uint32_t old = atomic_fetch_sub_explicit(&r->n, 1, memory_order_acq_rel);

	BUG_ON(old == 0);
	return old == 1;
}

#endif
