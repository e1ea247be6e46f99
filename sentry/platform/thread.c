/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/thread.c - stub threads: birth by zygote, fork and clone, kicks, end
 *
 * Model:   a new thread is asked for with a token; its hello (zygote.c) binds it to a host thread. It runs first when
 *          its kthread answers that hello, with everything prepared in its slot.
 * Kick:    the kicker writes t->kick and slot.kick, then reads phase; uthread_run() clears slot.kick, writes phase, then
 *          reads t->kick (all sequentially consistent): one of them sees the other. In the stub, slot.kick is looked
 *          at in one step with going back to the guest or to sleep (stub/handler.c).
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/platform/platform_internal.h"

/* ---- by host thread id --------------------------------------------------------------------------------- */

#define NR_BUCKETS 1024

static struct bucket {
	struct mutex mu;
	struct list list;
} buckets[NR_BUCKETS];
static struct mutex buckets_mu = MUTEX_INIT;
static _Atomic bool buckets_ready;

static struct bucket *bucket_of(int tid)
{
	if (unlikely(!atomic_load_explicit(&buckets_ready, memory_order_acquire))) {
		mutex_lock(&buckets_mu);
		if (!atomic_load(&buckets_ready))
			for (unsigned i = 0; i < NR_BUCKETS; i++)
				list_init(&buckets[i].list);
		atomic_store(&buckets_ready, true);
		mutex_unlock(&buckets_mu);
	}
	return &buckets[(unsigned)tid % NR_BUCKETS];
}

struct uthr *thr_find_locked(int tid, struct mutex **out_mu)
{
	struct bucket *b = bucket_of(tid);
	struct uthr *t;

	mutex_lock(&b->mu);
	list_for_each_entry(t, &b->list, hash_node) {
		if (t->tid == tid) {
			*out_mu = &b->mu;
			return t;
		}
	}
	mutex_unlock(&b->mu);
	return NULL;
}

void thr_hash_add(struct uthr *t)
{
	struct bucket *b = bucket_of(t->tid);

	mutex_lock(&b->mu);
	list_add(&b->list, &t->hash_node);
	mutex_unlock(&b->mu);
}

static void thr_hash_del(struct uthr *t)
{
	struct bucket *b = bucket_of(t->tid);

	mutex_lock(&b->mu);
	list_del_init(&t->hash_node);
	mutex_unlock(&b->mu);
}

/* ---- life ------------------------------------------------------------------------------------------------ */

/* Binds @t to slot @nr of @s: a reference to @s, an entry in its list, a clean slot page. */
static void thr_bind(struct uthr *t, struct uspace *s, unsigned nr)
{
	struct stub_slot *slot = space_slot(s, nr);

	memset(slot, 0, sizeof(*slot));
	slot->self = s->z->region + REGION_SLOTS + (uint64_t)nr * SLOT_SIZE;
	ref_get(&s->ref);
	atomic_store(&slot->req, 1);
	atomic_store(&t->seq, 1);
	t->u.space = s;
	t->slot = slot;
	t->slot_nr = nr;
	t->tid = 0;
	t->notif_open = false;
	t->first_run = true;
	t->was_ready = false;
	t->u.sh = &slot->sh;
	t->token = random_u64() >> 1;
	if (!t->token)
		t->token = 1;
	atomic_store(&t->phase, UP_UNBORN);
	mutex_lock(&s->mu);
	list_add_tail(&s->threads, &t->space_node);
	s->nr_threads++;
	if (atomic_load(&s->dead))
		atomic_store(&t->dead, true);
	mutex_unlock(&s->mu);
}

struct uthr *thr_new(struct uspace *s, unsigned slot_nr)
{
	struct uthr *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	ref_init(&t->ref, 1);
	mutex_init(&t->ops_mu);
	mutex_init(&t->herd_mu);
	list_init(&t->space_node);
	list_init(&t->hash_node);
	list_init(&t->spawn_node);
	list_init(&t->unborn_node);
	thr_bind(t, s, slot_nr);
	return t;
}

