/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ns.c - namespaces of tasks: nsproxy, unshare(2), setns(2)
 *
 * Model:   a table of kinds (ns_ops) says how each is referenced, created and numbered; task/ fills in those below it and its own, the socket
 *          layer fills in net at start. A kind whose row is empty answers -LINUX_EINVAL.
 * Locks:   task.ns is exchanged under sig_mu.
 * Source:  namespaces(7), unshare(2), setns(2), clone(2).
 */
#include <stdio.h>
#include <string.h>

#include "sentry/abi/sched.h"
#include "sentry/ipc/ipc.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/pidfd.h"
#include "sentry/task/task_cgroup.h"
#include "sentry/task/task_internal.h"
#include "sentry/vfs/mount.h"

static _Atomic uint64_t next_ino = 0xF0000000u;

uint64_t ns_new_ino(void)
{
	return atomic_fetch_add_explicit(&next_ino, 1, memory_order_relaxed);
}

/* ---- uts ------------------------------------------------------------------------------------------------ */

struct uts_ns *uts_ns_new(struct user_ns *user_ns, const char *nodename, const char *domainname)
{
	struct uts_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return NULL;
	ref_init(&ns->ref, 1);
	mutex_init(&ns->mu);
	ns->user_ns = user_ns_get(user_ns);
	ns->ino = ns_new_ino();
	snprintf(ns->nodename, sizeof(ns->nodename), "%s", nodename);
	snprintf(ns->domainname, sizeof(ns->domainname), "%s", domainname);
	return ns;
}

struct uts_ns *uts_ns_get(struct uts_ns *ns)
{
	ref_get(&ns->ref);
	return ns;
}

void uts_ns_put(struct uts_ns *ns)
{
	if (!ns || !ref_put(&ns->ref))
		return;
	user_ns_put(ns->user_ns);
	free(ns);
}

static void *uts_get(void *ns)
{
	return uts_ns_get(ns);
}

static void uts_put(void *ns)
{
	uts_ns_put(ns);
}

static uint64_t uts_ino(void *ns)
{
	return ((struct uts_ns *)ns)->ino;
}

static struct user_ns *uts_owner(void *ns)
{
	return ((struct uts_ns *)ns)->user_ns;
}

static long uts_create(void *old, struct user_ns *owner, void **out)
{
	struct uts_ns *o = old, *n;
	char node[UTS_LEN + 1], dom[UTS_LEN + 1];

	mutex_lock(&o->mu);
	memcpy(node, o->nodename, sizeof(node));
	memcpy(dom, o->domainname, sizeof(dom));
	mutex_unlock(&o->mu);
	n = uts_ns_new(owner, node, dom);
	*out = n;
	return n ? 0 : -LINUX_ENOMEM;
}

static const struct ns_kind_ops uts_ops = { "uts", LINUX_CLONE_NEWUTS, uts_get, uts_put, uts_ino, uts_owner, uts_create };

/* ---- pid, user ---------------------------------------------------------------------------------------------- */

static void *pidns_get(void *ns)
{
	return pid_ns_get(ns);
}

static void pidns_put(void *ns)
{
	pid_ns_put(ns);
}

static uint64_t pidns_ino(void *ns)
{
	return ((struct pid_ns *)ns)->ino;
}

static struct user_ns *pidns_owner(void *ns)
{
	return ((struct pid_ns *)ns)->user_ns;
}

static long pidns_create(void *old, struct user_ns *owner, void **out)
{
	struct pid_ns *n;
	long ret = pid_ns_new(old, owner, &n);

	if (!ret)
		*out = n;
	return ret;
}

static void *userns_get(void *ns)
{
	return user_ns_get(ns);
}

static void userns_put(void *ns)
{
	user_ns_put(ns);
}

static uint64_t userns_ino(void *ns)
{
	return ((struct user_ns *)ns)->ino;
}

static struct user_ns *userns_owner(void *ns)
{
	struct user_ns *n = ns;

