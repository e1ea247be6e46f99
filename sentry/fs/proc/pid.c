/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid.c - the rows of /proc/PID and /proc/PID/task/TID, and the list of threads
 *
 * Source:  proc_pid(5) and the pages of the single files.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <stdio.h>

#define DIR  (LINUX_S_IFDIR | 0555)
#define LNK  (LINUX_S_IFLNK | 0777)
#define R	 (LINUX_S_IFREG | 0444)
#define RW	 (LINUX_S_IFREG | 0644)
#define R_OWN	 (LINUX_S_IFREG | 0400)
#define W_OWN	 (LINUX_S_IFREG | 0200)

/* One table for both; flags say where a row is missing. In the order in which Linux lists them. */
static const struct proc_entry rows[] = {
	{ .name = "task", .mode = DIR, .flags = PE_NOT_THREAD, .dir = &proc_task_dir },
	{ .name = "fd", .mode = LINUX_S_IFDIR | 0500, .dir = &proc_fd_dir },
	{ .name = "fdinfo", .mode = DIR, .dir = &proc_fdinfo_dir },
	{ .name = "ns", .mode = LINUX_S_IFDIR | 0511, .dir = &proc_ns_dir },
	{ .name = "net", .mode = DIR, .dir = &proc_net_dir },
	{ .name = "environ", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_environ },
	{ .name = "auxv", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_auxv },
	{ .name = "status", .mode = R, .show = proc_show_status },
	{ .name = "personality", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_personality },
	{ .name = "limits", .mode = R, .show = proc_show_limits },
	{ .name = "sched", .mode = RW, .show = proc_show_sched },
	{ .name = "comm", .mode = RW, .show = proc_show_comm, .store = proc_store_comm },
	{ .name = "syscall", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_syscall },
	{ .name = "cmdline", .mode = R, .show = proc_show_cmdline },
	{ .name = "stat", .mode = R, .show = proc_show_stat },
	{ .name = "statm", .mode = R, .show = proc_show_statm },
	{ .name = "maps", .mode = R, .flags = PE_PTRACE, .show = proc_show_maps, .ioctl = proc_ioctl_maps },
	{ .name = "children", .mode = R, .flags = PE_THREAD, .show = proc_show_children },
	{ .name = "numa_maps", .mode = R, .flags = PE_PTRACE, .show = proc_show_numa_maps },
	{ .name = "mem", .mode = LINUX_S_IFREG | 0600, .fops = &proc_mem_fops },
	{ .name = "cwd", .mode = LNK, .flags = PE_PTRACE, .link = proc_link_cwd },
	{ .name = "root", .mode = LNK, .flags = PE_PTRACE, .link = proc_link_root },
	{ .name = "exe", .mode = LNK, .flags = PE_PTRACE, .link = proc_link_exe },
	{ .name = "mounts", .mode = R, .show = proc_show_mounts, .fops = &proc_mounts_fops },
	{ .name = "mountinfo", .mode = R, .show = proc_show_mountinfo, .fops = &proc_mounts_fops },
	{ .name = "mountstats", .mode = R_OWN, .flags = PE_NOT_THREAD, .show = proc_show_mountstats },
	{ .name = "clear_refs", .mode = W_OWN, .store = proc_store_clear_refs },
	{ .name = "smaps", .mode = R, .flags = PE_PTRACE, .show = proc_show_smaps },
	{ .name = "smaps_rollup", .mode = R, .flags = PE_PTRACE | PE_NOT_THREAD, .show = proc_show_smaps_rollup },
	{ .name = "pagemap", .mode = R_OWN, .fops = &proc_pagemap_fops },
	{ .name = "attr", .mode = DIR, .dir = &proc_attr_dir },
	{ .name = "wchan", .mode = R, .show = proc_show_wchan },
	{ .name = "stack", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_stack },
	{ .name = "schedstat", .mode = R, .show = proc_show_schedstat },
	{ .name = "cgroup", .mode = R, .show = proc_show_cgroup },
	{ .name = "cpuset", .mode = R, .show = proc_show_cpuset },
	{ .name = "oom_score", .mode = R, .show = proc_show_oom_score },
	{ .name = "oom_adj", .mode = RW, .show = proc_show_oom_adj, .store = proc_store_oom_adj },
	{ .name = "oom_score_adj", .mode = RW, .show = proc_show_oom_score_adj, .store = proc_store_oom_score_adj },
	{ .name = "loginuid", .mode = RW, .show = proc_show_loginuid, .store = proc_store_loginuid },
	{ .name = "sessionid", .mode = R, .show = proc_show_sessionid },
	{ .name = "coredump_filter", .mode = RW, .flags = PE_NOT_THREAD, .show = proc_show_coredump_filter,
	  .store = proc_store_coredump_filter },
	{ .name = "io", .mode = R_OWN, .flags = PE_PTRACE, .show = proc_show_io },
	{ .name = "uid_map", .mode = RW, .show = proc_show_uid_map, .store = proc_store_uid_map },
	{ .name = "gid_map", .mode = RW, .show = proc_show_gid_map, .store = proc_store_gid_map },
	{ .name = "projid_map", .mode = RW, .show = proc_show_projid_map },
	{ .name = "setgroups", .mode = RW, .show = proc_show_setgroups, .store = proc_store_setgroups },
	{ .name = "timers", .mode = R, .flags = PE_NOT_THREAD, .show = proc_show_timers },
	{ .name = "timerslack_ns", .mode = LINUX_S_IFREG | 0666, .flags = PE_NOT_THREAD, .show = proc_show_timerslack,
	  .store = proc_store_timerslack },
};

