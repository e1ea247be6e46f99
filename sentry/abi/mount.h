/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/mount.h - statmount(2) and listmount(2) as guests see them (linux/mount.h)
 */
#ifndef SENTRY_ABI_MOUNT_H
#define SENTRY_ABI_MOUNT_H

#include <stdint.h>

struct linux_mnt_id_req {
	uint32_t size, mnt_ns_fd;
	uint64_t mnt_id, param, mnt_ns_id;
};
#define LINUX_MNT_ID_REQ_SIZE_VER0 24

#define LSMT_ROOT	  UINT64_MAX
#define LISTMOUNT_REVERSE 1u

#define STATMOUNT_SB_BASIC	 0x0001u
#define STATMOUNT_MNT_BASIC	 0x0002u
#define STATMOUNT_PROPAGATE_FROM 0x0004u
#define STATMOUNT_MNT_ROOT	 0x0008u
#define STATMOUNT_MNT_POINT	 0x0010u
#define STATMOUNT_FS_TYPE	 0x0020u
#define STATMOUNT_MNT_NS_ID	 0x0040u
#define STATMOUNT_MNT_OPTS	 0x0080u
#define STATMOUNT_SB_SOURCE	 0x0200u
#define STATMOUNT_SUPPORTED_MASK 0x1000u
#define STATMOUNT_TEXTS                                                                            \
	(STATMOUNT_MNT_ROOT | STATMOUNT_MNT_POINT | STATMOUNT_FS_TYPE | STATMOUNT_MNT_OPTS | STATMOUNT_SB_SOURCE)
/* What is answered here. */
#define STATMOUNT_SUPPORTED                                                                        \
	(STATMOUNT_SB_BASIC | STATMOUNT_MNT_BASIC | STATMOUNT_PROPAGATE_FROM | STATMOUNT_MNT_NS_ID | STATMOUNT_SUPPORTED_MASK |    \
	 STATMOUNT_TEXTS)

struct linux_statmount {
	uint32_t size, mnt_opts;
	uint64_t mask;
	uint32_t sb_dev_major, sb_dev_minor;
	uint64_t sb_magic;
	uint32_t sb_flags, fs_type;
	uint64_t mnt_id, mnt_parent_id;
	uint32_t mnt_id_old, mnt_parent_id_old;
	uint64_t mnt_attr, mnt_propagation, mnt_peer_group, mnt_master, propagate_from;
	uint32_t mnt_root, mnt_point;
	uint64_t mnt_ns_id;
	uint32_t fs_subtype, sb_source, opt_num, opt_array, opt_sec_num, opt_sec_array;
	uint64_t supported_mask;
	uint32_t mnt_uidmap_num, mnt_uidmap, mnt_gidmap_num, mnt_gidmap;
	uint64_t spare[43];
	/* strings follow; the fields above that name one hold its offset from here */
};
_Static_assert(sizeof(struct linux_statmount) == 512, "statmount");

#endif
