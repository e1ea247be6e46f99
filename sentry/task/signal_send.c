/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal_send.c - sending signals: to a thread, a process, a process group
 *
 * Model:   as in Linux: prepare (stop and continue signals cancel each other; ignored signals vanish), queue, choose a thread that
 *          takes it, wake it. A signal that will surely end the group starts that end at once, so that killable sleeps end.
 * Locks:   group->sig_mu; process groups are walked under tasks_mu.
 * Source:  signal(7), kill(2), rt_sigqueueinfo(2).
 */
#include <string.h>

#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"

/* ---- siginfo ------------------------------------------------------------------------------------------ */

void siginfo_kernel(struct linux_siginfo_head *si, int sig)
{
	*si = (struct linux_siginfo_head){ .signo = sig, .code = LINUX_SI_KERNEL };
}

void siginfo_user(struct linux_siginfo_head *si, int sig, int code)
{
	*si = (struct linux_siginfo_head){ .signo = sig, .code = code };
}

void siginfo_translate(struct linux_siginfo_head *si, struct task *sender, struct tgroup *target)
{
	struct task *first = NULL;

	if (!list_empty(&target->threads))
		first = list_first(&target->threads, struct task, thread_node);
	si->rt.pid = (int32_t)pid_nr(sender->group->pid, target->pid->num[target->pid->level].ns);
	si->rt.uid = id_from_kernel_munged(first && first->cred ? first->cred->user_ns : sender->cred->user_ns, false,
					   sender->cred->uid);
}

/* ---- is it ignored? -------------------------------------------------------------------------------------- */

static bool default_ignores(int sig)
{
	return SIGMASK(sig) & SIG_IGNORED_BY_DEFAULT;
}

/* @t: the thread it is for, or the group's first. */
static bool ignored_locked(struct tgroup *g, struct task *t, int sig, bool forced)
{
	uint64_t handler = sighand_action(g->sig->hand, sig).handler;

	/* Blocked signals stay pending: the action may have changed when they are unblocked. */
	if ((signal_mask(t) | t->sig->wait_set) & SIGMASK(sig))
		return false;
	if (task_is_traced(t) && sig != LINUX_SIGKILL)
		return false;
	if (g->sig->unkillable && handler == LINUX_SIG_DFL && !(forced && (SIGMASK(sig) & SIG_UNMASKABLE)))
		return true;
	return handler == LINUX_SIG_IGN || (handler == LINUX_SIG_DFL && default_ignores(sig));
}

static void remove_everywhere(struct tgroup *g, uint64_t set)
{
	struct task *t;

	sigpending_remove(&g->sig->shared, set);
	list_for_each_entry (t, &g->threads, thread_node)
		sigpending_remove(&t->sig->pending, set);
}

/* SIGCONT resumes, whatever its action is and whether or not it is blocked. */
static void continue_locked(struct tgroup *g)
{
	struct task *t;
	uint32_t was = g->sig->stop;

	remove_everywhere(g, SIG_STOPS);
	if (!(was & (STOP_STOPPED | STOP_PENDING)))
		return;
	g->sig->stop = STOP_NOTE_CONTINUED; /* the first thread to wake tells the parent */
	g->sig->nr_to_stop = 0;
	list_for_each_entry (t, &g->threads, thread_node)
		if (!task_is_traced(t))
			task_clear_work(t, TW_STOP);
	waitq_wake_all(&g->sig->stop_wq);
}

static bool prepare_locked(struct tgroup *g, struct task *t, int sig, bool forced)
{
	if (atomic_load_explicit(&g->exiting, memory_order_relaxed))
		return sig == LINUX_SIGKILL && !g->sig->unkillable;
	if (SIGMASK(sig) & SIG_STOPS)
		remove_everywhere(g, SIGMASK(LINUX_SIGCONT));
	else if (sig == LINUX_SIGCONT)
		continue_locked(g);
	return !ignored_locked(g, t, sig, forced);
}

/* ---- who takes it? ------------------------------------------------------------------------------------------ */

static bool would_take(struct task *t, int sig, bool idle_only)
{
	uint32_t work = atomic_load_explicit(&t->work, memory_order_relaxed);

	if (t->sig->exiting || (signal_mask(t) & SIGMASK(sig)))
		return false;
	if (sig == LINUX_SIGKILL)
		return true;
	return !idle_only || !(work & (TW_SIGNAL | TW_STOP));
}

static struct task *choose_locked(struct tgroup *g, int sig)
{
	struct task *t;

	/* The main thread first, as in Linux; then one with nothing else to do; then anyone. */
	list_for_each_entry (t, &g->threads, thread_node)
		if (would_take(t, sig, true))
			return t;
	list_for_each_entry (t, &g->threads, thread_node)
		if (would_take(t, sig, false))
			return t;
	return NULL;
}

