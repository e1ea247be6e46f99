/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/container.h - containers: what the control server (boot/) asks of the kernel
 *
 * Model:   a sandbox holds one or more containers. Each has its zygote, its root file system, its pid namespace (or a shared
 *          one), its init group. These functions run on kthreads of the control server.
 */
#ifndef SENTRY_CONTAINER_H
#define SENTRY_CONTAINER_H

#include "sentry/task/task.h"

#define CONTAINER_ID_MAX 256

#define CONTAINER_NO_LIMIT UINT64_MAX
#define CONTAINER_CPUS_MAX 128

/* Limits of the host's cgroup, which only shows them here: set at creation, changed by each update. */
struct container_limits {
	_Atomic uint64_t memory_max, swap_max, pids_max; /* bytes, count; CONTAINER_NO_LIMIT */
	_Atomic uint64_t memory_low;		/* bytes; 0 none */
	_Atomic uint64_t cpu_quota_us;		/* CONTAINER_NO_LIMIT */
	_Atomic uint64_t cpu_period_us, cpu_shares; /* 0: the default */
	struct mutex mu;			/* leaf */
	char cpus[CONTAINER_CPUS_MAX];		/* list as in the configuration, "" none; guarded by mu */
};

struct container {
	struct list node;		/* guarded by containers_mu */
	char id[CONTAINER_ID_MAX];
	struct refcount ref;
	struct uzygote *zygote;
	struct pid_ns *pid_ns;		/* reference */
	struct nsproxy *ns;		/* what its init and execs start with */
	struct fs_struct *fs;		/* root and cwd template */
	struct cred *cred;		/* full rights in the container's user namespace; reference */
	struct cgroup *cgroup;		/* the root of its cgroup namespace; reference; immutable */
	struct tgroup *init;		/* guarded by tasks_mu; NULL before creation and after the end */
	struct list groups;		/* of tgroup.container_node; guarded by tasks_mu */
	struct list procs;		/* of exec_process.node: init and execs, the ended ones too; guarded by tasks_mu */
	uint32_t nr_ended;		/* guarded by tasks_mu */
	struct waitq exit_waitq;	/* woken when any of procs, or the last of groups, ends */
	struct waitq pause_wq;		/* paused tasks sleep here, and who waits for them to stop */
	_Atomic bool started, exited;	/* init was let go; has ended */
	_Atomic bool paused;		/* written under tasks_mu */
	_Atomic bool zygote_ref;	/* boot/: a reference is held for the news of the zygote's end */
	struct container_limits limits;
	struct budget *budget;		/* immutable; what it may make the Sentry hold */
	int exit_status;		/* wait status, valid when exited */
	bool oom_killed;
	uint64_t calls[TASK_CALLS_MAX];	/* of tasks that have ended; guarded by calls_mu (task_calls.c) */
};

/* How to start a process: the container's init or an exec. Borrowed by the call. */
struct process_args {
	const char *program;	/* NULL = argv[0] */
	const char *const *argv, *const *envp;
	const char *cwd;
	uint32_t uid, gid, umask;
	bool set_umask;
	const uint32_t *groups;
	uint32_t nr_groups;
	uint64_t caps[5];	/* inheritable, permitted, effective, bounding, ambient */
	bool no_new_privs, terminal;
	uint16_t rows, cols;	/* of the terminal, 0 = leave */
	const struct rlimit64 *rlimits; /* RLIM_COUNT entries, .max = 0 && .cur = 0 and bit unset = default */
	uint32_t rlimit_mask;
	int oom_score_adj;
	int nice, sched_policy, sched_priority;
	const struct linux_sock_filter *seccomp; /* a checked filter that it starts with, NULL none */
	unsigned seccomp_len;
	int stdio[3];		/* host descriptors, -1 = /dev/null; ownership moves */
	const int *pass, *pass_as; /* further ones and their numbers inside, from 3 on; ownership moves */
	unsigned nr_pass;
	bool *stdio_taken;	/* set when the ownership of all of them has moved, also by a call that fails later */
	int chan;		/* keeper's or gofer's init channel, -1 none; ownership moves */
	long *cwd_error;	/* set when it is cwd that the error is about; may be NULL */
	const char *exec_id;	/* NULL or "" for init */
};

