/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/seccomp.h - seccomp(2) and classic BPF as guests see them
 */
#ifndef SENTRY_ABI_SECCOMP_H
#define SENTRY_ABI_SECCOMP_H

#include <stdint.h>

#define LINUX_SECCOMP_MODE_DISABLED 0
#define LINUX_SECCOMP_MODE_STRICT   1
#define LINUX_SECCOMP_MODE_FILTER   2

#define LINUX_SECCOMP_SET_MODE_STRICT  0
#define LINUX_SECCOMP_SET_MODE_FILTER  1
#define LINUX_SECCOMP_GET_ACTION_AVAIL 2
#define LINUX_SECCOMP_GET_NOTIF_SIZES  3

#define LINUX_SECCOMP_FILTER_FLAG_TSYNC		     1u
#define LINUX_SECCOMP_FILTER_FLAG_LOG		     2u
#define LINUX_SECCOMP_FILTER_FLAG_SPEC_ALLOW	     4u
#define LINUX_SECCOMP_FILTER_FLAG_NEW_LISTENER	     8u
#define LINUX_SECCOMP_FILTER_FLAG_TSYNC_ESRCH	     16u
#define LINUX_SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV 32u

#define LINUX_SECCOMP_RET_KILL_PROCESS 0x80000000u
#define LINUX_SECCOMP_RET_KILL_THREAD  0x00000000u
#define LINUX_SECCOMP_RET_TRAP	       0x00030000u
#define LINUX_SECCOMP_RET_ERRNO	       0x00050000u
#define LINUX_SECCOMP_RET_USER_NOTIF   0x7fc00000u
#define LINUX_SECCOMP_RET_TRACE	       0x7ff00000u
#define LINUX_SECCOMP_RET_LOG	       0x7ffc0000u
#define LINUX_SECCOMP_RET_ALLOW	       0x7fff0000u
#define LINUX_SECCOMP_RET_ACTION_FULL  0xffff0000u
#define LINUX_SECCOMP_RET_DATA	       0x0000ffffu

#define LINUX_AUDIT_ARCH_X86_64 0xc000003eu

struct linux_seccomp_data {
	int32_t nr;
	uint32_t arch;
	uint64_t ip;
	uint64_t args[6];
};
_Static_assert(sizeof(struct linux_seccomp_data) == 64, "seccomp_data");

/* The listener's ioctls. */
#define LINUX_SECCOMP_IOCTL_NOTIF_RECV		     0xc0502100u
#define LINUX_SECCOMP_IOCTL_NOTIF_SEND		     0xc0182101u
#define LINUX_SECCOMP_IOCTL_NOTIF_ID_VALID	     0x40082102u
#define LINUX_SECCOMP_IOCTL_NOTIF_ID_VALID_WRONG_DIR 0x80082102u /* as it was first, and is still taken */
#define LINUX_SECCOMP_IOCTL_NOTIF_ADDFD		     0x40182103u /* with other sizes, too */
#define LINUX_SECCOMP_IOCTL_NOTIF_SET_FLAGS	     0x40082104u

#define LINUX_SECCOMP_USER_NOTIF_FLAG_CONTINUE	   1u
#define LINUX_SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP   1u
#define LINUX_SECCOMP_ADDFD_FLAG_SETFD		   1u
#define LINUX_SECCOMP_ADDFD_FLAG_SEND		   2u

struct linux_seccomp_notif {
	uint64_t id;
	uint32_t pid, flags;
	struct linux_seccomp_data data;
};
_Static_assert(sizeof(struct linux_seccomp_notif) == 80, "seccomp_notif");

struct linux_seccomp_notif_resp {
	uint64_t id;
	int64_t val;
	int32_t error;
	uint32_t flags;
};
_Static_assert(sizeof(struct linux_seccomp_notif_resp) == 24, "seccomp_notif_resp");

struct linux_seccomp_notif_addfd {
	uint64_t id;
	uint32_t flags, srcfd, newfd, newfd_flags;
};
_Static_assert(sizeof(struct linux_seccomp_notif_addfd) == 24, "seccomp_notif_addfd");

struct linux_seccomp_notif_sizes {
	uint16_t notif, resp, data;
};

struct linux_sock_filter {
	uint16_t code;
	uint8_t jt, jf;
	uint32_t k;
};
struct linux_sock_fprog {
	uint16_t len, pad[3];
	uint64_t filter;
};
_Static_assert(sizeof(struct linux_sock_fprog) == 16, "sock_fprog");

#define LINUX_BPF_MAXINSNS 4096
#define LINUX_BPF_MEMWORDS 16

#endif
