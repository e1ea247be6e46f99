/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/rewrite_test.c - call sites that become jumps
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>

#include "sentry/arch/x86_64/insn.h"
#include "sentry/platform/rewrite.h"

TestSuite(platform_rewrite, .timeout = 30);

/* ---- instruction lengths ---- */

Test(platform_rewrite, instruction_lengths)
{
	static const struct {
		const char *bytes;
		unsigned len;
		bool ends, padding;
	} t[] = {
		{ "\x0f\x05", 2, false, false },				     /* syscall */
		{ "\x48\x3d\x00\xf0\xff\xff", 6, false, false },		     /* cmp $-4096,%rax */
		{ "\x77\x51", 2, false, false },				     /* ja */
		{ "\xc3", 1, true, false },					     /* ret */
		{ "\x66\x0f\x1f\x44\x00\x00", 6, false, true },			     /* nopw */
		{ "\x66\x66\x2e\x0f\x1f\x84\x00\x00\x00\x00\x00", 11, false, true }, /* cs nopw */
		{ "\xcc", 1, true, true },					     /* int3 */
		{ "\xeb\xfe", 2, true, false },					     /* jmp */
		{ "\xe9\x00\x00\x00\x00", 5, true, false },
		{ "\xff\xe0", 2, true, false },					     /* jmp *%rax */
		{ "\xff\xd0", 2, false, false },				     /* call *%rax */
		{ "\x48\xb8\x01\x02\x03\x04\x05\x06\x07\x08", 10, false, false },     /* movabs */
		{ "\x66\xb8\x01\x02", 4, false, false },			     /* mov $imm16,%ax */
		{ "\xf6\x04\x25\x00\x00\x00\x00\x08", 8, false, false },	     /* testb $8,0 */
		{ "\xf6\xd8", 2, false, false },				     /* neg %al */
		{ "\xc5\xf8\x77", 3, false, false },				     /* vzeroupper */
		{ "\x62\xf1\xfd\x48\x6f\x07", 6, false, false },		     /* vmovdqa64 (%rdi),%zmm0 */
		{ "\xc4\xe3\x7d\x39\xc1\x01", 6, false, false },		     /* vextracti128 $1 */
		{ "\x64\x48\x8b\x04\x25\x28\x00\x00\x00", 9, false, false },	     /* mov %fs:0x28,%rax */
	};
	struct insn in;

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		unsigned char b[32] = { 0 };

		memcpy(b, t[i].bytes, t[i].len);
		cr_assert(insn_decode(b, sizeof(b), &in), "%u", i);
		cr_assert_eq(in.len, t[i].len, "%u: %u", i, in.len);
		cr_assert_eq(in.ends, t[i].ends, "%u", i);
		cr_assert_eq(in.padding, t[i].padding, "%u", i);
		for (unsigned n = 0; n < t[i].len; n++)
			cr_assert_not(insn_decode(b, n, &in), "%u cut to %u", i, n);
	}
}

/* ---- matching ---- */

static struct site match_at(const char *bytes, size_t len, unsigned syscall_at, unsigned char text[256], uint64_t base)
{
	memset(text, 0x90, 256);
	memcpy(text + 64, bytes, len);
	return site_match(text, base, 256, base + 64 + syscall_at + 2);
}

