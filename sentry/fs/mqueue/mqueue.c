/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/mqueue/mqueue.c - one message queue: sending, receiving, telling a process, polling
 *
 * Model:   messages lie in a binary heap, highest priority first, oldest first within one. Who finds the queue full or empty
 *          sleeps and looks again at each change. A registration of mq_notify(3) is used up by the first message that comes to
 *          an empty queue while nobody sleeps in receive; for SIGEV_THREAD a cookie goes to a netlink socket of the process.
 * Locks:   mqueue.mu (leaf); tasks_mu is taken after it was dropped.
 * Source:  mq_send(3), mq_receive(3), mq_notify(3), mq_getattr(3), mq_overview(7).
 */
#include "sentry/fs/mqueue/mqueue_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/socket/netlink/netlink_file.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

/* What RLIMIT_MSGQUEUE counts beside the messages' bytes (getrlimit(2)). */
#define MSG_OVERHEAD  48u
#define PRIO_OVERHEAD 48u

/* ---- life ------------------------------------------------------------------------------------------------- */

static bool charge(struct user_count *u, uint64_t bytes, uint64_t limit)
{
	uint64_t old = atomic_load(&u->mq_bytes);

	do {
		if (old + bytes < old || old + bytes > limit)
			return false;
	} while (!atomic_compare_exchange_weak(&u->mq_bytes, &old, old + bytes));
	return true;
}

long mqueue_new(uint32_t maxmsg, uint32_t msgsize, const struct cred *c, struct mqueue **out)
{
	struct task *me = task_current();
	uint64_t bytes = (uint64_t)maxmsg * (MSG_OVERHEAD + msgsize) + (uint64_t)MIN(maxmsg, MQ_PRIO_MAX) * PRIO_OVERHEAD;
	struct mqueue *q = calloc(1, sizeof(*q));

	if (q) {
		q->heap = calloc(maxmsg, sizeof(*q->heap));
		q->user = user_count_get(c->uid);
	}
	if (!q || !q->heap || !q->user) {
		mqueue_free(q);
		return -LINUX_ENOMEM;
	}
	if (!charge(q->user, bytes, me ? task_rlimit(me, LINUX_RLIMIT_MSGQUEUE) : RLIM_INF)) {
		mqueue_free(q);
		return -LINUX_EMFILE;
	}
	q->charge = bytes;
	q->maxmsg = maxmsg;
	q->msgsize = msgsize;
	mutex_init(&q->mu);
	waitq_init(&q->senders);
	waitq_init(&q->receivers);
	*out = q;
	return 0;
}

void mqueue_free(struct mqueue *q)
{
	if (!q)
		return;
	for (uint32_t k = 0; k < q->nr; k++)
		free(q->heap[k]);
	free(q->heap);
	if (q->user)
		atomic_fetch_sub(&q->user->mq_bytes, q->charge);
	user_count_put(q->user);
	if (q->owner)
		pid_put(q->owner);
	file_put(q->teller);
	free(q);
}

/* ---- the heap ------------------------------------------------------------------------------------------------ */

static bool goes_before(const struct mq_msg *a, const struct mq_msg *b)
{
	return a->prio != b->prio ? a->prio > b->prio : a->seq < b->seq;
}

static void heap_push_locked(struct mqueue *q, struct mq_msg *m)
{
	uint32_t k = q->nr++;

	m->seq = q->next_seq++;
	q->bytes += m->len;
	for (; k && goes_before(m, q->heap[(k - 1) / 2]); k = (k - 1) / 2)
		q->heap[k] = q->heap[(k - 1) / 2];
	q->heap[k] = m;
}

static struct mq_msg *heap_pop_locked(struct mqueue *q)
{
	struct mq_msg *top, *last;
	uint32_t k = 0, child;

	if (!q->nr)
		return NULL;
	top = q->heap[0];
	last = q->heap[--q->nr];
	q->bytes -= top->len;
	while ((child = 2 * k + 1) < q->nr) {
		if (child + 1 < q->nr && goes_before(q->heap[child + 1], q->heap[child]))
			child++;
		if (!goes_before(q->heap[child], last))
			break;
		q->heap[k] = q->heap[child];
		k = child;
	}
	q->heap[k] = last;
	return top;
}

/* ---- telling a process ------------------------------------------------------------------------------------------ */

/* A registration taken off its queue; both references are the holder's. */
struct listener {
	struct pid *owner;
	struct linux_sigevent ev;
	struct file *teller;
	uint8_t cookie[MQ_COOKIE_LEN];
};

