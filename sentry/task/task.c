/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task.c - tasks and groups as objects: life, references, looking at other tasks
 *
 * Locks:   pointers of a task that others may read (cred, mm, ns, fs, fds) are exchanged under group->sig_mu; the task itself reads
 *          them without.
 */
#include <string.h>

#include "sentry/keys/keys.h"
#include "sentry/run/budget.h"
#include "sentry/task/acct.h"
#include "sentry/task/container.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/task_cgroup.h"
#include "sentry/task/task_internal.h"
#include "sentry/task/timers.h"

void (*task_trace_hook)(struct task *t, uint32_t nr, const uint64_t a[6], const long *ret);

struct task *task_current(void)
{
	struct kthread *k = kthread_self();

	return k ? kthread_private(k) : NULL;
}

/* ---- life ------------------------------------------------------------------------------------------- */

struct tgroup *tgroup_alloc(void)
{
	struct tgroup *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	ref_init(&g->ref, 1);
	list_init(&g->threads);
	list_init(&g->children);
	list_init(&g->sibling);
	list_init(&g->tracees);
	list_init(&g->pgrp_node);
	list_init(&g->container_node);
	list_init(&g->overdue_node);
	waitq_init(&g->wait_chld);
	mutex_init(&g->sig_mu);
	g->exit_signal = LINUX_SIGCHLD;
	g->dumpable = true;
	g->start_ns = now_ns();
	return g;
}

struct tgroup *tgroup_get(struct tgroup *g)
{
	ref_get(&g->ref);
	return g;
}

void tgroup_put(struct tgroup *g)
{
	if (!g || !ref_put(&g->ref))
		return;
	BUG_ON(!list_empty(&g->threads));
	timers_group_free(g);
	group_signals_free(g);
	acct_free(g);
	cgroup_member_fini(&g->cg);
	pid_put(g->pid);
	free(g);
}

static _Atomic uint32_t nr_tasks; /* of the sandbox */

static bool task_charge(struct budget *b)
{
	if (atomic_fetch_add_explicit(&nr_tasks, 1, memory_order_relaxed) < BUDGET_TASKS_ALL && budget_charge(b, BUDGET_TASKS, 1))
		return true;
	atomic_fetch_sub_explicit(&nr_tasks, 1, memory_order_relaxed);
	return false;
}

static void task_uncharge(struct budget *b)
{
	atomic_fetch_sub_explicit(&nr_tasks, 1, memory_order_relaxed);
	budget_uncharge(b, BUDGET_TASKS, 1);
}

struct task *task_alloc(struct tgroup *g)
{
	struct budget *b = g->container ? g->container->budget : NULL;
	struct task *t;

	if (!task_charge(b))
		return NULL;
	t = calloc(1, sizeof(*t));
	if (!t) {
		task_uncharge(b);
		return NULL;
	}
	t->budget = b;
	ref_init(&t->ref, 1);
	list_init(&t->thread_node);
	t->group = tgroup_get(g);
	t->start_ns = now_ns();
	t->timer_slack_ns = t->timer_slack_dflt = 50000; /* Linux's default, prctl(2) PR_SET_TIMERSLACK */
	for (size_t i = 0; i < ARRAY_SIZE(t->affinity); i++)
		t->affinity[i] = ~0ull;
	if (signals_alloc(t) || task_cgroup_charge(t)) {
		task_put(t);
		return NULL;
	}
	return t;
}

struct task *task_get(struct task *t)
{
	ref_get(&t->ref);
	return t;
}

void task_put(struct task *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	BUG_ON(t->u || t->mm);
	signals_free(t);
	cred_put(t->cred);
	if (t->ucount) {
		atomic_fetch_sub_explicit(&t->ucount->nr_tasks, 1, memory_order_relaxed);
		user_count_put(t->ucount);
	}
	pid_put(t->pid);
	task_cgroup_uncharge(t);
	tgroup_put(t->group);
	task_uncharge(t->budget);
	free(t);
}

