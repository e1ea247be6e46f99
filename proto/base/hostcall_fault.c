/* SPDX-License-Identifier: Apache-2.0
 * proto/base/hostcall_fault.c - see hostcall.h: empty but in sanitizer builds
 */
#include "base/hostcall.h"

#ifdef SENTRY_ASAN
struct host_call_fault host_call_fault __attribute__((used)) = { .nr = -1, .every = 1 };
#else
typedef int not_empty;
#endif
