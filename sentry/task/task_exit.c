/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_exit.c - the end of threads and processes
 *
 * Model:   a thread ends in its own kthread, in this order: no more signals; memory (robust locks, tid word, vfork parent); descriptors
 *          and the rest; its host thread; then the tree. The last thread makes its process a zombie, which its parent reaps, or
 *          which goes at once when nobody cares. Descriptors are closed before the parent hears: it may count on it.
 * Locks:   tasks_mu > sig_mu. Nothing that sleeps is called under them.
 * Source:  exit(2), wait(2), pid_namespaces(7) "The namespace init process", prctl(2) PR_SET_CHILD_SUBREAPER.
 */
#include "sentry/ipc/ipc.h"
#include "sentry/ipc/sem_undo.h"
#include "sentry/keys/keys.h"
#include "sentry/task/acct.h"
#include "sentry/task/futex.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_cgroup.h"
#include "sentry/task/task_internal.h"
#include "sentry/task/timers.h"

void task_exit_thread(struct task *t, int status)
{
	t->exit_code = status;
	task_set_work(t, TW_EXIT | TW_NORET);
}

void task_exit_group(struct task *t, int status)
{
	group_exit_begin(t->group, status);
	task_set_work(t, TW_EXIT | TW_NORET);
}

/* ---- steps of a thread's end ----------------------------------------------------------------------------- */

/* No longer a target of signals. Return: true if this is the group's last thread. */
static bool stop_receiving(struct task *t)
{
	struct tgroup *g = t->group;
	bool last, tell;

	mutex_lock(&g->sig_mu);
	t->sig->exiting = true;
	last = --g->nr_live == 0;
	if (atomic_load_explicit(&g->exiting, memory_order_relaxed)) {
		t->exit_code = g->exit_status;
	} else if (last) {
		atomic_store_explicit(&g->exiting, true, memory_order_relaxed);
		g->exit_status = t->exit_code;
	}
	tell = (g->sig->stop & STOP_PENDING) && (atomic_load_explicit(&t->work, memory_order_relaxed) & TW_STOP) &&
	       signal_stop_count_locked(g);
	kthread_clear_interrupt(t->k ?: kthread_self()); /* what is left to do must not be cut short */
	mutex_unlock(&g->sig_mu);
	if (tell) {
		mutex_lock(&tasks_mu);
		signal_notify_parent_locked(g, LINUX_CLD_STOPPED);
		mutex_unlock(&tasks_mu);
	}
	if (!last)
		signal_retarget(t);
	return last;
}

/* pthread_join(3) waits for this word. */
static void clear_tid(struct task *t)
{
	uint64_t word = task_clear_tid_locked(t); /* its own page: needs no lock */
	struct umem_op ops[2] = {
		{ .kind = UMEM_STORE32, .addr = word, .len = 0 },
		{ .kind = UMEM_FUTEX_WAKE, .addr = word, .len = 1 },
	};

	if (word && mm_users(t->mm) > 1 && !umem_at_end(t->u, ops, ARRAY_SIZE(ops))) {
		umem_defer(t->u, &ops[0]);
		umem_defer(t->u, &ops[1]);
		umem_flush(t->u);
	}
	task_set_thread_words(t, 0, 0);
}

static void leave_memory(struct task *t, bool last)
{
	struct mm *mm;

	if (!t->mm)
		return;
	task_robust_exit(t);
	clear_tid(t);
	vfork_release(t);
	if (last)
		acct_group_end(t->group);
	signal_detach_page(t);
	mm_leave(t->mm, t->u);
	mutex_lock(&t->group->sig_mu);
	mm = TAKE_PTR(t->mm);
	mutex_unlock(&t->group->sig_mu);
	mm_put(mm);
}

