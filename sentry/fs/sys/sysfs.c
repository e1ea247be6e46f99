/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/sys/sysfs.c - /sys: what programs look at to learn about CPUs, memory nodes, and what is not there
 *
 * Model:   built at mount from one table of paths, with rows for "each CPU" expanded; directories come from the paths. Content is
 *          made when the file is read, by a small function or from the row's text. Nothing can be written. Network links: net.c.
 * Source:  sysfs(5), cputopology in the kernel's documentation (format of the lists and masks).
 * Differs: only what nproc, lscpu, the JVM, Go, Node and container images were seen to read.
 */
#include <stdio.h>
#include <string.h>

#include "base/hostcall.h"
#include "sentry/fs/fs.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/fs/sys/sysfs_internal.h"

#define SYSFS_MAGIC 0x62656572
#define CPUS_MAX    1024

struct sys_row {
	const char *path;	/* "%u" stands for each CPU */
	uint32_t mode;		/* 0: a file, 0444; else with type */
	const char *text;	/* content, or link target; NULL: show() */
	void (*show)(unsigned cpu, struct buf *out);
};

/* ---- content ---- */

static unsigned cpu_count(void)
{
	uint64_t mask[CPUS_MAX / 64] = { 0 };
	long n = host_call(sched_getaffinity, 0, sizeof(mask), mask);
	unsigned c = 0;

	for (long k = 0; k < n / 8; k++)
		c += (unsigned)__builtin_popcountll(mask[k]);
	return c ? c : 1;
}

static void show_all_cpus(unsigned cpu, struct buf *out)
{
	unsigned n = cpu_count();

	if (n == 1)
		buf_printf(out, "0\n");
	else
		buf_printf(out, "0-%u\n", n - 1);
}

static void show_kernel_max(unsigned cpu, struct buf *out)
{
	buf_printf(out, "%u\n", CPUS_MAX - 1);
}

static void show_self(unsigned cpu, struct buf *out)
{
	buf_printf(out, "%u\n", cpu);
}

/* Masks are written as groups of 32 bits, highest first. */
static void put_mask(struct buf *out, unsigned from, unsigned to)
{
	for (unsigned w = (cpu_count() - 1) / 32 + 1; w-- > 0;) {
		uint32_t v = 0;

		for (unsigned b = 0; b < 32; b++)
			if (w * 32 + b >= from && w * 32 + b <= to)
				v |= 1u << b;
		buf_printf(out, w ? "%08x," : "%08x\n", v);
	}
}

static void show_self_mask(unsigned cpu, struct buf *out)
{
	put_mask(out, cpu, cpu);
}

static void show_all_mask(unsigned cpu, struct buf *out)
{
	put_mask(out, 0, cpu_count() - 1);
}

static void show_node_meminfo(unsigned cpu, struct buf *out)
{
	uint64_t total, mfree, avail;

	proc_memory(&total, &mfree, &avail);
	buf_printf(out, "Node 0 MemTotal:       %llu kB\nNode 0 MemFree:        %llu kB\nNode 0 MemUsed:        %llu kB\n",
		   (unsigned long long)(total >> 10), (unsigned long long)(mfree >> 10), (unsigned long long)((total - mfree) >> 10));
}

#define CPU "devices/system/cpu/"
#define DIR_ (LINUX_S_IFDIR | 0755)

