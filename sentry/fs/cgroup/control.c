/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/control.c - the files of the controllers: cpu, cpuset, io, memory, pids
 *
 * Model:   the group of a container shows the limits of its host cgroup (struct container_limits), which cannot be changed from inside;
 *          groups below it keep what they are told (struct cgroup_knobs). Both are brought into one form, which the files show.
 * Locks:   cgroup_mu for knobs and counts.
 * Source:  "Control Group v2" in the kernel's documentation: names, formats, ranges.
 * Differs: of what is kept, pids.max alone holds below a container's group: processor time and memory are shared out by the host's cgroup
 *          of the container, which sees no groups in it. Memory in use is the sum of resident estimates of the processes; its peak is the
 *          highest that somebody read.
 */
#include <string.h>

#include "sentry/fs/cgroup/cgroupfs_internal.h"
#include "sentry/task/cpus.h"

#define CPU_SHARES	1024ull
#define PERIOD_MIN_US	1000ull
#define PERIOD_MAX_US	1000000ull
#define QUOTA_MIN_US	1000ull
#define QUOTA_MAX_US	(UINT64_MAX >> 20) /* beyond, products in nanoseconds would not fit */
#define WEIGHT_MAX	10000ull
#define PIDS_LIMIT	4194304ull	/* 2^22: more process numbers there cannot be */

/* ---- the values of a group ------------------------------------------------------------------------------------------ */

/* "0-2,5" into bits. 0, -LINUX_EINVAL, -LINUX_ERANGE (no such processor) */
static long parse_cpus(const char *s, uint64_t *set)
{
	uint64_t n[2];

	memset(set, 0, CGROUP_CPUS / 8);
	while (*s) {
		for (int k = 0; k < 2; k++) {
			if (*s < '0' || *s > '9')
				return -LINUX_EINVAL;
			for (n[k] = 0; *s >= '0' && *s <= '9'; s++)
				n[k] = MIN(n[k] * 10 + (uint64_t)(*s - '0'), (uint64_t)CGROUP_CPUS);
			if (k == 0 && *s != '-')
				n[k = 1] = n[0];
			else if (k == 0)
				s++;
		}
		if (n[1] < n[0] || (*s && *s != ','))
			return -LINUX_EINVAL;
		if (n[1] >= cpus_count())
			return -LINUX_ERANGE;
		for (uint64_t i = n[0]; i <= n[1]; i++)
			set[i / 64] |= 1ull << (i % 64);
		s += *s == ',';
	}
	return 0;
}

static bool has_cpu(const uint64_t *set, uint32_t i)
{
	return i < CGROUP_CPUS && set[i / 64] >> (i % 64) & 1;
}

static void put_cpus(struct buf *out, const uint64_t *set)
{
	const char *sep = "";

	for (uint32_t i = 0, to; i < CGROUP_CPUS; i = to + 1) {
		to = i;
		if (!has_cpu(set, i))
			continue;
		while (has_cpu(set, to + 1))
			to++;
		buf_printf(out, to > i ? "%s%u-%u" : "%s%u", sep, i, to);
		sep = ",";
	}
	buf_printf(out, "\n");
}

/* Shares 2..262144 onto weights 1..10000, as the kernel's callers do: KEP-2254. */
static uint64_t weight_of_shares(uint64_t shares)
{
	shares = MIN(MAX(shares ?: CPU_SHARES, 2ull), 262144ull);
	return shares == CPU_SHARES ? 100 : 1 + (shares - 2) * 9999 / 262142;
}

#define LIMIT(field) atomic_load_explicit(&l->field, memory_order_relaxed)

static void host_limits(struct container *c, struct cgroup_knobs *k)
{
	struct container_limits *l = &c->limits;
	char cpus[CONTAINER_CPUS_MAX];

	k->memory_max = LIMIT(memory_max);
	k->memory_low = LIMIT(memory_low);
	k->swap_max = LIMIT(swap_max);
	k->pids_max = LIMIT(pids_max);
	k->cpu_quota_us = LIMIT(cpu_quota_us);
	k->cpu_period_us = LIMIT(cpu_period_us) ?: k->cpu_period_us;
	k->cpu_weight = weight_of_shares(LIMIT(cpu_shares));
	mutex_lock(&l->mu);
	memcpy(cpus, l->cpus, sizeof(cpus));
	mutex_unlock(&l->mu);
	if (parse_cpus(cpus, k->cpus))
		memset(k->cpus, 0, sizeof(k->cpus)); /* of a host with more processors than are shown here */
}