void thr_put(struct uthr *t)
{
	if (!ref_put(&t->ref))
		return;
	if (t->old_space)
		space_put(t->old_space);
	space_put(t->u.space);
	free(t);
}

/* Takes the thread away from its guest if it is still as @phase says: true when the caller owns it now. */
static bool claim_as(struct uthr *t, uint32_t phase)
{
	if ((phase & ((1u << UP_PHASE_BITS) - 1)) != UP_GUEST || !atomic_compare_exchange_strong(&t->phase, &phase, UP_STOPPED))
		return false;
	atomic_fetch_sub_explicit(&platform.nr_guest, 1, memory_order_relaxed);
	return true;
}

bool thr_claim(struct uthr *t)
{
	return claim_as(t, atomic_load(&t->phase));
}

/*
 * Barrier "claim": two may look for the same request, and one of them may be slow:
 *
 *	slow					quick
 *	req = 7, seq = 6: a request
 *						claims, seq = 7, serves it, answers: phase = GUEST again
 *	claims: but 7 was served
 *
 * The turn in the phase, read before the request, makes the slow one's exchange fail.
 */
bool thr_claim_request(struct uthr *t)
{
	uint32_t phase = atomic_load(&t->phase);
	uint32_t req = atomic_load_explicit(&t->slot->req, memory_order_acquire);

	if (req == atomic_load_explicit(&t->seq, memory_order_acquire) || !claim_as(t, phase))
		return false;
	atomic_store_explicit(&t->seq, req, memory_order_relaxed);
	return true;
}

bool thr_claim_posted(struct uthr *t)
{
	/* The slot's line is left alone while there can be nothing new in it. */
	if (thr_phase(t) != UP_GUEST)
		return false;
	if (atomic_load_explicit(&t->slot->req, memory_order_acquire) == atomic_load_explicit(&t->seq, memory_order_relaxed) ||
	    !(t->slot->evflags & EVF_POSTED))
		return false;
	return thr_claim_request(t);
}

/* Its process is gone. Called under space.mu: @t cannot go away meanwhile. */
void thr_dead(struct uthr *t)
{
	atomic_store(&t->dead, true);
	if (thr_claim(t))
		kthread_resume(t->k);
	waitq_wake_all(&t->u.space->z->hello_wq);
}

/* Until @t has said hello: 0, or -LINUX_ESRCH. */
long thr_wait_hello(struct uthr *t)
{
	struct uzygote *z = t->u.space->z;

	wait_event(&z->hello_wq,
		   thr_phase(t) != UP_UNBORN || atomic_load(&t->dead) || atomic_load(&z->dead),
		   SLEEP_UNINTERRUPTIBLE, now_ns() + HELLO_TIMEOUT_NS);
	if (thr_phase(t) == UP_UNBORN || atomic_load(&z->dead))
		atomic_store(&t->dead, true);
	return atomic_load(&t->dead) ? -LINUX_ESRCH : 0;
}

/* Puts @t where its hello is looked for; the hello holds a reference. */
static void unborn_add(struct uthr *t, bool process)
{
	struct uzygote *z = t->u.space->z;

	t->spawns_process = process;
	ref_get(&t->ref);
	mutex_lock(&z->mu);
	list_add_tail(&z->unborn, &t->unborn_node);
	mutex_unlock(&z->mu);
}

/* Its hello is not wanted any more. One that is being handled this moment is waited for; one that is still to
 * come is refused, and a thread then finds the answer to end. */
static void unborn_del(struct uthr *t)
{
	struct uzygote *z = t->u.space->z;
	bool was;

	if (thr_phase(t) != UP_UNBORN)
		return;
	t->slot->ans = (struct stub_answer){ .flags = ANS_EXIT };
	atomic_store(&t->slot->answer, 1);

	mutex_lock(&z->mu);
	was = !list_empty(&t->unborn_node);
	list_del_init(&t->unborn_node);
	list_del_init(&t->spawn_node);
	mutex_unlock(&z->mu);
	if (was)
		thr_put(t);
	else
		thr_wait_hello(t);
}

