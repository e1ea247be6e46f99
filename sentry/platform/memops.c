/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/memops.c - memory operations that a stub carries out in its own address space
 *
 * Model:   struct umem_op becomes one to four stub operations. A file mapping needs a descriptor in the stub: a private one
 *          uses a read-only descriptor that stays there, known by file_id (the table here mirrors the process's,
 *          as told by the kernel's answers, not the stub's); any other is installed, used and closed. A
 *          shared mapping stops in the filter and is let through by the listener when each register is as expected.
 */
#include <string.h>
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/platform/platform_internal.h"

#define FD_LAST ((uint64_t)-2)
#define OPS_PER_UMEM_OP 4

/* ---- descriptors kept in the process ------------------------------------------------------------------- */

static int fd_cached(struct uspace *s, uint64_t file_id)
{
	int fd = -1;

	mutex_lock(&s->mu);
	for (unsigned i = 0; i < FD_CACHE_MAX && fd < 0; i++) {
		if (s->fds[i].file_id == file_id) {
			s->fds[i].used = ++s->fd_clock;
			fd = s->fds[i].fd;
		}
	}
	mutex_unlock(&s->mu);
	return fd;
}

/* Remembers @fd; the one it takes the place of, or -1, is to be closed. */
static int fd_remember(struct uspace *s, uint64_t file_id, int fd)
{
	struct cached_fd *c = &s->fds[0];
	int old;

	mutex_lock(&s->mu);
	for (unsigned i = 0; i < FD_CACHE_MAX; i++) {
		if (!s->fds[i].file_id) {
			c = &s->fds[i];
			break;
		}
		if ((int32_t)(s->fds[i].used - c->used) < 0)
			c = &s->fds[i];
	}
	old = c->file_id ? c->fd : -1;
	*c = (struct cached_fd){ .file_id = file_id, .fd = fd, .used = ++s->fd_clock };
	mutex_unlock(&s->mu);
	return old;
}

void space_forget_fds(struct uspace *s)
{
	mutex_lock(&s->mu);
	memset(s->fds, 0, sizeof(s->fds));
	mutex_unlock(&s->mu);
}

/* ---- one list ---------------------------------------------------------------------------------------------- */

static uint32_t map_flags(uint32_t f)
{
	uint32_t r = MAP_FIXED;

	if (f & UMEM_GROWSDOWN)
		r |= MAP_GROWSDOWN;
	if (f & UMEM_NORESERVE)
		r |= MAP_NORESERVE;
	if (f & UMEM_POPULATE)
		r |= MAP_POPULATE;
	if (f & UMEM_LOCKED)
		r |= MAP_LOCKED;
	return r;
}

static void op_add(struct uthr *t, enum stub_op_kind kind, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	t->ops[t->nr_ops++] = (struct stub_op){ .kind = kind, .a = a, .b = b, .c = c, .d = d, .e = e, .f = f };
}

static bool range_bad(const struct uthr *t, uint64_t addr, uint64_t len)
{
	uint64_t end;

	return __builtin_add_overflow(addr, len, &end) || end > uspace_limit(t->u.space);
}

/* One file mapping, carried out now. */
static long map_file_now(struct uthr *t, const struct umem_op *op)
{
	bool shared = op->flags & UMEM_SHARED;
	uint64_t flags = map_flags(op->flags) | (shared ? MAP_SHARED : MAP_PRIVATE);
	bool keep = !shared && op->file_id;
	int old = -1;
	long ret = 0;

	op_add(t, OP_FD, 0, 0, 0, 0, 0, 0);
	op_add(t, OP_MMAP, op->addr, op->len, op->prot, flags, FD_LAST, op->off);
	if (!keep)
		op_add(t, OP_CLOSE, FD_LAST, 0, 0, 0, 0, 0);
	mutex_lock(&t->ops_mu);
	t->nr_fds = 1;
	t->next_fd = 0;
	t->fds[0] = op->host_fd;
	t->fd_in_stub[0] = -1;
	t->shared_expected = shared;
	t->shared_args[0] = op->addr;
	t->shared_args[1] = op->len;
	t->shared_args[2] = op->prot;
	t->shared_args[3] = flags;
	t->shared_args[4] = ~0ull;
	t->shared_args[5] = op->off;
	mutex_unlock(&t->ops_mu);
	if (thr_run_ops(t) == UEV_DEAD)
		ret = -LINUX_ESRCH;
	mutex_lock(&t->ops_mu);
	t->nr_fds = 0;
	t->shared_expected = false;
	mutex_unlock(&t->ops_mu);
	if (ret)
		return ret;
	if (keep && t->fd_in_stub[0] >= 0)
		old = fd_remember(t->u.space, op->file_id, t->fd_in_stub[0]);
	if (old >= 0)
		op_add(t, OP_CLOSE, (uint64_t)old, 0, 0, 0, 0, 0);
	for (unsigned i = 0; i < 2 && !ret; i++)
		ret = MIN(stub_op_result(t, i), 0);
	/* the list stops at the first failure, so the descriptor is still open */
	if (ret && !keep && t->fd_in_stub[0] >= 0)
		op_add(t, OP_CLOSE, (uint64_t)t->fd_in_stub[0], 0, 0, 0, 0, 0);
	return ret;
}

