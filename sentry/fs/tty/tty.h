/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/tty.h - terminals: line discipline, job control, pseudo terminals, host consoles
 *
 * Model:   a struct tty is the side that programs open as their terminal. Its input (typed by the pty's master or by the
 *          host console) goes through the line discipline into `in`; its output, processed, into `out`, which the master reads or the
 *          console flushes to the host. What a byte causes besides (signals, wake-ups) is collected in a struct tty_fx under
 *          tty.mu and carried out after it is released.
 * Locks:   tty.mu (125) is below group.sig_mu and tasks_mu and above leaves: nothing of the task layer is called under it.
 * Source:  termios(3), ioctl_tty(2), pty(7), POSIX.1-2024 chapter 11, n_tty behaviour as observed.
 * Differs: baud rates, modem lines and parity are stored only. PARMRK, ECHOPRT and VDISCARD have no effect.
 */
#ifndef SENTRY_TTY_H
#define SENTRY_TTY_H

#include "sentry/abi/tty.h"
#include "sentry/task/container.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"

#define TTY_IN_SIZE  4096u	/* N_TTY_BUF_SIZE; power of two */
#define TTY_OUT_SIZE 16384u	/* power of two */

/* A ring of bytes; positions count for ever, modulo 2^32. */
struct tty_ring {
	uint8_t *data;
	uint32_t size, head, tail;	/* size: power of two; head: next write; tail: next read */
};
static inline uint32_t ring_used(const struct tty_ring *r)
{
	return r->head - r->tail;
}
static inline uint32_t ring_room(const struct tty_ring *r)
{
	return r->size - ring_used(r);
}
static inline void ring_put(struct tty_ring *r, uint8_t c)
{
	r->data[r->head++ & (r->size - 1)] = c;
}
static inline uint8_t ring_at(const struct tty_ring *r, uint32_t pos)
{
	return r->data[pos & (r->size - 1)];
}
uint32_t ring_take(struct tty_ring *r, void *dst, uint32_t n);

struct tty;
struct tty_driver {
	/* Output was queued or became allowed: carry it away. No lock held; must not sleep. */
	void (*kick_out)(struct tty *t);
	/* Room came up in the input queue. No lock held; must not sleep. */
	void (*kick_in)(struct tty *t);
	void (*resized)(struct tty *t);	/* TIOCSWINSZ by a guest: tell the other side. NULL: nothing to do */
	void (*free)(struct tty *t);	/* last reference */
	const char *name;		/* "pts" or "console" */
	bool instant;			/* queued output counts as sent: a master reads it */
};

struct tty {
	struct refcount ref;
	const struct tty_driver *drv;
	int index;			/* pts number, -1 none; set before anybody can open it */
	struct mutex mu;
	struct linux_termios tio;	/* guarded by mu */
	struct linux_winsize win;	/* guarded by mu */
	struct tty_ring in, out;	/* guarded by mu */
	uint32_t line_start;		/* first byte of the unfinished line in `in`; guarded by mu */
	uint32_t nr_lines;		/* finished lines in `in` (canonical mode); guarded by mu */
	uint8_t eol_map[TTY_IN_SIZE / 8]; /* bit = this byte ends a line; guarded by mu */
	uint8_t eof_map[TTY_IN_SIZE / 8]; /* bit = this byte is an EOF mark, not data; guarded by mu */
	uint32_t column, canon_column;	/* of the cursor; where the line began; guarded by mu */
	bool lnext;			/* next byte is literal; guarded by mu */
	bool stopped;			/* by STOP or TCOOFF; guarded by mu */
	bool throttled;			/* the input side holds bytes back until kick_in; guarded by mu */
	bool hung_up;			/* reads give end of file, writes EIO; guarded by mu */
	bool other_closed;		/* pty: the master is gone; guarded by mu */
	bool exclusive;			/* guarded by mu */
	bool locked;			/* pty: TIOCSPTLCK; guarded by mu */
	bool packet;			/* pty: master in packet mode; guarded by mu */
	uint8_t packet_status;		/* TIOCPKT_* to report; guarded by mu */
	uint32_t nr_open;		/* of this side; guarded by mu */
	bool ever_open;			/* a slave was opened once; guarded by mu */
	struct session *session;	/* reference; guarded by mu. While set, the session holds a reference on us */
	struct pgrp *fg;		/* foreground group, reference; guarded by mu */
	struct waitq read_wq, write_wq;
	struct waitq master_wq;		/* pty master: readable or writable */
	struct sleeplock read_lock, write_lock; /* one reader and one writer at a time */
	void *priv;			/* the driver's */
};