void task_link_locked(struct task *t)
{
	struct tgroup *g = t->group;

	mutex_lock(&g->sig_mu);
	list_add_tail(&g->threads, &t->thread_node);
	task_get(t); /* the list's reference, until task_release_locked() */
	g->nr_threads++;
	g->nr_live++;
	if (!g->leader) {
		g->leader = t;
		t->pid->tgroup = g;
	}
	t->pid->task = t;
	/* A new thread must not miss what was sent to all threads just before it came into the list:
	 *
	 *	clone			SIGKILL, exec of another thread
	 *	checks: not exiting
	 *				exiting = true; wakes all in the list
	 *	adds the thread
	 */
	if (atomic_load_explicit(&g->exiting, memory_order_relaxed) || g->execing)
		task_set_work(t, TW_SIGNAL | TW_EXIT);
	else if (g->sig->stop & STOP_PENDING) {
		g->sig->nr_to_stop++;
		task_set_work(t, TW_STOP);
	}
	if (t->sig->sh) {
		task_publish_ids_locked(t);
		task_publish_creds_locked(t);
	}
	mutex_unlock(&g->sig_mu);
}

/* ---- what the stub may answer by itself ----------------------------------------------------------------- */

void task_publish_ids_locked(struct task *t)
{
	struct ushared *sh = t->sig->sh;
	struct tgroup *g = t->group;
	struct pid_ns *ns = task_pid_ns(t);

	if (!sh)
		return;
	atomic_store_explicit(&sh->pid, pid_nr(g->pid, ns), memory_order_relaxed);
	atomic_store_explicit(&sh->tid, pid_nr(t->pid, ns), memory_order_relaxed);
	atomic_store_explicit(&sh->ppid, g->parent ? pid_nr(g->parent->pid, ns) : 0, memory_order_relaxed);
	atomic_store_explicit(&sh->pgid, g->pgrp ? pid_nr(g->pgrp->pid, ns) : 0, memory_order_relaxed);
	atomic_store_explicit(&sh->sid, g->session ? pid_nr(g->session->pid, ns) : 0, memory_order_relaxed);
}

void task_publish_creds_locked(struct task *t)
{
	struct ushared *sh = t->sig->sh;
	struct user_ns *ns = t->cred->user_ns;

	if (!sh)
		return;
	atomic_store_explicit(&sh->uid, id_from_kernel_munged(ns, false, t->cred->uid), memory_order_relaxed);
	atomic_store_explicit(&sh->euid, id_from_kernel_munged(ns, false, t->cred->euid), memory_order_relaxed);
	atomic_store_explicit(&sh->gid, id_from_kernel_munged(ns, true, t->cred->gid), memory_order_relaxed);
	atomic_store_explicit(&sh->egid, id_from_kernel_munged(ns, true, t->cred->egid), memory_order_relaxed);
}

/* ---- work ------------------------------------------------------------------------------------------------- */

void task_set_work(struct task *t, uint32_t bits)
{
	atomic_fetch_or_explicit(&t->work, bits, memory_order_seq_cst);
}

void task_clear_work(struct task *t, uint32_t bits)
{
	atomic_fetch_and_explicit(&t->work, ~bits, memory_order_seq_cst);
}

void task_poke_locked(struct task *t, uint32_t work, bool kill)
{
	task_set_work(t, work);
	if (t->k)
		kthread_interrupt(t->k, kill);
	if (t->u && t->sig->sh)
		uthread_kick(t->u);
}

void task_set_entry_work(struct task *t, uint32_t set, uint32_t clear)
{
	mutex_lock(&t->group->sig_mu);
	task_set_entry_work_locked(t, set, clear);
	mutex_unlock(&t->group->sig_mu);
}

void task_set_entry_work_locked(struct task *t, uint32_t set, uint32_t clear)
{
	t->entry_work = (t->entry_work | set) & ~clear;
	if (t->sig->sh)
		atomic_store_explicit(&t->sig->sh->forward_all, t->entry_work != 0, memory_order_relaxed);
}

/* ---- credentials ------------------------------------------------------------------------------------------ */

struct cred *task_cred(struct task *t)
{
	struct cred *c;

	mutex_lock(&t->group->sig_mu);
	c = cred_get(t->cred);
	mutex_unlock(&t->group->sig_mu);
	return c;
}

