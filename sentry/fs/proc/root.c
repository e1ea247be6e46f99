/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/root.c - the top directory: its rows, processes by number, self
 *
 * Source:  proc(5).
 * Differs: no kallsyms, kcore, kmsg, sched_debug: nothing of the host's is shown. /proc/pressure takes no triggers.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <stdio.h>
#include <string.h>

#include "sentry/ipc/ipc.h"
#include "sentry/keys/keys.h"
#include "sentry/task/kernel_id.h"

#define DIR_RO (LINUX_S_IFDIR | 0555)
#define REG_RO (LINUX_S_IFREG | 0444)
#define LNK    (LINUX_S_IFLNK | 0777)

const struct proc_net_ops *proc_net_ops;

static long show_version(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "Linux version %s (root@sandbox) (gcc) %s\n", kernel_release, kernel_version);
	return 0;
}

static long show_kernel_cmdline(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "BOOT_IMAGE=/vmlinuz-%s quiet\n", kernel_release);
	return 0;
}

static long show_filesystems(const struct proc_ctx *c, struct buf *out)
{
	for (struct fs_type *t = fs_next(NULL); t; t = fs_next(t))
		if (!(t->flags & FST_KERNEL_ONLY))
			buf_printf(out, "%s\t%s\n", t->flags & FST_NODEV ? "nodev" : "", t->name);
	return 0;
}

static long show_devices(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "Character devices:\n  1 mem\n  4 /dev/vc/0\n  5 /dev/tty\n  5 /dev/console\n  5 /dev/ptmx\n"
			" 10 misc\n136 pts\n\nBlock devices:\n");
	return 0;
}

static long show_empty(const struct proc_ctx *c, struct buf *out)
{
	return 0;
}

static long show_swaps(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	return 0;
}

static long show_partitions(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "major minor  #blocks  name\n\n");
	return 0;
}

static long show_misc(const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "229 fuse\n");
	return 0;
}

static long show_cgroups(const struct proc_ctx *c, struct buf *out)
{
	/* Hierarchy 0: all of them are version 2's. */
	static const char *const names[] = { "cpuset", "cpu", "cpuacct", "blkio", "memory", "devices", "freezer", "net_cls",
					     "perf_event", "net_prio", "hugetlb", "pids", "rdma", "misc" };

	buf_printf(out, "#subsys_name\thierarchy\tnum_cgroups\tenabled\n");
	for (size_t k = 0; k < ARRAY_SIZE(names); k++)
		buf_printf(out, "%s\t0\t%u\t1\n", names[k], cgroup_count());
	return 0;
}

static long store_nothing(const struct proc_ctx *c, char *text, size_t len)
{
	return -LINUX_EPERM;
}

static long show_keys(const struct proc_ctx *c, struct buf *out)
{
	struct task *me = proc_reader();

	if (me && !strcmp(c->node->entry->name, "keys"))
		keys_show(me, out);
	else if (me)
		keys_show_users(me, out);
	return 0;
}

/* ---- sysvipc ---------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *head;
} sysvipc_heads[] = {
	{ "msg", "       key      msqid perms      cbytes       qnum lspid lrpid   uid   gid  cuid  cgid      stime      rtime"
		 "      ctime\n" },
	{ "sem", "       key      semid perms      nsems   uid   gid  cuid  cgid      otime      ctime\n" },
	{ "shm", "       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime"
		 "      ctime                   rss                  swap\n" },
};

static long show_sysvipc(const struct proc_ctx *c, struct buf *out)
{
	struct task *me = proc_reader();
	struct nsproxy *ns = me ? task_nsproxy(me) : NULL;

	for (size_t k = 0; k < ARRAY_SIZE(sysvipc_heads); k++)
		if (!strcmp(sysvipc_heads[k].name, c->node->entry->name))
			buf_printf(out, "%s", sysvipc_heads[k].head);
	if (ns && ns->ipc)
		ipc_proc_show(ns->ipc, c->node->entry->name, me, out);
	if (ns)
		nsproxy_put(ns);
	return 0;
}

static const struct proc_entry sysvipc_rows[] = {
	{ .name = "msg", .mode = REG_RO, .show = show_sysvipc },
	{ .name = "sem", .mode = REG_RO, .show = show_sysvipc },
	{ .name = "shm", .mode = REG_RO, .show = show_sysvipc },
};
const struct proc_dir proc_sysvipc_dir = { .rows = sysvipc_rows, .nr = ARRAY_SIZE(sysvipc_rows) };

static const struct proc_entry pressure_rows[] = {
	{ .name = "cpu", .mode = REG_RO, .show = proc_show_pressure },
	{ .name = "io", .mode = REG_RO, .show = proc_show_pressure },
	{ .name = "memory", .mode = REG_RO, .show = proc_show_pressure },
};
static const struct proc_dir pressure_dir = { .rows = pressure_rows, .nr = ARRAY_SIZE(pressure_rows) };

const struct proc_dir proc_empty_dir = { 0 };

/* What tells a program that it runs in a sandbox of this kind. */
static const struct proc_entry gvisor_rows[] = {
	{ .name = "kernel_is_gvisor", .mode = REG_RO, .show = show_empty },
};
const struct proc_dir proc_gvisor_dir = { .rows = gvisor_rows, .nr = ARRAY_SIZE(gvisor_rows) };

/* ---- self ------------------------------------------------------------------------------------------- */

static long text_self(const struct proc_ctx *c, char *out, size_t cap)
{
	struct task *me = proc_reader();
	uint32_t nr = me ? task_tgid_nr(me, c->ns) : 0;

	return nr ? snprintf(out, cap, "%u", nr) : -LINUX_ENOENT;
}

