/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/seccomp.c - guests' own system call filters
 *
 * Model:   a task has a chain of filters, shared by reference with its children; all run, the strictest answer counts. A task with
 *          filters has TE_SECCOMP set, so that no call is answered in the stub.
 * Locks:   task.seccomp is written under sig_mu; the task reads its own without.
 * Source:  seccomp(2).
 * Differs: SECCOMP_RET_LOG logs nothing.
 */
#include <string.h>

#include "sentry/abi/seccomp.h"
#include "sentry/task/ns.h"
#include "sentry/task/ptrace.h"
#include "sentry/task/seccomp.h"
#include "sentry/task/seccomp_bpf.h"
#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"

#define CHAIN_MAX_INSNS 32768u /* all filters of a task, each with 4 extra (seccomp(2), ENOMEM) */

struct seccomp_filter {
	struct refcount ref;
	struct seccomp_filter *prev; /* reference */
	uint32_t total, depth;	     /* instructions and filters of the whole chain */
	uint16_t len;
	struct seccomp_listener *listener; /* reference; NULL: nobody is asked */
	struct linux_sock_filter insn[];
};

static void filter_put(struct seccomp_filter *f)
{
	while (f && ref_put(&f->ref)) {
		struct seccomp_filter *prev = f->prev;

		seccomp_listener_orphan(f->listener);
		free(f);
		f = prev;
	}
}

static struct seccomp_filter *filter_get(struct seccomp_filter *f)
{
	if (f)
		ref_get(&f->ref);
	return f;
}

void seccomp_inherit(struct task *parent, struct task *child)
{
	child->seccomp = filter_get(parent->seccomp);
	child->seccomp_mode = parent->seccomp_mode;
	if (child->seccomp_mode)
		child->entry_work |= TE_SECCOMP;
	child->entry_work |= parent->entry_work & TE_TRACE;
}

void seccomp_chain_put(struct task *t)
{
	struct seccomp_filter *f;

	mutex_lock(&t->group->sig_mu);
	f = TAKE_PTR(t->seccomp);
	mutex_unlock(&t->group->sig_mu);
	filter_put(f);
}

unsigned seccomp_nr_filters(struct task *t)
{
	unsigned n;

	mutex_lock(&t->group->sig_mu);
	n = t->seccomp ? t->seccomp->depth : 0;
	mutex_unlock(&t->group->sig_mu);
	return n;
}

/* ---- checking a call ---------------------------------------------------------------------------------------- */

/* The strictest answer, and which filter gave it first (NULL: none but "allow"). */
static uint32_t run_chain(struct task *t, int32_t nr, const uint64_t a[6], struct linux_seccomp_data *d, struct seccomp_filter **out_by)
{
	uint32_t strictest = LINUX_SECCOMP_RET_ALLOW;
	struct guest_regs regs;

	uthread_get_regs(t->u, &regs);
	*d = (struct linux_seccomp_data){ .nr = nr, .arch = LINUX_AUDIT_ARCH_X86_64, .ip = regs.rip };
	memcpy(d->args, a, sizeof(d->args));
	*out_by = NULL;
	for (struct seccomp_filter *f = t->seccomp; f; f = f->prev) {
		uint32_t r = seccomp_bpf_run(f->insn, d);

		/* As signed numbers the actions are in order of precedence. */
		if ((int32_t)(r & LINUX_SECCOMP_RET_ACTION_FULL) < (int32_t)(strictest & LINUX_SECCOMP_RET_ACTION_FULL)) {
			strictest = r;
			*out_by = f;
		}
	}
	return strictest;
}

static void send_sigsys(struct task *t, const struct linux_seccomp_data *d, uint32_t data)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGSYS, .err = (int32_t)data, .code = LINUX_SYS_SECCOMP };

	si.sys.call_addr = d->ip;
	si.sys.syscall = d->nr;
	si.sys.arch = d->arch;
	signal_fault(t, &si);
}

static bool check_strict(struct task *t, int32_t nr)
{
	static const int32_t allowed[] = { 0 /* read */, 1 /* write */, 60 /* exit */, 15 /* rt_sigreturn */ };

	for (size_t i = 0; i < ARRAY_SIZE(allowed); i++)
		if (nr == allowed[i])
			return true;
	task_exit_thread(t, LINUX_SIGKILL);
	return false;
}

