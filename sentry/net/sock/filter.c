/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/sock/filter.c - socket filters: checking and running classic BPF
 *
 * Model:   a program is checked when attached (every jump lands inside and forward, every memory slot and opcode
 *          exists, it ends in a return), so that running needs no checks but those on packet bounds.
 * Source:  McCanne and Jacobson, "The BSD Packet Filter" (1993); Linux's ancillary loads (SKF_AD_*).
 */
#include "sentry/net/sock_internal.h"

#define BPF_MAXINSNS 4096
#define BPF_MEMWORDS 16
#define SKF_AD_OFF (-0x1000)
#define SKF_NET_OFF (-0x100000)
#define SKF_LL_OFF (-0x200000)

#define CLASS(c) ((c) & 7)
enum { LD, LDX, ST, STX, ALU, JMP, RET, MISC };

static bool insn_ok(const struct bpf_insn *p, unsigned i, unsigned nr)
{
	const struct bpf_insn *f = &p[i];

	switch (CLASS(f->code)) {
	case LD:
	case LDX: {
		uint16_t mode = f->code & 0xe0, size = f->code & 0x18;

		if (mode == 0x60) /* MEM */
			return size == 0 && f->k < BPF_MEMWORDS;
		if (CLASS(f->code) == LDX)
			return mode == 0x00 || mode == 0x80 || (mode == 0xa0 && size == 0x10);
		return mode == 0x00 || mode == 0x80 || ((mode == 0x20 || mode == 0x40) && size != 0x18);
	}
	case ST:
	case STX:
		return (f->code & ~7) == 0 && f->k < BPF_MEMWORDS;
	case ALU: {
		uint16_t op = f->code & 0xf0;

		if (op > 0xa0)
			return false;
		return !((op == 0x30 || op == 0x90) && !(f->code & 8) && f->k == 0) && !((op == 0x60 || op == 0x70) && !(f->code & 8) && f->k > 31);
	}
	case JMP: {
		uint16_t op = f->code & 0xf0;

		if (op == 0)
			return f->k < nr - i - 1;
		return op <= 0x40 && i + 1 + f->jt < nr && i + 1 + f->jf < nr;
	}
	case RET:
		return (f->code & 0x18) == 0 || (f->code & 0x18) == 0x10;
	case MISC:
		return (f->code & 0xf8) == 0x00 || (f->code & 0xf8) == 0x80;
	}
	return false;
}

static void prog_free(struct net_rcu *r)
{
	free(container_of(r, struct bpf_prog, rcu));
}

int bpf_prog_new(const void *code, unsigned nr, struct bpf_prog **out)
{
	const uint8_t *b = code;
	struct bpf_prog *n;

	if (!nr || nr > BPF_MAXINSNS)
		return -LINUX_EINVAL;
	n = malloc(sizeof(*n) + nr * sizeof(n->insn[0]));
	if (!n)
		return -LINUX_ENOMEM;
	n->nr = nr;
	for (unsigned i = 0; i < nr; i++, b += 8) {
		memcpy(&n->insn[i].code, b, 2);
		n->insn[i].jt = b[2];
		n->insn[i].jf = b[3];
		memcpy(&n->insn[i].k, b + 4, 4);
	}
	for (unsigned i = 0; i < nr; i++)
		if (!insn_ok(n->insn, i, nr) || (i == nr - 1 && CLASS(n->insn[i].code) != RET)) {
			free(n);
			return -LINUX_EINVAL;
		}
	*out = n;
	return 0;
}

void bpf_prog_free(struct bpf_prog *f)
{
	free(f);
}

int sock_filter_attach(struct sock *sk, const void *code, unsigned nr)
{
	struct bpf_prog *n = NULL, *old;
	int ret = 0;

	if (sk->filter_locked)
		return -LINUX_EPERM;
	if (code)
		ret = bpf_prog_new(code, nr, &n);
	if (ret)
		return ret;
	old = atomic_exchange(&sk->filter, n);
	if (old)
		net_rcu_free(sk->c.ns->stack, &old->rcu, prog_free);
	return !code && !old ? -LINUX_ENOENT : 0;
}

/* Ancillary facts at negative offsets. */
static bool ancillary(const struct pkt *p, int32_t off, uint32_t *out)
{
	switch (off - SKF_AD_OFF) {
	case 0:
		*out = p->proto;
		return true;
	case 4:
		*out = p->type;
		return true;
	case 8:
		*out = p->iif;
		return true;
	case 20:
		*out = p->mark;
		return true;
	case 32:
		*out = p->hash;
		return true;
	case 28:
		*out = NET_ARPHRD_ETHER;
		return true;
	case 36: /* cpu */
	case 44: /* VLAN tag */
	case 48:
		*out = 0;
		return true;
	case 56:
		*out = net_random32();
		return true;
	}
	return false;
}

