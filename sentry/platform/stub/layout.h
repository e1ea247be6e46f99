/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/layout.h - what the stub and the Sentry agree on: the region, the slot, the hand-over
 *
 * Model:   the stub region lies at R near the top of every guest address space, at the same address in all
 *          processes of a container:
 *
 *            R + REGION_TEXT     stub text and tables, read and execute
 *            R + REGION_GLOBAL   one page, read-only here, written by the Sentry (struct stub_global)
 *            R + REGION_PRIVATE  the process's own scratch pages, copied by fork (struct stub_private)
 *            R + REGION_TITLE    what the host shows as the process's command line, written by the Sentry at exec
 *            R + REGION_VDSO     the host's vvar and vdso, moved here
 *            R + REGION_SLOTS    NR_SLOTS slots of SLOT_SIZE: one shared memfd per process, never inherited
 *
 *          A slot belongs to one thread. Its first cache line carries requests (the stub writes, the Sentry looks), the
 *          second answers (the Sentry writes, the stub looks), so that neither side's looking disturbs the other's writing.
 *
 * Hand-over: the stub numbers its requests. It fills the first line, then writes the number to slot.req; the Sentry
 *          answers by filling the second line and writing the same number to slot.answer.
 *            - slot.polled tells that a poller looks at slot.req: the stub sets EVF_POSTED and waits for the answer without any
 *              call, as long as polled stays set and patience lasts. Otherwise, or then, it makes the notification call.
 *            - That call ends when the request is answered, or at once when the Sentry is at it (or does not want it to stay
 *              open); the stub then sleeps in a futex on slot.answer, with SLOT_PARKED added to it.
 *          Who of poller and listener serves a request is settled inside the Sentry (uthr.phase, uthr.seq); a number that was
 *          answered is never served again.
 *
 * Hostile: a guest can write all of this at any time. The stub loses nothing by that but its own guest; the
 *          Sentry reads each field once and validates the copy.
 */
#ifndef SENTRY_PLATFORM_STUB_LAYOUT_H
#define SENTRY_PLATFORM_STUB_LAYOUT_H

#define REGION_TEXT	   0x0
#define REGION_TEXT_LEN	   0x10000
#define REGION_GLOBAL	   0x10000
#define REGION_PRIVATE	   0x11000
#define REGION_PRIVATE_LEN 0x5000 /* the last page is the stack of the zygote itself */
#define REGION_TITLE	   0x16000
#define REGION_TITLE_LEN   0x1000
#define TITLE_MAX	   1024 /* strings with their NULs; all of it is shown, ps(1) leaves out NULs at the end */
#define REGION_VDSO	   0x20000
#define REGION_VDSO_LEN	   0x20000
#define REGION_SLOTS	   0x40000
#define SLOT_SHIFT	   18
#define SLOT_SIZE	   (1 << SLOT_SHIFT)
#define NR_SLOTS	   4096
#define SLOTS_LEN	   (NR_SLOTS * SLOT_SIZE)
#define REGION_LEN	   (REGION_SLOTS + SLOTS_LEN)
#define REGION_ALIGN	   0x200000

/* Inside a slot. */
#define SLOT_OPS	0x1000	/* struct stub_op[STUB_OPS_MAX] */
#define SLOT_FPU	0x2000	/* XSAVE image */
#define SLOT_FPU_LEN	0x3000
#define SLOT_STACK	0x5000	/* the stub's C code runs here */
#define SLOT_STACK_TOP	0x8000
#define SLOT_ALT	0x8000	/* alternate signal stack */
#define SLOT_ALT_LEN	0x8000
#define SLOT_WINDOW	0x10000 /* marshalling window: in-segments first, then out-data */
#define SLOT_WINDOW_LEN 0x30000

/* Offsets that assembly needs; asserted below. */
#define SLOT_KICK	68
#define SLOT_PARKED	0x80000000u /* in slot.answer */
#define SLOT_REGS	0x240
#define SLOT_SELF	0x340
#define SLOT_LOCALS	0x380

/* The reserved call: the only one besides shared mmap that becomes a user notification. Unused by Linux. */
#define STUB_NR_NOTIFY 0x5e00

