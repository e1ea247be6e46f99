/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/tmpfs_internal.h - file content, shared by tmpfs_data.c and tmpfs_file.c
 */
#ifndef SENTRY_FS_TMPFS_INTERNAL_H
#define SENTRY_FS_TMPFS_INTERNAL_H

#include "sentry/fs/tmpfs/tmpfs.h"

/* The current map with a reference, NULL when all is hole (or it is being replaced: take i_lock and look again). */
struct tmap *tmap_take(struct tnode *n);
void tmap_put(struct tmap *m);
/* i_lock held: makes [off, end) writable memory and counts its pages. -LINUX_ENOSPC, -LINUX_ENOMEM. */
long tdata_reserve(struct inode *i, uint64_t off, uint64_t end);
void tdata_punch(struct inode *i, uint64_t off, uint64_t end);
long tdata_make_exact(struct inode *i);

#endif
