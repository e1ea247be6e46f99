/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/core.c - the files that every group has: cgroup.*, cpu.stat
 *
 * Locks:   cgroup_mu for the model's fields; none while processes are moved, killed or frozen.
 * Source:  "Control Group v2" in the kernel's documentation, "Core Interface Files" and "Delegation Containment"; cgroups(7).
 * Differs: cgroup.type is "domain" and stays so. A group with controllers in subtree_control holds no process, whichever they are.
 *          Threads have no group of their own, so cgroup.threads takes only those that are in it already.
 */
#include <string.h>

#include "sentry/fs/cgroup/cgroupfs_internal.h"
#include "sentry/task/pid.h"

#define NSEC_PER_USEC 1000ull

bool cg_parse(const char *s, uint64_t max, uint64_t *out)
{
	uint64_t v = 0;

	if (!*s)
		return false;
	for (; *s; s++) {
		if (*s < '0' || *s > '9' || v > (UINT64_MAX - 9) / 10)
			return false;
		v = v * 10 + (uint64_t)(*s - '0');
	}
	*out = v;
	return v <= max;
}

bool cg_parse_max(const char *s, uint64_t max, uint64_t *out)
{
	if (strcmp(s, "max"))
		return cg_parse(s, max, out);
	*out = CGROUP_NO_LIMIT;
	return true;
}

void cg_put_max(struct buf *out, uint64_t v)
{
	if (v == CGROUP_NO_LIMIT)
		buf_printf(out, "max\n");
	else
		buf_printf(out, "%llu\n", (unsigned long long)v);
}

long cg_show_text(const struct cg_ctx *x, struct buf *out)
{
	buf_append(out, x->row->text, strlen(x->row->text));
	return 0;
}

/* ---- controllers ------------------------------------------------------------------------------------------------ */

static void put_controllers(struct buf *out, uint32_t set)
{
	const char *sep = "";

	for (size_t k = 0; k < CGC_COUNT; k++)
		if (set >> k & 1) {
			buf_printf(out, "%s%s", sep, cgroup_controller_names[k]);
			sep = " ";
		}
	if (set)
		buf_printf(out, "\n");
}