/* Appends @op to the queue; a file that is not at hand in the process yet makes the queue run. */
static long op_queue(struct uthr *t, const struct umem_op *op)
{
	long ret;
	int fd;

	if (range_bad(t, op->addr, op->kind == UMEM_STORE32 || op->kind == UMEM_FUTEX_WAKE ? 4 : op->len))
		return op->kind == UMEM_MEMBARRIER ? 0 : -LINUX_ENOMEM;
	if (t->nr_ops + OPS_PER_UMEM_OP > OPS_DEFER_MAX) {
		ret = ops_run_now(t);
		if (ret)
			return ret;
	}
	switch (op->kind) {
	case UMEM_MAP_ANON:
		op_add(t, OP_MMAP, op->addr, op->len, op->prot, map_flags(op->flags) | MAP_PRIVATE | MAP_ANONYMOUS, (uint64_t)-1, 0);
		return 0;
	case UMEM_MAP_FILE:
		fd = op->file_id && !(op->flags & UMEM_SHARED) ? fd_cached(t->u.space, op->file_id) : -1;
		if (fd >= 0) {
			op_add(t, OP_MMAP, op->addr, op->len, op->prot, map_flags(op->flags) | MAP_PRIVATE, (uint64_t)fd, op->off);
			return 0;
		}
		ret = ops_run_now(t);
		return ret ? ret : map_file_now(t, op);
	case UMEM_UNMAP:
		op_add(t, OP_MUNMAP, op->addr, op->len, 0, 0, 0, 0);
		return 0;
	case UMEM_PROTECT:
		op_add(t, OP_MPROTECT, op->addr, op->len, op->prot, 0, 0, 0);
		return 0;
	case UMEM_REMAP:
		if (range_bad(t, op->addr2, op->len2))
			return -LINUX_ENOMEM;
		op_add(t, OP_MREMAP, op->addr, op->len, op->len2, op->addr2, 0, 0);
		return 0;
	case UMEM_ADVISE:
		op_add(t, OP_MADVISE, op->addr, op->len, op->flags, 0, 0, 0);
		return 0;
	case UMEM_STORE32:
		op_add(t, OP_STORE32, op->addr, op->len, 0, 0, 0, 0);
		return 0;
	case UMEM_FUTEX_WAKE:
		op_add(t, OP_FUTEX_WAKE, op->addr, op->len, 0, 0, 0, 0);
		return 0;
	case UMEM_MEMBARRIER:
		op_add(t, OP_MEMBARRIER, op->flags, 0, 0, 0, 0, 0);
		return 0;
	case UMEM_ZERO:
		op_add(t, OP_ZERO, op->addr, op->len, 0, 0, 0, 0);
		return 0;
	}
	return -LINUX_EINVAL;
}

long ops_run_now(struct uthr *t)
{
	unsigned n = t->nr_ops;

	if (!n)
		return 0;
	if (thr_run_ops(t) == UEV_DEAD)
		return -LINUX_ESRCH;
	for (unsigned i = 0; i < n; i++) {
		int64_t r = stub_op_result(t, i);

		if (r < 0)
			return r > -4096 ? (long)r : -LINUX_EFAULT;
	}
	return 0;
}

long umem_cmpxchg32(struct uthread *u, uint64_t addr, uint32_t old, uint32_t new_)
{
	struct uthr *t = uthr_of(u);
	long ret = range_bad(t, addr, 4) ? -LINUX_EFAULT : ops_run_now(t);

	if (ret)
		return ret;
	op_add(t, OP_CMPXCHG32, addr, old, new_, 0, 0, 0);
	if (thr_run_ops(t) == UEV_DEAD)
		return -LINUX_ESRCH;
	ret = (long)stub_op_result(t, 0);
	return ret == 0 || ret == 1 ? ret : -LINUX_EFAULT;
}

