/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_ptrace.c - ptrace: system call stops, registers, memory, signals, events, attach, single step
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile long word = 1;

static int wait_stop(pid_t pid)
{
	int st;

	CHECK(waitpid(pid, &st, __WALL) == pid);
	CHECK(WIFSTOPPED(st));
	return st >> 8;
}

static void syscalls(void)
{
	struct user_regs_struct r;
	int st, entries = 0;
	pid_t pid = fork();

	if (!pid) {
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		_exit(syscall(SYS_getppid) == 4242 && word == 77 ? 9 : 1);
	}
	CHECK(wait_stop(pid) == SIGSTOP);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	CHECK(ptrace(PTRACE_PEEKDATA, pid, &word, 0) == 1);
	CHECK(ptrace(PTRACE_POKEDATA, pid, &word, 77) == 0);
	for (int entry = 1;; entry = !entry) {
		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(waitpid(pid, &st, 0) == pid);
		if (WIFEXITED(st))
			break;
		CHECK(st >> 8 == (SIGTRAP | 0x80));
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
		if (entry)
			entries++;
		if (entry)
			CHECK((long)r.rax == -ENOSYS);
		if (!entry && r.orig_rax == SYS_getppid) {
			CHECK(r.rax == (unsigned long)getpid());
			r.rax = 4242;
			CHECK(ptrace(PTRACE_SETREGS, pid, 0, &r) == 0);
		}
	}
	CHECK(WEXITSTATUS(st) == 9 && entries >= 2);
}

static void signals(void)
{
	int st;
	siginfo_t si;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGUSR1);
		raise(SIGUSR2); /* replaced by SIGTERM */
		_exit(1);
	}
	CHECK(wait_stop(pid) == SIGUSR1);
	CHECK(ptrace(PTRACE_GETSIGINFO, pid, 0, &si) == 0 && si.si_signo == SIGUSR1 && si.si_code == SI_TKILL);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0); /* suppressed */
	CHECK(wait_stop(pid) == SIGUSR2);
	CHECK(ptrace(PTRACE_CONT, pid, 0, SIGTERM) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
}

static void events(void)
{
	unsigned long child;
	int st;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		pid = fork();
		if (!pid)
			_exit(3);
		waitpid(pid, &st, 0);
		_exit(WEXITSTATUS(st) + 1);
	}
	CHECK(wait_stop(pid) == SIGSTOP);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(wait_stop(pid) == (SIGTRAP | PTRACE_EVENT_FORK << 8));
	CHECK(ptrace(PTRACE_GETEVENTMSG, pid, 0, &child) == 0 && child > 0);
	CHECK(wait_stop((pid_t)child) == SIGSTOP);
	CHECK(ptrace(PTRACE_DETACH, child, 0, 0) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	for (;;) {
		CHECK(waitpid(pid, &st, 0) == pid);
		if (WIFEXITED(st))
			break;
		CHECK(ptrace(PTRACE_CONT, pid, 0, st >> 16 ? 0 : WSTOPSIG(st)) == 0);
	}
	CHECK(WEXITSTATUS(st) == 4);
}

static void attach(void)
{
	int st;
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	CHECK(ptrace(PTRACE_ATTACH, pid, 0, 0) == 0);
	CHECK(wait_stop(pid) == SIGSTOP);
	CHECK_ERRNO(ptrace(PTRACE_ATTACH, pid, 0, 0), EPERM);
	CHECK(ptrace(PTRACE_DETACH, pid, 0, 0) == 0);
	CHECK_ERRNO(ptrace(PTRACE_CONT, pid, 0, 0), ESRCH);
	CHECK(ptrace(PTRACE_SEIZE, pid, 0, 0) == 0);
	CHECK(ptrace(PTRACE_INTERRUPT, pid, 0, 0) == 0);
	CHECK(wait_stop(pid) == (SIGTRAP | 128 << 8));
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	kill(pid, SIGKILL);
	CHECK(waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
}

static void steps(void)
{
	struct user_regs_struct r;
	unsigned long before;
	int st;
	pid_t pid = fork();

	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		for (volatile int i = 0; i < 10000; i++)
			;
		_exit(6);
	}
	CHECK(wait_stop(pid) == SIGSTOP);
	for (int i = 0; i < 20; i++) {
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
		before = r.rip;
		CHECK(ptrace(PTRACE_SINGLESTEP, pid, 0, 0) == 0);
		CHECK(wait_stop(pid) == SIGTRAP);
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rip != before);
	}
	/* Text is the tracer's to change through /proc/PID/mem as well. */
	char path[64];
	int mem;
	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	mem = open(path, O_RDWR);
	CHECK(mem >= 0 && pread(mem, path, 1, (off_t)(long)_exit) == 1);
	CHECK(pwrite(mem, "\xcc", 1, (off_t)(long)_exit) == 1 && pwrite(mem, path, 1, (off_t)(long)_exit) == 1);
	close(mem);
	/* A breakpoint in text. */
	errno = 0;
	long text = ptrace(PTRACE_PEEKTEXT, pid, _exit, 0);

	CHECK(errno == 0);
	CHECK(ptrace(PTRACE_POKETEXT, pid, _exit, (text & ~0xffl) | 0xcc) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(wait_stop(pid) == SIGTRAP);
	CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0 && r.rip == (unsigned long)_exit + 1);
	CHECK(ptrace(PTRACE_POKETEXT, pid, _exit, text) == 0);
	r.rip--;
	CHECK(ptrace(PTRACE_SETREGS, pid, 0, &r) == 0);
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WEXITSTATUS(st) == 6);
}

