/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/container_internal.h - shared by container.c, container_start.c and container_holder.c
 */
#ifndef SENTRY_CONTAINER_INTERNAL_H
#define SENTRY_CONTAINER_INTERNAL_H

#include "sentry/task/container.h"
#include "sentry/task/task_internal.h"

#define EXEC_ID_MAX 128

/* A process that somebody outside started and may wait for. */
struct exec_process {
	struct list node;
	struct refcount ref;	/* the list's, the group's, waiters' */
	char exec_id[EXEC_ID_MAX];	/* "" for init */
	struct tgroup *group;	/* reference until the end; guarded by tasks_mu */
	uint32_t pid;		/* in the container's namespace */
	_Atomic bool ended;
	struct process_end end;	/* valid when ended */
	int chan;		/* init channel, -1 none; owned */
	struct hostfd holder;	/* watches chan while watched */
	_Atomic bool watched, linked, holder_gone;
};

struct exec_process *proc_new(const char *exec_id, int chan);
void proc_put(struct exec_process *p);
/* init (NULL, "") or an exec by its id, the youngest of that name; tasks_mu held; borrowed. */
struct exec_process *proc_find_locked(struct container *c, const char *exec_id);
/* Watches the other end of the init channel: its hang-up ends the process, its signals are forwarded. proc_unwatch() before the
 * process lets go of its group; no tasks_mu. proc_watch_linked() when it can be found and killed. */
void proc_watch(struct exec_process *p);
void proc_unwatch(struct exec_process *p);
void proc_watch_linked(struct exec_process *p);
/* SIGKILL for every process of @c, also an init that was not started. Any host thread. */
void container_kill_all(struct container *c);
/* The init that was made but not let go must run to its end when it is killed. */
void container_release_unstarted(struct container *c);

#endif
