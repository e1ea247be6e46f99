/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal.h - signals: queues, dispositions, delivery, job control
 *
 * Model:   as in Linux: each thread and each group has a set of pending signals with queued siginfo; actions are shared by
 *          CLONE_SIGHAND. A thread's blocked mask lives in its shared page (struct ushared), because the stub answers
 *          rt_sigprocmask(2) itself.
 * Barrier "mask/pending": the sender and the stub each write one word and read the other's:
 *
 *          sender                                 stub, in rt_sigprocmask
 *          sigpending |= S                        sigmask = new
 *          full barrier                           full barrier
 *          read sigmask: S blocked? no wake-up    read sigpending & ~sigmask: call the Sentry
 *
 *          Without the barriers both could read the old word, and S would lie pending, unblocked and undelivered.
 * Locks:   group->sig_mu guards everything here; sighand->mu (leaf) the actions, as several groups may share them.
 * Source:  signal(7), sigaction(2), rt_sigqueueinfo(2), sigaltstack(2).
 */
#ifndef SENTRY_SIGNAL_H
#define SENTRY_SIGNAL_H

#include "sentry/abi/sched.h"
#include "sentry/abi/signal.h"
#include "sentry/abi/wait.h"
#include "sentry/task/task.h"

#define SIG_UNMASKABLE (SIGMASK(LINUX_SIGKILL) | SIGMASK(LINUX_SIGSTOP))
#define SIG_STOPS                                                                                  \
	(SIGMASK(LINUX_SIGSTOP) | SIGMASK(LINUX_SIGTSTP) | SIGMASK(LINUX_SIGTTIN) | SIGMASK(LINUX_SIGTTOU))
#define SIG_SYNC                                                                                   \
	(SIGMASK(LINUX_SIGSEGV) | SIGMASK(LINUX_SIGBUS) | SIGMASK(LINUX_SIGILL) | SIGMASK(LINUX_SIGTRAP) | \
	 SIGMASK(LINUX_SIGFPE) | SIGMASK(LINUX_SIGSYS))
#define SIG_IGNORED_BY_DEFAULT                                                                     \
	(SIGMASK(LINUX_SIGCONT) | SIGMASK(LINUX_SIGCHLD) | SIGMASK(LINUX_SIGWINCH) | SIGMASK(LINUX_SIGURG))
#define SIG_CORES                                                                                  \
	(SIGMASK(LINUX_SIGQUIT) | SIGMASK(LINUX_SIGILL) | SIGMASK(LINUX_SIGTRAP) | SIGMASK(LINUX_SIGABRT) | \
	 SIGMASK(LINUX_SIGFPE) | SIGMASK(LINUX_SIGSEGV) | SIGMASK(LINUX_SIGBUS) | SIGMASK(LINUX_SIGSYS) | \
	 SIGMASK(LINUX_SIGXCPU) | SIGMASK(LINUX_SIGXFSZ))

struct user_count;

struct sigqueue {
	struct list node;
	struct linux_siginfo_head info;
	struct user_count *charged;	/* whose RLIMIT_SIGPENDING it counts against; NULL: owned by a POSIX timer */
	struct posix_timer *timer;	/* preallocated entry of a timer; not freed on delivery */
};

struct sigpending {
	uint64_t mask;			/* bit n-1: signal n is pending */
	struct list queue;		/* of sigqueue.node; a pending signal may have no entry (limit reached) */
};

struct sighand {
	struct refcount ref;
	struct mutex mu;
	struct linux_sigaction act[LINUX_NSIG]; /* guarded by mu */
};

struct task_signals {
	struct sigpending pending;
	struct ushared *sh;		/* the thread's shared page; NULL before the first run, in rehost and after exit */
	uint64_t mask_copy;		/* the mask while sh is NULL */
	uint64_t saved_mask;		/* sigsuspend & co: what the frame (or the return) restores */
	bool has_saved_mask;		/* own task only */
	uint64_t wait_set;		/* sigtimedwait is looking for these */
	uint64_t alt_sp, alt_size;	/* own task only */
	uint32_t alt_flags;
	bool exiting;			/* no longer a target */
	int pdeath_signal;
};

enum stop_flags {
	STOP_STOPPED = 1,	/* every thread has stopped */
	STOP_PENDING = 2,	/* threads are being stopped: nr_to_stop are left */
	STOP_NOTE_STOPPED = 4,	/* wait4(WUNTRACED) has not yet taken the stop */
	STOP_NOTE_CONTINUED = 8,
};

struct group_signals {
	struct sigpending shared;
	struct sighand *hand;		/* reference; changes only while the group has one thread */
	struct waitq wq;		/* signalfd, sigtimedwait: woken at each arrival */
	uint32_t stop;			/* enum stop_flags */
	uint32_t nr_to_stop;
	int stop_sig;
	struct waitq stop_wq;		/* stopped threads sleep here */
	bool unkillable;		/* init of a pid namespace: default actions do not end it */
};

long signals_alloc(struct task *t);		/* t->sig; -LINUX_ENOMEM */
void signals_free(struct task *t);
long group_signals_alloc(struct tgroup *g, struct sighand *hand /* reference moves */);
void group_signals_free(struct tgroup *g);
struct sighand *sighand_new(void);
struct sighand *sighand_dup(struct sighand *h);
struct sighand *sighand_get(struct sighand *h);
void sighand_put(struct sighand *h);
struct linux_sigaction sighand_action(struct sighand *h, int sig);

/* Makes @t's page the place of its mask (after uspace_new, fork, clone, rehost), and takes it away again. */
void signal_attach_page(struct task *t);
void signal_detach_page(struct task *t);

/* ---- sending ---- */

