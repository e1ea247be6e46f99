/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/cgroupfs.c - /sys/fs/cgroup: the container's own limits and figures, as version 2 shows them
 *
 * Model:   one directory, the root of a cgroup namespace that holds the container. Every file is a row; content is made when it is
 *          read and tells of the reader's container. The limits are the host cgroup's, which the lifecycle library passes at creation
 *          and at each update; nothing can be written, as in a container whose mount is read-only.
 * Source:  cgroups(7), "Control Group v2" in the kernel's documentation (names and formats of the files).
 * Differs: asked for by the type "cgroup" of an OCI configuration as well: there is no version 1. No groups below this one. Memory in use
 *          is the sum of resident estimates of the processes.
 */
#include <string.h>

#include "sentry/fs/fs.h"
#include "sentry/fs/tmpfs/tmpfs.h"
#include "sentry/task/acct.h"
#include "sentry/task/container.h"
#include "sentry/task/cpus.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

#define CGROUP2_MAGIC	0x63677270
#define CONTROLLERS	"cpuset cpu io memory pids\n"
#define CPU_PERIOD_US	100000ull
#define CPU_SHARES	1024ull
#define NSEC_PER_USEC	1000ull

/* What is known of the reader's container at this moment. */
struct figures {
	const struct container_limits *lim;
	uint64_t tasks, utime_ns, stime_ns, anon, file;
};

struct cg_row {
	const char *name;
	const char *text;					/* NULL: show() */
	void (*show)(const struct figures *f, struct buf *out);
};

/* ---- content ------------------------------------------------------------------------------------------------ */

static void put_limit(struct buf *out, uint64_t v)
{
	if (v == CONTAINER_NO_LIMIT)
		buf_printf(out, "max\n");
	else
		buf_printf(out, "%llu\n", (unsigned long long)v);
}

#define SHOW(n) static void n(const struct figures *f, struct buf *out)
#define LIMIT(field) atomic_load_explicit(&f->lim->field, memory_order_relaxed)

SHOW(show_memory_max)
{
	put_limit(out, LIMIT(memory_max));
}

SHOW(show_memory_low)
{
	buf_printf(out, "%llu\n", (unsigned long long)LIMIT(memory_low));
}

SHOW(show_swap_max)
{
	put_limit(out, LIMIT(swap_max));
}

SHOW(show_memory_current)
{
	buf_printf(out, "%llu\n", (unsigned long long)(f->anon + f->file));
}

SHOW(show_memory_stat)
{
	static const char *const zeros[] = { "kernel", "kernel_stack", "pagetables", "percpu", "sock", "vmalloc", "shmem", "zswap",
					     "zswapped", "file_mapped", "file_dirty", "file_writeback", "swapcached", "anon_thp",
					     "inactive_anon", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable",
					     "slab", "workingset_refault_anon", "workingset_refault_file", "pgscan", "pgsteal", "pgfault",
					     "pgmajfault" };

	buf_printf(out, "anon %llu\nfile %llu\nactive_anon %llu\ninactive_file %llu\n", (unsigned long long)f->anon,
		   (unsigned long long)f->file, (unsigned long long)f->anon, (unsigned long long)f->file);
	for (size_t k = 0; k < ARRAY_SIZE(zeros); k++)
		buf_printf(out, "%s 0\n", zeros[k]);
}

SHOW(show_cpu_max)
{
	uint64_t quota = LIMIT(cpu_quota_us);

	if (quota == CONTAINER_NO_LIMIT)
		buf_printf(out, "max ");
	else
		buf_printf(out, "%llu ", (unsigned long long)quota);
	buf_printf(out, "%llu\n", (unsigned long long)(LIMIT(cpu_period_us) ?: CPU_PERIOD_US));
}

/* Shares 2..262144 onto weights 1..10000, as the kernel's callers do: KEP-2254. */
SHOW(show_cpu_weight)
{
	uint64_t shares = LIMIT(cpu_shares) ?: CPU_SHARES;

	shares = MIN(MAX(shares, 2ull), 262144ull);
	buf_printf(out, "%llu\n", (unsigned long long)(shares == CPU_SHARES ? 100 : 1 + (shares - 2) * 9999 / 262142));
}

