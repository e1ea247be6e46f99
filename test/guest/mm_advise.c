/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mm_advise.c - madvise, mlock, membarrier, growing stacks, layout in /proc/self/maps
 */
#include "guest.h"

#include <linux/membarrier.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul

static void advise(void)
{
	char *p = mmap(NULL, 4 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int st;
	pid_t pid;

	memset(p, 'x', 4 * P);
	CHECK(madvise(p, P, MADV_DONTNEED) == 0 && p[0] == 0 && p[P] == 'x');
	CHECK(madvise(p + P, P, MADV_WIPEONFORK) == 0);
	CHECK(madvise(p + 2 * P, P, MADV_DONTFORK) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		if (p[P] != 0 || p[3 * P] != 'x')
			_exit(1);
		errno = 0;
		_exit(msync(p + 2 * P, P, MS_ASYNC) == -1 && errno == ENOMEM ? 0 : 2);
	}
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	CHECK(p[P] == 'x');
	for (int a = MADV_NORMAL; a <= MADV_WILLNEED; a++)
		CHECK(madvise(p, 4 * P, a) == 0);
	CHECK(madvise(p, 0, MADV_DONTNEED) == 0);
}

static int deep(int n)
{
	volatile char frame[16384];

	frame[0] = frame[16383] = (char)n;
	return n ? deep(n - 1) + frame[0] - frame[16383] : 0;
}

static void stacks(void)
{
	char *p;

	CHECK(deep(400) == 0); /* 6.4 MiB of the main stack */
	p = mmap(NULL, 256 * P, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p, 256 * P) == 0);
}

/* Every vma in ascending order, none overlapping; ours is there with the right bits. */
static void maps(void)
{
	char *p = mmap(NULL, 3 * P, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), line[512], perm[8];
	unsigned long start, end, last = 0;
	int seen = 0, stack = 0;
	FILE *f = fopen("/proc/self/maps", "r");

	CHECK(f);
	while (fgets(line, sizeof(line), f)) {
		CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, perm) == 3);
		CHECK(start < end && start >= last);
		if (start <= (unsigned long)p && end >= (unsigned long)p + 3 * P)
			seen += !strcmp(perm, "r-xp");
		if (strstr(line, "[stack]"))
			stack += (unsigned long)line >= start && (unsigned long)line < end;
		last = end;
	}
	fclose(f);
	CHECK(seen == 1 && stack == 1);
}

static void locks(void)
{
	char *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(mlock(p, P) == 0 && munlock(p, P) == 0);
	CHECK(munmap(p + P, P) == 0);
	CHECK_ERRNO(mlock(p, 2 * P), ENOMEM);
	CHECK_ERRNO(mlockall(0), EINVAL);
	CHECK(munlockall() == 0);
}

static void *waiter(void *arg)
{
	while (!__atomic_load_n((int *)arg, __ATOMIC_ACQUIRE))
		usleep(1000);
	return NULL;
}

static void barriers(void)
{
	long q = syscall(SYS_membarrier, MEMBARRIER_CMD_QUERY, 0, 0);
	pthread_t th;
	int stop = 0;

	CHECK(q > 0 && (q & MEMBARRIER_CMD_PRIVATE_EXPEDITED));
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK(!pthread_create(&th, NULL, waiter, &stop));
	CHECK(syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0);
	CHECK_ERRNO(syscall(SYS_membarrier, 1 << 30, 0, 0), EINVAL);
	__atomic_store_n(&stop, 1, __ATOMIC_RELEASE);
	pthread_join(th, NULL);
}

static void remote(void)
{
	char *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), buf[16] = { 0 };
	struct iovec l = { buf, 6 }, r = { p + P - 3, 6 };
	int st, go[2];
	pid_t pid;

	memcpy(p + P - 3, "abcdef", 6);
	CHECK(pipe(go) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		close(go[1]);
		_exit(read(go[0], buf, 1) == 0 && p[P] == 'Z' ? 0 : 1);
	}
	CHECK(process_vm_readv(pid, &l, 1, &r, 1, 0) == 6 && !memcmp(buf, "abcdef", 6));
	buf[3] = 'Z';
	CHECK(process_vm_writev(pid, &l, 1, &r, 1, 0) == 6 && p[P] == 'd');
	r.iov_base = (void *)8;
	CHECK_ERRNO(process_vm_readv(pid, &l, 1, &r, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_readv(pid, &l, 1, &r, 1, 1), EINVAL);
	CHECK_ERRNO(process_vm_readv(999999, &l, 1, &r, 1, 0), ESRCH);
	close(go[0]);
	close(go[1]);
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
}

/* Threads that map, touch and unmap at once never lose each other's pages. */
static void *mapper(void *arg)
{
	for (int i = 0; i < 300; i++) {
		unsigned long n = 1 + (unsigned long)(i % 7);
		char *p = mmap(NULL, n * P, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		if (p == MAP_FAILED)
			return (void *)1;
		memset(p, (int)(long)arg, n * P);
		if (i % 3 == 0 && mprotect(p, P, PROT_READ))
			return (void *)2;
		for (unsigned long k = 0; k < n * P; k += 512)
			if (p[k] != (char)(long)arg)
				return (void *)3;
		if (munmap(p, n * P))
			return (void *)4;
	}
	return NULL;
}

static void threads(void)
{
	pthread_t th[4];
	void *ret;

	for (long i = 0; i < 4; i++)
		CHECK(!pthread_create(&th[i], NULL, mapper, (void *)(i + 1)));
	for (int i = 0; i < 4; i++) {
		pthread_join(th[i], &ret);
		CHECK(ret == NULL);
	}
}

int main(void)
{
	advise();
	stacks();
	maps();
	locks();
	barriers();
	remote();
	threads();
	return 0;
}
