/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/life_test.c - fork, threads, kicks, files, death
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/hostcall.h"

/* A kthread that runs one guest thread to its T_EXIT and keeps the value. */
struct runner {
	struct uthread *u;
	struct waitq wq;
	_Atomic int done;
	uint64_t value, reports;
	unsigned interrupts;
	enum uevent last;
};

static void runner_main(void *arg)
{
	struct runner *r = arg;
	enum uevent ev;

	for (;;) {
		ev = uthread_run(r->u);
		r->last = ev;
		if (ev == UEV_INTERRUPT) {
			r->interrupts++;
			continue;
		}
		if (ev != UEV_SYSCALL)
			break;
		if (r->u->sysno == T_EXIT) {
			r->value = r->u->args[0];
			break;
		}
		r->reports += r->u->args[0];
		uthread_set_ret(r->u, 0);
	}
	uthread_free(r->u);
	atomic_store(&r->done, 1);
	waitq_wake_all(&r->wq);
}

static void runner_start(struct runner *r, struct uthread *u)
{
	memset(r, 0, sizeof(*r));
	waitq_init(&r->wq);
	r->u = u;
	kthread_set_guest(kthread_self(), NULL); /* it is the runner's from here on */
	cr_assert_not_null(kthread_start(runner_main, r, "runner"));
}

static void runner_wait(struct runner *r)
{
	cr_assert_eq(wait_event(&r->wq, atomic_load(&r->done), SLEEP_UNINTERRUPTIBLE, now_ns() + 20 * NSEC_PER_SEC), 0,
		     "a guest thread does not end");
}

/* ---- fork ---- */

GUEST static void guest_fork(long depth)
{
	volatile long *d = (long *)GUEST_DATA;

	d[0] = 1;
	for (long i = 0; i < depth; i++) {
		long r = G0(57);

		if (r == 0) {
			d[0] += 100; /* its own copy */
			G1(T_EXIT, d[0]);
		}
		d[0]++;
		G1(T_REPORT, r);
	}
	G1(T_EXIT, d[0]);
}

static void check_fork(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_fork, 50), *child;
	struct runner r;

	for (long i = 0; i < 50; i++) {
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(u->sysno, 57u);
		cr_assert_eq(uthread_fork(u, false, &child), 0);
		uthread_set_ret(child, 0);
		uthread_set_ret(u, 77);
		runner_start(&r, child);
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(u->sysno, (uint32_t)T_REPORT);
		cr_assert_eq(u->args[0], 77u);
		runner_wait(&r);
		cr_assert_eq(r.value, (uint64_t)(101 + i));
	}
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->args[0], 51u);
	uthread_free(u);
}

Test(platform, fork)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_fork, NULL);
}

Test(platform_fast, fork)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_fork, NULL);
}

/* ---- a child that is stopped and continued before its first instruction: its hello comes again ---- */

static void check_stopped_hello(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_fork, 10), *child;

	for (long i = 0; i < 10; i++) {
		uint64_t until = now_ns() + 5 * NSEC_PER_SEC;

		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(uthread_fork(u, false, &child), 0);
		uthread_set_ret(child, 0);
		uthread_set_ret(u, 77);
		while (!uspace_host_pid(child->space) && now_ns() < until)
			sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 1000000);
		for (int k = 0; k <= i % 3; k++) {
			kill(uspace_host_pid(child->space), SIGSTOP);
			sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 2000000);
			kill(uspace_host_pid(child->space), SIGCONT);
			if (i % 2)
				sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 2000000);
		}
		cr_assert_eq(uthread_run(child), UEV_SYSCALL);
		cr_assert_eq(child->args[0], (uint64_t)(101 + i));
		uthread_free(child);
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	}
	uthread_free(u);
}

Test(platform_fast, stopped_before_the_first_answer)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_stopped_hello, NULL);
}

/* ---- threads: a mutex of futexes answered in the stub ---- */

GUEST_INLINE void guest_lock(volatile int *m)
{
	if (__sync_val_compare_and_swap(m, 0, 1) == 0)
		return;
	while (__sync_lock_test_and_set(m, 2) != 0)
		G6(202, m, 128, 2, 0, 0, 0);
}

