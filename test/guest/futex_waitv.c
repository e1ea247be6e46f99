/* SPDX-License-Identifier: Apache-2.0
 * test/guest/futex_waitv.c - futex_waitv(2), futex_wake(2), futex_wait(2), futex_requeue(2)
 */
#include "guest.h"

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NR_WAITV   449
#define NR_WAKE	   454
#define NR_WAIT	   455
#define NR_REQUEUE 456
#define U32	   2
#define PRIVATE	   128

struct waiter {
	uint64_t val, addr;
	uint32_t flags, reserved;
};

static uint32_t word[130];
static uint32_t *shared;

static long waitv(struct waiter *w, unsigned nr, unsigned flags, struct timespec *ts, int clock)
{
	return syscall(NR_WAITV, w, nr, flags, ts, clock);
}

static struct timespec in(int clock, long ms)
{
	struct timespec ts;

	clock_gettime((clockid_t)clock, &ts);
	ts.tv_nsec += ms % 1000 * 1000000;
	ts.tv_sec += ms / 1000 + ts.tv_nsec / 1000000000;
	ts.tv_nsec %= 1000000000;
	return ts;
}

static void *wake_third(void *arg)
{
	usleep(50000);
	__atomic_store_n(&word[2], 1, __ATOMIC_SEQ_CST);
	while (syscall(SYS_futex, &word[2], 1 | PRIVATE, 1) == 0)
		usleep(1000);
	return NULL;
}

static volatile int handled;
static void handler(int sig)
{
	handled++;
}

static void *kick(void *arg)
{
	usleep(50000);
	pthread_kill(*(pthread_t *)arg, SIGUSR1);
	usleep(50000);
	return wake_third(NULL);
}

static void several(void)
{
	struct waiter w[130];
	struct timespec ts;
	struct sigaction sa = { .sa_handler = handler };
	pthread_t th, me = pthread_self();

	for (int i = 0; i < 130; i++)
		w[i] = (struct waiter){ .addr = (uintptr_t)&word[i], .flags = U32 | PRIVATE };
	CHECK_ERRNO(waitv(w, 0, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(w, 129, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(w, 3, 1, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv(NULL, 3, 0, NULL, 0), EINVAL);
	CHECK_ERRNO(waitv((void *)8, 3, 0, NULL, 0), EFAULT);
	w[1].flags = 0x100;
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[1].flags = U32 | PRIVATE;
	w[1].reserved = 1;
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[1].reserved = 0;
	w[1].addr++;
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EINVAL);
	w[1].addr = 8;
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EFAULT);
	w[1].addr = (uintptr_t)&word[1];
	w[1].val = 7;
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EAGAIN);
	w[1].val = 0;
	ts = in(CLOCK_MONOTONIC, 30);
	CHECK_ERRNO(waitv(w, 128, 0, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
	ts = in(CLOCK_REALTIME, 30);
	CHECK_ERRNO(waitv(w, 3, 0, &ts, CLOCK_REALTIME), ETIMEDOUT);
	CHECK_ERRNO(waitv(w, 3, 0, &ts, CLOCK_BOOTTIME), EINVAL);
	ts.tv_nsec = -1;
	CHECK_ERRNO(waitv(w, 3, 0, &ts, CLOCK_MONOTONIC), EINVAL);
	CHECK(pthread_create(&th, NULL, wake_third, NULL) == 0);
	CHECK(waitv(w, 128, 0, NULL, 0) == 2);
	CHECK(pthread_join(th, NULL) == 0);
	word[2] = 0;
	/* A handler in between: goes on with SA_RESTART, else ends. */
	sigaction(SIGUSR1, &sa, NULL);
	CHECK(pthread_create(&th, NULL, kick, &me) == 0);
	CHECK_ERRNO(waitv(w, 3, 0, NULL, 0), EINTR);
	CHECK(handled == 1);
	word[2] = 0; /* not yet woken */
	CHECK(waitv(w, 3, 0, NULL, 0) == 2);
	CHECK(pthread_join(th, NULL) == 0);
	word[2] = 0;
	sa.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &sa, NULL);
	ts = in(CLOCK_MONOTONIC, 5000);
	CHECK(pthread_create(&th, NULL, kick, &me) == 0);
	CHECK(waitv(w, 3, 0, &ts, CLOCK_MONOTONIC) == 2);
	CHECK(pthread_join(th, NULL) == 0 && handled == 2);
	word[2] = 0;
}

static void between_processes(void)
{
	struct waiter w[2] = { { .addr = (uintptr_t)&word[0], .flags = U32 | PRIVATE }, { .flags = U32 } };
	int st;

	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
	w[1].addr = (uintptr_t)shared;
	if (!fork()) {
		usleep(50000);
		while (syscall(SYS_futex, shared, 1, 1) == 0)
			usleep(1000);
		_exit(0);
	}
	CHECK(waitv(w, 2, 0, NULL, 0) == 1);
	CHECK(wait(&st) > 0 && st == 0);
}

static void *waits(void *arg)
{
	return (void *)syscall(NR_WAIT, arg, 0, 0xf0, U32 | PRIVATE, NULL, CLOCK_MONOTONIC);
}

static void newer_forms(void)
{
	struct waiter w[2] = { { .addr = (uintptr_t)&word[0], .flags = U32 | PRIVATE }, { .addr = (uintptr_t)&word[1], .flags = U32 | PRIVATE } };
	struct timespec ts = in(CLOCK_MONOTONIC, 30);
	pthread_t th;
	void *ret;

	if (syscall(NR_WAKE, &word[0], 1, 1, U32 | PRIVATE) < 0 && errno == ENOSYS)
		return; /* Linux before 6.7 */
	CHECK(syscall(NR_WAKE, &word[0], 1, 1, U32 | PRIVATE) == 0);
	CHECK_ERRNO(syscall(NR_WAKE, &word[0], 1, 1, 0x40), EINVAL);
	CHECK_ERRNO(syscall(NR_WAKE, &word[0], 1, 1, 1), EINVAL);
	CHECK_ERRNO(syscall(NR_WAIT, &word[0], 0, ~0u, U32 | PRIVATE, &ts, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK_ERRNO(syscall(NR_WAIT, &word[0], 1, ~0u, U32 | PRIVATE, NULL, 0), EAGAIN);
	CHECK_ERRNO(syscall(NR_WAIT, &word[0], 0, ~0u, 0x1000, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(NR_WAIT, &word[0], 0, 0, U32 | PRIVATE, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(NR_REQUEUE, w, 1, 1, 1), EINVAL);
	CHECK_ERRNO(syscall(NR_REQUEUE, NULL, 0, 1, 1), EINVAL);
	CHECK(pthread_create(&th, NULL, waits, &word[0]) == 0);
	CHECK(syscall(NR_WAKE, &word[0], 0x0f, 1, U32 | PRIVATE) == 0); /* not its bits */
	while (syscall(NR_REQUEUE, w, 0, 0, 1) == 0)
		usleep(1000);
	CHECK(syscall(NR_WAKE, &word[0], 0xff, 1, U32 | PRIVATE) == 0);
	CHECK(syscall(NR_WAKE, &word[1], 0xff, 1, U32 | PRIVATE) == 1);
	CHECK(pthread_join(th, &ret) == 0 && !ret);
}

int main(void)
{
	if (waitv(NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP("Linux before 5.16");
	several();
	between_processes();
	newer_forms();
	return 0;
}
