/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_loop.c - the epoll loop: sources, timers, posted work
 *
 * Model:   timers stand in one sorted list (a loop has few); the earliest bounds the epoll timeout. An
 *          eventfd wakes the loop when another thread adds an earlier timer, posts work, or stops it.
 * Locks:   mu guards timers, posted and stopped; the batch belongs to the loop's thread.
 */
#include "ttrpc_loop.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>

#include "base/hostcall.h"
#include "base/mutex.h"

#define BATCH_MAX 32

struct evloop {
	int epfd, wakefd;
	struct mutex mu;
	struct list timers;  /* guarded by mu, earliest first */
	struct list posted;  /* guarded by mu */
	bool stopped;	     /* guarded by mu */
	_Atomic bool waking; /* a wake-up is on its way: spares writes to wakefd */
	/* The events being dispatched, so that evloop_del() can take back what is not delivered yet. */
	struct epoll_event batch[BATCH_MAX];
	int batch_n, batch_i;
};

uint64_t evloop_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

struct evloop *evloop_new(void)
{
	struct evloop *l = calloc(1, sizeof(*l));
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = NULL };

	if (!l)
		return NULL;
	list_init(&l->timers);
	list_init(&l->posted);
	l->epfd = (int)host_call(epoll_create1, EPOLL_CLOEXEC);
	l->wakefd = (int)host_call(eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->epfd < 0 || l->wakefd < 0 ||
	    host_call(epoll_ctl, l->epfd, EPOLL_CTL_ADD, l->wakefd, &ev) < 0) {
		evloop_free(l);
		return NULL;
	}
	return l;
}

void evloop_free(struct evloop *l)
{
	if (!l)
		return;
	if (l->epfd >= 0)
		host_call(close, l->epfd);
	if (l->wakefd >= 0)
		host_call(close, l->wakefd);
	free(l);
}

int evloop_fd(struct evloop *l)
{
	return l->epfd;
}

static void wake(struct evloop *l)
{
	uint64_t one = 1;

	if (!atomic_exchange(&l->waking, true))
		host_call(write, l->wakefd, &one, sizeof(one));
}

int evloop_add(struct evloop *l, struct ev_source *s, int fd, uint32_t events,
	       void (*fn)(struct ev_source *, uint32_t))
{
	struct epoll_event ev = { .events = events, .data.ptr = s };
	long ret;

	s->loop = l;
	s->fd = fd;
	s->fn = fn;
	ret = host_call(epoll_ctl, l->epfd, EPOLL_CTL_ADD, fd, &ev);
	if (ret < 0)
		s->fd = -1;
	return (int)ret;
}

int evloop_mod(struct ev_source *s, uint32_t events)
{
	struct epoll_event ev = { .events = events, .data.ptr = s };

	return (int)host_call(epoll_ctl, s->loop->epfd, EPOLL_CTL_MOD, s->fd, &ev);
}

void evloop_del(struct ev_source *s)
{
	struct evloop *l = s->loop;
	struct epoll_event ev = { 0 };

	if (!l || s->fd < 0)
		return;
	host_call(epoll_ctl, l->epfd, EPOLL_CTL_DEL, s->fd, &ev);
	s->fd = -1;
	for (int i = l->batch_i; i < l->batch_n; i++)
		if (l->batch[i].data.ptr == s)
			l->batch[i].data.ptr = NULL;
}

void evloop_timer_set(struct evloop *l, struct ev_timer *t, uint64_t deadline_ns)
{
	struct list *pos;
	bool earliest;

	mutex_lock(&l->mu);
	if (t->node.next)
		list_del_init(&t->node);
	t->deadline_ns = deadline_ns;
	/* from the end: new timers are mostly later than old ones */
	for (pos = l->timers.prev; pos != &l->timers; pos = pos->prev)
		if (list_entry(pos, struct ev_timer, node)->deadline_ns <= deadline_ns)
			break;
	list_insert_(&t->node, pos, pos->next);
	earliest = l->timers.next == &t->node;
	mutex_unlock(&l->mu);
	if (earliest)
		wake(l);
}

