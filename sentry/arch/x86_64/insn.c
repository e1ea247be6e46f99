/* SPDX-License-Identifier: Apache-2.0
 * sentry/arch/x86_64/insn.c - instruction lengths by table
 *
 * Model:   prefixes, then an opcode of one of four maps, then ModRM with its SIB and displacement, then an immediate. Each
 *          opcode has a letter; VEX and EVEX use the same maps. No meaning is decoded beyond what struct insn says.
 * Source:  Intel SDM volume 2, appendix A (opcode maps) and chapter 2 (formats).
 */
#include "sentry/arch/x86_64/insn.h"

#include <stdint.h>

/* . nothing   m ModRM   b imm8   z imm16/32   B ModRM+imm8   Z ModRM+imm16/32   w imm16   e imm16+imm8
 * r rel8      R rel32   v imm of operand size (mov)   a moffs   f,F group 3 (test has an immediate)   x invalid or prefix */
static const char one_byte[] =
	"mmmmbzxx" "mmmmbzxx" "mmmmbzxx" "mmmmbzxx" "mmmmbzxx" "mmmmbzxx" "mmmmbzxx" "mmmmbzxx" /* 00-3f */
	"xxxxxxxx" "xxxxxxxx" "........" "........"						/* 40-5f: REX, push, pop */
	"xxxmxxxx" "zZbB...." "rrrrrrrr" "rrrrrrrr"						/* 60-7f */
	"BZxBmmmm" "mmmmmmmm" "........" "..x....."						/* 80-9f */
	"aaaa...." "bz......" "bbbbbbbb" "vvvvvvvv"						/* a0-bf */
	"BBw.xxBZ" "e.w..bx." "mmmmxxx." "mmmmmmmm"						/* c0-df */
	"rrrrbbbb" "RRxr...." "x.xx..fF" "......mm";						/* e0-ff */

static const char two_byte[] =
	"mmmmx..." "..x.xm.x" "mmmmmmmm" "mmmmmmmm" "mmmmxxxx" "mmmmmmmm" "......x." "xxxxxxxx" /* 00-3f */
	"mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm"			/* 40-6f */
	"BBBBmmm." "mmmmmmmm" "RRRRRRRR" "RRRRRRRR" "mmmmmmmm" "mmmmmmmm"			/* 70-9f */
	"...mBmxx" "...mBmmm" "mmmmmmmm" "mmBmmmmm" "mmBmBBBm" "........"			/* a0-cf */
	"mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm" "mmmmmmmm";			/* d0-ff */

_Static_assert(sizeof(one_byte) == 257 && sizeof(two_byte) == 257, "a letter per opcode");

struct decoder {
	const unsigned char *p;
	size_t n, at;
	bool opsize16, addr32, rexw, cut;
};

static unsigned char next(struct decoder *d)
{
	if (d->at >= d->n) {
		d->cut = true;
		return 0;
	}
	return d->p[d->at++];
}

static void skip(struct decoder *d, unsigned k)
{
	d->at += k;
	if (d->at > d->n)
		d->cut = true;
}

static unsigned char modrm(struct decoder *d)
{
	unsigned char m = next(d), sib;
	unsigned mod = m >> 6, rm = m & 7;

	if (mod == 3)
		return m;
	if (rm == 4) {
		sib = next(d);
		if (mod == 0 && (sib & 7) == 5)
			skip(d, 4);
	} else if (mod == 0 && rm == 5) {
		skip(d, 4);
	}
	if (mod == 1)
		skip(d, 1);
	if (mod == 2)
		skip(d, 4);
	return m;
}

static unsigned imm_z(const struct decoder *d)
{
	return d->opsize16 ? 2 : 4;
}

/* What follows the opcode; false when it is none. */
static bool operands(struct decoder *d, char letter)
{
	switch (letter) {
	case '.':
		return true;
	case 'm':
		modrm(d);
		return true;
	case 'b':
	case 'r':
		skip(d, 1);
		return true;
	case 'B':
		modrm(d);
		skip(d, 1);
		return true;
	case 'z':
		skip(d, imm_z(d));
		return true;
	case 'Z':
		modrm(d);
		skip(d, imm_z(d));
		return true;
	case 'w':
		skip(d, 2);
		return true;
	case 'e':
		skip(d, 3);
		return true;
	case 'R':
		skip(d, 4);
		return true;
	case 'v':
		skip(d, d->rexw ? 8 : imm_z(d));
		return true;
	case 'a':
		skip(d, d->addr32 ? 4 : 8);
		return true;
	case 'f':
	case 'F':
		if ((modrm(d) & 0x30) == 0)
			skip(d, letter == 'f' ? 1 : imm_z(d));
		return true;
	}
	return false;
}

/* Opcodes behind VEX and EVEX: map 1 as 0f, 2 as 0f 38, 3 as 0f 3a. */
static bool vector_operands(struct decoder *d, unsigned map)
{
	unsigned char op = next(d);

	if (map == 1)
		return operands(d, two_byte[op]);
	if (map == 2 || map == 5 || map == 6)
		return operands(d, 'm');
	return map == 3 && operands(d, 'B');
}

static bool vector_decode(struct decoder *d, unsigned char op)
{
	unsigned map = 1;

	if (op == 0xc5) {
		skip(d, 1);
	} else {
		map = next(d) & (op == 0x62 ? 7 : 31);
		skip(d, op == 0x62 ? 2 : 1);
	}
	return vector_operands(d, map);
}

static bool two_byte_decode(struct decoder *d, struct insn *out)
{
	unsigned char op = next(d);

	if (op == 0x38) {
		next(d);
		return operands(d, 'm');
	}
	if (op == 0x3a) {
		next(d);
		return operands(d, 'B');
	}
	out->ends = op == 0x0b;		/* ud2 */
	out->padding = op == 0x1f;	/* nop with operand */
	return operands(d, two_byte[op]);
}

static unsigned char prefixes(struct decoder *d)
{
	unsigned char c;

	for (;;) {
		c = next(d);
		switch (c) {
		case 0x66:
			d->opsize16 = true;
			break;
		case 0x67:
			d->addr32 = true;
			break;
		case 0x26:
		case 0x2e:
		case 0x36:
		case 0x3e:
		case 0x64:
		case 0x65:
		case 0xf0:
		case 0xf2:
		case 0xf3:
			break;
		default:
			if ((c & 0xf0) != 0x40)
				return c;
			d->rexw = c & 8;
			return next(d);
		}
		if (d->cut)
			return 0;
	}
}

bool insn_decode(const unsigned char *p, size_t n, struct insn *out)
{
	struct decoder d = { .p = p, .n = n < 15 ? n : 15 };
	unsigned char op = prefixes(&d);
	bool ok;

	*out = (struct insn){ 0 };
	if (d.cut)
		return false;
	if (op == 0x0f) {
		ok = two_byte_decode(&d, out);
	} else if (op == 0xc4 || op == 0xc5 || op == 0x62) {
		ok = vector_decode(&d, op);
	} else {
		out->ends = op == 0xc3 || op == 0xc2 || op == 0xe9 || op == 0xeb || op == 0xf4 || op == 0xcc ||
			    (op == 0xff && d.at < d.n && ((p[d.at] >> 3) & 6) == 4);
		out->padding = op == 0xcc || op == 0x90;
		ok = operands(&d, one_byte[op]);
	}
	out->len = (unsigned)d.at;
	return ok && !d.cut;
}
