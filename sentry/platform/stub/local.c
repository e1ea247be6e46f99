/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/local.c - system calls that need nothing from the Sentry
 *
 * Model:   identity comes from the slot (the Sentry keeps it current), clocks from the host's vDSO, sleeping and
 *          futexes from the host kernel. A sleep that a kick ends becomes SEV_INTERRUPT with an internal restart code in
 *          intr_ret, exactly what the call would have returned inside Linux; restart_syscall(2) continues it.
 * Trust:   none. Whatever is answered here concerns this process only; the Sentry derives again what it relies on.
 * Source:  futex(2), clock_nanosleep(2), sigprocmask(2); restart codes: Linux include/linux/errno.h.
 */
#include "sentry/platform/stub/stub.h"

#define NR_sched_yield	   24
#define NR_nanosleep	   35
#define NR_getpid	   39
#define NR_gettimeofday	   96
#define NR_getuid	   102
#define NR_getgid	   104
#define NR_geteuid	   107
#define NR_getegid	   108
#define NR_getppid	   110
#define NR_getpgrp	   111
#define NR_rt_sigprocmask  14
#define NR_gettid	   186
#define NR_time		   201
#define NR_futex	   202
#define NR_restart_syscall 219
#define NR_clock_gettime   228
#define NR_clock_nanosleep 230
#define NR_getcpu	   309
#define NR_set_tid_address 218
#define NR_set_robust_list 273
#define NR_rseq		   334
#define NR_futex_waitv	   449
#define NR_futex_wake	   454
#define NR_futex_wait	   455
#define NR_futex_requeue   456

#define ENOSYS_	 38

#define EINTR_	 4
#define EFAULT_	 14
#define EINVAL_	 22
#define ETIMEDOUT_ 110
#define ERESTARTSYS_	      512
#define ERESTARTNOHAND_	      514
#define ERESTART_RESTARTBLOCK_ 516

#define CLOCK_REALTIME_	 0
#define CLOCK_MONOTONIC_ 1
#define CLOCK_BOOTTIME_	 7
#define TIMER_ABSTIME_	 1
#define NSEC 1000000000ull
#define TIME_MAX_SEC 4000000000ull /* longer sleeps never end in practice; keeps nanoseconds in 64 bits */

#define FUTEX_CMD(op)	   ((op) & 0x7f)
#define FUTEX_PRIVATE	   128
#define FUTEX_CLOCK_RT	   256
#define FUTEX_WAIT	   0
#define FUTEX_WAKE	   1
#define FUTEX_REQUEUE	   3
#define FUTEX_CMP_REQUEUE  4
#define FUTEX_WAKE_OP	   5
#define FUTEX_WAIT_BITSET  9
#define FUTEX_WAKE_BITSET  10
#define FUTEX2_FLAGS	   (3u | FUTEX_PRIVATE) /* size of the word; what the filter lets through */

#define MASK_NEVER ((1ull << (9 - 1)) | (1ull << (19 - 1))) /* SIGKILL, SIGSTOP */

struct ts {
	int64_t sec, nsec;
};

static bool clock_read(uint32_t clock, struct ts *out)
{
	long (*fn)(long, struct ts *) = (void *)stub_config.vdso_clock_gettime;

	return fn && fn((long)clock, out) == 0;
}

static bool clock_ns(uint32_t clock, uint64_t *out)
{
	struct ts t;

	if (!clock_read(clock, &t))
		return false;
	*out = (uint64_t)t.sec * NSEC + (uint64_t)t.nsec;
	return true;
}

/* 0 or a negative error number. */
static long ts_read(uint64_t addr, uint64_t *out_ns)
{
	struct ts t;

	if (stub_copy(&t, (void *)addr, sizeof(t)))
		return -EFAULT_;
	if (t.sec < 0 || (uint64_t)t.nsec >= NSEC)
		return -EINVAL_;
	*out_ns = ((uint64_t)t.sec > TIME_MAX_SEC ? TIME_MAX_SEC : (uint64_t)t.sec) * NSEC + (uint64_t)t.nsec;
	return 0;
}

static void ts_from_ns(struct ts *t, uint64_t ns)
{
	t->sec = (int64_t)(ns / NSEC);
	t->nsec = (int64_t)(ns % NSEC);
}

