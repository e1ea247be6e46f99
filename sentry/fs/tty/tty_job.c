/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/tty_job.c - controlling terminals and foreground groups
 *
 * Locks:   tasks_mu > tty.mu is the order; where both are needed the session's pointer is set first, under tasks_mu by the task
 *          layer, then the terminal's own. A terminal with a session has a reference for it, dropped by whoever empties
 *          tty.session after session.tty is cleared: under tasks_mu a session's tty can be taken by tty_get().
 * Source:  tcsetpgrp(3), ioctl_tty(2), credentials(7), POSIX.1-2024 11.1.3, 11.1.4.
 */
#include "sentry/fs/tty/tty.h"
#include "sentry/task/ns.h"

#include <stdio.h>

long tty_check_background(struct tty *t, int sig)
{
	struct task *me = task_current();
	struct linux_siginfo_head si;
	struct pgrp *mine;
	struct sighand *h;
	bool background, orphan;

	if (!me || session_tty(me) != t)
		return 0;
	mutex_lock(&tasks_mu);
	mine = pgrp_get(me->group->pgrp);
	orphan = pgrp_is_orphaned_locked(mine, NULL);
	mutex_unlock(&tasks_mu);
	mutex_lock(&t->mu);
	background = t->fg && t->fg != mine;
	mutex_unlock(&t->mu);
	if (!background) {
		pgrp_put(mine);
		return 0;
	}
	h = me->group->sig->hand;
	if ((signal_mask(me) & SIGMASK(sig)) || sighand_action(h, sig).handler == LINUX_SIG_IGN) {
		pgrp_put(mine);
		return sig == LINUX_SIGTTIN ? -LINUX_EIO : 0;
	}
	if (orphan) {
		pgrp_put(mine);
		return -LINUX_EIO;
	}
	siginfo_kernel(&si, sig);
	signal_send_pgrp(mine, &si, 0);
	pgrp_put(mine);
	return -ERESTARTSYS;
}

long tty_set_controlling(struct tty *t, struct task *me, bool steal)
{
	struct session *mine, *old;
	struct pgrp *pg, *old_fg;
	long ret;

	mutex_lock(&tasks_mu);
	mine = me->group->session ? session_get(me->group->session) : NULL;
	pg = me->group->pgrp ? pgrp_get(me->group->pgrp) : NULL;
	mutex_unlock(&tasks_mu);
	mutex_lock(&t->mu);
	old = t->session;
	ret = old && old != mine && !steal ? -LINUX_EPERM : 0;
	mutex_unlock(&t->mu);
	if (!ret && (!mine || !pg))
		ret = -LINUX_EPERM;
	if (!ret)
		ret = session_set_tty(me, t);
	if (ret) {
		if (mine)
			session_put(mine);
		if (pg)
			pgrp_put(pg);
		return ret;
	}
	mutex_lock(&t->mu);
	old = t->session;
	old_fg = t->fg;
	t->session = mine;
	t->fg = pg;
	if (!old)
		tty_get(t); /* the session's */
	mutex_unlock(&t->mu);
	if (old) {
		if (old != mine)
			session_clear_tty(old);
		session_put(old);
	}
	if (old_fg)
		pgrp_put(old_fg);
	return 0;
}

/* The terminal is no longer @s's: its foreground group gets SIGHUP and SIGCONT (TIOCNOTTY by the leader, or its exit). */
static void tty_disassociate(struct tty *t, struct session *s)
{
	struct linux_siginfo_head si;
	struct session *old = NULL;
	struct pgrp *fg = NULL;

	mutex_lock(&t->mu);
	if (t->session == s) {
		old = TAKE_PTR(t->session);
		fg = TAKE_PTR(t->fg);
	}
	mutex_unlock(&t->mu);
	if (fg) {
		siginfo_kernel(&si, LINUX_SIGHUP);
		signal_send_pgrp(fg, &si, 0);
		siginfo_kernel(&si, LINUX_SIGCONT);
		signal_send_pgrp(fg, &si, 0);
		pgrp_put(fg);
	}
	session_clear_tty(s);
	if (old) {
		session_put(old);
		tty_put(t);
	}
}