/* The C library's thread for SIGEV_THREAD reads cookies from the socket. Consumes @l. */
static void drop(struct listener *l, uint8_t why)
{
	if (l->teller) {
		l->cookie[MQ_COOKIE_LEN - 1] = why;
		netlink_file_queue(l->teller, l->cookie, sizeof(l->cookie)); /* a full socket hears nothing, as on Linux */
		file_put(l->teller);
	}
	pid_put(l->owner);
}

/* Sends the owner the signal of @l (consumed), as from @t. */
static void tell(struct task *t, struct listener *l)
{
	const struct linux_sigevent *ev = &l->ev;
	struct pid *owner = l->owner;
	struct linux_siginfo_head si;
	struct tgroup *g;

	if (ev->notify == LINUX_SIGEV_SIGNAL && ev->signo) {
		siginfo_user(&si, ev->signo, LINUX_SI_MESGQ);
		si.rt.value = ev->value;
		mutex_lock(&tasks_mu);
		g = owner->tgroup;
		if (g) {
			siginfo_translate(&si, t, g);
			signal_send_group_locked(g, &si, 0);
		}
		mutex_unlock(&tasks_mu);
	}
	drop(l, MQ_WOKEN_UP);
}

static void take_owner_locked(struct mqueue *q, struct listener *out)
{
	*out = (struct listener){ .owner = q->owner, .ev = q->ev, .teller = q->teller };
	memcpy(out->cookie, q->cookie, sizeof(out->cookie));
	q->owner = NULL;
	q->teller = NULL;
}

static void unregister(struct mqueue *q, struct task *t)
{
	struct listener l = { 0 };

	mutex_lock(&q->mu);
	if (t && q->owner == t->group->pid)
		take_owner_locked(q, &l);
	mutex_unlock(&q->mu);
	if (l.owner)
		drop(&l, MQ_REMOVED);
}

static struct mqueue *queue_of(struct file *f)
{
	return f->ops == &mqueue_file_ops ? f->inode->priv : NULL;
}

long mqueue_notify(struct task *t, struct file *f, const struct linux_sigevent *ev, struct file *teller, const uint8_t *cookie)
{
	struct mqueue *q = queue_of(f);
	long ret = 0;

	if (ev && ev->notify != LINUX_SIGEV_NONE && ev->notify != LINUX_SIGEV_SIGNAL && ev->notify != LINUX_SIGEV_THREAD)
		return -LINUX_EINVAL;
	if (ev && ev->notify == LINUX_SIGEV_SIGNAL && (ev->signo < 0 || ev->signo > LINUX_NSIG))
		return -LINUX_EINVAL;
	if (!q)
		return -LINUX_EBADF;
	if (!ev) {
		unregister(q, t);
		return 0;
	}
	mutex_lock(&q->mu);
	if (q->owner) {
		ret = -LINUX_EBUSY;
	} else {
		q->owner = pid_get(t->group->pid);
		q->ev = *ev;
		q->teller = teller ? file_get(teller) : NULL;
		if (teller)
			memcpy(q->cookie, cookie, sizeof(q->cookie));
	}
	mutex_unlock(&q->mu);
	return ret;
}

/* ---- sending and receiving ----------------------------------------------------------------------------------------- */

/* Whether the queue took @m. */
static bool try_send(struct task *t, struct mqueue *q, struct mq_msg *m)
{
	struct listener l = { 0 };
	bool ok;

	mutex_lock(&q->mu);
	ok = q->nr < q->maxmsg;
	if (ok) {
		heap_push_locked(q, m);
		if (q->nr == 1 && !q->nr_receivers)
			take_owner_locked(q, &l);
	}
	mutex_unlock(&q->mu);
	if (ok)
		waitq_wake(&q->receivers, LINUX_POLLIN | LINUX_POLLRDNORM, UINT32_MAX);
	if (l.owner)
		tell(t, &l);
	return ok;
}

long mqueue_send(struct task *t, struct file *f, struct gptr buf, uint64_t len, uint32_t prio, uint64_t deadline_ns)
{
	struct mqueue *q = queue_of(f);
	struct mq_msg *m;
	long ret = 0;

	if (prio >= MQ_PRIO_MAX)
		return -LINUX_EINVAL;
	if (!q || !(f->fmode & FMODE_WRITE))
		return -LINUX_EBADF;
	if (len > q->msgsize)
		return -LINUX_EMSGSIZE;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -LINUX_ENOMEM;
	m->len = len;
	m->prio = prio;
	if (len && copyin(t->u, m->text, buf, len) < 0)
		ret = -LINUX_EFAULT;
	else if (!try_send(t, q, m))
		ret = f->flags & LINUX_O_NONBLOCK ? -LINUX_EAGAIN
						  : wait_event(&q->senders, try_send(t, q, m), SLEEP_INTERRUPTIBLE, deadline_ns);
	if (ret)
		free(m);
	else
		inode_touch(f->inode, true, true, true);
	return ret;
}

