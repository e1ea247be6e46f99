/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/basic_test.c - calls, registers, copies, faults
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/platform/platform_internal.h"

/* Each scenario twice: every call trapped and notified, then rewritten and polled. */
TestSuite(platform, .timeout = 30);
TestSuite(platform_fast, .timeout = 30);

/* ---- hello ---- */

GUEST static void guest_hello(long n)
{
	char s[] = "hello";

	for (long i = 0; i < n; i++)
		if (G3(1, 1, s, 5) != 5 + i)
			G1(T_EXIT, 1);
	G1(T_EXIT, 42);
}

static void check_hello(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_hello, 100);
	char buf[5];

	for (long i = 0; i < 100; i++) {
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(u->sysno, 1u);
		cr_assert_eq(u->args[0], 1u);
		cr_assert_eq(u->args[2], 5u);
		cr_assert_eq(umem_copy_in(u, buf, GPTR(u->args[1]), 5), 0);
		cr_assert_eq(memcmp(buf, "hello", 5), 0);
		uthread_set_ret(u, 5 + i);
	}
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(u->args[0], 42u);
	uthread_free(u);
}

Test(platform, hello)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_hello, NULL);
}

Test(platform_fast, hello)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_hello, NULL);
}

/* ---- registers survive a call, and are what the kernel would show ---- */

__asm__(".section guest_text,\"ax\",@progbits\n"
	".globl guest_registers\n"
	"guest_registers:\n"
	"	movabsq $0x1111111122222222, %rax; movq %rax, %xmm3\n"
	"	movq $0x11, %rbx; movq $0x12, %r12; movq $0x13, %r13; movq $0x14, %r14; movq $0x15, %r15; movq $0x16, %rbp\n"
	"	movq $1, %rdi; movq $2, %rsi; movq $3, %rdx; movq $4, %r10; movq $5, %r8; movq $6, %r9\n"
	"	std; stc\n"
	"	movl $1001, %eax; syscall\n"
	"guest_registers_ret:\n"
	"	pushfq; popq %rdi; andl $0x401, %edi; cld\n"	/* DF, CF */
	"	cmpq $0x77, %rax; jne 9f\n"
	"	cmpq $0x11, %rbx; jne 9f; cmpq $0x12, %r12; jne 9f; cmpq $0x13, %r13; jne 9f\n"
	"	cmpq $0x14, %r14; jne 9f; cmpq $0x15, %r15; jne 9f; cmpq $0x16, %rbp; jne 9f\n"
	"	cmpq $2, %rsi; jne 9f; cmpq $3, %rdx; jne 9f; cmpq $4, %r10; jne 9f; cmpq $5, %r8; jne 9f; cmpq $6, %r9; jne 9f\n"
	"	movq %xmm3, %rax; movabsq $0x1111111122222222, %rcx; cmpq %rax, %rcx; jne 9f\n"
	"	cmpl $0x401, %edi; jne 9f\n"
	"	xorl %edi, %edi; jmp 8f\n"
	"9:	movl $1, %edi\n"
	"8:	movl $1000, %eax; syscall; ud2\n"
	".text\n");
extern char guest_registers[], guest_registers_ret[];

static void check_registers(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_registers, 0);
	struct guest_regs r;

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 1001u);
	for (unsigned i = 0; i < 6; i++)
		cr_assert_eq(u->args[i], i + 1);
	uthread_get_regs(u, &r);
	cr_assert_eq(r.orig_rax, 1001u);
	cr_assert_eq(r.rip, harness_guest_addr(guest_registers_ret));
	cr_assert_eq(r.rcx, r.rip);
	cr_assert_eq(r.rbx, 0x11u);
	cr_assert_eq(r.rsp, GUEST_STACK - 8);
	cr_assert_eq(r.cs, (uint64_t)GUEST_CS);
	uthread_set_ret(u, 0x77);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(u->args[0], 0u);
	uthread_free(u);
}

Test(platform, registers_survive_a_call)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_registers, NULL);
}

Test(platform_fast, registers_survive_a_call)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_registers, NULL);
}

/* ---- copies of all sizes, at good and bad addresses ---- */

GUEST static void guest_copies(long arg)
{
	unsigned char *d = (unsigned char *)GUEST_DATA;

	for (;;) {
		long n = G1(T_REPORT, 0);

		if (n < 0)
			G1(T_EXIT, 0);
		for (long i = 0; i < n; i++) {
			if (d[i] != (unsigned char)(i * 7 + n))
				G1(T_EXIT, i + 1);
			d[i] ^= 0xff;
		}
		G1(T_REPORT, 1);
	}
}

