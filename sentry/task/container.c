/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/container.c - containers: the list, waiting, signals, pause, end
 *
 * Model:   see container.h. What outside waits for are exec_process objects, which outlive their process group until the container goes
 *          (a bounded number of ended ones is kept).
 * Locks:   containers_mu > tasks_mu.
 */
#include <malloc.h>
#include <string.h>
#include <sys/socket.h>

#include "base/hostcall.h"
#include "sentry/abi/prctl.h"
#include "sentry/run/budget.h"
#include "sentry/task/acct.h"
#include "sentry/task/container_internal.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/sigio.h"
#include "sentry/task/task_cgroup.h"

#define ENDED_MAX     4096	/* ended execs that are remembered per container */
#define CHAN_MSG_EXIT 1u	/* init channel: u32 type, u32 wait status */

struct pgrp *(*tty_foreground_hook)(struct tty *tty);
void (*tty_name_hook)(struct tty *tty, char out[16]);

static struct mutex containers_mu = MUTEX_INIT;
static struct list containers = LIST_HEAD_INIT(containers); /* guarded by containers_mu */

/* ---- processes that outside knows --------------------------------------------------------------------------- */

struct exec_process *proc_new(const char *exec_id, int chan)
{
	struct exec_process *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	ref_init(&p->ref, 1);
	list_init(&p->node);
	p->chan = chan;
	if (exec_id)
		memcpy(p->exec_id, exec_id, strnlen(exec_id, sizeof(p->exec_id) - 1));
	return p;
}

void proc_put(struct exec_process *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	if (p->chan >= 0)
		host_call(close, p->chan);
	tgroup_put(p->group);
	free(p);
}

struct exec_process *proc_find_locked(struct container *c, const char *exec_id)
{
	struct exec_process *p, *found = NULL;

	list_for_each_entry (p, &c->procs, node)
		if (!strcmp(p->exec_id, exec_id ?: ""))
			found = p;
	return found;
}

static void chan_send(int chan, uint32_t type, uint32_t value)
{
	uint32_t msg[2] = { type, value };

	/* The holder reads nothing else; a full or closed channel only means that nobody listens. */
	host_call(sendto, chan, msg, sizeof(msg), MSG_DONTWAIT | MSG_NOSIGNAL, NULL, 0);
}

static void forget_oldest_locked(struct container *c)
{
	struct exec_process *p;

	list_for_each_entry (p, &c->procs, node)
		if (p->exec_id[0] && atomic_load_explicit(&p->ended, memory_order_relaxed)) {
			list_del_init(&p->node);
			c->nr_ended--;
			proc_put(p);
			return;
		}
}

void container_group_dead(struct tgroup *g)
{
	struct container *c = g->container;
	struct exec_process *p = g->exec;
	struct tgroup *drop = NULL;

	if (!c)
		return;
	if (!p) {
		waitq_wake_all(&c->exit_waitq);
		return;
	}
	p->end.status = g->exit_status;
	p->end.at_ns = now_real_ns();
	/* before anybody can see the end: the last container's ends the whole sandbox (boot/ends.c) */
	if (p->chan >= 0)
		chan_send(p->chan, CHAN_MSG_EXIT, (uint32_t)g->exit_status);
	proc_unwatch(p);
	if (p->chan >= 0)
		host_call(close, TAKE_FD(p->chan)); /* ended processes are remembered for long, in great numbers */
	mutex_lock(&tasks_mu);
	g->exec = NULL;
	if (c->init == g) {
		c->init = NULL;
		c->exit_status = g->exit_status;
		atomic_store_explicit(&c->exited, true, memory_order_release);
	}
	drop = TAKE_PTR(p->group);
	atomic_store_explicit(&p->ended, true, memory_order_release);
	if (++c->nr_ended > ENDED_MAX)
		forget_oldest_locked(c);
	mutex_unlock(&tasks_mu);
	waitq_wake_all(&c->exit_waitq);
	tgroup_put(drop);
	proc_put(p);
}

/* ---- the list ------------------------------------------------------------------------------------------------ */

