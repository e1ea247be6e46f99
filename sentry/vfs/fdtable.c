/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/fdtable.c - descriptor tables
 *
 * Model:   an array of files with two bitmaps (open, close-on-exec) that is replaced when it grows. A table with one user is
 *          read without any reference: only that user could close the file, and it is busy with this call.
 *          A shared one is read under rcu_read_lock() and the file is tried for a reference.
 * Locks:   fdtable.mu for every change.
 * Source:  dup(2), close_range(2), fcntl(2), getrlimit(2) RLIMIT_NOFILE.
 */
#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define FD_MIN_CAP 64
#define FD_MAX_CAP (1u << 20)	/* /proc/sys/fs/nr_open */

struct fdarray {
	struct rcu_head rcu;
	uint32_t cap;
	uint64_t *open, *cloexec;	/* bitmaps behind the slots */
	struct file *slot[];
};

struct fdtable {
	struct refcount ref;
	struct mutex mu;
	struct fdarray *a;
	uint32_t next;			/* no free number below; guarded by mu */
};

static struct fdarray *fdarray_new(uint32_t cap)
{
	struct fdarray *a = calloc(1, sizeof(*a) + cap * sizeof(a->slot[0]) + cap / 64 * 16);

	if (!a)
		return NULL;
	a->cap = cap;
	a->open = (uint64_t *)&a->slot[cap];
	a->cloexec = a->open + cap / 64;
	return a;
}

static void fdarray_free_rcu(struct rcu_head *h)
{
	free(container_of(h, struct fdarray, rcu));
}

static bool bit_get(const uint64_t *b, uint32_t n)
{
	return b[n / 64] >> (n % 64) & 1;
}
static void bit_put(uint64_t *b, uint32_t n, bool on)
{
	uint64_t m = 1ull << (n % 64);

	b[n / 64] = on ? b[n / 64] | m : b[n / 64] & ~m;
}

struct fdtable *fdtable_new(void)
{
	struct fdtable *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->a = fdarray_new(FD_MIN_CAP);
	if (!t->a) {
		free(t);
		return NULL;
	}
	ref_init(&t->ref, 1);
	return t;
}

struct fdtable *fdtable_get(struct fdtable *t)
{
	ref_get(&t->ref);
	return t;
}

void fdtable_put(struct fdtable *t)
{
	if (!t || !ref_put(&t->ref))
		return;
	for (uint32_t fd = 0; fd < t->a->cap; fd++)
		if (t->a->slot[fd])
			file_close(t->a->slot[fd], t);
	free(t->a);
	free(t);
}

/* A table's second reference is what makes it shared. */
void fdtable_share(struct fdtable *t)
{
	BUG_ON(atomic_load(&t->ref.n) < 2);
}

bool fdtable_is_shared(struct fdtable *t)
{
	return atomic_load(&t->ref.n) > 1;
}

/* Makes number @fd exist. @t->mu held. */
static long grow(struct fdtable *t, uint32_t fd)
{
	struct fdarray *a = t->a, *n;
	uint32_t cap = a->cap;

	if (fd < cap)
		return 0;
	if (fd >= FD_MAX_CAP)
		return -LINUX_EMFILE;
	while (cap <= fd)
		cap *= 2;
	n = fdarray_new(cap);
	if (!n)
		return -LINUX_ENOMEM;
	memcpy(n->slot, a->slot, a->cap * sizeof(a->slot[0]));
	memcpy(n->open, a->open, a->cap / 8);
	memcpy(n->cloexec, a->cloexec, a->cap / 8);
	rcu_store(t->a, n);
	rcu_defer(&a->rcu, fdarray_free_rcu);
	return 0;
}

struct fdtable *fdtable_dup(struct fdtable *t, uint32_t max_fd)
{
	struct fdtable *n = fdtable_new();
	uint32_t top = 0;

	if (!n)
		return NULL;
	mutex_lock(&t->mu);
	for (uint32_t w = t->a->cap / 64; w-- > 0 && !top;)
		if (t->a->open[w])
			top = w * 64 + 64;
	top = MIN(top, max_fd);
	if (top && grow(n, top - 1)) {
		mutex_unlock(&t->mu);
		fdtable_put(n);
		return NULL;
	}
	for (uint32_t fd = 0; fd < top; fd++) {
		if (!t->a->slot[fd])
			continue;
		n->a->slot[fd] = file_get(t->a->slot[fd]);
		bit_put(n->a->open, fd, true);
		bit_put(n->a->cloexec, fd, bit_get(t->a->cloexec, fd));
	}
	mutex_unlock(&t->mu);
	return n;
}

/* ---- reading ---- */

static NOINLINE struct file *fdget_shared(struct fdtable *t, int fd)
{
	struct file *f = NULL;
	struct fdarray *a;

	rcu_read_lock();
	a = rcu_load(t->a);
	if ((uint32_t)fd < a->cap) {
		f = rcu_load(a->slot[fd]);
		/* Between the read and the reference it may have been closed and the number given to another. */
		if (f && !ref_get_unless_zero(&f->ref))
			f = NULL;
	}
	rcu_read_unlock();
	return f;
}

struct file *fdget_raw(struct fdtable *t, int fd, bool *need_put)
{
	if (likely(atomic_load_explicit(&t->ref.n, memory_order_relaxed) == 1)) {
		*need_put = false;
		return likely((uint32_t)fd < t->a->cap) ? t->a->slot[fd] : NULL;
	}
	*need_put = true;
	return fdget_shared(t, fd);
}

