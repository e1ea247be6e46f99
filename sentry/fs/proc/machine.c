/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/machine.c - memory, load and time of the whole sandbox
 *
 * Model:   memory is what the sandbox may use (its limit, or the host's) less what its processes hold; load is computed
 *          when somebody looks, from the tasks that run then, with the decay of the time that has passed. Nothing ticks.
 * Hostcalls: sysinfo.
 * Source:  proc_meminfo(5), proc_stat(5), proc_loadavg(5), proc_uptime(5), proc_vmstat(5).
 * Differs: between two readings the load does not change; counters of devices and interrupts are 0.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <sys/sysinfo.h>

#include "base/hostcall.h"
#include "sentry/task/acct.h"
#include "sentry/task/cpus.h"
#include "sentry/task/kernel_id.h"

#define LOAD_SHIFT  11
#define LOAD_ONE    (1u << LOAD_SHIFT)
#define LOAD_PERIOD (5 * NSEC_PER_SEC)

static struct {
	struct mutex mu;	/* leaf */
	uint64_t load[3];	/* guarded by mu, like the rest */
	uint64_t seen_ns;
} avg;

void proc_memory(uint64_t *out_total, uint64_t *out_free, uint64_t *out_available)
{
	struct sysinfo si = { 0 };
	uint64_t unit, used, limit = kernel_total_memory();

	host_call(sysinfo, &si);
	unit = si.mem_unit ? si.mem_unit : 1;
	*out_total = si.totalram * unit;
	*out_free = si.freeram * unit;
	if (limit && limit < *out_total) {
		used = MIN(*out_total - *out_free, limit);
		*out_total = limit;
		*out_free = limit - used;
	}
	*out_available = MIN(*out_free + si.bufferram * unit, *out_total);
}

PROC_SHOW(meminfo)
{
	uint64_t total, mfree, avail;

	proc_memory(&total, &mfree, &avail);
	struct {
		const char *name;
		uint64_t bytes;
	} row[] = {
		{ "MemTotal:", total },
		{ "MemFree:", mfree },
		{ "MemAvailable:", avail },
		{ "Buffers:", 0 },
		{ "Cached:", avail - mfree },
		{ "SwapCached:", 0 },
		{ "Active:", total - mfree },
		{ "Inactive:", avail - mfree },
		{ "Active(anon):", total - avail },
		{ "Inactive(anon):", 0 },
		{ "Active(file):", avail - mfree },
		{ "Inactive(file):", avail - mfree },
		{ "Unevictable:", 0 },
		{ "Mlocked:", 0 },
		{ "SwapTotal:", 0 },
		{ "SwapFree:", 0 },
		{ "Dirty:", 0 },
		{ "Writeback:", 0 },
		{ "AnonPages:", total - avail },
		{ "Mapped:", avail - mfree },
		{ "Shmem:", 0 },
		{ "KReclaimable:", 0 },
		{ "Slab:", 0 },
		{ "SReclaimable:", 0 },
		{ "SUnreclaim:", 0 },
		{ "KernelStack:", 0 },
		{ "PageTables:", 0 },
		{ "CommitLimit:", total },
		{ "Committed_AS:", total - avail },
		{ "VmallocTotal:", 34359738367ull << 10 },
		{ "VmallocUsed:", 0 },
		{ "VmallocChunk:", 0 },
		{ "AnonHugePages:", 0 },
		{ "ShmemHugePages:", 0 },
	};

	for (size_t k = 0; k < ARRAY_SIZE(row); k++)
		buf_printf(out, "%-15s %8lu kB\n", row[k].name, row[k].bytes >> 10);
	buf_printf(out, "HugePages_Total:   0\nHugePages_Free:    0\nHugePages_Rsvd:    0\nHugePages_Surp:    0\n"
			"Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
	return 0;
}

PROC_SHOW(vmstat)
{
	static const char *const zeros[] = { "pgpgin", "pgpgout", "pswpin", "pswpout", "pgalloc_normal", "pgfree", "pgactivate",
					     "pgdeactivate", "pgfault", "pgmajfault", "pgscan_kswapd", "pgscan_direct",
					     "pgsteal_kswapd", "pgsteal_direct", "oom_kill", "thp_fault_alloc" };
	uint64_t total, mfree, avail;

	proc_memory(&total, &mfree, &avail);
	buf_printf(out, "nr_free_pages %lu\nnr_inactive_anon 0\nnr_active_anon %lu\nnr_inactive_file %lu\nnr_active_file 0\n"
			"nr_unevictable 0\nnr_mlock 0\nnr_anon_pages %lu\nnr_mapped %lu\nnr_file_pages %lu\nnr_dirty 0\n"
			"nr_writeback 0\nnr_shmem 0\n",
		   to_pages(mfree), to_pages(total - avail), to_pages(avail - mfree), to_pages(total - avail),
		   to_pages(avail - mfree), to_pages(avail - mfree));
	for (size_t k = 0; k < ARRAY_SIZE(zeros); k++)
		buf_printf(out, "%s 0\n", zeros[k]);
	return 0;
}

PROC_SHOW(zoneinfo)
{
	uint64_t total, mfree, avail;

	proc_memory(&total, &mfree, &avail);
	buf_printf(out, "Node 0, zone   Normal\n  pages free     %lu\n        min      0\n        low      0\n        high     0\n"
			"        spanned  %lu\n        present  %lu\n        managed  %lu\n",
		   to_pages(mfree), to_pages(total), to_pages(total), to_pages(total));
	return 0;
}

/* ---- processes of the instance ---------------------------------------------------------------------------- */

struct census {
	unsigned running, threads, procs, stopped;
	uint32_t last_pid;
	uint64_t user_ns, sys_ns;
};

static void count_threads(struct tgroup *g, struct census *s)
{
	struct task *t = NULL;

	while ((t = tgroup_next_thread(g, t)) != NULL) {
		s->threads++;
		if (task_state_letter(t) == 'R')
			s->running++;
	}
}

static struct census take_census(struct pid_ns *ns, bool times)
{
	struct census s = { 0 };
	struct task *leader;
	uint32_t nr = 0;

	while ((nr = pid_next_tgroup(ns, nr + 1, &leader)) != 0) {
		s.procs++;
		s.last_pid = nr;
		count_threads(leader->group, &s);
		if (times) {
			struct cpu_times ct = acct_group_times(leader->group);

			s.user_ns += ct.utime_ns;
			s.sys_ns += ct.stime_ns;
		}
		task_put(leader);
	}
	return s;
}

/* One period's step of an exponential average towards @n: exp(-5s/1min, 5min, 15min) in 11 bits. */
static uint64_t load_step(uint64_t load, uint64_t decay, uint64_t n)
{
	return (load * decay + n * LOAD_ONE * (LOAD_ONE - decay)) >> LOAD_SHIFT;
}

void proc_loadavg(struct pid_ns *ns, uint64_t out[3], unsigned *out_running, unsigned *out_total)
{
	static const uint64_t decay[3] = { 1884, 2014, 2037 };
	struct census s = take_census(ns, false);
	uint64_t now = now_ns(), steps;

	mutex_lock(&avg.mu);
	steps = avg.seen_ns ? (now - avg.seen_ns) / LOAD_PERIOD : 0;
	avg.seen_ns = avg.seen_ns ? avg.seen_ns + steps * LOAD_PERIOD : now;
	steps = MIN(steps, 1024ull); /* after that nothing is left of the old value */
	for (; steps; steps--)
		for (int k = 0; k < 3; k++)
			avg.load[k] = load_step(avg.load[k], decay[k], s.running);
	for (int k = 0; k < 3; k++)
		out[k] = avg.load[k];
	mutex_unlock(&avg.mu);
	*out_running = s.running;
	*out_total = s.threads;
}

PROC_SHOW(loadavg)
{
	uint64_t l[3];
	unsigned running, total;

	proc_loadavg(c->ns, l, &running, &total);
	for (int k = 0; k < 3; k++)
		buf_printf(out, "%lu.%02lu ", l[k] >> LOAD_SHIFT, (l[k] & (LOAD_ONE - 1)) * 100 >> LOAD_SHIFT);
	buf_printf(out, "%u/%u %u\n", running, total, take_census(c->ns, false).last_pid);
	return 0;
}

PROC_SHOW(uptime)
{
	struct census s = take_census(c->ns, true);
	uint64_t up = now_ns(), busy = s.user_ns + s.sys_ns, all = up * cpus_count();
	uint64_t idle = all > busy ? all - busy : 0;

	buf_printf(out, "%lu.%02lu %lu.%02lu\n", to_seconds(up), to_ticks(up) % PROC_USER_HZ, to_seconds(idle),
		   to_ticks(idle) % PROC_USER_HZ);
	return 0;
}

PROC_SHOW(stat_all)
{
	struct census s = take_census(c->ns, true);
	unsigned n = cpus_count();
	uint64_t up = now_ns(), user = to_ticks(s.user_ns), sys = to_ticks(s.sys_ns);
	uint64_t idle = to_ticks(up) * n;

	idle = idle > user + sys ? idle - user - sys : 0;
	buf_printf(out, "cpu  %lu 0 %lu %lu 0 0 0 0 0 0\n", user, sys, idle);
	for (unsigned k = 0; k < n; k++)
		buf_printf(out, "cpu%u %lu 0 %lu %lu 0 0 0 0 0 0\n", k, user / n, sys / n, idle / n);
	buf_printf(out, "intr 0\nctxt 0\nbtime %lu\nprocesses %u\nprocs_running %u\nprocs_blocked 0\n"
			"softirq 0 0 0 0 0 0 0 0 0 0 0\n",
		   to_seconds(now_real_ns() - up), s.last_pid, MAX(s.running, 1u));
	return 0;
}

/* ---- interrupts: they are the host's and tell what else runs there, so all counts are 0 ------------------------------- */

static void cpu_heads(struct buf *out, int indent)
{
	buf_printf(out, "%*s", indent, "");
	for (unsigned k = 0; k < cpus_count(); k++)
		buf_printf(out, "CPU%-8u", k);
	buf_printf(out, "\n");
}

static void cpu_zeros(struct buf *out, const char *name, int width)
{
	buf_printf(out, "%*s:", width, name);
	for (unsigned k = 0; k < cpus_count(); k++)
		buf_printf(out, " %10u", 0);
}

PROC_SHOW(interrupts)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
		{ "NMI", "Non-maskable interrupts" }, { "LOC", "Local timer interrupts" }, { "SPU", "Spurious interrupts" },
		{ "RES", "Rescheduling interrupts" }, { "CAL", "Function call interrupts" }, { "TLB", "TLB shootdowns" },
	};

	cpu_heads(out, 11);
	for (size_t k = 0; k < ARRAY_SIZE(rows); k++) {
		cpu_zeros(out, rows[k].name, 3);
		buf_printf(out, "   %s\n", rows[k].text);
	}
	buf_printf(out, "ERR:          0\nMIS:          0\n");
	return 0;
}

PROC_SHOW(softirqs)
{
	static const char *const names[] = { "HI", "TIMER", "NET_TX", "NET_RX", "BLOCK", "IRQ_POLL", "TASKLET", "SCHED", "HRTIMER",
					     "RCU" };

	cpu_heads(out, 20);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		cpu_zeros(out, names[k], 12);
		buf_printf(out, "\n");
	}
	return 0;
}

/* Documentation of "PSI": nobody waits for anything here that this kernel would have measured. */
PROC_SHOW(pressure)
{
	static const char none[] = "avg10=0.00 avg60=0.00 avg300=0.00 total=0";

	buf_printf(out, "some %s\nfull %s\n", none, none);
	return 0;
}
