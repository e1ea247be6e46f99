/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/pipe/pipe.c - reading and writing pipes
 *
 * Model:   capacity counts in pages, as in Linux: that is what makes F_SETPIPE_SZ, PIPE_BUF atomicity, packets and tee(2) come
 *          out the same. A large write fills one entry with several pages' worth at once: one copy instead of many. Pages are
 *          kept for reuse, so that ping-pong allocates nothing.
 *          Sleepers are exclusive waiters: one write wakes one reader, who passes the wake-up on when it leaves data behind.
 * Locks:   pipe.lock (sleeplock, beside file.pos_lock), held while bytes are copied from and to guests; two pipes by address.
 * Source:  pipe(2), pipe(7), fifo(7), fcntl(2) F_SETPIPE_SZ.
 */
#include <stdio.h>
#include <string.h>

#include "sentry/abi/ioctl.h"
#include "sentry/fs/pipe/pipe_internal.h"

#define SPARE_MAX 2

/* ---- slots ---- */

void pipe_slot_drop(struct pipe *p, struct pipe_slot *s)
{
	struct pipe_page *pg = s->page;

	s->page = NULL;
	if (!ref_put(&pg->ref))
		return;
	if (pg->cap != PIPE_BUF_BYTES || p->nr_spare >= SPARE_MAX) {
		free(pg);
		return;
	}
	pg->next = p->spare;
	p->spare = pg;
	p->nr_spare++;
}

static struct pipe_page *page_get(struct pipe *p, uint32_t cap)
{
	struct pipe_page *pg = cap == PIPE_BUF_BYTES ? p->spare : NULL;

	if (pg) {
		p->spare = pg->next;
		p->nr_spare--;
	} else {
		pg = malloc(sizeof(*pg) + cap);
	}
	if (pg) {
		ref_init(&pg->ref, 1);
		pg->cap = cap;
	}
	return pg;
}

struct pipe *pipe_alloc(void)
{
	struct pipe *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->nr_slots = PIPE_DEF_SLOTS;
	p->slot = calloc(p->nr_slots, sizeof(*p->slot));
	if (!p->slot) {
		free(p);
		return NULL;
	}
	sleeplock_init(&p->lock);
	waitq_init(&p->rd);
	waitq_init(&p->wr);
	return p;
}

void pipe_free(struct pipe *p)
{
	for (; p->tail != p->head; p->tail++)
		pipe_slot_drop(p, &p->slot[p->tail & (p->nr_slots - 1)]);
	while (p->spare) {
		struct pipe_page *pg = p->spare;

		p->spare = pg->next;
		free(pg);
	}
	free(p->slot);
	free(p);
}

static struct pipe_slot *tail_slot(struct pipe *p)
{
	return &p->slot[p->tail & (p->nr_slots - 1)];
}

static void tail_done(struct pipe *p)
{
	atomic_fetch_sub(&p->used, tail_slot(p)->units);
	pipe_slot_drop(p, tail_slot(p));
	p->tail++;
}

static uint32_t units_of(uint32_t len)
{
	return len ? (len + PIPE_BUF_BYTES - 1) / PIPE_BUF_BYTES : 1;
}

/* The first @n bytes of the oldest entry have been read. */
static void tail_take(struct pipe *p, uint32_t n)
{
	struct pipe_slot *s = tail_slot(p);
	uint32_t units;

	s->off += n;
	s->len -= n;
	if (!s->len || (s->packet && n)) {	/* the rest of a packet is lost */
		tail_done(p);
		return;
	}
	units = units_of(s->len);
	atomic_fetch_sub(&p->used, s->units - units);
	s->units = units;
}

/* ---- waiting: called without the lock ---- */

static bool readable(struct pipe *p)
{
	return atomic_load(&p->used) || !atomic_load(&p->writers);
}

static bool writable(struct pipe *p)
{
	return atomic_load(&p->used) < p->nr_slots || !atomic_load(&p->readers);
}

