/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/run.h - kernel threads, sleeping and waking: the Sentry's scheduler
 *
 * Model:   Sentry control flow runs on kthreads: a small stack each ("kernel stack"), executed by
 *          workers (host threads), which are its CPUs. Every guest task is one kthread for its whole life. A
 *          kthread that sleeps costs its stack and nothing else; code reads like threaded C.
 *          Whoever wakes a kthread queues it on its own worker: the woken work runs on the core
 *          where its data is warm, right after the waker sleeps or returns to its guest.
 * Rules:   - A kthread may continue on another host thread after every sleep: no errno (use
 *            host_call()), no thread-local variable in code that sleeps.
 *          - struct mutex is never held across a sleep, a guest copy or a host call that can block.
 *            sleeplock may be.
 *          - A host call that may block for long stands between host_block_begin() and _end().
 *          - Stacks are KSTACK_SIZE: no big arrays on them.
 * Locks:   waitq.mu is a leaf: wake functions run under it and may only take the run queue's lock.
 */
#ifndef SENTRY_RUN_H
#define SENTRY_RUN_H

#include "base/list.h"
#include "base/mutex.h"
#include "sentry/abi/errno.h"

#define NO_DEADLINE UINT64_MAX

/* ---- kernel threads ------------------------------------------------------------------------- */

struct kthread;

/* Sentry-side stack of one kthread, bytes; the page below it is a guard. */
#ifdef SENTRY_ASAN
#define KSTACK_SIZE (256 * 1024)
#else
#define KSTACK_SIZE (64 * 1024)
#endif

/**
 * kthread_start() - run @fn(@arg) on a new kernel thread
 * @name:	for diagnostics, copied
 * Return: the thread (borrowed: it frees itself when @fn returns), or NULL when out of memory
 */
struct kthread *kthread_start(void (*fn)(void *), void *arg, const char *name);

/* The kthread that is executing, NULL on a host thread that runs none (reactor, control server). */
struct kthread *kthread_self(void);

/* A cookie for the layer above (the task of this kthread); owned by that layer. */
void kthread_set_private(struct kthread *k, void *p);
void *kthread_private(struct kthread *k);

/* Lets other runnable kthreads of this worker go first. */
void kthread_yield(void);

/**
 * kthread_interrupt() - make an interruptible sleep of @k end with -ERESTARTSYS, now or at its next try
 * @kill:	also end killable sleeps
 *
 * The mark stays until kthread_clear_interrupt(), which only @k itself calls (the task layer sets and clears
 * the mark under its signal lock, so that mark == "a signal is deliverable").
 */
void kthread_interrupt(struct kthread *k, bool kill);
void kthread_clear_interrupt(struct kthread *k);
bool kthread_interrupted(struct kthread *k);

/* ---- wait queues ------------------------------------------------------------------------------ */

struct waitq {
	struct mutex mu;
	struct list waiters;	/* of struct waiter.node, guarded by mu */
	_Atomic uint32_t nr;	/* length of waiters; written under mu, read without for the empty test */
};

/**
 * struct waiter - one entry in one queue
 * @wake:	runs under the queue's mu when the queue is woken with a matching mask; must not sleep nor take
 *		anything but leaf locks. NULL = wake the kthread @k.
 * @mask:	which events (POLL* bits) interest it; 0 = all
 * @exclusive:	a wake-up of n wakes at most n exclusive waiters
 */
struct waiter {
	struct list node;
	struct kthread *k;
	bool (*wake)(struct waiter *w, uint32_t events); /* true: counts against the wake limit */
	void *arg;
	uint32_t mask;
	bool exclusive;
};

void waitq_init(struct waitq *q);
#define WAITQ_INIT(n) { .mu = MUTEX_INIT, .waiters = LIST_HEAD_INIT((n).waiters) }
void waitq_add(struct waitq *q, struct waiter *w);    /* caller filled @w; stays until waitq_del() */
void waitq_del(struct waitq *q, struct waiter *w);    /* harmless on an unlinked waiter */
/* Wakes all non-exclusive waiters whose mask matches @events (0 = everything) and at most @nr_exclusive
 * exclusive ones. Cheap when nobody waits (one relaxed load after a full barrier). Callable from any host
 * thread and with any mutex held. */
