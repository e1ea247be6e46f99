/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/filter.c - filter_table.h becomes a seccomp program
 *
 * Model:   built once by the zygote, which knows the region's address. The program groups rows by the address of the
 *          syscall instruction; a row's checks fall through to its verdict, or jump to the next row.
 * Source:  seccomp(2), Linux Documentation/networking/filter.rst (classic BPF).
 */
#include "sentry/platform/stub/zygote.h"

#define MAP_SHARED_	1u
#define MAP_PRIVATE_	2u
#define MAP_FIXED_	0x10u
#define MAP_ANONYMOUS_	0x20u
/* growsdown, locked, noreserve, populate, stack: change cost, not reach */
#define MAP_OPTIONAL_	(0x100u | 0x2000u | 0x4000u | 0x8000u | 0x20000u)
#define MREMAP_MAYMOVE_FIXED_ 3u
#define FUTEX_FLAGS_	(128u | 256u)
/* wait, wake, requeue, cmp_requeue, wake_op, wait_bitset, wake_bitset */
#define FUTEX_OPS_	((1u << 0) | (1u << 1) | (1u << 3) | (1u << 4) | (1u << 5) | (1u << 9) | (1u << 10))
#define FUTEX2_FLAGS_	(3u | 128u) /* size of the word, private; not: NUMA nodes, which the word would name */
/* willneed, dontneed, free, remove, dontfork, dofork, (no)hugepage, wipeonfork, keeponfork, cold, pageout, populate_*, dontneed_locked,
 * collapse. Not mergeable: pages that the host merges tell one container what another holds. */
#define ADVICE_ (1u << 3 | 1u << 4 | 3u << 8 | 3u << 10 | 3u << 14 | 3u << 18 | 0x3fu << 20)
#define CLONE_THREAD_FLAGS_ 0x250f00u
#define SIGCHLD_	17u
#define PR_SET_NAME_	15u
#define ARCH_SET_GS_	0x1001u
#define ARCH_SET_FS_	0x1002u

enum check_kind { CHECK_END, CHECK_EQ64, CHECK_EQ32, CHECK_EQ_MASK, CHECK_FLAGS, CHECK_ONE_OF, CHECK_BELOW, CHECK_OFFSET };

struct check {
	uint8_t kind, arg, arg2;
	uint64_t value, value2;
};

struct row {
	const char *site;
	uint32_t nr, verdict;
	struct check checks[5];
};

#define ALLOW	SECCOMP_RET_ALLOW
#define NOTIFY	SECCOMP_RET_USER_NOTIF
#define __NR_notify STUB_NR_NOTIFY

#ifndef __NR_futex_wake /* since Linux 6.7; an older kernel answers ENOSYS */
#define __NR_futex_wake	   454
#define __NR_futex_wait	   455
#define __NR_futex_requeue 456
#endif

#define EQ64(a, v)	    { CHECK_EQ64, a, 0, v, 0 }
#define EQ32(a, v)	    { CHECK_EQ32, a, 0, v, 0 }
#define EQ_MASK(a, m, v)    { CHECK_EQ_MASK, a, 0, v, m }
#define FLAGS(a, v, opt)    { CHECK_FLAGS, a, 0, v, opt }
#define ONE_OF(a, opt, set) { CHECK_ONE_OF, a, 0, set, opt }
#define BELOW_REGION(a, l)  { CHECK_BELOW, a, l, 0, 0 }
#define EQ_SLOTS(a)	    { CHECK_OFFSET, a, 0, REGION_SLOTS, 0 }
#define EQ_GLOBAL(a)	    { CHECK_OFFSET, a, 0, REGION_GLOBAL, 0 }

extern const char sleep_end[], site_call[], site_clone[], site_fork[], site_die[], site_restorer[], site_sigret[];
extern const char site_notify[], site_child_notify[], site_child_mmap[], site_child_close[];

