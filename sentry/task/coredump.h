/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/coredump.h - core files (core(5))
 */
#ifndef SENTRY_COREDUMP_H
#define SENTRY_COREDUMP_H

#include "sentry/task/signal.h"

#define CORE_PATTERN_MAX 127 /* bytes without the NUL, as in Linux */

/* Writes the core file of the calling task's process, which @si is about to end, as far as limits and rights allow. True: the file is
 * there (the wait status says so). (sleeps) */
bool coredump_write(struct task *t, const struct linux_siginfo_head *si);

/* /proc/sys/kernel/core_pattern: of the whole sandbox. set: -LINUX_EINVAL for a pipe to a program and for what is too long. */
void coredump_pattern_get(char out[CORE_PATTERN_MAX + 1]);
long coredump_pattern_set(const char *pattern);
extern _Atomic int64_t coredump_uses_pid; /* /proc/sys/kernel/core_uses_pid */

#endif
