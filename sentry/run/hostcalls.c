/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/hostcalls.c - host calls of the scheduler, and of the C library under everything
 *
 * Differs: clone3(2) is answered ENOSYS by confine.c (its flags are in memory, where a filter cannot look), so that the C
 *          library starts threads by clone(2), whose flags are checked: threads, never processes.
 */
#include "sentry/run/hostcalls.h"

#include <linux/sched.h>
#include <sys/mman.h>

/* workers, kthreads, timers, reactor */
SENTRY_HOST_CALL(futex, "locks; parked workers");
SENTRY_HOST_CALL(epoll_pwait, "reactor and control loop");
SENTRY_HOST_CALL(epoll_wait, "reactor and control loop");
SENTRY_HOST_CALL(epoll_ctl, "reactor and control loop");
SENTRY_HOST_CALL(read, "eventfd, timerfd, stdio, pipes of the host");
SENTRY_HOST_CALL(write, "eventfd, log, stdio, exit record");
SENTRY_HOST_CALL(readv, "stdio");
SENTRY_HOST_CALL(writev, "stdio, abort message");
SENTRY_HOST_CALL(close, "descriptors");
SENTRY_HOST_CALL(timerfd_settime, "timers");
SENTRY_HOST_CALL(timerfd_create, "timers");
SENTRY_HOST_CALL(eventfd2, "wake-ups");
SENTRY_HOST_CALL(epoll_create1, "wake-ups");
SENTRY_HOST_CALL(sched_yield, "spinning");
SENTRY_HOST_CALL(sched_getaffinity, "how many CPUs there are");
SENTRY_HOST_CALL(getcpu, "which CPU a worker is on");
SENTRY_HOST_CALL(clock_gettime, "where the vDSO does not do it");
SENTRY_HOST_CALL(clock_nanosleep, "the last moments of control_exit()");
SENTRY_HOST_CALL(nanosleep, "the last moments of control_exit()");
SENTRY_HOST_CALL(poll, "stdio");
SENTRY_HOST_CALL(ppoll, "stdio");
SENTRY_HOST_CALL_MASKED(clone, 0, CLONE_VM | CLONE_THREAD | CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET,
			CLONE_VM | CLONE_THREAD, "another worker, when one is about to block");

/* C library */
SENTRY_HOST_CALL_MASKED(mmap, 2, PROT_EXEC, 0, "memory, kernel stacks; never executable");
SENTRY_HOST_CALL_MASKED(mprotect, 2, PROT_EXEC, 0, "guard pages, heap growth; never executable");
SENTRY_HOST_CALL(munmap, "memory");
SENTRY_HOST_CALL(mremap, "realloc of large blocks");
SENTRY_HOST_CALL(madvise, "giving memory back");
SENTRY_HOST_CALL(brk, "heap");
SENTRY_HOST_CALL(getrandom, "random numbers");
SENTRY_HOST_CALL(getpid, "log lines, abort");
SENTRY_HOST_CALL(gettid, "abort, thread ids");
SENTRY_HOST_CALL(sysinfo, "memory of the host, for /proc/meminfo and sysinfo(2)");
SENTRY_HOST_CALL(set_robust_list, "start of a thread");
SENTRY_HOST_CALL(rseq, "start of a thread");
SENTRY_HOST_CALL(sigaltstack, "start of a thread");
SENTRY_HOST_CALL(rt_sigprocmask, "start of a thread, abort");
SENTRY_HOST_CALL(rt_sigaction, "abort puts the default action back");
SENTRY_HOST_CALL(rt_sigreturn, "end of a signal handler");
SENTRY_HOST_CALL(restart_syscall, "after a stop");
SENTRY_HOST_CALL(exit, "end of a thread");
SENTRY_HOST_CALL(exit_group, "end");
#ifdef SENTRY_ASAN
SENTRY_HOST_CALL(readlink, "sanitizer");
SENTRY_HOST_CALL(open, "sanitizer");
SENTRY_HOST_CALL(openat, "sanitizer");
SENTRY_HOST_CALL(getdents64, "sanitizer");
SENTRY_HOST_CALL(prctl, "sanitizer");
SENTRY_HOST_CALL(kill, "sanitizer");
#endif

HOST_CALL_FILE(run);
