/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/cgroup.c - the tree of control groups: made, found, removed; news of cgroup.events
 *
 * Locks:   cgroup_mu. Hooks are called without it.
 * Source:  cgroups(7), "Control Group v2" in the kernel's documentation.
 */
#include "sentry/cgroup/cgroup.h"
#include "sentry/cgroup/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/abi/errno.h"

struct mutex cgroup_mu = MUTEX_INIT;
struct cgroup *cgroup_root;
void (*cgroup_gone_hook)(struct cgroup *cg);
void (*cgroup_event_hook)(struct cgroup *cg);

static uint32_t nr_cgroups;	/* guarded by cgroup_mu */
static uint64_t next_id = 1;	/* same */
static struct list news = LIST_HEAD_INIT(news); /* of cgroup.told; guarded by cgroup_mu */
static _Atomic bool have_news;	/* news is not empty; written under cgroup_mu */

/* ---- life --------------------------------------------------------------------------------------------------- */

static struct cgroup *alloc_group(struct cgroup *parent, const char *name)
{
	size_t len = strlen(name);
	struct cgroup *cg = calloc(1, sizeof(*cg) + len + 1);

	if (!cg)
		return NULL;
	ref_init(&cg->ref, 2); /* the caller's, the tree's */
	list_init(&cg->children);
	list_init(&cg->sibling);
	list_init(&cg->members);
	list_init(&cg->told);
	waitq_init(&cg->events_wq);
	cg->max_depth = cg->max_descendants = CGROUP_NO_LIMIT;
	cgroup_knobs_init(&cg->knobs);
	memcpy(cg->name, name, len);
	if (parent) {
		cg->parent = cgroup_get(parent);
		cg->depth = parent->depth + 1;
	}
	return cg;
}

void cgroup_init(void)
{
	cgroup_root = alloc_group(NULL, "");
	BUG_ON(!cgroup_root);
	cgroup_root->control = CGC_ALL;
	cgroup_root->id = next_id++;
	nr_cgroups = 1;
}

struct cgroup *cgroup_get(struct cgroup *cg)
{
	ref_get(&cg->ref);
	return cg;
}

void cgroup_put(struct cgroup *cg)
{
	while (cg && ref_put(&cg->ref)) {
		struct cgroup *parent = cg->parent;

		free(cg);
		cg = parent;
	}
}

static struct cgroup *child_locked(struct cgroup *cg, const char *name)
{
	struct cgroup *c;

	list_for_each_entry (c, &cg->children, sibling)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

struct cgroup *cgroup_child(struct cgroup *cg, const char *name)
{
	struct cgroup *c;

