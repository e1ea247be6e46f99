/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/container.h - a container as the library itself sees it; not for users of lifecycle.h
 */
#ifndef RUNSC_LIB_CONTAINER_H
#define RUNSC_LIB_CONTAINER_H

#include "runsc/lib/cgroup.h"
#include "runsc/lib/lifecycle.h"
#include "runsc/lib/spec.h"

/* A process that cannot be mistaken for a later one with the same number. */
struct proc_id {
	uint32_t pid;	/* 0 = none */
	uint64_t start;	/* field 22 of /proc/pid/stat, ticks since boot */
};

/* What state.json holds. Strings are owned. Once the container is created nothing of it changes but the status,
 * and that only by who holds the lock: threads share a struct lc_container, and borrow its strings. */
struct lc_state {
	char *sandbox_id, *bundle, *created;
	enum lc_status status;	/* as we wrote or first read it; what is true now: state_status() */
	struct proc_id sentry, gofer, zygote;
	struct cgroup cg;
	char *netns;		/* path that was given, "" none */
	char *cni_conf, *cni_bin, *cni_if; /* what `run` called and has to undo; NULL none */
	char *saved_net;	/* host addresses that cni/ took off, JSON; NULL none */
	uint32_t owner_uid;
};

struct lc_container {
	const struct lc_flags *flags;	/* borrowed */
	char *id;
	char *dir;			/* <root>/<id> */
	int dir_fd;
	struct lc_state st;
	bool creating;			/* lc_create() is at it: st is newer than the file */
	bool has_spec;
	struct oci_spec spec;
};

/* ---- directories and state (state.c) -------------------------------------------------------------- */

/* Makes <root>/<id>/ and locks it; EEXIST when taken. @out has no state yet. */
int container_dir_make(const struct lc_flags *f, const char *id, struct lc_container **out, int *out_lock,
		       struct err *e);
/* Opens <root>/<id>/; ENOENT. Does not read anything. */
int container_dir_open(const struct lc_flags *f, const char *id, struct lc_container **out, struct err *e);
/* A descriptor that holds the container's lock until closed; ENOENT when the container was deleted meanwhile. */
int container_lock(struct lc_container *c, struct err *e);
int state_save(struct lc_container *c, struct err *e);
int state_load(struct lc_container *c, struct err *e);
/* The status that the file tells now, as another process may have changed it. @c stays as it is, except that what was
 * read while it was still being created is read again whole (then no other thread may use @c). */
int state_status(struct lc_container *c, enum lc_status *out, struct err *e);
/* The spec that was saved at create; loaded at first use. */
const struct oci_spec *container_spec(struct lc_container *c, struct err *e);
/* The OCI state with runc's extras; the caller puts it. NULL with @e. (query.c) */
struct json_object *state_object(struct lc_container *c, struct err *e);
#define ROOTFS_MAX 8448
void state_rootfs(const struct lc_container *c, const struct oci_spec *s, char out[ROOTFS_MAX]); /* absolute */
/* Replaces a file of the directory, by rename. */
int dir_write(int dir_fd, const char *name, const char *text, size_t len, struct err *e);
/* Removes the directory with its files. */
int container_dir_remove(struct lc_container *c, struct err *e);
/* malloc'ed <root>/<id>[/<name>]; NULL when out of memory. */
char *container_path(const struct lc_flags *f, const char *id, const char *name);

/* ---- processes (proc.c) ------------------------------------------------------------------------------ */

struct proc_id proc_identify(pid_t pid);
bool proc_alive(struct proc_id p);	/* runs, and is no zombie */
/* Writes a pid file atomically. */
int pid_file_write(const char *path, pid_t pid, struct err *e);
int proc_pidfd(struct proc_id p);	/* -1 when it is gone or another */
/* SIGKILL, then waits until it is gone (at most @timeout_ms) and reaps it if it is ours. False when it lives on. */
bool proc_kill(struct proc_id p, int timeout_ms);

/* ---- steps of creation, shared by create.c and its helpers ------------------------------------------- */

/* The hooks of @kind with the state JSON on their stdin, in namespaces of @ns_pid (0 = ours). */
int hooks_run(struct lc_container *c, enum oci_hook_kind kind, pid_t ns_pid, struct err *e);

#endif
