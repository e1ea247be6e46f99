/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/handler.c - host signals: system call traps, faults, kicks
 *
 * Model:   the handler runs on the slot's alternate stack with everything blocked. When the guest was interrupted it
 *          saves the guest's registers in the slot and makes rt_sigreturn(2) continue in stub_event_entry on the
 *          private stack: one format of registers, floating point state back in the CPU, signals open. When stub code
 *          was interrupted it only repairs: a fault in a copy goes to its fixup, a kick between a look at
 *          slot.kick and what depends on it steps back.
 * Slot:    found by the stack pointer (the alternate stack lies in the slot), never by %gs, which a guest may set.
 * Source:  layout of the frame: sigreturn(2), <asm/ucontext.h>.
 */
#include <linux/signal.h>
#include <asm/sigcontext.h>
#include <asm/ucontext.h>

#include "sentry/platform/stub/stub.h"

#define FP_XSTATE_MAGIC1_ 0x46505853u
#define FP_XSTATE_MAGIC2_ 0x46505845u
#define SW_BYTES_OFFSET	  464 /* software-reserved bytes of the legacy FXSAVE area */

extern const char tail_begin[], tail_end[], sigret_begin[], sigret_end[], sleep_begin[], sleep_end[], sleep_abort[];
extern const char copy_begin[], copy_end[], zero_begin[], zero_end[];
extern const char str_word_begin[], str_word_end[], str_bytes[], str_byte_begin[], str_byte_end[], str_done[];
extern const char store_begin[], store_end[], patch_begin[], patch_end[], cmpxchg_begin[], cmpxchg_end[], xrstor_begin[], xrstor_end[], word_fault[];

static bool within(uint64_t ip, const char *from, const char *to)
{
	return ip >= (uint64_t)from && ip < (uint64_t)to;
}

/* Where a faulting access of the stub to guest memory continues; 0 = it was none. */
static uint64_t fixup_find(uint64_t ip)
{
	if (within(ip, copy_begin, copy_end))
		return (uint64_t)copy_end;
	if (within(ip, zero_begin, zero_end))
		return (uint64_t)zero_end;
	if (within(ip, str_word_begin, str_word_end))
		return (uint64_t)str_bytes;
	if (within(ip, str_byte_begin, str_byte_end))
		return (uint64_t)str_done;
	if (within(ip, store_begin, store_end) || within(ip, patch_begin, patch_end) ||
	    within(ip, cmpxchg_begin, cmpxchg_end) ||
	    within(ip, xrstor_begin, xrstor_end))
		return (uint64_t)word_fault;
	return 0;
}

static void regs_save(struct guest_regs *r, const struct sigcontext *c)
{
	r->r15 = c->r15;
	r->r14 = c->r14;
	r->r13 = c->r13;
	r->r12 = c->r12;
	r->rbp = c->rbp;
	r->rbx = c->rbx;
	r->r11 = c->r11;
	r->r10 = c->r10;
	r->r9 = c->r9;
	r->r8 = c->r8;
	r->rax = c->rax;
	r->rcx = c->rcx;
	r->rdx = c->rdx;
	r->rsi = c->rsi;
	r->rdi = c->rdi;
	r->orig_rax = ~0ull;
	r->rip = c->rip;
	r->eflags = c->eflags;
	r->rsp = c->rsp;
}

static void regs_load(struct sigcontext *c, const struct guest_regs *r)
{
	c->r15 = r->r15;
	c->r14 = r->r14;
	c->r13 = r->r13;
	c->r12 = r->r12;
	c->rbp = r->rbp;
	c->rbx = r->rbx;
	c->r11 = r->r11;
	c->r10 = r->r10;
	c->r9 = r->r9;
	c->r8 = r->r8;
	c->rax = r->rax;
	c->rcx = r->rcx;
	c->rdx = r->rdx;
	c->rsi = r->rsi;
	c->rdi = r->rdi;
	c->rip = r->rip;
	c->eflags = r->eflags;
	c->rsp = r->rsp;
	c->cs = GUEST_CS;
	c->ss = GUEST_SS;
}

/* Continue in stub_event_entry once the handler has returned. */
static void divert(struct stub_slot *s, struct sigcontext *c)
{
	c->rip = (uint64_t)stub_event_entry;
	c->rsp = (uint64_t)s + SLOT_STACK_TOP;
	c->rdi = (uint64_t)s;
	c->eflags = 0x202;
}

static bool in_stub(const struct stub_slot *s, const struct sigcontext *c)
{
	if (c->rip - (stub_config.region + REGION_TEXT) < REGION_TEXT_LEN)
		return true;
	/* the vDSO, called by the stub itself */
	return c->rsp - ((uint64_t)s + SLOT_STACK) <= SLOT_STACK_TOP - SLOT_STACK;
}

