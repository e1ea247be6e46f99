/* SPDX-License-Identifier: Apache-2.0
 * test/bench/platform_bench.c - what a call, a fork, a thread cost on the platform alone
 *
 * Model:   the same loops run natively (in a child) and as a guest whose kernel is a few lines here; ticks are counted
 *          inside the loop. Repeated, pairs printed side by side, the best of each. `make platform-bench` builds it.
 * Usage:   platform_bench [poll|notify] [rewrite|trap] [loops]
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sentry/platform/platform_internal.h"
#include "test/unit/platform/harness.h"

GUEST_INLINE uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* Call numbers as glibc has them: mov $nr,%eax; syscall. */
#define FIXED_CALL(nr, a, b, c, d)                                                                 \
	({                                                                                         \
		long ret_;                                                                         \
		register long r10_ __asm__("r10") = (long)(d);                                     \
		__asm__ volatile("movl $" #nr ", %%eax\n\tsyscall"                                 \
				 : "=a"(ret_)                                                      \
				 : "D"(a), "S"(b), "d"(c), "r"(r10_)                               \
				 : "rcx", "r11", "memory");                                        \
		ret_;                                                                              \
	})

GUEST static uint64_t loop_getpid(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(39, 0, 0, 0, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_getsid(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(124, 0, 0, 0, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_fstat(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(5, fd, buf, 0, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_pread512(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(17, fd, buf, 512, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_pread4k(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(17, fd, buf, 4096, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_pwrite4k(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++)
		FIXED_CALL(18, fd, buf, 4096, 0);
	return ticks() - t;
}

GUEST static uint64_t loop_fork(long n, long fd, char *buf)
{
	uint64_t t = ticks();

	for (long i = 0; i < n; i++) {
		long pid = FIXED_CALL(57, 0, 0, 0, 0);

		if (pid == 0)
			FIXED_CALL(231, 0, 0, 0, 0);
		FIXED_CALL(61, pid, 0, 0, 0);
	}
	return ticks() - t;
}

GUEST static uint64_t loop_sigprocmask(long n, long fd, char *buf)
{
	uint64_t t = ticks();
	long set = 0;

	for (long i = 0; i < n; i++) {
		set ^= 2;
		FIXED_CALL(14, 2, &set, 0, 8);
	}
	return ticks() - t;
}

struct bench {
	const char *name;
	uint64_t (*fn)(long n, long fd, char *buf);
	long div;	/* loops are divided by this */
};

static const struct bench benches[] = {
	{ "getpid (stub)", loop_getpid, 1 },	{ "sigprocmask (stub)", loop_sigprocmask, 1 },
	{ "getsid", loop_getsid, 1 },		{ "fstat", loop_fstat, 1 },
	{ "pread 512", loop_pread512, 1 },	{ "pread 4096", loop_pread4k, 1 },
	{ "pwrite 4096", loop_pwrite4k, 1 },	{ "fork+exit+wait", loop_fork, 200 },
};
#define NR_BENCHES (sizeof(benches) / sizeof(benches[0]))

GUEST static void guest_bench(uint64_t (*fn)(long, long, char *))
{
	for (;;) {
		long n = G1(T_REPORT, 0);

		if (n == 0)
			G1(T_EXIT, 0);
		G1(T_SPIN, fn(n, 3, (char *)GUEST_DATA));
	}
}

static char file_data[65536];
static long loops = 20000;
static double best[NR_BENCHES][2];

struct child {
	struct uthread *u;
	struct waitq wq;
	_Atomic int done;
};

static void child_main(void *arg)
{
	struct child *c = arg;

	while (uthread_run(c->u) == UEV_SYSCALL && c->u->sysno != 231)
		uthread_set_ret(c->u, 0);
	uthread_free(c->u);
	atomic_store(&c->done, 1);
	waitq_wake_all(&c->wq);
}

/* A kernel of few words. */
static void serve(struct uthread *u, struct child *c)
{
	static char sink[65536];
	struct uthread *cu;
	long ret = 0;

	switch (u->sysno) {
	case 5:
		ret = umem_copy_out(u, GPTR(u->args[1]), file_data, 144);
		break;
	case 17:
		ret = umem_copy_out(u, GPTR(u->args[1]), file_data, u->args[2]) ? -14 : (long)u->args[2];
		break;
	case 18:
		ret = umem_copy_in(u, sink, GPTR(u->args[1]), u->args[2]) ? -14 : (long)u->args[2];
		break;
	case 57:
		waitq_init(&c->wq);
		atomic_store(&c->done, 0);
		ret = uthread_fork(u, false, &cu);
		if (!ret) {
			uthread_set_ret(cu, 0);
			c->u = cu;
			kthread_start(child_main, c, "child");
			ret = 100;
		}
		break;
	case 61:
		wait_event(&c->wq, atomic_load(&c->done), SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
		break;
	}
	uthread_set_ret(u, ret);
}

static void bench_one(struct uzygote *z, unsigned i)
{
	struct uthread *u = harness_guest(z, guest_bench, harness_guest_addr((const void *)benches[i].fn));
	unsigned rounds = 0;
	struct child c;

	while (uthread_run(u) == UEV_SYSCALL) {
		long n = loops / benches[i].div;

		if (u->sysno == T_EXIT)
			break;
		if (u->sysno == T_REPORT) {
			uthread_set_ret(u, rounds++ < 5 ? n : 0);
			continue;
		}
		if (u->sysno == T_SPIN) {
			double ns = (double)u->args[0] * 1000 / (double)platform.tsc_per_us / (double)n;

			if (!best[i][1] || ns < best[i][1])
				best[i][1] = ns;
			uthread_set_ret(u, 0);
			continue;
		}
		serve(u, &c);
	}
	uthread_free(u);
}

static void bench_native(unsigned i)
{
	int fds[2], fd = memfd_create("f", 0);
	double ns;

	if (pipe(fds))
		return;
	dup2(fd, 3);
	if (write(fd, file_data, sizeof(file_data)) < 0)
		return;
	if (fork() == 0) {
		static char buf[65536];
		long n = loops / benches[i].div;
		uint64_t best_ticks = ~0ull;

		for (int k = 0; k < 5; k++) {
			uint64_t t = benches[i].fn(n, fd, buf);

			best_ticks = t < best_ticks ? t : best_ticks;
		}
		ns = (double)best_ticks * 1000 / (double)platform.tsc_per_us / (double)n;
		if (write(fds[1], &ns, sizeof(ns)) < 0)
			_exit(1);
		_exit(0);
	}
	if (read(fds[0], &ns, sizeof(ns)) == sizeof(ns))
		best[i][0] = ns;
	wait(NULL);
	close(fds[0]);
	close(fds[1]);
	close(fd);
}

/* ---- more callers than processors ---- */

GUEST static void guest_caller(long n)
{
	for (long i = 0; i < n; i++)
		FIXED_CALL(124, 0, 0, 0, 0);
	G1(T_EXIT, 0);
}

struct crowd {
	_Atomic int left;
	struct waitq wq;
};

struct caller {
	struct uthread *u;
	struct crowd *crowd;
};

static void caller_main(void *arg)
{
	struct caller *c = arg;

	while (uthread_run(c->u) == UEV_SYSCALL && c->u->sysno != T_EXIT)
		uthread_set_ret(c->u, 0);
	uthread_free(c->u);
	atomic_fetch_sub(&c->crowd->left, 1);
	waitq_wake_all(&c->crowd->wq);
}

/* Nanoseconds of one processor per call, with @n processes that do nothing but call. */
static double crowd_run(struct uzygote *z, int n)
{
	struct crowd crowd = { .left = n };
	struct caller c[16];
	uint64_t t;

	waitq_init(&crowd.wq);
	for (int i = 0; i < n; i++)
		c[i] = (struct caller){ harness_guest(z, guest_caller, (uint64_t)loops), &crowd };
	t = now_ns();
	for (int i = 0; i < n; i++)
		kthread_start(caller_main, &c[i], "caller");
	wait_event(&crowd.wq, atomic_load(&crowd.left) == 0, SLEEP_UNINTERRUPTIBLE, NO_DEADLINE);
	t = now_ns() - t;
	return (double)t * MIN(n, (int)platform.ncpus) / (double)loops / n;
}

static void bench_crowd(struct uzygote *z)
{
	static const int sizes[] = { 1, 2, 4, 8 };

	for (unsigned i = 0; i < 4; i++) {
		double best_ns = 0;

		for (int k = 0; k < 3; k++) {
			double ns = crowd_run(z, sizes[i]);

			best_ns = !best_ns || ns < best_ns ? ns : best_ns;
		}
		printf("%d callers: %.0f ns of a processor per call\n", sizes[i], best_ns);
	}
}

static void bench_all(struct uzygote *z, void *arg)
{
	struct platform_stats st;

	for (unsigned i = 0; i < NR_BENCHES; i++)
		if (!arg || strstr(benches[i].name, arg))
			bench_one(z, i);
	if (!arg || strstr("crowd", arg))
		bench_crowd(z);
	platform_stats(&st);
	for (unsigned i = 0; i < NR_BENCHES; i++)
		bench_native(i);
	printf("%-20s %10s %10s %8s\n", "ns", "native", "guest", "ratio");
	for (unsigned i = 0; i < NR_BENCHES; i++)
		printf("%-20s %10.0f %10.0f %8.2f\n", benches[i].name, best[i][0], best[i][1], best[i][1] / best[i][0]);
	printf("polled %lu notified %lu trapped %lu rewritten %lu\n", st.calls_polled, st.calls_notified, st.calls_trapped,
	       st.sites_rewritten);
}

int main(int argc, char **argv)
{
	unsigned flags = 0;

	if (argc > 1 && !strcmp(argv[1], "notify"))
		flags |= UPF_NO_POLL;
	if (argc > 2 && !strcmp(argv[2], "trap"))
		flags |= UPF_NO_REWRITE;
	if (argc > 3)
		loops = atol(argv[3]);
	harness_run(flags, bench_all, argc > 4 ? argv[4] : NULL);
	return 0;
}
