/* SPDX-License-Identifier: Apache-2.0
 * sentry/ipc/ipc_ns.c - IPC namespaces, id tables, rights
 *
 * Source:  sysvipc(7), ipc_namespaces(7), shmget(2), semget(2), msgget(2).
 */
#include <string.h>

#include "sentry/abi/sched.h"
#include "sentry/ipc/ipc.h"
#include "sentry/task/ns.h"

void (*ipc_mq_put)(void *mq);

/* ---- the namespace --------------------------------------------------------------------------------------- */

static long ipc_ns_create(void *old, struct user_ns *owner, void **out)
{
	static const struct ipc_ids fresh[IPC_KINDS] = {
		[IPC_KIND_SEM] = { .max = IPC_LIM_SEMMNI, .next_id = IPC_LIM_SEM_NEXT },
		[IPC_KIND_MSG] = { .max = IPC_LIM_MSGMNI, .next_id = IPC_LIM_MSG_NEXT },
		[IPC_KIND_SHM] = { .max = IPC_LIM_SHMMNI, .next_id = IPC_LIM_SHM_NEXT },
	};
	struct ipc_ns *ns = calloc(1, sizeof(*ns));

	if (!ns)
		return -LINUX_ENOMEM;
	ref_init(&ns->ref, 1);
	mutex_init(&ns->mu);
	ns->user_ns = user_ns_get(owner);
	ns->ino = ns_new_ino();
	memcpy(ns->ids, fresh, sizeof(fresh));
	ipc_limits_init(ns);
	*out = ns;
	return 0;
}

static void *ipc_ns_get(void *p)
{
	ref_get(&((struct ipc_ns *)p)->ref);
	return p;
}

static void ipc_ns_put(void *p)
{
	struct ipc_ns *ns = p;

	if (!ref_put(&ns->ref))
		return;
	shm_ns_end(ns);
	for (int k = 0; k < IPC_KINDS; k++) {
		for (uint32_t i = 0; i < ns->ids[k].cap; i++)
			if (ns->ids[k].slot[i])
				ipc_obj_put(ns->ids[k].slot[i]);
		free(ns->ids[k].slot);
	}
	if (ns->mq)
		ipc_mq_put(ns->mq);
	user_ns_put(ns->user_ns);
	free(ns);
}

static uint64_t ipc_ns_ino(void *p)
{
	return ((struct ipc_ns *)p)->ino;
}

static struct user_ns *ipc_ns_owner(void *p)
{
	return ((struct ipc_ns *)p)->user_ns;
}

static const struct ns_kind_ops ipc_ns_ops = { "ipc", LINUX_CLONE_NEWIPC, ipc_ns_get, ipc_ns_put, ipc_ns_ino, ipc_ns_owner,
					       ipc_ns_create };

void ipc_init(void)
{
	ns_ops[NS_IPC] = &ipc_ns_ops;
}

/* ---- objects ------------------------------------------------------------------------------------------------- */

void ipc_obj_put(struct ipc_obj *o)
{
	if (o && ref_put(&o->ref))
		o->free(o);
}

bool ipc_allowed(struct task *t, struct ipc_ns *ns, const struct ipc_obj *o, uint32_t want)
{
	const struct cred *c = t->cred;
	uint32_t mode = o->mode, need = (want >> 6) | (want >> 3) | want;

	if (c->euid == o->cuid || c->euid == o->uid)
		mode >>= 6;
	else if (c->egid == o->cgid || c->egid == o->gid || cred_in_group(c, o->cgid) || cred_in_group(c, o->gid))
		mode >>= 3;
	return !(need & ~mode & 7) || cred_has_cap(c, ns->user_ns, LINUX_CAP_IPC_OWNER);
}

bool ipc_owner(struct task *t, struct ipc_ns *ns, const struct ipc_obj *o)
{
	return t->cred->euid == o->cuid || t->cred->euid == o->uid || cred_has_cap(t->cred, ns->user_ns, LINUX_CAP_SYS_ADMIN);
}

static struct ipc_obj *by_key_locked(struct ipc_ids *ids, int32_t key)
{
	for (uint32_t i = 0; i < ids->cap; i++)
		if (ids->slot[i] && ids->slot[i]->key == key)
			return ids->slot[i];
	return NULL;
}

static long slots_grow_locked(struct ipc_ids *ids, uint32_t nr)
{
	uint32_t cap = ids->cap ? ids->cap : 16;
	struct ipc_obj **n;

	while (cap < nr)
		cap *= 2;
	cap = MIN(cap, IPC_MNI);
	n = realloc(ids->slot, cap * sizeof(*n));
	if (!n)
		return -LINUX_ENOMEM;
	memset(n + ids->cap, 0, (cap - ids->cap) * sizeof(*n));
	ids->slot = n;
	ids->cap = cap;
	return 0;
}

