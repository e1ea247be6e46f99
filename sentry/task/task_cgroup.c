/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_cgroup.c - processes and control groups: listing, moving, killing, freezing; cgroup namespaces of tasks
 *
 * Model:   a thread group embeds the cgroup_member by which its group lists it. Freezing marks tasks as a pause of the container does
 *          (TW_FREEZE): each stops before it would run guest code again, so one that is in a call stops at that call's end.
 * Locks:   tasks_mu > cgroup_mu > sig_mu. Every change of a list of members is made with both of the first.
 * Source:  cgroups(7), cgroup_namespaces(7), "Control Group v2" in the kernel's documentation (cgroup.freeze, cgroup.kill).
 */
#include "sentry/task/task_cgroup.h"

#include "sentry/cgroup/device.h"
#include "sentry/task/acct.h"
#include "sentry/task/container.h"
#include "sentry/task/pid.h"
#include "sentry/task/task_internal.h"

static struct tgroup *group_of(struct cgroup_member *m)
{
	return container_of(m, struct tgroup, cg);
}

/* ---- namespaces ------------------------------------------------------------------------------------------------- */

static void *ns_get(void *ns)
{
	return cgroup_ns_get(ns);
}

static void ns_put(void *ns)
{
	cgroup_ns_put(ns);
}

static uint64_t ns_ino(void *ns)
{
	return ((struct cgroup_ns *)ns)->ino;
}

static struct user_ns *ns_owner(void *ns)
{
	return ((struct cgroup_ns *)ns)->user_ns;
}

/* The group in which the caller is at this moment becomes the root. */
static long ns_create(void *old, struct user_ns *owner, void **out)
{
	struct task *me = task_current();
	struct cgroup *cg = me ? cgroup_of(&me->group->cg) : NULL;
	struct cgroup_ns *ns;

	if (!cg)
		return -LINUX_EINVAL;
	ns = cgroup_ns_new(owner, cg, ns_new_ino());
	cgroup_put(cg);
	*out = ns;
	return ns ? 0 : -LINUX_ENOMEM;
}

const struct ns_kind_ops task_cgroup_ns_ops = { "cgroup", LINUX_CLONE_NEWCGROUP, ns_get, ns_put, ns_ino, ns_owner, ns_create };

struct cgroup *task_cgroup_view(void)
{
	struct task *me = task_current();

	return cgroup_get(me && me->ns && me->ns->cgroup ? me->ns->cgroup->root : cgroup_root);
}

/* ---- listing ------------------------------------------------------------------------------------------------------ */

static size_t members_locked(struct cgroup *cg)
{
	struct cgroup_member *m;
	size_t n = 0;

	list_for_each_entry (m, &cg->members, node)
		n++;
	return n;
}

size_t task_cgroup_groups(struct cgroup *top, bool below, struct tgroup ***out)
{
	struct cgroup_member *m;
	struct cgroup *cg;
	struct tgroup **v;
	size_t n = 0, i = 0;

	mutex_lock(&tasks_mu);
	mutex_lock(&cgroup_mu);
	for (cg = top; cg; cg = below ? cgroup_next_locked(cg, top) : NULL)
		n += members_locked(cg);
	v = calloc(n + 1, sizeof(*v));
	for (cg = v ? top : NULL; cg; cg = below ? cgroup_next_locked(cg, top) : NULL)
		list_for_each_entry (m, &cg->members, node)
			v[i++] = tgroup_get(group_of(m));
	mutex_unlock(&cgroup_mu);
	mutex_unlock(&tasks_mu);
	*out = v;
	return i;
}