long seccomp_result(struct task *t, long value)
{
	if (value > -ERESTARTSYS || value < -ERESTART_RESTARTBLOCK)
		return value;
	uthread_set_ret(t->u, value);
	task_set_work(t, TW_NORET);
	return 0;
}

bool seccomp_check(struct task *t, int32_t *nr, uint64_t a[6], long *ret)
{
	struct linux_seccomp_data d;
	struct seccomp_filter *by;
	uint32_t r, data;

	if (t->seccomp_mode == LINUX_SECCOMP_MODE_STRICT)
		return check_strict(t, *nr);
	r = run_chain(t, *nr, a, &d, &by);
	data = r & LINUX_SECCOMP_RET_DATA;
	switch (r & LINUX_SECCOMP_RET_ACTION_FULL) {
	case LINUX_SECCOMP_RET_ALLOW:
	case LINUX_SECCOMP_RET_LOG:
		return true;
	case LINUX_SECCOMP_RET_ERRNO:
		*ret = seccomp_result(t, -(long)MIN(data, 4095u));
		return false;
	case LINUX_SECCOMP_RET_TRAP:
		*ret = *nr; /* the handler finds the call undone */
		send_sigsys(t, &d, data);
		return false;
	case LINUX_SECCOMP_RET_TRACE:
		if (ptrace_seccomp(t, data, nr, a, ret))
			return true;
		return false;
	case LINUX_SECCOMP_RET_USER_NOTIF:
		*ret = -LINUX_ENOSYS;
		return by->listener && seccomp_ask(by->listener, t, &d, ret);
	case LINUX_SECCOMP_RET_KILL_THREAD:
		if (t->group->nr_live > 1) {
			task_exit_thread(t, LINUX_SIGSYS);
			return false;
		}
		break;
	}
	/* KILL_PROCESS, the last thread, and actions that nobody knows. */
	task_exit_group(t, LINUX_SIGSYS);
	return false;
}

/* ---- setting ---------------------------------------------------------------------------------------------------- */

long seccomp_set_strict(struct task *t)
{
	if (t->seccomp_mode && t->seccomp_mode != LINUX_SECCOMP_MODE_STRICT)
		return -LINUX_EINVAL;
	t->seccomp_mode = LINUX_SECCOMP_MODE_STRICT;
	task_set_entry_work(t, TE_SECCOMP, 0);
	return 0;
}

/* Is @f the other's chain, or an older part of it? */
static bool is_ancestor(const struct seccomp_filter *f, const struct seccomp_filter *chain)
{
	for (; chain; chain = chain->prev)
		if (chain == f)
			return true;
	return !f;
}

/* All threads take over @f. sig_mu held. Return: 0, or the id of a thread that went its own way. */
static long sync_threads_locked(struct task *t, struct seccomp_filter *f)
{
	struct task *o;

	list_for_each_entry (o, &t->group->threads, thread_node)
		if (o != t && !o->sig->exiting &&
		    (o->seccomp_mode == LINUX_SECCOMP_MODE_STRICT || !is_ancestor(o->seccomp, t->seccomp)))
			return (long)task_pid_nr(o, task_pid_ns(t));
	list_for_each_entry (o, &t->group->threads, thread_node) {
		if (o == t || o->sig->exiting)
			continue;
		filter_get(f);
		/* What it had is part of the new chain: this is never the last reference. */
		filter_put(o->seccomp);
		o->seccomp = f;
		o->seccomp_mode = LINUX_SECCOMP_MODE_FILTER;
		task_set_entry_work_locked(o, TE_SECCOMP, 0);
	}
	return 0;
}

static long load_filter(struct task *t, struct gptr filter, unsigned len, struct seccomp_filter **out)
{
	struct seccomp_filter *f;

	if (!len || len > LINUX_BPF_MAXINSNS)
		return -LINUX_EINVAL;
	f = calloc(1, sizeof(*f) + len * sizeof(f->insn[0]));
	if (!f)
		return -LINUX_ENOMEM;
	ref_init(&f->ref, 1);
	f->len = (uint16_t)len;
	if (copyin(t->u, f->insn, filter, len * sizeof(f->insn[0])) < 0) {
		free(f);
		return -LINUX_EFAULT;
	}
	if (!seccomp_bpf_check(f->insn, len)) {
		free(f);
		return -LINUX_EINVAL;
	}
	*out = f;
	return 0;
}

