/* SPDX-License-Identifier: Apache-2.0
 * sentry/loader/loader.h - execve(2)'s second half: ELF, scripts, the initial stack
 *
 * Model:   in two steps. loader_prepare() reads and checks everything that can be checked while the old image is still there,
 *          loader_commit() maps the new image into an empty address space; after that a failure kills the task.
 * Source:  execve(2), elf(5), System V ABI AMD64 3.4, getauxval(3).
 */
#ifndef SENTRY_LOADER_H
#define SENTRY_LOADER_H

#include "sentry/cred/cred.h"
#include "sentry/mm/mm.h"
#include "sentry/vfs/vfs.h"

#define EXEC_ARG_MAX	(2 * 1024 * 1024) /* argv + envp strings and pointers, bytes (execve(2)) */
#define EXEC_STRLEN_MAX (128 * 1024)	  /* one string */

/* argv or envp, copied in before the old image goes. */
struct exec_strings {
	char *data;	/* NUL-terminated strings, back to back; owned */
	size_t len, cap;
	uint32_t nr;
};
void exec_strings_fini(struct exec_strings *s);
long exec_strings_add(struct exec_strings *s, const char *str, size_t len); /* -LINUX_E2BIG, -LINUX_ENOMEM */
long exec_strings_prepend(struct exec_strings *s, const char *str);
long exec_strings_copyin(struct exec_strings *s, struct uthread *u, struct gptr argv); /* NULL pointer = empty list */

struct exec_image;	/* opaque: what prepare found out */

struct exec_args {
	struct vfs_ctx *ctx;		/* whose root, cwd and credentials find the file and the interpreter */
	struct file *file;		/* opened for exec; one reference, moves in */
	const char *filename;		/* as given: AT_EXECFN, comm */
	struct exec_strings *argv, *envp; /* borrowed until loader_commit(); argv may be changed (scripts) */
	uint32_t personality;		/* of the task: ADDR_NO_RANDOMIZE */
};

/* 0; -LINUX_ENOEXEC, -LINUX_ENOENT (interpreter), -LINUX_EACCES, -LINUX_ELIBBAD, -LINUX_E2BIG, -LINUX_ELOOP (scripts nest > 5) ... (sleeps) */
long loader_prepare(struct exec_args *a, struct exec_image **out);
/* The file whose set-user-id bits and capabilities count (the script's interpreter for scripts). Borrowed. */
struct file *loader_file(struct exec_image *img);
/* Sets what AT_UID.. AT_SECURE say. */
void loader_set_creds(struct exec_image *img, const struct cred *c, bool secure);
/* Maps everything into @mm (empty) and sets @u's registers to the entry point. @stack_limit: RLIMIT_STACK, bytes. (sleeps) */
long loader_commit(struct exec_image *img, struct mm *mm, struct uthread *u, uint64_t stack_limit);
void loader_free(struct exec_image *img);
const char *loader_comm(struct exec_image *img); /* last component of the file name */

#endif
