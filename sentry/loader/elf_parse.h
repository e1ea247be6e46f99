/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/elf_parse.h - checked views of an ELF header, its program headers, and a script's first line
 *
 * Model:   pure functions over bytes that were read once: no files, no allocation, so that they can be fuzzed. What
 *          they return needs no further checks against overflow.
 * Hostile: every byte.
 */
#ifndef SENTRY_ELF_PARSE_H
#define SENTRY_ELF_PARSE_H

#include "sentry/abi/elf.h"
#include "sentry/abi/errno.h"

#include "base/cursor.h"

#define ELF_PHDRS_MAX_BYTES 65536u /* Linux reads no more */

struct elf_header {
	uint64_t entry, phoff;
	uint16_t type, phnum;
};

struct elf_phdr {
	uint32_t type, flags;
	uint64_t offset, vaddr, filesz, memsz, align;
};

/* What the program headers add up to; addresses before the load bias. */
struct elf_summary {
	uint64_t low, high;		/* page aligned range of all PT_LOAD */
	uint64_t align;			/* largest p_align, a power of two >= the page size */
	uint64_t phdr_vaddr;		/* where the program headers are mapped, 0 = nowhere */
	uint64_t start_code, end_code, start_data, end_data, brk;
	uint64_t interp_off, interp_len; /* PT_INTERP; length 0 = none */
	bool exec_stack;
};

/* 0, or -LINUX_ENOEXEC: not an ELF64 program for this machine. @len may exceed the header. */
long elf_parse_header(const void *bytes, size_t len, struct elf_header *out);
void elf_parse_phdr(struct cursor *c, struct elf_phdr *out);
/* Checks all program headers together. 0, -LINUX_ENOEXEC (malformed), -LINUX_EINVAL (nothing to load). */
long elf_summarize(const struct elf_header *h, const void *phdrs, size_t len, uint64_t limit, struct elf_summary *out);

#define SCRIPT_LINE_MAX 256
/* The #! line: interpreter and at most one argument. 0, -LINUX_ENOEXEC; the pointers go into @line, which is cut up. */
long script_parse(char line[SCRIPT_LINE_MAX + 1], size_t len, char **out_interp, char **out_arg);

#endif