void task_cgroup_pids(struct cgroup *cg, struct pid_ns *ns, bool threads, struct buf *out)
{
	struct tgroup **v;
	size_t n = task_cgroup_groups(cg, false, &v);

	for (size_t i = 0; i < n; i++) {
		if (!threads)
			buf_printf(out, "%u\n", pid_nr(v[i]->pid, ns));
		for (struct task *t = threads ? tgroup_next_thread(v[i], NULL) : NULL; t; t = tgroup_next_thread(v[i], t))
			buf_printf(out, "%u\n", task_pid_nr(t, ns));
		tgroup_put(v[i]);
	}
	free(v);
}

void task_cgroup_usage(struct cgroup *cg, struct cgroup_usage *out)
{
	struct tgroup **v;
	size_t n;

	*out = (struct cgroup_usage){ 0 };
	mutex_lock(&cgroup_mu);
	for (struct cgroup *c = cg; c; c = cgroup_next_locked(c, cg)) {
		struct cgroup_member *m;

		out->utime_ns += c->past.utime_ns;
		out->stime_ns += c->past.stime_ns;
		list_for_each_entry (m, &c->members, node) {
			out->utime_ns -= m->base.utime_ns;
			out->stime_ns -= m->base.stime_ns;
		}
	}
	mutex_unlock(&cgroup_mu);
	n = task_cgroup_groups(cg, true, &v);
	for (size_t i = 0; i < n; i++) {
		struct cpu_times t = acct_group_times(v[i]);
		struct mm_usage u;
		struct task *leader;
		struct mm *mm;

		out->utime_ns += t.utime_ns;
		out->stime_ns += t.stime_ns;
		mutex_lock(&tasks_mu);
		leader = v[i]->leader ? task_get(v[i]->leader) : NULL;
		mutex_unlock(&tasks_mu);
		mm = leader ? task_mm(leader) : NULL;
		if (mm) {
			mm_usage(mm, &u);
			out->anon += u.anon_rss;
			out->file += u.file_rss;
			mm_put(mm);
		}
		task_put(leader);
		tgroup_put(v[i]);
	}
	free(v);
}

/* ---- counting ------------------------------------------------------------------------------------------------------- */

long task_cgroup_charge(struct task *t)
{
	long ret = cgroup_charge(&t->group->cg);

	t->charged = !ret;
	return ret;
}

void task_cgroup_uncharge(struct task *t)
{
	if (!t->charged)
		return;
	t->charged = false;
	cgroup_uncharge(&t->group->cg);
}

/* ---- freezing --------------------------------------------------------------------------------------------------------- */

/* Marks the threads of @g and calls them out of guest code. sig_mu is taken. */
static void mark(struct tgroup *g)
{
	struct task *t;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node) {
		task_set_work(t, TW_FREEZE);
		if (t->u && t->sig->sh)
			uthread_kick(t->u);
	}
	mutex_unlock(&g->sig_mu);
}

static bool runs_guest(struct tgroup *g)
{
	struct task *t;
	bool yes = false;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node)
		yes |= atomic_load(&t->in_guest) && !t->sig->exiting;
	mutex_unlock(&g->sig_mu);
	return yes;
}

static void thaw(struct tgroup *g)
{
	if (g->container)
		waitq_wake_all(&g->container->pause_wq);
}

bool task_cgroup_is_frozen(struct cgroup *top)
{
	struct cgroup_member *m;
	bool yes;

	mutex_lock(&tasks_mu);
	mutex_lock(&cgroup_mu);
	yes = cgroup_frozen_locked(top);
	for (struct cgroup *cg = yes ? top : NULL; cg; cg = cgroup_next_locked(cg, top))
		list_for_each_entry (m, &cg->members, node)
			yes = yes && !runs_guest(group_of(m));
	mutex_unlock(&cgroup_mu);
	mutex_unlock(&tasks_mu);
	return yes;
}

/* Everybody in and below @top learns of it; @fn runs under tasks_mu and cgroup_mu. */
static void each_member_locked(struct cgroup *top, void (*fn)(struct tgroup *g))
{
	struct cgroup_member *m;

	for (struct cgroup *cg = top; cg; cg = cgroup_next_locked(cg, top))
		list_for_each_entry (m, &cg->members, node)
			fn(group_of(m));
}

