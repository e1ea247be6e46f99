/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/table.c - the one table of system calls
 *
 * Model:   rows come from the rows_*.h files by theme; a number without a row answers ENOSYS and is counted.
 */
#include "sentry/syscalls/syscalls.h"

#define SYSCALL(nr, name, sig, support, missing) long sys_##name(struct task *t, const uint64_t a[6]);
#include "sentry/syscalls/rows.h"
#undef SYSCALL

const struct syscall_row syscall_table[SYSCALL_MAX] = {
#define SYSCALL(nr, name, sig, support, missing) [nr] = { #name, sys_##name, sig, SC_##support, missing },
#include "sentry/syscalls/rows.h"
#undef SYSCALL
};
