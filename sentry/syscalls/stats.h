/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/stats.h - counters of the dispatcher, for `runsc debug` and metrics
 */
#ifndef SENTRY_SYSCALL_STATS_H
#define SENTRY_SYSCALL_STATS_H

#include <stddef.h>
#include <stdint.h>

/* How often number @nr was answered ENOSYS for want of a handler; SYSCALL_MAX: all numbers beyond the table. */
uint64_t syscall_missing_count(uint32_t nr);

/* What dmesg(1) shows; bytes written, without the NUL. */
size_t syslog_text(char *out, size_t cap);

#endif
