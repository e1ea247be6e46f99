/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/create.h - one creation in progress: what create.c and launch.c share
 */
#ifndef RUNSC_LIB_CREATE_H
#define RUNSC_LIB_CREATE_H

#include "runsc/lib/control.h"
#include "runsc/lib/spawn.h"

struct creation {
	struct lc_create_args *a;
	struct lc_flags flags;		/* with the annotations' overrides */
	struct lc_container *c;
	struct lc_container *sandbox;	/* the one that is joined; NULL when c starts a sandbox */
	char *bundle;			/* absolute */
	struct request_plan plan;
	bool planned;
	int lock, sandbox_lock;
	int exe;
	int listen, control;		/* listening and connected control sockets */
	int p9[2], init[2], zy[2];	/* [0] Sentry's end, [1] the process's */
	int ready[2];			/* gofer's start-sync: [0] ours */
	int sentry_ready[2];
	int console, console_master;
	int log;			/* the children's log */
	int user_log;			/* the Sentry's for the user; -1 */
	struct child sentry, gofer, zygote;
	struct ttrpc_result reply;
};

/* Clones the three processes, each waiting at its gate, into their cgroup (launch.c). */
int launch_sentry(struct creation *x, struct err *e);
int launch_gofer(struct creation *x, struct err *e);
int launch_zygote(struct creation *x, struct err *e);
/* Opens the gates once everything is on disk. */
int launch_release(struct creation *x, struct err *e);
/* Makes the error of a failed creation better: why a child ended, if one did. */
void launch_diagnose(struct creation *x, struct err *e);
/* The binary for all of them. */
int open_runsc(const struct lc_flags *f, struct err *e);
/* The log that children write: --debug-log, else nothing. */
int open_child_log(const struct lc_flags *f, const char *id, struct err *e);
/* The Sentry's log for the user. *@out is -1 when none is wanted. Return: 0, or -1 with @e */
int open_user_log(const struct creation *x, int *out, struct err *e);

/* Moves host addresses of the container's network namespace into the Sentry (net.c). */
int network_setup(struct creation *x, struct err *e);
void network_undo(struct lc_container *c);

#endif