/* Puts @o into a free slot, the one that *_next_id names if it can be had; its reference moves. */
static long insert_locked(struct ipc_ns *ns, struct ipc_ids *ids, struct ipc_obj *o)
{
	uint64_t wish = atomic_exchange(&ns->limit[ids->next_id], UINT64_MAX);
	uint32_t i = wish == UINT64_MAX ? 0 : (uint32_t)(wish % IPC_MNI);

	if (ids->nr >= ipc_limit(ns, ids->max))
		return -LINUX_ENOSPC;
	while (i < ids->cap && ids->slot[i])
		i++;
	if (i >= IPC_MNI)
		return -LINUX_ENOSPC;
	if (i >= ids->cap && slots_grow_locked(ids, i + 1))
		return -LINUX_ENOMEM;
	o->seq = wish == UINT64_MAX ? (uint16_t)(ids->next_seq++ % (INT32_MAX / IPC_MNI)) : (uint16_t)(wish / IPC_MNI);
	o->id = (int32_t)(o->seq * IPC_MNI + i);
	ids->slot[i] = o;
	ids->nr++;
	return o->id;
}

static long found_locked(struct task *t, struct ipc_ns *ns, struct ipc_obj *o, int flags, const struct ipc_get_ops *ops,
			 void *arg)
{
	long ret = ops->check ? ops->check(o, arg) : 0;

	if (ret < 0)
		return ret;
	return ipc_allowed(t, ns, o, (uint32_t)flags & 0777) ? o->id : -LINUX_EACCES;
}

long ipc_get(struct task *t, enum ipc_kind kind, int32_t key, int flags, const struct ipc_get_ops *ops, void *arg)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct ipc_ids *ids = &ns->ids[kind];
	struct ipc_obj *o, *fresh;
	long ret;

	if (key != LINUX_IPC_PRIVATE) {
		mutex_lock(&ns->mu);
		o = by_key_locked(ids, key);
		if (!o)
			ret = flags & LINUX_IPC_CREAT ? 0 : -LINUX_ENOENT;
		else if ((flags & LINUX_IPC_CREAT) && (flags & LINUX_IPC_EXCL))
			ret = -LINUX_EEXIST;
		else
			ret = found_locked(t, ns, o, flags, ops, arg);
		mutex_unlock(&ns->mu);
		if (o || ret < 0)
			return ret;
	}
	ret = ops->make(t, arg, &fresh);
	if (ret < 0)
		return ret;
	ref_init(&fresh->ref, 1);
	fresh->key = key;
	fresh->uid = fresh->cuid = t->cred->euid;
	fresh->gid = fresh->cgid = t->cred->egid;
	fresh->mode = (uint32_t)flags & 0777;
	mutex_lock(&ns->mu);
	/* Somebody else may have made it while no lock was held. */
	o = key != LINUX_IPC_PRIVATE ? by_key_locked(ids, key) : NULL;
	if (o)
		ret = flags & LINUX_IPC_EXCL ? -LINUX_EEXIST : found_locked(t, ns, o, flags, ops, arg);
	else
		ret = insert_locked(ns, ids, fresh);
	mutex_unlock(&ns->mu);
	if (o || ret < 0)
		ipc_obj_put(fresh);
	return ret;
}

static long check_found(struct task *t, struct ipc_ns *ns, struct ipc_obj *o, uint32_t want, struct ipc_obj **out)
{
	if (want && !ipc_allowed(t, ns, o, want))
		return -LINUX_EACCES;
	ref_get(&o->ref);
	*out = o;
	return 0;
}

long ipc_find(struct task *t, enum ipc_kind kind, int id, uint32_t want, struct ipc_obj **out)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct ipc_ids *ids = &ns->ids[kind];
	uint32_t i = (uint32_t)id % IPC_MNI;
	long ret = -LINUX_EINVAL;

	if (id < 0)
		return -LINUX_EINVAL;
	mutex_lock(&ns->mu);
	if (i < ids->cap && ids->slot[i])
		ret = ids->slot[i]->id == id ? check_found(t, ns, ids->slot[i], want, out) : -LINUX_EIDRM;
	mutex_unlock(&ns->mu);
	return ret;
}

long ipc_find_index(struct task *t, enum ipc_kind kind, int index, uint32_t want, struct ipc_obj **out)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct ipc_ids *ids = &ns->ids[kind];
	uint32_t slot = (uint32_t)index % IPC_MNI; /* a whole identifier will do, too */
	long ret = -LINUX_EINVAL;

	mutex_lock(&ns->mu);
	if (index >= 0 && slot < ids->cap && ids->slot[slot])
		ret = check_found(t, ns, ids->slot[slot], want, out);
	mutex_unlock(&ns->mu);
	return ret;
}

