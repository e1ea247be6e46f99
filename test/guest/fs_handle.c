/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fs_handle.c - name_to_handle_at(2), open_by_handle_at(2): here and on a tmpfs
 * Inside with: CAP_DAC_READ_SEARCH
 */
#include "guest.h"

#include <fcntl.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

union handle {
	struct file_handle h;
	char room[sizeof(struct file_handle) + 128];
};

static int name(const char *path, union handle *h, int *mnt, int flags)
{
	memset(h, 0, sizeof(*h));
	h->h.handle_bytes = 128;
	return name_to_handle_at(AT_FDCWD, path, &h->h, mnt, flags);
}

static int same(const union handle *a, const union handle *b)
{
	return a->h.handle_type == b->h.handle_type && a->h.handle_bytes == b->h.handle_bytes &&
	       !memcmp(a->h.f_handle, b->h.f_handle, a->h.handle_bytes);
}

static int mount_id(const char *path)
{
	struct statx x;

	CHECK(statx(AT_FDCWD, path, 0, STATX_MNT_ID, &x) == 0);
	return (int)x.stx_mnt_id;
}

static void use(const char *dir)
{
	char b[16] = "";
	union handle h, g, k;
	struct stat st, st2;
	int mnt, fd, dfd, st_;

	CHECK(chdir(dir) == 0);
	dfd = open(".", O_RDONLY);
	CHECK(dfd >= 0);
	CHECK(mkdir("h.dir", 0700) == 0 && (fd = open("h.dir/f", O_RDWR | O_CREAT, 0600)) >= 0 && write(fd, "hello", 5) == 5 && close(fd) == 0);
	CHECK(symlink("f", "h.dir/l") == 0);
	if (name("h.dir/f", &h, &mnt, 0) < 0) {
		CHECK(errno == EOPNOTSUPP); /* a file system without: as overlay usually is */
		CHECK(unlink("h.dir/f") == 0 && unlink("h.dir/l") == 0 && rmdir("h.dir") == 0);
		return;
	}
	CHECK(mnt == mount_id("h.dir/f") && h.h.handle_bytes >= 8 && h.h.handle_bytes < 128);
	CHECK(name("h.dir/f", &g, &mnt, 0) == 0 && same(&h, &g));
	CHECK(name("h.dir/l", &g, &mnt, 0) == 0 && !same(&h, &g)); /* the link itself */
	CHECK(name("h.dir/l", &g, &mnt, AT_SYMLINK_FOLLOW) == 0 && same(&h, &g));
	CHECK(stat("h.dir/f", &st) == 0);

	fd = open_by_handle_at(dfd, &h.h, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && fstat(fd, &st2) == 0 && st.st_ino == st2.st_ino && st.st_dev == st2.st_dev);
	CHECK(read(fd, b, 16) == 5 && !strcmp(b, "hello") && fcntl(fd, F_GETFD) == FD_CLOEXEC && close(fd) == 0);
	CHECK(rename("h.dir/f", "h.dir/other") == 0); /* the name does not matter */
	fd = open_by_handle_at(AT_FDCWD, &h.h, O_WRONLY);
	CHECK(fd >= 0 && write(fd, "J", 1) == 1 && close(fd) == 0);
	CHECK(name("h.dir/other", &g, &mnt, 0) == 0 && same(&h, &g));
	CHECK(name("h.dir", &k, &mnt, 0) == 0);
	fd = open_by_handle_at(dfd, &k.h, O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0 && faccessat(fd, "other", R_OK, 0) == 0 && faccessat(fd, "../h.dir/other", R_OK, 0) == 0 && close(fd) == 0);
	fd = open("h.dir/other", O_PATH);
	memset(&g, 0, sizeof(g));
	g.h.handle_bytes = 128;
	CHECK(name_to_handle_at(fd, "", &g.h, &mnt, AT_EMPTY_PATH) == 0 && same(&h, &g) && close(fd) == 0);
	CHECK(name("h.dir/l", &g, &mnt, 0) == 0);
	CHECK_ERRNO(open_by_handle_at(dfd, &g.h, O_RDONLY), ELOOP);
	CHECK((fd = open_by_handle_at(dfd, &g.h, O_PATH)) >= 0 && readlinkat(fd, "", b, 16) == 1 && close(fd) == 0);

	CHECK_ERRNO(name("h.dir/none", &g, &mnt, 0), ENOENT);
	CHECK_ERRNO(name("h.dir/other", &g, &mnt, 0x100000), EINVAL);
	g.h.handle_bytes = 4;
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "h.dir/other", &g.h, &mnt, 0), EOVERFLOW);
	CHECK(g.h.handle_bytes == h.h.handle_bytes);
	g.h.handle_bytes = 129;
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "h.dir/other", &g.h, &mnt, 0), EINVAL);
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "h.dir/other", (void *)8, &mnt, 0), EFAULT);
	g = h;
	CHECK_ERRNO(name_to_handle_at(AT_FDCWD, "h.dir/other", &g.h, (void *)8, 0), EFAULT);
	CHECK_ERRNO(open_by_handle_at(999, &h.h, O_RDONLY), EBADF);
	CHECK_ERRNO(open_by_handle_at(dfd, (void *)8, O_RDONLY), EFAULT);
	g = h;
	g.h.handle_bytes = 0;
	CHECK_ERRNO(open_by_handle_at(dfd, &g.h, O_RDONLY), EINVAL);
	g.h.handle_bytes = 129;
	CHECK_ERRNO(open_by_handle_at(dfd, &g.h, O_RDONLY), EINVAL);
	g = h;
	g.h.f_handle[0] ^= 0x55;
	g.h.f_handle[1] ^= 0x77;
	CHECK_ERRNO(open_by_handle_at(dfd, &g.h, O_RDONLY), ESTALE);
	if (!fork()) {
		CHECK(setuid(12345) == 0);
		CHECK_ERRNO(open_by_handle_at(dfd, &h.h, O_RDONLY), EPERM);
		_exit(0);
	}
	CHECK(wait(&st_) > 0 && st_ == 0);
	CHECK(unlink("h.dir/other") == 0 && unlink("h.dir/l") == 0 && rmdir("h.dir") == 0);
	CHECK_ERRNO(open_by_handle_at(dfd, &h.h, O_RDONLY), ESTALE);
	CHECK_ERRNO(open_by_handle_at(dfd, &k.h, O_RDONLY), ESTALE);
	close(dfd);
}

int main(void)
{
	union handle h;
	int mnt;

	if (getuid() != 0)
		SKIP("not root");
	use(".");
	if (access("/dev/shm", W_OK) == 0)
		use("/dev/shm");
	CHECK_ERRNO(name("/proc/self/status", &h, &mnt, 0), EOPNOTSUPP);
	return 0;
}
