/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/budget.h - what the guests of one container may make the Sentry hold
 *
 * Model:   a container's host cgroup counts its stub processes; what the Sentry allocates for it (open files, pipe and socket
 *          buffers, watches, timers, locks, mounts, namespaces, ...) is the Sentry's memory, which all containers of the
 *          pod share. So each container has a budget, and every allocation made on a kthread that serves one of its
 *          tasks is charged to it, whatever it is for (budget_alloc.c): no object is forgotten, and one that is freed by another
 *          container or by nobody's kthread is given back to whom it was charged. At the bound malloc(3) fails, which all
 *          code of the Sentry turns into ENOMEM, ENFILE or ENOBUFS as Linux would.
 * Locks:   none; counters are atomic. Workers keep a little stock, so that the counters are seldom touched.
 * Limits:  BUDGET_* below. Sums of several containers are bounded by the sandbox's own cgroup.
 */
#ifndef SENTRY_RUN_BUDGET_H
#define SENTRY_RUN_BUDGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum budget_kind {
	BUDGET_HEAP,	/* bytes of the Sentry's heap */
	BUDGET_TMPFS,	/* pages of tmpfs files */
	BUDGET_TASKS,	/* tasks: each costs two mappings of the Sentry, of which vm.max_map_count allows 65530 */
	BUDGET_KINDS,
};

/* Heap: half of the container's memory limit, or an eighth of the host's memory, but in these bounds.
 * Pages of tmpfs: 7/8 of the limit; without one no bound but the mount's. */
#define BUDGET_HEAP_MIN	       (32ull << 20)
#define BUDGET_HEAP_MAX	       (4ull << 30)
#define BUDGET_HEAP_MIN_FREE   (256ull << 20) /* of a container without limit */
#define BUDGET_TASKS_MAX       12000u	      /* of a container: clone(2) is EAGAIN beyond */
#define BUDGET_TASKS_ALL       28000u	      /* of the sandbox */

struct budget;

/**
 * budget_new() - the budget of a container
 * @memory_limit:	bytes that its cgroup allows, 0 = no limit
 * @host_memory:	bytes
 * Return: NULL without memory
 */
struct budget *budget_new(uint64_t memory_limit, uint64_t host_memory);
/* Its limit was changed. What is beyond a lower one stays until it is given back. */
void budget_set_limit(struct budget *b, uint64_t memory_limit);
/* The container is gone; @b goes with the last thing that is charged to it. */
void budget_end(struct budget *b);

/* Of the kthread that calls; NULL: nobody's (control, network, reactor). Borrowed: budget_hold() what outlives the call. */
struct budget *budget_current(void);
void budget_hold(struct budget *b);	/* NULL is fine, also below */
void budget_drop(struct budget *b);

/* False: @n more are beyond the bound, nothing was charged. */
bool budget_charge(struct budget *b, enum budget_kind kind, uint64_t n);
void budget_uncharge(struct budget *b, enum budget_kind kind, uint64_t n);

struct budget_use {
	uint64_t used, max, refused;	/* max 0 = unbounded; refused: how often */
};
struct budget_use budget_use(const struct budget *b, enum budget_kind kind);

/* For the allocator: bytes of heap by way of this worker's stock. */
bool budget_heap_take(struct budget *b, size_t n);
void budget_heap_give(struct budget *b, size_t n);

#endif
