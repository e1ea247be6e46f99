/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/gofer/gofer.h - files of the host, served by the container's gofer over 9P
 *
 * Model:   a link is the connection to one gofer; each mount attaches to one of its trees.
 *          Exclusive mounts (nobody else changes the tree): directories are fetched whole, with
 *          attributes, at the first look, and believed from then on, absent names included; opening
 *          costs nothing, the content is fetched at the first read or mmap. Shared mounts ask again at
 *          every lookup and stat.
 *          Content comes as a host descriptor (read through a mapping of it once that pays) or inline for
 *          small files. A stock 9P2000.L server works too, by fids and messages only.
 * Locks:   VFS holds i_lock of directories for lookups and changes. ginode.data_lock, ginode.fid_lock: sleeplocks below
 *          i_lock, across a round trip; data_lock before fid_lock. gsb.mu: leaf, hash and names. gofer_link.mu: leaf.
 */
#ifndef SENTRY_FS_GOFER_H
#define SENTRY_FS_GOFER_H

#include "sentry/vfs/vfs.h"

struct gofer_link;

/* Registers the file system ("9p", not by mount(2)) and the guard for mapped files. Before the process is confined. */
void gofer_fs_init(void);

/* @sock: connected to a gofer; moved, also on failure. One reference. (sleeps) */
long gofer_link_new(int sock, struct gofer_link **out);
struct gofer_link *gofer_link_get(struct gofer_link *l);
void gofer_link_put(struct gofer_link *l);
/* Everything fails with -LINUX_EIO from now on, also what is under way: the gofer is gone, or the container is being killed. */
void gofer_link_kill(struct gofer_link *l);

struct gofer_mount {
	struct gofer_link *link; /* borrowed; the super block takes a reference */
	const char *aname;	 /* "0": root filesystem, "1"...: bind mounts, as the gofer numbers them */
	const char *source;	 /* for /proc/mounts */
	uint32_t sb_flags;	 /* with LINUX_MS_RDONLY what was fetched of an exclusive tree is never asked for again */
	bool exclusive;		 /* nobody else changes this tree */
};

/* A super block with one reference; its root may be a file (bind mount of one). (sleeps) */
long gofer_mount(const struct gofer_mount *m, struct super_block **out);

#endif
