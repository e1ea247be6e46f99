/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ptrace.c - tracing: the tracee's side
 *
 * Model:   a stop is a sleep of the tracee's kthread in trap(). While it lasts, the tracer may use the tracee's registers; what only the
 *          tracee's kthread can do (vector state, writes to protected pages) is handed to it as a request.
 * Locks:   tasks_mu; task.ptrace changes under tasks_mu and sig_mu, the tracee reads its own without.
 * Source:  ptrace(2), wait(2).
 * Differs: the tracer is a process, not a thread. A listening tracee (PTRACE_LISTEN) hears of SIGCONT only by its next stop.
 */
#include "sentry/abi/time.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace_internal.h"
#include "sentry/task/signal.h"

long ptrace_link_locked(struct tgroup *g, struct task *t, uint32_t options, bool seized)
{
	struct ptrace_state *ps;

	if (t->ptrace)
		return -LINUX_EPERM;
	ps = calloc(1, sizeof(*ps));
	if (!ps)
		return -LINUX_ENOMEM;
	ps->tracer = g;
	ps->task = t;
	ps->pid = pid_get(t->pid);
	ps->options = options;
	ps->seized = seized;
	waitq_init(&ps->wq);
	list_add_tail(&g->tracees, &ps->node);
	mutex_lock(&t->group->sig_mu);
	t->ptrace = ps;
	task_set_entry_work_locked(t, TE_PTRACE, 0);
	mutex_unlock(&t->group->sig_mu);
	return 0;
}

static void state_free(struct ptrace_state *ps)
{
	list_del_init(&ps->node);
	pid_put(ps->pid);
	free(ps);
}

void ptrace_unlink_locked(struct ptrace_state *ps)
{
	struct task *t = ps->task;

	list_del_init(&ps->node);
	ps->tracer = NULL;
	ps->resumed = true;
	ps->sys_stops = ps->sysemu = ps->step = false;
	if (ps->in_stop) { /* trap() frees it */
		waitq_wake_all(&ps->wq);
		return;
	}
	mutex_lock(&t->group->sig_mu);
	t->ptrace = NULL;
	task_set_entry_work_locked(t, 0, TE_PTRACE);
	mutex_unlock(&t->group->sig_mu);
	state_free(ps);
}

/* ---- stopping ----------------------------------------------------------------------------------------------- */

static void tell_tracer_locked(struct ptrace_state *ps)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGCHLD, .code = LINUX_CLD_TRAPPED };
	struct tgroup *g = ps->tracer;

	si.chld.pid = (int32_t)pid_nr(ps->pid, g->pid->num[g->pid->level].ns);
	si.chld.status = (ps->status >> 8) & 0x7f;
	signal_send_group_locked(g, &si, SEND_FORCED);
	waitq_wake_all(&g->wait_chld);
}

static bool woken(struct task *t, struct ptrace_state *ps)
{
	bool go;

	mutex_lock(&tasks_mu);
	go = ps->resumed || (ps->req && !ps->req_done) || (atomic_load(&t->work) & TW_EXIT);
	mutex_unlock(&tasks_mu);
	return go;
}

static void serve_request(struct task *t, struct ptrace_state *ps)
{
	long ret = ps->req(t, ps->req_arg);

	mutex_lock(&tasks_mu);
	ps->req_ret = ret;
	ps->req_done = true;
	mutex_unlock(&tasks_mu);
	waitq_wake_all(&ps->wq);
}

/* The stop is over, be it by SIGKILL: the tracer's calls end first, since they use this thread's registers and memory.
 *
 *	tracer, PTRACE_GETREGS		tracee
 *	sees "stopped"			is killed, wakes
 *	uthread_get_regs(tracee->u)	exits: frees tracee->u
 */
static bool unused(struct ptrace_state *ps)
{
	bool yes;

	mutex_lock(&tasks_mu);
	ps->stopped = false; /* no new ones */
	yes = !ps->users;
	mutex_unlock(&tasks_mu);
	return yes;
}

static void end_stop(struct task *t, struct ptrace_state *ps)
{
	struct guest_regs r;
	bool gone, step = ps->step;

	mutex_lock(&tasks_mu);
	ps->stopped = ps->in_stop = ps->has_si = false;
	ps->where = PT_NOWHERE;
	gone = !ps->tracer;
	if (gone) {
		mutex_lock(&t->group->sig_mu);
		t->ptrace = NULL;
		task_set_entry_work_locked(t, 0, TE_PTRACE);
		mutex_unlock(&t->group->sig_mu);
	}
	mutex_unlock(&tasks_mu);
	atomic_store_explicit(&t->state, TASK_RUNNING, memory_order_relaxed);
	uthread_get_regs(t->u, &r);
	if (!!(r.eflags & 0x100) != step) {
		r.eflags = step ? r.eflags | 0x100 : r.eflags & ~0x100ull;
		uthread_set_regs(t->u, &r);
	}
}

