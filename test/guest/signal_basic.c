/* SPDX-License-Identifier: Apache-2.0
 * test/guest/signal_basic.c - handlers, masks, queues, alternate stacks, restarts, faults
 */
#include "guest.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static volatile sig_atomic_t count, last, order[64], n_order;
static volatile siginfo_t info; /* volatile: raise() and kill() are leaf functions for the compiler */

static void on_signal(int sig, siginfo_t *si, void *ctx)
{
	count++;
	last = sig;
	info = *si;
	if (n_order < 64)
		order[n_order++] = sig;
}

static void set(int sig, int flags)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | flags };

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static void handlers(void)
{
	struct sigaction old;

	set(SIGUSR1, 0);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	CHECK(count == 1 && last == SIGUSR1 && info.si_code == SI_USER && info.si_pid == getpid() && info.si_uid == getuid());
	CHECK(raise(SIGUSR1) == 0 && count == 2 && info.si_code == SI_TKILL);
	set(SIGUSR2, SA_RESETHAND);
	raise(SIGUSR2);
	CHECK(sigaction(SIGUSR2, NULL, &old) == 0 && old.sa_handler == SIG_DFL);
	CHECK_ERRNO(sigaction(SIGKILL, &old, NULL), EINVAL);
	CHECK_ERRNO(kill(getpid(), 65), EINVAL);
	CHECK(kill(getpid(), 0) == 0);
}

static void masks_and_queues(void)
{
	sigset_t set1, old, pend;
	union sigval v = { .sival_int = 5 };

	for (int s = SIGRTMIN; s < SIGRTMIN + 3; s++)
		set(s, 0);
	set(SIGUSR1, 0);
	sigfillset(&set1);
	CHECK(sigprocmask(SIG_SETMASK, &set1, &old) == 0);
	count = n_order = 0;
	for (int i = 0; i < 3; i++) {
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, v) == 0);
		CHECK(kill(getpid(), SIGUSR1) == 0); /* not queued twice */
	}
	CHECK(sigqueue(getpid(), SIGRTMIN, v) == 0);
	CHECK(sigpending(&pend) == 0 && sigismember(&pend, SIGUSR1) && sigismember(&pend, SIGRTMIN));
	CHECK(count == 0);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0);
	CHECK(count == 5);
	/* Handlers run youngest frame first: the last one delivered is the first to return. */
	CHECK(info.si_signo == order[4]);
}

static void waiting(void)
{
	sigset_t s;
	siginfo_t si;
	struct timespec ts = { 0, 20000000 };
	union sigval v = { .sival_ptr = (void *)0x1234 };

	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN + 4);
	CHECK(sigprocmask(SIG_BLOCK, &s, NULL) == 0);
	CHECK_ERRNO(sigtimedwait(&s, &si, &ts), EAGAIN);
	CHECK(sigqueue(getpid(), SIGRTMIN + 4, v) == 0);
	CHECK(sigwaitinfo(&s, &si) == SIGRTMIN + 4);
	CHECK(si.si_value.sival_ptr == (void *)0x1234 && si.si_code == SI_QUEUE);
	sigprocmask(SIG_UNBLOCK, &s, NULL);
}

static void suspend(void)
{
	sigset_t block, none, now;
	pid_t pid;

	set(SIGUSR1, 0);
	sigemptyset(&none);
	sigemptyset(&block);
	sigaddset(&block, SIGUSR1);
	sigprocmask(SIG_BLOCK, &block, NULL);
	count = 0;
	pid = fork();
	if (!pid) {
		kill(getppid(), SIGUSR1);
		_exit(0);
	}
	CHECK_ERRNO(sigsuspend(&none), EINTR);
	CHECK(count == 1);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(sigismember(&now, SIGUSR1) == 1);
	sigprocmask(SIG_UNBLOCK, &block, NULL);
	waitpid(pid, NULL, 0);
}

/* A read that a signal interrupts: EINTR without SA_RESTART, goes on with it. */
static void restarts(void)
{
	struct itimerval it = { .it_value = { 0, 30000 } };
	char c;
	int fd[2];
	pid_t pid;

	CHECK(pipe(fd) == 0);
	set(SIGALRM, 0);
	count = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK_ERRNO(read(fd[0], &c, 1), EINTR);
	CHECK(count == 1);
	set(SIGALRM, SA_RESTART);
	pid = fork();
	if (!pid) {
		usleep(120000);
		write(fd[1], "x", 1);
		_exit(0);
	}
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK(read(fd[0], &c, 1) == 1 && c == 'x' && count == 2);
	waitpid(pid, NULL, 0);
	/* nanosleep is never restarted after a handler, and reports what is left. */
	struct timespec ts = { 5, 0 }, rem = { 0 };

	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	CHECK_ERRNO(nanosleep(&ts, &rem), EINTR);
	CHECK(rem.tv_sec == 4);
	close(fd[0]);
	close(fd[1]);
}

