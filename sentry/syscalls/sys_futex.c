/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_futex.c - futex(2) and its newer forms, restart_syscall(2)
 *
 * Model:   futexes are the host's: the stub makes these calls by itself. They come here only when a filter, a tracer or strace wants to
 *          see every call; then the stub is told to go ahead. Locks that know their owner are task/futex_pi.c's.
 * Source:  futex(2).
 * Differs: no WAIT_REQUEUE_PI, CMP_REQUEUE_PI (ENOSYS).
 */
#include "sentry/abi/futex.h"
#include "sentry/abi/time.h"
#include "sentry/mm/uaccess.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/futex.h"
#include "sentry/task/timers.h"

static long stub_goes_ahead(struct task *t)
{
	uthread_answer_local(t->u);
	task_set_work(t, TW_NORET);
	return 0;
}

/* LOCK_PI counts by the wall clock always, LOCK_PI2 on request. */
static long lock_pi(struct task *t, uint64_t addr, uint32_t op, bool try, struct gptr utime)
{
	bool wall = (op & LINUX_FUTEX_CLOCK_REALTIME) || (op & LINUX_FUTEX_CMD_MASK) == LINUX_FUTEX_LOCK_PI;
	uint64_t deadline = NO_DEADLINE;
	struct linux_timespec ts;

	if (utime.v && !try) {
		if (copyin_obj(t->u, &ts, utime) < 0)
			return -LINUX_EFAULT;
		if (!timespec_valid(&ts))
			return -LINUX_EINVAL;
		deadline = clock_deadline(wall ? LINUX_CLOCK_REALTIME : LINUX_CLOCK_MONOTONIC, true, timespec_ns(&ts));
	}
	return futex_pi_lock(t, addr, op & LINUX_FUTEX_PRIVATE_FLAG, try, deadline);
}

SYSCALL_DEFINE6(futex, struct gptr, uaddr, uint32_t, op, uint32_t, val, struct gptr, timeout, struct gptr, uaddr2, uint32_t, val3)
{
	switch (op & LINUX_FUTEX_CMD_MASK) {
	case LINUX_FUTEX_WAIT:
	case LINUX_FUTEX_WAKE:
	case LINUX_FUTEX_REQUEUE:
	case LINUX_FUTEX_CMP_REQUEUE:
	case LINUX_FUTEX_WAKE_OP:
	case LINUX_FUTEX_WAIT_BITSET:
	case LINUX_FUTEX_WAKE_BITSET:
		/* What the stub refused when it was asked first, it refuses with ENOSYS. */
		return stub_goes_ahead(t);
	case LINUX_FUTEX_LOCK_PI:
	case LINUX_FUTEX_LOCK_PI2:
		return lock_pi(t, uaddr.v, op, false, timeout);
	case LINUX_FUTEX_TRYLOCK_PI:
		return lock_pi(t, uaddr.v, op, true, timeout);
	case LINUX_FUTEX_UNLOCK_PI:
		return futex_pi_unlock(t, uaddr.v, op & LINUX_FUTEX_PRIVATE_FLAG);
	}
	return -LINUX_ENOSYS;
}

#define FUTEX_OF_THE_STUB(name)                                                                    \
	SYSCALL_DEFINE0(name)                                                                      \
	{                                                                                          \
		return stub_goes_ahead(t);                                                         \
	}
FUTEX_OF_THE_STUB(futex_waitv)
FUTEX_OF_THE_STUB(futex_wake)
FUTEX_OF_THE_STUB(futex_wait)
FUTEX_OF_THE_STUB(futex_requeue)

/* The Sentry continues its own calls without the guest's help (task_main.c): what is asked for here is one of the stub's. One
 * that the stub knows nothing of any more, because a handler ran in between, ends as it does in Linux. */
SYSCALL_DEFINE0(restart_syscall)
{
	if (!t->entry_work)
		return -LINUX_EINTR;
	return stub_goes_ahead(t);
}
