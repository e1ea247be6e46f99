/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/proc/sysctl.h - rows of /proc/sys
 */
#ifndef SENTRY_PROC_SYSCTL_H
#define SENTRY_PROC_SYSCTL_H

#include "sentry/fs/proc/proc_internal.h"

struct sysctl_row {
	const char *path;	/* below /proc/sys */
	uint32_t mode;		/* permission bits */
	long (*show)(const struct sysctl_row *r, const struct proc_ctx *c, struct buf *out);
	long (*store)(const struct sysctl_row *r, const struct proc_ctx *c, char *text, size_t len); /* NULL: read-only */
	const char *text;	/* of fixed values, without the newline */
	_Atomic int64_t *value;	/* of numbers, with the limits below */
	int64_t min, max;
};
extern const struct sysctl_row sysctl_rows[];
extern const unsigned sysctl_nr_rows;

#endif
