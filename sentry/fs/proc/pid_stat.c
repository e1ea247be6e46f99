/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/pid_stat.c - /proc/PID/{stat,statm}
 *
 * Source:  proc_pid_stat(5), proc_pid_statm(5).
 * Differs: faults and context switches are the host's and read 0; eip, esp and wchan are 0 as on Linux without the right to look.
 */
#include "sentry/fs/proc/proc_internal.h"

#include <string.h>

#include "sentry/abi/wait.h"
#include "sentry/fs/tty/tty.h"
#include "sentry/task/acct.h"
#include "sentry/task/container.h"
#include "sentry/task/signal.h"

#define RLIMIT_RSS_NR 5

struct tty_nrs {
	uint64_t rdev;
	int tpgid;
};

/* The terminal of the session and its foreground group. */
static struct tty_nrs tty_of(const struct proc_ctx *c)
{
	struct tty_nrs n = { .tpgid = -1 };
	struct pgrp *fg = NULL;
	struct tty *tty;

	mutex_lock(&tasks_mu); /* keeps the terminal */
	tty = c->task->group->session ? c->task->group->session->tty : NULL;
	if (tty) {
		n.rdev = strcmp(tty->drv->name, "pts") ? LINUX_MKDEV(5, 1)
						       : LINUX_MKDEV(136 + tty->index / 256, tty->index % 256);
		fg = tty_foreground_hook ? tty_foreground_hook(tty) : NULL;
	}
	mutex_unlock(&tasks_mu);
	if (fg) {
		n.tpgid = (int)pid_nr(fg->pid, c->ns);
		pgrp_put(fg);
	}
	return n;
}

/* The device number as stat(5) packs it: major in 15..8, minor in 31..20 and 7..0. */
static uint32_t old_encode_dev(uint64_t rdev)
{
	uint32_t maj = LINUX_MAJOR(rdev), min = LINUX_MINOR(rdev);

	return (min & 0xff) | (maj & 0xfff) << 8 | (min & ~0xffu) << 12;
}

/* Ignored and caught signals of the group, 31 lowest as in Linux's "obsolete" columns. */
static void signal_sets(struct task *t, uint64_t *out_ign, uint64_t *out_caught)
{
	struct sighand *h = NULL;

	*out_ign = *out_caught = 0;
	mutex_lock(&t->group->sig_mu);
	if (t->group->sig && t->group->sig->hand)
		h = sighand_get(t->group->sig->hand);
	mutex_unlock(&t->group->sig_mu);
	if (!h)
		return;
	for (int sig = 1; sig <= LINUX_NSIG; sig++) {
		uint64_t handler = sighand_action(h, sig).handler;

		if (handler == LINUX_SIG_IGN)
			*out_ign |= SIGMASK(sig);
		else if (handler != LINUX_SIG_DFL)
			*out_caught |= SIGMASK(sig);
	}
	sighand_put(h);
}

void proc_signal_sets(struct task *t, uint64_t *out_ign, uint64_t *out_caught)
{
	signal_sets(t, out_ign, out_caught);
}

static struct cpu_times times_of(const struct proc_ctx *c)
{
	return c->node->thread ? acct_thread_times(c->task) : acct_group_times(c->task->group);
}

/* Fields 23 to 30: sizes and, for those who may look, addresses. */
static void put_memory(const struct proc_ctx *c, struct mm *mm, struct mm_layout *l, struct buf *out)
{
	struct mm_usage u = { 0 };
	bool may = !proc_check_access(c, false);

	*l = (struct mm_layout){ 0 };
	if (mm) {
		mm_usage(mm, &u);
		mm_lock(mm);
		*l = *mm_layout(mm);
		mm_unlock(mm);
	}
	if (!may)
		*l = (struct mm_layout){ .start_code = !!mm, .end_code = !!mm };
	buf_printf(out, " %lu %lu %lu %lu %lu %lu 0 0", u.total, to_pages(u.rss), task_rlimit(c->task, RLIMIT_RSS_NR), l->start_code,
		   l->end_code, l->start_stack);
}

PROC_SHOW(stat)
{
	struct task *t = c->task;
	struct tgroup *g = t->group;
	struct mm *mm = task_mm(t);
	struct cpu_times now = times_of(c), ch;
	struct tty_nrs tty = tty_of(c);
	uint64_t ign, caught, pending = signal_pending_set(t), blocked = signal_mask(t);
	struct mm_layout l;
	char comm[16];

	task_get_comm(t, comm);
	signal_sets(t, &ign, &caught);
	mutex_lock(&g->acct->mu);
	ch = g->acct->children;
	mutex_unlock(&g->acct->mu);
	buf_printf(out, "%u (%s) %c %u %u %u %u %d %u 0 0 0 0", c->node->thread ? task_pid_nr(t, c->ns) : task_tgid_nr(t, c->ns), comm,
		   task_state_letter(t), task_ppid_nr(t, c->ns), task_pgid_nr(t, c->ns), task_sid_nr(t, c->ns), old_encode_dev(tty.rdev),
		   tty.tpgid, g->did_exec ? 0x400000u : 0x400040u);
	buf_printf(out, " %lu %lu %lu %lu %d %d %u 0 %lu", to_ticks(now.utime_ns), to_ticks(now.stime_ns),
		   to_ticks(ch.utime_ns), to_ticks(ch.stime_ns), t->sched_policy ? -1 - t->sched_priority : 20 + t->nice, t->nice,
		   g->nr_threads, to_ticks(c->node->thread ? t->start_ns : g->start_ns));
	put_memory(c, mm, &l, out);
	buf_printf(out, " %lu %lu %lu %lu 0 0 0 %d 0 %d %d 0 0 0", pending & 0x7fffffff, blocked & 0x7fffffff, ign & 0x7fffffff,
		   caught & 0x7fffffff, g->exit_signal > 0 ? g->exit_signal : 0, t->sched_priority, t->sched_policy);
	buf_printf(out, " %lu %lu %lu %lu %lu %lu %lu %d\n", l.start_data, l.end_data, l.start_brk, l.arg_start, l.arg_end,
		   l.env_start, l.env_end, g->exiting ? g->exit_status : 0);
	mm_put(mm);
	return 0;
}

PROC_SHOW(statm)
{
	struct mm *mm = task_mm(c->task);
	struct mm_usage u = { 0 };

	if (mm)
		mm_usage(mm, &u);
	mm_put(mm);
	buf_printf(out, "%lu %lu %lu %lu 0 %lu 0\n", to_pages(u.total), to_pages(u.rss), to_pages(u.file_rss),
		   to_pages(u.exec), to_pages(u.data + u.stack));
	return 0;
}
