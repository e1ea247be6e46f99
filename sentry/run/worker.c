/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/worker.c - workers: the host threads that execute kthreads
 *
 * Model:   each worker has a run queue of its own; a wake-up queues on the waker's worker. General workers also serve the
 *          global queue (wake-ups by other host threads, work handed over by a worker that blocks in the host); one
 *          idle general worker plays the reactor, the others sleep on a futex. Workers of the platform call their source's
 *          next() when their queue is empty. An idle sandbox has every worker asleep in the host.
 * Locks:   runq.mu is a leaf; pool.mu guards the idle count and the reactor role, leaf.
 */
#include <linux/futex.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/arch/x86_64/kstack.h"
#include "sentry/run/run_internal.h"

#ifdef SENTRY_ASAN
#include <sanitizer/common_interface_defs.h>
#endif

#define WORKER_STACK (256 * 1024)

static struct {
	struct runq global;
	struct mutex mu;
	struct worker *all;		/* pushed under mu, never removed */
	bool reactor_taken;		/* guarded by mu */
	unsigned nr_idle;		/* general workers asleep on idle_seq; guarded by mu */
	unsigned nr_general;		/* guarded by mu */
	unsigned nr_blocked;		/* general workers in host_block; guarded by mu */
	_Atomic uint32_t idle_seq;	/* futex */
} pool;

static __thread struct worker *tls_worker;

NOINLINE struct worker *worker_self(void)
{
	__asm__ volatile(""); /* keeps the compiler from treating it as const */
	return tls_worker;
}

/* ---- run queues ------------------------------------------------------------------------------------ */

static void rq_init(struct runq *q)
{
	mutex_init(&q->mu);
	list_init(&q->list);
}

static void rq_add(struct runq *q, struct kthread *k)
{
	mutex_lock(&q->mu);
	list_add_tail(&q->list, &k->rq_node);
	atomic_fetch_add(&q->nr, 1);
	mutex_unlock(&q->mu);
}

static struct kthread *rq_take(struct runq *q)
{
	struct kthread *k = NULL;

	if (!atomic_load(&q->nr))
		return NULL;
	mutex_lock(&q->mu);
	if (!list_empty(&q->list)) {
		k = list_first(&q->list, struct kthread, rq_node);
		list_del_init(&k->rq_node);
		atomic_fetch_sub(&q->nr, 1);
	}
	mutex_unlock(&q->mu);
	return k;
}

/* Somebody who can look at the global queue is told to. */
static void notify_general(void)
{
	bool idle;

	mutex_lock(&pool.mu);
	idle = pool.nr_idle > 0;
	if (idle)
		atomic_fetch_add(&pool.idle_seq, 1);
	mutex_unlock(&pool.mu);
	if (idle)
		host_call(futex, &pool.idle_seq, FUTEX_WAKE_PRIVATE, 1, 0, 0, 0);
	else
		reactor_kick();
}

void runq_push(struct kthread *k)
{
	struct worker *w = worker_self();

	if (w && !w->host_blocked) {
		rq_add(&w->rq, k);
		return;
	}
	rq_add(&pool.global, k);
	notify_general();
}

/* ---- executing ------------------------------------------------------------------------------------- */

/* What follows a kthread's return, once it is off its stack. */
static void worker_after(struct worker *w, struct kthread *k)
{
	uint32_t prepared = K_PREPARED;

	switch (k->reason) {
	case KR_EXIT:
		kthread_free(k);
		return;
	case KR_YIELD:
		rq_add(&w->rq, k);
		return;
	case KR_SLEEP:
		if (atomic_compare_exchange_strong(&k->state, &prepared, K_PARKED))
			return;
		/* woken on its way to sleep, or stopped being prepared: it goes on */
		atomic_store(&k->state, K_RUNNING);
		rq_add(&w->rq, k);
		return;
	}
}

void worker_run(struct worker *w, struct kthread *k)
{
	w->cur = k;
	k->worker = w;
	atomic_store_explicit(&w->busy, true, memory_order_relaxed);
#ifdef SENTRY_ASAN
	__sanitizer_start_switch_fiber(&w->asan_fake, k->stack, KSTACK_SIZE);
#endif
	kstack_switch(&w->sp, k->sp);
#ifdef SENTRY_ASAN
	__sanitizer_finish_switch_fiber(w->asan_fake, NULL, NULL);
#endif
	w->cur = NULL;
	atomic_store_explicit(&w->busy, false, memory_order_relaxed);
	worker_after(w, k);
}

bool run_has_work(void)
{
	struct worker *w = worker_self();

	return w && atomic_load_explicit(&w->rq.nr, memory_order_relaxed);
}

unsigned run_nr_busy(void)
{
	unsigned n = 0;

	for (struct worker *w = pool.all; w; w = w->next)
		n += atomic_load_explicit(&w->busy, memory_order_relaxed);
	return n;
}

