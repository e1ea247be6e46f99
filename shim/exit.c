/* SPDX-License-Identifier: Apache-2.0
 * shim/exit.c - exits: seen through pidfds on the loop's thread, reported in the order clients rely on
 *
 * Model:   an exit is seen once and reported once. Between the two it may have to wait: for the start
 *          event of the same process (p->starting), for the answers to calls that kill it (p->killing: containerd
 *          deletes at once what has exited, closes the connection, and would take the answer for lost), and for
 *          init for the exits of all exec processes (p->exit_held), at most HELD_MAX. What the process wrote before it ended is copied first.
 * Source:  CONVENTIONS D.0 trap 5: start before exit, execs before init, OOM before init's exit.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "events.pb-c.h"
#include "shim/oom.h"
#include "shim/shim.h"
#include "shim/shim_util.h"
#include "shim/stdio.h"

#define HELD_MAX_NS (10 * NSEC_PER_SEC)

struct kill_job {
	struct ttrpc_job job;
	struct container *c; /* reference */
};

static void kill_rest(struct ttrpc_job *j)
{
	struct kill_job *k = container_of(j, struct kill_job, job);
	struct err e = ERR_INIT;

	lc_signal(k->c->lc, NULL, SIGKILL, LC_SIG_ALL, &e); /* an empty container is what we want */
	container_put(k->c);
	free(k);
}

/* Processes that an exec left in a shared pid namespace outlive init: end them. */
static void kill_rest_later(struct container *c)
{
	struct kill_job *k = calloc(1, sizeof(*k));

	if (!k)
		return;
	k->job.fn = kill_rest;
	k->c = c;
	ref_get(&c->refs);
	ttrpc_workers_run(c->sh->workers, &k->job);
}

static void publish_exit_locked(struct process *p)
{
	Events__TaskExit ev = EVENTS__TASK_EXIT__INIT;
	struct container *c = p->c;
	Wkt__Timestamp ts;

	if (p == c->init && oom_killed_now(c->oom)) {
		Events__TaskOOM oom = EVENTS__TASK_OOM__INIT;

		oom.container_id = c->id;
		container_publish(c, "/tasks/oom", "containerd.events.TaskOOM", &oom.base);
	}
	ev.container_id = c->id;
	ev.id = p->exec_id[0] ? p->exec_id : c->id;
	ev.pid = (uint32_t)p->pid;
	ev.exit_status = p->exit_status;
	ev.exited_at = timestamp_set(&ts, p->exited_at_ns);
	container_publish(c, "/tasks/exit", "containerd.events.TaskExit", &ev.base);
	p->state = PROC_STOPPED;
	pthread_cond_broadcast(&c->sh->changed);
}

static void on_held_too_long(struct ev_timer *t)
{
	struct container *c = container_of(t, struct container, held);
	bool report;

	pthread_mutex_lock(&c->sh->mu);
	report = c->init->exit_held;
	if (report) {
		c->init->exit_held = false;
		log_warn("container %s: exec processes outlive it", c->id);
		publish_exit_locked(c->init);
	}
	pthread_mutex_unlock(&c->sh->mu);
	if (report)
		task_wake_waiters(c->init);
	container_put(c);
}

/* With sh->mu: reports @p's exit, or keeps it until its turn. Releases and retakes mu. */
static void exit_report_locked(struct process *p)
{
	struct container *c = p->c;
	struct shim *sh = c->sh;
	bool init_too = false;

	if (p == c->init && container_live_execs(c)) {
		p->exit_held = true;
		ref_get(&c->refs);
		c->held.fn = on_held_too_long;
		evloop_timer_set(sh->loop, &c->held, evloop_now_ns() + HELD_MAX_NS);
		pthread_mutex_unlock(&sh->mu);
		kill_rest_later(c);
		pthread_mutex_lock(&sh->mu);
		return;
	}
	publish_exit_locked(p);
	if (p != c->init && c->init->exit_held && !container_live_execs(c)) {
		c->init->exit_held = false;
		publish_exit_locked(c->init);
		init_too = true;
	}
	pthread_mutex_unlock(&sh->mu);
	task_wake_waiters(p);
	if (init_too) {
		task_wake_waiters(c->init);
		if (evloop_timer_cancel(sh->loop, &c->held))
			container_put(c);
	}
	pthread_mutex_lock(&sh->mu);
}

void process_started_locked(struct process *p)
{
	if (p->exit_seen && !p->starting && !p->killing)
		exit_report_locked(p);
}

static void on_exit_ready(struct ev_source *src, uint32_t events)
{
	struct process *p = container_of(src, struct process, exit);
	struct shim *sh = p->c->sh;
	siginfo_t si = { 0 };
	int status = 128 + SIGKILL;

	evloop_del(src);
	/* ECHILD: lc_delete() was faster; it kills. */
	if (waitid(P_PIDFD, (id_t)p->pidfd, &si, WEXITED | WNOHANG) == 0 && si.si_pid)
		status = si.si_code == CLD_EXITED ? si.si_status : 128 + si.si_status;
	/* The holder itself was killed: what it stood for may still run, and write. The same goes for what a first process
	 * leaves behind in a pid namespace that is not its own. */
	if (p == p->c->init && si.si_pid && (si.si_code != CLD_EXITED || lc_shares_pid_ns(p->c->lc)))
		kill_rest_later(p->c);
	stdio_drain(p->io);
	pthread_mutex_lock(&sh->mu);
	p->holder_killed = si.si_pid && si.si_code != CLD_EXITED;
	p->exit_seen = true;
	p->exit_status = (uint32_t)status;
	p->exited_at_ns = wall_now_ns();
	pthread_cond_broadcast(&sh->changed);
	process_started_locked(p);
	pthread_mutex_unlock(&sh->mu);
	process_put(p);
}

struct child {
	struct ev_source exit;
	int pidfd;
};

static void child_gone(struct ev_source *src, uint32_t events)
{
	struct child *k = container_of(src, struct child, exit);
	siginfo_t si;

	evloop_del(src);
	waitid(P_PIDFD, (id_t)k->pidfd, &si, WEXITED | WNOHANG);
	close(k->pidfd);
	free(k);
}

void child_reap_later(struct shim *sh, pid_t pid)
{
	struct child *k = pid > 0 ? calloc(1, sizeof(*k)) : NULL;

	if (!k)
		return;
	k->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (k->pidfd >= 0 && evloop_add(sh->loop, &k->exit, k->pidfd, EPOLLIN, child_gone) == 0)
		return;
	if (k->pidfd >= 0)
		close(k->pidfd);
	free(k); /* gone already, and reaped */
}

int process_watch(struct process *p, struct err *e)
{
	int ret;

	p->pidfd = (int)syscall(SYS_pidfd_open, p->pid, 0);
	if (p->pidfd < 0)
		return err_sys(e, "watch process %d", p->pid);
	process_get(p);
	ret = evloop_add(p->c->sh->loop, &p->exit, p->pidfd, EPOLLIN, on_exit_ready);
	if (ret < 0) {
		process_put(p);
		errno = -ret;
		return err_sys(e, "watch process %d", p->pid);
	}
	return 0;
}
