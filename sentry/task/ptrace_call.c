/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/ptrace_call.c - ptrace(2): what a tracer asks for
 *
 * Source:  ptrace(2).
 * Differs: no hardware debug registers (PTRACE_PEEKUSER shows 0, POKEUSER refuses), no PTRACE_PEEKSIGINFO, no SYSEMU_SINGLESTEP.
 */
#include <string.h>

#include "sentry/abi/mman.h"
#include "sentry/abi/seccomp.h"
#include "sentry/task/ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/ptrace_internal.h"
#include "sentry/task/signal.h"

/* ---- beginning and ending ------------------------------------------------------------------------------------- */

static long trace_me(struct task *t)
{
	long ret = -LINUX_EPERM;

	mutex_lock(&tasks_mu);
	if (t->group->parent)
		ret = ptrace_link_locked(t->group->parent, t, 0, false);
	mutex_unlock(&tasks_mu);
	return ret;
}

/* A tracee that was detached in a stop frees its state itself, on its way out; until then it cannot be traced anew, which
 * no caller of ptrace(2) shall see. */
#define DETACH_POLL_NS	1000000ull
#define DETACH_POLL_MAX 2000

static bool detach_pending(struct task *o)
{
	bool pending;

	mutex_lock(&tasks_mu);
	pending = o->ptrace && !o->ptrace->tracer;
	mutex_unlock(&tasks_mu);
	return pending;
}

static long attach(struct task *t, struct task *o, uint64_t options, bool seize)
{
	struct linux_siginfo_head si = { .signo = LINUX_SIGSTOP };
	long ret;

	if (o->group == t->group || (options & ~(uint64_t)LINUX_PTRACE_O_KNOWN))
		return o->group == t->group ? -LINUX_EPERM : -LINUX_EIO;
	ret = task_may_access(t, o, false, true);
	if (ret < 0)
		return ret;
	for (int i = 0; i < DETACH_POLL_MAX && detach_pending(o); i++)
		if (sleep_until(SLEEP_KILLABLE, now_ns() + DETACH_POLL_NS) == -ERESTARTSYS)
			return -ERESTARTNOINTR;
	mutex_lock(&tasks_mu);
	ret = o->sig->exiting ? -LINUX_ESRCH : ptrace_link_locked(t->group, o, (uint32_t)options, seize);
	mutex_unlock(&tasks_mu);
	if (!ret && !seize)
		signal_send_task(o, &si, SEND_FORCED);
	return ret;
}

static bool resume_locked(struct ptrace_state *ps, int sig)
{
	ps->resume_sig = sig;
	ps->resumed = true;
	waitq_wake_all(&ps->wq);
	return true;
}

static long interrupt(struct task *o, struct ptrace_state *ps)
{
	if (!ps->seized)
		return -LINUX_EIO;
	ps->interrupt = true;
	mutex_lock(&o->group->sig_mu);
	task_poke_locked(o, TW_STOP, false);
	mutex_unlock(&o->group->sig_mu);
	return 0;
}

/* ---- requests that the tracee's kthread carries out ------------------------------------------------------------- */

static bool req_over(struct ptrace_state *ps)
{
	bool over;

	mutex_lock(&tasks_mu);
	over = ps->req_done || !ps->stopped;
	mutex_unlock(&tasks_mu);
	return over;
}