	mutex_lock(&cgroup_mu);
	c = child_locked(cg, name);
	if (c)
		cgroup_get(c);
	mutex_unlock(&cgroup_mu);
	return c;
}

/* Whether one group more may be below @parent. */
static bool room_locked(const struct cgroup *parent)
{
	uint64_t level = 1;

	if (parent->depth >= CGROUP_DEPTH_MAX)
		return false;
	for (const struct cgroup *p = parent; p; p = p->parent, level++) {
		if (p->nr_descendants >= p->max_descendants || level > p->max_depth)
			return false;
		if (p->depth == 1 && p->nr_descendants >= CGROUPS_MAX)
			return false;
	}
	return true;
}

static long link_group_locked(struct cgroup *parent, struct cgroup *cg)
{
	if (parent->dead)
		return -LINUX_ENODEV;
	if (child_locked(parent, cg->name))
		return -LINUX_EEXIST;
	if (!room_locked(parent))
		return -LINUX_EAGAIN;
	cg->id = next_id++;
	nr_cgroups++;
	list_add_tail(&parent->children, &cg->sibling);
	for (struct cgroup *p = parent; p; p = p->parent)
		p->nr_descendants++;
	return 0;
}

long cgroup_new(struct cgroup *parent, const char *name, struct cgroup **out)
{
	struct cgroup *cg = alloc_group(parent, name);
	long ret;

	if (!cg)
		return -LINUX_ENOMEM;
	mutex_lock(&cgroup_mu);
	ret = link_group_locked(parent, cg);
	mutex_unlock(&cgroup_mu);
	if (ret) {
		cgroup_put(cg);
		cgroup_put(cg);
		return ret;
	}
	*out = cg;
	return 0;
}

long cgroup_new_container(struct cgroup **out)
{
	static _Atomic uint32_t next;
	char name[24];

	snprintf(name, sizeof(name), "c%u", atomic_fetch_add(&next, 1));
	return cgroup_new(cgroup_root, name, out);
}

static void unlink_locked(struct cgroup *cg)
{
	cg->dead = true;
	list_del_init(&cg->sibling);
	nr_cgroups--;
	for (struct cgroup *p = cg->parent; p; p = p->parent)
		p->nr_descendants--;
	cg->parent->past.utime_ns += cg->past.utime_ns;
	cg->parent->past.stime_ns += cg->past.stime_ns;
}

static void gone(struct cgroup *cg)
{
	if (cgroup_gone_hook)
		cgroup_gone_hook(cg);
	cgroup_forget_devices(cg);
	cgroup_put(cg); /* the tree's */
}

long cgroup_unlink(struct cgroup *cg)
{
	long ret = 0;

	mutex_lock(&cgroup_mu);
	if (cg->dead)
		ret = -LINUX_ENODEV;
	else if (cg->nr_live || !list_empty(&cg->children))
		ret = -LINUX_EBUSY;
	else
		unlink_locked(cg);
	mutex_unlock(&cgroup_mu);
	if (!ret)
		gone(cg);
	return ret;
}

/* A group of @top's tree that has none below. */
static struct cgroup *leaf_locked(struct cgroup *top)
{
	while (!list_empty(&top->children))
		top = list_first(&top->children, struct cgroup, sibling);
	return top;
}

void cgroup_remove_tree(struct cgroup *top)
{
	struct cgroup *cg;
	bool last;

	do {
		mutex_lock(&cgroup_mu);
		if (top->dead) {
			mutex_unlock(&cgroup_mu);
			return;
		}
		cg = leaf_locked(top);
		unlink_locked(cg);
		mutex_unlock(&cgroup_mu);
		last = cg == top;
		gone(cg);
	} while (!last);
}

/* ---- looking ------------------------------------------------------------------------------------------------ */

uint32_t cgroup_count(void)
{
	uint32_t n;

	mutex_lock(&cgroup_mu);
	n = nr_cgroups;
	mutex_unlock(&cgroup_mu);
	return n;
}

struct cgroup *cgroup_next_locked(struct cgroup *cg, struct cgroup *top)
{
	if (!list_empty(&cg->children))
		return list_first(&cg->children, struct cgroup, sibling);
	for (; cg != top; cg = cg->parent)
		if (cg->sibling.next != &cg->parent->children)
			return list_entry(cg->sibling.next, struct cgroup, sibling);
	return NULL;
}

bool cgroup_is_below(const struct cgroup *cg, const struct cgroup *top)
{
	while (cg && cg->depth > top->depth)
		cg = cg->parent;
	return cg == top;
}

static const struct cgroup *common(const struct cgroup *a, const struct cgroup *b)
{
	while (a != b) {
		if (a->depth >= b->depth)
			a = a->parent;
		else
			b = b->parent;
	}
	return a;
}

struct cgroup *cgroup_common(struct cgroup *a, struct cgroup *b)
{
	return cgroup_get((struct cgroup *)common(a, b));
}

void cgroup_path(const struct cgroup *cg, const struct cgroup *root, struct buf *out)
{
	const struct cgroup *down[CGROUP_DEPTH_MAX + 1], *top = common(cg, root);
	size_t n = 0;

	if (cg == root)
		buf_printf(out, "/");
	for (const struct cgroup *c = root; c != top; c = c->parent)
		buf_printf(out, "/..");
	for (; cg != top; cg = cg->parent)
		down[n++] = cg;
	while (n)
		buf_printf(out, "/%s", down[--n]->name);
}

/* ---- cgroup.events -------------------------------------------------------------------------------------------- */

void cgroup_event_locked(struct cgroup *cg)
{
	atomic_fetch_add(&cg->events, 1);
	waitq_wake_all(&cg->events_wq);
	if (!list_empty(&cg->told))
		return;
	list_add_tail(&news, &cg->told);
	cgroup_get(cg);
	atomic_store(&have_news, true);
}

void cgroup_tell(void)
{
	while (atomic_load_explicit(&have_news, memory_order_relaxed)) {
		struct cgroup *cg = NULL;

		mutex_lock(&cgroup_mu);
		if (list_empty(&news)) {
			atomic_store(&have_news, false);
		} else {
			cg = list_first(&news, struct cgroup, told);
			list_del_init(&cg->told);
		}
		mutex_unlock(&cgroup_mu);
		if (cg && cgroup_event_hook)
			cgroup_event_hook(cg);
		cgroup_put(cg);
	}
}

bool cgroup_frozen_locked(const struct cgroup *cg)
{
	for (; cg; cg = cg->parent)
		if (cg->freeze)
			return true;
	return false;
}
