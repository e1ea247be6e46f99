/* SPDX-License-Identifier: Apache-2.0
 * test/unit/run/run_test.c - kthreads, wait queues, sleeplocks, timers under real workers
 */
#include <criterion/criterion.h>
#include <stdatomic.h>
#include <time.h>

#include "sentry/run/run.h"

static void nap(void)
{
	nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
}

/* Host threads wait for an atomic to reach a value; the test's own timeout ends it otherwise. */
static void await_value(_Atomic int *v, int want)
{
	while (atomic_load(v) != want)
		nap();
}

static void setup(void)
{
	cr_assert_eq(run_start(3), 0);
}

TestSuite(run, .init = setup, .timeout = 30);

#define ROUNDS 20000

static struct waitq pp_q = WAITQ_INIT(pp_q);
static _Atomic int pp_turn, pp_done;

static void pingpong(void *arg)
{
	int me = (int)(intptr_t)arg;

	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(wait_event(&pp_q, atomic_load(&pp_turn) == me, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE), 0);
		atomic_store(&pp_turn, !me);
		waitq_wake_all(&pp_q);
	}
	atomic_fetch_add(&pp_done, 1);
}

Test(run, pingpong_loses_no_wakeup)
{
	cr_assert(kthread_start(pingpong, (void *)0, "ping"));
	cr_assert(kthread_start(pingpong, (void *)1, "pong"));
	await_value(&pp_done, 2);
}

static struct sleeplock lk;
static int lk_count; /* guarded by lk */
static _Atomic int lk_done;

static void locker(void *arg)
{
	for (int i = 0; i < 2000; i++) {
		int seen;

		sleep_lock(&lk);
		seen = lk_count;
		if (i % 64 == 0)
			sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 1000);
		else
			kthread_yield();
		lk_count = seen + 1;
		sleep_unlock(&lk);
	}
	atomic_fetch_add(&lk_done, 1);
}

Test(run, sleeplock_excludes_across_sleeps)
{
	sleeplock_init(&lk);
	for (int i = 0; i < 8; i++)
		cr_assert(kthread_start(locker, NULL, "locker"));
	await_value(&lk_done, 8);
	cr_assert_eq(lk_count, 8 * 2000);
}

static _Atomic int sl_done;
static _Atomic long sl_ret;
static struct waitq sl_q = WAITQ_INIT(sl_q);

static void sleeper(void *arg)
{
	uint64_t t0 = now_ns();
	long ret = wait_event(&sl_q, false, SLEEP_INTERRUPTIBLE, t0 + 20000000);

	cr_assert_geq(now_ns() - t0, 20000000);
	atomic_store(&sl_ret, ret);
	atomic_store(&sl_done, 1);
}

Test(run, deadline_ends_a_sleep)
{
	cr_assert(kthread_start(sleeper, NULL, "sleeper"));
	await_value(&sl_done, 1);
	cr_assert_eq(sl_ret, -LINUX_ETIMEDOUT);
}

static _Atomic(struct kthread *) in_k;
static _Atomic int in_done;
static _Atomic long in_ret[2];

static void interrupted(void *arg)
{
	atomic_store(&in_k, kthread_self());
	in_ret[0] = sleep_until(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	kthread_clear_interrupt(kthread_self());
	atomic_store(&in_done, 1);
	in_ret[1] = sleep_until(SLEEP_KILLABLE, NO_DEADLINE);
	atomic_store(&in_done, 2);
}

Test(run, signals_and_kills_interrupt_what_they_may)
{
	cr_assert(kthread_start(interrupted, NULL, "intr"));
	while (!atomic_load(&in_k))
		nap();
	kthread_interrupt(in_k, false);
	await_value(&in_done, 1);
	cr_assert_eq(in_ret[0], -ERESTARTSYS);
	kthread_interrupt(in_k, false); /* a signal does not end a killable sleep */
	for (int i = 0; i < 20; i++)
		nap();
	cr_assert_eq(in_done, 1);
	kthread_interrupt(in_k, true);
	await_value(&in_done, 2);
	cr_assert_eq(in_ret[1], -ERESTARTSYS);
}

static struct rwsem rw;
static _Atomic int rw_readers, rw_writers, rw_done, rw_bad;

static void rw_user(void *arg)
{
	for (int i = 0; i < 500; i++) {
		if ((i + (int)(intptr_t)arg) % 4 == 0) {
			rwsem_write_lock(&rw);
			rw_bad += atomic_fetch_add(&rw_writers, 1) != 0 || atomic_load(&rw_readers) != 0;
			kthread_yield();
			atomic_fetch_sub(&rw_writers, 1);
			rwsem_write_unlock(&rw);
		} else {
			rwsem_read_lock(&rw);
			atomic_fetch_add(&rw_readers, 1);
			rw_bad += atomic_load(&rw_writers) != 0;
			kthread_yield();
			atomic_fetch_sub(&rw_readers, 1);
			rwsem_read_unlock(&rw);
		}
	}
	atomic_fetch_add(&rw_done, 1);
}

Test(run, rwsem_excludes_writers)
{
	rwsem_init(&rw);
	for (int i = 0; i < 8; i++)
		cr_assert(kthread_start(rw_user, (void *)(intptr_t)i, "rw"));
	await_value(&rw_done, 8);
	cr_assert_eq(rw_bad, 0);
}

static _Atomic int block_done;

static void blocker(void *arg)
{
	host_block_begin();
	nap();
	host_block_end();
	atomic_fetch_add(&block_done, 1);
}

Test(run, blocked_host_calls_do_not_stop_others)
{
	for (int i = 0; i < 40; i++)
		cr_assert(kthread_start(blocker, NULL, "block"));
	await_value(&block_done, 40);
}
