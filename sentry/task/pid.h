/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/pid.h - process ids, pid namespaces, process groups, sessions
 *
 * Model:   a struct pid is an identity with one number per level of pid namespace. Tasks, process groups and sessions
 *          hang on it; its numbers are in use while any of the three does. pidfds and other holders keep references, which
 *          keep the memory but not the numbers.
 * Locks:   tasks_mu guards everything here that is not immutable.
 * Source:  pid_namespaces(7), credentials(7), setpgid(2), setsid(2), pidfd_open(2).
 */
#ifndef SENTRY_PID_H
#define SENTRY_PID_H

#include "sentry/abi/signal.h"
#include "sentry/cred/cred.h"
#include "sentry/run/run.h"

struct task;
struct tgroup;
struct pid_ns;
struct tty;

#define PID_LEVEL_MAX 32	/* nesting of pid namespaces, pid_namespaces(7) */
#define PID_MAX	      32768u	/* numbers are below; /proc/sys/kernel/pid_max */

struct pid {
	struct refcount ref;
	uint32_t level;			/* immutable: index of the deepest number */
	uint32_t users;			/* task, process group, session that use the numbers; guarded by tasks_mu */
	struct task *task;		/* thread with this id; guarded by tasks_mu */
	struct tgroup *tgroup;		/* process with this id; guarded by tasks_mu */
	struct pgrp *pgrp;		/* guarded by tasks_mu */
	struct session *session;	/* guarded by tasks_mu */
	struct waitq exit_wq;		/* pidfd poll: woken when the process has ended */
	struct {
		uint32_t nr;
		struct pid_ns *ns;	/* reference */
	} num[];			/* immutable */
};

struct pgrp {
	struct refcount ref;
	struct pid *pid;		/* reference; immutable */
	struct session *session;	/* reference; immutable */
	struct list members;		/* of tgroup.pgrp_node; guarded by tasks_mu */
	struct list session_node;	/* in session.pgrps; guarded by tasks_mu */
};

struct session {
	struct refcount ref;
	struct pid *pid;		/* reference; immutable */
	struct list pgrps;		/* guarded by tasks_mu */
	struct tgroup *leader;		/* guarded by tasks_mu; NULL once it has exited */
	struct tty *tty;		/* controlling terminal, borrowed: set and cleared by the tty layer under tasks_mu */
};

struct pid *pid_get(struct pid *p);
void pid_put(struct pid *p);
/* A pid with numbers in @ns and all its ancestors, one reference, no users yet. @wanted: NULL, or for each level from
 * the deepest outwards a number asked for (clone3 set_tid), @nr_wanted of them. -LINUX_EAGAIN none free, -LINUX_ENOMEM
 * namespace is dying or no memory, -LINUX_EEXIST, -LINUX_EINVAL. Takes tasks_mu. */
long pid_alloc(struct pid_ns *ns, const uint32_t *wanted, unsigned nr_wanted, struct pid **out);
void pid_use_locked(struct pid *p);
void pid_unuse_locked(struct pid *p);	/* the last one frees the numbers */
struct pid *pid_find_locked(struct pid_ns *ns, uint32_t nr);	/* borrowed, or NULL */
struct pid *pid_find(struct pid_ns *ns, uint32_t nr);		/* reference, or NULL */
uint32_t pid_nr(const struct pid *p, const struct pid_ns *ns);	/* 0 when it has no number there */
/* For /proc: the first process with number >= @from in @ns: its number and a reference to its leader, or 0. */
uint32_t pid_next_tgroup(struct pid_ns *ns, uint32_t from, struct task **out_leader);

struct pid_ns {
	struct refcount ref;
	struct pid_ns *parent;		/* reference; NULL for the outermost */
	struct user_ns *user_ns;	/* reference */
	uint32_t level;
	uint64_t ino;
	struct tgroup *reaper;		/* its init; guarded by tasks_mu; NULL before and after */
	bool dying;			/* init has ended: no new processes; guarded by tasks_mu */
	uint32_t nr_pids;		/* numbers in use; guarded by tasks_mu */
	uint32_t last;			/* guarded by tasks_mu */
	struct waitq empty_wq;		/* woken when nr_pids falls; init's exit waits */
	struct pid_leaf *leaf[PID_MAX / 512]; /* guarded by tasks_mu */
};

long pid_ns_new(struct pid_ns *parent, struct user_ns *user_ns, struct pid_ns **out); /* -LINUX_ENOSPC, -LINUX_ENOMEM */
struct pid_ns *pid_ns_get(struct pid_ns *ns);
void pid_ns_put(struct pid_ns *ns);
bool pid_ns_is_below(const struct pid_ns *ns, const struct pid_ns *ancestor); /* or the same */

/* ---- process groups and sessions: session.c ---- */

struct pgrp *pgrp_get(struct pgrp *g);
void pgrp_put(struct pgrp *g);
struct session *session_get(struct session *s);
void session_put(struct session *s);
/* First group and session of an init process; or joining the parent's at fork. Caller holds tasks_mu. */
long session_create_locked(struct tgroup *g, struct pid *pid);	/* -LINUX_ENOMEM */
void session_join_locked(struct tgroup *g, struct pgrp *to);
void session_leave_locked(struct tgroup *g);
long session_setsid(struct tgroup *g);				/* setsid(2): new session's id object 0, -LINUX_EPERM */
long session_setpgid(struct task *caller, uint32_t pid, uint32_t pgid); /* setpgid(2) */
/* No member has a parent in another group of the same session (setpgid(2), POSIX "orphaned process group"). */
bool pgrp_is_orphaned_locked(struct pgrp *g, const struct tgroup *ignored);
/* SIGHUP and SIGCONT to groups that became orphaned with stopped members, by the exit or move of @g. */
void pgrp_check_orphaned_locked(struct tgroup *g, struct tgroup *parent);
bool pgrp_has_stopped_locked(struct pgrp *g);

/* ---- controlling terminals: what the tty layer uses ---- */

/* Told when a session leader exits, so that the terminal forgets the session. Called without locks, may sleep. Set by the
 * tty layer. */
extern void (*tty_session_exit_hook)(struct tty *tty, struct session *s);
/* TIOCSCTTY: 0; -LINUX_EPERM when the caller is no leader without a terminal. @force also takes nothing away here: the
 * tty layer clears the other session first with session_clear_tty(). */
long session_set_tty(struct task *t, struct tty *tty);
void session_clear_tty(struct session *s);
struct tty *session_tty(struct task *t); /* of the caller's session; NULL none. Borrowed: tty layer keeps it alive */

#endif
