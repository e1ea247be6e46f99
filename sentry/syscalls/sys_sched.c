/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_sched.c - scheduling parameters, limits, resource usage
 *
 * Model:   the host schedules; what the guest sets is checked, stored and shown, as a container on Linux would see it.
 */
#include <string.h>

#include "base/hostcall.h"
#include "sentry/abi/sched.h"
#include "sentry/abi/wait.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/acct.h"
#include "sentry/task/cpus.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"
#include "sentry/task/timers.h"

#define NICE_MIN (-20)
#define NICE_MAX 19
#define RT_PRIO_MAX 99

/* pid 0 is the caller: reference or NULL. */
static struct task *find_thread(struct task *t, int pid)
{
	if (pid < 0)
		return NULL;
	return pid ? task_find(task_pid_ns(t), (uint32_t)pid) : task_get(t);
}

/* Same user, or CAP_SYS_NICE. */
static bool may_schedule(struct task *t, struct task *o)
{
	struct cred *c;
	bool ok;

	if (t == o)
		return true;
	c = task_cred(o);
	ok = t->cred->euid == c->euid || t->cred->euid == c->uid || cred_has_cap(t->cred, c->user_ns, LINUX_CAP_SYS_NICE);
	cred_put(c);
	return ok;
}

static bool has_nice(struct task *t)
{
	return cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_NICE);
}

/* ---- nice ------------------------------------------------------------------------------------------------- */

static long nice_one(struct task *t, struct task *o, int nice)
{
	if (!may_schedule(t, o))
		return -LINUX_EPERM;
	if (nice < o->nice && !has_nice(t) && (uint64_t)(20 - nice) > task_rlimit(o, LINUX_RLIMIT_NICE))
		return -LINUX_EACCES;
	o->nice = nice;
	return 0;
}

/* Which processes PRIO_* names. */
static bool prio_match(struct task *o, int which, const struct pid *pg, uint32_t uid)
{
	if (which == LINUX_PRIO_PGRP)
		return o->group->pgrp && o->group->pgrp->pid == pg;
	return o->cred->uid == uid;
}

/* Calls for all leaders named; -LINUX_ESRCH when there are none. */
static long each_prio(struct task *t, int which, int who, long (*fn)(struct task *, struct task *, int), int arg)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct task *o;
	uint32_t nr = 0, uid;
	struct pid *pg = NULL;
	long ret = -LINUX_ESRCH;

	if (which < LINUX_PRIO_PROCESS || which > LINUX_PRIO_USER)
		return -LINUX_EINVAL;
	if (which == LINUX_PRIO_PROCESS) {
		o = find_thread(t, who);
		if (!o)
			return -LINUX_ESRCH;
		ret = fn(t, o, arg);
		task_put(o);
		return ret;
	}
	uid = who ? id_to_kernel(t->cred->user_ns, false, (uint32_t)who) : t->cred->uid;
	if (which == LINUX_PRIO_PGRP)
		pg = pid_find(ns, who ? (uint32_t)who : task_pgid_nr(t, ns));
	while ((nr = pid_next_tgroup(ns, nr + 1, &o))) {
		bool hit;

		mutex_lock(&tasks_mu);
		hit = prio_match(o, which, pg, uid);
		mutex_unlock(&tasks_mu);
		if (hit) {
			long one = fn(t, o, arg);

			/* getpriority wants the highest, setpriority the last error. */
			if (ret == -LINUX_ESRCH || one < 0 || one > ret)
				ret = one;
		}
		task_put(o);
	}
	pid_put(pg);
	return ret;
}

static long get_one(struct task *t, struct task *o, int arg)
{
	return 20 - o->nice;
}

SYSCALL_DEFINE2(getpriority, int, which, int, who)
{
	return each_prio(t, which, who, get_one, 0);
}

SYSCALL_DEFINE3(setpriority, int, which, int, who, int, nice)
{
	return each_prio(t, which, who, nice_one, MIN(MAX(nice, NICE_MIN), NICE_MAX));
}

/* ---- policies ---------------------------------------------------------------------------------------------------- */

static bool is_rt(int policy)
{
	return policy == LINUX_SCHED_FIFO || policy == LINUX_SCHED_RR;
}

static bool known_policy(int p)
{
	return is_rt(p) || p == LINUX_SCHED_OTHER || p == LINUX_SCHED_BATCH || p == LINUX_SCHED_IDLE;
}

