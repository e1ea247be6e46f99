/* SPDX-License-Identifier: Apache-2.0
 * shim/sha256.h - SHA-256, for the socket address rule only (nothing secret is hashed)
 */
#ifndef SHIM_SHA256_H
#define SHIM_SHA256_H

#include "base/util.h"

/* Lower-case hexadecimal digest of @len bytes, NUL-terminated. */
void sha256_hex(const void *data, size_t len, char out[65]);

#endif
