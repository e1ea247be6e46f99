/* SPDX-License-Identifier: Apache-2.0
 * runsc/rootless.c - running without root: a user namespace of our own around everything
 *
 * Model:   a caller without privilege becomes root of a user namespace in which only its own id exists, with a mount namespace in which
 *          the gofer's mounts can be made. What follows is as ever: the Sentry's nobody is then the caller's id again, one level
 *          further down, without any capability there either. No cgroups, and of the network only loopback: both belong to the host.
 * Source:  user_namespaces(7).
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "runsc/cmd.h"

static int write_file(const char *path, const char *text, struct err *e)
{
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		return err_sys(e, "rootless: write %s", path);
	return 0;
}

int rootless_enter(struct lc_flags *f, struct err *e)
{
	char uid_map[32], gid_map[32];

	if (geteuid() == 0 || f->rootless == 0)
		return 0;
	snprintf(uid_map, sizeof(uid_map), "0 %u 1\n", (unsigned)geteuid());
	snprintf(gid_map, sizeof(gid_map), "0 %u 1\n", (unsigned)getegid());
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return err_sys(e, "rootless: a user namespace cannot be made");
	if (write_file("/proc/self/setgroups", "deny", e) < 0 || write_file("/proc/self/uid_map", uid_map, e) < 0 ||
	    write_file("/proc/self/gid_map", gid_map, e) < 0)
		return -1;
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys(e, "rootless: private mounts");
	f->ignore_cgroups = true;
	f->systemd_cgroup = false;
	return 0;
}
