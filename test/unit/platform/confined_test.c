/* SPDX-License-Identifier: Apache-2.0
 * test/unit/platform/confined_test.c - the same with nobody privileged: a Sentry without capabilities in its own user
 *     namespace, a zygote in namespaces below it, as the lifecycle library makes them
 *
 * Source:  user_namespaces(7): a process whose effective user id created a user namespace has all capabilities in it;
 *          that, and equal ids, is what lets the Sentry reach guest memory without holding any capability.
 */
#include "harness.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

TestSuite(platform_confined, .timeout = 30);

#define NOBODY 65534

static void map_write(pid_t pid, const char *file, const char *text)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		_exit(90);
	close(fd);
}

static void caps_drop(void)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

	if (syscall(SYS_capset, &h, none))
		_exit(91);
}

/* The Sentry's place: user namespace with one id, no capability. */
static void become_sentry(void)
{
	int go[2], ready[2];
	char c = 0;
	pid_t helper;

	if (pipe(go) || pipe(ready))
		_exit(92);
	helper = fork();
	if (helper == 0) {
		pid_t parent = getppid();

		if (read(go[0], &c, 1) != 1)
			_exit(1);
		map_write(parent, "setgroups", "deny");
		map_write(parent, "gid_map", "65534 65534 1");
		map_write(parent, "uid_map", "65534 65534 1");
		_exit(write(ready[1], &c, 1) != 1);
	}
	if (unshare(CLONE_NEWUSER) || write(go[1], &c, 1) != 1 || read(ready[0], &c, 1) != 1)
		_exit(93);
	waitpid(helper, NULL, 0);
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
		_exit(94);
	caps_drop();
	prctl(PR_SET_DUMPABLE, 1, 0, 0, 0); /* /proc/self/uid_map of the zygote's own is written by itself */
}

/* Runs in the forked child that becomes the zygote. */
static void become_zygote(void)
{
	pid_t pid;

	if (unshare(CLONE_NEWUSER))
		_exit(95);
	map_write(getpid(), "setgroups", "deny");
	map_write(getpid(), "gid_map", "65534 65534 1");
	map_write(getpid(), "uid_map", "65534 65534 1");
	if (unshare(CLONE_NEWPID | CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS))
		_exit(96);
	pid = fork(); /* into the pid namespace, as its first process */
	if (pid) {
		waitpid(pid, NULL, 0);
		_exit(0);
	}
}

GUEST static void guest_confined(long arg)
{
	char s[] = "confined";
	long r = G3(1, 1, s, 8);

	if (r == 8 && G0(57) == 0)
		G1(T_EXIT, 7);
	for (;;)
		G2(T_REPORT, r, s[0]);
}

static void check_confined(struct uzygote *z, void *arg)
{
	struct uthread *u = harness_guest(z, guest_confined, 0), *child;
	char buf[8], peek[4];

	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(umem_copy_in(u, buf, GPTR(u->args[1]), 8), 0);
	cr_assert_eq(uspace_read(u->space, peek, u->args[1], 4), 4);
	cr_assert_eq(memcmp(peek, "conf", 4), 0);
	cr_assert_eq(uspace_write(u->space, u->args[1], "X", 1), 1);
	uthread_set_ret(u, 8);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->sysno, 57u);
	cr_assert_eq(uthread_fork(u, false, &child), 0);
	uthread_set_ret(child, 0);
	uthread_set_ret(u, 1);
	cr_assert_eq(uthread_run(child), UEV_SYSCALL);
	cr_assert_eq(child->args[0], 7u);
	cr_assert_eq(uspace_read(child->space, peek, GUEST_TEXT, 4), 4);
	uthread_kick(u);
	cr_assert_eq(uthread_run(u), UEV_INTERRUPT);
	cr_assert_eq(uthread_run(u), UEV_SYSCALL);
	cr_assert_eq(u->args[1], (uint64_t)'X');
	uthread_free(child);
	uspace_kill(u->space);
	cr_assert_eq(uthread_run(u), UEV_DEAD);
	uthread_free(u);
}

Test(platform_confined, no_privilege_anywhere)
{
	int status;
	pid_t pid;

	HARNESS_OR_SKIP();
	pid = fork();
	if (pid == 0) {
		become_sentry();
		harness_before_zygote = become_zygote;
		harness_run(0, check_confined, NULL);
		_exit(0);
	}
	cr_assert_eq(waitpid(pid, &status, 0), pid);
	cr_assert(WIFEXITED(status), "signal %d", WTERMSIG(status));
	cr_assert_eq(WEXITSTATUS(status), 0);
}
