/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_internal.h - what the files of task/ share with each other only
 */
#ifndef SENTRY_TASK_INTERNAL_H
#define SENTRY_TASK_INTERNAL_H

#include "sentry/task/signal.h"
#include "sentry/task/task.h"

/* The parent of a vfork(2) sleeps here until the child has its own memory or is gone. */
struct vfork_wait {
	struct refcount ref; /* parent and child */
	struct waitq wq;
	_Atomic bool done;
};
void vfork_release(struct task *child);

/* task.c */
struct task *task_alloc(struct tgroup *g); /* one reference; group reference taken; not in any list */
struct tgroup *tgroup_alloc(void);	   /* one reference, one thread expected */
void task_publish_ids_locked(struct task *t); /* pid, ppid... to the thread's page; tasks_mu and sig_mu held */
void task_publish_creds_locked(struct task *t); /* uids to the page; sig_mu held */
void task_link_locked(struct task *t);	   /* into its group's threads and its pid; tasks_mu held, takes sig_mu */
void task_poke_locked(struct task *t, uint32_t work, bool kill); /* work + interrupt + kick; sig_mu held */

/* task_main.c: body of a task's kthread, @arg is the task (its reference moves). */
void task_main(void *arg);
long task_start(struct task *t); /* starts the kthread: -LINUX_ENOMEM */

/* task_fork.c */
void task_never_born(struct task *c); /* the host refused it: marks it to end, and nobody will hear of it */

/* task_exit.c */
void task_do_exit(struct task *t);	/* the run loop's last step; drops the kthread's reference */
void task_release_locked(struct task *t); /* a dead thread leaves its lists and gives its pid back */
void tgroup_reap_locked(struct tgroup *g); /* a zombie leaves the tree */
long task_dethread(struct task *t);	/* exec: ends all other threads; -LINUX_EAGAIN when the group is ending */

/* task_exec.c: what exec and a container's init have in common. */
struct exec_work;
long exec_commit(struct task *t, struct exec_image *img, struct cred *cred /* moves */, bool secure);

/* task_overdue.c */
void task_overdue_watch_locked(struct tgroup *g); /* @g is to end and its threads were called back; sig_mu held */
void task_overdue_done(struct tgroup *g);	/* they are: no locks */

/* task_wait.c */
void wait_wake_parent_locked(struct tgroup *g); /* tasks_mu held */

/* container.c */
void container_group_dead(struct tgroup *g);	/* a group of it ended: after the zombie state was set, no locks */
void container_unlink_locked(struct tgroup *g);
bool container_freeze_point(struct task *t);	/* TW_FREEZE: sleeps while paused */

void task_calls_end(struct task *t);	/* its counters become its container's; task_calls.c */

#endif
