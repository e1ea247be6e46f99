/* SPDX-License-Identifier: Apache-2.0
 * runsc/lib/idmap.c - see idmap.h
 *
 * Model:   the kernel takes a mapping only as a user namespace, and a user namespace needs a process to write its maps
 *          for: a child is made that does nothing, and killed once its namespace is open.
 * Source:  mount_setattr(2) "ID-mapped mounts", user_namespaces(7).
 */
#include "runsc/lib/idmap.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"

static int open_child(pid_t pid, const char *name, int flags)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	return open(path, flags | O_CLOEXEC);
}

static int write_map(pid_t pid, const char *name, const char *map, struct err *e)
{
	AUTO_CLOSE int fd = open_child(pid, name, O_WRONLY);
	int ret;

	if (fd < 0)
		return err_sys(e, "open %s", name);
	ret = write_full(fd, map, strlen(map)); /* the kernel wants it in one piece; it is one write */
	if (ret < 0) {
		errno = -ret;
		return err_sys(e, "id mapping \"%s\"", map);
	}
	return 0;
}

int idmap_userns(const char *uid_map, const char *gid_map, struct err *e)
{
	int pidfd = -1, fd = -1;
	siginfo_t si;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_NEWUSER | CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL, NULL);

	if (pid < 0)
		return err_sys(e, "make a user namespace");
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	if (write_map(pid, "uid_map", uid_map, e) == 0 && write_map(pid, "gid_map", gid_map, e) == 0) {
		fd = open_child(pid, "ns/user", O_RDONLY);
		if (fd < 0)
			err_sys(e, "open the user namespace of a mapping");
	}
	syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
	/* ECHILD: somebody who reaps everything was faster */
	while (waitid(P_PIDFD, (id_t)pidfd, &si, WEXITED) < 0 && errno == EINTR)
		;
	close(pidfd);
	return fd;
}

int clone_tree(const char *path, bool recursive, struct err *e)
{
	int fd = open_tree(AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? AT_RECURSIVE : 0));

	return fd < 0 ? err_sys(e, "mount source %s", path) : fd;
}

int idmap_tree(const char *path, bool recursive, bool rec_map, int userns, struct err *e)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_IDMAP, .userns_fd = (uint64_t)userns };
	AUTO_CLOSE int fd = clone_tree(path, recursive, e);

	if (fd < 0)
		return -1;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | (rec_map ? AT_RECURSIVE : 0), &a, sizeof(a)) < 0)
		return err_sys(e, "map the owners of %s", path);
	return TAKE_FD(fd);
}
