/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup_v1.c - limits and figures of version 1 hierarchies
 *
 * Source:  kernel Documentation/admin-guide/cgroup-v1/; runtime-spec config-linux.md names the files.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "runsc/lib/cgroup.h"

/* Writes a value; a hierarchy that is not there is an error, for the limit would silently not hold. */
static int put(const struct cgroup *g, const char *controller, const char *file, const char *text, struct err *e)
{
	const char *dir = cgroup_dir_of(g, controller);

	if (!dir)
		return err_set(e, ENOENT, "set %s: this host has no cgroup controller \"%s\"", file, controller);
	if (cgroup_write(dir, file, text) < 0)
		return err_sys(e, "set %s to %s in %s", file, text, dir);
	return 0;
}

static int put_i64(const struct cgroup *g, const char *controller, const char *file, int64_t v, struct err *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, v);
	return put(g, controller, file, text, e);
}

/* memory.limit_in_bytes may never exceed memory.memsw.limit_in_bytes: raise the outer, or lower the inner, first. */
static int apply_memory_limits(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	static const char inner[] = "memory.limit_in_bytes", outer[] = "memory.memsw.limit_in_bytes";
	const char *dir = cgroup_dir_of(g, "memory");
	struct jopt limit = r->memory.limit, swap = r->memory.swap;
	uint64_t now;

	if (limit.set && limit.v == 0)
		limit.set = false;
	if (swap.set && swap.v == 0)
		swap.set = false;
	if (limit.set && limit.v == -1 && !swap.set && dir && cgroup_read_u64(dir, outer, 0))
		swap = (struct jopt){ true, -1 };
	if (!limit.set || !swap.set) {
		if (limit.set && put_i64(g, "memory", inner, limit.v, e) < 0)
			return -1;
		return swap.set ? put_i64(g, "memory", outer, swap.v, e) : 0;
	}
	if (swap.v != -1 && (limit.v == -1 || swap.v < limit.v))
		return err_set(e, EINVAL, "memory.swap (memory+swap) must not be below memory.limit");
	now = dir ? cgroup_read_u64(dir, outer, 0) : 0;
	if (swap.v == -1 || (uint64_t)swap.v > now) {
		if (put_i64(g, "memory", outer, swap.v, e) < 0)
			return -1;
		return put_i64(g, "memory", inner, limit.v, e);
	}
	if (put_i64(g, "memory", inner, limit.v, e) < 0)
		return -1;
	return put_i64(g, "memory", outer, swap.v, e);
}

static int apply_memory(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	if (apply_memory_limits(g, r, e) < 0)
		return -1;
	if (r->memory.reservation.set && r->memory.reservation.v != 0 &&
	    put_i64(g, "memory", "memory.soft_limit_in_bytes", r->memory.reservation.v, e) < 0)
		return -1;
	if (r->memory.kernel_tcp.set && r->memory.kernel_tcp.v != 0 &&
	    put_i64(g, "memory", "memory.kmem.tcp.limit_in_bytes", r->memory.kernel_tcp.v, e) < 0)
		return -1;
	if (r->memory.disable_oom_killer == 1 && put(g, "memory", "memory.oom_control", "1", e) < 0)
		return -1;
	if (!r->memory.swappiness.set || r->memory.swappiness.v == UINT64_MAX)
		return 0;
	if (r->memory.swappiness.v > 100)
		return err_set(e, EINVAL, "memory.swappiness is not within 0..100");
	return put_i64(g, "memory", "memory.swappiness", (int64_t)r->memory.swappiness.v, e);
}

