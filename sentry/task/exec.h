/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/exec.h - what exec does to credentials
 */
#ifndef SENTRY_EXEC_H
#define SENTRY_EXEC_H

#include "sentry/task/task.h"

/**
 * exec_credentials() - credentials after exec of @f
 * @out:	one reference
 * @out_secure: AT_SECURE: the program must not trust its environment
 * Source:	capabilities(7) "Transformation of capabilities during execve()", execve(2).
 * Return:	0, -LINUX_ENOMEM, -LINUX_EPERM (file capabilities that cannot be had in full)
 */
long exec_credentials(struct task *t, struct file *f, struct cred **out, bool *out_secure);

/* Whether a process with credentials @n may do what it may not with @old, now or by a set*id call. */
bool exec_gains(const struct cred *old, const struct cred *n);

#endif
