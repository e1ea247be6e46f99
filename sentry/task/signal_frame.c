/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/signal_frame.c - signal frames of x86-64: building one, and rt_sigreturn(2)
 *
 * Model:   the frame and the FPU image behind it are built in one Sentry buffer and written in one go.
 *
 *          high   red zone (128)  | of the interrupted code, when the stack stays the same
 *                 FPU image       | 64-byte aligned, XSAVE format with the software-reserved bytes
 *                 struct rt_frame | return address at its start; address + 8 is 16-byte aligned
 *          low    <- rsp of the handler
 *
 * Hostile: the frame that rt_sigreturn reads is the guest's: it may set its own registers, nothing else.
 * Source:  sigreturn(2), sigaltstack(2), System V ABI AMD64 3.2.2 and 3.4.1, observed Linux frames.
 */
#include <string.h>

#include "sentry/task/signal.h"
#include "sentry/task/task_internal.h"

#define RED_ZONE     128u
#define EFLAGS_DF    0x400u
#define EFLAGS_TF    0x100u
#define EFLAGS_RF    0x10000u
#define FPU_ALIGN    64u

struct rt_frame {
	uint64_t pretcode;
	struct linux_ucontext uc;
	struct linux_siginfo info;
};
_Static_assert(sizeof(struct rt_frame) == 440, "rt_sigframe");

/* In [sp, sp+size), or wrapped: as Linux's on_sig_stack(). */
bool signal_on_altstack(struct task *t, uint64_t sp)
{
	const struct task_signals *s = t->sig;

	/* A disarmed stack may be entered again from itself. */
	if (s->alt_flags & LINUX_SS_AUTODISARM)
		return false;
	return sp > s->alt_sp && sp - s->alt_sp <= s->alt_size;
}

static void altstack_reset(struct task_signals *s)
{
	s->alt_sp = s->alt_size = 0;
	s->alt_flags = LINUX_SS_DISABLE;
}

static void save_regs(struct linux_sigcontext *mc, const struct guest_regs *r)
{
	mc->r8 = r->r8, mc->r9 = r->r9, mc->r10 = r->r10, mc->r11 = r->r11;
	mc->r12 = r->r12, mc->r13 = r->r13, mc->r14 = r->r14, mc->r15 = r->r15;
	mc->rdi = r->rdi, mc->rsi = r->rsi, mc->rbp = r->rbp, mc->rbx = r->rbx;
	mc->rdx = r->rdx, mc->rax = r->rax, mc->rcx = r->rcx, mc->rsp = r->rsp;
	mc->rip = r->rip, mc->eflags = r->eflags;
	mc->cs = GUEST_CS, mc->ss = GUEST_SS;
}

static void load_regs(struct guest_regs *r, const struct linux_sigcontext *mc)
{
	r->r8 = mc->r8, r->r9 = mc->r9, r->r10 = mc->r10, r->r11 = mc->r11;
	r->r12 = mc->r12, r->r13 = mc->r13, r->r14 = mc->r14, r->r15 = mc->r15;
	r->rdi = mc->rdi, r->rsi = mc->rsi, r->rbp = mc->rbp, r->rbx = mc->rbx;
	r->rdx = mc->rdx, r->rax = mc->rax, r->rcx = mc->rcx, r->rsp = mc->rsp;
	r->rip = mc->rip;
	r->eflags = (r->eflags & ~GUEST_EFLAGS_USER) | (mc->eflags & GUEST_EFLAGS_USER);
	r->orig_rax = (uint64_t)-1;
}

/* Where the frame goes; 0 when an alternate stack would overflow. *out_fpu: address of the FPU image. */
static uint64_t frame_place(struct task *t, const struct linux_sigaction *act, uint64_t sp, size_t fpu_len,
			    uint64_t *out_fpu)
{
	const struct task_signals *s = t->sig;
	bool nested = signal_on_altstack(t, sp), entering = false;

	sp -= RED_ZONE;
	if ((act->flags & LINUX_SA_ONSTACK) && !nested && s->alt_size) {
		sp = s->alt_sp + s->alt_size;
		entering = true;
	}
	*out_fpu = ALIGN_DOWN(sp - fpu_len, (uint64_t)FPU_ALIGN);
	sp = ALIGN_DOWN(*out_fpu - sizeof(struct rt_frame), 16ull) - 8;
	if ((nested || entering) && !(sp > s->alt_sp && sp - s->alt_sp <= s->alt_size))
		return 0;
	return sp;
}

/* Writes to the guest's stack, which may have to grow on the way. */
static long stack_write(struct task *t, uint64_t at, const void *buf, size_t len)
{
	const uint8_t *p = buf;

	for (int tries = 0; len && tries < 4; tries++) {
		long n = uspace_write(t->u->space, at, p, len);
		struct ufault f = { LINUX_SIGSEGV, LINUX_SEGV_MAPERR, 0, 14, 6 };
		int signo, code;

		if (n > 0) {
			at += (uint64_t)n;
			p += n;
			len -= (size_t)n;
			continue;
		}
		/* Lowest address first: growth of a stack covers all above it. */
		f.addr = at;
		if (!mm_fault(t->mm, t->u, &f, &signo, &code))
			return -LINUX_EFAULT;
	}
	return len ? -LINUX_EFAULT : 0;
}

