/* SPDX-License-Identifier: Apache-2.0
 * sentry/fs/tmpfs/page_set.h - which pages of a file are there: a sparse set of page numbers
 *
 * Model:   a radix tree of 64 slots a node over words of 64 bits, only as high as the file is long; a file of up to 64 pages
 *          has its word in place and allocates nothing. What is absent costs neither memory nor time, however far the hole
 *          stretches: a guest may write at any offset up to INT64_MAX.
 * Locks:   the caller's.
 */
#ifndef SENTRY_FS_TMPFS_PAGE_SET_H
#define SENTRY_FS_TMPFS_PAGE_SET_H

#include <stdbool.h>
#include <stdint.h>

#define PAGE_SET_NONE UINT64_MAX

union page_slot {
	uint64_t word;		/* height 0 */
	union page_slot *node;	/* above: 64 slots, owned; NULL: no page of all below */
};

struct page_set {
	union page_slot root;
	unsigned height;
};	/* all zero: empty */

/* Ranges are pages [@a, @b), @b at most 2^52. */

/* Room for page_set_add() of the range. False: out of memory, the set is as it was. */
bool page_set_reserve(struct page_set *s, uint64_t a, uint64_t b);
/* How many of the range are not in the set. */
uint64_t page_set_missing(const struct page_set *s, uint64_t a, uint64_t b);
/* After page_set_reserve() of the range. */
void page_set_add(struct page_set *s, uint64_t a, uint64_t b);
/* Return: how many were there. */
uint64_t page_set_remove(struct page_set *s, uint64_t a, uint64_t b);
/* The first page from @p on that is in the set, or that is not; PAGE_SET_NONE when there is none. */
uint64_t page_set_next(const struct page_set *s, uint64_t p, bool present);
/* Empties it. Return: how many were there. */
uint64_t page_set_clear(struct page_set *s);

#endif
