/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/pidfd.c - descriptors that stand for processes
 *
 * Model:   an anonymous file with a reference to a struct pid; readable once the process has ended.
 * Source:  pidfd_open(2), poll(2), proc_pid_fdinfo(5).
 */
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"

static const struct file_ops pidfd_ops;

static void pidfd_release(struct file *f)
{
	pid_put(f->priv);
}

static uint32_t pidfd_poll(struct file *f, struct poll_table *pt)
{
	struct pid *p = f->priv;
	bool ended;

	poll_wait(pt, &p->exit_wq);
	mutex_lock(&tasks_mu);
	ended = !p->tgroup || p->tgroup->zombie;
	mutex_unlock(&tasks_mu);
	return ended ? LINUX_POLLIN | LINUX_POLLRDNORM : 0;
}

static void pidfd_show(struct file *f, struct buf *out)
{
	struct pid *p = f->priv;
	struct task *me = task_current();
	struct pid_ns *ns = me ? task_pid_ns(me) : p->num[0].ns;
	bool alive;

	mutex_lock(&tasks_mu);
	alive = p->users;
	mutex_unlock(&tasks_mu);
	buf_printf(out, "Pid:\t%d\n", alive ? (int)pid_nr(p, ns) : -1);
	if (alive && ns->level <= p->level) {
		buf_printf(out, "NSpid:");
		for (uint32_t i = ns->level; i <= p->level; i++)
			buf_printf(out, "\t%u", p->num[i].nr);
		buf_printf(out, "\n");
	}
}

static const struct file_ops pidfd_ops = {
	.release = pidfd_release,
	.poll = pidfd_poll,
	.show_fdinfo = pidfd_show,
};

long pidfd_install(struct task *t, struct pid *pid, uint32_t flags)
{
	struct file *f;
	long ret;

	ret = anon_file_new("[pidfd]", &pidfd_ops, pid_get(pid), LINUX_O_RDWR | flags, t->cred, &f);
	if (ret < 0) {
		pid_put(pid);
		return ret;
	}
	ret = fdtable_install(t->fds, f, 0, true, task_rlimit(t, LINUX_RLIMIT_NOFILE));
	file_put(f);
	return ret;
}

struct pid *pidfd_file_pid(struct file *f)
{
	return f->ops == &pidfd_ops ? f->priv : NULL;
}

struct pid *pidfd_pid(struct task *t, int fd, uint32_t *out_flags)
{
	struct file *f = fdtable_file(t->fds, fd, false);
	struct pid *p;

	if (!f)
		return NULL;
	p = pidfd_file_pid(f);
	if (p) {
		pid_get(p);
		*out_flags = atomic_load_explicit(&f->flags, memory_order_relaxed);
	}
	file_put(f);
	return p;
}
