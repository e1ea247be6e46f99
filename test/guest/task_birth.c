/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_birth.c - forks and threads in quick succession, also while signals, stops and other threads' execs come
 * between: each child is there, with its parent's memory as it was, and ends with its own status.
 */
#include "guest.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int ticks;

static void on_tick(int sig)
{
	ticks++;
}

/* A child sees what its parent wrote right before, and no later write. */
static void check_snapshot(void)
{
	volatile int *mark = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int st;

	for (int i = 0; i < 200; i++) {
		pid_t pid;

		*mark = i;
		pid = fork();
		if (!pid)
			_exit(*mark == i ? i & 63 : 99);
		*mark = -1;
		CHECK(pid > 0);
		CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == (i & 63));
	}
}

/* Signals arrive while forks are under way; none is lost or doubled among the children. */
static void check_signals(void)
{
	struct sigaction sa = { .sa_handler = on_tick, .sa_flags = SA_RESTART };
	struct itimerspec it = { { 0, 300000 }, { 0, 300000 } };
	struct sigevent sev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	timer_t timer;
	int st, reaped = 0;

	CHECK(sigaction(SIGUSR1, &sa, NULL) == 0);
	CHECK(timer_create(CLOCK_MONOTONIC, &sev, &timer) == 0);
	CHECK(timer_settime(timer, 0, &it, NULL) == 0);
	for (int i = 0; i < 100; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(7);
		CHECK(pid > 0);
		CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7);
		reaped++;
	}
	CHECK(timer_delete(timer) == 0);
	CHECK(reaped == 100 && waitpid(-1, &st, WNOHANG) == -1 && errno == ECHILD);
	while (!ticks)
		sched_yield();
}

/* A parent that is stopped right when it forks: its child is there nevertheless. */
static void check_stopped(void)
{
	int p[2], st;
	pid_t forker;

	CHECK(pipe(p) == 0);
	forker = fork();
	if (!forker) {
		for (int i = 0; i < 40; i++) {
			pid_t c = fork();

			if (!c) {
				CHECK(write(p[1], "x", 1) == 1);
				_exit(0);
			}
			CHECK(c > 0 && waitpid(c, NULL, 0) == c);
		}
		_exit(3);
	}
	close(p[1]);
	for (int i = 0; i < 20; i++) {
		CHECK(kill(forker, SIGSTOP) == 0 || errno == ESRCH);
		usleep(1000);
		CHECK(kill(forker, SIGCONT) == 0 || errno == ESRCH);
		usleep(500);
	}
	CHECK(waitpid(forker, &st, 0) == forker && WIFEXITED(st) && WEXITSTATUS(st) == 3);
	for (int i = 0; i < 40; i++) {
		char c;

		CHECK(read(p[0], &c, 1) == 1);
	}
	close(p[0]);
}

static void *bump(void *arg)
{
	__atomic_fetch_add((int *)arg, 1, __ATOMIC_RELAXED);
	return arg;
}

static void check_threads(void)
{
	int n = 0;

	for (int round = 0; round < 50; round++) {
		pthread_t t[4];

		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&t[i], NULL, bump, &n) == 0);
		for (int i = 0; i < 4; i++) {
			void *r;

			CHECK(pthread_join(t[i], &r) == 0 && r == &n);
		}
	}
	CHECK(n == 200);
}

static void *short_life(void *arg)
{
	return arg;
}

static volatile int seen_by_child;
static volatile pid_t parent_word;

static int look_at_word(void *arg)
{
	seen_by_child = parent_word == syscall(SYS_gettid);
	return 0;
}

/* The word of CLONE_PARENT_SETTID is there before the child is, and a place that cannot be written harms nobody. */
static void check_parent_tid(void)
{
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | CLONE_PARENT_SETTID |
			  CLONE_CHILD_CLEARTID;
	char *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	void *bad[] = { (void *)8, (void *)-8, stack };
	static volatile pid_t alive;

	for (int i = 0; i < 100; i++) {
		pid_t tid;

		alive = 1;
		parent_word = 0;
		seen_by_child = -1;
		tid = clone(look_at_word, stack + 65536, flags, NULL, &parent_word, NULL, &alive);
		CHECK(tid > 0 && parent_word == tid);
		while (alive)
			sched_yield();
		CHECK(seen_by_child == 1);
	}
	CHECK(mprotect(stack, 4096, PROT_READ) == 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		alive = 1;
		seen_by_child = -1;
		CHECK(clone(look_at_word, stack + 65536, flags, NULL, bad[i], NULL, &alive) > 0);
		while (alive)
			sched_yield();
		CHECK(seen_by_child == 0);
	}
}

/* Threads end all the while one of them execs: nothing of theirs is written into the new image. */
static void check_exec(const char *self)
{
	int st;

	for (int i = 0; i < 10; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (int k = 0; k < 8; k++) {
				pthread_t t;

				if (pthread_create(&t, NULL, short_life, NULL) == 0)
					pthread_detach(t);
			}
			execl(self, self, "image", (char *)NULL);
			_exit(98);
		}
		CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 5);
	}
}

/* What the host or a limit refuses is an error of fork(2), and leaves no child to wait for. */
static void check_refused(void)
{
	struct rlimit rl = { 1, 1 };
	int st;
	pid_t pid = fork();

	if (!pid) {
		if (setuid(12345) != 0 || setrlimit(RLIMIT_NPROC, &rl) != 0)
			_exit(0);
		pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid > 0) {
			waitpid(pid, NULL, 0);
			_exit(97);
		}
		_exit(errno == EAGAIN && waitpid(-1, NULL, 0) == -1 && errno == ECHILD ? 0 : 96);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
}

#define SECRET 0x5ec2e75ec2e7ull

/* Memory that a process shares with its kernel alone (in a sandbox, %gs points at it) is clean when another gets it. */
static void check_pages(void)
{
	volatile uint64_t *w;
	uint64_t gs;
	int st;

	if (!fork()) { /* not every processor and kernel has it */
		__asm__ volatile("rdgsbase %0" : "=r"(gs));
		_exit(0);
	}
	CHECK(wait(&st) > 0);
	if (st)
		return;
	__asm__ volatile("rdgsbase %0" : "=r"(gs));
	if (!gs)
		return;
	w = (volatile uint64_t *)(gs + 0x10000);
	for (int i = 0; i < 30; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (int k = 0; k < 0x10000 / 8; k++)
				if (w[k] == SECRET)
					_exit(94);
			for (int k = 0; k < 0x10000 / 8; k++)
				w[k] = SECRET;
			_exit(0);
		}
		CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
		if (i == 0)
			printf("shared pages checked\n");
	}
}

int main(int argc, char **argv)
{
	static char page[16384];

	if (argc == 2) { /* the new image: its memory is its own for a while */
		for (int i = 0; i < 200; i++) {
			memset(page, 0x5a, sizeof(page));
			for (size_t k = 0; k < sizeof(page); k++)
				if (page[k] != 0x5a)
					return 95;
		}
		return 5;
	}
	check_snapshot();
	check_signals();
	check_stopped();
	check_threads();
	check_parent_tid();
	check_exec(argv[0]);
	check_refused();
	check_pages();
	return 0;
}
