/* SPDX-License-Identifier: Apache-2.0
 * runsc/spec_template.h - an ordinary configuration, for `spec` and `do`
 */
#ifndef RUNSC_SPEC_TEMPLATE_H
#define RUNSC_SPEC_TEMPLATE_H

#include "base/util.h"

struct spec_template {
	char **argv;
	const char *cwd, *netns, *rootfs;	/* cwd, netns may be NULL */
	bool terminal, root_readonly;
	char *const *env;			/* NULL = PATH and TERM only */
	const char *const *binds;		/* NULL-terminated "source:destination[:ro]" */
};

/* The JSON text, malloc'ed; NULL when out of memory or a bind is malformed. */
char *spec_template_text(const struct spec_template *t);

#endif