SHOW(show_cpu_stat)
{
	buf_printf(out, "usage_usec %llu\nuser_usec %llu\nsystem_usec %llu\nnice_usec 0\nnr_periods 0\nnr_throttled 0\n"
			"throttled_usec 0\nnr_bursts 0\nburst_usec 0\n",
		   (unsigned long long)((f->utime_ns + f->stime_ns) / NSEC_PER_USEC),
		   (unsigned long long)(f->utime_ns / NSEC_PER_USEC), (unsigned long long)(f->stime_ns / NSEC_PER_USEC));
}

SHOW(show_pids_max)
{
	put_limit(out, LIMIT(pids_max));
}

SHOW(show_pids_current)
{
	buf_printf(out, "%llu\n", (unsigned long long)f->tasks);
}

SHOW(show_cpus)
{
	struct container_limits *l = (struct container_limits *)f->lim;

	mutex_lock(&l->mu);
	buf_printf(out, "%s\n", l->cpus);
	mutex_unlock(&l->mu);
}

SHOW(show_cpus_effective)
{
	struct container_limits *l = (struct container_limits *)f->lim;
	unsigned n = cpus_count();
	bool own;

	mutex_lock(&l->mu);
	own = l->cpus[0];
	mutex_unlock(&l->mu);
	if (own)
		show_cpus(f, out);
	else
		buf_printf(out, n > 1 ? "0-%u\n" : "%u\n", n - 1);
}

/* The reader's pids of processes; threads are their first ones' brothers. */
static void put_ids(struct buf *out, bool threads)
{
	struct task *me = task_current();
	struct pid_ns *ns = task_pid_ns(me);
	struct task *leader;
	uint32_t nr = 0;

	while ((nr = pid_next_tgroup(ns, nr + 1, &leader)) != 0) {
		if (leader->group->container == me->group->container) {
			if (!threads)
				buf_printf(out, "%u\n", nr);
			else
				for (struct task *t = tgroup_next_thread(leader->group, NULL); t;
				     t = tgroup_next_thread(leader->group, t))
					buf_printf(out, "%u\n", task_pid_nr(t, ns));
		}
		task_put(leader);
	}
}

SHOW(show_procs)
{
	put_ids(out, false);
}

SHOW(show_threads)
{
	put_ids(out, true);
}