/* First argument of the reserved call. */
#define NOTIFY_CALL   0	/* a request in the slot */
#define NOTIFY_ZYGOTE 1	/* the zygote is ready; a positive answer is a token: fork a child for it */
#define NOTIFY_GLOBAL 2	/* the zygote wants the global page: answered with its descriptor; args: address of the
			 * vDSO, bytes of an XSAVE image, stub_entry with bit 0 = FSGSBASE usable */
#define NOTIFY_CHILD  3	/* a fresh process; arg 1 = token; answered with its slot memfd */
#define NOTIFY_THREAD 4	/* a fresh thread; arg 1 = token */
#define NOTIFY_FD     5	/* wants the next descriptor of its operation list; answered with its number */

/* Reserved signal: makes a thread look at slot.kick. */
#define STUB_SIGKICK 64

#ifndef __ASSEMBLER__

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "sentry/platform/ushared.h"
#include "sentry/arch/x86_64/regs.h"

enum stub_event {
	SEV_NONE,
	SEV_SYSCALL,	/* sysno, args; segs hold copies of what they point at */
	SEV_FAULT,	/* fault */
	SEV_INTERRUPT,	/* kick; intr_ret tells whether a call of the stub's own was cut short */
	SEV_OPS,		/* the operations of the last answer were carried out, results in ops[] */
	SEV_REWRITE,	/* a call was answered in the stub (result in regs.rax), but its site traps often */
	SEV_BUG,		/* a fault inside the stub itself */
};

/* stub_slot.evflags */
#define EVF_TRAPPED 1u	/* came by SIGSYS */
#define EVF_POSTED  4u	/* for a poller: the notification follows only when none takes it */
#define EVF_REWRITE 2u	/* the site at regs.rip - 2 has trapped often enough to be worth rewriting */

/* What the Sentry answers (stub_answer.flags). */
#define ANS_RET	    1u	/* regs.rax = ret */
#define ANS_REPORT  2u	/* after the operations: SEV_OPS, do not resume the guest */
#define ANS_EXIT    4u	/* end this thread */
#define ANS_FSBASE  8u	/* regs.fs_base is new */
#define ANS_SIGRET  16u /* resume through rt_sigreturn: single step, foreign %gs, new selectors */
#define ANS_LOCAL   64u /* the call is the stub's to make after all */
#define ANS_EXECVE  32u /* forget per-process scratch (rewriting statistics) */

/* stub_slot.polled */
enum stub_polled {
	POLLED_NO,	/* nobody looks at req: make the notification */
	POLLED_LOOKING,	/* a poller does */
	POLLED_SLEEP,	/* the request in work will take a while: sleep until the answer */
};

struct stub_answer {
	int64_t ret;
	uint32_t flags;
	uint16_t nr_ops, nr_outs;
};

struct stub_seg {
	uint64_t addr;	/* guest address */
	uint32_t len;	/* bytes copied; shorter than asked when the rest cannot be read */
	uint32_t off;	/* in the window */
};
#define STUB_SEGS_MAX 7
#define STUB_OUTS_MAX 22

enum stub_op_kind {
	OP_MMAP = 1,	/* a=addr b=len c=prot d=flags e=fd (-2: the last one from OP_FD) f=offset */
	OP_MUNMAP,	/* a=addr b=len */
	OP_MPROTECT,	/* a=addr b=len c=prot */
	OP_MREMAP,	/* a=addr b=len c=new len d=new addr */
	OP_MADVISE,	/* a=addr b=len c=advice */
	OP_STORE32,	/* a=addr b=value c=1: no matter whether it can be written */
	OP_FUTEX_WAKE,	/* a=addr b=count */
	OP_MEMBARRIER,	/* a=command */
	OP_ZERO,	/* a=addr b=len */
	OP_FD,		/* makes NOTIFY_FD, remembers the descriptor */
	OP_CLOSE,	/* a=fd, or -2 */
	OP_FORK,	/* a=token */
	OP_CLONE,	/* a=slot number b=token */
	OP_FPU_SAVE,	/* to SLOT_FPU */
	OP_FPU_LOAD,	/* from SLOT_FPU; checked by the Sentry */
	OP_PATCH,	/* a=addr b=old c=new: 8 bytes in one cache line, compare and exchange */
	OP_CMPXCHG32,	/* a=addr b=old c=new; result 1: was not old */
	OP_COPY_OUT,	/* a=addr b=len c=offset in the window */
	OP_COPY_IN,	/* a=addr b=len c=offset in the window; result = bytes copied */
	OP_COMM,	/* a, b=16 bytes, a name: prctl(PR_SET_NAME) */
};