static unsigned char big[200000], back[200000];

static void check_copies(struct uzygote *z, void *arg)
{
	static const long sizes[] = { 1, 8, 100, 4096, 4097, 16384, 32768, 32769, 65536, 100000, 200000 };
	struct uthread *u = harness_guest(z, guest_copies, 0);
	size_t done;

	for (unsigned k = 0; k < ARRAY_SIZE(sizes); k++) {
		long n = sizes[k];

		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		for (long i = 0; i < n; i++)
			big[i] = (unsigned char)(i * 7 + n);
		/* in pieces, one after the other, as a structure of several fields would be */
		cr_assert_eq(umem_copy_out(u, GPTR(GUEST_DATA), big, (size_t)n / 2), 0);
		cr_assert_eq(umem_copy_out(u, GPTR(GUEST_DATA + (uint64_t)n / 2), big + n / 2, (size_t)(n - n / 2)), 0);
		/* what was copied out is what is copied in */
		memset(back, 0, sizeof(back));
		if (k % 2) {
			cr_assert_eq(umem_copy_in(u, back, GPTR(GUEST_DATA), (size_t)n), 0);
			cr_assert_eq(memcmp(back, big, (size_t)n), 0);
		}
		uthread_set_ret(u, n);
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(u->sysno, (uint32_t)T_REPORT, "size %ld: wrong at %ld", n, (long)u->args[0] - 1);
		cr_assert_eq(umem_copy_in(u, back, GPTR(GUEST_DATA), (size_t)n), 0);
		for (long i = 0; i < n; i++)
			cr_assert_eq(back[i], (unsigned char)~big[i]);
		uthread_set_ret(u, 0);
	}
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	/* bad addresses: nothing mapped, the stub region, the kernel, wrapping around */
	static const uint64_t bad[] = { 0, 0x1000, 0x40000000, 0x7fffffffe000, ~0ull - 4, 0xffff800000000000 };
	for (unsigned i = 0; i < ARRAY_SIZE(bad); i++)
		cr_assert_eq(umem_copy_in(u, back, GPTR(bad[i]), 16), -LINUX_EFAULT, "%#lx", bad[i]);
	cr_assert_eq(umem_copy_in(u, back, GPTR(uspace_limit(u->space)), 16), -LINUX_EFAULT);
	cr_assert_eq(umem_copy_out(u, GPTR(uspace_limit(u->space) + PAGE_SIZE), back, 16), -LINUX_EFAULT);
	cr_assert_eq(umem_copy_in_partial(u, back, GPTR(GUEST_DATA + GUEST_DATA_LEN - 100), 5000), 100);
	cr_assert_eq(umem_copy_in(u, back, GPTR(GUEST_DATA + GUEST_DATA_LEN - 100), 5000), -LINUX_EFAULT);
	/* strings */
	memset(big, 'x', 6000);
	big[5000] = 0;
	cr_assert_eq(umem_copy_out(u, GPTR(GUEST_DATA + GUEST_DATA_LEN - 6000), big, 6000), 0);
	cr_assert_eq(umem_copy_in_str(u, (char *)back, 6000, GPTR(GUEST_DATA + GUEST_DATA_LEN - 6000)), 5000);
	cr_assert_eq(umem_copy_in_str(u, (char *)back, 5000, GPTR(GUEST_DATA + GUEST_DATA_LEN - 6000)), -LINUX_ENAMETOOLONG);
	cr_assert_eq(umem_copy_in_str(u, (char *)back, 5001, GPTR(GUEST_DATA + GUEST_DATA_LEN - 6000)), 5000);
	cr_assert_eq(umem_copy_in_str(u, (char *)back, 6000, GPTR(GUEST_DATA + GUEST_DATA_LEN - 500)), -LINUX_EFAULT);
	/* a bad address found out by the stub replaces the result */
	cr_assert_eq(umem_copy_out(u, GPTR(GUEST_TEXT), back, 16), 0);
	uthread_set_ret(u, 5);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT, "EFAULT ends the guest");
	(void)done;
	uthread_free(u);
}

Test(platform, copies)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_copies, NULL);
}

Test(platform_fast, copies)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_copies, NULL);
}

static void check_copies_by_stub(struct uzygote *z, void *arg)
{
	platform.no_vm = true; /* as if the host refused */
	check_copies(z, arg);
}

