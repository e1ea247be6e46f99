/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/rewrite_match.c - which call sites can become jumps, and the bytes they become
 *
 * Model:   no state, no guest: bytes in, bytes out. "mov $nr,%eax; syscall" needs nothing but its own seven bytes; so does
 *          "mov $nr,%eax; lea x,%reg; syscall", as a lea changes nothing else and can be done twice. Any
 *          other syscall needs five bytes of padding behind code that does not fall through, within reach of a
 *          two-byte jump: found by decoding forward from the syscall, where the instruction boundaries are certain. The same
 *          serves a mov that lies across two cache lines, which cannot change at once. What
 *          follows the syscall stays as it is, so that return addresses already taken remain good.
 */
#include <string.h>

#include "sentry/arch/x86_64/insn.h"
#include "sentry/platform/rewrite.h"

#define MOV_LEN	    5
#define SYSCALL_LEN 2
#define JMP_LEN	    5
#define LEA_LEN	    7 /* with a displacement of 32 bits; 4 with one of 8 */
#define HOP_REACH   127
#define NR_MAX	    0xffff
#define HOLE_MAX    64

/* Eight bytes inside one cache line that hold [start, start + len). */
bool site_word_choose(uint64_t start, unsigned len, uint64_t *out)
{
	uint64_t line = start & ~63ull;

	*out = start;
	if (start + len > line + 64)
		return false;
	*out = MIN(start, line + 56);
	return true;
}

/* Padding of at least JMP_LEN bytes behind an instruction that does not fall through. */
static bool hole_find(const unsigned char *p, size_t n, struct site *s)
{
	bool unreachable = false;
	struct insn in;
	size_t at = 0;

	while (at < HOP_REACH && insn_decode(p + at, n - at, &in)) {
		size_t len = 0;

		if (unreachable && in.padding) {
			size_t start = at;

			while (len < HOLE_MAX && insn_decode(p + start + len, n - start - len, &in) && in.padding)
				len += in.len;
			if (len >= JMP_LEN && start <= HOP_REACH) {
				s->hole = s->ret + start;
				s->hole_len = (uint32_t)len;
				return true;
			}
			at = start + len;
			if (!len)
				return false;
			unreachable = false;
			continue;
		}
		unreachable = in.ends;
		at += in.len;
	}
	return false;
}

static bool is_mov_site(const unsigned char *p, uint32_t *out_nr)
{
	memcpy(out_nr, p - MOV_LEN + 1, sizeof(*out_nr));
	/* 41 b8 would be a mov to r8d */
	return p[-MOV_LEN] == 0xb8 && *out_nr <= NR_MAX && (p[-MOV_LEN - 1] & 0xf1) != 0x41;
}

/*
 * A lea of 64 bits, of the form displacement(register) or displacement(%rip), that ends at @p. Not one whose registers the thunk uses
 * itself, nor one that changes what it reads: an interruption in the thunk is told as one before the call, which is then
 * made again from its mov.
 */
static bool is_lea(const unsigned char *p, unsigned len)
{
	enum { RAX = 0, RCX = 1, R11 = 11 };
	unsigned char rex = p[-(int)len], modrm = p[-(int)len + 2];
	unsigned dst = (modrm >> 3 & 7) | (rex & 4) << 1, base = (modrm & 7) | (rex & 1) << 3;

	if ((rex & 0xfa) != 0x48 || p[-(int)len + 1] != 0x8d || dst == RAX || dst == RCX || dst == R11)
		return false;
	if (modrm >> 6 == 0)
		return len == LEA_LEN && (modrm & 7) == 5;
	return modrm >> 6 == (len == LEA_LEN ? 2 : 1) && (modrm & 7) != 4 && base != dst && base != RAX && base != RCX && base != R11;
}

/* mov; lea; syscall, with the syscall at @p, @before bytes behind the start of the text. */
static bool is_mov_lea_site(const unsigned char *p, size_t before, struct site *s)
{
	static const unsigned lens[] = { LEA_LEN, 4 };

	for (unsigned i = 0; i < ARRAY_SIZE(lens); i++) {
		unsigned len = lens[i];

		if (before > MOV_LEN + len && is_lea(p, len) && is_mov_site(p - len, &s->nr)) {
			memcpy(s->lea, p - len, len);
			s->lea_len = len;
			return true;
		}
	}
	return false;
}

/* @s becomes a site of @kind, whose first byte to change lies @before the syscall, and of which @changes bytes do. */
static void site_form(struct site *s, enum site_kind kind, unsigned before, unsigned changes)
{
	s->kind = kind;
	s->start = s->ret - SYSCALL_LEN - before;
	s->across_lines = !site_word_choose(s->start, changes, &s->word);
}