static void get_knobs(const struct cgroup *cg, struct container *c, struct cgroup_knobs *k)
{
	mutex_lock(&cgroup_mu);
	*k = cg->knobs;
	mutex_unlock(&cgroup_mu);
	if (cg->depth == 1 && c)
		host_limits(c, k);
}

static struct cgroup_knobs knobs_of(const struct cg_ctx *x)
{
	struct cgroup_knobs k;

	get_knobs(x->cg, x->c, &k);
	return k;
}

static void set_word(const struct cg_ctx *x, size_t off, uint64_t v)
{
	mutex_lock(&cgroup_mu);
	memcpy((char *)&x->cg->knobs + off, &v, sizeof(v));
	mutex_unlock(&cgroup_mu);
}

static uint64_t get_word(const struct cg_ctx *x)
{
	struct cgroup_knobs k = knobs_of(x);
	uint64_t v;

	memcpy(&v, (char *)&k + x->row->off, sizeof(v));
	return v;
}

/* ---- rows that are one word --------------------------------------------------------------------------------------------- */

long cg_show_bytes(const struct cg_ctx *x, struct buf *out)
{
	cg_put_max(out, get_word(x));
	return 0;
}

/* "max", or bytes with a suffix; whole pages are kept. */
long cg_store_bytes(const struct cg_ctx *x, char *text)
{
	static const char units[] = "KMGTPE";
	size_t len = strlen(text);
	const char *unit = NULL;
	uint64_t v, shift = 0;

	if (!strcmp(text, "max")) {
		set_word(x, x->row->off, CGROUP_NO_LIMIT);
		return 0;
	}
	if (len && text[len - 1] > '9')
		unit = strchr(units, text[len - 1] & ~0x20);
	if (unit) {
		shift = 10 * (uint64_t)(unit - units + 1);
		text[len - 1] = '\0';
	}
	if (!cg_parse(text, UINT64_MAX, &v))
		return -LINUX_EINVAL;
	if (v > (uint64_t)INT64_MAX >> shift)
		v = CGROUP_NO_LIMIT;
	else
		v = (v << shift) & ~(uint64_t)(PAGE_SIZE - 1);
	set_word(x, x->row->off, v);
	return 0;
}

long cg_show_flag(const struct cg_ctx *x, struct buf *out)
{
	return cg_show_bytes(x, out);
}

long cg_store_flag(const struct cg_ctx *x, char *text)
{
	uint64_t v;

	if (!cg_parse(text, 1, &v))
		return -LINUX_EINVAL;
	set_word(x, x->row->off, v);
	return 0;
}

/* ---- cpu ----------------------------------------------------------------------------------------------------------------- */

long cg_show_cpu_max(const struct cg_ctx *x, struct buf *out)
{
	struct cgroup_knobs k = knobs_of(x);

	if (k.cpu_quota_us == CGROUP_NO_LIMIT)
		buf_printf(out, "max %llu\n", (unsigned long long)k.cpu_period_us);
	else
		buf_printf(out, "%llu %llu\n", (unsigned long long)k.cpu_quota_us, (unsigned long long)k.cpu_period_us);
	return 0;
}

