/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_bpf.c - bpf(2), as far as the device controller of control groups goes
 *
 * Model:   a program is an anonymous file; a group holds those that are attached to it. Container runtimes refuse to start containers whose
 *          devices they cannot restrict, so this is what makes them work inside.
 * Source:  bpf(2), linux/bpf.h.
 * Differs: no other programs, no maps, links, BTF or pinning: EINVAL, as from a kernel that does not know the type or command. Programs
 *          for packets of a group (CGROUP_SKB) load, as libraries take that for a sign that programs can be attached to groups at all, but
 *          are refused when they are to be attached. Programs have no tag. Nothing is written to log buffers.
 */
#include <string.h>

#include "sentry/abi/bpf.h"
#include "sentry/abi/cap.h"
#include "sentry/cgroup/device.h"
#include "sentry/fs/cgroup/cgroupfs.h"
#include "sentry/syscalls/syscalls.h"

/* ---- programs as files ----------------------------------------------------------------------------------------- */

static void prog_release(struct file *f)
{
	devprog_put(f->priv);
}

static void prog_fdinfo(struct file *f, struct buf *out)
{
	const struct devprog *p = f->priv;

	buf_printf(out, "prog_type:\t%u\nprog_jited:\t0\nprog_id:\t%u\n", p->type, p->id);
}

static const struct file_ops prog_fops = { .release = prog_release, .show_fdinfo = prog_fdinfo };

/* A descriptor for @p, whose reference moves. */
static long install(struct task *t, struct devprog *p)
{
	struct file *f;
	long ret = anon_file_new("bpf-prog", &prog_fops, p, LINUX_O_RDWR, t->cred, &f);

	if (ret < 0) {
		devprog_put(p);
		return ret;
	}
	ret = fdtable_install(t->fds, f, 0, true, task_rlimit(t, LINUX_RLIMIT_NOFILE));
	file_put(f);
	return ret;
}

static long get_prog(struct task *t, uint32_t fd, struct devprog **out)
{
	struct file *f = fdtable_file(t->fds, (int)fd, false);
	long ret = f ? 0 : -LINUX_EBADF;

	if (f && f->ops != &prog_fops)
		ret = -LINUX_EINVAL;
	if (!ret)
		*out = devprog_get(f->priv);
	if (f)
		file_put(f);
	return ret;
}

static long get_group(struct task *t, uint32_t fd, struct cgroup **out)
{
	struct file *f = fdtable_file(t->fds, (int)fd, true);
	long ret = f ? cgroupfs_group_of(f, out) : -LINUX_EBADF;

	if (f)
		file_put(f);
	return ret;
}

/* ---- commands ------------------------------------------------------------------------------------------------------ */

static bool has_cap(struct task *t, int cap)
{
	return cred_has_cap(t->cred, &init_user_ns, cap) || cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN);
}

