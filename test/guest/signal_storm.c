/* SPDX-License-Identifier: Apache-2.0
 * test/guest/signal_storm.c - signals at any moment of sleeping calls: handlers run, calls go on or end, nothing else happens
 *
 * A thread sleeps in futexes and nanosleep with time limits while another one sends it signals as fast as it can, first bare and then
 * under a seccomp filter that lets all pass (calls then take another way through the kernel).
 */
#include "guest.h"

#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic int handled, stop;

static void on_signal(int sig)
{
	struct timespec ts;

	handled++;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	syscall(SYS_getppid);
}

static void *storm(void *arg)
{
	pthread_t victim = *(pthread_t *)arg;

	for (int i = 0; !stop; i++) {
		pthread_kill(victim, i & 1 ? SIGUSR1 : SIGUSR2);
		if (i % 16 == 0)
			sched_yield();
	}
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void sleep_in_all_ways(double seconds)
{
	double end = now() + seconds;
	pthread_t self = pthread_self(), other;
	int word = 0;

	stop = 0;
	handled = 0;
	CHECK(pthread_create(&other, NULL, storm, &self) == 0);
	while (now() < end) {
		struct timespec t = { 0, 300000 };
		long r = syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 0, &t, NULL, 0);

		CHECK(r == -1 && (errno == ETIMEDOUT || errno == EINTR));
		r = syscall(SYS_futex, &word, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0);
		CHECK(r == -1 && errno == EAGAIN);
		t = (struct timespec){ 0, 200000 };
		CHECK(nanosleep(&t, &t) == 0 || errno == EINTR);
	}
	stop = 1;
	CHECK(pthread_join(other, NULL) == 0);
	CHECK(handled > 10);
}

static void filter_all_allowed(void)
{
	struct sock_filter f[] = { BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW) };
	struct sock_fprog p = { 2, f };

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &p) == 0);
}

int main(void)
{
	struct sigaction again = { .sa_handler = on_signal, .sa_flags = SA_RESTART }, once = { .sa_handler = on_signal };

	CHECK(sigaction(SIGUSR1, &again, NULL) == 0);
	CHECK(sigaction(SIGUSR2, &once, NULL) == 0);
	sleep_in_all_ways(0.7);
	CHECK(sigaction(SIGUSR2, &again, NULL) == 0);
	sleep_in_all_ways(0.5);
	filter_all_allowed();
	sleep_in_all_ways(0.7);
	return 0;
}
