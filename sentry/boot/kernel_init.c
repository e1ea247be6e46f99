/* SPDX-License-Identifier: Apache-2.0
 * sentry/boot/kernel_init.c - what exists before the first container: file systems, devices, socket families
 *
 * Model:   one table; the order is the order of dependency.
 */
#include "base/log.h"
#include "sentry/boot/boot.h"
#include "sentry/boot/init_calls.h"
#include "sentry/socket/host/hostinet.h"
#include "sentry/socket/inet/inet.h"
#include "sentry/task/cpus.h"

long kernel_init(const struct boot_args *a)
{
	cpus_set(a->ncpus);
	inet_no_raw = a->no_raw;
	if (a->host_network)
		hostinet_enable();
	for (size_t i = 0; i < ARRAY_SIZE(init_calls); i++) {
		long ret = init_calls[i].fn();

		if (ret < 0) {
			log_error("start: %s failed", init_calls[i].name);
			return ret;
		}
	}
	return 0;
}
