/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/cgroup_v2.c - limits and figures of the unified hierarchy
 *
 * Source:  kernel cgroup-v2.rst; conversions of v1 values as runc and systemd do them (crun's cgroup-v2 notes).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "runsc/lib/cgroup.h"

static const char *dir_of(const struct cgroup *g)
{
	return g->dirs[0].path;
}

static int put(const struct cgroup *g, const char *file, const char *text, struct err *e)
{
	if (cgroup_write(dir_of(g), file, text) == 0)
		return 0;
	if (errno == ENOENT)
		return err_set(e, ENOENT, "set %s: the controller is not available in %s", file, dir_of(g));
	return err_sys(e, "set %s to %s in %s", file, text, dir_of(g));
}

static int put_num(const struct cgroup *g, const char *file, int64_t v, struct err *e)
{
	char text[32];

	snprintf(text, sizeof(text), "%" PRId64, v);
	return put(g, file, v < 0 ? "max" : text, e);
}

/* Every controller that a level offers is switched on for the next, from the mount point down to the parent. */
int cgroup_v2_enable(const struct cgroup_dir *d, struct err *e)
{
	AUTO_FREE char *p = strdup(d->path);
	size_t base = strlen(d->mount);

	if (!p)
		return err_set(e, ENOMEM, "out of memory");
	for (char *end = p + base; end && *end; end = strchr(end + 1, '/')) {
		char save = *end, have[512], *ctl, *next = NULL;
		AUTO_FREE char *text = NULL;
		size_t len;

		*end = '\0';
		snprintf(have, sizeof(have), "%.480s/cgroup.controllers", p);
		if (read_file_at(-1, have, 4096, &text, &len) == 0) {
			for (ctl = strtok_r(text, " \n", &next); ctl; ctl = strtok_r(NULL, " \n", &next)) {
				char on[64];

				snprintf(on, sizeof(on), "+%.60s", ctl);
				/* EBUSY: the level has processes of its own; the limit that needs it will say so */
				if (cgroup_write(p, "cgroup.subtree_control", on) < 0)
					log_debug("%s: enable %s: %s", p, ctl, strerror(errno));
			}
		}
		*end = save;
	}
	return 0;
}

static int apply_memory(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	struct jopt limit = r->memory.limit, swap = r->memory.swap;

	if (swap.set && swap.v != 0) {
		int64_t only = swap.v;

		/* v1 counts memory+swap, v2 swap alone */
		if (swap.v > 0) {
			if (!limit.set || limit.v <= 0)
				return err_set(e, EINVAL, "memory.swap needs memory.limit");
			if (swap.v < limit.v)
				return err_set(e, EINVAL, "memory.swap (memory+swap) must not be below memory.limit");
			only = swap.v - limit.v;
		}
		if (put_num(g, "memory.swap.max", only, e) < 0 && !(e->code == ENOENT && only < 0))
			return -1;
	}
	if (limit.set && limit.v != 0 && put_num(g, "memory.max", limit.v, e) < 0)
		return -1;
	if (r->memory.reservation.set && r->memory.reservation.v != 0)
		return put_num(g, "memory.low", r->memory.reservation.v, e);
	return 0;
}

static int apply_cpu(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	char text[96];

	if (r->cpu.idle.set && put_num(g, "cpu.idle", r->cpu.idle.v, e) < 0)
		return -1;
	if (r->cpu.shares.set && r->cpu.shares.v) {
		uint64_t sh = MIN(MAX(r->cpu.shares.v, (uint64_t)2), (uint64_t)262144);

		/* [2..262144] onto [1..10000], as systemd and runc map it */
		if (put_num(g, "cpu.weight", (int64_t)(1 + ((sh - 2) * 9999) / 262142), e) < 0)
			return -1;
	}
	if ((r->cpu.quota.set && r->cpu.quota.v) || (r->cpu.period.set && r->cpu.period.v)) {
		uint64_t period = r->cpu.period.set && r->cpu.period.v ? r->cpu.period.v : 100000;

		if (r->cpu.quota.set && r->cpu.quota.v > 0)
			snprintf(text, sizeof(text), "%" PRId64 " %" PRIu64, r->cpu.quota.v, period);
		else
			snprintf(text, sizeof(text), "max %" PRIu64, period);
		if (put(g, "cpu.max", text, e) < 0)
			return -1;
	}
	if (r->cpu.burst.set && put_num(g, "cpu.max.burst", (int64_t)r->cpu.burst.v, e) < 0)
		return -1;
	if (r->cpu.cpus && *r->cpu.cpus && put(g, "cpuset.cpus", r->cpu.cpus, e) < 0)
		return -1;
	return r->cpu.mems && *r->cpu.mems ? put(g, "cpuset.mems", r->cpu.mems, e) : 0;
}

static int apply_pids(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	return r->pids.limit.set && r->pids.limit.v ? put_num(g, "pids.max", r->pids.limit.v, e) : 0;
}

static int put_io_max(const struct cgroup *g, const struct jarr *a, const char *key, struct err *e)
{
	const struct oci_throttle *t = a->v;

	for (size_t i = 0; i < a->n; i++) {
		char text[128];

		snprintf(text, sizeof(text), "%" PRId64 ":%" PRId64 " %s=%" PRIu64, t[i].major, t[i].minor, key, t[i].rate);
		if (put(g, "io.max", text, e) < 0)
			return -1;
	}
	return 0;
}

static int apply_io(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	if (r->blkio.weight.set && r->blkio.weight.v) {
		/* [10..1000] onto [1..10000] unless BFQ takes the value as it is */
		uint64_t w = MIN(MAX(r->blkio.weight.v, (uint64_t)10), (uint64_t)1000);
		char text[32];

		snprintf(text, sizeof(text), "%" PRIu64, w);
		if (cgroup_write(dir_of(g), "io.bfq.weight", text) < 0 &&
		    put_num(g, "io.weight", (int64_t)(1 + (w - 10) * 9999 / 990), e) < 0)
			return -1;
	}
	if (put_io_max(g, &r->blkio.read_bps, "rbps", e) < 0 || put_io_max(g, &r->blkio.write_bps, "wbps", e) < 0 ||
	    put_io_max(g, &r->blkio.read_iops, "riops", e) < 0)
		return -1;
	return put_io_max(g, &r->blkio.write_iops, "wiops", e);
}

static int apply_hugetlb(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	const struct oci_hugepage *h = r->hugepages.v;

	for (size_t i = 0; i < r->hugepages.n; i++) {
		char file[96], text[32];

		if (strchr(h[i].size, '/'))
			return err_set(e, EINVAL, "hugepageLimits[%zu].pageSize is no page size", i);
		snprintf(file, sizeof(file), "hugetlb.%.32s.max", h[i].size);
		snprintf(text, sizeof(text), "%" PRIu64, h[i].limit);
		if (put(g, file, text, e) < 0)
			return -1;
	}
	return 0;
}

static int apply_unified(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	for (size_t i = 0; i < r->unified.n; i++) {
		const char *file = r->unified.v[i].key;

		if (strchr(file, '/') || !strchr(file, '.'))
			return err_set(e, EINVAL, "resources.unified: \"%.80s\" is no control file", file);
		if (put(g, file, r->unified.v[i].value, e) < 0)
			return -1;
	}
	return 0;
}

int cgroup_v2_apply(const struct cgroup *g, const struct oci_resources *r, struct err *e)
{
	static int (*const parts[])(const struct cgroup *, const struct oci_resources *, struct err *) = {
		apply_memory, apply_cpu, apply_pids, apply_io, apply_hugetlb, apply_unified,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++)
		if (parts[i](g, r, e) < 0)
			return -1;
	return 0;
}

static void io_sum(const char *dir, struct lc_stats *s)
{
	static const struct {
		const char *key;
		size_t off;
	} keys[] = {
		{ " rbytes=", offsetof(struct lc_stats, blkio_read_bytes) },
		{ " wbytes=", offsetof(struct lc_stats, blkio_write_bytes) },
		{ " rios=", offsetof(struct lc_stats, blkio_reads) },
		{ " wios=", offsetof(struct lc_stats, blkio_writes) },
	};
	char path[4352], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/io.stat", dir);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
			const char *at = strstr(line, keys[i].key);

			if (at)
				*(uint64_t *)((char *)s + keys[i].off) += strtoull(at + strlen(keys[i].key), NULL, 10);
		}
	}
	if (f)
		fclose(f);
}

