/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/anon/anon.h - files without a name: eventfd(2), timerfd_create(2), signalfd(2)
 */
#ifndef SENTRY_FS_ANON_H
#define SENTRY_FS_ANON_H

#include "sentry/abi/time.h"
#include "sentry/vfs/vfs.h"

long eventfd_new(uint64_t count, bool semaphore, uint32_t flags, const struct cred *c, struct file **out);

bool file_is_eventfd(const struct file *f);
void eventfd_signal(struct file *f, uint64_t n);	/* adds up to the overflow, UINT64_MAX; never sleeps */

/* @clock: LINUX_CLOCK_*, checked by the caller. */
long timerfd_new(int clock, uint32_t flags, const struct cred *c, struct file **out);
#define TIMERFD_ABSTIME	      1u
#define TIMERFD_CANCEL_ON_SET 2u
/* -LINUX_EINVAL: not a timerfd, or bad values. */
long timerfd_set(struct file *f, uint32_t flags, const struct linux_itimerspec *its, struct linux_itimerspec *out_old);
long timerfd_get(struct file *f, struct linux_itimerspec *out);

/* A new file, or with @f the mask of an old one changed (-LINUX_EINVAL when it is no signalfd). */
long signalfd_new(uint64_t mask, uint32_t flags, const struct cred *c, struct file **out);
bool file_is_signalfd(const struct file *f);
long signalfd_set(struct file *f, uint64_t mask);

#endif