#define FILTER_ROW(site, call, verdict, why, ...) { site, __NR_##call, verdict, { __VA_ARGS__ } },
static const struct row rows_common[] = {
#include "sentry/platform/stub/filter_table.h"
};
#define FILTER_NO_FSGSBASE
static const struct row rows_no_fsgsbase[] = {
#include "sentry/platform/stub/filter_table.h"
};

struct gen {
	struct sock_filter *prog;
	unsigned len, max;
	uint64_t region;
	uint16_t fail[64]; /* instructions of the current row whose false (or true) branch leaves it */
	bool fail_true[64];
	unsigned nr_fail;
};

static void emit(struct gen *g, uint16_t code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (g->len < g->max)
		g->prog[g->len] = (struct sock_filter){ code, jt, jf, k };
	g->len++;
}

static void load(struct gen *g, uint32_t off)
{
	emit(g, BPF_LD | BPF_W | BPF_ABS, off, 0, 0);
}

#define ARG_LO(n) (16 + 8 * (uint32_t)(n))
#define ARG_HI(n) (20 + 8 * (uint32_t)(n))

/* Leaves the row unless (or, with @when_true, if) the comparison holds. */
static void must(struct gen *g, uint16_t code, uint32_t k, bool when_true)
{
	if (g->nr_fail < 64) {
		g->fail[g->nr_fail] = (uint16_t)g->len;
		g->fail_true[g->nr_fail++] = when_true;
	}
	emit(g, (uint16_t)(BPF_JMP | code | BPF_K), k, 0, 0);
}

static void must_eq64(struct gen *g, unsigned arg, uint64_t v)
{
	load(g, ARG_LO(arg));
	must(g, BPF_JEQ, (uint32_t)v, false);
	load(g, ARG_HI(arg));
	must(g, BPF_JEQ, (uint32_t)(v >> 32), false);
}

