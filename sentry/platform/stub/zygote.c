/* SPDX-License-Identifier: Apache-2.0
 * sentry/platform/stub/zygote.c - the container's first process: sets up the region, confines itself, forks on request
 *
 * Model:   executed from a sealed memfd with one descriptor, 3: the handshake socket. Steps, in this order: choose the
 *          region, put stub text and vDSO there, install signal handlers, give up capabilities, install the filter,
 *          send the listener away (a helper process that shares descriptors does that, since the filter forbids
 *          it), close every descriptor, jump into the region, unmap all else. From then on it only answers
 *          the Sentry's wishes for children.
 * Fails:   closed: any step that does not work ends the process, and the handshake socket is closed without a word.
 */
#include "sentry/arch/x86_64/xsave.h"
#include "sentry/platform/stub/zygote.h"

#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/signal.h>

#define TASK_TOP       0x7ffffffff000ull
#define REGION_SPREAD  (1ull << 39) /* the region begins somewhere in the last 512 GiB */
#define HANDSHAKE_FD   3
#define PROG_MAX       1024
#define MAP_FIXED_NOREPLACE_ 0x100000
#define AT_HWCAP2_     26
#define AT_SYSINFO_EHDR_ 33
#define HWCAP2_FSGSBASE_ 2
#define FUTEX_WAIT_	0
#define FUTEX_WAKE_	1
#define CLOSE_ALL	0xffffffffu

struct stub_config stub_config __attribute__((section(".stub.config"))) = { .region = 1 };
uint32_t stub_config_fsgsbase __attribute__((section(".stub.config"))) = 1;

/* Start-up state; gone with the rest of the low mappings. */
static struct sock_filter prog[PROG_MAX];
static struct stub_hello hello;
static uint64_t region;
static int listener = -1;
static volatile uint32_t helper_go;
static volatile int helper_tid;
static char helper_stack[16384] __attribute__((aligned(64)));

/* GCC may call these for structure copies. */
void *memcpy(void *dst, const void *src, size_t n);
void *memset(void *dst, int c, size_t n);
void *memcpy(void *dst, const void *src, size_t n)
{
	void *ret = dst;

	__asm__ volatile("rep movsb" : "+D"(dst), "+S"(src), "+c"(n)::"memory");
	return ret;
}

void *memset(void *dst, int c, size_t n)
{
	void *ret = dst;

	__asm__ volatile("rep stosb" : "+D"(dst), "+c"(n) : "a"(c) : "memory");
	return ret;
}

static void fail(int step)
{
	for (;;)
		raw_call(__NR_exit_group, 100 + step, 0, 0, 0, 0, 0);
}

static long sys(int step, long nr, long a, long b, long c, long d, long e, long f)
{
	long ret = raw_call(nr, a, b, c, d, e, f);

	if (ret < 0 && ret > -4096)
		fail(step);
	return ret;
}

/* Where something of the low image ends up in the region. */
static uint64_t moved(const void *p)
{
	return region + REGION_TEXT + (uint64_t)((const char *)p - stub_text_start);
}

static uint64_t auxv_get(const uint64_t *sp, uint64_t key)
{
	sp += *sp + 2; /* argc, argv[], NULL */
	while (*sp)
		sp++;
	for (sp++; sp[0]; sp += 2)
		if (sp[0] == key)
			return sp[1];
	return 0;
}

/* A place for the whole region, below @below if that is not 0. */
static void region_choose(uint64_t below)
{
	uint64_t top = (below ? below : TASK_TOP) - REGION_LEN - REGION_ALIGN;
	uint64_t rnd;

	for (unsigned tries = 0; tries < 64; tries++) {
		sys(1, __NR_getrandom, (long)&rnd, sizeof(rnd), 0, 0, 0, 0);
		region = (top - rnd % REGION_SPREAD) & ~(uint64_t)(REGION_ALIGN - 1);
		if (raw_call(__NR_mmap, (long)region, REGION_LEN, 0, 0x22 | 0x4000 | MAP_FIXED_NOREPLACE_, -1, 0) == (long)region) {
			sys(2, __NR_munmap, (long)region, REGION_LEN, 0, 0, 0, 0);
			return;
		}
	}
	fail(3);
}

