/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/dispatch.c - from a call's number to its handler
 *
 * Model:   the way without a filter, a tracer or strace is one test, one bound check and one indirect call. Everything else hangs on
 *          task.entry_work.
 */
#include <string.h>

#include "base/log.h"
#include "sentry/syscalls/stats.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"

/* Calls per number that were answered ENOSYS for want of a handler. The last entry: numbers beyond the table. */
static _Atomic uint64_t missing[SYSCALL_MAX + 1];

static NOINLINE long no_handler(uint32_t nr)
{
	uint32_t i = MIN(nr, (uint32_t)SYSCALL_MAX);

	const char *name = i < SYSCALL_MAX && syscall_table[i].name ? syscall_table[i].name : "unknown";

	if (atomic_fetch_add_explicit(&missing[i], 1, memory_order_relaxed) == 0)
		log_user("system call %u (%s) is not implemented: programs get ENOSYS, which many of them can do without", nr, name);
	return -LINUX_ENOSYS;
}

_Static_assert(TASK_CALLS_MAX > SYSCALL_MAX, "room for every number and for those beyond");

static inline void count(struct task *t, uint32_t nr)
{
	uint32_t i = MIN(nr, (uint32_t)SYSCALL_MAX);
	uint32_t n = atomic_load_explicit(&t->calls[i], memory_order_relaxed) + 1;

	atomic_store_explicit(&t->calls[i], n, memory_order_relaxed);
	if (unlikely(!n))
		task_calls_carry(t, i);
	t->call_nr = nr;
}

static inline long call(struct task *t, uint32_t nr, const uint64_t a[6])
{
	count(t, nr);
	if (unlikely(nr >= SYSCALL_MAX || !syscall_table[nr].fn))
		return no_handler(nr);
	return syscall_table[nr].fn(t, a);
}

/* Filters, tracers, traces: in the order of Linux - tracer's entry stop, seccomp, the call, tracer's exit stop. */
static NOINLINE long dispatch_watched(struct task *t, uint32_t nr, const uint64_t args[6])
{
	uint64_t a[6];
	int32_t n = (int32_t)nr;
	bool run = true;
	long ret = -LINUX_ENOSYS;

	memcpy(a, args, sizeof(a));
	if (t->entry_work & TE_PTRACE)
		run = ptrace_syscall_entry(t, &n, a, &ret);
	if (run && (t->entry_work & TE_SECCOMP))
		run = seccomp_check(t, &n, a, &ret);
	if ((t->entry_work & TE_TRACE) && task_trace_hook)
		task_trace_hook(t, (uint32_t)n, a, NULL);
	if (run && n >= 0)
		ret = call(t, (uint32_t)n, a);
	if ((t->entry_work & TE_TRACE) && task_trace_hook)
		task_trace_hook(t, (uint32_t)n, a, &ret);
	if (t->entry_work & TE_PTRACE)
		ptrace_syscall_exit(t, &ret);
	return ret;
}

long syscall_dispatch(struct task *t, uint32_t nr, const uint64_t a[6])
{
	if (unlikely(t->entry_work))
		return dispatch_watched(t, nr, a);
	return call(t, nr, a);
}

uint64_t syscall_missing_count(uint32_t nr)
{
	return atomic_load_explicit(&missing[MIN(nr, (uint32_t)SYSCALL_MAX)], memory_order_relaxed);
}
