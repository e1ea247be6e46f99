/* SPDX-License-Identifier: Apache-2.0
 * sentry/mm/memfd.h - host memory files behind what guests share or store
 */
#ifndef SENTRY_MM_MEMFD_H
#define SENTRY_MM_MEMFD_H

#include <stdint.h>

/* Half of the descriptors that the process may have now are the bound from here on; 512 before. Call before the Sentry is confined. */
void guest_memfd_init(void);

/**
 * guest_memfd_new() - a fresh memory file that counts against the sandbox's bound
 * @name:	what /proc/PID/maps of the host calls it
 * @size:	bytes
 *
 * Source: memfd_create(2).
 * Return: a host descriptor, to be given to guest_memfd_close(); -LINUX_ENFILE at the bound, -LINUX_ENOMEM
 */
long guest_memfd_new(const char *name, uint64_t size);
void guest_memfd_close(int fd);

#endif
