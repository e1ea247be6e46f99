/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/platform_internal.h - what the platform's files share
 *
 * Model:   phase says who owns a thread: STOPPED, its kthread; GUEST, the stub. Exactly one party wins the
 *          exchange GUEST -> STOPPED for each event: a listener, a poller, the reaper of dead processes, or the
 *          kthread itself taking back an answer it has not delivered. The winner lets the kthread go on.
 *          A fresh thread is UNBORN until its first notification (its hello) came.
 * Birth:   a fork or clone may ride on the parent's answer (uthr.birth): the child is UNBORN until its hello, or until the parent's
 *          next event says that the host refused it (never_born). thr_birth_settle() is the one place that learns of it.
 * Locks:   zygote.mu, space.mu, bucket.mu, poller.mu, uthr.herd_mu, zygote.trap_mu: leaves (sentry/LOCKS row 130); space.mu before
 *          bucket.mu.
 */
#ifndef SENTRY_PLATFORM_INTERNAL_H
#define SENTRY_PLATFORM_INTERNAL_H

#include "sentry/platform/platform.h"
#include "sentry/platform/stub/layout.h"
#include "sentry/run/run.h"

#define HELLO_TIMEOUT_NS (20 * NSEC_PER_SEC) /* a child that has not said hello by then never will */
#define FD_CACHE_MAX	 24	/* read-only descriptors kept per process */
#define FDS_PENDING_MAX	 8	/* descriptors that one operation list may need */
#define OPS_DEFER_MAX	 32

enum uphase { UP_UNBORN, UP_STOPPED, UP_GUEST };
#define UP_PHASE_BITS 2 /* above them: how often the thread was handed to its guest, see thr_claim_request() */

#define TRAP_SITES 64

struct uzygote {
	struct mutex mu;
	int listener;			/* owned; -1 once dead; guarded by mu for closing */
	int pid, pidfd;			/* of the zygote; written once by the listener */
	uint64_t region, vdso, entry;	/* immutable after uzygote_new(); entry: where thunks jump to */
	bool fsgsbase;
	_Atomic bool dead;
	bool said_hello;		/* guarded by mu */
	bool ready;			/* ready_id is an open notification; guarded by mu */
	uint64_t ready_id;
	struct list all_node;		/* poll.c */
	struct list spawns;		/* struct uthr.spawn_node: tokens the zygote has not been told yet; guarded by mu */
	struct list unborn;		/* struct uthr.unborn_node: waiting for a hello; guarded by mu */
	struct list spaces;		/* struct uspace.z_node; guarded by mu */
	struct waitq hello_wq;		/* hellos, and the zygote's own */
	struct mutex trap_mu;		/* leaf */
	struct {
		uint64_t rip;
		uint32_t count;
	} trap[TRAP_SITES];		/* rewrite.c: calls that trapped in forked processes; guarded by trap_mu */
	_Atomic uint32_t spare_state;	/* listener.c: futex of the second listener */
	_Atomic uint32_t lead_seq;	/* of the first: odd while it runs a kthread */
	struct hostfd watch;
	bool watching;
	void (*on_death)(void *arg);
	void *arg;
	struct refcount ref;		/* one for the life of the process, one per space, one per listener at work */
};

struct cached_fd {
	uint64_t file_id;	/* 0 = free */
	int fd;			/* number in the stub process */
	uint32_t used;		/* age */
};

struct thunk_page;

struct uspace {
	struct uzygote *z;	/* reference */
	struct refcount ref;	/* one per thread, one for the watch */
	struct list z_node;
	struct mutex mu;
	int pid;		/* in our pid namespace; 0 until the hello; written once */
	int pidfd;
	struct hostfd watch;
	bool watching;
	_Atomic bool dead;
	char *slots;		/* our mapping of the slot memfd */
	int slots_fd;		/* its memfd */
	_Atomic bool slots_due;	/* the process does not have the memfd yet; whoever clears it gives it */
	struct list threads;	/* struct uthr.space_node; guarded by mu */
	unsigned nr_threads;
	uint64_t slot_used[NR_SLOTS / 64]; /* guarded by mu */
	unsigned slot_hint, slot_top;	/* where to look next; the highest that was ever taken */
	struct cached_fd fds[FD_CACHE_MAX]; /* guarded by mu */
	uint32_t fd_clock;
	struct sleeplock rewrite_lock;
	struct thunk_page *thunks;	/* guarded by rewrite_lock */
	uint32_t nr_thunks;
	bool no_rewrite;		/* a thread uses %gs itself */
	bool forked;			/* its text is its parent's */
	bool had_children;		/* a host process may hold what it held: see slots_retire(); set by its own threads */
	uint64_t trap_tried[TRAP_SITES]; /* sites of z->trap that were dealt with here; guarded by rewrite_lock */
};