/* What to do once tty.mu is released. */
struct tty_fx {
	int sig;		/* to the foreground group, 0 none */
	bool wake_read, wake_write, kick_out, kick_in;
	struct pgrp *fg;	/* reference taken together with sig */
};
void tty_fx_run(struct tty *t, struct tty_fx *fx);
void tty_fx_signal_locked(struct tty *t, struct tty_fx *fx, int sig);

struct tty *tty_new(const struct tty_driver *drv, int index, uint32_t out_size);
struct tty *tty_get(struct tty *t);
void tty_put(struct tty *t);

/* tty_ldisc.c, mu held */
/* Bytes of input taken (fewer when the queue is full: throttled is set then). */
size_t ldisc_input_locked(struct tty *t, const uint8_t *p, size_t n, struct tty_fx *fx);
/* Processed output of @n program bytes: how many of them fit. */
size_t ldisc_output_locked(struct tty *t, const uint8_t *p, size_t n);
/* Is there something that a read would return? */
bool ldisc_readable_locked(const struct tty *t);
/* Takes at most @cap bytes of what one read(2) may return. @out_end: canonical: the line (or an EOF mark) ended here. */
uint32_t ldisc_take_locked(struct tty *t, uint8_t *dst, uint32_t cap, bool *out_end);
void ldisc_flush_in_locked(struct tty *t);
void ldisc_mode_changed_locked(struct tty *t, uint32_t old_lflag);

/* tty_io.c: file operations of the terminal side; files' priv is a struct tty with a reference */
extern const struct file_ops tty_file_ops;
long tty_open_file(struct tty *t, struct file *f);	/* counts; sets priv; may become the controlling terminal */
void tty_hangup(struct tty *t);			/* the other side is gone for good: SIGHUP, reads end. The caller has a reference */

/* tty_ioctl.c */
long tty_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg);
/* The part that a pty's master shares: termios, window size, foreground group. -LINUX_ENOTTY for the rest. */
long tty_common_ioctl(struct tty *t, struct uthread *u, uint32_t cmd, uint64_t arg, bool master);
void tty_set_winsize(struct tty *t, const struct linux_winsize *w);	/* SIGWINCH when it differs */

/* tty_job.c: job control */
/* A background process may not do this to its own terminal: sends @sig to its group and returns -ERESTARTSYS, or -LINUX_EIO;
 * 0 when it may. */
long tty_check_background(struct tty *t, int sig);
long tty_set_controlling(struct tty *t, struct task *me, bool steal);	/* TIOCSCTTY for @me: itself, or one that does not run yet */
void tty_no_controlling(struct tty *t);		/* TIOCNOTTY */
long tty_get_pgrp(struct tty *t, struct uthread *u, uint64_t arg, bool master);
long tty_set_pgrp(struct tty *t, struct uthread *u, uint64_t arg);
long tty_get_sid(struct tty *t, struct uthread *u, uint64_t arg, bool master);
void tty_job_init(void);	/* fills the hooks of the task layer */

/* pty.c, devpts.c, console.c */
long pty_init(void);	/* registers devpts, /dev/ptmx, /dev/tty, /dev/console */
/* A terminal on a host pty replica in raw mode; @host_fd moves. Its file for stdin, stdout, stderr, named /dev/pts/N where @ctx has
 * a devpts there. */
long console_new(int host_fd, const struct linux_winsize *w, const struct vfs_ctx *ctx, struct tty **out, struct file **out_file);
/* How many consoles, also such as are gone, have output that the host had no room for; and how much it ever took. */
unsigned console_output_pending(uint64_t *out_taken);
/* The host console's size changed (WINCH from the container's holder): take it over. */
void console_host_resized(struct tty *t);
/* The same for the controlling terminal of @g; console_resized_hook. */
void console_group_resized(struct tgroup *g);

#endif
