/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/addr.c - addresses as bits and as text; names of drop reasons and counters
 *
 * Source:  RFC 4291 section 2.2 (text form), RFC 5952 (canonical text).
 */
#include <arpa/inet.h>
#include <stdio.h>

#include "sentry/net/mib.h"
#include "sentry/net/types.h"

const char *const net_drop_name[DROP_COUNT] = {
#define X(id) [DROP_##id] = #id,
	NET_DROPS(X)
#undef X
};

const struct net_mib_row net_mib_rows[MIB_COUNT] = {
#define X(id, g, n) [MIB_##id] = { g, n },
	NET_MIBS(X)
#undef X
};

bool naddr_prefix_eq(const struct naddr *a, const struct naddr *b, unsigned plen)
{
	unsigned bytes = plen / 8, bits = plen % 8;

	if (plen >= 128)
		return naddr_eq(a, b);
	if (memcmp(a->b, b->b, bytes))
		return false;
	return !bits || !((a->b[bytes] ^ b->b[bytes]) & (uint8_t)(0xff00 >> bits));
}

struct naddr naddr_mask(const struct naddr *a, unsigned plen)
{
	struct naddr r = { 0 };
	unsigned bytes = plen / 8, bits = plen % 8;

	if (plen >= 128)
		return *a;
	memcpy(r.b, a->b, bytes);
	if (bits)
		r.b[bytes] = a->b[bytes] & (uint8_t)(0xff00 >> bits);
	return r;
}

const char *naddr_str(const struct naddr *a, char buf[NADDR_STRLEN])
{
	if (naddr_is_v4(a))
		snprintf(buf, NADDR_STRLEN, "%u.%u.%u.%u", a->b[12], a->b[13], a->b[14], a->b[15]);
	else if (!inet_ntop(AF_INET6, a->b, buf, NADDR_STRLEN))
		buf[0] = '\0';
	return buf;
}

bool naddr_parse(const char *s, struct naddr *out)
{
	uint32_t v4;
	struct naddr a;

	if (inet_pton(AF_INET, s, &v4) == 1)
		a = naddr_from_v4(v4);
	else if (inet_pton(AF_INET6, s, a.b) != 1)
		return false;
	*out = a;
	return true;
}

uint32_t net_hash_bytes(const void *p, size_t n, uint64_t seed)
{
	const uint8_t *b = p;
	uint64_t h = seed ^ (n * 0x9e3779b97f4a7c15ull);

	while (n) {
		uint64_t v = 0;
		size_t k = MIN(n, (size_t)8);

		memcpy(&v, b, k);
		h = (h ^ v) * 0xbf58476d1ce4e5b9ull;
		h ^= h >> 31;
		b += k;
		n -= k;
	}
	return (uint32_t)(h ^ (h >> 32));
}
