/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tty/tty_ldisc.c - the line discipline: from typed bytes to lines, from program bytes to the screen
 *
 * Model:   input bytes go through flags (iflag), signals and flow control, line editing, and echo; a finished line is marked in
 *          eol_map. In raw mode every byte is readable at once. One function per stage; all under tty.mu.
 * Source:  termios(3), POSIX.1-2024 11.1.6 (canonical mode), 11.1.9 (special characters).
 */
#include <string.h>

#include "sentry/fs/tty/tty.h"

#define DISABLED 0 /* _POSIX_VDISABLE */

static bool map_get(const uint8_t *m, uint32_t pos)
{
	pos &= TTY_IN_SIZE - 1;
	return m[pos / 8] >> (pos % 8) & 1;
}

static void map_set(uint8_t *m, uint32_t pos, bool v)
{
	pos &= TTY_IN_SIZE - 1;
	m[pos / 8] = (uint8_t)((m[pos / 8] & ~(1u << (pos % 8))) | (unsigned)v << (pos % 8));
}

uint32_t ring_take(struct tty_ring *r, void *dst, uint32_t n)
{
	uint8_t *p = dst;

	n = MIN(n, ring_used(r));
	for (uint32_t i = 0; i < n; i++)
		p[i] = ring_at(r, r->tail + i);
	r->tail += n;
	return n;
}

static bool is_cc(const struct tty *t, uint8_t c, int which)
{
	return t->tio.cc[which] != DISABLED && t->tio.cc[which] == c;
}

static bool is_cont_byte(const struct tty *t, uint8_t c)
{
	return (t->tio.iflag & LINUX_IUTF8) && (c & 0xc0) == 0x80;
}

/* ---- output ------------------------------------------------------------------------------------------- */

/* Cursor columns and room that one program byte needs, and its translation. Returns bytes written to @o (0..8), or -1 when
 * there is no room. */
static int output_one(struct tty *t, uint8_t c)
{
	uint32_t of = t->tio.oflag, room = ring_room(&t->out), spaces;

	if (!(of & LINUX_OPOST)) {
		if (!room)
			return -1;
		ring_put(&t->out, c);
		return 1;
	}
	if (room < 8)
		return -1;
	switch (c) {
	case '\n':
		if (of & LINUX_ONLCR)
			ring_put(&t->out, '\r');
		if (of & (LINUX_ONLCR | LINUX_ONLRET))
			t->column = 0;
		ring_put(&t->out, '\n');
		return 1;
	case '\r':
		if ((of & LINUX_ONOCR) && !t->column)
			return 0;
		if (of & LINUX_OCRNL) {
			ring_put(&t->out, '\n');
			if (of & LINUX_ONLRET)
				t->column = 0;
			return 1;
		}
		t->column = 0;
		ring_put(&t->out, '\r');
		return 1;
	case '\t':
		spaces = 8 - (t->column & 7);
		t->column += spaces;
		if ((of & LINUX_TABDLY) != LINUX_XTABS) {
			ring_put(&t->out, '\t');
			return 1;
		}
		while (spaces--)
			ring_put(&t->out, ' ');
		return 1;
	case '\b':
		if (t->column)
			t->column--;
		ring_put(&t->out, c);
		return 1;
	default:
		if ((of & LINUX_OLCUC) && c >= 'a' && c <= 'z')
			c -= 'a' - 'A';
		if (c >= 0x20 && c != 0x7f && !is_cont_byte(t, c))
			t->column++;
		ring_put(&t->out, c);
		return 1;
	}
}

size_t ldisc_output_locked(struct tty *t, const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (output_one(t, p[i]) < 0)
			break;
	return i;
}

/* ---- echo ------------------------------------------------------------------------------------------------ */

static void out_str(struct tty *t, const char *s)
{
	for (; *s; s++)
		output_one(t, (uint8_t)*s);
}

