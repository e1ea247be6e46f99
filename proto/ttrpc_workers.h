/* SPDX-License-Identifier: Apache-2.0
 * proto/ttrpc_workers.h - threads for handlers that block
 *
 * Model:   a queue and threads that come when all are busy and go when idle. For daemons whose memory
 *          counts: an idle server keeps no thread but its loop.
 * Locks:   one mutex inside, a leaf.
 */
#ifndef PROTO_TTRPC_WORKERS_H
#define PROTO_TTRPC_WORKERS_H

#include "ttrpc.h"

struct ttrpc_workers;

struct ttrpc_job {
	struct list node;
	void (*fn)(struct ttrpc_job *j); /* runs once; may free @j */
};

/* At most @max threads with @stack_bytes of stack each, gone after @idle_ms without work. */
struct ttrpc_workers *ttrpc_workers_new(unsigned max, size_t stack_bytes, unsigned idle_ms);
void ttrpc_workers_run(struct ttrpc_workers *w, struct ttrpc_job *j);
/* For ttrpc_server_set_dispatch(server, ttrpc_workers_dispatch, workers). */
void ttrpc_workers_dispatch(void *workers, struct ttrpc_call *call);
/* Waits until the queue is empty and all threads have ended, then frees. */
void ttrpc_workers_free(struct ttrpc_workers *w);

#endif
