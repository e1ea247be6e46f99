/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/poll.c - taking requests from shared memory while it pays
 *
 * Model:   a poller is a worker that looks at the slots of a few "hot" threads, whose calls come in quick succession, and
 *          runs their kthreads. It sleeps until a listener offers it such a thread; the guest goes on meanwhile by
 *          notifications, on the processor it shares with the listener, so waking the poller on another
 *          one costs the guest nothing. Every flag here is a hint: what decides who serves a request is thr_claim().
 * States:  of a thread, by t->poller and slot.polled:
 *            cold      NULL, NO          every call is a notification, whose answer may offer the thread
 *            mailed    p, NO             offered; the poller may take its time to wake up, calls are notifications
 *            hot       p, LOOKING        posts its requests (EVF_POSTED) and waits for the poller a little; what is not
 *                                        taken in time is notified after all, and the stub trusts the poller less
 *            waiting   p, SLEEP          its call sleeps in the Sentry: the stub gives its processor away, then parks
 *          cold -> mailed: offer(); mailed -> hot: mailbox_take(); hot -> cold: hot_drop(), and only the poller's own worker
 *          makes the last two edges; hot <-> waiting: the thread's own kthread (poll_guest_waits, poll_wanted). A write
 *          of that kthread's that comes after hot_drop() leaves SLEEP in the slot of a cold thread: its next answer says NO.
 *          A poller that is not scheduled leaves threads hot that nobody looks at: the stub's patience bounds that.
 * Policy:  each request that is taken here saves somebody some microseconds. With processors to spare a poller without work
 *          sleeps after some tens of microseconds. Else it may wait for the next request as long as the
 *          last ones have saved (credit), so that looking costs less than not looking even if others want the processor. A
 *          poller whose time awake did not pay, its waking included, is not woken for a number of offers that
 *          doubles each time.
 * Locks:   poller.mu guards its mailbox, leaf; uthr.herd_mu, leaf; sample.mu, then zygote.mu, then space.mu. A poller's list is its own; entries
 *          hold references; t->poller says whose list counts.
 */
#include <sched.h>

#include "base/hostcall.h"
#include "sentry/platform/platform_internal.h"

#define SPIN_US		40	/* without work, until the worker sleeps: processors to spare */
#define SAVED_US	13	/* by a request taken here: what both sides of a notification cost more, in a virtual machine */
#define CREDIT_US	60	/* at most so much of what was saved is spent on waiting for the next request */
#define FIRST_CREDIT_US	50	/* after waking: until the guests come round to calling again, one slow call included */
#define WAKE_COST_US	39	/* of waking the poller, for everybody together */
#define IDLE_US		300	/* a thread that has not called for so long is not hot */
#define HOT_GAP_US	16	/* between an answer and the next call, notification included */
#define HOT_BUSY_US	14	/* between two notifications of anybody: the guests do little but call */
#define FAIL_SHIFT_MAX	7	/* at most 128 offers refused: a program that begins with slow calls is soon given another try */
#define GAP_MAX_US	100	/* one long gap is soon forgotten */
#define SPARE_EVERY	16	/* answers between two looks at the processors */
#define SAMPLE_NS	1000000 /* how often guests are counted */
#define HERD_CPUS	4	/* with more processors than these the scheduler finds everybody a place of his own */
#define POLLERS_MAX	4
#define SAMPLE_MAX	256	/* threads looked at; more count as busy */

static __thread struct poller *tls_poller;

NOINLINE struct poller *poller_self(void)
{
	__asm__ volatile(""); /* not to be remembered across a sleep */
	return tls_poller;
}

static uint64_t tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/* ---- policy ------------------------------------------------------------------------------------------------ */

static struct {
	struct mutex mu;
	struct list zygotes;		/* struct uzygote.all_node; guarded by mu */
	_Atomic uint64_t next_ns;
	_Atomic uint32_t asleep;	/* threads that are in phase GUEST but sleep in the stub, lately */
} sample = { .mu = MUTEX_INIT, .zygotes = LIST_HEAD_INIT(sample.zygotes) };

void poll_zygote_add(struct uzygote *z)
{
	mutex_lock(&sample.mu);
	list_add(&sample.zygotes, &z->all_node);
	mutex_unlock(&sample.mu);
}

void poll_zygote_del(struct uzygote *z)
{
	mutex_lock(&sample.mu);
	list_del_init(&z->all_node);
	mutex_unlock(&sample.mu);
}

static unsigned space_asleep(struct uspace *s, unsigned *budget)
{
	struct uthr *t;
	unsigned n = 0;

	mutex_lock(&s->mu);
	list_for_each_entry(t, &s->threads, space_node) {
		if (!*budget)
			break;
		--*budget;
		n += thr_phase(t) == UP_GUEST &&
		     atomic_load_explicit(&t->slot->sh.in_stub_sleep, memory_order_relaxed);
	}
	mutex_unlock(&s->mu);
	return n;
}