static const struct sys_row rows[] = {
	{ "block", DIR_, NULL, NULL },
	{ "bus", DIR_, NULL, NULL },
	{ "class/net", DIR_, NULL, NULL },	/* net.c, as is */
	{ "devices/virtual/net", DIR_, NULL, NULL },
	{ "class/power_supply", DIR_, NULL, NULL },
	{ "class/block", DIR_, NULL, NULL },
	{ "dev/block", DIR_, NULL, NULL },
	{ "dev/char", DIR_, NULL, NULL },
	{ "firmware", DIR_, NULL, NULL },
	{ "fs/cgroup", DIR_, NULL, NULL },
	{ "kernel/cgroup/delegate", 0, "cgroup.procs\ncgroup.threads\ncgroup.subtree_control\nmemory.oom.group\n", NULL },
	{ "kernel/cgroup/features", 0, "nsdelegate\n", NULL },
	{ "kernel/debug", DIR_, NULL, NULL },
	{ "kernel/mm/transparent_hugepage/enabled", 0, "always [madvise] never\n", NULL },
	{ "kernel/mm/transparent_hugepage/hpage_pmd_size", 0, "2097152\n", NULL },
	{ "kernel/mm/transparent_hugepage/shmem_enabled", 0, "always within_size advise [never] deny force\n", NULL },
	{ "kernel/mm/transparent_hugepage/use_zero_page", 0, "1\n", NULL },
	{ "kernel/security", DIR_, NULL, NULL },
	{ "module", DIR_, NULL, NULL },
	{ "power", DIR_, NULL, NULL },
	{ CPU "online", 0, NULL, show_all_cpus },
	{ CPU "possible", 0, NULL, show_all_cpus },
	{ CPU "present", 0, NULL, show_all_cpus },
	{ CPU "offline", 0, "\n", NULL },
	{ CPU "isolated", 0, "\n", NULL },
	{ CPU "kernel_max", 0, NULL, show_kernel_max },
	{ CPU "cpu%u/online", 0, "1\n", NULL },
	{ CPU "cpu%u/topology/core_id", 0, NULL, show_self },
	{ CPU "cpu%u/topology/physical_package_id", 0, "0\n", NULL },
	{ CPU "cpu%u/topology/die_id", 0, "0\n", NULL },
	{ CPU "cpu%u/topology/core_cpus", 0, NULL, show_self_mask },
	{ CPU "cpu%u/topology/core_cpus_list", 0, NULL, show_self },
	{ CPU "cpu%u/topology/thread_siblings", 0, NULL, show_self_mask },
	{ CPU "cpu%u/topology/thread_siblings_list", 0, NULL, show_self },
	{ CPU "cpu%u/topology/core_siblings", 0, NULL, show_all_mask },
	{ CPU "cpu%u/topology/core_siblings_list", 0, NULL, show_all_cpus },
	{ CPU "cpu%u/topology/package_cpus", 0, NULL, show_all_mask },
	{ CPU "cpu%u/topology/package_cpus_list", 0, NULL, show_all_cpus },
	{ CPU "cpu%u/node0", LINUX_S_IFLNK | 0777, "../../node/node0", NULL },
	{ "devices/system/node/online", 0, "0\n", NULL },
	{ "devices/system/node/possible", 0, "0\n", NULL },
	{ "devices/system/node/has_cpu", 0, "0\n", NULL },
	{ "devices/system/node/has_memory", 0, "0\n", NULL },
	{ "devices/system/node/node0/cpulist", 0, NULL, show_all_cpus },
	{ "devices/system/node/node0/cpumap", 0, NULL, show_all_mask },
	{ "devices/system/node/node0/distance", 0, "10\n", NULL },
	{ "devices/system/node/node0/meminfo", 0, NULL, show_node_meminfo },
};

/* ---- files ---- */

long sys_read_text(struct buf *text, struct uio *io, uint64_t *pos)
{
	long ret = 0;

	if (text->failed)
		ret = -LINUX_ENOMEM;
	else if (*pos < text->len)
		ret = uio_write(io, text->data + *pos, MIN(io->left, text->len - *pos));
	if (ret > 0)
		*pos += (uint64_t)ret;
	buf_fini(text);
	return ret;
}

/* inode.priv belongs to tmpfs; which row a file is, and for which CPU, is in rdev, unused for regular files. */
static long sys_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	const struct sys_row *r = &rows[f->inode->rdev & 0xffff];
	struct buf out = { .max = 65536 };

	if (r->text)
		buf_append(&out, r->text, strlen(r->text));
	else
		r->show((unsigned)(f->inode->rdev >> 16), &out);
	return sys_read_text(&out, io, pos);
}

static long sys_getattr(struct inode *i, struct kstat *out)
{
	generic_getattr(i, out);
	out->rdev = 0;
	return 0;
}

static const struct file_ops sys_fops = { .read = sys_read };
static const struct inode_ops sys_file_ops = { .getattr = sys_getattr };
static const struct inode_ops sys_link_ops = { 0 };

