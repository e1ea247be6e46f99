/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/guest_run.c - one answer to the stub, one event back
 *
 * Model:   the kthread composes the answer in the slot, makes the thread a GUEST, delivers, and suspends; whoever
 *          claims the next event lets it go on. Everything in the slot is read once.
 */
#include <string.h>

#include "base/hostcall.h"
#include "base/log.h"
#include "sentry/platform/platform_internal.h"

#define FUTEX_WAKE_SHARED 1
#define NR_EXIT		  60

static void regs_write(struct uthr *t)
{
	if (t->regs_dirty)
		t->slot->regs = t->regs;
	t->regs_dirty = false;
}

/* Everything the stub needs is in the slot after this, except the number. */
static void answer_write(struct uthr *t, uint32_t flags)
{
	struct stub_slot *s = t->slot;
	struct stub_answer a = { .flags = flags, .nr_ops = (uint16_t)t->nr_ops, .nr_outs = (uint16_t)t->nr_outs };

	if (!(flags & ANS_REPORT)) {
		regs_write(t);
		if (t->ret_set) {
			a.ret = t->ret;
			a.flags |= ANS_RET;
		}
		if (unlikely(t->local_set))
			a.flags |= ANS_LOCAL;
		if (t->fsbase_set)
			a.flags |= ANS_FSBASE;
		if (t->resume_sigret)
			a.flags |= ANS_SIGRET;
		if (t->forget_sites)
			a.flags |= ANS_EXECVE;
		t->fsbase_set = t->forget_sites = false;
	} else {
		a.nr_outs = 0;
	}
	if (t->nr_ops)
		memcpy((char *)s + SLOT_OPS, t->ops, t->nr_ops * sizeof(t->ops[0]));
	for (unsigned i = 0; i < a.nr_outs; i++)
		s->out[i] = (struct stub_seg){ t->out[i].addr, t->out[i].len, t->out[i].off };
	s->ans = a;
}

/* A hello that a signal (the freezer's, say) cuts short is made again, under another number: whoever of the kthread and
 * the listener comes second finds the descriptor due again, or the new number. */
bool thr_give_slots(struct uthr *t)
{
	struct uspace *s = t->u.space;
	uint64_t id;

	for (;;) {
		if (!atomic_exchange(&s->slots_due, false))
			return false; /* the other one is at it */
		id = atomic_load(&t->notif_id);
		if (notif_addfd(s->z, id, s->slots_fd, true) >= 0)
			return true;
		atomic_store(&s->slots_due, true);
		if (atomic_load(&t->notif_id) == id)
			return false;
	}
}

/* Answers the hello. True when the thread has surely gone on from there. */
static bool deliver_first(struct uthr *t)
{
	atomic_store(&t->slot->answer, t->seq);
	if (t->spawns_process)
		return thr_give_slots(t);
	notif_answer(t->u.space->z, t->notif_id, 0, false);
	return true;
}

static void deliver(struct uthr *t, bool notif_open, uint64_t id)
{
	uint32_t old = atomic_exchange(&t->slot->answer, atomic_load_explicit(&t->seq, memory_order_relaxed));

	/* The notification may be gone (cut short by a kick): then the stub finds the answer before it parks. */
	if (notif_open)
		notif_answer(t->u.space->z, id, 0, false);
	if (unlikely(old & SLOT_PARKED))
		host_call(futex, &t->slot->answer, FUTEX_WAKE_SHARED, 1, NULL, NULL, 0);
}

static void fault_take(struct uthr *t)
{
	struct stub_fault f = t->slot->fault;

	STAT_INC(faults);
	t->u.fault = (struct ufault){ .signo = (int)f.signo, .code = (int)f.code, .addr = f.addr, .trapno = f.trapno, .err = f.err };
}

static void segs_take(struct uthr *t)
{
	unsigned n = t->slot->nr_segs;

	t->nr_segs = 0;
	t->win_used = 0;
	for (unsigned i = 0; i < n && i < STUB_SEGS_MAX; i++) {
		struct stub_seg s = t->slot->seg[i];

		if (s.off > SLOT_WINDOW_LEN || s.len > SLOT_WINDOW_LEN - s.off || s.addr + s.len < s.addr)
			return;
		t->seg[t->nr_segs++] = s;
		t->win_used = MAX(t->win_used, ALIGN_UP(s.off + s.len, 64u));
	}
}