/* Most threads of real programs wait in a futex: they are guests, but need no processor. */
static void sample_take(void)
{
	uint64_t now = now_ns(), due = atomic_load_explicit(&sample.next_ns, memory_order_relaxed);
	unsigned budget = SAMPLE_MAX, n = 0;
	struct uzygote *z;
	struct uspace *s;

	if (now < due || !mutex_trylock(&sample.mu))
		return;
	list_for_each_entry(z, &sample.zygotes, all_node) {
		mutex_lock(&z->mu);
		list_for_each_entry(s, &z->spaces, z_node)
			n += space_asleep(s, &budget);
		mutex_unlock(&z->mu);
	}
	atomic_store_explicit(&sample.asleep, n, memory_order_relaxed);
	atomic_store_explicit(&sample.next_ns, now_ns() + SAMPLE_NS, memory_order_relaxed);
	mutex_unlock(&sample.mu);
}

/* One processor for each guest that runs (one more than now), each worker that is busy (the caller is one of them, and
 * about to stop), and the poller. */
static bool cpus_to_spare(void)
{
	unsigned guests = atomic_load_explicit(&platform.nr_guest, memory_order_relaxed);
	unsigned need = run_nr_busy() + 1, asleep;

	if (guests + need <= platform.ncpus)
		return true;
	if (need > platform.ncpus)
		return false;
	sample_take();
	asleep = atomic_load_explicit(&sample.asleep, memory_order_relaxed);
	return guests - MIN(asleep, guests) + need <= platform.ncpus;
}

/* Called with each event: how long after its answer? */
void poll_note_event(struct uthr *t)
{
	uint64_t gap = MIN(tsc() - t->answered_tsc, GAP_MAX_US * platform.tsc_per_us);

	t->gap = (uint32_t)((t->gap * 3ull + gap) / 4);
}

/* ---- the list ------------------------------------------------------------------------------------------------- */

static struct poller pollers[POLLERS_MAX];
static cpu_set_t allowed_cpus; /* immutable after pollers_start() */
static unsigned nr_pollers;
static bool herding;		/* immutable after pollers_start() */

uint64_t pollers_count(void)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < nr_pollers; i++)
		n += __atomic_load_n(&pollers[i].polled, __ATOMIC_RELAXED);
	return n;
}

/*
 * On a machine of few processors the guests stay off the poller's while it looks for their requests: one that is woken
 * "near its waker" would sit where the poller spins, each keeping the other from going on. Together on the other one they
 * hand over to each other without any processor being woken. What such a guest gives birth to would inherit the
 * restriction, so it has none then: herd_mu settles who of poller and parent comes first.
 */
static void herd_set_locked(struct uthr *t, bool on)
{
	cpu_set_t set = allowed_cpus;
	int cpu = sched_getcpu();

	if (t->herded == on || (on && (t->births || cpu < 0 || cpu >= CPU_SETSIZE)))
		return;
	if (on)
		CPU_CLR(cpu, &set);
	if (CPU_COUNT(&set) && host_call(sched_setaffinity, t->tid, sizeof(set), &set) == 0)
		t->herded = on;
}

static void herd(struct uthr *t, bool on)
{
	if (!herding || t->herded == on) /* whoever changes it to @on is the caller */
		return;
	mutex_lock(&t->herd_mu);
	herd_set_locked(t, on);
	mutex_unlock(&t->herd_mu);
}

void poll_birth(struct uthr *t, bool begin)
{
	mutex_lock(&t->herd_mu);
	t->births = begin;
	if (begin)
		herd_set_locked(t, false);
	mutex_unlock(&t->herd_mu);
}

static void hot_drop(struct poller *p, unsigned i)
{
	struct uthr *t = p->hot[i];

	herd(t, false);

	p->hot[i] = p->hot[--p->nr];
	t->slot->polled = POLLED_NO;
	atomic_store_explicit(&t->poller, NULL, memory_order_relaxed);
	thr_put(t);
}

/* Takes what listeners have offered. */
static void mailbox_take(struct poller *p)
{
	if (!atomic_load_explicit(&p->nr_in, memory_order_relaxed))
		return;
	mutex_lock(&p->mu);
	for (unsigned i = 0; i < p->nr_in; i++) {
		if (p->nr == POLL_HOT_MAX)
			hot_drop(p, 0);
		p->hot[p->nr++] = p->in[i];
		if (thr_phase(p->in[i]) == UP_STOPPED)
			herd(p->in[i], true); /* it waits for others */
		p->in[i]->slot->polled = POLLED_LOOKING;
	}
	p->nr_in = 0;
	mutex_unlock(&p->mu);
}

/* The poller must not come up on the caller's processor, which the guest is about to use; a scheduler that thinks its
 * processors busy enough does not look for an idle one by itself. */