int ipc_highest_index(struct ipc_ns *ns, enum ipc_kind kind)
{
	uint32_t i;

	mutex_lock(&ns->mu);
	for (i = ns->ids[kind].cap; i > 0 && !ns->ids[kind].slot[i - 1]; i--)
		;
	mutex_unlock(&ns->mu);
	return i ? (int)i - 1 : 0;
}

/* Out of the table; its reference is the caller's now. */
static struct ipc_obj *take_out_locked(struct ipc_ids *ids, uint32_t i)
{
	struct ipc_obj *o = TAKE_PTR(ids->slot[i]);

	ids->nr--;
	atomic_store(&o->removed, true);
	return o;
}

void ipc_remove_if(struct ipc_ns *ns, enum ipc_kind kind, bool (*fn)(struct ipc_obj *o, void *arg), void *arg)
{
	struct ipc_ids *ids = &ns->ids[kind];

	for (uint32_t i = 0;; i++) {
		struct ipc_obj *o = NULL;

		mutex_lock(&ns->mu);
		while (i < ids->cap && !(ids->slot[i] && fn(ids->slot[i], arg)))
			i++;
		if (i < ids->cap)
			o = take_out_locked(ids, i);
		mutex_unlock(&ns->mu);
		if (!o)
			return;
		ipc_obj_put(o);
	}
}

long ipc_remove(struct task *t, enum ipc_kind kind, struct ipc_obj *o)
{
	struct ipc_ns *ns = t->ns->ipc;
	struct ipc_ids *ids = &ns->ids[kind];
	uint32_t i = (uint32_t)o->id % IPC_MNI;
	long ret = -LINUX_EIDRM;

	mutex_lock(&ns->mu);
	if (!ipc_owner(t, ns, o)) {
		ret = -LINUX_EPERM;
	} else if (i < ids->cap && ids->slot[i] == o) {
		take_out_locked(ids, i);
		ret = 0;
	}
	mutex_unlock(&ns->mu);
	if (!ret)
		ipc_obj_put(o); /* the table's */
	return ret;
}

long ipc_set_perm(struct task *t, struct ipc_obj *o, const struct linux_ipc64_perm *p)
{
	struct ipc_ns *ns = t->ns->ipc;
	uint32_t uid = id_to_kernel(t->cred->user_ns, false, p->uid), gid = id_to_kernel(t->cred->user_ns, true, p->gid);
	long ret = 0;

	if (uid == ID_INVALID || gid == ID_INVALID)
		return -LINUX_EINVAL;
	mutex_lock(&ns->mu);
	if (!ipc_owner(t, ns, o)) {
		ret = -LINUX_EPERM;
	} else {
		o->uid = uid;
		o->gid = gid;
		o->mode = (o->mode & ~0777u) | (p->mode & 0777);
	}
	mutex_unlock(&ns->mu);
	return ret;
}

void ipc_fill_perm(struct task *t, const struct ipc_obj *o, struct linux_ipc64_perm *out)
{
	struct user_ns *un = t->cred->user_ns;
	struct ipc_ns *ns = t->ns->ipc;

	mutex_lock(&ns->mu);
	*out = (struct linux_ipc64_perm){
		.key = o->key,
		.uid = id_from_kernel_munged(un, false, o->uid),
		.gid = id_from_kernel_munged(un, true, o->gid),
		.cuid = id_from_kernel_munged(un, false, o->cuid),
		.cgid = id_from_kernel_munged(un, true, o->cgid),
		.mode = o->mode,
		.seq = o->seq,
	};
	mutex_unlock(&ns->mu);
}

void ipc_for_each(struct ipc_ns *ns, enum ipc_kind kind, void (*fn)(struct ipc_obj *o, void *arg), void *arg)
{
	mutex_lock(&ns->mu);
	for (uint32_t i = 0; i < ns->ids[kind].cap; i++)
		if (ns->ids[kind].slot[i])
			fn(ns->ids[kind].slot[i], arg);
	mutex_unlock(&ns->mu);
}

void ipc_proc_show(struct ipc_ns *ns, const char *name, struct task *viewer, struct buf *out)
{
	struct ipc_show s = { viewer, out };

	if (!strcmp(name, "shm"))
		ipc_for_each(ns, IPC_KIND_SHM, shm_show, &s);
	else if (!strcmp(name, "sem"))
		ipc_for_each(ns, IPC_KIND_SEM, sem_show, &s);
	else
		ipc_for_each(ns, IPC_KIND_MSG, msg_show, &s);
}