long cg_show_controllers(const struct cg_ctx *x, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	put_controllers(out, cgroup_controllers_locked(x->cg));
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_show_subtree_control(const struct cg_ctx *x, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	put_controllers(out, x->cg->control);
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_store_subtree_control(const struct cg_ctx *x, char *text)
{
	uint32_t on = 0, off = 0, bit;
	char *save = NULL;

	for (char *w = strtok_r(text, " \t\n", &save); w; w = strtok_r(NULL, " \t\n", &save)) {
		size_t k = 0;

		while (k < CGC_COUNT && strcmp(cgroup_controller_names[k], w + 1))
			k++;
		if (k == CGC_COUNT || (*w != '+' && *w != '-'))
			return -LINUX_EINVAL;
		bit = 1u << k;
		on = *w == '+' ? on | bit : on & ~bit;
		off = *w == '-' ? off | bit : off & ~bit;
	}
	return cgroup_set_control(x->cg, on, off);
}

/* ---- state ------------------------------------------------------------------------------------------------------- */

long cg_show_type(const struct cg_ctx *x, struct buf *out)
{
	buf_printf(out, "domain\n");
	return 0;
}

long cg_store_type(const struct cg_ctx *x, char *text)
{
	return strcmp(text, "threaded") ? -LINUX_EINVAL : -LINUX_EOPNOTSUPP;
}

long cg_show_events(const struct cg_ctx *x, struct buf *out)
{
	bool frozen = task_cgroup_is_frozen(x->cg), live;

	mutex_lock(&cgroup_mu);
	live = x->cg->nr_live;
	mutex_unlock(&cgroup_mu);
	buf_printf(out, "populated %d\nfrozen %d\n", live, frozen);
	return 0;
}

long cg_show_freeze(const struct cg_ctx *x, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	buf_printf(out, "%d\n", x->cg->freeze);
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_store_freeze(const struct cg_ctx *x, char *text)
{
	uint64_t v;

	if (!cg_parse(text, UINT64_MAX, &v))
		return -LINUX_EINVAL;
	return v > 1 ? -LINUX_ERANGE : task_cgroup_freeze(x->cg, v);
}

long cg_store_kill(const struct cg_ctx *x, char *text)
{
	uint64_t v;

	if (!cg_parse(text, UINT64_MAX, &v))
		return -LINUX_EINVAL;
	if (v != 1)
		return -LINUX_ERANGE;
	task_cgroup_kill(x->cg);
	return 0;
}

long cg_show_stat(const struct cg_ctx *x, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	buf_printf(out, "nr_descendants %u\nnr_dying_descendants 0\n", x->cg->nr_descendants);
	mutex_unlock(&cgroup_mu);
	return 0;
}

/* ---- bounds of the tree --------------------------------------------------------------------------------------------- */

static long show_bound(const uint64_t *v, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	cg_put_max(out, *v);
	mutex_unlock(&cgroup_mu);
	return 0;
}

static long store_bound(uint64_t *to, const char *text)
{
	uint64_t v;

	if (!cg_parse_max(text, INT32_MAX, &v))
		return *text == '-' ? -LINUX_ERANGE : -LINUX_EINVAL;
	mutex_lock(&cgroup_mu);
	*to = v;
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_show_max_depth(const struct cg_ctx *x, struct buf *out)
{
	return show_bound(&x->cg->max_depth, out);
}

long cg_store_max_depth(const struct cg_ctx *x, char *text)
{
	return store_bound(&x->cg->max_depth, text);
}

long cg_show_max_descendants(const struct cg_ctx *x, struct buf *out)
{
	return show_bound(&x->cg->max_descendants, out);
}

long cg_store_max_descendants(const struct cg_ctx *x, char *text)
{
	return store_bound(&x->cg->max_descendants, text);
}

/* ---- processes -------------------------------------------------------------------------------------------------------- */

static long show_ids(const struct cg_ctx *x, bool threads, struct buf *out)
{
	struct task *me = task_current();

	if (!me)
		return -LINUX_EINVAL;
	task_cgroup_pids(x->cg, task_pid_ns(me), threads, out);
	return 0;
}

long cg_show_procs(const struct cg_ctx *x, struct buf *out)
{
	return show_ids(x, false, out);
}

long cg_show_threads(const struct cg_ctx *x, struct buf *out)
{
	return show_ids(x, true, out);
}

/* The process that a number means, 0 being the writer's own: a reference. */
static long find_group(const char *text, struct tgroup **out)
{
	struct task *me = task_current(), *t;
	uint64_t nr;

	if (!me || !cg_parse(text, INT32_MAX, &nr))
		return -LINUX_EINVAL;
	t = nr ? task_find(task_pid_ns(me), (uint32_t)nr) : task_get(me);
	if (!t)
		return -LINUX_ESRCH;
	*out = tgroup_get(t->group);
	task_put(t);
	return 0;
}

long cg_may_move(struct cgroup *from, struct cgroup *to, struct cgroup *view, const struct cred *cred)
{
	struct cgroup *above = cgroup_common(from, to);
	struct inode *procs = cg_procs_inode(above);
	long ret = procs ? vfs_permission(procs, LINUX_MAY_WRITE, cred) : -LINUX_ENOMEM;

	if (!ret && (!cgroup_is_below(from, view) || !cgroup_is_below(to, view)))
		ret = -LINUX_ENOENT;
	inode_put(procs);
	cgroup_put(above);
	return ret;
}

static long move(const struct cg_ctx *x, const char *text, bool thread)
{
	struct cgroup *from;
	struct tgroup *g;
	long ret = find_group(text, &g);

	if (ret)
		return ret;
	from = cgroup_of(&g->cg);
	ret = from ? cg_may_move(from, x->cg, x->view, x->cred) : -LINUX_ESRCH;
	if (!ret && thread && from != x->cg)
		ret = -LINUX_EOPNOTSUPP;
	if (!ret)
		ret = task_cgroup_move(g, x->cg);
	cgroup_put(from);
	tgroup_put(g);
	return ret;
}

long cg_store_procs(const struct cg_ctx *x, char *text)
{
	return move(x, text, false);
}

long cg_store_threads(const struct cg_ctx *x, char *text)
{
	return move(x, text, true);
}

/* ---- time ---------------------------------------------------------------------------------------------------------------- */

long cg_show_cpu_stat(const struct cg_ctx *x, struct buf *out)
{
	struct cgroup_usage u;
	bool has_cpu;

	task_cgroup_usage(x->cg, &u);
	buf_printf(out, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\nnice_usec 0\n",
		   (unsigned long long)((u.utime_ns + u.stime_ns) / NSEC_PER_USEC), (unsigned long long)(u.utime_ns / NSEC_PER_USEC),
		   (unsigned long long)(u.stime_ns / NSEC_PER_USEC));
	mutex_lock(&cgroup_mu);
	has_cpu = cgroup_controllers_locked(x->cg) & CGC_BIT(CPU);
	mutex_unlock(&cgroup_mu);
	if (has_cpu)
		buf_printf(out, "nr_periods 0\nnr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n");
	return 0;
}
