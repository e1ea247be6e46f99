/* SPDX-License-Identifier: Apache-2.0
 * shim/toml.h - the part of TOML that the shim's config.toml uses
 *
 * Model:   one callback per `key = value`, with the name of the table it stands in. Scalars only:
 *          strings (basic and literal, one line), booleans, integers; what else TOML has is refused
 *          with the line number rather than guessed at.
 */
#ifndef SHIM_TOML_H
#define SHIM_TOML_H

#include "base/err.h"

enum toml_kind { TOML_STRING, TOML_BOOL, TOML_INT };

struct toml_item {
	const char *table; /* "" outside any */
	const char *key;
	enum toml_kind kind;
	const char *text; /* the value as text: "true", "-3", the string's content */
};

#define TOML_MAX (1u << 20) /* bytes of one file */

/* Calls @fn for each item until it returns non-zero (which it does with @e filled).
 * Return: 0, or -1 with @e: EINVAL "line 3: ...". */
int toml_parse(const char *text, size_t len, int (*fn)(void *arg, const struct toml_item *it, struct err *e),
	       void *arg, struct err *e);

#endif