void waitq_wake(struct waitq *q, uint32_t events, unsigned nr_exclusive);
#define waitq_wake_all(q) waitq_wake((q), 0, UINT32_MAX)
#define waitq_wake_one(q) waitq_wake((q), 0, 1)

/* ---- sleeping --------------------------------------------------------------------------------- */

enum sleep_kind {
	SLEEP_UNINTERRUPTIBLE,	/* only for what surely ends soon */
	SLEEP_KILLABLE,		/* ends with -ERESTARTSYS when the task is being killed */
	SLEEP_INTERRUPTIBLE,	/* ... or when any signal is deliverable */
};

/* The Linux idiom, for what wait_event() cannot say:
 *	struct waiter w;
 *	wait_begin(&w);			// prepares @w for the calling kthread
 *	waitq_add(&q, &w);
 *	for (;;) {
 *		wait_prepare();		// from here on a wake-up is remembered
 *		if (condition) break;
 *		ret = wait_sleep(kind, deadline_ns);	// 0 woken, -LINUX_ETIMEDOUT, -ERESTARTSYS
 *		if (ret) break;
 *	}
 *	waitq_del(&q, &w);
 */
void wait_begin(struct waiter *w);
void wait_prepare(void);
long wait_sleep(enum sleep_kind kind, uint64_t deadline_ns); /* absolute, CLOCK_MONOTONIC */

/* Sleeps until @cond (evaluated with no lock of ours held, possibly often). Value: 0, -LINUX_ETIMEDOUT, -ERESTARTSYS */
#define wait_event(q, cond, kind, deadline_ns)                                                     \
	({                                                                                         \
		struct waiter we_;                                                                 \
		long we_ret_ = 0;                                                                  \
		if (!(cond)) {                                                                     \
			wait_begin(&we_);                                                          \
			waitq_add((q), &we_);                                                      \
			for (;;) {                                                                 \
				wait_prepare();                                                    \
				if (cond) {                                                        \
					we_ret_ = 0;                                               \
					break;                                                     \
				}                                                                  \
				if (we_ret_)                                                       \
					break;                                                     \
				we_ret_ = wait_sleep((kind), (deadline_ns));                       \
			}                                                                          \
			waitq_del((q), &we_);                                                      \
		}                                                                                  \
		we_ret_;                                                                           \
	})

/* Sleeps until @deadline_ns. -LINUX_ETIMEDOUT when it passed (the normal end), -ERESTARTSYS when interrupted. */
long sleep_until(enum sleep_kind kind, uint64_t deadline_ns);

/* Wakes @k from its wait_sleep(); what waiters with wake == NULL do. */
void kthread_wake(struct kthread *k);

/* ---- locks that may be held across sleeps -------------------------------------------------------- */

struct CAPABILITY("sleeplock") sleeplock {
	_Atomic uint32_t v;	/* 0 free, 1 held, 2 held with (perhaps) waiters */
	struct waitq q;
};

void sleeplock_init(struct sleeplock *l);
void sleep_lock(struct sleeplock *l) ACQUIRE(*l);
bool sleep_trylock(struct sleeplock *l);
long sleep_lock_killable(struct sleeplock *l) MUST_CHECK; /* 0 held, -ERESTARTSYS not held */
void sleep_unlock(struct sleeplock *l) RELEASE(*l);

/* Many readers or one writer; writers are preferred. */
struct CAPABILITY("rwsem") rwsem {
	struct mutex mu;
	int32_t readers;	/* -1 = one writer; guarded by mu */
	uint32_t writers_waiting;
	struct waitq q;
};

void rwsem_init(struct rwsem *s);
void rwsem_read_lock(struct rwsem *s);
void rwsem_read_unlock(struct rwsem *s);
void rwsem_write_lock(struct rwsem *s);
void rwsem_write_unlock(struct rwsem *s);

