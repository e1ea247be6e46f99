/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/pidfd.h - descriptors that stand for processes (pidfd_open(2))
 */
#ifndef SENTRY_PIDFD_H
#define SENTRY_PIDFD_H

#include "sentry/task/task.h"

/* A new descriptor (close-on-exec) in @t's table. flags: LINUX_O_NONBLOCK. Number or -LINUX_E*. */
long pidfd_install(struct task *t, struct pid *pid, uint32_t flags);
/* The process behind a descriptor: reference, or NULL when @fd is none (*out_flags: O_NONBLOCK). */
struct pid *pidfd_pid(struct task *t, int fd, uint32_t *out_flags);
struct pid *pidfd_file_pid(struct file *f); /* borrowed, NULL when @f is none */

#endif
