/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/tty_ioctl.c - ioctl_tty(2)
 */
#include <string.h>

#include "sentry/fs/tty/tty.h"

/* The old struct termio of TCGETA. */
struct linux_termio {
	uint16_t iflag, oflag, cflag, lflag;
	uint8_t line, cc[8], pad;
};

static long get_termios(struct tty *t, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct linux_termios2 t2 = { .ispeed = 38400, .ospeed = 38400 };
	struct linux_termio old = { 0 };
	struct linux_termios tio;

	mutex_lock(&t->mu);
	tio = t->tio;
	mutex_unlock(&t->mu);
	if (cmd == LINUX_TCGETS)
		return copyout_obj(u, GPTR(arg), &tio);
	if (cmd == LINUX_TCGETS2) {
		memcpy(&t2, &tio, sizeof(tio));
		return copyout_obj(u, GPTR(arg), &t2);
	}
	old.iflag = (uint16_t)tio.iflag;
	old.oflag = (uint16_t)tio.oflag;
	old.cflag = (uint16_t)tio.cflag;
	old.lflag = (uint16_t)tio.lflag;
	old.line = tio.line;
	memcpy(old.cc, tio.cc, sizeof(old.cc));
	return copyout_obj(u, GPTR(arg), &old);
}

static long copyin_termios(struct tty *t, struct uthread *u, uint32_t cmd, uint64_t arg, struct linux_termios *out)
{
	struct linux_termios2 t2;
	struct linux_termio old;
	long ret;

	switch (cmd) {
	case LINUX_TCSETS:
	case LINUX_TCSETSW:
	case LINUX_TCSETSF:
		return copyin_obj(u, out, GPTR(arg));
	case LINUX_TCSETS2:
	case LINUX_TCSETSW2:
	case LINUX_TCSETSF2:
		ret = copyin_obj(u, &t2, GPTR(arg));
		if (!ret)
			memcpy(out, &t2, sizeof(*out));
		return ret;
	default:
		ret = copyin_obj(u, &old, GPTR(arg));
		if (ret)
			return ret;
		mutex_lock(&t->mu);
		*out = t->tio;
		mutex_unlock(&t->mu);
		out->iflag = (out->iflag & ~0xffffu) | old.iflag;
		out->oflag = (out->oflag & ~0xffffu) | old.oflag;
		out->cflag = (out->cflag & ~0xffffu) | old.cflag;
		out->lflag = (out->lflag & ~0xffffu) | old.lflag;
		memcpy(out->cc, old.cc, sizeof(old.cc));
		return 0;
	}
}

static bool drained(struct tty *t)
{
	bool r;

	mutex_lock(&t->mu);
	r = !ring_used(&t->out) || t->hung_up || t->other_closed;
	mutex_unlock(&t->mu);
	return r;
}

