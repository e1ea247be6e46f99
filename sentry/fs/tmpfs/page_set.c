/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/page_set.c - the radix tree of page_set.h
 */
#include "sentry/fs/tmpfs/page_set.h"

#include <stdlib.h>

#include "base/util.h"

#define FAN_BITS 6
#define FAN	 (1u << FAN_BITS)

/* Pages below one slot at height @h: a word at height 0. */
static uint64_t span(unsigned h)
{
	return 64ull << FAN_BITS * h;
}

/* The bits of [a, b) in the word whose first page is @base; the two overlap. */
static uint64_t mask_of(uint64_t base, uint64_t a, uint64_t b)
{
	uint64_t m = ~0ull;

	if (a > base)
		m &= ~0ull << (a - base);
	if (b < base + 64)
		m &= ~0ull >> (base + 64 - b);
	return m;
}

static union page_slot *node_new(void)
{
	return calloc(FAN, sizeof(union page_slot));
}

static bool grow(struct page_set *s)
{
	union page_slot *n;

	if (s->root.word) {	/* also a node: the union has one null */
		n = node_new();
		if (!n)
			return false;
		n[0] = s->root;
		s->root.node = n;
	}
	s->height++;
	return true;
}

/* The word with page @p; NULL when it is not there and cannot or (@make false) shall not be. */
static uint64_t *word_at(struct page_set *s, uint64_t p, bool make)
{
	union page_slot *slot = &s->root;

	for (unsigned h = s->height; h > 0; h--) {
		if (!slot->node && make)
			slot->node = node_new();
		if (!slot->node)
			return NULL;
		slot = &slot->node[p / span(h - 1) % FAN];
	}
	return &slot->word;
}

bool page_set_reserve(struct page_set *s, uint64_t a, uint64_t b)
{
	while (b > span(s->height))
		if (!grow(s))
			return false;
	for (uint64_t p = a; p < b; p = (p / span(1) + 1) * span(1))	/* a node of words at a time */
		if (!word_at(s, p, true))
			return false;
	return true;
}

uint64_t page_set_missing(const struct page_set *s, uint64_t a, uint64_t b)
{
	uint64_t n = 0;

	for (uint64_t p = a; p < b; p = (p | 63) + 1) {
		const uint64_t *w = p < span(s->height) ? word_at((struct page_set *)s, p, false) : NULL;

		n += (uint64_t)__builtin_popcountll(mask_of(p & ~63ull, a, b) & ~(w ? *w : 0));
	}
	return n;
}

void page_set_add(struct page_set *s, uint64_t a, uint64_t b)
{
	for (uint64_t p = a; p < b; p = (p | 63) + 1)
		*word_at(s, p, false) |= mask_of(p & ~63ull, a, b);
}

/* Of the slot at height @h whose first page is @base, which overlaps [a, b). */
static uint64_t slot_remove(union page_slot *slot, unsigned h, uint64_t base, uint64_t a, uint64_t b)
{
	uint64_t step, had = 0;

	if (h == 0) {
		uint64_t m = mask_of(base, a, b);

		had = (uint64_t)__builtin_popcountll(slot->word & m);
		slot->word &= ~m;
		return had;
	}
	if (!slot->node)
		return 0;
	step = span(h - 1);
	for (uint64_t k = a > base ? (a - base) / step : 0; k < FAN && base + k * step < b; k++)
		had += slot_remove(&slot->node[k], h - 1, base + k * step, a, b);
	if (a <= base && base + span(h) <= b) {
		free(slot->node);
		slot->node = NULL;
	}
	return had;
}

uint64_t page_set_remove(struct page_set *s, uint64_t a, uint64_t b)
{
	b = MIN(b, span(s->height));
	return a < b ? slot_remove(&s->root, s->height, 0, a, b) : 0;
}

uint64_t page_set_clear(struct page_set *s)
{
	uint64_t had = page_set_remove(s, 0, UINT64_MAX);

	s->height = 0;
	return had;
}

static uint64_t slot_next(const union page_slot *slot, unsigned h, uint64_t base, uint64_t p, bool present)
{
	uint64_t step, r, m;

	if (h == 0) {
		m = (present ? slot->word : ~slot->word) & (p > base ? ~0ull << (p - base) : ~0ull);
		return m ? base + (uint64_t)__builtin_ctzll(m) : PAGE_SET_NONE;
	}
	if (!slot->node)
		return present ? PAGE_SET_NONE : MAX(p, base);
	step = span(h - 1);
	for (uint64_t k = p > base ? (p - base) / step : 0; k < FAN; k++) {
		r = slot_next(&slot->node[k], h - 1, base + k * step, p, present);
		if (r != PAGE_SET_NONE)
			return r;
	}
	return PAGE_SET_NONE;
}

uint64_t page_set_next(const struct page_set *s, uint64_t p, bool present)
{
	uint64_t end = span(s->height), r = PAGE_SET_NONE;

	if (p < end)
		r = slot_next(&s->root, s->height, 0, p, present);
	return r == PAGE_SET_NONE && !present ? MAX(p, end) : r;
}
