/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/call.c - handing events to the Sentry, taking its answers
 *
 * Model:   layout.h describes the hand-over. A request waits for a poller only while slot.polled says that one is
 *          looking, and only if that has paid off lately; otherwise the reserved call carries it.
 * Spins:   bounded in TSC ticks by the Sentry (global page); zero means not at all.
 */
#include "sentry/platform/stub/stub.h"

#define NR_sched_yield	 24
#define NR_futex	 202
#define NR_restart_syscall 219
#define NR_exit		 60
#define NR_exit_group	 231
#define ENOSYS_		 38
#define FUTEX_WAIT_OP	 0 /* not private: the Sentry wakes it through its own mapping */
#define YIELD_FAIL_MAX	 8
#define SPIN_FAIL_MAX	 3
#define SPIN_RETRY_MASK	 63

static bool answered(struct stub_slot *s, uint32_t seq)
{
	return (atomic_load_explicit(&s->answer, memory_order_acquire) & ~SLOT_PARKED) == seq;
}

enum spin_end { SPIN_ANSWERED, SPIN_SLEEP, SPIN_IN_VAIN };

/* Waits for a poller's answer as long as one is looking. */
static enum spin_end spin_answer(struct stub_slot *s, uint32_t seq)
{
	uint64_t limit = stub_global()->spin, start = stub_tsc();
	uint32_t p;

	do {
		for (unsigned i = 0; i < 16; i++) {
			if (answered(s, seq))
				return SPIN_ANSWERED;
			stub_pause();
		}
		p = atomic_load_explicit(&s->polled, memory_order_relaxed);
		if (p == POLLED_SLEEP)
			return SPIN_SLEEP;
		if (p == POLLED_NO)
			return answered(s, seq) ? SPIN_ANSWERED : SPIN_IN_VAIN;
	} while (stub_tsc() - start < limit);
	return SPIN_IN_VAIN;
}

/* Whether posting for a poller is worth a try. */
static bool spin_worth(struct stub_slot *s)
{
	if (atomic_load_explicit(&s->polled, memory_order_relaxed) != POLLED_LOOKING) {
		s->spin_fail = 0; /* who comes to look next has a fresh start */
		return false;
	}
	return s->spin_fail < SPIN_FAIL_MAX || !(++s->spin_fail & SPIN_RETRY_MASK);
}

/*
 * Gives the processor to whoever else wants it, a few times, before going to sleep: two guests that wait for each other
 * on one processor hand over without anybody being woken. Not again for a while when that was in vain, or when
 * the processor came back late: it is wanted by somebody who does more than wait.
 */
static bool yield_answer(struct stub_slot *s, uint32_t seq)
{
	uint64_t start, now, limit = stub_global()->spin;

	if (s->yield_skip) {
		s->yield_skip--;
		return false;
	}
	start = now = stub_tsc();
	do {
		uint64_t before = now;

		stub_call(NR_sched_yield, 0, 0, 0, 0, 0, 0);
		if (answered(s, seq)) {
			s->yield_fail = 0;
			return true;
		}
		now = stub_tsc();
		if (now - before > limit)
			break;
	} while (now - start < limit / 2);
	s->yield_skip = (1u << s->yield_fail) - 1;
	if (s->yield_fail < YIELD_FAIL_MAX)
		s->yield_fail++;
	return false;
}

/* The Sentry has the request: sleeps until the answer to @seq is there. */
static void sleep_answer(struct stub_slot *s, uint32_t seq)
{
	uint32_t a;

	for (;;) {
		a = atomic_load_explicit(&s->answer, memory_order_acquire);
		if ((a & ~SLOT_PARKED) == seq)
			return;
		if (!(a & SLOT_PARKED) && !atomic_compare_exchange_strong(&s->answer, &a, a | SLOT_PARKED))
			continue;
		stub_call(NR_futex, (long)&s->answer, FUTEX_WAIT_OP, (long)(a | SLOT_PARKED), 0, 0, 0);
	}
}

