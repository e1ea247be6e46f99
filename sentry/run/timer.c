/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/timer.c - one-shot timers: a binary heap behind one timerfd
 *
 * Model:   the timerfd is set to the earliest deadline; it is only touched when that changes to an earlier one. A
 *          cancelled earliest timer costs one early wake-up of the reactor at most.
 * Locks:   timers.mu is a leaf; callbacks run without it.
 */
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>

#include "base/hostcall.h"
#include "sentry/run/run_internal.h"

static struct {
	struct mutex mu;
	struct ktimer **heap;	/* guarded by mu */
	uint32_t nr, cap;	/* guarded by mu */
	uint64_t set_for;	/* what the timerfd is set to, NO_DEADLINE = nothing; guarded by mu */
	int fd;
} timers = { .fd = -1, .set_for = NO_DEADLINE };

static uint64_t clock_ns(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t now_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

uint64_t now_real_ns(void)
{
	return clock_ns(CLOCK_REALTIME);
}

static void heap_place(uint32_t i, struct ktimer *t)
{
	timers.heap[i] = t;
	t->slot = i + 1;
}

static void heap_up(uint32_t i, struct ktimer *t)
{
	while (i) {
		uint32_t p = (i - 1) / 2;

		if (timers.heap[p]->deadline_ns <= t->deadline_ns)
			break;
		heap_place(i, timers.heap[p]);
		i = p;
	}
	heap_place(i, t);
}

static void heap_down(uint32_t i, struct ktimer *t)
{
	for (;;) {
		uint32_t c = 2 * i + 1;

		if (c >= timers.nr)
			break;
		if (c + 1 < timers.nr && timers.heap[c + 1]->deadline_ns < timers.heap[c]->deadline_ns)
			c++;
		if (t->deadline_ns <= timers.heap[c]->deadline_ns)
			break;
		heap_place(i, timers.heap[c]);
		i = c;
	}
	heap_place(i, t);
}

static void heap_remove(struct ktimer *t)
{
	uint32_t i = t->slot - 1;
	struct ktimer *last = timers.heap[--timers.nr];

	t->slot = 0;
	if (last == t)
		return;
	if (i && timers.heap[(i - 1) / 2]->deadline_ns > last->deadline_ns)
		heap_up(i, last);
	else
		heap_down(i, last);
}

/* Sets the timerfd to the earliest deadline if that is earlier than what it is set to. */
static void timerfd_update_locked(void)
{
	uint64_t first = timers.nr ? timers.heap[0]->deadline_ns : NO_DEADLINE;
	struct itimerspec its = { 0 };

	if (first >= timers.set_for)
		return;
	timers.set_for = first;
	its.it_value.tv_sec = (time_t)(first / NSEC_PER_SEC);
	its.it_value.tv_nsec = (long)(first % NSEC_PER_SEC);
	if (!its.it_value.tv_sec && !its.it_value.tv_nsec)
		its.it_value.tv_nsec = 1; /* zero would disarm */
	host_call(timerfd_settime, timers.fd, TFD_TIMER_ABSTIME, &its, NULL);
}

void ktimer_init(struct ktimer *t, void (*fn)(struct ktimer *))
{
	*t = (struct ktimer){ .fn = fn };
}

void ktimer_arm(struct ktimer *t, uint64_t deadline_ns)
{
	mutex_lock(&timers.mu);
	if (t->slot)
		heap_remove(t);
	t->deadline_ns = deadline_ns;
	if (timers.nr == timers.cap) {
		uint32_t cap = timers.cap ? timers.cap * 2 : 64;
		struct ktimer **h = realloc(timers.heap, cap * sizeof(*h));

		BUG_ON(!h); /* eight bytes per timer: a sandbox without them is beyond saving */
		timers.heap = h;
		timers.cap = cap;
	}
	heap_up(timers.nr++, t);
	timerfd_update_locked();
	mutex_unlock(&timers.mu);
}

bool ktimer_cancel(struct ktimer *t)
{
	bool was;

	mutex_lock(&timers.mu);
	was = t->slot != 0;
	if (was)
		heap_remove(t);
	mutex_unlock(&timers.mu);
	return was;
}

void ktimer_cancel_sync(struct ktimer *t)
{
	for (;;) {
		bool running;

		mutex_lock(&timers.mu);
		if (t->slot)
			heap_remove(t);
		running = t->running;
		mutex_unlock(&timers.mu);
		if (!running)
			return;
		/* Callbacks are short and never sleep; the reactor may only have lost its core. */
		host_call(sched_yield);
	}
}

void timers_expire(void)
{
	uint64_t now, buf;

	/* Reading ends the timerfd's readiness. */
	host_call(read, timers.fd, &buf, sizeof(buf));
	now = now_ns();
	mutex_lock(&timers.mu);
	timers.set_for = NO_DEADLINE;
	while (timers.nr && timers.heap[0]->deadline_ns <= now) {
		struct ktimer *t = timers.heap[0];

		heap_remove(t);
		t->running = true;
		mutex_unlock(&timers.mu);
		t->fn(t);
		mutex_lock(&timers.mu);
		t->running = false;
	}
	timerfd_update_locked();
	mutex_unlock(&timers.mu);
}

long timers_init(void)
{
	long fd = host_call(timerfd_create, CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);

	if (fd >= 0)
		timers.fd = (int)fd;
	return fd;
}
