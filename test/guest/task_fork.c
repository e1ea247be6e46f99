/* SPDX-License-Identifier: Apache-2.0
 * test/guest/task_fork.c - fork, vfork, clone and its flags, exec, sessions and process groups
 */
#include "guest.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static int status_of(pid_t pid)
{
	int st;

	CHECK(waitpid(pid, &st, 0) == pid);
	return st;
}

static void fork_copies(void)
{
	static int v = 1;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		v = 2;
		_exit(getppid() > 0 && v == 2 ? 7 : 1);
	}
	CHECK(WEXITSTATUS(status_of(pid)) == 7);
	CHECK(v == 1);
	CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

static void vfork_shares(void)
{
	static volatile int v = 1;
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (!pid) {
		v = 5;
		_exit(3);
	}
	CHECK(v == 5); /* the child ran first, in our memory */
	CHECK(WEXITSTATUS(status_of(pid)) == 3);
}

static void spawn_self(const char *self)
{
	char *argv[] = { (char *)self, "child", "a b", NULL };
	pid_t pid;

	CHECK(posix_spawn(&pid, self, NULL, NULL, argv, environ) == 0);
	CHECK(WEXITSTATUS(status_of(pid)) == 42);
	CHECK(posix_spawn(&pid, "/no/such", NULL, NULL, argv, environ) == ENOENT);
}

static void *thread_fn(void *arg)
{
	*(pid_t *)arg = (pid_t)syscall(SYS_gettid);
	return (void *)11;
}

static void threads(void)
{
	pthread_t th[20];
	pid_t tid[20];
	void *ret;

	for (int i = 0; i < 20; i++)
		CHECK(pthread_create(&th[i], NULL, thread_fn, &tid[i]) == 0);
	for (int i = 0; i < 20; i++) {
		CHECK(pthread_join(th[i], &ret) == 0);
		CHECK(ret == (void *)11 && tid[i] != getpid() && tid[i] > 0);
	}
}

static void *exec_from_thread(void *arg)
{
	char *argv[] = { arg, "leader", NULL };

	execv(arg, argv);
	_exit(99);
}

static void *sleeper(void *arg)
{
	pause();
	return NULL;
}

/* exec by a thread that is not the leader: the process keeps its id, the others are gone. */
static void exec_in_thread(const char *self)
{
	pid_t pid = fork();
	pthread_t th;

	if (!pid) {
		pthread_create(&th, NULL, sleeper, NULL);
		pthread_create(&th, NULL, exec_from_thread, (void *)self);
		pause();
		_exit(98);
	}
	CHECK(WEXITSTATUS(status_of(pid)) == 43);
}

static void clone_errors(void)
{
	struct clone_args ca = { 0 };

	CHECK_ERRNO(syscall(SYS_clone, CLONE_THREAD, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_SIGHAND, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_FS | CLONE_NEWNS, 0, 0, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone3, &ca, 8), EINVAL);
	ca.exit_signal = 200;
	CHECK_ERRNO(syscall(SYS_clone3, &ca, sizeof(ca)), EINVAL);
}

static void clone3_pidfd(void)
{
	int pidfd = -1;
	pid_t ptid = 0;
	struct clone_args ca = { .flags = CLONE_PIDFD | CLONE_PARENT_SETTID, .pidfd = (uintptr_t)&pidfd,
				 .parent_tid = (uintptr_t)&ptid, .exit_signal = SIGCHLD };
	long pid = syscall(SYS_clone3, &ca, sizeof(ca));
	siginfo_t si = { 0 };

	CHECK(pid >= 0);
	if (!pid)
		_exit(9);
	CHECK(ptid == pid && pidfd >= 0);
	CHECK(fcntl(pidfd, F_GETFD) == FD_CLOEXEC);
	CHECK(waitid(P_PIDFD, pidfd, &si, WEXITED) == 0);
	CHECK(si.si_pid == pid && si.si_status == 9 && si.si_code == CLD_EXITED && si.si_signo == SIGCHLD);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, 0, NULL, 0), ESRCH);
	close(pidfd);
}

static void sessions(void)
{
	pid_t pid = fork();

	if (!pid) {
		pid_t me = getpid();

		CHECK(setsid() == me && getpgrp() == me && getsid(0) == me);
		CHECK_ERRNO(setsid(), EPERM);
		CHECK_ERRNO(setpgid(0, 0), EPERM); /* a session leader stays */
		pid = fork();
		if (!pid) {
			CHECK(getpgrp() == me && getsid(0) == me);
			CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
			CHECK(setpgid(0, me) == 0 && getpgrp() == me);
			CHECK_ERRNO(setpgid(0, 30000), EPERM);
			_exit(0);
		}
		CHECK(status_of(pid) == 0);
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	CHECK_ERRNO(setpgid(0, -1), EINVAL);
	CHECK_ERRNO(getpgid(31999), ESRCH);
}

static void subreaper(void)
{
	pid_t pid, me = getpid();
	int st;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	pid = fork();
	if (!pid) {
		if (!fork()) {
			while (getppid() != me)
				usleep(1000);
			_exit(21);
		}
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	CHECK(waitpid(-1, &st, 0) > 0 && WEXITSTATUS(st) == 21);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
}

static void shared_files(void)
{
	pid_t pid;
	static char stack[65536] __attribute__((aligned(16)));
	int closed_in_child(void *arg)
	{
		return close(*(int *)arg);
	}
	int fd = open("/proc/self/exe", O_RDONLY);

	if (fd < 0)
		fd = dup(2);
	pid = clone(closed_in_child, stack + sizeof(stack), CLONE_FILES | CLONE_VM | SIGCHLD, &fd);
	CHECK(pid > 0);
	CHECK(status_of(pid) == 0);
	CHECK_ERRNO(close(fd), EBADF);
}

/* A child without an exit signal stays a zombie until __WCLONE or __WALL takes it. */
static void silent_child(void)
{
	int st = -1;
	pid_t pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);

	CHECK(pid >= 0);
	if (!pid)
		_exit(5);
	usleep(20000);
	CHECK_ERRNO(waitpid(pid, &st, 0), ECHILD);
	CHECK(waitpid(pid, &st, __WCLONE) == pid && WEXITSTATUS(st) == 5);
	pid = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, NULL);
	if (!pid)
		_exit(6);
	CHECK(waitpid(pid, &st, __WALL) == pid && WEXITSTATUS(st) == 6);
}

int main(int argc, char **argv)
{
	if (argc > 1 && !strcmp(argv[1], "child"))
		return argc == 3 && !strcmp(argv[2], "a b") ? 42 : 1;
	if (argc > 1 && !strcmp(argv[1], "leader"))
		return getpid() == syscall(SYS_gettid) ? 43 : 2;
	fork_copies();
	vfork_shares();
	spawn_self(argv[0]);
	threads();
	exec_in_thread(argv[0]);
	clone_errors();
	clone3_pidfd();
	sessions();
	subreaper();
	silent_child();
	shared_files();
	for (int i = 0; i < 300; i++) {
		pid_t pid = fork();

		if (!pid)
			_exit(i & 0x7f);
		CHECK(WEXITSTATUS(status_of(pid)) == (i & 0x7f));
	}
	return 0;
}
