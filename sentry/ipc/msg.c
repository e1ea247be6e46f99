/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/msg.c - msgget(2), msgsnd(2), msgrcv(2), msgctl(2)
 *
 * Model:   messages are copied in before and out after the queue's mutex; who finds the queue full, or no message of the wanted type,
 *          sleeps and looks again at each change.
 * Locks:   msq.mu (leaf).
 * Source:  msgget(2), msgop(2), msgctl(2).
 */
#include <string.h>

#include "sentry/ipc/ipc.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"


struct msg {
	struct list node;
	int64_t type;
	size_t len;
	char text[];
};

struct msq {
	struct ipc_obj o;
	struct mutex mu;
	struct waitq senders, receivers;
	struct list msgs;	/* guarded by mu, as all below */
	uint64_t cbytes, qnum, qbytes;
	int64_t stime, rtime, ctime;
	struct pid *lspid, *lrpid; /* references */
};

static void msq_free(struct ipc_obj *o)
{
	struct msq *q = container_of(o, struct msq, o);
	struct msg *m, *tmp;

	list_for_each_entry_safe (m, tmp, &q->msgs, node)
		free(m);
	pid_put(q->lspid);
	pid_put(q->lrpid);
	free(q);
}

static long make(struct task *t, void *arg, struct ipc_obj **out)
{
	struct msq *q = calloc(1, sizeof(*q));

	if (!q)
		return -LINUX_ENOMEM;
	q->o.free = msq_free;
	mutex_init(&q->mu);
	waitq_init(&q->senders);
	waitq_init(&q->receivers);
	list_init(&q->msgs);
	q->qbytes = ipc_limit(t->ns->ipc, IPC_LIM_MSGMNB);
	q->ctime = ipc_time();
	*out = &q->o;
	return 0;
}

long msg_get(struct task *t, int32_t key, int flags)
{
	static const struct ipc_get_ops ops = { make, NULL };

	return ipc_get(t, IPC_KIND_MSG, key, flags, &ops, NULL);
}

static void set_pid(struct pid **p, struct task *t)
{
	pid_put(*p);
	*p = pid_get(t->group->pid);
}

/* ---- sending ------------------------------------------------------------------------------------------------ */

/* 0 queued (@m is the queue's), 1 full, -LINUX_EIDRM. */
static long try_send(struct task *t, struct msq *q, struct msg *m)
{
	long ret = 0;

	mutex_lock(&q->mu);
	if (atomic_load(&q->o.removed)) {
		ret = -LINUX_EIDRM;
	} else if (q->cbytes + m->len > q->qbytes || q->qnum + 1 > q->qbytes) {
		ret = 1;
	} else {
		list_add_tail(&q->msgs, &m->node);
		q->cbytes += m->len;
		q->qnum++;
		q->stime = ipc_time();
		set_pid(&q->lspid, t);
	}
	mutex_unlock(&q->mu);
	if (!ret)
		waitq_wake_all(&q->receivers);
	return ret;
}

long msg_send(struct task *t, int id, struct gptr buf, uint64_t len, int flags)
{
	struct ipc_obj *o;
	struct msq *q;
	struct msg *m;
	long ret, slept;

	if (len > ipc_limit(t->ns->ipc, IPC_LIM_MSGMAX) || id < 0)
		return -LINUX_EINVAL;
	m = malloc(sizeof(*m) + len);
	if (!m)
		return -LINUX_ENOMEM;
	m->len = len;
	ret = copyin_obj(t->u, &m->type, buf);
	if (!ret && len)
		ret = copyin(t->u, m->text, GPTR(buf.v + sizeof(m->type)), len);
	if (!ret && m->type < 1)
		ret = -LINUX_EINVAL;
	if (!ret)
		ret = ipc_find(t, IPC_KIND_MSG, id, 0222, &o);
	if (ret < 0) {
		free(m);
		return ret;
	}
	q = container_of(o, struct msq, o);
	ret = try_send(t, q, m);
	if (ret == 1 && (flags & LINUX_IPC_NOWAIT)) {
		ret = -LINUX_EAGAIN;
	} else if (ret == 1) {
		slept = wait_event(&q->senders, (ret = try_send(t, q, m)) != 1, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret == 1)
			ret = slept < 0 ? -ERESTARTNOHAND : 0;
	}
	if (ret)
		free(m);
	ipc_obj_put(o);
	return ret;
}

/* ---- receiving ------------------------------------------------------------------------------------------------- */

struct request {
	uint64_t cap;
	int64_t type;
	int flags;
	struct msg *got;	/* taken, or (MSG_COPY) a copy */
};

