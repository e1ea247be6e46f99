/* SPDX-License-Identifier: Apache-2.0
 * test/guest/cred_ids.c - set*id, groups, capabilities, securebits, user namespaces
 */
#include "guest.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define IN_CHILD(body)                                                                             \
	do {                                                                                       \
		pid_t p_ = fork();                                                                 \
		int st_;                                                                           \
		CHECK(p_ >= 0);                                                                    \
		if (!p_) {                                                                         \
			body;                                                                      \
			_exit(0);                                                                  \
		}                                                                                  \
		CHECK(waitpid(p_, &st_, 0) == p_);                                                 \
		CHECK(st_ == 0);                                                                   \
	} while (0)

static unsigned long long caps(int set)
{
	struct __user_cap_header_struct h = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct d[2];

	CHECK(syscall(SYS_capget, &h, d) == 0);
	return set == 0 ? d[0].effective | (unsigned long long)d[1].effective << 32
			: d[0].permitted | (unsigned long long)d[1].permitted << 32;
}

static void ids(void)
{
	uid_t r, e, s;

	IN_CHILD({
		CHECK(setresuid(1, 2, 3) == 0);
		CHECK(getresuid(&r, &e, &s) == 0 && r == 1 && e == 2 && s == 3);
		CHECK(setuid(3) == 0 && geteuid() == 3 && getuid() == 1);
		CHECK_ERRNO(setuid(9), EPERM);
		CHECK_ERRNO(setresuid(9, -1, -1), EPERM);
		CHECK(setreuid(-1, 1) == 0 && geteuid() == 1);
	});
	IN_CHILD({
		CHECK(setgid(7) == 0 && getegid() == 7);
		CHECK(setuid(7) == 0);
		CHECK_ERRNO(setgid(0), EPERM);
		CHECK(caps(0) == 0 && caps(1) == 0);
	});
	IN_CHILD({
		CHECK(setfsuid(5) == 0);
		CHECK(setfsuid(-1) == 5);
	});
	IN_CHILD({ /* saved root: the effective set comes back */
		unsigned long long full = caps(1);

		CHECK(setresuid(-1, 1000, -1) == 0 && caps(0) == 0 && caps(1) == full);
		CHECK(setresuid(-1, 0, -1) == 0 && caps(0) == full);
	});
	IN_CHILD({
		CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
		unsigned long long full = caps(1);

		CHECK(setuid(1000) == 0 && caps(1) == full && caps(0) == 0);
	});
}

static void groups(void)
{
	gid_t g[3] = { 30, 10, 20 }, out[3];

	IN_CHILD({
		CHECK(setgroups(3, g) == 0);
		CHECK(getgroups(0, NULL) == 3);
		CHECK_ERRNO(getgroups(2, out), EINVAL);
		CHECK(getgroups(3, out) == 3 && out[0] == 10 && out[2] == 30);
		CHECK(setuid(1000) == 0);
		CHECK_ERRNO(setgroups(1, g), EPERM);
	});
}

static void bits(void)
{
	IN_CHILD({
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0 || 1);
		CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
		CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
		CHECK_ERRNO(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL);
		CHECK(prctl(PR_CAPBSET_READ, CAP_CHOWN) == 1);
		CHECK_ERRNO(prctl(PR_CAPBSET_READ, 200), EINVAL);
		CHECK_ERRNO(prctl(PR_SET_KEEPCAPS, 2), EINVAL);
	});
	if (!(caps(0) & 1ull << CAP_SETPCAP))
		return;
	IN_CHILD({
		CHECK(prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE) == 0);
		CHECK(prctl(PR_CAPBSET_READ, CAP_SYS_PTRACE) == 0);
		CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_CHOWN, 0, 0), EPERM); /* not inheritable */
		CHECK_ERRNO(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 99, 0, 0), EINVAL);
	});
}

static void name(void)
{
	char n[16];

	CHECK(prctl(PR_SET_NAME, "a-very-long-thread-name") == 0);
	CHECK(prctl(PR_GET_NAME, n) == 0 && !strcmp(n, "a-very-long-thr"));
}

static void user_namespace(void)
{
	IN_CHILD({
		if (unshare(CLONE_NEWUSER) < 0)
			_exit(errno == EPERM || errno == ENOSPC || errno == ENOSYS ? 0 : 1);
		CHECK(getuid() == 65534 && caps(0) != 0);
		int fd = open("/proc/self/uid_map", O_RDWR);

		if (fd >= 0) {
			CHECK(write(fd, "0 0 1", 5) == 5);
			CHECK(getuid() == 0);
			close(fd);
			CHECK((fd = open("/proc/self/uid_map", O_RDWR)) >= 0);
			CHECK_ERRNO(write(fd, "0 0 1", 5), EPERM); /* only once */
		}
		CHECK(sethostname("x", 1) == -1 && errno == EPERM); /* the host name is still the parent's */
	});
}

int main(void)
{
	if (getuid())
		SKIP("needs root");
	ids();
	groups();
	bits();
	name();
	user_namespace();
	return 0;
}