static long pipe_sleep(struct pipe *p, struct waitq *q, bool (*ready)(struct pipe *p))
{
	struct waiter w;
	long ret = 0;

	wait_begin(&w);
	w.exclusive = true;
	waitq_add(q, &w);
	for (;;) {
		wait_prepare();
		if (ready(p)) {
			ret = 0;
			break;
		}
		if (ret)
			break;
		ret = wait_sleep(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	}
	waitq_del(q, &w);
	/* Interrupted after somebody picked us: the wake-up must not be lost. */
	if (ret && ready(p))
		waitq_wake_one(q);
	return ret;
}

#define BAND_IN	 1	/* POLL_IN, POLL_OUT of sigaction(2) */
#define BAND_OUT 2

/* SIGIO to the files of one end that asked for it. */
static NOINLINE void tell_async(struct pipe *p, uint32_t fmode, int band, uint32_t events)
{
	struct file *tell[PIPE_ASYNC_MAX];
	unsigned n = 0;

	mutex_lock(&p->async_mu);
	for (unsigned k = 0; k < PIPE_ASYNC_MAX; k++)
		if (p->async[k] && p->async[k]->fmode & fmode && ref_get_unless_zero(&p->async[k]->ref))
			tell[n++] = p->async[k];
	mutex_unlock(&p->async_mu);
	while (n) {
		if (vfs_send_sigio)
			vfs_send_sigio(tell[n - 1], band, events);
		file_put(tell[--n]);
	}
}

static void wake_readers(struct pipe *p)
{
	waitq_wake(&p->rd, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
	if (unlikely(p->nr_async))
		tell_async(p, FMODE_READ, BAND_IN, LINUX_POLLIN | LINUX_POLLRDNORM);
}

static void wake_writers(struct pipe *p)
{
	waitq_wake(&p->wr, LINUX_POLLOUT | LINUX_POLLWRNORM, 1);
	if (unlikely(p->nr_async))
		tell_async(p, FMODE_WRITE, BAND_OUT, LINUX_POLLOUT | LINUX_POLLWRNORM);
}

static long pipe_fasync(struct file *f, bool on)
{
	struct pipe *p = pipe_of(f);
	long ret = on ? -LINUX_ENOMEM : 0;

	mutex_lock(&p->async_mu);
	for (unsigned k = 0; k < PIPE_ASYNC_MAX; k++) {
		if (p->async[k] == f) {
			p->async[k] = on ? f : NULL;
			p->nr_async -= !on;
			ret = 0;
			break;
		}
	}
	for (unsigned k = 0; on && ret && k < PIPE_ASYNC_MAX; k++) {
		if (!p->async[k]) {
			p->async[k] = f;
			p->nr_async++;
			ret = 0;
		}
	}
	mutex_unlock(&p->async_mu);
	return ret;
}

/* ---- read ---- */

/* What is there, up to what is wanted; lock held. Bytes, or an error when none were moved. */
static long read_slots(struct pipe *p, struct uio *io)
{
	long done = 0;

	while (io->left && p->used) {
		struct pipe_slot *s = tail_slot(p);
		size_t n = MIN(io->left, (size_t)s->len);
		bool packet = s->packet;
		long ret = uio_write(io, s->page->data + s->off, n);

		if (ret < 0)
			return done ? done : ret;
		done += ret;
		tail_take(p, (uint32_t)ret);
		if (packet || (size_t)ret < n)
			break;
	}
	return done;
}

static long pipe_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct pipe *p = pipe_of(f);
	bool was_full, left, slept = false;
	long ret;

	if (!io->left)
		return 0;
	for (;;) {
		sleep_lock(&p->lock);
		if (p->used) {
			was_full = p->used == p->nr_slots;
			ret = read_slots(p, io);
			left = p->used != 0;
			was_full = was_full && p->used < p->nr_slots;
			sleep_unlock(&p->lock);
			if (was_full)
				wake_writers(p);
			if (left && slept)	/* the wake-up was for one of us: pass it on */
				wake_readers(p);
			return ret;
		}
		sleep_unlock(&p->lock);
		if (!p->writers)
			return 0;
		if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
			return -LINUX_EAGAIN;
		ret = pipe_sleep(p, &p->rd, readable);
		if (ret)
			return ret;
		slept = true;
	}
}

/* ---- write ---- */

/* The odd bytes of a write join the last slot when all of them fit. */
static long merge(struct pipe *p, struct uio *io)
{
	size_t odd = io->left % PIPE_BUF_BYTES;
	struct pipe_slot *s;
	long ret;

	if (!odd || !p->used)
		return 0;
	s = &p->slot[(p->head - 1) & (p->nr_slots - 1)];
	if (s->packet || atomic_load(&s->page->ref.n) != 1 || s->page->cap != PIPE_BUF_BYTES || s->off + s->len + odd > PIPE_BUF_BYTES)
		return 0;
	ret = uio_read(io, s->page->data + s->off + s->len, odd);
	if (ret > 0)
		s->len += (uint32_t)ret;
	return ret;
}

#define LARGE_MAX (64u * 1024)	/* bytes of one entry: below where malloc would map pages anew each time */

/* One new entry. Bytes, 0 when full, or an error. Lock held. */
static long fill_slot(struct pipe *p, struct uio *io, bool packet)
{
	uint32_t room = (p->nr_slots - p->used) * PIPE_BUF_BYTES, n;
	struct pipe_page *pg;
	struct pipe_slot *s;
	long ret;

	if (!room)
		return 0;
	n = (uint32_t)MIN(io->left, (size_t)(packet ? PIPE_BUF_BYTES : MIN(room, LARGE_MAX)));
	if (n > PIPE_BUF_BYTES)	/* whole pages; the odd bytes get one that later writes can join */
		n -= n % PIPE_BUF_BYTES;
	pg = page_get(p, MAX(n, PIPE_BUF_BYTES));
	if (!pg)
		return -LINUX_ENOMEM;
	s = &p->slot[p->head & (p->nr_slots - 1)];
	*s = (struct pipe_slot){ .page = pg, .packet = packet };
	ret = uio_read(io, pg->data, n);
	if (ret <= 0) {
		pipe_slot_drop(p, s);
		return ret ? ret : -LINUX_EFAULT;
	}
	s->len = (uint32_t)ret;
	s->units = units_of(s->len);
	p->head++;
	atomic_fetch_add(&p->used, s->units);
	return ret;
}

static long write_slots(struct pipe *p, struct uio *io, bool packet)
{
	long done = 0, ret;

	if (!packet) {
		ret = merge(p, io);
		if (ret < 0)
			return ret;
		done = ret;
	}
	while (io->left) {
		ret = fill_slot(p, io, packet);
		if (ret <= 0)
			return done ? done : ret;
		done += ret;
	}
	return done;
}

static long pipe_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct pipe *p = pipe_of(f);
	bool was_empty, room, slept = false;
	long done = 0, ret;

	if (!io->left)
		return 0;
	for (;;) {
		sleep_lock(&p->lock);
		if (!p->readers) {
			sleep_unlock(&p->lock);
			return done ? done : -LINUX_EPIPE;
		}
		was_empty = !p->used;
		ret = write_slots(p, io, f->flags & LINUX_O_DIRECT);
		room = p->used < p->nr_slots;
		sleep_unlock(&p->lock);
		if (ret > 0) {
			done += ret;
			/* Sleeping readers exist only while it is empty; pollers want to hear of every write. */
			if (was_empty || p->nr_async || atomic_load_explicit(&p->rd.nr, memory_order_relaxed))
				wake_readers(p);
		}
		if (!io->left || ret < 0) {
			if (room && slept)
				wake_writers(p);
			return done ? done : ret;
		}
		if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
			return done ? done : -LINUX_EAGAIN;
		ret = pipe_sleep(p, &p->wr, writable);
		if (ret)
			return done ? done : ret;
		slept = true;
	}
}

