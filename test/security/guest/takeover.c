/* SPDX-License-Identifier: Apache-2.0
 * test/security/guest/takeover.c - a host process that does not do what the Sentry tells it
 *
 * It speaks the hand-over by itself (sentry/platform/stub/layout.h), from its own code:
 *
 *   exec		asks for execve(2), pretends to have emptied its address space, carries out the rest and goes on, with whatever
 *			identity the Sentry now takes it for. Of a program of its own rights that hurts nobody; of a set-user-id
 *			program, or one that it may not read, it must not survive.
 *   forks		asks for no child, but makes one with the stub's own instruction.
 *
 * Linked at an unusual address (attacks.sh), so that the new program does not overwrite it. Prints "done N".
 */
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include "region.h"
#include "sentry/platform/stub/layout.h"

#define SECRET	   "THE-SECRET-OF-ROOT"
#define PATIENCE   20000000000ull /* ticks */
#define FD_LAST	   (-2)

/* What the attacker tells its parent. */
static volatile struct report {
	int lives;	/* it went on after the exec */
	int euid;	/* that the Sentry has given it */
	char text[64];	/* of the file that only root may read */
} *report;

static uint64_t region, site_plain, site_notify;
static struct stub_slot *slot;
static const char *target;

static long host(uint64_t nr, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	uint64_t args[6] = { a, b, c, d, e, f };

	return site_call6(nr == STUB_NR_NOTIFY ? site_notify : site_plain, nr, args);
}

/* ---- the hand-over ------------------------------------------------------------------------------------------------ */

static void handoff(void)
{
	uint32_t seq = (atomic_load(&slot->req) + 1) & ~SLOT_PARKED;
	uint64_t start = __builtin_ia32_rdtsc();

	slot->evflags = 0;
	atomic_store(&slot->req, seq);
	while (host(STUB_NR_NOTIFY, NOTIFY_CALL, 0, 0, 0, 0, 0) < 0 && (atomic_load(&slot->answer) & ~SLOT_PARKED) != seq)
		;
	while ((atomic_load(&slot->answer) & ~SLOT_PARKED) != seq && __builtin_ia32_rdtsc() - start < PATIENCE)
		__builtin_ia32_pause();
}

static uint64_t fd_of(uint64_t fd)
{
	return (int64_t)fd == FD_LAST ? slot->last_fd : fd;
}

static long op_run(const struct stub_op *o)
{
	long ret = 0;

	switch (o->kind) {
	case OP_MMAP:
		ret = host(SYS_mmap, o->a, o->b, o->c, o->d, fd_of(o->e), o->f);
		return ret == (long)o->a ? 0 : ret;
	case OP_FD:
		ret = host(STUB_NR_NOTIFY, NOTIFY_FD, 0, 0, 0, 0, 0);
		slot->last_fd = (uint32_t)ret;
		return ret;
	case OP_MPROTECT:
		return host(SYS_mprotect, o->a, o->b, o->c, 0, 0, 0);
	case OP_CLOSE:
		return host(SYS_close, fd_of(o->a), 0, 0, 0, 0, 0);
	case OP_ZERO:
		memset((void *)o->a, 0, o->b);
		return 0;
	}
	return 0; /* all else is done, of course: OP_MUNMAP above all */
}

/* One system call of the guest's, as the stub would make it. */
static long call(uint32_t nr, uint64_t a, uint64_t b, uint64_t c)
{
	uint64_t args[6] = { a, b, c };

	slot->event = SEV_SYSCALL;
	slot->nr_segs = 0;
	slot->sysno = nr;
	memcpy(slot->args, args, sizeof(args));
	slot->regs.orig_rax = nr;
	for (;;) {
		struct stub_answer ans;
		struct stub_op *ops = (struct stub_op *)((char *)slot + SLOT_OPS);
		char *win = (char *)slot + SLOT_WINDOW;

		handoff();
		ans = slot->ans;
		for (unsigned i = 0; i < ans.nr_ops && i < STUB_OPS_MAX; i++)
			ops[i].result = op_run(&ops[i]);
		if (!(ans.flags & ANS_REPORT)) {
			for (unsigned i = 0; i < ans.nr_outs && i < STUB_OUTS_MAX; i++)
				memcpy((void *)slot->out[i].addr, win + slot->out[i].off, slot->out[i].len);
			return ans.flags & ANS_RET ? (long)ans.ret : (long)slot->regs.rax;
		}
		slot->event = SEV_OPS;
	}
}

/* ---- exec ---------------------------------------------------------------------------------------------------------- */

static char own_stack[1 << 18] __attribute__((aligned(64)));
static ucontext_t attack_ctx, back_ctx;

