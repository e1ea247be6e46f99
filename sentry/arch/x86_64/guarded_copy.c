/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/guarded_copy.c - the signal handler behind guarded_copy.h
 */
#include "sentry/arch/x86_64/guarded_copy.h"

#include <signal.h>
#include <stdint.h>
#include <ucontext.h>

extern const char guarded_copy_insn[], guarded_copy_fixup[];

static void on_sigbus(int sig, siginfo_t *si, void *ctx)
{
	ucontext_t *uc = ctx;

	if (uc->uc_mcontext.gregs[REG_RIP] == (greg_t)(uintptr_t)guarded_copy_insn)
		uc->uc_mcontext.gregs[REG_RIP] = (greg_t)(uintptr_t)guarded_copy_fixup;
	else
		signal(sig, SIG_DFL); /* a fault of ours: it happens again, and then it counts */
}

void guarded_copy_init(void)
{
	struct sigaction sa = { .sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER };

	sigaction(SIGBUS, &sa, NULL);
}
