/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/session.c - process groups, sessions, controlling terminals
 *
 * Model:   a process group lives as long as it has members, a session as long as it has groups; both keep their id's numbers
 *          in use. References keep the memory for the tty layer.
 * Locks:   tasks_mu.
 * Source:  setpgid(2), setsid(2), credentials(7), POSIX.1 General Terminal Interface (orphaned process groups).
 */
#include <string.h>

#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"

void (*tty_session_exit_hook)(struct tty *tty, struct session *s);

struct pgrp *pgrp_get(struct pgrp *g)
{
	ref_get(&g->ref);
	return g;
}

void pgrp_put(struct pgrp *g)
{
	if (!g || !ref_put(&g->ref))
		return;
	pid_put(g->pid);
	session_put(g->session);
	free(g);
}

struct session *session_get(struct session *s)
{
	ref_get(&s->ref);
	return s;
}

void session_put(struct session *s)
{
	if (!s || !ref_put(&s->ref))
		return;
	pid_put(s->pid);
	free(s);
}

/* A group without members; the caller's reference becomes that of its first member. */
static struct pgrp *pgrp_new_locked(struct pid *pid, struct session *s)
{
	struct pgrp *pg = calloc(1, sizeof(*pg));

	if (!pg)
		return NULL;
	ref_init(&pg->ref, 1);
	pg->pid = pid_get(pid);
	pg->session = session_get(s);
	list_init(&pg->members);
	list_add_tail(&s->pgrps, &pg->session_node);
	pid_use_locked(pid);
	pid->pgrp = pg;
	return pg;
}

/* The last member left. */
static void pgrp_retire_locked(struct pgrp *pg)
{
	struct session *s = pg->session;

	list_del_init(&pg->session_node);
	pg->pid->pgrp = NULL;
	pid_unuse_locked(pg->pid);
	if (list_empty(&s->pgrps)) {
		s->pid->session = NULL;
		pid_unuse_locked(s->pid);
	}
}

static void publish_ids_locked(struct tgroup *g)
{
	struct task *t;

	mutex_lock(&g->sig_mu);
	list_for_each_entry (t, &g->threads, thread_node)
		task_publish_ids_locked(t);
	mutex_unlock(&g->sig_mu);
}

void session_leave_locked(struct tgroup *g)
{
	struct pgrp *pg = g->pgrp;

	if (!pg)
		return;
	list_del_init(&g->pgrp_node);
	g->pgrp = NULL;
	g->session = NULL;
	if (list_empty(&pg->members))
		pgrp_retire_locked(pg);
	pgrp_put(pg);
}

/* Makes @g a member of @pg, whose reference is handed over. */
static void pgrp_enter_locked(struct tgroup *g, struct pgrp *pg)
{
	list_add_tail(&pg->members, &g->pgrp_node);
	g->pgrp = pg;
	g->session = pg->session;
}

void session_join_locked(struct tgroup *g, struct pgrp *to)
{
	pgrp_get(to);
	session_leave_locked(g);
	pgrp_enter_locked(g, to);
}

long session_create_locked(struct tgroup *g, struct pid *pid)
{
	struct session *s = calloc(1, sizeof(*s));
	struct pgrp *pg;

	if (!s)
		return -LINUX_ENOMEM;
	ref_init(&s->ref, 1);
	s->pid = pid_get(pid);
	list_init(&s->pgrps);
	pg = pgrp_new_locked(pid, s);
	if (!pg) {
		session_put(s);
		return -LINUX_ENOMEM;
	}
	s->leader = g;
	pid_use_locked(pid);
	pid->session = s;
	session_leave_locked(g);
	pgrp_enter_locked(g, pg);
	session_put(s); /* the group's reference keeps it */
	return 0;
}

long session_setsid(struct tgroup *g)
{
	long ret = -LINUX_EPERM;

	mutex_lock(&tasks_mu);
	if ((!g->session || g->session->leader != g) && !g->pid->pgrp) {
		ret = session_create_locked(g, g->pid);
		if (!ret)
			publish_ids_locked(g);
	}
	mutex_unlock(&tasks_mu);
	return ret;
}

