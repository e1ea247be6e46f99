/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/sysctl_rows.c - what /proc/sys holds, apart from the network's settings
 *
 * Model:   fixed texts, numbers that are kept, and a few values that belong to namespaces. A number that is kept without being
 *          obeyed is one whose every value is compatible with what happens (hints to a kernel that is not there).
 * Hostcalls: getrandom.
 * Source:  proc_sys_kernel(5), proc_sys_vm(5), proc_sys_fs(5).
 */
#include "sentry/fs/proc/sysctl.h"

#include <string.h>

#include "base/hostcall.h"
#include "sentry/fs/aio/aio.h"
#include "sentry/abi/cap.h"
#include "sentry/ipc/ipc.h"
#include "sentry/keys/keys.h"
#include "sentry/task/coredump.h"
#include "sentry/task/kernel_id.h"

long (*proc_mq_sysctl)(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap);

long proc_ipc_limit(struct ipc_ns *ns, const char *name, bool write, char *text, size_t cap)
{
	long ret = ipc_sysctl(ns, name, write, text, cap);

	return ret == -LINUX_ENOENT && proc_mq_sysctl ? proc_mq_sysctl(ns, name, write, text, cap) : ret;
}

static long show_text(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "%s\n", r->text);
	return 0;
}

static long show_nr(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	buf_printf(out, "%ld\n", (long)atomic_load(r->value));
	return 0;
}

static long store_nr(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len)
{
	long v, ret = proc_store_long(text, r->min, r->max, &v);

	if (!ret)
		atomic_store(r->value, v);
	return ret;
}

/* A number of things of which none can be had: Linux takes any wish as well, and shows what came of it. */
static long store_none(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len)
{
	long v;

	return proc_store_long(text, 0, INT64_MAX, &v);
}

/* ---- names of the machine ------------------------------------------------------------------------------------ */

static char *uts_field(const struct sysctl_row *r, struct uts_ns *uts)
{
	return strstr(r->path, "hostname") ? uts->nodename : uts->domainname;
}

static long show_uts(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	struct task *me = proc_reader();
	struct nsproxy *ns = me ? task_nsproxy(me) : NULL;

	if (!ns)
		return -LINUX_EINVAL;
	mutex_lock(&ns->uts->mu);
	buf_printf(out, "%s\n", uts_field(r, ns->uts));
	mutex_unlock(&ns->uts->mu);
	nsproxy_put(ns);
	return 0;
}

static long store_uts(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len)
{
	struct task *me = proc_reader();
	struct nsproxy *ns = me ? task_nsproxy(me) : NULL;
	char *field;
	size_t n = strcspn(text, "\n");
	long ret = 0;

	if (!ns)
		return -LINUX_EINVAL;
	if (!cred_has_cap(me->cred, ns->uts->user_ns, LINUX_CAP_SYS_ADMIN)) {
		ret = -LINUX_EPERM;
	} else {
		n = MIN(n, (size_t)UTS_LEN);
		mutex_lock(&ns->uts->mu);
		field = uts_field(r, ns->uts);
		memcpy(field, text, n);
		memset(field + n, 0, UTS_LEN + 1 - n);
		mutex_unlock(&ns->uts->mu);
	}
	nsproxy_put(ns);
	return ret;
}

/* ---- random ------------------------------------------------------------------------------------------------------ */

static void put_uuid(uint8_t u[16], struct buf *out)
{
	u[6] = (u[6] & 0x0f) | 0x40; /* version 4, RFC 9562 */
	u[8] = (u[8] & 0x3f) | 0x80;
	for (int k = 0; k < 16; k++)
		buf_printf(out, k == 4 || k == 6 || k == 8 || k == 10 ? "-%02x" : "%02x", u[k]);
	buf_printf(out, "\n");
}

static long show_uuid(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	uint8_t u[16];

	host_call(getrandom, u, sizeof(u), 0);
	put_uuid(u, out);
	return 0;
}

