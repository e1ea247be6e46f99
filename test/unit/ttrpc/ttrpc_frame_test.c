/* SPDX-License-Identifier: Apache-2.0
 * test/unit/ttrpc/ttrpc_frame_test.c - framing, byte by byte and in lumps
 */
#include <criterion/criterion.h>
#include <string.h>

#include "ttrpc_internal.h"

static size_t put_frame(uint8_t *p, uint32_t len, uint32_t stream, uint8_t type, uint8_t fill)
{
	ttrpc_hdr_put(p, len, stream, type, 0);
	memset(p + TTRPC_HDR_LEN, fill, len);
	return TTRPC_HDR_LEN + len;
}

Test(ttrpc_frame, header_is_big_endian)
{
	uint8_t h[TTRPC_HDR_LEN];
	static const uint8_t want[] = { 0, 1, 2, 3, 4, 5, 6, 7, 2, 5 };

	ttrpc_hdr_put(h, 0x00010203, 0x04050607, 2, 5);
	cr_assert_arr_eq(h, want, sizeof(want));
}

/* Three frames, one of them empty, cut in pieces of every size. */
Test(ttrpc_frame, any_cut)
{
	uint8_t wire[256];
	size_t n = 0;

	n += put_frame(wire + n, 5, 1, TTRPC_T_REQUEST, 'a');
	n += put_frame(wire + n, 0, 3, TTRPC_T_DATA, 0);
	n += put_frame(wire + n, 77, 5, TTRPC_T_RESPONSE, 'c');
	for (size_t step = 1; step <= n; step++) {
		struct ttrpc_framer fr = { 0 };
		struct ttrpc_frame f;
		unsigned got = 0;

		for (size_t at = 0; at < n; at += step) {
			const uint8_t *p = wire + at, *end = wire + MIN(at + step, n);

			while (ttrpc_framer_feed(&fr, &p, end, &f) == 1) {
				static const uint32_t lens[] = { 5, 0, 77 };

				cr_assert_lt(got, 3);
				cr_assert_eq(f.hdr.len, lens[got]);
				cr_assert_eq(f.hdr.stream, 2 * got + 1);
				cr_assert_not(f.oversized);
				if (got == 2)
					cr_assert(f.body[0] == 'c' && f.body[76] == 'c');
				got++;
			}
			cr_assert_eq(p, end);
		}
		cr_assert_eq(got, 3, "step %zu: %u frames", step, got);
		ttrpc_framer_fini(&fr);
	}
}

Test(ttrpc_frame, oversized_is_drained_and_the_next_frame_read)
{
	static uint8_t wire[TTRPC_HDR_LEN + TTRPC_MAX_DATA + 1 + 64];
	struct ttrpc_framer fr = { 0 };
	struct ttrpc_frame f;
	const uint8_t *p = wire, *end;
	size_t n;

	n = put_frame(wire, TTRPC_MAX_DATA + 1, 1, TTRPC_T_REQUEST, 'x');
	n += put_frame(wire + n, 3, 3, TTRPC_T_REQUEST, 'y');
	end = wire + n;
	cr_assert_eq(ttrpc_framer_feed(&fr, &p, end, &f), 1);
	cr_assert(f.oversized);
	cr_assert_null(f.body);
	cr_assert_eq(f.hdr.stream, 1);
	cr_assert_eq(ttrpc_framer_feed(&fr, &p, end, &f), 1);
	cr_assert_not(f.oversized);
	cr_assert_eq(f.hdr.stream, 3);
	cr_assert_eq(memcmp(f.body, "yyy", 3), 0);
	ttrpc_framer_fini(&fr);
}

Test(ttrpc_frame, exactly_4_mib_passes)
{
	static uint8_t wire[TTRPC_HDR_LEN + TTRPC_MAX_DATA];
	struct ttrpc_framer fr = { .body.max = TTRPC_MAX_DATA };
	struct ttrpc_frame f;
	const uint8_t *p = wire;

	put_frame(wire, TTRPC_MAX_DATA, 1, TTRPC_T_REQUEST, 'x');
	cr_assert_eq(ttrpc_framer_feed(&fr, &p, wire + sizeof(wire), &f), 1);
	cr_assert_not(f.oversized);
	cr_assert_eq(f.body[TTRPC_MAX_DATA - 1], 'x');
	ttrpc_framer_fini(&fr);
}