static long prog_load(struct task *t, union linux_bpf_attr *a, struct gptr uattr)
{
	struct linux_bpf_load *l = &a->load;
	struct ebpf_insn *code;
	struct devprog *p;
	char license[128];
	long ret;

	if ((l->prog_type != LINUX_BPF_PROG_TYPE_CGROUP_DEVICE && l->prog_type != LINUX_BPF_PROG_TYPE_CGROUP_SKB) || l->prog_flags ||
	    l->prog_ifindex)
		return -LINUX_EINVAL;
	if (!has_cap(t, LINUX_CAP_BPF) || !has_cap(t, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	if (!l->insn_cnt || l->insn_cnt > DEVPROG_INSNS_MAX)
		return -LINUX_E2BIG;
	ret = copyin_str(t->u, license, sizeof(license), GPTR(l->license));
	if (ret < 0)
		return ret == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : ret;
	code = malloc(l->insn_cnt * sizeof(*code));
	if (!code)
		return -LINUX_ENOMEM;
	l->prog_name[sizeof(l->prog_name) - 1] = '\0';
	ret = copyin(t->u, code, GPTR(l->insns), l->insn_cnt * sizeof(*code));
	if (!ret)
		ret = devprog_new(l->prog_type, code, l->insn_cnt, l->prog_name, t->cred->uid, &p);
	free(code);
	return ret ? ret : install(t, p);
}

/* For attaching and detaching: group and program. */
static long attach_parts(struct task *t, const struct linux_bpf_attach *a, struct cgroup **cg, struct devprog **p, bool need_prog)
{
	long ret;

	if (a->attach_type != LINUX_BPF_CGROUP_DEVICE && a->attach_type != LINUX_BPF_CGROUP_INET_INGRESS &&
	    a->attach_type != LINUX_BPF_CGROUP_INET_EGRESS)
		return -LINUX_EINVAL;
	if (!has_cap(t, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	ret = get_prog(t, a->attach_bpf_fd, p);
	if (ret && need_prog)
		return ret;
	ret = get_group(t, a->target_fd, cg);
	if (!ret && (a->attach_type != LINUX_BPF_CGROUP_DEVICE || (*p && (*p)->type != LINUX_BPF_PROG_TYPE_CGROUP_DEVICE))) {
		cgroup_put(*cg);
		ret = -LINUX_EINVAL;
	}
	if (ret)
		devprog_put(TAKE_PTR(*p));
	return ret;
}

static long prog_attach(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	const struct linux_bpf_attach *a = &attr->attach;
	struct devprog *p = NULL, *replace = NULL;
	struct cgroup *cg;
	long ret;

	if (a->attach_flags & ~(ATTACH_OVERRIDE | ATTACH_MULTI | ATTACH_REPLACE))
		return -LINUX_EINVAL;
	ret = attach_parts(t, a, &cg, &p, true);
	if (ret)
		return ret;
	if (a->attach_flags & ATTACH_REPLACE)
		ret = get_prog(t, a->replace_bpf_fd, &replace);
	if (!ret)
		ret = cgroup_attach_device(cg, p, replace, a->attach_flags);
	devprog_put(replace);
	devprog_put(p);
	cgroup_put(cg);
	return ret;
}

static long prog_detach(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	struct devprog *p = NULL;
	struct cgroup *cg;
	long ret = attach_parts(t, &attr->attach, &cg, &p, false);

	if (ret)
		return ret;
	ret = cgroup_detach_device(cg, p);
	devprog_put(p);
	cgroup_put(cg);
	return ret;
}

static long prog_query(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	struct linux_bpf_query *q = &attr->query;
	uint32_t room = q->prog_cnt, nr, *ids, cap = CGROUP_PROGS_MAX * (CGROUP_DEPTH_MAX + 1);
	struct cgroup *cg;
	long ret;

	if (q->attach_type != LINUX_BPF_CGROUP_DEVICE || q->query_flags & ~LINUX_BPF_F_QUERY_EFFECTIVE)
		return -LINUX_EINVAL;
	if (!has_cap(t, LINUX_CAP_NET_ADMIN))
		return -LINUX_EPERM;
	ret = get_group(t, q->target_fd, &cg);
	if (ret)
		return ret;
	ids = calloc(cap, sizeof(*ids));
	if (!ids) {
		cgroup_put(cg);
		return -LINUX_ENOMEM;
	}
	nr = MIN(cgroup_query_devices(cg, q->query_flags, ids, cap, &q->attach_flags), cap);
	q->prog_cnt = nr;
	ret = copyout(t->u, GPTR(uattr.v + offsetof(struct linux_bpf_query, attach_flags)), &q->attach_flags, sizeof(q->attach_flags));
	if (!ret)
		ret = copyout(t->u, GPTR(uattr.v + offsetof(struct linux_bpf_query, prog_cnt)), &q->prog_cnt, sizeof(q->prog_cnt));
	/* Without room it is the number alone that is asked for. */
	if (!ret && room && q->prog_ids && nr)
		ret = copyout(t->u, GPTR(q->prog_ids), ids, MIN(room, nr) * sizeof(*ids));
	if (!ret && room && q->prog_ids && nr > room)
		ret = -LINUX_ENOSPC;
	free(ids);
	cgroup_put(cg);
	return ret;
}

static long prog_next_id(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	struct devprog *p;
	long ret;

	if (!cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	p = devprog_by_id(attr->by_id.id, true);
	if (!p)
		return -LINUX_ENOENT;
	ret = copyout(t->u, GPTR(uattr.v + offsetof(struct linux_bpf_by_id, next_id)), &p->id, sizeof(p->id));
	devprog_put(p);
	return ret;
}

static long prog_by_id(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	struct devprog *p;

	if (!cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EPERM;
	p = devprog_by_id(attr->by_id.id, false);
	return p ? install(t, p) : -LINUX_ENOENT;
}

static long info_by_fd(struct task *t, union linux_bpf_attr *attr, struct gptr uattr)
{
	struct linux_bpf_info *i = &attr->info;
	struct linux_bpf_prog_info info = { 0 }, asked = { 0 };
	uint32_t len = MIN(i->info_len, (uint32_t)sizeof(info)), bytes;
	struct devprog *p;
	long ret = get_prog(t, i->fd, &p);

	if (ret)
		return ret;
	ret = copyin(t->u, &asked, GPTR(i->info), len);
	bytes = p->nr * (uint32_t)sizeof(p->insn[0]);
	info.type = p->type;
	info.id = p->id;
	info.load_time = p->load_ns;
	info.created_by_uid = id_from_kernel_munged(t->cred->user_ns, false, p->uid);
	info.xlated_prog_len = bytes;
	info.xlated_prog_insns = asked.xlated_prog_insns;
	memcpy(info.name, p->name, sizeof(info.name));
	if (!ret && asked.xlated_prog_len && asked.xlated_prog_insns)
		ret = copyout(t->u, GPTR(asked.xlated_prog_insns), p->insn, MIN(asked.xlated_prog_len, bytes));
	devprog_put(p);
	if (!ret)
		ret = copyout(t->u, GPTR(i->info), &info, len);
	return ret ? ret : copyout(t->u, GPTR(uattr.v + offsetof(struct linux_bpf_info, info_len)), &len, sizeof(len));
}

static const struct {
	uint32_t size; /* of what the command looks at */
	long (*run)(struct task *t, union linux_bpf_attr *a, struct gptr uattr);
} commands[] = {
	[LINUX_BPF_PROG_LOAD] = { sizeof(struct linux_bpf_load), prog_load },
	[LINUX_BPF_PROG_ATTACH] = { sizeof(struct linux_bpf_attach), prog_attach },
	[LINUX_BPF_PROG_DETACH] = { sizeof(struct linux_bpf_attach), prog_detach },
	[LINUX_BPF_PROG_GET_NEXT_ID] = { sizeof(struct linux_bpf_by_id), prog_next_id },
	[LINUX_BPF_PROG_GET_FD_BY_ID] = { sizeof(struct linux_bpf_by_id), prog_by_id },
	[LINUX_BPF_OBJ_GET_INFO_BY_FD] = { sizeof(struct linux_bpf_info), info_by_fd },
	[LINUX_BPF_PROG_QUERY] = { sizeof(struct linux_bpf_query), prog_query },
};

SYSCALL_DEFINE3(bpf, uint32_t, cmd, struct gptr, uattr, uint32_t, size)
{
	union {
		union linux_bpf_attr attr;
		uint8_t bytes[256];
	} u = { .bytes = { 0 } };
	uint32_t known;
	long ret;

	if (cmd >= ARRAY_SIZE(commands) || !commands[cmd].run)
		return -LINUX_EINVAL;
	/* Attributes from the future are fine while they are zero. */
	if (size > sizeof(u.bytes))
		return -LINUX_E2BIG;
	ret = copyin(t->u, u.bytes, uattr, size);
	known = commands[cmd].size;
	for (uint32_t i = known; !ret && i < size; i++)
		if (u.bytes[i])
			ret = -LINUX_EINVAL;
	return ret ? ret : commands[cmd].run(t, &u.attr, uattr);
}
