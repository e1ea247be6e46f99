/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/sem.c - semget(2), semop(2), semtimedop(2), semctl(2)
 *
 * Model:   an operation array is tried as a whole under the set's mutex; what cannot be done sleeps and tries again whenever the set
 *          changes. The semaphore that blocked it is remembered for GETNCNT and GETZCNT.
 * Locks:   sem_set.mu (leaf).
 * Source:  semget(2), semop(2), semctl(2).
 */
#include <string.h>

#include "sentry/ipc/ipc.h"
#include "sentry/ipc/sem_undo.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"

#define SEM_VMX 32767
#define SEM_AEM SEM_VMX

struct sem {
	uint16_t val, ncnt, zcnt;
	struct pid *pid; /* last changer; reference */
};

struct sem_set {
	struct ipc_obj o;
	struct mutex mu;
	struct waitq wq;
	int64_t otime, ctime;	/* guarded by mu */
	unsigned nr;
	struct sem sem[];	/* guarded by mu */
};

static void set_free(struct ipc_obj *o)
{
	struct sem_set *s = container_of(o, struct sem_set, o);

	for (unsigned i = 0; i < s->nr; i++)
		pid_put(s->sem[i].pid);
	free(s);
}

void sem_set_get(struct sem_set *set)
{
	ref_get(&set->o.ref);
}

/* mu held. */
static void changed_by(struct sem *s, struct task *t)
{
	pid_put(s->pid);
	s->pid = pid_get(t->group->pid);
}

void sem_set_undo(struct sem_set *s, const int32_t *adj, unsigned nr)
{
	struct task *t = task_current();

	mutex_lock(&s->mu);
	for (unsigned i = 0; i < nr && !atomic_load(&s->o.removed); i++) {
		int32_t v = s->sem[i].val + adj[i];

		if (!adj[i])
			continue;
		s->sem[i].val = (uint16_t)MIN(MAX(v, 0), SEM_VMX);
		if (t)
			changed_by(&s->sem[i], t);
		s->otime = ipc_time();
	}
	mutex_unlock(&s->mu);
	waitq_wake_all(&s->wq);
	ipc_obj_put(&s->o);
}

/* ---- semget ------------------------------------------------------------------------------------------------ */

static long make(struct task *t, void *arg, struct ipc_obj **out)
{
	int nsems = *(int *)arg;
	struct sem_set *s;

	if (nsems <= 0)
		return -LINUX_EINVAL;
	s = calloc(1, sizeof(*s) + (size_t)nsems * sizeof(s->sem[0]));
	if (!s)
		return -LINUX_ENOMEM;
	s->o.free = set_free;
	mutex_init(&s->mu);
	waitq_init(&s->wq);
	s->nr = (unsigned)nsems;
	s->ctime = ipc_time();
	*out = &s->o;
	return 0;
}

static long check(struct ipc_obj *o, void *arg)
{
	return *(int *)arg > (int)container_of(o, struct sem_set, o)->nr ? -LINUX_EINVAL : 0;
}

long sem_get(struct task *t, int32_t key, int nsems, int flags)
{
	static const struct ipc_get_ops ops = { make, check };

	if (nsems < 0 || (uint64_t)nsems > ipc_limit(t->ns->ipc, IPC_LIM_SEMMSL))
		return -LINUX_EINVAL;
	return ipc_get(t, IPC_KIND_SEM, key, flags, &ops, &nsems);
}

/* ---- semop --------------------------------------------------------------------------------------------------- */

struct attempt {
	struct task *t;
	struct sem_set *set;
	const struct linux_sembuf *ops;
	unsigned nr;
	int32_t *undo;		/* NULL: none asked for */
	const struct linux_sembuf *blocked; /* counted in ncnt or zcnt; NULL none */
};

static void count(struct attempt *a, const struct linux_sembuf *op, int by)
{
	struct sem *s = &a->set->sem[op->num];

	if (op->op)
		s->ncnt = (uint16_t)(s->ncnt + by);
	else
		s->zcnt = (uint16_t)(s->zcnt + by);
}

/* mu held. 0 all done, 1 would block at @a->ops[*at], or -LINUX_E*; nothing is changed unless 0. */
static long try_locked(struct attempt *a, unsigned *at)
{
	struct sem *sem = a->set->sem;
	long ret = 0;
	unsigned i;

	for (i = 0; i < a->nr && !ret; i++) {
		const struct linux_sembuf *op = &a->ops[i];
		int v = sem[op->num].val + op->op;

		if ((!op->op && sem[op->num].val) || v < 0)
			ret = op->flg & LINUX_IPC_NOWAIT ? -LINUX_EAGAIN : 1;
		else if (v > SEM_VMX)
			ret = -LINUX_ERANGE;
		else if ((op->flg & LINUX_SEM_UNDO) && (a->undo[op->num] - op->op < -SEM_AEM - 1 || a->undo[op->num] - op->op > SEM_AEM))
			ret = -LINUX_ERANGE;
		if (ret)
			break;
		sem[op->num].val = (uint16_t)v;
		if (op->flg & LINUX_SEM_UNDO)
			a->undo[op->num] -= op->op;
	}
	*at = i;
	if (ret)
		while (i-- > 0) {
			sem[a->ops[i].num].val = (uint16_t)(sem[a->ops[i].num].val - a->ops[i].op);
			if (a->ops[i].flg & LINUX_SEM_UNDO)
				a->undo[a->ops[i].num] += a->ops[i].op;
		}
	return ret;
}