void uthread_set_name(struct uthread *u, const char name[16])
{
	struct uthr *t = uthr_of(u);
	uint64_t w[2];

	if (t->nr_ops == OPS_DEFER_MAX && ops_run_now(t))
		return;
	memcpy(w, name, sizeof(w));
	op_add(t, OP_COMM, w[0], w[1], 0, 0, 0, 0);
}

/* What mm/ called it, as far as it matters: what changes mappings. */
static bool as_umem_op(const struct stub_op *o, struct umem_op *out)
{
	*out = (struct umem_op){ .addr = o->a, .len = o->b, .host_fd = -1 };
	switch (o->kind) {
	case OP_MMAP:
		out->kind = (int64_t)o->e < 0 ? UMEM_MAP_ANON : UMEM_MAP_FILE;
		return true;
	case OP_MUNMAP:
		out->kind = UMEM_UNMAP;
		return true;
	case OP_MPROTECT:
		out->kind = UMEM_PROTECT;
		return true;
	case OP_MREMAP:
		out->kind = UMEM_REMAP;
		out->len2 = o->c;
		out->addr2 = o->d;
		return true;
	default:
		return false;
	}
}

/* The stub stops at the first failure: that one and all behind it have not happened. */
void ops_deferred_check(struct uthr *t, unsigned n)
{
	struct stub_op ops[OPS_DEFER_MAX];
	struct umem_op op;
	int64_t err = 0;
	unsigned i;

	for (i = 0; i < n && err >= 0; i++)
		err = stub_op_result(t, i);
	if (likely(err >= 0) || !platform_defer_failed)
		return;
	if (err < -4095)
		err = -LINUX_EFAULT;
	memcpy(ops, t->ops, n * sizeof(ops[0])); /* the hook may queue more */
	for (i--; i < n; i++)
		if (as_umem_op(&ops[i], &op))
			platform_defer_failed(&t->u, &op, (long)err);
}

long umem_defer(struct uthread *u, const struct umem_op *op)
{
	return op_queue(uthr_of(u), op);
}

bool umem_at_end(struct uthread *u, const struct umem_op *ops, size_t n)
{
	struct uthr *t = uthr_of(u);

	/* nothing tells when the thread on slot 0 is gone (space_slot_take()) */
	if (!t->slot_nr || t->nr_ops || atomic_load(&t->dead))
		return false;
	for (size_t i = 0; i < n; i++) {
		if (op_queue(t, &ops[i])) {
			t->nr_ops = 0;
			return false;
		}
	}
	t->last_words = true;
	return true;
}

long umem_exec(struct uthread *u, const struct umem_op *ops, size_t n, size_t *out_done)
{
	struct uthr *t = uthr_of(u);
	long ret = ops_run_now(t);
	size_t i, unused;

	if (!out_done)
		out_done = &unused;
	*out_done = 0;
	for (i = 0; i < n && !ret; i++) {
		ret = op_queue(t, &ops[i]);
		/* one at a time when more follow, so that it is known which one failed; single ones are the rule */
		if (!ret)
			ret = ops_run_now(t);
		if (!ret)
			*out_done = i + 1;
	}
	return ret;
}

void uspace_drop_files(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	struct uspace *s = u->space;
	int fds[FD_CACHE_MAX];
	unsigned n = 0;

	mutex_lock(&s->mu);
	for (unsigned i = 0; i < FD_CACHE_MAX; i++)
		if (s->fds[i].file_id)
			fds[n++] = s->fds[i].fd;
	memset(s->fds, 0, sizeof(s->fds));
	mutex_unlock(&s->mu);
	if (ops_run_now(t))
		return;
	for (unsigned i = 0; i < n; i++)
		op_add(t, OP_CLOSE, (uint64_t)fds[i], 0, 0, 0, 0, 0);
	ops_run_now(t);
}

long uspace_reset(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	long ret;

	t->nr_ops = t->nr_outs = 0;
	t->ret_set = false;
	op_add(t, OP_MUNMAP, PAGE_SIZE, uspace_limit(u->space) - PAGE_SIZE, 0, 0, 0, 0);
	ret = ops_run_now(t);
	rewrite_reset(u->space);
	t->forget_sites = true;
	t->nr_segs = 0;
	t->win_used = 0;
	return ret;
}
