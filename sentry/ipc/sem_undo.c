/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/sem_undo.c - SEM_UNDO lists
 *
 * Model:   a list has one entry per set that its users have changed with SEM_UNDO, with one adjustment per semaphore, which the
 *          last user's end adds. The adjustments are changed under the set's mutex, together with the values.
 * Locks:   list.mu (leaf) guards the list of entries.
 * Source:  semop(2), clone(2) CLONE_SYSVSEM.
 */
#include "sentry/ipc/sem_undo.h"

struct undo_entry {
	struct list node;
	struct sem_set *set;	/* reference */
	unsigned nr;
	int32_t adj[];		/* guarded by the set's mutex */
};

struct sem_undo_list {
	struct refcount ref;
	struct mutex mu;
	struct list entries;	/* guarded by mu */
};

static struct sem_undo_list *list_new(void)
{
	struct sem_undo_list *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	ref_init(&l->ref, 1);
	mutex_init(&l->mu);
	list_init(&l->entries);
	return l;
}

void sem_undo_put(struct sem_undo_list *l)
{
	struct undo_entry *e, *tmp;

	if (!l || !ref_put(&l->ref))
		return;
	list_for_each_entry_safe (e, tmp, &l->entries, node) {
		list_del_init(&e->node);
		sem_set_undo(e->set, e->adj, e->nr);
		free(e);
	}
	free(l);
}

long sem_undo_fork(struct task *parent, struct task *child, bool share)
{
	if (!share)
		return 0;
	if (!parent->sem_undo)
		parent->sem_undo = list_new();
	if (!parent->sem_undo)
		return -LINUX_ENOMEM;
	ref_get(&parent->sem_undo->ref);
	child->sem_undo = parent->sem_undo;
	return 0;
}

void sem_undo_exec(struct task *t)
{
	/* Kept: the adjustments belong to the process, not to its program. */
}

void sem_undo_exit(struct task *t)
{
	sem_undo_put(TAKE_PTR(t->sem_undo));
}

int32_t *sem_undo_of(struct task *t, struct sem_set *set, unsigned nr)
{
	struct sem_undo_list *l;
	struct undo_entry *e, *fresh;

	if (!t->sem_undo)
		t->sem_undo = list_new();
	l = t->sem_undo;
	fresh = calloc(1, sizeof(*fresh) + nr * sizeof(fresh->adj[0]));
	if (!l || !fresh) {
		free(fresh);
		return NULL;
	}
	mutex_lock(&l->mu);
	list_for_each_entry (e, &l->entries, node)
		if (e->set == set)
			goto found;
	e = TAKE_PTR(fresh);
	e->set = set;
	e->nr = nr;
	sem_set_get(set);
	list_add_tail(&l->entries, &e->node);
found:
	mutex_unlock(&l->mu);
	free(fresh);
	return e->adj;
}
