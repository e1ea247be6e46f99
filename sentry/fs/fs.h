/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/fs.h - what boot calls to make the file systems known
 */
#ifndef SENTRY_FS_FS_H
#define SENTRY_FS_FS_H

#include "sentry/vfs/vfs.h"

void tmpfs_init(void);
void overlay_init(void);
void pipe_init(void);
void dev_init(void);
void sysfs_init(void);
void cgroupfs_init(void); /* before the first container */

/* vfs_init() and all of the above, in order. Other file systems (proc, gofer, mqueue ...) register themselves. */
void fs_init_all(void);

/* A file on a host descriptor (ownership moves, also on failure): pipes, sockets, regular files given as stdio;
 * the host's null and zero devices become ours. A console is made by console_new() (fs/tty) instead. */
long hostfile_new(int host_fd, const struct cred *c, struct file **out);

/* For mounts made by boot code: fs_find("overlay")->get_sb() with kernel_arg = this instead of lowerdir= and upperdir=.
 * The super block takes its own references. */
struct overlay_layers {
	struct super_block *lower, *upper;
};

/* Mounts the usual /dev tree: a tmpfs with nodes, links, and pts and shm mounted. */
long dev_mount(const struct vfs_ctx *ctx, const struct path *at);

#endif