/* The rules of setpgid(2), in the order in which Linux tests them. */
static long setpgid_locked(struct tgroup *me, struct pid_ns *ns, uint32_t pid, uint32_t pgid)
{
	struct pid *p = pid ? pid_find_locked(ns, pid) : me->pid;
	struct tgroup *g = p ? p->tgroup : NULL;
	struct pgrp *to;

	if (!g)
		return p && p->task ? -LINUX_EINVAL : -LINUX_ESRCH; /* a thread that is no leader */
	if (g->parent == me) {
		if (g->session != me->session)
			return -LINUX_EPERM;
		if (g->did_exec)
			return -LINUX_EACCES;
	} else if (g != me) {
		return -LINUX_ESRCH;
	}
	if (g->session && g->session->leader == g)
		return -LINUX_EPERM;
	if (!pgid)
		pgid = pid_nr(g->pid, ns);
	if (pgid == pid_nr(g->pid, ns)) {
		to = g->pid->pgrp;
		if (to && to->session != g->session)
			return -LINUX_EPERM;
		if (!to) {
			to = pgrp_new_locked(g->pid, g->session);
			if (!to)
				return -LINUX_ENOMEM;
			session_join_locked(g, to);
			pgrp_put(to);
		} else if (to != g->pgrp) {
			session_join_locked(g, to);
		}
	} else {
		p = pid_find_locked(ns, pgid);
		to = p ? p->pgrp : NULL;
		if (!to || to->session != me->session)
			return -LINUX_EPERM;
		if (to != g->pgrp)
			session_join_locked(g, to);
	}
	publish_ids_locked(g);
	return 0;
}

long session_setpgid(struct task *caller, uint32_t pid, uint32_t pgid)
{
	long ret;

	mutex_lock(&tasks_mu);
	ret = setpgid_locked(caller->group, task_pid_ns(caller), pid, pgid);
	mutex_unlock(&tasks_mu);
	return ret;
}

/* ---- orphaned groups -------------------------------------------------------------------------------- */

bool pgrp_is_orphaned_locked(struct pgrp *pg, const struct tgroup *ignored)
{
	struct tgroup *g;

	list_for_each_entry (g, &pg->members, pgrp_node) {
		struct tgroup *parent = g->parent;

		if (g == ignored || g->zombie || !parent)
			continue;
		/* A container's init may be the shell: only Linux's own first process is excepted there. */
		if (parent->pgrp != pg && parent->session == pg->session)
			return false;
	}
	return true;
}

bool pgrp_has_stopped_locked(struct pgrp *pg)
{
	struct tgroup *g;
	bool found = false;

	list_for_each_entry (g, &pg->members, pgrp_node) {
		mutex_lock(&g->sig_mu);
		found = g->sig->stop & STOP_STOPPED;
		mutex_unlock(&g->sig_mu);
		if (found)
			break;
	}
	return found;
}

void pgrp_check_orphaned_locked(struct tgroup *g, struct tgroup *parent)
{
	struct pgrp *pg = g->pgrp;
	const struct tgroup *ignored = g;
	struct linux_siginfo_head si;

	if (!parent)
		parent = g->parent;
	else
		ignored = NULL; /* @g stays, its parent goes */
	if (!pg || !parent || parent->pgrp == pg || parent->session != g->session)
		return; /* its going changes nothing for the group */
	if (!pgrp_is_orphaned_locked(pg, ignored) || !pgrp_has_stopped_locked(pg))
		return;
	siginfo_kernel(&si, LINUX_SIGHUP);
	signal_send_pgrp_locked(pg, &si, 0);
	siginfo_kernel(&si, LINUX_SIGCONT);
	signal_send_pgrp_locked(pg, &si, 0);
}

/* ---- controlling terminals ---------------------------------------------------------------------------- */

long session_set_tty(struct task *t, struct tty *tty)
{
	struct session *s;
	long ret = -LINUX_EPERM;

	mutex_lock(&tasks_mu);
	s = t->group->session;
	if (s && s->leader == t->group && (!s->tty || s->tty == tty)) {
		s->tty = tty;
		ret = 0;
	}
	mutex_unlock(&tasks_mu);
	return ret;
}

void session_clear_tty(struct session *s)
{
	mutex_lock(&tasks_mu);
	s->tty = NULL;
	mutex_unlock(&tasks_mu);
}

struct tty *session_tty(struct task *t)
{
	struct tty *tty;

	mutex_lock(&tasks_mu);
	tty = t->group->session ? t->group->session->tty : NULL;
	mutex_unlock(&tasks_mu);
	return tty;
}