/* What a container is made of: references move in on success. */
struct container_config {
	const char *id;
	struct nsproxy *ns;
	struct pid_ns *pid_ns;
	struct fs_struct *fs;	/* root and cwd "/" */
	struct cred *cred;	/* full rights in the container's user namespace: processes' credentials derive from it */
	struct cgroup *cgroup;	/* its own, which goes with it */
	uint64_t memory_limit;	/* bytes of its cgroup, 0 = none */
};
/* A container without processes; ->zygote is NULL until the caller sets it (before container_create_init()).
 * -LINUX_EEXIST, -LINUX_ENOMEM. One reference for the caller, one for the list until container_destroy(). */
long container_new(const struct container_config *cfg, struct container **out);
/* The zygote is gone: every process of @c is dead. Any host thread. */
void container_zygote_died(struct container *c);

struct container *container_find(const char *id);	/* reference or NULL */
struct container *container_get(struct container *c);
/* The next container of the list after @prev (NULL: first), with a reference; drops @prev's. */
struct container *container_next(struct container *prev);
/* The terminal of init ("") or an exec: borrowed, NULL none; for ResizeTty. */
struct tty *container_tty(struct container *c, const char *exec_id);
void container_put(struct container *c);

/* Makes the init process up to the point where execve would be its first step: errors of the program lookup are found here
 * and reported with runc's texts by the caller. Return: 0 or -LINUX_E*. (sleeps) */
long container_create_init(struct container *c, const struct process_args *a);
long container_start(struct container *c);
long container_exec(struct container *c, const struct process_args *a, uint32_t *out_pid);
/* How a process ended. */
struct process_end {
	int status;	/* as wait(2) gives it */
	uint64_t at_ns;	/* CLOCK_REALTIME */
};
/* Sleeps until the process has ended: init (@exec_id "" and @pid 0), an exec (remembered after its end), or any process by its pid in
 * the container's namespace. -LINUX_ESRCH when never known. Several may wait. */
long container_wait_process(struct container *c, const char *exec_id, uint32_t pid, struct process_end *out);
/* @pid < -1: that process group; @all: every process; @foreground: the foreground group of the process's terminal. */
long container_signal_process(struct container *c, const char *exec_id, int32_t pid, int sig, bool all, bool foreground);
long container_pause(struct container *c);	/* returns when no guest code of it runs any more */
long container_resume(struct container *c);
/* Ends everything in it and frees its mounts. */
long container_destroy(struct container *c);

struct proc_info {
	uint32_t pid, ppid, uid, tid_count;
	int host_pid;		/* in the Sentry's pid namespace */
	uint64_t utime_ns, stime_ns, start_ns;
	char state, comm[16];
	char cmd[256];
	char exec_id[64];
	char tty[16];		/* "pts/0", "" none */
};

/* ---- filled in by fs/ and boot/ -------------------------------------------------------------------------- */

#define PROCESS_FDS_MAX	 32	/* what a process may start with: stdio and passed ones */
#define PROCESS_FD_LIMIT 65536	/* and the number above all that they get */

/* Makes the open files 0, 1, 2 and @a->nr_pass further ones of a new process from host descriptors (-1 = /dev/null), whose ownership moves. With
 * @a->terminal they are one console, which becomes @t's controlling terminal (session_set_tty(); @t leads its session).
 * Called before @t runs. 0 or -LINUX_E*. (sleeps) */
extern long (*process_stdio_hook)(struct container *c, struct task *t, const struct process_args *a, struct file **out);
/* Foreground group of a session's terminal: a reference, or NULL. tasks_mu held, which keeps the terminal. */
extern struct pgrp *(*tty_foreground_hook)(struct tty *tty);
/* The host's side of the terminal of @g has another size. Runs on the reactor. */
extern void (*console_resized_hook)(struct tgroup *g);
/* "pts/0" for ps. */
extern void (*tty_name_hook)(struct tty *tty, char out[16]);

/* How often each call was made in @c, by number. */
void container_calls(struct container *c, uint64_t out[TASK_CALLS_MAX]);

/* Calls @fn for each process of @c. */
void container_processes(struct container *c, void (*fn)(const struct proc_info *p, void *arg), void *arg);

#endif