struct stub_op {
	uint32_t kind;
	int32_t res_pad;
	int64_t result;
	uint64_t a, b, c, d, e, f;
};
#define STUB_OPS_MAX 64

struct stub_fault {
	uint32_t signo, code;
	uint64_t addr, trapno, err;
};

/* An interrupted sleep of the stub's own that restart_syscall(2) continues. */
struct stub_restart {
	uint32_t valid;	/* 0, or the number of the call */
	uint32_t clock;
	uint64_t deadline_ns;
	uint64_t uaddr, val, bits, op, rmtp;
};

struct stub_slot {
	/* line 0: requests */
	_Atomic uint32_t req;		/* number of the last request, 31 bits; written last */
	uint8_t event, nr_segs, evflags, pad0;
	uint32_t sysno, pad1;
	uint64_t args[6];
	/* line 1: answers */
	_Atomic uint32_t answer;	/* number of the request that is answered; futex word */
	_Atomic uint32_t kick;		/* written by the Sentry: come to me before you run or sleep */
	struct stub_answer ans;
	_Atomic uint32_t polled;	/* enum stub_polled; written by the Sentry */
	uint32_t pad2;
	/* the rest of line 1, lines 2..6 */
	struct stub_seg out[STUB_OUTS_MAX];
	/* lines 7 and 8 */
	struct stub_seg seg[STUB_SEGS_MAX];
	int64_t intr_ret;
	uint64_t local_trap;	/* address behind the last call that trapped and was answered here; the Sentry clears it */
	/* SLOT_REGS */
	struct guest_regs regs;
	uint8_t pad4[SLOT_SELF - SLOT_REGS - sizeof(struct guest_regs)];
	/* SLOT_SELF: the stub's own, never read by the Sentry */
	uint64_t self;		/* address of this slot in the guest */
	uint64_t scratch[3];
	uint32_t spin_fail;	/* recent waits that spinning did not shorten */
	_Atomic uint32_t ready;	/* stack for signals is set: from now on a kick may be a signal */
	_Atomic uint32_t live;	/* 1 while the host thread exists; the kernel clears it at exit */
	uint32_t last_fd;
	uint64_t token;		/* of NOTIFY_THREAD */
	uint32_t yield_fail, yield_skip; /* as spin_fail, for giving the processor away */
	/* SLOT_LOCALS */
	struct ushared sh;
	struct stub_restart restart;
	struct stub_fault fault;
};

_Static_assert(offsetof(struct stub_slot, answer) == 64, "a line per direction");
_Static_assert(offsetof(struct stub_slot, kick) == SLOT_KICK, "assembly");
_Static_assert(offsetof(struct stub_slot, out) == 96, "the first two out-copies travel with the answer");
_Static_assert(offsetof(struct stub_slot, seg) % 64 == 0, "lines of their own");
_Static_assert(offsetof(struct stub_slot, regs) == SLOT_REGS, "assembly");
_Static_assert(offsetof(struct stub_slot, self) == SLOT_SELF, "assembly");
_Static_assert(offsetof(struct stub_slot, sh) == SLOT_LOCALS, "assembly");
_Static_assert(sizeof(struct stub_slot) <= 4096, "one page");
_Static_assert(sizeof(struct stub_op) * STUB_OPS_MAX <= 4096, "one page");

/* Written by the Sentry, read by every stub. */
struct stub_global {
	uint32_t spin;			/* TSC ticks to wait for a poller's answer */
	uint32_t rewrite_after;		/* traps of one site before it is worth rewriting, 0 = never */
};

/* What the zygote tells through its handshake socket, together with the listener descriptor. */
struct stub_hello {
	uint64_t magic;
	uint64_t region;
};
#define STUB_HELLO_MAGIC 0x2162757453676172ull

#endif /* __ASSEMBLER__ */
#endif
