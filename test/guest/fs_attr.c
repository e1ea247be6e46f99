/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fs_attr.c - modes, owners, times, extended attributes, rights of another user
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "guest.h"

static void modes(const char *f)
{
	struct stat st;
	struct timespec ts[2] = { { 1000, 5 }, { 2000, 6 } };
	struct statx x;
	int fd;

	fd = open(f, O_CREAT | O_RDWR, 0644);
	CHECK(fd >= 0);
	CHECK(chmod(f, 06755) == 0 && stat(f, &st) == 0 && (st.st_mode & 07777) == 06755);
	CHECK(chown(f, 5, 6) == 0 && stat(f, &st) == 0 && st.st_uid == 5 && st.st_gid == 6);
	CHECK((st.st_mode & 07777) == 0755);	/* a change of owner takes the set-id bits */
	CHECK(chown(f, -1, 7) == 0 && stat(f, &st) == 0 && st.st_uid == 5 && st.st_gid == 7);
	CHECK(utimensat(AT_FDCWD, f, ts, 0) == 0 && stat(f, &st) == 0);
	CHECK(st.st_atim.tv_sec == 1000 && st.st_atim.tv_nsec == 5 && st.st_mtim.tv_sec == 2000 && st.st_mtim.tv_nsec == 6);
	ts[0].tv_nsec = UTIME_OMIT;
	ts[1].tv_nsec = UTIME_NOW;
	CHECK(futimens(fd, ts) == 0 && fstat(fd, &st) == 0 && st.st_atim.tv_sec == 1000 && st.st_mtim.tv_sec > 2000);
	ts[1].tv_nsec = 2000000000;
	CHECK_ERRNO(futimens(fd, ts), EINVAL);
	CHECK(statx(AT_FDCWD, f, 0, STATX_BASIC_STATS, &x) == 0 && x.stx_mode == st.st_mode && x.stx_ino == st.st_ino && x.stx_uid == 5);
	CHECK(statx(fd, "", AT_EMPTY_PATH, STATX_ALL, &x) == 0 && x.stx_gid == 7);
	CHECK_ERRNO(chmod("none", 0600), ENOENT);
	CHECK_ERRNO(fchmodat(AT_FDCWD, f, 0600, 0x8000), EINVAL);
	close(fd);
}

static void xattrs(const char *f)
{
	char buf[64];

	if (setxattr(f, "user.one", "value", 5, 0) < 0 && errno == EOPNOTSUPP)
		return;
	CHECK(getxattr(f, "user.one", buf, sizeof(buf)) == 5 && !memcmp(buf, "value", 5));
	CHECK(getxattr(f, "user.one", NULL, 0) == 5);
	CHECK_ERRNO(getxattr(f, "user.one", buf, 3), ERANGE);
	CHECK_ERRNO(getxattr(f, "user.two", buf, 3), ENODATA);
	CHECK_ERRNO(setxattr(f, "user.one", "x", 1, XATTR_CREATE), EEXIST);
	CHECK_ERRNO(setxattr(f, "user.two", "x", 1, XATTR_REPLACE), ENODATA);
	CHECK_ERRNO(setxattr(f, "nonsense", "x", 1, 0), EOPNOTSUPP);
	CHECK(listxattr(f, buf, sizeof(buf)) >= 9);
	CHECK(removexattr(f, "user.one") == 0);
	CHECK_ERRNO(removexattr(f, "user.one"), ENODATA);
}

static int as_user(int (*fn)(const char *), const char *arg)
{
	int st;
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(1000) || setuid(1000))
			_exit(99);
		_exit(fn(arg));
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFEXITED(st));
	return WEXITSTATUS(st);
}

static int try_read(const char *p)
{
	return open(p, O_RDONLY) >= 0 ? 0 : errno;
}
static int try_write(const char *p)
{
	return open(p, O_WRONLY) >= 0 ? 0 : errno;
}
static int try_unlink(const char *p)
{
	return unlink(p) == 0 ? 0 : errno;
}
static int try_chmod(const char *p)
{
	return chmod(p, 0777) == 0 ? 0 : errno;
}
static int try_touch(const char *p)
{
	return utimensat(AT_FDCWD, p, NULL, 0) == 0 ? 0 : errno;
}
static int try_access(const char *p)
{
	return access(p, W_OK) == 0 ? 0 : errno;
}

static void rights(void)
{
	if (geteuid() != 0)
		return;
	chmod(".", 0755);
	mkdir("pub", 01777);
	chmod("pub", 01777);
	close(open("pub/f", O_CREAT | O_WRONLY, 0644));
	CHECK(as_user(try_read, "pub/f") == 0);
	CHECK(as_user(try_write, "pub/f") == EACCES);
	CHECK(as_user(try_access, "pub/f") == EACCES);
	CHECK(as_user(try_unlink, "pub/f") == EPERM);
	CHECK(as_user(try_chmod, "pub/f") == EPERM);
	CHECK(as_user(try_touch, "pub/f") == EACCES);
	chmod("pub/f", 0666);
	CHECK(as_user(try_touch, "pub/f") == 0);
	chmod("pub", 0700);
	CHECK(as_user(try_read, "pub/f") == EACCES);
	chmod("pub", 0711);
	CHECK(as_user(try_read, "pub/f") == 0);
	CHECK(as_user(try_read, "pub") == EACCES);
	chmod("pub/f", 0040);
	CHECK(chown("pub/f", 0, 1000) == 0 && as_user(try_read, "pub/f") == 0);
	chmod("pub/f", 0004);
	CHECK(as_user(try_read, "pub/f") == EACCES);	/* the group class alone decides for a member */
	unlink("pub/f");
	rmdir("pub");
}

int main(void)
{
	char dir[] = "/tmp/fs_attr.XXXXXX";
	struct statfs s;

	if (geteuid() != 0)
		SKIP("needs root");
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	modes("f");
	modes("/root/fs_attr_f");
	xattrs("f");
	rights();
	CHECK(statfs(".", &s) == 0 && s.f_bsize > 0 && s.f_namelen == 255);
	CHECK_ERRNO(statfs("none", &s), ENOENT);
	unlink("f");
	unlink("/root/fs_attr_f");
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