void task_set_cred(struct task *t, struct cred *c)
{
	struct cred *old = t->cred;
	bool ids_changed = old->euid != c->euid || old->egid != c->egid || old->fsuid != c->fsuid || old->fsgid != c->fsgid;
	bool loses = ids_changed || old->groups != c->groups || old->cap_effective != c->cap_effective;
	struct user_count *uc = NULL, *old_uc = NULL;

	if (!t->ucount || t->ucount->uid != c->uid) {
		uc = user_count_get(c->uid); /* without memory the old one stays charged */
		if (uc)
			atomic_fetch_add_explicit(&uc->nr_tasks, 1, memory_order_relaxed);
	}
	mutex_lock(&t->group->sig_mu);
	t->cred = c;
	if (uc) {
		old_uc = t->ucount;
		t->ucount = uc;
	}
	if (ids_changed || (c->cap_permitted & ~old->cap_permitted)) {
		t->group->dumpable = false;
		t->sig->pdeath_signal = 0;
	}
	task_publish_creds_locked(t);
	mutex_unlock(&t->group->sig_mu);

	if (old->fsuid != c->fsuid || old->fsgid != c->fsgid)
		keys_ids_changed(t);
	/* What the old identity could open, the new one may not: no cached descriptor outlives the change. */
	if (t->u && loses)
		uspace_drop_files(t->u);
	if (old_uc) {
		atomic_fetch_sub_explicit(&old_uc->nr_tasks, 1, memory_order_relaxed);
		user_count_put(old_uc);
	}
	cred_put(old);
}

struct vfs_ctx task_vfs_ctx(struct task *t)
{
	return (struct vfs_ctx){ .fs = t->fs, .mnt_ns = t->ns->mnt, .cred = t->cred, .fds = t->fds };
}

/* ---- limits -------------------------------------------------------------------------------------------------- */

uint64_t task_rlimit(struct task *t, int res)
{
	return __atomic_load_n(&t->group->rlim[res].cur, __ATOMIC_RELAXED);
}

struct mm_limits task_mm_limits(struct task *t)
{
	return (struct mm_limits){
		.as = task_rlimit(t, LINUX_RLIMIT_AS),
		.data = task_rlimit(t, LINUX_RLIMIT_DATA),
		.stack = task_rlimit(t, LINUX_RLIMIT_STACK),
		.memlock = cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_IPC_LOCK) ? RLIM_INF
										    : task_rlimit(t, LINUX_RLIMIT_MEMLOCK),
	};
}

bool task_signal_pending(struct task *t)
{
	return atomic_load_explicit(&t->work, memory_order_relaxed) & TW_INTERRUPTING;
}

/* ---- looking at others --------------------------------------------------------------------------------------- */

#define TAKE_UNDER_SIG_MU(t, field, get)                                                           \
	({                                                                                         \
		__typeof__((t)->field) p_;                                                         \
		mutex_lock(&(t)->group->sig_mu);                                                   \
		p_ = (t)->field;                                                                   \
		if (p_)                                                                            \
			get(p_);                                                                   \
		mutex_unlock(&(t)->group->sig_mu);                                                 \
		p_;                                                                                \
	})

struct mm *task_mm(struct task *t)
{
	return TAKE_UNDER_SIG_MU(t, mm, mm_get);
}

struct nsproxy *task_nsproxy(struct task *t)
{
	return TAKE_UNDER_SIG_MU(t, ns, nsproxy_get);
}

struct fs_struct *task_fs(struct task *t)
{
	return TAKE_UNDER_SIG_MU(t, fs, fs_struct_get);
}

struct fdtable *task_fdtable(struct task *t)
{
	return TAKE_UNDER_SIG_MU(t, fds, fdtable_get);
}

