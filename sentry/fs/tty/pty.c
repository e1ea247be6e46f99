/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/pty.c - pseudo terminals: the master side, /dev/tty, /dev/console
 *
 * Model:   what the master writes is the slave's input, what the slave writes fills tty.out, which the master reads.
 * Source:  pty(7), ioctl_tty(2) (TIOCPKT, TIOCGPTN, TIOCSPTLCK, TIOCGPTPEER), tty(4).
 */
#include <stdio.h>

#include "sentry/fs/tty/pty.h"

#include "sentry/abi/wait.h"

#define CHUNK 1024

/* ---- the slave as a terminal driver ---------------------------------------------------------------------- */

static void pts_kick_out(struct tty *t)
{
	waitq_wake(&t->master_wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
}

static void pts_kick_in(struct tty *t)
{
	waitq_wake(&t->master_wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
}

static const struct tty_driver pts_driver = { .kick_out = pts_kick_out, .kick_in = pts_kick_in, .name = "pts", .instant = true };

/* ---- the master's file -------------------------------------------------------------------------------------- */

static bool master_readable(struct tty *t)
{
	bool r;

	mutex_lock(&t->mu);
	r = (!t->stopped && ring_used(&t->out)) || (t->packet && t->packet_status) || (t->ever_open && !t->nr_open) || t->hung_up;
	mutex_unlock(&t->mu);
	return r;
}

/* Bytes for one master read into @chunk, -LINUX_EIO when the slave is closed for good, 0 = nothing yet. */
static long master_take(struct tty *t, uint8_t *chunk, size_t cap, bool first)
{
	long n = 0;

	mutex_lock(&t->mu);
	if (t->packet && first) {
		if (t->packet_status) {
			chunk[n++] = t->packet_status;
			t->packet_status = 0;
			mutex_unlock(&t->mu);
			return n;
		}
		if (ring_used(&t->out) && !t->stopped) {
			chunk[n++] = LINUX_TIOCPKT_DATA;
			cap--;
		}
	}
	if (!t->stopped)
		n += ring_take(&t->out, chunk + n, (uint32_t)cap);
	if (!n && first && (t->hung_up || (t->ever_open && !t->nr_open))) /* whatever master_readable() wakes for */
		n = -LINUX_EIO;
	mutex_unlock(&t->mu);
	return n;
}

static long master_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct pty *p = f->priv;
	struct tty *t = p->tty;
	uint8_t chunk[CHUNK];
	long done = 0, n, ret;

	if (!io->left)
		return 0; /* below it would be room for a packet's first byte, and nothing to wait for */
	for (;;) {
		n = master_take(t, chunk, MIN(io->left, sizeof(chunk)), true);
		if (n)
			break;
		if ((f->flags & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT))
			return -LINUX_EAGAIN;
		ret = wait_event(&t->master_wq, master_readable(t), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			return ret;
	}
	while (n > 0) {
		ret = uio_write(io, chunk, (size_t)n);
		if (ret < 0)
			return done ? done : ret;
		done += ret;
		n = io->left ? master_take(t, chunk, MIN(io->left, sizeof(chunk)), false) : 0;
	}
	if (done > 0)
		waitq_wake(&t->write_wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
	return done ? done : n;
}

static bool master_writable(struct tty *t)
{
	bool r;

	mutex_lock(&t->mu);
	r = !t->throttled;
	mutex_unlock(&t->mu);
	return r;
}

static long master_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct pty *p = f->priv;
	struct tty *t = p->tty;
	uint8_t chunk[CHUNK];
	long done = 0, ret = 0;

	while (io->left) {
		struct tty_fx fx = { 0 };
		long n = uio_read(io, chunk, MIN(io->left, sizeof(chunk)));
		size_t took;

		if (n <= 0) {
			ret = n;
			break;
		}
		mutex_lock(&t->mu);
		took = ldisc_input_locked(t, chunk, (size_t)n, &fx);
		mutex_unlock(&t->mu);
		tty_fx_run(t, &fx);
		done += (long)took;
		if (took == (size_t)n)
			continue;
		uio_revert(io, (size_t)n - took);
		if ((f->flags & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT)) {
			ret = -LINUX_EAGAIN;
			break;
		}
		ret = wait_event(&t->master_wq, master_writable(t), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			break;
	}
	return done ? done : ret;
}

static uint32_t master_poll(struct file *f, struct poll_table *pt)
{
	struct pty *p = f->priv;
	struct tty *t = p->tty;
	uint32_t mask = 0;

	poll_wait(pt, &t->master_wq);
	mutex_lock(&t->mu);
	if (!t->stopped && ring_used(&t->out))
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
	if (t->packet && t->packet_status)
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM | LINUX_POLLPRI;
	if (t->ever_open && !t->nr_open)
		mask |= LINUX_POLLHUP;
	if (!t->throttled)
		mask |= LINUX_POLLOUT | LINUX_POLLWRNORM;
	mutex_unlock(&t->mu);
	return mask;
}

static long open_peer(struct file *f, uint64_t flags)
{
	struct pty *p = f->priv;
	struct task *me = task_current();
	struct dentry *d;
	struct path path;
	struct file *out;
	char name[16];
	long ret;

	snprintf(name, sizeof(name), "%d", p->tty->index);
	d = d_alloc_anon(p->fs->sb, inode_get(p->inode), name);
	if (!d)
		return -LINUX_ENOMEM;
	path = (struct path){ .mnt = f->path.mnt, .dentry = d };
	path_get(&path);
	d_put(d); /* path_get() took one more */
	ret = file_alloc(&path, &tty_file_ops, (uint32_t)flags & ~(LINUX_O_CLOEXEC | LINUX_O_CREAT), me->cred, &out);
	if (ret)
		return ret;
	ret = tty_open_file(p->tty, out);
	if (!ret) {
		out->fmode |= FMODE_OPENED;
		ret = fdtable_install(me->fds, out, 0, flags & LINUX_O_CLOEXEC, task_rlimit(me, LINUX_RLIMIT_NOFILE));
	}
	file_put(out);
	return ret;
}

static long master_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct pty *p = f->priv;
	struct tty *t = p->tty;
	int32_t v = 0;
	long ret;

	switch (cmd) {
	case LINUX_TIOCGPTN:
		return copyout_obj(u, GPTR(arg), &t->index);
	case LINUX_TIOCSPTLCK:
	case LINUX_TIOCPKT:
		ret = copyin_obj(u, &v, GPTR(arg));
		if (ret)
			return ret;
		mutex_lock(&t->mu);
		if (cmd == LINUX_TIOCSPTLCK) {
			t->locked = v != 0;
		} else {
			t->packet = v != 0;
			t->packet_status = 0;
		}
		mutex_unlock(&t->mu);
		return 0;
	case LINUX_TIOCGPTLCK:
		v = t->locked;
		return copyout_obj(u, GPTR(arg), &v);
	case LINUX_TIOCGPKT:
		v = t->packet;
		return copyout_obj(u, GPTR(arg), &v);
	case LINUX_TIOCGPTPEER:
		return open_peer(f, arg);
	case LINUX_TIOCINQ:
		mutex_lock(&t->mu);
		v = (int32_t)ring_used(&t->out);
		mutex_unlock(&t->mu);
		return copyout_obj(u, GPTR(arg), &v);
	case LINUX_TIOCSWINSZ:
	case LINUX_TIOCGWINSZ:
	default:
		return tty_common_ioctl(t, u, cmd, arg, true);
	}
}

static void master_release(struct file *f)
{
	struct pty *p = f->priv;
	struct tty *t = p->tty;

	mutex_lock(&t->mu);
	t->other_closed = true;
	mutex_unlock(&t->mu);
	pty_unlink(p);
	tty_hangup(t);
	inode_put(p->inode);
	devpts_put(p->fs);
	tty_put(t);
	free(p);
}

static const struct file_ops master_file_ops = {
	.release = master_release,
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.ioctl = master_ioctl,
};

/* ---- opening ---------------------------------------------------------------------------------------------------- */

static long ptmx_open(struct inode *i, struct file *f)
{
	struct devpts *d = devpts_of(i);
	struct pty *p;
	long ret;

	d = d ? devpts_get(d) : devpts_default();
	if (!d)
		return -LINUX_ENODEV;
	ret = pty_new(d, f->cred, &p);
	devpts_put(d);
	if (ret)
		return ret;
	p->tty->locked = true; /* until unlockpt(3) */
	f->priv = p;
	f->ops = &master_file_ops;
	f->fmode |= FMODE_STREAM;
	return 0;
}

const struct file_ops ptmx_file_ops = { .open = ptmx_open };

/* A free number of @d for @p; -LINUX_ENOSPC. */
static long claim_index(struct devpts *d, struct pty *p)
{
	uint32_t i;

	mutex_lock(&d->mu);
	for (i = 0; i < d->max && d->ptys[i]; i++)
		;
	if (i < d->max)
		d->ptys[i] = p; /* taken; lookups see it once p->inode is there */
	mutex_unlock(&d->mu);
	return i < d->max ? (long)i : -LINUX_ENOSPC;
}

/* The name's inode, visible from now on. */
static long make_name(struct pty *p, const struct cred *c)
{
	struct devpts *d = p->fs;
	struct inode *ino = inode_new(d->sb, LINUX_S_IFCHR | d->mode);
	uint32_t i = (uint32_t)p->tty->index;

	if (!ino)
		return -LINUX_ENOMEM;
	ino->ino = i + 3;
	ino->rdev = LINUX_MKDEV(136, i);
	ino->uid = d->uid != ID_INVALID ? d->uid : c->fsuid;
	ino->gid = d->has_gid ? d->gid : c->fsgid;
	ino->ops = d->sb->root->inode->ops;
	ino->fops = &pts_file_ops;
	mutex_lock(&d->mu);
	p->inode = ino;
	mutex_unlock(&d->mu);
	return 0;
}

static void give_up(struct devpts *d, long index, struct pty *p)
{
	mutex_lock(&d->mu);
	d->ptys[index] = NULL;
	mutex_unlock(&d->mu);
	if (p->fs)
		devpts_put(p->fs);
	free(p);
}

long pty_new(struct devpts *d, const struct cred *c, struct pty **out)
{
	struct pty *p = calloc(1, sizeof(*p));
	long i = p ? claim_index(d, p) : -LINUX_ENOMEM, ret;

	if (i < 0) {
		free(p);
		return i;
	}
	p->fs = devpts_get(d);
	p->tty = tty_new(&pts_driver, (int)i, TTY_OUT_SIZE);
	ret = p->tty ? make_name(p, c) : -LINUX_ENOMEM;
	if (ret) {
		tty_put(p->tty);
		give_up(d, i, p);
		return ret;
	}
	*out = p;
	return 0;
}

long pty_name_tty(struct devpts *d, struct tty *t, const struct cred *c, struct pty **out)
{
	struct pty *p = calloc(1, sizeof(*p));
	long i = p ? claim_index(d, p) : -LINUX_ENOMEM, ret;

	if (i < 0) {
		free(p);
		return i;
	}
	p->fs = devpts_get(d);
	p->tty = t;
	t->index = (int)i;
	ret = make_name(p, c);
	if (ret) {
		t->index = -1;
		give_up(d, i, p);
		return ret;
	}
	*out = p;
	return 0;
}

void pty_unname(struct pty *p)
{
	pty_unlink(p);
	inode_put(p->inode);
	devpts_put(p->fs);
	free(p);
}

static long pts_open(struct inode *i, struct file *f)
{
	struct devpts *d = devpts_of(i);
	uint32_t n = LINUX_MINOR(i->rdev);
	struct tty *t = NULL;
	long ret;

	if (!d || n >= PTS_MAX)
		return -LINUX_ENXIO;
	mutex_lock(&d->mu);
	if (d->ptys[n] && d->ptys[n]->inode == i)
		t = tty_get(d->ptys[n]->tty);
	mutex_unlock(&d->mu);
	if (!t)
		return -LINUX_EIO;
	ret = tty_open_file(t, f);
	tty_put(t);
	return ret;
}

const struct file_ops pts_file_ops = { .open = pts_open };

/* /dev/tty: the caller's controlling terminal. */
static long dev_tty_open(struct inode *i, struct file *f)
{
	struct tty *t = NULL;
	struct session *s;
	long ret;

	mutex_lock(&tasks_mu);
	s = task_current()->group->session;
	if (s && s->tty)
		t = tty_get(s->tty); /* cannot go: the terminal clears the pointer under tasks_mu before its last put */
	mutex_unlock(&tasks_mu);
	if (!t)
		return -LINUX_ENXIO;
	ret = tty_open_file(t, f);
	tty_put(t);
	return ret;
}

static const struct file_ops dev_tty_ops = { .open = dev_tty_open };

long pty_init(void)
{
	long ret = devpts_init();

	tty_job_init();
	if (!ret)
		ret = chrdev_register(5, 2, &ptmx_file_ops);
	if (!ret)
		ret = chrdev_register(5, 0, &dev_tty_ops);
	if (!ret)
		ret = chrdev_register(5, 1, &dev_tty_ops);
	return ret;
}
