/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/csum.h - Internet checksum (RFC 1071), all values in memory byte order
 */
#ifndef SENTRY_NET_CSUM_H
#define SENTRY_NET_CSUM_H

#include "sentry/net/pkt.h"

uint64_t csum_add_bytes(const void *p, size_t n, uint64_t sum); /* at most 64 KiB per call */
uint16_t csum_fold(uint64_t sum);
/* Folded pseudo-header sum of either family; @len: upper-layer length, host order. */
uint32_t csum_pseudo(const struct naddr *src, const struct naddr *dst, uint8_t proto, uint32_t len);

/* RFC 1624: replaces 16 bits in a checksum field. */
static inline void csum_replace2(uint8_t field[2], uint16_t old_be, uint16_t new_be)
{
	uint16_t c;

	memcpy(&c, field, 2);
	c = (uint16_t)~csum_fold((uint64_t)(uint16_t)~c + (uint16_t)~old_be + new_be);
	memcpy(field, &c, 2);
}

#endif
