/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/elf.h - ELF64 and the auxiliary vector as guests see them (elf(5), getauxval(3))
 */
#ifndef SENTRY_ABI_ELF_H
#define SENTRY_ABI_ELF_H

#include <stdint.h>

#define LINUX_EI_NIDENT	 16
#define LINUX_ELFCLASS64 2
#define LINUX_ELFDATA2LSB 1
#define LINUX_ET_EXEC	 2
#define LINUX_ET_DYN	 3
#define LINUX_EM_X86_64	 62

#define LINUX_PT_LOAD	   1u
#define LINUX_PT_INTERP	   3u
#define LINUX_PT_PHDR	   6u
#define LINUX_PT_GNU_STACK 0x6474e551u
#define LINUX_PF_X	   1u
#define LINUX_PF_W	   2u
#define LINUX_PF_R	   4u

#define LINUX_EHDR_SIZE 64
#define LINUX_PHDR_SIZE 56

#define LINUX_AT_NULL	       0
#define LINUX_AT_PHDR	       3
#define LINUX_AT_PHENT	       4
#define LINUX_AT_PHNUM	       5
#define LINUX_AT_PAGESZ	       6
#define LINUX_AT_BASE	       7
#define LINUX_AT_FLAGS	       8
#define LINUX_AT_ENTRY	       9
#define LINUX_AT_UID	       11
#define LINUX_AT_EUID	       12
#define LINUX_AT_GID	       13
#define LINUX_AT_EGID	       14
#define LINUX_AT_PLATFORM      15
#define LINUX_AT_HWCAP	       16
#define LINUX_AT_CLKTCK	       17
#define LINUX_AT_SECURE	       23
#define LINUX_AT_RANDOM	       25
#define LINUX_AT_HWCAP2	       26
#define LINUX_AT_EXECFN	       31
#define LINUX_AT_SYSINFO_EHDR  33
#define LINUX_AT_MINSIGSTKSZ   51

#define LINUX_ADDR_NO_RANDOMIZE 0x0040000u /* personality(2) */
#define LINUX_STICKY_TIMEOUTS	0x4000000u

#endif