/* ---- the rest ---- */

static uint32_t pipe_poll(struct file *f, struct poll_table *pt)
{
	struct pipe *p = pipe_of(f);
	uint32_t used, r = 0;

	if (f->fmode & FMODE_READ)
		poll_wait(pt, &p->rd);
	if (f->fmode & FMODE_WRITE)
		poll_wait(pt, &p->wr);
	used = atomic_load(&p->used);
	if (f->fmode & FMODE_READ) {
		if (used)
			r |= LINUX_POLLIN | LINUX_POLLRDNORM;
		/* A FIFO that never had a writer since we opened it has not hung up. */
		if (!atomic_load(&p->writers) && f->dir_version != p->w_opens)
			r |= LINUX_POLLHUP;
	}
	if (f->fmode & FMODE_WRITE) {
		if (used < p->nr_slots)
			r |= LINUX_POLLOUT | LINUX_POLLWRNORM;
		if (!atomic_load(&p->readers))
			r |= LINUX_POLLERR;
	}
	return r;
}

static long pipe_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct pipe *p = pipe_of(f);
	int32_t n = 0;

	if (cmd != LINUX_FIONREAD)
		return -LINUX_ENOTTY;
	sleep_lock(&p->lock);
	for (uint32_t k = p->tail; k != p->head; k++)
		n += (int32_t)p->slot[k & (p->nr_slots - 1)].len;
	sleep_unlock(&p->lock);
	return copyout_obj(u, GPTR(arg), &n);
}