char task_state_letter(struct task *t)
{
#define X(id, letter) [TASK_##id] = letter,
	static const char letters[TASK_STATE_COUNT] = { TASK_STATES(X) };
#undef X
	uint32_t s = atomic_load_explicit(&t->state, memory_order_relaxed);
	bool asleep;

	if (s != TASK_RUNNING)
		return letters[s < TASK_STATE_COUNT ? s : TASK_DEAD];
	if (t == task_current())
		return 'R';
	mutex_lock(&t->group->sig_mu);
	/* Not running guest code: in a call, which for an onlooker means asleep. */
	asleep = !atomic_load_explicit(&t->in_guest, memory_order_relaxed) ||
		 (t->sig->sh && atomic_load_explicit(&t->sig->sh->in_stub_sleep, memory_order_relaxed));
	mutex_unlock(&t->group->sig_mu);
	return asleep ? 'S' : 'R';
}

void task_get_comm(struct task *t, char out[16])
{
	mutex_lock(&t->group->sig_mu);
	memcpy(out, t->comm, 16);
	mutex_unlock(&t->group->sig_mu);
	out[15] = '\0';
}

void task_set_comm(struct task *t, const char *name)
{
	mutex_lock(&t->group->sig_mu);
	memset(t->comm, 0, sizeof(t->comm));
	memcpy(t->comm, name, strnlen(name, sizeof(t->comm) - 1));
	mutex_unlock(&t->group->sig_mu);
}

struct pid_ns *task_pid_ns(struct task *t)
{
	return t->pid->num[t->pid->level].ns;
}

uint32_t task_pid_nr(struct task *t, struct pid_ns *viewer)
{
	return pid_nr(t->pid, viewer);
}

uint32_t task_tgid_nr(struct task *t, struct pid_ns *viewer)
{
	return pid_nr(t->group->pid, viewer);
}

uint32_t task_ppid_nr(struct task *t, struct pid_ns *viewer)
{
	uint32_t nr;

	mutex_lock(&tasks_mu);
	nr = t->group->parent ? pid_nr(t->group->parent->pid, viewer) : 0;
	mutex_unlock(&tasks_mu);
	return nr;
}

uint32_t task_pgid_nr(struct task *t, struct pid_ns *viewer)
{
	uint32_t nr;

	mutex_lock(&tasks_mu);
	nr = t->group->pgrp ? pid_nr(t->group->pgrp->pid, viewer) : 0;
	mutex_unlock(&tasks_mu);
	return nr;
}

uint32_t task_sid_nr(struct task *t, struct pid_ns *viewer)
{
	uint32_t nr;

	mutex_lock(&tasks_mu);
	nr = t->group->session ? pid_nr(t->group->session->pid, viewer) : 0;
	mutex_unlock(&tasks_mu);
	return nr;
}

struct task *task_find(struct pid_ns *ns, uint32_t nr)
{
	struct task *t = NULL;
	struct pid *p;

	mutex_lock(&tasks_mu);
	p = pid_find_locked(ns, nr);
	if (p && p->task)
		t = task_get(p->task);
	mutex_unlock(&tasks_mu);
	return t;
}

struct tgroup *tgroup_find(struct pid_ns *ns, uint32_t nr)
{
	struct tgroup *g = NULL;
	struct pid *p;

	mutex_lock(&tasks_mu);
	p = pid_find_locked(ns, nr);
	if (p && p->tgroup)
		g = tgroup_get(p->tgroup);
	mutex_unlock(&tasks_mu);
	return g;
}

struct task *tgroup_next_thread(struct tgroup *g, struct task *prev)
{
	struct task *next = NULL;

	mutex_lock(&g->sig_mu);
	if (!prev) {
		if (!list_empty(&g->threads))
			next = list_first(&g->threads, struct task, thread_node);
	} else if (!list_empty(&prev->thread_node) && prev->thread_node.next != &g->threads) {
		next = list_first(&prev->thread_node, struct task, thread_node);
	}
	if (next)
		task_get(next);
	mutex_unlock(&g->sig_mu);
	task_put(prev);
	return next;
}

long task_may_access(struct task *caller, struct task *t, bool fscreds, bool attach)
{
	struct cred *c;
	bool ok;

	if (caller->group == t->group)
		return 0;
	c = task_cred(t);
	ok = cred_may_ptrace(caller->cred, c, fscreds);
	if (ok && !t->group->dumpable)
		ok = cred_has_cap(caller->cred, c->user_ns, LINUX_CAP_SYS_PTRACE);
	cred_put(c);
	return ok ? 0 : -LINUX_EPERM;
}
