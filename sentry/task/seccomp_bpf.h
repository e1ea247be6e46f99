/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/seccomp_bpf.h - classic BPF over struct seccomp_data
 */
#ifndef SENTRY_SECCOMP_BPF_H
#define SENTRY_SECCOMP_BPF_H

#include "base/util.h"
#include "sentry/abi/seccomp.h"

/* True when @prog can be run: known instructions, jumps forward and inside, loads inside, memory written before it is read,
 * a return at the end. */
bool seccomp_bpf_check(const struct linux_sock_filter *prog, unsigned len);
/* Value of a checked program. */
uint32_t seccomp_bpf_run(const struct linux_sock_filter *prog, const struct linux_seccomp_data *data);

#endif
