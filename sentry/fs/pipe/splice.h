/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/pipe/splice.h - moving bytes between files without the guest (splice(2), sendfile(2), copy_file_range(2))
 */
#ifndef SENTRY_FS_SPLICE_H
#define SENTRY_FS_SPLICE_H

#include "sentry/vfs/vfs.h"

#define LINUX_SPLICE_F_MOVE	1u
#define LINUX_SPLICE_F_NONBLOCK 2u
#define LINUX_SPLICE_F_MORE	4u
#define LINUX_SPLICE_F_GIFT	8u

/* One side at least is a pipe (checked by the caller); @pos NULL: the file's position. Bytes, 0 at the end, or -LINUX_E*. (sleep) */
long splice_from_pipe(struct file *pipe, struct file *out, uint64_t *pos, size_t len, bool nonblock, uint64_t fsize_limit);
long splice_to_pipe(struct file *in, uint64_t *pos, struct file *pipe, size_t len, bool nonblock);
long splice_pipe_to_pipe(struct file *in, struct file *out, size_t len, bool nonblock);
/* Through a buffer of ours: neither side need be a pipe. */
long copy_between(struct file *in, uint64_t *in_pos, struct file *out, uint64_t *out_pos, size_t len, uint64_t fsize_limit);

#endif
