/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/sem_undo.h - SEM_UNDO: what a process's end takes back (semop(2))
 */
#ifndef SENTRY_SEM_UNDO_H
#define SENTRY_SEM_UNDO_H

#include "sentry/task/task.h"

/* The threads of a process share one list from their creation (CLONE_SYSVSEM); a fork starts empty. 0 or -LINUX_ENOMEM. */
long sem_undo_fork(struct task *parent, struct task *child, bool share);
void sem_undo_exec(struct task *t);	/* keeps the list (semop(2)): it belongs to the process */
void sem_undo_exit(struct task *t);	/* applies the adjustments with the last user */
void sem_undo_put(struct sem_undo_list *l);

/* For sem.c. */
struct sem_set;
/* Adjustments of @t's list for @set: @nr values, all 0 at first; owned by the list. NULL = no memory. */
int32_t *sem_undo_of(struct task *t, struct sem_set *set, unsigned nr);
/* sem.c: applies @adj to the set and drops the list's reference to it. */
void sem_set_undo(struct sem_set *set, const int32_t *adj, unsigned nr);
void sem_set_get(struct sem_set *set);

#endif