static void region_fill(const struct vdso_info *v, bool fsgsbase)
{
	struct stub_config *cfg;

	sys(4, __NR_mmap, (long)region, REGION_TEXT_LEN, 3, 0x32, -1, 0);
	memcpy((void *)region, stub_text_start, (size_t)(stub_text_end - stub_text_start));
	cfg = (struct stub_config *)moved(&stub_config);
	cfg->region = region;
	cfg->vdso_clock_gettime = v->clock_gettime;
	cfg->vdso_getcpu = v->getcpu;
	cfg->vdso = v->ehdr;
	xsave_probe(&cfg->xfeatures, &cfg->xsave_size);
	*(uint32_t *)moved(&stub_config_fsgsbase) = fsgsbase;
	if (cfg->xsave_size + 64 > SLOT_FPU_LEN)
		fail(5);
	sys(6, __NR_mprotect, (long)region, REGION_TEXT_LEN, 5, 0, 0, 0);
	sys(7, __NR_mmap, (long)(region + REGION_PRIVATE), REGION_PRIVATE_LEN, 3, 0x32, -1, 0);
}

/* The host's tools find the command line in the region, where it outlives everything below it. A kernel without checkpoint
 * support refuses: then they show the name in brackets. Any order that the kernel accepts does for what is unmapped anyway. */
static void title_place(void)
{
	uint64_t at = region + REGION_TITLE;
	struct prctl_mm_map m = {
		.start_code = at, .end_code = at + 1, .start_data = at, .end_data = at,
		.start_brk = at + 1, .brk = at + 1, .start_stack = at,
		.arg_start = at, .arg_end = at + TITLE_MAX, .env_start = at + TITLE_MAX, .env_end = at + TITLE_MAX,
		.exe_fd = (uint32_t)-1,
	};

	sys(20, __NR_mmap, (long)at, REGION_TITLE_LEN, 3, 0x32, -1, 0);
	raw_call(__NR_prctl, PR_SET_MM, PR_SET_MM_MAP, (long)&m, sizeof(m), 0, 0);
}

struct kernel_sigaction {
	uint64_t handler, flags, restorer, mask;
};

static void signals_install(void)
{
	static const uint8_t caught[] = { SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, STUB_SIGKICK };
	struct kernel_sigaction sa = {
		.handler = moved((const void *)stub_handler),
		.flags = 0x4 /* SIGINFO */ | 0x08000000 /* ONSTACK */ | 0x04000000 /* RESTORER */,
		.restorer = moved(stub_restorer),
		.mask = ~0ull,
	};
	struct kernel_sigaction ign = { .handler = 1 /* SIG_IGN: children are reaped by the kernel */ };
	uint64_t none = 0;

	for (unsigned i = 0; i < sizeof(caught); i++)
		sys(8, __NR_rt_sigaction, caught[i], (long)&sa, 0, 8, 0, 0);
	sys(9, __NR_rt_sigaction, SIGCHLD, (long)&ign, 0, 8, 0, 0);
	sys(10, __NR_rt_sigprocmask, 2 /* SIG_SETMASK */, (long)&none, 0, 8, 0, 0);
}

static void privileges_drop(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	for (long cap = 0; cap < 64; cap++) /* fails without privilege, and beyond the last: both are fine */
		raw_call(__NR_prctl, PR_CAPBSET_DROP, cap, 0, 0, 0, 0);
	raw_call(__NR_prctl, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0, 0);
	sys(11, __NR_capset, (long)&h, (long)none, 0, 0, 0, 0);
	sys(12, __NR_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0, 0);
	sys(13, __NR_prctl, PR_SET_DUMPABLE, 1, 0, 0, 0, 0); /* the Sentry reads and writes guest memory */
	sys(14, __NR_prctl, PR_SET_NAME, (long)"zygote", 0, 0, 0, 0);
}

/* Runs in a process of its own that shares memory and the descriptor table but not the filter. */
static void helper_main(void)
{
	struct {
		uint64_t base, len;
	} iov = { (uint64_t)&hello, sizeof(hello) };
	struct {
		uint64_t len;
		int level, type, fd, pad;
	} c = { 20, 1 /* SOL_SOCKET */, 1 /* SCM_RIGHTS */, 0, 0 };
	struct {
		uint64_t name;
		uint32_t namelen, pad0;
		uint64_t iov, iovlen, control, controllen;
		uint32_t flags, pad1;
	} msg = { .iov = (uint64_t)&iov, .iovlen = 1, .control = (uint64_t)&c, .controllen = sizeof(c) };

	while (!helper_go)
		raw_call(__NR_futex, (long)&helper_go, FUTEX_WAIT_, 0, 0, 0, 0);
	c.fd = listener;
	if (raw_call(__NR_sendmsg, HANDSHAKE_FD, (long)&msg, 0, 0, 0, 0) < 0)
		raw_call(__NR_kill, raw_call(__NR_getppid, 0, 0, 0, 0, 0, 0), SIGKILL, 0, 0, 0, 0);
	raw_call(__NR_close_range, 0, CLOSE_ALL, 0, 0, 0, 0);
	for (;;)
		raw_call(__NR_exit, 0, 0, 0, 0, 0, 0);
}

