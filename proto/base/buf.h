/* SPDX-License-Identifier: Apache-2.0
 * proto/base/buf.h - a byte buffer that grows, with a limit
 *
 * Model:   owner frees with buf_fini(); after a failed growth .failed stays set and further appends
 *          do nothing, so that a long sequence of appends is checked once.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/util.h"

struct buf {
	char *data;   /* NUL-terminated one past len once anything was appended */
	size_t len, cap;
	size_t max;   /* bytes; 0 = 1 GiB */
	bool failed;  /* out of memory or over max */
};

void buf_fini(struct buf *b);
/* Room for @n more bytes; NULL (and failed) when they cannot be had. Does not change len. */
void *buf_reserve(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *p, size_t n); /* 0, or -1 with failed set */
int buf_printf(struct buf *b, const char *fmt, ...) PRINTF(2, 3);
void buf_consume(struct buf *b, size_t n); /* drops @n bytes from the front */

#endif
