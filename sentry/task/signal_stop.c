/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal_stop.c - job control: stopping and continuing whole groups
 *
 * Model:   the thread that takes a stop signal marks all threads (TW_STOP) and counts them; each that comes by counts
 *          itself off and sleeps; the last one tells the parent. SIGCONT clears the state under sig_mu and wakes everybody.
 * Locks:   tasks_mu before sig_mu when the parent is told.
 * Source:  signal(7), wait(2) WUNTRACED and WCONTINUED, POSIX.1 2.4.3.
 */
#include "sentry/task/acct.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_internal.h"

/* SIGCHLD of a stop, continue, or (by task_exit.c) end. tasks_mu held. */
void signal_notify_parent_locked(struct tgroup *g, int why)
{
	struct tgroup *p = g->parent;
	struct linux_siginfo_head si = { .signo = LINUX_SIGCHLD, .code = why };
	struct linux_sigaction act;
	struct cpu_times times;

	if (!p)
		return;
	act = sighand_action(p->sig->hand, LINUX_SIGCHLD);
	times = acct_group_times(g);
	si.chld.pid = (int32_t)pid_nr(g->pid, p->pid->num[p->pid->level].ns);
	si.chld.uid = g->leader && g->leader->cred ? id_from_kernel_munged(&init_user_ns, false, g->leader->cred->uid) : 0;
	si.chld.utime = (int64_t)(times.utime_ns / (NSEC_PER_SEC / LINUX_CLK_TCK));
	si.chld.stime = (int64_t)(times.stime_ns / (NSEC_PER_SEC / LINUX_CLK_TCK));
	si.chld.status = why == LINUX_CLD_CONTINUED ? LINUX_SIGCONT : g->sig->stop_sig;
	if (act.handler != LINUX_SIG_IGN && !(act.flags & LINUX_SA_NOCLDSTOP))
		signal_send_group_locked(p, &si, SEND_FORCED);
	waitq_wake_all(&p->wait_chld);
}

void signal_group_stop(struct task *t, int sig)
{
	struct tgroup *g = t->group;
	struct task *o;

	mutex_lock(&g->sig_mu);
	/* A SIGCONT or the end may have come since the signal was taken. */
	if (atomic_load_explicit(&g->exiting, memory_order_relaxed) || (g->sig->stop & (STOP_PENDING | STOP_STOPPED))) {
		mutex_unlock(&g->sig_mu);
		return;
	}
	g->sig->stop = STOP_PENDING;
	g->sig->stop_sig = sig;
	g->sig->nr_to_stop = 0;
	list_for_each_entry (o, &g->threads, thread_node) {
		if (o->sig->exiting)
			continue;
		g->sig->nr_to_stop++;
		task_poke_locked(o, TW_STOP, false);
	}
	mutex_unlock(&g->sig_mu);
}

/* One thread fewer to wait for: the last one completes the stop. sig_mu held; true: tell the parent. */
bool signal_stop_count_locked(struct tgroup *g)
{
	if (!(g->sig->stop & STOP_PENDING) || --g->sig->nr_to_stop)
		return false;
	g->sig->stop = STOP_STOPPED | STOP_NOTE_STOPPED;
	return true;
}

static bool must_stay(struct task *t)
{
	bool stay;

	mutex_lock(&t->group->sig_mu);
	stay = (t->group->sig->stop & (STOP_PENDING | STOP_STOPPED)) &&
	       !(atomic_load_explicit(&t->work, memory_order_relaxed) & TW_EXIT);
	mutex_unlock(&t->group->sig_mu);
	return stay;
}

void signal_do_stop(struct task *t)
{
	struct tgroup *g = t->group;
	bool tell = false, told_continue = false;

	mutex_lock(&g->sig_mu);
	task_clear_work(t, TW_STOP);
	if (!task_signal_pending(t))
		kthread_clear_interrupt(t->k);
	if (g->sig->stop & STOP_PENDING)
		tell = signal_stop_count_locked(g);
	mutex_unlock(&g->sig_mu);
	if (tell) {
		mutex_lock(&tasks_mu);
		signal_notify_parent_locked(g, LINUX_CLD_STOPPED);
		mutex_unlock(&tasks_mu);
	}
	/* The tracer decides when a traced thread goes on, job control does not. */
	if (task_is_traced(t) && ptrace_group_stop(t)) {
		signal_recalc(t);
		return;
	}

	atomic_store_explicit(&t->state, TASK_STOPPED, memory_order_relaxed);
	wait_event(&g->sig->stop_wq, !must_stay(t), SLEEP_KILLABLE, NO_DEADLINE);
	atomic_store_explicit(&t->state, TASK_RUNNING, memory_order_relaxed);

	mutex_lock(&g->sig_mu);
	/* The first one up carries the news. */
	if ((g->sig->stop & STOP_NOTE_CONTINUED) && !g->sig->nr_to_stop) {
		g->sig->nr_to_stop = UINT32_MAX; /* told */
		told_continue = true;
	}
	mutex_unlock(&g->sig_mu);
	if (told_continue) {
		mutex_lock(&tasks_mu);
		signal_notify_parent_locked(g, LINUX_CLD_CONTINUED);
		mutex_unlock(&tasks_mu);
	}
	signal_recalc(t);
}
