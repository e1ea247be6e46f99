/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal_queue.c - signal state: dispositions, queues, masks, what is deliverable
 *
 * Locks:   group->sig_mu; sighand->mu below it. See signal.h for the "mask/pending" barrier.
 * Source:  signal(7), rt_sigprocmask(2), sigpending(2).
 */
#include <string.h>

#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"
#include "sentry/task/timers.h"

/* ---- dispositions ----------------------------------------------------------------------------------- */

struct sighand *sighand_new(void)
{
	struct sighand *h = calloc(1, sizeof(*h));

	if (!h)
		return NULL;
	ref_init(&h->ref, 1);
	mutex_init(&h->mu);
	return h;
}

struct sighand *sighand_dup(struct sighand *h)
{
	struct sighand *n = sighand_new();

	if (!n)
		return NULL;
	mutex_lock(&h->mu);
	memcpy(n->act, h->act, sizeof(n->act));
	mutex_unlock(&h->mu);
	return n;
}

struct sighand *sighand_get(struct sighand *h)
{
	ref_get(&h->ref);
	return h;
}

void sighand_put(struct sighand *h)
{
	if (h && ref_put(&h->ref))
		free(h);
}

struct linux_sigaction sighand_action(struct sighand *h, int sig)
{
	struct linux_sigaction a;

	mutex_lock(&h->mu);
	a = h->act[sig - 1];
	mutex_unlock(&h->mu);
	return a;
}

/* ---- life --------------------------------------------------------------------------------------------- */

static void pending_init(struct sigpending *p)
{
	p->mask = 0;
	list_init(&p->queue);
}

long signals_alloc(struct task *t)
{
	t->sig = calloc(1, sizeof(*t->sig));
	if (!t->sig)
		return -LINUX_ENOMEM;
	pending_init(&t->sig->pending);
	t->sig->alt_flags = LINUX_SS_DISABLE;
	return 0;
}

void signals_free(struct task *t)
{
	if (!t->sig)
		return;
	signal_flush_locked(&t->sig->pending);
	free(t->sig);
}

long group_signals_alloc(struct tgroup *g, struct sighand *hand)
{
	g->sig = calloc(1, sizeof(*g->sig));
	if (!g->sig)
		return -LINUX_ENOMEM;
	pending_init(&g->sig->shared);
	g->sig->hand = hand;
	waitq_init(&g->sig->wq);
	waitq_init(&g->sig->stop_wq);
	return 0;
}

void group_signals_free(struct tgroup *g)
{
	if (!g->sig)
		return;
	signal_flush_locked(&g->sig->shared);
	sighand_put(g->sig->hand);
	free(g->sig);
}

void sigqueue_free(struct sigqueue *q)
{
	if (q->timer) { /* belongs to its timer */
		list_init(&q->node);
		return;
	}
	if (q->charged) {
		atomic_fetch_sub_explicit(&q->charged->nr_sigpending, 1, memory_order_relaxed);
		user_count_put(q->charged);
	}
	free(q);
}

void signal_flush_locked(struct sigpending *p)
{
	struct sigqueue *q, *tmp;

	list_for_each_entry_safe (q, tmp, &p->queue, node) {
		list_del_init(&q->node);
		sigqueue_free(q);
	}
	p->mask = 0;
}

void sigpending_remove(struct sigpending *p, uint64_t set)
{
	struct sigqueue *q, *tmp;

	if (!(p->mask & set))
		return;
	p->mask &= ~set;
	list_for_each_entry_safe (q, tmp, &p->queue, node)
		if (SIGMASK(q->info.signo) & set) {
			list_del_init(&q->node);
			sigqueue_free(q);
		}
}

/* ---- what the guest says in its page ---------------------------------------------------------------------- */

uint64_t task_robust_list_locked(const struct task *t)
{
	struct ushared *sh = t->sig->sh;

	return sh ? atomic_load_explicit(&sh->robust_list, memory_order_relaxed) : t->robust_list;
}

uint64_t task_clear_tid_locked(const struct task *t)
{
	struct ushared *sh = t->sig->sh;

	return sh ? atomic_load_explicit(&sh->clear_tid, memory_order_relaxed) : t->clear_child_tid;
}

void task_set_thread_words(struct task *t, uint64_t robust_list, uint64_t clear_tid)
{
	mutex_lock(&t->group->sig_mu);
	t->robust_list = robust_list;
	t->clear_child_tid = clear_tid;
	if (t->sig->sh) {
		atomic_store_explicit(&t->sig->sh->robust_list, robust_list, memory_order_relaxed);
		atomic_store_explicit(&t->sig->sh->clear_tid, clear_tid, memory_order_relaxed);
	}
	mutex_unlock(&t->group->sig_mu);
}

/* ---- masks ---------------------------------------------------------------------------------------------- */

uint64_t signal_mask(struct task *t)
{
	struct ushared *sh = t->sig->sh;

	return (sh ? atomic_load_explicit(&sh->sigmask, memory_order_relaxed) : t->sig->mask_copy) & ~SIG_UNMASKABLE;
}

static void mask_store(struct task *t, uint64_t mask)
{
	mask &= ~SIG_UNMASKABLE;
	if (t->sig->sh)
		atomic_store_explicit(&t->sig->sh->sigmask, mask, memory_order_relaxed);
	t->sig->mask_copy = mask;
}

void signal_publish_pending_locked(struct task *t)
{
	struct ushared *sh = t->sig->sh;

	if (sh)
		atomic_store_explicit(&sh->sigpending, t->sig->pending.mask | t->group->sig->shared.mask,
				      memory_order_relaxed);
}

