/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ptrace.h - tracing of tasks by tasks
 *
 * Model:   a traced task has a struct ptrace_state naming its tracer's group. Stops happen in the tracee's kthread at fixed points:
 *          before a signal is acted on, at the border of a system call, at events, at the end.
 * Source:  ptrace(2).
 */
#ifndef SENTRY_PTRACE_H
#define SENTRY_PTRACE_H

#include "sentry/task/task.h"

struct clone_request;

static inline bool task_is_traced(const struct task *t)
{
	return t->ptrace != NULL;
}

/* A signal was taken by traced @t: stops for the tracer. Returns the signal to act on, 0 = suppressed; *@si may change.
 * *@out_regs_set: the tracer wrote registers, an interrupted call is not to be restarted. */
int ptrace_signal(struct task *t, int sig, struct linux_siginfo_head *si, bool *out_regs_set);
bool ptrace_may_gain(struct task *t);	/* its tracer may trace what it becomes by a set-user-id exec */
bool ptrace_is_tracer(struct task *tracer, struct task *t); /* tasks_mu held */
/* Before the child runs; the event that the parent then stops for with ptrace_event(), 0 none. */
int ptrace_clone(struct task *parent, struct task *child, const struct clone_request *r);
void ptrace_event(struct task *t, int event, uint64_t msg);	/* stops if the tracer asked for it */
bool ptrace_group_stop(struct task *t);	/* TW_STOP: true when it stopped for its tracer */
long ptrace_call(struct task *t, int request, int pid, uint64_t addr, uint64_t data); /* ptrace(2) */
/* A debugger's write to memory that its stopped tracee may not write itself, through /proc/PID/mem: bytes written, up to the end of a
 * page, or -LINUX_EIO when @tracer has no stopped tracee in @mm. (sleeps) */
long ptrace_force_write(struct task *tracer, struct mm *mm, uint64_t addr, const void *src, size_t len);
void ptrace_exec(struct task *t);
void ptrace_exit(struct task *t);
/* Borders of a system call. entry: false = do not make the call, *@ret is its result (PTRACE_SYSEMU); *@nr and @a may change. */
bool ptrace_syscall_entry(struct task *t, int32_t *nr, uint64_t a[6], long *ret);
void ptrace_syscall_exit(struct task *t, long *ret);
/* SECCOMP_RET_TRACE with @data: true = make the call, false = skipped, *@ret says what it returns. */
bool ptrace_seccomp(struct task *t, uint32_t data, int32_t *nr, uint64_t a[6], long *ret);
/* wait4(2) of tracees: 1 found, 0 none yet, -LINUX_ECHILD when neither children (@any) nor tracees match. tasks_mu held */
long ptrace_wait_look_locked(struct task *t, int which, struct pid *pid, uint32_t options, struct wait_result *out, bool any);

#endif