bool evloop_timer_cancel(struct evloop *l, struct ev_timer *t)
{
	bool armed;

	mutex_lock(&l->mu);
	armed = t->node.next && !list_empty(&t->node);
	if (armed)
		list_del_init(&t->node);
	mutex_unlock(&l->mu);
	return armed;
}

void evloop_post(struct evloop *l, struct ev_work *w)
{
	mutex_lock(&l->mu);
	list_add_tail(&l->posted, &w->node);
	mutex_unlock(&l->mu);
	wake(l);
}

/* Milliseconds until the earliest timer, rounded up, at most @timeout_ms. */
static int wait_ms(struct evloop *l, int timeout_ms)
{
	uint64_t now, first = UINT64_MAX, ms;

	mutex_lock(&l->mu);
	if (!list_empty(&l->posted) || l->stopped)
		first = 0;
	else if (!list_empty(&l->timers))
		first = list_first(&l->timers, struct ev_timer, node)->deadline_ns;
	mutex_unlock(&l->mu);
	if (first == UINT64_MAX)
		return timeout_ms;
	now = evloop_now_ns();
	ms = first > now ? (first - now + 999999) / 1000000 : 0;
	if (ms > 3600 * 1000)
		ms = 3600 * 1000;
	return timeout_ms < 0 || (int)ms < timeout_ms ? (int)ms : timeout_ms;
}

static void fire_timers(struct evloop *l)
{
	uint64_t now = evloop_now_ns();
	struct ev_timer *t;

	for (;;) {
		mutex_lock(&l->mu);
		if (list_empty(&l->timers)) {
			mutex_unlock(&l->mu);
			return;
		}
		t = list_first(&l->timers, struct ev_timer, node);
		if (t->deadline_ns > now) {
			mutex_unlock(&l->mu);
			return;
		}
		list_del_init(&t->node);
		mutex_unlock(&l->mu);
		t->fn(t);
	}
}

static void run_posted(struct evloop *l)
{
	struct list mine;
	struct ev_work *w;

	list_init(&mine);
	mutex_lock(&l->mu);
	list_splice_tail_init(&l->posted, &mine);
	mutex_unlock(&l->mu);
	while (!list_empty(&mine)) {
		w = list_first(&mine, struct ev_work, node);
		list_del_init(&w->node);
		w->fn(w);
	}
}

static void drain_wake(struct evloop *l)
{
	uint64_t v;

	atomic_store(&l->waking, false);
	host_call(read, l->wakefd, &v, sizeof(v));
}

int evloop_step(struct evloop *l, int timeout_ms)
{
	struct ev_source *s;
	long n;

	n = host_call(epoll_pwait, l->epfd, l->batch, BATCH_MAX, wait_ms(l, timeout_ms), NULL, 8);
	if (n < 0 && n != -EINTR)
		return (int)n;
	l->batch_n = n > 0 ? (int)n : 0;
	for (l->batch_i = 0; l->batch_i < l->batch_n;) {
		struct epoll_event *ev = &l->batch[l->batch_i++];

		s = ev->data.ptr;
		if (s)
			s->fn(s, ev->events);
	}
	l->batch_n = l->batch_i = 0;
	/* Cleared on every round, not only when wakefd is in the batch: a wake() between two rounds
	 * must find waking false or a counter that is still set. */
	if (atomic_load(&l->waking))
		drain_wake(l);
	run_posted(l);
	fire_timers(l);
	return 0;
}

void evloop_run(struct evloop *l)
{
	bool stop = false;

	while (!stop) {
		if (evloop_step(l, -1) < 0)
			return;
		mutex_lock(&l->mu);
		stop = l->stopped;
		mutex_unlock(&l->mu);
	}
}

void evloop_stop(struct evloop *l)
{
	mutex_lock(&l->mu);
	l->stopped = true;
	mutex_unlock(&l->mu);
	wake(l);
}