/* Sleeps in a stop with wait status @status. Return: the signal with which the tracer resumed, 0 none; *@out_regs_set:
 * the tracer wrote registers. */
static int trap(struct task *t, int status, const struct linux_siginfo_head *si, enum ptrace_where where, bool *out_regs_set)
{
	struct ptrace_state *ps;
	bool killed = false;
	int sig = 0;

	*out_regs_set = false;
	umem_flush(t->u); /* the tracer looks at the memory now */
	mutex_lock(&tasks_mu);
	ps = t->ptrace;
	if (!ps || (atomic_load(&t->work) & TW_EXIT)) {
		mutex_unlock(&tasks_mu);
		return 0;
	}
	ps->status = status;
	ps->stopped = ps->in_stop = true;
	ps->reported = ps->resumed = ps->regs_set = ps->step = false;
	ps->resume_sig = 0;
	ps->where = where;
	ps->has_si = si;
	if (si)
		ps->si = *si;
	atomic_store_explicit(&t->state, TASK_TRACED, memory_order_relaxed);
	tell_tracer_locked(ps);
	mutex_unlock(&tasks_mu);

	while (!ps->resumed && !killed) {
		wait_event(&ps->wq, woken(t, ps), SLEEP_KILLABLE, NO_DEADLINE);
		killed = atomic_load(&t->work) & TW_EXIT;
		if (!ps->resumed && ps->req && !ps->req_done)
			serve_request(t, ps);
	}
	if (!unused(ps)) {
		waitq_wake_all(&ps->wq); /* a request will not be served any more */
		wait_event(&ps->wq, unused(ps), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	}
	sig = ps->resume_sig;
	*out_regs_set = ps->regs_set;
	end_stop(t, ps);
	if (!ps->tracer)
		state_free(ps);
	return sig;
}

static void trap_event(struct task *t, int event, uint64_t msg)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGTRAP, .code = LINUX_SIGTRAP | event << 8 };
	bool regs_set;

	t->ptrace->event_msg = msg;
	trap(t, LINUX_W_STOPCODE(LINUX_SIGTRAP | event << 8), &si, PT_NOWHERE, &regs_set);
}

int ptrace_signal(struct task *t, int sig, struct linux_siginfo_head *si, bool *out_regs_set)
{
	int now;

	*out_regs_set = false;
	if (sig == LINUX_SIGKILL)
		return sig;
	now = trap(t, LINUX_W_STOPCODE(sig), si, PT_NOWHERE, out_regs_set);
	if (now && now != sig) { /* another signal: as if the tracer had sent it */
		siginfo_kernel(si, now);
		si->code = LINUX_SI_USER;
	}
	return now;
}

/* TW_STOP of a traced task: job control, PTRACE_INTERRUPT, or the first stop of a seized child. */
bool ptrace_group_stop(struct task *t)
{
	struct ptrace_state *ps = t->ptrace;
	struct linux_siginfo_head si = { .signo = LINUX_SIGTRAP };
	int sig = LINUX_SIGTRAP;
	bool regs_set;

	if (!ps || (!ps->interrupt && !(t->group->sig->stop & (STOP_PENDING | STOP_STOPPED))))
		return false;
	if (t->group->sig->stop & (STOP_PENDING | STOP_STOPPED))
		sig = t->group->sig->stop_sig;
	ps->interrupt = false;
	si.code = ps->seized ? sig | LINUX_PTRACE_EVENT_STOP << 8 : 0;
	trap(t, LINUX_W_STOPCODE(sig | (ps->seized ? LINUX_PTRACE_EVENT_STOP << 8 : 0)), ps->seized ? &si : NULL, PT_NOWHERE,
	     &regs_set);
	return true;
}

/* ---- system calls -------------------------------------------------------------------------------------------- */

static int sys_stop_code(const struct ptrace_state *ps)
{
	return LINUX_SIGTRAP | (ps->options & LINUX_PTRACE_O_TRACESYSGOOD ? 0x80 : 0);
}

