/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mount_tree.c - mount namespaces, bind mounts, propagation, flags, move, umount, pivot_root
 * Inside with: CAP_SYS_ADMIN
 */
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest.h"

static void touch(const char *p)
{
	int fd = open(p, O_CREAT | O_WRONLY, 0600);

	CHECK(fd >= 0);
	close(fd);
}

/* Fuzzing found: a new root above the root made a circle of mounts. */
static void pivot_upwards(void)
{
	pid_t pid;
	int st;

	CHECK(mkdir("p", 0755) == 0 && mount("1", "p", "tmpfs", 0, NULL) == 0 && mkdir("p/q", 0755) == 0);
	CHECK(mount("2", "p/q", "tmpfs", 0, NULL) == 0 && mkdir("p/q/r", 0755) == 0 && mount("3", "p/q/r", "tmpfs", 0, NULL) == 0);
	pid = fork();
	if (!pid) {
		CHECK(chdir("p") == 0 && chroot("q") == 0);
		CHECK_ERRNO(syscall(SYS_pivot_root, ".", "/r"), EINVAL);
		_exit(0);
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st) && WEXITSTATUS(st) == 0);
	CHECK(umount2("p", MNT_DETACH) == 0 && rmdir("p") == 0);
}

int main(void)
{
	char dir[] = "/tmp/mount_tree.XXXXXX";
	char link[64];
	int fd, at;

	if (unshare(CLONE_NEWNS) < 0)
		SKIP("no privilege for a mount namespace");
	CHECK(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0);
	CHECK(mkdtemp(dir) && mount("t", dir, "tmpfs", 0, "size=1m,mode=755") == 0 && chdir(dir) == 0);
	mkdir("a", 0755);
	mkdir("b", 0755);
	mkdir("a/s", 0755);
	/* bind, recursive or not */
	CHECK(mount("x", "a/s", "tmpfs", 0, NULL) == 0);
	touch("a/s/f");
	CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0 && access("b/s", F_OK) == 0);
	CHECK_ERRNO(access("b/s/f", F_OK), ENOENT);
	CHECK(umount("b") == 0);
	CHECK(mount("a", "b", NULL, MS_BIND | MS_REC, NULL) == 0 && access("b/s/f", F_OK) == 0);
	CHECK_ERRNO(umount("b"), EBUSY);
	CHECK(umount2("b", MNT_DETACH) == 0);
	CHECK_ERRNO(umount("b"), EINVAL);
	/* flags of one mount */
	CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0);
	CHECK(mount(NULL, "b", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) == 0);
	CHECK_ERRNO(open("b/new", O_CREAT | O_WRONLY, 0600), EROFS);
	touch("a/new");
	CHECK_ERRNO(unlink("b/new"), EROFS);
	CHECK_ERRNO(mkdir("b/d", 0755), EROFS);
	CHECK(umount("b") == 0);
	/* busy */
	fd = open("a/s/f", O_RDONLY);
	CHECK_ERRNO(umount("a/s"), EBUSY);
	close(fd);
	CHECK(umount("a/s") == 0);
	/* shared: an event on one peer is seen on the other */
	CHECK(mount("a", "a", NULL, MS_BIND, NULL) == 0 && mount(NULL, "a", NULL, MS_SHARED, NULL) == 0);
	CHECK(mount("a", "b", NULL, MS_BIND, NULL) == 0);
	CHECK(mount("x", "b/s", "tmpfs", 0, NULL) == 0);
	touch("b/s/g");
	CHECK(access("a/s/g", F_OK) == 0);
	CHECK(umount("a/s") == 0);
	CHECK_ERRNO(access("b/s/g", F_OK), ENOENT);
	/* a slave receives, and does not send */
	CHECK(mount(NULL, "b", NULL, MS_SLAVE, NULL) == 0);
	CHECK(mount("x", "a/s", "tmpfs", 0, NULL) == 0);
	touch("a/s/h");
	CHECK(access("b/s/h", F_OK) == 0);
	CHECK(umount("b/s") == 0 && access("a/s/h", F_OK) == 0);
	CHECK(umount("a/s") == 0 && umount("b") == 0 && umount("a") == 0);
	/* a mount inside what it shows does not receive itself */
	CHECK(mount("p", "a", "tmpfs", 0, NULL) == 0 && mount(NULL, "a", NULL, MS_SHARED, NULL) == 0 && mkdir("a/in", 0755) == 0);
	CHECK(mount("a", "a/in", NULL, MS_BIND, NULL) == 0 && umount("a/in") == 0 && umount("a") == 0);
	/* nothing covers a link of /proc/PID/fd */
	touch("link");
	fd = open("link", O_RDONLY);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	at = open(link, O_PATH | O_NOFOLLOW);
	CHECK(at >= 0);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", at);
	CHECK_ERRNO(mount("link", link, NULL, MS_BIND, NULL), ENOENT);
	close(at);
	close(fd);
	/* move, unbindable */
	CHECK(mount("m", "a", "tmpfs", 0, NULL) == 0);
	touch("a/moved");
	CHECK(mount("a", "b", NULL, MS_MOVE, NULL) == 0 && access("b/moved", F_OK) == 0);
	CHECK_ERRNO(access("a/moved", F_OK), ENOENT);
	CHECK(mount(NULL, "b", NULL, MS_UNBINDABLE, NULL) == 0);
	CHECK_ERRNO(mount("b", "a", NULL, MS_BIND, NULL), EINVAL);
	CHECK(umount("b") == 0);
	CHECK_ERRNO(mount("x", "a", "nosuchfs", 0, NULL), ENODEV);
	CHECK_ERRNO(mount("x", "none", "tmpfs", 0, NULL), ENOENT);
	CHECK_ERRNO(mount("x", "a", "tmpfs", 0, "size=banana"), EINVAL);
	pivot_upwards();
	/* a new root */
	CHECK(mount("r", "a", "tmpfs", 0, NULL) == 0 && mkdir("a/old", 0755) == 0);
	touch("a/inside");
	CHECK(chdir("a") == 0 && syscall(SYS_pivot_root, ".", "old") == 0 && chdir("/") == 0);
	CHECK(access("/inside", F_OK) == 0 && access("/old/tmp", F_OK) == 0);
	CHECK(umount2("/old", MNT_DETACH) == 0 && rmdir("/old") == 0);
	CHECK_ERRNO(access("/tmp", F_OK), ENOENT);
	return 0;
}
