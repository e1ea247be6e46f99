/* SPDX-License-Identifier: Apache-2.0
 * test/guest/proc_maps_query.c - PROCMAP_QUERY of /proc/PID/maps; cachestat(2)
 */
#include "guest.h"

#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct query {
	uint64_t size, flags, addr, start, end, vma_flags, page_size, offset, inode;
	uint32_t major, minor, name_size, build_id_size;
	uint64_t name, build_id;
};
#define QUERY _IOWR('f', 17, struct query)
enum { R = 1, W = 2, X = 4, SHARED = 8, NEXT = 16, FILE_BACKED = 32 };

static int maps;
static char name[4096];

static int ask(struct query *q, uint64_t addr, unsigned flags)
{
	*q = (struct query){ .size = sizeof(*q), .addr = addr, .flags = flags, .name = (uintptr_t)name, .name_size = sizeof(name) };
	return ioctl(maps, QUERY, q);
}

static void query(void)
{
	char *p = mmap(NULL, 5 * 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), longer[200] = { 0 };
	int fd = open("query.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600), status;
	struct query q;
	struct stat st;

	CHECK(fd >= 0 && ftruncate(fd, 8192) == 0 && fstat(fd, &st) == 0 && unlink("query.tmp") == 0);
	/* hole, read-write, file read-only shared, hole, exec */
	CHECK(munmap(p, 4096) == 0 && munmap(p + 3 * 4096, 4096) == 0);
	CHECK(mprotect(p + 4096, 4096, PROT_READ | PROT_WRITE) == 0);
	CHECK(mmap(p + 2 * 4096, 4096, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 4096) != MAP_FAILED);
	CHECK(mprotect(p + 4 * 4096, 4096, PROT_READ | PROT_EXEC) == 0);
	maps = open("/proc/self/maps", O_RDONLY);
	CHECK(maps >= 0);
	if (ask(&q, (uintptr_t)p + 4096, 0) < 0 && errno == ENOTTY)
		SKIP("Linux before 6.11");
	CHECK(q.start == (uintptr_t)p + 4096 && q.end == q.start + 4096 && q.vma_flags == (R | W) && q.page_size == 4096);
	CHECK(!q.offset && !q.inode && !q.major && !q.minor && !q.name_size && q.size == sizeof(q));
	CHECK_ERRNO(ask(&q, (uintptr_t)p, 0), ENOENT);
	CHECK_ERRNO(ask(&q, (uintptr_t)p + 4096, X), ENOENT);
	CHECK(ask(&q, (uintptr_t)p, NEXT) == 0 && q.start == (uintptr_t)p + 4096);
	CHECK(ask(&q, (uintptr_t)p, NEXT | FILE_BACKED) == 0 && q.start == (uintptr_t)p + 2 * 4096);
	CHECK(q.vma_flags == (R | SHARED) && q.offset == 4096 && q.inode == st.st_ino && strstr(name, "/query.tmp"));
	CHECK(q.major == major(st.st_dev) && q.minor == minor(st.st_dev) && q.name_size == strlen(name) + 1);
	CHECK(ask(&q, (uintptr_t)p, NEXT | X) == 0 && q.start == (uintptr_t)p + 4 * 4096 && q.vma_flags == (R | X));
	CHECK(ask(&q, (uintptr_t)&q, 0) == 0 && !strcmp(name, "[stack]"));
	CHECK_ERRNO(ask(&q, (uintptr_t)p, 64), EINVAL);
	CHECK_ERRNO(ask(&q, UINT64_MAX, NEXT | W), ENOENT);
	q.size = 16;
	CHECK_ERRNO(ioctl(maps, QUERY, &q), EINVAL);
	q.size = 4097;
	CHECK_ERRNO(ioctl(maps, QUERY, &q), E2BIG);
	CHECK_ERRNO(ioctl(maps, QUERY, 8), EFAULT);
	CHECK_ERRNO(ioctl(maps, _IO('f', 99), &q), ENOTTY);
	memcpy(longer, &(struct query){ .size = 200, .addr = (uintptr_t)p + 4096 }, sizeof(q));
	CHECK(ioctl(maps, QUERY, longer) == 0);
	longer[150] = 1;
	*(uint64_t *)longer = 200;
	CHECK_ERRNO(ioctl(maps, QUERY, longer), E2BIG);
	q = (struct query){ .size = offsetof(struct query, vma_flags), .addr = (uintptr_t)p + 4096, .vma_flags = 77 };
	CHECK(ioctl(maps, QUERY, &q) == 0 && q.start == (uintptr_t)p + 4096 && q.vma_flags == 77); /* only as much as was asked for */
	q = (struct query){ .size = sizeof(q), .addr = (uintptr_t)p + 2 * 4096, .name_size = 3, .name = (uintptr_t)name };
	CHECK_ERRNO(ioctl(maps, QUERY, &q), ENAMETOOLONG);
	q = (struct query){ .size = sizeof(q), .addr = (uintptr_t)p + 2 * 4096, .name_size = 3 };
	CHECK_ERRNO(ioctl(maps, QUERY, &q), EINVAL);
	close(maps);
	/* Another process, and one that is gone. */
	int pid = fork();
	if (!pid) {
		munmap(p + 4096, 4096);
		pause();
		_exit(1);
	}
	snprintf(longer, sizeof(longer), "/proc/%d/maps", pid);
	maps = open(longer, O_RDONLY);
	CHECK(maps >= 0);
	while (ask(&q, (uintptr_t)p + 4096, 0) == 0)
		usleep(1000);
	CHECK(errno == ENOENT && ask(&q, (uintptr_t)p + 2 * 4096, 0) == 0);
	CHECK(kill(pid, 9) == 0 && waitpid(pid, &status, 0) == pid);
	CHECK_ERRNO(ask(&q, (uintptr_t)p + 2 * 4096, 0), ESRCH);
	close(maps);
	close(fd);
}

static void cachestat(void)
{
	uint64_t range[2] = { 0 }, c[5];
	char b[10000] = { 1 };
	int fd = open("cache.tmp", O_RDWR | O_CREAT | O_TRUNC, 0644), ro = open("cache.tmp", O_RDONLY), p[2], st;

	CHECK(fd >= 0 && ro >= 0 && unlink("cache.tmp") == 0 && pipe(p) == 0);
	if (syscall(451, fd, range, c, 0) < 0 && errno == ENOSYS)
		return; /* Linux before 6.5 */
	CHECK(c[0] == 0);
	CHECK(write(fd, b, sizeof(b)) == sizeof(b));
	CHECK(syscall(451, fd, range, c, 0) == 0 && c[0] == 3 && !c[3] && !c[4]);
	CHECK(ftruncate(fd, 1 << 20) == 0 && syscall(451, fd, range, c, 0) == 0 && c[0] == 3);
	range[0] = range[1] = 4096;
	CHECK(syscall(451, fd, range, c, 0) == 0 && c[0] == 1);
	range[0] = 2 << 20;
	CHECK(syscall(451, fd, range, c, 0) == 0 && c[0] == 0);
	CHECK_ERRNO(syscall(451, fd, range, c, 1), EINVAL);
	CHECK_ERRNO(syscall(451, -1, range, c, 0), EBADF);
	CHECK_ERRNO(syscall(451, fd, 8, c, 0), EFAULT);
	CHECK_ERRNO(syscall(451, fd, range, 8, 0), EFAULT);
	CHECK(syscall(451, p[0], range, c, 0) == 0 && c[0] == 0);
	if (!fork()) { /* reading is not enough */
		CHECK(getuid() != 0 || setuid(12345) == 0);
		if (syscall(451, ro, range, c, 0) == 0)
			_exit(getuid() == 12345 ? 2 : 0);
		CHECK(errno == EPERM);
		_exit(0);
	}
	CHECK(wait(&st) > 0 && (st == 0 || st == 2 << 8 /* Linux before 6.14 */));
}

int main(void)
{
	cachestat();
	query();
	return 0;
}
