/* SPDX-License-Identifier: Apache-2.0
 * proto/base/cursor.h - reading and writing wire formats without ever running past the end
 *
 * Model:   a reader (struct cursor) or writer (struct wcursor) holds a window; a step past the end
 *          sets .bad, yields zeros, and stays bad. Callers check .bad once, at the end.
 */
#ifndef BASE_CURSOR_H
#define BASE_CURSOR_H

#include <string.h>

#include "base/util.h"

struct cursor {
	const uint8_t *p, *end;
	bool bad;
};

struct wcursor {
	uint8_t *start, *p, *end;
	bool bad;
};

static inline struct cursor cursor_make(const void *p, size_t len)
{
	return (struct cursor){ .p = p, .end = (const uint8_t *)p + len };
}

static inline struct wcursor wcursor_make(void *p, size_t cap)
{
	return (struct wcursor){ .start = p, .p = p, .end = (uint8_t *)p + cap };
}

static inline size_t cursor_left(const struct cursor *c)
{
	return (size_t)(c->end - c->p);
}

static inline size_t wcursor_len(const struct wcursor *w)
{
	return (size_t)(w->p - w->start);
}

/* @n bytes in place, or NULL (and bad) when fewer are left. */
static inline const uint8_t *get_bytes(struct cursor *c, size_t n)
{
	const uint8_t *p = c->p;

	if (c->bad || cursor_left(c) < n) {
		c->bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

/* Room for @n bytes, or NULL (and bad) when there is not enough. */
static inline uint8_t *put_room(struct wcursor *w, size_t n)
{
	uint8_t *p = w->p;

	if (w->bad || (size_t)(w->end - w->p) < n) {
		w->bad = true;
		return NULL;
	}
	w->p += n;
	return p;
}

static inline void put_bytes(struct wcursor *w, const void *src, size_t n)
{
	uint8_t *p = put_room(w, n);

	if (p && n)
		memcpy(p, src, n);
}

#define CURSOR_INT(name, type, conv)                                                               \
	static inline type get_##name(struct cursor *c)                                            \
	{                                                                                          \
		const uint8_t *p = get_bytes(c, sizeof(type));                                     \
		type v = 0;                                                                        \
		if (p)                                                                             \
			memcpy(&v, p, sizeof(v));                                                  \
		return conv(v);                                                                    \
	}                                                                                          \
	static inline void put_##name(struct wcursor *w, type v)                                   \
	{                                                                                          \
		v = conv(v);                                                                       \
		put_bytes(w, &v, sizeof(v));                                                       \
	}
#define CURSOR_SAME(v) (v)
CURSOR_INT(u8, uint8_t, CURSOR_SAME)
CURSOR_INT(le16, uint16_t, CURSOR_SAME)
CURSOR_INT(le32, uint32_t, CURSOR_SAME)
CURSOR_INT(le64, uint64_t, CURSOR_SAME)
CURSOR_INT(be16, uint16_t, __builtin_bswap16)
CURSOR_INT(be32, uint32_t, __builtin_bswap32)
CURSOR_INT(be64, uint64_t, __builtin_bswap64)
#undef CURSOR_INT
#undef CURSOR_SAME
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "little endian hosts only");

#endif
