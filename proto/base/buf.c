/* SPDX-License-Identifier: Apache-2.0
 * proto/base/buf.c - see buf.h
 */
#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BUF_MAX_DEFAULT ((size_t)1 << 30)

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){ .max = b->max };
}

void *buf_reserve(struct buf *b, size_t n)
{
	size_t max = b->max ? b->max : BUF_MAX_DEFAULT, want, cap;
	char *p;

	if (b->failed)
		return NULL;
	if (n > max || b->len > max - n) {
		b->failed = true;
		return NULL;
	}
	want = b->len + n + 1;
	if (want > b->cap) {
		cap = b->cap ? b->cap : 64;
		while (cap < want)
			cap *= 2;
		p = realloc(b->data, cap);
		if (!p) {
			b->failed = true;
			return NULL;
		}
		b->data = p;
		b->cap = cap;
	}
	return b->data + b->len;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	void *room = buf_reserve(b, n);

	if (!room)
		return -1;
	if (n)
		memcpy(room, p, n);
	b->len += n;
	b->data[b->len] = '\0';
	return 0;
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, ap2;
	void *room;
	int n;

	va_start(ap, fmt);
	va_copy(ap2, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	room = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (room) {
		vsnprintf(room, (size_t)n + 1, fmt, ap2);
		b->len += (size_t)n;
	}
	va_end(ap2);
	return room ? 0 : -1;
}

void buf_consume(struct buf *b, size_t n)
{
	BUG_ON(n > b->len);
	if (!n)
		return;
	memmove(b->data, b->data + n, b->len - n);
	b->len -= n;
	b->data[b->len] = '\0';
}