static long set_policy(struct task *t, struct task *o, int policy, int prio, bool reset)
{
	if (!known_policy(policy) || (is_rt(policy) ? prio < 1 || prio > RT_PRIO_MAX : prio != 0))
		return -LINUX_EINVAL;
	if (!may_schedule(t, o))
		return -LINUX_EPERM;
	if (!has_nice(t)) {
		if (is_rt(policy) && (uint64_t)prio > task_rlimit(o, LINUX_RLIMIT_RTPRIO) &&
		    !(o->sched_policy == policy && prio <= o->sched_priority))
			return -LINUX_EPERM;
		if (o->sched_reset_on_fork && !reset)
			return -LINUX_EPERM;
	}
	o->sched_policy = policy;
	o->sched_priority = prio;
	o->sched_reset_on_fork = reset;
	return 0;
}

SYSCALL_DEFINE3(sched_setscheduler, int, pid, int, policy, struct gptr, uparam)
{
	int prio;
	struct task *o;
	long ret;

	if (!uparam.v || pid < 0 || policy < 0)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &prio, uparam) < 0)
		return -LINUX_EFAULT;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	ret = set_policy(t, o, policy & ~LINUX_SCHED_RESET_ON_FORK, prio, policy & LINUX_SCHED_RESET_ON_FORK);
	task_put(o);
	return ret;
}

SYSCALL_DEFINE2(sched_setparam, int, pid, struct gptr, uparam)
{
	int prio;
	struct task *o;
	long ret;

	if (!uparam.v || pid < 0)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &prio, uparam) < 0)
		return -LINUX_EFAULT;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	ret = set_policy(t, o, o->sched_policy, prio, o->sched_reset_on_fork);
	task_put(o);
	return ret;
}

SYSCALL_DEFINE1(sched_getscheduler, int, pid)
{
	struct task *o;
	long ret;

	if (pid < 0)
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	ret = o->sched_policy | (o->sched_reset_on_fork ? LINUX_SCHED_RESET_ON_FORK : 0);
	task_put(o);
	return ret;
}

SYSCALL_DEFINE2(sched_getparam, int, pid, struct gptr, uparam)
{
	struct task *o;
	int prio;

	if (!uparam.v || pid < 0)
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	prio = o->sched_priority;
	task_put(o);
	return copyout_obj(t->u, uparam, &prio);
}

SYSCALL_DEFINE3(sched_setattr, int, pid, struct gptr, uattr, uint32_t, flags)
{
	struct linux_sched_attr at = { 0 };
	uint32_t size;
	struct task *o;
	long ret;

	if (!uattr.v || pid < 0 || flags)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &size, uattr) < 0)
		return -LINUX_EFAULT;
	if (!size)
		size = LINUX_SCHED_ATTR_SIZE_VER0;
	if (size < LINUX_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -LINUX_E2BIG;
	if (copyin(t->u, &at, uattr, MIN((size_t)size, sizeof(at))) < 0)
		return -LINUX_EFAULT;
	if (at.sched_policy == LINUX_SCHED_DEADLINE)
		return -LINUX_EPERM;
	if (at.sched_flags & ~1ull || at.sched_policy > INT32_MAX)
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	ret = set_policy(t, o, (int)at.sched_policy, (int)at.sched_priority, at.sched_flags & 1);
	if (!ret && !is_rt((int)at.sched_policy))
		ret = nice_one(t, o, MIN(MAX(at.sched_nice, NICE_MIN), NICE_MAX));
	task_put(o);
	return ret;
}

SYSCALL_DEFINE4(sched_getattr, int, pid, struct gptr, uattr, uint32_t, size, uint32_t, flags)
{
	struct linux_sched_attr at = { 0 };
	struct task *o;

	if (!uattr.v || pid < 0 || flags || size < LINUX_SCHED_ATTR_SIZE_VER0 || size > PAGE_SIZE)
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	at.size = (uint32_t)MIN((size_t)size, sizeof(at));
	at.sched_policy = (uint32_t)o->sched_policy;
	at.sched_priority = (uint32_t)o->sched_priority;
	at.sched_flags = o->sched_reset_on_fork;
	at.sched_nice = is_rt(o->sched_policy) ? 0 : o->nice;
	at.sched_util_max = 1024;
	task_put(o);
	return copyout(t->u, uattr, &at, at.size);
}

