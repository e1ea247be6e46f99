/* SPDX-License-Identifier: Apache-2.0
 * test/fuzz/platform_site.c - libFuzzer: guest text around a system call, as rewriting looks at it
 *
 * Input:   byte 0 says where in the text the call is; the rest is the text.
 * Checks:  no reads beyond the text (AddressSanitizer); what is to change lies inside it, in one word; the thunk jumps are
 *          reversible; padding that is used is padding by the decoder's own word.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/arch/x86_64/insn.h"
#include "sentry/platform/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

#define BASE 0x7f0000001000ull

static void must(int c)
{
	if (!c)
		abort();
}

static void check_hole(const uint8_t *text, size_t len, const struct site *s)
{
	size_t at = s->hole - BASE, end = at + s->hole_len;
	struct insn in;

	must(s->hole >= s->ret && s->hole - s->ret <= 127 && end <= len && s->hole_len >= 5 && s->hole_len <= 96);
	while (at < end) {
		must(insn_decode(text + at, len - at, &in) && in.padding);
		at += in.len;
	}
	must(at == end);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	unsigned char hole[128], thunk[THUNK_SIZE];
	struct site s;
	uint64_t word, back;

	if (len < 2)
		return 0;
	s = site_match(data + 1, BASE, len - 1, BASE + data[0]);
	if (s.kind == SITE_NONE)
		return 0;
	must(s.word >= BASE && s.word + 8 <= BASE + len - 1);
	must(s.start >= s.word && s.start + (s.kind == SITE_MOV ? 5 : 2) <= s.word + 8);
	must(s.across_lines || (s.word & 63) <= 56);
	must(memcmp(data + 1 + (s.word - BASE), &s.old, 8) == 0);
	if (s.kind == SITE_HOP)
		check_hole(data + 1, len - 1, &s);
	must(s.lea_len <= sizeof(s.lea) && (s.kind == SITE_MOV || !s.lea_len) && s.ret - s.start == (s.kind == SITE_MOV ? 7 : 2) + s.lea_len);
	if (!thunk_write(thunk, BASE + 0x10000, &s, 0x7fff00000000))
		must(s.lea_len && s.lea[2] >> 6 == 0);
	word = site_new_word(&s, BASE + 0x10000, hole);
	must(site_old_word(s.kind, s.start, s.nr, s.word, word, &back) && back == s.old);
	return 0;
}
