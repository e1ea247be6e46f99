/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/acct.h - processor time and resource usage
 *
 * Model:   the host counts the time of a guest process's host process; clocks of other processes may be read by pid
 *          (CPUCLOCK_* in clock_getcpuclockid(3)), so nothing is measured per call. A group that runs as a guest of another
 *          group's host process (vfork child before its exec) has no time of its own.
 * Source:  getrusage(2), times(2), clock_getcpuclockid(3).
 * Differs: time that the Sentry spends for a call is not charged; threads of one process share its time by equal parts, unless they
 *          ask for their own clock in the stub.
 */
#ifndef SENTRY_ACCT_H
#define SENTRY_ACCT_H

#include "sentry/abi/wait.h"
#include "sentry/task/task.h"

struct cpu_times {
	uint64_t utime_ns, stime_ns;
};

struct group_acct {
	struct mutex mu;		/* leaf */
	struct uspace *space;		/* the group's own host process, reference; NULL: runs in somebody else's, or none */
	struct cpu_times past;		/* of host processes left behind (rehost), and at the end the final value */
	bool final;			/* past is all: the process has ended */
	struct cpu_times children;	/* of waited-for children and their children */
	uint64_t maxrss, children_maxrss; /* bytes */
};

long group_acct_alloc(struct tgroup *g);
void acct_space_set(struct tgroup *g, struct uspace *s); /* the group has a host process of its own */
void acct_space_left(struct tgroup *g);	/* before it is changed for another */
void acct_group_end(struct tgroup *g);	/* before the last thread gives up its host thread */
void acct_free(struct tgroup *g);
void acct_reaped(struct tgroup *parent, struct tgroup *child);
struct cpu_times acct_group_times(struct tgroup *g);
struct cpu_times acct_thread_times(struct task *t);
void acct_rusage(struct tgroup *g, struct linux_rusage *out);	       /* RUSAGE_SELF */
void acct_rusage_children(struct tgroup *g, struct linux_rusage *out); /* RUSAGE_CHILDREN */
/* wait4(2)'s: the child and what it waited for. */
void acct_rusage_both(struct tgroup *g, struct linux_rusage *out);

#endif