/* args[a] + args[l] <= region, without overflow */
static void must_be_below(struct gen *g, unsigned a, unsigned l)
{
	uint32_t hi = (uint32_t)(g->region >> 32), lo = (uint32_t)g->region;

	load(g, ARG_HI(a));
	must(g, BPF_JGT, 0x7fff, true);
	load(g, ARG_HI(l));
	must(g, BPF_JGT, 0x7fff, true);
	load(g, ARG_LO(a));
	emit(g, BPF_MISC | BPF_TAX, 0, 0, 0);
	load(g, ARG_LO(l));
	emit(g, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
	emit(g, BPF_ST, 0, 0, 0);
	emit(g, BPF_JMP | BPF_JGE | BPF_X, 0, 3, 0); /* sum >= addend: no carry */
	load(g, ARG_HI(a));
	emit(g, BPF_ALU | BPF_ADD | BPF_K, 1, 0, 0);
	emit(g, BPF_JMP | BPF_JA, 1, 0, 0);
	load(g, ARG_HI(a));
	emit(g, BPF_MISC | BPF_TAX, 0, 0, 0);
	load(g, ARG_HI(l));
	emit(g, BPF_ALU | BPF_ADD | BPF_X, 0, 0, 0);
	must(g, BPF_JGT, hi, true);
	emit(g, BPF_JMP | BPF_JEQ | BPF_K, hi, 0, 2); /* less: enough */
	emit(g, BPF_LD | BPF_W | BPF_MEM, 0, 0, 0);
	must(g, BPF_JGT, lo, true);
}

static void must_be_one_of(struct gen *g, unsigned arg, uint32_t opt, uint32_t set)
{
	unsigned n = 0;

	for (uint32_t rest = set; rest; rest &= rest - 1)
		n++;
	load(g, ARG_LO(arg));
	emit(g, BPF_ALU | BPF_AND | BPF_K, ~opt, 0, 0);
	for (uint32_t op = 0; op < 31 && n > 1; op++) {
		if (!(set & (1u << op)))
			continue;
		n--;
		emit(g, BPF_JMP | BPF_JEQ | BPF_K, op, (uint8_t)n, 0); /* over the rest of the list */
		set &= ~(1u << op);
	}
	must(g, BPF_JEQ, (uint32_t)__builtin_ctz(set), false);
}

static void check_emit(struct gen *g, const struct check *c)
{
	switch ((enum check_kind)c->kind) {
	case CHECK_EQ64:
		must_eq64(g, c->arg, c->value);
		break;
	case CHECK_OFFSET:
		must_eq64(g, c->arg, g->region + c->value);
		break;
	case CHECK_EQ32:
		load(g, ARG_LO(c->arg));
		must(g, BPF_JEQ, (uint32_t)c->value, false);
		break;
	case CHECK_EQ_MASK:
	case CHECK_FLAGS:
		load(g, ARG_LO(c->arg));
		emit(g, BPF_ALU | BPF_AND | BPF_K, c->kind == CHECK_FLAGS ? ~(uint32_t)c->value2 : (uint32_t)c->value2, 0, 0);
		must(g, BPF_JEQ, (uint32_t)c->value, false);
		load(g, ARG_HI(c->arg));
		must(g, BPF_JEQ, 0, false);
		break;
	case CHECK_ONE_OF:
		must_be_one_of(g, c->arg, (uint32_t)c->value2, (uint32_t)c->value);
		break;
	case CHECK_BELOW:
		must_be_below(g, c->arg, c->arg2);
		break;
	case CHECK_END:
		break;
	}
}

static bool row_emit(struct gen *g, const struct row *r)
{
	g->nr_fail = 0;
	load(g, 0);
	must(g, BPF_JEQ, r->nr, false);
	for (unsigned i = 0; i < 5 && r->checks[i].kind != CHECK_END; i++)
		check_emit(g, &r->checks[i]);
	emit(g, BPF_RET | BPF_K, r->verdict, 0, 0);
	if (g->len > g->max)
		return false;
	for (unsigned i = 0; i < g->nr_fail; i++) {
		unsigned d = g->len - g->fail[i] - 1;

		if (d > 255)
			return false;
		if (g->fail_true[i])
			g->prog[g->fail[i]].jt = (uint8_t)d;
		else
			g->prog[g->fail[i]].jf = (uint8_t)d;
	}
	return true;
}

static bool site_seen(const struct row *rows, unsigned i)
{
	for (unsigned k = 0; k < i; k++)
		if (rows[k].site == rows[i].site)
			return true;
	return false;
}

/* All rows of one site, behind a test of the instruction's address. */
static bool site_emit(struct gen *g, const struct row *rows, unsigned n, unsigned first)
{
	uint64_t ip = g->region + REGION_TEXT + (uint64_t)(rows[first].site - stub_text_start);
	unsigned skip;

	load(g, 8);
	emit(g, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)ip, 1, 0);
	skip = g->len;
	emit(g, BPF_JMP | BPF_JA, 0, 0, 0);
	for (unsigned i = first; i < n; i++)
		if (rows[i].site == rows[first].site && !row_emit(g, &rows[i]))
			return false;
	emit(g, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
	if (g->len > g->max)
		return false;
	g->prog[skip].k = g->len - skip - 1;
	return true;
}

/* The region does not cross a 4 GiB boundary (zygote.c sees to that): one comparison tells the high half. */
unsigned filter_build(struct sock_filter *prog, unsigned max, uint64_t region, bool fsgsbase)
{
	struct gen g = { .prog = prog, .max = max, .region = region };
	const struct row *rows = fsgsbase ? rows_common : rows_no_fsgsbase;
	unsigned n = fsgsbase ? sizeof(rows_common) / sizeof(rows_common[0]) :
				sizeof(rows_no_fsgsbase) / sizeof(rows_no_fsgsbase[0]);

	load(&g, 12); /* high half of the instruction pointer */
	emit(&g, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(region >> 32), 1, 0);
	emit(&g, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
	load(&g, 4);
	emit(&g, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit(&g, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
	for (unsigned i = 0; i < n; i++)
		if (!site_seen(rows, i) && !site_emit(&g, rows, n, i))
			return 0;
	emit(&g, BPF_RET | BPF_K, SECCOMP_RET_TRAP, 0, 0);
	return g.len <= g.max ? g.len : 0;
}