/* A host call that sleeps; -EINTR only when a kick is to be heeded. */
static long sleep_call(struct stub_slot *s, long nr, const uint64_t args[6])
{
	long ret;

	atomic_store_explicit(&s->sh.in_stub_sleep, 1, memory_order_relaxed);
	do
		ret = stub_sleep_call(s, nr, args);
	while (ret == -EINTR_ && !atomic_load_explicit(&s->kick, memory_order_relaxed));
	atomic_store_explicit(&s->sh.in_stub_sleep, 0, memory_order_relaxed);
	return ret;
}

static enum stub_local interrupted(struct stub_slot *s, int64_t code)
{
	s->intr_ret = -code;
	return LOCAL_INTERRUPT;
}

static enum stub_local done(int64_t ret, int64_t *out)
{
	*out = ret;
	return LOCAL_DONE;
}

/* ---- sleeping ---- */

/* False: it cannot be written there. */
static bool remaining_write(uint64_t rmtp, uint32_t clock, uint64_t deadline)
{
	uint64_t now;
	struct ts t;

	if (!rmtp || !clock_ns(clock, &now))
		return true;
	ts_from_ns(&t, deadline > now ? deadline - now : 0);
	return !stub_copy((void *)rmtp, &t, sizeof(t));
}

/* Sleeps to an absolute time; @relative: what the guest asked for was relative, so it may be continued. */
static enum stub_local sleep_to(struct stub_slot *s, uint32_t clock, uint64_t deadline, bool relative, uint64_t rmtp,
				int64_t *out)
{
	struct ts t;
	uint64_t args[6] = { clock, TIMER_ABSTIME_, (uint64_t)&t };
	long ret;

	ts_from_ns(&t, deadline);
	ret = sleep_call(s, NR_clock_nanosleep, args);
	if (ret != -EINTR_)
		return done(ret, out);
	if (!relative)
		return interrupted(s, ERESTARTNOHAND_);
	if (!remaining_write(rmtp, clock, deadline))
		return done(-EFAULT_, out);
	s->restart = (struct stub_restart){ .valid = NR_clock_nanosleep, .clock = clock, .deadline_ns = deadline, .rmtp = rmtp };
	return interrupted(s, ERESTART_RESTARTBLOCK_);
}

static enum stub_local local_nanosleep(struct stub_slot *s, uint32_t clock, uint64_t flags, uint64_t req, uint64_t rmtp,
				       int64_t *out)
{
	uint64_t ns, now;
	long err;

	if ((clock != CLOCK_REALTIME_ && clock != CLOCK_MONOTONIC_ && clock != CLOCK_BOOTTIME_) || (flags & ~1ull))
		return LOCAL_NO;
	err = ts_read(req, &ns);
	if (err)
		return done(err, out);
	if (flags & TIMER_ABSTIME_)
		return sleep_to(s, clock, ns, false, 0, out);
	if (clock == CLOCK_REALTIME_)
		clock = CLOCK_MONOTONIC_; /* setting the clock does not move relative sleeps */
	if (!clock_ns(clock, &now))
		return LOCAL_NO;
	return sleep_to(s, clock, now + ns, true, rmtp, out);
}

/* ---- futexes ---- */

/* A wait with an absolute deadline (0 = none); @relative as above. */
static enum stub_local futex_wait(struct stub_slot *s, const struct stub_restart *w, bool relative, int64_t *out)
{
	struct ts t;
	uint64_t args[6] = { w->uaddr, w->op, w->val, w->deadline_ns ? (uint64_t)&t : 0, 0, w->bits };
	long ret;

	ts_from_ns(&t, w->deadline_ns);
	ret = sleep_call(s, NR_futex, args);
	if (ret != -EINTR_)
		return done(ret, out);
	if (!w->deadline_ns || !relative)
		return interrupted(s, ERESTARTSYS_);
	s->restart = *w;
	return interrupted(s, ERESTART_RESTARTBLOCK_);
}

static enum stub_local local_futex_wait(struct stub_slot *s, uint32_t op, int64_t *out)
{
	struct guest_regs *r = &s->regs;
	bool relative = FUTEX_CMD(op) == FUTEX_WAIT;
	struct stub_restart w = { .valid = NR_futex, .uaddr = r->rdi, .val = (uint32_t)r->rdx };
	uint64_t now;
	long err;

