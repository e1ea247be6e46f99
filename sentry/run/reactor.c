/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/reactor.c - readiness of host descriptors, and the clock's tick
 *
 * Model:   one epoll instance, waited on by whichever idle general worker plays the reactor. Callbacks run on it, one at
 *          a time; hostfd_unwatch() waits until the one of its descriptor is over.
 * Locks:   reactor.mu is a leaf; callbacks run without it.
 */
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "base/hostcall.h"
#include "sentry/run/run_internal.h"

#define REACTOR_BATCH 16

/* epoll carries a ticket, not a pointer: an event that was fetched before hostfd_unwatch() finds its slot empty or of
 * another generation and is dropped. */
struct watch_slot {
	struct hostfd *h;	/* NULL = free */
	uint32_t gen;
};
#define TICKET_KICK  UINT64_MAX
#define TICKET_TIMER (UINT64_MAX - 1)

static struct {
	int epfd, kickfd;
	struct mutex mu;
	struct watch_slot *slots;	/* guarded by mu */
	uint32_t nr_slots;		/* guarded by mu */
	struct hostfd *running;		/* guarded by mu */
} reactor = { .epfd = -1, .kickfd = -1 };

static long epoll_add(int fd, uint32_t events, uint64_t ticket)
{
	struct epoll_event ev = { .events = events, .data.u64 = ticket };

	return host_call(epoll_ctl, reactor.epfd, EPOLL_CTL_ADD, fd, &ev);
}

long reactor_init(void)
{
	long fd = host_call(epoll_create1, EPOLL_CLOEXEC);

	if (fd < 0)
		return fd;
	reactor.epfd = (int)fd;
	fd = host_call(eventfd2, 0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (fd < 0)
		return fd;
	reactor.kickfd = (int)fd;
	fd = epoll_add(reactor.kickfd, EPOLLIN | EPOLLET, TICKET_KICK);
	if (fd < 0)
		return fd;
	fd = timers_init();
	return fd < 0 ? fd : epoll_add((int)fd, EPOLLIN, TICKET_TIMER);
}

void reactor_kick(void)
{
	uint64_t one = 1;

	host_call(write, reactor.kickfd, &one, sizeof(one));
}

/* A free slot's index, growing the table when there is none; -LINUX_ENOMEM. */
static long slot_get_locked(void)
{
	uint32_t n = reactor.nr_slots ? reactor.nr_slots * 2 : 16;
	struct watch_slot *s;

	for (uint32_t i = 0; i < reactor.nr_slots; i++)
		if (!reactor.slots[i].h)
			return i;
	s = realloc(reactor.slots, n * sizeof(*s));
	if (!s)
		return -LINUX_ENOMEM;
	for (uint32_t i = reactor.nr_slots; i < n; i++)
		s[i] = (struct watch_slot){ 0 };
	reactor.slots = s;
	n = reactor.nr_slots;
	reactor.nr_slots = n ? n * 2 : 16;
	return n;
}

long hostfd_watch(struct hostfd *h, uint32_t events)
{
	uint64_t ticket = 0;
	long i, ret;

	mutex_lock(&reactor.mu);
	i = slot_get_locked();
	if (i >= 0) {
		reactor.slots[i].h = h;
		ticket = (uint64_t)++reactor.slots[i].gen << 32 | (uint64_t)i;
	}
	mutex_unlock(&reactor.mu);
	if (i < 0)
		return i;
	ret = epoll_add(h->fd, events | EPOLLET, ticket);
	if (ret < 0) {
		mutex_lock(&reactor.mu);
		reactor.slots[i].h = NULL;
		mutex_unlock(&reactor.mu);
	}
	return ret;
}

void hostfd_unwatch(struct hostfd *h)
{
	struct epoll_event ev = { 0 };
	bool running;

	host_call(epoll_ctl, reactor.epfd, EPOLL_CTL_DEL, h->fd, &ev);
	mutex_lock(&reactor.mu);
	for (uint32_t i = 0; i < reactor.nr_slots; i++)
		if (reactor.slots[i].h == h)
			reactor.slots[i].h = NULL;
	running = reactor.running == h;
	mutex_unlock(&reactor.mu);
	/* A callback that runs right now is waited for: it is short and never sleeps. */
	while (running) {
		host_call(sched_yield);
		mutex_lock(&reactor.mu);
		running = reactor.running == h;
		mutex_unlock(&reactor.mu);
	}
}

static void dispatch(uint64_t ticket, uint32_t events)
{
	uint32_t i = (uint32_t)ticket, gen = (uint32_t)(ticket >> 32);
	struct hostfd *h = NULL;

	if (ticket == TICKET_TIMER)
		timers_expire();
	if (ticket == TICKET_TIMER || ticket == TICKET_KICK)
		return;
	mutex_lock(&reactor.mu);
	if (i < reactor.nr_slots && reactor.slots[i].gen == gen)
		h = reactor.slots[i].h;
	reactor.running = h;
	mutex_unlock(&reactor.mu);
	if (!h)
		return;
	h->fn(h, events);
	mutex_lock(&reactor.mu);
	reactor.running = NULL;
	mutex_unlock(&reactor.mu);
}

void reactor_run_once(void)
{
	struct epoll_event ev[REACTOR_BATCH];
	long n = host_call(epoll_pwait, reactor.epfd, ev, REACTOR_BATCH, -1, NULL, 0);

	for (long i = 0; i < n; i++)
		dispatch(ev[i].data.u64, ev[i].events);
}