GUEST_INLINE void guest_unlock(volatile int *m)
{
	if (__sync_lock_test_and_set(m, 0) == 2)
		G6(202, m, 129, 1, 0, 0, 0);
}

GUEST static void guest_thread(long id)
{
	volatile long *d = (long *)(GUEST_DATA + 64);
	volatile int *m = (int *)GUEST_DATA;

	for (int i = 0; i < 200; i++) {
		guest_lock(m);
		long v = *d;
		for (int k = 0; k < 20; k++)
			__asm__ volatile("pause");
		*d = v + 1;
		guest_unlock(m);
		if (i % 8 == 0)
			G1(T_REPORT, id);
	}
	G1(T_EXIT, id);
}

GUEST static void guest_main_thread(long n)
{
	volatile long *d = (long *)(GUEST_DATA + 64);

	for (long i = 0; i < n; i++)
		G1(56, i);
	while (*d != n * 200)
		G1(T_REPORT, 0);
	G1(T_EXIT, *d);
}

#define NR_THREADS 12

static void check_threads(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_main_thread, NR_THREADS), *child;
	struct runner r[NR_THREADS], m;

	for (unsigned i = 0; i < NR_THREADS; i++) {
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(u->sysno, 56u);
		cr_assert_eq(uthread_clone(u, false, &child), 0);
		harness_start_at(child, guest_thread, i, GUEST_STACK - 0x4000 * (i + 1));
		runner_start(&r[i], child);
		uthread_set_ret(u, 1);
	}
	runner_start(&m, u);
	for (unsigned i = 0; i < NR_THREADS; i++) {
		runner_wait(&r[i]);
		cr_assert_eq(r[i].value, i);
		cr_assert_eq(r[i].reports, 25u * i);
	}
	runner_wait(&m);
	cr_assert_eq(m.value, NR_THREADS * 200u);
}

Test(platform, threads_and_futexes)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_threads, NULL);
}

Test(platform_fast, threads_and_futexes)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_threads, NULL);
}

/* slots are reused once the host thread is gone */
GUEST static void guest_short_thread(long id)
{
	G1(T_EXIT, id);
}

GUEST static void guest_spawner(long n)
{
	for (long i = 0; i < n; i++)
		G1(56, i);
	G1(T_EXIT, 0);
}

static void check_many_threads(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_spawner, 300), *child;
	struct runner r;

	for (unsigned i = 0; i < 300; i++) {
		cr_assert_eq(uthread_run(u), UEV_SYSCALL);
		cr_assert_eq(uthread_clone(u, false, &child), 0);
		harness_start_at(child, guest_short_thread, i, GUEST_STACK - 0x4000);
		runner_start(&r, child);
		runner_wait(&r);
		cr_assert_eq(r.value, i);
		uthread_set_ret(u, 1);
	}
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	uthread_free(u);
}

Test(platform, threads_one_after_another)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_many_threads, NULL);
}

Test(platform_fast, threads_one_after_another)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_many_threads, NULL);
}

/* ---- kicks ---- */

GUEST static void guest_spin(long arg)
{
	for (;;)
		(*(volatile long *)GUEST_DATA)++;
}

GUEST static void guest_sleep(long arg)
{
	volatile int *m = (int *)(GUEST_DATA + 8);

	for (;;) {
		long r = G6(202, m, 128, 0, 0, 0, 0);

		G1(T_REPORT, r);
	}
}

GUEST static void guest_calls(long arg)
{
	for (;;) {
		G0(39);
		G0(24);
		G1(T_REPORT, 0);
	}
}

static void check_kicks(struct uzygote *z, void *entry)
{
	struct uthread *u = harness_guest(z, entry, 0);
	struct runner r;
	unsigned seen = 0;

	runner_start(&r, u);
	for (unsigned i = 0; i < 500; i++) {
		uint64_t until = now_ns() + 10 * NSEC_PER_SEC;

		uthread_kick(u);
		while (*(volatile unsigned *)&r.interrupts == seen) {
			cr_assert_lt(now_ns(), until, "kick %u was lost", i);
			kthread_yield();
		}
		seen = *(volatile unsigned *)&r.interrupts;
		if (i % 16 == 0)
			sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 200000);
	}
	uspace_kill(u->space);
	runner_wait(&r);
	cr_assert_eq(r.last, UEV_DEAD);
}