static void limits_init(struct container_limits *l)
{
	atomic_store(&l->memory_max, CONTAINER_NO_LIMIT);
	atomic_store(&l->swap_max, CONTAINER_NO_LIMIT);
	atomic_store(&l->pids_max, CONTAINER_NO_LIMIT);
	atomic_store(&l->cpu_quota_us, CONTAINER_NO_LIMIT);
	mutex_init(&l->mu);
}

long container_new(const struct container_config *cfg, struct container **out)
{
	struct container *c, *o;
	struct linux_sysinfo si = { 0 };

	if (strlen(cfg->id) >= CONTAINER_ID_MAX)
		return -LINUX_EINVAL;
	c = calloc(1, sizeof(*c));
	if (!c)
		return -LINUX_ENOMEM;
	ref_init(&c->ref, 2);
	c->budget = budget_new(cfg->memory_limit, host_call(sysinfo, &si) ? 0 : si.totalram * si.mem_unit);
	if (!c->budget) {
		free(c);
		return -LINUX_ENOMEM;
	}
	strcpy(c->id, cfg->id);
	list_init(&c->groups);
	list_init(&c->procs);
	waitq_init(&c->exit_waitq);
	waitq_init(&c->pause_wq);
	limits_init(&c->limits);
	mutex_lock(&containers_mu);
	list_for_each_entry (o, &containers, node)
		if (!strcmp(o->id, cfg->id)) {
			mutex_unlock(&containers_mu);
			budget_end(c->budget);
			free(c);
			return -LINUX_EEXIST;
		}
	c->ns = cfg->ns;
	c->pid_ns = cfg->pid_ns;
	c->fs = cfg->fs;
	c->cred = cfg->cred;
	c->cgroup = cfg->cgroup;
	list_add_tail(&containers, &c->node);
	mutex_unlock(&containers_mu);
	*out = c;
	return 0;
}

struct container *container_get(struct container *c)
{
	ref_get(&c->ref);
	return c;
}

void container_put(struct container *c)
{
	struct exec_process *p, *tmp;

	if (!c || !ref_put(&c->ref))
		return;
	list_for_each_entry_safe (p, tmp, &c->procs, node) {
		list_del_init(&p->node);
		proc_put(p);
	}
	if (c->fs)
		fs_struct_put(c->fs);
	nsproxy_put(c->ns);
	pid_ns_put(c->pid_ns);
	cred_put(c->cred);
	cgroup_put(c->cgroup);
	budget_end(c->budget);
	free(c);
}

struct container *container_find(const char *id)
{
	struct container *c, *found = NULL;

	mutex_lock(&containers_mu);
	list_for_each_entry (c, &containers, node)
		if (!strcmp(c->id, id)) {
			found = container_get(c);
			break;
		}
	mutex_unlock(&containers_mu);
	return found;
}

struct container *container_next(struct container *prev)
{
	struct container *next = NULL;

	mutex_lock(&containers_mu);
	if (!prev) {
		if (!list_empty(&containers))
			next = list_first(&containers, struct container, node);
	} else if (!list_empty(&prev->node) && prev->node.next != &containers) {
		next = list_first(&prev->node, struct container, node);
	}
	if (next)
		container_get(next);
	mutex_unlock(&containers_mu);
	container_put(prev);
	return next;
}

/* ---- waiting --------------------------------------------------------------------------------------------------- */

static bool group_ended(struct tgroup *g)
{
	bool z;

	mutex_lock(&tasks_mu);
	z = g->zombie;
	mutex_unlock(&tasks_mu);
	return z;
}

/* A process that outside did not start, by its number. */
static long wait_pid(struct container *c, uint32_t pid, struct process_end *out)
{
	struct tgroup *g = tgroup_find(c->pid_ns, pid);
	long ret;

	if (!g || g->container != c) {
		tgroup_put(g);
		return -LINUX_ESRCH;
	}
	ret = wait_event(&g->pid->exit_wq, group_ended(g), SLEEP_KILLABLE, NO_DEADLINE);
	out->status = g->exit_status;
	out->at_ns = now_real_ns();
	tgroup_put(g);
	return ret;
}