/* Takes @t out of its process; ends the process with its last thread, else the host thread alone. */
static void thr_unbind(struct uthr *t)
{
	struct uspace *s = t->u.space;
	bool last;

	unborn_del(t);
	if (t->tid)
		thr_hash_del(t);
	mutex_lock(&s->mu);
	list_del_init(&t->space_node);
	last = --s->nr_threads == 0;
	mutex_unlock(&s->mu);
	if (last) {
		/* In this order: its death is no news to anybody, and would wake the reactor. */
		if (s->watching)
			hostfd_unwatch(&s->watch);
		s->watching = false;
		uspace_kill(s);
		return;
	}
	if (!atomic_load(&t->dead) && thr_phase(t) == UP_STOPPED) {
		t->ret_set = false;
		t->nr_outs = 0;
		if (!t->last_words)
			t->nr_ops = 0;
		thr_exchange(t, ANS_EXIT);
	}
	mutex_lock(&s->mu);
	s->slot_used[t->slot_nr / 64] &= ~(1ull << (t->slot_nr % 64));
	mutex_unlock(&s->mu);
}

void uthread_free(struct uthread *u)
{
	struct uthr *t = uthr_of(u);

	if (t->runner && t->runner == kthread_self())
		kthread_set_guest(t->runner, NULL);
	thr_birth_settle(t, false);
	thr_unbind(t);
	thr_put(t);
}

/* A process of the zygote's, not yet said hello. */
static long process_ask(struct uzygote *z, struct uthr *t)
{
	long ret;

	t->spawns_process = true;
	ref_get(&t->ref);
	ret = zygote_spawn(t);
	if (ret)
		thr_put(t);
	else
		ret = thr_wait_hello(t);
	return ret;
}

long uspace_new(struct uzygote *z, struct uthread **out)
{
	struct uspace *s = space_new(z);
	struct uthr *t;
	long ret;

	if (!s)
		return -LINUX_ENOMEM;
	s->slot_used[0] = 1;
	t = thr_new(s, 0);
	space_put(s); /* the thread has its own reference */
	if (!t)
		return -LINUX_ENOMEM;
	ret = process_ask(z, t);
	if (ret) {
		uthread_free(&t->u);
		return ret;
	}
	uthread_init_fpu(&t->u);
	*out = &t->u;
	return 0;
}

static void regs_inherit(struct uthr *child, struct uthr *parent)
{
	uthread_get_regs(&parent->u, &child->regs);
	child->regs_valid = child->regs_dirty = true;
	child->resume_sigret = parent->resume_sigret;
	memcpy((void *)&child->slot->sh, (void *)&parent->slot->sh, sizeof(child->slot->sh));
	atomic_store(&child->slot->sh.in_stub_sleep, 0);
}

/* ---- fork and clone ---------------------------------------------------------------------------------------- */

void thr_birth_settle(struct uthr *t, bool ran)
{
	struct uthr *child = t->birth;

	if (likely(!child))
		return;
	t->birth = NULL;
	atomic_store(&t->may_fork, false);
	poll_birth(t, false);
	for (unsigned i = 0; i <= t->birth_op && ran; i++)
		ran = stub_op_result(t, i) >= 0;
	if (!ran && thr_phase(child) == UP_UNBORN) {
		child->never_born = true;
		atomic_store(&child->slot->live, 0);
		atomic_store(&child->dead, true);
		waitq_wake_all(&t->u.space->z->hello_wq);
	}
	thr_put(child);
}

long uthread_settle(struct uthread *u)
{
	return unlikely(uthr_of(u)->birth) ? ops_run_now(uthr_of(u)) : 0;
}

