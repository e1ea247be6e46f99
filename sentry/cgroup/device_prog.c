/* SPDX-License-Identifier: Apache-2.0
 * sentry/cgroup/device_prog.c - programs of the device controller: checked, found, run
 *
 * Model:   a register that holds the context's address is a number like any other; a load takes it as a place in the twelve bytes of the
 *          context and refuses the device when it is outside. Nothing else is ever read, and nothing written.
 * Source:  "eBPF Instruction Set" in the kernel's documentation.
 */
#include "sentry/cgroup/device.h"

#include <stdlib.h>
#include <string.h>

#include "sentry/abi/errno.h"

#define CTX_BASE 0x1000ull	/* what register 1 holds */
#define REG_FP	 10		/* there is no stack: reads as 0 */

enum { CLASS_LD, CLASS_LDX, CLASS_ST, CLASS_STX, CLASS_ALU, CLASS_JMP, CLASS_JMP32, CLASS_ALU64 };
#define CLASS(i)   ((i)->code & 7)
#define OP(i)	   ((i)->code & 0xf0)
#define FROM_REG   8u
#define DST(i)	   ((i)->regs & 15)
#define SRC(i)	   ((i)->regs >> 4)
#define LD_IMM64   0x18
#define LDX_SIZE(i) (((i)->code & 0x18) == 0 ? 4u : ((i)->code & 0x18) == 8 ? 2u : 1u)

enum { ADD = 0x00, SUB = 0x10, MUL = 0x20, DIV = 0x30, OR = 0x40, AND = 0x50, LSH = 0x60, RSH = 0x70, NEG = 0x80, MOD = 0x90, XOR = 0xa0,
       MOV = 0xb0, ARSH = 0xc0 };
enum { JA = 0x00, JEQ = 0x10, JGT = 0x20, JGE = 0x30, JSET = 0x40, JNE = 0x50, JSGT = 0x60, JSGE = 0x70, CALL = 0x80, EXIT = 0x90,
       JLT = 0xa0, JLE = 0xb0, JSLT = 0xc0, JSLE = 0xd0 };

static struct list progs = LIST_HEAD_INIT(progs); /* in order of id; guarded by cgroup_mu, as the next */
static uint32_t nr_progs, last_id;

/* ---- checking ----------------------------------------------------------------------------------------------- */

static bool alu_ok(const struct ebpf_insn *i)
{
	uint32_t bits = CLASS(i) == CLASS_ALU64 ? 64 : 32;

	if (OP(i) > ARSH || i->off || DST(i) == REG_FP)
		return false;
	if (i->code & FROM_REG)
		return OP(i) != NEG && !i->imm;
	if ((OP(i) == DIV || OP(i) == MOD) && !i->imm)
		return false;
	return !(OP(i) == LSH || OP(i) == RSH || OP(i) == ARSH) || (uint32_t)i->imm < bits;
}

static bool jump_ok(const struct ebpf_insn *code, uint32_t at, uint32_t nr)
{
	const struct ebpf_insn *i = &code[at];

	if (OP(i) == EXIT)
		return CLASS(i) == CLASS_JMP;
	if (OP(i) == CALL || OP(i) > JSLE || (OP(i) == JA && CLASS(i) != CLASS_JMP))
		return false;
	/* Forward, and not into the second half of a wide instruction. */
	return i->off >= 0 && (uint32_t)i->off < nr - at - 1 && code[at + 1 + (uint32_t)i->off].code;
}

/* One instruction; *@at moves past it. */
static bool insn_ok(const struct ebpf_insn *code, uint32_t *at, uint32_t nr)
{
	const struct ebpf_insn *i = &code[*at];
	bool ok = false;

	if (DST(i) > REG_FP || SRC(i) > REG_FP)
		return false;
	switch (CLASS(i)) {
	case CLASS_LD:
		ok = i->code == LD_IMM64 && !SRC(i) && DST(i) != REG_FP && *at + 1 < nr && !i[1].code && !i[1].regs;
		++*at;
		break;
	case CLASS_LDX:
		ok = (i->code & 0xe0) == 0x60 && (i->code & 0x18) != 0x18 && DST(i) != REG_FP;
		break;
	case CLASS_ALU:
	case CLASS_ALU64:
		ok = alu_ok(i);
		break;
	case CLASS_JMP:
	case CLASS_JMP32:
		ok = jump_ok(code, *at, nr);
		break;
	}
	++*at;
	return ok;
}