static long text_thread_self(const struct proc_ctx *c, char *out, size_t cap)
{
	struct task *me = proc_reader();
	uint32_t tgid = me ? task_tgid_nr(me, c->ns) : 0, tid = me ? task_pid_nr(me, c->ns) : 0;

	return tgid && tid ? snprintf(out, cap, "%u/task/%u", tgid, tid) : -LINUX_ENOENT;
}

static long text_mounts(const struct proc_ctx *c, char *out, size_t cap)
{
	return snprintf(out, cap, "self/mounts");
}

static long text_net(const struct proc_ctx *c, char *out, size_t cap)
{
	return snprintf(out, cap, "self/net");
}

static const struct proc_entry root_rows[] = {
	{ .name = "bus", .mode = DIR_RO, .dir = &proc_empty_dir },
	{ .name = "cgroups", .mode = REG_RO, .show = show_cgroups },
	{ .name = "cmdline", .mode = REG_RO, .show = show_kernel_cmdline },
	{ .name = "consoles", .mode = REG_RO, .show = show_empty },
	{ .name = "cpuinfo", .mode = REG_RO, .show = proc_show_cpuinfo },
	{ .name = "crypto", .mode = REG_RO, .show = show_empty },
	{ .name = "devices", .mode = REG_RO, .show = show_devices },
	{ .name = "diskstats", .mode = REG_RO, .show = show_empty },
	{ .name = "driver", .mode = DIR_RO, .dir = &proc_empty_dir },
	{ .name = "filesystems", .mode = REG_RO, .show = show_filesystems },
	{ .name = "fs", .mode = DIR_RO, .dir = &proc_empty_dir },
	{ .name = "gvisor", .mode = DIR_RO, .dir = &proc_gvisor_dir },
	{ .name = "interrupts", .mode = REG_RO, .show = proc_show_interrupts },
	{ .name = "irq", .mode = DIR_RO, .dir = &proc_empty_dir },
	{ .name = "key-users", .mode = REG_RO, .show = show_keys },
	{ .name = "keys", .mode = REG_RO, .show = show_keys },
	{ .name = "loadavg", .mode = REG_RO, .show = proc_show_loadavg },
	{ .name = "locks", .mode = REG_RO, .show = proc_show_locks },
	{ .name = "meminfo", .mode = REG_RO, .show = proc_show_meminfo },
	{ .name = "misc", .mode = REG_RO, .show = show_misc },
	{ .name = "modules", .mode = REG_RO, .show = show_empty },
	{ .name = "mounts", .mode = LNK, .text = text_mounts },
	{ .name = "net", .mode = LNK, .text = text_net },
	{ .name = "partitions", .mode = REG_RO, .show = show_partitions },
	{ .name = "pressure", .mode = DIR_RO, .dir = &pressure_dir },
	{ .name = "self", .mode = LNK, .text = text_self },
	{ .name = "softirqs", .mode = REG_RO, .show = proc_show_softirqs },
	{ .name = "stat", .mode = REG_RO, .show = proc_show_stat_all },
	{ .name = "swaps", .mode = REG_RO, .show = show_swaps },
	{ .name = "sys", .mode = DIR_RO, .dir = &proc_sys_dir },
	{ .name = "sysrq-trigger", .mode = LINUX_S_IFREG | 0200, .store = store_nothing },
	{ .name = "sysvipc", .mode = DIR_RO, .dir = &proc_sysvipc_dir },
	{ .name = "thread-self", .mode = LNK, .text = text_thread_self },
	{ .name = "tty", .mode = DIR_RO, .dir = &proc_empty_dir },
	{ .name = "uptime", .mode = REG_RO, .show = proc_show_uptime },
	{ .name = "version", .mode = REG_RO, .show = show_version },
	{ .name = "vmstat", .mode = REG_RO, .show = proc_show_vmstat },
	{ .name = "zoneinfo", .mode = REG_RO, .show = proc_show_zoneinfo },
};

/* ---- processes by number ------------------------------------------------------------------------------ */

/* Any thread's number is found, only processes are listed. */
static long root_lookup(const struct proc_ctx *c, const char *name, struct proc_node *out)
{
	struct pid *pid;
	uint64_t nr;

	if (!proc_parse_nr(name, PID_MAX, &nr) || !nr)
		return -LINUX_ENOENT;
	pid = pid_find(c->ns, (uint32_t)nr);
	if (!pid)
		return -LINUX_ENOENT;
	if (!proc_pid_alive(pid, false)) {
		pid_put(pid);
		return -LINUX_ENOENT;
	}
	*out = (struct proc_node){ .entry = &proc_pid_entry, .pid = pid };
	return 0;
}

static long root_iterate(const struct proc_ctx *c, struct proc_emit *pe)
{
	struct task *leader;
	uint32_t nr;
	char name[16];
	bool more = true;

	while (more && (nr = pid_next_tgroup(c->ns, (uint32_t)(*pe->pos - PROC_DYN_POS), &leader)) != 0) {
		snprintf(name, sizeof(name), "%u", nr);
		more = proc_emit_name(pe, name, LINUX_DT_DIR, proc_ino(&proc_pid_entry, leader->pid, 0),
				      PROC_DYN_POS + (uint64_t)nr + 1);
		task_put(leader);
	}
	return 0;
}

const struct proc_dir proc_root_dir = { .rows = root_rows, .nr = ARRAY_SIZE(root_rows), .lookup = root_lookup,
					.iterate = root_iterate };
const struct proc_entry proc_root_entry = { .name = "", .mode = DIR_RO, .dir = &proc_root_dir };
