/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/itimers.c - setitimer(2), alarm(2), RLIMIT_CPU
 *
 * Model:   ITIMER_REAL is a host timer. The processor-time timers and the limit share one host timer, set to the earliest moment at which
 *          the first of them can be due: what is left, divided by the number of threads that can use it up at once.
 * Locks:   sig_mu; the processor clocks are read before it is taken.
 * Source:  setitimer(2), getrlimit(2).
 */
#include "sentry/task/acct.h"
#include "sentry/task/timers_internal.h"

static void real_fn(struct ktimer *kt)
{
	struct group_timers *gt = container_of(kt, struct group_timers, real_kt);
	struct itimer *it = &gt->it[LINUX_ITIMER_REAL];
	struct linux_siginfo_head si;
	uint64_t now = now_ns();
	bool fire = false;

	mutex_lock(&gt->g->sig_mu);
	if (!gt->dead && it->expires_ns && it->expires_ns <= now) {
		fire = true;
		if (it->interval_ns) {
			it->expires_ns += (now - it->expires_ns) / it->interval_ns * it->interval_ns + it->interval_ns;
			ktimer_arm(kt, MAX(it->expires_ns, now + REARM_MIN_NS));
		} else {
			it->expires_ns = 0;
		}
	}
	mutex_unlock(&gt->g->sig_mu);
	if (fire) {
		siginfo_kernel(&si, LINUX_SIGALRM);
		signal_send_group(gt->g, &si, SEND_FORCED);
	}
}

/* ---- processor time --------------------------------------------------------------------------------------- */

/* @left ns of processor time remain: when can they be used up? */
static uint64_t cpu_wait(const struct tgroup *g, uint64_t left)
{
	return MAX(left / MAX(g->nr_threads, 1u), CPU_POLL_MIN_NS);
}

/* One timer of kind @which with its clock at @clk; true: due. *@wait shrinks to the next look. */
static bool cpu_itimer(struct group_timers *gt, int which, uint64_t clk, uint64_t *wait)
{
	struct itimer *it = &gt->it[which];
	bool due = it->expires_ns && it->expires_ns <= clk;

	if (due)
		it->expires_ns = it->interval_ns ? clk + it->interval_ns : 0;
	if (it->expires_ns)
		*wait = MIN(*wait, cpu_wait(gt->g, it->expires_ns - clk));
	return due;
}

/* RLIMIT_CPU in whole seconds: SIGXCPU every second from the soft limit on, SIGKILL at the hard one. */
static int cpu_limit(struct group_timers *gt, uint64_t clk, uint64_t *wait)
{
	const struct rlimit64 *r = &gt->g->rlim[LINUX_RLIMIT_CPU];
	uint64_t soft;

	if (r->cur == RLIM_INF && r->max == RLIM_INF)
		return 0;
	if (r->max != RLIM_INF && clk / NSEC_PER_SEC >= r->max)
		return LINUX_SIGKILL;
	if (r->cur != RLIM_INF) {
		soft = MAX(r->cur * NSEC_PER_SEC, gt->next_xcpu_ns);
		if (clk >= soft) {
			gt->next_xcpu_ns = (clk / NSEC_PER_SEC + 1) * NSEC_PER_SEC;
			*wait = MIN(*wait, cpu_wait(gt->g, gt->next_xcpu_ns - clk));
			return LINUX_SIGXCPU;
		}
		*wait = MIN(*wait, cpu_wait(gt->g, soft - clk));
	}
	if (r->max != RLIM_INF)
		*wait = MIN(*wait, cpu_wait(gt->g, r->max * NSEC_PER_SEC - clk));
	return 0;
}

static void cpu_fn(struct ktimer *kt)
{
	struct group_timers *gt = container_of(kt, struct group_timers, cpu_kt);
	struct tgroup *g = gt->g;
	struct cpu_times ct = acct_group_times(g);
	uint64_t all = ct.utime_ns + ct.stime_ns, wait = UINT64_MAX;
	int sig[3] = { 0 };

	mutex_lock(&g->sig_mu);
	if (!gt->dead) {
		sig[0] = cpu_itimer(gt, LINUX_ITIMER_VIRTUAL, ct.utime_ns, &wait) ? LINUX_SIGVTALRM : 0;
		sig[1] = cpu_itimer(gt, LINUX_ITIMER_PROF, all, &wait) ? LINUX_SIGPROF : 0;
		sig[2] = cpu_limit(gt, all, &wait);
		if (wait != UINT64_MAX)
			ktimer_arm(kt, now_ns() + wait);
	}
	mutex_unlock(&g->sig_mu);
	for (int i = 0; i < 3; i++) {
		struct linux_siginfo_head si;

		if (!sig[i])
			continue;
		siginfo_kernel(&si, sig[i]);
		signal_send_group(g, &si, SEND_FORCED);
	}
}

