/* SPDX-License-Identifier: Apache-2.0
 * test/unit/mm/uio_test.c - positions in segment lists
 */
#include <criterion/criterion.h>
#include <string.h>

#include "sentry/mm/uaccess.h"

TestSuite(uio, .timeout = 10);

Test(uio, kernel_single)
{
	char buf[8] = "abcdefg", out[8] = { 0 };
	struct uio io;

	uio_init_kernel(&io, buf, 7);
	cr_assert_eq(uio_read(&io, out, 3), 3);
	cr_assert_eq(uio_read(&io, out + 3, 100), 4);
	cr_assert_str_eq(out, "abcdefg");
	cr_assert_eq(io.left, 0);
	uio_revert(&io, 7);
	cr_assert_eq(uio_write(&io, "XY", 2), 2);
	cr_assert_eq(uio_zero(&io, 100), 5);
	cr_assert_eq(memcmp(buf, "XY\0\0\0\0\0", 7), 0);
}

Test(uio, several_segments_with_empty_ones)
{
	char a[3], b[4], c[2];
	struct uio_seg seg[] = { { (uintptr_t)a, 3 }, { 0, 0 }, { (uintptr_t)b, 4 }, { (uintptr_t)c, 2 } };
	struct uio io = { .seg = seg, .nr = 4, .left = 9 };

	cr_assert_eq(uio_write(&io, "123456789", 9), 9);
	cr_assert(!memcmp(a, "123", 3) && !memcmp(b, "4567", 4) && !memcmp(c, "89", 2));
	cr_assert_eq(uio_write(&io, "x", 1), 0);
	uio_revert(&io, 5);
	cr_assert_eq(io.left, 5);
	uio_skip(&io, 4);
	cr_assert_eq(uio_write(&io, "zz", 2), 1);
	cr_assert_eq(c[1], 'z');
	cr_assert_eq(b[0], '4');
}
