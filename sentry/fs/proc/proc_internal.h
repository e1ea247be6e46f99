/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/proc_internal.h - rows, nodes, and what the files of proc/ share
 *
 * Model:   each name in /proc is a row (struct proc_entry): how to show, store or follow it. A node (an inode's private data) is a
 *          row applied to something: a process or thread (struct pid), a number. Nodes hold pids, not tasks: an open
 *          /proc/PID/file of a process that is gone answers ESRCH.
 * Locks:   an operation takes a reference to the task first; no lock of proc/ is held while text is made.
 */
#ifndef SENTRY_PROC_INTERNAL_H
#define SENTRY_PROC_INTERNAL_H

#include "sentry/fs/proc/proc.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

#define PROC_SUPER_MAGIC 0x9fa0
#define PROC_TEXT_MAX	 (256u << 20) /* bytes of one generated file */
#define PROC_WRITE_MAX	 PAGE_SIZE
#define PROC_LINK_MAX	 4096

#define PROC_USER_HZ	 100	      /* ticks per second of times in files: sysconf(_SC_CLK_TCK) */

static inline uint64_t to_pages(uint64_t bytes)
{
	return bytes / PAGE_SIZE;
}
static inline uint64_t to_ticks(uint64_t ns)
{
	return ns / (NSEC_PER_SEC / PROC_USER_HZ);
}
static inline uint64_t to_seconds(uint64_t ns)
{
	return ns / NSEC_PER_SEC;
}

struct proc_entry;

struct proc_node {
	const struct proc_entry *entry;
	struct pid *pid;	/* reference; NULL outside of /proc/PID */
	bool thread;		/* below /proc/PID/task/TID: this thread, not the process */
	uint64_t arg;		/* descriptor, namespace kind, sysctl prefix ... */
	const char *name;	/* sysctl: path so far; static or owned by a table */
};

/* For the length of one operation. */
struct proc_ctx {
	struct super_block *sb;
	struct pid_ns *ns;		/* the instance's; borrowed */
	const struct proc_node *node;
	struct task *task;		/* reference, NULL outside of /proc/PID */
	const struct cred *cred;	/* the opener's or caller's; borrowed; may be NULL for kernel users */
	struct user_ns *user_ns;	/* in whose terms ids are shown; borrowed */
};

/* Room for readdir. */
struct proc_emit {
	struct dir_emit *e;
	uint64_t *pos;
	const struct proc_ctx *c;
};

struct proc_dir {
	const struct proc_entry *rows;
	size_t nr;
	/* A name that is no row: fills @out (references move). -LINUX_ENOENT. */
	long (*lookup)(const struct proc_ctx *c, const char *name, struct proc_node *out);
	/* Names that are no rows, from position *pe->pos on (rows end below PROC_DYN_POS). */
	long (*iterate)(const struct proc_ctx *c, struct proc_emit *pe);
	/* Whether what @n stands for still exists; NULL: while its pid does. */
	bool (*alive)(const struct proc_ctx *c, const struct proc_node *n);
};

/* Positions of dynamic names begin here. */
#define PROC_DYN_POS 4096

#define PE_PTRACE    1u	/* opening and following wants ptrace read access to the task */
#define PE_NOT_THREAD 2u /* only in /proc/PID */
#define PE_THREAD    4u	/* only in /proc/PID/task/TID */
#define PE_ROOT_OWNED 8u /* belongs to root whatever the task's ids */
#define PE_HIDDEN    16u /* looked up but not listed (rows used by dynamic names) */

struct proc_entry {
	const char *name;
	uint32_t mode;		/* with the type */
	uint32_t flags;		/* PE_* */
	long (*show)(const struct proc_ctx *c, struct buf *out);
	/* @text is NUL-terminated, its last newline still there; all of one write(2). 0 or -LINUX_E*. */
	long (*store)(const struct proc_ctx *c, char *text, size_t len);
	/* Of an open text; NULL: none. -LINUX_ENOTTY for those it does not know. */
	long (*ioctl)(const struct proc_ctx *c, struct uthread *u, uint32_t cmd, uint64_t arg);
	long (*link)(const struct proc_ctx *c, struct path *out);	/* magic link */
	long (*text)(const struct proc_ctx *c, char *out, size_t cap);	/* link text; NULL: that of link()'s path */
	const struct proc_dir *dir;
	const struct file_ops *fops;	/* instead of show and store */
	uint32_t (*mode_fn)(const struct proc_ctx *c);			/* a mode that depends on the task */
};

/* ---- sb.c ---- */
struct inode *proc_inode(const struct proc_ctx *c, const struct proc_node *n);	/* takes over n->pid; NULL = no memory */
static inline struct proc_node *proc_node_of(const struct inode *i)
{
	return i->priv;
}
/* Fills @c for @i; -LINUX_ESRCH when its process is gone. proc_ctx_put() after success. */
long proc_ctx_get(struct proc_ctx *c, const struct inode *i, const struct cred *cred);
void proc_ctx_put(struct proc_ctx *c);
struct task *proc_task_of(struct pid *pid, bool thread);	/* reference or NULL */
bool proc_pid_alive(struct pid *pid, bool thread);
void proc_set_owner(struct inode *i, const struct proc_node *n);
uint64_t proc_ino(const struct proc_entry *e, const struct pid *pid, uint64_t arg);
long proc_check_access(const struct proc_ctx *c, bool attach);	/* 0 or -LINUX_EACCES */
/* The pid namespace of the current task, or the instance's. */
struct task *proc_reader(void);

/* ---- dir.c, file.c ---- */
extern const struct inode_ops proc_dir_iops, proc_file_iops, proc_link_iops, proc_magic_iops, proc_fd_dir_iops;
extern const struct file_ops proc_dir_fops, proc_text_fops;
/* What an open text file keeps (file.priv). */
struct proc_text {
	struct sleeplock lock;
	struct buf buf;			/* guarded by lock */
	bool made;			/* guarded by lock */
	void *hold;			/* something of the row's that lives as long as the open file; NULL none */
	void (*hold_put)(void *hold);
};
bool proc_emit_name(struct proc_emit *pe, const char *name, uint8_t type, uint64_t ino, uint64_t next_pos);
/* Decimal without sign or leading zeros; false for anything else. */
bool proc_parse_nr(const char *s, uint64_t max, uint64_t *out);
/* Numbers in what was written: strips white space at the end; -LINUX_EINVAL. */
long proc_store_long(char *text, long min, long max, long *out);

/* ---- tables ---- */
extern const struct proc_dir proc_root_dir, proc_pid_dir, proc_tid_dir, proc_task_dir, proc_fd_dir, proc_fdinfo_dir, proc_ns_dir,
	proc_net_dir, proc_attr_dir, proc_sys_dir, proc_sysvipc_dir, proc_empty_dir, proc_gvisor_dir;
extern const struct proc_entry proc_root_entry, proc_pid_entry, proc_tid_entry;

long proc_ioctl_maps(const struct proc_ctx *c, struct uthread *u, uint32_t cmd, uint64_t arg);
#define PROC_SHOW(n) long proc_show_##n(const struct proc_ctx *c, struct buf *out)
#define PROC_STORE(n) long proc_store_##n(const struct proc_ctx *c, char *text, size_t len)
#define PROC_LINK(n) long proc_link_##n(const struct proc_ctx *c, struct path *out)

/* root files */
PROC_SHOW(interrupts); PROC_SHOW(softirqs); PROC_SHOW(pressure);
PROC_SHOW(cpuinfo); PROC_SHOW(stat_all); PROC_SHOW(meminfo); PROC_SHOW(vmstat); PROC_SHOW(zoneinfo); PROC_SHOW(loadavg);
PROC_SHOW(uptime); PROC_SHOW(locks);
/* files of a process */
PROC_SHOW(stat); PROC_SHOW(statm); PROC_SHOW(status); PROC_SHOW(maps); PROC_SHOW(smaps); PROC_SHOW(smaps_rollup); PROC_SHOW(numa_maps);
PROC_SHOW(cmdline); PROC_SHOW(environ); PROC_SHOW(auxv); PROC_SHOW(limits); PROC_SHOW(io); PROC_SHOW(comm); PROC_STORE(comm);
PROC_SHOW(oom_adj); PROC_STORE(oom_adj); PROC_SHOW(oom_score); PROC_SHOW(oom_score_adj); PROC_STORE(oom_score_adj);
PROC_SHOW(uid_map); PROC_STORE(uid_map); PROC_SHOW(gid_map); PROC_STORE(gid_map); PROC_SHOW(projid_map); PROC_SHOW(setgroups);
PROC_STORE(setgroups); PROC_SHOW(cgroup); PROC_SHOW(cpuset); PROC_SHOW(sched); PROC_SHOW(schedstat); PROC_SHOW(wchan); PROC_SHOW(syscall);
PROC_SHOW(personality); PROC_SHOW(timers); PROC_SHOW(timerslack); PROC_STORE(timerslack); PROC_SHOW(children); PROC_SHOW(stack);
PROC_SHOW(mounts); PROC_SHOW(mountinfo); PROC_SHOW(mountstats); PROC_SHOW(loginuid); PROC_STORE(loginuid); PROC_SHOW(sessionid);
PROC_SHOW(coredump_filter); PROC_STORE(coredump_filter); PROC_STORE(clear_refs); PROC_SHOW(fdinfo);
PROC_LINK(exe); PROC_LINK(cwd); PROC_LINK(root); PROC_LINK(fd); PROC_LINK(ns);
long proc_text_ns(const struct proc_ctx *c, char *out, size_t cap);
/* Ignored and caught signals of the task's group. */
void proc_signal_sets(struct task *t, uint64_t *out_ign, uint64_t *out_caught);
uint32_t proc_tracer_nr(struct task *t, struct pid_ns *ns);	/* 0 = not traced */
uint32_t proc_fd_mode(const struct proc_ctx *c);
extern const struct file_ops proc_mem_fops, proc_pagemap_fops, proc_mounts_fops;

#endif
