/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/console.c - a terminal whose other end is a host pty, for processes with `terminal: true`
 *
 * Model:   the host pty is in raw mode: our own line discipline stands between it and the container. The reactor reads what the
 *          user types; output is written to the host without blocking, the rest when the host has room again.
 *          What the host has not taken when the terminal is given up is written by what stays behind of it, so that the end of
 *          a program's output is not lost when the program ends.
 * Locks:   console.mu (leaf) makes one flusher at a time; tty.mu is taken inside for the copies only.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/fs/tty/pty.h"

#define CHUNK	     4096
#define HOST_TIOCGWINSZ 0x5413
#define HOST_TIOCSWINSZ 0x5414

struct console {
	struct hostfd h;		/* h.fd is owned */
	struct tty *tty;		/* borrowed: the tty owns us */
	struct pty *name;		/* in the container's devpts; NULL none */
	struct mutex in_mu, out_mu;	/* one pump and one flusher at a time */
	uint8_t held[CHUNK];		/* typed, not yet taken by the line discipline; guarded by in_mu */
	uint32_t nr_held, at_held;	/* guarded by in_mu */
	bool eof;			/* guarded by in_mu */
	bool pending;			/* counted in nr_pending; guarded by out_mu */
};

/* Output of a terminal that is gone. */
struct rest {
	struct hostfd h;		/* h.fd is owned */
	uint32_t nr, at;		/* the reactor's */
	uint8_t data[TTY_OUT_SIZE];
};

static _Atomic unsigned nr_pending;	/* consoles and rests with output that the host has no room for */
static _Atomic uint64_t nr_taken;	/* bytes that it took */

unsigned console_output_pending(uint64_t *out_taken)
{
	*out_taken = atomic_load(&nr_taken);
	return atomic_load(&nr_pending);
}

/* ---- what stays behind ---- */

static void rest_free(void *arg)
{
	struct rest *r = arg;

	hostfd_unwatch(&r->h);
	host_call(close, r->h.fd);
	free(r);
	atomic_fetch_sub(&nr_pending, 1);
}

static void rest_event(struct hostfd *h, uint32_t events)
{
	struct rest *r = container_of(h, struct rest, h);

	while (r->at < r->nr) {
		long w = host_call(write, h->fd, r->data + r->at, r->nr - r->at);

		if (w == -EINTR)
			continue;
		if (w == -EAGAIN)
			return;
		if (w <= 0) {
			r->nr = r->at; /* nobody is there any more */
			break;
		}
		r->at += (uint32_t)w;
		atomic_fetch_add(&nr_taken, (uint64_t)w);
	}
	/* not here: a callback cannot wait for its own end */
	if (r->nr) {
		r->nr = r->at = 0;
		if (!kthread_start(rest_free, r, "console"))
			log_warn("a terminal's descriptor stays open: out of memory");
	}
}

/* Takes over @c's descriptor and what is left in @t's queue; false: there is nothing, or no memory for it. */
static bool rest_start(struct console *c, struct tty *t)
{
	uint32_t used = ring_used(&t->out);
	struct rest *r = used && c->pending ? calloc(1, sizeof(*r)) : NULL;

	if (!r)
		return false;
	for (uint32_t i = 0; i < used && i < sizeof(r->data); i++)
		r->data[r->nr++] = ring_at(&t->out, t->out.tail + i);
	r->h = (struct hostfd){ .fd = c->h.fd, .fn = rest_event };
	atomic_fetch_add(&nr_pending, 1);
	if (!hostfd_watch(&r->h, EPOLLIN | EPOLLOUT))
		return true;
	atomic_fetch_sub(&nr_pending, 1);
	free(r);
	return false;
}

/* ---- the terminal ---- */

/* On a kthread: the last reference may go here, and a reactor callback cannot wait for itself. */
static void hangup_thread(void *arg)
{
	struct tty *t = arg;

	tty_hangup(t);
	tty_put(t);
}

/* Host to line discipline until one of them has no more. */
static void console_pump(struct console *c)
{
	struct tty *t = c->tty;
	bool gone = false;

	mutex_lock(&c->in_mu);
	while (!c->eof) {
		struct tty_fx fx = { 0 };
		size_t took;

		if (c->at_held == c->nr_held) {
			long n = host_call(read, c->h.fd, c->held, sizeof(c->held));

			if (n == -EAGAIN || n == -EINTR)
				break;
			if (n <= 0) {
				c->eof = gone = true;
				break;
			}
			c->nr_held = (uint32_t)n;
			c->at_held = 0;
		}
		mutex_lock(&t->mu);
		took = ldisc_input_locked(t, c->held + c->at_held, c->nr_held - c->at_held, &fx);
		mutex_unlock(&t->mu);
		c->at_held += (uint32_t)took;
		mutex_unlock(&c->in_mu);
		tty_fx_run(t, &fx);
		mutex_lock(&c->in_mu);
		if (!took)
			break; /* kick_in comes when there is room */
	}
	mutex_unlock(&c->in_mu);
	if (gone && ref_get_unless_zero(&t->ref) && !kthread_start(hangup_thread, t, "hangup"))
		tty_put(t);
}

/* With out_mu. */
static void note_pending(struct console *c, bool pending)
{
	if (c->pending != pending)
		atomic_fetch_add(&nr_pending, pending ? 1 : -1u);
	c->pending = pending;
}

