/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/host.h - what the stack wants from the world around it: time, an alarm, random numbers
 *
 * Model:   the stack keeps its own timers in a heap and asks the host for one alarm at a time; no timer
 *          pending = no alarm = no wake-ups. Tests supply a fake clock and call net_timers_run() themselves.
 */
#ifndef SENTRY_NET_HOST_H
#define SENTRY_NET_HOST_H

#include "sentry/net/types.h"

#define NET_MSEC 1000000ull
#define NET_SEC	 1000000000ull
#define NET_NEVER UINT64_MAX

struct net_stack;

struct net_host_ops {
	uint64_t (*now_ns)(void *ctx);		/* monotonic */
	uint64_t (*wall_ns)(void *ctx);		/* since the epoch, for packet timestamps */
	/* Call net_timers_run() at or soon after @deadline_ns (NET_NEVER: no call needed). Called with no lock
	 * of the stack but the timer lock held; must not call back. Replaces the earlier deadline. */
	void (*set_alarm)(void *ctx, uint64_t deadline_ns);
	void (*random)(void *ctx, void *buf, size_t len); /* unpredictable bytes; called rarely */
};

/* One-shot. All fields but fn are guarded by the stack's timer lock. */
struct net_timer {
	void (*fn)(struct net_timer *t); /* runs with no lock held, inside a bh section (core/bh.h) */
	uint64_t deadline_ns;
	uint32_t slot;	/* index into the heap + 1; 0 = not armed */
};

struct net_timers {
	struct mutex mu; /* leaf */
	struct net_timer **heap;
	uint32_t nr, cap;
	uint64_t alarm_ns;   /* what set_alarm() was last told */
	struct net_timer *_Atomic running;
};

struct net_stack {
	const struct net_host_ops *ops;
	void *ctx;
	struct net_timers timers;
	uint64_t hash_seed;	/* immutable */
	uint8_t secret[32];	/* immutable: ISNs, SYN cookies, port selection, fragment ids */
	struct mutex ns_mu;
	struct list namespaces;	/* of struct net_ns.node, guarded by ns_mu */
	_Atomic uint32_t next_ifindex_hint;
};

/* Return: 0 or -LINUX_ENOMEM. @ops and @ctx are borrowed for the life of the stack. */
int net_stack_init(struct net_stack *st, const struct net_host_ops *ops, void *ctx);
void net_stack_fini(struct net_stack *st); /* all namespaces are gone already */

static inline uint64_t net_now(struct net_stack *st) { return st->ops->now_ns(st->ctx); }
static inline uint64_t net_wall(struct net_stack *st) { return st->ops->wall_ns(st->ctx); }
uint32_t net_random32(void);	/* fast, per thread, seeded from the host; not for secrets */

static inline void net_timer_init(struct net_timer *t, void (*fn)(struct net_timer *))
{
	t->fn = fn;
	t->slot = 0;
	t->deadline_ns = NET_NEVER;
}
/* Arms or moves @t. Return: true if it was not armed before (the caller then takes the timer's reference).
 * When memory is out the timer fires at the next run instead of getting lost: slots are reserved by objects. */
bool net_timer_arm(struct net_stack *st, struct net_timer *t, uint64_t deadline_ns);
/* Return: true if it was armed and now will not run. Does not wait for a running fn. */
bool net_timer_cancel(struct net_stack *st, struct net_timer *t);
void net_timer_cancel_sync(struct net_stack *st, struct net_timer *t); /* waits; not from fn */
/* Runs what is due, at most @max timers; sets the next alarm. Return: how many ran. */
unsigned net_timers_run(struct net_stack *st, unsigned max);
uint64_t net_timers_next(struct net_stack *st); /* deadline of the earliest, NET_NEVER if none */

#endif
