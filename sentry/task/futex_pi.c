/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/futex_pi.c - futex(2) locks whose word names the owner: LOCK_PI and its kin
 *
 * Model:   user space takes a free lock and frees one without waiters by itself; the rest comes here. Waiters stand in a queue per
 *          lock, in order; who unlocks hands the lock to the first one. Each change of the word is one compare-and-exchange by
 *          the calling thread's stub, because user space changes it at the same time. A lock whose owner ended goes to the first
 *          waiter with FUTEX_OWNER_DIED.
 * Locks:   a bucket's sleeplock covers its queues and is held across those exchanges.
 * Source:  futex(2) "Priority-inheritance futexes", pthread_mutexattr_setrobust(3).
 * Differs: nobody's priority changes: schedulers are the host's. No WAIT_REQUEUE_PI and CMP_REQUEUE_PI.
 */
#include "sentry/abi/futex.h"
#include "sentry/abi/mman.h"
#include "sentry/abi/time.h"
#include "sentry/mm/vma.h"
#include "sentry/task/futex.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/task_internal.h"

#define BUCKETS	  64u
#define TRIES_MAX 10000 /* of an exchange that user space keeps spoiling */

/* What makes two words one lock: the address space and the address, or the place in a file. */
struct pi_key {
	uint64_t space, where;
};

struct pi_waiter {
	struct list node;	/* in its bucket, in order of arrival */
	struct pi_key key;
	struct task *task;	/* borrowed: sleeps here */
	struct pid *owner;	/* reference: of the lock, as far as known */
	uint64_t addr;
	uint32_t tid;
	_Atomic bool granted;	/* written with the bucket locked */
};

static struct bucket {
	struct sleeplock lock;
	struct list waiters;	/* guarded by lock */
	struct waitq wq;
	bool ready;		/* guarded by buckets_mu */
} buckets[BUCKETS];
static struct mutex buckets_mu = MUTEX_INIT;
static _Atomic uint32_t nr_waiters;

static struct bucket *bucket_of(const struct pi_key *k)
{
	struct bucket *b = &buckets[(k->space / 64 + k->where / 4 + (k->where >> 12)) % BUCKETS];

	mutex_lock(&buckets_mu);
	if (!b->ready) {
		sleeplock_init(&b->lock);
		list_init(&b->waiters);
		waitq_init(&b->wq);
		b->ready = true;
	}
	mutex_unlock(&buckets_mu);
	return b;
}

static struct pi_key key_of(struct task *t, uint64_t addr, bool private)
{
	struct pi_key k = { (uint64_t)(uintptr_t)t->mm, addr };
	struct vma_info v;

	if (!private && mm_next_vma(t->mm, addr, &v) && v.start <= addr && (v.vm_flags & VM_SHARED)) {
		k.space = v.dev << 40 ^ v.ino;
		k.where = v.off + (addr - v.start);
	}
	return k;
}

static bool same_key(const struct pi_key *a, const struct pi_key *b)
{
	return a->space == b->space && a->where == b->where;
}

static struct pi_waiter *first_waiter(struct bucket *b, const struct pi_key *k)
{
	struct pi_waiter *w;

	list_for_each_entry (w, &b->waiters, node)
		if (!w->granted && same_key(&w->key, k))
			return w;
	return NULL;
}

static long word_read(struct task *t, uint64_t addr, uint32_t *out)
{
	return uspace_read(t->u->space, out, addr, sizeof(*out)) == (long)sizeof(*out) ? 0 : -LINUX_EFAULT;
}

/* @next holds the lock from now on; those behind it wait for it. */
static void hand_over(struct bucket *b, struct pi_waiter *next)
{
	struct pi_waiter *w;

	atomic_store(&next->granted, true);
	list_for_each_entry (w, &b->waiters, node)
		if (w != next && same_key(&w->key, &next->key)) {
			pid_put(w->owner);
			w->owner = pid_get(next->task->pid);
		}
	waitq_wake_all(&b->wq);
}

/* One look at the word, bucket locked. 0: the lock is ours, 1: it is @*out_owner's and marked as waited for, 2: again. */
static long attempt(struct task *t, struct bucket *b, const struct pi_key *k, uint64_t addr, uint32_t tid, bool try,
		    struct pid **out_owner)
{
	struct task *owner;
	uint32_t word, new;
	long ret = word_read(t, addr, &word);

