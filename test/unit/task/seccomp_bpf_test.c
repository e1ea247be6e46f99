/* SPDX-License-Identifier: Apache-2.0
 * test/unit/task/seccomp_bpf_test.c - classic BPF of seccomp(2): what is admitted, what it computes
 */
#include <criterion/criterion.h>

#include "sentry/task/seccomp_bpf.h"

#define RUN(data, ...)                                                                             \
	({                                                                                         \
		struct linux_sock_filter p_[] = { __VA_ARGS__ };                                   \
		cr_assert(seccomp_bpf_check(p_, sizeof(p_) / sizeof(p_[0])));                      \
		seccomp_bpf_run(p_, (data));                                                       \
	})
#define REFUSED(...)                                                                               \
	({                                                                                         \
		struct linux_sock_filter p_[] = { __VA_ARGS__ };                                   \
		!seccomp_bpf_check(p_, sizeof(p_) / sizeof(p_[0]));                                \
	})

static const struct linux_seccomp_data data = { .nr = 39, .arch = LINUX_AUDIT_ARCH_X86_64, .args = { 0x1122334455667788ull } };

Test(seccomp, computes)
{
	cr_assert_eq(RUN(&data, { 0x20, 0, 0, 0 }, { 0x16, 0, 0, 0 }), 39u);			/* ld [nr]; ret a */
	cr_assert_eq(RUN(&data, { 0x20, 0, 0, 16 }, { 0x16, 0, 0, 0 }), 0x55667788u);	/* low half of args[0] */
	cr_assert_eq(RUN(&data, { 0x20, 0, 0, 0 }, { 0x15, 0, 1, 39 }, { 0x06, 0, 0, 1 }, { 0x06, 0, 0, 2 }), 1u);
	cr_assert_eq(RUN(&data, { 0x20, 0, 0, 0 }, { 0x25, 0, 1, 39 }, { 0x06, 0, 0, 1 }, { 0x06, 0, 0, 2 }), 2u);
	cr_assert_eq(RUN(&data, { 0x05, 0, 0, 1 }, { 0x06, 0, 0, 1 }, { 0x06, 0, 0, 2 }), 2u); /* ja */
	cr_assert_eq(RUN(&data, { 0x00, 0, 0, 5 }, { 0x07, 0, 0, 0 }, { 0x0c, 0, 0, 0 }, { 0x16, 0, 0, 0 }), 10u); /* a += x */
	cr_assert_eq(RUN(&data, { 0x00, 0, 0, 9 }, { 0x02, 0, 0, 3 }, { 0x00, 0, 0, 1 }, { 0x60, 0, 0, 3 }, { 0x16, 0, 0, 0 }), 9u);
	cr_assert_eq(RUN(&data, { 0x01, 0, 0, 0 }, { 0x00, 0, 0, 8 }, { 0x3c, 0, 0, 0 }, { 0x06, 0, 0, 7 }), 0u, "x / 0 ends it");
	cr_assert_eq(RUN(&data, { 0x80, 0, 0, 0 }, { 0x16, 0, 0, 0 }), 64u); /* ld len */
}

Test(seccomp, refuses)
{
	cr_assert(REFUSED({ 0x00, 0, 0, 1 }));					   /* no return */
	cr_assert(REFUSED({ 0x20, 0, 0, 64 }, { 0x06, 0, 0, 0 }));		   /* load behind the end */
	cr_assert(REFUSED({ 0x20, 0, 0, 2 }, { 0x06, 0, 0, 0 }));		   /* unaligned */
	cr_assert(REFUSED({ 0x28, 0, 0, 0 }, { 0x06, 0, 0, 0 }));		   /* half words */
	cr_assert(REFUSED({ 0x05, 0, 0, 1 }, { 0x06, 0, 0, 0 }));		   /* jump out */
	cr_assert(REFUSED({ 0x05, 0, 0, UINT32_MAX }, { 0x06, 0, 0, 0 }));	   /* backwards */
	cr_assert(REFUSED({ 0x15, 1, 0, 0 }, { 0x06, 0, 0, 0 }));		   /* conditional jump out */
	cr_assert(REFUSED({ 0x60, 0, 0, 0 }, { 0x16, 0, 0, 0 }));		   /* memory never written */
	cr_assert(REFUSED({ 0x02, 0, 0, 16 }, { 0x06, 0, 0, 0 }));		   /* no such word */
	cr_assert(REFUSED({ 0x34, 0, 0, 0 }, { 0x06, 0, 0, 0 }));		   /* division by 0 */
	cr_assert(REFUSED({ 0x64, 0, 0, 32 }, { 0x06, 0, 0, 0 }));		   /* shift by 32 */
	/* Written on one way only. */
	cr_assert(REFUSED({ 0x15, 0, 1, 0 }, { 0x02, 0, 0, 0 }, { 0x60, 0, 0, 0 }, { 0x16, 0, 0, 0 }));
}
