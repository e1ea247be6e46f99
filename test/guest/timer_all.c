/* SPDX-License-Identifier: Apache-2.0
 * test/guest/timer_all.c - clocks, sleeps, POSIX timers, interval timers, limits
 */
#include "guest.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/times.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static volatile int ticks, code, overrun_seen;
static volatile void *value;

static void on_tick(int sig, siginfo_t *si, void *ctx)
{
	ticks++;
	code = si->si_code;
	value = si->si_value.sival_ptr;
	overrun_seen += si->si_overrun;
}

static void handle(int sig)
{
	struct sigaction sa = { .sa_sigaction = on_tick, .sa_flags = SA_SIGINFO };

	CHECK(sigaction(sig, &sa, NULL) == 0);
}

static double now(clockid_t c)
{
	struct timespec ts;

	CHECK(clock_gettime(c, &ts) == 0);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void clocks(void)
{
	static const clockid_t ids[] = { CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
					 CLOCK_MONOTONIC_RAW, CLOCK_REALTIME_COARSE, CLOCK_MONOTONIC_COARSE, CLOCK_BOOTTIME,
					 CLOCK_TAI };
	struct timespec ts;
	clockid_t mine;

	for (unsigned i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
		CHECK(clock_gettime(ids[i], &ts) == 0 && ts.tv_nsec < 1000000000);
		CHECK(clock_getres(ids[i], &ts) == 0);
	}
	CHECK_ERRNO(clock_gettime(77, &ts), EINVAL);
	CHECK_ERRNO(clock_settime(CLOCK_MONOTONIC, &ts), EINVAL);
	CHECK(clock_getcpuclockid(0, &mine) == 0 && clock_gettime(mine, &ts) == 0);
	double a = now(CLOCK_MONOTONIC), b;
	struct timespec s = { 0, 30000000 };

	CHECK(nanosleep(&s, NULL) == 0);
	b = now(CLOCK_MONOTONIC);
	CHECK(b - a >= 0.03 && b - a < 2);
	CHECK(clock_nanosleep(CLOCK_REALTIME, 0, &s, NULL) == 0);
	CHECK(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &s, NULL) == 0); /* long past */
	CHECK(clock_nanosleep(CLOCK_THREAD_CPUTIME_ID, 0, &s, NULL) == EINVAL);
	s.tv_nsec = 1000000000;
	CHECK_ERRNO(nanosleep(&s, NULL), EINVAL);
}

static void posix_timers(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN, .sigev_value.sival_ptr = &ev };
	struct itimerspec it = { { 0, 10000000 }, { 0, 10000000 } }, cur;
	timer_t t;

	handle(SIGRTMIN);
	CHECK(timer_create(CLOCK_MONOTONIC, &ev, &t) == 0);
	ticks = 0;
	CHECK(timer_settime(t, 0, &it, NULL) == 0);
	CHECK(timer_gettime(t, &cur) == 0 && cur.it_interval.tv_nsec == 10000000);
	while (ticks < 3)
		pause();
	CHECK(code == SI_TIMER && value == &ev);
	/* Blocked for ten periods: one signal, about nine overruns. */
	sigset_t s;

	sigemptyset(&s);
	sigaddset(&s, SIGRTMIN);
	sigprocmask(SIG_BLOCK, &s, NULL);
	overrun_seen = 0;
	usleep(100000);
	ticks = 0;
	sigprocmask(SIG_UNBLOCK, &s, NULL);
	CHECK(ticks >= 1 && overrun_seen >= 4);
	CHECK(timer_delete(t) == 0);
	CHECK_ERRNO(timer_delete(t), EINVAL);
	ev.sigev_signo = 99;
	CHECK_ERRNO(timer_create(CLOCK_MONOTONIC, &ev, &t), EINVAL);
	CHECK_ERRNO(timer_create(99, NULL, &t), EINVAL);
}

static void itimers(void)
{
	struct itimerval it = { { 0, 0 }, { 0, 20000 } }, old;
	double until;

	handle(SIGALRM);
	handle(SIGPROF);
	handle(SIGVTALRM);
	ticks = 0;
	CHECK(setitimer(ITIMER_REAL, &it, NULL) == 0);
	pause();
	CHECK(ticks == 1);
	CHECK(getitimer(ITIMER_REAL, &old) == 0 && old.it_value.tv_usec == 0);
	CHECK(alarm(10) == 0 && alarm(0) == 10);
	CHECK(setitimer(ITIMER_PROF, &it, NULL) == 0);
	ticks = 0;
	until = now(CLOCK_MONOTONIC) + 10;
	while (!ticks && now(CLOCK_MONOTONIC) < until)
		;
	CHECK(ticks == 1);
	CHECK(setitimer(ITIMER_VIRTUAL, &it, NULL) == 0);
	ticks = 0;
	until = now(CLOCK_MONOTONIC) + 10;
	while (!ticks && now(CLOCK_MONOTONIC) < until)
		for (volatile int i = 0; i < 1000; i++)
			;
	CHECK(ticks == 1);
	CHECK_ERRNO(setitimer(7, &it, NULL), EINVAL);
}

static void usage(void)
{
	struct rusage ru;
	struct tms tm;
	volatile unsigned x = 0;
	int st;
	pid_t pid = fork();

	if (!pid) {
		double until = now(CLOCK_MONOTONIC) + 0.2;

		while (now(CLOCK_MONOTONIC) < until)
			x++;
		_exit(0);
	}
	CHECK(wait4(pid, &st, 0, &ru) == pid);
	CHECK(ru.ru_utime.tv_sec * 1000000 + ru.ru_utime.tv_usec + ru.ru_stime.tv_sec * 1000000 + ru.ru_stime.tv_usec > 20000);
	CHECK(getrusage(RUSAGE_CHILDREN, &ru) == 0 && ru.ru_utime.tv_usec + ru.ru_stime.tv_usec > 20000);
	CHECK(getrusage(RUSAGE_SELF, &ru) == 0 && getrusage(RUSAGE_THREAD, &ru) == 0);
	CHECK_ERRNO(getrusage(5, &ru), EINVAL);
	CHECK(times(&tm) > 0 && tm.tms_cutime + tm.tms_cstime > 0);
}

static void cpu_limit(void)
{
	struct rlimit r = { 1, 2 };
	int st;
	pid_t pid = fork();

	if (!pid) {
		CHECK(setrlimit(RLIMIT_CPU, &r) == 0);
		for (;;)
			;
	}
	CHECK(waitpid(pid, &st, 0) == pid && WIFSIGNALED(st) && WTERMSIG(st) == SIGXCPU);
}

/* Set to begin long ago: what was missed since then is counted, and the count has an end. */
static void missed(void)
{
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2 };
	struct itimerspec its = { .it_interval = { 0, 100000000 } };
	sigset_t set;
	siginfo_t si;
	timer_t t;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	CHECK(timer_create(CLOCK_REALTIME, &ev, &t) == 0 && clock_gettime(CLOCK_REALTIME, &its.it_value) == 0);
	its.it_value.tv_sec -= 10;
	CHECK(timer_settime(t, TIMER_ABSTIME, &its, NULL) == 0 && sigwaitinfo(&set, &si) == SIGUSR2);
	CHECK(si.si_overrun >= 90 && timer_getoverrun(t) == si.si_overrun);
	CHECK(timer_delete(t) == 0 && sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

int main(void)
{
	clocks();
	posix_timers();
	missed();
	itimers();
	usage();
	cpu_limit();
	return 0;
}
