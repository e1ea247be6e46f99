/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/timers.h - clocks as tasks see them, POSIX timers, interval timers, CPU-time limits
 *
 * Model:   wall-clock timers are host timers of the reactor (struct ktimer). CPU-time timers have no tick to ride on: they are
 *          host timers set to the earliest moment at which the time can be used up, which look at the clock then
 *          and sleep again for what is left.
 * Locks:   group->sig_mu guards a group's timers; struct ktimer's own lock is below it.
 * Source:  timer_create(2), setitimer(2), getrlimit(2) RLIMIT_CPU, clock_getcpuclockid(3).
 */
#ifndef SENTRY_TIMERS_H
#define SENTRY_TIMERS_H

#include "sentry/abi/time.h"
#include "sentry/task/signal.h"

struct posix_timer;
struct group_timers;

/* Time of clock @id for @t. -LINUX_EINVAL: no such clock or process. */
long clock_now(struct task *t, int id, uint64_t *out_ns);
/* Sleeping on it makes sense (REALTIME, MONOTONIC, BOOTTIME, TAI, alarms, process CPU). */
bool clock_is_wall(int id);
/* CLOCK_MONOTONIC deadline of an absolute or relative time on wall clock @id. */
uint64_t clock_deadline(int id, bool absolute, uint64_t ns);
/* Resolution in ns, or -LINUX_EINVAL. */
long clock_res(struct task *t, int id);

/* A signal of a timer left its queue: overrun count into @si, next expiry. sig_mu held. */
void posix_timer_taken_locked(struct posix_timer *pt, struct linux_siginfo_head *si);
void timers_exec(struct tgroup *g);	/* execve(2): POSIX timers go, interval timers stay */
void timers_exit(struct tgroup *g);	/* the last thread ends: all go */
void timers_group_free(struct tgroup *g);

long posix_timer_create(struct task *t, int clock, const struct linux_sigevent *ev /* NULL default */, int *out_id);
long posix_timer_settime(struct task *t, int id, int flags, const struct linux_itimerspec *new_,
			 struct linux_itimerspec *old);
long posix_timer_gettime(struct task *t, int id, struct linux_itimerspec *out);
long posix_timer_getoverrun(struct task *t, int id);
long posix_timer_delete(struct task *t, int id);

struct itimer_value {
	uint64_t interval_ns, value_ns;
};
long itimer_set(struct task *t, int which, const struct itimer_value *new_, struct itimer_value *old);
long itimer_get(struct task *t, int which, struct itimer_value *out);
void timers_cpu_limit_changed(struct tgroup *g); /* RLIMIT_CPU was set */

static inline bool timespec_valid(const struct linux_timespec *ts)
{
	return ts->sec >= 0 && ts->nsec >= 0 && ts->nsec < (int64_t)NSEC_PER_SEC;
}
/* Saturates just below NO_DEADLINE. */
static inline uint64_t timespec_ns(const struct linux_timespec *ts)
{
	if ((uint64_t)ts->sec >= INT64_MAX / NSEC_PER_SEC)
		return INT64_MAX;
	return (uint64_t)ts->sec * NSEC_PER_SEC + (uint64_t)ts->nsec;
}
static inline struct linux_timespec ns_timespec(uint64_t ns)
{
	return (struct linux_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

#endif