	w.op = FUTEX_WAIT_BITSET | (op & (FUTEX_PRIVATE | FUTEX_CLOCK_RT));
	w.bits = relative ? 0xffffffffu : (uint32_t)r->r9;
	if (relative && (op & FUTEX_CLOCK_RT))
		return LOCAL_NO;
	if (r->r10) {
		err = ts_read(r->r10, &w.deadline_ns);
		if (err)
			return done(err, out);
		if (relative) {
			if (!clock_ns(CLOCK_MONOTONIC_, &now))
				return LOCAL_NO;
			w.deadline_ns += now;
		}
		if (!w.deadline_ns)
			w.deadline_ns = 1; /* long past, but not "none" */
	}
	return futex_wait(s, &w, relative, out);
}

static enum stub_local local_futex(struct stub_slot *s, int64_t *out)
{
	struct guest_regs *r = &s->regs;
	uint32_t op = (uint32_t)r->rsi;

	switch (FUTEX_CMD(op)) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return local_futex_wait(s, op, out);
	case FUTEX_WAKE:
	case FUTEX_WAKE_BITSET:
	case FUTEX_REQUEUE:
	case FUTEX_CMP_REQUEUE:
	case FUTEX_WAKE_OP:
		if (op & ~(uint32_t)(0x7f | FUTEX_PRIVATE))
			return LOCAL_NO;
		return done(stub_call(NR_futex, (long)r->rdi, op, (long)r->rdx, (long)r->r10, (long)r->r8, (long)r->r9), out);
	}
	return LOCAL_NO; /* priority inheritance and what is to come */
}

/* The newer calls. Deadlines are absolute, so that a wait that was cut short is made again as it is. */
static enum stub_local local_futex2(struct stub_slot *s, uint32_t nr, int64_t *out)
{
	struct guest_regs *r = &s->regs;
	uint64_t args[6] = { r->rdi, r->rsi, r->rdx, r->r10, r->r8, r->r9 };
	unsigned flags = nr == NR_futex_waitv ? 2 : nr == NR_futex_requeue ? 1 : 3; /* which argument they are: 32 bits of it */
	long ret;

	args[flags] = (uint32_t)args[flags];
	if (args[flags] & ~(uint64_t)(flags == 3 ? FUTEX2_FLAGS : 0))
		return done(-EINVAL_, out);
	if (nr == NR_futex_wake || nr == NR_futex_requeue)
		return done(stub_call(nr, (long)args[0], (long)args[1], (long)args[2], (long)args[3], 0, 0), out);
	ret = sleep_call(s, nr, args);
	return ret == -EINTR_ ? interrupted(s, ERESTARTSYS_) : done(ret, out);
}

static enum stub_local local_restart(struct stub_slot *s, int64_t *out)
{
	struct stub_restart w = s->restart;

	s->restart.valid = 0;
	if (w.valid == NR_futex)
		return futex_wait(s, &w, true, out);
	if (w.valid == NR_clock_nanosleep)
		return sleep_to(s, w.clock, w.deadline_ns, true, w.rmtp, out);
	return LOCAL_NO;
}

/* ---- signal mask ---- */

static enum stub_local local_sigprocmask(struct stub_slot *s, int64_t *out)
{
	struct guest_regs *r = &s->regs;
	uint64_t old = atomic_load_explicit(&s->sh.sigmask, memory_order_relaxed);
	uint64_t set, new = old;

	if (r->r10 != 8)
		return done(-EINVAL_, out);
	if (r->rsi) {
		if (stub_copy(&set, (void *)r->rsi, sizeof(set)))
			return done(-EFAULT_, out);
		set &= ~MASK_NEVER;
		if (r->rdi == 0)
			new = old | set;
		else if (r->rdi == 1)
			new = old & ~set;
		else if (r->rdi == 2)
			new = set;
		else
			return done(-EINVAL_, out);
	}
	if (r->rdx && stub_copy((void *)r->rdx, &old, sizeof(old)))
		return done(-EFAULT_, out);
	if (new == old)
		return done(0, out);
	atomic_exchange(&s->sh.sigmask, new); /* full barrier: see ushared.h */
	if (likely(!(atomic_load_explicit(&s->sh.sigpending, memory_order_relaxed) & ~new)))
		return done(0, out);
	r->rax = 0; /* the call is complete; a signal waits behind it */
	s->intr_ret = 0;
	r->orig_rax = ~0ull;
	return LOCAL_INTERRUPT;
}