/* A signal with which the tracer left a system call stop is sent as if by itself. */
static void inject(struct task *t, int sig)
{
	struct linux_siginfo_head si;

	if (!sig)
		return;
	siginfo_kernel(&si, sig);
	si.code = LINUX_SI_USER;
	signal_send_task(t, &si, 0);
}

static bool sys_stop(struct task *t, enum ptrace_where where)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGTRAP, .code = sys_stop_code(t->ptrace) };
	bool regs_set;

	inject(t, trap(t, LINUX_W_STOPCODE(si.code), &si, where, &regs_set));
	return regs_set;
}

/* The tracer may have changed number and arguments. */
static void reload_call(struct task *t, int32_t *nr, uint64_t a[6])
{
	struct guest_regs r;

	uthread_get_regs(t->u, &r);
	*nr = (int32_t)r.orig_rax;
	a[0] = r.rdi, a[1] = r.rsi, a[2] = r.rdx, a[3] = r.r10, a[4] = r.r8, a[5] = r.r9;
}

bool ptrace_syscall_entry(struct task *t, int32_t *nr, uint64_t a[6], long *ret)
{
	struct guest_regs r;
	bool emu;

	if (!t->ptrace || !(t->ptrace->sys_stops || t->ptrace->sysemu))
		return true;
	emu = t->ptrace->sysemu;
	uthread_set_ret(t->u, -LINUX_ENOSYS);
	if (sys_stop(t, PT_ENTRY))
		reload_call(t, nr, a);
	if (emu || *nr < 0) {
		uthread_get_regs(t->u, &r);
		*ret = (long)r.rax;
		return false;
	}
	return true;
}

#define NR_RT_SIGRETURN 15u

void ptrace_syscall_exit(struct task *t, long *ret)
{
	struct guest_regs r;

	if (!t->ptrace || !t->ptrace->sys_stops || (atomic_load(&t->work) & TW_EXIT))
		return;
	if (t->call_nr != NR_RT_SIGRETURN) /* which has set all registers: the tracer sees those, and they stay */
		uthread_set_ret(t->u, *ret);
	if (!sys_stop(t, PT_EXIT))
		return;
	uthread_get_regs(t->u, &r);
	*ret = (long)r.rax;
}

bool ptrace_seccomp(struct task *t, uint32_t data, int32_t *nr, uint64_t a[6], long *ret)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGTRAP, .code = LINUX_SIGTRAP | LINUX_PTRACE_EVENT_SECCOMP << 8 };
	struct guest_regs r;
	bool regs_set;

	*ret = -LINUX_ENOSYS;
	if (!t->ptrace || !(t->ptrace->options & LINUX_PTRACE_O_TRACESECCOMP))
		return false;
	t->ptrace->event_msg = data;
	uthread_set_ret(t->u, -LINUX_ENOSYS);
	inject(t, trap(t, LINUX_W_STOPCODE(si.code), &si, PT_SECCOMP, &regs_set));
	if (regs_set)
		reload_call(t, nr, a);
	if (*nr >= 0)
		return true;
	uthread_get_regs(t->u, &r);
	*ret = (long)r.rax;
	return false;
}

/* ---- events ------------------------------------------------------------------------------------------------------ */

bool ptrace_may_gain(struct task *t)
{
	struct task *leader;
	bool ok = false;

	mutex_lock(&tasks_mu);
	leader = t->ptrace && t->ptrace->tracer ? t->ptrace->tracer->leader : NULL;
	if (leader)
		ok = cred_has_cap(leader->cred, t->cred->user_ns, LINUX_CAP_SYS_PTRACE);
	mutex_unlock(&tasks_mu);
	return ok;
}

bool ptrace_is_tracer(struct task *tracer, struct task *t)
{
	return t->ptrace && t->ptrace->tracer == tracer->group;
}

static int clone_event(const struct clone_request *r)
{
	if (r->flags & LINUX_CLONE_UNTRACED)
		return 0;
	if (r->flags & LINUX_CLONE_VFORK)
		return LINUX_PTRACE_EVENT_VFORK;
	return r->exit_signal == LINUX_SIGCHLD && !(r->flags & LINUX_CLONE_THREAD) ? LINUX_PTRACE_EVENT_FORK
										   : LINUX_PTRACE_EVENT_CLONE;
}

