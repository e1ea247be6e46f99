/* SPDX-License-Identifier: Apache-2.0
 * sentry/vfs/epoll.c - epoll(7)
 *
 * Model:   an item watches one (file, descriptor) pair; it sits in the file's wait queues, and a wake-up there moves it to the ready
 *          list and wakes one sleeper. epoll_wait takes items off the ready list, asks the file again, reports, and puts
 *          level-triggered ones back. Items hold no reference to the file: its last reference removes them first.
 * Locks:   gone_lock (release of watched files against release of epolls, and the loop check) > eventpoll.lock (sleeplock: items;
 *          held while files are asked) > a watched queue's mu > eventpoll.ready_mu > the epoll's own queue. A loop of epolls
 *          would turn that order around and is refused.
 * Source:  epoll(7), epoll_ctl(2), epoll_wait(2).
 */
#include "sentry/vfs/poll.h"

#include <stdlib.h>

#include "sentry/vfs/internal.h"

#define EPOLL_NEST_MAX	4	/* epolls below one that is added */
#define EPOLL_ITEMS_MAX 1000000
#define EPOLL_FLAGS	(LINUX_EPOLLEXCLUSIVE | LINUX_EPOLLWAKEUP | LINUX_EPOLLONESHOT | LINUX_EPOLLET)

struct eventpoll {
	struct sleeplock lock;
	struct mutex ready_mu;
	struct list ready;		/* of epitem.ready_node; guarded by ready_mu */
	struct waitq wq;		/* epoll_wait sleepers and whoever polls this epoll */
	struct epitem **hash;		/* by (file, fd); guarded by lock */
	uint32_t nr_hash, nr_items;
};

struct ep_entry {
	struct waiter w;
	struct waitq *q;
	struct ep_entry *next;
};

struct epitem {
	struct epitem *hash_next;
	struct eventpoll *ep;
	struct file *file;		/* borrowed, see Model */
	int fd;
	uint32_t events;		/* with flags; 0 = one-shot that fired */
	uint64_t data;
	struct list file_node;		/* in file.epolls; guarded by file.mu */
	struct list ready_node;		/* guarded by ep->ready_mu */
	struct ep_entry first, *more;	/* queues joined */
	bool failed;
};

struct ep_table {
	struct poll_table pt;
	struct epitem *item;
};

static struct sleeplock gone_lock;
static const struct file_ops epoll_fops;

void epoll_init(void)
{
	sleeplock_init(&gone_lock);
}

bool file_is_epoll(const struct file *f)
{
	return f->ops == &epoll_fops;
}

/* ---- wake-ups ---- */

static bool item_queue(struct epitem *it)
{
	struct eventpoll *ep = it->ep;
	bool fresh;

	mutex_lock(&ep->ready_mu);
	fresh = list_empty(&it->ready_node);
	if (fresh)
		list_add_tail(&ep->ready, &it->ready_node);
	mutex_unlock(&ep->ready_mu);
	return fresh;
}

