/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/cgroup/rows.c - the files of a group, by name
 *
 * Source:  "Control Group v2" in the kernel's documentation; /sys/kernel/cgroup/delegate for what may be written at a namespace's root.
 */
#include "sentry/fs/cgroup/cgroupfs_internal.h"

#define RO(n)	 .show = cg_show_##n
#define RW(n)	 .show = cg_show_##n, .store = cg_store_##n
#define WORD(m)	 .off = offsetof(struct cgroup_knobs, m)
#define FIXED(t) .show = cg_show_text, .text = (t)
#define MEMORY_EVENTS "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"

const struct cg_row cg_rows[] = {
	{ "cgroup.controllers", CGROUP_BASE, 0, RO(controllers) },
	{ "cgroup.events", CGROUP_BASE, CGR_EVENTS, RO(events) },
	{ "cgroup.freeze", CGROUP_BASE, 0, RW(freeze) },
	{ "cgroup.kill", CGROUP_BASE, 0, .store = cg_store_kill },
	{ "cgroup.max.depth", CGROUP_BASE, 0, RW(max_depth) },
	{ "cgroup.max.descendants", CGROUP_BASE, 0, RW(max_descendants) },
	{ "cgroup.procs", CGROUP_BASE, CGR_DELEGATED, RW(procs) },
	{ "cgroup.stat", CGROUP_BASE, 0, RO(stat) },
	{ "cgroup.subtree_control", CGROUP_BASE, CGR_DELEGATED, RW(subtree_control) },
	{ "cgroup.threads", CGROUP_BASE, CGR_DELEGATED, RW(threads) },
	{ "cgroup.type", CGROUP_BASE, 0, RW(type) },
	{ "cpu.idle", CGC_CPU, 0, RW(flag), WORD(cpu_idle) },
	{ "cpu.max", CGC_CPU, 0, RW(cpu_max) },
	{ "cpu.max.burst", CGC_CPU, 0, RW(cpu_burst), WORD(cpu_burst_us) },
	{ "cpu.stat", CGROUP_BASE, 0, RO(cpu_stat) },
	{ "cpu.weight", CGC_CPU, 0, RW(cpu_weight), WORD(cpu_weight) },
	{ "cpu.weight.nice", CGC_CPU, 0, RW(cpu_nice), WORD(cpu_weight) },
	{ "cpuset.cpus", CGC_CPUSET, 0, RW(cpus) },
	{ "cpuset.cpus.effective", CGC_CPUSET, 0, RO(cpus_effective) },
	{ "cpuset.cpus.partition", CGC_CPUSET, 0, RW(partition) },
	{ "cpuset.mems", CGC_CPUSET, 0, RW(mems), WORD(mems) },
	{ "cpuset.mems.effective", CGC_CPUSET, 0, FIXED("0\n") },
	{ "io.stat", CGC_IO, 0, FIXED("") },
	{ "io.weight", CGC_IO, 0, RW(io_weight), WORD(io_weight) },
	{ "memory.current", CGC_MEMORY, 0, RO(memory_current) },
	{ "memory.events", CGC_MEMORY, 0, FIXED(MEMORY_EVENTS) },
	{ "memory.events.local", CGC_MEMORY, 0, FIXED(MEMORY_EVENTS) },
	{ "memory.high", CGC_MEMORY, 0, RW(bytes), WORD(memory_high) },
	{ "memory.low", CGC_MEMORY, 0, RW(bytes), WORD(memory_low) },
	{ "memory.max", CGC_MEMORY, 0, RW(bytes), WORD(memory_max) },
	{ "memory.min", CGC_MEMORY, 0, RW(bytes), WORD(memory_min) },
	{ "memory.oom.group", CGC_MEMORY, CGR_DELEGATED, RW(flag), WORD(oom_group) },
	{ "memory.peak", CGC_MEMORY, 0, RO(memory_peak) },
	{ "memory.stat", CGC_MEMORY, 0, RO(memory_stat) },
	{ "memory.swap.current", CGC_MEMORY, 0, FIXED("0\n") },
	{ "memory.swap.events", CGC_MEMORY, 0, FIXED("high 0\nmax 0\nfail 0\n") },
	{ "memory.swap.high", CGC_MEMORY, 0, RW(bytes), WORD(swap_high) },
	{ "memory.swap.max", CGC_MEMORY, 0, RW(bytes), WORD(swap_max) },
	{ "pids.current", CGC_PIDS, 0, RO(pids_current) },
	{ "pids.events", CGC_PIDS, 0, RO(pids_events) },
	{ "pids.max", CGC_PIDS, 0, RW(pids_max), WORD(pids_max) },
	{ "pids.peak", CGC_PIDS, 0, RO(pids_peak) },
};
const size_t cg_nr_rows = ARRAY_SIZE(cg_rows);
_Static_assert(ARRAY_SIZE(cg_rows) <= CG_ROWS_MAX, "inodes of a group");