/* tcdrain(3). A pty's output counts as sent once the master can read it. */
static long wait_drained(struct tty *t)
{
	if (t->drv->instant)
		return 0;
	return wait_event(&t->write_wq, drained(t), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
}

static long set_termios(struct tty *t, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	bool flush = cmd == LINUX_TCSETSF || cmd == LINUX_TCSETSF2 || cmd == LINUX_TCSETAF;
	bool wait = flush || cmd == LINUX_TCSETSW || cmd == LINUX_TCSETSW2 || cmd == LINUX_TCSETAW;
	struct tty_fx fx = { 0 };
	struct linux_termios tio;
	uint32_t old_lflag;
	long ret = tty_check_background(t, LINUX_SIGTTOU);

	if (!ret)
		ret = copyin_termios(t, u, cmd, arg, &tio);
	if (!ret && wait)
		ret = wait_drained(t);
	if (ret)
		return ret;
	mutex_lock(&t->mu);
	old_lflag = t->tio.lflag;
	t->tio = tio;
	ldisc_mode_changed_locked(t, old_lflag);
	if (flush) {
		ldisc_flush_in_locked(t);
		fx.kick_in = true;
	}
	if (!(tio.iflag & LINUX_IXON) && t->stopped) {
		t->stopped = false;
		fx.kick_out = fx.wake_write = true;
	}
	fx.wake_read = true;
	mutex_unlock(&t->mu);
	tty_fx_run(t, &fx);
	return 0;
}

void tty_set_winsize(struct tty *t, const struct linux_winsize *w)
{
	struct tty_fx fx = { 0 };

	mutex_lock(&t->mu);
	if (memcmp(&t->win, w, sizeof(*w))) {
		t->win = *w;
		tty_fx_signal_locked(t, &fx, LINUX_SIGWINCH);
	}
	mutex_unlock(&t->mu);
	tty_fx_run(t, &fx);
}

static long flush_queues(struct tty *t, uint64_t which)
{
	struct tty_fx fx = { 0 };

	if (which > 2)
		return -LINUX_EINVAL;
	mutex_lock(&t->mu);
	if (which == 0 || which == 2) {
		ldisc_flush_in_locked(t);
		t->packet_status |= LINUX_TIOCPKT_FLUSHREAD;
		fx.kick_in = true;
	}
	if (which == 1 || which == 2) {
		t->out.tail = t->out.head;
		t->packet_status |= LINUX_TIOCPKT_FLUSHWRITE;
		fx.wake_write = true;
	}
	mutex_unlock(&t->mu);
	tty_fx_run(t, &fx);
	waitq_wake_all(&t->master_wq);
	return 0;
}

/* tcflow(3) */
static long flow(struct tty *t, uint64_t what)
{
	struct tty_fx fx = { 0 };

	if (what > 3)
		return -LINUX_EINVAL;
	mutex_lock(&t->mu);
	if (what == 0) {
		t->stopped = true;
	} else if (what == 1) {
		t->stopped = false;
		fx.kick_out = fx.wake_write = true;
	} else {
		uint8_t c = t->tio.cc[what == 2 ? LINUX_VSTOP : LINUX_VSTART];

		ldisc_output_locked(t, &c, 1);
		fx.kick_out = true;
	}
	mutex_unlock(&t->mu);
	tty_fx_run(t, &fx);
	return 0;
}

static long put_int(struct uthread *u, uint64_t arg, int v)
{
	return copyout_obj(u, GPTR(arg), &v);
}

long tty_common_ioctl(struct tty *t, struct uthread *u, uint32_t cmd, uint64_t arg, bool master)
{
	struct linux_winsize w;
	long ret;

	switch (cmd) {
	case LINUX_TCGETS:
	case LINUX_TCGETS2:
	case LINUX_TCGETA:
		return get_termios(t, u, cmd, arg);
	case LINUX_TCSETS:
	case LINUX_TCSETSW:
	case LINUX_TCSETSF:
	case LINUX_TCSETS2:
	case LINUX_TCSETSW2:
	case LINUX_TCSETSF2:
	case LINUX_TCSETA:
	case LINUX_TCSETAW:
	case LINUX_TCSETAF:
		return set_termios(t, u, cmd, arg);
	case LINUX_TIOCGWINSZ:
		mutex_lock(&t->mu);
		w = t->win;
		mutex_unlock(&t->mu);
		return copyout_obj(u, GPTR(arg), &w);
	case LINUX_TIOCSWINSZ:
		ret = copyin_obj(u, &w, GPTR(arg));
		if (ret)
			return ret;
		tty_set_winsize(t, &w);
		if (!master && t->drv->resized)
			t->drv->resized(t);
		return 0;
	case LINUX_TIOCGPGRP:
		return tty_get_pgrp(t, u, arg, master);
	case LINUX_TIOCSPGRP:
		return tty_set_pgrp(t, u, arg);
	case LINUX_TIOCGSID:
		return tty_get_sid(t, u, arg, master);
	case LINUX_TIOCGETD:
		return put_int(u, arg, 0);
	default:
		return -LINUX_ENOTTY;
	}
}

static bool is_admin(void)
{
	return cred_has_cap(task_current()->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN);
}

static long set_exclusive(struct tty *t, bool on)
{
	mutex_lock(&t->mu);
	t->exclusive = on;
	mutex_unlock(&t->mu);
	return 0;
}

long tty_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct tty *t = f->priv;
	uint32_t n;

	if (t->hung_up)
		return -LINUX_EIO;
	switch (cmd) {
	case LINUX_TIOCSCTTY:
		if (session_tty(task_current()) == t)
			return 0;
		return tty_set_controlling(t, task_current(), arg == 1 && is_admin());
	case LINUX_TIOCNOTTY:
		if (session_tty(task_current()) != t)
			return -LINUX_ENOTTY;
		tty_no_controlling(t);
		return 0;
	case LINUX_TIOCEXCL:
	case LINUX_TIOCNXCL:
		return set_exclusive(t, cmd == LINUX_TIOCEXCL);
	case LINUX_TIOCGEXCL:
		return put_int(u, arg, t->exclusive);
	case LINUX_TIOCINQ:
		mutex_lock(&t->mu);
		n = t->tio.lflag & LINUX_ICANON ? t->line_start - t->in.tail : ring_used(&t->in);
		mutex_unlock(&t->mu);
		return put_int(u, arg, (int)n);
	case LINUX_TIOCOUTQ:
		mutex_lock(&t->mu);
		n = ring_used(&t->out);
		mutex_unlock(&t->mu);
		return put_int(u, arg, (int)n);
	case LINUX_TCFLSH:
		return flush_queues(t, arg);
	case LINUX_TCXONC:
		return flow(t, arg);
	case LINUX_TCSBRK:
	case LINUX_TCSBRKP:
		return wait_drained(t);
	case LINUX_TIOCSTI:
		return -LINUX_EIO; /* as Linux with dev.tty.legacy_tiocsti = 0 */
	case LINUX_TIOCSETD:
		return -LINUX_EINVAL;
	case LINUX_TIOCVHANGUP:
		if (!is_admin())
			return -LINUX_EPERM;
		tty_hangup(t);
		return 0;
	default:
		return tty_common_ioctl(t, u, cmd, arg, false);
	}
}
