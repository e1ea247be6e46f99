/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/mqueue/mqueue.h - POSIX message queues: what the system calls use
 *
 * Model:   a queue is an inode of the file system "mqueue", of which each IPC namespace has one instance, made at first use and
 *          kept by an internal mount; mount(2) shows the same instance.
 * Source:  mq_overview(7).
 */
#ifndef SENTRY_FS_MQUEUE_H
#define SENTRY_FS_MQUEUE_H

#include "sentry/abi/ipc.h"
#include "sentry/abi/time.h"
#include "sentry/task/task.h"

void mqueue_init(void);	/* once at boot, after vfs_init() */

/* All return 0 or more, or -LINUX_E* as the calls of the same name do; they may sleep. @name is without the slash. */
long mqueue_open(struct task *t, const char *name, uint32_t flags, uint32_t mode, const struct linux_mq_attr *attr, struct file **out);
long mqueue_unlink(struct task *t, const char *name);
/* @deadline_ns: CLOCK_MONOTONIC. -LINUX_EBADF when @f is no queue, or not open for it. */
long mqueue_send(struct task *t, struct file *f, struct gptr buf, uint64_t len, uint32_t prio, uint64_t deadline_ns);
long mqueue_receive(struct task *t, struct file *f, struct gptr buf, uint64_t len, struct gptr uprio, uint64_t deadline_ns);
#define MQ_COOKIE_LEN 32 /* the last byte says what happened */
/* @ev NULL: the caller's registration goes. @teller, @cookie: for SIGEV_THREAD, a netlink socket and what it gets; borrowed, or NULL. */
long mqueue_notify(struct task *t, struct file *f, const struct linux_sigevent *ev, struct file *teller, const uint8_t *cookie);
long mqueue_getset(struct file *f, const struct linux_mq_attr *set, struct linux_mq_attr *out_old);

#endif
