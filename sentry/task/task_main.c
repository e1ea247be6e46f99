/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_main.c - the life of a task: run the guest, serve what comes, again
 *
 * Model:   one kthread per task executes task_main(). Between two runs only the work word is looked at; everything rare hangs on one
 *          of its bits. A kick that comes between that look and uthread_run() makes the run return at once, so no bit is missed.
 *
 *          loop                                sender
 *          work == 0                           work |= TW_SIGNAL
 *          uthread_run() ...                   uthread_kick()
 *                                              ... the kick is sticky: the run ends with UEV_INTERRUPT
 * Source:  signal(7), restart_syscall(2).
 */
#include "base/log.h"
#include "sentry/task/container_internal.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_internal.h"

#define LINUX_NR_RESTART_SYSCALL 219
#define SYSCALL_INSN_LEN	 2u

static inline bool is_restart(long ret)
{
	/* All restart codes lie in one small range; nothing else does (errno.h). */
	return unlikely((unsigned long)(-ret) - ERESTARTSYS <= ERESTART_RESTARTBLOCK - ERESTARTSYS);
}

static inline uint32_t work_of(struct task *t)
{
	return atomic_load_explicit(&t->work, memory_order_relaxed);
}

/* Everything that may stand between a task and its guest. @ret: the call's value, NULL when not in a call.
 * Return: true when the task must end */
static NOINLINE bool work_before_guest(struct task *t, uint32_t nr, const uint64_t *args, const long *call_ret)
{
	long value = call_ret ? *call_ret : 0;
	const long *ret = call_ret ? &value : NULL;
	long err = uthread_settle(t->u); /* what follows may stop the task for long */

	if (err < 0)
		value = err;
	for (;;) {
		uint32_t work = work_of(t);

		if (work & TW_NORET) {
			task_clear_work(t, TW_NORET);
			ret = NULL;
		}
		/* The stub was to make the call itself, and something comes before: then the call has not begun. A handler's
		 * registers must not meet the stub's answer to this call. */
		if ((work & (TW_SIGNAL | TW_STOP)) && uthread_unanswer_local(t->u)) {
			value = -ERESTARTSYS;
			ret = &value;
			nr = t->u->sysno;
			args = t->u->args;
		}
		if (work & TW_EXIT)
			return true;
		if ((work & TW_FREEZE) && container_freeze_point(t))
			continue;
		if (work & (TW_SIGNAL | TW_STOP | TW_MASK)) {
			if (signal_deliver(t, ret))
				ret = NULL; /* registers are set */
			if (work_of(t) & TW_EXIT)
				return true;
		}
		if (ret && is_restart(value)) {
			/* No handler ran: the call goes on, without a detour through the guest. */
			value = value == -ERESTART_RESTARTBLOCK && t->restart_fn ? t->restart_fn(t)
										 : syscall_dispatch(t, nr, args);
			continue;
		}
		if (!(work_of(t) & (TW_SIGNAL | TW_STOP | TW_EXIT | TW_FREEZE | TW_NORET)))
			break;
	}
	if (ret)
		uthread_set_ret(t->u, value);
	return false;
}

/* A call that the stub sleeps in (futex, nanosleep) was kicked. With a handler it ends or restarts as any call; without one it is
 * made again by the guest itself, since only the stub can go on with it.
 * Return: true when the task must end */
static NOINLINE bool cut_short(struct task *t, long ret)
{
	struct guest_regs regs;

	if ((work_of(t) & TW_FREEZE) && !(work_of(t) & TW_EXIT))
		container_freeze_point(t);
	if ((work_of(t) & (TW_SIGNAL | TW_STOP | TW_MASK)) && signal_deliver(t, &ret))
		return work_of(t) & TW_EXIT;
	if (work_of(t) & TW_EXIT)
		return true;
	uthread_get_regs(t->u, &regs);
	regs.rax = ret == -ERESTART_RESTARTBLOCK ? LINUX_NR_RESTART_SYSCALL : regs.orig_rax;
	regs.rip -= SYSCALL_INSN_LEN;
	uthread_set_regs(t->u, &regs);
	return false;
}

