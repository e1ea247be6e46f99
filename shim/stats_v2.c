/* SPDX-License-Identifier: Apache-2.0
 * shim/stats_v2.c - io.containerd.cgroups.v2.Metrics
 *
 * Source: cgroup-v2.rst; field numbers in proto/cgroups2.proto. CRI's working set is usage minus
 *         inactive_file, Docker's memory figure too: both must be there.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "cgroups2.pb-c.h"
#include "shim/kvfile.h"
#include "shim/shim_util.h"
#include "shim/stats.h"

#define IO_MAX	 256 /* devices */
#define LINKS_MAX 256

#define ROW(type, key) { #key, offsetof(type, key) }
#define MEM(key)       ROW(Cgroups2__MemoryStat, key)
static const struct kv_row mem_rows[] = {
	MEM(anon), MEM(file), MEM(kernel_stack), MEM(slab), MEM(sock), MEM(shmem), MEM(file_mapped),
	MEM(file_dirty), MEM(file_writeback), MEM(anon_thp), MEM(inactive_anon), MEM(active_anon),
	MEM(inactive_file), MEM(active_file), MEM(unevictable), MEM(slab_reclaimable),
	MEM(slab_unreclaimable), MEM(pgfault), MEM(pgmajfault), MEM(workingset_refault),
	MEM(workingset_activate), MEM(workingset_nodereclaim), MEM(pgrefill), MEM(pgscan), MEM(pgsteal),
	MEM(pgactivate), MEM(pgdeactivate), MEM(pglazyfree), MEM(pglazyfreed), MEM(thp_fault_alloc),
	MEM(thp_collapse_alloc),
	/* split in two since Linux 5.9 */
	{ "workingset_refault_anon", offsetof(Cgroups2__MemoryStat, workingset_refault) },
	{ "workingset_refault_file", offsetof(Cgroups2__MemoryStat, workingset_refault) },
	{ "workingset_activate_anon", offsetof(Cgroups2__MemoryStat, workingset_activate) },
	{ "workingset_activate_file", offsetof(Cgroups2__MemoryStat, workingset_activate) },
};

#define CPU(key) ROW(Cgroups2__CPUStat, key)
static const struct kv_row cpu_rows[] = {
	CPU(usage_usec), CPU(user_usec), CPU(system_usec), CPU(nr_periods), CPU(nr_throttled),
	CPU(throttled_usec), CPU(nr_bursts), CPU(burst_usec),
};

#define EV(key) ROW(Cgroups2__MemoryEvents, key)
static const struct kv_row event_rows[] = {
	EV(low), EV(high), EV(max), EV(oom), EV(oom_kill), EV(oom_group_kill),
};

