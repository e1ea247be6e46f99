/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/anon/timerfd.c - timerfd_create(2) and its relatives
 *
 * Model:   a ktimer wakes readers at the next expiry; how many periods have passed is computed when somebody asks, so a fast
 *          periodic timer that nobody reads costs one wake-up.
 * Locks:   timerfd.mu, a leaf (the timer's callback takes it).
 * Differs: the realtime clock cannot be set in a sandbox, so TFD_TIMER_CANCEL_ON_SET never cancels.
 */
#include "sentry/fs/anon/anon.h"

struct timerfd {
	struct ktimer timer;
	struct mutex mu;
	int clock;			/* immutable */
	uint64_t next_ns, period_ns;	/* CLOCK_MONOTONIC; next 0 = disarmed; guarded by mu */
	uint64_t ticks;			/* expiries not yet read; guarded by mu */
	struct waitq wq;
};

static bool is_real(const struct timerfd *t)
{
	return t->clock == LINUX_CLOCK_REALTIME || t->clock == LINUX_CLOCK_REALTIME_ALARM;
}

/* Counts what has passed. mu held. */
static void catch_up(struct timerfd *t, uint64_t now)
{
	uint64_t n;

	if (!t->next_ns || now < t->next_ns)
		return;
	if (!t->period_ns) {
		t->ticks++;
		t->next_ns = 0;
		return;
	}
	n = (now - t->next_ns) / t->period_ns + 1;
	t->ticks += n;
	t->next_ns += n * t->period_ns;
}

static void timerfd_fire(struct ktimer *k)
{
	struct timerfd *t = container_of(k, struct timerfd, timer);

	mutex_lock(&t->mu);
	catch_up(t, now_ns());
	mutex_unlock(&t->mu);
	/* Armed again by the reader, not here. */
	waitq_wake(&t->wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
}

static uint64_t take(struct timerfd *t)
{
	uint64_t n, next;

	mutex_lock(&t->mu);
	catch_up(t, now_ns());
	n = t->ticks;
	t->ticks = 0;
	next = t->next_ns;
	mutex_unlock(&t->mu);
	if (n && next)
		ktimer_arm(&t->timer, next);
	return n;
}

static long timerfd_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct timerfd *t = f->priv;
	uint64_t n;
	long ret;

	if (io->left < sizeof(n))
		return -LINUX_EINVAL;
	n = take(t);
	if (!n) {
		if (f->flags & LINUX_O_NONBLOCK || rwf & LINUX_RWF_NOWAIT)
			return -LINUX_EAGAIN;
		ret = wait_event(&t->wq, (n = take(t)) != 0, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret)
			return ret;
	}
	ret = uio_write(io, &n, sizeof(n));
	return ret < 0 ? ret : (long)sizeof(n);
}

static uint32_t timerfd_poll(struct file *f, struct poll_table *pt)
{
	struct timerfd *t = f->priv;
	bool ready;

	poll_wait(pt, &t->wq);
	mutex_lock(&t->mu);
	catch_up(t, now_ns());
	ready = t->ticks != 0;
	mutex_unlock(&t->mu);
	return ready ? LINUX_POLLIN | LINUX_POLLRDNORM : 0;
}

#define LINUX_TFD_IOC_SET_TICKS 0x40085400u

static long timerfd_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct timerfd *t = f->priv;
	uint64_t n;

	if (cmd != LINUX_TFD_IOC_SET_TICKS)
		return -LINUX_ENOTTY;
	if (copyin_obj(u, &n, GPTR(arg)))
		return -LINUX_EFAULT;
	if (!n)
		return -LINUX_EINVAL;
	mutex_lock(&t->mu);
	t->ticks = n;
	mutex_unlock(&t->mu);
	waitq_wake(&t->wq, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
	return 0;
}

static void timerfd_release(struct file *f)
{
	struct timerfd *t = f->priv;

	ktimer_cancel_sync(&t->timer);
	free(t);
}

static struct linux_timespec to_ts(uint64_t ns)
{
	return (struct linux_timespec){ (int64_t)(ns / NSEC_PER_SEC), (int64_t)(ns % NSEC_PER_SEC) };
}

static void timerfd_show_fdinfo(struct file *f, struct buf *out)
{
	struct timerfd *t = f->priv;
	struct linux_itimerspec its;

	timerfd_get(f, &its);
	buf_printf(out, "clockid: %d\nticks: %lu\nsettime flags: 00\nit_value: (%ld, %ld)\nit_interval: (%ld, %ld)\n", t->clock,
		   (unsigned long)t->ticks, (long)its.value.sec, (long)its.value.nsec, (long)its.interval.sec, (long)its.interval.nsec);
}

static const struct file_ops timerfd_fops = {
	.read = timerfd_read,
	.poll = timerfd_poll,
	.ioctl = timerfd_ioctl,
	.release = timerfd_release,
	.show_fdinfo = timerfd_show_fdinfo,
};

long timerfd_new(int clock, uint32_t flags, const struct cred *c, struct file **out)
{
	struct timerfd *t = calloc(1, sizeof(*t));
	long ret;

	if (!t)
		return -LINUX_ENOMEM;
	t->clock = clock;
	ktimer_init(&t->timer, timerfd_fire);
	waitq_init(&t->wq);
	ret = anon_file_new("[timerfd]", &timerfd_fops, t, flags | LINUX_O_RDWR, c, out);
	if (ret)
		free(t);
	return ret;
}

static bool ts_ok(const struct linux_timespec *ts)
{
	return ts->sec >= 0 && ts->nsec >= 0 && ts->nsec < (int64_t)NSEC_PER_SEC;
}

/* Saturates far in the future. */
static uint64_t ts_ns(const struct linux_timespec *ts)
{
	return (uint64_t)ts->sec >= INT64_MAX / NSEC_PER_SEC ? INT64_MAX : (uint64_t)ts->sec * NSEC_PER_SEC + (uint64_t)ts->nsec;
}

static void get_locked(struct timerfd *t, struct linux_itimerspec *out)
{
	uint64_t now = now_ns();

	catch_up(t, now);
	out->interval = to_ts(t->period_ns);
	out->value = to_ts(t->next_ns > now ? t->next_ns - now : 0);
}

long timerfd_set(struct file *f, uint32_t flags, const struct linux_itimerspec *its, struct linux_itimerspec *out_old)
{
	struct timerfd *t = f->priv;
	uint64_t value, next = 0, now = now_ns();

	if (f->ops != &timerfd_fops || !ts_ok(&its->value) || !ts_ok(&its->interval))
		return -LINUX_EINVAL;
	value = ts_ns(&its->value);
	if (value) {
		if (!(flags & TIMERFD_ABSTIME)) {
			next = now + value;
		} else if (is_real(t)) {
			uint64_t real = now_real_ns();

			next = value > real ? now + (value - real) : 1;
		} else {
			next = value;
		}
	}
	ktimer_cancel(&t->timer);
	mutex_lock(&t->mu);
	get_locked(t, out_old);
	t->period_ns = ts_ns(&its->interval);
	t->ticks = 0;
	t->next_ns = next;
	mutex_unlock(&t->mu);
	if (next)
		ktimer_arm(&t->timer, next);
	return 0;
}

long timerfd_get(struct file *f, struct linux_itimerspec *out)
{
	struct timerfd *t = f->priv;

	if (f->ops != &timerfd_fops)
		return -LINUX_EINVAL;
	mutex_lock(&t->mu);
	get_locked(t, out);
	mutex_unlock(&t->mu);
	return 0;
}