static int apply_cpu(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	if (r->cpu.shares.set && r->cpu.shares.v &&
	    put_i64(g, "cpu", "cpu.shares", (int64_t)MIN(r->cpu.shares.v, (uint64_t)262144), e) < 0)
		return -1;
	if (r->cpu.period.set && r->cpu.period.v) {
		struct err first = ERR_INIT;

		/* with a quota still in force the kernel may refuse the period until the quota has changed */
		if (put_i64(g, "cpu", "cpu.cfs_period_us", (int64_t)r->cpu.period.v, &first) < 0 &&
		    (first.code != EINVAL || !r->cpu.quota.set)) {
			*e = first;
			return -1;
		}
	}
	if (r->cpu.quota.set && r->cpu.quota.v) {
		if (put_i64(g, "cpu", "cpu.cfs_quota_us", r->cpu.quota.v, e) < 0)
			return -1;
		if (r->cpu.period.set && r->cpu.period.v &&
		    put_i64(g, "cpu", "cpu.cfs_period_us", (int64_t)r->cpu.period.v, e) < 0)
			return -1;
	}
	if (r->cpu.burst.set && put_i64(g, "cpu", "cpu.cfs_burst_us", (int64_t)r->cpu.burst.v, e) < 0)
		return -1;
	if (r->cpu.idle.set && put_i64(g, "cpu", "cpu.idle", r->cpu.idle.v, e) < 0)
		return -1;
	if (r->cpu.realtime_period.set && r->cpu.realtime_period.v &&
	    put_i64(g, "cpu", "cpu.rt_period_us", (int64_t)r->cpu.realtime_period.v, e) < 0)
		return -1;
	if (r->cpu.realtime_runtime.set && r->cpu.realtime_runtime.v &&
	    put_i64(g, "cpu", "cpu.rt_runtime_us", r->cpu.realtime_runtime.v, e) < 0)
		return -1;
	if (r->cpu.cpus && *r->cpu.cpus && put(g, "cpuset", "cpuset.cpus", r->cpu.cpus, e) < 0)
		return -1;
	return r->cpu.mems && *r->cpu.mems ? put(g, "cpuset", "cpuset.mems", r->cpu.mems, e) : 0;
}

static int apply_pids(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	char text[32];

	if (!r->pids.limit.set || r->pids.limit.v == 0)
		return 0;
	if (r->pids.limit.v < 0)
		return put(g, "pids", "pids.max", "max", e);
	snprintf(text, sizeof(text), "%" PRId64, r->pids.limit.v);
	return put(g, "pids", "pids.max", text, e);
}

static int put_throttle(const struct cgroup *g, const struct jarr *a, const char *file, struct err *e)
{
	const struct oci_throttle *t = a->v;

	for (size_t i = 0; i < a->n; i++) {
		char text[96];

		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %" PRIu64, t[i].major, t[i].minor, t[i].rate);
		if (put(g, "blkio", file, text, e) < 0)
			return -1;
	}
	return 0;
}

static int apply_blkio(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	const char *dir = cgroup_dir_of(g, "blkio");
	char text[32];

	if (r->blkio.weight.set && r->blkio.weight.v) {
		snprintf(text, sizeof(text), "%" PRIu64, r->blkio.weight.v);
		/* the file exists only with the CFQ or BFQ scheduler, under one of two names */
		if (!dir || (cgroup_write(dir, "blkio.weight", text) < 0 && cgroup_write(dir, "blkio.bfq.weight", text) < 0))
			return err_sys(e, "set blkio.weight: no weight file in %s", dir ? dir : "blkio");
	}
	if (put_throttle(g, &r->blkio.read_bps, "blkio.throttle.read_bps_device", e) < 0 ||
	    put_throttle(g, &r->blkio.write_bps, "blkio.throttle.write_bps_device", e) < 0 ||
	    put_throttle(g, &r->blkio.read_iops, "blkio.throttle.read_iops_device", e) < 0)
		return -1;
	return put_throttle(g, &r->blkio.write_iops, "blkio.throttle.write_iops_device", e);
}

static int apply_other(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	const struct oci_hugepage *h = r->hugepages.v;
	const struct oci_ifprio *p = r->network.priorities.v;

	for (size_t i = 0; i < r->hugepages.n; i++) {
		char file[96], text[32];

		if (strchr(h[i].size, '/'))
			return err_set(e, EINVAL, "hugepageLimits[%zu].pageSize is no page size", i);
		snprintf(file, sizeof(file), "hugetlb.%.32s.limit_in_bytes", h[i].size);
		snprintf(text, sizeof(text), "%" PRIu64, h[i].limit);
		if (put(g, "hugetlb", file, text, e) < 0)
			return -1;
	}
	if (r->network.class_id.set && r->network.class_id.v &&
	    put_i64(g, "net_cls", "net_cls.classid", (int64_t)r->network.class_id.v, e) < 0)
		return -1;
	for (size_t i = 0; i < r->network.priorities.n; i++) {
		char text[128];

		snprintf(text, sizeof(text), "%.64s %u", p[i].name, p[i].priority);
		if (put(g, "net_prio", "net_prio.ifpriomap", text, e) < 0)
			return -1;
	}
	/* device rules: a stub process can open no device of the host, whatever they say */
	return 0;
}

