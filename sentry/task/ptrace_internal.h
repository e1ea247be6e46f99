/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ptrace_internal.h - shared by ptrace.c (tracee) and ptrace_call.c (tracer)
 */
#ifndef SENTRY_PTRACE_INTERNAL_H
#define SENTRY_PTRACE_INTERNAL_H

#include "sentry/abi/ptrace.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/task_internal.h"

enum ptrace_where { PT_NOWHERE, PT_ENTRY, PT_EXIT, PT_SECCOMP };

/* One traced thread. Written under tasks_mu, unless said otherwise. */
struct ptrace_state {
	struct tgroup *tracer;		/* borrowed: its end detaches */
	struct list node;		/* in tracer->tracees */
	struct task *task;		/* borrowed: its end takes this away, or leaves it with .dead */
	struct pid *pid;		/* reference, for reports after the end */
	uint32_t options;
	bool seized, stopped, reported, resumed, dead, interrupt, step, in_stop;
	bool sys_stops, sysemu;		/* how it was resumed */
	bool regs_set;			/* the tracer wrote registers in this stop */
	int status;			/* wait status of the stop or the end */
	int resume_sig;
	unsigned users;			/* calls of the tracer under way: a killed tracee does not end before they have */
	uint64_t event_msg;
	struct linux_siginfo_head si;	/* of the stop */
	bool has_si;
	enum ptrace_where where;
	struct waitq wq;		/* the tracee sleeps here; so does who waits for a request */
	/* Something that only the tracee's own kthread can do; one at a time. */
	long (*req)(struct task *t, void *arg);
	void *req_arg;
	long req_ret;
	bool req_done;
};

/* Makes @g the tracer of @t. tasks_mu held. -LINUX_EPERM traced already, -LINUX_ENOMEM */
long ptrace_link_locked(struct tgroup *g, struct task *t, uint32_t options, bool seized);
void ptrace_unlink_locked(struct ptrace_state *ps);	/* the tracee is free and runs on; frees @ps */

/* Vector state of the calling task as NT_X86_XSTATE has it: the XSAVE image with the components' mask at byte 464. Its size, or -LINUX_E*;
 * @cap as for uthread_get_fpu(). */
long ptrace_xstate_get(struct task *t, uint8_t *buf, size_t cap);

#endif
