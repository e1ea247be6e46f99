/* SPDX-License-Identifier: Apache-2.0
 * shim/stats_v1.c - io.containerd.cgroups.v1.Metrics
 *
 * Source: cgroup-v1/{memory,cpuacct,blkio-controller,pids}.rst; field numbers in proto/cgroups1.proto.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups1.pb-c.h"
#include "shim/kvfile.h"
#include "shim/shim_util.h"
#include "shim/stats.h"

#define CPUS_MAX  1024
#define BLKIO_MAX 512
#define LINKS_MAX 256

#define MEM2(key, field) { #key, offsetof(Cgroups1__MemoryStat, field) }
#define MEM(key)	 MEM2(key, key)
static const struct kv_row mem_rows[] = {
	MEM(cache), MEM(rss), MEM(rss_huge), MEM(mapped_file), MEM(dirty), MEM(writeback),
	MEM2(pgpgin, pg_pg_in), MEM2(pgpgout, pg_pg_out), MEM2(pgfault, pg_fault),
	MEM2(pgmajfault, pg_maj_fault), MEM(inactive_anon), MEM(active_anon), MEM(inactive_file),
	MEM(active_file), MEM(unevictable), MEM(hierarchical_memory_limit),
	MEM2(hierarchical_memsw_limit, hierarchical_swap_limit), MEM(total_cache), MEM(total_rss),
	MEM(total_rss_huge), MEM(total_mapped_file), MEM(total_dirty), MEM(total_writeback),
	MEM2(total_pgpgin, total_pg_pg_in), MEM2(total_pgpgout, total_pg_pg_out),
	MEM2(total_pgfault, total_pg_fault), MEM2(total_pgmajfault, total_pg_maj_fault),
	MEM(total_inactive_anon), MEM(total_active_anon), MEM(total_inactive_file),
	MEM(total_active_file), MEM(total_unevictable),
};

static const struct kv_row throttle_rows[] = {
	{ "nr_periods", offsetof(Cgroups1__Throttle, periods) },
	{ "nr_throttled", offsetof(Cgroups1__Throttle, throttled_periods) },
	{ "throttled_time", offsetof(Cgroups1__Throttle, throttled_time) },
};

static const struct kv_row oom_rows[] = {
	{ "oom_kill_disable", offsetof(Cgroups1__MemoryOomControl, oom_kill_disable) },
	{ "under_oom", offsetof(Cgroups1__MemoryOomControl, under_oom) },
	{ "oom_kill", offsetof(Cgroups1__MemoryOomControl, oom_kill) },
};

struct v1 {
	Cgroups1__Metrics m;
	Cgroups1__PidsStat pids;
	Cgroups1__CPUStat cpu;
	Cgroups1__CPUUsage usage;
	Cgroups1__Throttle throttle;
	Cgroups1__MemoryStat mem;
	Cgroups1__MemoryEntry mem_usage, swap, kernel, kernel_tcp;
	Cgroups1__MemoryOomControl oom;
	Cgroups1__BlkIOStat blkio;
	uint64_t per_cpu[CPUS_MAX];
	char ops[2 * BLKIO_MAX][16];
	Cgroups1__BlkIOEntry bytes[BLKIO_MAX], *bytes_list[BLKIO_MAX];
	Cgroups1__BlkIOEntry ios[BLKIO_MAX], *ios_list[BLKIO_MAX];
	Cgroups1__NetworkStat net[LINKS_MAX], *net_list[LINKS_MAX];
};

static void fill_memory(struct v1 *v, const char *dir)
{
	static const struct {
		const char *prefix;
		size_t off;
	} groups[] = {
		{ "memory", offsetof(struct v1, mem_usage) },
		{ "memory.memsw", offsetof(struct v1, swap) },
		{ "memory.kmem", offsetof(struct v1, kernel) },
		{ "memory.kmem.tcp", offsetof(struct v1, kernel_tcp) },
	};
	static const struct {
		const char *suffix;
		size_t off;
	} values[] = {
		{ "usage_in_bytes", offsetof(Cgroups1__MemoryEntry, usage) },
		{ "limit_in_bytes", offsetof(Cgroups1__MemoryEntry, limit) },
		{ "max_usage_in_bytes", offsetof(Cgroups1__MemoryEntry, max) },
		{ "failcnt", offsetof(Cgroups1__MemoryEntry, failcnt) },
	};
	char file[64];

	for (size_t g = 0; g < ARRAY_SIZE(groups); g++) {
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			snprintf(file, sizeof(file), "%s.%s", groups[g].prefix, values[i].suffix);
			*(uint64_t *)((char *)v + groups[g].off + values[i].off) = numfile_read(dir, file, 0);
		}
	}
	kvfile_read(dir, "memory.stat", mem_rows, ARRAY_SIZE(mem_rows), &v->mem);
	kvfile_read(dir, "memory.oom_control", oom_rows, ARRAY_SIZE(oom_rows), &v->oom);
}

static void fill_cpu(struct v1 *v, const char *cpuacct, const char *cpu)
{
	static const struct kv_row ticks[] = {
		{ "user", offsetof(Cgroups1__CPUUsage, user) },
		{ "system", offsetof(Cgroups1__CPUUsage, kernel) },
	};
	AUTO_FREE char *text = NULL, *path = NULL;
	uint64_t tick_ns = NSEC_PER_SEC / (uint64_t)sysconf(_SC_CLK_TCK);
	size_t len;
	char *p, *end;

	v->usage.total = numfile_read(cpuacct, "cpuacct.usage", 0);
	kvfile_read(cpuacct, "cpuacct.stat", ticks, ARRAY_SIZE(ticks), &v->usage);
	v->usage.user *= tick_ns;
	v->usage.kernel *= tick_ns;
	kvfile_read(cpu, "cpu.stat", throttle_rows, ARRAY_SIZE(throttle_rows), &v->throttle);
	if (!cpuacct || asprintf(&path, "%s/cpuacct.usage_percpu", cpuacct) < 0) {
		path = NULL;
		return;
	}
	if (file_read(AT_FDCWD, path, 64 << 10, &text, &len) < 0)
		return;
	for (p = text; v->usage.n_per_cpu < CPUS_MAX; p = end) {
		uint64_t ns = strtoull(p, &end, 10);

		if (end == p)
			break;
		v->per_cpu[v->usage.n_per_cpu++] = ns;
	}
	v->usage.per_cpu = v->per_cpu;
}

/* "8:0 Read 4096" */
static size_t fill_blkio(const char *dir, const char *file, Cgroups1__BlkIOEntry *en,
			 Cgroups1__BlkIOEntry **list, char (*ops)[16])
{
	AUTO_FREE char *text = NULL, *path = NULL;
	size_t len, n = 0;
	char *save = NULL;

	if (!dir || asprintf(&path, "%s/%s", dir, file) < 0) {
		path = NULL;
		return 0;
	}
	if (file_read(AT_FDCWD, path, 256 << 10, &text, &len) < 0)
		return 0;
	for (char *l = strtok_r(text, "\n", &save); l && n < BLKIO_MAX; l = strtok_r(NULL, "\n", &save)) {
		unsigned long long maj, min, val;

		if (sscanf(l, "%llu:%llu %15s %llu", &maj, &min, ops[n], &val) != 4)
			continue;
		cgroups1__blk_ioentry__init(&en[n]);
		en[n].major = maj;
		en[n].minor = min;
		en[n].op = ops[n];
		en[n].value = val;
		list[n] = &en[n];
		n++;
	}
	return n;
}

