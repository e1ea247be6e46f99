/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_misc.c - the small files of a process
 *
 * Source:  proc_pid_limits(5), proc_pid_oom_score_adj(5), proc_pid_comm(5), proc_pid_io(5), proc_pid_timerslack_ns(5) ...
 * Differs: sched, schedstat, io count nothing that only the host knows; coredump_filter and loginuid are fixed.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

#include "sentry/abi/cap.h"
#include "sentry/task/acct.h"
#include "sentry/task/task_cgroup.h"

uint32_t (*proc_tracer)(struct task *t, struct pid_ns *ns);

#define OOM_ADJ_MIN	  (-17) /* "never" */
#define OOM_ADJ_MAX	  15
#define OOM_SCORE_ADJ_MAX 1000

uint32_t proc_tracer_nr(struct task *t, struct pid_ns *ns)
{
	return proc_tracer ? proc_tracer(t, ns) : 0;
}

/* ---- limits -------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name, *unit;
} limit_names[RLIM_COUNT] = {
	{ "Max cpu time", "seconds" },	   { "Max file size", "bytes" },      { "Max data size", "bytes" },
	{ "Max stack size", "bytes" },	   { "Max core file size", "bytes" }, { "Max resident set", "bytes" },
	{ "Max processes", "processes" },  { "Max open files", "files" },     { "Max locked memory", "bytes" },
	{ "Max address space", "bytes" },  { "Max file locks", "locks" },     { "Max pending signals", "signals" },
	{ "Max msgqueue size", "bytes" },  { "Max nice priority", "" },	      { "Max realtime priority", "" },
	{ "Max realtime timeout", "us" },
};

static void put_limit(uint64_t v, struct buf *out)
{
	if (v == RLIM_INF)
		buf_printf(out, "%-20s ", "unlimited");
	else
		buf_printf(out, "%-20lu ", v);
}

PROC_SHOW(limits)
{
	struct rlimit64 lim[RLIM_COUNT];

	mutex_lock(&c->task->group->sig_mu);
	memcpy(lim, c->task->group->rlim, sizeof(lim));
	mutex_unlock(&c->task->group->sig_mu);
	buf_printf(out, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
	for (int k = 0; k < RLIM_COUNT; k++) {
		buf_printf(out, "%-25s ", limit_names[k].name);
		put_limit(lim[k].cur, out);
		put_limit(lim[k].max, out);
		buf_printf(out, "%-10s\n", limit_names[k].unit);
	}
	return 0;
}

/* ---- comm ------------------------------------------------------------------------------------------------------ */

PROC_SHOW(comm)
{
	char comm[16];

	task_get_comm(c->task, comm);
	buf_printf(out, "%s\n", comm);
	return 0;
}

PROC_STORE(comm)
{
	struct task *me = proc_reader();

	if (!me || me->group != c->task->group)
		return -LINUX_EINVAL;
	text[MIN(len, (size_t)15)] = '\0';
	text[strcspn(text, "\n")] = '\0';
	task_set_comm(c->task, text);
	return 0;
}

/* ---- out of memory ------------------------------------------------------------------------------------------------ */

static long set_oom(const struct proc_ctx *c, long adj)
{
	struct task *me = proc_reader();
	struct tgroup *g = c->task->group;

	if (me && adj < g->oom_score_adj && !cred_has_cap(me->cred, &init_user_ns, LINUX_CAP_SYS_RESOURCE))
		return -LINUX_EACCES;
	g->oom_score_adj = (int)adj;
	return 0;
}

PROC_SHOW(oom_score_adj)
{
	buf_printf(out, "%d\n", c->task->group->oom_score_adj);
	return 0;
}

PROC_STORE(oom_score_adj)
{
	long v, ret = proc_store_long(text, -OOM_SCORE_ADJ_MAX, OOM_SCORE_ADJ_MAX, &v);

	return ret ? ret : set_oom(c, v);
}

PROC_SHOW(oom_adj)
{
	int adj = c->task->group->oom_score_adj;

	buf_printf(out, "%d\n", adj == OOM_SCORE_ADJ_MAX ? OOM_ADJ_MAX : adj * -OOM_ADJ_MIN / OOM_SCORE_ADJ_MAX);
	return 0;
}

PROC_STORE(oom_adj)
{
	long v, ret = proc_store_long(text, OOM_ADJ_MIN, OOM_ADJ_MAX, &v);

	if (ret)
		return ret;
	return set_oom(c, v == OOM_ADJ_MAX ? OOM_SCORE_ADJ_MAX : v * OOM_SCORE_ADJ_MAX / -OOM_ADJ_MIN);
}

