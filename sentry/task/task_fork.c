/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_fork.c - clone(2), clone3(2), fork(2), vfork(2)
 *
 * Model:   a new task is built in steps, each of which can be undone: shared or copied parts, pid, address space (host fork or host
 *          thread), then it is linked into the tree under tasks_mu and from there on it is real. The child's kthread does what
 *          concerns its own memory before its first run.
 * Locks:   none is held while building; tasks_mu for linking.
 * Source:  clone(2), pid_namespaces(7), user_namespaces(7).
 */
#include <string.h>

#include "sentry/abi/ptrace.h"
#include "sentry/ipc/sem_undo.h"
#include "sentry/keys/keys.h"
#include "sentry/task/acct.h"
#include "sentry/task/container.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_internal.h"
#include "sentry/task/timers.h"

#define NEW_NAMESPACES                                                                             \
	(LINUX_CLONE_NEWNS | LINUX_CLONE_NEWUTS | LINUX_CLONE_NEWIPC | LINUX_CLONE_NEWPID | LINUX_CLONE_NEWNET | \
	 LINUX_CLONE_NEWCGROUP)
#define CLONE_KNOWN                                                                                \
	(NEW_NAMESPACES | LINUX_CSIGNAL | LINUX_CLONE_VM | LINUX_CLONE_FS | LINUX_CLONE_FILES |    \
	 LINUX_CLONE_SIGHAND | LINUX_CLONE_PIDFD | LINUX_CLONE_PTRACE | LINUX_CLONE_VFORK |        \
	 LINUX_CLONE_PARENT | LINUX_CLONE_THREAD | LINUX_CLONE_SYSVSEM | LINUX_CLONE_SETTLS |      \
	 LINUX_CLONE_PARENT_SETTID | LINUX_CLONE_CHILD_CLEARTID | LINUX_CLONE_DETACHED |           \
	 LINUX_CLONE_UNTRACED | LINUX_CLONE_CHILD_SETTID | LINUX_CLONE_NEWUSER | LINUX_CLONE_IO |  \
	 LINUX_CLONE_CLEAR_SIGHAND | LINUX_CLONE_INTO_CGROUP)

static long check_flags(struct task *t, const struct clone_request *r)
{
	uint64_t f = r->flags;

	if (f & ~CLONE_KNOWN)
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_FS) && (f & (LINUX_CLONE_NEWNS | LINUX_CLONE_NEWUSER)))
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_THREAD) && !(f & LINUX_CLONE_SIGHAND))
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_SIGHAND) && (!(f & LINUX_CLONE_VM) || (f & LINUX_CLONE_CLEAR_SIGHAND)))
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_PARENT) && t->group->sig->unkillable)
		return -LINUX_EINVAL; /* init would get a brother */
	if ((f & LINUX_CLONE_THREAD) &&
	    ((f & (LINUX_CLONE_NEWUSER | LINUX_CLONE_NEWPID)) || t->ns->pid_for_children != task_pid_ns(t)))
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_PIDFD) && (f & (LINUX_CLONE_DETACHED | LINUX_CLONE_THREAD)))
		return -LINUX_EINVAL;
	if ((f & LINUX_CLONE_NEWIPC) && (f & LINUX_CLONE_SYSVSEM))
		return -LINUX_EINVAL;
	if (task_signal_pending(t))
		return -ERESTARTNOINTR; /* the signal first, so that fork storms can be stopped */
	return 0;
}