static bool ep_wake(struct waiter *w, uint32_t events)
{
	struct epitem *it = w->arg;
	uint32_t want = it->events & ~EPOLL_FLAGS;

	if (!want || (events && !(events & want)))
		return false;
	item_queue(it);
	waitq_wake(&it->ep->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
	return true;
}

static void ep_add_queue(struct poll_table *pt, struct waitq *q)
{
	struct epitem *it = container_of(pt, struct ep_table, pt)->item;
	struct ep_entry *e = &it->first;

	if (e->q) {
		e = calloc(1, sizeof(*e));
		if (!e) {
			it->failed = true;
			return;
		}
		e->next = it->more;
		it->more = e;
	}
	e->q = q;
	list_init(&e->w.node);
	e->w.wake = ep_wake;
	e->w.arg = it;
	e->w.exclusive = it->events & LINUX_EPOLLEXCLUSIVE;
	waitq_add(q, &e->w);
}

static void item_leave_queues(struct epitem *it)
{
	struct ep_entry *e, *n;

	if (it->first.q)
		waitq_del(it->first.q, &it->first.w);
	for (e = it->more; e; e = n) {
		n = e->next;
		waitq_del(e->q, &e->w);
		free(e);
	}
	it->more = NULL;
	it->first.q = NULL;
}

/* ---- items ---- */

static uint32_t item_hash(const struct file *f, int fd)
{
	return (uint32_t)(((uint64_t)(uintptr_t)f / 64 + (uint32_t)fd) * 0x9e3779b97f4a7c15ull >> 32);
}

static struct epitem *item_find(struct eventpoll *ep, const struct file *f, int fd)
{
	struct epitem *it = ep->nr_hash ? ep->hash[item_hash(f, fd) & (ep->nr_hash - 1)] : NULL;

	while (it && (it->file != f || it->fd != fd))
		it = it->hash_next;
	return it;
}

static bool items_grow(struct eventpoll *ep)
{
	uint32_t nr = ep->nr_hash ? ep->nr_hash * 2 : 16;
	struct epitem **h = calloc(nr, sizeof(*h)), *it, *n;

	if (!h)
		return ep->nr_hash != 0;
	for (uint32_t k = 0; k < ep->nr_hash; k++)
		for (it = ep->hash[k]; it; it = n) {
			uint32_t b = item_hash(it->file, it->fd) & (nr - 1);

			n = it->hash_next;
			it->hash_next = h[b];
			h[b] = it;
		}
	free(ep->hash);
	ep->hash = h;
	ep->nr_hash = nr;
	return true;
}

/* ep->lock held. */
static void item_remove(struct epitem *it)
{
	struct eventpoll *ep = it->ep;
	struct epitem **pp = &ep->hash[item_hash(it->file, it->fd) & (ep->nr_hash - 1)];

	item_leave_queues(it);
	mutex_lock(&it->file->mu);
	list_del_init(&it->file_node);
	mutex_unlock(&it->file->mu);
	mutex_lock(&ep->ready_mu);
	list_del_init(&it->ready_node);
	mutex_unlock(&ep->ready_mu);
	while (*pp != it)
		pp = &(*pp)->hash_next;
	*pp = it->hash_next;
	ep->nr_items--;
	free(it);
}

/* The last reference of a watched file is gone; nothing of it has been freed yet. */
void epoll_file_gone(struct file *f)
{
	sleep_lock(&gone_lock);
	for (;;) {
		struct epitem *it = NULL;
		struct eventpoll *ep;

		mutex_lock(&f->mu);
		if (!list_empty(&f->epolls))
			it = list_first(&f->epolls, struct epitem, file_node);
		ep = it ? it->ep : NULL;	/* alive: its release waits for gone_lock */
		mutex_unlock(&f->mu);
		if (!it)
			break;
		sleep_lock(&ep->lock);
		mutex_lock(&f->mu);
		it = list_empty(&f->epolls) ? NULL : list_first(&f->epolls, struct epitem, file_node);
		mutex_unlock(&f->mu);
		if (it && it->ep == ep)
			item_remove(it);
		sleep_unlock(&ep->lock);
	}
	sleep_unlock(&gone_lock);
}

/* ---- the epoll file ---- */

static void epoll_release(struct file *f)
{
	struct eventpoll *ep = f->priv;

	sleep_lock(&gone_lock);
	sleep_lock(&ep->lock);
	for (uint32_t k = 0; k < ep->nr_hash; k++)
		while (ep->hash[k])
			item_remove(ep->hash[k]);
	sleep_unlock(&ep->lock);
	sleep_unlock(&gone_lock);
	free(ep->hash);
	free(ep);
}

static uint32_t item_poll(struct epitem *it)
{
	return vfs_poll(it->file, NULL) & ((it->events & ~EPOLL_FLAGS));
}

/* Ready when an item on the list is ready still. */
static uint32_t epoll_poll(struct file *f, struct poll_table *pt)
{
	struct eventpoll *ep = f->priv;
	uint32_t ret = 0;
	unsigned n = 0;

	poll_wait(pt, &ep->wq);
	if (list_empty(&ep->ready))
		return 0;
	sleep_lock(&ep->lock);
	for (;; n++) {
		struct epitem *it = NULL;

		mutex_lock(&ep->ready_mu);
		if (!list_empty(&ep->ready))
			it = list_first(&ep->ready, struct epitem, ready_node);
		mutex_unlock(&ep->ready_mu);
		if (!it || n > ep->nr_items)
			break;
		if (item_poll(it)) {
			ret = LINUX_POLLIN | LINUX_POLLRDNORM;
			break;
		}
		mutex_lock(&ep->ready_mu);
		list_del_init(&it->ready_node);
		mutex_unlock(&ep->ready_mu);
		/* It may have become ready between the question and the removal. */
		if (item_poll(it))
			item_queue(it);
	}
	sleep_unlock(&ep->lock);
	return ret;
}

static void epoll_show_fdinfo(struct file *f, struct buf *out)
{
	struct eventpoll *ep = f->priv;

	sleep_lock(&ep->lock);
	for (uint32_t k = 0; k < ep->nr_hash; k++)
		for (struct epitem *it = ep->hash[k]; it; it = it->hash_next)
			buf_printf(out, "tfd: %8d events: %8x data: %16lx \n", it->fd, it->events, (unsigned long)it->data);
	sleep_unlock(&ep->lock);
}

static const struct file_ops epoll_fops = {
	.release = epoll_release,
	.poll = epoll_poll,
	.show_fdinfo = epoll_show_fdinfo,
};

long epoll_new(const struct cred *c, struct file **out)
{
	struct eventpoll *ep = calloc(1, sizeof(*ep));
	long ret;

	if (!ep)
		return -LINUX_ENOMEM;
	sleeplock_init(&ep->lock);
	list_init(&ep->ready);
	waitq_init(&ep->wq);
	ret = anon_file_new("[eventpoll]", &epoll_fops, ep, LINUX_O_RDWR, c, out);
	if (ret)
		free(ep);
	return ret;
}

/* ---- epoll_ctl ---- */

/* Does @f, an epoll, reach @target through what it watches? @level: how deep we are already. gone_lock held. */
static bool reaches(struct file *f, const struct eventpoll *target, unsigned level)
{
	struct eventpoll *ep = f->priv;
	bool hit = ep == target || level > EPOLL_NEST_MAX;

	sleep_lock(&ep->lock);
	for (uint32_t k = 0; k < ep->nr_hash && !hit; k++)
		for (struct epitem *it = ep->hash[k]; it && !hit; it = it->hash_next)
			if (file_is_epoll(it->file))
				hit = reaches(it->file, target, level + 1);
	sleep_unlock(&ep->lock);
	return hit;
}

/* How many epolls watch each other above @ef, counted along one chain. gone_lock held. */
static unsigned levels_above(struct file *ef)
{
	bool watched;

	mutex_lock(&ef->mu);
	watched = !list_empty(&ef->epolls);
	mutex_unlock(&ef->mu);
	return watched ? 2 : 1;
}

static void item_check_ready(struct epitem *it)
{
	if (item_poll(it) && item_queue(it))
		waitq_wake(&it->ep->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
}

static long ep_insert(struct eventpoll *ep, struct file *f, int fd, const struct linux_epoll_event *ev)
{
	struct epitem *it;
	struct ep_table t;
	uint32_t b;

	if (ep->nr_items >= EPOLL_ITEMS_MAX)
		return -LINUX_ENOSPC;
	if (ep->nr_items >= ep->nr_hash && !items_grow(ep))
		return -LINUX_ENOMEM;
	it = calloc(1, sizeof(*it));
	if (!it)
		return -LINUX_ENOMEM;
	*it = (struct epitem){ .ep = ep, .file = f, .fd = fd, .events = ev->events | LINUX_EPOLLERR | LINUX_EPOLLHUP, .data = ev->data };
	list_init(&it->ready_node);
	b = item_hash(f, fd) & (ep->nr_hash - 1);
	it->hash_next = ep->hash[b];
	ep->hash[b] = it;
	ep->nr_items++;
	mutex_lock(&f->mu);
	list_add(&f->epolls, &it->file_node);
	mutex_unlock(&f->mu);
	t = (struct ep_table){ .pt = { .add = ep_add_queue, .events = it->events & ~EPOLL_FLAGS }, .item = it };
	vfs_poll(f, &t.pt);
	if (it->failed) {
		item_remove(it);
		return -LINUX_ENOMEM;
	}
	item_check_ready(it);
	return 0;
}

static long ep_modify(struct epitem *it, const struct linux_epoll_event *ev)
{
	it->data = ev->data;
	__atomic_store_n(&it->events, ev->events | LINUX_EPOLLERR | LINUX_EPOLLHUP, __ATOMIC_SEQ_CST);
	item_check_ready(it);
	return 0;
}

static long ctl_locked(struct eventpoll *ep, int op, struct file *f, int fd, const struct linux_epoll_event *ev)
{
	struct epitem *it = item_find(ep, f, fd);

	switch (op) {
	case LINUX_EPOLL_CTL_ADD:
		return it ? -LINUX_EEXIST : ep_insert(ep, f, fd, ev);
	case LINUX_EPOLL_CTL_DEL:
		if (!it)
			return -LINUX_ENOENT;
		item_remove(it);
		return 0;
	case LINUX_EPOLL_CTL_MOD:
		if (!it)
			return -LINUX_ENOENT;
		return it->events & LINUX_EPOLLEXCLUSIVE ? -LINUX_EINVAL : ep_modify(it, ev);
	default:
		return -LINUX_EINVAL;
	}
}

long eventpoll_ctl(struct file *ef, int op, struct file *f, int fd, const struct linux_epoll_event *ev)
{
	struct eventpoll *ep = ef->priv;
	bool nest;
	long ret;

	if (!f->ops->poll)
		return -LINUX_EPERM;
	if (!file_is_epoll(ef) || ef == f)
		return -LINUX_EINVAL;
	nest = file_is_epoll(f);
	if (ev && ev->events & LINUX_EPOLLEXCLUSIVE) {
		if (op == LINUX_EPOLL_CTL_MOD || nest ||
		    ev->events & ~(LINUX_EPOLLEXCLUSIVE | LINUX_EPOLLWAKEUP | LINUX_EPOLLET | LINUX_POLLIN | LINUX_POLLOUT | LINUX_POLLERR |
				   LINUX_POLLHUP))
			return -LINUX_EINVAL;
	}
	if (nest && op == LINUX_EPOLL_CTL_ADD) {
		sleep_lock(&gone_lock);
		if (reaches(f, ep, levels_above(ef))) {
			sleep_unlock(&gone_lock);
			return -LINUX_ELOOP;
		}
	}
	sleep_lock(&ep->lock);
	ret = ctl_locked(ep, op, f, fd, ev);
	sleep_unlock(&ep->lock);
	if (nest && op == LINUX_EPOLL_CTL_ADD)
		sleep_unlock(&gone_lock);
	return ret;
}

/* ---- epoll_wait ---- */

/* Takes ready items off the list, at most one round: what goes back to the tail is not seen again. */
static int collect(struct eventpoll *ep, struct linux_epoll_event *out, int max)
{
	struct list round = LIST_HEAD_INIT(round), again = LIST_HEAD_INIT(again);
	int n = 0;

	if (list_empty(&ep->ready))
		return 0;
	sleep_lock(&ep->lock);
	mutex_lock(&ep->ready_mu);
	list_splice_tail_init(&ep->ready, &round);
	while (n < max && !list_empty(&round)) {
		struct epitem *it = list_first(&round, struct epitem, ready_node);
		uint32_t got;

		/* Off the list before the question: an event that comes after it queues the item again. */
		list_del_init(&it->ready_node);
		mutex_unlock(&ep->ready_mu);
		got = item_poll(it);
		if (got) {
			out[n++] = (struct linux_epoll_event){ got, it->data };
			if (it->events & LINUX_EPOLLONESHOT)
				it->events &= EPOLL_FLAGS;
		}
		mutex_lock(&ep->ready_mu);
		if (got && !(it->events & (LINUX_EPOLLET | LINUX_EPOLLONESHOT)) && list_empty(&it->ready_node))
			list_add_tail(&again, &it->ready_node);
	}
	/* First those that had no room, then newcomers, then what was reported and is level-triggered. */
	list_splice_tail_init(&ep->ready, &round);
	list_splice_tail_init(&round, &ep->ready);
	list_splice_tail_init(&again, &ep->ready);
	mutex_unlock(&ep->ready_mu);
	sleep_unlock(&ep->lock);
	return n;
}

long epoll_wait_events(struct file *ef, struct linux_epoll_event *out, int max, uint64_t deadline_ns)
{
	struct eventpoll *ep = ef->priv;
	struct waiter w;
	long ret = 0;
	int n = collect(ep, out, max);

	if (n || !deadline_ns)
		return n;
	wait_begin(&w);
	w.exclusive = true;
	waitq_add(&ep->wq, &w);
	for (;;) {
		wait_prepare();
		n = collect(ep, out, max);
		if (n || ret)
			break;
		ret = wait_sleep(SLEEP_INTERRUPTIBLE, deadline_ns);
	}
	waitq_del(&ep->wq, &w);
	/* The wake-up was for one: pass on what we leave behind. */
	if (!list_empty(&ep->ready))
		waitq_wake(&ep->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
	if (n)
		return n;
	return ret == -LINUX_ETIMEDOUT ? 0 : ret;
}
