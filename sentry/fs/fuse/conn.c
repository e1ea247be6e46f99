/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fuse/conn.c - connections and their queues of requests
 *
 * Model:   a request is queued (PENDING), read by the daemon (SENT), answered (DONE). A signal makes an INTERRUPT of it, for the
 *          daemon to answer sooner. A waiter that is killed takes a pending request back and leaves a sent one
 *          behind as an orphan.
 *
 *		waiter, killed			daemon, answering
 *		lock; state is SENT		lock; takes it off processing
 *		orphan = true			copies the answer
 *		unlock; puts its reference	lock; sees orphan; DONE; unlock; late()
 *
 *          The answer's buffer belongs to the request, which the daemon's side holds: it cannot go under the copy.
 * Locks:   fuse_conn.mu.
 * Differs: Linux lets a killed waiter sleep until a request that was read is answered; here it goes.
 */
#include <stdlib.h>

#include "sentry/fs/fuse/fuse_internal.h"
#include "sentry/task/signal.h"

/* ---- life ---- */

struct fuse_conn *fuse_conn_new(struct user_ns *user_ns, struct pid_ns *pid_ns)
{
	struct fuse_conn *fc = calloc(1, sizeof(*fc));

	if (!fc)
		return NULL;
	ref_init(&fc->ref, 1);
	mutex_init(&fc->mu);
	list_init(&fc->pending);
	list_init(&fc->interrupts);
	for (size_t k = 0; k < FUSE_PROC_HASH; k++)
		list_init(&fc->processing[k]);
	fc->forgets_end = &fc->forgets;
	waitq_init(&fc->dev_q);
	waitq_init(&fc->ready_q);
	fc->connected = true;
	fc->attr_version = 1;
	fc->user_ns = user_ns_get(user_ns);
	fc->pid_ns = pid_ns_get(pid_ns);
	fc->max_read = UINT32_MAX;
	return fc;
}

struct fuse_conn *fuse_conn_get(struct fuse_conn *fc)
{
	ref_get(&fc->ref);
	return fc;
}

static void forgets_free(struct fuse_forget *f)
{
	while (f) {
		struct fuse_forget *next = f->next;

		free(f);
		f = next;
	}
}

void fuse_conn_put(struct fuse_conn *fc)
{
	if (!fc || !ref_put(&fc->ref))
		return;
	forgets_free(fc->forgets);
	user_ns_put(fc->user_ns);
	pid_ns_put(fc->pid_ns);
	free(fc);
}

void fuse_conn_abort(struct fuse_conn *fc)
{
	struct list dead = LIST_HEAD_INIT(dead);
	struct fuse_forget *forgets;

	mutex_lock(&fc->mu);
	if (!fc->connected) {
		mutex_unlock(&fc->mu);
		return;
	}
	atomic_store(&fc->connected, false);
	atomic_store(&fc->ready, true);
	list_splice_tail_init(&fc->pending, &dead);
	for (size_t k = 0; k < FUSE_PROC_HASH; k++)
		list_splice_tail_init(&fc->processing[k], &dead);
	forgets = fc->forgets;
	fc->forgets = NULL;
	fc->forgets_end = &fc->forgets;
	mutex_unlock(&fc->mu);
	forgets_free(forgets);
	waitq_wake_all(&fc->ready_q);
	waitq_wake_all(&fc->dev_q);
	for (;;) {
		struct fuse_req *r;

		/* the lists' own lock: a killed waiter may take its request off @dead */
		mutex_lock(&fc->mu);
		if (list_empty(&dead)) {
			mutex_unlock(&fc->mu);
			return;
		}
		r = list_first(&dead, struct fuse_req, node);
		list_del_init(&r->node);
		atomic_store(&r->state, FUSE_REQ_SENT);
		mutex_unlock(&fc->mu);
		fuse_req_finish(r, -LINUX_ECONNABORTED);
	}
}

/* ---- requests ---- */

static long set_ids(struct fuse_conn *fc, struct fuse_in_header *h, const struct cred *c)
{
	struct task *t = task_current();

	if (!c)
		return 0;
	h->uid = id_from_kernel(fc->user_ns, false, c->fsuid);
	h->gid = id_from_kernel(fc->user_ns, true, c->fsgid);
	h->pid = t ? task_pid_nr(t, fc->pid_ns) : 0;
	return h->uid == ID_INVALID || h->gid == ID_INVALID ? -LINUX_EOVERFLOW : 0;
}

