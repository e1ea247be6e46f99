/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/loader_internal.h - what prepare found out and commit uses
 */
#ifndef SENTRY_LOADER_INTERNAL_H
#define SENTRY_LOADER_INTERNAL_H

#include "sentry/loader/elf_parse.h"
#include "sentry/loader/loader.h"

#define HEAD_BYTES     4096 /* read at once: header, program headers and interpreter name of most files */
#define SCRIPT_NEST_MAX 5   /* execve(2) */

/* One ELF file: the program or its interpreter. */
struct elf_file {
	struct file *file;	/* reference */
	struct mappable *map;	/* reference */
	struct elf_header hdr;
	struct elf_summary sum;
	uint8_t *phdrs;		/* owned; hdr.phnum * LINUX_PHDR_SIZE bytes */
	size_t phdrs_len;
	uint64_t bias;		/* added to every address; set by commit */
};

struct exec_image {
	struct elf_file prog, interp;	/* interp.file NULL: static */
	struct exec_strings *argv, *envp; /* borrowed */
	char *filename;			/* owned: AT_EXECFN */
	char comm[16];
	uint32_t uid, euid, gid, egid;	/* as the guest's namespace shows them */
	uint32_t personality;
	bool secure;
};

void exec_strings_drop_first(struct exec_strings *s);

/* Reads headers and checks them. Takes the reference to @file in any case. @limit: end of the address space. */
long elf_file_open(struct elf_file *e, struct file *file, const uint8_t *head, size_t head_len);
void elf_file_close(struct elf_file *e);
/* Bytes of @f at @off into Sentry memory; short at the end of the file. */
long loader_read(struct file *f, void *dst, size_t len, uint64_t off);

/* Builds the initial stack below @top (at or above @low) and copies it out; sets the layout. *out_sp: stack pointer. */
long stack_build(struct exec_image *img, struct mm *mm, struct uthread *u, uint64_t low, uint64_t top, uint64_t *out_sp);

#endif
