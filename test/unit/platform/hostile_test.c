/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/hostile_test.c - guests that attack the stub they live in
 *
 * Model:   the guest finds the `syscall; ret` of the stub's text and calls it with registers of its choosing; or it writes
 *          over its slots while calls are in flight. Whatever it does may end its own process, nothing else: a neighbour in
 *          the same container goes on, and the Sentry neither crashes, hangs, nor believes what it reads.
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/platform/platform_internal.h"

TestSuite(platform_hostile, .timeout = 60);

#define T_SITE	1010	/* where is the region? */
#define T_TRY	1011	/* which attack next? fills struct attack at GUEST_DATA */
#define T_RESULT 1012	/* it returned */

struct attack {
	long nr, args[6];
};

/* syscall(nr, ...) made by the stub's own instruction */
GUEST_INLINE long stub_site_call(const unsigned char *site, volatile struct attack *a)
{
	register long r10 __asm__("r10") = a->args[3];
	register long r8 __asm__("r8") = a->args[4];
	register long r9 __asm__("r9") = a->args[5];
	register const unsigned char *target __asm__("r12") = site;
	long ret;

	__asm__ volatile("call *%%r12"
			 : "=a"(ret)
			 : "a"(a->nr), "D"(a->args[0]), "S"(a->args[1]), "d"(a->args[2]), "r"(r10), "r"(r8), "r"(r9), "r"(target)
			 : "rcx", "r11", "memory");
	return ret;
}

GUEST static void guest_attacker(long arg)
{
	const unsigned char *site = (const unsigned char *)G0(T_SITE);
	volatile struct attack *a = (struct attack *)GUEST_DATA;

	while (site[0] != 0x0f || site[1] != 0x05 || site[2] != 0xc3)
		site++;
	for (;;) {
		G0(T_TRY);
		if (G0(57) == 0) {
			long r = stub_site_call(site, a);

			G2(T_RESULT, r, 0);
			G1(T_EXIT, 0);
		}
	}
}

/* One attack in a child of @u: true when the child was ended for it, else *out_ret is what the call returned. */
static bool attack_is_fatal(struct uthread *u, const struct attack *a, long *out_ret)
{
	struct uthread *child;
	enum uevent ev;
	bool dead;

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_TRY);
	cr_assert_eq(umem_copy_out(u, GPTR(GUEST_DATA), a, sizeof(*a)), 0);
	uthread_set_ret(u, 0);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 57u);
	cr_assert_eq(uthread_fork(u, false, &child), 0);
	uthread_set_ret(child, 0);
	uthread_set_ret(u, 1);
	ev = uthread_run(child);
	dead = ev == UEV_DEAD;
	*out_ret = 0;
	if (ev == UEV_SYSCALL && child->sysno == T_RESULT)
		*out_ret = (long)child->args[0];
	uthread_free(child);
	return dead;
}

static struct uthread *attacker(struct uzygote *z)
{
	struct uthread *u = harness_guest(z, guest_attacker, 0);

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_SITE);
	uthread_set_ret(u, (long)z->region);
	return u;
}

/* Calls that some row allows from that instruction; all others must be fatal whatever their arguments. */
static bool has_row(long nr)
{
	static const short rows[] = { 3, 9, 10, 11, 24, 25, 28, 60, 131, 157, 202, 231, 324, 454, 456 };

	for (unsigned i = 0; i < ARRAY_SIZE(rows); i++)
		if (rows[i] == nr)
			return true;
	return false;
}

static void check_every_number(struct uzygote *z, void *arg)
{
	struct uthread *u = attacker(z);
	long ret;

	for (long nr = 0; nr < 480; nr++) {
		struct attack a = { .nr = nr, .args = { 0, (long)GUEST_DATA, 16, 0, 0, 0 } };

		/* uretprobe and uprobe: Linux 6.14 and later exempt them from every filter; they do nothing outside of the
		 * kernel's own trampolines */
		if (has_row(nr) || nr == 335 || nr == 336)
			continue;
		cr_assert(attack_is_fatal(u, &a, &ret), "call %ld from stub text was let through: %ld", nr, ret);
	}
	static const long odd[] = { 0x40000000 + 39, 0x40000000 + 9, -1, 0x5e01, 1 << 20 };
	for (unsigned i = 0; i < ARRAY_SIZE(odd); i++) {
		struct attack a = { .nr = odd[i] };

		cr_assert(attack_is_fatal(u, &a, &ret), "call %#lx was let through", odd[i]);
	}
	uthread_free(u);
}

Test(platform_hostile, every_call_number_from_stub_text)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_every_number, NULL);
}

