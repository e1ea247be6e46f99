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
