/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/cpus.c - the processors that guests see
 *
 * Locks:   none: written once at boot, before any task.
 */
#include <sched.h>

#include "base/hostcall.h"
#include "base/util.h"
#include "sentry/task/cpus.h"

static unsigned nr_cpus;
static uint64_t possible[CPUS_MAX / 64];

void cpus_set(unsigned n)
{
	nr_cpus = MIN(MAX(n, 1u), CPUS_MAX);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		if (i < nr_cpus)
			possible[i / 64] |= 1ull << (i % 64);
}

/* Boot did not say: as many as the Sentry itself may run on. */
static void init_from_host(void)
{
	uint64_t m[CPUS_MAX / 64] = { 0 };
	unsigned n = 0;

	host_call(sched_getaffinity, 0, sizeof(m), m);
	for (unsigned i = 0; i < ARRAY_SIZE(m); i++)
		n += (unsigned)__builtin_popcountll(m[i]);
	cpus_set(n);
}

unsigned cpus_count(void)
{
	if (!nr_cpus)
		init_from_host();
	return nr_cpus;
}

const uint64_t *cpus_possible(void)
{
	cpus_count();
	return possible;
}
