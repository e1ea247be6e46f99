/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fs_open.c - open(2), openat2(2): flags, links, limits, restrictions
 */
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "guest.h"

static int openat2_(int dfd, const char *path, uint64_t flags, uint64_t resolve)
{
	struct open_how how = { .flags = flags, .resolve = resolve };

	return (int)syscall(SYS_openat2, dfd, path, &how, sizeof(how));
}

static void flags(void)
{
	int fd;
	struct stat st;
	char c;

	fd = open("f", O_CREAT | O_EXCL | O_RDWR, 0640);
	CHECK(fd >= 0);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0 && (st.st_mode & 07777) == 0640 && st.st_nlink == 1);
	CHECK(write(fd, "abc", 3) == 3);
	CHECK_ERRNO(open("f", O_CREAT | O_EXCL | O_RDWR, 0640), EEXIST);
	CHECK_ERRNO(open("f/", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("f/x", O_RDONLY), ENOTDIR);
	CHECK_ERRNO(open("none", O_RDONLY), ENOENT);
	CHECK_ERRNO(open("none/", O_CREAT | O_RDWR, 0600), EISDIR);
	CHECK_ERRNO(open("", O_RDONLY), ENOENT);
	CHECK_ERRNO(open((char *)8, O_RDONLY), EFAULT);
	CHECK_ERRNO(open(".", O_RDWR), EISDIR);
	CHECK_ERRNO(open(".", O_CREAT, 0600), EISDIR);
	CHECK_ERRNO(open("f", O_DIRECTORY | O_RDONLY), ENOTDIR);
	CHECK(close(fd) == 0);
	CHECK_ERRNO(close(fd), EBADF);
	fd = open("f", O_WRONLY);
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	close(fd);
	fd = open("f", O_RDONLY);
	CHECK_ERRNO(write(fd, &c, 1), EBADF);
	CHECK_ERRNO(read(fd, (void *)8, 1), EFAULT);
	close(fd);
	fd = open("f", O_WRONLY | O_APPEND);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(write(fd, "de", 2) == 2 && lseek(fd, 0, SEEK_CUR) == 5);
	CHECK(pwrite(fd, "f", 1, 0) == 1 && lseek(fd, 0, SEEK_END) == 6);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_APPEND)) == (O_WRONLY | O_APPEND));
	close(fd);
	fd = open("f", O_RDWR | O_TRUNC);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 0);
	close(fd);
	fd = open("f", O_PATH);
	CHECK(fd >= 0 && fstat(fd, &st) == 0);
	CHECK_ERRNO(read(fd, &c, 1), EBADF);
	CHECK_ERRNO(fchmod(fd, 0600), EBADF);
	close(fd);
}

static void links(void)
{
	char name[16], target[16] = "f";
	char longname[300];
	int fd;

	for (int n = 0; n < 42; n++) {
		snprintf(name, sizeof(name), "l%d", n);
		CHECK(symlink(target, name) == 0);
		strcpy(target, name);
	}
	fd = open("l39", O_RDONLY);
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERRNO(open("l40", O_RDONLY), ELOOP);
	CHECK_ERRNO(open("l0", O_RDONLY | O_NOFOLLOW), ELOOP);
	fd = open("l0", O_PATH | O_NOFOLLOW);
	struct stat st;
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(readlinkat(fd, "", longname, sizeof(longname)) == 1);
	close(fd);
	CHECK_ERRNO(open("l0", O_CREAT | O_EXCL | O_RDWR, 0600), EEXIST);
	memset(longname, 'a', sizeof(longname));
	longname[256] = 0;
	CHECK_ERRNO(open(longname, O_RDONLY), ENAMETOOLONG);
	longname[255] = 0;
	CHECK_ERRNO(open(longname, O_RDONLY), ENOENT);
	CHECK(symlink("made", "dangling") == 0);
	fd = open("dangling", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0 && access("made", F_OK) == 0);
	close(fd);
	CHECK_ERRNO(symlink("", "empty"), ENOENT);
	CHECK_ERRNO(readlink("f", name, 8), EINVAL);
	CHECK(readlink("l1", name, 1) == 1 && name[0] == 'l');
}

static void restricted(void)
{
	int d, fd;

	mkdir("dir", 0755);
	d = open("dir", O_PATH | O_DIRECTORY);
	CHECK(d >= 0);
	fd = openat(d, "in", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0);
	close(fd);
	fd = openat2_(d, "in", O_RDONLY, RESOLVE_BENEATH);
	if (fd < 0 && errno == ENOSYS)
		return;
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERRNO(openat2_(d, "../f", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(openat2_(d, "/f", O_RDONLY, RESOLVE_BENEATH), EXDEV);
	CHECK_ERRNO(openat2_(d, "../f", O_RDONLY, RESOLVE_IN_ROOT), ENOENT);
	fd = openat2_(d, "../../in", O_RDONLY, RESOLVE_IN_ROOT);
	CHECK(fd >= 0);
	close(fd);
	fd = openat2_(d, "/in", O_RDONLY, RESOLVE_IN_ROOT);
	CHECK(fd >= 0);
	close(fd);
	CHECK_ERRNO(openat2_(AT_FDCWD, "l0", O_RDONLY, RESOLVE_NO_SYMLINKS), ELOOP);
	CHECK_ERRNO(openat2_(AT_FDCWD, "/proc/self/exe", O_RDONLY, RESOLVE_NO_MAGICLINKS), ELOOP);
	CHECK_ERRNO(openat2_(AT_FDCWD, "/proc/self/status", O_RDONLY, RESOLVE_NO_XDEV), EXDEV);
	CHECK_ERRNO(openat2_(d, "in", O_RDONLY, RESOLVE_BENEATH | RESOLVE_IN_ROOT), EINVAL);
	CHECK_ERRNO(openat2_(d, "in", 1ull << 40, 0), EINVAL);
	close(d);
	CHECK_ERRNO(openat(d, "in", O_RDONLY), EBADF);
	fd = open("f", O_RDONLY);
	CHECK_ERRNO(openat(fd, "in", O_RDONLY), ENOTDIR);
	close(fd);
}

static void tmpfile_(void)
{
	struct stat st;
	char path[64];
	int fd = open(".", O_TMPFILE | O_RDWR, 0600);

	if (fd < 0 && errno == EOPNOTSUPP)
		return;
	CHECK(fd >= 0);
	CHECK(write(fd, "tmp", 3) == 3);
	CHECK(fstat(fd, &st) == 0 && st.st_nlink == 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (access(path, F_OK) == 0) {
		CHECK(linkat(AT_FDCWD, path, AT_FDCWD, "named", AT_SYMLINK_FOLLOW) == 0);
		CHECK(stat("named", &st) == 0 && st.st_size == 3 && st.st_nlink == 1);
	}
	close(fd);
	CHECK_ERRNO(open(".", O_TMPFILE | O_RDONLY, 0600), EINVAL);
}

int main(void)
{
	char dir[] = "/tmp/fs_open.XXXXXX";

	umask(0);
	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	flags();
	links();
	restricted();
	tmpfile_();
	return 0;
}
