/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/task.h - tasks and thread groups
 *
 * Model:   a task is one guest thread: one kthread, one uthread, and references to what it shares with others (mm,
 *          files, fs, signal handlers, thread group, namespaces). task_main() is its whole life: run the guest, serve the
 *          event, deliver signals, again, until exit.
 * Locks:   sentry/LOCKS. tasks_mu (task tree, pids, sessions) > group->sig_mu > leaves. Fields without a note are owned by the
 *          task itself (only it writes; others may read single words).
 * Source:  clone(2), wait(2), signal(7), credentials(7), pid_namespaces(7).
 */
#ifndef SENTRY_TASK_H
#define SENTRY_TASK_H

#include "sentry/abi/sched.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/wait.h"
#include "sentry/cgroup/cgroup.h"
#include "sentry/cred/cred.h"
#include "sentry/loader/loader.h"
#include "sentry/mm/mm.h"
#include "sentry/run/run.h"
#include "sentry/vfs/vfs.h"

struct container;
struct pid;
struct pid_ns;
struct sighand;
struct user_count;
struct vfork_wait;
struct sem_undo_list;
struct uts_ns;
struct ipc_ns;
struct net_ns_ref;	/* the network namespace as the socket layer knows it */
struct ptrace_state;
struct seccomp_filter;
struct session;
struct pgrp;
struct tty;

#define TASK_STATES(X) X(RUNNING, 'R') X(SLEEPING, 'S') X(DISK_SLEEP, 'D') X(STOPPED, 'T') X(TRACED, 't') X(ZOMBIE, 'Z') X(DEAD, 'X')
#define X(id, letter) TASK_##id,
enum task_state { TASK_STATES(X) TASK_STATE_COUNT };
#undef X

#define RLIM_COUNT     16
#define RLIM_INF       UINT64_MAX
struct rlimit64 {
	uint64_t cur, max;
};

struct nsproxy {	/* immutable once published; a change makes a new one */
	struct refcount ref;
	struct mnt_ns *mnt;
	struct uts_ns *uts;
	struct ipc_ns *ipc;
	struct net_ns_ref *net;
	struct pid_ns *pid_for_children;
	struct cgroup_ns *cgroup;
};

/* A process: what its threads share through CLONE_THREAD. The thread list changes under tasks_mu and sig_mu together, so
 * either suffices to walk it. */
struct tgroup {
	struct refcount ref;
	struct pid *pid;		/* reference; its numbers are the tgid; immutable */
	struct list threads;		/* of task.thread_node, see above */
	struct task *leader;		/* guarded by tasks_mu; stays until the group is reaped */
	uint32_t nr_threads;		/* entries of threads, a dead leader included; as threads */
	uint32_t nr_live;		/* threads that have not begun to exit; guarded by sig_mu */
	struct tgroup *parent;		/* guarded by tasks_mu; NULL: a container's init, nobody waits */
	struct list children, sibling;	/* guarded by tasks_mu */
	struct list tracees;		/* of ptrace_state.node; guarded by tasks_mu */
	struct pgrp *pgrp;		/* reference; guarded by tasks_mu */
	struct list pgrp_node;		/* guarded by tasks_mu */
	struct session *session;	/* borrowed from pgrp; guarded by tasks_mu */
	struct container *container;	/* immutable, borrowed (outlives its groups) */
	struct list container_node;	/* in container.groups; guarded by tasks_mu */
	struct cgroup_member cg;	/* its control group: task/task_cgroup.h */
	struct exec_process *exec;	/* immutable after start: what a runsc exec waits for; NULL for others */
	struct waitq wait_chld;		/* wait4(2) of this group's threads, and exec waiting for threads to go */
	struct mutex sig_mu;		/* signal state, see task/signal.h */
	struct group_signals *sig;
	struct rlimit64 rlim[RLIM_COUNT]; /* guarded by sig_mu; single words may be read without */
	struct group_timers *timers;	/* POSIX timers, itimers: task/timers.h; NULL until first used */
	struct group_acct *acct;	/* times, rusage of dead threads and waited-for children: task/acct.h */
	_Atomic bool exiting;		/* exit_group or fatal signal under way; written under sig_mu */
	int exit_status;		/* wait status, valid when exiting; guarded by sig_mu */
	struct task *execing;		/* the thread that waits for the others to go; guarded by sig_mu */
	bool zombie;			/* all threads are dead; guarded by tasks_mu */
	int exit_signal;		/* to the parent at the end; -1 none; guarded by tasks_mu */
	bool is_subreaper, has_child_subreaper; /* guarded by tasks_mu */
	bool did_exec;
	bool dumpable;			/* prctl(PR_SET_DUMPABLE), of the address space in truth */
	uint32_t ptracer_allowed;	/* PR_SET_PTRACER: pid number in the outermost namespace, UINT32_MAX any */
	int oom_score_adj;
	struct list overdue_node;	/* task_overdue.c, as the next */
	uint64_t overdue_ns;		/* 0: not waited for */
	uint64_t start_ns;		/* CLOCK_MONOTONIC, then of the boot clock for /proc */
};