long container_wait_process(struct container *c, const char *exec_id, uint32_t pid, struct process_end *out)
{
	struct exec_process *p = NULL, *q;
	long ret;

	mutex_lock(&tasks_mu);
	if (!pid || (exec_id && exec_id[0]))
		p = proc_find_locked(c, exec_id);
	else
		list_for_each_entry (q, &c->procs, node)
			if (q->pid == pid)
				p = q;
	if (p)
		ref_get(&p->ref);
	mutex_unlock(&tasks_mu);
	if (!p)
		return pid ? wait_pid(c, pid, out) : -LINUX_ESRCH;
	ret = wait_event(&c->exit_waitq, atomic_load_explicit(&p->ended, memory_order_acquire), SLEEP_KILLABLE,
			 NO_DEADLINE);
	*out = p->end;
	proc_put(p);
	return ret;
}

/* ---- signals ---------------------------------------------------------------------------------------------------- */

/* References to all groups of @c in a freshly allocated array. */
static size_t snapshot(struct container *c, struct tgroup ***out)
{
	struct tgroup *g, **v;
	size_t n = 0, i = 0;

	mutex_lock(&tasks_mu);
	list_for_each_entry (g, &c->groups, container_node)
		n++;
	v = calloc(n + 1, sizeof(*v));
	if (v)
		list_for_each_entry (g, &c->groups, container_node)
			v[i++] = tgroup_get(g);
	mutex_unlock(&tasks_mu);
	*out = v;
	return v ? n : 0;
}

static void signal_all(struct container *c, const struct linux_siginfo_head *si)
{
	struct tgroup **v;
	size_t n = snapshot(c, &v);

	for (size_t i = 0; i < n; i++) {
		signal_send_group(v[i], si, SEND_FORCED);
		tgroup_put(v[i]);
	}
	free(v);
}

static struct tgroup *signal_target(struct container *c, const char *exec_id, int32_t pid)
{
	struct exec_process *p;
	struct tgroup *g = NULL;
	struct pid *id;

	mutex_lock(&tasks_mu);
	if (pid > 0) {
		id = pid_find_locked(c->pid_ns, (uint32_t)pid);
		g = id && id->tgroup && id->tgroup->container == c ? id->tgroup : NULL;
	} else {
		p = proc_find_locked(c, exec_id);
		g = p ? p->group : NULL;
	}
	if (g)
		tgroup_get(g);
	mutex_unlock(&tasks_mu);
	return g;
}

static struct pgrp *target_pgrp(struct container *c, struct tgroup *g, int32_t pid)
{
	struct pgrp *pg = NULL;
	struct pid *id;

	mutex_lock(&tasks_mu);
	if (pid < -1) {
		id = pid_find_locked(c->pid_ns, (uint32_t)-pid);
		if (id && id->pgrp)
			pg = pgrp_get(id->pgrp);
	} else if (g && g->session && g->session->tty && tty_foreground_hook) {
		pg = tty_foreground_hook(g->session->tty);
	}
	mutex_unlock(&tasks_mu);
	return pg;
}

long container_signal_process(struct container *c, const char *exec_id, int32_t pid, int sig, bool all, bool foreground)
{
	struct linux_siginfo_head si;
	struct pgrp *pg = NULL;
	struct tgroup *g = NULL;
	long ret = 0;

	if (sig < 0 || sig > LINUX_NSIG)
		return -LINUX_EINVAL;
	siginfo_user(&si, sig, LINUX_SI_USER);
	if (all) {
		signal_all(c, &si);
		goto out;
	}
	if (pid >= -1)
		g = signal_target(c, exec_id, pid);
	if (pid < -1 || foreground)
		pg = target_pgrp(c, g, pid);
	if (pg) {
		ret = signal_send_pgrp(pg, &si, SEND_FORCED);
		pgrp_put(pg);
	} else if (g && pid >= -1) {
		ret = signal_send_group(g, &si, SEND_FORCED);
	} else {
		ret = -LINUX_ESRCH;
	}
	tgroup_put(g);
out:
	if (sig == LINUX_SIGKILL)
		container_release_unstarted(c);
	return ret;
}

/* ---- pause ------------------------------------------------------------------------------------------------------- */

/* By a pause of the container, or with its control group. */
static bool must_freeze(struct task *t)
{
	return atomic_load(&t->group->container->paused) || cgroup_member_frozen(&t->group->cg);
}

