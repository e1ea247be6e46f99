/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/posix_timers.c - timer_create(2) and its family
 *
 * Model:   a timer owns one queue entry: while its signal is pending it does not run, and what it missed is counted as overrun when
 *          the signal is taken. Timers on processor clocks poll their clock like the interval timers.
 * Locks:   sig_mu guards all; deletion unlinks under it, then waits for a running expiry without it.
 * Source:  timer_create(2), timer_settime(2), timer_getoverrun(2), sigevent(7).
 */
#include <string.h>

#include "sentry/task/acct.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/timers_internal.h"

#define TIMERS_MAX     65536u	/* per process */
#define DELAYTIMER_MAX INT32_MAX

struct posix_timer {
	struct ktimer kt;
	struct sigqueue q;
	struct tgroup *g;	/* borrowed */
	struct task *target;	/* SIGEV_THREAD_ID: reference */
	int id, clock, notify;
	bool cpu, armed, deleted;
	uint64_t interval_ns;
	uint64_t expires_ns;	/* CLOCK_MONOTONIC, or processor time */
	int64_t overrun;	/* of the last signal taken */
};

static uint64_t cpu_clock(struct posix_timer *pt)
{
	struct cpu_times ct = pt->clock == LINUX_CLOCK_THREAD_CPUTIME_ID && pt->target ? acct_thread_times(pt->target)
										       : acct_group_times(pt->g);

	return ct.utime_ns + (pt->clock < 0 && (pt->clock & 3) == LINUX_CPUCLOCK_VIRT ? 0 : ct.stime_ns);
}

/* sig_mu held; @clk: the timer's clock now. */
static void arm_locked(struct posix_timer *pt, uint64_t clk)
{
	uint64_t left = pt->expires_ns > clk ? pt->expires_ns - clk : 0;

	pt->armed = true;
	if (pt->cpu)
		ktimer_arm(&pt->kt, now_ns() + MAX(left / MAX(pt->g->nr_threads, 1u), CPU_POLL_MIN_NS));
	else
		ktimer_arm(&pt->kt, pt->expires_ns);
}

/* Steps over the periods that have passed. Return: how many. */
static uint64_t forward_locked(struct posix_timer *pt, uint64_t clk)
{
	uint64_t n = 0;

	if (pt->expires_ns <= clk) {
		n = (clk - pt->expires_ns) / pt->interval_ns;
		pt->expires_ns += (n + 1) * pt->interval_ns;
	}
	return n;
}

static void expire(struct ktimer *kt)
{
	struct posix_timer *pt = container_of(kt, struct posix_timer, kt);
	uint64_t clk = pt->cpu ? cpu_clock(pt) : now_ns();

	mutex_lock(&pt->g->sig_mu);
	if (pt->deleted || !pt->armed)
		goto out;
	if (pt->expires_ns > clk) { /* set anew, or a processor clock that is not there yet */
		arm_locked(pt, clk);
		goto out;
	}
	pt->armed = false;
	if (pt->notify != LINUX_SIGEV_NONE) {
		signal_send_timer(pt->g, pt->notify & LINUX_SIGEV_THREAD_ID ? pt->target : NULL, &pt->q);
		if (!list_empty(&pt->q.node))
			goto out; /* goes on when the signal is taken */
	}
	if (pt->interval_ns) { /* nobody hears it: keep time */
		forward_locked(pt, clk);
		if (pt->notify != LINUX_SIGEV_NONE)
			pt->expires_ns = MAX(pt->expires_ns, clk + REARM_MIN_NS);
		arm_locked(pt, clk);
	}
out:
	mutex_unlock(&pt->g->sig_mu);
}

void posix_timer_taken_locked(struct posix_timer *pt, struct linux_siginfo_head *si)
{
	uint64_t now;

	pt->overrun = 0;
	if (pt->interval_ns && !pt->deleted) {
		now = pt->cpu ? cpu_clock(pt) : now_ns();
		pt->overrun = (int64_t)MIN(forward_locked(pt, now), (uint64_t)DELAYTIMER_MAX);
		arm_locked(pt, now);
	}
	si->timer.overrun = (int32_t)pt->overrun;
}

/* ---- table ------------------------------------------------------------------------------------------------- */

static struct posix_timer *find_locked(struct tgroup *g, int id)
{
	struct group_timers *gt = g->timers;

	return gt && id >= 0 && (uint32_t)id < gt->cap ? gt->tab[id] : NULL;
}