/* Things to do before the guest runs again: task.work. */
#define TW_SIGNAL 1u	/* a signal is deliverable */
#define TW_STOP	  2u	/* the group stops, or a tracer wants a stop */
#define TW_EXIT	  4u	/* end of this thread: exit(2), exit_group, kill, exec of another thread */
#define TW_FREEZE 8u	/* the container is paused */
#define TW_NORET  16u	/* registers are set already: no result for this call (sigreturn, execve) */
#define TW_MASK	  32u	/* saved mask to be restored when no handler ran */
#define TW_INTERRUPTING (TW_SIGNAL | TW_STOP | TW_EXIT)

/* Counters of calls: one per number, the last for those beyond. syscalls/dispatch.c checks that the table fits. */
#define TASK_CALLS_MAX 480

/* Reasons for the slow way into a system call: task.entry_work. */
#define TE_SECCOMP 1u
#define TE_PTRACE  2u
#define TE_TRACE   4u	/* strace, metrics: see task_trace_hook */

struct task {
	/* Hot: read at every event. */
	struct uthread *u;		/* owned; NULL once exited */
	_Atomic uint32_t work;		/* TW_*; set by anybody, cleared by the task (TW_SIGNAL, TW_STOP under sig_mu) */
	uint32_t entry_work;		/* TE_*; changes by others only while the task is stopped */
	struct fdtable *fds;		/* reference */
	struct cred *cred;		/* reference; written under sig_mu; other tasks read it through task_cred() */
	struct fs_struct *fs;		/* reference */
	struct nsproxy *ns;		/* reference; written under sig_mu; others: task_nsproxy() */
	struct mm *mm;			/* reference; written under sig_mu; others: task_mm() */
	struct tgroup *group;		/* reference; immutable */
	struct budget *budget;		/* immutable; its task is charged there, which keeps it */
	_Atomic uint32_t state;		/* enum task_state; what the loop is doing, see task_state_letter() */
	_Atomic bool in_guest;		/* uthread_run() has it */
	_Atomic bool frozen;		/* waits for container_resume() */

	struct refcount ref;
	struct kthread *k;		/* immutable once started */
	struct list thread_node;
	struct pid *pid;		/* reference; exec by a non-leader exchanges it, under tasks_mu and sig_mu */
	char comm[16];			/* guarded by sig_mu for other writers */
	struct user_count *ucount;	/* reference; of the real uid */

	struct task_signals *sig;	/* task/signal.h */
	uint64_t set_child_tid;
	uint64_t clear_child_tid, robust_list; /* while there is no page (sig->sh); then the guest's words there count */
	struct ptrace_state *ptrace;	/* NULL until traced */
	struct seccomp_filter *seccomp;	/* chain; reference; written under sig_mu */
	uint32_t seccomp_mode;
	struct sem_undo_list *sem_undo;	/* reference; ipc/sem.h */
	struct task_keys *keys;		/* keys/: guarded by its lock; NULL until first used */
	bool charged;			/* counted in its group's control group; its own until it is linked, then guarded by tasks_mu */
	bool made_shm;			/* a System V segment, ever; its own; ipc/shm.c */
	uint32_t personality;
	int exit_code;			/* wait status of this thread */
	uint64_t start_ns;
	_Atomic uint64_t utime_ns, stime_ns; /* of this thread, see acct.c */
	uint64_t guest_enter_ns;
	struct vfork_wait *vfork;	/* reference; the parent sleeps on it until exec or exit */
	int nice;
	int sched_policy, sched_priority;
	bool sched_reset_on_fork, keep_going_in_exec;
	uint16_t ioprio;
	uint64_t timer_slack_ns, timer_slack_dflt;
	uint64_t affinity[16];		/* 1,024 CPUs */
	uint64_t trace_start_ns;	/* strace/: begin of the current call */
	uint32_t call_nr;		/* the last one that the Sentry was asked for; others read it for diagnostics */
	_Atomic uint32_t calls[TASK_CALLS_MAX]; /* per number, written by itself only; task_calls.c */
	uint32_t mempolicy;		/* set_mempolicy(2): mode and its flags; kept, without effect */
	/* -ERESTART_RESTARTBLOCK: what restart_syscall(2) does */
	long (*restart_fn)(struct task *t);
	uint64_t restart_data[4];
	/* How the thread begins: its first run (fork return, container init's exec). NULL: straight to the guest. */
	long (*start_fn)(struct task *t);
	void *start_arg;
};

extern struct mutex tasks_mu;

long task_init(void);				/* once at boot, before the first container */
struct task *task_current(void);		/* NULL on host threads that run no task */
struct task *task_get(struct task *t);
void task_put(struct task *t);
struct cred *task_cred(struct task *t);		/* a reference to any task's credentials */
void task_set_cred(struct task *t, struct cred *c); /* own task; takes the reference; drops cached descriptors, updates ids in the stub */

