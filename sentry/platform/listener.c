/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/listener.c - user notifications: who receives them, how they are answered
 *
 * Model:   per container a few workers sit in SECCOMP_IOCTL_NOTIF_RECV. A notification names the thread that makes it by
 *          a pid that the kernel vouches for; everything else in it and in the slot is hostile. A request for the
 *          Sentry lets the thread's kthread go on right here, on the worker that received it.
 * Spare:   the kernel wakes everybody who waits in NOTIF_RECV for each notification, so only one listener, the lead, sits there. The
 *          other one is its spare:
 *            ASLEEP     on its futex, as long as nothing happens; the lead wakes it to watch when something does
 *            WATCHING   looks every few milliseconds whether the lead is still at the same kthread, and then stands in for it
 *                       once; goes to sleep when nothing has happened for some looks
 *            RECEIVING  sits in NOTIF_RECV too: the lead blocks in the host, or found requests waiting several times in a row;
 *                       until it has had to wait for one itself
 *          lead_seq is odd while the lead runs a kthread. The lead changes it, then reads the spare's state; the spare says ASLEEP,
 *          then reads it (both sequentially consistent): one of them sees the other.
 * Source:  seccomp_unotify(2).
 */
#include <linux/seccomp.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/platform/platform_internal.h"

/* Linux 6.6; headers of older systems lack it. */
#define NOTIF_SET_FLAGS	   SECCOMP_IOW(4, __u64)
#define NOTIF_FD_SYNC_WAKE 1ull

#define LISTENERS_PER_ZYGOTE 2

#define WATCH_NS	2000000ull /* between two looks at the lead */
#define WATCH_IDLE	5	/* looks without anything new, then sleep */
#define BACKLOG_MAX	4	/* requests in a row that were there before the lead asked */
#define AT_ONCE_US	2	/* a request that is there takes less than this to receive */
#define WAITED_US	200	/* the spare is not needed when it waits so long */

enum { SPARE_ASLEEP, SPARE_WATCHING, SPARE_RECEIVING };

struct listener {
	struct worker_source src;
	bool spare;		/* of z's two; written before assigned */
	unsigned backlog;	/* of the lead */
	struct listener *next_idle;	/* guarded by pool_mu */
	struct uzygote *z;		/* reference; NULL while idle */
	_Atomic uint32_t assigned;	/* futex: 1 = z is set */
};

static struct mutex pool_mu = MUTEX_INIT;
static struct listener *pool_idle;	/* guarded by pool_mu */

