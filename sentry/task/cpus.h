/* SPDX-License-Identifier: Apache-2.0
 * sentry/task/cpus.h - the processors that guests see: as many as the sandbox may use
 */
#ifndef SENTRY_CPUS_H
#define SENTRY_CPUS_H

#include <stdint.h>

#define CPUS_MAX 1024u

void cpus_set(unsigned n);	/* once at boot: 1..CPUS_MAX, numbered from 0 */
unsigned cpus_count(void);
const uint64_t *cpus_possible(void); /* CPUS_MAX bits */

#endif
