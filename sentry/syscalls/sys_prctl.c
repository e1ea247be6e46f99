/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/sys_prctl.c - prctl(2), arch_prctl(2), personality(2), seccomp(2)
 *
 * Model:   prctl is a table from option to handler; what is not in it answers EINVAL.
 */
#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/abi/prctl.h"
#include "sentry/abi/seccomp.h"
#include "sentry/abi/signal.h"
#include "sentry/syscalls/syscalls.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/signal.h"

typedef long (*prctl_fn)(struct task *t, const uint64_t a[5]); /* a[0] is the option */

static long put_int(struct task *t, uint64_t at, int v)
{
	return copyout_obj(t->u, GPTR(at), &v);
}

static long pr_set_pdeathsig(struct task *t, const uint64_t a[5])
{
	if (a[1] > LINUX_NSIG)
		return -LINUX_EINVAL;
	t->sig->pdeath_signal = (int)a[1];
	return 0;
}

static long pr_get_pdeathsig(struct task *t, const uint64_t a[5])
{
	return put_int(t, a[1], t->sig->pdeath_signal);
}

static long pr_get_dumpable(struct task *t, const uint64_t a[5])
{
	return t->group->dumpable;
}

static long pr_set_dumpable(struct task *t, const uint64_t a[5])
{
	if (a[1] > 1)
		return -LINUX_EINVAL;
	t->group->dumpable = a[1];
	return 0;
}

static long pr_set_name(struct task *t, const uint64_t a[5])
{
	char name[16] = { 0 };
	long n = umem_copy_in_partial(t->u, name, GPTR(a[1]), sizeof(name) - 1);

	if (n < 0 || (n < (long)sizeof(name) - 1 && !memchr(name, 0, (size_t)n)))
		return -LINUX_EFAULT;
	task_set_comm(t, name);
	uthread_set_name(t->u, name);
	return 0;
}

static long pr_get_name(struct task *t, const uint64_t a[5])
{
	char name[16];

	task_get_comm(t, name);
	return copyout(t->u, GPTR(a[1]), name, sizeof(name));
}

static long pr_get_seccomp(struct task *t, const uint64_t a[5])
{
	return t->seccomp_mode;
}

static long pr_set_seccomp(struct task *t, const uint64_t a[5])
{
	struct linux_sock_fprog fp;

	if (a[1] == LINUX_SECCOMP_MODE_STRICT)
		return seccomp_set_strict(t);
	if (a[1] != LINUX_SECCOMP_MODE_FILTER)
		return -LINUX_EINVAL;
	if (copyin_obj(t->u, &fp, GPTR(a[2])) < 0)
		return -LINUX_EFAULT;
	return seccomp_set_filter(t, GPTR(fp.filter), fp.len, 0);
}

/* ---- capabilities ------------------------------------------------------------------------------------------ */

static long change_cred(struct task *t, void (*edit)(struct cred *c, uint64_t arg), uint64_t arg)
{
	struct cred *n = cred_dup(t->cred);

	if (!n)
		return -LINUX_ENOMEM;
	edit(n, arg);
	task_set_cred(t, n);
	return 0;
}

static long pr_get_keepcaps(struct task *t, const uint64_t a[5])
{
	return !!(t->cred->securebits & SECBIT_KEEP_CAPS);
}

static void edit_keepcaps(struct cred *c, uint64_t on)
{
	c->securebits = on ? c->securebits | SECBIT_KEEP_CAPS : c->securebits & ~SECBIT_KEEP_CAPS;
}

static long pr_set_keepcaps(struct task *t, const uint64_t a[5])
{
	if (a[1] > 1)
		return -LINUX_EINVAL;
	if (t->cred->securebits & SECBIT_KEEP_CAPS_LOCKED)
		return -LINUX_EPERM;
	return change_cred(t, edit_keepcaps, a[1]);
}

static long pr_capbset_read(struct task *t, const uint64_t a[5])
{
	return a[1] > CAP_LAST ? -LINUX_EINVAL : (long)(t->cred->cap_bset >> a[1] & 1);
}

static void edit_bset(struct cred *c, uint64_t cap)
{
	c->cap_bset &= ~CAP_BIT(cap);
}

static long pr_capbset_drop(struct task *t, const uint64_t a[5])
{
	if (!cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_SETPCAP))
		return -LINUX_EPERM;
	return a[1] > CAP_LAST ? -LINUX_EINVAL : change_cred(t, edit_bset, a[1]);
}

static long pr_get_securebits(struct task *t, const uint64_t a[5])
{
	return t->cred->securebits;
}

static void edit_securebits(struct cred *c, uint64_t bits)
{
	c->securebits = (uint32_t)bits;
}