long signal_frame_push(struct task *t, const struct linux_siginfo_head *si, const struct linux_sigaction *act,
		       uint64_t mask, struct guest_regs *regs)
{
	size_t fpu_cap = platform_xsave_size(), total;
	uint64_t fpu_at, at;
	struct rt_frame *fr;
	uint8_t *buf;
	long ret = -LINUX_EFAULT;

	at = frame_place(t, act, regs->rsp, fpu_cap, &fpu_at);
	if (!at || !(act->flags & LINUX_SA_RESTORER))
		return -LINUX_EFAULT;
	total = fpu_at - at + fpu_cap;
	buf = calloc(1, total);
	if (!buf)
		return -LINUX_EFAULT;
	fr = (struct rt_frame *)(void *)buf;
	fr->pretcode = act->restorer;
	fr->uc.flags = LINUX_UC_FP_XSTATE | LINUX_UC_SIGCONTEXT_SS | LINUX_UC_STRICT_RESTORE_SS;
	fr->uc.stack = (struct linux_stack){ t->sig->alt_sp, t->sig->alt_flags, 0, t->sig->alt_size };
	save_regs(&fr->uc.mc, regs);
	fr->uc.mc.err = t->u->fault.err;
	fr->uc.mc.trapno = t->u->fault.trapno;
	fr->uc.mc.cr2 = t->u->fault.addr;
	fr->uc.mc.oldmask = mask;
	fr->uc.mc.fpstate = fpu_at;
	fr->uc.sigmask = mask;
	if (act->flags & LINUX_SA_SIGINFO)
		fr->info.h = *si;
	if (uthread_get_fpu(t->u, buf + (fpu_at - at), fpu_cap) < 0)
		goto out;
	ret = stack_write(t, at, buf, total);
	if (ret < 0)
		goto out;
	if (t->sig->alt_flags & LINUX_SS_AUTODISARM)
		altstack_reset(t->sig);

	regs->rdi = (uint64_t)si->signo;
	regs->rsi = at + offsetof(struct rt_frame, info);
	regs->rdx = at + offsetof(struct rt_frame, uc);
	regs->rax = 0;
	regs->rsp = at;
	regs->rip = act->handler;
	regs->eflags &= ~(uint64_t)(EFLAGS_DF | EFLAGS_TF | EFLAGS_RF);
	regs->orig_rax = (uint64_t)-1;
out:
	free(buf);
	return ret;
}

/* The FPU image at @at: as much as its own header says, never more than we know. */
static long restore_fpu(struct task *t, uint64_t at)
{
	size_t cap = platform_xsave_size();
	uint8_t *buf;
	long ret;

	if (!at) {
		uthread_init_fpu(t->u);
		return 0;
	}
	buf = calloc(1, cap);
	if (!buf)
		return -LINUX_ENOMEM;
	ret = copyin(t->u, buf, GPTR(at), cap);
	if (!ret)
		ret = uthread_set_fpu(t->u, buf, cap);
	free(buf);
	return ret;
}

/* rt_sigreturn(2) restores the stack that was in force, silently ignoring what is not valid. */
static void restore_altstack(struct task *t, const struct linux_stack *st)
{
	uint32_t mode = st->flags & ~LINUX_SS_AUTODISARM;

	if (mode != 0 && mode != LINUX_SS_DISABLE && mode != LINUX_SS_ONSTACK)
		return;
	if (mode == LINUX_SS_DISABLE) {
		altstack_reset(t->sig);
		return;
	}
	if (st->size < LINUX_MINSIGSTKSZ)
		return;
	t->sig->alt_sp = st->sp;
	t->sig->alt_size = st->size;
	t->sig->alt_flags = st->flags & LINUX_SS_AUTODISARM;
}

long signal_sigreturn(struct task *t)
{
	struct linux_siginfo_head segv;
	struct linux_ucontext uc;
	struct guest_regs regs;

	uthread_get_regs(t->u, &regs);
	/* The handler's ret has popped pretcode: the context is at the stack pointer. */
	if (copyin_obj(t->u, &uc, GPTR(regs.rsp)) < 0)
		goto bad;
	signal_set_mask(t, uc.sigmask);
	load_regs(&regs, &uc.mc);
	if (restore_fpu(t, uc.mc.fpstate) < 0)
		goto bad;
	if (!signal_on_altstack(t, regs.rsp) || (uc.stack.flags & LINUX_SS_AUTODISARM))
		restore_altstack(t, &uc.stack);
	uthread_set_regs(t->u, &regs);
	task_set_work(t, TW_NORET);
	return 0;
bad:
	siginfo_kernel(&segv, LINUX_SIGSEGV);
	signal_fault(t, &segv);
	return 0;
}
