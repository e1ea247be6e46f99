/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/anon/eventfd.c - eventfd(2)
 *
 * Locks:   eventfd.mu, a leaf.
 */
#include "sentry/fs/anon/anon.h"

struct eventfd {
	struct mutex mu;
	uint64_t count;		/* guarded by mu; UINT64_MAX: the kernel's own signals overflowed it, shown as POLLERR */
	bool semaphore;		/* immutable */
	struct waitq wq;
};

/* Takes what a read gets; 0: nothing there. */
static uint64_t take(struct eventfd *e)
{
	uint64_t v;

	mutex_lock(&e->mu);
	v = e->semaphore ? e->count != 0 : e->count;
	e->count -= v;
	mutex_unlock(&e->mu);
	return v;
}

static bool add(struct eventfd *e, uint64_t v)
{
	bool ok;

	mutex_lock(&e->mu);
	ok = UINT64_MAX - e->count > v;	/* write(2) stops one below the overflow */
	if (ok)
		e->count += v;
	mutex_unlock(&e->mu);
	return ok;
}

static long eventfd_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct eventfd *e = f->priv;
	uint64_t v;
	long ret;

	if (io->left < sizeof(v))
		return -LINUX_EINVAL;
	v = take(e);
	if (!v) {
		if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
			return -LINUX_EAGAIN;
		ret = wait_event(&e->wq, (v = take(e)) != 0, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			return ret;
	}
	waitq_wake(&e->wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
	ret = uio_write(io, &v, sizeof(v));
	return ret < 0 ? ret : (long)sizeof(v);
}

static long eventfd_write(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct eventfd *e = f->priv;
	uint64_t v;
	long ret;

	if (io->left < sizeof(v))
		return -LINUX_EINVAL;
	if (uio_read(io, &v, sizeof(v)) != sizeof(v))
		return -LINUX_EFAULT;
	if (v == UINT64_MAX)
		return -LINUX_EINVAL;
	if (!add(e, v)) {
		if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
			return -LINUX_EAGAIN;
		ret = wait_event(&e->wq, add(e, v), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			return ret;
	}
	waitq_wake(&e->wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
	return sizeof(v);
}

static uint32_t eventfd_poll(struct file *f, struct poll_table *pt)
{
	struct eventfd *e = f->priv;
	uint64_t n;

	poll_wait(pt, &e->wq);
	mutex_lock(&e->mu);
	n = e->count;
	mutex_unlock(&e->mu);
	return (n ? LINUX_POLLIN | LINUX_POLLRDNORM : 0) | (n == UINT64_MAX ? LINUX_POLLERR : 0) |
	       (n < UINT64_MAX - 1 ? LINUX_POLLOUT | LINUX_POLLWRNORM : 0);
}

static void eventfd_release(struct file *f)
{
	free(f->priv);
}

static void eventfd_show_fdinfo(struct file *f, struct buf *out)
{
	struct eventfd *e = f->priv;

	buf_printf(out, "eventfd-count: %16lx\n", (unsigned long)e->count);
}

static const struct file_ops eventfd_fops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.release = eventfd_release,
	.show_fdinfo = eventfd_show_fdinfo,
};

bool file_is_eventfd(const struct file *f)
{
	return f->ops == &eventfd_fops;
}

void eventfd_signal(struct file *f, uint64_t n)
{
	struct eventfd *e = f->priv;
	uint32_t events = LINUX_POLLIN | LINUX_POLLRDNORM;

	mutex_lock(&e->mu);
	e->count += MIN(n, UINT64_MAX - e->count);
	if (e->count == UINT64_MAX)
		events |= LINUX_POLLERR;
	mutex_unlock(&e->mu);
	waitq_wake(&e->wq, events, UINT32_MAX);
}

long eventfd_new(uint64_t count, bool semaphore, uint32_t flags, const struct cred *c, struct file **out)
{
	struct eventfd *e = calloc(1, sizeof(*e));
	long ret;

	if (!e)
		return -LINUX_ENOMEM;
	e->count = count;
	e->semaphore = semaphore;
	waitq_init(&e->wq);
	ret = anon_file_new("[eventfd]", &eventfd_fops, e, flags | LINUX_O_RDWR, c, out);
	if (ret)
		free(e);
	return ret;
}
