/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_signal.c - rt_sig*(2), kill(2) and relatives, sigaltstack(2)
 */
#include "sentry/fs/proc/proc.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/signal.h"
#include "sentry/task/timers.h"

#define SIGSET_SIZE 8

/* ---- one's own handling ----------------------------------------------------------------------------------- */

/* A signal that is ignored from now on vanishes from all queues (POSIX). */
static void drop_ignored(struct tgroup *g, int sig, uint64_t handler)
{
	struct task *o;

	if (handler != LINUX_SIG_IGN && !(handler == LINUX_SIG_DFL && (SIGMASK(sig) & SIG_IGNORED_BY_DEFAULT)))
		return;
	mutex_lock(&g->sig_mu);
	sigpending_remove(&g->sig->shared, SIGMASK(sig));
	list_for_each_entry (o, &g->threads, thread_node) {
		sigpending_remove(&o->sig->pending, SIGMASK(sig));
		signal_publish_pending_locked(o);
	}
	mutex_unlock(&g->sig_mu);
}

SYSCALL_DEFINE4(rt_sigaction, int, sig, struct gptr, uact, struct gptr, uold, uint64_t, size)
{
	struct sighand *h = t->group->sig->hand;
	struct linux_sigaction act, old;

	if (size != SIGSET_SIZE)
		return -LINUX_EINVAL;
	if (uact.v && copyin_obj(t->u, &act, uact) < 0)
		return -LINUX_EFAULT;
	if (sig < 1 || sig > LINUX_NSIG || (uact.v && (SIGMASK(sig) & SIG_UNMASKABLE)))
		return -LINUX_EINVAL;
	mutex_lock(&h->mu);
	old = h->act[sig - 1];
	if (uact.v) {
		act.mask &= ~SIG_UNMASKABLE;
		act.flags &= LINUX_SA_KNOWN; /* what is not known reads back as 0, so that programs can probe */
		h->act[sig - 1] = act;
	}
	mutex_unlock(&h->mu);
	if (uact.v)
		drop_ignored(t->group, sig, act.handler);
	if (uold.v && copyout_obj(t->u, uold, &old) < 0)
		return -LINUX_EFAULT;
	return 0;
}

SYSCALL_DEFINE4(rt_sigprocmask, int, how, struct gptr, uset, struct gptr, uold, uint64_t, size)
{
	uint64_t set, old = signal_mask(t);

	if (size != SIGSET_SIZE)
		return -LINUX_EINVAL;
	if (uset.v) {
		if (copyin_obj(t->u, &set, uset) < 0)
			return -LINUX_EFAULT;
		if (how == LINUX_SIG_BLOCK)
			set |= old;
		else if (how == LINUX_SIG_UNBLOCK)
			set = old & ~set;
		else if (how != LINUX_SIG_SETMASK)
			return -LINUX_EINVAL;
		signal_set_mask(t, set);
	}
	if (uold.v && copyout_obj(t->u, uold, &old) < 0)
		return -LINUX_EFAULT;
	return 0;
}

SYSCALL_DEFINE2(rt_sigpending, struct gptr, uset, uint64_t, size)
{
	uint64_t set = signal_pending_set(t);

	if (size > SIGSET_SIZE)
		return -LINUX_EINVAL;
	return copyout(t->u, uset, &set, (size_t)size);
}

SYSCALL_DEFINE0(rt_sigreturn)
{
	return signal_sigreturn(t);
}

static long suspend_with(struct task *t, uint64_t mask)
{
	t->sig->saved_mask = signal_mask(t);
	t->sig->has_saved_mask = true;
	task_set_work(t, TW_MASK);
	signal_set_mask(t, mask);
	/* Only a signal ends it. */
	while (!task_signal_pending(t))
		sleep_until(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	return -ERESTARTNOHAND;
}

SYSCALL_DEFINE2(rt_sigsuspend, struct gptr, uset, uint64_t, size)
{
	uint64_t set;

	if (size != SIGSET_SIZE)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &set, uset) < 0)
		return -LINUX_EFAULT;
	return suspend_with(t, set);
}

