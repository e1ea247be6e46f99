/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/prctl.h - prctl(2), arch_prctl(2), personality(2), uname(2), sysinfo(2) as guests see them
 */
#ifndef SENTRY_ABI_PRCTL_H
#define SENTRY_ABI_PRCTL_H

#include <stdint.h>

#define LINUX_PR_SET_PDEATHSIG	       1
#define LINUX_PR_GET_PDEATHSIG	       2
#define LINUX_PR_GET_DUMPABLE	       3
#define LINUX_PR_SET_DUMPABLE	       4
#define LINUX_PR_GET_UNALIGN	       5
#define LINUX_PR_SET_UNALIGN	       6
#define LINUX_PR_GET_KEEPCAPS	       7
#define LINUX_PR_SET_KEEPCAPS	       8
#define LINUX_PR_GET_TIMING	       13
#define LINUX_PR_SET_TIMING	       14
#define LINUX_PR_SET_NAME	       15
#define LINUX_PR_GET_NAME	       16
#define LINUX_PR_GET_SECCOMP	       21
#define LINUX_PR_SET_SECCOMP	       22
#define LINUX_PR_CAPBSET_READ	       23
#define LINUX_PR_CAPBSET_DROP	       24
#define LINUX_PR_GET_TSC	       25
#define LINUX_PR_SET_TSC	       26
#define LINUX_PR_GET_SECUREBITS	       27
#define LINUX_PR_SET_SECUREBITS	       28
#define LINUX_PR_SET_TIMERSLACK	       29
#define LINUX_PR_GET_TIMERSLACK	       30
#define LINUX_PR_MCE_KILL	       33
#define LINUX_PR_MCE_KILL_GET	       34
#define LINUX_PR_SET_MM		       35
#define LINUX_PR_SET_CHILD_SUBREAPER   36
#define LINUX_PR_GET_CHILD_SUBREAPER   37
#define LINUX_PR_SET_NO_NEW_PRIVS      38
#define LINUX_PR_GET_NO_NEW_PRIVS      39
#define LINUX_PR_GET_TID_ADDRESS       40
#define LINUX_PR_SET_THP_DISABLE       41
#define LINUX_PR_GET_THP_DISABLE       42
#define LINUX_PR_CAP_AMBIENT	       47
#define LINUX_PR_SET_PTRACER	       0x59616d61
#define LINUX_PR_SET_PTRACER_ANY       UINT64_MAX
#define LINUX_PR_SET_VMA	       0x53564d41
#define LINUX_PR_SET_VMA_ANON_NAME     0

#define LINUX_PR_CAP_AMBIENT_IS_SET    1
#define LINUX_PR_CAP_AMBIENT_RAISE     2
#define LINUX_PR_CAP_AMBIENT_LOWER     3
#define LINUX_PR_CAP_AMBIENT_CLEAR_ALL 4

#define LINUX_PR_SET_MM_START_CODE  1
#define LINUX_PR_SET_MM_END_CODE    2
#define LINUX_PR_SET_MM_START_DATA  3
#define LINUX_PR_SET_MM_END_DATA    4
#define LINUX_PR_SET_MM_START_STACK 5
#define LINUX_PR_SET_MM_START_BRK   6
#define LINUX_PR_SET_MM_BRK	    7
#define LINUX_PR_SET_MM_ARG_START   8
#define LINUX_PR_SET_MM_ARG_END	    9
#define LINUX_PR_SET_MM_ENV_START   10
#define LINUX_PR_SET_MM_ENV_END	    11
#define LINUX_PR_SET_MM_AUXV	    12
#define LINUX_PR_SET_MM_EXE_FILE    13

#define LINUX_ARCH_SET_GS 0x1001
#define LINUX_ARCH_SET_FS 0x1002
#define LINUX_ARCH_GET_FS 0x1003
#define LINUX_ARCH_GET_GS 0x1004
#define LINUX_ARCH_GET_CPUID 0x1011
#define LINUX_ARCH_SET_CPUID 0x1012

struct linux_utsname {
	char sysname[65], nodename[65], release[65], version[65], machine[65], domainname[65];
};
_Static_assert(sizeof(struct linux_utsname) == 390, "new_utsname");

struct linux_sysinfo {
	int64_t uptime;
	uint64_t loads[3];
	uint64_t totalram, freeram, sharedram, bufferram, totalswap, freeswap;
	uint16_t procs, pad;
	uint64_t totalhigh, freehigh;
	uint32_t mem_unit;
};
_Static_assert(sizeof(struct linux_sysinfo) == 112, "sysinfo(2)");

#endif