static struct msg *select_locked(struct msq *q, const struct request *r)
{
	struct msg *m, *best = NULL;
	int64_t n = 0;

	list_for_each_entry (m, &q->msgs, node) {
		if (r->flags & LINUX_MSG_COPY) {
			if (n++ == r->type)
				return m;
		} else if (r->type == 0 ||
			   (r->type > 0 && (m->type == r->type) == !(r->flags & LINUX_MSG_EXCEPT))) {
			return m;
		} else if (r->type < 0 && m->type <= -r->type && (!best || m->type < best->type)) {
			best = m;
		}
	}
	return best;
}

static struct msg *copy_of(const struct msg *m)
{
	struct msg *c = malloc(sizeof(*c) + m->len);

	if (c)
		memcpy(c, m, sizeof(*m) + m->len);
	return c;
}

/* 0 got one, 1 none there, -LINUX_E2BIG, -LINUX_EIDRM, -LINUX_ENOMEM. */
static long try_receive(struct task *t, struct msq *q, struct request *r)
{
	struct msg *m;
	long ret = 0;

	mutex_lock(&q->mu);
	m = select_locked(q, r);
	if (atomic_load(&q->o.removed)) {
		ret = -LINUX_EIDRM;
	} else if (!m) {
		ret = 1;
	} else if (m->len > r->cap && !(r->flags & LINUX_MSG_NOERROR)) {
		ret = -LINUX_E2BIG;
	} else if (r->flags & LINUX_MSG_COPY) {
		r->got = copy_of(m);
		ret = r->got ? 0 : -LINUX_ENOMEM;
	} else {
		list_del_init(&m->node);
		q->cbytes -= m->len;
		q->qnum--;
		q->rtime = ipc_time();
		set_pid(&q->lrpid, t);
		r->got = m;
	}
	mutex_unlock(&q->mu);
	if (r->got && !(r->flags & LINUX_MSG_COPY))
		waitq_wake_all(&q->senders);
	return ret;
}

long msg_receive(struct task *t, int id, struct gptr buf, uint64_t len, int64_t type, int flags)
{
	struct request r = { .cap = len, .type = type, .flags = flags };
	struct ipc_obj *o;
	struct msq *q;
	long ret, slept;

	if ((int64_t)len < 0 || id < 0)
		return -LINUX_EINVAL;
	if ((flags & LINUX_MSG_COPY) && ((flags & LINUX_MSG_EXCEPT) || !(flags & LINUX_IPC_NOWAIT)))
		return -LINUX_EINVAL;
	if (type == INT64_MIN)
		r.type = -INT64_MAX;
	ret = ipc_find(t, IPC_KIND_MSG, id, 0444, &o);
	if (ret < 0)
		return ret;
	q = container_of(o, struct msq, o);
	ret = try_receive(t, q, &r);
	if (ret == 1 && (flags & LINUX_IPC_NOWAIT)) {
		ret = -LINUX_ENOMSG;
	} else if (ret == 1) {
		slept = wait_event(&q->receivers, (ret = try_receive(t, q, &r)) != 1, SLEEP_INTERRUPTIBLE, NO_DEADLINE);
		if (ret == 1)
			ret = slept < 0 ? -ERESTARTNOHAND : 0;
	}
	if (!ret) {
		len = MIN(len, (uint64_t)r.got->len);
		ret = copyout_obj(t->u, buf, &r.got->type);
		if (!ret && len)
			ret = copyout(t->u, GPTR(buf.v + sizeof(r.got->type)), r.got->text, len);
		if (!ret)
			ret = (long)len;
		free(r.got);
	}
	ipc_obj_put(o);
	return ret;
}

/* ---- msgctl ------------------------------------------------------------------------------------------------------- */

static void add_up(struct ipc_obj *o, void *arg)
{
	struct linux_msginfo *mi = arg;
	struct msq *q = container_of(o, struct msq, o);

	mi->msgmap += (int32_t)q->qnum;
	mi->msgtql += (int32_t)q->cbytes;
}

static long info(struct task *t, int cmd, struct gptr buf)
{
	struct linux_msginfo mi = { .msgssz = 16, .msgseg = 0xffff };

	mi.msgmax = (int32_t)ipc_limit(t->ns->ipc, IPC_LIM_MSGMAX);
	mi.msgmnb = (int32_t)ipc_limit(t->ns->ipc, IPC_LIM_MSGMNB);
	mi.msgmni = (int32_t)ipc_limit(t->ns->ipc, IPC_LIM_MSGMNI);
	if (cmd == LINUX_MSG_INFO) {
		mi.msgpool = (int32_t)t->ns->ipc->ids[IPC_KIND_MSG].nr;
		ipc_for_each(t->ns->ipc, IPC_KIND_MSG, add_up, &mi);
	} else {
		mi.msgmap = mi.msgtql = mi.msgmnb;
		mi.msgpool = (int32_t)((int64_t)mi.msgmni * mi.msgmnb / 1024);
	}
	return copyout_obj(t->u, buf, &mi) ?: ipc_highest_index(t->ns->ipc, IPC_KIND_MSG);
}

