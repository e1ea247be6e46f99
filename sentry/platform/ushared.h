/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/ushared.h - what the stub answers by itself, and what both sides must see at once
 *
 * Model:   one struct per guest thread, in its slot. The stub may write anything here at any time, so the Sentry
 *          reads it only for what concerns the guest itself.
 */
#ifndef SENTRY_PLATFORM_USHARED_H
#define SENTRY_PLATFORM_USHARED_H

#include <stdatomic.h>
#include <stdint.h>

#define ROBUST_HEAD_SIZE 24 /* bytes that ushared.robust_list points at; they come along with exit(2) and exit_group(2) */

struct ushared {
	_Atomic uint64_t sigmask;	/* blocked signals, bit n-1; the stub changes it in rt_sigprocmask(2): it writes the
					 * new mask, then (after a full barrier) reads sigpending */
	_Atomic uint64_t sigpending;	/* written by the Sentry only: pending for this thread or its group. Write it, full
					 * barrier, read sigmask: one of both sides sees the other */
	_Atomic uint32_t pid, tid, ppid, pgid, sid;	/* as the guest sees them */
	_Atomic uint32_t uid, euid, gid, egid;
	_Atomic uint32_t in_stub_sleep;	/* the stub waits in a host futex or nanosleep: state S, not R */
	_Atomic uint64_t robust_list, clear_tid; /* as set_robust_list(2) and set_tid_address(2) left them: guest addresses */
	_Atomic uint32_t forward_all;	/* written by the Sentry: answer nothing in the stub (strace, ptrace, seccomp) */
};

#endif
