/* SPDX-License-Identifier: Apache-2.0
 * proto/base/util.h - the few macros every binary uses
 */
#ifndef BASE_UTIL_H
#define BASE_UTIL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#define ARRAY_SIZE(a)	      (sizeof(a) / sizeof((a)[0]))
#define container_of(p, t, m) ((t *)((char *)(p)-offsetof(t, m)))
#define MIN(a, b)	      ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ < b_ ? a_ : b_; })
#define MAX(a, b)	      ({ __auto_type a_ = (a); __auto_type b_ = (b); a_ > b_ ? a_ : b_; })
#define ALIGN_UP(x, a)	      (((x) + ((a)-1)) & ~((__typeof__(x))(a)-1))
#define ALIGN_DOWN(x, a)      ((x) & ~((__typeof__(x))(a)-1))
#define likely(x)	      __builtin_expect(!!(x), 1)
#define unlikely(x)	      __builtin_expect(!!(x), 0)
#define NORETURN	      __attribute__((noreturn))
#define PRINTF(f, a)	      __attribute__((format(printf, f, a)))
#define NOINLINE	      __attribute__((noinline))
#define MUST_CHECK	      __attribute__((warn_unused_result))

#define NSEC_PER_SEC 1000000000ull
#define PAGE_SIZE    4096ull
#define PAGE_MASK    (~(PAGE_SIZE - 1))

/* Clang's thread safety analysis; GCC ignores it. Lock functions and functions that want a lock held
 * carry these (STYLE.md section 5). */
#if defined(__clang__)
#define TSA(x) __attribute__((x))
#else
#define TSA(x)
#endif
#define CAPABILITY(n)	TSA(capability(n))
#define ACQUIRE(...)	TSA(acquire_capability(__VA_ARGS__))
#define RELEASE(...)	TSA(release_capability(__VA_ARGS__))
#define REQUIRES(...)	TSA(requires_capability(__VA_ARGS__))

/**
 * bug() - a broken promise of our own code: say where and abort, in release builds too
 */
void bug(const char *file, int line, const char *expr) NORETURN;
#define BUG_ON(c)                                                                                  \
	do {                                                                                       \
		if (unlikely(c))                                                                   \
			bug(__FILE__, __LINE__, #c);                                               \
	} while (0)

/* Cleanup attributes, for set-up code only (runsc, shim, gofer start, boot). */
static inline void auto_close_(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}
static inline void auto_free_(void *p)
{
	free(*(void **)p);
}
#define AUTO_CLOSE __attribute__((cleanup(auto_close_)))
#define AUTO_FREE  __attribute__((cleanup(auto_free_)))

/* Moves a pointer or descriptor out of a variable with a cleanup attribute. */
#define TAKE_PTR(p) ({ __auto_type p_ = (p); (p) = NULL; p_; })
#define TAKE_FD(fd) ({ int fd_ = (fd); (fd) = -1; fd_; })

#endif