Test(platform_fast, copies_without_process_vm)
{
	HARNESS_OR_SKIP();
	harness_text_by_stub = true;
	harness_run(0, check_copies_by_stub, NULL);
}

/* ---- what the stub sends along ---- */

GUEST static void guest_marshal(long arg)
{
	char path[] = "/some/path/to/a/file";
	char buf[600];

	for (unsigned i = 0; i < sizeof(buf); i++)
		buf[i] = (char)i;
	G3(257, 5, path, 0);		 /* openat */
	G3(1, 7, buf, sizeof(buf));	 /* write */
	G3(257, 5, 0x40000000, 0);	 /* nothing there */
	/* a string that ends right before an unmapped page */
	*(char *)(GUEST_DATA + GUEST_DATA_LEN - 2) = 'q';
	*(char *)(GUEST_DATA + GUEST_DATA_LEN - 1) = 0;
	G3(257, 5, GUEST_DATA + GUEST_DATA_LEN - 2, 0);
	struct guest_iov { uint64_t base, len; } v[5] = { { (uint64_t)buf, 10 }, { (uint64_t)buf + 40, 0 }, { (uint64_t)buf + 50, 30 },
		{ 0x40000000, 8 }, { (uint64_t)buf + 200, 10 } };
	uint64_t msg[7] = { 0, 0, (uint64_t)(v + 2), 1, 0, 0, 0 };

	G3(20, 7, v, 5);   /* writev */
	G3(46, 7, msg, 0); /* sendmsg */
	G3(19, 7, v, 5);   /* readv */
	G3(435, buf, 88, 0); /* clone3 */
	G3(273, buf + 8, 24, 0); /* set_robust_list: answered in the stub; exit_group takes along what it points at */
	G1(1, 0);
	G1(231, 0);
}

static void check_marshal_vectors(struct uthread *u)
{
	uint64_t v[8], msg[7];
	char buf[64];

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 20u);
	cr_assert(umem_sent(u, v, GPTR(u->args[1]), sizeof(v)), "four entries");
	cr_assert_not(umem_sent(u, v, GPTR(u->args[1]), sizeof(v) + 1));
	cr_assert(umem_sent(u, buf, GPTR(v[0]), 10));
	cr_assert_eq(buf[9], 9);
	cr_assert(umem_sent(u, buf, GPTR(v[4]), 30));
	cr_assert_eq(buf[29], 79);
	cr_assert_not(umem_sent(u, buf, GPTR(v[6]), 8), "nothing is there");
	cr_assert_not(umem_sent(u, buf, GPTR(v[0] + 200), 10), "the fifth");

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 46u);
	cr_assert(umem_sent(u, msg, GPTR(u->args[1]), sizeof(msg)));
	cr_assert(umem_sent(u, v, GPTR(msg[2]), 16));
	cr_assert(umem_sent(u, buf, GPTR(v[0]), 30));
	cr_assert_eq(buf[0], 50);

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 19u);
	cr_assert(umem_sent(u, v, GPTR(u->args[1]), sizeof(v)));
	cr_assert_not(umem_sent(u, buf, GPTR(v[0]), 10), "what is written to does not travel");
}

static void check_marshal(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_marshal, 0);
	char s[64], buf[600];
	uint64_t head;

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(umem_copy_in_str(u, s, sizeof(s), GPTR(u->args[1])), 20);
	cr_assert_str_eq(s, "/some/path/to/a/file");
	cr_assert_eq(umem_copy_in_str(u, s, 20, GPTR(u->args[1])), -LINUX_ENAMETOOLONG);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(umem_copy_in(u, buf, GPTR(u->args[1]), 600), 0);
	for (unsigned i = 0; i < 600; i++)
		cr_assert_eq(buf[i], (char)i);
	cr_assert_eq(umem_copy_in(u, buf, GPTR(u->args[1] + 100), 10), 0);
	cr_assert_eq(buf[0], (char)100);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(umem_copy_in_str(u, s, sizeof(s), GPTR(u->args[1])), -LINUX_EFAULT);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(umem_copy_in_str(u, s, sizeof(s), GPTR(u->args[1])), 1);
	check_marshal_vectors(u);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 435u);
	cr_assert(umem_sent(u, buf, GPTR(u->args[0]), 88));
	cr_assert_eq(buf[87], (char)87);
	head = u->args[0] + 8;
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 1u);
	cr_assert_not(umem_sent(u, buf, GPTR(head), 24), "the last call's are gone");
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 231u);
	cr_assert(umem_sent(u, buf, GPTR(head), 24));
	cr_assert_eq(buf[0], 8);
	cr_assert_eq(buf[23], 31);
	cr_assert_not(umem_sent(u, buf, GPTR(head), 25));
	uthread_free(u);
}

