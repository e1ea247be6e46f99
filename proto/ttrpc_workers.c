/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_workers.c - see ttrpc_workers.h
 */
#include "ttrpc_workers.h"

#include <pthread.h>
#include <time.h>

#include "base/log.h"

struct ttrpc_workers {
	pthread_mutex_t mu;
	pthread_cond_t work;	/* a job is queued, or ending */
	pthread_cond_t gone;	/* a thread has ended */
	struct list queue;	/* guarded by mu, like the next three */
	unsigned nr, idle;
	size_t queued;
	bool ending;
	unsigned max, idle_ms;	/* immutable */
	size_t stack_bytes;
};

struct ttrpc_workers *ttrpc_workers_new(unsigned max, size_t stack_bytes, unsigned idle_ms)
{
	struct ttrpc_workers *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (!w)
		return NULL;
	pthread_mutex_init(&w->mu, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->work, &attr);
	pthread_cond_init(&w->gone, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&w->queue);
	w->max = max;
	w->idle_ms = idle_ms;
	w->stack_bytes = stack_bytes;
	return w;
}

/* With mu: waits for a job. False after idle_ms without one, or at the end. */
static bool wait_job(struct ttrpc_workers *w)
{
	struct timespec until;
	int ret = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += w->idle_ms / 1000;
	until.tv_nsec += (long)(w->idle_ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	w->idle++;
	while (list_empty(&w->queue) && !w->ending && ret == 0)
		ret = pthread_cond_timedwait(&w->work, &w->mu, &until);
	w->idle--;
	return !list_empty(&w->queue);
}

static void *worker(void *arg)
{
	struct ttrpc_workers *w = arg;
	struct ttrpc_job *j;

	pthread_mutex_lock(&w->mu);
	while (!list_empty(&w->queue) || wait_job(w)) {
		j = list_first(&w->queue, struct ttrpc_job, node);
		list_del_init(&j->node);
		w->queued--;
		pthread_mutex_unlock(&w->mu);
		j->fn(j);
		pthread_mutex_lock(&w->mu);
	}
	w->nr--;
	pthread_cond_signal(&w->gone);
	pthread_mutex_unlock(&w->mu);
	return NULL;
}

/* With mu. A failure is no loss while other threads serve the queue. */
static void add_thread(struct ttrpc_workers *w)
{
	pthread_attr_t attr;
	pthread_t t;
	int ret;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	pthread_attr_setstacksize(&attr, w->stack_bytes);
	ret = pthread_create(&t, &attr, worker, w);
	pthread_attr_destroy(&attr);
	if (ret == 0)
		w->nr++;
	else
		log_warn("no further worker thread: error %d", ret);
}

void ttrpc_workers_run(struct ttrpc_workers *w, struct ttrpc_job *j)
{
	bool alone;

	pthread_mutex_lock(&w->mu);
	list_add_tail(&w->queue, &j->node);
	w->queued++;
	if (w->queued > w->idle && w->nr < w->max)
		add_thread(w);
	else
		pthread_cond_signal(&w->work);
	alone = w->nr == 0;
	if (alone) {
		list_del_init(&j->node);
		w->queued--;
	}
	pthread_mutex_unlock(&w->mu);
	if (alone) /* no thread to be had at all: slowly is better than never */
		j->fn(j);
}

struct call_job {
	struct ttrpc_job job;
	struct ttrpc_call *call;
};

static void call_job_run(struct ttrpc_job *j)
{
	struct call_job *cj = container_of(j, struct call_job, job);
	struct ttrpc_call *call = cj->call;

	free(cj);
	ttrpc_call_run(call);
}

void ttrpc_workers_dispatch(void *workers, struct ttrpc_call *call)
{
	struct call_job *cj = calloc(1, sizeof(*cj));

	if (!cj) {
		ttrpc_fail(call, TTRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	cj->job.fn = call_job_run;
	cj->call = call;
	ttrpc_workers_run(workers, &cj->job);
}

void ttrpc_workers_free(struct ttrpc_workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mu);
	w->ending = true;
	pthread_cond_broadcast(&w->work);
	while (w->nr)
		pthread_cond_wait(&w->gone, &w->mu);
	pthread_mutex_unlock(&w->mu);
	pthread_mutex_destroy(&w->mu);
	pthread_cond_destroy(&w->work);
	pthread_cond_destroy(&w->gone);
	free(w);
}