/* The tracee stays stopped, or at least there, while its state counts us as a user. */
static long run_in_tracee(struct ptrace_state *ps, long (*fn)(struct task *t, void *arg), void *arg)
{
	mutex_lock(&tasks_mu);
	ps->req = fn;
	ps->req_arg = arg;
	ps->req_done = false;
	mutex_unlock(&tasks_mu);
	waitq_wake_all(&ps->wq);
	wait_event(&ps->wq, req_over(ps), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	mutex_lock(&tasks_mu);
	ps->req = NULL;
	mutex_unlock(&tasks_mu);
	return ps->req_done ? ps->req_ret : -LINUX_ESRCH;
}

struct poke {
	uint64_t addr;
	const void *data;
	size_t len;	/* within one page, or a word across two */
};

/* Debuggers write to text: the page is made writable for that moment. Only private mappings. */
static long poke_protected(struct task *t, void *arg)
{
	struct poke *p = arg;
	struct vma_info v;
	struct umem_op op = { .kind = UMEM_PROTECT, .addr = ALIGN_DOWN(p->addr, PAGE_SIZE), .len = PAGE_SIZE };
	long ret;

	if (!mm_next_vma(t->mm, p->addr, &v) || v.start > p->addr || v.end < p->addr + p->len || (v.flags & LINUX_MAP_SHARED))
		return -LINUX_EIO;
	if (ALIGN_DOWN(p->addr + p->len - 1, PAGE_SIZE) != op.addr)
		op.len += PAGE_SIZE;
	op.prot = v.prot | LINUX_PROT_READ | LINUX_PROT_WRITE;
	ret = umem_exec(t->u, &op, 1, NULL);
	if (!ret && uspace_write(t->u->space, p->addr, p->data, p->len) != (long)p->len)
		ret = -LINUX_EIO;
	op.prot = v.prot;
	umem_exec(t->u, &op, 1, NULL);
	return ret ? -LINUX_EIO : 0;
}

static long poke(struct task *o, uint64_t addr, uint64_t data)
{
	struct poke p = { addr, &data, sizeof(data) };

	if (uspace_write(o->u->space, addr, &data, sizeof(data)) == sizeof(data))
		return 0;
	return run_in_tracee(o->ptrace, poke_protected, &p);
}

/* A stopped tracee of @g that runs in @mm; counts us as a user. */
static struct ptrace_state *stopped_in(struct tgroup *g, struct mm *mm)
{
	struct ptrace_state *ps, *found = NULL;

	mutex_lock(&tasks_mu);
	list_for_each_entry (ps, &g->tracees, node)
		if (!found && ps->task && ps->stopped && !ps->resumed && ps->task->mm == mm)
			found = ps;
	if (found)
		found->users++;
	mutex_unlock(&tasks_mu);
	return found;
}

long ptrace_force_write(struct task *tracer, struct mm *mm, uint64_t addr, const void *src, size_t len)
{
	struct poke p = { addr, src, MIN(len, PAGE_SIZE - addr % PAGE_SIZE) };
	struct ptrace_state *ps = stopped_in(tracer->group, mm);
	long ret;

	if (!ps)
		return -LINUX_EIO;
	ret = run_in_tracee(ps, poke_protected, &p);
	mutex_lock(&tasks_mu);
	ps->users--;
	waitq_wake_all(&ps->wq); /* before the lock goes: see ptrace_call() */
	mutex_unlock(&tasks_mu);
	return ret < 0 ? ret : (long)p.len;
}

#define XSTATE_SW	  464u	/* software bytes of the legacy area */
#define XSTATE_SW_END	  512u
#define XSTATE_FRAME_MASK 472u	/* where a signal frame has the components' mask */
#define XSTATE_FRAME_TAIL 4u	/* a signal frame's second magic number */

long ptrace_xstate_get(struct task *t, uint8_t *buf, size_t cap)
{
	long n = uthread_get_fpu(t->u, buf, cap);

	if (n < (long)(XSTATE_SW_END + XSTATE_FRAME_TAIL))
		return n;
	memmove(buf + XSTATE_SW, buf + XSTATE_FRAME_MASK, sizeof(uint64_t));
	memset(buf + XSTATE_FRAME_MASK, 0, XSTATE_SW_END - XSTATE_FRAME_MASK);
	return n - (long)XSTATE_FRAME_TAIL;
}

struct fpu_io {
	uint8_t *buf;
	size_t len;
};

static long fpu_get(struct task *t, void *arg)
{
	struct fpu_io *io = arg;

	return ptrace_xstate_get(t, io->buf, io->len);
}

static long fpu_set(struct task *t, void *arg)
{
	struct fpu_io *io = arg;

	return uthread_set_fpu(t->u, io->buf, io->len);
}

#define FXSAVE_LEN 512u

/* Reads or writes @len bytes of the vector state; a short image replaces the front of the one that is there. */
static long fpu_move(struct task *t, struct task *o, struct gptr user, uint64_t *len, size_t max, bool set)
{
	struct fpu_io io = { calloc(1, platform_xsave_size()), platform_xsave_size() };
	long ret;

	if (!io.buf)
		return -LINUX_ENOMEM;
	ret = run_in_tracee(o->ptrace, fpu_get, &io);
	if (ret >= 0)
		*len = MIN(*len, (uint64_t)MIN(max, (size_t)ret));
	if (ret >= 0 && set) {
		ret = copyin(t->u, io.buf, user, *len);
		if (!ret)
			ret = run_in_tracee(o->ptrace, fpu_set, &io);
	} else if (ret >= 0) {
		ret = copyout(t->u, user, io.buf, *len);
	}
	free(io.buf);
	return ret < 0 ? ret : 0;
}

/* ---- registers ---------------------------------------------------------------------------------------------------- */

static long set_regs(struct task *o, const struct guest_regs *r)
{
	if (r->fs_base >= uspace_limit(o->u->space) || r->gs_base >= uspace_limit(o->u->space) || r->cs != GUEST_CS)
		return -LINUX_EIO;
	uthread_set_regs(o->u, r);
	o->ptrace->regs_set = true;
	return 0;
}

static long move_regs(struct task *t, struct task *o, struct gptr user, uint64_t *len, bool set)
{
	struct guest_regs r;

	uthread_get_regs(o->u, &r);
	*len = MIN(*len, (uint64_t)sizeof(r));
	if (!set)
		return copyout(t->u, user, &r, *len);
	if (copyin(t->u, &r, user, *len) < 0)
		return -LINUX_EFAULT;
	return set_regs(o, &r);
}

static long move_regset(struct task *t, struct task *o, uint64_t type, struct gptr uiov, bool set)
{
	struct {
		uint64_t base, len;
	} iov;
	long ret;

	if (copyin_obj(t->u, &iov, uiov) < 0)
		return -LINUX_EFAULT;
	switch (type) {
	case LINUX_NT_PRSTATUS:
		ret = move_regs(t, o, GPTR(iov.base), &iov.len, set);
		break;
	case LINUX_NT_PRFPREG:
		ret = fpu_move(t, o, GPTR(iov.base), &iov.len, FXSAVE_LEN, set);
		break;
	case LINUX_NT_X86_XSTATE:
		ret = fpu_move(t, o, GPTR(iov.base), &iov.len, SIZE_MAX, set);
		break;
	default:
		return -LINUX_EINVAL;
	}
	return ret ?: copyout_obj(t->u, uiov, &iov);
}

#define USER_SIZE 928u /* struct user */

static long peek_user(struct task *t, struct task *o, uint64_t off, struct gptr out)
{
	struct guest_regs r;
	uint64_t v = 0;

	if (off & 7 || off >= USER_SIZE)
		return -LINUX_EIO;
	uthread_get_regs(o->u, &r);
	if (off < sizeof(r))
		memcpy(&v, (uint8_t *)&r + off, sizeof(v));
	return copyout_obj(t->u, out, &v);
}

static long poke_user(struct task *o, uint64_t off, uint64_t v)
{
	struct guest_regs r;

	if (off & 7 || off >= sizeof(r))
		return -LINUX_EIO;
	uthread_get_regs(o->u, &r);
	memcpy((uint8_t *)&r + off, &v, sizeof(v));
	return set_regs(o, &r);
}

static long syscall_info(struct task *t, struct task *o, uint64_t size, struct gptr out)
{
	struct linux_ptrace_syscall_info in = { .arch = LINUX_AUDIT_ARCH_X86_64 };
	struct guest_regs r;
	uint64_t len = offsetof(struct linux_ptrace_syscall_info, entry);

	uthread_get_regs(o->u, &r);
	in.ip = r.rip;
	in.sp = r.rsp;
	if (o->ptrace->where == PT_ENTRY || o->ptrace->where == PT_SECCOMP) {
		in.op = o->ptrace->where == PT_ENTRY ? 1 : 3;
		in.entry.nr = r.orig_rax;
		memcpy(in.entry.args, (uint64_t[]){ r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9 }, sizeof(in.entry.args));
		len += sizeof(in.entry);
	} else if (o->ptrace->where == PT_EXIT) {
		in.op = 2;
		in.exit.rval = (int64_t)r.rax;
		in.exit.is_error = r.rax >= (uint64_t)-4095;
		len += 9;
	}
	return copyout(t->u, out, &in, MIN(size, len)) < 0 ? -LINUX_EFAULT : (long)len;
}

/* ---- the call --------------------------------------------------------------------------------------------------------- */

static long resume(struct task *o, int request, uint64_t sig)
{
	struct ptrace_state *ps = o->ptrace;

	if (sig > LINUX_NSIG)
		return -LINUX_EIO;
	mutex_lock(&tasks_mu);
	ps->sys_stops = request == LINUX_PTRACE_SYSCALL;
	ps->sysemu = request == LINUX_PTRACE_SYSEMU;
	ps->step = request == LINUX_PTRACE_SINGLESTEP;
	resume_locked(ps, (int)sig);
	mutex_unlock(&tasks_mu);
	return 0;
}

static long detach(struct task *o, uint64_t sig)
{
	if (sig > LINUX_NSIG)
		return -LINUX_EIO;
	mutex_lock(&tasks_mu);
	o->ptrace->resume_sig = (int)sig;
	ptrace_unlink_locked(o->ptrace);
	mutex_unlock(&tasks_mu);
	return 0;
}

static long move_siginfo(struct task *t, struct task *o, struct gptr user, bool set)
{
	struct linux_siginfo si;

	if (!o->ptrace->has_si)
		return -LINUX_EINVAL;
	if (!set)
		return siginfo_copyout(t->u, user, &o->ptrace->si);
	if (copyin_obj(t->u, &si, user) < 0)
		return -LINUX_EFAULT;
	o->ptrace->si = si.h;
	return 0;
}

static long move_sigmask(struct task *t, struct task *o, uint64_t size, struct gptr user, bool set)
{
	uint64_t mask = signal_mask(o);

	if (size != sizeof(mask))
		return -LINUX_EINVAL;
	if (!set)
		return copyout_obj(t->u, user, &mask);
	if (copyin_obj(t->u, &mask, user) < 0)
		return -LINUX_EFAULT;
	signal_set_mask(o, mask);
	return 0;
}

/* What is allowed only while the tracee is in a stop. */
static long on_stopped(struct task *t, struct task *o, int request, uint64_t addr, uint64_t data)
{
	uint64_t word, len = UINT64_MAX;

	switch (request) {
	case LINUX_PTRACE_CONT:
	case LINUX_PTRACE_SYSCALL:
	case LINUX_PTRACE_SYSEMU:
	case LINUX_PTRACE_SINGLESTEP:
		return resume(o, request, data);
	case LINUX_PTRACE_DETACH:
		return detach(o, data);
	case LINUX_PTRACE_LISTEN:
		return o->ptrace->seized ? 0 : -LINUX_EIO;
	case LINUX_PTRACE_PEEKTEXT:
	case LINUX_PTRACE_PEEKDATA:
		if (uspace_read(o->u->space, &word, addr, sizeof(word)) != sizeof(word))
			return -LINUX_EIO;
		return copyout_obj(t->u, GPTR(data), &word);
	case LINUX_PTRACE_POKETEXT:
	case LINUX_PTRACE_POKEDATA:
		return poke(o, addr, data);
	case LINUX_PTRACE_PEEKUSER:
		return peek_user(t, o, addr, GPTR(data));
	case LINUX_PTRACE_POKEUSER:
		return poke_user(o, addr, data);
	case LINUX_PTRACE_GETREGS:
	case LINUX_PTRACE_SETREGS:
		return move_regs(t, o, GPTR(data), &len, request == LINUX_PTRACE_SETREGS);
	case LINUX_PTRACE_GETFPREGS:
	case LINUX_PTRACE_SETFPREGS:
		return fpu_move(t, o, GPTR(data), &len, FXSAVE_LEN, request == LINUX_PTRACE_SETFPREGS);
	case LINUX_PTRACE_GETREGSET:
	case LINUX_PTRACE_SETREGSET:
		return move_regset(t, o, addr, GPTR(data), request == LINUX_PTRACE_SETREGSET);
	case LINUX_PTRACE_SETOPTIONS:
		if (data & ~(uint64_t)LINUX_PTRACE_O_KNOWN)
			return -LINUX_EINVAL;
		o->ptrace->options = (uint32_t)data;
		return 0;
	case LINUX_PTRACE_GETEVENTMSG:
		return copyout_obj(t->u, GPTR(data), &o->ptrace->event_msg);
	case LINUX_PTRACE_GETSIGINFO:
	case LINUX_PTRACE_SETSIGINFO:
		return move_siginfo(t, o, GPTR(data), request == LINUX_PTRACE_SETSIGINFO);
	case LINUX_PTRACE_GETSIGMASK:
	case LINUX_PTRACE_SETSIGMASK:
		return move_sigmask(t, o, addr, GPTR(data), request == LINUX_PTRACE_SETSIGMASK);
	case LINUX_PTRACE_GET_SYSCALL_INFO:
		return syscall_info(t, o, addr, GPTR(data));
	}
	return -LINUX_EIO;
}

long ptrace_call(struct task *t, int request, int pid, uint64_t addr, uint64_t data)
{
	struct linux_siginfo_head si;
	struct ptrace_state *ps;
	struct task *o;
	bool mine, stopped;
	long ret;

	if (request == LINUX_PTRACE_TRACEME)
		return trace_me(t);
	o = pid > 0 ? task_find(task_pid_ns(t), (uint32_t)pid) : NULL;
	if (!o)
		return -LINUX_ESRCH;
	if (request == LINUX_PTRACE_ATTACH || request == LINUX_PTRACE_SEIZE) {
		ret = request == LINUX_PTRACE_SEIZE && addr ? -LINUX_EIO
							    : attach(t, o, request == LINUX_PTRACE_SEIZE ? data : 0,
								     request == LINUX_PTRACE_SEIZE);
		goto out;
	}
	mutex_lock(&tasks_mu);
	mine = ptrace_is_tracer(t, o);
	ps = o->ptrace;
	stopped = mine && ps->stopped && !ps->resumed;
	if (stopped)
		ps->users++;
	ret = -LINUX_ESRCH;
	if (mine && request == LINUX_PTRACE_INTERRUPT)
		ret = interrupt(o, o->ptrace);
	mutex_unlock(&tasks_mu);
	if (mine && request == LINUX_PTRACE_KILL) {
		siginfo_kernel(&si, LINUX_SIGKILL);
		ret = signal_send_group(o->group, &si, SEND_FORCED);
	} else if (stopped && request != LINUX_PTRACE_INTERRUPT) {
		ret = on_stopped(t, o, request, addr, data);
	}
	if (stopped) {
		mutex_lock(&tasks_mu);
		ps->users--;
		waitq_wake_all(&ps->wq); /* before the lock goes: a detached tracee frees the state then */
		mutex_unlock(&tasks_mu);
	}
out:
	task_put(o);
	return ret;
}