/* ---- clocks ---- */

static enum stub_local local_clock_gettime(struct stub_slot *s, int64_t *out)
{
	struct ts t;

	if (s->regs.rdi > CLOCK_BOOTTIME_ || s->regs.rdi == 2 || s->regs.rdi == 3 || !clock_read((uint32_t)s->regs.rdi, &t))
		return LOCAL_NO;
	return done(stub_copy((void *)s->regs.rsi, &t, sizeof(t)) ? -EFAULT_ : 0, out);
}

static enum stub_local local_gettimeofday(struct stub_slot *s, int64_t *out)
{
	struct ts t;

	if (s->regs.rsi || !clock_read(CLOCK_REALTIME_, &t))
		return LOCAL_NO;
	t.nsec /= 1000;
	return done(s->regs.rdi && stub_copy((void *)s->regs.rdi, &t, sizeof(t)) ? -EFAULT_ : 0, out);
}

static enum stub_local local_time(struct stub_slot *s, int64_t *out)
{
	struct ts t;

	if (!clock_read(CLOCK_REALTIME_, &t))
		return LOCAL_NO;
	if (s->regs.rdi && stub_copy((void *)s->regs.rdi, &t.sec, sizeof(t.sec)))
		return done(-EFAULT_, out);
	return done(t.sec, out);
}

static enum stub_local local_getcpu(struct stub_slot *s, int64_t *out)
{
	long (*fn)(uint32_t *, uint32_t *, void *) = (void *)stub_config.vdso_getcpu;
	uint32_t cpu, node;

	if (!fn || fn(&cpu, &node, (void *)0))
		return LOCAL_NO;
	if ((s->regs.rdi && stub_copy((void *)s->regs.rdi, &cpu, 4)) || (s->regs.rsi && stub_copy((void *)s->regs.rsi, &node, 4)))
		return done(-EFAULT_, out);
	return done(0, out);
}

#define FIELD(f) done(atomic_load_explicit(&s->sh.f, memory_order_relaxed), out)

enum stub_local stub_local_call(struct stub_slot *s, uint32_t nr, int64_t *out)
{
	switch (nr) {
	case NR_getpid:
		return FIELD(pid);
	case NR_gettid:
		return FIELD(tid);
	case NR_getppid:
		return FIELD(ppid);
	case NR_getpgrp:
		return FIELD(pgid);
	case NR_getuid:
		return FIELD(uid);
	case NR_geteuid:
		return FIELD(euid);
	case NR_getgid:
		return FIELD(gid);
	case NR_getegid:
		return FIELD(egid);
	case NR_sched_yield:
		return done(stub_call(NR_sched_yield, 0, 0, 0, 0, 0, 0), out);
	case NR_rt_sigprocmask:
		return local_sigprocmask(s, out);
	case NR_futex:
		return local_futex(s, out);
	case NR_futex_waitv:
	case NR_futex_wake:
	case NR_futex_wait:
	case NR_futex_requeue:
		return local_futex2(s, nr, out);
	case NR_nanosleep:
		return local_nanosleep(s, CLOCK_MONOTONIC_, 0, s->regs.rdi, s->regs.rsi, out);
	case NR_clock_nanosleep:
		return local_nanosleep(s, (uint32_t)s->regs.rdi, s->regs.rsi, s->regs.rdx, s->regs.r10, out);
	case NR_restart_syscall:
		return local_restart(s, out);
	case NR_clock_gettime:
		return local_clock_gettime(s, out);
	case NR_gettimeofday:
		return local_gettimeofday(s, out);
	case NR_time:
		return local_time(s, out);
	case NR_getcpu:
		return local_getcpu(s, out);
	case NR_set_tid_address:
		atomic_store_explicit(&s->sh.clear_tid, s->regs.rdi, memory_order_relaxed);
		return FIELD(tid);
	case NR_set_robust_list:
		if (s->regs.rsi != ROBUST_HEAD_SIZE)
			return done(-EINVAL_, out);
		atomic_store_explicit(&s->sh.robust_list, s->regs.rdi, memory_order_relaxed);
		return done(0, out);
	case NR_rseq: /* glibc asks in each new thread; it cannot be had (syscalls/rows_task.h) */
		return done(-ENOSYS_, out);
	}
	return LOCAL_NO;
}
