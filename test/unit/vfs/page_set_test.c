/* SPDX-License-Identifier: Apache-2.0
 * test/unit/vfs/page_set_test.c - the sparse set of pages, against a plain array of flags
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "sentry/fs/tmpfs/page_set.h"

#define NR 20000u

static bool flags[NR];

static uint64_t count(uint64_t a, uint64_t b, bool there)
{
	uint64_t n = 0;

	for (uint64_t p = a; p < b; p++)
		n += flags[p] == there;
	return n;
}

static uint64_t next(uint64_t p, bool there)
{
	while (p < NR && flags[p] != there)
		p++;
	return p < NR ? p : there ? PAGE_SET_NONE : p;
}

Test(page_set, like_an_array)
{
	struct page_set s = { 0 };
	unsigned seed = 11;

	for (int round = 0; round < 3000; round++) {
		uint64_t a = (uint64_t)rand_r(&seed) % NR, b = a + (uint64_t)rand_r(&seed) % (round % 3 ? 200 : 6000);
		bool add = rand_r(&seed) % 2;

		b = b > NR ? NR : b;
		cr_assert_eq(page_set_missing(&s, a, b), count(a, b, false));
		if (add) {
			cr_assert(page_set_reserve(&s, a, b));
			if (a < b)
				page_set_add(&s, a, b);
		} else {
			cr_assert_eq(page_set_remove(&s, a, b), count(a, b, true));
		}
		for (uint64_t p = a; p < b; p++)
			flags[p] = add;
		a = (uint64_t)rand_r(&seed) % NR;
		cr_assert_eq(page_set_next(&s, a, true), next(a, true));
		cr_assert_eq(page_set_next(&s, a, false), next(a, false));
	}
	cr_assert_eq(page_set_clear(&s), count(0, NR, true));
	cr_assert_eq(page_set_next(&s, 0, true), PAGE_SET_NONE);
}

Test(page_set, far_apart)
{
	struct page_set s = { 0 };
	const uint64_t far[] = { 0, 63, 64, 1ull << 20, (1ull << 40) + 5, (1ull << 51) - 1 };
	const unsigned nr = sizeof(far) / sizeof(far[0]);

	for (unsigned i = 0; i < nr; i++) {
		cr_assert(page_set_reserve(&s, far[i], far[i] + 1));
		page_set_add(&s, far[i], far[i] + 1);
	}
	for (unsigned i = 1; i < nr; i++)
		cr_assert_eq(page_set_next(&s, far[i - 1] + 1, true), far[i]);
	cr_assert_eq(page_set_next(&s, 63, false), 65);
	cr_assert_eq(page_set_next(&s, far[nr - 1], false), 1ull << 51);
	cr_assert_eq(page_set_remove(&s, 1, 1ull << 52), nr - 1);	/* as quick as if it were short */
	cr_assert_eq(page_set_next(&s, 1, true), PAGE_SET_NONE);
	cr_assert_eq(page_set_clear(&s), 1);
	cr_assert_eq(s.height, 0);
	cr_assert_null(s.root.node);
}