static long insert(struct group_timers *gt, struct posix_timer *pt)
{
	struct posix_timer **n;
	uint32_t i, cap;
	long ret = 0;

	mutex_lock(&gt->g->sig_mu);
	for (i = 0; i < gt->cap && gt->tab[i]; i++)
		;
	if (i == gt->cap) {
		cap = gt->cap ? gt->cap * 2 : 8;
		n = cap <= TIMERS_MAX ? realloc(gt->tab, cap * sizeof(*n)) : NULL;
		if (!n) {
			ret = -LINUX_EAGAIN;
			goto out;
		}
		memset(n + gt->cap, 0, (cap - gt->cap) * sizeof(*n));
		gt->tab = n;
		gt->cap = cap;
	}
	gt->tab[i] = pt;
	pt->id = (int)i;
	pt->q.info.timer.tid = pt->id;
out:
	mutex_unlock(&gt->g->sig_mu);
	return ret;
}

static void timer_free(struct posix_timer *pt)
{
	task_put(pt->target);
	free(pt);
}

/* Unlinked already. */
static void destroy(struct posix_timer *pt)
{
	ktimer_cancel_sync(&pt->kt);
	timer_free(pt);
}

static struct posix_timer *unlink_locked(struct tgroup *g, int id)
{
	struct posix_timer *pt = find_locked(g, id);

	if (!pt)
		return NULL;
	g->timers->tab[id] = NULL;
	pt->deleted = true;
	signal_forget_timer(g, &pt->q);
	return pt;
}

void posix_timers_drop_all(struct tgroup *g)
{
	for (uint32_t i = 0; i < g->timers->cap; i++) {
		struct posix_timer *pt;

		mutex_lock(&g->sig_mu);
		pt = unlink_locked(g, (int)i);
		mutex_unlock(&g->sig_mu);
		if (pt)
			destroy(pt);
	}
}

/* ---- calls ------------------------------------------------------------------------------------------------------ */

static long notify_target(struct task *t, const struct linux_sigevent *ev, struct posix_timer *pt)
{
	struct task *o;

	pt->notify = ev->notify;
	switch (ev->notify) {
	case LINUX_SIGEV_NONE:
		return 0;
	case LINUX_SIGEV_THREAD: /* the C library's thread waits for the signal */
	case LINUX_SIGEV_SIGNAL:
		break;
	case LINUX_SIGEV_THREAD_ID:
	case LINUX_SIGEV_THREAD_ID | LINUX_SIGEV_THREAD:
		o = ev->tid > 0 ? task_find(task_pid_ns(t), (uint32_t)ev->tid) : NULL;
		if (!o || o->group != t->group) {
			task_put(o);
			return -LINUX_EINVAL;
		}
		pt->target = o;
		break;
	default:
		return -LINUX_EINVAL;
	}
	return ev->signo < 1 || ev->signo > LINUX_NSIG ? -LINUX_EINVAL : 0;
}

long posix_timer_create(struct task *t, int clock, const struct linux_sigevent *ev, int *out_id)
{
	struct group_timers *gt = timers_of(t->group);
	struct linux_sigevent dflt = { .signo = LINUX_SIGALRM, .notify = LINUX_SIGEV_SIGNAL };
	struct posix_timer *pt;
	uint64_t now;
	long ret;

	if (!gt)
		return -LINUX_EAGAIN;
	if (clock_now(t, clock, &now) < 0)
		return -LINUX_EINVAL;
	if (clock >= 0 && !clock_is_wall(clock) && clock != LINUX_CLOCK_PROCESS_CPUTIME_ID &&
	    clock != LINUX_CLOCK_THREAD_CPUTIME_ID)
		return -LINUX_EOPNOTSUPP;
	if (clock == LINUX_CLOCK_REALTIME_ALARM || clock == LINUX_CLOCK_BOOTTIME_ALARM)
		return -LINUX_EOPNOTSUPP; /* as without a real-time clock that can wake the machine */
	pt = calloc(1, sizeof(*pt));
	if (!pt)
		return -LINUX_EAGAIN;
	ktimer_init(&pt->kt, expire);
	list_init(&pt->q.node);
	pt->q.timer = pt;
	pt->g = t->group;
	pt->clock = clock;
	pt->cpu = !clock_is_wall(clock);
	ret = notify_target(t, ev ?: &dflt, pt);
	if (!ret) {
		pt->q.info.signo = (ev ?: &dflt)->signo;
		pt->q.info.code = LINUX_SI_TIMER;
		ret = insert(gt, pt);
	}
	if (ret < 0) {
		timer_free(pt);
		return ret;
	}
	/* Without an event the value is the timer's id. */
	pt->q.info.timer.value = ev ? ev->value : (uint64_t)pt->id;
	*out_id = pt->id;
	return 0;
}