/* Within these ranges the slot holds the guest's complete registers, and nothing has been given up yet. */
static bool leaving(const struct sigcontext *c)
{
	return within(c->rip, tail_begin, tail_end) || within(c->rip, sigret_begin, sigret_end);
}

static void fault_set(struct stub_slot *s, int sig, const siginfo_t *info, const struct sigcontext *c)
{
	s->event = SEV_FAULT;
	s->fault.signo = (uint32_t)sig;
	s->fault.code = (uint32_t)info->si_code;
	s->fault.addr = (uint64_t)info->_sifields._sigfault._addr;
	s->fault.trapno = c->trapno;
	s->fault.err = c->err;
}

static void handle_in_stub(struct stub_slot *s, int sig, const siginfo_t *info, struct sigcontext *c)
{
	uint64_t fix;

	if (sig == STUB_SIGKICK) {
		if (leaving(c)) {
			s->event = SEV_INTERRUPT;
			s->intr_ret = 0;
			divert(s, c);
		} else if (within(c->rip, sleep_begin, sleep_end)) {
			c->rip = (uint64_t)sleep_abort;
		}
		return;
	}
	fix = fixup_find(c->rip);
	if (fix) {
		c->rip = fix;
		return;
	}
	/* The jump back to the guest: an address that cannot be one is the guest's fault, not ours. */
	if (leaving(c))
		fault_set(s, sig, info, c);
	else
		s->event = SEV_BUG;
	divert(s, c);
}

void stub_handler(int sig, void *info_, void *uc_)
{
	struct stub_slot *s = (struct stub_slot *)((uint64_t)__builtin_frame_address(0) & ~(uint64_t)(SLOT_SIZE - 1));
	const siginfo_t *info = info_;
	struct sigcontext *c = &((struct ucontext *)uc_)->uc_mcontext;
	uint64_t gs = (uint64_t)s;

	if (likely(stub_config_fsgsbase)) {
		__asm__ volatile("rdgsbase %0" : "=r"(gs));
		if (unlikely(gs != (uint64_t)s))
			stub_set_gsbase((uint64_t)s);
	} else if (s->regs.gs_base) {
		stub_set_gsbase((uint64_t)s);
	}
	if (in_stub(s, c)) {
		handle_in_stub(s, sig, info, c);
		return;
	}
	if (unlikely(gs != (uint64_t)s))
		s->regs.gs_base = gs;
	regs_save(&s->regs, c);
	s->evflags = EVF_TRAPPED;
	if (sig == SIGSYS) {
		s->event = SEV_SYSCALL;
		/* Another architecture's entry (int 0x80): no number of ours. */
		s->regs.orig_rax = info->_sifields._sigsys._arch == 0xc000003eu ? (uint64_t)(int64_t)(int)c->rax : ~1ull;
	} else if (sig == STUB_SIGKICK) {
		s->event = SEV_INTERRUPT;
		s->intr_ret = 0;
	} else {
		fault_set(s, sig, info, c);
	}
	divert(s, c);
}

/* Builds the frame that stub_leave_sigret returns through; yields the %gs base that the guest wants. */
uint64_t stub_prepare_sigret(struct stub_slot *s)
{
	struct ucontext *uc = (struct ucontext *)((char *)s + SLOT_ALT);
	char *fpu = (char *)s + SLOT_FPU;
	uint64_t gs = s->regs.gs_base;
	uint32_t *sw = (uint32_t *)(fpu + SW_BYTES_OFFSET);

	stub_zero(uc, sizeof(*uc));
	stub_zero(fpu + 512, 64);
	stub_xsave(fpu, stub_config.xfeatures);
	sw[0] = FP_XSTATE_MAGIC1_;
	sw[1] = (uint32_t)stub_config.xsave_size + 4;
	*(uint64_t *)(sw + 2) = stub_config.xfeatures;
	sw[4] = (uint32_t)stub_config.xsave_size;
	*(uint32_t *)(fpu + stub_config.xsave_size) = FP_XSTATE_MAGIC2_;

	uc->uc_flags = 6; /* UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS */
	uc->uc_stack.ss_sp = (void *)((char *)s + SLOT_ALT);
	uc->uc_stack.ss_size = SLOT_ALT_LEN;
	regs_load(&uc->uc_mcontext, &s->regs);
	uc->uc_mcontext.fpstate = (void *)fpu;
	if (!gs)
		gs = (uint64_t)s;
	if (!stub_config_fsgsbase)
		stub_set_gsbase(gs);
	return gs;
}

void stub_set_altstack(struct stub_slot *s)
{
	/* On the private stack: the kernel copies it. */
	struct {
		uint64_t sp;
		uint64_t flags;
		uint64_t size;
	} st = { (uint64_t)s + SLOT_ALT, 0, SLOT_ALT_LEN };

	stub_call(131, (long)&st, 0, 0, 0, 0, 0); /* sigaltstack */
}
