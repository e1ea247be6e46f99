/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/aio/aio.c - contexts of asynchronous I/O
 *
 * Model:   two counts: .maps, the mappings of the context's page, and .ref, all users of the memory (mappings together one). With the
 *          last mapping - munmap, exec, exit - the context leaves the table and its polls are cancelled. A poll that is not
 *          ready at once waits on a kernel thread of its own.
 * Locks:   table_mu and aio_ctx.mu, leaves; never both.
 * Hostcalls: memfd_create, ftruncate, close.
 */
#include "sentry/fs/aio/aio.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/hostcall.h"
#include "sentry/abi/mman.h"
#include "sentry/fs/anon/anon.h"
#include "sentry/vfs/poll.h"

#define BUCKETS	   64
#define POLLS_MAX 4096u	/* of the whole sandbox: each costs a stack */

struct aio_ctx {
	struct mappable m;
	struct refcount maps, ref;
	struct list node;	/* in the table; guarded by table_mu */
	const struct mm *mm;	/* only compared; valid while the context is in the table */
	uint64_t id;		/* same */
	uint32_t max;		/* immutable */
	struct mutex mu;
	uint32_t used;		/* slots; guarded by mu, as all below */
	struct list polls, done; /* of aio_req.node */
	bool dead;
	struct waitq wq;	/* an event, death, or a poll less */
};

_Atomic int64_t aio_nr;
static _Atomic uint32_t nr_polls;
static struct mutex table_mu = MUTEX_INIT;
static struct list table[BUCKETS]; /* guarded by table_mu; zero = not yet initialised */

static struct list *bucket(uint64_t id)
{
	struct list *b = &table[id / PAGE_SIZE % BUCKETS];

	if (!b->next)
		list_init(b);
	return b;
}

/* ---- life ------------------------------------------------------------------------------------------------- */

void aio_put(struct aio_ctx *c)
{
	struct aio_req *r, *tmp;

	if (!c || !ref_put(&c->ref))
		return;
	list_for_each_entry_safe (r, tmp, &c->done, node)
		free(r);
	atomic_fetch_sub(&aio_nr, c->max);
	free(c);
}

static void cancel_locked(struct aio_req *r)
{
	r->cancelled = true;
	if (r->k)
		kthread_wake(r->k);
}

/* No new requests, no new waiters; what waits ends. */
static void kill_ctx(struct aio_ctx *c)
{
	struct aio_req *r;

	mutex_lock(&table_mu);
	list_del_init(&c->node);
	mutex_unlock(&table_mu);
	mutex_lock(&c->mu);
	c->dead = true;
	list_for_each_entry (r, &c->polls, node)
		cancel_locked(r);
	mutex_unlock(&c->mu);
	waitq_wake_all(&c->wq);
}

static void map_get(struct mappable *m)
{
	ref_get(&container_of(m, struct aio_ctx, m)->maps);
}

static void map_put(struct mappable *m)
{
	struct aio_ctx *c = container_of(m, struct aio_ctx, m);

	if (!ref_put(&c->maps))
		return;
	kill_ctx(c);
	aio_put(c);
}

/* One page of zeros serves all contexts: it is only mapped privately. */
static long map_host_fd(struct mappable *m, uint64_t off, uint64_t len, bool shared, bool writable, int *out_fd,
			uint64_t *out_file_id, uint64_t *out_host_off)
{
	static int zero_fd = -1; /* guarded by table_mu */
	long fd;

	if (shared)
		return -LINUX_EACCES;
	mutex_lock(&table_mu);
	if (zero_fd < 0) {
		fd = host_call(memfd_create, "aio", MFD_CLOEXEC);
		if (fd >= 0 && host_call(ftruncate, fd, PAGE_SIZE) < 0) {
			host_call(close, fd);
			fd = -1;
		}
		zero_fd = (int)fd;
	}
	*out_fd = zero_fd;
	mutex_unlock(&table_mu);
	*out_file_id = 0;
	*out_host_off = off;
	return *out_fd < 0 ? -LINUX_ENOMEM : 0;
}

static void map_describe(struct mappable *m, uint64_t *out_dev, uint64_t *out_ino, struct buf *out_path)
{
	*out_dev = 1;
	*out_ino = 1;
	buf_printf(out_path, "/[aio] (deleted)");
}