static long pr_set_securebits(struct task *t, const uint64_t a[5])
{
	uint32_t old = t->cred->securebits, locked = (old & SECBITS_LOCKS) >> 1;

	if ((a[1] & ~(uint64_t)SECBITS_ALL) || ((old ^ a[1]) & locked) || (old & SECBITS_LOCKS & ~a[1]) ||
	    !cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_SETPCAP))
		return -LINUX_EPERM;
	return change_cred(t, edit_securebits, a[1]);
}

static void edit_ambient(struct cred *c, uint64_t set)
{
	c->cap_ambient = set;
}

static long pr_cap_ambient(struct task *t, const uint64_t a[5])
{
	const struct cred *c = t->cred;

	if (a[1] == LINUX_PR_CAP_AMBIENT_CLEAR_ALL)
		return a[2] | a[3] | a[4] ? -LINUX_EINVAL : change_cred(t, edit_ambient, 0);
	if (a[2] > CAP_LAST || a[3] | a[4])
		return -LINUX_EINVAL;
	switch (a[1]) {
	case LINUX_PR_CAP_AMBIENT_IS_SET:
		return (long)(c->cap_ambient >> a[2] & 1);
	case LINUX_PR_CAP_AMBIENT_RAISE:
		if (!(c->cap_permitted & c->cap_inheritable & CAP_BIT(a[2])) || (c->securebits & SECBIT_NO_CAP_AMBIENT_RAISE))
			return -LINUX_EPERM;
		return change_cred(t, edit_ambient, c->cap_ambient | CAP_BIT(a[2]));
	case LINUX_PR_CAP_AMBIENT_LOWER:
		return change_cred(t, edit_ambient, c->cap_ambient & ~CAP_BIT(a[2]));
	}
	return -LINUX_EINVAL;
}

static void edit_no_new_privs(struct cred *c, uint64_t on)
{
	c->no_new_privs = on;
}

static long pr_set_no_new_privs(struct task *t, const uint64_t a[5])
{
	return a[1] != 1 || a[2] | a[3] | a[4] ? -LINUX_EINVAL : change_cred(t, edit_no_new_privs, 1);
}

static long pr_get_no_new_privs(struct task *t, const uint64_t a[5])
{
	return a[1] | a[2] | a[3] | a[4] ? -LINUX_EINVAL : t->cred->no_new_privs;
}

/* ---- the rest ------------------------------------------------------------------------------------------------- */

static long pr_set_timerslack(struct task *t, const uint64_t a[5])
{
	t->timer_slack_ns = a[1] && a[1] <= INT64_MAX ? a[1] : t->timer_slack_dflt;
	return 0;
}

static long pr_get_timerslack(struct task *t, const uint64_t a[5])
{
	return (long)MIN(t->timer_slack_ns, (uint64_t)INT32_MAX);
}

static void mark_descendants(struct tgroup *g)
{
	struct tgroup *c;

	list_for_each_entry (c, &g->children, sibling) {
		if (c->has_child_subreaper)
			continue;
		c->has_child_subreaper = true;
	}
}

static long pr_set_subreaper(struct task *t, const uint64_t a[5])
{
	mutex_lock(&tasks_mu);
	t->group->is_subreaper = a[1];
	if (a[1])
		mark_descendants(t->group);
	mutex_unlock(&tasks_mu);
	return 0;
}

static long pr_get_subreaper(struct task *t, const uint64_t a[5])
{
	return put_int(t, a[1], t->group->is_subreaper);
}

static long pr_get_tid_address(struct task *t, const uint64_t a[5])
{
	uint64_t word = task_clear_tid_locked(t); /* its own page: needs no lock */

	return copyout_obj(t->u, GPTR(a[1]), &word);
}

static long pr_set_ptracer(struct task *t, const uint64_t a[5])
{
	struct pid *p;

	if (!a[1] || a[1] == LINUX_PR_SET_PTRACER_ANY) {
		t->group->ptracer_allowed = a[1] ? UINT32_MAX : 0;
		return 0;
	}
	p = pid_find(task_pid_ns(t), (uint32_t)MIN(a[1], (uint64_t)UINT32_MAX));
	if (!p)
		return -LINUX_EINVAL;
	t->group->ptracer_allowed = p->num[0].nr;
	pid_put(p);
	return 0;
}

#define ANON_NAME_MAX 80

static long pr_set_vma(struct task *t, const uint64_t a[5])
{
	char name[ANON_NAME_MAX] = "";
	long ret = 0;

	if (a[1] != LINUX_PR_SET_VMA_ANON_NAME)
		return -LINUX_EINVAL;
	if (a[4])
		ret = copyin_str(t->u, name, sizeof(name), GPTR(a[4]));
	if (ret < 0)
		return ret == -LINUX_ENAMETOOLONG ? -LINUX_EINVAL : ret;
	for (const char *c = name; *c; c++)
		if (*c < ' ' || *c > '~' || strchr("\\`$[]", *c))
			return -LINUX_EINVAL;
	return mm_set_anon_name(t->mm, a[2], a[3], a[4] ? name : NULL);
}

