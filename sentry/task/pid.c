/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/pid.c - process ids and pid namespaces
 *
 * Model:   each namespace has a two-level table number -> struct pid, PID_MAX numbers in leaves of 512; numbers are given out
 *          in rising order and wrap, as in Linux, so that a number is not reused soon.
 * Locks:   tasks_mu guards the tables and the counts.
 * Source:  pid_namespaces(7), proc(5) /proc/sys/kernel/pid_max.
 */
#include <string.h>

#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/task.h"

#define LEAF_SLOTS  512u
#define PID_RESERVED 300u /* numbers below are not given out again after the first round, as in Linux */

struct pid_leaf {
	uint32_t used;
	struct pid *slot[LEAF_SLOTS];
};

struct mutex tasks_mu = MUTEX_INIT;

struct pid *pid_get(struct pid *p)
{
	ref_get(&p->ref);
	return p;
}

void pid_put(struct pid *p)
{
	if (!p || !ref_put(&p->ref))
		return;
	BUG_ON(p->users);
	for (uint32_t i = 0; i <= p->level; i++)
		pid_ns_put(p->num[i].ns);
	free(p);
}

static struct pid *slot_get(const struct pid_ns *ns, uint32_t nr)
{
	const struct pid_leaf *l = nr < PID_MAX ? ns->leaf[nr / LEAF_SLOTS] : NULL;

	return l ? l->slot[nr % LEAF_SLOTS] : NULL;
}

static bool slot_set(struct pid_ns *ns, uint32_t nr, struct pid *p)
{
	struct pid_leaf **l = &ns->leaf[nr / LEAF_SLOTS];

	if (!*l)
		*l = calloc(1, sizeof(**l));
	if (!*l)
		return false;
	(*l)->slot[nr % LEAF_SLOTS] = p;
	(*l)->used++;
	ns->nr_pids++;
	return true;
}

static void slot_clear(struct pid_ns *ns, uint32_t nr)
{
	struct pid_leaf **l = &ns->leaf[nr / LEAF_SLOTS];

	(*l)->slot[nr % LEAF_SLOTS] = NULL;
	ns->nr_pids--;
	if (--(*l)->used == 0) {
		free(*l);
		*l = NULL;
	}
}

/* A free number in @ns, or 0. */
static uint32_t number_choose(struct pid_ns *ns)
{
	uint32_t nr = ns->last;

	for (uint32_t tries = 0; tries < PID_MAX; tries++) {
		const struct pid_leaf *l;

		if (++nr >= PID_MAX)
			nr = PID_RESERVED;
		l = ns->leaf[nr / LEAF_SLOTS];
		if (l && l->used == LEAF_SLOTS) { /* full leaf: on to the next */
			tries += LEAF_SLOTS - 1 - nr % LEAF_SLOTS;
			nr |= LEAF_SLOTS - 1;
			continue;
		}
		if (!l || !l->slot[nr % LEAF_SLOTS])
			return nr;
	}
	return 0;
}

/* Numbers of @p from the outermost level in; on failure takes back what it gave. */
static long numbers_take_locked(struct pid *p, const uint32_t *wanted, unsigned nr_wanted)
{
	long ret = -LINUX_EAGAIN;
	int level = 0;

	for (; level <= (int)p->level; level++) {
		struct pid_ns *ns = p->num[level].ns;
		unsigned from_inside = p->level - (uint32_t)level;
		uint32_t nr;

		ret = -LINUX_ENOMEM;
		if (ns->dying)
			goto undo;
		if (from_inside < nr_wanted) {
			nr = wanted[from_inside];
			ret = -LINUX_EINVAL;
			if (!nr || nr >= PID_MAX || (nr != 1 && !ns->reaper))
				goto undo;
			ret = -LINUX_EEXIST;
			if (slot_get(ns, nr))
				goto undo;
		} else {
			ret = -LINUX_EAGAIN;
			nr = number_choose(ns);
			if (!nr)
				goto undo;
			ns->last = nr;
		}
		ret = -LINUX_ENOMEM;
		if (!slot_set(ns, nr, p))
			goto undo;
		p->num[level].nr = nr;
	}
	return 0;
undo:
	while (--level >= 0)
		slot_clear(p->num[level].ns, p->num[level].nr);
	return ret;
}