Test(platform_rewrite, matching)
{
	unsigned char text[256], hole[64], thunk[THUNK_SIZE];
	struct site s;
	int32_t rel;
	uint64_t w;

	s = match_at("\xb8\x27\x00\x00\x00\x0f\x05", 7, 5, text, 0x10000);
	cr_assert_eq(s.kind, SITE_MOV);
	cr_assert_eq(s.nr, 39u);
	cr_assert_eq(s.start, 0x10040u);
	w = site_new_word(&s, 0x20000, hole);
	cr_assert(site_old_word(s.kind, s.start, s.nr, s.word, w, &w));
	cr_assert_eq(w, s.old, "there and back");

	/* the same bytes at the end of a line */
	s = match_at("\x90\xb8\x27\x00\x00\x00\x0f\x05", 8, 6, text, 0x10000 - 2);
	cr_assert_eq(s.kind, SITE_MOV);
	cr_assert(s.across_lines);

	/* ... and with padding within reach, as glibc's recv() of threads may be: nothing has to change across lines */
	s = match_at("\x90\xb8\x2d\x00\x00\x00\x0f\x05\xc3\x0f\x1f\x80\x00\x00\x00\x00\x55", 17, 6, text, 0x10000 - 2);
	cr_assert_eq(s.kind, SITE_HOP);
	cr_assert_not(s.across_lines);
	cr_assert_eq(s.start, 0x10044u);
	cr_assert_eq(s.hole, 0x10047u);

	/* glibc's pthread_create(): a lea in between */
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8d\xb3\xf0\x08\x00\x00\x0f\x05", 14, 12, text, 0x10000);
	cr_assert_eq(s.kind, SITE_MOV);
	cr_assert_eq(s.nr, 14u);
	cr_assert_eq(s.start, 0x10040u);
	cr_assert_eq(s.lea_len, 7u);
	cr_assert(thunk_write(thunk, 0x20000, &s, 0x7fff00000000));
	cr_assert_eq(memcmp(thunk, "\x48\x8d\xb3\xf0\x08\x00\x00\x48\x8d\x0d", 10), 0);
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8d\x35\x00\x01\x00\x00\x0f\x05", 14, 12, text, 0x10000);
	cr_assert_eq(s.lea_len, 7u);
	cr_assert(thunk_write(thunk, 0x20000, &s, 0x7fff00000000));
	memcpy(&rel, thunk + 3, sizeof(rel));
	cr_assert_eq(0x20000 + 7 + rel, 0x10040 + 12 + 0x100, "still the same place");
	cr_assert_not(thunk_write(thunk, 0x10000 - 0x7fffffff, &s, 0x7fff00000000), "too far from it");
	/* one with a register that is changed, one that the call takes the number from, one that the thunk needs; not a lea */
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8d\x76\x08\x0f\x05\xc3", 12, 9, text, 0x10000);
	cr_assert_neq(s.kind, SITE_MOV);
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8d\x46\x08\x0f\x05\xc3", 12, 9, text, 0x10000);
	cr_assert_neq(s.kind, SITE_MOV);
	s = match_at("\xb8\x0e\x00\x00\x00\x49\x8d\x73\x08\x0f\x05\xc3", 12, 9, text, 0x10000);
	cr_assert_neq(s.kind, SITE_MOV);
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8b\x73\x08\x0f\x05\xc3", 12, 9, text, 0x10000);
	cr_assert_neq(s.kind, SITE_MOV);
	s = match_at("\xb8\x0e\x00\x00\x00\x48\x8d\x73\x08\x0f\x05", 11, 9, text, 0x10000);
	cr_assert_eq(s.kind, SITE_MOV);

	/* mov $39,%r8d is another instruction */
	s = match_at("\x41\xb8\x27\x00\x00\x00\x0f\x05\xc3", 9, 6, text, 0x10000);
	cr_assert_neq(s.kind, SITE_MOV);

	/* glibc's read: xor %eax,%eax; syscall; cmp; ja; ret; nopw */
	s = match_at("\x31\xc0\x0f\x05\x48\x3d\x00\xf0\xff\xff\x77\x02\xc3\x66\x0f\x1f\x44\x00\x00\x55", 20, 2, text, 0x10000);
	cr_assert_eq(s.kind, SITE_HOP);
	cr_assert_eq(s.start, 0x10042u);
	cr_assert_eq(s.hole, 0x1004du);
	cr_assert_eq(s.hole_len, 6u);
	w = site_new_word(&s, 0x20000, hole);
	cr_assert_eq(hole[0], 0xe9);
	cr_assert_eq(hole[5], 0xcc);
	cr_assert(site_old_word(s.kind, s.start, 0, s.word, w, &w));
	cr_assert_eq(w, s.old);

	/* padding that is fallen into is no hole; nor is too little of it */
	s = match_at("\x31\xc0\x0f\x05\x85\xc0\x66\x0f\x1f\x44\x00\x00\x55\xe9\x00\x00\x00\x00\x90\x90\x55\xff\xff\xff\xff\x06", 26, 2, text,
		     0x10000);
	cr_assert_eq(s.kind, SITE_NONE);
	/* not a syscall at all */
	s = match_at("\x31\xc0\x0f\x34", 4, 2, text, 0x10000);
	cr_assert_eq(s.kind, SITE_NONE);
	/* any cut of the text is safe */
	for (unsigned n = 0; n < 100; n++)
		for (unsigned ret = 0; ret <= n + 1; ret++) /* 0 and 1 once read before the text: found by test/fuzz/platform_site.c */
			(void)site_match(text, 0x10000, n, 0x10000 + ret);
}

