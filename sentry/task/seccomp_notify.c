/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/seccomp_notify.c - SECCOMP_RET_USER_NOTIF: calls that another process answers
 *
 * Model:   a listener belongs to one filter and to one open file. A task whose call is to be asked about puts a question, on its own
 *          stack, into the listener's list and sleeps; ioctls of the file receive it, look whether it is still there, put descriptors into
 *          the task, and answer. Whichever end goes first tells the other: without the file calls fail with ENOSYS, without the
 *          filter the file hangs up.
 * Locks:   seccomp_listener.mu, then waitq.mu. Whoever works on a question without it pins it: its task waits until that is over.
 * Hostcalls: getrandom.
 * Source:  seccomp_unotify(2).
 */
#include <string.h>

#include "base/hostcall.h"
#include "sentry/mm/uaccess.h"
#include "sentry/task/ns.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/task_internal.h"

enum question_state { ASKED, RECEIVED, ANSWERED };

struct question {
	struct list node;	/* in listener.questions; guarded by its mu, as all below */
	struct waitq wq;	/* its task, and nobody else */
	struct task *task;	/* borrowed: it sleeps here */
	uint64_t id;
	_Atomic uint32_t state;	/* enum question_state; read without */
	_Atomic uint32_t pins;	/* read without */
	const struct linux_seccomp_data *data;
	int64_t val;		/* the answer */
	int32_t error;
	uint32_t flags;
};

struct seccomp_listener {
	struct refcount ref;	/* filter, file */
	struct mutex mu;
	struct list questions;	/* guarded by mu; oldest first */
	uint64_t next_id;	/* guarded by mu */
	_Atomic bool closed, orphaned; /* the file, the filter is gone */
	bool killable;		/* immutable */
	struct waitq wq;	/* readers and pollers */
};

static void listener_put(struct seccomp_listener *l)
{
	if (ref_put(&l->ref))
		free(l);
}

static void answer(struct question *q, int64_t val, int32_t error, uint32_t flags)
{
	q->val = val;
	q->error = error;
	q->flags = flags;
	atomic_store(&q->state, ANSWERED);
	waitq_wake_all(&q->wq);
}

static struct question *find(struct seccomp_listener *l, uint64_t id)
{
	struct question *q;

	list_for_each_entry (q, &l->questions, node)
		if (q->id == id)
			return q;
	return NULL;
}

/* ---- the task that asks ------------------------------------------------------------------------------------ */