bool container_freeze_point(struct task *t)
{
	struct container *c = t->group->container;

	if (!c || !must_freeze(t)) {
		task_clear_work(t, TW_FREEZE);
		/* Paused again in between: the mark of that pause must not be lost. */
		if (c && must_freeze(t))
			task_set_work(t, TW_FREEZE);
		return true;
	}
	atomic_store_explicit(&t->frozen, true, memory_order_relaxed);
	waitq_wake_all(&c->pause_wq);
	wait_event(&c->pause_wq, !must_freeze(t), SLEEP_KILLABLE, NO_DEADLINE);
	atomic_store_explicit(&t->frozen, false, memory_order_relaxed);
	return !(atomic_load_explicit(&t->work, memory_order_relaxed) & TW_EXIT);
}

/* Marks every task, and tells whether one still runs guest code. */
static bool freeze_pass(struct container *c, bool mark)
{
	struct tgroup *g;
	struct task *t;
	bool running = false;

	mutex_lock(&tasks_mu);
	list_for_each_entry (g, &c->groups, container_node) {
		mutex_lock(&g->sig_mu);
		list_for_each_entry (t, &g->threads, thread_node) {
			if (mark) {
				task_set_work(t, TW_FREEZE);
				if (t->u && t->sig->sh)
					uthread_kick(t->u);
			}
			if (atomic_load(&t->in_guest) && !t->sig->exiting)
				running = true;
		}
		mutex_unlock(&g->sig_mu);
	}
	mutex_unlock(&tasks_mu);
	return running;
}

#define PAUSE_MAX_NS (30 * NSEC_PER_SEC)

long container_pause(struct container *c)
{
	long ret;

	mutex_lock(&tasks_mu);
	atomic_store(&c->paused, true); /* children linked from here on are marked by link_child() */
	mutex_unlock(&tasks_mu);
	freeze_pass(c, true);
	ret = wait_event(&c->pause_wq, !freeze_pass(c, false) || !atomic_load(&c->paused), SLEEP_KILLABLE, now_ns() + PAUSE_MAX_NS);
	if (ret == -LINUX_ETIMEDOUT) { /* a guest that shuts out what calls it back: see task_overdue.c */
		container_resume(c);
		ret = -LINUX_EBUSY;
	}
	return ret;
}

long container_resume(struct container *c)
{
	mutex_lock(&tasks_mu);
	atomic_store(&c->paused, false);
	mutex_unlock(&tasks_mu);
	waitq_wake_all(&c->pause_wq);
	return 0;
}

/* ---- end ---------------------------------------------------------------------------------------------------------- */

void container_kill_all(struct container *c)
{
	struct tgroup **v;
	size_t n = snapshot(c, &v);

	for (size_t i = 0; i < n; i++) {
		group_exit_begin(v[i], LINUX_SIGKILL);
		tgroup_put(v[i]);
	}
	free(v);
	container_release_unstarted(c);
}

void container_zygote_died(struct container *c)
{
	container_kill_all(c);
}

static bool groups_gone(struct container *c)
{
	struct tgroup *g;
	bool gone = true;

	mutex_lock(&tasks_mu);
	list_for_each_entry (g, &c->groups, container_node)
		gone = gone && g->zombie;
	mutex_unlock(&tasks_mu);
	return gone;
}

/* Zombies that wait for a parent in another container (shared pid namespace) must not point here any more. */
static void disown_zombies(struct container *c)
{
	struct tgroup *g, *tmp;

	mutex_lock(&tasks_mu);
	list_for_each_entry_safe (g, tmp, &c->groups, container_node) {
		list_del_init(&g->container_node);
		g->container = NULL;
	}
	mutex_unlock(&tasks_mu);
}