int cgroup_v1_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	static int (*const parts[])(const struct cgroup *, const struct oci_resources *, struct err *) = {
		apply_memory, apply_cpu, apply_pids, apply_blkio, apply_other,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i](g, r, e) < 0)
			return -1;
	return 0;
}

/* "8:0 Read 123" lines summed by operation. */
static void blkio_sum(const char *dir, const char *file, uint64_t *out_read, uint64_t *out_write)
{
	char path[4352], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		unsigned long long v;
		char op[16];

		if (sscanf(line, "%*u:%*u %15s %llu", op, &v) != 2)
			continue;
		if (strcmp(op, "Read") == 0)
			*out_read += v;
		else if (strcmp(op, "Write") == 0)
			*out_write += v;
	}
	fclose(f);
}

void cgroup_v1_stats(const struct cgroup *g, struct lc_stats *s)
{
	const char *cpu = cgroup_dir_of(g, "cpu"), *acct = cgroup_dir_of(g, "cpuacct");
	const char *mem = cgroup_dir_of(g, "memory"), *pids = cgroup_dir_of(g, "pids"), *blk = cgroup_dir_of(g, "blkio");

	if (acct) {
		/* cpuacct.stat counts in ticks of 1/100 s */
		s->cpu_total_ns = cgroup_read_u64(acct, "cpuacct.usage", 0);
		s->cpu_user_ns = cgroup_read_key(acct, "cpuacct.stat", "user", 0) * 10000000ull;
		s->cpu_system_ns = cgroup_read_key(acct, "cpuacct.stat", "system", 0) * 10000000ull;
	}
	if (cpu) {
		s->cpu_periods = cgroup_read_key(cpu, "cpu.stat", "nr_periods", 0);
		s->cpu_throttled_periods = cgroup_read_key(cpu, "cpu.stat", "nr_throttled", 0);
		s->cpu_throttled_ns = cgroup_read_key(cpu, "cpu.stat", "throttled_time", 0);
	}
	if (mem) {
		s->mem_usage = cgroup_read_u64(mem, "memory.usage_in_bytes", 0);
		s->mem_max_usage = cgroup_read_u64(mem, "memory.max_usage_in_bytes", 0);
		s->mem_limit = cgroup_read_u64(mem, "memory.limit_in_bytes", 0);
		s->mem_failcnt = cgroup_read_u64(mem, "memory.failcnt", 0);
		s->mem_cache = cgroup_read_key(mem, "memory.stat", "total_cache", 0);
		s->mem_rss = cgroup_read_key(mem, "memory.stat", "total_rss", 0);
		s->mem_inactive_file = cgroup_read_key(mem, "memory.stat", "total_inactive_file", 0);
		s->mem_active_file = cgroup_read_key(mem, "memory.stat", "total_active_file", 0);
		s->mem_pgfault = cgroup_read_key(mem, "memory.stat", "total_pgfault", 0);
		s->mem_pgmajfault = cgroup_read_key(mem, "memory.stat", "total_pgmajfault", 0);
		s->mem_oom_kill = cgroup_read_key(mem, "memory.oom_control", "oom_kill", 0);
		s->swap_usage = cgroup_read_u64(mem, "memory.memsw.usage_in_bytes", 0);
		s->swap_limit = cgroup_read_u64(mem, "memory.memsw.limit_in_bytes", 0);
	}
	if (pids) {
		uint64_t max = cgroup_read_u64(pids, "pids.max", 0);

		s->pids_current = cgroup_read_u64(pids, "pids.current", 0);
		s->pids_limit = max == UINT64_MAX ? 0 : max;
	}
	if (blk) {
		blkio_sum(blk, "blkio.throttle.io_service_bytes", &s->blkio_read_bytes, &s->blkio_write_bytes);
		blkio_sum(blk, "blkio.throttle.io_serviced", &s->blkio_reads, &s->blkio_writes);
	}
}
