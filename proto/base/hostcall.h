/* SPDX-License-Identifier: Apache-2.0
 * proto/base/hostcall.h - host system calls without errno
 *
 * Model:   each returns the kernel's value, -errno on failure. errno is thread-local, and Sentry code
 *          moves between host threads at every sleep (sentry/run), so a cached address of errno would
 *          be another thread's; these never touch it.
 */
#ifndef BASE_HOSTCALL_H
#define BASE_HOSTCALL_H

#include <sys/syscall.h>

static inline long host_call6(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 __asm__("r10") = d;
	register long r8 __asm__("r8") = e;
	register long r9 __asm__("r9") = f;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return ret;
}

/* Sanitizer builds only: calls that fail on purpose. test/security/faults.sh writes here from outside (/proc/PID/mem). */
#ifdef SENTRY_ASAN
extern struct host_call_fault {
	volatile int nr;	/* -1 none */
	volatile int error;	/* positive */
	volatile unsigned every;	/* the how-many-th fails */
	volatile unsigned seen, done;
} host_call_fault;

static inline long host_call_faulty(long nr, long a, long b, long c, long d, long e, long f)
{
	if (__builtin_expect(host_call_fault.nr == nr, 0) && __atomic_add_fetch(&host_call_fault.seen, 1, __ATOMIC_RELAXED) % host_call_fault.every == 0) {
		__atomic_add_fetch(&host_call_fault.done, 1, __ATOMIC_RELAXED);
		return -host_call_fault.error;
	}
	return host_call6(nr, a, b, c, d, e, f);
}
#define host_call6 host_call_faulty
#endif

#define HC_ARG_(x)			     ((long)(x))
#define HC_PICK_(_0, _1, _2, _3, _4, _5, _6, N, ...) N
#define HC0_(n)				     host_call6(n, 0, 0, 0, 0, 0, 0)
#define HC1_(n, a)			     host_call6(n, HC_ARG_(a), 0, 0, 0, 0, 0)
#define HC2_(n, a, b)			     host_call6(n, HC_ARG_(a), HC_ARG_(b), 0, 0, 0, 0)
#define HC3_(n, a, b, c)		     host_call6(n, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), 0, 0, 0)
#define HC4_(n, a, b, c, d)		     host_call6(n, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), HC_ARG_(d), 0, 0)
#define HC5_(n, a, b, c, d, e)                                                                     \
	host_call6(n, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), HC_ARG_(d), HC_ARG_(e), 0)
#define HC6_(n, a, b, c, d, e, f)                                                                  \
	host_call6(n, HC_ARG_(a), HC_ARG_(b), HC_ARG_(c), HC_ARG_(d), HC_ARG_(e), HC_ARG_(f))

/* host_call(read, fd, buf, len): the host's read(2), -errno on failure */
#define host_call(name, ...)                                                                       \
	HC_PICK_(_0, ##__VA_ARGS__, HC6_, HC5_, HC4_, HC3_, HC2_, HC1_, HC0_)(__NR_##name, ##__VA_ARGS__)

#endif
