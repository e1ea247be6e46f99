/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/signal.h - signals as guests see them (signal(7), sigaction(2), x86-64)
 */
#ifndef SENTRY_ABI_SIGNAL_H
#define SENTRY_ABI_SIGNAL_H

#include <stdint.h>

#define LINUX_SIGHUP     1
#define LINUX_SIGINT     2
#define LINUX_SIGQUIT    3
#define LINUX_SIGILL     4
#define LINUX_SIGTRAP    5
#define LINUX_SIGABRT    6
#define LINUX_SIGBUS     7
#define LINUX_SIGFPE     8
#define LINUX_SIGKILL    9
#define LINUX_SIGUSR1    10
#define LINUX_SIGSEGV    11
#define LINUX_SIGUSR2    12
#define LINUX_SIGPIPE    13
#define LINUX_SIGALRM    14
#define LINUX_SIGTERM    15
#define LINUX_SIGSTKFLT  16
#define LINUX_SIGCHLD    17
#define LINUX_SIGCONT    18
#define LINUX_SIGSTOP    19
#define LINUX_SIGTSTP    20
#define LINUX_SIGTTIN    21
#define LINUX_SIGTTOU    22
#define LINUX_SIGURG     23
#define LINUX_SIGXCPU    24
#define LINUX_SIGXFSZ    25
#define LINUX_SIGVTALRM  26
#define LINUX_SIGPROF    27
#define LINUX_SIGWINCH   28
#define LINUX_SIGIO      29
#define LINUX_SIGPWR     30
#define LINUX_SIGSYS     31
#define LINUX_SIGRTMIN   32
#define LINUX_NSIG       64

#define SIGMASK(n)	 (1ull << ((n)-1))

#define LINUX_SIG_DFL 0ull
#define LINUX_SIG_IGN 1ull
#define LINUX_SIG_ERR (~0ull)

#define LINUX_SIG_BLOCK	  0
#define LINUX_SIG_UNBLOCK 1
#define LINUX_SIG_SETMASK 2

#define LINUX_SA_NOCLDSTOP	0x00000001ull
#define LINUX_SA_NOCLDWAIT	0x00000002ull
#define LINUX_SA_SIGINFO	0x00000004ull
#define LINUX_SA_UNSUPPORTED	0x00000400ull
#define LINUX_SA_EXPOSE_TAGBITS 0x00000800ull
#define LINUX_SA_RESTORER	0x04000000ull
#define LINUX_SA_ONSTACK	0x08000000ull
#define LINUX_SA_RESTART	0x10000000ull
#define LINUX_SA_NODEFER	0x40000000ull
#define LINUX_SA_RESETHAND	0x80000000ull
#define LINUX_SA_KNOWN                                                                             \
	(LINUX_SA_NOCLDSTOP | LINUX_SA_NOCLDWAIT | LINUX_SA_SIGINFO | LINUX_SA_RESTORER |          \
	 LINUX_SA_ONSTACK | LINUX_SA_RESTART | LINUX_SA_NODEFER | LINUX_SA_RESETHAND |             \
	 LINUX_SA_EXPOSE_TAGBITS)

#define LINUX_SS_ONSTACK    1u
#define LINUX_SS_DISABLE    2u
#define LINUX_SS_AUTODISARM (1u << 31)
#define LINUX_MINSIGSTKSZ   2048

