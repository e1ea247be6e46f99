/* SPDX-License-Identifier: Apache-2.0
 * shim/kvfile.h - the kernel's small text files: one number, or lines of "key number"
 */
#ifndef SHIM_KVFILE_H
#define SHIM_KVFILE_H

#include "base/util.h"

struct kv_row {
	const char *key;
	size_t off; /* of a uint64_t */
};

/* Adds each listed key's number to its slot in @out; lines that are not listed are skipped, keys that are
 * missing leave their slot. Several rows may share a slot. A file that is missing changes nothing. */
void kvfile_read(const char *dir, const char *file, const struct kv_row *rows, size_t n, void *out);
/* The file's only number; "max" = UINT64_MAX. @dflt when it cannot be read. */
uint64_t numfile_read(const char *dir, const char *file, uint64_t dflt);

#endif
