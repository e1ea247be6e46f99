/* SPDX-License-Identifier: Apache-2.0
 * test/guest/fs_data.c - content: sparse files, seeking, truncation, vectors, fallocate, mapping, memfd seals, copying
 */
#include <fcntl.h>
#include <stdint.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "guest.h"

static void sparse(const char *name)
{
	struct stat st;
	char buf[4096];
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);

	CHECK(fd >= 0);
	CHECK(pwrite(fd, "end", 3, 1 << 20) == 3);
	CHECK(fstat(fd, &st) == 0 && st.st_size == (1 << 20) + 3);
	CHECK(pread(fd, buf, sizeof(buf), (1 << 20) - 10) == 13 && buf[0] == 0 && !memcmp(buf + 10, "end", 3));
	CHECK(lseek(fd, 0, SEEK_DATA) <= 1 << 20);
	CHECK(lseek(fd, 1 << 20, SEEK_HOLE) == (1 << 20) + 3);
	CHECK_ERRNO(lseek(fd, 2 << 20, SEEK_DATA), ENXIO);
	CHECK_ERRNO(lseek(fd, -1, SEEK_SET), EINVAL);
	CHECK_ERRNO(pread(fd, buf, 1, -1), EINVAL);
	CHECK_ERRNO(lseek(fd, 0, 99), EINVAL);
	CHECK(ftruncate(fd, 100) == 0 && ftruncate(fd, 2 << 20) == 0);
	CHECK(pread(fd, buf, 3, 1 << 20) == 3 && !buf[0] && !buf[1] && !buf[2]);
	CHECK_ERRNO(ftruncate(fd, -1), EINVAL);
	CHECK(truncate(name, 7) == 0 && fstat(fd, &st) == 0 && st.st_size == 7);
	CHECK_ERRNO(truncate("/", 0), EISDIR);
	close(fd);
	unlink(name);
}

static void vectors(void)
{
	struct iovec v[3] = { { "ab", 2 }, { "", 0 }, { "cde", 3 } };
	char a[2], b[10];
	struct iovec r[2] = { { a, 2 }, { b, 10 } };
	int fd = open("v", O_CREAT | O_RDWR | O_TRUNC, 0600);

	CHECK(writev(fd, v, 3) == 5);
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	CHECK(readv(fd, r, 2) == 5 && !memcmp(a, "ab", 2) && !memcmp(b, "cde", 3));
	CHECK(pwritev(fd, v, 3, 5) == 5 && preadv(fd, r, 2, 1) == 9 && a[0] == 'b');
	CHECK_ERRNO(readv(fd, r, -1), EINVAL);
	CHECK(readv(fd, r, 0) == 0);
	CHECK(pwritev2(fd, v, 3, -1, RWF_APPEND) == 5 && lseek(fd, 0, SEEK_END) == 15);
	close(fd);
	unlink("v");
}

static void allocate(void)
{
	struct stat st;
	char c;
	int fd = open("a", O_CREAT | O_RDWR | O_TRUNC, 0600);

	if (fallocate(fd, 0, 0, 65536) < 0 && errno == EOPNOTSUPP)
		return;
	CHECK(fstat(fd, &st) == 0 && st.st_size == 65536 && st.st_blocks >= 128);
	CHECK(fallocate(fd, FALLOC_FL_KEEP_SIZE, 65536, 65536) == 0 && fstat(fd, &st) == 0 && st.st_size == 65536);
	CHECK(pwrite(fd, "x", 1, 5000) == 1);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, 8192) == 0);
	CHECK(pread(fd, &c, 1, 5000) == 1 && c == 0);
	CHECK_ERRNO(fallocate(fd, FALLOC_FL_PUNCH_HOLE, 0, 1), EOPNOTSUPP);
	CHECK_ERRNO(fallocate(fd, 0, 0, 0), EINVAL);
	CHECK_ERRNO(fallocate(fd, 0, -1, 5), EINVAL);
	close(fd);
	unlink("a");
}