static long check_nproc(struct task *t)
{
	const struct cred *c = t->cred;

	if (!t->ucount || !c->uid ||
	    atomic_load_explicit(&t->ucount->nr_tasks, memory_order_relaxed) < task_rlimit(t, LINUX_RLIMIT_NPROC))
		return 0;
	if (cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_RESOURCE) || cred_has_cap(c, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return 0;
	return -LINUX_EAGAIN;
}

/* CLONE_INTO_CGROUP names one; else it is where the parent is. */
static void copy_cgroup(struct tgroup *old, const struct clone_request *r, struct tgroup *g)
{
	struct cgroup *cg = r->cgroup ? cgroup_get(r->cgroup) : cgroup_of(&old->cg);

	if (cg)
		cgroup_member_init(&g->cg, cg);
	cgroup_put(cg);
}

/* ---- the parts ------------------------------------------------------------------------------------------- */

static long copy_group(struct task *t, const struct clone_request *r, struct tgroup **out)
{
	struct tgroup *old = t->group, *g;
	struct sighand *hand;

	if (r->flags & LINUX_CLONE_THREAD) {
		*out = tgroup_get(old);
		return 0;
	}
	g = tgroup_alloc();
	if (!g)
		return -LINUX_ENOMEM;
	if (r->flags & LINUX_CLONE_SIGHAND)
		hand = sighand_get(old->sig->hand);
	else if (r->flags & LINUX_CLONE_CLEAR_SIGHAND)
		hand = sighand_new();
	else
		hand = sighand_dup(old->sig->hand);
	if (!hand || group_signals_alloc(g, hand) || group_acct_alloc(g)) {
		if (hand && !g->sig)
			sighand_put(hand);
		tgroup_put(g);
		return -LINUX_ENOMEM;
	}
	if (r->flags & LINUX_CLONE_CLEAR_SIGHAND) { /* ignored stays ignored, handlers go */
		mutex_lock(&old->sig->hand->mu);
		for (int i = 0; i < LINUX_NSIG; i++)
			if (old->sig->hand->act[i].handler == LINUX_SIG_IGN)
				hand->act[i].handler = LINUX_SIG_IGN;
		mutex_unlock(&old->sig->hand->mu);
	}
	mutex_lock(&old->sig_mu);
	memcpy(g->rlim, old->rlim, sizeof(g->rlim));
	g->oom_score_adj = old->oom_score_adj;
	g->dumpable = old->dumpable;
	mutex_unlock(&old->sig_mu);
	g->container = old->container;
	copy_cgroup(old, r, g);
	g->exit_signal = (r->flags & LINUX_CLONE_PARENT) ? old->exit_signal : r->exit_signal;
	*out = g;
	return 0;
}

static long copy_cred(struct task *t, struct task *c, uint64_t flags)
{
	struct user_ns *ns;
	struct cred *n;
	long ret;

	if (!(flags & LINUX_CLONE_NEWUSER)) {
		c->cred = cred_get(t->cred);
	} else {
		ret = user_ns_new(t->cred->user_ns, t->cred, &ns);
		if (ret < 0)
			return ret;
		n = cred_dup(t->cred);
		if (!n) {
			user_ns_put(ns);
			return -LINUX_ENOMEM;
		}
		cred_enter_user_ns(n, ns);
		c->cred = n;
	}
	if (t->ucount) {
		c->ucount = user_count_ref(t->ucount);
		atomic_fetch_add_explicit(&c->ucount->nr_tasks, 1, memory_order_relaxed);
	}
	return 0;
}

static long copy_files_fs_ns(struct task *t, struct task *c, uint64_t flags)
{
	if (flags & LINUX_CLONE_FILES) {
		c->fds = fdtable_get(t->fds);
		fdtable_share(t->fds);
	} else {
		c->fds = fdtable_dup(t->fds, UINT32_MAX);
	}
	c->fs = (flags & LINUX_CLONE_FS) ? fs_struct_get(t->fs) : fs_struct_dup(t->fs);
	if (!c->fds || !c->fs)
		return -LINUX_ENOMEM;
	if (!(flags & NEW_NAMESPACES)) {
		c->ns = nsproxy_get(t->ns);
		return 0;
	}
	return nsproxy_unshare(t->ns, flags & NEW_NAMESPACES, c->cred, c->cred->user_ns, c->fs, &c->ns);
}

static void copy_small(struct task *t, struct task *c, const struct clone_request *r)
{
	memcpy(c->comm, t->comm, sizeof(c->comm));
	c->personality = t->personality;
	c->nice = t->nice;
	c->sched_policy = t->sched_policy;
	c->sched_priority = t->sched_priority;
	if (t->sched_reset_on_fork) {
		c->sched_policy = c->sched_priority = 0;
		c->nice = MAX(c->nice, 0);
	}
	c->ioprio = t->ioprio;
	c->timer_slack_ns = c->timer_slack_dflt = t->timer_slack_ns;
	memcpy(c->affinity, t->affinity, sizeof(c->affinity));
	if (r->flags & LINUX_CLONE_CHILD_SETTID)
		c->set_child_tid = r->child_tid;
	if (r->flags & LINUX_CLONE_CHILD_CLEARTID)
		c->clear_child_tid = r->child_tid;
	seccomp_inherit(t, c);
	signal_fork(t, c, r->flags);
}

/* The address space and the host thread. */
static long copy_mm(struct task *t, struct task *c, const struct clone_request *r)
{
	struct guest_regs regs;
	long ret;

	/* A tracer may stop the parent before its next run; who waits for a vfork must have the child now. */
	bool later = !(r->flags & LINUX_CLONE_VFORK) && !t->entry_work && !task_is_traced(t);

	if (r->flags & LINUX_CLONE_VM) {
		ret = uthread_clone(t->u, later, &c->u);
		if (ret < 0)
			return ret;
		c->mm = mm_get(t->mm);
	} else {
		uthread_prepare_fork(t->u);
		ret = mm_fork(t->mm, t->u, later, &c->u, &c->mm);
		if (ret < 0)
			return ret;
		acct_space_set(c->group, c->u->space);
	}
	c->u->owner = c;
	if (!r->stack && !(r->flags & LINUX_CLONE_SETTLS)) {
		uthread_set_ret(c->u, 0);
		return 0;
	}
	uthread_get_regs(c->u, &regs);
	regs.rax = 0;
	regs.orig_rax = (uint64_t)-1;
	if (r->stack)
		regs.rsp = r->stack;
	if (r->flags & LINUX_CLONE_SETTLS)
		regs.fs_base = r->tls;
	uthread_set_regs(c->u, &regs);
	return 0;
}

static struct vfork_wait *vfork_new(void)
{
	struct vfork_wait *v = calloc(1, sizeof(*v));

	if (!v)
		return NULL;
	ref_init(&v->ref, 2);
	waitq_init(&v->wq);
	return v;
}

static void vfork_put(struct vfork_wait *v)
{
	if (v && ref_put(&v->ref))
		free(v);
}

void vfork_release(struct task *child)
{
	struct vfork_wait *v = TAKE_PTR(child->vfork);

	if (!v)
		return;
	atomic_store_explicit(&v->done, true, memory_order_release);
	waitq_wake_all(&v->wq);
	vfork_put(v);
}

/* ---- linking ------------------------------------------------------------------------------------------------ */

static long link_child(struct task *t, struct task *c, const struct clone_request *r)
{
	uint64_t flags = r->flags;
	struct tgroup *g = c->group, *parent = t->group;
	struct pid_ns *ns = c->pid->num[c->pid->level].ns;
	long ret = 0;

	signal_attach_page(c);
	mutex_lock(&tasks_mu);
	/* A signal or an exit that came while we were building: its sender did not see the child. */
	if (task_signal_pending(t) || atomic_load_explicit(&t->group->exiting, memory_order_relaxed)) {
		ret = -ERESTARTNOINTR;
		goto out;
	}
	if (ns->dying) {
		ret = -LINUX_ENOMEM;
		goto out;
	}
	if (!(flags & LINUX_CLONE_THREAD)) {
		ret = cgroup_member_link(&g->cg, r->cgroup ? NULL : &t->group->cg);
		if (ret)
			goto out;
		if (flags & LINUX_CLONE_PARENT)
			parent = t->group->parent ?: t->group;
		g->pid = pid_get(c->pid);
		g->parent = parent;
		g->has_child_subreaper = parent->has_child_subreaper || parent->is_subreaper;
		list_add_tail(&parent->children, &g->sibling);
		if (t->group->pgrp)
			session_join_locked(g, t->group->pgrp);
		if (t->group->container)
			list_add_tail(&t->group->container->groups, &g->container_node);
		if (pid_nr(c->pid, ns) == 1) {
			ns->reaper = g;
			g->sig->unkillable = true;
		}
	}
	if ((c->group->container && atomic_load(&c->group->container->paused)) || cgroup_member_frozen(&c->group->cg))
		task_set_work(c, TW_FREEZE);
	task_link_locked(c);
out:
	mutex_unlock(&tasks_mu);
	cgroup_tell();
	return ret;
}

static void discard(struct task *c, bool has_pid)
{
	if (has_pid) {
		mutex_lock(&tasks_mu);
		pid_unuse_locked(c->pid);
		mutex_unlock(&tasks_mu);
	}
	signal_detach_page(c);
	if (c->u)
		uthread_free(TAKE_PTR(c->u));
	mm_put(TAKE_PTR(c->mm));
	if (c->fds)
		fdtable_put(TAKE_PTR(c->fds));
	if (c->fs)
		fs_struct_put(TAKE_PTR(c->fs));
	nsproxy_put(TAKE_PTR(c->ns));
	seccomp_chain_put(c);
	sem_undo_put(TAKE_PTR(c->sem_undo));
	keys_exit(c);
	vfork_put(c->vfork);
	vfork_put(TAKE_PTR(c->vfork));
	task_put(c);
}

/* The child's own first steps: what concerns its memory. */
static long child_begin(struct task *c)
{
	uint32_t tid = task_pid_nr(c, task_pid_ns(c));

	/* Failures are not reported, as in Linux. */
	if (c->set_child_tid)
		copyout_obj(c->u, GPTR(c->set_child_tid), &tid);
	return 0;
}

/* CLONE_PARENT_SETTID. In shared memory the word is written now, before the child starts: a copy that waits for the parent's
 * return could come after the child's end, and undo what CLONE_CHILD_CLEARTID did:
 *
 *	parent			child
 *	start child
 *				runs, exits: *tid = 0, wakes
 *	returns: *tid = 2
 *	joins: waits for ever
 */
static void put_parent_tid(struct task *t, const struct clone_request *r, uint32_t nr)
{
	if ((r->flags & LINUX_CLONE_VM) && uthread_store_at_birth(t->u, r->parent_tid, nr))
		return;
	if ((r->flags & LINUX_CLONE_VM) && uspace_write(t->u->space, r->parent_tid, &nr, sizeof(nr)) == sizeof(nr))
		return;
	copyout_obj(t->u, GPTR(r->parent_tid), &nr);
	if (r->flags & LINUX_CLONE_VM)
		umem_flush(t->u);
}

static long build(struct task *t, const struct clone_request *r, struct task *c, bool *has_pid)
{
	struct pid_ns *ns;
	long ret;

	ret = copy_cred(t, c, r->flags);
	if (ret >= 0)
		ret = copy_files_fs_ns(t, c, r->flags);
	if (ret < 0)
		return ret;
	copy_small(t, c, r);
	ret = keys_fork(t, c, r->flags & LINUX_CLONE_THREAD);
	if (!ret)
		ret = sem_undo_fork(t, c, r->flags & LINUX_CLONE_SYSVSEM);
	if (ret < 0)
		return ret;
	ns = (r->flags & LINUX_CLONE_THREAD) ? task_pid_ns(t) : c->ns->pid_for_children;
	ret = pid_alloc(ns, r->set_tid, r->nr_set_tid, &c->pid);
	if (ret < 0)
		return ret;
	*has_pid = true;
	if (r->flags & LINUX_CLONE_VFORK) {
		c->vfork = vfork_new();
		if (!c->vfork)
			return -LINUX_ENOMEM;
	}
	c->start_fn = child_begin;
	return copy_mm(t, c, r);
}

void task_never_born(struct task *c)
{
	mutex_lock(&tasks_mu);
	if (c->group->leader == c)
		c->group->exit_signal = -1;
	mutex_unlock(&tasks_mu);
	task_exit_thread(c, LINUX_SIGKILL);
}

static long wait_for_vfork(struct task *t, struct vfork_wait *v)
{
	wait_event(&v->wq, atomic_load_explicit(&v->done, memory_order_acquire), SLEEP_KILLABLE, NO_DEADLINE);
	vfork_put(v);
	return 0;
}

long task_clone(struct task *t, const struct clone_request *r)
{
	struct vfork_wait *v;
	struct tgroup *g;
	struct task *c;
	bool has_pid = false;
	uint32_t nr;
	int pidfd = -1, event;
	long ret;

	ret = check_flags(t, r);
	if (!ret)
		ret = check_nproc(t);
	if (!ret)
		ret = copy_group(t, r, &g);
	if (ret < 0)
		return ret;
	c = task_alloc(g);
	tgroup_put(g); /* the task holds it */
	if (!c)
		return -LINUX_EAGAIN; /* BUDGET_TASKS, pids.max */
	ret = build(t, r, c, &has_pid);
	if (!ret && (r->flags & LINUX_CLONE_PIDFD)) {
		ret = pidfd = (int)pidfd_install(t, c->pid, 0);
		if (ret >= 0)
			ret = copyout_obj(t->u, GPTR(r->pidfd), &pidfd);
	}
	if (ret >= 0)
		ret = link_child(t, c, r);
	if (ret < 0) {
		if (pidfd >= 0)
			fdtable_close(t->fds, pidfd);
		uthread_cancel_birth(t->u);
		discard(c, has_pid);
		return ret;
	}
	nr = task_pid_nr(c, task_pid_ns(t));
	if (r->flags & LINUX_CLONE_PARENT_SETTID)
		put_parent_tid(t, r, nr);
	if (c->group != t->group)
		timers_cpu_limit_changed(c->group); /* RLIMIT_CPU is inherited */
	v = c->vfork;
	event = ptrace_clone(t, c, r);
	if (task_start(c) < 0) {
		uthread_settle(t->u);
		task_never_born(c);
		task_get(c);
		task_do_exit(c);
		kthread_set_budget(kthread_self(), t->budget);
		ret = -LINUX_EAGAIN;
	}
	task_put(c);
	ptrace_event(t, event, nr);
	if (v) {
		wait_for_vfork(t, v);
		ptrace_event(t, LINUX_PTRACE_EVENT_VFORK_DONE, nr);
	}
	return ret < 0 ? ret : (long)nr;
}
