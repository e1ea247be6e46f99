/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/pipe/pipe.h - pipes and FIFOs (pipe(7), fifo(7))
 */
#ifndef SENTRY_FS_PIPE_H
#define SENTRY_FS_PIPE_H

#include "sentry/vfs/vfs.h"

#define PIPE_BUF_BYTES	  4096u
#define PIPE_DEF_SLOTS	  16u	/* 64 KiB */
#define PIPE_MAX_BYTES	  (1024u * 1024u) /* /proc/sys/fs/pipe-max-size */

void pipe_init(void);
/* pipe2(2): @flags LINUX_O_NONBLOCK, LINUX_O_DIRECT. out[0] reads, out[1] writes. */
long pipe_new(const struct cred *c, uint32_t flags, struct file *out[2]);
long pipe_get_size(struct file *f);	/* bytes, or -LINUX_EBADF when it is no pipe */
long pipe_set_size(struct file *f, uint32_t bytes, bool privileged); /* -LINUX_EBUSY, -LINUX_EPERM, -LINUX_EINVAL, -LINUX_ENOMEM */
bool file_is_pipe(const struct file *f);

/* ---- for splice(2) and its relatives ---- */

/* Waits until the read end has data (1), is at its end (0); -LINUX_EAGAIN with @nonblock, -ERESTARTSYS. */
long pipe_wait_data(struct file *f, bool nonblock);
/* Waits until the write end has room (1); -LINUX_EPIPE, -LINUX_EAGAIN, -ERESTARTSYS. */
long pipe_wait_room(struct file *f, bool nonblock);
/* Up to @len bytes of what is in the pipe, without taking them: the first stretch that lies together. Holds the pipe until
 * pipe_consume(f, n) takes the first @n bytes (0: none). 0: empty. */
size_t pipe_peek(struct file *f, const uint8_t **out, size_t len);
void pipe_consume(struct file *f, size_t n);
/* A free slot's page to be filled (up to PIPE_BUF_BYTES), then pipe_commit(f, n) with how many bytes came (0: none). NULL: full
 * or no memory; the pipe is not held then. */
uint8_t *pipe_reserve(struct file *f);
void pipe_commit(struct file *f, size_t n);
/* tee(2): shares up to @len bytes from @in to @out without consuming. Bytes, 0 when there is nothing or no room. */
long pipe_tee(struct file *in, struct file *out, size_t len);

#endif
