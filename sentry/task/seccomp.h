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
/* What a filter or who it asks says a call of @t returns, as seccomp_check()'s *@ret: any number, those of restarts too, which mean
 * nothing when they come from there. */
long seccomp_result(struct task *t, long value);
/* prctl(PR_SET_SECCOMP), seccomp(2) */
long seccomp_set_strict(struct task *t);
/* @len instructions at @filter; flags: LINUX_SECCOMP_FILTER_FLAG_*. 0, a thread id (TSYNC), or -LINUX_E*. */
long seccomp_set_filter(struct task *t, struct gptr filter, unsigned len, uint32_t flags);
/* The first filter of @t, which does not run yet; copied. The caller has checked it (seccomp_bpf_check()). 0 or -LINUX_ENOMEM */
long seccomp_start_with(struct task *t, const struct linux_sock_filter *insn, unsigned len);

/* ---- SECCOMP_RET_USER_NOTIF, see seccomp_notify.c ---- */

struct seccomp_listener;
/* A listener for one filter, and the open file that answers; two references. @killable: SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV */
long seccomp_listener_new(struct task *t, bool killable, struct seccomp_listener **out, struct file **out_file);
bool seccomp_listener_open(struct seccomp_listener *l);	/* its file is */
void seccomp_listener_orphan(struct seccomp_listener *l); /* its filter is gone; drops that one's reference. NULL is fine */
/* Asks about a call of @t, and waits for the answer. True: make the call; else *@ret is its result. (sleeps) */
bool seccomp_ask(struct seccomp_listener *l, struct task *t, const struct linux_seccomp_data *d, long *ret);

unsigned seccomp_nr_filters(struct task *t); /* for /proc/PID/status */

#endif
