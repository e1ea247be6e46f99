/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_calls.c - how often each system call was made
 *
 * Model:   every task counts its own calls, without a lock or a shared cache line; a task that ends adds them to its container.
 *          Calls that the stub answers by itself are not seen by the Sentry and not counted.
 * Locks:   calls_mu, a leaf: a reader never finds the calls of a task that ends in both places, or in none.
 */
#include "sentry/task/container.h"
#include "sentry/task/task_internal.h"

_Atomic bool task_trace_new;

static struct mutex calls_mu = MUTEX_INIT;

void task_calls_end(struct task *t)
{
	struct container *c = t->group->container;

	mutex_lock(&calls_mu);
	for (uint32_t nr = 0; c && nr < TASK_CALLS_MAX; nr++) {
		c->calls[nr] += atomic_load_explicit(&t->calls[nr], memory_order_relaxed);
		atomic_store_explicit(&t->calls[nr], 0, memory_order_relaxed);
	}
	mutex_unlock(&calls_mu);
}

void task_calls_carry(struct task *t, uint32_t nr)
{
	mutex_lock(&calls_mu);
	if (t->group->container)
		t->group->container->calls[nr] += UINT64_C(1) << 32;
	mutex_unlock(&calls_mu);
}

void container_calls(struct container *c, uint64_t out[TASK_CALLS_MAX])
{
	struct tgroup *g;
	struct task *t;

	mutex_lock(&tasks_mu);
	mutex_lock(&calls_mu);
	for (uint32_t nr = 0; nr < TASK_CALLS_MAX; nr++)
		out[nr] = c->calls[nr];
	list_for_each_entry (g, &c->groups, container_node)
		list_for_each_entry (t, &g->threads, thread_node)
			for (uint32_t nr = 0; nr < TASK_CALLS_MAX; nr++)
				out[nr] += atomic_load_explicit(&t->calls[nr], memory_order_relaxed);
	mutex_unlock(&calls_mu);
	mutex_unlock(&tasks_mu);
}