SYSCALL_DEFINE0(pause)
{
	while (!task_signal_pending(t))
		sleep_until(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	return -ERESTARTNOHAND;
}

SYSCALL_DEFINE2(sigaltstack, struct gptr, unew, struct gptr, uold)
{
	struct task_signals *s = t->sig;
	struct linux_stack new_ = { 0 }, old = { s->alt_sp, s->alt_flags, 0, s->alt_size };
	struct guest_regs regs;
	uint32_t mode;
	bool on;

	uthread_get_regs(t->u, &regs);
	on = signal_on_altstack(t, regs.rsp);
	old.flags = s->alt_size ? (on ? LINUX_SS_ONSTACK : 0) | (s->alt_flags & LINUX_SS_AUTODISARM) : LINUX_SS_DISABLE;
	if (unew.v) {
		if (copyin_obj(t->u, &new_, unew) < 0)
			return -LINUX_EFAULT;
		if (on)
			return -LINUX_EPERM;
		mode = new_.flags & ~LINUX_SS_AUTODISARM;
		if (mode != LINUX_SS_DISABLE && mode != LINUX_SS_ONSTACK && mode != 0)
			return -LINUX_EINVAL;
		if (mode == LINUX_SS_DISABLE) {
			new_.sp = new_.size = 0;
		} else if (new_.size < LINUX_MINSIGSTKSZ) {
			return -LINUX_ENOMEM;
		}
		s->alt_sp = new_.sp;
		s->alt_size = new_.size;
		s->alt_flags = new_.flags;
	}
	if (uold.v && copyout_obj(t->u, uold, &old) < 0)
		return -LINUX_EFAULT;
	return 0;
}

/* Looks for a signal of the set that sigtimedwait(2) names, with its target set published while it sleeps. */
static int wait_take(struct task *t, uint64_t set, struct linux_siginfo_head *si)
{
	int sig;

	mutex_lock(&t->group->sig_mu);
	sig = signal_dequeue_locked(t, set, si);
	mutex_unlock(&t->group->sig_mu);
	return sig;
}

static void set_wait_set(struct task *t, uint64_t set)
{
	mutex_lock(&t->group->sig_mu);
	t->sig->wait_set = set;
	signal_recalc_locked(t);
	mutex_unlock(&t->group->sig_mu);
}

SYSCALL_DEFINE4(rt_sigtimedwait, struct gptr, uset, struct gptr, uinfo, struct gptr, uts, uint64_t, size)
{
	struct linux_siginfo_head si;
	struct linux_timespec ts;
	uint64_t set, deadline = NO_DEADLINE;
	long ret = 0;
	int sig;

	if (size != SIGSET_SIZE)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &set, uset) < 0)
		return -LINUX_EFAULT;
	if (uts.v) {
		if (copyin_obj(t->u, &ts, uts) < 0)
			return -LINUX_EFAULT;
		if (!timespec_valid(&ts))
			return -LINUX_EINVAL;
		deadline = now_ns() + timespec_ns(&ts);
	}
	set &= ~SIG_UNMASKABLE;
	sig = wait_take(t, set, &si);
	if (!sig && !(uts.v && !timespec_ns(&ts))) {
		set_wait_set(t, set);
		ret = wait_event(&t->group->sig->wq, (sig = wait_take(t, set, &si)) != 0, SLEEP_INTERRUPTIBLE, deadline);
		set_wait_set(t, 0);
	}
	signal_recalc(t);
	if (!sig)
		return ret == -ERESTARTSYS ? -LINUX_EINTR : -LINUX_EAGAIN;
	if (uinfo.v && siginfo_copyout(t->u, uinfo, &si) < 0)
		return -LINUX_EFAULT;
	return sig;
}

/* ---- sending ------------------------------------------------------------------------------------------------- */

/* kill(2) rights; SIGCONT also within a session. */
static bool may_signal(struct task *t, struct task *o, int sig)
{
	struct cred *c;
	bool ok;

	if (o->group == t->group)
		return true;
	c = task_cred(o);
	ok = cred_may_kill(t->cred, c);
	cred_put(c);
	if (!ok && sig == LINUX_SIGCONT) {
		mutex_lock(&tasks_mu);
		ok = o->group->session && o->group->session == t->group->session;
		mutex_unlock(&tasks_mu);
	}
	return ok;
}

