/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_time.c - clocks, sleeping, timers
 */
#include "base/hostcall.h"
#include "sentry/abi/time.h"
#include "sentry/abi/wait.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/acct.h"
#include "sentry/task/timers.h"

/* ---- reading ---------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE2(clock_gettime, int, id, struct gptr, uts)
{
	struct linux_timespec ts;
	uint64_t ns;

	if (clock_now(t, id, &ns) < 0)
		return -LINUX_EINVAL;
	ts = ns_timespec(ns);
	return copyout_obj(t->u, uts, &ts);
}

SYSCALL_DEFINE2(clock_getres, int, id, struct gptr, uts)
{
	long res = clock_res(t, id);
	struct linux_timespec ts;

	if (res < 0)
		return res;
	ts = ns_timespec((uint64_t)res);
	return uts.v ? copyout_obj(t->u, uts, &ts) : 0;
}

SYSCALL_DEFINE2(gettimeofday, struct gptr, utv, struct gptr, utz)
{
	uint64_t ns = now_real_ns();
	struct linux_timeval tv = { (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / 1000) };
	struct linux_timezone tz = { 0, 0 };

	if (utv.v && copyout_obj(t->u, utv, &tv) < 0)
		return -LINUX_EFAULT;
	return utz.v ? copyout_obj(t->u, utz, &tz) : 0;
}

SYSCALL_DEFINE1(time, struct gptr, out)
{
	int64_t s = (int64_t)(now_real_ns() / NSEC_PER_SEC);

	if (out.v && copyout_obj(t->u, out, &s) < 0)
		return -LINUX_EFAULT;
	return s;
}

SYSCALL_DEFINE1(times, struct gptr, out)
{
	const uint64_t tick = NSEC_PER_SEC / LINUX_CLK_TCK;
	struct cpu_times ct = acct_group_times(t->group);
	struct linux_tms v = { (int64_t)(ct.utime_ns / tick), (int64_t)(ct.stime_ns / tick), 0, 0 };

	mutex_lock(&t->group->acct->mu);
	v.cutime = (int64_t)(t->group->acct->children.utime_ns / tick);
	v.cstime = (int64_t)(t->group->acct->children.stime_ns / tick);
	mutex_unlock(&t->group->acct->mu);
	if (out.v && copyout_obj(t->u, out, &v) < 0)
		return -LINUX_EFAULT;
	return (long)(now_ns() / tick);
}

/* ---- setting: the host's clock is not the guest's to set --------------------------------------------------- */

SYSCALL_DEFINE2(clock_settime, int, id, struct gptr, uts)
{
	struct linux_timespec ts;

	if (copyin_obj(t->u, &ts, uts) < 0)
		return -LINUX_EFAULT;
	if (id != LINUX_CLOCK_REALTIME || !timespec_valid(&ts))
		return -LINUX_EINVAL;
	return -LINUX_EPERM;
}

SYSCALL_DEFINE2(settimeofday, struct gptr, utv, struct gptr, utz)
{
	return -LINUX_EPERM;
}

/* ---- sleeping ------------------------------------------------------------------------------------------------- */

/* restart_data: deadline, address of the remaining time, clock (-1: none to report in). */
static long sleep_on(struct task *t, uint64_t deadline, uint64_t urem);

static long sleep_again(struct task *t)
{
	return sleep_on(t, t->restart_data[0], t->restart_data[1]);
}

static long sleep_on(struct task *t, uint64_t deadline, uint64_t urem)
{
	struct linux_timespec rem;
	uint64_t now;

	if (sleep_until(SLEEP_INTERRUPTIBLE, deadline) != -ERESTARTSYS)
		return 0;
	now = now_ns();
	if (now >= deadline)
		return 0;
	if (urem) {
		rem = ns_timespec(deadline - now);
		if (copyout_obj(t->u, GPTR(urem), &rem) < 0)
			return -LINUX_EFAULT;
	}
	t->restart_fn = sleep_again;
	t->restart_data[0] = deadline;
	t->restart_data[1] = urem;
	return -ERESTART_RESTARTBLOCK;
}