static void check_region(struct uzygote *z, void *arg)
{
	struct uthread *u = attacker(z);
	long r = (long)z->region, slots = r + REGION_SLOTS, data = (long)GUEST_DATA, ret;
	const struct attack fatal[] = {
		{ 10, { r, 4096, 7 } },				      /* mprotect of stub text */
		{ 10, { r - 4096, 8192, 7 } },
		{ 10, { r + REGION_GLOBAL, 4096, 3 } },
		{ 10, { slots, 4096, 0 } },
		{ 10, { data, 4096, 0x1000003 } },		      /* PROT_GROWSDOWN */
		{ 11, { r, 4096 } },				      /* munmap */
		{ 11, { 4096, r } },
		{ 11, { r - 4096, 4097 } },
		{ 11, { data, -data } },			      /* wraps around */
		{ 11, { -4096, 8192 } },
		{ 11, { slots, SLOTS_LEN } },
		{ 9, { r, 4096, 7, 0x32, -1, 0 } },		      /* mmap over it */
		{ 9, { r - 4096, 8192, 7, 0x32, -1, 0 } },
		{ 9, { data, 4096, 7, 0x22, -1, 0 } },		      /* not fixed: the kernel would choose */
		{ 9, { data, 4096, 3, 0x31, -1, 0 } },		      /* shared anonymous */
		{ 9, { data, 4096, 3, 0x40032, -1, 0 } },	      /* huge pages */
		{ 9, { data, 4096, 3, 0x32, 0, 0 } },		      /* anonymous with a descriptor */
		{ 9, { slots, SLOTS_LEN, 3, 0x11, 0, 0 } },	      /* another slot area */
		{ 9, { r + REGION_GLOBAL, 4096, 3, 0x11, 0, 0 } },   /* the global page, writable */
		{ 25, { data, 4096, 4096, 3, r, 0 } },		      /* mremap into it */
		{ 25, { slots, 4096, 4096, 3, data, 0 } },	      /* out of it */
		{ 25, { data, 4096, 8192, 1, 0, 0 } },		      /* where the kernel likes */
		{ 28, { slots, SLOTS_LEN, 11 } },		      /* MADV_DOFORK */
		{ 28, { r, 4096, 4 } },				      /* MADV_DONTNEED */
		{ 157, { 16, data } },				      /* PR_GET_NAME */
		{ 157, { 4, 0 } },				      /* PR_SET_DUMPABLE */
		{ 157, { 22, 0 } },				      /* PR_SET_SECCOMP */
		{ 202, { data, 6, 0, 0, 0, 0 } },		      /* FUTEX_LOCK_PI */
		{ 202, { data, 2, 0, 0, 0, 0 } },		      /* FUTEX_FD */
		{ 454, { data, 1, 1, 6 } },			      /* futex_wake with a NUMA node */
		{ 454, { data, 1, 1, 0x100000002 } },
		{ 455, { data, 0, 1, 2, 0, 0 } },		      /* futex_wait, but not from where calls sleep */
		{ 456, { data, 1, 1, 1 } },			      /* futex_requeue of a later kernel */
		{ 449, { data, 1, 0, 0, 0 } },			      /* futex_waitv likewise */
		{ 324, { 256, 0 } },				      /* membarrier of a later kernel */
		{ 56, { 0x250f00, data, 0, data } },		      /* clone, but not from its own instruction */
		{ 15, { 0 } },					      /* rt_sigreturn likewise */
	};

	for (unsigned i = 0; i < ARRAY_SIZE(fatal); i++)
		cr_assert(attack_is_fatal(u, &fatal[i], &ret), "attack %u (call %ld) was let through: %ld", i, fatal[i].nr, ret);

	/* a shared mapping that the Sentry did not ask for; a descriptor that it did not install */
	struct attack shared = { 9, { data, 4096, 3, 0x11, 5, 0 } };
	cr_assert_not(attack_is_fatal(u, &shared, &ret));
	cr_assert_eq(ret, -LINUX_EPERM);
	struct attack priv = { 9, { data, 4096, 3, 0x12, 5, 0 } };
	cr_assert_not(attack_is_fatal(u, &priv, &ret));
	cr_assert_eq(ret, -LINUX_EBADF);
	/* the reserved call out of turn */
	for (long kind = 1; kind < 8; kind++) {
		struct attack a = { STUB_NR_NOTIFY, { kind, 1234 } };

		cr_assert(attack_is_fatal(u, &a, &ret) || ret < 0, "notification %ld answered %ld", kind, ret);
	}
	uthread_free(u);
}

Test(platform_hostile, region_and_shapes)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_region, NULL);
}

/* ---- slots written at random while in use ---- */