/* A worker that looks for requests in shared memory. */
#define POLL_HOT_MAX 8
struct poller {
	struct worker_source src;
	struct uthr *hot[POLL_HOT_MAX];	/* references; owned by the worker */
	unsigned nr;
	uint64_t polled;		/* requests taken; written by the worker only */
	uint64_t budget;		/* ticks of the next spin */
	uint64_t credit;		/* ticks that requests taken sooner have saved: a spin may last as long */
	int64_t gain;			/* ticks saved less ticks spent since it woke */
	unsigned spare_in;		/* spins until the processors are counted again */
	uint32_t fails, skip;		/* hints */
	struct mutex mu;
	struct uthr *in[POLL_HOT_MAX];	/* offered; references; guarded by mu */
	_Atomic uint32_t nr_in;		/* written under mu */
	_Atomic uint32_t asleep;	/* futex */
	int tid;			/* written before it first sleeps */
	int keeps_off;			/* processor that its affinity excludes; a hint */
};

struct uout {
	uint64_t addr;
	uint32_t len, off;
};

struct uthr {
	struct uthread u;
	struct refcount ref;		/* owner; hot lists of pollers */
	struct list space_node;
	struct list hash_node;		/* by tid; guarded by the bucket's mu */
	struct list spawn_node, unborn_node;	/* guarded by zygote.mu */
	_Atomic uint32_t phase;		/* enum uphase and turn; thr_phase() */
	uint32_t turn;			/* of the owner: counts the times it became UP_GUEST */
	_Atomic uint32_t kick;
	_Atomic bool dead;
	struct poller *_Atomic poller;	/* whose hot list or mailbox it is in */
	uint64_t answered_tsc;
	struct mutex herd_mu;
	bool herded;			/* its affinity leaves the poller's processor out; guarded by herd_mu */
	bool births;			/* it is making a thread or process; guarded by herd_mu */
	uint32_t gap;			/* moving average from an answer to the next event, ticks */
	struct kthread *runner;		/* who called uthread_run() last, and knows @t as its guest; owned by it */
	struct kthread *k;		/* whom an event wakes; written before phase becomes GUEST */
	struct stub_slot *slot;		/* hostile memory */
	struct uspace *old_space;	/* reference: u.sh of before a rehost may still be looked at */
	uint32_t slot_nr;
	_Atomic uint32_t seq;		/* number of the last request that was taken; written by the winner of an event */
	int tid;			/* 0 until the hello */
	uint64_t token;
	bool spawns_process;		/* its hello is NOTIFY_CHILD */
	bool abandoned;			/* freed before its hello; guarded by zygote.mu */
	bool first_run;			/* hello not answered yet */
	bool last_words;		/* ops are to be carried out on its way out */
	bool never_born;		/* the host refused to make it; written before dead */
	bool was_ready;			/* slot.ready was seen: kicks may be signals */

	/* The notification that the next answer goes to. Written by the winner of an event. */
	bool notif_open;
	_Atomic uint64_t notif_id;

	/* The last event, our copies. */
	uint32_t event;
	struct guest_regs regs;
	bool regs_valid, regs_dirty, call_pending, resume_sigret;
	uint8_t evflags;
	unsigned nr_segs;
	struct stub_seg seg[STUB_SEGS_MAX];

	/* The answer being composed. */
	bool ret_set;
	bool local_set;		/* uthread_answer_local() */
	bool fsbase_set, forget_sites;
	bool early_err_set;
	long ret, early_err;
	unsigned nr_outs;
	struct uout out[STUB_OUTS_MAX];
	uint32_t win_used;		/* bytes of the window that are taken: segments, then out-data */
	struct uthr *birth;		/* reference: what ops[birth_op] makes; NULL = none is queued */
	unsigned birth_op;
	unsigned nr_ops;
	struct stub_op ops[OPS_DEFER_MAX];

	/* What the listener needs while the stub carries out operations; guarded by ops_mu. */
	struct mutex ops_mu;
	unsigned nr_fds, next_fd;
	int fds[FDS_PENDING_MAX];
	int fd_in_stub[FDS_PENDING_MAX];
	_Atomic bool may_fork;		/* the list has an OP_FORK */
	bool shared_expected;
	uint64_t shared_args[6];	/* [4] is set when the descriptor has been installed */
};

static inline struct uthr *uthr_of(struct uthread *u)
{
	return (struct uthr *)u;
}

static inline enum uphase thr_phase(const struct uthr *t)
{
	return (enum uphase)(atomic_load(&((struct uthr *)t)->phase) & ((1u << UP_PHASE_BITS) - 1));
}

/* memops.c: after a run that carried @n queued operations: tells platform_defer_failed() of those that did not happen. */
void ops_deferred_check(struct uthr *t, unsigned n);

/* What the stub says about operation @i of the list that it has just carried out. Hostile. */
static inline int64_t stub_op_result(const struct uthr *t, unsigned i)
{
	return ((volatile struct stub_op *)((char *)t->slot + SLOT_OPS))[i].result;
}