struct site site_match(const unsigned char *text, uint64_t from, size_t len, uint64_t ret)
{
	struct site s = { .ret = ret };
	size_t at; /* of the syscall instruction */
	bool mov;

	if (ret - from > len || ret - from < MOV_LEN + SYSCALL_LEN + 1)
		return s;
	at = ret - SYSCALL_LEN - from;
	if (text[at] != 0x0f || text[at + 1] != 0x05)
		return s;
	mov = is_mov_site(text + at, &s.nr);
	if (mov)
		site_form(&s, SITE_MOV, MOV_LEN, MOV_LEN);
	if (!mov || s.across_lines) {
		if (hole_find(text + at + SYSCALL_LEN, len - at - SYSCALL_LEN, &s) &&
		    (s.hole & PAGE_MASK) == ((s.hole + s.hole_len - 1) & PAGE_MASK) &&
		    (s.hole & PAGE_MASK) == ((ret - SYSCALL_LEN) & PAGE_MASK))
			site_form(&s, SITE_HOP, 0, SYSCALL_LEN);
		else if (!mov && is_mov_lea_site(text + at, at, &s))
			site_form(&s, SITE_MOV, s.lea_len + MOV_LEN, MOV_LEN);
		else if (!mov)
			return s;
	}
	if (s.word < from || s.word + 8 > from + len) {
		s.kind = SITE_NONE;
		return s;
	}
	memcpy(&s.old, text + (s.word - from), 8);
	return s;
}

_Static_assert(LEA_LEN + 7 + MOV_LEN + 10 + 3 <= THUNK_SIZE, "the longest thunk");

/* The site's own lea, for the thunk at @at: one relative to where it stands gets another displacement. */
static bool lea_move(unsigned char *to, uint64_t at, const struct site *s)
{
	int64_t moved = (int64_t)(s->ret - SYSCALL_LEN - (at + s->lea_len));
	int32_t rel;

	memcpy(to, s->lea, s->lea_len);
	if (!s->lea_len || to[2] >> 6)
		return true;
	memcpy(&rel, to + 3, sizeof(rel));
	if (__builtin_add_overflow(rel, moved, &rel))
		return false;
	memcpy(to + 3, &rel, sizeof(rel));
	return true;
}

bool thunk_write(unsigned char *to, uint64_t at, const struct site *s, uint64_t entry)
{
	unsigned n = s->lea_len;
	int32_t rel = (int32_t)(s->ret - (at + n + 7));

	memset(to, 0xcc, THUNK_SIZE);
	if (!lea_move(to, at, s))
		return false;
	memcpy(to + n, "\x48\x8d\x0d", 3); /* lea ret(%rip),%rcx */
	memcpy(to + n + 3, &rel, 4);
	n += 7;
	if (s->kind == SITE_MOV) {
		to[n] = 0xb8; /* mov $nr,%eax */
		memcpy(to + n + 1, &s->nr, 4);
		n += 5;
	}
	memcpy(to + n, "\x49\xbb", 2); /* movabs $entry,%r11 */
	memcpy(to + n + 2, &entry, 8);
	memcpy(to + n + 10, "\x41\xff\xe3", 3); /* jmp *%r11 */
	return true;
}

static void jmp_write(unsigned char *to, uint64_t at, uint64_t target)
{
	int32_t rel = (int32_t)(target - (at + JMP_LEN));

	to[0] = 0xe9;
	memcpy(to + 1, &rel, 4);
}

uint64_t site_new_word(const struct site *s, uint64_t thunk, unsigned char *hole)
{
	uint64_t word = s->old;
	unsigned char *b = (unsigned char *)&word + (s->start - s->word);

	if (s->kind == SITE_MOV) {
		jmp_write(b, s->start, thunk);
		return word;
	}
	memset(hole, 0xcc, s->hole_len);
	jmp_write(hole, s->hole, thunk);
	b[0] = 0xeb;
	b[1] = (unsigned char)(s->hole - s->ret);
	return word;
}

bool site_old_word(enum site_kind kind, uint64_t start, uint32_t nr, uint64_t word, uint64_t now, uint64_t *out)
{
	unsigned char *b = (unsigned char *)out + (start - word);

	*out = now;
	if (b[0] != (kind == SITE_MOV ? 0xe9 : 0xeb))
		return false;
	if (kind == SITE_MOV) {
		b[0] = 0xb8;
		memcpy(b + 1, &nr, 4);
	} else {
		b[0] = 0x0f;
		b[1] = 0x05;
	}
	return true;
}