#define SEND_FORCED 1u	/* from the kernel or an outer pid namespace: an init is not spared from KILL and STOP */
#define SEND_FAULT  2u	/* synchronous: blocked or ignored turns into the default action */

/* Siginfo makers: who sends is the current task (SI_USER, SI_TKILL) or the kernel. */
void siginfo_user(struct linux_siginfo_head *si, int sig, int code);
void siginfo_kernel(struct linux_siginfo_head *si, int sig);
/* pid and uid of the info as the target sees them. */
void siginfo_translate(struct linux_siginfo_head *si, struct task *sender, struct tgroup *target);

/* All return 0 or -LINUX_EAGAIN (queue limit, only for rt signals with SI_QUEUE-like codes). No locks held. */
long signal_send_task(struct task *t, const struct linux_siginfo_head *si, uint32_t flags);
long signal_send_group(struct tgroup *g, const struct linux_siginfo_head *si, uint32_t flags);
long signal_send_group_locked(struct tgroup *g, const struct linux_siginfo_head *si, uint32_t flags); /* sig_mu is taken inside; tasks_mu held or not */
long signal_send_pgrp(struct pgrp *pg, const struct linux_siginfo_head *si, uint32_t flags);	/* takes tasks_mu */
long signal_send_pgrp_locked(struct pgrp *pg, const struct linux_siginfo_head *si, uint32_t flags); /* tasks_mu held */
/* The calling thread's own synchronous signal: cannot be ignored or blocked away. */
void signal_fault(struct task *t, const struct linux_siginfo_head *si);
/* Fatal for the calling task's group: SIGKILL or SIGSEGV from the kernel itself. */
void signal_force_fatal(struct task *t, int sig);
/* A timer's preallocated entry: 1 when it is queued already (the timer counts an overrun). */
int signal_send_timer(struct tgroup *g, struct task *t /* NULL: group */, struct sigqueue *q);
void signal_forget_timer(struct tgroup *g, struct sigqueue *q);

/* Starts the end of a whole group (exit_group, fatal signal): first status wins. No locks held. */
void group_exit_begin(struct tgroup *g, int status);
void group_exit_begin_locked(struct tgroup *g, int status) REQUIRES(g->sig_mu);

/* ---- receiving ---- */

uint64_t signal_mask(struct task *t);			/* blocked signals; sig_mu not needed for the own task */
void signal_set_mask(struct task *t, uint64_t mask);	/* own task; also re-evaluates what is deliverable */
uint64_t signal_pending_set(struct task *t);		/* sigpending(2) */
/* Takes a pending signal of @set; 0 none. Own group only. */
int signal_dequeue(struct task *t, uint64_t set, struct linux_siginfo_head *out);
bool signal_stop_count_locked(struct tgroup *g); /* a thread stops, or goes: true = the stop is complete, tell the parent */
bool signal_any_pending(struct task *t, uint64_t set);	/* for signalfd's poll */
/* Recomputes TW_SIGNAL and the kthread's interrupt mark. */
void signal_recalc_locked(struct task *t);
void signal_recalc(struct task *t);

/**
 * signal_deliver() - act on deliverable signals before the guest runs again
 * @t:		own task
 * @ret:	the call's value or restart code, or NULL when not in a system call
 *
 * Builds handler frames, stops, or begins the group's end. Sets the guest's registers when a frame was built or a call is restarted.
 * Return: true when registers were set (the caller must not set a result)
 */
bool signal_deliver(struct task *t, const long *ret);

long signal_sigreturn(struct task *t);	/* restores registers, mask and stack from the frame at rsp */
/* Builds the frame of @sig's handler and points @regs at it. -LINUX_EFAULT: the stack is bad. */
long signal_frame_push(struct task *t, const struct linux_siginfo_head *si, const struct linux_sigaction *act,
		       uint64_t mask, struct guest_regs *regs);
bool signal_on_altstack(struct task *t, uint64_t sp);

/* Stops: job control. signal_stop.c */
void signal_group_stop(struct task *t, int sig);	/* a stop signal was dequeued by @t */
void signal_do_stop(struct task *t);			/* TW_STOP: sleeps until continued or killed */
void signal_exec_reset(struct task *t);			/* handlers to default, altstack off; group has one thread */

/* After fork: the child has no pending signals, the same mask and alternate stack. */
void signal_fork(struct task *parent, struct task *child, uint64_t clone_flags);

/* siginfo for guests: 128 bytes. */
long siginfo_copyout(struct uthread *u, struct gptr dst, const struct linux_siginfo_head *si);

/* Internal to task/: pieces of the above for stops, ptrace and exit. */
void signal_wake_locked(struct task *t, bool kill);
void signal_notify_parent_locked(struct tgroup *g, int why);	/* tasks_mu held: SIGCHLD for CLD_STOPPED, CLD_CONTINUED */
void signal_flush_locked(struct sigpending *p);
void sigpending_remove(struct sigpending *p, uint64_t set);
void sigqueue_free(struct sigqueue *q);
void signal_publish_pending_locked(struct task *t);
int signal_dequeue_locked(struct task *t, uint64_t set, struct linux_siginfo_head *out);
void signal_retarget(struct task *t);				/* shared signals that @t will not take */

/* Per-user counts for RLIMIT_NPROC, RLIMIT_SIGPENDING, RLIMIT_MSGQUEUE. */
struct user_count {
	struct refcount ref;
	uint32_t uid;
	struct list node;
	_Atomic uint32_t nr_tasks, nr_sigpending;
	_Atomic uint64_t mq_bytes;
};
struct user_count *user_count_get(uint32_t kuid); /* found or made; NULL = no memory */
struct user_count *user_count_ref(struct user_count *c);
void user_count_put(struct user_count *c);

#endif