Test(platform, kicks_reach_running_code)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_kicks, guest_spin);
}

Test(platform_fast, kicks_reach_running_code)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_kicks, guest_spin);
}

Test(platform, kicks_reach_sleeping_futexes)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_kicks, guest_sleep);
}

Test(platform_fast, kicks_reach_sleeping_futexes)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_kicks, guest_sleep);
}

Test(platform, kicks_reach_calling_code)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_kicks, guest_calls);
}

Test(platform_fast, kicks_reach_calling_code)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_kicks, guest_calls);
}

/* What an interrupted sleep of the stub's looks like. */
GUEST static void guest_nanosleep(long arg)
{
	long ts[2] = { 1000, 0 };
	long rem[2] = { 0, 0 };
	long r = G2(35, ts, rem);

	G3(T_REPORT, r, rem[0], rem[1]);
	ts[0] = 0;
	ts[1] = 20000000;
	r = G2(35, ts, rem);
	G1(T_EXIT, r);
}

static void check_nanosleep(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_nanosleep, 0);
	struct guest_regs r;

	/* the kick is there before: the guest sleeps only once it has been taken */
	uthread_kick(u);
	cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
	cr_assert_eq(u->intr_ret, 0);
	/* kick from another kthread while it sleeps */
	struct runner x;
	memset(&x, 0, sizeof(x));
	waitq_init(&x.wq);
	struct kthread *self = kthread_self();
	(void)self;
	struct ktimer t;
	void kick_fn(struct ktimer *tm);
	extern struct uthread *kick_target;
	kick_target = u;
	ktimer_init(&t, kick_fn);
	ktimer_arm(&t, now_ns() + 30000000);
	cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
	cr_assert_eq(u->intr_ret, -516, "ERESTART_RESTARTBLOCK");
	uthread_get_regs(u, &r);
	cr_assert_eq(r.orig_rax, 35u);
	/* continue it as restart_syscall(2) would be */
	r.rax = 219;
	r.rip -= 2;
	uthread_set_regs(u, &r);
	ktimer_arm(&t, now_ns() + 30000000);
	cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
	cr_assert_eq(u->intr_ret, -516);
	uthread_set_ret(u, -LINUX_EINTR);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->args[0], (uint64_t)-LINUX_EINTR);
	cr_assert_eq(u->args[1], 999u, "remaining time %lu", u->args[1]);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(u->args[0], 0u);
	uthread_free(u);
}

struct uthread *kick_target;
void kick_fn(struct ktimer *tm);
void kick_fn(struct ktimer *tm)
{
	uthread_kick(kick_target);
}

Test(platform, interrupted_sleep)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_nanosleep, NULL);
}

Test(platform_fast, interrupted_sleep)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_nanosleep, NULL);
}

/* ---- file mappings ---- */

GUEST static void guest_files(long arg)
{
	volatile long *priv = (long *)0x50000000, *shared = (long *)0x60000000;

	G2(T_REPORT, priv[0], shared[0]);
	priv[0] = 5;
	shared[0] = 6;
	G2(T_REPORT, priv[0], shared[0]);
	G1(T_EXIT, 0);
}