long fuse_req_new(struct fuse_conn *fc, uint32_t opcode, uint64_t nodeid, const struct cred *c, size_t in_len, size_t out_cap,
		  struct fuse_req **out)
{
	size_t total = sizeof(struct fuse_in_header) + in_len;
	struct fuse_req *r = calloc(1, sizeof(*r));
	struct fuse_in_header *h;
	long ret;

	if (!r)
		return -LINUX_ENOMEM;
	ref_init(&r->ref, 1);
	r->fc = fuse_conn_get(fc);
	list_init(&r->node);
	list_init(&r->intr_node);
	waitq_init(&r->wq);
	r->in_len = (uint32_t)total;
	r->out_cap = (uint32_t)out_cap;
	r->in = calloc(1, total);
	r->out = out_cap ? malloc(out_cap) : NULL;
	if (!r->in || (out_cap && !r->out)) {
		fuse_req_put(r);
		return -LINUX_ENOMEM;
	}
	h = fuse_req_head(r);
	*h = (struct fuse_in_header){ .len = r->in_len, .opcode = opcode, .nodeid = nodeid };
	ret = set_ids(fc, h, c);
	if (ret)
		fuse_req_put(r);
	else
		*out = r;
	return ret;
}

void fuse_req_put(struct fuse_req *r)
{
	if (!r || !ref_put(&r->ref))
		return;
	fuse_conn_put(r->fc);
	free(r->in);
	free(r->out);
	free(r);
}

void fuse_req_finish(struct fuse_req *r, int error)
{
	struct fuse_conn *fc = r->fc;
	bool orphan;

	mutex_lock(&fc->mu);
	list_del_init(&r->intr_node);
	fc->nr_reqs--;
	orphan = r->orphan;
	r->error = error;
	atomic_store_explicit(&r->state, FUSE_REQ_DONE, memory_order_release);
	mutex_unlock(&fc->mu);
	if (r->end)
		r->end(r);
	else if (orphan && !error && r->late)
		r->late(r);
	waitq_wake_all(&r->wq);
	fuse_req_put(r);
}

void fuse_queue_interrupt_locked(struct fuse_req *r)
{
	struct fuse_conn *fc = r->fc;

	if (!list_empty(&r->intr_node) || !fc->connected || !fuse_knows(fc, FUSE_NO_INTERRUPT))
		return;
	list_add_tail(&fc->interrupts, &r->intr_node);
	waitq_wake_one(&fc->dev_q);
}

/* @force: also beyond the bound and before INIT was answered, for what must not fail. */
static long enqueue(struct fuse_req *r, bool force)
{
	struct fuse_conn *fc = r->fc;
	long ret = 0;

	mutex_lock(&fc->mu);
	if (!fc->connected) {
		ret = -LINUX_ENOTCONN;
	} else if (fc->nr_reqs >= FUSE_REQS_MAX && !force) {
		ret = -LINUX_ENOMEM;
	} else {
		fc->nr_reqs++;
		fc->next_unique += 2;
		fuse_req_head(r)->unique = fc->next_unique;
		atomic_store(&r->state, FUSE_REQ_PENDING);
		ref_get(&r->ref);
		list_add_tail(&fc->pending, &r->node);
	}
	mutex_unlock(&fc->mu);
	if (!ret)
		waitq_wake_one(&fc->dev_q);
	return ret;
}

static bool done(struct fuse_req *r)
{
	return atomic_load_explicit(&r->state, memory_order_acquire) == FUSE_REQ_DONE;
}

static void interrupt(struct fuse_req *r)
{
	mutex_lock(&r->fc->mu);
	r->interrupted = true;
	if (r->state == FUSE_REQ_SENT)
		fuse_queue_interrupt_locked(r);
	mutex_unlock(&r->fc->mu);
}

/* The waiter goes. Return: the answer came after all */
static bool give_up(struct fuse_req *r)
{
	struct fuse_conn *fc = r->fc;
	bool was_done, taken = false;

	mutex_lock(&fc->mu);
	was_done = r->state == FUSE_REQ_DONE;
	if (r->state == FUSE_REQ_PENDING) {
		list_del_init(&r->node);
		list_del_init(&r->intr_node);
		fc->nr_reqs--;
		taken = true;
	} else {
		r->orphan = true;
	}
	mutex_unlock(&fc->mu);
	if (taken)
		fuse_req_put(r);
	return was_done;
}