static void fault(struct task *t)
{
	struct ufault *f = &t->u->fault;
	struct linux_siginfo_head si = { .signo = f->signo, .code = f->code };

	if (f->signo == LINUX_SIGSEGV || f->signo == LINUX_SIGBUS) {
		int signo = f->signo, code = f->code;

		if (mm_fault(t->mm, t->u, f, &signo, &code))
			return;
		si.signo = signo;
		si.code = code;
	}
	si.fault.addr = f->addr;
	if (log_enabled(LOG_LV_DEBUG)) {
		struct vma_info v = { 0 };
		struct guest_regs r;

		uthread_get_regs(t->u, &r);
		mm_next_vma(t->mm, r.rip, &v);
		log_debug("%s[%u]: signal %d at %#llx ip %#llx sp %#llx error %llu in %s[%#llx]", t->comm,
			  pid_nr(t->pid, task_pid_ns(t)), si.signo, (unsigned long long)f->addr, (unsigned long long)r.rip,
			  (unsigned long long)r.rsp, (unsigned long long)f->err, v.name,
			  (unsigned long long)(r.rip - v.start + v.off));
	}
	signal_fault(t, &si);
}

static void begin(struct task *t)
{
	kthread_set_private(kthread_self(), t);
	mutex_lock(&t->group->sig_mu);
	t->k = kthread_self();
	/* Signals that came before there was anybody to interrupt. */
	if (task_signal_pending(t))
		kthread_interrupt(t->k, work_of(t) & TW_EXIT);
	mutex_unlock(&t->group->sig_mu);
	if (t->start_fn && t->start_fn(t) < 0)
		task_exit_group(t, LINUX_SIGKILL);
}

void task_main(void *arg)
{
	struct task *t = arg; /* the kthread's reference */

	kthread_set_budget(kthread_self(), t->budget);
	begin(t);
	for (;;) {
		enum uevent ev;

		if (unlikely(work_of(t)) && work_before_guest(t, 0, NULL, NULL))
			break;
		atomic_store_explicit(&t->in_guest, true, memory_order_relaxed);
		ev = uthread_run(t->u);
		atomic_store_explicit(&t->in_guest, false, memory_order_relaxed);

		if (likely(ev == UEV_SYSCALL)) {
			uint32_t nr = t->u->sysno;
			long ret = syscall_dispatch(t, nr, t->u->args);

			if (likely(!work_of(t) && !is_restart(ret)))
				uthread_set_ret(t->u, ret);
			else if (work_before_guest(t, nr, t->u->args, &ret))
				break;
		} else if (ev == UEV_FAULT) {
			fault(t);
		} else if (ev == UEV_INTERRUPT) {
			signal_recalc(t); /* the stub has unblocked a pending signal, perhaps */
			if (t->u->intr_ret && cut_short(t, t->u->intr_ret))
				break;
		} else if (ev == UEV_UNBORN) {
			task_never_born(t);
			break;
		} else if (ev == UEV_DEAD) {
			/* Killed from outside, or out of memory; or by us, then the status is known already. */
			if (!(work_of(t) & TW_EXIT))
				log_debug("task %s (pid %u): its host thread is gone; users %u, threads %u, exec %d", t->comm, t->pid->num[0].nr, t->mm ? mm_users(t->mm) : 0, t->group->nr_threads, t->group->did_exec);
			group_exit_begin(t->group, LINUX_SIGKILL);
			break;
		}
	}
	task_do_exit(t);
}

long task_start(struct task *t)
{
	task_get(t);
	if (kthread_start(task_main, t, t->comm))
		return 0;
	task_put(t);
	return -LINUX_ENOMEM;
}
