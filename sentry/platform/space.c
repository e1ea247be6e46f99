/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/space.c - one stub process: its slots, its death
 *
 * Model:   the slot memfd is made here and mapped whole (sparse); the process gets the descriptor in the answer to its
 *          hello and closes it once mapped; they outlive it in a small pool. A pidfd tells of its death, whoever caused it; the
 *          kthreads of its threads then see UEV_DEAD.
 * Locks:   space.mu, pool.mu, graves.mu: leaves.
 */
#include <linux/memfd.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/platform/platform_internal.h"

/* ---- slots ---------------------------------------------------------------------------------------------------- */

static long slots_map(struct uspace *s)
{
	long fd = host_call(memfd_create, "stub-slots", MFD_CLOEXEC);
	long p, ret;

	if (fd < 0)
		return fd;
	ret = host_call(ftruncate, fd, SLOTS_LEN);
	if (ret)
		goto out_close;
	p = host_call(mmap, NULL, SLOTS_LEN, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
	if (p < 0 && p > -4096) {
		ret = p;
		goto out_close;
	}
	s->slots = (char *)p;
	s->slots_fd = (int)fd;
	return 0;
out_close:
	host_call(close, fd);
	return ret;
}

/*
 * Slots of processes that are gone, in the order of their end, for those to come: making, mapping and filling them is a
 * good part of what a fork costs. They change hands only when the kernel says that the process has ended, hence has no
 * mapping of them any more, and with every byte cleared that it has written. A poller may still be about to look at a slot of a
 * thread that has moved on by exec (it has a reference to the thread, not to where it was): at worst the new owner sees a hint
 * that is not meant for it.
 */
#define POOL_MAX    8
#define EXTENTS_MAX 16	/* pieces of written pages in one slot; more are not worth the trouble */
struct idle_slots {
	char *slots;
	int fd, pidfd;
};
static struct {
	struct mutex mu;
	struct idle_slots e[POOL_MAX];	/* guarded by mu */
	unsigned nr;			/* guarded by mu */
} pool = { .mu = MUTEX_INIT };

/* The last few stay mapped a little longer, for the poller's sake. */
#define GRAVES 8
static struct {
	struct mutex mu;
	char *slots[GRAVES];	/* guarded by mu */
	unsigned next;
} graves = { .mu = MUTEX_INIT };

static void slots_unmap(const struct idle_slots *e)
{
	char *old;

	mutex_lock(&graves.mu);
	old = graves.slots[graves.next];
	graves.slots[graves.next] = e->slots;
	graves.next = (graves.next + 1) % GRAVES;
	mutex_unlock(&graves.mu);
	if (old)
		host_call(munmap, old, SLOTS_LEN);
	host_call(close, e->fd);
	if (e->pidfd >= 0)
		host_call(close, e->pidfd);
}

/* Clears what is there of slot 0, the only one in use; false when there is too much of it. */
static bool slots_clear(const struct idle_slots *e)
{
	long from = 0, to;

	for (unsigned i = 0; i < EXTENTS_MAX; i++) {
		from = host_call(lseek, e->fd, from, SEEK_DATA);
		if (from == -LINUX_ENXIO)
			return true;
		if (from < 0 || from >= SLOT_SIZE)
			return false;
		to = host_call(lseek, e->fd, from, SEEK_HOLE);
		if (to <= from || to > SLOT_SIZE)
			return false;
		memset(e->slots + from, 0, (size_t)(to - from));
		from = to;
	}
	return false;
}

static bool process_ended(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	return host_call(poll, &p, 1, 0) == 1 && (p.revents & POLLIN);
}

static bool pool_push(struct idle_slots e)
{
	bool ok;

	mutex_lock(&pool.mu);
	ok = pool.nr < POOL_MAX;
	if (ok)
		pool.e[pool.nr++] = e;
	mutex_unlock(&pool.mu);
	return ok;
}

static bool pool_pop(struct idle_slots *out)
{
	bool ok;

	mutex_lock(&pool.mu);
	ok = pool.nr > 0;
	if (ok) {
		*out = pool.e[0];
		memmove(&pool.e[0], &pool.e[1], --pool.nr * sizeof(pool.e[0]));
	}
	mutex_unlock(&pool.mu);
	return ok;
}

static bool slots_reuse(struct uspace *s)
{
	struct idle_slots e;

	if (!pool_pop(&e))
		return false;
	if (!process_ended(e.pidfd)) {
		if (!pool_push(e))
			slots_unmap(&e);
		return false;
	}
	if (!slots_clear(&e)) {
		slots_unmap(&e);
		return false;
	}
	host_call(close, e.pidfd);
	s->slots = e.slots;
	s->slots_fd = e.fd;
	return true;
}

static void slots_retire(struct uspace *s)
{
	struct idle_slots e = { s->slots, s->slots_fd, s->pidfd };

	/* a process that never came up has no end that could be waited for; threads have left traces in other slots; a hostile one may
	 * have kept the descriptor, and handed it to every child since (the host's filter makes children a matter of our leave) */
	if (s->pidfd < 0 || s->slot_top || s->had_children || !pool_push(e))
		slots_unmap(&e);
}

/* ---- spaces --------------------------------------------------------------------------------------------------- */

struct uspace *space_new(struct uzygote *z)
{
	struct uspace *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	ref_init(&s->ref, 1);
	mutex_init(&s->mu);
	list_init(&s->threads);
	list_init(&s->z_node);
	sleeplock_init(&s->rewrite_lock);
	s->pidfd = -1;
	if (!slots_reuse(s) && slots_map(s)) {
		free(s);
		return NULL;
	}
	s->slots_due = true;
	ref_get(&z->ref);
	s->z = z;
	mutex_lock(&z->mu);
	list_add(&z->spaces, &s->z_node);
	mutex_unlock(&z->mu);
	return s;
}

void space_put(struct uspace *s)
{
	if (!ref_put(&s->ref))
		return;
	mutex_lock(&s->z->mu);
	list_del_init(&s->z_node);
	mutex_unlock(&s->z->mu);
	rewrite_reset(s);
	slots_retire(s); /* and the pidfd with them */
	zygote_put(s->z);
	free(s);
}

struct uspace *uspace_get(struct uspace *s)
{
	ref_get(&s->ref);
	return s;
}

void uspace_put(struct uspace *s)
{
	space_put(s);
}

struct stub_slot *space_slot(struct uspace *s, unsigned nr)
{
	return (struct stub_slot *)(s->slots + (size_t)nr * SLOT_SIZE);
}

/* A slot whose thread is being ended keeps its bit until the kernel has cleared its live word, so that two host
 * threads never share one. */
long space_slot_take(struct uspace *s, unsigned *out)
{
	long ret = -LINUX_EAGAIN;

	mutex_lock(&s->mu);
	for (unsigned i = 0; i < NR_SLOTS && ret; i++) {
		unsigned nr = (s->slot_hint + i) % NR_SLOTS;
		uint64_t bit = 1ull << (nr % 64);

		if (s->slot_used[nr / 64] & bit)
			continue;
		/* slot 0 belongs to the process's first thread for good: nothing tells when that one is gone */
		if (nr == 0 && s->pid)
			continue;
		if (atomic_load(&space_slot(s, nr)->live))
			continue;
		s->slot_used[nr / 64] |= bit;
		s->slot_hint = nr + 1;
		s->slot_top = MAX(s->slot_top, nr);
		*out = nr;
		ret = 0;
	}
	mutex_unlock(&s->mu);
	return ret;
}

bool uspace_alone(const struct uthread *u)
{
	const struct uthr *t = (const struct uthr *)u;
	struct uspace *s = u->space;
	bool alone = !t->slot_nr; /* of the thread that was on slot 0 nothing is known */

	mutex_lock(&s->mu);
	for (unsigned nr = 1; nr <= s->slot_top && alone; nr++)
		alone = nr == t->slot_nr || !atomic_load(&space_slot(s, nr)->live);
	mutex_unlock(&s->mu);
	return alone;
}

void space_dead(struct uspace *s)
{
	struct uthr *t;

	mutex_lock(&s->mu);
	atomic_store(&s->dead, true);
	list_for_each_entry(t, &s->threads, space_node)
		thr_dead(t);
	mutex_unlock(&s->mu);
}

static void space_watch_fn(struct hostfd *h, uint32_t events)
{
	space_dead(container_of(h, struct uspace, watch));
}

long space_born(struct uspace *s, int pid, struct uzygote *z, uint64_t id)
{
	long fd = host_call(pidfd_open, pid, 0);

	if (fd < 0)
		return fd;
	if (!notif_valid(z, id)) { /* the pid may be somebody else's by now */
		host_call(close, fd);
		return -LINUX_ESRCH;
	}
	mutex_lock(&s->mu);
	s->pidfd = (int)fd;
	s->pid = pid;
	mutex_unlock(&s->mu);
	s->watch = (struct hostfd){ .fd = (int)fd, .fn = space_watch_fn };
	s->watching = hostfd_watch(&s->watch, EPOLLIN) == 0;
	return 0;
}

void uspace_kill(struct uspace *s)
{
	if (s->pidfd >= 0)
		host_call(pidfd_send_signal, s->pidfd, SIGKILL, NULL, 0);
}

int uspace_host_pid(const struct uspace *s)
{
	return s->pid;
}

uint64_t uspace_limit(const struct uspace *s)
{
	return s->z->region - PAGE_SIZE; /* a gap, so that nothing ends where the region begins */
}

uint64_t uspace_vdso(const struct uspace *s)
{
	return s->z->vdso;
}
