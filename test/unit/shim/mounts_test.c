/* SPDX-License-Identifier: Apache-2.0
 * test/unit/shim/mounts_test.c - root file systems as containerd describes them, owners mapped and not
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/err.h"
#include "shim/mounts.h"

static char dir[] = "/tmp/mounts.XXXXXX", path[256];

static const char *at(const char *name)
{
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	return path;
}

static void put(const char *name, uid_t uid, gid_t gid)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);

	cr_assert_geq(fd, 0);
	cr_assert_eq(fchown(fd, uid, gid), 0);
	close(fd);
}

/* Two layers with a file each, in a mount namespace of our own. */
static bool set_up(void)
{
	static const char *const dirs[] = { "a", "b", "upper", "work" };

	if (geteuid() != 0 || unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return false;
	cr_assert(mkdtemp(dir));
	cr_assert_eq(mount("tmpfs", dir, "tmpfs", 0, NULL), 0);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++)
		cr_assert_eq(mkdir(at(dirs[i]), 0755), 0);
	put("a/root", 0, 0);
	put("b/user", 7, 8);
	return true;
}

static void tear_down(void)
{
	umount2(dir, MNT_DETACH);
	rmdir(dir);
}

static void check_owner(const char *name, uid_t uid, gid_t gid)
{
	struct stat st;

	cr_assert_eq(stat(at(name), &st), 0, "%s: %s", path, strerror(errno));
	cr_assert(st.st_uid == uid && st.st_gid == gid, "%s is of %u:%u", name, st.st_uid, st.st_gid);
}

/* @nr options in @opt. Return: as rootfs_mount() */
static int mount_root(const char *type, const char *source, char **opt, size_t nr, struct err *e)
{
	Ctypes__Mount m = CTYPES__MOUNT__INIT, *list[] = { &m };
	char target[128];

	snprintf(target, sizeof(target), "%s/rootfs", dir);
	m.type = (char *)type;
	m.source = (char *)source;
	m.options = opt;
	m.n_options = nr;
	return rootfs_mount(list, 1, target, e);
}

static char options[8][256];

static int mount_overlay(bool mapped, const char *uidmap, struct err *e)
{
	char *opt[8];

	for (size_t i = 0; i < ARRAY_SIZE(options); i++)
		opt[i] = options[i];
	snprintf(options[0], sizeof(options[0]), "lowerdir=%s/a:%s/b", dir, dir);
	snprintf(options[1], sizeof(options[1]), "upperdir=%s/upper", dir);
	snprintf(options[2], sizeof(options[2]), "workdir=%s/work", dir);
	snprintf(options[3], sizeof(options[3]), "uidmap=%s", uidmap);
	snprintf(options[4], sizeof(options[4]), "gidmap=0:300000:5,5:400000:1000");
	return mount_root("overlay", "overlay", opt, mapped ? 5 : 3, e);
}

Test(shim, rootfs_owners)
{
	struct err e = ERR_INIT;
	char bind[256];
	char *opt[] = { "rbind", "ro", "uidmap=0:200000:65536", "gidmap=0:300000:65536" };
	char target[128];

	if (!set_up())
		cr_skip_test("needs root");
	snprintf(target, sizeof(target), "%s/rootfs", dir);
	snprintf(bind, sizeof(bind), "%s/b", dir);

	cr_assert_eq(mount_overlay(false, "", &e), 0, "%s", e.msg);
	check_owner("rootfs/root", 0, 0);
	check_owner("rootfs/user", 7, 8);
	cr_assert_eq(rootfs_unmount(target, &e), 0);

	cr_assert_eq(mount_overlay(true, "0:200000:65536", &e), 0, "%s", e.msg);
	check_owner("rootfs/root", 200000, 300000);
	check_owner("rootfs/user", 200007, 400003);
	cr_assert_eq(rootfs_unmount(target, &e), 0);
	check_owner("b/user", 7, 8);

	cr_assert_eq(mount_root("bind", bind, opt, ARRAY_SIZE(opt), &e), 0, "%s", e.msg);
	check_owner("rootfs/user", 200007, 300008);
	cr_assert_lt(open(at("rootfs/new"), O_WRONLY | O_CREAT, 0600), 0);
	cr_assert_eq(errno, EROFS);
	cr_assert_eq(rootfs_unmount(target, &e), 0);
	tear_down();
}

Test(shim, rootfs_owners_wrong)
{
	struct err e = ERR_INIT;
	char *half[] = { "rbind", "uidmap=0:200000:65536" };

	if (!set_up())
		cr_skip_test("needs root");
	cr_assert_lt(mount_overlay(true, "nonsense", &e), 0);
	cr_assert_lt(mount_root("bind", dir, half, ARRAY_SIZE(half), &e), 0);
	cr_assert_not_null(strstr(e.msg, "go together"));
	/* nothing is left of the attempts: neither mounts nor directories */
	cr_assert_eq(rmdir(at("rootfs")), 0, "%s", strerror(errno));
	cr_assert_eq(rmdir(at("upper")), 0, "%s", strerror(errno));
	tear_down();
}
