/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_status.c - /proc/PID/status
 *
 * Source:  proc_pid_status(5).
 */
#include "sentry/fs/proc/proc_internal.h"

#include <stdio.h>
#include <string.h>

#include "sentry/task/cpus.h"
#include "sentry/task/signal.h"

#define RLIMIT_SIGPENDING_NR 11

static const char *state_name(char letter)
{
	static const struct {
		char letter;
		const char *name;
	} names[] = {
		{ 'R', "running" }, { 'S', "sleeping" }, { 'D', "disk sleep" }, { 'T', "stopped" },
		{ 't', "tracing stop" }, { 'Z', "zombie" }, { 'X', "dead" },
	};

	for (size_t k = 0; k < ARRAY_SIZE(names); k++)
		if (names[k].letter == letter)
			return names[k].name;
	return "unknown";
}

static void put_ids(const struct proc_ctx *c, struct buf *out)
{
	struct cred *cr = task_cred(c->task);
	const uint32_t id[2][4] = { { cr->uid, cr->euid, cr->suid, cr->fsuid }, { cr->gid, cr->egid, cr->sgid, cr->fsgid } };

	for (int g = 0; g < 2; g++) {
		buf_printf(out, g ? "Gid:" : "Uid:");
		for (int k = 0; k < 4; k++)
			buf_printf(out, "\t%u", id_from_kernel_munged(c->user_ns, g, id[g][k]));
		buf_printf(out, "\n");
	}
	cred_put(cr);
}

static void put_groups(const struct proc_ctx *c, struct buf *out)
{
	struct cred *cr = task_cred(c->task);

	buf_printf(out, "Groups:\t");
	for (uint32_t k = 0; cr->groups && k < cr->groups->nr; k++)
		buf_printf(out, "%u ", id_from_kernel_munged(c->user_ns, true, cr->groups->gid[k]));
	buf_printf(out, "\n");
	cred_put(cr);
}

/* The numbers from the instance's namespace inwards. */
static void put_ns_ids(const struct proc_ctx *c, struct buf *out)
{
	static const struct {
		const char *name;
		uint32_t (*nr)(struct task *, struct pid_ns *);
	} kinds[] = {
		{ "NStgid:", task_tgid_nr }, { "NSpid:", task_pid_nr }, { "NSpgid:", task_pgid_nr }, { "NSsid:", task_sid_nr },
	};
	struct pid *pid = c->task->pid;

	for (size_t k = 0; k < ARRAY_SIZE(kinds); k++) {
		buf_printf(out, "%s", kinds[k].name);
		for (uint32_t level = c->ns->level; pid && level <= pid->level; level++)
			buf_printf(out, "\t%u", kinds[k].nr(c->task, pid->num[level].ns));
		buf_printf(out, "\n");
	}
}

static uint32_t fd_table_size(const struct proc_ctx *c)
{
	struct fdtable *fds = task_fdtable(c->task);
	uint32_t size = 64;
	int last = -1;

	for (int fd = fds ? fdtable_next(fds, 0) : -1; fd >= 0; fd = fdtable_next(fds, fd + 1))
		last = fd;
	while ((int64_t)size <= last)
		size *= 2;
	if (fds)
		fdtable_put(fds);
	return fds ? size : 0;
}

