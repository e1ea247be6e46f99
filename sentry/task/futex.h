/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/futex.h - futex(2) operations that the stub forwards, robust lists
 */
#ifndef SENTRY_FUTEX_H
#define SENTRY_FUTEX_H

#include "sentry/task/task.h"

/* Locks with the owner's number in the word. @deadline_ns: CLOCK_MONOTONIC, NO_DEADLINE. -LINUX_EAGAIN (@try, or it changes all the
 * time), -LINUX_EDEADLK, -LINUX_EFAULT, -LINUX_EINVAL, -LINUX_EPERM (unlock: not ours), -LINUX_ESRCH (no such owner), -LINUX_ETIMEDOUT,
 * -ERESTARTNOINTR. (sleep) */
long futex_pi_lock(struct task *t, uint64_t addr, bool private, bool try, uint64_t deadline_ns);
long futex_pi_unlock(struct task *t, uint64_t addr, bool private);
/* The thread ends: what it holds goes to who waits. (sleeps) */
void futex_pi_exit(struct task *t);

/* Walks the thread's robust list and marks what it holds (set_robust_list(2)); once: the list is forgotten. */
void task_robust_exit(struct task *t);

#endif
