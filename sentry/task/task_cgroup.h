/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task_cgroup.h - processes and control groups: what the files of fs/cgroup ask for
 */
#ifndef SENTRY_TASK_CGROUP_H
#define SENTRY_TASK_CGROUP_H

#include "sentry/task/ns.h"
#include "sentry/task/task.h"

void task_cgroup_init(void);	/* once at boot */

extern const struct ns_kind_ops task_cgroup_ns_ops;

/* Where the caller looks from: a reference to the root of its cgroup namespace; without a caller the tree's root. */
struct cgroup *task_cgroup_view(void);
/* References to the living processes in @cg, and with @below in all groups below it, in a freshly allocated array; 0 also without
 * memory, with *@out NULL. */
size_t task_cgroup_groups(struct cgroup *cg, bool below, struct tgroup ***out);
/* Their numbers in @ns, one a line, 0 for those that it does not show; or those of all their threads. */
void task_cgroup_pids(struct cgroup *cg, struct pid_ns *ns, bool threads, struct buf *out);
/* Puts @g into @to. -LINUX_ESRCH (it has ended), -LINUX_ENODEV, -LINUX_EBUSY. Rights are the caller's business. */
long task_cgroup_move(struct tgroup *g, struct cgroup *to);
void task_cgroup_kill(struct cgroup *cg);	/* SIGKILL to all in and below @cg; none of their forks escapes */
/* cgroup.freeze. Returns when no guest code runs in it any more, or after a while. -LINUX_ENODEV (sleeps) */
long task_cgroup_freeze(struct cgroup *cg, bool freeze);
bool task_cgroup_is_frozen(struct cgroup *cg);	/* it is to be, and nobody in it runs guest code */

struct cgroup_usage {
	uint64_t utime_ns, stime_ns, anon, file; /* bytes are estimates, as mm_usage() has them */
};
/* Of all processes in and below @cg, and the time of those that ended there. */
void task_cgroup_usage(struct cgroup *cg, struct cgroup_usage *out);

/* task/: a task is counted when it is made, and no more when it is released (tasks_mu held) or was never linked. */
long task_cgroup_charge(struct task *t);
void task_cgroup_uncharge(struct task *t);

#endif
