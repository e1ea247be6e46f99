/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/kernel_id.h - what this kernel says it is: uname(2), /proc/version, sysinfo(2)
 */
#ifndef SENTRY_KERNEL_ID_H
#define SENTRY_KERNEL_ID_H

#include <stdint.h>

extern const char kernel_release[]; /* at most 64 bytes each */
extern const char kernel_version[];

/* Memory that the sandbox may use (its cgroup's limit), bytes; 0 = as much as the host has. Set at boot. */
void kernel_set_total_memory(uint64_t bytes);
uint64_t kernel_total_memory(void);

#endif
