/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mm_stack.c - stacks that grow: the main one beyond its first limit, MAP_GROWSDOWN, and where growth ends
 */
#include "guest.h"

#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static sigjmp_buf env;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	siglongjmp(env, si->si_code);
}

static int touch(volatile char *p)
{
	int code = sigsetjmp(env, 1);

	if (!code)
		*p = 1;
	return code;
}

static int deep(int n)
{
	volatile char frame[64 * 1024];

	frame[0] = frame[sizeof(frame) - 1] = (char)n;
	return n ? deep(n - 1) + frame[0] - frame[sizeof(frame) - 1] : 0;
}

/* A raised limit counts at once, not only for the next program. */
static void raised_limit(void)
{
	struct rlimit rl;
	pid_t pid = fork();
	int st;

	CHECK(pid >= 0);
	if (!pid) {
		getrlimit(RLIMIT_STACK, &rl);
		if (rl.rlim_max != RLIM_INFINITY && rl.rlim_max < 200ul << 20)
			_exit(77);
		rl.rlim_cur = 200ul << 20;
		_exit(setrlimit(RLIMIT_STACK, &rl) || deep(2400)); /* 150 MiB */
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && (WEXITSTATUS(st) == 0 || WEXITSTATUS(st) == 77));
}

/* Beyond the limit there is SIGSEGV, on the alternate stack. */
static void overflow(void)
{
	struct rlimit rl = { 1 << 20, 0 };
	pid_t pid = fork();
	int st;

	CHECK(pid >= 0);
	if (!pid) {
		getrlimit(RLIMIT_STACK, &rl);
		rl.rlim_cur = 16ul << 20;
		setrlimit(RLIMIT_STACK, &rl);
		signal(SIGSEGV, SIG_DFL);
		_exit(deep(100000));
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGSEGV);
}

static void growsdown(void)
{
	char *area = mmap(NULL, 1024 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), *p;

	CHECK(area != MAP_FAILED && munmap(area, 1024 * P) == 0);
	p = mmap(area + 1000 * P, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	CHECK(p == area + 1000 * P);
	CHECK(touch(p) == 0 && touch(p - 1) == 0 && touch(p - 20 * P) == 0 && touch(p - 400 * P) == 0);
	for (long k = 1; k <= 400; k++)
		CHECK(touch(p - k * (long)P) == 0);
	CHECK(mprotect(p - 10 * P, 2 * P, PROT_READ) == 0);
	CHECK(touch(p - 9 * P) == SEGV_ACCERR);
	CHECK(munmap(p - 400 * P, 402 * P) == 0);
	CHECK(touch(p) == SEGV_MAPERR);
}

int main(void)
{
	static char alt[65536];
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK };
	stack_t ss = { .ss_sp = alt, .ss_size = sizeof(alt) };

	sigaltstack(&ss, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	growsdown();
	raised_limit();
	overflow();
	return 0;
}