/* ---- life ------------------------------------------------------------------------------------------------------ */

struct group_timers *timers_of(struct tgroup *g)
{
	struct group_timers *gt = __atomic_load_n(&g->timers, __ATOMIC_ACQUIRE), *n;

	if (gt)
		return gt;
	n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->g = g;
	ktimer_init(&n->real_kt, real_fn);
	ktimer_init(&n->cpu_kt, cpu_fn);
	mutex_lock(&g->sig_mu);
	gt = g->timers;
	if (!gt) {
		__atomic_store_n(&g->timers, n, __ATOMIC_RELEASE);
		gt = TAKE_PTR(n);
	}
	mutex_unlock(&g->sig_mu);
	free(n);
	return gt;
}

void timers_exec(struct tgroup *g)
{
	if (g->timers)
		posix_timers_drop_all(g);
}

void timers_exit(struct tgroup *g)
{
	struct group_timers *gt = g->timers;

	if (!gt)
		return;
	mutex_lock(&g->sig_mu);
	gt->dead = true;
	mutex_unlock(&g->sig_mu);
	posix_timers_drop_all(g);
	ktimer_cancel_sync(&gt->real_kt);
	ktimer_cancel_sync(&gt->cpu_kt);
}

void timers_group_free(struct tgroup *g)
{
	if (!g->timers)
		return;
	free(g->timers->tab);
	free(g->timers);
}

void timers_cpu_limit_changed(struct tgroup *g)
{
	struct group_timers *gt;

	if (g->rlim[LINUX_RLIMIT_CPU].cur == RLIM_INF && g->rlim[LINUX_RLIMIT_CPU].max == RLIM_INF)
		return;
	gt = timers_of(g);
	if (gt)
		ktimer_arm(&gt->cpu_kt, now_ns() + CPU_POLL_MIN_NS);
}

/* ---- calls ---------------------------------------------------------------------------------------------------------- */

static uint64_t clock_of(struct tgroup *g, int which)
{
	struct cpu_times ct;

	if (which == LINUX_ITIMER_REAL)
		return now_ns();
	ct = acct_group_times(g);
	return which == LINUX_ITIMER_VIRTUAL ? ct.utime_ns : ct.utime_ns + ct.stime_ns;
}

static struct itimer_value value_of(const struct itimer *it, uint64_t clk)
{
	/* A timer that is due but has not fired yet shows the smallest time left, not 0: it is on. */
	return (struct itimer_value){
		.interval_ns = it->interval_ns,
		.value_ns = !it->expires_ns ? 0 : it->expires_ns > clk ? it->expires_ns - clk : 1000,
	};
}

long itimer_set(struct task *t, int which, const struct itimer_value *new_, struct itimer_value *old)
{
	struct group_timers *gt = timers_of(t->group);
	uint64_t clk = clock_of(t->group, which);
	struct itimer *it;

	if (!gt)
		return -LINUX_ENOMEM;
	it = &gt->it[which];
	mutex_lock(&t->group->sig_mu);
	*old = value_of(it, clk);
	it->interval_ns = new_->interval_ns;
	it->expires_ns = new_->value_ns ? clk + new_->value_ns : 0;
	if (which == LINUX_ITIMER_REAL) {
		if (it->expires_ns)
			ktimer_arm(&gt->real_kt, it->expires_ns);
		else
			ktimer_cancel(&gt->real_kt);
	} else if (it->expires_ns) {
		ktimer_arm(&gt->cpu_kt, now_ns() + MIN(cpu_wait(t->group, new_->value_ns), 10 * CPU_POLL_MIN_NS));
	}
	mutex_unlock(&t->group->sig_mu);
	return 0;
}

long itimer_get(struct task *t, int which, struct itimer_value *out)
{
	struct group_timers *gt = t->group->timers;
	uint64_t clk = clock_of(t->group, which);

	*out = (struct itimer_value){ 0 };
	if (!gt)
		return 0;
	mutex_lock(&t->group->sig_mu);
	*out = value_of(&gt->it[which], clk);
	mutex_unlock(&t->group->sig_mu);
	return 0;
}