/* ---- timers ------------------------------------------------------------------------------------ */

/* One-shot, on CLOCK_MONOTONIC. @fn runs on the reactor thread (no kthread): it must not sleep; it may wake,
 * take mutexes, re-arm. */
struct ktimer {
	void (*fn)(struct ktimer *t);
	uint64_t deadline_ns;	/* guarded by the timer lock */
	uint32_t slot;		/* index into the heap + 1, 0 = not armed; guarded by the timer lock */
	bool running;		/* fn is being called; guarded by the timer lock */
};

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *));
void ktimer_arm(struct ktimer *t, uint64_t deadline_ns); /* replaces an earlier deadline */
bool ktimer_cancel(struct ktimer *t);	/* true if it was armed; does not wait for a running fn */
void ktimer_cancel_sync(struct ktimer *t); /* afterwards fn neither runs nor will run; not from fn itself */
uint64_t now_ns(void);			/* CLOCK_MONOTONIC, by vDSO */
uint64_t now_real_ns(void);		/* CLOCK_REALTIME */

/* ---- host descriptors ----------------------------------------------------------------------------- */

/* Readiness of a host descriptor (stdio pipes, NIC, sockets of gofers, pidfds), edge-triggered. @fn runs on the
 * reactor thread under the same rules as timers; @events are EPOLL* bits. */
struct hostfd {
	int fd;			/* borrowed */
	void (*fn)(struct hostfd *h, uint32_t events);
};

long hostfd_watch(struct hostfd *h, uint32_t events); /* 0 or -LINUX_E* */
void hostfd_unwatch(struct hostfd *h); /* waits until fn is not running; not from fn itself */

/* ---- work and workers ------------------------------------------------------------------------------ */

/* Brackets a host call that can block for long (gofer RPC by blocking read, fsync, splice on slow files): other
 * work of this worker is handed to another one meanwhile. Nests not. */
void host_block_begin(void);
void host_block_end(void);

/**
 * run_start() - start the reactor and @nr_workers general workers
 * Return: 0, or -LINUX_E*
 */
long run_start(unsigned nr_workers);

/* For the platform: a worker thread of its own that calls @next in a loop. next() blocks in the host (listener) or
 * polls shared pages, and returns a kthread that it wants to run here and now (see kthread_suspend()), or NULL. With
 * @may_block false it must return soon: queued kthreads wait. @blocking (may be NULL) is told when the kthread that runs
 * on this worker enters and leaves host_block_begin()/_end(), so that another listener can take over. */
struct worker_source {
	struct kthread *(*next)(struct worker_source *s, bool may_block);
	void (*blocking)(struct worker_source *s, bool begin);
	void *arg;
};
long worker_spawn(struct worker_source *s, const char *name); /* 0 or -LINUX_E*; @s is borrowed for ever */

/* Who pays for what @k allocates (budget.h): borrowed until it is set to NULL, which the kthread itself does before its end. */
struct budget;
void kthread_set_budget(struct kthread *k, struct budget *b);

/* Waiting for the guest. The kthread calls wait_prepare(), makes its guest runnable, then kthread_suspend(). Whoever learns of
 * the guest's next event calls kthread_resume() exactly once (it may come before the suspend has finished), or returns the
 * kthread from worker_source.next(), which runs it inline on that worker. Other wake-ups do not end a suspend. */
void kthread_suspend(void);
void kthread_resume(struct kthread *k);

/* The guest thread that @k serves, NULL = none (any more). The hook is called on the kthread itself each time it is about to
 * sleep with one (not in kthread_suspend()): its guest will have to wait. Must not sleep. Set once at boot. */
void kthread_set_guest(struct kthread *k, void *guest);
extern void (*kthread_sleep_hook)(void *guest);

/* How many workers are executing a kthread right now; the platform's spinning policy reads it. */
unsigned run_nr_busy(void);

/* Whether runnable kthreads wait for this worker: a reason to stop spinning. */
bool run_has_work(void);

#endif
