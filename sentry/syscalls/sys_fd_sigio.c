/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_fd_sigio.c - SIGIO: the signal that a file with O_ASYNC and an owner sends (fcntl(2) F_SETOWN, F_SETSIG)
 *
 * Model:   file.owner.cookie is a reference to a struct pid; whom it names is found when the signal is sent.
 * Differs: si_fd is 0: the description does not know under which number it was made asynchronous.
 */
#include "sentry/syscalls/sys_fs.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"

static int band_of(int band, uint32_t events)
{
	if (band)
		return band;
	if (events & LINUX_POLLIN)
		return 1;	/* POLL_IN */
	if (events & LINUX_POLLOUT)
		return 2;	/* POLL_OUT */
	if (events & LINUX_POLLERR)
		return 4;	/* POLL_ERR */
	if (events & LINUX_POLLPRI)
		return 5;	/* POLL_PRI */
	return 6;		/* POLL_HUP */
}

static void send_to(struct pid *pid, int type, const struct linux_siginfo_head *si)
{
	struct task *task = NULL;
	struct tgroup *group = NULL;
	struct pgrp *pgrp = NULL;

	mutex_lock(&tasks_mu);
	if (type == LINUX_F_OWNER_TID && pid->task)
		task = task_get(pid->task);
	else if (type == LINUX_F_OWNER_PID && pid->tgroup)
		group = tgroup_get(pid->tgroup);
	else if (type == LINUX_F_OWNER_PGRP && pid->pgrp)
		pgrp = pgrp_get(pid->pgrp);
	mutex_unlock(&tasks_mu);
	if (task) {
		signal_send_task(task, si, 0);
		task_put(task);
	}
	if (group) {
		signal_send_group(group, si, 0);
		tgroup_put(group);
	}
	if (pgrp) {
		signal_send_pgrp(pgrp, si, 0);
		pgrp_put(pgrp);
	}
}

void fd_send_sigio(struct file *f, int band, uint32_t events)
{
	struct linux_siginfo_head si;
	struct pid *pid;
	int type, sig;

	mutex_lock(&f->mu);
	pid = (struct pid *)(uintptr_t)f->owner.cookie;
	if (pid)
		pid_get(pid);
	type = f->owner.type;
	sig = f->owner.signum;
	mutex_unlock(&f->mu);
	if (!pid)
		return;
	siginfo_kernel(&si, sig ? sig : LINUX_SIGIO);
	if (sig) {
		si.code = band_of(band, events);
		si.poll.band = events;
		si.poll.fd = 0;
	}
	send_to(pid, type, &si);
	pid_put(pid);
}