static const struct cg_row rows[] = {
	{ "cgroup.controllers", CONTROLLERS, NULL },
	{ "cgroup.events", "populated 1\nfrozen 0\n", NULL },
	{ "cgroup.freeze", "0\n", NULL },
	{ "cgroup.max.depth", "max\n", NULL },
	{ "cgroup.max.descendants", "max\n", NULL },
	{ "cgroup.procs", NULL, show_procs },
	{ "cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n", NULL },
	{ "cgroup.subtree_control", "", NULL },
	{ "cgroup.threads", NULL, show_threads },
	{ "cgroup.type", "domain\n", NULL },
	{ "cpu.idle", "0\n", NULL },
	{ "cpu.max", NULL, show_cpu_max },
	{ "cpu.max.burst", "0\n", NULL },
	{ "cpu.stat", NULL, show_cpu_stat },
	{ "cpu.weight", NULL, show_cpu_weight },
	{ "cpu.weight.nice", "0\n", NULL },
	{ "cpuset.cpus", NULL, show_cpus },
	{ "cpuset.cpus.effective", NULL, show_cpus_effective },
	{ "cpuset.cpus.partition", "member\n", NULL },
	{ "cpuset.mems", "\n", NULL },
	{ "cpuset.mems.effective", "0\n", NULL },
	{ "io.stat", "", NULL },
	{ "memory.current", NULL, show_memory_current },
	{ "memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n", NULL },
	{ "memory.events.local", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n", NULL },
	{ "memory.high", "max\n", NULL },
	{ "memory.low", NULL, show_memory_low },
	{ "memory.max", NULL, show_memory_max },
	{ "memory.min", "0\n", NULL },
	{ "memory.oom.group", "0\n", NULL },
	{ "memory.peak", NULL, show_memory_current },
	{ "memory.stat", NULL, show_memory_stat },
	{ "memory.swap.current", "0\n", NULL },
	{ "memory.swap.events", "high 0\nmax 0\nfail 0\n", NULL },
	{ "memory.swap.max", NULL, show_swap_max },
	{ "pids.current", NULL, show_pids_current },
	{ "pids.events", "max 0\n", NULL },
	{ "pids.max", NULL, show_pids_max },
};

/* ---- files ------------------------------------------------------------------------------------------------------ */

static void collect(struct container *c, struct figures *f)
{
	struct task *me = task_current(), *leader;
	struct pid_ns *ns = task_pid_ns(me);
	struct mm_usage u;
	uint32_t nr = 0;

	f->lim = &c->limits;
	while ((nr = pid_next_tgroup(ns, nr + 1, &leader)) != 0) {
		struct mm *mm = leader->group->container == c ? task_mm(leader) : NULL;

		if (leader->group->container == c) {
			struct cpu_times t = acct_group_times(leader->group);

			f->utime_ns += t.utime_ns;
			f->stime_ns += t.stime_ns;
			f->tasks += leader->group->nr_threads;
		}
		if (mm) {
			mm_usage(mm, &u);
			f->anon += u.anon_rss;
			f->file += u.file_rss;
			mm_put(mm);
		}
		task_put(leader);
	}
}

static long cg_read(struct file *file, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	const struct cg_row *r = &rows[file->inode->rdev];
	struct task *me = task_current();
	struct buf out = { .max = 1u << 20 };
	struct figures f = { 0 };
	long ret = 0;

	if (r->text) {
		buf_append(&out, r->text, strlen(r->text));
	} else {
		if (!me)
			return -LINUX_EINVAL;
		collect(me->group->container, &f);
		r->show(&f, &out);
	}
	if (out.failed)
		ret = -LINUX_ENOMEM;
	else if (*pos < out.len)
		ret = uio_write(io, out.data + *pos, MIN(io->left, out.len - *pos));
	if (ret > 0)
		*pos += (uint64_t)ret;
	buf_fini(&out);
	return ret;
}

static long cg_getattr(struct inode *i, struct kstat *out)
{
	generic_getattr(i, out);
	out->rdev = 0;
	return 0;
}

static const struct file_ops cg_fops = { .read = cg_read };
static const struct inode_ops cg_file_ops = { .getattr = cg_getattr };

static long add_row(struct super_block *sb, size_t k)
{
	struct inode *i;
	long ret = tmpfs_new_inode(sb, NULL, LINUX_S_IFREG | 0444, NULL, &i);

	if (ret)
		return ret;
	i->ops = &cg_file_ops;
	i->fops = &cg_fops;
	i->rdev = k;
	return tmpfs_add(sb->root->inode, rows[k].name, i);
}

static long cgroup_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct super_block *sb;
	long ret = tmpfs_mount_kernel(a->source ? a->source : "cgroup2", "mode=555,size=64k,nr_inodes=0", &sb);

	for (size_t k = 0; k < ARRAY_SIZE(rows) && !ret; k++) {
		ret = add_row(sb, k);
		if (ret)
			sb_put(sb);
	}
	if (ret)
		return ret;
	sb->type = t;
	sb->flags |= a->sb_flags | LINUX_MS_RDONLY;
	*out = sb;
	return 0;
}

static struct fs_type cgroup2_type = {
	.name = "cgroup2",
	.flags = FST_USERNS_MOUNT | FST_NODEV,
	.magic = CGROUP2_MAGIC,
	.get_sb = cgroup_get_sb,
};

void cgroupfs_init(void)
{
	fs_register(&cgroup2_type);
}