SYSCALL_DEFINE1(sched_get_priority_max, int, policy)
{
	if (is_rt(policy))
		return RT_PRIO_MAX;
	return known_policy(policy) || policy == LINUX_SCHED_DEADLINE ? 0 : -LINUX_EINVAL;
}

SYSCALL_DEFINE1(sched_get_priority_min, int, policy)
{
	if (is_rt(policy))
		return 1;
	return known_policy(policy) || policy == LINUX_SCHED_DEADLINE ? 0 : -LINUX_EINVAL;
}

SYSCALL_DEFINE2(sched_rr_get_interval, int, pid, struct gptr, uts)
{
	struct linux_timespec ts = { 0, 0 };
	struct task *o;

	if (pid < 0)
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	if (o->sched_policy == LINUX_SCHED_RR)
		ts.nsec = 100000000;
	else if (o->sched_policy != LINUX_SCHED_FIFO)
		ts.nsec = 4000000;
	task_put(o);
	return copyout_obj(t->u, uts, &ts);
}

SYSCALL_DEFINE0(sched_yield)
{
	kthread_yield();
	return 0;
}

/* ---- affinity ------------------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE3(sched_setaffinity, int, pid, uint32_t, len, struct gptr, umask)
{
	uint64_t m[ARRAY_SIZE(t->affinity)] = { 0 };
	const uint64_t *have = cpus_possible();
	struct task *o;
	bool any = false;
	long ret = 0;

	if (copyin(t->u, m, umask, MIN((size_t)len, sizeof(m))) < 0)
		return -LINUX_EFAULT;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		any |= (m[i] &= have[i]) != 0;
	if (!may_schedule(t, o))
		ret = -LINUX_EPERM;
	else if (!any)
		ret = -LINUX_EINVAL;
	else
		memcpy(o->affinity, m, sizeof(m));
	task_put(o);
	return ret;
}

SYSCALL_DEFINE3(sched_getaffinity, int, pid, uint32_t, len, struct gptr, umask)
{
	uint64_t m[ARRAY_SIZE(t->affinity)];
	const uint64_t *have = cpus_possible();
	size_t need = ALIGN_UP(cpus_count(), 64u) / 8, n;
	struct task *o;

	if (len * 8ull < cpus_count() || (len & 7))
		return -LINUX_EINVAL;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	for (size_t i = 0; i < ARRAY_SIZE(m); i++)
		m[i] = o->affinity[i] & have[i];
	task_put(o);
	n = MIN((size_t)len, need);
	return copyout(t->u, umask, m, n) < 0 ? -LINUX_EFAULT : (long)n;
}

SYSCALL_DEFINE3(getcpu, struct gptr, ucpu, struct gptr, unode, struct gptr, unused)
{
	uint32_t cpu = 0, node = 0;

	/* The Sentry's own CPU is where the guest thread ran a moment ago, or next to it. */
	host_call(getcpu, &cpu, NULL, NULL);
	cpu %= cpus_count();
	if (ucpu.v && copyout_obj(t->u, ucpu, &cpu) < 0)
		return -LINUX_EFAULT;
	return unode.v ? copyout_obj(t->u, unode, &node) : 0;
}

/* ---- limits and usage -------------------------------------------------------------------------------------------------- */

static long set_limit(struct task *t, struct tgroup *g, int res, const struct rlimit64 *n)
{
	long ret = 0;

	if (n->cur > n->max)
		return -LINUX_EINVAL;
	mutex_lock(&g->sig_mu);
	if (n->max > g->rlim[res].max && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_RESOURCE))
		ret = -LINUX_EPERM;
	else if (res == LINUX_RLIMIT_NOFILE && n->max > 1048576)
		ret = -LINUX_EPERM; /* /proc/sys/fs/nr_open */
	else
		g->rlim[res] = *n;
	mutex_unlock(&g->sig_mu);
	if (!ret && res == LINUX_RLIMIT_CPU)
		timers_cpu_limit_changed(g);
	if (!ret && res == LINUX_RLIMIT_STACK && g == t->group)
		mm_set_stack_limit(t->mm, n->cur);
	return ret;
}

