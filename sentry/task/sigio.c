/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/sigio.c - SIGIO: signals to the owners of files (fcntl(2) F_SETOWN, F_SETSIG, O_ASYNC)
 *
 * Model:   readiness is reported from everywhere, with locks of sockets and pipes held; finding processes needs tasks_mu, which
 *          comes before those. So reports are queued, and one kthread sends.
 * Locks:   sigio_mu (leaf) guards the queue.
 * Source:  fcntl(2) "Managing signals", sigaction(2) SI_SIGIO.
 * Differs: si_fd is -1: an open file does not know under which number it is watched.
 */
#include "sentry/task/pid.h"
#include "sentry/task/sigio.h"
#include "sentry/task/signal.h"

#define SIGIO_QUEUE_MAX 4096	/* further reports are lost, as beyond RLIMIT_SIGPENDING */

#define OWNER_TID  0		/* F_OWNER_*, fcntl(2) */
#define OWNER_PGRP 2

struct report {
	struct list node;
	struct pid *pid;	/* reference */
	int type;
	uint32_t uid, euid;
	struct linux_siginfo_head si;
};

static struct mutex sigio_mu = MUTEX_INIT;
static struct list reports = LIST_HEAD_INIT(reports); /* guarded by sigio_mu */
static unsigned nr_reports;			      /* guarded by sigio_mu */
static struct waitq sigio_wq = WAITQ_INIT(sigio_wq);

static const struct {
	uint32_t events;
	int code;
} codes[] = {
	{ LINUX_POLLHUP, LINUX_POLL_HUP }, { LINUX_POLLERR, LINUX_POLL_ERR }, { LINUX_POLLPRI, LINUX_POLL_PRI },
	{ LINUX_POLLIN, LINUX_POLL_IN },   { LINUX_POLLOUT, LINUX_POLL_OUT },
};

static void fill(struct linux_siginfo_head *si, int signum, int band, uint32_t events)
{
	siginfo_kernel(si, signum ?: LINUX_SIGIO);
	if (!signum)
		return;
	si->code = band;
	for (size_t i = 0; i < ARRAY_SIZE(codes) && !si->code; i++)
		if (events & codes[i].events)
			si->code = codes[i].code;
	si->poll.band = events;
	si->poll.fd = -1;
}

/* vfs_send_sigio */
static void sigio_report(struct file *f, int band, uint32_t events)
{
	struct report *r = calloc(1, sizeof(*r));

	if (!r)
		return;
	mutex_lock(&f->mu);
	if (f->owner.cookie) {
		r->pid = pid_get((struct pid *)(uintptr_t)f->owner.cookie);
		r->type = f->owner.type;
		r->uid = f->owner.uid;
		r->euid = f->owner.euid;
		fill(&r->si, f->owner.signum, band, events);
	}
	mutex_unlock(&f->mu);
	mutex_lock(&sigio_mu);
	if (r->pid && nr_reports < SIGIO_QUEUE_MAX) {
		list_add_tail(&reports, &r->node);
		nr_reports++;
		r = NULL;
	}
	mutex_unlock(&sigio_mu);
	if (r) {
		pid_put(r->pid);
		free(r);
	} else {
		waitq_wake_all(&sigio_wq);
	}
}

/* The owner of the file must have been allowed to signal it (fcntl(2), F_SETOWN). */
static bool permitted(const struct report *r, struct tgroup *g)
{
	const struct cred *c = g->leader ? g->leader->cred : NULL;

	return c && (r->euid == 0 || r->euid == c->suid || r->euid == c->uid || r->uid == c->suid || r->uid == c->uid);
}

static void send_report(struct report *r)
{
	struct tgroup *g;

	mutex_lock(&tasks_mu);
	if (r->type == OWNER_PGRP && r->pid->pgrp) {
		list_for_each_entry (g, &r->pid->pgrp->members, pgrp_node)
			if (permitted(r, g))
				signal_send_group_locked(g, &r->si, SEND_FORCED);
	} else if (r->type == OWNER_TID && r->pid->task) {
		if (permitted(r, r->pid->task->group))
			signal_send_task(r->pid->task, &r->si, SEND_FORCED);
	} else if (r->pid->tgroup && permitted(r, r->pid->tgroup)) {
		signal_send_group_locked(r->pid->tgroup, &r->si, SEND_FORCED);
	}
	mutex_unlock(&tasks_mu);
}

static struct report *next_report(void)
{
	struct report *r = NULL;

	mutex_lock(&sigio_mu);
	if (!list_empty(&reports)) {
		r = list_first(&reports, struct report, node);
		list_del_init(&r->node);
		nr_reports--;
	}
	mutex_unlock(&sigio_mu);
	return r;
}

static void sigio_main(void *arg)
{
	for (;;) {
		struct report *r;

		wait_event(&sigio_wq, (r = next_report()) != NULL, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
		send_report(r);
		pid_put(r->pid);
		free(r);
	}
}

long sigio_init(void)
{
	if (!kthread_start(sigio_main, NULL, "sigio"))
		return -LINUX_ENOMEM;
	vfs_send_sigio = sigio_report;
	return 0;
}