long container_destroy(struct container *c)
{
	struct linux_siginfo_head si;
	bool listed;

	siginfo_kernel(&si, LINUX_SIGKILL);
	container_resume(c);
	signal_all(c, &si);
	container_release_unstarted(c);
	/* A stub that does not come when it is called ends with its zygote. */
	if (wait_event(&c->exit_waitq, groups_gone(c), SLEEP_UNINTERRUPTIBLE, now_ns() + 2 * NSEC_PER_SEC) && c->zygote)
		uzygote_kill(TAKE_PTR(c->zygote));
	wait_event(&c->exit_waitq, groups_gone(c), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	disown_zombies(c);
	if (c->zygote)
		uzygote_kill(TAKE_PTR(c->zygote));
	cgroup_remove_tree(c->cgroup);
	mutex_lock(&containers_mu);
	listed = !list_empty(&c->node);
	list_del_init(&c->node);
	mutex_unlock(&containers_mu);
	if (listed)
		container_put(c);
	malloc_trim(0); /* what it held lies scattered over the arenas; its neighbours' pod gets the pages back */
	return 0;
}

struct tty *container_tty(struct container *c, const char *exec_id)
{
	struct exec_process *p;
	struct tty *tty = NULL;

	mutex_lock(&tasks_mu);
	p = proc_find_locked(c, exec_id);
	if (p && p->group && p->group->session)
		tty = p->group->session->tty;
	mutex_unlock(&tasks_mu);
	return tty;
}

/* ---- ps -------------------------------------------------------------------------------------------------------------- */

static void read_cmdline(struct mm *mm, char *out, size_t cap)
{
	struct mm_layout *l = mm_layout(mm);
	uint64_t start, end;
	long n;

	mm_lock(mm);
	start = l->arg_start;
	end = l->arg_end;
	mm_unlock(mm);
	if (end <= start)
		return;
	n = uspace_read(mm_space(mm), out, start, MIN((size_t)(end - start), cap - 1));
	for (long i = 0; i < n; i++)
		if (!out[i])
			out[i] = i + 1 < n ? ' ' : '\0';
}

static void describe(struct container *c, struct tgroup *g, struct proc_info *pi)
{
	struct cpu_times times = acct_group_times(g);
	struct task *leader = NULL;
	struct tty *tty;
	struct mm *mm;

	mutex_lock(&tasks_mu);
	if (!g->zombie || g->pid->tgroup == g)
		leader = task_get(g->leader);
	pi->pid = pid_nr(g->pid, c->pid_ns);
	pi->ppid = g->parent ? pid_nr(g->parent->pid, c->pid_ns) : 0;
	pi->tid_count = g->nr_threads;
	tty = g->session ? g->session->tty : NULL;
	if (g->exec)
		memcpy(pi->exec_id, g->exec->exec_id, sizeof(pi->exec_id) - 1);
	if (tty && tty_name_hook)
		tty_name_hook(tty, pi->tty);
	mutex_unlock(&tasks_mu);
	pi->utime_ns = times.utime_ns;
	pi->stime_ns = times.stime_ns;
	pi->start_ns = g->start_ns;
	if (!leader)
		return;
	pi->uid = id_from_kernel_munged(c->cred->user_ns, false, leader->cred->uid);
	pi->state = task_state_letter(leader);
	task_get_comm(leader, pi->comm);
	mm = task_mm(leader);
	if (mm) {
		pi->host_pid = uspace_host_pid(mm_space(mm));
		read_cmdline(mm, pi->cmd, sizeof(pi->cmd));
		mm_put(mm);
	}
	task_put(leader);
}

void container_processes(struct container *c, void (*fn)(const struct proc_info *p, void *arg), void *arg)
{
	struct tgroup **v;
	size_t n = snapshot(c, &v);

	for (size_t i = 0; i < n; i++) {
		struct proc_info pi = { 0 };

		describe(c, v[i], &pi);
		fn(&pi, arg);
		tgroup_put(v[i]);
	}
	free(v);
}

/* ---- id maps ------------------------------------------------------------------------------------------------------------ */

static void republish(struct tgroup *g, struct user_ns *ns)
{
	struct task *t;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node)
		if (t->cred->user_ns == ns)
			task_publish_creds_locked(t);
	mutex_unlock(&g->sig_mu);
}

/* The stubs answer getuid(2) by themselves: tell those in @ns what their ids are now. */
static void user_ns_mapped(struct user_ns *ns)
{
	for (struct container *c = container_next(NULL); c; c = container_next(c)) {
		struct tgroup **v;
		size_t n = snapshot(c, &v);

		for (size_t i = 0; i < n; i++) {
			republish(v[i], ns);
			tgroup_put(v[i]);
		}
		free(v);
	}
}

long task_init(void)
{
	user_ns_mapped_hook = user_ns_mapped;
	task_cgroup_init();
	return sigio_init();
}