static void fill_links(struct v1 *v, const struct lc_stats *s)
{
	size_t n = s ? MIN(s->nr_links, (size_t)LINKS_MAX) : 0;

	for (size_t i = 0; i < n; i++) {
		Cgroups1__NetworkStat *to = &v->net[i];

		cgroups1__network_stat__init(to);
		v->net_list[i] = to;
		to->name = s->links[i].name;
		to->rx_bytes = s->links[i].rx_bytes;
		to->rx_packets = s->links[i].rx_packets;
		to->rx_errors = s->links[i].rx_errors;
		to->rx_dropped = s->links[i].rx_dropped;
		to->tx_bytes = s->links[i].tx_bytes;
		to->tx_packets = s->links[i].tx_packets;
		to->tx_errors = s->links[i].tx_errors;
		to->tx_dropped = s->links[i].tx_dropped;
	}
	v->m.n_network = n;
	v->m.network = v->net_list;
}

static void init_all(struct v1 *v)
{
	cgroups1__metrics__init(&v->m);
	cgroups1__pids_stat__init(&v->pids);
	cgroups1__cpustat__init(&v->cpu);
	cgroups1__cpuusage__init(&v->usage);
	cgroups1__throttle__init(&v->throttle);
	cgroups1__memory_stat__init(&v->mem);
	cgroups1__memory_entry__init(&v->mem_usage);
	cgroups1__memory_entry__init(&v->swap);
	cgroups1__memory_entry__init(&v->kernel);
	cgroups1__memory_entry__init(&v->kernel_tcp);
	cgroups1__memory_oom_control__init(&v->oom);
	cgroups1__blk_iostat__init(&v->blkio);
	v->m.pids = &v->pids;
	v->m.cpu = &v->cpu;
	v->cpu.usage = &v->usage;
	v->cpu.throttling = &v->throttle;
	v->m.memory = &v->mem;
	v->mem.usage = &v->mem_usage;
	v->mem.swap = &v->swap;
	v->mem.kernel = &v->kernel;
	v->mem.kernel_tcp = &v->kernel_tcp;
	v->m.memory_oom_control = &v->oom;
	v->m.blkio = &v->blkio;
}

