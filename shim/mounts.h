/* SPDX-License-Identifier: Apache-2.0
 * shim/mounts.h - the rootfs mounts that containerd asks the shim to make
 */
#ifndef SHIM_MOUNTS_H
#define SHIM_MOUNTS_H

#include "base/err.h"
#include "mount.pb-c.h"

/* Mounts each of @m in order below @target (their own target is joined to it). On failure what was
 * mounted is undone. */
int rootfs_mount(Ctypes__Mount *const *m, size_t n, const char *target, struct err *e);
/* Detaches everything stacked on @target. A target that is not mounted, or gone, is fine. */
int rootfs_unmount(const char *target, struct err *e);

#endif
