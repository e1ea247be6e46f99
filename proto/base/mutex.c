/* SPDX-License-Identifier: Apache-2.0
 * proto/base/mutex.c - the contended half of mutex.h
 */
#include "base/mutex.h"

#include <linux/futex.h>

#include "base/hostcall.h"
#include "base/log.h"

#define MUTEX_SPINS 64 /* pauses before sleeping: critical sections here are tens of nanoseconds */

void mutex_lock_slow(struct mutex *m)
{
	for (int i = 0; i < MUTEX_SPINS; i++) {
		if (atomic_load_explicit(&m->v, memory_order_relaxed) == 0 && mutex_trylock(m))
			return;
		__builtin_ia32_pause();
	}
	while (atomic_exchange_explicit(&m->v, 2, memory_order_acquire) != 0)
		host_call(futex, &m->v, FUTEX_WAIT_PRIVATE, 2, 0, 0, 0);
	mutex_watch_locked(m);
}

void mutex_unlock_slow(struct mutex *m)
{
	host_call(futex, &m->v, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
}

#ifdef SENTRY_ASAN
static _Thread_local unsigned nr_held;

/* Who this thread is. Not inlined: a caller may be a kernel thread that goes on elsewhere. */
static __attribute__((noinline)) uintptr_t self(void)
{
	return (uintptr_t)&nr_held;
}

static __attribute__((noinline)) unsigned held(int change)
{
	return nr_held += (unsigned)change;
}

void mutex_watch_lock(struct mutex *m)
{
	BUG_ON(atomic_load_explicit(&m->owner, memory_order_relaxed) == self());
}

void mutex_watch_locked(struct mutex *m)
{
	atomic_store_explicit(&m->owner, self(), memory_order_relaxed);
	held(1);
}

void mutex_watch_unlock(struct mutex *m)
{
	BUG_ON(atomic_load_explicit(&m->owner, memory_order_relaxed) != self());
	atomic_store_explicit(&m->owner, 0, memory_order_relaxed);
	held(-1);
}

void mutex_watch_none(const char *what)
{
	if (held(0)) {
		log_error("%s with %u locks held", what, held(0));
		BUG_ON(true);
	}
}
#endif