/* PR_SET_MM_*: where ps and /proc look for arguments and environment. */
static long pr_set_mm(struct task *t, const uint64_t a[5])
{
	struct mm_layout *l = mm_layout(t->mm);
	uint64_t *field[] = {
		[LINUX_PR_SET_MM_START_CODE] = &l->start_code, [LINUX_PR_SET_MM_END_CODE] = &l->end_code,
		[LINUX_PR_SET_MM_START_DATA] = &l->start_data, [LINUX_PR_SET_MM_END_DATA] = &l->end_data,
		[LINUX_PR_SET_MM_START_STACK] = &l->start_stack,
		[LINUX_PR_SET_MM_ARG_START] = &l->arg_start, [LINUX_PR_SET_MM_ARG_END] = &l->arg_end,
		[LINUX_PR_SET_MM_ENV_START] = &l->env_start, [LINUX_PR_SET_MM_ENV_END] = &l->env_end,
	};

	if (a[1] >= ARRAY_SIZE(field) || !field[a[1]] || a[3] | a[4])
		return -LINUX_EINVAL;
	if (!cred_has_cap(t->cred, &init_user_ns, LINUX_CAP_SYS_RESOURCE))
		return -LINUX_EPERM;
	if (a[2] < PAGE_SIZE || a[2] >= uspace_limit(t->u->space))
		return -LINUX_EINVAL;
	mm_lock(t->mm);
	*field[a[1]] = a[2];
	mm_unlock(t->mm);
	return 0;
}

/* Fixed answers of x86-64: statistical timing, readable time stamp counter, default machine check policy, huge pages on. */
static long pr_zero(struct task *t, const uint64_t a[5])
{
	return a[1] ? -LINUX_EINVAL : 0;
}

static long pr_get_tsc(struct task *t, const uint64_t a[5])
{
	return put_int(t, a[1], 1 /* PR_TSC_ENABLE */);
}

static long pr_set_tsc(struct task *t, const uint64_t a[5])
{
	return a[1] == 1 ? 0 : -LINUX_EINVAL;
}

static long pr_mce_kill_get(struct task *t, const uint64_t a[5])
{
	return a[1] | a[2] | a[3] | a[4] ? -LINUX_EINVAL : 2 /* PR_MCE_KILL_DEFAULT */;
}

static long pr_get_zero(struct task *t, const uint64_t a[5])
{
	return a[1] | a[2] | a[3] | a[4] ? -LINUX_EINVAL : 0;
}

static const struct {
	uint32_t option;
	prctl_fn fn;
} options[] = {
	{ LINUX_PR_SET_PDEATHSIG, pr_set_pdeathsig },
	{ LINUX_PR_GET_PDEATHSIG, pr_get_pdeathsig },
	{ LINUX_PR_GET_DUMPABLE, pr_get_dumpable },
	{ LINUX_PR_SET_DUMPABLE, pr_set_dumpable },
	{ LINUX_PR_GET_KEEPCAPS, pr_get_keepcaps },
	{ LINUX_PR_SET_KEEPCAPS, pr_set_keepcaps },
	{ LINUX_PR_GET_TIMING, pr_get_zero },
	{ LINUX_PR_SET_TIMING, pr_zero },
	{ LINUX_PR_SET_NAME, pr_set_name },
	{ LINUX_PR_GET_NAME, pr_get_name },
	{ LINUX_PR_GET_SECCOMP, pr_get_seccomp },
	{ LINUX_PR_SET_SECCOMP, pr_set_seccomp },
	{ LINUX_PR_CAPBSET_READ, pr_capbset_read },
	{ LINUX_PR_CAPBSET_DROP, pr_capbset_drop },
	{ LINUX_PR_GET_TSC, pr_get_tsc },
	{ LINUX_PR_SET_TSC, pr_set_tsc },
	{ LINUX_PR_GET_SECUREBITS, pr_get_securebits },
	{ LINUX_PR_SET_SECUREBITS, pr_set_securebits },
	{ LINUX_PR_SET_TIMERSLACK, pr_set_timerslack },
	{ LINUX_PR_GET_TIMERSLACK, pr_get_timerslack },
	{ LINUX_PR_MCE_KILL_GET, pr_mce_kill_get },
	{ LINUX_PR_SET_MM, pr_set_mm },
	{ LINUX_PR_SET_CHILD_SUBREAPER, pr_set_subreaper },
	{ LINUX_PR_GET_CHILD_SUBREAPER, pr_get_subreaper },
	{ LINUX_PR_SET_NO_NEW_PRIVS, pr_set_no_new_privs },
	{ LINUX_PR_GET_NO_NEW_PRIVS, pr_get_no_new_privs },
	{ LINUX_PR_GET_TID_ADDRESS, pr_get_tid_address },
	{ LINUX_PR_GET_THP_DISABLE, pr_get_zero },
	{ LINUX_PR_CAP_AMBIENT, pr_cap_ambient },
	{ LINUX_PR_SET_PTRACER, pr_set_ptracer },
	{ LINUX_PR_SET_VMA, pr_set_vma },
};