static long prlimit(struct task *t, struct task *o, uint32_t res, const struct rlimit64 *n, struct rlimit64 *old)
{
	if (res >= RLIM_COUNT)
		return -LINUX_EINVAL;
	mutex_lock(&o->group->sig_mu);
	*old = o->group->rlim[res];
	mutex_unlock(&o->group->sig_mu);
	return n ? set_limit(t, o->group, (int)res, n) : 0;
}

SYSCALL_DEFINE2(getrlimit, uint32_t, res, struct gptr, out)
{
	struct rlimit64 old;
	long ret = prlimit(t, t, res, NULL, &old);

	return ret ?: copyout_obj(t->u, out, &old);
}

SYSCALL_DEFINE2(setrlimit, uint32_t, res, struct gptr, in)
{
	struct rlimit64 n, old;

	if (copyin_obj(t->u, &n, in) < 0)
		return -LINUX_EFAULT;
	return prlimit(t, t, res, &n, &old);
}

/* Limits of others: equal ids, or CAP_SYS_RESOURCE. */
static bool may_prlimit(struct task *t, struct task *o)
{
	const struct cred *me = t->cred;
	struct cred *c;
	bool ok;

	if (o->group == t->group)
		return true;
	c = task_cred(o);
	ok = (me->uid == c->euid && me->uid == c->suid && me->uid == c->uid && me->gid == c->egid && me->gid == c->sgid &&
	      me->gid == c->gid) ||
	     cred_has_cap(me, c->user_ns, LINUX_CAP_SYS_RESOURCE);
	cred_put(c);
	return ok;
}

SYSCALL_DEFINE4(prlimit64, int, pid, uint32_t, res, struct gptr, in, struct gptr, out)
{
	struct rlimit64 n, old;
	struct task *o;
	long ret;

	if (in.v && copyin_obj(t->u, &n, in) < 0)
		return -LINUX_EFAULT;
	o = find_thread(t, pid);
	if (!o)
		return -LINUX_ESRCH;
	ret = may_prlimit(t, o) ? prlimit(t, o, res, in.v ? &n : NULL, &old) : -LINUX_EPERM;
	task_put(o);
	if (!ret && out.v && copyout_obj(t->u, out, &old) < 0)
		ret = -LINUX_EFAULT;
	return ret;
}

SYSCALL_DEFINE2(getrusage, int, who, struct gptr, out)
{
	struct linux_rusage ru = { 0 };
	struct cpu_times ct;

	switch (who) {
	case LINUX_RUSAGE_SELF:
		acct_rusage(t->group, &ru);
		break;
	case LINUX_RUSAGE_CHILDREN:
		acct_rusage_children(t->group, &ru);
		break;
	case LINUX_RUSAGE_THREAD:
		ct = acct_thread_times(t);
		acct_rusage(t->group, &ru);
		ru.utime = (struct linux_timeval){ (int64_t)(ct.utime_ns / NSEC_PER_SEC),
						   (int64_t)(ct.utime_ns % NSEC_PER_SEC / 1000) };
		ru.stime = (struct linux_timeval){ (int64_t)(ct.stime_ns / NSEC_PER_SEC),
						   (int64_t)(ct.stime_ns % NSEC_PER_SEC / 1000) };
		break;
	default:
		return -LINUX_EINVAL;
	}
	return copyout_obj(t->u, out, &ru);
}

/* ---- ioprio ----------------------------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE2(ioprio_get, int, which, int, who)
{
	struct task *o;
	long ret;

	if (which != 1) /* IOPRIO_WHO_PROCESS */
		return which == 2 || which == 3 ? t->ioprio : -LINUX_EINVAL;
	o = find_thread(t, who);
	if (!o)
		return -LINUX_ESRCH;
	ret = o->ioprio;
	task_put(o);
	return ret;
}

SYSCALL_DEFINE3(ioprio_set, int, which, int, who, int, prio)
{
	int class = prio >> 13, data = prio & 0x1fff;
	struct task *o;
	long ret = 0;

	if (which < 1 || which > 3 || class < 0 || class > 3 || (class && class != 3 && data > 7) || (!class && data))
		return -LINUX_EINVAL;
	if (class == 1 && !cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	o = which == 1 ? find_thread(t, who) : task_get(t);
	if (!o)
		return -LINUX_ESRCH;
	if (may_schedule(t, o))
		o->ioprio = (uint16_t)prio;
	else
		ret = -LINUX_EPERM;
	task_put(o);
	return ret;
}