static void confine(bool fsgsbase)
{
	struct sock_fprog fp = { .filter = prog };
	long (*call)(long, long, long, long, long, long, long) = (void *)moved((const void *)stub_call);
	int tid;

	fp.len = (unsigned short)filter_build(prog, PROG_MAX, region, fsgsbase);
	if (!fp.len)
		fail(15);
	helper_tid = 1;
	sys(16, zygote_helper(helper_stack + sizeof(helper_stack), (int *)&helper_tid, helper_main) < 0 ? __NR_exit_group :
								      __NR_sched_yield, 116, 0, 0, 0, 0, 0);
	listener = (int)sys(17, __NR_seccomp, SECCOMP_SET_MODE_FILTER,
			    SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_SPEC_ALLOW, (long)&fp, 0, 0, 0);
	helper_go = 1;
	call(__NR_futex, (long)&helper_go, FUTEX_WAKE_, 1, 0, 0, 0);
	while ((tid = helper_tid) != 0)
		call(__NR_futex, (long)&helper_tid, FUTEX_WAIT_, tid, 0, 0, 0);
}

/* Everything above the region, with the initial stack; a vDSO that had to stay lies there too. */
static void unmap_above(const struct vdso_info *v)
{
	uint64_t at = region + REGION_LEN;

	if (v->ehdr && v->start >= at) {
		sys(18, __NR_munmap, (long)at, (long)(v->start - at), 0, 0, 0, 0);
		at = v->end;
	}
	if (at < TASK_TOP)
		sys(19, __NR_munmap, (long)at, (long)(TASK_TOP - at), 0, 0, 0, 0);
}

void zygote_main(uint64_t *sp)
{
	bool fsgsbase = (auxv_get(sp, AT_HWCAP2_) & HWCAP2_FSGSBASE_) != 0;
	struct vdso_info v;
	uint64_t old_start;

	vdso_find(&v, auxv_get(sp, AT_SYSINFO_EHDR_));
	old_start = v.start;
	region_choose(0);
	if (v.ehdr && !vdso_move(&v, region + REGION_VDSO, REGION_VDSO_LEN))
		region_choose(old_start); /* sealed: it stays, and the region goes below, so that the filter protects it */
	region_fill(&v, fsgsbase);
	title_place();
	signals_install();
	hello.magic = STUB_HELLO_MAGIC;
	hello.region = region;
	unmap_above(&v);
	privileges_drop();
	confine(fsgsbase);
	zygote_jump(moved((const void *)stub_zygote), region + REGION_PRIVATE + REGION_PRIVATE_LEN);
}

/* In the region, on the last private page; the filter is in force. */
void stub_zygote(void)
{
	uint64_t r = stub_config.region;
	long ret, fd;

	stub_call(__NR_munmap, 0, (long)r, 0, 0, 0, 0);
	do
		fd = stub_notify(NOTIFY_GLOBAL, (long)stub_config.vdso, (long)stub_config.xsave_size, (long)((uint64_t)stub_entry | stub_config_fsgsbase));
	while (fd == -4);
	ret = stub_call(__NR_mmap, (long)(r + REGION_GLOBAL), 4096, 1, 0x11, fd, 0);
	stub_call(__NR_close, fd, 0, 0, 0, 0, 0);
	for (;;) {
		if (fd < 0 || ret < 0 || ret == -38 /* nobody listens any more */)
			stub_call(__NR_exit_group, 1, 0, 0, 0, 0, 0);
		ret = stub_notify(NOTIFY_ZYGOTE, ret, 0, 0);
		if (ret > 0)
			ret = stub_fork((uint64_t)ret, r + REGION_SLOTS);
		if (ret == -4)
			ret = 0;
	}
}
