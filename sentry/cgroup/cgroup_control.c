/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/cgroup_control.c - controllers: what a group is told when nobody told it anything, and cgroup.subtree_control
 *
 * Source:  "Control Group v2" in the kernel's documentation: "Enabling and Disabling", "Top-down Constraint", "No Internal Process
 *          Constraint", and the default of each file.
 * Differs: the last holds for all controllers, as there are no threaded groups.
 */
#include <string.h>

#include "sentry/abi/errno.h"
#include "sentry/cgroup/cgroup.h"

#define X(id, name) [CGC_##id] = name,
const char *const cgroup_controller_names[CGC_COUNT] = { CGROUP_CONTROLLERS(X) };
#undef X

static void reset_cpuset(struct cgroup_knobs *k)
{
	memset(k->cpus, 0, sizeof(k->cpus));
	k->mems = 0;
}

static void reset_cpu(struct cgroup_knobs *k)
{
	k->cpu_weight = 100;
	k->cpu_idle = 0;
	k->cpu_quota_us = CGROUP_NO_LIMIT;
	k->cpu_period_us = 100000;
	k->cpu_burst_us = 0;
}

static void reset_io(struct cgroup_knobs *k)
{
	k->io_weight = 100;
}

static void reset_memory(struct cgroup_knobs *k)
{
	k->memory_min = k->memory_low = k->oom_group = 0;
	k->memory_high = k->memory_max = k->swap_high = k->swap_max = CGROUP_NO_LIMIT;
}

static void reset_pids(struct cgroup_knobs *k)
{
	k->pids_max = CGROUP_NO_LIMIT;
}

static void (*const resets[CGC_COUNT])(struct cgroup_knobs *k) = {
	[CGC_CPUSET] = reset_cpuset, [CGC_CPU] = reset_cpu,   [CGC_IO] = reset_io,
	[CGC_MEMORY] = reset_memory, [CGC_PIDS] = reset_pids,
};

static void reset(struct cgroup_knobs *k, uint32_t which)
{
	for (size_t i = 0; i < CGC_COUNT; i++)
		if (which >> i & 1)
			resets[i](k);
}

void cgroup_knobs_init(struct cgroup_knobs *k)
{
	reset(k, CGC_ALL);
}

uint32_t cgroup_controllers_locked(const struct cgroup *cg)
{
	return cg->parent ? cg->parent->control : CGC_ALL;
}

static long set_locked(struct cgroup *cg, uint32_t on, uint32_t off)
{
	struct cgroup *c;

	if (cg->dead)
		return -LINUX_ENODEV;
	if (on & ~cgroup_controllers_locked(cg))
		return -LINUX_ENOENT;
	on &= ~cg->control;
	off &= cg->control;
	list_for_each_entry (c, &cg->children, sibling)
		if (c->control & off)
			return -LINUX_EBUSY;
	if (on && !list_empty(&cg->members))
		return -LINUX_EBUSY;
	cg->control = (cg->control | on) & ~off;
	list_for_each_entry (c, &cg->children, sibling) {
		reset(&c->knobs, off);
		if (off & CGC_BIT(PIDS))
			c->pids_refused = c->peak_tasks = 0;
	}
	return 0;
}

long cgroup_set_control(struct cgroup *cg, uint32_t on, uint32_t off)
{
	long ret;

	mutex_lock(&cgroup_mu);
	ret = set_locked(cg, on, off);
	mutex_unlock(&cgroup_mu);
	return ret;
}
