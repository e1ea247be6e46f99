/* SPDX-License-Identifier: Apache-2.0
 * sentry/strace/strace.h - --strace: a line in the log for each system call of the guests, as strace(1) writes it
 *
 * Model:   tasks that are traced have TE_TRACE, so that the stub answers none of their calls; the line is written when the call
 *          ends (when it begins, for the calls that do not come back). Whether, which calls, and how much of a buffer is
 *          shown are sandbox-wide settings; tracing can be switched on and off at run time (runsc debug --strace).
 */
#ifndef SENTRY_STRACE_H
#define SENTRY_STRACE_H

#include "base/util.h"

/**
 * strace_setup() - what is traced
 * @calls:	names with commas, NULL or "" = all
 * @show_bytes:	of a buffer, string or path; 0 = STRACE_SHOW_DEFAULT
 * Return: 0, or -LINUX_EINVAL with *@bad = the first name that is no call of Linux (borrowed from @calls, up to its comma)
 */
#define STRACE_SHOW_DEFAULT 1024u
#define STRACE_SHOW_MAX	    1024u
long strace_setup(const char *calls, uint32_t show_bytes, const char **bad);
/* From now on, for all tasks there are and will be. */
void strace_set(bool on);

#endif