/* Badness as Linux shows it: 2/3 of (1000 * share of memory + 1000 + adjustment). */
PROC_SHOW(oom_score)
{
	struct mm *mm = task_mm(c->task);
	struct mm_usage u = { 0 };
	uint64_t total, mfree, avail;
	int64_t points = 0;
	int adj = c->task->group->oom_score_adj;

	proc_memory(&total, &mfree, &avail);
	if (mm)
		mm_usage(mm, &u);
	mm_put(mm);
	if (mm && adj > -OOM_SCORE_ADJ_MAX)
		points = (1000 + (int64_t)(u.rss / MAX(total / 1000, 1ul)) + adj) * 2 / 3;
	buf_printf(out, "%ld\n", MAX(points, (int64_t)0));
	return 0;
}

/* ---- counters -------------------------------------------------------------------------------------------------------- */

PROC_SHOW(io)
{
	buf_printf(out, "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\ncancelled_write_bytes: 0\n");
	return 0;
}

static uint64_t run_ns(const struct proc_ctx *c)
{
	struct cpu_times t = c->node->thread ? acct_thread_times(c->task) : acct_group_times(c->task->group);

	return t.utime_ns + t.stime_ns;
}

PROC_SHOW(schedstat)
{
	buf_printf(out, "%lu 0 0\n", run_ns(c));
	return 0;
}

PROC_SHOW(sched)
{
	uint64_t ns = run_ns(c);
	char comm[16];

	task_get_comm(c->task, comm);
	buf_printf(out, "%s (%u, #threads: %u)\n", comm, task_pid_nr(c->task, c->ns), c->task->group->nr_threads);
	buf_printf(out, "-------------------------------------------------------------------\n");
	buf_printf(out, "%-45s:%21lu.%06lu\n", "se.exec_start", now_ns() / 1000000, now_ns() % 1000000);
	buf_printf(out, "%-45s:%21lu.%06lu\n", "se.sum_exec_runtime", ns / 1000000, ns % 1000000);
	buf_printf(out, "%-45s:%21d\n%-45s:%21d\n", "policy", c->task->sched_policy, "prio", 120 + c->task->nice);
	return 0;
}

PROC_SHOW(wchan)
{
	buf_printf(out, "0");
	return 0;
}

PROC_SHOW(stack)
{
	return 0;
}

PROC_SHOW(syscall)
{
	buf_printf(out, "running\n");
	return 0;
}

PROC_SHOW(personality)
{
	buf_printf(out, "%08x\n", c->task->personality);
	return 0;
}

PROC_SHOW(timers)
{
	return 0;
}

PROC_SHOW(timerslack)
{
	buf_printf(out, "%lu\n", c->task->timer_slack_ns);
	return 0;
}

PROC_STORE(timerslack)
{
	long v, ret = proc_store_long(text, 0, INT64_MAX, &v);

	if (ret)
		return ret;
	ret = proc_check_access(c, true);
	if (ret)
		return -LINUX_EPERM;
	c->task->timer_slack_ns = v ? (uint64_t)v : c->task->timer_slack_dflt;
	return 0;
}

PROC_SHOW(children)
{
	struct tgroup *g = c->task->group, *child;

	mutex_lock(&tasks_mu);
	if (g->leader == c->task) {	/* children belong to the process; they are shown with its first thread */
		list_for_each_entry (child, &g->children, sibling) {
			uint32_t nr = pid_nr(child->pid, c->ns);

			if (nr)
				buf_printf(out, "%u ", nr);
		}
	}
	mutex_unlock(&tasks_mu);
	return 0;
}

PROC_SHOW(loginuid)
{
	buf_printf(out, "%u", UINT32_MAX); /* never set */
	return 0;
}

PROC_STORE(loginuid)
{
	return -LINUX_EPERM;
}

PROC_SHOW(sessionid)
{
	buf_printf(out, "%u", UINT32_MAX);
	return 0;
}

PROC_SHOW(coredump_filter)
{
	buf_printf(out, "%08x\n", 0x33);
	return 0;
}

PROC_STORE(coredump_filter)
{
	return 0; /* taken and not obeyed: what is dumped is always Linux's default (task/coredump.c) */
}

PROC_STORE(clear_refs)
{
	long v, ret = proc_store_long(text, 1, 5, &v);

	return ret;
}

/* As the reader's namespace shows it. */
static void put_cgroup_path(const struct proc_ctx *c, struct buf *out)
{
	struct cgroup *view = task_cgroup_view(), *cg = cgroup_of(&c->task->group->cg);
	bool dead;

	cgroup_path(cg ?: view, view, out);
	mutex_lock(&cgroup_mu);
	dead = cg && cg->dead;
	mutex_unlock(&cgroup_mu);
	buf_printf(out, dead ? " (deleted)\n" : "\n");
	cgroup_put(cg);
	cgroup_put(view);
}

PROC_SHOW(cgroup)
{
	buf_printf(out, "0::");
	put_cgroup_path(c, out);
	return 0;
}

PROC_SHOW(cpuset)
{
	put_cgroup_path(c, out); /* cpuset(7): there is one tree for all controllers */
	return 0;
}