bool file_is_pipe(const struct file *f)
{
	return f->ops == &pipe_fops;
}

long pipe_get_size(struct file *f)
{
	return file_is_pipe(f) ? (long)(pipe_of(f)->nr_slots * PIPE_BUF_BYTES) : -LINUX_EBADF;
}

long pipe_set_size(struct file *f, uint32_t bytes, bool privileged)
{
	struct pipe *p = pipe_of(f);
	struct pipe_slot *n, *old = NULL;
	uint32_t nr = 1;
	long ret;

	if (!file_is_pipe(f))
		return -LINUX_EBADF;
	if (bytes > 1u << 31)
		return -LINUX_EINVAL;
	while (nr * PIPE_BUF_BYTES < bytes)
		nr *= 2;
	if (nr > p->nr_slots && nr * PIPE_BUF_BYTES > PIPE_MAX_BYTES && !privileged)
		return -LINUX_EPERM;
	if (nr > (64u << 20) / PIPE_BUF_BYTES)	/* our own bound, root included */
		return -LINUX_ENOMEM;
	n = calloc(nr, sizeof(*n));
	if (!n)
		return -LINUX_ENOMEM;
	sleep_lock(&p->lock);
	if (p->used > nr) {
		ret = -LINUX_EBUSY;
		old = n;
	} else {
		uint32_t k = 0;

		for (; p->tail != p->head; p->tail++)
			n[k++] = p->slot[p->tail & (p->nr_slots - 1)];
		old = p->slot;
		p->slot = n;
		p->nr_slots = nr;
		p->tail = 0;
		p->head = k;
		ret = (long)(nr * PIPE_BUF_BYTES);
	}
	sleep_unlock(&p->lock);
	free(old);
	waitq_wake_all(&p->wr);
	return ret;
}

/* ---- splice ---- */

long pipe_wait_data(struct file *f, bool nonblock)
{
	struct pipe *p = pipe_of(f);
	long ret;

	if (!readable(p)) {
		if (nonblock)
			return -LINUX_EAGAIN;
		ret = pipe_sleep(p, &p->rd, readable);
		if (ret)
			return ret;
	}
	return p->used != 0;
}

long pipe_wait_room(struct file *f, bool nonblock)
{
	struct pipe *p = pipe_of(f);
	long ret;

	if (!writable(p)) {
		if (nonblock)
			return -LINUX_EAGAIN;
		ret = pipe_sleep(p, &p->wr, writable);
		if (ret)
			return ret;
	}
	return p->readers ? 1 : -LINUX_EPIPE;
}