struct psi {
	Cgroups2__PSIStats stats;
	Cgroups2__PSIData some, full;
};

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0"; NULL when the kernel does not keep it. */
static Cgroups2__PSIStats *read_psi(const char *dir, const char *file, struct psi *p)
{
	AUTO_FREE char *text = NULL, *path = NULL;
	size_t len;
	char *save = NULL;
	bool any = false;

	if (asprintf(&path, "%s/%s", dir, file) < 0) {
		path = NULL;
		return NULL;
	}
	if (file_read(AT_FDCWD, path, 4096, &text, &len) < 0)
		return NULL;
	cgroups2__psistats__init(&p->stats);
	for (char *l = strtok_r(text, "\n", &save); l; l = strtok_r(NULL, "\n", &save)) {
		bool some = !strncmp(l, "some ", 5);
		Cgroups2__PSIData *d = some ? &p->some : &p->full;
		unsigned long long total;

		cgroups2__psidata__init(d);
		if (sscanf(l + 5, "avg10=%lf avg60=%lf avg300=%lf total=%llu", &d->avg10, &d->avg60,
			   &d->avg300, &total) != 4)
			continue;
		d->total = total;
		*(some ? &p->stats.some : &p->stats.full) = d;
		any = true;
	}
	return any ? &p->stats : NULL;
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=0 dios=0" */
static size_t read_io(const char *dir, Cgroups2__IOEntry *entries, Cgroups2__IOEntry **list)
{
	AUTO_FREE char *text = NULL, *path = NULL;
	size_t len, n = 0;
	char *save = NULL;

	if (asprintf(&path, "%s/io.stat", dir) < 0) {
		path = NULL;
		return 0;
	}
	if (file_read(AT_FDCWD, path, 256 << 10, &text, &len) < 0)
		return 0;
	for (char *l = strtok_r(text, "\n", &save); l && n < IO_MAX; l = strtok_r(NULL, "\n", &save)) {
		Cgroups2__IOEntry *en = &entries[n];
		unsigned long long maj, min, rb, wb, ri, wi;

		if (sscanf(l, "%llu:%llu rbytes=%llu wbytes=%llu rios=%llu wios=%llu", &maj, &min, &rb, &wb,
			   &ri, &wi) != 6)
			continue;
		cgroups2__ioentry__init(en);
		en->major = maj;
		en->minor = min;
		en->rbytes = rb;
		en->wbytes = wb;
		en->rios = ri;
		en->wios = wi;
		list[n++] = en;
	}
	return n;
}

static size_t fill_links(const struct lc_stats *s, Cgroups2__NetworkStat *net, Cgroups2__NetworkStat **list)
{
	size_t n = s ? MIN(s->nr_links, (size_t)LINKS_MAX) : 0;

	for (size_t i = 0; i < n; i++) {
		cgroups2__network_stat__init(&net[i]);
		list[i] = &net[i];
		net[i].name = s->links[i].name;
		net[i].rx_bytes = s->links[i].rx_bytes;
		net[i].rx_packets = s->links[i].rx_packets;
		net[i].rx_errors = s->links[i].rx_errors;
		net[i].rx_dropped = s->links[i].rx_dropped;
		net[i].tx_bytes = s->links[i].tx_bytes;
		net[i].tx_packets = s->links[i].tx_packets;
		net[i].tx_errors = s->links[i].tx_errors;
		net[i].tx_dropped = s->links[i].tx_dropped;
	}
	return n;
}

/* Everything that the message points at, in one allocation. */
struct v2 {
	Cgroups2__Metrics m;
	Cgroups2__PidsStat pids;
	Cgroups2__CPUStat cpu;
	Cgroups2__MemoryStat mem;
	Cgroups2__MemoryEvents events;
	Cgroups2__IOStat io;
	struct psi cpu_psi, mem_psi, io_psi;
	Cgroups2__IOEntry io_entries[IO_MAX], *io_list[IO_MAX];
	Cgroups2__NetworkStat net[LINKS_MAX], *net_list[LINKS_MAX];
};

static void fill_from_cgroup(struct v2 *v, const char *dir)
{
	v->pids.current = numfile_read(dir, "pids.current", 0);
	v->pids.limit = numfile_read(dir, "pids.max", 0);
	kvfile_read(dir, "cpu.stat", cpu_rows, ARRAY_SIZE(cpu_rows), &v->cpu);
	v->cpu.psi = read_psi(dir, "cpu.pressure", &v->cpu_psi);
	kvfile_read(dir, "memory.stat", mem_rows, ARRAY_SIZE(mem_rows), &v->mem);
	v->mem.usage = numfile_read(dir, "memory.current", 0);
	v->mem.usage_limit = numfile_read(dir, "memory.max", UINT64_MAX);
	v->mem.max_usage = numfile_read(dir, "memory.peak", 0);
	v->mem.swap_usage = numfile_read(dir, "memory.swap.current", 0);
	v->mem.swap_limit = numfile_read(dir, "memory.swap.max", 0);
	v->mem.swap_max_usage = numfile_read(dir, "memory.swap.peak", 0);
	v->mem.psi = read_psi(dir, "memory.pressure", &v->mem_psi);
	kvfile_read(dir, "memory.events", event_rows, ARRAY_SIZE(event_rows), &v->events);
	v->io.n_usage = read_io(dir, v->io_entries, v->io_list);
	v->io.usage = v->io_list;
	v->io.psi = read_psi(dir, "io.pressure", &v->io_psi);
}

/* Without a cgroup of its own: what the Sentry knows. */
static void fill_from_sentry(struct v2 *v, const struct lc_stats *s)
{
	v->pids.current = s->pids_current;
	v->pids.limit = s->pids_limit;
	v->cpu.usage_usec = s->cpu_total_ns / 1000;
	v->cpu.user_usec = s->cpu_user_ns / 1000;
	v->cpu.system_usec = s->cpu_system_ns / 1000;
	v->mem.usage = s->mem_usage;
	v->mem.usage_limit = s->mem_limit;
	v->mem.max_usage = s->mem_max_usage;
	v->mem.anon = s->mem_rss;
	v->mem.file = s->mem_cache;
	v->mem.inactive_file = s->mem_inactive_file;
	v->mem.active_file = s->mem_active_file;
	v->events.oom_kill = s->mem_oom_kill;
}

uint8_t *metrics_v2(const char *dir, const struct lc_stats *s, size_t *out_len)
{
	AUTO_FREE struct v2 *v = calloc(1, sizeof(*v));
	uint8_t *out;

	if (!v)
		return NULL;
	cgroups2__metrics__init(&v->m);
	cgroups2__pids_stat__init(&v->pids);
	cgroups2__cpustat__init(&v->cpu);
	cgroups2__memory_stat__init(&v->mem);
	cgroups2__memory_events__init(&v->events);
	cgroups2__iostat__init(&v->io);
	if (dir)
		fill_from_cgroup(v, dir);
	else if (s)
		fill_from_sentry(v, s);
	v->m.pids = &v->pids;
	v->m.cpu = &v->cpu;
	v->m.memory = &v->mem;
	v->m.memory_events = &v->events;
	v->m.io = &v->io;
	v->m.n_network = fill_links(s, v->net, v->net_list);
	v->m.network = v->net_list;
	out = malloc(cgroups2__metrics__get_packed_size(&v->m) + 1);
	if (out)
		*out_len = cgroups2__metrics__pack(&v->m, out);
	return out;
}
