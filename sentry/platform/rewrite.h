/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/rewrite.h - what a call site becomes
 */
#ifndef SENTRY_PLATFORM_REWRITE_H
#define SENTRY_PLATFORM_REWRITE_H

#include "sentry/platform/platform_internal.h"

enum site_kind {
	SITE_NONE,
	SITE_MOV,	/* mov $nr,%eax; syscall: the mov becomes a jump to the thunk, which loads the number, and before that
			 * does what a lea between both does */
	SITE_HOP,	/* syscall: becomes a two-byte jump to padding nearby, which jumps to the thunk */
};

struct site {
	enum site_kind kind;
	uint64_t ret;		/* address behind the syscall instruction */
	uint64_t start;		/* first byte that changes */
	uint32_t nr;		/* SITE_MOV: the number */
	uint32_t lea_len;	/* SITE_MOV: the lea, 0 = none */
	unsigned char lea[8];
	uint64_t hole;		/* SITE_HOP: address of the padding */
	uint32_t hole_len;
	uint64_t word;		/* eight bytes of one cache line with all that changes at once */
	uint64_t old;		/* what they are */
	bool across_lines;	/* there is no such word: only while nobody else runs this code */
};

/* Text around a site: what the matcher looks at. */
#define SITE_TEXT_BEFORE 64
#define SITE_TEXT_AFTER	 192

/**
 * site_match() - can the call before @ret be rewritten, and how?
 * @text:	the bytes at [@from, @from + @len) of the guest, which contain the syscall instruction
 */
struct site site_match(const unsigned char *text, uint64_t from, size_t len, uint64_t ret);

#define THUNK_SIZE 32
/* The thunk of @s, to lie at @at and enter the stub at @entry; false when what the site means is too far from there. */
bool thunk_write(unsigned char *to, uint64_t at, const struct site *s, uint64_t entry);
/* s->word as it is once the site jumps to @thunk; SITE_HOP also fills @hole with s->hole_len bytes. */
uint64_t site_new_word(const struct site *s, uint64_t thunk, unsigned char *hole);
/* And back: the word that @now becomes when the site of kind @kind at @start traps again; false if it is not as rewritten. */
bool site_old_word(enum site_kind kind, uint64_t start, uint32_t nr, uint64_t word, uint64_t now, uint64_t *out);
bool site_word_choose(uint64_t start, unsigned len, uint64_t *out);

#endif
