/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/siphash.h - SipHash-2-4: keyed hashes that a remote host must not predict
 *
 * Source:  Aumasson, Bernstein: "SipHash: a fast short-input PRF" (2012).
 */
#ifndef SENTRY_NET_SIPHASH_H
#define SENTRY_NET_SIPHASH_H

#include "sentry/net/types.h"

uint64_t siphash(const void *data, size_t len, const uint8_t key[16]);

#endif