static void leave_files(struct task *t)
{
	struct fdtable *fds;
	struct fs_struct *fs;
	struct nsproxy *ns;

	mutex_lock(&t->group->sig_mu);
	fds = TAKE_PTR(t->fds);
	fs = TAKE_PTR(t->fs);
	ns = TAKE_PTR(t->ns);
	mutex_unlock(&t->group->sig_mu);
	if (fds)
		fdtable_put(fds);
	if (fs)
		fs_struct_put(fs);
	nsproxy_put(ns);
}

static void leave_host(struct task *t)
{
	struct uthread *u;

	mutex_lock(&t->group->sig_mu);
	u = TAKE_PTR(t->u);
	mutex_unlock(&t->group->sig_mu);
	if (u)
		uthread_free(u);
}

/* A session leader takes the terminal with it. */
static void leave_terminal(struct tgroup *g)
{
	struct session *s = NULL;
	struct tty *tty = NULL;

	mutex_lock(&tasks_mu);
	if (g->session && g->session->leader == g) {
		s = session_get(g->session);
		tty = s->tty;
		s->leader = NULL;
	}
	mutex_unlock(&tasks_mu);
	if (tty && tty_session_exit_hook)
		tty_session_exit_hook(tty, s);
	session_put(s);
}

/* ---- the tree ---------------------------------------------------------------------------------------------- */

void task_release_locked(struct task *t)
{
	struct tgroup *g = t->group;

	mutex_lock(&g->sig_mu);
	list_del_init(&t->thread_node);
	g->nr_threads--;
	signal_flush_locked(&t->sig->pending);
	if (t->pid->task == t)
		t->pid->task = NULL;
	mutex_unlock(&g->sig_mu);
	atomic_store_explicit(&t->state, TASK_DEAD, memory_order_relaxed);
	pid_unuse_locked(t->pid);
	task_cgroup_uncharge(t);
	task_put(t); /* the list's */
}

void tgroup_reap_locked(struct tgroup *g)
{
	struct task *leader = g->leader;

	list_del_init(&g->sibling);
	list_del_init(&g->container_node);
	session_leave_locked(g);
	g->pid->tgroup = NULL;
	if (g->parent)
		acct_reaped(g->parent, g);
	g->parent = NULL;
	task_release_locked(leader);
}

static struct tgroup *choose_reaper_locked(struct tgroup *g)
{
	struct pid_ns *ns = g->pid->num[g->pid->level].ns;

	if (g->has_child_subreaper)
		for (struct tgroup *p = g->parent; p && p != ns->reaper; p = p->parent)
			if (p->is_subreaper && !p->zombie && p->nr_live)
				return p;
	return ns->reaper != g ? ns->reaper : NULL;
}

static void pdeath_locked(struct tgroup *child)
{
	struct task *t;
	int sig = 0;

	list_for_each_entry (t, &child->threads, thread_node)
		if (t->sig->pdeath_signal)
			sig = t->sig->pdeath_signal;
	if (sig) {
		struct linux_siginfo_head si = { .signo = sig, .code = LINUX_SI_USER };

		signal_send_group_locked(child, &si, 0);
	}
}

static bool parent_ignores(struct tgroup *p)
{
	struct linux_sigaction a = sighand_action(p->sig->hand, LINUX_SIGCHLD);

	return a.handler == LINUX_SIG_IGN || (a.flags & LINUX_SA_NOCLDWAIT);
}

/* SIGCHLD (or what clone asked for) with the status. */
static void send_exit_signal_locked(struct tgroup *g)
{
	struct tgroup *p = g->parent;
	struct linux_siginfo_head si = { .signo = g->exit_signal };
	int st = g->exit_status;
	struct cpu_times times = acct_group_times(g);

	if (g->exit_signal <= 0 || g->exit_signal > LINUX_NSIG)
		return;
	si.code = (st & 0x7f) ? ((st & LINUX_W_CORE) ? LINUX_CLD_DUMPED : LINUX_CLD_KILLED) : LINUX_CLD_EXITED;
	si.chld.pid = (int32_t)pid_nr(g->pid, p->pid->num[p->pid->level].ns);
	si.chld.uid = g->leader->cred->uid;
	si.chld.status = (st & 0x7f) ? (st & 0x7f) : (st >> 8) & 0xff;
	si.chld.utime = (int64_t)(times.utime_ns / (NSEC_PER_SEC / LINUX_CLK_TCK));
	si.chld.stime = (int64_t)(times.stime_ns / (NSEC_PER_SEC / LINUX_CLK_TCK));
	signal_send_group_locked(p, &si, SEND_FORCED);
}

