/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/guarded_copy.h - copying from a mapping of a host file that may be cut short meanwhile
 *
 * Model:   touching a page behind the end of a mapped file is SIGBUS (mmap(2)). The copy is one
 *          instruction at a known address; the signal handler sees that address and lets the copy return
 *          early instead. Any other SIGBUS keeps its default action.
 */
#ifndef SENTRY_ARCH_GUARDED_COPY_H
#define SENTRY_ARCH_GUARDED_COPY_H

#include <stddef.h>

/* Installs the handler; once, before the process is confined. */
void guarded_copy_init(void);

/* Returns how many of @n bytes were not copied. */
size_t guarded_copy(void *dst, const void *src, size_t n);

#endif