SYSCALL_DEFINE5(prctl, uint32_t, option, uint64_t, a1, uint64_t, a2, uint64_t, a3, uint64_t, a4)
{
	const uint64_t a[5] = { option, a1, a2, a3, a4 };

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		if (options[i].option == option)
			return options[i].fn(t, a);
	return -LINUX_EINVAL;
}

/* ---- arch_prctl ---------------------------------------------------------------------------------------------------- */

SYSCALL_DEFINE2(arch_prctl, int, code, uint64_t, addr)
{
	struct guest_regs r;

	uthread_get_regs(t->u, &r);
	switch (code) {
	case LINUX_ARCH_SET_FS:
	case LINUX_ARCH_SET_GS:
		if (addr >= uspace_limit(t->u->space))
			return -LINUX_EPERM;
		if (code == LINUX_ARCH_SET_FS)
			r.fs_base = addr;
		else
			r.gs_base = addr;
		r.rax = 0;
		r.orig_rax = (uint64_t)-1;
		uthread_set_regs(t->u, &r);
		task_set_work(t, TW_NORET);
		return 0;
	case LINUX_ARCH_GET_FS:
		return copyout_obj(t->u, GPTR(addr), &r.fs_base);
	case LINUX_ARCH_GET_GS:
		return copyout_obj(t->u, GPTR(addr), &r.gs_base);
	case LINUX_ARCH_GET_CPUID:
		return 1;
	case LINUX_ARCH_SET_CPUID:
		return -LINUX_ENODEV; /* a processor without CPUID faulting */
	}
	return -LINUX_EINVAL;
}

#define PER_KNOWN 0x0fff00ffu

SYSCALL_DEFINE1(personality, uint32_t, p)
{
	uint32_t old = t->personality;

	if (p != UINT32_MAX)
		t->personality = p & PER_KNOWN;
	return old;
}

/* ---- seccomp(2) --------------------------------------------------------------------------------------------------------- */

static long action_avail(struct task *t, struct gptr uargs)
{
	static const uint32_t known[] = { LINUX_SECCOMP_RET_KILL_PROCESS, LINUX_SECCOMP_RET_KILL_THREAD, LINUX_SECCOMP_RET_TRAP,
					  LINUX_SECCOMP_RET_ERRNO, LINUX_SECCOMP_RET_TRACE, LINUX_SECCOMP_RET_LOG,
					  LINUX_SECCOMP_RET_ALLOW, LINUX_SECCOMP_RET_USER_NOTIF };
	uint32_t action;

	if (copyin_obj(t->u, &action, uargs) < 0)
		return -LINUX_EFAULT;
	for (size_t i = 0; i < ARRAY_SIZE(known); i++)
		if (known[i] == action)
			return 0;
	return -LINUX_EOPNOTSUPP;
}

static long notif_sizes(struct task *t, struct gptr uargs)
{
	static const struct linux_seccomp_notif_sizes sizes = { sizeof(struct linux_seccomp_notif), sizeof(struct linux_seccomp_notif_resp),
								sizeof(struct linux_seccomp_data) };

	return copyout_obj(t->u, uargs, &sizes);
}

SYSCALL_DEFINE3(seccomp, uint32_t, op, uint32_t, flags, struct gptr, uargs)
{
	struct linux_sock_fprog fp;

	switch (op) {
	case LINUX_SECCOMP_SET_MODE_STRICT:
		return flags || uargs.v ? -LINUX_EINVAL : seccomp_set_strict(t);
	case LINUX_SECCOMP_SET_MODE_FILTER:
		if (copyin_obj(t->u, &fp, uargs) < 0)
			return -LINUX_EFAULT;
		return seccomp_set_filter(t, GPTR(fp.filter), fp.len, flags);
	case LINUX_SECCOMP_GET_ACTION_AVAIL:
		return flags ? -LINUX_EINVAL : action_avail(t, uargs);
	case LINUX_SECCOMP_GET_NOTIF_SIZES:
		return flags ? -LINUX_EINVAL : notif_sizes(t, uargs);
	}
	return -LINUX_EINVAL;
}