void uthread_cancel_birth(struct uthread *u)
{
	struct uthr *t = uthr_of(u), *child = TAKE_PTR(t->birth);

	if (!child)
		return;
	atomic_store(&t->may_fork, false);
	t->nr_ops--;
	memmove(&t->ops[t->birth_op], &t->ops[t->birth_op + 1], (t->nr_ops - t->birth_op) * sizeof(t->ops[0]));
	poll_birth(t, false);
	thr_put(child);
}

bool uthread_store_at_birth(struct uthread *u, uint64_t addr, uint32_t value)
{
	struct uthr *t = uthr_of(u);

	if (!t->birth || t->nr_ops == OPS_DEFER_MAX || addr > uspace_limit(u->space) - sizeof(value))
		return false;
	memmove(&t->ops[t->birth_op + 1], &t->ops[t->birth_op], (t->nr_ops - t->birth_op) * sizeof(t->ops[0]));
	t->ops[t->birth_op++] = (struct stub_op){ .kind = OP_STORE32, .a = addr, .b = value, .c = 1 };
	t->nr_ops++;
	return true;
}

/* One operation of the parent's that makes the host thread or process, now or with the parent's next run. */
static long birth_op(struct uthr *parent, struct uthr *child, struct stub_op op, bool later)
{
	enum uevent ev;
	long ret = 0;

	/* @later, a full queue or an earlier birth go first */
	if (!later || parent->birth || parent->nr_ops == OPS_DEFER_MAX)
		ret = ops_run_now(parent);
	if (ret)
		return ret;
	poll_birth(parent, true);
	atomic_store(&parent->may_fork, op.kind == OP_FORK);
	parent->birth_op = parent->nr_ops;
	parent->ops[parent->nr_ops++] = op;
	if (later) {
		ref_get(&child->ref);
		parent->birth = child;
		return 0;
	}
	ev = thr_run_ops(parent);
	atomic_store(&parent->may_fork, false);
	poll_birth(parent, false);
	if (ev == UEV_DEAD)
		return -LINUX_ESRCH;
	ret = stub_op_result(parent, 0);
	return ret < 0 ? ret : 0;
}

void uthread_prepare_fork(struct uthread *u)
{
	rewrite_lineage(uthr_of(u));
}

long uthread_fork(struct uthread *u, bool later, struct uthread **out)
{
	struct uthr *parent = uthr_of(u), *child;
	struct uspace *s;
	long ret;

	s = space_new(u->space->z);
	if (!s)
		return -LINUX_ENOMEM;
	s->slot_used[0] = 1;
	child = thr_new(s, 0);
	space_put(s);
	if (!child)
		return -LINUX_ENOMEM;
	umem_flush(u);
	regs_inherit(child, parent);
	u->space->had_children = true;
	mutex_lock(&u->space->mu);
	memcpy(s->fds, u->space->fds, sizeof(s->fds));
	s->fd_clock = u->space->fd_clock;
	mutex_unlock(&u->space->mu);
	rewrite_fork(u->space, s);
	unborn_add(child, true);
	ret = birth_op(parent, child, (struct stub_op){ .kind = OP_FORK, .a = child->token }, later);
	if (ret) {
		uthread_free(&child->u);
		return ret;
	}
	STAT_INC(forks);
	*out = &child->u;
	return 0;
}

long uthread_clone(struct uthread *u, bool later, struct uthread **out)
{
	struct uthr *parent = uthr_of(u), *child;
	unsigned nr;
	long ret;

	if (u->space->nr_threads == 1)
		rewrite_lineage(parent);
	ret = space_slot_take(u->space, &nr);
	if (ret)
		return ret;
	child = thr_new(u->space, nr);
	if (!child) {
		mutex_lock(&u->space->mu);
		u->space->slot_used[nr / 64] &= ~(1ull << (nr % 64));
		mutex_unlock(&u->space->mu);
		return -LINUX_ENOMEM;
	}
	regs_inherit(child, parent);
	child->slot->token = child->token;
	atomic_store(&child->slot->live, 1);
	unborn_add(child, false);
	/* where stubs copy for us, what is still to be written to memory both share would come after the birth */
	ret = birth_op(parent, child, (struct stub_op){ .kind = OP_CLONE, .a = nr, .b = child->token },
		       later && !atomic_load_explicit(&platform.no_vm, memory_order_relaxed));
	if (ret) {
		atomic_store(&child->slot->live, 0);
		atomic_store(&child->dead, true);
		uthread_free(&child->u);
		return ret;
	}
	STAT_INC(threads);
	*out = &child->u;
	return 0;
}