/* Tells the Sentry, and waits until the answer to @seq is there. */
static void await_answer(struct stub_slot *s, uint32_t seq)
{
	long ret;

	do { /* cut short by a signal: perhaps before anybody saw it */
		ret = stub_notify(NOTIFY_CALL, 0, 0, 0);
		if (unlikely(ret == -ENOSYS_)) /* the Sentry is gone */
			stub_call(NR_exit_group, 137, 0, 0, 0, 0, 0);
		if (answered(s, seq))
			return;
	} while (ret < 0);
	sleep_answer(s, seq);
}

static void handoff(struct stub_slot *s)
{
	uint32_t seq = (atomic_load_explicit(&s->req, memory_order_relaxed) + 1) & ~SLOT_PARKED;
	bool spin = spin_worth(s);

	if (!spin) {
		s->evflags &= (uint8_t)~EVF_POSTED;
		atomic_store_explicit(&s->req, seq, memory_order_release);
		await_answer(s, seq);
		return;
	}
	s->evflags |= EVF_POSTED;
	/* Full barrier: the poller clears polled, then looks at req; here it is the other way round. */
	atomic_exchange(&s->req, seq);
	switch (spin_answer(s, seq)) {
	case SPIN_ANSWERED:
		s->spin_fail = 0;
		return;
	case SPIN_SLEEP:
		if (!yield_answer(s, seq))
			sleep_answer(s, seq);
		return;
	case SPIN_IN_VAIN:
		s->spin_fail++;
		await_answer(s, seq);
		return;
	}
}

static bool outs_copy(struct stub_slot *s, unsigned n)
{
	char *win = stub_window(s);

	for (unsigned i = 0; i < n && i < STUB_OUTS_MAX; i++) {
		struct stub_seg *o = &s->out[i];

		if (o->off > SLOT_WINDOW_LEN || o->len > SLOT_WINDOW_LEN - o->off ||
		    stub_copy((void *)o->addr, win + o->off, o->len))
			return false;
	}
	return true;
}

static void thread_exit(void)
{
	for (;;)
		stub_call(NR_exit, 0, 0, 0, 0, 0, 0);
}

/* Carries out the answer in the slot: true when the guest may go on. */
static bool answer_apply(struct stub_slot *s)
{
	struct stub_answer a = s->ans;
	long err = 0;

	if (unlikely(a.flags & ANS_EXECVE))
		stub_zero(stub_private(), sizeof(struct stub_private));
	if (unlikely(a.nr_ops))
		err = stub_ops_run(s, a.nr_ops);
	if (unlikely(a.flags & ANS_EXIT))
		thread_exit();
	if (unlikely(a.flags & ANS_REPORT)) {
		s->event = SEV_OPS;
		return false;
	}
	if (a.nr_outs && !outs_copy(s, a.nr_outs) && !err)
		err = -STUB_EFAULT;
	if (err)
		s->regs.rax = (uint64_t)err;
	else if (a.flags & ANS_RET)
		s->regs.rax = (uint64_t)a.ret;
	if (unlikely(a.flags & ANS_FSBASE))
		stub_set_fsbase(s->regs.fs_base);
	return true;
}

static int leave_how(struct stub_slot *s, uint32_t flags)
{
	return (flags & ANS_SIGRET) != 0;
}

/* The Sentry has looked at the call and leaves it to us: true when the guest may go on. */
static bool local_after_all(struct stub_slot *s)
{
	/* A call to be continued of which nothing is known any more: a handler ran in between. */
	int64_t ret = s->regs.orig_rax == NR_restart_syscall ? -STUB_EINTR : -STUB_ENOSYS;

	if (stub_local_call(s, (uint32_t)s->regs.orig_rax, &ret) == LOCAL_INTERRUPT) {
		s->event = SEV_INTERRUPT;
		return false;
	}
	s->regs.rax = (uint64_t)ret;
	return true;
}

static int answers_take(struct stub_slot *s)
{
	uint32_t flags;

	for (;;) {
		flags = s->ans.flags;
		if (answer_apply(s) && (likely(!(flags & ANS_LOCAL)) || local_after_all(s)))
			return leave_how(s, flags);
		handoff(s);
	}
}

