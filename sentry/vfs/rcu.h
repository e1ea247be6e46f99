/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/rcu.h - read-copy-update by epochs: readers of name caches pay one store each way
 *
 * Model:   a reader announces the global epoch in its host thread's slot; memory that was unlinked is freed once the epoch
 *          has moved on three times, which it does only while no reader stays behind. Retired memory waits in lists of the
 *          retiring host thread; every RCU_BATCH-th retirement tries to advance.
 * Rules:   no sleep, no second rcu_read_lock() between lock and unlock.
 * Source:  K. Fraser, "Practical lock freedom", 2004, section 5.2.3 (epoch-based reclamation).
 */
#ifndef SENTRY_VFS_RCU_H
#define SENTRY_VFS_RCU_H

#include "base/mutex.h"

struct rcu_head {
	struct rcu_head *next;
	void (*fn)(struct rcu_head *h);	/* runs later, on any thread; must not sleep */
};

void rcu_read_lock(void);
void rcu_read_unlock(void);

/* Calls @fn(@h) when no reader that runs now can still see what @h is part of. */
void rcu_defer(struct rcu_head *h, void (*fn)(struct rcu_head *h));

#define rcu_load(p)	  __atomic_load_n(&(p), __ATOMIC_ACQUIRE)
#define rcu_store(p, v)	  __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)

/* Sequence counter for readers that must notice a change: odd while a writer is at work. Writers exclude each other. */
struct seqcount {
	_Atomic uint32_t v;
};
static inline uint32_t seq_read(const struct seqcount *s)
{
	return atomic_load_explicit(&s->v, memory_order_acquire);
}
static inline bool seq_changed(const struct seqcount *s, uint32_t start)
{
	atomic_thread_fence(memory_order_acquire);
	return (start & 1) || atomic_load_explicit(&s->v, memory_order_relaxed) != start;
}
static inline void seq_write_begin(struct seqcount *s)
{
	atomic_fetch_add_explicit(&s->v, 1, memory_order_seq_cst);
}
static inline void seq_write_end(struct seqcount *s)
{
	atomic_fetch_add_explicit(&s->v, 1, memory_order_seq_cst);
}

#endif
