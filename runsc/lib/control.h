/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/control.h - calls to a sandbox's Sentry
 *
 * Model:   a connection per call: a call may last for hours, and threads share nothing. connect(2) works as soon as
 *          the socket listens, which is before the Sentry runs: create sends its request at once and waits once.
 */
#ifndef RUNSC_LIB_CONTROL_H
#define RUNSC_LIB_CONTROL_H

#include "control.pb-c.h"
#include "runsc/lib/container.h"
#include "ttrpc.h"

#define PB(x)	     Runsc__Control__V1__##x
#define PB_INIT(x)   RUNSC__CONTROL__V1__##x##__INIT
#define PB_DESC(x)   (&runsc__control__v1__##x##__descriptor)
#define PB_ROLE(x)   RUNSC__CONTROL__V1__FD_ROLE__##x

#define CONTROL_SERVICE "runsc.control.v1.Sentry"

/* Binds and listens on <dir>/control.sock. Return: descriptor or -1. */
int control_listen(const struct lc_container *sandbox, struct err *e);
/* Connects to the socket of @c's sandbox. ESRCH when nobody listens any more. */
int control_connect(const struct lc_container *c, struct err *e);

/**
 * control_call() - one request, one answer
 * @sock:	a connected socket, moved
 * @resp:	descriptor of the expected answer; NULL = Empty
 * @out:	filled on success; the caller ends it with ttrpc_result_fini(). NULL = the answer does not matter
 *
 * Errors: e->code is ESRCH for NOT_FOUND and for a Sentry that is gone, EEXIST, EBUSY (wrong state), EINVAL, ENOSYS.
 */
int control_call(int sock, const char *method, const ProtobufCMessage *msg, const ProtobufCMessageDescriptor *resp,
		 const int *fds, size_t nr_fds, struct ttrpc_result *out, struct err *e);
/* Connects and calls. */
/* What a cgroup with these limits shows inside; @out borrows from @r. */
void request_resources(const struct oci_resources *r, PB(Resources) *out);
int control_do(const struct lc_container *c, const char *method, const ProtobufCMessage *msg,
	       const ProtobufCMessageDescriptor *resp, struct ttrpc_result *out, struct err *e);

/* ---- messages from the specification (request.c) ------------------------------------------------------ */

/* @d is the arena: the message lives as long as it does. Strings are borrowed from @p. */
PB(Process) *request_process(struct jdoc *d, const struct oci_process *p, struct err *e);

/* One bind mount as the gofer has to serve it: attach name i + 1. */
struct bind_source {
	const char *path;	/* absolute on the host */
	bool readonly, recursive, file, slave;
	const struct oci_mount *idmap; /* its owners are mapped as this says; NULL: as on disk */
	bool rec_idmap;		/* those of the mounts below, too */
	int tree;		/* while the gofer is launched: the mount, detached, when the gofer cannot make it; -1 */
};

struct request_plan {
	struct jdoc arena;
	struct bind_source *binds;
	size_t nr_binds;
	const char *rootfs;	/* absolute */
	int root_tree;		/* as bind_source.tree */
	bool root_readonly;
	bool root_served_readonly; /* nothing is ever written to it: the gofer may have it read-only */
	PB(CreateContainerRequest) msg;
	PB(Resources) resources; /* msg points at it */
};

/* @m with bind mounts of their own for the submounts of read-only recursive ones (submounts.c). @out: @m or in the arena @d. */
int mounts_expand(struct jdoc *d, const struct oci_mount *m, size_t n, const struct oci_mount **out, size_t *out_n, struct err *e);
/* Everything of @msg but descriptors. @pod: configuration of the sandbox that is joined, or NULL. @bundle is absolute. */
int request_plan(struct request_plan *r, const struct oci_spec *s, const struct oci_spec *pod, const struct lc_flags *f,
		 const char *id, const char *sandbox_id, const char *bundle, struct err *e);
void request_plan_fini(struct request_plan *r);
#define PASS_FDS_MAX 16
/* Appends descriptors with their roles; at most FDPASS_MAX. */
struct fd_list {
	int fd[32];
	PB(FdRole) role[32];
	size_t nr;
};
void fd_list_add(struct fd_list *l, PB(FdRole) role, int fd); /* -1 adds nothing */
void fd_list_stdio(struct fd_list *l, const int stdio[3], int console);
/* Also sets @p->passed_as: from @d. */
int fd_list_pass(struct fd_list *l, struct jdoc *d, PB(Process) *p, const int *fds, const int *as, size_t nr, struct err *e);

/* The error that runc's callers know for a program that cannot be run, from the errnos of the reply. */
int exec_error(struct err *e, const char *argv0, uint32_t exec_errno, uint32_t cwd_errno, const char *cwd);

#endif