size_t pipe_peek(struct file *f, const uint8_t **out, size_t len)
{
	struct pipe *p = pipe_of(f);
	struct pipe_slot *s;

	sleep_lock(&p->lock);
	if (!p->used) {
		sleep_unlock(&p->lock);
		return 0;
	}
	s = tail_slot(p);
	*out = s->page->data + s->off;
	return MIN(len, (size_t)s->len);
}

void pipe_consume(struct file *f, size_t n)
{
	struct pipe *p = pipe_of(f);
	bool was_full = p->used == p->nr_slots, left;

	tail_take(p, (uint32_t)n);
	was_full = was_full && p->used < p->nr_slots;
	left = p->used != 0;
	sleep_unlock(&p->lock);
	if (was_full)
		wake_writers(p);
	if (left)
		wake_readers(p);
}

uint8_t *pipe_reserve(struct file *f)
{
	struct pipe *p = pipe_of(f);
	struct pipe_page *pg;

	sleep_lock(&p->lock);
	pg = p->used < p->nr_slots && p->readers ? page_get(p, PIPE_BUF_BYTES) : NULL;
	if (!pg) {
		sleep_unlock(&p->lock);
		return NULL;
	}
	p->slot[p->head & (p->nr_slots - 1)] = (struct pipe_slot){ .page = pg };
	return pg->data;
}

void pipe_commit(struct file *f, size_t n)
{
	struct pipe *p = pipe_of(f);
	struct pipe_slot *s = &p->slot[p->head & (p->nr_slots - 1)];

	if (n) {
		s->len = (uint32_t)n;
		s->units = 1;
		p->head++;
		atomic_fetch_add(&p->used, 1);
	} else {
		pipe_slot_drop(p, s);
	}
	sleep_unlock(&p->lock);
	if (n)
		wake_readers(p);
}

long pipe_tee(struct file *in, struct file *out, size_t len)
{
	struct pipe *a = pipe_of(in), *b = pipe_of(out), *first = a < b ? a : b, *second = a < b ? b : a;
	long done = 0;

	sleep_lock(&first->lock);
	sleep_lock(&second->lock);
	for (uint32_t k = a->tail; k != a->head && b->used < b->nr_slots && len; k++) {
		struct pipe_slot s = a->slot[k & (a->nr_slots - 1)];

		ref_get(&s.page->ref);
		s.len = (uint32_t)MIN(MIN((size_t)s.len, len), (size_t)(b->nr_slots - b->used) * PIPE_BUF_BYTES);
		s.units = units_of(s.len);
		b->slot[b->head++ & (b->nr_slots - 1)] = s;
		atomic_fetch_add(&b->used, s.units);
		len -= s.len;
		done += s.len;
	}
	sleep_unlock(&second->lock);
	sleep_unlock(&first->lock);
	if (done)
		wake_readers(b);
	return done;
}

/* ---- opening and closing ---- */