/* A zombie tells its (new) parent. Return: true when it was reaped here because nobody will wait. */
static bool announce_locked(struct tgroup *g)
{
	struct tgroup *p = g->parent;
	bool nobody;

	nobody = !p || p->zombie || !p->nr_live || g->exit_signal < 0 ||
		 p->pid->num[p->pid->level].ns->dying; /* the init itself has a parent outside, who waits */
	if (p) {
		if (!nobody && g->exit_signal == LINUX_SIGCHLD && parent_ignores(p))
			nobody = true;
		send_exit_signal_locked(g);
	}
	waitq_wake_all(&g->pid->exit_wq);
	if (nobody)
		tgroup_reap_locked(g);
	if (p)
		waitq_wake_all(&p->wait_chld);
	return nobody;
}

static void reparent_children_locked(struct tgroup *g)
{
	struct tgroup *to = choose_reaper_locked(g), *c, *tmp;
	struct task *t;

	list_for_each_entry_safe (c, tmp, &g->children, sibling) {
		list_del_init(&c->sibling);
		c->parent = to;
		if (to)
			list_add_tail(&to->children, &c->sibling);
		if (!c->zombie) {
			pdeath_locked(c);
			pgrp_check_orphaned_locked(c, g);
		}
		mutex_lock(&c->sig_mu);
		list_for_each_entry (t, &c->threads, thread_node)
			task_publish_ids_locked(t);
		mutex_unlock(&c->sig_mu);
		c->exit_signal = LINUX_SIGCHLD;
		if (c->zombie)
			announce_locked(c);
	}
}

void wait_wake_parent_locked(struct tgroup *g)
{
	if (g->parent)
		waitq_wake_all(&g->parent->wait_chld);
}

/* Return: true when the group became a zombie by this. */
static bool leave_tree(struct task *t)
{
	struct tgroup *g = t->group;
	struct cpu_times times;
	bool end = false;

	mutex_lock(&tasks_mu);
	if (g->leader != t)
		task_release_locked(t);
	else
		atomic_store_explicit(&t->state, TASK_ZOMBIE, memory_order_relaxed);
	if (g->nr_threads == 1 && g->leader &&
	    atomic_load_explicit(&g->leader->state, memory_order_relaxed) == TASK_ZOMBIE && !g->zombie) {
		end = true;
		pgrp_check_orphaned_locked(g, NULL);
		reparent_children_locked(g);
		g->zombie = true;
		times = acct_group_times(g);
		cgroup_member_end(&g->cg, (struct cgroup_times){ times.utime_ns, times.stime_ns });
		/* The container's hook below still needs the group. */
		tgroup_get(g);
		announce_locked(g);
	}
	waitq_wake_all(&g->wait_chld); /* an execing thread may wait for us */
	mutex_unlock(&tasks_mu);
	cgroup_tell();
	return end;
}

/* ---- the init of a pid namespace takes everybody with it ------------------------------------------------------ */

static bool others_live(struct pid_ns *ns, struct tgroup *me)
{
	uint32_t nr = 0;
	struct task *leader;
	bool any = false;

	while (!any && (nr = pid_next_tgroup(ns, nr + 1, &leader))) {
		any = leader->group != me && !leader->group->zombie;
		task_put(leader);
	}
	return any;
}

