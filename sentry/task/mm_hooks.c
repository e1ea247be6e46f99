/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/mm_hooks.c - the platform's questions about memory, answered by the mm of the thread's task
 */
#include "sentry/task/mm_hooks.h"

#include "sentry/task/task.h"

static struct mm *mm_of(void *owner)
{
	return ((struct task *)owner)->mm;
}

static uint64_t find_near(void *owner, uint64_t near, uint64_t len)
{
	return mm_find_near(mm_of(owner), near, len);
}

static long text_lock(void *owner, uint64_t addr)
{
	return mm_text_lock(mm_of(owner), addr);
}

static void text_unlock(void *owner)
{
	mm_text_unlock(mm_of(owner));
}

static void defer_failed(struct uthread *u, const struct umem_op *op, long err)
{
	mm_defer_failed(mm_of(u->owner), u, op, err);
}

void mm_hooks_init(void)
{
	platform_find_near = find_near;
	platform_text_lock = text_lock;
	platform_text_unlock = text_unlock;
	platform_defer_failed = defer_failed;
}
