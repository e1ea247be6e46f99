/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/mem.c - copies between the Sentry and guest memory
 *
 * Model:   in-copies are served from what the stub sent along with the call, else by process_vm_readv(2). Out-copies are
 *          queued in the slot's window and carried out by the stub on its way back; what does not fit goes at once by
 *          process_vm_writev(2). Order is kept: whatever overlaps or overflows the queue flushes it first.
 * Hostile: the window. Its content is guest data either way; offsets and lengths are our own copies.
 */
#include <string.h>
#include <sys/uio.h>

#include "base/hostcall.h"
#include "base/mutex.h"
#include "sentry/platform/platform_internal.h"

#define OUT_QUEUE_MAX (128 * 1024) /* longer out-copies go directly: one copy instead of two */
#define STR_CHUNK     256

static bool range_ok(const struct uspace *s, uint64_t addr, size_t len)
{
	uint64_t end;

	return !__builtin_add_overflow(addr, len, &end) && end <= uspace_limit(s);
}

static long vm_result(long ret)
{
	if (ret >= 0)
		return ret;
	if (ret == -LINUX_EPERM || ret == -LINUX_ENOSYS) /* Yama, or a kernel without it */
		atomic_store_explicit(&platform.no_vm, true, memory_order_relaxed);
	return ret == -LINUX_ESRCH ? -LINUX_ESRCH : -LINUX_EFAULT;
}

static bool no_vm(void)
{
	return unlikely(atomic_load_explicit(&platform.no_vm, memory_order_relaxed));
}

/* A child just forked has no pid until its stub has said hello: 0, or -LINUX_ESRCH when there is no process (any more). */
static long space_pid_wait(struct uspace *s)
{
	if (unlikely(!__atomic_load_n(&s->pid, __ATOMIC_ACQUIRE)) && kthread_self())
		wait_event(&s->z->hello_wq,
			   __atomic_load_n(&s->pid, __ATOMIC_ACQUIRE) || atomic_load(&s->dead) || atomic_load(&s->z->dead),
			   SLEEP_UNINTERRUPTIBLE, now_ns() + HELLO_TIMEOUT_NS);
	/* The pid of a dead one may be another process's by now. */
	return atomic_load_explicit(&s->dead, memory_order_relaxed) || !s->pid ? -LINUX_ESRCH : 0;
}

long uspace_read(struct uspace *s, void *dst, uint64_t src, size_t len)
{
	struct iovec l = { dst, len }, r = { (void *)src, len };

	if (!range_ok(s, src, len))
		return -LINUX_EFAULT;
	if (space_pid_wait(s))
		return -LINUX_ESRCH;
	if (no_vm())
		return -LINUX_EFAULT;
	return len ? vm_result(host_call(process_vm_readv, s->pid, &l, 1, &r, 1, 0)) : 0;
}

long uspace_write(struct uspace *s, uint64_t dst, const void *src, size_t len)
{
	struct iovec l = { (void *)src, len }, r = { (void *)dst, len };

	if (!range_ok(s, dst, len))
		return -LINUX_EFAULT;
	if (space_pid_wait(s))
		return -LINUX_ESRCH;
	if (no_vm())
		return -LINUX_EFAULT;
	return len ? vm_result(host_call(process_vm_writev, s->pid, &l, 1, &r, 1, 0)) : 0;
}

void uspace_set_title(struct uspace *s, const char *args, size_t len)
{
	char text[TITLE_MAX] = "";
	struct iovec l = { text, sizeof(text) }, r = { (void *)(s->z->region + REGION_TITLE), sizeof(text) };

	memcpy(text, args, MIN(len, sizeof(text) - 1));
	if (!space_pid_wait(s) && !no_vm())
		host_call(process_vm_writev, s->pid, &l, 1, &r, 1, 0); /* for show only: may fail */
}

/* ---- without process_vm_readv: the stub copies, through its window ----------------------------------------------- */

#define STUB_COPY_MAX 16384u

static long stub_copy_run(struct uthr *t, enum stub_op_kind kind, uint64_t addr, size_t len, uint32_t off)
{
	if (ops_run_now(t))
		return -LINUX_EFAULT;
	t->ops[t->nr_ops++] = (struct stub_op){ .kind = kind, .a = addr, .b = len, .c = off };
	if (thr_run_ops(t) == UEV_DEAD)
		return -LINUX_ESRCH;
	return (long)stub_op_result(t, 0);
}

