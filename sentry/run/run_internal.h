/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/run_internal.h - what kthreads, workers and the reactor share
 */
#ifndef SENTRY_RUN_INTERNAL_H
#define SENTRY_RUN_INTERNAL_H

#include "sentry/run/run.h"

/* Life of a sleep. Only the edges drawn here exist:
 *
 *	RUNNING --wait_prepare--> PREPARED --worker, off its stack--> PARKED
 *	   ^                        |  |                                |
 *	   |<--condition was true---+  +--wake--> WOKEN                 |
 *	   |<------------- worker requeues -----------+                 |
 *	   |<--------------------- wake, by the one who queues it ------+
 */
enum kstate { K_RUNNING, K_PREPARED, K_WOKEN, K_PARKED };

/* Why a kthread came back to its worker. */
enum kreason { KR_SLEEP, KR_YIELD, KR_EXIT };

#define KINTR_SIGNAL 1u
#define KINTR_KILL   2u

struct worker;

struct kthread {
	struct list rq_node;		/* in one run queue; guarded by that queue's lock */
	void *sp;			/* saved context; owned by whoever runs it */
	_Atomic uint32_t state;		/* enum kstate */
	_Atomic uint32_t intr;		/* KINTR_* */
	_Atomic uint32_t sleep_kind;	/* enum sleep_kind of the present sleep, or SLEEP_NONE */
	_Atomic uint32_t resume_token;	/* kthread_resume() came */
	enum kreason reason;		/* valid while its worker handles the return */
	struct worker *worker;		/* executing it; owned by that worker */
	struct ktimer timer;		/* deadline of the present sleep */
	void (*fn)(void *);
	void *arg, *priv;
	struct budget *budget;		/* who pays for what it allocates; owned by the kthread */
	void *guest;			/* for kthread_sleep_hook; owned by the kthread */
	char name[24];
	void *stack;			/* lowest usable address */
	void *asan_fake;		/* AddressSanitizer's shadow of the switched-out stack */
};
#define SLEEP_NONE UINT32_MAX

struct runq {
	struct mutex mu;
	struct list list;
	_Atomic uint32_t nr;	/* written under mu */
};

struct worker {
	struct runq rq;
	void *sp;		/* the scheduler's own context while a kthread runs */
	struct kthread *cur;
	struct worker_source *src;	/* NULL for general workers */
	_Atomic bool busy;		/* a kthread is executing */
	bool host_blocked;
	const void *stack_lo;		/* of the host thread, for AddressSanitizer */
	size_t stack_len;
	void *asan_fake;
	struct worker *next;		/* all workers; immutable once linked */
	char name[16];
};

struct worker *worker_self(void);	/* NULL on other host threads; never inlined (see run.h, Rules) */
void worker_run(struct worker *w, struct kthread *k); /* until it comes back */
void runq_push(struct kthread *k);	/* on the caller's worker, else on the global queue */
bool kthread_claim(struct kthread *k);	/* PARKED -> RUNNING, or leave a mark for its present worker */

struct kthread *kthread_alloc(void (*fn)(void *), void *arg, const char *name);
void kthread_free(struct kthread *k);
void kthread_switch_out(struct kthread *k, enum kreason why);

/* reactor.c: timers and host descriptors; one idle general worker at a time plays it */
long reactor_init(void);
void reactor_run_once(void);	/* blocks in epoll until something happens, calls the callbacks */
void reactor_kick(void);	/* makes reactor_run_once() return */
void timers_expire(void);
long timers_init(void);	/* the timerfd, or -LINUX_E* */

#endif