int stub_exchange(struct stub_slot *s)
{
	s->regs.fs_base = stub_fsbase(s->regs.fs_base);
	handoff(s);
	return answers_take(s);
}

/* Counts traps of the site at @ip; true when it is worth rewriting. */
static bool site_hot(uint64_t ip)
{
	uint32_t limit = stub_global()->rewrite_after;
	uint32_t key = (uint32_t)ip;
	uint32_t h = (key ^ (key >> 11)) % STUB_SITES;
	struct stub_private *p = stub_private();

	if (!limit)
		return false;
	if (p->site[h].key != key) {
		p->site[h].key = key;
		p->site[h].count = 0;
	}
	/* Asked once; again only much later, in case the Sentry could not. */
	return ++p->site[h].count == limit || (p->site[h].count & 0x3ff) == 0;
}

/* One system call, its registers in the slot. */
static int call_make(struct stub_slot *s)
{
	uint32_t nr = (uint32_t)s->regs.orig_rax;
	bool local = !atomic_load_explicit(&s->sh.forward_all, memory_order_relaxed);
	enum stub_local how = LOCAL_NO;
	int64_t ret;

	if (unlikely(s->evflags & EVF_TRAPPED) && site_hot(s->regs.rip))
		s->evflags |= EVF_REWRITE;
	if (local)
		how = stub_local_call(s, nr, &ret);
	if (how == LOCAL_DONE) {
		s->regs.rax = (uint64_t)ret;
		if (unlikely(s->evflags & EVF_TRAPPED))
			s->local_trap = s->regs.rip;
		if (likely(!(s->evflags & EVF_REWRITE)))
			return s->regs.gs_base != 0;
		s->event = SEV_REWRITE;
		return stub_exchange(s);
	}
	if (how == LOCAL_INTERRUPT) { /* the slot says all about it */
		s->event = SEV_INTERRUPT;
		return stub_exchange(s);
	}
	if (nr != NR_restart_syscall) /* forwarded ones may come back to be answered here */
		s->restart.valid = 0;
	s->event = SEV_SYSCALL;
	s->sysno = nr;
	s->args[0] = s->regs.rdi;
	s->args[1] = s->regs.rsi;
	s->args[2] = s->regs.rdx;
	s->args[3] = s->regs.r10;
	s->args[4] = s->regs.r8;
	s->args[5] = s->regs.r9;
	stub_marshal(s, nr);
	return stub_exchange(s);
}

int stub_thunk_call(struct stub_slot *s)
{
	s->evflags = 0;
	return call_make(s);
}

int stub_event(struct stub_slot *s)
{
	if (s->event == SEV_SYSCALL)
		return call_make(s);
	return stub_exchange(s);
}

/* A look at slot.kick on the way out found it set. */
int stub_kicked(struct stub_slot *s)
{
	s->event = SEV_INTERRUPT;
	s->evflags = 0;
	s->intr_ret = 0;
	return stub_exchange(s);
}

/* The first answer was prepared before the thread was there, or comes with its hello. */
static void await_first(struct stub_slot *s)
{
	uint32_t seq = atomic_load_explicit(&s->req, memory_order_relaxed);

	if (!answered(s, seq))
		await_answer(s, seq);
}

/* A new process on its slot 0. */
int stub_child_start(struct stub_slot *s)
{
	stub_set_gsbase((uint64_t)s);
	stub_call(28, (long)(stub_config.region + REGION_SLOTS), SLOTS_LEN, 10 /* MADV_DONTFORK */, 0, 0, 0);
	stub_set_altstack(s);
	/* Sequentially consistent, as is the load of slot.kick that follows: see uthread_kick(). */
	atomic_store(&s->ready, 1);
	await_first(s);
	return answers_take(s);
}

int stub_thread_start(struct stub_slot *s)
{
	stub_set_gsbase((uint64_t)s);
	stub_set_altstack(s);
	atomic_store(&s->ready, 1);
	while (stub_notify(NOTIFY_THREAD, (long)s->token, 0, 0) == -4 && !answered(s, s->req))
		; /* cut short by a signal */
	await_first(s);
	return answers_take(s);
}