	return n->parent ?: n;
}

/* ---- mnt: created by nsproxy_unshare(), since root and cwd move along --------------------------------------- */

static void *mntns_get(void *ns)
{
	return mnt_ns_get(ns);
}

static void mntns_put(void *ns)
{
	mnt_ns_put(ns);
}

static uint64_t mntns_ino(void *ns)
{
	return ((struct mnt_ns *)ns)->ino;
}

static struct user_ns *mntns_owner(void *ns)
{
	return ((struct mnt_ns *)ns)->user_ns;
}

static const struct ns_kind_ops mnt_ops = { "mnt", LINUX_CLONE_NEWNS, mntns_get, mntns_put, mntns_ino, mntns_owner, NULL };
static const struct ns_kind_ops pid_ops = { "pid", LINUX_CLONE_NEWPID, pidns_get, pidns_put, pidns_ino, pidns_owner,
					    pidns_create };
static const struct ns_kind_ops pid_children_ops = { "pid_for_children", LINUX_CLONE_NEWPID, pidns_get, pidns_put,
						     pidns_ino, pidns_owner, pidns_create };
static const struct ns_kind_ops user_ops = { "user", LINUX_CLONE_NEWUSER, userns_get, userns_put, userns_ino,
					     userns_owner, NULL };

const struct ns_kind_ops *ns_ops[NS_KINDS] = {
	[NS_MNT] = &mnt_ops,
	[NS_UTS] = &uts_ops,
	[NS_PID] = &pid_ops,
	[NS_PID_CHILDREN] = &pid_children_ops,
	[NS_USER] = &user_ops,
	[NS_CGROUP] = &task_cgroup_ns_ops,
};

/* ---- nsproxy --------------------------------------------------------------------------------------------------- */

static void **slot(struct nsproxy *n, enum ns_kind kind)
{
	switch (kind) {
	case NS_MNT:
		return (void **)&n->mnt;
	case NS_UTS:
		return (void **)&n->uts;
	case NS_IPC:
		return (void **)&n->ipc;
	case NS_NET:
		return (void **)&n->net;
	case NS_PID_CHILDREN:
		return (void **)&n->pid_for_children;
	case NS_CGROUP:
		return (void **)&n->cgroup;
	case NS_PID:
	case NS_USER:
	case NS_KINDS:
		break;
	}
	return NULL;
}

struct nsproxy *nsproxy_get(struct nsproxy *n)
{
	ref_get(&n->ref);
	return n;
}

static void *kind_get(enum ns_kind kind, void *ns)
{
	if (!ns)
		return NULL;
	return ns_ops[kind] ? ns_ops[kind]->get(ns) : ns;
}

static void kind_put(enum ns_kind kind, void *ns)
{
	if (ns && ns_ops[kind])
		ns_ops[kind]->put(ns);
}

void nsproxy_put(struct nsproxy *n)
{
	if (!n || !ref_put(&n->ref))
		return;
	for (int k = 0; k < NS_KINDS; k++) {
		void **s = slot(n, (enum ns_kind)k);

		if (s)
			kind_put((enum ns_kind)k, *s);
	}
	free(n);
}

struct nsproxy *nsproxy_make(struct mnt_ns *mnt, struct uts_ns *uts, struct ipc_ns *ipc, struct net_ns_ref *net,
			     struct pid_ns *pid, struct cgroup_ns *cgroup)
{
	struct nsproxy *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	ref_init(&n->ref, 1);
	n->mnt = kind_get(NS_MNT, mnt);
	n->uts = kind_get(NS_UTS, uts);
	n->ipc = kind_get(NS_IPC, ipc);
	n->net = kind_get(NS_NET, net);
	n->pid_for_children = kind_get(NS_PID_CHILDREN, pid);
	n->cgroup = kind_get(NS_CGROUP, cgroup);
	return n;
}

static struct nsproxy *nsproxy_dup(struct nsproxy *o)
{
	return nsproxy_make(o->mnt, o->uts, o->ipc, o->net, o->pid_for_children, o->cgroup);
}