static const struct mappable_ops aio_map_ops = {
	.get = map_get,
	.put = map_put,
	.host_fd = map_host_fd,
	.describe = map_describe,
};

static struct aio_ctx *ctx_new(uint32_t nr)
{
	struct aio_ctx *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->m.ops = &aio_map_ops;
	ref_init(&c->maps, 1);
	ref_init(&c->ref, 1);
	list_init(&c->node);
	list_init(&c->polls);
	list_init(&c->done);
	mutex_init(&c->mu);
	waitq_init(&c->wq);
	c->max = nr;
	return c;
}

long aio_setup(struct task *t, uint32_t nr, int64_t max_nr, uint64_t *out_id)
{
	const struct mm_limits lim = task_mm_limits(t);
	struct aio_ctx *c;
	long ret;

	if (atomic_fetch_add(&aio_nr, nr) + nr > max_nr) {
		atomic_fetch_sub(&aio_nr, nr);
		return -LINUX_EAGAIN;
	}
	c = ctx_new(nr);
	if (!c) {
		atomic_fetch_sub(&aio_nr, nr);
		return -LINUX_ENOMEM;
	}
	ret = mm_mmap(t->mm, t->u, &lim, 0, PAGE_SIZE, LINUX_PROT_READ, LINUX_MAP_PRIVATE, &c->m, 0, LINUX_PROT_READ, NULL);
	if (ret > 0) {
		c->mm = t->mm;
		c->id = *out_id = (uint64_t)ret;
		mutex_lock(&table_mu);
		list_add(bucket(c->id), &c->node);
		mutex_unlock(&table_mu);
		/* A child has no contexts: io_setup(2) names an address space. */
		ret = mm_madvise(t->mm, t->u, c->id, PAGE_SIZE, LINUX_MADV_DONTFORK);
		if (ret < 0)
			mm_munmap(t->mm, t->u, c->id, PAGE_SIZE);
	}
	map_put(&c->m); /* from here on it is the mapping's */
	return ret;
}

struct aio_ctx *aio_get(struct task *t, uint64_t id)
{
	struct aio_ctx *c, *found = NULL;

	mutex_lock(&table_mu);
	list_for_each_entry (c, bucket(id), node)
		if (c->id == id && c->mm == t->mm && ref_get_unless_zero(&c->ref)) {
			found = c;
			break;
		}
	mutex_unlock(&table_mu);
	return found;
}

static bool no_polls(struct aio_ctx *c)
{
	bool none;

	mutex_lock(&c->mu);
	none = list_empty(&c->polls);
	mutex_unlock(&c->mu);
	return none;
}