	if (ret)
		return ret;
	if (!(word & FUTEX_TID_MASK)) {
		new = tid | (word & FUTEX_OWNER_DIED) | (first_waiter(b, k) ? FUTEX_WAITERS : 0);
		ret = umem_cmpxchg32(t->u, addr, word, new);
		return ret == 1 ? 2 : ret;
	}
	if ((word & FUTEX_TID_MASK) == tid)
		return -LINUX_EDEADLK;
	if (try)
		return -LINUX_EAGAIN;
	owner = task_find(task_pid_ns(t), word & FUTEX_TID_MASK);
	if (!owner)
		return -LINUX_ESRCH;
	ret = word & FUTEX_WAITERS ? 0 : umem_cmpxchg32(t->u, addr, word, word | FUTEX_WAITERS);
	if (!ret)
		*out_owner = pid_get(owner->pid);
	task_put(owner);
	return ret < 0 ? ret : ret + 1;
}

/* Stands in the queue; the bucket is locked before and after. */
static long wait_turn(struct bucket *b, struct pi_waiter *w, uint64_t deadline_ns)
{
	long ret;

	list_add_tail(&b->waiters, &w->node);
	atomic_fetch_add(&nr_waiters, 1);
	sleep_unlock(&b->lock);
	ret = wait_event(&b->wq, atomic_load(&w->granted), SLEEP_INTERRUPTIBLE, deadline_ns);
	sleep_lock(&b->lock);
	list_del_init(&w->node);
	atomic_fetch_sub(&nr_waiters, 1);
	pid_put(w->owner);
	if (w->granted)
		return 0;
	return ret == -LINUX_ETIMEDOUT ? ret : -ERESTARTNOINTR;
}

long futex_pi_lock(struct task *t, uint64_t addr, bool private, bool try, uint64_t deadline_ns)
{
	struct pi_waiter w = { .task = t, .addr = addr, .tid = task_pid_nr(t, task_pid_ns(t)) };
	struct bucket *b;
	long ret = 2;

	if (addr & 3)
		return -LINUX_EINVAL;
	w.key = key_of(t, addr, private);
	b = bucket_of(&w.key);
	sleep_lock(&b->lock);
	for (int i = 0; i < TRIES_MAX && ret == 2; i++)
		ret = attempt(t, b, &w.key, addr, w.tid, try, &w.owner);
	if (ret == 1)
		ret = wait_turn(b, &w, deadline_ns);
	sleep_unlock(&b->lock);
	return ret == 2 ? -LINUX_EAGAIN : ret;
}

long futex_pi_unlock(struct task *t, uint64_t addr, bool private)
{
	uint32_t word, tid = task_pid_nr(t, task_pid_ns(t));
	struct pi_waiter *next;
	struct pi_key k;
	struct bucket *b;
	long ret = 1;

	if (addr & 3)
		return -LINUX_EINVAL;
	k = key_of(t, addr, private);
	b = bucket_of(&k);
	sleep_lock(&b->lock);
	next = first_waiter(b, &k);
	for (int i = 0; i < TRIES_MAX && ret == 1; i++) {
		ret = word_read(t, addr, &word);
		if (!ret && (word & FUTEX_TID_MASK) != tid)
			ret = -LINUX_EPERM;
		if (!ret)
			ret = umem_cmpxchg32(t->u, addr, word, next ? next->tid | FUTEX_WAITERS : 0);
	}
	if (!ret && next)
		hand_over(b, next);
	sleep_unlock(&b->lock);
	return ret == 1 ? -LINUX_EAGAIN : ret;
}

/* The word is nobody's to change but ours: its owner is gone and it is marked as waited for. */
static void inherit(struct bucket *b, struct pi_waiter *w)
{
	uint32_t word = w->tid | FUTEX_WAITERS | FUTEX_OWNER_DIED;

	if (uspace_write(mm_space(w->task->mm), w->addr, &word, sizeof(word)) == (long)sizeof(word))
		hand_over(b, w);
}

void futex_pi_exit(struct task *t)
{
	if (likely(!atomic_load(&nr_waiters)))
		return;
	for (unsigned i = 0; i < BUCKETS; i++) {
		struct bucket *b = &buckets[i];
		struct pi_waiter *w;
		bool ready;

		mutex_lock(&buckets_mu);
		ready = b->ready;
		mutex_unlock(&buckets_mu);
		if (!ready)
			continue;
		sleep_lock(&b->lock);
		list_for_each_entry (w, &b->waiters, node)
			if (!w->granted && w->owner == t->pid && first_waiter(b, &w->key) == w)
				inherit(b, w);
		sleep_unlock(&b->lock);
	}
}
