/* SPDX-License-Identifier: Apache-2.0
 * sentry/strace/strace_internal.h - shared by strace.c, strace_args.c and strace_names.c
 */
#ifndef SENTRY_STRACE_INTERNAL_H
#define SENTRY_STRACE_INTERNAL_H

#include "sentry/strace/strace.h"
#include "sentry/task/task.h"

/* The line that grows; what does not fit is left out. Always terminated. */
struct line {
	char *text;
	size_t len, cap;
};
void line_add(struct line *l, const char *fmt, ...) PRINTF(2, 3);

/* One call whose arguments are written. */
struct call_view {
	struct task *t;
	const uint64_t *a;
	const long *ret;	/* NULL: the call has not been made yet */
	uint32_t show_bytes;
};

/* Writes argument @i as @letter says (the letters stand at the table in strace_args.c). */
void arg_write(struct line *l, const struct call_view *v, char letter, int i);
/* The letters of call @name, or NULL: then those of the system call table. */
const char *call_letters(const char *name);

/* ---- names of numbers (strace_names.c) ------------------------------------------------------------------- */

enum name_set { NAMES_OPEN, NAMES_PROT, NAMES_MAP, NAMES_CLONE, NAMES_AT, NAMES_ACCESS, NAMES_WHENCE, NAMES_FCNTL, NAMES_EPOLL,
		NAMES_FUTEX, NAMES_DOMAIN, NAMES_SOCKTYPE, NAMES_RLIMIT, NAMES_IOCTL, NAMES_POLL, NAMES_MADVISE, NAMES_SIGHOW, NAMES_PRCTL,
		NAMES_CLOCK, NAMES_ARCH_PRCTL, NAMES_WAIT, NAMES_SETS };
/* The name of one value, or the number in hexadecimal. */
void name_value(struct line *l, enum name_set set, uint64_t v);
/* The names of the bits that are set, joined with "|", the rest in hexadecimal; "0" or the name of 0 when there is none. */
void name_bits(struct line *l, enum name_set set, uint64_t v);
void name_signal(struct line *l, int sig);

#endif