long aio_destroy(struct task *t, uint64_t id)
{
	struct aio_ctx *c = aio_get(t, id);
	long ret = -LINUX_EINVAL;
	bool mine;

	if (!c)
		return ret;
	mutex_lock(&c->mu);
	mine = !c->dead;
	c->dead = true;
	mutex_unlock(&c->mu);
	if (mine) {
		kill_ctx(c);
		wait_event(&c->wq, no_polls(c), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
		ret = mm_munmap(t->mm, t->u, id, PAGE_SIZE);
	}
	aio_put(c);
	return ret;
}

/* ---- requests ------------------------------------------------------------------------------------------------ */

static bool take_slot(struct aio_ctx *c)
{
	bool ok;

	mutex_lock(&c->mu);
	ok = c->used < c->max;
	c->used += ok;
	mutex_unlock(&c->mu);
	return ok;
}

static void free_slot(struct aio_ctx *c)
{
	mutex_lock(&c->mu);
	c->used--;
	mutex_unlock(&c->mu);
}

long aio_req_new(struct aio_ctx *c, struct aio_req **out)
{
	struct aio_req *r;

	if (!take_slot(c))
		return -LINUX_EAGAIN;
	r = calloc(1, sizeof(*r));
	if (!r) {
		free_slot(c);
		return -LINUX_ENOMEM;
	}
	list_init(&r->node);
	ref_get(&c->ref);
	r->ctx = c;
	*out = r;
	return 0;
}

void aio_req_drop(struct aio_req *r)
{
	free_slot(r->ctx);
	file_put(r->f);
	file_put(r->resfd);
	aio_put(r->ctx);
	free(r);
}

void aio_complete(struct aio_req *r, int64_t res)
{
	struct aio_ctx *c = r->ctx;
	struct file *resfd = r->resfd;

	file_put(r->f);
	r->res = res;
	mutex_lock(&c->mu);
	list_del_init(&r->node); /* from the polls */
	list_add_tail(&c->done, &r->node);
	mutex_unlock(&c->mu);
	/* Now @r may be gone. */
	waitq_wake_all(&c->wq);
	if (resfd)
		eventfd_signal(resfd, 1);
	file_put(resfd);
	aio_put(c);
}

/* ---- polls ------------------------------------------------------------------------------------------------------- */

static void begin_wait(struct aio_req *r)
{
	mutex_lock(&r->ctx->mu);
	r->k = kthread_self();
	mutex_unlock(&r->ctx->mu);
}

static bool is_cancelled(struct aio_req *r)
{
	bool c;

	mutex_lock(&r->ctx->mu);
	c = r->cancelled;
	mutex_unlock(&r->ctx->mu);
	return c;
}

static void poll_main(void *arg)
{
	struct aio_req *r = arg;
	__attribute__((uninitialized)) struct poll_wait pw;
	uint32_t mask;

	begin_wait(r);
	poll_wait_init(&pw);
	pw.pt.events = r->events;
	wait_prepare();
	mask = vfs_poll(r->f, &pw.pt) & r->events;
	while (!mask && !pw.failed && !is_cancelled(r)) {
		wait_sleep(SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
		wait_prepare();
		mask = vfs_poll(r->f, NULL) & r->events;
	}
	poll_wait_fini(&pw);
	mutex_lock(&r->ctx->mu);
	r->k = NULL;
	mutex_unlock(&r->ctx->mu);
	aio_complete(r, pw.failed && !mask ? -LINUX_ENOMEM : (int64_t)mask);
	atomic_fetch_sub(&nr_polls, 1);
}

long aio_poll(struct aio_req *r)
{
	struct aio_ctx *c = r->ctx;
	uint32_t mask = vfs_poll(r->f, NULL) & r->events;

	if (mask) {
		aio_complete(r, mask);
		return 0;
	}
	if (atomic_fetch_add(&nr_polls, 1) >= POLLS_MAX)
		goto none;
	mutex_lock(&c->mu);
	list_add_tail(&c->polls, &r->node);
	r->cancelled = c->dead;
	mutex_unlock(&c->mu);
	if (kthread_start(poll_main, r, "aio-poll"))
		return 0;
	mutex_lock(&c->mu);
	list_del_init(&r->node);
	mutex_unlock(&c->mu);
	waitq_wake_all(&c->wq);
none:
	atomic_fetch_sub(&nr_polls, 1);
	return -LINUX_EAGAIN;
}

long aio_cancel(struct aio_ctx *c, uint64_t obj)
{
	long ret = -LINUX_EINVAL;
	struct aio_req *r;

	mutex_lock(&c->mu);
	list_for_each_entry (r, &c->polls, node)
		if (r->obj == obj && !r->cancelled) {
			cancel_locked(r);
			ret = -LINUX_EINPROGRESS;
			break;
		}
	mutex_unlock(&c->mu);
	return ret;
}

/* ---- events ---------------------------------------------------------------------------------------------------------- */

unsigned aio_take(struct aio_ctx *c, struct linux_io_event *out, unsigned max)
{
	struct list taken = LIST_HEAD_INIT(taken);
	struct aio_req *r, *tmp;
	unsigned n = 0;

	mutex_lock(&c->mu);
	while (n < max && !list_empty(&c->done)) {
		r = list_first(&c->done, struct aio_req, node);
		list_del_init(&r->node);
		list_add_tail(&taken, &r->node);
		out[n++] = (struct linux_io_event){ r->data, r->obj, r->res, 0 };
	}
	c->used -= n;
	mutex_unlock(&c->mu);
	list_for_each_entry_safe (r, tmp, &taken, node)
		free(r);
	return n;
}

static bool has_event(struct aio_ctx *c, bool *dead)
{
	bool there;

	mutex_lock(&c->mu);
	there = !list_empty(&c->done);
	*dead = c->dead && !there;
	mutex_unlock(&c->mu);
	return there || *dead;
}

long aio_wait(struct aio_ctx *c, uint64_t deadline_ns)
{
	bool dead = false;
	long ret = wait_event(&c->wq, has_event(c, &dead), SLEEP_INTERRUPTIBLE, deadline_ns);

	return !ret && dead ? -LINUX_EINVAL : ret;
}