static void poller_place(struct poller *p)
{
	cpu_set_t set = allowed_cpus;
	int cpu = sched_getcpu();

	if (cpu == p->keeps_off || cpu < 0 || cpu >= CPU_SETSIZE)
		return;
	CPU_CLR(cpu, &set);
	p->keeps_off = cpu;
	if (CPU_COUNT(&set))
		host_call(sched_setaffinity, p->tid, sizeof(set), &set);
}

static void poller_wake(struct poller *p)
{
	if (!atomic_exchange(&p->asleep, 0))
		return;
	poller_place(p);
	host_call(futex, &p->asleep, 129 /* FUTEX_WAKE_PRIVATE */, 1, NULL, NULL, 0);
}

static _Atomic uint64_t notif_last, notif_gap; /* ticks; the second a moving average. Hints, updated without care */

/* Called by listeners with each request. */
void poll_note_notification(void)
{
	uint64_t now = tsc(), last = atomic_load_explicit(&notif_last, memory_order_relaxed);
	uint64_t gap = MIN(now - last, GAP_MAX_US * platform.tsc_per_us);

	atomic_store_explicit(&notif_last, now, memory_order_relaxed);
	gap = (atomic_load_explicit(&notif_gap, memory_order_relaxed) * 7 + gap) / 8;
	atomic_store_explicit(&notif_gap, gap, memory_order_relaxed);
}

static bool hot_enough(const struct uthr *t)
{
	if (t->gap <= HOT_GAP_US * platform.tsc_per_us && cpus_to_spare())
		return true;
	/* On a crowded machine a thread waits for its turn between two calls, so its own pace tells nothing. */
	return atomic_load_explicit(&notif_gap, memory_order_relaxed) <= HOT_BUSY_US * platform.tsc_per_us;
}

/* A hot thread for a poller that has room. */
static void offer(struct uthr *t)
{
	struct poller *p = &pollers[(unsigned)t->tid % nr_pollers];
	struct poller *none = NULL;

	if (p->skip) {
		p->skip--;
		return;
	}
	if (!hot_enough(t) || !atomic_compare_exchange_strong(&t->poller, &none, p))
		return;
	mutex_lock(&p->mu);
	if (p->nr_in < POLL_HOT_MAX) {
		ref_get(&t->ref);
		p->in[p->nr_in++] = t;
	} else {
		atomic_store(&t->poller, NULL);
	}
	mutex_unlock(&p->mu);
	poller_wake(p);
}

/* The request of a hot thread will take a while: its stub should sleep, not spin on a processor that the one it waits for
 * may need. */
void poll_guest_waits(void *guest)
{
	struct uthr *t = guest;

	struct poller *p = atomic_load_explicit(&t->poller, memory_order_relaxed);

	if (!p || atomic_load_explicit(&t->slot->polled, memory_order_relaxed) != POLLED_LOOKING)
		return;
	atomic_store_explicit(&t->slot->polled, POLLED_SLEEP, memory_order_relaxed);
	if (p == poller_self())
		herd(t, true);
}

/* Called before each answer: makes a hot thread known to a poller. True when the caller is that poller, and should look
 * for the next request itself. */
bool poll_wanted(struct uthr *t)
{
	struct poller *p;

	t->answered_tsc = tsc();
	if (!nr_pollers)
		return false;
	if (unlikely(atomic_load_explicit(&t->slot->polled, memory_order_relaxed) == POLLED_SLEEP))
		atomic_store_explicit(&t->slot->polled, atomic_load(&t->poller) ? POLLED_LOOKING : POLLED_NO, memory_order_relaxed);
	p = poller_self();
	if (p)
		return p->nr != 0;
	if (!atomic_load_explicit(&t->poller, memory_order_relaxed))
		offer(t);
	return false;
}

/* A thread of the list that has posted a request for a poller, which is claimed; NULL if there is none. */
static struct uthr *hot_scan(struct poller *p)
{
	for (unsigned i = 0; i < p->nr; i++) {
		struct uthr *t = p->hot[i];

		if (unlikely(thr_claim_posted(t))) {
			p->polled++;
			return t;
		}
	}
	return NULL;
}

/* Those that ended, or went on to other things. */
static void hot_prune(struct poller *p, uint64_t now)
{
	for (unsigned i = 0; i < p->nr;) {
		struct uthr *t = p->hot[i];
		uint64_t since = now - __atomic_load_n(&t->answered_tsc, __ATOMIC_RELAXED);

		if (atomic_load_explicit(&t->dead, memory_order_relaxed) || list_empty(&t->hash_node) ||
		    (thr_phase(t) == UP_GUEST && (int64_t)since > (int64_t)(IDLE_US * platform.tsc_per_us)))
			hot_drop(p, i);
		else
			i++;
	}
}

