/* SPDX-License-Identifier: Apache-2.0
 * test/guest/futex_pi.c - mutexes with priority inheritance: between threads, between processes, robust ones, by the bare call
 */
#include "guest.h"

#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long fx(uint32_t *w, int op, const struct timespec *ts)
{
	return syscall(SYS_futex, w, op, 0, ts, NULL, 0);
}

static void make(pthread_mutex_t *m, int shared, int robust)
{
	pthread_mutexattr_t a;

	CHECK(pthread_mutexattr_init(&a) == 0 && pthread_mutexattr_setprotocol(&a, PTHREAD_PRIO_INHERIT) == 0);
	if (shared)
		CHECK(pthread_mutexattr_setpshared(&a, PTHREAD_PROCESS_SHARED) == 0);
	if (robust)
		CHECK(pthread_mutexattr_setrobust(&a, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutex_init(m, &a) == 0);
}

static pthread_mutex_t mutex;
static long counter;

static void *count(void *arg)
{
	for (int i = 0; i < 3000; i++) {
		CHECK(pthread_mutex_lock(&mutex) == 0);
		counter++;
		if (i % 64 == 0)
			sched_yield();
		CHECK(pthread_mutex_unlock(&mutex) == 0);
	}
	return NULL;
}

static void threads(void)
{
	pthread_t t[4];

	make(&mutex, 0, 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&t[i], NULL, count, NULL) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(t[i], NULL) == 0);
	CHECK(counter == 4 * 3000);
	CHECK(pthread_mutex_destroy(&mutex) == 0);
}

static void processes(void)
{
	struct { pthread_mutex_t m; long n; } *s = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int st;

	CHECK(s != MAP_FAILED);
	make(&s->m, 1, 1);
	for (int p = 0; p < 3; p++)
		if (fork() == 0) {
			for (int i = 0; i < 1000; i++) {
				CHECK(pthread_mutex_lock(&s->m) == 0);
				s->n++;
				CHECK(pthread_mutex_unlock(&s->m) == 0);
			}
			_exit(0);
		}
	for (int p = 0; p < 3; p++)
		CHECK(wait(&st) > 0 && st == 0);
	CHECK(s->n == 3000);
	/* Its owner dies, while somebody waits and while nobody does. */
	for (int late = 0; late < 2; late++) {
		if (fork() == 0) {
			CHECK(pthread_mutex_lock(&s->m) == 0);
			usleep(late ? 0 : 100000);
			_exit(0);
		}
		usleep(50000);
		if (late)
			CHECK(wait(&st) > 0);
		CHECK(pthread_mutex_lock(&s->m) == EOWNERDEAD);
		CHECK(pthread_mutex_consistent(&s->m) == 0 && pthread_mutex_unlock(&s->m) == 0);
		if (!late)
			CHECK(wait(&st) > 0);
	}
}

static uint32_t word;
static _Atomic int held, release;

static void *holder(void *arg)
{
	CHECK(fx(&word, FUTEX_LOCK_PI_PRIVATE, NULL) == 0);
	held = 1;
	while (!release)
		usleep(1000);
	CHECK(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, NULL) == 0);
	return NULL;
}

static void bare(void)
{
	struct timespec ts;
	pthread_t t;

	CHECK_ERRNO(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, NULL), EPERM);
	CHECK(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, NULL) == 0 && (word & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid));
	CHECK_ERRNO(fx(&word, FUTEX_LOCK_PI_PRIVATE, NULL), EDEADLK);
	CHECK(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, NULL) == 0 && word == 0);
	CHECK_ERRNO(fx((uint32_t *)((char *)&word + 1), FUTEX_LOCK_PI_PRIVATE, NULL), EINVAL);
	CHECK_ERRNO(fx((uint32_t *)16, FUTEX_LOCK_PI_PRIVATE, NULL), EFAULT);
	word = 0x3ffffff0;
	CHECK_ERRNO(fx(&word, FUTEX_LOCK_PI_PRIVATE, NULL), ESRCH);
	word = 0;
	CHECK(pthread_create(&t, NULL, holder, NULL) == 0);
	while (!held)
		usleep(1000);
	CHECK_ERRNO(fx(&word, FUTEX_TRYLOCK_PI_PRIVATE, NULL), EAGAIN);
	CHECK_ERRNO(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, NULL), EPERM);
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_nsec += 20000000;
	if (ts.tv_nsec >= 1000000000)
		ts.tv_sec++, ts.tv_nsec -= 1000000000;
	CHECK_ERRNO(fx(&word, FUTEX_LOCK_PI_PRIVATE, &ts), ETIMEDOUT);
	release = 1;
	CHECK(fx(&word, FUTEX_LOCK_PI_PRIVATE, NULL) == 0);
	CHECK((word & FUTEX_TID_MASK) == (uint32_t)syscall(SYS_gettid));
	CHECK(fx(&word, FUTEX_UNLOCK_PI_PRIVATE, NULL) == 0);
	CHECK(pthread_join(t, NULL) == 0);
}

int main(void)
{
	alarm(50);
	bare();
	threads();
	processes();
	return 0;
}