static void put_memory(const struct proc_ctx *c, struct buf *out)
{
	struct mm *mm = task_mm(c->task);
	struct mm_usage u;

	if (!mm)
		return;
	mm_usage(mm, &u);
	mm_put(mm);
	const struct {
		const char *name;
		uint64_t bytes;
	} row[] = {
		{ "VmPeak", u.peak },	 { "VmSize", u.total },	  { "VmLck", u.locked },   { "VmPin", 0 },	{ "VmHWM", u.rss },
		{ "VmRSS", u.rss },	 { "RssAnon", u.anon_rss }, { "RssFile", u.file_rss }, { "RssShmem", 0 }, { "VmData", u.data },
		{ "VmStk", u.stack },	 { "VmExe", u.exec },	  { "VmLib", 0 },	   { "VmPTE", u.rss / 512 }, { "VmSwap", 0 },
		{ "HugetlbPages", 0 },
	};

	for (size_t k = 0; k < ARRAY_SIZE(row); k++)
		buf_printf(out, "%s:\t%8lu kB\n", row[k].name, row[k].bytes >> 10);
	buf_printf(out, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void put_signals(const struct proc_ctx *c, struct buf *out)
{
	struct task *t = c->task;
	struct tgroup *g = t->group;
	uint64_t ign, caught, own = 0, shared = 0;

	mutex_lock(&g->sig_mu);
	if (t->sig)
		own = t->sig->pending.mask;
	if (g->sig)
		shared = g->sig->shared.mask;
	mutex_unlock(&g->sig_mu);
	proc_signal_sets(t, &ign, &caught);
	buf_printf(out, "SigQ:\t%d/%lu\n", __builtin_popcountll(own | shared), task_rlimit(t, RLIMIT_SIGPENDING_NR));
	buf_printf(out, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\nSigIgn:\t%016lx\nSigCgt:\t%016lx\n", own, shared, signal_mask(t),
		   ign, caught);
}

static void put_rights(const struct proc_ctx *c, struct buf *out)
{
	struct cred *cr = task_cred(c->task);

	buf_printf(out, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\nCapBnd:\t%016lx\nCapAmb:\t%016lx\n", cr->cap_inheritable,
		   cr->cap_permitted, cr->cap_effective, cr->cap_bset, cr->cap_ambient);
	buf_printf(out, "NoNewPrivs:\t%d\nSeccomp:\t%u\nSeccomp_filters:\t%d\n", cr->no_new_privs, c->task->seccomp_mode,
		   c->task->seccomp_mode == 2);
	buf_printf(out, "Speculation_Store_Bypass:\tvulnerable\nSpeculationIndirectBranch:\tconditional enabled\n");
	cred_put(cr);
}

/* A mask in groups of 32 bits, and as a list of ranges. */
static void put_cpus(const struct proc_ctx *c, struct buf *out)
{
	const uint64_t *a = c->task->affinity;
	unsigned n = cpus_count(), groups = (n + 31) / 32;
	const char *comma = "";

	buf_printf(out, "Cpus_allowed:\t");
	for (unsigned k = groups; k-- > 0;) {
		uint32_t bits = (uint32_t)(a[k / 2] >> (k % 2 * 32));

		if (k == groups - 1 && n % 32)
			bits &= (1u << n % 32) - 1;
		buf_printf(out, "%0*x%s", groups > 1 ? 8 : (int)(n + 3) / 4, bits, k ? "," : "");
	}
	buf_printf(out, "\nCpus_allowed_list:\t");
	for (unsigned k = 0; k < n; k++) {
		unsigned from = k;

		if (!(a[k / 64] >> (k % 64) & 1))
			continue;
		while (k + 1 < n && (a[(k + 1) / 64] >> ((k + 1) % 64) & 1))
			k++;
		buf_printf(out, from == k ? "%s%u" : "%s%u-%u", comma, from, k);
		comma = ",";
	}
	buf_printf(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
}

/* Names may hold anything: what would break the line is escaped. */
static void put_name(const char *comm, struct buf *out)
{
	buf_printf(out, "Name:\t");
	for (const char *p = comm; *p; p++) {
		if (*p == '\n')
			buf_append(out, "\\n", 2);
		else if (*p == '\\')
			buf_append(out, "\\\\", 2);
		else
			buf_append(out, p, 1);
	}
	buf_printf(out, "\n");
}

PROC_SHOW(status)
{
	struct task *t = c->task;
	struct fs_struct *fs = task_fs(t);
	char comm[16], letter = task_state_letter(t);

	task_get_comm(t, comm);
	put_name(comm, out);
	if (fs) {
		buf_printf(out, "Umask:\t%04o\n", fs->umask);
		fs_struct_put(fs);
	}
	buf_printf(out, "State:\t%c (%s)\nTgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t%u\n", letter, state_name(letter),
		   task_tgid_nr(t, c->ns), task_pid_nr(t, c->ns), task_ppid_nr(t, c->ns), proc_tracer_nr(t, c->ns));
	put_ids(c, out);
	buf_printf(out, "FDSize:\t%u\n", fd_table_size(c));
	put_groups(c, out);
	put_ns_ids(c, out);
	put_memory(c, out);
	buf_printf(out, "Threads:\t%u\n", t->group->nr_threads);
	put_signals(c, out);
	put_rights(c, out);
	put_cpus(c, out);
	buf_printf(out, "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
	return 0;
}
