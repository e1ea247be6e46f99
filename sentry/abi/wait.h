/* SPDX-License-Identifier: Apache-2.0
 * sentry/abi/wait.h - wait4(2), waitid(2), getrusage(2), setrlimit(2), times(2) as guests see them
 */
#ifndef SENTRY_ABI_WAIT_H
#define SENTRY_ABI_WAIT_H

#include <stdint.h>

#define LINUX_WNOHANG	 1u
#define LINUX_WUNTRACED	 2u
#define LINUX_WSTOPPED	 2u
#define LINUX_WEXITED	 4u
#define LINUX_WCONTINUED 8u
#define LINUX_WNOWAIT	 0x01000000u
#define LINUX_WNOTHREAD	 0x20000000u
#define LINUX_WALL	 0x40000000u
#define LINUX_WCLONE	 0x80000000u

#define LINUX_P_ALL   0
#define LINUX_P_PID   1
#define LINUX_P_PGID  2
#define LINUX_P_PIDFD 3

/* Wait status words */
#define LINUX_W_EXITCODE(code, sig) ((((code)&0xff) << 8) | (sig))
#define LINUX_W_STOPCODE(sig)	    (((sig) << 8) | 0x7f)
#define LINUX_W_CONTINUED	    0xffff
#define LINUX_W_CORE		    0x80

struct linux_timeval {
	int64_t sec, usec;
};

#define LINUX_RUSAGE_SELF     0
#define LINUX_RUSAGE_CHILDREN (-1)
#define LINUX_RUSAGE_THREAD   1
struct linux_rusage {
	struct linux_timeval utime, stime;
	int64_t maxrss, ixrss, idrss, isrss, minflt, majflt, nswap, inblock, oublock, msgsnd, msgrcv;
	int64_t nsignals, nvcsw, nivcsw;
};
_Static_assert(sizeof(struct linux_rusage) == 144, "getrusage(2)");

struct linux_tms {
	int64_t utime, stime, cutime, cstime;
};
#define LINUX_CLK_TCK 100

#define LINUX_RLIMIT_CPU	0
#define LINUX_RLIMIT_FSIZE	1
#define LINUX_RLIMIT_DATA	2
#define LINUX_RLIMIT_STACK	3
#define LINUX_RLIMIT_CORE	4
#define LINUX_RLIMIT_RSS	5
#define LINUX_RLIMIT_NPROC	6
#define LINUX_RLIMIT_NOFILE	7
#define LINUX_RLIMIT_MEMLOCK	8
#define LINUX_RLIMIT_AS		9
#define LINUX_RLIMIT_LOCKS	10
#define LINUX_RLIMIT_SIGPENDING 11
#define LINUX_RLIMIT_MSGQUEUE	12
#define LINUX_RLIMIT_NICE	13
#define LINUX_RLIMIT_RTPRIO	14
#define LINUX_RLIMIT_RTTIME	15

#endif