struct file *fdget(struct fdtable *t, int fd, bool *need_put)
{
	struct file *f = fdget_raw(t, fd, need_put);

	if (f && unlikely(f->fmode & FMODE_PATH)) {
		fdput(f, *need_put);
		return NULL;
	}
	return f;
}

void fdput(struct file *f, bool need_put)
{
	if (need_put)
		file_put(f);
}

struct file *fdtable_file(struct fdtable *t, int fd, bool allow_path)
{
	struct file *f = NULL;

	mutex_lock(&t->mu);
	if ((uint32_t)fd < t->a->cap)
		f = t->a->slot[fd];
	if (f && (allow_path || !(f->fmode & FMODE_PATH)))
		file_get(f);
	else
		f = NULL;
	mutex_unlock(&t->mu);
	return f;
}

/* ---- changing ---- */

/* First clear bit at or above @from, or cap. */
static uint32_t find_free(const struct fdarray *a, uint32_t from)
{
	for (uint32_t w = from / 64; w < a->cap / 64; w++) {
		uint64_t v = ~a->open[w];

		if (w == from / 64)
			v &= ~0ull << (from % 64);
		if (v)
			return w * 64 + (uint32_t)__builtin_ctzll(v);
	}
	return MAX(a->cap, from);
}

static void slot_set(struct fdtable *t, uint32_t fd, struct file *f, bool cloexec)
{
	bit_put(t->a->open, fd, f != NULL);
	bit_put(t->a->cloexec, fd, cloexec);
	rcu_store(t->a->slot[fd], f);
}

long fdtable_install(struct fdtable *t, struct file *f, int min, bool cloexec, uint64_t limit)
{
	uint32_t fd;
	long ret;

	mutex_lock(&t->mu);
	fd = find_free(t->a, MAX((uint32_t)min, t->next));
	ret = fd >= limit ? -LINUX_EMFILE : grow(t, fd);
	if (ret == 0) {
		slot_set(t, fd, file_get(f), cloexec);
		if ((uint32_t)min <= t->next)
			t->next = fd + 1;
		ret = (long)fd;
	}
	mutex_unlock(&t->mu);
	return ret;
}

long fdtable_install_at(struct fdtable *t, int fd, struct file *f, bool cloexec, uint64_t limit)
{
	struct file *old;
	long ret;

	if (fd < 0 || (uint64_t)fd >= limit)
		return -LINUX_EBADF;
	mutex_lock(&t->mu);
	ret = grow(t, (uint32_t)fd);
	if (ret) {
		mutex_unlock(&t->mu);
		return ret == -LINUX_EMFILE ? -LINUX_EBADF : ret;
	}
	old = t->a->slot[fd];
	slot_set(t, (uint32_t)fd, file_get(f), cloexec);
	mutex_unlock(&t->mu);
	if (old)
		file_close(old, t);
	return fd;
}

static struct file *take_locked(struct fdtable *t, uint32_t fd)
{
	struct file *f = fd < t->a->cap ? t->a->slot[fd] : NULL;

	if (f) {
		slot_set(t, fd, NULL, false);
		t->next = MIN(t->next, fd);
	}
	return f;
}

long fdtable_close(struct fdtable *t, int fd)
{
	struct file *f;

	mutex_lock(&t->mu);
	f = take_locked(t, (uint32_t)fd);
	mutex_unlock(&t->mu);
	return f ? file_close(f, t) : -LINUX_EBADF;
}

void fdtable_close_on_exec(struct fdtable *t)
{
	for (uint32_t w = 0; w < t->a->cap / 64; w++) {
		uint64_t v = t->a->cloexec[w] & t->a->open[w];

		for (; v; v &= v - 1)
			fdtable_close(t, (int)(w * 64 + (uint32_t)__builtin_ctzll(v)));
	}
}

long fdtable_get_cloexec(struct fdtable *t, int fd)
{
	long ret = -LINUX_EBADF;

	mutex_lock(&t->mu);
	if ((uint32_t)fd < t->a->cap && t->a->slot[fd])
		ret = bit_get(t->a->cloexec, (uint32_t)fd);
	mutex_unlock(&t->mu);
	return ret;
}

long fdtable_set_cloexec(struct fdtable *t, int fd, bool on)
{
	long ret = -LINUX_EBADF;

	mutex_lock(&t->mu);
	if ((uint32_t)fd < t->a->cap && t->a->slot[fd]) {
		bit_put(t->a->cloexec, (uint32_t)fd, on);
		ret = 0;
	}
	mutex_unlock(&t->mu);
	return ret;
}

long fdtable_close_range(struct fdtable *t, uint32_t first, uint32_t last, bool only_mark)
{
	for (int fd = fdtable_next(t, first > INT32_MAX ? INT32_MAX : (int)first); fd >= 0 && (uint32_t)fd <= last;
	     fd = fdtable_next(t, fd + 1)) {
		if (only_mark)
			fdtable_set_cloexec(t, fd, true);
		else
			fdtable_close(t, fd);
	}
	return 0;
}

int fdtable_next(struct fdtable *t, int from)
{
	int ret = -1;

	mutex_lock(&t->mu);
	for (uint32_t w = (uint32_t)from / 64; w < t->a->cap / 64; w++) {
		uint64_t v = t->a->open[w];

		if (w == (uint32_t)from / 64)
			v &= ~0ull << ((uint32_t)from % 64);
		if (v) {
			ret = (int)(w * 64 + (uint32_t)__builtin_ctzll(v));
			break;
		}
	}
	mutex_unlock(&t->mu);
	return ret;
}
