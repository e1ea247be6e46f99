/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/kthread.c - kernel threads: stacks, switching, sleep and wake
 *
 * Model:   struct kthread lives at the top of its own stack; stacks are recycled through a small cache. State edges are
 *          drawn in run_internal.h.
 * Locks:   stack_cache.mu is a leaf.
 *
 * The race that wait_prepare() closes:
 *
 *	sleeper				waker
 *	condition is false
 *					makes it true, wakes: state is RUNNING, nothing to do
 *	parks, for ever
 *
 * With state = PREPARED before the condition is read (both sequentially consistent), the waker either is seen by the
 * sleeper's test or sees PREPARED and turns it into WOKEN, which the worker honours after the switch.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/arch/x86_64/kstack.h"
#include "sentry/run/run_internal.h"

#ifdef SENTRY_ASAN
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#define STACK_GUARD	 PAGE_SIZE
#define STACK_CACHE_MAX	 64

static struct {
	struct mutex mu;
	unsigned nr;
	void *free[STACK_CACHE_MAX];
} stack_cache;

static void *stack_get(void)
{
	void *p = NULL;
	long ret;

	mutex_lock(&stack_cache.mu);
	if (stack_cache.nr)
		p = stack_cache.free[--stack_cache.nr];
	mutex_unlock(&stack_cache.mu);
	if (p)
		return p;
	ret = host_call(mmap, NULL, KSTACK_SIZE + STACK_GUARD, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (ret < 0 && ret > -4096)
		return NULL;
	if (host_call(mprotect, ret + STACK_GUARD, KSTACK_SIZE, PROT_READ | PROT_WRITE) < 0) {
		host_call(munmap, ret, KSTACK_SIZE + STACK_GUARD);
		return NULL;
	}
	return (char *)ret + STACK_GUARD;
}

static void stack_put(void *stack)
{
#ifdef SENTRY_ASAN
	__asan_unpoison_memory_region(stack, KSTACK_SIZE);
#endif
	mutex_lock(&stack_cache.mu);
	if (stack_cache.nr < STACK_CACHE_MAX) {
		stack_cache.free[stack_cache.nr++] = stack;
		stack = NULL;
	}
	mutex_unlock(&stack_cache.mu);
	if (stack)
		host_call(munmap, (char *)stack - STACK_GUARD, KSTACK_SIZE + STACK_GUARD);
}

static void fiber_finish(struct kthread *k)
{
#ifdef SENTRY_ASAN
	__sanitizer_finish_switch_fiber(k->asan_fake, &k->worker->stack_lo, &k->worker->stack_len);
#endif
}

static void kthread_main(void)
{
	struct kthread *k = kthread_self();

	fiber_finish(k);
	k->fn(k->arg);
	kthread_switch_out(k, KR_EXIT);
	BUG_ON(true);
}

static void sleep_timer_fn(struct ktimer *t)
{
	kthread_wake(container_of(t, struct kthread, timer));
}

struct kthread *kthread_alloc(void (*fn)(void *), void *arg, const char *name)
{
	char *stack = stack_get();
	struct kthread *k;

	if (!stack)
		return NULL;
	k = (struct kthread *)(stack + KSTACK_SIZE - ALIGN_UP(sizeof(*k), 64));
	memset(k, 0, sizeof(*k));
	list_init(&k->rq_node);
	k->stack = stack;
	k->fn = fn;
	k->arg = arg;
	k->sleep_kind = SLEEP_NONE;
	ktimer_init(&k->timer, sleep_timer_fn);
	snprintf(k->name, sizeof(k->name), "%s", name);
	k->sp = kstack_init(k, kthread_main);
	return k;
}

void kthread_free(struct kthread *k)
{
	ktimer_cancel_sync(&k->timer);
	stack_put(k->stack);
}

struct kthread *kthread_start(void (*fn)(void *), void *arg, const char *name)
{
	struct kthread *k = kthread_alloc(fn, arg, name);

	if (k)
		runq_push(k);
	return k;
}

struct kthread *kthread_self(void)
{
	struct worker *w = worker_self();

	return w ? w->cur : NULL;
}

void kthread_set_private(struct kthread *k, void *p)
{
	k->priv = p;
}

void *kthread_private(struct kthread *k)
{
	return k->priv;
}

/* Back to the worker's scheduler. On return @k may be on another worker. */
void kthread_switch_out(struct kthread *k, enum kreason why)
{
	struct worker *w = k->worker;

	mutex_watch_none("switch away");
	k->reason = why;
#ifdef SENTRY_ASAN
	__sanitizer_start_switch_fiber(why == KR_EXIT ? NULL : &k->asan_fake, w->stack_lo, w->stack_len);
#endif
	kstack_switch(&k->sp, w->sp);
	fiber_finish(k);
}

void kthread_yield(void)
{
	kthread_switch_out(kthread_self(), KR_YIELD);
}

/* ---- sleep and wake ------------------------------------------------------------------------------ */

bool kthread_claim(struct kthread *k)
{
	uint32_t s = atomic_load(&k->state);

	for (;;) {
		if (s == K_PARKED) {
			if (atomic_compare_exchange_weak(&k->state, &s, K_RUNNING))
				return true;
		} else if (s == K_PREPARED) {
			if (atomic_compare_exchange_weak(&k->state, &s, K_WOKEN))
				return false;
		} else {
			return false;
		}
	}
}

void kthread_wake(struct kthread *k)
{
	if (kthread_claim(k))
		runq_push(k);
}

void wait_begin(struct waiter *w)
{
	*w = (struct waiter){ .k = kthread_self() };
	list_init(&w->node);
	BUG_ON(!w->k);
}

void wait_prepare(void)
{
	atomic_store(&kthread_self()->state, K_PREPARED);
}

/* Interrupt marks that end a sleep of @kind. */
static uint32_t intr_mask(uint32_t kind)
{
	switch (kind) {
	case SLEEP_INTERRUPTIBLE:
		return KINTR_SIGNAL | KINTR_KILL;
	case SLEEP_KILLABLE:
		return KINTR_KILL;
	default:
		return 0;
	}
}

long wait_sleep(enum sleep_kind kind, uint64_t deadline_ns)
{
	struct kthread *k = kthread_self();
	uint32_t mask = intr_mask(kind);
	long ret = 0;

	/* kthread_interrupt() sets the mark and then reads sleep_kind; here it is the other way round. */
	atomic_store(&k->sleep_kind, kind);
	if (atomic_load(&k->intr) & mask) {
		ret = -ERESTARTSYS;
	} else if (deadline_ns != NO_DEADLINE && now_ns() >= deadline_ns) {
		ret = -LINUX_ETIMEDOUT;
	} else {
		if (deadline_ns != NO_DEADLINE)
			ktimer_arm(&k->timer, deadline_ns);
		if (k->guest)
			kthread_sleep_hook(k->guest);
		kthread_switch_out(k, KR_SLEEP);
		if (deadline_ns != NO_DEADLINE) {
			ktimer_cancel(&k->timer);
			if (now_ns() >= deadline_ns)
				ret = -LINUX_ETIMEDOUT;
		}
		if (!ret && (atomic_load(&k->intr) & mask))
			ret = -ERESTARTSYS;
	}
	atomic_store(&k->sleep_kind, SLEEP_NONE);
	atomic_store(&k->state, K_RUNNING);
	return ret;
}

long sleep_until(enum sleep_kind kind, uint64_t deadline_ns)
{
	long ret;

	do {
		wait_prepare();
		ret = wait_sleep(kind, deadline_ns);
	} while (!ret);
	return ret;
}

void kthread_interrupt(struct kthread *k, bool kill)
{
	atomic_fetch_or(&k->intr, kill ? KINTR_SIGNAL | KINTR_KILL : KINTR_SIGNAL);
	if (intr_mask(atomic_load(&k->sleep_kind)) & atomic_load(&k->intr))
		kthread_wake(k);
}

void kthread_clear_interrupt(struct kthread *k)
{
	atomic_store(&k->intr, 0);
}

bool kthread_interrupted(struct kthread *k)
{
	return atomic_load_explicit(&k->intr, memory_order_relaxed) != 0;
}

void (*kthread_sleep_hook)(void *guest);

void kthread_set_guest(struct kthread *k, void *guest)
{
	k->guest = kthread_sleep_hook ? guest : NULL;
}

void kthread_suspend(void)
{
	struct kthread *k = kthread_self();

	while (!atomic_exchange(&k->resume_token, 0)) {
		kthread_switch_out(k, KR_SLEEP);
		wait_prepare();
	}
	atomic_store(&k->state, K_RUNNING);
}

void kthread_resume(struct kthread *k)
{
	atomic_store(&k->resume_token, 1);
	kthread_wake(k);
}