static long show_boot_id(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	static struct mutex mu = MUTEX_INIT;
	static uint8_t id[16];	/* guarded by mu */
	static bool made;	/* guarded by mu */
	uint8_t u[16];

	mutex_lock(&mu);
	if (!made)
		host_call(getrandom, id, sizeof(id), 0);
	made = true;
	memcpy(u, id, sizeof(u));
	mutex_unlock(&mu);
	put_uuid(u, out);
	return 0;
}

/* ---- counts ------------------------------------------------------------------------------------------------------- */

static long show_file_nr(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	struct task *leader;
	uint32_t nr = 0;
	unsigned files = 0;

	while ((nr = pid_next_tgroup(c->ns, nr + 1, &leader)) != 0) {
		struct fdtable *fds = task_fdtable(leader);

		for (int fd = fds ? fdtable_next(fds, 0) : -1; fd >= 0; fd = fdtable_next(fds, fd + 1))
			files++;
		if (fds)
			fdtable_put(fds);
		task_put(leader);
	}
	buf_printf(out, "%u\t0\t9223372036854775807\n", files);
	return 0;
}

/* ---- core files ----------------------------------------------------------------------------------------------------- */

static long show_core_pattern(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	char pattern[CORE_PATTERN_MAX + 1];

	coredump_pattern_get(pattern);
	buf_printf(out, "%s\n", pattern);
	return 0;
}

static long store_core_pattern(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len)
{
	text[strcspn(text, "\n")] = '\0';
	return coredump_pattern_set(text);
}

/* ---- System V IPC --------------------------------------------------------------------------------------------------- */

static long ipc_value(const struct sysctl_row *r, bool write, char *text, size_t cap)
{
	struct task *me = proc_reader();
	struct nsproxy *ns = me ? task_nsproxy(me) : NULL;
	long ret = -LINUX_ENOENT;

	if (ns && ns->ipc)
		ret = proc_ipc_limit(ns->ipc, strrchr(r->path, '/') + 1, write, text, cap);
	if (ns)
		nsproxy_put(ns);
	return ret;
}

static long show_ipc(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out)
{
	char text[128];
	long ret = ipc_value(r, false, text, sizeof(text));

	if (ret == -LINUX_ENOENT)
		return show_text(r, c, out);
	if (ret < 0)
		return ret;
	buf_printf(out, "%s\n", text);
	return 0;
}

static long store_ipc(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len)
{
	long ret = ipc_value(r, true, text, len);

	return ret == -LINUX_ENOENT ? -LINUX_EPERM : MIN(ret, 0l);
}

/* ---- numbers that are kept ---------------------------------------------------------------------------------------------- */

static _Atomic int64_t overcommit_memory = 0, overcommit_ratio = 50, swappiness = 60, drop_caches = 0, dirty_ratio = 20,
		       dirty_background_ratio = 10, nr_open = 1048576, pipe_max = 1048576, file_max = INT64_MAX,
		       panic_on_oops = 0, printk_ratelimit = 5, perf_paranoid = 2, ptrace_scope = 0, kptr_restrict = 1, dmesg_restrict = 0,
		       threads_max = 127235, panic = 0, vfs_cache_pressure = 100, min_free = 67584,
		       watches = 1048576, instances = 8192, queued = 16384, aio_max = 1048576, lease_break = 45, suid_dumpable = 0,
		       protected_links = 1, protected_symlinks = 1, protected_fifos = 1, protected_regular = 2, randomize = 2, sched_autogroup = 0,
		       unpriv_userns = 1, max_userns = 15000, oom_kill = 0, compact = 0, zone_reclaim = 0;

#define TEXT(p, t)	     { .path = p, .mode = 0444, .show = show_text, .text = t }
#define NR(p, v, lo, hi)     { .path = p, .mode = 0644, .show = show_nr, .store = store_nr, .value = &v, .min = lo, .max = hi }
#define NR_RO(p, v)	     { .path = p, .mode = 0444, .show = show_nr, .value = &v }
#define IPC(p, dflt)	     { .path = p, .mode = 0644, .show = show_ipc, .store = store_ipc, .text = dflt }