static void read_locked(struct posix_timer *pt, uint64_t clk, struct linux_itimerspec *out)
{
	uint64_t left = 0;

	if (pt->armed || !list_empty(&pt->q.node)) {
		uint64_t at = pt->expires_ns;

		if (pt->interval_ns && at <= clk)
			at += ((clk - at) / pt->interval_ns + 1) * pt->interval_ns;
		left = at > clk ? at - clk : pt->armed ? 1 : 0;
	}
	out->interval = ns_timespec(pt->interval_ns);
	out->value = ns_timespec(left);
}

/* The timer's clock now, read without sig_mu; -LINUX_EINVAL: no such timer. */
static long timer_clock(struct task *t, int id, uint64_t *out, bool *out_cpu, int *out_clock)
{
	struct posix_timer *pt;
	long ret = -LINUX_EINVAL;

	mutex_lock(&t->group->sig_mu);
	pt = find_locked(t->group, id);
	if (pt) {
		*out_cpu = pt->cpu;
		*out_clock = pt->clock;
		ret = 0;
	}
	mutex_unlock(&t->group->sig_mu);
	if (ret < 0)
		return ret;
	if (!*out_cpu) {
		*out = now_ns();
		return 0;
	}
	return clock_now(t, *out_clock, out);
}

long posix_timer_settime(struct task *t, int id, int flags, const struct linux_itimerspec *new_, struct linux_itimerspec *old)
{
	struct posix_timer *pt;
	uint64_t clk, value;
	bool cpu;
	int clock;
	long ret;

	if (!timespec_valid(&new_->value) || !timespec_valid(&new_->interval))
		return -LINUX_EINVAL;
	ret = timer_clock(t, id, &clk, &cpu, &clock);
	if (ret < 0)
		return ret;
	value = timespec_ns(&new_->value);
	mutex_lock(&t->group->sig_mu);
	pt = find_locked(t->group, id);
	if (!pt) {
		mutex_unlock(&t->group->sig_mu);
		return -LINUX_EINVAL;
	}
	if (old)
		read_locked(pt, clk, old);
	signal_forget_timer(t->group, &pt->q);
	ktimer_cancel(&pt->kt);
	pt->armed = false;
	pt->overrun = 0;
	pt->interval_ns = value ? timespec_ns(&new_->interval) : 0;
	if (value) {
		if (!cpu)
			pt->expires_ns = clock_deadline(clock, flags & LINUX_TIMER_ABSTIME, value);
		else
			pt->expires_ns = flags & LINUX_TIMER_ABSTIME ? value : clk + value;
		arm_locked(pt, clk);
	}
	mutex_unlock(&t->group->sig_mu);
	return 0;
}

long posix_timer_gettime(struct task *t, int id, struct linux_itimerspec *out)
{
	struct posix_timer *pt;
	uint64_t clk;
	bool cpu;
	int clock;
	long ret = timer_clock(t, id, &clk, &cpu, &clock);

	if (ret < 0)
		return ret;
	mutex_lock(&t->group->sig_mu);
	pt = find_locked(t->group, id);
	if (pt)
		read_locked(pt, clk, out);
	mutex_unlock(&t->group->sig_mu);
	return pt ? 0 : -LINUX_EINVAL;
}

long posix_timer_getoverrun(struct task *t, int id)
{
	struct posix_timer *pt;
	long ret = -LINUX_EINVAL;

	mutex_lock(&t->group->sig_mu);
	pt = find_locked(t->group, id);
	if (pt)
		ret = pt->overrun;
	mutex_unlock(&t->group->sig_mu);
	return ret;
}

long posix_timer_delete(struct task *t, int id)
{
	struct posix_timer *pt;

	mutex_lock(&t->group->sig_mu);
	pt = unlink_locked(t->group, id);
	mutex_unlock(&t->group->sig_mu);
	if (!pt)
		return -LINUX_EINVAL;
	destroy(pt);
	return 0;
}