void msg_show(struct ipc_obj *o, void *show)
{
	struct ipc_show *w = show;
	struct msq *q = container_of(o, struct msq, o);
	struct user_ns *ns = w->viewer->cred->user_ns;
	struct pid_ns *pids = task_pid_ns(w->viewer);

	mutex_lock(&q->mu);
	buf_printf(w->out, "%10d %10d  %4o  %10lu %10lu %5u %5u %5u %5u %5u %5u %10lld %10lld %10lld\n", o->key, o->id, o->mode & 07777,
		   (unsigned long)q->cbytes, (unsigned long)q->qnum, pid_nr(q->lspid, pids), pid_nr(q->lrpid, pids),
		   id_from_kernel_munged(ns, false, o->uid), id_from_kernel_munged(ns, true, o->gid),
		   id_from_kernel_munged(ns, false, o->cuid), id_from_kernel_munged(ns, true, o->cgid),
		   (long long)q->stime, (long long)q->rtime, (long long)q->ctime);
	mutex_unlock(&q->mu);
}

static void fill(struct task *t, struct msq *q, struct linux_msqid64_ds *ds)
{
	*ds = (struct linux_msqid64_ds){ 0 };
	ipc_fill_perm(t, &q->o, &ds->perm);
	mutex_lock(&q->mu);
	ds->stime = q->stime;
	ds->rtime = q->rtime;
	ds->ctime = q->ctime;
	ds->cbytes = q->cbytes;
	ds->qnum = q->qnum;
	ds->qbytes = q->qbytes;
	ds->lspid = (int32_t)pid_nr(q->lspid, task_pid_ns(t));
	ds->lrpid = (int32_t)pid_nr(q->lrpid, task_pid_ns(t));
	mutex_unlock(&q->mu);
}

static long set(struct task *t, struct msq *q, struct gptr buf)
{
	struct linux_msqid64_ds ds;
	long ret = copyin_obj(t->u, &ds, buf);

	if (ret < 0)
		return ret;
	if (ds.qbytes > ipc_limit(t->ns->ipc, IPC_LIM_MSGMNB) && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_RESOURCE))
		return -LINUX_EPERM;
	ret = ipc_set_perm(t, &q->o, &ds.perm);
	if (ret < 0)
		return ret;
	mutex_lock(&q->mu);
	q->qbytes = ds.qbytes;
	q->ctime = ipc_time();
	mutex_unlock(&q->mu);
	waitq_wake_all(&q->senders);
	return 0;
}

long msg_control(struct task *t, int id, int cmd, struct gptr buf)
{
	struct linux_msqid64_ds ds;
	struct ipc_obj *o;
	struct msq *q;
	long ret;

	if (cmd == LINUX_IPC_INFO || cmd == LINUX_MSG_INFO)
		return info(t, cmd, buf);
	if (cmd == LINUX_MSG_STAT || cmd == LINUX_MSG_STAT_ANY)
		ret = ipc_find_index(t, IPC_KIND_MSG, id, cmd == LINUX_MSG_STAT ? 0444 : 0, &o);
	else
		ret = ipc_find(t, IPC_KIND_MSG, id, cmd == LINUX_IPC_STAT ? 0444 : 0, &o);
	if (ret < 0)
		return ret;
	q = container_of(o, struct msq, o);
	switch (cmd) {
	case LINUX_IPC_STAT:
	case LINUX_MSG_STAT:
	case LINUX_MSG_STAT_ANY:
		fill(t, q, &ds);
		ret = copyout_obj(t->u, buf, &ds);
		if (!ret && cmd != LINUX_IPC_STAT)
			ret = o->id;
		break;
	case LINUX_IPC_SET:
		ret = set(t, q, buf);
		break;
	case LINUX_IPC_RMID:
		ret = ipc_remove(t, IPC_KIND_MSG, o);
		if (!ret) {
			waitq_wake_all(&q->senders);
			waitq_wake_all(&q->receivers);
		}
		break;
	default:
		ret = -LINUX_EINVAL;
	}
	ipc_obj_put(o);
	return ret;
}
