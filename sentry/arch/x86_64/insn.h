/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/insn.h - how long is this instruction, and what follows it
 */
#ifndef SENTRY_ARCH_INSN_H
#define SENTRY_ARCH_INSN_H

#include <stdbool.h>
#include <stddef.h>

struct insn {
	unsigned len;	/* bytes, 1..15 */
	bool ends;	/* nothing falls through: ret, jmp, ud2, hlt, int3 */
	bool padding;	/* does nothing: a nop of any length, int3 */
};

/* Decodes the instruction at @p, of which @n bytes are there. False: cut off, invalid in 64-bit mode, or unknown. */
bool insn_decode(const unsigned char *p, size_t n, struct insn *out);

#endif