/* Not what a stub of ours says: a guest has got at it. */
static enum uevent event_refuse(struct uthr *t)
{
	log_debug("stub %d: unexpected event %u", t->u.space->pid, t->event);
	uspace_kill(t->u.space);
	return UEV_DEAD;
}

static enum uevent event_take(struct uthr *t)
{
	struct stub_slot *s = t->slot;
	uint32_t ev = s->event;

	t->event = ev;
	if (ev == SEV_OPS) /* between two halves of one call: all that was taken stays */
		return UEV_INTERRUPT;
	t->regs_valid = false;
	t->nr_segs = 0;
	t->win_used = 0;
	t->evflags = s->evflags;
	t->call_pending = false;
	t->u.intr_ret = 0;
	switch (ev) {
	case SEV_SYSCALL:
		t->u.sysno = s->sysno;
		for (unsigned i = 0; i < 6; i++)
			t->u.args[i] = s->args[i];
		segs_take(t);
		t->call_pending = true;
		if (t->evflags & EVF_TRAPPED)
			STAT_INC(calls_trapped);
		return UEV_SYSCALL;
	case SEV_FAULT:
		fault_take(t);
		if (t->u.fault.signo < 1 || t->u.fault.signo > 31)
			break;
		return UEV_FAULT;
	case SEV_INTERRUPT:
		t->u.intr_ret = s->intr_ret;
		if (t->u.intr_ret > 0 || t->u.intr_ret < -600)
			t->u.intr_ret = 0;
		return UEV_INTERRUPT;
	case SEV_REWRITE:
		return UEV_INTERRUPT; /* callers look at t->event */
	}
	return event_refuse(t);
}

/* Takes back an answer that has not been delivered: true when the kthread owns the thread again. */
static bool taken_back(struct uthr *t)
{
	return thr_claim(t);
}

/* Looks for the next requests right here: true when @t's own came, no need to suspend. */
static bool polled_event(struct uthr *t)
{
	struct poller *p = poller_self();
	struct uthr *other = poll_spin(p, t);

	if (other == t)
		return true;
	if (other)
		kthread_resume(other->k);
	return false;
}

/* Hands over the answer and waits for an event, which is taken. */
enum uevent thr_exchange(struct uthr *t, uint32_t flags)
{
	bool notif_open = t->notif_open;
	uint64_t id = t->notif_id;
	bool first = t->first_run, poll;

	if (atomic_load(&t->dead))
		return UEV_DEAD;
	answer_write(t, flags);
	t->notif_open = false;
	t->nr_ops = 0;
	if (!(flags & ANS_REPORT)) {
		t->ret_set = t->local_set = false;
		t->nr_outs = 0;
	}
	if (flags & ANS_EXIT) {
		if (first)
			deliver_first(t);
		else
			deliver(t, notif_open, id);
		return UEV_DEAD;
	}
	t->k = kthread_self();
	poll = !first && !(flags & ANS_REPORT) && poll_wanted(t);
	atomic_fetch_add_explicit(&platform.nr_guest, 1, memory_order_relaxed);
	atomic_store(&t->phase, ++t->turn << UP_PHASE_BITS | UP_GUEST);
	if (atomic_load(&t->dead) && taken_back(t)) {
		kthread_resume(t->k);
	} else if (first) {
		if (deliver_first(t)) {
			t->first_run = false;
			atomic_thread_fence(memory_order_seq_cst);
			if (atomic_load(&t->kick) && !(flags & ANS_REPORT))
				uthread_kick(&t->u);
		}
	} else {
		deliver(t, notif_open, id);
		if (!(flags & ANS_REPORT) && atomic_load(&t->kick) && thr_phase(t) == UP_GUEST)
			uthread_kick(&t->u);
	}
	if (!poll || !polled_event(t)) {
		wait_prepare();
		kthread_suspend();
	}
	if (unlikely(atomic_load(&t->dead)))
		return UEV_DEAD;
	if (!(flags & ANS_REPORT))
		poll_note_event(t);
	return event_take(t);
}