/* ---- building ---- */

long sys_new_inode(struct super_block *sb, uint32_t mode, const char *target, struct inode **out)
{
	long ret = tmpfs_new_inode(sb, NULL, mode, NULL, out);

	if (ret)
		return ret;
	if (LINUX_S_ISLNK(mode)) {
		(*out)->ops = &sys_link_ops;
		(*out)->link = strdup(target);
		(*out)->size = strlen(target);
		if (!(*out)->link) {
			inode_put(*out);
			return -LINUX_ENOMEM;
		}
	} else if (LINUX_S_ISREG(mode)) {
		(*out)->size = PAGE_SIZE;	/* as sysfs says of all its files */
	}
	return 0;
}

static long new_node(struct super_block *sb, const struct sys_row *r, unsigned cpu, struct inode **out)
{
	long ret = sys_new_inode(sb, r->mode ? r->mode : LINUX_S_IFREG | 0444, r->text, out);

	if (ret)
		return ret;
	if (!strcmp(r->path, "class/net") || !strcmp(r->path, "devices/virtual/net"))
		sysfs_net_dir(*out, r->path[0] == 'c');
	if (LINUX_S_ISREG((*out)->mode)) {
		(*out)->ops = &sys_file_ops;
		(*out)->fops = &sys_fops;
		(*out)->rdev = (uint64_t)(r - rows) | (uint64_t)cpu << 16;
	}
	return 0;
}

/* The directory for each component of @path but the last, made as needed; *out_last: the last one. */
static long walk_dirs(struct super_block *sb, char *path, struct inode **out_dir, char **out_last)
{
	struct inode *dir = sb->root->inode, *i;
	char *save = NULL, *p = strtok_r(path, "/", &save), *next;
	long ret;

	for (; (next = strtok_r(NULL, "/", &save)); p = next) {
		struct tdirent *e = tdir_find(dir, p, strlen(p));

		if (!e) {
			ret = tmpfs_new_inode(sb, NULL, DIR_, NULL, &i);
			if (!ret)
				ret = tmpfs_add(dir, p, i);
			if (ret)
				return ret;
			e = tdir_find(dir, p, strlen(p));
		}
		dir = e->inode;
	}
	*out_dir = dir;
	*out_last = p;
	return 0;
}

static long add_row(struct super_block *sb, const struct sys_row *r, unsigned cpu)
{
	const char *at = strstr(r->path, "%u");
	struct inode *dir, *i;
	char path[128], *last;
	long ret;

	if (at)
		snprintf(path, sizeof(path), "%.*s%u%s", (int)(at - r->path), r->path, cpu, at + 2);
	else
		snprintf(path, sizeof(path), "%s", r->path);
	ret = walk_dirs(sb, path, &dir, &last);
	if (ret || tdir_find(dir, last, strlen(last)))
		return ret;
	ret = new_node(sb, r, cpu, &i);
	return ret ? ret : tmpfs_add(dir, last, i);
}

static long sysfs_get_sb(struct fs_type *t, const struct fs_mount_args *a, struct super_block **out)
{
	struct super_block *sb;
	unsigned cpus = cpu_count();
	long ret = tmpfs_mount_kernel(a->source ? a->source : "sysfs", "mode=555,size=64k,nr_inodes=0", &sb);

	if (ret)
		return ret;
	for (size_t k = 0; k < ARRAY_SIZE(rows) && !ret; k++)
		for (unsigned c = 0; c < (strstr(rows[k].path, "%u") ? cpus : 1) && !ret; c++)
			ret = add_row(sb, &rows[k], c);
	if (ret) {
		sb_put(sb);
		return ret;
	}
	sb->type = t;
	/* Read-only by nature: nobody makes or removes names here. */
	sb->flags |= a->sb_flags | LINUX_MS_RDONLY;
	*out = sb;
	return 0;
}

static struct fs_type sysfs_type = {
	.name = "sysfs",
	.flags = FST_USERNS_MOUNT | FST_NODEV,
	.magic = SYSFS_MAGIC,
	.get_sb = sysfs_get_sb,
};

void sysfs_init(void)
{
	fs_register(&sysfs_type);
}
