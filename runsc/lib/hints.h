/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/hints.h - what a pod's annotations say about its volumes
 */
#ifndef RUNSC_LIB_HINTS_H
#define RUNSC_LIB_HINTS_H

#include "runsc/lib/spec.h"

enum hint_share { HINT_SHARED, HINT_POD, HINT_CONTAINER };

/* One hint. Strings are borrowed from the annotations. */
struct mount_hint {
	const char *name;	/* not terminated */
	size_t name_len;
	bool tmpfs;		/* the volume may live inside the sandbox; else it is a bind mount */
	enum hint_share share;	/* who else uses it: anybody of the host, this pod, this container */
	const char *options;	/* comma list, "" if none */
};

/**
 * mount_hint_find() - the hint for a bind mount
 * @s:		the container's configuration
 * @pod:	that of the sandbox that it joins, asked when @s has no hint; or NULL
 * @source:	the bind's source as the configuration names it
 *
 * Return: 1 with @out, 0 without a hint, -1 with @e: EINVAL when a hint has a value that is not known
 */
int mount_hint_find(const struct oci_spec *s, const struct oci_spec *pod, const char *source, struct mount_hint *out,
		    struct err *e);

#endif