/* ---- in a guest ---- */

/* long guest_read_like(void): call 0 as glibc makes it */
__asm__(".section guest_text,\"ax\",@progbits\n"
	".balign 64\n"
	"guest_read_like:\n"
	"	xorl %eax, %eax\n"
	"guest_read_like_syscall:\n"
	"	syscall\n"
	"	cmpq $-4096, %rax\n"
	"	ja 1f\n"
	"	ret\n"
	"	.byte 0x66, 0x0f, 0x1f, 0x44, 0, 0\n"
	"1:	negq %rax\n"
	"	ret\n"
	".text\n");
extern char guest_read_like[], guest_read_like_syscall[];

GUEST static void guest_sites(long n)
{
	long sum = 0, r;

	for (long i = 0; i < n; i++) {
		__asm__ volatile("call guest_read_like" : "=a"(r) : "D"(i) : "rcx", "r11", "memory");
		sum += r;
		if (i % 16 == 15) /* straight to the syscall, past the xor */
			__asm__ volatile("call guest_read_like_syscall" : "=a"(r) : "0"(0), "D"(i) : "rcx", "r11", "memory");
	}
	G1(T_EXIT, sum);
}

static void check_sites(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_sites, 1000);
	struct platform_stats before, after;
	unsigned calls = 0;
	enum uevent ev;

	platform_stats(&before);
	while ((ev = uthread_run(u)) == UEV_SYSCALL && u->sysno == 0) {
		struct guest_regs r;

		calls++;
		uthread_get_regs(u, &r);
		cr_assert_eq(r.rip, harness_guest_addr(guest_read_like_syscall) + 2);
		uthread_set_ret(u, calls % 100 == 0 ? -5 : 3);
	}
	cr_assert_eq(ev, UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	platform_stats(&after);
	cr_assert_eq(calls, 1062u);
	cr_assert_geq(after.sites_rewritten - before.sites_rewritten, 1u);
	cr_assert_leq(after.calls_trapped - before.calls_trapped, 20u, "%lu", after.calls_trapped - before.calls_trapped);
	uthread_free(u);
}

Test(platform_rewrite, short_jumps_into_padding)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_POLL, check_sites, NULL);
}

/* Calls with a lea between number and syscall, and no padding within reach. */
#define LEA_LIKE(name, nr, lea)            \
	".balign 64\n" name ":\n"          \
	"	movl $" nr ", %eax\n"       \
	"	leaq " lea ", %rsi\n"       \
	"	syscall\n" name "_end:\n"  \
	"	ret\n"                      \
	"	.fill 160, 1, 0x55\n"
__asm__(".section guest_text,\"ax\",@progbits\n" LEA_LIKE("guest_lea_reg", "1005", "0x1234(%rdi)")
		LEA_LIKE("guest_lea_rip", "1006", "guest_lea_reg(%rip)") ".text\n");
extern char guest_lea_reg[], guest_lea_reg_end[], guest_lea_rip_end[];

GUEST static void guest_lea_sites(long n)
{
	long sum = 0, r;

	for (long i = 0; i < n; i++) {
		__asm__ volatile("call guest_lea_reg" : "=a"(r) : "D"(i) : "rsi", "rcx", "r11", "memory");
		sum += r;
		__asm__ volatile("call guest_lea_rip" : "=a"(r) : "D"(i) : "rsi", "rcx", "r11", "memory");
		sum += r;
	}
	G1(T_EXIT, sum);
}

static void check_lea_sites(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_lea_sites, 500);
	struct platform_stats before, after;
	struct guest_regs r;

	platform_stats(&before);
	for (uint64_t i = 0; i < 500; i++) {
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		uthread_get_regs(u, &r);
		cr_assert_eq(u->sysno, 1005u);
		cr_assert_eq(u->args[0], i);
		cr_assert_eq(u->args[1], 0x1234 + i);
		cr_assert_eq(r.rip, harness_guest_addr(guest_lea_reg_end));
		uthread_set_ret(u, 1);
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		uthread_get_regs(u, &r);
		cr_assert_eq(u->sysno, 1006u);
		cr_assert_eq(u->args[1], harness_guest_addr(guest_lea_reg));
		cr_assert_eq(r.rip, harness_guest_addr(guest_lea_rip_end));
		uthread_set_ret(u, 2);
	}
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(u->args[0], 1500u);
	platform_stats(&after);
	cr_assert_leq(after.calls_trapped - before.calls_trapped, 20u, "%lu", after.calls_trapped - before.calls_trapped);
	uthread_free(u);
}

