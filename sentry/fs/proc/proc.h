/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/proc.h - the proc file system: what boot and other layers tell it
 *
 * Model:   mounted by type "proc"; an instance shows one pid namespace: fs_mount_args.kernel_arg (struct pid_ns *), or, when
 *          that is NULL, the mounting task's. What belongs to layers that proc does not know comes through hooks.
 */
#ifndef SENTRY_PROC_H
#define SENTRY_PROC_H

#include "sentry/task/task.h"

/* Registers the file system. Once, at start. */
void proc_init(void);

/* The process whose directory @f is an open descriptor of, borrowed while @f is held; NULL: none. */
struct pid *proc_file_pid(const struct file *f);

/* Bytes: total, free, available. */
void proc_memory(uint64_t *out_total, uint64_t *out_free, uint64_t *out_available);
/* The number behind a setting below /proc/sys ("fs/nr_open"), -1 when there is none: for the layers that obey it. */
int64_t proc_sysctl_value(const char *path);
/* Load averages of 1, 5 and 15 minutes, times 2^11; decayed when somebody looks. */
void proc_loadavg(struct pid_ns *ns, uint64_t out[3], unsigned *out_running, unsigned *out_total);

/* Files below /proc/PID/net and settings below /proc/sys/net, from the socket layer. NULL: the directories are empty. */
struct proc_net_ops {
	/* Name of the n-th file, NULL at the end. */
	const char *(*file)(unsigned n);
	/* Its text in namespace @ns. 0 or -LINUX_E*. (sleeps) */
	long (*show)(unsigned n, struct net_ns_ref *ns, struct buf *out);
	/* Settings, see sentry/net/sysctl.h; paths without "net/". */
	const char *(*sysctl_path)(unsigned n);
	long (*sysctl_read)(struct net_ns_ref *ns, const char *path, char *out, size_t cap);
	long (*sysctl_write)(struct net_ns_ref *ns, const char *path, const char *text, size_t len);
};
extern const struct proc_net_ops *proc_net_ops;
void proc_net_init(void);	/* fills it; once, at start */

/* Who traces @t, by number in @ns, 0 nobody. NULL: nobody ever. */
extern uint32_t (*proc_tracer)(struct task *t, struct pid_ns *ns);
/* A limit of @ns, System V's or of POSIX message queues: name as below /proc/sys/kernel and fs/mqueue. Reads into @text (its length) or
 * writes. -LINUX_ENOENT: no such. (sleeps) */
long proc_ipc_limit(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap);
/* The message queues' part of that. NULL: none. */
extern long (*proc_mq_sysctl)(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap);

#endif