static bool echoes_as_caret(const struct tty *t, uint8_t c)
{
	return (t->tio.lflag & LINUX_ECHOCTL) && (c < 0x20 || c == 0x7f) && c != '\t' && c != '\n';
}

/* A full output queue drops echo, as on a real terminal. */
static void echo(struct tty *t, uint8_t c, struct tty_fx *fx)
{
	if (!(t->tio.lflag & LINUX_ECHO) && !(c == '\n' && (t->tio.lflag & LINUX_ECHONL) && (t->tio.lflag & LINUX_ICANON)))
		return;
	fx->kick_out = true;
	if (!echoes_as_caret(t, c)) {
		output_one(t, c);
		return;
	}
	output_one(t, '^');
	output_one(t, c == 0x7f ? '?' : c + '@');
}

/* Columns that byte @c took on the screen when it was echoed at column @col. */
static uint32_t echo_width(const struct tty *t, uint8_t c, uint32_t col)
{
	if (c == '\t')
		return 8 - (col & 7);
	if (echoes_as_caret(t, c))
		return 2;
	if (c < 0x20 || c == 0x7f || is_cont_byte(t, c))
		return 0;
	return 1;
}

static void rub_out(struct tty *t, uint32_t columns)
{
	while (columns--)
		out_str(t, "\b \b");
}

/* Column after the unfinished line up to @end, from where it began. */
static uint32_t line_column(const struct tty *t, uint32_t end)
{
	uint32_t col = t->canon_column;

	for (uint32_t p = t->line_start; p != end; p++)
		col += echo_width(t, ring_at(&t->in, p), col);
	return col;
}

/* ---- line editing ------------------------------------------------------------------------------------------ */

/* Removes the last character (all bytes of a UTF-8 one) of the unfinished line. */
static void erase_char(struct tty *t, struct tty_fx *fx)
{
	uint32_t end = t->in.head, wide = 0;
	uint8_t c;

	if (end == t->line_start)
		return;
	do
		c = ring_at(&t->in, --end);
	while (end != t->line_start && is_cont_byte(t, c));
	if (t->tio.lflag & LINUX_ECHO) {
		fx->kick_out = true;
		if (t->tio.lflag & LINUX_ECHOE) {
			wide = line_column(t, t->in.head) - line_column(t, end);
			rub_out(t, wide);
		} else {
			echo(t, t->tio.cc[LINUX_VERASE], fx);
		}
	}
	t->in.head = end;
}