long pid_alloc(struct pid_ns *ns, const uint32_t *wanted, unsigned nr_wanted, struct pid **out)
{
	struct pid *p = calloc(1, sizeof(*p) + (ns->level + 1) * sizeof(p->num[0]));
	struct pid_ns *at = ns;
	long ret;

	if (!p)
		return -LINUX_ENOMEM;
	ref_init(&p->ref, 1);
	p->level = ns->level;
	waitq_init(&p->exit_wq);
	for (uint32_t i = ns->level + 1; i-- > 0; at = at->parent)
		p->num[i].ns = pid_ns_get(at);

	mutex_lock(&tasks_mu);
	ret = numbers_take_locked(p, wanted, nr_wanted);
	if (!ret)
		p->users = 1; /* the maker's; pid_unuse_locked() when it fails later, else the task's */
	mutex_unlock(&tasks_mu);
	if (ret) {
		pid_put(p);
		return ret;
	}
	*out = p;
	return 0;
}

void pid_use_locked(struct pid *p)
{
	BUG_ON(!p->users);
	p->users++;
}

void pid_unuse_locked(struct pid *p)
{
	BUG_ON(!p->users);
	if (--p->users)
		return;
	for (uint32_t i = 0; i <= p->level; i++) {
		slot_clear(p->num[i].ns, p->num[i].nr);
		if (p->num[i].ns->dying)
			waitq_wake_all(&p->num[i].ns->empty_wq);
	}
}

struct pid *pid_find_locked(struct pid_ns *ns, uint32_t nr)
{
	return slot_get(ns, nr);
}

struct pid *pid_find(struct pid_ns *ns, uint32_t nr)
{
	struct pid *p;

	mutex_lock(&tasks_mu);
	p = slot_get(ns, nr);
	if (p)
		pid_get(p);
	mutex_unlock(&tasks_mu);
	return p;
}

uint32_t pid_nr(const struct pid *p, const struct pid_ns *ns)
{
	if (!p || !ns || ns->level > p->level || p->num[ns->level].ns != ns)
		return 0;
	return p->num[ns->level].nr;
}

uint32_t pid_next_tgroup(struct pid_ns *ns, uint32_t from, struct task **out_leader)
{
	uint32_t found = 0;

	mutex_lock(&tasks_mu);
	for (uint32_t nr = from; nr < PID_MAX && !found; nr++) {
		const struct pid_leaf *l = ns->leaf[nr / LEAF_SLOTS];
		struct pid *p;

		if (!l) {
			nr |= LEAF_SLOTS - 1;
			continue;
		}
		p = l->slot[nr % LEAF_SLOTS];
		if (p && p->tgroup) {
			found = nr;
			*out_leader = task_get(p->tgroup->leader);
		}
	}
	mutex_unlock(&tasks_mu);
	return found;
}

/* ---- namespaces ----------------------------------------------------------------------------------- */

long pid_ns_new(struct pid_ns *parent, struct user_ns *user_ns, struct pid_ns **out)
{
	struct pid_ns *ns;

	if (parent && parent->level + 1 >= PID_LEVEL_MAX)
		return -LINUX_ENOSPC;
	ns = calloc(1, sizeof(*ns));
	if (!ns)
		return -LINUX_ENOMEM;
	ref_init(&ns->ref, 1);
	ns->parent = parent ? pid_ns_get(parent) : NULL;
	ns->level = parent ? parent->level + 1 : 0;
	ns->user_ns = user_ns_get(user_ns);
	ns->ino = ns_new_ino();
	waitq_init(&ns->empty_wq);
	*out = ns;
	return 0;
}

struct pid_ns *pid_ns_get(struct pid_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void pid_ns_put(struct pid_ns *ns)
{
	while (ns && ref_put(&ns->ref)) {
		struct pid_ns *parent = ns->parent;

		for (size_t i = 0; i < ARRAY_SIZE(ns->leaf); i++)
			free(ns->leaf[i]);
		user_ns_put(ns->user_ns);
		free(ns);
		ns = parent;
	}
}

bool pid_ns_is_below(const struct pid_ns *ns, const struct pid_ns *ancestor)
{
	while (ns && ns->level > ancestor->level)
		ns = ns->parent;
	return ns == ancestor;
}