const struct sysctl_row sysctl_rows[] = {
	NR("fs/aio-max-nr", aio_max, 0, INT32_MAX),
	NR_RO("fs/aio-nr", aio_nr),
	TEXT("fs/dentry-state", "0\t0\t45\t0\t0\t0"),
	NR("fs/file-max", file_max, 0, INT64_MAX),
	{ .path = "fs/file-nr", .mode = 0444, .show = show_file_nr },
	TEXT("fs/inode-nr", "0\t0"),
	TEXT("fs/inode-state", "0\t0\t0\t0\t0\t0\t0"),
	NR("fs/inotify/max_queued_events", queued, 0, INT32_MAX),
	NR("fs/inotify/max_user_instances", instances, 0, INT32_MAX),
	NR("fs/inotify/max_user_watches", watches, 0, INT32_MAX),
	NR("fs/lease-break-time", lease_break, 0, INT32_MAX),
	TEXT("fs/leases-enable", "1"),
	TEXT("fs/mount-max", "100000"),
	IPC("fs/mqueue/msg_default", "10"),
	IPC("fs/mqueue/msg_max", "10"),
	IPC("fs/mqueue/msgsize_default", "8192"),
	IPC("fs/mqueue/msgsize_max", "8192"),
	IPC("fs/mqueue/queues_max", "256"),
	NR("fs/nr_open", nr_open, 64, 1073741816),
	TEXT("fs/overflowgid", "65534"),
	TEXT("fs/overflowuid", "65534"),
	NR("fs/pipe-max-size", pipe_max, 4096, INT32_MAX),
	TEXT("fs/pipe-user-pages-hard", "0"),
	TEXT("fs/pipe-user-pages-soft", "16384"),
	NR("fs/protected_fifos", protected_fifos, 0, 2),
	NR("fs/protected_hardlinks", protected_links, 0, 1),
	NR("fs/protected_regular", protected_regular, 0, 2),
	NR("fs/protected_symlinks", protected_symlinks, 0, 1),
	NR("fs/suid_dumpable", suid_dumpable, 0, 2),
	TEXT("kernel/cap_last_cap", "40"),
	{ .path = "kernel/core_pattern", .mode = 0644, .show = show_core_pattern, .store = store_core_pattern },
	NR("kernel/core_uses_pid", coredump_uses_pid, 0, 1),
	NR("kernel/dmesg_restrict", dmesg_restrict, 0, 1),
	{ .path = "kernel/domainname", .mode = 0644, .show = show_uts, .store = store_uts },
	{ .path = "kernel/hostname", .mode = 0644, .show = show_uts, .store = store_uts },
	NR("kernel/keys/gc_delay", keys_gc_delay, 0, INT32_MAX),
	NR("kernel/keys/maxbytes", keys_maxbytes, 0, INT32_MAX),
	NR("kernel/keys/maxkeys", keys_maxkeys, 0, INT32_MAX),
	NR("kernel/keys/persistent_keyring_expiry", keys_persistent_expiry, 0, INT32_MAX),
	NR("kernel/keys/root_maxbytes", keys_root_maxbytes, 0, INT32_MAX),
	NR("kernel/keys/root_maxkeys", keys_root_maxkeys, 0, INT32_MAX),
	NR("kernel/kptr_restrict", kptr_restrict, 0, 2),
	IPC("kernel/msg_next_id", "-1"),
	IPC("kernel/msgmax", "8192"),
	IPC("kernel/msgmnb", "16384"),
	IPC("kernel/msgmni", "32000"),
	TEXT("kernel/ngroups_max", "65536"),
	TEXT("kernel/osrelease", kernel_release),
	TEXT("kernel/ostype", "Linux"),
	TEXT("kernel/overflowgid", "65534"),
	TEXT("kernel/overflowuid", "65534"),
	NR("kernel/panic", panic, -1, INT32_MAX),
	NR("kernel/panic_on_oops", panic_on_oops, 0, 1),
	NR("kernel/perf_event_paranoid", perf_paranoid, -1, 4),
	TEXT("kernel/pid_max", "32768"),
	TEXT("kernel/printk", "4\t4\t1\t7"),
	NR("kernel/printk_ratelimit", printk_ratelimit, 0, INT32_MAX),
	{ .path = "kernel/random/boot_id", .mode = 0444, .show = show_boot_id },
	TEXT("kernel/random/entropy_avail", "256"),
	TEXT("kernel/random/poolsize", "256"),
	TEXT("kernel/random/urandom_min_reseed_secs", "60"),
	{ .path = "kernel/random/uuid", .mode = 0444, .show = show_uuid },
	TEXT("kernel/random/write_wakeup_threshold", "256"),
	NR_RO("kernel/randomize_va_space", randomize),
	NR("kernel/sched_autogroup_enabled", sched_autogroup, 0, 1),
	TEXT("kernel/sched_rt_period_us", "1000000"),
	TEXT("kernel/sched_rt_runtime_us", "950000"),
	TEXT("kernel/seccomp/actions_avail", "kill_process kill_thread trap errno user_notif trace log allow"),
	IPC("kernel/sem", "32000\t1024000000\t500\t32000"),
	IPC("kernel/sem_next_id", "-1"),
	IPC("kernel/shm_next_id", "-1"),
	IPC("kernel/shm_rmid_forced", "0"),
	IPC("kernel/shmall", "18446744073692774399"),
	IPC("kernel/shmmax", "18446744073692774399"),
	IPC("kernel/shmmni", "4096"),
	TEXT("kernel/sysrq", "0"),
	TEXT("kernel/tainted", "0"),
	NR("kernel/threads-max", threads_max, 1, INT32_MAX),
	NR("kernel/unprivileged_userns_clone", unpriv_userns, 0, 1),
	TEXT("kernel/version", kernel_version),
	NR("kernel/yama/ptrace_scope", ptrace_scope, 0, 3),
	NR("user/max_user_namespaces", max_userns, 0, INT32_MAX),
	NR("vm/compact_memory", compact, 0, 1),
	NR("vm/dirty_background_ratio", dirty_background_ratio, 0, 100),
	NR("vm/dirty_ratio", dirty_ratio, 0, 100),
	NR("vm/drop_caches", drop_caches, 0, 4),
	NR("vm/max_map_count", mm_max_map_count, 1, INT32_MAX),
	NR("vm/min_free_kbytes", min_free, 0, INT32_MAX),
	TEXT("vm/mmap_min_addr", "65536"),
	{ .path = "vm/nr_hugepages", .mode = 0644, .show = show_text, .text = "0", .store = store_none },
	{ .path = "vm/nr_overcommit_hugepages", .mode = 0644, .show = show_text, .text = "0", .store = store_none },
	NR("vm/oom_kill_allocating_task", oom_kill, 0, 1),
	NR("vm/overcommit_memory", overcommit_memory, 0, 2),
	NR("vm/overcommit_ratio", overcommit_ratio, 0, INT32_MAX),
	NR("vm/swappiness", swappiness, 0, 200),
	NR("vm/vfs_cache_pressure", vfs_cache_pressure, 0, INT32_MAX),
	NR("vm/zone_reclaim_mode", zone_reclaim, 0, 7),
};
const unsigned sysctl_nr_rows = ARRAY_SIZE(sysctl_rows);

int64_t proc_sysctl_value(const char *path)
{
	for (unsigned k = 0; k < sysctl_nr_rows; k++)
		if (sysctl_rows[k].value && !strcmp(sysctl_rows[k].path, path))
			return atomic_load(sysctl_rows[k].value);
	return -1;
}