static void fill_from_sentry(struct v1 *v, const struct lc_stats *s)
{
	v->pids.current = s->pids_current;
	v->pids.limit = s->pids_limit;
	v->usage.total = s->cpu_total_ns;
	v->usage.user = s->cpu_user_ns;
	v->usage.kernel = s->cpu_system_ns;
	v->mem_usage.usage = s->mem_usage;
	v->mem_usage.limit = s->mem_limit;
	v->mem_usage.max = s->mem_max_usage;
	v->mem.total_inactive_file = v->mem.inactive_file = s->mem_inactive_file;
	v->mem.total_rss = v->mem.rss = s->mem_rss;
	v->mem.total_cache = v->mem.cache = s->mem_cache;
	v->oom.oom_kill = s->mem_oom_kill;
}

uint8_t *metrics_v1(const char *(*dir)(const void *, const char *), const void *arg,
		    const struct lc_stats *s, size_t *out_len)
{
	AUTO_FREE struct v1 *v = calloc(1, sizeof(*v));
	const char *mem, *blk;
	uint8_t *out;

	if (!v)
		return NULL;
	init_all(v);
	mem = dir(arg, "memory");
	if (mem) {
		fill_memory(v, mem);
		fill_cpu(v, dir(arg, "cpuacct"), dir(arg, "cpu"));
		v->pids.current = numfile_read(dir(arg, "pids"), "pids.current", 0);
		v->pids.limit = numfile_read(dir(arg, "pids"), "pids.max", 0);
		if (v->pids.limit == UINT64_MAX)
			v->pids.limit = 0;
		blk = dir(arg, "blkio");
		v->blkio.n_io_service_bytes_recursive =
			fill_blkio(blk, "blkio.throttle.io_service_bytes_recursive", v->bytes, v->bytes_list, v->ops);
		v->blkio.io_service_bytes_recursive = v->bytes_list;
		v->blkio.n_io_serviced_recursive = fill_blkio(
			blk, "blkio.throttle.io_serviced_recursive", v->ios, v->ios_list, v->ops + BLKIO_MAX);
		v->blkio.io_serviced_recursive = v->ios_list;
	} else if (s) {
		fill_from_sentry(v, s);
	}
	fill_links(v, s);
	out = malloc(cgroups1__metrics__get_packed_size(&v->m) + 1);
	if (out)
		*out_len = cgroups1__metrics__pack(&v->m, out);
	return out;
}