long seccomp_start_with(struct task *t, const struct linux_sock_filter *insn, unsigned len)
{
	struct seccomp_filter *f = calloc(1, sizeof(*f) + len * sizeof(f->insn[0]));

	if (!f)
		return -LINUX_ENOMEM;
	ref_init(&f->ref, 1);
	f->len = (uint16_t)len;
	f->depth = 1;
	f->total = len + 4;
	memcpy(f->insn, insn, len * sizeof(f->insn[0]));
	t->seccomp = f;
	t->seccomp_mode = LINUX_SECCOMP_MODE_FILTER;
	t->entry_work |= TE_SECCOMP;
	return 0;
}

static bool flags_valid(uint32_t flags)
{
	const uint32_t both = LINUX_SECCOMP_FILTER_FLAG_TSYNC | LINUX_SECCOMP_FILTER_FLAG_NEW_LISTENER;

	if (flags & ~(LINUX_SECCOMP_FILTER_FLAG_TSYNC | LINUX_SECCOMP_FILTER_FLAG_LOG | LINUX_SECCOMP_FILTER_FLAG_SPEC_ALLOW |
		      LINUX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH | LINUX_SECCOMP_FILTER_FLAG_NEW_LISTENER |
		      LINUX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV))
		return false;
	/* Both would return a number of theirs: a thread's, a descriptor. */
	if ((flags & both) == both && !(flags & LINUX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH))
		return false;
	return !(flags & LINUX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV) || (flags & LINUX_SECCOMP_FILTER_FLAG_NEW_LISTENER);
}

/* A listener for @f in the task's table: its descriptor. */
static long add_listener(struct task *t, struct seccomp_filter *f, bool killable)
{
	struct file *file;
	long ret;

	for (struct seccomp_filter *o = t->seccomp; o; o = o->prev)
		if (o->listener && seccomp_listener_open(o->listener))
			return -LINUX_EBUSY;
	ret = seccomp_listener_new(t, killable, &f->listener, &file);
	if (ret < 0)
		return ret;
	ret = fdtable_install(t->fds, file, 0, true, task_rlimit(t, LINUX_RLIMIT_NOFILE));
	file_put(file);
	return ret;
}

static void discard_filter(struct task *t, struct seccomp_filter *f, long fd)
{
	if (fd >= 0)
		fdtable_close(t->fds, (int)fd);
	seccomp_listener_orphan(f->listener);
	free(f);
}

long seccomp_set_filter(struct task *t, struct gptr filter, unsigned len, uint32_t flags)
{
	struct seccomp_filter *f;
	long ret, fd = -1;

	if (!flags_valid(flags))
		return -LINUX_EINVAL;
	if (!t->cred->no_new_privs && !cred_has_cap(t->cred, t->cred->user_ns, LINUX_CAP_SYS_ADMIN))
		return -LINUX_EACCES;
	if (t->seccomp_mode == LINUX_SECCOMP_MODE_STRICT)
		return -LINUX_EINVAL;
	ret = load_filter(t, filter, len, &f);
	if (ret < 0)
		return ret;
	f->depth = (t->seccomp ? t->seccomp->depth : 0) + 1;
	f->total = (t->seccomp ? t->seccomp->total : 0) + len + 4;
	if (f->total > CHAIN_MAX_INSNS) {
		free(f);
		return -LINUX_ENOMEM;
	}
	if (flags & LINUX_SECCOMP_FILTER_FLAG_NEW_LISTENER) {
		fd = add_listener(t, f, flags & LINUX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
		if (fd < 0) {
			discard_filter(t, f, fd);
			return fd;
		}
	}
	mutex_lock(&t->group->sig_mu);
	if (flags & LINUX_SECCOMP_FILTER_FLAG_TSYNC)
		ret = sync_threads_locked(t, f);
	if (!ret) {
		f->prev = t->seccomp; /* the task's reference becomes the chain's */
		t->seccomp = f;
		t->seccomp_mode = LINUX_SECCOMP_MODE_FILTER;
		task_set_entry_work_locked(t, TE_SECCOMP, 0);
	}
	mutex_unlock(&t->group->sig_mu);
	if (ret > 0) {
		discard_filter(t, f, fd);
		return (flags & LINUX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH) ? -LINUX_ESRCH : ret;
	}
	return fd >= 0 ? fd : ret;
}
