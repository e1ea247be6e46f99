/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_overdue.c - a process that was told to end and does not come back is ended by the host
 *
 * Model:   a thread that runs guest code is called back by a host signal. A guest can shut that signal out: it may jump to the
 *          stub's rt_sigreturn with a frame of its own. So a group whose end has begun while threads of it are away gets GRACE_NS for
 *          what belongs to an orderly end (robust locks, the tid word); after that its host process is killed. One timer
 *          for all; none is armed while nobody is overdue.
 * Locks:   overdue_mu, leaf below sig_mu; never held when a sig_mu is taken.
 * Differs: robust futexes of such a process are not marked.
 */
#include "base/log.h"
#include "sentry/mm/mm.h"
#include "sentry/task/pid.h"
#include "sentry/task/task_internal.h"

#define GRACE_NS (3 * NSEC_PER_SEC)

static struct mutex overdue_mu = MUTEX_INIT;
static struct list overdue = LIST_HEAD_INIT(overdue);	/* of tgroup.overdue_node, each a reference; guarded by overdue_mu */
static struct ktimer timer;				/* guarded by overdue_mu as to arming */

/* Nobody but this group lives in the address space of @t. sig_mu held. */
static bool memory_is_ours_locked(struct tgroup *g, struct task *t)
{
	struct task *o;
	unsigned n = 0;

	list_for_each_entry (o, &g->threads, thread_node)
		n += o->mm == t->mm;
	return n == mm_users(t->mm);
}

/* Return: whether somebody of @g is still away, hence has to be looked at again. */
static bool group_check(struct tgroup *g)
{
	struct task *t;
	bool away = false;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node) {
		if (!t->u || !t->mm || !uthread_is_away(t->u))
			continue;
		away = true;
		if (!memory_is_ours_locked(g, t))
			continue;
		log_debug("pid %u does not end: its host process is killed", t->pid->num[0].nr);
		uspace_kill(t->u->space);
		break;
	}
	mutex_unlock(&g->sig_mu);
	return away;
}

static void look(struct ktimer *kt)
{
	uint64_t now = now_ns(), next = NO_DEADLINE;
	struct tgroup *g, *tmp;
	struct list due;

	list_init(&due);
	mutex_lock(&overdue_mu);
	list_for_each_entry_safe (g, tmp, &overdue, overdue_node) {
		if (g->overdue_ns > now) {
			next = MIN(next, g->overdue_ns);
			continue;
		}
		g->overdue_ns = 0; /* task_overdue_done() leaves it to us */
		list_del_init(&g->overdue_node);
		list_add_tail(&due, &g->overdue_node);
	}
	mutex_unlock(&overdue_mu);

	list_for_each_entry_safe (g, tmp, &due, overdue_node) {
		bool again = group_check(g);

		mutex_lock(&overdue_mu);
		list_del_init(&g->overdue_node);
		if (again) {
			g->overdue_ns = now + GRACE_NS;
			next = MIN(next, g->overdue_ns);
			list_add_tail(&overdue, &g->overdue_node);
		}
		mutex_unlock(&overdue_mu);
		if (!again)
			tgroup_put(g);
	}
	mutex_lock(&overdue_mu);
	if (!list_empty(&overdue) && next != NO_DEADLINE)
		ktimer_arm(&timer, next);
	mutex_unlock(&overdue_mu);
}

void task_overdue_watch_locked(struct tgroup *g)
{
	struct task *t;
	bool away = false;

	list_for_each_entry (t, &g->threads, thread_node)
		away = away || (t->u && uthread_is_away(t->u));
	if (!away)
		return;
	mutex_lock(&overdue_mu);
	if (list_empty(&g->overdue_node)) {
		g->overdue_ns = now_ns() + GRACE_NS;
		tgroup_get(g);
		if (list_empty(&overdue)) {
			if (!timer.fn)
				ktimer_init(&timer, look);
			ktimer_arm(&timer, g->overdue_ns);
		}
		list_add_tail(&overdue, &g->overdue_node);
	}
	mutex_unlock(&overdue_mu);
}

void task_overdue_done(struct tgroup *g)
{
	bool was;

	mutex_lock(&overdue_mu);
	was = !list_empty(&g->overdue_node) && g->overdue_ns;
	if (was) {
		list_del_init(&g->overdue_node);
		g->overdue_ns = 0;
		if (list_empty(&overdue))
			ktimer_cancel(&timer);
	}
	mutex_unlock(&overdue_mu);
	if (was)
		tgroup_put(g);
}
