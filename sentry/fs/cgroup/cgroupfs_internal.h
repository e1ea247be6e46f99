/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/cgroupfs_internal.h - rows, and what the files of this folder share
 *
 * Model:   each file of a group is a row; a row is there when its controller is. Content is made when it is read and kept with the open
 *          file, so that one pass over a file sees one state.
 */
#ifndef SENTRY_CGROUPFS_INTERNAL_H
#define SENTRY_CGROUPFS_INTERNAL_H

#include "sentry/fs/cgroup/cgroupfs.h"
#include "sentry/task/container.h"
#include "sentry/task/task_cgroup.h"
#include "sentry/vfs/simple_xattr.h"

#define CGROUP_TEXT_MAX	 (1u << 20)	/* bytes of one file: all processes of a sandbox */
#define CGROUP_WRITE_MAX PAGE_SIZE
#define CGROUP_BASE	 CGC_COUNT	/* cg_row.ctl of files that every group has */

/* For the length of one operation. */
struct cg_ctx {
	struct cgroup *cg;
	struct container *c;		/* whose tree it is in: reference; NULL once it is gone */
	struct cgroup *view;		/* root of the namespace in which the file was opened; borrowed */
	const struct cred *cred;	/* the opener's; borrowed */
	const struct cg_row *row;
};

struct cg_row {
	const char *name;
	uint32_t ctl;			/* enum cgroup_controller, or CGROUP_BASE */
	uint32_t flags;			/* CGR_* */
	long (*show)(const struct cg_ctx *x, struct buf *out);	/* NULL: written only */
	long (*store)(const struct cg_ctx *x, char *text);	/* NULL: read only. @text is the writer's copy, trimmed */
	size_t off;			/* of the word in struct cgroup_knobs, for rows that are no more than that */
	const char *text;		/* what never changes */
};
#define CGR_DELEGATED 1u	/* may be written at the root of the namespace too: "Delegation" */
#define CGR_EVENTS    2u	/* cgroup.events: can be waited for */

extern const struct cg_row cg_rows[];
extern const size_t cg_nr_rows;
#define CG_ROWS_MAX 64

/* core.c: the files that every group has. */
#define CG_FILE(n) long cg_show_##n(const struct cg_ctx *x, struct buf *out), cg_store_##n(const struct cg_ctx *x, char *text)
CG_FILE(controllers); CG_FILE(events); CG_FILE(freeze); CG_FILE(kill); CG_FILE(max_depth); CG_FILE(max_descendants);
CG_FILE(procs); CG_FILE(stat); CG_FILE(subtree_control); CG_FILE(threads); CG_FILE(type); CG_FILE(cpu_stat); CG_FILE(text);

/* control.c: those of the controllers. */
CG_FILE(bytes); CG_FILE(flag); CG_FILE(cpu_max); CG_FILE(cpu_burst); CG_FILE(cpu_weight); CG_FILE(cpu_nice); CG_FILE(io_weight);
CG_FILE(cpus); CG_FILE(cpus_effective); CG_FILE(partition); CG_FILE(mems);
CG_FILE(memory_current); CG_FILE(memory_peak); CG_FILE(memory_stat);
CG_FILE(pids_max); CG_FILE(pids_current); CG_FILE(pids_peak); CG_FILE(pids_events);

/* A number in decimal that is all of @s. False: it is none, or above @max. */
bool cg_parse(const char *s, uint64_t max, uint64_t *out);
/* The same, or "max". */
bool cg_parse_max(const char *s, uint64_t max, uint64_t *out);
void cg_put_max(struct buf *out, uint64_t v);

/* An inode of this file system. */
struct cg_node {
	struct cgroup *cg;		/* reference */
	const struct cg_row *row;	/* NULL: the directory */
	struct simple_xattrs xattrs;
};

static inline struct cg_node *cg_node_of(const struct inode *i)
{
	return i->priv;
}

extern const struct file_ops cg_file_fops, cg_events_fops; /* file.c */

/* cgroupfs.c: the inode of "cgroup.procs" of @cg, by whose mode rights are decided: reference, or NULL without memory. */
struct inode *cg_procs_inode(struct cgroup *cg);
/* May who opened a file as @cred, looking from @view, move a process from @from to @to? 0, -LINUX_EACCES, -LINUX_ENOENT */
long cg_may_move(struct cgroup *from, struct cgroup *to, struct cgroup *view, const struct cred *cred);

#endif
