/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/seccomp.h - seccomp(2) of guests: filters in classic BPF, run by syscall_dispatch()
 */
#ifndef SENTRY_SECCOMP_H
#define SENTRY_SECCOMP_H

#include "sentry/abi/seccomp.h"
#include "sentry/task/task.h"

void seccomp_inherit(struct task *parent, struct task *child);
void seccomp_chain_put(struct task *t);
/* Before a call: true = make it (*@nr, @a may have been changed by a tracer), false = *@ret is the result. */
bool seccomp_check(struct task *t, int32_t *nr, uint64_t a[6], long *ret);
/* prctl(PR_SET_SECCOMP), seccomp(2) */
long seccomp_set_strict(struct task *t);
/* @len instructions at @filter; flags: LINUX_SECCOMP_FILTER_FLAG_*. 0, a thread id (TSYNC), or -LINUX_E*. */
long seccomp_set_filter(struct task *t, struct gptr filter, unsigned len, uint32_t flags);
/* The first filter of @t, which does not run yet; copied. The caller has checked it (seccomp_bpf_check()). 0 or -LINUX_ENOMEM */
long seccomp_start_with(struct task *t, const struct linux_sock_filter *insn, unsigned len);
unsigned seccomp_nr_filters(struct task *t); /* for /proc/PID/status */

#endif
