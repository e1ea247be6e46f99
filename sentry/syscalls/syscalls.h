/* SPDX-License-Identifier: Apache-2.0
 * sentry/syscalls/syscalls.h - how a system call handler is written and found
 *
 * Model:   SYSCALL_DEFINEn(name, type, arg, ...) defines a typed handler and the uniform entry that the table holds. A handler
 *          decodes, validates, copies, calls the layer below, encodes; it has no policy and no state. One row per call in
 *          one of the rows files (rows_fs.h, rows_task.h, rows_mm.h, rows_net.h, rows_ipc.h, rows_misc.h):
 *          SYSCALL(number, name, "trace signature", support, "what is missing")
 * Source:  arch/x86/entry/syscalls/syscall_64.tbl for the numbers.
 */
#ifndef SENTRY_SYSCALLS_H
#define SENTRY_SYSCALLS_H

#include "sentry/task/task.h"

enum syscall_support { SC_FULL, SC_PARTIAL, SC_NOSYS /* answers ENOSYS, counted */, SC_DENIED /* answers as Linux does without the privilege */ };

typedef long (*syscall_fn)(struct task *t, const uint64_t a[6]);

struct syscall_row {
	const char *name;
	syscall_fn fn;		/* NULL: ENOSYS */
	const char *sig;	/* one letter per argument: d int, u unsigned, x hex, p pointer, s string in, f descriptor, o octal */
	enum syscall_support support;
	const char *missing;
};

#define SYSCALL_MAX 470
extern const struct syscall_row syscall_table[SYSCALL_MAX];

/* Serves one call: seccomp, strace, table; returns the value for the guest or a restart code. */
long syscall_dispatch(struct task *t, uint32_t nr, const uint64_t a[6]);

/* Takes an argument register's low bytes as type @t (also struct gptr). */
#define SC_AS(t, v) (((union { uint64_t in; t out; }){ .in = (v) }).out)

#define SYSCALL_DEFINE0(n)                                                                         \
	long sys_##n(struct task *t, const uint64_t a_[6]);                                        \
	long sys_##n(struct task *t, const uint64_t a_[6])
#define SC_DEF_(n, params, call)                                                                   \
	static inline long do_sys_##n params;                                                      \
	long sys_##n(struct task *t, const uint64_t a_[6]);                                        \
	long sys_##n(struct task *t, const uint64_t a_[6])                                         \
	{                                                                                          \
		return do_sys_##n call;                                                            \
	}                                                                                          \
	static inline long do_sys_##n params
#define SYSCALL_DEFINE1(n, t1, p1) SC_DEF_(n, (struct task * t, t1 p1), (t, SC_AS(t1, a_[0])))
#define SYSCALL_DEFINE2(n, t1, p1, t2, p2)                                                         \
	SC_DEF_(n, (struct task * t, t1 p1, t2 p2), (t, SC_AS(t1, a_[0]), SC_AS(t2, a_[1])))
#define SYSCALL_DEFINE3(n, t1, p1, t2, p2, t3, p3)                                                 \
	SC_DEF_(n, (struct task * t, t1 p1, t2 p2, t3 p3),                                         \
		(t, SC_AS(t1, a_[0]), SC_AS(t2, a_[1]), SC_AS(t3, a_[2])))
#define SYSCALL_DEFINE4(n, t1, p1, t2, p2, t3, p3, t4, p4)                                         \
	SC_DEF_(n, (struct task * t, t1 p1, t2 p2, t3 p3, t4 p4),                                  \
		(t, SC_AS(t1, a_[0]), SC_AS(t2, a_[1]), SC_AS(t3, a_[2]), SC_AS(t4, a_[3])))
#define SYSCALL_DEFINE5(n, t1, p1, t2, p2, t3, p3, t4, p4, t5, p5)                                 \
	SC_DEF_(n, (struct task * t, t1 p1, t2 p2, t3 p3, t4 p4, t5 p5),                           \
		(t, SC_AS(t1, a_[0]), SC_AS(t2, a_[1]), SC_AS(t3, a_[2]), SC_AS(t4, a_[3]),        \
		 SC_AS(t5, a_[4])))
#define SYSCALL_DEFINE6(n, t1, p1, t2, p2, t3, p3, t4, p4, t5, p5, t6, p6)                         \
	SC_DEF_(n, (struct task * t, t1 p1, t2 p2, t3 p3, t4 p4, t5 p5, t6 p6),                    \
		(t, SC_AS(t1, a_[0]), SC_AS(t2, a_[1]), SC_AS(t3, a_[2]), SC_AS(t4, a_[3]),        \
		 SC_AS(t5, a_[4]), SC_AS(t6, a_[5])))

#endif
