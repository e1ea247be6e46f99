/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/ptrace.h - ptrace(2) as guests see it
 */
#ifndef SENTRY_ABI_PTRACE_H
#define SENTRY_ABI_PTRACE_H

#include <stdint.h>

#define LINUX_PTRACE_TRACEME	       0
#define LINUX_PTRACE_PEEKTEXT	       1
#define LINUX_PTRACE_PEEKDATA	       2
#define LINUX_PTRACE_PEEKUSER	       3
#define LINUX_PTRACE_POKETEXT	       4
#define LINUX_PTRACE_POKEDATA	       5
#define LINUX_PTRACE_POKEUSER	       6
#define LINUX_PTRACE_CONT	       7
#define LINUX_PTRACE_KILL	       8
#define LINUX_PTRACE_SINGLESTEP	       9
#define LINUX_PTRACE_GETREGS	       12
#define LINUX_PTRACE_SETREGS	       13
#define LINUX_PTRACE_GETFPREGS	       14
#define LINUX_PTRACE_SETFPREGS	       15
#define LINUX_PTRACE_ATTACH	       16
#define LINUX_PTRACE_DETACH	       17
#define LINUX_PTRACE_SYSCALL	       24
#define LINUX_PTRACE_SYSEMU	       31
#define LINUX_PTRACE_SETOPTIONS	       0x4200
#define LINUX_PTRACE_GETEVENTMSG       0x4201
#define LINUX_PTRACE_GETSIGINFO	       0x4202
#define LINUX_PTRACE_SETSIGINFO	       0x4203
#define LINUX_PTRACE_GETREGSET	       0x4204
#define LINUX_PTRACE_SETREGSET	       0x4205
#define LINUX_PTRACE_SEIZE	       0x4206
#define LINUX_PTRACE_INTERRUPT	       0x4207
#define LINUX_PTRACE_LISTEN	       0x4208
#define LINUX_PTRACE_GETSIGMASK	       0x420a
#define LINUX_PTRACE_SETSIGMASK	       0x420b
#define LINUX_PTRACE_GET_SYSCALL_INFO  0x420e

#define LINUX_PTRACE_O_TRACESYSGOOD   0x001u
#define LINUX_PTRACE_O_TRACEFORK      0x002u
#define LINUX_PTRACE_O_TRACEVFORK     0x004u
#define LINUX_PTRACE_O_TRACECLONE     0x008u
#define LINUX_PTRACE_O_TRACEEXEC      0x010u
#define LINUX_PTRACE_O_TRACEVFORKDONE 0x020u
#define LINUX_PTRACE_O_TRACEEXIT      0x040u
#define LINUX_PTRACE_O_TRACESECCOMP   0x080u
#define LINUX_PTRACE_O_EXITKILL	      0x100000u
#define LINUX_PTRACE_O_KNOWN	      0x1000ffu

#define LINUX_PTRACE_EVENT_FORK	      1
#define LINUX_PTRACE_EVENT_VFORK      2
#define LINUX_PTRACE_EVENT_CLONE      3
#define LINUX_PTRACE_EVENT_EXEC	      4
#define LINUX_PTRACE_EVENT_VFORK_DONE 5
#define LINUX_PTRACE_EVENT_EXIT	      6
#define LINUX_PTRACE_EVENT_SECCOMP    7
#define LINUX_PTRACE_EVENT_STOP	      128

#define LINUX_NT_PRSTATUS   1
#define LINUX_NT_PRFPREG    2
#define LINUX_NT_X86_XSTATE 0x202

struct linux_ptrace_syscall_info {
	uint8_t op, pad[3];
	uint32_t arch;
	uint64_t ip, sp;
	union {
		struct {
			uint64_t nr, args[6];
		} entry;
		struct {
			int64_t rval;
			uint8_t is_error;
		} exit;
	};
};

#endif