void signal_wake_locked(struct task *t, bool kill)
{
	task_poke_locked(t, kill ? TW_SIGNAL | TW_EXIT : TW_SIGNAL, kill);
	if (kill)
		waitq_wake_all(&t->group->sig->stop_wq);
}

/* Ends the group unless a handler, a tracer or init's privilege stands between. */
static bool surely_fatal(struct tgroup *g, struct task *t, int sig, bool forced)
{
	if (sig == LINUX_SIGKILL)
		return true; /* prepare_locked() let it through */
	if (sighand_action(g->sig->hand, sig).handler != LINUX_SIG_DFL)
		return false;
	if ((SIGMASK(sig) & (SIG_STOPS | SIG_CORES)) || default_ignores(sig))
		return false;
	return !g->sig->unkillable && !task_is_traced(t);
}

static void complete_locked(struct tgroup *g, struct task *only, int sig, bool forced)
{
	struct task *t;

	if (only)
		signal_publish_pending_locked(only);
	else
		list_for_each_entry (t, &g->threads, thread_node)
			signal_publish_pending_locked(t);
	atomic_thread_fence(memory_order_seq_cst); /* mask/pending: masks are read below */
	waitq_wake_all(&g->sig->wq);

	if (only)
		t = would_take(only, sig, false) ? only : NULL;
	else
		t = choose_locked(g, sig);
	if (!t || ((t->sig->wait_set & SIGMASK(sig)) && sig != LINUX_SIGKILL))
		return; /* blocked everywhere, or sigtimedwait's: the wake-up above was for it */
	if (surely_fatal(g, t, sig, forced))
		group_exit_begin_locked(g, sig);
	else
		signal_wake_locked(t, false);
}

/* ---- queueing -------------------------------------------------------------------------------------------------- */

static struct sigqueue *sigqueue_alloc(struct task *target, int sig, int code)
{
	struct user_count *uc = target->ucount;
	uint64_t limit = task_rlimit(target, LINUX_RLIMIT_SIGPENDING);
	struct sigqueue *q;

	if (!uc)
		return NULL;
	/* What the kernel itself or kill(2) sends for the old signals goes beyond the limit. */
	if (atomic_fetch_add_explicit(&uc->nr_sigpending, 1, memory_order_relaxed) >= limit &&
	    !(sig < LINUX_SIGRTMIN && code >= 0))
		goto over;
	q = calloc(1, sizeof(*q));
	if (!q)
		goto over;
	q->charged = user_count_ref(uc);
	return q;
over:
	atomic_fetch_sub_explicit(&uc->nr_sigpending, 1, memory_order_relaxed);
	return NULL;
}

static long send_locked(struct tgroup *g, struct task *only, const struct linux_siginfo_head *si, uint32_t flags)
{
	struct sigpending *p = only ? &only->sig->pending : &g->sig->shared;
	struct task *first = only, *me = task_current();
	bool from_user = si->code == LINUX_SI_USER || si->code == LINUX_SI_TKILL;
	bool forced = (flags & SEND_FORCED) || !me || (si->code > 0);
	int sig = si->signo;
	struct sigqueue *q;

	if (!g->nr_live || (only && only->sig->exiting))
		return 0; /* a zombie takes signals and does nothing */
	if (!first)
		first = list_first(&g->threads, struct task, thread_node);
	/* An outer namespace's process rules over this one's init. */
	if (me && !pid_nr(me->group->pid, g->pid->num[g->pid->level].ns))
		forced = true;
	if (!prepare_locked(g, first, sig, forced))
		return 0;
	if (sig < LINUX_SIGRTMIN && (p->mask & SIGMASK(sig)))
		return 0;
	if (sig != LINUX_SIGKILL) {
		q = sigqueue_alloc(first, sig, si->code);
		if (q) {
			q->info = *si;
			if (from_user && me)
				siginfo_translate(&q->info, me, g);
			list_add_tail(&p->queue, &q->node);
		} else if (sig >= LINUX_SIGRTMIN && si->code != LINUX_SI_USER) {
			return -LINUX_EAGAIN;
		}
	}
	p->mask |= SIGMASK(sig);
	complete_locked(g, only, sig, forced);
	return 0;
}

long signal_send_task(struct task *t, const struct linux_siginfo_head *si, uint32_t flags)
{
	long ret;

	if (!si->signo)
		return 0;
	mutex_lock(&t->group->sig_mu);
	ret = send_locked(t->group, t, si, flags);
	mutex_unlock(&t->group->sig_mu);
	return ret;
}

long signal_send_group(struct tgroup *g, const struct linux_siginfo_head *si, uint32_t flags)
{
	return signal_send_group_locked(g, si, flags);
}

long signal_send_group_locked(struct tgroup *g, const struct linux_siginfo_head *si, uint32_t flags)
{
	long ret;

	if (!si->signo)
		return 0;
	mutex_lock(&g->sig_mu);
	ret = send_locked(g, NULL, si, flags);
	mutex_unlock(&g->sig_mu);
	return ret;
}

