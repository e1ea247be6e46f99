/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/device.c - programs attached to groups, and what they say together
 *
 * Source:  bpf(2), linux/bpf.h on BPF_F_ALLOW_OVERRIDE and BPF_F_ALLOW_MULTI.
 */
#include "sentry/cgroup/device.h"

#include <stdlib.h>

#include "sentry/abi/errno.h"

/* What is attached to one group: cgroup.devices; guarded by cgroup_mu. */
struct cgroup_devices {
	uint32_t flags;				/* ATTACH_OVERRIDE or ATTACH_MULTI of all of them */
	uint32_t nr;
	struct devprog *prog[CGROUP_PROGS_MAX];	/* references */
};

static uint32_t count_of(const struct cgroup *cg)
{
	return cg->devices ? cg->devices->nr : 0;
}

/* Whether the groups above let @cg have one of its own. */
static bool above_allow(const struct cgroup *cg)
{
	for (cg = cg->parent; cg; cg = cg->parent) {
		uint32_t flags = cg->devices ? cg->devices->flags : 0;

		if (count_of(cg))
			return flags & (ATTACH_MULTI | ATTACH_OVERRIDE);
	}
	return true;
}

static int32_t find(const struct cgroup_devices *d, const struct devprog *p)
{
	for (uint32_t i = 0; d && i < d->nr; i++)
		if (d->prog[i] == p)
			return (int32_t)i;
	return -1;
}

/* *@io_p: in, the program; out, the one it took the place of. */
static long attach_locked(struct cgroup *cg, struct devprog **io_p, struct devprog *replace, uint32_t flags)
{
	uint32_t kept = flags & (ATTACH_OVERRIDE | ATTACH_MULTI);
	struct cgroup_devices *d = cg->devices;
	struct devprog *p = *io_p;
	int32_t at = -1;

	if (cg->dead)
		return -LINUX_ENODEV;
	if (!above_allow(cg) || (d->nr && d->flags != kept))
		return -LINUX_EPERM;
	if (replace) {
		at = find(d, replace);
		if (at < 0)
			return -LINUX_ENOENT;
	}
	if (kept & ATTACH_MULTI ? find(d, p) >= 0 && p != replace : false)
		return -LINUX_EINVAL;
	if (!(kept & ATTACH_MULTI) && d->nr)
		at = 0; /* the only one there can be gives way */
	if (at < 0 && d->nr >= CGROUP_PROGS_MAX)
		return -LINUX_E2BIG;
	d->flags = kept;
	*io_p = at < 0 ? NULL : d->prog[at];
	d->prog[at < 0 ? d->nr++ : (uint32_t)at] = devprog_get(p);
	return 0;
}

long cgroup_attach_device(struct cgroup *cg, struct devprog *p, struct devprog *replace, uint32_t flags)
{
	struct cgroup_devices *fresh;
	long ret;

	if ((flags & ~(ATTACH_OVERRIDE | ATTACH_MULTI | ATTACH_REPLACE)) || ((flags & ATTACH_OVERRIDE) && (flags & ATTACH_MULTI)) ||
	    ((flags & ATTACH_REPLACE) && !(flags & ATTACH_MULTI)) || !(flags & ATTACH_REPLACE) != !replace)
		return -LINUX_EINVAL;
	fresh = calloc(1, sizeof(*fresh));
	if (!fresh)
		return -LINUX_ENOMEM;
	mutex_lock(&cgroup_mu);
	if (!cg->devices && !cg->dead)
		cg->devices = TAKE_PTR(fresh);
	ret = attach_locked(cg, &p, replace, flags);
	mutex_unlock(&cgroup_mu);
	free(fresh);
	if (!ret)
		devprog_put(p);
	return ret;
}

long cgroup_detach_device(struct cgroup *cg, struct devprog *p)
{
	struct cgroup_devices *d;
	struct devprog *gone = NULL;
	int32_t at = -1;

	mutex_lock(&cgroup_mu);
	d = cg->devices;
	if (d && d->nr)
		at = d->flags & ATTACH_MULTI ? find(d, p) : 0;
	if (at >= 0) {
		gone = d->prog[at];
		for (d->nr--; (uint32_t)at < d->nr; at++)
			d->prog[at] = d->prog[at + 1];
	}
	mutex_unlock(&cgroup_mu);
	devprog_put(gone);
	return gone ? 0 : -LINUX_ENOENT;
}

/* Calls @fn for each program that is in force in @cg, until it returns false. Those of groups above count where they add up, or where
 * no other was found. */
static bool each_in_force_locked(const struct cgroup *cg, bool (*fn)(struct devprog *p, void *arg), void *arg)
{
	bool any = false;

	for (; cg; cg = cg->parent) {
		if (!count_of(cg) || (any && !(cg->devices->flags & ATTACH_MULTI)))
			continue;
		any = true;
		for (uint32_t i = 0; i < cg->devices->nr; i++)
			if (!fn(cg->devices->prog[i], arg))
				return false;
	}
	return true;
}

static bool allows(struct devprog *p, void *arg)
{
	return devprog_allows(p, arg);
}

bool cgroup_device_allowed(struct cgroup *cg, const struct device_access *a)
{
	struct device_access copy = *a;
	bool yes;

	mutex_lock(&cgroup_mu);
	yes = each_in_force_locked(cg, allows, &copy);
	mutex_unlock(&cgroup_mu);
	return yes;
}

struct ids {
	uint32_t *v, nr, cap;
};

static bool add_id(struct devprog *p, void *arg)
{
	struct ids *ids = arg;

	if (ids->nr < ids->cap)
		ids->v[ids->nr] = p->id;
	ids->nr++;
	return true;
}

uint32_t cgroup_query_devices(struct cgroup *cg, bool effective, uint32_t *v, uint32_t cap, uint32_t *out_flags)
{
	struct ids ids = { .v = v, .cap = cap };

	mutex_lock(&cgroup_mu);
	*out_flags = cg->devices && !effective ? cg->devices->flags : 0;
	if (effective)
		each_in_force_locked(cg, add_id, &ids);
	for (uint32_t i = 0; !effective && i < count_of(cg); i++)
		add_id(cg->devices->prog[i], &ids);
	mutex_unlock(&cgroup_mu);
	return ids.nr;
}

void cgroup_forget_devices(struct cgroup *cg)
{
	struct cgroup_devices *d;

	mutex_lock(&cgroup_mu);
	d = TAKE_PTR(cg->devices);
	mutex_unlock(&cgroup_mu);
	for (uint32_t i = 0; d && i < d->nr; i++)
		devprog_put(d->prog[i]);
	free(d);
}