/* Bytes copied from the start, or -LINUX_EFAULT when none were. */
static long stub_read(struct uthr *t, char *dst, uint64_t src, size_t len)
{
	uint32_t off = ALIGN_UP(t->win_used, 64u);
	size_t done = 0;

	while (done < len) {
		size_t n = MIN(len - done, (size_t)MIN(STUB_COPY_MAX, SLOT_WINDOW_LEN - off));
		long ret = n ? stub_copy_run(t, OP_COPY_IN, src + done, n, off) : -LINUX_EFAULT;

		if (ret <= 0 || ret > (long)n)
			break;
		memcpy(dst + done, thr_window(t) + off, (size_t)ret);
		done += (size_t)ret;
		if (ret < (long)n)
			break;
	}
	return done ? (long)done : -LINUX_EFAULT;
}

static long stub_write(struct uthr *t, uint64_t dst, const char *src, size_t len)
{
	uint32_t off = ALIGN_UP(t->win_used, 64u);
	size_t done = 0;

	while (done < len) {
		size_t n = MIN(len - done, (size_t)MIN(STUB_COPY_MAX, SLOT_WINDOW_LEN - off));

		if (!n)
			return -LINUX_EFAULT;
		memcpy(thr_window(t) + off, src + done, n);
		if (stub_copy_run(t, OP_COPY_OUT, dst + done, n, off))
			return -LINUX_EFAULT;
		done += n;
	}
	return (long)done;
}

/* The calling thread's own memory, one way or the other. */
static long own_read(struct uthr *t, void *dst, uint64_t src, size_t len)
{
	long ret = no_vm() ? -LINUX_EFAULT : uspace_read(t->u.space, dst, src, len);

	return no_vm() ? stub_read(t, dst, src, len) : ret;
}

static long own_write(struct uthr *t, uint64_t dst, const void *src, size_t len)
{
	long ret = no_vm() ? -LINUX_EFAULT : uspace_write(t->u.space, dst, src, len);

	return no_vm() ? stub_write(t, dst, src, len) : ret;
}

void mem_call_begin(struct uthr *t)
{
	t->nr_segs = 0;
	t->win_used = 0;
	t->nr_outs = 0;
}

static bool outs_overlap(const struct uthr *t, uint64_t addr, size_t len)
{
	for (unsigned i = 0; i < t->nr_outs; i++)
		if (addr < t->out[i].addr + t->out[i].len && t->out[i].addr < addr + len)
			return true;
	return false;
}

/* The queued out-copies as operations of the stub's. */
static long stub_flush(struct uthr *t, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (stub_copy_run(t, OP_COPY_OUT, t->out[i].addr, t->out[i].len, t->out[i].off))
			return -LINUX_EFAULT;
	return 0;
}

long umem_flush(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	struct iovec l[STUB_OUTS_MAX], r[STUB_OUTS_MAX];
	unsigned n = t->nr_outs;
	size_t total = 0;
	long ret;

	if (t->nr_ops) {
		ret = ops_run_now(t);
		if (ret)
			return ret;
	}
	if (!n)
		return 0;
	t->nr_outs = 0;
	if (no_vm())
		return stub_flush(t, n);
	for (unsigned i = 0; i < n; i++) {
		l[i] = (struct iovec){ thr_window(t) + t->out[i].off, t->out[i].len };
		r[i] = (struct iovec){ (void *)t->out[i].addr, t->out[i].len };
		total += t->out[i].len;
	}
	ret = host_call(process_vm_writev, u->space->pid, l, n, r, n, 0);
	if (ret < 0 && vm_result(ret) && no_vm())
		return stub_flush(t, n);
	return ret == (long)total ? 0 : -LINUX_EFAULT;
}

/* Anything of this call's own that guest memory does not show yet. */
static long settle(struct uthr *t, uint64_t addr, size_t len)
{
	if (unlikely(t->nr_ops) || (t->nr_outs && outs_overlap(t, addr, len)))
		return umem_flush(&t->u);
	return 0;
}

static const char *seg_find(const struct uthr *t, uint64_t addr, size_t len)
{
	for (unsigned i = 0; i < t->nr_segs; i++) {
		const struct stub_seg *s = &t->seg[i];

		if (addr >= s->addr && addr - s->addr <= s->len && len <= s->len - (addr - s->addr))
			return thr_window(t) + s->off + (addr - s->addr);
	}
	return NULL;
}

bool umem_sent(struct uthread *u, void *dst, struct gptr src, size_t len)
{
	const char *p = seg_find(uthr_of(u), src.v, len);

	if (p)
		memcpy(dst, p, len);
	return p;
}