static void worker_attach(struct worker *w)
{
#ifdef SENTRY_ASAN
	pthread_attr_t at;
	void *lo;

	pthread_getattr_np(pthread_self(), &at);
	pthread_attr_getstack(&at, &lo, &w->stack_len);
	w->stack_lo = lo;
	pthread_attr_destroy(&at);
#endif
	tls_worker = w;
}

/* ---- workers of the platform --------------------------------------------------------------------------- */

static void *source_worker_main(void *arg)
{
	struct worker *w = arg;

	worker_attach(w);
	for (;;) {
		struct kthread *k = rq_take(&w->rq);

		if (!k) {
			k = w->src->next(w->src, true);
			if (!k)
				continue;
			atomic_store(&k->resume_token, 1);
			if (!kthread_claim(k))
				continue; /* still leaving its stack: its present worker requeues it */
		}
		worker_run(w, k);
	}
	return NULL;
}

/* ---- general workers -------------------------------------------------------------------------------------- */

/* Plays the reactor or sleeps. Returns when there may be something to do. */
static void general_idle(void)
{
	uint32_t seq;
	bool react;

	mutex_lock(&pool.mu);
	seq = atomic_load(&pool.idle_seq);
	react = !pool.reactor_taken;
	if (react)
		pool.reactor_taken = true;
	else
		pool.nr_idle++;
	mutex_unlock(&pool.mu);
	if (react) {
		reactor_run_once();
		mutex_lock(&pool.mu);
		pool.reactor_taken = false;
		mutex_unlock(&pool.mu);
		return;
	}
	/* The queue is read after nr_idle went up, notify_general() reads nr_idle after the queue went up. */
	if (!atomic_load(&pool.global.nr))
		host_call(futex, &pool.idle_seq, FUTEX_WAIT_PRIVATE, seq, 0, 0, 0);
	mutex_lock(&pool.mu);
	pool.nr_idle--;
	mutex_unlock(&pool.mu);
}

static void *general_worker_main(void *arg)
{
	struct worker *w = arg;

	worker_attach(w);
	for (;;) {
		struct kthread *k = rq_take(&w->rq);

		if (!k)
			k = rq_take(&pool.global);
		if (k)
			worker_run(w, k);
		else
			general_idle();
	}
	return NULL;
}

static long worker_new(struct worker_source *s, const char *name)
{
	struct worker *w = calloc(1, sizeof(*w));
	pthread_attr_t at;
	pthread_t th;
	int ret;

	if (!w)
		return -LINUX_ENOMEM;
	rq_init(&w->rq);
	w->src = s;
	snprintf(w->name, sizeof(w->name), "%s", name);
	mutex_lock(&pool.mu);
	w->next = pool.all;
	pool.all = w;
	if (!s)
		pool.nr_general++;
	mutex_unlock(&pool.mu);
	pthread_attr_init(&at);
	pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&at, WORKER_STACK);
	ret = pthread_create(&th, &at, s ? source_worker_main : general_worker_main, w);
	pthread_attr_destroy(&at);
	if (ret)
		return -LINUX_EAGAIN; /* the struct stays linked and idle: readers of pool.all take no lock */
	return 0;
}

long worker_spawn(struct worker_source *s, const char *name)
{
	return worker_new(s, name);
}

/* ---- blocking in the host ------------------------------------------------------------------------------------ */

void host_block_begin(void)
{
	struct worker *w = worker_self();
	struct kthread *k;
	bool grow;

	if (!w)
		return;
	w->host_blocked = true;
	while ((k = rq_take(&w->rq)))
		rq_add(&pool.global, k);
	if (w->src) {
		if (w->src->blocking)
			w->src->blocking(w->src, true);
	} else {
		mutex_lock(&pool.mu);
		pool.nr_blocked++;
		grow = pool.nr_blocked >= pool.nr_general;
		mutex_unlock(&pool.mu);
		if (grow && worker_new(NULL, "general") < 0)
			log_warn("no thread for another worker: blocked host calls delay the sandbox");
	}
	if (atomic_load(&pool.global.nr))
		notify_general();
}

void host_block_end(void)
{
	struct worker *w = worker_self();

	if (!w)
		return;
	w->host_blocked = false;
	if (w->src) {
		if (w->src->blocking)
			w->src->blocking(w->src, false);
		return;
	}
	mutex_lock(&pool.mu);
	pool.nr_blocked--;
	mutex_unlock(&pool.mu);
}

long run_start(unsigned nr_workers)
{
	long ret;

	rq_init(&pool.global);
	ret = reactor_init();
	for (unsigned i = 0; !ret && i < MAX(nr_workers, 2u); i++)
		ret = worker_new(NULL, "general");
	return ret;
}
