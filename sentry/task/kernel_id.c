/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/kernel_id.c - name and size of the machine that guests believe in
 */
#include "sentry/task/kernel_id.h"

/* New enough for current C libraries to use what is implemented. */
const char kernel_release[] = "6.12.0-gvisor";
const char kernel_version[] = "#1 SMP Sun Jan 10 15:06:54 PST 2016";

static uint64_t total_memory; /* written once at boot */

void kernel_set_total_memory(uint64_t bytes)
{
	total_memory = bytes;
}

uint64_t kernel_total_memory(void)
{
	return total_memory;
}
