/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/nf/nft_set.c - sets and maps: ordered elements, looked up by halving
 *
 * Model:   elements are in the order of their key bytes. An interval is a start and, as an element of its own, an end (the
 *          first key behind it), as user space passes them; a key belongs to the interval whose start is the last
 *          element at or before it. Intervals of concatenations carry both keys in one element and are searched in a row.
 */
#include "sentry/net/nf/nft.h"

#define SET_INTERVAL 4
#define SET_CONCAT 0x80
#define ELEM_END 1

static bool linear(const struct nft_set *s)
{
	return (s->flags & SET_INTERVAL) && (s->flags & SET_CONCAT);
}

static bool is_end(const struct nft_elem *e)
{
	return e->flags & ELEM_END;
}

/* How many elements are before (@key, @end): the place where it is or would be. */
static uint32_t place(const struct nft_set *s, const uint8_t *key, bool end)
{
	uint32_t lo = 0, hi = s->nr;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;
		int c = memcmp(s->elem[mid]->key, key, s->klen);

		if (c < 0 || (c == 0 && is_end(s->elem[mid]) && !end))
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool in_fields(const struct nft_set *s, const struct nft_elem *e, const uint8_t *key)
{
	uint32_t at = 0;

	for (unsigned i = 0; i < s->nr_fields; i++) {
		uint32_t n = s->field[i];

		if (at + n > s->klen)
			return false;
		if (memcmp(key + at, e->key + at, n) < 0 || memcmp(key + at, e->has_end ? e->key_end + at : e->key + at, n) > 0)
			return false;
		at += ALIGN_UP(n, 4u);
	}
	return true;
}

const struct nft_elem *nft_set_lookup(const struct nft_set *s, const void *key, uint64_t now)
{
	const struct nft_elem *e = NULL;
	uint32_t i;

	if (linear(s)) {
		for (i = 0; i < s->nr && !e; i++)
			if (in_fields(s, s->elem[i], key) && nft_elem_alive(s->elem[i], now))
				e = s->elem[i];
	} else {
		i = place(s, key, false);
		if (i < s->nr && !memcmp(s->elem[i]->key, key, s->klen))
			e = s->elem[i];
		else if ((s->flags & SET_INTERVAL) && i)
			e = s->elem[i - 1];
		if (e && (is_end(e) || !nft_elem_alive(e, now)))
			e = NULL;
	}
	if (!e && s->catchall && nft_elem_alive(s->catchall, now))
		e = s->catchall;
	return e;
}

struct nft_elem *nft_set_exact(const struct nft_set *s, const struct nft_elem *e, uint32_t *out_at)
{
	uint32_t i = place(s, e->key, is_end(e));

	for (; i < s->nr && !memcmp(s->elem[i]->key, e->key, s->klen) && is_end(s->elem[i]) == is_end(e); i++)
		if (!linear(s) || (s->elem[i]->has_end == e->has_end && !memcmp(s->elem[i]->key_end, e->key_end, s->klen))) {
			*out_at = i;
			return s->elem[i];
		}
	return NULL;
}

int nft_set_insert(struct nft_set *s, struct nft_elem *e)
{
	uint32_t at, cap = s->cap ? s->cap * 2 : 8;
	struct nft_elem **p;

	if (nft_set_exact(s, e, &at))
		return -LINUX_EEXIST;
	if (s->nr >= NFT_ELEMS_MAX || (s->size && s->nr >= s->size * (s->flags & SET_INTERVAL ? 2u : 1u) + 1u))
		return -LINUX_ENFILE;
	if (s->nr == s->cap) {
		p = realloc(s->elem, cap * sizeof(*p));
		if (!p)
			return -LINUX_ENOMEM;
		s->elem = p;
		s->cap = cap;
	}
	at = place(s, e->key, is_end(e));
	memmove(s->elem + at + 1, s->elem + at, (s->nr - at) * sizeof(s->elem[0]));
	s->elem[at] = e;
	s->nr++;
	return 0;
}

void nft_set_remove(struct nft_set *s, uint32_t at)
{
	nft_elem_put(s->elem[at]);
	memmove(s->elem + at, s->elem + at + 1, (s->nr - at - 1) * sizeof(s->elem[0]));
	s->nr--;
}
