/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/anon/signalfd.c - signalfd(2)
 *
 * Model:   a mask only: who reads takes signals from its own pending sets, as in Linux. Waiters sleep in their group's queue.
 *          Polling joins the queue of the polling task's group; the file keeps that group alive as long as it lives itself.
 * Differs: a file that more than SIGNALFD_GROUPS processes polled wakes only the first ones.
 */
#include <string.h>

#include "sentry/fs/anon/anon.h"
#include "sentry/task/signal.h"

#define SIGNALFD_GROUPS 8	/* groups whose queues this file was polled in and which it keeps */

struct signalfd {
	_Atomic uint64_t mask;	/* signals to be taken */
	struct mutex mu;
	struct tgroup *kept[SIGNALFD_GROUPS]; /* references; guarded by mu */
};

struct linux_signalfd_siginfo {
	uint32_t signo;
	int32_t err, code;
	uint32_t pid, uid;
	int32_t fd;
	uint32_t tid, band, overrun, trapno;
	int32_t status, val_int;
	uint64_t ptr, utime, stime, addr;
	uint16_t addr_lsb, pad2;
	int32_t syscall;
	uint64_t call_addr;
	uint32_t arch;
	uint8_t pad[28];
};
_Static_assert(sizeof(struct linux_signalfd_siginfo) == 128, "signalfd(2)");

#define SI_TIMER_CODE (-2)

static void fill(struct linux_signalfd_siginfo *o, const struct linux_siginfo_head *si)
{
	memset(o, 0, sizeof(*o));
	o->signo = (uint32_t)si->signo;
	o->err = si->err;
	o->code = si->code;
	if (si->code == SI_TIMER_CODE) {
		o->tid = (uint32_t)si->timer.tid;
		o->overrun = (uint32_t)si->timer.overrun;
		o->ptr = si->timer.value;
		o->val_int = (int32_t)si->timer.value;
	} else if (si->signo == LINUX_SIGCHLD && si->code > 0) {
		o->pid = (uint32_t)si->chld.pid;
		o->uid = si->chld.uid;
		o->status = si->chld.status;
		o->utime = (uint64_t)si->chld.utime;
		o->stime = (uint64_t)si->chld.stime;
	} else if (si->signo == LINUX_SIGIO && si->code > 0) {
		o->band = (uint32_t)si->poll.band;
		o->fd = si->poll.fd;
	} else if (SIGMASK(si->signo) & SIG_SYNC && si->code > 0) {
		o->addr = si->fault.addr;
		o->addr_lsb = (uint16_t)si->fault.addr_lsb;
	} else {
		o->pid = (uint32_t)si->rt.pid;
		o->uid = si->rt.uid;
		o->ptr = si->rt.value;
		o->val_int = (int32_t)si->rt.value;
	}
}

static long signalfd_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct signalfd *s = f->priv;
	struct task *t = task_current();
	struct linux_signalfd_siginfo out;
	struct linux_siginfo_head si;
	long done = 0, ret;

	if (io->left < sizeof(out))
		return -LINUX_EINVAL;
	while (io->left >= sizeof(out)) {
		if (!signal_dequeue(t, s->mask, &si)) {
			if (done)
				break;
			if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
				return -LINUX_EAGAIN;
			ret = wait_event(&t->group->sig->wq, signal_any_pending(t, s->mask), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
			if (ret)
				return ret;
			continue;
		}
		fill(&out, &si);
		ret = uio_write(io, &out, sizeof(out));
		if (ret < 0)
			return done ? done : ret;
		done += (long)sizeof(out);
	}
	return done;
}

/* True: @g, whose queue is about to be joined, will live as long as this file. */
static bool keep_group(struct signalfd *s, struct tgroup *g)
{
	bool ok = false;

	mutex_lock(&s->mu);
	for (int k = 0; k < SIGNALFD_GROUPS && !ok; k++) {
		if (!s->kept[k])
			s->kept[k] = tgroup_get(g);
		ok = s->kept[k] == g;
	}
	mutex_unlock(&s->mu);
	return ok;
}

static uint32_t signalfd_poll(struct file *f, struct poll_table *pt)
{
	struct signalfd *s = f->priv;
	struct task *t = task_current();

	if (!t)
		return 0;
	if (pt && pt->add && keep_group(s, t->group))
		poll_wait(pt, &t->group->sig->wq);
	return signal_any_pending(t, s->mask) ? LINUX_POLLIN | LINUX_POLLRDNORM : 0;
}

static void signalfd_release(struct file *f)
{
	struct signalfd *s = f->priv;

	for (int k = 0; k < SIGNALFD_GROUPS; k++)
		if (s->kept[k])
			tgroup_put(s->kept[k]);
	free(s);
}

static void signalfd_show_fdinfo(struct file *f, struct buf *out)
{
	buf_printf(out, "sigmask:\t%016lx\n", (unsigned long)((struct signalfd *)f->priv)->mask);
}

static const struct file_ops signalfd_fops = {
	.read = signalfd_read,
	.poll = signalfd_poll,
	.release = signalfd_release,
	.show_fdinfo = signalfd_show_fdinfo,
};

bool file_is_signalfd(const struct file *f)
{
	return f->ops == &signalfd_fops;
}

long signalfd_new(uint64_t mask, uint32_t flags, const struct cred *c, struct file **out)
{
	struct signalfd *s = calloc(1, sizeof(*s));
	long ret;

	if (!s)
		return -LINUX_ENOMEM;
	s->mask = mask & ~SIG_UNMASKABLE;
	ret = anon_file_new("[signalfd]", &signalfd_fops, s, flags | LINUX_O_RDWR, c, out);
	if (ret)
		free(s);
	return ret;
}

long signalfd_set(struct file *f, uint64_t mask)
{
	if (f->ops != &signalfd_fops)
		return -LINUX_EINVAL;
	atomic_store(&((struct signalfd *)f->priv)->mask, mask & ~SIG_UNMASKABLE);
	return 0;
}