static void check_files(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_files, 0);
	int rw = memfd_create("t", 0), ro;
	long v[2] = { 11, 22 };
	char path[64];
	size_t done;

	cr_assert_eq(pwrite(rw, v, sizeof(v), 4096), (ssize_t)sizeof(v));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", rw);
	ro = open(path, O_RDONLY);
	cr_assert_geq(ro, 0);
	struct umem_op ops[] = {
		{ .kind = UMEM_MAP_FILE, .prot = PROT_READ | PROT_WRITE, .addr = 0x50000000, .len = 4096, .host_fd = ro, .file_id = 9, .off = 4096 },
		{ .kind = UMEM_MAP_FILE, .prot = PROT_READ | PROT_WRITE, .flags = UMEM_SHARED, .addr = 0x60000000, .len = 4096, .host_fd = rw, .off = 4096 },
		{ .kind = UMEM_MAP_FILE, .prot = PROT_READ, .addr = 0x70000000, .len = 4096, .host_fd = ro, .file_id = 9, .off = 4096 },
		{ .kind = UMEM_MAP_FILE, .prot = PROT_READ | PROT_WRITE, .flags = UMEM_SHARED, .addr = 0x71000000, .len = 4096, .host_fd = ro, .off = 4096 },
	};
	cr_assert_eq(umem_exec(u, ops, 3, &done), 0);
	cr_assert_eq(umem_exec(u, ops + 3, 1, &done), -LINUX_EACCES, "a read-only descriptor cannot be shared for writing");
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->args[0], 11u);
	cr_assert_eq(u->args[1], 11u);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(pread(rw, v, 8, 4096), 8);
	cr_assert_eq(v[0], 6, "the shared mapping reaches the file, the private one does not");
	uspace_drop_files(u);
	struct umem_op defer = { .kind = UMEM_UNMAP, .addr = 0x60000000, .len = 4096 };
	cr_assert_eq(umem_defer(u, &defer), 0);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, (uint32_t)T_EXIT);
	cr_assert_eq(umem_copy_in(u, v, GPTR(0x60000000), 8), -LINUX_EFAULT);
	cr_assert_eq(umem_copy_in(u, v, GPTR(0x50000000), 8), 0);
	cr_assert_eq(v[0], 5);
	uthread_free(u);
	close(rw);
	close(ro);
}

Test(platform, file_mappings)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_files, NULL);
}

Test(platform_fast, file_mappings)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_files, NULL);
}

/* ---- containers come and go: nothing is left of their zygotes ---- */

static unsigned entries(const char *dir)
{
	unsigned n = 0;
	DIR *d = opendir(dir);

	while (d && readdir(d))
		n++;
	if (d)
		closedir(d);
	return n;
}

static void check_zygotes(struct uzygote *first, void *arg)
{
	unsigned threads = 0, fds = 0;

	for (unsigned i = 0; i < 12; i++) {
		struct uzygote *z;
		struct uthread *u;
		int pid;

		z = harness_zygote(&pid);
		u = harness_guest(z, guest_spin, 0);
		uthread_kick(u);
		cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
		uzygote_kill(z);
		if (i % 2)
			cr_assert_eq(uthread_run(u), UEV_DEAD);
		uthread_free(u);
		waitpid(pid, NULL, 0);
		/* the listeners notice a little later */
		sleep_until(SLEEP_UNINTERRUPTIBLE, now_ns() + 20000000);
		if (i == 1) {
			threads = entries("/proc/self/task");
			fds = entries("/proc/self/fd");
		}
	}
	cr_assert_leq(entries("/proc/self/task"), threads, "threads: %u, then %u", threads, entries("/proc/self/task"));
	cr_assert_leq(entries("/proc/self/fd"), fds, "descriptors: %u, then %u", fds, entries("/proc/self/fd"));
}

Test(platform_fast, zygotes_leave_nothing)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_zygotes, NULL);
}

/* ---- exec: rehost and reset ---- */

static void check_exec(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_main_thread, 1), *child;
	struct umem_op op = { .kind = UMEM_MAP_ANON, .prot = PROT_READ | PROT_WRITE, .addr = GUEST_DATA, .len = 4096 };
	char buf[8];
	size_t done;
	int pid;

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(uthread_clone(u, false, &child), 0);
	pid = uspace_host_pid(u->space);
	cr_assert_eq(uthread_rehost(child), 0);
	cr_assert_neq(uspace_host_pid(child->space), pid);
	cr_assert_eq(umem_copy_in(child, buf, GPTR(GUEST_DATA), 8), -LINUX_EFAULT, "nothing is mapped");
	cr_assert_eq(umem_exec(child, &op, 1, &done), 0);
	cr_assert_eq(umem_copy_in(child, buf, GPTR(GUEST_DATA), 8), 0);
	cr_assert_eq(uspace_reset(u), 0);
	cr_assert_eq(umem_copy_in(u, buf, GPTR(GUEST_DATA), 8), -LINUX_EFAULT);
	uthread_free(child);
	uthread_free(u);
}

Test(platform, exec_rehost_and_reset)
{
	HARNESS_OR_SKIP();
	harness_run(UPF_NO_REWRITE | UPF_NO_POLL, check_exec, NULL);
}

Test(platform_fast, exec_rehost_and_reset)
{
	HARNESS_OR_SKIP();
	harness_run(0, check_exec, NULL);
}
