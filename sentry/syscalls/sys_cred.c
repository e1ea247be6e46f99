/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_cred.c - user and group ids, groups, capabilities
 */
#include <string.h>

#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"
#include "sentry/task/signal.h"

#define NGROUPS_MAX_LINUX 65536

#define GET_ID(name, gid, field)                                                                   \
	SYSCALL_DEFINE0(name)                                                                      \
	{                                                                                          \
		return id_from_kernel_munged(t->cred->user_ns, gid, t->cred->field);               \
	}
GET_ID(getuid, false, uid)
GET_ID(geteuid, false, euid)
GET_ID(getgid, true, gid)
GET_ID(getegid, true, egid)

/* An id argument as a kernel id. -1 means "unchanged" where @keep; -LINUX_EINVAL when it is not mapped. */
static long to_kernel(struct task *t, bool gid, uint32_t id, bool keep, uint32_t *out)
{
	*out = ID_INVALID;
	if (id == ID_INVALID)
		return keep ? 0 : -LINUX_EINVAL;
	*out = id_to_kernel(t->cred->user_ns, gid, id);
	return *out == ID_INVALID ? -LINUX_EINVAL : 0;
}

/* Publishes @n when @ret says that the change was allowed. */
static long finish(struct task *t, struct cred *n, long ret)
{
	if (ret < 0)
		cred_put(n);
	else
		task_set_cred(t, n);
	return ret;
}

static long set1(struct task *t, bool gid, uint32_t id, long (*set)(struct cred *, uint32_t))
{
	uint32_t k;
	struct cred *n;
	long ret = to_kernel(t, gid, id, false, &k);

	if (ret < 0)
		return ret;
	n = cred_dup(t->cred);
	return n ? finish(t, n, set(n, k)) : -LINUX_ENOMEM;
}

static long set2(struct task *t, bool gid, uint32_t r, uint32_t e, long (*set)(struct cred *, uint32_t, uint32_t))
{
	uint32_t kr, ke;
	struct cred *n;

	if (to_kernel(t, gid, r, true, &kr) < 0 || to_kernel(t, gid, e, true, &ke) < 0)
		return -LINUX_EINVAL;
	n = cred_dup(t->cred);
	return n ? finish(t, n, set(n, kr, ke)) : -LINUX_ENOMEM;
}

static long set3(struct task *t, bool gid, uint32_t r, uint32_t e, uint32_t s,
		 long (*set)(struct cred *, uint32_t, uint32_t, uint32_t))
{
	uint32_t kr, ke, ks;
	struct cred *n;

	if (to_kernel(t, gid, r, true, &kr) < 0 || to_kernel(t, gid, e, true, &ke) < 0 || to_kernel(t, gid, s, true, &ks) < 0)
		return -LINUX_EINVAL;
	n = cred_dup(t->cred);
	return n ? finish(t, n, set(n, kr, ke, ks)) : -LINUX_ENOMEM;
}

SYSCALL_DEFINE1(setuid, uint32_t, id)
{
	return set1(t, false, id, cred_set_uid);
}

SYSCALL_DEFINE1(setgid, uint32_t, id)
{
	return set1(t, true, id, cred_set_gid);
}

SYSCALL_DEFINE2(setreuid, uint32_t, r, uint32_t, e)
{
	return set2(t, false, r, e, cred_set_reuid);
}

SYSCALL_DEFINE2(setregid, uint32_t, r, uint32_t, e)
{
	return set2(t, true, r, e, cred_set_regid);
}

SYSCALL_DEFINE3(setresuid, uint32_t, r, uint32_t, e, uint32_t, s)
{
	return set3(t, false, r, e, s, cred_set_resuid);
}

SYSCALL_DEFINE3(setresgid, uint32_t, r, uint32_t, e, uint32_t, s)
{
	return set3(t, true, r, e, s, cred_set_resgid);
}

static long get3(struct task *t, bool gid, const uint32_t id[3], const struct gptr out[3])
{
	for (int i = 0; i < 3; i++) {
		uint32_t v = id_from_kernel_munged(t->cred->user_ns, gid, id[i]);

		if (copyout_obj(t->u, out[i], &v) < 0)
			return -LINUX_EFAULT;
	}
	return 0;
}

SYSCALL_DEFINE3(getresuid, struct gptr, r, struct gptr, e, struct gptr, s)
{
	return get3(t, false, (uint32_t[]){ t->cred->uid, t->cred->euid, t->cred->suid }, (struct gptr[]){ r, e, s });
}

SYSCALL_DEFINE3(getresgid, struct gptr, r, struct gptr, e, struct gptr, s)
{
	return get3(t, true, (uint32_t[]){ t->cred->gid, t->cred->egid, t->cred->sgid }, (struct gptr[]){ r, e, s });
}

/* setfsuid(2) and setfsgid(2) return the old id, whatever happens. */
static long set_fs(struct task *t, bool gid, uint32_t id)
{
	uint32_t old = gid ? t->cred->fsgid : t->cred->fsuid, k;
	long ret = id_from_kernel_munged(t->cred->user_ns, gid, old);
	struct cred *n;

	if (to_kernel(t, gid, id, true, &k) < 0 || k == ID_INVALID)
		return ret;
	n = cred_dup(t->cred);
	if (!n)
		return ret;
	if (gid)
		cred_set_fsgid(n, k);
	else
		cred_set_fsuid(n, k);
	task_set_cred(t, n);
	return ret;
}