static bool is_word(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static void erase_word(struct tty *t, struct tty_fx *fx)
{
	bool seen = false;

	while (t->in.head != t->line_start) {
		bool w = is_word(ring_at(&t->in, t->in.head - 1));

		if (seen && !w)
			break;
		seen |= w;
		erase_char(t, fx);
	}
}

static void kill_line(struct tty *t, struct tty_fx *fx)
{
	uint32_t lf = t->tio.lflag;

	if ((lf & LINUX_ECHO) && (lf & LINUX_ECHOKE) && (lf & LINUX_ECHOE)) {
		while (t->in.head != t->line_start)
			erase_char(t, fx);
		return;
	}
	echo(t, t->tio.cc[LINUX_VKILL], fx);
	if ((lf & LINUX_ECHO) && (lf & LINUX_ECHOK))
		echo(t, '\n', fx);
	t->in.head = t->line_start;
}

static void reprint(struct tty *t, struct tty_fx *fx)
{
	echo(t, t->tio.cc[LINUX_VREPRINT], fx);
	echo(t, '\n', fx);
	for (uint32_t p = t->line_start; p != t->in.head; p++)
		echo(t, ring_at(&t->in, p), fx);
}

/* ---- input --------------------------------------------------------------------------------------------------- */

static void put_in(struct tty *t, uint8_t c, bool eol, bool eof)
{
	map_set(t->eol_map, t->in.head, eol);
	map_set(t->eof_map, t->in.head, eof);
	ring_put(&t->in, c);
}

static void finish_line(struct tty *t, struct tty_fx *fx)
{
	t->line_start = t->in.head;
	t->nr_lines++;
	t->canon_column = t->column;
	fx->wake_read = true;
}

/* Signals and flow control: true when the byte was one. */
static bool input_special(struct tty *t, uint8_t c, struct tty_fx *fx)
{
	int sig = 0;

	if (t->tio.iflag & LINUX_IXON) {
		if (is_cc(t, c, LINUX_VSTART) || (t->stopped && (t->tio.iflag & LINUX_IXANY) && !is_cc(t, c, LINUX_VSTOP))) {
			t->stopped = false;
			t->packet_status = (uint8_t)((t->packet_status & ~LINUX_TIOCPKT_STOP) | LINUX_TIOCPKT_START);
			fx->kick_out = fx->wake_write = true;
			if (is_cc(t, c, LINUX_VSTART))
				return true;
		}
		if (is_cc(t, c, LINUX_VSTOP)) {
			t->stopped = true;
			t->packet_status = (uint8_t)((t->packet_status & ~LINUX_TIOCPKT_START) | LINUX_TIOCPKT_STOP);
			return true;
		}
	}
	if (!(t->tio.lflag & LINUX_ISIG))
		return false;
	if (is_cc(t, c, LINUX_VINTR))
		sig = LINUX_SIGINT;
	else if (is_cc(t, c, LINUX_VQUIT))
		sig = LINUX_SIGQUIT;
	else if (is_cc(t, c, LINUX_VSUSP))
		sig = LINUX_SIGTSTP;
	else
		return false;
	if (!(t->tio.lflag & LINUX_NOFLSH)) {
		ldisc_flush_in_locked(t);
		t->out.tail = t->out.head;
		fx->wake_write = fx->kick_in = true;
	}
	echo(t, c, fx);
	tty_fx_signal_locked(t, fx, sig);
	return true;
}

/* Editing characters of canonical mode: true when the byte was one. */
static bool input_edit(struct tty *t, uint8_t c, struct tty_fx *fx)
{
	bool ext = t->tio.lflag & LINUX_IEXTEN;

	if (is_cc(t, c, LINUX_VERASE))
		erase_char(t, fx);
	else if (ext && is_cc(t, c, LINUX_VWERASE))
		erase_word(t, fx);
	else if (is_cc(t, c, LINUX_VKILL))
		kill_line(t, fx);
	else if (ext && is_cc(t, c, LINUX_VREPRINT))
		reprint(t, fx);
	else
		return false;
	return true;
}

static void input_canon(struct tty *t, uint8_t c, bool literal, struct tty_fx *fx)
{
	bool ext = t->tio.lflag & LINUX_IEXTEN;

	if (!literal) {
		if (input_edit(t, c, fx))
			return;
		if (is_cc(t, c, LINUX_VEOF)) {
			put_in(t, DISABLED, true, true);
			finish_line(t, fx);
			return;
		}
		if (c == '\n' || is_cc(t, c, LINUX_VEOL) || (ext && is_cc(t, c, LINUX_VEOL2))) {
			echo(t, c, fx);
			put_in(t, c, true, false);
			finish_line(t, fx);
			return;
		}
	}
	/* The last byte of the queue is kept for the end of the line. */
	if (ring_room(&t->in) < 2) {
		if (t->tio.iflag & LINUX_IMAXBEL) {
			output_one(t, '\a');
			fx->kick_out = true;
		}
		return;
	}
	if (t->in.head == t->line_start)
		t->canon_column = t->column;
	echo(t, c, fx);
	put_in(t, c, false, false);
}

static void input_one(struct tty *t, uint8_t c, struct tty_fx *fx)
{
	uint32_t iflag = t->tio.iflag, lflag = t->tio.lflag;
	bool literal = t->lnext;

	t->lnext = false;
	if (iflag & LINUX_ISTRIP)
		c &= 0x7f;
	if ((iflag & LINUX_IUCLC) && (lflag & LINUX_IEXTEN) && c >= 'A' && c <= 'Z')
		c += 'a' - 'A';
	if (!literal) {
		if (!(lflag & LINUX_EXTPROC) && input_special(t, c, fx))
			return;
		if (c == '\r') {
			if (iflag & LINUX_IGNCR)
				return;
			if (iflag & LINUX_ICRNL)
				c = '\n';
		} else if (c == '\n' && (iflag & LINUX_INLCR)) {
			c = '\r';
		}
		if ((lflag & LINUX_ICANON) && (lflag & LINUX_IEXTEN) && is_cc(t, c, LINUX_VLNEXT)) {
			t->lnext = true;
			if ((lflag & LINUX_ECHO) && (lflag & LINUX_ECHOCTL)) {
				out_str(t, "^\b");
				fx->kick_out = true;
			}
			return;
		}
	}
	if ((lflag & LINUX_ICANON) && !(lflag & LINUX_EXTPROC)) {
		input_canon(t, c, literal, fx);
		return;
	}
	echo(t, c, fx);
	put_in(t, c, false, false);
	t->line_start = t->in.head;
	fx->wake_read = true;
}

size_t ldisc_input_locked(struct tty *t, const uint8_t *p, size_t n, struct tty_fx *fx)
{
	size_t i;

	for (i = 0; i < n; i++) {
		/* A line that fills the whole queue goes on being edited; finished lines wait for a reader. */
		if (!ring_room(&t->in) || (ring_room(&t->in) < 2 && t->nr_lines)) {
			t->throttled = true;
			break;
		}
		input_one(t, p[i], fx);
	}
	return i;
}

bool ldisc_readable_locked(const struct tty *t)
{
	if (t->tio.lflag & LINUX_ICANON)
		return t->nr_lines > 0;
	return ring_used(&t->in) > 0;
}

uint32_t ldisc_take_locked(struct tty *t, uint8_t *dst, uint32_t cap, bool *out_end)
{
	bool canon = t->tio.lflag & LINUX_ICANON;
	uint32_t n = 0;

	*out_end = false;
	while (n < cap && ring_used(&t->in)) {
		uint32_t pos = t->in.tail;
		bool eol = map_get(t->eol_map, pos), eof = map_get(t->eof_map, pos);

		if (canon && !t->nr_lines)
			break;
		t->in.tail++;
		if (eol && t->nr_lines)
			t->nr_lines--;
		if (!eof)
			dst[n++] = ring_at(&t->in, pos);
		else if (!canon)
			dst[n++] = t->tio.cc[LINUX_VEOF];
		if (canon && eol) {
			*out_end = true;
			break;
		}
	}
	/* "abc^D" read with room for exactly "abc": the mark is taken too, or the next read would see an end of file. */
	if (canon && !*out_end && n == cap && ring_used(&t->in) && map_get(t->eof_map, t->in.tail)) {
		t->in.tail++;
		t->nr_lines--;
		*out_end = true;
	}
	return n;
}

void ldisc_flush_in_locked(struct tty *t)
{
	t->in.tail = t->line_start = t->in.head;
	t->nr_lines = 0;
	t->lnext = false;
}

/* Bytes typed in one mode are readable in the other: leaving canonical mode makes the unfinished line data; entering it makes what
 * lies there a line. */
void ldisc_mode_changed_locked(struct tty *t, uint32_t old_lflag)
{
	if (!((t->tio.lflag ^ old_lflag) & LINUX_ICANON))
		return;
	if (t->tio.lflag & LINUX_ICANON) {
		if (t->in.head != t->in.tail && !map_get(t->eol_map, t->in.head - 1)) {
			map_set(t->eol_map, t->in.head - 1, true);
			t->nr_lines++;
		}
		t->line_start = t->in.head;
	} else {
		t->line_start = t->in.head;
	}
	t->lnext = false;
}