long cg_store_cpu_max(const struct cg_ctx *x, char *text)
{
	char *save = NULL, *quota = strtok_r(text, " \t", &save), *period = strtok_r(NULL, " \t", &save);
	uint64_t q, p = knobs_of(x).cpu_period_us;

	if (!quota || !cg_parse_max(quota, QUOTA_MAX_US, &q) || (period && !cg_parse(period, PERIOD_MAX_US, &p)))
		return -LINUX_EINVAL;
	if (q < QUOTA_MIN_US || p < PERIOD_MIN_US || strtok_r(NULL, " \t", &save))
		return -LINUX_EINVAL;
	mutex_lock(&cgroup_mu);
	x->cg->knobs.cpu_quota_us = q;
	x->cg->knobs.cpu_period_us = p;
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_show_cpu_burst(const struct cg_ctx *x, struct buf *out)
{
	return cg_show_bytes(x, out);
}

long cg_store_cpu_burst(const struct cg_ctx *x, char *text)
{
	uint64_t v;

	if (!cg_parse(text, knobs_of(x).cpu_quota_us, &v))
		return -LINUX_EINVAL;
	set_word(x, x->row->off, v);
	return 0;
}

long cg_show_cpu_weight(const struct cg_ctx *x, struct buf *out)
{
	return cg_show_bytes(x, out);
}

static long store_weight(const struct cg_ctx *x, const char *text)
{
	uint64_t v;

	if (!cg_parse(text, UINT64_MAX, &v))
		return -LINUX_EINVAL;
	if (v < 1 || v > WEIGHT_MAX)
		return -LINUX_ERANGE;
	set_word(x, x->row->off, v);
	return 0;
}

long cg_store_cpu_weight(const struct cg_ctx *x, char *text)
{
	return store_weight(x, text);
}

/* Each step of nice(2) changes the share by a quarter: sched(7); 1024 is that of nice 0, which is weight 100 here. */
static const uint32_t nice_shares[40] = {
	88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904, 3906, 3121, 2501, 1991, 1586, 1277,
	1024,  820,   655,   526,   423,   335,	  272,	 215,	172,   137,   110,  87,	  70,	56,   45,   36,	  29,	23,   18,   15,
};

long cg_show_cpu_nice(const struct cg_ctx *x, struct buf *out)
{
	uint64_t share = get_word(x) * 1024 / 100, best = UINT64_MAX;
	int nice = 0;

	for (int k = 0; k < 40; k++) {
		uint64_t far = share > nice_shares[k] ? share - nice_shares[k] : nice_shares[k] - share;

		if (far < best) {
			best = far;
			nice = k - 20;
		}
	}
	buf_printf(out, "%d\n", nice);
	return 0;
}

long cg_store_cpu_nice(const struct cg_ctx *x, char *text)
{
	bool neg = *text == '-';
	uint64_t v;

	if (!cg_parse(text + neg, UINT64_MAX, &v))
		return -LINUX_EINVAL;
	if (v > (neg ? 20 : 19))
		return -LINUX_ERANGE;
	set_word(x, x->row->off, MAX((nice_shares[neg ? 20 - v : 20 + v] * 100ull + 512) / 1024, 1ull));
	return 0;
}

/* ---- cpuset ---------------------------------------------------------------------------------------------------------------- */

long cg_show_cpus(const struct cg_ctx *x, struct buf *out)
{
	struct cgroup_knobs k = knobs_of(x);

	put_cpus(out, k.cpus);
	return 0;
}

long cg_store_cpus(const struct cg_ctx *x, char *text)
{
	uint64_t set[CGROUP_CPUS / 64];
	long ret = parse_cpus(text, set);

	if (ret)
		return ret;
	mutex_lock(&cgroup_mu);
	memcpy(x->cg->knobs.cpus, set, sizeof(set));
	mutex_unlock(&cgroup_mu);
	return 0;
}

/* From above: each group takes what it asks for out of what it gets, or all of that when nothing is left. */
long cg_show_cpus_effective(const struct cg_ctx *x, struct buf *out)
{
	const struct cgroup *way[CGROUP_DEPTH_MAX + 1];
	uint64_t set[CGROUP_CPUS / 64], own[CGROUP_CPUS / 64];
	size_t n = 0;

	for (const struct cgroup *cg = x->cg; cg->parent && n < ARRAY_SIZE(way); cg = cg->parent)
		way[n++] = cg;
	memcpy(set, cpus_possible(), sizeof(set));
	while (n) {
		struct cgroup_knobs k;
		bool any = false;

		get_knobs(way[--n], x->c, &k);
		for (size_t i = 0; i < ARRAY_SIZE(set); i++) {
			own[i] = k.cpus[i] & set[i];
			any |= own[i] != 0;
		}
		if (any)
			memcpy(set, own, sizeof(set));
	}
	put_cpus(out, set);
	return 0;
}

/* Partitions would take processors from others: there is nothing here that could. */
long cg_show_partition(const struct cg_ctx *x, struct buf *out)
{
	buf_printf(out, "member\n");
	return 0;
}

long cg_store_partition(const struct cg_ctx *x, char *text)
{
	return strcmp(text, "member") ? -LINUX_EINVAL : 0;
}

long cg_show_mems(const struct cg_ctx *x, struct buf *out)
{
	buf_printf(out, get_word(x) ? "0\n" : "\n");
	return 0;
}

long cg_store_mems(const struct cg_ctx *x, char *text)
{
	uint64_t v = 0;

	if (*text && strcmp(text, "0-0") && !cg_parse(text, 0, &v))
		return v ? -LINUX_ERANGE : -LINUX_EINVAL;
	set_word(x, x->row->off, *text ? 1 : 0);
	return 0;
}

/* ---- io ------------------------------------------------------------------------------------------------------------------------ */

long cg_show_io_weight(const struct cg_ctx *x, struct buf *out)
{
	buf_printf(out, "default %llu\n", (unsigned long long)get_word(x));
	return 0;
}

long cg_store_io_weight(const struct cg_ctx *x, char *text)
{
	return store_weight(x, strncmp(text, "default ", 8) ? text : text + 8);
}

/* ---- memory -------------------------------------------------------------------------------------------------------------------- */

static uint64_t memory_now(const struct cg_ctx *x, struct cgroup_usage *u)
{
	uint64_t now;

	task_cgroup_usage(x->cg, u);
	now = u->anon + u->file;
	mutex_lock(&cgroup_mu);
	x->cg->peak_memory = MAX(x->cg->peak_memory, now);
	mutex_unlock(&cgroup_mu);
	return now;
}

long cg_show_memory_current(const struct cg_ctx *x, struct buf *out)
{
	struct cgroup_usage u;

	buf_printf(out, "%llu\n", (unsigned long long)memory_now(x, &u));
	return 0;
}

long cg_show_memory_peak(const struct cg_ctx *x, struct buf *out)
{
	struct cgroup_usage u;

	memory_now(x, &u);
	mutex_lock(&cgroup_mu);
	buf_printf(out, "%llu\n", (unsigned long long)x->cg->peak_memory);
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_show_memory_stat(const struct cg_ctx *x, struct buf *out)
{
	static const char *const zeros[] = { "kernel", "kernel_stack", "pagetables", "percpu", "sock", "vmalloc", "shmem", "zswap",
					     "zswapped", "file_mapped", "file_dirty", "file_writeback", "swapcached", "anon_thp",
					     "inactive_anon", "active_file", "unevictable", "slab_reclaimable", "slab_unreclaimable",
					     "slab", "workingset_refault_anon", "workingset_refault_file", "pgscan", "pgsteal", "pgfault",
					     "pgmajfault" };
	struct cgroup_usage u;

	memory_now(x, &u);
	buf_printf(out, "anon %llu\nfile %llu\nactive_anon %llu\ninactive_file %llu\n", (unsigned long long)u.anon,
		   (unsigned long long)u.file, (unsigned long long)u.anon, (unsigned long long)u.file);
	for (size_t k = 0; k < ARRAY_SIZE(zeros); k++)
		buf_printf(out, "%s 0\n", zeros[k]);
	return 0;
}

/* ---- pids ------------------------------------------------------------------------------------------------------------------------- */

long cg_show_pids_max(const struct cg_ctx *x, struct buf *out)
{
	return cg_show_bytes(x, out);
}

long cg_store_pids_max(const struct cg_ctx *x, char *text)
{
	uint64_t v;

	if (!cg_parse_max(text, PIDS_LIMIT - 1, &v))
		return -LINUX_EINVAL;
	set_word(x, x->row->off, v);
	return 0;
}

static long show_count(const uint64_t *v, const char *format, struct buf *out)
{
	mutex_lock(&cgroup_mu);
	buf_printf(out, format, (unsigned long long)*v);
	mutex_unlock(&cgroup_mu);
	return 0;
}

long cg_show_pids_current(const struct cg_ctx *x, struct buf *out)
{
	return show_count(&x->cg->nr_tasks, "%llu\n", out);
}

long cg_show_pids_peak(const struct cg_ctx *x, struct buf *out)
{
	return show_count(&x->cg->peak_tasks, "%llu\n", out);
}

long cg_show_pids_events(const struct cg_ctx *x, struct buf *out)
{
	return show_count(&x->cg->pids_refused, "max %llu\n", out);
}