const struct proc_dir proc_pid_dir = { .rows = rows, .nr = ARRAY_SIZE(rows) };
const struct proc_entry proc_pid_entry = { .name = "", .mode = DIR, .dir = &proc_pid_dir };
const struct proc_entry proc_tid_entry = { .name = "", .mode = DIR, .dir = &proc_pid_dir };

/* ---- task ------------------------------------------------------------------------------------------------- */

static long task_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	struct task *t;
	struct pid *pid;
	uint64_t nr;

	if (!proc_parse_nr(name, PID_MAX, &nr) || !nr)
		return -LINUX_ENOENT;
	pid = pid_find(c->ns, (uint32_t)nr);
	if (!pid)
		return -LINUX_ENOENT;
	t = proc_task_of(pid, true);
	if (!t || t->group != c->task->group) {
		if (t)
			task_put(t);
		pid_put(pid);
		return -LINUX_ENOENT;
	}
	task_put(t);
	*out = (struct proc_node){ .entry = &proc_tid_entry, .pid = pid, .thread = true };
	return 0;
}

/* Positions count threads in the order of their list; one that ends between two readings shifts the rest, as in Linux. */
static long task_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	uint64_t skip = *pe->pos - PROC_DYN_POS, k = 0;
	struct task *t = NULL;
	char name[16];

	while ((t = tgroup_next_thread(c->task->group, t)) != NULL) {
		uint32_t nr = k++ < skip ? 0 : task_pid_nr(t, c->ns);

		if (!nr)
			continue;
		snprintf(name, sizeof(name), "%u", nr);
		if (!proc_emit_name(pe, name, LINUX_DT_DIR, proc_ino(&proc_tid_entry, t->pid, 0), PROC_DYN_POS + k)) {
			task_put(t);
			break;
		}
	}
	return 0;
}

const struct proc_dir proc_task_dir = { .lookup = task_lookup, .iterate = task_iterate };

/* Security modules: there are none, but the directory is looked for. */
static long show_attr(const struct proc_ctx *c, struct buf *out)
{
	return -LINUX_EINVAL;
}

static const struct proc_entry attr_rows[] = {
	{ .name = "current", .mode = LINUX_S_IFREG | 0444, .show = show_attr },
	{ .name = "exec", .mode = LINUX_S_IFREG | 0444, .show = show_attr },
	{ .name = "prev", .mode = LINUX_S_IFREG | 0444, .show = show_attr },
};
const struct proc_dir proc_attr_dir = { .rows = attr_rows, .nr = ARRAY_SIZE(attr_rows) };