SYSCALL_DEFINE1(setfsuid, uint32_t, id)
{
	return set_fs(t, false, id);
}

SYSCALL_DEFINE1(setfsgid, uint32_t, id)
{
	return set_fs(t, true, id);
}

/* ---- groups ------------------------------------------------------------------------------------------------ */

SYSCALL_DEFINE2(getgroups, int, size, struct gptr, list)
{
	const struct group_list *g = t->cred->groups;
	uint32_t nr = g ? g->nr : 0;
	uint32_t *v;
	long ret = nr;

	if (size < 0)
		return -LINUX_EINVAL;
	if (!size || !nr)
		return nr;
	if (nr > (uint32_t)size)
		return -LINUX_EINVAL;
	v = malloc(nr * sizeof(*v));
	if (!v)
		return -LINUX_ENOMEM;
	for (uint32_t i = 0; i < nr; i++)
		v[i] = id_from_kernel_munged(t->cred->user_ns, true, g->gid[i]);
	if (copyout(t->u, list, v, nr * sizeof(*v)) < 0)
		ret = -LINUX_EFAULT;
	free(v);
	return ret;
}

SYSCALL_DEFINE2(setgroups, int, size, struct gptr, list)
{
	struct group_list *g;
	struct cred *n;
	long ret = 0;

	if (!cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_SETGID) || !user_ns_setgroups_allowed(t->cred->user_ns))
		return -LINUX_EPERM;
	if (size < 0 || size > NGROUPS_MAX_LINUX)
		return -LINUX_EINVAL;
	g = groups_new((uint32_t)size);
	if (!g)
		return -LINUX_ENOMEM;
	if (size)
		ret = copyin(t->u, g->gid, list, (size_t)size * sizeof(g->gid[0]));
	for (int i = 0; !ret && i < size; i++)
		ret = to_kernel(t, true, g->gid[i], false, &g->gid[i]);
	n = ret ? NULL : cred_dup(t->cred);
	if (!n) {
		groups_put(g);
		return ret ?: -LINUX_ENOMEM;
	}
	groups_sort(g);
	groups_put(n->groups);
	n->groups = g;
	task_set_cred(t, n);
	return 0;
}

/* ---- capabilities --------------------------------------------------------------------------------------------- */

#define CAP_VERSION_1 0x19980330u
#define CAP_VERSION_2 0x20071026u
#define CAP_VERSION_3 0x20080522u

struct cap_header {
	uint32_t version;
	int32_t pid;
};
struct cap_data {
	uint32_t effective, permitted, inheritable;
};

/* How many cap_data follow; writes back the version we prefer when it is not known. */
static long cap_words(struct task *t, struct gptr uhdr, struct cap_header *h)
{
	uint32_t ours = CAP_VERSION_3;

	if (copyin_obj(t->u, h, uhdr) < 0)
		return -LINUX_EFAULT;
	if (h->version == CAP_VERSION_1)
		return 1;
	if (h->version == CAP_VERSION_2 || h->version == CAP_VERSION_3)
		return 2;
	if (copyout_obj(t->u, uhdr, &ours) < 0)
		return -LINUX_EFAULT;
	return -LINUX_EINVAL;
}

SYSCALL_DEFINE2(capget, struct gptr, uhdr, struct gptr, udata)
{
	struct cap_header h;
	struct cap_data d[2];
	struct cred *c;
	long words = cap_words(t, uhdr, &h);

	if (words == -LINUX_EINVAL && !udata.v)
		return 0; /* a probe for the version */
	if (words < 0)
		return words;
	if (h.pid < 0)
		return -LINUX_EINVAL;
	if (h.pid) {
		struct task *o = task_find(task_pid_ns(t), (uint32_t)h.pid);

		if (!o)
			return -LINUX_ESRCH;
		c = task_cred(o);
		task_put(o);
	} else {
		c = cred_get(t->cred);
	}
	for (int i = 0; i < 2; i++)
		d[i] = (struct cap_data){ (uint32_t)(c->cap_effective >> (32 * i)), (uint32_t)(c->cap_permitted >> (32 * i)),
					  (uint32_t)(c->cap_inheritable >> (32 * i)) };
	cred_put(c);
	return udata.v ? copyout(t->u, udata, d, (size_t)words * sizeof(d[0])) : 0;
}

SYSCALL_DEFINE2(capset, struct gptr, uhdr, struct gptr, udata)
{
	struct cap_data d[2] = { { 0 }, { 0 } };
	struct cap_header h;
	struct cred *n;
	long words = cap_words(t, uhdr, &h);

	if (words < 0)
		return words;
	if (h.pid && (uint32_t)h.pid != task_pid_nr(t, task_pid_ns(t)))
		return -LINUX_EPERM;
	if (copyin(t->u, d, udata, (size_t)words * sizeof(d[0])) < 0)
		return -LINUX_EFAULT;
	n = cred_dup(t->cred);
	if (!n)
		return -LINUX_ENOMEM;
	return finish(t, n,
		      cred_set_caps(n, d[0].effective | (uint64_t)d[1].effective << 32,
				    d[0].permitted | (uint64_t)d[1].permitted << 32,
				    d[0].inheritable | (uint64_t)d[1].inheritable << 32));
}
