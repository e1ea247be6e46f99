/* SPDX-License-Identifier: Apache-2.0
 * shim/stats.h - a container's figures as containerd's cgroup metrics
 */
#ifndef SHIM_STATS_H
#define SHIM_STATS_H

#include "base/err.h"
#include "runsc/lib/lifecycle.h"

struct metrics {
	const char *type_url;
	uint8_t *data; /* malloc'ed */
	size_t len;
};

/* v1 or v2 message, after the kind of cgroup that the container has. */
int metrics_read(struct lc_container *c, struct metrics *out, struct err *e);

/* The two kinds, from cgroup files below @dir and the lifecycle library's figures @s (both may lack).
 * Return: malloc'ed message, NULL when out of memory. */
uint8_t *metrics_v2(const char *dir, const struct lc_stats *s, size_t *out_len);
uint8_t *metrics_v1(const char *(*dir)(const void *arg, const char *controller), const void *arg,
		    const struct lc_stats *s, size_t *out_len);

#endif