/* Puts a new namespace (reference moves) into an unpublished proxy. */
static void slot_replace(struct nsproxy *n, enum ns_kind kind, void *ns)
{
	void **s = slot(n, kind);

	kind_put(kind, *s);
	*s = ns;
}

long nsproxy_unshare(struct nsproxy *old, uint64_t flags, const struct cred *cred, struct user_ns *user_ns,
		     struct fs_struct *fs, struct nsproxy **out)
{
	static const enum ns_kind plain[] = { NS_UTS, NS_IPC, NS_NET, NS_PID_CHILDREN, NS_CGROUP };
	struct nsproxy *n;
	long ret = 0;

	if (!cred_has_cap(cred, user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	n = nsproxy_dup(old);
	if (!n)
		return -LINUX_ENOMEM;
	for (size_t i = 0; i < ARRAY_SIZE(plain) && !ret; i++) {
		const struct ns_kind_ops *ops = ns_ops[plain[i]];
		void *fresh;

		if (plain[i] == NS_PID_CHILDREN ? !(flags & LINUX_CLONE_NEWPID) : !ops || !(flags & ops->clone_flag)) {
			if (!ops && plain[i] == NS_NET && (flags & LINUX_CLONE_NEWNET))
				ret = -LINUX_EINVAL;
			if (!ops && plain[i] == NS_IPC && (flags & LINUX_CLONE_NEWIPC))
				ret = -LINUX_EINVAL;
			continue;
		}
		ret = ops->create(*slot(n, plain[i]), user_ns, &fresh);
		if (!ret)
			slot_replace(n, plain[i], fresh);
	}
	if (!ret && (flags & LINUX_CLONE_NEWNS)) {
		struct mnt_ns *m;

		ret = mnt_ns_copy(old->mnt, user_ns, fs, &m);
		if (!ret)
			slot_replace(n, NS_MNT, m);
	}
	if (ret < 0) {
		nsproxy_put(n);
		return ret;
	}
	*out = n;
	return 0;
}

static void install(struct task *t, struct nsproxy *n)
{
	struct nsproxy *old;

	mutex_lock(&t->group->sig_mu);
	old = t->ns;
	t->ns = n;
	mutex_unlock(&t->group->sig_mu);
	if (old->ipc != n->ipc)
		shm_exit(t, old->ipc);
	nsproxy_put(old);
}

/* ---- unshare(2) --------------------------------------------------------------------------------------------------- */

#define UNSHARE_NS                                                                                 \
	(LINUX_CLONE_NEWNS | LINUX_CLONE_NEWUTS | LINUX_CLONE_NEWIPC | LINUX_CLONE_NEWNET | LINUX_CLONE_NEWPID | \
	 LINUX_CLONE_NEWCGROUP)
#define UNSHARE_KNOWN                                                                              \
	(UNSHARE_NS | LINUX_CLONE_THREAD | LINUX_CLONE_FS | LINUX_CLONE_SIGHAND | LINUX_CLONE_VM | LINUX_CLONE_FILES | \
	 LINUX_CLONE_SYSVSEM | LINUX_CLONE_NEWUSER)

static long unshare_user(struct task *t, struct cred **out)
{
	struct user_ns *ns;
	struct cred *n;
	long ret = user_ns_new(t->cred->user_ns, t->cred, &ns);

	if (ret < 0)
		return ret;
	n = cred_dup(t->cred);
	if (!n) {
		user_ns_put(ns);
		return -LINUX_ENOMEM;
	}
	cred_enter_user_ns(n, ns);
	*out = n;
	return 0;
}

static long unshare_files(struct task *t)
{
	struct fdtable *n = fdtable_dup(t->fds, UINT32_MAX), *old;

	if (!n)
		return -LINUX_ENOMEM;
	mutex_lock(&t->group->sig_mu);
	old = t->fds;
	t->fds = n;
	mutex_unlock(&t->group->sig_mu);
	fdtable_put(old);
	return 0;
}

static long unshare_fs(struct task *t)
{
	struct fs_struct *n = fs_struct_dup(t->fs), *old;

	if (!n)
		return -LINUX_ENOMEM;
	mutex_lock(&t->group->sig_mu);
	old = t->fs;
	t->fs = n;
	mutex_unlock(&t->group->sig_mu);
	fs_struct_put(old);
	return 0;
}

long task_unshare(struct task *t, uint64_t flags)
{
	struct cred *cred = NULL;
	struct nsproxy *ns = NULL;
	long ret = 0;

	if (flags & ~UNSHARE_KNOWN)
		return -LINUX_EINVAL;
	if (flags & LINUX_CLONE_NEWUSER)
		flags |= LINUX_CLONE_THREAD | LINUX_CLONE_FS;
	if (flags & LINUX_CLONE_NEWNS)
		flags |= LINUX_CLONE_FS;
	if (flags & LINUX_CLONE_VM)
		flags |= LINUX_CLONE_SIGHAND;
	if (flags & LINUX_CLONE_SIGHAND)
		flags |= LINUX_CLONE_THREAD;
	/* Threads cannot be taken apart: fine only when there are none. */
	if ((flags & LINUX_CLONE_THREAD) && t->group->nr_threads > 1)
		return -LINUX_EINVAL;
	if ((flags & LINUX_CLONE_VM) && mm_users(t->mm) > 1)
		return -LINUX_EINVAL;
	if (flags & LINUX_CLONE_NEWUSER)
		ret = unshare_user(t, &cred);
	if (!ret && (flags & LINUX_CLONE_FS))
		ret = unshare_fs(t);
	if (!ret && (flags & UNSHARE_NS)) {
		const struct cred *c = cred ?: t->cred;

		ret = nsproxy_unshare(t->ns, flags & UNSHARE_NS, c, c->user_ns, t->fs, &ns);
	}
	if (!ret && (flags & LINUX_CLONE_FILES))
		ret = unshare_files(t);
	if (ret < 0) {
		cred_put(cred);
		nsproxy_put(ns);
		return ret;
	}
	if (ns)
		install(t, ns);
	if (cred)
		task_set_cred(t, cred);
	return 0;
}

/* ---- setns(2) -------------------------------------------------------------------------------------------------------- */

static long may_enter(struct task *t, const struct cred *cred, enum ns_kind kind, void *ns)
{
	struct user_ns *owner = kind == NS_USER ? ns : ns_ops[kind]->owner(ns);

	if (!cred_has_cap(cred, owner, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	if (kind != NS_USER && !cred_has_cap(cred, cred->user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	if (kind == NS_MNT && !cred_has_cap(cred, cred->user_ns, LINUX_CAP_SYS_CHROOT))
		return -LINUX_EPERM;
	if (kind == NS_PID && !pid_ns_is_below(ns, task_pid_ns(t)))
		return -LINUX_EINVAL;
	if (kind == NS_USER && (t->group->nr_threads > 1 || ns == cred->user_ns))
		return -LINUX_EINVAL;
	if (kind == NS_MNT && atomic_load(&t->fs->ref.n) > 1)
		return -LINUX_EINVAL; /* root and cwd are shared */
	return 0;
}

/* The parts of a setns call, gathered first and published together. */
struct entry {
	struct nsproxy *ns;
	struct cred *cred; /* NULL: unchanged */
	struct mnt_ns *mnt; /* borrowed from ns */
};

static long entry_add(struct task *t, struct entry *e, const struct ns_ref *r)
{
	const struct cred *c = e->cred ?: t->cred;
	enum ns_kind kind = r->kind;
	long ret = may_enter(t, c, kind, r->ns);

	if (ret < 0)
		return ret;
	if (kind == NS_USER) {
		e->cred = cred_dup(t->cred);
		if (!e->cred)
			return -LINUX_ENOMEM;
		cred_enter_user_ns(e->cred, user_ns_get(r->ns));
		return 0;
	}
	if (kind == NS_PID)
		kind = NS_PID_CHILDREN;
	slot_replace(e->ns, kind, kind_get(kind, r->ns));
	if (kind == NS_MNT)
		e->mnt = r->ns;
	return 0;
}

static long entry_publish(struct task *t, struct entry *e)
{
	if (e->mnt) {
		long ret = mnt_ns_enter(e->mnt, t->fs);

		if (ret < 0)
			return ret;
	}
	install(t, TAKE_PTR(e->ns));
	if (e->cred)
		task_set_cred(t, TAKE_PTR(e->cred));
	return 0;
}

/* By pidfd: all namespaces of that process that the flags name, user namespace first. */
static long setns_pidfd(struct task *t, struct entry *e, struct pid *pid, uint64_t flags)
{
	static const enum ns_kind order[] = { NS_USER, NS_MNT, NS_UTS, NS_IPC, NS_PID, NS_NET, NS_CGROUP };
	struct task *target;
	long ret = 0;

	if (!flags || (flags & ~(UNSHARE_NS | LINUX_CLONE_NEWUSER)))
		return -LINUX_EINVAL;
	mutex_lock(&tasks_mu);
	target = pid->task ? task_get(pid->task) : NULL;
	mutex_unlock(&tasks_mu);
	if (!target)
		return -LINUX_ESRCH;
	ret = task_may_access(t, target, true, false);
	for (size_t i = 0; i < ARRAY_SIZE(order) && !ret; i++) {
		struct ns_ref r;

		if (!ns_ops[order[i]] || !(flags & ns_ops[order[i]]->clone_flag))
			continue;
		r = task_ns_ref(target, order[i]);
		ret = r.ns ? entry_add(t, e, &r) : -LINUX_ESRCH;
		ns_ref_put(&r);
	}
	task_put(target);
	return ret;
}

long task_setns(struct task *t, int fd, uint64_t nstype)
{
	struct entry e = { 0 };
	struct file *f = fdtable_file(t->fds, fd, false);
	const struct ns_ref *r;
	struct pid *pid;
	long ret = -LINUX_EINVAL;

	if (!f)
		return -LINUX_EBADF;
	e.ns = nsproxy_dup(t->ns);
	if (!e.ns) {
		file_put(f);
		return -LINUX_ENOMEM;
	}
	r = nsfs_ref(f);
	pid = pidfd_file_pid(f);
	if (r && (!nstype || nstype == ns_ops[r->kind]->clone_flag))
		ret = entry_add(t, &e, r);
	else if (pid)
		ret = setns_pidfd(t, &e, pid, nstype);
	if (!ret)
		ret = entry_publish(t, &e);
	nsproxy_put(e.ns);
	cred_put(e.cred);
	file_put(f);
	return ret;
}

/* ---- looking ------------------------------------------------------------------------------------------------------------ */

struct ns_ref task_ns_ref(struct task *t, enum ns_kind kind)
{
	struct ns_ref r = { kind, NULL };
	void **s;

	if (!ns_ops[kind])
		return r;
	mutex_lock(&t->group->sig_mu);
	if (kind == NS_USER) {
		r.ns = user_ns_get(t->cred->user_ns);
	} else if (kind == NS_PID) {
		r.ns = pid_ns_get(task_pid_ns(t));
	} else if (t->ns) {
		s = slot(t->ns, kind);
		r.ns = s ? kind_get(kind, *s) : NULL;
	}
	mutex_unlock(&t->group->sig_mu);
	return r;
}

void ns_ref_put(struct ns_ref *r)
{
	kind_put(r->kind, r->ns);
	r->ns = NULL;
}

uint64_t ns_ref_ino(const struct ns_ref *r)
{
	return r->ns && ns_ops[r->kind] ? ns_ops[r->kind]->ino(r->ns) : 0;
}
