/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/xsave.h - which vector state guests have, and the size of its image
 *
 * Model:   header only: the zygote (freestanding) and the Sentry must come to the same answer.
 * Source:  Intel SDM volume 1 section 13.2 (CPUID leaf 0DH), section 11.6.6 (MXCSR_MASK).
 */
#ifndef SENTRY_ARCH_XSAVE_H
#define SENTRY_ARCH_XSAVE_H

#include <stdint.h>

/* AMX tiles need a permission that stub processes do not ask for. */
#define XFEATURES_NOT_FOR_GUESTS (3ull << 17)

static inline void xsave_cpuid(uint32_t leaf, uint32_t sub, uint32_t r[4])
{
	__asm__ volatile("cpuid" : "=a"(r[0]), "=b"(r[1]), "=c"(r[2]), "=d"(r[3]) : "a"(leaf), "c"(sub));
}

/* The mask of components, and the size of an uncompacted image of them. */
static inline void xsave_probe(uint64_t *out_mask, uint64_t *out_size)
{
	uint32_t lo, hi, r[4];
	uint64_t size = 576;

	__asm__ volatile("xgetbv" : "=a"(lo), "=d"(hi) : "c"(0));
	*out_mask = (((uint64_t)hi << 32) | lo) & ~XFEATURES_NOT_FOR_GUESTS;
	for (unsigned i = 2; i < 63; i++) {
		if (!(*out_mask & (1ull << i)))
			continue;
		xsave_cpuid(0xd, i, r);
		if ((uint64_t)r[0] + r[1] > size)
			size = (uint64_t)r[0] + r[1];
	}
	*out_size = size;
}

/* Bits of MXCSR that may be set. */
static inline uint32_t mxcsr_mask_probe(void)
{
	unsigned char area[512] __attribute__((aligned(16))) = { 0 };
	uint32_t m;

	__asm__ volatile("fxsave %0" : "=m"(area));
	__builtin_memcpy(&m, area + 28, sizeof(m));
	return m ? m : 0xffbfu;
}

#endif