static long kill_process(struct task *t, struct tgroup *g, const struct linux_siginfo_head *si, int sig)
{
	struct task *leader;
	long ret;

	mutex_lock(&tasks_mu);
	leader = g->pid->tgroup == g ? task_get(g->leader) : NULL;
	mutex_unlock(&tasks_mu);
	if (!leader)
		return -LINUX_ESRCH;
	ret = may_signal(t, leader, sig) ? signal_send_group(g, si, 0) : -LINUX_EPERM;
	task_put(leader);
	return ret;
}

/* A group's members at this moment, with references: their rights are checked without locks. */
static long kill_pgrp(struct task *t, uint32_t pgid, const struct linux_siginfo_head *si, int sig)
{
	long ret = -LINUX_ESRCH, ok = 0;
	struct tgroup *g, **v = NULL;
	size_t n = 0, i = 0;
	struct pgrp *pg;
	struct pid *p;

	mutex_lock(&tasks_mu);
	if (pgid) {
		p = pid_find_locked(task_pid_ns(t), pgid);
		pg = p ? p->pgrp : NULL;
	} else {
		pg = t->group->pgrp;
	}
	if (pg) {
		list_for_each_entry (g, &pg->members, pgrp_node)
			n++;
		v = calloc(n, sizeof(*v));
	}
	if (v)
		list_for_each_entry (g, &pg->members, pgrp_node)
			v[i++] = tgroup_get(g);
	mutex_unlock(&tasks_mu);
	for (i = 0; v && i < n; i++) {
		long one = kill_process(t, v[i], si, sig);

		if (!one)
			ok = 1;
		else if (ret == -LINUX_ESRCH)
			ret = one;
		tgroup_put(v[i]);
	}
	free(v);
	return ok ? 0 : ret;
}

static long kill_everyone(struct task *t, const struct linux_siginfo_head *si, int sig)
{
	struct pid_ns *ns = task_pid_ns(t);
	long ret = -LINUX_ESRCH, ok = 0;
	struct task *leader;
	uint32_t nr = 1; /* not init */

	while ((nr = pid_next_tgroup(ns, nr + 1, &leader))) {
		if (leader->group != t->group) {
			long one = kill_process(t, leader->group, si, sig);

			if (!one)
				ok = 1;
			else if (one != -LINUX_EPERM)
				ret = one;
		}
		task_put(leader);
	}
	return ok ? 0 : ret;
}

