/* SPDX-License-Identifier: Apache-2.0
 * sentry/socket/netlink/nlmsg.h - reading and writing netlink messages and their attributes
 *
 * Model:   reading: a message's attributes become a table by type, each a checked piece of the Sentry's copy. Writing: messages
 *          are appended to a struct buf, whose .failed says at the end whether memory or the limit ran out.
 * Source:  netlink(7), linux/netlink.h.
 */
#ifndef SENTRY_NLMSG_H
#define SENTRY_NLMSG_H

#include <string.h>

#include "base/buf.h"
#include "base/cursor.h"
#include "sentry/abi/errno.h"
#include "sentry/abi/netlink.h"

/* ---- reading ------------------------------------------------------------------------------------------------- */

struct nla {
	const uint8_t *p; /* NULL: not there */
	uint16_t len;
};

/* Attributes of @c by type into @tb[0..@max]; the last of a type counts, unknown types are skipped. 0 or -LINUX_EINVAL. */
static inline long nla_parse(struct cursor c, struct nla *tb, unsigned max)
{
	memset(tb, 0, (max + 1) * sizeof(*tb));
	while (cursor_left(&c) >= sizeof(struct linux_nlattr)) {
		uint16_t len = get_le16(&c), type = get_le16(&c) & LINUX_NLA_TYPE_MASK;
		const uint8_t *p = len >= 4 ? get_bytes(&c, len - 4u) : NULL;

		if (!p)
			return -LINUX_EINVAL;
		if (type <= max)
			tb[type] = (struct nla){ p, (uint16_t)(len - 4) };
		get_bytes(&c, MIN(LINUX_NL_ALIGN(len) - len, cursor_left(&c)));
	}
	return 0;
}
static inline struct cursor nla_cursor(const struct nla *a)
{
	return a->p ? cursor_make(a->p, a->len) : cursor_make("", 0);
}
static inline bool nla_has(const struct nla *a)
{
	return a->p != NULL;
}
/* The first @n bytes; false when there are fewer. An attribute that is not there leaves @out alone and is fine. */
static inline bool nla_get(const struct nla *a, void *out, size_t n)
{
	if (!a->p)
		return true;
	if (a->len < n)
		return false;
	memcpy(out, a->p, n);
	return true;
}
static inline bool nla_get_u8(const struct nla *a, uint8_t *out) { return nla_get(a, out, 1); }
static inline bool nla_get_u16(const struct nla *a, uint16_t *out) { return nla_get(a, out, 2); }
static inline bool nla_get_u32(const struct nla *a, uint32_t *out) { return nla_get(a, out, 4); }
/* A string with or without its NUL, shorter than @cap. */
static inline bool nla_get_str(const struct nla *a, char *out, size_t cap)
{
	size_t n;

	if (!a->p)
		return true;
	n = strnlen((const char *)a->p, a->len);
	if (n >= cap)
		return false;
	memcpy(out, a->p, n);
	out[n] = '\0';
	return true;
}

/* ---- writing -------------------------------------------------------------------------------------------------- */

static inline void nlb_pad(struct buf *b)
{
	static const uint8_t zero[4];

	buf_append(b, zero, LINUX_NL_ALIGN(b->len) - b->len);
}
/* Starts a message; its offset is what nlb_end() wants. */
static inline size_t nlb_begin(struct buf *b, uint16_t type, uint16_t flags, uint32_t seq, uint32_t pid)
{
	struct linux_nlmsghdr h = { .type = type, .flags = flags, .seq = seq, .pid = pid };
	size_t at;

	nlb_pad(b);
	at = b->len;
	buf_append(b, &h, sizeof(h));
	return at;
}
static inline void nlb_end(struct buf *b, size_t at)
{
	uint32_t len = (uint32_t)(b->len - at);

	if (b->failed)
		return;
	memcpy(b->data + at, &len, sizeof(len));
	nlb_pad(b);
}
#define nlb_body(b, obj) buf_append((b), (obj), sizeof(*(obj)))

static inline void nla_put(struct buf *b, uint16_t type, const void *p, size_t n)
{
	struct linux_nlattr a = { .len = (uint16_t)(sizeof(a) + n), .type = type };

	if (n > UINT16_MAX - sizeof(a)) {
		b->failed = true;
		return;
	}
	buf_append(b, &a, sizeof(a));
	buf_append(b, p, n);
	nlb_pad(b);
}
static inline void nla_put_u8(struct buf *b, uint16_t type, uint8_t v) { nla_put(b, type, &v, 1); }
static inline void nla_put_u16(struct buf *b, uint16_t type, uint16_t v) { nla_put(b, type, &v, 2); }
static inline void nla_put_u32(struct buf *b, uint16_t type, uint32_t v) { nla_put(b, type, &v, 4); }
static inline void nla_put_str(struct buf *b, uint16_t type, const char *s) { nla_put(b, type, s, strlen(s) + 1); }
static inline size_t nla_nest(struct buf *b, uint16_t type)
{
	size_t at = b->len;

	nla_put(b, type, NULL, 0);
	return at;
}
static inline void nla_nest_end(struct buf *b, size_t at)
{
	uint16_t len = (uint16_t)(b->len - at);

	if (b->len - at > UINT16_MAX)
		b->failed = true;
	if (!b->failed)
		memcpy(b->data + at, &len, sizeof(len));
}

#endif
