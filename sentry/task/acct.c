/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/acct.c - processor time and resource usage, see acct.h
 *
 * Locks:   group_acct.mu, leaf.
 */
#include <time.h>

#include "base/hostcall.h"
#include "sentry/abi/time.h"
#include "sentry/task/acct.h"

long group_acct_alloc(struct tgroup *g)
{
	g->acct = calloc(1, sizeof(*g->acct));
	if (!g->acct)
		return -LINUX_ENOMEM;
	mutex_init(&g->acct->mu);
	return 0;
}

static uint64_t host_clock(int host_pid, int which)
{
	struct timespec ts;

	if (host_pid <= 0 || host_call(clock_gettime, (int)(~(unsigned)host_pid << 3) | which, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * NSEC_PER_SEC + (uint64_t)ts.tv_nsec;
}

static struct cpu_times host_times(const struct uspace *s)
{
	int pid = uspace_host_pid(s);
	uint64_t total = host_clock(pid, LINUX_CPUCLOCK_SCHED), user = host_clock(pid, LINUX_CPUCLOCK_VIRT);

	/* The user part is sampled by ticks and may run ahead of the precise sum. */
	user = MIN(user, total);
	return (struct cpu_times){ user, total - user };
}

static void times_add(struct cpu_times *a, struct cpu_times b)
{
	a->utime_ns += b.utime_ns;
	a->stime_ns += b.stime_ns;
}

void acct_space_set(struct tgroup *g, struct uspace *s)
{
	uspace_get(s);
	mutex_lock(&g->acct->mu);
	g->acct->space = s;
	mutex_unlock(&g->acct->mu);
}

void acct_space_left(struct tgroup *g)
{
	struct group_acct *a = g->acct;
	struct uspace *s;

	mutex_lock(&a->mu);
	s = TAKE_PTR(a->space);
	if (s)
		times_add(&a->past, host_times(s));
	mutex_unlock(&a->mu);
	if (s)
		uspace_put(s);
}

void acct_group_end(struct tgroup *g)
{
	acct_space_left(g);
}

/* The host's clock is read under the lock, so that the pid cannot become somebody else's in between. */
struct cpu_times acct_group_times(struct tgroup *g)
{
	struct group_acct *a = g->acct;
	struct cpu_times sum;

	mutex_lock(&a->mu);
	sum = a->past;
	if (a->space)
		times_add(&sum, host_times(a->space));
	mutex_unlock(&a->mu);
	return sum;
}

struct cpu_times acct_thread_times(struct task *t)
{
	struct cpu_times all = acct_group_times(t->group);
	uint32_t n = MAX(t->group->nr_threads, 1u);

	return (struct cpu_times){ all.utime_ns / n, all.stime_ns / n };
}

void acct_free(struct tgroup *g)
{
	if (g->acct && g->acct->space)
		uspace_put(g->acct->space);
	free(g->acct);
}

void acct_reaped(struct tgroup *parent, struct tgroup *child)
{
	struct cpu_times c;
	uint64_t rss;

	mutex_lock(&child->acct->mu);
	c = child->acct->past;
	times_add(&c, child->acct->children);
	rss = MAX(child->acct->maxrss, child->acct->children_maxrss);
	mutex_unlock(&child->acct->mu);

	mutex_lock(&parent->acct->mu);
	times_add(&parent->acct->children, c);
	parent->acct->children_maxrss = MAX(parent->acct->children_maxrss, rss);
	mutex_unlock(&parent->acct->mu);
}

static void put_times(struct linux_rusage *out, struct cpu_times t, uint64_t maxrss)
{
	*out = (struct linux_rusage){ 0 };
	out->utime.sec = (int64_t)(t.utime_ns / NSEC_PER_SEC);
	out->utime.usec = (int64_t)(t.utime_ns % NSEC_PER_SEC / 1000);
	out->stime.sec = (int64_t)(t.stime_ns / NSEC_PER_SEC);
	out->stime.usec = (int64_t)(t.stime_ns % NSEC_PER_SEC / 1000);
	out->maxrss = (int64_t)(maxrss / 1024);
}

/* The largest resident size seen so far; sampled when asked. */
static uint64_t group_maxrss(struct tgroup *g)
{
	struct mm_usage use = { 0 };
	struct task *any;
	struct mm *mm = NULL;
	uint64_t rss;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (any, &g->threads, thread_node)
		if (any->mm) {
			mm = mm_get(any->mm);
			break;
		}
	mutex_unlock(&g->sig_mu);
	if (mm) {
		mm_usage(mm, &use);
		mm_put(mm);
	}
	mutex_lock(&g->acct->mu);
	rss = g->acct->maxrss = MAX(g->acct->maxrss, use.rss);
	mutex_unlock(&g->acct->mu);
	return rss;
}

void acct_rusage(struct tgroup *g, struct linux_rusage *out)
{
	put_times(out, acct_group_times(g), group_maxrss(g));
}

void acct_rusage_children(struct tgroup *g, struct linux_rusage *out)
{
	mutex_lock(&g->acct->mu);
	put_times(out, g->acct->children, g->acct->children_maxrss);
	mutex_unlock(&g->acct->mu);
}

void acct_rusage_both(struct tgroup *g, struct linux_rusage *out)
{
	mutex_lock(&g->acct->mu);
	struct cpu_times t = g->acct->past;

	times_add(&t, g->acct->children);
	put_times(out, t, MAX(g->acct->maxrss, g->acct->children_maxrss));
	mutex_unlock(&g->acct->mu);
}
