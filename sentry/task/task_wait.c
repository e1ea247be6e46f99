/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_wait.c - wait4(2), waitid(2): children's ends, stops and continues
 *
 * Model:   one pass over the group's children (and tracees) under tasks_mu takes the first event that matches; otherwise the caller
 *          sleeps on its group's queue, which every such event wakes.
 * Locks:   tasks_mu, then the child's sig_mu.
 * Source:  wait(2), POSIX.1 waitid(), ptrace(2) for tracees.
 * Differs: children belong to the process, not to the thread that made them; __WNOTHREAD makes no difference.
 */
#include "sentry/task/acct.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_internal.h"

struct wait_query {
	int which;
	struct pid *pid;	/* P_PID, P_PIDFD: whose; P_PGID: group's id. NULL: no such number */
	uint32_t options;
	struct wait_result *out;
	struct linux_rusage *ru;
};

static bool matches(const struct wait_query *q, struct tgroup *me, struct tgroup *c)
{
	switch (q->which) {
	case LINUX_P_PID:
	case LINUX_P_PIDFD:
		if (c->pid != q->pid)
			return false;
		break;
	case LINUX_P_PGID:
		if (!c->pgrp || c->pgrp->pid != q->pid)
			return false;
		break;
	}
	if (q->options & LINUX_WALL)
		return true;
	/* "Clone children" tell their parent by another signal than SIGCHLD, or none. */
	return (c->exit_signal != LINUX_SIGCHLD) == !!(q->options & LINUX_WCLONE);
}

static void fill_result(const struct wait_query *q, struct task *t, struct tgroup *c, int code, int si_status, int status)
{
	q->out->pid = pid_nr(c->pid, task_pid_ns(t));
	q->out->uid = id_from_kernel_munged(t->cred->user_ns, false, c->leader->cred->uid);
	q->out->code = code;
	q->out->si_status = si_status;
	q->out->status = status;
}

/* A zombie. */
static bool take_end(const struct wait_query *q, struct task *t, struct tgroup *c)
{
	int st = c->exit_status;

	if (!(q->options & LINUX_WEXITED) || !c->zombie)
		return false;
	if (c->leader->ptrace && !ptrace_is_tracer(t, c->leader))
		return false; /* the tracer first */
	if (st & 0x7f)
		fill_result(q, t, c, (st & LINUX_W_CORE) ? LINUX_CLD_DUMPED : LINUX_CLD_KILLED, st & 0x7f, st);
	else
		fill_result(q, t, c, LINUX_CLD_EXITED, (st >> 8) & 0xff, st);
	if (q->ru)
		acct_rusage_both(c, q->ru);
	if (!(q->options & LINUX_WNOWAIT))
		tgroup_reap_locked(c);
	return true;
}

static bool take_stop(const struct wait_query *q, struct task *t, struct tgroup *c)
{
	bool hit;
	int sig;

	if (!(q->options & LINUX_WSTOPPED))
		return false;
	mutex_lock(&c->sig_mu);
	hit = (c->sig->stop & STOP_STOPPED) && (c->sig->stop & STOP_NOTE_STOPPED);
	sig = c->sig->stop_sig;
	if (hit && !(q->options & LINUX_WNOWAIT))
		c->sig->stop &= ~(uint32_t)STOP_NOTE_STOPPED;
	mutex_unlock(&c->sig_mu);
	if (hit)
		fill_result(q, t, c, LINUX_CLD_STOPPED, sig, LINUX_W_STOPCODE(sig));
	return hit;
}

static bool take_continue(const struct wait_query *q, struct task *t, struct tgroup *c)
{
	bool hit;

	if (!(q->options & LINUX_WCONTINUED))
		return false;
	mutex_lock(&c->sig_mu);
	hit = c->sig->stop & STOP_NOTE_CONTINUED;
	if (hit && !(q->options & LINUX_WNOWAIT))
		c->sig->stop &= ~(uint32_t)STOP_NOTE_CONTINUED;
	mutex_unlock(&c->sig_mu);
	if (hit)
		fill_result(q, t, c, LINUX_CLD_CONTINUED, LINUX_SIGCONT, LINUX_W_CONTINUED);
	return hit;
}

/* One look. 1: found, 0: nothing yet, -LINUX_ECHILD: nothing to wait for. */
static long look_locked(const struct wait_query *q, struct task *t)
{
	struct tgroup *g = t->group, *c, *tmp;
	bool any = false;

	list_for_each_entry_safe (c, tmp, &g->children, sibling) {
		if (!matches(q, g, c))
			continue;
		any = true;
		if (take_end(q, t, c)) {
			return 1;
		}
		if (c->zombie)
			continue;
		if (!c->leader->ptrace && take_stop(q, t, c))
			return 1;
		if (take_continue(q, t, c))
			return 1;
	}
	return ptrace_wait_look_locked(t, q->which, q->pid, q->options, q->out, any);
}

static long look(const struct wait_query *q, struct task *t)
{
	long ret;

	mutex_lock(&tasks_mu);
	ret = look_locked(q, t);
	mutex_unlock(&tasks_mu);
	return ret;
}

long task_wait(struct task *t, int which, uint32_t nr, struct pid *pid, uint32_t options, struct wait_result *out,
	       struct linux_rusage *out_ru)
{
	struct wait_query q = { which, pid, options, out, out_ru };
	struct pid *found = NULL;
	long ret = 0, slept = 0;

	out->code = 0;
	if (which == LINUX_P_PID || which == LINUX_P_PGID) {
		mutex_lock(&tasks_mu);
		if (which == LINUX_P_PGID && !nr)
			found = t->group->pgrp ? t->group->pgrp->pid : NULL;
		else
			found = pid_find_locked(task_pid_ns(t), nr);
		if (found)
			pid_get(found);
		mutex_unlock(&tasks_mu);
		if (!found)
			return -LINUX_ECHILD;
		q.pid = found;
	}
	ret = look(&q, t);
	if (!ret && !(options & LINUX_WNOHANG))
		slept = wait_event(&t->group->wait_chld, (ret = look(&q, t)) != 0, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	pid_put(found);
	if (ret < 0)
		return ret;
	if (!ret)
		return slept < 0 ? slept : 0;
	return (long)out->pid;
}
