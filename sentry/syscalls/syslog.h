/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/syslog.h - the sandbox's kernel log
 */
#ifndef SENTRY_SYSLOG_H
#define SENTRY_SYSLOG_H

/* The log's clock starts, and the packet filter logs here. */
void syslog_start(void);
/* One line without its end, at @level (0 emergency ... 7 debug). Takes a leaf lock only; any thread. */
void syslog_append(unsigned level, const char *line);

#endif
