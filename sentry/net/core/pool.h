/* SPDX-License-Identifier: Apache-2.0
 * sentry/net/core/pool.h - pools of equal-sized objects with a small per-thread stock
 *
 * Model:   producers and consumers of packets are often different threads, so stocks move between threads in
 *          batches through a shared list: one lock per POOL_BATCH objects. Sanitizer builds use malloc for
 *          every object, so that use after free is seen.
 */
#ifndef SENTRY_NET_POOL_H
#define SENTRY_NET_POOL_H

#include "base/mutex.h"

enum { POOL_PKT, POOL_PKT_BIG, POOL_BUF_2K, POOL_BUF_8K, POOL_BUF_64K, POOL_COUNT };

void *pool_alloc(unsigned pool);	/* uninitialised; NULL when out of memory */
void pool_free(unsigned pool, void *obj);
size_t pool_size(unsigned pool);	/* bytes of one object */
size_t pool_trim(void);			/* frees the shared lists; bytes given back */

#endif