GUEST static void guest_scribbler(unsigned long seed)
{
	volatile unsigned char *slots = (unsigned char *)G0(T_SITE);
	unsigned long x = seed;

	for (long i = 0;; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		/* mostly the first two slots' first page, where requests and registers are */
		slots[((x >> 8) & 1) * 0x20000 + ((x >> 16) & (x & 64 ? 0xff : 0x3fff))] = (unsigned char)(x >> 40);
		if ((x & 0xff00000) == 0)
			G1(T_REPORT, i);
	}
}

GUEST static void guest_victim(long arg)
{
	char buf[64] = "path";

	for (long i = 0;; i++) {
		G3(257, 0, buf, 0);
		G3(17, 3, buf, 64);
		G1(T_REPORT, i);
	}
}

struct fuzzed {
	struct uthread *u;
	struct waitq wq;
	_Atomic int done;
	uint64_t calls;
};

/* A kernel that does a bit of everything with what it is given. */
static void fuzzed_main(void *arg)
{
	struct fuzzed *f = arg;
	struct umem_op op = { .kind = UMEM_MAP_ANON, .prot = PROT_READ, .addr = 0x40000000, .len = 4096 };
	struct guest_regs r;
	char buf[256];
	size_t n;

	while (f->calls < 20000) {
		enum uevent ev = uthread_run(f->u);

		f->calls++;
		if (ev == UEV_DEAD)
			break;
		if (ev == UEV_FAULT) {
			uthread_get_regs(f->u, &r);
			harness_start_at(f->u, guest_victim, 0, GUEST_STACK - 0x8000);
			continue;
		}
		if (ev != UEV_SYSCALL)
			continue;
		if (f->u->sysno == T_SITE) {
			uthread_set_ret(f->u, (long)(uspace_limit(f->u->space) + PAGE_SIZE + REGION_SLOTS));
			continue;
		}
		umem_copy_in_str(f->u, buf, sizeof(buf), GPTR(f->u->args[1]));
		umem_copy_in(f->u, buf, GPTR(f->u->args[1]), f->u->args[2] % sizeof(buf));
		umem_copy_out(f->u, GPTR(f->u->args[1]), buf, f->u->args[2] % sizeof(buf));
		if (f->calls % 64 == 0)
			umem_exec(f->u, &op, 1, &n);
		if (f->calls % 100 == 0)
			uthread_kick(f->u);
		uthread_set_ret(f->u, 0);
	}
	uthread_free(f->u);
	atomic_store(&f->done, 1);
	waitq_wake_all(&f->wq);
}

static void fuzzed_start(struct fuzzed *f, struct uthread *u)
{
	memset(f, 0, sizeof(*f));
	waitq_init(&f->wq);
	f->u = u;
	cr_assert_not_null(kthread_start(fuzzed_main, f, "fuzzed"));
}

static void check_scribbler(struct uzygote *z, void *arg)
{
	struct uthread *n = harness_guest(z, guest_victim, 0); /* the neighbour, left alone */
	uint64_t until = now_ns() + 3 * NSEC_PER_SEC;
	unsigned rounds = 0;

	for (; now_ns() < until; rounds++) {
		struct uthread *a = harness_guest(z, guest_scribbler, 0x9e3779b97f4a7c15ull * (rounds + 1)), *b;
		struct fuzzed f[2];
		uint64_t deadline;

		if (uthread_clone(a, false, &b)) {
			uthread_free(a);
			continue;
		}
		harness_start_at(b, guest_victim, 0, GUEST_STACK - 0x8000);
		fuzzed_start(&f[0], a);
		fuzzed_start(&f[1], b);
		/* the Sentry may have to end it: a scribbled stub can loop for ever */
		deadline = now_ns() + 100000000;
		for (unsigned i = 0; i < 2; i++) {
			if (wait_event(&f[i].wq, atomic_load(&f[i].done), SLEEP_UNINTERRUPTIBLE, deadline)) {
				uspace_kill(f[i].u->space);
				cr_assert_eq(wait_event(&f[i].wq, atomic_load(&f[i].done), SLEEP_UNINTERRUPTIBLE,
							now_ns() + 10 * NSEC_PER_SEC), 0, "round %u: a killed guest stays", rounds);
			}
		}
		for (unsigned i = 0; i < 30; i++) {
			cr_assert_eq(uthread_run(n), UEV_SYSCALL, "the neighbour suffers");
			uthread_set_ret(n, 0);
		}
	}
	cr_assert_gt(rounds, 3u);
	uthread_free(n);
}

Test(platform_hostile, slots_written_while_in_use)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_scribbler, NULL);
}