/* One attempt: 1 = must wait. */
static long attempt(struct attempt *a)
{
	struct sem_set *s = a->set;
	unsigned at;
	long ret;

	mutex_lock(&s->mu);
	if (a->blocked)
		count(a, a->blocked, -1);
	a->blocked = NULL;
	ret = atomic_load(&s->o.removed) ? -LINUX_EIDRM : try_locked(a, &at);
	if (ret == 1) {
		a->blocked = &a->ops[at];
		count(a, a->blocked, 1);
	}
	if (!ret) {
		s->otime = ipc_time();
		for (unsigned i = 0; i < a->nr; i++)
			changed_by(&s->sem[a->ops[i].num], a->t);
	}
	mutex_unlock(&s->mu);
	if (!ret)
		waitq_wake_all(&s->wq);
	return ret;
}

static void give_up(struct attempt *a)
{
	mutex_lock(&a->set->mu);
	if (a->blocked)
		count(a, a->blocked, -1);
	mutex_unlock(&a->set->mu);
}

long sem_op(struct task *t, int id, const struct linux_sembuf *ops, unsigned nr, uint64_t deadline_ns)
{
	struct attempt a = { .t = t, .ops = ops, .nr = nr };
	uint32_t want = 0444;
	struct ipc_obj *o;
	bool undo = false;
	long ret, slept;

	for (unsigned i = 0; i < nr; i++) {
		if (ops[i].op)
			want = 0222;
		undo |= ops[i].flg & LINUX_SEM_UNDO;
	}
	ret = ipc_find(t, IPC_KIND_SEM, id, want, &o);
	if (ret < 0)
		return ret;
	a.set = container_of(o, struct sem_set, o);
	for (unsigned i = 0; i < nr && !ret; i++)
		if (ops[i].num >= a.set->nr)
			ret = -LINUX_EFBIG;
	if (!ret && undo) {
		a.undo = sem_undo_of(t, a.set, a.set->nr);
		if (!a.undo)
			ret = -LINUX_ENOMEM;
	}
	if (!ret)
		ret = attempt(&a);
	if (ret == 1) {
		slept = wait_event(&a.set->wq, (ret = attempt(&a)) != 1, SLEEP_INTERRUPTIBLE, deadline_ns);
		if (ret == 1) {
			give_up(&a);
			/* Never restarted after a handler, semop(2). */
			ret = slept == -LINUX_ETIMEDOUT ? -LINUX_EAGAIN : -LINUX_EINTR;
		}
	}
	ipc_obj_put(o);
	return ret;
}

/* ---- semctl ----------------------------------------------------------------------------------------------------- */

static void count_sems(struct ipc_obj *o, void *arg)
{
	*(int32_t *)arg += (int32_t)container_of(o, struct sem_set, o)->nr;
}

static long info(struct task *t, int cmd, uint64_t arg)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct linux_seminfo si = { .semusz = 20, .semvmx = SEM_VMX, .semaem = SEM_AEM };

	si.semmni = (int32_t)ipc_limit(ns, IPC_LIM_SEMMNI);
	si.semmns = si.semmap = si.semmnu = (int32_t)ipc_limit(ns, IPC_LIM_SEMMNS);
	si.semmsl = (int32_t)ipc_limit(ns, IPC_LIM_SEMMSL);
	si.semopm = si.semume = (int32_t)ipc_limit(ns, IPC_LIM_SEMOPM);

	if (cmd == LINUX_SEM_INFO) {
		si.semusz = (int32_t)t->ns->ipc->ids[IPC_KIND_SEM].nr;
		si.semaem = 0;
		ipc_for_each(ns, IPC_KIND_SEM, count_sems, &si.semaem);
	}
	return copyout_obj(t->u, GPTR(arg), &si) ?: ipc_highest_index(t->ns->ipc, IPC_KIND_SEM);
}

void sem_show(struct ipc_obj *o, void *show)
{
	struct ipc_show *w = show;
	struct sem_set *s = container_of(o, struct sem_set, o);
	struct user_ns *ns = w->viewer->cred->user_ns;

	mutex_lock(&s->mu);
	buf_printf(w->out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lld %10lld\n", o->key, o->id, o->mode & 07777, s->nr,
		   id_from_kernel_munged(ns, false, o->uid), id_from_kernel_munged(ns, true, o->gid),
		   id_from_kernel_munged(ns, false, o->cuid), id_from_kernel_munged(ns, true, o->cgid),
		   (long long)s->otime, (long long)s->ctime);
	mutex_unlock(&s->mu);
}