/* A process at its end cannot be interrupted, so nothing may hold it for long: killed ones do not wait at all. */
static long wait_at_exit(struct fuse_req *r, struct task *t)
{
	struct fuse_conn *fc = r->fc;
	long ret;

	if ((t->group->exit_status & 0x7f) == LINUX_SIGKILL || atomic_load(&fc->late_flush))
		return done(r) ? 0 : -ERESTARTSYS;
	ret = wait_event(&r->wq, done(r), SLEEP_KILLABLE, now_ns() + FUSE_EXIT_WAIT_NS);
	atomic_store(&fc->late_flush, ret != 0);
	return ret;
}

static long wait_answer(struct fuse_req *r)
{
	struct task *t = task_current();
	long ret;

	if (t && t->sig->exiting) {
		ret = wait_at_exit(r, t);
	} else {
		ret = wait_event(&r->wq, done(r), SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret) {
			interrupt(r);
			ret = wait_event(&r->wq, done(r), SLEEP_KILLABLE, NO_DEADLINE);
		}
	}
	if (ret && !give_up(r))
		return -LINUX_EINTR;
	return r->error ? r->error : (long)r->out_len;
}

long fuse_req_wait(struct fuse_req *r)
{
	struct fuse_conn *fc = r->fc;
	long ret = 0;

	if (unlikely(!atomic_load_explicit(&fc->ready, memory_order_acquire)) &&
	    wait_event(&fc->ready_q, atomic_load(&fc->ready), SLEEP_KILLABLE, NO_DEADLINE))
		return -LINUX_EINTR;
	if (fc->refused)
		ret = -LINUX_ECONNREFUSED;
	if (!ret)
		ret = enqueue(r, false);
	return ret ? ret : wait_answer(r);
}

void fuse_req_background(struct fuse_req *r)
{
	if (enqueue(r, true) && r->end) {
		r->error = -LINUX_ENOTCONN;
		r->end(r);
	}
	fuse_req_put(r);
}

void fuse_forget(struct fuse_conn *fc, struct fuse_forget *f, uint64_t nodeid, uint64_t nlookup)
{
	if (!f)
		f = malloc(sizeof(*f));
	if (!f)
		return; /* the daemon keeps it until the end */
	*f = (struct fuse_forget){ .nodeid = nodeid, .nlookup = nlookup };
	mutex_lock(&fc->mu);
	if (fc->connected && nlookup) {
		*fc->forgets_end = f;
		fc->forgets_end = &f->next;
		f = NULL;
	}
	mutex_unlock(&fc->mu);
	if (f)
		free(f);
	else
		waitq_wake_one(&fc->dev_q);
}

bool fuse_knows(struct fuse_conn *fc, enum fuse_missing what)
{
	return !(atomic_load_explicit(&fc->missing, memory_order_relaxed) & 1u << what);
}

bool fuse_is_missing(struct fuse_conn *fc, enum fuse_missing what, long ret)
{
	if (ret != -LINUX_ENOSYS)
		return false;
	atomic_fetch_or(&fc->missing, 1u << what);
	return true;
}

const struct cred *fuse_cred(void)
{
	struct task *t = task_current();

	return t ? t->cred : NULL;
}

long fuse_call(struct fuse_conn *fc, const struct fuse_call *c)
{
	struct fuse_req *r;
	size_t len = 0;
	uint8_t *p;
	long ret;

	for (unsigned k = 0; k < c->nr_in; k++)
		len += c->in[k].len;
	ret = fuse_req_new(fc, c->opcode, c->nodeid, c->cred ? c->cred : fuse_cred(), len, c->out_len, &r);
	if (ret)
		return ret;
	p = fuse_req_args(r);
	for (unsigned k = 0; k < c->nr_in; k++) {
		memcpy(p, c->in[k].p, c->in[k].len);
		p += c->in[k].len;
	}
	r->out_var = c->out_var;
	r->late = c->late;
	ret = fuse_req_wait(r);
	if (ret > 0)
		memcpy(c->out, r->out, (size_t)ret);
	fuse_req_put(r);
	return ret;
}
