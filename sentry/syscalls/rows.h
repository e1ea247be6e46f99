/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/rows.h - all rows; included with SYSCALL() defined, more than once
 */
#include "sentry/syscalls/rows_fs.h"
#include "sentry/syscalls/rows_task.h"
#include "sentry/syscalls/rows_mm.h"
#include "sentry/syscalls/rows_net.h"
#include "sentry/syscalls/rows_ipc.h"
#include "sentry/syscalls/rows_misc.h"