static struct mq_msg *try_receive(struct mqueue *q)
{
	struct mq_msg *m;

	mutex_lock(&q->mu);
	m = heap_pop_locked(q);
	mutex_unlock(&q->mu);
	if (m)
		waitq_wake(&q->senders, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
	return m;
}

static void count_receiver(struct mqueue *q, int by)
{
	mutex_lock(&q->mu);
	q->nr_receivers += (uint32_t)by;
	mutex_unlock(&q->mu);
}

static long wait_receive(struct mqueue *q, uint64_t deadline_ns, struct mq_msg **out)
{
	long ret;

	count_receiver(q, 1);
	ret = wait_event(&q->receivers, (*out = try_receive(q)) != NULL, SLEEP_INTERRUPTIBLE, deadline_ns);
	count_receiver(q, -1);
	return ret;
}

long mqueue_receive(struct task *t, struct file *f, struct gptr buf, uint64_t len, struct gptr uprio, uint64_t deadline_ns)
{
	struct mqueue *q = queue_of(f);
	struct mq_msg *m;
	long ret = 0;

	if (!q || !(f->fmode & FMODE_READ))
		return -LINUX_EBADF;
	if (len < q->msgsize)
		return -LINUX_EMSGSIZE;
	m = try_receive(q);
	if (!m)
		ret = f->flags & LINUX_O_NONBLOCK ? -LINUX_EAGAIN : wait_receive(q, deadline_ns, &m);
	if (ret)
		return ret;
	ret = (long)m->len;
	if ((uprio.v && copyout_obj(t->u, uprio, &m->prio) < 0) || (m->len && copyout(t->u, buf, m->text, m->len) < 0))
		ret = -LINUX_EFAULT;
	free(m);
	inode_touch(f->inode, true, true, true);
	return ret;
}

long mqueue_getset(struct file *f, const struct linux_mq_attr *set, struct linux_mq_attr *out_old)
{
	struct mqueue *q = queue_of(f);

	if (set && set->flags & ~(int64_t)LINUX_O_NONBLOCK)
		return -LINUX_EINVAL;
	if (!q)
		return -LINUX_EBADF;
	*out_old = (struct linux_mq_attr){ .flags = f->flags & LINUX_O_NONBLOCK, .maxmsg = q->maxmsg, .msgsize = q->msgsize };
	mutex_lock(&q->mu);
	out_old->curmsgs = q->nr;
	mutex_unlock(&q->mu);
	if (set && set->flags)
		atomic_fetch_or(&f->flags, LINUX_O_NONBLOCK);
	else if (set)
		atomic_fetch_and(&f->flags, ~(uint32_t)LINUX_O_NONBLOCK);
	return 0;
}

/* ---- as a file -------------------------------------------------------------------------------------------------------- */

static long mq_read(struct file *f, struct uio *io, uint64_t *pos, uint32_t rwf)
{
	struct mqueue *q = f->inode->priv;
	struct task *me = task_current();
	char text[128];
	size_t n;
	long ret;

	mutex_lock(&q->mu);
	n = (size_t)snprintf(text, sizeof(text), "QSIZE:%-10lu NOTIFY:%-5d SIGNO:%-5d NOTIFY_PID:%-6u\n", (unsigned long)q->bytes,
			     q->owner ? q->ev.notify : 0, q->owner && q->ev.notify == LINUX_SIGEV_SIGNAL ? q->ev.signo : 0,
			     q->owner && me ? pid_nr(q->owner, task_pid_ns(me)) : 0);
	mutex_unlock(&q->mu);
	if (*pos >= n)
		return 0;
	ret = uio_write(io, text + *pos, MIN(n - (size_t)*pos, io->left));
	if (ret > 0)
		*pos += (uint64_t)ret;
	return ret;
}

static uint32_t mq_poll(struct file *f, struct poll_table *pt)
{
	struct mqueue *q = f->inode->priv;
	uint32_t nr;

	poll_wait(pt, &q->receivers);
	poll_wait(pt, &q->senders);
	mutex_lock(&q->mu);
	nr = q->nr;
	mutex_unlock(&q->mu);
	return (nr ? LINUX_POLLIN | LINUX_POLLRDNORM : 0) | (nr < q->maxmsg ? LINUX_POLLOUT | LINUX_POLLWRNORM : 0);
}

/* mq_close(3) of any descriptor of the queue ends the process's registration. */
static long mq_flush(struct file *f)
{
	unregister(f->inode->priv, task_current());
	return 0;
}

const struct file_ops mqueue_file_ops = {
	.read = mq_read,
	.poll = mq_poll,
	.flush = mq_flush,
};
