/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup.h - host cgroups of a container: v1, v2; cgroupfs and systemd drivers
 *
 * Model:   cgroup_plan() computes which directories there will be, from the spec's cgroupsPath, without
 *          touching anything, so that they stand in state.json before the first is made; cgroup_create() makes
 *          them, remembering which levels are new; cgroup_remove() undoes just that.
 * Source:  runtime-spec config-linux.md "Control groups", kernel cgroup-v1/, cgroup-v2.rst.
 */
#ifndef RUNSC_LIB_CGROUP_H
#define RUNSC_LIB_CGROUP_H

#include <sys/types.h>

#include "runsc/lib/lifecycle.h"
#include "runsc/lib/spec.h"

#define CGROUP_DIRS_MAX 16

enum cgroup_version { CG_NONE, CG_V1, CG_V2 };

struct cgroup_dir {
	char name[32]; /* v1: one controller of the hierarchy ("cpu"), or "name=systemd"; v2: "" */
	char *path;    /* absolute */
	char *mount;   /* mount point of the hierarchy: nothing at or above it is ever removed */
};

struct cgroup {
	enum cgroup_version version;
	char *unit;	/* systemd scope, NULL with the cgroupfs driver */
	char *slice;
	struct cgroup_dir dirs[CGROUP_DIRS_MAX];
	size_t nr_dirs;
};

/* @cgroups_path: the spec's, may be NULL; "slice:prefix:name" with @systemd. */
int cgroup_plan(struct cgroup *g, const char *cgroups_path, const char *id, bool systemd, struct err *e);
void cgroup_fini(struct cgroup *g);
int cgroup_create(const struct cgroup *g, pid_t first, struct err *e);
/* Writes limits; keys whose value is absent stay. */
int cgroup_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e);
/* v1: open "tasks" files, at most CGROUP_DIRS_MAX. Return: how many, -1 with @e. */
int cgroup_open_tasks(const struct cgroup *g, int *fds, struct err *e);
/* v2: the directory for CLONE_INTO_CGROUP; -1 when not v2 (no error) or it cannot be opened (error). */
int cgroup_open_v2(const struct cgroup *g, struct err *e);
const char *cgroup_dir_of(const struct cgroup *g, const char *v1_controller); /* NULL none */
/* Every pid in it and below, malloc'ed. */
int cgroup_pids(const struct cgroup *g, pid_t **out, size_t *nr, struct err *e);
/* SIGKILL to everything in it and below. */
void cgroup_kill(const struct cgroup *g);
/* Removes the directories; waits a little for processes that are just dying. */
int cgroup_remove(const struct cgroup *g, struct err *e);
void cgroup_stats(const struct cgroup *g, struct lc_stats *out);

/* Host pieces found once per call (cgroup_mounts.c). */
struct cgroup_mount {
	char *point, *root; /* mount point; the hierarchy's directory that is mounted there */
	char names[160];    /* super block options of v1 ("rw,cpu,cpuacct"), "" for v2 */
	bool v2;
};
int cgroup_mounts_read(struct cgroup_mount *out, size_t cap, size_t *nr, struct err *e);
void cgroup_mounts_free(struct cgroup_mount *m, size_t nr);

/* The two drivers' halves. */
int cgroup_v1_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e);
int cgroup_v2_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e);
void cgroup_v1_stats(const struct cgroup *g, struct lc_stats *out);
void cgroup_v2_stats(const struct cgroup *g, struct lc_stats *out);
int cgroup_v2_enable(const struct cgroup_dir *d, struct err *e);
int systemd_scope_start(const struct cgroup *g, pid_t pid, struct err *e);
void systemd_scope_stop(const struct cgroup *g);
int systemd_plan(struct cgroup *g, const char *cgroups_path, const char *id, char **out_path, struct err *e);

/* One control file: writes @text; ENOENT of a file that this kernel lacks is the caller's to judge (errno kept). */
int cgroup_write(const char *dir, const char *file, const char *text);
/* A number in a control file ("max" = UINT64_MAX); @fallback when it cannot be read. */
uint64_t cgroup_read_u64(const char *dir, const char *file, uint64_t fallback);
/* The value behind @key in a "key value" file; @fallback when absent. */
uint64_t cgroup_read_key(const char *dir, const char *file, const char *key, uint64_t fallback);

#endif
