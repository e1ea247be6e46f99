/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/boot_args.h - what the Sentry is started with, and its start steps
 */
#ifndef SENTRY_BOOT_ARGS_H
#define SENTRY_BOOT_ARGS_H

#include "base/util.h"

struct boot_args {
	const char *id;		/* sandbox id */
	unsigned ncpus;
	bool no_raw;		/* --net-raw=false */
	bool host_network;	/* TCP and UDP sockets come from the namespace that the process is in */
	const char *strace_syscalls; /* names with commas, NULL = all */
	uint32_t strace_size;	/* bytes shown of a buffer, 0 = default */
	bool debug, strace, no_patching, no_poll, log_json, no_confine;
};

/* Descriptors that runsc hands over at exec (runsc/lib/launch.c). */
#define BOOT_FD_CONTROL 3	/* listening control socket */
#define BOOT_FD_LOG	4
#define BOOT_FD_SYNC	5	/* one byte when the control socket is served */
#define BOOT_FD_USER	6	/* log for the container's user */

/* kernel_init.c: file systems, socket families, devices; once, before any container. */
long kernel_init(const struct boot_args *a);

/* confine.c: no capability, no new privileges, the seccomp filter. After this the process can open nothing. */
int confine(const struct boot_args *a);

/* control.c: serves until the sandbox ends. */
void control_serve(const struct boot_args *a) NORETURN;
/* Lets pending answers out, then ends the process. */
void control_exit(int status) NORETURN;

/* hostcall_list.c: the filters' tables as Markdown on stdout; how many different calls the Sentry's has */
unsigned hostcalls_print(void);
unsigned hostcalls_count(bool with_hostnet);

/* syscall_list.c: the system call table on stdout */
void syscalls_print(bool csv);

#endif