void cgroup_v2_stats(const struct cgroup *g, struct lc_stats *s)
{
	const char *d = dir_of(g);
	uint64_t max;

	s->cpu_total_ns = cgroup_read_key(d, "cpu.stat", "usage_usec", 0) * 1000;
	s->cpu_user_ns = cgroup_read_key(d, "cpu.stat", "user_usec", 0) * 1000;
	s->cpu_system_ns = cgroup_read_key(d, "cpu.stat", "system_usec", 0) * 1000;
	s->cpu_periods = cgroup_read_key(d, "cpu.stat", "nr_periods", 0);
	s->cpu_throttled_periods = cgroup_read_key(d, "cpu.stat", "nr_throttled", 0);
	s->cpu_throttled_ns = cgroup_read_key(d, "cpu.stat", "throttled_usec", 0) * 1000;
	s->mem_usage = cgroup_read_u64(d, "memory.current", 0);
	s->mem_max_usage = cgroup_read_u64(d, "memory.peak", 0);
	s->mem_limit = cgroup_read_u64(d, "memory.max", 0);
	s->mem_cache = cgroup_read_key(d, "memory.stat", "file", 0);
	s->mem_rss = cgroup_read_key(d, "memory.stat", "anon", 0);
	s->mem_inactive_file = cgroup_read_key(d, "memory.stat", "inactive_file", 0);
	s->mem_active_file = cgroup_read_key(d, "memory.stat", "active_file", 0);
	s->mem_pgfault = cgroup_read_key(d, "memory.stat", "pgfault", 0);
	s->mem_pgmajfault = cgroup_read_key(d, "memory.stat", "pgmajfault", 0);
	s->mem_failcnt = cgroup_read_key(d, "memory.events", "max", 0);
	s->mem_oom_kill = cgroup_read_key(d, "memory.events", "oom_kill", 0);
	s->swap_usage = cgroup_read_u64(d, "memory.swap.current", 0);
	s->swap_limit = cgroup_read_u64(d, "memory.swap.max", 0);
	s->pids_current = cgroup_read_u64(d, "pids.current", 0);
	max = cgroup_read_u64(d, "pids.max", 0);
	s->pids_limit = max == UINT64_MAX ? 0 : max;
	io_sum(d, s);
}
