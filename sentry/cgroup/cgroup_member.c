/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/cgroup_member.c - processes in groups: entering, moving, ending; counting their tasks
 *
 * Model:   tasks are counted from before they are built until they are released, so that pids.max holds against forks that run at
 *          the same time; a process is listed, and makes its group populated, from its first thread to its last.
 * Locks:   cgroup_mu, below tasks_mu for everything that lists or unlists.
 * Source:  cgroups(7); "PID", "[Un]populated Notification" in the kernel's documentation.
 */
#include "sentry/abi/errno.h"
#include "sentry/cgroup/cgroup.h"

void cgroup_member_init(struct cgroup_member *m, struct cgroup *cg)
{
	list_init(&m->node);
	m->cg = cgroup_get(cg);
}

void cgroup_member_fini(struct cgroup_member *m)
{
	BUG_ON(m->nr_charged);
	cgroup_put(TAKE_PTR(m->cg));
}

struct cgroup *cgroup_of(struct cgroup_member *m)
{
	struct cgroup *cg;

	mutex_lock(&cgroup_mu);
	cg = m->cg ? cgroup_get(m->cg) : NULL;
	mutex_unlock(&cgroup_mu);
	return cg;
}

/* ---- counting ------------------------------------------------------------------------------------------------- */

static void count_locked(struct cgroup *cg, uint32_t n)
{
	for (; cg; cg = cg->parent) {
		cg->nr_tasks += n;
		cg->peak_tasks = MAX(cg->peak_tasks, cg->nr_tasks);
	}
}

static void uncount_locked(struct cgroup *cg, uint32_t n)
{
	for (; cg; cg = cg->parent)
		cg->nr_tasks -= n;
}

long cgroup_charge(struct cgroup_member *m)
{
	struct cgroup *full;

	if (!m->cg)
		return 0;
	mutex_lock(&cgroup_mu);
	for (full = m->cg; full && full->nr_tasks < full->knobs.pids_max; full = full->parent)
		;
	if (!full) {
		count_locked(m->cg, 1);
		m->nr_charged++;
	} else {
		for (struct cgroup *cg = full; cg; cg = cg->parent)
			cg->pids_refused++;
	}
	mutex_unlock(&cgroup_mu);
	return full ? -LINUX_EAGAIN : 0;
}

void cgroup_uncharge(struct cgroup_member *m)
{
	if (!m->cg)
		return;
	mutex_lock(&cgroup_mu);
	uncount_locked(m->cg, 1);
	m->nr_charged--;
	mutex_unlock(&cgroup_mu);
}

/* ---- entering and leaving --------------------------------------------------------------------------------------- */

/* One of the living more or less in @cg; those above hear of the first and of the last. */
static void live_locked(struct cgroup *cg, bool more)
{
	for (; cg; cg = cg->parent) {
		cg->nr_live += more ? 1 : -1u;
		if (cg->nr_live != more)
			return;
		cgroup_event_locked(cg);
	}
}

long cgroup_vet_locked(const struct cgroup *cg)
{
	if (cg->dead)
		return -LINUX_ENODEV;
	return cg->control ? -LINUX_EBUSY : 0;
}

static void exchange_locked(struct cgroup_member *m, struct cgroup *to)
{
	struct cgroup *from = m->cg;

	count_locked(to, m->nr_charged);
	uncount_locked(from, m->nr_charged);
	m->cg = cgroup_get(to);
	cgroup_put(from);
}

long cgroup_member_link(struct cgroup_member *m, struct cgroup_member *parent)
{
	long ret = 0;

	if (!m->cg)
		return 0;
	mutex_lock(&cgroup_mu);
	if (parent && parent->cg != m->cg)
		exchange_locked(m, parent->cg);
	else if (!parent)
		ret = cgroup_vet_locked(m->cg);
	if (!ret) {
		list_add_tail(&m->cg->members, &m->node);
		live_locked(m->cg, true);
	}
	mutex_unlock(&cgroup_mu);
	return ret;
}

/* What it used since it came goes to its group. */
static void settle_locked(struct cgroup_member *m, struct cgroup_times t)
{
	/* Times of host processes that were left behind may be read a little late: never backwards. */
	m->cg->past.utime_ns += t.utime_ns - MIN(m->base.utime_ns, t.utime_ns);
	m->cg->past.stime_ns += t.stime_ns - MIN(m->base.stime_ns, t.stime_ns);
	m->base = t;
}

void cgroup_member_end(struct cgroup_member *m, struct cgroup_times t)
{
	if (!m->cg || list_empty(&m->node))
		return;
	mutex_lock(&cgroup_mu);
	settle_locked(m, t);
	list_del_init(&m->node);
	live_locked(m->cg, false);
	mutex_unlock(&cgroup_mu);
}

long cgroup_member_move(struct cgroup_member *m, struct cgroup *to, struct cgroup_times t)
{
	struct cgroup *from = m->cg;
	long ret;

	mutex_lock(&cgroup_mu);
	ret = cgroup_vet_locked(to);
	if (!ret && from != to && !list_empty(&m->node)) {
		settle_locked(m, t);
		list_del_init(&m->node);
		live_locked(to, true);
		live_locked(from, false);
		exchange_locked(m, to);
		list_add_tail(&to->members, &m->node);
	}
	mutex_unlock(&cgroup_mu);
	return ret;
}

bool cgroup_member_frozen(struct cgroup_member *m)
{
	bool yes;

	mutex_lock(&cgroup_mu);
	yes = m->cg && cgroup_frozen_locked(m->cg);
	mutex_unlock(&cgroup_mu);
	return yes;
}