/* Processor clocks: looks again when the time can at the earliest be used up. */
static long sleep_cpu(struct task *t, int id, bool absolute, uint64_t ns, uint64_t urem)
{
	uint64_t now, end;
	long ret = clock_now(t, id, &now);

	if (ret < 0)
		return ret;
	end = absolute ? ns : now + ns;
	while (now < end) {
		uint64_t left = (end - now) / MAX(t->group->nr_threads, 1u);

		if (sleep_until(SLEEP_INTERRUPTIBLE, now_ns() + MAX(left, 1000000ull)) == -ERESTARTSYS) {
			struct linux_timespec rem = ns_timespec(end - now);

			if (absolute)
				return -ERESTARTNOHAND;
			if (urem && copyout_obj(t->u, GPTR(urem), &rem) < 0)
				return -LINUX_EFAULT;
			return -LINUX_EINTR;
		}
		ret = clock_now(t, id, &now);
		if (ret < 0)
			return ret;
	}
	return 0;
}


SYSCALL_DEFINE2(nanosleep, struct gptr, ureq, struct gptr, urem)
{
	struct linux_timespec ts;

	if (copyin_obj(t->u, &ts, ureq) < 0)
		return -LINUX_EFAULT;
	if (!timespec_valid(&ts))
		return -LINUX_EINVAL;
	return sleep_on(t, clock_deadline(LINUX_CLOCK_MONOTONIC, false, timespec_ns(&ts)), urem.v);
}

SYSCALL_DEFINE4(clock_nanosleep, int, id, int, flags, struct gptr, ureq, struct gptr, urem)
{
	struct linux_timespec ts;
	uint64_t now, deadline;
	bool absolute = flags & LINUX_TIMER_ABSTIME;

	if (clock_now(t, id, &now) < 0)
		return -LINUX_EINVAL;
	if ((id >= 0 && !clock_is_wall(id) && id != LINUX_CLOCK_PROCESS_CPUTIME_ID) || id == LINUX_CLOCK_REALTIME_ALARM ||
	    id == LINUX_CLOCK_BOOTTIME_ALARM)
		return -LINUX_EOPNOTSUPP;
	if (copyin_obj(t->u, &ts, ureq) < 0)
		return -LINUX_EFAULT;
	if (!timespec_valid(&ts))
		return -LINUX_EINVAL;
	if (!clock_is_wall(id))
		return sleep_cpu(t, id, absolute, timespec_ns(&ts), absolute ? 0 : urem.v);
	deadline = clock_deadline(id, absolute, timespec_ns(&ts));
	if (!absolute)
		return sleep_on(t, deadline, urem.v);
	return sleep_until(SLEEP_INTERRUPTIBLE, deadline) == -ERESTARTSYS && now_ns() < deadline ? -ERESTARTNOHAND : 0;
}

/* ---- adjtimex ---------------------------------------------------------------------------------------------------- */

#define ADJ_ADJTIME	      0x8000u
#define ADJ_OFFSET_SINGLESHOT 0x0001u
#define ADJ_OFFSET_READONLY   0x2000u
#define STA_UNSYNC	      0x0040
#define TIME_ERROR	      5
#define NTP_PHASE_LIMIT	      16000000 /* us */

/* The clock is the host's: to be read, as one that nobody has synchronised. */
static long adjust(struct task *t, struct gptr utx)
{
	struct linux_timex tx;
	struct linux_timespec now = ns_timespec(now_real_ns());

	if (copyin_obj(t->u, &tx, utx) < 0)
		return -LINUX_EFAULT;
	if ((tx.modes & ADJ_ADJTIME) && !(tx.modes & ADJ_OFFSET_SINGLESHOT))
		return -LINUX_EINVAL;
	if (tx.modes && !((tx.modes & ADJ_ADJTIME) && (tx.modes & ADJ_OFFSET_READONLY)))
		return -LINUX_EPERM;
	tx = (struct linux_timex){ .modes = tx.modes, .maxerror = NTP_PHASE_LIMIT, .esterror = NTP_PHASE_LIMIT, .status = STA_UNSYNC,
				   .constant = 2, .precision = 1, .tolerance = 500 << 16, .time_sec = now.sec,
				   .time_usec = now.nsec / 1000, .tick = 10000 };
	return copyout_obj(t->u, utx, &tx) ?: TIME_ERROR;
}

SYSCALL_DEFINE1(adjtimex, struct gptr, utx)
{
	return adjust(t, utx);
}

SYSCALL_DEFINE2(clock_adjtime, int, id, struct gptr, utx)
{
	uint64_t now;

	if (id == LINUX_CLOCK_REALTIME)
		return adjust(t, utx);
	return clock_now(t, id, &now) < 0 ? -LINUX_EINVAL : -LINUX_EOPNOTSUPP;
}

