/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/tty_io.c - terminals as files: open, read, write, poll, hang up
 *
 * Locks:   read_lock and write_lock (sleeplocks) order readers and writers among themselves; tty.mu inside them. Guest copies hold
 *          neither tty.mu nor any other mutex.
 * Source:  termios(3) (VMIN and VTIME), tty_ioctl(4), POSIX.1-2024 11.1.7.
 */
#include <string.h>

#include "sentry/fs/tty/tty.h"

#define CHUNK 1024 /* bytes moved per step; on the stack */

static const struct linux_termios termios_default = {
	.iflag = LINUX_ICRNL | LINUX_IXON,
	.oflag = LINUX_OPOST | LINUX_ONLCR,
	.cflag = LINUX_B38400 | LINUX_CS8 | LINUX_CREAD,
	.lflag = LINUX_ISIG | LINUX_ICANON | LINUX_ECHO | LINUX_ECHOE | LINUX_ECHOK | LINUX_ECHOCTL | LINUX_ECHOKE | LINUX_IEXTEN,
	.cc = { [LINUX_VINTR] = 3, [LINUX_VQUIT] = 28, [LINUX_VERASE] = 127, [LINUX_VKILL] = 21, [LINUX_VEOF] = 4, [LINUX_VMIN] = 1,
		[LINUX_VSTART] = 17, [LINUX_VSTOP] = 19, [LINUX_VSUSP] = 26, [LINUX_VREPRINT] = 18, [LINUX_VDISCARD] = 15,
		[LINUX_VWERASE] = 23, [LINUX_VLNEXT] = 22 },
};

struct tty *tty_new(const struct tty_driver *drv, int index, uint32_t out_size)
{
	struct tty *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->in.data = malloc(TTY_IN_SIZE);
	t->out.data = malloc(out_size);
	if (!t->in.data || !t->out.data) {
		free(t->in.data);
		free(t->out.data);
		free(t);
		return NULL;
	}
	t->in.size = TTY_IN_SIZE;
	t->out.size = out_size;
	t->drv = drv;
	t->index = index;
	t->tio = termios_default;
	ref_init(&t->ref, 1);
	mutex_init(&t->mu);
	waitq_init(&t->read_wq);
	waitq_init(&t->write_wq);
	waitq_init(&t->master_wq);
	sleeplock_init(&t->read_lock);
	sleeplock_init(&t->write_lock);
	return t;
}

struct tty *tty_get(struct tty *t)
{
	ref_get(&t->ref);
	return t;
}

void tty_put(struct tty *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	if (t->drv->free)
		t->drv->free(t);
	if (t->session)
		session_put(t->session);
	if (t->fg)
		pgrp_put(t->fg);
	free(t->in.data);
	free(t->out.data);
	free(t);
}

/* ---- effects ---------------------------------------------------------------------------------------- */

void tty_fx_signal_locked(struct tty *t, struct tty_fx *fx, int sig)
{
	if (fx->fg)
		pgrp_put(fx->fg);
	fx->sig = sig;
	fx->fg = t->fg ? pgrp_get(t->fg) : NULL;
}

