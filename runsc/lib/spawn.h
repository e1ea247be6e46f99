/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/spawn.h - starting the processes of a sandbox
 *
 * Model:   clone3(CLONE_VM) into new namespaces, a fixed list of named steps in the child, execveat of the runsc
 *          binary by descriptor. The child stops at a gate before it does anything: the caller writes id maps, records
 *          the pid in the state file, and opens the gate. Somebody killed meanwhile leaves no orphan: the
 *          gate's other end closes and the child exits.
 *          CLONE_VM: no copy of page tables, whatever the size of the caller. The child must therefore touch
 *          nothing but its own stack and make host calls without errno (base/hostcall.h).
 */
#ifndef RUNSC_LIB_SPAWN_H
#define RUNSC_LIB_SPAWN_H

#include <sys/types.h>

#include "base/err.h"
#include "base/util.h"

#define SPAWN_NOBODY	65534
/* Whether our user namespace has nobody: when it has a single id only (rootless), the Sentry's nobody is that one. */
bool spawn_has_nobody(void);
#define SPAWN_FDS_MAX	256
#define SPAWN_CG_MAX	16
#define SPAWN_NS_MAX	8

struct spawn_fd {
	int from, to; /* from -1: /dev/null */
};

struct spawn {
	const char *what;	      /* for errors: "sandbox", "gofer", ... */
	int exe_fd;
	char *const *argv, *const *envp;
	uint64_t clone_flags;	      /* CLONE_NEW*; with CLONE_NEWUSER the caller writes the maps (spawn_write_maps) */
	int pidns_fd;		      /* pidfd (or namespace file) whose pid namespace the child is born in (below it, with CLONE_NEWPID); -1 */
	int userns_fd;		      /* with pidns_fd: pidfd (or namespace file) whose user namespace it is born in, or below; -1 */
	bool own_userns;	      /* with userns_fd: below, in one of its own that SPAWN_NOBODY owns and is alone in */
	const int *ns_fds;	      /* namespace files it joins first */
	size_t nr_ns_fds;
	int cgroup_fd;		      /* cgroup v2 directory to be born in; -1 */
	const int *cgroup_task_fds;   /* open "tasks" files of v1 hierarchies */
	size_t nr_cgroup_task_fds;
	const struct spawn_fd *fds;
	size_t nr_fds;
	bool empty_root;	      /* own mount namespace holds one empty read-only tmpfs */
	bool ns_root;		      /* becomes root of the user namespace it is in, as far as that has one */
	bool nobody;		      /* ids SPAWN_NOBODY, no groups, no new privileges */
	bool keep_session;	      /* no setsid */
	bool ctty;		      /* descriptor 0 becomes the controlling terminal of the new session */
	bool no_gate;		      /* go at once */
	int pdeathsig;		      /* 0 = none */
	const char *chdir;
};

struct child {
	pid_t pid;
	int pidfd;
	int gate;	 /* write end; closing it without a byte ends the child */
	int err_fd;	 /* a struct spawn_report, or end of file when exec has happened */
	void *stack;
	const char *what;
};
#define CHILD_INIT { .pid = -1, .pidfd = -1, .gate = -1, .err_fd = -1 }

/* Clones; the child waits at its gate. argv and envp stay valid until spawn_finish(); the rest of @s is copied. */
int spawn_begin(const struct spawn *s, struct child *c, struct err *e);
/* Writes uid_map and gid_map texts of a CLONE_NEWUSER child. */
int spawn_write_maps(const struct child *c, const char *uid_map, const char *gid_map, struct err *e);
/* Lowers or raises oom_score_adj; a refusal (no CAP_SYS_RESOURCE) is only logged. */
void spawn_oom_score(const struct child *c, int adj);
int spawn_open_gate(struct child *c, struct err *e);
/* Waits until the child runs its program; the first failed step becomes the error. */
int spawn_finish(struct child *c, struct err *e);
/* Kills and reaps a child that is still wanted by nobody; frees @c. Safe on CHILD_INIT and after spawn_finish. */
void spawn_kill(struct child *c);
/* Closes what is left without touching the process. */
void spawn_release(struct child *c);

/* Reaps @pid if it is our child, waiting for it; others' children are waited for by @pidfd. */
void process_reap(pid_t pid, int pidfd);

#endif