/* si_code */
#define LINUX_SI_USER	  0
#define LINUX_SI_KERNEL	  0x80
#define LINUX_SI_QUEUE	  (-1)
#define LINUX_SI_TIMER	  (-2)
#define LINUX_SI_MESGQ	  (-3)
#define LINUX_SI_ASYNCIO  (-4)
#define LINUX_SI_SIGIO	  (-5)
#define LINUX_SI_TKILL	  (-6)
#define LINUX_SEGV_MAPERR 1
#define LINUX_SEGV_ACCERR 2
#define LINUX_BUS_ADRALN  1
#define LINUX_BUS_ADRERR  2
#define LINUX_TRAP_BRKPT  1
#define LINUX_TRAP_TRACE  2
#define LINUX_CLD_EXITED    1
#define LINUX_CLD_KILLED    2
#define LINUX_CLD_DUMPED    3
#define LINUX_CLD_TRAPPED   4
#define LINUX_CLD_STOPPED   5
#define LINUX_CLD_CONTINUED 6
#define LINUX_SYS_SECCOMP   1
#define LINUX_SYS_USER_DISPATCH 2
#define LINUX_POLL_IN  1
#define LINUX_POLL_OUT 2
#define LINUX_POLL_MSG 3
#define LINUX_POLL_ERR 4
#define LINUX_POLL_PRI 5
#define LINUX_POLL_HUP 6

/* The part of siginfo_t that carries data: what queues hold. The guest's siginfo_t is this plus zeros. */
struct linux_siginfo_head {
	int32_t signo, err, code, pad0;
	union {
		struct {
			int32_t pid;
			uint32_t uid;
			uint64_t value;
		} rt; /* kill, sigqueue */
		struct {
			int32_t tid, overrun;
			uint64_t value;
			int32_t sys_private;
		} timer;
		struct {
			int32_t pid;
			uint32_t uid;
			int32_t status, pad;
			int64_t utime, stime;
		} chld;
		struct {
			uint64_t addr;
			int16_t addr_lsb, pad[3];
			uint64_t lower, upper;
		} fault;
		struct {
			int64_t band;
			int32_t fd;
		} poll;
		struct {
			uint64_t call_addr;
			int32_t syscall;
			uint32_t arch;
		} sys;
		uint8_t raw[32];
	};
};
_Static_assert(sizeof(struct linux_siginfo_head) == 48, "kernel_siginfo");

struct linux_siginfo {
	struct linux_siginfo_head h;
	uint8_t pad[80];
};
_Static_assert(sizeof(struct linux_siginfo) == 128, "siginfo_t");

struct linux_sigaction {
	uint64_t handler, flags, restorer, mask;
};
_Static_assert(sizeof(struct linux_sigaction) == 32, "kernel_sigaction");

struct linux_stack {
	uint64_t sp;
	uint32_t flags, pad;
	uint64_t size;
};
_Static_assert(sizeof(struct linux_stack) == 24, "stack_t");

/* struct sigcontext, ucontext: what a signal frame and rt_sigreturn(2) carry */
struct linux_sigcontext {
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15;
	uint64_t rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, eflags;
	uint16_t cs, gs, fs, ss;
	uint64_t err, trapno, oldmask, cr2;
	uint64_t fpstate;
	uint64_t reserved1[8];
};
_Static_assert(sizeof(struct linux_sigcontext) == 256, "sigcontext");

#define LINUX_UC_FP_XSTATE	   1u
#define LINUX_UC_SIGCONTEXT_SS	   2u
#define LINUX_UC_STRICT_RESTORE_SS 4u
struct linux_ucontext {
	uint64_t flags, link;
	struct linux_stack stack;
	struct linux_sigcontext mc;
	uint64_t sigmask;
};
_Static_assert(sizeof(struct linux_ucontext) == 304, "kernel ucontext");

#define LINUX_FP_XSTATE_MAGIC1 0x46505853u
#define LINUX_FP_XSTATE_MAGIC2 0x46505845u

/* struct sigevent, timer_create(2) and mq_notify(2) */
#define LINUX_SIGEV_SIGNAL    0
#define LINUX_SIGEV_NONE      1
#define LINUX_SIGEV_THREAD    2
#define LINUX_SIGEV_THREAD_ID 4
struct linux_sigevent {
	uint64_t value;
	int32_t signo, notify;
	int32_t tid;
	uint8_t pad[44];
};
_Static_assert(sizeof(struct linux_sigevent) == 64, "sigevent");

#endif
