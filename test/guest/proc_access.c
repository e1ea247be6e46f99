/* SPDX-License-Identifier: Apache-2.0
 * test/guest/proc_access.c - what another user may see of a process, and what nobody may write
 */
#include "guest.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[64], buf[4096];

static const char *of(int pid, const char *name)
{
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return path;
}

static int can_read(const char *p)
{
	int fd = open(p, O_RDONLY), n;

	if (fd < 0)
		return -errno;
	n = (int)read(fd, buf, sizeof(buf) - 1);
	close(fd);
	buf[n > 0 ? n : 0] = 0;
	return n < 0 ? -errno : n;
}

static void stranger(int parent)
{
	static const char *const secret[] = { "environ", "maps", "smaps", "auxv", "mem", "io", "syscall", "fd/0", "fdinfo/0" };
	static const char *const open_to_all[] = { "stat", "status", "cmdline", "comm", "statm", "limits", "cgroup", "mountinfo" };
	struct stat st;

	for (unsigned k = 0; k < sizeof(secret) / sizeof(secret[0]); k++)
		if (can_read(of(parent, secret[k])) != -EACCES)
			exit(10 + (int)k);
	for (unsigned k = 0; k < sizeof(open_to_all) / sizeof(open_to_all[0]); k++)
		if (can_read(of(parent, open_to_all[k])) <= 0)
			exit(30 + (int)k);
	if (readlink(of(parent, "exe"), buf, sizeof(buf)) != -1 || errno != EACCES)
		exit(50);
	if (readlink(of(parent, "cwd"), buf, sizeof(buf)) != -1 || errno != EACCES)
		exit(51);
	if (open(of(parent, "fd"), O_RDONLY) != -1 || errno != EACCES)
		exit(52);
	if (open(of(parent, "oom_score_adj"), O_WRONLY) != -1 || errno != EACCES)
		exit(53);
	if (stat(of(parent, "stat"), &st) || st.st_uid != 0 || stat(of(getpid(), ""), &st) || st.st_uid != 65534)
		exit(54);
	/* Addresses are hidden: startstack, start_code. */
	can_read(of(parent, "stat"));
	if (strtol(strrchr(buf, ')') + 2, NULL, 10))
		exit(55);
	exit(0);
}

int main(void)
{
	int st, parent = getpid(), fd;
	pid_t pid;

	if (getuid())
		SKIP("needs root");
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (setgid(65534) || setuid(65534) || prctl(PR_SET_DUMPABLE, 1))
			_exit(1);
		stranger(parent);
	}
	CHECK(waitpid(pid, &st, 0) == pid);
	if (st)
		fprintf(stderr, "status %x\n", st);
	CHECK(st == 0);

	CHECK_ERRNO(chmod("/proc/self/stat", 0777), EPERM);
	CHECK_ERRNO(unlink("/proc/self/stat"), EPERM);
	CHECK_ERRNO(rename("/proc/self/stat", "/proc/self/x"), ENOENT);
	CHECK_ERRNO(mkdir("/proc/self/x", 0755), ENOENT);
	fd = open("/proc/self/comm", O_WRONLY);
	CHECK(fd >= 0 && write(fd, "renamed-and-long-name\n", 22) == 22);
	close(fd);
	CHECK(prctl(PR_GET_NAME, buf) == 0 && !strcmp(buf, "renamed-and-lon"));
	fd = open("/proc/self/stat", O_WRONLY); /* the mode says no, but root may override it */
	CHECK(fd == -1 || (write(fd, "x", 1) == -1 && errno == EINVAL));
	return 0;
}
