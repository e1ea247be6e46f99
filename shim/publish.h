/* SPDX-License-Identifier: Apache-2.0
 * shim/publish.h - events to containerd, in order
 */
#ifndef SHIM_PUBLISH_H
#define SHIM_PUBLISH_H

#include "ttrpc.h"
#include "ttrpc_workers.h"

struct publisher;

/* @address of containerd's ttrpc socket; "" = drop everything (CRI-O). Strings are borrowed. */
struct publisher *publisher_new(struct evloop *loop, struct ttrpc_workers *workers, const char *address,
				const char *ns);
void publisher_free(struct publisher *p); /* loop's thread, or after it ended; what is queued is lost */

/* Queues one event; never blocks, any thread. @type: bare message name, "containerd.events.TaskExit". */
void publish(struct publisher *p, const char *topic, const char *type, const ProtobufCMessage *event);
bool publisher_idle(struct publisher *p); /* nothing queued, nothing under way */

#endif
