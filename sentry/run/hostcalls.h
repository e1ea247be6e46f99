/* SPDX-License-Identifier: Apache-2.0
 * sentry/run/hostcalls.h - saying which host calls a file of the Sentry needs
 *
 * Model:   a file that makes a host call states it at file scope, with the reason; the rows of all files that are linked
 *          meet in one section, and boot/confine.c makes the seccomp filter from them. What no row allows ends the
 *          Sentry, with a line in the log. Several rows of one call are alternatives, and a row without a condition allows all.
 *
 *	SENTRY_HOST_CALL(pread64, "reads of donated files");
 *	SENTRY_HOST_CALL_EQ(ioctl, 1, SECCOMP_IOCTL_NOTIF_RECV, "requests of stubs");
 *	SENTRY_HOST_CALL_MASKED(mmap, 2, PROT_EXEC, 0, "windows of donated files");	(arg & mask) == value
 *	SENTRY_HOST_CALL_HOSTNET(bind, "a container's socket");		allowed with --network=host only
 */
#ifndef SENTRY_RUN_HOSTCALLS_H
#define SENTRY_RUN_HOSTCALLS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>

enum host_call_cond { HOST_CALL_ANY, HOST_CALL_COND_EQ, HOST_CALL_COND_MASKED };

struct host_call_row {
	const char *name, *why;
	int nr;
	uint8_t cond, arg;
	bool hostnet;
	uint64_t mask, value;
};

#define HOST_CALL_PASTE2_(a, b) a##b
#define HOST_CALL_PASTE_(a, b)	HOST_CALL_PASTE2_(a, b)
#define HOST_CALL_ROW_(call, cond_, arg_, mask_, value_, why_, hostnet_)                           \
	__attribute__((used, retain, section("sentry_hostcalls"), aligned(8))) static const struct host_call_row \
	HOST_CALL_PASTE_(host_call_row_, __COUNTER__) = { #call, why_, SYS_##call, cond_, arg_, hostnet_, mask_, value_ }

#define SENTRY_HOST_CALL(call, why)			   HOST_CALL_ROW_(call, HOST_CALL_ANY, 0, 0, 0, why, false)
#define SENTRY_HOST_CALL_EQ(call, arg, value, why)	   HOST_CALL_ROW_(call, HOST_CALL_COND_EQ, arg, 0, value, why, false)
#define SENTRY_HOST_CALL_MASKED(call, arg, mask, value, why) HOST_CALL_ROW_(call, HOST_CALL_COND_MASKED, arg, mask, value, why, false)
#define SENTRY_HOST_CALL_HOSTNET(call, why)		   HOST_CALL_ROW_(call, HOST_CALL_ANY, 0, 0, 0, why, true)
#define SENTRY_HOST_CALL_HOSTNET_EQ(call, arg, value, why) HOST_CALL_ROW_(call, HOST_CALL_COND_EQ, arg, 0, value, why, true)

/* A file of rows only defines this, and confine.c names it: otherwise nothing would make the linker take it. */
#define HOST_CALL_FILE(folder) const char host_calls_of_##folder = 1
extern const char host_calls_of_run, host_calls_of_platform, host_calls_of_vfs;

#endif