static void fill(struct task *t, struct sem_set *s, struct linux_semid64_ds *ds)
{
	*ds = (struct linux_semid64_ds){ .nsems = s->nr };
	ipc_fill_perm(t, &s->o, &ds->perm);
	mutex_lock(&s->mu);
	ds->otime = s->otime;
	ds->ctime = s->ctime;
	mutex_unlock(&s->mu);
}

static long get_all(struct task *t, struct sem_set *s, uint64_t arg)
{
	uint16_t *v = malloc(s->nr * sizeof(*v));
	long ret;

	if (!v)
		return -LINUX_ENOMEM;
	mutex_lock(&s->mu);
	for (unsigned i = 0; i < s->nr; i++)
		v[i] = s->sem[i].val;
	mutex_unlock(&s->mu);
	ret = copyout(t->u, GPTR(arg), v, s->nr * sizeof(*v));
	free(v);
	return ret;
}

static long set_all(struct task *t, struct sem_set *s, uint64_t arg)
{
	uint16_t *v = malloc(s->nr * sizeof(*v));
	long ret;

	if (!v)
		return -LINUX_ENOMEM;
	ret = copyin(t->u, v, GPTR(arg), s->nr * sizeof(*v));
	for (unsigned i = 0; i < s->nr && !ret; i++)
		if (v[i] > SEM_VMX)
			ret = -LINUX_ERANGE;
	if (!ret) {
		mutex_lock(&s->mu);
		for (unsigned i = 0; i < s->nr; i++) {
			s->sem[i].val = v[i];
			changed_by(&s->sem[i], t);
		}
		s->ctime = ipc_time();
		mutex_unlock(&s->mu);
		waitq_wake_all(&s->wq);
	}
	free(v);
	return ret;
}

/* Commands on one semaphore. */
static long one(struct task *t, struct sem_set *s, int num, int cmd, uint64_t arg)
{
	struct sem *m = &s->sem[num];
	int val = (int)arg;
	long ret = 0;

	mutex_lock(&s->mu);
	switch (cmd) {
	case LINUX_GETVAL:
		ret = m->val;
		break;
	case LINUX_GETPID:
		ret = pid_nr(m->pid, task_pid_ns(t));
		break;
	case LINUX_GETNCNT:
		ret = m->ncnt;
		break;
	case LINUX_GETZCNT:
		ret = m->zcnt;
		break;
	case LINUX_SETVAL:
		if (val < 0 || val > SEM_VMX) {
			ret = -LINUX_ERANGE;
			break;
		}
		m->val = (uint16_t)val;
		changed_by(m, t);
		s->ctime = ipc_time();
		break;
	}
	mutex_unlock(&s->mu);
	if (cmd == LINUX_SETVAL && !ret)
		waitq_wake_all(&s->wq);
	return ret;
}

/* What rights a command needs; 0: none here (owner is tested later). */
static uint32_t rights(int cmd)
{
	switch (cmd) {
	case LINUX_SETVAL:
	case LINUX_SETALL:
		return 0222;
	case LINUX_IPC_RMID:
	case LINUX_IPC_SET:
	case LINUX_SEM_STAT_ANY:
		return 0;
	}
	return 0444;
}

static long on_set(struct task *t, struct sem_set *s, int num, int cmd, uint64_t arg)
{
	struct linux_semid64_ds ds;
	long ret;

	switch (cmd) {
	case LINUX_IPC_STAT:
	case LINUX_SEM_STAT:
	case LINUX_SEM_STAT_ANY:
		fill(t, s, &ds);
		return copyout_obj(t->u, GPTR(arg), &ds) ?: cmd == LINUX_IPC_STAT ? 0 : s->o.id;
	case LINUX_IPC_SET:
		ret = copyin_obj(t->u, &ds, GPTR(arg));
		return ret ?: ipc_set_perm(t, &s->o, &ds.perm);
	case LINUX_IPC_RMID:
		ret = ipc_remove(t, IPC_KIND_SEM, &s->o);
		if (!ret)
			waitq_wake_all(&s->wq);
		return ret;
	case LINUX_GETALL:
		return get_all(t, s, arg);
	case LINUX_SETALL:
		return set_all(t, s, arg);
	case LINUX_GETVAL:
	case LINUX_GETPID:
	case LINUX_GETNCNT:
	case LINUX_GETZCNT:
	case LINUX_SETVAL:
		return num < 0 || (unsigned)num >= s->nr ? -LINUX_EINVAL : one(t, s, num, cmd, arg);
	}
	return -LINUX_EINVAL;
}

long sem_control(struct task *t, int id, int num, int cmd, uint64_t arg)
{
	struct ipc_obj *o;
	long ret;

	if (cmd == LINUX_IPC_INFO || cmd == LINUX_SEM_INFO)
		return info(t, cmd, arg);
	if (cmd == LINUX_SEM_STAT || cmd == LINUX_SEM_STAT_ANY)
		ret = ipc_find_index(t, IPC_KIND_SEM, id, rights(cmd), &o);
	else
		ret = ipc_find(t, IPC_KIND_SEM, id, rights(cmd), &o);
	if (ret < 0)
		return ret;
	ret = on_set(t, container_of(o, struct sem_set, o), num, cmd, arg);
	ipc_obj_put(o);
	return ret;
}