enum uevent thr_run_ops(struct uthr *t)
{
	enum uevent ev;

	/* A thread that is ended, or gets a signal, before it ever ran. */
	if (unlikely(thr_phase(t) == UP_UNBORN) && thr_wait_hello(t))
		return UEV_DEAD;
	ev = thr_exchange(t, ANS_REPORT);
	thr_birth_settle(t, ev != UEV_DEAD);
	return ev != UEV_DEAD && t->event != SEV_OPS ? event_refuse(t) : ev;
}

static bool kick_take(struct uthr *t)
{
	if (likely(!atomic_load_explicit(&t->kick, memory_order_relaxed)))
		return false;
	atomic_store(&t->kick, 0);
	return true;
}

/* Guests do not know of thunks. */
static void interrupted_where(struct uthr *t)
{
	uint64_t rip = t->slot->regs.rip, seen = rewrite_visible_rip(t->u.space, rip);
	struct guest_regs r;

	if (likely(seen == rip))
		return;
	uthread_get_regs(&t->u, &r);
	r.rip = seen;
	uthread_set_regs(&t->u, &r);
}

enum uevent uthread_run(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	enum uevent ev;
	unsigned queued;

	if (unlikely(t->runner != kthread_self())) {
		/* Not in thr_exchange(): who sets a guest up is not who runs it, and may outlive it. */
		t->runner = kthread_self();
		kthread_set_guest(t->runner, t);
	}
	if (unlikely(thr_phase(t) == UP_UNBORN) && thr_wait_hello(t))
		return t->never_born ? UEV_UNBORN : UEV_DEAD;
	for (;;) {
		if (unlikely(kick_take(t))) {
			atomic_store(&t->slot->kick, 0);
			t->u.intr_ret = t->local_set ? -ERESTARTSYS : 0;
			t->local_set = false;
			return atomic_load(&t->dead) ? UEV_DEAD : UEV_INTERRUPT;
		}
		if (unlikely(t->evflags & EVF_REWRITE))
			rewrite_site(t);
		if (unlikely(t->regs_dirty && t->regs.gs_base))
			rewrite_stop(t);
		atomic_store_explicit(&t->slot->kick, 0, memory_order_relaxed);
		queued = t->nr_ops;
		ev = thr_exchange(t, 0);
		if (unlikely(queued)) {
			thr_birth_settle(t, ev != UEV_DEAD);
			if (ev != UEV_DEAD) {
				uint32_t event = t->event; /* a repair makes the stub report once more */

				ops_deferred_check(t, queued);
				t->event = event;
			}
		}
		if (likely(ev == UEV_SYSCALL)) {
			if (unlikely(t->u.space->forked))
				rewrite_trap_note(t);
			/* a thread that ends makes no call after which its site could be rewritten */
			if (unlikely(t->evflags & EVF_REWRITE) && t->u.sysno == NR_EXIT && t->u.space->nr_threads > 1)
				rewrite_site(t);
			return ev;
		}
		if (ev == UEV_DEAD)
			return ev;
		if (t->event == SEV_REWRITE) {
			t->evflags |= EVF_REWRITE;
			continue;
		}
		if (t->event == SEV_OPS)
			return event_refuse(t);
		if (ev == UEV_INTERRUPT) {
			if (!t->u.intr_ret)
				interrupted_where(t);
			kick_take(t);
			atomic_store(&t->slot->kick, 0);
		}
		return ev;
	}
}

void uthread_answer_local(struct uthread *u)
{
	uthr_of(u)->local_set = true;
}

bool uthread_unanswer_local(struct uthread *u)
{
	struct uthr *t = uthr_of(u);
	bool was = t->local_set;

	t->local_set = false;
	return was;
}

void uthread_set_ret(struct uthread *u, long ret)
{
	struct uthr *t = uthr_of(u);

	if (t->regs_dirty) { /* a whole new set of registers is on its way: the result is part of it */
		t->regs.rax = (uint64_t)ret;
		return;
	}
	t->ret_set = true;
	t->ret = ret;
	if (t->regs_valid)
		t->regs.rax = (uint64_t)ret;
}