long signal_send_pgrp_locked(struct pgrp *pg, const struct linux_siginfo_head *si, uint32_t flags)
{
	struct tgroup *g;
	long ret = -LINUX_ESRCH;

	list_for_each_entry (g, &pg->members, pgrp_node) {
		long one = signal_send_group_locked(g, si, flags);

		if (ret)
			ret = one;
	}
	return ret;
}

long signal_send_pgrp(struct pgrp *pg, const struct linux_siginfo_head *si, uint32_t flags)
{
	long ret;

	mutex_lock(&tasks_mu);
	ret = signal_send_pgrp_locked(pg, si, flags);
	mutex_unlock(&tasks_mu);
	return ret;
}

int signal_send_timer(struct tgroup *g, struct task *t, struct sigqueue *q)
{
	struct sigpending *p = t ? &t->sig->pending : &g->sig->shared;
	int sig = q->info.signo;

	if (!g->nr_live || (t && t->sig->exiting))
		return 0;
	if (!list_empty(&q->node))
		return 1; /* still queued: the timer counts an overrun */
	if (!prepare_locked(g, t ? t : list_first(&g->threads, struct task, thread_node), sig, true))
		return 0;
	list_add_tail(&p->queue, &q->node);
	p->mask |= SIGMASK(sig);
	complete_locked(g, t, sig, true);
	return 0;
}

void signal_forget_timer(struct tgroup *g, struct sigqueue *q)
{
	/* The mask bit may stay: a signal without siginfo is delivered then, as Linux may do. */
	if (!list_empty(&q->node))
		list_del_init(&q->node);
}

/* ---- synchronous and fatal ------------------------------------------------------------------------------------------ */

void signal_fault(struct task *t, const struct linux_siginfo_head *si)
{
	struct tgroup *g = t->group;
	int sig = si->signo;
	struct linux_sigaction *act;

	mutex_lock(&g->sig_mu);
	mutex_lock(&g->sig->hand->mu);
	act = &g->sig->hand->act[sig - 1];
	if (act->handler == LINUX_SIG_IGN || (signal_mask(t) & SIGMASK(sig))) {
		act->handler = LINUX_SIG_DFL; /* cannot be put off: the default action it is */
		if (t->sig->sh)
			atomic_fetch_and_explicit(&t->sig->sh->sigmask, ~SIGMASK(sig), memory_order_relaxed);
		t->sig->mask_copy &= ~SIGMASK(sig);
	}
	if (act->handler == LINUX_SIG_DFL && !task_is_traced(t))
		g->sig->unkillable = false; /* an init that faults dies */
	mutex_unlock(&g->sig->hand->mu);
	sigpending_remove(&t->sig->pending, SIGMASK(sig));
	send_locked(g, t, si, SEND_FORCED | SEND_FAULT);
	mutex_unlock(&g->sig_mu);
}

void signal_force_fatal(struct task *t, int sig)
{
	group_exit_begin(t->group, sig);
}

void group_exit_begin_locked(struct tgroup *g, int status)
{
	struct task *t;

	if (atomic_load_explicit(&g->exiting, memory_order_relaxed))
		return;
	atomic_store_explicit(&g->exiting, true, memory_order_relaxed);
	g->exit_status = status;
	g->sig->stop = 0;
	list_for_each_entry (t, &g->threads, thread_node)
		if (!t->sig->exiting)
			signal_wake_locked(t, true);
	task_overdue_watch_locked(g);
}

void group_exit_begin(struct tgroup *g, int status)
{
	mutex_lock(&g->sig_mu);
	group_exit_begin_locked(g, status);
	mutex_unlock(&g->sig_mu);
}

/* A thread that was woken for a shared signal now blocks it or ends: somebody else's turn.
 *
 *	sender: chooses A, wakes A		A, in the stub: blocks the signal before the wake-up reaches it
 *	B does not block it, but sleeps on	A enters the Sentry, finds nothing deliverable
 *
 * Without this the signal would wait for B's next change of mask. */
void signal_retarget(struct task *t)
{
	struct tgroup *g = t->group;
	struct task *o;
	uint64_t left;

	mutex_lock(&g->sig_mu);
	left = g->sig->shared.mask;
	if (!t->sig->exiting)
		left &= signal_mask(t);
	if (left && g->nr_live > 1)
		list_for_each_entry (o, &g->threads, thread_node) {
			if (o == t || o->sig->exiting || !(left & ~signal_mask(o)))
				continue;
			left &= signal_mask(o);
			if (!(atomic_load_explicit(&o->work, memory_order_relaxed) & TW_SIGNAL))
				signal_wake_locked(o, false);
		}
	mutex_unlock(&g->sig_mu);
}