/* The spin ends: no stub may count on it any more. A request that came just now is still taken. */
static struct uthr *give_up(struct poller *p)
{
	struct uthr *t;

	for (unsigned i = 0; i < p->nr; i++)
		p->hot[i]->slot->polled = POLLED_NO;
	atomic_thread_fence(memory_order_seq_cst);
	t = hot_scan(p);
	while (p->nr)
		hot_drop(p, p->nr - 1);
	return t;
}

/* What the time awake has brought is known: when it did not pay, the next offers are refused, each time twice as many. */
static void settle(struct poller *p)
{
	if (p->gain >= 0) {
		p->fails = 0;
		return;
	}
	p->skip = 1u << p->fails;
	if (p->fails < FAIL_SHIFT_MAX)
		p->fails++;
}

/* A request came after @spent ticks of looking. */
static void note_taken(struct poller *p, uint64_t spent)
{
	uint64_t saved = SAVED_US * platform.tsc_per_us, credit = p->credit + saved;

	p->credit = MIN(credit - MIN(credit, spent), CREDIT_US * platform.tsc_per_us);
	p->gain += (int64_t)saved - (int64_t)spent;
}

/* Ticks without a request after which a spin ends; the processors are looked at now and then. */
static uint64_t spin_budget(struct poller *p)
{
	if (!p->spare_in--) {
		p->spare_in = SPARE_EVERY;
		p->budget = cpus_to_spare() ? SPIN_US * platform.tsc_per_us : 0;
	}
	return MAX(p->budget, p->credit);
}

/**
 * poll_spin() - look for requests of hot threads until one comes or it does not pay any more
 * @own:	the thread whose kthread is calling, NULL from the worker itself
 *
 * Return: the thread with a claimed request, or NULL when the caller should let others go on
 */
struct uthr *poll_spin(struct poller *p, struct uthr *own)
{
	uint64_t budget = spin_budget(p), start = tsc(), now;
	struct uthr *t;

	for (;;) {
		mailbox_take(p);
		for (unsigned i = 0; i < 32; i++) {
			t = hot_scan(p);
			if (t) {
				note_taken(p, tsc() - start);
				return t;
			}
			__builtin_ia32_pause();
			if (own && thr_phase(own) != UP_GUEST)
				return NULL; /* a notification or a kick was faster */
		}
		now = tsc();
		hot_prune(p, now);
		if (!p->nr || run_has_work())
			return NULL;
		if (now - start > budget)
			break;
	}
	p->gain -= (int64_t)(now - start);
	settle(p);
	return give_up(p);
}

/* ---- workers --------------------------------------------------------------------------------------------------- */

static struct kthread *poller_next(struct worker_source *src, bool may_block)
{
	struct poller *p = container_of(src, struct poller, src);
	struct uthr *t;

	if (!tls_poller) {
		tls_poller = p;
		p->tid = (int)host_call(gettid);
	}
	mailbox_take(p);
	if (p->nr) {
		t = poll_spin(p, NULL);
		if (t)
			return t->k;
	}
	if (!may_block || p->nr || run_has_work())
		return NULL;
	atomic_store(&p->asleep, 1);
	while (atomic_load(&p->asleep) && !atomic_load(&p->nr_in))
		host_call(futex, &p->asleep, 128 /* FUTEX_WAIT_PRIVATE */, 1, NULL, NULL, 0);
	atomic_store(&p->asleep, 0);
	p->credit = FIRST_CREDIT_US * platform.tsc_per_us;
	p->gain = -(int64_t)(WAKE_COST_US * platform.tsc_per_us);
	return NULL;
}

/* The kthread that runs here is about to block in the host: others go by notifications meanwhile. */
static void poller_blocking(struct worker_source *src, bool begin)
{
	struct poller *p = container_of(src, struct poller, src);

	while (begin && p->nr)
		hot_drop(p, p->nr - 1);
}

long pollers_start(void)
{
	unsigned n = MIN(MAX(platform.ncpus / 4, 1u), (unsigned)POLLERS_MAX);
	long ret = 0;

	if (platform.flags & UPF_NO_POLL)
		return 0;
	CPU_ZERO(&allowed_cpus);
	if (host_call(sched_getaffinity, 0, sizeof(allowed_cpus), &allowed_cpus) < 0 || CPU_COUNT(&allowed_cpus) < 2)
		return 0;
	for (unsigned i = 0; i < n && !ret; i++) {
		mutex_init(&pollers[i].mu);
		pollers[i].keeps_off = -1;
		pollers[i].src = (struct worker_source){ .next = poller_next, .blocking = poller_blocking };
		ret = worker_spawn(&pollers[i].src, "poller");
	}
	nr_pollers = ret ? 0 : n;
	herding = CPU_COUNT(&allowed_cpus) <= HERD_CPUS;
	return ret;
}