static void console_flush(struct tty *t)
{
	struct console *c = t->priv;
	uint8_t chunk[1024];
	bool room = false, left = false;

	mutex_lock(&c->out_mu);
	for (;;) {
		uint32_t n = 0, used;
		long w;

		mutex_lock(&t->mu);
		used = t->stopped ? 0 : ring_used(&t->out);
		for (; n < sizeof(chunk) && n < used; n++)
			chunk[n] = ring_at(&t->out, t->out.tail + n);
		mutex_unlock(&t->mu);
		if (!n)
			break;
		w = host_call(write, c->h.fd, chunk, n);
		if (w == -EINTR)
			continue;
		left = w == -EAGAIN;
		if (left)
			break;
		if (w < 0)
			w = n; /* nobody is there: output goes nowhere, as on a closed terminal */
		mutex_lock(&t->mu);
		/* a flush of the queue may have emptied it meanwhile */
		t->out.tail += MIN((uint32_t)w, ring_used(&t->out));
		mutex_unlock(&t->mu);
		atomic_fetch_add(&nr_taken, (uint64_t)w);
		room = true;
	}
	note_pending(c, left);
	mutex_unlock(&c->out_mu);
	if (room)
		waitq_wake(&t->write_wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
}

static void console_event(struct hostfd *h, uint32_t events)
{
	struct console *c = container_of(h, struct console, h);

	if (events & EPOLLOUT)
		console_flush(c->tty);
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		console_pump(c);
}

static void console_kick_in(struct tty *t)
{
	mutex_lock(&t->mu);
	t->throttled = false;
	mutex_unlock(&t->mu);
	console_pump(t->priv);
}

static void console_resized(struct tty *t)
{
	struct console *c = t->priv;
	struct linux_winsize w;

	mutex_lock(&t->mu);
	w = t->win;
	mutex_unlock(&t->mu);
	host_call(ioctl, c->h.fd, HOST_TIOCSWINSZ, &w);
}

static void console_free(struct tty *t)
{
	struct console *c = t->priv;

	if (!c)
		return;
	hostfd_unwatch(&c->h);
	if (!rest_start(c, t))
		host_call(close, c->h.fd);
	note_pending(c, false); /* nobody else has it any more */
	if (c->name)
		pty_unname(c->name);
	free(c);
}

static const struct tty_driver console_driver = {
	.kick_out = console_flush,
	.kick_in = console_kick_in,
	.resized = console_resized,
	.free = console_free,
	.name = "console",
};

void console_host_resized(struct tty *t)
{
	struct console *c = t->priv;
	struct linux_winsize w;

	if (t->drv == &console_driver && host_call(ioctl, c->h.fd, HOST_TIOCGWINSZ, &w) == 0)
		tty_set_winsize(t, &w);
}

void console_group_resized(struct tgroup *g)
{
	struct tty *t;

	mutex_lock(&tasks_mu);
	t = g->session && g->session->tty ? tty_get(g->session->tty) : NULL;
	mutex_unlock(&tasks_mu);
	if (t)
		console_host_resized(t);
	tty_put(t);
}

/* The terminal's file: its name in the container's devpts, so that ttyname(3) finds it, or an inode without one. */
static long console_file(struct console *c, const struct vfs_ctx *ctx, struct file **out)
{
	struct path at = { 0 };
	struct devpts *d = NULL;
	struct inode *i;
	char name[32];
	long ret = vfs_lookup(ctx, LINUX_AT_FDCWD, "/dev/pts/ptmx", WALK_FOLLOW, &at);

	if (!ret)
		d = devpts_of(at.dentry->inode);
	if (d && !pty_name_tty(d, c->tty, ctx->cred, &c->name)) {
		path_put(&at);
		snprintf(name, sizeof(name), "/dev/pts/%d", c->tty->index);
		return vfs_open(ctx, LINUX_AT_FDCWD, name, LINUX_O_RDWR | LINUX_O_NOCTTY, 0, WALK_FOLLOW, out);
	}
	if (!ret)
		path_put(&at);
	i = anon_inode_new(LINUX_S_IFCHR | 0620, ctx->cred);
	if (!i)
		return -LINUX_ENOMEM;
	i->rdev = LINUX_MKDEV(136, 0);
	ret = file_new_inode(i, "/dev/console", &tty_file_ops, LINUX_O_RDWR | LINUX_O_NOCTTY, ctx->cred, out);
	if (ret)
		return ret;
	ret = tty_open_file(c->tty, *out);
	if (ret)
		file_put(*out);
	else
		(*out)->fmode |= FMODE_OPENED;
	return ret;
}

long console_new(int host_fd, const struct linux_winsize *w, const struct vfs_ctx *ctx, struct tty **out, struct file **out_file)
{
	struct console *c = calloc(1, sizeof(*c));
	struct tty *t = c ? tty_new(&console_driver, -1, TTY_OUT_SIZE) : NULL;
	long ret;

	if (!t) {
		free(c);
		host_call(close, host_fd);
		return -LINUX_ENOMEM;
	}
	c->h = (struct hostfd){ .fd = host_fd, .fn = console_event };
	c->tty = t;
	t->priv = c;
	host_call(fcntl, host_fd, F_SETFL, O_RDWR | O_NONBLOCK);
	if (w->row || w->col) {
		t->win = *w;
		console_resized(t);
	} else {
		host_call(ioctl, host_fd, HOST_TIOCGWINSZ, &t->win);
	}
	ret = hostfd_watch(&c->h, EPOLLIN | EPOLLOUT);
	if (!ret)
		ret = console_file(c, ctx, out_file);
	if (ret) {
		tty_put(t);
		return ret;
	}
	*out = t;
	return 0;
}