void tty_fx_run(struct tty *t, struct tty_fx *fx)
{
	struct linux_siginfo_head si;

	if (fx->fg) {
		siginfo_kernel(&si, fx->sig);
		signal_send_pgrp(fx->fg, &si, 0);
		pgrp_put(fx->fg);
	}
	if (fx->kick_out)
		t->drv->kick_out(t);
	if (fx->kick_in)
		t->drv->kick_in(t);
	if (fx->wake_read)
		waitq_wake(&t->read_wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
	if (fx->wake_write)
		waitq_wake(&t->write_wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
}

void tty_hangup(struct tty *t)
{
	struct linux_siginfo_head si;
	struct session *s;
	struct pgrp *fg;

	mutex_lock(&t->mu);
	t->hung_up = true;
	s = TAKE_PTR(t->session);
	fg = TAKE_PTR(t->fg);
	mutex_unlock(&t->mu);
	if (s) {
		struct pgrp *leader_pg = NULL;

		mutex_lock(&tasks_mu);
		if (s->tty == t)
			s->tty = NULL;
		if (s->leader && s->leader->pgrp)
			leader_pg = pgrp_get(s->leader->pgrp);
		mutex_unlock(&tasks_mu);
		/* The session leader learns of it, and whoever is in the foreground (POSIX 11.1.10). */
		siginfo_kernel(&si, LINUX_SIGHUP);
		if (leader_pg)
			signal_send_pgrp(leader_pg, &si, 0);
		if (fg && fg != leader_pg)
			signal_send_pgrp(fg, &si, 0);
		siginfo_kernel(&si, LINUX_SIGCONT);
		if (leader_pg) {
			signal_send_pgrp(leader_pg, &si, 0);
			pgrp_put(leader_pg);
		}
		session_put(s);
	}
	if (fg)
		pgrp_put(fg);
	waitq_wake_all(&t->read_wq);
	waitq_wake_all(&t->write_wq);
	waitq_wake_all(&t->master_wq);
	if (s)
		tty_put(t); /* the session's; the caller holds one of its own */
}

/* ---- open and close ------------------------------------------------------------------------------------ */

long tty_open_file(struct tty *t, struct file *f)
{
	struct task *me = task_current();
	long ret = 0;

	mutex_lock(&t->mu);
	if (t->hung_up || t->other_closed || t->locked)
		ret = -LINUX_EIO;
	else if (t->exclusive && me && !cred_has_cap(me->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		ret = -LINUX_EBUSY;
	if (!ret) {
		t->nr_open++;
		t->ever_open = true;
	}
	mutex_unlock(&t->mu);
	if (ret)
		return ret;
	f->priv = tty_get(t);
	f->ops = &tty_file_ops;
	f->fmode |= FMODE_STREAM;
	/* open(2): a session leader without a terminal gets it, unless O_NOCTTY. */
	if (me && !(f->fmode & (FMODE_NOCTTY | FMODE_PATH)) && (f->fmode & FMODE_READ))
		tty_set_controlling(t, me, false);
	waitq_wake_all(&t->master_wq);
	return 0;
}

static void tty_release(struct file *f)
{
	struct tty *t = f->priv;
	bool last;

	mutex_lock(&t->mu);
	last = --t->nr_open == 0;
	if (last)
		t->exclusive = false;
	mutex_unlock(&t->mu);
	if (last)
		waitq_wake_all(&t->master_wq); /* its reads fail with EIO now */
	tty_put(t);
}

/* ---- read ------------------------------------------------------------------------------------------------- */

static bool tty_ready(struct tty *t, uint32_t min)
{
	bool r;

	mutex_lock(&t->mu);
	r = t->hung_up || t->other_closed || (t->tio.lflag & LINUX_ICANON ? t->nr_lines > 0 : ring_used(&t->in) >= min);
	mutex_unlock(&t->mu);
	return r;
}

/* How long and for how much a raw read waits. */
struct raw_rule {
	uint32_t min;
	uint64_t deadline;
	bool poll_only;	/* VMIN 0, VTIME 0 */
	uint64_t between_ns; /* VMIN > 0, VTIME > 0: longest gap after the first byte */
};

static struct raw_rule raw_rule(struct tty *t, size_t want)
{
	struct raw_rule r = { .min = 1, .deadline = NO_DEADLINE };
	uint32_t vmin, vtime;

	mutex_lock(&t->mu);
	if (!(t->tio.lflag & LINUX_ICANON)) {
		vmin = t->tio.cc[LINUX_VMIN];
		vtime = t->tio.cc[LINUX_VTIME];
		if (!vmin && !vtime) {
			r.poll_only = true;
		} else if (!vmin) {
			r.deadline = now_ns() + vtime * (NSEC_PER_SEC / 10);
		} else {
			r.min = (uint32_t)MIN((size_t)vmin, want);
			r.between_ns = vtime * (NSEC_PER_SEC / 10);
		}
	}
	mutex_unlock(&t->mu);
	return r;
}

/* Waits until a read has something to return: 0 go on, 1 nothing came in time, or an error. */
static long tty_wait_input(struct tty *t, struct file *f, uint32_t rwf, const struct raw_rule *r)
{
	uint64_t deadline = r->deadline;
	long ret;

	if (tty_ready(t, r->min))
		return 0;
	if (r->poll_only)
		return tty_ready(t, 1) ? 0 : 1;
	if ((f->flags & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT))
		return tty_ready(t, 1) ? 0 : -LINUX_EAGAIN;
	if (r->between_ns) {
		/* the timer starts with the first byte and starts again with each */
		uint32_t have = 1;

		ret = wait_event(&t->read_wq, tty_ready(t, 1), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		while (!ret && !tty_ready(t, r->min)) {
			ret = wait_event(&t->read_wq, tty_ready(t, have + 1), SLEEP_INTERRUPTIBLE, now_ns() + r->between_ns);
			have++;
		}
		return ret == -LINUX_ETIMEDOUT ? 0 : ret;
	}
	ret = wait_event(&t->read_wq, tty_ready(t, r->min), SLEEP_INTERRUPTIBLE, deadline);
	return ret == -LINUX_ETIMEDOUT ? 1 : ret;
}

static long tty_copy_out(struct tty *t, struct uio *io, bool *out_kick)
{
	uint8_t chunk[CHUNK];
	bool end = false;
	long done = 0, n;

	while (io->left && !end) {
		uint32_t got;

		mutex_lock(&t->mu);
		got = ldisc_take_locked(t, chunk, (uint32_t)MIN(io->left, sizeof(chunk)), &end);
		if (t->throttled && ring_room(&t->in) >= TTY_IN_SIZE / 2) {
			t->throttled = false;
			*out_kick = true;
		}
		mutex_unlock(&t->mu);
		if (!got)
			break;
		n = uio_write(io, chunk, got);
		if (n < 0)
			return done ? done : n;
		done += n;
	}
	return done;
}

static long tty_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct tty *t = f->priv;
	struct raw_rule rule = raw_rule(t, io->left);
	bool kick = false;
	long ret = tty_check_background(t, LINUX_SIGTTIN);

	if (ret)
		return ret;
	if (f->flags & LINUX_O_NONBLOCK) {
		if (!sleep_trylock(&t->read_lock))
			return -LINUX_EAGAIN;
	} else {
		ret = sleep_lock_killable(&t->read_lock);
		if (ret)
			return ret;
	}
	ret = tty_wait_input(t, f, rwf, &rule);
	if (!ret)
		ret = tty_copy_out(t, io, &kick);
	else if (ret == 1)
		ret = 0;
	sleep_unlock(&t->read_lock);
	if (kick)
		t->drv->kick_in(t);
	return ret;
}

/* ---- write -------------------------------------------------------------------------------------------------- */

static bool tty_writable(struct tty *t)
{
	bool r;

	mutex_lock(&t->mu);
	r = t->hung_up || t->other_closed || (!t->stopped && ring_room(&t->out) >= 64);
	mutex_unlock(&t->mu);
	return r;
}

/* All of a chunk to the output queue, waiting for room. Bytes, or an error if none went. */
static long write_chunk(struct tty *t, const uint8_t *p, size_t n, bool nonblock)
{
	size_t done = 0;
	long ret = 0;

	while (done < n) {
		bool dead;

		mutex_lock(&t->mu);
		dead = t->hung_up || t->other_closed;
		if (!dead && !t->stopped)
			done += ldisc_output_locked(t, p + done, n - done);
		mutex_unlock(&t->mu);
		t->drv->kick_out(t);
		if (dead) {
			ret = -LINUX_EIO;
			break;
		}
		if (done == n)
			break;
		if (nonblock) {
			ret = -LINUX_EAGAIN;
			break;
		}
		ret = wait_event(&t->write_wq, tty_writable(t), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			break;
	}
	return done ? (long)done : ret;
}

static long tty_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	bool nonblock = (f->flags & LINUX_O_NONBLOCK) || (rwf & LINUX_RWF_NOWAIT);
	struct tty *t = f->priv;
	uint8_t chunk[CHUNK];
	long done = 0, ret = 0, n;

	if (t->tio.lflag & LINUX_TOSTOP) {
		ret = tty_check_background(t, LINUX_SIGTTOU);
		if (ret)
			return ret;
	}
	ret = sleep_lock_killable(&t->write_lock);
	if (ret)
		return ret;
	while (io->left) {
		n = uio_read(io, chunk, MIN(io->left, sizeof(chunk)));
		if (n <= 0) {
			ret = n;
			break;
		}
		ret = write_chunk(t, chunk, (size_t)n, nonblock);
		if (ret < n)
			uio_revert(io, (size_t)(n - MAX(ret, 0l)));
		if (ret > 0)
			done += ret;
		if (ret < n)
			break;
	}
	sleep_unlock(&t->write_lock);
	return done ? done : ret;
}

static uint32_t tty_poll(struct file *f, struct poll_table *pt)
{
	struct tty *t = f->priv;
	uint32_t mask = 0;

	poll_wait(pt, &t->read_wq);
	poll_wait(pt, &t->write_wq);
	mutex_lock(&t->mu);
	if (t->hung_up || t->other_closed)
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM | LINUX_POLLHUP | LINUX_POLLERR | LINUX_POLLOUT | LINUX_POLLWRNORM;
	if (ldisc_readable_locked(t))
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
	if (!t->stopped && ring_room(&t->out) >= 256)
		mask |= LINUX_POLLOUT | LINUX_POLLWRNORM;
	mutex_unlock(&t->mu);
	return mask;
}

const struct file_ops tty_file_ops = {
	.release = tty_release,
	.read = tty_read,
	.write = tty_write,
	.poll = tty_poll,
	.ioctl = tty_ioctl,
};