Test(platform_rewrite, lea_before_the_call)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_POLL, check_lea_sites, NULL);
}

/* A thread that wants %gs for itself: sites go back to trapping, its base survives calls. */
GUEST static void guest_own_gs(long n)
{
	long v, r;

	for (long i = 0; i < n; i++)
		__asm__ volatile("call guest_read_like" : "=a"(r) : "D"(i) : "rcx", "r11", "memory");
	G2(158, 0x1001, GUEST_DATA);
	*(volatile long *)GUEST_DATA = 0x1234;
	for (long i = 0; i < n; i++) {
		__asm__ volatile("call guest_read_like" : "=a"(r) : "D"(i) : "rcx", "r11", "memory");
		__asm__ volatile("movq %%gs:0, %0" : "=r"(v));
		if (v != 0x1234)
			G1(T_EXIT, 1);
	}
	G1(T_EXIT, 0);
}

static void check_own_gs(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_own_gs, 100);
	struct guest_regs r;
	unsigned calls = 0;

	while (uthread_run(u) == UEV_SYSCALL && u->sysno != T_EXIT) {
		if (u->sysno == 158) {
			uthread_get_regs(u, &r);
			r.gs_base = u->args[1];
			r.rax = 0;
			uthread_set_regs(u, &r);
			continue;
		}
		calls++;
		if (calls % 10 == 0)
			uthread_kick(u);
		uthread_set_ret(u, 0);
		if (calls % 10 == 0)
			cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
	}
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(u->args[0], 0u);
	cr_assert_eq(calls, 200u);
	uthread_free(u);
}

Test(platform_rewrite, own_gs)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_own_gs, NULL);
}

/* ---- vector state ---- */

GUEST static void guest_vector(long arg)
{
	long v;

	__asm__ volatile("movq %0, %%xmm7" ::"r"(0x1122334455667788));
	G1(T_REPORT, 0);
	__asm__ volatile("movq %%xmm7, %0" : "=r"(v));
	G1(T_EXIT, v);
}

static void check_vector(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_vector, 0);
	static unsigned char image[GUEST_XSAVE_MAX] __attribute__((aligned(64)));
	uint64_t v = 0xaabbccdd00112233;
	long n;

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	n = uthread_get_fpu(u, image, sizeof(image));
	cr_assert_eq(n, (long)platform_xsave_size());
	cr_assert_eq(memcmp(image + 160 + 7 * 16, "\x88\x77\x66\x55\x44\x33\x22\x11", 8), 0, "xmm7 in the legacy area");
	memcpy(image + 160 + 7 * 16, &v, 8);
	cr_assert_eq(uthread_set_fpu(u, image, (size_t)n), 0);
	image[512 + 7] = 0x80; /* a component that is not there */
	cr_assert_eq(uthread_set_fpu(u, image, (size_t)n), -LINUX_EINVAL);
	image[512 + 7] = 0;
	image[27] = 0xff; /* reserved bits of MXCSR */
	cr_assert_eq(uthread_set_fpu(u, image, (size_t)n), -LINUX_EINVAL);
	uthread_set_ret(u, 0);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->args[0], v);
	uthread_free(u);
}

Test(platform_rewrite, vector_state)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_vector, NULL);
}

/* ---- single step: through rt_sigreturn, one instruction each ---- */

static void check_step(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_vector, 0);
	struct guest_regs r, last;
	unsigned steps = 0;

	uthread_get_regs(u, &last);
	for (;;) {
		uthread_get_regs(u, &r);
		r.eflags |= 0x100;
		uthread_set_regs(u, &r);
		if (uthread_run(u) != UEV_FAULT)
			break;
		cr_assert_eq(u->fault.signo, 5);
		uthread_get_regs(u, &r);
		cr_assert(r.rip - last.rip <= 15, "%#lx after %#lx", r.rip, last.rip);
		last = r;
		cr_assert_lt(++steps, 100u);
	}
	cr_assert_eq(u->sysno, (uint32_t)T_REPORT);
	cr_assert_gt(steps, 3u);
	uthread_free(u);
}

Test(platform_rewrite, single_step)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_step, NULL);
}