static bool put_question(struct seccomp_listener *l, struct question *q)
{
	bool open;

	mutex_lock(&l->mu);
	open = !l->closed;
	if (open) {
		q->id = l->next_id++;
		list_add_tail(&l->questions, &q->node);
	}
	mutex_unlock(&l->mu);
	if (open)
		waitq_wake(&l->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
	return open;
}

static void take_back(struct seccomp_listener *l, struct question *q)
{
	mutex_lock(&l->mu);
	list_del_init(&q->node);
	mutex_unlock(&l->mu);
	/* Who pinned it while it was in the list. */
	wait_event(&q->wq, !atomic_load(&q->pins), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	mutex_lock(&l->mu); /* and has let go of it */
	mutex_unlock(&l->mu);
}

bool seccomp_ask(struct seccomp_listener *l, struct task *t, const struct linux_seccomp_data *d, long *ret)
{
	struct question q = { .task = t, .data = d, .state = ASKED };
	enum sleep_kind kind = SLEEP_INTERRUPTIBLE;
	long err;

	waitq_init(&q.wq);
	if (!put_question(l, &q))
		return false; /* ENOSYS */
	do {
		err = wait_event(&q.wq, atomic_load(&q.state) == ANSWERED, kind, NO_DEADLINE);
		if (!err || kind == SLEEP_KILLABLE || !l->killable || atomic_load(&q.state) == ASKED)
			break;
		kind = SLEEP_KILLABLE; /* it is being worked on: only the end stops that */
	} while (true);
	take_back(l, &q);
	if (err && q.state != ANSWERED) {
		*ret = err;
		return false;
	}
	if (q.flags & LINUX_SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return true;
	*ret = seccomp_result(t, q.error ? q.error : q.val);
	return false;
}

/* ---- the file ------------------------------------------------------------------------------------------------ */

/* The oldest question that nobody has received yet becomes this caller's. */
static bool receive(struct seccomp_listener *l, struct task *t, struct linux_seccomp_notif *out)
{
	struct question *q;
	bool got = false;

	mutex_lock(&l->mu);
	list_for_each_entry (q, &l->questions, node)
		if (q->state == ASKED) {
			out->id = q->id;
			out->pid = task_pid_nr(q->task, task_pid_ns(t));
			out->data = *q->data;
			atomic_store(&q->state, RECEIVED);
			got = true;
			break;
		}
	mutex_unlock(&l->mu);
	return got;
}

static void unreceive(struct seccomp_listener *l, uint64_t id)
{
	struct question *q;

	mutex_lock(&l->mu);
	q = find(l, id);
	if (q && q->state == RECEIVED)
		atomic_store(&q->state, ASKED);
	mutex_unlock(&l->mu);
	waitq_wake(&l->wq, LINUX_POLLIN | LINUX_POLLRDNORM, 1);
}

static long notif_recv(struct seccomp_listener *l, struct task *t, struct gptr arg)
{
	static const struct linux_seccomp_notif zero;
	struct linux_seccomp_notif n;
	bool got = false;
	long ret;

	if (copyin_obj(t->u, &n, arg) < 0)
		return -LINUX_EFAULT;
	if (memcmp(&n, &zero, sizeof(n)))
		return -LINUX_EINVAL;
	ret = wait_event(&l->wq, (got = receive(l, t, &n)) || atomic_load(&l->orphaned), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
	if (!got)
		return ret ?: -LINUX_ENOENT; /* nobody will ever ask again */
	waitq_wake(&l->wq, LINUX_POLLOUT | LINUX_POLLWRNORM, UINT32_MAX);
	if (copyout_obj(t->u, arg, &n) < 0) {
		unreceive(l, n.id);
		return -LINUX_EFAULT;
	}
	return 0;
}

static long notif_send(struct seccomp_listener *l, struct task *t, struct gptr arg)
{
	struct linux_seccomp_notif_resp r;
	struct question *q;
	long ret = 0;

	if (copyin_obj(t->u, &r, arg) < 0)
		return -LINUX_EFAULT;
	if (r.flags & ~LINUX_SECCOMP_USER_NOTIF_FLAG_CONTINUE)
		return -LINUX_EINVAL;
	if ((r.flags & LINUX_SECCOMP_USER_NOTIF_FLAG_CONTINUE) && (r.error || r.val))
		return -LINUX_EINVAL;
	mutex_lock(&l->mu);
	q = find(l, r.id);
	if (!q)
		ret = -LINUX_ENOENT;
	else if (q->state != RECEIVED)
		ret = -LINUX_EINPROGRESS;
	else
		answer(q, r.val, r.error, r.flags);
	mutex_unlock(&l->mu);
	return ret;
}

static long notif_id_valid(struct seccomp_listener *l, struct task *t, struct gptr arg)
{
	struct question *q;
	uint64_t id;
	bool valid;

	if (copyin_obj(t->u, &id, arg) < 0)
		return -LINUX_EFAULT;
	mutex_lock(&l->mu);
	q = find(l, id);
	valid = q && q->state == RECEIVED;
	mutex_unlock(&l->mu);
	return valid ? 0 : -LINUX_ENOENT;
}

static long addfd_copyin(struct task *t, struct gptr arg, size_t size, struct linux_seccomp_notif_addfd *out)
{
	long ret;

	if (size < sizeof(*out) || size >= PAGE_SIZE)
		return -LINUX_EINVAL;
	ret = copyin_struct(t->u, out, sizeof(*out), arg, size);
	if (ret < 0)
		return ret;
	if (out->newfd_flags & ~(uint32_t)LINUX_O_CLOEXEC ||
	    out->flags & ~(LINUX_SECCOMP_ADDFD_FLAG_SETFD | LINUX_SECCOMP_ADDFD_FLAG_SEND) ||
	    (out->newfd && !(out->flags & LINUX_SECCOMP_ADDFD_FLAG_SETFD)))
		return -LINUX_EINVAL;
	return 0;
}

static long install(struct task *to, const struct linux_seccomp_notif_addfd *a, struct file *f)
{
	bool cloexec = a->newfd_flags & LINUX_O_CLOEXEC;
	uint64_t limit = task_rlimit(to, LINUX_RLIMIT_NOFILE);
	struct fdtable *fds = task_fdtable(to);
	long ret = -LINUX_ESRCH;

	if (!fds)
		return ret;
	if (a->flags & LINUX_SECCOMP_ADDFD_FLAG_SETFD)
		ret = fdtable_install_at(fds, (int)a->newfd, f, cloexec, limit);
	else
		ret = fdtable_install(fds, f, 0, cloexec, limit);
	fdtable_put(fds);
	return ret;
}

/* The descriptor in the asking task; with SEND it is the answer, too. */
static long notif_addfd(struct seccomp_listener *l, struct task *t, struct gptr arg, size_t size)
{
	struct linux_seccomp_notif_addfd a;
	struct question *q;
	struct file *f;
	long ret = addfd_copyin(t, arg, size, &a);

	if (ret < 0)
		return ret;
	f = fdtable_file(t->fds, (int)a.srcfd, true);
	if (!f)
		return -LINUX_EBADF;
	mutex_lock(&l->mu);
	q = find(l, a.id);
	if (!q)
		ret = -LINUX_ENOENT;
	else if (q->state != RECEIVED)
		ret = -LINUX_EINPROGRESS;
	else if ((a.flags & LINUX_SECCOMP_ADDFD_FLAG_SEND) && q->pins)
		ret = -LINUX_EBUSY; /* another one is on its way */
	else
		atomic_fetch_add(&q->pins, 1);
	mutex_unlock(&l->mu);
	if (!ret) {
		ret = install(q->task, &a, f);
		mutex_lock(&l->mu);
		if (ret >= 0 && (a.flags & LINUX_SECCOMP_ADDFD_FLAG_SEND) && q->state == RECEIVED)
			answer(q, ret, 0, 0);
		atomic_fetch_sub(&q->pins, 1);
		waitq_wake_all(&q->wq);
		mutex_unlock(&l->mu);
	}
	file_put(f);
	return ret;
}

/* On whose processor who is woken: hints to a scheduler that is not here. */
static long notif_set_flags(uint64_t flags)
{
	return flags & ~(uint64_t)LINUX_SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP ? -LINUX_EINVAL : 0;
}

#define IOC_SIZE(cmd)	    ((cmd) >> 16 & 0x3fffu)
#define IOC_WITHOUT_SIZE(c) ((c) & ~(0x3fffu << 16))

static long listener_ioctl(struct file *f, struct uthread *u, uint32_t cmd, uint64_t arg)
{
	struct seccomp_listener *l = f->priv;
	struct task *t = task_current();

	switch (cmd) {
	case LINUX_SECCOMP_IOCTL_NOTIF_RECV:
		return notif_recv(l, t, GPTR(arg));
	case LINUX_SECCOMP_IOCTL_NOTIF_SEND:
		return notif_send(l, t, GPTR(arg));
	case LINUX_SECCOMP_IOCTL_NOTIF_ID_VALID:
	case LINUX_SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR:
		return notif_id_valid(l, t, GPTR(arg));
	case LINUX_SECCOMP_IOCTL_NOTIF_SET_FLAGS:
		return notif_set_flags(arg);
	}
	if (IOC_WITHOUT_SIZE(cmd) == IOC_WITHOUT_SIZE(LINUX_SECCOMP_IOCTL_NOTIF_ADDFD))
		return notif_addfd(l, t, GPTR(arg), IOC_SIZE(cmd));
	return -LINUX_EINVAL;
}

static uint32_t listener_poll(struct file *f, struct poll_table *pt)
{
	struct seccomp_listener *l = f->priv;
	uint32_t mask = atomic_load(&l->orphaned) ? LINUX_POLLHUP : 0;
	struct question *q;

	poll_wait(pt, &l->wq);
	mutex_lock(&l->mu);
	list_for_each_entry (q, &l->questions, node) {
		if (q->state == ASKED)
			mask |= LINUX_POLLIN | LINUX_POLLRDNORM;
		if (q->state == RECEIVED)
			mask |= LINUX_POLLOUT | LINUX_POLLWRNORM;
	}
	mutex_unlock(&l->mu);
	return mask | (atomic_load(&l->orphaned) ? LINUX_POLLHUP : 0);
}

static void listener_release(struct file *f)
{
	struct seccomp_listener *l = f->priv;
	struct question *q;

	mutex_lock(&l->mu);
	atomic_store(&l->closed, true);
	list_for_each_entry (q, &l->questions, node)
		if (q->state != ANSWERED)
			answer(q, 0, -LINUX_ENOSYS, 0);
	mutex_unlock(&l->mu);
	listener_put(l);
}

static const struct file_ops listener_fops = {
	.ioctl = listener_ioctl,
	.poll = listener_poll,
	.release = listener_release,
};

/* ---- life -------------------------------------------------------------------------------------------------------- */

long seccomp_listener_new(struct task *t, bool killable, struct seccomp_listener **out, struct file **out_file)
{
	struct seccomp_listener *l = calloc(1, sizeof(*l));
	long ret;

	if (!l)
		return -LINUX_ENOMEM;
	ref_init(&l->ref, 2);
	list_init(&l->questions);
	mutex_init(&l->mu);
	waitq_init(&l->wq);
	l->killable = killable;
	host_call(getrandom, &l->next_id, sizeof(l->next_id), 0);
	ret = anon_file_new("seccomp notify", &listener_fops, l, LINUX_O_RDWR, t->cred, out_file);
	if (ret < 0)
		free(l);
	else
		*out = l;
	return ret;
}

bool seccomp_listener_open(struct seccomp_listener *l)
{
	return !atomic_load(&l->closed);
}

void seccomp_listener_orphan(struct seccomp_listener *l)
{
	if (!l)
		return;
	atomic_store(&l->orphaned, true);
	waitq_wake(&l->wq, LINUX_POLLHUP, UINT32_MAX);
	listener_put(l);
}
