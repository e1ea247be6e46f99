/* SPDX-License-Identifier: Apache-2.0
 * gofer/mounts.h - the command line of `runsc gofer`, and the mount tree that it asks for
 *
 * Model:   the container's files are bind mounts "0", "1", ... in an otherwise empty read-only tmpfs, which
 *          becomes the Gofer's root. "0" is the root filesystem; 1 and up are the bind mounts of the spec
 *          in its order. The same numbers are the 9P attach names.
 *
 * Command line (of the trusted side: runsc, the shim):
 *
 *   runsc gofer [--log-format text|json] [--debug] [--threads N] [--id ID]
 *               [--host-uds none|open|create|all] [--host-fifo none|open]
 *               [--own-mount-ns] [--no-init] --mount OPTIONS:SOURCE [--mount ...]
 *
 *   --mount        once per mount, the first is number 0. OPTIONS is a comma list that ends at the first
 *                  ':'; everything behind it is the path, so it may contain anything:
 *                    ro | rw              rw if neither; ro covers the mounts below, too
 *                    bind | rbind         rbind if neither: with the mounts below the source
 *                    private | slave      private if neither. slave: what the host mounts below the source
 *                                         later appears. shared is taken as slave (nothing is
 *                                         ever mounted here that could go back); an 'r' in front is allowed
 *                    nosuid nodev noexec noatime nodiratime relatime strictatime (with suid, dev,
 *                    exec, atime, diratime: no effect)
 *                    fd=N                 SOURCE only names it in messages; N is an inherited
 *                                         descriptor of a detached mount (open_tree(2) with
 *                                         OPEN_TREE_CLONE), for sources that the Gofer's user cannot reach
 *                  Links in SOURCE are followed. nodev is always set: no device is ever opened here.
 *   --own-mount-ns the caller made a mount namespace for us; otherwise we make our own
 *   --no-init      no init channel: exit when the 9P connection ends (tests, tools)
 *   --id           for the process list only
 *
 * Descriptors: 3 = 9P socket (connected; SOCK_SEQPACKET is fastest, SOCK_STREAM works and takes larger
 * messages), 4 = log, 5 = init channel (gofer/init.h), 6 = start-sync: one byte 'R' when it serves; or 'E' and a
 * line that says what failed, then the exit status is 1. 4 to 6 may be missing (closed).
 */
#ifndef GOFER_MOUNTS_H
#define GOFER_MOUNTS_H

#include "gofer/server.h"

#define GOFER_MOUNTS_MAX 4096

struct gofer_mount {
	const char *source; /* borrowed from argv */
	bool ro, recursive, slave;
	uint64_t attr;	    /* MOUNT_ATTR_* to set, besides ro */
	int fd;		    /* detached mount, owned; -1 */
};

/* Reads one OPTIONS:SOURCE. Return: 0, or -1 with @e */
int gofer_mount_parse(const char *arg, struct gofer_mount *out, struct err *e);

/**
 * gofer_mounts_build() - make the tree, pivot into it, fill @roots (O_PATH descriptors of each)
 * @own_ns:	do not unshare the mount namespace
 * @out_procfd:	O_PATH descriptor of /proc/self/fd, in a procfs that is mounted nowhere
 *
 * Needs CAP_SYS_ADMIN in its user namespace. Closes the mounts' descriptors. Return: 0, or -1 with @e
 */
int gofer_mounts_build(struct gofer_mount *m, unsigned n, bool own_ns, struct gofer_root *roots,
		       int *out_procfd, struct err *e);

#endif
