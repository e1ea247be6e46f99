/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_frame.c - ttrpc framing (ttrpc PROTOCOL.md)
 *
 * Model:   header, then body. A body over TTRPC_MAX_DATA is thrown away as it comes and the frame
 *          reported as oversized, so that the stream can be refused without losing the connection.
 */
#include "ttrpc_internal.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#include "base/cursor.h"

#define BODY_KEEP (64u << 10) /* a buffer larger than this is given back after its frame */

void ttrpc_hdr_put(uint8_t out[TTRPC_HDR_LEN], uint32_t len, uint32_t stream, uint8_t type,
		   uint8_t flags)
{
	uint32_t be[2] = { htobe32(len), htobe32(stream) };

	memcpy(out, be, sizeof(be));
	out[8] = type;
	out[9] = flags;
}

static void hdr_get(struct ttrpc_framer *f)
{
	struct cursor c = cursor_make(f->raw, TTRPC_HDR_LEN);

	f->hdr.len = get_be32(&c);
	f->hdr.stream = get_be32(&c);
	f->hdr.type = get_u8(&c);
	f->hdr.flags = get_u8(&c);
}

void ttrpc_framer_fini(struct ttrpc_framer *f)
{
	buf_fini(&f->body);
}

/* The frame before this one was handed out complete: start afresh. */
static void framer_reset(struct ttrpc_framer *f)
{
	f->raw_len = 0;
	f->drained = 0;
	if (f->body.cap > BODY_KEEP)
		buf_fini(&f->body);
	else
		f->body.len = 0;
}

int ttrpc_framer_feed(struct ttrpc_framer *f, const uint8_t **p, const uint8_t *end,
		      struct ttrpc_frame *out)
{
	size_t n, want;

	if (f->raw_len == TTRPC_HDR_LEN && f->body.len + f->drained == f->hdr.len)
		framer_reset(f);
	if (f->raw_len < TTRPC_HDR_LEN) {
		n = MIN((size_t)(end - *p), TTRPC_HDR_LEN - f->raw_len);
		if (n)
			memcpy(f->raw + f->raw_len, *p, n);
		f->raw_len += n;
		*p += n;
		if (f->raw_len < TTRPC_HDR_LEN)
			return 0;
		hdr_get(f);
	}
	want = f->hdr.len - f->body.len - f->drained;
	n = MIN((size_t)(end - *p), want);
	if (f->hdr.len > TTRPC_MAX_DATA)
		f->drained += n;
	else if (n && buf_append(&f->body, *p, n) < 0)
		return -ENOMEM;
	*p += n;
	if (n < want)
		return 0;
	*out = (struct ttrpc_frame){ .hdr = f->hdr,
				     .oversized = f->hdr.len > TTRPC_MAX_DATA };
	if (!out->oversized)
		out->body = f->hdr.len ? (const uint8_t *)f->body.data : (const uint8_t *)"";
	return 1;
}
