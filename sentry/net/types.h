/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/types.h - addresses, endpoints, wire integers, drop reasons and counters
 *
 * Model:   one 16-byte address type for both families; an IPv4 address is kept in its v4-mapped form
 *          (::ffff:a.b.c.d, RFC 4291 section 2.5.5.2), so tables, routes, connection tracking and
 *          sockets have one code path. Packets from the wire with a v4-mapped IPv6 address are dropped.
 */
#ifndef SENTRY_NET_TYPES_H
#define SENTRY_NET_TYPES_H

#include <stdatomic.h>
#include <string.h>

#include "base/list.h"
#include "base/mutex.h"
#include "base/util.h"

/* Address families and their Linux numbers, as far as the stack needs them. */
#define NET_AF_UNSPEC 0
#define NET_AF_INET   2
#define NET_AF_INET6  10
#define NET_AF_PACKET 17

static inline uint16_t net_htons(uint16_t v) { return __builtin_bswap16(v); }
static inline uint32_t net_htonl(uint32_t v) { return __builtin_bswap32(v); }
#define net_ntohs net_htons
#define net_ntohl net_htonl

/* Network byte order. */
struct naddr {
	union {
		uint8_t b[16];
		uint32_t w[4];
		uint64_t d[2];
	};
};

#define NADDR_V4_WORD 0xffff0000u /* w[2] of a v4-mapped address, little-endian host */
#define NADDR_ANY4    ((struct naddr){ .w = { 0, 0, NADDR_V4_WORD, 0 } })
#define NADDR_ANY6    ((struct naddr){ .w = { 0, 0, 0, 0 } })

/* @be: IPv4 address in network byte order */
static inline struct naddr naddr_from_v4(uint32_t be)
{
	return (struct naddr){ .w = { 0, 0, NADDR_V4_WORD, be } };
}
static inline struct naddr naddr_from_bytes6(const void *p)
{
	struct naddr a;

	memcpy(a.b, p, 16);
	return a;
}
static inline uint32_t naddr_v4(const struct naddr *a) { return a->w[3]; }
static inline bool naddr_is_v4(const struct naddr *a) { return a->d[0] == 0 && a->w[2] == NADDR_V4_WORD; }
static inline bool naddr_eq(const struct naddr *a, const struct naddr *b)
{
	return a->d[0] == b->d[0] && a->d[1] == b->d[1];
}
/* The wildcard of either family. */
static inline bool naddr_is_any(const struct naddr *a)
{
	return a->d[0] == 0 && (a->d[1] == 0 || (a->w[2] == NADDR_V4_WORD && a->w[3] == 0));
}
static inline bool naddr_is_multicast(const struct naddr *a)
{
	return naddr_is_v4(a) ? (a->b[12] & 0xf0) == 0xe0 : a->b[0] == 0xff;
}
static inline bool naddr_is_bcast4(const struct naddr *a)
{
	return naddr_is_v4(a) && a->w[3] == 0xffffffffu;
}
static inline bool naddr_is_loopback(const struct naddr *a)
{
	return naddr_is_v4(a) ? a->b[12] == 127 : a->d[0] == 0 && a->d[1] == 0x0100000000000000ull;
}
static inline bool naddr_is_linklocal6(const struct naddr *a)
{
	return a->b[0] == 0xfe && (a->b[1] & 0xc0) == 0x80;
}
static inline uint8_t naddr_family(const struct naddr *a)
{
	return naddr_is_v4(a) ? NET_AF_INET : NET_AF_INET6;
}
/* Do the first @plen bits agree (plen counts in the 128-bit form: an IPv4 /24 is 120)? */
bool naddr_prefix_eq(const struct naddr *a, const struct naddr *b, unsigned plen);
struct naddr naddr_mask(const struct naddr *a, unsigned plen);
#define NADDR_STRLEN 48
const char *naddr_str(const struct naddr *a, char buf[NADDR_STRLEN]);
/* Text of either family; false if it is none. */
bool naddr_parse(const char *s, struct naddr *out);

/* An endpoint. */
struct net_ep {
	struct naddr addr;
	uint16_t port;     /* host byte order; protocol number for raw sockets */
	uint32_t scope_id; /* interface index, link-local IPv6 only */
	uint32_t flowinfo; /* network byte order */
};

uint32_t net_hash_bytes(const void *p, size_t n, uint64_t seed);
static inline uint32_t net_hash_addr(const struct naddr *a, uint64_t seed)
{
	uint64_t h = (a->d[0] ^ seed) * 0x9e3779b97f4a7c15ull;

	h ^= h >> 29;
	h = (h ^ a->d[1]) * 0xbf58476d1ce4e5b9ull;
	return (uint32_t)(h >> 32);
}

/* Why a packet went no further. Also the names of the per-namespace drop counters. */
#define NET_DROPS(X)                                                                               \
	X(NONE) X(MALFORMED) X(CHECKSUM) X(NOMEM) X(LINK_DOWN) X(NO_LINK) X(NO_PROTO) X(NOT_OURS)  \
	X(NO_ROUTE) X(MARTIAN) X(TTL) X(TOO_BIG) X(FRAG_LIMIT) X(FRAG_TIMEOUT) X(FRAG_OVERLAP)     \
	X(NO_SOCKET) X(RCVBUF) X(BACKLOG) X(FILTER) X(NEIGH_FAILED) X(NEIGH_QUEUE) X(TCP_OFFSTATE) \
	X(TCP_PAWS) X(TCP_WINDOW) X(TCP_ACK) X(TCP_LISTEN_FULL) X(TCP_OLD) X(NETFILTER) X(RATE)    \
	X(POLICY) X(RECURSION) X(MCAST_NOT_MEMBER) X(TX_QUEUE) X(CONSUMED)
enum drop {
#define X(id) DROP_##id,
	NET_DROPS(X)
#undef X
		DROP_COUNT
};
extern const char *const net_drop_name[DROP_COUNT];

#endif