void tty_no_controlling(struct tty *t)
{
	struct task *me = task_current();
	struct session *s = NULL;

	mutex_lock(&tasks_mu);
	if (me->group->session && me->group->session->leader == me->group)
		s = session_get(me->group->session);
	mutex_unlock(&tasks_mu);
	if (!s)
		return; /* only the leader's counts; others merely lose the right, which we do not track per process */
	tty_disassociate(t, s);
	session_put(s);
}

static void session_exit(struct tty *seen, struct session *s)
{
	struct tty *t;

	mutex_lock(&tasks_mu);
	t = s->tty ? tty_get(s->tty) : NULL; /* @seen may have been hung up meanwhile */
	mutex_unlock(&tasks_mu);
	if (t)
		tty_disassociate(t, s);
	tty_put(t);
}

static struct pgrp *foreground(struct tty *t)
{
	struct pgrp *pg;

	mutex_lock(&t->mu);
	pg = t->fg ? pgrp_get(t->fg) : NULL;
	mutex_unlock(&t->mu);
	return pg;
}

long tty_get_pgrp(struct tty *t, struct uthread *u, uint64_t arg, bool master)
{
	struct task *me = task_current();
	struct pgrp *pg;
	int32_t nr = 0;

	if (!master && session_tty(me) != t)
		return -LINUX_ENOTTY;
	pg = foreground(t);
	if (pg) {
		nr = (int32_t)pid_nr(pg->pid, task_pid_ns(me));
		pgrp_put(pg);
	}
	return copyout_obj(u, GPTR(arg), &nr);
}

long tty_set_pgrp(struct tty *t, struct uthread *u, uint64_t arg)
{
	struct task *me = task_current();
	struct pgrp *pg = NULL, *old = NULL;
	struct pid *pid;
	int32_t nr;
	long ret = copyin_obj(u, &nr, GPTR(arg));

	if (ret)
		return ret;
	if (nr < 0)
		return -LINUX_EINVAL;
	if (session_tty(me) != t)
		return -LINUX_ENOTTY;
	ret = tty_check_background(t, LINUX_SIGTTOU);
	if (ret)
		return ret;
	mutex_lock(&tasks_mu);
	pid = pid_find_locked(task_pid_ns(me), (uint32_t)nr);
	if (!pid || !pid->pgrp)
		ret = -LINUX_ESRCH;
	else if (pid->pgrp->session != me->group->session)
		ret = -LINUX_EPERM;
	else
		pg = pgrp_get(pid->pgrp);
	mutex_unlock(&tasks_mu);
	if (ret)
		return ret;
	mutex_lock(&t->mu);
	old = t->fg;
	t->fg = pg;
	mutex_unlock(&t->mu);
	if (old)
		pgrp_put(old);
	return 0;
}

long tty_get_sid(struct tty *t, struct uthread *u, uint64_t arg, bool master)
{
	struct task *me = task_current();
	int32_t nr = 0;

	if (!master && session_tty(me) != t)
		return -LINUX_ENOTTY;
	mutex_lock(&t->mu);
	if (t->session)
		nr = (int32_t)pid_nr(t->session->pid, task_pid_ns(me));
	mutex_unlock(&t->mu);
	return nr ? copyout_obj(u, GPTR(arg), &nr) : -LINUX_ENOTTY;
}

static void name_of(struct tty *t, char out[16])
{
	if (t->index >= 0)
		snprintf(out, 16, "pts/%d", t->index);
	else
		snprintf(out, 16, "console");
}

void tty_job_init(void)
{
	tty_session_exit_hook = session_exit;
	tty_foreground_hook = foreground;
	tty_name_hook = name_of;
}
