/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/dev.c - /dev/fuse: how a daemon reads requests and writes answers
 *
 * Model:   one read(2) is one request, one write(2) one answer. A file belongs to no connection until mount(2) names it or
 *          FUSE_DEV_IOC_CLONE takes another's; when the last file of a connection is closed, it ends. What is read first:
 *          INTERRUPTs, then FORGETs and requests in turns, so that neither starves.
 * Locks:   dev_mu: which connection a file has; then fuse_conn.mu. No lock during copies from and to the guest.
 * Source:  fuse(4), linux/fuse.h.
 * Differs: the length in the header of an answer by splice(2) is not compared with the number of bytes; requests that were read
 *          through one file are not ended when that file is closed and others of the connection stay.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"
#include "sentry/fs/pipe/pipe.h"

#define FUSE_MAJOR 10
#define FUSE_MINOR_NR 229
#define LINUX_FUSE_DEV_IOC_CLONE 0x8004e500u

#define FORGETS_IN_A_ROW 16 /* before requests get a turn of half as many */
#define FORGETS_PER_BATCH 256u
#define ANSWER_MAX (FUSE_MAX_WRITE + PAGE_SIZE) /* bytes of one message from the daemon */

struct fuse_dev {
	_Atomic(struct fuse_conn *) fc;	/* reference; set once, under dev_mu */
};

static struct mutex dev_mu;

static struct fuse_conn *conn_of(const struct file *f)
{
	return atomic_load_explicit(&((struct fuse_dev *)f->priv)->fc, memory_order_acquire);
}

static long dev_open(struct inode *i, struct file *f)
{
	f->priv = calloc(1, sizeof(struct fuse_dev));
	if (!f->priv)
		return -LINUX_ENOMEM;
	f->fmode |= FMODE_STREAM;
	f->fmode &= ~(FMODE_PREAD | FMODE_PWRITE);
	return 0;
}

static void dev_release(struct file *f)
{
	struct fuse_conn *fc = conn_of(f);
	bool last;

	free(f->priv);
	if (!fc)
		return;
	mutex_lock(&fc->mu);
	last = --fc->nr_devs == 0;
	mutex_unlock(&fc->mu);
	if (last)
		fuse_conn_abort(fc);
	fuse_conn_put(fc);
}

struct fuse_conn *fuse_dev_conn(struct file *f)
{
	return f->ops == &fuse_dev_fops ? conn_of(f) : NULL;
}

long fuse_dev_attach(struct file *f, struct fuse_conn *fc)
{
	struct fuse_dev *d = f->priv;
	long ret = -LINUX_EINVAL;

	if (f->ops != &fuse_dev_fops)
		return ret;
	mutex_lock(&dev_mu);
	if (!d->fc) {
		mutex_lock(&fc->mu);
		fc->nr_devs++;
		mutex_unlock(&fc->mu);
		atomic_store_explicit(&d->fc, fuse_conn_get(fc), memory_order_release);
		ret = 0;
	}
	mutex_unlock(&dev_mu);
	return ret;
}

/* ---- reading ---- */

static bool has_work(const struct fuse_conn *fc)
{
	return !list_empty(&fc->pending) || !list_empty(&fc->interrupts) || fc->forgets || !fc->connected;
}