/* The caller's view for path walks: borrowed pointers, valid while @t runs this call. */
struct vfs_ctx task_vfs_ctx(struct task *t);
/* Limit of RLIMIT_@res. */
uint64_t task_rlimit(struct task *t, int res);
struct mm_limits task_mm_limits(struct task *t);
/* Sets or clears TW_* bits of task.work. */
void task_set_work(struct task *t, uint32_t bits);
void task_clear_work(struct task *t, uint32_t bits);
/* Watches @t's system calls (TE_*): none is answered in the stub any more. */
void task_set_entry_work(struct task *t, uint32_t set, uint32_t clear);
void task_set_entry_work_locked(struct task *t, uint32_t set, uint32_t clear); /* sig_mu held */
/* Deliverable signal or kill pending: what long loops test. */
bool task_signal_pending(struct task *t);

/* ---- more about any task: references out, no locks needed ---- */

struct mm *task_mm(struct task *t);		/* reference, or NULL (exited) */
struct nsproxy *task_nsproxy(struct task *t);	/* reference, or NULL (exited) */
struct fs_struct *task_fs(struct task *t);	/* reference, or NULL */
struct fdtable *task_fdtable(struct task *t);	/* reference, or NULL */
char task_state_letter(struct task *t);		/* R S D T t Z X of /proc/PID/stat */
void task_get_comm(struct task *t, char out[16]);
void task_set_comm(struct task *t, const char *name);
/* Numbers as @viewer's pid namespace sees them; 0 = not there. */
uint32_t task_pid_nr(struct task *t, struct pid_ns *viewer);	/* gettid */
uint32_t task_tgid_nr(struct task *t, struct pid_ns *viewer);	/* getpid */
uint32_t task_ppid_nr(struct task *t, struct pid_ns *viewer);
uint32_t task_pgid_nr(struct task *t, struct pid_ns *viewer);
uint32_t task_sid_nr(struct task *t, struct pid_ns *viewer);
/* A reference to the thread (leader for a process id) with number @nr in @ns, or NULL. */
struct task *task_find(struct pid_ns *ns, uint32_t nr);
struct tgroup *tgroup_find(struct pid_ns *ns, uint32_t nr);	/* only thread group ids */
struct tgroup *tgroup_get(struct tgroup *g);
void tgroup_put(struct tgroup *g);
/* The thread of @g after @prev (NULL: the first), with a reference; drops @prev's. For /proc/PID/task. */
struct task *tgroup_next_thread(struct tgroup *g, struct task *prev);
/* ptrace access check (proc(5), ptrace(2)): may the caller look at @t? attach: also change. 0 or -LINUX_EPERM */
long task_may_access(struct task *caller, struct task *t, bool fscreds, bool attach);

/* ---- life, task_fork.c, task_exit.c, task_exec.c, task_wait.c ---- */

struct clone_request {
	uint64_t flags;
	uint64_t stack, tls;			/* guest values; stack 0 = as the parent's */
	uint64_t child_tid, parent_tid, pidfd;	/* guest addresses */
	int exit_signal;
	uint32_t set_tid[32], nr_set_tid;
	struct cgroup *cgroup;			/* CLONE_INTO_CGROUP: borrowed, the caller may enter it; NULL: the parent's */
};
/* clone(2) and its kin: number of the child in the caller's namespace, or -LINUX_E*. (sleeps) */
long task_clone(struct task *t, const struct clone_request *r);
long task_exec(struct task *t, int dirfd, const char *path, uint32_t at_flags, struct exec_strings *argv,
	       struct exec_strings *envp);
void task_exit_thread(struct task *t, int status);	/* exit(2): marks; the run loop does it */
void task_exit_group(struct task *t, int status);	/* exit_group(2) and fatal signals; wait status */

struct wait_result {
	uint32_t pid, uid;
	int status;		/* wait status word */
	int code;		/* CLD_*, 0 = none found under WNOHANG */
	int si_status;
};
struct linux_rusage;
/* wait4(2), waitid(2): which = LINUX_P_*, id a number or (P_PIDFD) a struct pid. Number, 0 or -LINUX_E*. */
long task_wait(struct task *t, int which, uint32_t nr, struct pid *pid, uint32_t options, struct wait_result *out,
	       struct linux_rusage *out_ru);

/* ---- upward: implemented by syscalls/, strace/ ---- */

long syscall_dispatch(struct task *t, uint32_t nr, const uint64_t a[6]);
/* When set, tasks with TE_TRACE report each call: before (ret NULL) and after. */
extern void (*task_trace_hook)(struct task *t, uint32_t nr, const uint64_t a[6], const long *ret);
/* Whether processes that are not forked (init, exec) begin with TE_TRACE. */
extern _Atomic bool task_trace_new;
/* A counter of @t's calls has come around to zero. */
void task_calls_carry(struct task *t, uint32_t nr);

/* Words that a thread leaves with the kernel (set_robust_list(2), set_tid_address(2)); its stub keeps them. sig_mu held, or the
 * own task. */
uint64_t task_robust_list_locked(const struct task *t);
uint64_t task_clear_tid_locked(const struct task *t);
void task_set_thread_words(struct task *t, uint64_t robust_list, uint64_t clear_tid);

#endif