static bool load(const struct pkt *p, uint32_t k, unsigned size, uint32_t *out)
{
	int32_t off = (int32_t)k;
	uint8_t b[4];

	if (off < 0) {
		const uint8_t *base;

		if (off >= SKF_AD_OFF && off < 0)
			return ancillary(p, off, out);
		base = off >= SKF_NET_OFF ? pkt_l3(p) : off >= SKF_LL_OFF ? pkt_l2(p) : NULL;
		if (!base)
			return false;
		off -= off >= SKF_NET_OFF ? SKF_NET_OFF : SKF_LL_OFF;
		if (base + off < p->data) {
			if (base + off + size > p->tail)
				return false;
			memcpy(b, base + off, size);
			goto got;
		}
		off = (int32_t)(base + off - p->data);
	}
	if (!pkt_copy_bits(p, (uint32_t)off, b, size))
		return false;
got:
	*out = size == 4 ? rd32(b) : size == 2 ? rd16(b) : b[0];
	return true;
}

static bool alu(uint16_t op, uint32_t *a, uint32_t v)
{
	switch (op) {
	case 0x00: *a += v; break;
	case 0x10: *a -= v; break;
	case 0x20: *a *= v; break;
	case 0x30:
		if (!v)
			return false;
		*a /= v;
		break;
	case 0x40: *a |= v; break;
	case 0x50: *a &= v; break;
	case 0x60: *a <<= v & 31; break;
	case 0x70: *a >>= v & 31; break;
	case 0x80: *a = -*a; break;
	case 0x90:
		if (!v)
			return false;
		*a %= v;
		break;
	case 0xa0: *a ^= v; break;
	}
	return true;
}

/* How many bytes of @p to keep; 0 = drop. */
unsigned bpf_run(const struct bpf_prog *f, const struct pkt *p)
{
	uint32_t a = 0, x = 0, mem[BPF_MEMWORDS] = { 0 }, v;

	for (unsigned i = 0; i < f->nr; i++) { /* jumps go forward only: at most nr steps */
		const struct bpf_insn *in = &f->insn[i];
		unsigned size = (in->code & 0x18) == 0 ? 4 : (in->code & 0x18) == 8 ? 2 : 1;

		switch (CLASS(in->code)) {
		case LD:
			switch (in->code & 0xe0) {
			case 0x00: a = in->k; break;
			case 0x20:
				if (!load(p, in->k, size, &a))
					return 0;
				break;
			case 0x40:
				if (!load(p, x + in->k, size, &a))
					return 0;
				break;
			case 0x60: a = mem[in->k]; break;
			case 0x80: a = p->len; break;
			}
			break;
		case LDX:
			switch (in->code & 0xe0) {
			case 0x00: x = in->k; break;
			case 0x60: x = mem[in->k]; break;
			case 0x80: x = p->len; break;
			case 0xa0:
				if (!load(p, in->k, 1, &v))
					return 0;
				x = (v & 15) * 4;
				break;
			}
			break;
		case ST: mem[in->k] = a; break;
		case STX: mem[in->k] = x; break;
		case ALU:
			if (!alu(in->code & 0xf0, &a, in->code & 8 ? x : in->k))
				return 0;
			break;
		case JMP:
			v = in->code & 8 ? x : in->k;
			switch (in->code & 0xf0) {
			case 0x00: i += in->k; break;
			case 0x10: i += a == v ? in->jt : in->jf; break;
			case 0x20: i += a > v ? in->jt : in->jf; break;
			case 0x30: i += a >= v ? in->jt : in->jf; break;
			case 0x40: i += a & v ? in->jt : in->jf; break;
			}
			break;
		case RET: return (in->code & 0x18) == 0x10 ? a : in->k;
		case MISC:
			if (in->code & 0x80)
				a = x;
			else
				x = a;
			break;
		}
	}
	return 0;
}

unsigned bpf_run_bytes(const struct bpf_prog *f, const void *data, size_t len)
{
	struct pkt *p = pkt_alloc(0, len);
	unsigned keep;

	if (!p)
		return 0;
	memcpy(pkt_put(p, (uint32_t)len), data, len);
	keep = bpf_run(f, p);
	pkt_free(p);
	return keep;
}

bool sock_filter_pass(struct sock *sk, struct pkt *p)
{
	struct bpf_prog *f = atomic_load_explicit(&sk->filter, memory_order_acquire);
	unsigned keep;

	if (!f)
		return true;
	keep = bpf_run(f, p);
	if (!keep)
		return false;
	if (sk->c.type != NET_SOCK_STREAM)
		pkt_trim(p, MAX(keep, 8u));
	return true;
}
