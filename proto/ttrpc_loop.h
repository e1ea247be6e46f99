/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_loop.h - an epoll loop: descriptors, timers, and work posted from other threads
 *
 * Model:   one thread at a time runs the loop (evloop_run() or evloop_step()). Callbacks run on that
 *          thread with no lock held. Sources are removed on that thread only; everything else may be
 *          called from any thread.
 * Locks:   loop->mu, a leaf: nothing is locked and nothing is called under it.
 * Host:    epoll_create1 and eventfd2 in evloop_new(); then epoll_pwait, epoll_ctl, read, write, futex.
 */
#ifndef PROTO_TTRPC_LOOP_H
#define PROTO_TTRPC_LOOP_H

#include "base/list.h"
#include "base/util.h"

struct evloop;

struct ev_source {
	struct evloop *loop; /* immutable while added */
	int fd;		     /* borrowed; -1 = not added */
	void (*fn)(struct ev_source *s, uint32_t epoll_events);
};

struct ev_timer {
	struct list node;     /* guarded by loop->mu; zeroed memory counts as unarmed */
	uint64_t deadline_ns; /* CLOCK_MONOTONIC, guarded by loop->mu */
	void (*fn)(struct ev_timer *t);
};

struct ev_work {
	struct list node; /* guarded by loop->mu */
	void (*fn)(struct ev_work *w);
};

struct evloop *evloop_new(void); /* NULL when out of memory or descriptors */
void evloop_free(struct evloop *l);

/* Watches @fd for EPOLLIN, EPOLLOUT, ... (level triggered). Return: 0 or -errno. */
int evloop_add(struct evloop *l, struct ev_source *s, int fd, uint32_t events,
	       void (*fn)(struct ev_source *, uint32_t));
int evloop_mod(struct ev_source *s, uint32_t events);
/* Loop thread only (or while nobody runs the loop): after it the source is never called again and may
 * be freed. Does not close the descriptor; call it before closing. Harmless when not added. */
void evloop_del(struct ev_source *s);

uint64_t evloop_now_ns(void); /* CLOCK_MONOTONIC */
/* Arms (or moves) a one-shot timer. */
void evloop_timer_set(struct evloop *l, struct ev_timer *t, uint64_t deadline_ns);
/* True when the timer was armed and will now not fire; false when it fired, fires, or was not armed. */
bool evloop_timer_cancel(struct evloop *l, struct ev_timer *t);

/* Runs w->fn(w) once on the loop's thread. @w must stay until then and must not be posted already. */
void evloop_post(struct evloop *l, struct ev_work *w);

/* One round: waits at most @timeout_ms (-1 = until something happens). Return: 0 or -errno. */
int evloop_step(struct evloop *l, int timeout_ms);
/* Rounds until evloop_stop(). */
void evloop_run(struct evloop *l);
void evloop_stop(struct evloop *l);
int evloop_fd(struct evloop *l); /* readable when evloop_step(l, 0) has work (timers aside) */

#endif
