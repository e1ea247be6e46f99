/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/init_calls.h - the table of kernel_init.c: who is initialised, in order of dependency
 *
 * A subsystem adds one row: its include and its function, long (*)(void), 0 or -LINUX_E*.
 */
#ifndef SENTRY_INIT_CALLS_H
#define SENTRY_INIT_CALLS_H

#include "sentry/boot/boot.h"
#include "sentry/fs/fs.h"
#include "sentry/fs/fuse/fuse.h"
#include "sentry/fs/gofer/gofer.h"
#include "sentry/fs/proc/proc.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/socket/socket.h"
#include "sentry/ipc/ipc.h"
#include "sentry/keys/keys.h"
#include "sentry/mm/memfd.h"
#include "sentry/syscalls/syslog.h"
#include "sentry/task/task.h"
#include "sentry/task/mm_hooks.h"
#include "sentry/task/ns.h"

static long init_memory(void)
{
	guest_memfd_init();
	mm_hooks_init();
	return 0;
}

static long init_ipc(void)
{
	ipc_init();
	keys_init();
	return 0;
}

static long init_fs(void)
{
	fs_init_all();
	gofer_fs_init();
	nsfs_init();
	proc_init();
	return fuse_fs_init();
}

static long init_stdio(void)
{
	stdio_init();
	return 0;
}

static long init_sockets(void)
{
	long ret;

	syslog_start();
	proc_net_init();
	ret = tun_init();
	return ret ? ret : socket_init_families();
}

static const struct init_call {
	const char *name;
	long (*fn)(void);
} init_calls[] = {
	{ "memory", init_memory },
	{ "tasks", task_init },
	{ "ipc", init_ipc },
	{ "file systems", init_fs },
	{ "sockets", init_sockets },
	{ "stdio", init_stdio },
};

#endif
