/* SPDX-License-Identifier: Apache-2.0
 * test/guest/pid_dirs.c - descriptors of /proc/PID as names of processes (pidfd_send_signal(2))
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	char path[64];
	int st, fd, file;
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_DIRECTORY | O_CLOEXEC);
	CHECK(fd >= 0);
	CHECK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0) == 0);
	CHECK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0) == 0);
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
	file = open("/proc/self/status", O_RDONLY);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0), EBADF);
	file = open("/proc", O_RDONLY);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0), EBADF);
	return 0;
}
