/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/time.h - clocks and timers as guests see them (clock_gettime(2), timer_create(2), setitimer(2))
 */
#ifndef SENTRY_ABI_TIME_H
#define SENTRY_ABI_TIME_H

#include <stdint.h>

#define LINUX_CLOCK_REALTIME	       0
#define LINUX_CLOCK_MONOTONIC	       1
#define LINUX_CLOCK_PROCESS_CPUTIME_ID 2
#define LINUX_CLOCK_THREAD_CPUTIME_ID  3
#define LINUX_CLOCK_MONOTONIC_RAW      4
#define LINUX_CLOCK_REALTIME_COARSE    5
#define LINUX_CLOCK_MONOTONIC_COARSE   6
#define LINUX_CLOCK_BOOTTIME	       7
#define LINUX_CLOCK_REALTIME_ALARM     8
#define LINUX_CLOCK_BOOTTIME_ALARM     9
#define LINUX_CLOCK_TAI		       11

#define LINUX_TIMER_ABSTIME 1

/* Dynamic clock ids of other processes and threads: (~pid << 3) | CPUCLOCK_* */
#define LINUX_CPUCLOCK_PROF	 0
#define LINUX_CPUCLOCK_VIRT	 1
#define LINUX_CPUCLOCK_SCHED	 2
#define LINUX_CPUCLOCK_PERTHREAD 4

#define LINUX_ITIMER_REAL    0
#define LINUX_ITIMER_VIRTUAL 1
#define LINUX_ITIMER_PROF    2

struct linux_timespec {
	int64_t sec, nsec;
};
struct linux_itimerspec {
	struct linux_timespec interval, value;
};
struct linux_timezone {
	int32_t minuteswest, dsttime;
};

struct linux_timex {
	uint32_t modes, pad1;
	int64_t offset, freq, maxerror, esterror;
	int32_t status, pad2;
	int64_t constant, precision, tolerance, time_sec, time_usec, tick, ppsfreq, jitter;
	int32_t shift, pad3;
	int64_t stabil, jitcnt, calcnt, errcnt, stbcnt;
	int32_t tai, pad4[11];
};
_Static_assert(sizeof(struct linux_timex) == 208, "struct timex");

#endif
