/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/memfd.c - host memory files behind what guests share or store, counted
 *
 * Model:   shared anonymous mappings, System V segments and the larger files of a tmpfs cost a host descriptor each. One bound holds
 *          for all of the sandbox's: a container that makes many must not keep the others from starting a process, which needs
 *          descriptors too.
 * Hostcalls: memfd_create, ftruncate, close.
 * Locks:   none.
 * Source:  memfd_create(2), getrlimit(2).
 */
#include "sentry/mm/memfd.h"

#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/hostcall.h"
#include "base/util.h"
#include "sentry/abi/errno.h"

static _Atomic uint32_t nr_memfds;
static uint32_t max_memfds = 512; /* immutable after guest_memfd_init() */

void guest_memfd_init(void)
{
	struct rlimit rl;

	if (!getrlimit(RLIMIT_NOFILE, &rl))
		max_memfds = (uint32_t)MIN(rl.rlim_cur, (rlim_t)UINT32_MAX) / 2;
}

static void uncount(void)
{
	atomic_fetch_sub_explicit(&nr_memfds, 1, memory_order_relaxed);
}

long guest_memfd_new(const char *name, uint64_t size)
{
	long fd = -LINUX_ENFILE;

	if (atomic_fetch_add_explicit(&nr_memfds, 1, memory_order_relaxed) < max_memfds)
		fd = host_call(memfd_create, name, MFD_CLOEXEC);
	if (fd < 0) {
		uncount();
		return fd == -LINUX_EMFILE || fd == -LINUX_ENFILE ? -LINUX_ENFILE : -LINUX_ENOMEM;
	}
	if (size && host_call(ftruncate, fd, size) < 0) {
		guest_memfd_close((int)fd);
		return -LINUX_ENOMEM;
	}
	return fd;
}

void guest_memfd_close(int fd)
{
	host_call(close, fd);
	uncount();
}