static void events_locked(struct cgroup *top)
{
	for (struct cgroup *cg = top; cg; cg = cgroup_next_locked(cg, top))
		cgroup_event_locked(cg);
}

/* A guest that shuts out what calls it back must not hold who freezes it; cgroup.events says how it stands. */
#define FREEZE_WAIT_NS (10 * NSEC_PER_SEC)

long task_cgroup_freeze(struct cgroup *cg, bool freeze)
{
	struct task *me = task_current();
	bool was, is;
	long ret = 0;

	mutex_lock(&tasks_mu);
	mutex_lock(&cgroup_mu);
	was = cgroup_frozen_locked(cg);
	if (cg->dead)
		ret = -LINUX_ENODEV;
	else
		cg->freeze = freeze;
	is = cgroup_frozen_locked(cg);
	if (was != is)
		each_member_locked(cg, is ? mark : thaw);
	mutex_unlock(&cgroup_mu);
	mutex_unlock(&tasks_mu);
	if (ret || was == is)
		return ret;
	if (is && me)
		wait_event(&me->group->container->pause_wq, task_cgroup_is_frozen(cg), SLEEP_INTERRUPTIBLE, now_ns() + FREEZE_WAIT_NS);
	mutex_lock(&cgroup_mu);
	events_locked(cg);
	mutex_unlock(&cgroup_mu);
	cgroup_tell();
	return 0;
}

/* ---- moving, killing --------------------------------------------------------------------------------------------------- */

long task_cgroup_move(struct tgroup *g, struct cgroup *to)
{
	struct cpu_times t = acct_group_times(g);
	long ret = -LINUX_ESRCH;

	mutex_lock(&tasks_mu);
	if (!g->zombie && !list_empty(&g->cg.node)) {
		ret = cgroup_member_move(&g->cg, to, (struct cgroup_times){ t.utime_ns, t.stime_ns });
		if (!ret && cgroup_member_frozen(&g->cg))
			mark(g);
		else if (!ret)
			thaw(g);
	}
	mutex_unlock(&tasks_mu);
	cgroup_tell();
	return ret;
}

static void kill_locked(struct tgroup *g)
{
	struct linux_siginfo_head si;

	siginfo_kernel(&si, LINUX_SIGKILL);
	signal_send_group_locked(g, &si, SEND_FORCED);
}

/* In one hold of tasks_mu: a fork is linked under it, and not when its parent has been killed. */
void task_cgroup_kill(struct cgroup *cg)
{
	mutex_lock(&tasks_mu);
	mutex_lock(&cgroup_mu);
	each_member_locked(cg, kill_locked);
	mutex_unlock(&cgroup_mu);
	mutex_unlock(&tasks_mu);
}

/* ---- devices ------------------------------------------------------------------------------------------------------------- */

static bool device_allowed(uint32_t mode, uint64_t rdev, uint32_t access)
{
	struct device_access a = { .major = LINUX_MAJOR(rdev), .minor = LINUX_MINOR(rdev) };
	struct task *me = task_current();
	struct cgroup *cg = me ? cgroup_of(&me->group->cg) : NULL;
	bool yes;

	if (!cg)
		return true;
	if (access & LINUX_MAY_READ)
		a.access_type |= DEVICE_READ << 16;
	if (access & LINUX_MAY_WRITE)
		a.access_type |= DEVICE_WRITE << 16;
	if (!access)
		a.access_type = DEVICE_MKNOD << 16;
	a.access_type |= LINUX_S_ISBLK(mode) ? DEVICE_BLOCK : DEVICE_CHAR;
	yes = cgroup_device_allowed(cg, &a);
	cgroup_put(cg);
	return yes;
}

void task_cgroup_init(void)
{
	vfs_device_hook = device_allowed;
}
