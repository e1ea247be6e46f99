/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/seccomp_bpf.c - classic BPF: check and interpreter, the subset that seccomp(2) admits
 *
 * Hostile: programs are the guest's. A checked program ends after at most its length in steps, since jumps go forward only.
 * Source:  seccomp(2), bpf(4) of the BSDs for the instruction set.
 */
#include <string.h>

#include "sentry/task/seccomp_bpf.h"

enum {
	LD = 0x00, LDX = 0x01, ST = 0x02, STX = 0x03, ALU = 0x04, JMP = 0x05, RET = 0x06, MISC = 0x07,
	W = 0x00, IMM = 0x00, ABS = 0x20, MEM = 0x60, LEN = 0x80,
	ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80,
	MOD = 0x90, XOR = 0xa0,
	JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40,
	K = 0x00, X = 0x08, A = 0x10, TAX = 0x00, TXA = 0x80,
};

/* What an instruction needs checked. */
enum kind { BAD, PLAIN, LOAD_ABS, LOAD_MEM, STORE_MEM, DIV_K, SHIFT_K, JUMP, JUMP_IF, RETURN };

static enum kind classify(uint16_t code)
{
	switch (code) {
	case LD | W | ABS:
		return LOAD_ABS;
	case LD | W | LEN:
	case LDX | W | LEN:
	case LD | IMM:
	case LDX | IMM:
	case MISC | TAX:
	case MISC | TXA:
	case ALU | NEG:
	case ALU | ADD | K:
	case ALU | ADD | X:
	case ALU | SUB | K:
	case ALU | SUB | X:
	case ALU | MUL | K:
	case ALU | MUL | X:
	case ALU | DIV | X:
	case ALU | OR | K:
	case ALU | OR | X:
	case ALU | AND | K:
	case ALU | AND | X:
	case ALU | LSH | X:
	case ALU | RSH | X:
	case ALU | XOR | K:
	case ALU | XOR | X:
		return PLAIN;
	case ALU | DIV | K:
		return DIV_K;
	case ALU | LSH | K:
	case ALU | RSH | K:
		return SHIFT_K;
	case LD | MEM:
	case LDX | MEM:
		return LOAD_MEM;
	case ST:
	case STX:
		return STORE_MEM;
	case JMP | JA:
		return JUMP;
	case JMP | JEQ | K:
	case JMP | JEQ | X:
	case JMP | JGT | K:
	case JMP | JGT | X:
	case JMP | JGE | K:
	case JMP | JGE | X:
	case JMP | JSET | K:
	case JMP | JSET | X:
		return JUMP_IF;
	case RET | K:
	case RET | A:
		return RETURN;
	}
	return BAD;
}

/* Which memory words are surely written when an instruction is reached: the meet over all ways to it. */
static bool check_memory(const struct linux_sock_filter *prog, unsigned len)
{
	uint16_t *known = malloc(len * sizeof(*known)), now = 0;
	bool ok = true;

	if (!known)
		return false;
	memset(known, 0xff, len * sizeof(*known));
	for (unsigned i = 0; i < len && ok; i++) {
		const struct linux_sock_filter *f = &prog[i];

		now &= known[i];
		switch (classify(f->code)) {
		case STORE_MEM:
			now |= (uint16_t)(1u << f->k);
			break;
		case LOAD_MEM:
			ok = now >> f->k & 1;
			break;
		case JUMP:
			known[i + 1 + f->k] &= now;
			now = 0xffff;
			break;
		case JUMP_IF:
			known[i + 1 + f->jt] &= now;
			known[i + 1 + f->jf] &= now;
			now = 0xffff;
			break;
		case RETURN:
			now = 0xffff;
			break;
		case BAD:
		case PLAIN:
		case LOAD_ABS:
		case DIV_K:
		case SHIFT_K:
			break;
		}
	}
	free(known);
	return ok;
}

bool seccomp_bpf_check(const struct linux_sock_filter *prog, unsigned len)
{
	if (!len || len > LINUX_BPF_MAXINSNS || classify(prog[len - 1].code) != RETURN)
		return false;
	for (unsigned i = 0; i < len; i++) {
		const struct linux_sock_filter *f = &prog[i];
		unsigned left = len - i - 1;

		switch (classify(f->code)) {
		case BAD:
			return false;
		case LOAD_ABS:
			if (f->k >= sizeof(struct linux_seccomp_data) || (f->k & 3))
				return false;
			break;
		case LOAD_MEM:
		case STORE_MEM:
			if (f->k >= LINUX_BPF_MEMWORDS)
				return false;
			break;
		case DIV_K:
			if (!f->k)
				return false;
			break;
		case SHIFT_K:
			if (f->k >= 32)
				return false;
			break;
		case JUMP:
			if (f->k >= left)
				return false;
			break;
		case JUMP_IF:
			if (f->jt >= left || f->jf >= left)
				return false;
			break;
		case PLAIN:
		case RETURN:
			break;
		}
	}
	return check_memory(prog, len);
}

static uint32_t alu(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case ADD:
		return a + b;
	case SUB:
		return a - b;
	case MUL:
		return a * b;
	case DIV:
		return b ? a / b : 0;
	case OR:
		return a | b;
	case AND:
		return a & b;
	case LSH:
		return b < 32 ? a << b : 0;
	case RSH:
		return b < 32 ? a >> b : 0;
	case XOR:
		return a ^ b;
	}
	return -a; /* NEG, the last one left */
}

static bool compare(uint16_t op, uint32_t a, uint32_t b)
{
	switch (op) {
	case JEQ:
		return a == b;
	case JGT:
		return a > b;
	case JGE:
		return a >= b;
	}
	return a & b; /* JSET */
}

uint32_t seccomp_bpf_run(const struct linux_sock_filter *f, const struct linux_seccomp_data *data)
{
	uint32_t a = 0, x = 0, mem[LINUX_BPF_MEMWORDS] = { 0 };

	for (;; f++) {
		uint32_t b = (f->code & X) ? x : f->k;

		switch (f->code & 7) {
		case LD:
			if ((f->code & 0xe0) == ABS)
				memcpy(&a, (const uint8_t *)data + f->k, sizeof(a));
			else if ((f->code & 0xe0) == MEM)
				a = mem[f->k];
			else
				a = (f->code & 0xe0) == LEN ? sizeof(*data) : f->k;
			break;
		case LDX:
			if ((f->code & 0xe0) == MEM)
				x = mem[f->k];
			else
				x = (f->code & 0xe0) == LEN ? sizeof(*data) : f->k;
			break;
		case ST:
			mem[f->k] = a;
			break;
		case STX:
			mem[f->k] = x;
			break;
		case ALU:
			if ((f->code & 0xf0) == DIV && !b)
				return 0; /* division by X = 0 ends the program, as in Linux */
			a = alu(f->code & 0xf0, a, b);
			break;
		case JMP:
			if ((f->code & 0xf0) == JA)
				f += f->k;
			else
				f += compare(f->code & 0xf0, a, b) ? f->jt : f->jf;
			break;
		case RET:
			return (f->code & 0x18) == A ? a : f->k;
		case MISC:
			if (f->code & TXA)
				a = x;
			else
				x = a;
			break;
		}
	}
}