Test(platform, marshalled_arguments)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_marshal, NULL);
}

Test(platform_fast, marshalled_arguments)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_marshal, NULL);
}

/* ---- faults ---- */

GUEST static void guest_faults(long arg)
{
	volatile long zero = 0;

	*(volatile int *)0x1234 = 1;
	G1(T_REPORT, 1);
	*(volatile int *)GUEST_TEXT = 1;
	__asm__ volatile("ud2");
	__asm__ volatile("int3");
	zero = 5 / zero;
	__asm__ volatile("movabsq $0x8000000000000000, %%rax; movq (%%rax), %%rax" ::: "rax"); /* not canonical */
	__asm__ volatile("int $0x80" : : "a"(20) : "memory");
	__asm__ volatile("movabsq $0x8000000000000000, %%rax; jmp *%%rax" ::: "rax");
	G1(T_EXIT, zero);
}

static void expect_fault(struct uthread *u, int signo, uint64_t addr, bool check_addr, unsigned skip)
{
	struct guest_regs r;

	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, signo, "signal %d instead of %d", u->fault.signo, signo);
	if (check_addr)
		cr_assert_eq(u->fault.addr, addr);
	uthread_get_regs(u, &r);
	r.rip += skip;
	uthread_set_regs(u, &r);
}

static void check_faults(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_faults, 0);
	struct guest_regs r;
	unsigned char insn[16];

	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, SIGSEGV);
	cr_assert_eq(u->fault.code, SEGV_MAPERR);
	cr_assert_eq(u->fault.addr, 0x1234u);
	cr_assert_eq(u->fault.trapno, 14u);
	uthread_get_regs(u, &r);
	cr_assert_eq(uspace_read(u->space, insn, r.rip, 16), 16);
	/* step over "movl $1, disp32": its length by looking for the next instruction is not our business; map it instead */
	struct umem_op op = { .kind = UMEM_MAP_ANON, .prot = PROT_READ | PROT_WRITE, .addr = 0x1000, .len = 4096 };
	size_t done;
	cr_assert_eq(umem_exec(u, &op, 1, &done), 0);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL, "the instruction is tried again");
	cr_assert_eq(u->sysno, (uint32_t)T_REPORT);

	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.code, SEGV_ACCERR);
	cr_assert_eq(u->fault.addr, GUEST_TEXT);
	op = (struct umem_op){ .kind = UMEM_PROTECT, .prot = PROT_READ | PROT_WRITE | PROT_EXEC, .addr = GUEST_TEXT, .len = 4096 };
	cr_assert_eq(umem_exec(u, &op, 1, &done), 0);
	expect_fault(u, SIGILL, 0, false, 2);
	expect_fault(u, SIGTRAP, 0, false, 0);
	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, SIGFPE);
	uthread_get_regs(u, &r);
	cr_assert_eq(uspace_read(u->space, insn, r.rip, 16), 16);
	r.rip += insn[0] == 0x48 ? (insn[2] == 0x7c ? 5 : 3) : 2; /* idiv */
	uthread_set_regs(u, &r);
	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, SIGSEGV);
	uthread_get_regs(u, &r);
	r.rip += 3;
	uthread_set_regs(u, &r);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL, "int 0x80 is no call of ours");
	cr_assert_eq((int32_t)u->sysno, -2);
	uthread_set_ret(u, -LINUX_ENOSYS);
	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, SIGSEGV);
	/* set by the Sentry: reported as the guest's fault, with the guest's registers */
	uthread_get_regs(u, &r);
	r.rip = 0x8000000000001234;
	r.rbx = 0x4242;
	uthread_set_regs(u, &r);
	cr_assert_eq(uthread_run(u), UEV_FAULT);
	cr_assert_eq(u->fault.signo, SIGSEGV);
	uthread_get_regs(u, &r);
	cr_assert_eq(r.rip, 0x8000000000001234u);
	cr_assert_eq(r.rbx, 0x4242u);
	uthread_free(u);
}

Test(platform, faults)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_faults, NULL);
}

Test(platform_fast, faults)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_faults, NULL);
}
