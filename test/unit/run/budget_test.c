/* SPDX-License-Identifier: Apache-2.0
 * test/unit/run/budget_test.c - a container's budget: bounds, stock, its end while something is still charged
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <time.h>

#include "sentry/run/budget.h"
#include "sentry/run/run.h"

static void setup(void)
{
	cr_assert_eq(run_start(2), 0);
}

TestSuite(budget, .init = setup, .timeout = 30);

Test(budget, bounds)
{
	struct budget *limited = budget_new(128ull << 20, 64ull << 30), *tiny = budget_new(4096, 64ull << 30), *free_ = budget_new(0, 1ull << 30);

	cr_assert_eq(budget_use(limited, BUDGET_HEAP).max, 64ull << 20);
	cr_assert_eq(budget_use(limited, BUDGET_TMPFS).max, (112ull << 20) / 4096);
	cr_assert_eq(budget_use(tiny, BUDGET_HEAP).max, BUDGET_HEAP_MIN);
	cr_assert_eq(budget_use(free_, BUDGET_HEAP).max, BUDGET_HEAP_MIN_FREE);
	cr_assert_eq(budget_use(free_, BUDGET_TMPFS).max, 0);
	budget_set_limit(limited, 0);
	cr_assert_eq(budget_use(limited, BUDGET_HEAP).max, BUDGET_HEAP_MAX);
	cr_assert_eq(budget_use(limited, BUDGET_TMPFS).max, 0);
	budget_end(limited);
	budget_end(tiny);
	budget_end(free_);
}

Test(budget, refuses_at_the_bound)
{
	struct budget *b = budget_new(0, 0);
	uint64_t max = budget_use(b, BUDGET_HEAP).max;

	cr_assert(budget_charge(b, BUDGET_HEAP, max));
	cr_assert_not(budget_charge(b, BUDGET_HEAP, 1));
	cr_assert_eq(budget_use(b, BUDGET_HEAP).refused, 1);
	budget_uncharge(b, BUDGET_HEAP, 10);
	cr_assert(budget_charge(b, BUDGET_HEAP, 10));
	cr_assert_not(budget_charge(b, BUDGET_HEAP, UINT64_MAX / 2));
	cr_assert(budget_charge(b, BUDGET_TMPFS, 1ull << 40)); /* no limit of memory: none of pages */
	budget_uncharge(b, BUDGET_TMPFS, 1ull << 40);
	budget_end(b);
	budget_uncharge(b, BUDGET_HEAP, max); /* the last one: frees it */
}

Test(budget, stock_counts)
{
	struct budget *b = budget_new(0, 0), *o = budget_new(0, 0);
	unsigned n = 0;

	while (budget_heap_take(b, 4096))
		n++;
	cr_assert_leq(n, BUDGET_HEAP_MIN_FREE / 4096);
	cr_assert_geq(n, BUDGET_HEAP_MIN_FREE / 4096 - 32); /* a stock of 32 KiB was never in the way */
	cr_assert(budget_heap_take(o, 100)); /* stock changes hands */
	for (unsigned i = 0; i < n; i++)
		budget_heap_give(b, 4096);
	cr_assert_leq(budget_use(b, BUDGET_HEAP).used, 128u * 1024);
	cr_assert(budget_heap_take(b, 4096));
}

static struct budget *seen[2];
static _Atomic int done;

static void who_pays(void *arg)
{
	seen[0] = budget_current();
	kthread_set_budget(kthread_self(), arg);
	kthread_yield();
	seen[1] = budget_current();
	kthread_set_budget(kthread_self(), NULL);
	atomic_store(&done, 1);
}

Test(budget, of_the_kthread)
{
	struct budget *b = budget_new(0, 0);

	cr_assert_null(budget_current());
	cr_assert_not_null(kthread_start(who_pays, b, "payer"));
	while (!atomic_load(&done))
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	cr_assert_null(seen[0]);
	cr_assert_eq(seen[1], b);
	budget_end(b);
}