static inline char *thr_window(const struct uthr *t)
{
	return (char *)t->slot + SLOT_WINDOW;
}

/* Process-wide state. */
struct platform_state {
	unsigned ncpus, flags;
	int global_fd;
	_Atomic bool no_vm;		/* the host refuses process_vm_readv(2) and _writev: stubs copy themselves */
	struct stub_global *global;	/* our writable mapping */
	struct platform_stats stats;	/* updated with relaxed atomics */
	uint64_t tsc_per_us;
	uint64_t xfeatures;		/* what guests may use, as in the zygote */
	size_t xsave_size;
	uint32_t mxcsr_mask;
	_Atomic uint32_t nr_guest;	/* threads in phase GUEST */
};
extern struct platform_state platform;

#define STAT_INC(f) ((void)__atomic_fetch_add(&platform.stats.f, 1, __ATOMIC_RELAXED))

/* zygote.c */
long zygote_spawn(struct uthr *t);	/* queues @t's token; the hello comes later */
void zygote_put(struct uzygote *z);
void zygote_hello(struct uzygote *z, int pid, uint64_t id, const uint64_t args[6]);
void zygote_dead(struct uzygote *z);

/* listener.c */
long listeners_start(struct uzygote *z);
void listeners_stop(struct uzygote *z); /* @z is dead: both look, and find that out */
long notif_answer(struct uzygote *z, uint64_t id, int64_t val, bool cont);
long notif_addfd(struct uzygote *z, uint64_t id, int fd, bool cloexec); /* descriptor number in the stub, answers @id with it */
long notif_error(struct uzygote *z, uint64_t id, int err);
bool notif_valid(struct uzygote *z, uint64_t id);

/* space.c */
struct uspace *space_new(struct uzygote *z);
void space_put(struct uspace *s);
long space_slot_take(struct uspace *s, unsigned *out);	/* a slot whose last host thread is surely gone */
struct stub_slot *space_slot(struct uspace *s, unsigned nr);
long space_born(struct uspace *s, int pid, struct uzygote *z, uint64_t id); /* first notification of the process */
void space_dead(struct uspace *s);

/* thread.c */
struct uthr *thr_new(struct uspace *s, unsigned slot_nr);
void thr_put(struct uthr *t);
struct uthr *thr_find_locked(int tid, struct mutex **out_mu);	/* bucket locked when found, else not */
void thr_hash_add(struct uthr *t);
bool thr_claim(struct uthr *t);		/* GUEST -> STOPPED: true for the one winner */
bool thr_claim_request(struct uthr *t);	/* the same, if its slot holds a request not taken before */
bool thr_claim_posted(struct uthr *t);	/* the same, if its stub waits for a poller to take it */
long thr_wait_hello(struct uthr *t);
void thr_dead(struct uthr *t);
void thr_birth_settle(struct uthr *t, bool ran); /* the queued birth, if any, was carried out or (!ran) never will be */
uint64_t random_u64(void);

/* guest_run.c */
enum uevent thr_run_ops(struct uthr *t);	/* carries out the queued operations and reports */
enum uevent thr_exchange(struct uthr *t, uint32_t flags); /* one answer, one event */
bool thr_give_slots(struct uthr *t);	/* answers a new process's hello: false when that was cut short, and comes again */

/* poll.c */
struct poller *poller_self(void);	/* NULL on workers that do not poll */
long pollers_start(void);
uint64_t pollers_count(void);	/* requests taken by all of them */
void poll_note_event(struct uthr *t);
void poll_note_notification(void);
bool poll_wanted(struct uthr *t);
void poll_guest_waits(void *guest);	/* kthread_sleep_hook */
void poll_birth(struct uthr *t, bool begin); /* around an operation that makes a host thread or process */
struct uthr *poll_spin(struct poller *p, struct uthr *own);
void poll_zygote_add(struct uzygote *z);
void poll_zygote_del(struct uzygote *z);

/* mem.c */
void mem_call_begin(struct uthr *t);	/* after each event */

/* memops.c */
long ops_run_now(struct uthr *t);	/* deferred operations; 0 or the failed one's error */
void space_forget_fds(struct uspace *s);

/* rewrite.c */
void rewrite_site(struct uthr *t);
void rewrite_trap_note(struct uthr *t);	/* @t made a call, perhaps others before that its stub answered */
void rewrite_lineage(struct uthr *t);	/* before a fork: sites that often trap in children */
void rewrite_fork(struct uspace *parent, struct uspace *child);
uint64_t rewrite_visible_rip(struct uspace *s, uint64_t rip); /* (sleeps) */
void rewrite_reset(struct uspace *s);
void rewrite_stop(struct uthr *t); /* from now on all call sites of its process trap */

#endif