long notif_answer(struct uzygote *z, uint64_t id, int64_t val, bool cont)
{
	struct seccomp_notif_resp r = { .id = id, .val = val, .flags = cont ? SECCOMP_USER_NOTIF_FLAG_CONTINUE : 0 };

	return host_call(ioctl, z->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

long notif_error(struct uzygote *z, uint64_t id, int err)
{
	struct seccomp_notif_resp r = { .id = id, .error = -err };

	return host_call(ioctl, z->listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}

long notif_addfd(struct uzygote *z, uint64_t id, int fd, bool cloexec)
{
	struct seccomp_notif_addfd a = {
		.id = id,
		.flags = SECCOMP_ADDFD_FLAG_SEND,
		.srcfd = (uint32_t)fd,
		.newfd_flags = cloexec ? 02000000 : 0,
	};

	return host_call(ioctl, z->listener, SECCOMP_IOCTL_NOTIF_ADDFD, &a);
}

bool notif_valid(struct uzygote *z, uint64_t id)
{
	return host_call(ioctl, z->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &id) == 0;
}

/* The stub's operation list wants its next descriptor. */
static void fd_wanted(struct uzygote *z, struct uthr *t, uint64_t id)
{
	long fd = -LINUX_EPERM;

	mutex_lock(&t->ops_mu);
	if (t->next_fd < t->nr_fds) {
		fd = notif_addfd(z, id, t->fds[t->next_fd], true);
		if (fd >= 0) {
			t->fd_in_stub[t->next_fd++] = (int)fd;
			t->shared_args[4] = (uint64_t)fd;
		}
	}
	mutex_unlock(&t->ops_mu);
	if (fd < 0)
		notif_error(z, id, LINUX_EBADF);
}

/* A shared mapping: exactly what the Sentry asked for, or nothing. Registers cannot change under it. */
static void shared_mmap(struct uzygote *z, struct uthr *t, uint64_t id, const struct seccomp_data *d)
{
	bool ok;

	mutex_lock(&t->ops_mu);
	ok = t->shared_expected;
	for (unsigned i = 0; i < 6; i++)
		ok = ok && d->args[i] == t->shared_args[i];
	if (ok)
		t->shared_expected = false;
	mutex_unlock(&t->ops_mu);
	if (ok)
		notif_answer(z, id, 0, true);
	else
		notif_error(z, id, LINUX_EPERM);
}

/* A fork that is in the thread's list of operations, and no other: the child has all descriptors that the parent has. Cut short by a signal it
 * comes again. */
static void fork_wanted(struct uzygote *z, struct uthr *t, uint64_t id)
{
	if (atomic_load(&t->may_fork))
		notif_answer(z, id, 0, true);
	else
		notif_error(z, id, LINUX_EPERM);
}

/* A request in the thread's slot. The kthread to run, or NULL. */
static struct kthread *call_wanted(struct uzygote *z, struct uthr *t, uint64_t id)
{
	/* Not so when a poller has it, or when this is the second notification of one request (the first was cut short). */
	if (!thr_claim_request(t)) {
		notif_answer(z, id, 0, false);
		return NULL;
	}
	t->notif_open = true;
	t->notif_id = id;
	STAT_INC(calls_notified);
	poll_note_notification();
	return t->k;
}

static struct kthread *notif_handle(struct uzygote *z, const struct seccomp_notif *n)
{
	struct kthread *k = NULL;
	struct mutex *mu;
	struct uthr *t;

	if (n->data.nr == STUB_NR_NOTIFY && n->data.args[0] != NOTIFY_CALL && n->data.args[0] != NOTIFY_FD) {
		zygote_hello(z, (int)n->pid, n->id, (const uint64_t *)n->data.args);
		return NULL;
	}
	if (n->data.nr == __NR_clone && (int)n->pid == z->pid) { /* told to; no guest ever runs in it */
		notif_answer(z, n->id, 0, true);
		return NULL;
	}
	t = thr_find_locked((int)n->pid, &mu);
	if (!t || t->u.space->z != z) {
		if (t)
			mutex_unlock(mu);
		notif_error(z, n->id, LINUX_EPERM);
		return NULL;
	}
	ref_get(&t->ref);
	mutex_unlock(mu);
	if (n->data.nr == __NR_mmap)
		shared_mmap(z, t, n->id, &n->data);
	else if (n->data.nr == __NR_clone)
		fork_wanted(z, t, n->id);
	else if (n->data.nr == STUB_NR_NOTIFY && n->data.args[0] == NOTIFY_FD)
		fd_wanted(z, t, n->id);
	else
		k = call_wanted(z, t, n->id);
	thr_put(t);
	return k;
}

static void listener_idle(struct listener *l)
{
	mutex_lock(&pool_mu);
	atomic_store(&l->assigned, 0);
	l->next_idle = pool_idle;
	pool_idle = l;
	mutex_unlock(&pool_mu);
}

/* ---- lead and spare ---------------------------------------------------------------------------------------------- */

static void spare_set(struct uzygote *z, uint32_t state)
{
	atomic_store(&z->spare_state, state);
	host_call(futex, &z->spare_state, 129 /* FUTEX_WAKE_PRIVATE */, 1, NULL, NULL, 0);
}

/* Until the spare is to receive. */
static void spare_wait(struct uzygote *z)
{
	struct timespec tick = { .tv_nsec = WATCH_NS };
	uint32_t state, seq = atomic_load(&z->lead_seq), now;
	unsigned idle = 0;

	while ((state = atomic_load(&z->spare_state)) != SPARE_RECEIVING && !atomic_load(&z->dead)) {
		host_call(futex, &z->spare_state, 128 /* FUTEX_WAIT_PRIVATE */, state, state == SPARE_WATCHING ? &tick : NULL, NULL, 0);
		now = atomic_load(&z->lead_seq);
		if (now == seq && (now & 1) && state == SPARE_WATCHING)
			return;
		idle = now == seq ? idle + 1 : 0;
		seq = now;
		if (idle < WATCH_IDLE || !atomic_compare_exchange_strong(&z->spare_state, &state, SPARE_ASLEEP))
			continue;
		idle = 0;
		if (atomic_load(&z->lead_seq) != seq) {
			state = SPARE_ASLEEP;
			atomic_compare_exchange_strong(&z->spare_state, &state, SPARE_WATCHING);
		}
	}
}

/* What it took to receive a request says whether one listener is enough. */
static void received_after(struct listener *l, uint64_t ticks)
{
	struct uzygote *z = l->z;

	if (l->spare) {
		if (ticks > WAITED_US * platform.tsc_per_us)
			atomic_store(&z->spare_state, SPARE_WATCHING);
		return;
	}
	atomic_fetch_add(&z->lead_seq, 1);
	l->backlog = ticks < AT_ONCE_US * platform.tsc_per_us ? l->backlog + 1 : 0;
	if (l->backlog >= BACKLOG_MAX) {
		l->backlog = 0;
		spare_set(z, SPARE_RECEIVING);
	} else if (atomic_load(&z->spare_state) == SPARE_ASLEEP) {
		spare_set(z, SPARE_WATCHING);
	}
}

void listeners_stop(struct uzygote *z)
{
	spare_set(z, SPARE_RECEIVING);
}

static void listener_blocking(struct worker_source *src, bool begin)
{
	struct listener *l = container_of(src, struct listener, src);

	if (begin && !l->spare)
		spare_set(l->z, SPARE_RECEIVING);
}

static struct kthread *listener_next(struct worker_source *src, bool may_block)
{
	struct listener *l = container_of(src, struct listener, src);
	struct seccomp_notif n = { 0 };
	uint64_t start;
	long ret;

	if (!may_block)
		return NULL;
	while (!atomic_load(&l->assigned))
		host_call(futex, &l->assigned, 128 /* FUTEX_WAIT_PRIVATE */, 0, NULL, NULL, 0);
	if (l->spare)
		spare_wait(l->z);
	else if (atomic_load_explicit(&l->z->lead_seq, memory_order_relaxed) & 1)
		atomic_fetch_add(&l->z->lead_seq, 1);
	start = __builtin_ia32_rdtsc();
	ret = host_call(ioctl, l->z->listener, SECCOMP_IOCTL_NOTIF_RECV, &n);
	received_after(l, __builtin_ia32_rdtsc() - start);
	if (ret == 0)
		return notif_handle(l->z, &n);
	if (ret == -LINUX_EINTR)
		return NULL;
	/* ENOENT: the thread died before we looked, or nobody is left under this filter. */
	if (atomic_load(&l->z->dead)) {
		zygote_put(l->z);
		l->z = NULL;
		listener_idle(l);
	} else if (ret != -LINUX_ENOENT) {
		log_error("seccomp listener: error %ld", -ret);
		zygote_dead(l->z);
	}
	return NULL;
}

static long listener_start(struct uzygote *z, bool spare)
{
	struct listener *l;
	bool fresh = false;
	long ret = 0;

	mutex_lock(&pool_mu);
	l = pool_idle;
	if (l)
		pool_idle = l->next_idle;
	mutex_unlock(&pool_mu);
	if (!l) {
		l = calloc(1, sizeof(*l));
		if (!l)
			return -LINUX_ENOMEM;
		l->src.next = listener_next;
		l->src.blocking = listener_blocking;
		fresh = true;
	}
	ref_get(&z->ref);
	l->z = z;
	l->spare = spare;
	l->backlog = 0;
	atomic_store(&l->assigned, 1);
	if (fresh)
		ret = worker_spawn(&l->src, "listener");
	else
		host_call(futex, &l->assigned, 129 /* FUTEX_WAKE_PRIVATE */, 1, NULL, NULL, 0);
	if (ret) {
		zygote_put(z);
		free(l);
	}
	return ret;
}

long listeners_start(struct uzygote *z)
{
	long ret = 0;

	/* Wake the receiver on the caller's processor, which is about to sleep; not there before Linux 6.6. */
	host_call(ioctl, z->listener, NOTIF_SET_FLAGS, NOTIF_FD_SYNC_WAKE);
	for (unsigned i = 0; i < LISTENERS_PER_ZYGOTE && !ret; i++)
		ret = listener_start(z, i > 0);
	return ret;
}