SYSCALL_DEFINE2(kill, int, pid, int, sig)
{
	struct linux_siginfo_head si;
	struct tgroup *g;
	struct task *o;
	long ret;

	if (sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	siginfo_user(&si, sig, LINUX_SI_USER);
	if (pid == -1)
		return kill_everyone(t, &si, sig);
	if (pid == INT32_MIN)
		return -LINUX_ESRCH;
	if (pid <= 0)
		return kill_pgrp(t, (uint32_t)-pid, &si, sig);
	/* As in Linux, a thread's id stands for its process. */
	o = task_find(task_pid_ns(t), (uint32_t)pid);
	if (!o)
		return -LINUX_ESRCH;
	g = tgroup_get(o->group);
	task_put(o);
	ret = kill_process(t, g, &si, sig);
	tgroup_put(g);
	return ret;
}

static long send_thread(struct task *t, int tgid, int tid, const struct linux_siginfo_head *si, int sig)
{
	struct task *o = task_find(task_pid_ns(t), (uint32_t)tid);
	long ret = -LINUX_ESRCH;

	if (o && (tgid <= 0 || task_tgid_nr(o, task_pid_ns(t)) == (uint32_t)tgid))
		ret = may_signal(t, o, sig) ? signal_send_task(o, si, 0) : -LINUX_EPERM;
	task_put(o);
	return ret;
}

SYSCALL_DEFINE2(tkill, int, tid, int, sig)
{
	struct linux_siginfo_head si;

	if (tid <= 0 || sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	siginfo_user(&si, sig, LINUX_SI_TKILL);
	return send_thread(t, 0, tid, &si, sig);
}

SYSCALL_DEFINE3(tgkill, int, tgid, int, tid, int, sig)
{
	struct linux_siginfo_head si;

	if (tid <= 0 || tgid <= 0 || sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	siginfo_user(&si, sig, LINUX_SI_TKILL);
	return send_thread(t, tgid, tid, &si, sig);
}

/* A siginfo from user space may only claim to come from the kernel when it is for oneself. */
static long siginfo_from_user(struct task *t, struct gptr uinfo, int sig, bool self, struct linux_siginfo_head *out)
{
	struct linux_siginfo si;

	if (copyin_obj(t->u, &si, uinfo) < 0)
		return -LINUX_EFAULT;
	if ((si.h.code >= 0 || si.h.code == LINUX_SI_TKILL) && !self)
		return -LINUX_EPERM;
	si.h.signo = sig;
	*out = si.h;
	return 0;
}

SYSCALL_DEFINE3(rt_sigqueueinfo, int, pid, int, sig, struct gptr, uinfo)
{
	struct linux_siginfo_head si;
	struct task *o;
	long ret;

	if (sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	ret = siginfo_from_user(t, uinfo, sig, pid > 0 && (uint32_t)pid == task_tgid_nr(t, task_pid_ns(t)), &si);
	if (ret < 0)
		return ret;
	o = pid > 0 ? task_find(task_pid_ns(t), (uint32_t)pid) : NULL;
	if (!o)
		return -LINUX_ESRCH;
	ret = may_signal(t, o, sig) ? signal_send_group(o->group, &si, 0) : -LINUX_EPERM;
	task_put(o);
	return ret;
}

SYSCALL_DEFINE4(rt_tgsigqueueinfo, int, tgid, int, tid, int, sig, struct gptr, uinfo)
{
	struct linux_siginfo_head si;
	long ret;

	if (tid <= 0 || tgid <= 0 || sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	ret = siginfo_from_user(t, uinfo, sig, (uint32_t)tid == task_pid_nr(t, task_pid_ns(t)), &si);
	return ret < 0 ? ret : send_thread(t, tgid, tid, &si, sig);
}

#define PIDFD_SIGNAL_THREAD	   1u
#define PIDFD_SIGNAL_THREAD_GROUP  2u
#define PIDFD_SIGNAL_PROCESS_GROUP 4u

static long pidfd_send(struct task *t, struct pid *p, int sig, struct linux_siginfo_head *si, uint32_t flags)
{
	struct tgroup *g = NULL;
	long ret;

	mutex_lock(&tasks_mu);
	if (p->tgroup)
		g = tgroup_get(p->tgroup);
	mutex_unlock(&tasks_mu);
	if (!g)
		return -LINUX_ESRCH;
	if (flags & PIDFD_SIGNAL_PROCESS_GROUP)
		ret = kill_pgrp(t, pid_nr(p, task_pid_ns(t)), si, sig);
	else if (flags & PIDFD_SIGNAL_THREAD)
		ret = send_thread(t, 0, (int)pid_nr(p, task_pid_ns(t)), si, sig);
	else
		ret = kill_process(t, g, si, sig);
	tgroup_put(g);
	return ret;
}

/* A descriptor of /proc/PID stands for the process too. Reference, or NULL. */
static struct pid *proc_dir_fd_pid(struct task *t, int fd)
{
	struct file *f = fdtable_file(t->fds, fd, false);
	struct pid *p = f ? proc_file_pid(f) : NULL;

	if (p)
		pid_get(p);
	if (f)
		file_put(f);
	return p;
}

SYSCALL_DEFINE4(pidfd_send_signal, int, pidfd, int, sig, struct gptr, uinfo, uint32_t, flags)
{
	struct linux_siginfo_head si;
	struct pid *p;
	uint32_t fl;
	long ret = 0;

	if (flags & ~7u || (flags & (flags - 1)) || sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	p = pidfd_pid(t, pidfd, &fl);
	if (!p)
		p = proc_dir_fd_pid(t, pidfd);
	if (!p)
		return -LINUX_EBADF;
	if (!pid_nr(p, task_pid_ns(t)))
		ret = -LINUX_EINVAL; /* not in a namespace below ours */
	if (uinfo.v) {
		struct linux_siginfo usi;

		if (!ret && copyin_obj(t->u, &usi, uinfo) < 0)
			ret = -LINUX_EFAULT;
		else if (!ret && usi.h.signo != sig)
			ret = -LINUX_EINVAL;
		else if (!ret)
			ret = siginfo_from_user(t, uinfo, sig, p == t->group->pid, &si);
	} else {
		siginfo_user(&si, sig, LINUX_SI_USER);
	}
	if (!ret)
		ret = pidfd_send(t, p, sig, &si, flags);
	pid_put(p);
	return ret;
}