static void mapping(const char *name)
{
	int fd = open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);
	char *p, buf[8];

	CHECK(write(fd, "before", 6) == 6);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED && !memcmp(p, "before", 6));
	memcpy(p, "BEF", 3);
	CHECK(pread(fd, buf, 6, 0) == 6 && !memcmp(buf, "BEFore", 6));
	CHECK(pwrite(fd, "ORE", 3, 3) == 3 && !memcmp(p, "BEFORE", 6));
	CHECK(msync(p, 4096, MS_SYNC) == 0 && munmap(p, 4096) == 0);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(p != MAP_FAILED);
	p[0] = 'x';
	CHECK(pread(fd, buf, 1, 0) == 1 && buf[0] == 'B');
	munmap(p, 4096);
	close(fd);
	fd = open(name, O_RDONLY);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EACCES);
	close(fd);
	unlink(name);
}

/* What is not there costs nothing, wherever it is: neither memory nor time. */
static void far_apart(void)
{
	const off_t far = (off_t)1 << 50, last = (off_t)(((uint64_t)INT64_MAX & ~4095ull) - 1);
	int fd = memfd_create("far", MFD_CLOEXEC);
	struct stat st;
	char c = 0;

	CHECK(pwrite(fd, "a", 1, 0) == 1 && pwrite(fd, "b", 1, far) == 1);
	CHECK(fstat(fd, &st) == 0 && st.st_size == far + 1 && st.st_blocks == 16);
	CHECK(pread(fd, &c, 1, far) == 1 && c == 'b' && pread(fd, &c, 1, far / 2) == 1 && c == 0);
	CHECK(lseek(fd, 1, SEEK_HOLE) == 4096 && lseek(fd, 4096, SEEK_DATA) == far);
	CHECK(lseek(fd, far, SEEK_HOLE) == far + 1);
	CHECK(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4096, far - 4096) == 0);
	CHECK(lseek(fd, 0, SEEK_DATA) == 0 && lseek(fd, 4096, SEEK_DATA) == far);
	CHECK(ftruncate(fd, last) == 0 && lseek(fd, far + 4096, SEEK_HOLE) == far + 4096);
	CHECK_ERRNO(lseek(fd, far + 4096, SEEK_DATA), ENXIO);
	CHECK(ftruncate(fd, 1) == 0 && fstat(fd, &st) == 0 && st.st_blocks == 8);
	CHECK_ERRNO(lseek(fd, 1, SEEK_DATA), ENXIO);
	close(fd);
}

static void seals(void)
{
	int fd = memfd_create("s", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	char *p;

	CHECK(fd >= 0 && fcntl(fd, F_GET_SEALS) == 0);
	CHECK(ftruncate(fd, 8192) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) == 0);
	CHECK_ERRNO(ftruncate(fd, 4096), EPERM);
	CHECK_ERRNO(ftruncate(fd, 9000), EPERM);
	CHECK(pwrite(fd, "x", 1, 0) == 1);
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(p != MAP_FAILED);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	munmap(p, 4096);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SEAL) == 0);
	CHECK_ERRNO(pwrite(fd, "x", 1, 0), EPERM);
	CHECK_ERRNO(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	close(fd);
	fd = memfd_create("n", 0);
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	close(fd);
}

static void copies(void)
{
	char buf[16];
	off_t off = 1, o2 = 0;
	int a = open("c1", O_CREAT | O_RDWR | O_TRUNC, 0600), b = open("c2", O_CREAT | O_RDWR | O_TRUNC, 0600);

	CHECK(write(a, "0123456789", 10) == 10);
	CHECK(sendfile(b, a, &off, 4) == 4 && off == 5);
	CHECK(pread(b, buf, 16, 0) == 4 && !memcmp(buf, "1234", 4));
	off = 5;
	o2 = 0;
	CHECK(copy_file_range(a, &off, b, &o2, 100, 0) == 5 && off == 10 && o2 == 5);
	CHECK(pread(b, buf, 16, 0) == 5 && !memcmp(buf, "56789", 5));
	close(a);
	close(b);
	unlink("c1");
	unlink("c2");
}

int main(void)
{
	char dir[] = "/tmp/fs_data.XXXXXX";

	CHECK(mkdtemp(dir) && chdir(dir) == 0);
	sparse("f");
	sparse("/root/fs_data_sparse");
	vectors();
	allocate();
	mapping("m");
	mapping("/root/fs_data_map");
	far_apart();
	seals();
	copies();
	CHECK(chdir("/") == 0 && rmdir(dir) == 0);
	return 0;
}