/* @t leaves its process for the one that @fresh was born in; @fresh is used up. */
static void thr_move(struct uthr *t, struct uthr *fresh)
{
	struct uspace *s = fresh->u.space;
	struct ushared *from = &t->slot->sh;

	memcpy((void *)&fresh->slot->sh, (void *)from, sizeof(*from));
	thr_hash_del(fresh);
	mutex_lock(&s->mu);
	list_del_init(&fresh->space_node);
	list_add_tail(&s->threads, &t->space_node);
	mutex_unlock(&s->mu);
	ref_get(&s->ref);
	t->u.space = s;
	t->slot = fresh->slot;
	t->slot_nr = fresh->slot_nr;
	atomic_store(&t->seq, atomic_load(&fresh->seq));
	t->u.sh = &fresh->slot->sh;
	t->tid = fresh->tid;
	t->notif_id = fresh->notif_id;
	t->notif_open = true;
	t->first_run = true;
	t->was_ready = false;
	t->spawns_process = true;
	mutex_lock(&t->herd_mu);
	t->herded = false;
	mutex_unlock(&t->herd_mu);
	atomic_store(&t->phase, UP_STOPPED);
	atomic_store(&t->dead, atomic_load(&s->dead));
	thr_hash_add(t);
	thr_put(fresh);
}

long uthread_rehost(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	struct uspace *old = u->space;
	struct uthread *fresh;
	long ret = uspace_new(old->z, &fresh);

	if (ret)
		return ret;
	thr_unbind(t);
	if (t->old_space)
		space_put(t->old_space);
	t->old_space = old; /* its reference stays: see platform.h */
	t->ret_set = t->notif_open = t->resume_sigret = false;
	t->nr_outs = t->nr_ops = 0;
	thr_move(t, uthr_of(fresh));
	memset(&t->regs, 0, sizeof(t->regs));
	t->regs_valid = t->regs_dirty = true;
	mem_call_begin(t);
	uthread_init_fpu(u);
	return 0;
}

/* ---- kicks ------------------------------------------------------------------------------------------------- */

static void kick_host(struct uthr *t)
{
	long ret = host_call(tgkill, t->u.space->pid, t->tid, STUB_SIGKICK);

	if (ret != -LINUX_ESRCH)
		return;
	/* Ended by its own doing, without the process: no one else will tell. */
	atomic_store(&t->dead, true);
	if (thr_claim(t))
		kthread_resume(t->k);
}

void uthread_kick(struct uthread *u)
{
	struct uthr *t = uthr_of(u);

	STAT_INC(kicks);
	atomic_store(&t->kick, 1);
	atomic_store(&t->slot->kick, 1);
	/* Before its first run it has no way past slot.kick; guest_run.c looks once more afterwards. A fresh process that has not
	 * set its signal stack would die of a signal:
	 *
	 *	stub			Sentry
	 *	sigaltstack()		slot.kick = 1
	 *	slot.ready = 1		slot.ready? no: no signal
	 *	slot.kick? yes: goes to the Sentry
	 */
	if (thr_phase(t) == UP_GUEST && !t->first_run && (t->was_ready || atomic_load(&t->slot->ready))) {
		t->was_ready = true; /* what the stub wrote once cannot be taken back */
		kick_host(t);
	}
}

bool uthread_is_away(const struct uthread *u)
{
	return thr_phase((const struct uthr *)u) == UP_GUEST;
}

int uthread_host_tid(const struct uthread *u)
{
	return ((const struct uthr *)u)->tid;
}
