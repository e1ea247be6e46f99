/* SPDX-License-Identifier: Apache-2.0
 * test/guest/wait_status.c - wait4, waitid: ends, stops, continues, options, job control
 */
#include "guest.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile int chld;
static siginfo_t last;

static void on_chld(int sig, siginfo_t *si, void *ctx)
{
	chld++;
	last = *si;
}

static pid_t sleeper(void)
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid)
		for (;;)
			pause();
	return pid;
}

static void stops(void)
{
	struct sigaction sa = { .sa_sigaction = on_chld, .sa_flags = SA_SIGINFO | SA_RESTART };
	siginfo_t si = { 0 };
	pid_t pid;
	int st;

	sigaction(SIGCHLD, &sa, NULL);
	pid = sleeper();
	CHECK(setpgid(pid, pid) == 0); /* our group may be orphaned, where SIGTSTP does nothing */
	CHECK(waitpid(pid, &st, WNOHANG) == 0);
	CHECK(kill(pid, SIGSTOP) == 0);
	CHECK(waitpid(pid, &st, WUNTRACED) == pid && WIFSTOPPED(st) && WSTOPSIG(st) == SIGSTOP);
	CHECK(chld == 1 && last.si_code == CLD_STOPPED && last.si_status == SIGSTOP && last.si_pid == pid);
	CHECK(waitpid(pid, &st, WNOHANG | WUNTRACED) == 0); /* taken once */
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &st, WCONTINUED) == pid && WIFCONTINUED(st));
	CHECK(kill(pid, SIGTSTP) == 0);
	CHECK(waitid(P_PID, pid, &si, WSTOPPED | WNOWAIT) == 0 && si.si_status == SIGTSTP);
	CHECK(waitid(P_PID, pid, &si, WSTOPPED) == 0 && si.si_code == CLD_STOPPED);
	/* A stopped process still dies by SIGKILL. */
	CHECK(kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WTERMSIG(st) == SIGKILL);
	signal(SIGCHLD, SIG_DFL);
}

static void options(void)
{
	siginfo_t si = { .si_pid = 99 };
	struct rusage ru;
	pid_t pid = fork(), other;
	int st;

	if (!pid)
		_exit(5);
	CHECK(waitid(P_PID, pid, &si, WEXITED | WNOWAIT) == 0 && si.si_pid == pid && si.si_status == 5);
	CHECK(waitid(P_ALL, 0, &si, WEXITED | WNOWAIT) == 0 && si.si_pid == pid);
	CHECK(wait4(pid, &st, 0, &ru) == pid && WEXITSTATUS(st) == 5);
	other = sleeper();
	CHECK(waitid(P_PID, other, &si, WEXITED | WNOHANG) == 0 && si.si_pid == 0);
	CHECK_ERRNO(waitid(P_PID, other, &si, 0), EINVAL);
	CHECK_ERRNO(waitpid(-12345, &st, 0), ECHILD);
	CHECK_ERRNO(wait4(other, &st, 0x100, NULL), EINVAL);
	kill(other, SIGKILL);
	CHECK(waitpid(0, &st, 0) == other);
	CHECK_ERRNO(wait(&st), ECHILD);
}

static void pidfds(void)
{
	pid_t pid = sleeper();
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { fd, POLLIN, 0 };

	CHECK(fd >= 0);
	CHECK(poll(&p, 1, 0) == 0);
	CHECK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
	CHECK(poll(&p, 1, 5000) == 1);
	CHECK(waitpid(pid, NULL, 0) == pid);
	close(fd);
	CHECK_ERRNO(syscall(SYS_pidfd_open, 0, 0), EINVAL);
	/* ENOENT: the number is a thread's that happens to run just now */
	CHECK(syscall(SYS_pidfd_open, 31998, 0) == -1 && (errno == ESRCH || errno == ENOENT));
}

/* Stopped members of a group that becomes orphaned get SIGHUP and SIGCONT. */
static void orphans(void)
{
	int fd[2], st;
	pid_t pid;
	char c;

	CHECK(pipe(fd) == 0);
	pid = fork();
	if (!pid) {
		close(fd[0]);
		setsid();
		pid = fork();
		if (!pid) {
			pid_t g = fork();

			if (!g) {
				setpgid(0, 0);
				signal(SIGHUP, SIG_DFL);
				raise(SIGSTOP);
				for (;;)
					pause();
			}
			setpgid(g, g);
			waitpid(g, &st, WUNTRACED);
			_exit(0); /* the group has no parent in the session any more */
		}
		waitpid(pid, NULL, 0);
		_exit(0);
	}
	close(fd[1]);
	CHECK(waitpid(pid, &st, 0) == pid);
	CHECK(read(fd[0], &c, 1) == 0); /* all copies of the write end are gone: the orphan died by SIGHUP */
	close(fd[0]);
}

/* The first process of a pid namespace has a parent outside, which gets its status. */
static void namespace_init(void)
{
	struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls; } ca = {
		.flags = CLONE_NEWUSER | CLONE_NEWPID, .exit_signal = SIGCHLD };
	int st = 0;
	long pid = syscall(435 /* clone3 */, &ca, sizeof(ca));

	if (pid < 0 && (errno == EPERM || errno == ENOSYS || errno == ENOSPC))
		return; /* no user namespaces here */
	CHECK(pid >= 0);
	if (!pid) {
		pid_t in = fork();

		if (!in)
			for (;;)
				pause(); /* killed with its namespace */
		_exit(in > 0 && getpid() == 1 ? 7 : 1);
	}
	CHECK(waitpid((pid_t)pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 7);
}

int main(void)
{
	alarm(30);
	stops();
	options();
	pidfds();
	orphans();
	namespace_init();
	return 0;
}