void signal_attach_page(struct task *t)
{
	mutex_lock(&t->group->sig_mu);
	t->sig->sh = t->u->sh;
	mask_store(t, t->sig->mask_copy);
	atomic_store_explicit(&t->sig->sh->robust_list, t->robust_list, memory_order_relaxed);
	atomic_store_explicit(&t->sig->sh->clear_tid, t->clear_child_tid, memory_order_relaxed);
	atomic_store_explicit(&t->sig->sh->forward_all, t->entry_work != 0, memory_order_relaxed);
	signal_publish_pending_locked(t);
	mutex_unlock(&t->group->sig_mu);
}

void signal_detach_page(struct task *t)
{
	mutex_lock(&t->group->sig_mu);
	if (t->sig->sh) {
		t->sig->mask_copy = signal_mask(t);
		t->robust_list = task_robust_list_locked(t);
		t->clear_child_tid = task_clear_tid_locked(t);
		t->sig->sh = NULL;
	}
	mutex_unlock(&t->group->sig_mu);
}

uint64_t signal_pending_set(struct task *t)
{
	uint64_t set;

	mutex_lock(&t->group->sig_mu);
	set = (t->sig->pending.mask | t->group->sig->shared.mask) & signal_mask(t);
	mutex_unlock(&t->group->sig_mu);
	return set;
}

bool signal_any_pending(struct task *t, uint64_t set)
{
	bool any;

	mutex_lock(&t->group->sig_mu);
	any = (t->sig->pending.mask | t->group->sig->shared.mask) & set;
	mutex_unlock(&t->group->sig_mu);
	return any;
}

void signal_recalc_locked(struct task *t)
{
	uint64_t pend = t->sig->pending.mask | t->group->sig->shared.mask;

	signal_publish_pending_locked(t);
	atomic_thread_fence(memory_order_seq_cst); /* mask/pending */
	if (pend & ~signal_mask(t) & ~t->sig->wait_set) {
		task_set_work(t, TW_SIGNAL);
		if (t->k)
			kthread_interrupt(t->k, false);
		return;
	}
	if (t != task_current())
		return; /* only the task itself takes marks away */
	task_clear_work(t, TW_SIGNAL);
	if (!task_signal_pending(t))
		kthread_clear_interrupt(t->k);
}

void signal_recalc(struct task *t)
{
	mutex_lock(&t->group->sig_mu);
	signal_recalc_locked(t);
	mutex_unlock(&t->group->sig_mu);
}

void signal_set_mask(struct task *t, uint64_t mask)
{
	uint64_t newly_blocked;

	mutex_lock(&t->group->sig_mu);
	newly_blocked = mask & ~signal_mask(t);
	mask_store(t, mask);
	signal_recalc_locked(t);
	newly_blocked &= t->group->sig->shared.mask;
	mutex_unlock(&t->group->sig_mu);
	if (newly_blocked)
		signal_retarget(t);
}

/* ---- taking ------------------------------------------------------------------------------------------------ */

/* Linux's order: synchronous signals first, then the lowest number. */
static int lowest(uint64_t set)
{
	if (!set)
		return 0;
	if (set & SIG_SYNC)
		set &= SIG_SYNC;
	return __builtin_ctzll(set) + 1;
}

static int take_from(struct sigpending *p, uint64_t set, struct linux_siginfo_head *out)
{
	int sig = lowest(p->mask & set);
	struct sigqueue *q, *found = NULL;
	bool more = false;

	if (!sig)
		return 0;
	list_for_each_entry (q, &p->queue, node)
		if (q->info.signo == sig) {
			if (found) {
				more = true;
				break;
			}
			found = q;
		}
	if (!more)
		p->mask &= ~SIGMASK(sig);
	if (found) {
		*out = found->info;
		list_del_init(&found->node);
		if (found->timer)
			posix_timer_taken_locked(found->timer, out);
		else
			sigqueue_free(found);
	} else {
		/* It lost its siginfo to the queue limit. */
		*out = (struct linux_siginfo_head){ .signo = sig, .code = LINUX_SI_USER };
	}
	return sig;
}

int signal_dequeue_locked(struct task *t, uint64_t set, struct linux_siginfo_head *out)
{
	int sig = take_from(&t->sig->pending, set, out);

	if (!sig)
		sig = take_from(&t->group->sig->shared, set, out);
	return sig;
}

int signal_dequeue(struct task *t, uint64_t set, struct linux_siginfo_head *out)
{
	struct tgroup *g = t->group;
	int sig;

	mutex_lock(&g->sig_mu);
	sig = signal_dequeue_locked(t, set & ~SIG_UNMASKABLE, out);
	if (sig)
		signal_recalc_locked(t);
	mutex_unlock(&g->sig_mu);
	return sig;
}

void signal_fork(struct task *parent, struct task *child, uint64_t clone_flags)
{
	struct task_signals *p = parent->sig, *c = child->sig;

	c->mask_copy = p->has_saved_mask ? p->saved_mask : signal_mask(parent);
	/* A new stack for shared memory: the alternate one stays with the parent; vfork(2) keeps it. */
	if ((clone_flags & (LINUX_CLONE_VM | LINUX_CLONE_VFORK)) != LINUX_CLONE_VM) {
		c->alt_sp = p->alt_sp;
		c->alt_size = p->alt_size;
		c->alt_flags = p->alt_flags;
	}
}

long siginfo_copyout(struct uthread *u, struct gptr dst, const struct linux_siginfo_head *si)
{
	struct linux_siginfo out = { .h = *si };

	return copyout_obj(u, dst, &out);
}