static void attack(void)
{
	static const char *argv[2], *envp[1];
	static char buf[64];
	long fd;

	argv[0] = target;
	call(SYS_execve, (uint64_t)(uintptr_t)target, (uint64_t)(uintptr_t)argv, (uint64_t)(uintptr_t)envp);
	/* The Sentry believes that the new program is about to run. */
	report->euid = (int)call(SYS_geteuid, 0, 0, 0);
	fd = call(SYS_open, (uint64_t)(uintptr_t)"/secret", O_RDONLY, 0);
	if (fd >= 0 && call(SYS_read, (uint64_t)fd, (uint64_t)(uintptr_t)buf, sizeof(buf) - 1) > 0)
		memcpy((char *)report->text, buf, sizeof(buf));
	report->lives = 1;
	for (;;)
		call(SYS_exit_group, 7, 0, 0);
}

static void find_slot(void)
{
	__asm__ volatile("movq %%gs:%c1, %0" : "=r"(slot) : "i"(SLOT_SELF));
}

static void exec_as(const char *path)
{
	pid_t pid = fork();
	int st;

	memset((void *)report, 0, sizeof(*report));
	if (!pid) {
		find_slot();
		target = path;
		getcontext(&attack_ctx);
		attack_ctx.uc_stack.ss_sp = own_stack;
		attack_ctx.uc_stack.ss_size = sizeof(own_stack);
		attack_ctx.uc_link = &back_ctx;
		makecontext(&attack_ctx, attack, 0);
		swapcontext(&back_ctx, &attack_ctx);
		_exit(1);
	}
	waitpid(pid, &st, 0);
	printf("# exec of %s: status %#x, %s, euid %d, \"%s\"\n", path, st, report->lives ? "lives on" : "gone", report->euid, (char *)report->text);
}

static void execs(void)
{
	exec_as("/victim");
	if (!report->lives)
		printf("BREACH the attack is blunt: it should survive an exec of its own rights\n");
	exec_as("/victim-suid");
	if (report->lives || report->text[0])
		printf("BREACH a set-user-id program was taken over: euid %d, \"%s\"\n", report->euid, (char *)report->text);
	exec_as("/victim-sgid");
	if (report->lives)
		printf("BREACH a set-group-id program was taken over\n");
	exec_as("/victim-unreadable");
	if (report->lives)
		printf("BREACH a program that may not be read was taken over\n");
}

/* ---- forks ----------------------------------------------------------------------------------------------------------- */

static void forks(void)
{
	/* push %rbx; push %r12; mov %rdi,%rbx; mov %rsi,%r12: stub_fork() */
	static const unsigned char code[] = { 0x53, 0x41, 0x54, 0x48, 0x89, 0xfb, 0x49, 0x89, 0xf4 };
	uint64_t args[6] = { 0x1234567, region + REGION_SLOTS }, at = 0;
	long ret;

	for (uint64_t a = region; a < region + 0x8000 && !at; a++)
		if (!memcmp((void *)a, code, sizeof(code)))
			at = a;
	if (!at) {
		printf("BREACH the stub's fork is not found: the attack is blunt\n");
		return;
	}
	for (int i = 0; i < 20; i++) {
		ret = site_call6(at, 0, args);
		if (ret > 0) {
			printf("BREACH a host process that nobody asked for: %ld\n", ret);
			return;
		}
	}
	printf("# a fork without leave: %ld\n", ret);
	/* and with leave it still works */
	for (int i = 0; i < 20; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(3);
		if (pid < 0 || waitpid(pid, (int *)&ret, 0) != pid)
			printf("BREACH fork does not work any more\n");
	}
}

int main(int argc, char **argv)
{
	uint64_t sites[64];
	unsigned n;

	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_faults();
	report = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	region = find_region();
	if (!region)
		return 77;
	n = find_sites(region, sites, 64);
	for (unsigned i = 0; i < n; i++) {
		const unsigned char *p = (const unsigned char *)sites[i];

		if (p[2] != 0xc3)
			continue;
		if (!memcmp(p - 5, "\xb8\x00\x5e\x00\x00", 5))
			site_notify = sites[i];
		else if (!memcmp(p - 5, "\x4c\x8b\x4c\x24\x08", 5)) /* mov 8(%rsp),%r9 */
			site_plain = sites[i];
	}
	if (!site_notify || !site_plain)
		printf("BREACH the stub's instructions are not found: the attack is blunt\n");
	else if (!strcmp(argv[1], "exec"))
		execs();
	else
		forks();
	printf("done %u\n", n);
	return 0;
}
