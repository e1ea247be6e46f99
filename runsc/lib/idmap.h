/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/idmap.h - mounts whose files have other owners than on disk
 */
#ifndef RUNSC_LIB_IDMAP_H
#define RUNSC_LIB_IDMAP_H

#include <stdbool.h>

#include "base/err.h"

/**
 * idmap_userns() - a user namespace that only serves to describe a mapping
 * @uid_map, @gid_map:	texts as for /proc/PID/uid_map: the id on disk, the id it appears as, how many
 *
 * Return: its descriptor, or -1 with @e
 */
int idmap_userns(const char *uid_map, const char *gid_map, struct err *e);

/* A detached copy of the mount at @path, owners as they are. Return: as idmap_tree() */
int clone_tree(const char *path, bool recursive, struct err *e);

/**
 * idmap_tree() - a detached copy of the mount at @path with owners mapped
 * @recursive:	with the mounts below it
 * @rec_map:	map these, too
 * @userns:	from idmap_userns(), borrowed
 *
 * Return: a descriptor for move_mount(2), or -1 with @e: EINVAL also when the file system cannot do it
 */
int idmap_tree(const char *path, bool recursive, bool rec_map, int userns, struct err *e);

#endif