/* fifo(7): opening for one direction waits until the other is open too. */
static long fifo_wait_peer(struct waitq *q, const uint32_t *opens, uint32_t before, _Atomic uint32_t *now)
{
	return wait_event(q, __atomic_load_n(opens, __ATOMIC_SEQ_CST) != before || atomic_load(now), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
}

static void end_open(struct pipe *p, uint32_t fmode)
{
	sleep_lock(&p->lock);
	if (fmode & FMODE_READ) {
		p->r_opens++;
		atomic_fetch_add(&p->readers, 1);
	}
	if (fmode & FMODE_WRITE) {
		p->w_opens++;
		atomic_fetch_add(&p->writers, 1);
	}
	sleep_unlock(&p->lock);
	waitq_wake_all(&p->rd);
	waitq_wake_all(&p->wr);
}

static void end_close(struct pipe *p, uint32_t fmode)
{
	sleep_lock(&p->lock);
	if (fmode & FMODE_READ)
		atomic_fetch_sub(&p->readers, 1);
	if (fmode & FMODE_WRITE)
		atomic_fetch_sub(&p->writers, 1);
	sleep_unlock(&p->lock);
	waitq_wake(&p->rd, 0, UINT32_MAX);
	waitq_wake(&p->wr, 0, UINT32_MAX);
}

static void fifo_put(struct inode *i, struct pipe *p)
{
	bool last;

	sleep_lock(&i->i_lock);
	last = --p->nr_files == 0;
	if (last)
		i->pipe = NULL;
	sleep_unlock(&i->i_lock);
	if (last)
		pipe_free(p);
}

static long fifo_open_wait(struct pipe *p, struct file *f)
{
	bool nonblock = f->flags & LINUX_O_NONBLOCK;

	if (p->anon)
		return 0;
	switch (f->fmode & (FMODE_READ | FMODE_WRITE)) {
	case FMODE_READ:
		f->dir_version = 0;
		if (p->writers)
			return 0;
		if (nonblock) {
			f->dir_version = p->w_opens;	/* POLLHUP only after a writer came and went */
			return 0;
		}
		return fifo_wait_peer(&p->wr, &p->w_opens, p->w_opens, &p->writers);
	case FMODE_WRITE:
		if (p->readers)
			return 0;
		return nonblock ? -LINUX_ENXIO : fifo_wait_peer(&p->rd, &p->r_opens, p->r_opens, &p->readers);
	default:
		return 0;
	}
}

static long fifo_open(struct inode *i, struct file *f)
{
	struct pipe *p;
	long ret;

	sleep_lock(&i->i_lock);
	p = i->pipe;
	if (!p)
		p = i->pipe = pipe_alloc();
	if (p)
		p->nr_files++;
	sleep_unlock(&i->i_lock);
	if (!p)
		return -LINUX_ENOMEM;
	if ((f->fmode & (FMODE_READ | FMODE_WRITE)) == FMODE_WRITE && f->flags & LINUX_O_NONBLOCK && !p->readers) {
		fifo_put(i, p);
		return -LINUX_ENXIO;
	}
	f->priv = p;
	end_open(p, f->fmode);
	ret = fifo_open_wait(p, f);
	if (ret) {
		end_close(p, f->fmode);
		fifo_put(i, p);
	}
	return ret;
}

static void pipe_release(struct file *f)
{
	end_close(pipe_of(f), f->fmode);
	fifo_put(f->inode, pipe_of(f));
}

const struct file_ops pipe_fops = {
	.open = fifo_open,
	.release = pipe_release,
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.ioctl = pipe_ioctl,
	.fasync = pipe_fasync,
};

void pipe_init(void)
{
	vfs_fifo_ops = &pipe_fops;
}

long pipe_new(const struct cred *c, uint32_t flags, struct file *out[2])
{
	struct pipe *p = pipe_alloc();
	struct inode *i = p ? anon_inode_new(LINUX_S_IFIFO | 0600, c) : NULL;
	char name[32];
	long ret;

	if (!i) {
		if (p)
			pipe_free(p);
		return -LINUX_ENOMEM;
	}
	i->pipe = p;
	p->anon = true;
	p->nr_files = 2;
	p->readers = p->writers = 1;
	p->w_opens = p->r_opens = 1;
	snprintf(name, sizeof(name), "pipe:[%lu]", (unsigned long)i->ino);
	ret = file_new_inode(inode_get(i), name, &pipe_fops, LINUX_O_RDONLY | (flags & LINUX_O_NONBLOCK), c, &out[0]);
	if (ret) {
		inode_put(i);
		pipe_free(p);
		return ret;
	}
	out[0]->priv = p;
	out[0]->fmode |= FMODE_STREAM;
	ret = file_new_inode(i, name, &pipe_fops, LINUX_O_WRONLY | (flags & (LINUX_O_NONBLOCK | LINUX_O_DIRECT)), c, &out[1]);
	if (ret) {
		p->nr_files = 1;
		p->writers = 0;
		file_put(out[0]);
		return ret;
	}
	out[1]->priv = p;
	out[1]->fmode |= FMODE_STREAM;
	return 0;
}