/* Before the child runs: it is traced from its first instruction on. Return: the event the parent stops for, 0 none. */
int ptrace_clone(struct task *parent, struct task *child, const struct clone_request *r)
{
	struct ptrace_state *ps = parent->ptrace;
	struct linux_siginfo_head si = { .signo = LINUX_SIGSTOP };
	int event;
	bool linked = false;

	if (!ps)
		return 0;
	event = clone_event(r);
	if (event && !(ps->options & 1u << event))
		event = 0;
	if (!event && !(r->flags & LINUX_CLONE_PTRACE))
		return 0;
	mutex_lock(&tasks_mu);
	if (ps->tracer)
		linked = ptrace_link_locked(ps->tracer, child, ps->options, ps->seized) == 0;
	if (linked && ps->seized)
		child->ptrace->interrupt = true;
	mutex_unlock(&tasks_mu);
	if (linked && child->ptrace->seized)
		task_set_work(child, TW_STOP);
	else if (linked)
		signal_send_task(child, &si, SEND_FORCED);
	return event;
}

void ptrace_event(struct task *t, int event, uint64_t msg)
{
	if (event && t->ptrace && (t->ptrace->options & 1u << event))
		trap_event(t, event, msg);
}

void ptrace_exec(struct task *t)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGTRAP, .code = LINUX_SI_USER };

	if (!t->ptrace)
		return;
	if (t->ptrace->options & LINUX_PTRACE_O_TRACEEXEC)
		trap_event(t, LINUX_PTRACE_EVENT_EXEC, task_pid_nr(t, task_pid_ns(t)));
	else if (!t->ptrace->seized)
		signal_send_task(t, &si, SEND_FORCED);
}

/* The thread ends: its tracer may be told, and its own tracees are let go. */
void ptrace_exit(struct task *t)
{
	struct ptrace_state *ps, *tmp;
	struct linux_siginfo_head si;

	if (t->ptrace && (t->ptrace->options & LINUX_PTRACE_O_TRACEEXIT) && t->exit_code != LINUX_SIGKILL) {
		uint32_t work = atomic_fetch_and(&t->work, ~TW_EXIT);

		trap_event(t, LINUX_PTRACE_EVENT_EXIT, (uint64_t)t->exit_code);
		task_set_work(t, work & TW_EXIT);
	}
	siginfo_kernel(&si, LINUX_SIGKILL);
	mutex_lock(&tasks_mu);
	if (t->group->nr_live == 0)
		list_for_each_entry_safe (ps, tmp, &t->group->tracees, node) {
			if (ps->dead) {
				state_free(ps);
				continue;
			}
			if (ps->options & LINUX_PTRACE_O_EXITKILL)
				signal_send_group_locked(ps->task->group, &si, SEND_FORCED);
			ptrace_unlink_locked(ps);
		}
	ps = t->ptrace;
	if (ps) {
		mutex_lock(&t->group->sig_mu);
		t->ptrace = NULL;
		mutex_unlock(&t->group->sig_mu);
		/* A child's end is reported as any child's; the rest by what stays behind here. */
		if (t->group->leader == t && t->group->parent == ps->tracer) {
			state_free(ps);
		} else {
			ps->dead = true;
			ps->task = NULL;
			ps->reported = false;
			ps->status = t->exit_code;
			waitq_wake_all(&ps->tracer->wait_chld);
		}
	}
	mutex_unlock(&tasks_mu);
}

/* ---- wait4(2) --------------------------------------------------------------------------------------------------------- */

static bool wanted(const struct ptrace_state *ps, int which, const struct pid *pid)
{
	if (which == LINUX_P_ALL)
		return true;
	if (which == LINUX_P_PGID)
		return ps->task && ps->task->group->pgrp && ps->task->group->pgrp->pid == pid;
	return ps->pid == pid;
}

long ptrace_wait_look_locked(struct task *t, int which, struct pid *pid, uint32_t options, struct wait_result *out, bool any)
{
	struct ptrace_state *ps;

	list_for_each_entry (ps, &t->group->tracees, node) {
		if (!wanted(ps, which, pid))
			continue;
		any = true;
		if ((!ps->stopped && !ps->dead) || ps->reported)
			continue;
		out->pid = pid_nr(ps->pid, task_pid_ns(t));
		out->uid = 0;
		out->status = ps->status;
		if (ps->dead) {
			out->code = ps->status & 0x7f ? LINUX_CLD_KILLED : LINUX_CLD_EXITED;
			out->si_status = ps->status & 0x7f ? ps->status & 0x7f : ps->status >> 8 & 0xff;
		} else {
			out->code = LINUX_CLD_TRAPPED;
			out->si_status = ps->status >> 8;
		}
		if (!(options & LINUX_WNOWAIT)) {
			ps->reported = true;
			if (ps->dead)
				state_free(ps);
		}
		return 1;
	}
	return any ? 0 : -LINUX_ECHILD;
}