/* ---- POSIX timers ----------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE3(timer_create, int, id, struct gptr, uev, struct gptr, uid)
{
	struct linux_sigevent ev;
	int timer;
	long ret;

	if (uev.v && copyin_obj(t->u, &ev, uev) < 0)
		return -LINUX_EFAULT;
	ret = posix_timer_create(t, id, uev.v ? &ev : NULL, &timer);
	if (!ret && copyout_obj(t->u, uid, &timer) < 0) {
		posix_timer_delete(t, timer);
		ret = -LINUX_EFAULT;
	}
	return ret;
}

SYSCALL_DEFINE4(timer_settime, int, id, int, flags, struct gptr, unew, struct gptr, uold)
{
	struct linux_itimerspec new_, old;
	long ret;

	if (!unew.v)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &new_, unew) < 0)
		return -LINUX_EFAULT;
	ret = posix_timer_settime(t, id, flags, &new_, uold.v ? &old : NULL);
	if (!ret && uold.v && copyout_obj(t->u, uold, &old) < 0)
		ret = -LINUX_EFAULT;
	return ret;
}

SYSCALL_DEFINE2(timer_gettime, int, id, struct gptr, out)
{
	struct linux_itimerspec v;
	long ret = posix_timer_gettime(t, id, &v);

	return ret ?: copyout_obj(t->u, out, &v);
}

SYSCALL_DEFINE1(timer_getoverrun, int, id)
{
	return posix_timer_getoverrun(t, id);
}

SYSCALL_DEFINE1(timer_delete, int, id)
{
	return posix_timer_delete(t, id);
}

/* ---- interval timers ------------------------------------------------------------------------------------------------ */

struct linux_itimerval {
	struct linux_timeval interval, value;
};

static bool timeval_valid(const struct linux_timeval *tv)
{
	return tv->sec >= 0 && tv->usec >= 0 && tv->usec < 1000000;
}

static uint64_t timeval_ns(const struct linux_timeval *tv)
{
	struct linux_timespec ts = { tv->sec, tv->usec * 1000 };

	return MIN(timespec_ns(&ts), (uint64_t)INT64_MAX / 4);
}

static struct linux_timeval ns_timeval(uint64_t ns)
{
	ns += 999; /* never shows less than is left */
	return (struct linux_timeval){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC / 1000) };
}

static long put_itimer(struct task *t, struct gptr out, const struct itimer_value *v)
{
	struct linux_itimerval iv = { ns_timeval(v->interval_ns), ns_timeval(v->value_ns) };

	return copyout_obj(t->u, out, &iv);
}

SYSCALL_DEFINE2(getitimer, int, which, struct gptr, out)
{
	struct itimer_value v;

	if (which < 0 || which > LINUX_ITIMER_PROF)
		return -LINUX_EINVAL;
	itimer_get(t, which, &v);
	return put_itimer(t, out, &v);
}

SYSCALL_DEFINE3(setitimer, int, which, struct gptr, unew, struct gptr, uold)
{
	struct itimer_value new_ = { 0 }, old;
	struct linux_itimerval iv;
	long ret;

	if (unew.v) {
		if (copyin_obj(t->u, &iv, unew) < 0)
			return -LINUX_EFAULT;
		if (!timeval_valid(&iv.interval) || !timeval_valid(&iv.value))
			return -LINUX_EINVAL;
		new_.interval_ns = timeval_ns(&iv.interval);
		new_.value_ns = timeval_ns(&iv.value);
	}
	if (which < 0 || which > LINUX_ITIMER_PROF)
		return -LINUX_EINVAL;
	ret = itimer_set(t, which, &new_, &old);
	if (ret < 0)
		return ret;
	return uold.v ? put_itimer(t, uold, &old) : 0;
}

SYSCALL_DEFINE1(alarm, uint32_t, seconds)
{
	struct itimer_value new_ = { 0, seconds * NSEC_PER_SEC }, old;
	uint64_t left;

	if (itimer_set(t, LINUX_ITIMER_REAL, &new_, &old) < 0)
		return 0;
	left = (old.value_ns + NSEC_PER_SEC / 2) / NSEC_PER_SEC;
	return (long)(old.value_ns && !left ? 1 : left);
}