static bool prog_ok(const struct ebpf_insn *code, uint32_t nr)
{
	uint32_t at = 0, last = 0;

	while (at < nr) {
		last = at;
		if (!insn_ok(code, &at, nr))
			return false;
	}
	return CLASS(&code[last]) == CLASS_JMP && OP(&code[last]) == EXIT;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static uint64_t alu(uint8_t op, uint64_t a, uint64_t b, uint32_t bits)
{
	uint32_t by = (uint32_t)b & (bits - 1);

	switch (op) {
	case ADD: return a + b;
	case SUB: return a - b;
	case MUL: return a * b;
	case DIV: return b ? a / b : 0;
	case OR: return a | b;
	case AND: return a & b;
	case LSH: return a << by;
	case RSH: return a >> by;
	case NEG: return -a;
	case MOD: return b ? a % b : a;
	case XOR: return a ^ b;
	case MOV: return b;
	case ARSH: return bits == 64 ? (uint64_t)((int64_t)a >> by) : (uint32_t)((int32_t)a >> by);
	}
	return 0;
}

static bool holds(uint8_t op, uint64_t a, uint64_t b, bool wide)
{
	int64_t sa = wide ? (int64_t)a : (int32_t)a, sb = wide ? (int64_t)b : (int32_t)b;

	switch (op) {
	case JA: return true;
	case JEQ: return a == b;
	case JGT: return a > b;
	case JGE: return a >= b;
	case JSET: return a & b;
	case JNE: return a != b;
	case JSGT: return sa > sb;
	case JSGE: return sa >= sb;
	case JLT: return a < b;
	case JLE: return a <= b;
	case JSLT: return sa < sb;
	case JSLE: return sa <= sb;
	}
	return false;
}

static bool load(const struct device_access *ctx, uint64_t addr, uint32_t size, uint64_t *out)
{
	uint64_t off = addr - CTX_BASE;

	if (off > sizeof(*ctx) - size)
		return false;
	*out = 0;
	memcpy(out, (const uint8_t *)ctx + off, size);
	return true;
}

bool devprog_allows(const struct devprog *p, const struct device_access *a)
{
	uint64_t r[16] = { [1] = CTX_BASE };

	for (uint32_t at = 0; at < p->nr; at++) { /* jumps go forward only: at most nr steps */
		const struct ebpf_insn *i = &p->insn[at];
		bool wide = CLASS(i) == CLASS_ALU64 || CLASS(i) == CLASS_JMP;
		uint64_t x = r[DST(i)], y = i->code & FROM_REG ? r[SRC(i)] : (uint64_t)(int64_t)i->imm;

		switch (CLASS(i)) {
		case CLASS_LD:
			r[DST(i)] = (uint32_t)i->imm | (uint64_t)(uint32_t)i[1].imm << 32;
			at++;
			break;
		case CLASS_LDX:
			if (!load(a, r[SRC(i)] + (uint64_t)(int64_t)i->off, LDX_SIZE(i), &r[DST(i)]))
				return false;
			break;
		case CLASS_ALU64:
			r[DST(i)] = alu(OP(i), x, y, 64);
			break;
		case CLASS_ALU:
			r[DST(i)] = (uint32_t)alu(OP(i), (uint32_t)x, (uint32_t)y, 32);
			break;
		default:
			if (CLASS(i) == CLASS_JMP && OP(i) == EXIT)
				return r[0] != 0;
			if (holds(OP(i), wide ? x : (uint32_t)x, wide ? y : (uint32_t)y, wide))
				at += (uint32_t)i->off;
		}
	}
	return false;
}

/* ---- life ----------------------------------------------------------------------------------------------------------- */

long devprog_new(uint32_t type, const struct ebpf_insn *code, uint32_t nr, const char name[16], uint32_t uid, struct devprog **out)
{
	struct devprog *p;

	if (!nr || nr > DEVPROG_INSNS_MAX)
		return -LINUX_E2BIG;
	if (!prog_ok(code, nr))
		return -LINUX_EINVAL;
	p = calloc(1, sizeof(*p) + nr * sizeof(code[0]));
	if (!p)
		return -LINUX_ENOMEM;
	ref_init(&p->ref, 1);
	list_init(&p->node);
	p->type = type;
	p->uid = uid;
	p->load_ns = now_ns();
	p->nr = nr;
	memcpy(p->name, name, sizeof(p->name));
	memcpy(p->insn, code, nr * sizeof(code[0]));
	mutex_lock(&cgroup_mu);
	if (nr_progs < DEVPROGS_MAX) {
		nr_progs++;
		p->id = ++last_id;
		list_add_tail(&progs, &p->node);
	}
	mutex_unlock(&cgroup_mu);
	if (!p->id) {
		free(p);
		return -LINUX_ENOMEM;
	}
	*out = p;
	return 0;
}

struct devprog *devprog_get(struct devprog *p)
{
	ref_get(&p->ref);
	return p;
}

/* Under the lock, so that who finds it in the list can still take a reference. */
void devprog_put(struct devprog *p)
{
	bool last;

	if (!p)
		return;
	mutex_lock(&cgroup_mu);
	last = ref_put(&p->ref);
	if (last) {
		list_del_init(&p->node);
		nr_progs--;
	}
	mutex_unlock(&cgroup_mu);
	if (last)
		free(p);
}

struct devprog *devprog_by_id(uint32_t id, bool next)
{
	struct devprog *p, *found = NULL;

	mutex_lock(&cgroup_mu);
	list_for_each_entry (p, &progs, node)
		if (next ? p->id > id : p->id == id) {
			found = devprog_get(p);
			break;
		}
	mutex_unlock(&cgroup_mu);
	return found;
}