long umem_copy_in_partial(struct uthread *u, void *dst, struct gptr src, size_t len)
{
	struct uthr *t = uthr_of(u);
	const char *p;
	long ret;

	mutex_watch_none("guest copy");
	if (!len)
		return 0;
	ret = settle(t, src.v, len);
	if (ret)
		return ret;
	p = seg_find(t, src.v, len);
	if (p) {
		memcpy(dst, p, len);
		return (long)len;
	}
	if (src.v >= uspace_limit(u->space))
		return -LINUX_EFAULT;
	len = MIN(len, uspace_limit(u->space) - src.v);
	return own_read(t, dst, src.v, len);
}

long umem_copy_in(struct uthread *u, void *dst, struct gptr src, size_t len)
{
	long ret;

	mutex_watch_none("guest copy");
	if (unlikely(!range_ok(u->space, src.v, len)))
		return -LINUX_EFAULT;
	ret = umem_copy_in_partial(u, dst, src, len);
	return ret == (long)len ? 0 : -LINUX_EFAULT;
}

/* The string from what came with the call; false when its end is not in it. */
static bool str_from_seg(struct uthr *t, char *dst, size_t cap, uint64_t addr, long *out)
{
	for (unsigned i = 0; i < t->nr_segs; i++) {
		const struct stub_seg *s = &t->seg[i];
		size_t n, len;

		if (addr != s->addr)
			continue;
		n = MIN(cap, (size_t)s->len);
		memcpy(dst, thr_window(t) + s->off, n);
		len = strnlen(dst, n);
		if (len == n && n < cap)
			return false;
		*out = len == n ? -LINUX_ENAMETOOLONG : (long)len;
		return true;
	}
	return false;
}

long umem_copy_in_str(struct uthread *u, char *dst, size_t cap, struct gptr src)
{
	struct uthr *t = uthr_of(u);
	size_t done = 0;
	long ret;

	mutex_watch_none("guest copy");
	if (t->nr_outs || t->nr_ops) {
		ret = umem_flush(u);
		if (ret)
			return ret;
	}
	if (str_from_seg(t, dst, cap, src.v, &ret))
		return ret;
	while (done < cap) {
		/* not across a page boundary: the string may end before it */
		size_t n = MIN(cap - done, STR_CHUNK - (src.v + done) % STR_CHUNK);
		size_t len;

		ret = umem_copy_in(u, dst + done, GPTR(src.v + done), n);
		if (ret)
			return ret;
		len = strnlen(dst + done, n);
		done += len;
		if (len < n)
			return (long)done;
	}
	return -LINUX_ENAMETOOLONG;
}

/* Room for @len bytes in the window, or NULL. */
static char *out_queue(struct uthr *t, uint64_t dst, size_t len)
{
	uint32_t off = t->win_used;
	struct uout *last = t->nr_outs ? &t->out[t->nr_outs - 1] : NULL;

	if (len > OUT_QUEUE_MAX || len > SLOT_WINDOW_LEN - off)
		return NULL;
	if (last && last->addr + last->len == dst && last->off + last->len == off) {
		last->len += (uint32_t)len;
	} else if (t->nr_outs < STUB_OUTS_MAX) {
		t->out[t->nr_outs++] = (struct uout){ dst, (uint32_t)len, off };
	} else {
		return NULL;
	}
	t->win_used = off + (uint32_t)len;
	return thr_window(t) + off;
}

long umem_copy_out(struct uthread *u, struct gptr dst, const void *src, size_t len)
{
	struct uthr *t = uthr_of(u);
	char *p;
	long ret;

	mutex_watch_none("guest copy");
	if (!len)
		return 0;
	if (unlikely(!range_ok(u->space, dst.v, len)))
		return -LINUX_EFAULT;
	p = out_queue(t, dst.v, len);
	if (likely(p)) {
		memcpy(p, src, len);
		return 0;
	}
	ret = umem_flush(u);
	if (ret)
		return ret;
	return own_write(t, dst.v, src, len) == (long)len ? 0 : -LINUX_EFAULT;
}

long umem_copy_out_direct(struct uthread *u, struct gptr dst, const void *src, size_t len)
{
	long ret;

	mutex_watch_none("guest copy");
	ret = umem_flush(u);
	if (ret)
		return ret;
	return uspace_write(u->space, dst.v, src, len) == (long)len ? 0 : -LINUX_EFAULT;
}