/* At a call's exit stop its results are in memory. */
static void results(void)
{
	static char buf[16];
	int st, p[2];
	pid_t pid;

	CHECK(pipe(p) == 0 && write(p[1], "results", 7) == 7);
	pid = fork();
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, 0, 0);
		raise(SIGSTOP);
		_exit(syscall(SYS_read, p[0], buf, sizeof(buf)) == 7 ? 7 : 1);
	}
	CHECK(wait_stop(pid) == SIGSTOP);
	for (int n = 0, seen = 0; n < 50 && !seen; n++) {
		struct user_regs_struct r;

		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, 0) == 0);
		CHECK(wait_stop(pid) == SIGTRAP);
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
		if (r.orig_rax == SYS_read && (long)r.rax == 7) {
			long word = ptrace(PTRACE_PEEKDATA, pid, buf, 0);

			CHECK(!memcmp(&word, "results", 7));
			seen = 1;
		}
		CHECK(n < 49);
	}
	CHECK(ptrace(PTRACE_CONT, pid, 0, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7);
	close(p[0]);
	close(p[1]);
}

static volatile sig_atomic_t caught;

static void on_usr1(int sig)
{
	caught = sig;
}

/* A call that a signal ends keeps its result, in the tracee and before the eyes of its tracer, through handler and rt_sigreturn. */
static void through_handler(void)
{
	struct user_regs_struct r;
	int st, seen = 0;
	pid_t pid = fork();

	if (!pid) {
		sigset_t set;

		signal(SIGUSR1, on_usr1);
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		CHECK(ptrace(PTRACE_TRACEME, 0, 0, 0) == 0);
		raise(SIGSTOP);
		raise(SIGUSR1);
		sigemptyset(&set);
		errno = 0;
		_exit(sigsuspend(&set) == -1 && errno == EINTR && caught == SIGUSR1 ? 5 : 1);
	}
	CHECK(wait_stop(pid) == SIGSTOP);
	CHECK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACESYSGOOD) == 0);
	for (int sig = 0, returning = 0;;) {
		CHECK(ptrace(PTRACE_SYSCALL, pid, 0, sig) == 0);
		CHECK(waitpid(pid, &st, 0) == pid);
		if (WIFEXITED(st))
			break;
		sig = st >> 8 == SIGUSR1 ? SIGUSR1 : 0;
		if (st >> 8 != (SIGTRAP | 0x80))
			continue;
		CHECK(ptrace(PTRACE_GETREGS, pid, 0, &r) == 0);
		if (returning) {
			CHECK((long)r.rax == -EINTR);
			seen++;
		}
		returning = !returning && r.orig_rax == SYS_rt_sigreturn;
	}
	CHECK(WEXITSTATUS(st) == 5 && seen == 1);
}

int main(void)
{
	alarm(30);
	fprintf(stderr, "syscalls\n");
	syscalls();
	fprintf(stderr, "signals\n");
	signals();
	fprintf(stderr, "events\n");
	events();
	fprintf(stderr, "attach\n");
	attach();
	fprintf(stderr, "steps\n");
	steps();
	fprintf(stderr, "results\n");
	results();
	fprintf(stderr, "through_handler\n");
	through_handler();
	return 0;
}