static void end_namespace(struct tgroup *g)
{
	struct pid_ns *ns = g->pid->num[g->pid->level].ns;
	struct linux_siginfo_head si;
	struct tgroup *c, *tmp;
	struct task *leader;
	uint32_t nr = 0;

	mutex_lock(&tasks_mu);
	if (ns->reaper != g) {
		mutex_unlock(&tasks_mu);
		return;
	}
	ns->dying = true; /* no new ones from here on, and zombies are reaped at once */
	list_for_each_entry_safe (c, tmp, &g->children, sibling)
		if (c->zombie)
			tgroup_reap_locked(c);
	mutex_unlock(&tasks_mu);
	siginfo_kernel(&si, LINUX_SIGKILL);
	while ((nr = pid_next_tgroup(ns, nr + 1, &leader))) {
		if (leader->group != g)
			signal_send_group(leader->group, &si, SEND_FORCED);
		task_put(leader);
	}
	wait_event(&ns->empty_wq, !others_live(ns, g), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	mutex_lock(&tasks_mu);
	ns->reaper = NULL;
	mutex_unlock(&tasks_mu);
}

void task_do_exit(struct task *t)
{
	struct tgroup *g = t->group;
	bool last = stop_receiving(t), end;

	ptrace_exit(t);
	if (last)
		timers_exit(g);
	leave_memory(t, last);
	sem_undo_exit(t);
	shm_exit(t, t->ns->ipc);
	leave_files(t);
	seccomp_chain_put(t);
	keys_exit(t);
	leave_host(t);
	task_calls_end(t);
	if (last) {
		task_overdue_done(g);
		leave_terminal(g);
		end_namespace(g);
	}
	kthread_set_budget(kthread_self(), NULL); /* the container may go with what comes now */
	end = leave_tree(t);
	if (end) {
		container_group_dead(g);
		tgroup_put(g);
	}
	task_put(t); /* the kthread's */
}

/* ---- exec by one of several threads --------------------------------------------------------------------------------- */

static bool alone(struct task *t)
{
	struct tgroup *g = t->group;
	bool yes;

	mutex_lock(&tasks_mu);
	yes = g->nr_threads == 1 ||
	      (g->nr_threads == 2 && g->leader != t &&
	       atomic_load_explicit(&g->leader->state, memory_order_relaxed) == TASK_ZOMBIE);
	mutex_unlock(&tasks_mu);
	return yes;
}

/* The thread takes over the process's id; the old leader leaves with the thread's. tasks_mu and sig_mu held. */
static void become_leader_locked(struct task *t, struct task *old)
{
	struct pid *p = t->pid;

	t->pid = old->pid;
	t->pid->task = t;
	old->pid = p;
	old->pid->task = NULL;
	t->group->leader = t;
	t->start_ns = old->start_ns;
}

long task_dethread(struct task *t)
{
	struct tgroup *g = t->group;
	struct task *o, *old;
	long ret;

	mutex_lock(&g->sig_mu);
	if (g->execing || atomic_load_explicit(&g->exiting, memory_order_relaxed)) {
		mutex_unlock(&g->sig_mu);
		return -LINUX_EAGAIN; /* never seen: this thread is being ended */
	}
	g->execing = t;
	list_for_each_entry (o, &g->threads, thread_node)
		if (o != t && !o->sig->exiting)
			signal_wake_locked(o, true);
	mutex_unlock(&g->sig_mu);

	ret = wait_event(&g->wait_chld, alone(t), SLEEP_KILLABLE, NO_DEADLINE);

	mutex_lock(&tasks_mu);
	mutex_lock(&g->sig_mu);
	g->execing = NULL;
	old = g->leader;
	if (!ret && old != t)
		become_leader_locked(t, old);
	else
		old = NULL;
	mutex_unlock(&g->sig_mu);
	if (old)
		task_release_locked(old);
	mutex_unlock(&tasks_mu);
	return ret < 0 ? -LINUX_EAGAIN : 0;
}