static sigjmp_buf env;
static char *alt;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	char here;
	ucontext_t *uc = ctx;

	info = *si;
	count = alt && &here > alt && &here < alt + 65536;
	CHECK(uc->uc_mcontext.fpregs != NULL);
	siglongjmp(env, sig);
}

static void faults(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t st = { 0 }, old;

	alt = malloc(65536);
	st.ss_sp = alt;
	st.ss_size = 65536;
	CHECK(sigaltstack(&st, NULL) == 0);
	CHECK(sigaltstack(NULL, &old) == 0 && old.ss_sp == alt && old.ss_flags == 0);
	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGFPE, &sa, NULL);
	sigaction(SIGILL, &sa, NULL);
	sigaction(SIGTRAP, &sa, NULL);
	if (!sigsetjmp(env, 1))
		*(volatile int *)16 = 1;
	CHECK(info.si_signo == SIGSEGV && info.si_code == SEGV_MAPERR && info.si_addr == (void *)16 && count == 1);
	char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (!sigsetjmp(env, 1))
		*(volatile char *)ro = 1;
	CHECK(info.si_code == SEGV_ACCERR && info.si_addr == ro);
	volatile int zero = 0, x = 1;
	if (!sigsetjmp(env, 1))
		x = x / zero;
	CHECK(info.si_signo == SIGFPE && info.si_code == FPE_INTDIV);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("ud2");
	CHECK(info.si_signo == SIGILL);
	if (!sigsetjmp(env, 1))
		__asm__ volatile("int3");
	CHECK(info.si_signo == SIGTRAP);
	st.ss_flags = SS_DISABLE;
	CHECK(sigaltstack(&st, NULL) == 0);
}

/* Registers, vector registers and the red zone survive a handler. */
static void on_fpu(int sig)
{
	__asm__ volatile("pxor %%xmm0, %%xmm0; pxor %%xmm7, %%xmm7; fninit" ::: "xmm0", "xmm7");
	count++;
}

static void fpu(void)
{
	double a[2] = { 1.5, 2.5 }, b[2] = { 0 };
	long nr = SYS_tgkill, pid = getpid(), tid = syscall(SYS_gettid);

	signal(SIGUSR1, on_fpu);
	count = 0;
	__asm__ volatile("movupd %[a], %%xmm7\n\tmov %[pid], %%rdi\n\tmov %[tid], %%rsi\n\tmov $10, %%edx\n\t"
			 "mov %[nr], %%rax\n\tsyscall\n\tmovupd %%xmm7, %[b]"
			 : [b] "=m"(b)
			 : [a] "m"(a), [nr] "r"(nr), [pid] "r"(pid), [tid] "r"(tid)
			 : "rax", "rcx", "r11", "rdi", "rsi", "rdx", "xmm7", "memory");
	CHECK(count == 1 && b[0] == 1.5 && b[1] == 2.5);
}

static void default_actions(void)
{
	int st;
	pid_t pid;
	static const int fatal[] = { SIGTERM, SIGKILL, SIGHUP, SIGPIPE, SIGALRM, SIGABRT };

	for (unsigned i = 0; i < sizeof(fatal) / sizeof(fatal[0]); i++) {
		pid = fork();
		if (!pid) {
			signal(fatal[i], SIG_DFL);
			pause();
			_exit(1);
		}
		usleep(2000);
		kill(pid, fatal[i]);
		CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == fatal[i]);
	}
	/* A program that never calls is ended as well. */
	pid = fork();
	if (!pid)
		for (;;)
			__asm__ volatile("" ::: "memory");
	usleep(5000);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (!pid)
		_exit(0);
	CHECK_ERRNO(waitpid(pid, &st, 0), ECHILD);
	signal(SIGCHLD, SIG_DFL);
}

static volatile int spinning = 1;

static void stop_spin(int sig)
{
	spinning = 0;
}

static void interrupts_running_code(void)
{
	pid_t pid = getpid(), c;

	signal(SIGUSR2, stop_spin);
	c = fork();
	if (!c) {
		usleep(20000);
		kill(pid, SIGUSR2);
		_exit(0);
	}
	while (spinning)
		;
	waitpid(c, NULL, 0);
}

int main(void)
{
	handlers();
	masks_and_queues();
	waiting();
	suspend();
	restarts();
	faults();
	fpu();
	default_actions();
	interrupts_running_code();
	return 0;
}
