/* SPDX-License-Identifier: Apache-2.0
 * test/guest/mm_map.c - mmap, munmap, mprotect, mremap: results, errors, contents
 */
#include "guest.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define P 4096ul
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif

static sigjmp_buf env;
static volatile int got_code;

static void on_fault(int sig, siginfo_t *si, void *ctx)
{
	got_code = si->si_code;
	siglongjmp(env, sig);
}

/* Signal that touching @p raises, 0 none. */
static int touch(volatile char *p, int write)
{
	int sig = sigsetjmp(env, 1);

	if (sig)
		return sig;
	if (write)
		*p = 1;
	else
		(void)*p;
	return 0;
}

static char *anon(unsigned long pages, int prot)
{
	char *p = mmap(NULL, pages * P, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static void basic(void)
{
	char *p = anon(4, PROT_READ | PROT_WRITE);

	for (int i = 0; i < 4; i++)
		CHECK(p[i * P] == 0);
	memset(p, 'x', 4 * P);
	CHECK(mprotect(p + P, P, PROT_READ) == 0);
	CHECK(touch(p + P, 1) == SIGSEGV && got_code == SEGV_ACCERR);
	CHECK(touch(p, 1) == 0);
	CHECK(munmap(p + 2 * P, P) == 0);
	CHECK(touch(p + 2 * P, 0) == SIGSEGV && got_code == SEGV_MAPERR);
	CHECK(p[3 * P] == 'x');
	CHECK_ERRNO(mprotect(p, 4 * P, PROT_READ), ENOMEM);
	CHECK(touch(p, 1) == SIGSEGV); /* what preceded the hole has changed */
	CHECK(munmap(p, 4 * P) == 0);
}

static void errors(void)
{
	char *p = anon(2, PROT_READ);

	CHECK_ERRNO(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, P, PROT_READ, MAP_ANONYMOUS, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(NULL, P, PROT_READ, MAP_PRIVATE, -1, 0), EBADF);
	CHECK_ERRNO(mmap(p + 1, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EINVAL);
	CHECK_ERRNO(mmap(p, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0), EEXIST);
	CHECK_ERRNO(mmap(NULL, 1ul << 50, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), ENOMEM);
	CHECK_ERRNO(munmap(p + 1, P), EINVAL);
	CHECK_ERRNO(munmap(p, 0), EINVAL);
	CHECK_ERRNO(mprotect(p + 1, P, PROT_READ), EINVAL);
	CHECK_ERRNO(mprotect(p, P, 0x4000), EINVAL);
	CHECK(mprotect(p, 0, PROT_READ) == 0);
	CHECK_ERRNO(madvise(p, P, 12345), EINVAL);
	CHECK_ERRNO(madvise(p + 1, P, MADV_DONTNEED), EINVAL);
	CHECK_ERRNO(msync(p, P, MS_SYNC | MS_ASYNC), EINVAL);
	CHECK(munmap(p, P) == 0);
	CHECK_ERRNO(msync(p, 2 * P, MS_SYNC), ENOMEM);
	CHECK_ERRNO(madvise(p, 2 * P, MADV_DONTNEED), ENOMEM);
	CHECK_ERRNO(mincore(p, P, (unsigned char[4]){ 0 }), ENOMEM);
	munmap(p + P, P);
}

static void remap(void)
{
	char *p = anon(4, PROT_READ | PROT_WRITE), *q, *r;

	strcpy(p, "first");
	strcpy(p + 3 * P, "last");
	q = mremap(p, 4 * P, 64 * P, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && !strcmp(q, "first") && !strcmp(q + 3 * P, "last") && q[63 * P] == 0);
	CHECK(mremap(q, 64 * P, 2 * P, 0) == q);
	CHECK(touch(q + 2 * P, 0) == SIGSEGV);
	r = anon(8, PROT_NONE);
	CHECK(mremap(q, 2 * P, 2 * P, MREMAP_MAYMOVE | MREMAP_FIXED, r + P) == r + P);
	CHECK(!strcmp(r + P, "first") && touch(q, 0) == SIGSEGV && touch(r, 0) == SIGSEGV);
	CHECK_ERRNO((long)mremap(r + P, P, 2 * P, MREMAP_FIXED, r), EINVAL);
	CHECK_ERRNO((long)mremap(r + P + 1, P, 2 * P, MREMAP_MAYMOVE), EINVAL);
	CHECK_ERRNO((long)mremap(q, P, 2 * P, MREMAP_MAYMOVE), EFAULT);
	q = mremap(r + P, P, P, MREMAP_MAYMOVE | MREMAP_DONTUNMAP);
	CHECK(q != MAP_FAILED && !strcmp(q, "first") && r[P] == 0);
}

static void shared_anonymous(void)
{
	volatile int *p = mmap(NULL, 2 * P, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), *q;
	int st;
	pid_t pid;

	CHECK(p != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		p[0] = 42;
		_exit(0);
	}
	CHECK(waitpid(pid, &st, 0) == pid && st == 0 && p[0] == 42);
	q = mremap((void *)p, 0, 2 * P, MREMAP_MAYMOVE);
	CHECK(q != MAP_FAILED && q != p);
	q[1] = 7;
	CHECK(p[1] == 7);
}

static void files(void)
{
	char name[] = "/tmp/mm_map.XXXXXX", *p, *q;
	int fd = mkstemp(name), ro;

	CHECK(fd >= 0 && ftruncate(fd, 3 * P) == 0 && pwrite(fd, "hello", 5, P) == 5);
	p = mmap(NULL, 3 * P, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	q = mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, P);
	CHECK(p != MAP_FAILED && q != MAP_FAILED);
	CHECK(!memcmp(p + P, "hello", 5) && !memcmp(q, "hello", 5));
	q[0] = 'J';
	CHECK(p[P] == 'h');
	p[2 * P] = '!';
	CHECK(msync(p, 3 * P, MS_SYNC) == 0);
	CHECK(pread(fd, name + 11, 1, 2 * P) == 1 && name[11] == '!');
	CHECK_ERRNO((long)mmap(NULL, P, PROT_READ, MAP_SHARED, fd, 1), EINVAL);
	CHECK(ftruncate(fd, P) == 0);
	CHECK(touch(p + 2 * P, 0) == SIGBUS);
	close(fd);
	CHECK(p[0] == 0);
	munmap(p, 3 * P);
	ro = open("/proc/self/exe", O_RDONLY);
	CHECK(ro >= 0);
	CHECK_ERRNO((long)mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_SHARED, ro, 0), EACCES);
	p = mmap(NULL, P, PROT_READ, MAP_SHARED, ro, 0);
	CHECK(p != MAP_FAILED && !memcmp(p, "\177ELF", 4));
	CHECK_ERRNO(mprotect(p, P, PROT_READ | PROT_WRITE), EACCES);
	CHECK(mmap(NULL, P, PROT_READ | PROT_WRITE, MAP_PRIVATE, ro, 0) != MAP_FAILED);
	close(ro);
	/* the kind of mapping is looked at before the descriptor's rights */
	ro = open("/dev/null", O_WRONLY);
	CHECK_ERRNO((long)mmap(NULL, P, PROT_READ, 0, ro, 0), EINVAL);
	CHECK_ERRNO((long)mmap(NULL, P, PROT_READ, MAP_PRIVATE, ro, 0), EACCES);
	close(ro);
}

static void heap(void)
{
	char *b = sbrk(0);

	CHECK(sbrk(10 * P) == b);
	memset(b, 1, 10 * P);
	CHECK(sbrk(-10 * (long)P) == b + 10 * P);
	CHECK(sbrk(P) == b && b[0] == 0 && sbrk(-(long)P) == b + P);
}

/* More than any machine has: the refusal is the call's own, and what comes after finds nothing changed. */
static void refused(void)
{
	char *b = sbrk(0), *p;

	p = sbrk(1l << 43);
	if (p == (char *)-1)
		CHECK(errno == ENOMEM && sbrk(0) == b && sbrk(P) == b && touch(b, 1) == 0);
	else
		CHECK(sbrk(-(1l << 43)) != (char *)-1); /* a machine that promises all it is asked for */
	p = mmap(NULL, 1ul << 43, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(touch((char *)8, 1) == SIGSEGV); /* the very next event is a fault */
	CHECK(p == MAP_FAILED || munmap(p, 1ul << 43) == 0);
}

/* As many mappings as there may be: a hole in one of them would make one more. */
static void crowded(void)
{
	char *at = mmap(NULL, 1ul << 30, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0), *p = at;
	pid_t pid;
	int st;

	CHECK(at != MAP_FAILED);
	pid = fork();
	CHECK(pid >= 0);
	if (!pid) {
		while (p < at + (1ul << 30) && mprotect(p, P, PROT_READ) == 0)
			p += 2 * P;
		for (int i = 0; i < 64; i++)
			if (munmap(at + (1ul << 30) - (2 * i + 2) * P, P) < 0 && errno != ENOMEM)
				_exit(1);
		_exit(munmap(at, 1ul << 30) == 0 && anon(1, PROT_READ) ? 0 : 2);
	}
	CHECK(waitpid(pid, &st, 0) == pid && st == 0);
	CHECK(munmap(at, 1ul << 30) == 0);
}

static long seal(void *p, unsigned long len, unsigned long flags)
{
	return syscall(462 /* mseal */, p, len, flags);
}

static void seals(void)
{
	char *p = anon(4, PROT_READ | PROT_WRITE), *q = anon(1, PROT_READ);

	if (seal(p + P, 2 * P, 0) < 0) {
		CHECK(errno == ENOSYS || errno == EPERM);
		return;
	}
	CHECK_ERRNO(seal(p, P, 1), EINVAL);
	CHECK_ERRNO(seal(p + 1, P, 0), EINVAL);
	CHECK(seal(p, 0, 0) == 0 && seal(p + P, P, 0) == 0);
	CHECK_ERRNO(munmap(p, 4 * P), EPERM);
	CHECK_ERRNO(mprotect(p + P, P, PROT_READ), EPERM);
	CHECK_ERRNO((long)mremap(p + 2 * P, P, 4 * P, MREMAP_MAYMOVE), EPERM);
	CHECK_ERRNO((long)mmap(p + 2 * P, P, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0), EPERM);
	CHECK(touch(p + P, 1) == 0 && madvise(p + P, P, MADV_DONTNEED) == 0 && p[P] == 0);
	CHECK(munmap(p, P) == 0 && mprotect(p + 3 * P, P, PROT_READ) == 0);
	CHECK_ERRNO(seal(p, 2 * P, 0), ENOMEM);
	CHECK(seal(q, P, 0) == 0);
	CHECK_ERRNO(madvise(q, P, MADV_DONTNEED), EPERM);
}

int main(void)
{
	struct sigaction sa = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
	basic();
	errors();
	remap();
	shared_anonymous();
	files();
	heap();
	refused();
	crowded();
	seals();
	return 0;
}
