/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal_deliver.c - acting on signals before the guest runs again
 *
 * Model:   called by the run loop when TW_SIGNAL, TW_STOP or TW_MASK is set or a call returned a restart code. Takes one signal after the
 *          other: default actions happen here, handlers get frames, which stack up as in Linux. Only the first frame sees
 *          the interrupted call.
 * Source:  signal(7) "Interruption of system calls and library functions by signal handlers", sigaction(2).
 */
#include "sentry/task/coredump.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"

#define SYSCALL_INSN_LEN 2u

static bool is_restart(long ret)
{
	return ret == -ERESTARTSYS || ret == -ERESTARTNOINTR || ret == -ERESTARTNOHAND || ret == -ERESTART_RESTARTBLOCK;
}

/* What the interrupted call looks like to a handler: EINTR, or back on the syscall instruction. */
static void settle_call(struct guest_regs *r, long ret, uint64_t sa_flags)
{
	bool again = ret == -ERESTARTNOINTR || (ret == -ERESTARTSYS && (sa_flags & LINUX_SA_RESTART));

	if (!is_restart(ret)) {
		r->rax = (uint64_t)ret;
	} else if (again) {
		r->rax = r->orig_rax;
		r->rip -= SYSCALL_INSN_LEN;
	} else {
		r->rax = (uint64_t)-LINUX_EINTR;
	}
	r->orig_rax = (uint64_t)-1;
}

/* Takes the next signal and its action; SA_RESETHAND happens here. 0: none. */
static int next_signal(struct task *t, struct linux_siginfo_head *si, struct linux_sigaction *act)
{
	struct tgroup *g = t->group;
	int sig;

	mutex_lock(&g->sig_mu);
	sig = signal_dequeue_locked(t, ~signal_mask(t), si);
	if (sig) {
		mutex_lock(&g->sig->hand->mu);
		*act = g->sig->hand->act[sig - 1];
		if (act->handler > LINUX_SIG_IGN && (act->flags & LINUX_SA_RESETHAND))
			g->sig->hand->act[sig - 1].handler = LINUX_SIG_DFL;
		mutex_unlock(&g->sig->hand->mu);
	}
	signal_recalc_locked(t);
	mutex_unlock(&g->sig_mu);
	return sig;
}

/* The default action of @sig; true: the group is ending. */
static bool default_action(struct task *t, int sig, const struct linux_siginfo_head *si)
{
	struct tgroup *g = t->group;

	if (SIGMASK(sig) & SIG_IGNORED_BY_DEFAULT)
		return false;
	if (g->sig->unkillable && sig != LINUX_SIGKILL)
		return false;
	if (SIGMASK(sig) & SIG_STOPS) {
		bool orphaned = false;

		if (sig != LINUX_SIGSTOP) {
			mutex_lock(&tasks_mu);
			orphaned = g->pgrp && pgrp_is_orphaned_locked(g->pgrp, NULL);
			mutex_unlock(&tasks_mu);
		}
		if (!orphaned)
			signal_group_stop(t, sig);
		return false;
	}
	if ((SIGMASK(sig) & SIG_CORES) && !atomic_load(&g->exiting) && coredump_write(t, si))
		group_exit_begin(g, sig | LINUX_W_CORE);
	else
		group_exit_begin(g, sig);
	return true;
}

static void run_handler(struct task *t, const struct linux_siginfo_head *si, const struct linux_sigaction *act,
			struct guest_regs *regs)
{
	uint64_t now = signal_mask(t), save = now;
	struct linux_siginfo_head segv;

	if (t->sig->has_saved_mask) {
		save = t->sig->saved_mask;
		t->sig->has_saved_mask = false;
		task_clear_work(t, TW_MASK);
	}
	if (signal_frame_push(t, si, act, save, regs) < 0) {
		/* No room for the frame: SIGSEGV, whose own handler must not be tried on the same stack. */
		if (si->signo == LINUX_SIGSEGV) {
			mutex_lock(&t->group->sig->hand->mu);
			t->group->sig->hand->act[LINUX_SIGSEGV - 1].handler = LINUX_SIG_DFL;
			mutex_unlock(&t->group->sig->hand->mu);
		}
		siginfo_kernel(&segv, LINUX_SIGSEGV);
		signal_fault(t, &segv);
		signal_set_mask(t, save);
		return;
	}
	now |= act->mask;
	if (!(act->flags & LINUX_SA_NODEFER))
		now |= SIGMASK(si->signo);
	signal_set_mask(t, now);
}

bool signal_deliver(struct task *t, const long *ret)
{
	struct guest_regs regs;
	bool have_regs = false;
	struct linux_siginfo_head si;
	struct linux_sigaction act;
	int sig;

	for (;;) {
		uint32_t work = atomic_load_explicit(&t->work, memory_order_relaxed);

		if (work & TW_EXIT)
			return have_regs;
		if (work & TW_STOP)
			signal_do_stop(t);
		sig = next_signal(t, &si, &act);
		if (!sig)
			break;
		if (task_is_traced(t)) {
			bool regs_set;

			sig = ptrace_signal(t, sig, &si, &regs_set);
			if (regs_set) {
				uthread_get_regs(t->u, &regs);
				have_regs = true;
			}
			if (!sig)
				continue;
			act = sighand_action(t->group->sig->hand, sig);
		}
		if (act.handler == LINUX_SIG_IGN)
			continue;
		if (act.handler == LINUX_SIG_DFL) {
			if (default_action(t, sig, &si))
				return have_regs;
			continue;
		}
		if (!have_regs) {
			uthread_get_regs(t->u, &regs);
			if (ret)
				settle_call(&regs, *ret, act.flags);
			have_regs = true;
		}
		run_handler(t, &si, &act, &regs);
	}
	if (!have_regs && t->sig->has_saved_mask) {
		t->sig->has_saved_mask = false;
		task_clear_work(t, TW_MASK);
		signal_set_mask(t, t->sig->saved_mask);
	}
	if (have_regs)
		uthread_set_regs(t->u, &regs);
	signal_retarget(t);
	return have_regs;
}