/* Waits for something to read; fc->mu is held when it is there (0). */
static long wait_work(struct fuse_conn *fc, bool nonblock)
{
	struct waiter w;
	long ret = 0;

	wait_begin(&w);
	w.exclusive = true;
	waitq_add(&fc->dev_q, &w);
	for (;;) {
		wait_prepare();
		mutex_lock(&fc->mu);
		if (has_work(fc)) {	/* also after a signal: the wake-up may have been for us alone */
			ret = 0;
			break;
		}
		mutex_unlock(&fc->mu);
		if (ret)
			break;
		ret = nonblock ? -LINUX_EAGAIN : wait_sleep(SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	}
	waitq_del(&fc->dev_q, &w);
	return ret;
}

static long put_all(struct uio *io, const void *p, size_t len)
{
	long ret = uio_write(io, p, len);

	return ret == (long)len ? 0 : ret < 0 ? ret : -LINUX_EFAULT;
}

/* fc->mu is held, and dropped. */
static long read_interrupt(struct fuse_conn *fc, struct uio *io)
{
	struct fuse_req *r = list_first(&fc->interrupts, struct fuse_req, intr_node);
	struct {
		struct fuse_in_header h;
		struct fuse_interrupt_in arg;
	} m = { .h = { .len = sizeof(m), .opcode = FUSE_INTERRUPT, .unique = fuse_req_head(r)->unique | 1 },
		.arg.unique = fuse_req_head(r)->unique };
	long ret;

	list_del_init(&r->intr_node);
	mutex_unlock(&fc->mu);
	ret = put_all(io, &m, sizeof(m));
	return ret ? ret : (long)sizeof(m);
}

/* Takes up to @max of what is to be forgotten. */
static struct fuse_forget *take_forgets(struct fuse_conn *fc, unsigned max, unsigned *out_nr)
{
	struct fuse_forget *first = fc->forgets, **p = &fc->forgets;

	for (*out_nr = 0; *p && *out_nr < max; ++*out_nr)
		p = &(*p)->next;
	fc->forgets = *p;
	*p = NULL;
	if (!fc->forgets)
		fc->forgets_end = &fc->forgets;
	return first;
}

/* fc->mu is held, and dropped. @room: of the daemon's buffer */
static long read_forgets(struct fuse_conn *fc, struct uio *io, size_t room)
{
	size_t head = sizeof(struct fuse_in_header) + sizeof(struct fuse_batch_forget_in);
	size_t fit = (room - head) / sizeof(struct fuse_forget_one), len;
	struct fuse_forget_one *one;
	struct fuse_forget *f, *next;
	struct fuse_in_header *h;
	uint8_t *msg;
	unsigned nr;
	long ret;

	fc->next_unique += 2;
	f = take_forgets(fc, fc->minor < 16 ? 1 : (unsigned)MIN(fit, (size_t)FORGETS_PER_BATCH), &nr);
	len = nr == 1 ? sizeof(*h) + sizeof(struct fuse_forget_in) : head + nr * sizeof(*one);
	msg = calloc(1, len);
	h = (struct fuse_in_header *)msg;
	if (msg)
		*h = (struct fuse_in_header){ .len = (uint32_t)len, .unique = fc->next_unique,
					      .opcode = nr == 1 ? FUSE_FORGET : FUSE_BATCH_FORGET,
					      .nodeid = nr == 1 ? f->nodeid : 0 };
	mutex_unlock(&fc->mu);
	if (msg && nr == 1)
		((struct fuse_forget_in *)(h + 1))->nlookup = f->nlookup;
	else if (msg)
		((struct fuse_batch_forget_in *)(h + 1))->count = nr;
	one = (struct fuse_forget_one *)(msg + head);
	for (; f; f = next) {
		next = f->next;
		if (msg && nr > 1)
			*one++ = (struct fuse_forget_one){ .nodeid = f->nodeid, .nlookup = f->nlookup };
		free(f);
	}
	ret = msg ? put_all(io, msg, len) : -LINUX_ENOMEM;
	free(msg);
	return ret ? ret : (long)len;
}

static bool forgets_turn(struct fuse_conn *fc)
{
	if (!fc->forgets)
		return false;
	if (list_empty(&fc->pending) || fc->forget_batch-- > 0)
		return true;
	if (fc->forget_batch <= -FORGETS_IN_A_ROW / 2)
		fc->forget_batch = FORGETS_IN_A_ROW;
	return false;
}

/* fc->mu is held, and dropped. 0: it did not fit and was ended, go on with the next. */
static long read_request(struct fuse_conn *fc, struct uio *io, size_t room)
{
	struct fuse_req *r = list_first(&fc->pending, struct fuse_req, node);
	struct fuse_in_header *h = fuse_req_head(r);
	long ret;

	list_del_init(&r->node);
	atomic_store(&r->state, FUSE_REQ_SENT);
	if (r->in_len > room) {
		mutex_unlock(&fc->mu);
		fuse_req_finish(r, h->opcode == FUSE_SETXATTR ? -LINUX_E2BIG : -LINUX_EIO);
		return 0;
	}
	list_add_tail(&fc->processing[h->unique / 2 % FUSE_PROC_HASH], &r->node);
	ref_get(&r->ref);	/* it may be answered while we copy */
	mutex_unlock(&fc->mu);
	ret = put_all(io, r->in, r->in_len);
	mutex_lock(&fc->mu);
	if (ret && !list_empty(&r->node) && r->state == FUSE_REQ_SENT && fc->connected) {
		list_del_init(&r->node);
		mutex_unlock(&fc->mu);
		fuse_req_finish(r, -LINUX_EIO);
	} else {
		if (!ret && r->interrupted && r->state == FUSE_REQ_SENT)
			fuse_queue_interrupt_locked(r);
		mutex_unlock(&fc->mu);
	}
	if (!ret)
		ret = r->in_len;
	fuse_req_put(r);
	return ret;
}

/* What a buffer must have room for: the largest request there is. */
static size_t room_min(const struct fuse_conn *fc)
{
	size_t n = sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in) + fc->max_write;

	return MAX(n, (size_t)FUSE_MIN_READ_BUFFER);
}

static long dev_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct fuse_conn *fc = conn_of(f);
	bool nonblock = f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT;
	size_t room = io->left;
	long ret = 0;

	if (!fc)
		return -LINUX_EPERM;
	if (room < room_min(fc))
		return -LINUX_EINVAL;
	while (!ret) {
		ret = wait_work(fc, nonblock);
		if (ret)
			return ret;
		if (!fc->connected) {
			mutex_unlock(&fc->mu);
			return fc->abort_err ? -LINUX_ECONNABORTED : -LINUX_ENODEV;
		}
		if (!list_empty(&fc->interrupts))
			ret = read_interrupt(fc, io);
		else if (forgets_turn(fc))
			ret = read_forgets(fc, io, room);
		else
			ret = read_request(fc, io, room);
	}
	return ret;
}

