/* SPDX-License-Identifier: Apache-2.0
 * gofer/hostcalls.h - the host calls that each file of the gofer needs, stated in that file
 *
 * Model:   a file has one table that ends with an empty row; confine.c makes the seccomp filter from all of
 *          them. A row may restrict arguments; several rows of one call are alternatives.
 */
#ifndef GOFER_HOSTCALLS_H
#define GOFER_HOSTCALLS_H

#include <sys/syscall.h>

#include "base/util.h"

enum hostcall_cmp { HC_ANY, HC_EQ, HC_MASKED /* (arg & mask) == value */ };

struct gofer_hostcall {
	const char *name; /* NULL ends a table */
	int nr;
	const char *why;
	struct {
		uint8_t arg;
		uint8_t cmp; /* enum hostcall_cmp */
		uint64_t value, mask;
	} cond[2];
	unsigned policy; /* GOFER_*: only when this is granted; 0: always */
};

#define HOSTCALL(call, why_) { .name = #call, .nr = SYS_##call, .why = why_ }
#define HOSTCALL_EQ(call, arg_, value_, why_)                                                      \
	{ .name = #call, .nr = SYS_##call, .why = why_, .cond = { { arg_, HC_EQ, value_, 0 } } }
#define HOSTCALL_MASKED(call, arg_, mask_, value_, why_)                                           \
	{ .name = #call, .nr = SYS_##call, .why = why_, .cond = { { arg_, HC_MASKED, value_, mask_ } } }

extern const struct gofer_hostcall gofer_calls_node[], gofer_calls_session[], gofer_calls_open[],
	gofer_calls_io[], gofer_calls_dir[], gofer_calls_attr[], gofer_calls_name[],
	gofer_calls_rename[], gofer_calls_xattr[], gofer_calls_sock[], gofer_calls_init[],
	gofer_calls_runtime[];

#endif