/* ---- writing ---- */

static long dev_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct fuse_conn *fc = conn_of(f);
	size_t len = io->left;
	uint8_t *buf;
	long ret;

	if (!fc)
		return -LINUX_EPERM;
	if (len < sizeof(struct fuse_out_header) || len > ANSWER_MAX)
		return -LINUX_EINVAL;
	buf = malloc(len);
	if (!buf)
		return -LINUX_ENOMEM;
	ret = uio_read(io, buf, len);
	if (ret == (long)len)
		ret = fuse_answer(fc, buf, len);
	else if (ret >= 0)
		ret = -LINUX_EFAULT;
	free(buf);
	return ret;
}

/* ---- splice(2) ---- */

/* One request into @pipe, page by page. */
static long dev_splice_read(struct file *f, uint64_t *pos, struct file *pipe, size_t len, bool nonblock)
{
	struct uio io;
	uint8_t *buf, *page;
	long ret, at = 0;

	len = MIN(len, (size_t)ANSWER_MAX);
	if (conn_of(f) && len < room_min(conn_of(f)))
		return -LINUX_EINVAL;
	buf = malloc(len);
	if (!buf)
		return -LINUX_ENOMEM;
	uio_init_kernel(&io, buf, len);
	ret = dev_read(f, &io, pos, nonblock ? LINUX_RWF_NOWAIT : 0);
	while (ret > 0 && at < ret) {
		size_t n = MIN((size_t)(ret - at), (size_t)PIPE_BUF_BYTES);

		page = pipe_reserve(pipe);
		if (!page) {
			ret = -LINUX_EIO; /* it has no room for a whole request */
			break;
		}
		memcpy(page, buf + at, n);
		pipe_commit(pipe, n);
		at += (long)n;
	}
	free(buf);
	return ret;
}

/* @len bytes out of @pipe as one answer. How long it is says @len, not the header: libfuse corrects the header after it has given its
 * page to the pipe by vmsplice(2), and pipes here hold copies. */
static long dev_splice_write(struct file *f, uint64_t *pos, struct file *pipe, size_t len)
{
	const uint8_t *p;
	size_t at = 0, n;
	uint8_t *buf;
	struct uio io;
	long ret;

	if (len > ANSWER_MAX)
		return -LINUX_EINVAL;
	buf = malloc(MAX(len, (size_t)1));
	if (!buf)
		return -LINUX_ENOMEM;
	while (at < len && (n = pipe_peek(pipe, &p, len - at))) {
		memcpy(buf + at, p, n);
		pipe_consume(pipe, n);
		at += n;
	}
	if (at >= sizeof(struct fuse_out_header))
		((struct fuse_out_header *)buf)->len = (uint32_t)at;
	uio_init_kernel(&io, buf, at);
	ret = at == len ? dev_write(f, &io, pos, 0) : -LINUX_EINVAL;
	free(buf);
	return ret;
}

/* ---- the rest ---- */

static uint32_t dev_poll(struct file *f, struct poll_table *pt)
{
	struct fuse_conn *fc = conn_of(f);
	uint32_t mask = LINUX_POLLOUT | LINUX_POLLWRNORM;

	if (!fc)
		return LINUX_POLLERR;
	poll_wait(pt, &fc->dev_q);
	mutex_lock(&fc->mu);
	if (!fc->connected)
		mask = LINUX_POLLERR;
	else if (has_work(fc))
		mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
	mutex_unlock(&fc->mu);
	return mask;
}

static long dev_clone(struct file *f, struct uthread *u, uint64_t arg)
{
	struct task *t = task_current();
	struct file *old;
	uint32_t fd;
	long ret;
	bool put;

	if (copyin_obj(u, &fd, GPTR(arg)))
		return -LINUX_EFAULT;
	old = t ? fdget(t->fds, (int)fd, &put) : NULL;
	if (!old)
		return -LINUX_EINVAL;
	ret = fuse_dev_conn(old) ? fuse_dev_attach(f, fuse_dev_conn(old)) : -LINUX_EINVAL;
	fdput(old, put);
	return ret;
}

static long dev_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	return cmd == LINUX_FUSE_DEV_IOC_CLONE ? dev_clone(f, u, arg) : -LINUX_ENOTTY;
}

const struct file_ops fuse_dev_fops = {
	.open = dev_open,
	.release = dev_release,
	.read = dev_read,
	.write = dev_write,
	.poll = dev_poll,
	.ioctl = dev_ioctl,
	.splice_read = dev_splice_read,
	.splice_write = dev_splice_write,
};

long fuse_fs_init(void)
{
	long ret = fuse_super_init();

	return ret ? ret : chrdev_register(FUSE_MAJOR, FUSE_MINOR_NR, &fuse_dev_fops);
}
